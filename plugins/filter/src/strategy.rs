//! Chooses how an atom is evaluated, and with that which columns its fields need.

use sluice_sdk::{Level, ValueKind};

use crate::fields::{ANY_TYPE, Reading, Shape};
use crate::functions::Function;
use crate::ottl::Comparison;
use crate::program::{Atom, Expression, Number, Slots, Strategy, Test, Wanted};
use crate::value::Value;

/// Wraps an expression that gives a boolean into a test.
pub(crate) fn atom(expression: Expression, slots: &mut Slots) -> Test {
    let expression = turned(expression);
    if let Some((slot, accepted)) = kinds(&expression, slots) {
        slots.want(slot, Wanted::KIND);
        let (level, strategy) = (slots.get(slot).level(), Strategy::Kinds { slot, accepted });
        return Test::Atom(Atom { expression, level, strategy });
    }
    let mut uses = Uses { slots: Vec::new(), metric: false, member: false };
    uses.collect(&expression, Wanted::ALL);
    for (slot, wanted) in &uses.slots {
        slots.want(*slot, *wanted);
    }
    let level = level(&uses, slots);
    let strategy = choose(&expression, &uses, slots);
    Test::Atom(Atom { expression, level, strategy })
}

/// Which slots an expression reads, and which kinds of values it tells from nil.
struct Uses {
    slots: Vec<(usize, Wanted)>,
    /// Whether it asks about the data points of a metric.
    metric: bool,
    /// Whether it looks into maps or lists.
    member: bool,
}

impl Uses {
    fn collect(&mut self, expression: &Expression, wanted: Wanted) {
        match expression {
            Expression::Literal(_) => {}
            Expression::Read { slot, reading: Reading::Member(_) } => {
                self.member = true;
                self.add(*slot, Wanted::PRESENCE);
            }
            Expression::Read { slot, reading: Reading::Display } => self.add(*slot, Wanted::ALL),
            Expression::Read { slot, .. } => self.add(*slot, wanted),
            Expression::Compare { left, right, .. } => {
                self.collect(left, against(right));
                self.collect(right, against(left));
            }
            Expression::List(items) => items.iter().for_each(|item| self.collect(item, Wanted::ALL)),
            Expression::Negate(inner) => self.collect(inner, Wanted::ALL),
            Expression::Arithmetic { left, right, .. } => {
                self.collect(left, Wanted::ALL);
                self.collect(right, Wanted::ALL);
            }
            Expression::Call { function, arguments, .. } => {
                let wanted = seen_by(*function);
                arguments.iter().for_each(|argument| self.collect(argument, wanted));
            }
            Expression::Match { target, .. } => self.collect(target, Wanted::ALL),
            Expression::OneOf { target, .. } => self.collect(target, Wanted::TEXT),
            Expression::PointAttribute { slot, .. } => {
                self.metric = true;
                self.add(*slot, Wanted::TEXT.with(Wanted::KIND));
            }
        }
    }

    fn add(&mut self, slot: usize, wanted: Wanted) {
        match self.slots.iter_mut().find(|(known, _)| *known == slot) {
            Some((_, known)) => *known = known.with(wanted),
            None => self.slots.push((slot, wanted)),
        }
    }
}

/// What a value must be, to be anything but unequal to `other`.
fn against(other: &Expression) -> Wanted {
    match other {
        Expression::Literal(Value::Text(_)) => Wanted::TEXT,
        Expression::Literal(Value::Integer(_) | Value::Double(_)) => Wanted::NUMBER,
        Expression::Literal(Value::Boolean(_)) => Wanted::BOOLEAN,
        Expression::Literal(Value::Nil | Value::Bytes(_)) => Wanted::PRESENCE,
        _ => Wanted::ALL,
    }
}

/// The kinds of values that a function tells from nil.
fn seen_by(function: Function) -> Wanted {
    match function {
        // These fail on nil as on everything else that is not text.
        Function::HasPrefix
        | Function::HasSuffix
        | Function::Lower
        | Function::Upper
        | Function::ConvertCase
        | Function::Trim
        | Function::TrimPrefix
        | Function::TrimSuffix
        | Function::Split
        | Function::Duration
        | Function::IsInCidr => Wanted::TEXT,
        _ => Wanted::ALL,
    }
}

/// The entities to evaluate for: those of the level on which all slots stand, or else the rows.
fn level(uses: &Uses, slots: &Slots) -> Level {
    let mut levels = uses.slots.iter().map(|(slot, _)| slots.get(*slot).level());
    if uses.metric {
        return if uses.slots.len() == 1 { Level::Metric } else { Level::Record };
    }
    match levels.next() {
        None => Level::Resource,
        Some(first) if levels.all(|level| level == first) => first,
        Some(_) => Level::Record,
    }
}

fn choose(expression: &Expression, uses: &Uses, slots: &Slots) -> Strategy {
    let [(slot, wanted)] = uses.slots[..] else { return Strategy::Entities };
    let details = slots.get(slot);
    if uses.metric || uses.member {
        return Strategy::Entities;
    }
    if let Some(strategy) = direct(expression, slot, slots) {
        return strategy;
    }
    match details.shape {
        Shape::Text => Strategy::Texts { slot },
        Shape::Attribute if wanted == Wanted::TEXT => Strategy::Texts { slot },
        Shape::Attribute if wanted == Wanted::ALL => Strategy::Values { slot },
        _ => Strategy::Entities,
    }
}

/// Questions for the kind of an attribute or a body.
fn kinds(expression: &Expression, slots: &Slots) -> Option<(usize, ValueKind)> {
    let Expression::Call { function, arguments, keys } = expression else { return None };
    let accepted = match function {
        Function::IsString => ValueKind::Text,
        Function::IsInt => ValueKind::Integer,
        Function::IsBool => ValueKind::Boolean,
        Function::IsDouble => ValueKind::Double,
        Function::IsMap => ValueKind::Map,
        Function::IsList => ValueKind::Array,
        _ => return None,
    };
    match arguments[..] {
        [Expression::Read { slot, reading: Reading::Plain }] if keys.is_empty() && is_attribute(slot, slots) => {
            Some((slot, accepted))
        }
        _ => None,
    }
}

fn is_attribute(slot: usize, slots: &Slots) -> bool {
    matches!(slots.get(slot).shape, Shape::Attribute | Shape::Body)
}

/// Comparisons of a field with nil or a number.
fn direct(expression: &Expression, slot: usize, slots: &Slots) -> Option<Strategy> {
    let Expression::Compare { operator, left, right } = expression else { return None };
    let (Expression::Read { reading: Reading::Plain, .. }, Expression::Literal(literal)) = (&**left, &**right) else {
        return None;
    };
    let details = slots.get(slot);
    let attribute = is_attribute(slot, slots);
    let numeric = attribute || matches!(details.shape, Shape::Signed | Shape::Unsigned | Shape::Double);
    let number = match literal {
        Value::Nil if attribute => {
            let negated = *operator == Comparison::NotEqual;
            let accepted = matches!(operator, Comparison::Less | Comparison::Greater);
            return (!accepted).then_some(Strategy::Presence { slot, negated });
        }
        Value::Integer(number) => Number::Integer(*number),
        Value::Double(number) => Number::Double(*number),
        _ => return None,
    };
    (numeric && details.types == ANY_TYPE).then_some(Strategy::Number { slot, operator: *operator, number })
}

/// Puts the literal of a comparison to the right.
fn turned(expression: Expression) -> Expression {
    match expression {
        Expression::Compare { operator, left, right } if matches!(*left, Expression::Literal(_)) => {
            Expression::Compare { operator: mirrored(operator), left: right, right: left }
        }
        other => other,
    }
}

fn mirrored(operator: Comparison) -> Comparison {
    match operator {
        Comparison::Less => Comparison::Greater,
        Comparison::LessOrEqual => Comparison::GreaterOrEqual,
        Comparison::Greater => Comparison::Less,
        Comparison::GreaterOrEqual => Comparison::LessOrEqual,
        same => same,
    }
}
