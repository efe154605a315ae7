//! Evaluates an expression for many values at once: one lane per value that can make a difference.

use std::borrow::Cow;

use sluice_sdk::{Bitmap, DictionaryColumn, Level, Texts, TextsView, ValueKind};

use super::Evaluation;
use super::calls;
use super::columns::{Loaded, meaning};
use super::truth::Truth;
use crate::fields::Reading;
use crate::functions::Function;
use crate::program::{Atom, Expression, Strategy, Written};
use crate::value::{Cell, Fault, Value, attribute_text, calculate, compare, like_text, negate};

/// The values for which an expression is evaluated.
enum Lanes<'b> {
    /// Lane 0 is nil, lane `n` is value `n - 1` of the dictionary.
    Codes(DictionaryColumn<'b>),
    /// Like codes; after them a lane for each value that is not text.
    Mixed { column: DictionaryColumn<'b>, others: Vec<Value<'b>>, lane_of: Vec<u32> },
    /// The entities of a level.
    Entities { level: Level, count: usize },
}

impl<'b> Lanes<'b> {
    fn count(&self) -> usize {
        match self {
            Self::Codes(column) => column.values() + 1,
            Self::Mixed { column, others, .. } => column.values() + 1 + others.len(),
            Self::Entities { count, .. } => *count,
        }
    }

    /// The lane of an entity.
    fn of(&self, entity: usize) -> usize {
        match self {
            Self::Codes(column) => column.code(entity) as usize,
            Self::Mixed { lane_of, .. } => lane_of[entity] as usize,
            Self::Entities { .. } => entity,
        }
    }

    /// Whether an entity has no value.
    fn is_nil(&self, entity: usize) -> bool {
        !matches!(self, Self::Entities { .. }) && self.of(entity) == 0
    }

    fn mixed(slot: &Loaded<'b>, column: DictionaryColumn<'b>, size: usize, read: impl Fn(usize) -> Value<'b>) -> Self {
        let Some(kinds) = slot.kind else { return Self::Codes(column) };
        let first = column.values() as u32 + 1;
        let mut others = Vec::new();
        let mut lane_of = Vec::with_capacity(size);
        for entity in 0..size {
            lane_of.push(match kinds.get(entity) {
                ValueKind::Absent | ValueKind::Empty => 0,
                ValueKind::Text => column.code(entity),
                _ => {
                    others.push(read(entity));
                    first + others.len() as u32 - 1
                }
            });
        }
        Self::Mixed { column, others, lane_of }
    }
}

impl<'b> Evaluation<'b> {
    /// Evaluates an atom lane by lane and spreads the result over the entities.
    pub(super) fn lanes(&self, atom: &'b Atom, size: usize) -> Truth {
        let lanes = self.choose(atom, size);
        let results = self.booleans(&atom.expression, &lanes);
        let is_true = |lane: usize| matches!(results.get(lane), Some(Ok(true)));
        let yes = spread(&lanes, size, is_true, results.iter().filter(|result| **result == Ok(true)).count());
        Truth { level: atom.level, yes, faults: faults(&lanes, size, &results) }
    }

    fn choose(&self, atom: &'b Atom, size: usize) -> Lanes<'b> {
        let entities = Lanes::Entities { level: atom.level, count: size };
        match atom.strategy {
            Strategy::Texts { slot } => self.slots[slot].dictionary.map_or(entities, Lanes::Codes),
            Strategy::Values { slot } => {
                let loaded = &self.slots[slot];
                let read = |entity| loaded.read(&Reading::Plain, entity).unwrap_or(Value::Nil);
                loaded.dictionary.map_or(entities, |column| Lanes::mixed(loaded, column, size, read))
            }
            _ => entities,
        }
    }

    /// Evaluates an expression that gives booleans.
    fn booleans(&self, expression: &'b Expression, lanes: &Lanes<'b>) -> Vec<Result<bool, Fault>> {
        let cells = self.cells(expression, lanes);
        let boolean = |cell: Cell<'b>| match cell? {
            Value::Boolean(value) => Ok(value),
            other => Err(Fault::new(format!("a condition must give true or false, not {}", other.kind()))),
        };
        cells.into_iter().map(boolean).collect()
    }

    fn cells(&self, expression: &'b Expression, lanes: &Lanes<'b>) -> Vec<Cell<'b>> {
        let count = lanes.count();
        match expression {
            Expression::Literal(value) => (0..count).map(|_| Ok(borrowed(value))).collect(),
            Expression::Read { slot, reading } => {
                (0..count).map(|lane| self.read(*slot, reading, lanes, lane)).collect()
            }
            Expression::Compare { operator, left, right } => {
                self.pairs(left, right, lanes, |a, b| Ok(Value::Boolean(compare(*operator, a, b))))
            }
            Expression::Arithmetic { operator, left, right } => {
                self.pairs(left, right, lanes, |a, b| calculate(*operator, a, b))
            }
            Expression::Negate(inner) => {
                self.cells(inner, lanes).into_iter().map(|cell| cell.and_then(|value| negate(&value))).collect()
            }
            Expression::List(items) => self.tuples(items, lanes, |values| Ok(Value::List(values))),
            Expression::Call { function: Function::Coalesce, arguments, keys } => {
                let Some(Expression::List(items)) = arguments.first() else { return vec![Ok(Value::Nil); count] };
                let mut columns: Vec<_> = items.iter().map(|item| self.cells(item, lanes).into_iter()).collect();
                let first = |_| {
                    let row: Vec<Cell<'b>> = columns.iter_mut().filter_map(Iterator::next).collect();
                    calls::index(calls::coalesce(row.into_iter())?, keys)
                };
                (0..count).map(first).collect()
            }
            Expression::Call { function, arguments, keys } => {
                let searched = matches!(function, Function::ContainsValue | Function::Index)
                    && matches!(arguments.first(), Some(Expression::List(_)));
                self.tuples(arguments, lanes, |values| {
                    if searched {
                        calls::check_searchable(&values[0])?;
                    }
                    calls::index(calls::call(*function, values)?, keys)
                })
            }
            Expression::Match { patterns, target, written } => {
                let mut found: Option<Vec<Cell<'b>>> = None;
                let texts = self.texts(target, *written, lanes);
                for pattern in patterns {
                    let matched = match &texts {
                        Target::Direct(view) => pattern.is_match_all(*view),
                        Target::Gathered(texts, _) => pattern.is_match_all(texts),
                    };
                    let cells = texts.results(&matched, count);
                    found = Some(match found.take() {
                        None => cells,
                        Some(before) => before.into_iter().zip(cells).map(either).collect(),
                    });
                }
                found.unwrap_or_default()
            }
            Expression::OneOf { texts, target } => {
                let known = |value: Value<'b>| match value {
                    Value::Text(text) => texts.iter().any(|known| *known == text),
                    _ => false,
                };
                self.cells(target, lanes)
                    .into_iter()
                    .map(|cell| cell.map(|value| Value::Boolean(known(value))))
                    .collect()
            }
            Expression::PointAttribute { slot, expected } => self.point_attributes(*slot, expected.as_deref(), lanes),
        }
    }

    fn read(&self, slot: usize, reading: &'b Reading, lanes: &Lanes<'b>, lane: usize) -> Cell<'b> {
        let loaded = &self.slots[slot];
        match lanes {
            Lanes::Codes(column) => Ok(self.coded(*column, loaded, reading, lane)),
            Lanes::Mixed { column, .. } if lane <= column.values() => Ok(self.coded(*column, loaded, reading, lane)),
            Lanes::Mixed { column, others, .. } => Ok(meaning(reading, others[lane - column.values() - 1].clone())),
            Lanes::Entities { level, .. } => loaded.read(reading, self.owner(*level, loaded.level, lane)),
        }
    }

    fn coded(&self, column: DictionaryColumn<'b>, slot: &Loaded<'b>, reading: &'b Reading, lane: usize) -> Value<'b> {
        let value = match lane {
            0 if slot.may_be_absent() => Value::Nil,
            0 => Value::text(""),
            code => Value::text(column.value(code - 1)),
        };
        meaning(reading, value)
    }

    /// The entity of the level `of` that contains entity `at` of `level`.
    fn owner(&self, level: Level, of: Level, at: usize) -> usize {
        match of {
            _ if of == level => at,
            Level::Resource => self.batch.resource_of(at),
            Level::Scope => self.batch.scope_of(at),
            Level::Metric => self.batch.metric_of(at),
            Level::Record => at,
        }
    }

    fn pairs(
        &self,
        left: &'b Expression,
        right: &'b Expression,
        lanes: &Lanes<'b>,
        join: impl Fn(&Value<'b>, &Value<'b>) -> Cell<'b>,
    ) -> Vec<Cell<'b>> {
        let (left, right) = (self.cells(left, lanes), self.cells(right, lanes));
        left.into_iter().zip(right).map(|(a, b)| join(&a?, &b?)).collect()
    }

    fn tuples(
        &self,
        parts: &'b [Expression],
        lanes: &Lanes<'b>,
        join: impl Fn(Vec<Value<'b>>) -> Cell<'b>,
    ) -> Vec<Cell<'b>> {
        let mut columns: Vec<_> = parts.iter().map(|part| self.cells(part, lanes).into_iter()).collect();
        let row = |_| {
            let cells: Vec<Cell<'b>> = columns.iter_mut().filter_map(Iterator::next).collect();
            join(cells.into_iter().collect::<Result<_, _>>()?)
        };
        (0..lanes.count()).map(row).collect()
    }

    /// The texts that patterns see. A column of text crosses to the host as it is, without a copy of each value.
    fn texts(&self, target: &'b Expression, written: Written, lanes: &Lanes<'b>) -> Target<'b> {
        if let (Expression::Read { slot, reading: Reading::Plain }, Lanes::Codes(column)) = (target, lanes)
            && self.slots[*slot].may_be_absent()
        {
            return Target::Direct(TextsView::from(*column));
        }
        let mut texts = Texts::new();
        let mut places = Vec::with_capacity(lanes.count());
        for cell in self.cells(target, lanes) {
            let place = cell.and_then(|value| {
                let text = match written {
                    Written::Like => like_text(&value)?,
                    Written::Scalar => attribute_text(&value),
                };
                Ok(text.map(|text| {
                    texts.push(&text);
                    texts.len() - 1
                }))
            });
            places.push(place);
        }
        Target::Gathered(texts, places)
    }

    fn point_attributes(&self, slot: usize, expected: Option<&str>, lanes: &Lanes<'b>) -> Vec<Cell<'b>> {
        let loaded = &self.slots[slot];
        let carries = |row: usize| loaded.kind.is_some_and(|kinds| kinds.get(row) != ValueKind::Absent);
        let has = |metric: usize| {
            let first = self.batch.metric_rows(metric).find(|row| self.alive.get(*row) && carries(*row));
            first.is_some_and(|row| match expected {
                None => true,
                Some(expected) => loaded.dictionary.and_then(|column| column.get(row)).unwrap_or_default() == expected,
            })
        };
        let metrics: Vec<bool> = (0..self.batch.metrics()).map(has).collect();
        let lane = |lane: usize| match lanes {
            Lanes::Entities { level: Level::Record, .. } => metrics[self.batch.metric_of(lane)],
            _ => metrics[lane],
        };
        (0..lanes.count()).map(|at| Ok(Value::Boolean(lane(at)))).collect()
    }
}

/// Texts for a pattern.
enum Target<'b> {
    /// The values of a dictionary, in the order of the lanes from 1 on.
    Direct(TextsView<'b>),
    /// Texts, and for each lane where its text stands, if it has one.
    Gathered(Texts, Vec<Result<Option<usize>, Fault>>),
}

impl Target<'_> {
    fn results<'b>(&self, matched: &Bitmap, count: usize) -> Vec<Cell<'b>> {
        let boolean = |value| Value::Boolean(value);
        match self {
            Self::Direct(_) => (0..count).map(|lane| Ok(boolean(lane > 0 && matched.get(lane - 1)))).collect(),
            Self::Gathered(_, places) => places
                .iter()
                .map(|place| place.clone().map(|place| boolean(place.is_some_and(|place| matched.get(place)))))
                .collect(),
        }
    }
}

fn either<'b>((a, b): (Cell<'b>, Cell<'b>)) -> Cell<'b> {
    match (a?, b?) {
        (Value::Boolean(true), _) | (_, Value::Boolean(true)) => Ok(Value::Boolean(true)),
        (other, _) => Ok(other),
    }
}

fn borrowed<'b>(value: &'b Value<'static>) -> Value<'b> {
    match value {
        Value::Text(text) => Value::Text(Cow::Borrowed(text)),
        Value::Bytes(bytes) => Value::Bytes(Cow::Borrowed(bytes)),
        Value::Id(id) => Value::Id(Cow::Borrowed(id)),
        other => other.clone(),
    }
}

/// The entities whose lanes failed, and why one of them did. There may be none, since not every lane is some entity's.
fn faults(lanes: &Lanes<'_>, size: usize, results: &[Result<bool, Fault>]) -> Option<(Bitmap, Fault)> {
    let failing = results.iter().filter(|result| result.is_err()).count();
    if failing == 0 {
        return None;
    }
    let bits = spread(lanes, size, |lane| matches!(results.get(lane), Some(Err(_))), failing);
    // A value that is there tells more: conditions often ask before whether it is.
    let entity = bits.iter_ones().find(|entity| !lanes.is_nil(*entity)).or_else(|| bits.iter_ones().next())?;
    let fault = results.get(lanes.of(entity))?.as_ref().err()?.clone();
    Some((bits, fault))
}

/// Gives each entity the bit of its lane. `set` is how many lanes have theirs set, if that is known.
fn spread(lanes: &Lanes<'_>, size: usize, bit: impl Fn(usize) -> bool, set: usize) -> Bitmap {
    let codes = match lanes {
        Lanes::Entities { .. } => return Bitmap::from_fn(size, bit),
        Lanes::Codes(column) => match column.codes() {
            Some(codes) => codes,
            None => return Bitmap::new(size, bit(0)),
        },
        Lanes::Mixed { lane_of, .. } => lane_of,
    };
    match set {
        0 => Bitmap::new(size, false),
        // Mostly one value of a column is looked for: comparing the codes with it is quicker than looking each up.
        1 => {
            let wanted = (0..lanes.count()).find(|lane| bit(*lane)).unwrap_or(0) as u32;
            Bitmap::of(codes, |code| *code == wanted)
        }
        _ => {
            let table: Vec<bool> = (0..lanes.count()).map(bit).collect();
            Bitmap::of(codes, |code| table[*code as usize])
        }
    }
}
