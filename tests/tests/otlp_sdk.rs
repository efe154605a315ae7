//! OpenTelemetry's own Python SDK as the client: nothing is lost, ids and values arrive unchanged.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::Value;
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

/// As many objects as there must be. The file exporter writes to the disk once a second.
fn collect(sluice: &Sluice, file: &str, path: &[&str], count: usize) -> Result<Vec<Value>> {
    web::eventually(file, Duration::from_secs(10), || {
        let found = collected(sluice, file, path)?;
        Ok((found.len() >= count).then_some(found))
    })
}

/// All objects of a list that stands below a path of keys in every line of a file.
fn collected(sluice: &Sluice, file: &str, path: &[&str]) -> Result<Vec<Value>> {
    let text = std::fs::read_to_string(sluice.dir().join(file)).with_context(|| file.to_owned())?;
    let mut found: Vec<Value> = text.lines().map(serde_json::from_str).collect::<Result<_, _>>()?;
    for key in path {
        let lists = found.iter().filter_map(|value| value[key].as_array());
        found = lists.flatten().cloned().collect();
    }
    Ok(found)
}

fn attribute<'a>(of: &'a Value, key: &str) -> &'a Value {
    let attributes = of["attributes"].as_array().map(Vec::as_slice).unwrap_or_default();
    attributes.iter().find(|attribute| attribute["key"] == key).map_or(&Value::Null, |attribute| &attribute["value"])
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

    let spans = collect(&sluice, "traces.jsonl", &["resourceSpans", "scopeSpans", "spans"], 2 * COUNT)?;
    let by_id: BTreeMap<&str, &Value> = spans.iter().filter_map(|s| Some((s["spanId"].as_str()?, s))).collect();
    assert_eq!((spans.len(), by_id.len()), (2 * COUNT, 2 * COUNT));
    for (id, expected) in sent["spans"].as_object().context("spans")? {
        let span = by_id.get(id.as_str()).with_context(|| format!("span {id} is missing"))?;
        assert_eq!(span["traceId"], expected["trace"]);
        assert_eq!(span["name"], expected["name"]);
        assert_eq!(span["parentSpanId"].as_str().unwrap_or_default(), expected["parent"]);
        if let Some(number) = expected["n"].as_u64() {
            assert_eq!(attribute(span, "n")["intValue"], number.to_string());
            assert_eq!(attribute(span, "half")["doubleValue"].as_f64(), Some(number as f64 / 2.0));
            assert_eq!(attribute(span, "odd")["boolValue"], number % 2 == 1);
            assert_eq!(attribute(&span["events"][0], "text")["stringValue"], "grüße");
        }
    }

    let metrics = collect(&sluice, "metrics.jsonl", &["resourceMetrics", "scopeMetrics", "metrics"], 2)?;
    let metric = |name: &str| metrics.iter().find(|metric| metric["name"] == name).context("a metric is missing");
    let point = &metric("orders")?["sum"]["dataPoints"][0];
    assert_eq!(point["asInt"], sent["counter"].to_string());
    assert_eq!(metric("duration")?["histogram"]["dataPoints"][0]["count"], COUNT.to_string());

    let logs = collect(&sluice, "logs.jsonl", &["resourceLogs", "scopeLogs", "logRecords"], COUNT)?;
    let bodies: Vec<&Value> = logs.iter().map(|log| &log["body"]["stringValue"]).collect();
    assert_eq!(bodies, sent["logs"].as_array().context("logs")?.iter().collect::<Vec<_>>());

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
