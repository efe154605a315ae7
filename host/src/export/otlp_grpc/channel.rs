//! A few HTTP/2 connections to one destination, opened when needed and replaced when they end.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use http::{Request, Response};
use hyper::body::Incoming;
use hyper::client::conn::http2::{Builder, SendRequest};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::net::UnixStream;
use tokio::sync::Semaphore;
use tonic::Status;

use super::message::Message;
use crate::config::types::{GrpcClientKeepalive, Target};
use crate::export::client::{Connector, Stream, error_chain};

/// One connection is one task, and one core encrypts it: more of them only help when several requests are under way.
const MAX_CONNECTIONS: usize = 4;
/// Another connection is opened only when all have so many requests under way.
const BUSY_AT: usize = 4;
/// What waits for a peer's window; a batch is handed over whole, whatever its size, so this is only a mark.
const MAX_SEND_BUFFER_BYTES: usize = 4 << 20;
/// What gRPC clients of Go take a timeout of 0 for; for hyper every ping would be late.
const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(20);

pub(super) struct Channel {
    connector: Connector,
    target: Target,
    keepalive: Option<GrpcClientKeepalive>,
    connections: Mutex<Vec<Connection>>,
    /// Whoever holds the permit connects; the others wait for the result instead of connecting too.
    connecting: Semaphore,
}

#[derive(Clone)]
struct Connection {
    sender: SendRequest<Message>,
    under_way: Arc<AtomicUsize>,
}

/// A request under way; the count goes down even if the caller goes away.
struct UnderWay(Arc<AtomicUsize>);

impl Channel {
    pub(super) fn new(connector: Connector, target: Target, keepalive: Option<GrpcClientKeepalive>) -> Self {
        Self { connector, target, keepalive, connections: Mutex::default(), connecting: Semaphore::new(1) }
    }

    /// Sends a request over the least busy connection. Where the destination has ended that one without looking at the
    /// request, as it does with each connection that is old enough, it goes over another one at once.
    pub(super) async fn send(&self, request: impl Fn() -> Request<Message>) -> Result<Response<Incoming>, Status> {
        let mut is_first = true;
        loop {
            let (mut connection, _under_way) = self.connection().await?;
            let error = match connection.sender.try_send_request(request()).await {
                Ok(response) => return Ok(response),
                Err(error) => error,
            };
            let is_unseen = error.message().is_some() || was_not_looked_at(error.error());
            if !(is_first && is_unseen) {
                return Err(Status::unavailable(format!("connection lost: {}", error_chain(error.error()))));
            }
            is_first = false;
            self.connections().retain(|other| !Arc::ptr_eq(&other.under_way, &connection.under_way));
        }
    }

    async fn connection(&self) -> Result<(Connection, UnderWay), Status> {
        if let Some(connection) = self.pick(false) {
            return Ok(connection);
        }
        let permit = match self.connecting.try_acquire() {
            Ok(permit) => permit,
            Err(_) => {
                // Somebody connects already. A busy connection is as good as a new one that is not there yet.
                if let Some(connection) = self.pick(true) {
                    return Ok(connection);
                }
                let permit = self.connecting.acquire().await;
                let permit = permit.map_err(|_| Status::unavailable("the exporter is closed"))?;
                if let Some(connection) = self.pick(true) {
                    return Ok(connection);
                }
                permit
            }
        };
        let connection = self.connect().await;
        drop(permit);
        match connection {
            Ok(connection) => {
                let under_way = UnderWay::new(&connection);
                self.connections().push(connection.clone());
                Ok((connection, under_way))
            }
            // A destination that takes no more connections may still serve those that there are.
            Err(status) => self.pick(true).ok_or(status),
        }
    }

    /// The least busy connection; none if another one should be opened first, unless any will do.
    fn pick(&self, any: bool) -> Option<(Connection, UnderWay)> {
        let mut connections = self.connections();
        connections.retain(|connection| !connection.sender.is_closed());
        let connection = connections.iter().min_by_key(|connection| connection.under_way())?;
        if !any && connection.under_way() >= BUSY_AT && connections.len() < MAX_CONNECTIONS {
            return None;
        }
        Some((connection.clone(), UnderWay::new(connection)))
    }

    async fn connect(&self) -> Result<Connection, Status> {
        let stream = match &self.target {
            Target::Host(uri) => self.connector.connect(uri).await.map_err(|error| error.to_string()),
            Target::Socket(path) => match UnixStream::connect(path).await {
                Ok(stream) => Ok(Stream::Unix(TokioIo::new(stream))),
                Err(error) => Err(error.to_string()),
            },
        };
        let stream = stream.map_err(Status::unavailable)?;
        let mut builder = Builder::new(TokioExecutor::new());
        builder.timer(TokioTimer::new()).max_send_buf_size(MAX_SEND_BUFFER_BYTES);
        if let Some(keepalive) = &self.keepalive {
            builder
                .keep_alive_interval(keepalive.time.unless_zero())
                .keep_alive_timeout(keepalive.timeout.unless_zero().unwrap_or(KEEPALIVE_TIMEOUT))
                .keep_alive_while_idle(keepalive.permit_without_stream);
        }
        let (sender, connection) = builder
            .handshake(stream)
            .await
            .map_err(|error| Status::unavailable(format!("http/2 handshake: {}", error_chain(&error))))?;
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(error = error_chain(&error), "a connection of the otlp exporter ended");
            }
        });
        Ok(Connection { sender, under_way: Arc::default() })
    }

    fn connections(&self) -> MutexGuard<'_, Vec<Connection>> {
        self.connections.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether a peer says of a request that it did nothing with it (RFC 9113, section 8.7).
fn was_not_looked_at(error: &hyper::Error) -> bool {
    let cause = std::error::Error::source(error).and_then(|cause| cause.downcast_ref::<h2::Error>());
    cause.is_some_and(|cause| {
        let is_end = cause.is_go_away() && cause.reason() == Some(h2::Reason::NO_ERROR);
        is_end || cause.reason() == Some(h2::Reason::REFUSED_STREAM)
    })
}

impl Connection {
    fn under_way(&self) -> usize {
        self.under_way.load(Ordering::Relaxed)
    }
}

impl UnderWay {
    fn new(connection: &Connection) -> Self {
        connection.under_way.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(&connection.under_way))
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
