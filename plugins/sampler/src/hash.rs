//! FNV-1a (32 bits) over a seed and some bytes.

const OFFSET: u32 = 0x811c_9dc5;
const PRIME: u32 = 0x0100_0193;

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

    /// The hashes of several trace ids. Each is a chain of 16 dependent multiplications: side by side they fill the
    /// multiplier's pipeline.
    pub(crate) fn hash_ids<const N: usize>(self, ids: &[[u8; 16]; N]) -> [u32; N] {
        let mut hashes = [self.0; N];
        for byte in 0..16 {
            for (hash, id) in hashes.iter_mut().zip(ids) {
                *hash = (*hash ^ u32::from(id[byte])).wrapping_mul(PRIME);
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
        let ids: [[u8; 16]; 4] = core::array::from_fn(|i| core::array::from_fn(|at| (i * 61) as u8 ^ (at * 17) as u8));
        let hasher = Fnv::seeded(22);
        let together = hasher.hash_ids(&ids);
        assert_eq!(together.to_vec(), ids.iter().map(|id| hasher.hash(id)).collect::<Vec<_>>());
    }
}
