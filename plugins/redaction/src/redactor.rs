//! The way of one batch: classify keys, search values, mask, remove, and tell.

use std::collections::BTreeMap;

use sluice_sdk::{Batch, Bitmap, Matches, Outcome, Owner, Pattern, Table, Texts, ValueKind};

use crate::config::Summary;
use crate::drafts::{self, Draft};
use crate::keys::KeyRules;
use crate::merge::{Caution, Merged, merge};
use crate::plan::{Plan, Treatment};
use crate::replacement::{Replacement, STARS};
use crate::steps::{Found, Step};
use crate::summary::{self, Deed, SummaryWriter};
use crate::text_form::TextForms;

/// A configured redaction.
pub(crate) struct Redactor {
    pub(crate) keys: KeyRules,
    pub(crate) steps: Vec<Step>,
    pub(crate) allowed_values: Vec<Pattern>,
    pub(crate) replacement: Replacement,
    pub(crate) redact_all_types: bool,
    pub(crate) summary: Summary,
    pub(crate) has_bodies: bool,
    /// What becomes of the empty text, for which the Collector takes values that are no text.
    pub(crate) empty_text: EmptyText,
}

/// What becomes of the empty text.
#[derive(Default)]
pub(crate) struct EmptyText {
    is_allowed: bool,
    /// What it is masked by, if it is.
    masked: Option<String>,
}

/// What is to be changed in a batch.
#[derive(Default)]
struct Changes {
    /// Ranges to replace by asterisks.
    masks: Vec<Matches>,
    /// New texts of entries.
    texts: BTreeMap<u32, String>,
    /// Entries that were spared because their value is allowed. Complete only if a summary is wanted.
    spared: Bitmap,
}

impl Redactor {
    /// Redacts one batch.
    pub(crate) fn redact(&mut self, batch: &Batch) -> Outcome {
        let table = batch.table();
        let classes = self.keys.classify(table.key_texts());
        if classes.is_none() && self.only_masks_texts() && Plan::is_needless(table, self.has_bodies) {
            return self.redact_texts(batch);
        }
        let plan = Plan::new(table, classes.as_deref(), self.redact_all_types);
        let mut changes = self.changes(batch, &plan);
        let masked = changes.masked(table.len());
        let mut outcome = Outcome::unchanged();
        changes.write(plan.entries(Treatment::Removed).collect(), &mut outcome);
        if self.summary != Summary::Silent {
            let deed = |entry: u32| match plan.of(entry) {
                Treatment::Removed => Some(Deed::Redacted),
                Treatment::Ignored => Some(Deed::Ignored),
                _ if masked.get(entry as usize) => Some(Deed::Masked),
                _ if changes.spared.get(entry as usize) && !is_whole_body(table, entry) => Some(Deed::Allowed),
                _ => None,
            };
            let writer = SummaryWriter { batch, plan: &plan, level: self.summary, changed: &changes.texts };
            writer.write(deed, &mut outcome);
        }
        outcome
    }

    /// Whether it never needs to know more of a batch than what its patterns find, structured bodies aside.
    pub(crate) fn only_searches(&self) -> bool {
        self.only_masks_texts() && self.keys.is_trivial() && self.allowed_values.is_empty()
    }

    /// Whether all that can happen to attributes whose keys are all plain is that texts are masked.
    fn only_masks_texts(&self) -> bool {
        self.summary == Summary::Silent && !self.redact_all_types && self.empty_text.masked.is_none()
    }

    /// The hot path: searches all texts, and touches nothing but what was found.
    fn redact_texts(&self, batch: &Batch) -> Outcome {
        let found = self.search(batch, None);
        let mut outcome = Outcome::unchanged();
        if found.iter().all(|found| found.matches.is_empty()) {
            return outcome;
        }
        let spared = self.spared_of_found(batch, &found);
        let is_exempt = |entry: u32| spared.get(entry as usize);
        let caution = Caution {
            is_exempt: (!spared.is_empty()).then_some(&is_exempt as &dyn Fn(u32) -> bool),
            draft_all: !self.replacement.is_constant(),
            ..Caution::default()
        };
        let mut changes = Changes::default();
        self.apply(batch, merge(&self.blind(), found, &caution), &mut changes, Vec::new());
        changes.write(Vec::new(), &mut outcome);
        outcome
    }

    fn search(&self, batch: &Batch, entries: Option<&Bitmap>) -> Vec<Found> {
        self.steps.iter().map(|step| step.search(batch, entries)).collect()
    }

    /// For each step whether it takes no notice of masks.
    fn blind(&self) -> Vec<bool> {
        self.steps.iter().map(|step| step.is_blind_to_mask).collect()
    }

    /// All that is to be changed according to a plan.
    fn changes(&self, batch: &Batch, plan: &Plan) -> Changes {
        let table = batch.table();
        let texts = plan.texts();
        let found = if texts.is_clear() { Vec::new() } else { self.search(batch, Some(&texts)) };
        let mut changes = Changes { spared: self.spared(batch, &texts, &found), ..Changes::default() };
        self.block(batch, plan, &mut changes);
        let forms = self.text_forms(batch, plan, &mut changes);
        let merged = {
            let is_exempt = |entry: u32| changes.spared.get(entry as usize);
            let must_draft = |entry: u32| summary::is_name(table.key(entry as usize));
            let counts_changes = self.summary != Summary::Silent;
            let caution = Caution {
                is_exempt: (!changes.spared.is_empty()).then_some(&is_exempt as &dyn Fn(u32) -> bool),
                must_draft: counts_changes.then_some(&must_draft as &dyn Fn(u32) -> bool),
                draft_all: !self.replacement.is_constant(),
                counts_changes,
            };
            merge(&self.blind(), found, &caution)
        };
        self.apply(batch, merged, &mut changes, forms);
        self.mask_unread(plan, &mut changes);
        changes
    }

    /// The searched entries that are spared: among all of them if a summary tells so, else among those that matter.
    fn spared(&self, batch: &Batch, texts: &Bitmap, found: &[Found]) -> Bitmap {
        if self.allowed_values.is_empty() {
            return Bitmap::default();
        }
        if self.summary == Summary::Silent {
            return self.matching_allowed(batch, &touched(texts.len(), found));
        }
        self.matching_allowed(batch, texts)
    }

    fn spared_of_found(&self, batch: &Batch, found: &[Found]) -> Bitmap {
        if self.allowed_values.is_empty() {
            return Bitmap::default();
        }
        self.matching_allowed(batch, &touched(batch.table().len(), found))
    }

    /// Those of some entries whose text matches an allowed value.
    fn matching_allowed(&self, batch: &Batch, entries: &Bitmap) -> Bitmap {
        let mut result = Bitmap::new(entries.len(), false);
        for pattern in &self.allowed_values {
            batch.find(*pattern, Some(entries)).entries.iter().for_each(|&entry| result.set(entry as usize));
        }
        result
    }

    /// Those of some texts that match an allowed value.
    fn allowed(&self, texts: &Texts) -> Bitmap {
        let mut result = Bitmap::new(texts.len(), false);
        self.allowed_values.iter().for_each(|pattern| result.or(&pattern.is_match_all(texts)));
        result
    }

    /// Masks the whole values of blocked keys. In attributes, not in bodies, an allowed value is spared.
    fn block(&self, batch: &Batch, plan: &Plan, changes: &mut Changes) {
        let table = batch.table();
        let blocked: Vec<u32> = plan.entries(Treatment::Blocked).collect();
        if blocked.is_empty() {
            return;
        }
        let forms = TextForms::new(batch, &blocked);
        let text = |&entry: &u32| {
            let i = entry as usize;
            let is_read = table.kind(i) == ValueKind::Text || (self.redact_all_types && table.owner(i) != Owner::Body);
            if is_read { forms.of(entry) } else { String::new() }
        };
        let texts: Texts = blocked.iter().map(text).collect();
        let allowed = self.allowed(&texts);
        for (at, &entry) in blocked.iter().enumerate() {
            if allowed.get(at) && table.owner(entry as usize) != Owner::Body {
                changes.spare(entry, table.len());
            } else {
                changes.texts.insert(entry, self.replacement.of_lines(texts.get(at)));
            }
        }
    }

    /// The text forms of values that are no text but searched, unless they are allowed.
    fn text_forms(&self, batch: &Batch, plan: &Plan, changes: &mut Changes) -> Vec<Draft> {
        let written: Vec<u32> = plan.entries(Treatment::Written).collect();
        if written.is_empty() {
            return Vec::new();
        }
        let forms = TextForms::new(batch, &written);
        let texts: Texts = written.iter().map(|entry| forms.of(*entry)).collect();
        let allowed = self.allowed(&texts);
        let mut drafts = Vec::new();
        for (at, &entry) in written.iter().enumerate() {
            if allowed.get(at) {
                changes.spare(entry, batch.table().len());
            } else {
                drafts.push(Draft { entry, text: texts.get(at).to_owned(), next_step: 0 });
            }
        }
        drafts
    }

    /// Turns findings into changes, and works on drafts.
    fn apply(&self, batch: &Batch, merged: Merged, changes: &mut Changes, mut drafts: Vec<Draft>) {
        changes.masks = merged.masks;
        let mut originals: Vec<String> = drafts.iter().map(|draft| draft.text.clone()).collect();
        if !merged.drafts.is_empty() {
            let entries: Vec<u32> = merged.drafts.iter().map(|start| start.entry).collect();
            for (start, text) in merged.drafts.into_iter().zip(batch.table_text(&entries).iter()) {
                let masked = drafts::replace(text, start.ranges.into_iter(), &self.replacement);
                drafts.push(Draft { entry: start.entry, text: masked, next_step: start.step + 1 });
                originals.push(text.to_owned());
            }
        }
        drafts::finish(&mut drafts, &self.steps, &self.replacement);
        let changed = drafts.into_iter().zip(originals).filter(|(draft, original)| draft.text != *original);
        changes.texts.extend(changed.map(|(draft, _)| (draft.entry, draft.text)));
    }

    /// Does to values that are no text, and not to be read, what is done to the empty text.
    fn mask_unread(&self, plan: &Plan, changes: &mut Changes) {
        let EmptyText { is_allowed, masked } = &self.empty_text;
        if *is_allowed && self.summary != Summary::Silent {
            plan.entries(Treatment::Unread).for_each(|entry| changes.spare(entry, plan.len()));
        }
        if let Some(masked) = masked {
            changes.texts.extend(plan.entries(Treatment::Unread).map(|entry| (entry, masked.clone())));
        }
    }

    /// Tries the patterns on the empty text.
    pub(crate) fn prepare(&mut self) {
        for step in &mut self.steps {
            // A pattern that matches nothing at all also does so beside, and between, asterisks.
            step.is_blind_to_mask &= !step.pattern.is_match("");
        }
        let is_allowed = self.allowed(&Texts::from_iter([""])).get(0);
        let mut draft = [Draft { entry: 0, text: String::new(), next_step: 0 }];
        if !is_allowed {
            drafts::finish(&mut draft, &self.steps, &self.replacement);
        }
        let [Draft { text, .. }] = draft;
        self.empty_text = EmptyText { is_allowed, masked: Some(text).filter(|text| !text.is_empty()) };
    }
}

impl Changes {
    fn spare(&mut self, entry: u32, entries: usize) {
        if self.spared.is_empty() {
            self.spared = Bitmap::new(entries, false);
        }
        self.spared.set(entry as usize);
    }

    /// The entries whose values are changed.
    fn masked(&self, entries: usize) -> Bitmap {
        let mut masked = Bitmap::new(entries, false);
        let in_part = self.masks.iter().flat_map(|masks| &masks.entries);
        in_part.chain(self.texts.keys()).for_each(|&entry| masked.set(entry as usize));
        masked
    }

    /// Writes the edits; the ranges are gone afterwards.
    fn write(&mut self, removed: Vec<u32>, outcome: &mut Outcome) {
        for masks in std::mem::take(&mut self.masks) {
            outcome.mask_matches(masks, STARS);
        }
        if !self.texts.is_empty() {
            outcome.replace_entries(self.texts.keys().copied().collect(), self.texts.values().collect());
        }
        if !removed.is_empty() {
            outcome.remove_entries(removed);
        }
    }
}

/// Whether an entry is a body by itself; the Collector tells nothing about such a body if it is spared.
fn is_whole_body(table: Table<'_>, entry: u32) -> bool {
    table.owner(entry as usize) == Owner::Body && table.parent(entry as usize).is_none()
}

/// The entries in which something was found.
fn touched(entries: usize, found: &[Found]) -> Bitmap {
    let mut touched = Bitmap::new(entries, false);
    let all = found.iter().flat_map(|found| &found.matches.entries);
    all.for_each(|&entry| touched.set(entry as usize));
    touched
}
