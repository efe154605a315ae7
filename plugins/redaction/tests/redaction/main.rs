//! Redaction as a user sees it: a configuration and OTLP in, OTLP out.

mod behaviour;
mod collector;
mod mistakes;
mod view;

use redaction::Redaction;
use serde_json::Value;
use sluice_sdk::Signal;
use sluice_sdk::testing::Harness;
use view::View;

/// What becomes of a request. Also checks that what is no attribute and no body stays as it is.
fn process(config: &Value, signal: Signal, view: &View) -> View {
    let mut harness = Harness::<Redaction>::new(config, signal).expect("a valid configuration");
    let processed = harness.process(&view::encode(signal, view)).expect("an outcome");
    view::decode(signal, &processed.bytes)
}
