//! The invariants of ARCHITECTURE.md that can be read off the sources.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// What each step of the flow may use besides itself. `app` and `cli` join the steps and may use all.
const STEPS: &[(&str, &[&str])] = &[
    ("config", &[]),
    ("model", &["limits"]),
    ("limits", &[]),
    ("receive", &["config", "decode", "limits", "model", "telemetry"]),
    ("decode", &["limits"]),
    ("route", &["batch", "export", "model", "stage", "telemetry"]),
    ("stage", &["model"]),
    ("batch", &["limits", "model", "telemetry"]),
    ("export", &["config", "decode", "limits", "model"]),
    ("admin", &[]),
    ("telemetry", &["config", "model"]),
];

/// The answers of OTLP are decoded by prost: one message per request, never one per record.
const PROST: &[&str] = &["export/otlp_http.rs", "export/partial_success.rs", "receive/otlp/http.rs"];

fn host() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../host/src")
}

/// The sources below a directory, by their path from it.
fn sources(root: &Path) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    let mut dirs = vec![root.to_owned()];
    while let Some(dir) = dirs.pop() {
        for entry in std::fs::read_dir(&dir).expect("a directory") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                dirs.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let name = path.strip_prefix(root).expect("below it").display().to_string();
                found.insert(name, std::fs::read_to_string(&path).expect("a source"));
            }
        }
    }
    found
}

/// What is compiled into the binary: no tests, whether in files of their own or at the end of a file.
fn production(sources: BTreeMap<String, String>) -> BTreeMap<String, String> {
    let of_tests = |name: &String| name.contains("test") || name.ends_with("round_trip.rs");
    let cut = |text: String| match text.find("#[cfg(test)]\nmod tests {") {
        Some(end) => text[..end].to_owned(),
        None => text,
    };
    sources.into_iter().filter(|(name, _)| !of_tests(name)).map(|(name, text)| (name, cut(text))).collect()
}

/// The modules of this crate that a source names.
fn used(text: &str) -> BTreeSet<&str> {
    let code = text.lines().filter(|line| !line.trim_start().starts_with("//"));
    code.flat_map(|line| line.split("crate::").skip(1))
        .map(|rest| rest.split(|next: char| !next.is_alphanumeric() && next != '_').next().unwrap_or_default())
        .collect()
}

#[test]
fn a_step_uses_only_what_it_may() {
    for (name, text) in production(sources(&host())) {
        let step = name.split(['/', '.']).next().unwrap_or_default();
        let Some((_, allowed)) = STEPS.iter().find(|(known, _)| *known == step) else {
            assert!(["app", "cli", "lib", "main"].contains(&step), "host/src/{name} belongs to no step");
            continue;
        };
        let known: Vec<&str> = STEPS.iter().map(|(known, _)| *known).chain(["app", "cli"]).collect();
        for module in used(&text).into_iter().filter(|module| known.contains(module) && *module != step) {
            assert!(allowed.contains(&module), "host/src/{name} uses {module}, which {step} may not");
        }
    }
}

#[test]
fn only_stages_know_wasmtime() {
    for (name, text) in sources(&host()) {
        assert!(name.starts_with("stage") || !text.contains("wasmtime::"), "host/src/{name} names wasmtime");
    }
}

#[test]
fn no_record_becomes_an_object_of_prost() {
    for (name, text) in production(sources(&host())) {
        let names_it = text.contains("prost::") || text.contains("opentelemetry_proto::");
        assert!(!names_it || PROST.contains(&name.as_str()), "host/src/{name} names prost");
    }
}

#[test]
fn no_channel_of_tokio_is_unbounded() {
    for (name, text) in sources(&host()) {
        assert!(!text.contains("unbounded_channel"), "host/src/{name} makes a channel without a bound");
    }
}

#[test]
fn every_source_says_what_it_is() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    for part in ["host/src", "sdk/wire/src", "sdk/rust/src", "plugins", "tests/src", "xtask/src", "examples"] {
        for (name, text) in production(sources(&root.join(part))) {
            assert!(text.starts_with("//!"), "{part}/{name} does not begin with what it is");
        }
    }
}
