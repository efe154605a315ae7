//! The running process: all components of a configuration, joined.

use std::process::ExitCode;

use crate::config::{Config, ConfigErrors};

/// Runs a configuration until the process is told to stop.
pub fn run(config: Config) -> ExitCode {
    drop(config);
    eprintln!("error: the components are not joined to a process yet");
    ExitCode::FAILURE
}

/// Checks the blocks of plugins by the plugins' own schemas and `configure` functions.
///
/// # Errors
/// All mistakes in them.
pub fn check_plugins(_config: &Config) -> Result<(), ConfigErrors> {
    Ok(())
}
