//! Name resolution for one exporter: one look-up per name, whose result all that ask for it share.

use std::collections::HashMap;
use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::vec;

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Shared};
use hyper_util::client::legacy::connect::dns::Name;
use tokio::task::spawn_blocking;
use tower_service::Service;

/// Why a name has no address.
type Failure = Arc<io::Error>;
type LookUp = Shared<BoxFuture<'static, Result<Vec<SocketAddr>, Failure>>>;
type System = dyn Fn(&str) -> io::Result<Vec<SocketAddr>> + Send + Sync;

/// Asks the system for addresses. A dead name server keeps a thread for seconds, whoever still waits, and there are few:
/// without sharing, the consumers of one exporter would take those of all others.
#[derive(Clone)]
pub(super) struct Resolver {
    system: Arc<System>,
    under_way: Arc<Mutex<HashMap<String, LookUp>>>,
}

impl Resolver {
    pub(super) fn new() -> Self {
        Self::asking(|name| Ok((name, 0).to_socket_addrs()?.collect()))
    }

    fn asking(system: impl Fn(&str) -> io::Result<Vec<SocketAddr>> + Send + Sync + 'static) -> Self {
        Self { system: Arc::new(system), under_way: Arc::default() }
    }

    fn look_up(&self, name: &str) -> LookUp {
        let start = || {
            let (resolver, name) = (self.clone(), name.to_owned());
            let asked = spawn_blocking(move || resolver.ask(&name));
            asked.map(|answer| answer.unwrap_or_else(|error| Err(Arc::new(error.into())))).boxed().shared()
        };
        self.under_way().entry(name.to_owned()).or_insert_with(start).clone()
    }

    fn ask(&self, name: &str) -> Result<Vec<SocketAddr>, Failure> {
        let addresses = (self.system)(name);
        // Whoever comes from now on asks anew.
        self.under_way().remove(name);
        addresses.map_err(Arc::new)
    }

    fn under_way(&self) -> MutexGuard<'_, HashMap<String, LookUp>> {
        self.under_way.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Service<Name> for Resolver {
    type Response = vec::IntoIter<SocketAddr>;
    type Error = Failure;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Failure>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Failure>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, name: Name) -> Self::Future {
        self.look_up(name.as_str()).map(|addresses| Ok(addresses?.into_iter())).boxed()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::mpsc;

    use futures_util::future::join_all;

    use super::*;

    #[tokio::test]
    async fn all_that_ask_for_a_name_share_one_look_up() {
        let (answer, answers) = mpsc::channel();
        let (answers, asked) = (Mutex::new(answers), Arc::new(AtomicUsize::new(0)));
        let count = Arc::clone(&asked);
        let resolver = Resolver::asking(move |_| {
            count.fetch_add(1, Ordering::Relaxed);
            answers.lock().expect("answers").recv().expect("an answer")
        });
        let address = SocketAddr::from(([127, 0, 0, 1], 0));
        let ask = || {
            let mut resolver = resolver.clone();
            resolver.call("a.test".parse().expect("a name"))
        };
        // One that gives up leaves the look-up to the others.
        drop(ask());
        let all: Vec<_> = (0..10).map(|_| ask()).collect();
        answer.send(Ok(vec![address])).expect("asked");
        for found in join_all(all).await {
            assert_eq!(found.expect("an address").collect::<Vec<_>>(), [address]);
        }
        assert_eq!(asked.load(Ordering::Relaxed), 1);

        answer.send(Err(io::Error::other("no such name"))).expect("asked");
        assert_eq!(ask().await.expect_err("no address").to_string(), "no such name", "asked anew");
        assert_eq!(asked.load(Ordering::Relaxed), 2);
    }
}
