//! The text form of values that are no text, as the Collector writes it (`AsString` of its pdata): numbers as in
//! JSON, arrays and maps as JSON with sorted keys.

use sluice_sdk::go_json::{Encoder, Json, double};
use sluice_sdk::{Batch, Table, Texts, ValueKind};

/// Writes values of one batch.
pub(crate) struct TextForms<'a> {
    table: Table<'a>,
    /// Entries whose text is at hand; ascending.
    entries: Vec<u32>,
    texts: Texts,
}

impl<'a> TextForms<'a> {
    /// Prepares for these entries: fetches all texts within them at once. Entries must ascend.
    pub(crate) fn new(batch: &'a Batch, entries: &[u32]) -> Self {
        let table = batch.table();
        let subtrees = entries.iter().flat_map(|&entry| entry as usize..end_of(table, entry as usize));
        let entries: Vec<u32> = subtrees.filter(|&i| table.kind(i) == ValueKind::Text).map(|i| i as u32).collect();
        let texts = if entries.is_empty() { Texts::new() } else { batch.table_text(&entries) };
        Self { table, entries, texts }
    }

    /// The text form of an entry. Bytes do not come with the table; they count as none.
    pub(crate) fn of(&self, entry: u32) -> String {
        let i = entry as usize;
        match self.table.kind(i) {
            ValueKind::Text => self.text(i).to_owned(),
            ValueKind::Boolean => self.table.boolean(i).unwrap_or_default().to_string(),
            ValueKind::Integer => self.table.integer(i).unwrap_or_default().to_string(),
            ValueKind::Double => double(self.table.double(i).unwrap_or_default()),
            ValueKind::Array | ValueKind::Map => {
                let mut json = Json::new(Encoder::Standard);
                self.write(&mut json, i);
                json.finish()
            }
            ValueKind::Bytes | ValueKind::Empty | ValueKind::Absent => String::new(),
        }
    }

    fn text(&self, i: usize) -> &str {
        self.entries.binary_search(&(i as u32)).map_or("", |at| self.texts.get(at))
    }

    /// Nesting ends at the 64 levels that the host accepts, and so does the recursion.
    ///
    /// All that an exporter may write stands in it, though JSON and the Collector have no such thing: each member of a map
    /// that has a key twice, and numbers that are none.
    fn write(&self, json: &mut Json, i: usize) {
        match self.table.kind(i) {
            ValueKind::Text => json.text(self.text(i)),
            ValueKind::Boolean => json.boolean(self.table.boolean(i).unwrap_or_default()),
            ValueKind::Integer => json.integer(self.table.integer(i).unwrap_or_default()),
            ValueKind::Double => json.double(self.table.double(i).unwrap_or_default()),
            ValueKind::Bytes => json.text(""),
            ValueKind::Empty | ValueKind::Absent => json.null(),
            ValueKind::Array => json.array(children(self.table, i), |json, element| self.write(json, element)),
            ValueKind::Map => {
                let mut members: Vec<_> =
                    children(self.table, i).map(|member| (self.table.key(member), member)).collect();
                members.sort_by_key(|(key, _)| *key);
                json.members(members, |json, member| self.write(json, member));
            }
        }
    }
}

/// The first entry behind an entry and all that it contains.
fn end_of(table: Table<'_>, i: usize) -> usize {
    (i + 1..table.len()).find(|&next| table.parent(next).is_none_or(|parent| parent < i)).unwrap_or(table.len())
}

/// The entries that an entry contains directly.
fn children(table: Table<'_>, i: usize) -> impl Iterator<Item = usize> {
    (i + 1..end_of(table, i)).filter(move |&child| table.parent(child) == Some(i))
}
