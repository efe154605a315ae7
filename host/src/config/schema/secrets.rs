//! Secrets inside of values that only a schema tells apart: what it marks `writeOnly`.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{choices_of, property, referred};
use crate::config::types::REDACTED;

/// Puts a mark in place of every secret.
pub(crate) fn redact(value: &mut Value, schema: &Value) {
    visit(value, vec![schema], schema, &mut |secret| *secret = Value::String(REDACTED.into()));
}

/// The texts of all secrets, as a message might repeat them.
pub(crate) fn texts(value: &Value, schema: &Value) -> Vec<String> {
    let mut texts = Vec::new();
    visit(&mut value.clone(), vec![schema], schema, &mut |secret| collect(secret, &mut texts));
    texts
}

fn collect(secret: &Value, texts: &mut Vec<String>) {
    match secret {
        Value::String(text) if !text.is_empty() => {
            texts.push(text.clone());
            // Messages show texts with their quotes and escapes.
            let escaped = format!("{text:?}");
            texts.extend((escaped.len() > text.len() + 2).then(|| escaped[1..escaped.len() - 1].to_owned()));
        }
        Value::Number(number) => texts.push(number.to_string()),
        Value::Array(items) => items.iter().for_each(|item| collect(item, texts)),
        Value::Object(map) => map.values().for_each(|value| collect(value, texts)),
        Value::String(_) | Value::Null | Value::Bool(_) => {}
    }
}

/// Calls `found` with every value that is a secret by one of the schemas that may apply to it.
fn visit<'s>(value: &mut Value, schemas: Vec<&'s Value>, root: &'s Value, found: &mut impl FnMut(&mut Value)) {
    let schemas = applying(schemas, root);
    if schemas.is_empty() || value.is_null() {
        return;
    }
    if schemas.iter().any(|schema| schema.get("writeOnly") == Some(&Value::Bool(true))) {
        found(value);
        return;
    }
    match value {
        Value::Object(map) => {
            for (key, value) in map {
                let of_key = |schema: &&'s Value| property(schema, key).or_else(|| schema.get("additionalProperties"));
                visit(value, schemas.iter().filter_map(of_key).collect(), root, found);
            }
        }
        Value::Array(items) => {
            let of_items: Vec<_> = schemas.iter().filter_map(|schema| schema.get("items")).collect();
            items.iter_mut().for_each(|item| visit(item, of_items.clone(), root, found));
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// These schemas and all that they refer to, each once: they may refer to each other in many ways.
fn applying<'s>(mut pending: Vec<&'s Value>, root: &'s Value) -> Vec<&'s Value> {
    let mut seen = BTreeSet::new();
    let mut applying = Vec::new();
    while let Some(schema) = pending.pop() {
        if seen.insert(std::ptr::from_ref(schema)) {
            pending.extend(referred(schema, root));
            pending.extend(choices_of(schema));
            applying.push(schema);
        }
    }
    applying
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn schema() -> Value {
        json!({
            "type": "object",
            "properties": {
                "key": { "type": "string", "writeOnly": true },
                "keys": { "type": "array", "items": { "$ref": "#/$defs/Hidden" } },
                "named": { "type": "object", "additionalProperties": { "$ref": "#/$defs/Hidden" } },
                "numbered": { "type": "object", "patternProperties": { "^\\d+$": { "$ref": "#/$defs/Hidden" } } },
                "either": { "anyOf": [{ "type": "null" }, { "$ref": "#/$defs/Block" }] },
                "open": { "type": "string" },
            },
            "$defs": {
                "Hidden": { "type": "string", "writeOnly": true },
                "Block": { "type": "object", "properties": { "pin": { "type": "integer", "writeOnly": true }, "b": {} } },
                "Loop": { "$ref": "#/$defs/Loop" },
            },
        })
    }

    #[test]
    fn hides_what_the_schema_marks_wherever_it_stands() {
        let mut value = json!({
            "key": "a\"b", "keys": ["c", "d"], "named": { "x": "e" }, "either": { "pin": 7, "b": 8 }, "open": "f",
            "numbered": { "1": "g", "x": "h" },
        });
        assert_eq!(texts(&value, &schema()), ["7", "a\"b", "a\\\"b", "c", "d", "e", "g"]);
        redact(&mut value, &schema());
        let hidden = json!({
            "key": REDACTED, "keys": [REDACTED, REDACTED], "named": { "x": REDACTED },
            "either": { "pin": REDACTED, "b": 8 }, "open": "f", "numbered": { "1": REDACTED, "x": "h" },
        });
        assert_eq!(value, hidden);
    }

    #[test]
    fn hides_a_secret_in_the_wrong_shape_and_leaves_what_is_not_set() {
        let mut value = json!({ "key": { "deep": ["x"] }, "keys": null });
        assert_eq!(texts(&value, &schema()), ["x"]);
        redact(&mut value, &schema());
        assert_eq!(value, json!({ "key": REDACTED, "keys": null }));
    }

    #[test]
    fn ends_on_schemas_that_refer_to_themselves() {
        let mut value = json!("x");
        redact(&mut value, &json!({ "$ref": "#" }));
        assert_eq!(value, "x");
        let many = vec![json!({ "$ref": "#/$defs/A" }); 10];
        redact(&mut value, &json!({ "$ref": "#/$defs/A", "$defs": { "A": { "anyOf": many } } }));
        assert_eq!(value, "x");
    }

    /// Each way to read a level leads to all ways to read the next one.
    #[test]
    fn hides_what_stands_as_deep_as_a_schema_allows() {
        let branch = json!({ "properties": { "a": { "$ref": "#/$defs/A" }, "key": { "writeOnly": true } } });
        let schema = json!({ "$ref": "#/$defs/A", "$defs": { "A": { "anyOf": vec![branch; 10] } } });
        let nested = |secret: &str| (0..40).fold(json!({ "key": secret }), |value, _| json!({ "a": value }));
        let mut value = nested("x");
        assert_eq!(texts(&value, &schema), ["x"]);
        redact(&mut value, &schema);
        assert_eq!(value, nested(REDACTED));
    }
}
