//! Regular expressions over whole columns of text.
//!
//! One search over all values with a separator between them lets the literal prefilters of the regex crate skip most
//! of the text. The separator is in no UTF-8 text, and no pattern in Unicode mode matches it; so a match never
//! spans two values. What looks around itself could see the separator: such a pattern runs value by value.

mod search;
mod short;
mod steps;

use std::fmt::Display;
use std::ops::Range;
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use regex::bytes::Regex;
use regex_automata::nfa::thompson::{self, WhichCaptures};
use regex_syntax::hir::{Hir, HirKind, LookSet};
use sluice_wire::{LiveRows, SeparatedTexts, TableTexts};

use search::Search;
use short::ShortPattern;
use steps::SteppedPattern;

/// Unselected values of so many bytes at most are searched along with their neighbours, rather than starting anew.
const GAP_BYTES: usize = 128;
/// The bounds are checked after about so many bytes, unless a single value has more; see `search` for these.
const PIECE_BYTES: u32 = 16 << 10;

/// What the regex crate keeps beside the automata of a pattern: faster ones, where these are small. Of a pattern with
/// groups it may have one more of up to a MiB, which is not counted: few patterns are such that it can be made.
const SMALL_AUTOMATA_BYTES: usize = 40 << 10;

/// A compiled pattern.
#[derive(Clone, Debug)]
pub(super) struct Pattern {
    regex: Regex,
    whole_column: bool,
    /// A faster way for whole columns.
    short: Option<Box<ShortPattern>>,
    /// A way that can be stopped; made when it is needed first, none if it can't be.
    stepped: OnceLock<Option<Box<SteppedPattern>>>,
    /// How many bytes, classes and repetitions of them a search may stand at, all at the same time.
    positions: u64,
    /// The longest match, if that is bounded.
    longest: Option<usize>,
    /// What the automata of the regex crate take.
    automata_bytes: usize,
}

/// Values one after the other, a separator after each.
#[derive(Clone, Debug, Default)]
pub(super) struct Haystack {
    values: Values,
    /// The number that each value is known by, ascending; none if it is the position.
    numbers: Option<Arc<[u32]>>,
    /// All numbers are below it.
    end: usize,
}

#[derive(Clone, Debug)]
enum Values {
    Own(Arc<SeparatedTexts>),
    /// Those of a table, of which some may not be alive.
    OfTable(Arc<TableTexts>, LiveRows),
}

/// Where a pattern matches; one entry per match.
#[derive(Debug, Default, PartialEq, Eq)]
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
        let hir = regex_syntax::ParserBuilder::new().build().parse(pattern).map_err(|error| mistake(&error))?;
        let regex = Regex::new(pattern).map_err(|error| error.to_string())?;
        let whole_column = is_safe_across_values(&hir);
        let short = whole_column.then(|| ShortPattern::new(&hir)).flatten().map(Box::new);
        let (positions, longest) = (positions(&hir).max(1), hir.properties().maximum_len());
        let automata_bytes = automata_bytes(&hir);
        let stepped = OnceLock::new();
        let pattern = Self { regex, whole_column, short, stepped, positions, longest, automata_bytes };
        if pattern.is_often_stepped() {
            pattern.stepped();
        }
        Ok(Arc::new(pattern))
    }

    /// What it takes in memory, but for what searches add.
    pub(super) fn size_bytes(&self) -> usize {
        let short = self.short.as_ref().map_or(0, |short| short.size_bytes());
        // A way that can be stopped has the same automata once more.
        let times = if self.may_be_stepped() { 2 } else { 1 };
        SMALL_AUTOMATA_BYTES + short + times * self.automata_bytes
    }

    /// Which values match, as bits.
    ///
    /// # Errors
    /// If it takes too long.
    pub(super) fn is_match(&self, haystack: &Haystack, bounds: Bounds) -> Result<Vec<u64>, Overrun> {
        let mut words = vec![0; haystack.len().div_ceil(64)];
        let mut search = Search::new(self, bounds);
        for piece in haystack.pieces(0..haystack.len()) {
            bounds.check(0)?;
            self.is_match_in_piece(haystack, piece, &mut search, &mut words)?;
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
        let runs = if selected.is_some() { runs(haystack, selects) } else { haystack.live_runs() };
        let offsets = haystack.texts().offsets();
        let mut unchecked = PIECE_BYTES;
        let mut search = Search::new(self, bounds);
        for piece in runs.into_iter().flat_map(|run| haystack.pieces(run)) {
            if unchecked >= PIECE_BYTES {
                bounds.check(found.values.len())?;
                unchecked = 0;
            }
            unchecked += offsets[piece.end] - offsets[piece.start];
            self.find_in_piece(haystack, piece, selects, &mut search, &mut found)?;
        }
        bounds.check(found.values.len())?;
        Ok(found)
    }

    fn is_match_in_piece(
        &self,
        haystack: &Haystack,
        values: Range<usize>,
        search: &mut Search<'_>,
        words: &mut [u64],
    ) -> Result<(), Overrun> {
        if !self.whole_column {
            for i in values {
                if search.is_match(haystack.value(i))? {
                    words[i / 64] |= 1 << (i % 64);
                }
            }
            return Ok(());
        }
        let texts = haystack.texts();
        let offsets = texts.offsets();
        let (mut value, mut from) = (values.start, offsets[values.start] as usize);
        let piece = &texts.bytes()[..offsets[values.end] as usize];
        while let Some(found) = search.find_at(piece, from)? {
            value = value_at(offsets, found.start, value);
            words[value / 64] |= 1 << (value % 64);
            from = offsets[value + 1] as usize;
        }
        Ok(())
    }

    /// Searches neighbouring values and keeps the matches of the selected ones.
    fn find_in_piece(
        &self,
        haystack: &Haystack,
        values: Range<usize>,
        selects: impl Fn(usize) -> bool,
        search: &mut Search<'_>,
        found: &mut Found,
    ) -> Result<(), Overrun> {
        let selects = |value: usize| selects(value) && haystack.is_live(value);
        if !self.whole_column {
            for value in values.filter(|value| selects(*value)) {
                find_in_value(haystack.number(value), haystack.value(value), search, found)?;
            }
            return Ok(());
        }
        let mut value = values.start;
        let texts = haystack.texts();
        let offsets = texts.offsets();
        let (start, end) = (offsets[values.start] as usize, offsets[values.end] as usize);
        let text = &texts.bytes()[start..end];
        let mut from = 0;
        while let Some(m) = search.find_at(text, from)? {
            search.after_match(text.len() - m.end, found)?;
            value = value_at(offsets, start + m.start, value);
            if selects(value) {
                let base = offsets[value] as usize - start;
                found.push(haystack.number(value), m.start - base, m.end - base);
            }
            from = m.end;
        }
        Ok(())
    }

    fn stepped(&self) -> Option<&SteppedPattern> {
        let hir = || regex_syntax::parse(self.regex.as_str()).ok();
        self.stepped.get_or_init(|| SteppedPattern::new(&hir()?).map(Box::new)).as_deref()
    }
}

/// The matches of one value, as `Regex::find_iter` has them: an empty one does not follow at the end of another.
fn find_in_value(number: u32, text: &[u8], search: &mut Search<'_>, found: &mut Found) -> Result<(), Overrun> {
    let (mut from, mut last_end) = (0, None);
    while from <= text.len()
        && let Some(m) = search.find_at(text, from)?
    {
        if m.is_empty() && last_end == Some(m.end) {
            from = m.end + 1;
            continue;
        }
        search.after_match(text.len() - m.end, found)?;
        if is_between_characters(text, m.start, m.end) {
            found.push(number, m.start, m.end);
        }
        (from, last_end) = (m.end, Some(m.end));
    }
    Ok(())
}

/// What is wrong with a pattern, in one line: messages stand in lists and logs.
fn mistake(error: &regex_syntax::Error) -> String {
    let (what, place): (&dyn Display, _) = match error {
        regex_syntax::Error::Parse(error) => (error.kind(), error.span()),
        regex_syntax::Error::Translate(error) => (error.kind(), error.span()),
        error => return error.to_string(),
    };
    format!("{what} at character {}", place.start.column)
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
    /// Takes the texts of an attribute table that has no others.
    pub(super) fn of_table(texts: Arc<TableTexts>, live: LiveRows) -> Self {
        let end = texts.texts().len();
        Self { values: Values::OfTable(texts, live), numbers: None, end }
    }

    /// Takes those entries of an attribute table that are texts; in all it has so many.
    pub(super) fn of_entries(texts: SeparatedTexts, numbers: Vec<u32>, entries: usize) -> Self {
        Self { values: Values::Own(Arc::new(texts)), numbers: Some(numbers.into()), end: entries }
    }

    /// Takes texts as they are.
    fn of(texts: SeparatedTexts) -> Self {
        let end = texts.len();
        Self { values: Values::Own(Arc::new(texts)), numbers: None, end }
    }

    /// Takes texts from a guest: offsets that ascend within the bytes, which are UTF-8 between any two.
    ///
    /// # Errors
    /// What is wrong with them.
    pub(super) fn from_guest(offsets: &[u32], bytes: &[u8]) -> Result<Self, &'static str> {
        let mut texts = SeparatedTexts::default();
        for pair in offsets.windows(2) {
            let value =
                bytes.get(pair[0] as usize..pair[1] as usize).ok_or("offsets do not ascend within the bytes")?;
            texts.push(std::str::from_utf8(value).map_err(|_| "a text is not UTF-8")?.as_bytes());
        }
        Ok(Self::of(texts))
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
        Ok(value.filter(|value| self.is_live(*value)).map_or(&[], |value| self.value(value)))
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
            let offsets = self.texts().offsets();
            let limit = offsets[from].saturating_add(PIECE_BYTES);
            let fitting = offsets[from + 1..=run.end].partition_point(|end| *end <= limit);
            let piece = from..from + fitting.max(1);
            from = piece.end;
            Some(piece)
        })
    }

    fn texts(&self) -> &SeparatedTexts {
        match &self.values {
            Values::Own(texts) => texts,
            Values::OfTable(table, _) => table.texts(),
        }
    }

    /// Stretches of values without most of those that may not be found.
    fn live_runs(&self) -> Vec<Range<usize>> {
        match &self.values {
            Values::OfTable(table, live) if !live.is_all() => table.live_runs(live),
            _ => std::iter::once(0..self.len()).collect(),
        }
    }

    /// Whether a value is one of those that may be found.
    fn is_live(&self, value: usize) -> bool {
        match &self.values {
            Values::Own(_) => true,
            Values::OfTable(table, live) => table.is_live(value, live),
        }
    }

    /// How many values there are.
    pub(super) fn len(&self) -> usize {
        self.texts().len()
    }

    /// A value.
    pub(super) fn value(&self, i: usize) -> &[u8] {
        let (offsets, bytes) = (self.texts().offsets(), self.texts().bytes());
        &bytes[offsets[i] as usize..offsets[i + 1] as usize - 1]
    }
}

impl Default for Values {
    fn default() -> Self {
        Self::Own(Arc::default())
    }
}

/// The value in which a byte lies; it is not before `from`.
fn value_at(offsets: &[u32], byte: usize, from: usize) -> usize {
    // Matches come in order and often stand close together, so look nearby before searching.
    let ends = &offsets[from + 1..];
    let mut reach = 1;
    while reach < ends.len() && ends[reach] as usize <= byte {
        reach *= 2;
    }
    let near = &ends[reach / 2..ends.len().min(reach + 1)];
    from + reach / 2 + near.partition_point(|end| *end as usize <= byte)
}

impl Found {
    fn push(&mut self, number: u32, start: usize, end: usize) {
        self.values.push(number);
        self.starts.push(start as u32);
        self.ends.push(end as u32);
    }
}

/// What the regex crate keeps of a pattern: an automaton for each direction. The one that goes back can be much larger.
fn automata_bytes(hir: &Hir) -> usize {
    let bytes = |config: thompson::Config| {
        let nfa = thompson::Compiler::new().configure(config.utf8(false)).build_from_hir(hir);
        nfa.map_or(0, |nfa| nfa.memory_usage())
    };
    let backward = thompson::Config::new().reverse(true).which_captures(WhichCaptures::None);
    bytes(thompson::Config::new()) + bytes(backward)
}

/// At how many places of a pattern a search may stand at the same time: the slowest way goes through all for each byte.
fn positions(hir: &Hir) -> u64 {
    match hir.kind() {
        HirKind::Empty | HirKind::Look(_) => 0,
        HirKind::Literal(literal) => literal.0.len() as u64,
        HirKind::Class(_) => 1,
        HirKind::Repetition(repeated) => {
            let times = repeated.max.unwrap_or(repeated.min.max(1));
            positions(&repeated.sub).saturating_mul(times.into())
        }
        HirKind::Capture(capture) => positions(&capture.sub),
        HirKind::Concat(parts) | HirKind::Alternation(parts) => {
            parts.iter().map(positions).fold(0, u64::saturating_add)
        }
    }
}

/// Whether the matches over separated values are those of each value.
///
/// A pattern that parses in Unicode mode matches valid UTF-8 only, never the separator. An empty match could lie behind
/// the last value; an anchor or a Unicode word boundary looks at the neighbouring byte, or makes the search slow when
/// that is no UTF-8. For an ASCII word boundary the separator is what the end of the text is: no word character.
fn is_safe_across_values(hir: &Hir) -> bool {
    let properties = hir.properties();
    let looks = properties.look_set();
    let ascii_words = looks.contains_word_ascii() && !looks.contains_word_unicode() && !looks.contains_anchor();
    properties.is_utf8()
        && properties.minimum_len().is_some_and(|len| len > 0)
        && (looks == LookSet::empty() || ascii_words)
}

/// Stretches of selected values; short unselected ones in between are taken along.
fn runs(haystack: &Haystack, selects: impl Fn(usize) -> bool) -> Vec<Range<usize>> {
    let offsets = haystack.texts().offsets();
    let mut runs: Vec<Range<usize>> = Vec::new();
    for i in (0..haystack.len()).filter(|i| selects(*i)) {
        match runs.last_mut() {
            Some(run) if (offsets[i] - offsets[run.end]) as usize <= GAP_BYTES => run.end = i + 1,
            _ => runs.push(i..i + 1),
        }
    }
    runs
}

#[cfg(test)]
mod tests;
