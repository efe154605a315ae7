//! Exporter `prometheusremotewrite`: metrics to Prometheus remote write 1.0.

use std::collections::BTreeMap;
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Check;
use super::shared::compressions;
use crate::config::error::Findings;
use crate::config::types::{Compression, Duration, HttpClientConfig, RetryConfig};

/// Settings of the exporter.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(transform = compressions(&["none", "snappy", ""]))]
pub struct PrometheusRemoteWriteConfig {
    /// The HTTP client; its timeout is 5s by default. Bodies are always compressed with snappy.
    #[serde(flatten)]
    pub client: HttpClientConfig,
    /// Prefix of every metric name, joined with `_`. `%{tenant}` in it stands for the tenant, with `_` for what a name
    /// can't have. Default: none.
    pub namespace: String,
    /// Labels of every series; they never replace a label that is there. Keys and values must not be empty.
    pub external_labels: BTreeMap<String, String>,
    /// Back-off. Default: 50ms initial, 30s at most, 5m in all.
    pub retry_on_failure: RetryConfig,
    /// The queue in front of the exporter.
    pub remote_write_queue: RemoteWriteQueueConfig,
    /// How many requests of one batch are sent at the same time. Default: `remote_write_queue::num_consumers`. All
    /// samples of a series are in one request, and the next batch waits, so that they stay in order.
    #[schemars(range(min = 1, max = 1000))]
    pub max_batch_request_parallelism: Option<u32>,
    /// Largest request in bytes before compression. Default: 3,000,000. A request is also kept under the 1 MB that
    /// Amazon Managed Prometheus takes after compression. 0 is the default, as in the collector.
    pub max_batch_size_bytes: u64,
    /// Whether resource attributes become labels.
    pub resource_to_telemetry_conversion: ResourceToTelemetryConfig,
    /// The series `target_info`.
    pub target_info: TargetInfoConfig,
    /// Leaves out the labels `otel_scope_name`, `otel_scope_version` and `otel_scope_*`. Default: false.
    pub disable_scope_info: bool,
    /// Whether names get unit and type suffixes. Default: true. `translation_strategy` wins over it.
    pub add_metric_suffixes: bool,
    /// How names become Prometheus names. Default, and what an empty text means: as `add_metric_suffixes` says.
    pub translation_strategy: TranslationStrategy,
    /// Sends type, unit and help of the metrics too. Default: false.
    pub send_metadata: bool,
    /// Label that names the tenant of each series. Default: none.
    pub tenant_label: Option<String>,
    /// The message to send. Only remote write 1.0 is supported, which is all that Amazon Managed Prometheus takes.
    pub protobuf_message: ProtobufMessage,
    /// Removed from the collector; accepted, has no effect.
    #[schemars(extend("x-no-effect" = "the collector removed it, and there are no _created series"))]
    pub export_created_metric: ExportCreatedMetricConfig,
}

impl Default for PrometheusRemoteWriteConfig {
    fn default() -> Self {
        Self {
            client: HttpClientConfig {
                timeout: Duration::from_secs(5),
                compression: Compression::Snappy,
                ..HttpClientConfig::default()
            },
            namespace: String::new(),
            external_labels: BTreeMap::new(),
            retry_on_failure: RetryConfig { initial_interval: Duration::from_millis(50), ..RetryConfig::DEFAULT },
            remote_write_queue: RemoteWriteQueueConfig::default(),
            max_batch_request_parallelism: None,
            max_batch_size_bytes: 3_000_000,
            resource_to_telemetry_conversion: ResourceToTelemetryConfig::default(),
            target_info: TargetInfoConfig::default(),
            disable_scope_info: false,
            add_metric_suffixes: true,
            translation_strategy: TranslationStrategy::Unset,
            send_metadata: false,
            tenant_label: None,
            protobuf_message: ProtobufMessage::V1,
            export_created_metric: ExportCreatedMetricConfig::default(),
        }
    }
}

/// `remote_write_queue`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct RemoteWriteQueueConfig {
    /// Without a queue a batch is acknowledged to its sender when it was exported. Default: true.
    pub enabled: bool,
    /// Most batches that wait. Default: 10000.
    pub queue_size: u64,
    /// How many requests of one batch are sent at the same time, unless `max_batch_request_parallelism` says so. Batches
    /// go one after the other, which keeps their order. Default: 5, and what 0 means.
    #[schemars(range(max = 1000))]
    pub num_consumers: u32,
    /// File that keeps what the destination refused for good, as JSON lines with the destination's reason. Default:
    /// none; refused samples are logged and counted.
    pub dead_letter_file: Option<PathBuf>,
}

impl Default for RemoteWriteQueueConfig {
    fn default() -> Self {
        Self { enabled: true, queue_size: 10_000, num_consumers: 5, dead_letter_file: None }
    }
}

/// `resource_to_telemetry_conversion`.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct ResourceToTelemetryConfig {
    /// Makes every resource attribute a label of its series; on a clash the resource's value wins. Default: false.
    pub enabled: bool,
    /// Leaves out `service.name`, `service.namespace` and `service.instance.id`. Default: false.
    pub exclude_service_attributes: bool,
}

/// `target_info`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct TargetInfoConfig {
    /// Whether a series `target_info` with the resource's attributes is sent. Default: true.
    pub enabled: bool,
}

impl Default for TargetInfoConfig {
    fn default() -> Self {
        Self { enabled: true }
    }
}

/// `export_created_metric`.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct ExportCreatedMetricConfig {
    /// Accepted, has no effect.
    pub enabled: bool,
}

/// How OpenTelemetry names become Prometheus names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum TranslationStrategy {
    /// None: `add_metric_suffixes` decides.
    #[serde(rename = "")]
    Unset,
    /// Characters outside `[a-zA-Z0-9:_]` become `_`; unit and type are appended.
    UnderscoreEscapingWithSuffixes,
    /// Characters outside `[a-zA-Z0-9:_]` become `_`.
    UnderscoreEscapingWithoutSuffixes,
    /// Needs remote write 2.0.
    NoUTF8EscapingWithSuffixes,
    /// Needs remote write 2.0.
    NoTranslation,
}

/// The message of remote write.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub enum ProtobufMessage {
    /// Remote write 1.0.
    #[default]
    #[serde(rename = "prometheus.WriteRequest")]
    V1,
    /// Remote write 2.0; not supported.
    #[serde(rename = "io.prometheus.write.v2.Request")]
    V2,
}

impl PrometheusRemoteWriteConfig {
    /// How many requests of one batch are sent at the same time.
    pub fn parallel_requests(&self) -> u32 {
        let of_queue = match self.remote_write_queue.num_consumers {
            0 => RemoteWriteQueueConfig::default().num_consumers,
            set => set,
        };
        self.max_batch_request_parallelism.unwrap_or(of_queue)
    }

    /// Largest request in bytes before compression.
    pub fn max_request_bytes(&self) -> u64 {
        match self.max_batch_size_bytes {
            0 => Self::default().max_batch_size_bytes,
            set => set,
        }
    }
}

impl Check for PrometheusRemoteWriteConfig {
    fn check(&self, findings: &mut Findings) {
        if self.client.endpoint.is_empty() {
            findings.error("endpoint", "must be set: the URL of a remote write endpoint");
        }
        self.client.check(findings);
        if self.remote_write_queue.enabled && self.remote_write_queue.queue_size == 0 {
            findings.error("remote_write_queue::queue_size", "0 is out of range; expected at least 1");
        }
        findings.within("retry_on_failure", |findings| self.retry_on_failure.check(findings));
        for (name, value) in &self.external_labels {
            if name.is_empty() || value.is_empty() {
                findings.error(&format!("external_labels::{name}"), "label names and values must not be empty");
            }
        }
        if let Some(better) = better_namespace(&self.namespace) {
            let namespace = &self.namespace;
            findings.warn("namespace", format!("{namespace:?} can't begin a metric's name; write {better:?}"));
        }
        if self.tenant_label.as_deref() == Some("") {
            findings.error("tenant_label", "must not be empty; leave it out for no label");
        }
        if self.client.compression == Compression::None {
            findings.warn("compression", "has no effect: remote write is always compressed with snappy");
        }
        for (name, _) in self.client.headers.iter() {
            let fixed = ["content-encoding", "content-type", "x-prometheus-remote-write-version", "user-agent"];
            if fixed.contains(&name.to_ascii_lowercase().as_str()) {
                findings.error(&format!("headers::{name}"), "remote write sets this header itself");
            }
        }
        use TranslationStrategy::{NoTranslation, NoUTF8EscapingWithSuffixes};
        if matches!(self.translation_strategy, NoTranslation | NoUTF8EscapingWithSuffixes) {
            let message =
                "needs remote write 2.0, which is not part of this version; use an UnderscoreEscaping strategy";
            findings.error("translation_strategy", message);
        }
        if self.protobuf_message == ProtobufMessage::V2 {
            findings
                .error("protobuf_message", "remote write 2.0 is not part of this version; use prometheus.WriteRequest");
        }
    }
}

/// A prefix that metric names can have, if this is none. Tenants are made fit when they are put in.
fn better_namespace(namespace: &str) -> Option<String> {
    let is_fit = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | ':');
    let fit = |part: &str| part.chars().map(|c| if is_fit(c) { c } else { '_' }).collect::<String>();
    let parts: Vec<String> = namespace.split("%{tenant}").map(fit).collect();
    let mut better = parts.join("%{tenant}");
    if better.starts_with(|c: char| c.is_ascii_digit()) {
        better.insert(0, '_');
    }
    (better != namespace).then_some(better)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::block_from_yaml;

    #[test]
    fn a_namespace_that_names_cannot_begin_with_has_a_better_one() {
        for fit in ["", "app", "_a:b7", "app_%{tenant}", "%{tenant}"] {
            assert_eq!(better_namespace(fit), None, "{fit}");
        }
        for (namespace, better) in [
            ("n.s", "n_s"),
            ("7ns", "_7ns"),
            ("app-%{tenant}.x", "app_%{tenant}_x"),
            ("%{service.name}", "__service_name_"),
        ] {
            assert_eq!(better_namespace(namespace).as_deref(), Some(better));
        }
    }

    #[test]
    fn an_empty_strategy_is_none_as_in_the_collector() {
        let of = |yaml: &str| {
            let config: PrometheusRemoteWriteConfig = block_from_yaml(yaml).expect(yaml);
            config.translation_strategy
        };
        assert_eq!(of("{endpoint: 'http://a', translation_strategy: ''}"), TranslationStrategy::Unset);
        assert_eq!(of("{endpoint: 'http://a'}"), TranslationStrategy::Unset);
    }
}
