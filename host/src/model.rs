//! What flows: a batch of OTLP bytes, whose it is, and why a step may refuse it.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
pub use sluice_wire::Signal;

use crate::limits::Permit;

/// One validated OTLP export request on its way through the process.
///
/// A clone shares the bytes and the memory permit, so fanning out costs no copy.
#[derive(Clone, Debug)]
pub struct Batch {
    /// Traces, metrics or logs.
    pub signal: Signal,
    /// An encoded `Export…ServiceRequest` that `sluice_wire::validate` accepted.
    pub bytes: Bytes,
    /// Spans, log records or data points in it.
    pub items: u64,
    /// Whose telemetry it is.
    pub tenant: TenantId,
    /// What is known about the request that it came with.
    pub context: Arc<Context>,
    /// The memory that it occupies; given back when the last clone ends.
    pub permit: Arc<Permit>,
}

/// The name of a tenant; cheap to clone. Telemetry that nobody has claimed belongs to the tenant `default`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TenantId(Arc<str>);

impl TenantId {
    /// Names a tenant.
    pub fn new(name: &str) -> Self {
        Self(Arc::from(name))
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Default for TenantId {
    fn default() -> Self {
        Self::new("default")
    }
}

impl std::fmt::Display for TenantId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// What is known about the request that a batch came with.
#[derive(Clone, Debug)]
pub struct Context {
    /// When the first of its requests was received.
    pub received: SystemTime,
    /// Headers (gRPC metadata) that some stage reads: lower-case names and values, nothing else.
    pub headers: Vec<(String, String)>,
}

/// Why a step did not take a batch. The batch is still the sender's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Not now: try again after a while.
    #[error("{reason}")]
    Busy {
        /// What is exhausted.
        reason: String,
        /// When it makes sense to try again.
        retry_after: Duration,
    },
    /// Never: sending the same again is of no use.
    #[error("{reason}")]
    Permanent {
        /// What is wrong with it.
        reason: String,
    },
}
