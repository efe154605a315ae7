//! Iterates over the fields of one message, or of several occurrences of one as if they were merged.

use core::marker::PhantomData;

use crate::cursor::{Cursor, i64_key, len_key, varint_key};

/// One field with its content.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Piece<'a> {
    pub(crate) key: u32,
    pub(crate) scalar: u64,
    pub(crate) bytes: &'a [u8],
}

/// A message; `wrapper` is 0, or the key under which it stands several times in `bytes`.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Message<'a> {
    bytes: &'a [u8],
    wrapper: u32,
}

impl<'a> Message<'a> {
    /// All of these bytes.
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, wrapper: 0 }
    }

    /// All fields with this key in `parent`, merged.
    pub(crate) fn merged(parent: &'a [u8], wrapper: u32) -> Self {
        Self { bytes: parent, wrapper }
    }

    pub(crate) fn fields(&self) -> Fields<'a> {
        let all = Cursor::new(self.bytes);
        match self.wrapper {
            0 => Fields { bytes: self.bytes, inner: all, ..Fields::default() },
            wrapper => Fields { parent: self.bytes, outer: all, wrapper, ..Fields::default() },
        }
    }

    /// The messages in this field.
    pub(crate) fn each<T>(&self, number: u32) -> Each<'a, T> {
        Each { fields: self.fields(), key: len_key(number), view: PhantomData }
    }
}

/// A singular message field, seen so far never, once or several times.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Singular<'a>(Option<Message<'a>>);

impl<'a> Singular<'a> {
    /// Takes note of another occurrence under `key` in `parent`.
    pub(crate) fn see(&mut self, parent: &'a [u8], piece: &Piece<'a>) {
        self.0 = Some(match self.0 {
            None => Message::new(piece.bytes),
            Some(_) => Message::merged(parent, piece.key),
        });
    }

    pub(crate) fn message(&self) -> Option<Message<'a>> {
        self.0
    }
}

/// Iterates over fields.
#[derive(Clone, Debug, Default)]
pub(crate) struct Fields<'a> {
    parent: &'a [u8],
    outer: Cursor<'a>,
    wrapper: u32,
    bytes: &'a [u8],
    inner: Cursor<'a>,
}

impl<'a> Iterator for Fields<'a> {
    type Item = Piece<'a>;

    #[inline]
    fn next(&mut self) -> Option<Piece<'a>> {
        loop {
            if let Some(item) = self.inner.item() {
                let bytes = self.bytes.get(item.start..item.end).unwrap_or_default();
                return Some(Piece { key: item.key, scalar: item.scalar, bytes });
            }
            if self.wrapper == 0 {
                return None;
            }
            let item = self.outer.item()?;
            if item.key == self.wrapper {
                self.bytes = self.parent.get(item.start..item.end).unwrap_or_default();
                self.inner = Cursor::new(self.bytes);
            }
        }
    }
}

/// Iterates over the messages in a repeated field.
#[derive(Clone, Debug)]
pub struct Each<'a, T> {
    fields: Fields<'a>,
    key: u32,
    view: PhantomData<T>,
}

impl<T> Default for Each<'_, T> {
    fn default() -> Self {
        Self { fields: Fields::default(), key: 0, view: PhantomData }
    }
}

impl<'a, T: From<&'a [u8]>> Iterator for Each<'a, T> {
    type Item = T;

    #[inline]
    fn next(&mut self) -> Option<T> {
        loop {
            let piece = self.fields.next()?;
            if piece.key == self.key {
                return Some(T::from(piece.bytes));
            }
        }
    }
}

/// Where the occurrences of a repeated field lie in a message.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Extent {
    start: usize,
    end: usize,
}

impl Extent {
    /// Takes note of an occurrence.
    #[inline]
    pub(crate) fn see(&mut self, at: usize, end: usize) {
        if self.end == 0 {
            self.start = at;
        }
        self.end = end;
    }

    /// The part of the message from the first occurrence to the last.
    pub(crate) fn of<'a>(&self, bytes: &'a [u8]) -> Message<'a> {
        Message::new(bytes.get(self.start..self.end).unwrap_or_default())
    }
}

/// Iterates over the texts of a repeated field.
#[derive(Clone, Debug)]
pub struct Texts<'a> {
    fields: Fields<'a>,
    key: u32,
}

impl<'a> Texts<'a> {
    pub(crate) fn new(message: Message<'a>, number: u32) -> Self {
        Self { fields: message.fields(), key: len_key(number) }
    }
}

impl<'a> Iterator for Texts<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        let key = self.key;
        self.fields.find(|piece| piece.key == key).map(|piece| text(piece.bytes))
    }
}

/// Iterates over unsigned numbers of a repeated field, packed or not.
#[derive(Clone, Debug)]
pub struct Unsigned<'a> {
    fields: Fields<'a>,
    number: u32,
    fixed: bool,
    packed: Cursor<'a>,
    chunks: core::slice::ChunksExact<'a, u8>,
}

impl<'a> Unsigned<'a> {
    /// Numbers of eight bytes each.
    pub(crate) fn fixed(message: Message<'a>, number: u32) -> Self {
        Self { fields: message.fields(), number, fixed: true, packed: Cursor::default(), chunks: [].chunks_exact(8) }
    }

    /// Varints.
    pub(crate) fn varints(message: Message<'a>, number: u32) -> Self {
        Self { fixed: false, ..Self::fixed(message, number) }
    }
}

impl Iterator for Unsigned<'_> {
    type Item = u64;

    fn next(&mut self) -> Option<u64> {
        loop {
            if let Some(value) = self.packed.varint() {
                return Some(value);
            }
            if let Some(chunk) = self.chunks.next().and_then(|chunk| chunk.first_chunk()) {
                return Some(u64::from_le_bytes(*chunk));
            }
            let piece = self.fields.next()?;
            let single = if self.fixed { i64_key(self.number) } else { varint_key(self.number) };
            if piece.key == single {
                return Some(piece.scalar);
            }
            if piece.key == len_key(self.number) {
                match self.fixed {
                    true => self.chunks = piece.bytes.chunks_exact(8),
                    false => self.packed = Cursor::new(piece.bytes),
                }
            }
        }
    }
}

/// Iterates over floating point numbers of a repeated field, packed or not.
#[derive(Clone, Debug)]
pub struct Doubles<'a>(pub(crate) Unsigned<'a>);

impl Iterator for Doubles<'_> {
    type Item = f64;

    fn next(&mut self) -> Option<f64> {
        self.0.next().map(f64::from_bits)
    }
}

/// The text in these bytes; empty if it isn't UTF-8.
#[inline]
pub(crate) fn text(bytes: &[u8]) -> &str {
    core::str::from_utf8(bytes).unwrap_or_default()
}

/// An id; none if all its bytes are zero, which W3C Trace Context and OTLP call invalid.
#[inline]
pub(crate) fn id(bytes: &[u8]) -> &[u8] {
    if bytes.iter().all(|byte| *byte == 0) { &[] } else { bytes }
}
