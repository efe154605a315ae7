//! The effective configuration as YAML, defaults filled in and secrets redacted.

use serde_json::{Map, Value, json};

use super::types::REDACTED;
use super::{Config, ExporterConfig, ExtensionConfig, ProcessorConfig, ReceiverConfig, build};

/// Parts of key names behind which plugins keep secrets; their schemas are not at hand here.
const SECRET_WORDS: [&str; 9] =
    ["password", "passwd", "secret", "token", "api_key", "apikey", "credential", "private_key", "hmac_key"];

/// Writes the configuration as YAML.
pub fn print(config: &Config) -> String {
    let mut whole = Map::new();
    let mut add = |key: &str, value: Value| {
        if value.as_object().is_none_or(|map| !map.is_empty()) {
            whole.insert(key.to_owned(), value);
        }
    };
    add("receivers", build::printable(config.receivers.iter()));
    add("processors", build::printable(config.processors.iter()));
    add("exporters", build::printable(config.exporters.iter()));
    add("extensions", build::printable(config.extensions.iter()));
    add("service", json!(config.service));
    add("plugins", json!(config.plugins));
    add("tenants", json!(config.tenants));
    let mut whole = Value::Object(whole);
    drop_nulls(&mut whole);
    serde_yaml::to_string(&whole).unwrap_or_default()
}

impl serde::Serialize for ReceiverConfig {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Otlp(config) => config.serialize(serializer),
        }
    }
}

impl serde::Serialize for ProcessorConfig {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Batch(config) => config.serialize(serializer),
            Self::MemoryLimiter(config) => config.serialize(serializer),
            Self::Plugin(config) => {
                let mut block = config.raw();
                redact(&mut block);
                if let (Value::Object(block), Value::Object(host)) = (&mut block, json!(config.settings)) {
                    block.extend(host);
                }
                block.serialize(serializer)
            }
        }
    }
}

impl serde::Serialize for ExporterConfig {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::PrometheusRemoteWrite(config) => config.serialize(serializer),
            Self::AwsPrometheusRemoteWrite(config) => config.serialize(serializer),
            Self::OpenSearch(config) => config.serialize(serializer),
            Self::Otlp(config) => config.serialize(serializer),
            Self::OtlpHttp(config) => config.serialize(serializer),
            Self::Debug(config) => config.serialize(serializer),
            Self::File(config) => config.serialize(serializer),
        }
    }
}

impl serde::Serialize for ExtensionConfig {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::SigV4Auth(config) => config.serialize(serializer),
            Self::HealthCheck(config) => config.serialize(serializer),
        }
    }
}

fn redact(value: &mut Value) {
    match value {
        Value::Object(map) => {
            for (key, value) in map {
                let lower = key.to_lowercase();
                if SECRET_WORDS.iter().any(|word| lower.contains(word)) && !value.is_null() {
                    *value = Value::String(REDACTED.into());
                } else {
                    redact(value);
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(redact),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// A key that is not set is left out, so that what is printed can be loaded again.
fn drop_nulls(value: &mut Value) {
    match value {
        Value::Object(map) => {
            map.retain(|_, value| !value.is_null());
            map.values_mut().for_each(drop_nulls);
        }
        Value::Array(items) => items.iter_mut().for_each(drop_nulls),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}
