//! The settings of every native component, one file per component, and what judges them beyond their schema.
//!
//! A block is read in three steps: the schema finds unknown keys and wrong types, the given keys are laid over the
//! component's defaults, and `Check` judges what no schema can say.

mod aws_prometheus_remote_write;
mod batch;
mod debug;
mod file;
mod health_check;
mod memory_limiter;
mod opensearch;
mod otlp_exporter;
mod otlp_http_exporter;
mod otlp_receiver;
mod prometheus_remote_write;
mod shared;
mod sigv4auth;

pub use aws_prometheus_remote_write::{AwsAuthConfig, AwsPrometheusRemoteWriteConfig, Compat};
pub use batch::BatchConfig;
pub use debug::{DebugConfig, LoggingConfig, Verbosity};
pub use file::{FileCompression, FileConfig, FileFormat, GroupByConfig, RotationConfig};
pub use health_check::{CheckPipelineConfig, HealthCheckConfig, ResponseBodyConfig};
pub use memory_limiter::MemoryLimiterConfig;
pub use opensearch::{BulkAction, DocumentId, MappingConfig, MappingMode, OpenSearchConfig};
pub use otlp_exporter::OtlpExporterConfig;
pub use otlp_http_exporter::{OtlpEncoding, OtlpHttpExporterConfig};
pub use otlp_receiver::{OtlpHttpConfig, OtlpProtocols, OtlpReceiverConfig};
pub use prometheus_remote_write::{
    ExportCreatedMetricConfig, PrometheusRemoteWriteConfig, ProtobufMessage, RemoteWriteQueueConfig,
    ResourceToTelemetryConfig, TargetInfoConfig, TranslationStrategy,
};
pub use sigv4auth::{AssumeRoleConfig, SigV4AuthConfig};

pub(crate) use shared::lay_over;

use super::error::Findings;

/// Settings that can judge themselves.
pub(crate) trait Check {
    /// Reports what the schema can't see: what is missing, contradicts itself, or does not work.
    fn check(&self, findings: &mut Findings);
}
