//! The small HTTP server behind the pages.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

use super::health::respond;

/// Answers a path; none means that there is no such page.
pub type Pages = Arc<dyn Fn(&str) -> Option<Response<Bytes>> + Send + Sync>;

/// How many connections are served at a time; probes and scrapers need a handful.
const MAX_CONNECTIONS: usize = 64;
/// A probe that has not sent its request by then is cut off.
const HEADER_TIMEOUT: Duration = Duration::from_secs(5);
/// Whoever asks and does not read the answer must not keep others out.
const CONNECTION_TIMEOUT: Duration = Duration::from_secs(10);

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
        let connections = Arc::new(Semaphore::new(MAX_CONNECTIONS));
        loop {
            let Ok(permit) = Arc::clone(&connections).acquire_owned().await else { return };
            let stream = match self.listener.accept().await {
                Ok((stream, _)) => stream,
                Err(error) => {
                    tracing::warn!(%error, "accept failed");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                    continue;
                }
            };
            let pages = Arc::clone(&pages);
            tokio::spawn(async move {
                let service = service_fn(move |request| answer(Arc::clone(&pages), request));
                let connection = hyper::server::conn::http1::Builder::new()
                    .timer(TokioTimer::new())
                    .header_read_timeout(HEADER_TIMEOUT)
                    .serve_connection(TokioIo::new(stream), service);
                if let Ok(Err(error)) = tokio::time::timeout(CONNECTION_TIMEOUT, connection).await {
                    tracing::debug!(%error, "page connection ended");
                }
                drop(permit);
            });
        }
    }
}

/// Answers whatever the method is, as the collector does.
async fn answer(pages: Pages, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let missing = || respond(StatusCode::NOT_FOUND, "text/plain", "404 page not found\n".into());
    Ok(pages(request.uri().path()).unwrap_or_else(missing).map(Full::new))
}
