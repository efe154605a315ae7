//! The fields that paths mean: where they stand, how they are laid out, and how their value is read.

use sluice_sdk::{Field, Level, Selector};

use crate::context::{Context, NO_EVENTS, Naming};
use crate::ottl::{Key, Mistake, Path, Segment};
use crate::suggest::did_you_mean;

/// A path that is understood: a field and how to read it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Resolved {
    pub(crate) field: Field,
    pub(crate) shape: Shape,
    /// The types of metrics, as bits, whose data points have the field; elsewhere it is nil.
    pub(crate) types: u8,
    pub(crate) reading: Reading,
}

/// How a field is laid out, and with that what stands there if the message does not have it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shape {
    /// An attribute: any kind of value, or none.
    Attribute,
    /// The body of a log record: like an attribute, but rarely the same text twice.
    Body,
    /// Text; empty if the message does not have it.
    Text,
    /// A signed integer, else 0.
    Signed,
    /// An unsigned integer, else 0.
    Unsigned,
    /// A double, else 0.
    Double,
    /// A boolean, else false.
    Boolean,
    /// An id of so many bytes, else zeros.
    Id(usize),
}

/// How a value becomes what the path means.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Reading {
    /// As it is.
    Plain,
    /// Nanoseconds as a point in time.
    Time,
    /// An id in hexadecimal.
    Hexadecimal,
    /// A span's kind as `Server`.
    Kind,
    /// A span's kind as `SPAN_KIND_SERVER`.
    OldKind,
    /// Any value as text.
    Display,
    /// What stands under these keys.
    Member(Vec<Key>),
    /// The member of a W3C tracestate.
    TraceState(String),
}

/// All types of metrics.
pub(crate) const ANY_TYPE: u8 = 0xff;
const GAUGE_OR_SUM: u8 = 1 << 1 | 1 << 2;
const SUM: u8 = 1 << 2;
const HISTOGRAMS: u8 = 1 << 3 | 1 << 4;
const EXPONENTIAL: u8 = 1 << 4;
const SUMMARY: u8 = 1 << 5;

type Row = (&'static str, Shape, Reading, u8, &'static str);

/// Paths of a context: the path, shape, reading, types of metrics, and the field if it is named otherwise.
const SCOPE: &[Row] = &[
    ("name", Shape::Text, Reading::Plain, ANY_TYPE, "name"),
    ("version", Shape::Text, Reading::Plain, ANY_TYPE, "version"),
    ("schema_url", Shape::Text, Reading::Plain, ANY_TYPE, "schema_url"),
    ("dropped_attributes_count", Shape::Unsigned, Reading::Plain, ANY_TYPE, "dropped_attributes_count"),
];

const RESOURCE: &[Row] = &[
    ("schema_url", Shape::Text, Reading::Plain, ANY_TYPE, "schema_url"),
    ("dropped_attributes_count", Shape::Unsigned, Reading::Plain, ANY_TYPE, "dropped_attributes_count"),
];

const SPAN: &[Row] = &[
    ("name", Shape::Text, Reading::Plain, ANY_TYPE, "name"),
    ("kind", Shape::Signed, Reading::Plain, ANY_TYPE, "kind"),
    ("kind.string", Shape::Signed, Reading::Kind, ANY_TYPE, "kind"),
    ("kind.deprecated_string", Shape::Signed, Reading::OldKind, ANY_TYPE, "kind"),
    ("status.code", Shape::Signed, Reading::Plain, ANY_TYPE, "status.code"),
    ("status.message", Shape::Text, Reading::Plain, ANY_TYPE, "status.message"),
    ("trace_id", Shape::Id(16), Reading::Plain, ANY_TYPE, "trace_id"),
    ("trace_id.string", Shape::Id(16), Reading::Hexadecimal, ANY_TYPE, "trace_id"),
    ("span_id", Shape::Id(8), Reading::Plain, ANY_TYPE, "span_id"),
    ("span_id.string", Shape::Id(8), Reading::Hexadecimal, ANY_TYPE, "span_id"),
    ("parent_span_id", Shape::Id(8), Reading::Plain, ANY_TYPE, "parent_span_id"),
    ("parent_span_id.string", Shape::Id(8), Reading::Hexadecimal, ANY_TYPE, "parent_span_id"),
    ("trace_state", Shape::Text, Reading::Plain, ANY_TYPE, "trace_state"),
    ("flags", Shape::Unsigned, Reading::Plain, ANY_TYPE, "flags"),
    ("start_time_unix_nano", Shape::Unsigned, Reading::Plain, ANY_TYPE, "start_time_unix_nano"),
    ("start_time", Shape::Unsigned, Reading::Time, ANY_TYPE, "start_time_unix_nano"),
    ("end_time_unix_nano", Shape::Unsigned, Reading::Plain, ANY_TYPE, "end_time_unix_nano"),
    ("end_time", Shape::Unsigned, Reading::Time, ANY_TYPE, "end_time_unix_nano"),
    ("dropped_attributes_count", Shape::Unsigned, Reading::Plain, ANY_TYPE, "dropped_attributes_count"),
    ("dropped_events_count", Shape::Unsigned, Reading::Plain, ANY_TYPE, "dropped_events_count"),
    ("dropped_links_count", Shape::Unsigned, Reading::Plain, ANY_TYPE, "dropped_links_count"),
];

const METRIC: &[Row] = &[
    ("name", Shape::Text, Reading::Plain, ANY_TYPE, "name"),
    ("description", Shape::Text, Reading::Plain, ANY_TYPE, "description"),
    ("unit", Shape::Text, Reading::Plain, ANY_TYPE, "unit"),
    ("type", Shape::Signed, Reading::Plain, ANY_TYPE, "type"),
    ("aggregation_temporality", Shape::Signed, Reading::Plain, SUM | HISTOGRAMS, "aggregation_temporality"),
    ("is_monotonic", Shape::Boolean, Reading::Plain, SUM, "is_monotonic"),
];

const DATA_POINT: &[Row] = &[
    ("start_time_unix_nano", Shape::Unsigned, Reading::Plain, ANY_TYPE, "start_time_unix_nano"),
    ("start_time", Shape::Unsigned, Reading::Time, ANY_TYPE, "start_time_unix_nano"),
    ("time_unix_nano", Shape::Unsigned, Reading::Plain, ANY_TYPE, "time_unix_nano"),
    ("time", Shape::Unsigned, Reading::Time, ANY_TYPE, "time_unix_nano"),
    ("value_int", Shape::Signed, Reading::Plain, GAUGE_OR_SUM, "value_int"),
    ("value_double", Shape::Double, Reading::Plain, GAUGE_OR_SUM, "value_double"),
    ("flags", Shape::Unsigned, Reading::Plain, ANY_TYPE, "flags"),
    ("count", Shape::Unsigned, Reading::Plain, HISTOGRAMS | SUMMARY, "count"),
    ("sum", Shape::Double, Reading::Plain, HISTOGRAMS | SUMMARY, "sum"),
    ("scale", Shape::Signed, Reading::Plain, EXPONENTIAL, "scale"),
    ("zero_count", Shape::Unsigned, Reading::Plain, EXPONENTIAL, "zero_count"),
];

const LOG: &[Row] = &[
    ("time_unix_nano", Shape::Unsigned, Reading::Plain, ANY_TYPE, "time_unix_nano"),
    ("time", Shape::Unsigned, Reading::Time, ANY_TYPE, "time_unix_nano"),
    ("observed_time_unix_nano", Shape::Unsigned, Reading::Plain, ANY_TYPE, "observed_time_unix_nano"),
    ("observed_time", Shape::Unsigned, Reading::Time, ANY_TYPE, "observed_time_unix_nano"),
    ("severity_number", Shape::Signed, Reading::Plain, ANY_TYPE, "severity_number"),
    ("severity_text", Shape::Text, Reading::Plain, ANY_TYPE, "severity_text"),
    ("body", Shape::Body, Reading::Plain, ANY_TYPE, "body"),
    ("body.string", Shape::Body, Reading::Display, ANY_TYPE, "body"),
    ("flags", Shape::Unsigned, Reading::Plain, ANY_TYPE, "flags"),
    ("trace_id", Shape::Id(16), Reading::Plain, ANY_TYPE, "trace_id"),
    ("trace_id.string", Shape::Id(16), Reading::Hexadecimal, ANY_TYPE, "trace_id"),
    ("span_id", Shape::Id(8), Reading::Plain, ANY_TYPE, "span_id"),
    ("span_id.string", Shape::Id(8), Reading::Hexadecimal, ANY_TYPE, "span_id"),
    ("event_name", Shape::Text, Reading::Plain, ANY_TYPE, "event_name"),
    ("dropped_attributes_count", Shape::Unsigned, Reading::Plain, ANY_TYPE, "dropped_attributes_count"),
];

/// Paths that the Collector knows and this stage does not, with what to do instead.
const REFUSED: &[(Context, &str, &str)] = &[
    (Context::Span, "status", "compare `status.code` or `status.message`"),
    (Context::Span, "events", "the list of span events is not available"),
    (Context::Span, "links", "the list of span links is not available"),
    (Context::Metric, "data_points", "the list of data points is not available; use a datapoint condition"),
    (Context::DataPoint, "exemplars", "the list of exemplars is not available"),
    (Context::DataPoint, "bucket_counts", "buckets are not available"),
    (Context::DataPoint, "explicit_bounds", "buckets are not available"),
    (Context::DataPoint, "positive", "buckets are not available"),
    (Context::DataPoint, "positive.offset", "buckets are not available"),
    (Context::DataPoint, "positive.bucket_counts", "buckets are not available"),
    (Context::DataPoint, "negative", "buckets are not available"),
    (Context::DataPoint, "negative.offset", "buckets are not available"),
    (Context::DataPoint, "negative.bucket_counts", "buckets are not available"),
    (Context::DataPoint, "quantile_values", "quantiles are not available"),
];

/// Finds the field that a path means in a context.
pub(crate) fn resolve(context: Context, naming: Naming, path: &Path) -> Result<Resolved, Mistake> {
    let first = &path.segments[0];
    match first.name.as_str() {
        "spanevent" => return Err(Mistake::new(first.column, NO_EVENTS)),
        "otelcol" => {
            return Err(Mistake::new(first.column, "`otelcol` is not available; conditions see telemetry only"));
        }
        "cache" => return Err(Mistake::new(first.column, "`cache` is always empty in a condition")),
        _ => {}
    }
    // A name that is a context is one, even where a field has the same name.
    let named = context.reachable(&first.name).filter(|_| first.keys.is_empty());
    let (owner, segments) = match named {
        Some(owner) if path.segments.len() > 1 => (owner, &path.segments[1..]),
        Some(_) => return Err(Mistake::new(first.column, format!("`{}` needs a field behind it", first.name))),
        None if naming == Naming::Required => return Err(Mistake::new(first.column, unprefixed(context, path))),
        None => (context, &path.segments[..]),
    };
    field(owner, segments, &path.dotted())
}

fn unprefixed(context: Context, path: &Path) -> String {
    let dotted = path.dotted();
    let names: Vec<&str> = context.above().iter().map(|context| context.name()).collect();
    match path.segments.len() {
        1 => format!("`{dotted}` does not start with a context; write `{}.{dotted}`", names[0]),
        _ => format!("`{dotted}` does not start with a context; one of {} is expected", names.join(", ")),
    }
}

fn field(owner: Context, segments: &[Segment], whole: &str) -> Result<Resolved, Mistake> {
    let name = segments.iter().map(|segment| segment.name.as_str()).collect::<Vec<_>>().join(".");
    let column = segments[0].column;
    let [before @ .., last] = segments else { return Err(Mistake::new(column, "a path has no name")) };
    // Only the last segment may have keys.
    if let Some(keyed) = before.iter().find(|segment| !segment.keys.is_empty()) {
        return Err(Mistake::new(keyed.column, format!("`{}` can't have keys before a `.`", keyed.name)));
    }
    let keys = &last.keys;
    if let Some(attribute) = attribute(owner, &name, column, keys)? {
        return Ok(attribute);
    }
    let rows = table(owner);
    let Some((_, shape, reading, types, intrinsic)) = rows.iter().find(|row| row.0 == name) else {
        return Err(Mistake::new(column, unknown(owner, &name, whole)));
    };
    let reading = match (keys.as_slice(), intrinsic) {
        ([], _) => reading.clone(),
        (keys, &"body") if *reading == Reading::Plain => Reading::Member(keys.to_vec()),
        ([Key::Text(key)], &"trace_state") => Reading::TraceState(key.clone()),
        _ => return Err(Mistake::new(column, format!("`{whole}` can't be indexed"))),
    };
    let selector = Selector::Intrinsic((*intrinsic).to_owned());
    let field = Field { level: owner.level(), selector };
    Ok(Resolved { field, shape: *shape, types: *types, reading })
}

/// `attributes["key"]`, and a metric's `metadata["key"]`.
fn attribute(owner: Context, name: &str, column: usize, keys: &[Key]) -> Result<Option<Resolved>, Mistake> {
    if name != if owner == Context::Metric { "metadata" } else { "attributes" } {
        return Ok(None);
    }
    let (key, rest) = match keys {
        [Key::Text(key), rest @ ..] => (key, rest),
        [] => return Err(Mistake::new(column, format!("`{name}` needs a key, as in `{name}[\"key\"]`"))),
        _ => return Err(Mistake::new(column, format!("the first key of `{name}` must be a string"))),
    };
    let reading = if rest.is_empty() { Reading::Plain } else { Reading::Member(rest.to_vec()) };
    let field = Field { level: owner.level(), selector: Selector::Attribute(key.clone()) };
    Ok(Some(Resolved { field, shape: Shape::Attribute, types: ANY_TYPE, reading }))
}

fn unknown(owner: Context, name: &str, whole: &str) -> String {
    if let Some((.., advice)) = REFUSED.iter().find(|(context, path, _)| *context == owner && *path == name) {
        return format!("`{whole}` is not supported: {advice}");
    }
    let maps = if owner == Context::Metric { "metadata" } else { "attributes" };
    let known = table(owner).iter().map(|row| row.0).chain([maps]).chain(owner.above().iter().map(|c| c.name()));
    format!("unknown path `{whole}` for {}{}", owner.plural(), did_you_mean(name, known))
}

fn table(owner: Context) -> &'static [Row] {
    match owner {
        Context::Resource => RESOURCE,
        Context::Scope => SCOPE,
        Context::Span => SPAN,
        Context::Metric => METRIC,
        Context::DataPoint => DATA_POINT,
        Context::Log => LOG,
    }
}

/// The type of a metric, which says whether its data points have a field.
pub(crate) fn metric_type() -> Field {
    Field { level: Level::Metric, selector: Selector::Intrinsic("type".to_owned()) }
}

/// An attribute of the data points below a metric.
pub(crate) fn point_attribute(key: &str) -> Resolved {
    let field = Field { level: Level::Record, selector: Selector::Attribute(key.to_owned()) };
    Resolved { field, shape: Shape::Attribute, types: ANY_TYPE, reading: Reading::Plain }
}

/// The id of a span's parent.
pub(crate) fn parent_span_id() -> Resolved {
    let field = Field { level: Level::Record, selector: Selector::Intrinsic("parent_span_id".to_owned()) };
    Resolved { field, shape: Shape::Id(8), types: ANY_TYPE, reading: Reading::Plain }
}
