//! Turns the configuration into the program of one signal, and checks what it says about the others.

use sluice_sdk::{ConfigErrors, MAX_COLUMNS, Setup, Signal, log};

use crate::compile::Compiler;
use crate::config::{self, Conditions, Config, Group, Logs, Metrics, Spans};
use crate::context::{Context, NO_EVENTS, Naming, contexts, infer};
use crate::legacy::{Matcher, dropped};
use crate::ottl::{self, Condition, Mistake};
use crate::program::{Compiled, ErrorMode, Program, Step, Test};
use crate::suggest::did_you_mean;

/// Builds the program for the signal of `setup`.
///
/// # Errors
/// All mistakes, those of the other signals too: a block is often shared by pipelines.
pub(crate) fn program(config: &Config, setup: &mut Setup) -> Result<Program, ConfigErrors> {
    let mut errors = ConfigErrors::new();
    let signal = setup.signal();
    let mut ours = Program::default();
    if !config.profile_conditions.is_empty() {
        errors.push("profile_conditions", "there are no profiles here; leave the list empty");
    }
    if !config.profiles.resource.is_empty() || !config.profiles.profile.is_empty() {
        errors.push("profiles", "there are no profiles here; remove the conditions");
    }
    for other in [Signal::Traces, Signal::Metrics, Signal::Logs] {
        let mut planner = Planner {
            signal: other,
            errors_mode: mode(config.error_mode),
            program: Program::default(),
            setup: (other == signal).then_some(&mut *setup),
            errors: &mut errors,
        };
        planner.plan(config);
        if other == signal {
            ours = planner.program;
        }
    }
    errors.or_ok(ours)
}

struct Planner<'p> {
    signal: Signal,
    errors_mode: ErrorMode,
    program: Program,
    setup: Option<&'p mut Setup>,
    errors: &'p mut ConfigErrors,
}

/// An explicit list: its path, its context and its conditions.
type List<'c> = (&'static str, Context, Option<&'c Vec<String>>);

impl Planner<'_> {
    fn plan(&mut self, config: &Config) {
        let (flat, key) = match self.signal {
            Signal::Traces => (&config.trace_conditions, "trace_conditions"),
            Signal::Metrics => (&config.metric_conditions, "metric_conditions"),
            Signal::Logs => (&config.log_conditions, "log_conditions"),
        };
        let lists = lists(config, self.signal);
        let listed: Vec<&str> = lists.iter().filter(|list| list.2.is_some()).map(|list| list.0).collect();
        let legacy = blocks(config, self.signal);
        if self.conflicts(key, !flat.is_empty(), &listed, &legacy) {
            return;
        }
        if config.traces.spanevent.as_ref().is_some_and(|list| !list.is_empty()) && self.signal == Signal::Traces {
            self.errors.push("traces.spanevent", NO_EVENTS);
        }
        self.program.refuses_empty = flat.is_empty();
        if !flat.is_empty() {
            self.flat(key, flat);
        } else if !listed.is_empty() {
            for (path, context, conditions) in lists {
                self.list(path, context, conditions.map_or(&[], Vec::as_slice));
            }
        } else {
            self.legacy(config);
        }
    }

    /// Ways to say what is dropped that exclude each other, as in the Collector.
    fn conflicts(&mut self, key: &str, flat: bool, listed: &[&str], legacy: &[&str]) -> bool {
        let others = match (flat, self.signal) {
            (true, Signal::Traces) => {
                if !legacy.is_empty() && self.setup.is_some() {
                    let are = if legacy.len() == 1 { "is" } else { "are" };
                    log::warn(&format!("{} {are} ignored, since {key} is set", legacy.join(" and ")));
                }
                listed.to_vec()
            }
            (true, _) => listed.iter().chain(legacy).copied().collect(),
            (false, _) if !listed.is_empty() => legacy.to_vec(),
            (false, _) => Vec::new(),
        };
        let Some(other) = others.first() else { return false };
        let with = if flat { key } else { listed[0] };
        self.errors.push(*other, format!("can't be used together with `{with}`; write everything as conditions"));
        true
    }

    fn list(&mut self, path: &str, context: Context, conditions: &[String]) {
        let parsed: Vec<_> = conditions
            .iter()
            .enumerate()
            .map(|(i, text)| (format!("{path}[{i}]"), text.as_str(), ottl::parse(text)))
            .collect();
        self.step(context, Naming::Optional, self.errors_mode, parsed);
    }

    fn flat(&mut self, key: &str, conditions: &[Conditions]) {
        let single: Vec<_> = conditions
            .iter()
            .enumerate()
            .filter_map(|(i, condition)| match condition {
                Conditions::One(text) => Some((format!("{key}[{i}]"), text.as_str(), ottl::parse(text))),
                Conditions::Group(_) => None,
            })
            .collect();
        if single.len() == conditions.len() {
            return self.inferred(self.errors_mode, single);
        }
        if !single.is_empty() {
            return self.errors.push(key, "conditions and groups of conditions can't be mixed; put all into groups");
        }
        for (i, group) in conditions.iter().enumerate() {
            if let Conditions::Group(group) = group {
                self.group(&format!("{key}[{i}]"), group);
            }
        }
    }

    fn group(&mut self, path: &str, group: &Group) {
        let errors = group.error_mode.map_or(self.errors_mode, mode);
        let parsed: Vec<_> = group
            .conditions
            .iter()
            .enumerate()
            .map(|(i, text)| (format!("{path}.conditions[{i}]"), text.as_str(), ottl::parse(text)))
            .collect();
        if parsed.is_empty() {
            return self.errors.push(format!("{path}.conditions"), "the group has no conditions");
        }
        let Some(name) = group.context.as_deref().filter(|name| !name.is_empty()) else {
            return self.inferred(errors, parsed);
        };
        let name = name.to_ascii_lowercase();
        let known = contexts(self.signal);
        match known.iter().find(|context| context.name() == name) {
            Some(context) => self.step(*context, Naming::Optional, errors, parsed),
            None if name == "spanevent" => self.errors.push(format!("{path}.context"), NO_EVENTS),
            None => {
                let names: Vec<&str> = known.iter().map(|context| context.name()).collect();
                let choices = match did_you_mean(&name, names.iter().copied()) {
                    hint if hint.is_empty() => "; it is".to_owned(),
                    hint => hint + " It is",
                };
                let message = format!("unknown context {name}{choices} one of {}", names.join(", "));
                self.errors.push(format!("{path}.context"), message);
            }
        }
    }

    /// Conditions whose context follows from their paths; it is the same for all of them.
    fn inferred(&mut self, errors: ErrorMode, parsed: Vec<Parsed<'_>>) {
        let good: Vec<Condition> = parsed.iter().filter_map(|(.., parsed)| parsed.clone().ok()).collect();
        match infer(self.signal, &good) {
            Ok(context) => self.step(context, Naming::Required, errors, parsed),
            Err(mistake) => {
                let wrong: Vec<_> = parsed.iter().filter(|(.., parsed)| parsed.is_err()).collect();
                // A condition that can't be read may be why there is no context.
                for (path, text, condition) in &wrong {
                    if let Err(mistake) = condition {
                        self.mistake(path, text, mistake);
                    }
                }
                if wrong.is_empty() {
                    let (path, text, _) = &parsed[0];
                    self.mistake(path, text, &mistake);
                }
            }
        }
    }

    fn step(&mut self, context: Context, naming: Naming, errors: ErrorMode, parsed: Vec<Parsed<'_>>) {
        let mut conditions = Vec::new();
        for (path, text, condition) in parsed {
            let before = self.program.slots.columns();
            let mut compiler =
                Compiler { context, naming, slots: &mut self.program.slots, setup: self.setup.as_deref_mut() };
            match condition.and_then(|condition| compiler.condition(&condition)) {
                Ok(test) => conditions.push(Compiled { text: text.to_owned(), test }),
                Err(mistake) => self.mistake(&path, text, &mistake),
            }
            self.check_columns(before, &path);
        }
        if !conditions.is_empty() {
            self.program.steps.push(Step { context, errors, conditions });
        }
    }

    /// Reports what first reads more than is allowed, if it was not so before.
    fn check_columns(&mut self, before: usize, path: &str) {
        let columns = self.program.slots.columns();
        if before <= MAX_COLUMNS && columns > MAX_COLUMNS {
            let message = format!("everything up to here reads {columns} columns, {MAX_COLUMNS} are allowed");
            self.errors.push(path, message + "; ask about fewer fields");
        }
    }

    fn mistake(&mut self, path: &str, text: &str, mistake: &Mistake) {
        self.errors.push(path, format!("{}: {} (condition `{text}`)", mistake.place(text), mistake.message));
    }

    fn legacy(&mut self, config: &Config) {
        match self.signal {
            Signal::Traces => {
                let Spans { include, exclude } = &config.spans;
                let include = self.block("spans.include", include, |matcher, block| matcher.spans(block));
                let exclude = self.block("spans.exclude", exclude, |matcher, block| matcher.spans(block));
                self.legacy_step(Context::Span, dropped(include, exclude));
            }
            Signal::Metrics => {
                let Metrics { include, exclude, .. } = &config.metrics;
                let included = self.block("metrics.include", include, |matcher, block| matcher.metric_resources(block));
                let excluded = self.block("metrics.exclude", exclude, |matcher, block| matcher.metric_resources(block));
                self.legacy_step(Context::Resource, dropped(included, excluded));
                let include = self.block("metrics.include", include, |matcher, block| matcher.metric_names(block));
                let exclude = self.block("metrics.exclude", exclude, |matcher, block| matcher.metric_names(block));
                self.legacy_step(Context::Metric, dropped(include, exclude));
            }
            Signal::Logs => {
                let Logs { include, exclude, .. } = &config.logs;
                let include = self.block("logs.include", include, |matcher, block| matcher.logs(block));
                let exclude = self.block("logs.exclude", exclude, |matcher, block| matcher.logs(block));
                self.legacy_step(Context::Log, dropped(include, exclude));
            }
        }
    }

    fn block<B>(
        &mut self,
        path: &str,
        block: &Option<B>,
        matched: impl Fn(&mut Matcher<'_>, &B) -> Option<Test>,
    ) -> Option<Test> {
        let before = self.program.slots.columns();
        let mut matcher = Matcher {
            path: path.to_owned(),
            slots: &mut self.program.slots,
            setup: self.setup.as_deref_mut(),
            errors: self.errors,
        };
        let test = matched(&mut matcher, block.as_ref()?);
        self.check_columns(before, path);
        test
    }

    fn legacy_step(&mut self, context: Context, test: Option<Test>) {
        if let Some(test) = test {
            let conditions = vec![Compiled { text: "include and exclude".to_owned(), test }];
            self.program.steps.push(Step { context, errors: self.errors_mode, conditions });
        }
    }
}

/// A condition: where it stands, how it is written, and what it says.
type Parsed<'c> = (String, &'c str, Result<Condition, Mistake>);

fn lists(config: &Config, signal: Signal) -> Vec<List<'_>> {
    match signal {
        Signal::Traces => vec![
            ("traces.resource", Context::Resource, config.traces.resource.as_ref()),
            ("traces.span", Context::Span, config.traces.span.as_ref()),
        ],
        Signal::Metrics => vec![
            ("metrics.resource", Context::Resource, config.metrics.resource.as_ref()),
            ("metrics.metric", Context::Metric, config.metrics.metric.as_ref()),
            ("metrics.datapoint", Context::DataPoint, config.metrics.datapoint.as_ref()),
        ],
        Signal::Logs => vec![
            ("logs.resource", Context::Resource, config.logs.resource.as_ref()),
            ("logs.log_record", Context::Log, config.logs.log_record.as_ref()),
        ],
    }
}

/// The older blocks that are there.
fn blocks(config: &Config, signal: Signal) -> Vec<&'static str> {
    let named = match signal {
        Signal::Traces => {
            [("spans.include", config.spans.include.is_some()), ("spans.exclude", config.spans.exclude.is_some())]
        }
        Signal::Metrics => [
            ("metrics.include", config.metrics.include.is_some()),
            ("metrics.exclude", config.metrics.exclude.is_some()),
        ],
        Signal::Logs => {
            [("logs.include", config.logs.include.is_some()), ("logs.exclude", config.logs.exclude.is_some())]
        }
    };
    named.into_iter().filter(|(_, there)| *there).map(|(name, _)| name).collect()
}

fn mode(mode: config::ErrorMode) -> ErrorMode {
    match mode {
        config::ErrorMode::Ignore => ErrorMode::Ignore,
        config::ErrorMode::Silent => ErrorMode::Silent,
        config::ErrorMode::Propagate => ErrorMode::Propagate,
    }
}
