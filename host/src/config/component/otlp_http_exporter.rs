//! Exporter `otlphttp`: OTLP over HTTP.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sluice_wire::Signal;

use super::Check;
use super::shared::check_url;
use crate::config::error::Findings;
use crate::config::types::{Compression, HttpClientConfig, QueueConfig, RetryConfig, Url};

/// Settings of the exporter.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct OtlpHttpExporterConfig {
    /// The HTTP client; its `endpoint` is the base to which `/v1/traces`, `/v1/metrics` and `/v1/logs` are added.
    /// It compresses with gzip by default.
    #[serde(flatten)]
    pub client: HttpClientConfig,
    /// Whole address for traces, instead of the base.
    pub traces_endpoint: Option<Url>,
    /// Whole address for metrics, instead of the base.
    pub metrics_endpoint: Option<Url>,
    /// Whole address for logs, instead of the base.
    pub logs_endpoint: Option<Url>,
    /// Accepted as in the collector; profiles are not exported.
    #[schemars(extend("x-no-effect" = "profiles are not exported"))]
    pub profiles_endpoint: Option<Url>,
    /// How bodies are encoded. Default: proto, which passes the bytes through.
    pub encoding: OtlpEncoding,
    /// Back-off.
    pub retry_on_failure: RetryConfig,
    /// The queue in front of the exporter.
    pub sending_queue: QueueConfig,
}

impl Default for OtlpHttpExporterConfig {
    fn default() -> Self {
        Self {
            client: HttpClientConfig { compression: Compression::Gzip, ..HttpClientConfig::default() },
            traces_endpoint: None,
            metrics_endpoint: None,
            logs_endpoint: None,
            profiles_endpoint: None,
            encoding: OtlpEncoding::Proto,
            retry_on_failure: RetryConfig::DEFAULT,
            sending_queue: QueueConfig::default(),
        }
    }
}

/// Encodings of OTLP over HTTP.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum OtlpEncoding {
    /// Protobuf.
    #[default]
    Proto,
    /// JSON.
    Json,
}

impl OtlpHttpExporterConfig {
    /// Where a signal goes; `None` if neither the base nor an address of its own is set.
    pub fn endpoint(&self, signal: Signal) -> Option<String> {
        match self.own_endpoint(signal) {
            Some(own) => Some(own.as_str().to_owned()),
            None if self.client.endpoint.is_empty() => None,
            None => Some(format!("{}/v1/{}", self.client.endpoint.as_str().trim_end_matches('/'), signal.name())),
        }
    }

    /// Whether a signal has no address, while others have one.
    pub(in crate::config) fn lacks(&self, signal: Signal) -> bool {
        self.has_endpoint() && self.endpoint(signal).is_none()
    }

    fn has_endpoint(&self) -> bool {
        Signal::ALL.iter().any(|signal| self.endpoint(*signal).is_some())
    }

    /// The address that a signal has of its own.
    pub(crate) fn own_endpoint(&self, signal: Signal) -> Option<&Url> {
        let own = match signal {
            Signal::Traces => &self.traces_endpoint,
            Signal::Metrics => &self.metrics_endpoint,
            Signal::Logs => &self.logs_endpoint,
        };
        own.as_ref().filter(|url| !url.is_empty())
    }
}

impl Check for OtlpHttpExporterConfig {
    fn check(&self, findings: &mut Findings) {
        if !self.has_endpoint() {
            findings.error("endpoint", "at least one endpoint must be specified");
        }
        let own = [
            ("traces_endpoint", &self.traces_endpoint),
            ("metrics_endpoint", &self.metrics_endpoint),
            ("logs_endpoint", &self.logs_endpoint),
        ];
        for (key, url) in own {
            check_url(key, url.as_ref(), findings);
        }
        self.client.check(findings);
        findings.within("retry_on_failure", |findings| self.retry_on_failure.check(findings));
        findings.within("sending_queue", |findings| self.sending_queue.check(findings));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn adds_the_path_to_the_base_unless_a_signal_has_its_own_address() {
        let mut config =
            OtlpHttpExporterConfig { logs_endpoint: Some(Url::new("https://logs/x")), ..Default::default() };
        assert_eq!(config.endpoint(Signal::Traces), None);
        config.client.endpoint = Url::new("http://base:4318/");
        assert_eq!(config.endpoint(Signal::Traces).as_deref(), Some("http://base:4318/v1/traces"));
        assert_eq!(config.endpoint(Signal::Metrics).as_deref(), Some("http://base:4318/v1/metrics"));
        assert_eq!(config.endpoint(Signal::Logs).as_deref(), Some("https://logs/x"));
    }
}
