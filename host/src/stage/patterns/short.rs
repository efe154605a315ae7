//! Finds short matches that begin with one of few bytes, as card numbers and access keys do.
//!
//! The regex crate looks for a match's end first and then back for its start, with some preparation for each, which
//! takes longer than reading the few bytes. Here an anchored automaton tries each place with a possible first byte. At
//! every place that takes as long as the longest match at most, hence only for patterns whose matches are short.
//!
//! An automaton has to wait for each state before it can look up the next. But as long as all bytes that it can go on
//! with lead to one state, as in `4[0-9]{12}`, there is nothing to wait for: these bytes are checked side by side.

use memchr::{memchr, memchr2, memchr3};
use regex_automata::dfa::{Automaton, StartKind, dense};
use regex_automata::nfa::thompson::{self, WhichCaptures};
use regex_automata::util::primitives::StateID;
use regex_automata::{Anchored, Input};
use regex_syntax::hir::Hir;
use std::ops::Range;

/// The longest match may have so many bytes.
const MAX_MATCH_BYTES: usize = 64;
/// An automaton may take so many bytes, while it is made and afterwards.
const MAX_AUTOMATON_BYTES: usize = 256 << 10;

/// A pattern for which this is the better way.
#[derive(Clone, Debug)]
pub(super) struct ShortPattern {
    automaton: dense::DFA<Vec<u32>>,
    first: FirstBytes,
    prefix: Prefix,
    longest: usize,
}

/// What every match begins with: so many bytes, each of its own class.
#[derive(Clone, Debug)]
struct Prefix {
    /// For each byte the positions at which it may stand, as bits.
    positions: [u32; 256],
    length: usize,
    /// The automaton's state behind it.
    state: StateID,
}

/// What a match can begin with.
#[derive(Clone, Copy, Debug)]
enum FirstBytes {
    One(u8),
    Two(u8, u8),
    Three(u8, u8, u8),
}

impl ShortPattern {
    /// None if the pattern's matches can be long or empty, begin with many bytes, or depend on what is around them.
    pub(super) fn new(hir: &Hir) -> Option<Self> {
        let properties = hir.properties();
        let longest = properties.maximum_len().filter(|len| *len <= MAX_MATCH_BYTES)?;
        if !properties.look_set().is_empty() || properties.minimum_len()? == 0 {
            return None;
        }
        let captures = thompson::Config::new().which_captures(WhichCaptures::None);
        let nfa = thompson::Compiler::new().configure(captures).build_from_hir(hir).ok()?;
        let config = dense::Config::new()
            .start_kind(StartKind::Anchored)
            .dfa_size_limit(Some(MAX_AUTOMATON_BYTES))
            .determinize_size_limit(Some(MAX_AUTOMATON_BYTES));
        let automaton = dense::Builder::new().configure(config).build_from_nfa(&nfa).ok()?;
        let start = automaton.start_state_forward(&Input::new(b"").anchored(Anchored::Yes)).ok()?;
        let first = FirstBytes::of(&automaton, start)?;
        let prefix = Prefix::of(&automaton, start);
        Some(Self { automaton, first, prefix, longest })
    }

    /// What it takes in memory.
    pub(super) fn size_bytes(&self) -> usize {
        size_of::<Self>() + self.automaton.memory_usage()
    }

    /// The leftmost match that starts at `from` or later.
    pub(super) fn find_at(&self, text: &[u8], mut from: usize) -> Option<Range<usize>> {
        while let Some(skipped) = self.first.find(&text[from..]) {
            let start = from + skipped;
            let rest = &text[start..text.len().min(start + self.longest)];
            if self.prefix.matches(rest)
                && let Some(length) = self.length_of_match(rest)
            {
                return Some(start..start + length);
            }
            from = start + 1;
        }
        None
    }

    /// The length of the match that begins with these bytes; they begin with the prefix.
    fn length_of_match(&self, bytes: &[u8]) -> Option<usize> {
        let automaton = &self.automaton;
        let (mut state, mut length) = (self.prefix.state, None);
        for (at, byte) in bytes.iter().enumerate().skip(self.prefix.length) {
            state = automaton.next_state(state, *byte);
            if automaton.is_special_state(state) {
                if automaton.is_dead_state(state) {
                    return length;
                }
                // It tells of a match when it sees the byte behind it.
                length = if automaton.is_match_state(state) { Some(at) } else { length };
            }
        }
        match automaton.is_match_state(automaton.next_eoi_state(state)) {
            true => Some(bytes.len()),
            false => length,
        }
    }
}

impl Prefix {
    fn of(automaton: &dense::DFA<Vec<u32>>, start: StateID) -> Self {
        let mut prefix = Self { positions: [0; 256], length: 0, state: start };
        while prefix.length < 32 {
            let next = |byte: u8| automaton.next_state(prefix.state, byte);
            let mut live = (0..=u8::MAX).filter(|byte| !automaton.is_dead_state(next(*byte)));
            let Some(state) = live.next().map(next) else { break };
            if automaton.is_match_state(state) || live.any(|byte| next(byte) != state) {
                break;
            }
            let positions = &mut prefix.positions;
            let goes_on = (0..=u8::MAX).filter(|byte| automaton.next_state(prefix.state, *byte) == state);
            goes_on.for_each(|byte| positions[usize::from(byte)] |= 1 << prefix.length);
            (prefix.length, prefix.state) = (prefix.length + 1, state);
        }
        prefix
    }

    #[inline]
    fn matches(&self, bytes: &[u8]) -> bool {
        let Some(bytes) = bytes.get(..self.length) else { return false };
        let at = |(position, byte): (usize, &u8)| self.positions[usize::from(*byte)] >> position & 1;
        // The last byte alone tells of most places that they won't do.
        let fits_at_last = bytes.iter().enumerate().next_back().is_none_or(|last| at(last) == 1);
        fits_at_last && bytes.iter().enumerate().map(at).fold(1, |all, here| all & here) == 1
    }
}

impl FirstBytes {
    fn of(automaton: &dense::DFA<Vec<u32>>, start: StateID) -> Option<Self> {
        let begins = |byte: &u8| !automaton.is_dead_state(automaton.next_state(start, *byte));
        let bytes: Vec<u8> = (0..=u8::MAX).filter(begins).take(4).collect();
        match bytes[..] {
            [a] => Some(Self::One(a)),
            [a, b] => Some(Self::Two(a, b)),
            [a, b, c] => Some(Self::Three(a, b, c)),
            _ => None,
        }
    }

    fn find(self, text: &[u8]) -> Option<usize> {
        match self {
            Self::One(a) => memchr(a, text),
            Self::Two(a, b) => memchr2(a, b, text),
            Self::Three(a, b, c) => memchr3(a, b, c, text),
        }
    }
}
