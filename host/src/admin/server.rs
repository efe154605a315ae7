//! The small HTTP server behind the pages.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use super::health::respond;
use crate::pace::Pace;

/// Answers a path; none means that there is no such page.
pub type Pages = Arc<dyn Fn(&str) -> Option<Response<Bytes>> + Send + Sync>;

/// How many connections are served at a time; probes and scrapers need a handful. A new one is served in any case: who
/// keeps probes out has the process killed.
const MAX_CONNECTIONS: usize = 64;
/// A connection on which nobody asks anything for so long ends.
const HEADER_TIMEOUT: Duration = Duration::from_secs(5);
/// Whoever asks and does not read the answer must not keep others out.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);

/// The connections that are open, the oldest first.
#[derive(Default)]
struct Connections(VecDeque<Connection>);

struct Connection {
    task: JoinHandle<()>,
    asked: Arc<AtomicU64>,
}

/// A page server that listens. Connections wait in the kernel until [`Self::serve`].
pub struct PageServer {
    listener: TcpListener,
}

impl PageServer {
    /// Behind a bound address.
    pub fn new(listener: TcpListener) -> Self {
        Self { listener }
    }

    /// Serves until the task is aborted.
    pub async fn serve(self, pages: Pages) {
        let (mut connections, mut failed) = (Connections::default(), Pace::default());
        loop {
            match self.listener.accept().await {
                Ok((stream, _)) => connections.add(stream, &pages),
                Err(error) => {
                    if let Some(times) = failed.add(1) {
                        tracing::warn!(%error, times, "accept failed");
                    }
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            }
        }
    }
}

impl Connections {
    /// Serves one more. If there are too many, the oldest that has asked for nothing gives way, else the oldest.
    fn add(&mut self, stream: TcpStream, pages: &Pages) {
        self.0.retain(|connection| !connection.task.is_finished());
        if self.0.len() == MAX_CONNECTIONS {
            let is_silent = |connection: &Connection| connection.asked.load(Ordering::Relaxed) == 0;
            let gives_way = self.0.remove(self.0.iter().position(is_silent).unwrap_or_default());
            gives_way.iter().for_each(|connection| connection.task.abort());
        }
        let asked = Arc::default();
        let task = tokio::spawn(serve(stream, Arc::clone(pages), Arc::clone(&asked)));
        self.0.push_back(Connection { task, asked });
    }
}

/// Serves a connection as long as requests come; `asked` counts them.
async fn serve(stream: TcpStream, pages: Pages, asked: Arc<AtomicU64>) {
    let service = service_fn(|request| {
        asked.fetch_add(1, Ordering::Relaxed);
        answer(Arc::clone(&pages), request)
    });
    let mut connection = pin!(
        hyper::server::conn::http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEADER_TIMEOUT)
            .serve_connection(TokioIo::new(stream), service)
    );
    loop {
        let before = asked.load(Ordering::Relaxed);
        match tokio::time::timeout(ANSWER_TIMEOUT, connection.as_mut()).await {
            Ok(Ok(())) => return,
            Ok(Err(error)) => return tracing::debug!(%error, "page connection ended"),
            Err(_) if asked.load(Ordering::Relaxed) == before => return,
            Err(_) => {}
        }
    }
}

/// Answers whatever the method is, as the collector does.
async fn answer(pages: Pages, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let missing = || respond(StatusCode::NOT_FOUND, "text/plain", "404 page not found\n".into());
    Ok(pages(request.uri().path()).unwrap_or_else(missing).map(Full::new))
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    /// What the server answers on a connection; nothing if it has ended it.
    async fn ask(connection: &mut TcpStream) -> String {
        let mut answer = [0; 12];
        let _ = connection.write_all(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n").await;
        let read = connection.read_exact(&mut answer).await;
        let mut rest = [0; 1_024];
        let _ = connection.read(&mut rest).await;
        read.map_or_else(|_| String::new(), |_| String::from_utf8_lossy(&answer).into_owned())
    }

    #[tokio::test]
    async fn answers_a_probe_however_many_connections_ask_for_nothing() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let server = PageServer::new(listener);
        let connect = || async { TcpStream::connect(address).await.expect("connected") };
        let serving = tokio::spawn(server.serve(Arc::new(|_| Some(Response::new(Bytes::from_static(b"up"))))));
        let mut first = connect().await;
        assert_eq!(ask(&mut first).await, "HTTP/1.1 200");
        let mut silent = Vec::new();
        for _ in 0..MAX_CONNECTIONS {
            silent.push(connect().await);
        }
        let started = std::time::Instant::now();
        assert_eq!(ask(&mut connect().await).await, "HTTP/1.1 200");
        assert!(started.elapsed() < HEADER_TIMEOUT, "{:?}", started.elapsed());
        assert_eq!(ask(&mut first).await, "HTTP/1.1 200", "who asks is served on");
        assert_eq!(ask(&mut silent[0]).await, "", "the oldest has made room");
        assert_eq!(ask(&mut silent[MAX_CONNECTIONS - 1]).await, "HTTP/1.1 200");
        serving.abort();
    }

    /// A scraper that asks each second must not find its connection cut in the middle.
    #[tokio::test(start_paused = true)]
    async fn serves_on_as_long_as_somebody_asks_and_cuts_off_who_does_not_read() {
        const LARGE: usize = 64 << 20;
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let pages: Pages = Arc::new(|path| {
            let page = if path == "/large" { Bytes::from(vec![0; LARGE]) } else { Bytes::from_static(b"up") };
            Some(Response::new(page))
        });
        let serving = tokio::spawn(PageServer::new(listener).serve(pages));
        let mut connection = TcpStream::connect(address).await.expect("connected");
        for second in 0..30 {
            assert_eq!(ask(&mut connection).await, "HTTP/1.1 200", "after {second} s");
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        connection.write_all(b"GET /large HTTP/1.1\r\nhost: a\r\n\r\n").await.expect("asked");
        tokio::time::sleep(2 * ANSWER_TIMEOUT + Duration::from_secs(1)).await;
        let mut read = Vec::new();
        let _ = connection.read_to_end(&mut read).await;
        assert!(read.len() < LARGE, "{}", read.len());
        serving.abort();
    }
}
