//! The exporter against a gRPC server on loopback.

use std::io::Read;
use std::sync::{Arc, Mutex};

use http::Response;
use opentelemetry_proto::tonic::collector::trace::v1::{ExportTracePartialSuccess, ExportTraceServiceResponse};
use prost::Message as _;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, UnixListener};
use tonic_types::{ErrorDetails, StatusExt};

use super::*;
use crate::config::types::{Headers, Secret, TlsVersion, Url};
use crate::export::testing::authority::Authority;
use crate::export::testing::server::{Body, Server, reply, with_trailers};
use crate::export::testing::{batch, samples};
use crate::export::{DeadLetter, Document};

const TIMEOUT: Duration = Duration::from_secs(5);

fn settings(endpoint: String) -> GrpcClientConfig {
    GrpcClientConfig { endpoint: Url::new(endpoint), ..GrpcClientConfig::default() }
}

fn exporter(server: &Server) -> OtlpGrpc {
    OtlpGrpc::new("otlp", &settings(format!("http://{}", server.address)), TIMEOUT).expect("exporter")
}

/// Answers with a message and a status.
fn answer(message: &[u8], status: &Status) -> Response<Body> {
    let mut frame = vec![0; PREFIX];
    frame[1..PREFIX].copy_from_slice(&(message.len() as u32).to_be_bytes());
    frame.extend_from_slice(message);
    let mut trailers = HeaderMap::new();
    status.add_header(&mut trailers).expect("status");
    let mut response = with_trailers(Bytes::from(frame), trailers);
    response.headers_mut().insert(CONTENT_TYPE, GRPC);
    response
}

const PREFIX: usize = 5;

fn ok() -> Status {
    Status::new(Code::Ok, "")
}

async fn send(exporter: &OtlpGrpc, batch: &Batch) -> Sent<Call> {
    let mut encoded = exporter.encode(batch, 0);
    assert_eq!((encoded.requests.len(), encoded.dropped.len()), (1, 0));
    exporter.send(encoded.requests.remove(0)).await
}

fn delivered(sent: &Sent<Call>) -> u64 {
    assert!(sent.again.is_none() && sent.refused.is_empty(), "{sent:?}");
    sent.delivered
}

#[tokio::test]
async fn passes_the_bytes_of_a_batch_on_as_they_are() {
    let server = Server::start(|_| answer(b"", &ok())).await;
    let headers = Headers::from_iter([("x-scope".to_owned(), Secret::new("a"))]);
    let settings = GrpcClientConfig { headers, ..settings(format!("http://{}", server.address)) };
    let exporter = OtlpGrpc::new("otlp", &settings, TIMEOUT).expect("exporter");
    let bytes: Vec<u8> = (0..200_000).map(|i| i as u8).collect();
    assert_eq!(delivered(&send(&exporter, &batch(7, bytes.clone())).await), 7);

    let seen = server.one();
    assert_eq!(&seen.body[..PREFIX], [0, 0, 3, 13, 64]);
    assert_eq!(&seen.body[PREFIX..], bytes);
    assert_eq!(seen.head.uri.path(), "/opentelemetry.proto.collector.trace.v1.TraceService/Export");
    let authority = server.address.to_string();
    let expected = [
        ("content-type", "application/grpc"),
        ("te", "trailers"),
        ("grpc-timeout", "5000m"),
        ("grpc-encoding", ""),
        ("x-scope", "a"),
        ("user-agent", concat!("sluice/", env!("CARGO_PKG_VERSION"))),
    ];
    for (name, value) in expected {
        assert_eq!(seen.header(name), value, "{name}");
    }
    assert_eq!(seen.head.uri.authority().map(|a| a.as_str()), Some(authority.as_str()));
}

#[tokio::test]
async fn takes_its_own_credentials_out_of_a_refusal() {
    let server = Server::start(|_| answer(b"", &Status::unauthenticated("who is s3cr3t-token?"))).await;
    let headers = Headers::from_iter([("authorization".to_owned(), Secret::new("Bearer s3cr3t-token"))]);
    let settings = GrpcClientConfig { headers, ..settings(format!("http://{}", server.address)) };
    let exporter = OtlpGrpc::new("otlp", &settings, TIMEOUT).expect("exporter");
    let sent = send(&exporter, &batch(1, vec![0])).await;
    let expected = format!("http://{}: Unauthenticated: who is ************?", server.address);
    assert_eq!(sent.refused[0].reason, expected);
}

#[tokio::test]
async fn names_the_service_of_each_signal() {
    let server = Server::start(|_| answer(b"", &ok())).await;
    let exporter = exporter(&server);
    for signal in [Signal::Traces, Signal::Metrics, Signal::Logs] {
        send(&exporter, &Batch { signal, ..batch(1, "x") }).await;
    }
    let paths: Vec<String> = server.seen().iter().map(|seen| seen.head.uri.path().to_owned()).collect();
    let expected = ["trace.v1.TraceService", "metrics.v1.MetricsService", "logs.v1.LogsService"];
    assert_eq!(paths, expected.map(|service| format!("/opentelemetry.proto.collector.{service}/Export")));
    assert_eq!(server.connections(), 1);
}

#[tokio::test]
async fn compresses_as_it_is_told() {
    let server = Server::start(|_| answer(b"", &ok())).await;
    let text = "telemetry ".repeat(1000);
    for (compression, name) in
        [(Compression::Gzip, "gzip"), (Compression::Zstd, "zstd"), (Compression::Snappy, "snappy")]
    {
        let settings = GrpcClientConfig { compression, ..settings(format!("http://{}", server.address)) };
        let exporter = OtlpGrpc::new("otlp", &settings, TIMEOUT).expect("exporter");
        send(&exporter, &batch(1, text.clone())).await;
        let seen = server.seen().pop().expect("request");
        assert_eq!((seen.header("grpc-encoding"), seen.body[0]), (name, 1));
        let mut unpacked = String::new();
        match compression {
            Compression::Gzip => flate2::read::GzDecoder::new(&seen.body[PREFIX..]).read_to_string(&mut unpacked),
            Compression::Snappy => snap::read::FrameDecoder::new(&seen.body[PREFIX..]).read_to_string(&mut unpacked),
            _ => zstd::Decoder::new(&seen.body[PREFIX..]).expect("zstd").read_to_string(&mut unpacked),
        }
        .expect("unpacked");
        assert_eq!(unpacked, text);
    }
}

#[tokio::test]
async fn counts_what_a_partial_success_rejects() {
    let partial_success = Some(ExportTracePartialSuccess { rejected_spans: 3, error_message: "bad ids".into() });
    let message = ExportTraceServiceResponse { partial_success }.encode_to_vec();
    let server = Server::start(move |_| answer(&message, &ok())).await;
    let sent = send(&exporter(&server), &batch(10, "x")).await;
    let letter = DeadLetter { items: 3, reason: "bad ids".into(), document: None };
    assert_eq!((sent.delivered, sent.refused), (7, vec![letter]));
}

#[tokio::test]
async fn tells_failures_that_pass_from_those_that_stay() {
    use Code::*;
    let delay = Duration::from_secs(9);
    let with_delay = |code| Status::with_error_details(code, "later", ErrorDetails::with_retry_info(Some(delay)));
    let plain = |code| Status::new(code, "why");
    let mut cases: Vec<(Status, Option<Option<Duration>>)> = Vec::new();
    for code in [Cancelled, DeadlineExceeded, Aborted, OutOfRange, Unavailable, DataLoss] {
        cases.push((plain(code), Some(None)));
        cases.push((with_delay(code), Some(Some(delay))));
    }
    for code in [Unknown, InvalidArgument, NotFound, PermissionDenied, Unauthenticated, Internal, Unimplemented] {
        cases.push((plain(code), None));
    }
    cases.push((plain(ResourceExhausted), None));
    cases.push((with_delay(ResourceExhausted), Some(Some(delay))));

    let status = Arc::new(Mutex::new(ok()));
    let next = Arc::clone(&status);
    let server = Server::start(move |_| answer(b"", &next.lock().expect("status"))).await;
    let exporter = exporter(&server);
    for (case, expected) in cases {
        *status.lock().expect("status") = case.clone();
        let sent = send(&exporter, &batch(4, "x")).await;
        let reason = format!("http://{}: {:?}: {}", server.address, case.code(), case.message());
        match expected {
            Some(after) => {
                let again = sent.again.expect("again");
                assert_eq!((again.after, &again.reason), (after, &reason));
                assert_eq!(again.requests.iter().map(|(_, items)| *items).collect::<Vec<_>>(), [4]);
            }
            None => {
                let document = Some(Document::Otlp(Bytes::from("x")));
                assert_eq!(sent.refused, [DeadLetter { items: 4, reason, document }]);
            }
        }
    }
}

#[tokio::test]
async fn halves_what_is_too_large_down_to_a_single_record() {
    use Code::{OutOfRange, ResourceExhausted};
    let words = [
        (ResourceExhausted, "grpc: received message larger than max (5242880 vs. 4194304)"),
        (ResourceExhausted, "grpc: received message after decompression larger than max 4194304"),
        (ResourceExhausted, "SERVER: Received message larger than max (5242880 vs. 4194304)"),
        (ResourceExhausted, "gRPC message exceeds maximum size 4194304: 5242880"),
        (ResourceExhausted, "Received message exceeds the maximum configured message size."),
        (OutOfRange, "Error, decoded message length too large: found 5242880 bytes, the limit is: 4194304 bytes"),
        (ResourceExhausted, "message of 5242880 bytes exceeds the limit of 4194304 bytes"),
        (ResourceExhausted, "decompressed body exceeds the limit of 4194304 bytes"),
    ];
    for (code, message) in words {
        let server = Server::start(move |_| answer(b"", &Status::new(code, message))).await;
        let exporter = exporter(&server);
        let again = send(&exporter, &samples::spans(5)).await.again.expect(message);
        assert_eq!((again.reason, again.after), (format!("http://{}: {code:?}: {message}", server.address), None));
        assert_eq!(again.requests.iter().map(|(_, items)| *items).collect::<Vec<_>>(), [3, 2]);
        let payloads: Vec<&[u8]> = again.requests.iter().map(|(call, _)| &call.payload[..]).collect();
        let names = ["span 0", "span 1", "span 2", "span 3", "span 4"];
        assert_eq!(samples::span_names(&payloads.concat()), names);

        let one = send(&exporter, &samples::spans(1)).await;
        assert_eq!((one.refused[0].items, one.again.is_none()), (1, true), "{message}");
        assert_eq!(one.refused[0].document, Some(Document::Otlp(samples::spans(1).bytes)));
    }
}

#[tokio::test]
async fn understands_a_status_without_a_message() {
    let server = Server::start(|_| {
        let mut response = reply(200, "");
        Status::unavailable("draining").add_header(response.headers_mut()).expect("status");
        response
    })
    .await;
    let sent = send(&exporter(&server), &batch(1, "x")).await;
    assert_eq!(sent.again.expect("again").reason, format!("http://{}: Unavailable: draining", server.address));
}

#[tokio::test]
async fn understands_what_is_no_grpc_at_all() {
    for (status, reason) in [(503, "Unavailable: status 503"), (200, "Unavailable: the answer broke off")] {
        let server = Server::start(move |_| reply(status, "<html>")).await;
        let again = send(&exporter(&server), &batch(1, "x")).await.again.expect("again");
        assert!(again.reason.contains(reason), "{}", again.reason);
    }
    let server = Server::start(|_| reply(404, "<html>")).await;
    assert_eq!(send(&exporter(&server), &batch(1, "x")).await.refused.len(), 1);
}

/// What is beyond the limit is not kept; the status behind it counts.
#[tokio::test]
async fn counts_what_an_answer_rejects_that_is_too_long() {
    let error_message = "bad ids ".repeat(10_000);
    let partial_success = Some(ExportTracePartialSuccess { rejected_spans: 3, error_message });
    let message = ExportTraceServiceResponse { partial_success }.encode_to_vec();
    let server = Server::start(move |_| answer(&message, &ok())).await;
    let sent = send(&exporter(&server), &batch(10, "x")).await;
    assert_eq!((sent.delivered, sent.refused.len(), sent.refused[0].items), (7, 1, 3));
    let reason = &sent.refused[0].reason;
    assert!(reason.starts_with("bad ids bad ids") && reason.len() < 2_000, "{reason}");
}

#[tokio::test]
async fn gives_up_waiting_after_its_timeout() {
    let silent = TcpListener::bind("127.0.0.1:0").await.expect("listener");
    let endpoint = format!("http://{}", silent.local_addr().expect("address"));
    let exporter = OtlpGrpc::new("otlp", &settings(endpoint), Duration::from_millis(50)).expect("exporter");
    let again = send(&exporter, &batch(1, "x")).await.again.expect("again");
    let address = silent.local_addr().expect("address");
    assert_eq!(again.reason, format!("http://{address}: DeadlineExceeded: no answer within 0.05 seconds"));
}

/// An exporter that speaks TLS, since its endpoint has no scheme that says otherwise.
fn secure(server: &Server, tls: TlsClientConfig) -> GrpcClientConfig {
    GrpcClientConfig { tls, ..settings(server.address.to_string()) }
}

fn trusting(authority: &Authority) -> TlsClientConfig {
    TlsClientConfig { ca_pem: Some(Secret::new(authority.pem())), ..TlsClientConfig::default() }
}

/// What became of one batch: nothing, or why it has to be sent again.
async fn refusal(settings: &GrpcClientConfig) -> Option<String> {
    let sent = send(&OtlpGrpc::new("otlp", settings, TIMEOUT).expect("exporter"), &batch(1, "x")).await;
    let refusal = sent.again.map(|again| again.reason);
    assert_eq!((sent.delivered, sent.refused.len()), (u64::from(refusal.is_none()), 0), "{refusal:?}");
    refusal
}

#[tokio::test]
async fn trusts_whom_the_configuration_says() {
    let (ours, theirs) = (Authority::new(), Authority::new());
    let server = Server::start_tls(ours.server("127.0.0.1", None), |_| answer(b"", &ok())).await;
    let cases = [
        (trusting(&ours), true),
        (TlsClientConfig { min_version: TlsVersion::V1_3, ..trusting(&ours) }, true),
        (TlsClientConfig { max_version: Some(TlsVersion::V1_2), ..trusting(&ours) }, true),
        (TlsClientConfig { insecure_skip_verify: true, ..trusting(&theirs) }, true),
        (trusting(&theirs), false),
        (TlsClientConfig { server_name_override: Some("other.example".into()), ..trusting(&ours) }, false),
    ];
    for (tls, trusted) in cases {
        let case = format!("{tls:?}");
        match refusal(&secure(&server, tls)).await {
            None => assert!(trusted, "{case}"),
            Some(reason) => {
                assert!(
                    !trusted && reason.contains(": Unavailable: tls handshake: invalid peer certificate"),
                    "{reason}, {case}"
                );
            }
        }
    }
    assert_eq!(server.seen().len(), 4, "nothing was sent to a stranger");
}

#[tokio::test]
async fn takes_the_authority_for_the_name_in_the_certificate() {
    let authority = Authority::new();
    let server = Server::start_tls(authority.server("collector.example", None), |_| answer(b"", &ok())).await;
    let cases = [
        (None, None, None),
        (Some("collector.example:4317"), None, Some("collector.example:4317")),
        (None, Some("collector.example"), Some("ADDRESS")),
        (Some("other.example"), Some("collector.example"), Some("other.example")),
        (Some("collector.example"), Some("other.example"), None),
    ];
    for (name, in_certificate, told) in cases {
        let tls = TlsClientConfig { server_name_override: in_certificate.map(str::to_owned), ..trusting(&authority) };
        let settings = GrpcClientConfig { authority: name.map(str::to_owned), ..secure(&server, tls) };
        let refusal = refusal(&settings).await;
        assert_eq!(refusal.is_none(), told.is_some(), "{name:?}, {in_certificate:?}: {refusal:?}");
        if let Some(told) = told {
            let seen = server.seen().pop().and_then(|seen| seen.head.uri.authority().map(ToString::to_string));
            assert_eq!(seen, Some(told.replace("ADDRESS", &server.address.to_string())));
        }
    }
}

#[tokio::test]
async fn shows_its_certificate_to_a_server_that_demands_one() {
    let (authority, stranger) = (Authority::new(), Authority::new());
    let server = Server::start_tls(authority.server("127.0.0.1", Some(&authority)), |_| answer(b"", &ok())).await;
    let showing = |(certificate, key): (String, String)| TlsClientConfig {
        cert_pem: Some(Secret::new(certificate)),
        key_pem: Some(Secret::new(key)),
        ..trusting(&authority)
    };
    let nothing = refusal(&secure(&server, trusting(&authority))).await.expect("a certificate is demanded");
    assert!(nothing.contains(": Unavailable: "), "{nothing}");
    let strange = refusal(&secure(&server, showing(stranger.sign("sidecar")))).await.expect("by a stranger");
    assert!(strange.contains(": Unavailable: "), "{strange}");
    assert_eq!(server.seen().len(), 0);
    assert_eq!(refusal(&secure(&server, showing(authority.sign("sidecar")))).await, None);
    assert_eq!(&server.one().body[PREFIX..], b"x");
}

#[tokio::test]
async fn connects_again_when_the_destination_comes_back() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("listener");
    let address = listener.local_addr().expect("address");
    drop(listener);
    let exporter = OtlpGrpc::new("otlp", &settings(format!("http://{address}")), TIMEOUT).expect("exporter");
    let again = send(&exporter, &batch(1, "x")).await.again.expect("again");
    assert!(again.reason.to_lowercase().contains("connection refused"), "{}", again.reason);

    // A server that takes one connection, breaks it, and takes another.
    let broken = TcpListener::bind(address).await.expect("listener");
    let breaking = tokio::spawn(async move {
        let (stream, _) = broken.accept().await.expect("connection");
        drop(stream);
    });
    let again = send(&exporter, &batch(1, "x")).await.again.expect("again");
    assert!(again.reason.starts_with(&format!("http://{address}: Unavailable: ")), "{}", again.reason);
    breaking.await.expect("broken");
    let server = Server::start_at(TcpListener::bind(address).await.expect("listener"), |_| answer(b"", &ok()));
    assert_eq!(delivered(&send(&exporter, &batch(1, "x")).await), 1);
    assert_eq!(server.seen().len(), 1);
}

#[tokio::test]
async fn sends_to_a_unix_socket() {
    let directory = tempfile::tempdir().expect("directory");
    let path = directory.path().join("otlp.sock");
    let listener = UnixListener::bind(&path).expect("socket");
    let exporter = OtlpGrpc::new("otlp", &settings(format!("unix://{}", path.display())), TIMEOUT).expect("exporter");
    let accepting = tokio::spawn(async move { listener.accept().await.is_ok() });
    let sending = tokio::spawn(async move { send(&exporter, &batch(1, "x")).await });
    assert!(accepting.await.expect("accepted"));
    assert!(sending.await.expect("sent").again.is_some(), "nobody answers there");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn shares_one_connection_until_it_is_busy_and_never_opens_too_many() {
    let server = Server::start(|_| answer(b"", &ok())).await;
    let exporter = Arc::new(exporter(&server));
    let sending: Vec<_> = (0..200)
        .map(|_| {
            let exporter = Arc::clone(&exporter);
            tokio::spawn(async move { delivered(&send(&exporter, &batch(1, vec![7; 100_000])).await) })
        })
        .collect();
    for sent in sending {
        assert_eq!(sent.await.expect("sent"), 1);
    }
    assert_eq!(server.seen().len(), 200);
    assert!(server.connections() <= 4, "{}", server.connections());
}

#[test]
fn refuses_settings_that_can_not_work() {
    let cases = [
        (settings("a b".into()), "endpoint: \"a b\" is not host:port"),
        (
            GrpcClientConfig { authority: Some("a b".into()), ..settings("a:1".into()) },
            "authority: \"a b\" is not host or host:port",
        ),
    ];
    for (settings, expected) in cases {
        let error = OtlpGrpc::new("otlp", &settings, TIMEOUT).err().expect(expected);
        assert_eq!(error.to_string(), expected);
    }
}

#[test]
fn writes_timeouts_with_at_most_eight_digits() {
    let cases = [(Duration::from_nanos(1), "1m"), (TIMEOUT, "5000m"), (Duration::from_secs(100_000), "100000S")];
    for (timeout, expected) in cases {
        assert_eq!(grpc_timeout(timeout), expected);
    }
    assert_eq!(grpc_timeout(Duration::MAX), "99999999S");
}

/// As a destination does with `max_connection_age`, or one that restarts.
#[tokio::test]
async fn sends_at_once_again_what_a_destination_did_not_look_at() {
    // Frames of HTTP/2: its settings, then that no stream was looked at, or not the first.
    const SETTINGS: &[u8] = &[0, 0, 0, 4, 0, 0, 0, 0, 0];
    const GO_AWAY: &[u8] = &[0, 0, 8, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    const REFUSED_STREAM: &[u8] = &[0, 0, 4, 3, 0, 0, 0, 0, 1, 0, 0, 0, 7];
    // As it stands at the end of every message.
    const MESSAGE: &[u8] = b"bytes";
    for last in [GO_AWAY, REFUSED_STREAM] {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let serve = async {
            let (mut first, _) = listener.accept().await.expect("a connection");
            first.write_all(SETTINGS).await.expect("written");
            let mut seen = Vec::new();
            while seen.windows(MESSAGE.len()).all(|window| window != MESSAGE) {
                first.read_buf(&mut seen).await.expect("a request");
            }
            first.write_all(last).await.expect("written");
            let (second, _) = listener.accept().await.expect("another connection");
            let mut second = h2::server::handshake(second).await.expect("http/2");
            let (_request, mut respond) = second.accept().await.expect("a request").expect("a request");
            let (parts, ()) = answer(b"", &ok()).map(drop).into_parts();
            let mut response = Response::from_parts(parts, ());
            response.headers_mut().insert("grpc-status", HeaderValue::from_static("0"));
            respond.send_response(response, true).expect("sent");
            while second.accept().await.is_some() {}
        };
        let exporter = OtlpGrpc::new("otlp", &settings(format!("http://{address}")), TIMEOUT).expect("exporter");
        let sent = tokio::select! {
            sent = send_one(&exporter) => sent,
            () = serve => panic!("the connection ended"),
        };
        assert!(sent.again.is_none(), "{last:?}: {sent:?}");
    }
}

async fn send_one(exporter: &OtlpGrpc) -> Sent<Call> {
    send(exporter, &batch(1, "bytes")).await
}
