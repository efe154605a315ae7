//! What a pipeline loses, in the log: a line now and then, whatever comes.

use std::sync::{Arc, Mutex, PoisonError};

use crate::model::Refusal;
use crate::pace::{Pace, Rest};

/// The losses of one pipeline, whichever of its segments has them.
pub struct Losses {
    pipeline: String,
    exporters: Vec<String>,
    not_taken: Mutex<Pace>,
    no_room: Mutex<Pace>,
    refused_by_stage: Mutex<Pace>,
    refused_by_batcher: Mutex<Pace>,
}

impl Losses {
    /// Those of the pipeline with this id, such as `traces/audit`, and with these exporters.
    pub fn new(pipeline: &str, exporters: Vec<String>) -> Arc<Self> {
        Arc::new(Self {
            pipeline: pipeline.to_owned(),
            exporters,
            not_taken: Mutex::default(),
            no_room: Mutex::default(),
            refused_by_stage: Mutex::default(),
            refused_by_batcher: Mutex::default(),
        })
    }

    /// Ids of the exporters that don't get what is lost.
    pub(super) fn exporters(&self) -> &[String] {
        &self.exporters
    }

    /// What a batch processor has no room for. The sender may send it again, or others may have it.
    pub(super) fn not_taken(&self, items: u64) {
        if let Some(items) = add(&self.not_taken, items) {
            let (pipeline, exporters) = (&self.pipeline, self.exporters.join(", "));
            tracing::warn!(%pipeline, items, exporters, "sending queues behind a batch processor are full, items not taken");
        }
    }

    pub(super) fn no_room(&self, items: u64, refusal: &Refusal) {
        if let Some(items) = add(&self.no_room, items) {
            let (pipeline, exporters) = (&self.pipeline, self.exporters.join(", "));
            tracing::error!(%pipeline, items, exporters, %refusal, "dropped what other pipelines have");
        }
    }

    pub(super) fn refused_by_stage(&self, items: u64, refusal: &Refusal) {
        if let Some(items) = add(&self.refused_by_stage, items) {
            let pipeline = &self.pipeline;
            tracing::error!(%pipeline, items, %refusal, "a stage refused data that was acknowledged before, it is dropped");
        }
    }

    pub(super) fn refused_by_batcher(&self, items: u64, refusal: &Refusal) {
        if let Some(items) = add(&self.refused_by_batcher, items) {
            let pipeline = &self.pipeline;
            tracing::error!(%pipeline, items, %refusal, "a batch processor refused data that was acknowledged before");
        }
    }

    /// Tells what was not told yet.
    pub fn tell(&self, rest: Rest) {
        let pipeline = &self.pipeline;
        let untold = |pace: &Mutex<Pace>| pace.lock().unwrap_or_else(PoisonError::into_inner).rest(rest);
        if let Some(items) = untold(&self.not_taken) {
            tracing::warn!(%pipeline, items, "more items not taken behind a batch processor");
        }
        if let Some(items) = untold(&self.no_room) {
            tracing::error!(%pipeline, items, "more dropped that other pipelines have");
        }
        if let Some(items) = untold(&self.refused_by_stage) {
            tracing::error!(%pipeline, items, "more dropped that a stage refused");
        }
        if let Some(items) = untold(&self.refused_by_batcher) {
            tracing::error!(%pipeline, items, "more dropped that a batch processor refused");
        }
    }
}

fn add(pace: &Mutex<Pace>, items: u64) -> Option<u64> {
    pace.lock().unwrap_or_else(PoisonError::into_inner).add(items)
}
