//! Columns: one value, or none, for each entity of the field's level.

use crate::bindings::sluice::plugin::types as wit;
use crate::texts::{TextsView, slice, utf8};

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
pub struct DictionaryColumn<'a> {
    len: usize,
    /// May be none if no entity has a text.
    column: Option<&'a wit::DictionaryColumn>,
}

impl<'a> DictionaryColumn<'a> {
    pub(super) fn new(column: &'a wit::Column) -> Option<Self> {
        match column {
            wit::Column::Dictionary(column) => Some(Self { len: column.codes.len(), column: Some(column) }),
            wit::Column::Absent(len) => Some(Self { len: *len as usize, column: None }),
            _ => None,
        }
    }

    /// How many entities there are.
    pub fn len(self) -> usize {
        self.len
    }

    /// Whether there are none.
    pub fn is_empty(self) -> bool {
        self.len == 0
    }

    /// The code of an entity: 0 if it has no text there, else the number of the distinct value plus 1.
    #[inline]
    pub fn code(self, i: usize) -> u32 {
        self.column.map_or(0, |column| column.codes[i])
    }

    /// All codes; may be none if no entity has a text, so that all are 0.
    pub fn codes(self) -> Option<&'a [u32]> {
        self.column.map(|column| column.codes.as_slice())
    }

    /// How many distinct values there are.
    pub fn values(self) -> usize {
        self.column.map_or(0, |column| column.values.len())
    }

    /// A distinct value; entities with this value have the code `i + 1`.
    ///
    /// # Panics
    /// If there is no such value.
    #[inline]
    pub fn value(self, i: usize) -> &'a str {
        self.texts().get(i)
    }

    /// The distinct values.
    #[inline]
    pub fn texts(self) -> TextsView<'a> {
        self.column
            .map_or(TextsView::EMPTY, |column| TextsView::of_column(&column.values.offsets, &column.values.bytes))
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
pub struct TextColumn<'a> {
    len: usize,
    /// May be none if no entity has a text.
    column: Option<&'a wit::BytesColumn>,
}

impl<'a> TextColumn<'a> {
    pub(super) fn new(column: &'a wit::Column) -> Option<Self> {
        match column {
            wit::Column::Text(column) => {
                Some(Self { len: column.offsets.len().saturating_sub(1), column: Some(column) })
            }
            wit::Column::Absent(len) => Some(Self { len: *len as usize, column: None }),
            _ => None,
        }
    }

    /// How many entities there are.
    pub fn len(self) -> usize {
        self.len
    }

    /// Whether there are none.
    pub fn is_empty(self) -> bool {
        self.len == 0
    }

    /// Whether no entity has a text, so that a stage can spare itself looking at each.
    pub fn is_absent(self) -> bool {
        self.column.is_none_or(|column| is_clear(&column.present))
    }

    /// All texts, an absent one being empty; may be none if all are absent.
    pub fn texts(self) -> Option<TextsView<'a>> {
        self.column.map(|column| TextsView::of_column(&column.offsets, &column.bytes))
    }

    /// The text of an entity.
    #[inline]
    pub fn get(self, i: usize) -> Option<&'a str> {
        let column = self.column?;
        bit(&column.present, i).then(|| utf8(slice(&column.offsets, &column.bytes, i)))
    }
}

impl<'a> From<DictionaryColumn<'a>> for TextsView<'a> {
    /// The distinct values.
    fn from(column: DictionaryColumn<'a>) -> Self {
        column.texts()
    }
}

/// Bytes.
#[derive(Clone, Copy, Debug)]
pub struct BytesColumn<'a> {
    len: usize,
    values: BytesValues<'a>,
}

#[derive(Clone, Copy, Debug)]
enum BytesValues<'a> {
    Any(&'a wit::BytesColumn),
    /// Each entity has so many bytes.
    Uniform(usize, &'a [u8]),
    Absent,
}

impl<'a> BytesColumn<'a> {
    pub(super) fn new(column: &'a wit::Column) -> Option<Self> {
        let (len, values) = match column {
            wit::Column::Bytes(column) => (column.offsets.len().saturating_sub(1), BytesValues::Any(column)),
            wit::Column::Uniform(column) => {
                let length = column.length as usize;
                (column.bytes.len().checked_div(length)?, BytesValues::Uniform(length, &column.bytes))
            }
            wit::Column::Absent(len) => (*len as usize, BytesValues::Absent),
            _ => return None,
        };
        Some(Self { len, values })
    }

    /// How many entities there are.
    pub fn len(self) -> usize {
        self.len
    }

    /// Whether there are none.
    pub fn is_empty(self) -> bool {
        self.len == 0
    }

    /// All values one after the other, if every entity has one of exactly `N` bytes, as ids mostly do.
    pub fn arrays<const N: usize>(self) -> Option<&'a [[u8; N]]> {
        match self.values {
            BytesValues::Uniform(length, bytes) if length == N => Some(bytes.as_chunks().0),
            _ => None,
        }
    }

    /// The bytes of an entity.
    #[inline]
    pub fn get(self, i: usize) -> Option<&'a [u8]> {
        match self.values {
            BytesValues::Any(column) => bit(&column.present, i).then(|| slice(&column.offsets, &column.bytes, i)),
            BytesValues::Uniform(length, bytes) => bytes.get(i * length..(i + 1) * length),
            BytesValues::Absent => None,
        }
    }
}

macro_rules! number_columns {
    ($($(#[$doc:meta])* $column:ident $variant:ident $number:ty;)*) => {
        $(
            $(#[$doc])*
            #[derive(Clone, Copy, Debug)]
            pub struct $column<'a> {
                len: usize,
                /// May be none if no entity has a number.
                column: Option<&'a wit::$column>,
            }

            impl<'a> $column<'a> {
                pub(super) fn new(column: &'a wit::Column) -> Option<Self> {
                    match column {
                        wit::Column::$variant(column) => Some(Self { len: column.values.len(), column: Some(column) }),
                        wit::Column::Absent(len) => Some(Self { len: *len as usize, column: None }),
                        _ => None,
                    }
                }

                /// How many entities there are.
                pub fn len(self) -> usize {
                    self.len
                }

                /// Whether there are none.
                pub fn is_empty(self) -> bool {
                    self.len == 0
                }

                /// Whether no entity has a number.
                pub fn is_absent(self) -> bool {
                    self.column.is_none_or(|column| is_clear(&column.present))
                }

                /// The number of an entity.
                #[inline]
                pub fn get(self, i: usize) -> Option<$number> {
                    let column = self.column?;
                    bit(&column.present, i).then(|| column.values[i])
                }

                /// All numbers, an absent one being 0; may be none if all are absent.
                pub fn values(self) -> Option<&'a [$number]> {
                    self.column.map(|column| column.values.as_slice())
                }
            }
        )*
    };
}

number_columns! {
    /// Signed integers.
    S64Column S64 i64;
    /// Unsigned integers.
    U64Column U64 u64;
    /// Floating point numbers.
    F64Column F64 f64;
}

/// Booleans.
#[derive(Clone, Copy, Debug)]
pub struct BooleanColumn<'a>(Option<&'a wit::BooleanColumn>);

impl<'a> BooleanColumn<'a> {
    pub(super) fn new(column: &'a wit::Column) -> Option<Self> {
        match column {
            wit::Column::Boolean(column) => Some(Self(Some(column))),
            wit::Column::Absent(_) => Some(Self(None)),
            _ => None,
        }
    }

    /// The boolean of an entity.
    #[inline]
    pub fn get(self, i: usize) -> Option<bool> {
        let column = self.0?;
        bit(&column.present, i).then(|| bit(&column.values, i))
    }
}

/// Kinds of values.
#[derive(Clone, Copy, Debug)]
pub struct KindColumn<'a> {
    len: usize,
    /// May be none if no entity has a value.
    codes: Option<&'a [u8]>,
}

impl<'a> KindColumn<'a> {
    pub(super) fn new(column: &'a wit::Column) -> Option<Self> {
        match column {
            wit::Column::Kind(codes) => Some(Self { len: codes.len(), codes: Some(codes) }),
            wit::Column::Absent(len) => Some(Self { len: *len as usize, codes: None }),
            _ => None,
        }
    }

    /// How many entities there are.
    pub fn len(self) -> usize {
        self.len
    }

    /// Whether there are none.
    pub fn is_empty(self) -> bool {
        self.len == 0
    }

    /// The kind of an entity's value.
    #[inline]
    pub fn get(self, i: usize) -> ValueKind {
        self.codes.map_or(ValueKind::Absent, |codes| ValueKind::from_code(codes[i]))
    }
}

fn is_clear(words: &[u64]) -> bool {
    words.iter().all(|word| *word == 0)
}

#[inline]
fn bit(words: &[u64], i: usize) -> bool {
    words[i / 64] >> (i % 64) & 1 == 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_absent_column_has_no_value_in_any_encoding() {
        let absent = wit::Column::Absent(3);
        let dictionary = DictionaryColumn::new(&absent).expect("any encoding");
        assert_eq!((dictionary.len(), dictionary.code(2), dictionary.values()), (3, 0, 0));
        assert_eq!((dictionary.get(0), dictionary.codes(), dictionary.texts().len()), (None, None, 0));
        let text = TextColumn::new(&absent).expect("any encoding");
        assert_eq!((text.len(), text.is_absent(), text.get(2), text.texts().is_none()), (3, true, None, true));
        let numbers = U64Column::new(&absent).expect("any encoding");
        assert_eq!((numbers.len(), numbers.is_absent(), numbers.get(2), numbers.values()), (3, true, None, None));
        let bytes = BytesColumn::new(&absent).expect("any encoding");
        assert_eq!((bytes.len(), bytes.get(2), bytes.arrays::<16>()), (3, None, None));
        assert_eq!(BooleanColumn::new(&absent).expect("any encoding").get(2), None);
        let kinds = KindColumn::new(&absent).expect("any encoding");
        assert_eq!((kinds.len(), kinds.get(2)), (3, ValueKind::Absent));
    }

    #[test]
    fn values_of_one_length_need_no_offsets() {
        let column = wit::Column::Uniform(wit::UniformColumn { length: 2, bytes: b"abcdef".to_vec() });
        let bytes = BytesColumn::new(&column).expect("bytes");
        assert_eq!((bytes.len(), bytes.get(1), bytes.get(3)), (3, Some(&b"cd"[..]), None));
        assert_eq!(bytes.arrays::<2>(), Some(&[*b"ab", *b"cd", *b"ef"][..]));
        assert_eq!(bytes.arrays::<3>(), None);
        assert!(TextColumn::new(&column).is_none());
        let empty = wit::Column::Uniform(wit::UniformColumn { length: 0, bytes: Vec::new() });
        assert!(BytesColumn::new(&empty).is_none());
    }
}
