//! Exporters `prometheusremotewrite` and, with the names of 2021, `awsprometheusremotewrite`: metrics to Prometheus
//! remote write 1.0, the only version that Amazon Managed Prometheus takes.

mod labels;
mod names;
mod native;
mod proto;
mod request;
mod series;
mod translate;

use std::time::Duration;

use http::header::{CONTENT_ENCODING, HeaderName, HeaderValue};
use http::{StatusCode, Uri};

pub(crate) use names::Naming;
pub use request::WriteRequest;

use super::client::{Authenticator, HttpClient, Reply, Request};
use super::divisible::{self, Divisible};
use super::{Encoded, Exporter, Sent, SetupError};
use crate::config::component::{PrometheusRemoteWriteConfig, TranslationStrategy};
use crate::model::Batch;

/// Prometheus's mark for a series that has ended.
const STALE_NAN: u64 = 0x7ff0_0000_0000_0002;
/// What AMP takes in one request after compression, less a margin (Amazon Managed Service for Prometheus quotas).
const MAX_COMPRESSED_BYTES: usize = 1_000_000;
const VERSION: HeaderName = HeaderName::from_static("x-prometheus-remote-write-version");

/// How metrics become series.
#[derive(Clone, Debug)]
pub(crate) struct Translation {
    /// How names are made.
    pub(crate) naming: Naming,
    /// Prefix of all names; `%{tenant}` in it stands for the tenant.
    pub(crate) namespace: String,
    /// Labels of all series; their names are valid.
    pub(crate) external_labels: Vec<(String, String)>,
    /// The label that names the tenant, if one does.
    pub(crate) tenant_label: Option<String>,
    /// Whether resource attributes become labels.
    pub(crate) resource_labels: bool,
    /// Whether those that name the service are left out of them.
    pub(crate) exclude_service_attributes: bool,
    /// Whether there is a series `target_info`.
    pub(crate) target_info: bool,
    /// Whether the instrumentation scope becomes labels.
    pub(crate) scope_info: bool,
    /// Whether types, units and descriptions are sent.
    pub(crate) metadata: bool,
    /// Largest request before compression.
    pub(crate) max_request_bytes: usize,
}

/// The exporter.
pub struct RemoteWrite {
    client: HttpClient,
    endpoint: Uri,
    translation: Translation,
}

impl RemoteWrite {
    /// The exporter of today, by its id.
    ///
    /// # Errors
    /// If the endpoint or a setting of the client is of no use.
    pub fn new(
        id: &str,
        config: &PrometheusRemoteWriteConfig,
        authenticator: Authenticator,
    ) -> Result<Self, SetupError> {
        Self::with_naming(id, config, naming(config), authenticator)
    }

    /// The exporter that has the names of 2021, unless others are asked for.
    ///
    /// # Errors
    /// If the endpoint or a setting of the client is of no use.
    pub fn adot_2021(
        id: &str,
        config: &PrometheusRemoteWriteConfig,
        authenticator: Authenticator,
    ) -> Result<Self, SetupError> {
        let is_asked = config.translation_strategy != TranslationStrategy::Unset || config.add_metric_suffixes;
        let naming = if is_asked { naming(config) } else { Naming::Adot2021 };
        Self::with_naming(id, config, naming, authenticator)
    }

    fn with_naming(
        id: &str,
        config: &PrometheusRemoteWriteConfig,
        naming: Naming,
        authenticator: Authenticator,
    ) -> Result<Self, SetupError> {
        let client = HttpClient::new(&format!("exporters::{id}"), &config.client, authenticator)?;
        let endpoint = config.client.endpoint.as_str().parse();
        let endpoint = endpoint.map_err(|error: http::uri::InvalidUri| SetupError::new("endpoint", error))?;
        Ok(Self { client, endpoint, translation: Translation::new(config, naming) })
    }
}

fn naming(config: &PrometheusRemoteWriteConfig) -> Naming {
    match config.translation_strategy {
        TranslationStrategy::UnderscoreEscapingWithoutSuffixes => Naming::WithoutSuffixes,
        TranslationStrategy::Unset if !config.add_metric_suffixes => Naming::WithoutSuffixes,
        _ => Naming::WithSuffixes,
    }
}

impl Translation {
    fn new(config: &PrometheusRemoteWriteConfig, naming: Naming) -> Self {
        let named = |(name, value): (&String, &String)| Some((names::label_name(naming, name)?, value.clone()));
        Self {
            naming,
            namespace: config.namespace.clone(),
            external_labels: config.external_labels.iter().filter_map(named).collect(),
            tenant_label: config.tenant_label.as_ref().and_then(|label| names::label_name(naming, label)),
            resource_labels: config.resource_to_telemetry_conversion.enabled,
            exclude_service_attributes: config.resource_to_telemetry_conversion.exclude_service_attributes,
            target_info: config.target_info.enabled,
            scope_info: !config.disable_scope_info,
            metadata: config.send_metadata,
            max_request_bytes: usize::try_from(config.max_request_bytes()).unwrap_or(usize::MAX),
        }
    }
}

impl Exporter for RemoteWrite {
    type Request = WriteRequest;

    fn encode(&self, batch: &Batch, from: u64) -> Encoded<WriteRequest> {
        let translated = translate::translate(&self.translation, batch.tenant.as_str(), &batch.bytes, from);
        let max_bytes = self.translation.max_request_bytes;
        let mut requests = request::pack(translated.series, max_bytes, MAX_COMPRESSED_BYTES);
        requests.extend(request::metadata(&translated.metadata, max_bytes, MAX_COMPRESSED_BYTES));
        Encoded { requests, dropped: translated.dropped, next: translated.next }
    }

    async fn send(&self, request: WriteRequest) -> Sent<WriteRequest> {
        let message = Request::post(self.endpoint.clone(), "application/x-protobuf", request.body.clone())
            .header(CONTENT_ENCODING, HeaderValue::from_static("snappy"))
            .header(VERSION, HeaderValue::from_static("0.1.0"));
        match self.client.send(message).await {
            Ok(reply) => answered(request, &reply),
            Err(error) => divisible::failed(request, &error),
        }
    }
}

fn answered(request: WriteRequest, reply: &Reply) -> Sent<WriteRequest> {
    let pieces = match reply.status {
        status if status.is_success() => return Sent::delivered(request.items()),
        // One bad sample costs all of its request. What was taken of it nevertheless is no harm when it comes again: the
        // same value at the same time changes nothing.
        StatusCode::BAD_REQUEST => request.suspects(),
        StatusCode::INTERNAL_SERVER_ERROR if says(reply, "native histograms are disabled") => request.without_native(),
        StatusCode::INTERNAL_SERVER_ERROR if says(reply, "histogram's observation count") => request.suspects(),
        _ => return divisible::answered(request, reply),
    };
    match pieces {
        Ok(pieces) => divisible::again(pieces.into(), Some(Duration::ZERO), reply.reason()),
        Err(request) => divisible::refused(&request, &reply.reason()),
    }
}

/// Prometheus up to 2.42 has no status of its own for histograms that it does not take.
fn says(reply: &Reply, error: &str) -> bool {
    memchr::memmem::find(&reply.body, error.as_bytes()).is_some()
}

#[cfg(test)]
mod tests;
