//! Receiver `otlp`: OTLP over gRPC and over HTTP.

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};

use super::Check;
use super::shared::over;
use crate::config::error::Findings;
use crate::config::types::{GrpcServerConfig, HttpServerConfig, ListenAddress};

/// Settings of the receiver.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct OtlpReceiverConfig {
    /// What to listen for; only the protocols that are named here are started.
    pub protocols: OtlpProtocols,
}

/// `protocols`.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct OtlpProtocols {
    /// OTLP over gRPC. Default endpoint: localhost:4317.
    #[serde(deserialize_with = "grpc")]
    #[schemars(extend("x-empty" = true))]
    pub grpc: Option<GrpcServerConfig>,
    /// OTLP over HTTP, protobuf and JSON. Default endpoint: localhost:4318.
    #[serde(deserialize_with = "http")]
    #[schemars(extend("x-empty" = true))]
    pub http: Option<OtlpHttpConfig>,
}

/// `protocols::http`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct OtlpHttpConfig {
    /// The listener.
    #[serde(flatten)]
    pub server: HttpServerConfig,
    /// Where traces are posted. Default: /v1/traces. A missing leading slash is added.
    pub traces_url_path: String,
    /// Where metrics are posted. Default: /v1/metrics.
    pub metrics_url_path: String,
    /// Where logs are posted. Default: /v1/logs.
    pub logs_url_path: String,
    /// Accepted as in the collector; profiles are not received.
    #[schemars(extend("x-no-effect" = "profiles are not received"))]
    pub profiles_url_path: String,
}

impl Default for OtlpHttpConfig {
    fn default() -> Self {
        Self {
            server: HttpServerConfig { endpoint: ListenAddress::new("localhost:4318"), ..HttpServerConfig::default() },
            traces_url_path: "/v1/traces".into(),
            metrics_url_path: "/v1/metrics".into(),
            logs_url_path: "/v1/logs".into(),
            profiles_url_path: "/v1development/profiles".into(),
        }
    }
}

fn grpc<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<GrpcServerConfig>, D::Error> {
    let endpoint = ListenAddress::new("localhost:4317");
    over(GrpcServerConfig { endpoint, ..GrpcServerConfig::default() }, deserializer)
}

fn http<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<OtlpHttpConfig>, D::Error> {
    over(OtlpHttpConfig::default(), deserializer)
}

impl Check for OtlpReceiverConfig {
    fn check(&self, findings: &mut Findings) {
        let OtlpProtocols { grpc, http } = &self.protocols;
        if grpc.is_none() && http.is_none() {
            findings.error("protocols", "must specify at least one protocol: grpc, http or both");
        }
        if let Some(grpc) = grpc {
            findings.within("protocols::grpc", |findings| grpc.check(findings));
        }
        if let Some(http) = http {
            findings.within("protocols::http", |findings| http.check(findings));
        }
    }
}

impl Check for OtlpHttpConfig {
    fn check(&self, findings: &mut Findings) {
        self.server.check(findings);
        let paths = [
            ("traces_url_path", &self.traces_url_path),
            ("metrics_url_path", &self.metrics_url_path),
            ("logs_url_path", &self.logs_url_path),
            ("profiles_url_path", &self.profiles_url_path),
        ];
        for (index, (key, path)) in paths.iter().enumerate() {
            if let Err(message) = check_path(path) {
                findings.error(key, message);
            }
            let same = |other: &&String| other.trim_start_matches('/') == path.trim_start_matches('/');
            if paths[..index].iter().any(|(_, other)| same(other)) {
                findings.error(key, format!("{path:?} already serves another signal"));
            }
        }
    }
}

fn check_path(path: &str) -> Result<(), String> {
    let first_segment = path.split('/').next().unwrap_or_default();
    if first_segment.contains(':') {
        return Err(format!("{path:?} is not a path: the first segment must not contain a colon"));
    }
    if path.trim_start_matches('/').is_empty() {
        return Err(format!("{path:?} is not a path; write for example \"/v1/traces\""));
    }
    let plain = |c: char| c.is_ascii_graphic() && !matches!(c, '?' | '#' | '"' | '<' | '>' | '\\');
    if !path.chars().all(plain) {
        return Err(format!("{path:?} is not a path: only letters, digits and -._~/%:@!$&'()*+,;= may stand there"));
    }
    Ok(())
}
