//! Contexts: what a condition is asked about, and which names it may use there.

use sluice_sdk::{Level, Signal};

use crate::functions;
use crate::ottl::{Condition, Mistake, Reference};
use crate::suggest::did_you_mean;

/// What a condition is asked about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Context {
    Resource,
    Scope,
    Span,
    Metric,
    DataPoint,
    Log,
}

/// How paths name the context that they belong to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Naming {
    /// `name` and `span.name` are the same.
    Optional,
    /// Only `span.name` is a path.
    Required,
}

/// Why conditions on span events are refused.
pub(crate) const NO_EVENTS: &str =
    "single span events can't be dropped by this stage, only whole spans; remove the condition";

/// The contexts in which conditions of a signal can stand, deepest first.
pub(crate) fn contexts(signal: Signal) -> &'static [Context] {
    match signal {
        Signal::Traces => Context::Span.above(),
        Signal::Metrics => Context::DataPoint.above(),
        Signal::Logs => Context::Log.above(),
    }
}

impl Context {
    /// The name in configurations and paths.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Resource => "resource",
            Self::Scope => "scope",
            Self::Span => "span",
            Self::Metric => "metric",
            Self::DataPoint => "datapoint",
            Self::Log => "log",
        }
    }

    /// What it is called when there are several.
    pub(crate) fn plural(self) -> &'static str {
        match self {
            Self::Resource => "resources",
            Self::Scope => "scopes",
            Self::Span => "spans",
            Self::Metric => "metrics",
            Self::DataPoint => "data points",
            Self::Log => "log records",
        }
    }

    /// The level of what it is asked about.
    pub(crate) fn level(self) -> Level {
        match self {
            Self::Resource => Level::Resource,
            Self::Scope => Level::Scope,
            Self::Metric => Level::Metric,
            Self::Span | Self::DataPoint | Self::Log => Level::Record,
        }
    }

    /// The context that a path's first name means here. `instrumentation_scope` is the older name of `scope`.
    pub(crate) fn reachable(self, name: &str) -> Option<Self> {
        let named = match name {
            "resource" => Self::Resource,
            "scope" | "instrumentation_scope" => Self::Scope,
            "span" => Self::Span,
            "metric" => Self::Metric,
            "datapoint" => Self::DataPoint,
            "log" => Self::Log,
            _ => return None,
        };
        self.above().contains(&named).then_some(named)
    }

    /// This context and those that contain it.
    pub(crate) fn above(self) -> &'static [Self] {
        match self {
            Self::Resource => &[Self::Resource],
            Self::Scope => &[Self::Scope, Self::Resource],
            Self::Span => &[Self::Span, Self::Scope, Self::Resource],
            Self::Metric => &[Self::Metric, Self::Scope, Self::Resource],
            Self::DataPoint => &[Self::DataPoint, Self::Metric, Self::Scope, Self::Resource],
            Self::Log => &[Self::Log, Self::Scope, Self::Resource],
        }
    }

    /// The value of a symbol in upper case.
    pub(crate) fn symbol(self, column: usize, name: &str) -> Result<i64, Mistake> {
        let tables = self.symbols();
        let all = || tables.iter().flat_map(|table| table.iter());
        if let Some((_, value)) = all().find(|(known, _)| *known == name) {
            return Ok(*value);
        }
        let hint = did_you_mean(name, all().map(|(known, _)| *known));
        Err(Mistake::new(column, format!("unknown symbol {name} for {}{hint}", self.plural())))
    }

    /// Whether conditions on it may refer to this.
    fn has(self, reference: &Reference<'_>) -> bool {
        match reference {
            Reference::Path(_) => true,
            Reference::Call(call) => functions::find(call, self).is_ok(),
            Reference::Symbol(name) => self.symbols().iter().any(|table| table.iter().any(|(known, _)| known == name)),
        }
    }

    fn symbols(self) -> &'static [&'static [(&'static str, i64)]] {
        match self {
            Self::Resource | Self::Scope => &[],
            Self::Span => &[SPAN],
            Self::Metric => &[METRIC],
            Self::DataPoint => &[METRIC, DATA_POINT],
            Self::Log => &[LOG],
        }
    }
}

/// Finds the context of conditions that don't name one: the deepest that their paths name, or if that one lacks a
/// function or symbol which they use, the deepest below it that has them.
pub(crate) fn infer(signal: Signal, conditions: &[Condition]) -> Result<Context, Mistake> {
    let known = contexts(signal);
    let mut first: Option<(usize, String)> = None;
    let mut deepest: Option<usize> = None;
    let (mut event, mut used) = (false, Vec::new());
    for condition in conditions {
        condition.visit(&mut |reference| {
            let Reference::Path(path) = reference else { return used.push(reference) };
            let segment = &path.segments[0];
            first.get_or_insert_with(|| (segment.column, path.dotted()));
            event |= segment.name == "spanevent";
            let named =
                |context: &Context| path.segments.len() > 1 && context.reachable(&segment.name) == Some(*context);
            deepest = deepest.into_iter().chain(known.iter().position(named)).min();
        });
    }
    let has_all = |context: &Context| used.iter().all(|reference| context.has(reference));
    match (deepest, first) {
        (_, Some((column, _))) if event => Err(Mistake::new(column, NO_EVENTS)),
        (Some(depth), _) if has_all(&known[depth]) => Ok(known[depth]),
        (Some(depth), _) => Ok(known[..depth].iter().copied().find(has_all).unwrap_or(known[depth])),
        (None, Some((column, path))) => Err(Mistake::new(column, missing(signal, &path))),
        (None, None) => Err(Mistake::new(1, "no path tells what the condition is about; give the group a `context`")),
    }
}

fn missing(signal: Signal, path: &str) -> String {
    let names: Vec<String> = contexts(signal).iter().map(|context| format!("`{}.{path}`", context.name())).collect();
    format!("`{path}` does not start with a context; write {}", names.join(" or "))
}

const SPAN: &[(&str, i64)] = &[
    ("SPAN_KIND_UNSPECIFIED", 0),
    ("SPAN_KIND_INTERNAL", 1),
    ("SPAN_KIND_SERVER", 2),
    ("SPAN_KIND_CLIENT", 3),
    ("SPAN_KIND_PRODUCER", 4),
    ("SPAN_KIND_CONSUMER", 5),
    ("STATUS_CODE_UNSET", 0),
    ("STATUS_CODE_OK", 1),
    ("STATUS_CODE_ERROR", 2),
];

const METRIC: &[(&str, i64)] = &[
    ("AGGREGATION_TEMPORALITY_UNSPECIFIED", 0),
    ("AGGREGATION_TEMPORALITY_DELTA", 1),
    ("AGGREGATION_TEMPORALITY_CUMULATIVE", 2),
    ("METRIC_DATA_TYPE_NONE", 0),
    ("METRIC_DATA_TYPE_GAUGE", 1),
    ("METRIC_DATA_TYPE_SUM", 2),
    ("METRIC_DATA_TYPE_HISTOGRAM", 3),
    ("METRIC_DATA_TYPE_EXPONENTIAL_HISTOGRAM", 4),
    ("METRIC_DATA_TYPE_SUMMARY", 5),
];

const DATA_POINT: &[(&str, i64)] = &[("FLAG_NONE", 0), ("FLAG_NO_RECORDED_VALUE", 1)];

const LOG: &[(&str, i64)] = &[
    ("SEVERITY_NUMBER_UNSPECIFIED", 0),
    ("SEVERITY_NUMBER_TRACE", 1),
    ("SEVERITY_NUMBER_TRACE2", 2),
    ("SEVERITY_NUMBER_TRACE3", 3),
    ("SEVERITY_NUMBER_TRACE4", 4),
    ("SEVERITY_NUMBER_DEBUG", 5),
    ("SEVERITY_NUMBER_DEBUG2", 6),
    ("SEVERITY_NUMBER_DEBUG3", 7),
    ("SEVERITY_NUMBER_DEBUG4", 8),
    ("SEVERITY_NUMBER_INFO", 9),
    ("SEVERITY_NUMBER_INFO2", 10),
    ("SEVERITY_NUMBER_INFO3", 11),
    ("SEVERITY_NUMBER_INFO4", 12),
    ("SEVERITY_NUMBER_WARN", 13),
    ("SEVERITY_NUMBER_WARN2", 14),
    ("SEVERITY_NUMBER_WARN3", 15),
    ("SEVERITY_NUMBER_WARN4", 16),
    ("SEVERITY_NUMBER_ERROR", 17),
    ("SEVERITY_NUMBER_ERROR2", 18),
    ("SEVERITY_NUMBER_ERROR3", 19),
    ("SEVERITY_NUMBER_ERROR4", 20),
    ("SEVERITY_NUMBER_FATAL", 21),
    ("SEVERITY_NUMBER_FATAL2", 22),
    ("SEVERITY_NUMBER_FATAL3", 23),
    ("SEVERITY_NUMBER_FATAL4", 24),
];
