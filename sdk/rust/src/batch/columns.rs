//! Columns: one value, or none, for each entity of the field's level.

use crate::bindings::sluice::plugin::types as wit;
use crate::texts::{Texts, TextsView, slice, utf8};

/// What kind of value stands somewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ValueKind {
    /// No value.
    Absent,
    /// Text.
    Text,
    /// A boolean.
    Boolean,
    /// An integer.
    Integer,
    /// A floating point number.
    Double,
    /// An array.
    Array,
    /// A map.
    Map,
    /// Bytes.
    Bytes,
    /// A value that has no content.
    Empty,
}

impl ValueKind {
    #[inline]
    pub(crate) fn from_code(code: u8) -> Self {
        match code {
            1 => Self::Text,
            2 => Self::Boolean,
            3 => Self::Integer,
            4 => Self::Double,
            5 => Self::Array,
            6 => Self::Map,
            7 => Self::Bytes,
            8 => Self::Empty,
            _ => Self::Absent,
        }
    }
}

/// Text with few distinct values, as codes: a question about the text is asked once per distinct value.
#[derive(Clone, Copy, Debug)]
pub struct DictionaryColumn<'a>(pub(super) &'a wit::DictionaryColumn);

impl<'a> DictionaryColumn<'a> {
    /// How many entities there are.
    pub fn len(self) -> usize {
        self.0.codes.len()
    }

    /// Whether there are none.
    pub fn is_empty(self) -> bool {
        self.0.codes.is_empty()
    }

    /// The code of an entity: 0 if it has no text there, else the number of the distinct value plus 1.
    #[inline]
    pub fn code(self, i: usize) -> u32 {
        self.0.codes[i]
    }

    /// All codes.
    pub fn codes(self) -> &'a [u32] {
        &self.0.codes
    }

    /// How many distinct values there are.
    pub fn values(self) -> usize {
        self.0.values.len()
    }

    /// A distinct value; entities with this value have the code `i + 1`.
    #[inline]
    pub fn value(self, i: usize) -> &'a str {
        self.0.values.get(i)
    }

    /// The distinct values.
    pub fn texts(self) -> &'a Texts {
        &self.0.values
    }

    /// The text of an entity.
    #[inline]
    pub fn get(self, i: usize) -> Option<&'a str> {
        match self.code(i) {
            0 => None,
            code => Some(self.value(code as usize - 1)),
        }
    }
}

/// Text.
#[derive(Clone, Copy, Debug)]
pub struct TextColumn<'a>(pub(super) &'a wit::BytesColumn);

impl<'a> TextColumn<'a> {
    /// How many entities there are.
    pub fn len(self) -> usize {
        self.0.offsets.len().saturating_sub(1)
    }

    /// Whether there are none.
    pub fn is_empty(self) -> bool {
        self.len() == 0
    }

    /// Whether no entity has a text, so that a stage can spare itself looking at each.
    pub fn is_absent(self) -> bool {
        is_clear(&self.0.present)
    }

    /// The text of an entity.
    #[inline]
    pub fn get(self, i: usize) -> Option<&'a str> {
        bit(&self.0.present, i).then(|| utf8(slice(&self.0.offsets, &self.0.bytes, i)))
    }
}

impl<'a> From<TextColumn<'a>> for TextsView<'a> {
    fn from(column: TextColumn<'a>) -> Self {
        Self { offsets: &column.0.offsets, bytes: &column.0.bytes }
    }
}

impl<'a> From<DictionaryColumn<'a>> for TextsView<'a> {
    /// The distinct values.
    fn from(column: DictionaryColumn<'a>) -> Self {
        column.0.values.view()
    }
}

/// Bytes.
#[derive(Clone, Copy, Debug)]
pub struct BytesColumn<'a>(pub(super) &'a wit::BytesColumn);

impl<'a> BytesColumn<'a> {
    /// How many entities there are.
    pub fn len(self) -> usize {
        self.0.offsets.len().saturating_sub(1)
    }

    /// Whether there are none.
    pub fn is_empty(self) -> bool {
        self.len() == 0
    }

    /// All values one after the other, if every entity has one of exactly `N` bytes, as ids mostly do.
    pub fn arrays<const N: usize>(self) -> Option<&'a [[u8; N]]> {
        let regular = self.0.offsets.iter().enumerate().all(|(i, offset)| *offset as usize == i * N);
        let (arrays, rest) = self.0.bytes.as_chunks();
        (regular && rest.is_empty() && arrays.len() == self.len()).then_some(arrays)
    }

    /// The bytes of an entity.
    #[inline]
    pub fn get(self, i: usize) -> Option<&'a [u8]> {
        bit(&self.0.present, i).then(|| slice(&self.0.offsets, &self.0.bytes, i))
    }
}

macro_rules! number_columns {
    ($($(#[$doc:meta])* $column:ident $number:ty;)*) => {
        $(
            $(#[$doc])*
            #[derive(Clone, Copy, Debug)]
            pub struct $column<'a>(pub(super) &'a wit::$column);

            impl<'a> $column<'a> {
                /// How many entities there are.
                pub fn len(self) -> usize {
                    self.0.values.len()
                }

                /// Whether there are none.
                pub fn is_empty(self) -> bool {
                    self.0.values.is_empty()
                }

                /// Whether no entity has a number.
                pub fn is_absent(self) -> bool {
                    is_clear(&self.0.present)
                }

                /// The number of an entity.
                #[inline]
                pub fn get(self, i: usize) -> Option<$number> {
                    bit(&self.0.present, i).then(|| self.0.values[i])
                }

                /// All numbers; an absent one is 0.
                pub fn values(self) -> &'a [$number] {
                    &self.0.values
                }
            }
        )*
    };
}

number_columns! {
    /// Signed integers.
    S64Column i64;
    /// Unsigned integers.
    U64Column u64;
    /// Floating point numbers.
    F64Column f64;
}

/// Booleans.
#[derive(Clone, Copy, Debug)]
pub struct BooleanColumn<'a>(pub(super) &'a wit::BooleanColumn);

impl BooleanColumn<'_> {
    /// The boolean of an entity.
    #[inline]
    pub fn get(self, i: usize) -> Option<bool> {
        bit(&self.0.present, i).then(|| bit(&self.0.values, i))
    }
}

/// Kinds of values.
#[derive(Clone, Copy, Debug)]
pub struct KindColumn<'a>(pub(super) &'a Vec<u8>);

impl KindColumn<'_> {
    /// How many entities there are.
    pub fn len(self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    pub fn is_empty(self) -> bool {
        self.0.is_empty()
    }

    /// The kind of an entity's value.
    #[inline]
    pub fn get(self, i: usize) -> ValueKind {
        ValueKind::from_code(self.0[i])
    }
}

fn is_clear(words: &[u64]) -> bool {
    words.iter().all(|word| *word == 0)
}

#[inline]
fn bit(words: &[u64], i: usize) -> bool {
    words[i / 64] >> (i % 64) & 1 == 1
}
