//! From a value to a tenant: the mapping, then the rules, then the check of the name.

use std::collections::BTreeMap;

use sluice_sdk::{ConfigErrors, Pattern, Setup, Texts};

use crate::capture::Template;
use crate::config::{OnInvalid, TenantLabelConfig, Unmapped};
use crate::name;

/// How many values are remembered, so that their rules need not run again. A value is as long as its sender likes, but
/// it came in a batch that fit into memory; long ones are not remembered.
const REMEMBERED: usize = 4096;
/// Longest value that is remembered, in bytes.
const REMEMBERED_LENGTH: usize = 256;

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
    remembered: BTreeMap<String, Resolution>,
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
                (Err(message), _) => errors.push(format!("rules[{i}].regex"), message),
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

    /// The tenants for some values, which are not empty. Runs each rule once over all that need it.
    pub(crate) fn resolve(&mut self, values: &[&str]) -> Vec<Resolution> {
        if self.rules.is_empty() {
            return values.iter().map(|value| self.resolve_with(value, None)).collect();
        }
        let open: Vec<&str> = values.iter().copied().filter(|value| !self.knows(value)).collect();
        let texts: Texts = open.iter().collect();
        let mut names: Vec<Option<String>> = vec![None; open.len()];
        if !open.is_empty() {
            for (pattern, template) in &self.rules {
                for i in pattern.is_match_all(&texts).iter_ones() {
                    names[i].get_or_insert_with(|| template.expand(open[i]));
                }
            }
        }
        let mut named = open.into_iter().zip(names).collect::<BTreeMap<_, _>>();
        if self.remembered.len() + named.len() > REMEMBERED {
            // Rare enough to start over; whoever sends that many values pays for it alone.
            named.extend(values.iter().filter_map(|value| self.recall(value)));
            self.remembered.clear();
        }
        values.iter().map(|value| self.look_up(value, &mut named)).collect()
    }

    fn knows(&self, value: &str) -> bool {
        self.mapping.contains_key(value) || self.remembered.contains_key(value)
    }
}
