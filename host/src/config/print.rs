//! The effective configuration as YAML, defaults filled in and secrets redacted.

use serde_json::{Map, Value, json};

use super::{Config, ExporterConfig, ExtensionConfig, ProcessorConfig, ReceiverConfig, build};

/// Writes the configuration as YAML. `schema_of` gives the JSON Schema of a plugin's block, which says what is secret;
/// of a block without one the keys are shown, but no value.
pub fn print(config: &Config, schema_of: &dyn Fn(&str) -> Option<Value>) -> String {
    let mut whole = Map::new();
    let mut add = |key: &str, value: Value| {
        if value.as_object().is_none_or(|map| !map.is_empty()) {
            whole.insert(key.to_owned(), value);
        }
    };
    add("receivers", build::printable(config.receivers.iter()));
    let processors = config.processors.iter().map(|(id, processor)| {
        let block = match processor {
            ProcessorConfig::Batch(config) => json!(config),
            ProcessorConfig::MemoryLimiter(config) => json!(config),
            ProcessorConfig::Plugin(config) => config.printable(schema_of(&config.plugin).as_ref()),
        };
        (id.to_string(), block)
    });
    add("processors", processors.collect());
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
