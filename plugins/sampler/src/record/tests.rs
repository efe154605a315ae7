//! Decisions about log records against those of the OpenTelemetry Collector 0.155.

use sluice_sdk::{AnyValue, Signal};

use super::*;
use crate::config::{AttributeSource, SamplerConfig};
use crate::logs::json;

/// What is hashed for an encoded AnyValue.
fn hashed(encoded: &[u8]) -> Option<Vec<u8>> {
    match AnyValue::from(encoded) {
        AnyValue::Empty => None,
        AnyValue::Bytes(bytes) => Some(bytes.to_vec()),
        AnyValue::Array(_) | AnyValue::Map(_) => json(encoded).map(String::into_bytes),
        value => Some(value.as_string().into_owned().into_bytes()),
    }
}

#[test]
fn hashes_nothing_that_has_no_json() {
    let array_of = |number: f64| [&[0x2a, 11, 0x0a, 9, 0x21], number.to_le_bytes().as_slice()].concat();
    assert_eq!(json(&array_of(0.5)).as_deref(), Some("[0.5]"));
    for number in [f64::NAN, f64::INFINITY] {
        assert_eq!(json(&array_of(number)), None);
    }
}

fn drawn(config: &SamplerConfig, policy: &Policy, id: &[u8], source: &str) -> Option<Randomness> {
    let id = <&[u8; 16]>::try_from(id).ok().filter(|id| **id != [0; 16]);
    match policy.mode {
        Mode::Never => None,
        Mode::Equalizing(_) | Mode::Proportional(_) => id.map(Randomness::from_trace_id),
        Mode::HashSeed(_) => {
            let id = id.filter(|_| config.attribute_source == AttributeSource::TraceId).map(|id| id.to_vec());
            let source =
                (source != "-" && !config.from_attribute.is_empty()).then(|| hex::decode(source).expect("hex"));
            let hashed = id.or_else(|| hashed(&source?)).filter(|bytes| !bytes.is_empty())?;
            Some(Randomness::from_hash(policy.hash.hash(&hashed)))
        }
    }
}

fn text_attribute(json: &str) -> Option<String> {
    (json != "-").then(|| serde_json::from_str(json).expect("JSON"))
}

#[test]
fn decides_and_writes_as_the_collector_does() {
    // Configuration, trace id, sampling.threshold, sampling.randomness, the value of from_attribute as an encoded
    // AnyValue, the number of sampling_priority, and what the Collector made of it: - for dropped, else both attributes.
    // Regenerate with tests/cases.py.
    for line in include_str!("../../tests/data/logs.tsv").lines() {
        let [config, id, threshold, randomness, source, percentage, expected]: [&str; 7] =
            line.split('\t').collect::<Vec<_>>().try_into().expect("seven columns");
        let config: SamplerConfig = serde_json::from_str(config).expect("a configuration");
        let policy = config.policy(Signal::Logs).expect("a valid configuration");
        let (threshold, randomness) = (text_attribute(threshold), text_attribute(randomness));
        let percentage = percentage.split_once(':').map(|(_, number)| number.parse().expect("a number"));
        let percentage = percentage.filter(|_| !config.sampling_priority.is_empty());
        let drawn = drawn(&config, &policy, &hex::decode(id).expect("hex"), source);
        let (verdict, _) = decide(&policy, drawn, threshold.as_deref(), randomness.as_deref(), percentage);
        let written = match verdict {
            Verdict::Drop => {
                assert_eq!("-", expected, "{line}");
                continue;
            }
            Verdict::Write(threshold) => Some(threshold.to_text()),
            Verdict::Keep | Verdict::KeepThreshold => threshold.clone(),
        };
        let writes = writes_randomness(&policy, threshold.as_deref(), randomness.as_deref());
        let drawn = drawn.filter(|_| writes).map(|drawn| String::from_utf8(drawn.digits().to_vec()).expect("digits"));
        let shown = |attribute: Option<String>| attribute.filter(|text| !text.is_empty()).unwrap_or("-".to_owned());
        assert_eq!(format!("{} {}", shown(written), shown(drawn.or(randomness))), expected, "{line}");
    }
}

#[test]
fn counts_records_that_it_could_not_decide_by_the_rules() {
    let cases = [
        ("hash_seed", None, None, true, false),
        ("hash_seed", None, None, false, true),
        ("hash_seed", Some("8"), None, true, true),
        ("hash_seed", None, Some("01234567890123"), true, true),
        ("hash_seed", Some(""), Some(""), true, false),
        ("equalizing", Some("8"), None, true, false),
        ("equalizing", Some("8"), Some("01234567890123"), true, true),
        ("equalizing", Some("no threshold"), None, true, true),
    ];
    for (mode, threshold, randomness, has_id, expected) in cases {
        let config: SamplerConfig =
            serde_json::from_value(serde_json::json!({ "mode": mode, "sampling_percentage": 50 })).expect("valid");
        let policy = config.policy(Signal::Logs).expect("valid");
        let (_, faulty) = decide(&policy, has_id.then_some(Randomness::HIGHEST), threshold, randomness, None);
        assert_eq!(faulty, expected, "{mode} {threshold:?} {randomness:?} {has_id}");
    }
}
