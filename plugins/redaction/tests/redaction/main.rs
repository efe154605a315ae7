//! Redaction as a user sees it: a configuration and OTLP in, OTLP out.

mod behaviour;
mod collector;
mod mistakes;
mod view;

use redaction::Redaction;
use serde_json::Value;
use sluice_sdk::Signal;
use sluice_sdk::testing::{Harness, Processed};
use view::View;

/// What becomes of a request.
fn process(config: &Value, signal: Signal, view: &View) -> View {
    view::decode(signal, &run(config, signal, &view::encode(signal, view)).bytes).remove(0)
}

fn run(config: &Value, signal: Signal, request: &[u8]) -> Processed {
    let mut harness = Harness::<Redaction>::new(config, signal).expect("a valid configuration");
    harness.process(request).expect("an outcome")
}
