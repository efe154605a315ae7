//! The signals that end the process, and SIGHUP, which does not.

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::oneshot;
use tokio::task::JoinError;

/// SIGTERM and SIGINT; SIGHUP, with which others read their configuration again, is told that this takes a restart.
pub(super) struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
}

impl Signals {
    /// Listens from now on.
    pub(super) fn listen() -> std::io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }

    /// Waits for everything to be started. A signal ends the process meanwhile, whatever it is busy with: nothing was
    /// taken in yet.
    pub(super) async fn while_starting<T>(self, starting: impl Future<Output = T>) -> (T, Result<Self, JoinError>) {
        let (guard, is_started) = oneshot::channel();
        // On a thread of its own: plugins are compiled and configured on this one.
        let listening = tokio::spawn(self.end_process_until(is_started));
        let started = starting.await;
        drop(guard);
        (started, listening.await)
    }

    async fn end_process_until(mut self, started: oneshot::Receiver<()>) -> Self {
        let name = tokio::select! {
            biased;
            _ = started => return self,
            name = self.next() => name,
        };
        tracing::info!(signal = name, "ending before everything was started");
        std::process::exit(0)
    }

    /// Waits for the next one and gives its name.
    pub(super) async fn next(&mut self) -> &'static str {
        loop {
            tokio::select! {
                biased;
                _ = self.terminate.recv() => return "SIGTERM",
                _ = self.interrupt.recv() => return "SIGINT",
                _ = self.hangup.recv() => {
                    tracing::warn!("SIGHUP is ignored: the configuration is read at the start, restart to have it read again");
                }
            }
        }
    }
}
