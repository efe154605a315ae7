//! A sink that takes OTLP over gRPC or HTTP, remote write, and `_bulk`, answers success and only counts.
//!
//! `otlp-sink 127.0.0.1:9999` prints what it got when its standard input ends.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, Response};
use http_body_util::{BodyExt, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpListener;

#[derive(Default)]
struct Counts {
    requests: AtomicU64,
    bytes: AtomicU64,
}

type Body = StreamBody<futures_util::stream::Iter<std::vec::IntoIter<Result<Frame<Bytes>, Infallible>>>>;

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:9999".into());
    let listener = TcpListener::bind(&address).await?;
    println!("listening on {}", listener.local_addr()?);
    let counts = Arc::new(Counts::default());
    let accepting = tokio::spawn(accept(listener, Arc::clone(&counts)));
    tokio::task::spawn_blocking(|| std::io::copy(&mut std::io::stdin(), &mut std::io::sink())).await??;
    accepting.abort();
    let (requests, bytes) = (counts.requests.load(Ordering::Relaxed), counts.bytes.load(Ordering::Relaxed));
    println!("requests={requests} bytes={bytes}");
    Ok(())
}

async fn accept(listener: TcpListener, counts: Arc<Counts>) {
    while let Ok((stream, _)) = listener.accept().await {
        let counts = Arc::clone(&counts);
        tokio::spawn(async move {
            let _ = stream.set_nodelay(true);
            let mut server = hyper_util::server::conn::auto::Builder::new(TokioExecutor::new());
            server.http2().initial_stream_window_size(4 << 20).initial_connection_window_size(16 << 20);
            server.http2().max_frame_size(1 << 20);
            let service = service_fn(move |request| take(request, Arc::clone(&counts)));
            let _ = server.serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

async fn take(mut request: Request<Incoming>, counts: Arc<Counts>) -> Result<Response<Body>, Infallible> {
    let bulk = request.uri().path().ends_with("/_bulk");
    let mut lines = 0;
    while let Some(Ok(frame)) = request.body_mut().frame().await {
        let Some(data) = frame.data_ref() else { continue };
        counts.bytes.fetch_add(data.len() as u64, Ordering::Relaxed);
        if bulk {
            lines += data.iter().filter(|byte| **byte == b'\n').count();
        }
    }
    counts.requests.fetch_add(1, Ordering::Relaxed);
    let grpc = request.headers().get("content-type").is_some_and(|v| v.as_bytes().starts_with(b"application/grpc"));
    let mut frames = Vec::new();
    if grpc {
        let mut trailers = HeaderMap::new();
        trailers.insert("grpc-status", HeaderValue::from_static("0"));
        frames.push(Ok(Frame::data(Bytes::from_static(&[0; 5]))));
        frames.push(Ok(Frame::trailers(trailers)));
    }
    if bulk {
        frames.push(Ok(Frame::data(bulk_answer(lines / 2).into())));
    }
    let mut response = Response::new(StreamBody::new(futures_util::stream::iter(frames)));
    let content_type = match (grpc, bulk) {
        (true, _) => "application/grpc",
        (false, true) => "application/json",
        (false, false) => "application/x-protobuf",
    };
    response.headers_mut().insert("content-type", HeaderValue::from_static(content_type));
    Ok(response)
}

/// Says that so many documents are stored.
fn bulk_answer(documents: usize) -> String {
    let items = vec![r#"{"create":{"status":201}}"#; documents].join(",");
    format!(r#"{{"errors":false,"items":[{items}]}}"#)
}
