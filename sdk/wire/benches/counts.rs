//! How many instructions the hot functions take for 1,000 records, counted by callgrind: they do not jump as times do.
//! `cargo bench -p sluice-wire --bench counts`; needs valgrind and gungraun-runner.

#![allow(missing_docs, reason = "what the macros of gungraun make")]

use std::hint::black_box;

use gungraun::{library_benchmark, library_benchmark_group, main};
use sluice_wire::{Columns, EditPlan, Projection, Signal, Summary, WireError, sample, splice, validate};

#[path = "work.rs"]
mod work;

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
#[benches::signals(args = [Signal::Traces, Signal::Logs, Signal::Metrics], setup = request)]
fn validation((signal, bytes): (Signal, Vec<u8>)) -> Result<Summary, WireError> {
    validate(black_box(signal), black_box(&bytes))
}

#[library_benchmark]
#[benches::three_columns(args = [Signal::Traces, Signal::Logs, Signal::Metrics], setup = three)]
#[benches::and_table(args = [Signal::Traces, Signal::Logs, Signal::Metrics], setup = table)]
fn extraction((projection, mut columns, bytes): (Projection, Columns, Vec<u8>)) -> Columns {
    columns.extract(black_box(&projection), black_box(&bytes));
    columns
}

#[library_benchmark]
#[benches::drop_one_in_five(args = [Signal::Traces, Signal::Logs, Signal::Metrics], setup = dropping)]
#[benches::set_and_mask(args = [Signal::Traces, Signal::Logs, Signal::Metrics], setup = editing)]
fn splicing((bytes, columns, plan): (Vec<u8>, Columns, EditPlan)) -> usize {
    splice(black_box(&bytes), black_box(&columns), black_box(&plan)).iter().map(|part| part.bytes.len()).sum()
}

library_benchmark_group!(name = wire, benchmarks = [validation, extraction, splicing]);
main!(library_benchmark_groups = wire);
