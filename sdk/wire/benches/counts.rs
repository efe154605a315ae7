//! How many instructions the hot functions take, counted by callgrind: they do not jump as times do.
//!
//! `cargo xtask bench --counts` compares them with `counts.txt`. The number at the end of a name is the records it is for.

#![allow(missing_docs, reason = "what the macros of gungraun make")]

use std::hint::black_box;

use gungraun::{library_benchmark, library_benchmark_group, main};
use sluice_wire::{Columns, EditPlan, Projection, Signal, Summary, WireError, concat, sample, splice, split, validate};

#[path = "work.rs"]
mod work;

use Signal::{Logs, Metrics, Traces};

const RECORDS: usize = 1000;

fn request(signal: Signal) -> (Signal, Vec<u8>) {
    (signal, sample::request(signal, RECORDS))
}

/// Columns that were filled once, so that their buffers have the right size.
fn warm(projection: Projection) -> (Projection, Columns, Vec<u8>) {
    let bytes = sample::request(projection.signal(), RECORDS);
    let mut columns = Columns::new();
    columns.extract(&projection, &bytes);
    (projection, columns, bytes)
}

fn three(signal: Signal) -> (Projection, Columns, Vec<u8>) {
    warm(work::three_columns(signal))
}

fn table(signal: Signal) -> (Projection, Columns, Vec<u8>) {
    warm(work::columns_and_table(signal))
}

fn dropping(signal: Signal) -> (Vec<u8>, Columns, EditPlan) {
    let bytes = sample::request(signal, RECORDS);
    let (columns, plan) = work::dropping(signal, &bytes);
    (bytes, columns, plan)
}

fn editing(signal: Signal) -> (Vec<u8>, Columns, EditPlan) {
    let bytes = sample::request(signal, RECORDS);
    let (columns, plan) = work::editing(signal, &bytes);
    (bytes, columns, plan)
}

#[library_benchmark]
#[bench::traces_1000(request(Traces))]
#[bench::logs_1000(request(Logs))]
#[bench::metrics_1000(request(Metrics))]
fn validation((signal, bytes): (Signal, Vec<u8>)) -> Result<Summary, WireError> {
    validate(black_box(signal), black_box(&bytes))
}

#[library_benchmark]
#[bench::three_columns_of_traces_1000(three(Traces))]
#[bench::three_columns_of_logs_1000(three(Logs))]
#[bench::three_columns_of_metrics_1000(three(Metrics))]
#[bench::and_the_table_of_traces_1000(table(Traces))]
#[bench::and_the_table_of_logs_1000(table(Logs))]
#[bench::and_the_table_of_metrics_1000(table(Metrics))]
fn extraction((projection, mut columns, bytes): (Projection, Columns, Vec<u8>)) -> Columns {
    columns.extract(black_box(&projection), black_box(&bytes));
    columns
}

#[library_benchmark]
#[bench::drop_one_in_five_traces_1000(dropping(Traces))]
#[bench::drop_one_in_five_logs_1000(dropping(Logs))]
#[bench::drop_one_in_five_metrics_1000(dropping(Metrics))]
#[bench::set_and_mask_traces_1000(editing(Traces))]
#[bench::set_and_mask_logs_1000(editing(Logs))]
#[bench::set_and_mask_metrics_1000(editing(Metrics))]
fn splicing((bytes, columns, plan): (Vec<u8>, Columns, EditPlan)) -> usize {
    splice(black_box(&bytes), black_box(&columns), black_box(&plan)).iter().map(|part| part.bytes.len()).sum()
}

// Ten requests of a hundred records become one.
#[library_benchmark]
#[bench::traces_1000(sample::request(Traces, RECORDS / 10))]
fn joining(bytes: Vec<u8>) -> Vec<u8> {
    concat(black_box(&[bytes.as_slice(); 10]))
}

// A request becomes ten.
#[library_benchmark]
#[bench::traces_1000(request(Traces))]
#[bench::logs_1000(request(Logs))]
#[bench::metrics_1000(request(Metrics))]
fn splitting((signal, bytes): (Signal, Vec<u8>)) -> usize {
    split(black_box(signal), black_box(&bytes), RECORDS / 10, 0).len()
}

library_benchmark_group!(name = wire, benchmarks = [validation, extraction, splicing, joining, splitting]);
main!(library_benchmark_groups = wire);
