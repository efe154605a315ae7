//! The numbers that Sluice has to hold in process, one `name<TAB>value<TAB>unit<TAB>limit<TAB>goal` a line;
//! `cargo xtask bench` makes a table of them. All ratios are of one run: machines differ, and one from hour to hour.

use std::path::Path;
use std::time::Instant;

use sluice::model::Signal;
use sluice::stage::Catalog;

mod bulk;
mod calls;
mod chain;
mod column_search;

/// Items of a batch.
const ITEMS: usize = 1000;
/// Samples of each measurement; the median counts.
const SAMPLES: usize = 101;
/// Measurements of one kind in a row, where two are taken in turn.
const IN_TURN: usize = 10;

fn main() {
    // `cargo test` runs benchmarks once, to see that they run.
    let samples = if std::env::args().any(|argument| argument == "--bench") { SAMPLES } else { 1 };
    let bench = Bench { samples, catalog: sluice_bench::catalog(Path::new(env!("CARGO_TARGET_TMPDIR"))) };
    for signal in Signal::ALL {
        chain::measure(&bench, signal);
    }
    chain::of_small_batches(&bench);
    calls::measure(&bench);
    for signal in [Signal::Logs, Signal::Traces] {
        bulk::measure(&bench, signal);
    }
}

/// Takes times.
struct Bench {
    samples: usize,
    /// The standard stages, compiled once.
    catalog: Catalog,
}

/// Medians of two measurements that were taken in turn, since a machine is slower at one time than at another.
struct InTurn {
    one: f64,
    other: f64,
    /// The first as a ratio of the second, by pairs.
    ratio: f64,
}

impl Bench {
    /// Median nanoseconds of a call.
    fn nanos(&self, mut call: impl FnMut()) -> f64 {
        self.median(|| time(&mut call))
    }

    /// Median nanoseconds per item of a call for a batch.
    fn per_item(&self, call: impl FnMut()) -> f64 {
        self.nanos(call) / ITEMS as f64
    }

    /// Median of what a measurement says, after some that don't count.
    fn median(&self, mut measurement: impl FnMut() -> f64) -> f64 {
        for _ in 0..self.samples.div_ceil(4) {
            measurement();
        }
        median((0..self.samples).map(|_| measurement()))
    }

    /// Two measurements, some of the one and then some of the other for each pair: the caches are theirs, as at work. The
    /// first pair doesn't count.
    fn in_turn(&self, mut one: impl FnMut() -> f64, mut other: impl FnMut() -> f64) -> InTurn {
        let mut pair = || (median((0..IN_TURN).map(|_| one())), median((0..IN_TURN).map(|_| other())));
        pair();
        let pairs: Vec<(f64, f64)> = (0..self.samples.div_ceil(IN_TURN)).map(|_| pair()).collect();
        InTurn {
            one: median(pairs.iter().map(|pair| pair.0)),
            other: median(pairs.iter().map(|pair| pair.1)),
            ratio: median(pairs.iter().map(|pair| pair.0 / pair.1)),
        }
    }
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// Nanoseconds of a call.
fn time(call: impl FnOnce()) -> f64 {
    let started = Instant::now();
    call();
    started.elapsed().as_nanos() as f64
}

/// A number that has to be at most the limit and should be at most the goal.
struct Bounds {
    limit: Option<f64>,
    goal: Option<f64>,
}

impl Bounds {
    const NONE: Self = Self { limit: None, goal: None };

    fn new(limit: f64, goal: f64) -> Self {
        Self { limit: Some(limit), goal: Some(goal) }
    }

    fn goal(goal: f64) -> Self {
        Self { limit: None, goal: Some(goal) }
    }

    /// Nothing, unless a condition holds.
    fn only_if(self, condition: bool) -> Self {
        if condition { self } else { Self::NONE }
    }
}

fn print(name: &str, value: f64, unit: &str, bounds: Bounds) {
    let shown = |bound: Option<f64>| bound.map_or_else(String::new, |bound| bound.to_string());
    println!("{name}\t{value}\t{unit}\t{}\t{}", shown(bounds.limit), shown(bounds.goal));
}

/// One item of a signal, in words.
fn item(signal: Signal) -> String {
    signal.items().trim_end_matches('s').replace('_', " ")
}
