//! Log records: randomness from trace id, an attribute or `sampling.randomness`, the decision written to attributes.

use std::borrow::Cow;

use sluice_sdk::{
    Batch, Bitmap, Boolean, Bytes, F64, Field, Kind, Outcome, S64, Setup, Text, Texts, ValueKind, Writes,
};

use crate::config::{AttributeSource, SamplerConfig};
use crate::policy::{Evidence, Mode, Policy, Verdict};
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
        let mut answer = Answer::new(batch.rows());
        for row in 0..batch.rows() {
            let drawn = self.draw(batch, row);
            let evidence = self.evidence(batch, row, drawn);
            let (verdict, faulty) = self.policy.judge(evidence, self.forced(batch, row));
            answer.faulty += u64::from(faulty);
            let written = match verdict {
                Verdict::Drop => continue,
                Verdict::Keep | Verdict::KeepThreshold => None,
                Verdict::Write(threshold) => Some(threshold),
            };
            answer.keep.set(row);
            if let Some(drawn) = drawn
                && self.policy.hashes()
                && evidence.writable
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
        let id = self.ids.and_then(|ids| batch.bytes(ids).get(row));
        let id: Option<&[u8; 16]> = id.and_then(|id| id.try_into().ok()).filter(|id| **id != [0; 16]);
        if let Some(id) = id {
            return Some(if self.policy.hashes() {
                Randomness::from_hash(self.policy.hash.hash(id))
            } else {
                Randomness::from_trace_id(id)
            });
        }
        let hashed = self.source?.get(batch, row)?;
        (!hashed.is_empty()).then(|| Randomness::from_hash(self.policy.hash.hash(&hashed)))
    }

    fn evidence(&self, batch: &Batch, row: usize, drawn: Option<Randomness>) -> Evidence {
        // An empty text counts as none.
        let threshold = batch.text(self.thresholds).get(row).filter(|text| !text.is_empty());
        let explicit = batch.text(self.randomness).get(row).filter(|text| !text.is_empty());
        let (has_threshold, has_randomness) = (threshold.is_some(), explicit.is_some());
        let threshold = threshold.and_then(Threshold::parse);
        let explicit = explicit.and_then(Randomness::parse);
        let malformed = has_threshold != threshold.is_some() || has_randomness != explicit.is_some();
        match self.policy.mode {
            // It asks for no randomness, and writes even where it could not read.
            Mode::Never => {
                Evidence { randomness: Some(Randomness::HIGHEST), threshold, writable: true, faulty: malformed }
            }
            // Sampling information that is already there must not be overwritten with other randomness.
            Mode::HashSeed(_) => {
                let faulty = malformed || has_threshold || has_randomness;
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

    /// The threshold that the record demands: its priority is a percentage. Numbers outside of (0, 100] demand nothing.
    fn forced(&self, batch: &Batch, row: usize) -> Option<Threshold> {
        let (integer, double) = self.priority?;
        let integer = batch.s64(integer).get(row).map(|number| number as f64);
        let percentage = integer.or_else(|| batch.f64(double).get(row))?;
        Threshold::from_probability(percentage / 100.0, self.policy.precision)
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
