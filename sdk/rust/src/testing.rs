//! Runs a stage natively on OTLP bytes, as the host runs its component: validate, project, call, check, splice.
//!
//! ```
//! # use sluice_sdk::{Batch, Bitmap, ConfigErrors, Descriptor, Failure, Field, Outcome, Setup, Signal, Stage, Text};
//! use sluice_sdk::testing::{Harness, wire::LogsWriter};
//! # #[derive(serde::Deserialize, schemars::JsonSchema)]
//! # struct Config { level: String }
//! # struct DropLevel { level: String, text: Text }
//! # impl Stage for DropLevel {
//! #     type Config = Config;
//! #     const DESCRIPTOR: Descriptor = Descriptor::new("drop_level");
//! #     fn configure(config: Config, setup: &mut Setup) -> Result<Self, ConfigErrors> {
//! #         Ok(Self { level: config.level, text: setup.text(Field::record("level")) })
//! #     }
//! #     fn process(&mut self, batch: &Batch) -> Result<Outcome, Failure> {
//! #         let levels = batch.text(self.text);
//! #         let mut outcome = Outcome::unchanged();
//! #         outcome.keep(Bitmap::from_fn(batch.rows(), |row| levels.get(row) != Some(&*self.level)));
//! #         Ok(outcome)
//! #     }
//! # }
//!
//! let mut request = LogsWriter::default();
//! request.resource_logs(|resource_logs| {
//!     resource_logs.scope_logs(|scope_logs| {
//!         for level in ["info", "debug", "info"] {
//!             scope_logs.log_record(|record| record.attribute("level", |value| value.text(level)));
//!         }
//!     });
//! });
//! let mut harness = Harness::<DropLevel>::new(r#"{"level": "debug"}"#, Signal::Logs).expect("a valid configuration");
//! let processed = harness.process(&request.finish()).expect("an answer");
//! assert_eq!(processed.kept.count_ones(), 2);
//! ```

mod apply;
mod lower;

pub use sluice_wire as wire;
use sluice_wire::{Columns, EditPlan, Projection, splice, validate};

use crate::batch::Batch;
use crate::bindings::sluice::plugin::types as wit;
use crate::bitmap::Bitmap;
use crate::config::{self, ConfigErrors};
use crate::host::log::Level;
use crate::host::provider;
use crate::outcome::{Failure, Outcome};
use crate::pattern::Matches;
use crate::setup::Setup;
use crate::stage::Stage;
use crate::texts::TextsView;
use apply::Asked;
use wit::Signal;

/// A configured stage and what stands around it.
#[derive(Debug)]
pub struct Harness<S> {
    stage: S,
    signal: Signal,
    declared: wit::Projection,
    projection: Projection,
    headers: Vec<(String, String)>,
    received_unix_nano: u64,
}

/// What became of a request.
#[derive(Clone, Debug, PartialEq)]
pub struct Processed {
    /// The request with all edits, for all tenants together; empty if nothing is left.
    pub bytes: Vec<u8>,
    /// Which rows were kept.
    pub kept: Bitmap,
    /// The request of each tenant that has rows, if the stage made a partition.
    pub partitions: Vec<(String, Vec<u8>)>,
    /// What the stage answered; unchanged if the call was skipped.
    pub outcome: Outcome,
    /// Whether the call was skipped, since no row has the attributes that the stage waits for.
    pub skipped: bool,
}

impl<S: Stage> Harness<S> {
    /// Configures a stage: with JSON text, or with a `serde_json::Value`.
    ///
    /// # Errors
    /// The mistakes that the stage finds, and declarations that can't be in this signal.
    pub fn new(config: impl ToString, signal: Signal) -> Result<Self, ConfigErrors> {
        let mut setup = Setup::new(signal);
        let json = config.to_string();
        let config = config::parse(&json)?;
        config::check_keys(&json, schemars::schema_for!(S::Config).as_value())?;
        let stage = S::configure(config, &mut setup)?;
        let declared = setup.into_projection();
        let projection = lower::projection(signal, &declared).map_err(|error| ConfigErrors::one("", error))?;
        Ok(Self { stage, signal, declared, projection, headers: Vec::new(), received_unix_nano: 0 })
    }

    /// Has the requests arrive with a header.
    #[must_use]
    pub fn with_header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_ascii_lowercase(), value.to_owned()));
        self
    }

    /// Has the requests arrive at a time, which the clock shows, too.
    #[must_use]
    pub fn at_unix_nano(mut self, nanoseconds: u64) -> Self {
        self.received_unix_nano = nanoseconds;
        self
    }

    /// The stage.
    pub fn stage(&mut self) -> &mut S {
        &mut self.stage
    }

    /// What the stage sees of an encoded export request, for benchmarks of `stage().process(..)`.
    pub fn batch(&self, bytes: &[u8]) -> Batch {
        let mut columns = Columns::new();
        columns.extract(&self.projection, bytes);
        self.enter(&columns, bytes)
    }

    /// Processes an encoded export request.
    ///
    /// # Errors
    /// What the stage says.
    ///
    /// # Panics
    /// If the bytes are no request of the signal, or the answer breaks the contract: the host would not take it either.
    pub fn process(&mut self, bytes: &[u8]) -> Result<Processed, Failure> {
        validate(lower::signal(self.signal), bytes).unwrap_or_else(|error| panic!("the request is not valid: {error}"));
        let mut columns = Columns::new();
        columns.extract(&self.projection, bytes);
        let rows = columns.rows();
        if !lower::is_worth_calling(&columns, &self.declared) {
            let kept = Bitmap::new(rows, true);
            let (bytes, outcome) = (bytes.to_vec(), Outcome::unchanged());
            return Ok(Processed { bytes, kept, partitions: Vec::new(), outcome, skipped: true });
        }
        let batch = self.enter(&columns, bytes);
        let outcome = self.stage.process(&batch)?;
        let asked = Asked { signal: self.signal, columns: &columns, bytes, declared: &self.declared };
        Ok(asked.apply(outcome).unwrap_or_else(|error| panic!("the answer breaks the contract: {error}")))
    }

    /// Makes the stand-ins of the host ready for a call.
    fn enter(&self, columns: &Columns, bytes: &[u8]) -> Batch {
        provider::with(|state| {
            state.now_unix_nano = self.received_unix_nano;
            state.table_texts = lower::table_texts(columns, bytes);
        });
        let batch = lower::batch(columns, bytes, &self.declared, &self.headers, self.received_unix_nano);
        Batch::new(batch, self.declared.table.is_some())
    }
}

/// Messages that stages of this thread wrote to the log, in order; forgets them.
pub fn take_logs() -> Vec<(Level, String)> {
    provider::with(|state| std::mem::take(&mut state.logs))
}

/// The value of a counter of this thread.
pub fn counter(name: &str) -> u64 {
    provider::with(|state| state.counters.get(name).copied().unwrap_or(0))
}

/// Sets the clock of this thread, until the next request is processed.
pub fn set_now_unix_nano(nanoseconds: u64) {
    provider::with(|state| state.now_unix_nano = nanoseconds);
}

/// Has searches of the attribute table on this thread answered by a function of the pattern, the texts and the bits of
/// the entries to search (none means all), until `reset`. The stand-in searches text by text, the host all at once: a
/// benchmark that compares the two builds of a stage has both search alike.
pub fn search_table_with(search: impl Fn(&str, TextsView<'_>, Option<&[u64]>) -> Matches + 'static) {
    provider::with(|state| state.table_search = Some(Box::new(search)));
}

/// Forgets logs, counters, keys, values and rate limits of this thread.
pub fn reset() {
    provider::with(provider::State::reset);
}

fn spliced(bytes: &[u8], columns: &Columns, plan: &EditPlan) -> Vec<(u32, Vec<u8>)> {
    splice(bytes, columns, plan).into_iter().map(|part| (part.code, part.bytes.into_owned())).collect()
}

#[cfg(test)]
mod tests;
