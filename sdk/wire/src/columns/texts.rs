//! The texts of an attribute table that is for searches only: copied one after the other while the walk has them at
//! hand, instead of entries that lead to them.

use alloc::vec::Vec;
use core::ops::Range;

use crate::field::Level;
use crate::gather::LiveRows;
use crate::projection::owner;

use super::Slice;
use super::store::Raw;
use super::table::{Entry, NO_PARENT};

/// The byte after each text: one that is in no UTF-8 text.
pub const SEPARATOR: u8 = 0xff;

/// Shorter texts are copied as a piece of this size, which takes a few instructions instead of a call.
const PIECE: usize = 32;
/// The same for those that are longer.
const LONG_PIECE: usize = 128;

/// Texts one after the other, each followed by `SEPARATOR`.
#[derive(Clone, Debug)]
pub struct SeparatedTexts {
    /// What is behind the last text is scrap.
    bytes: Vec<u8>,
    /// Where each text starts, and at the end where the next one would.
    offsets: Vec<u32>,
    /// The last of these.
    end: usize,
}

/// The texts of a table, and where each comes from.
#[derive(Clone, Debug, Default)]
pub struct TableTexts {
    texts: SeparatedTexts,
    origins: Vec<Origin>,
    /// For each row how many texts come before its own.
    row_starts: Vec<u32>,
}

/// Where a text comes from.
#[derive(Clone, Copy, Debug)]
struct Origin {
    /// Where the field that holds it starts.
    at: u32,
    /// Where the text starts.
    start: u32,
    entity: u32,
    owner: u8,
}

impl Default for SeparatedTexts {
    fn default() -> Self {
        Self { bytes: Vec::new(), offsets: alloc::vec![0], end: 0 }
    }
}

impl SeparatedTexts {
    /// How many texts there are.
    pub fn len(&self) -> usize {
        self.offsets.len().saturating_sub(1)
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Where each text starts, and at the end where the next one would: text `i` is
    /// `bytes()[offsets()[i]..offsets()[i + 1] - 1]`.
    pub fn offsets(&self) -> &[u32] {
        &self.offsets
    }

    /// The texts and separators.
    pub fn bytes(&self) -> &[u8] {
        self.bytes.get(..self.end).unwrap_or_default()
    }

    /// Appends a text.
    pub fn push(&mut self, text: &[u8]) {
        self.push_slice(text, Slice::new(0, text.len()));
    }

    fn clear(&mut self) {
        self.offsets.truncate(1);
        self.end = 0;
    }

    #[inline(always)]
    pub(crate) fn push_slice(&mut self, source: &[u8], text: Slice) {
        let (from, to, length) = (text.start as usize, self.end, text.length as usize);
        let is_done = match length {
            ..PIECE => self.put_piece::<PIECE>(source, from, to, length),
            PIECE..LONG_PIECE => self.put_piece::<LONG_PIECE>(source, from, to, length),
            _ => false,
        };
        if !is_done {
            self.put(text.of(source), to);
        }
        // Texts that are pieces of a request have less than 4 GiB together.
        self.end = to + length + 1;
        self.offsets.push(self.end as u32);
    }

    /// Copies a text with what is behind it, if there is enough of that, and room.
    #[inline(always)]
    fn put_piece<const N: usize>(&mut self, source: &[u8], from: usize, to: usize, length: usize) -> bool {
        match (source.get(from..from + N), self.bytes.get_mut(to..to + N)) {
            (Some(piece), Some(room)) => {
                room.copy_from_slice(piece);
                room[length] = SEPARATOR;
                true
            }
            _ => false,
        }
    }

    #[inline(never)]
    fn put(&mut self, text: &[u8], to: usize) {
        let end = to + text.len();
        if self.bytes.len() < end + LONG_PIECE {
            self.bytes.resize((end + LONG_PIECE) * 2, 0);
        }
        self.bytes[to..end].copy_from_slice(text);
        self.bytes[end] = SEPARATOR;
    }
}

impl TableTexts {
    /// The texts; the number of each is that of its entry.
    pub fn texts(&self) -> &SeparatedTexts {
        &self.texts
    }

    /// Whether a text is still there: that of a row that is alive, or of something above rows.
    pub fn is_live(&self, text: usize, live: &LiveRows) -> bool {
        let Some(origin) = self.origins.get(text) else {
            return false;
        };
        origin.level() != Level::Record || live.is_live(origin.entity as usize)
    }

    /// The stretches of texts that are left when those of dead rows are taken out. A stretch may hold some that are
    /// not live all the same.
    pub fn live_runs(&self, live: &LiveRows) -> Vec<Range<usize>> {
        let mut runs = Vec::new();
        let mut from = 0;
        for row in (0..self.row_starts.len()).filter(|row| !live.is_live(*row)) {
            let texts = self.of_row(row);
            if from < texts.start {
                runs.push(from..texts.start);
            }
            from = texts.end.max(from);
        }
        if from < self.texts.len() {
            runs.push(from..self.texts.len());
        }
        runs
    }

    /// The texts of a row; empty if others come before those of the next row, as attributes of its resource may.
    fn of_row(&self, row: usize) -> Range<usize> {
        let end = self.row_starts.get(row + 1).map_or(self.texts.len(), |&next| next as usize);
        let start = self.row_starts.get(row).map_or(end, |&start| start as usize);
        let last = end.checked_sub(1).and_then(|last| self.origins.get(last));
        let is_own = last.is_some_and(|last| last.level() == Level::Record && last.entity as usize == row);
        if is_own { start..end } else { end..end }
    }

    pub(super) fn clear(&mut self) {
        self.texts.clear();
        self.origins.clear();
        self.row_starts.clear();
    }

    #[inline(always)]
    pub(super) fn begin_row(&mut self) {
        self.row_starts.push(self.origins.len() as u32);
    }

    #[inline(always)]
    pub(super) fn push(&mut self, bytes: &[u8], at: usize, text: Slice, owner: u8, entity: u32) {
        self.texts.push_slice(bytes, text);
        self.origins.push(Origin { at: at as u32, start: text.start, entity, owner });
    }

    /// Marks the bodies with these numbers as replaced by another.
    #[cold]
    pub(super) fn replace(&mut self, bodies: Range<usize>) {
        self.origins.get_mut(bodies).into_iter().flatten().for_each(|origin| origin.owner = owner::NOBODY);
    }

    /// Removes what was replaced.
    #[cold]
    pub(super) fn sweep(&mut self) {
        let old = core::mem::take(self);
        let mut rows = old.row_starts.iter().peekable();
        for (index, origin) in old.origins.iter().enumerate().filter(|(_, origin)| origin.owner != owner::NOBODY) {
            while rows.next_if(|&&start| start as usize <= index).is_some() {
                self.begin_row();
            }
            let (from, to) = (old.texts.offsets[index], old.texts.offsets[index + 1] - 1);
            self.texts.push_slice(&old.texts.bytes, Slice::new(from as usize, to as usize));
            self.origins.push(*origin);
        }
        rows.for_each(|_| self.begin_row());
    }

    pub(crate) fn entry(&self, index: usize) -> Option<Entry> {
        let Origin { at, start, entity, owner, .. } = *self.origins.get(index)?;
        let (from, to) = (*self.texts.offsets.get(index)?, *self.texts.offsets.get(index + 1)?);
        let text = Raw::text(Slice { start, length: to - from - 1 });
        Some(Entry { bits: text.bits, at, key_code: 0, entity, parent: NO_PARENT, owner, kind: text.kind as u8 })
    }
}

impl Origin {
    /// The level of the entity whose number it carries.
    fn level(&self) -> Level {
        owner::level(self.owner)
    }
}
