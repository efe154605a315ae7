//! Walks a value against a JSON Schema: finds unknown keys and wrong types, all at once, and says where they stand.
//!
//! It reads the part of JSON Schema that schemars writes for serde types. Two things differ from the standard, as a
//! configuration needs it: an object that lists properties allows no others, and null means the default, which of a block
//! that may be absent is its absence; with `x-empty` it is a block with nothing but defaults. A property with `x-no-effect`
//! is accepted as the collector has it, changes nothing, and says so.

use std::borrow::Borrow;
use std::collections::BTreeSet;

use regex::Regex;
use serde_json::{Map, Value};

use super::error::{Place, Report, join};
use super::node::{Content, Entry, Node, resolve};
use super::types::{ByteSize, Duration, REDACTED, Url};

mod alternatives;
pub(crate) mod secrets;
pub(crate) mod words;

/// What was left out of a value because it was reported, or is not set; by key paths of the whole configuration.
#[derive(Debug, Default)]
pub(crate) struct LeftOut {
    /// Elements of lists, by their positions in the text: what comes after them stands further in front in the value.
    pub(crate) items: BTreeSet<String>,
    /// Maps that lack a value which stands there.
    pub(crate) maps: BTreeSet<String>,
}

/// Reads a node as its schema wants it: numbers in text fields become texts, nulls become defaults.
///
/// `path` is where the node stands in the whole. What is wrong is left out, and what can't be without it too, so that the
/// rest can be looked at; a key that is nearly right is read as the one that was meant.
pub(crate) fn walk(node: &Node, schema: &Value, path: &str, report: &mut Report) -> (Value, LeftOut) {
    let mut left_out = LeftOut::default();
    let value = Walker { root: schema, report, left_out: &mut left_out, trials: 0 }.value(node, schema, path);
    (value.unwrap_or_default(), left_out)
}

/// The schema of a type.
pub(crate) fn of<T: schemars::JsonSchema>() -> Value {
    schemars::schema_for!(T).to_value()
}

struct Walker<'a> {
    root: &'a Value,
    report: &'a mut Report,
    left_out: &'a mut LeftOut,
    /// In how many attempts at alternatives this walk is one.
    trials: usize,
}

impl Walker<'_> {
    /// `None` leaves the value out, so that its default applies.
    fn value(&mut self, node: &Node, schema: &Value, path: &str) -> Option<Value> {
        let alternatives = self.alternatives(schema);
        let alternatives: Vec<&Value> = alternatives.iter().map(AsRef::as_ref).collect();
        if alternatives.is_empty() || alternatives.iter().any(|one| is_free(one)) {
            return (!node.is_null()).then(|| free(node));
        }
        if is_nothing(node, &alternatives) {
            return self.null(node, schema, &alternatives, path);
        }
        let of_type = |name| alternatives.iter().copied().filter(|one| has_type(one, name)).collect::<Vec<_>>();
        match &node.content {
            // An environment variable may look like a map or list and still be meant as a text.
            Content::Mapping(_) | Content::Sequence(_) if node.original.is_some() && !of_type("string").is_empty() => {
                self.scalar(node, schema, &alternatives, path)
            }
            Content::Mapping(_) => match of_type("object") {
                none if none.is_empty() => self.refuse(node, "a map", &alternatives, path),
                objects => match switch(node, schema, &objects) {
                    None => self.fit(node, objects, path),
                    Some(true) => self.fit(&node.without(SWITCH), objects, path),
                    Some(false) => {
                        self.check_what_is_off(&node.without(SWITCH), objects, path);
                        None
                    }
                },
            },
            Content::Sequence(_) => match of_type("array") {
                none if none.is_empty() => self.refuse(node, "a list", &alternatives, path),
                arrays => self.fit(node, arrays, path),
            },
            Content::Scalar { .. } => self.scalar(node, schema, &alternatives, path),
        }
    }

    /// What is wrong in a section that is switched off is told before somebody switches it on.
    fn check_what_is_off(&mut self, node: &Node, objects: Vec<&Value>, path: &str) {
        let mut unread = LeftOut::default();
        let mut walker = Walker { root: self.root, report: self.report, left_out: &mut unread, trials: self.trials };
        drop(walker.fit(node, objects, path));
    }

    /// Whether a schema, or one below it, says so of itself. What stands where a secret belongs, though in the wrong
    /// shape, is a secret too.
    fn reaches(&self, schema: &Value, mark: &str) -> bool {
        let mut seen = BTreeSet::new();
        let mut pending = vec![schema];
        while let Some(schema) = pending.pop() {
            if schema.get(mark) == Some(&Value::Bool(true)) {
                return true;
            }
            if !seen.insert(std::ptr::from_ref(schema)) {
                continue;
            }
            pending.extend(referred(schema, self.root));
            pending.extend(choices_of(schema));
            let below = ["properties", "patternProperties"].into_iter().filter_map(|key| schema.get(key)?.as_object());
            pending.extend(below.flat_map(Map::values));
            pending.extend(["items", "additionalProperties"].into_iter().filter_map(|key| schema.get(key)));
        }
        false
    }

    /// A key without a value: `grpc:` alone is a block with all its defaults, `timeout:` alone the default, and `tls:`
    /// alone no block. Nor is one of several forms, as nothing says which of them is meant.
    fn null(&mut self, node: &Node, schema: &Value, alternatives: &[&Value], path: &str) -> Option<Value> {
        let may_be_absent = allows_null(schema) && schema.get("x-empty") != Some(&Value::Bool(true));
        let mut objects = alternatives.iter().copied().filter(|one| has_type(one, "object"));
        match (objects.next(), objects.next()) {
            (Some(object), None) if !may_be_absent => self.object(node, &[], object, path),
            (None, _) if !may_be_absent => {
                self.warn_of_default(node, schema, path);
                None
            }
            _ => None,
        }
    }

    /// Mostly it is a variable that is not set. The collector takes the zero value then, which for one of ours may lose
    /// data: no time to drain, say.
    fn warn_of_default(&mut self, node: &Node, schema: &Value, path: &str) {
        let Some(default) = schema.get("default").filter(|_| schema.get("x-no-effect").is_none()) else { return };
        let shown = match default {
            Value::Bool(true) => "true".to_owned(),
            Value::Number(number) if number.as_f64() != Some(0.0) => number.to_string(),
            Value::String(text) if !matches!(text.as_str(), "" | "0s") => text.clone(),
            _ => return,
        };
        let message =
            format!("no value: the default counts, {shown}; the collector takes such a key for 0, false or \"\"");
        self.report.warn(Some(&node.place), path, message);
    }

    fn object(&mut self, node: &Node, entries: &[Entry], schema: &Value, path: &str) -> Option<Value> {
        let properties = schema.get("properties").and_then(Value::as_object);
        let others = schema.get("additionalProperties");
        let mut object = Map::new();
        for entry @ Entry { key, key_place, value } in entries {
            let here = join(path, key);
            let known = property(schema, key);
            if let Some(known) = known {
                self.check_effect(value, key_place, known, &here);
            }
            let read = match (known, others) {
                (Some(schema), _) => self.value(value, schema, &here),
                (None, Some(Value::Bool(true))) => Some(free(value)),
                (None, None) if properties.is_none() => (!value.is_null()).then(|| free(value)),
                (None, Some(schema @ Value::Object(_))) => self.map_value(value, schema, &here),
                (None, Some(_) | None) => {
                    let read = self.unknown_key(entry, entries, schema, &here);
                    object.extend(read);
                    continue;
                }
            };
            match read {
                Some(read) => drop(object.insert(key.clone(), read)),
                None if value.is_null() => {}
                None => drop(self.left_out.maps.insert(path.to_owned())),
            }
        }
        self.has_required(node, &object, schema, path).then_some(Value::Object(object))
    }

    /// Reports a key that no property has. If it is nearly one that is not there, that is what it is read as: what
    /// would follow from its absence is no mistake of its own.
    fn unknown_key(&mut self, entry: &Entry, entries: &[Entry], schema: &Value, path: &str) -> Option<(String, Value)> {
        let properties = schema.get("properties").and_then(Value::as_object);
        let keys = properties.into_iter().flat_map(Map::keys).map(String::as_str);
        if words::is_unsupported(&entry.key) && is_off(&entry.value) {
            return None;
        }
        if let Some(today) = words::renamed(&entry.key).filter(|today| self.has_key(schema, today)) {
            self.report.error(Some(&entry.key_place), path, format!("unknown key; write {today}"));
            return None;
        }
        let message = match schema.get("patternProperties").and_then(Value::as_object) {
            Some(patterns) if properties.is_none() => words::no_match(&entry.key, patterns.keys().map(String::as_str)),
            _ => words::unknown_key(&entry.key, keys.clone()),
        };
        self.report.error(Some(&entry.key_place), path, message);
        let meant = words::meant_key(&entry.key, keys).filter(|key| entries.iter().all(|other| other.key != *key))?;
        let mut inside = Report::default();
        let mut walker = Walker { root: self.root, report: &mut inside, left_out: self.left_out, trials: self.trials };
        let read = walker.value(&entry.value, properties?.get(meant)?, path);
        // If the value does not fit, something else was meant.
        if inside.errors.iter().any(|error| error.path == path) {
            return None;
        }
        self.report.errors.append(&mut inside.errors);
        read.map(|read| (meant.to_owned(), read))
    }

    /// Whether there is a key, which may stand deeper.
    fn has_key(&self, schema: &Value, path: &str) -> bool {
        match path.split_once("::") {
            None => property(schema, path).is_some(),
            Some((first, rest)) => property(schema, first)
                .is_some_and(|section| self.alternatives(section).iter().any(|one| self.has_key(one, rest))),
        }
    }

    /// Whether an object has what it must have; says what is missing.
    fn has_required(&mut self, node: &Node, object: &Map<String, Value>, schema: &Value, path: &str) -> bool {
        let mut has_all = true;
        for key in required(schema).filter(|key| !object.contains_key(*key)) {
            has_all = false;
            // What stands there in the wrong form was complained about already.
            if node.get(key).is_none_or(|entry| entry.value.is_null()) {
                self.report.error(Some(&node.place), join(path, key), "must be set");
            }
        }
        has_all
    }

    /// A value of a map with free keys; without a value it is an empty text, or null where that is possible.
    fn map_value(&mut self, node: &Node, schema: &Value, path: &str) -> Option<Value> {
        let value = self.value(node, schema, path);
        if value.is_some() || !node.is_null() {
            return value;
        }
        let is_text = self.alternatives(schema).iter().any(|one| has_type(one, "string"));
        Some(if is_text { Value::String(String::new()) } else { Value::Null })
    }

    fn array(&mut self, items: &[Node], schema: &Value, path: &str) -> Option<Value> {
        let Some(item_schema) = schema.get("items") else { return Some(items.iter().map(free).collect()) };
        let mut array = Vec::with_capacity(items.len());
        for (index, item) in items.iter().enumerate() {
            let path = join(path, &index.to_string());
            let alternatives = self.alternatives(item_schema);
            if is_nothing(item, &alternatives)
                && item.unset.is_none()
                && !alternatives.iter().any(|one| has_type(one, "object"))
            {
                self.report.error(Some(&item.place), path.as_str(), "must not be empty");
            } else if let Some(read) = self.value(item, item_schema, &path) {
                array.push(read);
                continue;
            }
            self.left_out.items.insert(path);
        }
        self.check_length("items", items.len(), schema, items.first().map(|item| &item.place), path);
        Some(Value::Array(array))
    }

    fn scalar(&mut self, node: &Node, schema: &Value, alternatives: &[&Value], path: &str) -> Option<Value> {
        let text = node.text().unwrap_or_default();
        let choices: Vec<&str> = alternatives.iter().flat_map(|one| choices(one)).collect();
        if !choices.is_empty() {
            let ignores_case = self.reaches(schema, "x-ignore-case");
            return self.choice(node, text, &choices, ignores_case, path);
        }
        let value = self.number(node, alternatives).unwrap_or_else(|| node.scalar().unwrap_or_default());
        let before = self.report.errors.len();
        for one in alternatives {
            match &value {
                Value::Bool(_) if has_type(one, "boolean") => return Some(value),
                Value::Number(number) if has_type(one, "number") || (has_type(one, "integer") && !number.is_f64()) => {
                    self.check_number(node, number, one, path);
                    return (self.report.errors.len() == before).then_some(value);
                }
                _ => {}
            }
        }
        if let Some(one) = alternatives.iter().find(|one| has_type(one, "string")) {
            self.check_text(node, text, one, path);
            return (self.report.errors.len() == before).then(|| Value::String(text.to_owned()));
        }
        if let Some(one) = alternatives.iter().find(|one| self.is_list_of_texts(one)) {
            return self.split_list(node, text, one, path);
        }
        let found = words::scalar(&value, text, self.reaches(schema, "writeOnly"));
        self.refuse(node, &found, alternatives, path)
    }

    /// A number in the forms that the collector takes besides those of YAML 1.2: `1_000`, and for integers `1e3` and `1000.0`.
    fn number(&self, node: &Node, alternatives: &[&Value]) -> Option<Value> {
        let asked = |name| alternatives.iter().any(|one| has_type(one, name));
        let Content::Scalar { text, plain: true } = &node.content else { return None };
        if text.starts_with('_') {
            return None;
        }
        let Value::Number(number) = resolve(&text.replace('_', "")) else { return None };
        // Beyond these a float is no longer a certain integer.
        const EXACT: f64 = (1_u64 << 53) as f64;
        match number.as_f64().filter(|float| number.is_f64() && float.fract() == 0.0 && float.abs() <= EXACT) {
            Some(float) if asked("integer") && !asked("number") => Some(Value::from(float as i64)),
            _ => Some(Value::Number(number)),
        }
    }

    fn is_list_of_texts(&self, schema: &Value) -> bool {
        let items = schema.get("items").filter(|_| has_type(schema, "array"));
        items.is_some_and(|items| self.alternatives(items).iter().any(|one| has_type(one, "string")))
    }

    /// The collector takes `a,b` for `[a, b]`, with blanks where texts are free, and an empty text for no list.
    fn split_list(&mut self, node: &Node, text: &str, schema: &Value, path: &str) -> Option<Value> {
        let items = schema.get("items").map(|items| self.alternatives(items)).unwrap_or_default();
        let is_choice = items.iter().any(|one| !choices(one).is_empty());
        let item = |part: &str| {
            let text = if is_choice { part.trim() } else { part }.to_owned();
            Node::new(node.place.clone(), Content::Scalar { text, plain: false })
        };
        let items: Vec<Node> = text.split(',').filter(|_| !text.is_empty()).map(item).collect();
        self.array(&items, schema, path)
    }

    fn choice(&mut self, node: &Node, text: &str, choices: &[&str], ignores_case: bool, path: &str) -> Option<Value> {
        let same = |choice: &&&str| **choice == text || (ignores_case && choice.eq_ignore_ascii_case(text));
        if let Some(choice) = choices.iter().find(same) {
            return Some(Value::String((*choice).to_owned()));
        }
        self.error(node, path, words::no_choice(text, choices));
        None
    }

    fn check_text(&mut self, node: &Node, text: &str, schema: &Value, path: &str) {
        let secret = schema.get("writeOnly") == Some(&Value::Bool(true));
        let shown = match schema.get("format").and_then(Value::as_str) {
            _ if secret => REDACTED.to_owned(),
            Some("url") => Url::new(text).redacted().into_owned(),
            _ => words::shorten(text),
        };
        let wrong = match schema.get("format").and_then(Value::as_str) {
            Some("go-duration") => text.parse::<Duration>().err().map(|error| error.to_string()),
            Some("byte-size") => text.parse::<ByteSize>().err().map(|error| error.to_string()),
            _ => None,
        };
        if let Some(message) = wrong {
            self.error(node, path, format!("{shown:?}: {message}"));
        }
        if schema.get("format").and_then(Value::as_str) == Some("component-id")
            && let Err(error) = text.parse::<super::id::ComponentId>()
        {
            self.error(node, path, error.to_string());
        }
        self.check_length("characters", text.chars().count(), schema, Some(&node.place), path);
    }

    fn check_length(&mut self, unit: &str, length: usize, schema: &Value, place: Option<&Place>, path: &str) {
        let (min, max) = if unit == "items" { ("minItems", "maxItems") } else { ("minLength", "maxLength") };
        let bound = |key: &str| schema.get(key).and_then(Value::as_u64).and_then(|bound| usize::try_from(bound).ok());
        if let Some(min) = bound(min).filter(|min| length < *min) {
            self.report.error(place, path, format!("{length} {unit} are too few; at least {min}"));
        }
        if let Some(max) = bound(max).filter(|max| length > *max) {
            self.report.error(place, path, format!("{length} {unit} are too many; at most {max}"));
        }
    }

    fn check_number(&mut self, node: &Node, number: &serde_json::Number, schema: &Value, path: &str) {
        let Some(value) = number.as_f64() else { return };
        let bound = |key: &str| schema.get(key).and_then(Value::as_f64);
        let is_duration = schema.get("format").and_then(Value::as_str) == Some("go-duration");
        if is_duration && value < 0.0 {
            self.error(node, path, format!("{number}: a duration must not be negative"));
        } else if is_duration && value > i64::MAX as f64 {
            self.error(node, path, format!("{number}: duration is too long"));
        } else if is_duration && value > 0.0 && value < 1e6 {
            let message =
                format!("{number} without a unit counts nanoseconds, as in the collector; did you mean \"{number}s\"?");
            self.report.warn(Some(&node.place), path, message);
        }
        let too_small = bound("minimum").is_some_and(|min| value < min)
            || bound("exclusiveMinimum").is_some_and(|min| value <= min);
        let too_large = bound("maximum").is_some_and(|max| value > max)
            || bound("exclusiveMaximum").is_some_and(|max| value >= max);
        if too_small || too_large {
            self.error(node, path, format!("{number} is out of range; expected {}", words::range(schema)));
        } else if let Some(most) = words::largest(schema).filter(|most| value > *most as f64) {
            self.error(node, path, format!("{number} is out of range; at most {most}"));
        }
    }

    /// Says of a key that it changes nothing, unless its value asks for what happens anyway or is the default.
    fn check_effect(&mut self, node: &Node, key_place: &Place, schema: &Value, path: &str) {
        let Some(reason) = schema.get("x-no-effect").and_then(Value::as_str) else { return };
        let value = node.to_json();
        let asks_for_it = schema.get("x-unless").is_some_and(|harmless| is_within(harmless, &value));
        let is_default = schema.get("default").is_some_and(|own| *own == value || same_duration(own, &value));
        if node.is_null() || asks_for_it || is_default {
            return;
        }
        self.report.warn(Some(key_place), path, format!("has no effect: {reason}"));
    }

    fn refuse(&mut self, node: &Node, found: &str, alternatives: &[&Value], path: &str) -> Option<Value> {
        let expected = words::expected(alternatives);
        self.error(node, path, format!("expected {expected}, found {found}"));
        None
    }

    fn error(&mut self, node: &Node, path: &str, message: String) {
        let why = node.unset.as_ref().map(|name| format!(" (environment variable {name:?} is not set)"));
        self.report.error(Some(&node.place), path, message + why.as_deref().unwrap_or_default());
    }
}

/// Whether a value is the same as another one, or a map with all of its entries.
fn is_within(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Object(one), Value::Object(other)) if !one.is_empty() => {
            one.iter().all(|(key, value)| other.get(key) == Some(value))
        }
        _ => one == other,
    }
}

/// Whether two texts are the same duration, such as `1m` and `60s`.
fn same_duration(one: &Value, other: &Value) -> bool {
    let duration = |value: &Value| value.as_str()?.parse::<Duration>().ok();
    duration(one).is_some_and(|one| duration(other) == Some(one))
}

/// A value that no schema describes, as it is written. A key without a value is left out, as everywhere else.
fn free(node: &Node) -> Value {
    match &node.content {
        Content::Mapping(entries) => {
            let set = entries.iter().filter(|entry| !entry.value.is_null());
            set.map(|entry| (entry.key.clone(), free(&entry.value))).collect()
        }
        Content::Sequence(items) => items.iter().map(free).collect(),
        Content::Scalar { .. } => node.to_json(),
    }
}

/// The schema that a schema refers to.
fn referred<'s>(schema: &Value, root: &'s Value) -> Option<&'s Value> {
    root.pointer(schema.get("$ref")?.as_str()?.strip_prefix('#')?)
}

/// The schemas of which one has to fit, or all.
fn choices_of(schema: &Value) -> impl Iterator<Item = &Value> {
    ["anyOf", "oneOf", "allOf"].into_iter().filter_map(|key| schema.get(key)?.as_array()).flatten()
}

/// The keys that an object must have.
fn required(schema: &Value) -> impl Iterator<Item = &str> {
    schema.get("required").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str)
}

/// The schema that an object's schema has for a key: that of the property, or of a pattern that the key matches.
fn property<'s>(schema: &'s Value, key: &str) -> Option<&'s Value> {
    let named = schema.get("properties").and_then(|properties| properties.get(key));
    let patterns = || schema.get("patternProperties").and_then(Value::as_object).into_iter().flatten();
    let matches = |pattern: &str| Regex::new(pattern).is_ok_and(|pattern| pattern.is_match(key));
    named.or_else(|| patterns().find(|(pattern, _)| matches(pattern)).map(|(_, schema)| schema))
}

/// Whether there is no value. An environment variable may look like null, or like a comment, and be meant as a text.
fn is_nothing<V: Borrow<Value>>(node: &Node, alternatives: &[V]) -> bool {
    let is_text = || alternatives.iter().any(|one| has_type(one.borrow(), "string"));
    node.is_null() && !(node.original.as_ref().is_some_and(|text| !text.is_empty()) && is_text())
}

/// The collector's key with which a section that may be absent can also be switched off.
const SWITCH: &str = "enabled";

/// How a section that may be absent is switched, if it is and has no such key of its own.
fn switch(node: &Node, schema: &Value, objects: &[&Value]) -> Option<bool> {
    let is_own = || objects.iter().any(|one| property(one, SWITCH).is_some());
    let switched = node.get(SWITCH).filter(|_| allows_null(schema) && !is_own())?;
    switched.value.scalar()?.as_bool()
}

/// Whether a value of a key that is not supported asks for nothing.
fn is_off(node: &Node) -> bool {
    match node.to_json() {
        Value::Null | Value::Bool(false) => true,
        Value::Array(items) => items.is_empty(),
        Value::Object(block) => block.get("enabled") == Some(&Value::Bool(false)),
        Value::Bool(true) | Value::Number(_) | Value::String(_) => false,
    }
}

/// Whether a schema allows null beside something else.
fn allows_null(schema: &Value) -> bool {
    let is_null = |one: &Value| one.get("type").and_then(Value::as_str) == Some("null");
    let choices = ["anyOf", "oneOf"].iter().filter_map(|key| schema.get(*key)?.as_array()).flatten();
    choices.into_iter().any(is_null)
        || schema.get("type").and_then(Value::as_array).is_some_and(|types| types.iter().any(|one| one == "null"))
}

/// Whether a schema allows anything.
fn is_free(schema: &Value) -> bool {
    match schema {
        Value::Bool(free) => *free,
        schema => {
            ["type", "enum", "const", "properties", "patternProperties"].iter().all(|key| schema.get(key).is_none())
        }
    }
}

fn has_type(schema: &Value, name: &str) -> bool {
    match schema.get("type") {
        Some(Value::String(one)) => one == name,
        Some(Value::Array(several)) => several.iter().any(|one| one == name),
        _ => name == "object" && schema.get("properties").is_some(),
    }
}

/// The texts that an enumeration allows.
fn choices(schema: &Value) -> Vec<&str> {
    let several = schema.get("enum").and_then(Value::as_array).into_iter().flatten();
    several.chain(schema.get("const")).filter_map(Value::as_str).collect()
}
