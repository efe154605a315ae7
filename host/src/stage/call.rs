//! One call of one stage: columns go in, a checked answer comes out; a failure is tried once more on a fresh instance.

use std::time::{Duration, Instant};

use sluice_wire::{Columns, EditPlan, LiveRows, ValueKind};

use super::answer::{Answer, AnswerError, Asked};
use super::bindings::sluice::plugin::types;
use super::chain::{StageFailure, StageReport, check_replacement};
use super::configured::Configured;
use super::declared::Writes;
use super::instance::{CallError, Instance};
use super::lower::{Beside, Lowered};
use super::patterns::Haystack;
use crate::model::Context;

/// A call that is to be made.
pub(super) struct Call<'a> {
    pub(super) configured: &'a Configured,
    pub(super) columns: &'a Columns,
    pub(super) bytes: &'a [u8],
    /// What earlier stages planned; nothing of it concerns what this one reads.
    pub(super) edits: &'a EditPlan,
    pub(super) live: &'a LiveRows,
    /// Number of the plugin's first read in the projection.
    pub(super) first_read: usize,
    pub(super) context: &'a Context,
    pub(super) received_unix_nano: u64,
}

/// What a plugin said.
#[expect(clippy::large_enum_variant, reason = "one lives at a time, on the stack; a box would allocate in each call")]
pub(super) enum Verdict {
    /// Something to do.
    Answered(Answer),
    /// A whole new request.
    Replaced(Vec<u8>),
    /// The sender must not send this again.
    Refused(String),
}

/// A call without an answer.
struct Failed {
    failure: StageFailure,
    /// Whether a fresh instance would fail as well.
    is_final: bool,
}

impl Call<'_> {
    /// Whether some row has an attribute that the plugin waits for.
    pub(super) fn is_worth_making(&self) -> bool {
        let declared = &self.configured.declared;
        let Some(fields) = &declared.when_attributes else { return true };
        fields.iter().enumerate().any(|(i, field)| {
            let read = self.first_read + declared.reads.len() + i;
            let present = |entity| self.columns.kind(read, entity) != ValueKind::Absent;
            match field.level {
                sluice_wire::Level::Record => self.live.iter().any(present),
                level => (0..self.columns.entities(level)).any(present),
            }
        })
    }

    /// Calls the plugin, and a fresh instance if that may do better. None if no call has an answer.
    pub(super) fn make(&self, report: &mut StageReport) -> Option<Verdict> {
        let configured = self.configured;
        let lowered = Lowered::gather(self.columns, self.bytes, &configured.declared, self.first_read, self.live);
        let texts = match configured.searches_table() {
            true => lowered.haystack(self.columns, self.bytes, self.live),
            false => Haystack::default(),
        };
        for instance in [Configured::take, Configured::fresh] {
            let instance = match instance(configured) {
                Ok(instance) => instance,
                Err(error) => {
                    report.failures.push(StageFailure::of_call(&error));
                    return None;
                }
            };
            let made = instance.made;
            match self.attempt(instance, &lowered, &texts, &mut report.in_plugin) {
                Ok(verdict) => return Some(verdict),
                Err(failed) => {
                    configured.lost(made);
                    report.failures.push(failed.failure);
                    if failed.is_final {
                        return None;
                    }
                }
            }
        }
        None
    }

    /// Calls one instance. It is used again only if its answer is in order.
    fn attempt(
        &self,
        mut instance: Instance,
        lowered: &Lowered,
        texts: &Haystack,
        in_plugin: &mut Duration,
    ) -> Result<Verdict, Failed> {
        let guest = instance.guest();
        guest.now_unix_nano = self.received_unix_nano;
        guest.table = texts.clone();
        let beside = Beside { bytes: self.bytes, context: self.context, received_unix_nano: self.received_unix_nano };
        let answered = lowered.with_batch(&self.configured.declared, beside, |batch| {
            let called = Instant::now();
            let answered = instance.process(batch, called);
            *in_plugin += called.elapsed();
            answered
        });
        instance.guest().table = Haystack::default();
        let verdict = match answered? {
            Ok(outcome) => self.check(lowered, outcome)?,
            Err(types::Failure::Refused(reason)) => Verdict::Refused(self.configured.shared.shown(&reason)),
            Err(types::Failure::Error(message)) => {
                let failure = StageFailure::of_plugin(&self.configured.shared.shown(&message));
                return Err(Failed { failure, is_final: false });
            }
        };
        self.configured.give_back(instance);
        Ok(verdict)
    }

    fn check(&self, lowered: &Lowered, outcome: types::Outcome) -> Result<Verdict, AnswerError> {
        let declared = &self.configured.declared;
        if let Some(replacement) = outcome.replacement {
            if declared.writes != Writes::Everything {
                return Err(AnswerError::Undeclared("the whole request".to_owned()));
            }
            if outcome.keep.is_some() || !outcome.edits.is_empty() || outcome.partition.is_some() {
                return Err(AnswerError::Replacement("it comes with other changes".to_owned()));
            }
            let limit = self.configured.limits.output_bytes();
            if replacement.len() > limit {
                return Err(AnswerError::Growth(limit as u64 >> 20));
            }
            let signal = self.configured.signal();
            check_replacement(signal, &replacement, self.live.len()).map_err(AnswerError::Replacement)?;
            return Ok(Verdict::Replaced(replacement));
        }
        let asked = Asked {
            declared,
            columns: self.columns,
            bytes: self.bytes,
            live: self.live,
            lowered,
            growth_bytes: self.configured.limits.output_bytes() as u64,
        };
        asked.check(self.edits, outcome).map(Verdict::Answered)
    }
}

impl From<CallError> for Failed {
    fn from(error: CallError) -> Self {
        Self { failure: StageFailure::of_call(&error), is_final: matches!(error, CallError::Search(_)) }
    }
}

impl From<AnswerError> for Failed {
    fn from(error: AnswerError) -> Self {
        Self { failure: StageFailure::of_answer(&error), is_final: false }
    }
}
