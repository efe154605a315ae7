//! What a batch costs on its way through the process, beside prost, which decodes and encodes it.

use std::hint::black_box;

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use prost::Message;
use sluice::model::{Batch, Signal};
use sluice::stage::Chain;
use sluice_wire::{Columns, Encoding, Field, Intrinsic, Level, Projection, Read, sample, validate};

use super::{Bench, Bounds, ITEMS, item, print, time};
use sluice_bench::{self as work, Named};

/// Validate, project, the chain, and the first and last of these as a ratio of prost's time.
pub(crate) fn measure(bench: &Bench, signal: Signal) {
    let bytes = sample::request(signal, ITEMS);
    let per = format!("per {}", item(signal));
    let bound = |limit: f64, goal: f64| Bounds::new(limit, goal).only_if(signal == Signal::Traces);

    let validated = bench.per_item(|| _ = black_box(validate(signal, black_box(&bytes))));
    print(&format!("validate, {per}"), validated, "ns", bound(60.0, 60.0));

    let projection = Projection::new(signal, &three_columns(signal), None).expect("three columns");
    let mut columns = Columns::default();
    let projected = bench.per_item(|| columns.extract(&projection, black_box(&bytes)));
    print(&format!("project three columns, {per}"), projected, "ns", bound(60.0, 60.0));

    let stages = work::stages(signal);
    let chain = work::chain(&bench.catalog, signal, &stages);
    let batch = work::batch(signal, ITEMS);
    let chained = bench.per_item(|| pass(&chain, &batch));
    print(&format!("chain of {} stages, {per}", stages.len()), chained, "ns", bound(300.0, 200.0));
    if signal == Signal::Traces {
        let chain = work::chain(&bench.catalog, signal, &without_patterns(stages));
        let without = bench.per_item(|| pass(&chain, &batch));
        print(&format!("the same without patterns, {per}"), without, "ns", Bounds::goal(120.0));
    }

    let ours = || {
        time(|| {
            _ = black_box(validate(signal, black_box(&bytes)));
            pass(&chain, &batch);
        })
    };
    let prost = || time(|| drop(black_box(decode_and_encode(signal, black_box(&bytes)))));
    let in_turn = bench.in_turn(ours, prost);
    print(&format!("prost decode and encode, {per}"), in_turn.other / ITEMS as f64, "ns", Bounds::NONE);
    print(&format!("validate and chain, of prost, {}", signal.name()), in_turn.ratio, "x", bound(0.2, 1.0 / 7.0));
}

/// The chain on batches of ten, where what a call costs by itself counts.
pub(crate) fn of_small_batches(bench: &Bench) {
    let chain = work::chain(&bench.catalog, Signal::Traces, &work::stages(Signal::Traces));
    let batch = work::batch(Signal::Traces, 10);
    let nanos = bench.nanos(|| pass(&chain, &batch)) / 10.0;
    print("chain of 4 stages on 10 spans, per span", nanos, "ns", Bounds::goal(450.0));
}

fn pass(chain: &Chain, batch: &Batch) {
    black_box(chain.run(black_box(batch.clone())).result.expect("passes"));
}

fn without_patterns(mut stages: Vec<Named>) -> Vec<Named> {
    for (_, config) in stages.iter_mut().filter(|(name, _)| name == "redaction") {
        config.as_object_mut().expect("a map").remove("blocked_values");
    }
    stages
}

fn three_columns(signal: Signal) -> [Read; 3] {
    let (id, encoding) = match signal {
        Signal::Metrics => (Intrinsic::TimeUnixNano, Encoding::U64),
        Signal::Traces | Signal::Logs => (Intrinsic::TraceId, Encoding::Bytes),
    };
    [
        Read { field: Field::attribute(Level::Record, "http.route"), encoding: Encoding::Dictionary },
        Read { field: Field::attribute(Level::Resource, "tenant"), encoding: Encoding::Dictionary },
        Read { field: Field::intrinsic(Level::Record, id), encoding },
    ]
}

fn decode_and_encode(signal: Signal, bytes: &[u8]) -> Vec<u8> {
    match signal {
        Signal::Traces => ExportTraceServiceRequest::decode(bytes).expect("valid").encode_to_vec(),
        Signal::Metrics => ExportMetricsServiceRequest::decode(bytes).expect("valid").encode_to_vec(),
        Signal::Logs => ExportLogsServiceRequest::decode(bytes).expect("valid").encode_to_vec(),
    }
}
