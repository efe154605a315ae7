//! One log record: what its randomness and sampling attributes say, and the decision.

use crate::policy::{Evidence, Mode, Policy, Verdict};
use crate::threshold::{Randomness, Threshold};

/// Decides about a log record whose trace id or attribute stands for `drawn`.
///
/// `threshold` and `randomness` are the attributes `sampling.threshold` and `sampling.randomness`, `percentage` is the
/// number of the attribute that holds a priority. Also says whether the record could not be decided by the rules.
pub(crate) fn decide(
    policy: &Policy,
    drawn: Option<Randomness>,
    threshold: Option<&str>,
    randomness: Option<&str>,
    percentage: Option<f64>,
) -> (Verdict, bool) {
    // Numbers outside of (0, 100] demand nothing.
    let forced = percentage.and_then(|number| Threshold::from_probability(number / 100.0, policy.precision));
    policy.judge(evidence(policy, drawn, threshold, randomness), forced)
}

/// Whether randomness that was drawn is written to a record that is kept: only where no sampling information stands.
pub(crate) fn writes_randomness(policy: &Policy, threshold: Option<&str>, randomness: Option<&str>) -> bool {
    policy.hashes() && text(threshold).is_none() && text(randomness).is_none()
}

fn evidence(policy: &Policy, drawn: Option<Randomness>, threshold: Option<&str>, randomness: Option<&str>) -> Evidence {
    let (threshold, randomness) = (text(threshold), text(randomness));
    let arrived = threshold.and_then(Threshold::parse);
    let explicit = randomness.and_then(Randomness::parse);
    let malformed = arrived.is_some() != threshold.is_some() || explicit.is_some() != randomness.is_some();
    match policy.mode {
        // It asks for no randomness, and writes even where it could not read.
        Mode::Never => {
            Evidence { randomness: Some(Randomness::HIGHEST), threshold: arrived, writable: true, faulty: malformed }
        }
        // Sampling information that is already there must not be overwritten with other randomness.
        Mode::HashSeed(_) => {
            let faulty = threshold.is_some() || randomness.is_some();
            Evidence { randomness: drawn, threshold: None, writable: !faulty, faulty }
        }
        Mode::Equalizing(_) | Mode::Proportional(_) if malformed => {
            Evidence { randomness: None, threshold: None, writable: false, faulty: true }
        }
        Mode::Equalizing(_) | Mode::Proportional(_) => {
            Evidence { randomness: explicit.or(drawn), threshold: arrived, writable: true, faulty: false }
        }
    }
}

/// An attribute's text; an empty one counts as none.
fn text(attribute: Option<&str>) -> Option<&str> {
    attribute.filter(|text| !text.is_empty())
}

#[cfg(test)]
mod tests;
