//! Compares everything with prost: what it decodes is what a request means.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod columns;
mod dice;
mod generate;
mod many;
mod plans;
mod raw;
mod splice;
mod split;
mod targets;
mod tree;
mod validate;
mod views;
mod writer;
