//! From a value to a tenant: the mapping, then the rules, then the check of the name.

use std::collections::BTreeMap;

use sluice_sdk::{ConfigErrors, Pattern, Setup, Texts};

use crate::config::{OnInvalid, TenantLabelConfig, Unmapped};
use crate::name;
use crate::template::Template;

/// How many values are remembered from batch to batch, so that their rules need not run again.
const REMEMBERED: usize = 4096;
/// Longest value that can mean a tenant, in bytes; bounds what is remembered.
const LONGEST_VALUE: usize = 1024;

/// What a value turned out to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Resolution {
    /// The tenant's name.
    Tenant(String),
    /// No tenant that is known.
    Unknown,
    /// A name that is refused.
    Refused,
}

/// Finds the tenants for values.
#[derive(Debug)]
pub(crate) struct Resolver {
    mapping: BTreeMap<String, String>,
    rules: Vec<(Pattern, Template)>,
    unmapped: Unmapped,
    on_invalid: OnInvalid,
    max_length: usize,
    /// What the rules said about a value: the name, or that none matches.
    remembered: BTreeMap<String, Option<String>>,
}

impl Resolver {
    /// Compiles the rules of a checked configuration.
    pub(crate) fn new(config: &TenantLabelConfig, setup: &mut Setup) -> Result<Self, ConfigErrors> {
        let mut errors = ConfigErrors::new();
        let mut rules = Vec::new();
        for (i, rule) in config.rules.iter().enumerate() {
            // On its own first, so that a mistake is told about the user's pattern and not about the anchored one.
            let pattern = setup.regex(&rule.regex).and_then(|_| setup.regex(&format!("^(?:{})$", rule.regex)));
            match (pattern, Template::read(&rule.tenant, &rule.regex)) {
                (Ok(pattern), Ok(template)) => rules.push((pattern, template)),
                (Err(message), _) => {
                    errors.push(format!("rules[{i}].regex"), format!("{message} (pattern {:?})", rule.regex));
                }
                (_, Err(message)) => errors.push(format!("rules[{i}].tenant"), message),
            }
        }
        errors.or_ok(Self {
            mapping: config.mapping.clone(),
            rules,
            unmapped: config.unmapped,
            on_invalid: config.on_invalid,
            max_length: config.max_length as usize,
            remembered: BTreeMap::new(),
        })
    }

    /// The tenants for some values, which are not empty. Runs each rule once over all values that need it.
    pub(crate) fn resolve(&mut self, values: &[&str]) -> Vec<Resolution> {
        if !self.rules.is_empty() {
            self.run_rules(values);
        }
        values.iter().map(|value| self.resolution(value)).collect()
    }

    fn run_rules(&mut self, values: &[&str]) {
        if self.remembered.len() >= REMEMBERED {
            // Rare enough to start over.
            self.remembered.clear();
        }
        let is_open = |value: &&&str| {
            value.len() <= LONGEST_VALUE
                && !self.mapping.contains_key(**value)
                && !self.remembered.contains_key(**value)
        };
        let open: Vec<&str> = values.iter().filter(is_open).copied().collect();
        if open.is_empty() {
            return;
        }
        let texts: Texts = open.iter().collect();
        let mut names: Vec<Option<String>> = vec![None; open.len()];
        for (pattern, template) in &self.rules {
            for i in pattern.is_match_all(&texts).iter_ones() {
                if names[i].is_none() {
                    names[i] = template.expand(open[i]);
                }
            }
        }
        self.remembered.extend(open.into_iter().map(str::to_owned).zip(names));
    }

    fn resolution(&self, value: &str) -> Resolution {
        if value.len() > LONGEST_VALUE {
            return self.invalid(value);
        }
        let by_rule = || self.remembered.get(value).cloned().flatten();
        let name = match self.mapping.get(value).cloned().or_else(by_rule) {
            Some(name) => name,
            None if self.unmapped == Unmapped::Unknown => return Resolution::Unknown,
            None => value.to_owned(),
        };
        match name::check(&name, self.max_length) {
            Ok(()) => Resolution::Tenant(name),
            Err(_) => self.invalid(&name),
        }
    }

    fn invalid(&self, name: &str) -> Resolution {
        match self.on_invalid {
            OnInvalid::Unknown => Resolution::Unknown,
            OnInvalid::Refuse => Resolution::Refused,
            // Of a rule's result nothing may be left to repair.
            OnInvalid::Replace if name.is_empty() => Resolution::Unknown,
            OnInvalid::Replace => Resolution::Tenant(name::repair(name, self.max_length)),
        }
    }
}
