//! Reads requests in place: iterators and accessors named after the protocol, over validated bytes.
//!
//! A view parses the fields of its own message once, when it is made; nested messages are parsed as they are reached.
//! On bytes that were not validated a view shows what it can make out and then stops.

mod common;
mod logs;
mod message;
mod metrics;
mod points;
mod traces;

pub use common::{Array, EntityRef, KeyValue, Map, Resource, Scope, Value};
pub use logs::{LogRecord, LogsView, ResourceLogs, ScopeLogs};
pub use message::{Doubles, Each, Texts, Unsigned};
pub use metrics::{Data, Metric, MetricsView, ResourceMetrics, ScopeMetrics};
pub use points::{
    Buckets, Exemplar, ExponentialHistogramDataPoint, HistogramDataPoint, Number, NumberDataPoint, Points,
    SummaryDataPoint, ValueAtQuantile,
};
pub use traces::{Event, Link, ResourceSpans, ScopeSpans, Span, Status, TracesView};

pub(crate) use points::zigzag;
