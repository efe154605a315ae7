//! Debian's packages, unpacked without being installed, so that no root is needed and the system stays as it is.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};

use crate::shell;

/// Downloads a package and unpacks it.
pub(crate) fn fetch(package: &str, dir: &Path) -> Result<()> {
    let log = dir.join("fetch.log");
    let download = || shell::run_logged(Command::new("apt-get").args(["download", package]).current_dir(dir), &log);
    if download().is_err() {
        let update = shell::run_logged(Command::new("apt-get").arg("update"), &log);
        update.context("the package lists are missing and can't be fetched: run `apt-get update` as root")?;
        download()?;
    }
    let is_package = |path: &std::path::PathBuf| path.extension().is_some_and(|extension| extension == "deb");
    let files = std::fs::read_dir(dir)?.collect::<Result<Vec<_>, _>>()?;
    let file = files.into_iter().map(|entry| entry.path()).find(is_package).context("nothing was downloaded")?;
    shell::run(Command::new("dpkg-deb").arg("--extract").arg(&file).arg(dir))
}
