//! What surrounds records stands in each document or series that is made of them: a small request with a large resource and
//! very many records would keep a destination busy for hours.

/// What resources and scopes take with all records of a batch that came by, where they are large.
#[derive(Debug, Default)]
pub(crate) struct Repeated(u64);

impl Repeated {
    /// What they may take; half a second's work.
    pub(crate) const MOST_BYTES: u64 = 1 << 30;
    /// What is smaller is not counted: a batch has not so many records.
    const LARGE_BYTES: usize = 4 << 10;

    /// Whether so many bytes with so many records are too much; what is, does not count.
    pub(crate) fn is_too_much(&mut self, bytes: usize, records: impl FnOnce() -> u64) -> bool {
        if bytes < Self::LARGE_BYTES {
            return false;
        }
        let with_these = self.0.saturating_add((bytes as u64).saturating_mul(records()));
        let is_too_much = with_these > Self::MOST_BYTES;
        self.0 = if is_too_much { self.0 } else { with_these };
        is_too_much
    }
}
