//! The standard stage `sampler`: keeps a share of the spans or log records, decided by their randomness.
//!
//! It decides and writes as the OpenTelemetry Collector's `probabilistic_sampler` does, bit by bit.

mod config;
mod hash;
mod ids;
mod logs;
mod plain;
mod policy;
mod priority;
mod record;
mod span;
mod spans;
mod threshold;
mod tracestate;

pub use config::{AttributeSource, SamplerConfig, SamplerMode};
use sluice_sdk::{Batch, ConfigErrors, Descriptor, Drops, Failure, OnError, Outcome, Setup, Signal, Stage, counter};

/// The stage for one signal.
#[derive(Debug)]
pub struct Sampler(Rows);

#[derive(Debug)]
enum Rows {
    Spans(spans::Spans),
    Logs(logs::Logs),
}

impl Stage for Sampler {
    type Config = SamplerConfig;

    const DESCRIPTOR: Descriptor = Descriptor::new("sampler")
        .aliases(&["probabilistic_sampler"])
        .version(env!("CARGO_PKG_VERSION"))
        .description("Keeps a share of the spans or log records, decided by trace id or attribute.")
        .signals(&[Signal::Traces, Signal::Logs])
        .drops(Drops::Sampled)
        .on_error(OnError::Pass);

    fn configure(config: SamplerConfig, setup: &mut Setup) -> Result<Self, ConfigErrors> {
        let policy = config.policy(setup.signal())?;
        Ok(Self(match setup.signal() {
            Signal::Traces => Rows::Spans(spans::Spans::new(policy, setup)),
            Signal::Logs => Rows::Logs(logs::Logs::new(policy, &config, setup)),
            Signal::Metrics => {
                return Err(ConfigErrors::one("", "metrics can't be sampled: use this stage for traces and logs"));
            }
        }))
    }

    fn process(&mut self, batch: &Batch) -> Result<Outcome, Failure> {
        let (outcome, faulty) = match &mut self.0 {
            Rows::Spans(spans) => spans.process(batch),
            Rows::Logs(logs) => logs.process(batch),
        };
        if faulty > 0 {
            counter::add("sampling_errors", faulty);
        }
        Ok(outcome)
    }
}

sluice_sdk::export!(Sampler);
