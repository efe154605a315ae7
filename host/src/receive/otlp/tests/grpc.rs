//! gRPC: what comes in, and what is answered to everything else.

use std::time::Duration;

use ::http::StatusCode;
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::metrics::v1::{
    Gauge, Metric, NumberDataPoint, ResourceMetrics, ScopeMetrics, metric::Data,
};
use prost::Message;
use tonic::Code;
use tonic_types::StatusExt;

use super::kit::*;
use crate::model::BATCH_OVERHEAD_BYTES;
use crate::model::{Refusal, Signal};
use crate::receive::counters::{Cause, Transport};

fn metrics() -> Vec<u8> {
    let gauge = Gauge { data_points: vec![NumberDataPoint::default(); 3] };
    let metric = Metric { data: Some(Data::Gauge(gauge)), ..Metric::default() };
    let scope = ScopeMetrics { metrics: vec![metric], ..ScopeMetrics::default() };
    let resource = ResourceMetrics { scope_metrics: vec![scope], ..ResourceMetrics::default() };
    ExportMetricsServiceRequest { resource_metrics: vec![resource] }.encode_to_vec()
}

fn logs() -> Vec<u8> {
    let scope = ScopeLogs { log_records: vec![LogRecord::default(); 2], ..ScopeLogs::default() };
    let resource = ResourceLogs { scope_logs: vec![scope], ..ResourceLogs::default() };
    ExportLogsServiceRequest { resource_logs: vec![resource] }.encode_to_vec()
}

#[tokio::test]
async fn passes_the_bytes_of_all_signals_on_unchanged() {
    let running = start().await;
    let mut client = h2(&running.grpc).await;
    let cases = [
        (TRACES, Signal::Traces, traces(4).to_vec(), 4),
        (METRICS, Signal::Metrics, metrics(), 3),
        (LOGS, Signal::Logs, logs(), 2),
    ];
    for (path, signal, message, items) in cases {
        let answer = ask(&mut client, call(path, &[], Chunks::of(frame(false, &message)))).await;
        assert_eq!((answer.http, answer.code()), (StatusCode::OK, Code::Ok), "{path}");
        assert_eq!(answer.message, [0; 5].as_slice(), "an empty message");
        assert_eq!(answer.headers["content-type"], "application/grpc");
        let batch = running.sink.take().remove(0);
        assert_eq!((batch.signal, batch.items, batch.bytes.as_ref()), (signal, items, message.as_slice()));
        assert_eq!(batch.permit.bytes(), message.len() + BATCH_OVERHEAD_BYTES);
        assert_eq!(running.counters.of(Transport::Grpc, signal).accepted.get(), items);
    }
    assert_eq!(running.budget.used_bytes(), 0, "dropping the batches gave everything back");
}

#[tokio::test]
async fn takes_compressed_messages() {
    let running = start().await;
    let mut client = h2(&running.grpc).await;
    let message = traces(1000);
    let cases = [
        ("gzip", gzip(&message)),
        ("zstd", zstd::bulk::compress(&message, 3).unwrap()),
        ("deflate", zlib(&message)),
        ("snappy", snap::raw::Encoder::new().compress_vec(&message).unwrap()),
        // What gRPC's own compressors mean by it.
        ("snappy", snappy_framed(&message)),
    ];
    for (name, body) in cases {
        let answer = ask(&mut client, call(TRACES, &[("grpc-encoding", name)], Chunks::of(frame(true, &body)))).await;
        assert_eq!(answer.code(), Code::Ok, "{name}");
        let batch = running.sink.take().remove(0);
        assert_eq!(batch.bytes, message, "{name}");
        assert!(batch.permit.bytes() >= message.len() && batch.permit.bytes() < message.len() * 5 / 4, "{name}");
    }
    // A message without the flag is not compressed, whatever the call says.
    let answer = ask(&mut client, call(TRACES, &[("grpc-encoding", "gzip")], Chunks::of(frame(false, &message)))).await;
    assert_eq!(answer.code(), Code::Ok);
}

#[tokio::test]
async fn takes_a_message_in_any_pieces() {
    let running = start().await;
    let mut client = h2(&running.grpc).await;
    let message = traces(2);
    for size in [1, 3, 4, 5, 6, 7, 30] {
        let answer = ask(&mut client, call(TRACES, &[], Chunks::split(&frame(false, &message), size))).await;
        assert_eq!(answer.code(), Code::Ok, "pieces of {size}");
        assert_eq!(running.sink.take()[0].bytes, message, "pieces of {size}");
    }
}

#[tokio::test]
async fn an_empty_request_is_a_success_that_reaches_no_pipeline() {
    let running = start().await;
    let mut client = h2(&running.grpc).await;
    for message in [traces(0).to_vec(), Vec::new()] {
        assert_eq!(export(&mut client, &message).await.code(), Code::Ok);
    }
    assert!(running.sink.take().is_empty());
}

#[tokio::test]
async fn tells_a_refusal_apart_by_its_code() {
    let running = start().await;
    let mut client = h2(&running.grpc).await;
    running.sink.refuse(Refusal::Busy { reason: "queue full".into(), retry_after: Duration::from_millis(1500) });
    let answer = export(&mut client, &traces(2)).await;
    assert_eq!((answer.code(), answer.text()), (Code::ResourceExhausted, "queue full"));
    let info = answer.status.unwrap().get_details_retry_info().expect("RetryInfo");
    assert_eq!(info.retry_delay, Some(Duration::from_millis(1500)));
    running.sink.refuse(Refusal::Failed { reason: "no answer".into(), retry_after: Duration::from_secs(1) });
    let answer = export(&mut client, &traces(4)).await;
    assert_eq!((answer.code(), answer.text()), (Code::Unavailable, "no answer"));
    running.sink.refuse(Refusal::Permanent { reason: "unknown tenant".into() });
    let answer = export(&mut client, &traces(3)).await;
    assert_eq!((answer.code(), answer.text()), (Code::Internal, "unknown tenant"));
    assert!(answer.status.unwrap().get_details_retry_info().is_none());
    let counters = running.counters.of(Transport::Grpc, Signal::Traces);
    assert_eq!((counters.accepted.get(), counters.refused.get()), (0, 9), "refused for now or for good");
}

#[tokio::test]
async fn refuses_broken_frames_and_messages() {
    let running = start().await;
    let mut client = h2(&running.grpc).await;
    let good = traces(1);
    let mut two = frame(false, &good);
    two.extend(frame(false, &good));
    let mut cut = frame(false, &good);
    cut.pop();
    let mut flag = frame(false, &good);
    flag[0] = 2;
    let cases: [(Headers<'_>, Vec<u8>, Code, &str); 9] = [
        (&[], Vec::new(), Code::Unimplemented, "no message"),
        (&[], two, Code::Unimplemented, "more than one message"),
        (&[], cut, Code::Internal, "the request ends after"),
        (&[], vec![0, 0, 0], Code::Internal, "after 3 of 5 bytes"),
        (&[], flag, Code::Internal, "2 is not a compressed flag"),
        (&[], frame(true, &good), Code::Internal, "grpc-encoding"),
        (&[("grpc-encoding", "br")], frame(true, &good), Code::Unimplemented, "\"br\" is not supported"),
        (&[("grpc-encoding", "gzip")], frame(true, b"nonsense"), Code::InvalidArgument, "gzip body is corrupt"),
        (
            &[],
            frame(false, &[0x0a, 0x05, 1]),
            Code::InvalidArgument,
            "can't read the body as ExportTraceServiceRequest",
        ),
    ];
    for (headers, body, code, text) in cases {
        let answer = ask(&mut client, call(TRACES, headers, Chunks::of(body))).await;
        assert_eq!(answer.code(), code, "{text}: {}", answer.text());
        assert!(answer.text().contains(text), "{text}: {}", answer.text());
        assert!(answer.status.unwrap().get_details_retry_info().is_none(), "{text}");
    }
    assert!(running.sink.take().is_empty());
    assert_eq!(running.budget.used_bytes(), 0);
    let counters = running.counters.of(Transport::Grpc, Signal::Traces);
    assert_eq!((counters.rejected(Cause::Protocol).get(), counters.rejected(Cause::Invalid).get()), (7, 2));
    assert_eq!(export(&mut client, &good).await.code(), Code::Ok, "the connection is as good as before");
}

#[tokio::test]
async fn answers_what_is_no_export_call() {
    let running = Plan { signals: vec![Signal::Traces], ..Plan::default() }.start().await;
    let mut client = h2(&running.grpc).await;
    for path in ["/", "/opentelemetry.proto.collector.trace.v1.TraceService/Import", METRICS] {
        let answer = ask(&mut client, call(path, &[], Chunks::of(frame(false, &[])))).await;
        assert_eq!((answer.http, answer.code()), (StatusCode::OK, Code::Unimplemented), "{path}");
    }
    let mut plain = call(TRACES, &[], Chunks::of("x"));
    plain.headers_mut().insert("content-type", "text/plain".parse().unwrap());
    assert_eq!(ask(&mut client, plain).await.http, StatusCode::UNSUPPORTED_MEDIA_TYPE);
    let mut get = call(TRACES, &[], Chunks::of(""));
    *get.method_mut() = ::http::Method::GET;
    assert_eq!(ask(&mut client, get).await.http, StatusCode::METHOD_NOT_ALLOWED);
}

#[tokio::test]
async fn takes_a_message_of_the_limit_and_not_a_byte_more() {
    let mut plan = Plan::default();
    plan.grpc.max_recv_msg_size_mib = 1;
    let running = plan.start().await;
    let mut client = h2(&running.grpc).await;
    let (fits, too_large) = (traces_of(1 << 20), traces_of((1 << 20) + 1));
    assert_eq!(export(&mut client, &fits).await.code(), Code::Ok);
    let answer = export(&mut client, &too_large).await;
    assert_eq!(answer.code(), Code::ResourceExhausted);
    assert!(answer.text().contains("message of 1048577 bytes exceeds the limit of 1048576 bytes"), "{}", answer.text());
    assert!(answer.status.unwrap().get_details_retry_info().is_none(), "trying again is of no use");
    for (message, code) in [(fits, Code::Ok), (too_large, Code::ResourceExhausted)] {
        let body = Chunks::of(frame(true, &gzip(&message)));
        let answer = ask(&mut client, call(TRACES, &[("grpc-encoding", "gzip")], body)).await;
        assert_eq!(answer.code(), code, "{}", answer.text());
    }
}

#[tokio::test]
async fn a_bomb_costs_no_more_than_the_limit() {
    let running = Plan { budget_bytes: 8 << 20, ..Plan::default() }.start().await;
    let mut client = h2(&running.grpc).await;
    let bomb = gzip(&vec![0; 256 << 20]);
    assert!(bomb.len() < 4 << 20);
    let answer = ask(&mut client, call(TRACES, &[("grpc-encoding", "gzip")], Chunks::of(frame(true, &bomb)))).await;
    assert_eq!(answer.code(), Code::ResourceExhausted, "{}", answer.text());
    assert!(answer.text().contains("decompressed body exceeds the limit"), "{}", answer.text());
    assert_eq!(running.budget.used_bytes(), 0);
}

#[tokio::test]
async fn over_the_budget_it_asks_to_try_again_and_recovers() {
    let running = Plan { budget_bytes: 1 << 20, ..Plan::default() }.start().await;
    let mut client = h2(&running.grpc).await;
    let message = traces_of(600 << 10);
    assert_eq!(export(&mut client, &message).await.code(), Code::Ok);
    assert_eq!(running.budget.used_bytes(), message.len() + BATCH_OVERHEAD_BYTES);
    let answer = export(&mut client, &message).await;
    assert_eq!((answer.code(), answer.text()), (Code::ResourceExhausted, "the memory budget is exhausted"));
    assert!(answer.status.unwrap().get_details_retry_info().is_some());
    assert_eq!(running.budget.used_bytes(), message.len() + BATCH_OVERHEAD_BYTES, "the refused message holds nothing");
    assert_eq!(running.counters.of(Transport::Grpc, Signal::Traces).rejected(Cause::Budget).get(), 1);
    running.sink.take();
    assert_eq!(export(&mut client, &message).await.code(), Code::Ok, "there is room again");
    let never = export(&mut client, &traces_of((1 << 20) + 1)).await;
    assert!(never.status.unwrap().get_details_retry_info().is_none(), "more than the whole budget never fits");
}

#[tokio::test]
async fn honours_the_deadline_of_a_call() {
    let running = start().await;
    let mut client = h2(&running.grpc).await;
    let _gate = running.sink.hold();
    let body = Chunks::of(frame(false, &traces(1)));
    let answer = ask(&mut client, call(TRACES, &[("grpc-timeout", "500m")], body)).await;
    assert_eq!(answer.code(), Code::DeadlineExceeded);
    let refused = || running.counters.of(Transport::Grpc, Signal::Traces).refused.get();
    assert_eq!(refused(), 1, "its sender has it");
    let body = Chunks::stalled(frame(false, &traces(1))[..10].to_vec());
    let answer = ask(&mut client, call(TRACES, &[("grpc-timeout", "20m")], body)).await;
    assert_eq!(answer.code(), Code::DeadlineExceeded);
    assert_eq!((refused(), running.budget.used_bytes()), (1, 0), "nobody knows what would have come");
}

#[tokio::test]
async fn keeps_just_the_metadata_that_somebody_asked_for() {
    let running = Plan { headers: vec!["x-tenant", "x-none"], ..Plan::default() }.start().await;
    let mut client = h2(&running.grpc).await;
    let headers = [("x-tenant", "a"), ("x-tenant", "b"), ("authorization", "Bearer secret")];
    let answer = ask(&mut client, call(TRACES, &headers, Chunks::of(frame(false, &traces(1))))).await;
    assert_eq!(answer.code(), Code::Ok);
    let kept = [("x-tenant".to_owned(), "a".to_owned()), ("x-tenant".to_owned(), "b".to_owned())];
    assert_eq!(running.sink.take()[0].context.headers, kept);
}

#[tokio::test]
async fn keeps_metadata_that_is_no_text_so_that_it_counts_as_present() {
    let running = Plan { headers: vec!["x-tenant"], ..Plan::default() }.start().await;
    let mut client = h2(&running.grpc).await;
    let mut request = call(TRACES, &[], Chunks::of(frame(false, &traces(1))));
    for value in [&b"a\xff"[..], "jörg".as_bytes()] {
        request.headers_mut().append("x-tenant", http::HeaderValue::from_bytes(value).unwrap());
    }
    assert_eq!(ask(&mut client, request).await.code(), Code::Ok);
    let kept = ["a\u{fffd}", "jörg"].map(|value| ("x-tenant".to_owned(), value.to_owned()));
    assert_eq!(running.sink.take()[0].context.headers, kept);
}
