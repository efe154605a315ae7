//! The stages of a configuration: what the engine needs to know of each, and what is wrong with them.

use std::collections::{BTreeMap, BTreeSet};

use crate::config::{self, ComponentId, Config, ConfigError, PluginConfig, PluginMistake, ProcessorConfig};
use crate::model::Signal;
use crate::stage::{
    Catalog, Chain, Engine, EngineConfig, EngineError, OnError, Plugin, StageConfigError, StageLimits, StageSpec,
};

/// The plugins that the configuration can name.
pub(super) fn catalog(config: &Config) -> Result<Catalog, EngineError> {
    let settings = &config.plugins;
    let engine = EngineConfig { cache_directory: settings.cache_directory.clone(), ..EngineConfig::default() };
    Ok(Catalog::new(Engine::new(engine)?, settings.directory.clone()))
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
            errors.push(block.error("", &message));
            false
        }
    });
    let schema = &plugin.descriptor().config_schema;
    let configure = |value: &serde_json::Value, is_whole: bool| {
        let spec = spec_of(id, block, schema, value.clone());
        let mistakes = || signals.iter().flat_map(|signal| mistakes(catalog, *signal, &spec)).collect();
        if is_whole {
            return mistakes();
        }
        // What a plugin warns of may be a consequence of what it was not given.
        tracing::subscriber::with_default(tracing::subscriber::NoSubscriber::new(), mistakes)
    };
    errors.extend(block.mistakes(schema, reported, configure));
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

/// What the engine needs to know of a stage, once its block has the right keys and types.
///
/// # Errors
/// That there is no such plugin, or the mistakes that its schema shows.
pub(super) fn spec(
    catalog: &Catalog,
    id: &ComponentId,
    block: &PluginConfig,
) -> Result<StageSpec, Vec<StageConfigError>> {
    let error = |message: String| StageConfigError { stage: id.to_string(), path: String::new(), message };
    let plugin = catalog.find(&block.plugin).map_err(|refused| vec![error(refused.to_string())])?;
    let schema = &plugin.descriptor().config_schema;
    let value = block.check(schema).map_err(|wrong| vec![error(wrong.to_string())])?;
    Ok(spec_of(id, block, schema, value))
}

fn spec_of(id: &ComponentId, block: &PluginConfig, schema: &serde_json::Value, value: serde_json::Value) -> StageSpec {
    StageSpec {
        id: id.to_string(),
        plugin: block.plugin.clone(),
        secrets: block.secrets(schema, &value),
        config: value,
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
