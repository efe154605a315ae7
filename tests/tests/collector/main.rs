//! The real OpenTelemetry Collector as the oracle: the same processor blocks and the same random telemetry go to it and
//! to Sluice, and what comes out is compared item by item.
//!
//! What differs on purpose stands in the plugins' READMEs; `telemetry` leaves it out and `items` evens it out, each with
//! a comment. Every run has telemetry of its own; `SLUICE_TEST_SEED` repeats one.

mod cases;
mod configurations;
mod items;
mod own_metrics;
mod random;
mod telemetry;

use std::fmt::Write as _;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, ensure};
use cases::{Case, Effect};
use random::Random;
use sluice_tests::{Capture, Sluice, parts, ports, web};
use sluice_wire::Signal;
use telemetry::Leave;

/// Requests of each signal for each case, of some 40 items each.
const ROUNDS: u64 = 6;
/// More follow while a case has shown only one of its outcomes. Those who need this many have a block that does nothing.
const MAX_ROUNDS: u64 = 60;

/// One configuration for both: each case has a receiver, a pipeline per signal and a path of the capture of its own. A
/// request is answered when its data has been exported.
fn config(processor: &str, cases: &[Case], capture: &str) -> Result<String> {
    let mut receivers = String::from("receivers:\n");
    let mut processors = String::from("processors:\n");
    let mut exporters = String::from("exporters:\n");
    let mut pipelines = String::from("  pipelines:\n");
    for (number, case) in cases.iter().enumerate() {
        writeln!(receivers, "  otlp/{number}: {{protocols: {{http: {{endpoint: '127.0.0.1:{{{{{number}}}}}' }} }} }}")?;
        writeln!(processors, "  {processor}/{number}: {}", case.block)?;
        let options = "compression: none, sending_queue: {enabled: false}, retry_on_failure: {enabled: false}";
        writeln!(exporters, "  otlphttp/{number}: {{endpoint: '{capture}/{number}', {options}}}")?;
        for signal in case.signals {
            let name = path(*signal);
            let flow = format!(
                "receivers: [otlp/{number}], processors: [{processor}/{number}], exporters: [otlphttp/{number}]"
            );
            writeln!(pipelines, "    {name}/{number}: {{{flow}}}")?;
        }
    }
    let health =
        "extensions: {health_check: {endpoint: '127.0.0.1:{{health}}'}}\nservice:\n  extensions: [health_check]\n";
    Ok(format!("{receivers}{processors}{exporters}{health}{pipelines}"))
}

fn path(signal: Signal) -> &'static str {
    match signal {
        Signal::Traces => "traces",
        Signal::Metrics => "metrics",
        Signal::Logs => "logs",
    }
}

/// Sends a request and gives back the items that came out at the other end.
fn through(port: u16, capture: &Capture, number: usize, signal: Signal, body: &[u8]) -> Result<Vec<String>> {
    let name = path(signal);
    let reply = web::post(&format!("http://127.0.0.1:{port}/v1/{name}"), "application/x-protobuf", body)?;
    ensure!(reply.status == 200, "{}: {}", reply.status, reply.body);
    let bodies = capture.take(&format!("/{number}/v1/{name}"));
    let items = bodies.iter().map(|body| items::items(signal, body)).collect::<Result<Vec<_>>>()?;
    Ok(items.concat())
}

fn seed() -> Result<u64> {
    match std::env::var("SLUICE_TEST_SEED") {
        Ok(seed) => seed.parse().with_context(|| format!("SLUICE_TEST_SEED={seed}")),
        Err(_) => Ok(SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis() as u64),
    }
}

fn check(processor: &str, cases: &[Case]) -> Result<()> {
    let seed = seed()?;
    println!("SLUICE_TEST_SEED={seed}");
    let (theirs, ours) = (Capture::start()?, Capture::start()?);
    let quiet = "  telemetry: {metrics: {level: none}, logs: {level: error}}\n";
    let (text, ports) = ports::fill(&(config(processor, cases, &theirs.url)? + quiet));
    let Some(collector) = parts::collector(&text, ports["health"])? else { return Ok(()) };
    let sluice = Sluice::start(&config(processor, cases, &ours.url)?)?;

    let mut failures = Vec::new();
    for (number, case) in cases.iter().enumerate() {
        for signal in case.signals {
            let (mut sent, mut kept, mut changed) = (0, 0, 0);
            // A block that does nothing to the telemetry would show nothing.
            let mut effective = false;
            for round in 0..MAX_ROUNDS {
                if round >= ROUNDS && effective {
                    break;
                }
                let mut random = Random::new(seed ^ (number as u64) << 32 ^ round << 8 ^ *signal as u64);
                let request = telemetry::request(&mut random, *signal, Leave::of(processor, case.block));
                let before = items::items(*signal, &request)?;
                let name = number.to_string();
                let expected = through(ports[&name], &theirs, number, *signal, &request)
                    .with_context(|| format!("the Collector, {}\n{}", case.block, collector.log()))?;
                let result = through(sluice.port(&name), &ours, number, *signal, &request)
                    .with_context(|| format!("Sluice, {}\n{}", case.block, sluice.log()))?;
                sent += before.len();
                kept += expected.len();
                changed += expected.iter().filter(|item| !before.contains(item)).count();
                if let Some(difference) = items::difference(&expected, &result) {
                    failures.push(format!("{} of {processor} {}\n{difference}", path(*signal), case.block));
                }
                effective = match case.effect {
                    Effect::Drops => 0 < kept && kept < sent,
                    Effect::Changes => changed > 0,
                    Effect::Anything => true,
                };
            }
            ensure!(effective, "{}: {sent} sent, {kept} kept, {changed} changed by {}", path(*signal), case.block);
        }
    }
    let shown = failures.iter().take(5).cloned().collect::<Vec<_>>().join("\n\n");
    ensure!(failures.is_empty(), "SLUICE_TEST_SEED={seed}: {} requests differ\n{shown}", failures.len());
    sluice.stop()?;
    Ok(())
}

#[test]
fn filter_drops_what_the_collector_drops() -> Result<()> {
    check("filter", cases::FILTER)
}

#[test]
fn redaction_masks_and_removes_what_the_collector_does() -> Result<()> {
    check("redaction", cases::REDACTION)
}

#[test]
fn sampler_keeps_what_the_collector_keeps() -> Result<()> {
    check("probabilistic_sampler", cases::SAMPLER)
}
