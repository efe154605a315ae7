//! Views of logs: `ExportLogsServiceRequest` down to log records.

use crate::cursor::Cursor;
use crate::cursor::keys::{I32_8, I64_1, I64_11, LEN_3, LEN_5, LEN_6, LEN_9, LEN_10, LEN_12, VARINT_2, VARINT_7};

use super::common::{KeyValue, Resource, Scope, Value};
use super::message::{Each, Extent, Message, id, text};
use super::traces::Container;

/// An `ExportLogsServiceRequest` (or `LogsData`).
#[derive(Clone, Copy, Debug, Default)]
pub struct LogsView<'a>(&'a [u8]);

impl<'a> LogsView<'a> {
    /// Reads validated bytes.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// Resources with their logs.
    pub fn resource_logs(&self) -> Each<'a, ResourceLogs<'a>> {
        Message::new(self.0).each(1)
    }
}

/// A resource with its logs.
#[derive(Clone, Copy, Debug, Default)]
pub struct ResourceLogs<'a>(Container<'a>);

impl<'a> From<&'a [u8]> for ResourceLogs<'a> {
    fn from(bytes: &'a [u8]) -> Self {
        Self(bytes.into())
    }
}

impl<'a> ResourceLogs<'a> {
    /// The resource.
    pub fn resource(&self) -> Resource<'a> {
        Resource::new(&self.0.owner)
    }

    /// Scopes with their logs.
    pub fn scope_logs(&self) -> Each<'a, ScopeLogs<'a>> {
        self.0.children()
    }

    /// The schema of the resource.
    pub fn schema_url(&self) -> &'a str {
        text(self.0.schema_url)
    }
}

/// A scope with its logs.
#[derive(Clone, Copy, Debug, Default)]
pub struct ScopeLogs<'a>(Container<'a>);

impl<'a> From<&'a [u8]> for ScopeLogs<'a> {
    fn from(bytes: &'a [u8]) -> Self {
        Self(bytes.into())
    }
}

impl<'a> ScopeLogs<'a> {
    /// The scope.
    pub fn scope(&self) -> Scope<'a> {
        Scope::new(&self.0.owner)
    }

    /// The log records.
    pub fn log_records(&self) -> Each<'a, LogRecord<'a>> {
        self.0.children()
    }

    /// The schema of scope and records.
    pub fn schema_url(&self) -> &'a str {
        text(self.0.schema_url)
    }
}

/// A log record.
#[derive(Clone, Copy, Debug, Default)]
pub struct LogRecord<'a> {
    bytes: &'a [u8],
    severity_text: &'a [u8],
    trace_id: &'a [u8],
    span_id: &'a [u8],
    event_name: &'a [u8],
    body: Option<Value<'a>>,
    time_unix_nano: u64,
    observed_time_unix_nano: u64,
    attributes: Extent,
    severity_number: i32,
    dropped_attributes_count: u32,
    flags: u32,
}

impl<'a> From<&'a [u8]> for LogRecord<'a> {
    fn from(bytes: &'a [u8]) -> Self {
        let mut record = Self { bytes, ..Self::default() };
        let mut cursor = Cursor::new(bytes);
        while let Some(item) = cursor.item() {
            let content = bytes.get(item.start..item.end).unwrap_or_default();
            match item.key {
                I64_1 => record.time_unix_nano = item.scalar,
                VARINT_2 => record.severity_number = item.scalar as i32,
                LEN_3 => record.severity_text = content,
                LEN_5 => record.body = Value::member(content).or(record.body).or(Some(Value::Empty)),
                LEN_6 => record.attributes.see(item.at, item.end),
                VARINT_7 => record.dropped_attributes_count = item.scalar as u32,
                I32_8 => record.flags = item.scalar as u32,
                LEN_9 => record.trace_id = content,
                LEN_10 => record.span_id = content,
                I64_11 => record.observed_time_unix_nano = item.scalar,
                LEN_12 => record.event_name = content,
                _ => {}
            }
        }
        record
    }
}

impl<'a> LogRecord<'a> {
    /// The encoded message.
    pub fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// When it happened.
    pub fn time_unix_nano(&self) -> u64 {
        self.time_unix_nano
    }

    /// When it was collected.
    pub fn observed_time_unix_nano(&self) -> u64 {
        self.observed_time_unix_nano
    }

    /// The number of its `SeverityNumber`.
    pub fn severity_number(&self) -> i32 {
        self.severity_number
    }

    /// The severity as the source calls it.
    pub fn severity_text(&self) -> &'a str {
        text(self.severity_text)
    }

    /// The body, if there is one.
    pub fn body(&self) -> Option<Value<'a>> {
        self.body
    }

    /// Its attributes.
    pub fn attributes(&self) -> Each<'a, KeyValue<'a>> {
        self.attributes.of(self.bytes).each(6)
    }

    /// How many attributes the sender dropped.
    pub fn dropped_attributes_count(&self) -> u32 {
        self.dropped_attributes_count
    }

    /// W3C trace flags.
    pub fn flags(&self) -> u32 {
        self.flags
    }

    /// The trace's id; empty if there is none.
    pub fn trace_id(&self) -> &'a [u8] {
        id(self.trace_id)
    }

    /// The span's id; empty if there is none.
    pub fn span_id(&self) -> &'a [u8] {
        id(self.span_id)
    }

    /// The event's name; empty for what is no event.
    pub fn event_name(&self) -> &'a str {
        text(self.event_name)
    }
}
