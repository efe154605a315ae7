//! The batcher, with time passed in.

use std::sync::Arc;
use std::time::SystemTime;

use sluice_wire::Signal;
use sluice_wire::sample::request;

use super::*;
use crate::limits::Budget;
use crate::model::Context;

fn batch(items: usize, headers: &[(&str, &str)]) -> Batch {
    let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    Batch {
        signal: Signal::Logs,
        bytes: request(Signal::Logs, items).into(),
        items: items as u64,
        tenant: TenantId::default(),
        context: Arc::new(Context { received: SystemTime::UNIX_EPOCH, headers }),
        permit: Arc::new(Budget::new(1 << 30).try_take(items).expect("a large budget")),
    }
}

fn limits(size: u64, max: u64) -> Limits {
    Limits {
        send_batch_size: size,
        send_batch_max_size: max,
        timeout: Duration::from_millis(200),
        metadata_keys: Vec::new(),
        metadata_cardinality_limit: 1000,
    }
}

/// Items and triggers of what came out; each is a valid request with as many items as it says.
fn shown(out: &[(Batch, Trigger)]) -> Vec<(u64, Trigger)> {
    for (batch, _) in out {
        let summary = sluice_wire::validate(batch.signal, &batch.bytes).expect("valid");
        assert_eq!(u64::from(summary.records), batch.items);
    }
    out.iter().map(|(batch, trigger)| (batch.items, *trigger)).collect()
}

#[test]
fn sends_what_has_reached_the_size_and_keeps_what_has_not() {
    let now = Instant::now();
    let mut batcher = Batcher::new(limits(10, 0));
    assert_eq!(shown(&batcher.push(batch(9, &[]), now).expect("taken")), []);
    assert_eq!(shown(&batcher.push(batch(1, &[]), now).expect("taken")), [(10, Trigger::Size)]);
    assert_eq!(batcher.next_due(), None);
}

#[test]
fn sends_what_has_waited_long_enough() {
    let now = Instant::now();
    let mut batcher = Batcher::new(limits(10, 0));
    batcher.push(batch(3, &[]), now).expect("taken");
    let due = batcher.next_due().expect("something waits");
    assert_eq!(due, now + Duration::from_millis(200));
    assert_eq!(shown(&batcher.poll(due - Duration::from_nanos(1))), []);
    assert_eq!(shown(&batcher.poll(due)), [(3, Trigger::Timeout)]);
}

#[test]
fn never_sends_more_than_the_maximum_and_keeps_the_rest() {
    let now = Instant::now();
    let mut batcher = Batcher::new(limits(10, 10));
    let out = batcher.push(batch(25, &[]), now).expect("taken");
    assert_eq!(shown(&out), [(10, Trigger::Size), (10, Trigger::Size)]);
    assert_eq!(shown(&batcher.drain()), [(5, Trigger::Timeout)]);
}

#[test]
fn without_a_timeout_everything_goes_at_once() {
    let mut batcher = Batcher::new(Limits { timeout: Duration::ZERO, ..limits(10, 10) });
    let out = batcher.push(batch(12, &[]), Instant::now()).expect("taken");
    assert_eq!(shown(&out), [(10, Trigger::Size), (2, Trigger::Size)]);
}

#[test]
fn without_a_size_everything_goes_at_once() {
    let mut batcher = Batcher::new(limits(0, 10));
    let out = batcher.push(batch(12, &[]), Instant::now()).expect("taken");
    assert_eq!(shown(&out), [(10, Trigger::Size), (2, Trigger::Size)]);
    assert_eq!(batcher.next_due(), None);
}

#[test]
fn keeps_tenants_and_metadata_apart() {
    let now = Instant::now();
    let keys = vec!["X-Team".to_owned()];
    let mut batcher = Batcher::new(Limits { metadata_keys: keys, metadata_cardinality_limit: 2, ..limits(4, 0) });
    batcher.push(batch(3, &[("x-team", "a")]), now).expect("taken");
    batcher.push(batch(3, &[("x-team", "b")]), now).expect("taken");
    let refused = batcher.push(batch(1, &[]), now);
    assert!(matches!(refused, Err(Refusal::Permanent { reason }) if reason.contains("too many")));
    let out = batcher.push(batch(1, &[("x-team", "a")]), now).expect("taken");
    assert_eq!(shown(&out), [(4, Trigger::Size)]);
    assert_eq!(out[0].0.context.headers, [("x-team".to_owned(), "a".to_owned())]);
}

#[test]
fn the_memory_of_what_waits_is_held_until_it_has_gone() {
    let budget = Budget::new(1 << 20);
    let mut batcher = Batcher::new(limits(3, 0));
    let part = || Batch { permit: Arc::new(budget.try_take(1 << 16).expect("room")), ..batch(1, &[]) };
    for waiting in 1..=2 {
        batcher.push(part(), Instant::now()).expect("taken");
        assert_eq!(budget.used_bytes(), (waiting << 16) + OPEN_BYTES);
    }
    let out = batcher.push(part(), Instant::now()).expect("taken");
    assert_eq!(budget.used_bytes(), out[0].0.bytes.len() + crate::model::BATCH_OVERHEAD_BYTES);
    drop(out);
    assert_eq!(budget.used_bytes(), 0);
}

/// What is left over by the maximum waits for more, again and again; it must not keep what went out.
#[test]
fn what_is_left_over_holds_no_memory_but_its_own() {
    let budget = Budget::new(1 << 24);
    let mut batcher = Batcher::new(limits(10, 10));
    let most = request(Signal::Logs, 9).len() + crate::model::BATCH_OVERHEAD_BYTES + OPEN_BYTES;
    let now = Instant::now();
    for round in 1..=10_000 {
        let part = Batch { permit: Arc::new(budget.try_take(1 << 12).expect("room")), ..batch(11, &[]) };
        drop(batcher.push(part, now).expect("taken"));
        assert!(budget.used_bytes() <= most, "{} bytes in round {round}, at most {most}", budget.used_bytes());
    }
    assert_eq!(shown(&batcher.drain()).iter().map(|(items, _)| items).sum::<u64>(), 10_000 % 10);
    assert_eq!(budget.used_bytes(), 0);
}
