//! The kit of the integration tests: Sluice as a process, other people's servers, and what to ask them.

pub mod capture;
pub mod parts;
pub mod ports;
pub mod process;
pub mod sluice;
pub mod web;

pub use capture::Capture;
pub use ports::free_port;
pub use sluice::Sluice;
