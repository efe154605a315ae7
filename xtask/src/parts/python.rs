//! Clients and servers from PyPI, in a virtual environment of their own.

use std::path::Path;
use std::process::Command;

use anyhow::Result;

use crate::shell;

/// Creates the environment. It is not relocatable, so it is built where it stays, and a marker says that it is whole.
pub(crate) fn fetch(dir: &Path) -> Result<()> {
    let home = super::dir().join("python-venv");
    super::remove(&home)?;
    let log = dir.join("fetch.log");
    shell::run_logged(Command::new("python3").args(["-m", "venv"]).arg(&home), &log)?;
    let requirements = shell::root().join("tests/real/requirements.txt");
    let mut pip = Command::new(home.join("bin/pip"));
    shell::run_logged(pip.args(["install", "--quiet", "--no-cache-dir", "--requirement"]).arg(requirements), &log)?;
    Ok(std::fs::write(dir.join("ready"), "")?)
}
