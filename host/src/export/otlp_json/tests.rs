//! JSON that somebody else's types read back, and its exact shape where they would read more than one.

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value as ProtoValue;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use prost::Message;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::*;
use crate::export::testing::samples;

fn parse<T: DeserializeOwned>(signal: Signal, message: &impl Message) -> T {
    let json = to_json(signal, &message.encode_to_vec());
    assert!(!json.contains(&b'\n'), "one line");
    serde_json::from_slice(&json).unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&json)))
}

#[test]
fn is_read_back_as_the_same_request() {
    let traces = samples::traces();
    assert_eq!(parse::<ExportTraceServiceRequest>(Signal::Traces, &traces), traces);
    let metrics = samples::metrics();
    assert_eq!(parse::<ExportMetricsServiceRequest>(Signal::Metrics, &metrics), metrics);
    let logs = samples::logs();
    assert_eq!(parse::<ExportLogsServiceRequest>(Signal::Logs, &logs), logs);
}

#[test]
fn has_the_shape_of_the_specification() {
    let json: Value = parse(Signal::Traces, &samples::traces());
    let span = &json["resourceSpans"][0]["scopeSpans"][0]["spans"][0];
    assert_eq!(span["traceId"], "0102030405060708090a0b0c0d0e0f10");
    assert_eq!(span["startTimeUnixNano"], "1581452772000000321");
    assert_eq!(span["kind"], 2);
    assert_eq!(span["status"], json!({"message": "cancelled", "code": 2}));
    let expected = json!([
        {"key": "text", "value": {"stringValue": "a\"b"}},
        {"key": "empty-text", "value": {"stringValue": ""}},
        {"key": "true", "value": {"boolValue": true}},
        {"key": "false", "value": {"boolValue": false}},
        {"key": "integer", "value": {"intValue": "9223372036854775807"}},
        {"key": "zero", "value": {"intValue": "0"}},
        {"key": "double", "value": {"doubleValue": 1.5}},
        {"key": "bytes", "value": {"bytesValue": "AP8="}},
        {"key": "array", "value": {"arrayValue": {"values": [{"stringValue": "x"}, {"intValue": "1"}, {}]}}},
        {"key": "map", "value": {"kvlistValue": {"values": [
            {"key": "k", "value": {"stringValue": "v"}},
            {"key": "nested", "value": {"kvlistValue": {"values": []}}},
        ]}}},
    ]);
    assert_eq!(span["attributes"], expected);
    assert_eq!(json["resourceSpans"][0]["scopeSpans"][0]["spans"][1], json!({"name": "bare"}));
    assert_eq!(json["resourceSpans"][1], json!({}));

    let json: Value = parse(Signal::Metrics, &samples::metrics());
    let metrics = &json["resourceMetrics"][0]["scopeMetrics"][0]["metrics"];
    assert_eq!(metrics[1]["gauge"]["dataPoints"][0]["asInt"], "-9223372036854775808");
    assert_eq!(metrics[1]["gauge"]["dataPoints"][1], json!({"asInt": "0"}));
    let histogram = &metrics[3]["histogram"]["dataPoints"][0];
    assert_eq!(histogram["count"], "18446744073709551615");
    assert_eq!(histogram["bucketCounts"], json!(["0", "1", "2"]));
    assert_eq!((&histogram["min"], &histogram["explicitBounds"]), (&json!(0.0), &json!([1.0, 2.5])));
    let negative = &metrics[4]["exponentialHistogram"]["dataPoints"][0]["negative"];
    assert_eq!(*negative, json!({"offset": -1, "bucketCounts": ["1", "1"]}));
}

#[test]
fn writes_numbers_that_json_does_not_have_as_text() {
    let cases = [
        (f64::NAN, json!("NaN")),
        (f64::INFINITY, json!("Infinity")),
        (f64::NEG_INFINITY, json!("-Infinity")),
        (-0.0, json!(-0.0)),
        (f64::MAX, json!(f64::MAX)),
        (5e-324, json!(5e-324)),
    ];
    for (number, expected) in cases {
        let value = Some(AnyValue { value: Some(ProtoValue::DoubleValue(number)) });
        let attributes = vec![KeyValue { key: "k".into(), value, ..KeyValue::default() }];
        let spans = vec![Span { attributes, ..Span::default() }];
        let scope_spans = vec![ScopeSpans { spans, ..ScopeSpans::default() }];
        let resource_spans = vec![ResourceSpans { scope_spans, ..ResourceSpans::default() }];
        let json: Value = parse(Signal::Traces, &ExportTraceServiceRequest { resource_spans });
        let span = &json["resourceSpans"][0]["scopeSpans"][0]["spans"][0];
        assert_eq!(span["attributes"][0]["value"]["doubleValue"], expected);
    }
}

#[test]
fn writes_an_empty_request_as_an_empty_object() {
    for signal in [Signal::Traces, Signal::Metrics, Signal::Logs] {
        assert_eq!(to_json(signal, b""), b"{}");
    }
}
