//! What a receiver counts: items by their fate, and requests that never became items.

use prometheus::IntCounter;

use crate::model::Signal;
use crate::telemetry::Metrics;
use crate::telemetry::metrics::Received;

/// How requests come in; the `transport` label.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// gRPC over HTTP/2.
    Grpc,
    /// HTTP with protobuf or JSON bodies.
    Http,
}

impl Transport {
    /// Its value of the `transport` label.
    pub fn label(self) -> &'static str {
        match self {
            Self::Grpc => "grpc",
            Self::Http => "http",
        }
    }
}

/// Why a request was turned away before its items were known; the `reason` label.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// The memory budget is exhausted.
    Budget,
    /// It exceeds a size limit.
    TooLarge,
    /// It is not valid OTLP, JSON or compressed data.
    Invalid,
    /// It breaks the rules of gRPC or HTTP, or asks for what is not there.
    Protocol,
    /// It came too slowly.
    Timeout,
    /// The peer went away before its end.
    Aborted,
    /// The process is shutting down.
    Stopping,
}

impl Cause {
    /// All of them, in the order of [`SignalCounters::rejected_requests`].
    pub const ALL: [Self; 7] =
        [Self::Budget, Self::TooLarge, Self::Invalid, Self::Protocol, Self::Timeout, Self::Aborted, Self::Stopping];

    /// Its value of the `reason` label.
    pub fn label(self) -> &'static str {
        match self {
            Self::Budget => "memory_budget",
            Self::TooLarge => "too_large",
            Self::Invalid => "invalid",
            Self::Protocol => "protocol",
            Self::Timeout => "timeout",
            Self::Aborted => "aborted",
            Self::Stopping => "shutdown",
        }
    }
}

/// The counters of one signal on one transport.
#[derive(Clone, Debug)]
pub struct SignalCounters {
    /// Items that the pipeline took.
    pub accepted: IntCounter,
    /// Items that the pipeline refused, for now or for good.
    pub refused: IntCounter,
    /// Requests turned away before their items were known, in the order of [`Cause::ALL`].
    pub rejected_requests: [IntCounter; Cause::ALL.len()],
}

impl SignalCounters {
    /// The requests that were turned away for a cause.
    pub fn rejected(&self, cause: Cause) -> &IntCounter {
        &self.rejected_requests[cause as usize]
    }
}

/// All counters of a receiver.
#[derive(Clone, Debug)]
pub struct Counters {
    by_transport: [[SignalCounters; 3]; 2],
}

impl Counters {
    /// Makes the counters of each transport and signal, for example from the vectors of a registry.
    pub fn new(mut counters: impl FnMut(Transport, Signal) -> SignalCounters) -> Self {
        let mut of = |transport| Signal::ALL.map(|signal| counters(transport, signal));
        Self { by_transport: [of(Transport::Grpc), of(Transport::Http)] }
    }

    /// Takes the counters of a receiver from the process's metrics.
    pub fn register(metrics: &Metrics, receiver: &str) -> Self {
        Self::new(|transport, signal| {
            let transport = transport.label();
            let items = |what| metrics.received(what, signal, receiver, transport);
            let rejected = |cause: Cause| {
                metrics.rejected_requests.with_label_values(&[receiver, transport, signal.name(), cause.label()])
            };
            // Shown as in the collector, whose receivers can fail by themselves.
            items(Received::Failed);
            SignalCounters {
                accepted: items(Received::Accepted),
                refused: items(Received::Refused),
                rejected_requests: Cause::ALL.map(rejected),
            }
        })
    }

    /// The counters of a signal on a transport.
    pub fn of(&self, transport: Transport, signal: Signal) -> &SignalCounters {
        &self.by_transport[transport as usize][signal as usize]
    }
}
