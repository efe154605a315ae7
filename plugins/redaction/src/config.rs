//! The configuration block of a redaction processor: the Collector's keys, and `detectors`.

use std::fmt;

use schemars::JsonSchema;
use serde::Deserialize;

/// Removes attributes that are not allowed and masks sensitive values. Without any key it removes all attributes.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Keeps all attributes, whatever `allowed_keys` says. Values are still masked.
    pub allow_all_keys: bool,
    /// Keys of the attributes that are kept; all others are removed. An empty list removes all of them.
    pub allowed_keys: Vec<String>,
    /// Keys of attributes that are passed on as they are. They need not be in `allowed_keys`.
    pub ignored_keys: Vec<String>,
    /// Regular expressions for keys of attributes that are passed on as they are.
    pub ignored_key_patterns: Vec<String>,
    /// Regular expressions for keys of attributes whose whole value is masked.
    pub blocked_key_patterns: Vec<String>,
    /// Regular expressions for parts of values to mask. They apply in their order, each to what the one before left.
    pub blocked_values: Vec<String>,
    /// Regular expressions for values that are never masked. One match anywhere in a value exempts all of it.
    pub allowed_values: Vec<String>,
    /// Also masks values that are not text, by their text form. By default only text is looked at.
    pub redact_all_types: bool,
    /// Replaces what is masked by its hash instead of `****`: md5, sha1, sha3, hmac-sha256 or hmac-sha512.
    pub hash_function: HashFunction,
    /// Key of the HMAC functions: at least 32 bytes for hmac-sha256, 64 bytes for hmac-sha512.
    #[schemars(extend("writeOnly" = true))]
    pub hmac_key: Secret,
    /// Which attributes tell what was done: silent (none), info (counts) or debug (counts and keys). The Collector takes
    /// any other word for silent.
    pub summary: String,
    /// Detectors of values that a regular expression can't tell from harmless ones. They apply after
    /// `blocked_values`, in their order. Not in the Collector.
    pub detectors: Vec<DetectorConfig>,
    /// The Collector's URL sanitizer. Not supported: it must stay disabled.
    pub url_sanitizer: UrlSanitizer,
    /// The Collector's database query sanitizers. Not supported: they must stay disabled.
    pub db_sanitizer: DbSanitizer,
}

/// How to replace what is masked.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(try_from = "String")]
#[schemars(with = "String")]
pub enum HashFunction {
    /// With `****`.
    #[default]
    None,
    /// With the MD5 digest.
    Md5,
    /// With the SHA-1 digest.
    Sha1,
    /// With the SHA3-256 digest.
    Sha3,
    /// With the HMAC-SHA256 code.
    HmacSha256,
    /// With the HMAC-SHA512 code.
    HmacSha512,
}

impl TryFrom<String> for HashFunction {
    type Error = String;

    fn try_from(name: String) -> Result<Self, String> {
        Ok(match name.to_ascii_lowercase().as_str() {
            "" => Self::None,
            "md5" => Self::Md5,
            "sha1" => Self::Sha1,
            "sha3" => Self::Sha3,
            "hmac-sha256" => Self::HmacSha256,
            "hmac-sha512" => Self::HmacSha512,
            _ => {
                return Err(format!("unknown hash function {name:?}; use md5, sha1, sha3, hmac-sha256 or hmac-sha512"));
            }
        })
    }
}

/// Which attributes tell what was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Summary {
    /// None.
    Silent,
    /// Counts.
    Info,
    /// Counts and keys.
    Debug,
}

/// A text that no debug output shows.
#[derive(Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Secret(pub(crate) String);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[REDACTED]")
    }
}

/// A detector to run over values.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DetectorConfig {
    /// What to look for: card, iban or email.
    #[serde(rename = "type")]
    pub what: DetectorType,
    /// How much of it to mask: full, last4 (card and iban: keeps the last four) or domain (email: keeps the domain).
    /// The default is last4 for card and iban, domain for email.
    #[serde(default)]
    pub mask: Option<DetectorMask>,
}

/// What a detector looks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum DetectorType {
    /// Payment card numbers: 13 to 19 digits, also with spaces or dashes, that pass the Luhn check.
    Card,
    /// International bank account numbers, by country, length and checksum.
    Iban,
    /// E-mail addresses.
    Email,
}

impl DetectorType {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Card => "card",
            Self::Iban => "iban",
            Self::Email => "email",
        }
    }
}

/// How much of a finding to mask.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum DetectorMask {
    /// All of it.
    Full,
    /// All but the last four digits or letters.
    Last4,
    /// All but the at sign and the domain.
    Domain,
}

impl DetectorMask {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Last4 => "last4",
            Self::Domain => "domain",
        }
    }
}

/// The Collector's URL sanitizer.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct UrlSanitizer {
    /// Must be false.
    pub enabled: bool,
    /// Keys of attributes with URLs.
    pub attributes: Vec<String>,
    /// Whether span names are sanitized too.
    pub sanitize_span_name: Option<bool>,
}

/// The Collector's database query sanitizers.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct DbSanitizer {
    /// Whether span names are sanitized too.
    pub sanitize_span_name: Option<bool>,
    /// SQL.
    pub sql: DbSystem,
    /// Redis.
    pub redis: DbSystem,
    /// Valkey.
    pub valkey: DbSystem,
    /// Memcached.
    pub memcached: DbSystem,
    /// MongoDB.
    pub mongo: DbSystem,
    /// OpenSearch.
    pub opensearch: DbSystem,
    /// Elasticsearch.
    pub es: DbSystem,
}

/// One database query sanitizer.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct DbSystem {
    /// Must be false.
    pub enabled: bool,
    /// Keys of attributes with queries.
    pub attributes: Vec<String>,
}

/// A mistake in the configuration: where and what.
pub(crate) type Problem = (String, String);

impl Config {
    /// Everything that is wrong, apart from the regular expressions and the detectors.
    pub(crate) fn problems(&self) -> Vec<Problem> {
        let mut problems: Vec<Problem> = self.hmac_key_problem().into_iter().collect();
        if self.url_sanitizer.enabled {
            problems.push((
                "url_sanitizer.enabled".to_owned(),
                "the URL sanitizer is not supported; set it to false and mask parts of URLs with blocked_values"
                    .to_owned(),
            ));
        }
        problems.extend(self.db_sanitizer.systems().into_iter().filter(|(_, system)| system.enabled).map(
            |(name, _)| {
                (
                    format!("db_sanitizer.{name}.enabled"),
                    "database sanitizers are not supported; set it to false and mask whole queries with \
                 blocked_key_patterns"
                        .to_owned(),
                )
            },
        ));
        problems
    }

    /// Which attributes tell what was done.
    pub(crate) fn summary(&self) -> Summary {
        match self.summary.as_str() {
            "info" => Summary::Info,
            "debug" => Summary::Debug,
            _ => Summary::Silent,
        }
    }

    /// What is allowed, but hardly meant.
    pub(crate) fn surprises(&self) -> Vec<&'static str> {
        let is_hmac = matches!(self.hash_function, HashFunction::HmacSha256 | HashFunction::HmacSha512);
        let keeps_none = !self.allow_all_keys
            && self.allowed_keys.is_empty()
            && self.ignored_keys.is_empty()
            && self.ignored_key_patterns.is_empty();
        let surprises = [
            (
                keeps_none,
                "allow_all_keys is false and allowed_keys is empty: every attribute but a summary's is removed",
            ),
            (
                self.allow_all_keys && !self.allowed_keys.is_empty(),
                "allowed_keys has no effect: allow_all_keys keeps all attributes",
            ),
            (
                !is_hmac && !self.hmac_key.0.is_empty(),
                "hmac_key has no effect: hash_function is neither hmac-sha256 nor hmac-sha512",
            ),
            (
                !["", "silent", "info", "debug"].contains(&self.summary.as_str()),
                "summary is none of silent, info and debug: no summary is written",
            ),
        ];
        surprises.into_iter().filter(|(is_so, _)| *is_so).map(|(_, message)| message).collect()
    }

    fn hmac_key_problem(&self) -> Option<Problem> {
        let (name, least) = match self.hash_function {
            HashFunction::HmacSha256 => ("hmac-sha256", 32),
            HashFunction::HmacSha512 => ("hmac-sha512", 64),
            _ => return None,
        };
        let size = self.hmac_key.0.len();
        (size < least).then(|| {
            ("hmac_key".to_owned(), format!("key of {size} bytes is too short for {name}; use {least} or more"))
        })
    }
}

impl DbSanitizer {
    fn systems(&self) -> [(&'static str, &DbSystem); 7] {
        [
            ("sql", &self.sql),
            ("redis", &self.redis),
            ("valkey", &self.valkey),
            ("memcached", &self.memcached),
            ("mongo", &self.mongo),
            ("opensearch", &self.opensearch),
            ("es", &self.es),
        ]
    }
}

#[cfg(test)]
mod tests;
