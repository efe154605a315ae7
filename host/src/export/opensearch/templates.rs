//! The index templates that Jaeger's query service relies on: without them OpenSearch guesses types, and nested
//! queries for tags find nothing. The fields are those of Jaeger's own templates, version 1.62.

use serde_json::{Value, json};

/// A template to install: its name and what `PUT /_template/<name>` takes.
pub(super) struct Template {
    /// Its name.
    pub(super) name: String,
    /// Its body.
    pub(super) body: Value,
}

/// Both templates for a prefix, which is empty or ends with a hyphen.
pub(super) fn jaeger(prefix: &str) -> [Template; 2] {
    let template = |kind: &str, mappings: Value| Template {
        name: format!("{prefix}jaeger-{kind}"),
        body: json!({
            "index_patterns": [format!("{prefix}jaeger-{kind}-*")],
            "settings": {
                "index.number_of_shards": 5,
                "index.number_of_replicas": 1,
                "index.mapping.nested_fields.limit": 50,
                "index.requests.cache.enable": true,
            },
            "mappings": mappings,
        }),
    };
    [template("span", span()), template("service", service())]
}

fn keyword() -> Value {
    json!({"type": "keyword", "ignore_above": 256})
}

fn long() -> Value {
    json!({"type": "long"})
}

/// Keys and values that can be asked for together.
fn tags() -> Value {
    json!({
        "type": "nested",
        "dynamic": false,
        "properties": {"key": keyword(), "type": keyword(), "value": keyword()},
    })
}

/// Tags as fields become keywords whatever they look like.
fn keywords_below(objects: &[(&str, &str)]) -> Value {
    objects.iter().map(|(name, path)| json!({*name: {"path_match": path, "mapping": keyword()}})).collect()
}

fn service() -> Value {
    json!({
        "dynamic_templates": keywords_below(&[("span_tags_map", "tag.*"), ("process_tags_map", "process.tag.*")]),
        "properties": {"serviceName": keyword(), "operationName": keyword()},
    })
}

fn span() -> Value {
    let objects = [("span_tags_map", "tag.*"), ("process_tags_map", "process.tag.*"), ("scope_tags_map", "scopeTag.*")];
    json!({
        "dynamic_templates": keywords_below(&objects),
        "properties": {
            "traceID": keyword(),
            "spanID": keyword(),
            "parentSpanID": keyword(),
            "operationName": keyword(),
            "flags": {"type": "integer"},
            "startTime": long(),
            "startTimeMillis": {"type": "date", "format": "epoch_millis"},
            "duration": long(),
            "tag": {"type": "object"},
            "tags": tags(),
            "scopeTag": {"type": "object"},
            "scopeTags": tags(),
            "process": {"properties": {"serviceName": keyword(), "tag": {"type": "object"}, "tags": tags()}},
            "references": {
                "type": "nested",
                "dynamic": false,
                "properties": {
                    "refType": keyword(),
                    "traceID": keyword(),
                    "spanID": keyword(),
                    "traceState": keyword(),
                    "flags": {"type": "integer"},
                    "tags": tags(),
                },
            },
            "logs": {
                "type": "nested",
                "dynamic": false,
                "properties": {"timestamp": long(), "fields": tags()},
            },
        },
    })
}
