//! The pages of the process itself: health and metrics.

pub mod health;
pub mod server;

pub use health::Health;
