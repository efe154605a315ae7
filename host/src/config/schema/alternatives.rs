//! Schemas of which one has to fit, as schemars writes them for enums with data: what they are, and which of them a value
//! was written for.

use std::borrow::Cow;

use serde_json::{Map, Value};

use super::{LeftOut, Walker, choices, has_type, property, referred, required};
use crate::config::error::{Report, join};
use crate::config::node::{Content, Node};

/// What refers to other schemas.
const REFERRING: [&str; 4] = ["$ref", "anyOf", "oneOf", "allOf"];
/// References that refer to each other without end stop here.
const MAX_REFERENCES: usize = 32;
/// So many schemas are looked at for those of one value: where several refer to each other there are ever more ways.
const MAX_LOOKS: usize = 10_000;
/// So many forms of one object are told apart; those of several enums in it multiply.
const MAX_FORMS: usize = 256;
/// Where alternatives stand in alternatives, each is tried so deep; below that the first one counts.
const MAX_TRIALS: usize = 4;

/// Where alternatives have a constant, which tells them apart.
struct Tag<'s> {
    key: &'s str,
    texts: Vec<&'s str>,
}

/// What reading a value by one of the alternatives led to.
#[derive(Default)]
struct Trial {
    report: Report,
    left_out: LeftOut,
    read: Option<Value>,
}

impl<'a> Walker<'a> {
    /// The schemas of which one has to fit, with references followed and null left out.
    pub(super) fn alternatives<'s>(&self, schema: &'s Value) -> Vec<Cow<'s, Value>>
    where
        'a: 's,
    {
        let mut found = Vec::new();
        self.collect(schema, &mut found, 0, &mut 0);
        found
    }

    fn collect<'s>(&self, schema: &'s Value, found: &mut Vec<Cow<'s, Value>>, references: usize, looks: &mut usize)
    where
        'a: 's,
    {
        *looks += 1;
        if references > MAX_REFERENCES || *looks > MAX_LOOKS {
            return;
        }
        let refers = REFERRING.iter().any(|key| schema.get(key).is_some());
        if refers && has_type(schema, "object") {
            found.extend(self.forms(schema, references, looks).into_iter().map(Cow::Owned));
            return;
        }
        if refers {
            for choice in self.groups(schema).into_iter().flatten() {
                self.collect(choice, found, references + 1, looks);
            }
            return;
        }
        if schema.get("type").and_then(Value::as_str) != Some("null") {
            found.push(Cow::Borrowed(schema));
        }
    }

    /// What a schema refers to: of each group one has to fit.
    fn groups<'s>(&self, schema: &'s Value) -> Vec<Vec<&'s Value>>
    where
        'a: 's,
    {
        let list = |key: &str| schema.get(key).and_then(Value::as_array).into_iter().flatten();
        let target = referred(schema, self.root);
        let mut groups: Vec<Vec<&Value>> = target.into_iter().chain(list("allOf")).map(|one| vec![one]).collect();
        groups.extend(["anyOf", "oneOf"].map(|key| list(key).collect()));
        groups.retain(|group| !group.is_empty());
        groups
    }

    /// The forms of an object that has something of its own beside what it refers to: schemars writes the tag of an enum
    /// beside a reference to the variant's data, and the keys of a struct beside the enum that is flattened into it.
    fn forms(&self, schema: &Value, references: usize, looks: &mut usize) -> Vec<Value> {
        let mut own = schema.as_object().cloned().unwrap_or_default();
        own.retain(|key, _| !REFERRING.contains(&key.as_str()));
        let mut forms = vec![own];
        for group in self.groups(schema) {
            let mut choices = Vec::new();
            group.into_iter().for_each(|choice| self.collect(choice, &mut choices, references + 1, looks));
            let choices: Vec<&Map<String, Value>> = choices.iter().filter_map(|choice| choice.as_object()).collect();
            if !choices.is_empty() && forms.len() * choices.len() <= MAX_FORMS {
                forms = forms.iter().flat_map(|form| choices.iter().map(|choice| joined(form, choice))).collect();
            }
        }
        forms.into_iter().map(Value::Object).collect()
    }

    /// Reads a map or a list by the one of several alternatives that it was written for: whose tag it has, else whose keys,
    /// else which it fits best.
    pub(super) fn fit(&mut self, node: &Node, mut alternatives: Vec<&Value>, path: &str) -> Option<Value> {
        if alternatives.len() > 1
            && let Some(Tag { key, texts }) = tag(&alternatives)
        {
            let path = join(path, key);
            let Some(entry) = node.get(key).filter(|entry| !entry.value.is_null()) else {
                self.report.error(Some(&node.place), path, "must be set");
                return None;
            };
            let text = self.choice(&entry.value, entry.value.text().unwrap_or_default(), &texts, false, &path)?;
            let mut texts = texts.iter();
            alternatives.retain(|_| texts.next().is_some_and(|tag| text == **tag));
        }
        let least = alternatives.iter().map(|one| misfits(node, one)).min();
        alternatives.retain(|one| Some(misfits(node, one)) == least);
        if alternatives.len() == 1 || self.trials == MAX_TRIALS {
            return self.block(node, alternatives.first()?, path);
        }
        let trials = alternatives.into_iter().map(|schema| self.attempt(node, schema, path));
        let Trial { mut report, mut left_out, read } = trials.min_by_key(|trial| trial.report.errors.len())?;
        self.report.errors.append(&mut report.errors);
        self.report.warnings.append(&mut report.warnings);
        self.left_out.items.append(&mut left_out.items);
        self.left_out.maps.append(&mut left_out.maps);
        read
    }

    fn attempt(&self, node: &Node, schema: &Value, path: &str) -> Trial {
        let mut trial = Trial::default();
        let Trial { report, left_out, .. } = &mut trial;
        let mut walker = Walker { root: self.root, report, left_out, trials: self.trials + 1 };
        trial.read = walker.block(node, schema, path);
        trial
    }

    /// Reads a map or a list by the schema of one.
    fn block(&mut self, node: &Node, schema: &Value, path: &str) -> Option<Value> {
        match &node.content {
            Content::Mapping(entries) => self.object(node, entries, schema, path),
            Content::Sequence(items) => self.array(items, schema, path),
            Content::Scalar { .. } => None,
        }
    }
}

/// An object that has to fit both.
fn joined(own: &Map<String, Value>, other: &Map<String, Value>) -> Map<String, Value> {
    let mut all = own.clone();
    for (key, value) in other {
        match (key.as_str(), all.get_mut(key), value) {
            ("properties" | "patternProperties", Some(Value::Object(mine)), Value::Object(others)) => {
                let missing = others.iter().filter(|(key, _)| !mine.contains_key(*key)).collect::<Vec<_>>();
                mine.extend(missing.into_iter().map(|(key, value)| (key.clone(), value.clone())));
            }
            ("required", Some(Value::Array(mine)), Value::Array(others)) => mine.extend(others.iter().cloned()),
            (_, Some(_), _) => {}
            (_, None, _) => drop(all.insert(key.clone(), value.clone())),
        }
    }
    all
}

/// The key under which each of the alternatives must have a certain text.
fn tag<'s>(alternatives: &[&'s Value]) -> Option<Tag<'s>> {
    let text = |schema: &'s Value, key: &str| {
        let only = choices(schema.get("properties")?.get(key)?);
        only.first().copied().filter(|_| only.len() == 1 && required(schema).any(|required| required == key))
    };
    let keys = alternatives.first()?.get("properties")?.as_object()?.keys();
    keys.into_iter().find_map(|key| {
        let texts: Option<Vec<&str>> = alternatives.iter().map(|one| text(one, key)).collect();
        texts.map(|texts| Tag { key, texts })
    })
}

/// How many keys of a map are unknown to a schema or missing.
fn misfits(node: &Node, schema: &Value) -> usize {
    let Content::Mapping(entries) = &node.content else { return 0 };
    let is_open = match schema.get("additionalProperties") {
        Some(others) => *others != Value::Bool(false),
        None => schema.get("properties").is_none(),
    };
    let unknown = entries.iter().filter(|entry| !is_open && property(schema, &entry.key).is_none());
    unknown.count() + required(schema).filter(|key| node.get(key).is_none()).count()
}

#[cfg(test)]
mod tests;
