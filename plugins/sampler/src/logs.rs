//! Log records: randomness from trace id, an attribute or `sampling.randomness`, the decision written to attributes.

use std::borrow::Cow;

use sluice_sdk::{
    Batch, Bitmap, Boolean, Bytes, F64, Field, Kind, Outcome, S64, Setup, Text, Texts, ValueKind, Writes,
};

use crate::config::{AttributeSource, SamplerConfig};
use crate::policy::{Mode, Policy, Verdict};
use crate::record;
use crate::threshold::{Randomness, Threshold};
use crate::value;

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
        let common = self.policy.threshold(None);
        let (thresholds, randomness) = (batch.text(self.thresholds), batch.text(self.randomness));
        let mut answer = Answer::new(batch.rows());
        for row in 0..batch.rows() {
            let drawn = self.draw(batch, row);
            let (threshold, randomness) = (thresholds.get(row), randomness.get(row));
            let percentage = self.percentage(batch, row);
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

    /// The randomness that the record's trace id or attribute stands for.
    fn draw(&self, batch: &Batch, row: usize) -> Option<Randomness> {
        let id: Option<&[u8; 16]> = self.ids.and_then(|ids| batch.bytes(ids).get(row)?.try_into().ok());
        if let Some(id) = id.filter(|id| **id != [0; 16]) {
            return Some(if self.policy.hashes() {
                Randomness::from_hash(self.policy.hash.hash(id))
            } else {
                Randomness::from_trace_id(id)
            });
        }
        let hashed = self.source?.get(batch, row)?;
        (!hashed.is_empty()).then(|| Randomness::from_hash(self.policy.hash.hash(&hashed)))
    }

    /// The number that the record demands to be sampled with.
    fn percentage(&self, batch: &Batch, row: usize) -> Option<f64> {
        let (integer, double) = self.priority?;
        let integer = batch.s64(integer).get(row).map(|number| number as f64);
        integer.or_else(|| batch.f64(double).get(row))
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
            ValueKind::Double => {
                let mut text = String::new();
                value::write_double(batch.f64(self.double).get(row)?, &mut text);
                text
            }
            ValueKind::Array | ValueKind::Map => value::json(batch.bytes(self.bytes).get(row)?)?,
        };
        Some(Cow::Owned(text.into_bytes()))
    }
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
