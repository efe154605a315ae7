//! The whole process: CPU per span from socket to socket, beside nginx that proxies the same bytes untouched.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use super::process::{Measured, time_to_line};
use super::table::Table;
use crate::{parts, shell};

const SINK: &str = "127.0.0.1:9999";
const GRPC: &str = "127.0.0.1:4317";
const HTTP: &str = "127.0.0.1:4318";
const WARM_UP_REQUESTS: u64 = 200;
const REQUESTS: u64 = 3000;
const SPANS: u64 = 1000;
const READY: &str = "Everything is ready";

/// Somebody who does the work.
struct Contender {
    name: &'static str,
    command: Box<dyn Fn() -> Command>,
    target: (&'static str, &'static str),
    in_children: bool,
}

/// What it cost.
#[derive(Clone, Copy, Default)]
struct Cost {
    cpu_ns_per_span: f64,
    idle_mb: f64,
    peak_mb: f64,
}

/// Measures everybody in turn, several times.
pub(crate) fn measure(binary: &Path, rounds: usize, peers: bool) -> Result<Table> {
    let work = shell::target().join("bench");
    std::fs::create_dir_all(&work)?;
    let contenders = contenders(binary, &work, peers)?;
    let mut costs: Vec<Vec<Cost>> = vec![Vec::new(); contenders.len()];
    for round in 0..rounds {
        for (contender, costs) in contenders.iter().zip(&mut costs) {
            shell::step(&format!("round {} of {rounds}: {}", round + 1, contender.name));
            costs.push(run(contender, &work)?);
        }
    }
    let mut table =
        Table::new("whole process, OTLP/gRPC to OTLP/gRPC uncompressed, 1,000 spans a request, 4 connections");
    let median = |index: usize, of: fn(&Cost) -> f64| median(costs[index].iter().map(of).collect());
    let position = |name: &str| contenders.iter().position(|contender| contender.name == name);
    let nginx = position("nginx").map(|index| median(index, |cost| cost.cpu_ns_per_span));
    for (index, contender) in contenders.iter().enumerate() {
        let cpu = median(index, |cost| cost.cpu_ns_per_span);
        table.at_most(&format!("{}: CPU per span", contender.name), cpu, "ns", None, None);
        let (limit, goal) = match contender.name {
            "sluice, four stages" => (Some(4.0), Some(2.0)),
            "sluice, pass-through" => (Some(2.5), Some(1.5)),
            _ => (None, None),
        };
        if let Some(nginx) = nginx.filter(|_| contender.name != "nginx") {
            table.at_most(&format!("{}: times nginx", contender.name), cpu / nginx, "x", limit, goal);
        }
        let four = contender.name == "sluice, four stages";
        let bounds = |limit: f64, goal: f64| if four { (Some(limit), Some(goal)) } else { (None, None) };
        let (limit, goal) = bounds(40.0, 20.0);
        table.at_most(&format!("{}: idle RSS", contender.name), median(index, |c| c.idle_mb), "MB", limit, goal);
        let (limit, goal) = bounds(80.0, 40.0);
        table.at_most(&format!("{}: peak RSS", contender.name), median(index, |c| c.peak_mb), "MB", limit, goal);
    }
    starts(binary, &work, &mut table)?;
    Ok(table)
}

fn contenders(binary: &Path, work: &Path, peers: bool) -> Result<Vec<Contender>> {
    let example = |name: &str| shell::root().join("examples/bench").join(name);
    let sluice = |name, file: &str| {
        let (binary, config) = (binary.to_owned(), example(file));
        let command = move || {
            let mut command = Command::new(&binary);
            command.arg("--config").arg(&config);
            command
        };
        Contender { name, command: Box::new(command), target: ("--grpc", GRPC), in_children: false }
    };
    let mut all = Vec::new();
    let nginx = parts::path("nginx", "usr/sbin/nginx");
    if nginx.exists() {
        let prefix = work.join("nginx");
        std::fs::create_dir_all(&prefix)?;
        let config = example("nginx.conf");
        let command = move || {
            let mut command = Command::new(&nginx);
            command.arg("-p").arg(&prefix).arg("-c").arg(&config);
            command
        };
        all.push(Contender { name: "nginx", command: Box::new(command), target: ("--http", HTTP), in_children: true });
    }
    all.push(sluice("sluice, pass-through", "pass-through.yaml"));
    all.push(sluice("sluice, four stages", "four-stages.yaml"));
    let otelcol = parts::path("collector", "otelcol");
    if peers && otelcol.exists() {
        let config = example("collector.yaml");
        let command = move || {
            let mut command = Command::new(&otelcol);
            command.arg(format!("--config={}", config.display()));
            command
        };
        let name = "OpenTelemetry Collector";
        all.push(Contender { name, command: Box::new(command), target: ("--grpc", GRPC), in_children: false });
    }
    Ok(all)
}

fn run(contender: &Contender, work: &Path) -> Result<Cost> {
    let tool = |name: &str| shell::target().join("release").join(name);
    let mut sink = Measured::start(Command::new(tool("otlp-sink")).arg(SINK), &work.join("sink.log"))?;
    sink.wait_for_port(SINK)?;
    let mut measured = Measured::start(&mut (contender.command)(), &work.join("contender.log"))
        .with_context(|| contender.name.to_owned())?;
    measured.wait_for_port(contender.target.1).with_context(|| contender.name.to_owned())?;
    std::thread::sleep(std::time::Duration::from_millis(500));
    let (idle_mb, _) = measured.memory_mb()?;
    load(&tool("otlp-load"), contender.target, WARM_UP_REQUESTS)?;
    let cpu = |measured: &Measured| match contender.in_children {
        true => measured.children_cpu_seconds(),
        false => measured.cpu_seconds(),
    };
    let before = cpu(&measured)?;
    load(&tool("otlp-load"), contender.target, REQUESTS)?;
    // What was accepted is still on its way for a moment.
    std::thread::sleep(std::time::Duration::from_millis(500));
    let seconds = cpu(&measured)? - before;
    let (_, peak_mb) = measured.memory_mb()?;
    Ok(Cost { cpu_ns_per_span: seconds * 1e9 / (REQUESTS * SPANS) as f64, idle_mb, peak_mb })
}

fn load(tool: &PathBuf, (flag, address): (&str, &str), requests: u64) -> Result<()> {
    let mut command = Command::new(tool);
    command.args([flag, address, "--requests", &requests.to_string(), "--items", &SPANS.to_string()]);
    let text = shell::output(&mut command)?;
    anyhow::ensure!(text.contains("failed_requests=0"), "the load failed: {text}");
    Ok(())
}

/// Start to ready with and without compiled code at hand, and the size of the file.
fn starts(binary: &Path, work: &Path, table: &mut Table) -> Result<()> {
    let cache = work.join("code-cache");
    let config = shell::root().join("examples/bench/four-stages.yaml");
    let start = || {
        let mut command = Command::new(binary);
        command.arg("--config").arg(&config);
        command.arg("--config").arg(format!("yaml:plugins::cache_directory: {}", cache.display()));
        time_to_line(&mut command, READY).map(|time| time.as_secs_f64() * 1e3)
    };
    let _ = std::fs::remove_dir_all(&cache);
    let cold = start()?;
    let warm = median((0..5).map(|_| start()).collect::<Result<_>>()?);
    table.at_most("start to ready, first time", cold, "ms", None, None);
    table.at_most("start to ready, compiled code at hand", warm, "ms", Some(150.0), Some(50.0));
    let size = std::fs::metadata(binary)?.len() as f64 / 1e6;
    table.at_most("size of target/release/sluice", size, "MB", None, Some(25.0));
    Ok(())
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}
