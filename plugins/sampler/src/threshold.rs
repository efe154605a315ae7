//! Thresholds and randomness of consistent probability sampling: 56 bits each, a row is kept if its threshold is at
//! most its randomness.
//!
//! The encodings are those of OpenTelemetry's `th` and `rv`: hexadecimal digits, `th` without trailing zeros.

/// How many randomness values there are; also the threshold that nothing reaches.
const RANGE: u64 = 1 << 56;
/// Hexadecimal digits of a full value.
pub(crate) const DIGITS: usize = 14;
/// The smallest probability that a threshold can express, 2^-56.
pub(crate) const MIN_PROBABILITY: f64 = 1.0 / RANGE as f64;

/// How many of the 2^56 randomness values are rejected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Threshold(u64);

/// The random value of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Randomness(u64);

impl Threshold {
    /// Rejects nothing.
    pub(crate) const ALWAYS: Self = Self(0);
    /// Rejects everything; has no encoding.
    pub(crate) const NEVER: Self = Self(RANGE);

    /// The threshold of the hash modes: keeps `accepted` of 2^14 buckets.
    pub(crate) const fn from_buckets(accepted: u32) -> Self {
        Self((0x4000 - accepted as u64) << 42)
    }

    /// The threshold for a probability, rounded to so many significant digits; `None` outside of [2^-56, 1].
    ///
    /// Leading `0` or `f` digits do not count as significant, so that the relative error stays small near both ends. A
    /// negative precision takes that many away again, as in the Collector.
    pub(crate) fn from_probability(probability: f64, precision: i32) -> Option<Self> {
        if !(MIN_PROBABILITY..=1.0).contains(&probability) {
            return None;
        }
        if probability == 1.0 {
            return Some(Self::ALWAYS);
        }
        let leading = leading_digits(probability).max(leading_digits(1.0 - probability));
        let precision = (precision + leading).min(DIGITS as i32);
        let exact = RANGE - (probability * RANGE as f64).round() as u64;
        Some(Self(match 4 * (DIGITS as i32 - precision) {
            0 => exact,
            shift @ ..60 => ((exact + (1 << (shift - 1))) >> shift) << shift,
            // More digits than there are, and half of them is more than the value.
            _ => 0,
        }))
    }

    /// Reads a `th` value: 1 to 14 hexadecimal digits.
    pub(crate) fn parse(digits: &str) -> Option<Self> {
        if digits.is_empty() || digits.len() > DIGITS {
            return None;
        }
        Some(Self(parse_hex(digits)? << (4 * (DIGITS - digits.len()))))
    }

    /// Appends the `th` value; nothing for [`Threshold::NEVER`].
    pub(crate) fn write(self, out: &mut Vec<u8>) {
        match self {
            Self::ALWAYS => out.push(b'0'),
            Self::NEVER => {}
            Self(value) => {
                let digits = hex14(value);
                let significant = DIGITS - (value.trailing_zeros() / 4) as usize;
                out.extend_from_slice(&digits[..significant]);
            }
        }
    }

    /// The `th` value.
    pub(crate) fn to_text(self) -> String {
        let mut digits = Vec::new();
        self.write(&mut digits);
        digits.into_iter().map(char::from).collect()
    }

    /// The probability that a row passes.
    pub(crate) fn probability(self) -> f64 {
        (RANGE - self.0) as f64 / RANGE as f64
    }

    /// Whether a row with this randomness is kept.
    pub(crate) fn keeps(self, randomness: Randomness) -> bool {
        self.0 <= randomness.0
    }
}

impl Randomness {
    /// Passes every threshold but [`Threshold::NEVER`].
    pub(crate) const HIGHEST: Self = Self(RANGE - 1);

    /// The randomness that a 32-bit hash stands for.
    ///
    /// Its 14 low bits decide, inverted: a low bucket is kept, as is a high randomness. Its 14 high bits fill the
    /// middle, and the low ones once more the end.
    pub(crate) const fn from_hash(hash: u32) -> Self {
        let bucket = (hash & 0x3fff) as u64;
        let rest = (hash >> 18) as u64;
        Self((0x3fff - bucket) << 42 | (rest ^ rest << 10) << 14 | bucket)
    }

    /// The randomness of a trace id as W3C Trace Context level 2 has it: its last 56 bits.
    pub(crate) fn from_trace_id(id: &[u8; 16]) -> Self {
        Self(u128::from_be_bytes(*id) as u64 % RANGE)
    }

    /// Reads an `rv` value: 14 hexadecimal digits.
    pub(crate) fn parse(digits: &str) -> Option<Self> {
        if digits.len() != DIGITS {
            return None;
        }
        Some(Self(parse_hex(digits)?))
    }

    /// The `rv` value.
    pub(crate) fn digits(self) -> [u8; DIGITS] {
        hex14(self.0)
    }
}

/// How many leading zero digits a fraction in (0, 1) has as far as this rounding is concerned: by its binary exponent,
/// so that 1/16 still counts none.
fn leading_digits(fraction: f64) -> i32 {
    let exponent = ((fraction.to_bits() >> 52) & 0x7ff) as i32 - 1022; // as of C's frexp, at most 0 here
    (-exponent).max(0) / 4
}

fn parse_hex(digits: &str) -> Option<u64> {
    let mut value = 0;
    for digit in digits.bytes() {
        value = value << 4 | u64::from(char::from(digit).to_digit(16)?);
    }
    Some(value)
}

fn hex14(value: u64) -> [u8; DIGITS] {
    let mut digits = [0; DIGITS];
    for (place, pair) in digits.as_chunks_mut::<2>().0.iter_mut().enumerate() {
        *pair = PAIRS[usize::from((value >> (48 - 8 * place)) as u8)];
    }
    digits
}

/// The two digits of each byte.
static PAIRS: [[u8; 2]; 256] = {
    let digits = b"0123456789abcdef";
    let (mut pairs, mut byte) = ([[0; 2]; 256], 0);
    while byte < pairs.len() {
        pairs[byte] = [digits[byte >> 4], digits[byte & 15]];
        byte += 1;
    }
    pairs
};

#[cfg(test)]
mod tests;
