//! The bytes of a request as they stand: each record, and what all that stands above it says about itself.

use std::collections::BTreeMap;

use sluice_wire::Signal;

/// The highest number of a field that any message of the protocol has.
const MAX_KNOWN: u64 = 16;

/// A record, or a container that has none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Row {
    /// The own fields of its resource, scope, metric and the metric's data, as far as it has them.
    pub above: Vec<Vec<u8>>,
    pub record: Option<Vec<u8>>,
}

/// A field: its number, all of its bytes, and its content if it has a length.
struct Part<'a> {
    number: u64,
    whole: &'a [u8],
    content: Option<&'a [u8]>,
}

/// The rows of a valid request, in their order.
pub(crate) fn rows(signal: Signal, request: &[u8]) -> Vec<Row> {
    let mut rows = Vec::new();
    for resource in parted(request, 1).1 {
        let (own, scopes) = parted(resource, 2);
        let above = vec![own];
        rows.extend(without_children(&above, scopes.is_empty()));
        for scope in scopes {
            let (own, children) = parted(scope, 2);
            let above = [above.clone(), vec![own]].concat();
            rows.extend(without_children(&above, children.is_empty()));
            for child in children {
                match signal {
                    Signal::Metrics => rows.extend(points(&above, child)),
                    _ => rows.push(Row { above: above.clone(), record: Some(child.to_vec()) }),
                }
            }
        }
    }
    rows
}

/// What a request has beside its resources.
pub(crate) fn own_of_request(request: &[u8]) -> Vec<u8> {
    parted(request, 1).0
}

/// All fields that the protocol does not know, with the level on which they stand, and how often each is there.
pub(crate) fn unknown(signal: Signal, request: &[u8]) -> BTreeMap<(&'static str, Vec<u8>), usize> {
    let mut found = BTreeMap::new();
    let mut note = |level: &'static str, message: &[u8]| {
        for part in parts(message).iter().filter(|part| part.number > MAX_KNOWN) {
            *found.entry((level, part.whole.to_vec())).or_insert(0) += 1;
        }
    };
    note("request", request);
    for resources in parted(request, 1).1 {
        note("resources", resources);
        parted(resources, 1).1.into_iter().for_each(|resource| note("resource", resource));
        for scopes in parted(resources, 2).1 {
            note("scopes", scopes);
            parted(scopes, 1).1.into_iter().for_each(|scope| note("scope", scope));
            for child in parted(scopes, 2).1 {
                if signal != Signal::Metrics {
                    note("record", child);
                    continue;
                }
                note("metric", child);
                for data in data(child).1 {
                    note("data", data);
                    parted(data, 1).1.into_iter().for_each(|point| note("record", point));
                }
            }
        }
    }
    found
}

fn without_children(above: &[Vec<u8>], is_empty: bool) -> Option<Row> {
    is_empty.then(|| Row { above: above.to_vec(), record: None })
}

/// A metric's points. If it has several data messages of one kind they are read as one, which says nothing twice: each
/// of them may say what all say together.
fn points(above: &[Vec<u8>], metric: &[u8]) -> Vec<Row> {
    let (own, data) = data(metric);
    let mut above = [above.to_vec(), vec![own]].concat();
    if data.is_empty() {
        return vec![Row { above, record: None }];
    }
    let (own, points): (Vec<_>, Vec<_>) = data.into_iter().map(|data| parted(data, 1)).unzip();
    let own = own.concat();
    let mut said: Vec<&[u8]> = Vec::new();
    for part in parts(&own) {
        if !said.contains(&part.whole) {
            said.push(part.whole);
        }
    }
    above.push(said.concat());
    let points = points.concat();
    let empty = without_children(&above, points.is_empty());
    let full = points.into_iter().map(|point| Row { above: above.clone(), record: Some(point.to_vec()) });
    empty.into_iter().chain(full).collect()
}

/// A metric's own fields, and its data: of several kinds the last counts, with all of its kind that no other follows.
fn data(metric: &[u8]) -> (Vec<u8>, Vec<&[u8]>) {
    let parts = parts(metric);
    let is_data = |part: &Part<'_>| matches!(part.number, 5 | 7 | 9 | 10 | 11);
    let kind = parts.iter().rfind(|part| is_data(part)).map(|part| part.number);
    let first = parts.iter().rposition(|part| is_data(part) && Some(part.number) != kind).map_or(0, |other| other + 1);
    let mut own = Vec::new();
    let mut data = Vec::new();
    for (index, part) in parts.iter().enumerate() {
        match part.content {
            Some(content) if Some(part.number) == kind && index >= first => data.push(content),
            _ => own.extend(part.whole),
        }
    }
    (own, data)
}

/// The bytes of all fields but those of this number, and the contents of those.
fn parted(message: &[u8], number: u64) -> (Vec<u8>, Vec<&[u8]>) {
    let mut own = Vec::new();
    let mut children = Vec::new();
    for part in parts(message) {
        match part.content {
            Some(content) if part.number == number => children.push(content),
            _ => own.extend(part.whole),
        }
    }
    (own, children)
}

fn parts(message: &[u8]) -> Vec<Part<'_>> {
    let mut parts = Vec::new();
    let mut at = 0;
    while at < message.len() {
        let start = at;
        let key = varint(message, &mut at);
        let mut content = None;
        match key & 7 {
            0 => drop(varint(message, &mut at)),
            1 => at += 8,
            5 => at += 4,
            _ => {
                let length = varint(message, &mut at) as usize;
                content = Some(&message[at..at + length]);
                at += length;
            }
        }
        parts.push(Part { number: key >> 3, whole: &message[start..at], content });
    }
    parts
}

fn varint(message: &[u8], at: &mut usize) -> u64 {
    let mut value = 0;
    for shift in (0..).step_by(7) {
        let byte = message[*at];
        *at += 1;
        value |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            break;
        }
    }
    value
}
