//! The whole process, from socket to socket: spans beside nginx that proxies the same bytes untouched, data points to
//! remote write beside the collector.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use super::contender::{Contender, Cost, example, median_of, median_ratio, rounds};
use super::process::time_to_line;
use super::table::{Table, median};
use crate::{parts, shell};

/// What Sluice logs when it takes telemetry.
const READY: &str = "Everything is ready";
/// Starts of which the median counts.
const STARTS: usize = 9;

const PASS_THROUGH: &str = "Sluice, pass-through";
const FOUR_STAGES: &str = "Sluice, four stages";

/// OTLP/gRPC to OTLP/gRPC.
pub(crate) fn spans(binary: &Path, times: usize, peers: bool) -> Result<Table> {
    let work = directory()?;
    let mut contenders = Vec::new();
    if parts::path("nginx", "usr/sbin/nginx").exists() {
        contenders.push(Contender::nginx("nginx, the same bytes untouched", &work)?);
    }
    let nginx = !contenders.is_empty();
    contenders.push(Contender::sluice(PASS_THROUGH, binary, "pass-through.yaml"));
    contenders.push(Contender::sluice(FOUR_STAGES, binary, "four-stages.yaml"));
    if peers && has_collector() {
        contenders.push(Contender::collector("Collector, the same four", "collector.yaml"));
    }
    let costs = rounds(&contenders, "traces", &work, times)?;
    let title = format!("Whole process, OTLP to OTLP, 1,000 spans a request, 4 connections, median of {times}");
    let mut table = Table::new(&title);
    for (position, contender) in contenders.iter().enumerate() {
        let base = (nginx && position > 0).then(|| costs[0].as_slice());
        spans_of(&mut table, contender.name, &costs[position], base);
    }
    Ok(table)
}

fn spans_of(table: &mut Table, name: &str, costs: &[Cost], nginx: Option<&[Cost]>) {
    let bounds = |pass: (f64, f64), four: (f64, f64)| match name {
        PASS_THROUGH => (Some(pass.0), Some(pass.1)),
        FOUR_STAGES => (Some(four.0), Some(four.1)),
        _ => (None, None),
    };
    let only_four = |limit: f64, goal: f64| if name == FOUR_STAGES { (Some(limit), Some(goal)) } else { (None, None) };
    table.number(&format!("{name}: CPU per span"), median_of(costs, |cost| cost.cpu_ns_per_item), "ns");
    if let Some(nginx) = nginx {
        let (limit, goal) = bounds((2.5, 1.5), (4.0, 2.0));
        table.at_most(&format!("{name}: CPU, times nginx"), median_ratio(costs, nginx), "x", limit, goal);
    }
    let (limit, goal) = only_four(40.0, 20.0);
    table.at_most(&format!("{name}: idle RSS"), median_of(costs, |cost| cost.idle_mb), "MB", limit, goal);
    let (limit, goal) = only_four(80.0, 40.0);
    table.at_most(&format!("{name}: peak RSS"), median_of(costs, |cost| cost.peak_mb), "MB", limit, goal);
    table.number(&format!("{name}: sent per span"), median_of(costs, |cost| cost.sent_per_item), "B");
}

/// OTLP/gRPC sums to remote write, for which there is no measure without the collector.
pub(crate) fn data_points(binary: &Path, times: usize) -> Result<Option<Table>> {
    if !has_collector() {
        return Ok(None);
    }
    let work = directory()?;
    let contenders = [
        Contender::collector("Collector", "remote-write.yaml"),
        Contender::sluice("Sluice", binary, "remote-write.yaml"),
    ];
    let costs = rounds(&contenders, "metrics", &work, times)?;
    let title = format!("Whole process, OTLP sums to remote write, 1,000 data points a request, median of {times}");
    let mut table = Table::new(&title);
    for (contender, costs) in contenders.iter().zip(&costs) {
        let name = contender.name;
        table.number(&format!("{name}: CPU per data point"), median_of(costs, |cost| cost.cpu_ns_per_item), "ns");
        table.number(&format!("{name}: peak RSS"), median_of(costs, |cost| cost.peak_mb), "MB");
        table.number(&format!("{name}: sent per data point"), median_of(costs, |cost| cost.sent_per_item), "B");
    }
    let ratio = median_ratio(&costs[1], &costs[0]);
    table.at_most("Sluice: CPU, of the Collector's", ratio, "x", Some(0.2), Some(0.1));
    Ok(Some(table))
}

/// Start to ready with and without compiled code at hand, and the size of the file.
pub(crate) fn starts(binary: &Path) -> Result<Table> {
    let cache = directory()?.join("code-cache");
    let start = || {
        let mut command = Command::new(binary);
        command.arg("--config").arg(example("four-stages.yaml"));
        command.arg("--config").arg(format!("yaml:plugins::cache_directory: {}", cache.display()));
        time_to_line(&mut command, READY).map(|time| time.as_secs_f64() * 1e3)
    };
    let cold = || {
        let _ = std::fs::remove_dir_all(&cache);
        start()
    };
    let mut table = Table::new("Start with four stages, and size");
    let cold = median((0..STARTS).map(|_| cold()).collect::<Result<_>>()?);
    table.number("start to ready, no code cache", cold, "ms");
    let warm = median((0..STARTS).map(|_| start()).collect::<Result<_>>()?);
    table.at_most("start to ready, warm code cache", warm, "ms", Some(150.0), Some(50.0));
    let size = std::fs::metadata(binary).with_context(|| format!("can't read {}", binary.display()))?.len();
    table.at_most("size of target/release/sluice", size as f64 / 1e6, "MB", None, Some(25.0));
    Ok(table)
}

fn has_collector() -> bool {
    parts::path("collector", "otelcol").exists()
}

fn directory() -> Result<PathBuf> {
    let work = shell::target().join("bench");
    std::fs::create_dir_all(&work).with_context(|| format!("can't create {}", work.display()))?;
    Ok(work)
}
