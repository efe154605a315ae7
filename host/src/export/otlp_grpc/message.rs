//! One unary gRPC message, out without a copy and in with a limit.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use base64::Engine;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig, STANDARD};
use bytes::buf::Chain;
use bytes::{Buf, Bytes, BytesMut};
use http::{HeaderMap, HeaderValue, StatusCode};
use http_body_util::BodyExt;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use tonic::{Code, Status};

use crate::export::client::error_chain;

/// An answer is a partial success with a message, or nothing. What comes after this is not kept.
const MAX_REPLY_BYTES: usize = 64 * 1024;
const PREFIX_BYTES: usize = 5;
const DETAILS: &str = "grpc-status-details-bin";
/// gRPC sends base64 without padding, and takes it with and without.
const ANY_PADDING: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

/// A message behind its prefix: one chunk of two pieces, so that both go out together and neither is copied.
pub(super) struct Message(Option<Chain<Bytes, Bytes>>);

impl Message {
    pub(super) fn new(payload: Bytes, compressed: bool) -> Self {
        let mut prefix = [0; PREFIX_BYTES];
        prefix[0] = u8::from(compressed);
        // A batch is far below 4 GiB: its memory permit and every receiver's limit see to that.
        let length = u32::try_from(payload.len()).unwrap_or(u32::MAX);
        prefix[1..].copy_from_slice(&length.to_be_bytes());
        Self(Some(Bytes::copy_from_slice(&prefix).chain(payload)))
    }
}

impl Body for Message {
    type Data = Chain<Bytes, Bytes>;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Infallible>>> {
        Poll::Ready(self.0.take().map(|data| Ok(Frame::data(data))))
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.0.as_ref().map_or(0, |data| data.remaining() as u64))
    }
}

/// Reads the answer's message; a status other than OK is the error.
pub(super) async fn read_reply(response: http::Response<Incoming>) -> Result<Bytes, Status> {
    let (head, mut body) = response.into_parts();
    if head.status != StatusCode::OK {
        return Err(from_http(head.status, &head.headers));
    }
    if let Some(status) = status(&head.headers) {
        return if status.code() == Code::Ok { Ok(Bytes::new()) } else { Err(status) };
    }
    let mut message = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| Status::unavailable(format!("connection lost: {}", error_chain(&error))))?;
        match frame.into_data() {
            Ok(data) => message.extend_from_slice(&data[..data.len().min(MAX_REPLY_BYTES - message.len())]),
            Err(frame) => {
                let Ok(trailers) = frame.into_trailers() else { continue };
                let status = status(&trailers).unwrap_or_else(|| Status::unknown("answer without grpc-status"));
                return if status.code() == Code::Ok { Ok(unframe(message)) } else { Err(status) };
            }
        }
    }
    Err(Status::unavailable("the answer broke off before its grpc-status"))
}

/// The message without its prefix, or what there is of it; one that is compressed, which we never ask for, counts as empty.
fn unframe(message: BytesMut) -> Bytes {
    let message = message.freeze();
    match message.first_chunk::<PREFIX_BYTES>() {
        Some([0, a, b, c, d]) if message.len() - PREFIX_BYTES <= u32::from_be_bytes([*a, *b, *c, *d]) as usize => {
            message.slice(PREFIX_BYTES..)
        }
        _ => Bytes::new(),
    }
}

/// The status in headers or trailers.
fn status(headers: &HeaderMap) -> Option<Status> {
    let Some(details) = headers.get(DETAILS) else { return Status::from_header_map(headers) };
    // tonic panics on base64 that is none.
    let mut headers = headers.clone();
    match ANY_PADDING.decode(details).ok().and_then(|bytes| HeaderValue::from_str(&STANDARD.encode(bytes)).ok()) {
        Some(details) => headers.insert(DETAILS, details),
        None => headers.remove(DETAILS),
    };
    Status::from_header_map(&headers)
}

/// What an HTTP status means that some proxy sent instead of gRPC; the table of the gRPC specification.
fn from_http(http: StatusCode, headers: &HeaderMap) -> Status {
    if let Some(status) = status(headers) {
        return status;
    }
    let code = match http.as_u16() {
        400 => Code::Internal,
        401 => Code::Unauthenticated,
        403 => Code::PermissionDenied,
        404 => Code::Unimplemented,
        429 | 502 | 503 | 504 => Code::Unavailable,
        _ => Code::Unknown,
    };
    Status::new(code, format!("status {http} instead of gRPC"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn puts_flag_and_length_in_front_of_the_message() {
        for (compressed, flag) in [(false, 0), (true, 1)] {
            let mut data = Message::new(Bytes::from_static(b"payload"), compressed).0.expect("data");
            assert_eq!(data.remaining(), 12);
            assert_eq!(&data.copy_to_bytes(12)[..], [&[flag, 0, 0, 0, 7][..], b"payload"].concat());
        }
    }

    #[test]
    fn takes_a_message_out_of_its_frame_or_leaves_it() {
        let cases: [(&[u8], &[u8]); 6] = [
            (&[0, 0, 0, 0, 2, 7, 8], &[7, 8]),
            (&[1, 0, 0, 0, 2, 7, 8], &[]),
            (&[0, 0, 0, 0, 3, 7, 8], &[7, 8]),
            (&[0, 0, 0, 0, 1, 7, 8], &[]),
            (&[0, 0, 0], &[]),
            (&[], &[]),
        ];
        for (frame, expected) in cases {
            assert_eq!(&unframe(BytesMut::from(frame))[..], expected, "{frame:?}");
        }
    }

    #[test]
    fn reads_a_status_whatever_its_details_are() {
        let headers = |details: &'static str| {
            HeaderMap::from_iter([
                (http::HeaderName::from_static("grpc-status"), HeaderValue::from_static("14")),
                (http::HeaderName::from_static("grpc-message"), HeaderValue::from_static("not%20now")),
                (http::HeaderName::from_static(DETAILS), HeaderValue::from_static(details)),
            ])
        };
        for (details, expected) in [("CA4", &[8, 14][..]), ("CA4=", &[8, 14]), ("CA5", &[8, 14]), ("!", &[]), ("", &[])]
        {
            let status = status(&headers(details)).expect("status");
            assert_eq!((status.code(), status.message()), (Code::Unavailable, "not now"));
            assert_eq!(status.details(), expected, "{details:?}");
        }
    }

    #[test]
    fn knows_what_a_status_of_a_proxy_means() {
        let cases =
            [(400, 13), (401, 16), (403, 7), (404, 12), (429, 14), (502, 14), (503, 14), (504, 14), (500, 2), (302, 2)];
        for (http, code) in cases {
            let status = from_http(StatusCode::from_u16(http).expect("status"), &HeaderMap::new());
            assert_eq!(status.code() as i32, code, "{http}");
        }
    }
}
