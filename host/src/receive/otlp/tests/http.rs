//! HTTP: formats, encodings, limits, and the replies that the specification asks for.

use std::time::Duration;

use ::http::{Response, StatusCode};
use bytes::Bytes;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use prost::Message;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tonic_types::pb;

use super::kit::*;
use crate::config::types::{self, CorsConfig, Secret};
use crate::model::BATCH_OVERHEAD_BYTES;
use crate::model::{Refusal, Signal};
use crate::receive::Drained;
use crate::receive::counters::{Cause, Transport};

const PROTOBUF: (&str, &str) = ("content-type", "application/x-protobuf");
const JSON: (&str, &str) = ("content-type", "application/json");

/// The status message in a body of either format.
fn status(response: &Response<Bytes>) -> pb::Status {
    if response.headers()["content-type"] == "application/x-protobuf" {
        return pb::Status::decode(response.body().clone()).unwrap();
    }
    let json: serde_json::Value = serde_json::from_slice(response.body()).unwrap();
    let details = json["details"].as_array().map_or(0, Vec::len);
    pb::Status {
        code: json["code"].as_i64().unwrap() as i32,
        message: json["message"].as_str().unwrap().to_owned(),
        details: vec![Default::default(); details],
    }
}

#[tokio::test]
async fn takes_protobuf_and_json_in_every_encoding() {
    let running = start().await;
    let protobuf = traces(50);
    let object = ExportTraceServiceRequest::decode(protobuf.clone()).unwrap();
    let json = serde_json::to_vec(&object).unwrap();
    for (content_type, plain, reply) in [(PROTOBUF, protobuf.to_vec(), ""), (JSON, json, "{}")] {
        let encodings = [
            ("identity", plain.clone()),
            ("gzip", gzip(&plain)),
            ("zstd", zstd::bulk::compress(&plain, 3).unwrap()),
            ("zlib", zlib(&plain)),
            ("deflate", zlib(&plain)),
            ("snappy", snap::raw::Encoder::new().compress_vec(&plain).unwrap()),
            // As the collector sent it under this name once.
            ("snappy", snappy_framed(&plain)),
            ("x-snappy-framed", snappy_framed(&plain)),
            ("lz4", lz4(&plain)),
        ];
        for (encoding, body) in encodings {
            let headers = [content_type, ("content-encoding", encoding)];
            let response = post(&running.http, request("/v1/traces", &headers, Chunks::of(body))).await;
            assert_eq!(response.status(), StatusCode::OK, "{content_type:?} {encoding}");
            assert_eq!(response.headers()["content-type"], content_type.1);
            assert_eq!(response.body(), reply);
            let batch = running.sink.take().remove(0);
            assert_eq!(ExportTraceServiceRequest::decode(batch.bytes.clone()).unwrap(), object);
            assert!(batch.permit.bytes() >= batch.bytes.len());
        }
    }
    assert_eq!(running.budget.used_bytes(), 0);
    assert_eq!(running.counters.of(Transport::Http, Signal::Traces).accepted.get(), 900);
}

#[tokio::test]
async fn takes_metrics_and_logs_on_their_paths() {
    let running = start().await;
    let cases = [
        ("/v1/metrics", include_str!("../../../decode/otlp_json/examples/metrics.json"), Signal::Metrics, 4),
        ("/v1/logs", include_str!("../../../decode/otlp_json/examples/logs.json"), Signal::Logs, 1),
    ];
    for (path, json, signal, items) in cases {
        let headers = [("content-type", "application/json; charset=utf-8")];
        let response = post(&running.http, request(path, &headers, Chunks::of(json))).await;
        assert_eq!(response.status(), StatusCode::OK);
        let batch = running.sink.take().remove(0);
        assert_eq!((batch.signal, batch.items), (signal, items));
    }
}

#[tokio::test]
async fn answers_other_methods_types_and_paths_as_the_collector_does() {
    let running = Plan { signals: vec![Signal::Traces], ..Plan::default() }.start().await;
    let unsupported = "415 unsupported media type, supported: [application/json, application/x-protobuf]";
    let cases = [
        ("GET", "/v1/traces", "application/json", 405, "405 method not allowed, supported: [POST]"),
        ("OPTIONS", "/v1/traces", "application/json", 405, "405 method not allowed, supported: [POST]"),
        ("POST", "/v1/traces", "text/plain", 415, unsupported),
        ("POST", "/v1/traces", "", 415, unsupported),
        ("POST", "/v1/trace", "application/json", 404, "404 page not found"),
    ];
    for (method, path, content_type, code, text) in cases {
        let mut request = request(path, &[("content-type", content_type)], Chunks::of("{}"));
        *request.method_mut() = method.parse().unwrap();
        let response = post(&running.http, request).await;
        assert_eq!((response.status().as_u16(), response.body().as_ref()), (code, text.as_bytes()), "{method} {path}");
        assert_eq!(response.headers()["content-type"], "text/plain");
    }
    let response = post(&running.http, request("/v1/logs", &[JSON], Chunks::of("{}"))).await;
    assert_eq!(response.status(), StatusCode::NOT_FOUND, "no pipeline takes logs");
}

#[tokio::test]
async fn refuses_bad_payloads_in_the_format_of_the_request() {
    let running = start().await;
    let cases: [(Headers<'_>, &[u8], &str); 8] = [
        (&[PROTOBUF], &[0x0a, 0x05, 1], "can't read the body as ExportTraceServiceRequest in protobuf: byte "),
        (&[PROTOBUF], b"{}", "without Content-Encoding; it looks like JSON"),
        (&[JSON], br#"{"resourceSpans":[{"scopeSpans":5}]}"#, "resourceSpans[0].scopeSpans: "),
        (&[JSON], b"", "the body ends before the JSON does, at line 1 column 0: send it whole"),
        (&[JSON], br#"{"resourceSpans":["#, "the body ends before the JSON does, at line 1 column 18: send it whole"),
        (&[PROTOBUF, ("content-encoding", "gzip")], b"plain", "the gzip body is corrupt"),
        (&[JSON, ("content-encoding", "zstd")], b"plain", "the zstd body is corrupt"),
        (&[JSON, ("content-encoding", "br")], b"{}", "unsupported Content-Encoding \"br\""),
    ];
    for (headers, body, text) in cases {
        let response = post(&running.http, request("/v1/traces", headers, Chunks::of(body))).await;
        assert_eq!(response.status(), StatusCode::BAD_REQUEST, "{text}");
        assert_eq!(response.headers()["content-type"], headers[0].1, "{text}");
        assert!(!response.headers().contains_key("retry-after"), "{text}");
        let status = status(&response);
        assert!(status.message.contains(text), "{text}: {}", status.message);
    }
    assert_eq!(running.budget.used_bytes(), 0);
    assert_eq!(running.counters.of(Transport::Http, Signal::Traces).rejected(Cause::Invalid).get(), 7);
}

/// Some readers join two bodies and others take the last, so no stage could say what was masked.
#[tokio::test]
async fn refuses_a_log_record_with_two_bodies() {
    let running = start().await;
    let field = |key: u8, content: &[u8]| [&[key, content.len() as u8], content].concat();
    let body = |text: &[u8]| field(0x2a, &field(0x0a, text));
    let logs = |record: &[u8]| field(0x0a, &field(0x12, &field(0x12, record)));
    let (one, two) = (logs(&body(b"a")), logs(&[body(b"a"), body(b"b")].concat()));
    let accepted = post(&running.http, request("/v1/logs", &[PROTOBUF], Chunks::of(one))).await;
    assert_eq!(accepted.status(), StatusCode::OK);
    let refused = post(&running.http, request("/v1/logs", &[PROTOBUF], Chunks::of(two))).await;
    assert_eq!(refused.status(), StatusCode::BAD_REQUEST);
    let message = status(&refused).message;
    assert!(message.contains("byte 13: a second value where there can be one: some readers join both, "), "{message}");
}

/// What was checked are bytes that the sender never saw.
#[tokio::test]
async fn tells_a_sender_of_json_nothing_about_protobuf() {
    let running = start().await;
    let logs = |record: &str| format!(r#"{{"resourceLogs":[{{"scopeLogs":[{{"logRecords":[{{{record}}}]}}]}}]}}"#);
    let deep =
        format!(r#""body":{}{{"stringValue":"x"}}{}"#, r#"{"arrayValue":{"values":["#.repeat(64), "]}}".repeat(64));
    let cases = [
        (
            r#""body":{"stringValue":"a"},"body":{"stringValue":"b"}"#,
            "a second value where there can be one: some readers join both, others take the last; send one",
        ),
        (&deep, "values nested deeper than 64 levels"),
    ];
    for (record, reason) in cases {
        let response = post(&running.http, request("/v1/logs", &[JSON], Chunks::of(logs(record)))).await;
        assert_eq!(response.status(), StatusCode::BAD_REQUEST);
        let expected =
            format!("can't take the ExportLogsServiceRequest that came as Content-Type application/json: {reason}");
        assert_eq!(status(&response).message, expected);
    }
}

/// The Collector behind an exporter would read as scopes what no stage has seen.
#[tokio::test]
async fn refuses_scopes_in_the_field_that_otlp_removed() {
    let running = start().await;
    let field = |key: &[u8], content: &[u8]| [key, &[content.len() as u8], content].concat();
    let with = |key: &[u8]| field(&[0x0a], &field(key, &field(&[0x12], b"")));
    for path in ["/v1/traces", "/v1/metrics", "/v1/logs"] {
        for (key, status_code) in [(&[0x12][..], 200), (&[0xc2, 0x3e], 400)] {
            let response = post(&running.http, request(path, &[PROTOBUF], Chunks::of(with(key)))).await;
            assert_eq!(response.status().as_u16(), status_code, "{path}");
            if status_code == 400 {
                let message = status(&response).message;
                let reason =
                    "byte 2: field 1000, instrumentation libraries, was removed from OTLP in 2022: send scopes";
                assert!(message.contains(reason), "{message}");
            }
        }
    }
}

#[tokio::test]
async fn tells_when_to_come_back_in_whole_seconds() {
    let running = start().await;
    for content_type in [PROTOBUF, JSON] {
        let body = if content_type == JSON {
            Bytes::from(include_str!("../../../decode/otlp_json/examples/trace.json"))
        } else {
            traces(1)
        };
        for (millis, seconds) in [(0, "1"), (1000, "1"), (1001, "2"), (30_000, "30")] {
            let retry_after = Duration::from_millis(millis);
            running.sink.refuse(Refusal::Busy { reason: "queue full".into(), retry_after });
            let response = post(&running.http, request("/v1/traces", &[content_type], Chunks::of(body.clone()))).await;
            assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
            assert_eq!(response.headers()["retry-after"], seconds, "{millis} ms");
            let status = status(&response);
            assert_eq!((status.code, status.message.as_str(), status.details.len()), (8, "queue full", 1));
        }
        let failed = Refusal::Failed { reason: "no answer".into(), retry_after: Duration::from_secs(1) };
        let refused = Refusal::Permanent { reason: "unknown tenant".into() };
        for (refusal, http, grpc) in
            [(failed, StatusCode::SERVICE_UNAVAILABLE, 14), (refused, StatusCode::INTERNAL_SERVER_ERROR, 13)]
        {
            running.sink.refuse(refusal);
            let asked = request("/v1/traces", &[content_type], Chunks::of(body.clone()));
            let response = post(&running.http, asked).await;
            assert_eq!((response.status(), status(&response).code), (http, grpc));
            assert_eq!(response.headers().contains_key("retry-after"), grpc == 14);
        }
    }
}

#[tokio::test]
async fn takes_a_body_of_the_limit_and_not_a_byte_more() {
    let mut plan = Plan::default();
    plan.http.server.max_request_body_size = 100_000;
    let running = plan.start().await;
    let (fits, too_large) = (traces_of(100_000), traces_of(100_001));
    for (body, code) in [(fits, 200), (too_large, 413)] {
        // With a Content-Length, in chunks of unknown number, and compressed.
        let length = body.len().to_string();
        let cases: [(Headers<'_>, Chunks); 3] = [
            (&[PROTOBUF, ("content-length", &length)], Chunks::of(body.clone())),
            (&[PROTOBUF], Chunks::split(&body, 9999)),
            (&[PROTOBUF, ("content-encoding", "gzip")], Chunks::of(gzip(&body))),
        ];
        for (headers, body) in cases {
            let response = post(&running.http, request("/v1/traces", headers, body)).await;
            assert_eq!(response.status().as_u16(), code, "{headers:?}");
        }
    }
    assert_eq!(running.sink.take().len(), 3);
    assert_eq!(running.counters.of(Transport::Http, Signal::Traces).rejected(Cause::TooLarge).get(), 3);
    assert_eq!(running.budget.used_bytes(), 0);
}

#[tokio::test]
async fn over_the_budget_it_refuses_before_the_body_has_come() {
    let running = Plan { budget_bytes: 1 << 20, ..Plan::default() }.start().await;
    let body = traces_of(600 << 10);
    let accepted = post(&running.http, request("/v1/traces", &[PROTOBUF], Chunks::of(body.clone()))).await;
    assert_eq!(accepted.status(), StatusCode::OK);
    // The rest of this body never comes: the answer doesn't wait for it.
    let length = body.len().to_string();
    let stalled = request(
        "/v1/traces",
        &[PROTOBUF, ("content-length", &length), ("expect", "100-continue")],
        Chunks::stalled(body.slice(..10)),
    );
    let response = post(&running.http, stalled).await;
    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(response.headers()["retry-after"], "1");
    assert_eq!(running.budget.used_bytes(), body.len() + BATCH_OVERHEAD_BYTES);
    running.sink.take();
    let accepted = post(&running.http, request("/v1/traces", &[PROTOBUF], Chunks::of(body))).await;
    assert_eq!(accepted.status(), StatusCode::OK);
}

/// A connection to a receiver that takes bodies of 1000 bytes, with the head of one that is larger.
async fn refused(running: &Running, bytes: usize, headers: &str) -> TcpStream {
    let mut stream = TcpStream::connect(tcp(&running.http)).await.unwrap();
    let head = format!(
        "POST /v1/traces HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: {bytes}\r\n{headers}\r\n"
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    stream
}

/// What comes until the end, which must not be a reset.
async fn heard(mut stream: TcpStream) -> String {
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.expect("no reset");
    answer
}

fn of_1000_bytes() -> Plan {
    let mut plan = Plan::default();
    plan.http.server.max_request_body_size = 1000;
    plan
}

#[tokio::test]
async fn the_refused_peer_gets_to_read_why() {
    let running = of_1000_bytes().start().await;
    let mut stream = refused(&running, 900_000, "").await;
    // All of the body is sent before anything is read, as simple clients do.
    stream.write_all(&[b' '; 900_000]).await.unwrap();
    let mut start = [0; 12];
    stream.read_exact(&mut start).await.unwrap();
    assert_eq!(&start, b"HTTP/1.1 413");
    // And it need not connect anew.
    stream.write_all(b"GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await.unwrap();
    assert!(heard(stream).await.contains("HTTP/1.1 404"));
    let mut large = refused(&running, 20 << 20, "connection: close\r\n").await;
    large.write_all(&vec![b' '; 20 << 20]).await.expect("it is read");
    assert!(heard(large).await.starts_with("HTTP/1.1 413"));
}

#[tokio::test]
async fn says_so_where_it_ends_the_connection_and_reads_on() {
    let running = of_1000_bytes().start().await;
    // It asks before it sends: the answer doesn't wait for the body.
    let mut stream = refused(&running, 20 << 20, "expect: 100-continue\r\n").await;
    let mut start = [0; 12];
    stream.read_exact(&mut start).await.unwrap();
    assert_eq!(&start, b"HTTP/1.1 413");
    // Some send it anyway.
    stream.write_all(&vec![b' '; 20 << 20]).await.expect("it is read");
    let rest = heard(stream).await;
    assert!(rest.contains("\r\nconnection: close\r\n"), "{rest}");
    assert!(!rest.contains(" 100 "), "{rest}");
}

#[tokio::test]
async fn does_not_read_for_ever_what_it_refused() {
    let running = of_1000_bytes().start().await;
    let mut stream = refused(&running, 1 << 40, "").await;
    let (piece, mut sent) = (vec![b' '; 1 << 20], 0);
    while stream.write_all(&piece).await.is_ok() {
        sent += 1;
        assert!(sent < 300, "{sent} MiB were taken");
    }
}

#[tokio::test]
async fn does_not_wait_at_the_end_for_bodies_that_it_refused() {
    let mut running = Plan { drain: Duration::from_millis(30), ..of_1000_bytes() }.start().await;
    let before = refused(&running, 2000, "").await;
    let behind = refused(&running, 2000, "expect: 100-continue\r\n").await;
    let refusals = running.counters.of(Transport::Http, Signal::Traces).rejected(Cause::TooLarge);
    while refusals.get() < 2 {
        tokio::task::yield_now().await;
    }
    running.stop.take().unwrap().send(()).unwrap();
    assert_eq!(running.task.await.unwrap(), Drained { cut_off: 0 });
    for stream in [before, behind] {
        let answer = heard(stream).await;
        assert!(answer.starts_with("HTTP/1.1 413") && answer.contains("\r\nconnection: close\r\n"), "{answer}");
    }
}

#[tokio::test]
async fn serves_browsers_and_adds_configured_headers() {
    let mut plan = Plan::default();
    plan.http.server.cors =
        Some(CorsConfig { allowed_origins: vec!["https://*.test.com".into()], ..CorsConfig::default() });
    plan.http.server.response_headers = [("x-served-by".to_owned(), Secret::new("sluice"))].into_iter().collect();
    let running = plan.start().await;
    let mut preflight = request(
        "/v1/traces",
        &[("origin", "https://a.test.com"), ("access-control-request-method", "POST")],
        Chunks::of(""),
    );
    *preflight.method_mut() = ::http::Method::OPTIONS;
    let response = post(&running.http, preflight).await;
    assert_eq!(response.status(), StatusCode::NO_CONTENT);
    assert_eq!(response.headers()["access-control-allow-methods"], "POST");
    assert_eq!(response.headers()["access-control-allow-credentials"], "true", "beacons have credentials");
    for (origin, granted) in [("https://a.test.com", true), ("https://evil.com", false)] {
        let response = post(&running.http, request("/v1/traces", &[JSON, ("origin", origin)], Chunks::of("{}"))).await;
        assert_eq!(response.status(), StatusCode::OK);
        for name in ["access-control-allow-origin", "access-control-allow-credentials"] {
            assert_eq!(response.headers().contains_key(name), granted, "{name}");
        }
        assert_eq!(response.headers()["x-served-by"], "sluice");
    }
}

#[tokio::test]
async fn follows_configured_paths_and_encodings() {
    let mut plan = Plan::default();
    plan.http.traces_url_path = "in/traces".into();
    plan.http.server.compression_algorithms = Some(vec!["".into(), "gzip".into()]);
    let running = plan.start().await;
    let gz = [PROTOBUF, ("content-encoding", "gzip")];
    let zst = [PROTOBUF, ("content-encoding", "zstd")];
    let response = post(&running.http, request("/in/traces", &gz, Chunks::of(gzip(&traces(1))))).await;
    assert_eq!(response.status(), StatusCode::OK);
    let zstd_body = zstd::bulk::compress(&traces(1), 3).unwrap();
    let response = post(&running.http, request("/in/traces", &zst, Chunks::of(zstd_body))).await;
    assert_eq!(response.status(), StatusCode::BAD_REQUEST);
    let response = post(&running.http, request("/v1/traces", &[PROTOBUF], Chunks::of(traces(1)))).await;
    assert_eq!(response.status(), StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn starts_with_every_encoding_that_a_configuration_may_name() {
    // What the check of the configuration lets through (tests/cases/config/blocks.yaml).
    let names = ["", "gzip", "zstd", "zlib", "deflate", "snappy", "x-snappy-framed", "lz4"];
    let mut plan = Plan::default();
    plan.http.server.compression_algorithms = Some(names.map(str::to_owned).to_vec());
    let running = plan.start().await;
    let gz = [PROTOBUF, ("content-encoding", "gzip")];
    let response = post(&running.http, request("/v1/traces", &gz, Chunks::of(gzip(&traces(1))))).await;
    assert_eq!(response.status(), StatusCode::OK);
}

#[tokio::test]
async fn speaks_http2_on_the_same_port() {
    let running = start().await;
    let mut client = h2(&running.http).await;
    let request = request("http://test/v1/traces", &[PROTOBUF], Chunks::of(traces(2)));
    let response = collect(client.send_request(request).await.unwrap()).await;
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(running.sink.take()[0].items, 2);
}

#[tokio::test]
async fn hangs_up_on_a_head_that_does_not_end() {
    let mut plan = Plan::default();
    plan.http.server.read_header_timeout = types::Duration::from_millis(50);
    let running = plan.start().await;
    let mut stream = TcpStream::connect(tcp(&running.http)).await.unwrap();
    stream.write_all(b"POST /v1/traces HTTP/1.1\r\nhost: ").await.unwrap();
    let mut rest = Vec::new();
    // Ends only because the other side closes.
    let _ = stream.read_to_end(&mut rest).await;
}

#[tokio::test]
async fn gives_up_a_body_that_does_not_come_within_read_timeout() {
    let mut plan = Plan::default();
    plan.http.server.read_timeout = types::Duration::from_millis(50);
    let running = plan.start().await;
    let mut client = h2(&running.http).await;
    let request = request("http://test/v1/traces", &[PROTOBUF], Chunks::stalled(traces(2).slice(..5)));
    let response = collect(client.send_request(request).await.unwrap()).await;
    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(running.budget.used_bytes(), 0);
}

/// A resource, scope or metric takes two bytes to send and many more to look at.
#[tokio::test]
async fn refuses_very_many_resources_scopes_and_metrics_without_records() {
    let running = start().await;
    let empty = |containers: usize| [&traces(1)[..], &[0x0a, 0].repeat(containers)].concat();
    for (containers, status) in [(10_001, 200), (10_002, 400)] {
        let response = post(&running.http, request("/v1/traces", &[PROTOBUF], Chunks::of(empty(containers)))).await;
        assert_eq!(response.status().as_u16(), status, "{containers}");
        if status == 400 {
            let reason =
                "10004 resources, scopes and metrics for 1 records: at most three for each and 10000 are taken";
            assert!(String::from_utf8_lossy(response.body()).contains(reason), "{:?}", response.body());
        }
    }
}
