//! Reads fields of protobuf messages one after the other, and stops at the first that makes no sense.

pub(crate) mod keys;

/// Wire type of varints.
pub(crate) const VARINT: u32 = 0;
/// Wire type of eight bytes.
pub(crate) const I64: u32 = 1;
/// Wire type of what has a length: strings, bytes, messages, packed numbers.
pub(crate) const LEN: u32 = 2;
/// Wire type of four bytes.
pub(crate) const I32: u32 = 5;

/// The key of a varint field.
pub(crate) const fn varint_key(number: u32) -> u32 {
    number << 3 | VARINT
}

/// The key of a field of eight bytes.
pub(crate) const fn i64_key(number: u32) -> u32 {
    number << 3 | I64
}

/// The key of a field with a length.
pub(crate) const fn len_key(number: u32) -> u32 {
    number << 3 | LEN
}

/// The key of a field of four bytes.
pub(crate) const fn i32_key(number: u32) -> u32 {
    number << 3 | I32
}

/// One field of a message. Offsets count from the start of the cursor's bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Item {
    /// Field number and wire type.
    pub(crate) key: u32,
    /// Where the key starts.
    pub(crate) at: usize,
    /// Where the content starts.
    pub(crate) start: usize,
    /// First byte after the content.
    pub(crate) end: usize,
    /// The number, unless the field has a length.
    pub(crate) scalar: u64,
}

/// A position in a message.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    /// Reads all of `bytes`.
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// Reads `bytes[at..end]`, with offsets that count from the start of `bytes`.
    #[inline(always)]
    pub(crate) fn within(bytes: &'a [u8], at: usize, end: usize) -> Self {
        Self { bytes: bytes.get(..end).unwrap_or_default(), at }
    }

    /// The next byte's offset.
    #[inline(always)]
    pub(crate) fn at(&self) -> usize {
        self.at
    }

    /// The next byte, without going on.
    #[inline(always)]
    pub(crate) fn byte(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    /// Leaves out some bytes.
    #[inline(always)]
    pub(crate) fn skip(&mut self, bytes: usize) {
        self.at += bytes;
    }

    /// Goes on at an offset.
    #[inline(always)]
    pub(crate) fn go(&mut self, to: usize) {
        self.at = to;
    }

    /// Reads a length and says where the content ends.
    #[inline(always)]
    pub(crate) fn content(&mut self) -> Option<usize> {
        let length = self.length()?;
        let left = self.bytes.len().checked_sub(self.at)?;
        if length > left as u64 {
            return self.stop();
        }
        Some(self.at + length as usize)
    }

    /// The content of the next field, if that has this key, and a length, both of one byte.
    #[inline(always)]
    pub(crate) fn short(&mut self, key: u32) -> Option<&'a [u8]> {
        match self.bytes.get(self.at..) {
            Some([first, length @ 0..0x80, rest @ ..]) if u32::from(*first) == key => {
                let content = rest.get(..usize::from(*length))?;
                self.at += 2 + content.len();
                Some(content)
            }
            _ => None,
        }
    }

    /// The next field; none at the end and at what is no valid field.
    #[inline(always)]
    pub(crate) fn item(&mut self) -> Option<Item> {
        let at = self.at;
        let key = self.key()?;
        let (scalar, start) = match key & 7 {
            LEN => {
                let length = self.length()?;
                let start = self.at;
                let end = usize::try_from(length).ok().and_then(|length| start.checked_add(length))?;
                if end > self.bytes.len() {
                    return self.stop();
                }
                self.at = end;
                return Some(Item { key, at, start, end, scalar: 0 });
            }
            VARINT => {
                let start = self.at;
                (self.varint()?, start)
            }
            I64 => (self.fixed64()?, self.at - 8),
            I32 => (u64::from(self.fixed32()?), self.at - 4),
            _ => return self.stop(),
        };
        Some(Item { key, at, start, end: self.at, scalar })
    }

    /// The next field's key.
    #[inline(always)]
    pub(crate) fn key(&mut self) -> Option<u32> {
        match u32::try_from(self.varint()?) {
            Ok(key) if key >= 8 => Some(key),
            _ => self.stop(),
        }
    }

    /// The next varint.
    #[inline(always)]
    pub(crate) fn varint(&mut self) -> Option<u64> {
        let first = *self.bytes.get(self.at)?;
        if first < 0x80 {
            self.at += 1;
            return Some(u64::from(first));
        }
        match wide_varint(self.bytes, self.at) {
            Some((value, width)) => {
                self.at += width;
                Some(value)
            }
            None => self.stop(),
        }
    }

    /// The next varint, which has one or two bytes if it is the length of a record: then there is no call.
    #[inline(always)]
    fn length(&mut self) -> Option<u64> {
        let first = *self.bytes.get(self.at)?;
        if first < 0x80 {
            self.at += 1;
            return Some(u64::from(first));
        }
        match self.bytes.get(self.at + 1) {
            Some(high @ 0..0x80) => {
                self.at += 2;
                Some(u64::from(first & 0x7f) | u64::from(*high) << 7)
            }
            _ => self.varint(),
        }
    }

    #[inline(always)]
    pub(crate) fn fixed64(&mut self) -> Option<u64> {
        match self.bytes.get(self.at..).and_then(|rest| rest.first_chunk()) {
            Some(bytes) => {
                self.at += 8;
                Some(u64::from_le_bytes(*bytes))
            }
            None => self.stop(),
        }
    }

    #[inline(always)]
    pub(crate) fn fixed32(&mut self) -> Option<u32> {
        match self.bytes.get(self.at..).and_then(|rest| rest.first_chunk()) {
            Some(bytes) => {
                self.at += 4;
                Some(u32::from_le_bytes(*bytes))
            }
            None => self.stop(),
        }
    }

    /// Ends the reading, so that a caller that asks again gets nothing.
    #[inline(always)]
    fn stop<T>(&mut self) -> Option<T> {
        self.at = self.bytes.len();
        None
    }
}

/// A varint of several bytes, and how many. It has no reference to a cursor, so that this stays in registers.
#[inline(never)]
fn wide_varint(bytes: &[u8], at: usize) -> Option<(u64, usize)> {
    match bytes.get(at..)? {
        [low, high @ 0..0x80, ..] => Some((u64::from(low & 0x7f) | u64::from(*high) << 7, 2)),
        rest => long_varint(rest),
    }
}

/// Decodes a varint and says how many bytes it has; none if it is cut off or holds more than 64 bits.
pub(crate) fn long_varint(bytes: &[u8]) -> Option<(u64, usize)> {
    let mut value = 0u64;
    for (index, &byte) in bytes.iter().take(10).enumerate() {
        if index == 9 && byte > 1 {
            return None;
        }
        value |= u64::from(byte & 0x7f) << (7 * index);
        if byte < 0x80 {
            return Some((value, index + 1));
        }
    }
    None
}

/// Key length and value of a `KeyValue` in plain form: a key, then a value, with lengths below 128 and nothing else.
#[inline(always)]
pub(crate) fn plain_pair(pair: &[u8]) -> Option<(u8, &[u8])> {
    let [0x0a, key_length @ 0..0x80, rest @ ..] = pair else {
        return None;
    };
    let [0x12, value_length @ 0..0x80, value @ ..] = rest.get(usize::from(*key_length)..)? else {
        return None;
    };
    (value.len() == usize::from(*value_length)).then_some((*key_length, value))
}

/// How many bytes a varint takes.
#[inline(always)]
pub(crate) fn varint_width(value: u64) -> usize {
    // Seven bits a byte; zero takes one.
    ((70 - (value | 1).leading_zeros()) / 7) as usize
}

/// Puts the bytes of a varint into `buffer` and says how many they are.
#[inline(always)]
pub(crate) fn encode_varint(mut value: u64, buffer: &mut [u8; 10]) -> usize {
    let mut width = 0;
    for slot in buffer.iter_mut() {
        width += 1;
        if value < 0x80 {
            *slot = value as u8;
            break;
        }
        *slot = value as u8 | 0x80;
        value >>= 7;
    }
    width
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn varints_keep_their_value_at_every_width() {
        for shift in 0..64 {
            for value in [1u64 << shift, (1u64 << shift) - 1, u64::MAX >> shift] {
                let mut buffer = [0; 10];
                let width = encode_varint(value, &mut buffer);
                assert_eq!(width, varint_width(value), "{value}");
                assert_eq!(long_varint(&buffer[..width]), Some((value, width)));
                assert_eq!(long_varint(&buffer[..width - 1]), None, "{value} cut off");
            }
        }
    }

    #[test]
    fn refuses_varints_over_64_bits() {
        assert_eq!(long_varint(&[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1]), Some((u64::MAX, 10)));
        assert_eq!(long_varint(&[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2]), None);
        assert_eq!(long_varint(&[0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0]), None);
    }

    #[test]
    fn stops_for_good_at_nonsense() {
        for bytes in [&[0x0bu8, 0x08, 1][..], &[0x07, 0x08, 1], &[0x0a, 9, 1], &[0x09, 1, 2], &[0x0d, 1], &[0, 1]] {
            let mut cursor = Cursor::new(bytes);
            assert!(cursor.item().is_none(), "{bytes:?}");
            assert!(cursor.item().is_none(), "{bytes:?} again");
        }
    }
}
