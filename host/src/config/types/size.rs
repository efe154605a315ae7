//! Numbers of bytes: an integer, or a text with a unit such as `64MiB` or `1MB`.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, Deserialize, Deserializer, Visitor};
use serde::{Serialize, Serializer};

/// A number of bytes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct ByteSize(u64);

/// Why a text is no number of bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ByteSizeError {
    /// It does not follow the grammar.
    #[error("not a size; write for example 1048576, \"64MiB\" or \"1MB\"")]
    Malformed,
    /// It does not fit into 64 bits.
    #[error("size is too large")]
    TooLarge,
}

/// Longer units first, so that `MiB` is not taken for `B`.
const UNITS: [(&str, u64); 7] = [
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("KB", 1_000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
    ("B", 1),
];

impl ByteSize {
    /// So many bytes.
    pub const fn from_bytes(bytes: u64) -> Self {
        Self(bytes)
    }

    /// So many times 1,048,576 bytes.
    pub const fn from_mib(mib: u64) -> Self {
        Self(mib << 20)
    }

    /// How many bytes.
    pub const fn bytes(self) -> u64 {
        self.0
    }
}

impl FromStr for ByteSize {
    type Err = ByteSizeError;

    fn from_str(text: &str) -> Result<Self, ByteSizeError> {
        let text = text.trim();
        let (number, factor) = UNITS
            .iter()
            .find_map(|(unit, factor)| {
                let split = text.len().checked_sub(unit.len()).filter(|at| text.is_char_boundary(*at))?;
                let (number, suffix) = text.split_at(split);
                suffix.eq_ignore_ascii_case(unit).then_some((number.trim_end(), *factor))
            })
            .unwrap_or((text, 1));
        if number.is_empty() || !number.bytes().all(|b| b.is_ascii_digit()) {
            return Err(ByteSizeError::Malformed);
        }
        let number: u64 = number.parse().map_err(|_| ByteSizeError::TooLarge)?;
        number.checked_mul(factor).map(Self).ok_or(ByteSizeError::TooLarge)
    }
}

impl fmt::Display for ByteSize {
    /// Writes it in the largest unit that needs no fraction.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (unit, factor) in [("GiB", 1_u64 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)] {
            if self.0 >= factor && self.0.is_multiple_of(factor) {
                return write!(f, "{}{unit}", self.0 / factor);
            }
        }
        write!(f, "{}B", self.0)
    }
}

impl fmt::Debug for ByteSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for ByteSize {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for ByteSize {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Spelling;

        impl Visitor<'_> for Spelling {
            type Value = ByteSize;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number of bytes, or a size such as \"64MiB\"")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<ByteSize, E> {
                text.parse().map_err(E::custom)
            }

            fn visit_u64<E: de::Error>(self, bytes: u64) -> Result<ByteSize, E> {
                Ok(ByteSize(bytes))
            }
        }

        deserializer.deserialize_any(Spelling)
    }
}

impl JsonSchema for ByteSize {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "ByteSize".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": ["string", "integer"], "format": "byte-size", "minimum": 0 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_integers_and_units() {
        let cases = [
            ("0", 0),
            ("1048576", 1 << 20),
            ("10B", 10),
            ("64MiB", 64 << 20),
            ("64 mib", 64 << 20),
            ("3KiB", 3072),
            ("1MB", 1_000_000),
            ("2GB", 2_000_000_000),
            ("18446744073709551615", u64::MAX),
        ];
        for (text, bytes) in cases {
            assert_eq!(text.parse(), Ok(ByteSize::from_bytes(bytes)), "{text}");
        }
    }

    #[test]
    fn refuses_what_is_no_size() {
        let cases = [
            ("", ByteSizeError::Malformed),
            ("MiB", ByteSizeError::Malformed),
            ("1.5MiB", ByteSizeError::Malformed),
            ("-1", ByteSizeError::Malformed),
            ("64M", ByteSizeError::Malformed),
            ("\u{b5}", ByteSizeError::Malformed),
            ("18446744073709551616", ByteSizeError::TooLarge),
            ("18014398509481985KiB", ByteSizeError::TooLarge),
        ];
        for (text, error) in cases {
            assert_eq!(text.parse::<ByteSize>(), Err(error), "{text}");
        }
    }

    #[test]
    fn writes_the_largest_unit_without_a_fraction() {
        for (bytes, text) in [(0, "0B"), (1023, "1023B"), (1024, "1KiB"), (64 << 20, "64MiB"), (1 << 30, "1GiB")] {
            assert_eq!(ByteSize::from_bytes(bytes).to_string(), text);
            assert_eq!(text.parse(), Ok(ByteSize::from_bytes(bytes)));
        }
    }
}
