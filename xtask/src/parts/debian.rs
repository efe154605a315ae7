//! Debian's packages, unpacked without being installed, so that no root is needed and the system stays as it is.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};

use crate::shell;

/// Downloads a package and unpacks it, by the system's package lists or, where it has none, by lists of our own.
pub(crate) fn fetch(package: &str, dir: &Path) -> Result<()> {
    let log = dir.join("fetch.log");
    let download = |apt: &mut Command| shell::run_logged(apt.args(["download", package]).current_dir(dir), &log);
    if download(&mut Command::new("apt-get")).is_err() {
        let own = super::dir().join("apt");
        let updated = apt_within(&own).and_then(|mut apt| shell::run_logged(apt.arg("update"), &log));
        updated.context("the package lists are missing and can't be fetched")?;
        download(&mut apt_within(&own)?)?;
    }
    let is_package = |path: &std::path::PathBuf| path.extension().is_some_and(|extension| extension == "deb");
    let files = std::fs::read_dir(dir)?.collect::<Result<Vec<_>, _>>()?;
    let file = files.into_iter().map(|entry| entry.path()).find(is_package).context("nothing was downloaded")?;
    shell::run(Command::new("dpkg-deb").arg("--extract").arg(&file).arg(dir))
}

/// apt-get with lists and caches in a directory of our own.
fn apt_within(dir: &Path) -> Result<Command> {
    let mut apt = Command::new("apt-get");
    for (option, name) in [("Dir::State::Lists", "lists"), ("Dir::Cache", "cache")] {
        std::fs::create_dir_all(dir.join(name).join("partial"))?;
        apt.arg("-o").arg(format!("{option}={}", dir.join(name).display()));
    }
    Ok(apt)
}
