//! The messages of OTLP: JSON names, field numbers and types, as opentelemetry-proto 1.x has them.

use sluice_wire::Signal;

/// A protobuf message.
pub(super) struct Message {
    pub(super) name: &'static str,
    pub(super) fields: &'static [Field],
}

impl Message {
    /// The field of a name.
    pub(super) fn field(&self, name: &str) -> Option<&'static Field> {
        let fields = || self.fields.iter();
        fields().find(|field| field.json == name).or_else(|| fields().find(|field| field.is_original(name)))
    }
}

/// A field of a message.
pub(super) struct Field {
    /// The lowerCamelCase name.
    pub(super) json: &'static str,
    pub(super) number: u32,
    pub(super) kind: Kind,
    pub(super) shape: Shape,
}

impl Field {
    /// Whether a name is the one in the definition of OTLP, such as `trace_id`. OTLP/JSON knows lowerCamelCase only, but
    /// printers of protobuf's JSON can keep the original names, and the collector takes both.
    fn is_original(&self, name: &str) -> bool {
        let mut rest = name.bytes();
        let mut is_next = |byte| rest.next() == Some(byte);
        let is_beginning = self.json.bytes().all(|byte| match byte {
            b'A'..=b'Z' => is_next(b'_') && is_next(byte.to_ascii_lowercase()),
            _ => is_next(byte),
        });
        is_beginning && rest.next().is_none()
    }
}

/// How often a field occurs, and whether a zero differs from its absence.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    /// A plain field: the default value is not written.
    Plain,
    /// `optional`, or a member of a `oneof`: written whenever the document has it.
    Present,
    /// `repeated`; numbers are packed.
    Repeated,
}

/// The type of a field.
#[derive(Clone, Copy)]
pub(super) enum Kind {
    Text,
    /// `bytes` in hex: a trace or span id of so many bytes.
    Id(usize),
    /// `bytes` in base64.
    Base64,
    Bool,
    /// An enumeration; a name that nobody knows is refused, a number is passed on.
    Enum(&'static Names),
    Uint32,
    Sint32,
    Fixed32,
    Int64,
    Uint64,
    Fixed64,
    Sfixed64,
    Double,
    Message(&'static Message),
}

/// The names of an enumeration's values. OTLP/JSON has numbers only, but encoders of plain protobuf JSON write names, and the
/// collector takes both.
pub(super) struct Names {
    /// What all of them begin with.
    prefix: &'static str,
    /// The rest of each, from 0.
    values: &'static [&'static str],
}

impl Names {
    /// The number of a name.
    pub(super) fn number(&self, name: &str) -> Option<i128> {
        let rest = name.strip_prefix(self.prefix)?;
        self.values.iter().position(|value| *value == rest).map(|number| number as i128)
    }
}

static SPAN_KIND: Names =
    Names { prefix: "SPAN_KIND_", values: &["UNSPECIFIED", "INTERNAL", "SERVER", "CLIENT", "PRODUCER", "CONSUMER"] };
static STATUS_CODE: Names = Names { prefix: "STATUS_CODE_", values: &["UNSET", "OK", "ERROR"] };
static AGGREGATION_TEMPORALITY: Names =
    Names { prefix: "AGGREGATION_TEMPORALITY_", values: &["UNSPECIFIED", "DELTA", "CUMULATIVE"] };
static SEVERITY_NUMBER: Names = Names {
    prefix: "SEVERITY_NUMBER_",
    values: &[
        "UNSPECIFIED",
        "TRACE",
        "TRACE2",
        "TRACE3",
        "TRACE4",
        "DEBUG",
        "DEBUG2",
        "DEBUG3",
        "DEBUG4",
        "INFO",
        "INFO2",
        "INFO3",
        "INFO4",
        "WARN",
        "WARN2",
        "WARN3",
        "WARN4",
        "ERROR",
        "ERROR2",
        "ERROR3",
        "ERROR4",
        "FATAL",
        "FATAL2",
        "FATAL3",
        "FATAL4",
    ],
};

/// The request message of a signal.
pub(super) fn request(signal: Signal) -> &'static Message {
    match signal {
        Signal::Traces => &TRACES_REQUEST,
        Signal::Metrics => &METRICS_REQUEST,
        Signal::Logs => &LOGS_REQUEST,
    }
}

const fn plain(json: &'static str, number: u32, kind: Kind) -> Field {
    Field { json, number, kind, shape: Shape::Plain }
}

const fn present(json: &'static str, number: u32, kind: Kind) -> Field {
    Field { json, number, kind, shape: Shape::Present }
}

const fn repeated(json: &'static str, number: u32, kind: Kind) -> Field {
    Field { json, number, kind, shape: Shape::Repeated }
}

const fn one(json: &'static str, number: u32, message: &'static Message) -> Field {
    present(json, number, Kind::Message(message))
}

const fn many(json: &'static str, number: u32, message: &'static Message) -> Field {
    repeated(json, number, Kind::Message(message))
}

const TRACE_ID: Kind = Kind::Id(16);
const SPAN_ID: Kind = Kind::Id(8);

// Common

static ANY_VALUE: Message = Message {
    name: "AnyValue",
    fields: &[
        present("stringValue", 1, Kind::Text),
        present("boolValue", 2, Kind::Bool),
        present("intValue", 3, Kind::Int64),
        present("doubleValue", 4, Kind::Double),
        one("arrayValue", 5, &ARRAY_VALUE),
        one("kvlistValue", 6, &KEY_VALUE_LIST),
        present("bytesValue", 7, Kind::Base64),
    ],
};

static ARRAY_VALUE: Message = Message { name: "ArrayValue", fields: &[many("values", 1, &ANY_VALUE)] };

static KEY_VALUE_LIST: Message = Message { name: "KeyValueList", fields: &[many("values", 1, &KEY_VALUE)] };

static KEY_VALUE: Message =
    Message { name: "KeyValue", fields: &[plain("key", 1, Kind::Text), one("value", 2, &ANY_VALUE)] };

static SCOPE: Message = Message {
    name: "InstrumentationScope",
    fields: &[
        plain("name", 1, Kind::Text),
        plain("version", 2, Kind::Text),
        many("attributes", 3, &KEY_VALUE),
        plain("droppedAttributesCount", 4, Kind::Uint32),
    ],
};

static RESOURCE: Message = Message {
    name: "Resource",
    fields: &[
        many("attributes", 1, &KEY_VALUE),
        plain("droppedAttributesCount", 2, Kind::Uint32),
        many("entityRefs", 3, &ENTITY_REF),
    ],
};

static ENTITY_REF: Message = Message {
    name: "EntityRef",
    fields: &[
        plain("schemaUrl", 1, Kind::Text),
        plain("type", 2, Kind::Text),
        repeated("idKeys", 3, Kind::Text),
        repeated("descriptionKeys", 4, Kind::Text),
    ],
};

// Traces

static TRACES_REQUEST: Message =
    Message { name: "ExportTraceServiceRequest", fields: &[many("resourceSpans", 1, &RESOURCE_SPANS)] };

static RESOURCE_SPANS: Message = Message {
    name: "ResourceSpans",
    fields: &[one("resource", 1, &RESOURCE), many("scopeSpans", 2, &SCOPE_SPANS), plain("schemaUrl", 3, Kind::Text)],
};

static SCOPE_SPANS: Message = Message {
    name: "ScopeSpans",
    fields: &[one("scope", 1, &SCOPE), many("spans", 2, &SPAN), plain("schemaUrl", 3, Kind::Text)],
};

static SPAN: Message = Message {
    name: "Span",
    fields: &[
        plain("traceId", 1, TRACE_ID),
        plain("spanId", 2, SPAN_ID),
        plain("traceState", 3, Kind::Text),
        plain("parentSpanId", 4, SPAN_ID),
        plain("name", 5, Kind::Text),
        plain("kind", 6, Kind::Enum(&SPAN_KIND)),
        plain("startTimeUnixNano", 7, Kind::Fixed64),
        plain("endTimeUnixNano", 8, Kind::Fixed64),
        many("attributes", 9, &KEY_VALUE),
        plain("droppedAttributesCount", 10, Kind::Uint32),
        many("events", 11, &EVENT),
        plain("droppedEventsCount", 12, Kind::Uint32),
        many("links", 13, &LINK),
        plain("droppedLinksCount", 14, Kind::Uint32),
        one("status", 15, &STATUS),
        plain("flags", 16, Kind::Fixed32),
    ],
};

static EVENT: Message = Message {
    name: "Event",
    fields: &[
        plain("timeUnixNano", 1, Kind::Fixed64),
        plain("name", 2, Kind::Text),
        many("attributes", 3, &KEY_VALUE),
        plain("droppedAttributesCount", 4, Kind::Uint32),
    ],
};

static LINK: Message = Message {
    name: "Link",
    fields: &[
        plain("traceId", 1, TRACE_ID),
        plain("spanId", 2, SPAN_ID),
        plain("traceState", 3, Kind::Text),
        many("attributes", 4, &KEY_VALUE),
        plain("droppedAttributesCount", 5, Kind::Uint32),
        plain("flags", 6, Kind::Fixed32),
    ],
};

static STATUS: Message =
    Message { name: "Status", fields: &[plain("message", 2, Kind::Text), plain("code", 3, Kind::Enum(&STATUS_CODE))] };

// Logs

static LOGS_REQUEST: Message =
    Message { name: "ExportLogsServiceRequest", fields: &[many("resourceLogs", 1, &RESOURCE_LOGS)] };

static RESOURCE_LOGS: Message = Message {
    name: "ResourceLogs",
    fields: &[one("resource", 1, &RESOURCE), many("scopeLogs", 2, &SCOPE_LOGS), plain("schemaUrl", 3, Kind::Text)],
};

static SCOPE_LOGS: Message = Message {
    name: "ScopeLogs",
    fields: &[one("scope", 1, &SCOPE), many("logRecords", 2, &LOG_RECORD), plain("schemaUrl", 3, Kind::Text)],
};

static LOG_RECORD: Message = Message {
    name: "LogRecord",
    fields: &[
        plain("timeUnixNano", 1, Kind::Fixed64),
        plain("severityNumber", 2, Kind::Enum(&SEVERITY_NUMBER)),
        plain("severityText", 3, Kind::Text),
        one("body", 5, &ANY_VALUE),
        many("attributes", 6, &KEY_VALUE),
        plain("droppedAttributesCount", 7, Kind::Uint32),
        plain("flags", 8, Kind::Fixed32),
        plain("traceId", 9, TRACE_ID),
        plain("spanId", 10, SPAN_ID),
        plain("observedTimeUnixNano", 11, Kind::Fixed64),
        plain("eventName", 12, Kind::Text),
    ],
};

// Metrics

static METRICS_REQUEST: Message =
    Message { name: "ExportMetricsServiceRequest", fields: &[many("resourceMetrics", 1, &RESOURCE_METRICS)] };

static RESOURCE_METRICS: Message = Message {
    name: "ResourceMetrics",
    fields: &[
        one("resource", 1, &RESOURCE),
        many("scopeMetrics", 2, &SCOPE_METRICS),
        plain("schemaUrl", 3, Kind::Text),
    ],
};

static SCOPE_METRICS: Message = Message {
    name: "ScopeMetrics",
    fields: &[one("scope", 1, &SCOPE), many("metrics", 2, &METRIC), plain("schemaUrl", 3, Kind::Text)],
};

static METRIC: Message = Message {
    name: "Metric",
    fields: &[
        plain("name", 1, Kind::Text),
        plain("description", 2, Kind::Text),
        plain("unit", 3, Kind::Text),
        one("gauge", 5, &GAUGE),
        one("sum", 7, &SUM),
        one("histogram", 9, &HISTOGRAM),
        one("exponentialHistogram", 10, &EXPONENTIAL_HISTOGRAM),
        one("summary", 11, &SUMMARY),
        many("metadata", 12, &KEY_VALUE),
    ],
};

static GAUGE: Message = Message { name: "Gauge", fields: &[many("dataPoints", 1, &NUMBER_DATA_POINT)] };

static SUM: Message = Message {
    name: "Sum",
    fields: &[
        many("dataPoints", 1, &NUMBER_DATA_POINT),
        plain("aggregationTemporality", 2, Kind::Enum(&AGGREGATION_TEMPORALITY)),
        plain("isMonotonic", 3, Kind::Bool),
    ],
};

static HISTOGRAM: Message = Message {
    name: "Histogram",
    fields: &[
        many("dataPoints", 1, &HISTOGRAM_DATA_POINT),
        plain("aggregationTemporality", 2, Kind::Enum(&AGGREGATION_TEMPORALITY)),
    ],
};

static EXPONENTIAL_HISTOGRAM: Message = Message {
    name: "ExponentialHistogram",
    fields: &[
        many("dataPoints", 1, &EXPONENTIAL_HISTOGRAM_DATA_POINT),
        plain("aggregationTemporality", 2, Kind::Enum(&AGGREGATION_TEMPORALITY)),
    ],
};

static SUMMARY: Message = Message { name: "Summary", fields: &[many("dataPoints", 1, &SUMMARY_DATA_POINT)] };

static NUMBER_DATA_POINT: Message = Message {
    name: "NumberDataPoint",
    fields: &[
        plain("startTimeUnixNano", 2, Kind::Fixed64),
        plain("timeUnixNano", 3, Kind::Fixed64),
        present("asDouble", 4, Kind::Double),
        many("exemplars", 5, &EXEMPLAR),
        present("asInt", 6, Kind::Sfixed64),
        many("attributes", 7, &KEY_VALUE),
        plain("flags", 8, Kind::Uint32),
    ],
};

static HISTOGRAM_DATA_POINT: Message = Message {
    name: "HistogramDataPoint",
    fields: &[
        plain("startTimeUnixNano", 2, Kind::Fixed64),
        plain("timeUnixNano", 3, Kind::Fixed64),
        plain("count", 4, Kind::Fixed64),
        present("sum", 5, Kind::Double),
        repeated("bucketCounts", 6, Kind::Fixed64),
        repeated("explicitBounds", 7, Kind::Double),
        many("exemplars", 8, &EXEMPLAR),
        many("attributes", 9, &KEY_VALUE),
        plain("flags", 10, Kind::Uint32),
        present("min", 11, Kind::Double),
        present("max", 12, Kind::Double),
    ],
};

static EXPONENTIAL_HISTOGRAM_DATA_POINT: Message = Message {
    name: "ExponentialHistogramDataPoint",
    fields: &[
        many("attributes", 1, &KEY_VALUE),
        plain("startTimeUnixNano", 2, Kind::Fixed64),
        plain("timeUnixNano", 3, Kind::Fixed64),
        plain("count", 4, Kind::Fixed64),
        present("sum", 5, Kind::Double),
        plain("scale", 6, Kind::Sint32),
        plain("zeroCount", 7, Kind::Fixed64),
        one("positive", 8, &BUCKETS),
        one("negative", 9, &BUCKETS),
        plain("flags", 10, Kind::Uint32),
        many("exemplars", 11, &EXEMPLAR),
        present("min", 12, Kind::Double),
        present("max", 13, Kind::Double),
        plain("zeroThreshold", 14, Kind::Double),
    ],
};

static BUCKETS: Message =
    Message { name: "Buckets", fields: &[plain("offset", 1, Kind::Sint32), repeated("bucketCounts", 2, Kind::Uint64)] };

static SUMMARY_DATA_POINT: Message = Message {
    name: "SummaryDataPoint",
    fields: &[
        plain("startTimeUnixNano", 2, Kind::Fixed64),
        plain("timeUnixNano", 3, Kind::Fixed64),
        plain("count", 4, Kind::Fixed64),
        plain("sum", 5, Kind::Double),
        many("quantileValues", 6, &VALUE_AT_QUANTILE),
        many("attributes", 7, &KEY_VALUE),
        plain("flags", 8, Kind::Uint32),
    ],
};

static VALUE_AT_QUANTILE: Message =
    Message { name: "ValueAtQuantile", fields: &[plain("quantile", 1, Kind::Double), plain("value", 2, Kind::Double)] };

static EXEMPLAR: Message = Message {
    name: "Exemplar",
    fields: &[
        plain("timeUnixNano", 2, Kind::Fixed64),
        present("asDouble", 3, Kind::Double),
        plain("spanId", 4, SPAN_ID),
        plain("traceId", 5, TRACE_ID),
        present("asInt", 6, Kind::Sfixed64),
        many("filteredAttributes", 7, &KEY_VALUE),
    ],
};
