//! Attribute values as text, the way the collector's `AsString` writes them.

use std::borrow::Cow;
use std::fmt::Write;

use base64::Engine;
use sluice_wire::view::{KeyValue, Value};

/// The text of a value: text as it is, numbers as Go's JSON encoder writes them, bytes in base64, arrays and maps as
/// JSON with sorted keys. Empty values are empty.
pub(crate) fn as_string(value: Value<'_>) -> Cow<'_, str> {
    match value {
        Value::Empty => Cow::Borrowed(""),
        Value::Text(text) => Cow::Borrowed(text),
        Value::Boolean(true) => Cow::Borrowed("true"),
        Value::Boolean(false) => Cow::Borrowed("false"),
        Value::Integer(number) => Cow::Owned(number.to_string()),
        Value::Double(number) => Cow::Owned(double(number)),
        Value::Bytes(bytes) => Cow::Owned(base64::engine::general_purpose::STANDARD.encode(bytes)),
        Value::Array(_) | Value::Map(_) => {
            let mut out = String::new();
            json(&mut out, value);
            Cow::Owned(out)
        }
    }
}

/// A configured text with the tenant in the place of `%{tenant}`.
pub(crate) fn for_tenant<'a>(text: &'a str, tenant: &str) -> Cow<'a, str> {
    match text.contains("%{tenant}") {
        true => Cow::Owned(text.replace("%{tenant}", tenant)),
        false => Cow::Borrowed(text),
    }
}

/// A double as Go's `encoding/json` writes it: without an exponent between 1e-6 and 1e21, and never with `.0`. What JSON does
/// not have is `NaN`, `Infinity` or `-Infinity`.
pub(crate) fn double(number: f64) -> String {
    if number.is_nan() {
        return "NaN".into();
    }
    if number.is_infinite() {
        return if number > 0.0 { "Infinity".into() } else { "-Infinity".into() };
    }
    let size = number.abs();
    if size != 0.0 && !(1e-6..1e21).contains(&size) {
        return exponential(number);
    }
    number.to_string()
}

/// Go writes exponents with a sign, and those below ten with one digit in JSON: `1e-7`, `1e+21`.
fn exponential(number: f64) -> String {
    let text = format!("{number:e}");
    match text.split_once('e') {
        Some((mantissa, exponent)) if !exponent.starts_with('-') => format!("{mantissa}e+{exponent}"),
        _ => text,
    }
}

/// A double without any exponent, as Prometheus's `le` and `quantile` have it.
pub(crate) fn plain_double(number: f64) -> String {
    if number == f64::INFINITY {
        return "+Inf".into();
    }
    number.to_string()
}

fn json(out: &mut String, value: Value<'_>) {
    match value {
        Value::Empty | Value::Bytes([]) => out.push_str("null"),
        Value::Text(text) => quote(out, text),
        Value::Bytes(_) => quote(out, &as_string(value)),
        // JSON has no infinities; as text they at least tell what was there.
        Value::Double(number) if !number.is_finite() => quote(out, &double(number)),
        Value::Array(array) => {
            out.push('[');
            for (index, member) in array.iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                json(out, member);
            }
            out.push(']');
        }
        Value::Map(map) => members(out, map.iter().collect()),
        Value::Boolean(_) | Value::Integer(_) | Value::Double(_) => out.push_str(&as_string(value)),
    }
}

/// Members by key; of several with one key the last counts.
fn members(out: &mut String, mut members: Vec<KeyValue<'_>>) {
    members.sort_by_key(KeyValue::key);
    out.push('{');
    let mut first = true;
    for (index, member) in members.iter().enumerate() {
        if members.get(index + 1).is_some_and(|next| next.key() == member.key()) {
            continue;
        }
        if !std::mem::take(&mut first) {
            out.push(',');
        }
        quote(out, member.key());
        out.push(':');
        json(out, member.value());
    }
    out.push('}');
}

/// As Go's encoder does where it is told not to escape for HTML.
fn quote(out: &mut String, text: &str) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            '\u{2028}' | '\u{2029}' | '\0'..='\u{1f}' => {
                let _ = write!(out, "\\u{:04x}", c as u32);
            }
            c => out.push(c),
        }
    }
    out.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_doubles_as_gos_json_encoder_does() {
        let cases = [
            (1.0, "1"),
            (0.5, "0.5"),
            (-0.0, "-0"),
            (1e20, "100000000000000000000"),
            (1e21, "1e+21"),
            (1e-6, "0.000001"),
            (1.5e-7, "1.5e-7"),
            (f64::NAN, "NaN"),
            (f64::INFINITY, "Infinity"),
            (f64::NEG_INFINITY, "-Infinity"),
        ];
        for (number, expected) in cases {
            assert_eq!(double(number), expected);
        }
    }

    #[test]
    fn writes_parts_of_values_as_json() {
        let cases = [
            (Value::Empty, "", "null"),
            (Value::Bytes(b""), "", "null"),
            (Value::Bytes(b"a"), "YQ==", "\"YQ==\""),
            (Value::Double(2.0), "2", "2"),
            (Value::Double(f64::INFINITY), "Infinity", "\"Infinity\""),
        ];
        for (value, alone, inside) in cases {
            let mut out = String::new();
            json(&mut out, value);
            assert_eq!((&*as_string(value), out.as_str()), (alone, inside));
        }
    }

    #[test]
    fn writes_bounds_without_exponents() {
        assert_eq!(plain_double(1e-7), "0.0000001");
        assert_eq!(plain_double(f64::INFINITY), "+Inf");
        assert_eq!(plain_double(2.5), "2.5");
    }

    #[test]
    fn escapes_what_go_escapes() {
        let mut out = String::new();
        quote(&mut out, "a\"<b>&\u{1}é\u{2028}");
        assert_eq!(out, r#""a\"<b>&\u0001é\u2028""#);
    }
}
