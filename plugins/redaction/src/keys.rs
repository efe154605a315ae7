//! Rules about keys: which attributes are passed on, removed, masked as a whole, or looked into.

use std::collections::{BTreeMap, BTreeSet};

use sluice_sdk::{Pattern, Texts};

use crate::summary;

/// What the key says about an attribute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum KeyClass {
    /// It is passed on as it is.
    Ignored,
    /// It is removed.
    Removed,
    /// Its whole value is masked.
    Blocked,
    /// Its value is searched.
    Plain,
}

/// The rules, and what they said about the keys that were seen.
pub(crate) struct KeyRules {
    pub(crate) ignored: BTreeSet<String>,
    pub(crate) ignored_patterns: Vec<Pattern>,
    /// None allows all.
    pub(crate) allowed: Option<BTreeSet<String>>,
    pub(crate) blocked_patterns: Vec<Pattern>,
    pub(crate) known: BTreeMap<String, KeyClass>,
}

/// Keys to remember. Telemetry has some hundred; a sender that makes up keys must not fill the memory.
const MOST_KNOWN: usize = 4096;

impl KeyRules {
    /// The set of allowed keys; the Collector adds some of the attributes that its summary writes.
    pub(crate) fn allowed_set(keys: Vec<String>) -> BTreeSet<String> {
        keys.into_iter().chain(summary::ALWAYS_ALLOWED.map(str::to_owned)).collect()
    }

    /// The class of each key. None if all are plain.
    pub(crate) fn classify(&mut self, keys: &Texts) -> Option<Vec<KeyClass>> {
        if self.is_trivial() {
            return None;
        }
        self.learn(keys);
        let classes: Vec<KeyClass> =
            keys.iter().map(|key| self.known.get(key).copied().unwrap_or(KeyClass::Removed)).collect();
        classes.iter().any(|class| *class != KeyClass::Plain).then_some(classes)
    }

    /// Whether all keys are plain, whatever they are.
    pub(crate) fn is_trivial(&self) -> bool {
        self.ignored.is_empty()
            && self.ignored_patterns.is_empty()
            && self.allowed.is_none()
            && self.blocked_patterns.is_empty()
    }

    /// Classifies the keys that were not seen before.
    fn learn(&mut self, keys: &Texts) {
        let is_new = |key: &&str| !self.known.contains_key(*key);
        let mut new: Texts = keys.iter().filter(is_new).collect();
        if new.is_empty() {
            return;
        }
        if self.known.len() + new.len() > MOST_KNOWN {
            self.known.clear();
            new = keys.iter().collect();
        }
        let matches_any = |patterns: &[Pattern]| {
            let mut result = sluice_sdk::Bitmap::new(new.len(), false);
            patterns.iter().for_each(|pattern| result.or(&pattern.is_match_all(&new)));
            result
        };
        let ignored = matches_any(&self.ignored_patterns);
        let blocked = matches_any(&self.blocked_patterns);
        for (i, key) in new.iter().enumerate() {
            let class = if ignored.get(i) || self.ignored.contains(key) {
                KeyClass::Ignored
            } else if self.allowed.as_ref().is_some_and(|allowed| !allowed.contains(key)) {
                KeyClass::Removed
            } else if blocked.get(i) {
                KeyClass::Blocked
            } else {
                KeyClass::Plain
            };
            self.known.insert(key.to_owned(), class);
        }
    }
}
