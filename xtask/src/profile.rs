//! Counts which branches the host takes and which calls it makes at work, for `cargo xtask build` to lay out its code by.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};

use crate::bench::{self, GRPC, HTTP, Measured, SINK, example};
use crate::{build, setup, shell};

/// What it does while it counts: the benchmark's own work first and longest, then what else has to be fast.
///
/// Code that does not run here counts as rare and is built to be small. So each encoding in and out has its turn.
const WORK: [(&str, &[Load]); 3] = [
    ("four-stages.yaml", &[Load::grpc("traces", 300), Load::grpc("logs", 300), Load::grpc("metrics", 300)]),
    ("remote-write.yaml", &[Load::grpc("metrics", 150)]),
    (
        "every-exporter.yaml",
        &[
            Load::gzip("traces", 60),
            Load::gzip("logs", 60),
            Load::gzip("metrics", 60),
            Load::json("traces", 40),
            Load::json("logs", 40),
            Load::json("metrics", 40),
        ],
    ),
];

/// Requests of a signal.
struct Load {
    signal: &'static str,
    requests: u16,
    encoding: Encoding,
}

enum Encoding {
    /// OTLP/gRPC.
    Grpc,
    /// OTLP/HTTP with gzip.
    Gzip,
    /// OTLP/HTTP with JSON, as the exporter `file` wrote it before.
    Json,
}

impl Load {
    const fn grpc(signal: &'static str, requests: u16) -> Self {
        Self { signal, requests, encoding: Encoding::Grpc }
    }

    const fn gzip(signal: &'static str, requests: u16) -> Self {
        Self { signal, requests, encoding: Encoding::Gzip }
    }

    const fn json(signal: &'static str, requests: u16) -> Self {
        Self { signal, requests, encoding: Encoding::Json }
    }

    fn send(&self, work: &Path) -> Result<()> {
        shell::step(&format!("having it count: {}", self.signal));
        let mut command = Command::new(build::binary("otlp-load")?);
        command.args(["--signal", self.signal, "--requests", &self.requests.to_string()]);
        match self.encoding {
            Encoding::Grpc => command.args(["--grpc", GRPC]),
            Encoding::Gzip => command.args(["--http", HTTP, "--gzip"]),
            Encoding::Json => command.args(["--http", HTTP, "--json"]).arg(work.join(format!("{}.json", self.signal))),
        };
        let text = shell::output(&mut command)?;
        ensure!(text.contains("failed_requests=0"), "requests were refused: {}", text.trim());
        Ok(())
    }
}

/// Counts anew and writes `host/profiles/<target>.profdata`, by which `cargo xtask build` builds from then on.
pub(crate) fn run() -> Result<()> {
    let target = setup::host()?;
    let profdata = profdata(&target)?;
    let work = shell::target().join("profile");
    let counts = work.join("counts");
    for old in [&counts, &work.join("files")] {
        if old.exists() {
            std::fs::remove_dir_all(old)?;
        }
    }
    setup::wasm_target()?;
    bench::tools()?;
    shell::step("building the host with counters in it");
    let flag = format!("-Cprofile-generate={}", counts.display());
    let counting = build::release_with(&flag, &work, &["--package", "sluice"])?.join("sluice");
    for (file, loads) in WORK {
        count(&counting, file, loads, &work.join("files")).with_context(|| file.to_owned())?;
    }
    let profile = build::profile(&target);
    if let Some(directory) = profile.parent() {
        std::fs::create_dir_all(directory)?;
    }
    // Without what never ran, it is a tenth of the size.
    shell::run(Command::new(profdata).args(["merge", "--sparse", "-o"]).args([&profile, &counts]))?;
    std::fs::write(build::origin(&profile), build::dependencies()?)?;
    shell::step(&format!("{}: commit it; the next build goes by it", profile.display()));
    Ok(())
}

/// Has the host do some work. It writes its counts when it ends.
fn count(counting: &Path, file: &str, loads: &[Load], work: &Path) -> Result<()> {
    std::fs::create_dir_all(work)?;
    for address in [SINK, GRPC, HTTP] {
        bench::ensure_free(address)?;
    }
    let mut sink = Measured::start(Command::new(build::binary("otlp-sink")?).arg(SINK), &work.join("sink.log"))?;
    sink.wait_for_port(SINK)?;
    let mut command = Command::new(counting);
    command.arg("--config").arg(example(file)).env("WORK", work);
    let mut process = Measured::start(&mut command, &work.join("sluice.log"))?;
    process.wait_for_port(GRPC)?;
    for load in loads {
        load.send(work)?;
        process.settled_cpu_seconds()?;
    }
    Ok(())
}

/// LLVM's tool that joins counts, of the compiler's version of LLVM: rustup's, or one of the system.
fn profdata(host: &str) -> Result<PathBuf> {
    let version = setup::rustc_says("LLVM version")?;
    let major = version.split('.').next().unwrap_or_default();
    let ours = setup::sysroot()?.join("lib/rustlib").join(host).join("bin/llvm-profdata");
    let names = [format!("llvm-profdata-{major}"), "llvm-profdata".to_owned()];
    let fits = |name: &&String| {
        let says = || shell::output(Command::new(name).arg("--version"));
        shell::has(name) && says().is_ok_and(|text| text.contains(&format!("version {major}.")))
    };
    if !ours.is_file() {
        if let Some(name) = names.iter().find(fits) {
            return Ok(name.into());
        }
        let toolchain = setup::toolchain()?;
        let advice = format!(
            "counting needs llvm-profdata of LLVM {major}: run `rustup component add llvm-tools \
             --toolchain {toolchain}` where there is a network, or install the system's llvm-{major}"
        );
        if !shell::has("rustup") {
            bail!(advice);
        }
        shell::step(&format!("adding llvm-tools to {toolchain}"));
        let mut rustup = Command::new("rustup");
        shell::run(rustup.args(["component", "add", "llvm-tools", "--toolchain", &toolchain])).context(advice)?;
    }
    Ok(ours)
}
