//! The labels of a series: where they come from, which wins, and their encoding, sorted as receivers demand.

use std::borrow::Cow;
use std::collections::HashMap;
use std::rc::Rc;

use sluice_wire::view::{KeyValue, Value};

use super::names::{Naming, label_name};
use crate::export::recent::Recent;

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
    /// What became of earlier points' keys.
    shapes: Recent<Shape<'a>>,
    /// Keys and values of the attributes of the current point.
    found: Vec<(&'a str, Cow<'a, str>)>,
}

/// Which labels come of attributes with certain keys in a certain order, beside certain shared labels.
struct Shape<'a> {
    keys: Vec<&'a str>,
    shared: Vec<Rc<str>>,
    labels: Vec<Place>,
}

/// Where a label comes from.
enum Place {
    Attribute(usize, Rc<str>),
    Shared(usize),
}

/// An attribute whose name has nothing that Prometheus would take.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct BadLabel(pub(crate) String);

impl<'a> LabelNames<'a> {
    /// Names in this way.
    pub(crate) fn new(naming: Naming) -> Self {
        Self { naming, known: HashMap::new(), shapes: Recent::default(), found: Vec::new() }
    }

    /// The name of a key.
    pub(crate) fn name(&mut self, key: &'a str) -> Result<Rc<str>, BadLabel> {
        let naming = self.naming;
        let name = self.known.entry(key).or_insert_with(|| label_name(naming, key).map(Rc::from));
        name.clone().ok_or_else(|| BadLabel(key.to_owned()))
    }

    /// All labels of a point, sorted. Attributes without a value are left out; of several whose names are or become one
    /// the values are joined by `;`, in the order of their keys.
    pub(crate) fn labels(
        &mut self,
        shared: &[Label<'a>],
        attributes: impl Iterator<Item = KeyValue<'a>>,
    ) -> Result<Vec<Label<'a>>, BadLabel> {
        let mut found = std::mem::take(&mut self.found);
        found.clear();
        for attribute in attributes {
            let (key, value) = (attribute.key(), attribute.value());
            let text = value.as_string();
            if !matches!(value, Value::Empty) && !text.is_empty() {
                found.push((key, text));
            }
        }
        let labels = match self.shapes.find(|shape| shape.fits(shared, &found)) {
            Some(shape) => Ok(shape.labels(shared, &mut found)),
            None => self.unknown_labels(shared, &mut found),
        };
        self.found = found;
        labels
    }

    fn unknown_labels(
        &mut self,
        shared: &[Label<'a>],
        found: &mut [(&'a str, Cow<'a, str>)],
    ) -> Result<Vec<Label<'a>>, BadLabel> {
        let names = found.iter().map(|(key, _)| self.name(key)).collect::<Result<Vec<_>, _>>()?;
        if let Some(shape) = Shape::new(shared, found, &names) {
            let labels = shape.labels(shared, found);
            self.shapes.keep(shape);
            return Ok(labels);
        }
        let named = names.into_iter().zip(found).map(|(name, (key, value))| (name, *key, std::mem::take(value)));
        let mut labels = joined(named.collect());
        labels.extend_from_slice(shared);
        settle(&mut labels);
        Ok(labels)
    }
}

impl<'a> Shape<'a> {
    /// None if a name occurs twice: then it depends on the values, and on who says it, what becomes of them.
    fn new(shared: &[Label<'a>], found: &[(&'a str, Cow<'a, str>)], names: &[Rc<str>]) -> Option<Self> {
        let attributes = names.iter().enumerate().map(|(at, name)| (&**name, Place::Attribute(at, Rc::clone(name))));
        let shared_places = shared.iter().enumerate().map(|(at, label)| (&*label.name, Place::Shared(at)));
        let mut places: Vec<_> = attributes.chain(shared_places).collect();
        places.sort_by_key(|(name, _)| *name);
        let is_unique = places.windows(2).all(|pair| pair[0].0 != pair[1].0);
        is_unique.then(|| Self {
            keys: found.iter().map(|(key, _)| *key).collect(),
            shared: shared.iter().map(|label| Rc::clone(&label.name)).collect(),
            labels: places.into_iter().map(|(_, place)| place).collect(),
        })
    }

    fn fits(&self, shared: &[Label<'a>], found: &[(&'a str, Cow<'a, str>)]) -> bool {
        self.keys.len() == found.len()
            && self.shared.len() == shared.len()
            && self.keys.iter().zip(found).all(|(known, (key, _))| known == key)
            && self.shared.iter().zip(shared).all(|(known, label)| *known == label.name)
    }

    /// The labels, with the values of attributes taken out of `found`.
    fn labels(&self, shared: &[Label<'a>], found: &mut [(&'a str, Cow<'a, str>)]) -> Vec<Label<'a>> {
        let label = |place: &Place| match place {
            Place::Attribute(at, name) => {
                Label::new(Source::Attribute, Rc::clone(name), std::mem::take(&mut found[*at].1))
            }
            Place::Shared(at) => shared[*at].clone(),
        };
        self.labels.iter().map(label).collect()
    }
}

/// Labels of attributes, given with the keys that they had: of several whose names are or became one the values are joined
/// by `;`, in the order of their keys.
pub(crate) fn joined<'a>(mut named: Vec<(Rc<str>, &'a str, Cow<'a, str>)>) -> Vec<Label<'a>> {
    named.sort_by(|(a, a_key, _), (b, b_key, _)| a.cmp(b).then_with(|| a_key.cmp(b_key)));
    let mut labels: Vec<Label<'a>> = Vec::with_capacity(named.len());
    for (name, _, value) in named {
        match labels.last_mut() {
            Some(last) if last.name == name => {
                if last.value != value {
                    let joined = last.value.to_mut();
                    joined.push(';');
                    joined.push_str(&value);
                }
            }
            _ => labels.push(Label::new(Source::Attribute, name, value)),
        }
    }
    labels
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

    fn shown(labels: Vec<Label<'_>>) -> Vec<String> {
        labels.iter().map(|label| format!("{}={}", label.name, label.value)).collect()
    }

    proptest::proptest! {
        #[test]
        fn a_point_gets_its_labels_whatever_came_before(
            points in proptest::collection::vec(
                proptest::collection::vec((0..6_usize, 0..4_usize), 0..5), 1..20),
            with_job in proptest::collection::vec(proptest::bool::ANY, 20),
        ) {
            const KEYS: [&str; 6] = ["a.b", "a_b", "z", "job", "le", "c"];
            const VALUES: [&str; 4] = ["", "x", "y", "z"];
            let mut writer = sluice_wire::LogsWriter::with_capacity(0);
            writer.resource_logs(|resource| resource.scope_logs(|scope| {
                for attributes in &points {
                    scope.log_record(|record| {
                        attributes.iter().for_each(|(k, v)| record.attribute(KEYS[*k], |value| value.text(VALUES[*v])));
                    });
                }
            }));
            let bytes = writer.finish();
            let shared = [Label::new(Source::External, "az", "1"), Label::new(Source::Target, "job", "svc")];
            let mut names = LabelNames::new(Naming::WithSuffixes);
            let logs = sluice_wire::view::LogsView::new(&bytes);
            let records = logs.resource_logs().flat_map(|r| r.scope_logs().flat_map(|s| s.log_records()).collect::<Vec<_>>());
            for (record, with_job) in records.zip(with_job) {
                let shared = &shared[..1 + usize::from(with_job)];
                let fresh = LabelNames::new(Naming::WithSuffixes).labels(shared, record.attributes());
                let fresh = fresh.expect("valid names");
                proptest::prop_assert!(fresh.is_sorted_by(|a, b| a.name < b.name));
                proptest::prop_assert_eq!(names.labels(shared, record.attributes()).map(shown), Ok(shown(fresh)));
            }
        }
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
