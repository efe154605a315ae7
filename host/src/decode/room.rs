//! Output that grows under a limit and a memory permit: both are asked before anything is allocated.

use super::DecodeError;
use crate::limits::Permit;

/// Bytes that a decoder may write past the limit before it is told, so that it need not count every byte.
const SLACK_BYTES: usize = 16;

/// A growing output.
pub(super) struct Room<'p> {
    pub(super) out: Vec<u8>,
    what: &'static str,
    limit_bytes: usize,
    permit: &'p mut Permit,
}

impl<'p> Room<'p> {
    /// Starts an empty output; `what` names it in errors.
    pub(super) fn new(what: &'static str, limit_bytes: usize, permit: &'p mut Permit) -> Self {
        Self { out: Vec::new(), what, limit_bytes, permit }
    }

    /// Allocates what will probably be needed, as far as the limit goes; nothing if the whole budget would not do.
    pub(super) fn expect(&mut self, bytes: usize) -> Result<(), DecodeError> {
        let capacity = bytes.min(self.limit_bytes) + SLACK_BYTES;
        if capacity <= self.permit.most_more() { self.allocate(capacity) } else { Ok(()) }
    }

    /// Makes room for so many bytes more.
    pub(super) fn reserve(&mut self, bytes: usize) -> Result<(), DecodeError> {
        let needed = self.out.len() + bytes;
        if needed <= self.out.capacity() {
            return Ok(());
        }
        let most = self.limit_bytes + SLACK_BYTES;
        if self.out.len() > self.limit_bytes || needed > most {
            return Err(self.too_large());
        }
        let ample = needed.max(self.out.capacity() * 2).min(most);
        self.allocate(ample.min(self.out.capacity() + self.permit.most_more()).max(needed))
    }

    /// Ends the output, unless it went past the limit; gives back memory where much was left over.
    pub(super) fn finish(self) -> Result<Vec<u8>, DecodeError> {
        if self.out.len() > self.limit_bytes {
            return Err(self.too_large());
        }
        let mut out = self.out;
        if out.capacity() - out.len() > out.len() / 4 + SLACK_BYTES {
            out.shrink_to_fit();
        }
        Ok(out)
    }

    /// What to say when it is larger than it may be.
    pub(super) fn too_large(&self) -> DecodeError {
        DecodeError::TooLarge { what: self.what, limit_bytes: self.limit_bytes }
    }

    fn allocate(&mut self, capacity: usize) -> Result<(), DecodeError> {
        let more = capacity.saturating_sub(self.out.capacity());
        if more > self.permit.most_more() {
            return Err(DecodeError::OverWholeBudget { what: self.what });
        }
        if !self.permit.try_grow(more) {
            return Err(DecodeError::OverBudget);
        }
        self.out.reserve_exact(capacity - self.out.len());
        Ok(())
    }
}
