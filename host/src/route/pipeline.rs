//! A pipeline: segments of stages, separated by batchers, that end in a fan-out.

use std::sync::Arc;
use std::time::Duration;

use super::fan_out::FanOut;
use crate::batch::BatchHandle;
use crate::model::{Batch, Refusal, Signal};
use crate::stage::{Chain, ChainOutcome};
use crate::telemetry::{Entry, Telemetry};

/// A pipeline as receivers see it.
#[derive(Clone)]
pub struct Pipeline {
    /// Its id in the configuration, such as `traces/audit`.
    pub id: Arc<str>,
    /// What it carries.
    pub signal: Signal,
    head: Arc<Segment>,
    telemetry: Telemetry,
}

/// Stages that run one after the other on the sender's own task, and what comes after them.
pub struct Segment {
    chain: Option<Chain>,
    next: Next,
    telemetry: Telemetry,
}

/// What comes after a segment.
pub enum Next {
    /// A batch processor; the rest of the pipeline runs on its task.
    Batcher(BatchHandle),
    /// The exporters.
    Exporters(FanOut),
}

impl Pipeline {
    /// A pipeline that begins with this segment.
    pub fn new(id: &str, signal: Signal, head: Segment, telemetry: Telemetry) -> Self {
        Self { id: Arc::from(id), signal, head: Arc::new(head), telemetry }
    }

    /// Takes a batch from a receiver. When this returns without an error, the batch is ours.
    ///
    /// # Errors
    /// Refuses what a stage refuses, and everything when no exporter has room.
    pub async fn consume(&self, batch: Batch) -> Result<(), Refusal> {
        self.telemetry.ledger.book(&batch.tenant, batch.signal, Entry::Accepted, batch.items);
        self.head.consume(batch).await
    }
}

impl Segment {
    /// Stages, if any, and what comes after them.
    pub fn new(chain: Option<Chain>, next: Next, telemetry: Telemetry) -> Self {
        Self { chain, next, telemetry }
    }

    /// Runs the stages and hands on what they leave.
    ///
    /// # Errors
    /// Refuses what a stage refuses, and everything when no exporter has room. What is refused is booked as such.
    pub async fn consume(&self, batch: Batch) -> Result<(), Refusal> {
        let batches = self.run(batch)?;
        let items: Vec<_> = batches.iter().map(|batch| (batch.tenant.clone(), batch.signal, batch.items)).collect();
        let handed_on = match &self.next {
            Next::Exporters(fan_out) => fan_out.deliver(batches).await,
            Next::Batcher(batcher) => batcher.push(batches).await,
        };
        if let Err(refusal) = &handed_on {
            for (tenant, signal, items) in items {
                self.telemetry.ledger.book(&tenant, signal, Entry::Rejected(reason(refusal)), items);
            }
        }
        handed_on
    }

    /// The same for a batch that nobody can be asked to send again: it waits for room, and what a stage refuses is
    /// lost, with its reason in the log.
    pub async fn consume_or_wait(&self, batch: Batch) {
        let batches = match self.run(batch) {
            Ok(batches) => batches,
            Err(refusal) => {
                tracing::error!(%refusal, "a stage refused data that was acknowledged before");
                return;
            }
        };
        match &self.next {
            Next::Exporters(fan_out) => {
                for batch in batches {
                    fan_out.deliver_or_wait(batch).await;
                }
            }
            Next::Batcher(batcher) => {
                if let Err(refusal) = batcher.push(batches).await {
                    tracing::error!(%refusal, "a batch processor refused data that was acknowledged before");
                }
            }
        }
    }

    /// Runs the stages and books what they did.
    fn run(&self, batch: Batch) -> Result<Vec<Batch>, Refusal> {
        let Some(chain) = &self.chain else { return Ok(vec![batch]) };
        let (tenant, signal, items) = (batch.tenant.clone(), batch.signal, batch.items);
        match chain.run(batch) {
            Ok(outcome) => {
                self.book(&tenant, signal, &outcome);
                Ok(outcome.batches)
            }
            Err(refusal) => {
                self.telemetry.ledger.book(&tenant, signal, Entry::Rejected(reason(&refusal)), items);
                Err(refusal)
            }
        }
    }

    fn book(&self, tenant: &crate::model::TenantId, signal: Signal, outcome: &ChainOutcome) {
        let ledger = &self.telemetry.ledger;
        ledger.book(tenant, signal, Entry::Filtered, outcome.filtered);
        ledger.book(tenant, signal, Entry::SampledOut, outcome.sampled);
        ledger.book(tenant, signal, Entry::Dropped("stage_failed"), outcome.dropped);
        for batch in outcome.batches.iter().filter(|batch| batch.tenant != *tenant) {
            ledger.book(tenant, signal, Entry::MovedOut, batch.items);
            ledger.book(&batch.tenant, signal, Entry::MovedIn, batch.items);
        }
    }
}

fn reason(refusal: &Refusal) -> &'static str {
    match refusal {
        Refusal::Busy { .. } => "busy",
        Refusal::Permanent { .. } => "refused_by_stage",
    }
}

/// Hands a receiver's batch to all pipelines that it feeds.
#[derive(Clone)]
pub struct Pipelines(Arc<[Pipeline]>);

impl Pipelines {
    /// These.
    pub fn new(pipelines: Vec<Pipeline>) -> Self {
        Self(pipelines.into())
    }

    /// Whether there is any.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Hands the batch to each pipeline. It is accepted when all have it: a sender that is told to try again gives
    /// it to all of them again.
    ///
    /// # Errors
    /// The first refusal.
    pub async fn consume(&self, batch: Batch) -> Result<(), Refusal> {
        let [pipelines @ .., last] = &*self.0 else {
            return Err(Refusal::Busy { reason: "no pipeline".into(), retry_after: Duration::from_secs(1) });
        };
        for pipeline in pipelines {
            pipeline.consume(batch.clone()).await?;
        }
        last.consume(batch).await
    }
}
