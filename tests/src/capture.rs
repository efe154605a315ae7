//! An HTTP server in the test itself that answers success and keeps every body.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Result;
use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::sync::watch;

/// Bodies by path, in the order in which they came.
type Bodies = Arc<Mutex<BTreeMap<String, Vec<Bytes>>>>;

/// A running server; it ends with its owner.
pub struct Capture {
    /// Where it answers, such as `http://127.0.0.1:4318`.
    pub url: String,
    bodies: Bodies,
    _runtime: tokio::runtime::Runtime,
}

impl Capture {
    /// Starts on a free port.
    ///
    /// # Errors
    /// If there is no port or no thread.
    pub fn start() -> Result<Self> {
        Self::answering_together(1)
    }

    /// Answers nothing until so many requests have been there at the same time.
    ///
    /// # Errors
    /// If there is no port or no thread.
    pub fn answering_together(requests: usize) -> Result<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0"))?;
        let url = format!("http://{}", listener.local_addr()?);
        let bodies = Bodies::default();
        let crowd = Crowd { wanted: requests, here: AtomicUsize::new(0), is_complete: watch::Sender::new(false) };
        runtime.spawn(accept(listener, Arc::clone(&bodies), Arc::new(crowd)));
        Ok(Self { url, bodies, _runtime: runtime })
    }

    /// What came to a path since the last time.
    pub fn take(&self, path: &str) -> Vec<Bytes> {
        self.bodies.lock().unwrap_or_else(PoisonError::into_inner).remove(path).unwrap_or_default()
    }
}

/// Requests that wait for each other.
struct Crowd {
    wanted: usize,
    here: AtomicUsize,
    is_complete: watch::Sender<bool>,
}

impl Crowd {
    async fn join(&self) {
        if self.here.fetch_add(1, Ordering::SeqCst) + 1 >= self.wanted {
            self.is_complete.send_replace(true);
        }
        // The sender is `self`, which lives.
        let _ = self.is_complete.subscribe().wait_for(|is_complete| *is_complete).await;
        self.here.fetch_sub(1, Ordering::SeqCst);
    }
}

async fn accept(listener: TcpListener, bodies: Bodies, crowd: Arc<Crowd>) {
    while let Ok((stream, _)) = listener.accept().await {
        let (bodies, crowd) = (Arc::clone(&bodies), Arc::clone(&crowd));
        tokio::spawn(async move {
            let service = service_fn(move |request| keep(request, Arc::clone(&bodies), Arc::clone(&crowd)));
            // A client that goes away is no matter of ours.
            let _ = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

async fn keep(
    request: Request<Incoming>,
    bodies: Bodies,
    crowd: Arc<Crowd>,
) -> Result<Response<Empty<Bytes>>, Infallible> {
    let path = request.uri().path().to_owned();
    let mut response = Response::new(Empty::new());
    match request.into_body().collect().await {
        Ok(body) => {
            bodies.lock().unwrap_or_else(PoisonError::into_inner).entry(path).or_default().push(body.to_bytes())
        }
        Err(_) => *response.status_mut() = StatusCode::BAD_REQUEST,
    }
    crowd.join().await;
    Ok(response)
}
