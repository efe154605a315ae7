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
pub(crate) enum Replacement {
    Stars,
    Md5,
    Sha1,
    Sha3,
    /// Keyed, which takes as long as a short text itself.
    HmacSha256(Hmac<Sha256>),
    HmacSha512(Hmac<Sha512>),
}

impl Replacement {
    /// The replacement that this configuration asks for.
    pub(crate) fn new(config: &Config) -> Self {
        let key = config.hmac_key.0.as_bytes();
        // HMAC takes keys of any length; an error can't happen, and would still leak nothing.
        match config.hash_function {
            HashFunction::None => Self::Stars,
            HashFunction::Md5 => Self::Md5,
            HashFunction::Sha1 => Self::Sha1,
            HashFunction::Sha3 => Self::Sha3,
            HashFunction::HmacSha256 => Hmac::new_from_slice(key).map_or(Self::Stars, Self::HmacSha256),
            HashFunction::HmacSha512 => Hmac::new_from_slice(key).map_or(Self::Stars, Self::HmacSha512),
        }
    }

    /// Whether it is the same for every text.
    pub(crate) fn is_constant(&self) -> bool {
        matches!(self, Self::Stars)
    }

    /// Writes the replacement of `masked`.
    pub(crate) fn write(&self, masked: &str, out: &mut String) {
        match self {
            Self::Stars => out.push_str(STARS),
            Self::Md5 => write_hex(&Md5::digest(masked), out),
            Self::Sha1 => write_hex(&Sha1::digest(masked), out),
            Self::Sha3 => write_hex(&Sha3_256::digest(masked), out),
            Self::HmacSha256(keyed) => write_hex(&keyed.clone().chain_update(masked).finalize().into_bytes(), out),
            Self::HmacSha512(keyed) => write_hex(&keyed.clone().chain_update(masked).finalize().into_bytes(), out),
        }
    }

    /// The replacement of a whole value. The Collector masks it by the pattern `.*`, so each line is replaced by
    /// itself and line feeds stay.
    pub(crate) fn of_lines(&self, value: &str) -> String {
        let mut result = String::new();
        for (index, line) in value.split('\n').enumerate() {
            if index > 0 {
                result.push('\n');
            }
            self.write(line, &mut result);
        }
        result
    }
}

fn write_hex(digest: &[u8], out: &mut String) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    out.extend(
        digest.iter().flat_map(|byte| [byte >> 4, byte & 15]).map(|digit| char::from(DIGITS[usize::from(digit)])),
    );
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
            let mut result = "+".to_owned();
            replacement(function, key).write(text, &mut result);
            assert_eq!(result, format!("+{expected}"));
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
