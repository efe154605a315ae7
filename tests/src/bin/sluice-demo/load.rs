//! The senders: two tenants, three signals, over gRPC and over HTTP with gzip.

use std::path::Path;
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, ensure};

use crate::books::SIGNALS;
use crate::running::Running;

/// Who sends.
pub(crate) const TENANTS: [&str; 2] = ["acme", "globex"];
/// Records of a request.
const ITEMS_PER_REQUEST: u64 = 100;

/// A running sender.
pub(crate) struct Load {
    what: String,
    child: Child,
}

/// Starts one sender per tenant and signal: `acme` sends gRPC, `globex` HTTP with gzip.
pub(crate) fn start_all(program: &Path, sluice: &Running, items: u64, rate: Option<u64>) -> Result<Vec<Load>> {
    let mut loads = Vec::new();
    for tenant in TENANTS {
        for signal in SIGNALS {
            let mut command = Command::new(program);
            match tenant == TENANTS[0] {
                true => command.args(["--grpc", &sluice.grpc()]),
                false => command.args(["--http", &sluice.http(), "--gzip"]),
            };
            command.args(["--tenant", tenant, "--signal", signal, "--connections", "1"]);
            command.args(["--items", &ITEMS_PER_REQUEST.to_string()]);
            command.args(["--requests", &(items / ITEMS_PER_REQUEST).to_string()]);
            command.args(["--rate", &rate.unwrap_or(0).to_string()]);
            let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
            let child = child.with_context(|| format!("can't start {}", program.display()))?;
            loads.push(Load { what: format!("{signal} of {tenant}"), child });
        }
    }
    Ok(loads)
}

impl Load {
    /// Waits until everything is sent and answered.
    pub(crate) fn finish(mut self) -> Result<()> {
        let output = read(&mut self.child)?;
        let status = self.child.wait()?;
        ensure!(status.success() && output.contains("failed_requests=0"), "sending {}: {status} {output}", self.what);
        Ok(())
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        // It has ended unless something else went wrong.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn read(child: &mut Child) -> Result<String> {
    use std::io::Read;
    let mut output = String::new();
    if let Some(mut stdout) = child.stdout.take() {
        stdout.read_to_string(&mut output)?;
    }
    if let Some(mut stderr) = child.stderr.take() {
        stderr.read_to_string(&mut output)?;
    }
    Ok(output)
}
