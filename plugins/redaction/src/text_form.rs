//! The text form of values that are no text, as the Collector writes it (`AsString` of its pdata): numbers as in
//! JSON, arrays and maps as JSON with sorted keys.

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
                let mut json = String::new();
                self.write_json(i, &mut json);
                json
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
    fn write_json(&self, i: usize, json: &mut String) {
        match self.table.kind(i) {
            ValueKind::Text => write_string(self.text(i), json),
            ValueKind::Double if !self.table.double(i).is_some_and(f64::is_finite) => {
                write_string(&self.of(i as u32), json);
            }
            ValueKind::Boolean | ValueKind::Integer | ValueKind::Double => json.push_str(&self.of(i as u32)),
            ValueKind::Bytes => json.push_str("\"\""),
            ValueKind::Empty | ValueKind::Absent => json.push_str("null"),
            ValueKind::Array => {
                json.push('[');
                for (at, element) in children(self.table, i).enumerate() {
                    json.push_str(if at == 0 { "" } else { "," });
                    self.write_json(element, json);
                }
                json.push(']');
            }
            ValueKind::Map => {
                let mut members: Vec<usize> = children(self.table, i).collect();
                members.sort_by_key(|member| self.table.key(*member));
                json.push('{');
                for (at, member) in members.into_iter().enumerate() {
                    json.push_str(if at == 0 { "" } else { "," });
                    write_string(self.table.key(member), json);
                    json.push(':');
                    self.write_json(member, json);
                }
                json.push('}');
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

/// A number as ECMAScript writes it.
fn double(value: f64) -> String {
    if value.is_nan() {
        return "NaN".to_owned();
    }
    if value.is_infinite() {
        return if value > 0.0 { "Infinity" } else { "-Infinity" }.to_owned();
    }
    let size = value.abs();
    if size == 0.0 || (1e-6..1e21).contains(&size) {
        return value.to_string();
    }
    let text = format!("{value:e}");
    if text.contains("e-") { text } else { text.replace('e', "e+") }
}

/// Writes a JSON string as Go does without its escapes for HTML.
fn write_string(text: &str, json: &mut String) {
    json.push('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => json.extend(['\\', c]),
            '\n' => json.push_str("\\n"),
            '\r' => json.push_str("\\r"),
            '\t' => json.push_str("\\t"),
            '\x08' => json.push_str("\\b"),
            '\x0c' => json.push_str("\\f"),
            '\0'..='\x1f' | '\u{2028}' | '\u{2029}' => json.push_str(&format!("\\u{:04x}", c as u32)),
            _ => json.push(c),
        }
    }
    json.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_numbers_as_the_collector_does() {
        for (value, expected) in [
            (0.0, "0"),
            (-0.0, "-0"),
            (5.0, "5"),
            (0.1, "0.1"),
            (1e20, "100000000000000000000"),
            (1e21, "1e+21"),
            (1.5e300, "1.5e+300"),
            (1e-6, "0.000001"),
            (1.5e-7, "1.5e-7"),
            (1e-10, "1e-10"),
            (4_111_111_111_111_111.0, "4111111111111111"),
            (f64::NAN, "NaN"),
            (f64::INFINITY, "Infinity"),
            (f64::NEG_INFINITY, "-Infinity"),
        ] {
            assert_eq!(double(value), expected);
        }
    }

    #[test]
    fn escapes_strings_as_go_does() {
        let mut json = String::new();
        write_string("a\"\\\n\r\t\u{8}\u{c}\u{1}<>&é\u{2028}\u{7f}", &mut json);
        assert_eq!(json, "\"a\\\"\\\\\\n\\r\\t\\b\\f\\u0001<>&é\\u2028\u{7f}\"");
    }
}
