//! A YAML value that remembers where every part of it stands.

use serde_json::Value;

use super::error::Place;

/// A value and where it stands.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    pub(crate) place: Place,
    pub(crate) content: Content,
    /// The text that a `${...}` stood for, if that was the whole scalar: a text field takes it as it is, while other
    /// fields take what it means as YAML.
    pub(crate) original: Option<String>,
    /// The environment variable that was not set, if that is why the value is empty.
    pub(crate) unset: Option<String>,
}

/// What a value is.
#[derive(Clone, Debug)]
pub(crate) enum Content {
    /// A scalar. Only a plain one, without quotes, can be anything but text.
    Scalar {
        text: String,
        plain: bool,
    },
    Sequence(Vec<Node>),
    Mapping(Vec<Entry>),
}

/// A key with its value.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) key: String,
    pub(crate) key_place: Place,
    pub(crate) value: Node,
}

impl Node {
    pub(crate) fn new(place: Place, content: Content) -> Self {
        Self { place, content, original: None, unset: None }
    }

    pub(crate) fn null(place: Place) -> Self {
        Self::new(place, Content::Scalar { text: String::new(), plain: true })
    }

    pub(crate) fn is_null(&self) -> bool {
        matches!(&self.content, Content::Scalar { text, plain: true } if resolve(text).is_null())
    }

    /// What a scalar means: null, a boolean, a number or a text.
    pub(crate) fn scalar(&self) -> Option<Value> {
        match &self.content {
            Content::Scalar { text, plain: true } => Some(resolve(text)),
            Content::Scalar { text, plain: false } => Some(Value::String(text.clone())),
            Content::Sequence(_) | Content::Mapping(_) => None,
        }
    }

    /// The text that a text field takes.
    pub(crate) fn text(&self) -> Option<&str> {
        match (&self.original, &self.content) {
            (Some(original), _) => Some(original),
            (None, Content::Scalar { text, .. }) => Some(text),
            (None, _) => None,
        }
    }

    pub(crate) fn entries(&self) -> &[Entry] {
        match &self.content {
            Content::Mapping(entries) => entries,
            Content::Scalar { .. } | Content::Sequence(_) => &[],
        }
    }

    pub(crate) fn get(&self, key: &str) -> Option<&Entry> {
        self.entries().iter().find(|entry| entry.key == key)
    }

    /// The same, but for one entry of a map.
    pub(crate) fn without(&self, key: &str) -> Self {
        let mut node = self.clone();
        if let Content::Mapping(entries) = &mut node.content {
            entries.retain(|entry| entry.key != key);
        }
        node
    }

    /// What it means, without positions.
    pub(crate) fn to_json(&self) -> Value {
        match &self.content {
            Content::Scalar { .. } => self.scalar().unwrap_or_default(),
            Content::Sequence(items) => items.iter().map(Self::to_json).collect(),
            Content::Mapping(entries) => {
                entries.iter().map(|entry| (entry.key.clone(), entry.value.to_json())).collect()
            }
        }
    }

    /// Where a path of keys leads, as far as it leads: the place of the last key or element that is there.
    pub(crate) fn locate(&self, path: &str) -> Place {
        let mut here = self;
        let mut place = &self.place;
        for step in path.split("::").filter(|step| !step.is_empty()) {
            let next = match &here.content {
                Content::Mapping(_) => here.get(step).map(|entry| (&entry.key_place, &entry.value)),
                Content::Sequence(items) => {
                    step.parse().ok().and_then(|index: usize| items.get(index)).map(|item| (&item.place, item))
                }
                Content::Scalar { .. } => None,
            };
            match next {
                Some((next_place, next)) => (place, here) = (next_place, next),
                None => break,
            }
        }
        place.clone()
    }

    /// The value that a path of keys leads to.
    pub(crate) fn find(&self, path: &str) -> Option<&Node> {
        path.split("::").filter(|step| !step.is_empty()).try_fold(self, |here, step| match &here.content {
            Content::Mapping(_) => here.get(step).map(|entry| &entry.value),
            Content::Sequence(items) => step.parse().ok().and_then(|index: usize| items.get(index)),
            Content::Scalar { .. } => None,
        })
    }

    /// Lays another value over this one: maps merge key by key, everything else is replaced.
    pub(crate) fn merge(&mut self, over: Self) {
        match (&mut self.content, over.content) {
            (Content::Mapping(entries), Content::Mapping(over_entries)) => {
                for over in over_entries {
                    match entries.iter_mut().find(|entry| entry.key == over.key) {
                        Some(entry) => {
                            entry.key_place = over.key_place;
                            entry.value.merge(over.value);
                        }
                        None => entries.push(over),
                    }
                }
            }
            (_, content) => *self = Self { content, ..over },
        }
    }
}

/// Reads a plain scalar as YAML 1.2 does.
pub(crate) fn resolve(text: &str) -> Value {
    // Most scalars are words; only what can start something else is worth a parser.
    let Some(first) = text.bytes().next() else { return Value::Null };
    if !matches!(first, b'~' | b'n' | b'N' | b't' | b'T' | b'f' | b'F' | b'0'..=b'9' | b'+' | b'-' | b'.')
        || text.len() > 64
    {
        return Value::String(text.to_owned());
    }
    match serde_yaml::from_str::<serde_yaml::Value>(text) {
        Ok(serde_yaml::Value::Null) => Value::Null,
        Ok(serde_yaml::Value::Bool(boolean)) => Value::Bool(boolean),
        // Infinities and NaN have no place in JSON, and no setting takes them.
        Ok(number @ serde_yaml::Value::Number(_)) if number.as_f64().is_some_and(f64::is_finite) => {
            serde_json::to_value(number).unwrap_or_default()
        }
        _ => Value::String(text.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn resolves_plain_scalars_as_yaml_does() {
        let cases = [
            ("", json!(null)),
            ("~", json!(null)),
            ("null", json!(null)),
            ("true", json!(true)),
            ("FALSE", json!(false)),
            ("yes", json!("yes")),
            ("0", json!(0)),
            ("-7", json!(-7)),
            ("0x1F", json!(31)),
            ("1.5", json!(1.5)),
            ("1e3", json!(1000.0)),
            ("200ms", json!("200ms")),
            ("0.0.0.0:4317", json!("0.0.0.0:4317")),
            (".inf", json!(".inf")),
            ("nothing", json!("nothing")),
            ("-", json!("-")),
            ("- a", json!("- a")),
        ];
        for (text, value) in cases {
            assert_eq!(resolve(text), value, "{text:?}");
        }
    }
}
