//! What the exporters' tests share: batches, servers and their certificates, and a report that adds up.

pub(crate) mod authority;
pub(crate) mod samples;
pub(crate) mod server;

use std::sync::{Arc, Mutex};
use std::time::SystemTime;

use bytes::Bytes;
use sluice_wire::Signal;

use crate::export::report::Report;
use crate::limits::Budget;
use crate::model::{Batch, Context, TenantId};

/// A batch of traces with so many items and these bytes, whatever they are.
pub(crate) fn batch(items: u64, bytes: impl Into<Bytes>) -> Batch {
    let bytes = bytes.into();
    let permit = Budget::new(usize::MAX).try_take(bytes.len()).expect("budget");
    Batch {
        signal: Signal::Traces,
        bytes,
        items,
        tenant: TenantId::default(),
        context: Arc::new(Context { received: SystemTime::UNIX_EPOCH, headers: Vec::new() }),
        permit: Arc::new(permit),
    }
}

/// Writes down what is reported, in words.
#[derive(Debug, Default)]
pub(crate) struct Reported(Mutex<Vec<String>>);

impl Reported {
    pub(crate) fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().expect("report"))
    }

    fn add(&self, line: String) {
        self.0.lock().expect("report").push(line);
    }
}

impl Report for Reported {
    fn exported(&self, _: &Batch, items: u64) {
        self.add(format!("exported {items}"));
    }

    fn refused(&self, _: &Batch, items: u64) {
        self.add(format!("refused {items}"));
    }

    fn dead_lettered(&self, _: &Batch, items: u64) {
        self.add(format!("dead-lettered {items}"));
    }

    fn dropped(&self, _: &Batch, items: u64, reason: &'static str) {
        self.add(format!("dropped {items} {reason}"));
    }

    fn given_back(&self, _: &Batch, items: u64, reason: &'static str) {
        self.add(format!("given back {items} {reason}"));
    }
}
