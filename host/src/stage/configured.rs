//! A plugin with its configuration for one signal, and the warm instances of it.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use super::aside::aside;
use super::bindings::sluice::plugin::types;
use super::component::Plugin;
use super::declared::Declared;
use super::edition::Edition;
use super::instance::{CallError, Instance, Made};
use super::limits::StageLimits;
use super::shared::{Shared, lock};
use crate::model::Signal;

/// Instances that are kept for the next call. More exist only while more threads call at the same time.
const MAX_IDLE: usize = 32;

/// A fresh instance that took longer than a call may, and came to nothing, is not tried again for so long: batches wait
/// for it.
const PAUSE: Duration = Duration::from_secs(60);
/// One that took so long has to last so many times as long, or nothing is made for that time, up to the pause.
const LASTS: u32 = 10;

/// Mistakes that are reported; whoever makes more starts with these.
const MAX_MISTAKES: usize = 100;

/// A plugin that is ready to process batches.
pub(super) struct Configured {
    pub(super) plugin: Arc<Plugin>,
    pub(super) declared: Declared,
    pub(super) limits: StageLimits,
    pub(super) shared: Arc<Shared>,
    edition: Arc<Edition>,
    config: String,
    signal: Signal,
    idle: Mutex<Vec<Instance>>,
    /// Until when no fresh instance is made, as it took too long to find out that none can be had, or lasts, and why.
    stalled: Mutex<Option<(Instant, CallError)>>,
}

/// A mistake in the configuration of a stage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Mistake {
    /// Keys and positions from the top of the stage's configuration.
    pub(super) path: String,
    pub(super) message: String,
}

impl Configured {
    /// Configures a plugin.
    ///
    /// # Errors
    /// Every mistake that the plugin found.
    pub(super) fn new(
        plugin: Arc<Plugin>,
        config: String,
        signal: Signal,
        limits: StageLimits,
        shared: Arc<Shared>,
    ) -> Result<Self, Vec<Mistake>> {
        let whole = |message: String| vec![Mistake { path: String::new(), message }];
        if plugin.size_bytes() > limits.component_bytes() {
            let (size, limit) = (plugin.size_bytes(), limits.component_mib);
            return Err(whole(format!("the plugin's file has {size} bytes, its limit (limits::binary) is {limit}MiB")));
        }
        let failed = |error: CallError| whole(format!("the plugin could not be configured: {error}"));
        let edition = Edition::new(Arc::clone(&shared));
        let mut instance = Instance::start(&plugin.engine, &plugin.pre, &edition, &limits).map_err(failed)?;
        let configured = instance.configure(&config, signal_to_guest(signal)).map_err(failed)?;
        let projection = configured.map_err(|errors| {
            let mistake = |error: types::ConfigError| Mistake {
                path: shared.shown(&error.path),
                message: shared.shown(&error.message),
            };
            match errors.is_empty() {
                true => whole("the plugin refuses its configuration without saying why".to_owned()),
                false => errors.into_iter().take(MAX_MISTAKES).map(mistake).collect(),
            }
        })?;
        let declared = Declared::new(signal, projection)
            .map_err(|error| whole(format!("the plugin declares what can't be: {error}")))?;
        let (idle, stalled) = (Mutex::new(vec![instance]), Mutex::default());
        Ok(Self { plugin, declared, limits, shared, edition, config, signal, idle, stalled })
    }

    /// How many instances there are, idle or in a call.
    pub(super) fn instances(&self) -> usize {
        // Each of them has the edition, and so have we.
        Arc::strong_count(&self.edition) - 1
    }

    /// Makes instances until there are so many, or one for each worker: no batch will have to wait for them.
    pub(super) fn warm_up(&self, instances: usize) {
        let workers = std::thread::available_parallelism().map_or(1, usize::from);
        for _ in self.instances()..instances.min(workers) {
            if self.plugin.engine.is_crowded() {
                return;
            }
            // If none can be had, the batch that needs it says so.
            let Ok(instance) = self.make() else { return };
            lock(&self.idle).push(instance);
        }
    }

    /// An instance that waits for a call, or a fresh one.
    pub(super) fn take(&self) -> Result<Instance, CallError> {
        match lock(&self.idle).pop() {
            Some(instance) => Ok(instance),
            None => self.fresh(),
        }
    }

    /// An instance that has processed nothing yet.
    pub(super) fn fresh(&self) -> Result<Instance, CallError> {
        if let Some((_, error)) = lock(&self.stalled).as_ref().filter(|(until, _)| Instant::now() < *until) {
            return Err(error.clone());
        }
        let started = Instant::now();
        let mut instance = aside(|| self.make());
        let took = started.elapsed();
        match &mut instance {
            Ok(instance) => instance.made = Some(Made { at: Instant::now(), took }),
            Err(error) if took > self.limits.timeout() => self.stall(PAUSE, error.clone()),
            Err(_) => {}
        }
        instance
    }

    /// Hears of an instance whose call failed. One that took long to make should have lasted.
    pub(super) fn lost(&self, made: Option<Made>) {
        let Some(Made { at, took }) = made.filter(|made| made.took > self.limits.timeout()) else { return };
        let lasts = (took * LASTS).min(PAUSE);
        if at.elapsed() < lasts {
            self.stall(lasts, CallError::ShortLived(took));
        }
    }

    fn stall(&self, pause: Duration, error: CallError) {
        *lock(&self.stalled) = Some((Instant::now() + pause, error));
    }

    fn make(&self) -> Result<Instance, CallError> {
        let mut instance = Instance::start(&self.plugin.engine, &self.plugin.pre, &self.edition, &self.limits)?;
        match instance.configure(&self.config, signal_to_guest(self.signal))? {
            Ok(_) => Ok(instance),
            Err(errors) => {
                let reason = errors.first().map_or("no reason", |error| error.message.as_str());
                Err(CallError::Trap(format!(
                    "a fresh instance refuses the configuration: {}",
                    self.shared.shown(reason)
                )))
            }
        }
    }

    /// Takes back an instance whose call came back with an answer, unless it is worn.
    pub(super) fn give_back(&self, instance: Instance) {
        if instance.is_full() {
            if let Some(instances) = lock(&self.shared.full).add(1) {
                let (stage, memory_mib) = (&self.shared.stage, self.limits.memory_mib);
                tracing::warn!(%stage, instances, memory_mib, "calls nearly fill the memory, others are configured anew");
            }
            return;
        }
        if instance.is_worn(&self.limits) {
            return;
        }
        let mut idle = lock(&self.idle);
        let most = if self.plugin.engine.is_crowded() { 1 } else { MAX_IDLE };
        if idle.len() < most {
            idle.push(instance);
        }
    }

    /// Whether the plugin searches texts of the attribute table.
    pub(super) fn searches_table(&self) -> bool {
        self.declared.table.is_some() && self.plugin.capabilities().iter().any(|name| name == "regex")
    }

    /// The signal that it processes.
    pub(super) fn signal(&self) -> Signal {
        self.signal
    }
}

pub(super) fn signal_to_guest(signal: Signal) -> types::Signal {
    match signal {
        Signal::Traces => types::Signal::Traces,
        Signal::Metrics => types::Signal::Metrics,
        Signal::Logs => types::Signal::Logs,
    }
}
