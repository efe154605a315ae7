//! Distinct texts in the order of their first appearance, found again by hash.

use alloc::vec::Vec;

use super::Slice;

const FACTOR: u64 = 0x9e37_79b9_7f4a_7c15;
const FEW: usize = 16;

/// Distinct texts; the code of the first is 1.
#[derive(Clone, Debug, Default)]
pub(crate) struct Dictionary {
    values: Vec<Slice>,
    /// Codes by hash, 0 for none; a power of two, at most half full.
    slots: Vec<u32>,
    /// The code given out last.
    last: u32,
    /// For each code the one that came after it last time; index 0 stands for the start.
    next: Vec<u32>,
}

impl Dictionary {
    pub(crate) fn clear(&mut self) {
        self.values.clear();
        self.next.clear();
        self.last = 0;
        match self.slots.len() > 1 << 12 {
            true => self.slots = Vec::new(), // one odd batch shall not cost all others
            false => self.slots.fill(0),
        }
    }

    pub(crate) fn values(&self) -> &[Slice] {
        &self.values
    }

    /// The text with this code.
    pub(crate) fn value(&self, code: u32) -> Option<Slice> {
        self.values.get((code as usize).checked_sub(1)?).copied()
    }

    /// The code of a text that often equals the one before.
    #[inline]
    pub(crate) fn code(&mut self, bytes: &[u8], slice: Slice) -> u32 {
        if self.is(bytes, self.last, slice) {
            return self.last;
        }
        self.last = self.search(bytes, slice);
        self.last
    }

    /// The code of a text that often comes after the same text as last time, as keys of attributes do.
    #[inline]
    pub(crate) fn code_in_sequence(&mut self, bytes: &[u8], slice: Slice) -> u32 {
        let guess = self.next.get(self.last as usize).copied().unwrap_or(0);
        if self.is(bytes, guess, slice) {
            self.last = guess;
            return guess;
        }
        let code = self.search(bytes, slice);
        if self.next.len() <= self.values.len() {
            self.next.resize(self.values.len() + 1, 0);
        }
        if let Some(next) = self.next.get_mut(self.last as usize) {
            *next = code;
        }
        self.last = code;
        code
    }

    #[inline(always)]
    fn is(&self, bytes: &[u8], code: u32, slice: Slice) -> bool {
        match self.values.get((code as usize).wrapping_sub(1)) {
            Some(known) => known.length == slice.length && same(known.of(bytes), slice.of(bytes)),
            None => false,
        }
    }

    fn search(&mut self, bytes: &[u8], slice: Slice) -> u32 {
        if self.values.len() * 2 >= self.slots.len() {
            self.grow(bytes);
        }
        let mask = self.slots.len() - 1;
        let mut at = self.hash(slice.of(bytes)) as usize & mask;
        loop {
            match self.slots[at] {
                0 => {
                    self.values.push(slice);
                    let code = self.values.len() as u32;
                    self.slots[at] = code;
                    return code;
                }
                code if self.is(bytes, code, slice) => return code,
                _ => at = (at + 1) & mask,
            }
        }
    }

    #[cold]
    fn grow(&mut self, bytes: &[u8]) {
        let size = (self.slots.len() * 2).max(FEW * 2);
        self.slots.clear();
        self.slots.resize(size, 0);
        for (index, value) in self.values.iter().enumerate() {
            let mut at = self.hash(value.of(bytes)) as usize & (size - 1);
            while self.slots[at] != 0 {
                at = (at + 1) & (size - 1);
            }
            self.slots[at] = index as u32 + 1;
        }
    }

    /// Depends on all bytes, and on where the dictionary lies in memory, so that nobody can send texts that collide.
    #[inline]
    fn hash(&self, text: &[u8]) -> u64 {
        let seed = (&raw const *self).addr() as u64;
        let mut hash = mix(seed ^ text.len() as u64);
        let Some(end) = text.last_chunk::<8>() else {
            return mix(hash ^ short_word(text));
        };
        let mut rest = text;
        while let Some((word, after)) = rest.split_first_chunk::<8>() {
            hash = mix(hash ^ u64::from_le_bytes(*word));
            rest = after;
        }
        mix(hash ^ u64::from_le_bytes(*end))
    }
}

/// Fewer than eight bytes as one word, read where they overlap rather than copied.
#[inline(always)]
fn short_word(text: &[u8]) -> u64 {
    let word = |bytes: &[u8; 4]| u64::from(u32::from_le_bytes(*bytes));
    match (text.first_chunk(), text.last_chunk(), text) {
        (Some(start), Some(end), _) => word(start) | word(end) << 32,
        (_, _, [first, .., last]) => u64::from(*first) | u64::from(text[text.len() / 2]) << 8 | u64::from(*last) << 16,
        (_, _, [only]) => u64::from(*only),
        _ => 0,
    }
}

#[inline(always)]
fn mix(value: u64) -> u64 {
    let product = u128::from(value ^ FACTOR) * u128::from(FACTOR);
    product as u64 ^ (product >> 64) as u64
}

/// Whether two slices of one length are equal; quicker than a call for the short texts that keys are.
#[inline(always)]
pub(super) fn same(left: &[u8], right: &[u8]) -> bool {
    if left.len() != right.len() {
        return false;
    }
    let (Some(left_end), Some(right_end)) = (left.last_chunk::<8>(), right.last_chunk::<8>()) else {
        return left.iter().zip(right).all(|(left, right)| left == right);
    };
    let mut different = u64::from_le_bytes(*left_end) ^ u64::from_le_bytes(*right_end);
    let (mut left, mut right) = (left, right);
    while let (Some((a, left_rest)), Some((b, right_rest))) =
        (left.split_first_chunk::<8>(), right.split_first_chunk::<8>())
    {
        different |= u64::from_le_bytes(*a) ^ u64::from_le_bytes(*b);
        (left, right) = (left_rest, right_rest);
    }
    different == 0
}

#[cfg(test)]
mod tests {
    use alloc::format;
    use alloc::vec::Vec;

    use super::*;

    #[test]
    fn codes_are_stable_however_many_there_are() {
        let texts: Vec<_> = (0..3000).map(|number| format!("text number {}", number % 1000)).collect();
        let bytes = texts.concat();
        let mut dictionary = Dictionary::default();
        let mut start = 0;
        for (number, text) in texts.iter().enumerate() {
            let slice = Slice::new(start, start + text.len());
            let code = match number % 2 {
                0 => dictionary.code(bytes.as_bytes(), slice),
                _ => dictionary.code_in_sequence(bytes.as_bytes(), slice),
            };
            assert_eq!(code as usize, number % 1000 + 1);
            assert_eq!(dictionary.value(code).map(|value| value.of(bytes.as_bytes())), Some(text.as_bytes()));
            start += text.len();
        }
        assert_eq!(dictionary.values().len(), 1000);
        dictionary.clear();
        assert_eq!(dictionary.code(b"x", Slice::new(0, 1)), 1);
    }

    #[test]
    fn differing_bytes_are_found_everywhere() {
        for length in 0..40 {
            let left = [7; 40];
            assert!(same(&left[..length], &left[..length]));
            for at in 0..length {
                let mut right = left;
                right[at] = 8;
                assert!(!same(&left[..length], &right[..length]), "{at} of {length}");
            }
        }
    }
}
