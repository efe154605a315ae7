//! The exporter against an HTTP server on loopback.

use std::io::Read;
use std::time::Duration;

use http::header::{CONTENT_TYPE, RETRY_AFTER};
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::{ExportTracePartialSuccess, ExportTraceServiceResponse};
use prost::Message;

use super::*;
use crate::config::types::HttpClientConfig;
use crate::export::testing::server::{Server, reply};
use crate::export::testing::{batch, samples};
use crate::export::{DeadLetter, Document};

fn config(server: &Server) -> OtlpHttpExporterConfig {
    let client = HttpClientConfig {
        endpoint: Url::new(format!("http://{}/base/", server.address)),
        compression: Compression::None,
        ..HttpClientConfig::default()
    };
    OtlpHttpExporterConfig { client, ..OtlpHttpExporterConfig::default() }
}

fn exporter(config: &OtlpHttpExporterConfig) -> OtlpHttp {
    OtlpHttp::new("otlphttp", config, Authenticator::None).expect("exporter")
}

async fn send(exporter: &OtlpHttp, batch: &Batch) -> Sent<Post> {
    let mut encoded = exporter.encode(batch, 0);
    assert_eq!((encoded.requests.len(), encoded.dropped.len()), (1, 0));
    exporter.send(encoded.requests.remove(0)).await
}

#[tokio::test]
async fn passes_the_bytes_of_each_signal_to_its_address() {
    let server = Server::start(|_| reply(200, "")).await;
    let logs_endpoint = Some(Url::new(format!("http://{}/elsewhere?x=y", server.address)));
    let exporter = exporter(&OtlpHttpExporterConfig { logs_endpoint, ..config(&server) });
    for signal in [Signal::Traces, Signal::Metrics, Signal::Logs] {
        let sent = send(&exporter, &Batch { signal, ..batch(3, "otlp") }).await;
        assert_eq!((sent.delivered, sent.refused.len(), sent.again.is_none()), (3, 0, true));
    }
    let seen = server.seen();
    let addresses: Vec<String> = seen.iter().map(|seen| seen.head.uri.to_string()).collect();
    assert_eq!(addresses, ["/base/v1/traces", "/base/v1/metrics", "/elsewhere?x=y"]);
    for seen in seen {
        assert_eq!((&seen.body[..], seen.header("content-type")), (&b"otlp"[..], "application/x-protobuf"));
        assert_eq!(seen.header("content-encoding"), "");
    }
}

#[tokio::test]
async fn sends_json_and_compresses_as_it_is_told() {
    let server = Server::start(|_| reply(200, "")).await;
    let mut config = OtlpHttpExporterConfig { encoding: OtlpEncoding::Json, ..config(&server) };
    config.client.compression = Compression::Gzip;
    let request = samples::logs();
    let batch = Batch { signal: Signal::Logs, ..batch(1, request.encode_to_vec()) };
    assert_eq!(send(&exporter(&config), &batch).await.delivered, 1);
    let seen = server.one();
    assert_eq!((seen.header("content-type"), seen.header("content-encoding")), ("application/json", "gzip"));
    let mut json = String::new();
    flate2::read::GzDecoder::new(&seen.body[..]).read_to_string(&mut json).expect("gzip");
    assert_eq!(serde_json::from_str::<ExportLogsServiceRequest>(&json).expect("OTLP/JSON"), request);
}

#[tokio::test]
async fn tells_failures_that_pass_from_those_that_stay() {
    for status in [429, 502, 503, 504] {
        let server = Server::start(move |_| {
            let mut response = reply(status, "busy");
            response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("7"));
            response
        })
        .await;
        let again = send(&exporter(&config(&server)), &batch(3, "x")).await.again.expect("again");
        assert_eq!((again.after, again.requests[0].1), (Some(Duration::from_secs(7)), 3));
        let expected = format!("{}: status {status} ", server.uri("/.../v1/traces"));
        assert!(again.reason.starts_with(&expected) && again.reason.ends_with(": busy"), "{}", again.reason);
    }
    for status in [301, 400, 401, 403, 404, 408, 500, 501] {
        let server = Server::start(move |_| reply(status, "no")).await;
        let sent = send(&exporter(&config(&server)), &batch(3, "x")).await;
        assert_eq!((sent.refused.len(), sent.refused[0].items, sent.again.is_none()), (1, 3, true), "{status}");
    }
    let mut unreachable = config(&Server::start(|_| reply(200, "")).await);
    unreachable.client.endpoint = Url::new("http://127.0.0.1:1");
    assert!(send(&exporter(&unreachable), &batch(1, "x")).await.again.is_some());
}

#[tokio::test]
async fn halves_what_is_too_large_down_to_a_single_record() {
    for (status, words) in [(413, "at most 1 MB"), (400, "http: request body too large")] {
        let server = Server::start(move |_| reply(status, words)).await;
        let exporter = exporter(&config(&server));
        let again = send(&exporter, &samples::spans(3)).await.again.expect(words);
        assert!(again.reason.ends_with(words), "{}", again.reason);
        assert_eq!(again.requests.iter().map(|(_, items)| *items).collect::<Vec<_>>(), [2, 1]);
        let bodies: Vec<&[u8]> = again.requests.iter().map(|(post, _)| &post.request.body[..]).collect();
        assert_eq!(samples::span_names(&bodies.concat()), ["span 0", "span 1", "span 2"]);

        let last = exporter.send(again.requests[1].0.clone()).await;
        assert_eq!((last.refused[0].items, last.again.is_none()), (1, true), "{words}");
        let Some(Document::Otlp(part)) = &last.refused[0].document else { panic!("{last:?}") };
        assert_eq!(samples::span_names(part), ["span 2"]);
    }
}

#[tokio::test]
async fn counts_what_a_partial_success_rejects_in_either_encoding() {
    let partial = ExportTracePartialSuccess { rejected_spans: 3, error_message: "bad ids".into() };
    let protobuf = ExportTraceServiceResponse { partial_success: Some(partial) }.encode_to_vec();
    let answers: [(&str, Vec<u8>); 3] = [
        (PROTOBUF, protobuf),
        (JSON, br#"{"partialSuccess":{"rejectedSpans":"3","errorMessage":"bad ids"}}"#.to_vec()),
        (
            "application/json; charset=utf-8",
            br#"{"partialSuccess":{"rejectedSpans":3,"errorMessage":"bad ids"}}"#.to_vec(),
        ),
    ];
    for (content_type, body) in answers {
        let server = Server::start(move |_| {
            let mut response = reply(200, body.clone());
            response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_str(content_type).expect("value"));
            response
        })
        .await;
        let sent = send(&exporter(&config(&server)), &batch(10, "x")).await;
        let letter = DeadLetter { items: 3, reason: "bad ids".into(), document: None };
        assert_eq!((sent.delivered, sent.refused), (7, vec![letter]), "{content_type}");
    }
}

#[tokio::test]
async fn counts_what_an_answer_rejects_that_is_too_long() {
    for text in ["bad ids ", "\"\n\\ ", "\u{1}", "\u{1f980}"] {
        let partial = ExportTracePartialSuccess { rejected_spans: 3, error_message: text.repeat(70_000) };
        let message = serde_json::to_string(&partial.error_message).expect("JSON");
        let json = format!("{{\"partialSuccess\":{{\"rejectedSpans\":\"3\",\"errorMessage\":{message}}}}}");
        let protobuf = ExportTraceServiceResponse { partial_success: Some(partial) }.encode_to_vec();
        // Cut off anywhere in the text, also within an escape.
        for padding in 0..8 {
            let padded = [" ".repeat(padding), json.clone()].concat().into_bytes();
            for (content_type, body) in [(PROTOBUF, protobuf.clone()), (JSON, padded)] {
                let server = Server::start(move |_| {
                    let mut response = reply(200, body.clone());
                    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
                    response
                })
                .await;
                let sent = send(&exporter(&config(&server)), &batch(10, "x")).await;
                assert_eq!((sent.delivered, sent.refused.len()), (7, 1), "{content_type} {text:?} {padding}");
            }
        }
    }
}

#[tokio::test]
async fn takes_any_other_success_for_one() {
    for body in
        ["", "{}", "null", "<html>", "{\"partialSuccess\":{}}", "{\"partialSuccess\":{\"rejectedSpans\":\"x\"}}"]
    {
        for content_type in [JSON, PROTOBUF, "text/html"] {
            let server = Server::start(move |_| {
                let mut response = reply(202, body);
                response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
                response
            })
            .await;
            assert_eq!(send(&exporter(&config(&server)), &batch(10, "x")).await.delivered, 10, "{body} {content_type}");
        }
    }
}

#[tokio::test]
async fn shows_the_message_of_a_status_in_protobuf() {
    let status = tonic_types::Status { code: 3, message: "span without id".into(), details: Vec::new() };
    let server = Server::start(move |_| {
        let mut response = reply(400, status.encode_to_vec());
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(PROTOBUF));
        response
    })
    .await;
    let sent = send(&exporter(&config(&server)), &batch(1, "x")).await;
    let reason = &sent.refused[0].reason;
    assert!(reason.ends_with("/v1/traces: status 400 Bad Request: span without id"), "{reason}");
}

#[test]
fn drops_a_signal_that_has_no_address() {
    let traces_endpoint = Some(Url::new("http://127.0.0.1:1/v1/traces"));
    let exporter = exporter(&OtlpHttpExporterConfig { traces_endpoint, ..OtlpHttpExporterConfig::default() });
    assert_eq!(exporter.encode(&batch(3, "x"), 0).requests.len(), 1);
    let encoded = exporter.encode(&Batch { signal: Signal::Logs, ..batch(3, "x") }, 0);
    assert_eq!((encoded.dropped[0].items, encoded.dropped[0].reason), (3, "no_endpoint"));
}

#[test]
fn refuses_addresses_that_are_none() {
    let base = |url: &str| OtlpHttpExporterConfig {
        client: HttpClientConfig { endpoint: Url::new(url), ..HttpClientConfig::default() },
        ..OtlpHttpExporterConfig::default()
    };
    let cases = [
        (base("host:4318"), "endpoint: host:4318 is no address: invalid format"),
        (base("grpc://host"), "endpoint: grpc://host must start with http:// or https://"),
        (
            OtlpHttpExporterConfig { metrics_endpoint: Some(Url::new("http://u:secret@a b")), ..base("http://host") },
            "metrics_endpoint: http://[REDACTED]@a b is no address: invalid uri character",
        ),
    ];
    for (config, expected) in cases {
        let error = OtlpHttp::new("otlphttp", &config, Authenticator::None).err().expect(expected);
        assert_eq!(error.to_string(), expected);
    }
}
