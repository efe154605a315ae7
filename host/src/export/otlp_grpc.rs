//! Exporter `otlp`: OTLP over gRPC, the batch's own bytes as the message.

use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderName, HeaderValue, TE, USER_AGENT};
use http::uri::{PathAndQuery, Scheme};
use http::{HeaderMap, Method, Request, Uri};
use sluice_wire::Signal;
use tokio::time::Instant;
use tonic::{Code, Status};

use crate::config::types::{Compression, GrpcClientConfig, Target, TlsClientConfig};
use crate::export::client::{AGENT, ClientTls, Connector, compress_message, shorten, static_headers};
use crate::export::echo::Secrets;
use crate::export::otlp_refusal::{halve, refuse};
use crate::export::partial_success::PartialSuccess;
use crate::export::{Encoded, Exporter, Sent, SetupError};
use crate::model::{Batch, grpc_method};
use channel::Channel;
use message::{Message, read_reply};

mod channel;
mod message;

#[cfg(test)]
mod tests;

const GRPC: HeaderValue = HeaderValue::from_static("application/grpc");
const TRAILERS: HeaderValue = HeaderValue::from_static("trailers");
const IDENTITY: HeaderValue = HeaderValue::from_static("identity");
const GRPC_ACCEPT_ENCODING: HeaderName = HeaderName::from_static("grpc-accept-encoding");
const GRPC_ENCODING: HeaderName = HeaderName::from_static("grpc-encoding");
const GRPC_TIMEOUT: HeaderName = HeaderName::from_static("grpc-timeout");

/// Sends OTLP over gRPC.
pub struct OtlpGrpc {
    /// Where it connects to, in reasons.
    address: String,
    channel: Channel,
    scheme: Scheme,
    authority: String,
    headers: HeaderMap,
    compression: Compression,
    timeout: Option<Duration>,
    partial_success: PartialSuccess,
}

/// One `Export` call; a clone shares its bytes.
#[derive(Clone, Debug)]
pub struct Call {
    /// What it was made of, to make it smaller.
    batch: Batch,
    payload: Bytes,
    encoding: Option<HeaderValue>,
}

impl OtlpGrpc {
    /// Makes the exporter with this id; connects when there is something to send. A zero `timeout` is none.
    ///
    /// # Errors
    /// If the endpoint, a certificate or a header is of no use.
    pub fn new(id: &str, client: &GrpcClientConfig, timeout: Duration) -> Result<Self, SetupError> {
        let target = Target::parse(client.endpoint.as_str(), client.tls.insecure);
        let target = target.map_err(|reason| SetupError::new("endpoint", reason))?;
        let authority = client.authority.clone().filter(|name| !name.is_empty());
        let tls = tls(client, authority.as_deref());
        let tls = ClientTls::new(format!("exporters::{id}::tls"), &tls, &["h2"])?;
        let connector = Connector::new(tls, None)?.through_tunnels();
        let authority = authority.unwrap_or_else(|| target.authority().to_owned());
        if authority.parse::<http::uri::Authority>().is_err() {
            return Err(SetupError::new("authority", format_args!("{authority:?} is not host or host:port")));
        }
        Ok(Self {
            address: target.to_string(),
            scheme: target.scheme(),
            authority,
            channel: Channel::new(connector, target, client.keepalive.clone()),
            headers: headers(client)?,
            compression: client.compression,
            timeout: Some(timeout).filter(|timeout| !timeout.is_zero()),
            partial_success: PartialSuccess::new(id),
        })
    }

    async fn call(&self, call: &Call) -> Result<Bytes, Status> {
        let uri = self.uri(call.batch.signal)?;
        let request = || {
            let mut request = Request::new(Message::new(call.payload.clone(), call.encoding.is_some()));
            *request.method_mut() = Method::POST;
            *request.uri_mut() = uri.clone();
            *request.headers_mut() = self.headers.clone();
            if let Some(encoding) = &call.encoding {
                request.headers_mut().insert(GRPC_ENCODING, encoding.clone());
            }
            if let Some(timeout) = self.timeout {
                request.headers_mut().insert(GRPC_TIMEOUT, grpc_timeout(timeout));
            }
            request
        };
        let exchange = async { read_reply(self.channel.send(request).await?).await };
        let Some(timeout) = self.timeout else { return exchange.await };
        match tokio::time::timeout_at(Instant::now() + timeout, exchange).await {
            Ok(result) => result,
            Err(_) => Err(Status::deadline_exceeded(format!("no answer within {} seconds", timeout.as_secs_f64()))),
        }
    }

    fn reason(&self, status: &Status) -> String {
        let message = Secrets::of(&self.headers).mask_text(status.message().to_owned());
        shorten(format!("{}: {:?}: {message}", self.address, status.code()))
    }

    fn uri(&self, signal: Signal) -> Result<Uri, Status> {
        let uri = Uri::builder().scheme(self.scheme.clone()).authority(self.authority.as_str());
        let uri = uri.path_and_query(PathAndQuery::from_static(grpc_method(signal))).build();
        uri.map_err(|error| Status::internal(error.to_string()))
    }
}

impl Exporter for OtlpGrpc {
    type Request = Call;

    fn encode(&self, batch: &Batch, _from: u64) -> Encoded<Call> {
        let (payload, encoding) = compress_message(self.compression, batch.bytes.clone());
        Encoded::one(Call { batch: batch.clone(), payload, encoding })
    }

    async fn send(&self, call: Call) -> Sent<Call> {
        let items = call.batch.items;
        let status = match self.call(&call).await {
            Ok(reply) => {
                let reply = Secrets::of(&self.headers).mask(&reply);
                return self.partial_success.judge(call.batch.signal, items, &reply);
            }
            Err(status) => status,
        };
        let reason = self.reason(&status);
        if is_too_large(&status) {
            return halve(self, &call.batch, reason);
        }
        match retry_after(&status) {
            Some(after) => Sent::again(vec![(call, items)], after, reason),
            None => refuse(&call.batch, reason),
        }
    }
}

/// Whether a call may be repeated, and when at the earliest; the table of the OTLP specification.
#[expect(clippy::option_option, reason = "whether to retry, and whether the destination names a time")]
fn retry_after(status: &Status) -> Option<Option<Duration>> {
    use tonic_types::StatusExt;
    let delay = status.get_details_retry_info().and_then(|info| info.retry_delay);
    match status.code() {
        Code::Cancelled
        | Code::DeadlineExceeded
        | Code::Aborted
        | Code::OutOfRange
        | Code::Unavailable
        | Code::DataLoss => Some(delay),
        // Without the detail it means that trying again is of no use.
        Code::ResourceExhausted if delay.is_some() => Some(delay),
        _ => None,
    }
}

/// Whether the destination takes smaller messages only. There is no code for that: its words have to tell, which are
/// those of gRPC's implementations (Go, C++ and Python, Node, Java, .NET, tonic) and of our own receiver.
fn is_too_large(status: &Status) -> bool {
    const WORDS: [&str; 5] = [
        "message larger than max",
        "message after decompression larger than max",
        "message exceeds maximum size",
        "message exceeds the maximum configured message size",
        "message length too large",
    ];
    let message = status.message().to_ascii_lowercase();
    let is_ours = message.contains(" exceeds the limit of ") && message.ends_with(" bytes");
    let is_about_size = is_ours || WORDS.iter().any(|words| message.contains(words));
    is_about_size && matches!(status.code(), Code::ResourceExhausted | Code::OutOfRange)
}

/// gRPC takes the authority for the name in the certificate too.
fn tls(client: &GrpcClientConfig, authority: Option<&str>) -> TlsClientConfig {
    let mut tls = client.tls.clone();
    if let (None, Some(authority)) = (&tls.server_name_override, authority) {
        let host = authority.parse::<http::uri::Authority>().map(|authority| authority.host().to_owned());
        tls.server_name_override = host.ok();
    }
    tls
}

fn headers(client: &GrpcClientConfig) -> Result<HeaderMap, SetupError> {
    let mut headers = static_headers(&client.headers)?;
    headers.entry(USER_AGENT).or_insert(AGENT);
    headers.insert(CONTENT_TYPE, GRPC);
    headers.insert(TE, TRAILERS);
    headers.insert(GRPC_ACCEPT_ENCODING, IDENTITY);
    Ok(headers)
}

/// At most eight digits and a unit.
fn grpc_timeout(timeout: Duration) -> HeaderValue {
    let (number, unit) = match timeout.as_millis() {
        milliseconds @ 0..=99_999_999 => (milliseconds.max(1), 'm'),
        milliseconds => ((milliseconds / 1000).min(99_999_999), 'S'),
    };
    HeaderValue::from_str(&format!("{number}{unit}")).unwrap_or(HeaderValue::from_static("99999999S"))
}
