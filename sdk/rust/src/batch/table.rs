//! The attribute table: every attribute of a batch, one entry each.

use super::columns::ValueKind;
use crate::bindings::sluice::plugin::types as wit;
use crate::texts::{Texts, TextsView};

/// What an entry of the table belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Owner {
    /// A resource.
    Resource,
    /// An instrumentation scope.
    Scope,
    /// A metric's metadata.
    Metric,
    /// A row.
    Record,
    /// An event of a span.
    Event,
    /// A link of a span.
    Link,
    /// An exemplar of a data point.
    Exemplar,
    /// The body of a log record.
    Body,
}

/// The flattened table of attributes.
#[derive(Clone, Copy, Debug)]
pub struct Table<'a>(pub(super) &'a wit::Table);

impl<'a> Table<'a> {
    /// How many entries there are.
    pub fn len(self) -> usize {
        self.0.owners.len()
    }

    /// Whether there are none.
    pub fn is_empty(self) -> bool {
        self.0.owners.is_empty()
    }

    /// What an entry belongs to.
    #[inline]
    pub fn owner(self, i: usize) -> Owner {
        match self.0.owners[i] {
            0 => Owner::Resource,
            1 => Owner::Scope,
            2 => Owner::Metric,
            4 => Owner::Event,
            5 => Owner::Link,
            6 => Owner::Exemplar,
            7 => Owner::Body,
            _ => Owner::Record,
        }
    }

    /// The number of the resource, scope or metric; for all other owners the number of the row.
    #[inline]
    pub fn entity(self, i: usize) -> u32 {
        self.0.entities[i]
    }

    /// The key of an entry, as a position in `keys`.
    #[inline]
    pub fn key_code(self, i: usize) -> u32 {
        self.0.key_codes[i]
    }

    /// The key codes of all entries.
    pub fn key_codes(self) -> &'a [u32] {
        &self.0.key_codes
    }

    /// The key of an entry; empty for a body and for elements of an array.
    pub fn key(self, i: usize) -> &'a str {
        self.column(&self.0.keys).get(self.key_code(i) as usize)
    }

    /// The distinct keys; the position is the key code.
    pub fn keys(self) -> impl ExactSizeIterator<Item = &'a str> {
        self.column(&self.0.keys).iter()
    }

    /// The distinct keys as a list, for `Pattern::is_match_all`.
    pub fn key_texts(self) -> &'a Texts {
        &self.0.keys
    }

    /// The kind of an entry's value.
    #[inline]
    pub fn kind(self, i: usize) -> ValueKind {
        ValueKind::from_code(self.0.kinds[i])
    }

    /// The entry that contains this one, if it is the member of a map or the element of an array.
    pub fn parent(self, i: usize) -> Option<usize> {
        match self.0.parents.get(i) {
            None | Some(0) => None,
            Some(parent) => Some(*parent as usize - 1),
        }
    }

    /// The value of an entry that is text; empty for others.
    ///
    /// # Panics
    /// If text was not asked for.
    #[inline]
    pub fn text(self, i: usize) -> &'a str {
        assert!(!self.0.text.offsets.is_empty(), "ask in configure for text: true");
        self.column(&self.0.text).get(i)
    }

    /// The value of an entry that is an integer.
    pub fn integer(self, i: usize) -> Option<i64> {
        self.number(i, ValueKind::Integer).map(|bits| bits as i64)
    }

    /// The value of an entry that is a floating point number.
    pub fn double(self, i: usize) -> Option<f64> {
        self.number(i, ValueKind::Double).map(f64::from_bits)
    }

    /// The value of an entry that is a boolean.
    pub fn boolean(self, i: usize) -> Option<bool> {
        self.number(i, ValueKind::Boolean).map(|bits| bits != 0)
    }

    #[inline]
    fn column(self, texts: &'a Texts) -> TextsView<'a> {
        TextsView::of_column(&texts.offsets, &texts.bytes)
    }

    fn number(self, i: usize, kind: ValueKind) -> Option<u64> {
        if self.kind(i) != kind {
            return None;
        }
        Some(*self.0.numbers.get(i).expect("ask in configure for numbers: true"))
    }
}

// `wit::Table` is a generated type of the contract; a table without lists has nothing in it.
#[allow(clippy::derivable_impls)]
impl Default for wit::Table {
    fn default() -> Self {
        Self {
            owners: Vec::new(),
            entities: Vec::new(),
            key_codes: Vec::new(),
            keys: Texts::new(),
            kinds: Vec::new(),
            parents: Vec::new(),
            text: Texts::new(),
            numbers: Vec::new(),
        }
    }
}
