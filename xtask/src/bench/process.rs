//! A process under measurement: what it costs, as the kernel counts it.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

/// A child process that ends with its value.
pub(crate) struct Measured(Child);

impl Measured {
    /// Starts it; what it prints goes to a file.
    pub(crate) fn start(command: &mut Command, log: &Path) -> Result<Self> {
        let file = std::fs::File::create(log)?;
        let child = command.stdin(Stdio::piped()).stdout(file.try_clone()?).stderr(file).spawn();
        Ok(Self(child.with_context(|| format!("can't start {:?}", command.get_program()))?))
    }

    /// CPU seconds so far, user and system.
    pub(crate) fn cpu_seconds(&self) -> Result<f64> {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.0.id()))?;
        let fields: Vec<&str> = stat.rsplit_once(')').context("no name")?.1.split_ascii_whitespace().collect();
        let ticks: f64 = fields[11].parse::<f64>()? + fields[12].parse::<f64>()?;
        Ok(ticks / 100.0)
    }

    /// CPU seconds of its children.
    pub(crate) fn children_cpu_seconds(&self) -> Result<f64> {
        let children = std::fs::read_to_string(format!("/proc/{0}/task/{0}/children", self.0.id()))?;
        let mut sum = 0.0;
        for child in children.split_ascii_whitespace() {
            let stat = std::fs::read_to_string(format!("/proc/{child}/stat"))?;
            let fields: Vec<&str> = stat.rsplit_once(')').context("no name")?.1.split_ascii_whitespace().collect();
            sum += (fields[11].parse::<f64>()? + fields[12].parse::<f64>()?) / 100.0;
        }
        Ok(sum)
    }

    /// Resident memory now and at its highest, in MB.
    pub(crate) fn memory_mb(&self) -> Result<(f64, f64)> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.0.id()))?;
        let field = |name: &str| -> Option<f64> {
            let line = status.lines().find(|line| line.starts_with(name))?;
            Some(line.split_ascii_whitespace().nth(1)?.parse::<f64>().ok()? / 1000.0 * 1.024)
        };
        field("VmRSS:").zip(field("VmHWM:")).context("no memory in /proc/self/status")
    }

    /// Waits until an address takes connections.
    pub(crate) fn wait_for_port(&mut self, address: &str) -> Result<Duration> {
        let started = Instant::now();
        while std::net::TcpStream::connect(address).is_err() {
            if let Some(status) = self.0.try_wait()? {
                bail!("ended early: {status}");
            }
            if started.elapsed() > Duration::from_secs(60) {
                bail!("nothing listens on {address}");
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        Ok(started.elapsed())
    }
}

impl Drop for Measured {
    fn drop(&mut self) {
        // SIGTERM, so that nginx takes its worker along.
        let _ = Command::new("kill").arg(self.0.id().to_string()).status();
        let deadline = Instant::now() + Duration::from_secs(10);
        while Instant::now() < deadline {
            if matches!(self.0.try_wait(), Ok(Some(_))) {
                return;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// How long a command takes until it prints a line with this text, killed afterwards.
pub(crate) fn time_to_line(command: &mut Command, text: &str) -> Result<Duration> {
    let started = Instant::now();
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn()?;
    let stderr = child.stderr.take().context("piped")?;
    let mut elapsed = None;
    let mut seen = String::new();
    for line in BufReader::new(stderr).lines() {
        let line = line?;
        if line.contains(text) {
            elapsed = Some(started.elapsed());
            break;
        }
        seen.push_str(&line);
        seen.push('\n');
    }
    child.kill()?;
    child.wait()?;
    elapsed.with_context(|| format!("no line with \"{text}\":\n{seen}"))
}
