//! Stages: WASM plugins that see a batch as columns and answer with bulk edits.
//!
//! `Engine` runs plugins, `Catalog` finds them, `Chain` takes batches through several of them. The order here is that of
//! a batch's way: chain, call, lower, answer; below it what makes a plugin run.

mod chain;
mod call;
mod lower;
mod answer;

mod catalog;
mod component;
mod configured;
mod declared;
mod descriptor_section;
mod embedded;
mod outline;
mod reload;

mod engine;
mod aside;
mod bindings;
mod code_cache;
mod edition;
mod guest;
mod instance;
mod limits;
mod patterns;
mod shared;
mod ticker;
mod wasi;

pub use answer::AnswerError;
pub(crate) use aside::aside;
pub use catalog::{Catalog, CatalogError};
pub use chain::{
    Chain, ChainOutcome, Change, FailureKind, LeftOut, ReadSettings, Settings, StageConfigError, StageFailure,
    StageReport, StageSpec,
};
pub use code_cache::Digest;
pub use component::{Descriptor, Drops, Inspection, LoadError, OnError, Origin, Plugin};
pub use embedded::{Precompiled, precompile_standard_stages};
pub use engine::{Engine, EngineConfig, EngineError};
pub use instance::CallError;
pub use limits::StageLimits;
pub use reload::{NotReloaded, Reload, Reloader};
