//! What runs without `--config`: the quickstart, which needs nothing but this machine.

use std::io;
use std::path::{Path, PathBuf};

/// The configuration; it names this directory in the same way.
const CONFIG: &str = include_str!("../../../examples/quickstart/config.yaml");
const DIRECTORY_VARIABLE: &str = "SLUICE_DATA";
const DEFAULT_DIRECTORY: &str = "sluice-data";

/// Creates the directory for plugins, where it is missing, and gives the configuration as a `--config` source.
///
/// # Errors
/// If the directory can't be created.
pub(super) fn prepare(environment: impl Fn(&str) -> Option<String>) -> Result<String, String> {
    let data = environment(DIRECTORY_VARIABLE).map_or_else(|| PathBuf::from(DEFAULT_DIRECTORY), PathBuf::from);
    let failed = |error: io::Error| {
        format!(
            "without --config the quickstart runs, which writes to {}: {error}; name a configuration with --config, or \
             another directory in {DIRECTORY_VARIABLE}",
            data.display()
        )
    };
    create(&data).map_err(failed)?;
    eprintln!("no --config: running the quickstart, which listens on loopback and writes to {}", data.display());
    Ok(format!("yaml:{CONFIG}"))
}

fn create(data: &Path) -> io::Result<()> {
    std::fs::create_dir_all(data.join("plugins"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{self, Sources};

    #[test]
    fn is_a_valid_configuration_whose_directory_exists() {
        let work = tempfile::tempdir().expect("a directory");
        let data = work.path().join("data").display().to_string();
        let environment = |name: &str| (name == DIRECTORY_VARIABLE).then(|| data.clone());
        let source = prepare(environment).expect("prepared");
        let sources = Sources { configs: vec![source], sets: Vec::new() };
        let config = config::load(&sources, &environment).expect("valid");
        assert!(config.plugins.directory.expect("named").is_dir());
        assert_eq!(config.warnings, []);
    }

    #[test]
    fn says_what_to_do_when_the_directory_cannot_be_made() {
        let file = tempfile::NamedTempFile::new().expect("a file");
        let error = prepare(|_| Some(file.path().display().to_string())).expect_err("a file is no directory");
        assert!(error.contains("--config") && error.contains(DIRECTORY_VARIABLE), "{error}");
    }
}
