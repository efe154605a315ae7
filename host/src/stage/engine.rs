//! The engine that runs plugins: the only place that configures wasmtime.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use wasmtime::component::Component;
use wasmtime::{Config, InstanceAllocationStrategy, OptLevel, PoolingAllocationConfig};

use super::code_cache::{CodeCache, Digest};
use super::shared::lock;
use super::ticker::{CallGuard, Ticker};

/// Core instances of one component: the plugin, and the two that adapt its imports. componentize-py makes 38, each
/// library of Python being one. They take memory only where they exist: the pool counts them and no more.
const CORE_INSTANCES_PER_COMPONENT: u32 = 64;
/// What all WebAssembly begins with.
const MAGIC: &[u8] = b"\0asm";

/// Messages of stages that are remembered so that they are not repeated.
const MAX_SAID: usize = 1_000;

/// Settings of the engine; they hold for all plugins.
#[derive(Clone, Debug)]
pub struct EngineConfig {
    /// Where compiled code is kept, so that the next start needs no compiler. None: nowhere.
    pub cache_directory: Option<PathBuf>,
    /// Instances that may exist at the same time: one per stage and worker, and some to spare for reloads.
    pub max_instances: u32,
    /// The most memory that any stage's limit may grant to an instance, in MiB.
    pub max_memory_mib: u32,
    /// The memory in which a plugin says what it is, before it is known which stage it is for, in MiB.
    pub describe_memory_mib: u32,
    /// The largest file that is read as a plugin, in MiB.
    pub max_component_mib: u32,
}

impl Default for EngineConfig {
    fn default() -> Self {
        Self {
            cache_directory: None,
            max_instances: 1_000,
            max_memory_mib: 1_024,
            describe_memory_mib: 1_024,
            max_component_mib: 256,
        }
    }
}

/// Compiles and runs plugins. A clone is the same engine.
#[derive(Clone)]
pub struct Engine(Arc<Inner>);

struct Inner {
    wasmtime: wasmtime::Engine,
    ticker: Ticker,
    cache: Option<CodeCache>,
    /// What stages said while they were configured, which happens again for each signal and instance.
    said: Mutex<BTreeSet<(String, String)>>,
    // One compilation at a time: a reload must not take all cores from the data path.
    compiler: Mutex<()>,
    /// How many instances there are, idle or in a call.
    instances: AtomicU32,
    config: EngineConfig,
}

/// The engine can't be made.
#[derive(Debug, thiserror::Error)]
#[error("the WASM engine does not start: {0}")]
pub struct EngineError(String);

/// Bytes are no plugin that can be compiled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum CompileError {
    /// They are no component.
    Invalid(String),
    /// They are one that consists of more than an instance has room for.
    TooManyParts(String),
}

impl Engine {
    /// Starts an engine, with a pool of instances where the address space has room for one.
    ///
    /// # Errors
    /// If wasmtime does not support this machine.
    pub fn new(config: EngineConfig) -> Result<Self, EngineError> {
        let pooled = wasmtime::Engine::new(&pooling(&config)?);
        let wasmtime = pooled.or_else(|error| {
            tracing::warn!(%error, "no pool for plugin instances, they are allocated one by one");
            wasmtime::Engine::new(&common()?)
        })?;
        let ticker = Ticker::start(&wasmtime).map_err(|error| EngineError(error.to_string()))?;
        let cache = config.cache_directory.as_deref().and_then(|directory| CodeCache::open(directory, &wasmtime));
        Ok(Self(Arc::new(Inner {
            wasmtime,
            ticker,
            cache,
            said: Mutex::default(),
            compiler: Mutex::new(()),
            instances: AtomicU32::new(0),
            config,
        })))
    }

    /// Compiles a component ahead of time, for `SLUICE_PRECOMPILED_DIR` at build time.
    ///
    /// # Errors
    /// If the bytes are no valid component.
    pub fn precompile(&self, component: &[u8]) -> Result<Vec<u8>, String> {
        self.0.wasmtime.precompile_component(component).map_err(|error| format!("{error:#}"))
    }

    pub(super) fn wasmtime(&self) -> &wasmtime::Engine {
        &self.0.wasmtime
    }

    pub(super) fn config(&self) -> &EngineConfig {
        &self.0.config
    }

    /// Keeps the epoch going for the time of a call.
    pub(super) fn enter(&self) -> CallGuard<'_> {
        self.0.ticker.enter()
    }

    /// Counts an instance for as long as the place is there.
    pub(super) fn place(&self) -> Place {
        self.0.instances.fetch_add(1, Ordering::Relaxed);
        Place(self.clone())
    }

    /// Whether so many instances exist that those without work should make room: stages share the pool.
    pub(super) fn is_crowded(&self) -> bool {
        self.0.instances.load(Ordering::Relaxed) > self.0.config.max_instances / 2
    }

    /// Whether a stage says this for the first time. Once there are too many messages, all are taken for new.
    pub(super) fn is_news(&self, stage: &str, message: &str) -> bool {
        let mut said = lock(&self.0.said);
        let message = (stage.to_owned(), message.to_owned());
        if said.len() < MAX_SAID { said.insert(message) } else { !said.contains(&message) }
    }

    /// Compiles a component after this check, or takes its code from the cache.
    pub(super) fn compile<E: From<CompileError>>(
        &self,
        bytes: &[u8],
        digest: &Digest,
        check: impl FnOnce() -> Result<(), E>,
    ) -> Result<Component, E> {
        // wasmtime's own words about it take several lines.
        if !bytes.starts_with(MAGIC) {
            return Err(CompileError::Invalid("it does not begin with \\0asm, as WebAssembly does".into()).into());
        }
        let cached = || self.0.cache.as_ref().and_then(|cache| cache.load(&self.0.wasmtime, digest));
        if let Some(component) = cached() {
            return Ok(component);
        }
        let _one_at_a_time = lock(&self.0.compiler);
        if let Some(component) = cached() {
            return Ok(component);
        }
        check()?;
        let component = Component::from_binary(&self.0.wasmtime, bytes).map_err(CompileError::from)?;
        if let Some(cache) = &self.0.cache {
            cache.store(&component, digest);
        }
        Ok(component)
    }

    /// Takes code that was compiled when the host was built; none if it is of another engine or another CPU.
    pub(super) fn precompiled(&self, code: &'static [u8]) -> Option<Component> {
        // SAFETY: the code comes out of this executable, whose build made it with `precompile`. wasmtime checks that
        // version, target and settings are those of this engine.
        let component = unsafe { Component::deserialize(&self.0.wasmtime, code) };
        component.inspect_err(|error| tracing::debug!(%error, "built-in code is of another engine")).ok()
    }
}

/// An instance's place in the pool.
pub(super) struct Place(Engine);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.0.instances.fetch_sub(1, Ordering::Relaxed);
    }
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine").field("config", &self.0.config).finish_non_exhaustive()
    }
}

impl From<wasmtime::Error> for CompileError {
    /// wasmtime has no type for either; it names the pool in all that the pool has no room for.
    fn from(error: wasmtime::Error) -> Self {
        let message = format!("{error:#}");
        if message.contains("pooling allocator") { Self::TooManyParts(message) } else { Self::Invalid(message) }
    }
}

impl From<wasmtime::Error> for EngineError {
    fn from(error: wasmtime::Error) -> Self {
        Self(format!("{error:#}"))
    }
}

/// What holds with and without a pool. All of it is part of the key of compiled code.
fn common() -> wasmtime::Result<Config> {
    let mut config = Config::new();
    config.cranelift_opt_level(OptLevel::Speed);
    config.epoch_interruption(true);
    // Off, a call costs half: no bookkeeping for concurrent tasks, which the contract does not have.
    config.concurrency_support(false);
    // The baseline of the architecture: code that was compiled ahead runs on every machine of it.
    config.target(env!("SLUICE_TARGET"))?;
    config.generate_address_map(false);
    config.wasm_backtrace_max_frames(None);
    Ok(config)
}

fn pooling(engine: &EngineConfig) -> wasmtime::Result<Config> {
    let mut pool = PoolingAllocationConfig::new();
    let core_instances = engine.max_instances.saturating_mul(CORE_INSTANCES_PER_COMPONENT);
    pool.total_component_instances(engine.max_instances)
        .total_core_instances(core_instances)
        .total_memories(engine.max_instances)
        .total_tables(engine.max_instances.saturating_mul(2))
        .max_core_instances_per_component(CORE_INSTANCES_PER_COMPONENT)
        .max_memories_per_component(1)
        .max_tables_per_component(4)
        .max_memory_size((engine.max_memory_mib as usize) << 20)
        .linear_memory_keep_resident(1 << 20)
        .table_keep_resident(64 << 10);
    let mut config = common()?;
    config.allocation_strategy(InstanceAllocationStrategy::Pooling(pool));
    Ok(config)
}
