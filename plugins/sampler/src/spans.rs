//! Spans: randomness from trace id or tracestate, the decision written to the tracestate.

use sluice_sdk::{Batch, Bitmap, Bytes, F64, Field, Outcome, S64, Setup, Text, Texts, Writes};

use crate::policy::{Evidence, Mode, Policy, Verdict};
use crate::priority::Priority;
use crate::threshold::{Randomness, Threshold};
use crate::tracestate::TraceState;

/// How many trace ids are hashed side by side.
const LANES: usize = 4;

/// Samples spans.
#[derive(Debug)]
pub(crate) struct Spans {
    policy: Policy,
    ids: Bytes,
    states: Text,
    priorities: Priorities,
    /// For the tracestates that are not empty.
    state: TraceState,
}

/// The attribute `sampling.priority`, which may be any kind of number.
#[derive(Clone, Copy, Debug)]
struct Priorities {
    integer: S64,
    double: F64,
    text: Text,
}

/// The answer while it grows.
struct Answer {
    keep: Bitmap,
    /// Rows whose tracestate becomes `texts`.
    written: Vec<u32>,
    texts: Texts,
    /// Rows whose tracestate was empty and becomes the same everywhere, because no randomness is written.
    alike: Option<Bitmap>,
    /// The threshold for a row that arrives with none, and how it is written.
    threshold: Threshold,
    member: String,
    faulty: u64,
}

fn trace_state() -> Field {
    Field::record_intrinsic("trace_state")
}

impl Spans {
    /// Declares what is read.
    pub(crate) fn new(policy: Policy, setup: &mut Setup) -> Self {
        let priority = || Field::record("sampling.priority");
        setup.writes(Writes::Fields(vec![trace_state()]));
        Self {
            policy,
            ids: setup.bytes(Field::record_intrinsic("trace_id")),
            states: setup.text(trace_state()),
            priorities: Priorities {
                integer: setup.s64(priority()),
                double: setup.f64(priority()),
                text: setup.text(priority()),
            },
            state: TraceState::default(),
        }
    }

    /// Decides about all spans of a batch; also says about how many it could not decide by the rules.
    pub(crate) fn process(&mut self, batch: &Batch) -> (Outcome, u64) {
        let (ids, states) = (batch.bytes(self.ids), batch.text(self.states));
        let mut answer = Answer::new(batch.rows(), &self.policy);
        for first in (0..batch.rows()).step_by(LANES) {
            let ids: [&[u8; 16]; LANES] = std::array::from_fn(|lane| {
                let row = first + lane;
                // A trace id of another length is as good as none.
                let id = (row < batch.rows()).then(|| ids.get(row)).flatten();
                id.and_then(|id| id.try_into().ok()).unwrap_or(&NO_ID)
            });
            let draws = self.draw(ids);
            for row in first..batch.rows().min(first + LANES) {
                let randomness = (*ids[row - first] != NO_ID).then_some(draws[row - first]);
                let priority = self.priorities.get(batch, row);
                let state = states.get(row).unwrap_or_default();
                match randomness {
                    Some(randomness) if priority.is_none() && state.is_empty() => {
                        answer.decide_plain(row, randomness);
                    }
                    _ => self.decide(row, randomness, state, priority, &mut answer),
                }
            }
        }
        answer.into_outcome()
    }

    /// The randomness that each trace id stands for.
    fn draw(&self, ids: [&[u8; 16]; LANES]) -> [Randomness; LANES] {
        if self.policy.hashes() {
            self.policy.hash.hash_ids(ids).map(Randomness::from_hash)
        } else {
            ids.map(Randomness::from_trace_id)
        }
    }

    /// Decides about a span with a tracestate, a priority, or without trace id.
    fn decide(
        &mut self,
        row: usize,
        drawn: Option<Randomness>,
        text: &str,
        priority: Option<Priority>,
        answer: &mut Answer,
    ) {
        let malformed = self.state.read(text).is_err();
        let evidence = self.evidence(drawn, malformed);
        let forced = priority.map(|priority| match priority {
            Priority::Keep => Threshold::ALWAYS,
            Priority::Drop => Threshold::NEVER,
        });
        let (verdict, faulty) = self.policy.judge(evidence, forced);
        answer.faulty += u64::from(faulty);
        let threshold = match verdict {
            Verdict::Drop => return,
            Verdict::Keep => return answer.keep.set(row),
            Verdict::KeepThreshold => None,
            Verdict::Write(threshold) => Some(threshold),
        };
        answer.keep.set(row);
        // Where there was nothing to hash, contrib's sampler writes the highest randomness.
        let randomness = self.policy.hashes().then_some(drawn.unwrap_or(Randomness::HIGHEST));
        self.state.write(text, randomness, threshold, &mut answer.texts.bytes);
        answer.finish(row);
    }

    fn evidence(&self, drawn: Option<Randomness>, malformed: bool) -> Evidence {
        let (explicit, threshold) = (self.state.randomness(), self.state.threshold());
        match self.policy.mode {
            // It asks for no randomness, and writes even what it could not read completely.
            Mode::Never => {
                Evidence { randomness: Some(Randomness::HIGHEST), threshold, writable: true, faulty: malformed }
            }
            // Sampling information that is already there must not be overwritten with other randomness.
            Mode::HashSeed(_) => {
                let faulty = malformed || explicit.is_some() || threshold.is_some();
                Evidence { randomness: drawn, threshold: None, writable: !faulty, faulty }
            }
            Mode::Equalizing(_) | Mode::Proportional(_) if malformed => {
                Evidence { randomness: None, threshold: None, writable: false, faulty: true }
            }
            Mode::Equalizing(_) | Mode::Proportional(_) => {
                Evidence { randomness: explicit.or(drawn), threshold, writable: true, faulty: false }
            }
        }
    }
}

/// What an absent trace id is like.
const NO_ID: [u8; 16] = [0; 16];

impl Priorities {
    fn get(self, batch: &Batch, row: usize) -> Option<Priority> {
        if let Some(number) = batch.s64(self.integer).get(row) {
            // The sign survives the conversion.
            return Priority::from_number(number as f64);
        }
        if let Some(number) = batch.f64(self.double).get(row) {
            return Priority::from_number(number);
        }
        Priority::from_text(batch.text(self.text).get(row)?)
    }
}

impl Answer {
    fn new(rows: usize, policy: &Policy) -> Self {
        let threshold = policy.threshold(None);
        let mut answer = Self {
            keep: Bitmap::new(rows, false),
            written: Vec::new(),
            texts: Texts::new(),
            alike: (!policy.hashes()).then(|| Bitmap::new(rows, false)),
            threshold,
            member: format!("th:{}", threshold.to_text()),
            faulty: 0,
        };
        if policy.hashes() {
            answer.written.reserve(rows);
            answer.texts.offsets.reserve(rows);
            answer.texts.bytes.reserve(rows * 40);
        }
        answer
    }

    /// Decides about a span that has a trace id and nothing else of interest.
    #[inline]
    fn decide_plain(&mut self, row: usize, randomness: Randomness) {
        if !self.threshold.keeps(randomness) {
            return;
        }
        self.keep.set(row);
        if let Some(alike) = &mut self.alike {
            return alike.set(row);
        }
        self.texts.bytes.extend_from_slice(b"ot=rv:");
        self.texts.bytes.extend_from_slice(&randomness.digits());
        self.texts.bytes.push(b';');
        self.texts.bytes.extend_from_slice(self.member.as_bytes());
        self.finish(row);
    }

    /// Ends the tracestate of a row, which has been appended.
    fn finish(&mut self, row: usize) {
        self.texts.offsets.push(self.texts.bytes.len() as u32);
        self.written.push(row as u32);
    }

    fn into_outcome(self) -> (Outcome, u64) {
        let mut outcome = Outcome::unchanged();
        outcome.keep(self.keep);
        if let Some(rows) = self.alike
            && !rows.is_clear()
        {
            outcome.set(trace_state(), rows, format!("ot={}", self.member));
        }
        if !self.written.is_empty() {
            outcome.set_values(trace_state(), self.written, self.texts);
        }
        (outcome, self.faulty)
    }
}
