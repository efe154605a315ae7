//! The standard stage `filter`: drops spans, metrics, data points and log records by conditions.

mod compile;
mod config;
mod context;
mod duration;
mod evaluate;
mod fields;
mod functions;
mod legacy;
mod ottl;
mod plan;
mod program;
mod strategy;
mod suggest;
mod trace_state;
mod value;

use sluice_sdk::{Batch, ConfigErrors, Descriptor, Drops, Failure, OnError, Outcome, Setup, Stage};

pub use config::Config;
use program::Program;

/// The stage, configured for one signal.
#[derive(Debug)]
pub struct Filter {
    program: Program,
}

impl Stage for Filter {
    type Config = Config;

    const DESCRIPTOR: Descriptor = Descriptor::new("filter")
        .version(env!("CARGO_PKG_VERSION"))
        .description("Drops spans, metrics, data points and log records by conditions.")
        .drops(Drops::Filtered)
        .on_error(OnError::Pass);

    fn configure(config: Config, setup: &mut Setup) -> Result<Self, ConfigErrors> {
        let mut program = plan::program(&config, setup)?;
        program.slots.declare(setup);
        if program.looks_above_records(setup.signal()) {
            setup.starts();
        }
        Ok(Self { program })
    }

    fn process(&mut self, batch: &Batch) -> Result<Outcome, Failure> {
        let mut outcome = Outcome::unchanged();
        if !self.program.steps.is_empty() {
            let kept = evaluate::kept(&self.program, batch).map_err(|failed| Failure::refused(failed.0))?;
            outcome.keep(kept);
        }
        Ok(outcome)
    }
}

sluice_sdk::export!(Filter);
