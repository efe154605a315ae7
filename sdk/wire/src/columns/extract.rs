//! The walk over a request that fills the columns.

use alloc::sync::Arc;
use core::ops::Range;

use crate::cursor::keys::{LEN_5, LEN_7, LEN_9, LEN_10, LEN_11};
use crate::cursor::{Cursor, plain_pair};
use crate::field::{Level, TableLists, TableRequest, ValueKind};
use crate::place::{Place, Scalar};
use crate::projection::{Lengths, Projection, WantedKeys, owner, step};
use crate::schema;

use super::pair::{self, Pair, parse_pair, parse_value};
use super::store::{Raw, Store};
use super::table::{NO_PARENT, New};
use super::texts::TableTexts;
use super::{Columns, Entries, Slice, Stored, Table};

pub(super) fn extract(columns: &mut Columns, projection: &Projection, bytes: &[u8]) {
    let is_of_texts = projection.table.is_some_and(|table| table.is_of_texts());
    walk(columns, projection, bytes, is_of_texts);
    if is_of_texts && columns.structured_bodies {
        walk(columns, projection, bytes, false);
    }
}

/// Walks over the request; ends early if structured bodies turn up in a table that is to be of texts only.
fn walk(columns: &mut Columns, projection: &Projection, bytes: &[u8], is_of_texts: bool) {
    prepare(columns, projection);
    // Offsets have 32 bits; `validate` refuses longer requests.
    let end = u32::try_from(bytes.len()).map_or(0, |length| length as usize);
    let table = projection.table.map(|table| {
        [table.resources, table.scopes, table.metrics, table.records, table.events, table.links, table.exemplars, false]
    });
    let in_table = table.unwrap_or_default();
    if projection.table.is_some() {
        Table::renew(&mut columns.table, &mut columns.spare_table, is_of_texts);
    } else {
        columns.table = None;
    }
    let mut table = columns.table.take();
    let (entries, texts) = match &mut table {
        Some(Table::Entries(entries)) => (Some(entries), None),
        Some(Table::Texts(texts)) => (None, Arc::get_mut(texts)),
        None => (None, None),
    };
    let (body, has_replaced_bodies) = (None, false);
    let mut walk = Walk {
        bytes,
        projection,
        columns,
        in_table,
        entries,
        texts,
        metric_end: 0,
        data: None,
        body,
        has_replaced_bodies,
    };
    walk.message(schema::request(projection.signal), 0, end);
    walk.sweep();
    columns.table = table;
    finish(columns, projection);
}

fn prepare(columns: &mut Columns, projection: &Projection) {
    columns.signal = Some(projection.signal);
    columns.rows = 0;
    columns.structured_bodies = false;
    columns.resource_rows.clear();
    columns.scope_rows.clear();
    columns.resource_scopes.clear();
    columns.metric_rows.clear();
    columns.scope_metrics.clear();
    columns.reads.clone_from(&projection.reads);
    let same = columns.stores.len() == projection.columns.len()
        && columns
            .stores
            .iter()
            .zip(&projection.columns)
            .all(|(stored, column)| stored.encoding == column.encoding && stored.field == column.read.field);
    if same {
        columns.stores.iter_mut().for_each(|stored| stored.store.clear());
    } else {
        let stored = |column: &crate::projection::Column| Stored {
            field: column.read.field.clone(),
            encoding: column.encoding,
            store: Store::new(column.encoding),
            is_absent: true,
        };
        columns.stores = projection.columns.iter().map(stored).collect();
    }
}

fn finish(columns: &mut Columns, projection: &Projection) {
    let metrics = projection.signal == crate::Signal::Metrics;
    let scopes = columns.scope_rows.len() as u32;
    columns.resource_scopes.push(scopes);
    if metrics {
        columns.scope_metrics.push(columns.metric_rows.len() as u32);
        columns.metric_rows.push(columns.rows);
    }
    columns.resource_rows.push(columns.rows);
    columns.scope_rows.push(columns.rows);
    for (index, column) in projection.columns.iter().enumerate() {
        let entities = columns.entities(column.level);
        let stored = &mut columns.stores[index];
        stored.is_absent = stored.store.is_empty();
        stored.store.finish(entities);
    }
}

struct Walk<'a> {
    bytes: &'a [u8],
    projection: &'a Projection,
    columns: &'a mut Columns,
    /// For each owner whether the table wants its attributes.
    in_table: [bool; 8],
    /// The table, if it has entries.
    entries: Option<&'a mut Entries>,
    /// The table, if it has texts only.
    texts: Option<&'a mut TableTexts>,
    /// Where the current metric ends.
    metric_end: usize,
    /// Where that metric's data begins that counts, once there is some.
    data: Option<usize>,
    /// The table entries of the current log record's body, if it has one already.
    body: Option<Range<usize>>,
    /// Whether some record had several bodies in the table.
    has_replaced_bodies: bool,
}

impl Walk<'_> {
    /// Walks over the fields of one message.
    fn message(&mut self, message: u8, start: usize, end: usize) {
        let projection = self.projection;
        let steps = &projection.steps[usize::from(message)];
        let mut cursor = Cursor::within(self.bytes, start, end);
        while let Some(first) = cursor.byte() {
            let at = cursor.at();
            let (key, step) = if first < 0x80 {
                cursor.skip(1);
                (u32::from(first), steps[usize::from(first)])
            } else {
                match cursor.key() {
                    Some(key) => (key, self.long_step(message, key)),
                    None => return,
                }
            };
            match step {
                step::FIXED64 => cursor.skip(8),
                step::FIXED32 => cursor.skip(4),
                step::VARINT => {
                    if cursor.varint().is_none() {
                        return;
                    }
                }
                step::SKIP => match cursor.content() {
                    Some(end) => cursor.go(end),
                    None => return,
                },
                step::STOP => return,
                _ if step >= step::CAPTURE && !self.captures_length(step) => {
                    let mut scalar = cursor;
                    if !self.capture_scalar(step, &mut scalar) {
                        return;
                    }
                    cursor = scalar;
                }
                step::ATTRIBUTE..step::ENTER => {
                    if !self.attributes(step - step::ATTRIBUTE, key, at, &mut cursor) {
                        return;
                    }
                }
                _ => {
                    let Some(end) = cursor.content() else {
                        return;
                    };
                    self.content(step, key, at, cursor.at(), end);
                    cursor.go(end);
                }
            }
        }
    }

    #[cold]
    #[inline(never)]
    fn long_step(&self, message: u8, key: u32) -> u8 {
        if key < 128 {
            return self.projection.steps[usize::from(message)][key as usize];
        }
        match (key & 7, self.projection.span_flags) {
            (5, Some(capture)) if message == schema::SPAN && key >> 3 == 16 => capture,
            (0, _) => step::VARINT,
            (1, _) => step::FIXED64,
            (2, _) => step::SKIP,
            (5, _) => step::FIXED32,
            _ => step::STOP,
        }
    }

    #[inline(always)]
    fn content(&mut self, step: u8, key: u32, at: usize, start: usize, end: usize) {
        match step {
            step::BODY => self.body(at, start, end),
            step::DATA => self.data(key, at, start, end),
            step::ENTER..step::CAPTURE => self.enter(step - step::ENTER, start, end),
            _ => self.capture_slice(step, start, end),
        }
    }

    /// Enters a message; if it is an entity's own, the entity begins.
    #[inline(always)]
    fn enter(&mut self, message: u8, start: usize, end: usize) {
        let columns = &mut *self.columns;
        match message {
            schema::RESOURCE_SPANS | schema::RESOURCE_METRICS | schema::RESOURCE_LOGS => {
                columns.resource_rows.push(columns.rows);
                columns.resource_scopes.push(columns.scope_rows.len() as u32);
            }
            schema::SCOPE_SPANS | schema::SCOPE_METRICS | schema::SCOPE_LOGS => {
                columns.scope_rows.push(columns.rows);
                if message == schema::SCOPE_METRICS {
                    columns.scope_metrics.push(columns.metric_rows.len() as u32);
                }
            }
            schema::METRIC => {
                columns.metric_rows.push(columns.rows);
                self.metric_end = end;
                self.data = None;
            }
            schema::SPAN
            | schema::LOG_RECORD
            | schema::NUMBER_POINT
            | schema::HISTOGRAM_POINT
            | schema::EXPONENTIAL_HISTOGRAM_POINT
            | schema::SUMMARY_POINT => {
                columns.rows += 1;
                self.body = None;
                if let Some(texts) = &mut self.texts {
                    if columns.structured_bodies {
                        return; // all starts over
                    }
                    texts.begin_row();
                }
            }
            _ => {}
        }
        self.message(message, start, end);
    }

    /// The number of the current entity of a level.
    #[inline(always)]
    fn entity(&self, level: Level) -> usize {
        let count = match level {
            Level::Record => self.columns.rows as usize,
            Level::Resource => self.columns.resource_rows.len(),
            Level::Scope => self.columns.scope_rows.len(),
            Level::Metric => self.columns.metric_rows.len(),
        };
        count.wrapping_sub(1)
    }

    /// Takes the attribute whose key was read at `at`, and those that follow it under the same key: mostly they stand
    /// together, and have lengths of one byte. Says whether all of them are there.
    ///
    /// What is wanted of attributes is asked once for all of them, and the loops keep their place in a register.
    #[inline(always)]
    fn attributes(&mut self, owner: u8, key: u32, at: usize, cursor: &mut Cursor<'_>) -> bool {
        let mut pairs = *cursor;
        pairs.go(at);
        let in_table = self.in_table.get(usize::from(owner)).is_some_and(|&wants| wants);
        match (in_table, self.texts.take()) {
            (false, texts) => {
                self.texts = texts;
                self.column_attributes(owner, key, &mut pairs);
            }
            (true, Some(texts)) => {
                self.table_texts(texts, owner, key, &mut pairs);
                self.texts = Some(texts);
            }
            (true, None) => self.table_attributes(owner, key, &mut pairs),
        }
        if pairs.at() > at {
            *cursor = pairs;
            return true;
        }
        let Some(end) = cursor.content() else {
            return false;
        };
        self.odd_attribute(owner, in_table, at, (cursor.at(), end));
        cursor.go(end);
        true
    }

    /// Those that only columns may want.
    #[inline(always)]
    fn column_attributes(&mut self, owner: u8, key: u32, pairs: &mut Cursor<'_>) {
        let lengths = self.wanted_lengths(owner);
        while let Some(content) = pairs.short(key) {
            let end = pairs.at();
            let start = end - content.len();
            match plain_pair(content) {
                Some((key_length, _)) if !lengths.have(u32::from(key_length)) => {}
                Some((key_length, [0x0a, length, text @ ..])) if text.len() == usize::from(*length) => {
                    let key = Slice::new(start + 2, start + 2 + usize::from(key_length));
                    self.fill(owner, key, Raw::text(Slice::new(end - text.len(), end)));
                }
                _ => self.odd_attribute(owner, false, 0, (start, end)),
            }
        }
    }

    /// Those that are in a table of texts.
    #[inline(never)]
    fn table_texts(&mut self, texts: &mut TableTexts, owner: u8, key: u32, pairs: &mut Cursor<'_>) {
        let lengths = self.wanted_lengths(owner);
        let entity = self.entity(owner::level(owner)) as u32;
        let mut here = *pairs;
        while let Some(content) = here.short(key) {
            let end = here.at();
            let start = end - content.len();
            match plain_pair(content) {
                Some((key_length, [0x0a, length, text @ ..])) if text.len() == usize::from(*length) => {
                    let text = Slice::new(end - text.len(), end);
                    if lengths.have(u32::from(key_length)) {
                        let key = Slice::new(start + 2, start + 2 + usize::from(key_length));
                        self.fill(owner, key, Raw::text(text));
                    }
                    texts.push(self.bytes, start - 2, text, owner, entity);
                }
                Some((key_length, [0x18, 0..0x80] | [0x18, 0x80..=0xff, 0..0x80] | [0x10, _]))
                    if !lengths.have(u32::from(key_length)) => {}
                _ => {
                    let pair = parse_pair(self.bytes, start, end);
                    self.fill(owner, pair.key, pair.value);
                    if let Some(text) = pair.value.as_text() {
                        texts.push(self.bytes, start - 2, text, owner, entity);
                    }
                }
            }
        }
        *pairs = here;
    }

    /// Those that are in a table of entries.
    #[inline(never)]
    fn table_attributes(&mut self, owner: u8, key: u32, pairs: &mut Cursor<'_>) {
        let entity = self.entity(owner::level(owner)) as u32;
        while let Some(content) = pairs.short(key) {
            let (start, end) = (pairs.at() - content.len(), pairs.at());
            // Plain pairs and others don't meet again: then a pair stays in registers. A kind that is written to memory
            // as one byte and read back as part of a word holds up the processor.
            match pair::plain_pair(content, start) {
                Some(pair) => self.table_pair(owner, entity, start - 2, pair),
                None => self.odd_attribute(owner, true, start - 2, (start, end)),
            }
        }
    }

    /// One that is not plain, or that a column may want.
    #[inline(never)]
    fn odd_attribute(&mut self, owner: u8, in_table: bool, at: usize, (start, end): (usize, usize)) {
        let pair = parse_pair(self.bytes, start, end);
        if in_table {
            self.table_pair(owner, self.entity(owner::level(owner)) as u32, at, pair);
        } else {
            self.fill(owner, pair.key, pair.value);
        }
    }

    fn wanted_lengths(&self, owner: u8) -> Lengths {
        self.projection.wanted.get(usize::from(owner)).map_or(Lengths::default(), WantedKeys::lengths)
    }

    #[inline(always)]
    fn table_pair(&mut self, owner: u8, entity: u32, at: usize, pair: Pair) {
        if self.wanted_lengths(owner).have(pair.key.length) {
            self.fill(owner, pair.key, pair.value);
        }
        self.push(New { at, key: pair.key, value: pair.value, owner, entity, parent: NO_PARENT });
    }

    #[inline(always)]
    fn push(&mut self, new: New) {
        if let Some(texts) = &mut self.texts {
            if let Some(text) = new.value.as_text() {
                texts.push(self.bytes, new.at, text, new.owner, new.entity);
            }
        } else if let Some(entries) = &mut self.entries {
            let parts = |table: TableRequest| if new.owner == owner::BODY { table.body_parts } else { table.nested };
            entries.push(self.bytes, new, self.projection.table.is_some_and(parts));
        }
    }

    /// Fills the columns that want this attribute.
    #[inline(never)]
    fn fill(&mut self, owner: u8, key: Slice, value: Raw) {
        let projection = self.projection;
        let wanted = projection.wanted.get(usize::from(owner));
        let Some(wanted) = wanted.and_then(|wanted| wanted.find(key.of(self.bytes))) else {
            return;
        };
        let entity = self.entity(owner::level(owner));
        for &column in &wanted.columns {
            let stored = &mut self.columns.stores[usize::from(column)];
            stored.store.set_first(self.bytes, stored.encoding, entity, value);
        }
    }

    fn body(&mut self, at: usize, start: usize, end: usize) {
        let value = match parse_value(self.bytes, start, end) {
            Some(value) => value,
            None if self.body.is_some() => return, // merging an empty message changes nothing
            None => Raw { kind: ValueKind::Empty, bits: 0 },
        };
        let row = self.entity(Level::Record);
        let projection = self.projection;
        for capture in projection.captures.iter().filter(|capture| capture.place.scalar == Scalar::Any) {
            self.set(&capture.columns, row, value);
        }
        let first = self.table_len();
        if let Some(table) = projection.table.filter(|table| table.bodies) {
            let is_plain = matches!(value.kind, ValueKind::Text | ValueKind::Empty);
            self.columns.structured_bodies |= !is_plain && table.lists == TableLists::StructuredBodies;
            if let Some(body) = self.body.take().filter(|body| !body.is_empty()) {
                self.has_replaced_bodies = true;
                self.entries.iter_mut().for_each(|entries| entries.replace(body.clone()));
                self.texts.iter_mut().for_each(|texts| texts.replace(body.clone()));
            }
            let (key, entity) = (Slice::new(start, start), row as u32);
            self.push(New { at, key, value, owner: owner::BODY, entity, parent: NO_PARENT });
        }
        self.body = Some(first..self.table_len());
    }

    fn table_len(&self) -> usize {
        match (&self.entries, &self.texts) {
            (Some(entries), _) => entries.entries.len(),
            (_, Some(texts)) => texts.texts().len(),
            _ => 0,
        }
    }

    /// Removes bodies that were replaced: all at the end, since a sender can make them many.
    fn sweep(&mut self) {
        if self.has_replaced_bodies {
            self.entries.iter_mut().for_each(|entries| entries.sweep());
            self.texts.iter_mut().for_each(|texts| texts.sweep());
        }
    }

    /// Enters a metric's data unless later data of another kind replaces it.
    fn data(&mut self, key: u32, at: usize, start: usize, end: usize) {
        let Some((message, kind)) = data_message(key) else {
            return;
        };
        let first = *self.data.get_or_insert_with(|| first_data(self.bytes, key, at, end, self.metric_end));
        if at < first {
            return;
        }
        let metric = self.entity(Level::Metric);
        let projection = self.projection;
        self.set(&projection.metric_type, metric, Raw { kind: ValueKind::Integer, bits: kind });
        self.enter(message, start, end);
    }

    fn set(&mut self, columns: &[u16], entity: usize, value: Raw) {
        for &column in columns {
            let stored = &mut self.columns.stores[usize::from(column)];
            stored.store.set(self.bytes, stored.encoding, entity, value);
        }
    }

    #[inline(always)]
    fn captures_length(&self, step: u8) -> bool {
        let capture = &self.projection.captures[usize::from(step - step::CAPTURE)];
        matches!(capture.place.scalar, Scalar::Text | Scalar::Id(_))
    }

    fn capture_slice(&mut self, step: u8, start: usize, end: usize) {
        let projection = self.projection;
        let capture = &projection.captures[usize::from(step - step::CAPTURE)];
        let kind = match capture.place.scalar {
            _ if start == end => ValueKind::Absent,
            Scalar::Text => ValueKind::Text,
            _ => ValueKind::Bytes,
        };
        let entity = self.entity(capture.level);
        self.set(&capture.columns, entity, Raw { kind, bits: Slice::new(start, end).pack() });
    }

    /// Captures a number; says whether there was one.
    #[inline]
    fn capture_scalar(&mut self, step: u8, cursor: &mut Cursor<'_>) -> bool {
        let projection = self.projection;
        let capture = &projection.captures[usize::from(step - step::CAPTURE)];
        let entity = self.entity(capture.level);
        let Some((kind, bits)) = read_scalar(&capture.place, cursor) else {
            return false;
        };
        let present = capture.place.explicit || bits != 0;
        for &column in &capture.columns {
            let stored = &mut self.columns.stores[usize::from(column)];
            match kind {
                ValueKind::Integer => {
                    stored.store.set_unsigned(self.bytes, stored.encoding, entity, present.then_some(bits));
                }
                _ => {
                    let raw = if present { Raw { kind, bits } } else { Raw::ABSENT };
                    stored.store.set(self.bytes, stored.encoding, entity, raw);
                }
            }
        }
        if capture.place.rival != 0 {
            self.clear_rival(&capture.place, entity);
        }
        true
    }

    /// Of two members of one `oneof` only the later counts.
    fn clear_rival(&mut self, place: &Place, entity: usize) {
        let projection = self.projection;
        let is_rival = |other: &Place| other.message == place.message && other.number == place.rival;
        for capture in projection.captures.iter().filter(|capture| is_rival(&capture.place)) {
            self.set(&capture.columns, entity, Raw::ABSENT);
        }
    }
}

/// Reads the number of a field.
#[inline(always)]
fn read_scalar(place: &Place, cursor: &mut Cursor<'_>) -> Option<(ValueKind, u64)> {
    Some(match place.scalar {
        Scalar::U32 => (ValueKind::Integer, u64::from(cursor.varint()? as u32)),
        Scalar::I32 => (ValueKind::Integer, i64::from(cursor.varint()? as i32) as u64),
        Scalar::Zigzag => (ValueKind::Integer, i64::from(crate::view::zigzag(cursor.varint()?)) as u64),
        Scalar::Boolean => (ValueKind::Boolean, u64::from(cursor.varint()? != 0)),
        Scalar::Fixed32 => (ValueKind::Integer, u64::from(cursor.fixed32()?)),
        Scalar::Fixed64 | Scalar::Signed64 => (ValueKind::Integer, cursor.fixed64()?),
        Scalar::Double => (ValueKind::Double, cursor.fixed64()?),
        Scalar::Text | Scalar::Id(_) | Scalar::Any => return None,
    })
}

/// The message and the type number of a metric's data, by the key of its field.
pub(crate) fn data_message(key: u32) -> Option<(u8, u64)> {
    match key {
        LEN_5 => Some((schema::GAUGE, 1)),
        LEN_7 => Some((schema::SUM, 2)),
        LEN_9 => Some((schema::HISTOGRAM, 3)),
        LEN_10 => Some((schema::EXPONENTIAL_HISTOGRAM, 4)),
        LEN_11 => Some((schema::SUMMARY, 5)),
        _ => None,
    }
}

/// Where a metric's data begins that counts: data is replaced by later data of another kind, and joined with data of its
/// own. There is data under `key` at `at`, and maybe more in `bytes[from..end]`.
pub(crate) fn first_data(bytes: &[u8], key: u32, at: usize, from: usize, end: usize) -> usize {
    let (mut key, mut first) = (key, at);
    let mut rest = Cursor::within(bytes, from, end);
    while let Some(item) = rest.item() {
        if item.key != key && data_message(item.key).is_some() {
            (key, first) = (item.key, item.at);
        }
    }
    first
}
