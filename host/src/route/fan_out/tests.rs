//! What the ledger says of a request in several parts whose sender goes away in the middle.

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

fn destination(id: &str, queue_size: u64, gate: &Arc<Semaphore>, telemetry: &Telemetry) -> Arc<Destination> {
    let queue = QueueConfig { queue_size, ..QueueConfig::default() };
    let report = Arc::new(Booking { exporter: id.to_owned(), telemetry: telemetry.clone() });
    let settings = QueueSettings::new(id, &queue, &RetryConfig::DEFAULT);
    let queue = Queue::start(Gate(Arc::clone(gate)), settings, report);
    Arc::new(Destination { id: id.to_owned(), queue, block_on_overflow: false, wait_for_result: false })
}

#[tokio::test(start_paused = true)]
async fn a_sender_that_goes_away_between_the_parts_leaves_a_settled_ledger() {
    // Queues by their sizes: the last has room for one of the two parts.
    for sizes in [&[1][..], &[2, 1], &[1, 2]] {
        let telemetry = Telemetry::new("test").expect("metrics");
        let ledger = &telemetry.ledger;
        let gate = Arc::new(Semaphore::new(0));
        let queues = sizes.iter().enumerate();
        let destinations: Vec<_> =
            queues.map(|(number, size)| destination(&format!("x/{number}"), *size, &gate, &telemetry)).collect();
        let parts = ["a", "b"].map(|tenant| Batch { tenant: TenantId::new(tenant), ..batch(3, "bytes") });
        for part in &parts {
            ledger.book(&part.tenant, part.signal, Entry::Accepted, part.items);
        }
        let fan_out = FanOut::new(destinations.clone(), telemetry.clone());
        let mut debt = Debt::new(ledger, &parts);
        let delivered = timeout(PATIENCE / 2, fan_out.deliver(parts.to_vec(), &mut debt)).await;
        assert!(delivered.is_err(), "{sizes:?}: it waits for room");
        drop(debt);
        gate.add_permits(100);
        for destination in &destinations {
            destination.queue.drain(Instant::now() + PATIENCE).await;
        }
        for part in &parts {
            let count = |entry| ledger.count(&part.tenant, part.signal, entry);
            let came = count(Entry::Accepted) + count(Entry::Duplicated);
            let ended = count(Entry::Exported) + count(Entry::Rejected("cancelled"));
            assert_eq!((came, ledger.in_flight()), (ended, 0), "{sizes:?}: {}", part.tenant);
        }
    }
}
