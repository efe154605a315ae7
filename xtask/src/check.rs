//! Everything that has to hold before a change is done.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};

use crate::{setup, shell, test};

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Leave out the tests and the fuzz targets.
    #[arg(long)]
    quick: bool,
    /// Run nothing but the fuzz targets.
    #[arg(long, conflicts_with = "quick")]
    fuzz: bool,
}

const DENY_VERSION: &str = "0.20.2";
const FUZZ_VERSION: &str = "0.13.2";
const FUZZ_SECONDS: u32 = 20;

/// Runs all checks, the fast ones first.
pub(crate) fn run(args: &Args) -> Result<()> {
    if args.fuzz {
        return fuzz();
    }
    setup::wasm_target()?;
    shell::step("format");
    shell::run(shell::cargo().args(["fmt", "--all", "--check"]))?;
    shell::step("clippy");
    shell::run(shell::cargo().args(["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"]))?;
    shell::step("all packages natively");
    shell::run(shell::cargo().args(["build", "--workspace"]))?;
    shell::step("the wire core for guests");
    let bare = ["--package", "sluice-wire", "--no-default-features", "--target", "wasm32-wasip2"];
    shell::run(shell::cargo().arg("check").args(bare))?;
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
        let mut command = Command::new(&deny);
        command.current_dir(shell::root()).args(["--workspace", "check", "--hide-inclusion-graph"]).args(what);
        command
    };
    shell::run(&mut check(&["licenses", "bans", "sources"]))?;
    let log = shell::target().join("advisories.log");
    let fetched = shell::run_logged(Command::new(&deny).current_dir(shell::root()).args(["fetch", "db"]), &log);
    match fetched {
        Ok(()) => shell::run(&mut check(&["advisories"])),
        Err(_) => {
            println!("skipped: advisories (their database can't be reached from here)");
            Ok(())
        }
    }
}

/// A short run of each fuzz target. What they check is also run on generated input by the tests of sdk/wire.
fn fuzz() -> Result<()> {
    let toolchains = shell::output(Command::new("rustup").args(["toolchain", "list"])).unwrap_or_default();
    if !toolchains.contains("nightly") {
        anyhow::ensure!(!shell::in_ci(), "the fuzz targets need a nightly toolchain, which is an error in CI");
        println!(
            "skipped: fuzz targets (there is no nightly toolchain; `rustup toolchain install nightly` adds one). What \
             they check was run on generated input by the tests."
        );
        return Ok(());
    }
    setup::cargo_tool("cargo-fuzz", FUZZ_VERSION, "cargo-fuzz")?;
    let targets = shell::output(&mut fuzzer("list")?).context("tests/fuzz")?;
    for target in targets.lines() {
        shell::step(&format!("fuzzing {target} for {FUZZ_SECONDS} s, after a build of about a minute the first time"));
        let corpus = shell::target().join("fuzz").join("corpus").join(target);
        std::fs::create_dir_all(&corpus)?;
        let mut run = fuzzer("run")?;
        run.arg("--target-dir").arg(shell::target().join("fuzz")).arg(target);
        run.arg(corpus).arg(Path::new("seeds").join(target));
        run.args(["--", &format!("-max_total_time={FUZZ_SECONDS}"), "-verbosity=0", "-print_final_stats=1"]);
        // The fuzzer ends with a long list of byte sequences that it recommends; a failure shows the end of the log.
        let log = shell::target().join("fuzz").join(format!("{target}.log"));
        shell::run_logged(&mut run, &log)?;
        let text = std::fs::read_to_string(&log)?;
        let inputs = text.lines().find_map(|line| line.strip_prefix("stat::number_of_executed_units:"));
        println!("{} inputs, none of which {target} fails on", inputs.context("the fuzzer ran nothing")?.trim());
    }
    Ok(())
}

/// A command of cargo-fuzz, which wants to be called by a cargo that finds it.
fn fuzzer(command: &str) -> Result<Command> {
    let tools = shell::target().join("tools").join(format!("cargo-fuzz-{FUZZ_VERSION}")).join("bin");
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut fuzzer = shell::cargo_of("nightly");
    fuzzer.env("PATH", std::env::join_paths(std::iter::once(tools).chain(std::env::split_paths(&path)))?);
    fuzzer.current_dir(shell::root().join("tests/fuzz")).args(["fuzz", command, "--fuzz-dir", "."]);
    Ok(fuzzer)
}
