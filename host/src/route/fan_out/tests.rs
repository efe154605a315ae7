//! Requests of several parts, and queues that make senders wait.

use tokio::sync::Semaphore;
use tokio::time::Instant;

use super::*;
use crate::config::types::{QueueConfig, RetryConfig};
use crate::export::queue::QueueSettings;
use crate::export::testing::batch;
use crate::export::{Encoded, Exporter, Sent};

/// A destination that takes a batch for every permit.
struct Gate(Arc<Semaphore>);

impl Exporter for Gate {
    type Request = u64;

    fn encode(&self, batch: &Batch, _from: u64) -> Encoded<u64> {
        Encoded { requests: vec![batch.items], dropped: Vec::new(), next: None }
    }

    async fn send(&self, items: u64) -> Sent<u64> {
        self.0.acquire().await.expect("open").forget();
        Sent { delivered: items, refused: Vec::new(), again: None }
    }
}

fn destination(
    id: &str,
    queue_size: u64,
    block_on_overflow: bool,
    gate: &Arc<Semaphore>,
    telemetry: &Telemetry,
) -> Arc<Destination> {
    let queue = QueueConfig { queue_size, ..QueueConfig::default() };
    let report = Arc::new(Booking { exporter: id.to_owned(), telemetry: telemetry.clone() });
    let settings = QueueSettings::new(id, &queue, &RetryConfig::DEFAULT);
    let queue = Queue::start(Gate(Arc::clone(gate)), settings, report);
    Arc::new(Destination {
        id: id.to_owned(),
        queue,
        block_on_overflow,
        wait_for_result: false,
        was_late: AtomicBool::new(false),
    })
}

/// Two parts of a request.
fn parts(ledger: &Ledger) -> Vec<Batch> {
    let parts = ["a", "b"].map(|tenant| Batch { tenant: TenantId::new(tenant), ..batch(3, "bytes") });
    parts.iter().for_each(|part| ledger.book(&part.tenant, part.signal, Entry::Accepted, part.items));
    parts.into()
}

/// What came and what ended as `end`, of both parts.
fn books(ledger: &Ledger, parts: &[Batch], end: Entry) -> (u64, u64, u64) {
    let sum = |entry: Entry| parts.iter().map(|part| ledger.count(&part.tenant, part.signal, entry)).sum();
    (sum(Entry::Accepted), sum(Entry::Duplicated), sum(end))
}

/// A sender sends all of its request again: parts that were taken would come twice.
#[tokio::test(start_paused = true)]
async fn a_queue_takes_all_parts_of_a_request_or_none() {
    for (size, is_taken) in [(3, true), (2, false)] {
        let telemetry = Telemetry::new("test").expect("metrics");
        let ledger = &telemetry.ledger;
        let gate = Arc::new(Semaphore::new(0));
        let destination = destination("x", size, false, &gate, &telemetry);
        assert!(destination.queue.try_push(&[batch(1, "before")], false).is_some());
        let parts = parts(ledger);
        let fan_out = FanOut::new(vec![Arc::clone(&destination)], telemetry.clone());
        let delivered = fan_out.deliver(parts.clone(), &mut Debt::new(ledger, &parts)).await;
        assert_eq!(delivered.is_ok(), is_taken);
        assert_eq!(destination.queue.gauges().items, if is_taken { 7 } else { 1 });
        gate.add_permits(100);
        destination.queue.drain(Instant::now() + PATIENCE).await;
        let end = if is_taken { Entry::Exported } else { Entry::Rejected("cancelled") };
        assert_eq!(books(ledger, &parts, end), (6, 0, 6));
    }
}

#[tokio::test(start_paused = true)]
async fn a_sender_that_goes_away_while_it_waits_leaves_nothing_behind() {
    let telemetry = Telemetry::new("test").expect("metrics");
    let ledger = &telemetry.ledger;
    let gate = Arc::new(Semaphore::new(0));
    let destination = destination("x", 2, true, &gate, &telemetry);
    assert!(destination.queue.try_push(&[batch(1, "before")], false).is_some());
    let parts = parts(ledger);
    let fan_out = FanOut::new(vec![Arc::clone(&destination)], telemetry.clone());
    let mut debt = Debt::new(ledger, &parts);
    let delivered = timeout(PATIENCE / 2, fan_out.deliver(parts.clone(), &mut debt)).await;
    assert!(delivered.is_err(), "it waits for room");
    drop(debt);
    gate.add_permits(100);
    destination.queue.drain(Instant::now() + PATIENCE).await;
    assert_eq!(books(ledger, &parts, Entry::Rejected("cancelled")), (6, 0, 6));
    assert_eq!(books(ledger, &parts, Entry::Exported).2, 0);
}

/// One that stays full is waited for once and not for each batch, which would keep the others waiting.
#[tokio::test(start_paused = true)]
async fn a_queue_that_stays_full_is_waited_for_once() {
    let telemetry = Telemetry::new("test").expect("metrics");
    let gates = [0, 100].map(|open| Arc::new(Semaphore::new(open)));
    let dead = destination("dead", 1, true, &gates[0], &telemetry);
    let alive = destination("alive", 100, false, &gates[1], &telemetry);
    assert!(dead.queue.try_push(&[batch(1, "before")], false).is_some());
    let fan_out = FanOut::new(vec![Arc::clone(&dead), Arc::clone(&alive)], telemetry.clone());
    let begun = Instant::now();
    for _ in 0..10 {
        fan_out.deliver_or_wait(batch(1, "x")).await;
    }
    assert_eq!(begun.elapsed(), PATIENCE);
    gates[0].add_permits(100);
    tokio::time::sleep(PATIENCE).await;
    // There was room again, so it is worth waiting again.
    fan_out.deliver_or_wait(batch(1, "x")).await;
    assert!(!dead.was_late.load(Ordering::Relaxed));
}

/// Behind a batch processor, too, where another exporter has the batch.
#[tokio::test(start_paused = true)]
async fn a_queue_that_makes_senders_wait_gets_its_copy_late() {
    for (block_on_overflow, exported, dropped) in [(true, 6, 0), (false, 3, 3)] {
        let telemetry = Telemetry::new("test").expect("metrics");
        let ledger = &telemetry.ledger;
        let gate = Arc::new(Semaphore::new(0));
        let full = destination("full", 1, block_on_overflow, &gate, &telemetry);
        let other = destination("other", 10, false, &gate, &telemetry);
        assert!(full.queue.try_push(&[batch(1, "before")], false).is_some());
        let part = parts(ledger).remove(0);
        let fan_out = FanOut::new(vec![Arc::clone(&full), Arc::clone(&other)], telemetry.clone());
        let opening = async {
            tokio::time::sleep(PATIENCE / 2).await;
            gate.add_permits(100);
        };
        tokio::join!(fan_out.deliver_or_wait(part.clone()), opening);
        for destination in [&full, &other] {
            destination.queue.drain(Instant::now() + PATIENCE).await;
        }
        let one = std::slice::from_ref(&part);
        assert_eq!(books(ledger, one, Entry::Exported), (3, 3, exported), "{block_on_overflow}");
        assert_eq!(books(ledger, one, Entry::Dropped("queue_full")).2, dropped, "{block_on_overflow}");
    }
}
