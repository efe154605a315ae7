//! `service:` — which components run, how they are joined to pipelines, and what the process says of itself.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::component::Check;
use super::error::Findings;
use super::id::{ComponentId, PipelineId};
use super::types::Duration;

/// `service`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct ServiceConfig {
    /// The extensions that run.
    pub extensions: Vec<ComponentId>,
    /// The pipelines: `traces`, `metrics` or `logs`, with `/name` if there are several.
    pub pipelines: BTreeMap<PipelineId, PipelineConfig>,
    /// Logs and metrics of the process itself.
    pub telemetry: TelemetryConfig,
    /// How long the process may take to drain after SIGTERM: requests that run get a quarter of it and at most 5s, batch
    /// processors until three quarters are over, exporters the rest. Default: 25s, which fits into the 30s of ECS.
    pub shutdown_timeout: Duration,
}

impl Default for ServiceConfig {
    fn default() -> Self {
        Self {
            extensions: Vec::new(),
            pipelines: BTreeMap::new(),
            telemetry: TelemetryConfig::default(),
            shutdown_timeout: Duration::from_secs(25),
        }
    }
}

/// One pipeline.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct PipelineConfig {
    /// Where its telemetry comes from: receivers, or connectors that end another pipeline.
    pub receivers: Vec<ComponentId>,
    /// What is done with it, in this order.
    pub processors: Vec<ComponentId>,
    /// Where it goes: each of them gets a copy.
    pub exporters: Vec<ComponentId>,
}

/// `service::telemetry`.
#[derive(Clone, Debug, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct TelemetryConfig {
    /// The process's log.
    pub logs: LogsConfig,
    /// The process's metrics.
    pub metrics: MetricsConfig,
    /// Attributes of the process's own telemetry; null removes one.
    #[schemars(extend(
        "x-no-effect" = "the process's own metrics have the attributes service_name, service_version and service_instance_id"
    ))]
    pub resource: BTreeMap<String, Value>,
    /// Accepted as in the collector; the process does not trace itself.
    pub traces: BTreeMap<String, Value>,
}

/// `service::telemetry::logs`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct LogsConfig {
    /// Lowest level that is written. Default: info.
    pub level: LogLevel,
    /// Form of the lines. Default: console.
    pub encoding: LogEncoding,
    /// Where to write: `stderr`, `stdout` or files, by path or `file://` URL. Default: stderr.
    pub output_paths: Vec<String>,
    /// Accepted as in the collector; errors of the log itself go to stderr.
    #[schemars(extend("x-no-effect" = "what goes wrong with the log itself goes to stderr"))]
    pub error_output_paths: Vec<String>,
    /// Fields of every line.
    #[schemars(extend("x-no-effect" = "lines have no fields of the configuration"))]
    pub initial_fields: BTreeMap<String, Value>,
    /// Writes a message that repeats only now and then.
    pub sampling: LogSamplingConfig,
    /// Accepted as in the collector.
    #[schemars(extend("x-no-effect" = "the process's log goes to output_paths alone"))]
    pub processors: Vec<Value>,
    /// Accepted as in the collector.
    #[schemars(extend("x-no-effect" = "there is no such mode", "x-unless" = false))]
    pub development: bool,
    /// Leaves out the module that wrote the line. Default: false.
    #[schemars(extend("x-no-effect" = "lines never name the code that wrote them", "x-unless" = true))]
    pub disable_caller: bool,
    /// Accepted as in the collector.
    #[schemars(extend("x-no-effect" = "lines never have a stack trace", "x-unless" = true))]
    pub disable_stacktrace: bool,
}

impl Default for LogsConfig {
    fn default() -> Self {
        Self {
            level: LogLevel::Info,
            encoding: LogEncoding::Console,
            output_paths: vec!["stderr".into()],
            error_output_paths: vec!["stderr".into()],
            initial_fields: BTreeMap::new(),
            sampling: LogSamplingConfig::default(),
            processors: Vec::new(),
            development: false,
            disable_caller: false,
            disable_stacktrace: false,
        }
    }
}

/// Levels of the process's log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(extend("x-ignore-case" = true))]
pub enum LogLevel {
    /// Per request.
    Debug,
    /// Life cycle.
    Info,
    /// Degraded and healing.
    Warn,
    /// As warn.
    Warning,
    /// Data lost or a guarantee broken.
    Error,
    /// As error.
    DPanic,
    /// As error.
    Panic,
    /// As error.
    Fatal,
}

/// Forms of the log's lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum LogEncoding {
    /// Time, level, message, and fields as `name=value`.
    Console,
    /// An object per line, with the collector's keys `level`, `ts` and `msg` beside the fields.
    Json,
}

/// `service::telemetry::logs::sampling`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct LogSamplingConfig {
    /// Whether messages are sampled. Default: true.
    #[schemars(extend("x-no-effect" = "messages are not sampled", "x-unless" = false))]
    pub enabled: bool,
    /// The interval in which a message counts as repeated. Default: 10s.
    #[schemars(extend("x-no-effect" = "messages are not sampled"))]
    pub tick: Duration,
    /// How often it is written in each interval before sampling sets in. Default: 10.
    #[schemars(extend("x-no-effect" = "messages are not sampled"))]
    pub initial: u32,
    /// After that, every so-manieth. Default: 100.
    #[schemars(extend("x-no-effect" = "messages are not sampled"))]
    pub thereafter: u32,
}

impl Default for LogSamplingConfig {
    fn default() -> Self {
        Self { enabled: true, tick: Duration::from_secs(10), initial: 10, thereafter: 100 }
    }
}

/// `service::telemetry::metrics`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct MetricsConfig {
    /// How much is measured; `none` switches the listener off. Default: normal.
    pub level: MetricsLevel,
    /// Where Prometheus scrapes: `host:port`. The spelling until 2024; `readers` wins. Default: localhost:8888.
    pub address: Option<String>,
    /// Where Prometheus scrapes, in today's spelling. Only `pull::exporter::prometheus` is possible.
    pub readers: Option<Vec<MetricReader>>,
    /// Accepted as in the collector.
    pub views: Vec<Value>,
}

impl Default for MetricsConfig {
    fn default() -> Self {
        Self { level: MetricsLevel::Normal, address: None, readers: None, views: Vec::new() }
    }
}

/// How much the process measures of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(extend("x-ignore-case" = true))]
pub enum MetricsLevel {
    /// Nothing is exposed.
    None,
    /// The same as normal.
    Basic,
    /// All metrics.
    Normal,
    /// The same as normal.
    Detailed,
}

/// One element of `readers`.
#[derive(Clone, Debug, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct MetricReader {
    /// Metrics are fetched.
    pub pull: Option<PullReader>,
    /// Metrics are pushed; not part of this version.
    pub periodic: Option<BTreeMap<String, Value>>,
}

/// `pull`.
#[derive(Clone, Debug, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct PullReader {
    /// How they are fetched.
    pub exporter: PullExporter,
}

/// `pull::exporter`.
#[derive(Clone, Debug, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct PullExporter {
    /// By a Prometheus scrape.
    pub prometheus: PrometheusReader,
}

/// `pull::exporter::prometheus`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct PrometheusReader {
    /// Interface to listen on. Default: localhost.
    pub host: String,
    /// Port to listen on. Default: 8888.
    pub port: u16,
    /// Accepted as in the collector; there are no scope labels.
    #[schemars(extend("x-no-effect" = "there are no scope labels", "x-unless" = true))]
    pub without_scope_info: bool,
    /// Accepted as in the collector; names have no type suffix.
    #[schemars(extend("x-no-effect" = "names have no type suffix", "x-unless" = true))]
    pub without_type_suffix: bool,
    /// Accepted as in the collector; names have no unit suffix.
    #[schemars(extend("x-no-effect" = "names have no unit suffix", "x-unless" = true))]
    pub without_units: bool,
    /// Accepted as in the collector.
    #[schemars(extend("x-no-effect" = "attributes of the process stand in target_info only"))]
    pub with_resource_constant_labels: BTreeMap<String, Value>,
}

impl Default for PrometheusReader {
    fn default() -> Self {
        Self {
            host: "localhost".into(),
            port: 8888,
            without_scope_info: true,
            without_type_suffix: true,
            without_units: true,
            with_resource_constant_labels: BTreeMap::new(),
        }
    }
}

impl MetricsConfig {
    /// Where metrics are served, as `host:port`; `None` if they are not.
    pub fn listen_address(&self) -> Option<String> {
        if self.level == MetricsLevel::None {
            return None;
        }
        match (&self.readers, &self.address) {
            (Some(readers), _) => readers.iter().find_map(|reader| reader.pull.as_ref()).map(|pull| {
                let PrometheusReader { host, port, .. } = &pull.exporter.prometheus;
                if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
            }),
            (None, Some(address)) => Some(address.clone()),
            (None, None) => Some("localhost:8888".into()),
        }
    }
}

impl Check for ServiceConfig {
    fn check(&self, findings: &mut Findings) {
        findings.within("telemetry", |findings| self.telemetry.check(findings));
    }
}

impl Check for TelemetryConfig {
    fn check(&self, findings: &mut Findings) {
        if self.logs.output_paths.is_empty() {
            findings.error("logs::output_paths", "must not be empty; write for example [stderr]");
        }
        if !self.traces.is_empty() {
            findings.warn("traces", "has no effect: the process does not trace itself");
        }
        if !self.metrics.views.is_empty() {
            findings.warn("metrics::views", "has no effect");
        }
        if let Some(address) = &self.metrics.address {
            let address = super::types::ListenAddress::new(address);
            if let Err(message) = address.check(super::types::Transport::Tcp) {
                findings.error("metrics::address", message);
            }
        }
        if self.metrics.readers.as_ref().is_some_and(Vec::is_empty) && self.metrics.level != MetricsLevel::None {
            let fix = "name pull::exporter::prometheus, remove the key for localhost:8888, or write level: none";
            findings.error("metrics::readers", format!("must not be empty; {fix}"));
        }
        let readers = self.metrics.readers.iter().flatten().enumerate();
        let mut pulls = 0;
        for (index, reader) in readers {
            let path = format!("metrics::readers::{index}");
            pulls += usize::from(reader.pull.is_some());
            match reader {
                MetricReader { periodic: Some(_), .. } => {
                    findings
                        .error(&path, "periodic readers are not part of this version; use pull::exporter::prometheus");
                }
                MetricReader { pull: None, .. } => findings.error(&path, "must name pull::exporter::prometheus"),
                MetricReader { pull: Some(_), .. } if pulls > 1 => {
                    findings.error(&path, "metrics are served at one address only; remove this reader");
                }
                MetricReader { .. } => {}
            }
        }
    }
}
