//! One span: what its trace id, tracestate and priority say, the decision, and the tracestate that tells of it.

use crate::policy::{Evidence, Mode, Policy, Verdict};
use crate::priority::Priority;
use crate::threshold::{Randomness, Threshold};
use crate::tracestate::TraceState;

/// Decides about spans one by one.
#[derive(Debug)]
pub(crate) struct SpanSampler {
    pub(crate) policy: Policy,
    /// The tracestate of the span at hand.
    state: TraceState,
}

/// What becomes of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It is dropped.
    Dropped,
    /// It is kept as it is.
    Kept,
    /// It is kept, and says with which threshold.
    Written,
}

impl SpanSampler {
    pub(crate) fn new(policy: Policy) -> Self {
        Self { policy, state: TraceState::default() }
    }

    /// Decides about a span whose trace id stands for `drawn`, and appends its new tracestate if it gets one. Also says
    /// whether it could not be decided by the rules.
    pub(crate) fn decide(
        &mut self,
        drawn: Option<Randomness>,
        tracestate: &str,
        priority: Option<Priority>,
        out: &mut Vec<u8>,
    ) -> (Fate, bool) {
        let malformed = self.state.read(tracestate).is_err();
        let forced = priority.map(|priority| match priority {
            Priority::Keep => Threshold::ALWAYS,
            Priority::Drop => Threshold::NEVER,
        });
        let (verdict, faulty) = self.policy.judge(self.evidence(drawn, malformed), forced);
        let threshold = match verdict {
            Verdict::Drop => return (Fate::Dropped, faulty),
            Verdict::Keep => return (Fate::Kept, faulty),
            Verdict::KeepThreshold => None,
            Verdict::Write(threshold) => Some(threshold),
        };
        // Where there was nothing to hash, the Collector writes the highest randomness.
        let randomness = self.policy.hashes().then_some(drawn.unwrap_or(Randomness::HIGHEST));
        self.state.write(tracestate, randomness, threshold, out);
        (Fate::Written, faulty)
    }

    fn evidence(&self, drawn: Option<Randomness>, malformed: bool) -> Evidence {
        let (explicit, threshold) = (self.state.randomness(), self.state.threshold());
        match self.policy.mode {
            // It asks for no randomness, and writes even what it could not read completely.
            Mode::Never => {
                Evidence { randomness: Some(Randomness::HIGHEST), threshold, writable: true, faulty: malformed }
            }
            // Sampling information that is already there must not be overwritten with other randomness.
            Mode::HashSeed(_) => {
                let faulty = malformed || explicit.is_some() || threshold.is_some();
                Evidence { randomness: drawn, threshold: None, writable: !faulty, faulty }
            }
            Mode::Equalizing(_) | Mode::Proportional(_) if malformed => {
                Evidence { randomness: None, threshold: None, writable: false, faulty: true }
            }
            Mode::Equalizing(_) | Mode::Proportional(_) => {
                Evidence { randomness: explicit.or(drawn), threshold, writable: true, faulty: false }
            }
        }
    }
}

#[cfg(test)]
mod tests;
