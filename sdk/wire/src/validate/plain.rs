//! Tells plain ASCII, and pairs in plain form, from the rest as fast as safe code can: nearly all telemetry is plain.

use crate::cursor::plain_pair;

const HIGH_BITS: u64 = 0x8080_8080_8080_8080;

/// Whether all bytes are ASCII.
#[inline(always)]
pub(super) fn is_ascii(bytes: &[u8]) -> bool {
    if let Some(last) = bytes.last_chunk::<WIDE>() {
        return is_ascii_wide(bytes, last);
    }
    let Some(last) = bytes.last_chunk::<8>() else {
        return bytes.iter().fold(0, |seen, byte| seen | byte) < 0x80;
    };
    // The last eight bytes overlap with the words before them, so there is no tail to loop over.
    let mut seen = u64::from_le_bytes(*last);
    let mut rest = bytes;
    while let Some((word, after)) = rest.split_first_chunk::<8>() {
        seen |= u64::from_le_bytes(*word);
        rest = after;
    }
    seen & HIGH_BITS == 0
}

/// So many bytes at once make the compiler use the widest registers that every x86-64 and AArch64 has.
const WIDE: usize = 32;

#[inline(always)]
fn is_ascii_wide(bytes: &[u8], last: &[u8; WIDE]) -> bool {
    let mut seen = *last;
    let (chunks, _) = bytes.as_chunks::<WIDE>();
    for chunk in chunks {
        seen.iter_mut().zip(chunk).for_each(|(seen, byte)| *seen |= byte);
    }
    seen.iter().fold(0, |all, byte| all | byte) < 0x80
}

/// Checks text that may be more than ASCII; on failure says how many bytes of it are valid.
#[cold]
pub(super) fn check(bytes: &[u8]) -> Result<(), usize> {
    core::str::from_utf8(bytes).map(|_| ()).map_err(|error| error.valid_up_to())
}

/// The value of a pair whose form is plain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Value {
    /// The pair is valid if all of it is ASCII.
    Text,
    /// The pair is valid if so many of its bytes are ASCII.
    Number(usize),
}

/// Looks at the form of a pair: key, then a text or a number, with all lengths below 128 and nothing else.
#[inline(always)]
pub(super) fn value(pair: &[u8]) -> Option<Value> {
    let (key_length, value) = plain_pair(pair)?;
    let is_valid = match value {
        [0x0a, length, text @ ..] => return (text.len() == usize::from(*length)).then_some(Value::Text),
        [0x10 | 0x18, number @ ..] => is_varint(number),
        [0x21, number @ ..] => number.len() == 8,
        _ => false,
    };
    is_valid.then_some(Value::Number(usize::from(key_length) + 2))
}

/// Whether the bytes are one varint of at most nine bytes.
#[inline(always)]
fn is_varint(bytes: &[u8]) -> bool {
    match bytes {
        [last] => *last < 0x80,
        [first, last] => *first >= 0x80 && *last < 0x80,
        [first @ .., last] => bytes.len() < 10 && *last < 0x80 && first.iter().all(|&byte| byte >= 0x80),
        [] => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_a_high_byte_at_every_position_of_every_length() {
        for length in 0..100 {
            let mut bytes = [b'a'; 100];
            assert!(is_ascii(&bytes[..length]));
            for at in 0..length {
                bytes[at] = 0x80;
                assert!(!is_ascii(&bytes[..length]), "{at} of {length}");
                bytes[at] = b'a';
            }
        }
    }

    #[test]
    fn pairs_are_plain_exactly_in_canonical_form() {
        let cases: &[(&[u8], bool)] = &[
            (b"\x0a\x01k\x12\x03\x0a\x01v", true),
            (b"\x0a\x00\x12\x02\x0a\x00", true),
            (b"\x0a\x01k\x12\x02\x10\x01", true),
            (b"\x0a\x01k\x12\x03\x18\xc8\x01", true),
            (b"\x0a\x01k\x12\x09\x21\x00\x00\x00\x00\x00\x00\xf0\x3f", true),
            (b"\x0a\x01k\x12\x00", false),
            (b"\x0a\x01k\x12\x03\x18\xc8\x81", false),
            (b"\x0a\x01k\x12\x03\x0a\x02v", false),
            (b"\x0a\x01k\x12\x04\x0a\x01v", false),
            (b"\x0a\x01k\x12\x03\x0a\x01v\x18\x01", false),
            (b"\x12\x03\x0a\x01v\x0a\x01k", false),
            (b"\x0a\x01k", false),
            (b"", false),
        ];
        for (pair, plain) in cases {
            assert_eq!(value(pair).is_some(), *plain, "{pair:02x?}");
        }
    }
}
