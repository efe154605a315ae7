//! Edits of values at known places of the request, in the order of those places.

use alloc::borrow::Cow;
use alloc::vec::Vec;

use crate::columns::{Columns, Entry, Table};
use crate::cursor::{Cursor, Item, keys, varint_width};
use crate::field::ValueKind;
use crate::plan::{EditPlan, Kept, Mask, REMOVED, UNCHANGED};

use super::Out;
use super::value::{put_content, put_value};

/// What to do at a place.
#[derive(Clone, Copy, Debug)]
enum Change {
    /// The field that starts here goes.
    Remove,
    /// The pair that starts here gets another value.
    Replace(u32),
    /// The array's element that starts here becomes another.
    ReplaceElement(u32),
    /// Of the text that starts here the masks with these numbers become others.
    Mask(u32, u32),
}

#[derive(Clone, Copy, Debug)]
struct Patch {
    at: usize,
    change: Change,
    /// The place of the edit in the order of all edits; masks need none.
    order: u32,
    /// Where the attribute starts that it is in, if that is a record's own; else 0.
    pair: u32,
}

/// All of them, and which is the next.
#[derive(Clone, Debug, Default)]
pub(super) struct Patches<'p> {
    patches: Vec<Patch>,
    masks: Cow<'p, [Mask]>,
    next: usize,
}

impl<'p> Patches<'p> {
    pub(super) fn new(columns: &Columns, plan: &'p EditPlan) -> Self {
        let mut masks = Cow::Borrowed(plan.masks.as_slice());
        if !masks.is_sorted_by_key(|mask| (mask.text, mask.start)) {
            // Stable: of masks of one range the first counts.
            masks.to_mut().sort_by_key(|mask| (mask.text, mask.start));
        }
        let mut patches = Vec::with_capacity(masks.len());
        let mut first = 0;
        for texts in masks.chunk_by(|left, right| left.text == right.text) {
            let last = first + texts.len();
            let change = Change::Mask(first as u32, last as u32);
            patches.push(Patch { at: texts[0].text as usize, change, order: 0, pair: texts[0].pair });
            first = last;
        }
        if let Some(table) = columns.table.as_ref().filter(|_| !plan.entry_edits.is_empty()) {
            let edited = plan.entry_edits.iter().enumerate().filter(|(_, edit)| edit.code != UNCHANGED);
            for (entry, edit) in edited.filter_map(|(index, edit)| Some((table.entry(index)?, edit))) {
                let change = match edit.code {
                    REMOVED => Change::Remove,
                    code if is_element(table, &entry) => Change::ReplaceElement(code),
                    code => Change::Replace(code),
                };
                patches.push(Patch { at: entry.at as usize, change, order: edit.order, pair: entry.own_pair() });
            }
            patches.sort_by_key(|patch| patch.at);
        }
        Self { patches, masks, next: 0 }
    }

    /// Where the next patch is.
    #[inline(always)]
    pub(super) fn at(&self) -> usize {
        self.patches.get(self.next).map_or(usize::MAX, |patch| patch.at)
    }

    /// What earlier or later edits of its table entry make of the pair that starts at `at`: a place in the order of
    /// all edits, and `REMOVED` or a value.
    pub(super) fn of_pair(&self, at: usize) -> Option<(u32, u32)> {
        let found = self.patches.binary_search_by_key(&at, |patch| patch.at).ok()?;
        let patch = self.patches.get(found)?;
        match patch.change {
            Change::Remove => Some((patch.order, REMOVED)),
            Change::Replace(code) => Some((patch.order, code)),
            Change::Mask(..) | Change::ReplaceElement(_) => None,
        }
    }

    /// Leaves out those before `end`.
    #[inline(always)]
    pub(super) fn skip_to(&mut self, end: usize) {
        while self.at() < end {
            self.next += 1;
        }
    }

    /// Whether all of them before `end` are in a record's own attributes.
    pub(super) fn are_in_pairs(&self, end: usize) -> bool {
        let rest = self.patches.get(self.next..).unwrap_or_default();
        rest.iter().take_while(|patch| patch.at < end).all(|patch| patch.pair != 0)
    }

    /// Where the attribute starts that the next one before `end` is in.
    #[inline(always)]
    pub(super) fn pair(&self, end: usize) -> Option<usize> {
        self.patches.get(self.next).filter(|patch| patch.at < end).map(|patch| patch.pair as usize)
    }

    /// The position, to return to.
    pub(super) fn position(&self) -> usize {
        self.next
    }

    pub(super) fn go(&mut self, position: usize) {
        self.next = position;
    }

    /// Copies a field with the patches in it.
    #[inline(always)]
    pub(super) fn copy(&mut self, bytes: &[u8], plan: &EditPlan, item: &Item, out: &mut Out<'_>) {
        if self.at() >= item.end {
            return out.copy(item.at, item.end);
        }
        self.patch(bytes, plan, item, out);
    }

    fn patch(&mut self, bytes: &[u8], plan: &EditPlan, item: &Item, out: &mut Out<'_>) {
        self.skip_to(item.at); // those of fields that were left out
        if self.at() >= item.end {
            return out.copy(item.at, item.end);
        }
        let Some(patch) = self.patches.get(self.next).copied() else {
            return;
        };
        match patch.change {
            Change::Remove if patch.at == item.at => self.skip_to(item.end),
            Change::Replace(code) if patch.at == item.at => {
                self.skip_to(item.end);
                replace_value(bytes, plan, item, code, out);
            }
            Change::ReplaceElement(code) if patch.at == item.at => {
                self.skip_to(item.end);
                let mark = out.open(item);
                put_content(plan, code, out);
                out.close(mark);
            }
            Change::Mask(first, last) if patch.at == item.start => {
                self.skip_to(item.end);
                let masks = self.masks.get(first as usize..last as usize).unwrap_or_default();
                put_masked(plan, item, masks, out);
            }
            Change::Mask(first, last) if plain_text(bytes, item) == Some(patch.at) => {
                self.skip_to(item.end);
                let masks = self.masks.get(first as usize..last as usize).unwrap_or_default();
                put_masked_pair(plan, item, patch.at, masks, out);
            }
            _ if item.key & 7 == crate::cursor::LEN => self.inside(bytes, plan, item, out),
            _ => {
                self.skip_to(item.end);
                out.copy(item.at, item.end);
            }
        }
    }

    /// Copies a message with the patches in it.
    fn inside(&mut self, bytes: &[u8], plan: &EditPlan, item: &Item, out: &mut Out<'_>) {
        let mark = out.open(item);
        let mut cursor = Cursor::within(bytes, item.start, item.end);
        while let Some(inner) = cursor.item() {
            self.copy(bytes, plan, &inner, out);
        }
        out.close(mark);
        self.skip_to(item.end);
    }
}

/// Where the text starts in a pair of key and text in the form that every encoder writes, with lengths of one byte.
#[inline]
fn plain_text(bytes: &[u8], pair: &Item) -> Option<usize> {
    let [0x0a, key_length @ 0..0x80, rest @ ..] = bytes.get(pair.start..pair.end)? else {
        return None;
    };
    let [0x12, value_length @ 0..0x80, 0x0a, length @ 0..0x80, text @ ..] = rest.get(usize::from(*key_length)..)?
    else {
        return None;
    };
    let is_plain = text.len() == usize::from(*length) && *value_length == length + 2 && pair.key < 0x80;
    is_plain.then(|| pair.end - text.len())
}

/// Writes a pair whose text starts at `text` and has ranges replaced.
fn put_masked_pair(plan: &EditPlan, pair: &Item, text: usize, masks: &[Mask], out: &mut Out<'_>) {
    let value = text - 4; // a key and a length each, for the value and the text in it
    let length = masked_length(plan, (text, pair.end), masks);
    let pair_length = text - pair.start + length;
    if pair_length < 0x80 && pair.start == pair.at + 2 {
        // Only the three lengths become others, and none of them wider.
        let lengths = [(pair.at + 1, pair_length), (value + 1, length + 2), (text - 1, length)];
        let kept_to = masks.first().map_or(text, |mask| (mask.start as usize).clamp(text, pair.end));
        out.copy_changed(pair.at, kept_to, lengths.map(|(at, length)| (at, length as u8)));
        return put_masked_text(plan, (kept_to, pair.end), masks, out);
    }
    let width = varint_width(length as u64);
    let value_length = 1 + width + length;
    out.put_varint(u64::from(pair.key));
    out.put_varint((value - pair.start + 1 + varint_width(value_length as u64) + value_length) as u64);
    out.copy(pair.start, value + 1);
    out.put_varint(value_length as u64);
    out.put_varint(u64::from(keys::LEN_1));
    out.put_varint(length as u64);
    put_masked_text(plan, (text, pair.end), masks, out);
}

/// Writes a text field with ranges replaced; overlapping ranges count as one.
fn put_masked(plan: &EditPlan, item: &Item, masks: &[Mask], out: &mut Out<'_>) {
    let text = (item.start, item.end);
    out.put_varint(u64::from(item.key));
    out.put_varint(masked_length(plan, text, masks) as u64);
    put_masked_text(plan, text, masks, out);
}

/// How long the text between two places is after its ranges were replaced.
fn masked_length(plan: &EditPlan, (from, to): (usize, usize), masks: &[Mask]) -> usize {
    united(masks).fold(to - from, |length, (start, end, first)| {
        length + replacement(plan, first).len() - end.clamp(from, to).saturating_sub(start.clamp(from, to))
    })
}

fn put_masked_text(plan: &EditPlan, (from, to): (usize, usize), masks: &[Mask], out: &mut Out<'_>) {
    let mut at = from;
    for (start, end, first) in united(masks) {
        // Ranges lie in the text, unless these are other bytes than the plan's.
        out.copy(at, start.clamp(from, to));
        out.put(replacement(plan, first));
        at = end.clamp(from, to);
    }
    out.copy(at, to);
}

fn replacement<'p>(plan: &'p EditPlan, mask: &Mask) -> &'p [u8] {
    match plan.value(mask.replacement) {
        Some(Kept::Text(start, end)) => plan.pooled(start, end),
        _ => &[],
    }
}

/// Ranges with those united that overlap; each with the mask that starts first.
fn united(masks: &[Mask]) -> impl Iterator<Item = (usize, usize, &Mask)> {
    let mut rest = masks;
    core::iter::from_fn(move || {
        let (first, mut after) = rest.split_first()?;
        let mut end = first.end;
        while let Some((next, behind)) = after.split_first()
            && next.start < end
        {
            end = end.max(next.end);
            after = behind;
        }
        rest = after;
        Some((first.start as usize, end as usize, first))
    })
}

/// Writes a pair with another value; key and unknown fields stay.
fn replace_value(bytes: &[u8], plan: &EditPlan, item: &Item, code: u32, out: &mut Out<'_>) {
    let mark = out.open(item);
    let mut cursor = Cursor::within(bytes, item.start, item.end);
    while let Some(inner) = cursor.item() {
        if inner.key != keys::LEN_2 {
            out.copy(inner.at, inner.end);
        }
    }
    put_value(plan, 2, code, out);
    out.close(mark);
}

fn is_element(table: &Table, entry: &Entry) -> bool {
    table.parent(entry).is_some_and(|parent| parent.kind == ValueKind::Array as u8)
}
