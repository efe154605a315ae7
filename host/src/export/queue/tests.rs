//! The queue with a scripted destination and paused time.

mod gather;

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;

use super::*;
use crate::config::types::Duration as Configured;
use crate::export::testing::{Reported, batch};
use crate::export::{Again, DeadLetter, Dropped, Encoded, Sent};

/// What the destination answers to one request, and how long it takes.
enum Answer {
    Delivered,
    Refused,
    Fails {
        after: Option<Duration>,
    },
    Halves,
    Miscounts(u64),
    Never,
    /// Holds the thread until the other end is gone.
    StandsStill(std::sync::mpsc::Receiver<()>),
}

type Log = Arc<Mutex<Vec<(u64, String)>>>;

/// Sends a batch as one request per comma-separated part of its text; every letter is an item. What stands behind a
/// semicolon is encoded when all before it is sent.
struct Scripted {
    answers: Arc<Mutex<VecDeque<Answer>>>,
    log: Log,
    begin: Instant,
    takes: Duration,
}

impl Exporter for Scripted {
    type Request = String;

    fn encode(&self, batch: &Batch, from: u64) -> Encoded<String> {
        let text = String::from_utf8(batch.bytes.to_vec()).expect("text");
        let (now, later) = text[from as usize..]
            .split_once(';')
            .map_or((&text[from as usize..], None), |(now, later)| (now, Some(later)));
        let next = later.map(|later| (text.len() - later.len()) as u64);
        let (dropped, requests) = now.split(',').map(str::to_owned).partition(|part: &String| part.starts_with('-'));
        let dropped: Vec<String> = dropped;
        let dropped = dropped.into_iter();
        Encoded {
            requests,
            dropped: dropped
                .map(|part| Dropped { items: part.len() as u64, reason: "delta", detail: String::new() })
                .collect(),
            next,
        }
    }

    async fn send(&self, request: String) -> Sent<String> {
        tokio::time::sleep(self.takes).await;
        self.log.lock().expect("log").push((self.begin.elapsed().as_secs(), request.clone()));
        let items = request.len() as u64;
        let answer = self.answers.lock().expect("answers").pop_front().unwrap_or(Answer::Delivered);
        let sent = Sent::delivered(0);
        let again = |requests, after| Some(Again { requests, after, reason: "busy".into() });
        match answer {
            Answer::Delivered => Sent { delivered: items, ..sent },
            Answer::Refused => {
                Sent { refused: vec![DeadLetter { items, reason: "bad".into(), document: None }], ..sent }
            }
            Answer::Fails { after } => Sent { again: again(vec![(request, items)], after), ..sent },
            Answer::Halves => {
                let (left, right) = request.split_at(request.len() / 2);
                let halves = [left, right].map(|half| (half.to_owned(), half.len() as u64));
                Sent { again: again(halves.into(), None), ..sent }
            }
            Answer::Miscounts(delivered) => Sent { delivered, ..sent },
            Answer::Never => std::future::pending().await,
            Answer::StandsStill(until) => {
                let _ = tokio::task::block_in_place(|| until.recv());
                Sent::delivered(items)
            }
        }
    }
}

struct Bench {
    queue: Queue,
    report: Arc<Reported>,
    log: Log,
}

impl Bench {
    fn new(settings: QueueSettings, answers: impl IntoIterator<Item = Answer>) -> Self {
        Self::taking(Duration::ZERO, settings, answers)
    }

    fn taking(takes: Duration, settings: QueueSettings, answers: impl IntoIterator<Item = Answer>) -> Self {
        let (report, log) = (Arc::new(Reported::default()), Log::default());
        let answers = Arc::new(Mutex::new(answers.into_iter().collect()));
        let exporter = Scripted { answers, log: Arc::clone(&log), begin: Instant::now(), takes };
        Self { queue: Queue::start(exporter, settings, Arc::<Reported>::clone(&report)), report, log }
    }

    fn push(&self, text: &'static str) -> bool {
        self.queue.try_push(&[text_batch(text)], Awaited::No).is_some()
    }

    /// Waits for everything to end, and returns when what was sent.
    async fn finish(&self) -> Vec<(u64, String)> {
        assert_eq!(self.queue.drain(Instant::now() + HOUR).await, Left::default());
        self.queue.tell(Rest::All);
        std::mem::take(&mut *self.log.lock().expect("log"))
    }
}

const HOUR: Duration = Duration::from_secs(3600);

fn text_batch(text: &'static str) -> Batch {
    batch(text.bytes().filter(|byte| ![b',', b';'].contains(byte)).count() as u64, Bytes::from(text))
}

/// One consumer, and waits of exactly 1, 2, 4 ... seconds.
fn settings() -> QueueSettings {
    let retry = RetryConfig {
        initial_interval: Configured::from_secs(1),
        randomization_factor: 0.0,
        multiplier: 2.0,
        ..RetryConfig::DEFAULT
    };
    QueueSettings {
        num_consumers: 1,
        retry,
        ..QueueSettings::new("test", &QueueConfig::default(), &RetryConfig::DEFAULT)
    }
}

fn failure() -> Answer {
    Answer::Fails { after: None }
}

fn sent(log: &[(u64, &str)]) -> Vec<(u64, String)> {
    log.iter().map(|(second, text)| (*second, (*text).to_owned())).collect()
}

#[tokio::test(start_paused = true)]
async fn encodes_the_rest_of_a_batch_when_all_before_it_has_an_end() {
    let settings = QueueSettings { parallel_requests: 2, ..settings() };
    let bench = Bench::new(settings, [failure(), Answer::Delivered, failure(), failure()]);
    assert!(bench.push("aa,b,-d;c;-,-ee;f"));
    tokio::time::sleep(Duration::from_secs(10)).await;
    let expected = sent(&[(0, "aa"), (0, "b"), (1, "aa"), (3, "aa"), (7, "aa"), (7, "c"), (7, "f")]);
    assert_eq!(bench.finish().await, expected);
    let report = bench.report.take();
    let expected = [
        "dropped 2 delta",
        "exported 1",
        "exported 2",
        "exported 1",
        "dropped 1 delta",
        "dropped 3 delta",
        "exported 1",
    ];
    assert_eq!(report, expected);
}

/// Notes whether it encodes on the thread that all else runs on.
struct Encodes {
    runtime: std::thread::ThreadId,
    aside: Arc<Mutex<Vec<bool>>>,
}

impl Exporter for Encodes {
    type Request = u64;

    fn encode(&self, batch: &Batch, _from: u64) -> Encoded<u64> {
        self.aside.lock().expect("notes").push(std::thread::current().id() != self.runtime);
        Encoded::one(batch.items)
    }

    async fn send(&self, items: u64) -> Sent<u64> {
        Sent::delivered(items)
    }
}

#[tokio::test]
async fn encodes_what_is_large_beside_all_else() {
    let aside = Arc::default();
    let exporter = Encodes { runtime: std::thread::current().id(), aside: Arc::clone(&aside) };
    let report = Arc::new(Reported::default());
    let queue = Queue::start(exporter, settings(), Arc::<Reported>::clone(&report));
    for bytes in [worker::LARGE_BYTES, worker::LARGE_BYTES + 1] {
        queue.try_push(&[batch(1, vec![0; bytes])], Awaited::No).expect("taken");
    }
    assert_eq!(queue.drain(Instant::now() + HOUR).await, Left::default());
    assert_eq!(*aside.lock().expect("notes"), [false, true]);
    assert_eq!(report.take(), ["exported 1", "exported 1"]);
}

#[tokio::test(start_paused = true)]
async fn keeps_the_order_with_one_consumer_whatever_fails() {
    let bench = Bench::new(settings(), [failure(), Answer::Delivered, failure(), failure()]);
    for text in ["a,b", "c"] {
        assert!(bench.push(text));
    }
    tokio::time::sleep(Duration::from_secs(10)).await;
    assert_eq!(bench.finish().await, sent(&[(0, "a"), (1, "a"), (1, "b"), (2, "b"), (4, "b"), (4, "c")]));
    assert_eq!(bench.report.take(), ["exported 1", "exported 1", "exported 1"]);
}

#[tokio::test(start_paused = true)]
async fn takes_up_to_its_size_and_not_one_more() {
    let cases = [
        (Sizer::Requests, 3, vec!["aa", "b", "c"], "d"),
        (Sizer::Items, 3, vec!["aa", "b"], "c"),
        (Sizer::Bytes, 4, vec!["a,a", "b"], "c"),
    ];
    for (sizer, queue_size, fitting, too_much) in cases {
        let bench = Bench::taking(Duration::from_secs(1), QueueSettings { sizer, queue_size, ..settings() }, []);
        for text in fitting {
            assert!(bench.push(text), "{sizer:?} {text}");
        }
        assert_eq!(bench.queue.gauges().size, queue_size);
        assert!(!bench.push(too_much), "{sizer:?}");
        bench.finish().await;
        assert_eq!(bench.queue.gauges(), Gauges { size: 0, capacity: queue_size, in_flight_batches: 0, items: 0 });
    }
}

#[tokio::test(start_paused = true)]
async fn takes_a_batch_larger_than_itself_only_when_empty() {
    let settings = QueueSettings { sizer: Sizer::Items, queue_size: 2, ..settings() };
    let bench = Bench::taking(Duration::from_secs(1), settings, []);
    assert!(bench.push("aaa"));
    assert!(!bench.push("b"));
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert!(bench.push("bbb"));
    assert_eq!(bench.finish().await.len(), 2);
}

#[tokio::test(start_paused = true)]
async fn counts_what_is_in_flight_towards_its_size() {
    let bench = Bench::taking(Duration::from_secs(5), QueueSettings { queue_size: 2, ..settings() }, []);
    assert!(bench.push("aa"));
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(bench.queue.gauges(), Gauges { size: 1, capacity: 2, in_flight_batches: 1, items: 2 });
    assert!(bench.push("b"));
    assert!(!bench.push("c"));
    bench.finish().await;
}

#[tokio::test(start_paused = true)]
async fn waits_for_room_if_asked_to() {
    let bench = Bench::taking(Duration::from_secs(5), QueueSettings { queue_size: 1, ..settings() }, []);
    assert!(bench.push("a"));
    let begin = Instant::now();
    bench.queue.push(&[text_batch("b")], Awaited::No).await.expect("taken");
    assert_eq!(begin.elapsed(), Duration::from_secs(5));
    bench.finish().await;
    assert!(bench.queue.push(&[text_batch("c")], Awaited::No).await.is_none(), "closed");
}

#[tokio::test(start_paused = true)]
async fn sends_as_many_at_once_as_there_are_consumers() {
    let bench = Bench::taking(Duration::from_secs(1), QueueSettings { num_consumers: 3, ..settings() }, []);
    for text in ["a", "b", "c", "d"] {
        assert!(bench.push(text));
    }
    let seconds: Vec<u64> = bench.finish().await.into_iter().map(|(second, _)| second).collect();
    assert_eq!(seconds, [1, 1, 1, 2]);
}

#[tokio::test(start_paused = true)]
async fn waits_as_long_as_the_destination_asks() {
    let bench = Bench::new(settings(), [Answer::Fails { after: Some(Duration::from_secs(60)) }]);
    assert!(bench.push("a"));
    tokio::time::sleep(HOUR).await;
    assert_eq!(bench.finish().await, sent(&[(0, "a"), (60, "a")]));
}

#[tokio::test(start_paused = true)]
async fn sends_halves_at_once_and_in_order() {
    let bench = Bench::new(settings(), [Answer::Halves, failure(), Answer::Halves]);
    assert!(bench.push("abcd,e"));
    tokio::time::sleep(HOUR).await;
    let expected = [(0, "abcd"), (0, "ab"), (1, "ab"), (1, "a"), (1, "b"), (1, "cd"), (1, "e")];
    assert_eq!(bench.finish().await, sent(&expected));
    assert_eq!(bench.report.take(), ["exported 1", "exported 1", "exported 2", "exported 1"]);
}

#[tokio::test(start_paused = true)]
async fn gives_up_what_is_too_old_and_goes_on_with_the_next() {
    let retry = RetryConfig { max_elapsed_time: Configured::from_secs(6), ..settings().retry };
    let bench = Bench::new(QueueSettings { retry, ..settings() }, [failure(), failure(), failure()]);
    assert!(bench.push("aa,b"));
    tokio::time::sleep(HOUR).await;
    assert_eq!(bench.finish().await, sent(&[(0, "aa"), (1, "aa"), (3, "aa"), (3, "b")]));
    assert_eq!(bench.report.take(), ["dropped 2 retries_exhausted", "exported 1"]);
}

#[tokio::test(start_paused = true)]
async fn gives_up_at_once_without_retries_but_still_splits() {
    let retry = RetryConfig { enabled: false, ..settings().retry };
    let bench = Bench::new(QueueSettings { retry, ..settings() }, [Answer::Halves, failure()]);
    assert!(bench.push("aabb"));
    bench.finish().await;
    assert_eq!(bench.report.take(), ["dropped 2 retry_disabled", "exported 2"]);
}

#[tokio::test(start_paused = true)]
async fn reports_what_is_refused_and_what_can_not_be_expressed() {
    let bench = Bench::new(settings(), [Answer::Refused]);
    assert!(bench.push("aa,-b,c"));
    bench.finish().await;
    assert_eq!(bench.report.take(), ["dropped 2 delta", "refused 2", "exported 1"]);
}

#[tokio::test(start_paused = true)]
async fn keeps_refused_items_as_dead_letters() {
    let directory = tempfile::tempdir().expect("directory");
    let path = directory.path().join("dead.jsonl");
    let dead_letters = Some(Arc::new(DeadLetters::open(&path).expect("file")));
    let bench = Bench::new(QueueSettings { dead_letters, ..settings() }, [Answer::Refused]);
    assert!(bench.push("aa"));
    bench.finish().await;
    assert_eq!(bench.report.take(), ["dead-lettered 2"]);
    assert!(std::fs::read_to_string(path).expect("file").contains("\"exporter\":\"test\""));
}

#[tokio::test(start_paused = true)]
async fn balances_the_ledger_even_if_an_exporter_miscounts() {
    let bench = Bench::new(settings(), [Answer::Miscounts(5), Answer::Miscounts(1)]);
    assert!(bench.push("aa"));
    assert!(bench.push("bb"));
    bench.finish().await;
    assert_eq!(bench.report.take(), ["exported 2", "exported 1", "dropped 1 unaccounted"]);
}

#[tokio::test(start_paused = true)]
async fn tells_a_waiting_sender_what_became_of_its_batch() {
    let bench = Bench::new(settings(), [failure(), Answer::Refused]);
    let outcome =
        bench.queue.try_push(&[text_batch("aa,b,-c")], Awaited::Yes).expect("taken").remove(0).await.expect("outcome");
    let expected = Outcome { exported: 1, refused: 2, dropped: 2, reason: Some("bad".into()), ..Outcome::default() };
    assert_eq!(outcome, expected);

    let retry = RetryConfig { enabled: false, ..settings().retry };
    let bench = Bench::new(QueueSettings { retry, ..settings() }, [failure()]);
    let outcome =
        bench.queue.try_push(&[text_batch("aa,b")], Awaited::Yes).expect("taken").remove(0).await.expect("outcome");
    let expected = Outcome { exported: 1, given_up: 2, reason: Some("busy".into()), ..Outcome::default() };
    assert_eq!(outcome, expected);
    assert_eq!(bench.queue.health(), Health::Works);

    let bench = Bench::new(QueueSettings { retry, ..settings() }, [failure()]);
    bench.queue.try_push(&[text_batch("aa")], Awaited::Yes).expect("taken").remove(0).await.expect("outcome");
    assert!(matches!(bench.queue.health(), Health::Fails { .. }), "health tells of it without retries, too");
}

#[tokio::test(start_paused = true)]
async fn calls_lost_only_what_nobody_is_told_about() {
    let file = tempfile::NamedTempFile::new().expect("file");
    let writer = Mutex::new(file.reopen().expect("file"));
    let log = tracing_subscriber::fmt().with_writer(writer).with_ansi(false).without_time().finish();
    // With one dispatcher alone, tracing asks the thread that comes to a message first whether it is wanted, and that
    // may be another test's.
    let _second = tracing::Dispatch::new(tracing::subscriber::NoSubscriber::new());
    let _log = tracing::subscriber::set_default(log);
    let retry = RetryConfig { enabled: false, ..settings().retry };
    let told = "WARN sluice::export::queue::journal: items not exported, the sender is told to try again \
                exporter=\"test\" items=2";
    let lost = "ERROR sluice::export::queue::journal: items lost exporter=\"test\" items=2";
    let mut expected = Vec::new();
    for (fails, reason) in [(true, "retry_disabled"), (false, "shutdown")] {
        let answer = || if fails { failure() } else { Answer::Never };
        let bench = Bench::new(QueueSettings { retry, ..settings() }, [answer()]);
        let outcome = bench.queue.try_push(&[text_batch("aa")], Awaited::Yes).expect("taken").remove(0);
        bench.queue.drain(Instant::now() + HOUR).await;
        assert_eq!(outcome.await.expect("outcome").given_up, 2);
        expected.push((told, reason));

        let bench = Bench::new(QueueSettings { retry, ..settings() }, [answer()]);
        assert!(bench.push("aa"));
        bench.queue.drain(Instant::now() + HOUR).await;
        expected.push((lost, reason));
    }
    let said = std::fs::read_to_string(file.path()).expect("text");
    assert_eq!(said.lines().count(), expected.len(), "{said}");
    for (line, (text, reason)) in said.lines().zip(expected) {
        assert!(line.trim().starts_with(&format!("{text} reason=\"{reason}\"")), "{line}");
    }
}

#[tokio::test(start_paused = true)]
async fn takes_nothing_once_it_drains_but_sends_what_it_has() {
    let bench = Bench::taking(Duration::from_secs(1), settings(), []);
    for text in ["a", "b"] {
        assert!(bench.push(text));
    }
    assert_eq!(bench.queue.drain(Instant::now() + Duration::from_secs(3)).await, Left::default());
    assert!(!bench.push("c"));
    assert_eq!(bench.report.take(), ["exported 1", "exported 1"]);
}

#[tokio::test(start_paused = true)]
async fn gives_everything_one_more_chance_when_the_drain_begins() {
    let bench = Bench::new(settings(), [Answer::Fails { after: Some(Duration::from_secs(200)) }, failure()]);
    assert!(bench.push("a"));
    tokio::time::sleep(Duration::from_secs(3)).await;
    let left = bench.queue.drain(Instant::now() + HOUR).await;
    assert_eq!(left, Left::default());
    let sent_at: Vec<u64> = bench.log.lock().expect("log").iter().map(|(second, _)| *second).collect();
    assert_eq!(sent_at, [0, 3, 5]);
}

#[tokio::test(start_paused = true)]
async fn says_what_the_deadline_left_over() {
    let bench = Bench::new(settings(), [Answer::Delivered, Answer::Never]);
    for text in ["a,bb", "ccc"] {
        assert!(bench.push(text));
    }
    let begin = Instant::now();
    let left = bench.queue.drain(begin + Duration::from_secs(9)).await;
    assert_eq!(begin.elapsed(), Duration::from_secs(9));
    assert_eq!(left, Left { batches: 2, items: 5 });
    assert_eq!(bench.report.take(), ["exported 1", "dropped 2 shutdown", "dropped 3 shutdown"]);
    assert_eq!(bench.queue.gauges().size, 0);
}

/// Cutting a batch, say, can be waited for no shorter.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ends_though_a_consumer_stands_still() {
    let (go_on, until) = std::sync::mpsc::channel();
    let bench = Bench::new(settings(), [Answer::StandsStill(until)]);
    for text in ["aa", "bbb"] {
        assert!(bench.push(text));
    }
    while bench.queue.gauges().in_flight_batches == 0 {
        tokio::task::yield_now().await;
    }
    let left = tokio::time::timeout(Duration::from_secs(20), bench.queue.drain(Instant::now())).await;
    assert_eq!(left.expect("an end"), Left { batches: 2, items: 5 });
    drop(go_on);
}

#[tokio::test(start_paused = true)]
async fn reports_what_is_left_when_it_is_dropped_undrained() {
    let bench = Bench::new(settings(), [Answer::Never]);
    assert!(bench.push("aa"));
    tokio::time::sleep(Duration::from_secs(1)).await;
    let report = bench.report;
    drop(bench.queue);
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(report.take(), ["dropped 2 shutdown"]);
}

#[tokio::test(start_paused = true)]
async fn tells_that_the_destination_fails_until_it_takes_something() {
    let bench = Bench::new(settings(), [failure(), failure(), Answer::Refused]);
    assert!(bench.push("a"));
    tokio::time::sleep(Duration::from_millis(1500)).await;
    let Health::Fails { since, last, reason } = bench.queue.health() else { panic!("it works") };
    assert_eq!((since, reason.as_str()), (Duration::from_millis(1500), "busy"));
    assert!(last < since, "it was tried again: {last:?}");
    tokio::time::sleep(HOUR).await;
    assert_eq!(bench.report.take(), ["refused 1"]);
    assert!(matches!(bench.queue.health(), Health::Fails { .. }));
    assert!(bench.push("b"));
    tokio::time::sleep(HOUR).await;
    assert_eq!(bench.queue.health(), Health::Works);
}

/// It sends the same again.
#[tokio::test(start_paused = true)]
async fn a_batch_whose_sender_went_away_is_not_sent_any_more() {
    let bench = Bench::new(settings(), [failure()]);
    let outcome = bench.queue.try_push(&[text_batch("aa")], Awaited::Yes).expect("taken");
    tokio::time::sleep(Duration::from_millis(500)).await;
    drop(outcome);
    assert_eq!(bench.finish().await, sent(&[(0, "aa")]), "nothing is sent a second time");
    assert_eq!(bench.report.take(), ["given back 2 cancelled"]);
    let reason = "no answer before the sender went away".to_owned();
    assert!(matches!(bench.queue.health(), Health::Fails { reason: found, .. } if found == reason));
    // One that left before its turn.
    let bench = Bench::new(settings(), [Answer::Delivered]);
    drop(bench.queue.try_push(&[text_batch("aa")], Awaited::Yes).expect("taken"));
    assert_eq!(bench.finish().await, sent(&[]));
}

#[tokio::test(start_paused = true)]
async fn what_is_given_up_is_its_senders_if_that_waits() {
    let retry = RetryConfig { enabled: false, ..settings().retry };
    for (awaited, reported) in [(Awaited::No, "dropped"), (Awaited::Yes, "given back")] {
        let bench = Bench::new(QueueSettings { retry, ..settings() }, [failure()]);
        let outcome = bench.queue.try_push(&[text_batch("aa")], awaited).expect("taken");
        bench.finish().await;
        assert_eq!(bench.report.take(), [format!("{reported} 2 retry_disabled")]);
        drop(outcome);
    }
    // The end of the process leaves nothing behind either, of what a sender has.
    for (awaited, left) in [(Awaited::No, 2), (Awaited::Yes, 0)] {
        let bench = Bench::new(settings(), [Answer::Never]);
        let outcome = bench.queue.try_push(&[text_batch("aa")], awaited).expect("taken");
        assert_eq!(bench.queue.drain(Instant::now()).await.items, left);
        drop(outcome);
    }
}

/// Without a queue senders wait, as many as there are.
#[test]
fn has_no_limit_but_memory_where_there_is_no_queue() {
    for (enabled, queue_size) in [(true, 2), (false, u64::MAX)] {
        let config = QueueConfig { enabled, queue_size: 2, sizer: Sizer::Bytes, ..QueueConfig::default() };
        assert_eq!(QueueSettings::new("x", &config, &RetryConfig::DEFAULT).queue_size, queue_size);
    }
}

#[tokio::test(start_paused = true)]
async fn is_full_when_its_bytes_are_more_than_its_share() {
    let bench = Bench::new(QueueSettings { max_bytes: 4, ..settings() }, [Answer::Never]);
    assert!(bench.push("aaa"));
    assert!(!bench.push("bb"));
    assert!(bench.push("b"));
    assert!(!bench.push("c"));
    // What is larger than all of it has its turn when there is nothing else.
    let bench = Bench::new(QueueSettings { max_bytes: 4, ..settings() }, [Answer::Delivered]);
    assert!(bench.push("aaaaaaa"));
}

/// As a wrong key does: nothing is wrong with the requests, and none arrives.
#[tokio::test(start_paused = true)]
async fn tells_that_the_destination_fails_if_it_refuses_everything() {
    let bench = Bench::new(settings(), [Answer::Refused]);
    assert!(bench.push("a"));
    tokio::time::sleep(HOUR).await;
    assert!(matches!(bench.queue.health(), Health::Fails { reason, .. } if reason == "bad"));
    assert!(bench.push("b"));
    tokio::time::sleep(HOUR).await;
    assert_eq!(bench.queue.health(), Health::Works);
}

/// One bad point is found by cutting the request around it, and is refused alone.
#[tokio::test(start_paused = true)]
async fn a_destination_that_takes_a_part_of_a_request_works() {
    let cases = [
        (vec![Answer::Delivered, Answer::Refused], true),
        (vec![Answer::Refused, Answer::Delivered], true),
        (vec![Answer::Refused, failure(), Answer::Delivered], true),
        (vec![Answer::Refused, Answer::Refused], false),
    ];
    for (number, (answers, works)) in cases.into_iter().enumerate() {
        let bench = Bench::new(settings(), std::iter::once(Answer::Halves).chain(answers));
        assert!(bench.push("ab"));
        tokio::time::sleep(HOUR).await;
        assert_eq!(bench.queue.health() == Health::Works, works, "case {number}");
    }
}

/// Metadata, say, or a `target_info` that is late.
#[tokio::test(start_paused = true)]
async fn what_is_refused_without_items_is_neither_a_loss_nor_a_failure() {
    let file = tempfile::NamedTempFile::new().expect("a file");
    let writer = Mutex::new(file.reopen().expect("a file"));
    let log = tracing_subscriber::fmt().with_writer(writer).with_ansi(false).with_target(false).without_time();
    let _second = tracing::Dispatch::new(tracing::subscriber::NoSubscriber::new());
    let _logged = tracing::subscriber::set_default(log.finish());
    let bench = Bench::new(settings(), [Answer::Delivered, Answer::Refused]);
    let outcome = bench.queue.try_push(&[text_batch("a,")], Awaited::Yes).expect("taken").remove(0).await;
    assert_eq!(outcome.expect("outcome"), Outcome { exported: 1, ..Outcome::default() });
    assert_eq!(bench.queue.health(), Health::Works);
    bench.finish().await;
    assert_eq!(bench.report.take(), ["exported 1"]);
    let said = std::fs::read_to_string(file.path()).expect("text");
    let expected = "WARN parts without items refused by the destination exporter=\"test\" parts=1 reason=\"bad\"";
    assert_eq!(said.trim(), expected);
}

/// Lines come now and then; the last of them must not be left out.
#[tokio::test(start_paused = true)]
async fn what_was_not_told_yet_is_told_at_the_end() {
    let file = tempfile::NamedTempFile::new().expect("a file");
    let writer = Mutex::new(file.reopen().expect("a file"));
    let log = tracing_subscriber::fmt().with_writer(writer).with_ansi(false).finish();
    let _logged = tracing::subscriber::set_default(log);
    let bench = Bench::new(settings(), [Answer::Refused, Answer::Refused]);
    assert!(bench.push("aa") && bench.push("bbb"));
    bench.finish().await;
    let said = std::fs::read_to_string(file.path()).expect("text");
    let lines: Vec<&str> = said.lines().filter(|line| !line.contains("works again")).collect();
    assert_eq!(lines.len(), 2, "{said}");
    assert!(lines[0].contains("items refused by the destination and lost") && lines[0].contains("items=2"), "{said}");
    assert!(lines[1].contains("more items refused by the destination") && lines[1].contains("items=3"), "{said}");
}
