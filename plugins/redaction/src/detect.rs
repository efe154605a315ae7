//! Detectors: sensitive values that a regular expression alone can't tell from harmless ones.

mod card;
mod email;
mod iban;

use std::borrow::Cow;
use std::ops::Range;

use crate::config::{DetectorConfig, DetectorMask, DetectorType};

/// One configured detector.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Detector {
    what: DetectorType,
    mask: DetectorMask,
}

impl Detector {
    /// The detector that this configuration block asks for.
    ///
    /// # Errors
    /// The mask is none of those that the type of detector offers.
    pub(crate) fn new(config: &DetectorConfig) -> Result<Self, String> {
        let offered = masks_of(config.what);
        let mask = config.mask.unwrap_or(offered[0]);
        if offered.contains(&mask) {
            return Ok(Self { what: config.what, mask });
        }
        let offered: Vec<&str> = offered.iter().map(|mask| mask.name()).collect();
        Err(format!(
            "mask {:?} does not go with type {}; use {}",
            mask.name(),
            config.what.name(),
            offered.join(" or ")
        ))
    }

    /// A pattern that matches in every text in which this detector may find something. It is cheap for the host to
    /// run over a whole column, it can't match the mask, and looks at no context.
    pub(crate) fn candidate_pattern(self) -> Cow<'static, str> {
        match self.what {
            DetectorType::Card => card::CANDIDATE.into(),
            DetectorType::Iban => iban::candidate().into(),
            DetectorType::Email => email::CANDIDATE.into(),
        }
    }

    /// The byte ranges of `text` to mask, ascending and disjoint.
    pub(crate) fn find(self, text: &str) -> Vec<Range<usize>> {
        match self.what {
            DetectorType::Card => card::find(text).iter().map(|found| self.shorten(text, found)).collect(),
            DetectorType::Iban => iban::find(text).iter().map(|found| self.shorten(text, found)).collect(),
            DetectorType::Email => email::find(text, self.mask == DetectorMask::Domain),
        }
    }

    /// What of a found number is to be masked: all of it, or all but the last four digits or letters.
    fn shorten(self, text: &str, found: &Range<usize>) -> Range<usize> {
        if self.mask == DetectorMask::Full {
            return found.clone();
        }
        let number = &text.as_bytes()[found.clone()];
        let fourth_last = number.iter().enumerate().rev().filter(|(_, byte)| byte.is_ascii_alphanumeric()).nth(3);
        found.start..fourth_last.map_or(found.end, |(at, _)| found.start + at)
    }
}

/// The masks that a type of detector offers; the first one is its default.
fn masks_of(what: DetectorType) -> &'static [DetectorMask] {
    match what {
        DetectorType::Card | DetectorType::Iban => &[DetectorMask::Last4, DetectorMask::Full],
        DetectorType::Email => &[DetectorMask::Domain, DetectorMask::Full],
    }
}

#[cfg(test)]
mod tests;
