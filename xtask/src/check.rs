//! Everything that has to hold before a change is done.

use anyhow::{Context, Result};

use crate::{setup, shell, test};

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Leave out the tests and the fuzz targets.
    #[arg(long)]
    quick: bool,
}

const DENY_VERSION: &str = "0.20.2";
const FUZZ_VERSION: &str = "0.13.2";
const FUZZ_SECONDS: u32 = 20;

/// Runs all checks, the fast ones first.
pub(crate) fn run(args: &Args) -> Result<()> {
    setup::wasm_target()?;
    shell::step("format");
    shell::run(shell::cargo().args(["fmt", "--all", "--check"]))?;
    shell::step("clippy");
    shell::run(shell::cargo().args(["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"]))?;
    shell::step("documentation");
    let mut doc = shell::cargo();
    shell::run(doc.args(["doc", "--workspace", "--no-deps"]).env("RUSTDOCFLAGS", "-D warnings"))?;
    deny()?;
    if args.quick {
        return Ok(());
    }
    test::run(&test::Args::default())?;
    fuzz()
}

/// Licences, bans and sources always; advisories where their database can be reached.
fn deny() -> Result<()> {
    shell::step("cargo-deny");
    let deny = setup::cargo_tool("cargo-deny", DENY_VERSION, "cargo-deny")?;
    let check = |what: &[&str]| {
        let mut command = std::process::Command::new(&deny);
        command.current_dir(shell::root()).args(["--workspace", "check", "--hide-inclusion-graph"]).args(what);
        command
    };
    shell::run(&mut check(&["licenses", "bans", "sources"]))?;
    let log = shell::target().join("advisories.log");
    let fetched =
        shell::run_logged(std::process::Command::new(&deny).current_dir(shell::root()).args(["fetch", "db"]), &log);
    match fetched {
        Ok(()) => shell::run(&mut check(&["advisories"])),
        Err(_) => {
            println!("skipped: advisories (their database can't be reached from here)");
            Ok(())
        }
    }
}

/// A short run of each fuzz target; needs a nightly toolchain.
fn fuzz() -> Result<()> {
    let toolchains =
        shell::output(std::process::Command::new("rustup").args(["toolchain", "list"])).unwrap_or_default();
    if !toolchains.contains("nightly") {
        println!("skipped: fuzz targets (they need `rustup toolchain install nightly`)");
        return Ok(());
    }
    setup::cargo_tool("cargo-fuzz", FUZZ_VERSION, "cargo-fuzz")?;
    let tools = shell::target().join("tools").join(format!("cargo-fuzz-{FUZZ_VERSION}")).join("bin");
    let path = std::env::var_os("PATH").unwrap_or_default();
    let paths = std::env::join_paths(std::iter::once(tools).chain(std::env::split_paths(&path)))?;
    let fuzz = |args: &[&str]| {
        let mut command = std::process::Command::new("cargo");
        command.current_dir(shell::root().join("tests/fuzz")).env("PATH", &paths).env_remove("RUSTUP_TOOLCHAIN");
        command.args(["+nightly", "fuzz"]).args(args);
        command
    };
    let targets = shell::output(&mut fuzz(&["list", "--fuzz-dir", "."])).context("tests/fuzz")?;
    for target in targets.lines() {
        shell::step(&format!("fuzzing {target} for {FUZZ_SECONDS} s"));
        let seconds = format!("-max_total_time={FUZZ_SECONDS}");
        shell::run(&mut fuzz(&["run", "--fuzz-dir", ".", target, "--", &seconds, "-verbosity=0"]))?;
    }
    Ok(())
}
