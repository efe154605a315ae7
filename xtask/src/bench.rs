//! Measures, and prints every number beside the one that it has to meet.

mod contender;
mod counts;
mod in_process;
mod process;
mod table;
mod whole;

use anyhow::Result;

pub(crate) use contender::{GRPC, HTTP, SINK, example};
pub(crate) use process::{Measured, ensure_free};

use crate::{build, parts, setup, shell};

/// What to measure.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Also put the OpenTelemetry Collector beside it, for spans and for remote write; building it takes minutes, once.
    #[arg(long, conflicts_with_all = ["counts", "in_process"])]
    peers: bool,
    /// Instead of times, count instructions under valgrind and compare them with those in the repository.
    #[arg(long)]
    counts: bool,
    /// Write the counts of this run into the repository.
    #[arg(long, requires = "counts")]
    bless: bool,
    /// Only the functions, not the whole process.
    #[arg(long, conflicts_with = "counts")]
    in_process: bool,
    /// Only the whole process, not the functions.
    #[arg(long, conflicts_with_all = ["counts", "in_process"])]
    whole: bool,
    /// Rounds of the whole-process comparison; the medians are printed.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..=99))]
    rounds: u16,
}

/// Measures what was asked for.
pub(crate) fn run(args: &Args) -> Result<()> {
    setup::wasm_target()?;
    if args.counts {
        return counts::run(args.bless);
    }
    if !args.whole {
        in_process::measure()?.print();
    }
    if !args.in_process {
        whole_process(usize::from(args.rounds), args.peers)?;
    }
    Ok(())
}

/// Builds the load and the sink.
pub(crate) fn tools() -> Result<()> {
    shell::step("building the load and the sink");
    build::release(&["--package", "sluice-tests", "--bins"]).map(drop)
}

fn whole_process(rounds: usize, peers: bool) -> Result<()> {
    let names: &[&str] = if peers { &["nginx", "collector"] } else { &["nginx"] };
    let missing = parts::fetch(names);
    let binary = build::run()?;
    tools()?;
    whole::starts(&binary)?.print();
    whole::spans(&binary, rounds, peers)?.print();
    match peers {
        true => whole::data_points(&binary, rounds)?.iter().for_each(|table| table.print()),
        false => println!("\nnot measured: OTLP sums to remote write, beside the Collector (--peers)"),
    }
    parts::report(&missing)
}
