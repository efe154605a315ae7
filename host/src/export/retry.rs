//! When a failed request is sent again: exponential back-off with jitter, until it is too old.
//!
//! Pure: the time and the randomness are arguments.

use std::time::{Duration, Instant};

use crate::config::types::RetryConfig;

/// One request's way through its retries.
#[derive(Clone, Copy, Debug)]
pub struct Backoff {
    policy: RetryConfig,
    interval: Duration,
    first_sent: Instant,
}

/// What to do with a request that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Send it again after so long.
    Wait(Duration),
    /// Give it up: retries are switched off.
    Disabled,
    /// Give it up: it would be older than `max_elapsed_time` by then.
    TooOld,
}

impl Backoff {
    /// Starts with a request's first attempt.
    pub fn new(policy: RetryConfig, now: Instant) -> Self {
        Self { policy, interval: policy.initial_interval.get(), first_sent: now }
    }

    /// Says what to do after a failed attempt. `random` is drawn uniformly from `0.0..1.0`; `after` is the time that
    /// the destination asked for, which is never undercut.
    pub fn next(&mut self, now: Instant, random: f64, after: Option<Duration>) -> Decision {
        if !self.policy.enabled {
            return Decision::Disabled;
        }
        let wait = self.step(random).max(after.unwrap_or_default());
        let age = now.saturating_duration_since(self.first_sent).saturating_add(wait);
        let limit = self.policy.max_elapsed_time.get();
        if !limit.is_zero() && age > limit {
            return Decision::TooOld;
        }
        Decision::Wait(wait)
    }

    fn step(&mut self, random: f64) -> Duration {
        let factor = self.policy.randomization_factor;
        let wait = scale(self.interval, 1.0 - factor + 2.0 * factor * random);
        self.interval = scale(self.interval, self.policy.multiplier.max(1.0)).min(self.policy.max_interval.get());
        wait
    }
}

/// Multiplies without panicking: out of range becomes the longest duration, nonsense becomes zero.
fn scale(duration: Duration, factor: f64) -> Duration {
    let seconds = duration.as_secs_f64() * factor;
    if seconds.is_nan() || seconds <= 0.0 {
        return Duration::ZERO;
    }
    Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::types::Duration as Configured;

    const MIDDLE: f64 = 0.5;

    fn policy() -> RetryConfig {
        RetryConfig { initial_interval: Configured::from_secs(4), multiplier: 2.0, ..RetryConfig::DEFAULT }
    }

    fn seconds(seconds: f64) -> Decision {
        Decision::Wait(Duration::from_secs_f64(seconds))
    }

    #[test]
    fn grows_exponentially_up_to_the_longest_interval() {
        let now = Instant::now();
        let mut backoff = Backoff::new(policy(), now);
        let waits: Vec<_> = (0..6).map(|_| backoff.next(now, MIDDLE, None)).collect();
        assert_eq!(waits, [4.0, 8.0, 16.0, 30.0, 30.0, 30.0].map(seconds));
    }

    #[test]
    fn spreads_waits_over_the_whole_range_of_the_jitter() {
        let now = Instant::now();
        for (random, expected) in [(0.0, 2.0), (MIDDLE, 4.0), (1.0, 6.0)] {
            assert_eq!(Backoff::new(policy(), now).next(now, random, None), seconds(expected), "random {random}");
        }
        let exact = RetryConfig { randomization_factor: 0.0, ..policy() };
        assert_eq!(Backoff::new(exact, now).next(now, 0.9, None), seconds(4.0));
    }

    #[test]
    fn never_comes_back_earlier_than_the_destination_asked() {
        let now = Instant::now();
        for (after, expected) in [(0, 4.0), (1, 4.0), (60, 60.0)] {
            let after = Some(Duration::from_secs(after));
            assert_eq!(Backoff::new(policy(), now).next(now, MIDDLE, after), seconds(expected));
        }
    }

    #[test]
    fn gives_up_a_request_that_would_be_older_than_the_limit() {
        let now = Instant::now();
        for (age, expected) in [(296, seconds(4.0)), (297, Decision::TooOld)] {
            let mut backoff = Backoff::new(policy(), now);
            assert_eq!(backoff.next(now + Duration::from_secs(age), MIDDLE, None), expected, "age {age} s");
        }
    }

    #[test]
    fn never_gives_up_without_a_limit() {
        let now = Instant::now();
        let mut backoff = Backoff::new(RetryConfig { max_elapsed_time: Configured::ZERO, ..policy() }, now);
        assert_eq!(backoff.next(now + Duration::from_secs(1_000_000), MIDDLE, None), seconds(4.0));
    }

    #[test]
    fn sends_nothing_again_when_switched_off() {
        let now = Instant::now();
        let mut backoff = Backoff::new(RetryConfig { enabled: false, ..policy() }, now);
        assert_eq!(backoff.next(now, MIDDLE, Some(Duration::ZERO)), Decision::Disabled);
    }

    #[test]
    fn survives_settings_without_any_sense() {
        let now = Instant::now();
        let absurd = RetryConfig {
            initial_interval: Configured::from_nanos(u64::MAX),
            randomization_factor: f64::NAN,
            multiplier: f64::INFINITY,
            max_interval: Configured::from_nanos(u64::MAX),
            ..policy()
        };
        let mut backoff = Backoff::new(absurd, now);
        backoff.next(now, MIDDLE, Some(Duration::MAX));
        backoff.next(now, MIDDLE, None);
    }
}
