//! OTLP over HTTP: protobuf and JSON bodies posted to one path per signal.

use std::sync::Arc;
use std::time::Duration;

use ::http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, RETRY_AFTER};
use ::http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, Version};
use bytes::Bytes;
use hyper::body::Incoming;
use prost::Message;
use tokio::sync::watch;
use tokio::time::timeout;
use tonic_types::pb;

use super::PATIENCE;
use super::cors::Cors;
use super::intake::{Intake, unless_ending, unpack};
use super::reply::Reply;
use super::unreadable::Declared;
use super::upload::Upload;
use crate::config::component::OtlpHttpConfig;
use crate::config::types::Secret;
use crate::decode::compression::Encoding;
use crate::decode::otlp_json;
use crate::limits::Permit;
use crate::model::Signal;
use crate::receive::body::{self, Gather};
use crate::receive::connection::Phase;
use crate::receive::counters::Transport;
use crate::receive::rejection::Rejection;

const ENCODINGS: &str = "gzip, zstd, deflate, zlib, snappy, x-snappy-framed, lz4, identity";

/// The HTTP side of the receiver.
pub(in crate::receive) struct Http {
    intake: Arc<Intake>,
    paths: [(String, Signal); 3],
    cors: Option<Cors>,
    max_body_bytes: usize,
    read_timeout: Option<Duration>,
    encodings: Option<Vec<Encoding>>,
    extra: HeaderMap,
}

/// How messages are written in a body.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Format {
    Protobuf,
    Json,
}

impl Format {
    fn content_type(self) -> HeaderValue {
        HeaderValue::from_static(match self {
            Self::Protobuf => "application/x-protobuf",
            Self::Json => "application/json",
        })
    }
}

impl Http {
    /// Of settings that were checked.
    pub(super) fn new(config: &OtlpHttpConfig, intake: Arc<Intake>) -> Self {
        let server = &config.server;
        let header = |(name, value): (&str, &Secret)| {
            Some((name.parse::<HeaderName>().ok()?, HeaderValue::from_str(value.expose()).ok()?))
        };
        let encodings = |names: &Vec<String>| names.iter().filter_map(|name| Encoding::from_name(name)).collect();
        Self {
            intake,
            paths: [
                (absolute(&config.traces_url_path), Signal::Traces),
                (absolute(&config.metrics_url_path), Signal::Metrics),
                (absolute(&config.logs_url_path), Signal::Logs),
            ],
            cors: server.cors.as_ref().and_then(Cors::new),
            max_body_bytes: match usize::try_from(server.max_request_body_size).unwrap_or(usize::MAX) {
                0 => 20 << 20,
                bytes => bytes,
            },
            read_timeout: server.read_timeout.unless_zero(),
            encodings: server.compression_algorithms.as_ref().map(encodings),
            extra: server.response_headers.iter().filter_map(header).collect(),
        }
    }

    pub(super) async fn answer(&self, request: Request<Incoming>, phase: watch::Receiver<Phase>) -> Response<Reply> {
        if let Some(cors) = &self.cors
            && let Some(response) = cors.preflight(&request)
        {
            return response;
        }
        let (head, body) = request.into_parts();
        let mut body = Upload::new(body);
        let mut response = match self.route(&head) {
            Err((status, text)) => plain(status, text),
            Ok((signal, format)) => {
                let work = self.receive(signal, format, &head.headers, &mut body);
                match unless_ending(phase.clone(), work).await {
                    Ok(()) => reply(StatusCode::OK, format, empty(format)),
                    Err(rejection) => {
                        self.intake.count(Transport::Http, signal, &rejection);
                        failure(format, &rejection)
                    }
                }
            }
        };
        if let Some(cors) = &self.cors {
            cors.grant(&head.headers, response.headers_mut());
        }
        response.headers_mut().extend(self.extra.clone());
        if head.version < Version::HTTP_2 {
            body.settle(&head.headers, response.headers_mut(), phase).await;
        }
        response
    }

    fn route(&self, head: &::http::request::Parts) -> Result<(Signal, Format), (StatusCode, &'static str)> {
        let path = head.uri.path();
        let Some((_, signal)) = self.paths.iter().find(|(known, _)| known == path) else {
            return Err((StatusCode::NOT_FOUND, "404 page not found"));
        };
        if head.method != Method::POST {
            return Err((StatusCode::METHOD_NOT_ALLOWED, "405 method not allowed, supported: [POST]"));
        }
        let Some(format) = format(&head.headers) else {
            return Err((
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "415 unsupported media type, supported: [application/json, application/x-protobuf]",
            ));
        };
        Ok((*signal, format))
    }

    async fn receive(
        &self,
        signal: Signal,
        format: Format,
        headers: &HeaderMap,
        body: &mut Upload,
    ) -> Result<(), Rejection> {
        self.intake.consumer(signal)?;
        let held = self.intake.hold(headers)?;
        let encoding = self.encoding(headers)?;
        let mut gather = Gather::new(&held, self.max_body_bytes);
        if let Some(length) = content_length(headers) {
            gather.expect(&self.intake.budget, length)?;
        }
        let read = body::read(body, &mut gather, PATIENCE, |_| Ok(()));
        match self.read_timeout {
            None => read.await?,
            Some(limit) => timeout(limit, read)
                .await
                .map_err(|_| Rejection::Timeout("the body did not come within read_timeout".into()))??,
        }
        let (bytes, permit) = gather.finish();
        let (bytes, permit) = unpack(encoding, bytes, permit, self.max_body_bytes)?;
        let (bytes, permit) = match format {
            Format::Protobuf => (bytes, permit),
            Format::Json => translate(signal, bytes, permit, self.max_body_bytes)?,
        };
        let declared = Declared { transport: Transport::Http, encoding, is_json: format == Format::Json };
        self.intake.take(declared, signal, self.intake.metadata(headers), bytes, permit).await
    }

    fn encoding(&self, headers: &HeaderMap) -> Result<Encoding, Rejection> {
        let Some(name) = headers.get(CONTENT_ENCODING) else {
            return Ok(Encoding::Identity);
        };
        let name = String::from_utf8_lossy(name.as_bytes());
        let allowed = |encoding: &Encoding| self.encodings.as_ref().is_none_or(|list| list.contains(encoding));
        Encoding::from_name(&name).filter(allowed).ok_or_else(|| {
            Rejection::Encoding(format!("unsupported Content-Encoding {name:?}; use one of {ENCODINGS}"))
        })
    }
}

/// From JSON to protobuf; the permit covers both while both exist.
fn translate(
    signal: Signal,
    json: Bytes,
    mut permit: Permit,
    limit_bytes: usize,
) -> Result<(Bytes, Permit), Rejection> {
    let protobuf = otlp_json::to_protobuf(signal, &json, limit_bytes, &mut permit)?;
    drop(json);
    permit.shrink_to(protobuf.capacity());
    Ok((Bytes::from(protobuf), permit))
}

/// The paths of the collector's configuration may lack the slash.
fn absolute(path: &str) -> String {
    if path.starts_with('/') { path.into() } else { format!("/{path}") }
}

/// The format that a content type names; parameters such as the charset don't matter.
fn format(headers: &HeaderMap) -> Option<Format> {
    let content_type = headers.get(CONTENT_TYPE)?.to_str().ok()?;
    let media_type = content_type.split(';').next().unwrap_or_default().trim();
    if media_type.eq_ignore_ascii_case("application/x-protobuf") {
        Some(Format::Protobuf)
    } else if media_type.eq_ignore_ascii_case("application/json") {
        Some(Format::Json)
    } else {
        None
    }
}

fn content_length(headers: &HeaderMap) -> Option<u64> {
    headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// An `Export…ServiceResponse` without partial success.
fn empty(format: Format) -> Bytes {
    match format {
        Format::Protobuf => Bytes::new(),
        Format::Json => Bytes::from_static(b"{}"),
    }
}

fn reply(status: StatusCode, format: Format, body: Bytes) -> Response<Reply> {
    let mut response = Response::new(Reply::bytes(body));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, format.content_type());
    response
}

fn plain(status: StatusCode, text: &'static str) -> Response<Reply> {
    let mut response = Response::new(Reply::bytes(text));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain"));
    response
}

/// A `google.rpc.Status` in the format of the request.
fn failure(format: Format, rejection: &Rejection) -> Response<Reply> {
    let status = rejection.status();
    let body = match format {
        Format::Protobuf if status.details().is_empty() => {
            let (code, message) = (status.code() as i32, status.message().to_owned());
            pb::Status { code, message, details: Vec::new() }.encode_to_vec().into()
        }
        // The details are the whole message: grpc-status-details-bin holds nothing else.
        Format::Protobuf => Bytes::copy_from_slice(status.details()),
        Format::Json => json_status(&status, rejection.retry_after()),
    };
    let mut response = reply(rejection.http_status(), format, body);
    if let Some(delay) = rejection.retry_after() {
        response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(whole_seconds(delay)));
    }
    response
}

fn json_status(status: &tonic::Status, retry_after: Option<Duration>) -> Bytes {
    let mut json = serde_json::json!({ "code": status.code() as i32, "message": status.message() });
    if let Some(delay) = retry_after {
        json["details"] = serde_json::json!([{
            "@type": "type.googleapis.com/google.rpc.RetryInfo",
            "retryDelay": format!("{}s", delay.as_secs_f64()),
        }]);
    }
    json.to_string().into()
}

/// Rounded up: who comes back too early is refused again.
fn whole_seconds(delay: Duration) -> u64 {
    (delay.as_secs() + u64::from(delay.subsec_nanos() > 0)).max(1)
}
