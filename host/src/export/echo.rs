//! A destination may repeat in its answer what it was sent, credentials included. Answers end up in logs, dead letters
//! and replies to senders, so secrets are taken out of what is shown. JSON that is read stays as it is: a value such as
//! `true` or a number may stand in any answer. In protobuf only texts are as long as a secret.

use std::borrow::Cow;
use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::{HeaderMap, Uri};
use memchr::memmem;
use percent_encoding::percent_decode;

/// What is shorter is no secret, and would be found in too many texts.
pub(crate) const SHORTEST_SECRET: usize = 4;
/// A parameter that exporters add to an address, with a name that is none.
const OPEN_PARAMETER: &str = "pipeline";

/// The secrets of a request: the values of its sensitive headers, what is encoded in them, and those of its query.
#[derive(Clone, Default)]
pub(crate) struct Secrets(Vec<Vec<u8>>);

impl Secrets {
    /// Those of these headers.
    pub(crate) fn of(sent: &HeaderMap) -> Self {
        let mut secrets = Self::default();
        for value in sent.values().filter(|value| value.is_sensitive()) {
            secrets.add_header(value.as_bytes());
        }
        secrets
    }

    /// With those of an address, in whose query a key may stand.
    #[must_use]
    pub(crate) fn and_of(mut self, uri: &Uri) -> Self {
        for parameter in uri.query().into_iter().flat_map(|query| query.split('&')) {
            if let Some((_, value)) = parameter.split_once('=').filter(|(name, _)| *name != OPEN_PARAMETER) {
                self.add(value.as_bytes());
                self.add(&percent_decode(value.as_bytes()).collect::<Vec<u8>>());
            }
        }
        self
    }

    /// The value, and what follows the scheme in one like `Bearer <token>`; of `Basic` the password, too.
    fn add_header(&mut self, value: &[u8]) {
        self.add(value);
        let Some(space) = value.iter().position(|byte| *byte == b' ') else { return };
        let (scheme, token) = (&value[..space], &value[space + 1..]);
        self.add(token);
        if !scheme.eq_ignore_ascii_case(b"basic") {
            return;
        }
        let Ok(credentials) = STANDARD.decode(token) else { return };
        let colon = credentials.iter().position(|byte| *byte == b':');
        self.add(&credentials);
        self.add(colon.map_or(&[], |colon| &credentials[colon + 1..]));
    }

    /// A secret, and how it is written as a text in JSON.
    fn add(&mut self, secret: &[u8]) {
        if secret.len() < SHORTEST_SECRET || self.0.iter().any(|known| known == secret) {
            return;
        }
        self.0.push(secret.to_vec());
        if let Ok(text) = str::from_utf8(secret)
            && text.contains(['"', '\\'])
        {
            self.0.push(text.replace('\\', "\\\\").replace('"', "\\\"").into_bytes());
        }
    }

    /// Bytes in which asterisks stand for the secrets. They keep their length: they may be a message with lengths in it.
    pub(crate) fn mask(&self, answer: &Bytes) -> Bytes {
        let mut masked: Option<Vec<u8>> = None;
        for secret in &self.0 {
            for start in memmem::find_iter(answer, secret) {
                masked.get_or_insert_with(|| answer.to_vec())[start..start + secret.len()].fill(b'*');
            }
        }
        masked.map_or_else(|| answer.clone(), Bytes::from)
    }

    /// A text without them.
    pub(crate) fn mask_text(&self, text: String) -> String {
        let masked = self.mask(&Bytes::from(text));
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

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    /// What is shown of answers to a request with this header and address.
    fn check(header: &'static str, uri: &'static str, cases: &[(&'static str, &str)]) {
        let mut value = HeaderValue::from_static(header);
        value.set_sensitive(true);
        let mut sent = HeaderMap::new();
        sent.insert("authorization", value);
        sent.insert("x-open", HeaderValue::from_static("nobody"));
        let secrets = Secrets::of(&sent).and_of(&Uri::from_static(uri));
        for (answer, expected) in cases {
            assert_eq!(secrets.mask(&Bytes::from_static(answer.as_bytes())), *expected, "{answer}");
        }
    }

    #[test]
    fn values_of_sensitive_headers_become_asterisks_wherever_they_stand() {
        check(
            "Bearer s3cr3t",
            "http://a/",
            &[
                ("got Bearer s3cr3t, s3cr3t", "got *************, ******"),
                ("Bearer abc nobody", "Bearer abc nobody"),
                ("", ""),
            ],
        );
        check("abc", "http://a/", &[("abc", "abc")]);
    }

    #[test]
    fn so_do_passwords_and_values_of_the_query() {
        // user:hu"nter2
        let cases = [
            ("denied user:hu\"nter2", "denied *************"),
            (r#"{"password":"hu\"nter2"}"#, r#"{"password":"*********"}"#),
            ("user dXNlcjpodSJudGVyMg==", "user ********************"),
            ("POST /?api_key=top%20secret&a=b&pipeline=logs", "POST /?api_key=************&a=b&pipeline=logs"),
            ("key top secret for logs", "key ********** for logs"),
        ];
        check("Basic dXNlcjpodSJudGVyMg==", "http://a/?api_key=top%20secret&a=b&pipeline=logs", &cases);
    }
}
