//! Why a request is turned away, and what that is in gRPC and in HTTP.

use std::time::Duration;

use http::StatusCode;
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt};

use super::counters::Cause;
use crate::decode::DecodeError;
use crate::model::Refusal;

/// When a peer may try again after the memory budget was exhausted: long enough for queues to move.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// Messages travel in headers, which clients limit to a few KiB in all.
const MESSAGE_CHARS: usize = 512;

/// A request that did not get through.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Rejection {
    /// Not now.
    #[error("{reason}")]
    Busy { reason: String, retry_after: Duration, by_pipeline: bool },
    /// Over a size limit.
    #[error("{0}")]
    TooLarge(String),
    /// Not what it claims to be.
    #[error("{0}")]
    Invalid(String),
    /// A pipeline failed, and may work another time.
    #[error("{reason}")]
    Failed { reason: String, retry_after: Duration },
    /// A pipeline refuses it for good.
    #[error("{0}")]
    Refused(String),
    /// Compressed in a way that nobody here knows.
    #[error("{0}")]
    Encoding(String),
    /// Against the rules of gRPC framing or HTTP.
    #[error("{0}")]
    Framing(String),
    /// A unary method takes exactly one message.
    #[error("{0}")]
    Cardinality(String),
    /// No such service, method, or pipeline for it.
    #[error("{0}")]
    Unknown(String),
    /// The request, or its time, ran out.
    #[error("{0}")]
    Timeout(String),
    /// The peer went away.
    #[error("{0}")]
    Aborted(String),
    /// Shutting down.
    #[error("shutting down")]
    Stopping,
}

impl Rejection {
    /// The memory budget is exhausted.
    pub(crate) fn over_budget() -> Self {
        Self::Busy { reason: "the memory budget is exhausted".into(), retry_after: RETRY_AFTER, by_pipeline: false }
    }

    /// Something that could not be had if there were nobody else.
    pub(crate) fn over_whole_budget(what: impl std::fmt::Display) -> Self {
        Self::TooLarge(format!("{what} exceeds the whole memory budget"))
    }

    /// Bytes that are not what they claim to be.
    pub(crate) fn invalid(reason: impl Into<String>) -> Self {
        Self::Invalid(reason.into())
    }

    /// The label under which the request is counted; none where its items are counted instead.
    pub(crate) fn cause(&self) -> Option<Cause> {
        match self {
            Self::Busy { by_pipeline: true, .. } | Self::Failed { .. } | Self::Refused(_) => None,
            Self::Busy { .. } => Some(Cause::Budget),
            Self::TooLarge(_) => Some(Cause::TooLarge),
            Self::Invalid(_) => Some(Cause::Invalid),
            Self::Encoding(_) | Self::Framing(_) | Self::Cardinality(_) | Self::Unknown(_) => Some(Cause::Protocol),
            Self::Timeout(_) => Some(Cause::Timeout),
            Self::Aborted(_) => Some(Cause::Aborted),
            Self::Stopping => Some(Cause::Stopping),
        }
    }

    fn code(&self) -> Code {
        match self {
            Self::Busy { .. } | Self::TooLarge(_) => Code::ResourceExhausted,
            Self::Invalid(_) => Code::InvalidArgument,
            Self::Framing(_) | Self::Refused(_) => Code::Internal,
            Self::Encoding(_) | Self::Cardinality(_) | Self::Unknown(_) => Code::Unimplemented,
            Self::Timeout(_) => Code::DeadlineExceeded,
            Self::Aborted(_) => Code::Cancelled,
            Self::Failed { .. } | Self::Stopping => Code::Unavailable,
        }
    }

    /// The HTTP status (OTLP specification, "OTLP/HTTP Response").
    pub(crate) fn http_status(&self) -> StatusCode {
        match self {
            Self::TooLarge(_) => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Invalid(_) | Self::Encoding(_) | Self::Framing(_) | Self::Cardinality(_) => StatusCode::BAD_REQUEST,
            Self::Unknown(_) => StatusCode::NOT_FOUND,
            Self::Refused(_) => StatusCode::INTERNAL_SERVER_ERROR,
            // Not 408, and not 429 either: some clients of OTLP don't send it again.
            Self::Busy { .. } | Self::Timeout(_) | Self::Aborted(_) | Self::Failed { .. } | Self::Stopping => {
                StatusCode::SERVICE_UNAVAILABLE
            }
        }
    }

    /// When to try again, where that makes sense.
    pub(crate) fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Busy { retry_after, .. } | Self::Failed { retry_after, .. } => Some(*retry_after),
            Self::Timeout(_) | Self::Aborted(_) | Self::Stopping => Some(RETRY_AFTER),
            _ => None,
        }
    }

    /// The gRPC status; its details hold `RetryInfo` where it makes sense to try again, and only there: clients
    /// repeat `RESOURCE_EXHAUSTED` just in that case.
    pub(crate) fn status(&self) -> Status {
        // Messages quote paths and names that the peer chose.
        let message: String = self.to_string().chars().take(MESSAGE_CHARS).collect();
        match self.retry_after() {
            Some(delay) => Status::with_error_details(self.code(), message, ErrorDetails::with_retry_info(Some(delay))),
            None => Status::new(self.code(), message),
        }
    }
}

impl From<DecodeError> for Rejection {
    fn from(error: DecodeError) -> Self {
        match error {
            DecodeError::Invalid(reason) => Self::invalid(reason),
            DecodeError::TooLarge { .. } | DecodeError::OverWholeBudget { .. } => Self::TooLarge(error.to_string()),
            DecodeError::OverBudget => Self::over_budget(),
        }
    }
}

impl From<Refusal> for Rejection {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Busy { reason, retry_after } => Self::Busy { reason, retry_after, by_pipeline: true },
            Refusal::Failed { reason, retry_after } => Self::Failed { reason, retry_after },
            Refusal::Permanent { reason } => Self::Refused(reason),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cuts_what_it_quotes() {
        let status = Rejection::Unknown("\u{e9}".repeat(100_000)).status();
        assert_eq!(status.message().chars().count(), MESSAGE_CHARS);
    }

    #[test]
    fn says_retry_only_where_it_helps() {
        let failed = Rejection::Failed { reason: "x".into(), retry_after: RETRY_AFTER };
        let late = [Rejection::Timeout("x".into()), Rejection::Aborted("x".into())];
        let again = [Rejection::over_budget(), failed, Rejection::Stopping].into_iter().chain(late);
        let never = [
            Rejection::TooLarge("x".into()),
            Rejection::invalid("x"),
            Rejection::Refused("x".into()),
            Rejection::Encoding("x".into()),
            Rejection::Framing("x".into()),
            Rejection::Cardinality("x".into()),
            Rejection::Unknown("x".into()),
        ];
        for rejection in again {
            let info = rejection.status().get_details_retry_info().expect("retry info");
            assert_eq!(info.retry_delay, rejection.retry_after(), "{rejection:?}");
        }
        for rejection in never {
            assert!(rejection.status().get_details_retry_info().is_none(), "{rejection:?}");
            assert!(!matches!(rejection.http_status().as_u16(), 429 | 502..=504), "{rejection:?}");
        }
    }
}
