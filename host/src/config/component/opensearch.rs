//! Exporter `opensearch`: traces and logs to OpenSearch or Elasticsearch by `_bulk`.

use std::collections::BTreeMap;
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sluice_wire::Signal;

use super::Check;
use super::shared::check_compression;
use crate::config::error::Findings;
use crate::config::types::{ByteSize, Compression, Duration, HttpClientConfig, QueueConfig, RetryConfig};

/// Settings of the exporter.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct OpenSearchConfig {
    /// The HTTP client. Its `endpoint` is required.
    pub http: HttpClientConfig,
    /// Second part of the index name `ss4o_traces-<dataset>-<namespace>`; `%{tenant}` in it stands for the tenant, as in
    /// `namespace`. Default: default.
    pub dataset: String,
    /// Third part of it. Default: namespace.
    pub namespace: String,
    /// `create` leaves documents that exist alone, `index` overwrites them. Data streams take only `create`.
    /// Default: create.
    pub bulk_action: BulkAction,
    /// How telemetry becomes documents.
    pub mapping: MappingConfig,
    /// Prefix of Jaeger's indices (`<prefix>-jaeger-span-2026-01-31`); only with `mapping::mode: jaeger`.
    /// Default: none.
    pub index_prefix: String,
    /// Index for traces, instead of the one of `dataset` and `namespace`. `%{key}` stands for an attribute of span,
    /// scope or resource, which senders may write as they like, and `%{tenant}` for the tenant.
    pub traces_index: String,
    /// What stands for an attribute that is not there. Default: unknown.
    pub traces_index_fallback: String,
    /// Date suffix of the index, for example `yyyy.MM.dd`: of `yyyy`, `yy`, `MM`, `dd`, `HH`, `mm`, `ss`, or in Go's
    /// way, `2006.01.02`. Default: none.
    pub traces_index_time_format: String,
    /// Index for logs; as `traces_index`.
    pub logs_index: String,
    /// As `traces_index_fallback`.
    pub logs_index_fallback: String,
    /// As `traces_index_time_format`.
    pub logs_index_time_format: String,
    /// Whether documents have ids made from their content, so that what is sent twice is stored once. Time series
    /// collections of OpenSearch Serverless refuse ids. Default: deterministic, and none if the endpoint is a
    /// collection (`*.aoss.amazonaws.com`).
    pub document_id: Option<DocumentId>,
    /// Ingest pipeline to run the documents through. Default: none.
    pub pipeline: String,
    /// Installs the index templates that the mapping needs. Default: only in the mode `jaeger`.
    pub manage_index_template: Option<bool>,
    /// Largest request in bytes, before compression. Default: 4 MiB, which also passes an API gateway with a Lambda
    /// function behind it.
    pub max_bulk_size: ByteSize,
    /// How long one attempt may take; `http::timeout` applies too, the shorter wins. 0 has no limit. Default: 5s.
    pub timeout: Duration,
    /// Back-off.
    pub retry_on_failure: RetryConfig,
    /// The queue in front of the exporter.
    pub sending_queue: QueueConfig,
}

impl Default for OpenSearchConfig {
    fn default() -> Self {
        Self {
            http: HttpClientConfig { timeout: Duration::ZERO, ..HttpClientConfig::default() },
            dataset: "default".into(),
            namespace: "namespace".into(),
            bulk_action: BulkAction::Create,
            mapping: MappingConfig::default(),
            index_prefix: String::new(),
            traces_index: String::new(),
            traces_index_fallback: "unknown".into(),
            traces_index_time_format: String::new(),
            logs_index: String::new(),
            logs_index_fallback: "unknown".into(),
            logs_index_time_format: String::new(),
            document_id: None,
            pipeline: String::new(),
            manage_index_template: None,
            max_bulk_size: ByteSize::from_mib(4),
            timeout: Duration::from_secs(5),
            retry_on_failure: RetryConfig::DEFAULT,
            sending_queue: QueueConfig::default(),
        }
    }
}

/// What `_bulk` does with each document.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum BulkAction {
    /// Adds it unless it is there.
    #[default]
    Create,
    /// Adds or overwrites it.
    Index,
}

/// Where the ids of documents come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum DocumentId {
    /// From their content.
    Deterministic,
    /// From OpenSearch.
    None,
}

/// `mapping`.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct MappingConfig {
    /// The schema of the documents. Default: ss4o.
    pub mode: MappingMode,
    /// Renames fields of `ecs` and `flatten_attributes` documents: old name to new name.
    #[schemars(extend("x-no-effect" = "fields are not renamed, as in the collector; a plugin can do it"))]
    pub fields: BTreeMap<String, String>,
    /// File with further renames: a YAML or JSON map.
    #[schemars(extend("x-no-effect" = "fields are not renamed, as in the collector; a plugin can do it"))]
    pub file: Option<PathBuf>,
    /// Field that takes the time. Default: @timestamp.
    pub timestamp_field: String,
    /// Writes the time as milliseconds since the epoch. Default: false.
    pub unix_timestamp: bool,
    /// Leaves out fields that stand twice. Default: false.
    #[schemars(extend("x-no-effect" = "a field that stands twice is always written once", "x-unless" = true))]
    pub dedup: bool,
    /// Turns dots in names into objects. Default: false.
    pub dedot: bool,
    /// Another place for `index_prefix`.
    pub index_prefix: String,
}

/// A schema of documents.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum MappingMode {
    /// Simple Schema for Observability.
    #[default]
    Ss4o,
    /// Elastic Common Schema.
    Ecs,
    /// Elastic Common Schema with all attributes at the top.
    FlattenAttributes,
    /// Only the log record's body, as it came.
    Bodymap,
    /// Jaeger's span and service documents, in Jaeger's indices.
    Jaeger,
}

impl MappingMode {
    /// The signals that can be written in this schema, and what has to be said of the others.
    pub(crate) fn signals(self) -> (&'static [Signal], &'static str) {
        match self {
            Self::Ss4o | Self::Ecs | Self::FlattenAttributes => (&[Signal::Traces, Signal::Logs], ""),
            Self::Jaeger => (&[Signal::Traces], " with mapping::mode jaeger"),
            Self::Bodymap => (&[Signal::Logs], " with mapping::mode bodymap"),
        }
    }
}

impl OpenSearchConfig {
    /// Whether documents get ids from their content.
    pub fn deterministic_ids(&self) -> bool {
        let is_collection = self.http.endpoint.as_str().contains(".aoss.amazonaws.com");
        self.document_id.map_or(!is_collection, |id| id == DocumentId::Deterministic)
    }

    /// The prefix of Jaeger's indices, from either place.
    pub fn jaeger_index_prefix(&self) -> &str {
        if self.index_prefix.is_empty() { &self.mapping.index_prefix } else { &self.index_prefix }
    }
}

impl Check for OpenSearchConfig {
    fn check(&self, findings: &mut Findings) {
        if self.http.endpoint.is_empty() {
            findings.error("http::endpoint", "must be set: the URL of the OpenSearch domain or collection");
        }
        for (key, value) in [("dataset", &self.dataset), ("namespace", &self.namespace)] {
            if value.is_empty() {
                findings.error(key, "must not be empty");
            }
        }
        findings.within("http", |findings| {
            self.http.check(findings);
            check_compression(self.http.compression, &[Compression::None, Compression::Gzip], findings);
        });
        findings.within("retry_on_failure", |findings| self.retry_on_failure.check(findings));
        findings.within("sending_queue", |findings| self.sending_queue.check(findings));
        let prefixed = !self.jaeger_index_prefix().is_empty();
        if prefixed && self.mapping.mode != MappingMode::Jaeger {
            let key = if self.index_prefix.is_empty() { "mapping::index_prefix" } else { "index_prefix" };
            findings.error(key, "only with mapping::mode: jaeger; use dataset and namespace, or traces_index");
        }
        if !self.index_prefix.is_empty() && !self.mapping.index_prefix.is_empty() {
            findings.error("mapping::index_prefix", "index_prefix is given already; name it once");
        }
        if self.max_bulk_size.bytes() == 0 {
            findings.error("max_bulk_size", "must be greater than zero");
        }
        self.check_indices(findings);
        self.check_effects(findings);
        for (key, format) in [
            ("traces_index_time_format", &self.traces_index_time_format),
            ("logs_index_time_format", &self.logs_index_time_format),
        ] {
            if let Err(message) = check_time_format(format) {
                findings.error(key, message);
            }
        }
    }
}

/// Whether a date suffix holds a date, and no letters that mean nothing: they would stand in every name as they are.
fn check_time_format(format: &str) -> Result<(), String> {
    const KNOWN: [&str; 14] = ["yyyy", "2006", "yy", "06", "MM", "01", "dd", "02", "HH", "15", "mm", "04", "ss", "05"];
    let rest = KNOWN.iter().fold(format.to_owned(), |rest, known| rest.replace(known, "\0"));
    let is_quoted = |at: usize| rest[..at].matches('\'').count() % 2 == 1;
    let unknown = rest.char_indices().find(|(at, c)| (c.is_alphabetic() || *c == '%') && !is_quoted(*at));
    match unknown {
        Some((_, c)) => Err(format!("{format:?}: {c:?} is no part of a date; use yyyy, yy, MM, dd, HH, mm and ss")),
        None if !format.is_empty() && !rest.contains('\0') => {
            Err(format!("{format:?} has no date in it; use yyyy, yy, MM, dd, HH, mm and ss, for example yyyy.MM.dd"))
        }
        None => Ok(()),
    }
}

impl OpenSearchConfig {
    /// Keys that change nothing in the mode that is chosen.
    fn check_effects(&self, findings: &mut Findings) {
        let MappingConfig { mode, timestamp_field, unix_timestamp, dedot, .. } = &self.mapping;
        let only_in = |mode: &str| format!("has no effect: it belongs to mapping::mode {mode}");
        if !matches!(mode, MappingMode::Ecs | MappingMode::FlattenAttributes) {
            let set = [
                ("timestamp_field", !timestamp_field.is_empty()),
                ("unix_timestamp", *unix_timestamp),
                ("dedot", *dedot),
            ];
            for (key, _) in set.iter().filter(|(_, is_set)| *is_set) {
                findings.warn(&format!("mapping::{key}"), only_in("ecs and flatten_attributes"));
            }
        }
        if *mode != MappingMode::Jaeger {
            if self.manage_index_template == Some(true) {
                findings.warn("manage_index_template", only_in("jaeger; the other modes install no templates"));
            }
            return;
        }
        let default = Self::default();
        let indices = [
            ("traces_index", &self.traces_index, &default.traces_index),
            ("traces_index_time_format", &self.traces_index_time_format, &default.traces_index_time_format),
            ("dataset", &self.dataset, &default.dataset),
            ("namespace", &self.namespace, &default.namespace),
        ];
        for (key, _, _) in indices.iter().filter(|(_, value, default)| value != default) {
            findings.warn(key, "has no effect: Jaeger's indices have names of their own; use index_prefix");
        }
    }

    /// Index names are lower case, and placeholders are closed.
    fn check_indices(&self, findings: &mut Findings) {
        let names = [
            ("dataset", &self.dataset),
            ("namespace", &self.namespace),
            ("index_prefix", &self.index_prefix),
            ("mapping::index_prefix", &self.mapping.index_prefix),
            ("traces_index", &self.traces_index),
            ("logs_index", &self.logs_index),
        ];
        for (key, name) in &names[2..4] {
            if name.contains("%{") {
                findings
                    .error(key, format!("{name:?} has a placeholder; Jaeger's indices are the same for all tenants"));
            }
        }
        for (key, name) in names {
            let mut literal = String::new();
            let mut rest = name.as_str();
            while let Some((before, after)) = rest.split_once("%{") {
                literal.push_str(before);
                let Some((_, after)) = after.split_once('}') else {
                    findings.error(key, format!("{name:?} has a placeholder without a closing brace"));
                    break;
                };
                rest = after;
            }
            literal.push_str(rest);
            let refused = |c: &char| c.is_uppercase() || " \"*\\<|,>/?#:".contains(*c);
            if let Some(bad) = literal.split("%{").next().unwrap_or_default().chars().find(refused) {
                findings.error(key, format!("{name:?} can't name an index: it contains {bad:?}"));
            }
        }
    }
}
