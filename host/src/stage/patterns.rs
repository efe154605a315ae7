//! Regular expressions over whole columns of text.
//!
//! One search over all values lets the literal prefilters of the regex crate skip most of the text. The texts of the
//! attribute table are searched where they are, in the request: what lies within one value is a match of that value, since
//! a pattern that does not look around itself can't tell where the value begins or ends; where a match goes beyond a
//! value, that value is searched by itself.
//!
//! A pattern with ASCII word boundaries needs values with a separator between them. The separator, 0xFF, is in no UTF-8
//! text, no pattern in Unicode mode matches it, and it is no word character. Other patterns run value by value.

mod short;

use std::ops::Range;
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use bytes::Bytes;
use regex::bytes::Regex;
use regex_syntax::hir::{Hir, LookSet};
use sluice_wire::TextRanges;

use short::ShortPattern;

/// The byte after each value.
const SEPARATOR: u8 = 0xFF;
/// Unselected values of so many bytes at most are searched along with their neighbours, rather than starting anew.
const GAP_BYTES: usize = 256;
/// The deadline is checked after so many bytes: the slowest patterns take 100 ns a byte.
const PIECE_BYTES: u32 = 16 << 10;
/// After so many matches that go beyond a value, the rest of a piece is searched value by value: each of them may have
/// cost a search of all of the piece.
const MAX_CROSSINGS: usize = 16;

/// A compiled pattern.
#[derive(Clone, Debug)]
pub(super) struct Pattern {
    regex: Regex,
    reach: Reach,
    /// A faster way to search across values.
    short: Option<Box<ShortPattern>>,
}

/// How many values can be searched at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reach {
    /// One.
    Value,
    /// Those with separators between them.
    Separated,
    /// Those with anything between them.
    Anything,
}

/// Values one after the other.
#[derive(Debug, Default)]
pub(super) struct Haystack {
    // Value `i` is bytes[starts[i] .. ends[i]].
    starts: Vec<u32>,
    ends: Vec<u32>,
    bytes: Bytes,
    /// Whether nothing but a separator stands between two values, and one after the last.
    is_separated: bool,
    /// The same with separators, once a pattern needs them.
    separated: OnceLock<Box<Self>>,
    /// The number that each value is known by, ascending; none if it is the position.
    numbers: Option<Vec<u32>>,
    /// All numbers are below it.
    end: usize,
}

/// Where a pattern matches; one entry per match.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Found {
    /// The numbers that the values are known by, ascending.
    pub(super) values: Vec<u32>,
    /// First byte of each match in its value.
    pub(super) starts: Vec<u32>,
    /// First byte after it.
    pub(super) ends: Vec<u32>,
}

/// How long a search may take and how much it may find.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    pub(super) deadline: Instant,
    pub(super) max_matches: usize,
}

/// A search came to its bounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Overrun {
    #[error("a search took too long")]
    Time,
    #[error("a search found more than {0} matches")]
    Matches(usize),
}

impl Pattern {
    /// Compiles a pattern. Syntax and limits are those of `regex::Regex`.
    ///
    /// # Errors
    /// What is wrong with it, and where.
    pub(super) fn new(pattern: &str) -> Result<Arc<Self>, String> {
        let hir = regex_syntax::ParserBuilder::new().build().parse(pattern).map_err(|error| error.to_string())?;
        let regex = Regex::new(pattern).map_err(|error| error.to_string())?;
        let reach = reach(&hir);
        let short = (reach == Reach::Anything).then(|| ShortPattern::new(&hir)).flatten().map(Box::new);
        Ok(Arc::new(Self { regex, reach, short }))
    }

    /// Which values match, as bits.
    ///
    /// # Errors
    /// If it takes too long.
    pub(super) fn is_match(&self, haystack: &Haystack, bounds: Bounds) -> Result<Vec<u64>, Overrun> {
        let mut words = vec![0; haystack.len().div_ceil(64)];
        for piece in haystack.pieces(0..haystack.len()) {
            bounds.check(0)?;
            self.is_match_in_piece(haystack, piece, &mut words);
        }
        Ok(words)
    }

    /// Every match in the values whose bit is set; none means all.
    ///
    /// # Errors
    /// If it takes too long, or finds too much.
    pub(super) fn find(&self, haystack: &Haystack, selected: Option<&[u64]>, bounds: Bounds) -> Result<Found, Overrun> {
        let mut found = Found::default();
        let selects = |value: usize| {
            let number = haystack.number(value) as usize;
            selected.is_none_or(|words| words.get(number / 64).is_some_and(|word| word >> (number % 64) & 1 == 1))
        };
        let everything = std::iter::once(0..haystack.len());
        let runs = if selected.is_some() { runs(haystack, selects) } else { everything.collect() };
        for piece in runs.into_iter().flat_map(|run| haystack.pieces(run)) {
            bounds.check(found.values.len())?;
            self.find_in_piece(haystack, piece, selects, &mut found);
        }
        bounds.check(found.values.len())?;
        Ok(found)
    }

    /// Whether several values can be searched at once.
    fn spans(&self, haystack: &Haystack) -> bool {
        match self.reach {
            Reach::Value => false,
            Reach::Separated => haystack.is_separated,
            Reach::Anything => true,
        }
    }

    /// The values are separated.
    fn is_match_in_piece(&self, haystack: &Haystack, values: Range<usize>, words: &mut [u64]) {
        if !self.spans(haystack) {
            for i in values.filter(|i| self.regex.is_match(haystack.value(*i))) {
                words[i / 64] |= 1 << (i % 64);
            }
            return;
        }
        let (mut value, mut from) = (values.start, haystack.starts[values.start] as usize);
        let piece = &haystack.bytes[..haystack.ends[values.end - 1] as usize];
        while let Some(found) = piece.get(from..).and_then(|_| self.find_at(piece, from)) {
            value = haystack.value_at(found.start, value);
            words[value / 64] |= 1 << (value % 64);
            from = haystack.ends[value] as usize + 1;
        }
    }

    /// Searches neighbouring values and keeps the matches of the selected ones.
    fn find_in_piece(
        &self,
        haystack: &Haystack,
        values: Range<usize>,
        selects: impl Fn(usize) -> bool,
        found: &mut Found,
    ) {
        let mut rest = values.clone();
        if self.spans(haystack) {
            rest = self.find_across(haystack, values, &selects, found);
        }
        for value in rest.filter(|value| selects(*value)) {
            let number = haystack.number(value);
            let text = haystack.value(value);
            let matches = self.regex.find_iter(text).filter(|m| is_between_characters(text, m.start(), m.end()));
            matches.for_each(|m| found.push(number, m.start(), m.end()));
        }
    }

    /// Searches values together; gives those that are still to be searched one by one.
    fn find_across(
        &self,
        haystack: &Haystack,
        values: Range<usize>,
        selects: impl Fn(usize) -> bool,
        found: &mut Found,
    ) -> Range<usize> {
        let mut push = |value: usize, m: &Range<usize>| {
            if selects(value) {
                let base = haystack.starts[value] as usize;
                found.push(haystack.number(value), m.start - base, m.end - base);
            }
        };
        let bytes = &haystack.bytes[..haystack.ends[values.end - 1] as usize];
        let (mut value, mut from) = (values.start, haystack.starts[values.start] as usize);
        let mut crossings = 0;
        while let Some(m) = self.find_at(bytes, from) {
            value = haystack.value_at(m.start, value);
            let (start, end) = (haystack.starts[value] as usize, haystack.ends[value] as usize);
            if start <= m.start && m.end <= end {
                push(value, &m);
                from = m.end;
                continue;
            }
            if m.end <= start {
                from = m.end;
                continue;
            }
            // The match is none of this value's, but may hide one.
            from = from.max(start);
            while let Some(m) = self.find_at(&bytes[..end], from) {
                push(value, &m);
                from = m.end;
            }
            from = end;
            crossings += 1;
            if crossings == MAX_CROSSINGS {
                return value + 1..values.end;
            }
        }
        values.end..values.end
    }

    /// The next match of a pattern that spans values; it is never empty.
    fn find_at(&self, text: &[u8], from: usize) -> Option<Range<usize>> {
        match &self.short {
            Some(short) => short.find_at(text, from),
            None => self.regex.find_at(text, from).map(|found| found.range()),
        }
    }
}

/// Whether a match is one in text: bytes have empty matches within characters, too.
fn is_between_characters(text: &[u8], start: usize, end: usize) -> bool {
    start < end || text.get(start).is_none_or(|byte| byte & 0xC0 != 0x80)
}

impl Bounds {
    fn check(self, matches: usize) -> Result<(), Overrun> {
        if matches > self.max_matches {
            return Err(Overrun::Matches(self.max_matches));
        }
        if Instant::now() >= self.deadline { Err(Overrun::Time) } else { Ok(()) }
    }
}

impl Haystack {
    /// Takes the texts of the attribute table, which has so many entries.
    pub(super) fn in_request(bytes: Bytes, texts: TextRanges, entries: usize) -> Self {
        let TextRanges { starts, ends, entries: numbers } = texts;
        Self { starts, ends, bytes, numbers: Some(numbers), end: entries, ..Self::default() }
    }

    /// Puts a separator after each value; the numbers are the positions.
    fn separate<'v>(values: impl Iterator<Item = &'v [u8]>) -> Self {
        let mut bytes = Vec::new();
        let mut haystack = Self { is_separated: true, ..Self::default() };
        for value in values {
            // A batch and the texts of a guest are far below 4 GiB.
            haystack.starts.push(bytes.len() as u32);
            bytes.extend_from_slice(value);
            haystack.ends.push(bytes.len() as u32);
            bytes.push(SEPARATOR);
        }
        haystack.bytes = bytes.into();
        haystack.end = haystack.len();
        haystack
    }

    /// The same values in the form in which a pattern finds them fastest.
    pub(super) fn fit_for(&self, pattern: &Pattern) -> &Self {
        if pattern.reach != Reach::Separated || self.is_separated {
            return self;
        }
        self.separated.get_or_init(|| {
            let values = (0..self.len()).map(|i| self.value(i));
            Box::new(Self { numbers: self.numbers.clone(), end: self.end, ..Self::separate(values) })
        })
    }

    /// Takes texts from a guest: offsets that ascend within the bytes, which are UTF-8 between any two.
    ///
    /// # Errors
    /// What is wrong with them.
    pub(super) fn from_guest(offsets: &[u32], bytes: &[u8]) -> Result<Self, &'static str> {
        let value = |pair: &[u32]| {
            let text = bytes.get(pair[0] as usize..pair[1] as usize).ok_or("offsets do not ascend within the bytes")?;
            std::str::from_utf8(text).map(str::as_bytes).map_err(|_| "a text is not UTF-8")
        };
        let values = offsets.windows(2).map(value).collect::<Result<Vec<_>, _>>()?;
        Ok(Self::separate(values.into_iter()))
    }

    /// The text with a number: empty if that has none.
    ///
    /// # Errors
    /// How many numbers there are, if this is none.
    pub(super) fn text(&self, number: u32) -> Result<&[u8], usize> {
        if number as usize >= self.end {
            return Err(self.end);
        }
        let value = match &self.numbers {
            None => Some(number as usize),
            Some(numbers) => numbers.binary_search(&number).ok(),
        };
        Ok(value.map_or(&[], |value| self.value(value)))
    }

    fn number(&self, value: usize) -> u32 {
        match &self.numbers {
            None => value as u32,
            Some(numbers) => numbers[value],
        }
    }

    /// Cuts a run of values into pieces that are searched in one go; between two of them the bounds are checked.
    fn pieces(&self, run: Range<usize>) -> impl Iterator<Item = Range<usize>> + '_ {
        let mut from = run.start;
        std::iter::from_fn(move || {
            if from >= run.end {
                return None;
            }
            let limit = self.starts[from].saturating_add(PIECE_BYTES);
            let fitting = self.ends[from..run.end].partition_point(|end| *end <= limit);
            let piece = from..from + fitting.max(1);
            from = piece.end;
            Some(piece)
        })
    }

    /// How many values there are.
    pub(super) fn len(&self) -> usize {
        self.starts.len()
    }

    /// A value.
    pub(super) fn value(&self, i: usize) -> &[u8] {
        &self.bytes[self.starts[i] as usize..self.ends[i] as usize]
    }

    /// The value in which a byte lies, or else the next one; it is not before `from`.
    fn value_at(&self, byte: usize, from: usize) -> usize {
        // Matches come in order and often stand close together, so look nearby before searching.
        let ends = &self.ends[from..];
        let mut reach = 1;
        while reach < ends.len() && ends[reach] as usize <= byte {
            reach *= 2;
        }
        let near = &ends[reach / 2..ends.len().min(reach + 1)];
        from + reach / 2 + near.partition_point(|end| *end as usize <= byte)
    }
}

impl Found {
    fn push(&mut self, number: u32, start: usize, end: usize) {
        self.values.push(number);
        self.starts.push(start as u32);
        self.ends.push(end as u32);
    }
}

/// How many values a pattern can search at once, so that what it finds is what it finds in each.
///
/// A pattern that parses in Unicode mode matches valid UTF-8 only, never the separator. An empty match could lie behind
/// the last value; an anchor or a Unicode word boundary looks at the neighbouring byte, or makes the search slow when
/// that is no UTF-8. For an ASCII word boundary the separator is what the end of the text is: no word character.
fn reach(hir: &Hir) -> Reach {
    let properties = hir.properties();
    let looks = properties.look_set();
    if !properties.is_utf8() || properties.minimum_len().is_none_or(|len| len == 0) {
        return Reach::Value;
    }
    if looks == LookSet::empty() {
        return Reach::Anything;
    }
    let ascii_words = looks.contains_word_ascii() && !looks.contains_word_unicode() && !looks.contains_anchor();
    if ascii_words { Reach::Separated } else { Reach::Value }
}

/// Stretches of selected values; short unselected ones in between are taken along.
fn runs(haystack: &Haystack, selects: impl Fn(usize) -> bool) -> Vec<Range<usize>> {
    let mut runs: Vec<Range<usize>> = Vec::new();
    for i in (0..haystack.len()).filter(|i| selects(*i)) {
        match runs.last_mut() {
            Some(run) if (haystack.starts[i] - haystack.ends[run.end - 1]) as usize <= GAP_BYTES => run.end = i + 1,
            _ => runs.push(i..i + 1),
        }
    }
    runs
}

#[cfg(test)]
mod tests;
