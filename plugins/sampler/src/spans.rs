//! Batches of spans: reads the columns, takes the short way if no span has more than a trace id.

use sluice_sdk::{
    Batch, Bitmap, Bytes, BytesColumn, F64, F64Column, Field, Outcome, S64, S64Column, Setup, Text, TextColumn, Texts,
    Writes,
};

use crate::ids::Drawn;
use crate::plain;
use crate::policy::Policy;
use crate::priority::Priority;
use crate::span::{Fate, SpanSampler};
use crate::threshold::{DIGITS, Randomness};

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
        let drawn = Drawn::from_ids(&self.sampler.policy, columns.ids);
        match drawn.complete() {
            Some(drawn) if columns.have_only_ids() => (self.decide_plainly(drawn), 0),
            _ => self.decide_fully(&columns, &drawn, batch.rows()),
        }
    }

    /// Decides about spans that have a trace id and nothing else of interest.
    fn decide_plainly(&self, drawn: &[Randomness]) -> Outcome {
        let policy = &self.sampler.policy;
        let threshold = policy.threshold(None);
        let (keep, rows) = plain::keep(threshold, drawn);
        let mut outcome = Outcome::unchanged();
        outcome.keep(keep.clone());
        if rows.is_empty() {
            return outcome;
        }
        if policy.hashes() {
            let state = format!("ot=rv:{};th:{}", "0".repeat(DIGITS), threshold.to_text());
            let texts = plain::texts(state.as_bytes(), "ot=rv:".len(), &rows, drawn);
            outcome.set_values(trace_state(), rows, texts);
        } else {
            outcome.set(trace_state(), keep, format!("ot=th:{}", threshold.to_text()));
        }
        outcome
    }

    /// Decides about spans one by one, by all that they say.
    fn decide_fully(&mut self, columns: &Columns<'_>, drawn: &Drawn, rows: usize) -> (Outcome, u64) {
        let mut keep = Bitmap::new(rows, false);
        let (mut written, mut texts, mut faulty) = (Vec::new(), Texts::new(), 0);
        for row in 0..rows {
            let (state, priority) = (columns.state(row), columns.priority(row));
            let (fate, is_faulty) = self.sampler.decide(drawn.get(row), state, priority, &mut texts.bytes);
            faulty += u64::from(is_faulty);
            if fate == Fate::Dropped {
                continue;
            }
            keep.set(row);
            if fate == Fate::Written {
                texts.offsets.push(texts.bytes.len() as u32);
                written.push(row as u32);
            }
        }
        let mut outcome = Outcome::unchanged();
        outcome.keep(keep);
        if !written.is_empty() {
            outcome.set_values(trace_state(), written, texts);
        }
        (outcome, faulty)
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
