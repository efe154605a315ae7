//! Configuration: JSON in, a plugin's own type out, mistakes with the path to them.

use serde::de::DeserializeOwned;
use serde_path_to_error::{Path, Segment};

pub use crate::bindings::sluice::plugin::types::ConfigError;

/// Mistakes in a configuration; all that were found.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ConfigErrors(Vec<ConfigError>);

impl ConfigErrors {
    /// Starts with no mistake.
    pub fn new() -> Self {
        Self::default()
    }

    /// A single mistake.
    pub fn one(path: impl Into<String>, message: impl Into<String>) -> Self {
        Self(vec![ConfigError::new(path, message)])
    }

    /// Adds a mistake: where, as in `traces.span[2]`, and what to do about it.
    pub fn push(&mut self, path: impl Into<String>, message: impl Into<String>) {
        self.0.push(ConfigError::new(path, message));
    }

    /// Adds the mistakes of another list.
    pub fn extend(&mut self, other: impl IntoIterator<Item = ConfigError>) {
        self.0.extend(other);
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// The mistakes, in the order in which they were found.
    pub fn iter(&self) -> std::slice::Iter<'_, ConfigError> {
        self.0.iter()
    }

    /// The value, if there was no mistake.
    ///
    /// # Errors
    /// The mistakes, if there are any.
    pub fn or_ok<T>(self, value: T) -> Result<T, Self> {
        if self.is_empty() { Ok(value) } else { Err(self) }
    }

    /// The mistakes, by value.
    pub fn into_vec(self) -> Vec<ConfigError> {
        self.0
    }
}

impl ConfigError {
    /// Says where, as in `traces.span[2]`, and what to do about it.
    pub fn new(path: impl Into<String>, message: impl Into<String>) -> Self {
        Self { path: path.into(), message: message.into() }
    }
}

impl std::fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (i, error) in self.0.iter().enumerate() {
            let separator = if i == 0 { "" } else { "; " };
            let colon = if error.path.is_empty() { "" } else { ": " };
            write!(f, "{separator}{}{colon}{}", error.path, error.message)?;
        }
        Ok(())
    }
}

impl std::error::Error for ConfigErrors {}

impl From<ConfigError> for ConfigErrors {
    fn from(error: ConfigError) -> Self {
        Self(vec![error])
    }
}

impl From<Vec<ConfigError>> for ConfigErrors {
    fn from(errors: Vec<ConfigError>) -> Self {
        Self(errors)
    }
}

impl IntoIterator for ConfigErrors {
    type Item = ConfigError;
    type IntoIter = std::vec::IntoIter<ConfigError>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl<'a> IntoIterator for &'a ConfigErrors {
    type Item = &'a ConfigError;
    type IntoIter = std::slice::Iter<'a, ConfigError>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl FromIterator<ConfigError> for ConfigErrors {
    fn from_iter<I: IntoIterator<Item = ConfigError>>(errors: I) -> Self {
        Self(errors.into_iter().collect())
    }
}

/// A key of the user's as a step of a mistake's path, whatever characters it has: `["a.b"]`.
pub fn path_key(key: &str) -> String {
    format!("[{}]", serde_json::Value::from(key))
}

/// Parses a configuration. Nothing at all (`null`, as for `filter:` in YAML) means the defaults.
pub(crate) fn parse<C: DeserializeOwned>(json: &str) -> Result<C, ConfigErrors> {
    if json.trim() == "null" {
        return parse_text("{}").or_else(|error| parse_text("null").map_err(|_| error));
    }
    parse_text(json)
}

/// Refuses keys that the schema does not have, as the host does, which reads by the schema: it knows no alias of serde's.
/// Looks at the uppermost keys only.
#[cfg(not(target_family = "wasm"))]
pub(crate) fn check_keys(json: &str, schema: &serde_json::Value) -> Result<(), ConfigErrors> {
    use serde_json::Value;
    let is_closed = matches!(schema.get("additionalProperties"), None | Some(Value::Bool(false)))
        && schema.get("patternProperties").is_none();
    let known = schema.get("properties").and_then(Value::as_object).filter(|_| is_closed);
    let (Some(known), Ok(Value::Object(config))) = (known, serde_json::from_str(json)) else { return Ok(()) };
    let unknown = config.keys().filter(|key| !known.contains_key(*key));
    let mistakes: ConfigErrors =
        unknown.map(|key| ConfigError::new(key, "the schema of the configuration has no such key")).collect();
    mistakes.or_ok(())
}

fn parse_text<C: DeserializeOwned>(json: &str) -> Result<C, ConfigErrors> {
    let mut reader = serde_json::Deserializer::from_str(json);
    let value = serde_path_to_error::deserialize(&mut reader).map_err(|error| {
        let path = written(error.path());
        ConfigErrors::one(path, message(&error.into_inner()))
    })?;
    reader.end().map_err(|error| ConfigErrors::one("", message(&error)))?;
    Ok(value)
}

/// A path in the contract's notation: keys that would be taken for several are quoted.
fn written(path: &Path) -> String {
    let mut written = String::new();
    for segment in path {
        let key = match segment {
            Segment::Map { key } | Segment::Enum { variant: key } => key,
            Segment::Seq { .. } | Segment::Unknown => {
                written += &segment.to_string();
                continue;
            }
        };
        if key.is_empty() || key.contains(['.', ':', '[', ']']) {
            written += &path_key(key);
        } else {
            written += if written.is_empty() { "" } else { "." };
            written += key;
        }
    }
    written
}

/// The message without its position: the user wrote YAML and never saw this JSON.
fn message(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let position = format!(" at line {} column {}", error.line(), error.column());
    text.strip_suffix(&position).map(str::to_owned).unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use serde::Deserialize;

    #[derive(Debug, Default, Deserialize, PartialEq)]
    #[serde(default, deny_unknown_fields)]
    struct Limits {
        rates: Vec<Rate>,
        by_name: BTreeMap<String, Rate>,
    }

    #[derive(Debug, Deserialize, PartialEq)]
    #[serde(deny_unknown_fields)]
    struct Rate {
        percent: f32,
    }

    #[test]
    fn says_where_the_mistake_is() {
        let cases = [
            (
                r#"{"rates":[{"percent":1},{"percent":"x"}]}"#,
                "rates[1].percent: invalid type: string \"x\", expected f32",
            ),
            (r#"{"rates":[{}]}"#, "rates[0]: missing field `percent`"),
            (r#"{"rate":[]}"#, "rate: unknown field `rate`, expected `rates` or `by_name`"),
            (r#"{"by_name":{"a":{}}}"#, "by_name.a: missing field `percent`"),
            (r#"{"by_name":{"a.\"b":{}}}"#, r#"by_name["a.\"b"]: missing field `percent`"#),
            (r#"{"by_name":{"":{}}}"#, r#"by_name[""]: missing field `percent`"#),
            (r#"[]"#, ""),
        ];
        for (json, expected) in cases {
            let found = parse::<Limits>(json).map(|_| String::new()).unwrap_or_else(|errors| errors.to_string());
            assert_eq!(found, expected, "{json}");
        }
    }

    #[test]
    fn refuses_keys_that_the_schema_does_not_have() {
        let schema =
            |more: &str| serde_json::from_str(&format!(r#"{{"properties":{{"rate":true}}{more}}}"#)).expect("JSON");
        let check = |json, more| check_keys(json, &schema(more)).map_err(|errors| errors.to_string());
        let expected = Err("ratio: the schema of the configuration has no such key".to_owned());
        assert_eq!(check(r#"{"ratio":1,"rate":1}"#, ""), expected);
        assert_eq!(check(r#"{"ratio":1}"#, r#","additionalProperties":false"#), expected);
        assert_eq!(check(r#"{"ratio":1}"#, r#","additionalProperties":true"#), Ok(()));
        assert_eq!(check(r#"{"ratio":1}"#, r#","patternProperties":{"^ra":true}"#), Ok(()));
        for json in [r#"{"rate":1}"#, "null", "[]", "{"] {
            assert_eq!(check(json, ""), Ok(()));
        }
    }

    #[test]
    fn takes_nothing_for_the_defaults() {
        assert_eq!(parse::<Limits>("null"), Ok(Limits::default()));
        assert_eq!(parse::<()>("null"), Ok(()));
        assert_eq!(parse::<Rate>("null"), Err(ConfigErrors::one("", "missing field `percent`")));
    }
}
