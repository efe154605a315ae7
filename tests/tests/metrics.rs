//! Metrics about Sluice itself that the Collector has, with the lines that a Collector 0.155 shows for the same telemetry.

use std::time::Duration;

use anyhow::{Result, ensure};
use sluice_tests::{Sluice, web};
use sluice_wire::{Signal, sample};

const CONFIG: &str = concat!(
    "
plugins: {cache_directory: '",
    env!("CARGO_TARGET_TMPDIR"),
    "/stage-code-cache'}
receivers: {otlp: {protocols: {http: {endpoint: '127.0.0.1:{{http}}'}}}}
processors:
  filter/all: {logs: {log_record: ['true == true']}, metrics: {datapoint: ['true == true']}, traces: {span: ['true == true']}}
exporters: {file: {path: '{{{dir}}}/out.json'}}
service:
  pipelines:
    traces: {receivers: [otlp], processors: [filter/all], exporters: [file]}
    metrics: {receivers: [otlp], processors: [filter/all], exporters: [file]}
    logs: {receivers: [otlp], processors: [filter/all], exporters: [file]}
"
);

#[test]
fn a_filter_counts_what_it_drops_as_the_collectors_does() -> Result<()> {
    let sluice = Sluice::start(CONFIG)?;
    for (signal, items) in [(Signal::Traces, 3), (Signal::Metrics, 4), (Signal::Logs, 5)] {
        let url = format!("http://127.0.0.1:{}/v1/{}", sluice.port("http"), signal.name());
        let reply = web::post(&url, "application/x-protobuf", &sample::request(signal, items))?;
        ensure!(reply.status == 200, "{}: {}", reply.status, reply.body);
    }
    sluice.settle()?;
    let metrics = sluice.metrics()?;
    for line in [
        "otelcol_processor_filter_spans_filtered{filter=\"filter/all\"} 3\n",
        "otelcol_processor_filter_datapoints_filtered{filter=\"filter/all\"} 4\n",
        "otelcol_processor_filter_logs_filtered{filter=\"filter/all\"} 5\n",
        "otelcol_processor_outgoing_items{otel_signal=\"logs\",processor=\"filter/all\"} 0\n",
    ] {
        ensure!(metrics.contains(line), "no {line} in\n{metrics}");
    }
    sluice.stop()?;
    Ok(())
}

#[test]
fn the_ledger_tells_what_was_sampled_out_from_what_was_filtered() -> Result<()> {
    let config = CONFIG
        .replace("processors:\n", "processors:\n  sampler: {sampling_percentage: 0}\n")
        .replace(
            "traces: {receivers: [otlp], processors: [filter/all]",
            "traces: {receivers: [otlp], processors: [sampler]",
        )
        .replace(
            "logs: {receivers: [otlp], processors: [filter/all]",
            "logs: {receivers: [otlp], processors: [sampler]",
        );
    let sluice = Sluice::start(&config)?;
    for (signal, items) in [(Signal::Traces, 3), (Signal::Logs, 5)] {
        let url = format!("http://127.0.0.1:{}/v1/{}", sluice.port("http"), signal.name());
        let reply = web::post(&url, "application/x-protobuf", &sample::request(signal, items))?;
        ensure!(reply.status == 200, "{}: {}", reply.status, reply.body);
    }
    sluice.settle()?;
    let metrics = sluice.metrics()?;
    for (signal, items) in [("traces", 3), ("logs", 5)] {
        let labels = format!("outcome=\"sampled_out\",reason=\"\",signal=\"{signal}\",tenant=\"default\"");
        let line = format!("sluice_ledger_items{{{labels}}} {items}\n");
        ensure!(metrics.contains(&line), "no {line} in\n{metrics}");
    }
    for absent in ["outcome=\"filtered\"", "outcome=\"exported\"", "otelcol_processor_filter_spans_filtered{"] {
        ensure!(!metrics.contains(absent), "{absent} in\n{metrics}");
    }
    sluice.stop()?;
    Ok(())
}

#[test]
fn a_batch_processor_and_a_queue_show_what_they_hold() -> Result<()> {
    let sluice = Sluice::start(
        "
receivers: {otlp: {protocols: {http: {endpoint: '127.0.0.1:{{http}}'}}}}
processors: {batch: {timeout: 1h, send_batch_size: 10, metadata_keys: [x-part]}}
exporters: {otlphttp: {endpoint: 'http://127.0.0.1:1'}}
service:
  shutdown_timeout: 100ms
  pipelines:
    traces: {receivers: [otlp], processors: [batch], exporters: [otlphttp]}
    logs: {receivers: [otlp], processors: [batch], exporters: [otlphttp]}
",
    )?;
    let full = sample::request(Signal::Traces, 12);
    for (signal, body) in [
        (Signal::Traces, &full),
        (Signal::Traces, &sample::request(Signal::Traces, 3)),
        (Signal::Logs, &sample::request(Signal::Logs, 4)),
    ] {
        let url = format!("http://127.0.0.1:{}/v1/{}", sluice.port("http"), signal.name());
        let reply = web::post(&url, "application/x-protobuf", body)?;
        ensure!(reply.status == 200, "{}: {}", reply.status, reply.body);
    }
    // Nothing listens at port 1, so that the full batch stays under way.
    for line in [
        "otelcol_exporter_in_flight_requests{exporter=\"otlphttp\"} 1\n".to_owned(),
        "otelcol_processor_batch_metadata_cardinality{processor=\"batch\"} 2\n".to_owned(),
        "otelcol_processor_batch_batch_send_size_bytes_count{processor=\"batch\"} 1\n".to_owned(),
        format!("otelcol_processor_batch_batch_send_size_bytes_sum{{processor=\"batch\"}} {}\n", full.len()),
    ] {
        web::eventually(&line, Duration::from_secs(10), || Ok(sluice.metrics()?.contains(&line).then_some(())))?;
    }
    let error = sluice.end().expect_err("the exporter has nowhere to send").to_string();
    ensure!(error.contains("items=19"), "{error}");
    Ok(())
}
