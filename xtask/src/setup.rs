//! Finds out whether the toolchain has what the build needs, and adds it where it can.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::shell;

const TARGET: &str = "wasm32-wasip2";

/// Makes sure that plugins can be compiled.
///
/// `rustup target add` is called by name, so this works where automatic installation is switched off.
pub(crate) fn wasm_target() -> Result<()> {
    if sysroot()?.join("lib/rustlib").join(TARGET).join("lib").is_dir() {
        return Ok(());
    }
    if !shell::has("rustup") {
        bail!("the Rust target {TARGET} is missing and there is no rustup: install rust-std for {TARGET}");
    }
    // rustup tells what it starts which toolchain is active; that may be another than the pinned one.
    let toolchain = std::env::var("RUSTUP_TOOLCHAIN").or_else(|_| toolchain())?;
    shell::step(&format!("adding the Rust target {TARGET} to {toolchain}"));
    let add = ["target", "add", TARGET, "--toolchain", &toolchain];
    if shell::run(Command::new("rustup").args(add)).is_err() {
        bail!("no Rust target {TARGET}: run `rustup {}` where there is a network", add.join(" "));
    }
    Ok(())
}

/// Where the toolchain lies.
pub(crate) fn sysroot() -> Result<PathBuf> {
    let printed = shell::output(Command::new("rustc").args(["--print", "sysroot"]).current_dir(shell::root()))?;
    Ok(PathBuf::from(printed.trim()))
}

/// One line of `rustc --version --verbose`.
pub(crate) fn rustc_says(what: &str) -> Result<String> {
    let printed = shell::output(Command::new("rustc").args(["--version", "--verbose"]).current_dir(shell::root()))?;
    let said = printed.lines().find_map(|line| line.strip_prefix(what)?.strip_prefix(": "));
    said.map(str::to_owned).with_context(|| format!("rustc --version --verbose says no {what}"))
}

/// The target that the compiler runs on and builds for.
pub(crate) fn host() -> Result<String> {
    rustc_says("host")
}

/// The pinned toolchain, as rustup calls it.
pub(crate) fn toolchain() -> Result<String> {
    let file = shell::root().join("rust-toolchain.toml");
    let text = std::fs::read_to_string(&file).with_context(|| format!("can't read {}", file.display()))?;
    let channel = text.lines().find_map(|line| line.strip_prefix("channel = "));
    channel.map(|c| c.trim_matches('"').to_owned()).context("rust-toolchain.toml names no channel")
}

/// Makes sure that a cargo tool is there, installing it under `target/tools` where it is not, and gives its path.
pub(crate) fn cargo_tool(package: &str, version: &str, binary: &str) -> Result<PathBuf> {
    let root = shell::target().join("tools").join(format!("{package}-{version}"));
    let path = root.join("bin").join(binary);
    if !path.is_file() {
        shell::step(&format!("installing {package} {version} under target/tools (once)"));
        let log = shell::target().join("tools").join(format!("{package}.log"));
        std::fs::create_dir_all(shell::target().join("tools"))?;
        let mut cargo = shell::cargo();
        cargo.args(["install", package, "--locked", "--version", version, "--root"]).arg(&root);
        shell::run_logged(&mut cargo, &log)?;
    }
    Ok(path)
}
