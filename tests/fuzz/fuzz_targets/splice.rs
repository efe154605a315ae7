//! Plans on any bytes never panic; on valid requests they give valid requests with the rows that are left.
#![no_main]

#[path = "../bodies/input.rs"]
mod input;
#[path = "../bodies/splice.rs"]
mod splice;

libfuzzer_sys::fuzz_target!(|data: &[u8]| splice::check(data));
