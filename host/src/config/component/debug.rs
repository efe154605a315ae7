//! Exporters `debug` and `logging` (its name until 2024): telemetry as text in the process's own log.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Check;
use crate::config::error::Findings;
use crate::config::service::LogLevel;

/// How much is written of each batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(extend("x-ignore-case" = true))]
pub enum Verbosity {
    /// One line per batch: how many items.
    #[default]
    Basic,
    /// One line per item.
    Normal,
    /// Everything. Not for production: telemetry may hold personal data.
    Detailed,
}

/// Settings of the exporter `debug`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct DebugConfig {
    /// How much is written. Default: basic.
    pub verbosity: Verbosity,
    /// How many batches are written in each second before sampling sets in. Default: 2.
    pub sampling_initial: u32,
    /// After that, every so-manieth; 0: none. Default: 1, which writes all.
    pub sampling_thereafter: u32,
    /// Writes to the process's log, at INFO. Default: true.
    pub use_internal_logger: bool,
    /// Where to write with `use_internal_logger: false`, and only then: `stdout`, `stderr` or files. Default: stdout.
    pub output_paths: Option<Vec<String>>,
    /// Accepted as in the collector.
    #[schemars(extend("x-no-effect" = "what it writes waits in no queue"))]
    pub sending_queue: BTreeMap<String, Value>,
}

impl Default for DebugConfig {
    fn default() -> Self {
        Self {
            verbosity: Verbosity::Basic,
            sampling_initial: 2,
            sampling_thereafter: 1,
            use_internal_logger: true,
            output_paths: None,
            sending_queue: BTreeMap::new(),
        }
    }
}

impl Check for DebugConfig {
    fn check(&self, findings: &mut Findings) {
        match &self.output_paths {
            Some(_) if self.use_internal_logger => findings.error(
                "output_paths",
                "is not supported when use_internal_logger is true; set use_internal_logger: false, or remove the key",
            ),
            Some(paths) if paths.is_empty() => {
                findings.error("output_paths", "must not be empty when use_internal_logger is false");
            }
            _ => {}
        }
    }
}

/// Settings of the exporter `logging`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct LoggingConfig {
    /// How much is written: debug means `detailed`, info `normal`, and all above `basic`. Default: info. Not together with
    /// `verbosity`.
    pub loglevel: Option<LogLevel>,
    /// As in `debug`. Default: normal. Not together with `loglevel`.
    pub verbosity: Option<Verbosity>,
    /// As in `debug`. Default: 2.
    pub sampling_initial: u32,
    /// As in `debug`. Default: 500.
    pub sampling_thereafter: u32,
}

impl Default for LoggingConfig {
    fn default() -> Self {
        Self { loglevel: None, verbosity: None, sampling_initial: 2, sampling_thereafter: 500 }
    }
}

impl LoggingConfig {
    /// The same as settings of `debug`, which is what runs.
    pub fn to_debug(&self) -> DebugConfig {
        let from_level = match self.loglevel {
            Some(LogLevel::Debug) => Verbosity::Detailed,
            None | Some(LogLevel::Info) => Verbosity::Normal,
            Some(_) => Verbosity::Basic,
        };
        DebugConfig {
            verbosity: self.verbosity.unwrap_or(from_level),
            sampling_initial: self.sampling_initial,
            sampling_thereafter: self.sampling_thereafter,
            ..DebugConfig::default()
        }
    }
}

impl Check for LoggingConfig {
    fn check(&self, findings: &mut Findings) {
        if self.loglevel.is_some() && self.verbosity.is_some() {
            findings.error("loglevel", "can't be used together with verbosity; keep verbosity");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn maps_log_levels_to_verbosities() {
        let cases = [
            (None, Verbosity::Normal),
            (Some(LogLevel::Debug), Verbosity::Detailed),
            (Some(LogLevel::Info), Verbosity::Normal),
            (Some(LogLevel::Warn), Verbosity::Basic),
            (Some(LogLevel::Error), Verbosity::Basic),
        ];
        for (loglevel, verbosity) in cases {
            let debug = LoggingConfig { loglevel, ..LoggingConfig::default() }.to_debug();
            assert_eq!((debug.verbosity, debug.sampling_initial, debug.sampling_thereafter), (verbosity, 2, 500));
        }
    }
}
