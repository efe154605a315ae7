//! Builds the host by what it does at work: a first build counts which branches are taken and which calls are made, and
//! the second has the compiler lay out and inline by that (profile-guided optimisation).

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::bench::{self, Contender};
use crate::{setup, shell};

/// What it does while it counts: configurations in `examples/bench`, and signals.
const WORK: [(&str, &str); 5] = [
    ("four-stages.yaml", "traces"),
    ("four-stages.yaml", "logs"),
    ("four-stages.yaml", "metrics"),
    ("pass-through.yaml", "traces"),
    ("remote-write.yaml", "metrics"),
];

/// Builds `target/profile-guided/sluice` and gives its path. The code of the stages has been compiled already.
pub(super) fn run() -> Result<PathBuf> {
    let host = setup::rustc_says("host")?;
    let profdata = profdata(&host)?;
    let home = shell::target().join("profile-guided");
    let (counts, profile) = (home.join("counts"), home.join("counts.profdata"));
    if counts.exists() {
        std::fs::remove_dir_all(&counts)?;
    }
    shell::step("building the host with counters in it");
    let counting = build(&host, &home.join("counting"), &format!("-Cprofile-generate={}", counts.display()))?;
    bench::tools()?;
    for (file, signal) in WORK {
        shell::step(&format!("having it count: {file}, {signal}"));
        Contender::sluice("the host with counters", &counting, file).run(signal, &home)?;
    }
    shell::run(Command::new(profdata).args(["merge", "-o"]).args([&profile, &counts]))?;
    shell::step("building the host by what was counted");
    let guided = build(&host, &home.join("guided"), &format!("-Cprofile-use={}", profile.display()))?;
    let binary = home.join("sluice");
    std::fs::copy(&guided, &binary).with_context(|| format!("can't write {}", binary.display()))?;
    Ok(binary)
}

/// Builds the host with a flag of the compiler, in a directory of its own: all of it is built anew for another flag.
fn build(host: &str, directory: &Path, flag: &str) -> Result<PathBuf> {
    let mut cargo = shell::cargo();
    // With a target named, the flag concerns no build script.
    cargo.args(["build", "--release", "--package", "sluice", "--target", host, "--target-dir"]).arg(directory);
    cargo.env_remove("RUSTFLAGS").env("SLUICE_PRECOMPILED_DIR", super::ahead());
    cargo.env(format!("CARGO_TARGET_{}_RUSTFLAGS", host.to_uppercase().replace('-', "_")), flag);
    shell::run(&mut cargo)?;
    Ok(directory.join(host).join("release").join("sluice"))
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
            "a profile-guided build needs llvm-profdata of LLVM {major}: run `rustup component add llvm-tools \
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
