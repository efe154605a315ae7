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
pub(super) const KEEP_BYTES: usize = 64 * 1024;
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
    /// Starts with nothing, to hold at most `limit_bytes`, for a request that holds this permit until it is answered.
    pub(super) fn new(held: &Permit, limit_bytes: usize) -> Self {
        Self { permit: held.beside(), limit_bytes, expected_bytes: 0, first: Bytes::new(), joined: Vec::new() }
    }

    /// Takes note of how long the body claims to be, so that one that can't fit is refused at its start.
    pub(super) fn expect(&mut self, budget: &Budget, bytes: u64) -> Result<(), Rejection> {
        let bytes = usize::try_from(bytes).unwrap_or(usize::MAX);
        if bytes > self.limit_bytes {
            return Err(self.too_large(bytes));
        }
        if bytes > self.permit.bytes() + self.permit.most_more() {
            return Err(Rejection::over_whole_budget(format!("body of {bytes} bytes")));
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
        if chunk.len() > self.permit.most_more() {
            return Err(Rejection::over_whole_budget(format!("body of {total} bytes or more")));
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

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;
    use std::convert::Infallible;
    use std::pin::Pin;
    use std::task::{Context, Poll};

    use http_body::Frame;

    use super::*;

    /// Chunks, then silence.
    struct Slow(VecDeque<Bytes>);

    impl Body for Slow {
        type Data = Bytes;
        type Error = Infallible;

        fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
            self.0.pop_front().map_or(Poll::Pending, |chunk| Poll::Ready(Some(Ok(Frame::data(chunk)))))
        }
    }

    fn held(budget: &Budget) -> Permit {
        budget.try_take(0).expect("nothing")
    }

    fn gather(budget: &Budget, limit_bytes: usize, chunks: &[Bytes]) -> Result<(Bytes, Permit), Rejection> {
        let mut gather = Gather::new(&held(budget), limit_bytes);
        chunks.iter().try_for_each(|chunk| gather.push(chunk.clone()))?;
        Ok(gather.finish())
    }

    #[test]
    fn does_not_copy_a_single_large_chunk() {
        let budget = Budget::new(1 << 20);
        for (size, same) in [(KEEP_BYTES, true), (KEEP_BYTES - 1, false)] {
            let chunk = Bytes::from(vec![1; size]);
            let (bytes, permit) = gather(&budget, size, std::slice::from_ref(&chunk)).expect("fits");
            assert_eq!(bytes, chunk);
            assert_eq!(bytes.as_ptr() == chunk.as_ptr(), same, "{size}");
            assert_eq!(permit.bytes(), size);
        }
    }

    #[test]
    fn does_not_copy_what_follows_a_prefix_that_came_alone() {
        let budget = Budget::new(1 << 20);
        let mut gather = Gather::new(&held(&budget), 1 << 20);
        gather.push(Bytes::from_static(b"12345")).expect("fits");
        assert_eq!(gather.split_prefix::<5>(), Some(*b"12345"));
        let chunk = Bytes::from(vec![1; KEEP_BYTES]);
        gather.push(chunk.clone()).expect("fits");
        assert_eq!(gather.finish().0.as_ptr(), chunk.as_ptr());
    }

    #[test]
    fn joins_chunks_in_order_up_to_the_limit() {
        let budget = Budget::new(1 << 20);
        let chunks: Vec<_> = (0..100_u8).map(|n| Bytes::from(vec![n; 7])).collect();
        let (bytes, permit) = gather(&budget, 700, &chunks).expect("fits");
        assert_eq!(bytes, chunks.concat());
        assert_eq!(permit.bytes(), 700);
        assert!(matches!(gather(&budget, 699, &chunks), Err(Rejection::TooLarge(_))));
        assert_eq!(budget.used_bytes(), 700);
    }

    #[test]
    fn takes_from_the_budget_with_every_chunk() {
        let budget = Budget::new(21);
        let other = budget.try_take(1).expect("empty");
        let mut gather = Gather::new(&held(&budget), 100);
        gather.push(Bytes::from_static(&[0; 12])).expect("13 of 21");
        assert_eq!(budget.used_bytes(), 13);
        gather.push(Bytes::from_static(&[0; 8])).expect("21 of 21");
        assert_eq!(gather.push(Bytes::from_static(&[0; 1])), Err(Rejection::over_budget()));
        // Waiting for others would be in vain.
        assert!(matches!(gather.push(Bytes::from_static(&[0; 2])), Err(Rejection::TooLarge(_))));
        drop((gather, other));
        assert_eq!(budget.used_bytes(), 0);
    }

    #[test]
    fn believes_a_length_only_when_it_refuses() {
        let budget = Budget::new(1000);
        let mut gather = Gather::new(&held(&budget), 2000);
        assert!(matches!(gather.expect(&budget, 2001), Err(Rejection::TooLarge(_))));
        assert!(matches!(gather.expect(&budget, u64::MAX), Err(Rejection::TooLarge(_))));
        assert!(matches!(gather.expect(&budget, 1001), Err(Rejection::TooLarge(_))), "more than there ever is");
        let other = budget.try_take(1).expect("1 of 1000");
        assert_eq!(gather.expect(&budget, 1000), Err(Rejection::over_budget()));
        drop(other);
        assert_eq!(gather.expect(&budget, 1000), Ok(()));
        assert_eq!(budget.used_bytes(), 0, "a claim takes nothing");
    }

    /// Waiting would be in vain: it is there until the request is answered.
    #[test]
    fn knows_what_its_own_request_holds() {
        let budget = Budget::new(1000);
        let held = budget.try_take(10).expect("10 of 1000");
        let mut gather = Gather::new(&held, 2000);
        assert!(matches!(gather.expect(&budget, 991), Err(Rejection::TooLarge(_))));
        assert_eq!(gather.expect(&budget, 990), Ok(()));
        assert!(matches!(gather.push(Bytes::from_static(&[0; 991])), Err(Rejection::TooLarge(_))));
    }

    #[tokio::test(start_paused = true)]
    async fn gives_up_a_peer_that_pauses_too_long() {
        let budget = Budget::new(1000);
        let mut gather = Gather::new(&held(&budget), 1000);
        let body = Slow([Bytes::from_static(b"abc")].into());
        let result = read(body, &mut gather, Duration::from_secs(30), |_| Ok(())).await;
        assert!(matches!(result, Err(Rejection::Timeout(_))), "{result:?}");
        assert_eq!(gather.len(), 3);
    }
}
