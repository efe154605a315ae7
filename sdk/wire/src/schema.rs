//! What OTLP defines: for each message, how the content of each field has to be checked.

use crate::Signal;

/// How to check a field. Numbers from `MESSAGE` on are messages: the index into `TABLES` plus `MESSAGE`.
pub(crate) mod action {
    /// A varint.
    pub(crate) const VARINT: u8 = 0;
    /// Eight bytes.
    pub(crate) const FIXED64: u8 = 1;
    /// Any bytes with a length.
    pub(crate) const BYTES: u8 = 2;
    /// Four bytes.
    pub(crate) const FIXED32: u8 = 3;
    /// UTF-8 with a length.
    pub(crate) const TEXT: u8 = 4;
    /// Numbers of eight bytes each, with a length.
    pub(crate) const PACKED64: u8 = 5;
    /// Varints, with a length.
    pub(crate) const PACKED_VARINTS: u8 = 6;
    /// A known field with a wire type that it can't have.
    pub(crate) const MISTYPED: u8 = 7;
    /// A group, which OTLP has nowhere.
    pub(crate) const GROUP: u8 = 8;
    /// A wire type that doesn't exist.
    pub(crate) const NO_TYPE: u8 = 9;
    /// Field number 0.
    pub(crate) const NO_FIELD: u8 = 10;
    /// The index of a text, a varint: it stands for the whole value, for readers that know it.
    pub(crate) const INDEX: u8 = 11;
    /// The id of a trace, with a length.
    pub(crate) const TRACE_ID: u8 = 12;
    /// The id of a span, with a length.
    pub(crate) const SPAN_ID: u8 = 13;
    /// A field that OTLP once had, and that some readers still read.
    pub(crate) const REMOVED: u8 = 14;
    /// The first message.
    pub(crate) const MESSAGE: u8 = 16;
}

/// How long the id of a trace is, if there is one.
pub(crate) const TRACE_ID_BYTES: u8 = 16;
/// How long the id of a span is, if there is one.
pub(crate) const SPAN_ID_BYTES: u8 = 8;

/// For each possible key of one byte the action.
pub(crate) type Table = [u8; 128];

/// What a field holds.
#[derive(Clone, Copy)]
enum Holds {
    Varint,
    Index,
    Fixed64,
    Fixed32,
    Text,
    Bytes,
    TraceId,
    SpanId,
    Fixed64s,
    Varints,
    Removed,
    Message(u8),
}

use Holds::{Bytes, Fixed32, Fixed64, Fixed64s, Index, Message, Removed, SpanId, Text, TraceId, Varint, Varints};

pub(crate) const TRACES: u8 = 0;
pub(crate) const METRICS: u8 = 1;
pub(crate) const LOGS: u8 = 2;
pub(crate) const RESOURCE_SPANS: u8 = 3;
pub(crate) const RESOURCE_METRICS: u8 = 4;
pub(crate) const RESOURCE_LOGS: u8 = 5;
pub(crate) const SCOPE_SPANS: u8 = 6;
pub(crate) const SCOPE_METRICS: u8 = 7;
pub(crate) const SCOPE_LOGS: u8 = 8;
pub(crate) const RESOURCE: u8 = 9;
pub(crate) const SCOPE: u8 = 10;
pub(crate) const ENTITY_REF: u8 = 11;
pub(crate) const KEY_VALUE: u8 = 12;
pub(crate) const ANY_VALUE: u8 = 13;
pub(crate) const ARRAY: u8 = 14;
pub(crate) const MAP: u8 = 15;
pub(crate) const SPAN: u8 = 16;
pub(crate) const EVENT: u8 = 17;
pub(crate) const LINK: u8 = 18;
pub(crate) const STATUS: u8 = 19;
pub(crate) const LOG_RECORD: u8 = 20;
pub(crate) const METRIC: u8 = 21;
pub(crate) const GAUGE: u8 = 22;
pub(crate) const SUM: u8 = 23;
pub(crate) const HISTOGRAM: u8 = 24;
pub(crate) const EXPONENTIAL_HISTOGRAM: u8 = 25;
pub(crate) const SUMMARY: u8 = 26;
pub(crate) const NUMBER_POINT: u8 = 27;
pub(crate) const HISTOGRAM_POINT: u8 = 28;
pub(crate) const EXPONENTIAL_HISTOGRAM_POINT: u8 = 29;
pub(crate) const SUMMARY_POINT: u8 = 30;
pub(crate) const EXEMPLAR: u8 = 31;
pub(crate) const BUCKETS: u8 = 32;
pub(crate) const QUANTILE: u8 = 33;
/// How many messages there are.
pub(crate) const MESSAGES: usize = 34;

/// The message of a whole request.
pub(crate) fn request(signal: Signal) -> u8 {
    match signal {
        Signal::Traces => TRACES,
        Signal::Metrics => METRICS,
        Signal::Logs => LOGS,
    }
}

/// What stood for scopes until 2022. The Collector reads it as such where a resource has none, so that it would show to the
/// destination what no stage has seen.
const LIBRARIES: (u32, Holds) = (1000, Removed);

const fn fields(message: u8) -> &'static [(u32, Holds)] {
    match message {
        TRACES => &[(1, Message(RESOURCE_SPANS))],
        METRICS => &[(1, Message(RESOURCE_METRICS))],
        LOGS => &[(1, Message(RESOURCE_LOGS))],
        RESOURCE_SPANS => &[(1, Message(RESOURCE)), (2, Message(SCOPE_SPANS)), (3, Text), LIBRARIES],
        RESOURCE_METRICS => &[(1, Message(RESOURCE)), (2, Message(SCOPE_METRICS)), (3, Text), LIBRARIES],
        RESOURCE_LOGS => &[(1, Message(RESOURCE)), (2, Message(SCOPE_LOGS)), (3, Text), LIBRARIES],
        SCOPE_SPANS => &[(1, Message(SCOPE)), (2, Message(SPAN)), (3, Text)],
        SCOPE_METRICS => &[(1, Message(SCOPE)), (2, Message(METRIC)), (3, Text)],
        SCOPE_LOGS => &[(1, Message(SCOPE)), (2, Message(LOG_RECORD)), (3, Text)],
        RESOURCE => &[(1, Message(KEY_VALUE)), (2, Varint), (3, Message(ENTITY_REF))],
        SCOPE => &[(1, Text), (2, Text), (3, Message(KEY_VALUE)), (4, Varint)],
        ENTITY_REF => &[(1, Text), (2, Text), (3, Text), (4, Text)],
        KEY_VALUE => &[(1, Text), (2, Message(ANY_VALUE)), (3, Varint)],
        ANY_VALUE => ANY_VALUE_FIELDS,
        ARRAY => &[(1, Message(ANY_VALUE))],
        MAP => &[(1, Message(KEY_VALUE))],
        SPAN => SPAN_FIELDS,
        EVENT => &[(1, Fixed64), (2, Text), (3, Message(KEY_VALUE)), (4, Varint)],
        LINK => &[(1, TraceId), (2, SpanId), (3, Text), (4, Message(KEY_VALUE)), (5, Varint), (6, Fixed32)],
        STATUS => &[(2, Text), (3, Varint)],
        LOG_RECORD => LOG_RECORD_FIELDS,
        METRIC => METRIC_FIELDS,
        GAUGE => &[(1, Message(NUMBER_POINT))],
        SUM => &[(1, Message(NUMBER_POINT)), (2, Varint), (3, Varint)],
        HISTOGRAM => &[(1, Message(HISTOGRAM_POINT)), (2, Varint)],
        EXPONENTIAL_HISTOGRAM => &[(1, Message(EXPONENTIAL_HISTOGRAM_POINT)), (2, Varint)],
        SUMMARY => &[(1, Message(SUMMARY_POINT))],
        NUMBER_POINT => NUMBER_POINT_FIELDS,
        HISTOGRAM_POINT => HISTOGRAM_POINT_FIELDS,
        EXPONENTIAL_HISTOGRAM_POINT => EXPONENTIAL_HISTOGRAM_POINT_FIELDS,
        SUMMARY_POINT => SUMMARY_POINT_FIELDS,
        EXEMPLAR => &[(2, Fixed64), (3, Fixed64), (4, SpanId), (5, TraceId), (6, Fixed64), (7, Message(KEY_VALUE))],
        BUCKETS => &[(1, Varint), (2, Varints)],
        QUANTILE => &[(1, Fixed64), (2, Fixed64)],
        _ => &[],
    }
}

const ANY_VALUE_FIELDS: &[(u32, Holds)] = &[
    (1, Text),
    (2, Varint),
    (3, Varint),
    (4, Fixed64),
    (5, Message(ARRAY)),
    (6, Message(MAP)),
    (7, Bytes),
    (8, Index),
];

const SPAN_FIELDS: &[(u32, Holds)] = &[
    (1, TraceId),
    (2, SpanId),
    (3, Text),
    (4, SpanId),
    (5, Text),
    (6, Varint),
    (7, Fixed64),
    (8, Fixed64),
    (9, Message(KEY_VALUE)),
    (10, Varint),
    (11, Message(EVENT)),
    (12, Varint),
    (13, Message(LINK)),
    (14, Varint),
    (15, Message(STATUS)),
    (16, Fixed32),
];

const LOG_RECORD_FIELDS: &[(u32, Holds)] = &[
    (1, Fixed64),
    (2, Varint),
    (3, Text),
    (5, Message(ANY_VALUE)),
    (6, Message(KEY_VALUE)),
    (7, Varint),
    (8, Fixed32),
    (9, TraceId),
    (10, SpanId),
    (11, Fixed64),
    (12, Text),
];

const METRIC_FIELDS: &[(u32, Holds)] = &[
    (1, Text),
    (2, Text),
    (3, Text),
    (5, Message(GAUGE)),
    (7, Message(SUM)),
    (9, Message(HISTOGRAM)),
    (10, Message(EXPONENTIAL_HISTOGRAM)),
    (11, Message(SUMMARY)),
    (12, Message(KEY_VALUE)),
];

const NUMBER_POINT_FIELDS: &[(u32, Holds)] = &[
    (2, Fixed64),
    (3, Fixed64),
    (4, Fixed64),
    (5, Message(EXEMPLAR)),
    (6, Fixed64),
    (7, Message(KEY_VALUE)),
    (8, Varint),
];

const HISTOGRAM_POINT_FIELDS: &[(u32, Holds)] = &[
    (2, Fixed64),
    (3, Fixed64),
    (4, Fixed64),
    (5, Fixed64),
    (6, Fixed64s),
    (7, Fixed64s),
    (8, Message(EXEMPLAR)),
    (9, Message(KEY_VALUE)),
    (10, Varint),
    (11, Fixed64),
    (12, Fixed64),
];

const EXPONENTIAL_HISTOGRAM_POINT_FIELDS: &[(u32, Holds)] = &[
    (1, Message(KEY_VALUE)),
    (2, Fixed64),
    (3, Fixed64),
    (4, Fixed64),
    (5, Fixed64),
    (6, Varint),
    (7, Fixed64),
    (8, Message(BUCKETS)),
    (9, Message(BUCKETS)),
    (10, Varint),
    (11, Message(EXEMPLAR)),
    (12, Fixed64),
    (13, Fixed64),
    (14, Fixed64),
];

const SUMMARY_POINT_FIELDS: &[(u32, Holds)] = &[
    (2, Fixed64),
    (3, Fixed64),
    (4, Fixed64),
    (5, Fixed64),
    (6, Message(QUANTILE)),
    (7, Message(KEY_VALUE)),
    (8, Varint),
];

/// The action for a key that no field of the schema explains.
const fn unknown(key: u32) -> u8 {
    if key < 8 {
        return action::NO_FIELD;
    }
    match key & 7 {
        0 => action::VARINT,
        1 => action::FIXED64,
        2 => action::BYTES,
        5 => action::FIXED32,
        3 | 4 => action::GROUP,
        _ => action::NO_TYPE,
    }
}

/// The action for a key of a field that the schema knows.
const fn known(holds: Holds, key: u32) -> u8 {
    match (holds, key & 7) {
        (Varint | Varints, 0) => action::VARINT,
        (Index, 0) => action::INDEX,
        (Fixed64 | Fixed64s, 1) => action::FIXED64,
        (Fixed32, 5) => action::FIXED32,
        (Text, 2) => action::TEXT,
        (Bytes, 2) => action::BYTES,
        (TraceId, 2) => action::TRACE_ID,
        (SpanId, 2) => action::SPAN_ID,
        (Fixed64s, 2) => action::PACKED64,
        (Varints, 2) => action::PACKED_VARINTS,
        (Message(message), 2) => action::MESSAGE + message,
        (_, 3 | 4 | 6 | 7) => unknown(key),
        (Removed, _) => action::REMOVED,
        _ => action::MISTYPED,
    }
}

/// The action for any key in a message.
pub(crate) const fn action_for(message: u8, key: u32) -> u8 {
    let fields = fields(message);
    let mut index = 0;
    while index < fields.len() {
        if fields[index].0 == key >> 3 {
            return known(fields[index].1, key);
        }
        index += 1;
    }
    unknown(key)
}

/// Actions for keys of one byte, for each message.
pub(crate) static TABLES: [Table; MESSAGES] = tables();

const fn tables() -> [Table; MESSAGES] {
    let mut tables = [[0; 128]; MESSAGES];
    let mut message = 0;
    while message < MESSAGES {
        let mut key = 0;
        while key < 128 {
            tables[message][key] = action_for(message as u8, key as u32);
            key += 1;
        }
        message += 1;
    }
    tables
}
