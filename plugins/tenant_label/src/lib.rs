//! The standard stage `tenant_label`: finds out whose telemetry it is, labels it, and splits the batch by tenant.

mod assign;
mod config;
mod name;
mod resolve;
mod source;
mod template;

use sluice_sdk::{Batch, ConfigErrors, Descriptor, Drops, Failure, OnError, Outcome, Setup, Stage};

use crate::assign::Assigner;
pub use config::{OnInvalid, OnUnknown, Place, RuleConfig, SourceConfig, TenantLabelConfig, Unmapped};

/// The stage.
#[derive(Debug)]
pub struct TenantLabel(Assigner);

impl Stage for TenantLabel {
    type Config = TenantLabelConfig;

    const DESCRIPTOR: Descriptor = Descriptor::new("tenant_label")
        .version(env!("CARGO_PKG_VERSION"))
        .description("Finds the tenant of resources or rows, labels them with it, and splits the batch by tenant.")
        .drops(Drops::Filtered)
        .on_error(OnError::Reject);

    fn configure(config: TenantLabelConfig, setup: &mut Setup) -> Result<Self, ConfigErrors> {
        Ok(Self(Assigner::new(config, setup)?))
    }

    fn process(&mut self, batch: &Batch) -> Result<Outcome, Failure> {
        self.0.process(batch)
    }
}

sluice_sdk::export!(TenantLabel);
