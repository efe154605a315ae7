//! A chain of stages: fields are extracted once, each stage is called in turn, the bytes are spliced once at the end.

mod report;
mod run;
mod spec;

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use arc_swap::ArcSwap;
use sluice_wire::{Columns, MAX_COLUMNS, Projection, ProjectionError, Read, TableRequest};

use super::catalog::{Catalog, CatalogError};
use super::component::{Descriptor, Drops, OnError, Origin, Plugin};
use super::configured::{Configured, Mistake};
use super::shared::{Shared, lock};
use crate::model::{Batch, Signal};
use crate::pace::Rest;

pub use report::{ChainOutcome, FailureKind, LeftOut, StageFailure, StageReport};
pub(super) use run::check_replacement;
pub use spec::{ReadSettings, Settings, StageSpec};

/// Buffers for columns that a chain keeps; more exist only while more threads run batches at the same time.
const MAX_IDLE_COLUMNS: usize = 16;

/// A mistake in a stage's configuration, or a plugin that can't run.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{stage}: {path}{}{message}", if path.is_empty() { "" } else { ": " })]
pub struct StageConfigError {
    /// The component id.
    pub stage: String,
    /// Keys and positions from the top of the stage's configuration; empty if it is about the whole.
    pub path: String,
    /// What is wrong, and what to do about it.
    pub message: String,
}

/// Stages that follow each other without anything native in between, for one signal.
pub struct Chain {
    signal: Signal,
    stages: Vec<Configurable>,
    /// What receivers keep for its stages: what these read at the start.
    headers: BTreeSet<String>,
    // One thread makes plans; batches go on with the current one meanwhile.
    plan: ArcSwap<Plan>,
}

/// A stage's configuration with what outlives the versions of its plugin.
struct Configurable {
    spec: StageSpec,
    shared: Arc<Shared>,
}

/// One generation of a chain: it never changes, batches in flight finish on the one that they started with.
pub(super) struct Plan {
    pub(super) stages: Vec<Arc<Stage>>,
    pub(super) segments: Vec<Segment>,
    /// Rows that one pass takes: the least of the stages' limits.
    pub(super) rows: usize,
    /// Bytes that one pass takes: a fourth of the least memory, since a guest may get all of it and works on it.
    pub(super) bytes: usize,
    idle_columns: Mutex<Vec<Columns>>,
}

/// A configured stage.
pub(super) struct Stage {
    pub(super) configured: Configured,
    pub(super) on_error: OnError,
    pub(super) drops: Drops,
}

/// Stages that share one extraction. A new one begins where a stage asks for another attribute table.
pub(super) struct Segment {
    pub(super) projection: Projection,
    /// Stages by position, with the number of their first read in the projection.
    pub(super) stages: Vec<(usize, usize)>,
}

/// The next generation of a chain, ready to run.
pub(super) struct Renewal {
    plan: Plan,
    changes: Vec<Change>,
}

/// What a stage runs, at the start or after a look at the plugin directory.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Change {
    /// The component id of the stage.
    pub stage: String,
    /// The plugin that runs there now.
    pub plugin: String,
    /// Its version.
    pub version: String,
    /// The SHA-256 of the component, in hexadecimal.
    pub digest: String,
    /// Where it comes from.
    pub origin: String,
}

impl Chain {
    /// Finds and configures the plugins.
    ///
    /// # Errors
    /// Every mistake of every stage.
    pub fn new(catalog: &Catalog, signal: Signal, specs: Vec<StageSpec>) -> Result<Self, Vec<StageConfigError>> {
        let shared = |spec: StageSpec| {
            let shared = Arc::new(Shared::new(&spec.id, &spec.limits, Vec::new()));
            Configurable { spec, shared }
        };
        let stages: Vec<Configurable> = specs.into_iter().map(shared).collect();
        let configure = |stage: &Configurable| stage.configure(stage.found(&catalog.find(&stage.spec.plugin))?, signal);
        let configured: Vec<Result<Stage, Vec<StageConfigError>>> = stages.iter().map(configure).collect();
        if configured.iter().any(Result::is_err) {
            return Err(configured.into_iter().filter_map(Result::err).flatten().collect());
        }
        // One for each: plans are matched with the configuration by position.
        let configured: Vec<Arc<Stage>> = configured.into_iter().flatten().map(Arc::new).collect();
        let headers = configured.iter().flat_map(|stage| stage.configured.declared.headers.iter().cloned()).collect();
        let plan = ArcSwap::from_pointee(Plan::new(signal, configured).map_err(|error| vec![error])?);
        Ok(Self { signal, stages, headers, plan })
    }

    /// Runs a batch through all stages, on the thread of the caller.
    pub fn run(&self, batch: Batch) -> ChainOutcome {
        run::run(&self.plan.load(), batch)
    }

    /// The signal that it processes.
    pub fn signal(&self) -> Signal {
        self.signal
    }

    /// The component ids of its stages, in order.
    pub fn stages(&self) -> impl ExactSizeIterator<Item = &str> {
        self.stages.iter().map(|stage| stage.spec.id.as_str())
    }

    /// The plugins that run now, in the order of the stages.
    pub fn plugins(&self) -> Vec<Arc<Plugin>> {
        self.plan.load().stages.iter().map(|stage| Arc::clone(&stage.configured.plugin)).collect()
    }

    /// The component type of each of its stages, which names the plugin.
    pub(super) fn component_types(&self) -> impl Iterator<Item = &str> {
        self.stages.iter().map(|stage| stage.spec.plugin.as_str())
    }

    /// What each stage runs now, behind its component type.
    pub fn running(&self) -> Vec<(&str, Change)> {
        let plan = self.plan.load();
        let running = self.stages.iter().zip(&plan.stages).map(|(Configurable { spec, .. }, stage)| {
            (spec.plugin.as_str(), Change::new(&spec.id, &stage.configured.plugin))
        });
        running.collect()
    }

    /// What plugins counted since the last time: stage, name, by how much.
    pub fn take_counts(&self) -> impl Iterator<Item = (&str, String, u64)> {
        self.stages.iter().flat_map(|stage| {
            let counted = stage.shared.take_counts().into_iter();
            counted.map(|(name, count)| (stage.spec.id.as_str(), name, count))
        })
    }

    /// Tells for how many rows calls failed that no message stood for; at the end, too, how much plugins said.
    pub fn tell(&self, rest: Rest) {
        for stage in &self.plan.load().stages {
            let (name, policy) = (&stage.configured.shared.stage, stage.on_error.as_str());
            let untold = lock(&stage.configured.shared.failing).rest(rest);
            match (untold, stage.on_error) {
                (None, _) => {}
                (Some(rows), OnError::Drop) => tracing::error!(stage = %name, policy, rows, "stage failed for more"),
                (Some(rows), _) => tracing::warn!(stage = %name, policy, rows, "stage failed for more"),
            }
            let suppressed = (rest == Rest::All).then(|| stage.configured.shared.take_suppressed());
            if let Some(suppressed @ 1..) = suppressed {
                tracing::warn!(stage = %name, suppressed, "the plugin said more than is shown");
            }
        }
    }

    /// Names of request headers, in lower case, that some stage read at the start; receivers keep these.
    pub fn headers(&self) -> &BTreeSet<String> {
        &self.headers
    }

    /// The next generation, in which all stages of a component type run what was found for it; none if they do already.
    /// A plugin that reads headers that nobody read at the start is refused, too: the batches on their way lack them, and
    /// so would all that come.
    ///
    /// # Errors
    /// Why stages refuse it.
    pub(super) fn renewed(
        &self,
        component_type: &str,
        found: &Result<Arc<Plugin>, CatalogError>,
    ) -> Result<Option<Renewal>, Vec<StageConfigError>> {
        let current = self.plan.load_full();
        let (mut stages, mut changes, mut errors) = (current.stages.clone(), Vec::new(), Vec::new());
        for (stage, runs) in self.stages.iter().zip(&mut stages) {
            if stage.spec.plugin != component_type {
                continue;
            }
            match stage.renewed(found, self.signal, runs, &self.headers) {
                Ok(None) => {}
                Ok(Some(renewed)) => {
                    changes.push(Change::new(&stage.spec.id, &renewed.configured.plugin));
                    *runs = Arc::new(renewed);
                }
                Err(mistakes) => errors.extend(mistakes),
            }
        }
        if !errors.is_empty() {
            return Err(errors);
        }
        if changes.is_empty() {
            return Ok(None);
        }
        let plan = Plan::new(self.signal, stages).map_err(|error| vec![error])?;
        Ok(Some(Renewal { plan, changes }))
    }

    /// Runs the next generation from the next batch on.
    pub(super) fn swap(&self, renewal: Renewal) -> Vec<Change> {
        self.plan.store(Arc::new(renewal.plan));
        renewal.changes
    }
}

impl std::fmt::Debug for Chain {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let stages: Vec<&str> = self.stages().collect();
        f.debug_struct("Chain").field("signal", &self.signal).field("stages", &stages).finish_non_exhaustive()
    }
}

impl Change {
    fn new(stage: &str, plugin: &Plugin) -> Self {
        Self {
            stage: stage.to_owned(),
            plugin: plugin.descriptor().name.clone(),
            version: plugin.descriptor().version.clone(),
            digest: plugin.digest().to_string(),
            origin: plugin.origin().to_string(),
        }
    }
}

impl Configurable {
    fn found(&self, found: &Result<Arc<Plugin>, CatalogError>) -> Result<Arc<Plugin>, Vec<StageConfigError>> {
        found.clone().map_err(|error| vec![self.error("", error.to_string())])
    }

    /// What the plugin is configured with. What a version of it takes for a secret stays one for all others.
    fn settings(&self, descriptor: &Descriptor, engine: &super::Engine) -> Result<String, Vec<StageConfigError>> {
        let mistake = |message: String| self.error("", self.shared.shown(&message));
        let settings = (self.spec.settings)(&descriptor.config_schema);
        let settings = settings.map_err(|mistakes| mistakes.into_iter().map(mistake).collect::<Vec<_>>())?;
        self.shared.hide(settings.secrets);
        for warning in settings.warnings.iter().filter(|warning| engine.is_news(&self.spec.id, warning)) {
            tracing::warn!("{}", self.shared.shown(warning));
        }
        Ok(settings.value.to_string())
    }

    fn configure(&self, plugin: Arc<Plugin>, signal: Signal) -> Result<Stage, Vec<StageConfigError>> {
        let max_memory_mib = plugin.engine.config().max_memory_mib;
        self.spec.limits.check(max_memory_mib).map_err(|(key, message)| vec![self.error(key, message)])?;
        let descriptor = plugin.descriptor();
        descriptor.takes(signal).map_err(|message| vec![self.error("", message)])?;
        let granted = |name: &String| self.spec.capabilities.as_ref().is_none_or(|granted| granted.contains(name));
        if let Some(name) = plugin.capabilities().iter().find(|name| !granted(name)) {
            let message = format!("the plugin uses {name:?}, which is not among its capabilities here");
            return Err(vec![self.error("capabilities", message)]);
        }
        let (on_error, drops) = (self.spec.on_error.unwrap_or(descriptor.on_error), descriptor.drops);
        let config = self.settings(descriptor, &plugin.engine)?;
        let configured = Configured::new(plugin, config, signal, self.spec.limits.clone(), Arc::clone(&self.shared));
        match configured {
            Ok(configured) => Ok(Stage { configured, on_error, drops }),
            Err(mistakes) => {
                let error = |mistake: Mistake| self.error(&mistake.path, mistake.message);
                Err(mistakes.into_iter().map(error).collect())
            }
        }
    }

    /// The stage with the plugin that it has now; none if that is the one that runs.
    fn renewed(
        &self,
        found: &Result<Arc<Plugin>, CatalogError>,
        signal: Signal,
        running: &Stage,
        kept_headers: &BTreeSet<String>,
    ) -> Result<Option<Stage>, Vec<StageConfigError>> {
        // The same code from somewhere else is a change, too: who takes away a file wants to know what runs instead.
        let current = &running.configured.plugin;
        let plugin = self.found(found).map_err(|mut mistakes| {
            if let Origin::File(path) = current.origin()
                && !path.exists()
            {
                let gone = format!("; {}, which the stage runs, is gone: a restart would fail", path.display());
                mistakes.iter_mut().for_each(|mistake| mistake.message.push_str(&gone));
            }
            mistakes
        })?;
        if plugin.digest() == current.digest() && plugin.origin() == current.origin() {
            return Ok(None);
        }
        let origin = plugin.origin().to_string();
        let of_origin = |mistake: StageConfigError| StageConfigError {
            message: format!("{} ({origin})", mistake.message),
            ..mistake
        };
        let renewed = self
            .configure(plugin, signal)
            .map_err(|mistakes| mistakes.into_iter().map(of_origin).collect::<Vec<_>>())?;
        if let Some(header) = renewed.configured.declared.headers.iter().find(|name| !kept_headers.contains(*name)) {
            let message = format!(
                "the plugin reads the request header {header:?}, which receivers do not keep for this pipeline since \
                 no stage of it read it at the start; restart to run this plugin"
            );
            return Err(vec![of_origin(self.error("", message))]);
        }
        renewed.configured.warm_up(running.configured.instances());
        Ok(Some(renewed))
    }

    fn error(&self, path: &str, message: String) -> StageConfigError {
        StageConfigError { stage: self.spec.id.clone(), path: path.to_owned(), message }
    }
}

impl Plan {
    fn new(signal: Signal, stages: Vec<Arc<Stage>>) -> Result<Self, StageConfigError> {
        let rows = stages.iter().map(|stage| stage.configured.limits.rows as usize).min().unwrap_or(usize::MAX);
        let segments = segments(signal, &stages).map_err(|error| {
            let stage = stages.first().map_or_else(String::new, |stage| stage.configured.shared.stage.clone());
            StageConfigError { stage, path: String::new(), message: error.to_string() }
        })?;
        let memory = stages.iter().map(|stage| stage.configured.limits.memory_bytes()).min().unwrap_or(usize::MAX);
        Ok(Self { segments, rows, bytes: memory / 4, stages, idle_columns: Mutex::default() })
    }

    fn take_columns(&self) -> Columns {
        lock(&self.idle_columns).pop().unwrap_or_default()
    }

    fn give_back(&self, columns: Columns) {
        let mut idle = lock(&self.idle_columns);
        if idle.len() < MAX_IDLE_COLUMNS && !columns.is_large() {
            idle.push(columns);
        }
    }
}

/// Puts neighbours into one segment as long as they ask for the same table and for no more columns than one projection
/// can have.
fn segments(signal: Signal, stages: &[Arc<Stage>]) -> Result<Vec<Segment>, ProjectionError> {
    let mut segments = Vec::new();
    let mut group: Vec<usize> = Vec::new();
    let mut table: Option<TableRequest> = None;
    let mut reads = 0;
    for (position, stage) in stages.iter().enumerate() {
        let declared = &stage.configured.declared;
        let asked = declared.table.map(|table| table.request);
        let columns = declared.all_reads().count();
        if (table.is_some() && asked.is_some() && table != asked) || reads + columns > MAX_COLUMNS {
            segments.push(Segment::new(signal, stages, std::mem::take(&mut group))?);
            (table, reads) = (None, 0);
        }
        table = table.or(asked);
        reads += columns;
        group.push(position);
    }
    segments.push(Segment::new(signal, stages, group)?);
    Ok(segments)
}

impl Segment {
    fn new(signal: Signal, stages: &[Arc<Stage>], positions: Vec<usize>) -> Result<Self, ProjectionError> {
        let mut reads: Vec<Read> = Vec::new();
        let mut table = None;
        let mut numbered = Vec::with_capacity(positions.len());
        for position in positions {
            let declared = &stages[position].configured.declared;
            numbered.push((position, reads.len()));
            reads.extend(declared.all_reads());
            table = table.or(declared.table.map(|table| table.request));
        }
        Ok(Self { projection: Projection::new(signal, &reads, table)?, stages: numbered })
    }
}
