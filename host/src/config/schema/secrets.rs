//! Secrets inside of values that only a schema tells apart: what it marks `writeOnly`.

use serde_json::Value;

use super::{MAX_REFERENCES, property};
use crate::config::types::REDACTED;

/// Puts a mark in place of every secret.
pub(crate) fn redact(value: &mut Value, schema: &Value) {
    visit(value, schema, schema, 0, &mut |secret| *secret = Value::String(REDACTED.into()));
}

/// The texts of all secrets, as a message might repeat them.
pub(crate) fn texts(value: &Value, schema: &Value) -> Vec<String> {
    let mut texts = Vec::new();
    visit(&mut value.clone(), schema, schema, 0, &mut |secret| collect(secret, &mut texts));
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
fn visit(value: &mut Value, schema: &Value, root: &Value, depth: usize, found: &mut impl FnMut(&mut Value)) {
    if depth > MAX_REFERENCES || value.is_null() {
        return;
    }
    if schema.get("writeOnly") == Some(&Value::Bool(true)) {
        found(value);
        return;
    }
    if let Some(target) = schema.get("$ref").and_then(Value::as_str) {
        let target = target.strip_prefix('#').and_then(|pointer| root.pointer(pointer));
        target.iter().for_each(|target| visit(value, target, root, depth + 1, &mut *found));
    }
    for key in ["anyOf", "oneOf", "allOf"] {
        for choice in schema.get(key).and_then(Value::as_array).into_iter().flatten() {
            visit(value, choice, root, depth + 1, &mut *found);
        }
    }
    match value {
        Value::Object(map) => {
            for (key, value) in map {
                if let Some(schema) = property(schema, key).or_else(|| schema.get("additionalProperties")) {
                    visit(value, schema, root, depth + 1, &mut *found);
                }
            }
        }
        Value::Array(items) => {
            for item in items {
                schema.get("items").iter().for_each(|schema| visit(item, schema, root, depth + 1, &mut *found));
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
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
    }
}
