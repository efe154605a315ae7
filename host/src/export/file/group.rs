//! Takes a batch apart by a resource attribute.

use std::collections::HashMap;

use bytes::Bytes;
use sluice_wire::Signal;
use sluice_wire::view::{LogsView, MetricsView, Resource, TracesView, Value};

use crate::model::Batch;

/// The resources of a batch that belong into one file, as a request.
pub(super) struct Group {
    pub(super) segment: Option<String>,
    pub(super) items: u64,
    pub(super) bytes: Bytes,
}

/// The groups in the order of their first resource, and how many items are in none: their resource does not have the
/// attribute as a text.
pub(super) fn group(batch: &Batch, attribute: &str) -> (Vec<Group>, u64) {
    let mut groups: Vec<(String, u64, Vec<u8>)> = Vec::new();
    let mut positions: HashMap<String, usize> = HashMap::new();
    let mut without = 0;
    for resource in sluice_wire::resources(batch.signal, &batch.bytes) {
        let items = u64::from(resource.records);
        if items == 0 {
            continue; // it may have any name, since stages label what has records
        }
        let Some(segment) = segment(batch.signal, &resource.bytes, attribute) else {
            without += items;
            continue;
        };
        match positions.get(&segment).and_then(|position| groups.get_mut(*position)) {
            Some((_, sum, bytes)) => {
                *sum += items;
                bytes.extend_from_slice(&resource.bytes);
            }
            None => {
                positions.insert(segment.clone(), groups.len());
                groups.push((segment, items, resource.bytes.into_owned()));
            }
        }
    }
    let group = |(segment, items, bytes)| Group { segment: Some(segment), items, bytes: Bytes::from(bytes) };
    (groups.into_iter().map(group).collect(), without)
}

/// The value of the attribute of the only resource.
fn segment(signal: Signal, request: &[u8], attribute: &str) -> Option<String> {
    let resource: Resource<'_> = match signal {
        Signal::Traces => TracesView::new(request).resource_spans().next()?.resource(),
        Signal::Metrics => MetricsView::new(request).resource_metrics().next()?.resource(),
        Signal::Logs => LogsView::new(request).resource_logs().next()?.resource(),
    };
    let found = resource.attributes().find(|pair| pair.key() == attribute)?;
    match found.value() {
        Value::Text(text) => Some(text.to_owned()),
        _ => None,
    }
}
