//! What a queue's settings do in the running process: batches that are joined, requests side by side.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use sluice_tests::capture::Manner;
use sluice_tests::{Capture, Sluice, web};
use sluice_wire::{Signal, sample};

fn config(exporter: &str) -> String {
    format!(
        "receivers: {{otlp: {{protocols: {{http: {{endpoint: '127.0.0.1:{{{{http}}}}'}}}}}}}}\nexporters:\n  {exporter}\n\
         extensions: {{health_check: {{endpoint: '127.0.0.1:{{{{health}}}}'}}}}\nservice:\n  extensions: [health_check]\n"
    )
}

fn send(sluice: &Sluice, signal: Signal, items: usize) -> Result<()> {
    let url = format!("http://127.0.0.1:{}/v1/{}", sluice.port("http"), signal.name());
    let reply = web::post(&url, "application/x-protobuf", &sample::request(signal, items))?;
    ensure!(reply.status == 200, "{}: {}", reply.status, reply.body);
    Ok(())
}

#[test]
fn a_sending_queue_joins_and_cuts_batches() -> Result<()> {
    let capture = Capture::start()?;
    let queue = "sending_queue: {batch: {min_size: 40, max_size: 40, flush_timeout: 1h}}";
    let exporter = format!("otlphttp: {{endpoint: '{}', compression: none, {queue}}}", capture.url);
    let pipelines = "  pipelines: {logs: {receivers: [otlp], exporters: [otlphttp]}}\n";
    let sluice = Sluice::start(&(config(&exporter) + pipelines))?;
    for items in [10, 10, 10, 30] {
        send(&sluice, Signal::Logs, items)?;
    }
    sluice.settle()?;
    let mut sizes = Vec::new();
    for body in capture.take("/v1/logs") {
        sizes.push(sluice_wire::validate(Signal::Logs, &body)?.records);
    }
    sizes.sort_unstable();
    assert_eq!(sizes, [20, 40]);
    assert_eq!(sluice.ledger("exported")?, 60);
    // What has not enough and no time left to wait for more goes out when the process stops.
    send(&sluice, Signal::Logs, 7)?;
    let log = sluice.end()?;
    assert_eq!(capture.take("/v1/logs").len(), 1, "{log}");
    Ok(())
}

#[test]
fn a_dead_destination_costs_the_others_nothing_when_the_process_stops() -> Result<()> {
    let capture = Capture::start()?;
    // What waits for more of its kind goes out when its queue is told to end, not before.
    let queue = "sending_queue: {batch: {min_size: 40, flush_timeout: 1h}}";
    let exporters = format!(
        "otlphttp/a: {{endpoint: 'http://127.0.0.1:1', compression: none}}\n  \
         otlphttp/b: {{endpoint: '{}', compression: none, {queue}}}",
        capture.url
    );
    let pipelines = "  shutdown_timeout: 500ms\n  \
                     pipelines: {logs: {receivers: [otlp], exporters: [otlphttp/a, otlphttp/b]}}\n";
    let sluice = Sluice::start(&(config(&exporters) + pipelines))?;
    for counter in ["sent", "send_failed", "enqueue_failed"] {
        let line = format!("otelcol_exporter_{counter}_log_records{{exporter=\"otlphttp/a\"}} 0\n");
        assert!(sluice.metrics()?.contains(&line), "an alarm needs {line} before the first failure");
    }
    send(&sluice, Signal::Logs, 7)?;
    let error = sluice.end().expect_err("one exporter has nowhere to send").to_string();
    assert_eq!(capture.take("/v1/logs").len(), 1, "{error}");
    for line in ["not exported exporter=otlphttp/a items=7 batches=1", "shutdown left items behind items=7 in_flight=0"]
    {
        assert!(error.contains(line), "{error}");
    }
    Ok(())
}

/// What one pipeline has no room for, others have: the sender is not told to send it again to all of them.
#[test]
fn a_full_queue_of_one_pipeline_costs_the_other_pipelines_nothing() -> Result<()> {
    let captures = [Capture::start()?, Capture::start()?];
    let alive = |name: &str, capture: &Capture| {
        format!("otlphttp/{name}: {{endpoint: '{}', compression: none}}\n  ", capture.url)
    };
    let dead = "otlphttp/b: {endpoint: 'http://127.0.0.1:1', sending_queue: {queue_size: 1}}";
    let exporters = alive("a", &captures[0]) + &alive("c", &captures[1]) + dead;
    let pipelines = "  shutdown_timeout: 500ms\n  pipelines:\n    \
                     logs/a: {receivers: [otlp], exporters: [otlphttp/a]}\n    \
                     logs/b: {receivers: [otlp], exporters: [otlphttp/b]}\n    \
                     logs/c: {receivers: [otlp], exporters: [otlphttp/c]}\n";
    let sluice = Sluice::start(&(config(&exporters) + pipelines))?;
    for _ in 0..8 {
        send(&sluice, Signal::Logs, 5)?;
    }
    let (dropped, rejected) = (sluice.ledger("dropped")?, sluice.ledger("rejected")?);
    let error = sluice.end().expect_err("one exporter has nowhere to send").to_string();
    assert!(dropped >= 30, "{dropped} of 40 for a queue of one batch\n{error}");
    assert_eq!(rejected, 0, "the sender was told that it was accepted\n{error}");
    for capture in &captures {
        assert_eq!(capture.take("/v1/logs").len(), 8, "{error}");
    }
    assert!(error.contains("dropped what other pipelines have pipeline=logs/b items=5"), "{error}");
    let rest = format!("more dropped that other pipelines have pipeline=logs/b items={}", dropped - 5);
    assert!(error.contains(&rest), "no {rest} in\n{error}");
    Ok(())
}

#[test]
fn a_batch_processor_that_waits_for_a_full_queue_costs_other_exporters_nothing() -> Result<()> {
    let capture = Capture::start()?;
    let exporters = format!(
        "otlphttp/a: {{endpoint: 'http://127.0.0.1:1', sending_queue: {{queue_size: 1}}}}\n  \
         otlphttp/b: {{endpoint: '{}', compression: none, sending_queue: {{batch: {{min_size: 40, flush_timeout: 1h}}}}}}\n\
         processors: {{batch: {{send_batch_size: 1, timeout: 0s}}}}",
        capture.url
    );
    let pipelines = "  shutdown_timeout: 1s\n  pipelines:\n    \
                     logs: {receivers: [otlp], processors: [batch], exporters: [otlphttp/a]}\n    \
                     traces: {receivers: [otlp], exporters: [otlphttp/b]}\n";
    let sluice = Sluice::start(&(config(&exporters) + pipelines))?;
    for _ in 0..2 {
        send(&sluice, Signal::Logs, 5)?;
    }
    send(&sluice, Signal::Traces, 7)?;
    let error = sluice.end().expect_err("one exporter has nowhere to send").to_string();
    assert_eq!(capture.take("/v1/traces").len(), 1, "{error}");
    for line in [
        "before a batch processor found room in it exporter=otlphttp/a items=5",
        "not exported exporter=otlphttp/a items=5 batches=1",
        "shutdown left items behind items=10 in_flight=0",
    ] {
        assert!(error.contains(line), "no {line} in\n{error}");
    }
    Ok(())
}

#[test]
fn a_request_that_does_not_end_costs_acknowledged_data_nothing_when_the_process_stops() -> Result<()> {
    let capture = Capture::start()?;
    let exporter =
        format!("otlphttp: {{endpoint: '{}', compression: none}}\nprocessors: {{batch: {{timeout: 1h}}}}", capture.url);
    let pipelines = "  shutdown_timeout: 4s\n  \
                     pipelines: {logs: {receivers: [otlp], processors: [batch], exporters: [otlphttp]}}\n";
    let sluice = Sluice::start(&(config(&exporter) + pipelines))?;
    send(&sluice, Signal::Logs, 3)?;
    let mut slow = TcpStream::connect(("127.0.0.1", sluice.port("http")))?;
    slow.write_all(b"POST /v1/logs HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\n")?;
    // Now it runs for sure.
    slow.read_exact(&mut [0; 12])?;
    let log = sluice.end()?;
    assert_eq!(capture.take("/v1/logs").len(), 1, "{log}");
    Ok(())
}

/// What a sender is told when exporters without queues fail: nothing listens at port 1, and nobody has that path.
#[test]
fn a_sender_hears_from_the_destination_when_there_is_no_queue() -> Result<()> {
    let dead = "http://127.0.0.1:1";
    let refusing = "http://127.0.0.1:{{http}}/nobody";
    let capture = Capture::start()?;
    for (endpoints, status) in [
        (vec![dead], 503),
        (vec![refusing], 500),
        (vec![refusing, dead, dead], 503),
        (vec![refusing, refusing], 500),
        (vec![dead, &capture.url], 503),
        (vec![refusing, &capture.url], 500),
        (vec![&capture.url, &capture.url], 200),
    ] {
        let (mut exporters, mut names) = (String::new(), Vec::new());
        for (number, endpoint) in endpoints.iter().enumerate() {
            let settings = "compression: none, sending_queue: {enabled: false}, retry_on_failure: {enabled: false}";
            exporters += &format!("otlphttp/{number}: {{endpoint: '{endpoint}', {settings}}}\n  ");
            names.push(format!("otlphttp/{number}"));
        }
        let names = names.join(", ");
        let pipelines = format!("  pipelines: {{logs: {{receivers: [otlp], exporters: [{names}]}}}}\n");
        let sluice = Sluice::start(&(config(&exporters) + &pipelines))?;
        let url = format!("http://127.0.0.1:{}/v1/logs", sluice.port("http"));
        let reply = web::post(&url, "application/x-protobuf", &sample::request(Signal::Logs, 7))?;
        assert_eq!(reply.status, status, "{endpoints:?}: {}", reply.body);
        // The books of what failed are kept by the exporters alone.
        let log = sluice.stop().with_context(|| format!("{endpoints:?}"))?;
        // Nothing is lost while the sender knows that it has to send again.
        assert!(!log.contains("items lost"), "{log}");
    }
    Ok(())
}

#[test]
fn a_sender_is_told_when_a_batch_processor_waits_for_a_full_queue() -> Result<()> {
    let exporter = "otlphttp: {endpoint: 'http://127.0.0.1:1', sending_queue: {queue_size: 1}}\n\
                    processors: {batch: {send_batch_size: 1, timeout: 0s}}";
    let pipelines = "  shutdown_timeout: 500ms\n  \
                     pipelines: {logs: {receivers: [otlp], processors: [batch], exporters: [otlphttp]}}\n";
    let sluice = Sluice::start(&(config(exporter) + pipelines))?;
    // One waits in the queue, one in the batch processor.
    for _ in 0..2 {
        send(&sluice, Signal::Logs, 5)?;
    }
    let url = format!("http://127.0.0.1:{}/v1/logs", sluice.port("http"));
    let reply = web::post(&url, "application/x-protobuf", &sample::request(Signal::Logs, 7))?;
    assert_eq!(reply.status, 503, "{}", reply.body);
    let error = sluice.end().expect_err("the exporter has nowhere to send").to_string();
    assert!(error.contains("in_flight=0"), "{error}");
    Ok(())
}

#[test]
fn a_second_signal_ends_the_process_and_says_what_was_left() -> Result<()> {
    let exporter = "otlphttp: {endpoint: 'http://127.0.0.1:1', compression: none}";
    let pipelines = "  pipelines: {logs: {receivers: [otlp], exporters: [otlphttp]}}\n";
    let sluice = Sluice::start(&(config(exporter) + pipelines))?;
    send(&sluice, Signal::Logs, 7)?;
    let error = sluice.end_twice().expect_err("one exporter has nowhere to send").to_string();
    for line in ["second signal", "not exported exporter=otlphttp items=7", "shutdown left items behind in_flight=7"] {
        assert!(error.contains(line), "{error}");
    }
    Ok(())
}

#[test]
fn remote_write_sends_requests_of_a_batch_side_by_side() -> Result<()> {
    for key in ["max_batch_request_parallelism: 3", "remote_write_queue: {num_consumers: 3}"] {
        let capture = Capture::answering_together(3)?;
        let url = &capture.url;
        let exporter = format!("prometheusremotewrite: {{endpoint: '{url}/write', max_batch_size_bytes: 1, {key}}}");
        let pipelines = "  pipelines: {metrics: {receivers: [otlp], exporters: [prometheusremotewrite]}}\n";
        let sluice = Sluice::start(&(config(&exporter) + pipelines))?;
        send(&sluice, Signal::Metrics, 20)?;
        sluice.settle()?;
        assert!(capture.take("/write").len() > 3);
        sluice.stop()?;
    }
    Ok(())
}

/// Samples of a series must come in order: the second batch waits until the first one is delivered, however many
/// consumers the configuration names and however often the first one is sent.
#[test]
fn remote_write_sends_one_batch_after_the_other() -> Result<()> {
    for key in ["max_batch_request_parallelism: 3", "remote_write_queue: {num_consumers: 3}"] {
        let first = vec![(503, String::new())];
        let capture = Capture::answering(Manner { together: usize::MAX, first, ..Manner::default() })?;
        let url = &capture.url;
        let retry = "retry_on_failure: {initial_interval: 500ms}";
        let exporter = format!("prometheusremotewrite: {{endpoint: '{url}/write', {retry}, {key}}}");
        let pipelines = "  pipelines: {metrics: {receivers: [otlp], exporters: [prometheusremotewrite]}}\n";
        let sluice = Sluice::start(&(config(&exporter) + pipelines))?;
        send(&sluice, Signal::Metrics, 1)?;
        web::eventually("first request", Duration::from_secs(30), || Ok((capture.count("/write") > 0).then_some(())))?;
        send(&sluice, Signal::Metrics, 2)?;
        // Now both batches are in the queue, and the first one has its answer still before it.
        capture.release();
        sluice.settle()?;
        let bodies = capture.take("/write");
        assert_eq!(bodies.len(), 3, "{key}");
        assert!(bodies[0] == bodies[1] && bodies[1] != bodies[2], "{key}: the second batch went out before the first");
        sluice.stop()?;
    }
    Ok(())
}
