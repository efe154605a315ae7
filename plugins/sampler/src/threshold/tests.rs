use super::*;

/// 2^56.
const ALL: u64 = 0x100_0000_0000_0000;

fn randomness(value: u64) -> Randomness {
    Randomness::parse(&format!("{value:014x}")).expect("56 bits")
}

#[test]
fn encodes_thresholds_without_trailing_zeros() {
    for (digits, value) in [
        ("0", 0),
        ("8", ALL / 2),
        ("c", ALL / 4 * 3),
        ("f", ALL / 16 * 15),
        ("0004", ALL >> 14),
        ("0a", ALL / 256 * 10),
        ("fffc", ALL - (ALL >> 14)),
        ("00000000000001", 1),
        ("ffffffffffffff", ALL - 1),
    ] {
        let parsed = Threshold::parse(digits).expect(digits);
        assert_eq!((parsed.0, parsed.to_text().as_str()), (value, digits));
    }
    assert_eq!(Threshold::NEVER.to_text(), "");
}

#[test]
fn reads_thresholds_of_1_to_14_digits() {
    for (text, expected) in [
        ("8000", Some(ALL / 2)),
        ("C", Some(ALL / 4 * 3)),
        ("00000000000000", Some(0)),
        ("000000000000000", None),
        ("", None),
        ("g", None),
        ("+8", None),
        ("0x8", None),
        ("8 ", None),
    ] {
        assert_eq!(Threshold::parse(text).map(|threshold| threshold.0), expected, "{text:?}");
    }
}

#[test]
fn reads_randomness_of_exactly_14_digits() {
    for (text, expected) in [
        ("00000000000000", Some(0)),
        ("ABCDEF01234567", Some(0xab_cdef_0123_4567)),
        ("ffffffffffffff", Some(ALL - 1)),
        ("fffffffffffff", None),
        ("fffffffffffffff", None),
        ("fffffffffffff-", None),
        ("", None),
    ] {
        assert_eq!(Randomness::parse(text).map(|randomness| randomness.0), expected, "{text:?}");
    }
    assert_eq!(&randomness(0xab_cdef).digits(), b"00000000abcdef");
}

#[test]
fn takes_the_last_56_bits_of_a_trace_id() {
    let id = core::array::from_fn(|at| at as u8 + 0xa0);
    assert_eq!(&Randomness::from_trace_id(&id).digits(), b"a9aaabacadaeaf");
}

/// The randomness of a hash as an equation over its decimal parts, written without shifts.
#[test]
fn spreads_a_hash_over_56_bits() {
    for hash in [0_u32, 1, 0x3fff, 0x4000, 0x0004_0000, 0xffff_ffff, 0xe40c_292c, 0xbf9c_f968] {
        let (low, high) = (u64::from(hash) % 16_384, u64::from(hash) / 262_144);
        let expected = (16_383 - low) * (1 << 42) + (high ^ (high * 1024)) * 16_384 + low;
        assert_eq!(Randomness::from_hash(hash), randomness(expected), "{hash:x}");
    }
}

#[test]
fn keeps_the_buckets_that_a_plain_comparison_keeps() {
    for accepted in [1, 2, 819, 8192, 16_383, 16_384] {
        let threshold = Threshold::from_buckets(accepted);
        for bucket in [0, 1, accepted - 1, accepted.min(16_383), 16_383] {
            let hash = bucket | 0x1234 << 18;
            assert_eq!(threshold.keeps(Randomness::from_hash(hash)), bucket < accepted, "{accepted} {bucket}");
        }
    }
}

/// The formula of the specification, digit by digit in text instead of by shifts: as many digits as asked for after
/// the leading zeros (of the threshold or of the probability), rounded half up.
fn by_the_digits(probability: f64, precision: usize) -> String {
    let leading = |mut fraction: f64| {
        let mut digits = 0;
        while fraction < 1.0 / 16.0 && fraction * 16.0 < 1.0 {
            fraction *= 16.0;
            digits += 1;
        }
        digits
    };
    let wanted = (precision + leading(probability).max(leading(1.0 - probability))).min(14);
    let exact = ALL - (probability * ALL as f64).round() as u64;
    let mut digits: Vec<u8> =
        format!("{exact:014x}").bytes().map(|digit| char::from(digit).to_digit(16).unwrap_or(0) as u8).collect();
    let up = digits.get(wanted).is_some_and(|next| *next >= 8);
    digits.truncate(wanted);
    if up {
        for digit in digits.iter_mut().rev() {
            *digit = (*digit + 1) % 16;
            if *digit != 0 {
                break;
            }
        }
    }
    let text: String = digits.iter().map(|digit| format!("{digit:x}")).collect();
    let text = text.trim_end_matches('0');
    if text.is_empty() { "0".to_owned() } else { text.to_owned() }
}

#[test]
fn rounds_probabilities_to_significant_digits() {
    for probability in [
        0.5,
        0.25,
        0.1,
        1.0 / 3.0,
        0.153,
        0.9,
        0.99,
        0.9999,
        0.999_999,
        0.01,
        0.001,
        0.000_01,
        1e-9,
        0.0625,
        0.07,
        0.062,
        1e-15,
    ] {
        for precision in 1..=14 {
            let threshold = Threshold::from_probability(probability, precision).expect("in range");
            assert_eq!(
                threshold.to_text(),
                by_the_digits(probability, precision as usize),
                "{probability} {precision}"
            );
        }
    }
}

#[test]
fn knows_probabilities_from_the_smallest_to_one() {
    for (probability, expected) in [
        (1.0, Some("0")),
        (MIN_PROBABILITY, Some("ffffffffffffff")),
        (MIN_PROBABILITY * 0.999, None),
        (1.000_001, None),
        (0.0, None),
        (-0.5, None),
        (f64::NAN, None),
        (f64::INFINITY, None),
    ] {
        let found = Threshold::from_probability(probability, 4).map(Threshold::to_text);
        assert_eq!(found.as_deref(), expected, "{probability}");
    }
    assert_eq!(Threshold::parse("c").map(Threshold::probability), Some(0.25));
}

#[test]
fn keeps_rows_at_the_threshold_and_above() {
    let threshold = Threshold::parse("8").expect("valid");
    assert!(threshold.keeps(randomness(ALL / 2)) && !threshold.keeps(randomness(ALL / 2 - 1)));
    assert!(Threshold::ALWAYS.keeps(randomness(0)) && !Threshold::NEVER.keeps(Randomness::HIGHEST));
}

/// Values of contrib's `ProbabilityToThresholdWithPrecision`, v0.155.
#[test]
fn a_negative_precision_rounds_as_the_collector_does() {
    for (probability, precision, expected) in [
        (0.5, -1, Threshold::ALWAYS),
        (0.0625, -1, Threshold::ALWAYS),
        (0.05, -1, Threshold::NEVER),
        (0.05, -2, Threshold::ALWAYS),
        (0.99, -1, Threshold::ALWAYS),
        (0.001, -2, Threshold::NEVER),
        (0.001, -3, Threshold::ALWAYS),
        (1e-15, -3, Threshold::NEVER),
        (1e-15, -14, Threshold::ALWAYS),
    ] {
        assert_eq!(Threshold::from_probability(probability, precision), Some(expected), "{probability} {precision}");
    }
}
