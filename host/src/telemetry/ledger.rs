//! The ledger: every item that comes in ends exactly once, and this is where that is written down.
//!
//! accepted + duplicated + moved_in = exported + filtered + sampled_out + dropped + rejected + dead_lettered
//! + moved_out + in flight, for each tenant and signal.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use prometheus::Registry;
use prometheus::core::{Collector, Desc};
use prometheus::proto::{Counter, Gauge, LabelPair, Metric, MetricFamily, MetricType};

use crate::model::{Signal, TenantId};

/// Tenants that have series of their own; each has about ten.
const MAX_TENANTS: usize = 1_000;
/// A tenant that had nothing for so long, and has nothing on its way, makes room for another one.
const QUIET: Duration = Duration::from_secs(600);

/// Why items came to be in the process, or ceased to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Entry {
    /// A receiver handed them to a pipeline.
    Accepted,
    /// Further pipelines or exporters got copies of them.
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
pub struct Ledger(Arc<Mutex<Books>>);

/// An account for each tenant, up to a limit, and one for all others together: tenants come from outside.
#[derive(Default)]
struct Books {
    tenants: HashMap<TenantId, Account>,
    others: Account,
    /// What closed accounts had. Were it among the others, old losses would look like new ones there.
    closed: Entries,
}

/// Items by signal, outcome and reason.
type Entries = BTreeMap<(usize, &'static str, &'static str), u64>;

/// What became of the items of one tenant.
#[derive(Default)]
struct Account {
    entries: Entries,
    /// What came in minus what ended, by signal.
    in_flight: [i64; 3],
    /// When the last entry was made.
    seen: Option<Instant>,
    /// Whether it is never closed, however quiet.
    stays: bool,
}

impl Ledger {
    pub(super) fn register(registry: &Registry) -> Result<Self, prometheus::Error> {
        let books = Arc::<Mutex<Books>>::default();
        registry.register(Box::new(Pages::new(Arc::clone(&books))?))?;
        Ok(Self(books))
    }

    /// Writes down what became of so many items.
    pub fn book(&self, tenant: &TenantId, signal: Signal, entry: Entry, items: u64) {
        if items > 0 {
            self.books().book(tenant, signal, entry, items, Instant::now());
        }
    }

    /// Shows an entry before there is anything to count: one that appears with its first items has no increase that an
    /// alarm could see. The account stays for good.
    pub fn show(&self, tenant: &TenantId, signal: Signal, entry: Entry) {
        let (outcome, reason) = entry.labels();
        let mut books = self.books();
        let account = books.tenants.entry(tenant.clone()).or_default();
        account.stays = true;
        account.entries.entry((signal as usize, outcome, reason)).or_default();
    }

    /// How many items have this entry.
    pub fn count(&self, tenant: &TenantId, signal: Signal, entry: Entry) -> u64 {
        let (outcome, reason) = entry.labels();
        let books = self.books();
        let account = books.tenants.get(tenant);
        account
            .and_then(|account| account.entries.get(&(signal as usize, outcome, reason)))
            .copied()
            .unwrap_or_default()
    }

    /// How many items of all tenants and signals have this entry.
    pub fn total(&self, entry: Entry) -> u64 {
        let (outcome, reason) = entry.labels();
        let books = self.books();
        let entries = books.entries();
        entries.filter(|((_, what, why), _)| (*what, *why) == (outcome, reason)).map(|(_, items)| items).sum()
    }

    /// How many items of all tenants and signals are on their way. An account from which too much went counts as one
    /// from which too little did, so that neither hides the other.
    pub fn in_flight(&self) -> u64 {
        self.books().accounts().flat_map(|(_, account)| account.in_flight).map(i64::unsigned_abs).sum()
    }

    fn books(&self) -> MutexGuard<'_, Books> {
        lock(&self.0)
    }
}

impl Books {
    fn book(&mut self, tenant: &TenantId, signal: Signal, entry: Entry, items: u64, now: Instant) {
        let (outcome, reason) = entry.labels();
        let comes_in = Entry::comes_in(outcome);
        let account = self.account(tenant, comes_in, now);
        *account.entries.entry((signal as usize, outcome, reason)).or_default() += items;
        let signed = i64::try_from(items).unwrap_or(i64::MAX);
        account.in_flight[signal as usize] += if comes_in { signed } else { -signed };
        account.seen = Some(now);
    }

    /// The account for an entry. What was accepted under the others must end there, so that a tenant gets an account of
    /// its own only with items that come in, while nothing of the others is on its way.
    fn account(&mut self, tenant: &TenantId, comes_in: bool, now: Instant) -> &mut Account {
        if self.tenants.contains_key(tenant) || (comes_in && self.others.is_settled() && self.make_room(now)) {
            return self.tenants.entry(tenant.clone()).or_default();
        }
        &mut self.others
    }

    /// Whether there is room for one more account; closes one that was quiet for long, if need be.
    fn make_room(&mut self, now: Instant) -> bool {
        if self.tenants.len() < MAX_TENANTS {
            return true;
        }
        let is_quiet = |account: &Account| {
            let is_old = account.seen.is_none_or(|seen| now.saturating_duration_since(seen) >= QUIET);
            is_old && account.is_settled() && !account.stays
        };
        let quiet = self.tenants.iter().filter(|(_, account)| is_quiet(account));
        let Some(tenant) = quiet.min_by_key(|(_, account)| account.seen).map(|(tenant, _)| tenant.clone()) else {
            return false;
        };
        // The sums over all tenants stay what they were.
        for (key, items) in self.tenants.remove(&tenant).into_iter().flat_map(|account| account.entries) {
            *self.closed.entry(key).or_default() += items;
        }
        true
    }

    /// Those of all accounts, the closed ones too.
    fn entries(&self) -> impl Iterator<Item = (&(usize, &'static str, &'static str), &u64)> {
        self.accounts().flat_map(|(_, account)| &account.entries).chain(&self.closed)
    }

    fn accounts(&self) -> impl Iterator<Item = (&str, &Account)> {
        let others = (!self.others.entries.is_empty()).then_some((TenantId::OTHERS, &self.others));
        self.tenants.iter().map(|(tenant, account)| (tenant.as_str(), account)).chain(others)
    }
}

impl Account {
    fn is_settled(&self) -> bool {
        self.in_flight == [0; 3]
    }

    fn signals(&self) -> BTreeSet<usize> {
        self.entries.keys().map(|(signal, ..)| *signal).collect()
    }
}

/// The books as metrics.
struct Pages {
    books: Arc<Mutex<Books>>,
    items: Desc,
    closed: Desc,
    in_flight: Desc,
}

impl Pages {
    fn new(books: Arc<Mutex<Books>>) -> Result<Self, prometheus::Error> {
        let desc = |name: &str, help: &str, labels: &[&str]| {
            let labels = labels.iter().map(|label| (*label).to_owned()).collect();
            Desc::new(name.to_owned(), help.to_owned(), labels, std::collections::HashMap::new())
        };
        Ok(Self {
            books,
            items: desc(
                "sluice_ledger_items",
                "Items by what became of them; in flight is what is missing.",
                &["tenant", "signal", "outcome", "reason"],
            )?,
            closed: desc(
                "sluice_ledger_closed_items",
                "The same of tenants that were quiet and made room for others.",
                &["signal", "outcome", "reason"],
            )?,
            in_flight: desc(
                "sluice_ledger_in_flight_items",
                "Items that were accepted and have not ended yet.",
                &["tenant", "signal"],
            )?,
        })
    }
}

impl Collector for Pages {
    fn desc(&self) -> Vec<&Desc> {
        vec![&self.items, &self.closed, &self.in_flight]
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let books = lock(&self.books);
        let (mut items, mut in_flight) = (Vec::new(), Vec::new());
        for (tenant, account) in books.accounts() {
            for ((signal, outcome, reason), count) in &account.entries {
                items.push(counted(&self.items, &[tenant, Signal::ALL[*signal].name(), outcome, reason], *count));
            }
            for signal in account.signals() {
                let mut gauge = Gauge::default();
                gauge.set_value(account.in_flight[signal] as f64);
                let mut metric = Metric::from_label(pairs(&self.in_flight, &[tenant, Signal::ALL[signal].name()]));
                metric.set_gauge(gauge);
                in_flight.push(metric);
            }
        }
        let of_closed = |((signal, outcome, reason), count): (&(usize, &str, &str), &u64)| {
            counted(&self.closed, &[Signal::ALL[*signal].name(), outcome, reason], *count)
        };
        vec![
            family(&self.items, MetricType::COUNTER, items),
            family(&self.closed, MetricType::COUNTER, books.closed.iter().map(of_closed).collect()),
            family(&self.in_flight, MetricType::GAUGE, in_flight),
        ]
    }
}

fn counted(desc: &Desc, labels: &[&str], count: u64) -> Metric {
    let mut counter = Counter::default();
    counter.set_value(count as f64);
    let mut metric = Metric::from_label(pairs(desc, labels));
    metric.set_counter(counter);
    metric
}

fn family(desc: &Desc, kind: MetricType, metrics: Vec<Metric>) -> MetricFamily {
    let mut family = MetricFamily::default();
    family.set_name(desc.fq_name.clone());
    family.set_help(desc.help.clone());
    family.set_field_type(kind);
    family.set_metric(metrics);
    family
}

/// Labels, sorted by name as the text format wants them.
fn pairs(desc: &Desc, values: &[&str]) -> Vec<LabelPair> {
    let pair = |(name, value): (&String, &&str)| {
        let mut pair = LabelPair::default();
        pair.set_name(name.clone());
        pair.set_value((*value).to_owned());
        pair
    };
    let mut pairs: Vec<LabelPair> = desc.variable_labels.iter().zip(values).map(pair).collect();
    pairs.sort_by(|a, b| a.name().cmp(b.name()));
    pairs
}

/// The books are valid after every statement, whatever panicked elsewhere.
fn lock(books: &Mutex<Books>) -> MutexGuard<'_, Books> {
    books.lock().unwrap_or_else(PoisonError::into_inner)
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
        let page = prometheus::TextEncoder::new().encode_to_string(&registry.gather()).expect("encodes");
        let line = "sluice_ledger_items{outcome=\"dropped\",reason=\"queue_full\",signal=\"logs\",tenant=\"acme\"} 3\n";
        assert!(page.contains(line) && page.contains("# TYPE sluice_ledger_items counter\n"), "{page}");
    }

    #[test]
    fn what_ends_in_another_account_is_in_flight_in_both() {
        let ledger = Ledger::register(&Registry::new()).expect("fresh registry");
        let [a, b] = ["a", "b"].map(TenantId::new);
        ledger.book(&a, Signal::Logs, Entry::Accepted, 3);
        ledger.book(&b, Signal::Logs, Entry::Accepted, 1);
        ledger.book(&b, Signal::Logs, Entry::Exported, 4);
        assert_eq!(ledger.in_flight(), 6);
        ledger.book(&a, Signal::Logs, Entry::MovedOut, 3);
        ledger.book(&b, Signal::Logs, Entry::MovedIn, 3);
        assert_eq!(ledger.in_flight(), 0);
    }

    fn tenant(number: usize) -> TenantId {
        TenantId::new(&format!("t{number}"))
    }

    /// Books with an item for so many tenants, each accepted and exported.
    fn books_of(tenants: usize, now: Instant) -> Books {
        let mut books = Books::default();
        for number in 0..tenants {
            books.book(&tenant(number), Signal::Logs, Entry::Accepted, 1, now);
            books.book(&tenant(number), Signal::Logs, Entry::Exported, 1, now);
        }
        books
    }

    /// Items with this outcome, of all.
    fn total(books: &Books, outcome: &str) -> u64 {
        books.entries().filter(|((_, of, _), _)| *of == outcome).map(|(_, items)| items).sum()
    }

    #[test]
    fn a_thousand_tenants_have_accounts_and_one_more_is_among_the_others() {
        let now = Instant::now();
        let mut books = books_of(MAX_TENANTS, now);
        assert!(books.others.entries.is_empty() && books.tenants.len() == MAX_TENANTS);
        for entry in [Entry::Accepted, Entry::Duplicated, Entry::Filtered] {
            books.book(&tenant(MAX_TENANTS), Signal::Logs, entry, 5, now);
        }
        assert_eq!((books.tenants.len(), books.others.in_flight), (MAX_TENANTS, [0, 0, 5]));
        books.book(&tenant(MAX_TENANTS), Signal::Logs, Entry::Exported, 5, now);
        assert!(books.accounts().all(|(_, account)| account.is_settled()));
        assert_eq!(
            (total(&books, "accepted"), total(&books, "exported")),
            (MAX_TENANTS as u64 + 5, MAX_TENANTS as u64 + 5)
        );
    }

    #[test]
    fn a_tenant_that_was_quiet_makes_room_and_no_sum_changes() {
        let begin = Instant::now();
        let mut books = books_of(MAX_TENANTS, begin);
        books.book(&tenant(0), Signal::Logs, Entry::Accepted, 7, begin);
        let newcomer = tenant(MAX_TENANTS);
        let almost = begin + QUIET - Duration::from_nanos(1);
        books.book(&tenant(2), Signal::Traces, Entry::Accepted, 0, almost);
        books.book(&newcomer, Signal::Logs, Entry::Accepted, 1, almost);
        assert!(!books.tenants.contains_key(&newcomer), "nobody was quiet for long enough");
        books.book(&newcomer, Signal::Logs, Entry::Exported, 1, almost);
        books.book(&newcomer, Signal::Logs, Entry::Accepted, 1, begin + QUIET);
        assert!(books.tenants.contains_key(&newcomer) && books.tenants.len() == MAX_TENANTS);
        assert!(books.tenants.contains_key(&tenant(0)), "it has items on their way");
        assert!(books.tenants.contains_key(&tenant(2)), "it was seen just now");
        assert_eq!(
            (total(&books, "accepted"), total(&books, "exported")),
            (MAX_TENANTS as u64 + 9, MAX_TENANTS as u64 + 1)
        );
        assert!(books.others.entries.values().sum::<u64>() == 2, "the others have what came to them, and nothing else");
        assert_eq!(books.closed, BTreeMap::from([((2, "accepted", ""), 1), ((2, "exported", ""), 1)]));
        assert!(books.others.is_settled());
    }

    #[test]
    fn what_closed_accounts_had_is_on_the_page_under_a_name_of_its_own() {
        let registry = Registry::new();
        let ledger = Ledger::register(&registry).expect("fresh registry");
        let long_ago = Instant::now() - 2 * QUIET;
        *ledger.books() = books_of(MAX_TENANTS, long_ago);
        ledger.book(&tenant(MAX_TENANTS), Signal::Logs, Entry::Accepted, 1);
        let page = prometheus::TextEncoder::new().encode_to_string(&registry.gather()).expect("encodes");
        let line = "sluice_ledger_closed_items{outcome=\"exported\",reason=\"\",signal=\"logs\"} 1\n";
        assert!(page.contains(line) && !page.contains(TenantId::OTHERS), "{page}");
        assert_eq!(ledger.total(Entry::Accepted), MAX_TENANTS as u64 + 1);
    }

    #[test]
    fn what_is_shown_from_the_begin_is_never_closed() {
        let ledger = Ledger::register(&Registry::new()).expect("fresh registry");
        ledger.show(&TenantId::default(), Signal::Logs, Entry::Dropped("queue_full"));
        let mut books = ledger.books();
        let account = &books.tenants[&TenantId::default()];
        assert_eq!(account.entries, BTreeMap::from([((2, "dropped", "queue_full"), 0)]));
        let now = Instant::now();
        for number in 0..=MAX_TENANTS {
            books.book(&tenant(number), Signal::Logs, Entry::Accepted, 1, now);
        }
        assert!(books.tenants.contains_key(&TenantId::default()) && books.tenants.len() == MAX_TENANTS);
    }

    /// What was accepted among the others ends there, even if there is room in between.
    #[test]
    fn items_end_in_the_account_in_which_they_came_in() {
        let begin = Instant::now();
        let mut books = books_of(MAX_TENANTS, begin);
        let newcomer = tenant(MAX_TENANTS);
        books.book(&newcomer, Signal::Logs, Entry::Accepted, 3, begin);
        let later = begin + 2 * QUIET;
        books.book(&newcomer, Signal::Logs, Entry::Accepted, 2, later);
        books.book(&newcomer, Signal::Logs, Entry::Exported, 5, later);
        assert!(books.accounts().all(|(_, account)| account.is_settled()));
        assert!(!books.tenants.contains_key(&newcomer));
        books.book(&newcomer, Signal::Logs, Entry::Accepted, 1, later);
        assert_eq!(books.tenants[&newcomer].in_flight, [0, 0, 1]);
    }
}
