//! What is configured under `receivers.otlp.protocols`.

use crate::config::types::{GrpcServerConfig, HttpServerConfig};

/// The protocols to serve.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// gRPC, if it is served.
    pub grpc: Option<GrpcServerConfig>,
    /// HTTP, if it is served.
    pub http: Option<HttpSettings>,
}

/// Settings of the HTTP protocol.
#[derive(Clone, Debug)]
pub struct HttpSettings {
    /// What every HTTP server has.
    pub server: HttpServerConfig,
    /// Where traces are posted to.
    pub traces_url_path: String,
    /// Where metrics are posted to.
    pub metrics_url_path: String,
    /// Where logs are posted to.
    pub logs_url_path: String,
}

impl Default for HttpSettings {
    fn default() -> Self {
        Self {
            server: HttpServerConfig::default(),
            traces_url_path: "/v1/traces".into(),
            metrics_url_path: "/v1/metrics".into(),
            logs_url_path: "/v1/logs".into(),
        }
    }
}
