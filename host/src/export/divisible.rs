//! What becomes of requests that can be cut in halves, those of remote write and `_bulk`, by the answer to them.

use std::time::{Duration, SystemTime};

use http::StatusCode;

use super::client::{Reply, SendError};
use super::{DeadLetter, Sent};

/// A request that can be cut in halves.
pub(crate) trait Divisible: Sized {
    /// Items of the batch in it.
    fn items(&self) -> u64;

    /// Two requests with about half of it each; the request itself if it can't be cut.
    fn halves(self) -> Result<[Self; 2], Self>;

    /// All of it, as refused for good.
    fn letters(&self, reason: &str) -> Vec<DeadLetter>;
}

/// After an answer that is no success.
pub(crate) fn answered<R: Divisible>(request: R, reply: &Reply) -> Sent<R> {
    let reason = reply.reason();
    match reply.status {
        StatusCode::PAYLOAD_TOO_LARGE => match request.halves() {
            Ok(halves) => again(halves.into(), Some(Duration::ZERO), reason),
            Err(request) => refused(&request, &reason),
        },
        _ if reply.may_pass() => again(vec![request], reply.retry_after(SystemTime::now()), reason),
        // A part of it may have been taken, so the same request must not be sent again.
        _ => refused(&request, &reason),
    }
}

/// Without an answer.
pub(crate) fn failed<R: Divisible>(request: R, error: &SendError) -> Sent<R> {
    match error.is_retryable() {
        true => again(vec![request], None, error.to_string()),
        false => refused(&request, &error.to_string()),
    }
}

/// All of them have to be sent again.
pub(crate) fn again<R: Divisible>(requests: Vec<R>, after: Option<Duration>, reason: String) -> Sent<R> {
    let requests = requests.into_iter().map(|request| {
        let items = request.items();
        (request, items)
    });
    Sent::again(requests.collect(), after, reason)
}

/// None of it will ever be taken.
pub(crate) fn refused<R: Divisible>(request: &R, reason: &str) -> Sent<R> {
    Sent { refused: request.letters(reason), ..Sent::delivered(0) }
}
