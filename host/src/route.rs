//! The way of a batch: from its receiver through the pipelines' stages into the queues of the exporters.

pub mod fan_out;
pub mod losses;
pub mod pipeline;

pub use fan_out::{Destination, FanOut};
pub use losses::Losses;
pub use pipeline::{Pipeline, Segment};
