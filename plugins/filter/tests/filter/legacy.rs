//! Makes up blocks `include` and `exclude`.

use serde_json::{Map, Value, json};
use sluice_sdk::Signal;

use crate::random::Random;

const NAMES: &[&str] =
    &["GET", "GET /health", "", "up", "ecs.task.memory.utilized", "shop", "cart", "Größe", "42", "true"];
const PATTERNS: &[&str] = &["^GET", "e", "^$", "sh|ca", "\\d", "u{2}|up", "^<nil", "[a-z]+\\.", "true|false", "^-?1"];
const KEYS: &[&str] = &["text", "int", "double", "bool", "bytes", "list", "map", "empty", "mixed", "other", "absent"];

pub(crate) fn config(signal: Signal, random: &mut Random) -> Value {
    let mut blocks = Map::new();
    for side in ["include", "exclude"] {
        if blocks.is_empty() || random.once_in(2) {
            blocks.insert(side.to_owned(), block(signal, random));
        }
    }
    let key = match signal {
        Signal::Traces => "spans",
        Signal::Metrics => "metrics",
        Signal::Logs => "logs",
    };
    json!({ key: blocks })
}

fn block(signal: Signal, random: &mut Random) -> Value {
    let regexp = random.once_in(2);
    let mut block = Map::new();
    block.insert("match_type".to_owned(), json!(if regexp { "regexp" } else { "strict" }));
    let (texts, attributes): (&[&str], &[&str]) = match signal {
        Signal::Traces => (&["services", "span_names", "span_kinds"], &["attributes", "resources"]),
        Signal::Metrics => (&["metric_names"], &["resource_attributes"]),
        Signal::Logs => (&["bodies", "severity_texts"], &["resource_attributes", "record_attributes"]),
    };
    let chosen = random.below(texts.len() + attributes.len());
    for (i, key) in texts.iter().chain(attributes).enumerate() {
        if i != chosen && !random.once_in(5) {
            continue;
        }
        let count = 1 + random.below(2);
        let value = if i >= texts.len() {
            json!((0..count).map(|_| attribute(regexp, random)).collect::<Vec<_>>())
        } else {
            json!((0..count).map(|_| text(key, regexp, random)).collect::<Vec<_>>())
        };
        block.insert((*key).to_owned(), value);
    }
    if signal == Signal::Logs && random.once_in(3) {
        let min = random.pick(&["info", "WARN", "17", "fatal4", ""]);
        block.insert("severity_number".to_owned(), json!({ "min": min, "match_undefined": random.once_in(2) }));
    }
    if signal == Signal::Traces && random.once_in(4) {
        let libraries = [json!({ "name": "lib.a" }), json!({ "name": "lib", "version": "1" })];
        block.insert("libraries".to_owned(), json!(libraries[..1 + random.below(2)]));
    }
    Value::Object(block)
}

fn text(key: &str, regexp: bool, random: &mut Random) -> &'static str {
    match (key, regexp) {
        ("span_kinds", false) => random.pick(&["SPAN_KIND_SERVER", "SPAN_KIND_INTERNAL"]),
        ("span_kinds", true) => random.pick(&["SERVER|CLIENT", "^$", "UNSPEC"]),
        (_, true) => random.pick(PATTERNS),
        (_, false) => random.pick(NAMES),
    }
}

fn attribute(regexp: bool, random: &mut Random) -> Value {
    let key = random.pick(KEYS);
    if random.once_in(4) {
        return json!({ "key": key });
    }
    if regexp {
        return json!({ "key": key, "value": random.pick(PATTERNS) });
    }
    let values =
        [json!("GET"), json!(""), json!(42), json!(0), json!(1.5), json!(200.5), json!(true), json!("/health")];
    json!({ "key": key, "value": values[random.below(values.len())] })
}
