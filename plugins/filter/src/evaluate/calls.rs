//! What the functions give for one set of arguments.

use std::borrow::Cow;
use std::net::IpAddr;

use sluice_sdk::clock;

use crate::duration;
use crate::functions::Function;
use crate::ottl::{Comparison, Key};
use crate::value::{Cell, Fault, Value, compare, hexadecimal, like_text};

/// Calls a function. The arguments stand in the order of its parameters; optional ones may be missing at the end.
pub(super) fn call<'b>(function: Function, arguments: Vec<Value<'b>>) -> Cell<'b> {
    let arguments = Arguments(arguments);
    match function {
        Function::IsString => arguments.kind(|value| matches!(value, Value::Text(_))),
        Function::IsInt => arguments.kind(|value| matches!(value, Value::Integer(_))),
        Function::IsBool => arguments.kind(|value| matches!(value, Value::Boolean(_))),
        Function::IsDouble => arguments.kind(|value| matches!(value, Value::Double(_))),
        Function::IsMap => arguments.kind(|value| matches!(value, Value::Map(_))),
        Function::IsList => arguments.kind(|value| matches!(value, Value::List(_))),
        Function::IsValidLuhn => is_valid_luhn(arguments.at(0)),
        Function::IsInCidr => is_in_cidr(arguments.text(0)?, arguments.at(1)),
        Function::HasPrefix => Ok(Value::Boolean(arguments.text(0)?.starts_with(arguments.text(1)?))),
        Function::HasSuffix => Ok(Value::Boolean(arguments.text(0)?.ends_with(arguments.text(1)?))),
        Function::ContainsValue => contains(arguments.at(0), arguments.at(1)),
        Function::Len => length(arguments.at(0)),
        Function::Index => position(arguments.at(0), arguments.at(1)),
        Function::Lower | Function::Upper | Function::ConvertCase => case(function, &arguments),
        Function::Concat => concat(arguments.at(0), arguments.text(1)?),
        Function::Substring => substring(&arguments),
        Function::Trim | Function::TrimPrefix | Function::TrimSuffix => trim(function, &arguments),
        Function::Split => split(arguments.text(0)?, arguments.text(1)?),
        Function::Int => to_integer(arguments.at(0)),
        Function::Double => to_double(arguments.at(0)),
        Function::String => Ok(like_text(arguments.at(0))?.map_or(Value::Nil, owned)),
        Function::Bool => to_boolean(arguments.at(0)),
        Function::ParseInt => parse_integer(arguments.text(0)?, arguments.integer(1)?),
        Function::Hex => Ok(Value::Text(hexadecimal(&to_bytes(arguments.at(0))?).into())),
        Function::TraceId => to_id(arguments.at(0), 16),
        Function::SpanId => to_id(arguments.at(0), 8),
        Function::Now => Ok(Value::Time(i128::from(clock::now_unix_nano()))),
        Function::Unix => unix(&arguments),
        Function::UnixNano | Function::UnixMicro | Function::UnixMilli | Function::UnixSeconds => {
            since_epoch(function, arguments.at(0))
        }
        Function::Duration => duration::parse(arguments.text(0)?).map(Value::Duration).map_err(Fault::new),
        Function::Hours
        | Function::Minutes
        | Function::Seconds
        | Function::Milliseconds
        | Function::Microseconds
        | Function::Nanoseconds => in_units(function, arguments.at(0)),
        // These are expressions of their own.
        Function::IsMatch
        | Function::IsRootSpan
        | Function::HasAttrOnDatapoint
        | Function::HasAttrKeyOnDatapoint
        | Function::Coalesce => Err(Fault::new("this function is not called")),
    }
}

/// The first value that is not nil. What stands behind it is not asked, and so can't fail.
pub(super) fn coalesce<'b>(values: impl Iterator<Item = Cell<'b>>) -> Cell<'b> {
    let mut values = values.skip_while(|value| *value == Ok(Value::Nil));
    values.next().unwrap_or(Ok(Value::Nil))
}

/// What stands under the keys behind a call. Unlike with paths, a missing key fails.
pub(super) fn index<'b>(value: Value<'b>, keys: &[Key]) -> Cell<'b> {
    let mut value = value;
    for key in keys {
        value = match (value, key) {
            (Value::Map(members), Key::Text(key)) => {
                let found = members.into_iter().find(|(name, _)| name == key.as_str());
                found.map(|(_, member)| member).ok_or_else(|| Fault::new(format!("there is no key {key:?}")))?
            }
            (Value::List(mut items), Key::Index(index)) => match usize::try_from(*index) {
                Ok(index) if index < items.len() => items.swap_remove(index),
                _ => return Err(Fault::new(format!("index {index} is out of bounds"))),
            },
            (other, _) => return Err(Fault::new(format!("{} can't be indexed that way", other.kind()))),
        };
    }
    Ok(value)
}

/// Fails as the Collector does where a list that a condition writes down holds what it can't be searched for.
pub(super) fn check_searchable(list: &Value<'_>) -> Result<(), Fault> {
    let Value::List(items) = list else { return Ok(()) };
    let odd = |item: &&Value<'_>| {
        matches!(item, Value::Id(_) | Value::Time(_) | Value::Duration(_) | Value::Map(_) | Value::List(_))
    };
    match items.iter().find(odd) {
        Some(item) => Err(Fault::new(format!("{} can't be in a list that is searched", item.kind()))),
        None => Ok(()),
    }
}

struct Arguments<'b>(Vec<Value<'b>>);

impl<'b> Arguments<'b> {
    fn at(&self, i: usize) -> &Value<'b> {
        self.0.get(i).unwrap_or(&Value::Nil)
    }

    fn kind(&self, accept: impl Fn(&Value<'b>) -> bool) -> Cell<'b> {
        Ok(Value::Boolean(accept(self.at(0))))
    }

    fn text(&self, i: usize) -> Result<&str, Fault> {
        match self.at(i) {
            Value::Text(text) => Ok(text),
            // Which other kind it is was not read.
            Value::Nil => Err(Fault::new("expected a string but got none".to_owned())),
            other => Err(Fault::new(format!("expected a string but got {}", other.kind()))),
        }
    }

    fn integer(&self, i: usize) -> Result<i64, Fault> {
        match self.at(i) {
            Value::Integer(number) => Ok(*number),
            other => Err(Fault::new(format!("expected an integer but got {}", other.kind()))),
        }
    }
}

fn owned<'b>(text: Cow<'_, str>) -> Value<'b> {
    Value::Text(Cow::Owned(text.into_owned()))
}

fn unsupported<'b>(function: &str, value: &Value<'_>) -> Cell<'b> {
    Err(Fault::new(format!("{function} does not work on {}", value.kind())))
}

/// Whether the digits, spaces aside, end in the check digit of the Luhn algorithm.
fn is_valid_luhn<'b>(value: &Value<'_>) -> Cell<'b> {
    let Some(text) = like_text(value)? else { return unsupported("IsValidLuhn", value) };
    let mut sum = 0;
    let mut digits = 0;
    for digit in text.chars().filter(|c| *c != ' ').rev() {
        let Some(mut digit) = digit.to_digit(10) else { return Err(Fault::new("IsValidLuhn: not only digits")) };
        if digits % 2 == 1 {
            digit = if digit > 4 { digit * 2 - 9 } else { digit * 2 };
        }
        sum += u64::from(digit);
        digits += 1;
    }
    Ok(Value::Boolean(digits > 0 && sum % 10 == 0))
}

fn is_in_cidr<'b>(text: &str, networks: &Value<'_>) -> Cell<'b> {
    let Some(address) = parse_address(text) else { return Ok(Value::Boolean(false)) };
    let Value::List(networks) = networks else { return unsupported("IsInCIDR", networks) };
    for network in networks {
        let Value::Text(network) = network else { return unsupported("IsInCIDR", network) };
        if contains_address(network, address)? {
            return Ok(Value::Boolean(true));
        }
    }
    Ok(Value::Boolean(false))
}

/// An address; one of version 4 that is written in version 6 counts as version 4.
fn parse_address(text: &str) -> Option<IpAddr> {
    text.parse::<IpAddr>().ok().map(|address| address.to_canonical())
}

/// The address and the bits of a network such as `10.0.0.0/8`.
///
/// # Errors
/// Says that it is none.
pub(crate) fn parse_network(network: &str) -> Result<(IpAddr, u32), String> {
    let parse = || {
        let (base, bits) = network.split_once('/')?;
        let base: IpAddr = base.parse().ok()?;
        let bits: u32 = bits.parse().ok().filter(|_| !bits.starts_with('+'))?;
        match base.to_canonical() {
            // As addresses are, see `parse_address`.
            mapped @ IpAddr::V4(_) if base.is_ipv6() && bits >= 96 => (bits <= 128).then(|| (mapped, bits - 96)),
            _ => (bits <= if base.is_ipv4() { 32 } else { 128 }).then_some((base, bits)),
        }
    };
    parse().ok_or_else(|| format!("{network:?} is no network; write it as 10.0.0.0/8"))
}

fn contains_address(network: &str, address: IpAddr) -> Result<bool, Fault> {
    let (base, bits) = parse_network(network).map_err(Fault::new)?;
    let (base, address, width) = match (base, address) {
        (IpAddr::V4(a), IpAddr::V4(b)) => (u128::from(u32::from(a)), u128::from(u32::from(b)), 32),
        (IpAddr::V6(a), IpAddr::V6(b)) => (u128::from(a), u128::from(b), 128),
        _ => return Ok(false),
    };
    Ok((base ^ address).checked_shr(width - bits).unwrap_or(0) == 0)
}

fn contains<'b>(list: &Value<'_>, item: &Value<'_>) -> Cell<'b> {
    let Value::List(items) = list else { return unsupported("ContainsValue", list) };
    Ok(Value::Boolean(items.iter().any(|known| compare(Comparison::Equal, known, item))))
}

fn length<'b>(value: &Value<'_>) -> Cell<'b> {
    let length = match value {
        Value::Text(text) => text.len(),
        Value::Bytes(bytes) => bytes.len(),
        Value::List(items) => items.len(),
        Value::Map(members) => members.len(),
        other => return unsupported("Len", other),
    };
    Ok(Value::Integer(length as i64))
}

fn position<'b>(target: &Value<'_>, wanted: &Value<'_>) -> Cell<'b> {
    let found = match (target, wanted) {
        (Value::Text(text), Value::Text(part)) => text.find(&**part),
        (Value::Text(_), other) => return unsupported("Index in a string", other),
        (Value::List(items), wanted) => items.iter().position(|item| compare(Comparison::Equal, item, wanted)),
        (other, _) => return unsupported("Index", other),
    };
    Ok(Value::Integer(found.map_or(-1, |at| at as i64)))
}

/// Changes the case letter by letter, as Go does: a letter whose other case is several letters stays as it is.
fn case<'b>(function: Function, arguments: &Arguments<'b>) -> Cell<'b> {
    let text = arguments.text(0)?;
    let upper = match function {
        Function::ConvertCase => arguments.text(1)? == "upper",
        other => other == Function::Upper,
    };
    let change = |letter: char| {
        let (mut up, mut low) = (letter.to_uppercase(), letter.to_lowercase());
        let (first, rest) = if upper { (up.next(), up.next()) } else { (low.next(), low.next()) };
        if rest.is_some() && upper { letter } else { first.unwrap_or(letter) }
    };
    Ok(Value::Text(text.chars().map(change).collect::<String>().into()))
}

fn concat<'b>(values: &Value<'_>, delimiter: &str) -> Cell<'b> {
    let Value::List(values) = values else { return unsupported("Concat", values) };
    let mut joined = String::new();
    for (i, value) in values.iter().enumerate() {
        if i > 0 {
            joined.push_str(delimiter);
        }
        joined.push_str(&like_text(value)?.unwrap_or(Cow::Borrowed("<nil>")));
    }
    Ok(Value::Text(joined.into()))
}

/// Bytes of a string; without `utf8_safe` a cut through a character fails, since a string must stay UTF-8.
fn substring<'b>(arguments: &Arguments<'b>) -> Cell<'b> {
    let text = arguments.text(0)?;
    let (start, length) = (arguments.integer(1)?, arguments.integer(2)?);
    let range = usize::try_from(start).ok().zip(usize::try_from(length).ok().filter(|length| *length > 0));
    let end = range.and_then(|(start, length)| start.checked_add(length)).filter(|end| *end <= text.len());
    let (Some((mut start, _)), Some(mut end)) = (range, end) else {
        return Err(Fault::new(format!("Substring from {start} of length {length} is outside {} bytes", text.len())));
    };
    if arguments.at(3) == &Value::Boolean(true) {
        while !text.is_char_boundary(start) {
            start += 1;
        }
        while start < end && !text.is_char_boundary(end) {
            end -= 1;
        }
        end = end.max(start);
    }
    match text.get(start..end) {
        Some(part) => Ok(Value::Text(part.to_owned().into())),
        None => Err(Fault::new("Substring cuts a character; set utf8_safe")),
    }
}

fn trim<'b>(function: Function, arguments: &Arguments<'b>) -> Cell<'b> {
    let text = arguments.text(0)?;
    let trimmed = match function {
        Function::Trim => {
            let characters = if arguments.0.len() > 1 { arguments.text(1)? } else { " " };
            text.trim_matches(|c| characters.contains(c))
        }
        Function::TrimPrefix => text.strip_prefix(arguments.text(1)?).unwrap_or(text),
        _ => text.strip_suffix(arguments.text(1)?).unwrap_or(text),
    };
    Ok(Value::Text(trimmed.to_owned().into()))
}

fn split<'b>(text: &str, delimiter: &str) -> Cell<'b> {
    let part = |part: &str| Value::Text(part.to_owned().into());
    let parts = if delimiter.is_empty() {
        text.chars().map(|letter| part(letter.encode_utf8(&mut [0; 4]))).collect()
    } else {
        text.split(delimiter).map(part).collect()
    };
    Ok(Value::List(parts))
}

fn to_integer<'b>(value: &Value<'_>) -> Cell<'b> {
    match value {
        Value::Nil => Ok(Value::Nil),
        Value::Integer(number) => Ok(Value::Integer(*number)),
        Value::Double(number) => Ok(Value::Integer(truncated(*number))),
        Value::Boolean(value) => Ok(Value::Integer(i64::from(*value))),
        Value::Text(text) => Ok(text.parse().map_or(Value::Nil, Value::Integer)),
        other => unsupported("Int", other),
    }
}

/// The integer part. What does not fit gives the smallest integer, as in the Collector on x86-64.
fn truncated(number: f64) -> i64 {
    let limit = 2f64.powi(63);
    if (-limit..limit).contains(&number) { number as i64 } else { i64::MIN }
}

fn to_double<'b>(value: &Value<'_>) -> Cell<'b> {
    match value {
        Value::Nil => Ok(Value::Nil),
        Value::Integer(number) => Ok(Value::Double(*number as f64)),
        Value::Double(number) => Ok(Value::Double(*number)),
        Value::Boolean(value) => Ok(Value::Double(f64::from(u8::from(*value)))),
        Value::Text(text) => match text.parse::<f64>() {
            Ok(number) if number.is_infinite() && text.contains(|c: char| c.is_ascii_digit()) => {
                Err(Fault::new(format!("Double: {text:?} is too large")))
            }
            Ok(number) => Ok(Value::Double(number)),
            Err(_) => Err(Fault::new("Double: the string is no number")),
        },
        other => unsupported("Double", other),
    }
}

fn to_boolean<'b>(value: &Value<'_>) -> Cell<'b> {
    match value {
        Value::Nil => Ok(Value::Nil),
        Value::Boolean(value) => Ok(Value::Boolean(*value)),
        Value::Integer(number) => Ok(Value::Boolean(*number != 0)),
        Value::Double(number) => Ok(Value::Boolean(*number != 0.0)),
        Value::Text(text) => match &**text {
            "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(Value::Boolean(true)),
            "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok(Value::Boolean(false)),
            _ => Err(Fault::new("Bool: the string is neither true nor false")),
        },
        other => unsupported("Bool", other),
    }
}

fn parse_integer<'b>(text: &str, base: i64) -> Cell<'b> {
    let bad = || Fault::new(format!("ParseInt: the string is no integer in base {base}"));
    let radix = u32::try_from(base).ok().filter(|radix| (2..=36).contains(radix)).ok_or_else(bad)?;
    i64::from_str_radix(text, radix).map(Value::Integer).map_err(|_| bad())
}

/// The bytes of a value: numbers and booleans as the Collector writes them, most significant byte first.
fn to_bytes<'v>(value: &'v Value<'_>) -> Result<Cow<'v, [u8]>, Fault> {
    Ok(match value {
        Value::Nil => Cow::Borrowed(&[]),
        Value::Bytes(bytes) => Cow::Borrowed(bytes),
        Value::Text(text) => Cow::Borrowed(text.as_bytes()),
        Value::Integer(number) => Cow::Owned(number.to_be_bytes().to_vec()),
        Value::Double(number) => Cow::Owned(number.to_be_bytes().to_vec()),
        Value::Boolean(value) => Cow::Owned(vec![u8::from(*value)]),
        other => return Err(Fault::new(format!("{} has no bytes", other.kind()))),
    })
}

/// An id from its bytes or from twice as many hexadecimal digits.
fn to_id<'b>(value: &Value<'_>, length: usize) -> Cell<'b> {
    let bytes = to_bytes(value)?;
    if bytes.len() == length {
        return Ok(Value::Id(bytes.into_owned().into()));
    }
    let digit = |b: &u8| char::from(*b).to_digit(16).map(|digit| digit as u8);
    let digits: Option<Vec<u8>> = bytes.iter().map(digit).collect();
    match digits {
        Some(digits) if digits.len() == 2 * length => {
            Ok(Value::Id(digits.chunks_exact(2).map(|pair| pair[0] << 4 | pair[1]).collect()))
        }
        _ => Err(Fault::new(format!("an id has {length} bytes or {} hexadecimal digits", 2 * length))),
    }
}

fn unix<'b>(arguments: &Arguments<'b>) -> Cell<'b> {
    let nanoseconds = if arguments.0.len() > 1 { arguments.integer(1)? } else { 0 };
    Ok(Value::Time(i128::from(arguments.integer(0)?) * 1_000_000_000 + i128::from(nanoseconds)))
}

fn since_epoch<'b>(function: Function, value: &Value<'_>) -> Cell<'b> {
    let Value::Time(time) = value else { return Err(Fault::new(format!("expected a time but got {}", value.kind()))) };
    let unit = match function {
        Function::UnixNano => 1,
        Function::UnixMicro => 1_000,
        Function::UnixMilli => 1_000_000,
        _ => 1_000_000_000,
    };
    Ok(Value::Integer(time.div_euclid(unit) as i64))
}

/// A duration in a unit: from hours to seconds with a fraction, the finer ones whole.
fn in_units<'b>(function: Function, value: &Value<'_>) -> Cell<'b> {
    let Value::Duration(nanoseconds) = value else {
        return Err(Fault::new(format!("expected a duration but got {}", value.kind())));
    };
    let fraction = |unit: i64| {
        let (whole, rest) = (nanoseconds / unit, nanoseconds % unit);
        Value::Double(whole as f64 + rest as f64 / unit as f64)
    };
    Ok(match function {
        Function::Hours => fraction(3_600_000_000_000),
        Function::Minutes => fraction(60_000_000_000),
        Function::Seconds => fraction(1_000_000_000),
        Function::Milliseconds => Value::Integer(nanoseconds / 1_000_000),
        Function::Microseconds => Value::Integer(nanoseconds / 1_000),
        _ => Value::Integer(*nanoseconds),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_and_addresses_of_version_4_may_be_written_in_version_6() {
        for (network, address, expected) in [
            ("10.0.0.0/8", "10.1.2.3", true),
            ("10.0.0.0/8", "::ffff:10.1.2.3", true),
            ("10.0.0.0/8", "11.1.2.3", false),
            ("::ffff:10.0.0.0/104", "10.1.2.3", true),
            ("::ffff:10.0.0.0/104", "::ffff:10.1.2.3", true),
            ("::ffff:10.0.0.0/104", "11.1.2.3", false),
            ("::ffff:0:0/96", "255.0.0.1", true),
            ("::ffff:0:0/96", "::1", false),
            ("::ffff:0:0/95", "10.1.2.3", false),
            ("::/0", "::1", true),
            ("0.0.0.0/0", "::1", false),
        ] {
            let contained = contains_address(network, parse_address(address).expect(address));
            assert_eq!(contained.expect(network), expected, "{address} in {network}");
        }
        for wrong in ["10.0.0.0/+8", "10.0.0.0/33", "::ffff:10.0.0.0/129", "10.0.0.0"] {
            assert!(parse_network(wrong).is_err(), "{wrong}");
        }
    }
}
