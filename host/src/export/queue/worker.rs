//! A consumer of an exporter's queue: encodes a batch and sends its requests until every item has an end.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::sync::watch;
use tokio::time::Instant;

use super::gather::pieces;
use super::{Entry, Left, Outcome, Phase, Shared};
use crate::export::dead_letter::Kept;
use crate::export::report::reasons;
use crate::export::retry::{Backoff, Decision};
use crate::export::{Again, DeadLetter, Encoded, Exporter, Sent};
use crate::model::Batch;

/// Works until the queue is closed and empty.
pub(super) async fn run<E: Exporter>(exporter: Arc<E>, shared: Arc<Shared>) {
    while let Some(Entry { batches, done, size, items }) = shared.next().await {
        let taken = batches.len() as u64;
        let awaited = done.len() == batches.len();
        let (mut outcome, mut left) = (Outcome::default(), Left::default());
        for batch in pieces(batches, shared.settings.gather.as_ref()) {
            let (of_batch, items) = run_batch(&*exporter, &shared, &batch, awaited).await;
            outcome.add(of_batch);
            left.items += items;
            left.batches += u64::from(items > 0);
        }
        shared.end(taken, size, items, left);
        for done in done {
            // Whoever waited may have gone.
            let _ = done.send(outcome.clone());
        }
    }
}

/// Sends a batch until every item of it has an end; returns what became of it and what the deadline left over.
/// `awaited` says whether the sender of all of it waits for that.
async fn run_batch<E: Exporter>(exporter: &E, shared: &Shared, batch: &Batch, awaited: bool) -> (Outcome, u64) {
    let tally = Mutex::new(Tally::new(shared, batch, awaited));
    let mut expired = shared.phase.subscribe();
    // The tally outlives the delivery, so that one that is cut short loses the count of nothing.
    let cut_short = tokio::select! {
        biased;
        _ = expired.wait_for(|phase| *phase == Phase::Expired) => true,
        () = deliver(exporter, shared, batch, &tally) => false,
    };
    tally.into_inner().unwrap_or_else(PoisonError::into_inner).close(cut_short)
}

async fn deliver<E: Exporter>(exporter: &E, shared: &Shared, batch: &Batch, tally: &Mutex<Tally<'_>>) {
    let send = |request| deliver_request(exporter, shared, request, tally);
    let at_once = shared.settings.parallel_requests.max(1);
    let mut begin = Some(0);
    while let Some(from) = begin {
        let Encoded { requests, dropped, next } = exporter.encode(batch, from);
        for dropped in dropped {
            shared.journal.not_expressible(&dropped);
            lock(tally).dropped(dropped.items, dropped.reason);
        }
        let mut requests = requests.into_iter();
        let mut under_way: FuturesUnordered<_> = requests.by_ref().take(at_once).map(send).collect();
        while under_way.next().await.is_some() {
            under_way.extend(requests.next().map(send));
        }
        begin = next.filter(|next| *next > from);
    }
}

fn lock<'a, 'b>(tally: &'a Mutex<Tally<'b>>) -> MutexGuard<'a, Tally<'b>> {
    tally.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Sends one request, and whatever comes back from it, to the end.
async fn deliver_request<E: Exporter>(exporter: &E, shared: &Shared, request: E::Request, tally: &Mutex<Tally<'_>>) {
    let mut phase = shared.phase.subscribe();
    let mut backoff = Backoff::new(shared.settings.retry, Instant::now().into_std());
    let mut pending = VecDeque::from([request]);
    while let Some(request) = pending.pop_front() {
        let Sent { delivered, refused, again } = exporter.send(request).await;
        lock(tally).delivered(delivered);
        for letter in refused {
            lock(tally).refused(letter);
        }
        let Some(again) = again else {
            // A destination that refuses everything does not work.
            if delivered > 0 {
                shared.journal.works();
            }
            continue;
        };
        if again.requests.len() > 1 {
            // Parts of a request that was too large: progress rather than a failure. It may go on for many requests,
            // so let others work.
            put_back(again, &mut pending);
            tokio::task::yield_now().await;
            continue;
        }
        match backoff.next(Instant::now().into_std(), rand::random(), again.after) {
            Decision::Wait(wait) => {
                shared.journal.fails(&again.reason, wait);
                put_back(again, &mut pending);
                pause(wait, &mut phase).await;
            }
            Decision::Disabled => lock(tally).given_up(&again, reasons::RETRY_DISABLED),
            Decision::TooOld => lock(tally).given_up(&again, reasons::RETRIES_EXHAUSTED),
        }
    }
}

fn put_back<R>(again: Again<R>, pending: &mut VecDeque<R>) {
    for (request, _) in again.requests.into_iter().rev() {
        pending.push_front(request);
    }
}

/// Waits; the begin of the shutdown ends it early, so that everything gets one more chance.
async fn pause(wait: Duration, phase: &mut watch::Receiver<Phase>) {
    let draining_already = *phase.borrow_and_update() != Phase::Running;
    tokio::select! {
        biased;
        _ = phase.wait_for(|phase| *phase != Phase::Running), if !draining_already => {}
        () = tokio::time::sleep(wait) => {}
    }
}

/// What became of a batch's items so far.
struct Tally<'a> {
    shared: &'a Shared,
    batch: &'a Batch,
    awaited: bool,
    remaining: u64,
    outcome: Outcome,
}

impl<'a> Tally<'a> {
    fn new(shared: &'a Shared, batch: &'a Batch, awaited: bool) -> Self {
        Self { shared, batch, awaited, remaining: batch.items, outcome: Outcome::default() }
    }

    fn delivered(&mut self, items: u64) {
        let items = self.take(items);
        if items > 0 {
            self.outcome.exported += items;
            self.shared.report.exported(self.batch, items);
        }
    }

    fn refused(&mut self, letter: DeadLetter) {
        let items = self.take(letter.items);
        self.outcome.refused += items;
        let settings = &self.shared.settings;
        let kept = match &settings.dead_letters {
            Some(file) => file.keep(&settings.exporter, self.batch, &letter),
            None => Kept::No,
        };
        self.shared.journal.refused(items, &letter.reason, kept);
        match kept {
            Kept::Yes => self.shared.report.dead_lettered(self.batch, items),
            Kept::No => self.shared.report.refused(self.batch, items),
        }
        self.outcome.reason = Some(letter.reason);
    }

    fn dropped(&mut self, items: u64, reason: &'static str) {
        self.outcome.dropped += self.book_dropped(items, reason);
    }

    fn book_dropped(&mut self, items: u64, reason: &'static str) -> u64 {
        let items = self.take(items);
        if items > 0 {
            self.shared.report.dropped(self.batch, items, reason);
        }
        items
    }

    fn given_up<R>(&mut self, again: &Again<R>, reason: &'static str) {
        self.shared.journal.gives_up(&again.reason);
        let items = again.requests.iter().map(|(_, items)| items).sum();
        self.give_up(items, reason, &again.reason);
        self.outcome.reason = Some(again.reason.clone());
    }

    fn give_up(&mut self, items: u64, reason: &'static str, detail: &str) {
        match self.awaited {
            true => self.shared.journal.given_back(items, reason, detail),
            false => self.shared.journal.lost(items, reason, detail),
        }
        self.outcome.given_up += self.book_dropped(items, reason);
    }

    /// Ends the batch; returns what became of it and how many items the deadline left over.
    fn close(mut self, cut_short: bool) -> (Outcome, u64) {
        let left = self.remaining;
        if left == 0 {
            return (self.outcome, 0);
        }
        let detail = if cut_short { "the process ends" } else { "the exporter lost count of them" };
        if cut_short {
            self.give_up(left, reasons::SHUTDOWN, detail);
        } else {
            self.shared.journal.lost(left, reasons::UNACCOUNTED, detail);
            self.dropped(left, reasons::UNACCOUNTED);
        }
        self.outcome.reason.get_or_insert_with(|| detail.to_owned());
        (self.outcome, if cut_short { left } else { 0 })
    }

    /// An exporter that counts more items than there are must not unbalance the ledger.
    fn take(&mut self, items: u64) -> u64 {
        let taken = items.min(self.remaining);
        if taken < items {
            tracing::error!(
                exporter = self.shared.settings.exporter,
                counted = items,
                remaining = self.remaining,
                "an exporter counted more items than there are"
            );
        }
        self.remaining -= taken;
        taken
    }
}
