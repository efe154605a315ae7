//! OTLP/JSON against prost: every field of every message, every rule of the specification, every refusal.

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{
    AnyValue, ArrayValue, EntityRef, InstrumentationScope, KeyValue, KeyValueList, any_value::Value,
};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::metrics::v1::exponential_histogram_data_point::Buckets;
use opentelemetry_proto::tonic::metrics::v1::summary_data_point::ValueAtQuantile;
use opentelemetry_proto::tonic::metrics::v1::{
    Exemplar, ExponentialHistogram, ExponentialHistogramDataPoint, Gauge, Histogram, HistogramDataPoint, Metric,
    NumberDataPoint, ResourceMetrics, ScopeMetrics, Sum, Summary, SummaryDataPoint, exemplar, metric,
    number_data_point,
};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, Status, span};
use prost::Message;
use serde_json::json;

use super::schema::{Kind, Shape};
use super::*;
use crate::limits::Budget;

fn translate(signal: Signal, json: &str) -> Result<Vec<u8>, DecodeError> {
    let budget = Budget::new(64 << 20);
    let mut permit = budget.try_take(0).expect("empty");
    let result = to_protobuf(signal, json.as_bytes(), 64 << 20, &mut permit);
    if let Ok(bytes) = &result {
        assert!(permit.bytes() >= bytes.capacity(), "every allocated byte is covered");
        sluice_wire::validate(signal, bytes).expect("what is written is valid");
    }
    result
}

fn read<M: Message + Default>(signal: Signal, json: &serde_json::Value) -> M {
    let bytes = translate(signal, &json.to_string()).expect("valid");
    M::decode(bytes.as_slice()).expect("protobuf")
}

/// A value in the attribute `k` of the only span.
fn value(json: serde_json::Value) -> Option<AnyValue> {
    let document =
        json!({"resourceSpans": [{"scopeSpans": [{"spans": [{"attributes": [{"key": "k", "value": json}]}]}]}]});
    let mut request: ExportTraceServiceRequest = read(Signal::Traces, &document);
    request.resource_spans[0].scope_spans[0].spans[0].attributes.remove(0).value
}

fn any(value: Value) -> Option<AnyValue> {
    Some(AnyValue { value: Some(value) })
}

fn key_value(key: &str, value: Value) -> KeyValue {
    KeyValue { key: key.into(), value: any(value), ..Default::default() }
}

fn attributes() -> (serde_json::Value, Vec<KeyValue>) {
    (json!([{"key": "a", "value": {"intValue": "1"}}]), vec![key_value("a", Value::IntValue(1))])
}

/// The resource and scope that stand in all three full documents.
fn origin() -> (serde_json::Value, Option<Resource>, serde_json::Value, Option<InstrumentationScope>) {
    let (json_attributes, attributes) = attributes();
    let entity = EntityRef {
        schema_url: "e".into(),
        r#type: "service".into(),
        id_keys: vec!["a".into(), String::new()],
        description_keys: vec!["b".into()],
    };
    let resource = Resource { attributes: attributes.clone(), dropped_attributes_count: 1, entity_refs: vec![entity] };
    let json_resource = json!({
        "attributes": json_attributes, "droppedAttributesCount": 1,
        "entityRefs": [{"schemaUrl": "e", "type": "service", "idKeys": ["a", ""], "descriptionKeys": ["b"]}],
    });
    let scope = InstrumentationScope { name: "n".into(), version: "v".into(), attributes, dropped_attributes_count: 2 };
    let json_scope = json!({"name": "n", "version": "v", "attributes": json_attributes, "droppedAttributesCount": 2});
    (json_resource, Some(resource), json_scope, Some(scope))
}

const TRACE: &str = "5B8EFFF798038103d269b633813fc60c";
const SPAN: &str = "eee19b7ec3c1B174";

fn trace_id() -> Vec<u8> {
    hex::decode(TRACE).expect("hex")
}

fn span_id() -> Vec<u8> {
    hex::decode(SPAN).expect("hex")
}

#[test]
fn translates_every_field_of_a_trace() {
    let (json_resource, resource, json_scope, scope) = origin();
    let (json_attributes, attributes) = attributes();
    let document = json!({"resourceSpans": [{"resource": json_resource, "schemaUrl": "r", "scopeSpans": [{
        "scope": json_scope, "schemaUrl": "s", "spans": [{
            "traceId": TRACE, "spanId": SPAN, "traceState": "k=v", "parentSpanId": SPAN, "flags": 257, "name": "GET",
            "kind": 3, "startTimeUnixNano": "1544712660000000000", "endTimeUnixNano": 1544712661000000000_u64,
            "attributes": json_attributes, "droppedAttributesCount": 3,
            "events": [{"timeUnixNano": "7", "name": "e", "attributes": json_attributes, "droppedAttributesCount": 4}],
            "droppedEventsCount": 5,
            "links": [{"traceId": TRACE, "spanId": SPAN, "traceState": "a=b", "attributes": json_attributes,
                "droppedAttributesCount": 6, "flags": 1}],
            "droppedLinksCount": 7, "status": {"message": "m", "code": 2},
        }],
    }]}]});
    let span = Span {
        trace_id: trace_id(),
        span_id: span_id(),
        trace_state: "k=v".into(),
        parent_span_id: span_id(),
        flags: 257,
        name: "GET".into(),
        kind: 3,
        start_time_unix_nano: 1_544_712_660_000_000_000,
        end_time_unix_nano: 1_544_712_661_000_000_000,
        attributes: attributes.clone(),
        dropped_attributes_count: 3,
        events: vec![span::Event {
            time_unix_nano: 7,
            name: "e".into(),
            attributes: attributes.clone(),
            dropped_attributes_count: 4,
        }],
        dropped_events_count: 5,
        links: vec![span::Link {
            trace_id: trace_id(),
            span_id: span_id(),
            trace_state: "a=b".into(),
            attributes,
            dropped_attributes_count: 6,
            flags: 1,
        }],
        dropped_links_count: 7,
        status: Some(Status { message: "m".into(), code: 2 }),
    };
    let scope_spans = vec![ScopeSpans { scope, spans: vec![span], schema_url: "s".into() }];
    let resource_spans = vec![ResourceSpans { resource, scope_spans, schema_url: "r".into() }];
    let read: ExportTraceServiceRequest = read(Signal::Traces, &document);
    assert_eq!(read, ExportTraceServiceRequest { resource_spans });
}

#[test]
fn translates_every_field_of_logs() {
    let (json_resource, resource, json_scope, scope) = origin();
    let (json_attributes, attributes) = attributes();
    let document = json!({"resourceLogs": [{"resource": json_resource, "schemaUrl": "r", "scopeLogs": [{
        "scope": json_scope, "schemaUrl": "s", "logRecords": [{
            "timeUnixNano": "1", "observedTimeUnixNano": "2", "severityNumber": 10, "severityText": "Information",
            "body": {"stringValue": "b"}, "attributes": json_attributes, "droppedAttributesCount": 3, "flags": 1,
            "traceId": TRACE, "spanId": SPAN, "eventName": "browser.page_view",
        }],
    }]}]});
    let record = LogRecord {
        time_unix_nano: 1,
        observed_time_unix_nano: 2,
        severity_number: 10,
        severity_text: "Information".into(),
        body: any(Value::StringValue("b".into())),
        attributes,
        dropped_attributes_count: 3,
        flags: 1,
        trace_id: trace_id(),
        span_id: span_id(),
        event_name: "browser.page_view".into(),
    };
    let scope_logs = vec![ScopeLogs { scope, log_records: vec![record], schema_url: "s".into() }];
    let resource_logs = vec![ResourceLogs { resource, scope_logs, schema_url: "r".into() }];
    let read: ExportLogsServiceRequest = read(Signal::Logs, &document);
    assert_eq!(read, ExportLogsServiceRequest { resource_logs });
}

fn exemplars() -> (serde_json::Value, Vec<Exemplar>) {
    let (json_attributes, filtered_attributes) = attributes();
    let json = json!([
        {"filteredAttributes": json_attributes, "timeUnixNano": "9", "asDouble": 1.5, "spanId": SPAN, "traceId": TRACE},
        {"asInt": "-3"},
    ]);
    let full = Exemplar {
        filtered_attributes,
        time_unix_nano: 9,
        value: Some(exemplar::Value::AsDouble(1.5)),
        span_id: span_id(),
        trace_id: trace_id(),
    };
    (json, vec![full, Exemplar { value: Some(exemplar::Value::AsInt(-3)), ..Exemplar::default() }])
}

fn number_points() -> (serde_json::Value, Vec<NumberDataPoint>) {
    let (json_attributes, attributes) = attributes();
    let (json_exemplars, exemplars) = exemplars();
    let json = json!([
        {"attributes": json_attributes, "startTimeUnixNano": "1", "timeUnixNano": "2", "asDouble": 0,
            "exemplars": json_exemplars, "flags": 1},
        {"asInt": "-9223372036854775808"},
    ]);
    let full = NumberDataPoint {
        attributes,
        start_time_unix_nano: 1,
        time_unix_nano: 2,
        exemplars,
        flags: 1,
        value: Some(number_data_point::Value::AsDouble(0.0)),
    };
    let lowest = number_data_point::Value::AsInt(i64::MIN);
    (json, vec![full, NumberDataPoint { value: Some(lowest), ..NumberDataPoint::default() }])
}

fn histogram() -> (serde_json::Value, metric::Data) {
    let (json_attributes, attributes) = attributes();
    let (json_exemplars, exemplars) = exemplars();
    let json = json!({"aggregationTemporality": 2, "dataPoints": [
        {"attributes": json_attributes, "startTimeUnixNano": "1", "timeUnixNano": "2", "count": "4", "sum": 0,
            "bucketCounts": ["0", 4, "18446744073709551615"], "explicitBounds": [-1, 2.5, "Infinity"],
            "exemplars": json_exemplars, "flags": 1, "min": 0, "max": "-Infinity"},
        {"bucketCounts": [], "explicitBounds": []},
    ]});
    let full = HistogramDataPoint {
        attributes,
        start_time_unix_nano: 1,
        time_unix_nano: 2,
        count: 4,
        sum: Some(0.0),
        bucket_counts: vec![0, 4, u64::MAX],
        explicit_bounds: vec![-1.0, 2.5, f64::INFINITY],
        exemplars,
        flags: 1,
        min: Some(0.0),
        max: Some(f64::NEG_INFINITY),
    };
    let data_points = vec![full, HistogramDataPoint::default()];
    (json, metric::Data::Histogram(Histogram { data_points, aggregation_temporality: 2 }))
}

fn exponential_histogram() -> (serde_json::Value, metric::Data) {
    let (json_attributes, attributes) = attributes();
    let (json_exemplars, exemplars) = exemplars();
    let json = json!({"aggregationTemporality": 1, "dataPoints": [{
        "attributes": json_attributes, "startTimeUnixNano": "1", "timeUnixNano": "2", "count": "3", "sum": 10,
        "scale": -2, "zeroCount": "1", "positive": {"offset": -70, "bucketCounts": ["0", 300]},
        "negative": {"offset": 1}, "flags": 1, "exemplars": json_exemplars, "min": 1, "max": 2, "zeroThreshold": 0.5,
    }]});
    let point = ExponentialHistogramDataPoint {
        attributes,
        start_time_unix_nano: 1,
        time_unix_nano: 2,
        count: 3,
        sum: Some(10.0),
        scale: -2,
        zero_count: 1,
        positive: Some(Buckets { offset: -70, bucket_counts: vec![0, 300] }),
        negative: Some(Buckets { offset: 1, bucket_counts: Vec::new() }),
        flags: 1,
        exemplars,
        min: Some(1.0),
        max: Some(2.0),
        zero_threshold: 0.5,
    };
    let histogram = ExponentialHistogram { data_points: vec![point], aggregation_temporality: 1 };
    (json, metric::Data::ExponentialHistogram(histogram))
}

fn summary() -> (serde_json::Value, metric::Data) {
    let (json_attributes, attributes) = attributes();
    let json = json!({"dataPoints": [{
        "attributes": json_attributes, "startTimeUnixNano": "1", "timeUnixNano": "2", "count": "3", "sum": 4.5,
        "quantileValues": [{"quantile": 0.5, "value": 7}], "flags": 1,
    }]});
    let point = SummaryDataPoint {
        attributes,
        start_time_unix_nano: 1,
        time_unix_nano: 2,
        count: 3,
        sum: 4.5,
        quantile_values: vec![ValueAtQuantile { quantile: 0.5, value: 7.0 }],
        flags: 1,
    };
    (json, metric::Data::Summary(Summary { data_points: vec![point] }))
}

#[test]
fn translates_every_field_of_metrics() {
    let (json_resource, resource, json_scope, scope) = origin();
    let (json_attributes, attributes) = attributes();
    let (json_points, points) = number_points();
    let (json_histogram, histogram) = histogram();
    let (json_exponential, exponential) = exponential_histogram();
    let (json_summary, summary) = summary();
    let document = json!({"resourceMetrics": [{"resource": json_resource, "schemaUrl": "r", "scopeMetrics": [{
        "scope": json_scope, "schemaUrl": "s", "metrics": [
            {"name": "m", "description": "d", "unit": "By", "metadata": json_attributes,
                "gauge": {"dataPoints": json_points}},
            {"sum": {"dataPoints": json_points, "aggregationTemporality": 2, "isMonotonic": true}},
            {"histogram": json_histogram},
            {"exponentialHistogram": json_exponential},
            {"summary": json_summary},
        ],
    }]}]});
    let data = |data| Metric { data: Some(data), ..Metric::default() };
    let sum = Sum { data_points: points.clone(), aggregation_temporality: 2, is_monotonic: true };
    let gauge = Metric {
        name: "m".into(),
        description: "d".into(),
        unit: "By".into(),
        metadata: attributes,
        data: Some(metric::Data::Gauge(Gauge { data_points: points })),
    };
    let metrics = vec![gauge, data(metric::Data::Sum(sum)), data(histogram), data(exponential), data(summary)];
    let scope_metrics = vec![ScopeMetrics { scope, metrics, schema_url: "s".into() }];
    let resource_metrics = vec![ResourceMetrics { resource, scope_metrics, schema_url: "r".into() }];
    let read: ExportMetricsServiceRequest = read(Signal::Metrics, &document);
    assert_eq!(read, ExportMetricsServiceRequest { resource_metrics });
}

#[test]
fn agrees_with_opentelemetry_proto_about_the_examples_of_the_specification() {
    fn check<M>(signal: Signal, json: &str)
    where
        M: Message + Default + PartialEq + std::fmt::Debug + serde::de::DeserializeOwned,
    {
        let theirs: M = serde_json::from_str(json).expect("an example");
        let ours = translate(signal, json).expect("valid");
        assert_eq!(M::decode(ours.as_slice()).expect("protobuf"), theirs);
    }
    check::<ExportTraceServiceRequest>(Signal::Traces, include_str!("examples/trace.json"));
    check::<ExportMetricsServiceRequest>(Signal::Metrics, include_str!("examples/metrics.json"));
    check::<ExportLogsServiceRequest>(Signal::Logs, include_str!("examples/logs.json"));
    check::<ExportLogsServiceRequest>(Signal::Logs, include_str!("examples/events.json"));
}

#[test]
fn reads_values_of_every_kind() {
    let nested = KeyValueList { values: vec![key_value("x", Value::BoolValue(false))] };
    let array = ArrayValue { values: vec![AnyValue { value: Some(Value::IntValue(1)) }, AnyValue { value: None }] };
    let cases = [
        (json!({"stringValue": ""}), any(Value::StringValue(String::new()))),
        (json!({"stringValue": "\u{e9}\n\"\u{1f600}"}), any(Value::StringValue("\u{e9}\n\"\u{1f600}".into()))),
        (json!({"boolValue": false}), any(Value::BoolValue(false))),
        (json!({"intValue": "-5"}), any(Value::IntValue(-5))),
        (json!({"intValue": 0}), any(Value::IntValue(0))),
        (json!({"intValue": 1e3}), any(Value::IntValue(1000))),
        (json!({"intValue": "1e3"}), any(Value::IntValue(1000))),
        (json!({"doubleValue": 0}), any(Value::DoubleValue(0.0))),
        (json!({"doubleValue": -1.4794532213017147e-89}), any(Value::DoubleValue(-1.4794532213017147e-89))),
        (json!({"doubleValue": "1.5"}), any(Value::DoubleValue(1.5))),
        (json!({"doubleValue": "-Infinity"}), any(Value::DoubleValue(f64::NEG_INFINITY))),
        (json!({"bytesValue": "+/8="}), any(Value::BytesValue(vec![0xfb, 0xff]))),
        (json!({"bytesValue": "-_8"}), any(Value::BytesValue(vec![0xfb, 0xff]))),
        (json!({"bytesValue": ""}), any(Value::BytesValue(Vec::new()))),
        (json!({"arrayValue": {"values": [{"intValue": 1}, {}]}}), any(Value::ArrayValue(array.clone()))),
        (json!({"arrayValue": {"values": [{"intValue": 1}, null]}}), any(Value::ArrayValue(array))),
        (
            json!({"kvlistValue": {"values": [{"key": "x", "value": {"boolValue": false}}]}}),
            any(Value::KvlistValue(nested)),
        ),
        (json!({}), Some(AnyValue { value: None })),
        (json!({"futureValue": {"deep": [1]}}), Some(AnyValue { value: None })),
        (json!({"stringValue": null}), Some(AnyValue { value: None })),
        (json!(null), None),
    ];
    for (document, expected) in cases {
        assert_eq!(value(document.clone()), expected, "{document}");
    }
    let Some(AnyValue { value: Some(Value::DoubleValue(nan)) }) = value(json!({"doubleValue": "NaN"})) else {
        panic!("not a double");
    };
    assert!(nan.is_nan());
}

#[test]
fn ignores_what_it_does_not_know() {
    let document = json!({"resource_span": 1, "x": {"y": [null]}, "resourceSpans": [{"scopeSpans": [
        {"spans": [{"span_Id": 5, "span_id_": 5, "name": "kept", "Name": "lost", "newField": {"a": [1, "b", {}]}}]},
    ]}]});
    let request: ExportTraceServiceRequest = read(Signal::Traces, &document);
    let span = &request.resource_spans[0].scope_spans[0].spans[0];
    assert_eq!((span.name.as_str(), span.span_id.len()), ("kept", 0));
}

/// A value of each field of a message, under its lowerCamelCase name; values in values end after a few levels.
fn sample(message: &schema::Message, levels: usize) -> serde_json::Value {
    let fields = message.fields.iter().filter(|field| levels > 0 || !matches!(field.kind, Kind::Message(_)));
    let value = |field: &schema::Field| match field.kind {
        Kind::Message(message) => sample(message, levels - 1),
        Kind::Text => json!("x"),
        Kind::Id(bytes) => json!("ab".repeat(bytes)),
        Kind::Base64 => json!("eA=="),
        Kind::Bool => json!(true),
        _ => json!(1),
    };
    let one_or_many = |field: &schema::Field| match field.shape {
        Shape::Repeated => json!([value(field)]),
        _ => value(field),
    };
    fields.map(|field| (field.json.to_owned(), one_or_many(field))).collect()
}

fn in_snake_case(value: serde_json::Value) -> serde_json::Value {
    let words = |name: &str| {
        let letters = name.chars().map(|c| if c.is_uppercase() { format!("_{}", c.to_lowercase()) } else { c.into() });
        letters.collect::<String>()
    };
    match value {
        serde_json::Value::Object(map) => {
            map.into_iter().map(|(name, value)| (words(&name), in_snake_case(value))).collect()
        }
        serde_json::Value::Array(items) => items.into_iter().map(in_snake_case).collect(),
        value => value,
    }
}

#[test]
fn takes_the_original_names_of_all_fields_as_the_collector_does() {
    for signal in Signal::ALL {
        let document = sample(schema::request(signal), 10);
        let original = in_snake_case(document.clone()).to_string();
        assert!(original.contains("start_time_unix_nano") || signal == Signal::Logs, "{original}");
        let expected = translate(signal, &document.to_string()).expect("valid");
        assert_eq!(translate(signal, &original), Ok(expected), "{original}");
    }
}

#[test]
fn leaves_out_defaults_where_absence_means_the_same() {
    let zeros = r#"{"resourceSpans":[{"schemaUrl":"","scopeSpans":[{"spans":[{"kind":0,"flags":0,"name":"",
        "traceId":"","startTimeUnixNano":"0","attributes":[],"events":null,"status":null}]}]}]}"#;
    let absent = r#"{"resourceSpans":[{"scopeSpans":[{"spans":[{}]}]}]}"#;
    assert_eq!(translate(Signal::Traces, zeros), translate(Signal::Traces, absent));
    assert_eq!(translate(Signal::Traces, "{}"), Ok(Vec::new()));
}

#[test]
fn writes_lengths_of_every_width() {
    for length in [0, 1, 127, 128, 16_383, 16_384, 2_097_151, 2_097_152] {
        let text = "x".repeat(length);
        assert_eq!(value(json!({"stringValue": text})), any(Value::StringValue(text)), "{length}");
    }
}

#[test]
fn says_where_and_what_is_wrong() {
    let span = |field: &str| format!(r#"{{"resourceSpans":[{{"scopeSpans":[{{"spans":[{{}},{{{field}}}]}}]}}]}}"#);
    let cases = [
        (span(r#""traceId":"5B8E""#), "traceId: a string of 4 bytes is not a trace id of 32 hex digits"),
        (span(r#""spanId":"zee19b7ec3c1b174""#), "spanId: a string of 16 bytes is not a span id of 16 hex digits"),
        (
            span(r#""traceId":"W47/+/+TH7R8SvXA2/tNug==""#),
            "traceId: a string of 24 bytes is not a trace id of 32 hex digits (OTLP/JSON has ids in hex, not in base64)",
        ),
        (
            span(r#""spanId":"7uGbfsPBsXQ=""#),
            "spanId: a string of 12 bytes is not a span id of 16 hex digits (OTLP/JSON has ids in hex",
        ),
        (
            span(r#""traceId":"5b8efff798038103d269b633813fc60c5b""#),
            "traceId: a string of 34 bytes is not a trace id of 32 hex",
        ),
        (span(r#""spanId":"eee19b7ec3c1b17""#), "spanId: a string of 15 bytes is not a span id of 16 hex digits"),
        (span(r#""parentSpanId":7"#), "parentSpanId: 7 is not a span id of 16 hex digits"),
        (
            span(r#""kind":"SPAN_KIND_SERVR""#),
            "kind: a string of 15 bytes is not an integer or one of the enumeration's names",
        ),
        (span(r#""kind":"2""#), "kind: a string of 1 bytes is not an integer or one of the enumeration's names"),
        (span(r#""kind":"STATUS_CODE_OK""#), "kind: a string of 14 bytes is not an integer or one"),
        (span(r#""kind":2147483648"#), "kind: 2147483648 is not an integer"),
        (span(r#""flags":-1"#), "flags: -1 is not an integer from 0 to 4294967295"),
        (span(r#""flags":4294967296"#), "flags: 4294967296 is not an integer from 0 to 4294967295"),
        (span(r#""startTimeUnixNano":"18446744073709551616""#), "startTimeUnixNano: a string of 20 bytes is not an"),
        (span(r#""startTimeUnixNano":1.5"#), "startTimeUnixNano: 1.5 is not an unsigned 64-bit integer"),
        (span(r#""startTimeUnixNano":"""#), "startTimeUnixNano: a string of 0 bytes is not an unsigned"),
        (span(r#""name":5"#), "name: 5 is not a string"),
        (span(r#""name":{}"#), "name: an object is not a string"),
        (span(r#""name":[]"#), "name: an array is not a string"),
        (span(r#""name":true"#), "name: true is not a string"),
        (span(r#""attributes":{}"#), "attributes: invalid type: map, expected an array (of KeyValue)"),
        (span(r#""attributes":"secret""#), "attributes: invalid type: string, expected an array (of KeyValue)"),
        (span(r#""attributes":[1]"#), "attributes[0]: 1 is not KeyValue"),
        (span(r#""attributes":[{"value":{"boolValue":"true"}}]"#), "attributes[0].value.boolValue: a string of 4"),
        (span(r#""attributes":[{"value":{"doubleValue":"inf"}}]"#), "attributes[0].value.doubleValue: a string of 3"),
        (span(r#""attributes":[{"value":{"bytesValue":"?"}}]"#), "attributes[0].value.bytesValue: a string of 1"),
        (span(r#""status":7"#), "status: 7 is not Status"),
    ];
    for (document, expected) in cases {
        let error = translate(Signal::Traces, &document).expect_err(&document).to_string();
        let expected = format!("resourceSpans[0].scopeSpans[0].spans[1].{expected}");
        assert!(error.starts_with(&expected), "{error}\n{expected}");
        assert!(error.contains(" at line 1 column "), "{error}");
    }
}

#[test]
fn refuses_what_is_no_json_object() {
    for document in ["", " ", "[]", "null", "\"x\"", "{", "{}x", "{\"resourceSpans\":[{]}", "\u{0}", "{\"a\":tru}"] {
        assert!(matches!(translate(Signal::Traces, document), Err(DecodeError::Invalid(_))), "{document:?}");
    }
    let broken = [b"{\"resourceSpans\":[{\"schemaUrl\":\"".as_slice(), &[0xff], b"\"}]}"].concat();
    let budget = Budget::new(1 << 20);
    let mut permit = budget.try_take(0).expect("empty");
    assert!(to_protobuf(Signal::Traces, &broken, 1 << 20, &mut permit).is_err());
}

/// A value on level 1 that holds others down to this level.
fn nested(levels: usize, begin: &str, end: &str) -> String {
    let (begin, end) = (begin.repeat(levels - 1), end.repeat(levels - 1));
    format!(r#"{begin}{{"stringValue":"]}}]}}"}}{end}"#)
}

#[test]
fn takes_values_as_deep_as_protobuf_and_not_one_level_more() {
    let lists = (r#"{"arrayValue":{"values":["#, "]}}");
    let maps = (r#"{"kvlistValue":{"values":[{"value":"#, "}]}}");
    let keyed = (r#"{"kvlistValue":{"values":[{"key":"k","value":"#, "}]}}");
    for (begin, end) in [lists, maps, keyed] {
        for (levels, is_valid) in [(MAX_VALUE_NESTING, true), (MAX_VALUE_NESTING + 1, false)] {
            let value = nested(levels, begin, end);
            let document = format!(
                r#"{{"resourceMetrics":[{{"scopeMetrics":[{{"metrics":[{{"sum":{{"dataPoints":[{{"exemplars":[{{"filteredAttributes":[{{"key":"k","value":{value}}}]}}]}}]}}}}]}}]}}]}}"#
            );
            let budget = Budget::new(64 << 20);
            let mut permit = budget.try_take(0).expect("empty");
            let bytes = to_protobuf(Signal::Metrics, document.as_bytes(), 64 << 20, &mut permit).expect("translated");
            assert_eq!(sluice_wire::validate(Signal::Metrics, &bytes).is_ok(), is_valid, "{levels} of {begin}");
        }
    }
}

#[test]
fn refuses_nesting_that_would_exhaust_the_stack() {
    let deep = nested(100_000, r#"{"arrayValue":{"values":["#, "]}}");
    let documents = [
        format!(r#"{{"resourceLogs":[{{"scopeLogs":[{{"logRecords":[{{"body":{deep}}}]}}]}}]}}"#),
        format!(r#"{{"nobody":"\\\"","knows":{}"#, "[".repeat(100_000)),
        "{\"\":".repeat(100_000),
    ];
    for document in documents {
        let error = translate(Signal::Logs, &document).expect_err("too deep").to_string();
        assert_eq!(error, "nested deeper than 272 objects and lists");
    }
    let fits = format!(r#"{{"nobody":{}{}}}"#, "[".repeat(MAX_OPEN - 1), "]".repeat(MAX_OPEN - 1));
    assert_eq!(translate(Signal::Logs, &fits), Ok(Vec::new()));
}

#[test]
fn says_where_a_value_far_inside_is_in_few_words() {
    let begin = r#"{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"body":"#;
    let wrong = format!("{begin}{}1", r#"{"arrayValue":{"values":["#.repeat(50));
    let error = translate(Signal::Logs, &wrong).expect_err("no value").to_string();
    assert_eq!(
        error,
        "resourceLogs[0].scopeLogs[0].logRecords[0].body.arrayValue.values[0]...[0].arrayValue.values[0].arrayValue.\
         values[0].arrayValue.values[0]: 1 is not AnyValue at line 1 column 1305"
    );
}

/// JavaScript cuts text in the middle of a pair of surrogates, and the collector takes what is left.
#[test]
fn half_a_pair_of_surrogates_is_a_replacement_character() {
    for (written, expected) in [
        (r"cut \ud83d", "cut \u{fffd}"),
        (r"\udc00\ud800x", "\u{fffd}\u{fffd}x"),
        (r"\ud83d\ude00 whole", "\u{1f600} whole"),
        ("\u{d7ff}\u{e000}", "\u{d7ff}\u{e000}"),
    ] {
        let document = format!(r#"{{"resourceSpans":[{{"scopeSpans":[{{"spans":[{{"name":"{written}"}}]}}]}}]}}"#);
        let bytes = translate(Signal::Traces, &document).expect("accepted");
        let request = <ExportTraceServiceRequest as prost::Message>::decode(bytes.as_ref()).expect("a request");
        assert_eq!(request.resource_spans[0].scope_spans[0].spans[0].name, expected);
    }
    // It takes no more of the budget than any other document.
    let document = format!(r#"{{"resourceSpans":[{{"schemaUrl":"{}\ud83d"}}]}}"#, "x".repeat(10_000));
    let mut permit = Budget::new(15_000).try_take(0).expect("empty");
    let bytes = to_protobuf(Signal::Traces, document.as_bytes(), 1 << 20, &mut permit).expect("accepted");
    assert!(permit.bytes() >= bytes.len());
    // Whatever else is no text stays none.
    for (bytes, told) in [
        (b"\xc3".as_slice(), "invalid unicode code point"),
        (b"\\ud83d\xc3", "not valid UTF-8"),
        (b"\\ud83", "invalid escape"),
        (b"line\nbreak", "control character"),
    ] {
        let document = [br#"{"resourceSpans":[{"schemaUrl":""#.as_slice(), bytes, br#""}]}"#].concat();
        let mut permit = Budget::new(1 << 20).try_take(0).expect("empty");
        let refused = to_protobuf(Signal::Traces, &document, 1 << 20, &mut permit).expect_err("no text");
        assert!(refused.to_string().contains(told), "{refused}");
    }
}

#[test]
fn stops_at_its_limit_and_at_the_budget() {
    let counts = vec!["0"; 1000].join(",");
    let document = format!(
        r#"{{"resourceMetrics":[{{"scopeMetrics":[{{"metrics":[{{"histogram":{{"dataPoints":[{{"bucketCounts":[{counts}]}}]}}}}]}}]}}]}}"#
    );
    let size = translate(Signal::Metrics, &document).expect("unlimited").len();
    assert!(size > 8000, "zeros grow to eight bytes each: {size}");
    let with = |limit_bytes, budget_bytes| {
        let budget = Budget::new(budget_bytes);
        let mut permit = budget.try_take(0).expect("empty");
        let result = to_protobuf(Signal::Metrics, document.as_bytes(), limit_bytes, &mut permit);
        assert!(budget.used_bytes() <= budget_bytes);
        result.map(|bytes| bytes.len())
    };
    assert_eq!(with(size, 1 << 20), Ok(size));
    let too_large = DecodeError::TooLarge { what: "the request in protobuf", limit_bytes: size - 1 };
    assert_eq!(with(size - 1, 1 << 20), Err(too_large));
    let never = DecodeError::OverWholeBudget { what: "the request in protobuf" };
    assert_eq!(with(1 << 20, size - 1), Err(never));
    assert_eq!(with(size, size + 16), Ok(size), "what is not needed is not asked for");
}

/// The names in the descriptors of opentelemetry-proto are the oracle.
#[test]
fn takes_the_names_of_all_enumerations_as_the_collector_does() {
    use opentelemetry_proto::tonic::logs::v1::SeverityNumber;
    use opentelemetry_proto::tonic::metrics::v1::AggregationTemporality;
    use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
    use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
    let same = |signal, field: &dyn Fn(serde_json::Value) -> serde_json::Value, name: &str, number: i32| {
        let named = translate(signal, &field(json!(name)).to_string()).expect(name);
        assert_eq!(named, translate(signal, &field(json!(number)).to_string()).expect(name), "{name}");
    };
    let span = |span: serde_json::Value| json!({"resourceSpans": [{"scopeSpans": [{"spans": [span]}]}]});
    let metric = |metric: serde_json::Value| json!({"resourceMetrics": [{"scopeMetrics": [{"metrics": [metric]}]}]});
    for kind in (0..6).map(|kind| SpanKind::try_from(kind).expect("a kind")) {
        same(Signal::Traces, &|kind| span(json!({"kind": kind})), kind.as_str_name(), kind as i32);
    }
    for code in (0..3).map(|code| StatusCode::try_from(code).expect("a code")) {
        same(Signal::Traces, &|code| span(json!({"status": {"code": code}})), code.as_str_name(), code as i32);
    }
    for severity in (0..25).map(|number| SeverityNumber::try_from(number).expect("a severity")) {
        let log = |number| json!({"resourceLogs": [{"scopeLogs": [{"logRecords": [{"severityNumber": number}]}]}]});
        same(Signal::Logs, &log, severity.as_str_name(), severity as i32);
    }
    for kind in ["sum", "histogram", "exponentialHistogram"] {
        for temporality in (0..3).map(|number| AggregationTemporality::try_from(number).expect("one")) {
            let point = |number| metric(json!({kind: {"aggregationTemporality": number}}));
            same(Signal::Metrics, &point, temporality.as_str_name(), temporality as i32);
        }
    }
}
