//! The standard stage `redaction`: removes attributes that are not allowed and masks sensitive values.

mod config;
mod detect;
mod dialect;
mod replacement;

pub use config::{
    Config, DbSanitizer, DbSystem, DetectorConfig, DetectorMask, DetectorType, HashFunction, Secret, Summary,
    UrlSanitizer,
};
