//! The blocks of the standard stages as a configuration has them: keys without values, and what is secret.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::path::Path;

use serde_json::{Value, json};
use sluice::app;
use sluice::config::{self, Config, ConfigErrors, Sources};
use sluice::stage::{Catalog, Settings, StageSpec};

use super::kit::{engine, spec, try_chain};

const STAGES: [&str; 4] = ["filter", "redaction", "tenant_label", "sampler"];

/// A configuration with one processor, whose block follows in flow style.
fn load(stage: &str, block: &str) -> Result<Config, ConfigErrors> {
    let text = format!(
        "receivers: {{otlp: {{protocols: {{grpc: }}}}}}\nprocessors: {{{stage}: {block}}}\nexporters: {{debug: }}\n\
         service: {{pipelines: {{traces: {{receivers: [otlp], processors: [{stage}], exporters: [debug]}}}}}}"
    );
    config::load(&Sources { configs: vec![format!("yaml:{text}")], sets: Vec::new() }, &|_| None)
}

/// All that is wrong with it.
fn wrong(stage: &str, block: &str) -> String {
    let errors = match load(stage, block) {
        Ok(config) => app::check_plugins(&config, &[]),
        Err(found) => found.errors,
    };
    errors.iter().map(|error| format!("{error}\n")).collect()
}

fn schema(stage: &str) -> Value {
    Catalog::new(engine(), None).find(stage).expect("a standard stage").descriptor().config_schema.clone()
}

/// The collector takes `allowed_keys:` for an empty list, and so on.
#[test]
fn a_key_without_a_value_is_as_good_as_none() {
    for stage in STAGES {
        let required = if stage == "tenant_label" { "sources: [{from: constant, value: acme, key: }]" } else { "" };
        let mut block = format!("{{{required}");
        for key in schema(stage)["properties"].as_object().expect("keys").keys() {
            if !required.starts_with(key.as_str()) {
                write!(block, ", {key}: ").unwrap();
            }
        }
        let block = block.replacen("{,", "{", 1) + "}";
        assert_eq!(wrong(stage, &block), "", "{stage}: {block}");
    }
}

/// The keys in the first column of the table under `## Configuration`, without what stands below them.
fn documented(stage: &str) -> BTreeSet<String> {
    let readme = Path::new(env!("CARGO_MANIFEST_DIR")).join("../plugins").join(stage).join("README.md");
    let readme = std::fs::read_to_string(readme).expect("a README");
    let lines = readme.lines().skip_while(|line| *line != "## Configuration").skip_while(|line| !line.starts_with('|'));
    let rows = lines.take_while(|line| line.starts_with('|')).skip(2);
    let first_cells = rows.filter_map(|row| row.split('|').nth(1));
    let keys = first_cells.flat_map(|cell| cell.split('`').skip(1).step_by(2));
    keys.filter_map(|key| key.split(['.', '[']).next()).map(str::to_owned).collect()
}

#[test]
fn the_readme_of_a_stage_lists_every_key_and_no_other() {
    for stage in STAGES {
        let schema = schema(stage);
        let keys: BTreeSet<String> = schema["properties"].as_object().expect("keys").keys().cloned().collect();
        let mut documented = documented(stage);
        if stage == "filter" {
            assert!(documented.remove("regexp"), "it stands in several blocks and has a row of its own");
        }
        assert_eq!(documented, keys, "{stage}");
    }
}

#[test]
fn keys_deep_inside_need_no_value_either() {
    let blocks = [
        (
            "filter",
            "{spans: {exclude: {match_type: strict, services: [a], attributes: [{key: x, value: }], regexp: }}}",
        ),
        (
            "filter",
            "{metrics: {include: , exclude: {match_type: strict, metric_names: , expressions: }}, logs: {include: }}",
        ),
        ("redaction", "{detectors: [{type: card, mask: }], db_sanitizer: {sql: , sanitize_span_name: }}"),
        ("tenant_label", "{sources: [{from: constant, value: a}], rules: , mapping: {a: b}, label: , unmapped: }"),
    ];
    for (stage, block) in blocks {
        assert_eq!(wrong(stage, block), "", "{block}");
    }
}

#[test]
fn what_is_required_must_have_a_value() {
    let wrong = wrong("redaction", "{detectors: [{type: }]}");
    assert!(wrong.contains("processors::redaction::detectors::0::type: must be set"), "{wrong}");
}

/// Whatever is wrong natively, plugins are asked, and say nothing that comes from it.
#[test]
fn mistakes_that_follow_from_others_are_not_reported() {
    let text = "receivers: {otlp: {protocols: {grpc: }}}\nexporters: {debug: }\n\
                plugins: {directory: /nowhere, limits: {memory: 1}}\n\
                processors: {mine: {a: b}, sampler: 5, filter: {limits: {deadline: 1ns}, traces: {span: [nme]}}}\n\
                service: {pipelines: {traces: {receivers: [otlp], processors: [mine, sampler, filter], exporters: [debug]}}}";
    let sources = Sources { configs: vec![format!("yaml:{text}")], sets: Vec::new() };
    let mut reading = config::read(&sources, &|_| None);
    let config = reading.config.as_ref().expect("it is YAML");
    reading.found.add(app::check_plugins(config, &reading.found.errors));
    let paths: Vec<&str> = reading.found.errors.iter().map(|error| error.path.as_str()).collect();
    let expected = [
        "plugins::directory",
        "plugins::limits::memory",
        "processors::sampler",
        "processors::filter::limits::deadline",
        "processors::filter::traces::span::0",
    ];
    assert_eq!(paths, expected, "{}", reading.found);
}

#[test]
fn a_key_in_quotation_marks_is_found_and_shown_as_it_is_written() {
    let block = "{sources: [{from: resource, key: t}], mapping: {a: 'b c', x.y: 'd e'}, foo: 1}";
    let wrong = wrong("tenant_label", block);
    let paths: Vec<&str> = wrong.lines().filter_map(|line| line.split(": ").nth(1)).collect();
    let of = |key: &str| format!("processors::tenant_label::{key}");
    assert_eq!(paths, [of("foo"), of("mapping::a"), of("mapping::x.y")], "{wrong}");
}

#[test]
fn an_error_mode_may_be_written_in_any_case() {
    let group = "{context: span, error_mode: IGNORE, conditions: ['true']}";
    for (mode, expected) in [("Ignore", ""), ("PROPAGATE", ""), ("never", "\"never\" is not one of")] {
        let block = format!("{{error_mode: {mode}, trace_conditions: [{group}], profile_conditions: []}}");
        let wrong = wrong("filter", &block);
        assert!(wrong.contains(expected) && wrong.is_empty() == expected.is_empty(), "{wrong}");
    }
}

#[test]
fn a_plugin_may_use_what_its_block_grants() {
    let granted =
        |capabilities: &str| wrong("sampler", &format!("{{sampling_percentage: 1, capabilities: {capabilities}}}"));
    assert_eq!(granted(""), "");
    assert_eq!(granted("[log, counter, clock, key-value, token-bucket, regex]"), "");
    let refused = granted("[]");
    assert!(refused.contains("processors::sampler::capabilities: the plugin uses \""), "{refused}");
    let unknown = granted("[logs]");
    assert!(unknown.contains("capabilities::0: \"logs\" is not one of \"log\", \"counter\""), "{unknown}");
}

#[test]
fn the_key_of_a_redaction_stands_in_no_message_and_no_printed_configuration() {
    for block in [
        "{hash_function: hmac-sha256, hmac_key: hunter2}",
        "{hash_function: hmac-sha256, hmac_key: [hunter2]}",
        "{hash_function: none of them, hmac_key: hunter2}",
        "{hmac_key: {hunter2: hunter2}}",
        "{hash_function: hmac-sha256, hmac_key: hunter2hunter2hunter2hunter2hunter2}",
    ] {
        let config = load("redaction", block).expect("loads");
        let (schemas, unknown) = app::plugin_schemas(&config);
        assert_eq!(unknown, []);
        let shown = config::print(&config, &|plugin| schemas.get(plugin).cloned());
        let shown = format!("{}\n{shown}\n{config:?}", wrong("redaction", block));
        assert!(!shown.contains("hunter2") && shown.contains("hmac_key: '[REDACTED]'"), "{block}\n{shown}");
    }
}

#[test]
fn a_plugin_that_repeats_a_secret_is_not_believed() {
    let hidden = |value: Value| Settings { value, secrets: vec!["hunter2".into()], warnings: Vec::new() }.always();
    let stage = |config: Value| StageSpec { settings: hidden(config), ..spec(json!({})) };
    let errors = try_chain(vec![stage(json!({ "act": "hunter2" }))]).expect_err("no act");
    let said = format!("{errors:?}");
    assert!(said.contains("[REDACTED]") && !said.contains("hunter2"), "{said}");
    assert!(!format!("{:?}", stage(json!({ "value": "hunter2" }))).contains("hunter2"));
    // Without the mark the same is shown.
    let errors = try_chain(vec![spec(json!({ "act": "hunter2" }))]).expect_err("no act");
    assert!(format!("{errors:?}").contains("hunter2"));
}
