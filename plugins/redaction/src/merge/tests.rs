use super::*;

/// What a step found: entry, start and end of each match.
fn found(matches: &[(u32, u32, u32)]) -> Found {
    let matches = Matches {
        entries: matches.iter().map(|found| found.0).collect(),
        starts: matches.iter().map(|found| found.1).collect(),
        ends: matches.iter().map(|found| found.2).collect(),
    };
    Found { matches, candidates: Vec::new() }
}

fn draft(entry: u32, step: usize, ranges: &[(usize, usize)]) -> DraftStart {
    DraftStart { entry, step, ranges: ranges.iter().map(|(start, end)| *start..*end).collect() }
}

#[derive(Default)]
struct Case<'a> {
    blind: &'a [bool],
    found: &'a [&'a [(u32, u32, u32)]],
    /// Step and entry of what detectors looked into.
    candidates: &'a [(usize, u32)],
    caution: Caution<'a>,
    masks: &'a [(u32, u32, u32)],
    drafts: &'a [DraftStart],
}

fn check(case: Case<'_>) {
    let mut all: Vec<Found> = case.found.iter().map(|matches| found(matches)).collect();
    for (step, entry) in case.candidates {
        all[*step].candidates.push(*entry);
    }
    let merged = merge(case.blind, all, &case.caution);
    let lists = merged.masks.iter().map(|masks| masks.iter().collect::<Vec<_>>());
    let mut masks: Vec<_> = lists.inspect(|list| assert!(list.is_sorted())).flatten().collect();
    masks.sort();
    assert_eq!(masks, found(case.masks).matches.iter().collect::<Vec<_>>());
    assert_eq!(merged.drafts, case.drafts);
}

#[test]
fn masks_what_one_step_found() {
    let matches: &[_] = &[(1, 0, 4), (1, 4, 8), (7, 2, 3)];
    check(Case { blind: &[true], found: &[matches], masks: matches, ..Case::default() });
    check(Case { blind: &[false], found: &[matches], masks: matches, ..Case::default() });
    check(Case { blind: &[true, true], found: &[&[], matches], masks: matches, ..Case::default() });
    check(Case { blind: &[true], found: &[&[]], ..Case::default() });
    check(Case::default());
}

#[test]
fn passes_on_what_steps_found_in_different_values() {
    let (first, second) = (&[(0, 0, 4), (7, 0, 1)], &[(1, 4, 8), (8, 0, 1)]);
    let apart = merge(&[true, true, true], vec![found(first), found(&[]), found(second)], &Caution::default());
    assert_eq!(apart.masks, [found(first).matches, found(second).matches]);
    let joined = merge(&[true, true], vec![found(first), found(&[(7, 2, 3)])], &Caution::default());
    assert_eq!(joined.masks, [found(&[(0, 0, 4), (7, 0, 1), (7, 2, 3)]).matches]);
    let many: Vec<(u32, u32, u32)> = (0..=FEW as u32).map(|entry| (entry, 0, 1)).collect();
    let joined = merge(&[true; FEW + 1], many.iter().map(|only| found(&[*only])).collect(), &Caution::default());
    assert_eq!(joined.masks, [found(&many).matches]);
}

#[test]
fn joins_matches_that_do_not_overlap() {
    check(Case {
        blind: &[true, true, true],
        found: &[&[(0, 8, 9), (3, 0, 1)], &[(0, 1, 2), (0, 9, 12)], &[(2, 0, 1), (3, 4, 5)]],
        masks: &[(0, 1, 2), (0, 8, 9), (0, 9, 12), (2, 0, 1), (3, 0, 1), (3, 4, 5)],
        ..Case::default()
    });
}

#[test]
fn drafts_values_in_which_matches_overlap() {
    check(Case {
        blind: &[true, true],
        found: &[&[(0, 0, 4), (1, 0, 4)], &[(0, 3, 6), (1, 4, 6)]],
        masks: &[(1, 0, 4), (1, 4, 6)],
        drafts: &[draft(0, 0, &[(0, 4)])],
        ..Case::default()
    });
}

#[test]
fn drafts_values_with_empty_matches() {
    check(Case {
        blind: &[true],
        found: &[&[(0, 0, 0), (0, 2, 3), (1, 0, 1)]],
        masks: &[(1, 0, 1)],
        drafts: &[draft(0, 0, &[(0, 0), (2, 3)])],
        ..Case::default()
    });
}

#[test]
fn drafts_values_whose_masks_a_later_step_may_notice() {
    let drafts = &[draft(0, 0, &[(0, 4)])];
    check(Case {
        blind: &[true, false],
        found: &[&[(0, 0, 4)], &[(1, 0, 4)]],
        masks: &[(1, 0, 4)],
        drafts,
        ..Case::default()
    });
    // The steps before need not be blind.
    check(Case { blind: &[false, true], found: &[&[(0, 0, 4)], &[]], masks: &[(0, 0, 4)], ..Case::default() });
}

#[test]
fn drafts_masked_values_that_a_detector_looks_into_later() {
    check(Case {
        blind: &[true, true],
        found: &[&[(0, 0, 4), (1, 0, 4)], &[]],
        candidates: &[(1, 1)],
        masks: &[(0, 0, 4)],
        drafts: &[draft(1, 0, &[(0, 4)])],
        ..Case::default()
    });
    check(Case {
        blind: &[true],
        found: &[&[(1, 0, 4)]],
        candidates: &[(0, 1)],
        masks: &[(1, 0, 4)],
        ..Case::default()
    });
}

#[test]
fn heeds_what_it_is_told() {
    let found: &[&[_]] = &[&[(0, 0, 4), (1, 0, 4)]];
    let is_first = |entry| entry == 0;
    let drafts = &[draft(0, 0, &[(0, 4)]), draft(1, 0, &[(0, 4)])];
    let caution = Caution { is_exempt: Some(&is_first), ..Caution::default() };
    check(Case { blind: &[true], found, caution, masks: &[(1, 0, 4)], ..Case::default() });
    let caution = Caution { must_draft: Some(&is_first), ..Caution::default() };
    check(Case { blind: &[true], found, caution, masks: &[(1, 0, 4)], drafts: &drafts[..1], ..Case::default() });
    let caution = Caution { draft_all: true, ..Caution::default() };
    check(Case { blind: &[true], found, caution, drafts, ..Case::default() });
    let caution = Caution { counts_changes: true, ..Caution::default() };
    check(Case { blind: &[false], found, caution, drafts, ..Case::default() });
    let caution = Caution { counts_changes: true, ..Caution::default() };
    check(Case { blind: &[true], found, caution, masks: &[(0, 0, 4), (1, 0, 4)], ..Case::default() });
}
