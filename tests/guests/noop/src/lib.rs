//! A stage that reads one column and changes nothing.

use sluice_sdk::{Batch, ConfigErrors, Descriptor, Dictionary, Failure, Field, Outcome, Setup, Stage};

/// Its configuration.
#[derive(serde::Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// What to read.
    #[serde(default)]
    read: Option<String>,
    /// What the probe would do in its place.
    #[serde(default, rename = "act")]
    _act: Option<String>,
}

/// The stage.
pub struct Noop(Option<Dictionary>);

impl Stage for Noop {
    type Config = Config;
    const DESCRIPTOR: Descriptor = Descriptor::new("noop").description("Changes nothing.");

    fn configure(config: Config, setup: &mut Setup) -> Result<Self, ConfigErrors> {
        Ok(Self(config.read.map(|key| setup.dictionary(Field::record(key)))))
    }

    fn process(&mut self, batch: &Batch) -> Result<Outcome, Failure> {
        if let Some(column) = self.0 {
            std::hint::black_box(batch.dictionary(column).values());
        }
        Ok(Outcome::unchanged())
    }
}

sluice_sdk::export!(Noop);
