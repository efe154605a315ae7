//! Builds the one file: the host with the standard stages inside, compiled ahead of time by the host itself, and laid
//! out by the profile that `cargo xtask profile` made.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::{setup, shell};

/// Builds `target/release/sluice` and gives its path.
///
/// The first pass embeds the stages as WebAssembly. Only the finished host knows how to compile them for its own
/// engine, so it does that, and the second pass embeds the machine code, too. Where nothing changed since, the first pass
/// has that code already, and neither does anything.
pub(crate) fn run() -> Result<PathBuf> {
    setup::wasm_target()?;
    let profile = profile(&setup::host()?);
    if !profile.is_file() {
        shell::step("no profile for this target: `cargo xtask profile` makes one");
    } else if std::fs::read_to_string(origin(&profile)).unwrap_or_default() != dependencies()? {
        shell::step("the profile is of other dependencies: `cargo xtask profile` counts anew");
    }
    std::fs::create_dir_all(ahead())?;
    shell::step("building the host and the standard stages");
    let built = release(&["--package", "sluice"])?.join("sluice");
    shell::step("compiling the standard stages ahead of time");
    shell::run(Command::new(&built).args(["plugin", "precompile", "--output"]).arg(ahead()))?;
    shell::step("embedding the compiled stages");
    release(&["--package", "sluice"])?;
    carries_the_code(&built)?;
    let binary = shell::target().join("release").join("sluice");
    replace(&built, &binary)?;
    let size = std::fs::metadata(&binary)?.len();
    shell::step(&format!("{} ({:.1} MB)", binary.display(), size as f64 / 1e6));
    Ok(binary)
}

/// Without the code it would work, too, and compile the stages at each start.
fn carries_the_code(binary: &Path) -> Result<()> {
    let bytes = std::fs::read(binary)?;
    let mut stages = 0;
    for entry in std::fs::read_dir(ahead())? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "cwasm") {
            let code = std::fs::read(&path)?;
            let sample = &code[code.len() / 2..][..64];
            let carried = bytes.windows(sample.len()).any(|window| window == sample);
            anyhow::ensure!(carried, "{} is not in {}", path.display(), binary.display());
            stages += 1;
        }
    }
    anyhow::ensure!(stages > 0, "no standard stage was compiled ahead of time");
    Ok(())
}

/// A release build of something, by the profile if there is one. Gives the directory of the binaries.
pub(crate) fn release(what: &[&str]) -> Result<PathBuf> {
    let profile = profile(&setup::host()?);
    let flag = if profile.is_file() { by_profile(&profile)? } else { String::new() };
    release_with(&flag, &shell::target(), what)
}

/// A program that a release build left.
pub(crate) fn binary(name: &str) -> Result<PathBuf> {
    Ok(shell::target().join(setup::host()?).join("release").join(name))
}

/// A release build with a flag of the compiler. A directory has what was built with one flag only.
pub(crate) fn release_with(flag: &str, directory: &Path, what: &[&str]) -> Result<PathBuf> {
    let host = setup::host()?;
    let mut cargo = shell::cargo();
    // With a target named, the flag concerns no build script and no macro.
    cargo.args(["build", "--release", "--target", &host, "--target-dir"]).arg(directory).args(what);
    cargo.env_remove("RUSTFLAGS").env("SLUICE_PRECOMPILED_DIR", ahead());
    cargo.env(format!("CARGO_TARGET_{}_RUSTFLAGS", host.to_uppercase().replace('-', "_")), flag);
    shell::run(&mut cargo)?;
    Ok(directory.join(host).join("release"))
}

/// What runs often on a target, as counted when it was last asked for.
pub(crate) fn profile(target: &str) -> PathBuf {
    shell::root().join("host/profiles").join(format!("{target}.profdata"))
}

/// Beside a profile: what it was counted with. Symbols have hashes in their names that tell the compiler and all
/// dependencies, so that functions are not found in a profile of others.
pub(crate) fn origin(profile: &Path) -> PathBuf {
    profile.with_extension("of")
}

/// A hash of all that decides about the names of symbols.
pub(crate) fn dependencies() -> Result<String> {
    let mut hasher = DefaultHasher::new();
    for file in ["rust-toolchain.toml", "Cargo.lock", "Cargo.toml", "host/Cargo.toml", "sdk/wire/Cargo.toml"] {
        let bytes = std::fs::read(shell::root().join(file)).with_context(|| format!("can't read {file}"))?;
        bytes.hash(&mut hasher);
    }
    Ok(format!("{:016x}\n", hasher.finish()))
}

/// The compiler's flag. The profile gets a name that tells its content, since cargo knows flags but no such files.
fn by_profile(profile: &Path) -> Result<String> {
    let counts = std::fs::read(profile).with_context(|| format!("can't read {}", profile.display()))?;
    let mut hasher = DefaultHasher::new();
    counts.hash(&mut hasher);
    let named = shell::target().join("profiles").join(format!("{:016x}.profdata", hasher.finish()));
    if !named.is_file() {
        replace(profile, &named)?;
    }
    // A function that changed since is built without counts, which is no news.
    Ok(format!("-Cprofile-use={} -Cllvm-args=-no-pgo-warn-mismatch", named.display()))
}

/// Puts a copy in the place of a file, which may be running.
fn replace(from: &Path, to: &Path) -> Result<()> {
    if let Some(directory) = to.parent() {
        std::fs::create_dir_all(directory)?;
    }
    let fresh = to.with_extension("new");
    std::fs::copy(from, &fresh).with_context(|| format!("can't copy {} to {}", from.display(), fresh.display()))?;
    std::fs::rename(&fresh, to).with_context(|| format!("can't write {}", to.display()))
}

/// Where the stages' machine code is that the host has compiled.
fn ahead() -> PathBuf {
    shell::target().join("precompiled")
}
