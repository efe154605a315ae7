//! What a stage may use: memory, time, output, rows per call.

use std::time::Duration;

use wasmtime::ResourceLimiter;

/// Limits of one stage. They hold for each of its instances.
#[derive(Clone, Debug, PartialEq)]
pub struct StageLimits {
    /// Memory of one instance, in MiB. A plugin that asks for more gets none, which mostly ends the call. Raise it if
    /// the log says that a call ran out of memory. Default 64.
    pub memory_mib: u32,
    /// Time for one call, in milliseconds. A call that takes longer is stopped within 2 ms. A batch of 8192 rows
    /// mostly takes a plugin under 1 ms; the default of 100 leaves room for slow machines and for slow languages.
    pub timeout_ms: u32,
    /// Time for a plugin to say what it is and to check its configuration, in milliseconds. Patterns are compiled in
    /// it, hundreds of them or on a slow machine, and no batch waits unless a call failed before. Default 10000.
    pub setup_timeout_ms: u32,
    /// Size of one answer, in MiB: bitmaps, edits and their values together. Default 16.
    pub output_mib: u32,
    /// Size of the `.wasm` file, in MiB. Default 32.
    pub component_mib: u32,
    /// Rows that one call sees; a larger batch is cut. Default 8192.
    pub rows: u32,
    /// Bytes of keys and values that the stage may keep, in KiB. Default 1024.
    pub key_value_kib: u32,
    /// Calls after which an instance makes room for a fresh one, so that a leak stays small. Default 1000000.
    pub calls_per_instance: u32,
}

impl Default for StageLimits {
    fn default() -> Self {
        Self {
            memory_mib: 64,
            timeout_ms: 100,
            setup_timeout_ms: 10_000,
            output_mib: 16,
            component_mib: 32,
            rows: 8_192,
            key_value_kib: 1_024,
            calls_per_instance: 1_000_000,
        }
    }
}

impl StageLimits {
    /// Says which limit makes no sense, and why.
    pub(super) fn check(&self, max_memory_mib: u32) -> Result<(), (&'static str, String)> {
        let bounds: [(&'static str, u32, u32); 8] = [
            ("memory_mib", self.memory_mib, max_memory_mib),
            ("timeout_ms", self.timeout_ms, 60_000),
            ("setup_timeout_ms", self.setup_timeout_ms, 60_000),
            ("output_mib", self.output_mib, 1_024),
            ("component_mib", self.component_mib, 256),
            ("rows", self.rows, 1_000_000),
            ("key_value_kib", self.key_value_kib, 1 << 20),
            ("calls_per_instance", self.calls_per_instance, u32::MAX),
        ];
        match bounds.into_iter().find(|(_, value, max)| *value == 0 || value > max) {
            Some((key, value, max)) => Err((key, format!("{value} is not between 1 and {max}"))),
            None => Ok(()),
        }
    }

    pub(super) fn memory_bytes(&self) -> usize {
        (self.memory_mib as usize) << 20
    }

    pub(super) fn timeout(&self) -> Duration {
        Duration::from_millis(self.timeout_ms.into())
    }

    pub(super) fn setup_timeout(&self) -> Duration {
        Duration::from_millis(self.setup_timeout_ms.into())
    }

    pub(super) fn output_bytes(&self) -> usize {
        (self.output_mib as usize) << 20
    }

    pub(super) fn component_bytes(&self) -> u64 {
        u64::from(self.component_mib) << 20
    }
}

/// Counts the memory of one instance.
#[derive(Debug)]
pub(super) struct MemoryLimiter {
    limit_bytes: usize,
    /// What the instance has now; it never gives anything back.
    pub(super) used_bytes: usize,
    /// Whether it asked for more than it may have.
    pub(super) refused: bool,
}

/// Entries of a plugin's function table. A large Rust plugin has some thousand.
const MAX_TABLE_ENTRIES: usize = 100_000;

impl MemoryLimiter {
    pub(super) fn new(limit_bytes: usize) -> Self {
        Self { limit_bytes, used_bytes: 0, refused: false }
    }

    pub(super) fn limit_bytes(&self) -> usize {
        self.limit_bytes
    }
}

impl ResourceLimiter for MemoryLimiter {
    fn memory_growing(&mut self, current: usize, desired: usize, _max: Option<usize>) -> wasmtime::Result<bool> {
        let used = self.used_bytes.saturating_add(desired.saturating_sub(current));
        let fits = used <= self.limit_bytes;
        if fits {
            self.used_bytes = used;
        } else {
            self.refused = true;
        }
        Ok(fits)
    }

    fn table_growing(&mut self, _current: usize, desired: usize, _max: Option<usize>) -> wasmtime::Result<bool> {
        Ok(desired <= MAX_TABLE_ENTRIES)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grants_memory_up_to_the_limit_and_not_a_byte_more() {
        let mut limiter = MemoryLimiter::new(100);
        assert!(limiter.memory_growing(0, 99, None).expect("counts"));
        assert!(limiter.memory_growing(99, 100, None).expect("counts"));
        assert!(!limiter.refused);
        assert!(!limiter.memory_growing(100, 101, None).expect("counts"));
        assert_eq!((limiter.used_bytes, limiter.refused), (100, true));
    }

    #[test]
    fn refuses_limits_that_make_no_sense() {
        let cases = [
            (
                StageLimits { memory_mib: 0, ..Default::default() },
                Err(("memory_mib", "0 is not between 1 and 128".into())),
            ),
            (StageLimits { memory_mib: 128, ..Default::default() }, Ok(())),
            (
                StageLimits { memory_mib: 129, ..Default::default() },
                Err(("memory_mib", "129 is not between 1 and 128".into())),
            ),
            (
                StageLimits { timeout_ms: 60_001, ..Default::default() },
                Err(("timeout_ms", "60001 is not between 1 and 60000".into())),
            ),
        ];
        for (limits, expected) in cases {
            assert_eq!(limits.check(128), expected);
        }
    }
}
