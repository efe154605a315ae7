//! Verbosity `detailed`: every field on a line of its own.

use sluice_wire::Signal;
use sluice_wire::view::{
    Each, Event, KeyValue, Link, LogRecord, LogsView, MetricsView, Resource, Scope, Span, TracesView,
};

use super::points::metric;
use super::text::{Lines, time, typed};

/// The lines of a request.
pub(super) fn text(signal: Signal, bytes: &[u8]) -> String {
    let mut lines = Lines::default();
    match signal {
        Signal::Traces => traces(&mut lines, TracesView::new(bytes)),
        Signal::Metrics => metrics(&mut lines, MetricsView::new(bytes)),
        Signal::Logs => logs(&mut lines, LogsView::new(bytes)),
    }
    lines.0
}

fn traces(lines: &mut Lines, view: TracesView<'_>) {
    for (i, resource_spans) in view.resource_spans().enumerate() {
        resource(lines, "ResourceSpans", i, resource_spans.schema_url(), resource_spans.resource());
        for (j, scope_spans) in resource_spans.scope_spans().enumerate() {
            scope(lines, "ScopeSpans", j, scope_spans.schema_url(), scope_spans.scope());
            for (k, one) in scope_spans.spans().enumerate() {
                lines.line(format_args!("Span #{k}"));
                span(lines, one);
            }
        }
    }
}

fn span(lines: &mut Lines, span: Span<'_>) {
    let mut field = |name: &str, value: &str| lines.line(format_args!("    {name:<15}: {value}"));
    field("Trace ID", &hex::encode(span.trace_id()));
    field("Parent ID", &hex::encode(span.parent_span_id()));
    field("ID", &hex::encode(span.span_id()));
    field("Name", span.name());
    field("Kind", kind(span.kind()));
    if !span.trace_state().is_empty() {
        field("TraceState", span.trace_state());
    }
    field("Start time", &time(span.start_time_unix_nano()));
    field("End time", &time(span.end_time_unix_nano()));
    field("Status code", status(span.status().code()));
    field("Status message", span.status().message());
    let dropped = [
        ("Attributes", span.dropped_attributes_count()),
        ("Events", span.dropped_events_count()),
        ("Links", span.dropped_links_count()),
    ];
    if dropped.iter().any(|(_, count)| *count > 0) {
        for (what, count) in dropped {
            lines.line(format_args!("    Dropped{what}Count: {count}"));
        }
    }
    attributes(lines, "", "Attributes", span.attributes());
    list(lines, "Events", "SpanEvent", span.events(), event);
    list(lines, "Links", "SpanLink", span.links(), link);
}

fn event(lines: &mut Lines, event: Event<'_>) {
    item(lines, "Name", event.name());
    item(lines, "Timestamp", &time(event.time_unix_nano()));
    item(lines, "DroppedAttributesCount", &event.dropped_attributes_count().to_string());
    attributes(lines, "     -> ", "Attributes:", event.attributes());
}

fn link(lines: &mut Lines, link: Link<'_>) {
    item(lines, "Trace ID", &hex::encode(link.trace_id()));
    item(lines, "ID", &hex::encode(link.span_id()));
    item(lines, "TraceState", link.trace_state());
    item(lines, "DroppedAttributesCount", &link.dropped_attributes_count().to_string());
    attributes(lines, "     -> ", "Attributes:", link.attributes());
}

fn logs(lines: &mut Lines, view: LogsView<'_>) {
    for (i, resource_logs) in view.resource_logs().enumerate() {
        resource(lines, "ResourceLog", i, resource_logs.schema_url(), resource_logs.resource());
        for (j, scope_logs) in resource_logs.scope_logs().enumerate() {
            scope(lines, "ScopeLogs", j, scope_logs.schema_url(), scope_logs.scope());
            for (k, record) in scope_logs.log_records().enumerate() {
                lines.line(format_args!("LogRecord #{k}"));
                log_record(lines, record);
            }
        }
    }
}

fn log_record(lines: &mut Lines, record: LogRecord<'_>) {
    lines.line(format_args!("ObservedTimestamp: {}", time(record.observed_time_unix_nano())));
    lines.line(format_args!("Timestamp: {}", time(record.time_unix_nano())));
    lines.line(format_args!("SeverityText: {}", record.severity_text()));
    let severity = record.severity_number();
    lines.line(format_args!("SeverityNumber: {}({severity})", severity_name(severity)));
    if !record.event_name().is_empty() {
        lines.line(format_args!("EventName: {}", record.event_name()));
    }
    lines.line(format_args!("Body: {}", typed(record.body().unwrap_or_default())));
    attributes(lines, "", "Attributes", record.attributes());
    lines.line(format_args!("Trace ID: {}", hex::encode(record.trace_id())));
    lines.line(format_args!("Span ID: {}", hex::encode(record.span_id())));
    lines.line(format_args!("Flags: {}", record.flags()));
}

fn metrics(lines: &mut Lines, view: MetricsView<'_>) {
    for (i, resource_metrics) in view.resource_metrics().enumerate() {
        resource(lines, "ResourceMetrics", i, resource_metrics.schema_url(), resource_metrics.resource());
        for (j, scope_metrics) in resource_metrics.scope_metrics().enumerate() {
            scope(lines, "ScopeMetrics", j, scope_metrics.schema_url(), scope_metrics.scope());
            for (k, one) in scope_metrics.metrics().enumerate() {
                lines.line(format_args!("Metric #{k}"));
                metric(lines, one);
            }
        }
    }
}

fn resource(lines: &mut Lines, title: &str, index: usize, schema_url: &str, resource: Resource<'_>) {
    lines.line(format_args!("{title} #{index}"));
    lines.line(format_args!("Resource SchemaURL: {schema_url}"));
    attributes(lines, "", "Resource attributes", resource.attributes());
    for (i, entity) in resource.entity_refs().enumerate() {
        if i == 0 {
            lines.line(format_args!("Resource entity refs:"));
        }
        lines.line(format_args!("     -> Entity ref #{i}:"));
        lines.line(format_args!("          -> Type: {}", entity.r#type()));
        if !entity.schema_url().is_empty() {
            lines.line(format_args!("          -> Schema URL: {}", entity.schema_url()));
        }
        keys(lines, "ID keys", entity.id_keys());
        keys(lines, "Description keys", entity.description_keys());
    }
}

fn keys<'a>(lines: &mut Lines, title: &str, keys: impl Iterator<Item = &'a str>) {
    for (i, key) in keys.enumerate() {
        if i == 0 {
            lines.line(format_args!("          -> {title}:"));
        }
        lines.line(format_args!("               -> {key}"));
    }
}

fn scope(lines: &mut Lines, title: &str, index: usize, schema_url: &str, scope: Scope<'_>) {
    lines.line(format_args!("{title} #{index}"));
    lines.line(format_args!("{title} SchemaURL: {schema_url}"));
    lines.line(format_args!("InstrumentationScope {} {}", scope.name(), scope.version()));
    attributes(lines, "", "InstrumentationScope attributes", scope.attributes());
}

/// A heading and a line per attribute, or nothing without any.
pub(super) fn attributes<'a>(lines: &mut Lines, indent: &str, title: &str, attributes: Each<'a, KeyValue<'a>>) {
    let spaces = if indent.is_empty() { "" } else { "     " };
    for (i, attribute) in attributes.enumerate() {
        if i == 0 {
            lines.line(format_args!("{indent}{title}:"));
        }
        lines.line(format_args!("{spaces}     -> {}: {}", attribute.key(), typed(attribute.value())));
    }
}

/// A heading and the items with their numbers, or nothing without any.
pub(super) fn list<T>(
    lines: &mut Lines,
    title: &str,
    name: &str,
    items: impl Iterator<Item = T>,
    mut write: impl FnMut(&mut Lines, T),
) {
    for (i, one) in items.enumerate() {
        if i == 0 {
            lines.line(format_args!("{title}:"));
        }
        lines.line(format_args!("{name} #{i}"));
        write(lines, one);
    }
}

/// A field of an item in a list.
pub(super) fn item(lines: &mut Lines, name: &str, value: &str) {
    lines.line(format_args!("     -> {name}: {value}"));
}

fn kind(kind: i32) -> &'static str {
    match kind {
        0 => "Unspecified",
        1 => "Internal",
        2 => "Server",
        3 => "Client",
        4 => "Producer",
        5 => "Consumer",
        _ => "",
    }
}

fn status(code: i32) -> &'static str {
    match code {
        0 => "Unset",
        1 => "Ok",
        2 => "Error",
        _ => "",
    }
}

/// Six levels of four steps each.
fn severity_name(number: i32) -> String {
    const LEVELS: [&str; 6] = ["Trace", "Debug", "Info", "Warn", "Error", "Fatal"];
    let Some(index) = usize::try_from(number).ok().and_then(|number| number.checked_sub(1)) else {
        return if number == 0 { "Unspecified".to_owned() } else { String::new() };
    };
    match (LEVELS.get(index / 4), index % 4) {
        (None, _) => String::new(),
        (Some(level), 0) => (*level).to_owned(),
        (Some(level), step) => format!("{level}{}", step + 1),
    }
}
