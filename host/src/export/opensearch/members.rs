//! What stands around values, found once for records that have the same keys one after the other.

use sluice_wire::view::{KeyValue, Value};

use super::json::{Json, settled};
use crate::export::recent::Recent;

/// JSON with gaps, each for the value at a position.
#[derive(Default)]
pub(super) struct Frame {
    text: Vec<u8>,
    /// Where the gaps are, in order, and the position of the value that goes there.
    gaps: Vec<(usize, usize)>,
}

/// Frames by the keys of the records that they are for.
pub(super) struct Frames<K>(Recent<(Vec<K>, Frame)>);

/// Attributes as members of an object, record after record.
#[derive(Default)]
pub(super) struct Members<'a> {
    /// For attributes none of which is a map.
    frames: Frames<&'a str>,
    found: Vec<(&'a str, Value<'a>)>,
}

impl Frame {
    /// Takes what a function writes; where that has a value it gives the position.
    pub(super) fn new(write: impl FnOnce(&mut Json<'_>, &mut dyn FnMut(&mut Json<'_>, usize))) -> Self {
        let (mut text, mut gaps) = (Vec::new(), Vec::new());
        write(&mut Json::new(&mut text), &mut |json, position| gaps.push((json.gap(), position)));
        Self { text, gaps }
    }

    /// Writes it with values in its gaps.
    pub(super) fn write(&self, json: &mut Json<'_>, mut value: impl FnMut(&mut Json<'_>, usize)) {
        let mut from = 0;
        for &(gap, position) in &self.gaps {
            json.piece(&self.text[from..gap], from == 0);
            value(json, position);
            from = gap;
        }
        if from < self.text.len() {
            json.raw_end(&self.text[from..]);
        }
    }
}

impl<K: Copy + PartialEq> Frames<K> {
    /// The frame for these keys; a new one if they have none.
    pub(super) fn of(&mut self, keys: impl Iterator<Item = K> + Clone, new: impl FnOnce() -> Frame) -> &Frame {
        let fits = |(known, _): &(Vec<K>, Frame)| keys.clone().eq(known.iter().copied());
        &self.0.find_or_keep(fits, || (keys.clone().collect(), new())).1
    }
}

impl<K> Default for Frames<K> {
    fn default() -> Self {
        Self(Recent::default())
    }
}

impl<'a> Members<'a> {
    /// Writes attributes as members of the object that is open, as `Json::members` does.
    pub(super) fn write(&mut self, json: &mut Json<'_>, attributes: impl Iterator<Item = KeyValue<'a>>) {
        self.found.clear();
        self.found.extend(attributes.map(|attribute| (attribute.key(), attribute.value())));
        if self.found.iter().any(|(_, value)| matches!(value, Value::Map(_))) {
            return json.pairs(self.found.iter().copied());
        }
        let keys = self.found.iter().map(|(key, _)| *key);
        let found = &self.found;
        let frame = self.frames.of(keys.clone(), || {
            let settled = settled(keys.enumerate().map(|(position, key)| (key, position)), |_| false);
            Frame::new(|json, value| {
                for (name, position) in &settled {
                    json.key(name);
                    value(json, *position);
                }
            })
        });
        frame.write(json, |json, position| json.value(found[position].1));
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use sluice_wire::LogsWriter;
    use sluice_wire::view::LogsView;

    use super::*;

    const KEYS: [&str; 5] = ["a", "a.b", "a.value", "with \"quotes\"", "z"];

    proptest! {
        #[test]
        fn a_record_is_written_alike_whatever_came_before(
            records in prop::collection::vec(prop::collection::vec((0..5usize, 0..3u8), 0..5), 1..12),
        ) {
            let mut writer = LogsWriter::with_capacity(0);
            writer.resource_logs(|resource| {
                resource.scope_logs(|scope| {
                    for attributes in &records {
                        scope.log_record(|record| {
                            for (key, kind) in attributes {
                                record.attribute(KEYS[*key], |value| match kind {
                                    0 => value.text("text"),
                                    1 => value.integer(-7),
                                    _ => value.map(|map| map.member("m", |value| value.integer(1))),
                                });
                            }
                        });
                    }
                });
            });
            let bytes = writer.finish();
            let mut members = Members::default();
            for resource in LogsView::new(&bytes).resource_logs() {
                for record in resource.scope_logs().flat_map(|scope| scope.log_records().collect::<Vec<_>>()) {
                    let (mut expected, mut found) = (Vec::new(), Vec::new());
                    Json::new(&mut expected).members(record.attributes());
                    members.write(&mut Json::new(&mut found), record.attributes());
                    prop_assert_eq!(String::from_utf8(found), String::from_utf8(expected));
                }
            }
        }
    }
}
