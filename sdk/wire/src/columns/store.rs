//! One column's values while they are extracted: filled up lazily, so that absent fields cost nothing.

use alloc::vec::Vec;

use crate::bitmap;
use crate::field::{Encoding, ValueKind};

use super::Slice;
use super::dictionary::Dictionary;

#[derive(Clone, Debug)]
pub(crate) enum Store {
    Dictionary {
        /// 0 for absent.
        codes: Vec<u32>,
        /// Where each entity's own text starts; the dictionary has the first with the same text. That of `Slice::OTHER`
        /// if there is something else.
        starts: Vec<u32>,
        values: Dictionary,
    },
    Text(Vec<Slice>),
    Bytes(Vec<Slice>),
    Numbers {
        values: Vec<u64>,
        present: Vec<u64>,
    },
    Kind(Vec<u8>),
}

/// A value on its way into columns: its kind, and the number, or the packed slice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Raw {
    pub(crate) kind: ValueKind,
    pub(crate) bits: u64,
}

impl Raw {
    pub(crate) const ABSENT: Self = Self { kind: ValueKind::Absent, bits: 0 };

    #[inline(always)]
    pub(crate) fn text(text: Slice) -> Self {
        Self { kind: ValueKind::Text, bits: text.pack() }
    }

    /// The text, if it is one.
    #[inline(always)]
    pub(crate) fn as_text(self) -> Option<Slice> {
        (self.kind == ValueKind::Text).then(|| Slice::unpack(self.bits))
    }
}

impl Store {
    pub(crate) fn new(encoding: Encoding) -> Self {
        match encoding {
            Encoding::Dictionary => {
                Self::Dictionary { codes: Vec::new(), starts: Vec::new(), values: Dictionary::default() }
            }
            Encoding::Text => Self::Text(Vec::new()),
            Encoding::Bytes => Self::Bytes(Vec::new()),
            Encoding::Kind => Self::Kind(Vec::new()),
            Encoding::S64 | Encoding::U64 | Encoding::F64 | Encoding::Boolean => {
                Self::Numbers { values: Vec::new(), present: Vec::new() }
            }
        }
    }

    pub(crate) fn clear(&mut self) {
        match self {
            Self::Dictionary { codes, starts, values } => {
                codes.clear();
                starts.clear();
                values.clear();
            }
            Self::Text(slices) | Self::Bytes(slices) => slices.clear(),
            Self::Numbers { values, present } => {
                values.clear();
                present.clear();
            }
            Self::Kind(kinds) => kinds.clear(),
        }
    }

    fn len(&self) -> usize {
        match self {
            Self::Dictionary { codes, .. } => codes.len(),
            Self::Text(slices) | Self::Bytes(slices) => slices.len(),
            Self::Numbers { values, .. } => values.len(),
            Self::Kind(kinds) => kinds.len(),
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether an entity has no text, or an empty one; of other columns nothing is known.
    #[inline]
    pub(crate) fn lacks_text(&self, entity: usize) -> bool {
        match self {
            Self::Dictionary { codes, .. } => codes.get(entity) == Some(&0),
            Self::Text(slices) => slices.get(entity).is_some_and(|slice| !slice.is_present()),
            _ => false,
        }
    }

    /// Whether an entity surely has no such attribute, whatever its kind.
    #[inline]
    pub(crate) fn lacks_attribute(&self, entity: usize) -> bool {
        match self {
            Self::Dictionary { codes, starts, .. } => {
                codes.get(entity) == Some(&0) && starts.get(entity) != Some(&Slice::OTHER.start)
            }
            Self::Text(slices) => slices.get(entity) == Some(&Slice::ABSENT),
            _ => false,
        }
    }

    /// Makes all entities up to `entities` have a value.
    pub(crate) fn finish(&mut self, entities: usize) {
        match self {
            Self::Dictionary { codes, starts, .. } => {
                codes.resize(entities, 0);
                starts.resize(entities, 0);
            }
            Self::Text(slices) | Self::Bytes(slices) => slices.resize(entities, Slice::ABSENT),
            Self::Numbers { values, present } => {
                values.resize(entities, 0);
                present.resize(bitmap::words(entities), 0);
            }
            Self::Kind(kinds) => kinds.resize(entities, 0),
        }
    }

    /// Sets the value of an attribute; of several with one key the first counts.
    #[inline]
    pub(crate) fn set_first(&mut self, bytes: &[u8], encoding: Encoding, entity: usize, raw: Raw) {
        if self.len() <= entity {
            self.set(bytes, encoding, entity, raw);
        }
    }

    /// Sets the value of a field of the protocol; of several the last counts.
    #[inline]
    pub(crate) fn set(&mut self, bytes: &[u8], encoding: Encoding, entity: usize, raw: Raw) {
        match self {
            Self::Dictionary { codes, starts, values } => {
                let (code, start) = match raw.kind {
                    ValueKind::Text => (values.code(bytes, Slice::unpack(raw.bits)), (raw.bits >> 32) as u32),
                    ValueKind::Absent => (0, 0),
                    _ => (0, Slice::OTHER.start),
                };
                put(codes, entity, 0, code);
                put(starts, entity, 0, start);
            }
            Self::Text(slices) => {
                let slice = match raw.kind {
                    ValueKind::Text => Slice::unpack(raw.bits),
                    ValueKind::Absent => Slice::ABSENT,
                    _ => Slice::OTHER,
                };
                put(slices, entity, Slice::ABSENT, slice);
            }
            Self::Bytes(slices) => {
                let bytes = matches!(raw.kind, ValueKind::Bytes | ValueKind::Array | ValueKind::Map);
                let slice = if bytes { Slice::unpack(raw.bits) } else { Slice::ABSENT };
                put(slices, entity, Slice::ABSENT, slice);
            }
            Self::Numbers { values, present } => {
                let fits = match encoding {
                    Encoding::S64 => raw.kind == ValueKind::Integer,
                    Encoding::U64 => raw.kind == ValueKind::Integer && raw.bits as i64 >= 0,
                    Encoding::F64 => raw.kind == ValueKind::Double,
                    _ => raw.kind == ValueKind::Boolean,
                };
                put_number(values, present, entity, fits.then_some(raw.bits));
            }
            Self::Kind(kinds) => put(kinds, entity, 0, raw.kind as u8),
        }
    }

    /// Sets an unsigned number that may use all 64 bits, as times and counts may.
    #[inline]
    pub(crate) fn set_unsigned(&mut self, bytes: &[u8], encoding: Encoding, entity: usize, number: Option<u64>) {
        match self {
            Self::Numbers { values, present } => put_number(values, present, entity, number),
            _ => {
                let kind = if number.is_some() { ValueKind::Integer } else { ValueKind::Absent };
                self.set(bytes, encoding, entity, Raw { kind, bits: 0 });
            }
        }
    }
}

/// Puts a value at `index`, which is the last one or beyond; fills up before it.
#[inline(always)]
fn put<T: Copy>(values: &mut Vec<T>, index: usize, absent: T, value: T) {
    if values.len() > index {
        if let Some(slot) = values.get_mut(index) {
            *slot = value;
        }
        return;
    }
    if values.len() < index {
        values.resize(index, absent);
    }
    values.push(value);
}

#[inline(always)]
fn put_number(values: &mut Vec<u64>, present: &mut Vec<u64>, entity: usize, number: Option<u64>) {
    put(values, entity, 0, number.unwrap_or(0));
    if present.len() <= entity / 64 {
        present.resize(entity / 64 + 1, 0);
    }
    if let Some(word) = present.get_mut(entity / 64) {
        let bit = 1 << (entity % 64);
        *word = if number.is_some() { *word | bit } else { *word & !bit };
    }
}
