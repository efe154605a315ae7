//! Durations as Go writes them: `200ms`, `1h30m`, `1.5s`; a bare integer counts nanoseconds.

use std::borrow::Cow;
use std::fmt;
use std::ops::Deref;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, Deserialize, Deserializer, Visitor};
use serde::{Serialize, Serializer};

/// A length of time in the collector's spelling; derefs to the standard library's.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Duration(std::time::Duration);

/// Why a text is no duration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DurationError {
    /// It does not follow the grammar.
    #[error("not a duration; write for example \"200ms\", \"30s\" or \"1h30m\"")]
    Malformed,
    /// A number without a unit that is not a whole number of nanoseconds.
    #[error("missing unit; write for example \"200ms\", \"30s\" or \"1h30m\"")]
    MissingUnit,
    /// It starts with a minus.
    #[error("a duration must not be negative")]
    Negative,
    /// More than about 292 years, the longest that Go can express.
    #[error("duration is too long")]
    TooLong,
}

const UNITS: [(&str, u64); 8] = [
    ("ns", 1),
    ("us", 1_000),
    ("\u{b5}s", 1_000),
    ("\u{3bc}s", 1_000),
    ("ms", 1_000_000),
    ("s", 1_000_000_000),
    ("m", 60_000_000_000),
    ("h", 3_600_000_000_000),
];

impl Duration {
    /// No time at all.
    pub const ZERO: Self = Self(std::time::Duration::ZERO);

    /// So many seconds.
    pub const fn from_secs(seconds: u64) -> Self {
        Self(std::time::Duration::from_secs(seconds))
    }

    /// So many milliseconds.
    pub const fn from_millis(milliseconds: u64) -> Self {
        Self(std::time::Duration::from_millis(milliseconds))
    }

    /// So many nanoseconds, as a bare integer means.
    pub const fn from_nanos(nanoseconds: u64) -> Self {
        Self(std::time::Duration::from_nanos(nanoseconds))
    }

    /// None for the zero that means no limit.
    pub fn unless_zero(self) -> Option<std::time::Duration> {
        Some(self.0).filter(|duration| !duration.is_zero())
    }

    /// The standard library's duration.
    pub const fn get(self) -> std::time::Duration {
        self.0
    }
}

impl Deref for Duration {
    type Target = std::time::Duration;

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

impl From<Duration> for std::time::Duration {
    fn from(duration: Duration) -> Self {
        duration.0
    }
}

impl FromStr for Duration {
    type Err = DurationError;

    fn from_str(text: &str) -> Result<Self, DurationError> {
        let unsigned = text.strip_prefix('+').unwrap_or(text);
        if unsigned.starts_with('-') {
            return Err(DurationError::Negative);
        }
        if unsigned == "0" {
            return Ok(Self::ZERO);
        }
        if unsigned.is_empty() {
            return Err(DurationError::Malformed);
        }
        let mut rest = unsigned;
        let mut total_ns = 0_u128;
        while !rest.is_empty() {
            let (part_ns, after) = leading_part(rest)?;
            total_ns += part_ns;
            if total_ns > i64::MAX as u128 {
                return Err(DurationError::TooLong);
            }
            rest = after;
        }
        Ok(Self::from_nanos(total_ns as u64))
    }
}

/// Reads one number with its unit from the front: its nanoseconds, and what follows.
fn leading_part(text: &str) -> Result<(u128, &str), DurationError> {
    let number_end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, rest) = text.split_at(number_end);
    let unit_end = rest.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(rest.len());
    let (unit, rest) = rest.split_at(unit_end);
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if (whole.is_empty() && fraction.is_empty()) || fraction.contains('.') {
        return Err(DurationError::Malformed);
    }
    if unit.is_empty() {
        return Err(DurationError::MissingUnit);
    }
    let Some(&(_, unit_ns)) = UNITS.iter().find(|(name, _)| *name == unit) else {
        return Err(DurationError::Malformed);
    };
    let unit_ns = u128::from(unit_ns);
    let mut ns = match whole {
        "" => 0,
        // Nineteen digits are more than any duration has, and few enough not to overflow below.
        digits if digits.trim_start_matches('0').len() > 19 => return Err(DurationError::TooLong),
        digits => digits.parse::<u128>().map_err(|_| DurationError::Malformed)? * unit_ns,
    };
    // Eighteen digits are finer than a nanosecond of any unit, and do not overflow.
    let fraction = &fraction[..fraction.len().min(18)];
    if !fraction.is_empty() {
        let numerator: u128 = fraction.parse().map_err(|_| DurationError::Malformed)?;
        ns += numerator * unit_ns / 10_u128.pow(fraction.len() as u32);
    }
    Ok((ns, rest))
}

impl fmt::Display for Duration {
    /// Writes it as Go does: `1h30m0s`, `1.5s`, `200ms`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ns = self.0.as_nanos();
        let (unit, unit_ns) = match ns {
            0 => return f.write_str("0s"),
            1..1_000 => ("ns", 1),
            1_000..1_000_000 => ("us", 1_000),
            1_000_000..1_000_000_000 => ("ms", 1_000_000),
            _ => ("s", 1_000_000_000),
        };
        let (mut whole, fraction) = (ns / unit_ns, ns % unit_ns);
        if unit == "s" {
            let (hours, minutes) = (whole / 3600, whole / 60 % 60);
            if hours > 0 {
                write!(f, "{hours}h")?;
            }
            if whole >= 60 {
                write!(f, "{minutes}m")?;
            }
            whole %= 60;
        }
        write!(f, "{whole}")?;
        if fraction > 0 {
            let width = unit_ns.ilog10() as usize;
            let digits = format!("{fraction:0width$}");
            write!(f, ".{}", digits.trim_end_matches('0'))?;
        }
        f.write_str(unit)
    }
}

impl fmt::Debug for Duration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for Duration {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Duration {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Spelling;

        impl Visitor<'_> for Spelling {
            type Value = Duration;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a duration such as \"30s\", or nanoseconds")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Duration, E> {
                text.parse().map_err(E::custom)
            }

            fn visit_u64<E: de::Error>(self, ns: u64) -> Result<Duration, E> {
                if ns > i64::MAX as u64 {
                    return Err(E::custom(DurationError::TooLong));
                }
                Ok(Duration::from_nanos(ns))
            }

            fn visit_i64<E: de::Error>(self, ns: i64) -> Result<Duration, E> {
                u64::try_from(ns).map(Duration::from_nanos).map_err(|_| E::custom(DurationError::Negative))
            }
        }

        deserializer.deserialize_any(Spelling)
    }
}

impl JsonSchema for Duration {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Duration".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": ["string", "integer"], "format": "go-duration" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_go_reads() {
        let cases: [(&str, u64); 15] = [
            ("0", 0),
            ("0s", 0),
            ("200ms", 200_000_000),
            ("1h30m", 5_400_000_000_000),
            ("1.5s", 1_500_000_000),
            (".5s", 500_000_000),
            ("5.s", 5_000_000_000),
            ("1h15m30.918273645s", 4_530_918_273_645),
            ("+30s", 30_000_000_000),
            ("12us", 12_000),
            ("12\u{b5}s", 12_000),
            ("7ns", 7),
            ("0.33333333333333333333h", 1_199_999_999_999),
            ("1m1m", 120_000_000_000),
            ("9223372036854775807ns", i64::MAX as u64),
        ];
        for (text, ns) in cases {
            assert_eq!(text.parse(), Ok(Duration::from_nanos(ns)), "{text}");
        }
    }

    #[test]
    fn refuses_what_is_no_duration() {
        let cases = [
            ("", DurationError::Malformed),
            ("s", DurationError::Malformed),
            ("1x", DurationError::Malformed),
            ("1 s", DurationError::Malformed),
            ("1.2.3s", DurationError::Malformed),
            (".s", DurationError::Malformed),
            ("30", DurationError::MissingUnit),
            ("1h30", DurationError::MissingUnit),
            ("-1s", DurationError::Negative),
            ("9223372036854775808ns", DurationError::TooLong),
            ("99999999999999999999999999999999999999999999h", DurationError::TooLong),
        ];
        for (text, error) in cases {
            assert_eq!(text.parse::<Duration>(), Err(error), "{text}");
        }
    }

    #[test]
    fn writes_as_go_writes_and_reads_it_back() {
        let cases = [
            (0, "0s"),
            (7, "7ns"),
            (1_500, "1.5us"),
            (200_000_000, "200ms"),
            (1_500_000_000, "1.5s"),
            (60_000_000_000, "1m0s"),
            (5_400_000_000_000, "1h30m0s"),
            (3_600_000_000_001, "1h0m0.000000001s"),
        ];
        for (ns, text) in cases {
            let duration = Duration::from_nanos(ns);
            assert_eq!(duration.to_string(), text);
            assert_eq!(text.parse(), Ok(duration));
        }
    }

    #[test]
    fn takes_a_bare_integer_as_nanoseconds() {
        assert_eq!(serde_json::from_str::<Duration>("5").expect("nanoseconds"), Duration::from_nanos(5));
        assert!(serde_json::from_str::<Duration>("-5").is_err());
        assert!(serde_json::from_str::<Duration>("9223372036854775808").is_err());
        assert!(serde_json::from_str::<Duration>("1.5").is_err());
    }
}
