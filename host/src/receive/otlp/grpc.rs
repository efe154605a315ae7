//! OTLP over gRPC: the three unary `Export` methods, with framing of our own.
//!
//! tonic decompresses a message before anybody can ask whether there is memory for it, so only its `Status` is used
//! here; the frames are a flag, a length and the message (gRPC over HTTP/2, "Length-Prefixed-Message").

use std::sync::Arc;
use std::time::Duration;

use ::http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, header};
use hyper::body::Incoming;
use tokio::sync::watch;
use tokio::time::timeout;

use super::PATIENCE;
use super::intake::{Intake, unless_ending, unpack};
use super::reply::Reply;
use super::unreadable::Declared;
use crate::config::types::GrpcServerConfig;
use crate::decode::compression::Encoding;
use crate::model::{Signal, grpc_method};
use crate::receive::body::{self, Gather};
use crate::receive::connection::Phase;
use crate::receive::counters::Transport;
use crate::receive::rejection::Rejection;

/// The flag and the length before a message.
const PREFIX_BYTES: usize = 5;
/// Encodings that requests may have.
const ACCEPTED: &str = "identity,gzip,zstd,snappy,deflate";

/// The gRPC side of the receiver.
pub(in crate::receive) struct Grpc {
    intake: Arc<Intake>,
    max_message_bytes: usize,
}

impl Grpc {
    pub(super) fn new(config: &GrpcServerConfig, intake: Arc<Intake>) -> Self {
        let mib = config.max_recv_msg_size_mib as usize;
        // Zero is the default in the collector as well.
        let max_message_bytes = if mib == 0 { 4 << 20 } else { mib << 20 };
        Self { intake, max_message_bytes }
    }

    pub(super) async fn answer(&self, request: Request<Incoming>, phase: watch::Receiver<Phase>) -> Response<Reply> {
        if let Some(refused) = not_grpc(&request) {
            return refused;
        }
        let Some(signal) = method(request.uri().path()) else {
            let path = request.uri().path();
            return failure(&Rejection::Unknown(format!("unknown method {path}")));
        };
        let result = unless_ending(phase, self.export(signal, request)).await;
        match result {
            Ok(()) => success(),
            Err(rejection) => {
                self.intake.count(Transport::Grpc, signal, &rejection);
                failure(&rejection)
            }
        }
    }

    async fn export(&self, signal: Signal, request: Request<Incoming>) -> Result<(), Rejection> {
        let Some(limit) = deadline(request.headers()) else {
            return self.receive(signal, request).await;
        };
        match timeout(limit, self.receive(signal, request)).await {
            Ok(result) => result,
            Err(_) => Err(Rejection::Timeout("the deadline of the call has passed".into())),
        }
    }

    async fn receive(&self, signal: Signal, request: Request<Incoming>) -> Result<(), Rejection> {
        self.intake.consumer(signal)?;
        let held = self.intake.hold(request.headers())?;
        let encoding = encoding(request.headers())?;
        let metadata = self.intake.metadata(request.headers());
        let mut gather = Gather::new(&held, self.max_message_bytes + PREFIX_BYTES);
        let mut message = None;
        let budget = &self.intake.budget;
        body::read(request.into_body(), &mut gather, PATIENCE, |gather| {
            if message.is_none()
                && let Some(prefix) = gather.split_prefix::<PREFIX_BYTES>()
            {
                let frame = Frame::parse(prefix, self.max_message_bytes)?;
                gather.expect(budget, frame.length as u64)?;
                message = Some(frame);
            }
            match &message {
                Some(frame) if gather.len() > frame.length => Err(several()),
                _ => Ok(()),
            }
        })
        .await?;
        let frame = message.ok_or_else(|| match gather.len() {
            0 => Rejection::Cardinality("the request has no message".into()),
            got => Rejection::Framing(format!("the request ends after {got} of {PREFIX_BYTES} bytes of the prefix")),
        })?;
        if gather.len() < frame.length {
            let (got, length) = (gather.len(), frame.length);
            return Err(Rejection::Framing(format!("the request ends after {got} of {length} bytes of the message")));
        }
        let (bytes, permit) = gather.finish();
        let encoding = frame.encoding(encoding)?;
        let (bytes, permit) = unpack(encoding, bytes, permit, self.max_message_bytes)?;
        let declared = Declared { transport: Transport::Grpc, encoding, is_json: false };
        self.intake.take(declared, signal, metadata, bytes, permit).await
    }
}

/// The prefix of a message.
#[derive(Clone, Copy)]
struct Frame {
    compressed: bool,
    length: usize,
}

impl Frame {
    fn parse([flag, length @ ..]: [u8; PREFIX_BYTES], max_bytes: usize) -> Result<Self, Rejection> {
        let length = u32::from_be_bytes(length) as usize;
        if flag > 1 {
            return Err(Rejection::Framing(format!("{flag} is not a compressed flag, that is 0 or 1")));
        }
        if length > max_bytes {
            return Err(Rejection::TooLarge(format!(
                "message of {length} bytes exceeds the limit of {max_bytes} bytes"
            )));
        }
        Ok(Self { compressed: flag == 1, length })
    }

    /// How the message is compressed, by its flag and the `grpc-encoding` of the call.
    fn encoding(self, named: Option<Encoding>) -> Result<Encoding, Rejection> {
        match (self.compressed, named) {
            (false, _) => Ok(Encoding::Identity),
            (true, Some(encoding)) if encoding != Encoding::Identity => Ok(encoding),
            (true, _) => Err(Rejection::Framing("the message is compressed, but grpc-encoding doesn't say how".into())),
        }
    }
}

fn several() -> Rejection {
    Rejection::Cardinality("more than one message in a unary call".into())
}

fn method(path: &str) -> Option<Signal> {
    Signal::ALL.into_iter().find(|signal| grpc_method(*signal) == path)
}

/// Plain HTTP replies to what isn't gRPC at all, as its specification asks for.
fn not_grpc(request: &Request<Incoming>) -> Option<Response<Reply>> {
    let content_type = request.headers().get(header::CONTENT_TYPE).map(HeaderValue::as_bytes).unwrap_or_default();
    let status = if request.method() != Method::POST {
        StatusCode::METHOD_NOT_ALLOWED
    } else if !content_type.starts_with(b"application/grpc") {
        StatusCode::UNSUPPORTED_MEDIA_TYPE
    } else {
        return None;
    };
    let mut response = Response::new(Reply::default());
    *response.status_mut() = status;
    Some(response)
}

fn encoding(headers: &HeaderMap) -> Result<Option<Encoding>, Rejection> {
    let Some(name) = headers.get("grpc-encoding") else {
        return Ok(None);
    };
    let name = String::from_utf8_lossy(name.as_bytes());
    let known = Encoding::from_name(&name).map(Some);
    known.ok_or_else(|| Rejection::Encoding(format!("grpc-encoding {name:?} is not supported; use one of {ACCEPTED}")))
}

/// The time that the client gives the call; a value that is none of the specification's is no limit.
fn deadline(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get("grpc-timeout")?.to_str().ok()?;
    let (number, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let digits = (1..=8).contains(&number.len()) && number.bytes().all(|byte| byte.is_ascii_digit());
    let number: u64 = number.parse().ok().filter(|_| digits)?;
    match unit {
        "H" => Some(Duration::from_secs(number * 3600)),
        "M" => Some(Duration::from_secs(number * 60)),
        "S" => Some(Duration::from_secs(number)),
        "m" => Some(Duration::from_millis(number)),
        "u" => Some(Duration::from_micros(number)),
        "n" => Some(Duration::from_nanos(number)),
        _ => None,
    }
}

fn success() -> Response<Reply> {
    with_headers(Response::new(Reply::grpc_ok()))
}

fn failure(rejection: &Rejection) -> Response<Reply> {
    with_headers(rejection.status().into_http())
}

fn with_headers(mut response: Response<Reply>) -> Response<Reply> {
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    headers.insert("grpc-accept-encoding", HeaderValue::from_static(ACCEPTED));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_grpc_timeouts() {
        let cases = [
            ("1H", Some(Duration::from_secs(3600))),
            ("2M", Some(Duration::from_secs(120))),
            ("10S", Some(Duration::from_secs(10))),
            ("99999999m", Some(Duration::from_millis(99_999_999))),
            ("5u", Some(Duration::from_micros(5))),
            ("7n", Some(Duration::from_nanos(7))),
            ("100000000n", None),
            ("S", None),
            ("", None),
            ("+1S", None),
            ("1s", None),
            ("1\u{b5}", None),
        ];
        for (text, expected) in cases {
            let Ok(value) = HeaderValue::from_bytes(text.as_bytes()) else { panic!("{text}") };
            let headers = HeaderMap::from_iter([(header::HeaderName::from_static("grpc-timeout"), value)]);
            assert_eq!(deadline(&headers), expected, "{text}");
        }
    }
}
