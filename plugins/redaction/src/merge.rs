//! Joins what the steps found in the same values, and tells which values need more than masked ranges.
//!
//! The Collector applies one pattern after the other, each to the text that the one before left. Here all of them
//! search the original text. That is the same as long as in a value no two matches overlap and no later pattern can
//! take notice of the asterisks that an earlier one puts there. All other values become drafts.

use std::ops::Range;

use sluice_sdk::Matches;

use crate::steps::Found;

/// So many steps may each have an edit of their own.
const FEW: usize = 8;

/// What to do with the values in which something was found.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Merged {
    /// Ranges to replace by asterisks, in lists that have no entry in common; in each entry by entry, ascending.
    pub(crate) masks: Vec<Matches>,
    /// Values that must be worked on step by step; ascending.
    pub(crate) drafts: Vec<DraftStart>,
}

/// A value in which a step was the first to find something.
#[derive(Debug, PartialEq)]
pub(crate) struct DraftStart {
    pub(crate) entry: u32,
    /// The first step that found something.
    pub(crate) step: usize,
    /// What it found.
    pub(crate) ranges: Vec<Range<usize>>,
}

/// How careful to be.
#[derive(Default)]
pub(crate) struct Caution<'a> {
    /// Values to leave as they are.
    pub(crate) is_exempt: Option<&'a dyn Fn(u32) -> bool>,
    /// Values that must become drafts in any case.
    pub(crate) must_draft: Option<&'a dyn Fn(u32) -> bool>,
    /// Every value must become a draft.
    pub(crate) draft_all: bool,
    /// Whether it matters that a mask may replace asterisks by the same asterisks.
    pub(crate) counts_changes: bool,
}

/// Joins the findings of all steps. `blind` says of each step whether it takes no notice of masks; `found` has one
/// element per step, or none if nothing was searched.
pub(crate) fn merge(blind: &[bool], found: Vec<Found>, caution: &Caution<'_>) -> Merged {
    let drafts_after = drafts_after(blind, caution);
    if are_apart(&found, &drafts_after, caution) {
        let masks = found.into_iter().map(|found| found.matches).filter(|matches| !matches.is_empty());
        return Merged { masks: masks.collect(), drafts: Vec::new() };
    }
    let (mut masks, mut drafts) = (Matches::default(), Vec::new());
    let mut cursors: Vec<Cursor<'_>> = found.iter().map(Cursor::new).collect();
    while let Some(entry) = cursors.iter().filter_map(Cursor::entry).min() {
        drafts.extend(merge_entry(entry, &mut cursors, &drafts_after, caution, &mut masks));
    }
    Merged { masks: Some(masks).filter(|masks| !masks.is_empty()).into_iter().collect(), drafts }
}

/// For each step, whether all values in which it is the first to find something must become drafts: a later pattern
/// might take notice of its masks, or its masks might change nothing.
fn drafts_after(blind: &[bool], caution: &Caution<'_>) -> Vec<bool> {
    let is_noticed_after = |next: usize| blind[next..].contains(&false);
    let of_step = |(i, is_blind): (usize, &bool)| {
        caution.draft_all || (caution.counts_changes && !is_blind) || is_noticed_after(i + 1)
    };
    blind.iter().enumerate().map(of_step).collect()
}

/// Whether everything can be masked as it was found: no value concerns two steps, or needs a closer look. Many steps are
/// better joined, since each has an edit of its own.
fn are_apart(found: &[Found], drafts_after: &[bool], caution: &Caution<'_>) -> bool {
    let is_apart = |(step, found_here): (usize, &Found)| {
        let matches = &found_here.matches;
        let is_apart_from = |later: &Found| {
            !meet(&matches.entries, &later.matches.entries) && !meet(&matches.entries, &later.candidates)
        };
        let is_plain = || !drafts_after[step] && !has_empty(matches, 0..matches.len());
        matches.is_empty() || is_plain() && found[step + 1..].iter().all(is_apart_from)
    };
    let steps = found.iter().filter(|found| !found.matches.is_empty()).count();
    let is_plain = steps <= FEW && caution.is_exempt.is_none() && caution.must_draft.is_none();
    is_plain && found.iter().enumerate().all(is_apart)
}

/// Whether two ascending lists have something in common.
fn meet(one: &[u32], other: &[u32]) -> bool {
    let (few, many) = if one.len() < other.len() { (one, other) } else { (other, one) };
    few.iter().any(|number| many.binary_search(number).is_ok())
}

/// Takes all that was found in one value: masks, or a draft.
fn merge_entry(
    entry: u32,
    cursors: &mut [Cursor<'_>],
    drafts_after: &[bool],
    caution: &Caution<'_>,
    masks: &mut Matches,
) -> Option<DraftStart> {
    let is_here = |cursor: &Cursor<'_>| cursor.entry() == Some(entry);
    let first = cursors.iter().position(is_here)?;
    let is_shared = cursors[first + 1..].iter().any(is_here);
    let is_candidate_later = cursors[first + 1..].iter_mut().any(|cursor| cursor.is_candidate(entry));
    let group = cursors[first].take(entry);
    let matches = &cursors[first].found.matches;
    let mut ranges = Vec::new();
    if is_shared {
        ranges.extend(group.clone().map(|i| (matches.starts[i], matches.ends[i])));
        for cursor in &mut cursors[first + 1..] {
            let matches = &cursor.found.matches;
            ranges.extend(cursor.take(entry).map(|i| (matches.starts[i], matches.ends[i])));
        }
        ranges.sort_unstable();
    }
    if caution.is_exempt.is_some_and(|is_exempt| is_exempt(entry)) {
        return None;
    }
    let must_draft = drafts_after[first]
        || is_candidate_later
        || caution.must_draft.is_some_and(|must_draft| must_draft(entry))
        || has_empty(matches, group.clone())
        || ranges.iter().any(|(start, end)| start == end)
        || ranges.windows(2).any(|pair| pair[1].0 < pair[0].1);
    if must_draft {
        let ranges = group.map(|i| matches.starts[i] as usize..matches.ends[i] as usize).collect();
        return Some(DraftStart { entry, step: first, ranges });
    }
    if is_shared {
        ranges.into_iter().for_each(|(start, end)| push(masks, entry, start, end));
    } else {
        group.for_each(|i| push(masks, entry, matches.starts[i], matches.ends[i]));
    }
    None
}

fn push(masks: &mut Matches, entry: u32, start: u32, end: u32) {
    masks.entries.push(entry);
    masks.starts.push(start);
    masks.ends.push(end);
}

fn has_empty(matches: &Matches, group: Range<usize>) -> bool {
    matches.starts[group.clone()].iter().zip(&matches.ends[group]).any(|(start, end)| start == end)
}

/// A place in the findings of one step.
struct Cursor<'a> {
    found: &'a Found,
    at: usize,
    candidate: usize,
}

impl<'a> Cursor<'a> {
    fn new(found: &'a Found) -> Self {
        Self { found, at: 0, candidate: 0 }
    }

    fn entry(&self) -> Option<u32> {
        self.found.matches.entries.get(self.at).copied()
    }

    /// Takes the matches of an entry, as positions in the list of matches.
    fn take(&mut self, entry: u32) -> Range<usize> {
        let start = self.at;
        while self.entry() == Some(entry) {
            self.at += 1;
        }
        start..self.at
    }

    /// Whether a detector looked into an entry; entries must be asked for in ascending order.
    fn is_candidate(&mut self, entry: u32) -> bool {
        let candidates = &self.found.candidates;
        while candidates.get(self.candidate).is_some_and(|candidate| *candidate < entry) {
            self.candidate += 1;
        }
        candidates.get(self.candidate) == Some(&entry)
    }
}

#[cfg(test)]
mod tests;
