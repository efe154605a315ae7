//! `tenants:` — whose telemetry it is. Bundles and budgets per tenant come in a later version.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::component::Check;
use super::error::Findings;

/// `tenants`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct TenantsConfig {
    /// The tenant of telemetry that no `tenant_label` stage has claimed. Default: default.
    pub default: String,
}

impl Default for TenantsConfig {
    fn default() -> Self {
        Self { default: "default".into() }
    }
}

impl Check for TenantsConfig {
    fn check(&self, findings: &mut Findings) {
        if self.default.is_empty() || self.default.chars().count() > 128 || self.default.chars().any(char::is_control) {
            findings.error("default", "must be a name of 1 to 128 characters");
        }
    }
}
