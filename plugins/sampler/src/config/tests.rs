use super::*;

fn policy(json: &str) -> Result<Policy, String> {
    let config: SamplerConfig = serde_json::from_str(json).map_err(|error| error.to_string())?;
    config.policy(Signal::Traces).map_err(|errors| errors.to_string())
}

#[test]
fn chooses_the_mode() {
    let threshold = |digits: &str| Threshold::parse(digits).expect(digits);
    for (json, expected) in [
        (r#"{}"#, Mode::Never),
        (r#"{"sampling_percentage": 0, "mode": "proportional"}"#, Mode::Never),
        (r#"{"sampling_percentage": 50}"#, Mode::HashSeed(threshold("8"))),
        (r#"{"sampling_percentage": 50, "mode": null}"#, Mode::HashSeed(threshold("8"))),
        (r#"{"sampling_percentage": 50, "mode": ""}"#, Mode::HashSeed(threshold("8"))),
        (r#"{"sampling_percentage": 50, "sampling_precision": -1}"#, Mode::HashSeed(threshold("8"))),
        (r#"{"sampling_percentage": 100}"#, Mode::HashSeed(Threshold::ALWAYS)),
        (r#"{"sampling_percentage": 1e9, "mode": "hash_seed"}"#, Mode::HashSeed(Threshold::ALWAYS)),
        // 1 of 16384 buckets begins at 0.0061035...
        (r#"{"sampling_percentage": 0.00611}"#, Mode::HashSeed(Threshold::from_buckets(1))),
        (r#"{"sampling_percentage": 0.0061}"#, Mode::Never),
        (r#"{"sampling_percentage": 3.4028234e38}"#, Mode::HashSeed(Threshold::ALWAYS)),
        (r#"{"sampling_percentage": 25, "mode": "equalizing"}"#, Mode::Equalizing(threshold("c"))),
        (r#"{"sampling_percentage": 101, "mode": "equalizing"}"#, Mode::Equalizing(Threshold::ALWAYS)),
        (r#"{"sampling_percentage": 25, "mode": "proportional"}"#, Mode::Proportional(0.25)),
        // A 32-bit percentage is divided in 64 bits.
        (
            r#"{"sampling_percentage": 15.3, "mode": "proportional"}"#,
            Mode::Proportional(15.300_000_190_734_863 / 100.0),
        ),
        (
            r#"{"sampling_percentage": 33.333333333, "sampling_precision": 2, "mode": "equalizing"}"#,
            Mode::Equalizing(threshold("ab")),
        ),
        (
            r#"{"sampling_percentage": 50, "sampling_precision": -1, "mode": "equalizing"}"#,
            Mode::Equalizing(Threshold::ALWAYS),
        ),
        (
            r#"{"sampling_percentage": 50, "sampling_precision": -100, "mode": "equalizing"}"#,
            Mode::Equalizing(Threshold::ALWAYS),
        ),
    ] {
        assert_eq!(policy(json).map(|policy| policy.mode), Ok(expected), "{json}");
    }
}

#[test]
fn says_what_is_wrong() {
    for (json, expected) in [
        (r#"{"sampling_percentage": -1}"#, "sampling_percentage: -1 is negative"),
        (r#"{"sampling_percentage": -1e300}"#, " is negative; use 0 to drop everything"),
        (r#"{"sampling_percentage": 1e300}"#, "1e300 is too large; use a number from 0 to 100"),
        (r#"{"sampling_percentage": 3.4028236e38}"#, "3.4028236e38 is too large; use a number from 0 to 100"),
        (r#"{"sampling_percentage": "50"}"#, "invalid type: string \"50\", expected f64"),
        (r#"{"sampling_percentage": 1e-15}"#, "is too small"),
        (r#"{"sampling_precision": 0}"#, "sampling_precision: 0 is out of range"),
        (r#"{"sampling_precision": 15}"#, "sampling_precision: 15 is out of range"),
        (r#"{"sampling_percentage": -1, "sampling_precision": 15}"#, "; sampling_precision: 15"),
        (r#"{"hash_seed": -1}"#, "invalid value: integer `-1`, expected u32"),
        (r#"{"hash_seed": 4294967296}"#, "expected u32"),
        (r#"{"mode": "equalising"}"#, "unknown variant `equalising`, expected one of"),
        (r#"{"attribute_source": "traceid"}"#, "unknown variant `traceid`, expected one of `traceID`, `record`"),
        (r#"{"sampling": 1}"#, "unknown field `sampling`"),
    ] {
        let error = policy(json).expect_err(json);
        assert!(error.contains(expected), "{json}: {error}");
    }
    assert!(policy(r#"{"sampling_percentage": 1.4e-13, "sampling_precision": 14, "hash_seed": 4294967295}"#).is_ok());
    assert!(policy(r#"{"sampling_precision": 1}"#).is_ok());
}
