//! How many instructions a batch takes on its way through the chain of the bench's own work, counted by callgrind.
//!
//! All of `Chain::run` on the thread that calls it: projection, the calls with the machine code that wasmtime made of the
//! plugins, patterns, checks, splice. `cargo xtask bench --counts` compares it with `counts.txt`; the number at the end
//! of a name is the items of the batch.

#![allow(missing_docs, reason = "what the macros of gungraun make")]

use std::hint::black_box;
use std::path::Path;

use gungraun::{library_benchmark, library_benchmark_group, main};
use sluice::model::{Batch, Signal};
use sluice::stage::{Chain, ChainOutcome};

use sluice_bench as work;

use Signal::{Logs, Metrics, Traces};

/// A chain whose instances and buffers are there already, and a batch for it.
fn warm(signal: Signal, items: usize, stages: usize) -> (Chain, Batch) {
    let chain =
        work::chain(&work::catalog(Path::new(env!("CARGO_TARGET_TMPDIR"))), signal, &work::stages(signal)[..stages]);
    let batch = work::batch(signal, items);
    for _ in 0..3 {
        chain.run(batch.clone()).result.expect("passes");
    }
    (chain, batch)
}

#[library_benchmark]
#[bench::one_stage_traces_1000(warm(Traces, 1000, 1))]
#[bench::four_stages_traces_1000(warm(Traces, 1000, 4))]
#[bench::four_stages_traces_10(warm(Traces, 10, 4))]
#[bench::four_stages_logs_1000(warm(Logs, 1000, 4))]
#[bench::three_stages_metrics_1000(warm(Metrics, 1000, 3))]
fn chain((chain, batch): (Chain, Batch)) -> (Chain, ChainOutcome) {
    let outcome = black_box(&chain).run(black_box(batch));
    (chain, outcome)
}

library_benchmark_group!(name = chains, benchmarks = [chain]);
main!(library_benchmark_groups = chains);
