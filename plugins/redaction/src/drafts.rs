//! Works on texts step by step: each step sees what the one before left.

use std::ops::Range;

use sluice_sdk::Texts;

use crate::replacement::Replacement;
use crate::steps::Step;

/// A text that is being worked on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Draft {
    /// The entry of the attribute table whose text this is.
    pub(crate) entry: u32,
    pub(crate) text: String,
    /// The first step that was not applied yet.
    pub(crate) next_step: usize,
}

/// Applies the steps that are left to each draft.
pub(crate) fn finish(drafts: &mut [Draft], steps: &[Step], replacement: &Replacement) {
    for (index, step) in steps.iter().enumerate() {
        let mut due: Vec<&mut Draft> = drafts.iter_mut().filter(|draft| draft.next_step <= index).collect();
        if due.is_empty() {
            continue;
        }
        let texts: Texts = due.iter().map(|draft| &draft.text).collect();
        let matches = step.search_texts(&texts);
        let found: Vec<(usize, usize, usize)> = matches.iter().collect();
        for of_one in found.chunk_by(|a, b| a.0 == b.0) {
            let ranges = of_one.iter().map(|(_, start, end)| *start..*end);
            let text = &mut due[of_one[0].0].text;
            *text = replace(text, ranges, replacement);
        }
    }
}

/// The text with these ranges, ascending and disjoint, replaced.
pub(crate) fn replace(text: &str, ranges: impl Iterator<Item = Range<usize>>, replacement: &Replacement) -> String {
    let mut result = String::with_capacity(text.len());
    let mut kept_from = 0;
    for range in ranges {
        result.push_str(&text[kept_from..range.start]);
        replacement.write(&text[range.clone()], &mut result);
        kept_from = range.end;
    }
    result.push_str(&text[kept_from..]);
    result
}
