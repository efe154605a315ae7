//! Calls into WASM: one that does nothing, and those of the standard stages beside the same code native.

use std::hint::black_box;

use serde_json::{Value, json};
use sluice::model::Signal;
use sluice::stage::{Catalog, Chain, Engine, EngineConfig};
use sluice_sdk::Stage;
use sluice_sdk::testing::{self, Harness};
use sluice_wire::sample;

use super::column_search::ColumnSearch;
use super::{Bench, Bounds, ITEMS, print};
use sluice_bench as work;

#[path = "../../../../host/tests/kit/guests.rs"]
mod guests;

/// Prints both times and their ratio for each stage.
///
/// In WASM it is the time from the host's call to its return: copying columns in and the answer out, and the patterns,
/// which run on the host. Natively the columns are there, and patterns search as on the host, a column at once.
pub(crate) fn measure(bench: &Bench) {
    print("empty plugin, per batch", in_plugin(bench, &empty()) / 1e3, "us", Bounds::new(0.5, 0.5));
    for stage in work::stages(Signal::Traces) {
        let (name, config) = &stage;
        let native = match name.as_str() {
            "filter" => native::<filter::Filter>(bench, config),
            "redaction" => native::<redaction::Redaction>(bench, config),
            "tenant_label" => native::<tenant_label::TenantLabel>(bench, config),
            "sampler" => native::<sampler::Sampler>(bench, config),
            other => panic!("{other} has no native build here"),
        };
        let chain = work::chain(&bench.catalog, Signal::Traces, std::slice::from_ref(&stage));
        let wasm = in_plugin(bench, &chain) / ITEMS as f64;
        print(&format!("{name} native, per span"), native, "ns", Bounds::NONE);
        print(&format!("{name} in WASM, per span"), wasm, "ns", Bounds::NONE);
        print(&format!("{name} in WASM, of native"), wasm / native, "x", Bounds::new(2.0, 1.5));
    }
}

/// A chain of a plugin that asks for nothing and changes nothing.
fn empty() -> Chain {
    let directory = tempfile::tempdir().expect("a directory");
    std::fs::write(directory.path().join("noop.wasm"), guests::guest("noop")).expect("written");
    let engine = Engine::new(EngineConfig::default()).expect("an engine");
    let catalog = Catalog::new(engine, Some(directory.path().to_owned()));
    work::chain(&catalog, Signal::Traces, &[("noop".to_owned(), json!({}))])
}

/// Median nanoseconds in the plugin of a chain of one stage.
fn in_plugin(bench: &Bench, chain: &Chain) -> f64 {
    let batch = work::batch(Signal::Traces, ITEMS);
    bench.median(|| chain.run(batch.clone()).stages[0].in_plugin.as_nanos() as f64)
}

/// Median nanoseconds per span of the same stage without WASM.
fn native<S: Stage>(bench: &Bench, config: &Value) -> f64 {
    let bytes = sample::request(Signal::Traces, ITEMS);
    let mut harness = Harness::<S>::new(config, sluice_sdk::Signal::Traces).expect("valid");
    let batch = harness.batch(&bytes);
    let search = ColumnSearch::default();
    testing::search_table_with(move |pattern, texts, entries| search.find(pattern, texts, entries));
    let nanos = bench.per_item(|| drop(black_box(harness.stage().process(black_box(&batch)))));
    testing::reset();
    nanos
}
