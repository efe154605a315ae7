//! Log records: randomness from trace id, an attribute or `sampling.randomness`, the decision written to attributes.

use std::borrow::Cow;

use sluice_sdk::go_json::{self, Encoder, Json};
use sluice_sdk::{
    AnyValue, Batch, Bitmap, Boolean, Bytes, F64, F64Column, Field, Kind, Outcome, S64, S64Column, Setup, Text,
    TextColumn, Texts, ValueKind, Writes,
};

use crate::config::{AttributeSource, SamplerConfig};
use crate::ids::Drawn;
use crate::plain;
use crate::policy::{Mode, Policy, Verdict};
use crate::record;
use crate::threshold::{DIGITS, Randomness, Threshold};

/// Samples log records.
#[derive(Debug)]
pub(crate) struct Logs {
    policy: Policy,
    /// The trace id, unless it has no say.
    ids: Option<Bytes>,
    /// The attribute whose value is hashed.
    source: Option<Source>,
    /// The attribute that holds a percentage.
    priority: Option<(S64, F64)>,
    thresholds: Text,
    randomness: Text,
}

/// An attribute of any kind.
#[derive(Clone, Copy, Debug)]
struct Source {
    kind: Kind,
    text: Text,
    boolean: Boolean,
    integer: S64,
    double: F64,
    bytes: Bytes,
}

/// The columns of a batch, but for those that randomness comes from.
struct Columns<'a> {
    priority: Option<(S64Column<'a>, F64Column<'a>)>,
    thresholds: TextColumn<'a>,
    randomness: TextColumn<'a>,
}

/// The answer while it grows.
struct Answer {
    keep: Bitmap,
    /// Rows that get randomness, and which.
    drawn: (Vec<u32>, Texts),
    /// Rows that get the threshold of all rows that arrive without one.
    alike: Bitmap,
    /// Rows that get another threshold, and which.
    thresholds: (Vec<u32>, Texts),
    faulty: u64,
}

fn threshold_field() -> Field {
    Field::record("sampling.threshold")
}

fn randomness_field() -> Field {
    Field::record("sampling.randomness")
}

impl Logs {
    /// Declares what is read.
    pub(crate) fn new(policy: Policy, config: &SamplerConfig, setup: &mut Setup) -> Self {
        setup.writes(Writes::Fields(vec![threshold_field(), randomness_field()]));
        let by_id = match policy.mode {
            Mode::Never => false,
            Mode::HashSeed(_) => config.attribute_source == AttributeSource::TraceId,
            Mode::Equalizing(_) | Mode::Proportional(_) => true,
        };
        let by_attribute = policy.hashes() && !config.from_attribute.is_empty();
        let priority = || Field::record(config.sampling_priority.as_str());
        Self {
            policy,
            ids: by_id.then(|| setup.bytes(Field::record_intrinsic("trace_id"))),
            source: by_attribute.then(|| Source::new(&config.from_attribute, setup)),
            priority: (!config.sampling_priority.is_empty()).then(|| (setup.s64(priority()), setup.f64(priority()))),
            thresholds: setup.text(threshold_field()),
            randomness: setup.text(randomness_field()),
        }
    }

    /// Decides about all log records of a batch; also says about how many it could not decide by the rules.
    pub(crate) fn process(&mut self, batch: &Batch) -> (Outcome, u64) {
        let columns = self.columns(batch);
        let drawn = self.ids.map(|ids| Drawn::from_ids(&self.policy, batch.bytes(ids)));
        match drawn.as_ref().and_then(Drawn::complete) {
            Some(drawn) if columns.have_no_decisions() => (self.decide_plainly(drawn), 0),
            _ => self.decide_fully(batch, &columns, &drawn.unwrap_or_default()),
        }
    }

    /// Decides about records that have a trace id and nothing else of interest.
    fn decide_plainly(&self, drawn: &[Randomness]) -> Outcome {
        let threshold = self.policy.threshold(None);
        let (keep, rows) = plain::keep(threshold, drawn);
        let mut outcome = Outcome::unchanged();
        outcome.keep(keep.clone());
        if rows.is_empty() {
            return outcome;
        }
        if self.policy.hashes() {
            let texts = plain::texts(&[b'0'; DIGITS], 0, &rows, drawn);
            outcome.set_values(randomness_field(), rows, texts);
        }
        outcome.set(threshold_field(), keep, threshold.to_text());
        outcome
    }

    /// Decides about records one by one, by all that they say.
    fn decide_fully(&self, batch: &Batch, columns: &Columns<'_>, by_id: &Drawn) -> (Outcome, u64) {
        let common = self.policy.threshold(None);
        let mut answer = Answer::new(batch.rows());
        for row in 0..batch.rows() {
            let drawn = by_id.get(row).or_else(|| self.draw_from_source(batch, row));
            let (threshold, randomness) = (columns.thresholds.get(row), columns.randomness.get(row));
            let percentage = columns.percentage(row);
            let (verdict, faulty) = record::decide(&self.policy, drawn, threshold, randomness, percentage);
            answer.faulty += u64::from(faulty);
            let written = match verdict {
                Verdict::Drop => continue,
                Verdict::Keep | Verdict::KeepThreshold => None,
                Verdict::Write(threshold) => Some(threshold),
            };
            answer.keep.set(row);
            if let Some(drawn) = drawn
                && record::writes_randomness(&self.policy, threshold, randomness)
            {
                push(&mut answer.drawn, row, |out| out.extend_from_slice(&drawn.digits()));
            }
            match written {
                Some(threshold) if threshold == common => answer.alike.set(row),
                Some(threshold) => push(&mut answer.thresholds, row, |out| threshold.write(out)),
                None => {}
            }
        }
        answer.into_outcome(common)
    }

    /// The randomness that the record's attribute stands for.
    fn draw_from_source(&self, batch: &Batch, row: usize) -> Option<Randomness> {
        let hashed = self.source?.get(batch, row)?;
        (!hashed.is_empty()).then(|| Randomness::from_hash(self.policy.hash.hash(&hashed)))
    }

    fn columns<'a>(&self, batch: &'a Batch) -> Columns<'a> {
        Columns {
            priority: self.priority.map(|(integer, double)| (batch.s64(integer), batch.f64(double))),
            thresholds: batch.text(self.thresholds),
            randomness: batch.text(self.randomness),
        }
    }
}

impl Columns<'_> {
    /// Whether no record has sampling information or a priority.
    fn have_no_decisions(&self) -> bool {
        let no_priority = self.priority.is_none_or(|(integer, double)| integer.is_absent() && double.is_absent());
        no_priority && self.thresholds.is_absent() && self.randomness.is_absent()
    }

    /// The number that the record demands to be sampled with.
    fn percentage(&self, row: usize) -> Option<f64> {
        let (integer, double) = self.priority?;
        let integer = integer.get(row).map(|number| number as f64);
        integer.or_else(|| double.get(row))
    }
}

impl Source {
    fn new(key: &str, setup: &mut Setup) -> Self {
        let field = || Field::record(key);
        Self {
            kind: setup.kind(field()),
            text: setup.text(field()),
            boolean: setup.boolean(field()),
            integer: setup.s64(field()),
            double: setup.f64(field()),
            bytes: setup.bytes(field()),
        }
    }

    /// What is hashed for a record; `None` without the attribute.
    fn get<'a>(&self, batch: &'a Batch, row: usize) -> Option<Cow<'a, [u8]>> {
        let text = match batch.kind(self.kind).get(row) {
            ValueKind::Absent | ValueKind::Empty => return None,
            ValueKind::Text => return Some(Cow::Borrowed(batch.text(self.text).get(row)?.as_bytes())),
            ValueKind::Bytes => return Some(Cow::Borrowed(batch.bytes(self.bytes).get(row)?)),
            ValueKind::Boolean => batch.boolean(self.boolean).get(row)?.to_string(),
            ValueKind::Integer => batch.s64(self.integer).get(row)?.to_string(),
            ValueKind::Double => go_json::double(batch.f64(self.double).get(row)?),
            ValueKind::Array | ValueKind::Map => json(batch.bytes(self.bytes).get(row)?)?,
        };
        Some(Cow::Owned(text.into_bytes()))
    }
}

/// An encoded AnyValue as JSON; `None` with a number that JSON doesn't have.
pub(crate) fn json(any_value: &[u8]) -> Option<String> {
    let mut json = Json::new(Encoder::Standard);
    json.value(AnyValue::from(any_value));
    json.exact()
}

impl Answer {
    fn new(rows: usize) -> Self {
        Self {
            keep: Bitmap::new(rows, false),
            drawn: (Vec::new(), Texts::new()),
            alike: Bitmap::new(rows, false),
            thresholds: (Vec::new(), Texts::new()),
            faulty: 0,
        }
    }

    fn into_outcome(self, common: Threshold) -> (Outcome, u64) {
        let mut outcome = Outcome::unchanged();
        outcome.keep(self.keep);
        let (rows, texts) = self.drawn;
        if !rows.is_empty() {
            outcome.set_values(randomness_field(), rows, texts);
        }
        if !self.alike.is_clear() {
            outcome.set(threshold_field(), self.alike, common.to_text());
        }
        let (rows, texts) = self.thresholds;
        if !rows.is_empty() {
            outcome.set_values(threshold_field(), rows, texts);
        }
        (outcome, self.faulty)
    }
}

fn push((rows, texts): &mut (Vec<u32>, Texts), row: usize, append: impl FnOnce(&mut Vec<u8>)) {
    append(&mut texts.bytes);
    texts.offsets.push(texts.bytes.len() as u32);
    rows.push(row as u32);
}
