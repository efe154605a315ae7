//! Lets a log message through now and then, and adds up what it stands for.

use std::time::Duration;

use tokio::time::Instant;

/// A message that concerns the same thing is repeated this often, with what happened in between.
const REPEAT_AFTER: Duration = Duration::from_secs(10);
/// What happened since is told by itself if no message has come that tells it, with its reason, for so long.
const REST_AFTER: Duration = Duration::from_secs(12);

/// What is told of that which no message stood for yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rest {
    /// What has waited long enough.
    Due,
    /// All: there will be no other message.
    All,
}

/// The pace of one message.
#[derive(Debug, Default)]
pub(crate) struct Pace {
    last: Option<Instant>,
    sum: u64,
}

impl Pace {
    /// Adds to what the message stands for; returns the sum since the last one when the next one is due.
    pub(crate) fn add(&mut self, count: u64) -> Option<u64> {
        self.sum += count;
        let now = Instant::now();
        if self.last.is_some_and(|last| now.saturating_duration_since(last) < REPEAT_AFTER) {
            return None;
        }
        self.last = Some(now);
        Some(std::mem::take(&mut self.sum))
    }

    /// What no message stood for yet, to be told now.
    pub(crate) fn rest(&mut self, which: Rest) -> Option<u64> {
        if which == Rest::Due && self.last.is_none_or(|last| last.elapsed() < REST_AFTER) {
            return None;
        }
        Some(std::mem::take(&mut self.sum)).filter(|rest| *rest > 0)
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
        assert_eq!(pace.rest(Rest::All), None);
        assert_eq!(pace.add(2), None);
        assert_eq!(pace.rest(Rest::All), Some(2));
    }

    #[tokio::test(start_paused = true)]
    async fn tells_what_came_since_by_itself_when_no_message_comes() {
        let mut pace = Pace::default();
        assert_eq!(pace.rest(Rest::Due), None);
        assert_eq!((pace.add(3), pace.add(4)), (Some(3), None));
        tokio::time::advance(REST_AFTER - Duration::from_millis(1)).await;
        assert_eq!(pace.rest(Rest::Due), None);
        tokio::time::advance(Duration::from_millis(1)).await;
        assert_eq!((pace.rest(Rest::Due), pace.rest(Rest::Due)), (Some(4), None));
        assert_eq!(pace.add(5), Some(5), "with its reason");
    }
}
