//! Which edition of the example plugin worked on which records.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Result, ensure};
use serde_json::Value;

use crate::books::{Books, SIGNALS};
use crate::files::{each_record, each_request};
use crate::table;

const ATTRIBUTE: &str = "http.status_class";
/// What the second edition writes instead of `2xx` and `5xx`.
const WORDS: [&str; 5] = ["informational", "success", "redirection", "client error", "server error"];

/// Records by the edition whose mark they bear.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Count {
    first: u64,
    second: u64,
    neither: u64,
    /// Requests in which both editions left their marks: batches are never divided between two versions.
    mixed: u64,
}

/// Counts the records of everybody's files, by signal.
pub(crate) fn count(out: &Path, books: &Books) -> Result<BTreeMap<&'static str, Count>> {
    let mut counts = BTreeMap::new();
    for signal in SIGNALS {
        let count: &mut Count = counts.entry(signal).or_default();
        for tenant in books.tenants() {
            each_request(out, tenant, signal, |request| count.add(request))?;
        }
    }
    Ok(counts)
}

impl Count {
    fn add(&mut self, request: &Value) {
        let before = *self;
        each_record(request, &mut |record| match class(record) {
            None => self.neither += 1,
            Some(class) if WORDS.contains(&class) => self.second += 1,
            Some(_) => self.first += 1,
        });
        self.mixed += u64::from(self.first > before.first && self.second > before.second);
    }
}

fn class(record: &Value) -> Option<&str> {
    let attributes = record["attributes"].as_array()?;
    let found = attributes.iter().find(|attribute| attribute["key"] == ATTRIBUTE)?;
    found["value"]["stringValue"].as_str()
}

/// One line per signal.
pub(crate) fn render(counts: &BTreeMap<&'static str, Count>) -> String {
    let header = ["signal", "", "2xx, 5xx (first)", "success, server error (second)", "neither"];
    let mut rows = vec![header.map(str::to_owned)];
    for (signal, count) in counts {
        let [first, second, neither] =
            [count.first, count.second, count.neither].map(|number| table::thousands(number as i64));
        rows.push([(*signal).to_owned(), String::new(), first, second, neither]);
    }
    table::lines(&rows)
}

/// The outcome has changed, and every record bears exactly one mark.
pub(crate) fn check(counts: &BTreeMap<&'static str, Count>) -> Result<()> {
    for (signal, count) in counts {
        ensure!(count.first > 0, "{signal}: nothing bears the mark of the first edition");
        ensure!(count.second > 0, "{signal}: nothing bears the mark of the second edition");
        ensure!(count.neither == 0, "{signal}: {} records passed the plugin by", count.neither);
        ensure!(count.mixed == 0, "{signal}: {} requests were divided between two versions", count.mixed);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sees_a_request_on_which_two_editions_worked() {
        let record =
            |class: &str| serde_json::json!({"attributes": [{"key": ATTRIBUTE, "value": {"stringValue": class}}]});
        let mut count = Count::default();
        count.add(&serde_json::json!({"spans": [record("2xx"), record("5xx")]}));
        count.add(&serde_json::json!({"spans": [record("success")]}));
        assert_eq!((count.first, count.second, count.neither, count.mixed), (2, 1, 0, 0));
        count.add(&serde_json::json!({"spans": [record("2xx"), record("success"), {}]}));
        assert_eq!((count.neither, count.mixed), (1, 1));
    }
}
