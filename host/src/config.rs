//! Configuration: the collector's grammar, from its sources to typed settings, with every mistake named and placed.
//!
//! The sources are read and merged (`source`), `${...}` is expanded (`expand`), every block is read by its schema
//! (`build`), and the references between blocks are checked (`references`). What is wrong is left out, so that plugins can
//! be asked about the rest (`plugin_mistakes`) and all mistakes come at once.

pub mod component;
pub mod components;
pub mod types;

mod build;
mod error;
mod expand;
mod id;
mod node;
mod parse;
mod plugin_block;
mod plugin_mistakes;
mod plugins;
mod print;
mod references;
mod schema;
mod service;
mod source;
mod tenants;

use std::collections::BTreeMap;

#[cfg(test)]
pub(crate) use build::block_from_yaml;
pub(crate) use build::plugin_files;
pub use error::{ConfigError, ConfigErrors, Place};
pub use id::{ComponentId, IdError, PipelineId};
pub use plugin_block::PluginConfig;
pub use plugin_mistakes::PluginMistake;
pub use plugins::{Capability, OnError, PluginsConfig, StageLimits, StageSettings};
pub use print::print;
pub use service::{
    LogEncoding, LogLevel, LogSamplingConfig, LogsConfig, MetricReader, MetricsConfig, MetricsLevel, PipelineConfig,
    PrometheusReader, PullExporter, PullReader, ServiceConfig, TelemetryConfig,
};
pub use source::{CONTENT_VARIABLE, Environment, Sources, process_environment};
pub use tenants::TenantsConfig;

/// A whole configuration, checked.
#[derive(Clone, Debug)]
pub struct Config {
    /// What takes telemetry in.
    pub receivers: BTreeMap<ComponentId, ReceiverConfig>,
    /// What changes it.
    pub processors: BTreeMap<ComponentId, ProcessorConfig>,
    /// What sends it out.
    pub exporters: BTreeMap<ComponentId, ExporterConfig>,
    /// What serves the process itself.
    pub extensions: BTreeMap<ComponentId, ExtensionConfig>,
    /// Which of them run, and how they are joined. Components that no pipeline names do not run.
    pub service: ServiceConfig,
    /// Where plugins lie and what they may use.
    pub plugins: PluginsConfig,
    /// Whose telemetry it is.
    pub tenants: TenantsConfig,
    /// What was noticed: deprecated spellings, variables that are not set. For the log.
    pub warnings: Vec<ConfigError>,
}

/// Settings of a receiver.
#[derive(Clone, Debug)]
pub enum ReceiverConfig {
    /// `otlp`.
    Otlp(Box<component::OtlpReceiverConfig>),
}

/// Settings of a processor.
#[derive(Clone, Debug)]
pub enum ProcessorConfig {
    /// `batch`.
    Batch(component::BatchConfig),
    /// `memory_limiter`.
    MemoryLimiter(component::MemoryLimiterConfig),
    /// Any other type: a WASM component.
    Plugin(Box<PluginConfig>),
}

/// Settings of an exporter.
#[derive(Clone, Debug)]
pub enum ExporterConfig {
    /// `prometheusremotewrite`.
    PrometheusRemoteWrite(Box<component::PrometheusRemoteWriteConfig>),
    /// `awsprometheusremotewrite`.
    AwsPrometheusRemoteWrite(Box<component::AwsPrometheusRemoteWriteConfig>),
    /// `opensearch`.
    OpenSearch(Box<component::OpenSearchConfig>),
    /// `otlp`.
    Otlp(Box<component::OtlpExporterConfig>),
    /// `otlphttp`.
    OtlpHttp(Box<component::OtlpHttpExporterConfig>),
    /// `debug`, and `logging` translated to it.
    Debug(component::DebugConfig),
    /// `file`.
    File(Box<component::FileConfig>),
}

/// Settings of an extension.
#[derive(Clone, Debug)]
pub enum ExtensionConfig {
    /// `sigv4auth`.
    SigV4Auth(component::SigV4AuthConfig),
    /// `health_check`.
    HealthCheck(Box<component::HealthCheckConfig>),
}

/// What reading a configuration led to.
#[derive(Debug)]
pub struct Reading {
    /// What could be read; what is wrong is left out or has its default. None if not even the text could be read.
    pub config: Option<Config>,
    /// The mistakes, and what else was noticed.
    pub found: ConfigErrors,
}

/// Loads a configuration: reads, merges, expands and checks it.
///
/// # Errors
/// All mistakes that can be found at once, in the order of the text.
pub fn load(sources: &Sources, environment: Environment<'_>) -> Result<Config, ConfigErrors> {
    read(sources, environment).sound()
}

/// Reads a configuration as far as it can be read, whatever is wrong with it.
pub fn read(sources: &Sources, environment: Environment<'_>) -> Reading {
    let mut report = error::Report::default();
    let config = source::read(sources, environment, &mut report).map(|mut root| {
        expand::expand(&mut root, environment, &mut report);
        let mut config = build::build(&root, &mut report);
        references::check(&config, &root, environment, &mut report);
        references::name_once(&mut config);
        config
    });
    Reading { config, found: report.into_errors() }
}

impl Reading {
    /// The configuration, with its warnings.
    ///
    /// # Errors
    /// All mistakes that were found.
    pub fn sound(self) -> Result<Config, ConfigErrors> {
        match self {
            Self { config: Some(config), found } if found.errors.is_empty() => {
                Ok(Config { warnings: found.warnings, ..config })
            }
            Self { found, .. } => Err(found),
        }
    }
}

#[cfg(test)]
mod tests;
