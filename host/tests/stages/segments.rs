//! Segments of a pipeline: what they book when a stage fails, before a batch processor and behind one.

use sluice::model::Signal;
use sluice::route::pipeline::Next;
use sluice::route::{FanOut, Segment};
use sluice::stage::{Chain, OnError};
use sluice::telemetry::{Entry, Telemetry};

use super::kit::{act, batch, one};

/// A segment of this chain that leads nowhere, and what it tells.
fn segment(chain: Chain) -> (Segment, Telemetry) {
    let telemetry = Telemetry::new("test").expect("no name twice");
    let next = Next::Exporters(FanOut::new(Vec::new(), telemetry.clone()));
    (Segment::new(Some(chain.into()), next, telemetry.clone()), telemetry)
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
        let segment = Segment::new(Some(one(act("count"), OnError::Pass).into()), next, telemetry.clone());
        for _ in 0..2 {
            // Without an exporter nobody has room for it.
            segment.consume(batch(&[rows])).await.expect_err("busy");
        }
    }
    let page = telemetry.metrics.render().expect("encodes");
    assert!(page.contains("sluice_plugin_counter{name=\"probe_rows\",processor=\"probe\"} 10\n"), "{page}");
}
