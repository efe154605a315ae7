//! Names of members, found and quoted once for records that have the same keys one after the other.

use std::ops::Range;

use sluice_wire::view::{KeyValue, Value};

use super::json::{Json, settled};

/// The members of an object in the order in which they are written: their names, and which value each has.
#[derive(Default)]
pub(super) struct Names {
    quoted: Vec<u8>,
    members: Vec<(Range<usize>, usize)>,
}

/// Attributes as members of an object, record after record.
#[derive(Default)]
pub(super) struct Members<'a> {
    /// Keys of the attributes that `names` is for, none of which was a map.
    keys: Vec<&'a str>,
    names: Names,
    found: Vec<(&'a str, Value<'a>)>,
}

impl Names {
    /// Takes names, each with the position of its value.
    pub(super) fn new<'n>(names: impl Iterator<Item = (&'n str, usize)>) -> Self {
        let mut quoted = Vec::new();
        let members = names.map(|(name, value)| {
            let start = quoted.len();
            Json::new(&mut quoted).key(name);
            (start..quoted.len(), value)
        });
        let members = members.collect();
        Self { quoted, members }
    }

    /// Writes the members of the object that is open.
    pub(super) fn write(&self, json: &mut Json<'_>, mut value: impl FnMut(&mut Json<'_>, usize)) {
        for (name, position) in &self.members {
            json.quoted_key(&self.quoted[name.clone()]);
            value(json, *position);
        }
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
        if !self.found.iter().map(|(key, _)| key).eq(&self.keys) {
            self.keys = self.found.iter().map(|(key, _)| *key).collect();
            let positions = self.keys.iter().enumerate().map(|(position, key)| (*key, position));
            let settled = settled(positions, |_| false);
            self.names = Names::new(settled.iter().map(|(name, position)| (&**name, *position)));
        }
        let found = &self.found;
        self.names.write(json, |json, position| json.value(found[position].1));
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
