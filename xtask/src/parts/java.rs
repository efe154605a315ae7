//! OpenSearch, from Maven.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};

use crate::shell;

pub(crate) const VERSION: &str = "2.19.4";

/// Fetches the minimal distribution and unpacks it.
pub(crate) fn opensearch(dir: &Path) -> Result<()> {
    let log = dir.join("fetch.log");
    let artifact = format!("org.opensearch.distribution.integ-test-zip:opensearch:{VERSION}:zip");
    let mut mvn = Command::new("mvn");
    mvn.args(["--batch-mode", "dependency:copy", "-Dmdep.useBaseVersion=true", "-Dtransitive=false"]);
    mvn.arg(format!("-Dartifact={artifact}")).arg(format!("-DoutputDirectory={}", dir.display()));
    shell::run_logged(&mut mvn, &log)?;
    let zip = dir.join(format!("opensearch-{VERSION}.zip"));
    shell::run(Command::new("python3").args(["-m", "zipfile", "-e"]).arg(&zip).arg(dir))?;
    std::fs::remove_file(&zip)?;
    let unpacked = dir.join(format!("opensearch-{VERSION}"));
    for entry in std::fs::read_dir(&unpacked).context("the archive holds no directory")? {
        let entry = entry?;
        std::fs::rename(entry.path(), dir.join(entry.file_name()))?;
    }
    make_executable(&dir.join("bin"))
}

/// The archive's permissions are lost in unpacking.
fn make_executable(dir: &Path) -> Result<()> {
    use std::os::unix::fs::PermissionsExt;
    for entry in std::fs::read_dir(dir)? {
        std::fs::set_permissions(entry?.path(), std::fs::Permissions::from_mode(0o755))?;
    }
    Ok(())
}
