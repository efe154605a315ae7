//! FNV-1a (32 bits) over a seed and some bytes.

const OFFSET: u32 = 0x811c_9dc5;
const PRIME: u32 = 0x0100_0193;
/// How many trace ids are hashed side by side. Each is a chain of 16 dependent steps of four cycles, in which a
/// multiplier can begin four.
const LANES: usize = 4;

/// The hash after its seed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fnv(u32);

impl Fnv {
    /// Starts with a seed, as four bytes in little-endian order.
    pub(crate) fn seeded(seed: u32) -> Self {
        Self(step(OFFSET, &seed.to_le_bytes()))
    }

    /// The hash of some bytes.
    pub(crate) fn hash(self, bytes: &[u8]) -> u32 {
        step(self.0, bytes)
    }

    /// The hashes of trace ids. It is not inlined, so that all lanes stay in registers.
    #[inline(never)]
    pub(crate) fn hash_ids(self, ids: &[[u8; 16]]) -> Vec<u32> {
        let mut hashes = vec![0; ids.len()];
        let ((lanes, rest), (ids, last)) = (hashes.as_chunks_mut(), ids.as_chunks());
        for (hashes, ids) in lanes.iter_mut().zip(ids) {
            *hashes = self.side_by_side(ids);
        }
        for (hash, id) in rest.iter_mut().zip(last) {
            *hash = self.hash(id);
        }
        hashes
    }

    #[inline]
    fn side_by_side(self, ids: &[[u8; 16]; LANES]) -> [u32; LANES] {
        let mut hashes = [self.0; LANES];
        for half in 0..2 {
            // Words and shifts, not bytes: compilers load ahead, and there are not so many registers.
            let mut words = ids.map(|id| u64::from_le_bytes(id.as_chunks().0[half]));
            for _ in 0..8 {
                for (hash, word) in hashes.iter_mut().zip(&mut words) {
                    *hash = (*hash ^ (*word as u8 as u32)).wrapping_mul(PRIME);
                    *word >>= 8;
                }
            }
        }
        hashes
    }
}

fn step(hash: u32, bytes: &[u8]) -> u32 {
    bytes.iter().fold(hash, |hash, byte| (hash ^ u32::from(*byte)).wrapping_mul(PRIME))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn matches_published_fnv_values() {
        // Values of 32-bit FNV-1a from the test suite of its authors; a zero seed is four zero bytes in front.
        for (text, expected) in [("", 0x811c_9dc5), ("a", 0xe40c_292c), ("foobar", 0xbf9c_f968)] {
            assert_eq!(step(OFFSET, text.as_bytes()), expected, "{text}");
        }
    }

    #[test]
    fn feeds_the_seed_in_little_endian_order() {
        assert_eq!(Fnv::seeded(0x0403_0201).hash(b"x"), step(OFFSET, &[1, 2, 3, 4, b'x']));
    }

    #[test]
    fn hashes_ids_side_by_side_as_one_by_one() {
        let ids: [[u8; 16]; 7] = core::array::from_fn(|i| core::array::from_fn(|at| (i * 61) as u8 ^ (at * 17) as u8));
        let hasher = Fnv::seeded(22);
        for count in 0..=ids.len() {
            let one_by_one: Vec<u32> = ids[..count].iter().map(|id| hasher.hash(id)).collect();
            assert_eq!(hasher.hash_ids(&ids[..count]), one_by_one, "{count}");
        }
    }
}
