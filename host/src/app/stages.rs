//! The stages of a configuration: what the engine needs to know of each, and what is wrong with them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::config::{
    self, ComponentId, Config, ConfigError, PipelineConfig, PipelineId, PluginConfig, PluginMistake, ProcessorConfig,
};
use crate::model::Signal;
use crate::stage::{
    Catalog, Chain, Engine, EngineConfig, EngineError, OnError, Plugin, ReadSettings, Settings, StageConfigError,
    StageLimits, StageSpec,
};

/// The plugins that the configuration can name.
pub(super) fn catalog(config: &Config) -> Result<Catalog, EngineError> {
    Ok(Catalog::new(Engine::new(engine(config))?, config.plugins.directory.clone()))
}

/// A plugin that no stage has accepted yet may take what the stage with the highest limits may.
fn engine(config: &Config) -> EngineConfig {
    let most = |limit: fn(&StageLimits) -> u32| {
        let all = plugins(config).map(|(_, block)| limits(&block.settings.limits));
        all.chain([StageLimits::default()]).map(|limits| limit(&limits)).max().unwrap_or_default()
    };
    EngineConfig {
        cache_directory: config.plugins.cache_directory.clone(),
        describe_memory_mib: most(|limits| limits.memory_mib),
        max_component_mib: most(|limits| limits.component_mib),
        ..EngineConfig::default()
    }
}

/// All mistakes in the blocks of plugins, with their places; see `check_all`.
pub(super) fn check(config: &Config, reported: &[ConfigError]) -> Vec<ConfigError> {
    match catalog(config) {
        Ok(catalog) => check_all(config, &catalog, reported),
        Err(error) => vec![placeless(error.to_string())],
    }
}

/// Checks the blocks of all plugins that the configuration names, whether a pipeline runs them or not. What was
/// reported already is not repeated.
pub(super) fn check_all(config: &Config, catalog: &Catalog, reported: &[ConfigError]) -> Vec<ConfigError> {
    let mut errors = Vec::new();
    for (id, block) in plugins(config) {
        match catalog.find(&block.plugin) {
            Ok(plugin) => errors.extend(check_one(config, catalog, id, block, &plugin, reported)),
            Err(error) => errors.push(block.error("", &error.to_string())),
        }
    }
    errors
}

fn check_one(
    config: &Config,
    catalog: &Catalog,
    id: &ComponentId,
    block: &PluginConfig,
    plugin: &Plugin,
    reported: &[ConfigError],
) -> Vec<ConfigError> {
    let mut errors = Vec::new();
    let mut signals = signals_of(config, id, plugin);
    signals.retain(|signal| match plugin.descriptor().takes(*signal) {
        Ok(()) => true,
        Err(message) => {
            errors.push(block.error("", &(message + &pipelines_of(config, id, *signal))));
            false
        }
    });
    let schema = &plugin.descriptor().config_schema;
    let configure = |value: &serde_json::Value, is_whole: bool| {
        let spec = spec_of(id, block, settings(block, schema, value.clone()).always());
        let mistakes = || signals.iter().flat_map(|signal| mistakes(catalog, *signal, &spec)).collect();
        if is_whole {
            return mistakes();
        }
        // What a plugin warns of may be a consequence of what it was not given.
        tracing::subscriber::with_default(tracing::subscriber::NoSubscriber::new(), mistakes)
    };
    let found = block.mistakes(schema, reported, configure);
    for warning in &found.warnings {
        tracing::warn!("{warning}");
    }
    errors.extend(found.errors);
    errors
}

fn mistakes(catalog: &Catalog, signal: Signal, spec: &StageSpec) -> Vec<PluginMistake> {
    let mistakes = Chain::new(catalog, signal, vec![spec.clone()]).err().unwrap_or_default();
    mistakes.into_iter().map(|mistake| (mistake.path, mistake.message)).collect()
}

/// The signals for which a processor runs; for one that runs nowhere those that its plugin can process.
fn signals_of(config: &Config, id: &ComponentId, plugin: &Plugin) -> BTreeSet<Signal> {
    let pipelines = config.service.pipelines.iter();
    let used: BTreeSet<Signal> =
        pipelines.filter(|(_, pipeline)| pipeline.processors.contains(id)).map(|(id, _)| id.signal()).collect();
    if used.is_empty() { plugin.descriptor().signals.iter().copied().collect() } else { used }
}

/// Which pipelines of a signal name a processor, as the end of a message.
fn pipelines_of(config: &Config, processor: &ComponentId, signal: Signal) -> String {
    let pipelines = config.service.pipelines.iter();
    let names = |(id, pipeline): (&PipelineId, &PipelineConfig)| {
        let is_there = id.signal() == signal && pipeline.processors.contains(processor);
        is_there.then(|| format!("service::pipelines::{id}"))
    };
    let named: Vec<String> = pipelines.filter_map(names).collect();
    format!(" (remove it from {})", named.join(" and "))
}

/// The schemas of all plugins that the configuration names, and which of them can't be had.
pub(super) fn schemas(config: &Config) -> (BTreeMap<String, serde_json::Value>, Vec<ConfigError>) {
    let (mut schemas, mut unknown) = (BTreeMap::new(), Vec::new());
    let catalog = match catalog(config) {
        Ok(catalog) => catalog,
        Err(error) => return (schemas, vec![placeless(error.to_string())]),
    };
    for (_, block) in plugins(config) {
        match catalog.find(&block.plugin) {
            Ok(found) => {
                schemas.insert(block.plugin.clone(), found.descriptor().config_schema.clone());
            }
            Err(error) => unknown.push(block.error("", &format!("its values are not shown: {error}"))),
        }
    }
    (schemas, unknown)
}

fn plugins(config: &Config) -> impl Iterator<Item = (&ComponentId, &PluginConfig)> {
    config.processors.iter().filter_map(|(id, processor)| match processor {
        ProcessorConfig::Plugin(plugin) => Some((id, plugin.as_ref())),
        _ => None,
    })
}

/// What the engine needs to know of a stage.
pub(super) fn spec(id: &ComponentId, block: &PluginConfig) -> StageSpec {
    let own = block.clone();
    let read = move |schema: &serde_json::Value| {
        let mistakes = |wrong: config::ConfigErrors| wrong.errors.iter().map(ToString::to_string).collect::<Vec<_>>();
        let (value, warnings) = own.check(schema).map_err(mistakes)?;
        Ok(Settings { warnings: warnings.iter().map(ToString::to_string).collect(), ..settings(&own, schema, value) })
    };
    spec_of(id, block, Arc::new(read))
}

fn settings(block: &PluginConfig, schema: &serde_json::Value, value: serde_json::Value) -> Settings {
    Settings { secrets: block.secrets(schema, &value), value, warnings: Vec::new() }
}

fn spec_of(id: &ComponentId, block: &PluginConfig, settings: ReadSettings) -> StageSpec {
    StageSpec {
        id: id.to_string(),
        plugin: block.plugin.clone(),
        settings,
        on_error: block.settings.on_error.map(|on_error| match on_error {
            config::OnError::Pass => OnError::Pass,
            config::OnError::Drop => OnError::Drop,
            config::OnError::Reject => OnError::Reject,
        }),
        limits: limits(&block.settings.limits),
        capabilities: block
            .settings
            .capabilities
            .as_ref()
            .map(|granted| granted.iter().map(|capability| capability.name().to_owned()).collect()),
    }
}

fn limits(config: &config::StageLimits) -> StageLimits {
    // The configuration has whole ones only.
    let mib = |size: config::types::ByteSize| u32::try_from(size.bytes() >> 20).unwrap_or(u32::MAX);
    StageLimits {
        memory_mib: mib(config.memory),
        timeout_ms: u32::try_from(config.deadline.get().as_millis()).unwrap_or(u32::MAX),
        output_mib: mib(config.output),
        component_mib: mib(config.binary),
        rows: config.rows,
        ..StageLimits::default()
    }
}

/// Gives a mistake in one of these stages its place.
pub(super) fn placed(stages: &[(&ComponentId, &PluginConfig)], error: &StageConfigError) -> ConfigError {
    let stage = stages.iter().find(|(id, _)| id.to_string() == error.stage);
    stage.map_or_else(|| placeless(error.to_string()), |(_, block)| block.error(&error.path, &error.message))
}

fn placeless(message: String) -> ConfigError {
    ConfigError { place: None, path: "plugins".into(), message }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::config::Sources;

    fn config(plugins: &str, block: &str) -> Config {
        let text = format!(
            "yaml:{{receivers: {{otlp: {{protocols: {{http: }}}}}}, exporters: {{debug: }}, plugins: {plugins}, \
             processors: {{filter/x: {block}}}, \
             service: {{pipelines: {{logs: {{receivers: [otlp], processors: [filter/x], exporters: [debug]}}}}}}}}"
        );
        let sources = Sources { configs: vec![text], sets: Vec::new() };
        let reading = config::read(&sources, &|_| None);
        reading.config.expect("can be read")
    }

    /// What the engine is told of the only processor of a configuration.
    fn spec_of_block(plugins: &str, block: &str) -> StageSpec {
        let config = config(plugins, block);
        let (id, block) = plugins_of(&config);
        spec(id, block)
    }

    /// What is read of the block by a schema with the type of one key and with a secret one.
    fn settings_by(spec: &StageSpec, keep: &str) -> Result<Settings, Vec<String>> {
        (spec.settings)(&json!({"type": "object", "properties": {
            "keep": {"type": keep}, "key": {"type": "string", "writeOnly": true},
        }}))
    }

    fn plugins_of(config: &Config) -> (&ComponentId, &PluginConfig) {
        super::plugins(config).next().expect("a plugin")
    }

    #[test]
    fn a_plugin_that_nobody_accepted_yet_may_take_what_the_stage_with_the_highest_limits_may() {
        let cases = [
            ("{}", "{}", (64, 32)),
            ("{}", "{limits: {memory: 100MiB, binary: 1MiB}}", (100, 32)),
            ("{limits: {binary: 40MiB}}", "{limits: {memory: 1MiB}}", (64, 40)),
        ];
        for (plugins, block, expected) in cases {
            let engine = engine(&config(plugins, block));
            let allowed = (engine.describe_memory_mib, engine.max_component_mib);
            assert_eq!(allowed, expected, "{plugins} {block}");
        }
    }

    #[test]
    fn what_the_host_reads_of_a_block_reaches_the_engine() {
        let limits = "limits: {memory: 3MiB, deadline: 7ms, output: 5MiB, binary: 9MiB, rows: 11}";
        let own = StageLimits {
            memory_mib: 3,
            timeout_ms: 7,
            output_mib: 5,
            component_mib: 9,
            rows: 11,
            ..StageLimits::default()
        };
        let cases = [
            ("{}", "{}".to_owned(), None, StageLimits::default(), None),
            ("{}", "{on_error: pass}".to_owned(), Some(OnError::Pass), StageLimits::default(), None),
            ("{}", "{on_error: drop}".to_owned(), Some(OnError::Drop), StageLimits::default(), None),
            ("{}", "{on_error: reject}".to_owned(), Some(OnError::Reject), StageLimits::default(), None),
            ("{}", format!("{{{limits}}}"), None, own.clone(), None),
            // The block's own limits replace those of all stages one by one.
            (
                "{limits: {rows: 13, deadline: 2s}}",
                "{limits: {rows: 17}}".to_owned(),
                None,
                StageLimits { rows: 17, timeout_ms: 2_000, ..StageLimits::default() },
                None,
            ),
            ("{}", "{capabilities: []}".to_owned(), None, StageLimits::default(), Some(vec![])),
            (
                "{}",
                format!("{{on_error: drop, {limits}, capabilities: [key-value, regex]}}"),
                Some(OnError::Drop),
                own,
                Some(vec!["key-value".to_owned(), "regex".to_owned()]),
            ),
        ];
        for (plugins, block, on_error, limits, capabilities) in cases {
            let spec = spec_of_block(plugins, &block);
            assert_eq!((spec.on_error, &spec.capabilities), (on_error, &capabilities), "{plugins} {block}");
            assert_eq!(spec.limits, limits, "{plugins} {block}");
            let Settings { value, secrets, warnings: _ } = settings_by(&spec, "integer").expect("fits the schema");
            assert_eq!((value, secrets), (json!({}), vec![]), "{plugins} {block}");
        }
    }

    #[test]
    fn the_rest_of_a_block_reaches_the_plugin_as_its_schema_has_it() {
        let spec = spec_of_block("{}", "{keep: 4, key: hunter2, on_error: pass, limits: {rows: 1}}");
        assert_eq!((spec.id.as_str(), spec.plugin.as_str()), ("filter/x", "filter"));
        for (keep, expected) in [("integer", json!(4)), ("string", json!("4"))] {
            let Settings { value, secrets, warnings: _ } = settings_by(&spec, keep).expect("fits the schema");
            assert_eq!(value, json!({"keep": expected, "key": "hunter2"}));
            assert!(!secrets.is_empty() && secrets.iter().all(|secret| secret == "hunter2"), "{secrets:?}");
        }
        let mistakes = settings_by(&spec, "array").err().expect("4 is no list");
        assert!(mistakes.len() == 1 && mistakes[0].contains("processors::filter/x::keep"), "{mistakes:?}");
    }
}
