//! Checks the wire format of a request in one pass and counts what is in it.

mod plain;

use core::hint::cold_path;

use crate::Signal;
use crate::cursor::{i32_key, long_varint};
use crate::schema::{self, TABLES, Table, action};

/// How deep values may be nested: an attribute's value is on level 1, an element of its array on level 2.
pub const MAX_VALUE_NESTING: usize = 64;

/// Messages that are open at once: down to an exemplar's attribute, then three for each level of nested values.
const MAX_OPEN: usize = 10 + 3 * MAX_VALUE_NESTING;

/// What a request holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Resources.
    pub resources: u32,
    /// Instrumentation scopes.
    pub scopes: u32,
    /// Metrics; 0 in other signals.
    pub metrics: u32,
    /// Spans, log records or data points.
    pub records: u32,
    /// Where a log record has a second body, a pair a second value, or a value a second array or map, or the index of a text
    /// beside something else.
    /// Protobuf joins such values, but some readers of OTLP take the last, and older ones know no index: what a stage saw
    /// and did would not be what all of them see.
    pub second_value: Option<u32>,
}

impl Summary {
    /// Refuses a request that not all readers understand alike.
    ///
    /// # Errors
    /// Says where there is a second value.
    pub fn unambiguous(self) -> Result<Self, WireError> {
        match self.second_value {
            None => Ok(self),
            Some(offset) => Err(WireError { offset: offset as usize, reason: Reason::SecondValue }),
        }
    }
}

/// Bytes that are no valid request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("byte {offset}: {reason}")]
pub struct WireError {
    /// Where.
    pub offset: usize,
    /// Why.
    pub reason: Reason,
}

/// Why bytes are no valid request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Reason {
    /// Offsets are kept in 32 bits.
    #[error("request of {0} bytes exceeds 4 GiB")]
    TooLong(usize),
    /// A varint is cut off.
    #[error("truncated varint")]
    TruncatedVarint,
    /// A varint has more than ten bytes or 64 bits.
    #[error("overlong varint")]
    OverlongVarint,
    /// A number of four or eight bytes is cut off.
    #[error("truncated number")]
    TruncatedNumber,
    /// Something is longer than what it stands in.
    #[error("length {0} runs past the end")]
    PastEnd(u64),
    /// A known field has a wire type that it can't have.
    #[error("field {field} has the wrong wire type {wire_type}")]
    WrongWireType {
        /// The field's number.
        field: u32,
        /// Its wire type here.
        wire_type: u8,
    },
    /// Groups are obsolete, OTLP has none.
    #[error("group")]
    Group,
    /// Only wire types 0 to 5 exist.
    #[error("unknown wire type {0}")]
    UnknownWireType(u8),
    /// Field numbers start at 1.
    #[error("field number 0")]
    FieldZero,
    /// A field's key has more than 32 bits.
    #[error("field number out of range")]
    FieldOutOfRange,
    /// A string is not UTF-8.
    #[error("string is not valid UTF-8")]
    NotUtf8,
    /// Packed numbers of eight bytes each don't fill their field.
    #[error("packed field of {0} bytes is no multiple of 8")]
    UnevenPacked(usize),
    /// An id is neither empty nor as long as ids are: the Collector refuses all of a request with one.
    #[error("id of {found} bytes, {width} are needed")]
    IdLength {
        /// How many bytes it has.
        found: usize,
        /// How many a trace's or a span's has.
        width: u8,
    },
    /// Scopes as they were called before 2022: the Collector still reads them, other readers skip them.
    #[error("field 1000, instrumentation libraries, was removed from OTLP in 2022: send scopes, in field 2")]
    Removed,
    /// A request is valid with it, but see [`Summary::unambiguous`].
    #[error("a second value where there can be one: some readers join both, others take the last; send one")]
    SecondValue,
    /// Values are nested too deep.
    #[error("values nested deeper than {MAX_VALUE_NESTING} levels")]
    TooDeep,
}

/// Checks that `bytes` are an export request of this signal, and counts resources, scopes, metrics and records.
///
/// Accepts what protobuf accepts, with five exceptions: groups, values nested deeper than [`MAX_VALUE_NESTING`], ids that
/// are neither empty nor of 16 bytes for a trace and 8 for a span, scopes in the field that they had until 2022, and
/// requests over 4 GiB are refused. Unknown fields are skipped. Points of metric data that a later field of another kind
/// replaces don't count.
///
/// # Errors
/// Says where and why the bytes are no request.
pub fn validate(signal: Signal, bytes: &[u8]) -> Result<Summary, WireError> {
    if u32::try_from(bytes.len()).is_err() {
        return Err(WireError { offset: 0, reason: Reason::TooLong(bytes.len()) });
    }
    let mut checker = Checker::new(signal, bytes);
    checker.run()?;
    Ok(checker.count.summary())
}

/// The key of a span's `flags`, which takes two bytes.
const SPAN_FLAGS: u32 = i32_key(16);

/// An enclosing message, to return to.
#[derive(Clone, Copy, Default)]
struct Open {
    end: u32,
    message: u8,
    has_value: bool,
}

struct Checker<'a> {
    all: &'a [u8],
    /// All bytes up to the end of the message that is being read.
    body: &'a [u8],
    at: usize,
    message: u8,
    /// Whether that message has had a value; of those that can have one only.
    has_value: bool,
    table: &'static Table,
    open: [Open; MAX_OPEN],
    depth: usize,
    values: usize,
    /// Where the value that is being read starts, until some message in it ends.
    value_start: usize,
    /// Pairs before it are checked one by one: together they were not plain.
    one_by_one_to: usize,
    count: Count,
}

impl<'a> Checker<'a> {
    fn new(signal: Signal, bytes: &'a [u8]) -> Self {
        let message = schema::request(signal);
        Self {
            all: bytes,
            body: bytes,
            at: 0,
            message,
            has_value: false,
            table: &TABLES[usize::from(message)],
            open: [Open::default(); MAX_OPEN],
            depth: 0,
            values: 0,
            value_start: usize::MAX,
            one_by_one_to: 0,
            count: Count::default(),
        }
    }

    fn run(&mut self) -> Result<(), WireError> {
        loop {
            while let Some(&key) = self.body.get(self.at) {
                let at = self.at;
                let (key, action) = if key < 0x80 {
                    self.at += 1;
                    (u32::from(key), self.table[usize::from(key)])
                } else {
                    cold_path();
                    let (key, width) = key_at(self.body, at)?;
                    self.at += width;
                    (key, action_for(self.message, key))
                };
                self.field(action, at, key)?;
            }
            if self.depth == 0 {
                return Ok(());
            }
            self.leave();
        }
    }

    #[inline(always)]
    fn field(&mut self, action: u8, at: usize, key: u32) -> Result<(), WireError> {
        match action {
            action::VARINT => {
                self.varint()?;
            }
            action::FIXED64 => self.fixed(8)?,
            action::FIXED32 => self.fixed(4)?,
            action::BYTES => {
                self.at = self.content()?;
            }
            action::TEXT => self.text()?,
            action::TRACE_ID => self.id(schema::TRACE_ID_BYTES)?,
            action::SPAN_ID => self.id(schema::SPAN_ID_BYTES)?,
            action::MESSAGE.. => {
                let end = self.content()?;
                let is_pair = action == action::MESSAGE + schema::KEY_VALUE;
                if !is_pair || self.values == MAX_VALUE_NESTING || !self.pairs(key, end) {
                    self.enter(action - action::MESSAGE, end)?;
                }
            }
            action::INDEX => {
                cold_path();
                self.varint()?;
                if at != self.value_start || self.at < self.body.len() {
                    self.count.summary.second_value.get_or_insert(at as u32);
                }
            }
            action::PACKED64 => {
                cold_path();
                let end = self.content()?;
                let length = end - self.at;
                if !length.is_multiple_of(8) {
                    return Err(WireError { offset: at, reason: Reason::UnevenPacked(length) });
                }
                self.at = end;
            }
            action::PACKED_VARINTS => {
                cold_path();
                let end = self.content()?;
                packed_varints(self.all.get(..end).unwrap_or_default(), self.at)?;
                self.at = end;
            }
            _ => {
                cold_path();
                return Err(WireError { offset: at, reason: refusal(action, key) });
            }
        }
        Ok(())
    }

    #[inline(always)]
    fn varint(&mut self) -> Result<u64, WireError> {
        match self.body.get(self.at) {
            Some(&byte) if byte < 0x80 => {
                self.at += 1;
                Ok(u64::from(byte))
            }
            _ => {
                cold_path();
                let (value, width) = varint_at(self.body, self.at)?;
                self.at += width;
                Ok(value)
            }
        }
    }

    /// Reads a length and says where the content ends.
    #[inline(always)]
    fn content(&mut self) -> Result<usize, WireError> {
        let at = self.at;
        let length = self.varint()?;
        if length <= (self.body.len() - self.at) as u64 {
            return Ok(self.at + length as usize);
        }
        cold_path();
        Err(WireError { offset: at, reason: Reason::PastEnd(length) })
    }

    /// The id of a trace or a span, or none.
    #[inline(always)]
    fn id(&mut self, width: u8) -> Result<(), WireError> {
        let at = self.at;
        let end = self.content()?;
        let found = end - self.at;
        if found != usize::from(width) && found > 0 {
            cold_path();
            return Err(WireError { offset: at, reason: Reason::IdLength { found, width } });
        }
        self.at = end;
        Ok(())
    }

    #[inline(always)]
    fn fixed(&mut self, width: usize) -> Result<(), WireError> {
        if self.body.len() - self.at < width {
            return Err(WireError { offset: self.at, reason: Reason::TruncatedNumber });
        }
        self.at += width;
        Ok(())
    }

    #[inline(always)]
    fn text(&mut self) -> Result<(), WireError> {
        let end = self.content()?;
        let text = &self.body[self.at..end];
        if !plain::is_ascii(text) {
            cold_path();
            plain::check(text).map_err(|valid| WireError { offset: self.at + valid, reason: Reason::NotUtf8 })?;
        }
        self.at = end;
        Ok(())
    }

    /// Checks the pair up to `end`, and those that follow it under the same key as long as they are like nearly all
    /// attributes: a key, then a value that is text or a number, in the order and width that every encoder writes. Their
    /// text is looked at in one go; if it is more than ASCII, the pairs are to be checked one by one. Says whether the
    /// first pair was checked.
    #[inline(always)]
    fn pairs(&mut self, key: u32, end: usize) -> bool {
        let first = self.at;
        let (mut at, mut end) = (first, end);
        // What lies before is known to be plain.
        let mut plain_to = at;
        loop {
            match plain::value(&self.body[at..end]) {
                Some(plain::Value::Text) => {}
                Some(plain::Value::Number(value)) => {
                    if !plain::is_ascii(&self.body[plain_to..at + value]) {
                        cold_path();
                        cold_path();
                        self.one_by_one_to = self.one_by_one_to.max(end);
                        return false;
                    }
                    plain_to = end;
                }
                None if at == first => {
                    cold_path();
                    return false;
                }
                None => {
                    cold_path();
                    end = at - 2; // its key and length
                    break;
                }
            }
            let [next_key, length @ 0..0x80, rest @ ..] = &self.body[end..] else { break };
            if at < self.one_by_one_to || u32::from(*next_key) != key || rest.len() < usize::from(*length) {
                break;
            }
            at = end + 2;
            end = at + usize::from(*length);
        }
        if plain_to < end && !plain::is_ascii(&self.body[plain_to..end]) {
            cold_path();
            self.one_by_one_to = self.one_by_one_to.max(end);
            return false;
        }
        self.at = end;
        true
    }

    #[inline(always)]
    fn enter(&mut self, message: u8, end: usize) -> Result<(), WireError> {
        if message == schema::ANY_VALUE {
            self.values += 1;
            if self.values > MAX_VALUE_NESTING {
                return Err(WireError { offset: self.at, reason: Reason::TooDeep });
            }
            self.value_start = self.at;
            if matches!(self.message, schema::KEY_VALUE | schema::LOG_RECORD) {
                if self.has_value {
                    cold_path();
                    self.count.summary.second_value.get_or_insert(self.at as u32);
                }
                self.has_value = true;
            }
        } else if self.message == schema::ANY_VALUE {
            // Another array or map in the same value.
            if self.has_value {
                cold_path();
                self.count.summary.second_value.get_or_insert(self.at as u32);
            }
            self.has_value = true;
        }
        let Some(slot) = self.open.get_mut(self.depth) else {
            return Err(WireError { offset: self.at, reason: Reason::TooDeep });
        };
        *slot = Open { end: self.body.len() as u32, message: self.message, has_value: self.has_value };
        self.has_value = false;
        self.depth += 1;
        self.count.enter(message);
        self.body = &self.all[..end];
        self.message = message;
        self.table = &TABLES[usize::from(message)];
        Ok(())
    }

    fn leave(&mut self) {
        self.values -= usize::from(self.message == schema::ANY_VALUE);
        self.value_start = usize::MAX;
        self.depth -= 1;
        let open = self.open[self.depth];
        self.body = &self.all[..open.end as usize];
        self.message = open.message;
        self.has_value = open.has_value;
        self.table = &TABLES[usize::from(open.message)];
    }
}

// What is rare stands outside of the checker and has no reference to it, so that the checker stays in registers.

/// A key of several bytes, and how many.
#[inline(never)]
fn key_at(body: &[u8], at: usize) -> Result<(u32, usize), WireError> {
    let (key, width) = varint_at(body, at)?;
    match u32::try_from(key) {
        Ok(key) => Ok((key, width)),
        Err(_) => Err(WireError { offset: at, reason: Reason::FieldOutOfRange }),
    }
}

fn action_for(message: u8, key: u32) -> u8 {
    // The only field with a long key that is in use: it is worth a short way.
    let is_span_flags = key == SPAN_FLAGS && message == schema::SPAN;
    if is_span_flags { action::FIXED32 } else { schema::action_for(message, key) }
}

/// A varint of several bytes, and how many.
#[inline(never)]
fn varint_at(body: &[u8], at: usize) -> Result<(u64, usize), WireError> {
    let rest = body.get(at..).unwrap_or_default();
    if let [low, high @ 0..0x80, ..] = rest {
        return Ok((u64::from(low & 0x7f) | u64::from(*high) << 7, 2));
    }
    long_varint(rest).ok_or_else(|| {
        let truncated = rest.len() < 10 && rest.iter().all(|&byte| byte >= 0x80);
        let reason = if truncated { Reason::TruncatedVarint } else { Reason::OverlongVarint };
        WireError { offset: at, reason }
    })
}

#[cold]
fn packed_varints(body: &[u8], mut at: usize) -> Result<(), WireError> {
    while at < body.len() {
        at += varint_at(body, at)?.1;
    }
    Ok(())
}

#[cold]
fn refusal(action: u8, key: u32) -> Reason {
    let wire_type = (key & 7) as u8;
    match action {
        action::MISTYPED => Reason::WrongWireType { field: key >> 3, wire_type },
        action::GROUP => Reason::Group,
        action::NO_TYPE => Reason::UnknownWireType(wire_type),
        action::REMOVED => Reason::Removed,
        _ => Reason::FieldZero,
    }
}

/// Counts messages as they are entered.
#[derive(Default)]
struct Count {
    summary: Summary,
    /// How many records there were before the current metric.
    before_metric: u32,
    /// The kind of data that the current metric has so far.
    data: u8,
}

impl Count {
    #[inline(always)]
    fn enter(&mut self, message: u8) {
        match message {
            schema::SPAN
            | schema::LOG_RECORD
            | schema::NUMBER_POINT
            | schema::HISTOGRAM_POINT
            | schema::EXPONENTIAL_HISTOGRAM_POINT
            | schema::SUMMARY_POINT => self.summary.records += 1,
            schema::METRIC => {
                self.summary.metrics += 1;
                (self.before_metric, self.data) = (self.summary.records, 0);
            }
            schema::GAUGE..=schema::SUMMARY if self.data != message => {
                // Data of another kind replaces what the metric had.
                (self.summary.records, self.data) = (self.before_metric, message);
            }
            schema::SCOPE_SPANS | schema::SCOPE_METRICS | schema::SCOPE_LOGS => self.summary.scopes += 1,
            schema::RESOURCE_SPANS | schema::RESOURCE_METRICS | schema::RESOURCE_LOGS => self.summary.resources += 1,
            _ => {}
        }
    }

    fn summary(&self) -> Summary {
        self.summary
    }
}
