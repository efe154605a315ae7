//! Why an edit can't be.

use alloc::string::String;

use crate::field::{Field, Level};

/// An edit that can't be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EditError {
    /// Two lists that belong together have different lengths, or a list hasn't one value per entity.
    #[error("{expected} {what} expected, found {found}")]
    WrongLength {
        /// What there should be.
        what: &'static str,
        /// How many.
        expected: usize,
        /// How many there are.
        found: usize,
    },
    /// A row, entity, entry or part that doesn't exist.
    #[error("{what} {index} of {length}")]
    OutOfRange {
        /// What it should be.
        what: &'static str,
        /// Its number.
        index: usize,
        /// How many there are.
        length: usize,
    },
    /// The signal has no such field.
    #[error("{0} does not exist in this signal")]
    NoSuchField(Field),
    /// The signal has no such level.
    #[error("level {0:?} does not exist in this signal")]
    NoSuchLevel(Level),
    /// The field follows from others.
    #[error("{0} can't be written")]
    NotWritable(Field),
    /// The field holds other values.
    #[error("{field} can't hold {value}")]
    WrongValue {
        /// The field.
        field: Field,
        /// The value, or its type.
        value: String,
    },
    /// The columns have no such column of texts.
    #[error("{0} was not read as text or dictionary")]
    NoColumn(Field),
    /// There is no attribute table.
    #[error("the attribute table was not read")]
    NoTable,
    /// A text was expected where there is another value or none.
    #[error("{what} {index} is not text")]
    NotText {
        /// Entry or entity.
        what: &'static str,
        /// Its number.
        index: usize,
    },
    /// A range that is no part of the text, or cuts a character.
    #[error("bytes {start}..{end} of {what} {index} are no range of characters in a text of {length} bytes")]
    NoRange {
        /// Entry or entity.
        what: &'static str,
        /// Its number.
        index: usize,
        /// First byte.
        start: u32,
        /// First byte after it.
        end: u32,
        /// How long the text is.
        length: usize,
    },
    /// Ranges of one text overlap or go backwards.
    #[error("ranges of {what} {index} do not ascend")]
    NotAscending {
        /// Entry or entity.
        what: &'static str,
        /// Its number.
        index: usize,
    },
    /// A text among the values is not UTF-8, or offsets of texts make no sense.
    #[error("text {0} is no UTF-8 or out of bounds")]
    BadText(usize),
    /// Ranges count in the original text, and there is another now.
    #[error("{what} {index} was written by an earlier edit; its ranges would count in another text")]
    AlreadyWritten {
        /// Entry or entity.
        what: &'static str,
        /// Its number.
        index: usize,
    },
}
