//! Finds key and value in the content of a `KeyValue`, quickly where it has the form that every encoder writes.

use crate::cursor::Cursor;
use crate::cursor::keys::{I64_4, LEN_1, LEN_2, LEN_5, LEN_6, LEN_7, VARINT_2, VARINT_3, VARINT_8};
use crate::field::ValueKind;

use super::Slice;
use super::store::Raw;

/// A key with its value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Pair {
    pub(crate) key: Slice,
    pub(crate) value: Raw,
}

/// Parses `bytes[start..end]`. Arrays and maps stay encoded, as content of an `AnyValue`.
#[inline(always)]
pub(crate) fn parse_pair(bytes: &[u8], start: usize, end: usize) -> Pair {
    match plain_pair(bytes.get(start..end).unwrap_or_default(), start) {
        Some(pair) => pair,
        None => any_pair(bytes, start, end),
    }
}

/// The key of a pair that is a short key and one value, in this order; another key could come later in any other.
#[inline(always)]
pub(crate) fn plain_key(pair: &[u8]) -> Option<&[u8]> {
    let [0x0a, length @ 0..0x80, rest @ ..] = pair else {
        return None;
    };
    let (key, value) = rest.split_at_checked(usize::from(*length))?;
    let is_whole = match value {
        [0x12, length @ 0..0x80, value @ ..] => value.len() == usize::from(*length),
        [0x12, low @ 0x80..=0xff, high @ 0..0x80, value @ ..] => {
            value.len() == usize::from(low & 0x7f) | usize::from(*high) << 7
        }
        _ => false,
    };
    is_whole.then_some(key)
}

/// A pair in canonical form with a short value of text or a number.
#[inline(always)]
pub(super) fn plain_pair(pair: &[u8], start: usize) -> Option<Pair> {
    let (key_length, value) = crate::cursor::plain_pair(pair)?;
    let value = match value {
        [0x0a, length, text @ ..] if text.len() == usize::from(*length) => {
            let end = start + pair.len();
            Raw::text(Slice::new(end - text.len(), end))
        }
        [0x18, number @ 0..0x80] => Raw { kind: ValueKind::Integer, bits: u64::from(*number) },
        [0x18, low @ 0x80..=0xff, high @ 0..0x80] => {
            Raw { kind: ValueKind::Integer, bits: u64::from(low & 0x7f) | u64::from(*high) << 7 }
        }
        [0x10, truth @ 0..=1] => Raw { kind: ValueKind::Boolean, bits: u64::from(*truth) },
        _ => return None,
    };
    Some(Pair { key: Slice { start: start as u32 + 2, length: u32::from(key_length) }, value })
}

#[inline(never)]
fn any_pair(bytes: &[u8], start: usize, end: usize) -> Pair {
    let mut pair = Pair { key: Slice::new(start, start), value: Raw { kind: ValueKind::Empty, bits: 0 } };
    let mut cursor = Cursor::within(bytes, start, end);
    while let Some(item) = cursor.item() {
        match item.key {
            LEN_1 => pair.key = Slice::new(item.start, item.end),
            LEN_2 => {
                if let Some(value) = parse_value(bytes, item.start, item.end) {
                    pair.value = value;
                }
            }
            _ => {}
        }
    }
    pair
}

/// The last member of the `AnyValue` whose content is `bytes[start..end]`. Several arrays, or several maps, one right
/// after the other count as one.
#[inline]
pub(crate) fn parse_value(bytes: &[u8], start: usize, end: usize) -> Option<Raw> {
    let mut found = None;
    let (mut last_key, mut run_start) = (0, 0);
    let mut cursor = Cursor::within(bytes, start, end);
    while let Some(item) = cursor.item() {
        if item.key != last_key && (1..=8).contains(&(item.key >> 3)) {
            (last_key, run_start) = (item.key, item.at);
        }
        let content = Slice::new(item.start, item.end).pack();
        let run = Slice::new(run_start, item.end).pack();
        let (kind, bits) = match item.key {
            LEN_1 => (ValueKind::Text, content),
            VARINT_2 => (ValueKind::Boolean, u64::from(item.scalar != 0)),
            VARINT_3 => (ValueKind::Integer, item.scalar),
            I64_4 => (ValueKind::Double, item.scalar),
            LEN_5 => (ValueKind::Array, run),
            LEN_6 => (ValueKind::Map, run),
            LEN_7 => (ValueKind::Bytes, content),
            VARINT_8 => (ValueKind::Empty, 0),
            _ => continue,
        };
        found = Some(Raw { kind, bits });
    }
    found
}
