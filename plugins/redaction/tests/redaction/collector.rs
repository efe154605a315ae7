//! The OpenTelemetry Collector's redaction processor as the oracle: random configurations and telemetry, and what
//! came out of it (v0.155.0 with patterns in the order of the configuration, as later versions have it).
//!
//! The cases leave out what the README names as wanted differences.

use serde::Deserialize;
use serde_json::Value;
use sluice_sdk::Signal;

use crate::view::{self, View};
use crate::{process, run};

#[derive(Deserialize)]
struct Case {
    signal: String,
    config: Value,
    input: View,
    expected: View,
}

impl Case {
    fn signal(&self) -> Signal {
        match self.signal.as_str() {
            "traces" => Signal::Traces,
            "logs" => Signal::Logs,
            _ => Signal::Metrics,
        }
    }
}

/// The cases; those of another file can be tried, too.
fn cases() -> Vec<Case> {
    let path = std::env::var("SLUICE_REDACTION_CASES")
        .unwrap_or_else(|_| concat!(env!("CARGO_MANIFEST_DIR"), "/tests/redaction/collector.json").to_owned());
    let cases: Vec<Case> = serde_json::from_slice(&std::fs::read(&path).expect(&path)).expect("a list of cases");
    assert!(cases.len() >= 100);
    cases
}

#[test]
fn redacts_as_the_collector_does() {
    let cases = cases();
    let mut failures = Vec::new();
    for (number, case) in cases.iter().enumerate() {
        let result = process(&case.config, case.signal(), &case.input);
        if result != case.expected {
            failures.push(format!(
                "case {number} {} {}\n   input {}\nexpected {}\n  result {}",
                case.signal,
                case.config,
                json(&case.input),
                json(&case.expected),
                json(&result)
            ));
        }
    }
    assert!(failures.is_empty(), "{} of {} differ:\n{}", failures.len(), cases.len(), failures.join("\n"));
}

#[test]
fn redacts_each_record_of_a_request_by_itself() {
    let cases = cases();
    for (number, case) in cases.iter().enumerate() {
        let signal = case.signal();
        let others = cases.iter().skip(number + 1).filter(|other| other.signal == case.signal).take(3);
        let inputs: Vec<&View> = std::iter::once(case).chain(others).map(|case| &case.input).collect();
        let request: Vec<u8> = inputs.iter().flat_map(|input| view::encode(signal, input)).collect();
        let together = view::decode(signal, &run(&case.config, signal, &request).bytes);
        let alone: Vec<View> = inputs.iter().map(|input| process(&case.config, signal, input)).collect();
        assert_eq!(together, alone, "case {number}");
    }
}

fn json(view: &View) -> String {
    serde_json::to_string(view).expect("JSON")
}
