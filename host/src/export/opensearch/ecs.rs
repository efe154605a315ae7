//! Log documents of the modes `ecs` and `flatten_attributes`: the fields of the log data model by name, values of maps
//! under dotted names.

use sluice_wire::view::{KeyValue, LogRecord, Value};

use super::json::Json;
use super::ss4o::{Surroundings, time_of};

/// How fields are named and laid out.
#[derive(Clone, Debug, Default)]
pub(super) struct Layout {
    /// Attributes stand at the top instead of under `Attributes`.
    pub(super) flatten: bool,
    /// Field that takes the time.
    pub(super) timestamp_field: String,
    /// The time as milliseconds since the epoch.
    pub(super) unix_timestamp: bool,
    /// Dots in names become objects.
    pub(super) dedot: bool,
}

/// One field of a document.
struct Field<'a> {
    name: String,
    content: Content<'a>,
}

enum Content<'a> {
    Value(Value<'a>),
    Hex(&'a [u8]),
    Integer(i64),
    Time(u64),
}

/// Writes a log record.
pub(super) fn log(json: &mut Json<'_>, log: &LogRecord<'_>, around: &Surroundings<'_>, layout: &Layout) {
    let mut fields = Vec::new();
    let prefix = if layout.flatten { "" } else { "Attributes" };
    around.resource.attributes().for_each(|attribute| add(&mut fields, prefix, &attribute));
    let mut field = |name: &str, content| fields.push(Field { name: name.to_owned(), content });
    let time = time_of(log);
    let time_content = match layout.unix_timestamp {
        true => Content::Integer((time / 1_000_000) as i64),
        false => Content::Time(time),
    };
    field(if layout.timestamp_field.is_empty() { "@timestamp" } else { &layout.timestamp_field }, time_content);
    for (name, id) in [("TraceId", log.trace_id()), ("SpanId", log.span_id())] {
        if !id.is_empty() {
            field(name, Content::Hex(id));
        }
    }
    field("TraceFlags", Content::Integer(log.flags().into()));
    if !log.severity_text().is_empty() {
        field("SeverityText", Content::Value(Value::Text(log.severity_text())));
    }
    field("SeverityNumber", Content::Integer(log.severity_number().into()));
    add_value(&mut fields, "Body".into(), log.body().unwrap_or_default());
    log.attributes().for_each(|attribute| add(&mut fields, prefix, &attribute));
    settle(&mut fields);
    match layout.dedot {
        true => nested(json, &fields),
        false => flat(json, &fields),
    }
}

fn add<'a>(fields: &mut Vec<Field<'a>>, prefix: &str, attribute: &KeyValue<'a>) {
    let name = match prefix {
        "" => attribute.key().to_owned(),
        prefix => format!("{prefix}.{}", attribute.key()),
    };
    add_value(fields, name, attribute.value());
}

fn add_value<'a>(fields: &mut Vec<Field<'a>>, name: String, value: Value<'a>) {
    match value {
        Value::Empty => {}
        Value::Map(map) => map.iter().for_each(|member| add(fields, &name, &member)),
        value => fields.push(Field { name, content: Content::Value(value) }),
    }
}

/// OpenSearch takes a name once, and not as a value and an object at a time: of several fields with one name the last
/// stays, and a value where others have an object becomes `value` in it.
fn settle(fields: &mut Vec<Field<'_>>) {
    fields.reverse();
    fields.sort_by(|a, b| a.name.cmp(&b.name));
    fields.dedup_by(|later, first| later.name == first.name);
    let is_object = |name: &str, fields: &[Field<'_>]| {
        let inside = |field: &Field<'_>| field.name.strip_prefix(name).is_some_and(|rest| rest.starts_with('.'));
        fields.iter().any(inside)
    };
    for position in 0..fields.len() {
        if is_object(&fields[position].name, fields) {
            fields[position].name.push_str(".value");
        }
    }
    fields.sort_by(|a, b| a.name.cmp(&b.name));
    fields.dedup_by(|later, first| later.name == first.name);
}

fn flat(json: &mut Json<'_>, fields: &[Field<'_>]) {
    json.begin_object();
    for field in fields {
        json.key(&field.name);
        field.content.write(json);
    }
    json.end_object();
}

/// Sorted names of one object stand together, so that a walk opens and closes each once.
fn nested(json: &mut Json<'_>, fields: &[Field<'_>]) {
    let mut paths: Vec<(Vec<&str>, &Content<'_>)> =
        fields.iter().map(|field| (field.name.split('.').collect(), &field.content)).collect();
    paths.sort_by(|a, b| a.0.cmp(&b.0));
    json.begin_object();
    let mut open: Vec<&str> = Vec::new();
    for (path, content) in &paths {
        let Some((leaf, objects)) = path.split_last() else { continue };
        let shared = open.iter().zip(objects).take_while(|(a, b)| a == b).count();
        open.drain(shared..).for_each(|_| json.end_object());
        for object in &objects[shared..] {
            json.key(object);
            json.begin_object();
            open.push(object);
        }
        json.key(leaf);
        content.write(json);
    }
    open.iter().for_each(|_| json.end_object());
    json.end_object();
}

impl Content<'_> {
    fn write(&self, json: &mut Json<'_>) {
        match self {
            Self::Value(value) => json.value(*value),
            Self::Hex(bytes) => json.hex(bytes),
            Self::Integer(number) => json.integer(*number),
            Self::Time(nanos) => json.time(*nanos),
        }
    }
}
