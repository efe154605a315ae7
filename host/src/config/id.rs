//! Component ids `type[/name]` and pipeline ids `signal[/name]`.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sluice_wire::Signal;

/// Names one component: its type, and a name if there are several of that type.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ComponentId {
    component_type: String,
    name: String,
}

/// Why a text is no id.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IdError {
    /// Nothing before the slash, or nothing at all.
    #[error("{0:?} is not a component id: the type is missing; write type or type/name")]
    NoType(String),
    /// A type that is none.
    #[error(
        "{0:?} is not a component type: it must start with a letter and have only letters, digits and _ (at most 63)"
    )]
    BadType(String),
    /// Nothing after the slash.
    #[error("{0:?} is not a component id: the part after / must not be empty")]
    NoName(String),
    /// A name that is none.
    #[error(
        "{0:?} is not a component name: it must have 1 to 1024 characters, without spaces, control characters and symbols"
    )]
    BadName(String),
    /// A pipeline of an unknown signal.
    #[error("{0:?} is not a pipeline id: it must start with traces, metrics or logs")]
    BadSignal(String),
    /// A pipeline of a signal that Sluice does not carry.
    #[error("pipelines for profiles are not part of this version")]
    Profiles,
}

impl ComponentId {
    /// The type, for example `otlp`, as it was spelled.
    pub fn component_type(&self) -> &str {
        &self.component_type
    }

    /// The name behind the slash; empty if there is none.
    pub fn name(&self) -> &str {
        &self.name
    }
}

impl FromStr for ComponentId {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        let (component_type, name) = split(text)?;
        let mut chars = component_type.chars();
        let starts_well = chars.next().is_some_and(|c| c.is_ascii_alphabetic());
        if !starts_well || component_type.len() > 63 || !chars.all(|c| c.is_ascii_alphanumeric() || c == '_') {
            return Err(IdError::BadType(component_type.to_owned()));
        }
        Ok(Self { component_type: component_type.to_owned(), name: name.unwrap_or_default().to_owned() })
    }
}

/// Splits at the first slash and checks what stands behind it.
fn split(text: &str) -> Result<(&str, Option<&str>), IdError> {
    let (before, name) = match text.split_once('/') {
        Some((before, name)) => (before.trim(), Some(name.trim())),
        None => (text.trim(), None),
    };
    if before.is_empty() {
        return Err(IdError::NoType(text.to_owned()));
    }
    match name {
        Some("") => Err(IdError::NoName(text.to_owned())),
        Some(name) if name.chars().count() > 1024 || name.chars().any(refused_in_name) => {
            Err(IdError::BadName(name.chars().take(64).collect()))
        }
        name => Ok((before, name)),
    }
}

/// The collector refuses what Unicode calls separators, control characters and symbols.
fn refused_in_name(c: char) -> bool {
    c.is_whitespace() || c.is_control() || "$+<=>^`|~".contains(c)
}

impl fmt::Display for ComponentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.component_type)?;
        if self.name.is_empty() { Ok(()) } else { write!(f, "/{}", self.name) }
    }
}

/// Names one pipeline: its signal, and a name if there are several of that signal.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct PipelineId {
    signal: Signal,
    name: String,
}

impl PipelineId {
    /// What flows through it.
    pub fn signal(&self) -> Signal {
        self.signal
    }

    /// The name behind the slash; empty if there is none.
    pub fn name(&self) -> &str {
        &self.name
    }
}

impl FromStr for PipelineId {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        let (signal, name) = split(text)?;
        let signal = match signal {
            "traces" => Signal::Traces,
            "metrics" => Signal::Metrics,
            "logs" => Signal::Logs,
            "profiles" => return Err(IdError::Profiles),
            other => return Err(IdError::BadSignal(other.to_owned())),
        };
        Ok(Self { signal, name: name.unwrap_or_default().to_owned() })
    }
}

impl fmt::Display for PipelineId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.signal.name())?;
        if self.name.is_empty() { Ok(()) } else { write!(f, "/{}", self.name) }
    }
}

impl PartialOrd for PipelineId {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for PipelineId {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.signal as u8, &self.name).cmp(&(other.signal as u8, &other.name))
    }
}

macro_rules! as_text {
    ($id:ty, $name:literal, $format:literal) => {
        impl Serialize for $id {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $id {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = String::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }

        impl JsonSchema for $id {
            fn inline_schema() -> bool {
                true
            }

            fn schema_name() -> Cow<'static, str> {
                $name.into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!({ "type": "string", "format": $format })
            }
        }
    };
}

as_text!(ComponentId, "ComponentId", "component-id");
as_text!(PipelineId, "PipelineId", "pipeline-id");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_ids_with_and_without_a_name() {
        for (text, component_type, name) in
            [("otlp", "otlp", ""), ("otlp/2", "otlp", "2"), ("batch/a/b", "batch", "a/b"), (" otlp / x ", "otlp", "x")]
        {
            let id: ComponentId = text.parse().expect("an id");
            assert_eq!((id.component_type(), id.name()), (component_type, name), "{text}");
        }
    }

    #[test]
    fn refuses_what_is_no_id() {
        let long_type = "a".repeat(64);
        let long_name = format!("otlp/{}", "b".repeat(1025));
        let cases = [
            "",
            "/x",
            "otlp/",
            "2otlp",
            "ot lp",
            "ot-lp",
            "otlp/a b",
            "otlp/a=b",
            "otlp/\u{7}",
            &long_type,
            &long_name,
        ];
        for text in cases {
            assert!(text.parse::<ComponentId>().is_err(), "{text}");
        }
        assert!("a".repeat(63).parse::<ComponentId>().is_ok());
        assert!(format!("otlp/{}", "b".repeat(1024)).parse::<ComponentId>().is_ok());
    }

    #[test]
    fn knows_the_signals_of_pipelines() {
        assert_eq!("metrics/ecs".parse::<PipelineId>().map(|id| id.to_string()), Ok("metrics/ecs".into()));
        assert_eq!("profiles".parse::<PipelineId>(), Err(IdError::Profiles));
        assert_eq!("metric".parse::<PipelineId>(), Err(IdError::BadSignal("metric".into())));
    }
}
