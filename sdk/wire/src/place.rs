//! Where on the wire an intrinsic field stands.

use crate::Signal;
use crate::field::{Intrinsic, Level};
use crate::schema::{self, SPAN_ID_BYTES, TRACE_ID_BYTES};

/// How a field is encoded, and what of it a column shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scalar {
    /// String.
    Text,
    /// Bytes.
    /// The id of a trace or span: so many bytes, or none.
    Id(u8),
    /// Varint of 32 bits without sign.
    U32,
    /// Varint of 32 bits with sign, or an enumeration.
    I32,
    /// Varint, zigzag.
    Zigzag,
    /// Varint, true or false.
    Boolean,
    /// Four bytes.
    Fixed32,
    /// Eight bytes without sign.
    Fixed64,
    /// Eight bytes with sign.
    Signed64,
    /// Eight bytes, floating point.
    Double,
    /// An `AnyValue` message.
    Any,
}

/// Where a field stands in one kind of message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    /// The message whose field it is.
    pub(crate) message: u8,
    /// The field of the entity's own message in which that message stands; 0 if it is the entity's own.
    pub(crate) wrapper: u32,
    /// The field's number.
    pub(crate) number: u32,
    /// Its encoding.
    pub(crate) scalar: Scalar,
    /// Whether the protocol tells a default value from none.
    pub(crate) explicit: bool,
    /// Another member of the same `oneof`, or 0.
    pub(crate) rival: u32,
}

impl Place {
    const fn of(message: u8, number: u32, scalar: Scalar) -> Self {
        Self { message, wrapper: 0, number, scalar, explicit: false, rival: 0 }
    }

    const fn inside(self, wrapper: u32) -> Self {
        Self { wrapper, ..self }
    }

    const fn explicit(self) -> Self {
        Self { explicit: true, ..self }
    }

    const fn rival(self, rival: u32) -> Self {
        Self { rival, explicit: true, ..self }
    }
}

/// The message that is the entity's own on this level. For data points there are four, one for each kind.
pub(crate) fn entity_messages(signal: Signal, level: Level) -> &'static [u8] {
    match (level, signal) {
        (Level::Resource, Signal::Traces) => &[schema::RESOURCE_SPANS],
        (Level::Resource, Signal::Metrics) => &[schema::RESOURCE_METRICS],
        (Level::Resource, Signal::Logs) => &[schema::RESOURCE_LOGS],
        (Level::Scope, Signal::Traces) => &[schema::SCOPE_SPANS],
        (Level::Scope, Signal::Metrics) => &[schema::SCOPE_METRICS],
        (Level::Scope, Signal::Logs) => &[schema::SCOPE_LOGS],
        (Level::Metric, Signal::Metrics) => &[schema::METRIC],
        (Level::Metric, _) => &[],
        (Level::Record, Signal::Traces) => &[schema::SPAN],
        (Level::Record, Signal::Logs) => &[schema::LOG_RECORD],
        (Level::Record, Signal::Metrics) => {
            &[schema::NUMBER_POINT, schema::HISTOGRAM_POINT, schema::EXPONENTIAL_HISTOGRAM_POINT, schema::SUMMARY_POINT]
        }
    }
}

/// Where attributes stand: the wrapper (or 0) in the entity's own message, and the field's number.
pub(crate) fn attributes(entity: u8) -> (u32, u32) {
    match entity {
        schema::RESOURCE_SPANS | schema::RESOURCE_METRICS | schema::RESOURCE_LOGS => (1, 1),
        schema::SCOPE_SPANS | schema::SCOPE_METRICS | schema::SCOPE_LOGS => (1, 3),
        schema::METRIC => (0, 12),
        schema::SPAN | schema::HISTOGRAM_POINT => (0, 9),
        schema::LOG_RECORD => (0, 6),
        schema::EXPONENTIAL_HISTOGRAM_POINT => (0, 1),
        _ => (0, 7),
    }
}

/// Where an intrinsic field stands in an entity's own message; several places for the kinds of a metric's data, none
/// if there is no such field. `type` stands nowhere: it is the kind of the data.
pub(crate) fn places(entity: u8, intrinsic: Intrinsic) -> impl Iterator<Item = Place> {
    let (first, second, third) = find(entity, intrinsic);
    [first, second, third].into_iter().flatten()
}

type Found = (Option<Place>, Option<Place>, Option<Place>);

fn find(entity: u8, intrinsic: Intrinsic) -> Found {
    let one = match entity {
        schema::RESOURCE_SPANS | schema::RESOURCE_METRICS | schema::RESOURCE_LOGS => in_resource(entity, intrinsic),
        schema::SCOPE_SPANS | schema::SCOPE_METRICS | schema::SCOPE_LOGS => in_scope(entity, intrinsic),
        schema::METRIC => return in_metric(intrinsic),
        schema::SPAN => in_span(intrinsic),
        schema::LOG_RECORD => in_log_record(intrinsic),
        _ => in_point(entity, intrinsic),
    };
    (one, None, None)
}

fn in_resource(entity: u8, intrinsic: Intrinsic) -> Option<Place> {
    match intrinsic {
        Intrinsic::SchemaUrl => Some(Place::of(entity, 3, Scalar::Text)),
        Intrinsic::DroppedAttributesCount => Some(Place::of(schema::RESOURCE, 2, Scalar::U32).inside(1)),
        _ => None,
    }
}

fn in_scope(entity: u8, intrinsic: Intrinsic) -> Option<Place> {
    match intrinsic {
        Intrinsic::SchemaUrl => Some(Place::of(entity, 3, Scalar::Text)),
        Intrinsic::Name => Some(Place::of(schema::SCOPE, 1, Scalar::Text).inside(1)),
        Intrinsic::Version => Some(Place::of(schema::SCOPE, 2, Scalar::Text).inside(1)),
        Intrinsic::DroppedAttributesCount => Some(Place::of(schema::SCOPE, 4, Scalar::U32).inside(1)),
        _ => None,
    }
}

fn in_metric(intrinsic: Intrinsic) -> Found {
    let temporality = |message, wrapper| Some(Place::of(message, 2, Scalar::I32).inside(wrapper));
    match intrinsic {
        Intrinsic::Name => (Some(Place::of(schema::METRIC, 1, Scalar::Text)), None, None),
        Intrinsic::Description => (Some(Place::of(schema::METRIC, 2, Scalar::Text)), None, None),
        Intrinsic::Unit => (Some(Place::of(schema::METRIC, 3, Scalar::Text)), None, None),
        Intrinsic::AggregationTemporality => (
            temporality(schema::SUM, 7),
            temporality(schema::HISTOGRAM, 9),
            temporality(schema::EXPONENTIAL_HISTOGRAM, 10),
        ),
        Intrinsic::IsMonotonic => (Some(Place::of(schema::SUM, 3, Scalar::Boolean).inside(7)), None, None),
        _ => (None, None, None),
    }
}

fn in_span(intrinsic: Intrinsic) -> Option<Place> {
    let place = |number, scalar| Some(Place::of(schema::SPAN, number, scalar));
    match intrinsic {
        Intrinsic::TraceId => place(1, Scalar::Id(TRACE_ID_BYTES)),
        Intrinsic::SpanId => place(2, Scalar::Id(SPAN_ID_BYTES)),
        Intrinsic::TraceState => place(3, Scalar::Text),
        Intrinsic::ParentSpanId => place(4, Scalar::Id(SPAN_ID_BYTES)),
        Intrinsic::Name => place(5, Scalar::Text),
        Intrinsic::Kind => place(6, Scalar::I32),
        Intrinsic::StartTimeUnixNano => place(7, Scalar::Fixed64),
        Intrinsic::EndTimeUnixNano => place(8, Scalar::Fixed64),
        Intrinsic::DroppedAttributesCount => place(10, Scalar::U32),
        Intrinsic::DroppedEventsCount => place(12, Scalar::U32),
        Intrinsic::DroppedLinksCount => place(14, Scalar::U32),
        Intrinsic::Flags => place(16, Scalar::Fixed32),
        Intrinsic::StatusMessage => Some(Place::of(schema::STATUS, 2, Scalar::Text).inside(15)),
        Intrinsic::StatusCode => Some(Place::of(schema::STATUS, 3, Scalar::I32).inside(15)),
        _ => None,
    }
}

fn in_log_record(intrinsic: Intrinsic) -> Option<Place> {
    let place = |number, scalar| Some(Place::of(schema::LOG_RECORD, number, scalar));
    match intrinsic {
        Intrinsic::TimeUnixNano => place(1, Scalar::Fixed64),
        Intrinsic::SeverityNumber => place(2, Scalar::I32),
        Intrinsic::SeverityText => place(3, Scalar::Text),
        Intrinsic::Body => Some(Place::of(schema::LOG_RECORD, 5, Scalar::Any).explicit()),
        Intrinsic::DroppedAttributesCount => place(7, Scalar::U32),
        Intrinsic::Flags => place(8, Scalar::Fixed32),
        Intrinsic::TraceId => place(9, Scalar::Id(TRACE_ID_BYTES)),
        Intrinsic::SpanId => place(10, Scalar::Id(SPAN_ID_BYTES)),
        Intrinsic::ObservedTimeUnixNano => place(11, Scalar::Fixed64),
        Intrinsic::EventName => place(12, Scalar::Text),
        _ => None,
    }
}

fn in_point(entity: u8, intrinsic: Intrinsic) -> Option<Place> {
    let place = |number, scalar| Some(Place::of(entity, number, scalar));
    let number = entity == schema::NUMBER_POINT;
    let summary = entity == schema::SUMMARY_POINT;
    let exponential = entity == schema::EXPONENTIAL_HISTOGRAM_POINT;
    match intrinsic {
        Intrinsic::StartTimeUnixNano => place(2, Scalar::Fixed64),
        Intrinsic::TimeUnixNano => place(3, Scalar::Fixed64),
        Intrinsic::Flags if number || summary => place(8, Scalar::U32),
        Intrinsic::Flags => place(10, Scalar::U32),
        Intrinsic::ValueDouble if number => Some(Place::of(entity, 4, Scalar::Double).rival(6)),
        Intrinsic::ValueInt if number => Some(Place::of(entity, 6, Scalar::Signed64).rival(4)),
        Intrinsic::Count if !number => place(4, Scalar::Fixed64),
        Intrinsic::Sum if summary => place(5, Scalar::Double),
        Intrinsic::Sum if !number => Some(Place::of(entity, 5, Scalar::Double).explicit()),
        Intrinsic::Scale if exponential => place(6, Scalar::Zigzag),
        Intrinsic::ZeroCount if exponential => place(7, Scalar::Fixed64),
        Intrinsic::ZeroThreshold if exponential => place(14, Scalar::Double),
        Intrinsic::Min if exponential => Some(Place::of(entity, 12, Scalar::Double).explicit()),
        Intrinsic::Max if exponential => Some(Place::of(entity, 13, Scalar::Double).explicit()),
        Intrinsic::Min if !number && !summary => Some(Place::of(entity, 11, Scalar::Double).explicit()),
        Intrinsic::Max if !number && !summary => Some(Place::of(entity, 12, Scalar::Double).explicit()),
        _ => None,
    }
}
