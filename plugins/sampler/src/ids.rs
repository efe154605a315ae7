//! The randomness that trace ids stand for, a column at once.

use sluice_sdk::BytesColumn;

use crate::policy::Policy;
use crate::threshold::Randomness;

/// What an absent trace id is like.
const NO_ID: [u8; 16] = [0; 16];

/// The randomness of a column of trace ids.
#[derive(Debug, Default)]
pub(crate) struct Drawn {
    values: Vec<Randomness>,
    /// Rows whose value says nothing, in order.
    missing: Vec<u32>,
}

impl Drawn {
    /// The randomness of each trace id; zeros and ids of another length are as good as none.
    ///
    /// It is not inlined, since the compiler of plugins keeps the variables of small functions in registers.
    #[inline(never)]
    pub(crate) fn from_ids(policy: &Policy, ids: BytesColumn<'_>) -> Self {
        let mut drawn = Self { values: Vec::with_capacity(ids.len()), missing: Vec::new() };
        if let Some(ids) = ids.arrays::<16>() {
            let may_miss = if policy.hashes() {
                let hashes = policy.hash.hash_ids(ids);
                drawn.values.extend(hashes.iter().copied().map(Randomness::from_hash));
                // The ids themselves need another look only if one may be zeros.
                hashes.contains(&policy.hash.hash(&NO_ID))
            } else {
                drawn.values.extend(ids.iter().map(Randomness::from_trace_id));
                true
            };
            if may_miss {
                let zeros = (0..).zip(ids).filter(|(_, id)| **id == NO_ID);
                drawn.missing.extend(zeros.map(|(row, _)| row));
            }
            return drawn;
        }
        for row in 0..ids.len() {
            let id = ids.get(row).and_then(|id| id.try_into().ok()).unwrap_or(&NO_ID);
            drawn.values.push(policy.draw(id));
            drawn.missing.extend((*id == NO_ID).then_some(row as u32));
        }
        drawn
    }

    /// The randomness of all rows, if all have some.
    pub(crate) fn complete(&self) -> Option<&[Randomness]> {
        self.missing.is_empty().then_some(&self.values)
    }

    /// The randomness of a row.
    pub(crate) fn get(&self, row: usize) -> Option<Randomness> {
        self.values.get(row).copied().filter(|_| self.missing.binary_search(&(row as u32)).is_err())
    }
}
