//! The attributes that tell what was done: counts and keys, per resource, scope and row, and for log bodies.

use std::collections::BTreeMap;

use sluice_sdk::{Batch, Field, Level, Outcome, Owner, Table, Texts, ValueKind};

use crate::body_path::BodyPaths;
use crate::config::Summary;
use crate::plan::{Plan, Treatment};

/// What was done to an attribute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Deed {
    /// It was removed; the Collector says redacted.
    Redacted,
    Masked,
    /// It was spared because its value is allowed.
    Allowed,
    Ignored,
}

const DEEDS: [Deed; 4] = [Deed::Redacted, Deed::Masked, Deed::Allowed, Deed::Ignored];

/// Names of the attributes for the keys and for the count of each deed.
const ATTRIBUTE_NAMES: [(Option<&str>, &str); 4] = [
    (Some("redaction.redacted.keys"), "redaction.redacted.count"),
    (Some("redaction.masked.keys"), "redaction.masked.count"),
    (Some("redaction.allowed.keys"), "redaction.allowed.count"),
    (None, "redaction.ignored.count"),
];

/// The same for log bodies.
const BODY_NAMES: [(Option<&str>, &str); 4] = [
    (Some("redaction.body.redacted.keys"), "redaction.body.redacted.count"),
    (Some("redaction.body.masked.keys"), "redaction.body.masked.count"),
    (Some("redaction.body.allowed.keys"), "redaction.body.allowed.count"),
    (None, "redaction.body.ignored.count"),
];

/// Attributes of the summary that `allowed_keys` need not name. The others are removed when a batch comes again.
pub(crate) const ALWAYS_ALLOWED: [&str; 5] = [
    "redaction.redacted.keys",
    "redaction.redacted.count",
    "redaction.masked.keys",
    "redaction.masked.count",
    "redaction.ignored.count",
];

/// Whether an attribute is one that a summary writes.
pub(crate) fn is_name(key: &str) -> bool {
    ATTRIBUTE_NAMES.iter().chain(&BODY_NAMES).any(|(keys, count)| *keys == Some(key) || *count == key)
}

/// What was done to the attributes of one entity, or to the body of one record.
#[derive(Debug, Default)]
struct Tally {
    counts: [i64; 4],
    keys: [Vec<String>; 4],
}

/// Writes the summary of one batch.
pub(crate) struct SummaryWriter<'a> {
    pub(crate) batch: &'a Batch,
    pub(crate) plan: &'a Plan,
    pub(crate) level: Summary,
    /// New texts of entries that were changed.
    pub(crate) changed: &'a BTreeMap<u32, String>,
}

impl SummaryWriter<'_> {
    /// Adds the attributes to the outcome. `deed` says what was done to an entry.
    pub(crate) fn write(&self, deed: impl Fn(u32) -> Option<Deed>, outcome: &mut Outcome) {
        let table = self.batch.table();
        let mut of_attributes: BTreeMap<(u8, u32), Tally> = BTreeMap::new();
        let mut of_bodies: BTreeMap<(u8, u32), Tally> = BTreeMap::new();
        let paths = BodyPaths::new(table, self.level == Summary::Debug);
        for i in 0..table.len() {
            let (owner, entity) = (table.owner(i), table.entity(i));
            let (Some(deed), Some(level)) = (deed(i as u32), level_number(owner)) else { continue };
            let tallies = if owner == Owner::Body { &mut of_bodies } else { &mut of_attributes };
            let tally = tallies.entry((level, entity)).or_default();
            tally.counts[deed as usize] += 1;
            if self.level == Summary::Debug {
                let key = if owner == Owner::Body { paths.of(i) } else { table.key(i).to_owned() };
                tally.keys[deed as usize].push(key);
            }
        }
        let existing = self.existing(table);
        for (tallies, names) in [(of_attributes, ATTRIBUTE_NAMES), (of_bodies, BODY_NAMES)] {
            self.write_tallies(tallies, &names, &existing, outcome);
        }
    }

    fn write_tallies(
        &self,
        mut tallies: BTreeMap<(u8, u32), Tally>,
        names: &[(Option<&str>, &str); 4],
        existing: &BTreeMap<(u8, u32, &str), usize>,
        outcome: &mut Outcome,
    ) {
        for (level_number, level) in [(0, Level::Resource), (1, Level::Scope), (2, Level::Record)] {
            for (deed, (keys_name, count_name)) in DEEDS.iter().map(|deed| *deed as usize).zip(names) {
                let mut done: Vec<(u32, &mut Tally)> = tallies
                    .range_mut((level_number, 0)..=(level_number, u32::MAX))
                    .map(|((_, entity), tally)| (*entity, tally))
                    .filter(|(_, tally)| tally.counts[deed] > 0)
                    .collect();
                if done.is_empty() {
                    continue;
                }
                let entities: Vec<u32> = done.iter().map(|(entity, _)| *entity).collect();
                let earlier = |entity, name| existing.get(&(level_number, entity, name)).copied();
                if let (Summary::Debug, Some(name)) = (self.level, keys_name) {
                    let join = |(entity, tally): &mut (u32, &mut Tally)| {
                        let earlier = earlier(*entity, *name).map(|entry| self.text(entry)).unwrap_or_default();
                        joined(std::mem::take(&mut tally.keys[deed]), &earlier)
                    };
                    let texts: Texts = done.iter_mut().map(join).collect();
                    outcome.set_values(Field::attribute(level, *name), entities.clone(), texts);
                }
                let count = |(entity, tally): &(u32, &mut Tally)| {
                    tally.counts[deed]
                        .wrapping_add(earlier(*entity, *count_name).map_or(0, |entry| self.integer(entry)))
                };
                let counts: Vec<i64> = done.iter().map(count).collect();
                outcome.set_values(Field::attribute(level, *count_name), entities, counts);
            }
        }
    }

    /// Attributes of an earlier summary that are still there: the first one of each name counts.
    fn existing<'t>(&self, table: Table<'t>) -> BTreeMap<(u8, u32, &'t str), usize> {
        let mut existing = BTreeMap::new();
        let names: Vec<Option<&str>> = table.keys().map(|key| is_name(key).then_some(key)).collect();
        if names.iter().all(Option::is_none) {
            return existing;
        }
        for (i, code) in table.key_codes().iter().enumerate() {
            let (owner, treatment) = (table.owner(i), self.plan.of(i as u32));
            let is_gone = matches!(treatment, Treatment::Removed | Treatment::Inside);
            if let (Some(name), Some(level), false) = (names[*code as usize], level_number(owner), is_gone)
                && owner != Owner::Body
            {
                existing.entry((level, table.entity(i), name)).or_insert(i);
            }
        }
        existing
    }

    /// The text that an entry has now; empty if it has none.
    fn text(&self, entry: usize) -> String {
        if let Some(text) = self.changed.get(&(entry as u32)) {
            return text.clone();
        }
        match self.batch.table().kind(entry) {
            ValueKind::Text => self.batch.table_text(&[entry as u32]).get(0).to_owned(),
            _ => String::new(),
        }
    }

    /// The integer that an entry has now; 0 if it has none.
    fn integer(&self, entry: usize) -> i64 {
        if self.changed.contains_key(&(entry as u32)) {
            return 0;
        }
        self.batch.table().integer(entry).unwrap_or(0)
    }
}

/// Where the summary of an owner is written; none if it has no place there.
fn level_number(owner: Owner) -> Option<u8> {
    match owner {
        Owner::Resource => Some(0),
        Owner::Scope => Some(1),
        Owner::Record | Owner::Body => Some(2),
        Owner::Metric | Owner::Event | Owner::Link | Owner::Exemplar => None,
    }
}

/// All keys, those of an earlier summary included, sorted.
fn joined(mut keys: Vec<String>, earlier: &str) -> String {
    if !earlier.is_empty() {
        keys.extend(earlier.split(',').map(str::to_owned));
    }
    keys.sort_unstable();
    keys.join(",")
}
