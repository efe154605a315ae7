//! Sluice, an edge telemetry router: receivers take OTLP in, WASM stages process it, exporters send it on, signed.
//!
//! The modules stand in the order of the flow; `ARCHITECTURE.md` has the map.

pub mod app;
pub mod cli;
pub mod config;
pub mod receive;
pub mod decode;
pub mod route;
pub mod stage;
pub mod batch;
pub mod export;
pub mod admin;
pub mod telemetry;

pub mod limits;
pub mod model;
pub mod pace;
pub mod tls;
