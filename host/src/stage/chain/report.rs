//! What became of a batch, stage by stage.

use std::collections::BTreeMap;
use std::time::Duration;

use super::super::answer::AnswerError;
use super::super::component::OnError;
use super::super::instance::CallError;
use crate::model::{Batch, Refusal};

/// What became of a batch.
#[derive(Debug)]
pub struct ChainOutcome {
    /// What is left of it, one batch per tenant; or why it is not accepted, and then nothing below counts as done.
    pub result: Result<Vec<Batch>, Refusal>,
    /// One report per stage, in their order.
    pub stages: Vec<StageReport>,
    /// Rows that stages left out, by the tenant whose they were at that moment; without a name by the batch's own.
    pub left_out: BTreeMap<Option<String>, LeftOut>,
}

/// Rows that are no longer there, and why.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LeftOut {
    /// A stage did not want them.
    pub filtered: u64,
    /// A sampler left them out.
    pub sampled_out: u64,
    /// A call failed and the policy says so.
    pub dropped: u64,
}

impl LeftOut {
    /// All of them.
    pub fn sum(&self) -> u64 {
        self.filtered + self.sampled_out + self.dropped
    }

    /// Adds others.
    pub(super) fn add(&mut self, other: Self) {
        self.filtered += other.filtered;
        self.sampled_out += other.sampled_out;
        self.dropped += other.dropped;
    }
}

/// What one stage did to a batch.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct StageReport {
    /// The component id.
    pub stage: String,
    /// Rows that came in.
    pub rows_in: u64,
    /// Rows that did not come out.
    pub left_out: LeftOut,
    /// Values that the plugin changed.
    pub edited: u64,
    /// Calls that came back with an answer.
    pub calls: u64,
    /// Calls that were not worth making: no row has the attributes that the plugin waits for.
    pub skipped: u64,
    /// Calls that failed, the second of two included.
    pub failures: Vec<StageFailure>,
    /// Time in the plugin and around it.
    pub duration: Duration,
    /// Time in the plugin: passing columns, the call, passing the answer.
    pub in_plugin: Duration,
}

/// A call that failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StageFailure {
    /// What kind of failure; a metric label.
    pub kind: FailureKind,
    /// What happened, for the log.
    pub message: String,
    /// What it meant for the batch; none if a fresh instance did better.
    pub policy: Option<OnError>,
}

/// Kinds of failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FailureKind {
    /// It took too long.
    Timeout,
    /// It wanted too much memory.
    Memory,
    /// It panicked.
    Panic,
    /// It ended in another way.
    Trap,
    /// It said that it failed.
    Error,
    /// Its answer broke the contract.
    Answer,
    /// There was no instance to call.
    Exhausted,
}

impl FailureKind {
    /// All of them.
    pub const ALL: [Self; 7] =
        [Self::Timeout, Self::Memory, Self::Panic, Self::Trap, Self::Error, Self::Answer, Self::Exhausted];

    /// The name, as a metric label.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Timeout => "timeout",
            Self::Memory => "memory",
            Self::Panic => "panic",
            Self::Trap => "trap",
            Self::Error => "error",
            Self::Answer => "answer",
            Self::Exhausted => "exhausted",
        }
    }
}

impl StageReport {
    pub(super) fn new(stage: &str) -> Self {
        Self { stage: stage.to_owned(), ..Self::default() }
    }
}

impl StageFailure {
    pub(in crate::stage) fn of_call(error: &CallError) -> Self {
        let kind = match error {
            CallError::Timeout(_) | CallError::Search(_) | CallError::SetupTimeout(_) | CallError::ShortLived(_) => {
                FailureKind::Timeout
            }
            CallError::Memory(_) => FailureKind::Memory,
            CallError::Panic(_) => FailureKind::Panic,
            CallError::Trap(_) => FailureKind::Trap,
            CallError::Exhausted(_) => FailureKind::Exhausted,
        };
        Self { kind, message: error.to_string(), policy: None }
    }

    pub(in crate::stage) fn of_answer(error: &AnswerError) -> Self {
        Self { kind: FailureKind::Answer, message: format!("its answer is not valid: {error}"), policy: None }
    }

    pub(in crate::stage) fn of_plugin(message: &str) -> Self {
        Self { kind: FailureKind::Error, message: format!("it failed: {message}"), policy: None }
    }
}
