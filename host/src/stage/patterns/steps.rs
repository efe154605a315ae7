//! Finds the same as the regex crate, with a look at the clock now and then.
//!
//! A search of the regex crate can't be stopped, and takes microseconds a byte where a pattern has too many states for
//! its lazy automata. Here the same automata are walked byte by byte. They give up nowhere but at a Unicode word boundary
//! in text that is not ASCII, which they can't decide.

use std::ops::Range;
use std::time::Instant;

use regex_automata::hybrid::LazyStateID;
use regex_automata::hybrid::dfa::{Cache, DFA};
use regex_automata::nfa::thompson::{self, WhichCaptures};
use regex_automata::util::prefilter::Prefilter;
use regex_automata::{Anchored, Input, MatchKind};
use regex_syntax::hir::Hir;

/// Bytes between two looks at the clock: each may take as long as all positions of a pattern.
const BYTES_BETWEEN_LOOKS: usize = 64;

/// A pattern as two automata: one finds the end of a match, the other goes back to its start.
#[derive(Clone, Debug)]
pub(super) struct SteppedPattern {
    forward: DFA,
    backward: DFA,
    /// Finds what matches begin with.
    first: Option<Prefilter>,
}

/// Why a search was stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stop {
    /// The deadline came.
    Late,
    /// The automata can't decide.
    Undecided,
}

/// The states that a search has met; they are worth keeping from one match to the next.
pub(super) struct States {
    forward: Cache,
    backward: Cache,
}

impl SteppedPattern {
    /// None if the pattern is too large for such automata.
    pub(super) fn new(hir: &Hir) -> Option<Self> {
        let first = Prefilter::from_hir_prefix(MatchKind::LeftmostFirst, hir);
        let forward = DFA::config().match_kind(MatchKind::LeftmostFirst).specialize_start_states(first.is_some());
        let backward = DFA::config().match_kind(MatchKind::All);
        let automaton = |config, backward| {
            let nfa = thompson::Config::new().utf8(false).which_captures(WhichCaptures::None).reverse(backward);
            let nfa = thompson::Compiler::new().configure(nfa).build_from_hir(hir).ok()?;
            DFA::builder().configure(config).build_from_nfa(nfa).ok()
        };
        let config = |config: regex_automata::hybrid::dfa::Config| {
            config.unicode_word_boundary(true).skip_cache_capacity_check(true)
        };
        Some(Self { forward: automaton(config(forward), false)?, backward: automaton(config(backward), true)?, first })
    }

    /// What it takes in memory, but for what searches add.
    #[cfg(test)]
    pub(super) fn size_bytes(&self) -> usize {
        self.forward.get_nfa().memory_usage() + self.backward.get_nfa().memory_usage()
    }

    /// No states yet.
    pub(super) fn states(&self) -> States {
        States { forward: self.forward.create_cache(), backward: self.backward.create_cache() }
    }

    /// The leftmost match that starts at `from` or later.
    ///
    /// # Errors
    /// If the deadline comes, or the automata can't decide.
    pub(super) fn find_at(
        &self,
        states: &mut States,
        text: &[u8],
        from: usize,
        deadline: Instant,
    ) -> Result<Option<Range<usize>>, Stop> {
        let Some(end) = self.end(&mut states.forward, text, from, deadline)? else { return Ok(None) };
        self.start(&mut states.backward, text, from..end, deadline).map(|start| start.map(|start| start..end))
    }

    /// Where the leftmost match ends. An automaton tells of a match when it sees the byte behind it.
    fn end(&self, states: &mut Cache, text: &[u8], from: usize, deadline: Instant) -> Result<Option<usize>, Stop> {
        let automaton = &self.forward;
        let begin = |states: &mut Cache, at: usize| {
            automaton.start_state_forward(states, &Input::new(text).range(at..)).map_err(|_| Stop::Undecided)
        };
        let Some(mut at) = self.candidate(text, from) else { return Ok(None) };
        let (mut state, mut end, mut looked) = (begin(states, at)?, None, at);
        while at < text.len() {
            look(at - looked, &mut looked, at, deadline)?;
            state = next(automaton, states, state, text[at])?;
            if state.is_match() {
                end = Some(at);
            } else if state.is_dead() {
                return Ok(end);
            } else if state.is_start() && self.first.is_some() {
                let Some(candidate) = self.candidate(text, at + 1) else { return Ok(end) };
                if candidate > at + 1 {
                    (at, state) = (candidate, begin(states, candidate)?);
                    continue;
                }
            }
            at += 1;
        }
        let last = automaton.next_eoi_state(states, state).map_err(|_| Stop::Undecided)?;
        Ok(if last.is_match() { Some(text.len()) } else { end })
    }

    /// The next place at which a match can begin.
    fn candidate(&self, text: &[u8], from: usize) -> Option<usize> {
        match &self.first {
            Some(first) => first.find(text, (from..text.len()).into()).map(|found| found.start),
            None => Some(from),
        }
    }

    /// Where the match begins that ends at the end of a range.
    fn start(
        &self,
        states: &mut Cache,
        text: &[u8],
        range: Range<usize>,
        deadline: Instant,
    ) -> Result<Option<usize>, Stop> {
        let automaton = &self.backward;
        let input = Input::new(text).range(range.clone()).anchored(Anchored::Yes);
        let mut state = automaton.start_state_reverse(states, &input).map_err(|_| Stop::Undecided)?;
        let (mut start, mut looked) = (None, range.end);
        for at in range.clone().rev() {
            look(looked - at, &mut looked, at, deadline)?;
            state = next(automaton, states, state, text[at])?;
            if state.is_match() {
                start = Some(at + 1);
            } else if state.is_dead() {
                return Ok(start);
            }
        }
        let last = match range.start.checked_sub(1) {
            Some(before) => next(automaton, states, state, text[before])?,
            None => automaton.next_eoi_state(states, state).map_err(|_| Stop::Undecided)?,
        };
        Ok(if last.is_match() { Some(range.start) } else { start })
    }
}

fn next(automaton: &DFA, states: &mut Cache, state: LazyStateID, byte: u8) -> Result<LazyStateID, Stop> {
    match automaton.next_state(states, state, byte) {
        Ok(next) if !next.is_quit() => Ok(next),
        _ => Err(Stop::Undecided),
    }
}

/// Looks at the clock after so many bytes.
fn look(bytes: usize, looked: &mut usize, at: usize, deadline: Instant) -> Result<(), Stop> {
    if bytes < BYTES_BETWEEN_LOOKS {
        return Ok(());
    }
    *looked = at;
    if Instant::now() >= deadline { Err(Stop::Late) } else { Ok(()) }
}
