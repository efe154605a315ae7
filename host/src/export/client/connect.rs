//! Opens connections: TCP, through a proxy if there is one, with TLS if the scheme says so.

use std::future::Future;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use http::Uri;
use http::uri::Scheme;
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::client::legacy::connect::proxy::{SocksV5, Tunnel};
use hyper_util::client::legacy::connect::{Connected, Connection, HttpConnector};
use hyper_util::client::proxy::matcher::Intercept;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tower_service::Service;

use super::error_chain;
use super::proxies::Proxies;
use super::resolve::Resolver;
use super::tls::ClientTls;
use crate::config::process_environment;
use crate::config::types::Url;
use crate::export::SetupError;
use crate::tls::TlsError;

/// Name resolution, TCP, proxy and TLS together; below the timeout of most requests, so that it is told apart.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Finds peers that went away without a word, such as behind a load balancer.
const TCP_KEEPALIVE: Duration = Duration::from_secs(30);

/// Why there is no connection.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct ConnectError(pub(super) String);

impl From<TlsError> for ConnectError {
    fn from(error: TlsError) -> Self {
        Self(error.to_string())
    }
}

/// Opens connections for one exporter; cheap to clone.
#[derive(Clone)]
pub(crate) struct Connector {
    tcp: HttpConnector<Resolver>,
    tls: Arc<ClientTls>,
    proxies: Arc<Proxies>,
    always_tunnel: bool,
}

/// A connection.
pub(crate) enum Stream {
    /// In the clear; `proxied` if an HTTP proxy stands at the other end.
    Plain { io: TokioIo<TcpStream>, proxied: bool },
    /// With TLS.
    Tls(Box<TokioIo<TlsStream<TokioIo<TokioIo<TcpStream>>>>>),
    /// To a socket of this machine.
    Unix(TokioIo<UnixStream>),
}

impl Connector {
    pub(crate) fn new(tls: ClientTls, proxy_url: Option<&Url>) -> Result<Self, SetupError> {
        let mut tcp = HttpConnector::new_with_resolver(Resolver::new());
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        tcp.set_keepalive(Some(TCP_KEEPALIVE));
        let proxies = Proxies::new(proxy_url, &process_environment)?;
        Ok(Self { tcp, tls: Arc::new(tls), proxies: Arc::new(proxies), always_tunnel: false })
    }

    /// For a protocol that no HTTP proxy understands: asks `HTTPS_PROXY` for a tunnel even in the clear.
    pub(crate) fn through_tunnels(self) -> Self {
        Self { always_tunnel: true, ..self }
    }

    /// Opens a connection to the authority of an `http` or `https` address.
    pub(crate) async fn connect(&self, destination: &Uri) -> Result<Stream, ConnectError> {
        match tokio::time::timeout(CONNECT_TIMEOUT, self.open(destination)).await {
            Ok(result) => result,
            Err(_) => Err(ConnectError(format!("no connection within {} seconds", CONNECT_TIMEOUT.as_secs()))),
        }
    }

    async fn open(&self, destination: &Uri) -> Result<Stream, ConnectError> {
        let secure = destination.scheme() == Some(&Scheme::HTTPS);
        let tunnel = secure || self.always_tunnel;
        let proxy = match tunnel {
            true => self.proxies.intercept(&as_https(destination)),
            false => self.proxies.intercept(destination),
        };
        let socks = proxy.as_ref().is_some_and(is_socks);
        let io = match &proxy {
            Some(proxy) if socks => self.through_socks(proxy, destination).await?,
            Some(proxy) if tunnel => self.through_tunnel(proxy, destination).await?,
            Some(proxy) => self.tcp(proxy.uri()).await.map_err(|reason| proxy_error(proxy, reason))?,
            None => self.tcp(destination).await.map_err(ConnectError)?,
        };
        if !secure {
            return Ok(Stream::Plain { io, proxied: proxy.is_some() && !socks && !tunnel });
        }
        let name = self.tls.server_name(destination.host().unwrap_or_default())?;
        let tls = TlsConnector::from(self.tls.config(Instant::now())?);
        let stream = tls.connect(name, TokioIo::new(io)).await;
        let stream = stream.map_err(|error| ConnectError(format!("tls handshake: {}", error_chain(&error))))?;
        Ok(Stream::Tls(Box::new(TokioIo::new(stream))))
    }

    async fn tcp(&self, uri: &Uri) -> Result<TokioIo<TcpStream>, String> {
        self.tcp.clone().call(uri.clone()).await.map_err(|error| error_chain(&error))
    }

    async fn through_tunnel(&self, proxy: &Intercept, destination: &Uri) -> Result<TokioIo<TcpStream>, ConnectError> {
        let mut tunnel = Tunnel::new(proxy.uri().clone(), self.tcp.clone());
        if let Some(credentials) = proxy.basic_auth() {
            tunnel = tunnel.with_auth(credentials.clone());
        }
        tunnel.call(destination.clone()).await.map_err(|error| proxy_error(proxy, error_chain(&error)))
    }

    async fn through_socks(&self, proxy: &Intercept, destination: &Uri) -> Result<TokioIo<TcpStream>, ConnectError> {
        let mut socks = SocksV5::new(proxy.uri().clone(), self.tcp.clone());
        if let Some((user, password)) = proxy.raw_auth() {
            socks = socks.with_auth(user.to_owned(), password.to_owned());
        }
        socks.call(destination.clone()).await.map_err(|error| proxy_error(proxy, error_chain(&error)))
    }

    /// The credentials for an HTTP proxy that a request in the clear passes.
    pub(crate) fn proxy_credentials(&self, destination: &Uri) -> Option<http::HeaderValue> {
        if destination.scheme() != Some(&Scheme::HTTP) {
            return None;
        }
        let proxy = self.proxies.intercept(destination)?;
        let mut credentials = proxy.basic_auth()?.clone();
        credentials.set_sensitive(true);
        Some(credentials)
    }
}

fn as_https(uri: &Uri) -> Uri {
    let mut parts = uri.clone().into_parts();
    parts.scheme = Some(Scheme::HTTPS);
    Uri::from_parts(parts).unwrap_or_else(|_| uri.clone())
}

fn is_socks(proxy: &Intercept) -> bool {
    matches!(proxy.uri().scheme_str(), Some("socks5" | "socks5h"))
}

/// Shows the proxy without its password.
fn proxy_error(proxy: &Intercept, reason: String) -> ConnectError {
    let uri = proxy.uri();
    let port = uri.port().map(|port| format!(":{port}")).unwrap_or_default();
    let (scheme, host) = (uri.scheme_str().unwrap_or("http"), uri.host().unwrap_or_default());
    ConnectError(format!("proxy {scheme}://{host}{port}: {reason}"))
}

impl Service<Uri> for Connector {
    type Response = Stream;
    type Error = ConnectError;
    type Future = Pin<Box<dyn Future<Output = Result<Stream, ConnectError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), ConnectError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, destination: Uri) -> Self::Future {
        let connector = self.clone();
        Box::pin(async move { connector.connect(&destination).await })
    }
}

impl Connection for Stream {
    fn connected(&self) -> Connected {
        match self {
            Self::Plain { io, proxied } => io.inner().connected().proxy(*proxied),
            Self::Unix(_) => Connected::new(),
            Self::Tls(io) => match io.inner().get_ref().1.alpn_protocol() {
                Some(b"h2") => Connected::new().negotiated_h2(),
                _ => Connected::new(),
            },
        }
    }
}

impl Read for Stream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: ReadBufCursor<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain { io, .. } => Pin::new(io).poll_read(cx, buffer),
            Self::Tls(io) => Pin::new(io).poll_read(cx, buffer),
            Self::Unix(io) => Pin::new(io).poll_read(cx, buffer),
        }
    }
}

impl Write for Stream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain { io, .. } => Pin::new(io).poll_write(cx, bytes),
            Self::Tls(io) => Pin::new(io).poll_write(cx, bytes),
            Self::Unix(io) => Pin::new(io).poll_write(cx, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain { io, .. } => Pin::new(io).poll_flush(cx),
            Self::Tls(io) => Pin::new(io).poll_flush(cx),
            Self::Unix(io) => Pin::new(io).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain { io, .. } => Pin::new(io).poll_shutdown(cx),
            Self::Tls(io) => Pin::new(io).poll_shutdown(cx),
            Self::Unix(io) => Pin::new(io).poll_shutdown(cx),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Self::Plain { io, .. } => io.is_write_vectored(),
            Self::Tls(io) => io.is_write_vectored(),
            Self::Unix(io) => io.is_write_vectored(),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain { io, .. } => Pin::new(io).poll_write_vectored(cx, slices),
            Self::Tls(io) => Pin::new(io).poll_write_vectored(cx, slices),
            Self::Unix(io) => Pin::new(io).poll_write_vectored(cx, slices),
        }
    }
}
