//! Documents of the Simple Schema for Observability, the default mapping.

use std::borrow::Cow;

use sluice_wire::view::{KeyValue, LogRecord, Resource, Scope, Span};

use super::json::{Json, settled};
use super::members::Members;

/// What documents of one resource and scope share.
pub(super) struct Surroundings<'a> {
    /// The resource.
    pub(super) resource: Resource<'a>,
    /// Schema of the resource.
    pub(super) resource_schema_url: &'a str,
    /// The instrumentation scope.
    pub(super) scope: Scope<'a>,
    /// Schema of the scope.
    pub(super) scope_schema_url: &'a str,
}

/// The data stream that a document says it is of.
pub(super) struct DataStream<'a> {
    /// `dataset` of the configuration.
    pub(super) dataset: Cow<'a, str>,
    /// `namespace` of the configuration.
    pub(super) namespace: Cow<'a, str>,
}

/// Writes documents of one resource and scope; what they share is encoded once.
pub(super) struct Writer<'a> {
    resource_schema_url: &'a str,
    resource: Vec<u8>,
    scope: Vec<u8>,
    data_stream: Vec<u8>,
    members: Members<'a>,
}

impl<'a> Writer<'a> {
    /// Writes documents of `kind`: `span` or `record`.
    pub(super) fn new(around: &Surroundings<'a>, stream: &DataStream<'_>, kind: &str) -> Self {
        let encoded = |write: &dyn Fn(&mut Json<'_>)| {
            let mut out = Vec::new();
            write(&mut Json::new(&mut out));
            out
        };
        Self {
            resource_schema_url: around.resource_schema_url,
            resource: encoded(&|json| resource(json, around)),
            scope: encoded(&|json| scope(json, around)),
            data_stream: encoded(&|json| data_stream(json, stream, kind)),
            members: Members::default(),
        }
    }

    /// Resource and scope, as they stand in each document.
    pub(super) fn shared(&self) -> [&[u8]; 2] {
        [&self.resource, &self.scope]
    }

    /// Writes a span.
    pub(super) fn span(&mut self, json: &mut Json<'_>, span: &Span<'a>) {
        json.begin_object();
        self.attributes(json, span.attributes());
        json.key("droppedAttributesCount");
        json.unsigned(span.dropped_attributes_count().into());
        json.key("droppedEventsCount");
        json.unsigned(span.dropped_events_count().into());
        json.key("droppedLinksCount");
        json.unsigned(span.dropped_links_count().into());
        json.key("endTime");
        json.time(span.end_time_unix_nano());
        events(json, span);
        json.key("instrumentationScope");
        json.raw(&self.scope);
        json.key("kind");
        json.text(kind(span.kind()));
        links(json, span);
        json.key("name");
        json.text(span.name());
        // Empty for a root span, by which those are found.
        json.key("parentSpanId");
        json.hex(span.parent_span_id());
        json.key("resource");
        json.raw(&self.resource);
        json.key("spanId");
        json.hex(span.span_id());
        json.key("startTime");
        json.time(span.start_time_unix_nano());
        json.key("status");
        json.begin_object();
        json.key("code");
        json.text(status(span.status().code()));
        json.key("message");
        json.text(span.status().message());
        json.end_object();
        json.key("@timestamp");
        json.time(span.start_time_unix_nano());
        json.key("traceId");
        json.hex(span.trace_id());
        json.key("traceState");
        json.text(span.trace_state());
        json.end_object();
    }

    /// Writes a log record.
    pub(super) fn log(&mut self, json: &mut Json<'_>, log: &LogRecord<'a>) {
        json.begin_object();
        self.attributes(json, log.attributes());
        json.key("body");
        json.text(&log.body().unwrap_or_default().as_string());
        json.key("instrumentationScope");
        json.raw(&self.scope);
        if log.observed_time_unix_nano() != 0 {
            json.key("observedTimestamp");
            json.time(log.observed_time_unix_nano());
        }
        json.key("resource");
        json.raw(&self.resource);
        if !self.resource_schema_url.is_empty() {
            json.key("schemaUrl");
            json.text(self.resource_schema_url);
        }
        json.key("severity");
        json.begin_object();
        json.key("number");
        json.integer(log.severity_number().into());
        json.key("text");
        json.text(log.severity_text());
        json.end_object();
        if !log.span_id().is_empty() {
            json.key("spanId");
            json.hex(log.span_id());
        }
        json.key("@timestamp");
        json.time(time_of(log));
        if !log.trace_id().is_empty() {
            json.key("traceId");
            json.hex(log.trace_id());
        }
        if log.flags() != 0 {
            json.key("traceFlags");
            json.unsigned(log.flags().into());
        }
        json.end_object();
    }

    fn attributes(&mut self, json: &mut Json<'_>, attributes: impl Iterator<Item = KeyValue<'a>>) {
        json.key("attributes");
        json.begin_object();
        self.members.write(json, attributes.filter(|attribute| attribute.key() != "data_stream"));
        json.key("data_stream");
        json.raw(&self.data_stream);
        json.end_object();
    }
}

/// When it happened; if that is unknown, when it was seen.
pub(super) fn time_of(log: &LogRecord<'_>) -> u64 {
    if log.time_unix_nano() != 0 { log.time_unix_nano() } else { log.observed_time_unix_nano() }
}

fn data_stream(json: &mut Json<'_>, stream: &DataStream<'_>, kind: &str) {
    json.begin_object();
    json.key("dataset");
    json.text(&stream.dataset);
    json.key("namespace");
    json.text(&stream.namespace);
    json.key("type");
    json.text(kind);
    json.end_object();
}

fn events(json: &mut Json<'_>, span: &Span<'_>) {
    let mut events = span.events().peekable();
    if events.peek().is_none() {
        return;
    }
    json.key("events");
    json.begin_array();
    for event in events {
        json.begin_object();
        json.key("attributes");
        json.begin_object();
        json.members(event.attributes());
        json.end_object();
        json.key("droppedAttributesCount");
        json.unsigned(event.dropped_attributes_count().into());
        json.key("name");
        json.text(event.name());
        json.key("@timestamp");
        json.time(event.time_unix_nano());
        json.end_object();
    }
    json.end_array();
}

fn links(json: &mut Json<'_>, span: &Span<'_>) {
    let mut links = span.links().peekable();
    if links.peek().is_none() {
        return;
    }
    json.key("links");
    json.begin_array();
    for link in links {
        json.begin_object();
        json.key("attributes");
        json.begin_object();
        json.members(link.attributes());
        json.end_object();
        json.key("spanId");
        json.hex(link.span_id());
        json.key("traceId");
        json.hex(link.trace_id());
        json.key("traceState");
        json.text(link.trace_state());
        json.end_object();
    }
    json.end_array();
}

fn scope(json: &mut Json<'_>, around: &Surroundings<'_>) {
    json.begin_object();
    json.key("attributes");
    json.begin_object();
    json.members(around.scope.attributes());
    json.end_object();
    json.key("droppedAttributesCount");
    json.unsigned(around.scope.dropped_attributes_count().into());
    json.key("name");
    json.text(around.scope.name());
    json.key("schemaUrl");
    json.text(around.scope_schema_url);
    json.key("version");
    json.text(around.scope.version());
    json.end_object();
}

/// The schema has only texts here.
fn resource(json: &mut Json<'_>, around: &Surroundings<'_>) {
    json.begin_object();
    let attributes = around.resource.attributes().map(|attribute| (attribute.key(), attribute.value()));
    for (key, value) in settled(attributes, |_| false) {
        json.key(&key);
        json.text(&value.as_string());
    }
    json.end_object();
}

/// The name of a `SpanKind`.
pub(super) fn kind(kind: i32) -> &'static str {
    match kind {
        1 => "Internal",
        2 => "Server",
        3 => "Client",
        4 => "Producer",
        5 => "Consumer",
        _ => "Unspecified",
    }
}

/// The name of a `StatusCode`.
pub(super) fn status(code: i32) -> &'static str {
    match code {
        1 => "Ok",
        2 => "Error",
        _ => "Unset",
    }
}
