//! Names of fields: on which level they stand, whether the protocol or an attribute defines them, how they are read.

use alloc::string::String;
use core::fmt;
use core::str::FromStr;

use crate::Signal;

/// What a field belongs to. Entities of one level are numbered from 0 in document order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Level {
    /// A resource.
    Resource,
    /// An instrumentation scope.
    Scope,
    /// A metric; only in batches of the signal metrics. Its attributes are its metadata.
    Metric,
    /// A row: span, log record or data point.
    Record,
}

/// One field of an entity.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Selector {
    /// A field of the protocol.
    Intrinsic(Intrinsic),
    /// The attribute with this key. Of several with one key the first counts.
    Attribute(String),
}

/// A field and the level it stands on.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Field {
    /// The level.
    pub level: Level,
    /// The field of an entity of that level.
    pub selector: Selector,
}

impl Field {
    /// Names an attribute.
    pub fn attribute(level: Level, key: impl Into<String>) -> Self {
        Self { level, selector: Selector::Attribute(key.into()) }
    }

    /// Names a field of the protocol.
    pub fn intrinsic(level: Level, intrinsic: Intrinsic) -> Self {
        Self { level, selector: Selector::Intrinsic(intrinsic) }
    }
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let level = match self.level {
            Level::Resource => "resource",
            Level::Scope => "scope",
            Level::Metric => "metric",
            Level::Record => "record",
        };
        match &self.selector {
            Selector::Intrinsic(intrinsic) => write!(f, "{level}.{}", intrinsic.path()),
            Selector::Attribute(key) => write!(f, "{level}.attributes[{key:?}]"),
        }
    }
}

/// How a column is laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Encoding {
    /// Codes and distinct texts. Values that are not text count as absent.
    Dictionary,
    /// Texts. Values that are not text count as absent.
    Text,
    /// Signed integers; also enumerations.
    S64,
    /// Unsigned integers. Negative integers of attributes count as absent.
    U64,
    /// Floating point numbers.
    F64,
    /// Booleans.
    Boolean,
    /// Bytes: ids and byte values; arrays and maps as the content of the encoded `AnyValue`.
    Bytes,
    /// Which kind of value stands there.
    Kind,
}

/// A field to extract.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Read {
    /// The field.
    pub field: Field,
    /// The layout of the column.
    pub encoding: Encoding,
}

/// Which attributes the table of all attributes shall hold.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct TableRequest {
    /// Attributes of resources.
    pub resources: bool,
    /// Attributes of instrumentation scopes.
    pub scopes: bool,
    /// Metadata of metrics.
    pub metrics: bool,
    /// Attributes of spans, log records and data points.
    pub records: bool,
    /// Attributes of span events.
    pub events: bool,
    /// Attributes of span links.
    pub links: bool,
    /// Filtered attributes of exemplars.
    pub exemplars: bool,
    /// Bodies of log records: one entry each, with an empty key.
    pub bodies: bool,
    /// Also the members of maps and the elements of arrays in attributes, each as an entry of its own.
    pub nested: bool,
    /// The same in bodies of log records.
    pub body_parts: bool,
    /// When anybody wants lists of what the entries are. Without lists texts are searched and what is found is edited:
    /// keys are not told apart, and without nested values only texts are entries.
    pub lists: TableLists,
}

/// In which requests the lists of the table are wanted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TableLists {
    /// In all.
    #[default]
    Always,
    /// In those in which some body of a log record is neither text nor empty, if the table has bodies.
    StructuredBodies,
    /// In none.
    Never,
}

impl TableRequest {
    /// Asks for everything.
    pub const ALL: Self = Self {
        resources: true,
        scopes: true,
        metrics: true,
        records: true,
        events: true,
        links: true,
        exemplars: true,
        bodies: true,
        nested: true,
        body_parts: true,
        lists: TableLists::Always,
    };

    /// Whether texts alone will do, as long as no body turns out to be structured.
    pub(crate) fn is_of_texts(&self) -> bool {
        match self.lists {
            TableLists::Always => false,
            TableLists::StructuredBodies => !self.nested,
            // What is found in a part of a body has to know what that is a part of.
            TableLists::Never => !(self.nested || self.bodies && self.body_parts),
        }
    }
}

/// What kind of value stands in a field; the numbers are those of the plugin contract.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum ValueKind {
    /// There is no such field.
    #[default]
    Absent = 0,
    /// A string.
    Text = 1,
    /// A boolean.
    Boolean = 2,
    /// An integer.
    Integer = 3,
    /// A floating point number.
    Double = 4,
    /// An array.
    Array = 5,
    /// A map.
    Map = 6,
    /// Bytes.
    Bytes = 7,
    /// A value without content.
    Empty = 8,
}

impl ValueKind {
    /// The kind with this number in the plugin contract.
    pub fn from_code(code: u8) -> Option<Self> {
        Some(match code {
            0 => Self::Absent,
            1 => Self::Text,
            2 => Self::Boolean,
            3 => Self::Integer,
            4 => Self::Double,
            5 => Self::Array,
            6 => Self::Map,
            7 => Self::Bytes,
            8 => Self::Empty,
            _ => return None,
        })
    }
}

/// What an intrinsic field holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Natural {
    /// Text: read as dictionary, text or kind.
    Text,
    /// Bytes: read as bytes or kind.
    Bytes,
    /// A number without sign: read as u64, s64 or kind.
    U64,
    /// A number with a sign or an enumeration: read as s64 or kind.
    S64,
    /// A floating point number: read as f64 or kind.
    F64,
    /// A boolean: read as boolean or kind.
    Boolean,
    /// Any value, as attributes have them.
    Any,
}

impl Natural {
    /// Whether a field of this nature can be read in an encoding.
    pub fn reads_as(self, encoding: Encoding) -> bool {
        match encoding {
            Encoding::Kind => true,
            Encoding::Dictionary | Encoding::Text => matches!(self, Self::Text | Self::Any),
            Encoding::S64 => matches!(self, Self::S64 | Self::U64 | Self::Any),
            Encoding::U64 => matches!(self, Self::U64 | Self::Any),
            Encoding::F64 => matches!(self, Self::F64 | Self::Any),
            Encoding::Boolean => matches!(self, Self::Boolean | Self::Any),
            Encoding::Bytes => matches!(self, Self::Bytes | Self::Any),
        }
    }
}

/// No intrinsic field has this path.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown field {0:?}")]
pub struct UnknownIntrinsic(pub String);

macro_rules! intrinsics {
    ($($name:ident = $path:literal),* $(,)?) => {
        /// A field of the protocol. A field that holds its default (zero, empty) counts as absent, since the protocol
        /// doesn't tell the two apart; `sum`, `min`, `max`, the value of a data point and the body are present or not.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Intrinsic {
            $(#[doc = concat!("`", $path, "`")] $name,)*
        }

        impl Intrinsic {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$name),*];

            /// The OTTL path.
            pub fn path(self) -> &'static str {
                match self { $(Self::$name => $path,)* }
            }
        }
    };
}

intrinsics! {
    Name = "name",
    TraceId = "trace_id",
    SpanId = "span_id",
    ParentSpanId = "parent_span_id",
    TraceState = "trace_state",
    Kind = "kind",
    StartTimeUnixNano = "start_time_unix_nano",
    EndTimeUnixNano = "end_time_unix_nano",
    TimeUnixNano = "time_unix_nano",
    ObservedTimeUnixNano = "observed_time_unix_nano",
    Flags = "flags",
    StatusCode = "status.code",
    StatusMessage = "status.message",
    DroppedAttributesCount = "dropped_attributes_count",
    DroppedEventsCount = "dropped_events_count",
    DroppedLinksCount = "dropped_links_count",
    SeverityNumber = "severity_number",
    SeverityText = "severity_text",
    Body = "body",
    EventName = "event_name",
    Description = "description",
    Unit = "unit",
    Type = "type",
    AggregationTemporality = "aggregation_temporality",
    IsMonotonic = "is_monotonic",
    ValueInt = "value_int",
    ValueDouble = "value_double",
    Count = "count",
    Sum = "sum",
    Min = "min",
    Max = "max",
    Scale = "scale",
    ZeroCount = "zero_count",
    ZeroThreshold = "zero_threshold",
    Version = "version",
    SchemaUrl = "schema_url",
}

impl Intrinsic {
    /// What the field holds on this level of this signal; none if there is no such field.
    pub fn available(self, signal: Signal, level: Level) -> Option<Natural> {
        match level {
            Level::Resource => self.of_resource(),
            Level::Scope => self.of_scope(),
            Level::Metric if signal == Signal::Metrics => self.of_metric(),
            Level::Metric => None,
            Level::Record => match signal {
                Signal::Traces => self.of_span(),
                Signal::Logs => self.of_log_record(),
                Signal::Metrics => self.of_data_point(),
            },
        }
    }

    /// Whether an edit can write the field. The type of a metric follows from its data.
    pub fn writable(self) -> bool {
        self != Self::Type
    }

    fn of_resource(self) -> Option<Natural> {
        match self {
            Self::SchemaUrl => Some(Natural::Text),
            Self::DroppedAttributesCount => Some(Natural::U64),
            _ => None,
        }
    }

    fn of_scope(self) -> Option<Natural> {
        match self {
            Self::Name | Self::Version | Self::SchemaUrl => Some(Natural::Text),
            Self::DroppedAttributesCount => Some(Natural::U64),
            _ => None,
        }
    }

    fn of_metric(self) -> Option<Natural> {
        match self {
            Self::Name | Self::Description | Self::Unit => Some(Natural::Text),
            Self::Type | Self::AggregationTemporality => Some(Natural::S64),
            Self::IsMonotonic => Some(Natural::Boolean),
            _ => None,
        }
    }

    fn of_span(self) -> Option<Natural> {
        Some(match self {
            Self::Name | Self::TraceState | Self::StatusMessage => Natural::Text,
            Self::TraceId | Self::SpanId | Self::ParentSpanId => Natural::Bytes,
            Self::Kind | Self::StatusCode => Natural::S64,
            Self::StartTimeUnixNano | Self::EndTimeUnixNano | Self::Flags => Natural::U64,
            Self::DroppedAttributesCount | Self::DroppedEventsCount | Self::DroppedLinksCount => Natural::U64,
            _ => return None,
        })
    }

    fn of_log_record(self) -> Option<Natural> {
        Some(match self {
            Self::SeverityText | Self::EventName => Natural::Text,
            Self::TraceId | Self::SpanId => Natural::Bytes,
            Self::SeverityNumber => Natural::S64,
            Self::TimeUnixNano | Self::ObservedTimeUnixNano => Natural::U64,
            Self::Flags | Self::DroppedAttributesCount => Natural::U64,
            Self::Body => Natural::Any,
            _ => return None,
        })
    }

    fn of_data_point(self) -> Option<Natural> {
        Some(match self {
            Self::StartTimeUnixNano | Self::TimeUnixNano | Self::Flags => Natural::U64,
            Self::Count | Self::ZeroCount => Natural::U64,
            Self::ValueInt | Self::Scale => Natural::S64,
            Self::ValueDouble | Self::Sum | Self::Min | Self::Max | Self::ZeroThreshold => Natural::F64,
            _ => return None,
        })
    }
}

impl FromStr for Intrinsic {
    type Err = UnknownIntrinsic;

    fn from_str(path: &str) -> Result<Self, Self::Err> {
        let found = Self::ALL.iter().find(|intrinsic| intrinsic.path() == path);
        found.copied().ok_or_else(|| UnknownIntrinsic(path.into()))
    }
}

#[cfg(test)]
mod tests {
    use alloc::string::ToString;

    use super::*;

    #[test]
    fn every_intrinsic_is_found_by_its_path_and_stands_somewhere() {
        for &intrinsic in Intrinsic::ALL {
            assert_eq!(intrinsic.path().parse(), Ok(intrinsic));
            let levels = [Level::Resource, Level::Scope, Level::Metric, Level::Record];
            let signals = [Signal::Traces, Signal::Metrics, Signal::Logs];
            let available = signals.iter().any(|&s| levels.iter().any(|&l| intrinsic.available(s, l).is_some()));
            assert!(available, "{}", intrinsic.path());
        }
        assert_eq!("spanid".parse::<Intrinsic>(), Err(UnknownIntrinsic("spanid".to_string())));
    }

    #[test]
    fn kinds_keep_their_numbers() {
        for code in 0..=8 {
            assert_eq!(ValueKind::from_code(code).map(|kind| kind as u8), Some(code));
        }
        assert_eq!(ValueKind::from_code(9), None);
    }

    #[test]
    fn fields_print_as_paths() {
        assert_eq!(Field::attribute(Level::Resource, "tenant").to_string(), "resource.attributes[\"tenant\"]");
        assert_eq!(Field::intrinsic(Level::Record, Intrinsic::StatusCode).to_string(), "record.status.code");
    }
}
