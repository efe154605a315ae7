//! The host's offers in a component: the imports of the contract.

use super::log::Level;
use crate::bindings::sluice::plugin as imports;
use crate::pattern::Matches;
use crate::texts::{Texts, TextsView};

pub(crate) fn compile(pattern: &str) -> Result<u32, String> {
    imports::regex::compile(pattern)
}

pub(crate) fn is_match(pattern: u32, texts: TextsView<'_>) -> Vec<u64> {
    imports::regex::is_match(pattern, texts.offsets, texts.bytes)
}

pub(crate) fn find(pattern: u32, texts: TextsView<'_>) -> Matches {
    let imports::regex::Matches { entries, starts, ends } = imports::regex::find(pattern, texts.offsets, texts.bytes);
    Matches { entries, starts, ends }
}

pub(crate) fn find_in_table(pattern: u32, entries: Option<&[u64]>) -> Matches {
    let imports::regex::Matches { entries, starts, ends } = imports::regex::find_in_table(pattern, entries);
    Matches { entries, starts, ends }
}

pub(crate) fn table_text(entries: &[u32]) -> Texts {
    imports::regex::table_text(entries)
}

pub(super) fn log(level: Level, message: &str) {
    imports::log::log(level, message);
}

pub(super) fn counter_add(name: &str, delta: u64) {
    imports::counter::add(name, delta);
}

pub(super) fn now_unix_nano() -> u64 {
    imports::clock::now_unix_nano()
}

pub(super) fn key_value_get(key: &str) -> Option<Vec<u8>> {
    imports::key_value::get(key)
}

pub(super) fn key_value_set(key: &str, value: &[u8], ttl_ms: u64) -> Result<(), String> {
    imports::key_value::set(key, value, ttl_ms)
}

pub(super) fn key_value_delete(key: &str) {
    imports::key_value::delete(key);
}

pub(super) fn token_bucket_take(bucket: &str, wanted: u32, per_second: f64, burst: f64) -> u32 {
    imports::token_bucket::take(bucket, wanted, per_second, burst)
}
