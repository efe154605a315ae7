//! One search of a pattern, which comes to an end in time however its text is made.
//!
//! The regex crate is fast with nearly all texts, but it can't be stopped, and where its automata get too many states
//! it tries all positions of a pattern at every byte. Whoever sends the text decides which it is. So it gets as much
//! text as it could go through even so; a match whose length is bounded is looked for in stretches, and any other step
//! by step.

use std::ops::Range;
use std::time::{Duration, Instant};

use super::steps::{States, Stop};
use super::{Bounds, Found, Overrun, Pattern};

/// What the regex crate takes for a byte and a position, where it has to try all of them.
const NANOS_PER_POSITION: u64 = 3;
/// What may be begun without a look at the clock.
const SHORT_NANOS: u64 = 5_000_000;
/// What a call gets at most, but for single records that are larger; and half of the time that it has.
const LARGE_BYTES: u64 = 1 << 20;
const LARGE_NANOS: u64 = 50_000_000;
/// What is behind a match can decide on it: a word ends, or a character of so many bytes goes on with it.
const LOOK_AHEAD_BYTES: usize = 4;

/// A search, and what it keeps from one match to the next.
pub(super) struct Search<'a> {
    pattern: &'a Pattern,
    bounds: Bounds,
    states: Option<States>,
    nanos_per_byte: u64,
    /// What it may have taken since the bounds were checked.
    unchecked_nanos: u64,
}

impl<'a> Search<'a> {
    pub(super) fn new(pattern: &'a Pattern, bounds: Bounds) -> Self {
        Self { pattern, bounds, states: None, nanos_per_byte: pattern.nanos_per_byte(), unchecked_nanos: 0 }
    }

    /// Whether a text has a match.
    pub(super) fn is_match(&mut self, text: &[u8]) -> Result<bool, Overrun> {
        match self.is_in_time(text.len()) {
            true => Ok(self.pattern.regex.is_match(text)),
            false => Ok(self.find_at(text, 0)?.is_some()),
        }
    }

    /// The leftmost match that starts at `from` or later.
    #[inline]
    pub(super) fn find_at(&mut self, text: &[u8], from: usize) -> Result<Option<Range<usize>>, Overrun> {
        if self.is_in_time(text.len() - from) {
            return Ok(self.pattern.find_at(text, from));
        }
        self.find_in_long(text, from)
    }

    #[cold]
    fn find_in_long(&mut self, text: &[u8], from: usize) -> Result<Option<Range<usize>>, Overrun> {
        match self.pattern.stretch() {
            Some((stretch, longest)) => self.find_in_stretches(text, from, stretch, longest),
            None => self.find_in_steps(text, from),
        }
    }

    /// Looks at the bounds now and then, wherever matches are: a single value may have very many, and for some patterns
    /// each search goes through all that is left of it.
    #[inline]
    pub(super) fn after_match(&mut self, left_bytes: usize, found: &Found) -> Result<(), Overrun> {
        self.unchecked_nanos = self.unchecked_nanos.saturating_add(SHORT_NANOS / 64 + self.nanos(left_bytes));
        if self.unchecked_nanos < SHORT_NANOS {
            return Ok(());
        }
        self.unchecked_nanos = 0;
        self.bounds.check(found.values.len())
    }

    /// What so much text takes at most.
    #[inline]
    fn nanos(&self, bytes: usize) -> u64 {
        (bytes as u64).saturating_mul(self.nanos_per_byte)
    }

    /// Whether so much text can be gone through in one go, even if it is made to take long.
    #[inline]
    fn is_in_time(&self, bytes: usize) -> bool {
        let nanos = self.nanos(bytes);
        nanos <= SHORT_NANOS
            || Duration::from_nanos(nanos) <= self.bounds.deadline.saturating_duration_since(Instant::now())
    }

    /// Every match that starts in a stretch ends, with all that can decide on it, in what is searched along with it.
    pub(super) fn find_in_stretches(
        &self,
        text: &[u8],
        mut from: usize,
        stretch: usize,
        longest: usize,
    ) -> Result<Option<Range<usize>>, Overrun> {
        loop {
            self.bounds.check(0)?;
            let end = text.len().min(from + stretch + longest + LOOK_AHEAD_BYTES);
            let found = self.pattern.find_at(&text[..end], from);
            if end == text.len() || found.as_ref().is_some_and(|found| found.start < from + stretch) {
                return Ok(found);
            }
            from += stretch;
        }
    }

    pub(super) fn find_in_steps(&mut self, text: &[u8], from: usize) -> Result<Option<Range<usize>>, Overrun> {
        let stepped = self.pattern.stepped().ok_or(Overrun::Time)?;
        let states = self.states.get_or_insert_with(|| stepped.states());
        match stepped.find_at(states, text, from, self.bounds.deadline) {
            Ok(found) => Ok(found),
            Err(Stop::Late) => Err(Overrun::Time),
            // Only the way that can't be stopped is left.
            Err(Stop::Undecided) => Ok(self.pattern.find_at(text, from)),
        }
    }
}

impl Pattern {
    fn nanos_per_byte(&self) -> u64 {
        self.positions.saturating_mul(NANOS_PER_POSITION)
    }

    /// How much of a long text is searched in one go, and how long a match is at most; none if matches are too long.
    fn stretch(&self) -> Option<(usize, usize)> {
        let stretch = (SHORT_NANOS / self.nanos_per_byte()) as usize;
        self.longest.filter(|longest| *longest <= stretch / 2).map(|longest| (stretch, longest))
    }

    /// Whether a search may have to go step by step.
    pub(super) fn may_be_stepped(&self) -> bool {
        self.stretch().is_none()
    }

    /// Whether a call may well have to search step by step: it should not have to wait until that can be done.
    pub(super) fn is_often_stepped(&self) -> bool {
        self.may_be_stepped() && self.nanos_per_byte().saturating_mul(LARGE_BYTES) > LARGE_NANOS
    }

    /// The leftmost match that starts at `from` or later, in one go.
    #[inline]
    pub(super) fn find_at(&self, text: &[u8], from: usize) -> Option<Range<usize>> {
        match &self.short {
            Some(short) => short.find_at(text, from),
            None => self.regex.find_at(text, from).map(|found| found.range()),
        }
    }
}
