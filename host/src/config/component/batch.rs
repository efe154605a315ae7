//! Processor `batch`: joins what arrives into larger requests.

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Check;
use crate::config::error::Findings;
use crate::config::types::Duration;

/// Settings of the processor.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct BatchConfig {
    /// How long the first item of a batch waits at most. 0 sends everything at once, split by
    /// `send_batch_max_size`. Default: 200ms.
    pub timeout: Duration,
    /// A batch with so many spans, log records or data points is sent. 0 sends everything at once, whatever the timeout.
    /// Default: 8192.
    pub send_batch_size: u32,
    /// A batch with more items is split. 0, the default, never splits; otherwise at least `send_batch_size`. Each piece
    /// repeats its resource: once that has taken four times the batch and 64 MiB, the rest stays together.
    pub send_batch_max_size: u32,
    /// Request headers by whose values batches are kept apart. Default: none.
    pub metadata_keys: Vec<String>,
    /// Most combinations of those values; data beyond is refused. 0 is no limit. Default: 1000.
    pub metadata_cardinality_limit: u32,
}

impl Default for BatchConfig {
    fn default() -> Self {
        Self {
            timeout: Duration::from_millis(200),
            send_batch_size: 8192,
            send_batch_max_size: 0,
            metadata_keys: Vec::new(),
            metadata_cardinality_limit: 1000,
        }
    }
}

impl Check for BatchConfig {
    fn check(&self, findings: &mut Findings) {
        let Self { send_batch_size, send_batch_max_size, .. } = *self;
        if send_batch_max_size > 0 && send_batch_max_size < send_batch_size {
            let message =
                format!("{send_batch_max_size} must be greater or equal to send_batch_size ({send_batch_size})");
            findings.error("send_batch_max_size", message);
        }
        let mut seen = BTreeSet::new();
        for (index, key) in self.metadata_keys.iter().enumerate() {
            if !seen.insert(key.to_ascii_lowercase()) {
                findings
                    .error(&format!("metadata_keys::{index}"), format!("duplicate entry {key:?} (case-insensitive)"));
            }
        }
    }
}
