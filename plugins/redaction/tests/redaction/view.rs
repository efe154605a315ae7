//! Requests with a single record as JSON objects, to and from OTLP, by code that is not ours.

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value as Any;
use opentelemetry_proto::tonic::common::v1::{AnyValue, ArrayValue, InstrumentationScope, KeyValue, KeyValueList};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::{Exemplar, Metric, NumberDataPoint, ResourceMetrics, ScopeMetrics, Sum};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::span::{Event, Link};
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use prost::Message;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Number, Value, json};
use sluice_sdk::Signal;

/// The attributes of a request with one resource, one scope and one record. Bytes are `{"$bytes": "hex"}`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct View {
    pub(crate) resource: Map<String, Value>,
    pub(crate) scope: Map<String, Value>,
    pub(crate) record: Map<String, Value>,
    pub(crate) events: Vec<Map<String, Value>>,
    pub(crate) links: Vec<Map<String, Value>>,
    pub(crate) exemplars: Vec<Map<String, Value>>,
    /// Of the metric.
    pub(crate) metadata: Map<String, Value>,
    pub(crate) body: Value,
}

pub(crate) fn view(json: Value) -> View {
    serde_json::from_value(json).expect("a view")
}

pub(crate) fn encode(signal: Signal, view: &View) -> Vec<u8> {
    let resource = Some(Resource { attributes: pairs(&view.resource), ..Resource::default() });
    let scope = Some(InstrumentationScope { attributes: pairs(&view.scope), ..InstrumentationScope::default() });
    let attributes = pairs(&view.record);
    match signal {
        Signal::Traces => {
            let events =
                view.events.iter().map(|event| Event { attributes: pairs(event), ..Event::default() }).collect();
            let links = view.links.iter().map(|link| Link { attributes: pairs(link), ..Link::default() }).collect();
            let span = Span { attributes, events, links, ..Span::default() };
            let scope_spans = vec![ScopeSpans { scope, spans: vec![span], ..ScopeSpans::default() }];
            let resource_spans = vec![ResourceSpans { resource, scope_spans, ..ResourceSpans::default() }];
            ExportTraceServiceRequest { resource_spans }.encode_to_vec()
        }
        Signal::Logs => {
            let body = Some(any(&view.body)).filter(|_| !view.body.is_null());
            let log_records = vec![LogRecord { attributes, body, ..LogRecord::default() }];
            let scope_logs = vec![ScopeLogs { scope, log_records, ..ScopeLogs::default() }];
            let resource_logs = vec![ResourceLogs { resource, scope_logs, ..ResourceLogs::default() }];
            ExportLogsServiceRequest { resource_logs }.encode_to_vec()
        }
        Signal::Metrics => {
            let exemplar = |of: &Map<String, Value>| Exemplar { filtered_attributes: pairs(of), ..Exemplar::default() };
            let exemplars = view.exemplars.iter().map(exemplar).collect();
            let data_points = vec![NumberDataPoint { attributes, exemplars, ..NumberDataPoint::default() }];
            let data = Some(Data::Sum(Sum { data_points, ..Sum::default() }));
            let metrics = vec![Metric { data, metadata: pairs(&view.metadata), ..Metric::default() }];
            let scope_metrics = vec![ScopeMetrics { scope, metrics, ..ScopeMetrics::default() }];
            let resource_metrics = vec![ResourceMetrics { resource, scope_metrics, ..ResourceMetrics::default() }];
            ExportMetricsServiceRequest { resource_metrics }.encode_to_vec()
        }
    }
}

/// The first record of each resource of a request.
pub(crate) fn decode(signal: Signal, bytes: &[u8]) -> Vec<View> {
    match signal {
        Signal::Traces => {
            let request = ExportTraceServiceRequest::decode(bytes).expect("OTLP");
            request.resource_spans.into_iter().map(of_spans).collect()
        }
        Signal::Logs => {
            let request = ExportLogsServiceRequest::decode(bytes).expect("OTLP");
            request.resource_logs.into_iter().map(of_logs).collect()
        }
        Signal::Metrics => {
            let request = ExportMetricsServiceRequest::decode(bytes).expect("OTLP");
            request.resource_metrics.into_iter().map(of_metrics).collect()
        }
    }
}

fn of_spans(mut of_resource: ResourceSpans) -> View {
    let mut of_scope = of_resource.scope_spans.remove(0);
    let span = of_scope.spans.remove(0);
    View {
        events: span.events.iter().map(|event| object(&event.attributes)).collect(),
        links: span.links.iter().map(|link| object(&link.attributes)).collect(),
        ..of_record(of_resource.resource, of_scope.scope, &span.attributes)
    }
}

fn of_logs(mut of_resource: ResourceLogs) -> View {
    let mut of_scope = of_resource.scope_logs.remove(0);
    let record = of_scope.log_records.remove(0);
    let body = record.body.as_ref().map(value).unwrap_or_default();
    View { body, ..of_record(of_resource.resource, of_scope.scope, &record.attributes) }
}

fn of_metrics(mut of_resource: ResourceMetrics) -> View {
    let mut of_scope = of_resource.scope_metrics.remove(0);
    let metric = of_scope.metrics.remove(0);
    let Some(Data::Sum(mut sum)) = metric.data else { panic!("a sum") };
    let point = sum.data_points.remove(0);
    let exemplars = point.exemplars.iter().map(|exemplar| object(&exemplar.filtered_attributes)).collect();
    let metadata = object(&metric.metadata);
    View { exemplars, metadata, ..of_record(of_resource.resource, of_scope.scope, &point.attributes) }
}

fn of_record(resource: Option<Resource>, scope: Option<InstrumentationScope>, record: &[KeyValue]) -> View {
    View {
        resource: object(&resource.unwrap_or_default().attributes),
        scope: object(&scope.unwrap_or_default().attributes),
        record: object(record),
        ..View::default()
    }
}

fn pairs(object: &Map<String, Value>) -> Vec<KeyValue> {
    object
        .iter()
        .map(|(key, value)| KeyValue { key: key.clone(), value: Some(any(value)), ..KeyValue::default() })
        .collect()
}

fn any(value: &Value) -> AnyValue {
    let value = match value {
        Value::Null => None,
        Value::Bool(value) => Some(Any::BoolValue(*value)),
        Value::Number(number) => {
            Some(number.as_i64().map_or_else(|| Any::DoubleValue(number.as_f64().expect("a number")), Any::IntValue))
        }
        Value::String(text) => Some(Any::StringValue(text.clone())),
        Value::Array(values) => Some(Any::ArrayValue(ArrayValue { values: values.iter().map(any).collect() })),
        Value::Object(object) => Some(match object.get("$bytes") {
            Some(bytes) => Any::BytesValue(bytes.as_str().expect("text").as_bytes().to_vec()),
            None => Any::KvlistValue(KeyValueList { values: pairs(object) }),
        }),
    };
    AnyValue { value }
}

fn object(pairs: &[KeyValue]) -> Map<String, Value> {
    pairs.iter().map(|pair| (pair.key.clone(), pair.value.as_ref().map(value).unwrap_or_default())).collect()
}

fn value(any: &AnyValue) -> Value {
    match &any.value {
        Some(Any::StringValue(text)) => json!(text),
        Some(Any::BoolValue(value)) => json!(value),
        Some(Any::IntValue(value)) => json!(value),
        Some(Any::DoubleValue(value)) => {
            Number::from_f64(*value).map_or_else(|| json!(value.to_string()), Value::Number)
        }
        Some(Any::ArrayValue(array)) => array.values.iter().map(value).collect(),
        Some(Any::KvlistValue(list)) => Value::Object(object(&list.values)),
        Some(Any::BytesValue(bytes)) => json!({"$bytes": String::from_utf8_lossy(bytes)}),
        _ => Value::Null,
    }
}
