//! What an exporter's queue says in the log and about its health: changes and losses, not every request.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::export::Dropped;
use crate::export::dead_letter::Kept;

/// A message that concerns the same thing is repeated this often, with what happened in between.
const REPEAT_AFTER: Duration = Duration::from_secs(10);

/// Whether an exporter's destination takes anything.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Health {
    /// The last request was answered.
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
    lost: Pace,
    refused: Pace,
    not_expressible: Pace,
}

struct Failure {
    since: Instant,
    reason: String,
}

/// Lets a message through now and then, and adds up what it stands for.
#[derive(Default)]
struct Pace {
    last: Option<Instant>,
    items: u64,
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

    /// A request was answered.
    pub(super) fn works(&self) {
        let Some(failure) = self.state().failure.take() else { return };
        let seconds = failure.since.elapsed().as_secs_f64();
        tracing::info!(exporter = self.exporter, failed_for_seconds = seconds, "exporting works again");
    }

    /// A request failed and will be sent again.
    pub(super) fn fails(&self, reason: &str, wait: Duration) {
        if wait.is_zero() {
            return; // not a failure, but smaller requests
        }
        let warn = {
            let mut state = self.state();
            match &mut state.failure {
                Some(failure) if failure.reason == reason => {}
                Some(failure) => failure.reason = reason.to_owned(),
                None => state.failure = Some(Failure { since: Instant::now(), reason: reason.to_owned() }),
            }
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
            let Dropped { reason, detail, .. } = dropped;
            tracing::warn!(exporter = self.exporter, items, reason, detail, "items dropped by the exporter");
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Pace {
    /// Adds items; returns the sum since the last message when the next one is due.
    fn add(&mut self, items: u64) -> Option<u64> {
        self.items += items;
        let now = Instant::now();
        if self.last.is_some_and(|last| now.saturating_duration_since(last) < REPEAT_AFTER) {
            return None;
        }
        self.last = Some(now);
        Some(std::mem::take(&mut self.items))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn repeats_a_message_after_a_while_with_the_sum_in_between() {
        let mut pace = Pace::default();
        assert_eq!(pace.add(3), Some(3));
        assert_eq!(pace.add(4), None);
        tokio::time::advance(REPEAT_AFTER - Duration::from_millis(1)).await;
        assert_eq!(pace.add(5), None);
        tokio::time::advance(Duration::from_millis(1)).await;
        assert_eq!(pace.add(1), Some(10));
    }

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

    #[test]
    fn does_not_take_smaller_requests_for_a_failure() {
        let journal = Journal::new("otlp");
        journal.fails("too large", Duration::ZERO);
        assert_eq!(journal.health(), Health::Works);
    }
}
