//! Requests of several parts, and queues that make senders wait.

use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout};

use super::*;
use crate::config::types::{QueueConfig, RetryConfig};
use crate::export::queue::QueueSettings;
use crate::export::testing::batch;
use crate::export::{Again, DeadLetter, Encoded, Exporter, Sent};

/// A destination that takes a batch for every permit.
struct Gate(Arc<Semaphore>);

impl Exporter for Gate {
    type Request = u64;

    fn encode(&self, batch: &Batch, _from: u64) -> Encoded<u64> {
        Encoded::one(batch.items)
    }

    async fn send(&self, items: u64) -> Sent<u64> {
        self.0.acquire().await.expect("open").forget();
        Sent::delivered(items)
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
    Arc::new(Destination::new(id.to_owned(), queue, block_on_overflow, false))
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
        assert!(destination.queue.try_push(&[batch(1, "before")], Awaited::No).is_some());
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
    assert!(destination.queue.try_push(&[batch(1, "before")], Awaited::No).is_some());
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
    assert!(dead.queue.try_push(&[batch(1, "before")], Awaited::No).is_some());
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
    assert!(!dead.has_been_full());
}

/// Behind a batch processor, too, whether another exporter has the batch at once or is full as well.
#[tokio::test(start_paused = true)]
async fn a_queue_that_makes_senders_wait_gets_its_copy_late() {
    for (other_size, block_on_overflow, exported, dropped) in [(10, true, 6, 0), (10, false, 3, 3), (1, true, 6, 0)] {
        let telemetry = Telemetry::new("test").expect("metrics");
        let ledger = &telemetry.ledger;
        let gates = [0, 0].map(|open| Arc::new(Semaphore::new(open)));
        let full = destination("full", 1, block_on_overflow, &gates[0], &telemetry);
        let other = destination("other", other_size, false, &gates[1], &telemetry);
        for destination in [&full, &other] {
            assert!(destination.queue.try_push(&[batch(1, "before")], Awaited::No).is_some());
        }
        let part = parts(ledger).remove(0);
        let fan_out = FanOut::new(vec![Arc::clone(&full), Arc::clone(&other)], telemetry.clone());
        let opening = async {
            for gate in gates.iter().rev() {
                tokio::time::sleep(PATIENCE / 3).await;
                gate.add_permits(100);
            }
        };
        tokio::join!(fan_out.deliver_or_wait(part.clone()), opening);
        for destination in [&full, &other] {
            destination.queue.drain(Instant::now() + PATIENCE).await;
        }
        let one = std::slice::from_ref(&part);
        assert_eq!(books(ledger, one, Entry::Exported), (3, 3, exported), "{other_size} {block_on_overflow}");
        assert_eq!(books(ledger, one, Entry::Dropped("queue_full")).2, dropped, "{other_size} {block_on_overflow}");
    }
}

/// A destination that ends each request in one way, or as its batch's tenant is called.
struct Ends(Option<&'static str>);

impl Exporter for Ends {
    type Request = (String, u64);

    fn encode(&self, batch: &Batch, _from: u64) -> Encoded<(String, u64)> {
        let request = (batch.tenant.as_str().to_owned(), batch.items);
        Encoded::one(request)
    }

    async fn send(&self, request: (String, u64)) -> Sent<(String, u64)> {
        let sent = Sent::delivered(0);
        match self.0.unwrap_or(&request.0) {
            "refused" => {
                let refused = vec![DeadLetter { items: request.1, reason: "bad".into(), document: None }];
                Sent { refused, ..sent }
            }
            "fails" => {
                let items = request.1;
                Sent {
                    again: Some(Again { requests: vec![(request, items)], after: None, reason: "busy".into() }),
                    ..sent
                }
            }
            "half" => {
                let refused = DeadLetter { items: request.1 / 2, reason: "bad".into(), document: None };
                Sent { delivered: request.1 - refused.items, refused: vec![refused], ..sent }
            }
            _ => Sent { delivered: request.1, ..sent },
        }
    }
}

/// Its senders wait for the result; nothing is sent again.
fn waited_for(telemetry: &Telemetry, queue: &QueueConfig) -> Arc<Destination> {
    ends(telemetry, queue, None)
}

fn ends(telemetry: &Telemetry, queue: &QueueConfig, end: Option<&'static str>) -> Arc<Destination> {
    let report = Arc::new(Booking { exporter: "ends".to_owned(), telemetry: telemetry.clone() });
    let retry = RetryConfig { enabled: false, ..RetryConfig::DEFAULT };
    let queue = Queue::start(Ends(end), QueueSettings::new("ends", queue, &retry), report);
    Arc::new(Destination::new("ends".to_owned(), queue, false, true))
}

fn of_tenant(tenant: &str) -> Batch {
    Batch { tenant: TenantId::new(tenant), ..batch(3, "bytes") }
}

async fn answer(fan_out: &FanOut, telemetry: &Telemetry, tenants: &[&str]) -> Result<(), Refusal> {
    let parts: Vec<Batch> = tenants.iter().map(|tenant| of_tenant(tenant)).collect();
    parts.iter().for_each(|part| telemetry.ledger.book(&part.tenant, part.signal, Entry::Accepted, part.items));
    fan_out.deliver(parts.clone(), &mut Debt::new(&telemetry.ledger, &parts)).await
}

/// Of the parts of a request the sender must send some again, and can't tell them apart.
#[tokio::test(start_paused = true)]
async fn a_sender_hears_of_what_it_must_send_again_rather_than_of_what_it_must_not() {
    let telemetry = Telemetry::new("test").expect("metrics");
    let fan_out = FanOut::new(vec![waited_for(&telemetry, &QueueConfig::default())], telemetry.clone());
    for tenants in [["refused", "fails"], ["fails", "refused"]] {
        let answer = answer(&fan_out, &telemetry, &tenants).await;
        assert!(matches!(answer, Err(Refusal::Failed { .. })), "{answer:?}");
    }
    let refused = answer(&fan_out, &telemetry, &["refused", "fine"]).await;
    assert!(matches!(refused, Err(Refusal::Permanent { .. })), "{refused:?}");
    assert_eq!(answer(&fan_out, &telemetry, &["fine", "fine"]).await, Ok(()));
}

/// What is sent twice to one is better than what is lost at the other.
#[tokio::test(start_paused = true)]
async fn a_sender_hears_of_each_failure_of_those_that_are_waited_for() {
    let cases = [
        (["fine", "fine"], "fine"),
        (["fine", "fails"], "again"),
        (["fine", "refused"], "never"),
        (["refused", "fails"], "again"),
        (["fails", "refused"], "again"),
    ];
    for (how, expected) in cases {
        let telemetry = Telemetry::new("test").expect("metrics");
        let both = how.map(|end| ends(&telemetry, &QueueConfig::default(), Some(end)));
        let fan_out = FanOut::new(both.into(), telemetry.clone());
        let told = match answer(&fan_out, &telemetry, &["acme"]).await {
            Ok(()) => "fine",
            Err(Refusal::Busy { .. } | Refusal::Failed { .. }) => "again",
            Err(Refusal::Permanent { .. }) => "never",
        };
        assert_eq!(told, expected, "{how:?}");
        assert_eq!(telemetry.ledger.in_flight(), 0, "{how:?}");
        let given_back = telemetry.ledger.total(Entry::Rejected("retry_disabled"));
        assert_eq!(given_back, if how.contains(&"fails") { 3 } else { 0 }, "{how:?}");
    }
}

/// The same, when the queue of one of them is full: whatever others took.
#[tokio::test(start_paused = true)]
async fn a_sender_hears_that_the_queue_of_one_that_is_waited_for_is_full() {
    for others in 0..=1 {
        let telemetry = Telemetry::new("test").expect("metrics");
        let gate = Arc::new(Semaphore::new(100));
        let full = ends(&telemetry, &QueueConfig { queue_size: 1, ..QueueConfig::default() }, Some("fine"));
        assert!(full.queue.try_push(&[batch(1, "before")], Awaited::No).is_some());
        let all = std::iter::repeat_n(destination("other", 10, false, &gate, &telemetry), others).chain([full]);
        let fan_out = FanOut::new(all.collect(), telemetry.clone());
        let failed = answer(&fan_out, &telemetry, &["acme"]).await;
        let reason = "sending queue is full: ends";
        assert!(matches!(&failed, Err(Refusal::Failed { reason: found, .. }) if found == reason), "{failed:?}");
        assert_eq!(telemetry.ledger.total(Entry::Dropped("queue_full")), 0);
    }
}

/// What the others have at once says nothing of the one whose answer counts.
#[tokio::test(start_paused = true)]
async fn only_those_that_are_waited_for_can_accept_for_them() {
    let telemetry = Telemetry::new("test").expect("metrics");
    let gate = Arc::new(Semaphore::new(100));
    let other = destination("other", 10, false, &gate, &telemetry);
    let fan_out = FanOut::new(vec![other, waited_for(&telemetry, &QueueConfig::default())], telemetry.clone());
    let failed = answer(&fan_out, &telemetry, &["fails"]).await;
    assert!(matches!(failed, Err(Refusal::Failed { .. })), "{failed:?}");
    assert_eq!(answer(&fan_out, &telemetry, &["fine"]).await, Ok(()));
}

/// Trying again would give it to the others once more, and be refused once more.
#[tokio::test(start_paused = true)]
async fn what_is_refused_for_good_is_not_sent_again_for_a_full_queue_where_others_have_it() {
    let telemetry = Telemetry::new("test").expect("metrics");
    let gates = [0, 100].map(|open| Arc::new(Semaphore::new(open)));
    let [full, other] = [("full", 1, 0), ("other", 10, 1)]
        .map(|(id, size, gate)| destination(id, size, false, &gates[gate], &telemetry));
    assert!(full.queue.try_push(&[batch(1, "before")], Awaited::No).is_some());
    let refusing = || waited_for(&telemetry, &QueueConfig::default());
    let two = FanOut::new(vec![Arc::clone(&full), refusing()], telemetry.clone());
    let again = answer(&two, &telemetry, &["refused"]).await;
    assert!(matches!(again, Err(Refusal::Failed { .. })), "{again:?}");
    let three = FanOut::new(vec![full, refusing(), other], telemetry.clone());
    let refused = answer(&three, &telemetry, &["refused"]).await;
    three.destinations[2].queue.drain(Instant::now() + PATIENCE).await;
    assert!(matches!(refused, Err(Refusal::Permanent { .. })), "{refused:?}");
    let page = telemetry.metrics.render().expect("a page");
    assert!(page.contains("otelcol_exporter_enqueue_failed_spans{exporter=\"full\"} 6"), "it turned both away: {page}");
    let total = |entry| telemetry.ledger.total(entry);
    assert_eq!(total(Entry::Duplicated), 6, "for the other, and the lost one");
    assert_eq!((total(Entry::Dropped("queue_full")), telemetry.ledger.in_flight()), (3, 0));
}

/// One whose items were refused with others' must not take them for delivered.
#[tokio::test(start_paused = true)]
async fn senders_whose_batches_were_joined_hear_of_every_refusal() {
    let telemetry = Telemetry::new("test").expect("metrics");
    let joins: QueueConfig =
        serde_json::from_value(serde_json::json!({ "batch": { "min_size": 6, "sizer": "items" } })).expect("valid");
    let fan_out = FanOut::new(vec![waited_for(&telemetry, &joins)], telemetry.clone());
    let (one, two) = tokio::join!(answer(&fan_out, &telemetry, &["half"]), answer(&fan_out, &telemetry, &["half"]));
    assert!(matches!((one, two), (Err(Refusal::Permanent { .. }), Err(Refusal::Permanent { .. }))));
    let behind_a_batch_processor = fan_out.deliver_or_wait(of_tenant("half"));
    let (one, ()) = tokio::join!(answer(&fan_out, &telemetry, &["half"]), behind_a_batch_processor);
    assert!(matches!(one, Err(Refusal::Permanent { .. })), "{one:?}");
    let alone = FanOut::new(vec![waited_for(&telemetry, &QueueConfig::default())], telemetry.clone());
    assert_eq!(answer(&alone, &telemetry, &["half"]).await, Ok(()), "a part of its own was delivered");
}

/// The others have the request before anybody waits for room, so that a sender that goes away doesn't take it from them.
#[tokio::test(start_paused = true)]
async fn a_full_queue_that_makes_senders_wait_keeps_nobody_else_waiting() {
    let telemetry = Telemetry::new("test").expect("metrics");
    let gates = [0, 100].map(|open| Arc::new(Semaphore::new(open)));
    let dead = destination("dead", 1, true, &gates[0], &telemetry);
    let alive = destination("alive", 100, false, &gates[1], &telemetry);
    assert!(dead.queue.try_push(&[batch(1, "before")], Awaited::No).is_some());
    let fan_out = FanOut::new(vec![dead, alive], telemetry.clone());
    let left = timeout(PATIENCE / 2, answer(&fan_out, &telemetry, &["acme"])).await;
    assert!(left.is_err(), "it waits for room");
    let acme = TenantId::new("acme");
    let count = |entry| telemetry.ledger.count(&acme, Signal::Traces, entry);
    assert_eq!((count(Entry::Exported), count(Entry::Rejected(CANCELLED))), (3, 0));
    // Once it was waited for in vain, the next ones don't wait.
    assert_eq!(answer(&fan_out, &telemetry, &["acme"]).await, Ok(()));
    let begun = Instant::now();
    assert_eq!(answer(&fan_out, &telemetry, &["acme"]).await, Ok(()));
    assert_eq!(begun.elapsed(), Duration::ZERO);
}

/// One that is dead is waited for as long as any, and then no longer where others have the request.
#[tokio::test(start_paused = true)]
async fn a_dead_queue_keeps_a_slow_one_waiting_once() {
    let telemetry = Telemetry::new("test").expect("metrics");
    let gates = [0, 0].map(|open| Arc::new(Semaphore::new(open)));
    let [dead, slow] = [("dead", 0), ("slow", 1)].map(|(id, gate)| destination(id, 1, true, &gates[gate], &telemetry));
    for queue in [&dead.queue, &slow.queue] {
        assert!(queue.try_push(&[batch(1, "before")], Awaited::No).is_some());
    }
    let fan_out = FanOut::new(vec![dead, slow], telemetry.clone());
    for waited in [PATIENCE, PATIENCE / 10, PATIENCE / 10] {
        let begun = Instant::now();
        let opening = async {
            tokio::time::sleep(PATIENCE / 10).await;
            gates[1].add_permits(1);
        };
        let (answer, ()) = tokio::join!(answer(&fan_out, &telemetry, &["acme"]), opening);
        assert_eq!((answer, begun.elapsed()), (Ok(()), waited));
    }
}

/// Many wait five seconds, and then send it again to all.
#[tokio::test(start_paused = true)]
async fn a_sender_is_answered_before_it_gives_up() {
    let telemetry = Telemetry::new("test").expect("metrics");
    let gates = [0, 100].map(|open| Arc::new(Semaphore::new(open)));
    let [dead, alive] =
        [("dead", 0), ("alive", 1)].map(|(id, gate)| destination(id, 1, true, &gates[gate], &telemetry));
    assert!(dead.queue.try_push(&[batch(1, "before")], Awaited::No).is_some());
    for (destinations, accepted) in [(vec![dead.clone(), alive], true), (vec![dead], false)] {
        let fan_out = FanOut::new(destinations, telemetry.clone());
        let answer = timeout(Duration::from_secs(4), answer(&fan_out, &telemetry, &["acme"])).await;
        assert_eq!(answer.expect("an answer in time").is_ok(), accepted);
    }
}

/// One that is slow and alive gets all, whoever waits for it at the same time.
#[tokio::test(start_paused = true)]
async fn senders_wait_for_a_slow_queue_whatever_others_have() {
    let telemetry = Telemetry::new("test").expect("metrics");
    let gates = [0, 100].map(|open| Arc::new(Semaphore::new(open)));
    let [slow, fast] = [("slow", 0), ("fast", 1)].map(|(id, gate)| destination(id, 1, true, &gates[gate], &telemetry));
    let fan_out = FanOut::new(vec![slow, fast], telemetry.clone());
    let sender = || answer(&fan_out, &telemetry, &["acme"]);
    let opening = async {
        for _ in 0..4 {
            tokio::time::sleep(PATIENCE * 3 / 10).await;
            gates[0].add_permits(1);
        }
    };
    let (a, b, c, d, ()) = tokio::join!(sender(), sender(), sender(), sender(), opening);
    assert_eq!([a, b, c, d], [Ok(()), Ok(()), Ok(()), Ok(())]);
    assert_eq!(telemetry.ledger.total(Entry::Dropped("queue_full")), 0);
}

/// The sender may be out of reach of whoever reads the log.
#[tokio::test(start_paused = true)]
async fn what_a_full_queue_turns_away_is_counted_as_not_enqueued_and_in_the_log() {
    let file = tempfile::NamedTempFile::new().expect("a file");
    let writer = Mutex::new(file.reopen().expect("a file"));
    let log = tracing_subscriber::fmt().with_writer(writer).with_ansi(false).with_target(false).without_time();
    // With one dispatcher alone, another test's thread may be asked whether a message is wanted.
    let _second = tracing::Dispatch::new(tracing::subscriber::NoSubscriber::new());
    let _logged = tracing::subscriber::set_default(log.finish());
    let telemetry = Telemetry::new("test").expect("metrics");
    let gate = Arc::new(Semaphore::new(0));
    let full = destination("full", 1, false, &gate, &telemetry);
    assert!(full.queue.try_push(&[batch(1, "before")], Awaited::No).is_some());
    let fan_out = FanOut::new(vec![Arc::clone(&full)], telemetry.clone());
    for _ in 0..2 {
        assert!(matches!(answer(&fan_out, &telemetry, &["acme"]).await, Err(Refusal::Busy { .. })));
    }
    full.tell(Rest::All);
    let said = std::fs::read_to_string(file.path()).expect("text");
    let told = [
        " WARN sending queue is full, items not taken exporter=full items=3",
        " WARN more items not taken, as the sending queue was full exporter=full items=3",
    ];
    assert_eq!(said.lines().collect::<Vec<_>>(), told);
    let page = telemetry.metrics.render().expect("a page");
    let line = "otelcol_exporter_enqueue_failed_spans{exporter=\"full\"";
    assert!(page.lines().any(|found| found.starts_with(line) && found.ends_with(" 6")), "{page}");
}
