//! A request as a list of items in a form that can be compared: each span, log record or data point with its metric,
//! scope and resource.

use anyhow::Result;
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue};
use opentelemetry_proto::tonic::logs::v1::LogRecord;
use opentelemetry_proto::tonic::metrics::v1::{ExponentialHistogramDataPoint, metric::Data};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message;
use sluice_wire::Signal;

/// The items of an encoded request, in their order.
pub(crate) fn items(signal: Signal, bytes: &[u8]) -> Result<Vec<String>> {
    match signal {
        Signal::Traces => traces(bytes),
        Signal::Metrics => metrics(bytes),
        Signal::Logs => logs(bytes),
    }
}

/// The first item in which two lists differ, or none.
pub(crate) fn difference(expected: &[String], result: &[String]) -> Option<String> {
    let longer = expected.len().max(result.len());
    let at = (0..longer).find(|index| expected.get(*index) != result.get(*index))?;
    let show = |list: &[String]| list.get(at).cloned().unwrap_or_else(|| "nothing".into());
    let counts = format!("item {at}, of {} expected and {} found", expected.len(), result.len());
    Some(format!("{counts}\nexpected {}\n   found {}", show(expected), show(result)))
}

fn traces(bytes: &[u8]) -> Result<Vec<String>> {
    let mut items = Vec::new();
    for resource in ExportTraceServiceRequest::decode(bytes)?.resource_spans {
        let of = about_resource(resource.resource, &resource.schema_url);
        for scope in resource.scope_spans {
            let of = of.clone() + &about_scope(scope.scope, &scope.schema_url);
            items.extend(scope.spans.into_iter().map(|span| format!("{of}\n  {:?}", even_span(span))));
        }
    }
    Ok(items)
}

fn logs(bytes: &[u8]) -> Result<Vec<String>> {
    let mut items = Vec::new();
    for resource in ExportLogsServiceRequest::decode(bytes)?.resource_logs {
        let of = about_resource(resource.resource, &resource.schema_url);
        for scope in resource.scope_logs {
            let of = of.clone() + &about_scope(scope.scope, &scope.schema_url);
            items.extend(scope.log_records.into_iter().map(|log| format!("{of}\n  {:?}", even_log(log))));
        }
    }
    Ok(items)
}

fn metrics(bytes: &[u8]) -> Result<Vec<String>> {
    let mut items = Vec::new();
    for resource in ExportMetricsServiceRequest::decode(bytes)?.resource_metrics {
        let of = about_resource(resource.resource, &resource.schema_url);
        for scope in resource.scope_metrics {
            let of = of.clone() + &about_scope(scope.scope, &scope.schema_url);
            for mut metric in scope.metrics {
                even(&mut metric.metadata);
                let points = take_points(metric.data.as_mut());
                items.extend(points.into_iter().map(|point| format!("{of}\n  {metric:?}\n  {point}")));
            }
        }
    }
    Ok(items)
}

/// Takes the points out of a metric.
fn take_points(data: Option<&mut Data>) -> Vec<String> {
    macro_rules! take {
        ($data:expr) => {
            std::mem::take(&mut $data.data_points)
                .into_iter()
                .map(|mut point| {
                    even(&mut point.attributes);
                    format!("{point:?}")
                })
                .collect()
        };
    }
    match data {
        Some(Data::Gauge(data)) => take!(data),
        Some(Data::Sum(data)) => take!(data),
        Some(Data::Histogram(data)) => take!(data),
        Some(Data::Summary(data)) => take!(data),
        Some(Data::ExponentialHistogram(data)) => {
            data.data_points.iter_mut().for_each(even_buckets);
            take!(data)
        }
        None => Vec::new(),
    }
}

/// The Collector writes empty messages where there were none; they mean the same.
fn even_buckets(point: &mut ExponentialHistogramDataPoint) {
    point.positive.get_or_insert_default();
    point.negative.get_or_insert_default();
}

fn about_resource(resource: Option<Resource>, schema_url: &str) -> String {
    let mut resource = resource.unwrap_or_default();
    even(&mut resource.attributes);
    format!("\n  {resource:?} {schema_url:?}")
}

fn about_scope(scope: Option<InstrumentationScope>, schema_url: &str) -> String {
    let mut scope = scope.unwrap_or_default();
    even(&mut scope.attributes);
    format!("\n  {scope:?} {schema_url:?}")
}

fn even_span(mut span: Span) -> Span {
    even(&mut span.attributes);
    even_id(&mut span.trace_id);
    even_id(&mut span.span_id);
    even_id(&mut span.parent_span_id);
    span.status.get_or_insert_default();
    for event in &mut span.events {
        // Ours has no summary on events: their attributes are the application's.
        event.attributes.retain(|attribute| !attribute.key.starts_with("redaction."));
        even(&mut event.attributes);
    }
    for link in &mut span.links {
        even(&mut link.attributes);
        even_id(&mut link.trace_id);
        even_id(&mut link.span_id);
    }
    span
}

fn even_log(mut log: LogRecord) -> LogRecord {
    even(&mut log.attributes);
    even_id(&mut log.trace_id);
    even_id(&mut log.span_id);
    even_value(log.body.get_or_insert_default());
    log
}

/// An id of zeros is none, and the Collector leaves it out.
fn even_id(id: &mut Vec<u8>) {
    if id.iter().all(|byte| *byte == 0) {
        id.clear();
    }
}

/// The order of attributes has no meaning in OTLP, and ours may be another.
fn even(attributes: &mut [KeyValue]) {
    attributes.iter_mut().for_each(even_member);
    attributes.sort_by(|a, b| a.key.cmp(&b.key));
}

fn even_member(member: &mut KeyValue) {
    even_value(member.value.get_or_insert_default());
}

fn even_value(value: &mut AnyValue) {
    match &mut value.value {
        Some(Value::ArrayValue(array)) => array.values.iter_mut().for_each(even_value),
        Some(Value::KvlistValue(map)) => even(&mut map.values),
        _ => {}
    }
}
