//! Running other programs: what is run is printed, and a failure names it.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

/// How long a command may be silent before a line says that it goes on.
const PATIENCE: Duration = Duration::from_secs(20);

/// The top of the checkout.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().map_or_else(PathBuf::new, Path::to_path_buf)
}

/// Where cargo puts what it builds, as an absolute path, whether the environment or cargo's configuration says so.
pub(crate) fn target() -> PathBuf {
    static TARGET: OnceLock<PathBuf> = OnceLock::new();
    TARGET.get_or_init(|| asked_of_cargo().unwrap_or_else(|| root().join("target"))).clone()
}

fn asked_of_cargo() -> Option<PathBuf> {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    let metadata = cargo.args(["metadata", "--no-deps", "--format-version", "1"]).current_dir(root()).output().ok()?;
    let metadata: serde_json::Value = serde_json::from_slice(&metadata.stdout).ok()?;
    Some(PathBuf::from(metadata.get("target_directory")?.as_str()?))
}

/// The cargo that runs this.
pub(crate) fn cargo() -> Command {
    plain(Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into())))
}

/// The cargo of another toolchain than the pinned one.
pub(crate) fn cargo_of(toolchain: &str) -> Command {
    let mut cargo = plain(Command::new("cargo"));
    cargo.env_remove("RUSTUP_TOOLCHAIN").arg(format!("+{toolchain}"));
    cargo
}

/// A command at the top of the checkout, without what `cargo run` says about the package xtask: build scripts look at it
/// (ring's does), and all that depends on them would be built again whenever cargo is called directly, and once more by
/// the next xtask.
fn plain(mut command: Command) -> Command {
    for (name, _) in std::env::vars_os() {
        let name = name.to_string_lossy();
        if ["CARGO_PKG_", "CARGO_MANIFEST_"].iter().any(|prefix| name.starts_with(prefix)) {
            command.env_remove(&*name);
        }
    }
    if std::env::var_os("CARGO_TARGET_DIR").is_some() {
        // Programs run in directories of their own, where a relative path would mean another place.
        command.env("CARGO_TARGET_DIR", target());
    }
    command.current_dir(root());
    command
}

/// Whether a program can be started.
pub(crate) fn has(program: &str) -> bool {
    let found = |dir: PathBuf| dir.join(program).is_file();
    std::env::var_os("PATH").is_some_and(|path| std::env::split_paths(&path).any(found))
}

/// Whether this runs in continuous integration, where nothing may be skipped.
pub(crate) fn in_ci() -> bool {
    std::env::var_os("CI").is_some_and(|value| !value.is_empty() && value != "false")
}

/// Prints one line of progress.
pub(crate) fn step(what: &str) {
    println!("\x1b[1;32m{:>12}\x1b[0m {what}", "xtask");
}

/// Runs a command to its end, showing what it prints.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let shown = show(command);
    let status = command.status().with_context(|| format!("can't start {shown}"))?;
    if !status.success() {
        bail!("{shown}: {status}");
    }
    Ok(())
}

/// Becomes another program, so that Ctrl-C reaches it and nobody who would end before it. Returns only if it can't start.
pub(crate) fn become_program(command: &mut Command) -> Result<()> {
    use std::os::unix::process::CommandExt;
    let error = command.exec();
    Err(error).with_context(|| format!("can't start {}", show(command)))
}

/// Runs a command to its end, keeping what it prints in a file and showing the end of it on failure. What takes long
/// says now and then that it goes on.
pub(crate) fn run_logged(command: &mut Command, log: &Path) -> Result<()> {
    let shown = show(command);
    let file = std::fs::File::create(log).with_context(|| format!("can't write {}", log.display()))?;
    command.stdin(Stdio::null()).stdout(file.try_clone()?).stderr(file);
    let mut child = command.spawn().with_context(|| format!("can't start {shown}"))?;
    let started = Instant::now();
    let mut next = PATIENCE;
    let status = loop {
        if let Some(status) = child.try_wait()? {
            break status;
        }
        if started.elapsed() >= next {
            step(&format!("goes on, {} s now; its output is in {}", next.as_secs(), log.display()));
            next += PATIENCE;
        }
        std::thread::sleep(Duration::from_millis(50));
    };
    if !status.success() {
        let text = std::fs::read_to_string(log).unwrap_or_default();
        let tail: Vec<&str> = text.lines().rev().take(15).collect();
        let tail: Vec<&str> = tail.into_iter().rev().collect();
        bail!("{shown}: {status}\n{}", tail.join("\n"));
    }
    Ok(())
}

/// What a command prints, if it succeeds.
pub(crate) fn output(command: &mut Command) -> Result<String> {
    let shown = show(command);
    let output = command.stderr(Stdio::piped()).output().with_context(|| format!("can't start {shown}"))?;
    if !output.status.success() {
        bail!("{shown}: {}\n{}", output.status, String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

fn show(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(OsStr::to_string_lossy).collect::<Vec<_>>().join(" ")
}
