//! Entries of the attribute table, and how nested values become entries of their own.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::ops::Range;

use crate::cursor::Cursor;
use crate::cursor::keys::{LEN_1, LEN_5, LEN_6};
use crate::field::{Level, ValueKind};
use crate::projection::owner;
use crate::validate::MAX_VALUE_NESTING;

use super::pair::{parse_pair, parse_value, plain_key};
use super::store::Raw;
use super::{Entries, MAX_ENTRIES, Slice, Table};

/// What stands for "no parent".
pub(crate) const NO_PARENT: u32 = 0;

/// One attribute, body, or nested value.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Entry {
    /// The number, or the packed slice.
    pub(crate) bits: u64,
    /// Where the field that holds it starts: a `KeyValue`, a body, or an array's element. Ascends with the entries.
    pub(crate) at: u32,
    /// The key as a position in the dictionary, from 0; 0 if the table has texts only.
    pub(crate) key_code: u32,
    pub(crate) entity: u32,
    /// The containing entry plus 1, or `NO_PARENT`.
    pub(crate) parent: u32,
    pub(crate) owner: u8,
    pub(crate) kind: u8,
}

impl Entry {
    /// The text, if it is one.
    #[inline(always)]
    pub(crate) fn text(&self) -> Option<Slice> {
        (self.kind == ValueKind::Text as u8).then(|| Slice::unpack(self.bits))
    }

    /// The level whose attribute it is.
    pub(crate) fn level(&self) -> Option<Level> {
        match self.owner {
            owner::RESOURCE => Some(Level::Resource),
            owner::SCOPE => Some(Level::Scope),
            owner::METRIC => Some(Level::Metric),
            owner::RECORD => Some(Level::Record),
            _ => None,
        }
    }

    /// The key, if it is an attribute.
    pub(crate) fn key<'a>(&self, bytes: &'a [u8]) -> Option<&'a str> {
        core::str::from_utf8(self.key_bytes(bytes)?).ok()
    }

    #[inline]
    pub(crate) fn key_bytes<'a>(&self, bytes: &'a [u8]) -> Option<&'a [u8]> {
        match bytes.get(self.at as usize..)? {
            [0..0x80, length @ 0..0x80, rest @ ..] => plain_key(rest.get(..usize::from(*length))?),
            _ => None,
        }
        .or_else(|| self.odd_key_bytes(bytes))
    }

    #[cold]
    fn odd_key_bytes<'a>(&self, bytes: &'a [u8]) -> Option<&'a [u8]> {
        let item = Cursor::within(bytes, self.at as usize, bytes.len()).item()?;
        Some(parse_pair(bytes, item.start, item.end).key.of(bytes))
    }

    /// Where it starts, if it is an attribute of a record itself; else 0, where no attribute can start.
    pub(crate) fn own_pair(&self) -> u32 {
        if self.owner == owner::RECORD && self.parent == NO_PARENT { self.at } else { 0 }
    }

    /// The level of the entity whose number it carries.
    pub(crate) fn entity_level(&self) -> Level {
        self.level().unwrap_or(Level::Record)
    }
}

impl Table {
    /// Makes `table` an empty one of this form. `spare` keeps the buffers of the other form: where some batches have
    /// structured bodies, both are needed in turn.
    pub(super) fn renew(table: &mut Option<Self>, spare: &mut Option<Self>, is_of_texts: bool) {
        let has_form =
            |table: &Option<Self>| table.as_ref().is_some_and(|table| matches!(table, Self::Texts(_)) == is_of_texts);
        if !has_form(table) {
            core::mem::swap(table, spare);
        }
        match table {
            Some(Self::Texts(texts)) if is_of_texts => match Arc::get_mut(texts) {
                Some(texts) => texts.clear(),
                // A search may still have them, if the call that it was for came to a bad end.
                None => *texts = Arc::default(),
            },
            Some(Self::Entries(old)) if !is_of_texts => {
                old.entries.clear();
                old.keys.clear();
                old.is_cut = false;
            }
            _ if is_of_texts => *table = Some(Self::Texts(Arc::default())),
            _ => *table = Some(Self::Entries(Entries::default())),
        }
    }

    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Entries(table) => table.entries.len(),
            Self::Texts(texts) => texts.texts().len(),
        }
    }

    #[inline]
    pub(crate) fn entry(&self, index: usize) -> Option<Entry> {
        match self {
            Self::Entries(table) => table.entries.get(index).copied(),
            Self::Texts(texts) => texts.entry(index),
        }
    }

    /// The entry that contains this one.
    pub(crate) fn parent(&self, entry: &Entry) -> Option<Entry> {
        self.entry((entry.parent as usize).checked_sub(1)?)
    }
}

impl Entries {
    #[inline(always)]
    pub(super) fn push(&mut self, bytes: &[u8], new: New, nested: bool) {
        if self.entries.len() == MAX_ENTRIES {
            self.is_cut = true;
            return;
        }
        let key_code = self.keys.code_in_sequence(bytes, new.key) - 1;
        let Raw { kind, bits } = new.value;
        let entry = Entry {
            bits,
            at: new.at as u32,
            key_code,
            entity: new.entity,
            parent: new.parent,
            owner: new.owner,
            kind: kind as u8,
        };
        self.entries.push(entry);
        if nested && matches!(kind, ValueKind::Array | ValueKind::Map) {
            self.push_members(bytes, new, 1);
        }
    }

    #[inline(never)]
    fn push_members(&mut self, bytes: &[u8], container: New, depth: usize) {
        if depth >= MAX_VALUE_NESTING {
            return;
        }
        let parent = self.entries.len() as u32;
        let is_map = container.value.kind == ValueKind::Map;
        let run = Slice::unpack(container.value.bits);
        let mut outer = Cursor::within(bytes, run.start as usize, run.start as usize + run.length as usize);
        while let Some(list) = outer.item() {
            if list.key != if is_map { LEN_6 } else { LEN_5 } {
                continue;
            }
            let mut inner = Cursor::within(bytes, list.start, list.end);
            while let Some(item) = inner.item() {
                if item.key != LEN_1 {
                    continue;
                }
                let (key, value) = if is_map {
                    let pair = parse_pair(bytes, item.start, item.end);
                    (pair.key, pair.value)
                } else {
                    let empty = Raw { kind: ValueKind::Empty, bits: 0 };
                    (Slice::new(item.start, item.start), parse_value(bytes, item.start, item.end).unwrap_or(empty))
                };
                let member = New { at: item.at, key, value, parent, ..container };
                self.push(bytes, member, false);
                if matches!(value.kind, ValueKind::Array | ValueKind::Map) {
                    self.push_members(bytes, member, depth + 1);
                }
            }
        }
    }

    /// Marks the entries of a body that another body replaces.
    #[cold]
    pub(super) fn replace(&mut self, body: Range<usize>) {
        self.entries.get_mut(body).into_iter().flatten().for_each(|entry| entry.owner = owner::NOBODY);
    }

    /// Removes what was replaced.
    #[cold]
    pub(super) fn sweep(&mut self) {
        let mut removed_before = 0;
        let mut shifts = Vec::with_capacity(self.entries.len());
        self.entries.retain_mut(|entry| {
            shifts.push(removed_before);
            let stays = entry.owner != owner::NOBODY;
            removed_before += u32::from(!stays);
            if let Some(shift) = (entry.parent as usize).checked_sub(1).and_then(|parent| shifts.get(parent)) {
                entry.parent -= shift;
            }
            stays
        });
    }
}

/// An entry to be.
#[derive(Clone, Copy, Debug)]
pub(super) struct New {
    pub(super) at: usize,
    pub(super) key: Slice,
    pub(super) value: Raw,
    pub(super) owner: u8,
    pub(super) entity: u32,
    pub(super) parent: u32,
}
