//! Ten times more than memory allows: senders are told to come again, and the process stays below its limit.

use std::process::Command;

use anyhow::{Context, Result, ensure};
use sluice_tests::Sluice;

/// Nothing takes what is accepted, so that it stays in memory.
const CONFIG: &str = "
receivers:
  otlp: {protocols: {grpc: {endpoint: '127.0.0.1:{{grpc}}'}, http: {endpoint: '127.0.0.1:{{http}}'}}}
processors:
  memory_limiter: {check_interval: 1s, limit_mib: 160}
  filter: {traces: {span: ['attributes[\"http.route\"] == \"/health\"']}}
  redaction: {allow_all_keys: true, blocked_values: ['4[0-9]{12}(?:[0-9]{3})?']}
  tenant_label: {sources: [{from: resource, key: tenant}]}
  sampler: {sampling_percentage: 90}
exporters:
  otlphttp: {endpoint: 'http://127.0.0.1:1', sending_queue: {queue_size: 1000000}}
service:
  shutdown_timeout: 500ms
  pipelines:
    traces:
      receivers: [otlp]
      processors: [memory_limiter, filter, redaction, tenant_label, sampler]
      exporters: [otlphttp]
";
const LIMIT_MIB: f64 = 160.0;
/// A build for tests compiles the stages at its start and is larger: at rest it has 69 MB, a release 39.
const TEST_BUILD_MIB: f64 = if cfg!(debug_assertions) { 24.0 } else { 0.0 };
/// Half of the soft limit, which is four fifths of the limit.
const BUDGET_MIB: f64 = 64.0;
const SPANS: usize = 5_000;
const REQUESTS: usize = 400;

/// Sends compressed requests over 8 connections; gives how many were accepted.
fn load(transport: &str, port: u16) -> Result<usize> {
    let (address, requests, items) = (format!("127.0.0.1:{port}"), REQUESTS.to_string(), SPANS.to_string());
    let output = Command::new(env!("CARGO_BIN_EXE_otlp-load"))
        .args([transport, &address, "--gzip", "--connections", "8", "--requests", &requests, "--items", &items])
        .output()?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    ensure!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    let failed = said.split(' ').find_map(|word| word.strip_prefix("failed_requests="));
    let failed: usize = failed.context(said.clone())?.parse()?;
    Ok(REQUESTS - failed)
}

/// The highest resident memory so far.
fn peak_mib(process: u32) -> Result<f64> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status"))?;
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).context("no VmHWM")?;
    Ok(peak.trim().trim_end_matches(" kB").parse::<f64>()? / 1024.0)
}

#[test]
fn ten_times_more_than_memory_allows_is_refused_and_memory_stays_below_its_limit() -> Result<()> {
    let sent_mib =
        (sluice_wire::sample::request(sluice_wire::Signal::Traces, SPANS).len() * REQUESTS) as f64 / 1048576.0;
    assert!(sent_mib > 10.0 * BUDGET_MIB, "{sent_mib} MiB");
    let sluice = Sluice::start(CONFIG)?;
    let accepted = load("--grpc", sluice.port("grpc"))? + load("--http", sluice.port("http"))?;
    assert!(accepted > 0);
    let refused = sluice.metric("sluice_receiver_rejected_requests", &[("reason", "memory_budget")])?;
    assert_eq!(accepted + refused as usize, 2 * REQUESTS, "each request has one answer");
    assert_eq!(sluice.ledger("accepted")? as usize, accepted * SPANS);
    let used = sluice.metric("sluice_memory_budget_used_bytes", &[])? / 1048576.0;
    assert!(used > 0.9 * BUDGET_MIB && used <= BUDGET_MIB, "{used} MiB of the budget");
    let peak = peak_mib(sluice.process().id())?;
    assert!(peak < LIMIT_MIB + TEST_BUILD_MIB, "{peak} MiB");
    let error = sluice.end().expect_err("nothing could be delivered").to_string();
    assert!(error.contains("shutdown left items behind"), "{error}");
    Ok(())
}
