//! Segments of a pipeline: what they book when a stage fails, before a batch processor and behind one.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::json;
use sluice::batch::{self, Limits};
use sluice::limits::Budget;
use sluice::model::{Batch, Refusal, Signal};
use sluice::pace::Rest;
use sluice::route::pipeline::{Next, Pipelines};
use sluice::route::{FanOut, Losses, Pipeline, Segment};
use sluice::stage::{Chain, OnError};
use sluice::telemetry::{Entry, Telemetry};
use tokio::sync::Semaphore;
use tokio::time::Instant;

use super::kit::{act, batch, one};

fn losses(pipeline: &str) -> Arc<Losses> {
    Losses::new(pipeline, vec!["otlp/x".to_owned()])
}

/// A segment of this chain that leads nowhere, and what it tells.
fn segment(chain: Chain) -> (Segment, Telemetry) {
    let telemetry = Telemetry::new("test").expect("no name twice");
    let next = Next::Exporters(FanOut::new(Vec::new(), telemetry.clone()));
    (Segment::new(Some(chain.into()), next, losses("logs"), telemetry.clone()), telemetry)
}

#[tokio::test]
async fn what_a_stage_refuses_is_the_senders_until_it_is_acknowledged_and_lost_after() {
    for (name, rejected, lost) in
        [("fail", "failed", "stage_failed"), ("refuse", "refused_by_stage", "refused_by_stage")]
    {
        for behind_a_batch_processor in [false, true] {
            let (segment, telemetry) = segment(one(act(name), OnError::Reject));
            let batch = batch(&[&["a", "b"]]);
            let tenant = batch.tenant.clone();
            telemetry.ledger.book(&tenant, Signal::Logs, Entry::Accepted, batch.items);
            let expected = if behind_a_batch_processor {
                segment.consume_or_wait(batch).await;
                Entry::Dropped(lost)
            } else {
                segment.consume(batch).await.expect_err("refused");
                Entry::Rejected(rejected)
            };
            assert_eq!(telemetry.ledger.count(&tenant, Signal::Logs, expected), 2, "{name}: {expected:?}");
            assert_eq!(telemetry.ledger.in_flight(), 0, "{name}: it ends once");
        }
    }
}

#[tokio::test]
async fn what_plugins_count_stands_among_the_metrics_summed_over_pipelines() {
    let telemetry = Telemetry::new("test").expect("no name twice");
    for rows in [&["a", "b"][..], &["c", "d", "e"]] {
        let next = Next::Exporters(FanOut::new(Vec::new(), telemetry.clone()));
        let chain = one(act("count"), OnError::Pass);
        let segment = Segment::new(Some(chain.into()), next, losses("logs"), telemetry.clone());
        for _ in 0..2 {
            // Without an exporter nobody has room for it.
            segment.consume(batch(&[rows])).await.expect_err("busy");
        }
    }
    let page = telemetry.metrics.render().expect("encodes");
    assert!(page.contains("sluice_plugin_counter{name=\"probe_rows\",processor=\"probe\"} 10\n"), "{page}");
}

/// A pipeline that leaves out all records with this text and has no room for others.
fn full_but_for(id: &str, text: &str, telemetry: &Telemetry) -> Pipeline {
    leading_nowhere(id, one(json!({ "act": "drop_value", "key": "k", "value": text }), OnError::Reject), telemetry)
}

fn leading_nowhere(id: &str, chain: Chain, telemetry: &Telemetry) -> Pipeline {
    let next = Next::Exporters(FanOut::new(Vec::new(), telemetry.clone()));
    let head = Segment::new(Some(chain.into()), next, losses(id), telemetry.clone());
    Pipeline::new(Signal::Logs, head, telemetry.clone())
}

/// Those that have it would get it again and again, and the one that refuses it would do so again.
#[tokio::test]
async fn what_one_pipeline_refuses_for_good_does_not_come_again_for_the_full_queue_of_another() {
    for (act_of_last, is_final) in [("refuse", true), ("fail", false)] {
        let telemetry = Telemetry::new("test").expect("no name twice");
        let pipelines = Pipelines::new(vec![
            leading_nowhere("logs/refuses", one(act("refuse"), OnError::Reject), &telemetry),
            full_but_for("logs/full", "other", &telemetry),
            full_but_for("logs/takes", "a", &telemetry),
            leading_nowhere("logs/last", one(act(act_of_last), OnError::Reject), &telemetry),
        ]);
        let refusal = pipelines.consume(batch(&[&["a", "a"]])).await.expect_err("refused");
        assert_eq!(matches!(refusal, Refusal::Permanent { .. }), is_final, "{refusal:?}");
        let total = |entry| telemetry.ledger.total(entry);
        let lost = total(Entry::Dropped("queue_full"));
        assert_eq!((lost, total(Entry::Rejected("busy"))), if is_final { (2, 0) } else { (0, 2) });
        assert_eq!((total(Entry::Accepted), total(Entry::Duplicated)), (2, 6), "it came once");
        assert_eq!(telemetry.ledger.in_flight(), 0);
    }
}

/// What this says in the log.
async fn logged_by(said: impl Future<Output = ()>) -> String {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("log");
    let file = Arc::new(std::fs::File::create(&path).expect("created"));
    let log = tracing_subscriber::fmt().with_writer(file).with_ansi(false).without_time().with_target(false).finish();
    // With one dispatcher alone, another test's thread may be asked whether a message is wanted.
    let _second = tracing::Dispatch::new(tracing::subscriber::NoSubscriber::new());
    let _log = tracing::subscriber::set_default(log);
    said.await;
    std::fs::read_to_string(path).expect("readable")
}

/// One line per batch would hide all others.
#[tokio::test]
async fn what_a_stage_refuses_behind_a_batch_processor_is_told_now_and_then() {
    let telemetry = Telemetry::new("test").expect("no name twice");
    let (next, losses) = (Next::Exporters(FanOut::new(Vec::new(), telemetry.clone())), losses("logs/a"));
    let chain = one(act("refuse"), OnError::Reject).into();
    let segment = Segment::new(Some(chain), next, Arc::clone(&losses), telemetry);
    let log = logged_by(async {
        for _ in 0..3 {
            segment.consume_or_wait(batch(&[&["a", "b"]])).await;
        }
        losses.tell(Rest::All);
    });
    let log = log.await;
    let lines: Vec<&str> = log.lines().collect();
    assert!(lines[0].contains("acknowledged before, it is dropped pipeline=logs/a items=2 refusal="), "{log}");
    assert_eq!(lines[1..], ["ERROR more dropped that a stage refused pipeline=logs/a items=4"]);
}

#[tokio::test]
async fn the_log_says_how_much_of_a_batch_was_lost_and_not_what_stages_left_out() {
    let telemetry = Telemetry::new("test").expect("no name twice");
    let pipelines = Pipelines::new(vec![
        leading_nowhere("logs/full", one(act("drop_even"), OnError::Reject), &telemetry),
        full_but_for("logs/takes", "a", &telemetry),
    ]);
    let log = logged_by(async { assert_eq!(pipelines.consume(batch(&[&["a", "a", "a"]])).await, Ok(())) }).await;
    assert!(
        log.contains("dropped what other pipelines have pipeline=logs/full items=1 exporters=\"otlp/x\" "),
        "{log}"
    );
    assert_eq!(telemetry.ledger.total(Entry::Dropped("queue_full")), 1);
    let page = telemetry.metrics.render().expect("encodes");
    assert!(!page.contains("enqueue_failed_log_records{exporter=\"otlp/x\"}"), "the fan-out counts them: {page}");
}

/// A segment that leads to a batch processor, which waits with every batch for a permit, and who has those batches.
fn before_a_batch_processor(telemetry: &Telemetry, gate: &Arc<Semaphore>) -> (Segment, Arc<Mutex<Vec<Batch>>>) {
    let limits = Limits {
        send_batch_size: 0,
        send_batch_max_size: 0,
        timeout: Duration::ZERO,
        metadata_keys: Vec::new(),
        metadata_cardinality_limit: 1,
    };
    let (gate, sent) = (Arc::clone(gate), Arc::new(Mutex::new(Vec::new())));
    let all = Arc::clone(&sent);
    let next = move |batch| {
        let (gate, all) = (Arc::clone(&gate), Arc::clone(&all));
        async move {
            gate.acquire().await.expect("open").forget();
            all.lock().unwrap().push(batch);
        }
    };
    let (handle, _task) = batch::spawn("batch".to_owned(), limits, telemetry.clone(), next);
    (Segment::new(None, Next::Batcher(handle), losses("logs/full"), telemetry.clone()), sent)
}

/// There may be no stage at all.
#[tokio::test]
async fn what_a_batch_processor_refuses_is_not_booked_as_a_stages() {
    let telemetry = Telemetry::new("test").expect("no name twice");
    let limits = Limits {
        send_batch_size: 10,
        send_batch_max_size: 0,
        timeout: Duration::from_secs(1),
        metadata_keys: vec!["x-probe".to_owned()],
        metadata_cardinality_limit: 0,
    };
    let (handle, _task) = batch::spawn("batch".to_owned(), limits, telemetry.clone(), |_| async {});
    let segment = Segment::new(None, Next::Batcher(handle), losses("logs"), telemetry.clone());
    let refusal = segment.consume(batch(&[&["a", "b"]])).await.expect_err("one combination too many");
    assert!(matches!(refusal, Refusal::Permanent { .. }), "{refusal:?}");
    assert_eq!(telemetry.ledger.total(Entry::Rejected("refused_by_batcher")), 2);
}

/// It is not the processor's until that comes to it.
#[tokio::test(start_paused = true)]
async fn a_batch_that_a_batch_processor_did_not_come_to_is_the_senders_again() {
    let telemetry = Telemetry::new("test").expect("no name twice");
    let total = |entry| telemetry.ledger.total(entry);
    let gate = Arc::new(Semaphore::new(0));
    let (segment, sent) = before_a_batch_processor(&telemetry, &gate);
    let budget = Budget::new(1 << 20);
    let of_budget = || {
        let batch = batch(&[&["a", "b"]]);
        let permit = budget.try_take(batch.bytes.len()).expect("fits");
        Batch { permit: Arc::new(permit), ..batch }
    };
    assert_eq!(segment.consume(of_budget()).await, Ok(()));
    let used = budget.used_bytes();

    let gone = tokio::time::timeout(Duration::from_millis(10), segment.consume(of_budget())).await;
    assert!(gone.is_err(), "it waits");
    assert_eq!((total(Entry::Rejected("cancelled")), budget.used_bytes()), (2, used));
    let busy = segment.consume(of_budget()).await;
    assert!(matches!(busy, Err(Refusal::Busy { .. })), "{busy:?}");
    assert_eq!((total(Entry::Rejected("busy")), budget.used_bytes()), (2, used));
    // Whoever watches the exporters behind the batch processor sees it.
    let counts = |items: u64| {
        let page = telemetry.metrics.render().expect("encodes");
        let line = format!("otelcol_exporter_enqueue_failed_log_records{{exporter=\"otlp/x\"}} {items}\n");
        assert!(page.contains(&line), "{page}");
    };
    counts(2);

    let head = Pipeline::new(Signal::Logs, segment, telemetry.clone());
    let other = full_but_for("logs/takes", "a", &telemetry);
    assert_eq!(Pipelines::new(vec![head, other]).consume(batch(&[&["a", "a"]])).await, Ok(()));
    assert_eq!(total(Entry::Dropped("queue_full")), 2);
    counts(4);

    gate.add_permits(10);
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(sent.lock().unwrap().len(), 1);
    assert_eq!((total(Entry::Rejected("cancelled")), total(Entry::Rejected("busy"))), (2, 2));
}

/// Its exporters may be dead, and other pipelines' senders would wait with every request.
#[tokio::test(start_paused = true)]
async fn a_batch_processor_that_takes_nothing_is_waited_for_once() {
    let telemetry = Telemetry::new("test").expect("no name twice");
    let gate = Arc::new(Semaphore::new(0));
    let (segment, sent) = before_a_batch_processor(&telemetry, &gate);
    let consume = async || {
        let begun = Instant::now();
        (segment.consume(batch(&[&["a"]])).await.is_ok(), begun.elapsed().as_secs())
    };
    assert_eq!(consume().await, (true, 0));
    // Whether they wait for the answer or not.
    let gone = tokio::time::timeout(Duration::from_secs(1), consume()).await;
    assert!(gone.is_err(), "{gone:?}");
    for waited in [3, 0, 0] {
        assert_eq!(consume().await, (false, waited));
    }
    // It goes on, so it is worth waiting again, and loses nothing as long as it is slow and not dead.
    let opening = async {
        for _ in 0..4 {
            gate.add_permits(1);
            tokio::time::sleep(Duration::from_secs(2)).await;
        }
    };
    let consuming = async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        [consume().await, consume().await, consume().await]
    };
    let ((), consumed) = tokio::join!(opening, consuming);
    assert_eq!(consumed, [(true, 0), (true, 1), (true, 2)]);
    assert_eq!(sent.lock().unwrap().len(), 4);
}

/// A sender that goes away later does not have it, too.
#[tokio::test(start_paused = true)]
async fn a_batch_that_a_batch_processor_came_to_is_not_the_senders() {
    let telemetry = Telemetry::new("test").expect("no name twice");
    let gate = Arc::new(Semaphore::new(10));
    let (segment, sent) = before_a_batch_processor(&telemetry, &gate);
    let mut consuming = Box::pin(segment.consume(batch(&[&["a", "b"]])));
    assert!(futures_util::poll!(&mut consuming).is_pending());
    tokio::time::sleep(Duration::from_secs(1)).await;
    drop(consuming);
    assert_eq!(sent.lock().unwrap().len(), 1);
    assert_eq!(telemetry.ledger.total(Entry::Rejected("cancelled")), 0);
}
