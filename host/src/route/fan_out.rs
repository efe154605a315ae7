//! The end of a pipeline: hands every batch to the queue of every exporter, so that a full queue stalls no other.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::timeout;

use crate::export::queue::Queue;
use crate::export::report::Report;
use crate::model::{Batch, Refusal};
use crate::telemetry::metrics::Exported;
use crate::telemetry::{Entry, Telemetry};

/// How long a request of which a part is already in the queue waits for room for the rest, before the sender is told
/// to send it all again.
const PATIENCE: Duration = Duration::from_secs(5);
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

    /// Hands the parts of one request to all exporters. It is accepted when one of them has it; copies that found
    /// their queue full are dropped then, and counted.
    ///
    /// # Errors
    /// Refuses when no exporter has room; then nothing was handed on, or the sender must send everything again.
    pub async fn deliver(&self, batches: Vec<Batch>) -> Result<(), Refusal> {
        if batches.is_empty() {
            return Ok(());
        }
        let mut taken = 0;
        let mut full = Vec::new();
        let mut failed = None;
        for destination in self.destinations.iter() {
            match destination.take(&batches).await {
                Ok(()) => taken += 1,
                Err(Refusal::Busy { .. }) => full.push(destination),
                Err(refusal) => failed = Some(refusal),
            }
        }
        match (taken, failed) {
            (0, Some(refusal)) => Err(refusal),
            (0, None) => Err(busy(&full)),
            _ => {
                self.book(&batches, &full);
                Ok(())
            }
        }
    }

    /// Hands over a batch that nobody can be asked to send again, and waits for room as long as it takes.
    pub async fn deliver_or_wait(&self, batch: Batch) {
        let mut taken = 0;
        let mut full = Vec::new();
        for destination in self.destinations.iter() {
            match destination.queue.try_push(batch.clone()) {
                Ok(()) => taken += 1,
                Err(_) => full.push(destination),
            }
        }
        if taken > 0 {
            return self.book(&[batch], &full);
        }
        // All are full: the first to have room saves the batch.
        let pushes = full.iter().map(|destination| Box::pin(destination.queue.push(batch.clone())));
        let (first, index, _) = futures_util::future::select_all(pushes).await;
        full.remove(index);
        match first {
            Ok(()) => self.book(&[batch], &full),
            Err(batch) => self.drop_copy(&batch, "shutdown"),
        }
    }

    fn book(&self, batches: &[Batch], full: &[&Arc<Destination>]) {
        for batch in batches {
            let copies = self.destinations.len() as u64 - 1;
            self.telemetry.ledger.book(&batch.tenant, batch.signal, Entry::Duplicated, batch.items * copies);
            for destination in full {
                let metrics = &self.telemetry.metrics;
                metrics.exported(Exported::EnqueueFailed, batch.signal, &destination.id, batch.items);
                tracing::error!(
                    exporter = %destination.id, tenant = %batch.tenant, items = batch.items,
                    "sending queue is full, dropping a copy that other exporters have"
                );
                self.drop_copy(batch, "queue_full");
            }
        }
    }

    fn drop_copy(&self, batch: &Batch, reason: &'static str) {
        self.telemetry.ledger.book(&batch.tenant, batch.signal, Entry::Dropped(reason), batch.items);
    }
}

fn busy(full: &[&Arc<Destination>]) -> Refusal {
    let names: Vec<&str> = full.iter().map(|destination| destination.id.as_str()).collect();
    Refusal::Busy { reason: format!("sending queue is full: {}", names.join(", ")), retry_after: RETRY_AFTER }
}

impl Destination {
    async fn take(self: &Arc<Self>, batches: &[Batch]) -> Result<(), Refusal> {
        let mut results = Vec::new();
        for (index, batch) in batches.iter().enumerate() {
            let room = if self.block_on_overflow || index > 0 { PATIENCE } else { Duration::ZERO };
            if self.wait_for_result {
                let result = self.queue.try_push_for_result(batch.clone()).map_err(|_| busy(&[self]))?;
                results.push(result);
            } else if self.queue.try_push(batch.clone()).is_err() {
                let pushed = timeout(room, self.queue.push(batch.clone())).await;
                pushed.map_err(|_| busy(&[self]))?.map_err(|_| busy(&[self]))?;
            }
        }
        for result in results {
            let outcome = result.await.map_err(|_| busy(&[self]))?;
            if outcome.exported == 0 && outcome.refused + outcome.dropped > 0 {
                let reason = outcome.reason.unwrap_or_else(|| "the destination refused it".into());
                return Err(Refusal::Permanent { reason: format!("{}: {reason}", self.id) });
            }
        }
        Ok(())
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
}
