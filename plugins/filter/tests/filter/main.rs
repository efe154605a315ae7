//! Tests of the stage as a whole.

#![allow(clippy::unwrap_used)]

mod behaviour;
mod collector;
mod conditions;
mod config_errors;
mod legacy;
mod random;
mod zoo;
