//! Writes OTLP requests field by field, for receivers that get telemetry in another form.
//!
//! ```
//! use sluice_wire::{LogsWriter, Signal, validate};
//!
//! let mut logs = LogsWriter::new();
//! logs.resource_logs(|resource_logs| {
//!     resource_logs.resource(|resource| resource.attribute("service.name", |value| value.text("checkout")));
//!     resource_logs.scope_logs(|scope_logs| {
//!         scope_logs.log_record(|record| {
//!             record.severity_number(9);
//!             record.body(|value| value.text("hello"));
//!         });
//!     });
//! });
//! let bytes = logs.finish();
//! assert_eq!(validate(Signal::Logs, &bytes).map(|summary| summary.records), Ok(1));
//! ```
//!
//! Fields that hold their default are left out, as every encoder does, except where the protocol tells the two apart.
//! A field without repetition that is written twice counts as protobuf says: the last one, messages merged.

use alloc::vec::Vec;

use crate::cursor::{encode_varint, i32_key, i64_key, len_key, varint_key};

/// The bytes of a request in the making.
#[derive(Clone, Debug, Default)]
pub struct Writer {
    bytes: Vec<u8>,
}

impl Writer {
    fn varint(&mut self, value: u64) {
        if value < 0x80 {
            return self.bytes.push(value as u8);
        }
        let mut buffer = [0; 10];
        let width = encode_varint(value, &mut buffer);
        self.bytes.extend_from_slice(&buffer[..width]);
    }

    fn varint_field(&mut self, number: u32, value: u64) {
        self.varint(u64::from(varint_key(number)));
        self.varint(value);
    }

    fn fixed64_field(&mut self, number: u32, value: u64) {
        self.varint(u64::from(i64_key(number)));
        self.bytes.extend_from_slice(&value.to_le_bytes());
    }

    fn fixed32_field(&mut self, number: u32, value: u32) {
        self.varint(u64::from(i32_key(number)));
        self.bytes.extend_from_slice(&value.to_le_bytes());
    }

    fn bytes_field(&mut self, number: u32, value: &[u8]) {
        self.varint(u64::from(len_key(number)));
        self.varint(value.len() as u64);
        self.bytes.extend_from_slice(value);
    }

    /// Writes a message; its length is filled in afterwards.
    fn message(&mut self, number: u32, write: impl FnOnce(&mut Self)) {
        self.varint(u64::from(len_key(number)));
        self.bytes.push(0);
        let start = self.bytes.len();
        write(self);
        let length = self.bytes.len() - start;
        let mut buffer = [0; 10];
        let width = encode_varint(length as u64, &mut buffer);
        if width > 1 {
            let end = self.bytes.len();
            self.bytes.resize(end + width - 1, 0);
            self.bytes.copy_within(start..end, start + width - 1);
        }
        self.bytes[start - 1..start - 1 + width].copy_from_slice(&buffer[..width]);
    }

    fn packed(&mut self, number: u32, values: impl IntoIterator<Item = u64>, write: impl Fn(&mut Self, u64)) {
        let mut values = values.into_iter().peekable();
        if values.peek().is_some() {
            self.message(number, |writer| values.for_each(|value| write(writer, value)));
        }
    }
}

/// Defines a writer for each message: its methods are named after the fields.
macro_rules! messages {
    ($($(#[$doc:meta])* $name:ident { $($kind:ident $field:ident $(($($argument:tt)*))? = $number:literal;)* })*) => {
        $(
            $(#[$doc])*
            #[derive(Debug)]
            pub struct $name<'a>(&'a mut Writer);

            impl $name<'_> {
                $(messages!(@method $kind $field ($($($argument)*)?) $number);)*
            }
        )*
    };
    (@method text $field:ident () $number:literal) => {
        /// Writes the field of this name.
        pub fn $field(&mut self, value: &str) {
            if !value.is_empty() {
                self.0.bytes_field($number, value.as_bytes());
            }
        }
    };
    (@method texts $field:ident () $number:literal) => {
        /// Writes one more value of the field of this name.
        pub fn $field(&mut self, value: &str) {
            self.0.bytes_field($number, value.as_bytes());
        }
    };
    (@method bytes $field:ident () $number:literal) => {
        /// Writes the field of this name.
        pub fn $field(&mut self, value: &[u8]) {
            if !value.is_empty() {
                self.0.bytes_field($number, value);
            }
        }
    };
    (@method int32 $field:ident () $number:literal) => {
        /// Writes the field of this name.
        pub fn $field(&mut self, value: i32) {
            if value != 0 {
                self.0.varint_field($number, i64::from(value) as u64);
            }
        }
    };
    (@method sint32 $field:ident () $number:literal) => {
        /// Writes the field of this name.
        pub fn $field(&mut self, value: i32) {
            if value != 0 {
                self.0.varint_field($number, u64::from((value << 1 ^ value >> 31) as u32));
            }
        }
    };
    (@method uint32 $field:ident () $number:literal) => {
        /// Writes the field of this name.
        pub fn $field(&mut self, value: u32) {
            if value != 0 {
                self.0.varint_field($number, u64::from(value));
            }
        }
    };
    (@method boolean $field:ident () $number:literal) => {
        /// Writes the field of this name.
        pub fn $field(&mut self, value: bool) {
            if value {
                self.0.varint_field($number, 1);
            }
        }
    };
    (@method fixed32 $field:ident () $number:literal) => {
        /// Writes the field of this name.
        pub fn $field(&mut self, value: u32) {
            if value != 0 {
                self.0.fixed32_field($number, value);
            }
        }
    };
    (@method fixed64 $field:ident () $number:literal) => {
        /// Writes the field of this name.
        pub fn $field(&mut self, value: u64) {
            if value != 0 {
                self.0.fixed64_field($number, value);
            }
        }
    };
    (@method double $field:ident () $number:literal) => {
        /// Writes the field of this name.
        pub fn $field(&mut self, value: f64) {
            if value != 0.0 {
                self.0.fixed64_field($number, value.to_bits());
            }
        }
    };
    (@method optional_double $field:ident () $number:literal) => {
        /// Writes the field of this name, also if it is 0.
        pub fn $field(&mut self, value: f64) {
            self.0.fixed64_field($number, value.to_bits());
        }
    };
    (@method optional_sfixed64 $field:ident () $number:literal) => {
        /// Writes the field of this name, also if it is 0.
        pub fn $field(&mut self, value: i64) {
            self.0.fixed64_field($number, value as u64);
        }
    };
    (@method fixed64s $field:ident () $number:literal) => {
        /// Writes the field of this name.
        pub fn $field(&mut self, values: impl IntoIterator<Item = u64>) {
            self.0.packed($number, values, |writer, value| writer.bytes.extend_from_slice(&value.to_le_bytes()));
        }
    };
    (@method doubles $field:ident () $number:literal) => {
        /// Writes the field of this name.
        pub fn $field(&mut self, values: impl IntoIterator<Item = f64>) {
            let bits = values.into_iter().map(f64::to_bits);
            self.0.packed($number, bits, |writer, value| writer.bytes.extend_from_slice(&value.to_le_bytes()));
        }
    };
    (@method varints $field:ident () $number:literal) => {
        /// Writes the field of this name.
        pub fn $field(&mut self, values: impl IntoIterator<Item = u64>) {
            self.0.packed($number, values, Writer::varint);
        }
    };
    (@method message $field:ident ($type:ident) $number:literal) => {
        /// Writes the message, or one more of them, in the field of this name.
        pub fn $field(&mut self, write: impl FnOnce(&mut $type<'_>)) {
            self.0.message($number, |writer| write(&mut $type(writer)));
        }
    };
    (@method pair $field:ident () $number:literal) => {
        /// Writes one more attribute.
        pub fn $field(&mut self, key: &str, value: impl FnOnce(&mut ValueWriter<'_>)) {
            self.0.message($number, |writer| {
                writer.bytes_field(1, key.as_bytes());
                writer.message(2, |writer| value(&mut ValueWriter(writer)));
            });
        }
    };
}

messages! {
    /// Writes a `ResourceSpans`.
    ResourceSpansWriter {
        message resource(ResourceWriter) = 1;
        message scope_spans(ScopeSpansWriter) = 2;
        text schema_url = 3;
    }
    /// Writes a `ScopeSpans`.
    ScopeSpansWriter {
        message scope(ScopeWriter) = 1;
        message span(SpanWriter) = 2;
        text schema_url = 3;
    }
    /// Writes a `ResourceLogs`.
    ResourceLogsWriter {
        message resource(ResourceWriter) = 1;
        message scope_logs(ScopeLogsWriter) = 2;
        text schema_url = 3;
    }
    /// Writes a `ScopeLogs`.
    ScopeLogsWriter {
        message scope(ScopeWriter) = 1;
        message log_record(LogRecordWriter) = 2;
        text schema_url = 3;
    }
    /// Writes a `ResourceMetrics`.
    ResourceMetricsWriter {
        message resource(ResourceWriter) = 1;
        message scope_metrics(ScopeMetricsWriter) = 2;
        text schema_url = 3;
    }
    /// Writes a `ScopeMetrics`.
    ScopeMetricsWriter {
        message scope(ScopeWriter) = 1;
        message metric(MetricWriter) = 2;
        text schema_url = 3;
    }
    /// Writes a `Resource`.
    ResourceWriter {
        pair attribute = 1;
        uint32 dropped_attributes_count = 2;
        message entity_ref(EntityRefWriter) = 3;
    }
    /// Writes an `EntityRef`.
    EntityRefWriter {
        text schema_url = 1;
        text r#type = 2;
        texts id_key = 3;
        texts description_key = 4;
    }
    /// Writes an `InstrumentationScope`.
    ScopeWriter {
        text name = 1;
        text version = 2;
        pair attribute = 3;
        uint32 dropped_attributes_count = 4;
    }
    /// Writes a `Span`.
    SpanWriter {
        bytes trace_id = 1;
        bytes span_id = 2;
        text trace_state = 3;
        bytes parent_span_id = 4;
        text name = 5;
        int32 kind = 6;
        fixed64 start_time_unix_nano = 7;
        fixed64 end_time_unix_nano = 8;
        pair attribute = 9;
        uint32 dropped_attributes_count = 10;
        message event(EventWriter) = 11;
        uint32 dropped_events_count = 12;
        message link(LinkWriter) = 13;
        uint32 dropped_links_count = 14;
        message status(StatusWriter) = 15;
        fixed32 flags = 16;
    }
    /// Writes a `Status`.
    StatusWriter {
        text message = 2;
        int32 code = 3;
    }
    /// Writes a span's `Event`.
    EventWriter {
        fixed64 time_unix_nano = 1;
        text name = 2;
        pair attribute = 3;
        uint32 dropped_attributes_count = 4;
    }
    /// Writes a span's `Link`.
    LinkWriter {
        bytes trace_id = 1;
        bytes span_id = 2;
        text trace_state = 3;
        pair attribute = 4;
        uint32 dropped_attributes_count = 5;
        fixed32 flags = 6;
    }
    /// Writes a `LogRecord`.
    LogRecordWriter {
        fixed64 time_unix_nano = 1;
        int32 severity_number = 2;
        text severity_text = 3;
        message body(ValueWriter) = 5;
        pair attribute = 6;
        uint32 dropped_attributes_count = 7;
        fixed32 flags = 8;
        bytes trace_id = 9;
        bytes span_id = 10;
        fixed64 observed_time_unix_nano = 11;
        text event_name = 12;
    }
    /// Writes a `Metric`. It has one kind of data.
    MetricWriter {
        text name = 1;
        text description = 2;
        text unit = 3;
        message gauge(GaugeWriter) = 5;
        message sum(SumWriter) = 7;
        message histogram(HistogramWriter) = 9;
        message exponential_histogram(ExponentialHistogramWriter) = 10;
        message summary(SummaryWriter) = 11;
        pair metadata = 12;
    }
    /// Writes a `Gauge`.
    GaugeWriter {
        message data_point(NumberDataPointWriter) = 1;
    }
    /// Writes a `Sum`.
    SumWriter {
        message data_point(NumberDataPointWriter) = 1;
        int32 aggregation_temporality = 2;
        boolean is_monotonic = 3;
    }
    /// Writes a `Histogram`.
    HistogramWriter {
        message data_point(HistogramDataPointWriter) = 1;
        int32 aggregation_temporality = 2;
    }
    /// Writes an `ExponentialHistogram`.
    ExponentialHistogramWriter {
        message data_point(ExponentialHistogramDataPointWriter) = 1;
        int32 aggregation_temporality = 2;
    }
    /// Writes a `Summary`.
    SummaryWriter {
        message data_point(SummaryDataPointWriter) = 1;
    }
    /// Writes a `NumberDataPoint`. It has one value.
    NumberDataPointWriter {
        fixed64 start_time_unix_nano = 2;
        fixed64 time_unix_nano = 3;
        optional_double as_double = 4;
        message exemplar(ExemplarWriter) = 5;
        optional_sfixed64 as_int = 6;
        pair attribute = 7;
        uint32 flags = 8;
    }
    /// Writes a `HistogramDataPoint`.
    HistogramDataPointWriter {
        fixed64 start_time_unix_nano = 2;
        fixed64 time_unix_nano = 3;
        fixed64 count = 4;
        optional_double sum = 5;
        fixed64s bucket_counts = 6;
        doubles explicit_bounds = 7;
        message exemplar(ExemplarWriter) = 8;
        pair attribute = 9;
        uint32 flags = 10;
        optional_double min = 11;
        optional_double max = 12;
    }
    /// Writes an `ExponentialHistogramDataPoint`.
    ExponentialHistogramDataPointWriter {
        pair attribute = 1;
        fixed64 start_time_unix_nano = 2;
        fixed64 time_unix_nano = 3;
        fixed64 count = 4;
        optional_double sum = 5;
        sint32 scale = 6;
        fixed64 zero_count = 7;
        message positive(BucketsWriter) = 8;
        message negative(BucketsWriter) = 9;
        uint32 flags = 10;
        message exemplar(ExemplarWriter) = 11;
        optional_double min = 12;
        optional_double max = 13;
        double zero_threshold = 14;
    }
    /// Writes the `Buckets` of an exponential histogram.
    BucketsWriter {
        sint32 offset = 1;
        varints bucket_counts = 2;
    }
    /// Writes a `SummaryDataPoint`.
    SummaryDataPointWriter {
        fixed64 start_time_unix_nano = 2;
        fixed64 time_unix_nano = 3;
        fixed64 count = 4;
        double sum = 5;
        message quantile_value(QuantileWriter) = 6;
        pair attribute = 7;
        uint32 flags = 8;
    }
    /// Writes a `ValueAtQuantile`.
    QuantileWriter {
        double quantile = 1;
        double value = 2;
    }
    /// Writes an `Exemplar`. It has one value.
    ExemplarWriter {
        fixed64 time_unix_nano = 2;
        optional_double as_double = 3;
        bytes span_id = 4;
        bytes trace_id = 5;
        optional_sfixed64 as_int = 6;
        pair filtered_attribute = 7;
    }
}

/// Writes an `AnyValue`: one call, or none for an empty value.
#[derive(Debug)]
pub struct ValueWriter<'a>(&'a mut Writer);

impl ValueWriter<'_> {
    /// Writes a string.
    pub fn text(&mut self, text: &str) {
        self.0.bytes_field(1, text.as_bytes());
    }

    /// Writes a boolean.
    pub fn boolean(&mut self, truth: bool) {
        self.0.varint_field(2, u64::from(truth));
    }

    /// Writes an integer.
    pub fn integer(&mut self, number: i64) {
        self.0.varint_field(3, number as u64);
    }

    /// Writes a floating point number.
    pub fn double(&mut self, number: f64) {
        self.0.fixed64_field(4, number.to_bits());
    }

    /// Writes an array.
    pub fn array(&mut self, write: impl FnOnce(&mut ArrayWriter<'_>)) {
        self.0.message(5, |writer| write(&mut ArrayWriter(writer)));
    }

    /// Writes a map.
    pub fn map(&mut self, write: impl FnOnce(&mut MapWriter<'_>)) {
        self.0.message(6, |writer| write(&mut MapWriter(writer)));
    }

    /// Writes bytes.
    pub fn bytes(&mut self, bytes: &[u8]) {
        self.0.bytes_field(7, bytes);
    }
}

messages! {
    /// Writes an `ArrayValue`.
    ArrayWriter {
        message element(ValueWriter) = 1;
    }
    /// Writes a `KeyValueList`.
    MapWriter {
        pair member = 1;
    }
}

macro_rules! requests {
    ($($(#[$doc:meta])* $name:ident.$field:ident($type:ident);)*) => {
        $(
            $(#[$doc])*
            #[derive(Clone, Debug, Default)]
            pub struct $name(Writer);

            impl $name {
                /// Starts an empty request.
                pub fn new() -> Self {
                    Self::default()
                }

                /// Starts an empty request in a buffer of this size.
                pub fn with_capacity(bytes: usize) -> Self {
                    Self(Writer { bytes: Vec::with_capacity(bytes) })
                }

                /// Writes one more resource with its telemetry.
                pub fn $field(&mut self, write: impl FnOnce(&mut $type<'_>)) {
                    self.0.message(1, |writer| write(&mut $type(writer)));
                }

                /// How many bytes the request has so far.
                pub fn len(&self) -> usize {
                    self.0.bytes.len()
                }

                /// Whether nothing was written yet.
                pub fn is_empty(&self) -> bool {
                    self.0.bytes.is_empty()
                }

                /// The request.
                pub fn finish(self) -> Vec<u8> {
                    self.0.bytes
                }
            }
        )*
    };
}

requests! {
    /// Writes an `ExportTraceServiceRequest`.
    TracesWriter.resource_spans(ResourceSpansWriter);
    /// Writes an `ExportMetricsServiceRequest`.
    MetricsWriter.resource_metrics(ResourceMetricsWriter);
    /// Writes an `ExportLogsServiceRequest`.
    LogsWriter.resource_logs(ResourceLogsWriter);
}
