//! A load of prepared OTLP requests over a few connections, each of which sends the next when the last is answered.
//!
//! `otlp-load --grpc http://127.0.0.1:4317 --requests 2000` prints how many items went out and how fast.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use bytes::{BufMut, Bytes, BytesMut};
use clap::Parser;
use http::{Request, Uri};
use http_body_util::{BodyExt, Full};
use hyper_util::rt::{TokioExecutor, TokioIo};
use sluice_wire::Signal;
use tokio::net::TcpStream;

/// Sends OTLP.
#[derive(Parser)]
struct Args {
    /// Address of an OTLP/gRPC server, such as 127.0.0.1:4317.
    #[arg(long, conflicts_with = "http", required_unless_present = "http")]
    grpc: Option<String>,
    /// Address of an OTLP/HTTP server (HTTP/1.1), such as 127.0.0.1:4318.
    #[arg(long)]
    http: Option<String>,
    /// What to send: traces, metrics or logs.
    #[arg(long, default_value = "traces")]
    signal: String,
    /// Spans, log records or data points in a request.
    #[arg(long, default_value_t = 1000)]
    items: usize,
    /// Connections.
    #[arg(long, default_value_t = 4)]
    connections: usize,
    /// Requests in all.
    #[arg(long, default_value_t = 1000)]
    requests: u64,
    /// Compress the requests.
    #[arg(long)]
    gzip: bool,
    /// Send the first line of this file as OTLP/JSON, as the exporter `file` writes it, instead of a sample.
    #[arg(long, conflicts_with_all = ["grpc", "gzip"])]
    json: Option<PathBuf>,
    /// Value of the resource attribute `tenant`.
    #[arg(long, default_value = "acme")]
    tenant: String,
    /// Items per second in all; 0 sends as fast as answers come.
    #[arg(long, default_value_t = 0)]
    rate: u64,
}

struct Plan {
    body: Bytes,
    headers: Vec<(&'static str, &'static str)>,
    path: &'static str,
    pause: Option<Duration>,
    left: AtomicU64,
    failed: AtomicU64,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let args = Args::parse();
    let signal = match args.signal.as_str() {
        "traces" => Signal::Traces,
        "metrics" => Signal::Metrics,
        "logs" => Signal::Logs,
        other => bail!("no signal {other}"),
    };
    let plan = Arc::new(prepare(&args, signal)?);
    let started = Instant::now();
    let connections = (0..args.connections).map(|_| {
        let (plan, grpc, http) = (Arc::clone(&plan), args.grpc.clone(), args.http.clone());
        tokio::spawn(async move {
            match (grpc, http) {
                (Some(address), _) => send_grpc(&plan, &address).await,
                (None, Some(address)) => send_http(&plan, &address).await,
                (None, None) => bail!("name --grpc or --http"),
            }
        })
    });
    for connection in connections.collect::<Vec<_>>() {
        connection.await??;
    }
    let seconds = started.elapsed().as_secs_f64();
    let failed = plan.failed.load(Ordering::Relaxed);
    let items = (args.requests - failed) * args.items as u64;
    println!(
        "items={items} failed_requests={failed} seconds={seconds:.3} items_per_second={:.0}",
        items as f64 / seconds
    );
    Ok(())
}

fn prepare(args: &Args, signal: Signal) -> Result<Plan> {
    let grpc = args.grpc.is_some();
    let mut headers = match grpc {
        true => vec![("content-type", "application/grpc"), ("te", "trailers")],
        false if args.json.is_some() => vec![("content-type", "application/json")],
        false => vec![("content-type", "application/x-protobuf")],
    };
    if args.gzip {
        headers.push((if grpc { "grpc-encoding" } else { "content-encoding" }, "gzip"));
    }
    let path = match (grpc, signal) {
        (true, Signal::Traces) => "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
        (true, Signal::Metrics) => "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export",
        (true, Signal::Logs) => "/opentelemetry.proto.collector.logs.v1.LogsService/Export",
        (false, Signal::Traces) => "/v1/traces",
        (false, Signal::Metrics) => "/v1/metrics",
        (false, Signal::Logs) => "/v1/logs",
    };
    let pause = (args.rate > 0)
        .then(|| Duration::from_secs_f64(args.items as f64 * args.connections as f64 / args.rate as f64));
    Ok(Plan {
        body: encode(args, signal)?,
        headers,
        path,
        pause,
        left: AtomicU64::new(args.requests),
        failed: AtomicU64::new(0),
    })
}

/// The body of every request, framed for gRPC.
fn encode(args: &Args, signal: Signal) -> Result<Bytes> {
    if let Some(path) = &args.json {
        let text = std::fs::read_to_string(path).with_context(|| format!("can't read {}", path.display()))?;
        let line = text.lines().next().with_context(|| format!("nothing in {}", path.display()))?;
        return Ok(Bytes::copy_from_slice(line.as_bytes()));
    }
    let mut body = sluice_wire::sample::tenant_request(signal, &args.tenant, args.items);
    if args.gzip {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        std::io::Write::write_all(&mut encoder, &body)?;
        body = encoder.finish()?;
    }
    if args.grpc.is_none() {
        return Ok(body.into());
    }
    let mut framed = BytesMut::with_capacity(body.len() + 5);
    framed.put_u8(u8::from(args.gzip));
    framed.put_u32(u32::try_from(body.len())?);
    framed.put_slice(&body);
    Ok(framed.freeze())
}

impl Plan {
    /// The next request, until all are sent.
    fn next(&self, authority: &str, scheme: &str) -> Option<Request<Full<Bytes>>> {
        self.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).ok()?;
        let uri = Uri::builder().scheme(scheme).authority(authority).path_and_query(self.path).build().ok()?;
        let mut request = Request::post(uri).header("host", authority);
        for (name, value) in &self.headers {
            request = request.header(*name, *value);
        }
        request.body(Full::new(self.body.clone())).ok()
    }

    async fn wait(&self, since: Instant) {
        if let Some(pause) = self.pause {
            tokio::time::sleep_until((since + pause).into()).await;
        }
    }
}

async fn connect(address: &str) -> Result<TokioIo<TcpStream>> {
    let stream = TcpStream::connect(address).await.with_context(|| format!("can't connect to {address}"))?;
    stream.set_nodelay(true)?;
    Ok(TokioIo::new(stream))
}

async fn send_grpc(plan: &Plan, address: &str) -> Result<()> {
    let (mut sender, connection) = hyper::client::conn::http2::Builder::new(TokioExecutor::new())
        .max_frame_size(1 << 20)
        .handshake(connect(address).await?)
        .await?;
    tokio::spawn(connection);
    let mut due = Instant::now();
    while let Some(mut request) = plan.next(address, "http") {
        request.headers_mut().remove("host");
        let response = sender.send_request(request).await?;
        let early = response.headers().get("grpc-status").cloned();
        let body = response.into_body().collect().await?;
        let status = body.trailers().and_then(|trailers| trailers.get("grpc-status").cloned()).or(early);
        if status.is_none_or(|status| status != "0") {
            plan.failed.fetch_add(1, Ordering::Relaxed);
        }
        plan.wait(due).await;
        due = Instant::now();
    }
    Ok(())
}

async fn send_http(plan: &Plan, address: &str) -> Result<()> {
    let (mut sender, connection) = hyper::client::conn::http1::handshake(connect(address).await?).await?;
    tokio::spawn(connection);
    let mut due = Instant::now();
    while let Some(mut request) = plan.next(address, "http") {
        *request.uri_mut() = Uri::from_static(plan.path);
        let response = sender.send_request(request).await?;
        let ok = response.status().is_success();
        response.into_body().collect().await?;
        plan.failed.fetch_add(u64::from(!ok), Ordering::Relaxed);
        plan.wait(due).await;
        due = Instant::now();
    }
    Ok(())
}
