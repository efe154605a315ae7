//! Sets of rows, resources, scopes, metrics or table entries.

/// A set of numbers below a length, one bit each.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Bitmap {
    // Bits at and above `len` are 0.
    words: Vec<u64>,
    len: usize,
}

impl Bitmap {
    /// Creates a bitmap of so many bits, all with this value.
    pub fn new(len: usize, value: bool) -> Self {
        let word = if value { u64::MAX } else { 0 };
        let mut bitmap = Self { words: vec![word; len.div_ceil(64)], len };
        bitmap.clear_tail();
        bitmap
    }

    /// A bit for each value; quicker than [`Bitmap::from_fn`] where the values stand in a slice.
    pub fn of<T>(values: &[T], bit: impl Fn(&T) -> bool) -> Self {
        let word = |values: &[T]| values.iter().rev().fold(0, |word, value| word << 1 | u64::from(bit(value)));
        Self { words: values.chunks(64).map(word).collect(), len: values.len() }
    }

    /// Creates a bitmap whose bit `i` is `bit(i)`.
    pub fn from_fn(len: usize, mut bit: impl FnMut(usize) -> bool) -> Self {
        let mut words = Vec::with_capacity(len.div_ceil(64));
        let mut start = 0;
        while start < len {
            let end = len.min(start + 64);
            let mut word = 0;
            for i in start..end {
                word |= u64::from(bit(i)) << (i - start);
            }
            words.push(word);
            start = end;
        }
        Self { words, len }
    }

    /// Creates a bitmap from its words; missing ones are 0, what is too much is ignored.
    pub fn from_words(mut words: Vec<u64>, len: usize) -> Self {
        words.resize(len.div_ceil(64), 0);
        let mut bitmap = Self { words, len };
        bitmap.clear_tail();
        bitmap
    }

    /// How many bits there are.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is no bit at all.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Whether a bit is set; false beyond the end.
    #[inline]
    pub fn get(&self, i: usize) -> bool {
        i < self.len && self.words[i / 64] >> (i % 64) & 1 == 1
    }

    /// Sets a bit.
    ///
    /// # Panics
    /// If there is no such bit.
    #[inline]
    pub fn set(&mut self, i: usize) {
        assert!(i < self.len, "bit {i} of {}", self.len);
        self.words[i / 64] |= 1 << (i % 64);
    }

    /// Sets all bits of a range.
    ///
    /// # Panics
    /// If the range ends beyond the last bit.
    pub fn set_range(&mut self, range: std::ops::Range<usize>) {
        for i in range {
            self.set(i);
        }
    }

    /// Clears a bit.
    ///
    /// # Panics
    /// If there is no such bit.
    #[inline]
    pub fn clear(&mut self, i: usize) {
        assert!(i < self.len, "bit {i} of {}", self.len);
        self.words[i / 64] &= !(1 << (i % 64));
    }

    /// Keeps the bits that are set in both.
    ///
    /// # Panics
    /// If the lengths differ.
    pub fn and(&mut self, other: &Self) {
        assert_eq!(self.len, other.len, "bitmaps of different lengths");
        self.words.iter_mut().zip(&other.words).for_each(|(word, other)| *word &= other);
    }

    /// Keeps the bits that are set in either.
    ///
    /// # Panics
    /// If the lengths differ.
    pub fn or(&mut self, other: &Self) {
        assert_eq!(self.len, other.len, "bitmaps of different lengths");
        self.words.iter_mut().zip(&other.words).for_each(|(word, other)| *word |= other);
    }

    /// Turns every bit around.
    pub fn not(&mut self) {
        self.words.iter_mut().for_each(|word| *word = !*word);
        self.clear_tail();
    }

    /// How many bits are set.
    pub fn count_ones(&self) -> usize {
        self.words.iter().map(|word| word.count_ones() as usize).sum()
    }

    /// Whether no bit is set.
    pub fn is_clear(&self) -> bool {
        self.words.iter().all(|word| *word == 0)
    }

    /// Whether every bit is set.
    pub fn is_full(&self) -> bool {
        self.count_ones() == self.len
    }

    /// The positions of the bits that are set, ascending.
    pub fn iter_ones(&self) -> impl Iterator<Item = usize> + '_ {
        self.words.iter().enumerate().flat_map(|(at, word)| {
            let first = Some(*word).filter(|word| *word != 0);
            std::iter::successors(first, |word| Some(word & (word - 1)).filter(|word| *word != 0))
                .map(move |word| at * 64 + word.trailing_zeros() as usize)
        })
    }

    /// The words: bit `i % 64` of word `i / 64` is bit `i`.
    pub fn words(&self) -> &[u64] {
        &self.words
    }

    /// The words, by value.
    pub fn into_words(self) -> Vec<u64> {
        self.words
    }

    fn clear_tail(&mut self) {
        if !self.len.is_multiple_of(64)
            && let Some(last) = self.words.last_mut()
        {
            *last &= (1 << (self.len % 64)) - 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn holds_exactly_its_length_of_bits() {
        for len in [0, 1, 63, 64, 65, 128, 129] {
            let full = Bitmap::new(len, true);
            assert_eq!((full.count_ones(), full.is_full(), full.get(len)), (len, true, false), "{len}");
            let mut none = full.clone();
            none.not();
            assert!(none.is_clear(), "{len}");
            none.not();
            assert_eq!(none, full);
            assert_eq!(Bitmap::from_fn(len, |_| true), full);
            let numbers: Vec<usize> = (0..len).collect();
            assert_eq!(Bitmap::of(&numbers, |i| i % 3 == 0), Bitmap::from_fn(len, |i| i % 3 == 0));
            assert_eq!(Bitmap::from_words(vec![u64::MAX; 9], len), full);
        }
    }

    #[test]
    fn iterates_over_the_bits_that_are_set() {
        let bitmap = Bitmap::from_fn(200, |i| i % 67 == 1);
        assert_eq!(bitmap.iter_ones().collect::<Vec<_>>(), [1, 68, 135]);
        let mut edited = bitmap.clone();
        edited.clear(68);
        edited.set(199);
        assert_eq!(edited.iter_ones().collect::<Vec<_>>(), [1, 135, 199]);
        edited.and(&bitmap);
        assert_eq!(edited.iter_ones().collect::<Vec<_>>(), [1, 135]);
        edited.or(&bitmap);
        assert_eq!(edited, bitmap);
    }
}
