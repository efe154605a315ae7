//! A chain of stages: fields are extracted once, each stage is called in turn, the bytes are spliced once at the end.

mod report;
mod run;

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use arc_swap::ArcSwap;
use sluice_wire::{Columns, MAX_COLUMNS, Projection, ProjectionError, Read, TableRequest};

use super::catalog::Catalog;
use super::component::{Drops, OnError, Origin, Plugin};
use super::configured::{Configured, Mistake};
use super::limits::StageLimits;
use super::shared::{Shared, lock};
use crate::model::{Batch, Signal};
use crate::pace::Rest;

pub use report::{ChainOutcome, FailureKind, LeftOut, StageFailure, StageReport};
pub(super) use run::check_replacement;

/// Buffers for columns that a chain keeps; more exist only while more threads run batches at the same time.
const MAX_IDLE_COLUMNS: usize = 16;

/// A stage as a configuration has it.
#[derive(Clone)]
pub struct StageSpec {
    /// The component id, for example `filter/health`.
    pub id: String,
    /// The component type, which names the plugin: `filter`.
    pub plugin: String,
    /// The plugin's own configuration, without the keys that the host reads.
    pub config: serde_json::Value,
    /// Values in it that no message may repeat, whatever the plugin says.
    pub secrets: Vec<String>,
    /// What happens to a batch whose call failed; if none, what the plugin says.
    pub on_error: Option<OnError>,
    /// What the stage may use.
    pub limits: StageLimits,
    /// Interfaces of the host that the plugin may use, for example `regex`; none means all.
    pub capabilities: Option<Vec<String>>,
}

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
    catalog: Catalog,
    signal: Signal,
    stages: Vec<Configurable>,
    /// What receivers keep for its stages: what these read at the start.
    headers: BTreeSet<String>,
    plan: ArcSwap<Plan>,
    // Plans are made by one thread at a time; batches go on with the current one meanwhile.
    changing: Mutex<()>,
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

/// What a stage runs, after its chain looked for its plugins again.
#[derive(Clone, Debug, PartialEq, Eq)]
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
            let shared = Arc::new(Shared::new(&spec.id, &spec.limits, spec.secrets.clone()));
            Configurable { spec, shared }
        };
        let stages: Vec<Configurable> = specs.into_iter().map(shared).collect();
        let configure = |stage: &Configurable| stage.configure(stage.find(catalog)?, signal);
        let configured: Vec<Result<Stage, Vec<StageConfigError>>> = stages.iter().map(configure).collect();
        if configured.iter().any(Result::is_err) {
            return Err(configured.into_iter().filter_map(Result::err).flatten().collect());
        }
        // One for each: plans are matched with the configuration by position.
        let configured: Vec<Arc<Stage>> = configured.into_iter().flatten().map(Arc::new).collect();
        let headers = configured.iter().flat_map(|stage| stage.configured.declared.headers.iter().cloned()).collect();
        let plan = ArcSwap::from_pointee(Plan::new(signal, configured).map_err(|error| vec![error])?);
        Ok(Self { catalog: catalog.clone(), signal, stages, headers, plan, changing: Mutex::new(()) })
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

    /// What each stage runs now.
    pub(super) fn running(&self) -> Vec<Change> {
        let plan = self.plan.load();
        let running = self.stages.iter().zip(&plan.stages);
        running.map(|(stage, running)| Change::new(&stage.spec.id, &running.configured.plugin)).collect()
    }

    /// What plugins counted since the last time: stage, name, by how much.
    pub fn take_counts(&self) -> impl Iterator<Item = (&str, String, u64)> {
        self.stages.iter().flat_map(|stage| {
            let counted = stage.shared.take_counts().into_iter();
            counted.map(|(name, count)| (stage.spec.id.as_str(), name, count))
        })
    }

    /// Tells for how many rows calls failed that no message stood for.
    pub fn tell(&self, rest: Rest) {
        for stage in &self.plan.load().stages {
            let (name, policy) = (&stage.configured.shared.stage, stage.on_error.as_str());
            let untold = lock(&stage.configured.shared.failing).rest(rest);
            match (untold, stage.on_error) {
                (None, _) => {}
                (Some(rows), OnError::Drop) => tracing::error!(stage = %name, policy, rows, "stage failed for more"),
                (Some(rows), _) => tracing::warn!(stage = %name, policy, rows, "stage failed for more"),
            }
        }
    }

    /// Names of request headers, in lower case, that some stage read at the start; receivers keep these.
    pub fn headers(&self) -> &BTreeSet<String> {
        &self.headers
    }

    /// Looks for the plugins again and swaps in those that changed, at the next batch. A stage whose new plugin is
    /// refused keeps the one that runs; so does one whose new plugin reads headers that nobody read at the start: the
    /// batches on their way lack them, and so would all that come.
    pub fn reload(&self) -> (Vec<Change>, Vec<StageConfigError>) {
        let _one_at_a_time = lock(&self.changing);
        let current = self.plan.load_full();
        let (mut stages, mut changes, mut errors) = (Vec::new(), Vec::new(), Vec::new());
        for (stage, running) in self.stages.iter().zip(&current.stages) {
            match stage.renewed(&self.catalog, self.signal, running, &self.headers) {
                Ok(None) => stages.push(Arc::clone(running)),
                Ok(Some(renewed)) => {
                    changes.push(Change::new(&stage.spec.id, &renewed.configured.plugin));
                    stages.push(Arc::new(renewed));
                }
                Err(mistakes) => {
                    errors.extend(mistakes);
                    stages.push(Arc::clone(running));
                }
            }
        }
        if changes.is_empty() {
            return (changes, errors);
        }
        match Plan::new(self.signal, stages) {
            Ok(plan) => self.plan.store(Arc::new(plan)),
            Err(error) => {
                changes.clear();
                errors.push(error);
            }
        }
        (changes, errors)
    }
}

impl std::fmt::Debug for StageSpec {
    /// Leaves out the configuration, which may hold secrets.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StageSpec").field("id", &self.id).field("plugin", &self.plugin).finish_non_exhaustive()
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
    fn find(&self, catalog: &Catalog) -> Result<Arc<Plugin>, Vec<StageConfigError>> {
        catalog.find(&self.spec.plugin).map_err(|error| vec![self.error("", error.to_string())])
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
        let config = self.spec.config.to_string();
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
        catalog: &Catalog,
        signal: Signal,
        running: &Stage,
        kept_headers: &BTreeSet<String>,
    ) -> Result<Option<Stage>, Vec<StageConfigError>> {
        // The same code from somewhere else is a change, too: who takes away a file wants to know what runs instead.
        let current = &running.configured.plugin;
        let plugin = self.find(catalog).map_err(|mut mistakes| {
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
