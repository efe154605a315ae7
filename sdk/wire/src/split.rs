//! Joins requests, and splits one at the boundaries of resources, scopes, metrics and records.

use alloc::borrow::Cow;
use alloc::vec;
use alloc::vec::Vec;

use crate::Signal;
use crate::columns::{data_message, first_data};
use crate::cursor::{Cursor, Item, len_key};
use crate::schema;
use crate::splice::{Mark, Out};

/// What a length may grow by when a message is filled in anew: a `u32` takes five bytes.
const LENGTH_SLACK: usize = 5;

/// A piece of a request, itself a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Piece<'a> {
    /// How many spans, log records or data points it holds.
    pub records: u32,
    /// The encoded request; borrowed if it stands like that in the original.
    pub bytes: Cow<'a, [u8]>,
}

/// How many bytes the requests that are made of one may take together: four times its own and 64 MiB. Each repeats the
/// resources of its records, so without a bound a large resource with very many tiny records would become many times as
/// large.
pub const fn room_for_parts(bytes: usize) -> usize {
    const REPEATED: usize = 64 << 20;
    bytes.saturating_mul(4).saturating_add(REPEATED)
}

/// Joins requests of one signal into one. An export request is a list of resources, so that is concatenation.
pub fn concat(parts: &[&[u8]]) -> Vec<u8> {
    parts.concat()
}

/// The resources of a validated request as they stand in it, each a request of its own. What stands beside them is left
/// out.
pub fn resources(signal: Signal, bytes: &[u8]) -> impl Iterator<Item = Piece<'_>> {
    let mut cursor = Cursor::new(bytes);
    core::iter::from_fn(move || cursor.item()).filter_map(move |item| {
        let resource = child(schema::request(signal), &item, Data::default())?;
        let records = count(bytes, resource, item.start, item.end) as u32;
        Some(Piece { records, bytes: Cow::Borrowed(bytes.get(item.at..item.end)?) })
    })
}

/// Splits a validated request into pieces with at most `max_records` records and at most `max_bytes` bytes; 0 means no
/// limit. Records keep their order and are never split: one that is too large stands alone. What a resource, scope or
/// metric says about itself is repeated in every piece that has records of it; once pieces take [`room_for_parts`], all
/// that is left is the last one, whatever the limits.
///
/// A request within the limits comes back as it is. There is always at least one piece.
pub fn split(signal: Signal, bytes: &[u8], max_records: usize, max_bytes: usize) -> Vec<Piece<'_>> {
    let limit = |limit: usize| if limit == 0 { usize::MAX } else { limit };
    let mut splitter = Splitter {
        bytes,
        max_records: limit(max_records),
        max_bytes: limit(max_bytes),
        out: Out::new(bytes, 0),
        records: 0,
        open: Vec::new(),
        opened: 0,
        marks: Vec::new(),
        pieces: Vec::new(),
        room: room_for_parts(bytes.len()),
    };
    let records = count(bytes, schema::request(signal), 0, bytes.len());
    if records <= splitter.max_records && bytes.len() <= splitter.max_bytes {
        return vec![Piece { records: records as u32, bytes: Cow::Borrowed(bytes) }];
    }
    splitter.children(schema::request(signal), 0, bytes.len());
    splitter.finish()
}

/// The data of a metric that counts; of other messages nothing is to be known.
#[derive(Clone, Copy, Default)]
struct Data {
    first: usize,
    /// Whether several of one kind are to be merged.
    several: bool,
}

impl Data {
    fn of(bytes: &[u8], message: u8, start: usize, end: usize) -> Self {
        if message != schema::METRIC {
            return Self::default();
        }
        let mut cursor = Cursor::within(bytes, start, end);
        let mut data = core::iter::from_fn(|| cursor.item()).filter(|item| data_message(item.key).is_some());
        let Some(item) = data.next() else { return Self::default() };
        let first = first_data(bytes, item.key, item.at, item.end, end);
        Self { first, several: data.any(|item| item.at > first) }
    }
}

/// The message in a field, if it is a container of records or a record.
fn child(message: u8, item: &Item, data: Data) -> Option<u8> {
    match (message, item.key) {
        (_, key) if key & 7 != 2 => None,
        (schema::TRACES, key) if key == len_key(1) => Some(schema::RESOURCE_SPANS),
        (schema::METRICS, key) if key == len_key(1) => Some(schema::RESOURCE_METRICS),
        (schema::LOGS, key) if key == len_key(1) => Some(schema::RESOURCE_LOGS),
        (schema::RESOURCE_SPANS, key) if key == len_key(2) => Some(schema::SCOPE_SPANS),
        (schema::RESOURCE_METRICS, key) if key == len_key(2) => Some(schema::SCOPE_METRICS),
        (schema::RESOURCE_LOGS, key) if key == len_key(2) => Some(schema::SCOPE_LOGS),
        (schema::SCOPE_SPANS, key) if key == len_key(2) => Some(schema::SPAN),
        (schema::SCOPE_METRICS, key) if key == len_key(2) => Some(schema::METRIC),
        (schema::SCOPE_LOGS, key) if key == len_key(2) => Some(schema::LOG_RECORD),
        (schema::METRIC, _) if item.at < data.first => None,
        (schema::METRIC, key) => data_message(key).map(|(message, _)| message),
        (schema::GAUGE..=schema::SUMMARY, key) if key == len_key(1) => Some(schema::NUMBER_POINT),
        _ => None,
    }
}

fn is_record(message: u8) -> bool {
    matches!(message, schema::SPAN | schema::LOG_RECORD | schema::NUMBER_POINT)
}

/// How many records a message holds.
fn count(bytes: &[u8], message: u8, start: usize, end: usize) -> usize {
    let data = Data::of(bytes, message, start, end);
    let mut records = 0;
    let mut cursor = Cursor::within(bytes, start, end);
    while let Some(item) = cursor.item() {
        records += match child(message, &item, data) {
            None => 0,
            Some(record) if is_record(record) => 1,
            Some(container) => count(bytes, container, item.start, item.end),
        };
    }
    records
}

/// A container on the way down to the current record.
struct Open {
    key: u32,
    message: u8,
    start: usize,
    end: usize,
    /// Whether it is data of a metric that is several to be merged, from the first one to the end of the metric.
    several: bool,
    /// Where it says something about itself; neighbours are joined.
    own: Vec<(usize, usize)>,
    /// How many bytes it adds to a piece before any child.
    own_bytes: usize,
}

impl Open {
    fn new(key: u32, message: u8, start: usize, end: usize, several: bool) -> Self {
        Self { key, message, start, end, several, own: Vec::new(), own_bytes: 0 }
    }

    /// Finds what it says about itself: once, however many pieces repeat it.
    fn find_own(&mut self, bytes: &[u8]) {
        let mut own: Vec<(usize, usize)> = Vec::new();
        let mut add = |field: &Item| match own.last_mut() {
            Some((_, end)) if *end == field.at => *end = field.end,
            _ => own.push((field.at, field.end)),
        };
        if self.several {
            let mut cursor = Cursor::within(bytes, self.start, self.end);
            for item in core::iter::from_fn(|| cursor.item()).filter(|item| item.key == self.key) {
                own_fields(bytes, self.message, item.start, item.end, &mut add);
            }
        } else {
            own_fields(bytes, self.message, self.start, self.end, &mut add);
        }
        self.own_bytes = own.iter().map(|(start, end)| end - start).sum::<usize>() + 1 + LENGTH_SLACK;
        self.own = own;
    }
}

fn own_fields(bytes: &[u8], message: u8, start: usize, end: usize, visit: &mut impl FnMut(&Item)) {
    let data = Data::of(bytes, message, start, end);
    let mut cursor = Cursor::within(bytes, start, end);
    while let Some(item) = cursor.item() {
        if child(message, &item, data).is_none() {
            visit(&item);
        }
    }
}

struct Splitter<'a> {
    bytes: &'a [u8],
    max_records: usize,
    max_bytes: usize,
    out: Out<'a>,
    /// How many records the current piece has.
    records: usize,
    open: Vec<Open>,
    /// How many of the open containers stand in the current piece.
    opened: usize,
    marks: Vec<Mark>,
    pieces: Vec<Piece<'a>>,
    /// Bytes that the pieces to come may have.
    room: usize,
}

impl<'a> Splitter<'a> {
    /// Places what is in a container.
    fn children(&mut self, message: u8, start: usize, end: usize) {
        let data = Data::of(self.bytes, message, start, end);
        let mut cursor = Cursor::within(self.bytes, start, end);
        while let Some(item) = cursor.item() {
            match child(message, &item, data) {
                Some(next) if data.several => {
                    // Each piece needs what all of them say about themselves, so they are taken as one.
                    let (key, start) = (item.key, item.at);
                    return self.descend(Open::new(key, next, start, end, true));
                }
                Some(next) => self.place(&item, next),
                // A container's own fields are written when it is opened; a request has none of its own.
                None if self.open.is_empty() => {
                    if !self.fits(&item, 0) {
                        self.end_piece();
                    }
                    self.out.copy(item.at, item.end);
                }
                None => {}
            }
        }
    }

    /// Places a container or a record: as a whole if it fits, else its parts one by one.
    fn place(&mut self, item: &Item, message: u8) {
        let records = if is_record(message) { 1 } else { count(self.bytes, message, item.start, item.end) };
        if self.fits(item, records) {
            return self.copy(item, records);
        }
        if is_record(message) || records == 0 || self.records >= self.max_records {
            self.end_piece();
            if is_record(message) || records == 0 || self.fits(item, records) {
                return self.copy(item, records);
            }
        }
        let (key, start, end) = (item.key, item.start, item.end);
        self.descend(Open::new(key, message, start, end, false));
    }

    /// Opens a container and places what is in it.
    fn descend(&mut self, mut open: Open) {
        open.find_own(self.bytes);
        let Open { key, message, start, end, several, .. } = open;
        self.open.push(open);
        if several {
            let mut cursor = Cursor::within(self.bytes, start, end);
            for item in core::iter::from_fn(|| cursor.item()).filter(|item| item.key == key) {
                self.children(message, item.start, item.end);
            }
        } else {
            self.children(message, start, end);
        }
        self.open.pop();
        if self.opened > self.open.len() {
            self.close_one();
        }
    }

    fn fits(&self, item: &Item, records: usize) -> bool {
        let missing: usize = self.open.iter().skip(self.opened).map(|open| open.own_bytes).sum();
        let length = self.out.len() + missing + (item.end - item.at) + self.opened * (LENGTH_SLACK - 1);
        (self.records + records <= self.max_records && length <= self.max_bytes) || self.room == 0
    }

    fn copy(&mut self, item: &Item, records: usize) {
        while let Some(open) = self.open.get(self.opened) {
            self.marks.push(self.out.open_key(open.key, LENGTH_SLACK.min(3)));
            for &(start, end) in &open.own {
                self.out.copy(start, end);
            }
            self.opened += 1;
        }
        self.out.copy(item.at, item.end);
        self.records += records;
    }

    fn close_one(&mut self) {
        self.opened -= 1;
        if let Some(mark) = self.marks.pop() {
            self.out.close(mark);
        }
    }

    /// Ends the current piece unless it is empty.
    fn end_piece(&mut self) {
        while self.opened > 0 {
            self.close_one();
        }
        if self.out.len() > 0 {
            let out = core::mem::replace(&mut self.out, Out::new(self.bytes, 0));
            self.room = self.room.saturating_sub(out.len());
            self.pieces.push(Piece { records: self.records as u32, bytes: out.finish() });
            self.records = 0;
        }
    }

    fn finish(mut self) -> Vec<Piece<'a>> {
        self.end_piece();
        self.pieces
    }
}
