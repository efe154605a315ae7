//! A destination for tests: an HTTP/1.1 and HTTP/2 server on loopback that remembers what it was sent.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::request::Parts;
use http::{HeaderMap, Response, Uri};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

pub(crate) type Body = BoxBody<Bytes, Infallible>;

/// One request, as it came in.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) head: Parts,
    pub(crate) body: Bytes,
}

type Answer = dyn Fn(&Seen) -> Response<Body> + Send + Sync;

/// The server; it ends with the test's runtime.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    state: Arc<State>,
}

struct State {
    answer: Box<Answer>,
    seen: Mutex<Vec<Seen>>,
    connections: Mutex<usize>,
}

impl Server {
    /// Answers each request as the function says.
    pub(crate) async fn start(answer: impl Fn(&Seen) -> Response<Body> + Send + Sync + 'static) -> Self {
        Self::listen(answer, None).await
    }

    /// The same with TLS.
    pub(crate) async fn start_tls(
        config: rustls::ServerConfig,
        answer: impl Fn(&Seen) -> Response<Body> + Send + Sync + 'static,
    ) -> Self {
        Self::listen(answer, Some(TlsAcceptor::from(Arc::new(config)))).await
    }

    async fn listen(
        answer: impl Fn(&Seen) -> Response<Body> + Send + Sync + 'static,
        tls: Option<TlsAcceptor>,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("listener");
        Self::accept(listener, Box::new(answer), tls)
    }

    /// The same at a socket that is there already.
    pub(crate) fn start_at(
        listener: TcpListener,
        answer: impl Fn(&Seen) -> Response<Body> + Send + Sync + 'static,
    ) -> Self {
        Self::accept(listener, Box::new(answer), None)
    }

    fn accept(listener: TcpListener, answer: Box<Answer>, tls: Option<TlsAcceptor>) -> Self {
        let address = listener.local_addr().expect("address");
        let state = Arc::new(State { answer, seen: Mutex::default(), connections: Mutex::default() });
        let accepting = Arc::clone(&state);
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.expect("connection");
                *accepting.connections.lock().expect("connections") += 1;
                let (state, tls) = (Arc::clone(&accepting), tls.clone());
                tokio::spawn(async move {
                    match tls {
                        None => serve(stream, state).await,
                        // A client that does not trust us goes away; that is what some tests are about.
                        Some(tls) => {
                            if let Ok(stream) = tls.accept(stream).await {
                                serve(stream, state).await;
                            }
                        }
                    }
                });
            }
        });
        Self { address, state }
    }

    /// An address on this server.
    pub(crate) fn uri(&self, path: &str) -> Uri {
        format!("http://{}{path}", self.address).parse().expect("address")
    }

    /// The only request so far.
    pub(crate) fn one(&self) -> Seen {
        let seen = self.seen();
        assert_eq!(seen.len(), 1, "requests");
        seen[0].clone()
    }

    /// All requests so far.
    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.state.seen.lock().expect("requests").clone()
    }

    /// How many connections there have been.
    pub(crate) fn connections(&self) -> usize {
        *self.state.connections.lock().expect("connections")
    }
}

impl Seen {
    /// A header's value, or nothing.
    pub(crate) fn header(&self, name: &str) -> &str {
        self.head.headers.get(name).map(|value| value.to_str().expect("text")).unwrap_or_default()
    }
}

async fn serve(stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static, state: Arc<State>) {
    let service = service_fn(move |request: http::Request<Incoming>| {
        let state = Arc::clone(&state);
        async move {
            let (head, body) = request.into_parts();
            let body = body.collect().await?.to_bytes();
            let seen = Seen { head, body };
            state.seen.lock().expect("requests").push(seen.clone());
            Ok::<_, hyper::Error>((state.answer)(&seen))
        }
    });
    // A connection that the client breaks is not the server's failure.
    let _ = Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(stream), service).await;
}

/// An answer with a status and a text.
pub(crate) fn reply(status: u16, text: impl Into<Bytes>) -> Response<Body> {
    let mut response = Response::new(Full::new(text.into()).boxed());
    *response.status_mut() = status.try_into().expect("status");
    response
}

/// An answer with a body and trailers, as gRPC sends it.
pub(crate) fn with_trailers(body: Bytes, trailers: HeaderMap) -> Response<Body> {
    let trailers = std::future::ready(Some(Ok(trailers)));
    Response::new(Full::new(body).with_trailers(trailers).boxed())
}
