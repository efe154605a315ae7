//! The block of a processor that is a plugin: the host reads its own keys, the rest is the plugin's.

use std::fmt;

use serde_json::Value;

use super::error::{ConfigError, ConfigErrors, Report, join};
use super::node::{Content, Node};
use super::plugins::{Capability, OnError, StageLimits, StageSettings};
use super::schema::secrets;
use super::types::REDACTED;
use super::{component, schema};

/// The keys that are the host's.
const HOST_KEYS: [&str; 3] = ["on_error", "limits", "capabilities"];
/// Parts of key names behind which plugins keep secrets even if their schemas forget to say so.
const SECRET_WORDS: [&str; 9] =
    ["password", "passwd", "secret", "token", "api_key", "apikey", "credential", "private_key", "hmac_key"];

/// Settings of a stage, as far as they can be known without the plugin.
#[derive(Clone)]
pub struct PluginConfig {
    /// The plugin to run: `<plugin>.wasm`, with aliases of the standard stages resolved.
    pub plugin: String,
    /// What the host itself reads.
    pub settings: StageSettings,
    /// Where the block stands, for example `processors::filter/ecs`.
    pub(super) path: String,
    /// The plugin's part of the block.
    pub(super) block: Node,
}

impl PluginConfig {
    /// Takes a block apart.
    pub(super) fn read(plugin: &str, node: &Node, path: &str, limits: &StageLimits, report: &mut Report) -> Self {
        let mut block = node.clone();
        let mut host = Node::new(node.place.clone(), Content::Mapping(Vec::new()));
        let is_null = block.is_null();
        match (&mut block.content, &mut host.content) {
            (Content::Mapping(all), Content::Mapping(hosts)) => {
                let (mine, rest) =
                    std::mem::take(all).into_iter().partition(|entry| HOST_KEYS.contains(&entry.key.as_str()));
                (*hosts, *all) = (mine, rest);
            }
            (content, _) if is_null => *content = Content::Mapping(Vec::new()),
            _ => report.error(Some(&node.place), path, "expected a map of settings"),
        }
        let settings = read_settings(&host, path, limits, report);
        Self { plugin: plugin.to_owned(), settings, path: path.to_owned(), block }
    }

    /// The plugin's settings as they are written. Prefer `check`, which knows what the plugin expects.
    pub fn raw(&self) -> Value {
        self.block.to_json()
    }

    /// The whole block as it may be shown. Without the plugin's schema nobody knows which values are secret, so that
    /// none is shown.
    pub(super) fn printable(&self, schema: Option<&Value>) -> Value {
        let mut block = self.raw();
        match schema {
            Some(schema) => {
                secrets::redact(&mut block, schema);
                redact_by_name(&mut block);
            }
            None => redact_all(&mut block),
        }
        if let (Value::Object(block), Value::Object(host)) = (&mut block, serde_json::json!(self.settings)) {
            block.extend(host);
        }
        block
    }

    /// The values that must not stand in any message about the stage, by the plugin's own JSON Schema: those of the text
    /// and those that were read from it, of which some may have been written under nearly the right key.
    pub fn secrets(&self, schema: &Value, read: &Value) -> Vec<String> {
        let mut texts = secrets::texts(&self.raw(), schema);
        texts.extend(secrets::texts(read, schema));
        texts
    }

    /// Reads the settings by the plugin's own JSON Schema; what looks odd comes as warnings.
    ///
    /// # Errors
    /// All unknown keys and wrong types, with their places.
    pub fn check(&self, schema: &Value) -> Result<(Value, Vec<ConfigError>), ConfigErrors> {
        let mut report = Report::default();
        let (value, _) = self.walk(schema, &mut report);
        let found = report.into_errors();
        if found.errors.is_empty() { Ok((value, found.warnings)) } else { Err(found) }
    }

    /// Reads the plugin's part of the block. To whoever wrote it, the host's keys are keys of the same block: they are
    /// among the valid ones, and may be what was meant.
    pub(super) fn walk(&self, schema: &Value, report: &mut Report) -> (Value, schema::LeftOut) {
        let mut schema = schema.clone();
        if let Some(Value::Object(properties)) = schema.get_mut("properties") {
            properties.extend(HOST_KEYS.map(|key| (key.to_owned(), Value::Bool(true))));
        }
        let (mut value, left_out) = schema::walk(&self.block, &schema, &self.path, report);
        if let Value::Object(read) = &mut value {
            read.retain(|key, _| !HOST_KEYS.contains(&key.as_str()));
        }
        (value, left_out)
    }

    /// Gives a mistake that the plugin itself found its place. The path is the plugin's: keys joined by dots, and in
    /// brackets positions and keys as JSON strings, for example `traces.span[2]` and `mapping["a.b"]`.
    pub fn error(&self, path: &str, message: &str) -> ConfigError {
        self.error_at(&keys(path).join("::"), message)
    }

    /// Gives a mistake its place; the path is that of the text, relative to the block.
    pub(super) fn error_at(&self, path: &str, message: &str) -> ConfigError {
        ConfigError { place: Some(self.block.locate(path)), path: join(&self.path, path), message: message.to_owned() }
    }
}

/// The keys and positions of a plugin's path.
pub(super) fn keys(path: &str) -> Vec<String> {
    let mut keys = Vec::new();
    let mut rest = path;
    while !rest.is_empty() {
        if let Some((key, behind)) = quoted(rest) {
            keys.push(key);
            rest = behind;
            continue;
        }
        // At least one byte further, since the first may be the bracket of something that is not closed.
        let end = rest.char_indices().skip(1).find(|(_, c)| matches!(c, '.' | '[' | ']' | ':')).map(|(end, _)| end);
        let (key, behind) = rest.split_at(end.unwrap_or(rest.len()));
        let key = key.trim_start_matches(['.', '[', ']', ':']);
        keys.extend((!key.is_empty()).then(|| key.to_owned()));
        rest = behind;
    }
    keys
}

/// The key at the beginning of a path that stands there as `["..."]`, a JSON string in brackets, and what follows.
fn quoted(path: &str) -> Option<(String, &str)> {
    let mut strings = serde_json::Deserializer::from_str(path.strip_prefix('[')?).into_iter::<String>();
    let key = strings.next()?.ok()?;
    let behind = path.get(1 + strings.byte_offset()..)?.strip_prefix(']')?;
    Some((key, behind))
}

impl fmt::Debug for PluginConfig {
    /// Leaves the block out: which of its values are secrets only the plugin's schema knows.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { plugin, settings, path, block: _ } = self;
        let mut shown = f.debug_struct("PluginConfig");
        shown.field("plugin", plugin).field("settings", settings).field("path", path).finish_non_exhaustive()
    }
}

fn redact_by_name(value: &mut Value) {
    match value {
        Value::Object(map) => {
            for (key, value) in map {
                let lower = key.to_lowercase();
                if SECRET_WORDS.iter().any(|word| lower.contains(word)) && !value.is_null() {
                    *value = Value::String(REDACTED.into());
                } else {
                    redact_by_name(value);
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(redact_by_name),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn redact_all(value: &mut Value) {
    match value {
        Value::Object(map) => map.values_mut().for_each(redact_all),
        Value::Array(items) => items.iter_mut().for_each(redact_all),
        Value::Null => {}
        Value::Bool(_) | Value::Number(_) | Value::String(_) => *value = Value::String(REDACTED.into()),
    }
}

#[derive(Debug, Clone, Default, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
#[serde(default)]
pub(super) struct HostSettings {
    on_error: Option<OnError>,
    limits: StageLimits,
    capabilities: Option<Vec<Capability>>,
}

impl component::Check for HostSettings {
    fn check(&self, findings: &mut super::error::Findings) {
        findings.within("limits", |findings| self.limits.check(findings));
    }
}

fn read_settings(host: &Node, path: &str, limits: &StageLimits, report: &mut Report) -> StageSettings {
    let defaults = HostSettings { on_error: None, limits: limits.clone(), capabilities: None };
    let before = report.errors.len();
    let read = super::build::read_block(host, &defaults, path, report);
    // What is wrong with them was said; the plugin's part is looked at with the defaults.
    let sound = read.filter(|_| report.errors.len() == before).unwrap_or(defaults);
    StageSettings { on_error: sound.on_error, limits: sound.limits, capabilities: sound.capabilities }
}
