//! Random requests, written as JSON by opentelemetry-proto and read here, are what prost has; and no input panics.

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, ArrayValue, KeyValue, KeyValueList, any_value::Value};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::metrics::v1::{
    Gauge, Histogram, HistogramDataPoint, Metric, NumberDataPoint, ResourceMetrics, ScopeMetrics, metric,
    number_data_point,
};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, Status, span};
use proptest::collection::vec;
use proptest::prelude::*;
use prost::Message;

use super::*;
use crate::limits::Budget;

fn value() -> impl Strategy<Value = Value> {
    let scalar = prop_oneof![
        any::<String>().prop_map(Value::StringValue),
        any::<bool>().prop_map(Value::BoolValue),
        any::<i64>().prop_map(Value::IntValue),
        finite().prop_map(Value::DoubleValue),
        vec(any::<u8>(), 0..9).prop_map(Value::BytesValue),
    ];
    scalar.prop_recursive(4, 24, 4, |inner| {
        let keyed = (any::<String>(), inner.clone()).prop_map(|(key, value)| key_value(key, value));
        prop_oneof![
            vec(inner.prop_map(|value| AnyValue { value: Some(value) }), 0..4)
                .prop_map(|values| Value::ArrayValue(ArrayValue { values })),
            vec(keyed, 0..4).prop_map(|values| Value::KvlistValue(KeyValueList { values })),
        ]
    })
}

/// JSON as serde_json writes it has no other numbers.
fn finite() -> impl Strategy<Value = f64> {
    any::<f64>().prop_filter("finite", |number| number.is_finite())
}

fn key_value(key: String, value: Value) -> KeyValue {
    KeyValue { key, value: Some(AnyValue { value: Some(value) }), ..KeyValue::default() }
}

fn attributes() -> impl Strategy<Value = Vec<KeyValue>> {
    vec((any::<String>(), value()).prop_map(|(key, value)| key_value(key, value)), 0..4)
}

prop_compose! {
    fn span()(
        trace_id in vec(any::<u8>(), 16),
        span_id in vec(any::<u8>(), 8),
        (name, trace_state, message) in any::<(String, String, String)>(),
        (kind, code) in (0..6_i32, 0..3_i32),
        (start_time_unix_nano, end_time_unix_nano) in any::<(u64, u64)>(),
        attributes in attributes(),
        of_event in attributes(),
        (flags, dropped_attributes_count) in any::<(u32, u32)>(),
    ) -> Span {
        let event = span::Event { name: message.clone(), attributes: of_event.clone(), ..span::Event::default() };
        let link = span::Link {
            trace_id: trace_id.clone(), span_id: span_id.clone(), attributes: of_event, ..span::Link::default()
        };
        Span {
            trace_id, span_id, trace_state, name, kind, start_time_unix_nano, end_time_unix_nano, attributes, flags,
            dropped_attributes_count, events: vec![event], links: vec![link],
            status: Some(Status { message, code }), ..Span::default()
        }
    }
}

prop_compose! {
    fn log_record()(
        (time_unix_nano, observed_time_unix_nano) in any::<(u64, u64)>(),
        (severity_text, event_name) in any::<(String, String)>(),
        severity_number in 0..25_i32,
        body in value(),
        attributes in attributes(),
        flags in any::<u32>(),
    ) -> LogRecord {
        LogRecord {
            time_unix_nano, observed_time_unix_nano, severity_text, event_name, severity_number, attributes, flags,
            body: Some(AnyValue { value: Some(body) }), ..LogRecord::default()
        }
    }
}

fn metric() -> impl Strategy<Value = Metric> {
    let number = prop_oneof![
        any::<i64>().prop_map(number_data_point::Value::AsInt),
        finite().prop_map(number_data_point::Value::AsDouble),
    ];
    let gauge = (number, attributes(), any::<u64>()).prop_map(|(value, attributes, time_unix_nano)| {
        let value = Some(value);
        let point = NumberDataPoint { value, attributes, time_unix_nano, ..NumberDataPoint::default() };
        metric::Data::Gauge(Gauge { data_points: vec![point] })
    });
    let histogram = (vec(any::<u64>(), 0..5), vec(finite(), 0..5), proptest::option::of(finite())).prop_map(
        |(bucket_counts, explicit_bounds, sum)| {
            let point = HistogramDataPoint { bucket_counts, explicit_bounds, sum, ..HistogramDataPoint::default() };
            metric::Data::Histogram(Histogram { data_points: vec![point], aggregation_temporality: 2 })
        },
    );
    (any::<String>(), prop_oneof![gauge, histogram]).prop_map(|(name, data)| Metric {
        name,
        data: Some(data),
        ..Metric::default()
    })
}

fn translate(signal: Signal, json: &[u8]) -> Result<Vec<u8>, DecodeError> {
    let budget = Budget::new(1 << 20);
    let mut permit = budget.try_take(0).expect("empty");
    let result = to_protobuf(signal, json, 1 << 20, &mut permit);
    if let Ok(bytes) = &result {
        sluice_wire::validate(signal, bytes).expect("what is written is valid");
    }
    result
}

fn check<M>(signal: Signal, request: &M) -> Result<(), TestCaseError>
where
    M: Message + Default + PartialEq + std::fmt::Debug + serde::Serialize,
{
    let json = serde_json::to_vec(request).expect("JSON");
    let bytes = translate(signal, &json).map_err(|error| TestCaseError::fail(error.to_string()))?;
    prop_assert_eq!(&M::decode(bytes.as_slice()).expect("protobuf"), request);
    Ok(())
}

proptest! {
    #[test]
    fn traces_come_through(attributes in attributes(), spans in vec(span(), 0..4)) {
        let resource = Some(Resource { attributes, ..Resource::default() });
        let scope_spans = vec![ScopeSpans { spans, ..ScopeSpans::default() }];
        let resource_spans = vec![ResourceSpans { resource, scope_spans, ..ResourceSpans::default() }];
        check(Signal::Traces, &ExportTraceServiceRequest { resource_spans })?;
    }

    #[test]
    fn logs_come_through(log_records in vec(log_record(), 0..4)) {
        let scope_logs = vec![ScopeLogs { log_records, ..ScopeLogs::default() }];
        let resource_logs = vec![ResourceLogs { scope_logs, ..ResourceLogs::default() }];
        check(Signal::Logs, &ExportLogsServiceRequest { resource_logs })?;
    }

    #[test]
    fn metrics_come_through(metrics in vec(metric(), 0..4)) {
        let scope_metrics = vec![ScopeMetrics { metrics, ..ScopeMetrics::default() }];
        let resource_metrics = vec![ResourceMetrics { scope_metrics, ..ResourceMetrics::default() }];
        check(Signal::Metrics, &ExportMetricsServiceRequest { resource_metrics })?;
    }

    #[test]
    fn nothing_panics(at in 0..2000_usize, byte in any::<u8>(), cut in 0..2000_usize) {
        let examples = [
            (Signal::Traces, include_str!("examples/trace.json")),
            (Signal::Metrics, include_str!("examples/metrics.json")),
            (Signal::Logs, include_str!("examples/logs.json")),
        ];
        for (signal, example) in examples {
            let mut json = example.as_bytes().to_vec();
            let at = at % json.len();
            json[at] = byte;
            // Whatever comes of it.
            let _ = translate(signal, &json);
            json.truncate(cut);
            let _ = translate(signal, &json);
        }
    }
}
