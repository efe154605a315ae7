//! A stage that reads one column and changes nothing, and fails if it is told so.

use sluice_sdk::{Batch, ConfigErrors, Descriptor, Dictionary, Failure, Field, OnError, Outcome, Setup, Stage};

/// Its configuration.
#[derive(serde::Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// What to read.
    #[serde(default)]
    read: Option<String>,
    /// What the probe would do in its place; of that it only does `fail`.
    #[serde(default)]
    act: Option<String>,
}

/// The stage.
pub struct Noop {
    column: Option<Dictionary>,
    fails: bool,
}

impl Stage for Noop {
    type Config = Config;
    const DESCRIPTOR: Descriptor = Descriptor::new("noop").description("Changes nothing.").on_error(OnError::Reject);

    fn configure(config: Config, setup: &mut Setup) -> Result<Self, ConfigErrors> {
        let column = config.read.map(|key| setup.dictionary(Field::record(key)));
        Ok(Self { column, fails: config.act.as_deref() == Some("fail") })
    }

    fn process(&mut self, batch: &Batch) -> Result<Outcome, Failure> {
        if self.fails {
            return Err(Failure::error("as told"));
        }
        if let Some(column) = self.column {
            std::hint::black_box(batch.dictionary(column).values());
        }
        Ok(Outcome::unchanged())
    }
}

sluice_sdk::export!(Noop);
