//! Every example is valid, and so is the command that stands at its top.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use sluice_tests::sluice;

/// Lines that a screen shows.
const SCREEN: usize = 50;

/// The same work for another program.
const NOT_OURS: &[&str] = &["examples/bench/collector.yaml"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize().expect("the checkout")
}

/// All YAML files below a directory, by their path from the top of the checkout.
fn configurations(dir: &Path, found: &mut Vec<String>) {
    for entry in std::fs::read_dir(dir).expect("a directory") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            configurations(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "yaml") {
            found.push(path.strip_prefix(root()).expect("below the top").display().to_string());
        }
    }
}

/// A command that runs Sluice, out of the comment at the top of an example.
#[derive(Debug, PartialEq)]
struct Shown {
    environment: BTreeMap<String, String>,
    configs: Vec<String>,
}

/// `#   KEY=value target/release/sluice --config a.yaml`, also behind `... &&`.
fn shown(text: &str) -> Option<Shown> {
    let comments = text.lines().map_while(|line| line.strip_prefix('#'));
    let line = comments.into_iter().find(|line| line.contains("target/release/sluice --config"))?;
    let command = line.rsplit("&&").next()?;
    let (before, after) = command.split_once("target/release/sluice")?;
    let pair = |word: &str| word.split_once('=').map(|(key, value)| (key.to_owned(), value.to_owned()));
    let words: Vec<&str> = after.split_whitespace().collect();
    let configs = words.chunks(2).filter(|pair| pair[0] == "--config").map(|pair| pair[1].to_owned());
    Some(Shown { environment: before.split_whitespace().filter_map(pair).collect(), configs: configs.collect() })
}

/// Checks configurations as the command would run them. Plugins are looked for in a directory without any.
fn validate(configs: &[String], environment: &BTreeMap<String, String>) -> Output {
    let data = tempfile::tempdir().expect("a directory");
    std::fs::create_dir(data.path().join("plugins")).expect("a directory");
    let mut command = Command::new(sluice::binary().expect("the binary"));
    command.current_dir(root()).arg("validate").envs(environment).env("SLUICE_DATA", data.path());
    for config in configs {
        command.arg("--config").arg(config);
    }
    command.output().expect("it starts")
}

#[test]
fn the_command_at_the_top_of_every_example_names_it_and_is_valid() {
    let mut found = Vec::new();
    configurations(&root().join("examples"), &mut found);
    found.retain(|path| !NOT_OURS.contains(&path.as_str()));
    assert!(found.len() >= 5, "{found:?}");
    for path in found {
        let text = std::fs::read_to_string(root().join(&path)).expect("the example");
        let shown = shown(&text).unwrap_or_else(|| panic!("{path} does not begin with its command"));
        assert!(shown.configs.contains(&path), "the command of {path} is about {:?}", shown.configs);
        let output = validate(&shown.configs, &shown.environment);
        let errors = String::from_utf8_lossy(&output.stderr);
        // The reader builds this plugin by the command that stands before; here it is not there.
        if path == "examples/first-plugin/config.yaml" {
            assert!(errors.contains("unknown processor type \"status_class\""), "{path}: {errors}");
            assert_eq!(errors.lines().filter(|line| line.contains("error:")).count(), 1, "{path}: {errors}");
        } else {
            assert!(output.status.success(), "{path}: {errors}");
        }
    }
}

#[test]
fn the_quickstart_listens_on_loopback_only() {
    let mut command = Command::new(sluice::binary().expect("the binary"));
    command.args(["print-config", "--config"]).arg(root().join("examples/quickstart/config.yaml"));
    let data = tempfile::tempdir().expect("a directory");
    std::fs::create_dir(data.path().join("plugins")).expect("an empty directory");
    let output = command.env("SLUICE_DATA", data.path()).env_remove("AOT_CONFIG_CONTENT").output().expect("it runs");
    let config = String::from_utf8_lossy(&output.stdout).into_owned();
    let value = |line: &str| {
        let (key, value) = line.trim().split_once(": ")?;
        ["endpoint", "host"].contains(&key).then(|| value.trim_matches(['"', '\'']).to_owned())
    };
    let addresses: Vec<String> = config.lines().filter_map(value).collect();
    assert_eq!(addresses.len(), 4, "gRPC, HTTP, health and metrics:\n{config}");
    assert!(addresses.iter().all(|address| address.starts_with("127.0.0.1")), "{addresses:?}");
}

#[test]
fn the_task_definition_runs_the_configuration_beside_it() {
    let directory = root().join("examples/ecs-task-definition");
    let definition = std::fs::read_to_string(directory.join("task-definition.json")).expect("the definition");
    let definition: serde_json::Value = serde_json::from_str(&definition).expect("JSON");
    let containers = definition["containerDefinitions"].as_array().expect("containers");
    let sidecar = containers.iter().find(|container| container["name"] == "sluice").expect("the sidecar");
    assert_eq!(sidecar["healthCheck"]["command"], serde_json::json!(["CMD", "/sluice", "healthcheck"]));
    assert_eq!(sidecar["secrets"][0]["name"], "AOT_CONFIG_CONTENT");

    let config = std::fs::read_to_string(directory.join("config.yaml")).expect("the configuration");
    assert!(config.len() <= 4096, "a standard SSM parameter holds 4 KB, not {}", config.len());
    let pair = |variable: &serde_json::Value| {
        let text = |key: &str| variable[key].as_str().expect("a text").to_owned();
        (text("name"), text("value"))
    };
    let environment = sidecar["environment"].as_array().expect("variables").iter().map(pair);
    let content = std::iter::once(("AOT_CONFIG_CONTENT".to_owned(), config));
    let output = validate(&[], &environment.chain(content).collect());
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn finds_the_command_in_a_comment() {
    let text = "# What.\n#\n#   mkdir x && A=b target/release/sluice --config one.yaml --config two.yaml\nreceivers:\n";
    let environment = BTreeMap::from([("A".to_owned(), "b".to_owned())]);
    assert_eq!(shown(text), Some(Shown { environment, configs: vec!["one.yaml".into(), "two.yaml".into()] }));
    assert_eq!(shown("receivers:\n#   target/release/sluice --config one.yaml"), None);
}

#[test]
fn the_readme_shows_the_first_plugin_as_it_is_on_one_screen() {
    let read = |path: &str| std::fs::read_to_string(root().join(path)).expect("a file of the checkout");
    let (readme, plugin) = (read("README.md"), read("examples/first-plugin/src/lib.rs"));
    let code: Vec<&str> = plugin.lines().skip_while(|line| line.starts_with("//!")).collect();
    let shown = readme.split("// status_class/src/lib.rs\n").nth(1).and_then(|rest| rest.split("```").next());
    let shown = shown.expect("a plugin in the README").trim();
    assert_eq!(shown, code.join("\n").trim());
    assert!(shown.lines().count() <= SCREEN, "it has {} lines", shown.lines().count());
}
