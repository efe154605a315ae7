//! One memory budget: what one protocol holds is missing to the other.

use std::sync::Mutex;

use tonic::Code;

use super::kit::*;
use crate::model::BATCH_OVERHEAD_BYTES;
use crate::receive::otlp::intake::REQUEST_BYTES;

const BUDGET_BYTES: usize = 1 << 20;
const PROTOBUF: (&str, &str) = ("content-type", "application/x-protobuf");

/// What headers of a request take at most here.
const HEADERS: usize = 2_000;

/// A message of gRPC that takes the whole budget with the five bytes before it and its headers.
fn full() -> bytes::Bytes {
    traces_of(BUDGET_BYTES - REQUEST_BYTES - BATCH_OVERHEAD_BYTES - 5 - HEADERS)
}

/// What a POST of so many bytes ends with.
async fn posted(running: &Running, bytes: usize) -> u16 {
    let asked = request("/v1/traces", &[PROTOBUF], Chunks::of(traces_of(bytes)));
    post(&running.http, asked).await.status().as_u16()
}

#[tokio::test]
async fn a_call_that_is_held_leaves_nothing_to_http_and_the_log_says_so() {
    let log = tempfile::NamedTempFile::new().unwrap();
    let writer = Mutex::new(log.reopen().unwrap());
    let lines = tracing_subscriber::fmt().with_writer(writer).with_ansi(false).with_target(false).without_time();
    let _logged = tracing::subscriber::set_default(lines.finish());
    let running = Plan { budget_bytes: BUDGET_BYTES, ..Plan::default() }.start().await;
    let gate = running.sink.hold();
    let mut client = h2(&running.grpc).await;
    let held = tokio::spawn(async move { export(&mut client, &full()).await });
    running.sink.entered.notified().await;
    let used = running.budget.used_bytes();
    assert!(BUDGET_BYTES - used < HEADERS, "{used}");
    assert_eq!([posted(&running, 500).await, posted(&running, 500).await], [503, 503]);
    let said = std::fs::read_to_string(log.path()).unwrap();
    let fields = format!(" requests=1 used_bytes={used} limit_bytes={BUDGET_BYTES}\n");
    assert!(said.contains("WARN the memory budget is exhausted") && said.ends_with(&fields), "{said}");
    *running.sink.gate.lock().unwrap() = None;
    gate.notify_one();
    assert_eq!(held.await.unwrap().code(), Code::Ok);
    running.sink.take();
    assert_eq!(posted(&running, 100).await, 200, "there is room again");
}

#[tokio::test]
async fn a_post_that_is_held_leaves_nothing_to_grpc() {
    let running = Plan { budget_bytes: BUDGET_BYTES, ..Plan::default() }.start().await;
    let gate = running.sink.hold();
    let address = running.http.clone();
    let asked = request("/v1/traces", &[PROTOBUF], Chunks::of(full()));
    let held = tokio::spawn(async move { post(&address, asked).await });
    running.sink.entered.notified().await;
    let mut client = h2(&running.grpc).await;
    assert_eq!(export(&mut client, &traces_of(500)).await.code(), Code::ResourceExhausted);
    *running.sink.gate.lock().unwrap() = None;
    gate.notify_one();
    assert_eq!(held.await.unwrap().status(), 200);
    running.sink.take();
    assert_eq!(export(&mut client, &traces_of(100)).await.code(), Code::Ok, "there is room again");
}

/// All headers until the request is answered, and those that somebody reads as long as there is the batch.
#[tokio::test]
async fn headers_take_their_part_of_the_budget() {
    let running = Plan { budget_bytes: BUDGET_BYTES, headers: vec!["x-tenant"], ..Plan::default() }.start().await;
    let (kept, other) = ("k".repeat(10_000), "o".repeat(20_000));
    let headers = [PROTOBUF, ("x-tenant", kept.as_str()), ("x-other", other.as_str())];
    let gate = running.sink.hold();
    let asked = request("/v1/traces", &headers, Chunks::of(traces_of(1_000)));
    let address = running.http.clone();
    let held = tokio::spawn(async move { post(&address, asked).await });
    running.sink.entered.notified().await;
    let all = 1_000 + 2 * 10_000 + 20_000 + REQUEST_BYTES + BATCH_OVERHEAD_BYTES;
    assert!((all..all + HEADERS).contains(&running.budget.used_bytes()), "{}", running.budget.used_bytes());
    *running.sink.gate.lock().unwrap() = None;
    gate.notify_one();
    assert_eq!(held.await.unwrap().status(), 200);
    assert_eq!(running.budget.used_bytes(), 1_000 + "x-tenant".len() + 10_000 + BATCH_OVERHEAD_BYTES);
    running.sink.take();
    assert_eq!(running.budget.used_bytes(), 0);
}
