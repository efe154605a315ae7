//! What an exporter's queue says in the log and about its health: changes and losses, not every request.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::export::Dropped;
use crate::export::client::shorten;
use crate::export::dead_letter::Kept;
use crate::pace::{Pace, Rest};

/// Whether an exporter's destination takes anything.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Health {
    /// Something was delivered since the last failure.
    Works,
    /// Requests fail.
    Fails {
        /// For how long by now.
        since: Duration,
        /// How long ago that was tried last.
        last: Duration,
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
    dead_lettered: Pace,
    refused_beside: Pace,
    not_expressible: Pace,
}

struct Failure {
    since: Instant,
    last: Instant,
    reason: String,
    /// Whether it is in the log, so that its end belongs there, too.
    is_told: bool,
}

impl State {
    fn fail(&mut self, reason: &str) {
        let last = Instant::now();
        let reason = reason.to_owned();
        let (since, is_told) = self.failure.as_ref().map_or((last, false), |failure| (failure.since, failure.is_told));
        self.failure = Some(Failure { since, last, reason, is_told });
    }
}

impl Journal {
    pub(super) fn new(exporter: &str) -> Self {
        Self { exporter: exporter.to_owned(), state: Mutex::default() }
    }

    pub(super) fn health(&self) -> Health {
        match &self.state().failure {
            None => Health::Works,
            Some(Failure { since, last, reason, .. }) => {
                Health::Fails { since: since.elapsed(), last: last.elapsed(), reason: reason.clone() }
            }
        }
    }

    /// Something was delivered.
    pub(super) fn works(&self) {
        let Some(failure) = self.state().failure.take() else { return };
        if failure.is_told {
            let seconds = failure.since.elapsed().as_secs_f64();
            tracing::info!(exporter = self.exporter, failed_for_seconds = seconds, "exporting works again");
        }
    }

    /// A request failed and will be sent again.
    pub(super) fn fails(&self, reason: &str, wait: Duration) {
        self.state().fail(reason);
        let seconds = wait.as_secs_f64();
        if self.add(1, |state| &mut state.warning).is_some() {
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
        if let Some(items) = self.add(items, |state| &mut state.given_back) {
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
        if nothing_delivered {
            self.state().fail("no answer before the sender went away");
        }
        if let Some(items) = self.add(items, |state| &mut state.cancelled) {
            tracing::warn!(exporter = self.exporter, items, "items not exported; their sender, who waited, went away");
        }
    }

    /// Items were given up.
    pub(super) fn lost(&self, items: u64, reason: &'static str, detail: &str) {
        if let Some(items) = self.add(items, |state| &mut state.lost) {
            tracing::error!(exporter = self.exporter, items, reason, detail, "items lost");
        }
    }

    /// The destination will never take some items.
    pub(super) fn refused(&self, items: u64, reason: &str, kept: Kept) {
        match kept {
            Kept::Yes => {
                if let Some(items) = self.add(items, |state| &mut state.dead_lettered) {
                    tracing::warn!(exporter = self.exporter, items, reason, "items refused, kept as dead letters");
                }
            }
            Kept::No => {
                if let Some(items) = self.add(items, |state| &mut state.refused) {
                    tracing::error!(
                        exporter = self.exporter,
                        items,
                        reason,
                        "items refused by the destination and lost"
                    );
                }
            }
        }
    }

    /// The destination will never take something beside the items, such as `target_info`; they end by themselves.
    pub(super) fn refused_beside(&self, reason: &str) {
        if let Some(parts) = self.add(1, |state| &mut state.refused_beside) {
            tracing::warn!(exporter = self.exporter, parts, reason, "parts without items refused by the destination");
        }
    }

    /// Some items can't be expressed for the destination.
    pub(super) fn not_expressible(&self, dropped: &Dropped) {
        if let Some(items) = self.add(dropped.items, |state| &mut state.not_expressible) {
            // Names in it are as long as the sender likes.
            let (reason, detail) = (dropped.reason, shorten(dropped.detail.clone()));
            tracing::warn!(exporter = self.exporter, items, reason, detail, "items dropped by the exporter");
        }
    }

    /// Tells what was not told yet.
    pub(super) fn tell(&self, rest: Rest) {
        // The lock is not held while the log is written, which may stand still.
        let [given_back, cancelled, lost, refused, dead_lettered, refused_beside, not_expressible] = {
            let State { given_back, cancelled, lost, refused, dead_lettered, refused_beside, not_expressible, .. } =
                &mut *self.state();
            let all = [given_back, cancelled, lost, refused, dead_lettered, refused_beside, not_expressible];
            all.map(|pace| pace.rest(rest))
        };
        let exporter = &self.exporter;
        if let Some(items) = lost {
            tracing::error!(exporter, items, "more items lost");
        }
        if let Some(items) = refused {
            tracing::error!(exporter, items, "more items refused by the destination and lost");
        }
        if let Some(items) = dead_lettered {
            tracing::warn!(exporter, items, "more items refused, kept as dead letters");
        }
        if let Some(parts) = refused_beside {
            tracing::warn!(exporter, parts, "more parts without items refused by the destination");
        }
        if let Some(items) = not_expressible {
            tracing::warn!(exporter, items, "more items dropped by the exporter");
        }
        if let Some(items) = given_back {
            tracing::warn!(exporter, items, "more items not exported, whose senders waited");
        }
        if let Some(items) = cancelled {
            tracing::warn!(exporter, items, "more items not exported, whose senders went away");
        }
    }

    /// Adds to what a message stands for; returns the sum when it is due, and whoever reads it knows of the failure.
    fn add(&self, items: u64, pace: impl FnOnce(&mut State) -> &mut Pace) -> Option<u64> {
        let mut state = self.state();
        let due = pace(&mut state).add(items)?;
        state.failure.iter_mut().for_each(|failure| failure.is_told = true);
        Some(due)
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
        tokio::time::advance(Duration::from_secs(5)).await;
        let [since, last] = [12, 5].map(Duration::from_secs);
        assert_eq!(journal.health(), Health::Fails { since, last, reason: "busy".into() });
        journal.works();
        assert_eq!(journal.health(), Health::Works);
    }

    /// Each sum is told by its own line, the rest when it is due.
    #[tokio::test(start_paused = true)]
    async fn what_is_lost_is_never_told_as_kept() {
        let file = tempfile::NamedTempFile::new().expect("a file");
        let writer = Mutex::new(file.reopen().expect("a file"));
        let log = tracing_subscriber::fmt().with_writer(writer).with_ansi(false).with_target(false).without_time();
        let _logged = tracing::subscriber::set_default(log.finish());
        let journal = Journal::new("x");
        for items in [1, 10] {
            journal.refused(items, "bad", Kept::Yes);
            journal.refused(items + 1, "bad", Kept::No);
            journal.cancelled(items + 2, false);
            journal.refused_beside("late");
        }
        journal.tell(Rest::All);
        journal.tell(Rest::All);
        let said = std::fs::read_to_string(file.path()).expect("text");
        let lines: Vec<&str> = said.lines().map(str::trim).collect();
        let expected = [
            "WARN items refused, kept as dead letters exporter=\"x\" items=1 reason=\"bad\"",
            "ERROR items refused by the destination and lost exporter=\"x\" items=2 reason=\"bad\"",
            "WARN items not exported; their sender, who waited, went away exporter=\"x\" items=3",
            "WARN parts without items refused by the destination exporter=\"x\" parts=1 reason=\"late\"",
            "ERROR more items refused by the destination and lost exporter=\"x\" items=11",
            "WARN more items refused, kept as dead letters exporter=\"x\" items=10",
            "WARN more parts without items refused by the destination exporter=\"x\" parts=1",
            "WARN more items not exported, whose senders went away exporter=\"x\" items=12",
        ];
        assert_eq!(lines, expected);
    }
}
