//! The ordered steps that mask parts of values: blocked patterns, then detectors.

use std::ops::Range;

use sluice_sdk::{Batch, Bitmap, Matches, Pattern, Texts};

use crate::detect::Detector;

/// One step.
pub(crate) struct Step {
    /// What to mask, or where a detector should look.
    pub(crate) pattern: Pattern,
    /// Whether the pattern takes no notice of masks, see `go_pattern::Translated`.
    pub(crate) is_blind_to_mask: bool,
    pub(crate) detector: Option<Detector>,
}

/// What a step found in the values of the attribute table.
#[derive(Default)]
pub(crate) struct Found {
    /// The parts to mask.
    pub(crate) matches: Matches,
    /// Entries into which a detector looked, with or without success; ascending.
    pub(crate) candidates: Vec<u32>,
}

impl Step {
    /// Searches the entries of the attribute table that are set; none means all.
    pub(crate) fn search(&self, batch: &Batch, entries: Option<&Bitmap>) -> Found {
        let matches = batch.find(self.pattern, entries);
        let Some(detector) = self.detector else {
            return Found { matches, candidates: Vec::new() };
        };
        let mut candidates = matches.entries;
        candidates.dedup();
        let mut matches = Matches::default();
        if !candidates.is_empty() {
            let texts = batch.table_text(&candidates);
            for (entry, text) in candidates.iter().zip(texts.iter()) {
                detector.find(text).into_iter().for_each(|range| push(&mut matches, *entry, range));
            }
        }
        Found { matches, candidates }
    }

    /// Searches other texts. Returns the parts to mask, text by text.
    pub(crate) fn search_texts(&self, texts: &Texts) -> Matches {
        let matches = self.pattern.find_all(texts);
        let Some(detector) = self.detector else { return matches };
        let mut candidates = matches.entries;
        candidates.dedup();
        let mut matches = Matches::default();
        for entry in candidates {
            detector.find(texts.get(entry as usize)).into_iter().for_each(|range| push(&mut matches, entry, range));
        }
        matches
    }
}

/// Appends a match. A text of a batch is shorter than 4 GiB, so its positions fit.
fn push(matches: &mut Matches, entry: u32, range: Range<usize>) {
    matches.entries.push(entry);
    matches.starts.push(range.start as u32);
    matches.ends.push(range.end as u32);
}
