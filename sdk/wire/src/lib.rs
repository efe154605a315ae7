//! The OTLP wire format: validates, reads as views or columns, edits by splicing, joins, splits and writes requests.
//!
//! A batch of telemetry is the bytes of an OTLP export request, and stays it from socket to socket. Everything here
//! works on those bytes; nothing does I/O, and nothing panics whatever the bytes are.
//!
//! Singular fields that occur more than once are read as protobuf says: the last scalar and the last member of a
//! `oneof` count, messages are merged. One case is simpler than that: of several `value` fields of one `KeyValue`
//! (or several bodies of one log record) the last that has a member counts, even if two hold arrays or maps.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

mod bitmap;
mod columns;
mod cursor;
mod field;
mod gather;
mod place;
mod plan;
mod projection;
mod schema;
mod splice;
mod split;
mod validate;
mod writer;
#[cfg(feature = "sample")]
pub mod sample;
pub mod go_json;
pub mod view;

pub use columns::{Columns, MAX_ENTRIES, SEPARATOR, SeparatedTexts, TableTexts};
pub use field::{
    Encoding, Field, Intrinsic, Level, Natural, Read, Selector, TableLists, TableRequest, UnknownIntrinsic, ValueKind,
};
pub use gather::{BytesColumn, DictionaryColumn, Gathered, GatheredTable, LiveRows, NumberColumn, TableOptions, Texts};
pub use plan::{EditError, EditPlan, EditValue, EditValues, Entities};
pub use projection::{MAX_COLUMNS, Projection, ProjectionError};
pub use splice::{Part, TooRepetitive, splice, splice_within};
pub use split::{Piece, concat, resources, room_for_parts, split};
pub use validate::{MAX_VALUE_NESTING, Reason, Summary, WireError, validate};
pub use writer::*;

/// The kind of telemetry in a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Signal {
    /// `ExportTraceServiceRequest`; its items are spans.
    Traces,
    /// `ExportMetricsServiceRequest`; its items are data points.
    Metrics,
    /// `ExportLogsServiceRequest`; its items are log records.
    Logs,
}

impl Signal {
    /// All three.
    pub const ALL: [Self; 3] = [Self::Traces, Self::Metrics, Self::Logs];

    /// Its name, as in configurations and metric labels.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Traces => "traces",
            Self::Metrics => "metrics",
            Self::Logs => "logs",
        }
    }

    /// What its items are called in metric names.
    pub const fn items(self) -> &'static str {
        match self {
            Self::Traces => "spans",
            Self::Metrics => "metric_points",
            Self::Logs => "log_records",
        }
    }
}
