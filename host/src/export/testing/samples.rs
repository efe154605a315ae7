//! One request of each signal with every field set, built by somebody else's types.

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{
    AnyValue, ArrayValue, EntityRef, InstrumentationScope, KeyValue, KeyValueList,
};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::metrics::v1::exponential_histogram_data_point::Buckets;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::summary_data_point::ValueAtQuantile;
use opentelemetry_proto::tonic::metrics::v1::{
    Exemplar, ExponentialHistogram, ExponentialHistogramDataPoint, Gauge, Histogram, HistogramDataPoint, Metric,
    NumberDataPoint, ResourceMetrics, ScopeMetrics, Sum, Summary, SummaryDataPoint, exemplar, number_data_point,
};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::span::{Event, Link};
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, Status};
use prost::Message;

use super::batch;
use crate::model::Batch;

pub(crate) const TRACE_ID: [u8; 16] = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16];
pub(crate) const SPAN_ID: [u8; 8] = [17, 18, 19, 20, 21, 22, 23, 24];
/// 2020-02-11 20:26:12.000000321 UTC and a second later.
const START: u64 = 1_581_452_772_000_000_321;
const END: u64 = 1_581_452_773_000_000_789;

pub(crate) fn traces() -> ExportTraceServiceRequest {
    let event = Event {
        time_unix_nano: END,
        name: "event".into(),
        attributes: vec![attribute("event-attr", text("event-value"))],
        dropped_attributes_count: 2,
    };
    let link = Link {
        trace_id: TRACE_ID.into(),
        span_id: SPAN_ID.into(),
        trace_state: "a=b".into(),
        attributes: vec![attribute("link-attr", text("link-value"))],
        dropped_attributes_count: 4,
        flags: 256,
    };
    let span = Span {
        trace_id: TRACE_ID.into(),
        span_id: SPAN_ID.into(),
        trace_state: "ot=th:0".into(),
        parent_span_id: vec![9; 8],
        flags: 257,
        name: "GET \"/a\\b\"\n\u{1f600}".into(),
        kind: 2,
        start_time_unix_nano: START,
        end_time_unix_nano: END,
        attributes: attributes(),
        dropped_attributes_count: 1,
        events: vec![event, Event::default()],
        dropped_events_count: 3,
        links: vec![link, Link::default()],
        dropped_links_count: 5,
        status: Some(Status { message: "cancelled".into(), code: 2 }),
    };
    let scope_spans = ScopeSpans {
        scope: Some(scope()),
        spans: vec![span, Span { name: "bare".into(), ..Span::default() }],
        schema_url: "https://schema/scope".into(),
    };
    let full = ResourceSpans {
        resource: Some(resource()),
        scope_spans: vec![scope_spans, ScopeSpans::default()],
        schema_url: "https://schema/resource".into(),
    };
    ExportTraceServiceRequest { resource_spans: vec![full, ResourceSpans::default()] }
}

/// A batch of so many spans named `span 0`, `span 1` ...
pub(crate) fn spans(count: usize) -> Batch {
    let span = |i| Span { name: format!("span {i}"), ..Span::default() };
    let scope_spans = vec![ScopeSpans { spans: (0..count).map(span).collect(), ..ScopeSpans::default() }];
    let resource_spans = vec![ResourceSpans { scope_spans, ..ResourceSpans::default() }];
    batch(count as u64, ExportTraceServiceRequest { resource_spans }.encode_to_vec())
}

/// The names of the spans in a request.
pub(crate) fn span_names(request: &[u8]) -> Vec<String> {
    let request = ExportTraceServiceRequest::decode(request).expect("traces");
    let scopes = request.resource_spans.into_iter().flat_map(|resource| resource.scope_spans);
    scopes.flat_map(|scope| scope.spans).map(|span| span.name).collect()
}

pub(crate) fn logs() -> ExportLogsServiceRequest {
    let record = LogRecord {
        time_unix_nano: START,
        observed_time_unix_nano: END,
        severity_number: 9,
        severity_text: "Info".into(),
        body: Some(map(vec![attribute("key1", text("val1")), attribute("key2", map(vec![attribute("k", int(-7))]))])),
        attributes: attributes(),
        dropped_attributes_count: 1,
        flags: 1,
        trace_id: TRACE_ID.into(),
        span_id: SPAN_ID.into(),
        event_name: "my.event".into(),
    };
    let plain = LogRecord { body: Some(text("This is a log message")), ..LogRecord::default() };
    let scope_logs = ScopeLogs {
        scope: Some(scope()),
        log_records: vec![record, plain, LogRecord::default()],
        schema_url: "https://schema/scope".into(),
    };
    let full = ResourceLogs {
        resource: Some(resource()),
        scope_logs: vec![scope_logs],
        schema_url: "https://schema/resource".into(),
    };
    ExportLogsServiceRequest { resource_logs: vec![full] }
}

pub(crate) fn metrics() -> ExportMetricsServiceRequest {
    let data = [
        ("empty", None),
        (
            "gauge",
            Some(Data::Gauge(Gauge { data_points: vec![number(number_data_point::Value::AsInt(i64::MIN)), bare()] })),
        ),
        (
            "sum",
            Some(Data::Sum(Sum {
                data_points: vec![number(number_data_point::Value::AsDouble(1.23))],
                aggregation_temporality: 2,
                is_monotonic: true,
            })),
        ),
        ("histogram", Some(Data::Histogram(Histogram { data_points: vec![histogram()], aggregation_temporality: 2 }))),
        (
            "exponential-histogram",
            Some(Data::ExponentialHistogram(ExponentialHistogram {
                data_points: vec![exponential()],
                aggregation_temporality: 1,
            })),
        ),
        ("summary", Some(Data::Summary(Summary { data_points: vec![summary()] }))),
    ];
    let metric = |(name, data): (&str, Option<Data>)| Metric {
        name: name.into(),
        description: "what".into(),
        unit: "1".into(),
        metadata: vec![attribute("meta", text("data"))],
        data,
    };
    let scope_metrics = ScopeMetrics {
        scope: Some(scope()),
        metrics: data.into_iter().map(metric).collect(),
        schema_url: "https://schema/scope".into(),
    };
    let full = ResourceMetrics {
        resource: Some(resource()),
        scope_metrics: vec![scope_metrics],
        schema_url: "https://schema/resource".into(),
    };
    ExportMetricsServiceRequest { resource_metrics: vec![full] }
}

fn bare() -> NumberDataPoint {
    NumberDataPoint { value: Some(number_data_point::Value::AsInt(0)), ..NumberDataPoint::default() }
}

fn number(value: number_data_point::Value) -> NumberDataPoint {
    NumberDataPoint {
        attributes: labels(),
        start_time_unix_nano: START,
        time_unix_nano: END,
        exemplars: vec![exemplar()],
        flags: 1,
        value: Some(value),
    }
}

fn histogram() -> HistogramDataPoint {
    HistogramDataPoint {
        attributes: labels(),
        start_time_unix_nano: START,
        time_unix_nano: END,
        count: u64::MAX,
        sum: Some(15.0),
        bucket_counts: vec![0, 1, 2],
        explicit_bounds: vec![1.0, 2.5],
        exemplars: vec![exemplar()],
        flags: 1,
        min: Some(0.0),
        max: Some(15.5),
    }
}

fn exponential() -> ExponentialHistogramDataPoint {
    ExponentialHistogramDataPoint {
        attributes: labels(),
        start_time_unix_nano: START,
        time_unix_nano: END,
        count: 5,
        sum: Some(0.15),
        scale: 1,
        zero_count: 1,
        positive: Some(Buckets { offset: 1, bucket_counts: vec![1, 1] }),
        negative: Some(Buckets { offset: -1, bucket_counts: vec![1, 1] }),
        flags: 1,
        exemplars: vec![exemplar()],
        min: Some(-1.0),
        max: Some(1.0),
        zero_threshold: 0.001,
    }
}

fn summary() -> SummaryDataPoint {
    SummaryDataPoint {
        attributes: labels(),
        start_time_unix_nano: START,
        time_unix_nano: END,
        count: 1,
        sum: 15.0,
        quantile_values: vec![ValueAtQuantile { quantile: 0.01, value: 15.0 }],
        flags: 1,
    }
}

fn exemplar() -> Exemplar {
    Exemplar {
        filtered_attributes: vec![attribute("exemplar-attachment", text("value"))],
        time_unix_nano: END,
        span_id: SPAN_ID.into(),
        trace_id: TRACE_ID.into(),
        value: Some(exemplar::Value::AsDouble(15.0)),
    }
}

fn resource() -> Resource {
    Resource {
        attributes: vec![attribute("service.name", text("shop"))],
        dropped_attributes_count: 6,
        entity_refs: vec![EntityRef {
            schema_url: "https://schema/entity".into(),
            r#type: "service".into(),
            id_keys: vec!["service.name".into()],
            description_keys: vec!["service.version".into()],
        }],
    }
}

fn scope() -> InstrumentationScope {
    InstrumentationScope {
        name: "library".into(),
        version: "1.0".into(),
        attributes: vec![attribute("scope-attr", text("scope-value"))],
        dropped_attributes_count: 7,
    }
}

fn labels() -> Vec<KeyValue> {
    vec![attribute("label-1", text("label-value-1"))]
}

/// One of every kind.
fn attributes() -> Vec<KeyValue> {
    vec![
        attribute("text", text("a\"b")),
        attribute("empty-text", text("")),
        attribute("true", any(Value::BoolValue(true))),
        attribute("false", any(Value::BoolValue(false))),
        attribute("integer", int(i64::MAX)),
        attribute("zero", int(0)),
        attribute("double", any(Value::DoubleValue(1.5))),
        attribute("bytes", any(Value::BytesValue(vec![0, 255]))),
        attribute(
            "array",
            any(Value::ArrayValue(ArrayValue { values: vec![text("x"), int(1), AnyValue { value: None }] })),
        ),
        attribute("map", map(vec![attribute("k", text("v")), attribute("nested", map(vec![]))])),
    ]
}

fn attribute(key: &str, value: AnyValue) -> KeyValue {
    KeyValue { key: key.into(), value: Some(value), ..KeyValue::default() }
}

fn any(value: Value) -> AnyValue {
    AnyValue { value: Some(value) }
}

fn text(text: &str) -> AnyValue {
    any(Value::StringValue(text.into()))
}

fn int(number: i64) -> AnyValue {
    any(Value::IntValue(number))
}

fn map(values: Vec<KeyValue>) -> AnyValue {
    any(Value::KvlistValue(KeyValueList { values }))
}
