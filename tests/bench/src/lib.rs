//! The bench's own work: the stages of `examples/bench/four-stages.yaml`, and batches for them.
//!
//! A package by itself, so that building its benchmarks does not link the whole program, too.

use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

use serde_json::Value;
use sluice::limits::Budget;
use sluice::model::{Batch, Context, Signal, TenantId};
use sluice::stage::{Catalog, Chain, Engine, EngineConfig, Settings, StageLimits, StageSpec};
use sluice_wire::sample;

const CONFIGURATION: &str = include_str!("../../../examples/bench/four-stages.yaml");

/// A stage: the name of its plugin, and its configuration.
pub type Named = (String, Value);

/// The stages of a signal, in the order of its pipeline.
///
/// # Panics
/// If the example is no configuration.
pub fn stages(signal: Signal) -> Vec<Named> {
    let configuration: Value = serde_yaml::from_str(CONFIGURATION).expect("YAML");
    let pipeline = &configuration["service"]["pipelines"][signal.name()]["processors"];
    let names = pipeline.as_array().expect("a list").iter().filter_map(Value::as_str);
    names.map(|name| (name.to_owned(), configuration["processors"][name].clone())).collect()
}

/// A chain of stages, found in the catalog. They have time enough for a run under valgrind.
///
/// # Panics
/// If a stage is none, or its configuration has mistakes.
pub fn chain(catalog: &Catalog, signal: Signal, stages: &[Named]) -> Chain {
    let spec = |(plugin, config): &Named| StageSpec {
        id: plugin.clone(),
        plugin: plugin.clone(),
        settings: Settings { value: config.clone(), secrets: Vec::new(), warnings: Vec::new() }.always(),
        on_error: None,
        limits: StageLimits { timeout_ms: 10_000, ..StageLimits::default() },
        capabilities: None,
    };
    Chain::new(catalog, signal, stages.iter().map(spec).collect()).expect("valid stages")
}

/// The standard stages, with an engine for a few instances that keeps compiled code in a directory: under valgrind,
/// compiling takes a minute.
///
/// # Panics
/// If there is no engine for this machine.
pub fn catalog(cache: &Path) -> Catalog {
    let cache_directory = Some(cache.join("code-cache"));
    let engine =
        Engine::new(EngineConfig { cache_directory, max_instances: 16, max_memory_mib: 64, ..EngineConfig::default() });
    Catalog::new(engine.expect("an engine"), None)
}

/// A batch of so many items.
///
/// # Panics
/// Never: a budget has room for nothing.
pub fn batch(signal: Signal, items: usize) -> Batch {
    Batch {
        signal,
        items: items as u64,
        bytes: sample::request(signal, items).into(),
        tenant: TenantId::default(),
        context: Arc::new(Context { received: SystemTime::now(), headers: Vec::new() }),
        permit: Arc::new(Budget::new(1).try_take(0).expect("nothing")),
    }
}
