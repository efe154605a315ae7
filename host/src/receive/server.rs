//! The accept loop of a listener: connections up to a limit, certificates that are read again, and the end.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::{JoinSet, spawn_blocking};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, timeout_at};
use tracing::{info, warn};

use super::connection::{self, Phase, Shared};
use super::listen::{BoundAddress, Listener};
use super::tls::ServerTls;
use super::windows::Windows;
use crate::pace::Pace;

/// Pause after a failed accept: it fails again at once while file descriptors are short.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// What replies get to reach their peers after the deadline of draining.
const FLUSH: Duration = Duration::from_millis(500);

/// How a receiver ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Drained {
    /// Connections that were cut off with requests under way.
    pub cut_off: usize,
}

/// A listener with all that its connections need.
pub(super) struct Server {
    pub(super) listener: Listener,
    pub(super) shared: Arc<Shared>,
    pub(super) max_connections: usize,
    pub(super) windows: Arc<Windows>,
}

impl Server {
    /// Accepts until the phase changes, then waits for its connections; cuts off what is left after the ending.
    pub(super) async fn run(self, mut phase: watch::Receiver<Phase>) -> Drained {
        let mut connections = JoinSet::new();
        {
            // In its own block, so that the socket closes as soon as nothing is accepted any more.
            let server = self;
            tokio::select! {
                biased;
                _ = phase.wait_for(|phase| *phase != Phase::Serving) => {}
                () = reload(server.shared.tls.clone(), server.listener.address()) => {}
                () = server.accept(&mut connections) => {}
            }
        }
        let ending = phase.wait_for(|phase| *phase == Phase::Ending);
        tokio::select! {
            biased;
            () = finish(&mut connections) => return Drained::default(),
            _ = ending => {}
        }
        let flushed = Instant::now() + FLUSH;
        // Either all have ended, or the rest is counted.
        let _ = timeout_at(flushed, finish(&mut connections)).await;
        Drained { cut_off: connections.len() }
    }

    /// Accepts connections; never ends.
    async fn accept(&self, connections: &mut JoinSet<()>) {
        let Self { listener, shared, max_connections, windows } = self;
        let (mut refused, mut failed) = (Pace::default(), Pace::default());
        loop {
            let accepted = tokio::select! {
                biased;
                Some(_) = connections.join_next() => continue,
                accepted = listener.accept() => accepted,
            };
            match accepted {
                Ok(stream) if connections.len() < *max_connections => {
                    connections.spawn(connection::serve(stream, Arc::clone(shared), windows.take()));
                }
                Ok(_) => {
                    if let Some(closed) = refused.add(1) {
                        warn!(endpoint = %listener.address(), max_connections, closed, "too many connections, new ones are closed");
                    }
                }
                Err(error) => {
                    if let Some(times) = failed.add(1) {
                        warn!(endpoint = %listener.address(), %error, times, "can't accept a connection");
                    }
                    sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }
}

async fn finish(connections: &mut JoinSet<()>) {
    while connections.join_next().await.is_some() {}
}

/// Looks at the certificate files now and then; never ends.
async fn reload(tls: Option<Arc<ServerTls>>, endpoint: BoundAddress) {
    let Some(tls) = tls else {
        return std::future::pending().await;
    };
    let mut ticks = interval(tls.reload_interval());
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut broken = false;
    loop {
        ticks.tick().await;
        let reader = Arc::clone(&tls);
        match spawn_blocking(move || reader.reload()).await {
            Ok(Ok(true)) => {
                broken = false;
                info!(%endpoint, "certificates were read again");
            }
            Ok(Ok(false)) => broken = false,
            // Said once, not with every look.
            Ok(Err(error)) if !broken => {
                broken = true;
                warn!(%endpoint, %error, "changed certificates are of no use, the old ones stay");
            }
            Ok(Err(_)) | Err(_) => {}
        }
    }
}
