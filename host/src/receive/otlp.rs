//! The `otlp` receiver: gRPC and HTTP, protobuf and JSON, on TCP or Unix sockets, with or without TLS.

mod cors;
mod grpc;
mod http;
mod intake;
mod reply;
#[cfg(test)]
mod tests;
mod unreadable;
mod upload;

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use ::http::{HeaderName, Request, Response};
use hyper::body::Incoming;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout_at};

use self::grpc::Grpc;
use self::http::Http;
use self::intake::Intake;
use self::reply::Reply;
use super::connection::{self, Lifetime, Phase, Shared};
use super::counters::Counters;
use super::listen::Listener;
use super::server::{Drained, Server};
use super::tls::ServerTls;
use super::windows::Windows;
use super::{Consume, ReceiveError};
use crate::config::component::{OtlpHttpConfig, OtlpProtocols, OtlpReceiverConfig};
use crate::config::types::{GrpcServerConfig, HttpServerConfig, TlsServerConfig};
use crate::limits::Budget;
use crate::tls::TlsError;

/// Concurrent calls on a connection if `max_concurrent_streams` is not set.
const STREAMS: u32 = 256;
/// Time for the first request of a gRPC connection, and between chunks of a body.
const PATIENCE: Duration = Duration::from_secs(30);
/// What gRPC servers of Go take 0 for; for hyper every ping would be late.
const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(20);

/// What the receiver needs from the rest of the process.
pub struct Deps {
    /// The memory that it may take.
    pub budget: Budget,
    /// Who takes each of the signals, in the order of `Signal::ALL`; without one they are refused as unknown.
    pub consumers: [Option<Arc<dyn Consume>>; 3],
    /// Headers (gRPC metadata) that some stage reads; no other one is kept.
    pub headers: Vec<HeaderName>,
    /// What it counts.
    pub counters: Arc<Counters>,
    /// Connections per listener; more are closed at once.
    pub max_connections: usize,
    /// How long running requests may take after the shutdown signal.
    pub drain: Duration,
}

/// The sockets of a receiver, bound. Connections wait in the kernel until [`Receiver::serve`].
pub struct Sockets {
    grpc: Option<Listener>,
    http: Option<Listener>,
}

impl Sockets {
    /// Binds what the settings name.
    ///
    /// # Errors
    /// An address that can't be bound.
    pub async fn bind(config: &OtlpReceiverConfig) -> Result<Self, ReceiveError> {
        let mut sockets = Self { grpc: None, http: None };
        if let Some(config) = &config.protocols.grpc {
            let listener = Listener::bind("grpc", &config.endpoint, config.transport).await?;
            tracing::info!(endpoint = %listener.address(), "Starting GRPC server");
            sockets.grpc = Some(listener);
        }
        if let Some(config) = &config.protocols.http {
            let listener = Listener::bind("http", &config.server.endpoint, config.server.transport).await?;
            tracing::info!(endpoint = %listener.address(), "Starting HTTP server");
            sockets.http = Some(listener);
        }
        Ok(sockets)
    }
}

/// A bound receiver that does not serve yet.
pub struct Receiver {
    servers: Vec<Server>,
    phase: watch::Sender<Phase>,
    drain: Duration,
}

impl Receiver {
    /// Checks the settings and reads certificates.
    ///
    /// # Errors
    /// Settings that can't work.
    pub fn new(config: &OtlpReceiverConfig, sockets: Sockets, deps: Deps) -> Result<Self, ReceiveError> {
        let (phase, watching) = watch::channel(Phase::Serving);
        let OtlpProtocols { grpc, http } = &config.protocols;
        let (drain, max_connections) = (deps.drain, deps.max_connections);
        let windows = Windows::new(deps.budget.limit_bytes());
        let intake = Arc::new(Intake::new(deps));
        let mut receiver = Self { servers: Vec::new(), phase, drain };
        if let (Some(config), Some(listener)) = (grpc, sockets.grpc) {
            let shared = Shared {
                builder: grpc_builder(config),
                lifetime: grpc_lifetime(config),
                tls: load_tls("grpc", config.tls.as_ref(), &["h2"])?,
                protocol: Protocol::Grpc(Arc::new(Grpc::new(config, Arc::clone(&intake)))),
                phase: watching.clone(),
            };
            receiver.servers.push(Server {
                listener,
                shared: Arc::new(shared),
                max_connections,
                windows: Arc::clone(&windows),
            });
        }
        if let (Some(config), Some(listener)) = (http, sockets.http) {
            let shared = Shared {
                builder: http_builder(config),
                lifetime: http_lifetime(config),
                tls: load_tls("http", config.server.tls.as_ref(), &["h2", "http/1.1"])?,
                protocol: Protocol::Http(Arc::new(Http::new(config, intake))),
                phase: watching,
            };
            receiver.servers.push(Server { listener, shared: Arc::new(shared), max_connections, windows });
        }
        Ok(receiver)
    }

    /// Serves until `shutdown` is ready; then lets running requests end, up to the deadline of draining.
    pub async fn serve(self, shutdown: impl Future<Output = ()>) -> Drained {
        let Self { servers, phase, drain, .. } = self;
        let mut running = JoinSet::new();
        for server in servers {
            running.spawn(server.run(phase.subscribe()));
        }
        shutdown.await;
        phase.send_replace(Phase::Draining);
        let mut drained = Drained::default();
        let deadline = Instant::now() + drain;
        if timeout_at(deadline, join(&mut running, &mut drained)).await.is_err() {
            phase.send_replace(Phase::Ending);
            join(&mut running, &mut drained).await;
        }
        drained
    }
}

async fn join(running: &mut JoinSet<Drained>, drained: &mut Drained) {
    while let Some(result) = running.join_next().await {
        drained.cut_off += result.map_or(0, |server| server.cut_off);
    }
}

/// What a listener speaks.
#[derive(Clone)]
pub(super) enum Protocol {
    Grpc(Arc<Grpc>),
    Http(Arc<Http>),
}

impl Protocol {
    /// Answers a request.
    pub(super) async fn answer(self, request: Request<Incoming>, phase: watch::Receiver<Phase>) -> Response<Reply> {
        match self {
            Self::Grpc(grpc) => grpc.answer(request, phase).await,
            Self::Http(http) => http.answer(request, phase).await,
        }
    }
}

fn load_tls(
    protocol: &'static str,
    settings: Option<&TlsServerConfig>,
    alpn: &[&str],
) -> Result<Option<Arc<ServerTls>>, ReceiveError> {
    let tls = |source: TlsError| ReceiveError::Tls { protocol, source };
    settings.map(|settings| ServerTls::load(settings, alpn).map(Arc::new).map_err(tls)).transpose()
}

type Builder = hyper_util::server::conn::auto::Builder<hyper_util::rt::TokioExecutor>;

fn grpc_builder(config: &GrpcServerConfig) -> Builder {
    let mut builder = connection::builder();
    let keepalive = &config.keepalive.server_parameters;
    let streams = if config.max_concurrent_streams == 0 { STREAMS } else { config.max_concurrent_streams };
    builder
        .http2()
        .max_concurrent_streams(streams)
        .keep_alive_interval(keepalive.time.unless_zero())
        .keep_alive_timeout(keepalive.timeout.unless_zero().unwrap_or(KEEPALIVE_TIMEOUT));
    builder.http2_only()
}

fn grpc_lifetime(config: &GrpcServerConfig) -> Lifetime {
    let keepalive = &config.keepalive.server_parameters;
    Lifetime {
        first_request: 2 * PATIENCE,
        idle: keepalive.max_connection_idle.unless_zero(),
        age: keepalive.max_connection_age.unless_zero(),
        age_grace: keepalive.max_connection_age_grace.unless_zero(),
    }
}

fn http_builder(config: &OtlpHttpConfig) -> Builder {
    let server = &config.server;
    let mut builder = connection::builder();
    builder.http1().keep_alive(server.keep_alives_enabled).header_read_timeout(header_timeout(server));
    builder.http2().max_concurrent_streams(STREAMS);
    builder
}

/// What hyper waits for the headers of a request. Its clock runs from the end of the request before, so that idleness has
/// to fit in. The headers of the first request have a limit of their own, `Lifetime::first_request`.
fn header_timeout(server: &HttpServerConfig) -> Option<Duration> {
    let (headers, idle) = (server.read_header_timeout.unless_zero()?, server.idle_timeout.unless_zero()?);
    Some(headers.max(idle))
}

fn http_lifetime(config: &OtlpHttpConfig) -> Lifetime {
    let server = &config.server;
    Lifetime {
        first_request: server.read_header_timeout.unless_zero().unwrap_or(2 * PATIENCE),
        idle: server.idle_timeout.unless_zero(),
        age: None,
        age_grace: None,
    }
}
