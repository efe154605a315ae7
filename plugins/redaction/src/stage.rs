//! The stage: what it is, how its configuration becomes a `Redactor`, and what it wants to see.

use std::collections::BTreeMap;

use sluice_sdk::{
    Batch, ConfigErrors, Descriptor, Drops, Failure, OnError, Outcome, Pattern, Setup, Signal, Stage, TableLists,
    TableRequest, Writes, go_pattern, log,
};

use crate::config::{Config, Summary};
use crate::detect::Detector;
use crate::keys::KeyRules;
use crate::redactor::{EmptyText, Redactor};
use crate::replacement::Replacement;
use crate::steps::Step;

/// The standard stage `redaction`.
pub struct Redaction(Redactor);

impl Stage for Redaction {
    type Config = Config;

    const DESCRIPTOR: Descriptor = Descriptor::new("redaction")
        .version(env!("CARGO_PKG_VERSION"))
        .description("Removes attributes that are not allowed and masks sensitive values.")
        .signals(&[Signal::Traces, Signal::Metrics, Signal::Logs])
        .drops(Drops::Filtered)
        .on_error(OnError::Reject);

    fn configure(config: Config, setup: &mut Setup) -> Result<Self, ConfigErrors> {
        let mut errors = ConfigErrors::new();
        config.problems().into_iter().for_each(|(path, message)| errors.push(path, message));
        config.surprises().into_iter().for_each(log::warn);
        let (replacement, summary) = (Replacement::new(&config), config.summary());
        let steps = steps(&config, setup, &mut errors);
        let keys = KeyRules {
            ignored: config.ignored_keys.into_iter().collect(),
            ignored_patterns: patterns("ignored_key_patterns", &config.ignored_key_patterns, setup, &mut errors),
            allowed: (!config.allow_all_keys).then(|| KeyRules::allowed_set(config.allowed_keys)),
            blocked_patterns: patterns("blocked_key_patterns", &config.blocked_key_patterns, setup, &mut errors),
            known: BTreeMap::new(),
        };
        let allowed_values = patterns("allowed_values", &config.allowed_values, setup, &mut errors);
        let has_bodies = setup.signal() == Signal::Logs;
        let mut redactor = Redactor {
            keys,
            steps,
            allowed_values,
            replacement,
            redact_all_types: config.redact_all_types,
            summary,
            has_bodies,
            empty_text: EmptyText::default(),
        };
        redactor.prepare();
        setup.table(TableRequest {
            resources: true,
            scopes: true,
            metrics: true,
            records: true,
            events: true,
            links: true,
            exemplars: true,
            bodies: has_bodies,
            nested: config.redact_all_types,
            body_parts: has_bodies,
            text: false,
            numbers: has_bodies || config.redact_all_types || summary != Summary::Silent,
            lists: if redactor.only_searches() { TableLists::StructuredBodies } else { TableLists::Always },
        });
        setup.writes(Writes::AttributesAnd(Vec::new()));
        errors.or_ok(Self(redactor))
    }

    fn process(&mut self, batch: &Batch) -> Result<Outcome, Failure> {
        Ok(self.0.redact(batch))
    }
}

/// The steps that mask parts of values, in their order.
fn steps(config: &Config, setup: &mut Setup, errors: &mut ConfigErrors) -> Vec<Step> {
    let mut steps = Vec::new();
    for (i, pattern) in config.blocked_values.iter().enumerate() {
        let is_blind_to_mask = go_pattern::translate(pattern).is_ok_and(|translated| translated.is_blind_to_mask);
        match compile(pattern, setup) {
            Ok(pattern) => steps.push(Step { pattern, is_blind_to_mask, detector: None }),
            Err(message) => errors.push(format!("blocked_values[{i}]"), message),
        }
    }
    for (i, detector) in config.detectors.iter().enumerate() {
        let step = Detector::new(detector).and_then(|detector| {
            let pattern = setup.regex(&detector.candidate_pattern())?;
            Ok(Step { pattern, is_blind_to_mask: true, detector: Some(detector) })
        });
        match step {
            Ok(step) => steps.push(step),
            Err(message) => errors.push(format!("detectors[{i}].mask"), message),
        }
    }
    steps
}

/// Compiles a list of patterns; mistakes are named by the list's key and the position.
fn patterns(key: &str, list: &[String], setup: &mut Setup, errors: &mut ConfigErrors) -> Vec<Pattern> {
    let mut patterns = Vec::new();
    for (i, pattern) in list.iter().enumerate() {
        match compile(pattern, setup) {
            Ok(pattern) => patterns.push(pattern),
            Err(message) => errors.push(format!("{key}[{i}]"), message),
        }
    }
    patterns
}

fn compile(pattern: &str, setup: &mut Setup) -> Result<Pattern, String> {
    setup.go_regex(pattern).map_err(|message| format!("{message} (pattern {pattern:?})"))
}
