//! The batch processor: joins small requests and cuts large ones, on bytes.

pub mod batcher;
pub mod task;

pub use batcher::{Batcher, Limits};
pub use task::{BatchHandle, spawn};
