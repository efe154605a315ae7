//! Output that is copied in runs as long as possible, with lengths that are filled in afterwards.

use alloc::borrow::Cow;
use alloc::vec::Vec;

use crate::cursor::{Item, encode_varint, len_key, varint_width};

/// A request in the making.
#[derive(Debug)]
pub(crate) struct Out<'a> {
    source: &'a [u8],
    written: Vec<u8>,
    /// A range of the source that is still to be copied behind what is written.
    run_start: usize,
    run_end: usize,
    pub(crate) records: u32,
}

/// A varint from 0x80 to 0x3FFF: all in registers, while a varint of any width goes through a buffer.
#[inline(always)]
fn two_bytes(value: u64) -> [u8; 2] {
    [value as u8 | 0x80, (value >> 7) as u8]
}

/// An open message: where its content starts, and how many bytes stand before it for the length.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Mark {
    start: usize,
    width: usize,
}

impl<'a> Out<'a> {
    pub(crate) fn new(source: &'a [u8], capacity: usize) -> Self {
        Self { source, written: Vec::with_capacity(capacity), run_start: 0, run_end: 0, records: 0 }
    }

    /// Appends a range of the source.
    #[inline(always)]
    pub(crate) fn copy(&mut self, start: usize, end: usize) {
        if start == self.run_end {
            self.run_end = end;
            return;
        }
        self.flush();
        (self.run_start, self.run_end) = (start, end);
    }

    /// Appends a range of the source in which some bytes become others.
    pub(crate) fn copy_changed<const N: usize>(&mut self, start: usize, end: usize, changes: [(usize, u8); N]) {
        self.copy(start, end);
        self.flush();
        let written = self.written.len();
        for (at, byte) in changes {
            if let Some(slot) = self.written.get_mut(written + at - end) {
                *slot = byte;
            }
        }
    }

    /// Appends other bytes.
    #[inline(always)]
    pub(crate) fn put(&mut self, bytes: &[u8]) {
        self.flush();
        self.written.extend_from_slice(bytes);
    }

    /// Appends a varint.
    #[inline(always)]
    pub(crate) fn put_varint(&mut self, value: u64) {
        self.flush();
        if value < 0x80 {
            return self.written.push(value as u8);
        }
        if value < 0x4000 {
            return self.written.extend_from_slice(&two_bytes(value));
        }
        let mut buffer = [0; 10];
        let width = encode_varint(value, &mut buffer);
        self.written.extend_from_slice(&buffer[..width]);
    }

    /// Appends a field with a length.
    pub(crate) fn put_field(&mut self, number: u32, content: &[u8]) {
        self.put_varint(u64::from(len_key(number)));
        self.put_varint(content.len() as u64);
        self.written.extend_from_slice(content);
    }

    /// Opens a message in place of one of the source; its length will probably take as many bytes as it did there.
    #[inline]
    pub(crate) fn open(&mut self, item: &Item) -> Mark {
        self.open_key(item.key, varint_width((item.end - item.start) as u64))
    }

    /// Opens a message whose length will probably take `width` bytes.
    #[inline]
    pub(crate) fn open_key(&mut self, key: u32, width: usize) -> Mark {
        self.put_varint(u64::from(key));
        match width {
            1 => self.written.push(0),
            2 => self.written.extend_from_slice(&[0; 2]),
            _ => self.written.extend_from_slice(&[0; 10][..width]),
        }
        Mark { start: self.written.len(), width }
    }

    /// Closes the message that was opened last.
    #[inline]
    pub(crate) fn close(&mut self, mark: Mark) {
        self.flush();
        let length = self.written.len() - mark.start;
        if mark.width == 2 && (0x80..0x4000).contains(&length) {
            self.written[mark.start - 2..mark.start].copy_from_slice(&two_bytes(length as u64));
            return;
        }
        let mut buffer = [0; 10];
        let width = encode_varint(length as u64, &mut buffer);
        if width != mark.width {
            self.shift(mark, width);
        }
        let at = mark.start - mark.width;
        self.written[at..at + width].copy_from_slice(&buffer[..width]);
    }

    /// Closes the message that was opened last; one without content is taken back.
    pub(crate) fn close_unless_empty(&mut self, key: u32, mark: Mark) {
        self.flush();
        if self.written.len() == mark.start {
            let key_width = crate::cursor::varint_width(u64::from(key));
            return self.written.truncate(mark.start - mark.width - key_width);
        }
        self.close(mark);
    }

    /// Makes room of another width for the length of a message.
    #[cold]
    fn shift(&mut self, mark: Mark, width: usize) {
        let end = self.written.len();
        if width > mark.width {
            self.written.resize(end + width - mark.width, 0);
        }
        self.written.copy_within(mark.start..end, mark.start - mark.width + width);
        self.written.truncate(end - mark.width + width);
    }

    /// How long the request is so far.
    pub(crate) fn len(&self) -> usize {
        self.written.len() + self.run_end - self.run_start
    }

    #[inline(always)]
    fn flush(&mut self) {
        if self.run_start < self.run_end {
            self.copy_run();
        }
    }

    fn copy_run(&mut self) {
        self.written.extend_from_slice(self.source.get(self.run_start..self.run_end).unwrap_or_default());
        self.run_start = self.run_end;
    }

    /// The request; borrowed if it is a piece of the source.
    pub(crate) fn finish(mut self) -> Cow<'a, [u8]> {
        if self.written.is_empty() {
            return Cow::Borrowed(self.source.get(self.run_start..self.run_end).unwrap_or_default());
        }
        self.flush();
        Cow::Owned(self.written)
    }
}
