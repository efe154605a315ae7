//! Whatever `validate` accepts, prost decodes; whatever it refuses, prost refuses, groups and deep nesting aside.
#![no_main]

#[path = "../bodies/input.rs"]
mod input;
#[path = "../bodies/validate.rs"]
mod validate;

libfuzzer_sys::fuzz_target!(|data: &[u8]| validate::check(data));
