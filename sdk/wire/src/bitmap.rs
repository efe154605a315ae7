//! Bitmaps of 64-bit words: bit `i % 64` of word `i / 64`.

use alloc::vec;
use alloc::vec::Vec;

/// How many words hold this many bits.
pub(crate) fn words(bits: usize) -> usize {
    bits.div_ceil(64)
}

/// A bitmap with all bits set, and none beyond.
pub(crate) fn full(bits: usize) -> Vec<u64> {
    let mut bitmap = vec![u64::MAX; words(bits)];
    trim(&mut bitmap, bits);
    bitmap
}

/// Clears the bits beyond.
pub(crate) fn trim(bitmap: &mut [u64], bits: usize) {
    if let Some(last) = bitmap.last_mut()
        && !bits.is_multiple_of(64)
    {
        *last &= (1 << (bits % 64)) - 1;
    }
}

/// Whether a bit is set; those beyond the end are not.
#[inline(always)]
pub(crate) fn get(bitmap: &[u64], bit: usize) -> bool {
    bitmap.get(bit / 64).is_some_and(|word| word >> (bit % 64) & 1 == 1)
}

/// Sets a bit, unless it is beyond the end.
#[inline(always)]
pub(crate) fn set(bitmap: &mut [u64], bit: usize) {
    if let Some(word) = bitmap.get_mut(bit / 64) {
        *word |= 1 << (bit % 64);
    }
}

/// Whether any bit in a range is set.
pub(crate) fn any(bitmap: &[u64], from: usize, to: usize) -> bool {
    count(bitmap, from, to, |word| word != 0) != 0
}

/// Whether all bits in a range are set.
pub(crate) fn all(bitmap: &[u64], from: usize, to: usize) -> bool {
    ones(bitmap, from, to) == to.saturating_sub(from)
}

/// How many bits in a range are set.
pub(crate) fn ones(bitmap: &[u64], from: usize, to: usize) -> usize {
    let mut ones = 0;
    for_words(bitmap, from, to, |word| ones += word.count_ones() as usize);
    ones
}

fn count(bitmap: &[u64], from: usize, to: usize, of: impl Fn(u64) -> bool) -> usize {
    let mut count = 0;
    for_words(bitmap, from, to, |word| count += usize::from(of(word)));
    count
}

fn for_words(bitmap: &[u64], from: usize, to: usize, mut visit: impl FnMut(u64)) {
    if from >= to {
        return;
    }
    let (first, last) = (from / 64, (to - 1) / 64);
    for (index, &word) in bitmap.iter().enumerate().take(last + 1).skip(first) {
        let mut word = word;
        if index == first {
            word &= u64::MAX << (from % 64);
        }
        if index == last {
            word &= u64::MAX >> (63 - (to - 1) % 64);
        }
        visit(word);
    }
}

/// Iterates over the bits that are set.
pub(crate) fn iter(bitmap: &[u64]) -> impl Iterator<Item = usize> + '_ {
    bitmap.iter().enumerate().flat_map(|(index, &word)| {
        let mut rest = word;
        core::iter::from_fn(move || {
            if rest == 0 {
                return None;
            }
            let bit = rest.trailing_zeros() as usize;
            rest &= rest - 1;
            Some(index * 64 + bit)
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_see_their_own_bits_only() {
        for set_bit in 0..130 {
            let mut bitmap = vec![0; words(130)];
            set(&mut bitmap, set_bit);
            for from in 0..=130 {
                for to in from..=130 {
                    let inside = (from..to).contains(&set_bit);
                    assert_eq!(any(&bitmap, from, to), inside, "{set_bit} in {from}..{to}");
                    assert_eq!(ones(&bitmap, from, to), usize::from(inside));
                }
            }
        }
    }

    #[test]
    fn full_bitmaps_end_where_they_should() {
        for bits in [0, 1, 63, 64, 65, 128, 129] {
            let bitmap = full(bits);
            assert_eq!(iter(&bitmap).count(), bits);
            assert!(all(&bitmap, 0, bits));
            assert!(!get(&bitmap, bits));
        }
    }
}
