//! An exporter's bounded queue: takes batches until it is full, and drains on shutdown.
//!
//! The consumers (`worker`) know the exporter; the queue itself doesn't, so that pipelines hold all queues alike.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{Notify, Semaphore, oneshot, watch};
use tokio::task::JoinSet;
use tokio::time::{Duration, Instant, timeout_at};

pub use crate::config::types::QueueSizer as Sizer;
use crate::config::types::{QueueConfig, RetryConfig};
use crate::export::Exporter;
use crate::export::dead_letter::DeadLetters;
use crate::export::report::Report;
use crate::model::{Batch, Signal, TenantId};
use crate::pace::Rest;
use gather::Gathered;
pub use gather::Gathering;
pub use journal::Health;
use journal::Journal;

mod gather;
mod journal;
mod worker;

#[cfg(test)]
mod tests;

/// What consumers get to give up what they have. One that does not, since it is busy with cutting or encoding, must not
/// keep the process from its end.
const GIVE_UP: Duration = Duration::from_millis(500);

/// How an exporter's queue works.
#[derive(Clone, Debug)]
pub struct QueueSettings {
    /// The exporter's id in the configuration, such as `otlp/central`.
    pub exporter: String,
    /// How much may be waiting and in flight together, in the sizer's unit.
    pub queue_size: u64,
    /// What `queue_size` counts.
    pub sizer: Sizer,
    /// The bytes that may be waiting and in flight whatever `queue_size` says: one dead destination must not keep all of
    /// the memory budget from the others.
    pub max_bytes: u64,
    /// How many batches are sent at the same time; with one, their order is kept.
    pub num_consumers: usize,
    /// How many requests of one batch are sent at the same time. More than one suits exporters whose requests need no
    /// order among themselves.
    pub parallel_requests: usize,
    /// Joins what waits before it is sent, and cuts what is too large.
    pub gather: Option<Gathering>,
    /// Permits to encode and compress what is large, of which there are fewer than cores: the rest must go on meanwhile.
    pub large: Arc<Semaphore>,
    /// When a request that failed is sent again.
    pub retry: RetryConfig,
    /// Where refused items are kept, if anywhere.
    pub dead_letters: Option<Arc<DeadLetters>>,
}

/// A running queue with its consumers. What is still in it when it is dropped undrained is given up.
pub struct Queue {
    shared: Arc<Shared>,
    consumers: Mutex<JoinSet<()>>,
}

/// How full a queue is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gauges {
    /// What is waiting and in flight, in the sizer's unit.
    pub size: u64,
    /// The most that `size` grows to.
    pub capacity: u64,
    /// Batches that are being sent or wait for a retry.
    pub in_flight_batches: u64,
    /// Items that are waiting or in flight.
    pub items: u64,
}

/// Whether a batch's sender waits for what becomes of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Awaited {
    /// It was told that we have it.
    No,
    /// It does, and sends again what is given up.
    Yes,
}

/// What became of one batch, for a sender that waits for it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// Items that the destination has.
    pub exported: u64,
    /// Items that it refused for good.
    pub refused: u64,
    /// Items that can't be expressed for it, or that nobody knows about.
    pub dropped: u64,
    /// Items that were given up though it might take them another time.
    pub given_up: u64,
    /// The last failure, in the destination's words.
    pub reason: Option<String>,
    /// Whether this is of several senders' batches together: nobody knows whose items were refused.
    pub joined: bool,
}

impl Outcome {
    fn add(&mut self, other: Self) {
        self.exported += other.exported;
        self.refused += other.refused;
        self.dropped += other.dropped;
        self.given_up += other.given_up;
        self.reason = other.reason.or(self.reason.take());
    }
}

/// What a drained queue could not deliver before its deadline.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Left {
    /// Batches with at least one undelivered item.
    pub batches: u64,
    /// Items in them.
    pub items: u64,
}

struct Shared {
    settings: QueueSettings,
    state: Mutex<State>,
    /// A batch has come, or the queue was closed.
    work: Notify,
    /// A batch has ended, or the queue was closed.
    space: Notify,
    phase: watch::Sender<Phase>,
    journal: Journal,
    report: Arc<dyn Report>,
}

#[derive(Default)]
struct State {
    waiting: VecDeque<Entry>,
    /// What waits for more of its kind, if batches are joined.
    gathering: HashMap<(Signal, TenantId), Gathered>,
    /// By what is waiting and in flight.
    takes: Takes,
    in_flight_batches: u64,
    closed: bool,
    left: Left,
}

/// What is sent in one go.
struct Entry {
    /// One batch, or several that will be joined.
    batches: Vec<Batch>,
    /// The senders that wait for the outcome.
    done: Vec<oneshot::Sender<Outcome>>,
    awaited: Awaited,
    takes: Takes,
}

/// What batches take of a queue.
#[derive(Clone, Copy, Default)]
struct Takes {
    /// In the sizer's unit.
    size: u64,
    bytes: u64,
    items: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Phase {
    Running,
    /// Nothing new comes in; whoever waits for a retry tries once more at once.
    Draining,
    /// Whatever is left is given up.
    Expired,
}

impl Takes {
    fn add(&mut self, other: Self) {
        *self = self.and(other);
    }

    fn and(self, other: Self) -> Self {
        Self {
            size: self.size.saturating_add(other.size),
            bytes: self.bytes.saturating_add(other.bytes),
            items: self.items.saturating_add(other.items),
        }
    }

    fn without(self, other: Self) -> Self {
        Self {
            size: self.size.saturating_sub(other.size),
            bytes: self.bytes.saturating_sub(other.bytes),
            items: self.items.saturating_sub(other.items),
        }
    }

    fn is_within(self, settings: &QueueSettings) -> bool {
        self.size <= settings.queue_size && self.bytes <= settings.max_bytes
    }
}

impl State {
    /// What the deadline left over, with what is still here because a consumer stands still. That one books it if it ever
    /// goes on.
    fn all_left(&mut self) -> Left {
        self.release(true, Instant::now());
        let waiting: usize = self.waiting.iter().map(|entry| entry.batches.len()).sum();
        Left {
            batches: self.left.batches + self.in_flight_batches + waiting as u64,
            items: self.left.items + self.takes.items,
        }
    }
}

impl QueueSettings {
    /// What an exporter's configuration says.
    pub fn new(exporter: &str, queue: &QueueConfig, retry: &RetryConfig) -> Self {
        // Without a queue it is the memory budget that bounds what senders wait for.
        let (queue_size, sizer) =
            if queue.enabled { (queue.queue_size, queue.sizer) } else { (u64::MAX, Sizer::Requests) };
        Self {
            exporter: exporter.to_owned(),
            queue_size,
            sizer,
            max_bytes: u64::MAX,
            num_consumers: queue.num_consumers.max(1) as usize,
            parallel_requests: 1,
            large: Arc::new(Semaphore::new(1)),
            gather: Gathering::of(queue),
            retry: *retry,
            dead_letters: None,
        }
    }
}

/// The size of a batch in a sizer's unit.
fn size(sizer: Sizer, batch: &Batch) -> u64 {
    match sizer {
        Sizer::Requests => 1,
        Sizer::Items => batch.items,
        Sizer::Bytes => batch.bytes.len() as u64,
    }
}

impl Queue {
    /// Starts the consumers on the current runtime.
    pub fn start<E: Exporter>(exporter: E, settings: QueueSettings, report: Arc<dyn Report>) -> Self {
        let num_consumers = settings.num_consumers.max(1);
        let shared = Arc::new(Shared {
            journal: Journal::new(&settings.exporter),
            settings,
            state: Mutex::default(),
            work: Notify::new(),
            space: Notify::new(),
            phase: watch::Sender::new(Phase::Running),
            report,
        });
        let exporter = Arc::new(exporter);
        let mut consumers = JoinSet::new();
        for _ in 0..num_consumers {
            consumers.spawn(worker::run(Arc::clone(&exporter), Arc::clone(&shared)));
        }
        Self { shared, consumers: Mutex::new(consumers) }
    }

    /// Takes these batches, all or none: the parts of a request, which its sender sends again as a whole. If it waits, gives
    /// for each what tells what became of it (`wait_for_result`); one that fails means that the process is going down, and
    /// a batch whose sender drops it is not sent any more. None if there is no room, or if the queue is closed.
    ///
    /// What is larger than the whole queue is taken when the queue is empty, since it would never fit otherwise; the memory
    /// budget bounds it.
    pub fn try_push(&self, batches: &[Batch], awaited: Awaited) -> Option<Vec<oneshot::Receiver<Outcome>>> {
        self.shared.try_push(batches, awaited)
    }

    /// Takes them as soon as there is room (`block_on_overflow`); none once the queue is closed. Dropping the future takes
    /// nothing.
    pub async fn push(&self, batches: &[Batch], awaited: Awaited) -> Option<Vec<oneshot::Receiver<Outcome>>> {
        loop {
            let space = self.shared.space.notified();
            let taken = self.shared.try_push(batches, awaited);
            if taken.is_some() || self.shared.state().closed {
                return taken;
            }
            space.await;
        }
    }

    /// Tells how full the queue is.
    pub fn gauges(&self) -> Gauges {
        let state = self.shared.state();
        Gauges {
            size: state.takes.size,
            capacity: self.shared.settings.queue_size,
            in_flight_batches: state.in_flight_batches,
            items: state.takes.items,
        }
    }

    /// Tells whether the destination takes anything.
    pub fn health(&self) -> Health {
        self.shared.journal.health()
    }

    /// Closes the queue, sends what is in it until the deadline, gives up the rest and says how much that was.
    pub async fn drain(&self, deadline: Instant) -> Left {
        self.shared.close(Phase::Draining);
        let mut consumers = std::mem::take(&mut *self.consumers.lock().unwrap_or_else(PoisonError::into_inner));
        if timeout_at(deadline, ended(&mut consumers)).await.is_err() {
            self.shared.close(Phase::Expired);
            let _ = timeout_at(Instant::now() + GIVE_UP, ended(&mut consumers)).await;
            consumers.detach_all();
        }
        self.shared.state().all_left()
    }

    /// Tells what was not told yet.
    pub fn tell(&self, rest: Rest) {
        self.shared.journal.tell(rest);
    }
}

async fn ended(consumers: &mut JoinSet<()>) {
    while consumers.join_next().await.is_some() {}
}

impl Drop for Queue {
    fn drop(&mut self) {
        self.shared.close(Phase::Expired);
        // The consumers end by themselves and report what they leave.
        self.consumers.lock().unwrap_or_else(PoisonError::into_inner).detach_all();
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn try_push(&self, batches: &[Batch], awaited: Awaited) -> Option<Vec<oneshot::Receiver<Outcome>>> {
        let takes_of = |batch: &Batch| Takes {
            size: size(self.settings.sizer, batch),
            bytes: batch.bytes.len() as u64,
            items: batch.items,
        };
        let mut total = Takes::default();
        batches.iter().for_each(|batch| total.add(takes_of(batch)));
        let mut state = self.state();
        let fits = state.takes.size == 0 || state.takes.and(total).is_within(&self.settings);
        if state.closed || !fits {
            return None;
        }
        state.takes.add(total);
        let mut outcomes = Vec::new();
        for batch in batches {
            let done = (awaited != Awaited::No).then(oneshot::channel).map(|(done, outcome)| {
                outcomes.push(outcome);
                done
            });
            let done = done.into_iter().collect();
            let entry = Entry { batches: vec![batch.clone()], done, awaited, takes: takes_of(batch) };
            match &self.settings.gather {
                Some(settings) => state.gather(entry, settings, Instant::now()),
                None => state.waiting.push_back(entry),
            }
        }
        drop(state);
        self.work.notify_one();
        Some(outcomes)
    }

    /// The next batch; none once the queue is closed and empty.
    async fn next(&self) -> Option<Entry> {
        loop {
            let work = self.work.notified();
            let due = {
                let mut state = self.state();
                let everything = state.closed;
                state.release(everything, Instant::now());
                if let Some(entry) = state.waiting.pop_front() {
                    state.in_flight_batches += entry.batches.len() as u64;
                    if !state.gathering.is_empty() || !state.waiting.is_empty() {
                        // This consumer is busy from now on: another one takes what else waits, since two notices may have
                        // become one, and watches the time of what is gathered.
                        self.work.notify_one();
                    }
                    return Some(entry);
                }
                if state.closed {
                    return None;
                }
                state.next_due()
            };
            match due {
                // Work or time, either is looked at anew.
                Some(due) => drop(timeout_at(due, work).await),
                None => work.await,
            }
        }
    }

    /// Gives back the room of what ended: so many batches, so much of the queue, and what the deadline left of it.
    fn end(&self, batches: u64, takes: Takes, left: Left) {
        let mut state = self.state();
        state.takes = state.takes.without(takes);
        state.in_flight_batches -= batches;
        state.left.batches += left.batches;
        state.left.items += left.items;
        drop(state);
        self.space.notify_waiters();
    }

    fn close(&self, phase: Phase) {
        self.state().closed = true;
        self.phase.send_modify(|current| *current = phase.max(*current));
        self.work.notify_waiters();
        self.space.notify_waiters();
    }
}
