//! How much a connection may buffer before any permit covers it: shares of a fixed pool.
//!
//! HTTP/2 lets a peer send up to a window before anybody has read a byte, so the windows of all connections together
//! are memory that peers can fill at will. Each new connection gets a part of what is left of the pool: a few
//! connections get large windows, in which a message arrives in one piece, and many get small ones.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// The pool is this part of the memory budget, and comes on top of it.
const POOL_PART: usize = 4;
/// A connection takes this part of what is left.
const CONNECTION_PART: usize = 8;
/// More is of no use: messages are smaller.
const MOST_BYTES: usize = 4 << 20;
/// HTTP/2's own default. Every connection gets it, even if the pool is empty.
pub(super) const LEAST_BYTES: usize = 64 << 10;

/// What is left for the windows of new connections.
#[derive(Debug)]
pub(super) struct Windows {
    left_bytes: AtomicUsize,
}

/// The window of a connection; goes back to the pool with it.
#[derive(Debug)]
pub(super) struct Window {
    pool: Arc<Windows>,
    taken_bytes: usize,
}

impl Windows {
    pub(super) fn new(budget_bytes: usize) -> Arc<Self> {
        Arc::new(Self { left_bytes: AtomicUsize::new(budget_bytes / POOL_PART) })
    }

    /// Takes a window for a new connection.
    pub(super) fn take(self: &Arc<Self>) -> Window {
        let share = |left: usize| (left / CONNECTION_PART).clamp(LEAST_BYTES, MOST_BYTES).min(left);
        let before =
            self.left_bytes.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| Some(left - share(left)));
        let taken_bytes = before.map_or(0, share);
        Window { pool: Arc::clone(self), taken_bytes }
    }
}

impl Window {
    /// How much the connection may buffer.
    pub(super) fn bytes(&self) -> usize {
        self.taken_bytes.max(LEAST_BYTES)
    }
}

impl Drop for Window {
    fn drop(&mut self) {
        self.pool.left_bytes.fetch_add(self.taken_bytes, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gives_large_windows_to_few_and_small_ones_to_many() {
        let pool = Windows::new(256 << 20);
        let windows: Vec<_> = (0..1000).map(|_| pool.take()).collect();
        assert_eq!(windows[0].bytes(), MOST_BYTES);
        assert_eq!(windows[999].bytes(), LEAST_BYTES);
        let taken: usize = windows.iter().map(|window| window.taken_bytes).sum();
        assert!(taken <= 64 << 20, "{taken}");
        drop(windows);
        assert_eq!(pool.left_bytes.load(Ordering::Relaxed), 64 << 20);
    }

    #[test]
    fn serves_without_a_pool() {
        assert_eq!(Windows::new(0).take().bytes(), LEAST_BYTES);
    }
}
