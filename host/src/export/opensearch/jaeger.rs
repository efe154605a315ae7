//! Jaeger's documents: spans, and which services have which operations.

use std::borrow::Cow;

use sluice_wire::view::{KeyValue, Link, Span, Value};

use super::json::{Json, put_hex};
use super::ss4o::Surroundings;

/// The bits of a span's flags that are the trace's; Jaeger's index takes no number of 32 bits.
const TRACE_FLAGS: u32 = 0xff;
/// What a span without any resource is filed under, as by the receiver of Jaeger's collector.
const NO_RESOURCE: &str = "OTLPResourceNoServiceName";
/// What one whose resource names no service is filed under, as by the collector's sanitizer: Jaeger asks for no empty name.
const NO_SERVICE: &str = "empty-service-name";

/// The service that a resource belongs to.
pub(super) fn service_name(around: &Surroundings<'_>) -> String {
    let mut attributes = around.resource.attributes().peekable();
    if attributes.peek().is_none() {
        return NO_RESOURCE.into();
    }
    let name = attributes.find(|attribute| attribute.key() == "service.name");
    let name = name.map(|attribute| attribute.value().as_string()).filter(|name| !name.is_empty());
    name.map_or_else(|| NO_SERVICE.into(), Cow::into_owned)
}

/// Writes a span. Values of tags are texts whatever their type: Jaeger 1 reads nothing else, and Jaeger 2 reads both.
pub(super) fn span(out: &mut Vec<u8>, span: &Span<'_>, around: &Surroundings<'_>, service: &str) {
    let json = &mut Json::new(out);
    json.begin_object();
    json.key("traceID");
    trace_id(json, span.trace_id());
    json.key("spanID");
    span_id(json, span.span_id());
    if !span.parent_span_id().is_empty() {
        json.key("parentSpanID");
        json.hex(span.parent_span_id());
    }
    json.key("flags");
    json.unsigned((span.flags() & TRACE_FLAGS).into());
    json.key("operationName");
    json.text(span.name());
    references(json, span);
    let micros = span.start_time_unix_nano() / 1000;
    json.key("startTime");
    json.unsigned(micros);
    json.key("startTimeMillis");
    json.unsigned(micros / 1000);
    json.key("duration");
    json.unsigned(span.end_time_unix_nano().saturating_sub(span.start_time_unix_nano()) / 1000);
    tags(json, span, around);
    logs(json, span);
    json.key("process");
    json.begin_object();
    json.key("serviceName");
    json.text(service);
    json.key("tags");
    json.begin_array();
    around.resource.attributes().filter(|a| a.key() != "service.name").for_each(|attribute| tag(json, &attribute));
    json.end_array();
    json.end_object();
    json.end_object();
}

/// Writes which operation a service has.
pub(super) fn service(out: &mut Vec<u8>, service: &str, operation: &str) {
    let mut json = Json::new(out);
    json.begin_object();
    json.key("serviceName");
    json.text(service);
    json.key("operationName");
    json.text(operation);
    json.end_object();
}

/// A trace's id by which Jaeger finds it: of 16 digits where the rest are zeros. One bad id would keep it from showing any
/// of the traces that it found, so a missing one is zero.
fn trace_id(json: &mut Json<'_>, id: &[u8]) {
    match id {
        [] => json.hex(&[0; 8]),
        [0, 0, 0, 0, 0, 0, 0, 0, low @ ..] => json.hex(low),
        _ => json.hex(id),
    }
}

fn span_id(json: &mut Json<'_>, id: &[u8]) {
    json.hex(if id.is_empty() { &[0; 8] } else { id });
}

/// The id of a span's document: trace, span and a hash of the document, so that the same span has the same id.
pub(super) fn document_id(span: &[u8], document_hash: u64) -> String {
    format!("{}_{document_hash:x}", String::from_utf8_lossy(span))
}

/// The part of the id that says which span it is.
pub(super) fn trace_and_span(span: &Span<'_>) -> Vec<u8> {
    let mut out = Vec::with_capacity(66);
    put_hex(&mut out, span.trace_id());
    out.push(b'_');
    put_hex(&mut out, span.span_id());
    out
}

/// The id of a service's document.
pub(super) fn service_id(service: &str, operation: &str) -> u64 {
    operation.bytes().fold(fnv1a_64(service.as_bytes()), step)
}

fn step(hash: u64, byte: u8) -> u64 {
    (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
}

const OFFSET: u64 = 0xcbf2_9ce4_8422_2325;

/// FNV-1a (Fowler, Noll, Vo), as Go's `fnv.New64a`.
pub(super) fn fnv1a_64(bytes: &[u8]) -> u64 {
    bytes.iter().copied().fold(OFFSET, step)
}

/// The hashes of several texts. Each is a chain of multiplications that wait for each other; side by side they don't.
pub(super) fn fnv1a_64_of_each(texts: [&[u8]; LANES]) -> [u64; LANES] {
    let common = texts.iter().map(|text| text.len()).min().unwrap_or(0);
    let [a, b, c, d] = texts.map(|text| &text[..common]);
    let mut hashes = [OFFSET; LANES];
    for (((a, b), c), d) in a.iter().zip(b).zip(c).zip(d) {
        for (hash, byte) in hashes.iter_mut().zip([a, b, c, d]) {
            *hash = step(*hash, *byte);
        }
    }
    for (hash, text) in hashes.iter_mut().zip(texts) {
        *hash = text[common..].iter().copied().fold(*hash, step);
    }
    hashes
}

/// How many documents are hashed side by side.
pub(super) const LANES: usize = 4;

/// The parent comes first; a link to it only says what kind of parent it is. A link without ids leads nowhere.
fn references(json: &mut Json<'_>, span: &Span<'_>) {
    let has_parent = !span.parent_span_id().is_empty();
    let is_parent =
        |link: &Link<'_>| has_parent && link.trace_id() == span.trace_id() && link.span_id() == span.parent_span_id();
    json.key("references");
    json.begin_array();
    if has_parent {
        let kind = span.links().find(is_parent).map_or("CHILD_OF", |link| reference_kind(&link));
        reference(json, kind, span.trace_id(), span.parent_span_id());
    }
    for link in span.links().filter(|link| !link.trace_id().is_empty() && !is_parent(link)) {
        reference(json, reference_kind(&link), link.trace_id(), link.span_id());
    }
    json.end_array();
}

fn reference_kind(link: &Link<'_>) -> &'static str {
    let kind = link.attributes().find(|attribute| attribute.key() == "opentracing.ref_type");
    let is_child = kind.is_some_and(|kind| matches!(kind.value(), Value::Text("child_of")));
    if is_child { "CHILD_OF" } else { "FOLLOWS_FROM" }
}

fn reference(json: &mut Json<'_>, kind: &str, trace: &[u8], span: &[u8]) {
    json.begin_object();
    json.key("refType");
    json.text(kind);
    json.key("traceID");
    trace_id(json, trace);
    json.key("spanID");
    span_id(json, span);
    json.end_object();
}

fn tags(json: &mut Json<'_>, span: &Span<'_>, around: &Surroundings<'_>) {
    json.key("tags");
    json.begin_array();
    for (key, value) in [("otel.scope.name", around.scope.name()), ("otel.scope.version", around.scope.version())] {
        if !value.is_empty() {
            text(json, key, value);
        }
    }
    span.attributes().for_each(|attribute| tag(json, &attribute));
    if let Some(kind) = kind(span.kind()) {
        text(json, "span.kind", kind);
    }
    match span.status().code() {
        1 => text(json, "otel.status_code", "OK"),
        2 => head(json, "error", "bool", |json| json.text("true")),
        _ => {}
    }
    if !span.status().message().is_empty() {
        text(json, "otel.status_description", span.status().message());
    }
    if !span.trace_state().is_empty() {
        text(json, "w3c.tracestate", span.trace_state());
    }
    json.end_array();
}

fn logs(json: &mut Json<'_>, span: &Span<'_>) {
    json.key("logs");
    json.begin_array();
    for event in span.events() {
        json.begin_object();
        json.key("timestamp");
        json.unsigned(event.time_unix_nano() / 1000);
        json.key("fields");
        json.begin_array();
        if !event.name().is_empty() && event.attributes().all(|attribute| attribute.key() != "event") {
            text(json, "event", event.name());
        }
        event.attributes().for_each(|field| tag(json, &field));
        json.end_array();
        json.end_object();
    }
    json.end_array();
}

fn text(json: &mut Json<'_>, key: &str, value: &str) {
    head(json, key, "string", |json| json.text(value));
}

fn tag(json: &mut Json<'_>, tag: &KeyValue<'_>) {
    let key = tag.key();
    let value = tag.value();
    let kind = match value {
        Value::Boolean(_) => "bool",
        Value::Integer(_) => "int64",
        // JSON has no other numbers, so Jaeger could not answer with them.
        Value::Double(number) if number.is_finite() => "float64",
        Value::Bytes(bytes) => return head(json, key, "binary", |json| json.hex(bytes)),
        Value::Double(_) | Value::Text(_) | Value::Empty | Value::Array(_) | Value::Map(_) => "string",
    };
    head(json, key, kind, |json| json.text(&value.as_string()));
}

fn head(json: &mut Json<'_>, key: &str, kind: &str, value: impl FnOnce(&mut Json<'_>)) {
    json.begin_object();
    json.key("key");
    json.text(key);
    json.key("type");
    json.text(kind);
    json.key("value");
    value(json);
    json.end_object();
}

fn kind(kind: i32) -> Option<&'static str> {
    Some(match kind {
        1 => "internal",
        2 => "server",
        3 => "client",
        4 => "producer",
        5 => "consumer",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_as_fnv_1a_does() {
        // Vectors of the reference implementation.
        for (text, hash) in
            [("", 0xcbf2_9ce4_8422_2325), ("a", 0xaf63_dc4c_8601_ec8c), ("foobar", 0x8594_4171_f739_67e8)]
        {
            assert_eq!(fnv1a_64(text.as_bytes()), hash);
        }
        assert_eq!(service_id("foo", "bar"), fnv1a_64(b"foobar"));
        let texts: [&[u8]; LANES] = [b"foobar", b"", b"a", b"something longer"];
        assert_eq!(fnv1a_64_of_each(texts), texts.map(fnv1a_64));
        let texts: [&[u8]; LANES] = [b"foobar", b"foob", b"barfoo", b"something longer"];
        assert_eq!(fnv1a_64_of_each(texts), texts.map(fnv1a_64));
    }
}
