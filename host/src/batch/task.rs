//! The batcher's task: owns the batcher, the clock and the way on.

use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, oneshot};

use super::batcher::{Batcher, Limits, Trigger};
use crate::model::{Batch, Refusal};
use crate::telemetry::Telemetry;

/// How many requests may wait for the batcher; what they hold is bounded by the memory budget.
const INBOX: usize = 64;

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
    inbox: mpsc::Sender<(Vec<Batch>, oneshot::Sender<Answer>)>,
}

impl BatchHandle {
    /// Hands over batches; they are the batcher's as soon as this returns without an error.
    ///
    /// # Errors
    /// Refuses when the batcher is stopping or has too many metadata combinations.
    pub async fn push(&self, batches: Vec<Batch>) -> Answer {
        let (reply, answer) = oneshot::channel();
        let stopping =
            || Refused::all(Refusal::Busy { reason: "shutting down".into(), retry_after: Duration::from_secs(1) });
        self.inbox.send((batches, reply)).await.map_err(|_| stopping())?;
        answer.await.map_err(|_| stopping())?
    }
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
    let task = tokio::spawn(async move {
        let sender = Sender { id, telemetry, next };
        let mut batcher = Batcher::new(limits);
        loop {
            let due = batcher.next_due();
            tokio::select! {
                biased;
                () = sleep_until(due) => sender.send(batcher.poll(Instant::now())).await,
                message = received.recv() => match message {
                    Some((batches, reply)) => sender.take(&mut batcher, batches, reply).await,
                    None => break,
                },
            }
        }
        sender.send(batcher.drain()).await;
    });
    (BatchHandle { inbox }, task)
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
    next: F,
}

impl<F, Fut> Sender<F>
where
    F: Fn(Batch) -> Fut,
    Fut: Future<Output = ()>,
{
    async fn take(&self, batcher: &mut Batcher, batches: Vec<Batch>, reply: oneshot::Sender<Answer>) {
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
            (self.next)(batch).await;
        }
    }
}
