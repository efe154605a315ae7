//! Values of conditions, and how they compare and calculate.

mod nested;
mod text;

use std::borrow::Cow;
use std::cmp::Ordering;

pub(crate) use nested::decode;
pub(crate) use text::{attribute_text, display_text, hexadecimal, like_text};

use crate::ottl::{Arithmetic, Comparison};

/// A value. Borrows from the batch or from the configuration.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Value<'a> {
    /// No value, or one without content.
    Nil,
    Boolean(bool),
    Integer(i64),
    Double(f64),
    Text(Cow<'a, str>),
    Bytes(Cow<'a, [u8]>),
    /// The id of a trace or a span: compares to nothing but another id.
    Id(Cow<'a, [u8]>),
    List(Vec<Value<'a>>),
    Map(Vec<(Cow<'a, str>, Value<'a>)>),
    /// A point in time, in nanoseconds since the epoch.
    Time(i128),
    /// A span of time in nanoseconds.
    Duration(i64),
}

/// Why a condition could not be evaluated for some row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fault(pub(crate) Cow<'static, str>);

/// A value, or why there is none.
pub(crate) type Cell<'a> = Result<Value<'a>, Fault>;

impl Fault {
    pub(crate) fn new(message: impl Into<Cow<'static, str>>) -> Self {
        Self(message.into())
    }
}

impl<'a> Value<'a> {
    /// Wraps borrowed text.
    pub(crate) fn text(text: &'a str) -> Self {
        Self::Text(Cow::Borrowed(text))
    }

    /// What the value is called in messages.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Nil => "nil",
            Self::Boolean(_) => "a boolean",
            Self::Integer(_) => "an integer",
            Self::Double(_) => "a double",
            Self::Text(_) => "a string",
            Self::Bytes(_) => "bytes",
            Self::Id(_) => "an id",
            Self::List(_) => "a list",
            Self::Map(_) => "a map",
            Self::Time(_) => "a time",
            Self::Duration(_) => "a duration",
        }
    }

    /// The value under a key.
    pub(crate) fn member(&self, key: &str) -> Option<&Value<'a>> {
        match self {
            Self::Map(members) => members.iter().find(|(name, _)| name == key).map(|(_, value)| value),
            _ => None,
        }
    }
}

/// Compares two values by OTTL's rules: numbers by their value, all else only with its own kind; values of different
/// kinds are unequal and in no order.
pub(crate) fn compare(operator: Comparison, left: &Value<'_>, right: &Value<'_>) -> bool {
    let order = match (absent(left), absent(right)) {
        (true, true) => Some(Ordering::Equal),
        (false, false) => order(left, right),
        _ => None,
    };
    match (operator, left) {
        // These know equality only.
        (Comparison::LessOrEqual | Comparison::GreaterOrEqual, Value::Id(_) | Value::List(_) | Value::Map(_)) => false,
        _ => holds(operator, order),
    }
}

/// Whether an operator accepts an order. None means that the values are unequal and have no order.
pub(crate) fn holds(operator: Comparison, order: Option<Ordering>) -> bool {
    match operator {
        Comparison::Equal => order == Some(Ordering::Equal),
        Comparison::NotEqual => order != Some(Ordering::Equal),
        Comparison::Less => order == Some(Ordering::Less),
        Comparison::LessOrEqual => matches!(order, Some(Ordering::Less | Ordering::Equal)),
        Comparison::Greater => order == Some(Ordering::Greater),
        Comparison::GreaterOrEqual => matches!(order, Some(Ordering::Greater | Ordering::Equal)),
    }
}

/// Empty bytes compare like nil: the Collector has a nil slice in both cases.
fn absent(value: &Value<'_>) -> bool {
    match value {
        Value::Nil => true,
        Value::Bytes(bytes) => bytes.is_empty(),
        _ => false,
    }
}

fn order(left: &Value<'_>, right: &Value<'_>) -> Option<Ordering> {
    match (left, right) {
        (Value::Boolean(a), Value::Boolean(b)) => Some(a.cmp(b)),
        (Value::Integer(a), Value::Integer(b)) => Some(a.cmp(b)),
        (Value::Integer(a), Value::Double(b)) => (*a as f64).partial_cmp(b),
        (Value::Double(a), Value::Integer(b)) => a.partial_cmp(&(*b as f64)),
        (Value::Double(a), Value::Double(b)) => a.partial_cmp(b),
        (Value::Text(a), Value::Text(b)) => Some(a.cmp(b)),
        (Value::Bytes(a), Value::Bytes(b)) => Some(a.cmp(b)),
        (Value::Time(a), Value::Time(b)) => Some(a.cmp(b)),
        (Value::Duration(a), Value::Duration(b)) => Some(a.cmp(b)),
        (Value::Id(a), Value::Id(b)) => (a == b).then_some(Ordering::Equal),
        (Value::List(_), Value::List(_)) | (Value::Map(_), Value::Map(_)) => {
            same(left, right).then_some(Ordering::Equal)
        }
        _ => None,
    }
}

/// Whether two nested values are the same; unlike elsewhere, 1 and 1.0 are not.
fn same(left: &Value<'_>, right: &Value<'_>) -> bool {
    match (left, right) {
        (Value::List(a), Value::List(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b)),
        (Value::Map(a), Value::Map(b)) => {
            a.len() == b.len() && a.iter().all(|(key, value)| right.member(key).is_some_and(|other| same(value, other)))
        }
        _ => left == right,
    }
}

/// Calculates by OTTL's rules: integers stay integers and wrap, a double makes both doubles.
pub(crate) fn calculate(operator: Arithmetic, left: &Value<'_>, right: &Value<'_>) -> Result<Value<'static>, Fault> {
    match (left, right) {
        (Value::Integer(a), Value::Integer(b)) => integers(operator, *a, *b).map(Value::Integer),
        (Value::Integer(a), Value::Double(b)) => doubles(operator, *a as f64, *b),
        (Value::Double(a), Value::Integer(b)) => doubles(operator, *a, *b as f64),
        (Value::Double(a), Value::Double(b)) => doubles(operator, *a, *b),
        (Value::Time(a), Value::Time(b)) if operator == Arithmetic::Subtract => Ok(Value::Duration(saturate(a - b))),
        (Value::Time(a), Value::Duration(b)) if operator == Arithmetic::Subtract => Ok(Value::Time(a - i128::from(*b))),
        (Value::Time(a), Value::Duration(b)) | (Value::Duration(b), Value::Time(a)) if operator == Arithmetic::Add => {
            Ok(Value::Time(a + i128::from(*b)))
        }
        (Value::Duration(a), Value::Duration(b)) if operator == Arithmetic::Add => {
            Ok(Value::Duration(a.wrapping_add(*b)))
        }
        (Value::Duration(a), Value::Duration(b)) if operator == Arithmetic::Subtract => {
            Ok(Value::Duration(a.wrapping_sub(*b)))
        }
        _ => Err(Fault::new(format!("arithmetic does not work on {} and {}", left.kind(), right.kind()))),
    }
}

/// Turns a number around.
pub(crate) fn negate(value: &Value<'_>) -> Result<Value<'static>, Fault> {
    match value {
        Value::Integer(number) => Ok(Value::Integer(number.wrapping_neg())),
        Value::Double(number) => Ok(Value::Double(-number)),
        other => Err(Fault::new(format!("a minus does not work on {}", other.kind()))),
    }
}

fn integers(operator: Arithmetic, left: i64, right: i64) -> Result<i64, Fault> {
    match operator {
        Arithmetic::Add => Ok(left.wrapping_add(right)),
        Arithmetic::Subtract => Ok(left.wrapping_sub(right)),
        Arithmetic::Multiply => Ok(left.wrapping_mul(right)),
        Arithmetic::Divide if right == 0 => Err(Fault::new("division by 0")),
        Arithmetic::Divide => Ok(left.wrapping_div(right)),
    }
}

fn doubles(operator: Arithmetic, left: f64, right: f64) -> Result<Value<'static>, Fault> {
    match operator {
        Arithmetic::Add => Ok(Value::Double(left + right)),
        Arithmetic::Subtract => Ok(Value::Double(left - right)),
        Arithmetic::Multiply => Ok(Value::Double(left * right)),
        Arithmetic::Divide if right == 0.0 => Err(Fault::new("division by 0")),
        Arithmetic::Divide => Ok(Value::Double(left / right)),
    }
}

fn saturate(nanoseconds: i128) -> i64 {
    i64::try_from(nanoseconds).unwrap_or(if nanoseconds < 0 { i64::MIN } else { i64::MAX })
}

#[cfg(test)]
mod tests;
