//! Puts columns into flat lists, as they cross to a plugin, for the rows that are still alive.

mod table;

use alloc::borrow::Cow;
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;

use crate::bitmap;
use crate::columns::{Columns, Slice, Store};
use crate::field::{Encoding, Level};

pub use table::{GatheredTable, TableOptions};

/// The rows that are still alive, by their original numbers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LiveRows {
    /// How many rows there were.
    rows: usize,
    /// None if all are alive.
    alive: Option<Arc<Alive>>,
}

#[derive(Debug, PartialEq, Eq)]
struct Alive {
    bitmap: Vec<u64>,
    /// The same as numbers.
    rows: Vec<u32>,
}

impl LiveRows {
    /// All of them.
    pub fn all(rows: usize) -> Self {
        Self { rows, alive: None }
    }

    /// Those whose bit is set.
    pub fn from_bitmap(keep: &[u64], rows: usize) -> Self {
        if bitmap::all(keep, 0, rows) {
            return Self::all(rows);
        }
        let mut alive = Vec::with_capacity(bitmap::ones(keep, 0, rows));
        alive.extend(bitmap::iter(keep).take_while(|&row| row < rows).map(|row| row as u32));
        Self { rows, alive: Some(Arc::new(Alive { bitmap: keep.to_vec(), rows: alive })) }
    }

    /// The rows that are left, if not all are.
    pub(crate) fn some(&self) -> Option<&[u32]> {
        self.alive.as_ref().map(|alive| alive.rows.as_slice())
    }

    /// Whether a row is alive.
    #[inline]
    pub fn is_live(&self, row: usize) -> bool {
        row < self.rows && self.alive.as_ref().is_none_or(|alive| bitmap::get(&alive.bitmap, row))
    }

    /// How many rows are alive.
    pub fn len(&self) -> usize {
        self.some().map_or(self.rows, <[u32]>::len)
    }

    /// Whether no row is alive.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether all rows are alive.
    pub fn is_all(&self) -> bool {
        self.alive.is_none()
    }

    /// The original number of the live row number `live`.
    pub fn original(&self, live: usize) -> Option<usize> {
        match self.some() {
            None => (live < self.rows).then_some(live),
            Some(alive) => alive.get(live).map(|&row| row as usize),
        }
    }

    /// The original numbers in order.
    pub fn iter(&self) -> impl Iterator<Item = usize> + '_ {
        (0..self.len()).filter_map(|live| self.original(live))
    }

    /// Turns a bitmap over live rows into one over all rows; rows that are dead stay 0.
    pub fn widen(&self, live: &[u64]) -> Vec<u64> {
        let mut wide = vec![0; bitmap::words(self.rows)];
        match self.some() {
            None => {
                for (to, from) in wide.iter_mut().zip(live) {
                    *to = *from;
                }
                bitmap::trim(&mut wide, self.rows);
            }
            Some(alive) => {
                let set = alive.iter().enumerate().filter(|(index, _)| bitmap::get(live, *index));
                set.for_each(|(_, &row)| bitmap::set(&mut wide, row as usize));
            }
        }
        wide
    }

    /// Turns the first rows of some entities into their first live rows.
    fn offsets<'a>(&'a self, first_rows: &'a [u32]) -> impl Iterator<Item = u32> + 'a {
        let alive = self.some();
        let mut live = 0;
        first_rows.iter().map(move |&row| {
            let Some(alive) = alive else { return row };
            while alive.get(live).is_some_and(|&alive| alive < row) {
                live += 1;
            }
            live as u32
        })
    }
}

/// Texts one after the other: text `i` is `bytes[offsets[i]..offsets[i + 1]]`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Texts {
    /// One more than there are texts.
    pub offsets: Vec<u32>,
    /// The texts' bytes.
    pub bytes: Vec<u8>,
}

impl Texts {
    /// How many texts there are.
    pub fn len(&self) -> usize {
        self.offsets.len().saturating_sub(1)
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The bytes of one text.
    pub fn get(&self, index: usize) -> Option<&[u8]> {
        let (&start, &end) = (self.offsets.get(index)?, self.offsets.get(index + 1)?);
        self.bytes.get(start as usize..end as usize)
    }

    pub(crate) fn gather(source: &[u8], slices: impl ExactSizeIterator<Item = Slice> + Clone) -> Self {
        let total = slices.clone().map(|slice| slice.length as usize).sum();
        let mut texts = Self { offsets: Vec::with_capacity(slices.len() + 1), bytes: Vec::with_capacity(total) };
        texts.offsets.push(0);
        for slice in slices {
            texts.bytes.extend_from_slice(slice.of(source));
            texts.offsets.push(texts.bytes.len() as u32);
        }
        texts
    }
}

/// A dictionary column: code 0 means absent, otherwise the value is number `code - 1` of `values`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DictionaryColumn {
    /// One per entity.
    pub codes: Vec<u32>,
    /// The distinct values; may hold some that only rows have that are no longer alive.
    pub values: Texts,
}

/// A column of texts or bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BytesColumn {
    /// A bit per entity: whether it has a value.
    pub present: Vec<u64>,
    /// The values; absent ones are empty.
    pub values: Texts,
}

/// A column of numbers; absent ones are 0.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NumberColumn<T> {
    /// A bit per entity: whether it has a value.
    pub present: Vec<u64>,
    /// The values.
    pub values: Vec<T>,
}

/// A column as it crosses to a plugin.
#[derive(Clone, Debug, PartialEq)]
pub enum Gathered {
    /// Low-cardinality text.
    Dictionary(DictionaryColumn),
    /// Texts.
    Text(BytesColumn),
    /// Signed integers.
    S64(NumberColumn<i64>),
    /// Unsigned integers.
    U64(NumberColumn<u64>),
    /// Floating point numbers.
    F64(NumberColumn<f64>),
    /// Booleans: `values` is a bitmap, too.
    Boolean(NumberColumn<u64>),
    /// Bytes.
    Bytes(BytesColumn),
    /// Kinds, as numbers of `ValueKind`.
    Kind(Vec<u8>),
    /// Bytes of one length, which every entity has.
    Uniform {
        /// How long each value is; not 0.
        length: u32,
        /// The values.
        bytes: Vec<u8>,
    },
    /// Of any encoding, if no entity has a value: how many entities there are.
    Absent(u32),
}

impl Columns {
    /// Where the live rows of entities start: first rows of resources, first rows of scopes, first scopes of resources,
    /// first rows of metrics. Each of these has one more value than there are entities.
    pub fn starts(&self, live: &LiveRows) -> Vec<u32> {
        let mut starts = Vec::with_capacity(2 * self.resources() + self.scopes() + self.metrics() + 4);
        starts.extend(live.offsets(&self.resource_rows));
        starts.extend(live.offsets(&self.scope_rows));
        starts.extend_from_slice(&self.resource_scopes);
        starts.extend(live.offsets(&self.metric_rows));
        starts
    }

    /// Gathers the column for the projection's read number `read`: of all entities, or of the live rows if it stands
    /// on the record level. `bytes` are those it was extracted from. None if there is no such read.
    pub fn gather(&self, bytes: &[u8], read: usize, live: &LiveRows) -> Option<Gathered> {
        let column = usize::from(*self.reads.get(read)?);
        let stored = self.stores.get(column)?;
        let rows = match stored.field.level {
            Level::Record => live.some(),
            _ => None,
        };
        if stored.is_absent {
            let entities = rows.map_or_else(|| self.entities(stored.field.level), <[u32]>::len);
            return Some(Gathered::Absent(entities as u32));
        }
        Some(match &stored.store {
            Store::Dictionary { codes, values, .. } => Gathered::Dictionary(DictionaryColumn {
                codes: pick(codes, rows),
                values: Texts::gather(bytes, values.values().iter().copied()),
            }),
            Store::Text(slices) => Gathered::Text(gather_slices(bytes, &picked(slices, rows))),
            Store::Bytes(slices) => gather_bytes(bytes, slices, rows),
            Store::Kind(kinds) => Gathered::Kind(pick(kinds, rows)),
            Store::Numbers { values, present } => {
                let present = pick_bits(present, rows);
                let values = pick(values, rows);
                gather_numbers(stored.encoding, present, values)
            }
        })
    }
}

fn gather_numbers(encoding: Encoding, present: Vec<u64>, values: Vec<u64>) -> Gathered {
    match encoding {
        Encoding::S64 => {
            Gathered::S64(NumberColumn { present, values: values.into_iter().map(|bits| bits as i64).collect() })
        }
        Encoding::F64 => {
            Gathered::F64(NumberColumn { present, values: values.into_iter().map(f64::from_bits).collect() })
        }
        Encoding::Boolean => Gathered::Boolean(NumberColumn { present, values: bits(&values, |&bit| bit != 0) }),
        _ => Gathered::U64(NumberColumn { present, values }),
    }
}

fn pick<T: Copy>(values: &[T], rows: Option<&[u32]>) -> Vec<T> {
    match rows {
        None => values.to_vec(),
        Some(rows) => {
            let mut picked = Vec::with_capacity(rows.len());
            picked.extend(rows.iter().filter_map(|&row| values.get(row as usize).copied()));
            picked
        }
    }
}

fn pick_bits(bitmap: &[u64], rows: Option<&[u32]>) -> Vec<u64> {
    match rows {
        None => bitmap.to_vec(),
        Some(rows) => bits(rows, |&row| bitmap::get(bitmap, row as usize)),
    }
}

fn bits<T>(values: &[T], is_set: impl Fn(&T) -> bool) -> Vec<u64> {
    let word =
        |chunk: &[T]| chunk.iter().enumerate().fold(0, |word, (bit, value)| word | u64::from(is_set(value)) << bit);
    values.chunks(64).map(word).collect()
}

fn gather_bytes(bytes: &[u8], slices: &[Slice], rows: Option<&[u32]>) -> Gathered {
    let slices = picked(slices, rows);
    match slices.first() {
        Some(first) if first.length > 0 && slices.iter().all(|slice| slice.length == first.length) => {
            let mut values = Vec::with_capacity(slices.len() * first.length as usize);
            for slice in slices.iter() {
                append(&mut values, slice.of(bytes));
            }
            Gathered::Uniform { length: first.length, bytes: values }
        }
        _ => Gathered::Bytes(gather_slices(bytes, &slices)),
    }
}

fn append(values: &mut Vec<u8>, value: &[u8]) {
    match <&[u8; 16]>::try_from(value) {
        Ok(id) => values.extend_from_slice(id), // ids of traces need no call
        Err(_) => values.extend_from_slice(value),
    }
}

fn picked<'a>(slices: &'a [Slice], rows: Option<&[u32]>) -> Cow<'a, [Slice]> {
    rows.map_or(Cow::Borrowed(slices), |_| Cow::Owned(pick(slices, rows)))
}

fn gather_slices(bytes: &[u8], slices: &[Slice]) -> BytesColumn {
    BytesColumn {
        present: bits(slices, |slice| slice.is_present()),
        values: Texts::gather(bytes, slices.iter().copied()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn live_rows_renumber_what_is_left() {
        let live = LiveRows::from_bitmap(&[0b101101], 6);
        assert_eq!(live.iter().collect::<Vec<_>>(), [0, 2, 3, 5]);
        assert_eq!(live.offsets(&[0, 2, 2, 5, 6]).collect::<Vec<_>>(), [0, 1, 1, 3, 4]);
        assert_eq!(live.widen(&[0b1010]), [0b100100]);
        assert_eq!((live.original(3), live.original(4)), (Some(5), None));
        let all = LiveRows::from_bitmap(&[0b111], 3);
        assert!(all.is_all());
        assert_eq!(all.widen(&[0b1111]), [0b111]);
        assert_eq!(all.offsets(&[0, 3]).collect::<Vec<_>>(), [0, 3]);
    }
}
