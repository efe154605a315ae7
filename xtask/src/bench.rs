//! Measures, and prints every number beside the one that it has to meet.

mod in_process;
mod process;
mod table;
mod whole;

use anyhow::Result;

use crate::{build, parts, setup, shell};

/// What to measure.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Also the OpenTelemetry Collector, on the same work.
    #[arg(long)]
    peers: bool,
    /// Count instructions under valgrind, and compare them with those in the repository.
    #[arg(long)]
    counts: bool,
    /// Write the counts of this run into the repository.
    #[arg(long, requires = "counts")]
    bless: bool,
    /// Only the functions, not the whole process.
    #[arg(long)]
    in_process: bool,
    /// Only the whole process, not the functions.
    #[arg(long, conflicts_with = "in_process")]
    whole: bool,
    /// Rounds of the whole-process comparison; the medians are printed.
    #[arg(long, default_value_t = 3)]
    rounds: usize,
}

/// Measures what was asked for.
pub(crate) fn run(args: &Args) -> Result<()> {
    setup::wasm_target()?;
    if args.counts {
        return in_process::counts(args.bless);
    }
    if !args.whole {
        in_process::numbers()?.print();
    }
    if !args.in_process {
        let mut names = vec!["nginx"];
        if args.peers {
            names.push("collector");
        }
        let missing = parts::fetch(&names);
        let binary = build::run()?;
        shell::step("building the load and the sink");
        shell::run(shell::cargo().args(["build", "--release", "--package", "sluice-tests", "--bins"]))?;
        whole::measure(&binary, args.rounds, args.peers)?.print();
        parts::report(&missing)?;
    }
    Ok(())
}
