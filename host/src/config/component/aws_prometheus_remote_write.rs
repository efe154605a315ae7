//! Exporter `awsprometheusremotewrite` of ADOT until 2022: remote write, signed, with the metric names of that time.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Check, PrometheusRemoteWriteConfig, ResourceToTelemetryConfig, TargetInfoConfig};
use crate::config::error::Findings;
use crate::config::types::{Duration, RetryConfig, given};

/// Settings of the exporter.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct AwsPrometheusRemoteWriteConfig {
    /// The keys of `prometheusremotewrite`, with the defaults of 2021: its names, no `target_info`, no scope labels,
    /// back-off 50ms to 200ms for 1m. `add_metric_suffixes` and `translation_strategy` ask for other names.
    #[serde(flatten)]
    pub remote_write: PrometheusRemoteWriteConfig,
    /// How requests are signed. They are signed without this block too.
    pub aws_auth: AwsAuthConfig,
    /// Whether known faults of 2021 are kept. Default: fixed.
    pub compat: Compat,
}

/// `aws_auth`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct AwsAuthConfig {
    /// Region to sign for. Default: the one in the endpoint's host name, else that of the environment.
    pub region: String,
    /// Service to sign for. Default: aps.
    pub service: String,
    /// Role to assume. Default: none; the process's own credentials sign.
    pub role_arn: String,
}

impl AwsAuthConfig {
    const SERVICE: &str = "aps";

    /// The service to sign for; an empty one is the default.
    pub(crate) fn service(&self) -> &str {
        given(&self.service).unwrap_or(Self::SERVICE)
    }
}

impl Default for AwsAuthConfig {
    fn default() -> Self {
        Self { region: String::new(), service: Self::SERVICE.into(), role_arn: String::new() }
    }
}

/// How close to the ADOT of 2021 the exporter stays where that lost data.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Compat {
    /// Resource attributes become labels unless `resource_to_telemetry_conversion` says otherwise. Without that,
    /// series of the tasks of a service have no labels and overwrite each other.
    #[default]
    Fixed,
    /// As it was: without `resource_to_telemetry_conversion` no resource attribute becomes a label.
    #[serde(rename = "adot-2021")]
    Adot2021,
}

impl AwsPrometheusRemoteWriteConfig {
    /// The defaults under a degree of compatibility.
    pub fn defaults(compat: Compat) -> Self {
        let remote_write = PrometheusRemoteWriteConfig {
            add_metric_suffixes: false,
            disable_scope_info: true,
            target_info: TargetInfoConfig { enabled: false },
            resource_to_telemetry_conversion: ResourceToTelemetryConfig {
                enabled: compat == Compat::Fixed,
                exclude_service_attributes: false,
            },
            retry_on_failure: RetryConfig {
                initial_interval: Duration::from_millis(50),
                max_interval: Duration::from_millis(200),
                max_elapsed_time: Duration::from_secs(60),
                ..RetryConfig::DEFAULT
            },
            ..PrometheusRemoteWriteConfig::default()
        };
        Self { remote_write, aws_auth: AwsAuthConfig::default(), compat }
    }
}

impl Default for AwsPrometheusRemoteWriteConfig {
    fn default() -> Self {
        Self::defaults(Compat::Fixed)
    }
}

impl Check for AwsPrometheusRemoteWriteConfig {
    fn check(&self, findings: &mut Findings) {
        self.remote_write.check(findings);
        if self.remote_write.client.auth.is_some() {
            findings.error(
                "auth",
                "this exporter signs by itself (aws_auth); use prometheusremotewrite with an authenticator",
            );
        }
    }
}
