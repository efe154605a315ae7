//! A consumer of an exporter's queue: encodes a batch and sends its requests until every item has an end.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt, StreamExt};
use tokio::sync::{oneshot, watch};
use tokio::time::Instant;

use super::gather::pieces;
use super::{Awaited, Entry, Left, Outcome, Phase, QueueSettings, Shared};
use crate::export::blocking::blocking;
use crate::export::dead_letter::Kept;
use crate::export::report::reasons;
use crate::export::retry::{Backoff, Decision};
use crate::export::{Again, DeadLetter, Encoded, Exporter, Sent};
use crate::model::Batch;

/// What gzip takes a tenth of a second for: a health page must not wait much longer. For a usual batch, of a thousand items,
/// another thread would cost more than it is worth.
pub(super) const LARGE_BYTES: usize = 2 << 20;

/// Works until the queue is closed and empty.
pub(super) async fn run<E: Exporter>(exporter: Arc<E>, shared: Arc<Shared>) {
    while let Some(Entry { batches, mut done, awaited, takes }) = shared.next().await {
        let taken = batches.len() as u64;
        let (mut outcome, mut left) = (Outcome { joined: taken > 1, ..Outcome::default() }, Left::default());
        {
            let gone = all_gone(&mut done, awaited).shared();
            for batch in pieces(batches, shared.settings.gather.as_ref()) {
                let (of_batch, items) = run_batch(&exporter, &shared, &batch, awaited, gone.clone()).await;
                outcome.add(of_batch);
                left.items += items;
                left.batches += u64::from(items > 0);
            }
        }
        shared.end(taken, takes, left);
        for done in done {
            // Whoever waited may have gone.
            let _ = done.send(outcome.clone());
        }
    }
}

/// Ends when nobody waits any more for what becomes of a batch: whoever did will send it again.
async fn all_gone(done: &mut [oneshot::Sender<Outcome>], awaited: Awaited) {
    if awaited == Awaited::No {
        std::future::pending::<()>().await;
    }
    for done in done {
        done.closed().await;
    }
}

/// Why a batch did not come to its end.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Cut {
    /// The time to shut down is over.
    Expired,
    /// Its sender went away.
    Gone,
}

/// Sends a batch until every item of it has an end; returns what became of it and what the deadline left over.
async fn run_batch<E: Exporter>(
    exporter: &Arc<E>,
    shared: &Shared,
    batch: &Batch,
    awaited: Awaited,
    gone: impl Future<Output = ()>,
) -> (Outcome, u64) {
    let tally = Mutex::new(Tally::new(shared, batch, awaited));
    let mut expired = shared.phase.subscribe();
    // The tally outlives the delivery, so that one that is cut short loses the count of nothing.
    let cut = tokio::select! {
        biased;
        _ = expired.wait_for(|phase| *phase == Phase::Expired) => Some(Cut::Expired),
        () = gone => Some(Cut::Gone),
        () = deliver(exporter, shared, batch, &tally) => None,
    };
    tally.into_inner().unwrap_or_else(PoisonError::into_inner).close(cut)
}

async fn deliver<E: Exporter>(exporter: &Arc<E>, shared: &Shared, batch: &Batch, tally: &Mutex<Tally<'_>>) {
    let send = |request| deliver_request(&**exporter, shared, batch, request, tally);
    let at_once = shared.settings.parallel_requests.max(1);
    let mut begin = Some(0);
    while let Some(from) = begin {
        let Encoded { requests, dropped, next } = encode(exporter, shared, batch, from).await;
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

/// Encodes on this thread if that is soon done, else on one that nothing else waits for.
async fn encode<E: Exporter>(exporter: &Arc<E>, shared: &Shared, batch: &Batch, from: u64) -> Encoded<E::Request> {
    if batch.bytes.len() <= LARGE_BYTES {
        return exporter.encode(batch, from);
    }
    let permit = Arc::clone(&shared.settings.large).acquire_owned().await;
    let (exporter, batch) = (Arc::clone(exporter), batch.clone());
    blocking(move || {
        let _until_done = permit;
        exporter.encode(&batch, from)
    })
    .await
}

fn lock<'a, 'b>(tally: &'a Mutex<Tally<'b>>) -> MutexGuard<'a, Tally<'b>> {
    tally.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Sends one request, and whatever comes back from it, to the end. All of that together tells whether the destination works:
/// one that takes a part does, one that refuses every item does not.
async fn deliver_request<E: Exporter>(
    exporter: &E,
    shared: &Shared,
    batch: &Batch,
    request: E::Request,
    tally: &Mutex<Tally<'_>>,
) {
    let mut phase = shared.phase.subscribe();
    let mut backoff = Backoff::new(shared.settings.retry, Instant::now().into_std());
    let mut pending = VecDeque::from([request]);
    let (mut works, mut refusal) = (false, None);
    while let Some(request) = pending.pop_front() {
        let Sent { delivered, refused, again } = exporter.send(request).await;
        lock(tally).delivered(delivered);
        works |= delivered > 0;
        if let Some(last) = refused.iter().rfind(|letter| letter.items > 0) {
            refusal = Some(last.reason.clone());
        }
        if !refused.is_empty() {
            let refused = keep(&shared.settings, batch, refused).await;
            lock(tally).refused(refused);
        }
        let Some(again) = again else { continue };
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
    if works {
        shared.journal.works();
    } else if let Some(reason) = refusal {
        shared.journal.gives_up(&reason);
    }
}

/// Writes down what was refused, if there is a file for it.
async fn keep(settings: &QueueSettings, batch: &Batch, letters: Vec<DeadLetter>) -> Vec<(DeadLetter, Kept)> {
    match &settings.dead_letters {
        Some(file) => file.keep(&settings.exporter, batch, letters).await,
        None => letters.into_iter().map(|letter| (letter, Kept::No)).collect(),
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

/// Items that were refused, and why the last of them were.
#[derive(Default)]
struct Refused {
    items: u64,
    reason: Option<String>,
}

impl Refused {
    fn add(&mut self, items: u64, reason: String) {
        self.items += items;
        self.reason = Some(reason);
    }
}

/// What became of a batch's items so far.
struct Tally<'a> {
    shared: &'a Shared,
    batch: &'a Batch,
    awaited: Awaited,
    remaining: u64,
    outcome: Outcome,
}

impl<'a> Tally<'a> {
    fn new(shared: &'a Shared, batch: &'a Batch, awaited: Awaited) -> Self {
        Self { shared, batch, awaited, remaining: batch.items, outcome: Outcome::default() }
    }

    fn delivered(&mut self, items: u64) {
        let items = self.take(items);
        if items > 0 {
            self.outcome.exported += items;
            self.shared.report.exported(self.batch, items);
        }
    }

    /// What a destination refused of one request: very many documents, perhaps.
    fn refused(&mut self, letters: Vec<(DeadLetter, Kept)>) {
        let (mut kept, mut lost) = (Refused::default(), Refused::default());
        for (letter, is_kept) in letters {
            let items = self.take(letter.items);
            self.outcome.refused += items;
            match is_kept {
                _ if letter.items == 0 => self.shared.journal.refused_beside(&letter.reason),
                Kept::Yes => kept.add(items, letter.reason),
                Kept::No => lost.add(items, letter.reason),
            }
        }
        for (refused, is_kept) in [(kept, Kept::Yes), (lost, Kept::No)] {
            let Some(reason) = refused.reason else { continue };
            self.shared.journal.refused(refused.items, &reason, is_kept);
            match is_kept {
                Kept::Yes => self.shared.report.dead_lettered(self.batch, refused.items),
                Kept::No => self.shared.report.refused(self.batch, refused.items),
            }
            self.outcome.reason = Some(reason);
        }
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
        self.outcome.given_up += match self.awaited {
            Awaited::No => {
                self.shared.journal.lost(items, reason, detail);
                self.book_dropped(items, reason)
            }
            Awaited::Yes => {
                self.shared.journal.given_back(items, reason, detail);
                self.book_given_back(items, reason)
            }
        };
    }

    /// Ends the batch; returns what became of it and how many items the deadline left over.
    fn close(mut self, cut: Option<Cut>) -> (Outcome, u64) {
        let rest = self.remaining;
        if rest == 0 {
            return (self.outcome, 0);
        }
        let detail = match cut {
            Some(Cut::Expired) => {
                self.give_up(rest, reasons::SHUTDOWN, "the process ends");
                "the process ends"
            }
            Some(Cut::Gone) => {
                self.shared.journal.cancelled(rest, self.outcome.exported == 0);
                self.outcome.given_up += self.book_given_back(rest, reasons::CANCELLED);
                "the sender went away"
            }
            None => {
                self.shared.journal.lost(rest, reasons::UNACCOUNTED, "the exporter lost count of them");
                self.dropped(rest, reasons::UNACCOUNTED);
                "the exporter lost count of them"
            }
        };
        self.outcome.reason.get_or_insert_with(|| detail.to_owned());
        let is_left = cut == Some(Cut::Expired) && self.awaited == Awaited::No;
        (self.outcome, if is_left { rest } else { 0 })
    }

    fn book_given_back(&mut self, items: u64, reason: &'static str) -> u64 {
        let items = self.take(items);
        if items > 0 {
            self.shared.report.given_back(self.batch, items, reason);
        }
        items
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
