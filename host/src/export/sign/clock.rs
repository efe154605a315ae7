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

    /// Sets the clock by a reply that refuses a signature; false if the time is not why.
    pub(super) fn learn(&self, reply: &Reply, ours: SystemTime) -> bool {
        let named = || SKEW_CODES.iter().any(|code| says(reply, code));
        if reply.status != StatusCode::FORBIDDEN && !(reply.status.is_client_error() && named()) {
            return false;
        }
        let date = reply.headers.get(DATE).and_then(|date| http_date(date.to_str().ok()?));
        let Some(ahead) = date.and_then(|theirs| Some(unix_seconds(theirs)? - unix_seconds(ours)?)) else {
            return false;
        };
        if (ahead - self.ahead_seconds.load(Ordering::Relaxed)).abs() <= TOLERANCE_SECONDS {
            return false;
        }
        self.ahead_seconds.store(ahead, Ordering::Relaxed);
        tracing::warn!(clock_behind_seconds = ahead, "this machine's clock is wrong; signing with the destination's");
        true
    }
}

/// Whether a reply refuses temporary credentials because their time is over.
pub(super) fn credentials_expired(reply: &Reply) -> bool {
    reply.status.is_client_error() && EXPIRED_CODES.iter().any(|code| says(reply, code))
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
        Reply { status, headers, body: Bytes::from_static(body.as_bytes()), truncated: false }
    }

    fn at(seconds: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(seconds)
    }

    #[test]
    fn takes_over_the_destinations_time_when_refused_for_ours() {
        for ours in [DATE_SECONDS - 3600, DATE_SECONDS + 3600] {
            let clock = Clock::default();
            assert!(clock.learn(&reply(403, Some(DATE_TEXT), "<Code>RequestTimeTooSkewed</Code>"), at(ours)));
            assert_eq!(clock.now(at(ours)), at(DATE_SECONDS));
            // The second refusal in a row must have another reason.
            assert!(!clock.learn(&reply(403, Some(DATE_TEXT), "RequestTimeTooSkewed"), at(ours)));
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
            assert_eq!(Clock::default().learn(&reply, ours), expected, "{reply:?}");
        }
    }

    #[test]
    fn knows_when_credentials_have_expired() {
        let mut by_header = reply(403, None, "");
        by_header.headers.insert("x-amzn-errortype", HeaderValue::from_static("ExpiredTokenException:http://x"));
        assert!(credentials_expired(&by_header));
        assert!(credentials_expired(&reply(400, None, "<Code>ExpiredToken</Code>")));
        assert!(!credentials_expired(&reply(403, None, "AccessDenied")));
        assert!(!credentials_expired(&reply(500, None, "ExpiredToken")));
    }
}
