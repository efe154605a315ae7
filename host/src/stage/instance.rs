//! One instance of a plugin, and the calls into it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use wasmtime::{Store, Trap};

use super::bindings::sluice::plugin::types;
use super::bindings::{Plugin as Exports, PluginPre};
use super::edition::Edition;
use super::engine::{Engine, Place};
use super::guest::{Guest, Phase};
use super::limits::StageLimits;
use super::shared::truncate;
use super::ticker::TICK;

/// An instance. After an error of any call it must be dropped: it can't be entered again.
pub(super) struct Instance {
    store: Store<Guest>,
    exports: Exports,
    engine: Engine,
    timeout: Duration,
    setup_timeout: Duration,
    calls: u32,
    /// The memory that it had when it was configured.
    configured_bytes: usize,
    /// When it took the place of another one; none of the first.
    pub(super) made: Option<Made>,
    /// Behind the store, which it outlives.
    _place: Place,
}

/// How an instance came to be.
#[derive(Clone, Copy, Debug)]
pub(super) struct Made {
    /// When it was ready.
    pub(super) at: Instant,
    /// How long that took.
    pub(super) took: Duration,
}

/// A call did not come back with an answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// It took too long.
    #[error("stopped after {} ms, its limits.deadline", .0.as_millis())]
    Timeout(Duration),
    /// The host searched for one of its patterns for too long; that takes as long on another instance.
    #[error("a search for a pattern takes more than {} ms, its limits.deadline", .0.as_millis())]
    Search(Duration),
    /// It took too long to say what it is, or to check its configuration.
    #[error("stopped after {} ms, the limit for a plugin to describe and configure itself", .0.as_millis())]
    SetupTimeout(Duration),
    /// The last instance took longer to make than a call may take, and did not last.
    #[error("an instance took {} ms to configure itself and did not last, no other is made for a while", .0.as_millis())]
    ShortLived(Duration),
    /// It wanted more memory than it may have.
    #[error("it needs more than {0} MiB of memory, the limit of the stage")]
    Memory(u32),
    /// It panicked.
    #[error("it panicked: {0}")]
    Panic(String),
    /// It ended in another way.
    #[error("it trapped: {0}")]
    Trap(String),
    /// All instances of the pool are taken.
    #[error("no instance is free: {0}")]
    Exhausted(String),
}

impl Instance {
    /// Makes an instance.
    pub(super) fn start(
        engine: &Engine,
        pre: &PluginPre<Guest>,
        edition: &Arc<Edition>,
        limits: &StageLimits,
    ) -> Result<Self, CallError> {
        let guest = Guest::new(engine.clone(), Arc::clone(edition), limits.memory_bytes());
        let mut store = Store::new(engine.wasmtime(), guest);
        store.limiter(|guest| &mut guest.memory);
        // A net under the exact check of answers: what is far too large is not even read.
        store.set_hostcall_fuel(limits.output_bytes().saturating_mul(2).saturating_add(1 << 20));
        let (timeout, setup_timeout) = (limits.timeout(), limits.setup_timeout());
        let _running = engine.enter();
        store.set_epoch_deadline(ticks(setup_timeout));
        let exports = pre.instantiate(&mut store).map_err(|error| {
            let memory = store.data().memory.refused;
            if memory { CallError::Memory(limits.memory_mib) } else { CallError::Exhausted(reason(&error)) }
        })?;
        let (engine, _place) = (engine.clone(), engine.place());
        Ok(Self { store, exports, engine, timeout, setup_timeout, calls: 0, configured_bytes: 0, made: None, _place })
    }

    /// Asks what the plugin is.
    pub(super) fn describe(&mut self) -> Result<types::Descriptor, CallError> {
        self.call(Instant::now(), |exports, store| exports.call_describe(store))
    }

    /// Passes its configuration.
    pub(super) fn configure(
        &mut self,
        config: &str,
        signal: types::Signal,
    ) -> Result<Result<types::Projection, Vec<types::ConfigError>>, CallError> {
        let configured = self.call(Instant::now(), |exports, store| exports.call_configure(store, config, signal));
        let guest = self.store.data_mut();
        guest.phase = Phase::Call;
        self.configured_bytes = guest.memory.used_bytes;
        configured
    }

    /// Passes a batch; the plugin's time begins now.
    pub(super) fn process(
        &mut self,
        batch: types::Batch<'_>,
        now: Instant,
    ) -> Result<Result<types::Outcome, types::Failure>, CallError> {
        self.calls = self.calls.saturating_add(1);
        self.call(now, |exports, store| exports.call_process(store, batch))
    }

    /// The host's side of it.
    pub(super) fn guest(&mut self) -> &mut Guest {
        self.store.data_mut()
    }

    /// Whether it has worked so long that a fresh one should take its place.
    pub(super) fn is_worn(&self, limits: &StageLimits) -> bool {
        self.calls >= limits.calls_per_instance
    }

    /// Whether calls have filled three quarters of the memory that its configuration left, so that a fresh one should
    /// take its place: it gives nothing back.
    pub(super) fn is_full(&self) -> bool {
        let memory = &self.store.data().memory;
        let left = memory.limit_bytes().saturating_sub(self.configured_bytes);
        memory.used_bytes.saturating_sub(self.configured_bytes) > left / 4 * 3
    }

    fn call<T>(
        &mut self,
        now: Instant,
        call: impl FnOnce(&Exports, &mut Store<Guest>) -> wasmtime::Result<T>,
    ) -> Result<T, CallError> {
        let running = self.engine.enter();
        let limit = match self.store.data().phase {
            Phase::Setup => self.setup_timeout,
            Phase::Call => self.timeout,
        };
        self.store.set_epoch_deadline(ticks(limit));
        let guest = self.store.data_mut();
        guest.deadline = now + limit;
        // What earlier calls got over is not why this one ends.
        guest.memory.refused = false;
        guest.panic = None;
        let answer = call(&self.exports, &mut self.store);
        drop(running);
        self.store.data_mut().end_line();
        answer.map_err(|error| self.explain(&error))
    }

    /// Says why a call ended, in the words that help most.
    fn explain(&mut self, error: &wasmtime::Error) -> CallError {
        let guest = self.store.data_mut();
        if guest.is_late || matches!(error.downcast_ref::<Trap>(), Some(Trap::Interrupt)) {
            return match guest.phase {
                Phase::Setup => CallError::SetupTimeout(self.setup_timeout),
                Phase::Call if guest.is_late => CallError::Search(self.timeout),
                Phase::Call => CallError::Timeout(self.timeout),
            };
        }
        match guest.panic.take() {
            Some(panic) => CallError::Panic(panic),
            None if guest.memory.refused => CallError::Memory((guest.memory.limit_bytes() >> 20) as u32),
            None => CallError::Trap(reason(error)),
        }
    }
}

/// One more than the time, since the current tick is under way already.
fn ticks(timeout: Duration) -> u64 {
    (timeout.as_millis() / TICK.as_millis()) as u64 + 1
}

fn reason(error: &wasmtime::Error) -> String {
    truncate(&format!("{error:#}")).to_owned()
}
