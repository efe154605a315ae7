//! The decision about one row: pure, the same for spans and log records.

use crate::hash::Fnv;
use crate::threshold::{Randomness, Threshold};

/// What decides.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Mode {
    /// Nothing passes but by priority.
    Never,
    /// The hash of an id or attribute against this threshold.
    HashSeed(Threshold),
    /// This threshold, or the one that arrived if it is higher.
    Equalizing(Threshold),
    /// The probability that arrived times this ratio.
    Proportional(f64),
}

/// How rows are decided about.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Policy {
    pub(crate) mode: Mode,
    /// Significant digits of thresholds.
    pub(crate) precision: i32,
    /// Whether rows are dropped that can't be decided about.
    pub(crate) fail_closed: bool,
    pub(crate) hash: Fnv,
}

/// What is known of a row.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Evidence {
    /// The randomness, unless there is none.
    pub(crate) randomness: Option<Randomness>,
    /// The threshold that arrived.
    pub(crate) threshold: Option<Threshold>,
    /// Whether the decision may be written to the row.
    pub(crate) writable: bool,
    /// Whether the row's sampling information is wrong, or in the way of the mode.
    pub(crate) faulty: bool,
}

/// What becomes of a row.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Verdict {
    /// It is dropped.
    Drop,
    /// It is kept as it is.
    Keep,
    /// It is kept and says so, with the threshold that arrived.
    KeepThreshold,
    /// It is kept and says so, with this threshold.
    Write(Threshold),
}

impl Policy {
    /// Whether the mode takes its randomness from a hash.
    pub(crate) fn hashes(&self) -> bool {
        matches!(self.mode, Mode::HashSeed(_))
    }

    /// The randomness that a trace id stands for.
    pub(crate) fn draw(&self, id: &[u8; 16]) -> Randomness {
        match self.hashes() {
            true => Randomness::from_hash(self.hash.hash(id)),
            false => Randomness::from_trace_id(id),
        }
    }

    /// The threshold for a row that arrived with this one.
    pub(crate) fn threshold(&self, arrived: Option<Threshold>) -> Threshold {
        match self.mode {
            Mode::Never => Threshold::NEVER,
            Mode::HashSeed(threshold) => threshold,
            Mode::Equalizing(threshold) => arrived.map_or(threshold, |arrived| arrived.max(threshold)),
            Mode::Proportional(ratio) => {
                let probability = arrived.map_or(1.0, Threshold::probability) * ratio;
                // A product below what a threshold can express keeps nothing.
                Threshold::from_probability(probability, self.precision).unwrap_or(Threshold::NEVER)
            }
        }
    }

    /// Decides; `forced` is what a priority demands. Also says whether the row could not be decided about by the rules.
    pub(crate) fn judge(&self, evidence: Evidence, forced: Option<Threshold>) -> (Verdict, bool) {
        let Evidence { randomness, threshold: mut arrived, writable, mut faulty } = evidence;
        if !faulty {
            let consistent = randomness.is_some_and(|randomness| arrived.is_none_or(|t| t.keeps(randomness)));
            if !consistent && randomness.is_some() {
                arrived = None; // a threshold that would have dropped the row says nothing about it
            }
            faulty = !consistent;
        }
        let threshold = match (forced, faulty) {
            (Some(forced), _) => forced,
            (None, true) if self.fail_closed => Threshold::NEVER,
            (None, true) => Threshold::ALWAYS,
            (None, false) => self.threshold(arrived),
        };
        let verdict = if !threshold.keeps(randomness.unwrap_or(Randomness::HIGHEST)) {
            Verdict::Drop
        } else if !writable {
            Verdict::Keep
        } else if arrived.is_some_and(|arrived| arrived > threshold) {
            Verdict::KeepThreshold // a row's probability never rises again
        } else {
            Verdict::Write(threshold)
        };
        (verdict, faulty)
    }
}
