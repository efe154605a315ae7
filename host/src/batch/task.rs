//! The batcher's task: owns the batcher, the clock and the way on.

use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout_at;

use super::batcher::{Batcher, Limits, Trigger};
use crate::model::{Batch, Refusal};
use crate::telemetry::Telemetry;

/// How many requests may wait for the batcher; what they hold is bounded by the memory budget.
const INBOX: usize = 64;

/// How long a request waits for a batcher whose exporters take nothing: senders give up after five or ten seconds.
const PATIENCE: Duration = Duration::from_secs(3);
/// When a sender may try again.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// Batches that the batcher did not take, by their position among those that were pushed.
#[derive(Debug)]
pub struct Refused {
    refusal: Refusal,
    /// None: all of them.
    positions: Option<Vec<usize>>,
}

impl Refused {
    /// The reason, and of what stands for the batches that which was refused.
    pub fn into_parts<T>(self, batches: Vec<T>) -> (Refusal, Vec<T>) {
        let Some(positions) = self.positions else { return (self.refusal, batches) };
        let refused = batches.into_iter().enumerate().filter(|(position, _)| positions.contains(position));
        (self.refusal, refused.map(|(_, batch)| batch).collect())
    }

    fn all(refusal: Refusal) -> Self {
        Self { refusal, positions: None }
    }
}

type Answer = Result<(), Refused>;

/// The way into a batcher.
#[derive(Clone)]
pub struct BatchHandle {
    inbox: mpsc::Sender<(Parcel, oneshot::Sender<Answer>)>,
    sending: Sending,
}

/// Since when one batch has been waiting to go on from the batcher, which takes nothing meanwhile.
#[derive(Clone, Default)]
struct Sending(Arc<Mutex<Option<tokio::time::Instant>>>);

/// Batches in the inbox. They are the sender's until the batcher takes them out.
#[derive(Clone)]
struct Parcel(Arc<Mutex<Option<Vec<Batch>>>>);

/// A sender that waits for the batcher to come to its parcel, and takes it back when it goes away.
struct Waiting<F: FnOnce()> {
    parcel: Parcel,
    is_taken: Option<F>,
}

impl BatchHandle {
    /// Hands over batches; they are the batcher's as soon as this returns without an error.
    ///
    /// # Errors
    /// Refuses when the batcher is stopping or has too many metadata combinations.
    pub async fn push(&self, batches: Vec<Batch>) -> Answer {
        let (reply, answer) = oneshot::channel();
        self.inbox.send((Parcel::new(batches), reply)).await.map_err(|_| stopping())?;
        answer.await.map_err(|_| stopping())?
    }

    /// The same for a sender that can come again: waits a moment only. `is_taken` is called when the batcher has had the
    /// batches, even if nobody waits for its answer any more.
    ///
    /// # Errors
    /// As [`Self::push`]; and when the batcher waits for exporters that take nothing. Where it has done so for as long as a
    /// request waits, the next ones are refused at once: they would keep other pipelines' senders waiting.
    pub async fn offer(&self, batches: Vec<Batch>, is_taken: impl FnOnce()) -> Answer {
        if self.sending.is_stuck() {
            return Err(Refused::all(busy()));
        }
        let deadline = tokio::time::Instant::now() + PATIENCE;
        let room = timeout_at(deadline, self.inbox.reserve()).await;
        let room = room.map_err(|_| Refused::all(busy()))?.map_err(|_| stopping())?;
        let (reply, mut answer) = oneshot::channel();
        let mut waiting = Waiting { parcel: Parcel::new(batches), is_taken: Some(is_taken) };
        room.send((waiting.parcel.clone(), reply));
        let answered = match timeout_at(deadline, &mut answer).await {
            Ok(answered) => answered,
            Err(_) if waiting.take_back() => return Err(Refused::all(busy())),
            // The batcher came at the last moment, and answers at once.
            Err(_) => answer.await,
        };
        answered.map_err(|_| stopping())?
    }
}

impl Sending {
    fn begin(&self) {
        *self.since() = Some(tokio::time::Instant::now());
    }

    fn end(&self) {
        *self.since() = None;
    }

    /// Whether it has lasted as long as a request waits.
    fn is_stuck(&self) -> bool {
        self.since().is_some_and(|since| since.elapsed() >= PATIENCE)
    }

    fn since(&self) -> MutexGuard<'_, Option<tokio::time::Instant>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Parcel {
    fn new(batches: Vec<Batch>) -> Self {
        Self(Arc::new(Mutex::new(Some(batches))))
    }

    /// Whoever comes first has them.
    fn take(&self) -> Option<Vec<Batch>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl<F: FnOnce()> Waiting<F> {
    /// Whether the batcher has not had it.
    fn take_back(&mut self) -> bool {
        let is_back = self.parcel.take().is_some();
        if let Some(is_taken) = self.is_taken.take().filter(|_| !is_back) {
            is_taken();
        }
        is_back
    }
}

impl<F: FnOnce()> Drop for Waiting<F> {
    fn drop(&mut self) {
        self.take_back();
    }
}

fn stopping() -> Refused {
    Refused::all(Refusal::Failed { reason: "shutting down".into(), retry_after: RETRY_AFTER })
}

fn busy() -> Refusal {
    let reason = "the batch processor waits for room in the queues of its exporters".into();
    Refusal::Busy { reason, retry_after: RETRY_AFTER }
}

/// Starts a batcher that sends to `next`; it drains and ends when the last handle is dropped.
///
/// `next` must not lose a batch: it waits where it can't go on.
pub fn spawn<F, Fut>(
    id: String,
    limits: Limits,
    telemetry: Telemetry,
    next: F,
) -> (BatchHandle, tokio::task::JoinHandle<()>)
where
    F: Fn(Batch) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = ()> + Send,
{
    let (inbox, mut received) = mpsc::channel(INBOX);
    let sending = Sending::default();
    let handle = BatchHandle { inbox, sending: sending.clone() };
    let task = tokio::spawn(async move {
        let combinations = telemetry.metrics.batch_metadata_cardinality.with_label_values(&[&id]);
        let sender = Sender { id, telemetry, sending, next };
        let mut batcher = Batcher::new(limits);
        let mut shown = 0;
        loop {
            // Every pipeline has a batcher of this name, so that each adds its own share.
            let open = i64::try_from(batcher.cardinality()).unwrap_or(i64::MAX);
            combinations.add(open - std::mem::replace(&mut shown, open));
            let due = batcher.next_due();
            tokio::select! {
                biased;
                () = sleep_until(due) => sender.send(batcher.poll(Instant::now())).await,
                message = received.recv() => match message {
                    Some((parcel, reply)) => sender.take(&mut batcher, &parcel, reply).await,
                    None => break,
                },
            }
        }
        sender.send(batcher.drain()).await;
    });
    (handle, task)
}

async fn sleep_until(due: Option<Instant>) {
    match due {
        Some(due) => tokio::time::sleep_until(due.into()).await,
        None => std::future::pending().await,
    }
}

struct Sender<F> {
    id: String,
    telemetry: Telemetry,
    sending: Sending,
    next: F,
}

impl<F, Fut> Sender<F>
where
    F: Fn(Batch) -> Fut,
    Fut: Future<Output = ()>,
{
    async fn take(&self, batcher: &mut Batcher, parcel: &Parcel, reply: oneshot::Sender<Answer>) {
        // Without them the sender has been told to come again, or has gone away.
        let Some(batches) = parcel.take() else { return };
        let mut full = Vec::new();
        let mut positions = Vec::new();
        let mut refused = None;
        for (position, batch) in batches.into_iter().enumerate() {
            match batcher.push(batch, Instant::now()) {
                Ok(ready) => full.extend(ready),
                Err(refusal) => {
                    positions.push(position);
                    refused = Some(refusal);
                }
            }
        }
        let answer = refused.map_or(Ok(()), |refusal| Err(Refused { refusal, positions: Some(positions) }));
        // The sender may have gone away; its batches are here all the same.
        let _ = reply.send(answer);
        self.send(full).await;
    }

    async fn send(&self, ready: Vec<(Batch, Trigger)>) {
        let metrics = Arc::clone(&self.telemetry.metrics);
        for (batch, trigger) in ready {
            let trigger = match trigger {
                Trigger::Size => &metrics.batch_size_trigger,
                Trigger::Timeout => &metrics.batch_timeout_trigger,
            };
            trigger.with_label_values(&[&self.id]).inc();
            metrics.batch_send_size.with_label_values(&[&self.id]).observe(batch.items as f64);
            metrics.batch_send_size_bytes.with_label_values(&[&self.id]).observe(batch.bytes.len() as f64);
            self.sending.begin();
            (self.next)(batch).await;
            self.sending.end();
        }
    }
}
