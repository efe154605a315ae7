//! What the file exporters wrote, counted without any help from Sluice.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::path::Path;

use anyhow::{Context, Result};
use serde_json::Value;

use crate::books::{Books, SIGNALS};

/// What stands in one file.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Content {
    /// Spans, data points or log records.
    pub(crate) records: u64,
    /// Values in which something was masked.
    pub(crate) masked: u64,
    /// Values that still look like a card number or an e-mail address.
    pub(crate) leaked: u64,
}

/// The files by tenant and signal.
pub(crate) type Contents = BTreeMap<(String, String), Content>;

/// Reads the files of everybody who has items.
pub(crate) fn read_all(out: &Path, books: &Books) -> Result<Contents> {
    let mut contents = Contents::new();
    for tenant in books.tenants() {
        for signal in SIGNALS {
            let mut content = Content::default();
            each_request(out, tenant, signal, |request| {
                each_record(request, &mut |_| content.records += 1);
                each_text(request, &mut |text| {
                    content.masked += u64::from(text.contains("****"));
                    content.leaked += u64::from(looks_private(text));
                });
            })?;
            contents.insert((tenant.to_owned(), signal.to_owned()), content);
        }
    }
    Ok(contents)
}

/// Gives each line of a tenant's file, which is one exported request.
pub(crate) fn each_request(out: &Path, tenant: &str, signal: &str, mut take: impl FnMut(&Value)) -> Result<()> {
    let path = out.join(tenant).join(format!("{signal}.jsonl"));
    if !path.exists() {
        return Ok(());
    }
    let file = BufReader::new(std::fs::File::open(&path).with_context(|| path.display().to_string())?);
    for (number, line) in file.lines().enumerate() {
        let request = serde_json::from_str(&line?);
        take(&request.with_context(|| format!("{}:{}", path.display(), number + 1))?);
    }
    Ok(())
}

/// Gives each span, data point or log record of a request.
pub(crate) fn each_record<'a>(value: &'a Value, take: &mut impl FnMut(&'a Value)) {
    match value {
        Value::Array(items) => items.iter().for_each(|item| each_record(item, take)),
        Value::Object(members) => {
            for (key, member) in members {
                match (key.as_str(), member) {
                    ("spans" | "dataPoints" | "logRecords", Value::Array(records)) => {
                        records.iter().for_each(&mut *take)
                    }
                    _ => each_record(member, take),
                }
            }
        }
        _ => {}
    }
}

fn each_text<'a>(value: &'a Value, take: &mut impl FnMut(&'a str)) {
    match value {
        Value::String(text) => take(text),
        Value::Array(items) => items.iter().for_each(|item| each_text(item, take)),
        Value::Object(members) => members.values().for_each(|member| each_text(member, take)),
        _ => {}
    }
}

/// A card number as the generator writes them, or an address with something before the at sign.
fn looks_private(text: &str) -> bool {
    let card = text.split_once("card=4").is_some_and(|(_, rest)| rest.starts_with(|next: char| next.is_ascii_digit()));
    let address =
        text.split_once('@').is_some_and(|(name, _)| name.ends_with(|last: char| last.is_ascii_alphanumeric()));
    card || address
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_records_wherever_a_signal_has_them() {
        let request = serde_json::json!({"resourceMetrics": [{"scopeMetrics": [{"metrics": [
            {"name": "a", "sum": {"dataPoints": [{"asInt": "1"}, {"asInt": "2"}]}},
            {"name": "b", "gauge": {"dataPoints": [{"asInt": "3"}]}},
        ]}]}]});
        let mut records = 0;
        each_record(&request, &mut |_| records += 1);
        assert_eq!(records, 3);
    }

    #[test]
    fn tells_masked_values_from_others() {
        let cases = [
            ("https://shop.example.com/login?card=4123456789012345", true),
            ("https://shop.example.com/login?card=****", false),
            ("user1@example.com", true),
            ("****@example.com", false),
            ("GET", false),
        ];
        for (text, expected) in cases {
            assert_eq!(looks_private(text), expected, "{text}");
        }
    }
}
