//! An HTTP server in the test itself that keeps every body and answers as it is told, by default success.

use std::collections::{BTreeMap, VecDeque};
use std::convert::Infallible;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::Result;
use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::sync::watch;

/// Bodies by path, in the order in which they came.
type Bodies = Mutex<BTreeMap<String, Vec<Bytes>>>;

/// What is answered, and when.
pub struct Manner {
    /// Nothing is answered until so many requests have been there at the same time, or `Capture::release`.
    pub together: usize,
    /// Status and body for the first requests, in the order in which they come.
    pub first: Vec<(u16, String)>,
    /// Status and body for all others.
    pub then: (u16, String),
}

impl Default for Manner {
    fn default() -> Self {
        Self { together: 1, first: Vec::new(), then: (200, String::new()) }
    }
}

/// A running server; it ends with its owner.
pub struct Capture {
    /// Where it answers, such as `http://127.0.0.1:4318`.
    pub url: String,
    state: Arc<State>,
    _runtime: tokio::runtime::Runtime,
}

struct State {
    bodies: Bodies,
    crowd: Crowd,
    first: Mutex<VecDeque<(u16, String)>>,
    then: (u16, String),
}

impl Capture {
    /// Starts on a free port.
    ///
    /// # Errors
    /// If there is no port or no thread.
    pub fn start() -> Result<Self> {
        Self::answering(Manner::default())
    }

    /// Answers nothing until so many requests have been there at the same time.
    ///
    /// # Errors
    /// If there is no port or no thread.
    pub fn answering_together(requests: usize) -> Result<Self> {
        Self::answering(Manner { together: requests, ..Manner::default() })
    }

    /// Answers in this manner.
    ///
    /// # Errors
    /// If there is no port or no thread.
    pub fn answering(manner: Manner) -> Result<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0"))?;
        let url = format!("http://{}", listener.local_addr()?);
        let Manner { together, first, then } = manner;
        let crowd = Crowd { wanted: together, here: AtomicUsize::new(0), is_complete: watch::Sender::new(false) };
        let state = Arc::new(State { bodies: Bodies::default(), crowd, first: Mutex::new(first.into()), then });
        runtime.spawn(accept(listener, Arc::clone(&state)));
        Ok(Self { url, state, _runtime: runtime })
    }

    /// Answers whoever waits, and from now on at once.
    pub fn release(&self) {
        self.state.crowd.is_complete.send_replace(true);
    }

    /// How many requests have come to a path since the last time that they were taken.
    pub fn count(&self, path: &str) -> usize {
        lock(&self.state.bodies).get(path).map_or(0, Vec::len)
    }

    /// What came to a path since the last time.
    pub fn take(&self, path: &str) -> Vec<Bytes> {
        lock(&self.state.bodies).remove(path).unwrap_or_default()
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

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn accept(listener: TcpListener, state: Arc<State>) {
    while let Ok((stream, _)) = listener.accept().await {
        let state = Arc::clone(&state);
        tokio::spawn(async move {
            let service = service_fn(move |request| keep(request, Arc::clone(&state)));
            // A client that goes away is no matter of ours.
            let _ = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

async fn keep(request: Request<Incoming>, state: Arc<State>) -> Result<Response<Full<Bytes>>, Infallible> {
    let path = request.uri().path().to_owned();
    let Ok(body) = request.into_body().collect().await else {
        return Ok(answer(400, String::new()));
    };
    // In one go, so that answers go by the order of the bodies.
    let (status, text) = {
        let mut bodies = lock(&state.bodies);
        bodies.entry(path).or_default().push(body.to_bytes());
        lock(&state.first).pop_front().unwrap_or_else(|| state.then.clone())
    };
    state.crowd.join().await;
    Ok(answer(status, text))
}

fn answer(status: u16, text: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(text)));
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    response
}
