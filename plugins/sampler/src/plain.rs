//! Rows that have randomness and nothing else of interest: which are kept, and the texts that tell of it.
//!
//! Nearly all batches are such. Each step is a loop by itself, whose few variables the compiler of plugins keeps in
//! registers; one loop for all of them takes twice as long.

use sluice_sdk::{Bitmap, Texts};

use crate::threshold::{DIGITS, Randomness, Threshold};

/// Which rows a threshold keeps: a bit each, and their numbers.
#[inline(never)]
pub(crate) fn keep(threshold: Threshold, drawn: &[Randomness]) -> (Bitmap, Vec<u32>) {
    let (mut rows, mut count) = (vec![0; drawn.len()], 0);
    let words = drawn.chunks(64).enumerate().map(|(number, chunk)| {
        let mut word = 0;
        for (bit, drawn) in chunk.iter().enumerate() {
            // Without a branch: which rows are kept is as good as random.
            let kept = threshold.keeps(*drawn);
            word |= u64::from(kept) << bit;
            rows[count] = (number * 64 + bit) as u32;
            count += usize::from(kept);
        }
        word
    });
    let words = words.collect();
    rows.truncate(count);
    (Bitmap::from_words(words, drawn.len()), rows)
}

/// The same text for each of some rows, but for the digits of their randomness at one place.
#[inline(never)]
pub(crate) fn texts(pattern: &[u8], digits: usize, rows: &[u32], drawn: &[Randomness]) -> Texts {
    let mut bytes = pattern.repeat(rows.len());
    for (text, row) in bytes.chunks_exact_mut(pattern.len()).zip(rows) {
        text[digits..][..DIGITS].copy_from_slice(&drawn[*row as usize].digits());
    }
    let offsets = (0..=rows.len()).map(|row| (row * pattern.len()) as u32).collect();
    Texts { offsets, bytes }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_what_the_threshold_keeps() {
        let threshold = Threshold::from_buckets(0x2000);
        for count in [0, 1, 63, 64, 65, 200] {
            let drawn: Vec<_> =
                (0..count).map(|number: u32| Randomness::from_hash(number.wrapping_mul(2_654_435_769))).collect();
            let (kept, rows) = keep(threshold, &drawn);
            let expected: Vec<u32> = (0..count).filter(|row| threshold.keeps(drawn[*row as usize])).collect();
            assert_eq!(rows, expected);
            assert_eq!(kept.len(), count as usize);
            assert_eq!(kept.iter_ones().map(|row| row as u32).collect::<Vec<_>>(), expected);
        }
    }

    #[test]
    fn writes_the_digits_of_each_row_into_the_same_text() {
        let drawn = [1, 2, 3].map(Randomness::from_hash);
        let texts = texts(b"rv:01234567890123;th:8", 3, &[0, 2], &drawn);
        let text = |drawn: Randomness| format!("rv:{};th:8", String::from_utf8_lossy(&drawn.digits()));
        assert_eq!(texts.offsets, [0, 22, 44]);
        assert_eq!(String::from_utf8_lossy(&texts.bytes), text(drawn[0]) + &text(drawn[2]));
    }
}
