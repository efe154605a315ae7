//! Lists of texts: one buffer and the offsets into it.

pub use crate::bindings::sluice::plugin::types::Texts;

/// A borrowed list of texts; `offsets` has one more value than there are texts.
#[derive(Clone, Copy, Debug)]
pub struct TextsView<'a> {
    pub(crate) offsets: &'a [u32],
    pub(crate) bytes: &'a [u8],
    /// Whether the host passed them as a column, so that they are UTF-8; what a plugin made may be anything.
    is_column: bool,
}

impl Texts {
    /// Creates an empty list.
    pub fn new() -> Self {
        Self { offsets: vec![0], bytes: Vec::new() }
    }

    /// Appends a text.
    pub fn push(&mut self, text: &str) {
        self.push_bytes(text.as_bytes());
    }

    /// Appends bytes that need not be text; for `Values::Bytes` only.
    pub fn push_bytes(&mut self, bytes: &[u8]) {
        if self.offsets.is_empty() {
            self.offsets.push(0);
        }
        self.bytes.extend_from_slice(bytes);
        // A guest has 4 GiB at most, so an offset fits.
        self.offsets.push(self.bytes.len() as u32);
    }

    /// How many texts there are.
    pub fn len(&self) -> usize {
        self.offsets.len().saturating_sub(1)
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// A text.
    ///
    /// # Panics
    /// If there is no such text, or it is not UTF-8.
    #[inline]
    pub fn get(&self, i: usize) -> &str {
        self.view().get(i)
    }

    /// The texts, in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &str> + '_ {
        (0..self.len()).map(|i| self.get(i))
    }

    /// The list, borrowed.
    pub fn view(&self) -> TextsView<'_> {
        TextsView { offsets: &self.offsets, bytes: &self.bytes, is_column: false }
    }
}

impl Default for Texts {
    fn default() -> Self {
        Self::new()
    }
}

impl<T: AsRef<str>> FromIterator<T> for Texts {
    fn from_iter<I: IntoIterator<Item = T>>(texts: I) -> Self {
        let mut list = Self::new();
        texts.into_iter().for_each(|text| list.push(text.as_ref()));
        list
    }
}

impl<'a> TextsView<'a> {
    pub(crate) const EMPTY: Self = Self { offsets: &[], bytes: &[], is_column: false };

    /// Texts of a column that the host passed, and that nobody could change since.
    #[inline]
    pub(crate) fn of_column(offsets: &'a [u32], bytes: &'a [u8]) -> Self {
        Self { offsets, bytes, is_column: true }
    }

    /// How many texts there are.
    pub fn len(self) -> usize {
        self.offsets.len().saturating_sub(1)
    }

    /// Whether there are none.
    pub fn is_empty(self) -> bool {
        self.len() == 0
    }

    /// A text.
    ///
    /// # Panics
    /// If there is no such text, or a plugin made it of bytes that are not UTF-8.
    #[inline]
    pub fn get(self, i: usize) -> &'a str {
        let text = slice(self.offsets, self.bytes, i);
        match self.is_column {
            true => utf8(text),
            false => checked(text),
        }
    }

    /// The texts, in order.
    pub fn iter(self) -> impl ExactSizeIterator<Item = &'a str> {
        (0..self.len()).map(move |i| self.get(i))
    }
}

impl<'a> From<&'a Texts> for TextsView<'a> {
    fn from(texts: &'a Texts) -> Self {
        texts.view()
    }
}

#[inline]
pub(crate) fn slice<'a>(offsets: &[u32], bytes: &'a [u8], i: usize) -> &'a [u8] {
    &bytes[offsets[i] as usize..offsets[i + 1] as usize]
}

fn checked(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).expect("texts are UTF-8")
}

/// Text of a column that the host passed.
#[inline]
pub(crate) fn utf8(bytes: &[u8]) -> &str {
    if cfg!(debug_assertions) {
        return checked(bytes);
    }
    // SAFETY: the contract says that text columns are UTF-8 and that offsets lie on boundaries: the host takes both
    // from a request that it validated. Only columns get here, which plugins can't make and see behind shared
    // references. wit-bindgen lifts strings in the same way. Checking every value again would cost more than most plugins
    // do with it.
    unsafe { std::str::from_utf8_unchecked(bytes) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gives_back_the_texts_in_order() {
        let texts: Texts = ["one", "", "drei ä"].into_iter().collect();
        assert_eq!((texts.len(), texts.get(1), texts.get(2)), (3, "", "drei ä"));
        assert_eq!(texts.iter().collect::<Vec<_>>(), ["one", "", "drei ä"]);
        assert_eq!(Texts { offsets: Vec::new(), bytes: Vec::new() }.len(), 0);
    }

    #[test]
    fn bytes_that_are_no_text_are_not_given_back_as_one() {
        let mut pushed = Texts::new();
        pushed.push_bytes(&[0xff]);
        let made = Texts { offsets: vec![0, 1], bytes: "ä".into() };
        for texts in [pushed, made] {
            assert!(!texts.view().is_column, "columns are only checked without optimization");
            assert!(std::panic::catch_unwind(|| texts.get(0).len()).is_err(), "{texts:?}");
            assert!(std::panic::catch_unwind(|| TextsView::from(&texts).get(0).len()).is_err(), "{texts:?}");
            assert!(std::panic::catch_unwind(|| texts.iter().map(str::len).sum::<usize>()).is_err(), "{texts:?}");
        }
    }
}
