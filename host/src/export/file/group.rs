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

/// The key of an export request's only field: its resources.
const RESOURCES: u64 = 1 << 3 | LENGTH_DELIMITED;
const LENGTH_DELIMITED: u64 = 2;

/// The groups in the order of their first resource, and how many items are in none: their resource does not have the
/// attribute as a text.
pub(super) fn group(batch: &Batch, attribute: &str) -> (Vec<Group>, u64) {
    let mut groups: Vec<(String, u64, Vec<u8>)> = Vec::new();
    let mut positions: HashMap<String, usize> = HashMap::new();
    let mut without = 0;
    for resource in resources(&batch.bytes) {
        let items = sluice_wire::validate(batch.signal, resource).map_or(0, |summary| summary.records.into());
        if items == 0 {
            continue; // it may have any name, since stages label what has records
        }
        let Some(segment) = segment(batch.signal, resource, attribute) else {
            without += items;
            continue;
        };
        match positions.get(&segment).and_then(|position| groups.get_mut(*position)) {
            Some((_, sum, bytes)) => {
                *sum += items;
                bytes.extend_from_slice(resource);
            }
            None => {
                positions.insert(segment.clone(), groups.len());
                groups.push((segment, items, resource.to_vec()));
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

/// Cuts a validated request into its resources, each with its key and length in front, which makes it a request.
fn resources(request: &[u8]) -> Vec<&[u8]> {
    let mut resources = Vec::new();
    let mut rest = request;
    while let Some((key, content)) = varint(rest) {
        let end = match key & 7 {
            0 => varint(content).map(|(_, after)| after),
            1 => content.get(8..),
            LENGTH_DELIMITED => varint(content).and_then(|(length, after)| after.get(usize::try_from(length).ok()?..)),
            5 => content.get(4..),
            _ => None,
        };
        let Some(after) = end else { break };
        if key == RESOURCES {
            resources.push(&rest[..rest.len() - after.len()]);
        }
        rest = after;
    }
    resources
}

fn varint(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let mut value = 0;
    for (index, byte) in bytes.iter().take(10).enumerate() {
        value |= u64::from(byte & 0x7f) << (7 * index);
        if byte & 0x80 == 0 {
            return Some((value, &bytes[index + 1..]));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cuts_a_request_into_its_resources_and_skips_what_it_does_not_know() {
        // Unknown fields of every wire type around two resources.
        let request = [
            &[0x10, 0x96, 0x01][..],
            &[0x0a, 1, 0xaa],
            &[0x19, 1, 2, 3, 4, 5, 6, 7, 8],
            &[0x22, 2, 0x0a, 0x00],
            &[0x2d, 1, 2, 3, 4],
            &[0x0a, 0],
        ];
        assert_eq!(resources(&request.concat()), [&[0x0a, 1, 0xaa][..], &[0x0a, 0]]);
    }

    #[test]
    fn stops_at_what_is_cut_off() {
        for request in [&[0x0a, 2, 0][..], &[0x0a], &[0x0a, 0xff], &[0x0b, 0], &[0x09, 1], &[0xff; 12]] {
            assert!(resources(request).is_empty(), "{request:?}");
        }
    }
}
