//! Extension `sigv4auth`: signs HTTP requests of exporters with AWS Signature Version 4.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Check;
use crate::config::error::Findings;

/// Settings of the extension.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct SigV4AuthConfig {
    /// Region to sign for. Default: the one in the endpoint's host name, else that of the environment.
    pub region: String,
    /// Service to sign for: aps, es, aoss, xray, logs, execute-api ... Default: what the endpoint's host name says.
    pub service: String,
    /// Role to assume. Default: none; the process's own credentials sign.
    pub assume_role: AssumeRoleConfig,
}

/// `assume_role`.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct AssumeRoleConfig {
    /// ARN of the role.
    pub arn: String,
    /// Name of the session, visible in CloudTrail. Default: `sluice-<unix seconds>`.
    pub session_name: String,
    /// Region of the STS endpoint. Default: `region`.
    pub sts_region: String,
    /// External id that the role's trust policy demands. Default: none.
    pub external_id: String,
    /// File with an OIDC token, exchanged by AssumeRoleWithWebIdentity; needs `arn`. Default: none.
    pub web_identity_token_file: Option<PathBuf>,
}

impl Check for SigV4AuthConfig {
    fn check(&self, findings: &mut Findings) {
        let role = &self.assume_role;
        let without_arn = role.arn.is_empty();
        if without_arn && role.web_identity_token_file.is_some() {
            findings.error("assume_role::arn", "must be set when web_identity_token_file is");
        }
        if without_arn && !role.external_id.is_empty() {
            findings.error("assume_role::arn", "must be set when external_id is");
        }
        if role.web_identity_token_file.is_some() && !role.external_id.is_empty() {
            findings.warn("assume_role::external_id", "has no effect with web_identity_token_file");
        }
        if !without_arn && !role.arn.starts_with("arn:") {
            findings.error("assume_role::arn", format!("{:?} is not the ARN of a role", role.arn));
        }
        for (key, value) in [("session_name", &role.session_name), ("sts_region", &role.sts_region)] {
            if without_arn && !value.is_empty() {
                findings.warn(&format!("assume_role::{key}"), "has no effect: without an arn no role is assumed");
            }
        }
        let allowed = |c: char| c.is_ascii_alphanumeric() || "_=,.@-".contains(c);
        let name = &role.session_name;
        if !name.is_empty() && (!(2..=64).contains(&name.len()) || !name.chars().all(allowed)) {
            findings.error("assume_role::session_name", format!("{name:?} must be 2 to 64 letters, digits or _=,.@-"));
        }
    }
}
