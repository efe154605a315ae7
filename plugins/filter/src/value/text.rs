//! Values as text, in the three ways in which the Collector writes them.

use std::borrow::Cow;
use std::fmt::Write;

use sluice_sdk::go_json::{Encoder, Json, base64, double};

use super::{Fault, Value};

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
        other => json(other, Encoder::Goccy).ok_or_else(|| Fault::new("NaN and infinity can't be used as text"))?,
    };
    Ok(Some(Cow::Owned(text)))
}

/// The text of a value for display: nil is empty, bytes are in base64, arrays and maps are JSON.
pub(crate) fn display_text<'v>(value: &'v Value<'_>) -> Cow<'v, str> {
    match value {
        Value::Nil => Cow::Borrowed(""),
        Value::Text(text) => Cow::Borrowed(text),
        Value::Double(number) => Cow::Owned(double(*number)),
        Value::Bytes(bytes) => Cow::Owned(base64(bytes)),
        // The Collector ends up with nothing at all if a number can't be written.
        other => Cow::Owned(json(other, Encoder::Standard).unwrap_or_default()),
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

/// A value as JSON; None if a number in it has no JSON form.
fn json(value: &Value<'_>, encoder: Encoder) -> Option<String> {
    let mut json = Json::new(encoder);
    write(&mut json, value);
    json.exact()
}

fn write(json: &mut Json, value: &Value<'_>) {
    match value {
        Value::Nil => json.null(),
        Value::Time(time) => json.text(&rfc3339(*time)),
        Value::Boolean(value) => json.boolean(*value),
        Value::Integer(number) | Value::Duration(number) => json.integer(*number),
        Value::Double(number) => json.double(*number),
        Value::Text(text) => json.text(text),
        Value::Bytes(bytes) | Value::Id(bytes) => json.bytes(bytes),
        Value::List(items) => json.array(items, write),
        Value::Map(members) => json.map(members.iter().map(|(key, value)| (key.as_ref(), value)), write),
    }
}
