//! The configuration: the keys of the Collector's filter processor.

use std::fmt;

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

/// Which telemetry is dropped.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// What happens when a condition can't be evaluated for some row, for example because a function got a value of
    /// the wrong kind: `ignore` logs it and goes on with the next condition (default), `silent` does so without the
    /// log, `propagate` refuses the batch.
    pub(crate) error_mode: ErrorMode,
    /// Conditions on traces, each with its context as a prefix: `span.name == "x"`.
    pub(crate) trace_conditions: Vec<Conditions>,
    /// Conditions on metrics, each with its context as a prefix: `metric.name == "x"`.
    pub(crate) metric_conditions: Vec<Conditions>,
    /// Conditions on logs, each with its context as a prefix: `log.body == "x"`.
    pub(crate) log_conditions: Vec<Conditions>,
    /// Accepted while it is empty: there are no profiles.
    pub(crate) profile_conditions: Vec<Conditions>,
    /// Accepted while it is empty: there are no profiles.
    pub(crate) profiles: Profiles,
    /// Conditions on traces, by context.
    pub(crate) traces: Traces,
    /// Conditions on metrics by context, or the metrics to include or exclude.
    pub(crate) metrics: Metrics,
    /// Conditions on logs by context, or the log records to include or exclude.
    pub(crate) logs: Logs,
    /// The spans to include or exclude.
    pub(crate) spans: Spans,
}

/// What happens when a condition can't be evaluated.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(extend("x-ignore-case" = true))]
pub(crate) enum ErrorMode {
    /// Log it; the condition counts as not met.
    #[default]
    Ignore,
    /// The condition counts as not met.
    Silent,
    /// Refuse the batch.
    Propagate,
}

/// A condition, or a group of them.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(untagged)]
pub(crate) enum Conditions {
    /// A condition whose paths name their context.
    One(String),
    /// Conditions with a context.
    Group(Group),
}

/// Conditions with a context.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Group {
    /// `resource`, `scope`, `span`, `metric`, `datapoint` or `log`; without it the paths tell it.
    pub(crate) context: Option<String>,
    /// The conditions; any that is true drops.
    pub(crate) conditions: Vec<String>,
    /// Overrides `error_mode` for this group.
    pub(crate) error_mode: Option<ErrorMode>,
}

/// Conditions on profiles.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Profiles {
    /// Must be empty.
    pub(crate) resource: Vec<String>,
    /// Must be empty.
    pub(crate) profile: Vec<String>,
}

/// Conditions on traces.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Traces {
    /// Conditions that drop all spans of a resource.
    pub(crate) resource: Option<Vec<String>>,
    /// Conditions that drop a span.
    pub(crate) span: Option<Vec<String>>,
    /// Conditions that drop a span event. Not supported: an error.
    pub(crate) spanevent: Option<Vec<String>>,
}

/// Conditions on metrics, or the metrics to include or exclude.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Metrics {
    /// Conditions that drop all metrics of a resource.
    pub(crate) resource: Option<Vec<String>>,
    /// Conditions that drop a metric.
    pub(crate) metric: Option<Vec<String>>,
    /// Conditions that drop a data point.
    pub(crate) datapoint: Option<Vec<String>>,
    /// Only these metrics stay.
    pub(crate) include: Option<MetricMatch>,
    /// Of those that stay, these are dropped.
    pub(crate) exclude: Option<MetricMatch>,
    /// Accepted and not needed.
    pub(crate) regexp: Option<Regexp>,
}

/// Conditions on logs, or the log records to include or exclude.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Logs {
    /// Conditions that drop all log records of a resource.
    pub(crate) resource: Option<Vec<String>>,
    /// Conditions that drop a log record.
    pub(crate) log_record: Option<Vec<String>>,
    /// Only these log records stay.
    pub(crate) include: Option<LogMatch>,
    /// Of those that stay, these are dropped.
    pub(crate) exclude: Option<LogMatch>,
}

/// The spans to include or exclude.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Spans {
    /// Only these spans stay.
    pub(crate) include: Option<SpanMatch>,
    /// Of those that stay, these are dropped.
    pub(crate) exclude: Option<SpanMatch>,
}

/// Which metrics. A resource must have all attributes, and a metric one of the names.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct MetricMatch {
    /// `strict` for equality, `regexp` for patterns. `expr` is not supported: an error.
    pub(crate) match_type: MatchType,
    /// Options of `regexp`; accepted and not needed.
    pub(crate) regexp: Option<Regexp>,
    /// Names of metrics.
    pub(crate) metric_names: Vec<String>,
    /// For `expr`. Not supported: an error.
    pub(crate) expressions: Vec<String>,
    /// Attributes of resources.
    pub(crate) resource_attributes: Vec<Attribute>,
}

/// Which spans: those for which all that is given is true.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct SpanMatch {
    /// `strict` for equality, `regexp` for patterns.
    pub(crate) match_type: MatchType,
    /// Options of `regexp`; accepted and not needed.
    pub(crate) regexp: Option<Regexp>,
    /// Service names; one of them.
    pub(crate) services: Vec<String>,
    /// Names of spans; one of them.
    pub(crate) span_names: Vec<String>,
    /// Kinds of spans such as `SPAN_KIND_SERVER`; one of them.
    pub(crate) span_kinds: Vec<String>,
    /// Attributes of the span; all of them.
    pub(crate) attributes: Vec<Attribute>,
    /// Attributes of the resource; all of them.
    pub(crate) resources: Vec<Attribute>,
    /// The instrumentation scope; all of them.
    pub(crate) libraries: Vec<Library>,
}

/// Which log records: those for which all that is given is true.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct LogMatch {
    /// `strict` for equality, `regexp` for patterns.
    pub(crate) match_type: MatchType,
    /// Attributes of the resource; all of them.
    pub(crate) resource_attributes: Vec<Attribute>,
    /// Attributes of the log record; all of them.
    pub(crate) record_attributes: Vec<Attribute>,
    /// Severity texts; one of them.
    pub(crate) severity_texts: Vec<String>,
    /// The lowest severity.
    pub(crate) severity_number: Option<SeverityNumber>,
    /// Bodies, as text; one of them.
    pub(crate) bodies: Vec<String>,
}

/// How values are matched.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(try_from = "String")]
#[schemars(with = "String")]
pub(crate) enum MatchType {
    /// Not said.
    #[default]
    Missing,
    /// Equality.
    Strict,
    /// Patterns.
    Regexp,
    /// An expression language of its own.
    Expr,
}

impl TryFrom<String> for MatchType {
    type Error = String;

    fn try_from(name: String) -> Result<Self, String> {
        Ok(match name.as_str() {
            "" => Self::Missing,
            "strict" => Self::Strict,
            "regexp" => Self::Regexp,
            "expr" => Self::Expr,
            _ => return Err(format!("unknown match_type {name:?}; it is strict or regexp")),
        })
    }
}

/// An attribute to match.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Attribute {
    /// The key.
    #[serde(alias = "Key")]
    pub(crate) key: String,
    /// The value, or the pattern; without it any value matches.
    #[serde(alias = "Value")]
    pub(crate) value: Option<Value>,
}

/// An instrumentation scope to match.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Library {
    /// The name, or its pattern.
    pub(crate) name: String,
    /// The version, or its pattern; without it any version matches.
    pub(crate) version: Option<String>,
}

/// The lowest severity to match.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct SeverityNumber {
    /// A name such as `WARN`, in any case, or a number from 1 to 24.
    pub(crate) min: Severity,
    /// Whether log records without a severity match.
    pub(crate) match_undefined: bool,
}

/// A severity, by name or number.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(untagged)]
pub(crate) enum Severity {
    /// By name.
    Name(String),
    /// By number.
    Number(i64),
}

/// Options of the regular expressions of the Collector: a cache that this stage does not need.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Regexp {
    /// Accepted and not needed.
    #[serde(rename = "cacheenabled")]
    _cache_enabled: bool,
    /// Accepted and not needed.
    #[serde(rename = "cachemaxnumentries")]
    _cache_max_num_entries: u64,
}

impl Default for Severity {
    fn default() -> Self {
        Self::Name(String::new())
    }
}

impl Severity {
    /// The number of a severity; 0 if none was given.
    pub(crate) fn number(&self) -> Option<i64> {
        let name = match self {
            Self::Number(number) => return (1..=24).contains(number).then_some(*number),
            Self::Name(name) => name.to_ascii_uppercase(),
        };
        if let Ok(number) = name.parse::<i64>() {
            return (1..=24).contains(&number).then_some(number);
        }
        if name.is_empty() {
            return Some(0);
        }
        let (base, step) = match name.strip_suffix(['2', '3', '4']) {
            Some(base) => (base, i64::from(name.as_bytes()[base.len()] - b'1')),
            None => (name.as_str(), 0),
        };
        let names = ["TRACE", "DEBUG", "INFO", "WARN", "ERROR", "FATAL"];
        names.iter().position(|known| *known == base).map(|at| at as i64 * 4 + 1 + step)
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => f.write_str(name),
            Self::Number(number) => write!(f, "{number}"),
        }
    }
}
