//! Processor `memory_limiter`: its limit becomes the process's memory budget.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Check;
use crate::config::error::Findings;
use crate::config::types::Duration;

/// Settings of the processor.
///
/// Sluice takes a permit for every byte before it reads it, so nothing is measured periodically: the keys are the
/// collector's, and the soft limit (limit minus spike) is the budget of bytes in flight.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct MemoryLimiterConfig {
    /// Accepted as in the collector, where it must be set; has no effect.
    pub check_interval: Duration,
    /// Memory of the process in MiB. Wins over `limit_percentage`.
    pub limit_mib: u32,
    /// What of the limit is kept free for spikes, in MiB. Default: a fifth of the limit.
    pub spike_limit_mib: u32,
    /// Memory of the process in percent of the container's (cgroup's) or the machine's.
    #[schemars(range(max = 100))]
    pub limit_percentage: u32,
    /// What of the limit is kept free for spikes, in percent of the container's or the machine's memory.
    #[schemars(range(max = 100))]
    pub spike_limit_percentage: u32,
    /// Accepted as in the collector; there is no garbage collector to tune.
    #[schemars(extend("x-no-effect" = "there is no garbage collector to tune"))]
    pub min_gc_interval_when_soft_limited: Duration,
    /// Accepted as in the collector; there is no garbage collector to tune.
    #[schemars(extend("x-no-effect" = "there is no garbage collector to tune"))]
    pub min_gc_interval_when_hard_limited: Duration,
}

impl MemoryLimiterConfig {
    /// The soft limit in bytes, of a machine or container with so much memory.
    pub fn soft_limit_bytes(&self, total_bytes: u64) -> u64 {
        let percent = |part: u32| total_bytes / 100 * u64::from(part);
        let mib = |part: u32| u64::from(part) << 20;
        let (limit, spike) = match self.limit_mib {
            0 => (percent(self.limit_percentage), percent(self.spike_limit_percentage)),
            limit => (mib(limit), mib(self.spike_limit_mib)),
        };
        limit - if spike == 0 { limit / 5 } else { spike.min(limit) }
    }
}

impl Check for MemoryLimiterConfig {
    fn check(&self, findings: &mut Findings) {
        if self.check_interval.is_zero() {
            findings.error("check_interval", "must be greater than zero, for example 1s");
        }
        if self.limit_mib == 0 && self.limit_percentage == 0 {
            findings.error("", "limit_mib or limit_percentage must be greater than zero");
        }
        if self.limit_mib > 0 && self.spike_limit_mib >= self.limit_mib {
            let message = format!("{} must be smaller than limit_mib ({})", self.spike_limit_mib, self.limit_mib);
            findings.error("spike_limit_mib", message);
        }
        if self.limit_mib == 0 && self.limit_percentage > 0 && self.spike_limit_percentage >= self.limit_percentage {
            let (spike, limit) = (self.spike_limit_percentage, self.limit_percentage);
            findings
                .error("spike_limit_percentage", format!("{spike} must be smaller than limit_percentage ({limit})"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_the_spike_off_the_limit() {
        let mib = |limit_mib, spike_limit_mib| MemoryLimiterConfig { limit_mib, spike_limit_mib, ..Default::default() };
        assert_eq!(mib(100, 0).soft_limit_bytes(0), 80 << 20);
        assert_eq!(mib(100, 30).soft_limit_bytes(0), 70 << 20);
        let percent = MemoryLimiterConfig { limit_percentage: 50, spike_limit_percentage: 10, ..Default::default() };
        assert_eq!(percent.soft_limit_bytes(1_000), 400);
    }
}
