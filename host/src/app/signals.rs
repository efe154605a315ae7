//! The signals that end the process, and SIGHUP, which does not.

use tokio::signal::unix::{Signal, SignalKind, signal};

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
