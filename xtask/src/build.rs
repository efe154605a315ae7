//! Builds the one file: the host with the standard stages inside, compiled ahead of time by the host itself.

mod guided;

use std::path::{Path, PathBuf};

use anyhow::Result;

use crate::{setup, shell};

/// How to build.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Also build target/profile-guided/sluice, by what the host does under the benchmark's load; takes two more builds.
    #[arg(long)]
    pub(crate) profile_guided: bool,
}

/// Builds the host and gives its path.
pub(crate) fn run(profile_guided: bool) -> Result<PathBuf> {
    let binary = plain()?;
    tell(&binary)?;
    if !profile_guided {
        return Ok(binary);
    }
    let binary = guided::run()?;
    tell(&binary)?;
    Ok(binary)
}

/// Builds `target/release/sluice` and gives its path.
///
/// The first pass embeds the stages as WebAssembly. Only the finished host knows how to compile them for its own
/// engine, so it does that, and the second pass embeds the machine code, too. Where nothing changed since, the first pass
/// has that code already, and neither does anything.
pub(crate) fn plain() -> Result<PathBuf> {
    setup::wasm_target()?;
    let binary = shell::target().join("release").join("sluice");
    let ahead = ahead();
    std::fs::create_dir_all(&ahead)?;
    let pass = || {
        let mut cargo = shell::cargo();
        shell::run(cargo.args(["build", "--release", "--package", "sluice"]).env("SLUICE_PRECOMPILED_DIR", &ahead))
    };
    shell::step("building the host and the standard stages");
    pass()?;
    shell::step("compiling the standard stages ahead of time");
    shell::run(std::process::Command::new(&binary).args(["plugin", "precompile", "--output"]).arg(&ahead))?;
    shell::step("embedding the compiled stages");
    pass()?;
    Ok(binary)
}

/// Where the stages' machine code is that the host has compiled.
fn ahead() -> PathBuf {
    shell::target().join("precompiled")
}

fn tell(binary: &Path) -> Result<()> {
    let size = std::fs::metadata(binary)?.len();
    shell::step(&format!("{} ({:.1} MB)", binary.display(), size as f64 / 1e6));
    Ok(())
}
