//! A destination may repeat in its answer what it was sent, credentials included. Answers end up in logs, dead letters
//! and replies to senders, so the values of sensitive headers are taken out of what is shown. JSON that is read stays as it
//! is: a value such as `true` or a number may stand in any answer. In protobuf only texts are as long as a secret.

use std::borrow::Cow;
use std::fmt;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue};
use memchr::memmem;

/// What is shorter is no secret, and would be found in too many texts.
pub(crate) const SHORTEST_SECRET: usize = 4;

/// The values of a request's sensitive headers.
#[derive(Clone, Default)]
pub(crate) struct Secrets(HeaderMap);

impl Secrets {
    /// Those of these headers.
    pub(crate) fn of(sent: &HeaderMap) -> Self {
        Self(
            sent.iter()
                .filter(|(_, value)| value.is_sensitive())
                .map(|(name, value)| (name.clone(), value.clone()))
                .collect(),
        )
    }

    /// Bytes without them.
    pub(crate) fn mask(&self, answer: &Bytes) -> Bytes {
        without_secrets(&self.0, answer.clone())
    }

    /// A text without them.
    pub(crate) fn mask_text(&self, text: String) -> String {
        let masked = without_secrets(&self.0, Bytes::from(text));
        match String::from_utf8_lossy(&masked) {
            Cow::Borrowed(text) => text.to_owned(),
            Cow::Owned(text) => text,
        }
    }
}

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Secrets").finish_non_exhaustive()
    }
}

/// An answer in which asterisks stand for what came out of sensitive headers. It keeps its length: it may be a message
/// with lengths in it.
pub(crate) fn without_secrets(sent: &HeaderMap, answer: Bytes) -> Bytes {
    let mut masked: Option<Vec<u8>> = None;
    for secret in sent.values().filter(|value| value.is_sensitive()).flat_map(secrets) {
        let found: Vec<usize> = memmem::find_iter(&answer, secret).collect();
        for start in found {
            masked.get_or_insert_with(|| answer.to_vec())[start..start + secret.len()].fill(b'*');
        }
    }
    masked.map_or(answer, Bytes::from)
}

/// The value, and what follows the scheme in one like `Bearer <token>`.
fn secrets(value: &HeaderValue) -> impl Iterator<Item = &[u8]> {
    let value = value.as_bytes();
    let token = value.iter().position(|byte| *byte == b' ').map(|space| &value[space + 1..]);
    [Some(value), token].into_iter().flatten().filter(|secret| secret.len() >= SHORTEST_SECRET)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_of_sensitive_headers_become_asterisks_wherever_they_stand() {
        let mut sent = HeaderMap::new();
        for (name, value, sensitive) in
            [("authorization", "Bearer s3cr3t", true), ("x-tag", "abc", true), ("x-open", "nobody", false)]
        {
            let mut value = HeaderValue::from_static(value);
            value.set_sensitive(sensitive);
            sent.insert(name, value);
        }
        let cases = [
            ("got Bearer s3cr3t, s3cr3t", "got *************, ******"),
            ("Bearer abc nobody", "Bearer abc nobody"),
            ("", ""),
        ];
        for (answer, expected) in cases {
            assert_eq!(without_secrets(&sent, Bytes::from_static(answer.as_bytes())), expected, "{answer}");
        }
    }
}
