//! Reading a request body under a limit, a memory permit and a clock.

use std::pin::pin;
use std::time::Duration;

use bytes::{Buf, Bytes};
use http_body::Body;
use http_body_util::BodyExt;
use tokio::time::timeout;

use super::rejection::Rejection;
use crate::limits::{Budget, Permit};

/// A single chunk of at least this size is passed on as it is. A smaller one is copied, because it would keep the
/// connection's whole read buffer alive.
const KEEP_BYTES: usize = 64 * 1024;
/// What is allocated at most on the word of a peer; beyond it the buffer grows with what arrives.
const TRUST_BYTES: usize = 4 << 20;

/// Chunks of a body, joined. The permit covers every byte in it before the byte is kept.
pub(super) struct Gather {
    permit: Permit,
    limit_bytes: usize,
    expected_bytes: usize,
    first: Bytes,
    joined: Vec<u8>,
}

impl Gather {
    /// Starts with nothing, to hold at most `limit_bytes`.
    ///
    /// # Errors
    /// The budget is exhausted.
    pub(super) fn new(budget: &Budget, limit_bytes: usize) -> Result<Self, Rejection> {
        let permit = budget.try_take(0).ok_or_else(Rejection::over_budget)?;
        Ok(Self { permit, limit_bytes, expected_bytes: 0, first: Bytes::new(), joined: Vec::new() })
    }

    /// Takes note of how long the body claims to be, so that one that can't fit is refused at its start.
    pub(super) fn expect(&mut self, budget: &Budget, bytes: u64) -> Result<(), Rejection> {
        let bytes = usize::try_from(bytes).unwrap_or(usize::MAX);
        if bytes > self.limit_bytes {
            return Err(self.too_large(bytes));
        }
        if bytes > budget.limit_bytes() {
            let limit = budget.limit_bytes();
            return Err(Rejection::TooLarge(format!("body of {bytes} bytes exceeds the memory budget of {limit}")));
        }
        if bytes > budget.limit_bytes().saturating_sub(budget.used_bytes()) + self.permit.bytes() {
            return Err(Rejection::over_budget());
        }
        self.expected_bytes = bytes;
        Ok(())
    }

    /// Takes the next chunk.
    pub(super) fn push(&mut self, chunk: Bytes) -> Result<(), Rejection> {
        let total = self.len() + chunk.len();
        if total > self.limit_bytes {
            return Err(self.too_large(total));
        }
        if !self.permit.try_grow(chunk.len()) {
            return Err(Rejection::over_budget());
        }
        if self.len() == 0 {
            self.first = chunk;
        } else {
            self.join(&chunk, total);
        }
        Ok(())
    }

    /// How many bytes have come.
    pub(super) fn len(&self) -> usize {
        self.first.len() + self.joined.len()
    }

    /// Takes the first bytes off, once there are so many.
    pub(super) fn split_prefix<const N: usize>(&mut self) -> Option<[u8; N]> {
        if self.joined.is_empty() {
            let prefix = self.first.first_chunk::<N>().copied()?;
            self.first.advance(N);
            return Some(prefix);
        }
        let prefix = self.joined.first_chunk::<N>().copied()?;
        self.joined.drain(..N);
        Some(prefix)
    }

    /// The body as one piece, with the permit for it.
    pub(super) fn finish(self) -> (Bytes, Permit) {
        let Self { mut permit, first, mut joined, .. } = self;
        let bytes = if !joined.is_empty() {
            if joined.capacity() - joined.len() > joined.len() / 4 {
                joined.shrink_to_fit();
            }
            Bytes::from(joined)
        } else if first.len() < KEEP_BYTES {
            Bytes::copy_from_slice(&first)
        } else {
            first
        };
        permit.shrink_to(bytes.len());
        (bytes, permit)
    }

    fn join(&mut self, chunk: &[u8], total: usize) {
        if total > self.joined.capacity() {
            let most = self.expected_bytes.min(TRUST_BYTES).max(total);
            let capacity = most.max((self.joined.capacity() * 2).min(self.limit_bytes));
            self.joined.reserve_exact(capacity - self.joined.len());
        }
        let first = std::mem::take(&mut self.first);
        self.joined.extend_from_slice(&first);
        self.joined.extend_from_slice(chunk);
    }

    fn too_large(&self, bytes: usize) -> Rejection {
        Rejection::TooLarge(format!("body of {bytes} bytes or more exceeds the limit of {} bytes", self.limit_bytes))
    }
}

/// Reads a body to its end. `look` sees what has come after each chunk, and may end it.
///
/// # Errors
/// The limit, the budget, what `look` says, a peer that pauses for longer than `pause`, or that went away.
pub(super) async fn read<B>(
    body: B,
    gather: &mut Gather,
    pause: Duration,
    mut look: impl FnMut(&mut Gather) -> Result<(), Rejection>,
) -> Result<(), Rejection>
where
    B: Body<Data = Bytes>,
    B::Error: std::fmt::Display,
{
    let mut body = pin!(body);
    loop {
        let frame = timeout(pause, body.frame())
            .await
            .map_err(|_| Rejection::Timeout(format!("no byte of the body came for {} s", pause.as_secs_f32())))?;
        match frame {
            None => return Ok(()),
            Some(Ok(frame)) => {
                if let Ok(chunk) = frame.into_data()
                    && !chunk.is_empty()
                {
                    gather.push(chunk)?;
                    look(gather)?;
                }
            }
            Some(Err(error)) => return Err(Rejection::Aborted(format!("the body broke off: {error}"))),
        }
    }
}
