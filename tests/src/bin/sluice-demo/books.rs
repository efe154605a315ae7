//! The books of the running process, as its metrics page shows them.

use std::collections::BTreeMap;

use anyhow::{Context, Result};

/// The signals, as the ledger names them.
pub(crate) const SIGNALS: [&str; 3] = ["traces", "metrics", "logs"];

/// A sample of the page: name, labels, value.
struct Sample<'a> {
    name: &'a str,
    labels: BTreeMap<&'a str, &'a str>,
    value: f64,
}

/// What became of items, by tenant and signal, and values that were redacted, by signal.
#[derive(Debug, Default)]
pub(crate) struct Books {
    entries: BTreeMap<(String, String), Entries>,
    redacted: BTreeMap<String, u64>,
    in_flight: i64,
}

/// What became of one tenant's items of one signal.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Entries {
    /// Accepted or taken over from the tenant that a receiver gives to everything, minus what was passed on.
    pub(crate) received: i64,
    /// Copies that fan-out made.
    pub(crate) duplicated: i64,
    /// Left out by a stage.
    pub(crate) filtered: i64,
    /// Left out by a sampler.
    pub(crate) sampled_out: i64,
    /// Delivered.
    pub(crate) exported: i64,
    /// Ended in any other way.
    pub(crate) lost: i64,
}

impl Books {
    /// Reads the page.
    pub(crate) fn read(page: &str) -> Result<Self> {
        let mut books = Self::default();
        for line in page.lines().filter(|line| !line.starts_with('#') && !line.is_empty()) {
            let sample = sample(line).with_context(|| format!("no sample: {line}"))?;
            books.add(&sample);
        }
        Ok(books)
    }

    fn add(&mut self, sample: &Sample<'_>) {
        let label = |name: &str| sample.labels.get(name).copied().unwrap_or_default().to_owned();
        let value = sample.value as i64;
        match sample.name {
            "sluice_ledger_items" => {
                let entries = self.entries.entry((label("tenant"), label("signal"))).or_default();
                match label("outcome").as_str() {
                    "accepted" | "moved_in" => entries.received += value,
                    "moved_out" => entries.received -= value,
                    "duplicated" => entries.duplicated += value,
                    "filtered" => entries.filtered += value,
                    "sampled_out" => entries.sampled_out += value,
                    "exported" => entries.exported += value,
                    _ => entries.lost += value,
                }
            }
            "sluice_ledger_in_flight_items" => self.in_flight += value.abs(),
            "sluice_stage_edited_items" if label("processor") == "redaction" => {
                *self.redacted.entry(label("otel_signal")).or_default() += sample.value as u64;
            }
            _ => {}
        }
    }

    /// Whether nothing is on its way.
    pub(crate) fn settled(&self) -> bool {
        self.in_flight == 0
    }

    /// Whether something went to several exporters.
    pub(crate) fn has_copies(&self) -> bool {
        self.entries.values().any(|entries| entries.duplicated > 0)
    }

    /// What became of a tenant's items.
    pub(crate) fn entries(&self, tenant: &str, signal: &str) -> Entries {
        self.entries.get(&(tenant.to_owned(), signal.to_owned())).copied().unwrap_or_default()
    }

    /// Everybody who has items, or had them and did not pass them on.
    pub(crate) fn tenants(&self) -> Vec<&str> {
        let holds = |entries: &Entries| entries.received != 0 || entries.lost != 0;
        let mut names: Vec<&str> =
            self.entries.iter().filter(|(_, entries)| holds(entries)).map(|((tenant, _), _)| tenant.as_str()).collect();
        names.dedup();
        names
    }

    /// Values that the stage `redaction` changed.
    pub(crate) fn redacted(&self, signal: &str) -> u64 {
        self.redacted.get(signal).copied().unwrap_or(0)
    }
}

/// `name{label="value",…} 12`. The labels that are of interest here hold no quotes.
fn sample(line: &str) -> Option<Sample<'_>> {
    let (series, value) = line.rsplit_once(' ')?;
    let (name, labels) = match series.split_once('{') {
        None => (series, ""),
        Some((name, labels)) => (name, labels.strip_suffix('}')?),
    };
    let pairs = labels.split("\",").filter_map(|pair| pair.split_once("=\""));
    let labels = pairs.map(|(key, value)| (key, value.trim_end_matches('"'))).collect();
    Some(Sample { name, labels, value: value.parse().ok()? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gives_what_moved_to_the_tenant_that_has_it() {
        let page = "# HELP sluice_ledger_items Items\n\
            sluice_ledger_items{outcome=\"accepted\",reason=\"\",signal=\"logs\",tenant=\"default\"} 10\n\
            sluice_ledger_items{outcome=\"moved_out\",reason=\"\",signal=\"logs\",tenant=\"default\"} 10\n\
            sluice_ledger_items{outcome=\"moved_in\",reason=\"\",signal=\"logs\",tenant=\"acme\"} 10\n\
            sluice_ledger_items{outcome=\"filtered\",reason=\"\",signal=\"logs\",tenant=\"acme\"} 4\n\
            sluice_ledger_items{outcome=\"dropped\",reason=\"queue_full\",signal=\"logs\",tenant=\"acme\"} 1\n\
            sluice_ledger_in_flight_items{signal=\"logs\",tenant=\"acme\"} 5\n\
            sluice_stage_edited_items{otel_signal=\"logs\",processor=\"redaction\"} 3\n\
            sluice_stage_edited_items{otel_signal=\"logs\",processor=\"sampler\"} 9\n";
        let books = Books::read(page).expect("a page");
        assert_eq!(books.tenants(), ["acme"]);
        let entries = books.entries("acme", "logs");
        assert_eq!((entries.received, entries.filtered, entries.lost), (10, 4, 1));
        assert!(!books.settled());
        assert_eq!(books.redacted("logs"), 3);
    }
}
