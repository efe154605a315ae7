//! The configuration, key by key as the OpenTelemetry Collector's `probabilistic_sampler` has it.

use schemars::JsonSchema;
use serde::de::Error;
use serde::{Deserialize, Deserializer};
use sluice_sdk::{ConfigErrors, Signal, log};

use crate::hash::Fnv;
use crate::policy::{Mode, Policy};
use crate::threshold::{MIN_PROBABILITY, Threshold};

/// Buckets of the hash per percent, in the precision in which the number of buckets is computed.
const BUCKETS_PER_PERCENT: f32 = 163.84;

/// What share of the rows is kept, and what decides.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct SamplerConfig {
    /// How many percent of the spans or log records are kept, as a 32-bit float: 100 and more keep all, 0 (the
    /// default) none; else at least 100 * 2^-56.
    #[serde(deserialize_with = "percentage")]
    pub sampling_percentage: f32,
    /// Seed of the hash in mode `hash_seed`. Equal seeds in all samplers of one tier; different seeds from tier to
    /// tier, or the second tier keeps whatever the first one kept.
    pub hash_seed: u32,
    /// `hash_seed` (default): by a hash of the trace id or of an attribute. `proportional`: keeps this share of what
    /// arrives, however much was sampled before. `equalizing`: keeps this share of what there was at first.
    pub mode: Option<SamplerMode>,
    /// Whether rows are dropped that have no randomness or whose sampling information is wrong. Default true.
    pub fail_closed: bool,
    /// Significant hexadecimal digits of a threshold, 1 to 14. Default 4. Negative numbers are taken because the
    /// Collector takes them; most thresholds are then rounded until all rows are kept, or none.
    pub sampling_precision: i64,
    /// Logs: `traceID` (default) takes the trace id and, where there is none, `from_attribute`; `record` only
    /// `from_attribute`. Mode `hash_seed` only.
    pub attribute_source: AttributeSource,
    /// Logs: the attribute of log records whose value is hashed. Mode `hash_seed` only.
    pub from_attribute: String,
    /// Logs: the attribute of log records whose number is a sampling percentage of its own.
    pub sampling_priority: String,
}

/// What decides about a row.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum SamplerMode {
    /// A hash with 14 bits.
    HashSeed,
    /// Consistent sampling, relative to the sampling before.
    Proportional,
    /// Consistent sampling, absolute.
    Equalizing,
    /// The default.
    #[serde(rename = "")]
    Empty,
}

/// Where the randomness of a log record comes from.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema, PartialEq, Eq)]
pub enum AttributeSource {
    /// The trace id, else the attribute.
    #[serde(rename = "traceID")]
    TraceId,
    /// The attribute.
    #[serde(rename = "record")]
    Record,
    /// The attribute: for the Collector whatever is not `traceID` is `record`, although `traceID` is the default.
    #[serde(rename = "")]
    Empty,
}

impl Default for SamplerConfig {
    fn default() -> Self {
        Self {
            sampling_percentage: 0.0,
            hash_seed: 0,
            mode: None,
            fail_closed: true,
            sampling_precision: 4,
            attribute_source: AttributeSource::TraceId,
            from_attribute: String::new(),
            sampling_priority: String::new(),
        }
    }
}

/// Reads a 64-bit number as the 32-bit one that the Collector makes of it. What is below all of them is negative anyway.
fn percentage<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f32, D::Error> {
    let percentage = f64::deserialize(deserializer)?;
    if percentage > f64::from(f32::MAX) {
        return Err(D::Error::custom(format_args!("{percentage:e} is too large; use a number from 0 to 100")));
    }
    Ok(percentage.max(f64::from(f32::MIN)) as f32)
}

impl SamplerConfig {
    /// Checks the configuration and says how rows are decided about.
    pub(crate) fn policy(&self, signal: Signal) -> Result<Policy, ConfigErrors> {
        let mut errors = ConfigErrors::new();
        let percentage = f64::from(self.sampling_percentage);
        let mistake = if !percentage.is_finite() {
            Some("is not a number; use one from 0 to 100")
        } else if percentage < 0.0 {
            Some("is negative; use 0 to drop everything")
        } else if percentage != 0.0 && percentage / 100.0 < MIN_PROBABILITY {
            Some("is too small; use at least 1.3877788e-15, or 0 to drop everything")
        } else {
            None
        };
        if let Some(mistake) = mistake {
            errors.push("sampling_percentage", format!("{} {mistake}", self.sampling_percentage));
        }
        if self.sampling_precision == 0 || self.sampling_precision > 14 {
            let message = format!("{} is out of range; use 1 to 14 hexadecimal digits", self.sampling_precision);
            errors.push("sampling_precision", message);
        }
        if !errors.is_empty() {
            return Err(errors);
        }
        self.warn_of_what_drops_everything(signal);
        if self.sampling_precision < 0 {
            log::warn("sampling_precision is negative: most thresholds are rounded until all rows are kept, or none");
        }
        Ok(Policy {
            mode: self.decisive_mode(),
            precision: self.precision(),
            fail_closed: self.fail_closed,
            hash: Fnv::seeded(self.hash_seed),
        })
    }

    fn decisive_mode(&self) -> Mode {
        let percentage = self.sampling_percentage.min(100.0);
        if percentage == 0.0 {
            return Mode::Never;
        }
        let ratio = f64::from(percentage) / 100.0;
        match self.mode.unwrap_or(SamplerMode::Empty) {
            // The multiplication has 32-bit precision and the result is cut off: the bucket count stays the one that
            // Collectors have used since long before thresholds were standardized.
            SamplerMode::HashSeed | SamplerMode::Empty => match (percentage * BUCKETS_PER_PERCENT) as u32 {
                0 => Mode::Never,
                buckets => Mode::HashSeed(Threshold::from_buckets(buckets)),
            },
            SamplerMode::Proportional => Mode::Proportional(ratio),
            SamplerMode::Equalizing => {
                Threshold::from_probability(ratio, self.precision()).map_or(Mode::Never, Mode::Equalizing)
            }
        }
    }

    /// Below -14 no digit of any threshold is left.
    fn precision(&self) -> i32 {
        self.sampling_precision.clamp(-14, 14) as i32
    }

    fn warn_of_what_drops_everything(&self, signal: Signal) {
        if self.sampling_percentage == 0.0 {
            log::warn("sampling_percentage is 0: all rows are dropped but those with a sampling priority");
        } else if self.decisive_mode() == Mode::Never {
            log::warn(
                "sampling_percentage is less than the 14 bits of mode hash_seed can express: all rows are dropped",
            );
        }
        let no_source = self.attribute_source != AttributeSource::TraceId && self.from_attribute.is_empty();
        if signal == Signal::Logs && no_source && matches!(self.decisive_mode(), Mode::HashSeed(_)) {
            log::warn(
                "attribute_source is not traceID and from_attribute is not set: no log record has any randomness",
            );
        }
    }
}

#[cfg(test)]
mod tests;
