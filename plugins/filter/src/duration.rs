//! Durations as Go writes them: `1h30m`, `250ms`.

/// Parses a duration into nanoseconds.
pub(crate) fn parse(text: &str) -> Result<i64, String> {
    let bad = || format!("bad duration {text:?}; write it as 1h30m, 10s or 250ms");
    let (negative, mut rest) = match text.strip_prefix(['-', '+']) {
        Some(rest) => (text.starts_with('-'), rest),
        None => (false, text),
    };
    if rest == "0" {
        return Ok(0);
    }
    if rest.is_empty() {
        return Err(bad());
    }
    let mut total: i128 = 0;
    while !rest.is_empty() {
        let length = rest.find(|c: char| !c.is_ascii_digit() && c != '.').ok_or_else(bad)?;
        let (number, after) = rest.split_at(length);
        let length = after.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(after.len());
        let (unit, after) = after.split_at(length);
        total += amount(number, unit_nanoseconds(unit).ok_or_else(bad)?).ok_or_else(bad)?;
        if total > i128::from(i64::MAX) + i128::from(negative) {
            return Err(bad());
        }
        rest = after;
    }
    i64::try_from(if negative { -total } else { total }).map_err(|_| bad())
}

fn unit_nanoseconds(unit: &str) -> Option<i128> {
    Some(match unit {
        "ns" => 1,
        "us" | "µs" | "μs" => 1_000,
        "ms" => 1_000_000,
        "s" => 1_000_000_000,
        "m" => 60_000_000_000,
        "h" => 3_600_000_000_000,
        _ => return None,
    })
}

/// `number` units, cut off below a nanosecond.
fn amount(number: &str, unit: i128) -> Option<i128> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if whole.is_empty() && fraction.is_empty() {
        return None;
    }
    let whole: i128 = if whole.is_empty() { 0 } else { whole.parse::<u64>().ok()?.into() };
    let mut sum = whole.checked_mul(unit)?;
    let mut part = unit;
    for digit in fraction.chars() {
        part /= 10;
        sum += part * i128::from(digit.to_digit(10)?);
    }
    Some(sum)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_go_reads() {
        let cases = [
            ("0", Ok(0)),
            ("1h30m", Ok(5_400_000_000_000)),
            ("-1.5s", Ok(-1_500_000_000)),
            ("+250ms", Ok(250_000_000)),
            (".5us", Ok(500)),
            ("3µs", Ok(3_000)),
            ("9223372036854775807ns", Ok(i64::MAX)),
            ("-9223372036854775808ns", Ok(i64::MIN)),
        ];
        for (text, expected) in cases {
            assert_eq!(parse(text), expected, "{text}");
        }
    }

    #[test]
    fn refuses_what_is_no_duration() {
        for text in ["", "5", "1d", ".s", "s", "1.2.3s", "9223372036854775808ns", "300y", "1h-2m", "--1s"] {
            assert!(parse(text).is_err_and(|message| message.contains("1h30m")), "{text}");
        }
    }
}
