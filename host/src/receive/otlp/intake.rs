//! From a received message to the pipeline: decompress, validate, count, hand over.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use bytes::Bytes;
use http::{HeaderMap, HeaderName};
use prometheus::IntCounter;
use sluice_wire::Summary;
use tokio::sync::watch;

use super::Deps;
use super::unreadable::Declared;
use crate::decode::compression::{self, Encoding};
use crate::limits::{Budget, Permit};
use crate::model::{BATCH_OVERHEAD_BYTES, Batch, Context, Signal, TenantId};
use crate::pace::Pace;
use crate::receive::Consume;
use crate::receive::connection::Phase;
use crate::receive::counters::{Cause, Counters, Transport};
use crate::receive::rejection::Rejection;

/// How many resources, scopes and metrics a request may have beside three for each record.
const MOST_EMPTY_CONTAINERS: u64 = 10_000;

/// What a request takes while it is under way, beside its headers and its body: its stream and its task.
pub(super) const REQUEST_BYTES: usize = 8 << 10;
/// What a header takes beside its name and value; in HTTP/2 it may come as a single byte.
const HEADER_BYTES: usize = 100;

/// What both protocols do with a message once it is there.
pub(super) struct Intake {
    pub(super) budget: Budget,
    consumers: [Option<Arc<dyn Consume>>; 3],
    headers: Vec<HeaderName>,
    counters: Arc<Counters>,
    over_budget: Mutex<Pace>,
}

impl Intake {
    pub(super) fn new(deps: Deps) -> Self {
        let Deps { budget, consumers, headers, counters, .. } = deps;
        Self { budget, consumers, headers, counters, over_budget: Mutex::default() }
    }

    /// The consumer of a signal.
    ///
    /// # Errors
    /// No pipeline takes the signal.
    pub(super) fn consumer(&self, signal: Signal) -> Result<&Arc<dyn Consume>, Rejection> {
        let unknown = || Rejection::Unknown(format!("no pipeline takes {} from this receiver", signal.name()));
        self.consumers[signal as usize].as_ref().ok_or_else(unknown)
    }

    /// Counts a request that was turned away before its items were known.
    pub(super) fn count(&self, transport: Transport, signal: Signal, rejection: &Rejection) {
        if let Some(cause) = rejection.cause() {
            self.counters.of(transport, signal).rejected(cause).inc();
            if cause == Cause::Budget {
                self.warn_of_budget();
            }
        }
    }

    /// Senders hear of each such request, and whoever runs the process now and then.
    fn warn_of_budget(&self) {
        let due = self.over_budget.lock().unwrap_or_else(PoisonError::into_inner).add(1);
        if let Some(requests) = due {
            tracing::warn!(
                requests,
                used_bytes = self.budget.used_bytes(),
                limit_bytes = self.budget.limit_bytes(),
                "the memory budget is exhausted, senders are told to try again; see whether exporters fail and how full \
                 their queues are, else raise the limit of memory_limiter or the container's memory"
            );
        }
    }

    /// Validates an encoded request and hands it to its pipeline. One without items is fine, and goes nowhere.
    pub(super) async fn take(
        &self,
        declared: Declared,
        signal: Signal,
        headers: Vec<(String, String)>,
        bytes: Bytes,
        mut permit: Permit,
    ) -> Result<(), Rejection> {
        let consumer = self.consumer(signal)?;
        let summary = sluice_wire::validate(signal, &bytes)
            .and_then(Summary::unambiguous)
            .map_err(|error| Rejection::invalid(declared.explain(signal, &bytes, &error)))?;
        refuse_empty_containers(&summary)?;
        let items = u64::from(summary.records);
        if items == 0 {
            return Ok(());
        }
        let context = Context { received: SystemTime::now(), headers };
        // They stay with the batch.
        let more = context.header_bytes() + BATCH_OVERHEAD_BYTES;
        if more > permit.most_more() {
            return Err(Rejection::over_whole_budget(format!("a request of {} bytes", bytes.len())));
        }
        if !permit.try_grow(more) {
            return Err(Rejection::over_budget());
        }
        let batch = Batch {
            signal,
            bytes,
            items,
            tenant: TenantId::default(),
            context: Arc::new(context),
            permit: Arc::new(permit),
        };
        let counters = self.counters.of(declared.transport, signal);
        let mut counted = Counted { items, by: &counters.refused };
        let result = consumer.consume(batch).await;
        if result.is_ok() {
            counted.by = &counters.accepted;
        }
        Ok(result?)
    }

    /// A permit for a request and its headers, which are there until it is answered.
    pub(super) fn hold(&self, headers: &HeaderMap) -> Result<Permit, Rejection> {
        let texts: usize = headers.iter().map(|(name, value)| name.as_str().len() + value.len()).sum();
        let bytes = REQUEST_BYTES + texts + headers.len() * HEADER_BYTES;
        self.budget.try_take(bytes).ok_or_else(Rejection::over_budget)
    }

    /// Picks the headers that somebody asked for. What is no text in a value stands as U+FFFD: a stage must be able to
    /// tell a value that makes no sense from none.
    pub(super) fn metadata(&self, headers: &HeaderMap) -> Vec<(String, String)> {
        let mut kept = Vec::new();
        for name in &self.headers {
            for value in headers.get_all(name) {
                kept.push((name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned()));
            }
        }
        kept
    }
}

/// Counts the items of a request in the end, even if its sender leaves before.
struct Counted<'a> {
    items: u64,
    by: &'a IntCounter,
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.by.inc_by(self.items);
    }
}

/// A resource, scope or metric without records takes two bytes to send, and many times as much to look at.
fn refuse_empty_containers(summary: &Summary) -> Result<(), Rejection> {
    let containers = [summary.resources, summary.scopes, summary.metrics].map(u64::from).iter().sum::<u64>();
    let most = 3 * u64::from(summary.records) + MOST_EMPTY_CONTAINERS;
    match containers <= most {
        true => Ok(()),
        false => Err(Rejection::invalid(format!(
            "{containers} resources, scopes and metrics for {} records: at most three for each and {MOST_EMPTY_CONTAINERS} \
             are taken",
            summary.records
        ))),
    }
}

/// Decompresses a body; the permit covers both forms while both exist, then just the result.
pub(super) fn unpack(
    encoding: Encoding,
    bytes: Bytes,
    mut permit: Permit,
    limit_bytes: usize,
) -> Result<(Bytes, Permit), Rejection> {
    if encoding == Encoding::Identity {
        return Ok((bytes, permit));
    }
    let unpacked = compression::decompress(encoding, &bytes, limit_bytes, &mut permit)?;
    drop(bytes);
    permit.shrink_to(unpacked.capacity());
    Ok((Bytes::from(unpacked), permit))
}

/// Runs a request unless the process ends: refuses one that comes during shutdown, and gives up at its deadline.
pub(super) async fn unless_ending<T>(
    mut phase: watch::Receiver<Phase>,
    work: impl Future<Output = Result<T, Rejection>>,
) -> Result<T, Rejection> {
    if *phase.borrow() != Phase::Serving {
        return Err(Rejection::Stopping);
    }
    tokio::select! {
        biased;
        result = work => result,
        _ = phase.wait_for(|phase| *phase == Phase::Ending) => Err(Rejection::Stopping),
    }
}
