//! Regular expressions that run on the host.

use crate::bitmap::Bitmap;
use crate::host;
use crate::texts::{Texts, TextsView};

/// A pattern that the host compiled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pattern(pub(crate) u32);

/// Where a pattern matches in the attribute table or in a list of texts. Entries ascend; one with several matches is
/// there several times.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Matches {
    /// Positions of entries of the table, or in the list.
    pub entries: Vec<u32>,
    /// First byte of each match in its entry's text.
    pub starts: Vec<u32>,
    /// First byte after each match.
    pub ends: Vec<u32>,
}

impl Pattern {
    /// A pattern that nobody compiled; for tests that break the contract.
    #[doc(hidden)]
    pub fn from_number(number: u32) -> Self {
        Self(number)
    }

    /// Compiles a pattern without a setup, at a time when the host refuses it; for tests that break the contract.
    #[doc(hidden)]
    pub fn compile_now(pattern: &str) -> Result<Self, String> {
        host::compile(pattern).map(Self)
    }

    /// Which of these texts match. An absent value of a text column counts as the empty text.
    pub fn is_match_all<'a>(&self, texts: impl Into<TextsView<'a>>) -> Bitmap {
        let texts = texts.into();
        Bitmap::from_words(host::is_match(self.0, texts), texts.len())
    }

    /// Where these texts match. To search the attribute table, `Batch::find` saves the copies.
    pub fn find_all<'a>(&self, texts: impl Into<TextsView<'a>>) -> Matches {
        host::find(self.0, texts.into())
    }

    /// Whether one text matches. Each call goes to the host: prefer `is_match_all` for many.
    pub fn is_match(&self, text: &str) -> bool {
        self.is_match_all(&Texts::from_iter([text])).get(0)
    }
}

impl Matches {
    /// How many matches there are.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The matches as (entry, start, end).
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (usize, usize, usize)> + '_ {
        (0..self.len()).map(|i| (self.entries[i] as usize, self.starts[i] as usize, self.ends[i] as usize))
    }
}
