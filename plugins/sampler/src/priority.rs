//! What a span's attribute `sampling.priority` asks for.
//!
//! Texts count if Go's `strconv.ParseFloat` reads them, since that is what the OpenTelemetry Collector uses:
//! hexadecimal floats and digits separated by underscores are numbers, what overflows is none.

/// Keeps or drops a span whatever its randomness is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Priority {
    /// The priority is above 0.
    Keep,
    /// The priority is 0.
    Drop,
}

impl Priority {
    /// What a number asks for; negative ones and NaN for nothing.
    pub(crate) fn from_number(number: f64) -> Option<Self> {
        if number == 0.0 {
            Some(Self::Drop)
        } else if number > 0.0 {
            Some(Self::Keep)
        } else {
            None
        }
    }

    /// What a text asks for.
    pub(crate) fn from_text(text: &str) -> Option<Self> {
        let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
        match size(unsigned)? {
            Size::Zero => Some(Self::Drop),
            Size::Positive => (!text.starts_with('-')).then_some(Self::Keep),
        }
    }
}

/// All that matters of a number without sign.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Size {
    Zero,
    Positive,
}

/// Reads a number without sign; `None` if it is none, not a number, or overflows.
fn size(text: &str) -> Option<Size> {
    if ["inf", "infinity"].iter().any(|word| text.eq_ignore_ascii_case(word)) {
        return Some(Size::Positive);
    }
    if text.contains('_') && !underscores_separate_digits(text) {
        return None;
    }
    let digits = text.replace('_', "");
    if let Some(hexadecimal) = digits.strip_prefix("0x").or(digits.strip_prefix("0X")) {
        return hexadecimal_size(hexadecimal);
    }
    if !digits.starts_with(|c: char| c.is_ascii_digit() || c == '.') {
        return None; // the parser would take a second sign, or a word
    }
    let number: f64 = digits.parse().ok()?;
    number.is_finite().then_some(if number == 0.0 { Size::Zero } else { Size::Positive })
}

/// Whether each underscore stands between two digits, or between a prefix and a digit.
fn underscores_separate_digits(text: &str) -> bool {
    let prefix = ["0x", "0X"].iter().any(|prefix| text.starts_with(prefix));
    let is_digit = |byte: u8| byte.is_ascii_digit() || (prefix && byte.is_ascii_hexdigit());
    let bytes = text.as_bytes();
    (0..bytes.len()).filter(|at| bytes[*at] == b'_').all(|at| {
        let before = at > 0 && (is_digit(bytes[at - 1]) || (prefix && at == 2));
        before && bytes.get(at + 1).is_some_and(|next| is_digit(*next))
    })
}

/// Reads what follows `0x`: digits, perhaps with a point, and a binary exponent.
fn hexadecimal_size(text: &str) -> Option<Size> {
    let (mantissa, exponent) = text.split_once(['p', 'P'])?;
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let all = || whole.bytes().chain(fraction.bytes());
    let power = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
    if power.is_empty() || !power.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    if all().count() == 0 || !all().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    let Some(first) = all().position(|byte| byte != b'0') else { return Some(Size::Zero) };
    // The first 16 significant digits, and whether anything follows them.
    let mut significant = 0_u64;
    for digit in all().chain(std::iter::repeat(b'0')).skip(first).take(16) {
        significant = significant << 4 | u64::from(char::from(digit).to_digit(16)?);
    }
    let inexact = all().skip(first + 16).any(|byte| byte != b'0');
    let shift = significant.leading_zeros();
    let significant = significant << shift;
    let power = power.parse().unwrap_or(i64::MAX / 4).min(i64::MAX / 4);
    let power = if exponent.starts_with('-') { -power } else { power };
    // The number lies in [2^top, 2^(top + 1)).
    let top = power + 4 * (whole.len() as i64 - first as i64) - 1 - i64::from(shift);
    let rounds_to_infinity = top > 1023 || (top == 1023 && significant >> 10 == (1 << 54) - 1);
    let rounds_to_zero = top < -1075 || (top == -1075 && significant == 1 << 63 && !inexact);
    (!rounds_to_infinity).then_some(if rounds_to_zero { Size::Zero } else { Size::Positive })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_texts_as_go_does() {
        // The second column is what strconv.ParseFloat of Go 1.26 answers: its sign, or - for an error.
        for (text, expected) in include_str!("../tests/data/priorities.txt").lines().map(|line| {
            let (expected, text) = line.split_once(' ').unwrap_or((line, ""));
            (text, expected)
        }) {
            let expected = match expected {
                "zero" => Some(Priority::Drop),
                "positive" => Some(Priority::Keep),
                _ => None,
            };
            assert_eq!(Priority::from_text(text), expected, "{text:?}");
        }
    }

    #[test]
    fn drops_at_zero_keeps_above_and_asks_for_nothing_below() {
        for (number, expected) in [
            (0.0, Some(Priority::Drop)),
            (-0.0, Some(Priority::Drop)),
            (f64::MIN_POSITIVE / 2.0, Some(Priority::Keep)),
            (f64::INFINITY, Some(Priority::Keep)),
            (-1.0, None),
            (f64::NAN, None),
        ] {
            assert_eq!(Priority::from_number(number), expected, "{number}");
        }
    }
}
