//! The trait that a plugin implements.

use serde::de::DeserializeOwned;

use crate::batch::Batch;
use crate::config::ConfigErrors;
use crate::descriptor::Descriptor;
use crate::outcome::{Failure, Outcome};
use crate::setup::Setup;

/// A processing step, configured for one signal.
pub trait Stage: Sized {
    /// Its configuration; the JSON Schema that `describe` shows comes from it.
    type Config: DeserializeOwned + schemars::JsonSchema;

    /// What the plugin is.
    const DESCRIPTOR: Descriptor;

    /// Takes the configuration and declares what the stage reads and writes.
    ///
    /// # Errors
    /// Every mistake in the configuration, each with its path.
    fn configure(config: Self::Config, setup: &mut Setup) -> Result<Self, ConfigErrors>;

    /// Processes one batch.
    ///
    /// # Errors
    /// If it can't: the host still has the batch and applies its policy.
    fn process(&mut self, batch: &Batch) -> Result<Outcome, Failure>;
}
