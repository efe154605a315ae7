//! What stands in the place of a masked text: asterisks or a digest.

use hmac::{Hmac, KeyInit, Mac};
use md5::{Digest, Md5};
use sha1::Sha1;
use sha2::{Sha256, Sha512};
use sha3::Sha3_256;

use crate::config::{Config, HashFunction};

/// What stands in the place of a masked text when no hash function is configured.
pub(crate) const STARS: &str = "****";

/// What stands in the place of a masked text.
pub(crate) struct Replacement {
    function: HashFunction,
    hmac_key: Vec<u8>,
}

impl Replacement {
    /// The replacement that this configuration asks for.
    pub(crate) fn new(config: &Config) -> Self {
        Self { function: config.hash_function, hmac_key: config.hmac_key.0.clone().into_bytes() }
    }

    /// Whether it is the same for every text.
    pub(crate) fn is_constant(&self) -> bool {
        self.function == HashFunction::None
    }

    /// The replacement of `masked`.
    pub(crate) fn of(&self, masked: &str) -> String {
        let masked = masked.as_bytes();
        match self.function {
            HashFunction::None => STARS.to_owned(),
            HashFunction::Md5 => hex::encode(Md5::digest(masked)),
            HashFunction::Sha1 => hex::encode(Sha1::digest(masked)),
            HashFunction::Sha3 => hex::encode(Sha3_256::digest(masked)),
            HashFunction::HmacSha256 => self.authenticate::<Hmac<Sha256>>(masked),
            HashFunction::HmacSha512 => self.authenticate::<Hmac<Sha512>>(masked),
        }
    }

    /// The replacement of a whole value. The Collector masks it by the pattern `.*`, so each line is replaced by
    /// itself and line feeds stay.
    pub(crate) fn of_lines(&self, value: &str) -> String {
        let lines: Vec<String> = value.split('\n').map(|line| self.of(line)).collect();
        lines.join("\n")
    }

    fn authenticate<M: Mac + KeyInit>(&self, masked: &[u8]) -> String {
        // HMAC takes keys of any length; an error can't happen, and would still leak nothing.
        M::new_from_slice(&self.hmac_key)
            .map_or_else(|_| STARS.to_owned(), |mac| hex::encode(mac.chain_update(masked).finalize().into_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Secret;

    fn replacement(function: HashFunction, key: &str) -> Replacement {
        Replacement::new(&Config { hash_function: function, hmac_key: Secret(key.to_owned()), ..Config::default() })
    }

    #[test]
    fn digests_are_those_of_their_standards() {
        // md5sum, sha1sum, FIPS 202's SHA3-256 of "abc"; RFC 4231 test case 2.
        for (function, key, text, expected) in [
            (HashFunction::None, "", "abc", "****"),
            (HashFunction::Md5, "", "abc", "900150983cd24fb0d6963f7d28e17f72"),
            (HashFunction::Sha1, "", "abc", "a9993e364706816aba3e25717850c26c9cd0d89d"),
            (HashFunction::Sha3, "", "abc", "3a985da74fe225b2045c172d6bd390bd855f086e3e9d525b46bfe24511431532"),
            (
                HashFunction::HmacSha256,
                "Jefe",
                "what do ya want for nothing?",
                "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
            ),
            (
                HashFunction::HmacSha512,
                "Jefe",
                "what do ya want for nothing?",
                "164b7a7bfcf819e2e395fbe73b56e0a387bd64222e831fd610270cd7ea250554\
                 9758bf75c05a994a6d034f65f8f0e6fdcaeab1a34d4a6b4b636e070a38bce737",
            ),
        ] {
            assert_eq!(replacement(function, key).of(text), expected);
        }
    }

    #[test]
    fn a_whole_value_is_replaced_line_by_line() {
        let stars = replacement(HashFunction::None, "");
        for (value, expected) in [("", "****"), ("abc", "****"), ("a\nb", "****\n****"), ("a\n", "****\n****")] {
            assert_eq!(stars.of_lines(value), expected);
        }
        let md5 = replacement(HashFunction::Md5, "");
        assert_eq!(md5.of_lines("abc\n"), "900150983cd24fb0d6963f7d28e17f72\nd41d8cd98f00b204e9800998ecf8427e");
    }
}
