//! Whole configurations, good and bad: what they load to, and every word of what is wrong with them.
//!
//! Set `UPDATE_SNAPSHOTS=1` to write the expectations anew, and read the difference.

mod grammar;
mod hostile;
mod secrets;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::path::{Path, PathBuf};

use super::components::{self, Kind, Support};
use super::node::Node;
use super::*;

fn cases() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/cases")
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn yaml_files(directory: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut directories = vec![cases().join(directory)];
    while let Some(directory) = directories.pop() {
        for entry in std::fs::read_dir(&directory).expect("a directory of cases") {
            let path = entry.expect("an entry").path();
            match path.extension() {
                None if path.is_dir() => directories.push(path),
                Some(extension) if extension == "yaml" => found.push(path),
                _ => {}
            }
        }
    }
    found.sort();
    assert!(!found.is_empty(), "no cases in {directory}");
    found
}

/// Loads texts, of which later ones win, under names; nothing else is in the environment than what is given.
fn load_texts(texts: &[(&str, &str)], environment: &[(&str, &str)]) -> Result<Config, ConfigErrors> {
    let variables: BTreeMap<&str, &str> = texts.iter().chain(environment).copied().collect();
    let configs = texts.iter().map(|(name, _)| format!("env:{name}")).collect();
    load(&Sources { configs, sets: Vec::new() }, &|name| variables.get(name).map(|text| (*text).to_owned()))
}

/// What loading says, a line each.
fn said(loaded: &Result<Config, ConfigErrors>) -> String {
    let (errors, warnings): (&[_], &[_]) = match loaded {
        Ok(config) => (&[], &config.warnings),
        Err(found) => (&found.errors, &found.warnings),
    };
    let mut lines = String::new();
    for (word, list) in [("warning", warnings), ("error", errors)] {
        for one in list {
            writeln!(lines, "{word}: {one}").expect("a string");
        }
    }
    if errors.is_empty() { lines + "ok\n" } else { lines }
}

fn check_snapshot(path: &Path, actual: &str) {
    if std::env::var_os("UPDATE_SNAPSHOTS").is_some() {
        std::fs::write(path, actual).expect("a snapshot");
        return;
    }
    let expected = read(path);
    assert!(expected == actual, "{}\n--- expected\n{expected}\n--- actual\n{actual}", path.display());
}

/// `# env: NAME=value` lines at the top of a case.
fn environment_of(text: &str) -> Vec<(&str, &str)> {
    text.lines().filter_map(|line| line.strip_prefix("# env: ")?.split_once('=')).collect()
}

#[test]
fn says_what_is_wrong_with_every_case() {
    for path in yaml_files("config") {
        let text = read(&path);
        let loaded = load_texts(&[("case.yaml", &text)], &environment_of(&text));
        check_snapshot(&path.with_extension("txt"), &said(&loaded).replace("env:case.yaml", "case.yaml"));
    }
}

#[test]
fn loads_reference_configurations_but_for_components_that_come_later() {
    let endpoint = "https://aps-workspaces.eu-west-1.amazonaws.com/workspaces/ws-1/api/v1/remote_write";
    let environment = [
        ("AWS_REGION", "eu-west-1"),
        ("AWS_PROMETHEUS_ENDPOINT", endpoint),
        ("AWS_PROMETHEUS_SCRAPING_ENDPOINT", "a:1"),
    ];
    for path in yaml_files("reference-configs") {
        let text = read(&path);
        let actual: BTreeSet<String> = match load_texts(&[("reference.yaml", &text)], &environment) {
            Ok(_) => BTreeSet::new(),
            Err(found) => found.errors.iter().map(|error| format!("{}: {}", error.path, error.message)).collect(),
        };
        let whole: serde_yaml::Value = serde_yaml::from_str(&text).expect("YAML");
        let mut expected = BTreeSet::new();
        for kind in Kind::ALL {
            let ids = whole[kind.section()].as_mapping().into_iter().flat_map(|section| section.keys());
            for id in ids.map(|id| id.as_str().expect("an id")) {
                let component_type = id.split('/').next().expect("a type");
                let component = components::find(kind, component_type).expect("a known component");
                if component.support == Support::Later {
                    let hint = if component.hint.is_empty() { String::new() } else { format!("; {}", component.hint) };
                    let path = format!("{}::{id}", kind.section());
                    expected.insert(format!("{path}: {kind} \"{id}\" is not part of this version{hint}"));
                }
            }
        }
        assert_eq!(actual, expected, "{}", path.display());
    }
}

#[test]
fn a_pipeline_that_names_a_component_twice_has_it_once() {
    let text = "
receivers: {otlp: {protocols: {grpc: }}}
exporters: {debug: , debug/2: }
service: {pipelines: {logs: {receivers: [otlp, otlp], exporters: [debug, debug/2, debug]}}}
";
    let config = load_texts(&[("text", text)], &[]).expect("loads");
    let pipeline = config.service.pipelines.into_values().next().expect("a pipeline");
    let names = |ids: Vec<ComponentId>| ids.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ");
    assert_eq!((names(pipeline.receivers), names(pipeline.exporters)), ("otlp".into(), "debug debug/2".into()));
    assert_eq!(config.warnings.len(), 2, "{:?}", config.warnings);
}

/// How a fixture of the collector's own tests becomes a configuration.
enum Shape {
    /// It is one.
    Whole,
    /// It is the block of one component.
    Block(Kind, &'static str),
    /// It is a section with several components.
    Section(Kind),
}

#[test]
fn judges_the_collectors_own_fixtures() {
    use Shape::{Block, Section, Whole};
    let fixtures = [
        ("core_exporter_debugexporter__config_output_paths_empty", Block(Kind::Exporter, "debug")),
        ("core_exporter_debugexporter__config_verbosity_typo", Block(Kind::Exporter, "debug")),
        ("core_exporter_otlpexporter__default-batch", Block(Kind::Exporter, "otlp")),
        ("core_exporter_otlphttpexporter__bad_empty_config", Whole),
        ("core_exporter_otlphttpexporter__config", Block(Kind::Exporter, "otlphttp")),
        ("core_otelcol__otelcol-invalid-components", Whole),
        ("core_otelcol__otelcol-invalid-connector-unused-rec", Whole),
        ("core_otelcol__otelcol-invalid-telemetry", Whole),
        ("core_otelcol__otelcol-log-to-file", Whole),
        ("core_otelcol__otelcol-valid-connector-use", Whole),
        ("core_otelcol__print_negative", Whole),
        ("core_receiver_otlpreceiver__bad_no_proto_config", Block(Kind::Receiver, "otlp")),
        ("core_receiver_otlpreceiver__config", Block(Kind::Receiver, "otlp")),
        ("core_receiver_otlpreceiver__invalid_logs_path", Block(Kind::Receiver, "otlp")),
        ("core_receiver_otlpreceiver__invalid_profiles_path", Block(Kind::Receiver, "otlp")),
        ("core_receiver_otlpreceiver__only_grpc", Block(Kind::Receiver, "otlp")),
        ("core_receiver_otlpreceiver__only_http_empty_map", Block(Kind::Receiver, "otlp")),
        ("core_receiver_otlpreceiver__typo_default_proto_config", Block(Kind::Receiver, "otlp")),
        ("2021_awsprometheusremotewriteexporter__config", Whole),
        ("2021_prometheusremotewriteexporter__config", Whole),
        ("2021_awsecscontainermetrics", Whole),
        ("fileexporter__config", Section(Kind::Exporter)),
        ("opensearchexporter__config", Section(Kind::Exporter)),
        ("prometheusremotewriteexporter__config", Section(Kind::Exporter)),
        ("sigv4authextension__config", Section(Kind::Extension)),
        ("statsdreceiver__config", Section(Kind::Receiver)),
        ("zipkinreceiver__config", Section(Kind::Receiver)),
    ];
    let rest = "receivers: {otlp: {protocols: {grpc: }}}\nexporters: {debug: }\n\
                service: {pipelines: {metrics: {receivers: [otlp], exporters: [debug]}}}";
    let mut said_of_all = String::new();
    for (name, shape) in fixtures {
        let text = read(&cases().join("component-config").join(name).with_extension("yaml"));
        // The exporter's fixture begins with an extension of its own.
        let text = text.find("\nopensearch:").map_or(text.as_str(), |at| &text[at + 1..]);
        let loaded = match shape {
            Whole => load_texts(&[("fixture", text)], &[]),
            Block(kind, component_type) => {
                let whole = format!("{}:\n  {component_type}/fixture:\n{}", kind.section(), indented(text, 4));
                load_texts(&[("rest", rest), ("fixture", &whole)], &[])
            }
            Section(kind) => {
                let whole = format!("{}:\n{}", kind.section(), indented(text, 2));
                load_texts(&[("rest", rest), ("fixture", &whole)], &[])
            }
        };
        writeln!(said_of_all, "== {name}\n{}", said(&loaded)).expect("a string");
    }
    check_snapshot(&cases().join("component-config/expected.txt"), &said_of_all);
}

fn indented(text: &str, by: usize) -> String {
    text.lines().map(|line| format!("{:by$}{line}\n", "")).collect()
}

/// serde_yaml is the oracle for what a text means.
#[test]
fn reads_values_as_serde_yaml_does() {
    let mut files = yaml_files("config");
    files.extend(yaml_files("reference-configs"));
    files.extend(yaml_files("component-config"));
    let mut compared = 0;
    for path in files {
        let text = read(&path);
        let (Ok(node), Ok(mut oracle)) =
            (parse::parse(&text, &"a".into()), serde_yaml::from_str::<serde_yaml::Value>(&text))
        else {
            continue;
        };
        oracle.apply_merge().expect("merge keys");
        assert_eq!(Node::to_json(&node), serde_json::to_value(oracle).expect("JSON"), "{}", path.display());
        compared += 1;
    }
    assert!(compared > 40, "only {compared} compared");
}

#[test]
fn prints_what_can_be_loaded_again() {
    let text = read(&cases().join("config/everything.yaml"));
    let config = load_texts(&[("everything.yaml", &text)], &environment_of(&text)).expect("a good configuration");
    let schema_of = |_: &str| Some(serde_json::json!(true));
    let printed = print(&config, &schema_of);
    check_snapshot(&cases().join("config/everything.printed"), &printed);
    let again = load_texts(&[("printed", &printed)], &[]).unwrap_or_else(|errors| panic!("{errors}\n{printed}"));
    assert_eq!(print(&again, &schema_of), printed);
}

#[test]
fn prints_nothing_that_it_would_warn_of() {
    let text = "receivers: {otlp: {protocols: {grpc: , http: }}}\n\
                processors: {batch: }\n\
                exporters: {otlp: {endpoint: 'a:1'}, otlphttp: {endpoint: 'http://a:1'}, opensearch: {http: {endpoint: 'http://a:1'}}}\n\
                service: {pipelines: {traces: {receivers: [otlp], processors: [batch], exporters: [otlp, otlphttp, opensearch]}}}";
    let config = load_texts(&[("a", text)], &[]).expect("a good configuration");
    assert!(config.warnings.is_empty(), "{:?}", config.warnings);
    let again = load_texts(&[("printed", &print(&config, &|_| None))], &[]).expect("what was printed");
    assert!(again.warnings.is_empty(), "{:?}", again.warnings);
}

/// Every key with the mark in a schema.
fn without_effect(schema: &serde_json::Value, found: &mut BTreeSet<String>) {
    for (key, value) in schema.as_object().into_iter().flatten() {
        if key == "properties" {
            let properties = value.as_object().into_iter().flatten();
            found.extend(properties.filter(|(_, p)| p.get("x-no-effect").is_some()).map(|(key, _)| key.clone()));
        }
        without_effect(value, found);
    }
    schema.as_array().into_iter().flatten().for_each(|item| without_effect(item, found));
}

#[test]
fn the_readme_lists_every_key_that_has_no_effect() {
    use component::*;
    let mut keys = BTreeSet::new();
    for schema in [
        schema::of::<OtlpReceiverConfig>(),
        schema::of::<BatchConfig>(),
        schema::of::<MemoryLimiterConfig>(),
        schema::of::<PrometheusRemoteWriteConfig>(),
        schema::of::<AwsPrometheusRemoteWriteConfig>(),
        schema::of::<OpenSearchConfig>(),
        schema::of::<OtlpExporterConfig>(),
        schema::of::<OtlpHttpExporterConfig>(),
        schema::of::<DebugConfig>(),
        schema::of::<FileConfig>(),
        schema::of::<SigV4AuthConfig>(),
        schema::of::<HealthCheckConfig>(),
        schema::of::<service::ServiceConfig>(),
        schema::of::<PluginsConfig>(),
    ] {
        without_effect(&schema, &mut keys);
    }
    assert!(keys.len() > 20, "{keys:?}");
    let readme = read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../README.md"));
    let paragraph = readme.split("\n\n").find(|paragraph| paragraph.contains("change nothing here")).expect("the list");
    let is_listed = |key: &str| paragraph.contains(&format!("`{key}`")) || paragraph.contains(&format!("::{key}`"));
    let missing: Vec<&String> = keys.iter().filter(|key| !is_listed(key)).collect();
    assert!(missing.is_empty(), "{missing:?}");
}

#[test]
fn the_readme_lists_the_keys_of_sections_that_the_collector_does_not_have() {
    let readme = read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../README.md"));
    let table = readme.split("\n\n").find(|table| table.contains("| `plugins::directory` |")).expect("the table");
    let sections = [
        ("plugins::", schema::of::<PluginsConfig>()),
        ("tenants::", schema::of::<TenantsConfig>()),
        ("", schema::of::<plugin_block::HostSettings>()),
    ];
    for (section, schema) in &sections {
        let keys = schema["properties"].as_object().expect("keys").keys();
        let missing: Vec<_> = keys.filter(|key| !table.contains(&format!("| `{section}{key}`"))).collect();
        assert!(missing.is_empty(), "{section}{missing:?}");
    }
    let limits = schema::of::<StageLimits>();
    assert!(limits["properties"].as_object().expect("keys").keys().all(|key| table.contains(&format!("`{key}: "))));
}
