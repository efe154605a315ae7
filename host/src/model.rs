//! What flows: a batch of OTLP bytes, whose it is, and why a step may refuse it.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
pub use sluice_wire::Signal;

use crate::limits::Permit;

/// The path of the gRPC method that takes a signal.
pub(crate) const fn grpc_method(signal: Signal) -> &'static str {
    match signal {
        Signal::Traces => "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
        Signal::Metrics => "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export",
        Signal::Logs => "/opentelemetry.proto.collector.logs.v1.LogsService/Export",
    }
}

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

/// What a batch takes beside its bytes and headers: itself, its context and permit, its place in a queue. A request may
/// have one record of some bytes, and there may be very many of them.
pub const BATCH_OVERHEAD_BYTES: usize = 512;

impl Batch {
    /// What a batch with these bytes takes.
    fn footprint(&self, bytes: &Bytes) -> usize {
        bytes.len() + self.context.header_bytes() + BATCH_OVERHEAD_BYTES
    }

    /// One batch out of several of one signal and tenant, in their order: a copy, with a permit of its own. None of none.
    pub fn join(mut parts: Vec<Self>) -> Option<Self> {
        if parts.len() < 2 {
            return parts.pop();
        }
        let first = parts.first()?;
        let bytes = Bytes::from(sluice_wire::concat(&parts.iter().map(|part| part.bytes.as_ref()).collect::<Vec<_>>()));
        let received = parts.iter().map(|part| part.context.received).min()?;
        Some(Self {
            signal: first.signal,
            items: parts.iter().map(|part| part.items).sum(),
            tenant: first.tenant.clone(),
            context: Arc::new(Context { received, headers: first.context.headers.clone() }),
            permit: Arc::new(first.permit.beyond(first.footprint(&bytes))),
            bytes,
        })
    }

    /// The same with other bytes and so many items. Without a permit that covers them it gets one.
    pub(crate) fn rewritten(&self, bytes: Bytes, items: u64, permit: Option<Arc<Permit>>) -> Self {
        let permit = permit.unwrap_or_else(|| Arc::new(self.permit.beyond(self.footprint(&bytes))));
        Self { bytes, items, permit, ..self.clone() }
    }

    /// Slices of at most so many items and bytes, each cut between records; 0 is no limit. A record that is larger
    /// stands alone. Each slice is a copy with a permit of its own: one that stays for long keeps no other's memory.
    pub fn cut(self, max_items: u64, max_bytes: u64) -> Vec<Self> {
        let within = |size: u64, max: u64| max == 0 || size <= max;
        if within(self.items, max_items) && within(self.bytes.len() as u64, max_bytes) {
            return vec![self];
        }
        let limit = |max: u64| usize::try_from(max).unwrap_or(usize::MAX);
        let pieces = sluice_wire::split(self.signal, &self.bytes, limit(max_items), limit(max_bytes));
        let slice = |piece: sluice_wire::Piece<'_>| {
            self.rewritten(Bytes::from(piece.bytes.into_owned()), u64::from(piece.records), None)
        };
        pieces.into_iter().map(slice).collect()
    }
}

/// The name of a tenant; cheap to clone. Telemetry that nobody has claimed belongs to the tenant `default`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TenantId(Arc<str>);

impl TenantId {
    /// What stands in place of the tenant for all that have no account of their own; no tenant has this name.
    pub const OTHERS: &str = "(other)";

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

impl Context {
    /// What the headers take.
    pub fn header_bytes(&self) -> usize {
        self.headers.iter().map(|(name, value)| name.len() + value.len()).sum()
    }
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
    /// Not this time: something failed that may work another time.
    #[error("{reason}")]
    Failed {
        /// What failed.
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
