//! What all instances of a configured plugin share, and what goes with them when another plugin takes the stage.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use super::guest::MAX_PATTERNS;
use super::patterns::Pattern;
use super::shared::{Shared, lock};

/// Names of counters that one plugin may have in a stage; each is a time series.
const MAX_COUNTERS: usize = 32;
/// What the patterns of one plugin may take in memory in a stage; common ones take 40 to 600 KiB.
const MAX_PATTERN_BYTES: usize = 64 << 20;

/// A plugin as it is configured for a stage, until another takes its place.
pub(super) struct Edition {
    /// What outlives it.
    pub(super) shared: Arc<Shared>,
    counters: Mutex<BTreeSet<String>>,
    patterns: Mutex<BTreeMap<String, Arc<Pattern>>>,
}

impl Edition {
    /// Starts with nothing of its own.
    pub(super) fn new(shared: Arc<Shared>) -> Arc<Self> {
        Arc::new(Self { shared, counters: Mutex::default(), patterns: Mutex::default() })
    }

    /// Adds to a counter of the stage; false if the name is not allowed or one too many.
    pub(super) fn count(&self, name: &str, delta: u64) -> bool {
        let mut names = lock(&self.counters);
        let is_new = !names.contains(name);
        if (is_new && names.len() == MAX_COUNTERS) || !self.shared.count(name, delta) {
            return false;
        }
        if is_new {
            names.insert(name.to_owned());
        }
        true
    }

    /// A compiled pattern: every instance asks for the same ones. As many are kept as one may have.
    pub(super) fn pattern(&self, pattern: &str) -> Result<Arc<Pattern>, String> {
        let mut patterns = lock(&self.patterns);
        if let Some(compiled) = patterns.get(pattern) {
            return Ok(Arc::clone(compiled));
        }
        let compiled = Pattern::new(pattern)?;
        let has_room = |patterns: &BTreeMap<String, Arc<Pattern>>| {
            let used: usize = patterns.values().map(|pattern| pattern.size_bytes()).sum();
            used + compiled.size_bytes() <= MAX_PATTERN_BYTES
        };
        // Those of instances that are gone make room: a plugin may ask for others each time.
        if patterns.len() >= MAX_PATTERNS || !has_room(&patterns) {
            patterns.retain(|_, pattern| Arc::strong_count(pattern) > 1);
        }
        if !has_room(&patterns) {
            return Err(format!("the stage's patterns together take more than {} MiB", MAX_PATTERN_BYTES >> 20));
        }
        patterns.insert(pattern.to_owned(), Arc::clone(&compiled));
        Ok(compiled)
    }
}

#[cfg(test)]
mod tests {
    use super::super::limits::StageLimits;
    use super::*;

    fn shared() -> Arc<Shared> {
        Arc::new(Shared::new("filter", &StageLimits::default(), Vec::new()))
    }

    #[test]
    fn counts_under_32_names_and_not_one_more() {
        let edition = Edition::new(shared());
        for i in 0..MAX_COUNTERS {
            assert!(edition.count(&format!("c{i:02}"), 1), "{i}");
        }
        assert!(!edition.count("one_more", 1));
        assert!(edition.count("c31", 1));
        assert_eq!(edition.shared.take_counts().last(), Some(&("c31".to_owned(), 2)));
        assert!(!edition.count("one_more", 1), "names stay when their counts are taken");
    }

    #[test]
    fn the_next_plugin_has_names_of_its_own() {
        let shared = shared();
        let editions = [Edition::new(Arc::clone(&shared)), Edition::new(Arc::clone(&shared))];
        for (i, edition) in editions.iter().enumerate() {
            for name in 0..MAX_COUNTERS {
                assert!(edition.count(&format!("e{i}_{name}"), 1), "{i} {name}");
            }
        }
        // Batches finish on the plugin that they started with, and what it counts is not lost.
        assert!(editions[0].count("e0_0", 1));
        let counts = shared.take_counts();
        assert_eq!((counts.len(), &counts[0]), (2 * MAX_COUNTERS, &("e0_0".to_owned(), 2)));
    }

    /// A pattern that takes some MiB.
    fn large(i: usize) -> String {
        format!("[\\s\\S]{{9000}}{i}")
    }

    /// Asks for large patterns until one is refused.
    fn fill(edition: &Edition) -> Vec<Arc<Pattern>> {
        let mut used = Vec::new();
        let error = loop {
            match edition.pattern(&large(used.len())) {
                Ok(pattern) => used.push(pattern),
                Err(error) => break error,
            }
        };
        assert_eq!(error, "the stage's patterns together take more than 64 MiB");
        used
    }

    #[test]
    fn keeps_patterns_up_to_their_limit_and_forgets_those_that_nobody_uses() {
        let edition = Edition::new(shared());
        let mut used = fill(&edition);
        let size = used[0].size_bytes();
        assert_eq!(used.len(), MAX_PATTERN_BYTES / size, "each takes {size} bytes");
        assert!(edition.pattern(&large(0)).is_ok(), "it is there already");
        used.truncate(1);
        assert!(edition.pattern(&large(99)).is_ok());
        assert_eq!(lock(&edition.patterns).len(), 2);
    }

    #[test]
    fn the_patterns_of_the_plugin_before_take_no_room_and_go_with_it() {
        let shared = shared();
        let before = Edition::new(Arc::clone(&shared));
        let used = Arc::downgrade(&fill(&before)[0]);
        let after = Edition::new(shared);
        assert!(after.pattern(&large(99)).is_ok());
        assert!(used.strong_count() > 0, "an instance that is made later asks for it again");
        drop(before);
        assert_eq!(used.strong_count(), 0);
    }
}
