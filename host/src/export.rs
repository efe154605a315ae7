//! Exporters: what each of them has to say, and the machinery that they share.
//!
//! A batch goes into an exporter's bounded queue, is encoded into requests, and every request is sent until it is
//! delivered, refused for good, or too old.

use std::fmt::Display;
use std::future::Future;
use std::time::Duration;

use bytes::Bytes;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC};

use crate::model::Batch;

mod blocking;
pub mod client;
pub mod dead_letter;
pub mod debug;
mod divisible;
mod echo;
pub mod otlp_grpc;
pub mod otlp_http;
pub mod otlp_json;
pub(crate) mod otlp_refusal;
pub mod file;
pub(crate) mod repeated;
pub(crate) mod partial_success;
pub mod opensearch;
pub mod queue;
mod recent;
pub mod remote_write;
pub mod report;
pub mod retry;
pub mod rolling_file;
pub mod sign;
pub(crate) mod text;
mod writer;

#[cfg(test)]
pub(crate) mod testing;

/// What is escaped in queries and forms: all but the unreserved characters of RFC 3986.
pub(crate) const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// A destination that batches are encoded for and sent to.
pub trait Exporter: Send + Sync + 'static {
    /// What is sent in one go. A retry sends the same bytes.
    type Request: Send + 'static;

    /// Encodes a batch into requests, each within the destination's limits: its items from number `from` on, as many as
    /// take a bounded amount of memory.
    fn encode(&self, batch: &Batch, from: u64) -> Encoded<Self::Request>;

    /// Sends one request, once.
    fn send(&self, request: Self::Request) -> impl Future<Output = Sent<Self::Request>> + Send;
}

/// Why an exporter can't be made from its settings.
#[derive(Debug, thiserror::Error)]
#[error("{key}: {reason}")]
pub struct SetupError {
    /// Below the exporter's own block, such as `tls::ca_file`.
    key: String,
    reason: String,
}

impl SetupError {
    pub(crate) fn new(key: impl Into<String>, reason: impl Display) -> Self {
        Self { key: key.into(), reason: reason.to_string() }
    }

    /// The same of a block that stands in another one.
    pub(crate) fn within(self, block: &str) -> Self {
        Self { key: format!("{block}::{}", self.key), ..self }
    }
}

/// A batch, encoded.
#[derive(Debug)]
pub struct Encoded<R> {
    /// The requests, in the order in which they have to arrive.
    pub requests: Vec<R>,
    /// Items that are on purpose in none of the requests.
    pub dropped: Vec<Dropped>,
    /// The first item that is in neither, for the time when all of the requests are sent.
    pub next: Option<u64>,
}

/// Items that can't be expressed for a destination.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dropped {
    /// How many items of the batch.
    pub items: u64,
    /// A metric label: lower case with underscores, from a fixed set.
    pub reason: &'static str,
    /// For the log: which, and what to do about it.
    pub detail: String,
}

/// What became of a request. Every item of it stands in exactly one of the three.
#[derive(Debug)]
pub struct Sent<R> {
    /// Items that the destination has.
    pub delivered: u64,
    /// Items that it will never take.
    pub refused: Vec<DeadLetter>,
    /// What has to be sent again: the same request, the part of it that failed, or its halves.
    pub again: Option<Again<R>>,
}

impl<R> Encoded<R> {
    /// All of the batch is in one request.
    pub fn one(request: R) -> Self {
        Self { requests: vec![request], dropped: Vec::new(), next: None }
    }
}

impl<R> Sent<R> {
    /// The destination has so many items, and there are no others.
    pub fn delivered(items: u64) -> Self {
        Self { delivered: items, refused: Vec::new(), again: None }
    }

    /// The destination will never take any of it.
    pub fn refused(letter: DeadLetter) -> Self {
        Self { refused: vec![letter], ..Self::delivered(0) }
    }

    /// Nothing was delivered, and all of it has to be sent again.
    pub fn again(requests: Vec<(R, u64)>, after: Option<Duration>, reason: String) -> Self {
        Self { again: Some(Again { requests, after, reason }), ..Self::delivered(0) }
    }
}

/// Items that a destination refused for good.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeadLetter {
    /// How many items of the batch.
    pub items: u64,
    /// The destination's own words, at most 1 KiB of them.
    pub reason: String,
    /// What was refused, where it is not the whole batch.
    pub document: Option<Document>,
}

/// Something that was refused, worth keeping.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Document {
    /// As it was sent.
    Sent(Bytes),
    /// As it was sent, and to which index and under which id it was to be stored.
    Indexed {
        /// The document.
        document: Bytes,
        /// Its index.
        index: String,
        /// Its id, if it was sent with one.
        id: Option<String>,
    },
    /// As an OTLP export request.
    Otlp(Bytes),
}

/// Requests that have to be sent again: one after a while, or at once the parts of one that was too large.
#[derive(Debug)]
pub struct Again<R> {
    /// The requests, with the number of items in each.
    pub requests: Vec<(R, u64)>,
    /// When at the earliest, if the destination said so; otherwise the back-off decides.
    pub after: Option<Duration>,
    /// Why, in the destination's words.
    pub reason: String,
}
