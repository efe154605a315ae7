//! The stage on whole requests: what the OpenTelemetry Collector 0.155 made of the same spans and log records, and that
//! a row's fate does not depend on its neighbours.

#![allow(clippy::unwrap_used)]

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value::Value};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use prost::Message;
use sampler::Sampler;
use sluice_sdk::Signal;
use sluice_sdk::testing::{self, Harness};

fn attribute(key: &str, value: Option<Value>) -> KeyValue {
    KeyValue { key: key.into(), value: Some(AnyValue { value }), ..Default::default() }
}

/// A typed number or text of the recorded cases: `i:1`, `f:0.5`, `s:text`, or `-` for none.
fn typed(key: &str, text: &str) -> Option<KeyValue> {
    let (kind, value) = text.split_once(':')?;
    let value = match kind {
        "i" => Value::IntValue(value.parse().unwrap()),
        "f" => Value::DoubleValue(value.parse().unwrap()),
        _ => Value::StringValue(value.into()),
    };
    Some(attribute(key, Some(value)))
}

fn text(key: &str, json: &str) -> Option<KeyValue> {
    (json != "-").then(|| attribute(key, Some(Value::StringValue(serde_json::from_str(json).unwrap()))))
}

/// A request whose spans lie in several scopes and resources.
fn traces(spans: &[Span]) -> Vec<u8> {
    let scope = |spans: &[Span]| ScopeSpans { spans: spans.to_vec(), ..Default::default() };
    let resource =
        |spans: &[Span]| ResourceSpans { scope_spans: spans.chunks(7).map(scope).collect(), ..Default::default() };
    ExportTraceServiceRequest { resource_spans: spans.chunks(101).map(resource).collect() }.encode_to_vec()
}

fn spans(bytes: &[u8]) -> Vec<Span> {
    let request = ExportTraceServiceRequest::decode(bytes).unwrap();
    request.resource_spans.into_iter().flat_map(|r| r.scope_spans).flat_map(|s| s.spans).collect()
}

fn logs(records: &[LogRecord]) -> Vec<u8> {
    let scope = |records: &[LogRecord]| ScopeLogs { log_records: records.to_vec(), ..Default::default() };
    let resource = |records: &[LogRecord]| ResourceLogs {
        scope_logs: records.chunks(7).map(scope).collect(),
        ..Default::default()
    };
    ExportLogsServiceRequest { resource_logs: records.chunks(101).map(resource).collect() }.encode_to_vec()
}

fn records(bytes: &[u8]) -> Vec<LogRecord> {
    let request = ExportLogsServiceRequest::decode(bytes).unwrap();
    request.resource_logs.into_iter().flat_map(|r| r.scope_logs).flat_map(|s| s.log_records).collect()
}

/// The recorded spans: configuration, span, and what the Collector made of its tracestate.
fn recorded_spans() -> Vec<(&'static str, Span, Option<String>)> {
    let lines = include_str!("data/spans.tsv").lines().map(|line| line.split('\t').collect::<Vec<_>>());
    lines
        .map(|columns| {
            let [config, id, state, priority, answer] = columns[..] else { panic!("five columns") };
            let answer: String = serde_json::from_str(answer).unwrap();
            let span = Span {
                trace_id: hex::decode(id).unwrap(),
                span_id: vec![1; 8],
                trace_state: serde_json::from_str(state).unwrap(),
                attributes: typed("sampling.priority", priority).into_iter().collect(),
                ..Default::default()
            };
            (config, span, answer.strip_prefix('=').map(str::to_owned))
        })
        .collect()
}

/// The recorded log records: configuration, record, and what the Collector made of its two sampling attributes.
fn recorded_logs() -> Vec<(&'static str, LogRecord, &'static str)> {
    let lines = include_str!("data/logs.tsv").lines().map(|line| line.split('\t').collect::<Vec<_>>());
    lines
        .map(|columns| {
            let [config, id, threshold, randomness, source, priority, answer] = columns[..] else {
                panic!("seven columns")
            };
            let source = (source != "-").then(|| AnyValue::decode(&*hex::decode(source).unwrap()).unwrap().value);
            let attributes = [
                text("sampling.threshold", threshold),
                source.map(|value| attribute("source", value)),
                text("sampling.randomness", randomness),
                typed("priority", priority),
            ];
            let attributes = attributes.into_iter().flatten().collect();
            (config, LogRecord { trace_id: hex::decode(id).unwrap(), attributes, ..Default::default() }, answer)
        })
        .collect()
}

/// The sampling attributes of a record, as in the recorded answers.
fn sampling_attributes(record: &LogRecord) -> String {
    let text = |key: &str| {
        let found = record.attributes.iter().find(|attribute| attribute.key == key);
        match found.and_then(|attribute| attribute.value.as_ref()?.value.as_ref()) {
            Some(Value::StringValue(text)) if !text.is_empty() => text.clone(),
            _ => "-".to_owned(),
        }
    };
    format!("{} {}", text("sampling.threshold"), text("sampling.randomness"))
}

/// In encoded form NaN equals itself.
fn encoded<M: Message>(messages: &[M]) -> Vec<Vec<u8>> {
    messages.iter().map(Message::encode_to_vec).collect()
}

#[test]
fn samples_spans_as_the_collector_does() {
    for (config, span, expected) in recorded_spans() {
        let mut stage = Harness::<Sampler>::new(config, Signal::Traces).unwrap();
        let kept = spans(&stage.process(&traces(std::slice::from_ref(&span))).unwrap().bytes);
        let expected: Vec<Span> =
            expected.into_iter().map(|trace_state| Span { trace_state, ..span.clone() }).collect();
        assert_eq!(encoded(&kept), encoded(&expected), "{config} {span:?}");
    }
}

#[test]
fn samples_log_records_as_the_collector_does() {
    for (config, record, expected) in recorded_logs() {
        let mut stage = Harness::<Sampler>::new(config, Signal::Logs).unwrap();
        let kept = records(&stage.process(&logs(std::slice::from_ref(&record))).unwrap().bytes);
        let found = kept.first().map_or("-".to_owned(), sampling_attributes);
        assert_eq!(found, expected, "{config} {record:?}");
    }
}

#[test]
fn samples_every_span_of_a_batch_as_if_it_were_alone() {
    let all: Vec<Span> = recorded_spans().into_iter().map(|(_, span, _)| span).collect();
    for config in [
        r#"{"sampling_percentage": 0, "fail_closed": false}"#,
        r#"{"sampling_percentage": 50}"#,
        r#"{"sampling_percentage": 50, "fail_closed": false}"#,
        r#"{"sampling_percentage": 100}"#,
        r#"{"sampling_percentage": 70, "mode": "equalizing"}"#,
        r#"{"sampling_percentage": 70, "mode": "proportional", "fail_closed": false}"#,
    ] {
        let mut stage = Harness::<Sampler>::new(config, Signal::Traces).unwrap();
        let alone: Vec<Span> = all
            .iter()
            .flat_map(|span| spans(&stage.process(&traces(std::slice::from_ref(span))).unwrap().bytes))
            .collect();
        let together = stage.process(&traces(&all)).unwrap();
        assert_eq!(together.kept.count_ones(), alone.len(), "{config}");
        assert_eq!(encoded(&spans(&together.bytes)), encoded(&alone), "{config}");
    }
}

#[test]
fn samples_every_log_record_of_a_batch_as_if_it_were_alone() {
    let all: Vec<LogRecord> = recorded_logs().into_iter().map(|(_, record, _)| record).collect();
    for config in [
        r#"{"sampling_percentage": 50, "from_attribute": "source"}"#,
        r#"{"sampling_percentage": 50, "from_attribute": "source", "attribute_source": "record", "fail_closed": false}"#,
        r#"{"sampling_percentage": 70, "mode": "equalizing", "sampling_priority": "priority"}"#,
        r#"{"sampling_percentage": 70, "mode": "proportional", "fail_closed": false}"#,
    ] {
        let mut stage = Harness::<Sampler>::new(config, Signal::Logs).unwrap();
        let alone: Vec<LogRecord> = all
            .iter()
            .flat_map(|record| records(&stage.process(&logs(std::slice::from_ref(record))).unwrap().bytes))
            .collect();
        let together = stage.process(&logs(&all)).unwrap();
        assert_eq!(encoded(&records(&together.bytes)), encoded(&alone), "{config}");
    }
}

#[test]
fn an_empty_attribute_source_looks_at_the_attribute_only_as_the_collector_does() {
    let all: Vec<LogRecord> = recorded_logs().into_iter().map(|(_, record, _)| record).collect();
    let sampled = |source: &str| {
        let config =
            format!(r#"{{"sampling_percentage": 50, "from_attribute": "source", "attribute_source": "{source}"}}"#);
        let mut stage = Harness::<Sampler>::new(&config, Signal::Logs).unwrap();
        encoded(&records(&stage.process(&logs(&all)).unwrap().bytes))
    };
    assert_eq!(sampled(""), sampled("record"));
    assert_ne!(sampled(""), sampled("traceID"));
}

#[test]
fn leaves_a_request_without_rows_alone() {
    let mut stage = Harness::<Sampler>::new(r#"{"sampling_percentage": 50}"#, Signal::Traces).unwrap();
    let processed = stage.process(&[]).unwrap();
    assert!(processed.outcome.is_unchanged());
}

#[test]
fn refuses_metrics_and_warns_of_settings_that_drop_everything() {
    let error = Harness::<Sampler>::new(r#"{"sampling_percentage": 50}"#, Signal::Metrics).unwrap_err();
    assert!(error.to_string().contains("metrics can't be sampled"), "{error}");
    for (config, signal, expected) in [
        ("{}", Signal::Traces, Some("sampling_percentage is 0")),
        (r#"{"sampling_percentage": 0.001}"#, Signal::Traces, Some("14 bits")),
        (r#"{"sampling_percentage": 0.001, "mode": "equalizing"}"#, Signal::Traces, None),
        (
            r#"{"sampling_percentage": 5, "attribute_source": "record"}"#,
            Signal::Logs,
            Some("from_attribute is not set"),
        ),
        (r#"{"sampling_percentage": 5, "attribute_source": "record"}"#, Signal::Traces, None),
    ] {
        testing::reset();
        Harness::<Sampler>::new(config, signal).unwrap();
        let warned: Vec<String> = testing::take_logs().into_iter().map(|(_, message)| message).collect();
        match expected {
            Some(expected) => assert!(warned.len() == 1 && warned[0].contains(expected), "{config}: {warned:?}"),
            None => assert!(warned.is_empty(), "{config}: {warned:?}"),
        }
    }
}
