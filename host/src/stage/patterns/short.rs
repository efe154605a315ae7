//! Finds short matches that begin with one of few bytes, as card numbers and access keys do.
//!
//! The regex crate looks for a match's end first and then back for its start, with some preparation for each, which
//! takes longer than reading the few bytes. Here an anchored automaton tries each place with a possible first byte. At
//! every place that takes as long as the longest match at most, hence only for patterns whose matches are short.

use memchr::{memchr, memchr2, memchr3};
use regex_automata::dfa::{Automaton, StartKind, dense};
use regex_automata::nfa::thompson::{self, WhichCaptures};
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
    longest: usize,
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
        let first = FirstBytes::of(&automaton)?;
        Some(Self { automaton, first, longest })
    }

    /// The leftmost match that starts at `from` or later.
    pub(super) fn find_at(&self, text: &[u8], mut from: usize) -> Option<Range<usize>> {
        while let Some(length) = self.first.find(&text[from..]) {
            let start = from + length;
            let end = text.len().min(start + self.longest);
            let input = Input::new(text).range(start..end).anchored(Anchored::Yes);
            // No byte makes this automaton give up.
            if let Ok(Some(found)) = self.automaton.try_search_fwd(&input) {
                return Some(start..found.offset());
            }
            from = start + 1;
        }
        None
    }
}

impl FirstBytes {
    fn of(automaton: &dense::DFA<Vec<u32>>) -> Option<Self> {
        let start = automaton.start_state_forward(&Input::new(b"").anchored(Anchored::Yes)).ok()?;
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
