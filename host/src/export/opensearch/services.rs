//! Which services and operations Jaeger's index has already, so that each is written now and then and not with every
//! span.

use std::num::NonZeroUsize;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use lru::LruCache;

/// As many as Jaeger's own writer remembers.
const CAPACITY: NonZeroUsize = NonZeroUsize::new(100_000).expect("not zero");
/// The index is a daily one, so every entry has to be written again at least once a day.
const LIFETIME: Duration = Duration::from_secs(12 * 3600);

/// The ids of service documents that were stored, with the day of their index.
pub(super) struct Services(Mutex<LruCache<(u64, u64), Instant>>);

impl Default for Services {
    fn default() -> Self {
        Self(Mutex::new(LruCache::new(CAPACITY)))
    }
}

impl Services {
    /// Whether a document has to be written.
    pub(super) fn is_new(&self, id: u64, day: u64, now: Instant) -> bool {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.get(&(id, day)).is_none_or(|stored| now.saturating_duration_since(*stored) >= LIFETIME)
    }

    /// Remembers that a document was stored.
    pub(super) fn stored(&self, id: u64, day: u64, now: Instant) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).put((id, day), now);
    }

    /// Forgets what was stored: the index may be gone.
    pub(super) fn forget(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stored_document_is_new_again_on_another_day_or_after_its_lifetime() {
        let (services, now) = (Services::default(), Instant::now());
        assert!(services.is_new(1, 20, now));
        services.stored(1, 20, now);
        assert!(!services.is_new(1, 20, now + LIFETIME - Duration::from_nanos(1)));
        assert!(services.is_new(1, 20, now + LIFETIME));
        assert!(services.is_new(1, 21, now));
        assert!(services.is_new(2, 20, now));
    }
}
