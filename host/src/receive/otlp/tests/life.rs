//! Connections: how many, how they end, and Unix sockets.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UnixStream};
use tonic::Code;

use super::kit::*;
use crate::config::types::{self, HttpServerConfig, ListenAddress, ServerParameters, Transport};
use crate::receive::otlp::header_timeout;
use crate::receive::{BoundAddress, Drained};

/// Types of frames (RFC 9113, section 6).
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;

#[tokio::test]
async fn closes_connections_beyond_the_limit() {
    let running = Plan { max_connections: 1, ..Plan::default() }.start().await;
    let mut first = h2(&running.grpc).await;
    assert_eq!(export(&mut first, &traces(1)).await.code(), Code::Ok);
    let mut second = TcpStream::connect(tcp(&running.grpc)).await.unwrap();
    let mut bytes = Vec::new();
    let ended = second.read_to_end(&mut bytes).await;
    assert!(ended.is_err() || bytes.is_empty(), "{bytes:?}");
    drop(first);
    // As soon as the first one's end has been noticed, the next one is served.
    let served = async {
        loop {
            let stream = TcpStream::connect(tcp(&running.grpc)).await.unwrap();
            let mut client = h2_over(stream).await;
            let request = call(TRACES, &[], Chunks::of(frame(false, &traces(1))));
            if client.ready().await.is_ok() && client.send_request(request).await.is_ok() {
                return;
            }
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), served).await.expect("a place");
}

#[tokio::test]
async fn finishes_what_runs_and_takes_nothing_new() {
    let mut running = start().await;
    let gate = running.sink.hold();
    let mut client = h2(&running.grpc).await;
    let mut other = h2(&running.http).await;
    let call = tokio::spawn(async move { export(&mut client, &traces(3)).await });
    running.sink.entered.notified().await;
    running.stop.take().unwrap().send(()).unwrap();
    // The sockets are closed as soon as the shutdown has begun.
    while TcpStream::connect(tcp(&running.grpc)).await.is_ok() {
        tokio::task::yield_now().await;
    }
    let late = request("http://test/v1/traces", &[("content-type", "application/x-protobuf")], Chunks::of(traces(1)));
    if let Ok(response) = other.send_request(late).await {
        assert_eq!(response.status(), 503);
    }
    gate.notify_one();
    assert_eq!(call.await.unwrap().code(), Code::Ok);
    assert_eq!(running.task.await.unwrap(), Drained { cut_off: 0 });
    assert_eq!(running.sink.take().len(), 1);
}

#[tokio::test]
async fn says_unavailable_to_what_has_not_ended_at_the_deadline() {
    let mut running = Plan { drain: Duration::from_millis(30), ..Plan::default() }.start().await;
    let _gate = running.sink.hold();
    let mut client = h2(&running.grpc).await;
    let call = tokio::spawn(async move { export(&mut client, &traces(3)).await });
    running.sink.entered.notified().await;
    running.stop.take().unwrap().send(()).unwrap();
    let answer = call.await.unwrap();
    assert_eq!((answer.code(), answer.text()), (Code::Unavailable, "shutting down"));
    assert_eq!(running.task.await.unwrap(), Drained { cut_off: 0 });
    assert_eq!(running.budget.used_bytes(), 0);
}

#[tokio::test]
async fn an_idle_connection_does_not_hold_up_the_end() {
    let mut running = start().await;
    let _silent = TcpStream::connect(tcp(&running.grpc)).await.unwrap();
    let mut used = h2(&running.grpc).await;
    assert_eq!(export(&mut used, &traces(1)).await.code(), Code::Ok);
    running.stop.take().unwrap().send(()).unwrap();
    let drained = tokio::time::timeout(Duration::from_secs(5), running.task).await.expect("in time").unwrap();
    assert_eq!(drained, Drained { cut_off: 0 });
}

#[tokio::test]
async fn says_goodbye_to_a_connection_that_is_idle() {
    let mut plan = Plan::default();
    plan.grpc.keepalive.server_parameters.max_connection_idle = types::Duration::from_millis(50);
    let running = plan.start().await;
    let (mut client, heard) = h2_overheard(&running.grpc).await;
    assert_eq!(export(&mut client, &traces(1)).await.code(), Code::Ok);
    // The client stays: it is the server that ends it.
    let heard = tokio::time::timeout(Duration::from_secs(20), heard).await.expect("closed").unwrap();
    let goodbyes: Vec<_> = frames(&heard).into_iter().filter(|(kind, _)| *kind == GOAWAY).collect();
    assert!(!goodbyes.is_empty(), "{heard:?}");
    for (_, payload) in goodbyes {
        assert_eq!(payload[4..8], [0; 4], "NO_ERROR: whoever connects anew loses nothing");
    }
}

#[tokio::test]
async fn closes_connections_that_are_old_or_do_not_answer_pings() {
    let short = types::Duration::from_millis(50);
    let cases = [
        (ServerParameters { time: short, timeout: short, ..ServerParameters::default() }, PING),
        (
            ServerParameters {
                max_connection_age: short,
                max_connection_age_grace: types::Duration::from_millis(200),
                ..ServerParameters::default()
            },
            GOAWAY,
        ),
    ];
    for (parameters, expected) in cases {
        let mut plan = Plan::default();
        plan.grpc.keepalive.server_parameters = parameters;
        let running = plan.start().await;
        // It greets, and then says nothing more, whatever it is asked.
        let mut client = TcpStream::connect(tcp(&running.grpc)).await.unwrap();
        client.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").await.unwrap();
        let mut heard = Vec::new();
        // Whether it ends or breaks off makes no difference.
        let _ = tokio::time::timeout(Duration::from_secs(20), client.read_to_end(&mut heard)).await.expect("closed");
        assert!(frames(&heard).iter().any(|(kind, _)| *kind == expected), "{expected}: {heard:?}");
    }
}

#[tokio::test]
async fn tells_clients_how_many_calls_a_connection_takes() {
    for (configured, told) in [(0, 256), (7, 7)] {
        let mut plan = Plan::default();
        plan.grpc.max_concurrent_streams = configured;
        let running = plan.start().await;
        let mut client = TcpStream::connect(tcp(&running.grpc)).await.unwrap();
        client.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").await.unwrap();
        let mut heard = Vec::new();
        let settings = loop {
            assert_ne!(client.read_buf(&mut heard).await.unwrap(), 0, "{heard:?}");
            let settings = frames(&heard).into_iter().find(|(kind, payload)| *kind == SETTINGS && !payload.is_empty());
            if let Some((_, settings)) = settings {
                break settings;
            }
        };
        // SETTINGS_MAX_CONCURRENT_STREAMS is number 3 (RFC 9113, section 6.5.2).
        let streams = settings.chunks_exact(6).find(|setting| setting[..2] == [0, 3]).expect("a limit");
        assert_eq!(streams[2..], u32::to_be_bytes(told));
    }
}

#[tokio::test]
async fn hangs_up_after_each_answer_where_connections_are_not_to_be_kept() {
    let mut plan = Plan::default();
    plan.http.server.keep_alives_enabled = false;
    let running = plan.start().await;
    let body = traces(1);
    let head = format!(
        "POST /v1/traces HTTP/1.1\r\nhost: test\r\ncontent-type: application/x-protobuf\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    let mut client = TcpStream::connect(tcp(&running.http)).await.unwrap();
    client.write_all(&[head.as_bytes(), &body].concat()).await.unwrap();
    let mut heard = Vec::new();
    tokio::time::timeout(Duration::from_secs(20), client.read_to_end(&mut heard)).await.expect("closed").unwrap();
    let heard = String::from_utf8_lossy(&heard);
    assert!(heard.starts_with("HTTP/1.1 200 OK\r\n") && heard.contains("connection: close\r\n"), "{heard}");
}

#[test]
fn a_connection_may_be_idle_for_longer_than_headers_may_take() {
    // Headers, idleness, and what hyper waits, in seconds; 0 has no limit.
    for (headers, idle, waits) in [(1, 2, Some(2)), (2, 1, Some(2)), (0, 1, None), (1, 0, None)] {
        let server = HttpServerConfig {
            read_header_timeout: types::Duration::from_secs(headers),
            idle_timeout: types::Duration::from_secs(idle),
            ..HttpServerConfig::default()
        };
        assert_eq!(header_timeout(&server), waits.map(Duration::from_secs), "{headers} {idle}");
    }
}

#[tokio::test]
async fn listens_on_unix_sockets() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("otlp.sock");
    let mut plan = Plan::default();
    plan.grpc.transport = Transport::Unix;
    plan.grpc.endpoint = ListenAddress::new(path.to_str().unwrap());
    let mut running = plan.start().await;
    assert_eq!(running.grpc, BoundAddress::Unix(path.clone()));
    let mut client = h2_over(UnixStream::connect(&path).await.unwrap()).await;
    assert_eq!(export(&mut client, &traces(1)).await.code(), Code::Ok);
    drop(client);
    running.stop.take().unwrap().send(()).unwrap();
    running.task.await.unwrap();
    assert!(!path.exists(), "the socket's file is gone");
}

#[tokio::test]
async fn serves_http_on_a_unix_socket() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("otlp.sock");
    let mut plan = Plan::default();
    plan.http.server.transport = Transport::Unix;
    plan.http.server.endpoint = ListenAddress::new(path.to_str().unwrap());
    let running = plan.start().await;
    let mut client = h2_over(UnixStream::connect(&path).await.unwrap()).await;
    let post = request("http://test/v1/traces", &[("content-type", "application/x-protobuf")], Chunks::of(traces(2)));
    assert_eq!(client.send_request(post).await.unwrap().status(), 200);
    assert_eq!(running.sink.take().len(), 1);
}
