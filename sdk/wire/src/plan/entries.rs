//! Edits of entries of the attribute table: mask, replace, remove.

use alloc::vec;
use alloc::vec::Vec;

use crate::bitmap;
use crate::columns::{Columns, NO_PARENT, Slice, Table};
use crate::field::{Field, Intrinsic, Level};
use crate::projection::owner;

use super::fields::text_at;
use super::{AttributeAction, EditError, EditPlan, EditValue, Entities, REMOVED, UNCHANGED};

/// What becomes of a table entry.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct EntryEdit {
    /// `UNCHANGED`, `REMOVED` or a value.
    pub(crate) code: u32,
    /// The place of the edit in the order of all edits.
    pub(crate) order: u32,
}

/// A range of the request that is replaced with a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Mask {
    /// Where the text starts that the range is part of.
    pub(crate) text: u32,
    pub(crate) start: u32,
    pub(crate) end: u32,
    /// A value.
    pub(crate) replacement: u32,
    /// Where the attribute starts that has this text as its value, if it is a record's own; else 0.
    pub(crate) pair: u32,
}

/// A range of an entry's or entity's text.
#[derive(Clone, Copy, Debug)]
pub(super) struct Range {
    pub(super) number: u32,
    /// The mask, as yet without replacement.
    pub(super) mask: Mask,
}

impl Range {
    /// Checks ranges of the texts of some entries or entities. `place` says where a text stands, and where the record's
    /// own attribute starts that it is the value of, or 0.
    pub(super) fn check_all(
        what: &'static str,
        numbers: &[u32],
        starts: &[u32],
        ends: &[u32],
        bytes: &[u8],
        place: impl Fn(u32) -> Option<(Slice, u32)>,
    ) -> Result<Vec<Self>, EditError> {
        for (name, found) in [("starts", starts.len()), ("ends", ends.len())] {
            if found != numbers.len() {
                return Err(EditError::WrongLength { what: name, expected: numbers.len(), found });
            }
        }
        let mut ranges: Vec<Self> = Vec::with_capacity(numbers.len());
        let mut last = None;
        for ((&number, &start), &end) in numbers.iter().zip(starts).zip(ends) {
            let index = number as usize;
            let Some((slice, pair)) = place(number) else {
                return Err(EditError::NotText { what, index });
            };
            let content = slice.of(bytes);
            if start > end || !is_boundary(content, start) || !is_boundary(content, end) {
                return Err(EditError::NoRange { what, index, start, end, length: content.len() });
            }
            if last.is_some_and(|(last, last_end)| last == number && last_end > start) {
                return Err(EditError::NotAscending { what, index });
            }
            last = Some((number, end));
            if content.is_empty() {
                continue; // nothing to replace
            }
            let (start, end) = (slice.start + start, slice.start + end);
            let mask = Mask { text: slice.start, start, end, replacement: 0, pair };
            ranges.push(Self { number, mask });
        }
        Ok(ranges)
    }
}

/// Whether a character starts here, or the text ends.
fn is_boundary(text: &[u8], at: u32) -> bool {
    match text.get(at as usize) {
        None => at as usize == text.len(),
        Some(byte) => !(0x80..0xc0).contains(byte),
    }
}

impl EditPlan {
    /// Replaces byte ranges of texts in the attribute table: range `i` lies in the text of `entries[i]`. The ranges of
    /// an entry stand together, ascend and do not overlap. `bytes` are those that the columns were extracted from.
    ///
    /// # Errors
    /// An entry doesn't exist, is not text or was written by an earlier edit, or a range makes no sense.
    pub fn mask(
        &mut self,
        columns: &Columns,
        bytes: &[u8],
        entries: &[u32],
        starts: &[u32],
        ends: &[u32],
        replacement: &str,
    ) -> Result<(), EditError> {
        let table = self.check_entries(columns, entries)?;
        let place = |number: u32| {
            let entry = table.entry(number as usize)?;
            Some((entry.text()?, entry.own_pair()))
        };
        let mut ranges = Range::check_all("entry", entries, starts, ends, bytes, place)?;
        let mut written = Ok(());
        if !(self.entry_edits.is_empty() && self.attributes.is_empty() && self.intrinsics.is_empty()) {
            ranges.retain(|range| match self.entry_state(table, bytes, range.number as usize) {
                UNCHANGED => true,
                REMOVED => false,
                _ => {
                    written = Err(EditError::AlreadyWritten { what: "entry", index: range.number as usize });
                    false
                }
            });
        }
        written?;
        self.push_masks(ranges.iter().map(|range| range.mask), replacement);
        self.touch_entries(table, bytes, ranges.iter().map(|range| range.number as usize));
        Ok(())
    }

    /// Replaces the values of entries of the attribute table with texts: text `i` is
    /// `texts[offsets[i]..offsets[i + 1]]`. `bytes` are those that the columns were extracted from.
    ///
    /// # Errors
    /// An entry doesn't exist, there isn't one text for each, or one is not UTF-8.
    pub fn replace_entries(
        &mut self,
        columns: &Columns,
        bytes: &[u8],
        entries: &[u32],
        offsets: &[u32],
        texts: &[u8],
    ) -> Result<(), EditError> {
        let table = self.check_entries(columns, entries)?;
        let found = offsets.len().saturating_sub(1);
        if found != entries.len() {
            return Err(EditError::WrongLength { what: "texts", expected: entries.len(), found });
        }
        if let Some(bad) = (0..found).find(|&index| text_at(offsets, texts, index).is_none()) {
            return Err(EditError::BadText(bad));
        }
        for (index, &entry) in entries.iter().enumerate() {
            let text = text_at(offsets, texts, index).unwrap_or_default();
            let code = self.keep_value(EditValue::Text(text));
            self.edit_entry(table, entry as usize, code);
        }
        self.touch_entries(table, bytes, entries.iter().map(|&entry| entry as usize));
        Ok(())
    }

    /// Removes entries of the attribute table. `bytes` are those that the columns were extracted from.
    ///
    /// # Errors
    /// An entry doesn't exist.
    pub fn remove_entries(&mut self, columns: &Columns, bytes: &[u8], entries: &[u32]) -> Result<(), EditError> {
        let table = self.check_entries(columns, entries)?;
        for &entry in entries {
            self.edit_entry(table, entry as usize, REMOVED);
        }
        self.touch_entries(table, bytes, entries.iter().map(|&entry| entry as usize));
        Ok(())
    }

    fn check_entries<'c>(&self, columns: &'c Columns, entries: &[u32]) -> Result<&'c Table, EditError> {
        let table = columns.table.as_ref().ok_or(EditError::NoTable)?;
        match entries.iter().find(|&&entry| entry as usize >= table.len()) {
            Some(&entry) => Err(EditError::OutOfRange { what: "entry", index: entry as usize, length: table.len() }),
            None => Ok(table),
        }
    }

    fn edit_entry(&mut self, table: &Table, index: usize, code: u32) {
        let Some(entry) = table.entry(index) else {
            return;
        };
        if self.removed_above(table, index) {
            return;
        }
        if entry.owner == owner::BODY && entry.parent == NO_PARENT {
            // A body is a field, so that sets and removals of both kinds have one order.
            let field = Field::intrinsic(Level::Record, Intrinsic::Body);
            if self.field_state(&field, entry.entity as usize) != REMOVED {
                self.write(&field, Entities::List(&[entry.entity]), |_| code);
            }
            return;
        }
        if self.entry_edits.is_empty() {
            self.entry_edits = vec![EntryEdit::default(); self.entries];
        }
        let order = self.next_order();
        if let Some(edit) = self.entry_edits.get_mut(index) {
            *edit = EntryEdit { code, order };
        }
    }

    /// Whether an earlier edit removed the entry or something that contains it.
    fn removed_above(&self, table: &Table, index: usize) -> bool {
        if self.entry_edits.is_empty() {
            return false;
        }
        ancestors(table, index).any(|at| self.entry_edits.get(at).is_some_and(|edit| edit.code == REMOVED))
    }

    /// What earlier edits did to an entry: `UNCHANGED`, `REMOVED` or a value.
    fn entry_state(&self, table: &Table, bytes: &[u8], index: usize) -> u32 {
        let mut state = UNCHANGED;
        for at in ancestors(table, index) {
            match self.entry_edits.get(at).map_or(UNCHANGED, |edit| edit.code) {
                REMOVED => return REMOVED,
                UNCHANGED => {}
                // What contains the entry became a text, so the entry is gone.
                _ if at != index => return REMOVED,
                code => state = code,
            }
        }
        let root = ancestors(table, index).last().unwrap_or(index);
        let Some((field, entity)) = root_field(table, bytes, root) else {
            return state;
        };
        match self.state_of_root(&field, entity) {
            UNCHANGED => state,
            written if root == index => written,
            _ => REMOVED,
        }
    }

    fn state_of_root(&self, field: &Field, entity: usize) -> u32 {
        // A removal by key takes all attributes with the key, but a later set adds a new one: to an entry of the
        // original only the first of them matters.
        let removed = self.attributes.iter().any(|edit| {
            matches!(edit.action, AttributeAction::Remove(_))
                && Field::attribute(edit.level, &*edit.key) == *field
                && edit.concerns(entity)
        });
        if removed { REMOVED } else { self.field_state(field, entity) }
    }

    pub(super) fn push_masks(&mut self, masks: impl Iterator<Item = Mask>, replacement: &str) {
        let replacement = self.keep_value(EditValue::Text(replacement));
        self.masks.extend(masks.map(|mask| Mask { replacement, ..mask }));
    }

    fn touch_entries(&mut self, table: &Table, bytes: &[u8], entries: impl Iterator<Item = usize>) {
        let mut last = None;
        let mut last_key: Option<(Level, &[u8])> = None;
        for index in entries {
            if last.replace(index) == Some(index) {
                continue; // several masks in one text
            }
            let root = || table.entry(ancestors(table, index).last().unwrap_or(index));
            let Some(entry) = table.entry(index).filter(|entry| entry.parent == NO_PARENT).or_else(root) else {
                continue;
            };
            let level = entry.entity_level();
            self.touch_one(level, entry.entity as usize);
            if let Some(touched) = self.touched_owners.get_mut(usize::from(entry.owner)) {
                *touched = true;
            }
            if entry.owner == owner::BODY {
                self.touch_field(&Field::intrinsic(Level::Record, Intrinsic::Body));
            } else if entry.level().is_some() {
                let key = entry.key_bytes(bytes).map(|key| (level, key));
                if key != last_key {
                    last_key = key;
                    entry.key(bytes).into_iter().for_each(|key| self.touch_key(level, key));
                }
            }
        }
    }

    fn touch_one(&mut self, level: Level, entity: usize) {
        let touched = &mut self.touched[level as usize];
        if touched.is_empty() {
            *touched = vec![0; bitmap::words(self.entities[level as usize])];
        }
        bitmap::set(touched, entity);
    }
}

/// The field that a top entry is, and its entity.
fn root_field(table: &Table, bytes: &[u8], root: usize) -> Option<(Field, usize)> {
    let entry = table.entry(root)?;
    let field = match entry.owner {
        owner::BODY => Field::intrinsic(Level::Record, Intrinsic::Body),
        _ => Field::attribute(entry.level()?, entry.key(bytes)?),
    };
    Some((field, entry.entity as usize))
}

/// An entry and those that contain it, from the inside out.
fn ancestors(table: &Table, index: usize) -> impl Iterator<Item = usize> + '_ {
    core::iter::successors(Some(index), |&at| match table.entry(at)?.parent {
        NO_PARENT => None,
        parent => Some(parent as usize - 1),
    })
}
