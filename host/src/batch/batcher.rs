//! The batcher without clock or task: what comes in, when, and what goes out for which reason.
//!
//! An OTLP export request is a repeated field, so requests joined are one request; cutting is slicing at items.

use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, Instant};

use crate::limits::Permit;
use crate::model::{Batch, Refusal, TenantId};

/// When a batch is sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Send as soon as so many items are there; 0 sends at once.
    pub send_batch_size: u64,
    /// Never more than so many items; 0 means any number.
    pub send_batch_max_size: u64,
    /// Send whatever is there after so long; zero sends at once.
    pub timeout: Duration,
    /// Request headers whose values keep batches apart.
    pub metadata_keys: Vec<String>,
    /// How many combinations of their values there may be.
    pub metadata_cardinality_limit: usize,
}

/// Why a batch went out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trigger {
    /// It was full.
    Size,
    /// Its time had come, or the process stops.
    Timeout,
}

/// Batches in the making, one for each tenant and combination of metadata values.
pub struct Batcher {
    limits: Limits,
    open: HashMap<Key, Open>,
    /// When their time has come. There may be very many, and none is looked at before.
    due: BTreeMap<Due, Key>,
    opened: u64,
}

/// When the time of a batch has come, and the how many-th it is.
type Due = (Instant, u64);

/// What an open batch takes beside what is in it.
const OPEN_BYTES: usize = 1024;

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Key {
    tenant: TenantId,
    metadata: Vec<Option<String>>,
}

struct Open {
    parts: Vec<Batch>,
    items: u64,
    due: Due,
    _permit: Permit,
}

impl Batcher {
    /// Starts with nothing.
    pub fn new(limits: Limits) -> Self {
        Self { limits, open: HashMap::new(), due: BTreeMap::new(), opened: 0 }
    }

    /// Takes a batch and gives back what is full now.
    ///
    /// # Errors
    /// Refuses for good what would be one combination of metadata values too many.
    pub fn push(&mut self, batch: Batch, now: Instant) -> Result<Vec<(Batch, Trigger)>, Refusal> {
        let key = self.key(&batch);
        let combinations = self.open.len();
        if !self.limits.metadata_keys.is_empty()
            && combinations >= self.limits.metadata_cardinality_limit
            && !self.open.contains_key(&key)
        {
            return Err(Refusal::Permanent { reason: "too many batcher metadata-value combinations".into() });
        }
        let open = self.open(&key, &batch, now);
        open.items += batch.items;
        open.parts.push(batch);
        let items = open.items;
        if self.limits.timeout.is_zero() || self.limits.send_batch_size == 0 {
            return Ok(self.close(&key, Trigger::Size));
        }
        Ok(if items >= self.limits.send_batch_size { self.close_full(&key, now) } else { Vec::new() })
    }

    fn open(&mut self, key: &Key, first: &Batch, now: Instant) -> &mut Open {
        self.open.entry(key.clone()).or_insert_with(|| {
            self.opened += 1;
            let due = (now + self.limits.timeout, self.opened);
            self.due.insert(due, key.clone());
            Open { parts: Vec::new(), items: 0, due, _permit: first.permit.beyond(OPEN_BYTES) }
        })
    }

    /// Gives back what has waited long enough.
    pub fn poll(&mut self, now: Instant) -> Vec<(Batch, Trigger)> {
        let due: Vec<Key> = self.due.range(..=(now, u64::MAX)).map(|(_, key)| key.clone()).collect();
        due.iter().flat_map(|key| self.close(key, Trigger::Timeout)).collect()
    }

    /// Gives back everything.
    pub fn drain(&mut self) -> Vec<(Batch, Trigger)> {
        let all: Vec<Key> = self.due.values().cloned().collect();
        all.iter().flat_map(|key| self.close(key, Trigger::Timeout)).collect()
    }

    /// When `poll` will have something to give, unless more comes in.
    pub fn next_due(&self) -> Option<Instant> {
        self.due.first_key_value().map(|((due, _), _)| *due)
    }

    /// How many combinations of metadata values and tenants there are now; without keys of metadata at least one.
    pub fn cardinality(&self) -> usize {
        self.open.len().max(usize::from(self.limits.metadata_keys.is_empty()))
    }

    fn key(&self, batch: &Batch) -> Key {
        let value = |name: &String| {
            let header = batch.context.headers.iter().find(|(key, _)| key.eq_ignore_ascii_case(name));
            header.map(|(_, value)| value.clone())
        };
        let metadata = self.limits.metadata_keys.iter().map(value).collect();
        Key { tenant: batch.tenant.clone(), metadata }
    }

    fn close(&mut self, key: &Key, trigger: Trigger) -> Vec<(Batch, Trigger)> {
        let Some(open) = self.open.remove(key) else { return Vec::new() };
        self.due.remove(&open.due);
        let cut = |batch: Batch| batch.cut(self.limits.send_batch_max_size, 0);
        Batch::join(open.parts).map(cut).into_iter().flatten().map(|batch| (batch, trigger)).collect()
    }

    /// Sends what is full; what is left over by the maximum waits for more, as it would have waited alone.
    fn close_full(&mut self, key: &Key, now: Instant) -> Vec<(Batch, Trigger)> {
        let mut out = self.close(key, Trigger::Size);
        let rest =
            out.pop_if(|(last, _)| last.items < self.limits.send_batch_size && self.limits.send_batch_max_size > 0);
        if let Some((rest, _)) = rest {
            let open = self.open(key, &rest, now);
            open.items = rest.items;
            open.parts.push(rest);
        }
        out
    }
}

#[cfg(test)]
mod tests;
