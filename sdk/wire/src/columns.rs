//! Columns: the fields that a projection asks for, extracted from a request in one walk.
//!
//! Texts and bytes stay where they are; columns keep references into the request. What crosses to a plugin is
//! gathered from them afterwards.

mod dictionary;
mod extract;
mod pair;
mod store;
mod table;
mod texts;

use alloc::sync::Arc;
use alloc::vec::Vec;

use crate::Signal;
use crate::field::{Encoding, Field, Intrinsic, Level, ValueKind};
use crate::projection::{Projection, owner};

pub(crate) use dictionary::Dictionary;
pub(crate) use extract::{data_message, first_data};
pub(crate) use pair::parse_pair;
pub(crate) use store::Store;
pub(crate) use table::{Entry, NO_PARENT};
pub use texts::{SEPARATOR, SeparatedTexts, TableTexts};

/// A piece of the request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Slice {
    pub(crate) start: u32,
    pub(crate) length: u32,
}

impl Slice {
    /// No piece at all.
    pub(crate) const ABSENT: Self = Self { start: u32::MAX, length: 0 };
    /// No piece either, but something else that the column doesn't show.
    pub(crate) const OTHER: Self = Self { start: u32::MAX - 1, length: 0 };

    #[inline(always)]
    pub(crate) fn new(start: usize, end: usize) -> Self {
        Self { start: start as u32, length: end.wrapping_sub(start) as u32 }
    }

    #[inline(always)]
    pub(crate) fn is_present(self) -> bool {
        self.start < Self::OTHER.start
    }

    /// The bytes; none if absent or if these are not the bytes that it was taken from.
    #[inline(always)]
    pub(crate) fn of(self, bytes: &[u8]) -> &[u8] {
        let start = self.start as usize;
        bytes.get(start..start + self.length as usize).unwrap_or_default()
    }

    #[inline(always)]
    pub(crate) fn pack(self) -> u64 {
        u64::from(self.start) << 32 | u64::from(self.length)
    }

    #[inline(always)]
    pub(crate) fn unpack(packed: u64) -> Self {
        Self { start: (packed >> 32) as u32, length: packed as u32 }
    }
}

/// The extracted columns of one request. The buffers are used again by the next `extract`.
#[derive(Clone, Debug, Default)]
pub struct Columns {
    pub(crate) signal: Option<Signal>,
    pub(crate) rows: u32,
    pub(crate) resource_rows: Vec<u32>,
    pub(crate) scope_rows: Vec<u32>,
    pub(crate) resource_scopes: Vec<u32>,
    pub(crate) metric_rows: Vec<u32>,
    /// First metric of each scope; empty unless the signal is metrics.
    pub(crate) scope_metrics: Vec<u32>,
    /// For each read of the projection its column.
    pub(crate) reads: Vec<u16>,
    pub(crate) stores: Vec<Stored>,
    pub(crate) table: Option<Table>,
    /// The buffers of a table of the other form.
    spare_table: Option<Table>,
    /// Whether some body of a log record that is for the table is neither text nor empty.
    pub(crate) structured_bodies: bool,
}

/// A column with what it was asked for.
#[derive(Clone, Debug)]
pub(crate) struct Stored {
    pub(crate) field: Field,
    pub(crate) encoding: Encoding,
    pub(crate) store: Store,
    /// Whether nothing was found for any entity.
    pub(crate) is_absent: bool,
}

/// The attribute table before it is gathered.
#[derive(Clone, Debug)]
pub(crate) enum Table {
    Entries(Entries),
    /// All that a table for searches only needs.
    Texts(Arc<TableTexts>),
}

/// The entries of an attribute table.
#[derive(Clone, Debug, Default)]
pub(crate) struct Entries {
    pub(crate) entries: Vec<Entry>,
    /// The distinct keys.
    pub(crate) keys: Dictionary,
    /// Whether there were more than [`MAX_ENTRIES`], so that some are missing.
    pub(crate) is_cut: bool,
}

/// The most entries that a table has: a sender can put an attribute into two bytes, and an entry takes 32.
pub const MAX_ENTRIES: usize = 1 << 21;
/// Buffers of this many entities and entries are not worth keeping for the next request.
const LARGE: usize = 1 << 19;

impl Columns {
    /// No columns yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Extracts what the projection asks for from a validated request of its signal.
    ///
    /// Bytes that were not validated give whatever could be made out before the first nonsense.
    pub fn extract(&mut self, projection: &Projection, bytes: &[u8]) {
        extract::extract(self, projection, bytes);
    }

    /// The signal of the request; none before the first extraction.
    pub fn signal(&self) -> Option<Signal> {
        self.signal
    }

    /// How many spans, log records or data points there are.
    pub fn rows(&self) -> usize {
        self.rows as usize
    }

    /// How many resources there are.
    pub fn resources(&self) -> usize {
        self.resource_rows.len().saturating_sub(1)
    }

    /// How many instrumentation scopes there are.
    pub fn scopes(&self) -> usize {
        self.scope_rows.len().saturating_sub(1)
    }

    /// How many metrics there are; 0 unless the signal is metrics.
    pub fn metrics(&self) -> usize {
        self.metric_rows.len().saturating_sub(1)
    }

    /// How many entities a level has.
    pub fn entities(&self, level: Level) -> usize {
        match level {
            Level::Resource => self.resources(),
            Level::Scope => self.scopes(),
            Level::Metric => self.metrics(),
            Level::Record => self.rows(),
        }
    }

    /// First row of each resource, and at the end the number of rows.
    pub fn resource_rows(&self) -> &[u32] {
        &self.resource_rows
    }

    /// First row of each scope, and at the end the number of rows.
    pub fn scope_rows(&self) -> &[u32] {
        &self.scope_rows
    }

    /// First scope of each resource, and at the end the number of scopes.
    pub fn resource_scopes(&self) -> &[u32] {
        &self.resource_scopes
    }

    /// First row of each metric, and at the end the number of rows; empty unless the signal is metrics.
    pub fn metric_rows(&self) -> &[u32] {
        &self.metric_rows
    }

    /// First metric of each scope, and at the end the number of metrics; empty unless the signal is metrics.
    pub fn scope_metrics(&self) -> &[u32] {
        &self.scope_metrics
    }

    /// How many entries the attribute table has; 0 if it was not asked for.
    pub fn entries(&self) -> usize {
        self.table.as_ref().map_or(0, Table::len)
    }

    /// Whether the table lacks entries, since there were more than [`MAX_ENTRIES`].
    pub fn is_cut(&self) -> bool {
        matches!(&self.table, Some(Table::Entries(entries)) if entries.is_cut)
    }

    /// Whether the buffers have become so large that they are better given back than used again.
    pub fn is_large(&self) -> bool {
        let entries = |table: &Option<Table>| match table {
            Some(Table::Entries(entries)) => entries.entries.capacity(),
            Some(Table::Texts(texts)) => texts.texts().offsets().len(),
            None => 0,
        };
        let entities = self.resource_rows.capacity() + self.scope_rows.capacity() + self.metric_rows.capacity();
        entries(&self.table) + entries(&self.spare_table) + entities > LARGE
    }

    /// One value of the column for the projection's read number `read`, as text; `bytes` are those extracted from.
    pub fn text<'a>(&self, bytes: &'a [u8], read: usize, entity: usize) -> Option<&'a str> {
        let slice = match self.store(read)? {
            Store::Text(slices) => *slices.get(entity)?,
            Store::Dictionary { codes, values, .. } => values.value(*codes.get(entity)?)?,
            _ => return None,
        };
        slice.is_present().then(|| core::str::from_utf8(slice.of(bytes)).ok()).flatten()
    }

    /// One value of a column of bytes.
    pub fn bytes<'a>(&self, bytes: &'a [u8], read: usize, entity: usize) -> Option<&'a [u8]> {
        match self.store(read)? {
            Store::Bytes(slices) => slices.get(entity).filter(|slice| slice.is_present()).map(|slice| slice.of(bytes)),
            _ => None,
        }
    }

    /// One value of a column of numbers or booleans: signed integers and floating point numbers as their bits.
    pub fn number(&self, read: usize, entity: usize) -> Option<u64> {
        match self.store(read)? {
            Store::Numbers { values, present } => {
                crate::bitmap::get(present, entity).then(|| values.get(entity).copied()).flatten()
            }
            _ => None,
        }
    }

    /// One value of a column of kinds.
    pub fn kind(&self, read: usize, entity: usize) -> ValueKind {
        match self.store(read) {
            Some(Store::Kind(kinds)) => {
                kinds.get(entity).and_then(|&kind| ValueKind::from_code(kind)).unwrap_or_default()
            }
            _ => ValueKind::Absent,
        }
    }

    /// The field that an entry of the attribute table is, or is a part of: an attribute of an entity, or a body. None for
    /// attributes of events, links and exemplars, which are no fields.
    pub fn entry_field(&self, bytes: &[u8], entry: usize) -> Option<Field> {
        let table = self.table.as_ref()?;
        let mut root = table.entry(entry)?;
        while let Some(parent) = table.parent(&root) {
            root = parent;
        }
        match root.owner {
            owner::BODY => Some(Field::intrinsic(Level::Record, Intrinsic::Body)),
            _ => Some(Field::attribute(root.level()?, root.key(bytes)?)),
        }
    }

    /// The kind of an entry of the attribute table.
    pub fn entry_kind(&self, entry: usize) -> ValueKind {
        let entry = self.table.as_ref().and_then(|table| table.entry(entry));
        entry.and_then(|entry| ValueKind::from_code(entry.kind)).unwrap_or_default()
    }

    /// The text of an entry of the attribute table.
    pub fn entry_text<'a>(&self, bytes: &'a [u8], entry: usize) -> Option<&'a str> {
        let slice = self.table.as_ref()?.entry(entry)?.text()?;
        core::str::from_utf8(slice.of(bytes)).ok()
    }

    /// The texts of a table that is for searches only, and has nothing nested in it.
    pub fn table_texts(&self) -> Option<&Arc<TableTexts>> {
        match &self.table {
            Some(Table::Texts(texts)) => Some(texts),
            _ => None,
        }
    }

    /// The column of texts that was read from a field.
    pub(crate) fn text_store(&self, field: &Field) -> Option<&Store> {
        let texts = |stored: &&Stored| matches!(stored.encoding, Encoding::Text | Encoding::Dictionary);
        let found = self.stores.iter().filter(texts).find(|stored| stored.field == *field);
        found.map(|stored| &stored.store)
    }

    pub(crate) fn store(&self, read: usize) -> Option<&Store> {
        let column = *self.reads.get(read)?;
        self.stores.get(usize::from(column)).map(|stored| &stored.store)
    }
}
