//! The smallest useful plugin: writes the class of each HTTP status code, `2xx` for 204.
//!
//! ```text
//! cargo test -p sluice-example-first-plugin
//! cargo build -p sluice-example-first-plugin --release --target wasm32-wasip2
//! cp target/wasm32-wasip2/release/status_class.wasm sluice-data/plugins/
//! sluice --config examples/quickstart/config.yaml --config examples/first-plugin/config.yaml
//! ```

use sluice_sdk::{Batch, Bitmap, ConfigErrors, Descriptor, Failure, Field, Outcome, S64, Setup, Stage, Writes};

/// What the block in the configuration holds.
#[derive(serde::Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The attribute to write.
    label: String,
}

/// The stage.
pub struct StatusClass {
    label: String,
    status: S64,
}

const CLASSES: [&str; 5] = if cfg!(feature = "words") {
    ["informational", "success", "redirection", "client error", "server error"]
} else {
    ["1xx", "2xx", "3xx", "4xx", "5xx"]
};

impl Stage for StatusClass {
    type Config = Config;
    const DESCRIPTOR: Descriptor =
        Descriptor::new("status_class").description("Writes the class of HTTP status codes.");

    fn configure(config: Config, setup: &mut Setup) -> Result<Self, ConfigErrors> {
        setup.writes(Writes::Fields(vec![Field::record(&config.label)]));
        Ok(Self { label: config.label, status: setup.s64(Field::record("http.response.status_code")) })
    }

    fn process(&mut self, batch: &Batch) -> Result<Outcome, Failure> {
        let status = batch.s64(self.status);
        let mut outcome = Outcome::unchanged();
        for (class, name) in (1..).zip(CLASSES) {
            let rows = Bitmap::from_fn(batch.rows(), |row| status.get(row).is_some_and(|code| code / 100 == class));
            if rows.count_ones() > 0 {
                outcome.set(Field::record(&self.label), rows, name);
            }
        }
        Ok(outcome)
    }
}

sluice_sdk::export!(StatusClass);
