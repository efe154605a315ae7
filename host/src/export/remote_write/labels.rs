//! The labels of a series: where they come from, which wins, and their encoding, sorted as receivers demand.

use std::borrow::Cow;
use std::collections::HashMap;
use std::rc::Rc;

use sluice_wire::view::{KeyValue, Value};

use super::names::{Naming, label_name};
use crate::export::text::as_string;

/// Who says what a label is. A later one wins, except that nothing external ever replaces anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Source {
    /// `external_labels` of the configuration.
    External,
    /// Attributes; of several with one name the values are joined.
    Attribute,
    /// `job` and `instance`.
    Target,
    /// The instrumentation scope.
    Scope,
}

/// One label.
#[derive(Clone, Debug)]
pub(crate) struct Label<'a> {
    /// Its Prometheus name.
    pub(crate) name: Rc<str>,
    /// Its value.
    pub(crate) value: Cow<'a, str>,
    source: Source,
}

impl<'a> Label<'a> {
    /// A label from somewhere.
    pub(crate) fn new(source: Source, name: impl Into<Rc<str>>, value: impl Into<Cow<'a, str>>) -> Self {
        Self { name: name.into(), value: value.into(), source }
    }
}

/// Prometheus names of attribute keys; a batch has few keys, so each is translated once.
pub(crate) struct LabelNames<'a> {
    naming: Naming,
    known: HashMap<&'a str, Option<Rc<str>>>,
    /// Keys and names of the attributes of the point before: the next one often has the same in the same order.
    before: Vec<(&'a str, Rc<str>)>,
}

/// An attribute whose name has nothing that Prometheus would take.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct BadLabel(pub(crate) String);

impl<'a> LabelNames<'a> {
    /// Names in this way.
    pub(crate) fn new(naming: Naming) -> Self {
        Self { naming, known: HashMap::new(), before: Vec::new() }
    }

    /// The name of a key.
    pub(crate) fn name(&mut self, key: &'a str) -> Result<Rc<str>, BadLabel> {
        let naming = self.naming;
        let name = self.known.entry(key).or_insert_with(|| label_name(naming, key).map(Rc::from));
        name.clone().ok_or_else(|| BadLabel(key.to_owned()))
    }

    /// The name of a key that stands at a position.
    fn name_in_sequence(&mut self, position: usize, key: &'a str) -> Result<Rc<str>, BadLabel> {
        if let Some((known, name)) = self.before.get(position)
            && *known == key
        {
            return Ok(Rc::clone(name));
        }
        let name = self.name(key)?;
        self.before.truncate(position);
        self.before.push((key, Rc::clone(&name)));
        Ok(name)
    }

    /// Adds attributes as labels: those without a value are left out, and of several whose names become one the
    /// values are joined by `;`, in the order of their keys.
    pub(crate) fn add(
        &mut self,
        labels: &mut Vec<Label<'a>>,
        attributes: impl Iterator<Item = KeyValue<'a>>,
    ) -> Result<(), BadLabel> {
        let mut found: Vec<(Rc<str>, &'a str, Cow<'a, str>)> = Vec::with_capacity(12);
        for attribute in attributes {
            let (key, value) = (attribute.key(), attribute.value());
            let text = as_string(value);
            if matches!(value, Value::Empty) || text.is_empty() {
                continue;
            }
            found.push((self.name_in_sequence(found.len(), key)?, key, text));
        }
        found.sort_by(|a, b| a.0.cmp(&b.0).then_with(|| a.1.cmp(b.1)));
        let start = labels.len();
        let mut last_key = "";
        for (name, key, value) in found {
            match labels[start..].last_mut() {
                // The same key again: a receiver keeps the last.
                Some(last) if last.name == name && last_key == key => last.value = value,
                Some(last) if last.name == name => {
                    if last.value != value {
                        last.value = format!("{};{value}", last.value).into();
                    }
                }
                _ => labels.push(Label::new(Source::Attribute, name, value)),
            }
            last_key = key;
        }
        Ok(())
    }
}

/// Sorts labels by name and keeps one of each.
pub(crate) fn settle(labels: &mut Vec<Label<'_>>) {
    labels.sort_by(|a, b| a.name.cmp(&b.name).then(a.source.cmp(&b.source)));
    labels.dedup_by(|later, earlier| {
        let same = later.name == earlier.name;
        if same {
            std::mem::swap(later, earlier);
        }
        same
    });
}

/// Encodes labels as `repeated Label labels = 1`, with one more in its place: `le` or `quantile` of a bucket.
pub(crate) fn encode(out: &mut Vec<u8>, labels: &[Label<'_>], name: &str, extra: Option<(&str, &str)>) {
    let mut own = [("__name__", name), extra.unwrap_or_default()];
    own.sort_unstable();
    let mut own = own.into_iter().filter(|(name, _)| !name.is_empty()).peekable();
    for label in labels {
        while let Some((name, value)) = own.next_if(|(name, _)| *name <= &*label.name) {
            encode_one(out, name, value);
        }
        let replaced = &*label.name == "__name__" || extra.is_some_and(|(name, _)| *name == *label.name);
        if !replaced {
            encode_one(out, &label.name, &label.value);
        }
    }
    for (name, value) in own {
        encode_one(out, name, value);
    }
}

fn encode_one(out: &mut Vec<u8>, name: &str, value: &str) {
    use super::proto::{put_text, put_varint, text_size};
    out.push(0x0a);
    put_varint(out, (text_size(name) + text_size(value)) as u64);
    put_text(out, 0x0a, name);
    put_text(out, 0x12, value);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settled(labels: &[(Source, &str, &str)]) -> String {
        let mut labels: Vec<_> =
            labels.iter().map(|(source, name, value)| Label::new(*source, *name, *value)).collect();
        settle(&mut labels);
        labels.iter().map(|label| format!("{}={}", label.name, label.value)).collect::<Vec<_>>().join(",")
    }

    #[test]
    fn a_stronger_source_wins_and_external_labels_never_do() {
        use Source::*;
        let labels =
            [(Attribute, "job", "mine"), (Target, "job", "svc"), (External, "job", "x"), (External, "az", "1")];
        assert_eq!(settled(&labels), "az=1,job=svc");
        assert_eq!(settled(&[(External, "a", "x"), (Attribute, "a", "y")]), "a=y");
    }

    #[test]
    fn puts_its_own_labels_in_their_place() {
        let labels = [Label::new(Source::Attribute, "a", "1"), Label::new(Source::Attribute, "z", "2")];
        let mut out = Vec::new();
        encode(&mut out, &labels, "up", Some(("le", "0.5")));
        let text = String::from_utf8_lossy(&out);
        let order: Vec<usize> = ["__name__", "a", "le", "z"].iter().filter_map(|name| text.find(name)).collect();
        assert!(order.len() == 4 && order.is_sorted(), "{text:?}");
    }
}
