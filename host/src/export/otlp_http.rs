//! Exporter `otlphttp`: OTLP over HTTP, as Protobuf (the batch's own bytes) or JSON.

use std::time::SystemTime;

use bytes::Bytes;
use http::header::CONTENT_ENCODING;
use http::{HeaderValue, Uri};
use serde::Deserialize;
use sluice_wire::Signal;

use crate::config::component::{OtlpEncoding, OtlpHttpExporterConfig};
use crate::config::types::{Compression, Url};
use crate::export::client::{Authenticator, HttpClient, Reply, Request, compress};
use crate::export::otlp_json::to_json;
use crate::export::otlp_refusal::{halve, refuse};
use crate::export::partial_success::PartialSuccess;
use crate::export::{Dropped, Encoded, Exporter, Sent, SetupError};
use crate::model::Batch;

#[cfg(test)]
mod tests;

const PROTOBUF: &str = "application/x-protobuf";
const JSON: &str = "application/json";
/// How the Collector's receiver refuses a body over its `max_request_body_size`: with status 400 and these words.
const TOO_LARGE_FOR_THE_COLLECTOR: &str = "request body too large";

/// Sends OTLP over HTTP.
pub struct OtlpHttp {
    client: HttpClient,
    endpoints: [Option<Uri>; 3],
    encoding: OtlpEncoding,
    compression: Compression,
    partial_success: PartialSuccess,
}

/// One request; a clone shares its bytes.
#[derive(Clone, Debug)]
pub struct Post {
    /// What it was made of, to make it smaller.
    batch: Batch,
    request: Request,
}

impl OtlpHttp {
    /// Makes the exporter with this id; connects when there is something to send.
    ///
    /// # Errors
    /// If an endpoint, a certificate, the proxy or a header is of no use.
    pub fn new(id: &str, config: &OtlpHttpExporterConfig, authenticator: Authenticator) -> Result<Self, SetupError> {
        Ok(Self {
            client: HttpClient::new(&format!("exporters::{id}"), &config.client, authenticator)?,
            endpoints: endpoints(config)?,
            encoding: config.encoding,
            compression: config.client.compression,
            partial_success: PartialSuccess::new(id),
        })
    }

    fn post(&self, batch: &Batch) -> Result<Post, Dropped> {
        // A configuration in which a pipeline lacks it is refused.
        let Some(uri) = &self.endpoints[batch.signal as usize] else {
            let detail = format!("neither endpoint nor one for {:?} is configured", batch.signal);
            return Err(Dropped { items: batch.items, reason: "no_endpoint", detail });
        };
        let (content_type, body) = match self.encoding {
            OtlpEncoding::Proto => (PROTOBUF, batch.bytes.clone()),
            OtlpEncoding::Json => (JSON, Bytes::from(to_json(batch.signal, &batch.bytes))),
        };
        let (body, content_encoding) = compress(self.compression, body);
        let mut request = Request::post(uri.clone(), content_type, body);
        if let Some(content_encoding) = content_encoding {
            request = request.header(CONTENT_ENCODING, content_encoding);
        }
        Ok(Post { batch: batch.clone(), request })
    }

    fn judge(&self, post: Post, reply: Reply) -> Sent<Post> {
        let items = post.batch.items;
        if reply.status.is_success() {
            let (rejected, message) = match is_json(&reply) {
                true if reply.truncated => partial_success_of_json(closed(&reply.body).as_bytes()),
                true => partial_success_of_json(&reply.body),
                false => {
                    let body = reply.secrets.mask(&reply.body);
                    return self.partial_success.judge(post.batch.signal, items, &body);
                }
            };
            return self.partial_success.judge_parsed(items, rejected, reply.secrets.mask_text(message));
        }
        let reason = reply.reason_of_status_message();
        match reply.status.as_u16() {
            429 | 502 | 503 | 504 => {
                let after = reply.retry_after(SystemTime::now());
                Sent::again(vec![(post, items)], after, reason)
            }
            413 => halve(self, &post.batch, reason),
            400 if reason.contains(TOO_LARGE_FOR_THE_COLLECTOR) => halve(self, &post.batch, reason),
            _ => refuse(&post.batch, reason),
        }
    }
}

impl Exporter for OtlpHttp {
    type Request = Post;

    fn encode(&self, batch: &Batch, _from: u64) -> Encoded<Post> {
        match self.post(batch) {
            Ok(post) => Encoded::one(post),
            Err(dropped) => Encoded { requests: Vec::new(), dropped: vec![dropped], next: None },
        }
    }

    async fn send(&self, post: Post) -> Sent<Post> {
        match self.client.send(post.request.clone()).await {
            Ok(reply) => self.judge(post, reply),
            Err(error) if error.is_retryable() => {
                let items = post.batch.items;
                Sent::again(vec![(post, items)], None, error.to_string())
            }
            Err(error) => refuse(&post.batch, error.to_string()),
        }
    }
}

/// Where each of the signals goes, in the order of `Signal::ALL`.
fn endpoints(config: &OtlpHttpExporterConfig) -> Result<[Option<Uri>; 3], SetupError> {
    let endpoint = |signal: Signal| {
        let (key, shown) = match config.own_endpoint(signal) {
            Some(own) => (format!("{}_endpoint", signal.name()), own),
            None => ("endpoint".to_owned(), &config.client.endpoint),
        };
        config.endpoint(signal).map(|whole| parse(&key, &whole, shown)).transpose()
    };
    let [traces, metrics, logs] = Signal::ALL.map(endpoint);
    Ok([traces?, metrics?, logs?])
}

/// `shown` is what an error shows instead of the address, which may hold a password.
fn parse(key: &str, address: &str, shown: &Url) -> Result<Uri, SetupError> {
    let wrong = |reason| SetupError::new(key, reason);
    let uri: Uri = address.parse().map_err(|error| wrong(format!("{shown} is no address: {error}")))?;
    match uri.scheme_str() {
        Some("http" | "https") => Ok(uri),
        _ => Err(wrong(format!("{shown} must start with http:// or https://"))),
    }
}

fn is_json(reply: &Reply) -> bool {
    let content_type = reply.headers.get(http::header::CONTENT_TYPE).map(HeaderValue::as_bytes).unwrap_or_default();
    content_type.starts_with(JSON.as_bytes())
}

/// An answer in JSON that is cut off, with its end put back: it is the message at its end that is long.
fn closed(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(body);
    // It may end within an escape.
    let last = text.rfind('\\').filter(|at| text.len() - at < r"\u0000".len());
    let text = last.map_or(&*text, |at| text[..at].trim_end_matches('\\'));
    format!("{text}\"}}}}")
}

/// The number of rejected items and the message in an answer in JSON. What can't be read rejects nothing.
fn partial_success_of_json(body: &[u8]) -> (i64, String) {
    let answer: JsonAnswer = serde_json::from_slice(body).unwrap_or_default();
    let partial = answer.partial_success.unwrap_or_default();
    let rejected = [partial.rejected_spans, partial.rejected_data_points, partial.rejected_log_records];
    (rejected.into_iter().flatten().map(Long::value).max().unwrap_or_default(), partial.error_message)
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct JsonAnswer {
    partial_success: Option<JsonPartialSuccess>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct JsonPartialSuccess {
    rejected_spans: Option<Long>,
    rejected_data_points: Option<Long>,
    rejected_log_records: Option<Long>,
    error_message: String,
}

/// A 64-bit number, which Protobuf's JSON writes as text and reads as either.
#[derive(Deserialize)]
#[serde(untagged)]
enum Long {
    Number(i64),
    Text(String),
}

impl Long {
    fn value(self) -> i64 {
        match self {
            Self::Number(number) => number,
            Self::Text(text) => text.parse().unwrap_or_default(),
        }
    }
}

impl Reply {
    /// The reason, taken out of a `google.rpc.Status` if the body is one.
    fn reason_of_status_message(&self) -> String {
        let content_type = self.headers.get(http::header::CONTENT_TYPE).map(HeaderValue::as_bytes).unwrap_or_default();
        if !content_type.starts_with(PROTOBUF.as_bytes()) {
            return self.reason();
        }
        let status: tonic_types::Status = prost::Message::decode(&self.body[..]).unwrap_or_default();
        Self { body: Bytes::from(status.message), ..self.clone() }.reason()
    }
}
