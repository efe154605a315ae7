//! What all instances of a stage share and what outlives them: values, rate limits, counters, the log.

mod key_value;
mod token_buckets;

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

pub(super) use key_value::KeyValue;
pub(super) use token_buckets::TokenBuckets;

use super::limits::StageLimits;
use crate::pace::Pace;

/// Names of counters that the plugins of one stage may have, one after the other: a time series lasts until a restart.
const MAX_COUNTERS: usize = 320;
const MAX_COUNTER_NAME: usize = 64;
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
    log: Mutex<LogRate>,
    /// When it was last said that calls fail.
    pub(super) failing: Mutex<Pace>,
    /// The same of calls that went well when they were made once more.
    pub(super) recovering: Mutex<Pace>,
    /// The same of instances that made room for others because their memory was nearly full.
    pub(super) full: Mutex<Pace>,
    /// What no message may repeat; longer ones come first, since they may hold shorter ones.
    secrets: Mutex<Vec<String>>,
}

#[derive(Debug)]
struct LogRate {
    bucket: TokenBuckets,
    started: Instant,
    suppressed: u64,
}

impl Shared {
    /// Starts with nothing.
    pub(super) fn new(stage: &str, limits: &StageLimits, secrets: Vec<String>) -> Self {
        let shared = Self {
            secrets: Mutex::default(),
            stage: stage.to_owned(),
            key_value: Mutex::new(KeyValue::new((limits.key_value_kib as usize) << 10)),
            token_buckets: Mutex::default(),
            counters: Mutex::default(),
            log: Mutex::new(LogRate { bucket: TokenBuckets::default(), started: Instant::now(), suppressed: 0 }),
            failing: Mutex::default(),
            recovering: Mutex::default(),
            full: Mutex::default(),
        };
        shared.hide(secrets);
        shared
    }

    /// Adds to what no message may repeat.
    pub(super) fn hide(&self, secrets: Vec<String>) {
        let mut all = lock(&self.secrets);
        all.extend(secrets);
        all.sort_by(|a, b| b.len().cmp(&a.len()).then_with(|| a.cmp(b)));
        all.dedup();
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

    /// A guest's text as it may be shown: without secrets, in one line, and not too long.
    pub(super) fn shown(&self, message: &str) -> String {
        let without = |message: String, secret: &String| match message.contains(secret.as_str()) {
            true => message.replace(secret.as_str(), REDACTED),
            false => message,
        };
        let mut shown = lock(&self.secrets).iter().fold(message.to_owned(), without);
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

    /// How many messages were left out since the last one.
    pub(super) fn take_suppressed(&self) -> u64 {
        std::mem::take(&mut lock(&self.log).suppressed)
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
    fn counts_under_320_names_and_not_one_more() {
        let shared = shared();
        for i in 0..MAX_COUNTERS {
            assert!(shared.count(&format!("c{i:03}"), 1), "{i}");
        }
        assert!(!shared.count("one_more", 1));
        assert!(shared.count("c319", u64::MAX));
        assert_eq!(shared.take_counts().last(), Some(&("c319".to_owned(), u64::MAX)));
        assert!(!shared.count("one_more", 1), "names stay when their counts are taken");
        assert!(shared.count("c000", 2));
        assert_eq!(shared.take_counts(), [("c000".to_owned(), 2)]);
    }

    #[test]
    fn refuses_names_that_no_metric_can_have() {
        for name in ["", "a-b", "ä", "a b", &"x".repeat(65)] {
            assert!(!shared().count(name, 1), "{name}");
        }
        assert!(shared().count(&"x".repeat(64), 1));
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
