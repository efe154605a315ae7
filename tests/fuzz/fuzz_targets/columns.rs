//! Extraction and views never panic; of valid requests they show as many rows as `validate` counts.
#![no_main]

#[path = "../bodies/input.rs"]
mod input;
#[path = "../bodies/columns.rs"]
mod columns;

libfuzzer_sys::fuzz_target!(|data: &[u8]| columns::check(data));
