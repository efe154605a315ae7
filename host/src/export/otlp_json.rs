//! Writes a batch as OTLP/JSON, straight from the wire.
//!
//! The mapping is that of the OTLP specification: ids in hex, other bytes in base64, 64-bit integers as text, enums as
//! numbers. Fields with default values are left out, as Protobuf's JSON mapping has it; fields that no schema of ours
//! knows are lost.

use sluice_wire::Signal;
use sluice_wire::view::{
    Event, Link, LogRecord, LogsView, MetricsView, ResourceLogs, ResourceMetrics, ResourceSpans, ScopeLogs,
    ScopeMetrics, ScopeSpans, Span, TracesView,
};

use common::{attributes, resource, scope, value};
use writer::Object;

mod common;
mod metrics;
mod writer;

#[cfg(test)]
mod tests;

/// JSON takes about so many times the bytes of the wire.
const GROWTH: usize = 3;

/// Writes one export request; there is no line break in it.
pub fn to_json(signal: Signal, bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len() * GROWTH);
    Object::write(&mut out, |request| match signal {
        Signal::Traces => {
            request.each("resourceSpans", TracesView::new(bytes).resource_spans(), resource_spans);
        }
        Signal::Metrics => {
            request.each("resourceMetrics", MetricsView::new(bytes).resource_metrics(), resource_metrics);
        }
        Signal::Logs => request.each("resourceLogs", LogsView::new(bytes).resource_logs(), resource_logs),
    });
    out
}

fn resource_spans(object: &mut Object<'_>, spans: ResourceSpans<'_>) {
    resource(object, spans.resource());
    object.each("scopeSpans", spans.scope_spans(), scope_spans);
    object.text("schemaUrl", spans.schema_url());
}

fn scope_spans(object: &mut Object<'_>, spans: ScopeSpans<'_>) {
    scope(object, spans.scope());
    object.each("spans", spans.spans(), span);
    object.text("schemaUrl", spans.schema_url());
}

fn span(object: &mut Object<'_>, span: Span<'_>) {
    object.hex("traceId", span.trace_id());
    object.hex("spanId", span.span_id());
    object.text("traceState", span.trace_state());
    object.hex("parentSpanId", span.parent_span_id());
    object.number("flags", span.flags());
    object.text("name", span.name());
    object.number("kind", span.kind());
    object.long("startTimeUnixNano", span.start_time_unix_nano());
    object.long("endTimeUnixNano", span.end_time_unix_nano());
    attributes(object, "attributes", span.attributes());
    object.number("droppedAttributesCount", span.dropped_attributes_count());
    object.each("events", span.events(), event);
    object.number("droppedEventsCount", span.dropped_events_count());
    object.each("links", span.links(), link);
    object.number("droppedLinksCount", span.dropped_links_count());
    let status = span.status();
    if status.is_present() {
        object.object("status", |object| {
            object.text("message", status.message());
            object.number("code", status.code());
        });
    }
}

fn event(object: &mut Object<'_>, event: Event<'_>) {
    object.long("timeUnixNano", event.time_unix_nano());
    object.text("name", event.name());
    attributes(object, "attributes", event.attributes());
    object.number("droppedAttributesCount", event.dropped_attributes_count());
}

fn link(object: &mut Object<'_>, link: Link<'_>) {
    object.hex("traceId", link.trace_id());
    object.hex("spanId", link.span_id());
    object.text("traceState", link.trace_state());
    attributes(object, "attributes", link.attributes());
    object.number("droppedAttributesCount", link.dropped_attributes_count());
    object.number("flags", link.flags());
}

fn resource_metrics(object: &mut Object<'_>, metrics: ResourceMetrics<'_>) {
    resource(object, metrics.resource());
    object.each("scopeMetrics", metrics.scope_metrics(), scope_metrics);
    object.text("schemaUrl", metrics.schema_url());
}

fn scope_metrics(object: &mut Object<'_>, metrics: ScopeMetrics<'_>) {
    scope(object, metrics.scope());
    object.each("metrics", metrics.metrics(), metrics::metric);
    object.text("schemaUrl", metrics.schema_url());
}

fn resource_logs(object: &mut Object<'_>, logs: ResourceLogs<'_>) {
    resource(object, logs.resource());
    object.each("scopeLogs", logs.scope_logs(), scope_logs);
    object.text("schemaUrl", logs.schema_url());
}

fn scope_logs(object: &mut Object<'_>, logs: ScopeLogs<'_>) {
    scope(object, logs.scope());
    object.each("logRecords", logs.log_records(), log_record);
    object.text("schemaUrl", logs.schema_url());
}

fn log_record(object: &mut Object<'_>, record: LogRecord<'_>) {
    object.long("timeUnixNano", record.time_unix_nano());
    object.long("observedTimeUnixNano", record.observed_time_unix_nano());
    object.number("severityNumber", record.severity_number());
    object.text("severityText", record.severity_text());
    if let Some(body) = record.body() {
        object.object("body", |object| value(object, body));
    }
    attributes(object, "attributes", record.attributes());
    object.number("droppedAttributesCount", record.dropped_attributes_count());
    object.number("flags", record.flags());
    object.hex("traceId", record.trace_id());
    object.hex("spanId", record.span_id());
    object.text("eventName", record.event_name());
}
