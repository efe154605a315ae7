//! What runs without `--config`: the quickstart, which needs nothing but this machine.

use std::io;
use std::path::PathBuf;

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
    std::fs::create_dir_all(data.join("plugins")).map_err(failed)?;
    super::say(&format!(
        "no --config: running the quickstart, which listens on loopback and writes to {}",
        data.display()
    ));
    Ok(format!("yaml:{CONFIG}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{self, Config, Sources};

    /// What runs, and the directory that it names.
    fn loaded() -> (Config, tempfile::TempDir) {
        let work = tempfile::tempdir().expect("a directory");
        let data = work.path().join("data").display().to_string();
        let environment = |name: &str| (name == DIRECTORY_VARIABLE).then(|| data.clone());
        let source = prepare(environment).expect("prepared");
        let sources = Sources { configs: vec![source], sets: Vec::new() };
        (config::load(&sources, &environment).expect("valid"), work)
    }

    /// The values of these keys, wherever they stand.
    fn values_of(keys: &[&str], node: &serde_yaml::Value, found: &mut Vec<String>) {
        for (key, value) in node.as_mapping().into_iter().flatten() {
            match value.as_str() {
                Some(text) if keys.iter().any(|wanted| key == *wanted) => found.push(text.to_owned()),
                _ => values_of(keys, value, found),
            }
        }
        node.as_sequence().into_iter().flatten().for_each(|element| values_of(keys, element, found));
    }

    #[test]
    fn needs_nothing_but_this_machine() {
        let (config, _work) = loaded();
        // Defaults are filled in.
        let whole = serde_yaml::from_str(&config::print(&config, &|_| None)).expect("YAML");
        let mut addresses = Vec::new();
        values_of(&["endpoint", "host", "address"], &whole, &mut addresses);
        assert_eq!(addresses.len(), 4, "gRPC, HTTP, health and metrics: {addresses:?}");
        for address in addresses {
            let host = address.rsplit_once(':').map_or(address.as_str(), |(host, _)| host);
            let ip = host.parse::<std::net::IpAddr>().expect("an address, not a name");
            assert!(ip.is_loopback(), "{address}");
        }
        for (id, exporter) in &config.exporters {
            assert!(matches!(exporter, config::ExporterConfig::File(_)), "{id} sends to somebody");
        }
    }

    #[test]
    fn is_a_valid_configuration_whose_directory_exists() {
        let (config, _work) = loaded();
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
