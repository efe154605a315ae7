//! The end of a pipeline: hands every batch to the queue of every exporter, so that a full queue stalls no other.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::future::{join_all, select_all};
use futures_util::stream::FuturesUnordered;
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout, timeout_at};

use crate::export::queue::{Awaited, Left, Outcome, Queue};
use crate::export::report::Report;
use crate::export::report::reasons::{CANCELLED, SHUTDOWN};
use crate::model::{Batch, Refusal, Signal, TenantId};
use crate::pace::Pace;
use crate::telemetry::metrics::Exported;
use crate::telemetry::{Entry, Ledger, Telemetry};

/// How long a request waits for room in a queue that makes senders wait, before the sender is told to send it again.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long one waits whose request other exporters have: long waits end with the sender gone, who sends it again to all.
const PATIENCE_FOR_COPIES: Duration = Duration::from_secs(1);
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
    /// Whether the last wait for room was in vain, so that there is no other before there is room, where others have it.
    was_late: AtomicBool,
    /// When it was last said that copies for it were dropped.
    dropped: Mutex<Pace>,
}

/// An exporter that took a request, and what there is to wait for.
type Taken<'a> = (&'a Arc<Destination>, Vec<oneshot::Receiver<Outcome>>);

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
    /// It is accepted when one of them has it; copies that found their queue full are dropped then, and counted.
    /// `debt` is what has to be booked if no exporter takes the request; those that do book its end themselves.
    ///
    /// # Errors
    /// Refuses when no exporter has room, and when all that are waited for failed.
    pub(super) async fn deliver(&self, batches: Vec<Batch>, debt: &mut Debt<'_>) -> Result<(), Refusal> {
        if batches.is_empty() {
            debt.settle();
            return Ok(());
        }
        let (taken, full) = self.offer(&batches, debt).await;
        if taken.is_empty() {
            self.count_refused(&batches, &full);
            return Err(busy(&full));
        }
        let waited_for = taken.iter().filter(|(destination, _)| destination.wait_for_result).count();
        let nobody_else_has_it = waited_for == taken.len();
        let mut failures = Vec::new();
        for (destination, results) in taken {
            failures.extend(destination.answer(results).await.err().map(|failure| (destination, failure)));
        }
        if waited_for == 0 || failures.len() < waited_for {
            log_untold(&failures);
            self.drop_copies(&batches, &full);
            return Ok(());
        }
        self.count_refused(&batches, &full);
        let again = failures.iter().position(|(_, failure)| !matches!(failure, Refusal::Permanent { .. }));
        match again {
            None if nobody_else_has_it && !full.is_empty() => Err(busy(&full)),
            again => Err(failures.swap_remove(again.unwrap_or(0)).1),
        }
    }

    /// Offers the parts of a request to all exporters, then waits for those that make senders wait, all at the same time.
    /// Gives those that took them, with what there is to wait for, and those that did not.
    async fn offer<'a>(
        &'a self,
        batches: &[Batch],
        debt: &mut Debt<'_>,
    ) -> (Vec<Taken<'a>>, Vec<&'a Arc<Destination>>) {
        let alone = self.destinations.len() == 1;
        let (mut taken, mut full) = (Vec::new(), Vec::new());
        let mut book = |taken: &mut Vec<Taken<'a>>, one: Taken<'a>| {
            // At once and not in the end, which a sender that goes away does not wait for.
            if !taken.is_empty() {
                self.book_copies(batches, 1);
            }
            debt.settle();
            taken.push(one);
        };
        for destination in self.destinations.iter() {
            match destination.queue.try_push(batches, destination.awaited(alone)) {
                Some(results) => {
                    destination.was_late.store(false, Ordering::Relaxed);
                    book(&mut taken, (destination, results));
                }
                None => full.push(destination),
            }
        }
        let others_have_it = !taken.is_empty();
        let mut waiting: Vec<_> =
            full.extract_if(.., |destination| destination.is_worth_waiting_for(others_have_it)).collect();
        let mut waits: FuturesUnordered<_> = waiting
            .iter()
            .copied()
            .map(
                |destination| async move { (destination, destination.push(batches, destination.awaited(alone)).await) },
            )
            .collect();
        // As soon as one has it, the others are waited for as copies.
        let mut until = others_have_it.then(|| Instant::now() + PATIENCE_FOR_COPIES);
        while let Some((destination, results)) = next_before(&mut waits, until).await {
            waiting.retain(|other| !Arc::ptr_eq(other, destination));
            match results {
                Some(results) => {
                    book(&mut taken, (destination, results));
                    until.get_or_insert_with(|| Instant::now() + PATIENCE_FOR_COPIES);
                }
                None => full.push(destination),
            }
        }
        drop(waits);
        waiting.iter().for_each(|destination| destination.was_late.store(true, Ordering::Relaxed));
        full.append(&mut waiting);
        (taken, full)
    }

    /// Hands over a batch that nobody can be asked to send again, and waits for room as long as it takes.
    pub async fn deliver_or_wait(&self, batch: Batch) {
        let one = std::slice::from_ref(&batch);
        let (taken, mut full): (Vec<_>, Vec<_>) =
            self.destinations.iter().partition(|destination| destination.queue.try_push(one, Awaited::No).is_some());
        taken.iter().for_each(|destination| destination.was_late.store(false, Ordering::Relaxed));
        if !taken.is_empty() {
            self.book_copies(one, taken.len() as u64 - 1);
            // Others have it; those whose queue makes senders wait get some time.
            let late = join_all(full.iter().map(|destination| self.is_taken_late(destination, one))).await;
            let mut late = late.into_iter();
            full.retain(|_| !late.next().unwrap_or(false));
            return self.drop_copies(one, &full);
        }
        // All are full: the first to have room saves the batch.
        let pushes =
            full.iter().map(|destination| Box::pin(async { destination.queue.push(one, Awaited::No).await.is_some() }));
        let (is_in, index, _) = select_all(pushes).await;
        full.remove(index);
        match is_in {
            true => self.drop_copies(one, &full),
            false => self.drop_at_the_end(&batch),
        }
    }

    /// Whether a queue that makes senders wait has room for a copy before too long.
    async fn is_taken_late(&self, destination: &Destination, batch: &[Batch]) -> bool {
        if !destination.is_worth_waiting_for(true) {
            return false;
        }
        let is_taken = destination.push(batch, Awaited::No).await.is_some();
        if is_taken {
            self.book_copies(batch, 1);
        }
        is_taken
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
            let due = destination.dropped.lock().unwrap_or_else(PoisonError::into_inner).add(items);
            if let Some(items) = due {
                tracing::error!(
                    exporter = %destination.id, items,
                    "sending queue is full, dropping copies that other exporters have"
                );
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
            tracing::error!(
                exporter = %destination.id, tenant = %batch.tenant, items = batch.items,
                "not exported: its queue was closed before a batch processor found room in it"
            );
        }
        self.drop_copy(batch, SHUTDOWN);
    }

    fn drop_copy(&self, batch: &Batch, reason: &'static str) {
        self.telemetry.ledger.book(&batch.tenant, batch.signal, Entry::Dropped(reason), batch.items);
    }
}

/// What ends next, unless it is too late.
async fn next_before<F: Future>(waits: &mut FuturesUnordered<F>, until: Option<Instant>) -> Option<F::Output> {
    match until {
        None => waits.next().await,
        Some(until) => timeout_at(until, waits.next()).await.ok().flatten(),
    }
}

fn busy(full: &[&Arc<Destination>]) -> Refusal {
    let names: Vec<&str> = full.iter().map(|destination| destination.id.as_str()).collect();
    Refusal::Busy { reason: format!("sending queue is full: {}", names.join(", ")), retry_after: RETRY_AFTER }
}

/// Says which exporters lost what others have: the sender would send it again, but isn't told. What was refused for
/// good is in the log already.
fn log_untold(failures: &[(&Arc<Destination>, Refusal)]) {
    for (destination, failure) in failures {
        if let Refusal::Failed { reason, .. } = failure {
            tracing::error!(exporter = %destination.id, reason, "items lost that other exporters have");
        }
    }
}

impl Destination {
    /// An exporter with its queue.
    pub fn new(id: String, queue: Queue, block_on_overflow: bool, wait_for_result: bool) -> Self {
        Self {
            id,
            queue,
            block_on_overflow,
            wait_for_result,
            was_late: AtomicBool::new(false),
            dropped: Mutex::default(),
        }
    }

    /// Sends what is in the queue until the deadline, gives up the rest and says how much that was.
    pub async fn drain(&self, deadline: Instant) -> Left {
        let left = self.queue.drain(deadline).await;
        let untold = self.dropped.lock().unwrap_or_else(PoisonError::into_inner).rest();
        if let Some(items) = untold {
            tracing::error!(exporter = %self.id, items, "more copies dropped that other exporters have");
        }
        left
    }

    fn awaited(&self, alone: bool) -> Awaited {
        match (self.wait_for_result, alone) {
            (false, _) => Awaited::No,
            (true, false) => Awaited::Yes,
            (true, true) => Awaited::Alone,
        }
    }

    /// Whether to wait for room in its queue, which is full.
    fn is_worth_waiting_for(&self, others_have_it: bool) -> bool {
        self.block_on_overflow && !(others_have_it && self.was_late.load(Ordering::Relaxed))
    }

    /// Takes all parts of a request as soon as there is room; none if that takes too long.
    async fn push(&self, batches: &[Batch], awaited: Awaited) -> Option<Vec<oneshot::Receiver<Outcome>>> {
        let taken = timeout(PATIENCE, self.queue.push(batches, awaited)).await.ok().flatten();
        self.was_late.store(taken.is_none(), Ordering::Relaxed);
        taken
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

    /// Nobody has it, for a reason.
    pub(super) fn reject(&mut self, reason: &'static str) {
        for (tenant, signal, items) in self.items.drain(..) {
            self.ledger.book(&tenant, signal, Entry::Rejected(reason), items);
        }
    }
}

impl Drop for Debt<'_> {
    fn drop(&mut self) {
        self.reject(CANCELLED);
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
