//! Tells plain ASCII from the rest as fast as safe code can, since nearly all text in telemetry is short and ASCII.

const HIGH_BITS: u64 = 0x8080_8080_8080_8080;

/// Whether all bytes are ASCII.
#[inline(always)]
pub(super) fn is_ascii(bytes: &[u8]) -> bool {
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

/// Checks text that may be more than ASCII; on failure says how many bytes of it are valid.
#[cold]
pub(super) fn check(bytes: &[u8]) -> Result<(), usize> {
    core::str::from_utf8(bytes).map(|_| ()).map_err(|error| error.valid_up_to())
}

/// Whether the content of a `KeyValue` is certainly valid: key and value in canonical form, ASCII, no nesting.
#[inline(always)]
pub(super) fn is_plain_pair(pair: &[u8]) -> bool {
    let [0x0a, key_length @ 0..0x80, rest @ ..] = pair else {
        return false;
    };
    let Some([0x12, value_length @ 0..0x80, value @ ..]) = rest.get(usize::from(*key_length)..) else {
        return false;
    };
    if value.len() != usize::from(*value_length) {
        return false;
    }
    match value {
        // With all lengths below 128 the pair as a whole is ASCII if both of its texts are.
        [0x0a, length, text @ ..] => text.len() == usize::from(*length) && is_ascii(pair),
        [0x10 | 0x18, number @ ..] => is_varint(number) && is_ascii(&rest[..usize::from(*key_length)]),
        [0x21, number @ ..] => number.len() == 8 && is_ascii(&rest[..usize::from(*key_length)]),
        _ => false,
    }
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
        for length in 0..40 {
            let mut bytes = [b'a'; 40];
            assert!(is_ascii(&bytes[..length]));
            for at in 0..length {
                bytes[at] = 0x80;
                assert!(!is_ascii(&bytes[..length]), "{at} of {length}");
                bytes[at] = b'a';
            }
        }
    }

    #[test]
    fn plain_pairs_are_exactly_the_canonical_ones() {
        let cases: &[(&[u8], bool)] = &[
            (b"\x0a\x01k\x12\x03\x0a\x01v", true),
            (b"\x0a\x00\x12\x02\x0a\x00", true),
            (b"\x0a\x01k\x12\x02\x10\x01", true),
            (b"\x0a\x01k\x12\x03\x18\xc8\x01", true),
            (b"\x0a\x01k\x12\x09\x21\x00\x00\x00\x00\x00\x00\xf0\x3f", true),
            (b"\x0a\x01k\x12\x00", false),
            (b"\x0a\x01k\x12\x03\x18\xc8\x81", false),
            (b"\x0a\x01k\x12\x04\x0a\x02\xc3\xa4", false),
            (b"\x0a\x02\xc3\xa4\x12\x02\x10\x01", false),
            (b"\x0a\x01k\x12\x03\x0a\x02v", false),
            (b"\x0a\x01k\x12\x04\x0a\x01v", false),
            (b"\x0a\x01k\x12\x03\x0a\x01v\x18\x01", false),
            (b"\x12\x03\x0a\x01v\x0a\x01k", false),
            (b"\x0a\x01k", false),
            (b"", false),
        ];
        for (pair, plain) in cases {
            assert_eq!(is_plain_pair(pair), *plain, "{pair:02x?}");
        }
    }
}
