//! Batches of spans: reads the columns, takes the short way for spans with a trace id and nothing else of interest.

use sluice_sdk::{
    Batch, Bitmap, Bytes, BytesColumn, F64, F64Column, Field, Outcome, S64, S64Column, Setup, Text, TextColumn, Texts,
    Writes,
};

use crate::policy::Policy;
use crate::priority::Priority;
use crate::span::{Fate, SpanSampler};
use crate::threshold::{Randomness, Threshold};

/// How many trace ids are hashed side by side.
const LANES: usize = 4;
/// What an absent trace id is like.
const NO_ID: [u8; 16] = [0; 16];

/// Samples spans.
#[derive(Debug)]
pub(crate) struct Spans {
    sampler: SpanSampler,
    ids: Bytes,
    states: Text,
    /// The attribute `sampling.priority`, which may be an integer, a double or a text.
    priorities: (S64, F64, Text),
}

/// The columns of a batch.
struct Columns<'a> {
    ids: BytesColumn<'a>,
    states: TextColumn<'a>,
    priorities: (S64Column<'a>, F64Column<'a>, TextColumn<'a>),
}

/// The answer while it grows.
struct Answer {
    keep: Bitmap,
    /// Rows whose tracestate becomes another one, and which.
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
            sampler: SpanSampler::new(policy),
            ids: setup.bytes(Field::record_intrinsic("trace_id")),
            states: setup.text(trace_state()),
            priorities: (setup.s64(priority()), setup.f64(priority()), setup.text(priority())),
        }
    }

    /// Decides about all spans of a batch; also says about how many it could not decide by the rules.
    pub(crate) fn process(&mut self, batch: &Batch) -> (Outcome, u64) {
        let columns = self.columns(batch);
        let mut answer = Answer::new(batch.rows(), &self.sampler.policy);
        for first in (0..batch.rows()).step_by(LANES) {
            let rows = first..batch.rows().min(first + LANES);
            let ids: [&[u8; 16]; LANES] = std::array::from_fn(|lane| columns.id(first + lane, batch.rows()));
            for (row, (id, drawn)) in rows.zip(ids.into_iter().zip(self.draw(ids))) {
                let drawn = (*id != NO_ID).then_some(drawn);
                let (state, priority) = (columns.states.get(row).unwrap_or_default(), columns.priority(row));
                match drawn {
                    Some(drawn) if state.is_empty() && priority.is_none() => answer.decide_plain(row, drawn),
                    _ => {
                        let decision = self.sampler.decide(drawn, state, priority, &mut answer.texts.bytes);
                        answer.add(row, decision);
                    }
                }
            }
        }
        answer.into_outcome()
    }

    /// The randomness that each trace id stands for.
    fn draw(&self, ids: [&[u8; 16]; LANES]) -> [Randomness; LANES] {
        let policy = &self.sampler.policy;
        if policy.hashes() {
            policy.hash.hash_ids(ids).map(Randomness::from_hash)
        } else {
            ids.map(Randomness::from_trace_id)
        }
    }

    fn columns<'a>(&self, batch: &'a Batch) -> Columns<'a> {
        let (integer, double, text) = self.priorities;
        Columns {
            ids: batch.bytes(self.ids),
            states: batch.text(self.states),
            priorities: (batch.s64(integer), batch.f64(double), batch.text(text)),
        }
    }
}

impl<'a> Columns<'a> {
    /// The trace id of a row; one of another length is as good as none.
    #[inline]
    fn id(&self, row: usize, rows: usize) -> &'a [u8; 16] {
        let id = if row < rows { self.ids.get(row) } else { None };
        id.and_then(|id| id.try_into().ok()).unwrap_or(&NO_ID)
    }

    #[inline]
    fn priority(&self, row: usize) -> Option<Priority> {
        let (integer, double, text) = self.priorities;
        if let Some(number) = integer.get(row) {
            // Neither zero nor the sign changes in the conversion.
            return Priority::from_number(number as f64);
        }
        if let Some(number) = double.get(row) {
            return Priority::from_number(number);
        }
        Priority::from_text(text.get(row)?)
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
            answer.texts.bytes.reserve(rows * "ot=rv:01234567890123;th:0123".len());
        }
        answer
    }

    /// Decides about a span that has a trace id and nothing else of interest.
    #[inline]
    fn decide_plain(&mut self, row: usize, drawn: Randomness) {
        if !self.threshold.keeps(drawn) {
            return;
        }
        if let Some(alike) = &mut self.alike {
            alike.set(row);
            return self.keep.set(row);
        }
        self.texts.bytes.extend_from_slice(b"ot=rv:");
        self.texts.bytes.extend_from_slice(&drawn.digits());
        self.texts.bytes.push(b';');
        self.texts.bytes.extend_from_slice(self.member.as_bytes());
        self.add(row, (Fate::Written, false));
    }

    /// Takes the decision about a row; its tracestate, if it gets one, has been appended.
    #[inline]
    fn add(&mut self, row: usize, (fate, faulty): (Fate, bool)) {
        self.faulty += u64::from(faulty);
        if fate == Fate::Dropped {
            return;
        }
        self.keep.set(row);
        if fate == Fate::Written {
            self.texts.offsets.push(self.texts.bytes.len() as u32);
            self.written.push(row as u32);
        }
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
