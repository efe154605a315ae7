//! Decisions about spans against those of the OpenTelemetry Collector 0.155.

use sluice_sdk::Signal;

use super::*;
use crate::config::SamplerConfig;

fn priority(text: &str) -> Option<Priority> {
    let (kind, value) = text.split_once(':')?;
    match kind {
        "i" => Priority::from_number(value.parse::<i64>().expect("an integer") as f64),
        "f" => Priority::from_number(value.parse().expect("a number")),
        _ => Priority::from_text(value),
    }
}

fn sample(config: &str, id: [u8; 16], tracestate: &str, priority: Option<Priority>) -> Option<String> {
    let config: SamplerConfig = serde_json::from_str(config).expect("a configuration");
    let mut sampler = SpanSampler::new(config.policy(Signal::Traces).expect("a valid configuration"));
    let policy = &sampler.policy;
    let drawn =
        if policy.hashes() { Randomness::from_hash(policy.hash.hash(&id)) } else { Randomness::from_trace_id(&id) };
    let mut out = Vec::new();
    let (fate, _) = sampler.decide((id != [0; 16]).then_some(drawn), tracestate, priority, &mut out);
    match fate {
        Fate::Dropped => None,
        Fate::Kept => Some(tracestate.to_owned()),
        Fate::Written => Some(String::from_utf8(out).expect("text")),
    }
}

#[test]
fn decides_and_writes_as_the_collector_does() {
    // Configuration, trace id, tracestate, sampling.priority, and what the Collector made of it: - for dropped, else =
    // and the tracestate. Regenerate with tests/cases.py.
    for line in include_str!("../../tests/data/spans.tsv").lines() {
        let [config, id, tracestate, asked, expected]: [&str; 5] =
            line.split('\t').collect::<Vec<_>>().try_into().expect("five columns");
        let id = hex::decode(id).expect("hex").try_into().expect("16 bytes");
        let tracestate: String = serde_json::from_str(tracestate).expect("JSON");
        let expected: String = serde_json::from_str(expected).expect("JSON");
        let found = sample(config, id, &tracestate, priority(asked));
        assert_eq!(found.map_or("-".to_owned(), |state| format!("={state}")), expected, "{line}");
    }
}

#[test]
fn counts_spans_that_it_could_not_decide_by_the_rules() {
    let cases = [
        ("hash_seed", "", true, false),
        ("hash_seed", "", false, true),
        ("hash_seed", "ot=th:8", true, true),
        ("hash_seed", "ot=rv:01234567890123", true, true),
        ("equalizing", "ot=th:8", true, false),
        ("equalizing", "ot=th:8;rv:01234567890123", true, true),
        ("proportional", "no tracestate", true, true),
    ];
    for (mode, tracestate, has_id, expected) in cases {
        let config: SamplerConfig =
            serde_json::from_value(serde_json::json!({ "mode": mode, "sampling_percentage": 50 })).expect("valid");
        let mut sampler = SpanSampler::new(config.policy(Signal::Traces).expect("valid"));
        let drawn = has_id.then_some(Randomness::HIGHEST);
        let (_, faulty) = sampler.decide(drawn, tracestate, None, &mut Vec::new());
        assert_eq!(faulty, expected, "{mode} {tracestate} {has_id}");
    }
}
