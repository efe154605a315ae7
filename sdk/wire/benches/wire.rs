//! How long the wire format takes, beside prost on the same data: `cargo bench -p sluice-wire --bench wire`.
//!
//! Columns of the output are throughput in records. Arguments are signals and numbers of records.

use divan::Bencher;
use divan::counter::ItemsCount;
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use prost::Message;
use sluice_wire::{
    Columns, EditPlan, EditValue, Entities, Field, Level, Signal, concat, sample, splice, split, validate,
};

#[path = "work.rs"]
mod work;

fn main() {
    divan::main();
}

/// A signal and a number of records.
type Case = (Signal, usize);

const CASES: [Case; 12] = [
    (Signal::Traces, 1),
    (Signal::Traces, 10),
    (Signal::Traces, 1000),
    (Signal::Traces, 10_000),
    (Signal::Logs, 1),
    (Signal::Logs, 10),
    (Signal::Logs, 1000),
    (Signal::Logs, 10_000),
    (Signal::Metrics, 1),
    (Signal::Metrics, 10),
    (Signal::Metrics, 1000),
    (Signal::Metrics, 10_000),
];

fn run<T>(bencher: Bencher<'_, '_>, (signal, records): Case, mut work: impl FnMut(&[u8]) -> T) {
    let bytes = sample::request(signal, records);
    bencher.counter(ItemsCount::new(records)).bench_local(|| work(divan::black_box(&bytes)));
}

#[divan::bench(args = CASES.iter(), name = "prost decode")]
fn prost_decode(bencher: Bencher<'_, '_>, case: &Case) {
    match case.0 {
        Signal::Traces => run(bencher, *case, |bytes| ExportTraceServiceRequest::decode(bytes)),
        Signal::Metrics => run(bencher, *case, |bytes| ExportMetricsServiceRequest::decode(bytes)),
        Signal::Logs => run(bencher, *case, |bytes| ExportLogsServiceRequest::decode(bytes)),
    }
}

#[divan::bench(args = CASES.iter(), name = "prost decode + encode")]
fn prost_both(bencher: Bencher<'_, '_>, case: &Case) {
    match case.0 {
        Signal::Traces => {
            run(bencher, *case, |bytes| {
                ExportTraceServiceRequest::decode(bytes).map(|request| request.encode_to_vec())
            });
        }
        Signal::Metrics => {
            run(bencher, *case, |bytes| {
                ExportMetricsServiceRequest::decode(bytes).map(|request| request.encode_to_vec())
            });
        }
        Signal::Logs => {
            run(bencher, *case, |bytes| ExportLogsServiceRequest::decode(bytes).map(|request| request.encode_to_vec()));
        }
    }
}

#[divan::bench(args = CASES.iter(), name = "validate")]
fn validation(bencher: Bencher<'_, '_>, case: &Case) {
    run(bencher, *case, |bytes| validate(case.0, bytes));
}

#[divan::bench(args = CASES.iter(), name = "extract three columns")]
fn three_columns(bencher: Bencher<'_, '_>, case: &Case) {
    let projection = work::three_columns(case.0);
    let mut columns = Columns::new();
    run(bencher, *case, |bytes| {
        columns.extract(&projection, bytes);
        columns.rows()
    });
}

#[divan::bench(args = CASES.iter(), name = "extract three columns and table")]
fn columns_and_table(bencher: Bencher<'_, '_>, case: &Case) {
    let projection = work::columns_and_table(case.0);
    let mut columns = Columns::new();
    run(bencher, *case, |bytes| {
        columns.extract(&projection, bytes);
        columns.rows()
    });
}

#[divan::bench(args = CASES.iter(), name = "gather three columns")]
fn gathering(bencher: Bencher<'_, '_>, case: &Case) {
    let mut columns = Columns::new();
    columns.extract(&work::three_columns(case.0), &sample::request(case.0, case.1));
    let live = sluice_wire::LiveRows::all(columns.rows());
    run(bencher, *case, |bytes| (0..3).map(|read| columns.gather(bytes, read, &live)).collect::<Vec<_>>());
}

#[divan::bench(args = CASES.iter(), name = "splice: drop one in five")]
fn dropping(bencher: Bencher<'_, '_>, case: &Case) {
    let (columns, plan) = work::dropping(case.0, &sample::request(case.0, case.1));
    run(bencher, *case, |bytes| splice(bytes, &columns, &plan).len());
}

#[divan::bench(args = CASES.iter(), name = "splice: set a field and mask a value everywhere")]
fn editing(bencher: Bencher<'_, '_>, case: &Case) {
    let (columns, plan) = work::editing(case.0, &sample::request(case.0, case.1));
    run(bencher, *case, |bytes| splice(bytes, &columns, &plan).len());
}

#[divan::bench(args = CASES.iter(), name = "splice: set an attribute everywhere")]
fn setting(bencher: Bencher<'_, '_>, case: &Case) {
    let mut columns = Columns::new();
    columns.extract(&work::columns_and_table(case.0), &sample::request(case.0, case.1));
    let mut plan = EditPlan::new(&columns);
    let field = Field::attribute(Level::Record, "tenant.id");
    plan.set(&field, Entities::All, EditValue::Text("acme")).expect("attributes can be set");
    run(bencher, *case, |bytes| splice(bytes, &columns, &plan).len());
}

#[divan::bench(args = CASES.iter(), name = "plan: set a field and mask a value everywhere")]
fn planning(bencher: Bencher<'_, '_>, case: &Case) {
    let bytes = sample::request(case.0, case.1);
    bencher
        .counter(ItemsCount::new(case.1))
        .with_inputs(|| work::edits(case.0, &bytes))
        .bench_local_values(|edits| edits.plan(&bytes));
}

#[divan::bench(args = CASES.iter(), name = "concat with itself")]
fn joining(bencher: Bencher<'_, '_>, case: &Case) {
    run(bencher, *case, |bytes| concat(&[bytes, bytes]));
}

#[divan::bench(args = CASES.iter(), name = "split into tenths")]
fn splitting(bencher: Bencher<'_, '_>, case: &Case) {
    run(bencher, *case, |bytes| split(case.0, bytes, case.1.div_ceil(10), 0).len());
}

#[divan::bench(args = CASES.iter(), name = "copy")]
fn copying(bencher: Bencher<'_, '_>, case: &Case) {
    run(bencher, *case, <[u8]>::to_vec);
}
