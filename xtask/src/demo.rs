//! `cargo xtask demo`: sets up and builds everything that the demo needs, then runs it (`tests/src/bin/sluice-demo`).

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Result, bail};

use crate::{build, parts, setup, shell};

/// What to show.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Keep it running until Ctrl-C, so that you can send telemetry of your own and replace plugins.
    #[arg(long)]
    stay: bool,
    /// Send to real stores, too, which are fetched once.
    #[arg(long, value_name = "STORES", value_delimiter = ',', value_parser = ["prometheus", "opensearch"])]
    with: Vec<String>,
}

const PLUGIN: &str = "sluice-example-first-plugin";
const TARGET: &str = "wasm32-wasip2";

/// Sets up, builds and shows.
pub(crate) fn run(args: &Args) -> Result<()> {
    setup::wasm_target()?;
    fetch_stores(&args.with)?;
    shell::step("the first build takes some minutes, later ones seconds");
    let sluice = build::run()?;
    shell::step("building the senders and the demo");
    let tools = build::release(&["--package", "sluice-tests", "--bins"])?;
    let dir = shell::target().join("demo");
    let editions = [edition(&[], "first")?, edition(&["--features", "words"], "second")?];
    let mut demo = Command::new(tools.join("sluice-demo"));
    demo.current_dir(shell::root()).env("SLUICE_PARTS", parts::dir());
    demo.arg("--sluice").arg(sluice).arg("--load").arg(tools.join("otlp-load"));
    demo.arg("--plugin").args(editions).arg("--dir").arg(dir);
    if !args.with.is_empty() {
        demo.args(["--with", &args.with.join(",")]);
    }
    if args.stay {
        demo.arg("--stay");
    }
    shell::become_program(&mut demo)
}

/// Fetches the stores that were asked for; one that can't be had ends the demo, since somebody wants to see it.
fn fetch_stores(stores: &[String]) -> Result<()> {
    if stores.is_empty() {
        return Ok(());
    }
    let names: Vec<&str> = stores.iter().map(String::as_str).collect();
    let missing = parts::fetch(&names);
    let reasons: Vec<String> = missing.iter().map(|part| format!("{}: {}", part.title, part.reason)).collect();
    if !reasons.is_empty() {
        bail!("can't be had on this machine: {}", reasons.join("; "));
    }
    Ok(())
}

/// Builds an edition of the example plugin, and keeps it beside the other one.
fn edition(features: &[&str], name: &str) -> Result<PathBuf> {
    shell::step(&format!("building the {name} edition of examples/first-plugin"));
    let mut cargo = shell::cargo();
    cargo.args(["build", "--release", "--target", TARGET, "--package", PLUGIN]).args(features);
    shell::run(&mut cargo)?;
    let kept = shell::target().join("plugins").join(format!("status_class-{name}.wasm"));
    if let Some(dir) = kept.parent() {
        std::fs::create_dir_all(dir)?;
    }
    std::fs::copy(shell::target().join(TARGET).join("release").join("status_class.wasm"), &kept)?;
    Ok(kept)
}
