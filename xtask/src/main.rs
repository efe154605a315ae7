//! Project tasks: `cargo xtask build | demo | test | check | bench | profile`.

mod bench;
mod build;
mod check;
mod demo;
mod parts;
mod profile;
mod setup;
mod shell;
mod test;

use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};

/// Builds, shows, tests and measures Sluice.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Build target/release/sluice with the standard stages inside, compiled ahead of time.
    Build,
    /// Show the whole thing at work on this machine: two tenants, four stages, a hot reload, and the sums.
    Demo(demo::Args),
    /// Set up what the tests need and run all of them; what can't be had here is named as skipped (an error in CI).
    Test(test::Args),
    /// Format, clippy, cargo-deny, docs, all tests, the fuzz targets for a short while.
    Check(check::Args),
    /// Measure, and print each number beside its goal.
    Bench(bench::Args),
    /// Count anew what the host does often, for `build` to lay out its code by; before a release, it takes minutes.
    Profile,
    /// Fetch and build the real parts that tests and benchmarks use, and say which can't be had.
    Parts,
}

fn main() -> ExitCode {
    match run(Cli::parse().task) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // One line, and no backtrace even where RUST_BACKTRACE asks for one: it says what to do.
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(task: Task) -> Result<()> {
    match task {
        Task::Build => build::run().map(drop),
        Task::Demo(args) => demo::run(&args),
        Task::Test(args) => test::run(&args),
        Task::Check(args) => check::run(&args),
        Task::Bench(args) => bench::run(&args),
        Task::Profile => profile::run(),
        Task::Parts => parts::run(),
    }
}
