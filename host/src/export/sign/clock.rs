//! The signer's clock: what a destination refuses for its date tells how wrong ours is.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use http::StatusCode;
use http::header::DATE;

use crate::export::client::{Reply, http_date};

/// AWS takes five minutes; a smaller difference than this is not why it refused.
const TOLERANCE_SECONDS: i64 = 60;

/// What AWS calls a signature of another time.
const SKEW_CODES: [&str; 4] = ["RequestTimeTooSkewed", "RequestExpired", "RequestInTheFuture", "Signature expired"];
/// What AWS calls temporary credentials whose time is over.
const EXPIRED_CODES: [&str; 3] =
    ["ExpiredToken", "TokenRefreshRequired", "security token included in the request is expired"];
/// What AWS calls access keys that it does not know, or not any more.
const UNKNOWN_KEY_CODES: [&str; 4] = [
    "UnrecognizedClientException",
    "InvalidClientTokenId",
    "InvalidAccessKeyId",
    "security token included in the request is invalid",
];

/// How far the destination's clock is ahead of ours.
#[derive(Debug, Default)]
pub(super) struct Clock {
    ahead_seconds: AtomicI64,
}

impl Clock {
    /// The destination's time.
    pub(super) fn now(&self, ours: SystemTime) -> SystemTime {
        let ahead = self.ahead_seconds.load(Ordering::Relaxed);
        let distance = Duration::from_secs(ahead.unsigned_abs());
        let theirs = if ahead < 0 { ours.checked_sub(distance) } else { ours.checked_add(distance) };
        theirs.unwrap_or(ours)
    }

    /// Sets the clock by a reply that refuses a signature of some time; false if that time is not why. Others may have set
    /// it since then.
    pub(super) fn learn(&self, reply: &Reply, signed: SystemTime, ours: SystemTime) -> bool {
        let named = || SKEW_CODES.iter().any(|code| says(reply, code));
        if reply.status != StatusCode::FORBIDDEN && !(reply.status.is_client_error() && named()) {
            return false;
        }
        let date = reply.headers.get(DATE).and_then(|date| http_date(date.to_str().ok()?));
        let ahead_of = |time| Some(unix_seconds(date?)? - unix_seconds(time)?);
        let (Some(ahead_of_signed), Some(ahead)) = (ahead_of(signed), ahead_of(ours)) else { return false };
        if ahead_of_signed.abs() <= TOLERANCE_SECONDS {
            return false;
        }
        let before = self.ahead_seconds.swap(ahead, Ordering::Relaxed);
        if (ahead - before).abs() <= TOLERANCE_SECONDS {
            return true;
        }
        tracing::warn!(clock_behind_seconds = ahead, "this machine's clock is wrong; signing with the destination's");
        true
    }
}

/// Whether a reply refuses temporary credentials because their time is over.
pub(super) fn credentials_expired(reply: &Reply) -> bool {
    refuses_for(reply, &EXPIRED_CODES)
}

/// Whether a reply refuses an access key because there is no such key.
pub(super) fn key_is_unknown(reply: &Reply) -> bool {
    refuses_for(reply, &UNKNOWN_KEY_CODES)
}

/// The text of a 400 may be anything, such as telemetry that the destination does not take: there the error's code has to
/// say so.
fn refuses_for(reply: &Reply, codes: &[&str]) -> bool {
    match reply.status {
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => codes.iter().any(|code| says(reply, code)),
        status => {
            let named = error_code(reply).filter(|_| status.is_client_error());
            named.is_some_and(|named| codes.iter().any(|code| named.starts_with(code)))
        }
    }
}

/// The error's code: of the header, else of JSON's `__type` or XML's `Code`.
fn error_code(reply: &Reply) -> Option<String> {
    let header = reply.headers.get("x-amzn-errortype").and_then(|code| Some(code.to_str().ok()?.to_owned()));
    let json = || {
        let body: serde_json::Value = serde_json::from_slice(&reply.body).ok()?;
        Some(body.get("__type")?.as_str()?.to_owned())
    };
    let xml = || {
        let body = std::str::from_utf8(&reply.body).ok()?.trim_start();
        let (_, code) = body.split_once("<Code>").filter(|_| body.starts_with('<'))?;
        Some(code.split('<').next()?.to_owned())
    };
    // The namespace of a shape may stand before it.
    let code = header.or_else(json).or_else(xml)?;
    Some(code.rsplit('#').next().unwrap_or_default().to_owned())
}

/// Whether the error's code or message has these words in it.
fn says(reply: &Reply, words: &str) -> bool {
    let code = reply.headers.get("x-amzn-errortype").map(http::HeaderValue::as_bytes).unwrap_or_default();
    memchr::memmem::find(code, words.as_bytes()).is_some()
        || memchr::memmem::find(&reply.body, words.as_bytes()).is_some()
}

fn unix_seconds(time: SystemTime) -> Option<i64> {
    i64::try_from(time.duration_since(UNIX_EPOCH).ok()?.as_secs()).ok()
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use http::{HeaderMap, HeaderValue};

    use super::*;

    const DATE_TEXT: &str = "Sun, 30 Aug 2015 12:36:00 GMT";
    const DATE_SECONDS: u64 = 1_440_938_160;

    fn reply(status: u16, date: Option<&'static str>, body: &'static str) -> Reply {
        let mut headers = HeaderMap::new();
        if let Some(date) = date {
            headers.insert(DATE, HeaderValue::from_static(date));
        }
        let status = StatusCode::from_u16(status).expect("status");
        Reply {
            status,
            headers,
            body: Bytes::from_static(body.as_bytes()),
            truncated: false,
            from: "http://a/b".into(),
            secrets: Default::default(),
        }
    }

    fn at(seconds: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(seconds)
    }

    #[test]
    fn takes_over_the_destinations_time_when_refused_for_ours() {
        for ours in [DATE_SECONDS - 3600, DATE_SECONDS + 3600] {
            let clock = Clock::default();
            let refused = reply(403, Some(DATE_TEXT), "<Code>RequestTimeTooSkewed</Code>");
            assert!(clock.learn(&refused, at(ours), at(ours)));
            assert_eq!(clock.now(at(ours)), at(DATE_SECONDS));
            // The second refusal in a row must have another reason.
            assert!(!clock.learn(&refused, clock.now(at(ours)), at(ours)));
            // One that was under way at the same time has the same.
            assert!(clock.learn(&refused, at(ours), at(ours)));
            assert_eq!(clock.now(at(ours)), at(DATE_SECONDS));
        }
    }

    #[test]
    fn learns_from_refusals_only() {
        let far = at(DATE_SECONDS + 3600);
        let cases = [
            (reply(403, Some(DATE_TEXT), "no code at all"), far, true),
            (reply(400, Some(DATE_TEXT), "Signature expired: 2015 is now earlier"), far, true),
            (reply(400, Some(DATE_TEXT), "out of order sample"), far, false),
            (reply(200, Some(DATE_TEXT), "RequestExpired"), far, false),
            (reply(503, Some(DATE_TEXT), "RequestExpired"), far, false),
            (reply(403, None, "RequestTimeTooSkewed"), far, false),
            (reply(403, Some("yesterday"), "RequestTimeTooSkewed"), far, false),
            (reply(403, Some(DATE_TEXT), "RequestTimeTooSkewed"), at(DATE_SECONDS + 60), false),
            (reply(403, Some(DATE_TEXT), "RequestTimeTooSkewed"), at(DATE_SECONDS + 61), true),
        ];
        for (reply, ours, expected) in cases {
            assert_eq!(Clock::default().learn(&reply, ours, ours), expected, "{reply:?}");
        }
    }

    #[test]
    fn knows_when_credentials_have_expired() {
        let mut by_header = reply(403, None, "");
        by_header.headers.insert("x-amzn-errortype", HeaderValue::from_static("ExpiredTokenException:http://x"));
        assert!(credentials_expired(&by_header));
        by_header.status = StatusCode::BAD_REQUEST;
        assert!(credentials_expired(&by_header));
        assert!(credentials_expired(&reply(400, None, "<Error><Code>ExpiredToken</Code></Error>")));
        let json = r#"{"__type":"com.amazon.coral.service#ExpiredTokenException","message":"it is over"}"#;
        assert!(credentials_expired(&reply(400, None, json)));
        assert!(credentials_expired(&reply(403, None, "The security token included in the request is expired")));
        assert!(!credentials_expired(&reply(403, None, "AccessDenied")));
        // Telemetry that the destination does not take and repeats.
        for told in [
            r#"out of order sample: {exception_type="ExpiredTokenException"}"#,
            r#"{"message":"out of order sample: {x=\"<Code>ExpiredToken</Code>\"}"}"#,
            r#"{"__type":"ValidationException","message":"ExpiredToken"}"#,
        ] {
            assert!(!credentials_expired(&reply(400, None, told)), "{told}");
        }
        assert!(!credentials_expired(&reply(500, None, "ExpiredToken")));
    }

    #[test]
    fn knows_when_a_key_is_unknown() {
        let aps = r#"{"message":"The security token included in the request is invalid."}"#;
        for body in [aps, "<Code>InvalidClientTokenId</Code>", "InvalidAccessKeyId", "UnrecognizedClientException: no"]
        {
            let refused = reply(403, None, body);
            assert!(key_is_unknown(&refused) && !credentials_expired(&refused), "{body}");
        }
        assert!(!key_is_unknown(&reply(403, None, "The security token included in the request is expired")));
        assert!(!key_is_unknown(&reply(403, None, "AccessDenied")));
        assert!(!key_is_unknown(&reply(400, None, "sample {x=\"InvalidAccessKeyId\"}")));
    }
}
