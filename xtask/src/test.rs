//! All tests, with all that they need.

use anyhow::Result;

use crate::{parts, setup, shell};

/// The parts that tests use; the benchmark has others.
const USED: &[&str] = &["python", "prometheus", "opensearch", "jaeger", "collector"];

#[derive(clap::Args, Default)]
pub(crate) struct Args {
    /// Don't fetch other people's servers; the tests that need them are named as skipped.
    #[arg(long)]
    without_parts: bool,
    /// Passed on to `cargo test`, for example a test's name.
    #[arg(last = true)]
    rest: Vec<String>,
}

/// Sets up and runs all tests.
pub(crate) fn run(args: &Args) -> Result<()> {
    setup::wasm_target()?;
    let missing = if args.without_parts { parts::left_out(USED) } else { parts::fetch(USED) };
    shell::step("running the tests");
    let mut cargo = shell::cargo();
    cargo.args(["test", "--workspace", "--no-fail-fast"]).args(&args.rest).env("SLUICE_PARTS", parts::dir());
    if args.rest.is_empty() {
        // Cargo builds the binary before it runs all tests; without this they would build it again, with other features.
        cargo.env("SLUICE_BIN", shell::target().join("debug/sluice"));
    }
    let passed = shell::run(&mut cargo);
    passed.and(parts::report(&missing))
}
