//! The OpenTelemetry Collector's redaction processor as the oracle: random configurations and telemetry, and what
//! came out of it (v0.155.0 with patterns in the order of the configuration, as later versions have it).
//!
//! The cases leave out what the README names as wanted differences.

use serde::Deserialize;
use serde_json::Value;
use sluice_sdk::Signal;

use crate::process;
use crate::view::View;

#[derive(Deserialize)]
struct Case {
    signal: String,
    config: Value,
    input: View,
    expected: View,
}

#[test]
fn redacts_as_the_collector_does() {
    let path = std::env::var("SLUICE_REDACTION_CASES")
        .unwrap_or_else(|_| concat!(env!("CARGO_MANIFEST_DIR"), "/tests/redaction/collector.json").to_owned());
    let cases = std::fs::read(&path).expect(&path);
    let cases: Vec<Case> = serde_json::from_slice(&cases).expect("a list of cases");
    assert!(cases.len() >= 100);
    let mut failures = Vec::new();
    for (number, case) in cases.iter().enumerate() {
        let signal = match case.signal.as_str() {
            "traces" => Signal::Traces,
            "logs" => Signal::Logs,
            _ => Signal::Metrics,
        };
        let result = process(&case.config, signal, &case.input);
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

fn json(view: &View) -> String {
    serde_json::to_string(view).expect("JSON")
}
