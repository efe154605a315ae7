//! A real Prometheus receives every kind of metric by remote write, and gives the values back.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result};
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue, any_value};
use opentelemetry_proto::tonic::metrics::v1::{
    ExponentialHistogram, ExponentialHistogramDataPoint, Gauge, Histogram, HistogramDataPoint, Metric, NumberDataPoint,
    ResourceMetrics, ScopeMetrics, Sum, Summary, SummaryDataPoint, exponential_histogram_data_point::Buckets,
    metric::Data, number_data_point, summary_data_point::ValueAtQuantile,
};
use opentelemetry_proto::tonic::resource::v1::Resource;
use prost::Message;
use serde_json::{Value, json};
use sluice_tests::{Sluice, parts, web};

const CONFIG: &str = "
receivers:
  otlp:
    protocols:
      http: {endpoint: '127.0.0.1:{{http}}'}
exporters:
  prometheusremotewrite:
    endpoint: PROMETHEUS/api/v1/write
    external_labels: {zone: eu}
service:
  pipelines:
    metrics: {receivers: [otlp], exporters: [prometheusremotewrite]}
";

fn text(key: &str, value: &str) -> KeyValue {
    let value = Some(AnyValue { value: Some(any_value::Value::StringValue(value.into())) });
    KeyValue { key: key.into(), value, ..Default::default() }
}

fn metric(name: &str, unit: &str, data: Data) -> Metric {
    Metric { name: name.into(), unit: unit.into(), data: Some(data), ..Default::default() }
}

fn number(value: f64, nanos: u64) -> NumberDataPoint {
    let value = Some(number_data_point::Value::AsDouble(value));
    NumberDataPoint { attributes: vec![text("queue.name", "a")], time_unix_nano: nanos, value, ..Default::default() }
}

fn integer(value: i64, nanos: u64) -> NumberDataPoint {
    NumberDataPoint { value: Some(number_data_point::Value::AsInt(value)), ..number(0.0, nanos) }
}

/// All kinds of metrics at one time.
fn request(nanos: u64) -> Vec<u8> {
    let histogram = HistogramDataPoint {
        time_unix_nano: nanos,
        count: 6,
        sum: Some(12.5),
        bucket_counts: vec![1, 2, 3],
        explicit_bounds: vec![0.5, 10.0],
        ..Default::default()
    };
    let exponential = ExponentialHistogramDataPoint {
        time_unix_nano: nanos,
        count: 9,
        sum: Some(20.0),
        scale: 1,
        zero_count: 1,
        positive: Some(Buckets { offset: 1, bucket_counts: vec![3, 0, 0, 0, 5] }),
        ..Default::default()
    };
    let summary = SummaryDataPoint {
        time_unix_nano: nanos,
        count: 4,
        sum: 8.0,
        quantile_values: vec![ValueAtQuantile { quantile: 0.99, value: 7.0 }],
        ..Default::default()
    };
    let cumulative = 2;
    let metrics = vec![
        metric("queue.size", "", Data::Gauge(Gauge { data_points: vec![number(1.5, nanos)] })),
        metric(
            "io",
            "By",
            Data::Sum(Sum {
                data_points: vec![number(42.0, nanos)],
                aggregation_temporality: cumulative,
                is_monotonic: true,
            }),
        ),
        metric(
            "connections",
            "",
            Data::Sum(Sum {
                data_points: vec![integer(-3, nanos)],
                aggregation_temporality: cumulative,
                is_monotonic: false,
            }),
        ),
        metric(
            "latency",
            "s",
            Data::Histogram(Histogram { data_points: vec![histogram], aggregation_temporality: cumulative }),
        ),
        metric(
            "size",
            "",
            Data::ExponentialHistogram(ExponentialHistogram {
                data_points: vec![exponential],
                aggregation_temporality: cumulative,
            }),
        ),
        metric("old", "", Data::Summary(Summary { data_points: vec![summary] })),
        metric(
            "lost",
            "",
            Data::Sum(Sum { data_points: vec![number(1.0, nanos)], aggregation_temporality: 1, is_monotonic: true }),
        ),
    ];
    request_of(metrics)
}

fn request_of(metrics: Vec<Metric>) -> Vec<u8> {
    let attributes = vec![text("service.name", "shop"), text("service.instance.id", "i-1"), text("host.name", "h")];
    let scope = InstrumentationScope { name: "checkout".into(), version: "2.1".into(), ..Default::default() };
    let resource_metrics = vec![ResourceMetrics {
        resource: Some(Resource { attributes, ..Default::default() }),
        scope_metrics: vec![ScopeMetrics { scope: Some(scope), metrics, ..Default::default() }],
        ..Default::default()
    }];
    ExportMetricsServiceRequest { resource_metrics }.encode_to_vec()
}

/// Names and values, the metric's name among them.
type Labels = BTreeMap<String, String>;

/// All series that Prometheus has, each with the values of its samples, which must be of these times and no others.
fn everything(prometheus: &str, times: &[Duration]) -> Result<BTreeMap<Labels, Vec<Value>>> {
    let encoded: String = r#"{__name__=~".+"}[1h]"#.bytes().map(|byte| format!("%{byte:02x}")).collect();
    let reply = web::get(&format!("{prometheus}/api/v1/query?query={encoded}"))?.json()?;
    let result = reply["data"]["result"].as_array().with_context(|| reply.to_string())?;
    let sent: Vec<_> = times.iter().map(Duration::as_millis).collect();
    let mut all = BTreeMap::new();
    for series in result {
        let samples = ["values", "histograms"].iter().filter_map(|kind| series[kind].as_array()).flatten();
        let samples: Vec<&Value> = samples.collect();
        let millis = |seconds: f64| (seconds * 1000.0).round() as u128;
        let at: Vec<_> = samples.iter().filter_map(|sample| sample[0].as_f64().map(millis)).collect();
        assert_eq!(at, sent, "{series}");
        let labels = serde_json::from_value(series["metric"].clone())?;
        let before = all.insert(labels, samples.iter().map(|sample| sample[1].clone()).collect());
        assert_eq!(before, None, "{series}");
    }
    Ok(all)
}

/// What it must have: every series with the same value at both times.
fn expected() -> BTreeMap<Labels, Vec<Value>> {
    let target = [("job", "shop"), ("instance", "i-1"), ("zone", "eu")];
    let scope = [("otel_scope_name", "checkout"), ("otel_scope_version", "2.1")];
    // A base of the square root of two: bucket 1 ends at 2, bucket 5 at 8. 0 and 3 tell which ends belong to a bucket.
    let exponential = json!({
        "count": "9",
        "sum": "20",
        "buckets": [
            [3, "-1e-128", "1e-128", "1"],
            [0, "1.414213562373095", "2", "3"],
            [0, "5.65685424949238", "8", "5"],
        ],
    });
    let series = [
        ("queue_size", Some(("queue_name", "a")), json!("1.5")),
        ("io_bytes_total", Some(("queue_name", "a")), json!("42")),
        ("connections", Some(("queue_name", "a")), json!("-3")),
        ("latency_seconds_bucket", Some(("le", "0.5")), json!("1")),
        ("latency_seconds_bucket", Some(("le", "10")), json!("3")),
        ("latency_seconds_bucket", Some(("le", "+Inf")), json!("6")),
        ("latency_seconds_count", None, json!("6")),
        ("latency_seconds_sum", None, json!("12.5")),
        ("size", None, exponential),
        ("old", Some(("quantile", "0.99")), json!("7")),
        ("old_count", None, json!("4")),
        ("old_sum", None, json!("8")),
        ("target_info", Some(("host_name", "h")), json!("1")),
    ];
    let entry = |(name, own, value): (&'static str, Option<(&'static str, &'static str)>, Value)| {
        let scope = scope.into_iter().filter(|_| name != "target_info");
        let labels = [("__name__", name)].into_iter().chain(target).chain(scope).chain(own);
        let labels: Labels = labels.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        (labels, vec![value.clone(), value])
    };
    series.into_iter().map(entry).collect()
}

fn send(sluice: &Sluice, body: &[u8]) -> Result<()> {
    let url = format!("http://127.0.0.1:{}/v1/metrics", sluice.port("http"));
    let reply = web::post(&url, "application/x-protobuf", body)?;
    assert_eq!(reply.status, 200, "{}", reply.body);
    Ok(())
}

/// How many series a query finds.
fn found(prometheus: &str, query: &str) -> Result<usize> {
    let reply = web::get(&format!("{prometheus}/api/v1/query?query={query}"))?.json()?;
    Ok(reply["data"]["result"].as_array().with_context(|| reply.to_string())?.len())
}

#[test]
fn every_kind_of_metric_arrives_with_its_values_and_labels() -> Result<()> {
    let Some(prometheus) = parts::prometheus()? else { return Ok(()) };
    let sluice = Sluice::start(&CONFIG.replace("PROMETHEUS", &prometheus.url))?;
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?;
    let times = [2, 1].map(|seconds_ago| now - Duration::from_secs(seconds_ago));
    for time in times {
        send(&sluice, &request(time.as_nanos() as u64))?;
    }
    sluice.settle()?;
    let found = everything(&prometheus.url, &times)?;
    assert_eq!(found, expected(), "{}", sluice.log());
    assert_eq!(
        sluice.metric("sluice_ledger_items", &[("outcome", "dropped"), ("reason", "invalid_temporality")])?,
        2.0
    );
    assert_eq!(sluice.ledger("exported")?, 12);
    sluice.stop()?;
    Ok(())
}

/// A gauge with a point for each number.
fn numbered(name: &str, numbers: std::ops::Range<u64>, nanos: impl Fn(u64) -> u64) -> Metric {
    let point = |index: u64| NumberDataPoint {
        attributes: vec![text("number", &index.to_string())],
        ..number(index as f64, nanos(index))
    };
    metric(name, "", Data::Gauge(Gauge { data_points: numbers.map(point).collect() }))
}

#[test]
fn a_late_point_among_a_thousand_costs_itself() -> Result<()> {
    let Some(prometheus) = parts::prometheus()? else { return Ok(()) };
    let sluice = Sluice::start(&CONFIG.replace("PROMETHEUS", &prometheus.url))?;
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?.as_nanos() as u64;
    send(&sluice, &request_of(vec![numbered("size", 617..618, |_| now)]))?;
    sluice.settle()?;
    let late = |number: u64| if number == 617 { now - 5_000_000_000 } else { now };
    send(&sluice, &request_of(vec![numbered("size", 0..1_000, late)]))?;
    sluice.settle()?;
    assert_eq!((sluice.ledger("exported")?, sluice.ledger("rejected")?), (1_000, 0), "{}", sluice.log());
    assert_eq!(sluice.metric("otelcol_exporter_send_failed_metric_points", &[])?, 1.0);
    assert_eq!(found(&prometheus.url, "size")?, 1_000);

    // What a resource says about itself has no point of its own; here it is late.
    let earlier = now - 1_000_000_000;
    send(&sluice, &request_of(vec![numbered("earlier", 0..20, |_| earlier)]))?;
    sluice.settle()?;
    assert_eq!((sluice.ledger("exported")?, found(&prometheus.url, "earlier")?), (1_020, 20), "{}", sluice.log());
    sluice.stop()?;
    Ok(())
}

#[test]
fn a_prometheus_without_native_histograms_takes_everything_else() -> Result<()> {
    let Some(prometheus) = parts::prometheus_with(&[])? else { return Ok(()) };
    let sluice = Sluice::start(&CONFIG.replace("PROMETHEUS", &prometheus.url))?;
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?;
    send(&sluice, &request(now.as_nanos() as u64))?;
    sluice.settle()?;
    let mut all = everything(&prometheus.url, &[now])?;
    all.values_mut().for_each(|values| values.push(values[0].clone()));
    let mut others = expected();
    others.retain(|labels, _| labels["__name__"] != "size");
    assert_eq!(all, others, "{}", sluice.log());
    assert_eq!(sluice.ledger("exported")?, 5);
    sluice.stop()?;
    Ok(())
}
