//! OpenTelemetry's own Python SDK as the client: nothing is lost, and all of it arrives as it was sent.

use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::{Value, json};
use sluice_tests::{Sluice, parts, web};

const COUNT: usize = 500;

const CONFIG: &str = "
receivers:
  otlp:
    protocols:
      grpc: {endpoint: '127.0.0.1:{{grpc}}'}
      http: {endpoint: '127.0.0.1:{{http}}'}
processors:
  batch: {timeout: 100ms, send_batch_size: 200, send_batch_max_size: 300}
exporters:
  file/traces: {path: '{{{dir}}}/traces.jsonl'}
  file/metrics: {path: '{{{dir}}}/metrics.jsonl'}
  file/logs: {path: '{{{dir}}}/logs.jsonl'}
service:
  pipelines:
    traces: {receivers: [otlp], processors: [batch], exporters: [file/traces]}
    metrics: {receivers: [otlp], processors: [batch], exporters: [file/metrics]}
    logs: {receivers: [otlp], processors: [batch], exporters: [file/logs]}
";

/// What a signal's file has: the keys of the lists below a line.
const FILES: [(&str, [&str; 3]); 3] = [
    ("traces", ["resourceSpans", "scopeSpans", "spans"]),
    ("metrics", ["resourceMetrics", "scopeMetrics", "metrics"]),
    ("logs", ["resourceLogs", "scopeLogs", "logRecords"]),
];

/// As many records as there must be. The file exporter writes to the disk once a second.
fn collect(sluice: &Sluice, signal: &str, keys: [&str; 3], count: usize) -> Result<Vec<Value>> {
    web::eventually(signal, Duration::from_secs(10), || {
        let found = collected(sluice, signal, keys)?;
        Ok((found.len() >= count).then_some(found))
    })
}

/// All records of a file, each with what it stands in.
fn collected(sluice: &Sluice, signal: &str, [resources, scopes, records]: [&str; 3]) -> Result<Vec<Value>> {
    let file = sluice.dir().join(format!("{signal}.jsonl"));
    let text = std::fs::read_to_string(&file).with_context(|| file.display().to_string())?;
    let list = |of: &Value, key: &str| of[key].as_array().cloned().unwrap_or_default();
    let mut found = Vec::new();
    for line in text.lines() {
        let request: Value = serde_json::from_str(line)?;
        for resource in list(&request, resources) {
            for scope in list(&resource, scopes) {
                found.extend(list(&scope, records).into_iter().map(|record| {
                    json!({
                        "resource": resource["resource"], "resourceSchema": resource["schemaUrl"],
                        "scope": scope["scope"], "scopeSchema": scope["schemaUrl"], "record": record,
                    })
                }));
            }
        }
    }
    Ok(found)
}

/// Numbers are the same however they are written: 1 and 1.0.
fn plain(value: &mut Value) {
    match value {
        Value::Number(number) => *value = json!(number.as_f64()),
        Value::Array(values) => values.iter_mut().for_each(plain),
        Value::Object(fields) => fields.values_mut().for_each(plain),
        Value::Null | Value::Bool(_) | Value::String(_) => {}
    }
}

fn check(protocol: &str) -> Result<()> {
    let Some(python) = parts::python() else { return Ok(()) };
    let sluice = Sluice::start(CONFIG)?;
    let endpoint = match protocol {
        "grpc" => format!("127.0.0.1:{}", sluice.port("grpc")),
        _ => format!("http://127.0.0.1:{}", sluice.port("http")),
    };
    let printed = parts::run_script(&python, "otel_sdk.py", &[protocol, &endpoint, &COUNT.to_string()], &[])?;
    let sent: Value = serde_json::from_str(printed.lines().last().context("nothing printed")?)?;
    sluice.settle()?;

    for (signal, keys) in FILES {
        let sent = sent[signal].as_array().context("a list")?;
        let mut found = collect(&sluice, signal, keys, sent.len())?;
        assert_eq!(found.len(), sent.len(), "{signal}");
        for (found, sent) in found.iter_mut().zip(sent) {
            let mut sent = sent.clone();
            plain(&mut sent);
            plain(found);
            assert_eq!(found, &sent, "{signal}");
        }
        let expected = if signal == "metrics" { 2 } else { COUNT * (1 + usize::from(signal == "traces")) };
        assert_eq!(sent.len(), expected, "{signal}");
    }

    assert_eq!(sluice.metric("otelcol_receiver_accepted_spans", &[("receiver", "otlp")])?, 2.0 * COUNT as f64);
    assert_eq!(sluice.metric("otelcol_exporter_sent_spans", &[("exporter", "file/traces")])?, 2.0 * COUNT as f64);
    sluice.stop()?;
    Ok(())
}

#[test]
fn the_python_sdk_loses_nothing_over_grpc() -> Result<()> {
    check("grpc")
}

#[test]
fn the_python_sdk_loses_nothing_over_http() -> Result<()> {
    check("http")
}

#[test]
fn the_python_sdk_loses_nothing_over_http_with_json() -> Result<()> {
    check("json")
}
