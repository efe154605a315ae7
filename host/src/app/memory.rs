//! How much memory batches may take: what the configuration says, or a part of what the container has.

mod cgroup;

use std::path::Path;

use crate::config::{Config, ProcessorConfig};
use crate::limits::Budget;

/// The part of the container's memory that batches get when no `memory_limiter` says otherwise. The rest is for the
/// process itself, for copies in the making and for plugins.
const DEFAULT_SHARE: u64 = 4;
/// The most that batches get unasked.
const DEFAULT_MAX_BYTES: u64 = 256 << 20;
/// The least that is of use: a few requests of the size that gRPC allows.
const MIN_BYTES: u64 = 8 << 20;
/// A batch exists up to so many times at once: compressed and plain while it is decoded, plain and edited while it is
/// spliced. The permits cover the first two.
const COPIES: u64 = 2;

/// The budget of the process: the smallest soft limit of all memory limiters that run.
pub(super) fn budget(config: &Config) -> Budget {
    let bytes = budget_bytes(config, total_bytes());
    tracing::info!(bytes, "memory budget for batches");
    Budget::new(usize::try_from(bytes).unwrap_or(usize::MAX))
}

/// The budget on a machine, or in a container, with so much memory.
fn budget_bytes(config: &Config, total: u64) -> u64 {
    let running = |id| config.service.pipelines.values().any(|pipeline| pipeline.processors.contains(id));
    let limits = config.processors.iter().filter(|(id, _)| running(id)).filter_map(|(_, processor)| match processor {
        ProcessorConfig::MemoryLimiter(limiter) => Some(limiter.soft_limit_bytes(total) / COPIES),
        _ => None,
    });
    let asked = limits.min().unwrap_or_else(|| (total / DEFAULT_SHARE).min(DEFAULT_MAX_BYTES));
    let bytes = asked.max(MIN_BYTES);
    if bytes > asked {
        tracing::warn!(
            asked,
            bytes,
            "the memory limit leaves too little for batches, they get the least that is of use"
        );
    }
    bytes
}

/// The memory of the machine, or what the process's control group leaves of it.
fn total_bytes() -> u64 {
    let meminfo = std::fs::read_to_string("/proc/meminfo").ok();
    let machine = meminfo.and_then(|text| mem_total_bytes(&text)).unwrap_or(1 << 30);
    cgroup::limit_bytes(Path::new("/")).unwrap_or(machine).min(machine)
}

fn mem_total_bytes(meminfo: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    line.split_ascii_whitespace().next()?.parse::<u64>().ok().map(|kib| kib << 10)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Sources;

    /// A configuration with these memory limiters, of which one pipeline has those that it names.
    fn with_limiters(limiters: &str, running: &str) -> Config {
        let text = format!(
            "yaml:{{receivers: {{otlp: {{protocols: {{http: }}}}}}, processors: {{{limiters}}}, exporters: {{debug: }}, \
             service: {{pipelines: {{logs: {{receivers: [otlp], processors: [{running}], exporters: [debug]}}}}}}}}"
        );
        let sources = Sources { configs: vec![text], sets: Vec::new() };
        crate::config::load(&sources, &|_| None).expect("valid")
    }

    #[test]
    fn the_smallest_soft_limit_that_runs_is_the_budget() {
        const SPIKE: &str = "memory_limiter: {check_interval: 1s, limit_mib: 100, spike_limit_mib: 30}";
        const FIFTH: &str = "memory_limiter: {check_interval: 1s, limit_mib: 100}";
        const PART: &str = "memory_limiter: {check_interval: 1s, limit_percentage: 50, spike_limit_percentage: 10}";
        const BOTH: &str = "memory_limiter: {check_interval: 1s, limit_mib: 100, limit_percentage: 50}";
        const SMALLER: &str = "memory_limiter/b: {check_interval: 1s, limit_mib: 60, spike_limit_mib: 10}";
        const ABOVE: &str = "memory_limiter: {check_interval: 1s, limit_mib: 20, spike_limit_mib: 2}";
        const BELOW: &str = "memory_limiter: {check_interval: 1s, limit_mib: 20, spike_limit_mib: 6}";
        // The limiters, those that run, mebibytes of the machine, and of the budget: half of the soft limit.
        let cases: [(&[&str], &str, u64, u64); 13] = [
            (&[SPIKE], "memory_limiter", 1_000, 35),
            (&[SPIKE], "memory_limiter", 50, 35),
            (&[FIFTH], "memory_limiter", 1_000, 40),
            (&[PART], "memory_limiter", 1_000, 200),
            (&[BOTH], "memory_limiter", 1_000, 40),
            (&[SPIKE, SMALLER], "memory_limiter, memory_limiter/b", 1_000, 25),
            (&[SPIKE, SMALLER], "memory_limiter", 1_000, 35),
            (&[ABOVE], "memory_limiter", 1_000, 9),
            (&[BELOW], "memory_limiter", 1_000, 8),
            // Without one it is a quarter of what there is, within limits.
            (&[], "", 1_000, 250),
            (&[SPIKE], "", 1_000, 250),
            (&[], "", 1_028, 256),
            (&[], "", 28, 8),
        ];
        for (limiters, running, total_mib, expected_mib) in cases {
            let config = with_limiters(&limiters.join(", "), running);
            let bytes = budget_bytes(&config, total_mib << 20);
            assert_eq!(bytes, expected_mib << 20, "{limiters:?}, [{running}] of {total_mib} MiB");
        }
    }

    #[test]
    fn reads_the_machines_memory() {
        assert_eq!(mem_total_bytes("MemTotal:       24626896 kB\nMemFree: 1 kB\n"), Some(24_626_896 << 10));
        assert_eq!(mem_total_bytes("MemFree: 1 kB\n"), None);
    }
}
