//! The pipelines of a configuration: stages and batch processors, joined to the exporters' queues.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use http::HeaderName;
use tokio::task::JoinHandle;

use super::plugin_info::PluginInfo;
use super::{StartError, stages};
use crate::batch::{self, Limits};
use crate::config::component::BatchConfig;
use crate::config::{ComponentId, Config, ConfigErrors, PipelineConfig, PluginConfig, ProcessorConfig};
use crate::export::report::reasons;
use crate::model::{Batch, Refusal, Signal, TenantId};
use crate::pace::Rest;
use crate::receive::{BoxFuture, Consume};
use crate::route::pipeline::{Next, Pipelines};
use crate::route::{Destination, FanOut, Losses, Pipeline, Segment};
use crate::stage::{Catalog, Chain, FailureKind, NotReloaded, Reload, Reloader, StageConfigError};
use crate::telemetry::{Entry, Metrics, Telemetry};

/// Losses that the ledger shows from the start. What an exporter can't express has reasons of its own, and is among what
/// it failed to send.
const LOSSES: [Entry; 8] = [
    Entry::Dropped("queue_full"),
    Entry::Dropped("refused_by_destination"),
    Entry::Dropped(reasons::RETRIES_EXHAUSTED),
    Entry::Dropped(reasons::RETRY_DISABLED),
    Entry::Dropped("stage_failed"),
    Entry::Dropped("refused_by_stage"),
    Entry::Dropped("refused_by_batcher"),
    Entry::DeadLettered,
];

/// All pipelines, and what keeps their plugins up to date.
pub(super) struct Graph {
    receivers: BTreeMap<(ComponentId, Signal), Pipelines>,
    headers: Vec<HeaderName>,
    default_tenant: TenantId,
    sums: Arc<Sums>,
    _reloader: Option<Reloader>,
}

impl Graph {
    /// Where a receiver's telemetry of one signal goes, if anywhere.
    pub(super) fn consumer(&self, receiver: &ComponentId, signal: Signal) -> Option<Consumer> {
        let pipelines = self.receivers.get(&(receiver.clone(), signal))?.clone();
        Some(Consumer { pipelines, tenant: self.default_tenant.clone() })
    }

    /// What outlives it.
    pub(super) fn sums(&self) -> Arc<Sums> {
        Arc::clone(&self.sums)
    }

    /// Request headers that some stage or batch processor reads.
    pub(super) fn headers(&self) -> &[HeaderName] {
        &self.headers
    }
}

/// Parts of the pipelines that sum up in the log what they lost.
pub(super) struct Sums {
    losses: Vec<Arc<Losses>>,
    chains: Vec<Arc<Chain>>,
}

impl Sums {
    /// Tells what was not told yet.
    pub(super) fn tell(&self, rest: Rest) {
        self.chains.iter().for_each(|chain| chain.tell(rest));
        self.losses.iter().for_each(|losses| losses.tell(rest));
    }
}

/// What receivers hand their batches to.
pub(super) struct Consumer {
    pipelines: Pipelines,
    tenant: TenantId,
}

impl Consume for Consumer {
    fn consume(&self, batch: Batch) -> BoxFuture<'_, Result<(), Refusal>> {
        let batch = Batch { tenant: self.tenant.clone(), ..batch };
        Box::pin(self.pipelines.consume(batch))
    }
}

/// Builds all pipelines, and gives the tasks of their batch processors, the first in the flow first.
///
/// # Errors
/// All mistakes in stages.
pub(super) fn build(
    config: &Config,
    destinations: &BTreeMap<ComponentId, Arc<Destination>>,
    telemetry: &Telemetry,
) -> Result<(Graph, Vec<JoinHandle<()>>), StartError> {
    let catalog = stages::catalog(config).map_err(|error| StartError::service(&error.to_string()))?;
    let mut builder = Builder {
        config,
        destinations,
        telemetry,
        catalog,
        chains: Vec::new(),
        losses: Vec::new(),
        headers: BTreeSet::new(),
        batchers: BTreeMap::new(),
    };
    let default_tenant = TenantId::new(&config.tenants.default);
    let mut fed: BTreeMap<(ComponentId, Signal), Vec<Pipeline>> = BTreeMap::new();
    for (id, pipeline) in &config.service.pipelines {
        let head = builder.head(pipeline, id.signal(), &id.to_string())?;
        LOSSES.iter().for_each(|loss| telemetry.ledger.show(&default_tenant, id.signal(), *loss));
        let built = Pipeline::new(id.signal(), head, telemetry.clone());
        for receiver in &pipeline.receivers {
            fed.entry((receiver.clone(), id.signal())).or_default().push(built.clone());
        }
    }
    let graph = Graph {
        receivers: fed.into_iter().map(|(key, all)| (key, Pipelines::new(all))).collect(),
        headers: builder.header_names(),
        default_tenant,
        _reloader: builder.reloader(PluginInfo::start(&builder.chains, &telemetry.metrics))?,
        sums: Arc::new(Sums { losses: builder.losses, chains: builder.chains }),
    };
    Ok((graph, builder.batchers.into_values().rev().flatten().collect()))
}

struct Builder<'a> {
    config: &'a Config,
    destinations: &'a BTreeMap<ComponentId, Arc<Destination>>,
    telemetry: &'a Telemetry,
    catalog: Catalog,
    chains: Vec<Arc<Chain>>,
    losses: Vec<Arc<Losses>>,
    headers: BTreeSet<String>,
    /// By how many batch processors come after them in their pipeline.
    batchers: BTreeMap<usize, Vec<JoinHandle<()>>>,
}

impl Builder<'_> {
    /// Builds a pipeline from its end, and gives the segment that it begins with.
    fn head(&mut self, pipeline: &PipelineConfig, signal: Signal, name: &str) -> Result<Segment, StartError> {
        let exporters = pipeline.exporters.iter().filter_map(|id| self.destinations.get(id).cloned());
        let exporters: Vec<_> = exporters.collect();
        exporters.iter().for_each(|exporter| self.telemetry.metrics.will_export(signal, &exporter.id.to_string()));
        let mut next = Next::Exporters(FanOut::new(exporters, self.telemetry.clone()));
        let losses = Losses::new(name, pipeline.exporters.iter().map(ToString::to_string).collect());
        self.losses.push(Arc::clone(&losses));
        let mut stages = Vec::new();
        let mut depth = 0;
        // Headers that are read behind the processor that comes next on the way to the begin.
        let mut behind = BTreeSet::new();
        for id in pipeline.processors.iter().rev() {
            match self.config.processors.get(id) {
                Some(ProcessorConfig::Plugin(plugin)) => stages.insert(0, (id, plugin.as_ref())),
                Some(ProcessorConfig::Batch(settings)) => {
                    let rest = self.segment(std::mem::take(&mut stages), next, signal, &losses)?;
                    behind.extend(rest.headers().cloned());
                    behind.extend(settings.metadata_keys.iter().map(|key| key.to_ascii_lowercase()));
                    next = self.batcher(id, settings, &behind, rest, depth);
                    depth += 1;
                }
                // It became the budget of the process.
                Some(ProcessorConfig::MemoryLimiter(_)) | None => {}
            }
        }
        tracing::debug!(pipeline = name, batch_processors = depth, "built");
        self.segment(stages, next, signal, &losses)
    }

    /// A batch processor that keeps requests apart by the headers that it is told to, and by those that somebody behind it
    /// reads: joined with others, a request would get theirs.
    fn batcher(
        &mut self,
        id: &ComponentId,
        settings: &BatchConfig,
        headers: &BTreeSet<String>,
        rest: Segment,
        depth: usize,
    ) -> Next {
        self.headers.extend(headers.iter().cloned());
        let limits = Limits {
            send_batch_size: settings.send_batch_size.into(),
            send_batch_max_size: settings.send_batch_max_size.into(),
            timeout: settings.timeout.get(),
            metadata_keys: headers.iter().cloned().collect(),
            // It is a limit for keys that somebody asked for; memory bounds the others.
            metadata_cardinality_limit: match settings.metadata_cardinality_limit {
                limit if limit > 0 && !settings.metadata_keys.is_empty() => limit as usize,
                _ => usize::MAX,
            },
        };
        let rest = Arc::new(rest);
        let next = move |batch| {
            let rest = Arc::clone(&rest);
            async move { rest.consume_or_wait(batch).await }
        };
        let (handle, task) = batch::spawn(id.to_string(), limits, self.telemetry.clone(), next);
        self.batchers.entry(depth).or_default().push(task);
        Next::Batcher(handle)
    }

    fn segment(
        &mut self,
        stages: Vec<(&ComponentId, &PluginConfig)>,
        next: Next,
        signal: Signal,
        losses: &Arc<Losses>,
    ) -> Result<Segment, StartError> {
        if stages.is_empty() {
            return Ok(Segment::new(None, next, Arc::clone(losses), self.telemetry.clone()));
        }
        let started = std::time::Instant::now();
        let specs = stages.iter().map(|(id, plugin)| stages::spec(id, plugin)).collect();
        let chain = Chain::new(&self.catalog, signal, specs);
        let chain = Arc::new(chain.map_err(|mistakes| self.refused(&stages, &mistakes))?);
        self.headers.extend(chain.headers().iter().cloned());
        self.chains.push(Arc::clone(&chain));
        stages.iter().for_each(|(id, _)| will_call(&id.to_string(), &self.telemetry.metrics));
        tracing::debug!(elapsed = ?started.elapsed(), stages = stages.len(), "chain configured");
        Ok(Segment::new(Some(chain), next, Arc::clone(losses), self.telemetry.clone()))
    }

    /// Why there is no start. One chain does not work; whoever mends it wants to hear of the others, too.
    fn refused(&self, stages: &[(&ComponentId, &PluginConfig)], mistakes: &[StageConfigError]) -> StartError {
        let mut errors = ConfigErrors::default();
        errors.add(stages::check_all(self.config, &self.catalog, &[]));
        if errors.errors.is_empty() {
            errors.add(mistakes.iter().map(|mistake| stages::placed(stages, mistake)).collect());
        }
        StartError::Configuration(errors)
    }

    fn header_names(&self) -> Vec<HeaderName> {
        self.headers.iter().filter_map(|name| name.parse().ok()).collect()
    }

    fn reloader(&self, mut info: PluginInfo) -> Result<Option<Reloader>, StartError> {
        if !self.config.plugins.watch || self.config.plugins.directory.is_none() || self.chains.is_empty() {
            return Ok(None);
        }
        let metrics = Arc::clone(&self.telemetry.metrics);
        let reloader = {
            let quiet = self.config.plugins.settle.get();
            Reloader::start(&self.catalog, &self.chains, quiet, move |reload| {
                info.renew();
                observe(reload, &metrics);
            })
        };
        reloader.map(Some).map_err(|error| StartError::service(&format!("can't watch the plugin directory: {error}")))
    }
}

/// Shows the counters of a stage before there is anything to count, as those of exporters.
fn will_call(stage: &str, metrics: &Metrics) {
    for result in ["ok", "skipped"].into_iter().chain(FailureKind::ALL.map(FailureKind::as_str)) {
        metrics.stage_calls.with_label_values(&[stage, result]);
    }
    for result in ["swapped", "refused"] {
        metrics.plugin_reloads.with_label_values(&[stage, result]);
    }
}

/// Counts what a look at the plugin directory led to, for each pipeline; the reloader itself writes the log.
fn observe(reload: &Reload, metrics: &Metrics) {
    for change in &reload.changes {
        metrics.plugin_reloads.with_label_values(&[change.stage.as_str(), "swapped"]).inc();
    }
    for NotReloaded { error, .. } in &reload.errors {
        metrics.plugin_reloads.with_label_values(&[error.stage.as_str(), "refused"]).inc();
    }
}
