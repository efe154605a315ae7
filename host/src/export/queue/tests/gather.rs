//! Batches that are joined in the queue, and requests that are sent side by side.

use sluice_wire::sample;

use super::*;
use crate::model::{Signal, TenantId};

/// A destination that notes how many items each request has, and when it came.
struct Counting {
    log: Arc<Mutex<Vec<(u64, u64)>>>,
    begin: Instant,
    takes: Duration,
}

impl Exporter for Counting {
    type Request = (u64, Bytes);

    fn encode(&self, batch: &Batch, _from: u64) -> Encoded<Self::Request> {
        let summary = sluice_wire::validate(batch.signal, &batch.bytes).expect("valid");
        assert_eq!(u64::from(summary.records), batch.items);
        Encoded::one((batch.items, batch.bytes.clone()))
    }

    async fn send(&self, (items, _): Self::Request) -> Sent<Self::Request> {
        tokio::time::sleep(self.takes).await;
        self.log.lock().expect("log").push((self.begin.elapsed().as_millis() as u64, items));
        Sent::delivered(items)
    }
}

struct Joining {
    queue: Queue,
    report: Arc<Reported>,
    log: Arc<Mutex<Vec<(u64, u64)>>>,
}

impl Joining {
    fn new(gathering: Gathering) -> Self {
        Self::with(QueueSettings { gather: Some(gathering), ..settings() }, Duration::ZERO)
    }

    fn with(settings: QueueSettings, takes: Duration) -> Self {
        let (report, log) = (Arc::new(Reported::default()), Arc::default());
        let exporter = Counting { log: Arc::clone(&log), begin: Instant::now(), takes };
        Self { queue: Queue::start(exporter, settings, Arc::<Reported>::clone(&report)), report, log }
    }

    /// Milliseconds and items of the requests, once everything has ended.
    async fn finish(&self) -> Vec<(u64, u64)> {
        assert_eq!(self.queue.drain(Instant::now() + HOUR).await, Left::default());
        assert_eq!(self.queue.gauges().size, 0);
        std::mem::take(&mut *self.log.lock().expect("log"))
    }
}

fn logs(items: usize) -> Batch {
    Batch { signal: Signal::Logs, ..batch(items as u64, sample::request(Signal::Logs, items)) }
}

fn by_items(min_size: u64, max_size: u64) -> Gathering {
    Gathering { flush_timeout: Duration::from_millis(200), min_size, max_size, sizer: Sizer::Items }
}

#[tokio::test(start_paused = true)]
async fn joins_until_there_is_enough_and_not_one_later() {
    let joining = Joining::new(by_items(10, 0));
    for items in [4, 5, 1, 9] {
        joining.queue.push(&[logs(items)], Awaited::No).await.expect("taken");
    }
    tokio::time::sleep(Duration::from_millis(1)).await;
    assert_eq!(*joining.log.lock().expect("log"), [(0, 10)]);
    assert_eq!(joining.queue.gauges(), Gauges { size: 1, capacity: 1000, in_flight_batches: 0, items: 9 });
    assert_eq!(joining.finish().await, [(0, 10), (1, 9)]);
    assert_eq!(joining.report.take(), ["exported 10", "exported 9"]);
}

#[tokio::test(start_paused = true)]
async fn sends_what_has_waited_long_enough() {
    let joining = Joining::new(by_items(10, 0));
    joining.queue.push(&[logs(2)], Awaited::No).await.expect("taken");
    tokio::time::sleep(Duration::from_millis(150)).await;
    joining.queue.push(&[logs(3)], Awaited::No).await.expect("taken");
    tokio::time::sleep(Duration::from_millis(49)).await;
    assert_eq!(*joining.log.lock().expect("log"), []);
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(joining.finish().await, [(200, 5)]);
}

/// A consumer that watches the time may get other work before it has come.
#[tokio::test(start_paused = true)]
async fn keeps_the_time_while_consumers_are_busy() {
    let settings = QueueSettings { gather: Some(by_items(10, 0)), num_consumers: 2, ..settings() };
    let joining = Joining::with(settings, Duration::from_secs(5));
    joining.queue.push(&[logs(1)], Awaited::No).await.expect("taken");
    tokio::time::sleep(Duration::from_millis(1)).await;
    let other = Batch { tenant: TenantId::new("b"), ..logs(10) };
    joining.queue.push(&[other], Awaited::No).await.expect("taken");
    tokio::time::sleep(Duration::from_secs(6)).await;
    assert_eq!(*joining.log.lock().expect("log"), [(5001, 10), (5200, 1)]);
    joining.finish().await;
}

#[tokio::test(start_paused = true)]
async fn cuts_what_is_larger_than_the_maximum() {
    let joining = Joining::new(by_items(4, 4));
    joining.queue.push(&[logs(9)], Awaited::No).await.expect("taken");
    let sizes: Vec<u64> = joining.finish().await.into_iter().map(|(_, items)| items).collect();
    assert_eq!(sizes, [4, 4, 1]);
}

#[tokio::test(start_paused = true)]
async fn counts_bytes_if_asked_to() {
    let size = logs(5).bytes.len() as u64;
    let joining = Joining::new(Gathering { sizer: Sizer::Bytes, ..by_items(2 * size, 2 * size) });
    joining.queue.push(&[logs(5)], Awaited::No).await.expect("taken");
    tokio::time::sleep(Duration::from_millis(1)).await;
    assert_eq!(*joining.log.lock().expect("log"), []);
    joining.queue.push(&[logs(5)], Awaited::No).await.expect("taken");
    assert_eq!(joining.finish().await, [(1, 10)]);
}

#[tokio::test(start_paused = true)]
async fn keeps_tenants_and_signals_apart() {
    let joining = Joining::new(by_items(4, 0));
    let traces = batch(3, sample::request(Signal::Traces, 3));
    let others = Batch { tenant: TenantId::new("b"), ..logs(3) };
    for batch in [logs(3), others, Batch { signal: Signal::Traces, ..traces }, logs(1)] {
        joining.queue.push(&[batch], Awaited::No).await.expect("taken");
    }
    let mut sizes: Vec<u64> = joining.finish().await.into_iter().map(|(_, items)| items).collect();
    sizes.sort_unstable();
    assert_eq!(sizes, [3, 3, 4]);
}

#[tokio::test(start_paused = true)]
async fn tells_all_waiting_senders_what_became_of_their_batch() {
    let joining = Joining::new(by_items(4, 3));
    let first = joining.queue.try_push(&[logs(3)], Awaited::Yes).expect("taken").remove(0);
    let second = joining.queue.try_push(&[logs(3)], Awaited::Yes).expect("taken").remove(0);
    let expected = Outcome { exported: 6, joined: true, ..Outcome::default() };
    assert_eq!((first.await.expect("outcome"), second.await.expect("outcome")), (expected.clone(), expected));
}

#[tokio::test(start_paused = true)]
async fn what_is_gathered_counts_towards_the_size_of_the_queue() {
    let settings = QueueSettings { gather: Some(by_items(100, 0)), queue_size: 2, ..settings() };
    let joining = Joining::with(settings, Duration::ZERO);
    assert!(joining.queue.try_push(&[logs(1)], Awaited::No).is_some());
    assert!(joining.queue.try_push(&[logs(1)], Awaited::No).is_some());
    assert!(joining.queue.try_push(&[logs(1)], Awaited::No).is_none());
    assert_eq!(joining.finish().await, [(0, 2)]);
}

#[tokio::test(start_paused = true)]
async fn counts_what_the_deadline_leaves_of_a_joined_batch() {
    let settings = QueueSettings { gather: Some(by_items(4, 4)), ..settings() };
    let joining = Joining::with(settings, Duration::from_secs(60));
    joining.queue.push(&[logs(9)], Awaited::No).await.expect("taken");
    let left = joining.queue.drain(Instant::now() + Duration::from_secs(61)).await;
    assert_eq!(left, Left { batches: 2, items: 5 });
    assert_eq!(joining.report.take(), ["exported 4", "dropped 4 shutdown", "dropped 1 shutdown"]);
}

#[test]
fn takes_its_sizer_from_the_queue_unless_told_otherwise() {
    use crate::config::types::QueueBatchConfig;
    for (queue, batch, expected) in [
        (Sizer::Requests, None, Sizer::Items),
        (Sizer::Items, None, Sizer::Items),
        (Sizer::Bytes, None, Sizer::Bytes),
        (Sizer::Bytes, Some(Sizer::Items), Sizer::Items),
        (Sizer::Requests, Some(Sizer::Bytes), Sizer::Bytes),
    ] {
        let batch = Some(QueueBatchConfig { sizer: batch, ..QueueBatchConfig::default() });
        let config = QueueConfig { sizer: queue, batch, ..QueueConfig::default() };
        let gather = QueueSettings::new("test", &config, &RetryConfig::DEFAULT).gather;
        assert_eq!(gather.map(|gather| gather.sizer), Some(expected));
        let without = QueueConfig { enabled: false, ..config };
        assert_eq!(QueueSettings::new("test", &without, &RetryConfig::DEFAULT).gather, None);
    }
}

#[tokio::test(start_paused = true)]
async fn sends_requests_of_one_batch_side_by_side_and_the_next_batch_after_them() {
    let settings = QueueSettings { parallel_requests: 2, ..settings() };
    let bench = Bench::taking(Duration::from_secs(10), settings, [failure()]);
    for text in ["a,b,c", "d"] {
        assert!(bench.push(text));
    }
    let mut log = bench.finish().await;
    log.sort();
    // The first request fails at 10 and is sent again at 11 ... while the others go on.
    assert_eq!(log, sent(&[(10, "a"), (10, "b"), (20, "c"), (21, "a"), (31, "d")]));
    assert_eq!(bench.report.take(), ["exported 1"; 4]);
}
