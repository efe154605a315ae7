//! Numbers of OTLP/JSON: integers that may be strings, floats that may be `NaN`.

use super::schema::Kind;

/// A JSON value that may stand for a number.
#[derive(Clone, Copy)]
pub(super) enum Literal<'a> {
    Unsigned(u64),
    Signed(i64),
    Float(f64),
    Text(&'a str),
}

/// The integer in a literal, if it fits the type of the field.
pub(super) fn integer(kind: Kind, literal: Literal<'_>) -> Option<i128> {
    let value = match literal {
        Literal::Unsigned(value) => i128::from(value),
        Literal::Signed(value) => i128::from(value),
        Literal::Float(value) => whole(value)?,
        Literal::Text(text) => match (kind, text.parse::<i128>()) {
            (Kind::Enum(names), _) => names.number(text)?,
            (_, Ok(value)) => value,
            (_, Err(_)) => whole(decimal(text)?)?,
        },
    };
    range(kind).contains(&value).then_some(value)
}

/// The floating-point number in a literal.
pub(super) fn float(literal: Literal<'_>) -> Option<f64> {
    match literal {
        Literal::Unsigned(value) => Some(value as f64),
        Literal::Signed(value) => Some(value as f64),
        Literal::Float(value) => Some(value),
        Literal::Text("NaN") => Some(f64::NAN),
        Literal::Text("Infinity") => Some(f64::INFINITY),
        Literal::Text("-Infinity") => Some(f64::NEG_INFINITY),
        Literal::Text(text) => decimal(text),
    }
}

/// A number in digits: Rust's parser also takes words such as `inf`, which JSON has not.
fn decimal(text: &str) -> Option<f64> {
    let digits = text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'+' | b'-' | b'.' | b'e' | b'E'));
    text.parse::<f64>().ok().filter(|value| digits && value.is_finite())
}

/// `1.0` and `1e3` are integers in protobuf's JSON as long as nothing is lost.
fn whole(value: f64) -> Option<i128> {
    (value.is_finite() && value.fract() == 0.0).then_some(value as i128)
}

fn range(kind: Kind) -> std::ops::RangeInclusive<i128> {
    match kind {
        Kind::Enum(_) | Kind::Sint32 => i128::from(i32::MIN)..=i128::from(i32::MAX),
        Kind::Uint32 | Kind::Fixed32 => 0..=i128::from(u32::MAX),
        Kind::Uint64 | Kind::Fixed64 => 0..=i128::from(u64::MAX),
        _ => i128::from(i64::MIN)..=i128::from(i64::MAX),
    }
}
