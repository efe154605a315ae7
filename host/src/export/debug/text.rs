//! Values, numbers, ids and times as Go prints them.

use std::fmt::Write;

use jiff::Timestamp;
use sluice_wire::view::Value;

/// The value in the name of its type, such as `Str(x)`.
pub(super) fn typed(value: Value<'_>) -> String {
    let kind = match value {
        Value::Empty => "Empty",
        Value::Text(_) => "Str",
        Value::Boolean(_) => "Bool",
        Value::Integer(_) => "Int",
        Value::Double(_) => "Double",
        Value::Bytes(_) => "Bytes",
        Value::Array(_) => "Slice",
        Value::Map(_) => "Map",
    };
    format!("{kind}({})", value.as_string())
}

/// A number as Go's `%v` prints it: as short as can be, with an exponent if it is very large or very small.
pub(super) fn general(number: f64) -> String {
    if !number.is_finite() || number == 0.0 {
        return special(number).unwrap_or_else(|| number.to_string());
    }
    let scientific = format!("{number:e}");
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    match exponent.parse::<i32>() {
        Ok(exponent) if !(-4..21).contains(&exponent) => {
            let sign = if exponent < 0 { '-' } else { '+' };
            format!("{mantissa}e{sign}{:02}", exponent.unsigned_abs())
        }
        _ => number.to_string(),
    }
}

/// A number as Go's `%f` prints it.
pub(super) fn fixed(number: f64) -> String {
    special(number).unwrap_or_else(|| format!("{number:.6}"))
}

fn special(number: f64) -> Option<String> {
    match number {
        f64::INFINITY => Some("+Inf".to_owned()),
        f64::NEG_INFINITY => Some("-Inf".to_owned()),
        _ if number.is_nan() => Some("NaN".to_owned()),
        _ => None,
    }
}

/// A time as Go prints it: `2020-02-11 20:26:13.000000789 +0000 UTC`.
pub(super) fn time(unix_nano: u64) -> String {
    let time = Timestamp::from_nanosecond(unix_nano.into()).unwrap_or(Timestamp::MAX);
    time.strftime("%Y-%m-%d %H:%M:%S%.f +0000 UTC").to_string()
}

/// Lines of text.
#[derive(Default)]
pub(super) struct Lines(pub(super) String);

impl Lines {
    /// Adds a line.
    pub(super) fn line(&mut self, line: std::fmt::Arguments<'_>) {
        // Writing to memory does not fail.
        let _ = self.0.write_fmt(line);
        self.0.push('\n');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prints_numbers_as_go_does() {
        let cases = [
            (0.0, "0", "0.000000"),
            (15.0, "15", "15.000000"),
            (1.23, "1.23", "1.230000"),
            (-0.5, "-0.5", "-0.500000"),
            (1e20, "100000000000000000000", "100000000000000000000.000000"),
            (1e21, "1e+21", "1000000000000000000000.000000"),
            (0.0001, "0.0001", "0.000100"),
            (0.000_012_5, "1.25e-05", "0.000013"),
            (f64::NAN, "NaN", "NaN"),
            (f64::INFINITY, "+Inf", "+Inf"),
            (f64::NEG_INFINITY, "-Inf", "-Inf"),
        ];
        for (number, as_general, as_fixed) in cases {
            assert_eq!((general(number).as_str(), fixed(number).as_str()), (as_general, as_fixed));
        }
    }

    #[test]
    fn prints_times_as_go_does() {
        let cases = [
            (0, "1970-01-01 00:00:00 +0000 UTC"),
            (1_581_452_773_000_000_789, "2020-02-11 20:26:13.000000789 +0000 UTC"),
            (1_581_452_773_500_000_000, "2020-02-11 20:26:13.5 +0000 UTC"),
            (u64::MAX, "2554-07-21 23:34:33.709551615 +0000 UTC"),
        ];
        for (unix_nano, expected) in cases {
            assert_eq!(time(unix_nano), expected);
        }
    }
}
