//! The invariants of ARCHITECTURE.md that can be read off the sources.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// What each step of the flow may use besides itself. `app` and `cli` join the steps and may use all.
const STEPS: &[(&str, &[&str])] = &[
    ("config", &[]),
    ("model", &["limits"]),
    ("limits", &[]),
    ("tls", &["config"]),
    ("pace", &[]),
    ("receive", &["config", "decode", "limits", "model", "pace", "telemetry", "tls"]),
    ("decode", &["limits"]),
    ("route", &["batch", "export", "model", "pace", "stage", "telemetry"]),
    ("stage", &["model", "pace"]),
    ("batch", &["limits", "model", "telemetry"]),
    ("export", &["config", "decode", "limits", "model", "pace", "tls"]),
    ("admin", &["pace"]),
    ("telemetry", &["config", "model"]),
];

/// The answers of OTLP are decoded by prost: one message per request, never one per record.
const PROST: &[&str] = &["export/otlp_http.rs", "export/partial_success.rs", "receive/otlp/http.rs"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn host() -> PathBuf {
    root().join("host/src")
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
    let root = root();
    for part in ["host/src", "sdk/wire/src", "sdk/rust/src", "plugins", "tests/src", "xtask/src", "examples"] {
        for (name, text) in production(sources(&root.join(part))) {
            assert!(text.starts_with("//!"), "{part}/{name} does not begin with what it is");
        }
    }
}

/// What somebody needs who runs it.
#[test]
fn the_readme_names_every_metric_that_is_not_the_collectors() {
    let readme = read("README.md");
    let mut names = BTreeSet::new();
    for text in production(sources(&host())).values() {
        let literals = text.split("\"sluice_").skip(1).filter_map(|rest| rest.split_once('"'));
        names.extend(literals.map(|(name, _)| format!("sluice_{name}")));
    }
    assert!(names.len() >= 9, "{names:?}");
    let unnamed: Vec<_> = names.iter().filter(|name| !readme.contains(&format!("| `{name}` |"))).collect();
    assert!(unnamed.is_empty(), "{unnamed:?}");
}

/// The example inherits versions, the manifest in the README can't.
#[test]
fn the_readme_has_the_dependencies_of_the_first_plugin() {
    let (readme, example) = (read("README.md"), read("examples/first-plugin/Cargo.toml"));
    let shown = readme.split("# status_class/Cargo.toml").nth(1).and_then(|rest| rest.split("```").next());
    for section in ["[dependencies]", "[dev-dependencies]"] {
        let names = |manifest: &str| {
            let lines = lines_of(manifest, section);
            let names = lines.filter_map(|line| line.split(['.', ' ']).next()).filter(|name| !name.is_empty());
            names.map(str::to_owned).collect::<BTreeSet<_>>()
        };
        assert_eq!(names(shown.expect("the manifest")), names(&example), "{section}");
    }
}

fn read(file: &str) -> String {
    std::fs::read_to_string(root().join(file)).unwrap_or_else(|error| panic!("{file}: {error}"))
}

/// The lines of a section of a manifest.
fn lines_of<'a>(manifest: &'a str, section: &'a str) -> impl Iterator<Item = &'a str> {
    manifest.lines().skip_while(move |line| *line != section).skip(1).take_while(|line| !line.starts_with('['))
}

/// The lines of a section of a manifest that say what a dependency is, by its name.
fn dependencies(manifest: &str, section: &str) -> BTreeMap<String, String> {
    let text = read(manifest);
    lines_of(&text, section)
        .filter_map(|line| line.split_once(" = "))
        .map(|(name, what)| (name.to_owned(), what.to_owned()))
        .collect()
}

/// The fuzz targets are a workspace of their own, which can't inherit.
#[test]
fn the_fuzz_targets_use_the_versions_of_the_workspace() {
    let (ours, fuzz) = ("[workspace.dependencies]", "[dependencies]");
    let (ours, fuzz) = (dependencies("Cargo.toml", ours), dependencies("tests/fuzz/Cargo.toml", fuzz));
    let shared: BTreeMap<_, _> =
        fuzz.iter().filter(|(name, what)| ours.contains_key(*name) && !what.contains("path = ")).collect();
    assert!(["opentelemetry-proto", "prost"].iter().all(|name| shared.contains_key(&(*name).to_owned())), "{shared:?}");
    for (name, what) in shared {
        assert_eq!(*what, ours[name], "{name} in tests/fuzz/Cargo.toml and in Cargo.toml");
    }
}

/// The directories of all members.
fn members() -> Vec<PathBuf> {
    let text = read("Cargo.toml");
    let lines = text.lines().skip_while(|line| *line != "members = [").skip(1).take_while(|line| *line != "]");
    let mut directories = Vec::new();
    for member in lines.map(|line| line.trim().trim_matches(['"', ','])) {
        match member.strip_suffix("/*") {
            Some(parent) => {
                let entries = std::fs::read_dir(root().join(parent)).expect("a directory");
                directories.extend(entries.map(|entry| entry.expect("an entry").path()));
            }
            None => directories.push(root().join(member)),
        }
    }
    directories.retain(|directory| directory.join("Cargo.toml").exists());
    directories
}

/// The dependencies of the workspace that a section of a manifest names.
fn inherited(manifest: &str, section: &str) -> Vec<String> {
    let lines = lines_of(manifest, section).filter(|line| line.contains("workspace = true"));
    lines.filter_map(|line| line.split(['.', ' ']).next()).map(str::to_owned).collect()
}

/// Whether code names a crate.
fn names(sources: &BTreeMap<String, String>, dependency: &str) -> bool {
    let name = if dependency == "md-5" { "md5".to_owned() } else { dependency.replace('-', "_") };
    let code = sources.values().flat_map(|text| text.lines()).filter(|line| !line.trim_start().starts_with("//"));
    code.flat_map(|line| line.match_indices(&name).map(move |(at, _)| line.split_at(at))).any(|(before, from)| {
        let is_whole = !before.ends_with(|last: char| last.is_alphanumeric() || last == '_');
        let after = &from[name.len()..];
        is_whole && (after.starts_with("::") || before.ends_with("use ") && after.starts_with([';', ' ']))
    })
}

#[test]
fn every_member_names_its_dependencies_in_its_sources() {
    let mut used = BTreeSet::new();
    for member in members() {
        let manifest = std::fs::read_to_string(member.join("Cargo.toml")).expect("a manifest");
        let all = sources(&member);
        let shipped = production(sources(&member.join("src")));
        for (section, sources) in
            [("[dependencies]", &shipped), ("[dev-dependencies]", &all), ("[build-dependencies]", &all)]
        {
            for dependency in inherited(&manifest, section) {
                assert!(names(sources, &dependency), "{}: nothing uses {dependency} of {section}", member.display());
                used.insert(dependency);
            }
        }
    }
    let unused = dependencies("Cargo.toml", "[workspace.dependencies]").into_keys().filter(|name| !used.contains(name));
    assert_eq!(unused.collect::<Vec<_>>(), Vec::<String>::new(), "no member uses them");
}

/// What is neither flat nor there once per row: a few for each stage, batch or answer.
const LISTS: &[(&str, &str)] = &[
    ("reads", "read"),
    ("headers", "string"),
    ("when-attributes", "field"),
    ("fields", "field"),
    ("attributes-and", "field"),
    ("columns", "column"),
    ("headers", "option<string>"),
    ("edits", "edit"),
    ("extras", "extra"),
    ("tenants", "string"),
    ("aliases", "string"),
    ("signals", "signal"),
    ("configure", "config-error"),
];

fn contract() -> String {
    read("wit/v0.1/plugin.wit")
}

#[test]
fn every_item_of_the_contract_is_documented() {
    let text = contract();
    let mut before = "";
    let mut items = 0;
    for line in text.lines().map(str::trim) {
        let is_reference = line.starts_with("use ") || line.starts_with("import ") && !line.contains(':');
        if !line.starts_with("//") && !line.is_empty() && line != "}" && !is_reference {
            items += 1;
            assert!(before.starts_with("/// "), "nothing says what this is: {line}");
        }
        before = line;
    }
    assert!(items > 200, "{items}");
}

#[test]
fn no_list_of_records_or_texts_crosses_per_row() {
    let numbers = ["u8", "u32", "u64", "s64", "f64", "bool"];
    let text = contract();
    let mut found = BTreeSet::new();
    for line in text.lines().map(str::trim).filter(|line| !line.starts_with("//")) {
        let words = line.strip_prefix("export ").unwrap_or(line);
        let item = words.split([':', '(']).next().unwrap_or_default().trim_start_matches('%');
        for (at, list) in line.match_indices("list<") {
            let element = &line[at + list.len()..];
            let mut depth = 1;
            let end = element.find(|next| {
                depth += i32::from(next == '<') - i32::from(next == '>');
                depth == 0
            });
            let element = &element[..end.expect("it is closed in its line")];
            if !numbers.contains(&element) {
                found.insert((item, element));
            }
        }
    }
    let allowed: BTreeSet<_> = LISTS.iter().copied().collect();
    assert_eq!(found, allowed);
}
