//! Values as text, in the three ways in which the Collector writes them.

use std::borrow::Cow;
use std::fmt::Write;

use super::{Fault, Value};

/// How JSON escapes `<`, `>` and `&`, and writes control characters.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Escape {
    /// As for pages.
    Html,
    Plain,
}

/// The text that functions such as `IsMatch` see: strings as they are, bytes in hexadecimal, all else as JSON. None
/// for nil.
pub(crate) fn like_text<'v>(value: &'v Value<'_>) -> Result<Option<Cow<'v, str>>, Fault> {
    let text = match value {
        Value::Nil => return Ok(None),
        Value::Text(text) => return Ok(Some(Cow::Borrowed(text))),
        Value::Bytes(bytes) => hexadecimal(bytes),
        Value::Id(id) => {
            let numbers: Vec<String> = id.iter().map(u8::to_string).collect();
            format!("[{}]", numbers.join(","))
        }
        Value::Duration(nanoseconds) => nanoseconds.to_string(),
        Value::Time(time) => format!("\"{}\"", rfc3339(*time)),
        other => json(other, Escape::Html).ok_or_else(|| Fault::new("NaN and infinity can't be used as text"))?,
    };
    Ok(Some(Cow::Owned(text)))
}

/// The text of a value for display: nil is empty, bytes are in base64, arrays and maps are JSON.
pub(crate) fn display_text<'v>(value: &'v Value<'_>) -> Cow<'v, str> {
    match value {
        Value::Nil => Cow::Borrowed(""),
        Value::Text(text) => Cow::Borrowed(text),
        Value::Double(number) if number.is_nan() => Cow::Borrowed("NaN"),
        Value::Double(number) if number.is_infinite() && *number > 0.0 => Cow::Borrowed("Infinity"),
        Value::Double(number) if number.is_infinite() => Cow::Borrowed("-Infinity"),
        Value::Bytes(bytes) => Cow::Owned(base64(bytes)),
        // The Collector ends up with nothing at all if a number can't be written.
        other => Cow::Owned(json(other, Escape::Plain).unwrap_or_default()),
    }
}

/// The text that `match_type: regexp` sees of an attribute. None for what never matches.
pub(crate) fn attribute_text<'v>(value: &'v Value<'_>) -> Option<Cow<'v, str>> {
    match value {
        Value::Text(text) => Some(Cow::Borrowed(text)),
        Value::Boolean(value) => Some(Cow::Borrowed(if *value { "true" } else { "false" })),
        Value::Integer(number) => Some(Cow::Owned(number.to_string())),
        Value::Double(number) if number.is_infinite() => {
            Some(Cow::Borrowed(if *number > 0.0 { "+Inf" } else { "-Inf" }))
        }
        Value::Double(number) => Some(Cow::Owned(number.to_string())),
        _ => None,
    }
}

/// A point in time in UTC: `2023-11-14T22:13:20.0000005Z`.
fn rfc3339(nanoseconds: i128) -> String {
    let (seconds, fraction) = (nanoseconds.div_euclid(1_000_000_000), nanoseconds.rem_euclid(1_000_000_000));
    let (days, second) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    // Howard Hinnant's civil_from_days: eras of 400 years that start on 1 March.
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = year_of_era + era * 400 + i128::from(month <= 2);
    let (hour, minute, second) = (second / 3_600, second / 60 % 60, second % 60);
    let mut text = format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}");
    if fraction > 0 {
        _ = write!(text, ".{}", format!("{fraction:09}").trim_end_matches('0'));
    }
    text + "Z"
}

/// Bytes in lower case hexadecimal.
pub(crate) fn hexadecimal(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    bytes.iter().flat_map(|b| [DIGITS[usize::from(b >> 4)] as char, DIGITS[usize::from(b & 15)] as char]).collect()
}

fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let byte = |i: usize| u32::from(chunk.get(i).copied().unwrap_or(0));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for digit in 0..4 {
            let place = (bits >> (18 - 6 * digit) & 63) as usize;
            text.push(if digit <= chunk.len() { DIGITS[place] as char } else { '=' });
        }
    }
    text
}

/// A value as JSON; None if a number in it has no JSON form.
fn json(value: &Value<'_>, escape: Escape) -> Option<String> {
    let mut out = String::new();
    write_json(value, escape, &mut out)?;
    Some(out)
}

fn write_json(value: &Value<'_>, escape: Escape, out: &mut String) -> Option<()> {
    match value {
        Value::Nil => out.push_str("null"),
        Value::Time(time) => write_string(&rfc3339(*time), escape, out),
        Value::Boolean(value) => out.push_str(if *value { "true" } else { "false" }),
        Value::Integer(number) | Value::Duration(number) => _ = write!(out, "{number}"),
        Value::Double(number) if !number.is_finite() => return None,
        Value::Double(number) => write_double(*number, out),
        Value::Text(text) => write_string(text, escape, out),
        Value::Bytes(bytes) | Value::Id(bytes) => write_string(&base64(bytes), escape, out),
        Value::List(items) => {
            out.push('[');
            for (i, item) in items.iter().enumerate() {
                if i > 0 {
                    out.push(',');
                }
                write_json(item, escape, out)?;
            }
            out.push(']');
        }
        Value::Map(members) => write_map(members, escape, out)?,
    }
    Some(())
}

/// Members are sorted by key, and of several with the same key the last one counts, as in a Go map.
fn write_map(members: &[(Cow<'_, str>, Value<'_>)], escape: Escape, out: &mut String) -> Option<()> {
    let sorted: std::collections::BTreeMap<&str, &Value<'_>> =
        members.iter().map(|(key, value)| (key.as_ref(), value)).collect();
    out.push('{');
    for (i, (key, value)) in sorted.into_iter().enumerate() {
        if i > 0 {
            out.push(',');
        }
        write_string(key, escape, out);
        out.push(':');
        write_json(value, escape, out)?;
    }
    out.push('}');
    Some(())
}

/// The shortest digits that give the same number again; very small and very large ones with an exponent.
fn write_double(number: f64, out: &mut String) {
    let magnitude = number.abs();
    if magnitude != 0.0 && !(1e-6..1e21).contains(&magnitude) {
        let text = format!("{number:e}");
        match text.split_once('e') {
            Some((digits, exponent)) if !exponent.starts_with('-') => _ = write!(out, "{digits}e+{exponent}"),
            _ => out.push_str(&text),
        }
    } else {
        _ = write!(out, "{number}");
    }
}

fn write_string(text: &str, escape: Escape, out: &mut String) {
    out.push('"');
    for character in text.chars() {
        match character {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{8}' if escape == Escape::Plain => out.push_str("\\b"),
            '\u{c}' if escape == Escape::Plain => out.push_str("\\f"),
            '<' | '>' | '&' if escape == Escape::Html => _ = write!(out, "\\u{:04x}", character as u32),
            '\u{2028}' | '\u{2029}' => _ = write!(out, "\\u{:04x}", character as u32),
            control if control < ' ' => _ = write!(out, "\\u{:04x}", control as u32),
            other => out.push(other),
        }
    }
    out.push('"');
}
