//! The stage engine with real components: what stages do to batches, and what they can't do to the host.

#![allow(clippy::unwrap_used)]

#[path = "stages/kit.rs"]
mod kit;

#[path = "stages/blocks.rs"]
mod blocks;
#[path = "stages/effects.rs"]
mod effects;
#[path = "stages/evil.rs"]
mod evil;
#[path = "stages/limits.rs"]
mod limits;
#[path = "stages/loading.rs"]
mod loading;
#[path = "stages/reload.rs"]
mod reload;
#[path = "stages/segments.rs"]
mod segments;
#[path = "stages/standard.rs"]
mod standard;
