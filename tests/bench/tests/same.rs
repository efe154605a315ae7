//! The standard stages as native code and as the embedded components.

use std::path::Path;

use filter::Filter;
use redaction::Redaction;
use sampler::Sampler;
use sluice::model::{Batch, Signal};
use sluice_bench::{self as work, Named};
use sluice_sdk::Stage;
use sluice_sdk::testing::Harness;
use sluice_wire::{sample, validate};
use tenant_label::TenantLabel;

/// What each tenant has; none is whoever the batch belongs to.
type Parts = Vec<(Option<String>, Vec<u8>)>;

/// What a stage makes of a request without WebAssembly.
fn native(signal: Signal, (name, config): &Named, bytes: &[u8]) -> Parts {
    fn process<S: Stage>(signal: Signal, config: &serde_json::Value, bytes: &[u8]) -> Parts {
        let signal = match signal {
            Signal::Traces => sluice_sdk::Signal::Traces,
            Signal::Metrics => sluice_sdk::Signal::Metrics,
            Signal::Logs => sluice_sdk::Signal::Logs,
        };
        let processed = Harness::<S>::new(config, signal).expect("valid").process(bytes).expect("an answer");
        match processed.partitions.is_empty() {
            true => vec![(None, processed.bytes)],
            false => processed.partitions.into_iter().map(|(tenant, bytes)| (Some(tenant), bytes)).collect(),
        }
    }
    match name.as_str() {
        "filter" => process::<Filter>(signal, config, bytes),
        "redaction" => process::<Redaction>(signal, config, bytes),
        "tenant_label" => process::<TenantLabel>(signal, config, bytes),
        "sampler" => process::<Sampler>(signal, config, bytes),
        other => panic!("{other} is no standard stage"),
    }
}

/// What components make of it.
fn embedded(signal: Signal, stages: &[Named], bytes: &[u8]) -> Parts {
    let catalog = work::catalog(Path::new(env!("CARGO_TARGET_TMPDIR")));
    let items = validate(signal, bytes).expect("valid").records.into();
    let batch = Batch { bytes: bytes.to_vec().into(), items, ..work::batch(signal, 0) };
    let own = batch.tenant.clone();
    let outcome = work::chain(&catalog, signal, stages).run(batch);
    let named = |batch: Batch| ((batch.tenant != own).then(|| batch.tenant.to_string()), batch.bytes.to_vec());
    outcome.result.expect("accepted").into_iter().map(named).collect()
}

/// Telemetry of two tenants.
fn request(signal: Signal) -> Vec<u8> {
    [("acme", 70), ("globex", 30), ("acme", 20)]
        .map(|(tenant, items)| sample::tenant_request(signal, tenant, items))
        .concat()
}

#[test]
fn a_stage_gives_the_same_bytes_natively_and_as_a_component() {
    for signal in Signal::ALL {
        let bytes = request(signal);
        for stage in work::stages(signal) {
            let expected = native(signal, &stage, &bytes);
            assert!(expected[0].1 != bytes, "{} does nothing to {signal:?}", stage.0);
            assert!(embedded(signal, std::slice::from_ref(&stage), &bytes) == expected, "{} of {signal:?}", stage.0);
        }
    }
}

#[test]
fn a_chain_gives_what_its_stages_give_one_after_the_other() {
    for signal in Signal::ALL {
        let stages = work::stages(signal);
        let mut parts: Parts = vec![(None, request(signal))];
        for stage in &stages {
            let next = |(tenant, bytes): (Option<String>, Vec<u8>)| {
                let made = native(signal, stage, &bytes);
                made.into_iter().map(move |(found, bytes)| (found.or_else(|| tenant.clone()), bytes))
            };
            parts = parts.into_iter().flat_map(next).collect();
        }
        assert_eq!(parts.len(), 2, "two tenants");
        assert!(embedded(signal, &stages, &request(signal)) == parts, "{signal:?}");
    }
}
