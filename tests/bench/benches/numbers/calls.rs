//! Calls into WASM: one that does nothing, and those of the standard stages beside the same code native.

use std::hint::black_box;

use serde_json::{Value, json};
use sluice::model::Signal;
use sluice::stage::{Catalog, Chain, Engine, EngineConfig};
use sluice_sdk::Stage;
use sluice_sdk::testing::{self, Harness};
use sluice_wire::sample;

use super::column_search::ColumnSearch;
use super::{Bench, Bounds, ITEMS, print, time};
use sluice_bench as work;

/// Nanoseconds that a span may take in WASM however fast the stage is natively: some take less than a call by itself.
const ALWAYS_ALLOWED_NS: f64 = 4.0;

#[path = "../../../../host/tests/kit/guests.rs"]
mod guests;

/// Prints both times and their ratio for each stage.
///
/// In WASM it is the time from the host's call to its return: copying columns in and the answer out, and the patterns,
/// which run on the host. Natively the columns are there, and patterns search as on the host, a column at once.
pub(crate) fn measure(bench: &Bench) {
    print("empty plugin, per batch", bench.median(in_plugin(&empty())) / 1e3, "us", Bounds::new(0.5, 0.5));
    for stage in work::stages(Signal::Traces) {
        let (name, config) = &stage;
        let chain = work::chain(&bench.catalog, Signal::Traces, std::slice::from_ref(&stage));
        let wasm = in_plugin(&chain);
        let in_turn = match name.as_str() {
            "filter" => bench.in_turn(wasm, native::<filter::Filter>(config)),
            "redaction" => bench.in_turn(wasm, native::<redaction::Redaction>(config)),
            "tenant_label" => bench.in_turn(wasm, native::<tenant_label::TenantLabel>(config)),
            "sampler" => bench.in_turn(wasm, native::<sampler::Sampler>(config)),
            other => panic!("{other} has no native build here"),
        };
        testing::reset();
        let native = in_turn.other / ITEMS as f64;
        print(&format!("{name} native, per span"), native, "ns", Bounds::NONE);
        let at_most = |times: f64| (times * native).max(ALWAYS_ALLOWED_NS);
        let bounds = Bounds::new(at_most(2.0), at_most(1.5));
        print(&format!("{name} in WASM, per span"), in_turn.one / ITEMS as f64, "ns", bounds);
        print(&format!("{name} in WASM, of native"), in_turn.ratio, "x", Bounds::new(2.0, 1.5));
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

/// Nanoseconds in the plugin of a chain of one stage.
fn in_plugin(chain: &Chain) -> impl FnMut() -> f64 {
    let batch = work::batch(Signal::Traces, ITEMS);
    move || chain.run(batch.clone()).stages[0].in_plugin.as_nanos() as f64
}

/// Nanoseconds of the same stage without WASM.
fn native<S: Stage>(config: &Value) -> impl FnMut() -> f64 {
    let bytes = sample::request(Signal::Traces, ITEMS);
    let mut harness = Harness::<S>::new(config, sluice_sdk::Signal::Traces).expect("valid");
    let batch = harness.batch(&bytes);
    let search = ColumnSearch::default();
    testing::search_table_with(move |pattern, texts, entries| search.find(pattern, texts, entries));
    move || time(|| drop(black_box(harness.stage().process(black_box(&batch)))))
}
