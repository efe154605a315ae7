//! A request on its way into the queues of a pipeline's exporters: who has it, and who has no room yet.

use std::sync::Arc;

use futures_util::StreamExt;
use futures_util::future::join_all;
use futures_util::stream::FuturesUnordered;
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout_at};

use super::{Destination, FanOut};
use crate::export::queue::{Awaited, Outcome};
use crate::model::Batch;

/// An exporter that took a request, and what there is to wait for.
type Taken<'a> = (&'a Arc<Destination>, Vec<oneshot::Receiver<Outcome>>);

/// The parts of a request, and where they are by now.
pub(super) struct Offer<'a> {
    fan_out: &'a FanOut,
    batches: &'a [Batch],
    /// Whether somebody can be told what becomes of it.
    has_sender: bool,
    pub(super) taken: Vec<Taken<'a>>,
    pub(super) full: Vec<&'a Arc<Destination>>,
}

impl<'a> Offer<'a> {
    /// Gives it to all exporters that have room. Copies are booked at once and not in the end, which a sender that goes
    /// away does not wait for.
    pub(super) fn new(fan_out: &'a FanOut, batches: &'a [Batch], has_sender: bool) -> Self {
        let mut offer = Self { fan_out, batches, has_sender, taken: Vec::new(), full: Vec::new() };
        for destination in fan_out.destinations.iter() {
            match destination.try_push(batches, offer.awaited(destination)) {
                Some(results) => {
                    fan_out.book_copies(batches, u64::from(!offer.taken.is_empty()));
                    offer.taken.push((destination, results));
                }
                None => offer.full.push(destination),
            }
        }
        offer
    }

    /// Waits for the first of these to have room; ends without one when all their queues are closed.
    pub(super) async fn wait_for_first(&mut self, is_waited_for: impl Fn(&Destination) -> bool) {
        let waits = self.full.iter().filter(|destination| is_waited_for(destination));
        let mut waits: FuturesUnordered<_> = waits.map(|destination| self.push(destination)).collect();
        while let Some(ended) = waits.next().await {
            let Some(first) = ended else { continue };
            drop(waits);
            self.full.retain(|full| !Arc::ptr_eq(full, first.0));
            self.taken.push(first);
            return;
        }
    }

    /// Waits so long for all whose queues make senders wait.
    pub(super) async fn wait_for_copies(&mut self, until: Instant) {
        let ended = join_all(self.full.iter().map(|destination| self.push_copy(destination, until))).await;
        self.full.clear();
        for ended in ended {
            match ended {
                Ok(taken) => self.taken.push(taken),
                Err(full) => self.full.push(full),
            }
        }
    }

    async fn push_copy(
        &self,
        destination: &'a Arc<Destination>,
        until: Instant,
    ) -> Result<Taken<'a>, &'a Arc<Destination>> {
        if !destination.block_on_overflow || destination.has_been_full() {
            return Err(destination);
        }
        let taken = timeout_at(until, self.push(destination)).await.ok().flatten().ok_or(destination)?;
        self.fan_out.book_copies(self.batches, 1);
        Ok(taken)
    }

    async fn push(&self, destination: &'a Arc<Destination>) -> Option<Taken<'a>> {
        let results = destination.push(self.batches, self.awaited(destination)).await?;
        Some((destination, results))
    }

    fn awaited(&self, destination: &Destination) -> Awaited {
        if self.has_sender && destination.wait_for_result { Awaited::Yes } else { Awaited::No }
    }
}
