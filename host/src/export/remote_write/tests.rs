//! What Prometheus gets, read back with message types of its own.

use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value as Any;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue};
use opentelemetry_proto::tonic::metrics::v1::{
    Exemplar, ExponentialHistogram, ExponentialHistogramDataPoint, Gauge, Histogram, HistogramDataPoint, Metric,
    NumberDataPoint, ResourceMetrics, ScopeMetrics, Sum, Summary, SummaryDataPoint, exemplar,
    exponential_histogram_data_point::Buckets, metric::Data, number_data_point, summary_data_point::ValueAtQuantile,
};
use opentelemetry_proto::tonic::resource::v1::Resource;
use prost::Message;

use super::*;
use std::collections::BTreeSet;

use crate::config::component::ResourceToTelemetryConfig;
use crate::export::testing::server::{self, Server};
use crate::export::{Dropped, testing};

/// The receiving side, as Prometheus defines it (prompb/remote.proto and types.proto).
mod prompb {
    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct WriteRequest {
        #[prost(message, repeated, tag = "1")]
        pub(super) timeseries: Vec<TimeSeries>,
        #[prost(message, repeated, tag = "3")]
        pub(super) metadata: Vec<Metadata>,
    }
    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct TimeSeries {
        #[prost(message, repeated, tag = "1")]
        pub(super) labels: Vec<Label>,
        #[prost(message, repeated, tag = "2")]
        pub(super) samples: Vec<Sample>,
        #[prost(message, repeated, tag = "3")]
        pub(super) exemplars: Vec<Exemplar>,
        #[prost(message, repeated, tag = "4")]
        pub(super) histograms: Vec<Histogram>,
    }
    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct Label {
        #[prost(string, tag = "1")]
        pub(super) name: String,
        #[prost(string, tag = "2")]
        pub(super) value: String,
    }
    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct Sample {
        #[prost(double, tag = "1")]
        pub(super) value: f64,
        #[prost(int64, tag = "2")]
        pub(super) timestamp: i64,
    }
    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct Exemplar {
        #[prost(message, repeated, tag = "1")]
        pub(super) labels: Vec<Label>,
        #[prost(double, tag = "2")]
        pub(super) value: f64,
        #[prost(int64, tag = "3")]
        pub(super) timestamp: i64,
    }
    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct Histogram {
        #[prost(uint64, tag = "1")]
        pub(super) count: u64,
        #[prost(double, tag = "3")]
        pub(super) sum: f64,
        #[prost(sint32, tag = "4")]
        pub(super) schema: i32,
        #[prost(double, tag = "5")]
        pub(super) zero_threshold: f64,
        #[prost(uint64, tag = "6")]
        pub(super) zero_count: u64,
        #[prost(message, repeated, tag = "8")]
        pub(super) negative_spans: Vec<Span>,
        #[prost(sint64, repeated, tag = "9")]
        pub(super) negative_deltas: Vec<i64>,
        #[prost(message, repeated, tag = "11")]
        pub(super) positive_spans: Vec<Span>,
        #[prost(sint64, repeated, tag = "12")]
        pub(super) positive_deltas: Vec<i64>,
        #[prost(int64, tag = "15")]
        pub(super) timestamp: i64,
    }
    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct Span {
        #[prost(sint32, tag = "1")]
        pub(super) offset: i32,
        #[prost(uint32, tag = "2")]
        pub(super) length: u32,
    }
    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct Metadata {
        #[prost(int32, tag = "1")]
        pub(super) kind: i32,
        #[prost(string, tag = "2")]
        pub(super) family: String,
    }
}

const MS: u64 = 1_000_000;
/// What the labels of resource and scope may take.
const MAX_SHARED: usize = 64 << 10;

fn text(key: &str, value: &str) -> KeyValue {
    let value = Some(AnyValue { value: Some(Any::StringValue(value.into())) });
    KeyValue { key: key.into(), value, ..Default::default() }
}

fn request(resource: Vec<KeyValue>, metrics: Vec<Metric>) -> Vec<u8> {
    let scope = InstrumentationScope { name: "lib".into(), version: "1".into(), ..Default::default() };
    let scope_metrics = ScopeMetrics { scope: Some(scope), metrics, ..Default::default() };
    let resource = Some(Resource { attributes: resource, ..Default::default() });
    let resource_metrics = ResourceMetrics { resource, scope_metrics: vec![scope_metrics], ..Default::default() };
    ExportMetricsServiceRequest { resource_metrics: vec![resource_metrics] }.encode_to_vec()
}

fn point(attributes: Vec<KeyValue>, time_ms: u64, value: f64) -> NumberDataPoint {
    let value = Some(number_data_point::Value::AsDouble(value));
    NumberDataPoint { attributes, time_unix_nano: time_ms * MS, value, ..Default::default() }
}

fn gauge(name: &str, data_points: Vec<NumberDataPoint>) -> Metric {
    Metric { name: name.into(), data: Some(Data::Gauge(Gauge { data_points })), ..Default::default() }
}

fn sum(name: &str, temporality: i32, data_points: Vec<NumberDataPoint>) -> Metric {
    let sum = Sum { data_points, aggregation_temporality: temporality, is_monotonic: true };
    Metric { name: name.into(), unit: "By".into(), data: Some(Data::Sum(sum)), ..Default::default() }
}

fn plain() -> Translation {
    Translation {
        scope_info: false,
        target_info: false,
        ..Translation::new(&PrometheusRemoteWriteConfig::default(), Naming::WithSuffixes)
    }
}

fn decode(requests: &[WriteRequest]) -> Vec<prompb::WriteRequest> {
    let decode = |request: &WriteRequest| {
        let plain = snap::raw::Decoder::new().decompress_vec(&request.body).expect("snappy");
        prompb::WriteRequest::decode(plain.as_slice()).expect("a write request")
    };
    requests.iter().map(decode).collect()
}

/// All series as `{labels} value@time ...`.
fn series(translation: &Translation, bytes: &[u8]) -> Vec<String> {
    let translated = translate::translate(translation, "", bytes, 0);
    let requests = decode(&request::pack(translated.series, usize::MAX, usize::MAX));
    let show = |series: &prompb::TimeSeries| {
        let labels: Vec<_> = series.labels.iter().map(|label| format!("{}={}", label.name, label.value)).collect();
        assert!(series.labels.is_sorted_by(|a, b| a.name < b.name), "{labels:?}");
        let samples = series.samples.iter().map(|sample| format!(" {}@{}", sample.value, sample.timestamp));
        format!("{{{}}}{}", labels.join(","), samples.collect::<String>())
    };
    requests.iter().flat_map(|request| request.timeseries.iter().map(show)).collect()
}

#[test]
fn a_gauge_and_a_monotonic_sum_become_samples() {
    let metrics = vec![
        gauge("queue.size", vec![point(vec![text("queue.name", "a"), text("empty", "")], 5, 1.5)]),
        sum("io", 2, vec![point(vec![], 6, 3.0)]),
    ];
    let resource =
        vec![text("service.name", "shop"), text("service.namespace", "eu"), text("service.instance.id", "i-1")];
    assert_eq!(
        series(&plain(), &request(resource, metrics)),
        [
            "{__name__=queue_size,instance=i-1,job=eu/shop,queue_name=a} 1.5@5",
            "{__name__=io_bytes_total,instance=i-1,job=eu/shop} 3@6",
        ]
    );
}

#[test]
fn integers_and_sums_that_also_fall_become_samples() {
    let integer = |time_ms: u64, value: i64| NumberDataPoint {
        value: Some(number_data_point::Value::AsInt(value)),
        ..point(vec![], time_ms, 0.0)
    };
    let falling = |metric: Metric| match metric.data {
        Some(Data::Sum(sum)) => Metric { data: Some(Data::Sum(Sum { is_monotonic: false, ..sum })), ..metric },
        _ => metric,
    };
    let cases = [
        (gauge("g", vec![integer(5, -7)]), "{__name__=g} -7@5", ("g", 2)),
        (
            sum("io", 2, vec![integer(5, 1 << 53)]),
            "{__name__=io_bytes_total} 9007199254740992@5",
            ("io_bytes_total", 1),
        ),
        (falling(sum("open", 2, vec![point(vec![], 5, -2.5)])), "{__name__=open_bytes} -2.5@5", ("open_bytes", 2)),
        (falling(sum("held", 2, vec![integer(5, 3)])), "{__name__=held_bytes} 3@5", ("held_bytes", 2)),
    ];
    let translation = Translation { metadata: true, ..plain() };
    for (metric, expected, (family, kind)) in cases {
        let bytes = request(vec![], vec![metric]);
        assert_eq!(series(&translation, &bytes), [expected]);
        let requests =
            request::metadata(&translate::translate(&translation, "", &bytes, 0).metadata, usize::MAX, usize::MAX);
        let metadata = &decode(&requests)[0].metadata[0];
        assert_eq!((metadata.family.as_str(), metadata.kind), (family, kind));
    }
    // Temporality counts for both.
    let delta = falling(sum("delta", 1, vec![integer(5, 1)]));
    let translated = translate::translate(&plain(), "", &request(vec![], vec![delta]), 0);
    assert_eq!((translated.series.len(), translated.dropped[0].reason), (0, "invalid_temporality"));
}

#[test]
fn an_exemplar_may_be_an_integer() {
    let exemplar = Exemplar { time_unix_nano: MS, value: Some(exemplar::Value::AsInt(-3)), ..Default::default() };
    let with_exemplar = NumberDataPoint { exemplars: vec![exemplar], ..point(vec![], 1, 1.0) };
    let bytes = request(vec![], vec![sum("io", 2, vec![with_exemplar])]);
    let translated = translate::translate(&plain(), "", &bytes, 0);
    let requests = decode(&request::pack(translated.series, usize::MAX, usize::MAX));
    assert_eq!(requests[0].timeseries[0].exemplars[0].value, -3.0);
}

#[test]
fn samples_of_one_series_stand_together_in_the_order_of_time() {
    let metrics = vec![gauge("g", vec![point(vec![], 9, 2.0), point(vec![], 7, 1.0)])];
    assert_eq!(series(&plain(), &request(vec![], metrics)), ["{__name__=g} 1@7 2@9"]);
}

#[test]
fn a_histogram_becomes_cumulative_buckets() {
    let data_point = HistogramDataPoint {
        time_unix_nano: MS,
        count: 6,
        sum: Some(12.5),
        bucket_counts: vec![1, 2, 3],
        explicit_bounds: vec![0.5, 10.0],
        exemplars: vec![Exemplar {
            time_unix_nano: MS,
            trace_id: vec![1; 16],
            value: Some(exemplar::Value::AsDouble(2.0)),
            ..Default::default()
        }],
        ..Default::default()
    };
    let histogram = Histogram { data_points: vec![data_point], aggregation_temporality: 2 };
    let metric = Metric { name: "h".into(), data: Some(Data::Histogram(histogram)), ..Default::default() };
    let bytes = request(vec![], vec![metric]);
    assert_eq!(
        series(&plain(), &bytes),
        [
            "{__name__=h_count} 6@1",
            "{__name__=h_sum} 12.5@1",
            "{__name__=h_bucket,le=0.5} 1@1",
            "{__name__=h_bucket,le=10} 3@1",
            "{__name__=h_bucket,le=+Inf} 6@1",
        ]
    );
    let translated = translate::translate(&plain(), "", &bytes, 0);
    let requests = request::pack(translated.series, usize::MAX, usize::MAX);
    assert_eq!(requests.iter().map(WriteRequest::items).sum::<u64>(), 1);
    let exemplars = &decode(&requests)[0].timeseries[3].exemplars;
    assert_eq!((exemplars[0].value, exemplars[0].labels[0].value.as_str()), (2.0, "01".repeat(16).as_str()));
}

#[test]
fn an_exemplar_stands_in_the_first_bucket_that_holds_it() {
    let exemplar =
        |value| Exemplar { time_unix_nano: MS, value: Some(exemplar::Value::AsDouble(value)), ..Default::default() };
    let values = [0.5, 1.0, 1.5, 3.0, 9.0, f64::NAN];
    // The third bound is wrong: nothing is in that bucket that is not in one before it.
    let data_point = HistogramDataPoint {
        time_unix_nano: MS,
        count: 6,
        explicit_bounds: vec![1.0, 2.0, 1.5, 4.0],
        bucket_counts: vec![1; 5],
        exemplars: values.map(exemplar).to_vec(),
        ..Default::default()
    };
    let data = Histogram { data_points: vec![data_point], aggregation_temporality: 2 };
    let metric = Metric { name: "h".into(), data: Some(Data::Histogram(data)), ..Default::default() };
    let translated = translate::translate(&plain(), "", &request(vec![], vec![metric]), 0);
    let requests = decode(&request::pack(translated.series, usize::MAX, usize::MAX));
    let mut found: Vec<(String, usize)> = Vec::new();
    for series in requests.iter().flat_map(|request| &request.timeseries).filter(|series| !series.exemplars.is_empty())
    {
        let le = series.labels.iter().find(|label| label.name == "le").map(|label| label.value.clone());
        found.push((le.unwrap_or_default(), series.exemplars.len()));
    }
    found.sort();
    let expected = [("+Inf", 2), ("1", 2), ("2", 1), ("4", 1)];
    assert_eq!(found, expected.map(|(le, count)| (le.to_owned(), count)));
}

#[test]
fn an_exponential_histogram_becomes_a_native_one() {
    let data_point = ExponentialHistogramDataPoint {
        time_unix_nano: MS,
        count: 10,
        sum: Some(5.0),
        scale: 9,
        zero_count: 1,
        positive: Some(Buckets { offset: 2, bucket_counts: vec![1, 2, 3, 3] }),
        ..Default::default()
    };
    let data = ExponentialHistogram { data_points: vec![data_point], aggregation_temporality: 2 };
    let metric = Metric { name: "e".into(), data: Some(Data::ExponentialHistogram(data)), ..Default::default() };
    let translated = translate::translate(&plain(), "", &request(vec![], vec![metric]), 0);
    let requests = decode(&request::pack(translated.series, usize::MAX, usize::MAX));
    let histogram = &requests[0].timeseries[0].histograms[0];
    assert_eq!((histogram.count, histogram.schema, histogram.zero_count, histogram.timestamp), (10, 8, 1, 1));
    assert_eq!(histogram.zero_threshold, 1e-128);
    // Buckets 2..=5 of scale 9 are buckets 1 and 2 of scale 8, one higher in Prometheus's counting.
    assert_eq!(histogram.positive_spans, [prompb::Span { offset: 2, length: 2 }]);
    assert_eq!(histogram.positive_deltas, [3, 3]);
}

/// A request of exponential histograms, one a point.
fn exponential(data_points: Vec<ExponentialHistogramDataPoint>) -> Vec<u8> {
    let data = ExponentialHistogram { data_points, aggregation_temporality: 2 };
    let metric = Metric { name: "e".into(), data: Some(Data::ExponentialHistogram(data)), ..Default::default() };
    request(vec![], vec![metric])
}

#[test]
fn an_exponential_histogram_keeps_its_negative_side_and_its_zero_bucket() {
    let data_point = ExponentialHistogramDataPoint {
        time_unix_nano: MS,
        count: 12,
        scale: -4,
        zero_count: 2,
        zero_threshold: 0.25,
        negative: Some(Buckets { offset: -3, bucket_counts: vec![4, 0, 0, 0, 0, 6] }),
        ..Default::default()
    };
    let translated = translate::translate(&plain(), "", &exponential(vec![data_point]), 0);
    let requests = decode(&request::pack(translated.series, usize::MAX, usize::MAX));
    let histogram = &requests[0].timeseries[0].histograms[0];
    assert_eq!((histogram.schema, histogram.zero_count, histogram.zero_threshold), (-4, 2, 0.25));
    // One higher in Prometheus's counting; four empty buckets are too many to be filled.
    assert_eq!(
        histogram.negative_spans,
        [prompb::Span { offset: -2, length: 1 }, prompb::Span { offset: 4, length: 1 }]
    );
    assert_eq!(histogram.negative_deltas, [4, 2]);
    assert!(histogram.positive_spans.is_empty() && histogram.positive_deltas.is_empty());
}

#[test]
fn exponential_histograms_that_prometheus_does_not_have_are_dropped_with_the_reason() {
    let of = |scale, buckets| ExponentialHistogramDataPoint {
        time_unix_nano: MS,
        scale,
        count: buckets as u64,
        positive: Some(Buckets { offset: 0, bucket_counts: vec![1; buckets] }),
        ..Default::default()
    };
    let counted = |count, zero_count| ExponentialHistogramDataPoint { count, zero_count, ..of(-4, 100_000) };
    let stale = ExponentialHistogramDataPoint { flags: 1, count: 5, zero_count: 2, ..of(0, 3) };
    // A value that is no number is in the count and in no bucket.
    let uncounted = ExponentialHistogramDataPoint { sum: Some(f64::NAN), ..counted(100_002, 1) };
    let too_little = [counted(99_999, 0), counted(100_000, 1), counted(1 << 63, 0), counted(5, u64::MAX)];
    let mut points = vec![of(-5, 1), of(0, 100_001), uncounted, stale];
    points.extend(too_little);
    let bytes = exponential(points);
    let translated = translate::translate(&plain(), "", &bytes, 0);
    let dropped: Vec<_> = translated.dropped.iter().map(|dropped| (dropped.items, dropped.reason)).collect();
    let (kinds, counts) = dropped.split_at(2);
    assert_eq!(kinds, [(1, "invalid_scale"), (1, "too_many_buckets")]);
    assert_eq!((counts.iter().map(|(items, _)| items).sum::<u64>(), counts[0].1), (4, "invalid_count"));
    let requests = decode(&request::pack(translated.series, usize::MAX, usize::MAX));
    let histograms: Vec<_> = requests.iter().flat_map(|r| &r.timeseries).flat_map(|one| &one.histograms).collect();
    assert_eq!(histograms.len(), 2);
    assert_eq!((histograms[0].schema, histograms[0].positive_deltas.len()), (-4, 100_000));
    let stale = histograms[1];
    assert_eq!((stale.count, stale.sum.to_bits()), (0, STALE_NAN));
    // Prometheus refuses buckets that don't add up to the count.
    assert_eq!((stale.zero_count, stale.positive_spans.len(), stale.positive_deltas.len()), (0, 0, 0));
}

#[test]
fn a_summary_becomes_quantiles() {
    let quantile_values = vec![ValueAtQuantile { quantile: 0.99, value: 7.0 }];
    let data_point = SummaryDataPoint { time_unix_nano: MS, count: 2, sum: 8.0, quantile_values, ..Default::default() };
    let summary = Summary { data_points: vec![data_point] };
    let metric = Metric { name: "s".into(), data: Some(Data::Summary(summary)), ..Default::default() };
    let expected = ["{__name__=s_count} 2@1", "{__name__=s_sum} 8@1", "{__name__=s,quantile=0.99} 7@1"];
    assert_eq!(series(&plain(), &request(vec![], vec![metric])), expected);
}

#[test]
fn what_prometheus_cannot_express_is_dropped_with_its_reason() {
    let metrics = vec![
        sum("delta", 1, vec![point(vec![], 1, 1.0), point(vec![], 2, 1.0)]),
        sum("unspecified", 0, vec![point(vec![], 1, 1.0)]),
        gauge("...", vec![point(vec![], 1, 1.0)]),
        gauge("ok", vec![point(vec![text("____", "x")], 1, 1.0), point(vec![], 1, 1.0)]),
    ];
    let translated = translate::translate(&plain(), "", &request(vec![], metrics), 0);
    let dropped: Vec<_> = translated.dropped.iter().map(|dropped| (dropped.items, dropped.reason)).collect();
    let expected =
        [(2, "invalid_temporality"), (1, "invalid_temporality"), (1, "invalid_metric_name"), (1, "invalid_label_name")];
    assert_eq!(dropped, expected);
    assert_eq!(translated.series.len(), 1);
}

#[test]
fn many_metrics_that_are_dropped_are_counted_and_some_of_them_named() {
    let metrics = (0..1_000).map(|number| sum(&format!("delta{number}"), 1, vec![point(vec![], 1, 1.0)]));
    let translated = translate::translate(&plain(), "", &request(vec![], metrics.collect()), 0);
    assert_eq!(translated.dropped.iter().map(|dropped| dropped.items).sum::<u64>(), 1_000);
    assert_eq!(translated.dropped.len(), 100);
}

#[test]
fn a_point_without_a_recorded_value_marks_its_series_stale() {
    let stale = NumberDataPoint { flags: 1, ..point(vec![], 3, 8.0) };
    let translated = translate::translate(&plain(), "", &request(vec![], vec![gauge("g", vec![stale])]), 0);
    let requests = decode(&request::pack(translated.series, usize::MAX, usize::MAX));
    assert_eq!(requests[0].timeseries[0].samples[0].value.to_bits(), STALE_NAN);
}

#[test]
fn resource_attributes_become_labels_or_target_info() {
    let resource = vec![text("service.name", "shop"), text("host.name", "h"), text("k", "resource")];
    let bytes = request(resource, vec![gauge("g", vec![point(vec![text("k", "own")], 5, 1.0)])]);
    let converted = Translation { resource_labels: true, ..plain() };
    assert_eq!(series(&converted, &bytes), ["{__name__=g,host_name=h,job=shop,k=resource,service_name=shop} 1@5"]);
    let excluded = Translation { exclude_service_attributes: true, ..converted };
    assert_eq!(series(&excluded, &bytes), ["{__name__=g,host_name=h,job=shop,k=resource} 1@5"]);
    let target_info = Translation { target_info: true, namespace: "ns".into(), ..plain() };
    assert_eq!(
        series(&target_info, &bytes),
        ["{__name__=ns_g,job=shop,k=own} 1@5", "{__name__=ns_target_info,host_name=h,job=shop,k=resource} 1@5"]
    );
}

#[test]
fn the_first_of_several_values_names_the_service() {
    let resource = vec![text("service.name", "shop"), text("service.name", "mine")];
    let bytes = request(resource, vec![gauge("g", vec![point(vec![], 5, 1.0)])]);
    assert_eq!(series(&plain(), &bytes), ["{__name__=g,job=shop} 1@5"]);
}

#[test]
fn target_info_has_the_labels_that_the_collector_gives_it() {
    let target_info = Translation { target_info: true, ..plain() };
    let of = |resource| series(&target_info, &request(resource, vec![gauge("g", vec![point(vec![], 5, 1.0)])]));
    let service = || text("service.name", "shop");
    let joined = of(vec![service(), text("a.b", "1"), text("a_b", "2"), text("_id", "3")]);
    assert_eq!(joined[1], "{__name__=target_info,_id=3,a_b=1;2,job=shop} 1@5");
    assert_eq!(of(vec![text("job", "j"), text("x", "1")])[1], "{__name__=target_info,job=j,x=1} 1@5");
    assert_eq!(of(vec![text("service.name", ""), text("x", "1")]), ["{__name__=g} 1@5"], "nothing names the target");
}

#[test]
fn target_info_is_as_late_as_the_latest_point_even_if_that_is_dropped() {
    let target_info = Translation { target_info: true, ..plain() };
    let resource = vec![text("service.name", "shop"), text("x", "1")];
    let metrics = vec![
        gauge("g", vec![point(vec![], 5, 1.0)]),
        sum("delta", 1, vec![point(vec![], 9, 1.0), point(vec![], 7, 1.0)]),
        gauge("...", vec![point(vec![], 8, 1.0)]),
    ];
    let translated = translate::translate(&target_info, "", &request(resource, metrics), 0);
    let requests = decode(&request::pack(translated.series, usize::MAX, usize::MAX));
    let times: Vec<_> = requests[0].timeseries.iter().map(|series| series.samples[0].timestamp).collect();
    assert_eq!(times, [5, 9]);
}

#[test]
fn attributes_of_a_scope_become_labels_by_their_whole_name() {
    let bytes = request(vec![], vec![gauge("g", vec![point(vec![], 5, 1.0)])]);
    let mut tree = ExportMetricsServiceRequest::decode(bytes.as_slice()).expect("a request");
    let scope = tree.resource_metrics[0].scope_metrics[0].scope.get_or_insert_default();
    scope.attributes = vec![text("1k", "a"), text("_x", "b"), text("__z__", "c")];
    let translation = Translation { scope_info: true, ..plain() };
    let found = series(&translation, &tree.encode_to_vec());
    assert!(found[0].contains("otel_scope_1k=a,") && found[0].contains("otel_scope_x=b"), "{found:?}");
    assert!(found[0].contains("otel_scope_z_=c"), "{found:?}");
}

#[test]
fn metadata_has_prometheus_units_and_types() {
    let translation = Translation { metadata: true, ..plain() };
    let of = |mut metric: Metric, unit: &str, kind: &str| {
        metric.unit = unit.into();
        metric.metadata = vec![text("prometheus.type", kind)];
        let translated = translate::translate(&translation, "", &request(vec![], vec![metric]), 0);
        let one = translated.metadata.into_iter().next().expect("metadata");
        (one.kind, one.unit)
    };
    let gauge = || gauge("g", vec![point(vec![], 5, 1.0)]);
    assert_eq!(of(gauge(), "ms", ""), (2, "milliseconds".into()));
    assert_eq!(of(gauge(), "1/s", "unknown"), (0, "per_second".into()));
    let state = || {
        let Some(Data::Sum(mut data)) = sum("s", 2, vec![point(vec![], 5, 1.0)]).data else { panic!("a sum") };
        data.is_monotonic = false;
        Metric { name: "s".into(), data: Some(Data::Sum(data)), ..Default::default() }
    };
    assert_eq!((of(state(), "", "info").0, of(state(), "", "stateset").0, of(state(), "", "").0), (6, 7, 2));
}

#[test]
fn the_tenant_can_be_part_of_the_prefix() {
    let target_info = Translation { target_info: true, namespace: "app_%{tenant}".into(), ..plain() };
    let bytes = request(vec![text("host.name", "h")], vec![gauge("g", vec![point(vec![], 5, 1.0)])]);
    let translated = translate::translate(&target_info, "acme-eu", &bytes, 0);
    let requests = decode(&request::pack(translated.series, usize::MAX, usize::MAX));
    let names = requests.iter().flat_map(|request| &request.timeseries).flat_map(|series| &series.labels);
    let names: Vec<&str> = names.filter(|label| label.name == "__name__").map(|label| label.value.as_str()).collect();
    assert!(names.contains(&"app_acme_eu_g"), "{names:?}");
    assert!(names.iter().all(|name| name.starts_with("app_acme_eu_")), "{names:?}");
}

#[test]
fn scope_external_and_tenant_labels_are_added() {
    let translation = Translation {
        scope_info: true,
        external_labels: vec![("az".into(), "1".into()), ("k".into(), "never".into())],
        ..plain()
    };
    let bytes = request(vec![], vec![gauge("g", vec![point(vec![text("k", "own")], 5, 1.0)])]);
    let expected = ["{__name__=g,az=1,k=own,otel_scope_name=lib,otel_scope_version=1} 1@5"];
    assert_eq!(series(&translation, &bytes), expected);
    let tenant = Translation { tenant_label: Some("tenant".into()), ..plain() };
    let translated = translate::translate(&tenant, "acme", &bytes, 0);
    let requests = decode(&request::pack(translated.series, usize::MAX, usize::MAX));
    let labels = &requests[0].timeseries[0].labels;
    assert!(labels.iter().any(|label| label.name == "tenant" && label.value == "acme"), "{labels:?}");
}

#[test]
fn attributes_whose_names_become_one_are_joined_in_the_order_of_their_keys() {
    let attributes = vec![text("a_b", "2"), text("a.b", "1"), text("a-b", "1")];
    let bytes = request(vec![], vec![gauge("g", vec![point(attributes, 5, 1.0)])]);
    assert_eq!(series(&plain(), &bytes), ["{__name__=g,a_b=1;2} 5".replace(" 5", " 1@5")]);
}

#[test]
fn values_of_equal_keys_are_joined_but_for_those_of_a_resource_in_labels() {
    let attributes = || vec![text("a.b", "1"), text("a_b", "2"), text("a.b", "3"), text("a.b", "3"), text("c", "4")];
    let of = |translation: &Translation, resource, own| {
        series(translation, &request(resource, vec![gauge("g", vec![point(own, 5, 1.0)])]))
    };
    assert_eq!(of(&plain(), vec![], attributes()), ["{__name__=g,a_b=1;3;3;2,c=4} 1@5"]);
    let target_info = Translation { target_info: true, ..plain() };
    let resource = [vec![text("service.name", "shop")], attributes()].concat();
    assert_eq!(of(&target_info, resource, vec![])[1], "{__name__=target_info,a_b=1;3;3;2,c=4,job=shop} 1@5");
    let converted = Translation { resource_labels: true, ..plain() };
    let resource = [attributes(), vec![text("c", "")]].concat();
    assert_eq!(of(&converted, resource, vec![text("c", "own")]), ["{__name__=g,a_b=3;2} 1@5"]);
}

#[test]
fn the_names_of_2021_have_no_suffixes_and_no_job() {
    let config = PrometheusRemoteWriteConfig { namespace: "tenant_name".into(), ..Default::default() };
    let translation =
        Translation { scope_info: false, target_info: false, ..Translation::new(&config, Naming::Adot2021) };
    let resource = vec![text("service.name", "shop"), text("job", "mine")];
    let bytes = request(resource, vec![sum("ecs.task.memory", 2, vec![point(vec![], 5, 1.0)])]);
    assert_eq!(series(&translation, &bytes), ["{__name__=tenant_name_ecs_task_memory,job=mine} 1@5"]);
}

fn many(series: usize) -> Vec<u8> {
    let points = (0..series).map(|index| point(vec![text("n", &format!("{index:06}"))], 5, index as f64));
    request(vec![], vec![gauge("g", points.collect())])
}

#[test]
fn requests_stay_within_both_limits_and_lose_nothing() {
    let pack = |max: usize, compressed: usize| {
        request::pack(translate::translate(&plain(), "", &many(500), 0).series, max, compressed)
    };
    for (max, compressed) in [(1000, usize::MAX), (usize::MAX, 700), (2000, 300)] {
        let requests = pack(max, compressed);
        assert!(requests.len() > 1);
        let decoded = decode(&requests);
        assert!(decoded.iter().all(|request| request.encoded_len() <= max));
        assert!(requests.iter().all(|request| request.body.len() <= compressed));
        assert_eq!(requests.iter().map(WriteRequest::items).sum::<u64>(), 500);
        let values: Vec<f64> =
            decoded.iter().flat_map(|r| &r.timeseries).map(|series| series.samples[0].value).collect();
        assert_eq!(values, (0..500).map(f64::from).collect::<Vec<_>>());
    }
}

fn reply(status: u16, headers: &[(&'static str, &str)]) -> Reply {
    let mut map = http::HeaderMap::new();
    for (name, value) in headers {
        map.insert(*name, HeaderValue::from_str(value).expect("a header"));
    }
    let body = bytes::Bytes::from_static(b"out of order sample");
    Reply {
        status: http::StatusCode::from_u16(status).expect("a status"),
        headers: map,
        body,
        truncated: false,
        from: "http://a/b".into(),
        secrets: Default::default(),
    }
}

fn packed(series: usize) -> WriteRequest {
    pack_one(&plain(), &many(series))
}

fn pack_one(translation: &Translation, bytes: &[u8]) -> WriteRequest {
    let mut requests = request::pack(translate::translate(translation, "", bytes, 0).series, usize::MAX, usize::MAX);
    assert_eq!(requests.len(), 1);
    requests.remove(0)
}

#[test]
fn a_bad_request_is_reported_with_its_body_and_not_sent_again() {
    for (status, points) in [(400, 1), (401, 5), (403, 5), (404, 5)] {
        let sent = answered(packed(points), &reply(status, &[]));
        assert!(sent.again.is_none());
        assert_eq!((sent.delivered, sent.refused[0].items), (0, points as u64));
        assert!(sent.refused[0].reason.contains("out of order sample"), "{}", sent.refused[0].reason);
    }
}

#[test]
fn throttling_and_server_errors_are_sent_again_when_the_destination_says() {
    for status in [429, 500, 503] {
        let sent = answered(packed(5), &reply(status, &[("retry-after", "7")]));
        let again = sent.again.expect("sent again");
        assert_eq!(again.after, Some(std::time::Duration::from_secs(7)));
        assert_eq!(again.requests[0].1, 5);
        assert_eq!(again.requests[0].0.body, packed(5).body);
    }
}

#[test]
fn a_request_that_is_too_large_is_halved_until_it_can_be_halved_no_more() {
    let sent = answered(packed(5), &reply(413, &[]));
    let halves = sent.again.expect("sent again").requests;
    assert_eq!(halves.iter().map(|(_, items)| *items).collect::<Vec<_>>(), [2, 3]);
    let one = request::pack(translate::translate(&plain(), "", &many(1), 0).series, usize::MAX, usize::MAX);
    let sent = answered(one[0].clone(), &reply(413, &[]));
    assert_eq!(sent.refused[0].items, 1);
}

/// What a destination that refuses requests with certain series, as the queue sends to it: requests, names of the series
/// that were delivered, in their order, and of those that were refused.
fn sent_to(
    request: WriteRequest,
    status: u16,
    body: &'static str,
    is_refused: impl Fn(&prompb::TimeSeries) -> bool,
) -> (usize, Vec<String>, Vec<String>) {
    let (mut requests, mut delivered, mut refused) = (0, Vec::new(), Vec::new());
    let mut pending = std::collections::VecDeque::from([request]);
    while let Some(request) = pending.pop_front() {
        requests += 1;
        let decoded = decode(std::slice::from_ref(&request)).remove(0);
        let names =
            decoded.timeseries.iter().map(|one| one.labels.iter().map(|l| &*l.value).collect::<Vec<_>>().join(" "));
        if !decoded.timeseries.iter().any(&is_refused) {
            delivered.extend(names);
            continue;
        }
        let items = request.items();
        let reply = Reply { body: bytes::Bytes::from_static(body.as_bytes()), ..reply(status, &[]) };
        let sent = answered(request, &reply);
        let Some(again) = sent.again else {
            assert_eq!(sent.refused.iter().map(|letter| letter.items).sum::<u64>(), items);
            refused.extend(names);
            continue;
        };
        assert_eq!(again.requests.iter().map(|(_, items)| items).sum::<u64>(), items);
        again.requests.into_iter().rev().for_each(|(request, _)| pending.push_front(request));
    }
    (requests, delivered, refused)
}

#[test]
fn a_bad_sample_costs_its_point_and_no_other() {
    let is_late = |series: &prompb::TimeSeries| series.samples.iter().any(|sample| sample.value == 617.0);
    let (requests, delivered, refused) = sent_to(packed(1_000), 400, "out of order sample", is_late);
    assert_eq!((delivered.len(), refused), (999, vec!["g 000617".to_owned()]));
    assert!(requests <= 21, "{requests}");
    assert!(delivered.is_sorted());

    // Of a point that is several series, and of what is no point at all.
    let of = |number: u64| HistogramDataPoint {
        attributes: vec![text("n", &number.to_string())],
        time_unix_nano: MS,
        bucket_counts: vec![number],
        count: number,
        ..Default::default()
    };
    let data = Histogram { data_points: (0..9).map(of).collect(), aggregation_temporality: 2 };
    let metric = Metric { name: "h".into(), data: Some(Data::Histogram(data)), ..Default::default() };
    let with_target = Translation { target_info: true, ..plain() };
    let resource = vec![text("service.name", "shop"), text("host.name", "h")];
    let request = pack_one(&with_target, &request(resource, vec![metric]));
    let has = |series: &prompb::TimeSeries, value: &str| series.labels.iter().any(|label| label.value == value);
    let is_late = |series: &prompb::TimeSeries| has(series, "h_count") && has(series, "4");
    let (_, delivered, refused) = sent_to(request.clone(), 400, "out of order sample", is_late);
    assert_eq!((delivered.len(), refused.len()), (8 * 2 + 1, 2));
    let (_, delivered, refused) = sent_to(request, 400, "out of order sample", |series| has(series, "target_info"));
    assert_eq!((delivered.len(), refused.len()), (9 * 2, 1));
}

#[test]
fn a_request_becomes_at_most_so_many_pieces_while_bad_samples_are_looked_for() {
    let (requests, delivered, refused) = sent_to(packed(1_000), 400, "out of order sample", |_| true);
    assert_eq!((requests, delivered.len(), refused.len()), (1 + 64, 0, 1_000));
}

#[test]
fn histograms_that_a_prometheus_does_not_take_cost_themselves() {
    let native = |number: i64| ExponentialHistogramDataPoint {
        attributes: vec![text("n", &number.to_string())],
        time_unix_nano: MS,
        ..Default::default()
    };
    let data = ExponentialHistogram { data_points: (0..100).map(native).collect(), aggregation_temporality: 2 };
    let metric = Metric { name: "e".into(), data: Some(Data::ExponentialHistogram(data)), ..Default::default() };
    let points = (0..100).map(|n| point(vec![text("n", &n.to_string())], 5, 1.0)).collect();
    let request = pack_one(&plain(), &request(vec![], vec![metric, gauge("g", points)]));
    let is_native = |series: &prompb::TimeSeries| !series.histograms.is_empty();
    let (requests, delivered, refused) = sent_to(request.clone(), 500, "native histograms are disabled\n", is_native);
    assert_eq!((requests, delivered.len(), refused.len()), (3, 100, 100));
    let is_bad =
        |series: &prompb::TimeSeries| is_native(series) && series.labels.iter().any(|label| label.value == "7");
    let error =
        "3 observations found in buckets, but the Count field is 2: histogram's observation count should be at least";
    assert_eq!(sent_to(request, 500, error, is_bad).2.len(), 1);
}

/// Cut by size, after compression, and by the destination.
#[test]
fn the_series_of_a_histogram_stay_in_one_request() {
    let of = |number: u64| HistogramDataPoint {
        attributes: vec![text("n", &format!("{number:06}"))],
        time_unix_nano: 6_000_000,
        bucket_counts: vec![1; 6],
        explicit_bounds: vec![1.0, 2.0, 3.0, 4.0, 5.0],
        count: 6,
        sum: Some(9.0),
        ..Default::default()
    };
    let data = Histogram { data_points: (0..40).map(of).collect(), aggregation_temporality: 2 };
    let metric = Metric { name: "h".into(), data: Some(Data::Histogram(data)), ..Default::default() };
    let bytes = request(vec![], vec![metric]);
    let pack = |max: usize, compressed: usize| {
        request::pack(translate::translate(&plain(), "", &bytes, 0).series, max, compressed)
    };
    let halves = pack(usize::MAX, usize::MAX).remove(0).halves().expect("it can be halved");
    for requests in [pack(1_000, usize::MAX), pack(usize::MAX, 500), halves.to_vec()] {
        assert!(requests.len() > 1);
        assert_eq!(requests.iter().map(WriteRequest::items).sum::<u64>(), 40);
        for (request, decoded) in requests.iter().zip(decode(&requests)) {
            assert_eq!(decoded.timeseries.len() as u64, request.items() * 8);
        }
    }
    let torn = pack(100, usize::MAX);
    assert_eq!(decode(&torn).iter().map(|request| request.timeseries.len()).sum::<usize>(), 40 * 8);
    assert_eq!(torn.iter().map(WriteRequest::items).sum::<u64>(), 40, "even where one point is too large");
}

#[test]
fn metadata_goes_in_requests_of_its_own() {
    let translation = Translation { metadata: true, ..plain() };
    let bytes = request(vec![], vec![sum("io", 2, vec![point(vec![], 6, 3.0)])]);
    let translated = translate::translate(&translation, "", &bytes, 0);
    let requests = request::metadata(&translated.metadata, usize::MAX, usize::MAX);
    assert_eq!(requests[0].items(), 0);
    let decoded = decode(&requests);
    assert_eq!((decoded[0].metadata[0].family.as_str(), decoded[0].metadata[0].kind), ("io_bytes_total", 1));
}

/// Makes texts that don't get shorter.
fn incompressible() -> impl FnMut(usize) -> String {
    let mut state = 1_u64;
    move |length| {
        let letter = |_| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            char::from(b'a' + (state >> 33) as u8 % 26)
        };
        (0..length).map(letter).collect()
    }
}

fn exporter(config: PrometheusRemoteWriteConfig) -> RemoteWrite {
    let mut config = config;
    config.client.endpoint = crate::config::types::Url::new("http://127.0.0.1:9090/api/v1/write");
    RemoteWrite::new("prometheusremotewrite", &config, Authenticator::None).expect("valid")
}

/// Everything that a batch becomes, encoded in steps; and how many steps.
fn steps(exporter: &RemoteWrite, batch: &Batch) -> (Vec<WriteRequest>, Vec<Dropped>, usize) {
    let (mut requests, mut dropped, mut from, mut steps) = (Vec::new(), Vec::new(), Some(0), 0);
    while let Some(begin) = from {
        let encoded = exporter.encode(batch, begin);
        requests.extend(encoded.requests);
        dropped.extend(encoded.dropped);
        assert!(encoded.next.is_none_or(|next| next > begin));
        from = encoded.next;
        steps += 1;
    }
    (requests, dropped, steps)
}

/// Labels of the scope and of a point stand in each of their series.
#[test]
fn large_labels_take_their_memory_one_after_the_other() {
    let large = "x".repeat(60_000);
    let points = |from: i64| (from..from + 400).map(|n| point(vec![text("id", &n.to_string())], 6, n as f64)).collect();
    let delta = sum("delta", 1, vec![point(vec![], 6, 1.0)]);
    let metrics = vec![gauge("g", points(0)), delta, gauge("h", points(400))];
    let bytes = request(vec![text("service.name", "shop"), text("zone", "a")], metrics);
    let mut tree = ExportMetricsServiceRequest::decode(bytes.as_slice()).expect("a request");
    let scope = &mut tree.resource_metrics[0].scope_metrics[0].scope;
    scope.get_or_insert_default().attributes.push(text("large", &large));
    let config = PrometheusRemoteWriteConfig { send_metadata: true, ..PrometheusRemoteWriteConfig::default() };
    let (requests, dropped, steps) = steps(&exporter(config), &testing::batch(801, tree.encode_to_vec()));
    assert!((3..6).contains(&steps), "{steps}");
    assert_eq!(requests.iter().map(WriteRequest::items).sum::<u64>(), 800);
    assert_eq!(
        dropped.iter().map(|dropped| (dropped.items, dropped.reason)).collect::<Vec<_>>(),
        [(1, "invalid_temporality")]
    );
    let (mut ids, mut targets, mut families) = (Vec::new(), 0, BTreeSet::new());
    for request in decode(&requests) {
        for series in &request.timeseries {
            let label =
                |name: &str| series.labels.iter().find(|label| label.name == name).map(|label| label.value.clone());
            match label("id") {
                Some(id) => ids.push((id.parse::<i64>().expect("a number"), series.samples[0].value as i64)),
                None => targets += usize::from(label("__name__").as_deref() == Some("target_info")),
            }
        }
        families.extend(request.metadata.into_iter().map(|one| one.family));
    }
    assert_eq!(ids, (0..800).map(|n| (n, n)).collect::<Vec<_>>());
    assert_eq!(targets, 1, "when all of its resource is translated");
    assert_eq!(families.into_iter().collect::<Vec<_>>(), ["g", "h"]);
}

#[test]
fn a_histogram_whose_series_would_take_too_much_memory_is_dropped() {
    let of = |buckets: usize| {
        let bounds: Vec<f64> = (0..buckets).map(|n| n as f64).collect();
        let large = HistogramDataPoint {
            attributes: vec![text("large", &"x".repeat(100_000))],
            time_unix_nano: 6_000_000,
            bucket_counts: vec![1; buckets + 1],
            explicit_bounds: bounds,
            count: 1,
            ..Default::default()
        };
        let data = Histogram { data_points: vec![large], aggregation_temporality: 2 };
        let metric = Metric { name: "h".into(), data: Some(Data::Histogram(data)), ..Default::default() };
        let bytes = request(vec![], vec![metric]);
        steps(&exporter(PrometheusRemoteWriteConfig::default()), &testing::batch(1, bytes))
    };
    let (requests, dropped, _) = of(100);
    assert_eq!((requests.iter().map(WriteRequest::items).sum::<u64>(), dropped), (1, vec![]));
    let (requests, dropped, _) = of(1_000);
    assert!(requests.is_empty());
    assert_eq!((dropped[0].items, dropped[0].reason), (1, "labels_too_large"));
    assert_eq!(dropped[0].detail, "a point of \"h\" would become 1003 series, each with 100043 bytes of labels");
}

fn with_resource_labels() -> PrometheusRemoteWriteConfig {
    PrometheusRemoteWriteConfig {
        resource_to_telemetry_conversion: ResourceToTelemetryConfig {
            enabled: true,
            exclude_service_attributes: false,
        },
        ..PrometheusRemoteWriteConfig::default()
    }
}

/// Each point costs a look at the labels of its resource and scope.
#[test]
fn points_whose_resource_has_very_large_labels_are_dropped() {
    let config = with_resource_labels();
    // The scope's labels are otel_scope_name="lib" and otel_scope_version="1".
    let of_scope = 15 + 3 + 18 + 1;
    for (length, fits) in [(MAX_SHARED - of_scope - 5, true), (MAX_SHARED - of_scope - 4, false)] {
        let resource = vec![text("large", &"x".repeat(length))];
        let points = vec![point(vec![], 6, 1.0), point(vec![], 7, 1.0)];
        let bytes = request(resource, vec![gauge("g", points)]);
        let (requests, dropped, _) = steps(&exporter(config.clone()), &testing::batch(2, bytes));
        assert_eq!(requests.iter().map(WriteRequest::items).sum::<u64>(), if fits { 2 } else { 0 });
        let dropped: Vec<_> = dropped.iter().map(|dropped| (dropped.items, dropped.reason)).collect();
        assert_eq!(dropped, if fits { vec![] } else { vec![(2, "labels_too_large")] });
    }
}

#[test]
fn points_whose_resource_is_too_large_for_all_of_them_are_dropped() {
    let config = with_resource_labels();
    let points = |count: usize| (0..count as u64).map(|time| point(vec![], time, 1.0)).collect::<Vec<_>>();
    let resource = vec![text("large", &"x".repeat(60 << 10))];
    let bytes = request(resource, vec![gauge("many", points(20_000)), gauge("few", points(10))]);
    let (requests, dropped, _) = steps(&exporter(config), &testing::batch(20_010, bytes));
    let dropped: Vec<_> = dropped.iter().map(|dropped| (dropped.items, dropped.reason)).collect();
    assert_eq!(dropped, [(20_000, "labels_too_large")]);
    assert_eq!(requests.iter().map(WriteRequest::items).sum::<u64>(), 10);
}

/// Tiny points of one series, and tiny exemplars of one point, become many times as large.
#[test]
fn very_many_tiny_points_and_exemplars_take_their_memory_one_after_the_other() {
    let tiny = ExponentialHistogramDataPoint { time_unix_nano: 0, ..Default::default() };
    let data = ExponentialHistogram { data_points: vec![tiny; 400_000], aggregation_temporality: 2 };
    let metric = Metric { name: "e".into(), data: Some(Data::ExponentialHistogram(data)), ..Default::default() };
    let bytes = request(vec![], vec![metric]);
    let exporter = exporter(PrometheusRemoteWriteConfig::default());
    let (requests, dropped, steps_taken) = steps(&exporter, &testing::batch(400_000, bytes));
    assert_eq!((requests.iter().map(WriteRequest::items).sum::<u64>(), dropped), (400_000, vec![]));
    assert!(steps_taken > 1);

    let many = NumberDataPoint { exemplars: vec![Exemplar::default(); 2_500_000], ..point(vec![], 6, 1.0) };
    let bytes = request(vec![], vec![gauge("g", vec![many])]);
    let room = (16 << 20) + 4 * bytes.len();
    let (requests, _, _) = steps(&exporter, &testing::batch(1, bytes));
    let plain: usize = requests.iter().map(|request| snap::raw::decompress_len(&request.body).expect("snappy")).sum();
    assert!(plain <= room + 1_000, "{plain} bytes in a room of {room}");
}

#[test]
fn the_exporter_of_2021_has_other_names_if_they_are_asked_for() {
    let name = |add_metric_suffixes, translation_strategy| {
        let mut config = crate::config::component::AwsPrometheusRemoteWriteConfig::default().remote_write;
        config.client.endpoint = crate::config::types::Url::new("http://127.0.0.1:9090/api/v1/write");
        (config.add_metric_suffixes, config.translation_strategy) = (add_metric_suffixes, translation_strategy);
        let exporter = RemoteWrite::adot_2021("awsprometheusremotewrite", &config, Authenticator::None).expect("valid");
        let bytes = request(vec![], vec![sum("sent.bytes", 2, vec![point(vec![], 6, 1.0)])]);
        let (requests, _, _) = steps(&exporter, &testing::batch(1, bytes));
        decode(&requests)[0].timeseries[0].labels[0].value.clone()
    };
    assert_eq!(name(false, TranslationStrategy::Unset), "sent_bytes");
    assert_eq!(name(true, TranslationStrategy::Unset), "sent_bytes_total");
    assert_eq!(name(false, TranslationStrategy::UnderscoreEscapingWithSuffixes), "sent_bytes_total");
}

/// As the specification of remote write 1.0 wants them; AMP refuses others.
#[tokio::test]
async fn requests_say_what_they_are() {
    let server = Server::start(|_| server::reply(200, "")).await;
    let mut config = PrometheusRemoteWriteConfig::default();
    config.client.endpoint = crate::config::types::Url::new(server.uri("/api/v1/remote_write").to_string());
    let exporter = RemoteWrite::new("prometheusremotewrite", &config, Authenticator::None).expect("valid");
    let bytes = request(vec![], vec![gauge("g", vec![point(vec![], 6, 1.0)])]);
    let (mut requests, _, _) = steps(&exporter, &testing::batch(1, bytes));
    assert_eq!(exporter.send(requests.remove(0)).await.delivered, 1);
    let seen = server.one();
    let header = |name| seen.header(name).to_owned();
    assert_eq!((seen.head.method.as_str(), seen.head.uri.path()), ("POST", "/api/v1/remote_write"));
    assert_eq!(header("content-type"), "application/x-protobuf");
    assert_eq!(header("content-encoding"), "snappy");
    assert_eq!(header("x-prometheus-remote-write-version"), "0.1.0");
    assert!(header("user-agent").starts_with("sluice/"), "{}", header("user-agent"));
}

/// AMP takes requests of 1 MB, compressed.
#[test]
fn series_keep_to_what_amp_takes_and_lose_nothing() {
    let mut incompressible = incompressible();
    let points = (0..20_000).map(|_| point(vec![text("id", &incompressible(200))], 6, 1.0)).collect();
    let bytes = request(vec![], vec![gauge("g", points)]);
    let encoded = exporter(PrometheusRemoteWriteConfig::default()).encode(&testing::batch(20_000, bytes), 0);
    assert!(encoded.requests.len() > 2, "{} requests", encoded.requests.len());
    assert!(encoded.requests.iter().all(|request| request.body.len() < 1_000_000));
    assert_eq!(encoded.requests.iter().map(WriteRequest::items).sum::<u64>(), 20_000);
    assert_eq!(decode(&encoded.requests).iter().map(|request| request.timeseries.len()).sum::<usize>(), 20_000);
}

#[test]
fn metadata_keeps_to_what_amp_takes_and_loses_nothing() {
    let mut incompressible = incompressible();
    let described = |number| {
        let points = vec![point(vec![], 6, 1.0)];
        Metric { description: incompressible(200), ..gauge(&format!("m{number}"), points) }
    };
    let bytes = request(vec![], (0..20_000).map(described).collect());
    let config = PrometheusRemoteWriteConfig { send_metadata: true, ..PrometheusRemoteWriteConfig::default() };
    let encoded = exporter(config).encode(&testing::batch(20_000, bytes), 0);
    assert!(encoded.requests.iter().all(|request| request.body.len() < 1_000_000));
    let families: Vec<String> =
        decode(&encoded.requests).into_iter().flat_map(|request| request.metadata).map(|one| one.family).collect();
    assert_eq!(families.len(), 20_000);
    assert_eq!(encoded.requests.iter().map(WriteRequest::items).sum::<u64>(), 20_000);
    let [first, second] = encoded.requests.into_iter().next_back().expect("metadata").halves().expect("several");
    let halves = decode(&[first, second]);
    assert!(halves.iter().all(|half| !half.metadata.is_empty() && half.timeseries.is_empty()));
}
