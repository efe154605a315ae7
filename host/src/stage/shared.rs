//! What all instances of a stage share and what outlives them: values, rate limits, counters, the log.

mod key_value;
mod token_buckets;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

pub(super) use key_value::KeyValue;
pub(super) use token_buckets::TokenBuckets;

use super::guest::MAX_PATTERNS;
use super::limits::StageLimits;
use super::patterns::Pattern;
use crate::pace::Pace;

/// Names of counters that one stage may have; each is a time series.
const MAX_COUNTERS: usize = 32;
const MAX_COUNTER_NAME: usize = 64;
/// What the patterns of one stage may take in memory; common ones take 1 to 300 KiB.
const MAX_PATTERN_BYTES: usize = 64 << 20;
/// Bytes of a log message that are kept.
const MAX_MESSAGE: usize = 1_024;
/// What stands in place of a secret.
const REDACTED: &str = "[REDACTED]";
/// Messages of one stage: so many per second in the long run, and so many at once.
const MESSAGES_PER_SECOND: f64 = 5.0;
const MESSAGE_BURST: f64 = 50.0;

/// The state of a stage, whatever instance or version of its plugin runs.
pub(super) struct Shared {
    /// The component id of the configuration, for example `filter/health`.
    pub(super) stage: String,
    pub(super) key_value: Mutex<KeyValue>,
    pub(super) token_buckets: Mutex<TokenBuckets>,
    /// What was counted under each name and not taken yet.
    counters: Mutex<BTreeMap<String, u64>>,
    patterns: Mutex<BTreeMap<String, Arc<Pattern>>>,
    log: Mutex<LogRate>,
    /// When it was last said that calls fail.
    pub(super) failing: Mutex<Pace>,
    /// The same of calls that went well when they were made once more.
    pub(super) recovering: Mutex<Pace>,
    /// What no message may repeat; longer ones come first, since they may hold shorter ones.
    secrets: Vec<String>,
}

#[derive(Debug)]
struct LogRate {
    bucket: TokenBuckets,
    started: Instant,
    suppressed: u64,
}

impl Shared {
    /// Starts with nothing.
    pub(super) fn new(stage: &str, limits: &StageLimits, mut secrets: Vec<String>) -> Self {
        secrets.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
        Self {
            secrets,
            stage: stage.to_owned(),
            key_value: Mutex::new(KeyValue::new((limits.key_value_kib as usize) << 10)),
            token_buckets: Mutex::default(),
            counters: Mutex::default(),
            patterns: Mutex::default(),
            log: Mutex::new(LogRate { bucket: TokenBuckets::default(), started: Instant::now(), suppressed: 0 }),
            failing: Mutex::default(),
            recovering: Mutex::default(),
        }
    }

    /// Adds to a counter; false if the name is not allowed or one too many.
    pub(super) fn count(&self, name: &str, delta: u64) -> bool {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
        if name.is_empty() || name.len() > MAX_COUNTER_NAME || !name.bytes().all(allowed) {
            return false;
        }
        let mut counters = lock(&self.counters);
        if let Some(value) = counters.get_mut(name) {
            *value = value.saturating_add(delta);
            return true;
        }
        if counters.len() == MAX_COUNTERS {
            return false;
        }
        counters.insert(name.to_owned(), delta);
        true
    }

    /// What was counted since the last time, by name.
    pub(super) fn take_counts(&self) -> Vec<(String, u64)> {
        let mut counters = lock(&self.counters);
        let counted = counters.iter_mut().filter(|(_, count)| **count > 0);
        counted.map(|(name, count)| (name.clone(), std::mem::take(count))).collect()
    }

    /// A compiled pattern: every instance of the stage asks for the same ones. As many are kept as one may have.
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
        // Those of earlier configurations make room.
        if patterns.len() >= MAX_PATTERNS || !has_room(&patterns) {
            patterns.retain(|_, pattern| Arc::strong_count(pattern) > 1);
        }
        if !has_room(&patterns) {
            return Err(format!("the stage's patterns together take more than {} MiB", MAX_PATTERN_BYTES >> 20));
        }
        patterns.insert(pattern.to_owned(), Arc::clone(&compiled));
        Ok(compiled)
    }

    /// A guest's text as it may be shown: without secrets, in one line, and not too long.
    pub(super) fn shown(&self, message: &str) -> String {
        let without = |message: String, secret: &String| match message.contains(secret.as_str()) {
            true => message.replace(secret.as_str(), REDACTED),
            false => message,
        };
        let mut shown = self.secrets.iter().fold(message.to_owned(), without);
        if shown.contains(char::is_control) {
            shown = shown.chars().map(escaped).collect();
        }
        truncate(&shown).to_owned()
    }

    /// A guest's message as it may be logged: none if there were too many, else how many were left out before it.
    pub(super) fn admit_message(&self, message: &str) -> Option<(String, u64)> {
        let mut log = lock(&self.log);
        let now = u64::try_from(log.started.elapsed().as_nanos()).unwrap_or(u64::MAX);
        if log.bucket.take("", 1, MESSAGES_PER_SECOND, MESSAGE_BURST, now) == 0 {
            log.suppressed += 1;
            return None;
        }
        Some((self.shown(message), std::mem::take(&mut log.suppressed)))
    }
}

/// A control character as it is written in source code: as it is it could pass for a line of the host's log.
fn escaped(character: char) -> String {
    if character.is_control() { character.escape_default().to_string() } else { character.to_string() }
}

/// A lock that a panic elsewhere can't take from us: all state behind these locks is valid after every statement.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

pub(super) fn truncate(message: &str) -> &str {
    &message[..message.floor_char_boundary(MAX_MESSAGE)]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shared() -> Shared {
        Shared::new("filter", &StageLimits::default(), vec!["hunter2".into(), "unt".into()])
    }

    #[test]
    fn counts_under_32_names_and_not_one_more() {
        let shared = shared();
        for i in 0..MAX_COUNTERS {
            assert!(shared.count(&format!("c{i:02}"), 1), "{i}");
        }
        assert!(!shared.count("one_more", 1));
        assert!(shared.count("c31", u64::MAX));
        assert_eq!(shared.take_counts().last(), Some(&("c31".to_owned(), u64::MAX)));
        assert!(!shared.count("one_more", 1), "names stay when their counts are taken");
        assert!(shared.count("c00", 2));
        assert_eq!(shared.take_counts(), [("c00".to_owned(), 2)]);
    }

    #[test]
    fn refuses_names_that_no_metric_can_have() {
        for name in ["", "a-b", "ä", "a b", &"x".repeat(65)] {
            assert!(!shared().count(name, 1), "{name}");
        }
        assert!(shared().count(&"x".repeat(64), 1));
    }

    #[test]
    fn keeps_patterns_up_to_their_limit_and_forgets_those_that_nobody_uses() {
        let shared = shared();
        let large = |i: usize| format!("[\\s\\S]{{9000}}{i}");
        let mut used = Vec::new();
        let error = loop {
            match shared.pattern(&large(used.len())) {
                Ok(pattern) => used.push(pattern),
                Err(error) => break error,
            }
        };
        assert_eq!(error, "the stage's patterns together take more than 64 MiB");
        let size = used[0].size_bytes();
        assert_eq!(used.len(), MAX_PATTERN_BYTES / size, "each takes {size} bytes");
        assert!(shared.pattern(&large(0)).is_ok(), "it is there already");
        used.truncate(1);
        assert!(shared.pattern(&large(99)).is_ok());
        assert_eq!(lock(&shared.patterns).len(), 2);
    }

    #[test]
    fn shows_no_secret() {
        assert_eq!(shared().shown("key hunter2 is too short"), "key [REDACTED] is too short");
        let (logged, _) = shared().admit_message("hunter2hunter2 hunt").expect("the first");
        assert_eq!(logged, "[REDACTED][REDACTED] h[REDACTED]");
    }

    #[test]
    fn shows_one_line() {
        let forged = "done\n2026-01-01T00:00:00Z ERROR \u{1b}[2Jlost\r\u{85}ä";
        let expected = r"done\n2026-01-01T00:00:00Z ERROR \u{1b}[2Jlost\r\u{85}ä";
        assert_eq!(shared().shown(forged), expected);
        assert_eq!(shared().admit_message(forged), Some((expected.to_owned(), 0)));
    }

    #[test]
    fn limits_the_rate_and_the_length_of_messages() {
        let shared = shared();
        let long = "ä".repeat(1_000);
        assert_eq!(shared.admit_message(&long).map(|(message, _)| message.len()), Some(MAX_MESSAGE));
        let admitted = (0..200).filter(|_| shared.admit_message("x").is_some()).count();
        assert!((49..60).contains(&admitted), "{admitted}");
    }
}
