//! A process under measurement: what it costs, as the kernel counts it.

use std::io::{BufRead, BufReader};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

/// How many clock ticks /proc counts in a second, on every Linux.
const TICKS_PER_SECOND: f64 = 100.0;
const START_TIMEOUT: Duration = Duration::from_secs(60);
const STOP_TIMEOUT: Duration = Duration::from_secs(15);

/// A child process that ends with its value.
pub(crate) struct Measured {
    child: Child,
    log: PathBuf,
}

impl Measured {
    /// Starts it; what it prints goes to a file.
    pub(crate) fn start(command: &mut Command, log: &Path) -> Result<Self> {
        let file = std::fs::File::create(log).with_context(|| format!("can't write {}", log.display()))?;
        let child = command.stdin(Stdio::piped()).stdout(file.try_clone()?).stderr(file).spawn();
        let child = child.with_context(|| format!("can't start {:?}", command.get_program()))?;
        Ok(Self { child, log: log.to_owned() })
    }

    /// Waits until an address takes connections.
    pub(crate) fn wait_for_port(&mut self, address: &str) -> Result<()> {
        let started = Instant::now();
        while TcpStream::connect(address).is_err() {
            if let Some(status) = self.child.try_wait()? {
                bail!("it ended early, {status}; see {}", self.log.display());
            }
            ensure!(started.elapsed() < START_TIMEOUT, "nothing listens on {address}; see {}", self.log.display());
            std::thread::sleep(Duration::from_millis(5));
        }
        Ok(())
    }

    /// CPU seconds so far, user and system, with its children's.
    pub(crate) fn cpu_seconds(&self) -> Result<f64> {
        self.processes().iter().map(|process| cpu_seconds(*process)).sum()
    }

    /// Waits until it has nothing more to do, and gives its CPU seconds.
    pub(crate) fn settled_cpu_seconds(&self) -> Result<f64> {
        let started = Instant::now();
        let mut before = self.cpu_seconds()?;
        loop {
            std::thread::sleep(Duration::from_millis(300));
            let now = self.cpu_seconds()?;
            // One tick may be the clock's, or housekeeping.
            if now - before < 1.5 / TICKS_PER_SECOND {
                return Ok(now);
            }
            ensure!(started.elapsed() < START_TIMEOUT, "it is still busy; see {}", self.log.display());
            before = now;
        }
    }

    /// Resident memory now and at its highest, in MB, with its children's.
    pub(crate) fn memory_mb(&self) -> Result<(f64, f64)> {
        let mut sum = (0.0, 0.0);
        for process in self.processes() {
            let status = std::fs::read_to_string(format!("/proc/{process}/status"))?;
            let field = |name: &str| -> Option<f64> {
                let line = status.lines().find(|line| line.starts_with(name))?;
                Some(line.split_ascii_whitespace().nth(1)?.parse::<f64>().ok()? * 1.024e-3)
            };
            let (now, highest) = field("VmRSS:").zip(field("VmHWM:")).context("no memory in /proc")?;
            sum = (sum.0 + now, sum.1 + highest);
        }
        Ok(sum)
    }

    /// Ends its standard input, waits for it to end by itself, and gives what it printed.
    pub(crate) fn finish(mut self) -> Result<String> {
        drop(self.child.stdin.take());
        ensure!(self.ends_within(STOP_TIMEOUT), "it does not end; see {}", self.log.display());
        Ok(std::fs::read_to_string(&self.log)?)
    }

    /// Itself and its children: nginx works in one.
    fn processes(&self) -> Vec<u32> {
        let id = self.child.id();
        let children = std::fs::read_to_string(format!("/proc/{id}/task/{id}/children")).unwrap_or_default();
        std::iter::once(id).chain(children.split_ascii_whitespace().filter_map(|child| child.parse().ok())).collect()
    }

    fn ends_within(&mut self, timeout: Duration) -> bool {
        let deadline = Instant::now() + timeout;
        while Instant::now() < deadline {
            if matches!(self.child.try_wait(), Ok(Some(_))) {
                return true;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        false
    }
}

impl Drop for Measured {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(Some(_))) {
            return;
        }
        // SIGTERM, so that nginx takes its worker along.
        let _ = Command::new("kill").arg(self.child.id().to_string()).status();
        if !self.ends_within(STOP_TIMEOUT) {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

/// Makes sure that nobody else is measured by mistake.
pub(crate) fn ensure_free(address: &str) -> Result<()> {
    ensure!(TcpStream::connect(address).is_err(), "something listens on {address} already; end it first");
    Ok(())
}

fn cpu_seconds(process: u32) -> Result<f64> {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat"))?;
    // The name may have anything in it; after it come state, and as the 14th and 15th field of all, utime and stime.
    let fields: Vec<&str> = stat.rsplit_once(')').context("no name")?.1.split_ascii_whitespace().collect();
    let ticks = |field: usize| fields.get(field).and_then(|ticks| ticks.parse::<f64>().ok());
    let (user, system) = ticks(11).zip(ticks(12)).context("no times in /proc")?;
    Ok((user + system) / TICKS_PER_SECOND)
}

/// How long a command takes until it prints a line with this text; it is killed afterwards.
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
    elapsed.with_context(|| format!("no line with {text:?}:\n{seen}"))
}
