//! The host's offers in native tests: everything in thread-locals, and time that a test sets.

use std::cell::RefCell;
use std::collections::BTreeMap;

use regex::Regex;

use super::log::Level;
use crate::bitmap::Bitmap;
use crate::pattern::Matches;
use crate::texts::{Texts, TextsView};

/// What a pattern finds in the texts of the attribute table, among those whose bit is set; none means all.
pub(crate) type TableSearch = Box<dyn Fn(&str, TextsView<'_>, Option<&[u64]>) -> Matches>;

/// What the stand-ins remember, per thread and so per test.
#[derive(Default)]
pub(crate) struct State {
    pub(crate) now_unix_nano: u64,
    pub(crate) logs: Vec<(Level, String)>,
    pub(crate) counters: BTreeMap<String, u64>,
    /// The texts of the attribute table of the batch that is being processed.
    pub(crate) table_texts: Texts,
    /// Searches the table instead of the stand-in.
    pub(crate) table_search: Option<TableSearch>,
    patterns: Vec<Regex>,
    values: BTreeMap<String, (Vec<u8>, u64)>,
    buckets: BTreeMap<String, (f64, u64)>,
}

impl State {
    /// Forgets everything but the patterns, which stages hold by their numbers.
    pub(crate) fn reset(&mut self) {
        *self = Self { patterns: std::mem::take(&mut self.patterns), ..Self::default() };
    }
}

thread_local! {
    static STATE: RefCell<State> = RefCell::default();
}

pub(crate) fn with<T>(act: impl FnOnce(&mut State) -> T) -> T {
    STATE.with_borrow_mut(act)
}

pub(crate) fn compile(pattern: &str) -> Result<u32, String> {
    let regex = Regex::new(pattern).map_err(|error| error.to_string())?;
    Ok(with(|state| {
        state.patterns.push(regex);
        state.patterns.len() as u32 - 1
    }))
}

pub(crate) fn is_match(pattern: u32, texts: TextsView<'_>) -> Vec<u64> {
    with(|state| Bitmap::from_fn(texts.len(), |i| state.patterns[pattern as usize].is_match(texts.get(i))).into_words())
}

pub(crate) fn find(pattern: u32, texts: TextsView<'_>) -> Matches {
    with(|state| find_with(&state.patterns[pattern as usize], texts, |_| true))
}

pub(crate) fn find_in_table(pattern: u32, entries: Option<&[u64]>) -> Matches {
    let asked = |i: usize| entries.is_none_or(|words| words.get(i / 64).is_some_and(|word| word >> (i % 64) & 1 == 1));
    with(|state| {
        let (pattern, texts) = (&state.patterns[pattern as usize], state.table_texts.view());
        match &state.table_search {
            Some(search) => search(pattern.as_str(), texts, entries),
            None => find_with(pattern, texts, asked),
        }
    })
}

fn find_with(pattern: &Regex, texts: TextsView<'_>, asked: impl Fn(usize) -> bool) -> Matches {
    let mut matches = Matches::default();
    for i in (0..texts.len()).filter(|i| asked(*i)) {
        for found in pattern.find_iter(texts.get(i)) {
            matches.entries.push(i as u32);
            matches.starts.push(found.start() as u32);
            matches.ends.push(found.end() as u32);
        }
    }
    matches
}

pub(crate) fn table_text(entries: &[u32]) -> Texts {
    with(|state| entries.iter().map(|entry| state.table_texts.get(*entry as usize)).collect())
}

pub(super) fn log(level: Level, message: &str) {
    with(|state| state.logs.push((level, message.to_owned())));
}

pub(super) fn counter_add(name: &str, delta: u64) {
    with(|state| *state.counters.entry(name.to_owned()).or_default() += delta);
}

pub(super) fn now_unix_nano() -> u64 {
    with(|state| state.now_unix_nano)
}

pub(super) fn key_value_get(key: &str) -> Option<Vec<u8>> {
    with(|state| {
        state.values.get(key).filter(|(_, until)| state.now_unix_nano < *until).map(|(value, _)| value.clone())
    })
}

pub(super) fn key_value_set(key: &str, value: &[u8], ttl_ms: u64) -> Result<(), String> {
    with(|state| {
        let until = state.now_unix_nano.saturating_add(ttl_ms.saturating_mul(1_000_000));
        state.values.insert(key.to_owned(), (value.to_vec(), until));
    });
    Ok(())
}

pub(super) fn key_value_delete(key: &str) {
    with(|state| state.values.remove(key));
}

pub(super) fn token_bucket_take(bucket: &str, wanted: u32, per_second: f64, burst: f64) -> u32 {
    with(|state| {
        let now = state.now_unix_nano;
        let (tokens, filled) = state.buckets.entry(bucket.to_owned()).or_insert((burst, now));
        *tokens = (*tokens + now.saturating_sub(*filled) as f64 / 1e9 * per_second).min(burst);
        *filled = now;
        let taken = tokens.floor().clamp(0.0, f64::from(wanted));
        *tokens -= taken;
        taken as u32
    })
}
