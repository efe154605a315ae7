//! The standard stage `redaction`: removes attributes that are not allowed and masks sensitive values.

mod body_path;
mod config;
mod detect;
mod drafts;
mod keys;
mod merge;
mod plan;
mod redactor;
mod replacement;
mod stage;
mod steps;
mod summary;
mod text_form;

pub use config::{
    Config, DbSanitizer, DbSystem, DetectorConfig, DetectorMask, DetectorType, HashFunction, Secret, Summary,
    UrlSanitizer,
};
pub use stage::Redaction;

sluice_sdk::export!(Redaction);
