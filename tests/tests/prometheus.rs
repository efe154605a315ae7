//! A real Prometheus receives every kind of metric by remote write, and gives the values back.

use std::time::{Duration, SystemTime};

use anyhow::{Context, Result};
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value};
use opentelemetry_proto::tonic::metrics::v1::{
    ExponentialHistogram, ExponentialHistogramDataPoint, Gauge, Histogram, HistogramDataPoint, Metric, NumberDataPoint,
    ResourceMetrics, ScopeMetrics, Sum, Summary, SummaryDataPoint, exponential_histogram_data_point::Buckets,
    metric::Data, number_data_point, summary_data_point::ValueAtQuantile,
};
use opentelemetry_proto::tonic::resource::v1::Resource;
use prost::Message;
use serde_json::Value;
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
    let attributes = vec![text("service.name", "shop"), text("service.instance.id", "i-1"), text("host.name", "h")];
    let resource_metrics = vec![ResourceMetrics {
        resource: Some(Resource { attributes, ..Default::default() }),
        scope_metrics: vec![ScopeMetrics { metrics, ..Default::default() }],
        ..Default::default()
    }];
    ExportMetricsServiceRequest { resource_metrics }.encode_to_vec()
}

fn query(prometheus: &str, query: &str) -> Result<Vec<Value>> {
    let encoded: String = query.bytes().map(|byte| format!("%{byte:02x}")).collect();
    let reply = web::get(&format!("{prometheus}/api/v1/query?query={encoded}"))?.json()?;
    Ok(reply["data"]["result"].as_array().with_context(|| reply.to_string())?.clone())
}

#[test]
fn every_kind_of_metric_arrives_with_its_values_and_labels() -> Result<()> {
    let Some(prometheus) = parts::prometheus()? else { return Ok(()) };
    let sluice = Sluice::start(&CONFIG.replace("PROMETHEUS", &prometheus.url))?;
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?;
    for seconds_ago in [2, 1] {
        let body = request((now - Duration::from_secs(seconds_ago)).as_nanos() as u64);
        let url = format!("http://127.0.0.1:{}/v1/metrics", sluice.port("http"));
        let reply = web::post(&url, "application/x-protobuf", &body)?;
        assert_eq!(reply.status, 200, "{}", reply.body);
    }
    sluice.settle()?;
    let value = |what: &str| -> Result<f64> {
        let found = web::eventually(what, Duration::from_secs(10), || {
            let result = query(&prometheus.url, what)?;
            Ok(result.first().and_then(|series| series["value"][1].as_str()?.parse().ok()))
        });
        found.with_context(|| format!("{}\n{}", sluice.log(), prometheus.log()))
    };
    let expected = [
        ("queue_size{job=\"shop\",instance=\"i-1\",queue_name=\"a\",zone=\"eu\"}", 1.5),
        ("io_bytes_total", 42.0),
        ("connections{queue_name=\"a\"}", -3.0),
        ("latency_seconds_count", 6.0),
        ("latency_seconds_sum", 12.5),
        ("latency_seconds_bucket{le=\"0.5\"}", 1.0),
        ("latency_seconds_bucket{le=\"10\"}", 3.0),
        ("latency_seconds_bucket{le=\"+Inf\"}", 6.0),
        ("histogram_count(size)", 9.0),
        ("histogram_sum(size)", 20.0),
        ("old{quantile=\"0.99\"}", 7.0),
        ("old_count", 4.0),
        ("target_info{host_name=\"h\"}", 1.0),
    ];
    for (what, wanted) in expected {
        assert_eq!(value(what)?, wanted, "{what}");
    }
    assert!(query(&prometheus.url, "lost_total")?.is_empty());
    assert_eq!(
        sluice.metric("sluice_ledger_items", &[("outcome", "dropped"), ("reason", "invalid_temporality")])?,
        2.0
    );
    assert_eq!(sluice.ledger("exported")?, 12);
    sluice.stop()?;
    Ok(())
}
