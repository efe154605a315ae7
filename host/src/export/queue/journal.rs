//! What an exporter's queue says in the log and about its health: changes and losses, not every request.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::export::Dropped;
use crate::export::client::shorten;
use crate::export::dead_letter::Kept;
use crate::pace::Pace;

/// Whether an exporter's destination takes anything.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Health {
    /// Something was delivered since the last failure.
    Works,
    /// Requests fail.
    Fails {
        /// For how long by now.
        since: Duration,
        /// The last failure, in the destination's words.
        reason: String,
    },
}

pub(super) struct Journal {
    exporter: String,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    failure: Option<Failure>,
    warning: Pace,
    given_back: Pace,
    cancelled: Pace,
    lost: Pace,
    refused: Pace,
    not_expressible: Pace,
}

struct Failure {
    since: Instant,
    reason: String,
}

impl State {
    fn fail(&mut self, reason: &str) {
        match &mut self.failure {
            Some(failure) if failure.reason == reason => {}
            Some(failure) => failure.reason = reason.to_owned(),
            None => self.failure = Some(Failure { since: Instant::now(), reason: reason.to_owned() }),
        }
    }
}

impl Journal {
    pub(super) fn new(exporter: &str) -> Self {
        Self { exporter: exporter.to_owned(), state: Mutex::default() }
    }

    pub(super) fn health(&self) -> Health {
        match &self.state().failure {
            None => Health::Works,
            Some(failure) => Health::Fails { since: failure.since.elapsed(), reason: failure.reason.clone() },
        }
    }

    /// Something was delivered.
    pub(super) fn works(&self) {
        let Some(failure) = self.state().failure.take() else { return };
        let seconds = failure.since.elapsed().as_secs_f64();
        tracing::info!(exporter = self.exporter, failed_for_seconds = seconds, "exporting works again");
    }

    /// A request failed and will be sent again.
    pub(super) fn fails(&self, reason: &str, wait: Duration) {
        let warn = {
            let mut state = self.state();
            state.fail(reason);
            state.warning.add(1).is_some()
        };
        let seconds = wait.as_secs_f64();
        if warn {
            tracing::warn!(
                exporter = self.exporter,
                reason,
                retry_in_seconds = seconds,
                "exporting failed, will retry"
            );
        } else {
            tracing::debug!(exporter = self.exporter, reason, retry_in_seconds = seconds, "exporting failed again");
        }
    }

    /// A request failed and will not be sent again; what becomes of its items is told apart.
    pub(super) fn gives_up(&self, reason: &str) {
        self.state().fail(reason);
    }

    /// Items were given up whose sender waits to hear of it.
    pub(super) fn given_back(&self, items: u64, reason: &'static str, detail: &str) {
        let due = self.state().given_back.add(items);
        if let Some(items) = due {
            tracing::warn!(
                exporter = self.exporter,
                items,
                reason,
                detail,
                "items not exported, the sender is told to try again"
            );
        }
    }

    /// Items whose sender waited and went away, with nothing delivered or a part.
    pub(super) fn cancelled(&self, items: u64, nothing_delivered: bool) {
        let mut state = self.state();
        if nothing_delivered {
            state.fail("no answer before the sender went away");
        }
        let due = state.cancelled.add(items);
        drop(state);
        if let Some(items) = due {
            tracing::warn!(exporter = self.exporter, items, "items not exported; their sender, who waited, went away");
        }
    }

    /// Items were given up.
    pub(super) fn lost(&self, items: u64, reason: &'static str, detail: &str) {
        let due = self.state().lost.add(items);
        if let Some(items) = due {
            tracing::error!(exporter = self.exporter, items, reason, detail, "items lost");
        }
    }

    /// The destination will never take some items.
    pub(super) fn refused(&self, items: u64, reason: &str, kept: Kept) {
        let due = self.state().refused.add(items);
        match (due, kept) {
            (None, _) => {}
            (Some(items), Kept::Yes) => {
                tracing::warn!(exporter = self.exporter, items, reason, "items refused, kept as dead letters");
            }
            (Some(items), Kept::No) => {
                tracing::error!(exporter = self.exporter, items, reason, "items refused by the destination and lost");
            }
        }
    }

    /// Some items can't be expressed for the destination.
    pub(super) fn not_expressible(&self, dropped: &Dropped) {
        let due = self.state().not_expressible.add(dropped.items);
        if let Some(items) = due {
            // Names in it are as long as the sender likes.
            let (reason, detail) = (dropped.reason, shorten(dropped.detail.clone()));
            tracing::warn!(exporter = self.exporter, items, reason, detail, "items dropped by the exporter");
        }
    }

    /// What was not told yet, at the end.
    pub(super) fn finish(&self) {
        let State { given_back, lost, refused, not_expressible, .. } = &mut *self.state();
        let exporter = &self.exporter;
        if let Some(items) = lost.rest() {
            tracing::error!(exporter, items, "more items lost");
        }
        if let Some(items) = refused.rest() {
            tracing::error!(exporter, items, "more items refused by the destination");
        }
        if let Some(items) = not_expressible.rest() {
            tracing::warn!(exporter, items, "more items dropped by the exporter");
        }
        if let Some(items) = given_back.rest() {
            tracing::warn!(exporter, items, "more items not exported, whose senders waited");
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn tells_how_long_a_destination_has_been_failing_and_why() {
        let journal = Journal::new("otlp");
        assert_eq!(journal.health(), Health::Works);
        journal.fails("connection refused", Duration::from_secs(1));
        tokio::time::advance(Duration::from_secs(7)).await;
        journal.fails("busy", Duration::from_secs(1));
        assert_eq!(journal.health(), Health::Fails { since: Duration::from_secs(7), reason: "busy".into() });
        journal.works();
        assert_eq!(journal.health(), Health::Works);
    }
}
