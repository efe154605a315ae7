//! Log documents of the modes `ecs` and `flatten_attributes`: the fields of the log data model by name, values of maps
//! under dotted names.

use std::ops::Range;

use sluice_wire::view::{KeyValue, LogRecord, Value};

use super::json::{Json, is_before_members, value_names};
use super::members::{Frame, Frames};
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

/// Writes documents of one resource, whose fields are named once.
pub(super) struct Writer<'a> {
    layout: &'a Layout,
    fields: Fields<'a>,
    /// How long the names of the resource's fields are, and those fields.
    resource: (usize, Vec<Field<'a>>),
    /// The record's own fields, none of which is a map.
    own: Vec<(Key<'a>, Content<'a>)>,
    frames: Frames<Key<'a>>,
}

/// What a record's field is named after: whether it is an attribute, and its name.
type Key<'a> = (bool, &'a str);

/// The fields of a document. Their names stand one after the other in one text.
#[derive(Default)]
struct Fields<'a> {
    names: String,
    list: Vec<Field<'a>>,
}

/// One field of a document.
#[derive(Clone)]
struct Field<'a> {
    name: Range<usize>,
    content: Content<'a>,
    /// The how many-th field it was before they were sorted.
    position: usize,
}

#[derive(Clone, Copy)]
enum Content<'a> {
    Value(Value<'a>),
    Hex(&'a [u8]),
    Integer(i64),
    Time(u64),
}

impl<'a> Writer<'a> {
    pub(super) fn new(around: &Surroundings<'a>, layout: &'a Layout) -> Self {
        let mut fields = Fields::default();
        around.resource.attributes().for_each(|attribute| fields.add(prefix(layout), &attribute));
        let resource = (fields.names.len(), fields.list.clone());
        Self { layout, resource, fields, own: Vec::new(), frames: Frames::default() }
    }

    /// Writes a log record.
    pub(super) fn log(&mut self, json: &mut Json<'_>, log: &LogRecord<'a>) {
        self.own.clear();
        let (layout, own) = (self.layout, &mut self.own);
        let mut is_flat = true;
        for_each_field(layout, log, |key, content| match content {
            Content::Value(Value::Empty) => {}
            content => {
                is_flat &= !matches!(content, Content::Value(Value::Map(_)));
                own.push((key, content));
            }
        });
        let Self { fields, resource: (names, shared), own, frames, .. } = self;
        let collect = |fields: &mut Fields<'a>| {
            fields.names.truncate(*names);
            fields.list.clone_from(shared);
            own.iter().for_each(|((is_attribute, name), content)| {
                fields.add_content(if *is_attribute { prefix(layout) } else { "" }, name, *content);
            });
            fields.settle();
        };
        let write = if layout.dedot { nested } else { flat };
        if !is_flat {
            collect(fields);
            return write(json, fields, &mut |json, field| field.content.write(json));
        }
        let frame = frames.of(own.iter().map(|(key, _)| *key), || {
            collect(fields);
            Frame::new(|json, value| write(json, fields, &mut |json, field| value(json, field.position)))
        });
        let content = |position: usize| match position.checked_sub(shared.len()) {
            Some(position) => own[position].1,
            None => shared[position].content,
        };
        frame.write(json, |json, position| content(position).write(json));
    }
}

/// The fields of a record, as they are before maps are taken apart.
fn for_each_field<'a>(layout: &'a Layout, log: &LogRecord<'a>, mut field: impl FnMut(Key<'a>, Content<'a>)) {
    let time = time_of(log);
    let time_content = match layout.unix_timestamp {
        true => Content::Integer((time / 1_000_000) as i64),
        false => Content::Time(time),
    };
    let timestamp = if layout.timestamp_field.is_empty() { "@timestamp" } else { &layout.timestamp_field };
    field((false, timestamp), time_content);
    for (name, id) in [("TraceId", log.trace_id()), ("SpanId", log.span_id())] {
        if !id.is_empty() {
            field((false, name), Content::Hex(id));
        }
    }
    field((false, "TraceFlags"), Content::Integer(log.flags().into()));
    if !log.severity_text().is_empty() {
        field((false, "SeverityText"), Content::Value(Value::Text(log.severity_text())));
    }
    field((false, "SeverityNumber"), Content::Integer(log.severity_number().into()));
    field((false, "Body"), Content::Value(log.body().unwrap_or_default()));
    log.attributes().for_each(|attribute| field((true, attribute.key()), Content::Value(attribute.value())));
}

/// What stands before the names of attributes.
fn prefix(layout: &Layout) -> &'static str {
    if layout.flatten { "" } else { "Attributes" }
}

impl<'a> Fields<'a> {
    /// Adds a field of an object; `object` is empty at the top.
    fn push_in(&mut self, object: &str, name: &str, content: Content<'a>) {
        let start = self.names.len();
        self.names.push_str(object);
        if !object.is_empty() {
            self.names.push('.');
        }
        self.names.push_str(name);
        self.list.push(Field { name: start..self.names.len(), content, position: self.list.len() });
    }

    fn add(&mut self, object: &str, attribute: &KeyValue<'a>) {
        self.add_content(object, attribute.key(), Content::Value(attribute.value()));
    }

    fn add_content(&mut self, object: &str, name: &str, content: Content<'a>) {
        match content {
            Content::Value(Value::Empty) => {}
            Content::Value(Value::Map(map)) => {
                let object = if object.is_empty() { name.to_owned() } else { format!("{object}.{name}") };
                map.iter().for_each(|member| self.add(&object, &member));
            }
            content => self.push_in(object, name, content),
        }
    }

    /// The fields with their names.
    fn named(&self) -> impl Iterator<Item = (&str, &Field<'a>)> {
        self.list.iter().map(|field| (&self.names[field.name.clone()], field))
    }

    /// OpenSearch takes a name once, and not as a value and an object at a time: of several fields with one name the
    /// last stays, and a value where others have an object becomes `value` in it.
    fn settle(&mut self) {
        self.list.reverse();
        self.sort();
        let objects: Vec<usize> = (0..self.list.len()).filter(|position| self.is_object(*position)).collect();
        for &position in &objects {
            let name = &self.names[self.list[position].name.clone()];
            let Some(new) = value_names(name).find(|new| self.is_free(new)) else { continue };
            let start = self.names.len();
            self.names.push_str(&new);
            self.list[position].name = start..self.names.len();
        }
        if !objects.is_empty() {
            self.sort();
        }
    }

    /// Whether no field has a name, and none is a member of an object of that name. Fields that were renamed stay where
    /// they were sorted: theirs are names of other objects.
    fn is_free(&self, name: &str) -> bool {
        let of = |field: &Field<'_>| &self.names[field.name.clone()];
        let is_in_way = |field: &Field<'_>| {
            of(field).strip_prefix(name).is_some_and(|rest| matches!(rest.as_bytes(), [] | [b'.', ..]))
        };
        !self.list.iter().any(is_in_way)
    }

    /// Sorts by name; of several with one name the first stays.
    fn sort(&mut self) {
        let names = &self.names;
        self.list.sort_by(|a, b| names[a.name.clone()].cmp(&names[b.name.clone()]));
        self.list.dedup_by(|later, first| names[later.name.clone()] == names[first.name.clone()]);
    }

    /// Whether others, which are sorted, are members of the object that a field's name stands for.
    fn is_object(&self, position: usize) -> bool {
        let of = |field: &Field<'_>| &self.names[field.name.clone()];
        let name = of(&self.list[position]);
        let after = &self.list[position + 1..];
        let first = after.partition_point(|field| is_before_members(of(field), name));
        let member = after.get(first).and_then(|field| of(field).strip_prefix(name));
        member.is_some_and(|rest| rest.starts_with('.'))
    }
}

/// Writes the value of a field.
type Put<'p, 'a> = dyn FnMut(&mut Json<'_>, &Field<'a>) + 'p;

fn flat<'a>(json: &mut Json<'_>, fields: &Fields<'a>, put: &mut Put<'_, 'a>) {
    json.begin_object();
    for (name, field) in fields.named() {
        json.key(name);
        put(json, field);
    }
    json.end_object();
}

/// Sorted names of one object stand together, so that a walk opens and closes each once.
fn nested<'a>(json: &mut Json<'_>, fields: &Fields<'a>, put: &mut Put<'_, 'a>) {
    let mut paths: Vec<(Vec<&str>, &Field<'a>)> =
        fields.named().map(|(name, field)| (name.split('.').collect(), field)).collect();
    paths.sort_by(|a, b| a.0.cmp(&b.0));
    json.begin_object();
    let mut open: Vec<&str> = Vec::new();
    for (path, field) in &paths {
        let Some((leaf, objects)) = path.split_last() else { continue };
        let shared = open.iter().zip(objects).take_while(|(a, b)| a == b).count();
        open.drain(shared..).for_each(|_| json.end_object());
        for object in &objects[shared..] {
            json.key(object);
            json.begin_object();
            open.push(object);
        }
        json.key(leaf);
        put(json, field);
    }
    open.iter().for_each(|_| json.end_object());
    json.end_object();
}

impl Content<'_> {
    fn write(self, json: &mut Json<'_>) {
        match self {
            Self::Value(value) => json.value(value),
            Self::Hex(bytes) => json.hex(bytes),
            Self::Integer(number) => json.integer(number),
            Self::Time(nanos) => json.time(nanos),
        }
    }
}
