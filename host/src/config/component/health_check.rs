//! Extension `health_check`: answers whether the process is ready.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Check;
use crate::config::error::Findings;
use crate::config::types::{Duration, HttpServerConfig, ListenAddress, Transport};

/// Settings of the extension.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(transform = mark_without_effect)]
pub struct HealthCheckConfig {
    /// The listener. Default endpoint: localhost:13133.
    #[serde(flatten)]
    pub server: HttpServerConfig,
    /// What `endpoint` was in 2021: the port, on all interfaces. Deprecated. Default: none.
    pub port: Option<u16>,
    /// The path that answers; with a slash at its end, all paths below it do too. Default: /.
    pub path: String,
    /// What the answers say instead of the default JSON.
    pub response_body: Option<ResponseBodyConfig>,
    /// Deprecated in the collector, where it never worked.
    #[schemars(extend(
        "x-no-effect" = "it never worked in the collector; the page tells of the process, the metrics of exporters",
        "x-unless" = serde_json::json!({ "enabled": false })
    ))]
    pub check_collector_pipeline: CheckPipelineConfig,
}

/// Keys that the page obeys, or refuses.
const OBEYED: [&str; 7] = ["endpoint", "port", "path", "response_body", "tls", "transport", "check_collector_pipeline"];

/// Marks the keys of a server that change nothing which a probe sees.
fn mark_without_effect(schema: &mut schemars::Schema) {
    let properties = schema.get_mut("properties").and_then(serde_json::Value::as_object_mut);
    for (_, property) in properties.into_iter().flatten().filter(|(key, _)| !OBEYED.contains(&key.as_str())) {
        if let Some(property) = property.as_object_mut() {
            property.insert("x-no-effect".into(), "the health page is plain HTTP".into());
        }
    }
}

/// `response_body`.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct ResponseBodyConfig {
    /// Body with status 200. Default: empty.
    pub healthy: String,
    /// Body with status 503. Default: empty.
    pub unhealthy: String,
}

/// `check_collector_pipeline`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct CheckPipelineConfig {
    /// Default: false.
    pub enabled: bool,
    /// Default: 5m.
    pub interval: Duration,
    /// Default: 5.
    pub exporter_failure_threshold: u32,
}

impl Default for CheckPipelineConfig {
    fn default() -> Self {
        Self { enabled: false, interval: Duration::from_secs(300), exporter_failure_threshold: 5 }
    }
}

impl Default for HealthCheckConfig {
    fn default() -> Self {
        Self {
            server: HttpServerConfig { endpoint: ListenAddress::new("localhost:13133"), ..HttpServerConfig::default() },
            port: None,
            path: "/".into(),
            response_body: None,
            check_collector_pipeline: CheckPipelineConfig::default(),
        }
    }
}

impl HealthCheckConfig {
    /// Where to listen.
    pub fn endpoint(&self) -> ListenAddress {
        self.port.map_or_else(|| self.server.endpoint.clone(), |port| ListenAddress::new(format!("0.0.0.0:{port}")))
    }

    fn check_port(&self, findings: &mut Findings) {
        let Some(port) = self.port else { return };
        if self.server.endpoint != Self::default().server.endpoint {
            findings.error("port", format!("{port}: endpoint is given already; name one of them"));
        } else {
            findings.warn("port", format!("is deprecated; write endpoint: 0.0.0.0:{port}"));
        }
    }

    /// The page is plain HTTP at an address.
    fn check_server(&self, findings: &mut Findings) {
        if self.server.tls.is_some() {
            findings.error("tls", "the health page has no TLS; leave it on localhost, where probes reach it");
        }
        if self.server.transport != Transport::Tcp {
            findings.error("transport", "the health page is served over tcp only");
        }
    }
}

impl Check for HealthCheckConfig {
    fn check(&self, findings: &mut Findings) {
        self.server.check(findings);
        self.check_server(findings);
        self.check_port(findings);
        if !self.path.starts_with('/') {
            findings.error("path", format!("{:?} must start with /", self.path));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_alone_is_that_port_on_all_interfaces() {
        let listens = |port| HealthCheckConfig { port, ..HealthCheckConfig::default() }.endpoint().to_string();
        assert_eq!(listens(None), "localhost:13133");
        assert_eq!(listens(Some(1)), "0.0.0.0:1");
    }
}
