//! Rate limits of a stage.

use std::collections::HashMap;

/// Buckets that one stage may have. Past that, full ones make room: forgetting a full bucket changes nothing.
const MAX_BUCKETS: usize = 10_000;

/// Bytes of a bucket's name. A longer one gets nothing, which shows at the first try.
const MAX_NAME: usize = 256;

/// Batches of several workers come in no strict order, but a time so long before the last one is that of another clock.
const SET_BACK_NANO: u64 = 60_000_000_000;

/// Buckets by name.
#[derive(Debug, Default)]
pub(in crate::stage) struct TokenBuckets(HashMap<String, Bucket>);

#[derive(Debug)]
struct Bucket {
    tokens: f64,
    per_second: f64,
    burst: f64,
    filled_unix_nano: u64,
}

impl TokenBuckets {
    /// Takes up to `wanted` tokens and says how many it got. A new bucket is full.
    pub(in crate::stage) fn take(
        &mut self,
        name: &str,
        wanted: u32,
        per_second: f64,
        burst: f64,
        now_unix_nano: u64,
    ) -> u32 {
        // Whatever a guest passes becomes a number that is not negative: `max` is not NaN if its argument isn't.
        let (per_second, burst) = (per_second.max(0.0), burst.clamp(0.0, f64::from(u32::MAX)).max(0.0));
        if name.len() > MAX_NAME {
            return 0;
        }
        if !self.0.contains_key(name) {
            if self.0.len() >= MAX_BUCKETS {
                self.0.retain(|_, bucket| bucket.tokens_at(now_unix_nano) < bucket.burst);
            }
            if self.0.len() >= MAX_BUCKETS {
                return 0;
            }
            let full = Bucket { tokens: burst, per_second, burst, filled_unix_nano: now_unix_nano };
            self.0.insert(name.to_owned(), full);
        }
        let Some(bucket) = self.0.get_mut(name) else { return 0 };
        (bucket.per_second, bucket.burst) = (per_second, burst);
        bucket.tokens = bucket.tokens_at(now_unix_nano);
        if now_unix_nano.saturating_add(SET_BACK_NANO) < bucket.filled_unix_nano {
            bucket.filled_unix_nano = now_unix_nano;
        }
        bucket.filled_unix_nano = bucket.filled_unix_nano.max(now_unix_nano);
        let taken = bucket.tokens.floor().min(f64::from(wanted));
        bucket.tokens -= taken;
        taken as u32
    }
}

impl Bucket {
    fn tokens_at(&self, now_unix_nano: u64) -> f64 {
        let seconds = now_unix_nano.saturating_sub(self.filled_unix_nano) as f64 / 1e9;
        (self.tokens + seconds * self.per_second).min(self.burst)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    #[test]
    fn gives_the_burst_and_then_the_rate() {
        let mut buckets = TokenBuckets::default();
        let takes =
            [(0, 15, 10), (0, 1, 0), (SECOND, 9, 2), (SECOND / 2, 1, 0), (3 * SECOND, 9, 4), (99 * SECOND, 99, 10)];
        for (now, wanted, got) in takes {
            assert_eq!(buckets.take("a", wanted, 2.0, 10.0, now), got, "at {now}");
        }
        assert_eq!(buckets.take("b", 1, 2.0, 10.0, 0), 1, "another bucket is full");
    }

    #[test]
    fn fills_again_though_the_clock_was_set_back() {
        let mut buckets = TokenBuckets::default();
        let hour = 3_600 * SECOND;
        let takes = [(hour, 10, 10), (hour - SECOND, 1, 0), (hour / 2, 1, 0), (hour / 2 + SECOND, 9, 2)];
        for (now, wanted, got) in takes {
            assert_eq!(buckets.take("a", wanted, 2.0, 10.0, now), got, "at {now}");
        }
    }

    #[test]
    fn gives_nothing_for_nonsense() {
        let mut buckets = TokenBuckets::default();
        for (per_second, burst) in [(f64::NAN, f64::NAN), (-1.0, -1.0), (f64::INFINITY, 0.0), (1.0, f64::NEG_INFINITY)]
        {
            assert_eq!(buckets.take("a", 5, per_second, burst, 0), 0, "{per_second} {burst}");
            assert_eq!(buckets.take("a", 5, per_second, burst, SECOND), 0, "{per_second} {burst}");
        }
    }

    #[test]
    fn takes_names_of_256_bytes_and_not_one_more() {
        let mut buckets = TokenBuckets::default();
        for (len, got) in [(256, 1), (257, 0)] {
            assert_eq!(buckets.take(&"n".repeat(len), 1, 1.0, 1.0, 0), got);
        }
    }

    #[test]
    fn forgets_full_buckets_when_there_are_too_many() {
        let mut buckets = TokenBuckets::default();
        for i in 0..MAX_BUCKETS {
            assert_eq!(buckets.take(&i.to_string(), 1, 1.0, 1.0, 0), 1);
        }
        assert_eq!(buckets.take("late", 1, 1.0, 1.0, 0), 0);
        assert_eq!(buckets.take("late", 1, 1.0, 1.0, SECOND), 1);
        assert_eq!(buckets.0.len(), 1);
    }
}
