//! Exporter `opensearch`: traces and logs to OpenSearch and Elasticsearch by `_bulk`, each document answered for by
//! itself.

mod ecs;
mod encode;
mod index;
mod jaeger;
mod json;
mod members;
mod reply;
mod request;
mod services;
mod ss4o;
mod templates;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use hashbrown::DefaultHashBuilder;
use http::header::CONTENT_ENCODING;
use http::{Method, StatusCode, Uri};
use percent_encoding::utf8_percent_encode;

pub use request::BulkRequest;

use super::client::{Authenticator, HttpClient, Reply, Request, SendError, compress, shorten};
use super::divisible::{self, Divisible, again, refused};
use super::{Again, DeadLetter, Encoded, Exporter, RESERVED, Sent, SetupError};
use crate::config::component::{BulkAction, MappingMode, OpenSearchConfig};
use crate::model::Batch;
use crate::pace::Pace;
use encode::{Encoder, Schema};
use index::IndexName;
use services::Services;

/// The exporter.
pub struct OpenSearch {
    client: HttpClient,
    bulk: Uri,
    endpoint: String,
    encoder: Encoder,
    compression: crate::config::types::Compression,
    templates: Vec<templates::Template>,
    templates_installed: AtomicBool,
    /// Whether they have been before, so that they may be there even if they are refused.
    were_installed: AtomicBool,
    id: String,
    refused_templates: Mutex<Pace>,
    refused_services: Mutex<Pace>,
}

/// Why a template is not there.
#[derive(Debug, PartialEq, Eq)]
enum NoTemplate {
    /// It may be installed later, at the earliest after this time if the destination said so.
    Later(String, Option<Duration>),
    /// It is refused for good, and so is what needs it.
    Never(String),
}

impl OpenSearch {
    /// Makes the exporter with this id.
    ///
    /// # Errors
    /// If the endpoint or a setting of the client is of no use.
    pub fn new(id: &str, config: &OpenSearchConfig, authenticator: Authenticator) -> Result<Self, SetupError> {
        let mut http = config.http.clone();
        let limits = [http.timeout, config.timeout].into_iter().filter(|limit| !limit.is_zero());
        http.timeout = limits.min().unwrap_or(http.timeout);
        let endpoint = config.http.endpoint.as_str().trim_end_matches('/').to_owned();
        let pipeline = match config.pipeline.as_str() {
            "" => String::new(),
            pipeline => format!("?pipeline={}", utf8_percent_encode(pipeline, RESERVED)),
        };
        let bulk = format!("{endpoint}/_bulk{pipeline}").parse();
        let bulk = bulk.map_err(|error: http::uri::InvalidUri| SetupError::new("http::endpoint", error))?;
        let client = HttpClient::new(&format!("exporters::{id}::http"), &http, authenticator);
        let encoder = encoder(config);
        let manage = config.manage_index_template.unwrap_or(true);
        let templates = match &encoder.schema {
            Schema::Jaeger { prefix } if manage => templates::jaeger(prefix).into(),
            _ => Vec::new(),
        };
        Ok(Self {
            client: client.map_err(|error| error.within("http"))?,
            bulk,
            endpoint,
            encoder,
            compression: config.http.compression,
            templates_installed: AtomicBool::new(templates.is_empty()),
            templates,
            were_installed: AtomicBool::new(false),
            id: id.to_string(),
            refused_templates: Mutex::default(),
            refused_services: Mutex::default(),
        })
    }

    /// Installs the templates that are not there yet; documents must wait for that, since types can't be changed later.
    async fn install_templates(&self) -> Result<(), NoTemplate> {
        if self.templates_installed.load(Ordering::Relaxed) {
            return Ok(());
        }
        for template in &self.templates {
            let uri = format!("{}/_template/{}", self.endpoint, template.name).parse();
            let uri = uri.map_err(|error: http::uri::InvalidUri| NoTemplate::Never(error.to_string()))?;
            let request = Request::post(uri, "application/json", template.body.to_string().into());
            let request = Request { method: Method::PUT, ..request };
            let reply = self.client.send(request).await.map_err(|error| match error.is_retryable() {
                true => NoTemplate::Later(error.to_string(), None),
                false => NoTemplate::Never(error.to_string()),
            })?;
            let reason = || format!("can't install the index template {}: {}", template.name, reply.reason());
            match reply.status {
                status if status.is_success() => {}
                _ if reply.may_pass() => {
                    return Err(NoTemplate::Later(reason(), reply.retry_after(SystemTime::now())));
                }
                _ if self.were_installed.load(Ordering::Relaxed) => self.pass_over_template(reason()),
                _ => return Err(NoTemplate::Never(reason())),
            }
        }
        self.templates_installed.store(true, Ordering::Relaxed);
        self.were_installed.store(true, Ordering::Relaxed);
        Ok(())
    }

    fn answered(&self, request: BulkRequest, reply: &Reply) -> Sent<BulkRequest> {
        match reply.status {
            StatusCode::OK => self.results(request, reply),
            _ => divisible::answered(request, reply),
        }
    }

    /// After a lost connection, what answers the next time may be another one that has neither the templates nor the
    /// services.
    fn failed(&self, request: BulkRequest, error: &SendError) -> Sent<BulkRequest> {
        if matches!(error, SendError::Connect(..) | SendError::Interrupted(..)) {
            self.templates_installed.store(self.templates.is_empty(), Ordering::Relaxed);
            self.encoder.services.forget();
        }
        divisible::failed(request, error)
    }

    /// Most likely it is still there, and documents must not be lost for it.
    fn pass_over_template(&self, reason: String) {
        let mut pace = self.refused_templates.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(templates) = pace.add(1) {
            tracing::warn!(exporter = self.id, templates, reason, "index templates refused that were installed before");
        }
    }

    /// Nothing is lost, but Jaeger does not show what it has no service for.
    fn refuse_service(&self, reason: String) {
        let mut pace = self.refused_services.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(documents) = pace.add(1) {
            tracing::warn!(exporter = self.id, documents, reason, "documents of services are refused");
        }
    }

    /// What became of each document.
    fn results(&self, request: BulkRequest, reply: &Reply) -> Sent<BulkRequest> {
        let results = match reply::read(&reply.body, request.documents.len(), &reply.secrets) {
            Ok(results) => results,
            // What was stored is found by its id when it is sent again.
            Err(error) => {
                let error = shorten(reply.secrets.mask_text(error.to_string()));
                return again(vec![request], None, format!("{error}; {}", reply.reason()));
            }
        };
        let mut sent = Sent::delivered(0);
        let mut reason = String::new();
        for (document, result) in request.documents.iter().zip(&results) {
            match result {
                reply::Result::Stored => {
                    sent.delivered += u64::from(document.items);
                    if let Some(key) = document.service {
                        self.encoder.services.stored(key.id, key.day, Instant::now());
                    }
                }
                reply::Result::Later(why) => reason.clone_from(why),
                // A service document comes again with the next span of the operation.
                reply::Result::Never(why) if document.items == 0 => {
                    self.refuse_service(why.clone());
                }
                reply::Result::Never(why) => sent.refused.push(DeadLetter {
                    items: document.items.into(),
                    reason: why.clone(),
                    document: Some(request.letter(document)),
                }),
            }
        }
        let later = request.only(|position| matches!(results[position], reply::Result::Later(_)));
        sent.again = later.map(|later| {
            let items = later.items();
            Again { requests: vec![(later, items)], after: None, reason }
        });
        sent
    }
}

impl Exporter for OpenSearch {
    type Request = BulkRequest;

    fn encode(&self, batch: &Batch, from: u64) -> Encoded<BulkRequest> {
        self.encoder.encode(batch, from)
    }

    async fn send(&self, request: BulkRequest) -> Sent<BulkRequest> {
        match self.install_templates().await {
            Ok(()) => {}
            Err(NoTemplate::Later(reason, after)) => return again(vec![request], after, reason),
            Err(NoTemplate::Never(reason)) => return refused(&request, &reason),
        }
        let (body, encoding) = compress(self.compression, request.body.clone());
        let mut message = Request::post(self.bulk.clone(), "application/x-ndjson", body);
        message.max_reply_bytes = reply::max_bytes(request.documents.len(), request.body.len());
        if let Some(encoding) = encoding {
            message = message.header(CONTENT_ENCODING, encoding);
        }
        match self.client.send(message).await {
            Ok(reply) => self.answered(request, &reply),
            Err(error) => self.failed(request, &error),
        }
    }
}

fn encoder(config: &OpenSearchConfig) -> Encoder {
    let layout = |flatten| ecs::Layout {
        flatten,
        timestamp_field: config.mapping.timestamp_field.clone(),
        unix_timestamp: config.mapping.unix_timestamp,
        dedot: config.mapping.dedot,
    };
    let prefix = config.jaeger_index_prefix().trim_end_matches('-');
    let schema = match config.mapping.mode {
        MappingMode::Ss4o => Schema::Ss4o,
        MappingMode::Ecs => Schema::Ecs(layout(false)),
        MappingMode::FlattenAttributes => Schema::Ecs(layout(true)),
        MappingMode::Bodymap => Schema::Bodymap,
        MappingMode::Jaeger => {
            Schema::Jaeger { prefix: if prefix.is_empty() { String::new() } else { format!("{prefix}-") } }
        }
    };
    let index = |kind: &str, pattern: &str, fallback: &str, format: &str| match pattern {
        "" => IndexName::parse(&format!("ss4o_{kind}-{}-{}", config.dataset, config.namespace), fallback, format),
        pattern => IndexName::parse(pattern, fallback, format),
    };
    Encoder {
        schema,
        dataset: config.dataset.clone(),
        namespace: config.namespace.clone(),
        traces_index: index(
            "traces",
            &config.traces_index,
            &config.traces_index_fallback,
            &config.traces_index_time_format,
        ),
        logs_index: index("logs", &config.logs_index, &config.logs_index_fallback, &config.logs_index_time_format),
        action: match config.bulk_action {
            BulkAction::Create => "create",
            BulkAction::Index => "index",
        },
        ids: config.deterministic_ids(),
        max_bytes: usize::try_from(config.max_bulk_size.bytes()).unwrap_or(usize::MAX),
        services: Services::default(),
        hasher: DefaultHashBuilder::default(),
    }
}

#[cfg(test)]
mod tests;
