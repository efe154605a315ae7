//! Somebody who takes a load and sends it on, and what that costs.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use super::process::{Measured, ensure_free};
use super::table::median;
use crate::{build, parts, shell};

pub(crate) const SINK: &str = "127.0.0.1:9999";
pub(crate) const GRPC: &str = "127.0.0.1:4317";
pub(crate) const HTTP: &str = "127.0.0.1:4318";
const HEALTH: &str = "127.0.0.1:13133";
/// Items of a request.
const ITEMS: u64 = 1000;
const CONNECTIONS: u64 = 4;

/// Somebody who does the work.
pub(crate) struct Contender {
    /// What it is, for people.
    pub(crate) name: &'static str,
    program: PathBuf,
    arguments: Vec<String>,
    /// The load's option and the address.
    target: (&'static str, &'static str),
    /// How many requests make it work for some seconds; a tenth of them warms it up.
    requests: u64,
}

/// What it cost.
#[derive(Clone, Copy)]
pub(crate) struct Cost {
    /// User and system.
    pub(crate) cpu_ns_per_item: f64,
    pub(crate) idle_mb: f64,
    pub(crate) peak_mb: f64,
    /// Bytes that the sink got: whoever does the same work sends about the same.
    pub(crate) sent_per_item: f64,
}

/// A configuration in `examples/bench`.
pub(crate) fn example(file: &str) -> String {
    shell::root().join("examples/bench").join(file).display().to_string()
}

impl Contender {
    /// Sluice with a configuration in `examples/bench`.
    pub(crate) fn sluice(name: &'static str, binary: &Path, file: &str) -> Self {
        let arguments = vec!["--config".to_owned(), example(file)];
        Self { name, program: binary.to_owned(), arguments, target: ("--grpc", GRPC), requests: 3000 }
    }

    /// The collector likewise; it is slower, so it gets less to do.
    pub(crate) fn collector(name: &'static str, file: &str) -> Self {
        let arguments = vec!["--config".to_owned(), example(file)];
        let program = parts::path("collector", "otelcol");
        Self { name, program, arguments, target: ("--grpc", GRPC), requests: 400 }
    }

    /// nginx, which writes its files into a directory.
    pub(crate) fn nginx(name: &'static str, work: &Path) -> Result<Self> {
        let prefix = work.join("nginx");
        std::fs::create_dir_all(&prefix)?;
        let arguments = vec!["-p".to_owned(), prefix.display().to_string(), "-c".to_owned(), example("nginx.conf")];
        let program = parts::path("nginx", "usr/sbin/nginx");
        Ok(Self { name, program, arguments, target: ("--http", HTTP), requests: 3000 })
    }

    /// Has it do the work once.
    pub(crate) fn run(&self, signal: &str, work: &Path) -> Result<Cost> {
        self.measure(signal, work).with_context(|| self.name.to_owned())
    }

    fn measure(&self, signal: &str, work: &Path) -> Result<Cost> {
        for address in [SINK, GRPC, HTTP, HEALTH] {
            ensure_free(address)?;
        }
        let mut sink = Measured::start(Command::new(build::binary("otlp-sink")?).arg(SINK), &work.join("sink.log"))?;
        sink.wait_for_port(SINK)?;
        let mut command = Command::new(&self.program);
        let mut process = Measured::start(command.args(&self.arguments), &work.join("contender.log"))?;
        process.wait_for_port(self.target.1)?;
        process.settled_cpu_seconds()?;
        let (idle_mb, _) = process.memory_mb()?;
        let warm_up = self.requests / 10;
        self.load(signal, warm_up)?;
        let before = process.settled_cpu_seconds()?;
        self.load(signal, self.requests)?;
        // What was accepted is still on its way for a moment.
        let seconds = process.settled_cpu_seconds()? - before;
        let (_, peak_mb) = process.memory_mb()?;
        drop(process);
        let sent = bytes(&sink.finish()?)?;
        Ok(Cost {
            cpu_ns_per_item: seconds * 1e9 / (self.requests * ITEMS) as f64,
            idle_mb,
            peak_mb,
            sent_per_item: sent / ((warm_up + self.requests) * ITEMS) as f64,
        })
    }

    fn load(&self, signal: &str, requests: u64) -> Result<()> {
        let (option, address) = self.target;
        let mut command = Command::new(build::binary("otlp-load")?);
        command.args([option, address, "--signal", signal, "--requests", &requests.to_string()]);
        command.args(["--items", &ITEMS.to_string(), "--connections", &CONNECTIONS.to_string()]);
        let text = shell::output(&mut command)?;
        ensure!(text.contains("failed_requests=0"), "requests were refused: {}", text.trim());
        Ok(())
    }
}

/// Has everybody do the work in turn, several times: what the machine does besides falls on all of them alike.
pub(crate) fn rounds(contenders: &[Contender], signal: &str, work: &Path, rounds: usize) -> Result<Vec<Vec<Cost>>> {
    let mut costs = vec![Vec::new(); contenders.len()];
    for round in 1..=rounds {
        for (contender, costs) in contenders.iter().zip(&mut costs) {
            shell::step(&format!("round {round} of {rounds}, {signal}: {}", contender.name));
            costs.push(contender.run(signal, work)?);
        }
    }
    Ok(costs)
}

/// The median over the rounds.
pub(crate) fn median_of(costs: &[Cost], of: fn(&Cost) -> f64) -> f64 {
    median(costs.iter().map(of).collect())
}

/// The median of the ratios of CPU per item, each of one round.
pub(crate) fn median_ratio(costs: &[Cost], base: &[Cost]) -> f64 {
    median(costs.iter().zip(base).map(|(cost, base)| cost.cpu_ns_per_item / base.cpu_ns_per_item).collect())
}

/// `bytes=` of what the sink printed.
fn bytes(printed: &str) -> Result<f64> {
    let value = printed.split_ascii_whitespace().find_map(|word| word.strip_prefix("bytes="));
    value.and_then(|value| value.parse().ok()).with_context(|| format!("the sink counted nothing: {printed}"))
}
