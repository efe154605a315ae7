//! Views of traces: `ExportTraceServiceRequest` down to spans with their events and links.

use crate::cursor::Cursor;
use crate::cursor::keys::{
    I32_6, I32_16, I64_1, I64_7, I64_8, LEN_1, LEN_2, LEN_3, LEN_4, LEN_5, LEN_9, LEN_11, LEN_13, LEN_15, VARINT_3,
    VARINT_4, VARINT_5, VARINT_6, VARINT_10, VARINT_12, VARINT_14,
};

use super::common::{KeyValue, Resource, Scope};
use super::message::{Each, Extent, Message, Piece, Singular, id, text};

/// An `ExportTraceServiceRequest` (or `TracesData`).
#[derive(Clone, Copy, Debug, Default)]
pub struct TracesView<'a>(&'a [u8]);

impl<'a> TracesView<'a> {
    /// Reads validated bytes.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// Resources with their spans.
    pub fn resource_spans(&self) -> Each<'a, ResourceSpans<'a>> {
        Message::new(self.0).each(1)
    }
}

/// A resource with its spans.
#[derive(Clone, Copy, Debug, Default)]
pub struct ResourceSpans<'a>(Container<'a>);

impl<'a> From<&'a [u8]> for ResourceSpans<'a> {
    fn from(bytes: &'a [u8]) -> Self {
        Self(bytes.into())
    }
}

impl<'a> ResourceSpans<'a> {
    /// The resource.
    pub fn resource(&self) -> Resource<'a> {
        Resource::new(&self.0.owner)
    }

    /// Scopes with their spans.
    pub fn scope_spans(&self) -> Each<'a, ScopeSpans<'a>> {
        self.0.children()
    }

    /// The schema of the resource.
    pub fn schema_url(&self) -> &'a str {
        text(self.0.schema_url)
    }
}

/// A scope with its spans.
#[derive(Clone, Copy, Debug, Default)]
pub struct ScopeSpans<'a>(Container<'a>);

impl<'a> From<&'a [u8]> for ScopeSpans<'a> {
    fn from(bytes: &'a [u8]) -> Self {
        Self(bytes.into())
    }
}

impl<'a> ScopeSpans<'a> {
    /// The scope.
    pub fn scope(&self) -> Scope<'a> {
        Scope::new(&self.0.owner)
    }

    /// The spans.
    pub fn spans(&self) -> Each<'a, Span<'a>> {
        self.0.children()
    }

    /// The schema of scope and spans.
    pub fn schema_url(&self) -> &'a str {
        text(self.0.schema_url)
    }
}

/// What the containers of all signals look like: an owner (1), children (2) and a schema URL (3).
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Container<'a> {
    bytes: &'a [u8],
    pub(crate) owner: Singular<'a>,
    pub(crate) schema_url: &'a [u8],
}

impl<'a> From<&'a [u8]> for Container<'a> {
    fn from(bytes: &'a [u8]) -> Self {
        let mut container = Self { bytes, ..Self::default() };
        for piece in Message::new(bytes).fields() {
            match piece.key {
                LEN_1 => container.owner.see(bytes, &piece),
                LEN_3 => container.schema_url = piece.bytes,
                _ => {}
            }
        }
        container
    }
}

impl<'a> Container<'a> {
    pub(crate) fn children<T>(&self) -> Each<'a, T> {
        Message::new(self.bytes).each(2)
    }
}

/// A span.
#[derive(Clone, Copy, Debug, Default)]
pub struct Span<'a> {
    bytes: &'a [u8],
    trace_id: &'a [u8],
    span_id: &'a [u8],
    parent_span_id: &'a [u8],
    trace_state: &'a [u8],
    name: &'a [u8],
    start_time_unix_nano: u64,
    end_time_unix_nano: u64,
    attributes: Extent,
    events: Extent,
    links: Extent,
    status: Singular<'a>,
    kind: i32,
    flags: u32,
    dropped_attributes_count: u32,
    dropped_events_count: u32,
    dropped_links_count: u32,
}

impl<'a> From<&'a [u8]> for Span<'a> {
    fn from(bytes: &'a [u8]) -> Self {
        let mut span = Self { bytes, ..Self::default() };
        let mut cursor = Cursor::new(bytes);
        while let Some(item) = cursor.item() {
            let content = bytes.get(item.start..item.end).unwrap_or_default();
            match item.key {
                LEN_1 => span.trace_id = content,
                LEN_2 => span.span_id = content,
                LEN_3 => span.trace_state = content,
                LEN_4 => span.parent_span_id = content,
                LEN_5 => span.name = content,
                VARINT_6 => span.kind = item.scalar as i32,
                I64_7 => span.start_time_unix_nano = item.scalar,
                I64_8 => span.end_time_unix_nano = item.scalar,
                LEN_9 => span.attributes.see(item.at, item.end),
                VARINT_10 => span.dropped_attributes_count = item.scalar as u32,
                LEN_11 => span.events.see(item.at, item.end),
                VARINT_12 => span.dropped_events_count = item.scalar as u32,
                LEN_13 => span.links.see(item.at, item.end),
                VARINT_14 => span.dropped_links_count = item.scalar as u32,
                LEN_15 => {
                    span.status.see(bytes, &Piece { key: item.key, scalar: 0, bytes: content });
                }
                I32_16 => span.flags = item.scalar as u32,
                _ => {}
            }
        }
        span
    }
}

impl<'a> Span<'a> {
    /// The encoded message.
    pub fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// The trace's id; empty if it is missing or all zeros.
    pub fn trace_id(&self) -> &'a [u8] {
        id(self.trace_id)
    }

    /// The span's id; empty if it is missing or all zeros.
    pub fn span_id(&self) -> &'a [u8] {
        id(self.span_id)
    }

    /// The parent's id; empty for a root span.
    pub fn parent_span_id(&self) -> &'a [u8] {
        id(self.parent_span_id)
    }

    /// The W3C tracestate.
    pub fn trace_state(&self) -> &'a str {
        text(self.trace_state)
    }

    /// W3C trace flags and OTLP's own.
    pub fn flags(&self) -> u32 {
        self.flags
    }

    /// The name.
    pub fn name(&self) -> &'a str {
        text(self.name)
    }

    /// The number of its `SpanKind`.
    pub fn kind(&self) -> i32 {
        self.kind
    }

    /// When it started.
    pub fn start_time_unix_nano(&self) -> u64 {
        self.start_time_unix_nano
    }

    /// When it ended.
    pub fn end_time_unix_nano(&self) -> u64 {
        self.end_time_unix_nano
    }

    /// Its attributes.
    pub fn attributes(&self) -> Each<'a, KeyValue<'a>> {
        self.attributes.of(self.bytes).each(9)
    }

    /// How many attributes the sender dropped.
    pub fn dropped_attributes_count(&self) -> u32 {
        self.dropped_attributes_count
    }

    /// Its events.
    pub fn events(&self) -> Each<'a, Event<'a>> {
        self.events.of(self.bytes).each(11)
    }

    /// How many events the sender dropped.
    pub fn dropped_events_count(&self) -> u32 {
        self.dropped_events_count
    }

    /// Its links.
    pub fn links(&self) -> Each<'a, Link<'a>> {
        self.links.of(self.bytes).each(13)
    }

    /// How many links the sender dropped.
    pub fn dropped_links_count(&self) -> u32 {
        self.dropped_links_count
    }

    /// Its status; unset if there is none.
    pub fn status(&self) -> Status<'a> {
        Status::new(self.status.message())
    }
}

/// The status of a span.
#[derive(Clone, Copy, Debug, Default)]
pub struct Status<'a> {
    present: bool,
    message: &'a [u8],
    code: i32,
}

impl<'a> Status<'a> {
    fn new(message: Option<Message<'a>>) -> Self {
        let mut status = Self { present: message.is_some(), ..Self::default() };
        for piece in message.unwrap_or_default().fields() {
            match piece.key {
                LEN_2 => status.message = piece.bytes,
                VARINT_3 => status.code = piece.scalar as i32,
                _ => {}
            }
        }
        status
    }

    /// Whether the span has a status message at all.
    pub fn is_present(&self) -> bool {
        self.present
    }

    /// The number of its `StatusCode`.
    pub fn code(&self) -> i32 {
        self.code
    }

    /// What went wrong.
    pub fn message(&self) -> &'a str {
        text(self.message)
    }
}

/// An event in a span.
#[derive(Clone, Copy, Debug, Default)]
pub struct Event<'a> {
    message: Message<'a>,
    name: &'a [u8],
    time_unix_nano: u64,
    dropped_attributes_count: u32,
}

impl<'a> From<&'a [u8]> for Event<'a> {
    fn from(bytes: &'a [u8]) -> Self {
        let mut event = Self { message: Message::new(bytes), ..Self::default() };
        for piece in event.message.fields() {
            match piece.key {
                I64_1 => event.time_unix_nano = piece.scalar,
                LEN_2 => event.name = piece.bytes,
                VARINT_4 => event.dropped_attributes_count = piece.scalar as u32,
                _ => {}
            }
        }
        event
    }
}

impl<'a> Event<'a> {
    /// When it happened.
    pub fn time_unix_nano(&self) -> u64 {
        self.time_unix_nano
    }

    /// Its name.
    pub fn name(&self) -> &'a str {
        text(self.name)
    }

    /// Its attributes.
    pub fn attributes(&self) -> Each<'a, KeyValue<'a>> {
        self.message.each(3)
    }

    /// How many attributes the sender dropped.
    pub fn dropped_attributes_count(&self) -> u32 {
        self.dropped_attributes_count
    }
}

/// A link from a span to another.
#[derive(Clone, Copy, Debug, Default)]
pub struct Link<'a> {
    message: Message<'a>,
    trace_id: &'a [u8],
    span_id: &'a [u8],
    trace_state: &'a [u8],
    dropped_attributes_count: u32,
    flags: u32,
}

impl<'a> From<&'a [u8]> for Link<'a> {
    fn from(bytes: &'a [u8]) -> Self {
        let mut link = Self { message: Message::new(bytes), ..Self::default() };
        for piece in link.message.fields() {
            match piece.key {
                LEN_1 => link.trace_id = piece.bytes,
                LEN_2 => link.span_id = piece.bytes,
                LEN_3 => link.trace_state = piece.bytes,
                VARINT_5 => link.dropped_attributes_count = piece.scalar as u32,
                I32_6 => link.flags = piece.scalar as u32,
                _ => {}
            }
        }
        link
    }
}

impl<'a> Link<'a> {
    /// The other span's trace id.
    pub fn trace_id(&self) -> &'a [u8] {
        id(self.trace_id)
    }

    /// The other span's id.
    pub fn span_id(&self) -> &'a [u8] {
        id(self.span_id)
    }

    /// The W3C tracestate.
    pub fn trace_state(&self) -> &'a str {
        text(self.trace_state)
    }

    /// Its attributes.
    pub fn attributes(&self) -> Each<'a, KeyValue<'a>> {
        self.message.each(4)
    }

    /// How many attributes the sender dropped.
    pub fn dropped_attributes_count(&self) -> u32 {
        self.dropped_attributes_count
    }

    /// W3C trace flags and OTLP's own.
    pub fn flags(&self) -> u32 {
        self.flags
    }
}
