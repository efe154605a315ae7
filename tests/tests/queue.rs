//! What a queue's settings do in the running process: batches that are joined, requests side by side.

use anyhow::{Result, ensure};
use sluice_tests::{Capture, Sluice, web};
use sluice_wire::{Signal, sample};

fn config(exporter: &str) -> String {
    format!(
        "receivers: {{otlp: {{protocols: {{http: {{endpoint: '127.0.0.1:{{{{http}}}}'}}}}}}}}\nexporters:\n  {exporter}\n\
         extensions: {{health_check: {{endpoint: '127.0.0.1:{{{{health}}}}'}}}}\nservice:\n  extensions: [health_check]\n"
    )
}

fn send(sluice: &Sluice, signal: Signal, items: usize) -> Result<()> {
    let url = format!("http://127.0.0.1:{}/v1/{}", sluice.port("http"), signal.name());
    let reply = web::post(&url, "application/x-protobuf", &sample::request(signal, items))?;
    ensure!(reply.status == 200, "{}: {}", reply.status, reply.body);
    Ok(())
}

#[test]
fn a_sending_queue_joins_and_cuts_batches() -> Result<()> {
    let capture = Capture::start()?;
    let queue = "sending_queue: {batch: {min_size: 40, max_size: 40, flush_timeout: 1h}}";
    let exporter = format!("otlphttp: {{endpoint: '{}', compression: none, {queue}}}", capture.url);
    let pipelines = "  pipelines: {logs: {receivers: [otlp], exporters: [otlphttp]}}\n";
    let sluice = Sluice::start(&(config(&exporter) + pipelines))?;
    for items in [10, 10, 10, 30] {
        send(&sluice, Signal::Logs, items)?;
    }
    sluice.settle()?;
    let mut sizes = Vec::new();
    for body in capture.take("/v1/logs") {
        sizes.push(sluice_wire::validate(Signal::Logs, &body)?.records);
    }
    sizes.sort_unstable();
    assert_eq!(sizes, [20, 40]);
    assert_eq!(sluice.ledger("exported")?, 60);
    // What has not enough and no time left to wait for more goes out when the process stops.
    send(&sluice, Signal::Logs, 7)?;
    let log = sluice.end()?;
    assert_eq!(capture.take("/v1/logs").len(), 1, "{log}");
    Ok(())
}

#[test]
fn remote_write_sends_requests_of_a_batch_side_by_side() -> Result<()> {
    for key in ["max_batch_request_parallelism: 3", "remote_write_queue: {num_consumers: 3}"] {
        let capture = Capture::answering_together(3)?;
        let url = &capture.url;
        let exporter = format!("prometheusremotewrite: {{endpoint: '{url}/write', max_batch_size_bytes: 1, {key}}}");
        let pipelines = "  pipelines: {metrics: {receivers: [otlp], exporters: [prometheusremotewrite]}}\n";
        let sluice = Sluice::start(&(config(&exporter) + pipelines))?;
        send(&sluice, Signal::Metrics, 20)?;
        sluice.settle()?;
        assert!(capture.take("/write").len() > 3);
        sluice.stop()?;
    }
    Ok(())
}
