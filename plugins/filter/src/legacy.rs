//! The older blocks `include` and `exclude`, as tests.

use serde_json::Value as Json;
use sluice_sdk::{ConfigErrors, Level, Selector, Setup, ValueKind};

use crate::config::{Attribute, Library, LogMatch, MatchType, MetricMatch, SpanMatch};
use crate::context::Context;
use crate::fields::{ANY_TYPE, Reading, Resolved, Shape};
use crate::ottl::Comparison;
use crate::program::{Atom, Expression, Slots, Strategy, Test, Wanted, Written};
use crate::strategy;
use crate::value::Value;

/// What the Collector matches services against where a resource has no `service.name`.
const NO_SERVICE: &str = "<nil-service-name>";

/// Builds the tests of one block; `path` says where it stands.
pub(crate) struct Matcher<'m> {
    pub(crate) path: String,
    pub(crate) slots: &'m mut Slots,
    /// Compiles patterns. None if the block is only checked.
    pub(crate) setup: Option<&'m mut Setup>,
    pub(crate) errors: &'m mut ConfigErrors,
}

/// What is dropped: all that `include` does not match, and all that `exclude` matches.
pub(crate) fn dropped(include: Option<Test>, exclude: Option<Test>) -> Option<Test> {
    let include = include.map(|test| Test::Not(Box::new(test)));
    let parts: Vec<Test> = include.into_iter().chain(exclude).collect();
    (!parts.is_empty()).then_some(Test::Or(parts))
}

impl Matcher<'_> {
    /// Matches resources of metrics. None if the block says nothing about them.
    pub(crate) fn metric_resources(&mut self, block: &MetricMatch) -> Option<Test> {
        self.attributes(Context::Resource, "resource_attributes", block.match_type, &block.resource_attributes)
    }

    /// Matches metrics by name. None if the block has no names.
    pub(crate) fn metric_names(&mut self, block: &MetricMatch) -> Option<Test> {
        if block.match_type == MatchType::Expr || !block.expressions.is_empty() {
            let message = "match_type expr and expressions are not supported; \
                           write a condition under `metrics.datapoint` or `metric_conditions`";
            self.errors.push(self.path.clone(), message);
            return None;
        }
        self.texts("metric_names", block.match_type, &block.metric_names, &field(Context::Metric, "name", Shape::Text))
    }

    /// Matches spans.
    pub(crate) fn spans(&mut self, block: &SpanMatch) -> Option<Test> {
        let kind = block.match_type;
        if kind == MatchType::Strict {
            self.check_kinds(&block.span_kinds);
        }
        let spans = Context::Span;
        let span_kind = Resolved { reading: Reading::OldKind, ..field(spans, "kind", Shape::Signed) };
        let parts: Vec<Test> = [
            self.services(kind, &block.services),
            self.texts("span_names", kind, &block.span_names, &field(spans, "name", Shape::Text)),
            self.texts("span_kinds", kind, &block.span_kinds, &span_kind),
            self.libraries(kind, &block.libraries),
            self.attributes(Context::Resource, "resources", kind, &block.resources),
            self.attributes(spans, "attributes", kind, &block.attributes),
        ]
        .into_iter()
        .flatten()
        .collect();
        if parts.is_empty() && self.errors.is_empty() {
            let message =
                "at least one of services, span_names, span_kinds, attributes, resources, libraries is needed";
            self.errors.push(self.path.clone(), message);
        }
        Some(Test::And(parts))
    }

    /// Matches log records. None if the block is empty: it is ignored then.
    pub(crate) fn logs(&mut self, block: &LogMatch) -> Option<Test> {
        let (kind, logs) = (block.match_type, Context::Log);
        let body = Resolved { reading: Reading::Display, ..field(logs, "body", Shape::Body) };
        let parts: Vec<Test> = [
            self.texts("bodies", kind, &block.bodies, &body),
            self.texts("severity_texts", kind, &block.severity_texts, &field(logs, "severity_text", Shape::Text)),
            self.severity(block),
            self.attributes(Context::Resource, "resource_attributes", kind, &block.resource_attributes),
            self.attributes(logs, "record_attributes", kind, &block.record_attributes),
        ]
        .into_iter()
        .flatten()
        .collect();
        (!parts.is_empty()).then_some(Test::And(parts))
    }

    fn severity(&mut self, block: &LogMatch) -> Option<Test> {
        let severity = block.severity_number.as_ref()?;
        let Some(min) = severity.min.number() else {
            let message = format!("unknown severity {}; it is a name such as WARN or ERROR2, or 1 to 24", severity.min);
            self.error("severity_number.min", message);
            return None;
        };
        let slot = self.slots.slot(&field(Context::Log, "severity_number", Shape::Signed));
        let mut compare = |operator, number| {
            let left = Box::new(Expression::Read { slot, reading: Reading::Plain });
            let right = Box::new(Expression::Literal(Value::Integer(number)));
            strategy::atom(Expression::Compare { operator, left, right }, self.slots)
        };
        let undefined = Test::And(vec![compare(Comparison::Equal, 0), Test::Constant(severity.match_undefined)]);
        let defined = Test::And(vec![compare(Comparison::NotEqual, 0), compare(Comparison::GreaterOrEqual, min)]);
        Some(Test::Or(vec![undefined, defined]))
    }

    fn services(&mut self, kind: MatchType, services: &[String]) -> Option<Test> {
        let name = Resolved { reading: Reading::Display, ..attribute(Context::Resource, "service.name") };
        let named = self.texts("services", kind, services, &name)?;
        let literal = Expression::Literal(Value::text(NO_SERVICE));
        let unnamed = self.texts_of("services", kind, services, literal)?;
        let slot = self.slots.slot(&name);
        Some(Test::Or(vec![
            Test::And(vec![Test::Not(Box::new(self.kind(slot, ValueKind::Absent))), named]),
            Test::And(vec![self.kind(slot, ValueKind::Absent), unnamed]),
        ]))
    }

    fn libraries(&mut self, kind: MatchType, libraries: &[Library]) -> Option<Test> {
        let mut parts = Vec::new();
        for (i, library) in libraries.iter().enumerate() {
            let (name, version) = (format!("libraries[{i}].name"), format!("libraries[{i}].version"));
            let names = std::slice::from_ref(&library.name);
            parts.extend(self.texts(&name, kind, names, &field(Context::Scope, "name", Shape::Text)));
            if let Some(wanted) = &library.version {
                let versions = std::slice::from_ref(wanted);
                parts.extend(self.texts(&version, kind, versions, &field(Context::Scope, "version", Shape::Text)));
            }
        }
        (!parts.is_empty()).then_some(Test::And(parts))
    }

    /// Whether a field is one of some texts, or is matched by one of some patterns. None if there are none.
    fn texts(&mut self, key: &str, kind: MatchType, texts: &[String], field: &Resolved) -> Option<Test> {
        let target = Expression::Read { slot: self.slots.slot(field), reading: field.reading.clone() };
        self.texts_of(key, kind, texts, target)
    }

    fn texts_of(&mut self, key: &str, kind: MatchType, texts: &[String], target: Expression) -> Option<Test> {
        if texts.is_empty() {
            return None;
        }
        let target = Box::new(target);
        let expression = match kind {
            MatchType::Strict => Expression::OneOf { texts: texts.to_vec(), target },
            MatchType::Regexp => {
                Expression::Match { patterns: self.patterns(key, texts), target, written: Written::Like }
            }
            MatchType::Missing | MatchType::Expr => return self.bad_match_type(kind),
        };
        Some(strategy::atom(expression, self.slots))
    }

    fn patterns(&mut self, key: &str, patterns: &[String]) -> Vec<sluice_sdk::Pattern> {
        let mut compiled = Vec::new();
        for (i, text) in patterns.iter().enumerate() {
            // The same pattern twice, as people have it in long lists, counts once.
            let known = patterns[..i].contains(text);
            match self.setup.as_mut().filter(|_| !known).map(|setup| setup.go_regex(text)) {
                Some(Ok(pattern)) => compiled.push(pattern),
                Some(Err(reason)) => self.error(&format!("{key}[{i}]"), format!("bad pattern: {reason}")),
                None => {}
            }
        }
        compiled
    }

    /// Whether an entity has all of some attributes. None if there are none.
    fn attributes(&mut self, context: Context, key: &str, kind: MatchType, attributes: &[Attribute]) -> Option<Test> {
        if attributes.is_empty() {
            return None;
        }
        let mut parts = Vec::new();
        for (i, wanted) in attributes.iter().enumerate() {
            let place = format!("{key}[{i}]");
            if wanted.key.is_empty() {
                self.error(&place, "the key is empty");
                continue;
            }
            parts.extend(self.attribute(context, &place, kind, wanted));
        }
        Some(Test::And(parts))
    }

    fn attribute(&mut self, context: Context, place: &str, kind: MatchType, wanted: &Attribute) -> Option<Test> {
        let slot = self.slots.slot(&attribute(context, &wanted.key));
        let target = Box::new(Expression::Read { slot, reading: Reading::Plain });
        let Some(value) = &wanted.value else {
            return Some(Test::Not(Box::new(self.kind(slot, ValueKind::Absent))));
        };
        match (kind, value) {
            (MatchType::Strict, value) => {
                let (accepted, value) = literal(value);
                let right = Box::new(Expression::Literal(value));
                let expression = Expression::Compare { operator: Comparison::Equal, left: target, right };
                let equal = strategy::atom(expression, self.slots);
                Some(match accepted {
                    // 200 is not 200.0 here.
                    ValueKind::Integer | ValueKind::Double => Test::And(vec![self.kind(slot, accepted), equal]),
                    _ => equal,
                })
            }
            (MatchType::Regexp, Json::String(text)) => {
                let patterns = self.patterns(place, std::slice::from_ref(text));
                Some(strategy::atom(Expression::Match { patterns, target, written: Written::Scalar }, self.slots))
            }
            (MatchType::Regexp, other) => {
                self.error(place, format!("with match_type regexp the value must be a string, not {other}"));
                None
            }
            (MatchType::Missing | MatchType::Expr, _) => self.bad_match_type(kind),
        }
    }

    /// Whether a value of this kind stands in a slot.
    fn kind(&mut self, slot: usize, accepted: ValueKind) -> Test {
        self.slots.want(slot, Wanted::KIND);
        let level = self.slots.get(slot).level();
        let expression = Expression::Literal(Value::Nil);
        Test::Atom(Atom { expression, level, strategy: Strategy::Kinds { slot, accepted } })
    }

    fn check_kinds(&mut self, kinds: &[String]) {
        const KNOWN: [&str; 5] =
            ["SPAN_KIND_CLIENT", "SPAN_KIND_CONSUMER", "SPAN_KIND_INTERNAL", "SPAN_KIND_PRODUCER", "SPAN_KIND_SERVER"];
        for (i, kind) in kinds.iter().enumerate() {
            if !KNOWN.contains(&kind.as_str()) {
                let message = format!("unknown span kind {kind}; it is one of {}", KNOWN.join(", "));
                self.error(&format!("span_kinds[{i}]"), message);
            }
        }
    }

    fn bad_match_type(&mut self, kind: MatchType) -> Option<Test> {
        let message = match kind {
            MatchType::Expr => "match_type expr is not supported; write a condition instead",
            _ => "match_type is missing; it is strict or regexp",
        };
        self.errors.push(format!("{}.match_type", self.path), message);
        None
    }

    fn error(&mut self, key: &str, message: impl Into<String>) {
        self.errors.push(format!("{}.{key}", self.path), message);
    }
}

fn field(context: Context, name: &str, shape: Shape) -> Resolved {
    let field = sluice_sdk::Field { level: context.level(), selector: Selector::Intrinsic(name.to_owned()) };
    Resolved { field, shape, types: ANY_TYPE, reading: Reading::Plain }
}

fn attribute(context: Context, key: &str) -> Resolved {
    let level: Level = context.level();
    let field = sluice_sdk::Field { level, selector: Selector::Attribute(key.to_owned()) };
    Resolved { field, shape: Shape::Attribute, types: ANY_TYPE, reading: Reading::Plain }
}

/// A value of the configuration, and the kind that an attribute must have to equal it.
fn literal(value: &Json) -> (ValueKind, Value<'static>) {
    match value {
        Json::Null => (ValueKind::Empty, Value::Nil),
        Json::Bool(value) => (ValueKind::Boolean, Value::Boolean(*value)),
        Json::String(text) => (ValueKind::Text, Value::Text(text.clone().into())),
        Json::Number(number) => match number.as_i64() {
            Some(number) => (ValueKind::Integer, Value::Integer(number)),
            None => (ValueKind::Double, Value::Double(number.as_f64().unwrap_or(f64::NAN))),
        },
        Json::Array(items) => (ValueKind::Array, Value::List(items.iter().map(|item| literal(item).1).collect())),
        Json::Object(members) => {
            let members = members.iter().map(|(key, value)| (key.clone().into(), literal(value).1));
            (ValueKind::Map, Value::Map(members.collect()))
        }
    }
}
