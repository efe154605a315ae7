//! Batches of spans: reads the columns, takes the short way for spans with a trace id and nothing else of interest.

use std::ops::Range;

use sluice_sdk::{
    Batch, Bitmap, Bytes, BytesColumn, F64, F64Column, Field, Outcome, S64, S64Column, Setup, Text, TextColumn, Texts,
    Writes,
};

use crate::policy::Policy;
use crate::priority::Priority;
use crate::span::{Fate, SpanSampler};
use crate::threshold::{Randomness, Threshold};

/// How many trace ids are hashed side by side.
const LANES: usize = 8;
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
    rows: usize,
    keep: Vec<u64>,
    /// Rows whose tracestate becomes another one, and which.
    written: Vec<u32>,
    texts: Texts,
    /// Rows whose tracestate was empty and becomes the same everywhere, because no randomness is written.
    alike: Option<Vec<u64>>,
    /// The threshold for a row that arrives with none.
    threshold: Threshold,
    /// The tracestate for a row that arrives with none; if it tells the randomness, that stands at `DIGITS`.
    member: String,
    /// The same, filled up: a copy of a fixed length is faster. A threshold of 14 bits has at most four digits.
    padded: [u8; PADDED],
    faulty: u64,
}

/// At least the length of a tracestate with the randomness and threshold of a hash.
const PADDED: usize = 32;

/// Where the randomness stands in a new tracestate.
const DIGITS: Range<usize> = "ot=rv:".len().."ot=rv:01234567890123".len();

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
        let only_ids = columns.have_only_ids();
        let mut answer = Answer::new(batch.rows(), &self.sampler.policy);
        for (row, drawn) in self.draw(columns.ids).into_iter().enumerate() {
            match drawn {
                Some(drawn) if only_ids || columns.has_only_id(row) => answer.decide_plain(row, drawn),
                _ => {
                    let (state, priority) = (columns.state(row), columns.priority(row));
                    let decision = self.sampler.decide(drawn, state, priority, &mut answer.texts.bytes);
                    answer.add(row, decision);
                }
            }
        }
        answer.into_outcome()
    }

    /// The randomness that each trace id stands for; one of another length is as good as none.
    fn draw(&self, ids: BytesColumn<'_>) -> Vec<Option<Randomness>> {
        let Policy { hash, .. } = self.sampler.policy;
        let hashes = self.sampler.policy.hashes();
        let hashed = move |id: &[u8; 16]| Randomness::from_hash(hash.hash(id));
        let draw = |id: &[u8; 16]| if hashes { hashed(id) } else { Randomness::from_trace_id(id) };
        let Some(all) = ids.arrays::<16>() else {
            let id = |row| Some(ids.get(row)?.try_into().ok()?).filter(|id| *id != NO_ID);
            return (0..ids.len()).map(|row| id(row).map(|id| draw(&id))).collect();
        };
        let some = |(id, drawn): (&[u8; 16], Randomness)| (*id != NO_ID).then_some(drawn);
        if !hashes {
            return all.iter().map(|id| some((id, Randomness::from_trace_id(id)))).collect();
        }
        let (groups, rest) = all.as_chunks::<LANES>();
        let mut drawn = Vec::with_capacity(all.len());
        for group in groups {
            drawn.extend(group.iter().zip(hash.hash_ids(group).map(Randomness::from_hash)).map(some));
        }
        drawn.extend(rest.iter().map(|id| some((id, hashed(id)))));
        drawn
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
    /// Whether no row has a tracestate or a priority.
    fn have_only_ids(&self) -> bool {
        let (integer, double, text) = self.priorities;
        self.states.is_absent() && integer.is_absent() && double.is_absent() && text.is_absent()
    }

    /// Whether a row has neither tracestate nor priority.
    fn has_only_id(&self, row: usize) -> bool {
        self.state(row).is_empty() && self.priority(row).is_none()
    }

    fn state(&self, row: usize) -> &'a str {
        self.states.get(row).unwrap_or_default()
    }

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
        let randomness = if policy.hashes() { "rv:01234567890123;" } else { "" };
        let member = format!("ot={randomness}th:{}", threshold.to_text());
        let mut padded = [0; PADDED];
        padded.iter_mut().zip(member.as_bytes()).for_each(|(padded, byte)| *padded = *byte);
        let mut answer = Self {
            rows,
            keep: vec![0; rows.div_ceil(64)],
            written: Vec::new(),
            texts: Texts::new(),
            alike: (!policy.hashes()).then(|| vec![0; rows.div_ceil(64)]),
            threshold,
            member,
            padded,
            faulty: 0,
        };
        if policy.hashes() {
            answer.written.reserve(rows);
            answer.texts.offsets.reserve(rows);
            answer.texts.bytes.reserve(rows * answer.member.len() + PADDED);
        }
        answer
    }

    /// Decides about a span that has a trace id and nothing else of interest.
    #[inline]
    fn decide_plain(&mut self, row: usize, drawn: Randomness) {
        let kept = self.threshold.keeps(drawn);
        if let Some(alike) = &mut self.alike {
            // Without a branch: which spans are kept is as good as random.
            alike[row / 64] |= u64::from(kept) << (row % 64);
            self.keep[row / 64] |= u64::from(kept) << (row % 64);
        } else if kept {
            let start = self.texts.bytes.len();
            self.texts.bytes.extend_from_slice(&self.padded);
            self.texts.bytes[start..][DIGITS].copy_from_slice(&drawn.digits());
            self.texts.bytes.truncate(start + self.member.len());
            self.add(row, (Fate::Written, false));
        }
    }

    /// Takes the decision about a row; its tracestate, if it gets one, has been appended.
    #[inline]
    fn add(&mut self, row: usize, (fate, faulty): (Fate, bool)) {
        self.faulty += u64::from(faulty);
        if fate == Fate::Dropped {
            return;
        }
        self.keep[row / 64] |= 1 << (row % 64);
        if fate == Fate::Written {
            self.texts.offsets.push(self.texts.bytes.len() as u32);
            self.written.push(row as u32);
        }
    }

    fn into_outcome(self) -> (Outcome, u64) {
        let mut outcome = Outcome::unchanged();
        outcome.keep(Bitmap::from_words(self.keep, self.rows));
        if let Some(words) = self.alike {
            let alike = Bitmap::from_words(words, self.rows);
            if !alike.is_clear() {
                outcome.set(trace_state(), alike, self.member);
            }
        }
        if !self.written.is_empty() {
            outcome.set_values(trace_state(), self.written, self.texts);
        }
        (outcome, self.faulty)
    }
}
