//! The ledger: every item that comes in ends exactly once, and this is where that is written down.
//!
//! accepted + duplicated + moved_in = exported + filtered + sampled_out + dropped + rejected + dead_lettered
//! + moved_out + in flight, for each tenant and signal.

use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{IntCounterVec, IntGaugeVec, Opts, Registry};

use crate::model::{Signal, TenantId};

/// Why items came to be in the process, or ceased to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Entry {
    /// A receiver handed them to a pipeline.
    Accepted,
    /// Fan-out made further copies of them.
    Duplicated,
    /// A stage found out that they are this tenant's.
    MovedIn,
    /// A stage found out that they are another tenant's.
    MovedOut,
    /// A destination has them.
    Exported,
    /// A stage dropped them by its rules.
    Filtered,
    /// A sampler dropped them.
    SampledOut,
    /// Lost, for this reason.
    Dropped(&'static str),
    /// Given back to the sender, for this reason.
    Rejected(&'static str),
    /// A destination refused them for good.
    DeadLettered,
}

impl Entry {
    fn labels(self) -> (&'static str, &'static str) {
        match self {
            Self::Accepted => ("accepted", ""),
            Self::Duplicated => ("duplicated", ""),
            Self::MovedIn => ("moved_in", ""),
            Self::MovedOut => ("moved_out", ""),
            Self::Exported => ("exported", ""),
            Self::Filtered => ("filtered", ""),
            Self::SampledOut => ("sampled_out", ""),
            Self::Dropped(reason) => ("dropped", reason),
            Self::Rejected(reason) => ("rejected", reason),
            Self::DeadLettered => ("dead_lettered", ""),
        }
    }

    fn comes_in(outcome: &str) -> bool {
        matches!(outcome, "accepted" | "duplicated" | "moved_in")
    }
}

/// The books of the process.
pub struct Ledger {
    items: IntCounterVec,
}

impl Ledger {
    pub(super) fn register(registry: &Registry) -> Result<Self, prometheus::Error> {
        let opts = Opts::new("sluice_ledger_items", "Items by what became of them; in flight is what is missing.");
        let items = IntCounterVec::new(opts, &["tenant", "signal", "outcome", "reason"])?;
        registry.register(Box::new(items.clone()))?;
        registry.register(Box::new(InFlight::new(items.clone())?))?;
        Ok(Self { items })
    }

    /// Writes down what became of so many items.
    pub fn book(&self, tenant: &TenantId, signal: Signal, entry: Entry, items: u64) {
        if items == 0 {
            return;
        }
        let (outcome, reason) = entry.labels();
        self.items.with_label_values(&[tenant.as_str(), signal.name(), outcome, reason]).inc_by(items);
    }

    /// How many items have this entry.
    pub fn count(&self, tenant: &TenantId, signal: Signal, entry: Entry) -> u64 {
        let (outcome, reason) = entry.labels();
        self.items.with_label_values(&[tenant.as_str(), signal.name(), outcome, reason]).get()
    }

    /// How many items of all tenants and signals are on their way.
    pub fn in_flight(&self) -> i64 {
        self.items.collect().iter().map(|family| sums(family).values().sum::<i64>()).sum()
    }
}

/// The gauge that makes the ledger add up at every scrape.
struct InFlight {
    items: IntCounterVec,
    gauge: IntGaugeVec,
}

impl InFlight {
    fn new(items: IntCounterVec) -> Result<Self, prometheus::Error> {
        let opts = Opts::new("sluice_ledger_in_flight_items", "Items that were accepted and have not ended yet.");
        Ok(Self { items, gauge: IntGaugeVec::new(opts, &["tenant", "signal"])? })
    }
}

impl Collector for InFlight {
    fn desc(&self) -> Vec<&Desc> {
        self.gauge.desc()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        for family in self.items.collect() {
            for ((tenant, signal), items) in sums(&family) {
                self.gauge.with_label_values(&[tenant.as_str(), signal.as_str()]).set(items);
            }
        }
        self.gauge.collect()
    }
}

/// What came in minus what ended, by tenant and signal.
fn sums(family: &MetricFamily) -> std::collections::BTreeMap<(String, String), i64> {
    let mut sums = std::collections::BTreeMap::new();
    for metric in family.get_metric() {
        let label = |name: &str| {
            metric.get_label().iter().find(|l| l.name() == name).map_or(String::new(), |l| l.value().to_owned())
        };
        let items = metric.get_counter().get_value() as i64;
        let signed = if Entry::comes_in(&label("outcome")) { items } else { -items };
        *sums.entry((label("tenant"), label("signal"))).or_default() += signed;
    }
    sums
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_came_in_and_has_not_ended_is_in_flight() {
        let registry = Registry::new();
        let ledger = Ledger::register(&registry).expect("fresh registry");
        let tenant = TenantId::new("acme");
        let book = |entry, items| ledger.book(&tenant, Signal::Logs, entry, items);
        book(Entry::Accepted, 10);
        book(Entry::Duplicated, 10);
        book(Entry::Filtered, 4);
        book(Entry::Dropped("queue_full"), 3);
        assert_eq!(ledger.in_flight(), 13);
        book(Entry::Exported, 12);
        book(Entry::DeadLettered, 1);
        assert_eq!(ledger.in_flight(), 0);
        assert_eq!(ledger.count(&tenant, Signal::Logs, Entry::Exported), 12);
        let gauge = registry.gather().into_iter().find(|f| f.name() == "sluice_ledger_in_flight_items");
        assert_eq!(gauge.expect("registered").get_metric()[0].get_gauge().get_value(), 0.0);
    }
}
