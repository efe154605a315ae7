//! The end of a pipeline: hands every batch to the queue of every exporter, so that a full queue stalls no other.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::future::join_all;
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout_at};

use crate::export::queue::{Awaited, Outcome, Queue};
use crate::export::report::Report;
use crate::export::report::reasons::{CANCELLED, SHUTDOWN};
use crate::model::{Batch, Refusal, Signal, TenantId};
use crate::pace::{Pace, Rest};
use crate::telemetry::metrics::Exported;
use crate::telemetry::{Entry, Ledger, Telemetry};
use offer::Offer;

mod offer;

/// How long a request waits for room in queues that make senders wait: senders give up after five or ten seconds, and send
/// it again to all.
const PATIENCE: Duration = Duration::from_secs(3);
/// When a sender may try again after a full queue.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// An exporter as pipelines see it.
pub struct Destination {
    /// Its id in the configuration.
    pub id: String,
    /// What waits for it.
    pub queue: Queue,
    /// Whether a sender waits when the queue is full, instead of being refused.
    pub block_on_overflow: bool,
    /// Whether a sender waits until the destination has answered.
    pub wait_for_result: bool,
    /// Since when nothing has found room in its queue.
    full_since: Mutex<Option<Instant>>,
    /// What was said of its full queue.
    said: Mutex<Said>,
}

/// When it was last said what became of items for which a queue had no room.
#[derive(Default)]
struct Said {
    dropped: Pace,
    refused: Pace,
    closed: Pace,
}

/// The exporters of one pipeline.
#[derive(Clone)]
pub struct FanOut {
    destinations: Arc<[Arc<Destination>]>,
    telemetry: Telemetry,
}

impl FanOut {
    /// Hands on to these; a configuration names at least one.
    pub fn new(destinations: Vec<Arc<Destination>>, telemetry: Telemetry) -> Self {
        Self { destinations: destinations.into(), telemetry }
    }

    /// Hands the parts of one request to all exporters, and waits for the answers of those that are to be waited for.
    /// Where there are none it is accepted when one exporter has it; copies that found their queue full are dropped, and
    /// counted, unless the sender is to try again. `debt` is what has to be booked if no exporter takes the request; those
    /// that do book its end themselves.
    ///
    /// # Errors
    /// Refuses when no exporter has room, and what fails at one that is waited for: rather what may work later than what
    /// must not be sent again. What others have comes to them twice then, which is better than lost here.
    pub(super) async fn deliver(&self, batches: Vec<Batch>, debt: &mut Debt<'_>) -> Result<(), Refusal> {
        if batches.is_empty() {
            debt.settle();
            return Ok(());
        }
        let until = Instant::now() + PATIENCE;
        let mut offer = Offer::new(self, &batches, true);
        if offer.taken.is_empty() {
            let first = offer.wait_for_first(|destination| destination.block_on_overflow);
            let _ = timeout_at(until, first).await;
        }
        if offer.taken.is_empty() {
            self.refuse(&batches, &offer.full);
            return Err(no_room(&offer.full));
        }
        debt.settle();
        offer.wait_for_copies(until).await;
        let Offer { taken, full, .. } = offer;
        let nobody_else_has_it = taken.iter().all(|(destination, _)| destination.wait_for_result);
        let mut failures = Vec::new();
        for (destination, results) in taken {
            failures.extend(destination.answer(results).await.err());
        }
        let is_refused = !failures.is_empty();
        if full.iter().any(|full| full.wait_for_result) || (is_refused && nobody_else_has_it && !full.is_empty()) {
            failures.push(Refusal::Failed { reason: full_queues(&full), retry_after: RETRY_AFTER });
        }
        let again = failures.iter().position(|failure| !matches!(failure, Refusal::Permanent { .. }));
        match again {
            Some(_) => self.refuse(&batches, &full),
            None => self.drop_copies(&batches, &full),
        }
        match failures.is_empty() {
            true => Ok(()),
            false => Err(failures.swap_remove(again.unwrap_or(0))),
        }
    }

    /// Hands over a batch that nobody can be asked to send again, and waits as long as it takes until one has room, then
    /// a while for the others.
    pub async fn deliver_or_wait(&self, batch: Batch) {
        let one = std::slice::from_ref(&batch);
        let mut offer = Offer::new(self, one, false);
        if offer.taken.is_empty() {
            offer.wait_for_first(|_| true).await;
        }
        if offer.taken.is_empty() {
            return self.drop_at_the_end(&batch);
        }
        offer.wait_for_copies(Instant::now() + PATIENCE).await;
        self.drop_copies(one, &offer.full);
    }

    fn book_copies(&self, batches: &[Batch], copies: u64) {
        for batch in batches {
            self.telemetry.ledger.book(&batch.tenant, batch.signal, Entry::Duplicated, batch.items * copies);
        }
    }

    /// Drops the copies for full queues.
    fn drop_copies(&self, batches: &[Batch], full: &[&Arc<Destination>]) {
        self.book_copies(batches, full.len() as u64);
        self.count_refused(batches, full);
        let items = batches.iter().map(|batch| batch.items).sum();
        for destination in full {
            batches.iter().for_each(|batch| self.drop_copy(batch, "queue_full"));
            let due = destination.said().dropped.add(items);
            if let Some(items) = due {
                tracing::error!(
                    exporter = %destination.id, items,
                    "sending queue is full, dropping copies that other exporters have"
                );
            }
        }
    }

    /// Full queues turn away what the sender is to send again; other pipelines may have it, and then it does not.
    fn refuse(&self, batches: &[Batch], full: &[&Arc<Destination>]) {
        self.count_refused(batches, full);
        let items = batches.iter().map(|batch| batch.items).sum();
        for destination in full {
            let due = destination.said().refused.add(items);
            if let Some(items) = due {
                tracing::warn!(exporter = %destination.id, items, "sending queue is full, items not taken");
            }
        }
    }

    fn count_refused(&self, batches: &[Batch], full: &[&Arc<Destination>]) {
        for (batch, destination) in batches.iter().flat_map(|batch| full.iter().map(move |full| (batch, full))) {
            self.telemetry.metrics.exported(Exported::EnqueueFailed, batch.signal, &destination.id, batch.items);
        }
    }

    /// Drops what found all queues closed.
    fn drop_at_the_end(&self, batch: &Batch) {
        for destination in self.destinations.iter() {
            self.telemetry.metrics.exported(Exported::EnqueueFailed, batch.signal, &destination.id, batch.items);
            let due = destination.said().closed.add(batch.items);
            if let Some(items) = due {
                tracing::error!(
                    exporter = %destination.id, items,
                    "not exported: its queue was closed before a batch processor found room in it"
                );
            }
        }
        self.drop_copy(batch, SHUTDOWN);
    }

    fn drop_copy(&self, batch: &Batch, reason: &'static str) {
        self.telemetry.ledger.book(&batch.tenant, batch.signal, Entry::Dropped(reason), batch.items);
    }
}

/// Why nobody takes a request. Whoever waits for an exporter hears of it whatever other pipelines have.
fn no_room(full: &[&Arc<Destination>]) -> Refusal {
    let reason = full_queues(full);
    match full.iter().any(|full| full.wait_for_result) {
        true => Refusal::Failed { reason, retry_after: RETRY_AFTER },
        false => Refusal::Busy { reason, retry_after: RETRY_AFTER },
    }
}

fn full_queues(full: &[&Arc<Destination>]) -> String {
    let names: Vec<&str> = full.iter().map(|destination| destination.id.as_str()).collect();
    format!("sending queue is full: {}", names.join(", "))
}

impl Destination {
    /// An exporter with its queue.
    pub fn new(id: String, queue: Queue, block_on_overflow: bool, wait_for_result: bool) -> Self {
        Self { id, queue, block_on_overflow, wait_for_result, full_since: Mutex::default(), said: Mutex::default() }
    }

    /// Tells what was not told yet.
    pub fn tell(&self, rest: Rest) {
        self.queue.tell(rest);
        let exporter = &self.id;
        // The lock is not held while the log is written, which may stand still.
        let [dropped, refused, closed] = {
            let Said { dropped, refused, closed } = &mut *self.said();
            [dropped, refused, closed].map(|pace| pace.rest(rest))
        };
        if let Some(items) = dropped {
            tracing::error!(%exporter, items, "more copies dropped that other exporters have");
        }
        if let Some(items) = refused {
            tracing::warn!(%exporter, items, "more items not taken, as the sending queue was full");
        }
        if let Some(items) = closed {
            tracing::error!(%exporter, items, "more not exported: the queue was closed before batch processors found room");
        }
    }

    fn try_push(&self, batches: &[Batch], awaited: Awaited) -> Option<Vec<oneshot::Receiver<Outcome>>> {
        let taken = self.queue.try_push(batches, awaited);
        let mut full_since = self.full_since();
        *full_since = if taken.is_some() { None } else { full_since.or_else(|| Some(Instant::now())) };
        taken
    }

    /// Takes all parts of a request as soon as there is room.
    async fn push(&self, batches: &[Batch], awaited: Awaited) -> Option<Vec<oneshot::Receiver<Outcome>>> {
        let taken = self.queue.push(batches, awaited).await?;
        *self.full_since() = None;
        Some(taken)
    }

    /// Whether it had no room for anything for as long as a request waits: it may be dead, and waiting for it again would
    /// keep those waiting that are alive.
    fn has_been_full(&self) -> bool {
        self.full_since().is_some_and(|since| since.elapsed() >= PATIENCE)
    }

    fn full_since(&self) -> MutexGuard<'_, Option<Instant>> {
        self.full_since.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn said(&self) -> MutexGuard<'_, Said> {
        self.said.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for what became of a request, of all its parts: rather than what it must not send again the sender is told
    /// what it must.
    async fn answer(&self, results: Vec<oneshot::Receiver<Outcome>>) -> Result<(), Refusal> {
        let mut refused = Ok(());
        for result in join_all(results).await {
            // Without an answer the process is going down.
            let outcome = result.map_err(|_| self.failed("shutting down".into()))?;
            let reason = outcome.reason.unwrap_or_else(|| "the destination refused it".into());
            if outcome.given_up > 0 {
                return Err(self.failed(reason));
            }
            let is_all_or_anybodys = outcome.exported == 0 || outcome.joined;
            if is_all_or_anybodys && outcome.refused + outcome.dropped > 0 {
                refused = Err(Refusal::Permanent { reason: format!("{}: {reason}", self.id) });
            }
        }
        refused
    }

    /// It may work later.
    fn failed(&self, reason: String) -> Refusal {
        Refusal::Failed { reason: format!("{}: {reason}", self.id), retry_after: RETRY_AFTER }
    }
}

/// What a request owes the ledger until somebody has taken it. A sender that goes away meanwhile has it back.
pub(super) struct Debt<'a> {
    ledger: &'a Ledger,
    items: Vec<(TenantId, Signal, u64)>,
}

impl<'a> Debt<'a> {
    /// What these batches owe.
    pub(super) fn new(ledger: &'a Ledger, batches: &[Batch]) -> Self {
        let items = batches.iter().map(|batch| (batch.tenant.clone(), batch.signal, batch.items)).collect();
        Self { ledger, items }
    }

    /// Somebody has it.
    pub(super) fn settle(&mut self) {
        self.items.clear();
    }

    /// How many items that are.
    pub(super) fn items(&self) -> u64 {
        self.items.iter().map(|(_, _, items)| items).sum()
    }

    /// Somebody has all but this.
    pub(super) fn reduce_to(&mut self, items: Vec<(TenantId, Signal, u64)>) {
        self.items = items;
    }

    /// Nobody has it.
    pub(super) fn end(&mut self, entry: Entry) {
        for (tenant, signal, items) in self.items.drain(..) {
            self.ledger.book(&tenant, signal, entry, items);
        }
    }
}

impl Drop for Debt<'_> {
    fn drop(&mut self) {
        self.end(Entry::Rejected(CANCELLED));
    }
}

/// Books what becomes of an exporter's items in the ledger and in the collector's metrics.
pub struct Booking {
    /// The exporter's id.
    pub exporter: String,
    /// The books.
    pub telemetry: Telemetry,
}

impl Booking {
    fn book(&self, batch: &Batch, items: u64, entry: Entry, metric: Exported) {
        self.telemetry.ledger.book(&batch.tenant, batch.signal, entry, items);
        self.telemetry.metrics.exported(metric, batch.signal, &self.exporter, items);
    }
}

impl Report for Booking {
    fn exported(&self, batch: &Batch, items: u64) {
        self.book(batch, items, Entry::Exported, Exported::Sent);
    }

    fn refused(&self, batch: &Batch, items: u64) {
        self.book(batch, items, Entry::Dropped("refused_by_destination"), Exported::SendFailed);
    }

    fn dead_lettered(&self, batch: &Batch, items: u64) {
        self.book(batch, items, Entry::DeadLettered, Exported::SendFailed);
    }

    fn dropped(&self, batch: &Batch, items: u64, reason: &'static str) {
        self.book(batch, items, Entry::Dropped(reason), Exported::SendFailed);
    }

    fn given_back(&self, batch: &Batch, items: u64, reason: &'static str) {
        self.book(batch, items, Entry::Rejected(reason), Exported::SendFailed);
    }
}

#[cfg(test)]
mod tests;
