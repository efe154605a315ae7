//! The memory budget: whoever holds bytes of a peer holds a permit for them.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// A number of bytes that all batches in the process may occupy together.
#[derive(Clone, Debug)]
pub struct Budget {
    used: Arc<AtomicUsize>,
    limit_bytes: usize,
}

/// A part of the budget; given back on drop.
#[derive(Debug)]
pub struct Permit {
    budget: Budget,
    bytes: usize,
    /// What whoever has it holds in another permit for as long.
    beside_bytes: usize,
}

impl Budget {
    /// Creates a budget of so many bytes.
    pub fn new(limit_bytes: usize) -> Self {
        Self { used: Arc::default(), limit_bytes }
    }

    /// Takes a permit, unless the budget is exhausted.
    pub fn try_take(&self, bytes: usize) -> Option<Permit> {
        let mut permit = Permit { budget: self.clone(), bytes: 0, beside_bytes: 0 };
        permit.try_grow(bytes).then_some(permit)
    }

    /// Bytes that are taken now.
    pub fn used_bytes(&self) -> usize {
        self.used.load(Ordering::Relaxed)
    }

    /// Bytes that may be taken in all.
    pub fn limit_bytes(&self) -> usize {
        self.limit_bytes
    }
}

impl Permit {
    /// Takes so many bytes more; false, and no change, if the budget is exhausted.
    #[must_use]
    pub fn try_grow(&mut self, bytes: usize) -> bool {
        let limit = self.budget.limit_bytes;
        let fits = |used: usize| used.checked_add(bytes).filter(|sum| *sum <= limit);
        let taken = self.budget.used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, fits).is_ok();
        if taken {
            self.bytes += bytes;
        }
        taken
    }

    /// A permit for nothing yet, for somebody who holds this one as long.
    pub fn beside(&self) -> Self {
        Self { budget: self.budget.clone(), bytes: 0, beside_bytes: self.bytes }
    }

    /// How many bytes more could be taken if nobody else had any.
    pub fn most_more(&self) -> usize {
        self.budget.limit_bytes.saturating_sub(self.bytes).saturating_sub(self.beside_bytes)
    }

    /// A permit for so many bytes more of the same budget, even if it is exhausted: what exists already has to count.
    #[must_use]
    pub fn beyond(&self, bytes: usize) -> Self {
        self.budget.used.fetch_add(bytes, Ordering::Relaxed);
        Self { budget: self.budget.clone(), bytes, beside_bytes: 0 }
    }

    /// Gives back all but so many bytes.
    pub fn shrink_to(&mut self, bytes: usize) {
        let spare = self.bytes.saturating_sub(bytes);
        self.bytes -= spare;
        self.budget.used.fetch_sub(spare, Ordering::Relaxed);
    }

    /// How many bytes it covers.
    pub fn bytes(&self) -> usize {
        self.bytes
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.shrink_to(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_up_to_its_limit_and_not_a_byte_more() {
        let budget = Budget::new(10);
        let mut permit = budget.try_take(9).expect("9 of 10");
        assert!(permit.try_grow(1));
        assert!(!permit.try_grow(1));
        assert!(budget.try_take(1).is_none());
        permit.shrink_to(4);
        assert_eq!(budget.used_bytes(), 4);
        drop(permit);
        assert_eq!(budget.used_bytes(), 0);
    }

    #[test]
    fn what_is_held_beside_a_permit_can_never_be_had_by_it() {
        let budget = Budget::new(10);
        let held = budget.try_take(4).expect("4 of 10");
        let mut permit = held.beside();
        assert_eq!((permit.most_more(), permit.bytes(), budget.used_bytes()), (6, 0, 4));
        assert!(permit.try_grow(5));
        assert_eq!(permit.most_more(), 1);
    }

    #[test]
    fn what_exists_already_counts_beyond_the_limit() {
        let budget = Budget::new(10);
        let permit = budget.try_take(8).expect("8 of 10");
        let beyond = permit.beyond(5);
        assert_eq!((budget.used_bytes(), budget.try_take(0).is_none()), (13, true));
        drop((permit, beyond));
        assert_eq!(budget.used_bytes(), 0);
    }
}
