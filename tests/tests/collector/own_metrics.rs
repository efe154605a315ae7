//! What both tell about themselves after the same telemetry: names, labels and values of the metrics.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use sluice_tests::{Capture, Sluice, parts, ports, web};
use sluice_wire::{Signal, sample};

const CONFIG: &str = "
receivers: {otlp: {protocols: {http: {endpoint: '127.0.0.1:{{http}}'}, grpc: {endpoint: '127.0.0.1:{{grpc}}'}}}}
processors:
  filter/health: {error_mode: ignore, traces: {span: ['attributes[\"http.route\"] == \"/health\"']}}
  batch: {timeout: 100ms}
exporters:
  otlphttp: {endpoint: 'CAPTURE', compression: none}
  otlphttp/nobody:
    endpoint: 'http://127.0.0.1:1'
    sending_queue: {enabled: false}
    retry_on_failure: {enabled: false}
extensions: {health_check: {endpoint: '127.0.0.1:{{health}}'}}
service:
  extensions: [health_check]
  pipelines:
    traces: {receivers: [otlp], processors: [filter/health, batch], exporters: [otlphttp]}
    metrics: {receivers: [otlp], processors: [batch], exporters: [otlphttp]}
    logs: {receivers: [otlp], exporters: [otlphttp/nobody]}
";

/// Series by name and labels, those added up that differ in labels that are left out.
type Page = BTreeMap<String, f64>;

/// The Collector's metrics on a page, but for what depends on the process or the machine, for buckets, and for the capacity
/// of queues, of which the Collector has one for each signal.
fn series(page: &str) -> Page {
    let depending =
        ["otelcol_process_", "otelcol_processor_batch_batch_send_size_bytes", "otelcol_exporter_queue_capacity"];
    let mut series = Page::new();
    for line in page.lines().filter(|line| line.starts_with("otelcol_") && !line.contains("_bucket{")) {
        let Some((name, value)) = line.rsplit_once(' ') else { continue };
        if let (false, Ok(value)) = (depending.iter().any(|prefix| line.starts_with(prefix)), value.parse::<f64>()) {
            *series.entry(without_own_labels(name)).or_default() += value;
        }
    }
    series
}

/// A series with its labels in alphabetical order, without those of the process and of the library, and without those by
/// which the Collector tells exporters' series apart and Sluice does not: README names them.
fn without_own_labels(series: &str) -> String {
    let Some((name, labels)) = series.trim_end_matches('}').split_once('{') else { return series.to_owned() };
    let own = ["otel_scope_", "service_", "server_", "data_type=", "url_path="];
    let mut labels: Vec<&str> =
        labels.split(',').filter(|label| !own.iter().any(|prefix| label.starts_with(prefix))).collect();
    labels.sort_unstable();
    format!("{name}{{{}}}", labels.join(","))
}

/// What one has and the other has not, or with another value. What is 0 need not be there.
fn differences(theirs: &Page, ours: &Page) -> Vec<String> {
    let all: BTreeSet<&String> = theirs.keys().chain(ours.keys()).collect();
    let value = |page: &Page, series: &String| page.get(series).copied().unwrap_or_default();
    let differing = all.into_iter().filter(|series| value(theirs, series) != value(ours, series));
    differing
        .map(|series| format!("{series}: the Collector {:?}, Sluice {:?}", theirs.get(series), ours.get(series)))
        .collect()
}

#[test]
fn the_metrics_about_themselves_are_the_same() -> Result<()> {
    let (theirs, ours) = (Capture::start()?, Capture::start()?);
    let metrics =
        "  telemetry: {metrics: {readers: [{pull: {exporter: {prometheus: {host: 127.0.0.1, port: {{metrics}}}}}}]}}\n";
    let (text, ports) = ports::fill(&(CONFIG.replace("CAPTURE", &theirs.url) + metrics));
    let Some(collector) = parts::collector(&text, ports["health"])? else { return Ok(()) };
    let sluice = Sluice::start(&CONFIG.replace("CAPTURE", &ours.url))?;
    for (signal, items, status) in [(Signal::Traces, 20, 200), (Signal::Metrics, 30, 200), (Signal::Logs, 40, 503)] {
        for port in [ports["http"], sluice.port("http")] {
            let url = format!("http://127.0.0.1:{port}/v1/{}", signal.name());
            let reply = web::post(&url, "application/x-protobuf", &sample::request(signal, items))?;
            ensure!(reply.status == status, "{url}: {}: {}", reply.status, reply.body);
        }
    }
    let page = |port: u16| -> Result<Page> { Ok(series(&web::get(&format!("http://127.0.0.1:{port}/metrics"))?.body)) };
    let mut shown = (Page::new(), Page::new());
    let same = web::eventually("the same metrics", Duration::from_secs(20), || {
        shown = (page(ports["metrics"])?, page(sluice.port("metrics"))?);
        let has_sent = shown.0.values().filter(|value| **value > 0.0).count() >= 12;
        Ok((has_sent && differences(&shown.0, &shown.1).is_empty()).then_some(()))
    });
    same.with_context(|| format!("{:#?}\n{}", shown.0, differences(&shown.0, &shown.1).join("\n")))?;
    drop(collector);
    sluice.stop()?;
    Ok(())
}
