//! Compiled conditions: expressions over slots, which are the fields that the stage reads.

use sluice_sdk::{
    Boolean, Bytes, Dictionary, F64, Field, Kind, Level, Pattern, S64, Selector, Setup, Signal, Text, U64, ValueKind,
};

use crate::context::Context;
use crate::fields::{self, ANY_TYPE, Reading, Resolved, Shape};
use crate::functions::Function;
use crate::ottl::{Arithmetic, Comparison, Key};
use crate::value::Value;

/// Everything that a configured stage evaluates.
#[derive(Debug, Default)]
pub(crate) struct Program {
    pub(crate) slots: Slots,
    pub(crate) steps: Vec<Step>,
    /// Whether a failed condition still refuses a batch of which the other conditions leave nothing. It does not with
    /// flat conditions, as in the Collector.
    pub(crate) refuses_empty: bool,
}

impl Program {
    /// Whether it has to know which rows belong to a resource, a scope or a metric.
    pub(crate) fn looks_above_records(&self, signal: Signal) -> bool {
        let mut tests = self.steps.iter().flat_map(|step| &step.conditions).map(|condition| &condition.test);
        (signal == Signal::Metrics && !self.steps.is_empty())
            || self.slots.iter().any(|slot| slot.level() != Level::Record)
            || tests.any(Test::looks_above_records)
    }
}

/// Conditions on one kind of thing; any that is true drops it.
#[derive(Debug)]
pub(crate) struct Step {
    pub(crate) context: Context,
    pub(crate) errors: ErrorMode,
    pub(crate) conditions: Vec<Compiled>,
}

/// What happens when a condition can't be evaluated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ErrorMode {
    /// Log it; the condition counts as not met.
    Ignore,
    /// The condition counts as not met.
    Silent,
    /// Refuse the batch.
    Propagate,
}

/// A condition and how it stands in the configuration.
#[derive(Debug)]
pub(crate) struct Compiled {
    pub(crate) text: String,
    pub(crate) test: Test,
}

/// Something that is true or false for each entity of some level.
#[derive(Debug)]
pub(crate) enum Test {
    Constant(bool),
    Not(Box<Test>),
    And(Vec<Test>),
    Or(Vec<Test>),
    Atom(Atom),
}

impl Test {
    fn looks_above_records(&self) -> bool {
        match self {
            Self::Constant(_) => true, // holds for resources
            Self::Not(inner) => inner.looks_above_records(),
            Self::And(parts) | Self::Or(parts) => parts.is_empty() || parts.iter().any(Self::looks_above_records),
            Self::Atom(atom) => atom.level != Level::Record,
        }
    }
}

/// An expression without `and`, `or` and `not`, with the way in which it is evaluated.
#[derive(Debug)]
pub(crate) struct Atom {
    pub(crate) expression: Expression,
    /// The level of the entities that it is evaluated for.
    pub(crate) level: Level,
    pub(crate) strategy: Strategy,
}

/// How to evaluate an atom for all entities.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Strategy {
    /// Look only whether there is a value.
    Presence { slot: usize, negated: bool },
    /// Look only which kind of value there is.
    Kinds { slot: usize, accepted: ValueKind },
    /// Compare numbers, without a detour over values.
    Number { slot: usize, operator: Comparison, number: Number },
    /// Once per distinct text, and once for all that is not text.
    Texts { slot: usize },
    /// Once per distinct text, once for nil, and for each other value.
    Values { slot: usize },
    /// For each entity.
    Entities,
}

/// A number in a condition.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Number {
    Integer(i64),
    Double(f64),
}

/// A computation that gives a value.
#[derive(Debug)]
pub(crate) enum Expression {
    Literal(Value<'static>),
    Read {
        slot: usize,
        reading: Reading,
    },
    Compare {
        operator: Comparison,
        left: Box<Expression>,
        right: Box<Expression>,
    },
    List(Vec<Expression>),
    Negate(Box<Expression>),
    Arithmetic {
        operator: Arithmetic,
        left: Box<Expression>,
        right: Box<Expression>,
    },
    Call {
        function: Function,
        arguments: Vec<Expression>,
        keys: Vec<Key>,
    },
    /// Whether any of some patterns matches.
    Match {
        patterns: Vec<Pattern>,
        target: Box<Expression>,
        written: Written,
    },
    /// Whether the target is one of some texts.
    OneOf {
        texts: Vec<String>,
        target: Box<Expression>,
    },
    /// Whether the first data point of a metric that has this attribute has it with this text.
    PointAttribute {
        slot: usize,
        expected: Option<String>,
    },
}

/// How a value becomes the text that a pattern sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Written {
    /// As functions see it; nil never matches.
    Like,
    /// As `match_type: regexp` sees an attribute; what is no scalar never matches.
    Scalar,
}

/// The fields that the stage reads.
#[derive(Debug, Default)]
pub(crate) struct Slots {
    slots: Vec<Slot>,
    metric_type: Option<S64>,
}

/// A field that the stage reads, and the columns in which it does.
#[derive(Debug)]
pub(crate) struct Slot {
    field: Field,
    pub(crate) shape: Shape,
    pub(crate) types: u8,
    wanted: Wanted,
    pub(crate) columns: Columns,
}

/// The kinds of values of an attribute that can make a difference.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Wanted(u8);

/// Handles of the columns of a slot.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Columns {
    pub(crate) dictionary: Option<Dictionary>,
    pub(crate) text: Option<Text>,
    pub(crate) s64: Option<S64>,
    pub(crate) u64: Option<U64>,
    pub(crate) f64: Option<F64>,
    pub(crate) boolean: Option<Boolean>,
    pub(crate) bytes: Option<Bytes>,
    pub(crate) kind: Option<Kind>,
}

impl Wanted {
    pub(crate) const NOTHING: Self = Self(0);
    pub(crate) const TEXT: Self = Self(1);
    pub(crate) const NUMBER: Self = Self(2);
    pub(crate) const BOOLEAN: Self = Self(4);
    /// Bytes, arrays and maps.
    pub(crate) const BYTES: Self = Self(8);
    /// Which kind it is.
    pub(crate) const KIND: Self = Self(16);
    /// Whether there is a value: empty bytes count as none.
    pub(crate) const PRESENCE: Self = Self(8 | 16);
    pub(crate) const ALL: Self = Self(31);

    pub(crate) fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    fn has(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }
}

impl Slots {
    /// The slot of a field; asks for it when it is new.
    pub(crate) fn slot(&mut self, resolved: &Resolved) -> usize {
        let Resolved { field, shape, types, .. } = resolved;
        let known = self.slots.iter().position(|slot| slot.field == *field && slot.shape == *shape);
        known.unwrap_or_else(|| {
            let (field, wanted, columns) = (field.clone(), Wanted::NOTHING, Columns::default());
            self.slots.push(Slot { field, shape: *shape, types: *types, wanted, columns });
            self.slots.len() - 1
        })
    }

    /// Notes which kinds of values of a slot can make a difference.
    pub(crate) fn want(&mut self, slot: usize, wanted: Wanted) {
        self.slots[slot].wanted = self.slots[slot].wanted.with(wanted);
    }

    pub(crate) fn get(&self, slot: usize) -> &Slot {
        &self.slots[slot]
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Slot> {
        self.slots.iter()
    }

    /// The column with the types of metrics, if any slot depends on them.
    pub(crate) fn metric_type(&self) -> Option<S64> {
        self.metric_type
    }

    /// How many columns all slots take.
    pub(crate) fn columns(&self) -> usize {
        let depends_on_type = self.slots.iter().any(|slot| slot.types != ANY_TYPE);
        self.slots.iter().map(Slot::count).sum::<usize>() + usize::from(depends_on_type)
    }

    /// Declares the columns of all slots. To be called once, after everything is compiled.
    pub(crate) fn declare(&mut self, setup: &mut Setup) {
        for slot in &mut self.slots {
            slot.declare(setup);
        }
        if self.slots.iter().any(|slot| slot.types != ANY_TYPE) {
            self.metric_type = Some(setup.s64(fields::metric_type()));
        }
    }
}

impl Slot {
    pub(crate) fn level(&self) -> Level {
        self.field.level
    }

    pub(crate) fn is_body(&self) -> bool {
        matches!(&self.field.selector, Selector::Intrinsic(name) if name == "body")
    }

    /// How many columns `declare` asks for.
    fn count(&self) -> usize {
        match self.shape {
            // Numbers take two.
            Shape::Attribute | Shape::Body => {
                (self.wanted.0.count_ones() + u32::from(self.wanted.has(Wanted::NUMBER))) as usize
            }
            _ => 1,
        }
    }

    fn declare(&mut self, setup: &mut Setup) {
        let (field, columns) = (&self.field, &mut self.columns);
        match self.shape {
            Shape::Text => columns.dictionary = Some(setup.dictionary(field.clone())),
            Shape::Signed => columns.s64 = Some(setup.s64(field.clone())),
            Shape::Unsigned => columns.u64 = Some(setup.u64(field.clone())),
            Shape::Double => columns.f64 = Some(setup.f64(field.clone())),
            Shape::Boolean => columns.boolean = Some(setup.boolean(field.clone())),
            Shape::Id(_) => columns.bytes = Some(setup.bytes(field.clone())),
            Shape::Attribute | Shape::Body => {
                let wanted = self.wanted;
                if wanted.has(Wanted::TEXT) && self.shape == Shape::Body {
                    columns.text = Some(setup.text(field.clone()));
                } else if wanted.has(Wanted::TEXT) {
                    columns.dictionary = Some(setup.dictionary(field.clone()));
                }
                if wanted.has(Wanted::NUMBER) {
                    columns.s64 = Some(setup.s64(field.clone()));
                    columns.f64 = Some(setup.f64(field.clone()));
                }
                columns.boolean = wanted.has(Wanted::BOOLEAN).then(|| setup.boolean(field.clone()));
                columns.bytes = wanted.has(Wanted::BYTES).then(|| setup.bytes(field.clone()));
                columns.kind = wanted.has(Wanted::KIND).then(|| setup.kind(field.clone()));
            }
        }
    }
}
