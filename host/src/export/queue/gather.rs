//! `sending_queue::batch`: what waits in the queue is joined with others of its signal and tenant until there is enough
//! of it, or it has waited long enough.

use std::time::Duration;

use tokio::time::Instant;

use super::{Entry, Sizer, State, size};
use crate::config::types::QueueConfig;
use crate::model::Batch;

/// What is joined, and for how long.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gathering {
    /// How long a batch waits for more.
    pub flush_timeout: Duration,
    /// So much is sent at once.
    pub min_size: u64,
    /// What is larger is cut; 0 never cuts.
    pub max_size: u64,
    /// What the sizes count: items or bytes.
    pub sizer: Sizer,
}

impl Gathering {
    /// What an exporter's queue says, if it joins batches.
    pub(super) fn of(queue: &QueueConfig) -> Option<Self> {
        let batch = queue.batch.as_ref().filter(|_| queue.enabled)?;
        Some(Self {
            flush_timeout: batch.flush_timeout.get(),
            min_size: batch.min_size,
            max_size: batch.max_size,
            sizer: queue.batch_sizer(),
        })
    }
}

/// Batches of one signal and tenant that wait for more. They count towards the queue's size like all others.
pub(super) struct Gathered {
    entry: Entry,
    /// How much there is, in the unit of `batch::sizer`.
    size: u64,
    due: Instant,
}

impl State {
    /// Adds a batch to those of its kind; they are ready when there are enough.
    pub(super) fn gather(&mut self, entry: Entry, settings: &Gathering, now: Instant) {
        let Some(batch) = entry.batches.first() else { return };
        let key = (batch.signal, batch.tenant.clone());
        let added = size(settings.sizer, batch);
        let total = match self.gathering.get_mut(&key) {
            Some(gathered) => {
                gathered.entry.append(entry);
                gathered.size += added;
                gathered.size
            }
            None => {
                let due = now + settings.flush_timeout;
                self.gathering.insert(key.clone(), Gathered { entry, size: added, due });
                added
            }
        };
        if total >= settings.min_size {
            let ready = self.gathering.remove(&key);
            self.waiting.extend(ready.map(|gathered| gathered.entry));
        }
    }

    /// Makes ready what has waited long enough, the oldest first, or everything.
    pub(super) fn release(&mut self, everything: bool, now: Instant) {
        if self.gathering.is_empty() {
            return;
        }
        let mut ready: Vec<Gathered> = self
            .gathering
            .extract_if(|_, gathered| everything || gathered.due <= now)
            .map(|(_, ready)| ready)
            .collect();
        ready.sort_by_key(|gathered| gathered.due);
        self.waiting.extend(ready.into_iter().map(|gathered| gathered.entry));
    }

    /// When something will have waited long enough.
    pub(super) fn next_due(&self) -> Option<Instant> {
        self.gathering.values().map(|gathered| gathered.due).min()
    }
}

impl Entry {
    fn append(&mut self, mut other: Self) {
        self.batches.append(&mut other.batches);
        self.done.append(&mut other.done);
        self.awaited = self.awaited.min(other.awaited);
        self.takes.add(other.takes);
    }
}

/// The batches of one entry as they are sent: as they came, or joined and cut.
pub(super) fn pieces(batches: Vec<Batch>, settings: Option<&Gathering>) -> Vec<Batch> {
    let Some(settings) = settings else { return batches };
    let (max_items, max_bytes) = match settings.sizer {
        Sizer::Bytes => (0, settings.max_size),
        Sizer::Items | Sizer::Requests => (settings.max_size, 0),
    };
    Batch::join(batches).map(|batch| batch.cut(max_items, max_bytes)).unwrap_or_default()
}
