//! The configuration: where the tenant comes from, how names are mapped, what happens to those that are not known.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;
use sluice_sdk::{ConfigErrors, path_key};

use crate::name;
use crate::template::Template;

/// Longest names that can be allowed; what they are made part of (indices, directories) ends at 255 bytes.
const LONGEST_NAME: u32 = 200;
/// Most tenants that can be allowed in one batch; the contract has the same limit.
const MOST_TENANTS: u32 = 10_000;

/// Whose telemetry it is.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct TenantLabelConfig {
    /// Where the tenant may stand; the first source with a value decides. At least one.
    pub sources: Vec<SourceConfig>,
    /// Names of tenants for exact values.
    pub mapping: BTreeMap<String, String>,
    /// Names of tenants for values that match a pattern and are not in `mapping`; the first match decides.
    pub rules: Vec<RuleConfig>,
    /// What a value becomes that is neither in `mapping` nor matches a rule: `keep` (default) takes it as the name,
    /// `unknown` leaves the tenant unknown.
    pub unmapped: Unmapped,
    /// The attribute that resources get, holding the tenant's name. Default `tenant.id`; empty for none.
    pub label: String,
    /// Whether the batch is split by tenant. Default true.
    pub partition: bool,
    /// What happens if no source has a value: `default` (default) takes the tenant `default`, `refuse` refuses the
    /// whole batch.
    pub on_unknown: OnUnknown,
    /// The tenant for telemetry whose tenant is unknown. Default `default`.
    #[serde(rename = "default")]
    pub default_tenant: String,
    /// What happens to a name that can't be a tenant's: `unknown` (default) leaves the tenant unknown, `replace` puts
    /// underscores for what is not allowed, `refuse` refuses the whole batch.
    pub on_invalid: OnInvalid,
    /// How many characters a tenant's name may have, 1 to 200. Default 128.
    pub max_length: u32,
    /// How many tenants a batch may have, 1 to 10000; one with more is refused. Default 100.
    pub max_tenants_per_batch: u32,
}

/// One place where the tenant may stand.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SourceConfig {
    /// `resource`, `record`: an attribute; `header`: a header of the request; `constant`: always the same.
    pub from: Place,
    /// The attribute's key, or the header's name.
    #[serde(default)]
    pub key: String,
    /// The tenant's name, for `constant`.
    #[serde(default)]
    pub value: String,
}

/// A kind of place.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum Place {
    /// An attribute of the resource.
    Resource,
    /// An attribute of the span, log record or data point.
    Record,
    /// A header (gRPC metadata) of the request.
    Header,
    /// Always the same tenant.
    Constant,
}

/// A pattern and the tenant for values that match it.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RuleConfig {
    /// The pattern, which the whole value must match.
    pub regex: String,
    /// The tenant's name; `$1`, `${1}` or `${name}` stands for a group of the pattern, `$0` for the value, `$$` for a
    /// dollar sign.
    pub tenant: String,
}

/// What a value becomes that no mapping knows.
#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum Unmapped {
    /// The tenant's name.
    #[default]
    Keep,
    /// An unknown tenant.
    Unknown,
}

/// What happens to telemetry of an unknown tenant.
#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum OnUnknown {
    /// It belongs to the default tenant.
    #[default]
    Default,
    /// The batch is refused.
    Refuse,
}

/// What happens to names that can't be a tenant's.
#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum OnInvalid {
    /// The tenant is unknown.
    #[default]
    Unknown,
    /// The name is repaired.
    Replace,
    /// The batch is refused.
    Refuse,
}

impl Default for TenantLabelConfig {
    fn default() -> Self {
        Self {
            sources: Vec::new(),
            mapping: BTreeMap::new(),
            rules: Vec::new(),
            unmapped: Unmapped::Keep,
            label: "tenant.id".into(),
            partition: true,
            on_unknown: OnUnknown::Default,
            default_tenant: "default".into(),
            on_invalid: OnInvalid::Unknown,
            max_length: 128,
            max_tenants_per_batch: 100,
        }
    }
}

impl TenantLabelConfig {
    /// Finds all mistakes but those in patterns, which the host compiles.
    pub(crate) fn check(&self) -> ConfigErrors {
        let mut errors = ConfigErrors::new();
        self.check_sources(&mut errors);
        for (value, tenant) in &self.mapping {
            self.check_name(&format!("mapping{}", path_key(value)), tenant, &mut errors);
        }
        for (i, rule) in self.rules.iter().enumerate() {
            match Template::read(&rule.tenant, &rule.regex) {
                Ok(template) => {
                    if let Some(fixed) = template.fixed() {
                        self.check_name(&format!("rules[{i}].tenant"), &fixed, &mut errors);
                    }
                }
                Err(message) => errors.push(format!("rules[{i}].tenant"), message),
            }
        }
        if self.on_unknown == OnUnknown::Default {
            self.check_name("default", &self.default_tenant, &mut errors);
        }
        check_range("max_length", self.max_length, LONGEST_NAME, &mut errors);
        check_range("max_tenants_per_batch", self.max_tenants_per_batch, MOST_TENANTS, &mut errors);
        if self.label.is_empty() && !self.partition {
            errors.push("label", "without a label and without partition this stage does nothing; set one of them");
        }
        errors
    }

    fn check_sources(&self, errors: &mut ConfigErrors) {
        if self.sources.is_empty() {
            errors.push("sources", "at least one source is needed, for example {from: resource, key: tenant}");
        }
        let constant = self.sources.iter().position(|source| source.from == Place::Constant);
        for (i, source) in self.sources.iter().enumerate() {
            let at = |key: &str| format!("sources[{i}].{key}");
            if source.from == Place::Constant {
                self.check_name(&at("value"), &source.value, errors);
                if !source.key.is_empty() {
                    errors.push(at("key"), "a constant has no key; give the tenant's name as value");
                }
            } else {
                if source.key.is_empty() {
                    errors.push(at("key"), "the attribute's key or the header's name is missing");
                } else if source.from == Place::Header && !source.key.bytes().all(is_in_header_name) {
                    errors.push(at("key"), format!("no request has a header {:?}", source.key));
                }
                if !source.value.is_empty() {
                    errors.push(
                        at("value"),
                        "only a constant has a value; give the attribute's key or the header's name as key",
                    );
                }
            }
            if constant.is_some_and(|constant| constant < i) {
                errors.push(
                    format!("sources[{i}]"),
                    "never reached, because a constant stands before it; put the constant last",
                );
            }
        }
    }

    fn check_name(&self, path: &str, name: &str, errors: &mut ConfigErrors) {
        if let Err(fault) = name::check(name, self.max_length as usize) {
            errors.push(path, fault.to_string());
        }
    }
}

fn check_range(path: &str, number: u32, limit: u32, errors: &mut ConfigErrors) {
    if !(1..=limit).contains(&number) {
        errors.push(path, format!("{number} is out of range; use 1 to {limit}"));
    }
}

/// RFC 9110, section 5.6.2.
fn is_in_header_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_what_is_wrong_and_where() {
        let source = r#""sources": [{"from": "resource", "key": "tenant"}]"#;
        for (json, expected) in [
            ("{}".to_owned(), "sources: at least one source is needed"),
            (r#"{"sources": [{"from": "resource"}]}"#.into(), "sources[0].key: the attribute's key"),
            (
                r#"{"sources": [{"from": "header", "key": "a", "value": "b"}]}"#.into(),
                "sources[0].value: only a constant",
            ),
            (
                r#"{"sources": [{"from": "header", "key": "x tenant"}]}"#.into(),
                "sources[0].key: no request has a header \"x tenant\"",
            ),
            (r#"{"sources": [{"from": "constant"}]}"#.into(), "sources[0].value: a tenant's name must not be empty"),
            (
                r#"{"sources": [{"from": "constant", "value": "a", "key": "b"}]}"#.into(),
                "sources[0].key: a constant has no key",
            ),
            (
                r#"{"sources": [{"from": "constant", "value": "a"}, {"from": "record", "key": "b"}]}"#.into(),
                "sources[1]: never reached",
            ),
            (
                format!(r#"{{{source}, "mapping": {{"a": "b/c"}}}}"#),
                r#"mapping["a"]: a tenant's name must not contain '/'"#,
            ),
            (
                format!(r#"{{{source}, "rules": [{{"regex": "a|(b)", "tenant": "$2"}}]}}"#),
                "rules[0].tenant: the pattern has no group \"2\"",
            ),
            (
                format!(r#"{{{source}, "rules": [{{"regex": "a", "tenant": ""}}]}}"#),
                "rules[0].tenant: a tenant's name must not be empty",
            ),
            (format!(r#"{{{source}, "default": ".."}}"#), "default: a tenant's name must not begin with '.'"),
            (format!(r#"{{{source}, "max_length": 0}}"#), "max_length: 0 is out of range; use 1 to 200"),
            (format!(r#"{{{source}, "max_length": 201}}"#), "max_length: 201 is out of range"),
            (
                format!(r#"{{{source}, "max_tenants_per_batch": 10001}}"#),
                "max_tenants_per_batch: 10001 is out of range",
            ),
            (
                format!(r#"{{{source}, "max_length": 3, "default": "four"}}"#),
                "default: a tenant's name must not be longer than 3",
            ),
            (format!(r#"{{{source}, "label": "", "partition": false}}"#), "label: without a label"),
        ] {
            let config: TenantLabelConfig = serde_json::from_str(&json).expect(&json);
            let errors = config.check().to_string();
            assert!(errors.contains(expected), "{json}: {errors}");
        }
    }

    #[test]
    fn takes_the_smallest_configuration_and_the_limits() {
        for json in [
            r#"{"sources": [{"from": "resource", "key": "tenant"}], "label": "tenant.id"}"#,
            r#"{"sources": [{"from": "constant", "value": "acme"}], "label": ""}"#,
            r#"{"sources": [{"from": "header", "key": "X-Tenant"}], "on_unknown": "refuse", "default": ""}"#,
            r#"{"sources": [{"from": "record", "key": "t"}], "max_length": 200, "max_tenants_per_batch": 10000}"#,
        ] {
            let config: TenantLabelConfig = serde_json::from_str(json).expect(json);
            assert_eq!(config.check().to_string(), "", "{json}");
        }
    }

    #[test]
    fn knows_its_keys() {
        for (json, expected) in [
            (r#"{"source": []}"#, "unknown field `source`"),
            (r#"{"sources": [{"from": "span", "key": "a"}]}"#, "unknown variant `span`"),
            (r#"{"sources": [{"key": "a"}]}"#, "missing field `from`"),
            (r#"{"on_unknown": "drop"}"#, "unknown variant `drop`, expected `default` or `refuse`"),
        ] {
            let error = serde_json::from_str::<TenantLabelConfig>(json).expect_err(json).to_string();
            assert!(error.contains(expected), "{json}: {error}");
        }
    }
}
