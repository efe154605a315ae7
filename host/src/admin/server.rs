//! The small HTTP server behind the pages.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, lookup_host};
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
    /// Listens on an address; without a host on all of the machine.
    ///
    /// # Errors
    /// Returns the system's reason, such as an address in use.
    pub async fn bind(endpoint: &str) -> std::io::Result<Self> {
        let addresses = match endpoint.strip_prefix(':') {
            None => in_order(lookup_host(endpoint).await?),
            // The second is for a machine without IPv6.
            Some(port) => {
                let all = [lookup_host(format!("[::]:{port}")).await?, lookup_host(format!("0.0.0.0:{port}")).await?];
                all.into_iter().flatten().collect()
            }
        };
        Ok(Self { listener: TcpListener::bind(addresses.as_slice()).await? })
    }

    /// Where it listens.
    ///
    /// # Errors
    /// Returns the system's reason.
    pub fn local_addr(&self) -> std::io::Result<SocketAddr> {
        self.listener.local_addr()
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

/// The first that can be had is bound, and as in Go's `net.Listen` that is an IPv4 address if there is one: `localhost`
/// may be both.
fn in_order(addresses: impl Iterator<Item = SocketAddr>) -> Vec<SocketAddr> {
    let mut addresses: Vec<_> = addresses.collect();
    addresses.sort_by_key(SocketAddr::is_ipv6);
    addresses
}

/// Answers whatever the method is, as the collector does.
async fn answer(pages: Pages, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let missing = || respond(StatusCode::NOT_FOUND, "text/plain", "404 page not found\n".into());
    Ok(pages(request.uri().path()).unwrap_or_else(missing).map(Full::new))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_of_both_families_is_ipv4() {
        let parse = |text: &str| text.parse::<SocketAddr>().expect("an address");
        let [v6, v4] = ["[::1]:1", "127.0.0.1:1"].map(parse);
        assert_eq!(in_order([v6, v4].into_iter()), [v4, v6]);
    }

    #[tokio::test]
    async fn listens_on_all_interfaces_without_a_host() {
        let server = PageServer::bind(":0").await.expect("a port");
        assert!(server.local_addr().expect("an address").ip().is_unspecified());
    }
}
