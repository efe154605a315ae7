//! `retry_on_failure` and `sending_queue` of exporters.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Duration;

/// `retry_on_failure`: exponential back-off with jitter. A `Retry-After` of the destination overrides the interval.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct RetryConfig {
    /// Whether a failed request is sent again at all. Default: true.
    pub enabled: bool,
    /// Wait after the first failure. Default: 5s.
    pub initial_interval: Duration,
    /// Jitter: each wait is multiplied by a random number between 1 - this and 1 + this. Default: 0.5.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub randomization_factor: f64,
    /// By how much each wait is longer than the one before; less than 1 counts as 1. Default: 1.5.
    #[schemars(range(min = 0.0))]
    pub multiplier: f64,
    /// Longest wait between two attempts. Default: 30s.
    pub max_interval: Duration,
    /// How long a request is tried in all before its data counts as lost. 0 never gives up. Default: 5m.
    pub max_elapsed_time: Duration,
}

impl RetryConfig {
    /// The defaults of the collector's exporters.
    pub const DEFAULT: Self = Self {
        enabled: true,
        initial_interval: Duration::from_secs(5),
        randomization_factor: 0.5,
        multiplier: 1.5,
        max_interval: Duration::from_secs(30),
        max_elapsed_time: Duration::from_secs(300),
    };
}

impl Default for RetryConfig {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// What a queue's size counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum QueueSizer {
    /// Batches, whatever their size.
    #[default]
    Requests,
    /// Spans, log records and data points.
    Items,
    /// Encoded bytes.
    Bytes,
}

/// `sending_queue`: the bounded queue in front of an exporter.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct QueueConfig {
    /// Without a queue a batch is acknowledged to its sender when it was exported. Default: true.
    pub enabled: bool,
    /// How many requests are under way at the same time. Default: 10.
    #[schemars(range(max = 1000))]
    pub num_consumers: u32,
    /// How much waits at most, in units of `sizer`; a batch beyond it is refused. Default: 1000.
    pub queue_size: u64,
    /// What `queue_size` counts. Default: requests.
    pub sizer: QueueSizer,
    /// Makes senders wait for room instead of refusing at once. Default: false.
    pub block_on_overflow: bool,
    /// Acknowledges a batch only when it was exported. Default: false.
    pub wait_for_result: bool,
    /// Joins and splits what is queued before it is sent. Default: sent as it came.
    #[schemars(extend("x-empty" = true))]
    pub batch: Option<QueueBatchConfig>,
    /// File that keeps what the destination refused for good, as JSON lines with the destination's reason. Default:
    /// none; refused items are logged and counted.
    pub dead_letter_file: Option<PathBuf>,
}

impl Default for QueueConfig {
    fn default() -> Self {
        Self {
            enabled: true,
            num_consumers: 10,
            queue_size: 1000,
            sizer: QueueSizer::Requests,
            block_on_overflow: false,
            wait_for_result: false,
            batch: None,
            dead_letter_file: None,
        }
    }
}

impl QueueConfig {
    /// What the sizes of `batch` count.
    pub fn batch_sizer(&self) -> QueueSizer {
        let inherited = if self.sizer == QueueSizer::Bytes { QueueSizer::Bytes } else { QueueSizer::Items };
        self.batch.as_ref().and_then(|batch| batch.sizer).unwrap_or(inherited)
    }
}

/// `sending_queue::batch`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct QueueBatchConfig {
    /// How long a batch waits for more of its signal and tenant. Default: 200ms; must not be 0.
    pub flush_timeout: Duration,
    /// A batch of this size is sent at once. Default: 8192.
    pub min_size: u64,
    /// A larger batch is split between records. 0, the default, never splits; otherwise at least `min_size`.
    pub max_size: u64,
    /// What the sizes count: items or bytes. Default: as the queue's `sizer`; items if that counts requests.
    pub sizer: Option<QueueSizer>,
}

impl Default for QueueBatchConfig {
    fn default() -> Self {
        Self { flush_timeout: Duration::from_millis(200), min_size: 8192, max_size: 0, sizer: None }
    }
}
