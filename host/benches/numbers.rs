//! The numbers that Sluice has to hold in process, printed as `name<TAB>value<TAB>unit<TAB>limit<TAB>goal`;
//! `cargo xtask bench` makes a table of them. All ratios are of one run: machines differ, and this one from hour to hour.

use std::hint::black_box;
use std::sync::Arc;
use std::time::{Instant, SystemTime};

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use prost::Message;
use serde_json::{Value, json};
use sluice::limits::Budget;
use sluice::model::{Batch, Context, Signal, TenantId};
use sluice::stage::{Catalog, Chain, Engine, EngineConfig, StageLimits, StageSpec};
use sluice_sdk::Stage;
use sluice_sdk::testing::Harness;
use sluice_wire::sample::request;
use sluice_wire::{Columns, Encoding, Field, Level, Projection, Read, Selector, validate};

#[path = "../tests/kit/guests.rs"]
mod guests;

const ITEMS: usize = 1000;
/// Samples of each measurement; the median counts.
const SAMPLES: usize = 101;

fn main() {
    // `cargo test` runs benchmarks once, to see that they run.
    let samples = if std::env::args().any(|argument| argument == "--bench") { SAMPLES } else { 1 };
    let numbers = Numbers { samples };
    for signal in Signal::ALL {
        numbers.of_signal(signal);
    }
    numbers.of_stages();
    numbers.of_calls();
}

struct Numbers {
    samples: usize,
}

impl Numbers {
    /// Median nanoseconds of a call.
    fn nanos(&self, mut call: impl FnMut()) -> f64 {
        for _ in 0..self.samples / 4 {
            call();
        }
        let mut times: Vec<f64> = (0..self.samples)
            .map(|_| {
                let started = Instant::now();
                call();
                started.elapsed().as_nanos() as f64
            })
            .collect();
        times.sort_by(f64::total_cmp);
        times[times.len() / 2]
    }

    fn of_signal(&self, signal: Signal) {
        let bytes = request(signal, ITEMS);
        let item = signal.items().trim_end_matches('s').replace('_', " ");
        let per_item = |nanos: f64| nanos / ITEMS as f64;
        let is_traces = signal == Signal::Traces;
        let bound = |limit: f64, goal: f64| if is_traces { (Some(limit), Some(goal)) } else { (None, None) };

        let validated = per_item(self.nanos(|| _ = black_box(validate(signal, black_box(&bytes)))));
        print(&format!("validate, per {item}"), validated, "ns", bound(60.0, 60.0));

        let projection = Projection::new(signal, &three_columns(signal), None).expect("three columns");
        let mut columns = Columns::default();
        let projected = per_item(self.nanos(|| columns.extract(&projection, black_box(&bytes))));
        print(&format!("project three columns, per {item}"), projected, "ns", bound(60.0, 60.0));

        let chain = chain(signal, &stages(signal));
        let batch = batch(signal, bytes.clone());
        let chained = per_item(self.nanos(|| drop(black_box(chain.run(batch.clone()).result.expect("passes")))));
        let count = stages(signal).len();
        print(&format!("chain of {count} stages, per {item}"), chained, "ns", bound(300.0, 200.0));

        let prost = per_item(self.nanos(|| drop(black_box(decode_and_encode(signal, black_box(&bytes))))));
        print(&format!("prost decode and encode, per {item}"), prost, "ns", (None, None));
        let ratio = (validated + chained) / prost;
        print(&format!("validate and chain, of prost, {}", signal.name()), ratio, "x", bound(0.2, 1.0 / 7.0));
    }

    fn of_stages(&self) {
        let bytes = request(Signal::Traces, ITEMS);
        for stage in stages(Signal::Traces) {
            let one = chain(Signal::Traces, std::slice::from_ref(&stage));
            let batch = batch(Signal::Traces, bytes.clone());
            let nanos = self.nanos(|| drop(black_box(one.run(batch.clone()).result.expect("passes"))));
            print(&format!("{} alone, per span", stage.0), nanos / ITEMS as f64, "ns", (None, None));
        }
    }
}

impl Numbers {
    /// Calls into WASM: one that does nothing, and those of the standard stages against the same code native.
    fn of_calls(&self) {
        let directory = tempfile::tempdir().expect("a directory");
        std::fs::write(directory.path().join("noop.wasm"), guests::guest("noop")).expect("written");
        let engine = Engine::new(EngineConfig::default()).expect("an engine");
        let catalog = Catalog::new(engine, Some(directory.path().to_owned()));
        let noop = chain_of(&catalog, Signal::Traces, &[("noop", json!({}))]);
        print("empty plugin, per batch", self.in_plugin(&noop) / 1e3, "us", (Some(0.5), Some(0.5)));
        for (name, config) in stages(Signal::Traces) {
            let native = match name {
                "filter" => self.native::<filter::Filter>(&config),
                "redaction" => self.native::<redaction::Redaction>(&config),
                "tenant_label" => self.native::<tenant_label::TenantLabel>(&config),
                _ => self.native::<sampler::Sampler>(&config),
            };
            let wasm = self.in_plugin(&chain(Signal::Traces, &[(name, config)]));
            let per_span = |nanos: f64| nanos / ITEMS as f64;
            print(&format!("{name} in WASM, per span"), per_span(wasm), "ns", (None, None));
            print(&format!("{name} native, per span"), per_span(native), "ns", (None, None));
            // Redaction searches natively in both, but value by value only in the native one.
            let bound = if name == "redaction" { (None, None) } else { (Some(2.0), Some(1.5)) };
            print(&format!("{name} in WASM, of native"), wasm / native, "x", bound);
        }
    }

    /// Median nanoseconds in the plugin of a chain of one stage.
    fn in_plugin(&self, chain: &Chain) -> f64 {
        let batch = batch(Signal::Traces, request(Signal::Traces, ITEMS));
        let mut times: Vec<f64> =
            (0..self.samples.max(2)).map(|_| chain.run(batch.clone()).stages[0].in_plugin.as_nanos() as f64).collect();
        times.sort_by(f64::total_cmp);
        times[times.len() / 2]
    }

    /// Median nanoseconds of the same stage without WASM.
    fn native<S: Stage>(&self, config: &Value) -> f64 {
        let bytes = request(Signal::Traces, ITEMS);
        let mut harness = Harness::<S>::new(config, sluice_sdk::Signal::Traces).expect("valid");
        let batch = harness.batch(&bytes);
        self.nanos(|| drop(black_box(harness.stage().process(black_box(&batch)))))
    }
}

fn print(name: &str, value: f64, unit: &str, (limit, goal): (Option<f64>, Option<f64>)) {
    let shown = |bound: Option<f64>| bound.map_or_else(String::new, |bound| bound.to_string());
    println!("{name}\t{value}\t{unit}\t{}\t{}", shown(limit), shown(goal));
}

fn three_columns(signal: Signal) -> Vec<Read> {
    let attribute = |key: &str, level| Field { level, selector: Selector::Attribute(key.into()) };
    let id = match signal {
        Signal::Metrics => "time_unix_nano",
        _ => "trace_id",
    };
    let intrinsic = id.parse().expect("an intrinsic field");
    let id = Field { level: Level::Record, selector: Selector::Intrinsic(intrinsic) };
    let encoding = if signal == Signal::Metrics { Encoding::U64 } else { Encoding::Bytes };
    vec![
        Read { field: attribute("http.route", Level::Record), encoding: Encoding::Dictionary },
        Read { field: attribute("tenant", Level::Resource), encoding: Encoding::Dictionary },
        Read { field: id, encoding },
    ]
}

/// The stages of `examples/bench/four-stages.yaml`; metrics are not sampled.
fn stages(signal: Signal) -> Vec<(&'static str, Value)> {
    let condition = json!(["attributes[\"http.route\"] == \"/health\""]);
    let filter = match signal {
        Signal::Traces => json!({"traces": {"span": condition}}),
        Signal::Metrics => json!({"metrics": {"datapoint": condition}}),
        Signal::Logs => json!({"logs": {"log_record": condition}}),
    };
    let patterns = [r"4[0-9]{12}(?:[0-9]{3})?", r"[A-Za-z0-9._%+-]+@[A-Za-z0-9.-]+\.[A-Za-z]{2,}"];
    let mut stages = vec![
        ("filter", filter),
        ("redaction", json!({"allow_all_keys": true, "blocked_values": patterns})),
        ("tenant_label", json!({"sources": [{"from": "resource", "key": "tenant"}], "label": "tenant.id"})),
    ];
    if signal != Signal::Metrics {
        stages.push(("sampler", json!({"sampling_percentage": 90})));
    }
    stages
}

fn chain(signal: Signal, stages: &[(&'static str, Value)]) -> Chain {
    let engine = Engine::new(EngineConfig::default()).expect("an engine");
    chain_of(&Catalog::new(engine, None), signal, stages)
}

fn chain_of(catalog: &Catalog, signal: Signal, stages: &[(&'static str, Value)]) -> Chain {
    let spec = |(plugin, config): &(&'static str, Value)| StageSpec {
        secrets: Vec::new(),
        id: (*plugin).to_owned(),
        plugin: (*plugin).to_owned(),
        config: config.clone(),
        on_error: None,
        limits: StageLimits::default(),
        capabilities: None,
    };
    Chain::new(catalog, signal, stages.iter().map(spec).collect()).expect("valid stages")
}

fn batch(signal: Signal, bytes: Vec<u8>) -> Batch {
    Batch {
        signal,
        items: ITEMS as u64,
        bytes: bytes.into(),
        tenant: TenantId::default(),
        context: Arc::new(Context { received: SystemTime::now(), headers: Vec::new() }),
        permit: Arc::new(Budget::new(1).try_take(0).expect("nothing")),
    }
}

fn decode_and_encode(signal: Signal, bytes: &[u8]) -> Vec<u8> {
    match signal {
        Signal::Traces => ExportTraceServiceRequest::decode(bytes).expect("valid").encode_to_vec(),
        Signal::Metrics => ExportMetricsServiceRequest::decode(bytes).expect("valid").encode_to_vec(),
        Signal::Logs => ExportLogsServiceRequest::decode(bytes).expect("valid").encode_to_vec(),
    }
}
