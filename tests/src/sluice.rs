//! Sluice as a process of its own, as its users run it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use crate::process::Process;
use crate::{ports, web};

/// The line that says that data may come.
pub const READY: &str = "Everything is ready. Begin running and processing data.";
const IN_FLIGHT: &str = "sluice_ledger_in_flight_items";

/// A running Sluice with a directory of its own.
pub struct Sluice {
    process: Process,
    ports: BTreeMap<String, u16>,
    directory: tempfile::TempDir,
}

/// Settings beside the configuration.
#[derive(Default)]
pub struct Settings {
    /// Environment variables.
    pub env: Vec<(String, String)>,
    /// Further arguments.
    pub args: Vec<String>,
}

impl Sluice {
    /// Starts it with a configuration in which `{{name}}` stands for free ports (`{{metrics}}` for its own metrics,
    /// which every configuration gets) and `{{{dir}}}` for its directory, and waits until it is ready.
    ///
    /// # Errors
    /// Shows the log when it does not become ready.
    pub fn start(config: &str) -> Result<Self> {
        Self::start_with(config, &Settings::default())
    }

    /// The same with settings.
    ///
    /// # Errors
    /// Shows the log when it does not become ready.
    pub fn start_with(config: &str, settings: &Settings) -> Result<Self> {
        let directory = tempfile::tempdir()?;
        let config = config.replace("{{{dir}}}", &directory.path().display().to_string());
        let (text, mut ports) = ports::fill(&config);
        let metrics = ports::free_port();
        ports.insert("metrics".into(), metrics);
        let file = directory.path().join("config.yaml");
        std::fs::write(&file, text)?;
        let telemetry = format!(
            "yaml:service::telemetry::metrics::readers: [{{pull: {{exporter: {{prometheus: {{host: 127.0.0.1, port: {metrics}}}}}}}}}]"
        );
        let mut command = Command::new(binary()?);
        command.arg("--config").arg(&file).arg("--config").arg(telemetry).args(&settings.args);
        // What whoever runs the tests has of AWS is none of their business.
        let of_aws =
            std::env::vars_os().map(|(name, _)| name).filter(|name| name.to_string_lossy().starts_with("AWS_"));
        of_aws.for_each(|name| _ = command.env_remove(name));
        command.envs(settings.env.iter().cloned());
        let mut process = Process::start("sluice", &mut command, &directory.path().join("sluice.log"))?;
        process.wait_until("readiness", Duration::from_secs(60), |process| process.log().contains(READY))?;
        Ok(Self { process, ports, directory })
    }

    /// A port of the configuration.
    ///
    /// # Panics
    /// When the configuration has no such name.
    pub fn port(&self, name: &str) -> u16 {
        *self.ports.get(name).unwrap_or_else(|| panic!("the configuration has no port {name}"))
    }

    /// Its directory.
    pub fn dir(&self) -> &Path {
        self.directory.path()
    }

    /// The running process.
    pub fn process(&self) -> &Process {
        &self.process
    }

    /// What it has logged.
    pub fn log(&self) -> String {
        self.process.log()
    }

    /// Its metrics page.
    ///
    /// # Errors
    /// Returns what the connection says.
    pub fn metrics(&self) -> Result<String> {
        let answer = web::get(&format!("http://127.0.0.1:{}/metrics", self.port("metrics")))?;
        ensure!(answer.status == 200, "the metrics page has status {}: {}", answer.status, answer.body);
        Ok(answer.body)
    }

    /// The sum of all samples of a metric whose labels contain these.
    ///
    /// # Errors
    /// If there is no such metric at all, or what the connection says.
    pub fn metric(&self, name: &str, labels: &[(&str, &str)]) -> Result<f64> {
        let page = self.metrics()?;
        ensure!(samples(&page, name, &[]).next().is_some(), "there is no metric {name}");
        Ok(samples(&page, name, labels).sum())
    }

    /// Items in the ledger with this outcome.
    ///
    /// # Errors
    /// Returns what the connection says.
    pub fn ledger(&self, outcome: &str) -> Result<u64> {
        Ok(self.metric("sluice_ledger_items", &[("outcome", outcome)])? as u64)
    }

    /// Waits until nothing is in flight: then every item that came in has ended exactly once.
    ///
    /// # Errors
    /// Shows the ledger when it does not add up in time.
    pub fn settle(&self) -> Result<()> {
        let settled = web::eventually("settled ledger", Duration::from_secs(30), || {
            Ok(is_settled(&self.metrics()?).then_some(()))
        });
        settled.with_context(|| self.metrics().unwrap_or_default())
    }

    /// Checks that the ledger adds up, ends the process as an orchestrator does, and gives back its log.
    ///
    /// # Errors
    /// Says what does not add up, or how it ended.
    pub fn stop(self) -> Result<String> {
        self.settle()?;
        self.end()
    }

    /// Ends the process as an orchestrator does, whatever is on its way, and gives back its log.
    ///
    /// # Errors
    /// Says how it ended, if it left something behind.
    pub fn end(self) -> Result<String> {
        self.process.terminate()?;
        self.ended()
    }

    /// Ends the process as an orchestrator without patience does, by a second signal while it drains.
    ///
    /// # Errors
    /// Says how it ended.
    pub fn end_twice(mut self) -> Result<String> {
        self.begin_end()?;
        self.end()
    }

    /// Asks the process to end, and waits until it has begun to.
    ///
    /// # Errors
    /// If it does not.
    pub fn begin_end(&mut self) -> Result<()> {
        self.process.terminate()?;
        let limit = Duration::from_secs(10);
        self.process.wait_until("shutting down", limit, |process| process.log().contains("shutting down"))
    }

    /// Waits until the process has ended, once it was asked to, and gives back its log.
    ///
    /// # Errors
    /// Says how it ended, if it left something behind.
    pub fn ended(mut self) -> Result<String> {
        let status = self.process.wait(Duration::from_secs(30))?;
        ensure!(status.success(), "sluice ended with {status}\n{}", self.process.log());
        Ok(self.process.log())
    }
}

/// The values of a metric on a page whose labels contain these.
fn samples<'a>(page: &'a str, name: &'a str, labels: &'a [(&str, &str)]) -> impl Iterator<Item = f64> {
    let matches = move |line: &&str| {
        let rest = line.strip_prefix(name);
        rest.is_some_and(|rest| rest.starts_with(['{', ' ']))
            && labels.iter().all(|(key, value)| line.contains(&format!("{key}=\"{value}\"")))
    };
    page.lines().filter(matches).filter_map(|line| line.rsplit_once(' ')?.1.parse().ok())
}

/// Whether nothing is in flight for any tenant and signal, and what left one tenant came to another one. Sums would hide
/// that items of one tenant ended as another one's. Whoever has accepted anything says so.
fn is_settled(page: &str) -> bool {
    let moved = |signal: &str, outcome: &str| -> f64 {
        samples(page, "sluice_ledger_items", &[("signal", signal), ("outcome", outcome)]).sum()
    };
    ["traces", "metrics", "logs"].iter().all(|signal| moved(signal, "moved_in") == moved(signal, "moved_out"))
        && samples(page, IN_FLIGHT, &[]).all(|items| items == 0.0)
        && samples(page, IN_FLIGHT, &[]).count()
            >= samples(page, "sluice_ledger_items", &[("outcome", "accepted")]).count()
}

/// The binary under test: `SLUICE_BIN`, or the workspace's own, built now.
///
/// # Errors
/// Returns what the build says.
pub fn binary() -> Result<PathBuf> {
    static BINARY: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    BINARY.get_or_init(|| build().map_err(|error| format!("{error:#}"))).clone().map_err(anyhow::Error::msg)
}

fn build() -> Result<PathBuf> {
    if let Some(path) = std::env::var_os("SLUICE_BIN") {
        return Ok(path.into());
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    let output = command.current_dir(&root).args(["build", "--package", "sluice", "--bin", "sluice"]).output()?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from);
    Ok(target.join("debug/sluice"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ledger_is_settled_only_if_every_account_of_it_is() {
        let in_flight = |tenant: &str, signal: &str, items: i64| {
            format!("sluice_ledger_in_flight_items{{signal=\"{signal}\",tenant=\"{tenant}\"}} {items}\n")
        };
        let moved = |outcome: &str, signal: &str, items: u64| {
            format!(
                "sluice_ledger_items{{outcome=\"{outcome}\",reason=\"\",signal=\"{signal}\",tenant=\"a\"}} {items}\n"
            )
        };
        let cases = [
            (String::new(), true),
            (in_flight("a", "logs", 0) + &in_flight("b", "logs", 0), true),
            (in_flight("a", "logs", 3) + &in_flight("b", "logs", 0), false),
            (in_flight("a", "logs", 3) + &in_flight("b", "logs", -3), false),
            (in_flight("a", "logs", 3) + &in_flight("a", "traces", -3), false),
            (moved("accepted", "logs", 2), false),
            (moved("accepted", "logs", 2) + &in_flight("a", "logs", 0), true),
            (moved("moved_in", "logs", 2) + &moved("moved_out", "logs", 2), true),
            (moved("moved_in", "logs", 2), false),
            (moved("moved_in", "logs", 2) + &moved("moved_out", "traces", 2), false),
        ];
        for (page, expected) in cases {
            assert_eq!(is_settled(&page), expected, "{page}");
        }
    }
}
