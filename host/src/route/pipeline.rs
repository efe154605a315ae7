//! A pipeline: segments of stages, separated by batchers, that end in a fan-out.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

use futures_util::future::join_all;
use tokio::sync::Semaphore;

use super::fan_out::{Debt, FanOut};
use super::losses::Losses;
use crate::batch::BatchHandle;
use crate::model::{Batch, Refusal, Signal, TenantId};
use crate::stage::{Chain, LeftOut, StageReport, aside};
use crate::telemetry::metrics::Exported;
use crate::telemetry::{Entry, Telemetry};

/// A pipeline as receivers see it.
#[derive(Clone)]
pub struct Pipeline {
    /// What it carries.
    pub signal: Signal,
    head: Arc<Segment>,
    telemetry: Telemetry,
}

/// What a segment did not take. Whoever has it decides how its items end.
struct Refused<'a> {
    refusal: Refusal,
    debt: Debt<'a>,
}

/// Stages that run one after the other on the sender's own task, and what comes after them.
pub struct Segment {
    chain: Option<Arc<Chain>>,
    next: Next,
    losses: Arc<Losses>,
    telemetry: Telemetry,
}

/// What comes after a segment.
pub enum Next {
    /// A batch processor; the rest of the pipeline runs on its task.
    Batcher(BatchHandle),
    /// The exporters.
    Exporters(FanOut),
}

/// More items than this take so long that other tasks of the thread go on elsewhere meanwhile.
const IN_ONE_GO: u64 = 8192;
/// One such batch for each core: others wait, since each takes memory to work with.
static LARGE_BATCHES: LazyLock<Semaphore> =
    LazyLock::new(|| Semaphore::new(std::thread::available_parallelism().map_or(1, usize::from)));

impl Pipeline {
    /// A pipeline that begins with this segment.
    pub fn new(signal: Signal, head: Segment, telemetry: Telemetry) -> Self {
        Self { signal, head: Arc::new(head), telemetry }
    }

    /// Takes a batch from a receiver. When this returns without an error, the batch is ours.
    ///
    /// # Errors
    /// Refuses what a stage refuses, and everything when no exporter has room.
    pub async fn consume(&self, batch: Batch) -> Result<(), Refusal> {
        self.offer(batch, Entry::Accepted).await.map_err(Refused::give_back)
    }

    /// The same, but that what nobody has room for is not booked yet; `came` says as what to book what comes in.
    async fn offer(&self, batch: Batch, came: Entry) -> Result<(), Refused<'_>> {
        self.telemetry.ledger.book(&batch.tenant, batch.signal, came, batch.items);
        self.head.offer(batch).await
    }

    /// The sender is told that others have it.
    fn lose(&self, mut refused: Refused<'_>) {
        self.head.losses.no_room(refused.debt.items(), &refused.refusal);
        refused.debt.end(Entry::Dropped("queue_full"));
    }
}

impl Refused<'_> {
    /// The sender is told, and has it.
    fn give_back(mut self) -> Refusal {
        // A batch that a stage refused is booked already.
        self.debt.end(Entry::Rejected(reason(&self.refusal, "refused_by_batcher")));
        self.refusal
    }
}

impl Segment {
    /// Stages, if any, and what comes after them, in the pipeline whose losses these are.
    pub fn new(chain: Option<Arc<Chain>>, next: Next, losses: Arc<Losses>, telemetry: Telemetry) -> Self {
        Self { chain, next, losses, telemetry }
    }

    /// Names of the request headers that its stages read.
    pub fn headers(&self) -> impl Iterator<Item = &String> {
        self.chain.iter().flat_map(|chain| chain.headers())
    }

    /// Runs the stages and hands on what they leave.
    ///
    /// # Errors
    /// Refuses what a stage refuses, and everything when no exporter has room. What is refused is booked as such.
    pub async fn consume(&self, batch: Batch) -> Result<(), Refusal> {
        self.offer(batch).await.map_err(Refused::give_back)
    }

    /// The same, but that what nobody has room for is not booked yet.
    async fn offer(&self, batch: Batch) -> Result<(), Refused<'_>> {
        let refused_by_stage = |refusal| Refused { refusal, debt: Debt::new(&self.telemetry.ledger, &[]) };
        let as_rejected = |refusal: &Refusal| Entry::Rejected(reason(refusal, "refused_by_stage"));
        let signal = batch.signal;
        let batches = self.run(batch, as_rejected).await.map_err(refused_by_stage)?;
        let mut debt = Debt::new(&self.telemetry.ledger, &batches);
        if batches.is_empty() {
            debt.settle();
            return Ok(()); // nothing is left to wait for room with
        }
        match &self.next {
            Next::Exporters(fan_out) => {
                let delivered = fan_out.deliver(batches, &mut debt).await;
                delivered.map_err(|refusal| Refused { refusal, debt })
            }
            Next::Batcher(batcher) => {
                let sizes = batches.iter().map(|batch| (batch.tenant.clone(), batch.signal, batch.items)).collect();
                let Err(refused) = batcher.offer(batches, || debt.settle()).await else { return Ok(()) };
                let (refusal, sizes) = refused.into_parts(sizes);
                debt.reduce_to(sizes);
                if let Refusal::Busy { .. } = refusal {
                    self.count_not_taken(signal, debt.items());
                }
                Err(Refused { refusal, debt })
            }
        }
    }

    /// A batch processor has no room, since its exporters have none. These count for whoever watches them.
    fn count_not_taken(&self, signal: Signal, items: u64) {
        self.losses.not_taken(items);
        for exporter in self.losses.exporters() {
            self.telemetry.metrics.exported(Exported::EnqueueFailed, signal, exporter, items);
        }
    }

    /// The same for a batch that nobody can be asked to send again: it waits for room, and what a stage refuses is
    /// dropped, with its reason in the log.
    pub async fn consume_or_wait(&self, batch: Batch) {
        let items = batch.items;
        let batches = match self.run(batch, |refusal| Entry::Dropped(lost(refusal))).await {
            Ok(batches) => batches,
            Err(refusal) => return self.losses.refused_by_stage(items, &refusal),
        };
        match &self.next {
            Next::Exporters(fan_out) => {
                for batch in batches {
                    fan_out.deliver_or_wait(batch).await;
                }
            }
            Next::Batcher(batcher) => {
                let sizes = batches.iter().map(|batch| (batch.tenant.clone(), batch.signal, batch.items)).collect();
                if let Err(refused) = batcher.push(batches).await {
                    let (refusal, sizes): (_, Vec<_>) = refused.into_parts(sizes);
                    self.losses.refused_by_batcher(sizes.iter().map(|(_, _, items)| items).sum(), &refusal);
                    for (tenant, signal, items) in sizes {
                        self.telemetry.ledger.book(&tenant, signal, Entry::Dropped("refused_by_batcher"), items);
                    }
                }
            }
        }
    }

    /// Runs the stages and books what they did; `refused` says as what to book a batch that one of them refused.
    async fn run(&self, batch: Batch, refused: impl FnOnce(&Refusal) -> Entry) -> Result<Vec<Batch>, Refusal> {
        let Some(chain) = &self.chain else { return Ok(vec![batch]) };
        let (tenant, signal, items) = (batch.tenant.clone(), batch.signal, batch.items);
        let outcome = match items {
            ..=IN_ONE_GO => chain.run(batch),
            _ => {
                // A sender may go away while it waits.
                let mut debt = Debt::new(&self.telemetry.ledger, std::slice::from_ref(&batch));
                let _turn = LARGE_BATCHES.acquire().await;
                debt.settle();
                aside(|| chain.run(batch))
            }
        };
        let goes_on = outcome.result.is_ok();
        outcome.stages.iter().for_each(|stage| self.measure(stage, signal, goes_on));
        for (stage, name, count) in chain.take_counts() {
            self.telemetry.metrics.plugin_counters.with_label_values(&[stage, &name]).inc_by(count);
        }
        match outcome.result {
            Ok(batches) => {
                self.book(&tenant, signal, &outcome.left_out, &batches);
                Ok(batches)
            }
            Err(refusal) => {
                self.telemetry.ledger.book(&tenant, signal, refused(&refusal), items);
                Err(refusal)
            }
        }
    }

    /// A tenant whose rows were all left out had them all the same.
    fn book(&self, tenant: &TenantId, signal: Signal, left_out: &BTreeMap<Option<String>, LeftOut>, batches: &[Batch]) {
        let ledger = &self.telemetry.ledger;
        for batch in batches {
            self.move_to(tenant, &batch.tenant, signal, batch.items);
        }
        for (name, rows) in left_out {
            let owner = name.as_deref().map_or_else(|| tenant.clone(), TenantId::new);
            self.move_to(tenant, &owner, signal, rows.sum());
            ledger.book(&owner, signal, Entry::Filtered, rows.filtered);
            ledger.book(&owner, signal, Entry::SampledOut, rows.sampled_out);
            ledger.book(&owner, signal, Entry::Dropped("stage_failed"), rows.dropped);
        }
    }

    fn move_to(&self, from: &TenantId, to: &TenantId, signal: Signal, items: u64) {
        if from != to {
            self.telemetry.ledger.book(from, signal, Entry::MovedOut, items);
            self.telemetry.ledger.book(to, signal, Entry::MovedIn, items);
        }
    }

    /// Of a batch that some stage refused none hands on anything.
    fn measure(&self, stage: &StageReport, signal: Signal, goes_on: bool) {
        let metrics = &self.telemetry.metrics;
        let labels = &[stage.stage.as_str(), signal.name()];
        let gone = if goes_on { stage.left_out.sum() } else { stage.rows_in };
        let out = stage.rows_in.saturating_sub(gone);
        metrics.processor_incoming.with_label_values(labels).inc_by(stage.rows_in);
        metrics.processor_outgoing.with_label_values(labels).inc_by(out);
        metrics.filtered(signal, &stage.stage, stage.left_out.filtered);
        metrics.stage_edited.with_label_values(labels).inc_by(stage.edited);
        metrics.stage_calls.with_label_values(&[stage.stage.as_str(), "ok"]).inc_by(stage.calls);
        metrics.stage_calls.with_label_values(&[stage.stage.as_str(), "skipped"]).inc_by(stage.skipped);
        metrics.stage_seconds.with_label_values(&[&stage.stage]).observe(stage.duration.as_secs_f64());
        for failure in &stage.failures {
            metrics.stage_calls.with_label_values(&[stage.stage.as_str(), failure.kind.as_str()]).inc();
        }
    }
}

/// Why a batch is given back; `permanent` says who refused it, if for good.
fn reason(refusal: &Refusal, permanent: &'static str) -> &'static str {
    match refusal {
        Refusal::Busy { .. } => "busy",
        Refusal::Failed { .. } => "failed",
        Refusal::Permanent { .. } => permanent,
    }
}

/// Why a batch is dropped that can't be given back.
fn lost(refusal: &Refusal) -> &'static str {
    match refusal {
        Refusal::Busy { .. } | Refusal::Failed { .. } => "stage_failed",
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

    /// Hands the batch to each pipeline, whatever the others say. Where one has no room and another has the batch, the
    /// copy of the first is lost, as with the exporters of one pipeline: a sender that is told to try again gives it to all
    /// of them again.
    ///
    /// # Errors
    /// The refusal of a pipeline, rather one after which it makes sense to try again; that one has no room is none where
    /// another has the batch.
    pub async fn consume(&self, batch: Batch) -> Result<(), Refusal> {
        if let [pipeline] = &*self.0 {
            return pipeline.consume(batch).await;
        }
        let came = [Entry::Accepted].into_iter().chain(std::iter::repeat(Entry::Duplicated));
        let offers = self.0.iter().zip(came).map(|(pipeline, came)| pipeline.offer(batch.clone(), came));
        let results = join_all(offers).await;
        let is_taken = results.iter().any(Result::is_ok);
        let refused = self.0.iter().zip(results).filter_map(|(pipeline, result)| Some((pipeline, result.err()?)));
        let refused: Vec<(&Pipeline, Refused<'_>)> = refused.collect();
        let comes_again = refused.iter().any(|(_, refused)| matches!(refused.refusal, Refusal::Failed { .. }));
        let mut refusals = Vec::new();
        for (pipeline, refused) in refused {
            match refused.refusal {
                Refusal::Busy { .. } if is_taken && !comes_again => pipeline.lose(refused),
                _ => refusals.push(refused.give_back()),
            }
        }
        if refusals.is_empty() {
            return Ok(());
        }
        let again = refusals.iter().position(|refusal| !matches!(refusal, Refusal::Permanent { .. }));
        Err(refusals.swap_remove(again.unwrap_or(0)))
    }
}
