//! What the tests share: a receiver with a recording consumer, requests, and plain clients.

use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use ::http::{HeaderMap, Request, Response, StatusCode};
use bytes::Bytes;
use http_body::{Body, Frame};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use prost::Message;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::{Notify, oneshot};
use tokio::task::JoinHandle;

use crate::config::component::{OtlpHttpConfig, OtlpProtocols, OtlpReceiverConfig};
use crate::config::types::{GrpcServerConfig, HttpServerConfig, ListenAddress};
use crate::limits::Budget;
use crate::model::{Batch, Refusal, Signal};
use crate::receive::Counters;
use crate::receive::otlp::{Deps, Receiver, Sockets};
use crate::receive::{BoundAddress, BoxFuture, Consume, Drained};
use crate::telemetry::Telemetry;

/// Names and values.
pub(super) type Headers<'a> = &'a [(&'a str, &'a str)];

pub(super) const TRACES: &str = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";
pub(super) const METRICS: &str = "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export";
pub(super) const LOGS: &str = "/opentelemetry.proto.collector.logs.v1.LogsService/Export";

/// A consumer that keeps what it gets, or refuses as it is told.
#[derive(Default)]
pub(super) struct Sink {
    pub(super) batches: Mutex<Vec<Batch>>,
    pub(super) refusal: Mutex<Option<Refusal>>,
    /// While set, nobody gets an answer until it is notified.
    pub(super) gate: Mutex<Option<Arc<Notify>>>,
    pub(super) entered: Notify,
}

impl Sink {
    pub(super) fn take(&self) -> Vec<Batch> {
        std::mem::take(&mut self.batches.lock().unwrap())
    }

    pub(super) fn refuse(&self, refusal: Refusal) {
        *self.refusal.lock().unwrap() = Some(refusal);
    }

    pub(super) fn hold(&self) -> Arc<Notify> {
        let gate = Arc::new(Notify::new());
        *self.gate.lock().unwrap() = Some(Arc::clone(&gate));
        gate
    }
}

impl Consume for Sink {
    fn consume(&self, batch: Batch) -> BoxFuture<'_, Result<(), Refusal>> {
        Box::pin(async move {
            self.entered.notify_one();
            let gate = self.gate.lock().unwrap().clone();
            if let Some(gate) = gate {
                gate.notified().await;
            }
            if let Some(refusal) = self.refusal.lock().unwrap().clone() {
                return Err(refusal);
            }
            self.batches.lock().unwrap().push(batch);
            Ok(())
        })
    }
}

/// A receiver to be started.
pub(super) struct Plan {
    pub(super) grpc: GrpcServerConfig,
    pub(super) http: OtlpHttpConfig,
    pub(super) budget_bytes: usize,
    pub(super) signals: Vec<Signal>,
    pub(super) headers: Vec<&'static str>,
    pub(super) max_connections: usize,
    pub(super) drain: Duration,
}

impl Default for Plan {
    fn default() -> Self {
        let endpoint = || ListenAddress::new("127.0.0.1:0");
        let server = HttpServerConfig { endpoint: endpoint(), ..HttpServerConfig::default() };
        Self {
            grpc: GrpcServerConfig { endpoint: endpoint(), ..GrpcServerConfig::default() },
            http: OtlpHttpConfig { server, ..OtlpHttpConfig::default() },
            budget_bytes: 64 << 20,
            signals: vec![Signal::Traces, Signal::Metrics, Signal::Logs],
            headers: Vec::new(),
            max_connections: 100,
            drain: Duration::from_secs(10),
        }
    }
}

/// A receiver that runs.
pub(super) struct Running {
    pub(super) grpc: BoundAddress,
    pub(super) http: BoundAddress,
    pub(super) sink: Arc<Sink>,
    pub(super) budget: Budget,
    pub(super) counters: Arc<Counters>,
    pub(super) stop: Option<oneshot::Sender<()>>,
    pub(super) task: JoinHandle<Drained>,
}

impl Plan {
    pub(super) async fn start(self) -> Running {
        let sink = Arc::new(Sink::default());
        let budget = Budget::new(self.budget_bytes);
        let telemetry = Telemetry::new("test").unwrap();
        let counters = Arc::new(Counters::register(&telemetry.metrics, "otlp"));
        let consumer = |signal| {
            let sink: Arc<dyn Consume> = Arc::clone(&sink) as _;
            self.signals.contains(&signal).then_some(sink)
        };
        let deps = Deps {
            budget: budget.clone(),
            consumers: Signal::ALL.map(consumer),
            headers: self.headers.iter().map(|name| name.parse().unwrap()).collect(),
            counters: Arc::clone(&counters),
            max_connections: self.max_connections,
            drain: self.drain,
        };
        let protocols = OtlpProtocols { grpc: Some(self.grpc), http: Some(self.http) };
        let config = OtlpReceiverConfig { protocols };
        let sockets = Sockets::bind(&config).await.unwrap();
        let [grpc, http] = [&sockets.grpc, &sockets.http].map(|listener| listener.as_ref().unwrap().address());
        let receiver = Receiver::new(&config, sockets, deps).unwrap();
        let (stop, stopped) = oneshot::channel::<()>();
        let task = tokio::spawn(receiver.serve(async move {
            let _ = stopped.await;
        }));
        Running { grpc, http, sink, budget, counters, stop: Some(stop), task }
    }
}

pub(super) async fn start() -> Running {
    Plan::default().start().await
}

pub(super) fn tcp(address: &BoundAddress) -> SocketAddr {
    match address {
        BoundAddress::Tcp(address) => *address,
        BoundAddress::Unix(path) => panic!("{} is not TCP", path.display()),
    }
}

/// A request with so many spans.
pub(super) fn traces(spans: usize) -> Bytes {
    let span = |n: usize| Span { name: format!("span {n}"), trace_id: vec![7; 16], ..Span::default() };
    let scope = ScopeSpans { spans: (0..spans).map(span).collect(), ..ScopeSpans::default() };
    let resource = ResourceSpans { scope_spans: vec![scope], ..ResourceSpans::default() };
    ExportTraceServiceRequest { resource_spans: vec![resource] }.encode_to_vec().into()
}

/// A request with one span that is exactly so large.
pub(super) fn traces_of(bytes: usize) -> Bytes {
    let with = |name: usize| {
        let span = Span { name: "x".repeat(name), ..Span::default() };
        let scope = ScopeSpans { spans: vec![span], ..ScopeSpans::default() };
        let resource = ResourceSpans { scope_spans: vec![scope], ..ResourceSpans::default() };
        Bytes::from(ExportTraceServiceRequest { resource_spans: vec![resource] }.encode_to_vec())
    };
    let spare = with(bytes).len() - bytes;
    let request = with(bytes - spare);
    assert_eq!(request.len(), bytes);
    request
}

pub(super) fn gzip(bytes: &[u8]) -> Vec<u8> {
    use std::io::Write;
    let mut writer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    writer.write_all(bytes).unwrap();
    writer.finish().unwrap()
}

pub(super) fn zlib(bytes: &[u8]) -> Vec<u8> {
    use std::io::Write;
    let mut writer = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
    writer.write_all(bytes).unwrap();
    writer.finish().unwrap()
}

pub(super) fn snappy_framed(bytes: &[u8]) -> Vec<u8> {
    use std::io::Write;
    let mut writer = snap::write::FrameEncoder::new(Vec::new());
    writer.write_all(bytes).unwrap();
    writer.into_inner().unwrap()
}

pub(super) fn lz4(bytes: &[u8]) -> Vec<u8> {
    use std::io::Write;
    let mut writer = lz4_flex::frame::FrameEncoder::new(Vec::new());
    writer.write_all(bytes).unwrap();
    writer.finish().unwrap()
}

/// Chunks, sent one by one; afterwards the end, or nothing ever.
pub(super) struct Chunks {
    chunks: std::collections::VecDeque<Bytes>,
    stall: bool,
}

impl Chunks {
    pub(super) fn of(body: impl Into<Bytes>) -> Self {
        Self { chunks: [body.into()].into(), stall: false }
    }

    pub(super) fn split(body: &[u8], size: usize) -> Self {
        Self { chunks: body.chunks(size).map(Bytes::copy_from_slice).collect(), stall: false }
    }

    pub(super) fn stalled(body: impl Into<Bytes>) -> Self {
        Self { chunks: [body.into()].into(), stall: true }
    }
}

impl Body for Chunks {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        match self.chunks.pop_front() {
            Some(chunk) => Poll::Ready(Some(Ok(Frame::data(chunk)))),
            None if self.stall => Poll::Pending,
            None => Poll::Ready(None),
        }
    }
}

pub(super) type H2 = hyper::client::conn::http2::SendRequest<Chunks>;

/// An HTTP/2 connection.
pub(super) async fn h2(address: &BoundAddress) -> H2 {
    h2_over(TcpStream::connect(tcp(address)).await.unwrap()).await
}

pub(super) async fn h2_over<S>(stream: S) -> H2
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
{
    let (sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    sender
}

/// An HTTP/2 connection, and everything that the server says on it until it closes it.
pub(super) async fn h2_overheard(address: &BoundAddress) -> (H2, JoinHandle<Vec<u8>>) {
    let (mut from_server, mut to_server) = TcpStream::connect(tcp(address)).await.unwrap().into_split();
    let (near, far) = tokio::io::duplex(64 << 10);
    let (mut from_client, mut to_client) = tokio::io::split(far);
    tokio::spawn(async move { tokio::io::copy(&mut from_client, &mut to_server).await });
    let heard = tokio::spawn(async move {
        let (mut heard, mut piece) = (Vec::new(), [0; 4096]);
        while let Ok(read @ 1..) = from_server.read(&mut piece).await {
            heard.extend_from_slice(&piece[..read]);
            // The client may have gone.
            let _ = to_client.write_all(&piece[..read]).await;
        }
        heard
    });
    (h2_over(near).await, heard)
}

/// The frames of HTTP/2 in what a server said: their types (RFC 9113, section 6) and payloads.
pub(super) fn frames(mut heard: &[u8]) -> Vec<(u8, &[u8])> {
    let mut frames = Vec::new();
    while let Some((&[a, b, c, kind, ..], rest)) = heard.split_first_chunk::<9>() {
        let length = u32::from_be_bytes([0, a, b, c]) as usize;
        let (payload, rest) = rest.split_at(length.min(rest.len()));
        frames.push((kind, payload));
        heard = rest;
    }
    frames
}

/// What a gRPC call ended with.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) http: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) message: Bytes,
    pub(super) status: Option<tonic::Status>,
}

impl Answer {
    pub(super) fn code(&self) -> tonic::Code {
        self.status.as_ref().unwrap_or_else(|| panic!("no status: {self:?}")).code()
    }

    pub(super) fn text(&self) -> &str {
        self.status.as_ref().unwrap().message()
    }
}

pub(super) fn frame(compressed: bool, message: &[u8]) -> Vec<u8> {
    let mut framed = vec![u8::from(compressed)];
    framed.extend((message.len() as u32).to_be_bytes());
    framed.extend(message);
    framed
}

pub(super) fn call(path: &str, headers: Headers<'_>, body: Chunks) -> Request<Chunks> {
    let mut request =
        Request::post(format!("http://test{path}")).header("content-type", "application/grpc").header("te", "trailers");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.body(body).unwrap()
}

pub(super) async fn ask(client: &mut H2, request: Request<Chunks>) -> Answer {
    client.ready().await.unwrap();
    let response = client.send_request(request).await.unwrap();
    let (head, body) = response.into_parts();
    let body = body.collect().await.unwrap();
    let trailers = body.trailers().cloned().unwrap_or_default();
    let status = tonic::Status::from_header_map(&trailers).or_else(|| tonic::Status::from_header_map(&head.headers));
    Answer { http: head.status, headers: head.headers, message: body.to_bytes(), status }
}

/// A unary call with one uncompressed message.
pub(super) async fn export(client: &mut H2, message: &[u8]) -> Answer {
    ask(client, call(TRACES, &[], Chunks::of(frame(false, message)))).await
}

/// A POST over its own HTTP/1 connection.
pub(super) async fn post(address: &BoundAddress, request: Request<Chunks>) -> Response<Bytes> {
    let stream = TcpStream::connect(tcp(address)).await.unwrap();
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    collect(sender.send_request(request).await.unwrap()).await
}

pub(super) async fn collect(response: Response<Incoming>) -> Response<Bytes> {
    let (head, body) = response.into_parts();
    Response::from_parts(head, body.collect().await.unwrap().to_bytes())
}

pub(super) fn request(path: &str, headers: Headers<'_>, body: Chunks) -> Request<Chunks> {
    let mut request = Request::post(path).header("host", "test");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.body(body).unwrap()
}
