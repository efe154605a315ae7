//! What the host offers: log, counters, clock, keys and values, rate limits, patterns.
//!
//! In a component these are imports. Natively, stand-ins in thread-locals take their place, which tests can read.

#[cfg(target_family = "wasm")]
#[path = "host/imports.rs"]
mod provider;
#[cfg(not(target_family = "wasm"))]
#[path = "host/native.rs"]
pub(crate) mod provider;

pub(crate) use provider::{compile, find, find_in_table, is_match, table_text};

/// Writes to the host's log, which limits rate and length and adds the stage's name.
pub mod log {
    pub use crate::bindings::sluice::plugin::log::Level;

    /// Logs a message.
    pub fn log(level: Level, message: &str) {
        super::provider::log(level, message);
    }

    /// Logs something for whoever looks for a mistake.
    pub fn debug(message: &str) {
        log(Level::Debug, message);
    }

    /// Logs something about the life cycle.
    pub fn info(message: &str) {
        log(Level::Info, message);
    }

    /// Logs that something works, but not as it should.
    pub fn warn(message: &str) {
        log(Level::Warn, message);
    }

    /// Logs that something is lost or broken.
    pub fn error(message: &str) {
        log(Level::Error, message);
    }
}

/// Counters that appear among the host's own metrics.
pub mod counter {
    /// Adds to the counter with this name (letters, digits, underscores).
    pub fn add(name: &str, delta: u64) {
        super::provider::counter_add(name, delta);
    }
}

/// Time, which stands still during a call.
pub mod clock {
    /// Nanoseconds since the epoch: when the batch was received.
    pub fn now_unix_nano() -> u64 {
        super::provider::now_unix_nano()
    }
}

/// Keys and values that outlive the instance, shared by all workers of the stage.
pub mod key_value {
    use std::time::Duration;

    /// The value, unless there is none or its time has run out.
    pub fn get(key: &str) -> Option<Vec<u8>> {
        super::provider::key_value_get(key)
    }

    /// Stores a value.
    ///
    /// # Errors
    /// If the stage's byte limit is reached.
    pub fn set(key: &str, value: &[u8], ttl: Duration) -> Result<(), String> {
        super::provider::key_value_set(key, value, u64::try_from(ttl.as_millis()).unwrap_or(u64::MAX))
    }

    /// Removes a value.
    pub fn delete(key: &str) {
        super::provider::key_value_delete(key);
    }
}

/// Rate limits shared by all workers of the stage.
pub mod token_bucket {
    /// Takes up to `wanted` tokens from a bucket that fills with `per_second` and holds at most `burst`; says how many
    /// it got.
    pub fn take(bucket: &str, wanted: u32, per_second: f64, burst: f64) -> u32 {
        super::provider::token_bucket_take(bucket, wanted, per_second, burst)
    }
}
