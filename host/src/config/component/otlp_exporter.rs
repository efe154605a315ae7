//! Exporter `otlp`: OTLP over gRPC.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Check;
use super::shared::compressions;
use crate::config::error::Findings;
use crate::config::types::{Compression, Duration, GrpcClientConfig, QueueConfig, RetryConfig};

/// Settings of the exporter.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(transform = compressions(&["none", "gzip", "zstd", "snappy", ""]))]
pub struct OtlpExporterConfig {
    /// The gRPC client; it compresses with gzip by default. Its `endpoint` is required.
    #[serde(flatten)]
    pub client: GrpcClientConfig,
    /// How long one attempt may take. 0 has no limit. Default: 5s.
    pub timeout: Duration,
    /// Back-off.
    pub retry_on_failure: RetryConfig,
    /// The queue in front of the exporter.
    pub sending_queue: QueueConfig,
}

impl Default for OtlpExporterConfig {
    fn default() -> Self {
        Self {
            client: GrpcClientConfig { compression: Compression::Gzip, ..GrpcClientConfig::default() },
            timeout: Duration::from_secs(5),
            retry_on_failure: RetryConfig::DEFAULT,
            sending_queue: QueueConfig::default(),
        }
    }
}

impl Check for OtlpExporterConfig {
    fn check(&self, findings: &mut Findings) {
        if self.client.endpoint.is_empty() {
            findings.error("endpoint", "must be set: host:port of an OTLP/gRPC endpoint");
        }
        self.client.check(findings);
        findings.within("retry_on_failure", |findings| self.retry_on_failure.check(findings));
        findings.within("sending_queue", |findings| self.sending_queue.check(findings));
    }
}
