//! Where an exporter's queue tells what became of every item, for the ledger and the metrics.

use crate::model::Batch;

/// Books what became of a batch's items. Every item is reported exactly once, in one of the five.
pub trait Report: Send + Sync + 'static {
    /// The destination has them.
    fn exported(&self, batch: &Batch, items: u64);

    /// The destination will never take them, and they are gone.
    fn refused(&self, batch: &Batch, items: u64);

    /// The destination will never take them; they stand in the dead letter file.
    fn dead_lettered(&self, batch: &Batch, items: u64);

    /// They were given up; `reason` is a metric label from a fixed set.
    fn dropped(&self, batch: &Batch, items: u64, reason: &'static str);

    /// They were given up, and their sender, who waits, has them; `reason` is as above.
    fn given_back(&self, batch: &Batch, items: u64, reason: &'static str);
}

/// The reasons for which a queue itself drops items; an exporter's `encode` has its own.
pub mod reasons {
    /// A retryable failure lasted for longer than `max_elapsed_time`.
    pub const RETRIES_EXHAUSTED: &str = "retries_exhausted";
    /// A retryable failure, and `retry_on_failure` is switched off.
    pub const RETRY_DISABLED: &str = "retry_disabled";
    /// The sender, who waited, went away.
    pub const CANCELLED: &str = "cancelled";
    /// The process ended before the destination took them.
    pub const SHUTDOWN: &str = "shutdown";
    /// The exporter lost count of them: a defect.
    pub const UNACCOUNTED: &str = "unaccounted";
}
