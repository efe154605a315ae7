//! What `_bulk` answers: one result per document, in their order. Of what it says about failures so much is kept as a
//! reason has room for, however large and deep it is.

use std::fmt;

use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};

use crate::export::client::{MAX_REASON_BYTES, shorten};
use crate::export::echo::Secrets;

/// An answer has about 200 bytes a document, more for failures.
const REPLY_BYTES_PER_DOCUMENT: usize = 4 << 10;
/// The most that so many documents take.
const MAX_DOCUMENT_BYTES: usize = 64 << 20;
/// Beside that, a failure repeats all of the value that it is about, once for itself and once for its cause; quotes in it
/// are escaped.
const REPEATS: usize = 3;
/// What stands in an answer beside its results, or instead of them.
const MIN_REPLY_BYTES: usize = 1 << 20;
/// So many causes of a failure are told.
const MAX_CAUSES: usize = 3;

/// What became of a document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Result {
    /// It is there, now or since an earlier attempt.
    Stored,
    /// It may be stored later.
    Later(String),
    /// It will never be stored.
    Never(String),
}

/// Why an answer is of no use.
#[derive(Debug, thiserror::Error)]
pub(super) enum ReplyError {
    /// It is no bulk answer; a gateway may have given it.
    #[error("what was answered is no answer to _bulk: {0}")]
    Json(#[from] serde_json::Error),
    /// It does not say what became of each document.
    #[error("the answer to _bulk has {found} results for {expected} documents")]
    Count {
        /// Results in the answer.
        found: usize,
        /// Documents in the request.
        expected: usize,
    },
}

/// The answer to a request with so many documents.
struct Reply<'a> {
    documents: usize,
    secrets: &'a Secrets,
}

/// Its results: those of the documents, and how many there are.
struct Items<'a> {
    documents: usize,
    secrets: &'a Secrets,
}

/// One of them: `{"create": {...}}` or `{"index": {...}}`.
struct Item<'a>(&'a Secrets);

/// What it says of the document.
struct Outcome<'a>(&'a Secrets);

/// Reads what an error says of itself and of so many of its causes: most versions send an object, some a text.
struct Failure<'a> {
    causes: usize,
    secrets: &'a Secrets,
}

#[derive(Deserialize)]
#[serde(field_identifier, rename_all = "lowercase")]
enum ReplyKey {
    Errors,
    Items,
    #[serde(other)]
    Other,
}

#[derive(Deserialize)]
#[serde(field_identifier, rename_all = "lowercase")]
enum Action {
    Create,
    Index,
    Update,
    Delete,
}

#[derive(Deserialize)]
#[serde(field_identifier, rename_all = "lowercase")]
enum OutcomeKey {
    Status,
    Error,
    #[serde(other)]
    Other,
}

#[derive(Deserialize)]
#[serde(field_identifier, rename_all = "snake_case")]
enum FailureKey {
    Type,
    Reason,
    CausedBy,
    #[serde(other)]
    Other,
}

/// How much of an answer to so many documents is read, which are so many bytes before compression.
pub(super) fn max_bytes(documents: usize, bytes: usize) -> usize {
    let of_documents = documents.saturating_mul(REPLY_BYTES_PER_DOCUMENT).min(MAX_DOCUMENT_BYTES);
    bytes.saturating_mul(REPEATS).saturating_add(of_documents).max(MIN_REPLY_BYTES)
}

/// Reads an answer to a request with so many documents. These secrets are masked in what failures say, before it is cut.
pub(super) fn read(body: &[u8], documents: usize, secrets: &Secrets) -> std::result::Result<Vec<Result>, ReplyError> {
    let mut json = serde_json::Deserializer::from_slice(body);
    let (results, found) = Reply { documents, secrets }.deserialize(&mut json)?;
    json.end()?;
    if found != documents {
        return Err(ReplyError::Count { found, expected: documents });
    }
    Ok(results)
}

fn outcome(status: u16, error: &str) -> Result {
    let reason = || shorten(format!("status {status}: {error}"));
    match status {
        // The ids are deterministic: a conflict means that an earlier attempt got through.
        200..=299 | 409 => Result::Stored,
        429 | 500 | 502 | 503 | 504 => Result::Later(reason()),
        _ => Result::Never(reason()),
    }
}

impl<'de> DeserializeSeed<'de> for Reply<'_> {
    type Value = (Vec<Result>, usize);

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> std::result::Result<Self::Value, D::Error> {
        json.deserialize_map(self)
    }
}

/// Every bulk answer has both, and nothing else is one.
impl<'de> Visitor<'de> for Reply<'_> {
    type Value = (Vec<Result>, usize);

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a map")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> std::result::Result<Self::Value, A::Error> {
        let Self { documents, secrets } = self;
        let (mut errors, mut items) = (None, None);
        while let Some(key) = map.next_key()? {
            match key {
                ReplyKey::Errors => errors = Some(map.next_value::<bool>()?),
                ReplyKey::Items => items = Some(map.next_value_seed(Items { documents, secrets })?),
                ReplyKey::Other => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        errors.ok_or_else(|| A::Error::missing_field("errors"))?;
        items.ok_or_else(|| A::Error::missing_field("items"))
    }
}

impl<'de> DeserializeSeed<'de> for Items<'_> {
    type Value = (Vec<Result>, usize);

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> std::result::Result<Self::Value, D::Error> {
        json.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for Items<'_> {
    type Value = (Vec<Result>, usize);

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of results")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> std::result::Result<Self::Value, A::Error> {
        let mut results = Vec::new();
        while results.len() < self.documents {
            let Some(result) = items.next_element_seed(Item(self.secrets))? else { break };
            results.push(result);
        }
        let mut found = results.len();
        while items.next_element::<IgnoredAny>()?.is_some() {
            found += 1;
        }
        Ok((results, found))
    }
}

impl<'de> DeserializeSeed<'de> for Item<'_> {
    type Value = Result;

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> std::result::Result<Result, D::Error> {
        json.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Item<'_> {
    type Value = Result;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a result")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> std::result::Result<Result, A::Error> {
        map.next_key::<Action>()?.ok_or_else(|| A::Error::custom("a result without an action"))?;
        map.next_value_seed(Outcome(self.0))
    }
}

impl<'de> DeserializeSeed<'de> for Outcome<'_> {
    type Value = Result;

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> std::result::Result<Result, D::Error> {
        json.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Outcome<'_> {
    type Value = Result;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("what became of a document")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> std::result::Result<Result, A::Error> {
        let (mut status, mut error) = (None, String::new());
        while let Some(key) = map.next_key()? {
            match key {
                OutcomeKey::Status => status = Some(map.next_value::<u16>()?),
                OutcomeKey::Error => error = map.next_value_seed(Failure { causes: MAX_CAUSES, secrets: self.0 })?,
                OutcomeKey::Other => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        let status = status.ok_or_else(|| A::Error::missing_field("status"))?;
        Ok(outcome(status, &error))
    }
}

impl<'de> DeserializeSeed<'de> for Failure<'_> {
    type Value = String;

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> std::result::Result<String, D::Error> {
        json.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Failure<'_> {
    type Value = String;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an error")
    }

    fn visit_unit<E>(self) -> std::result::Result<String, E> {
        Ok(String::new())
    }

    /// What is longer than any reason is cut here, before there are several of it, and masked before: of a secret that is
    /// cut the beginning would stay.
    fn visit_str<E>(self, text: &str) -> std::result::Result<String, E> {
        let masked = self.secrets.mask_text(text.to_owned());
        Ok(masked[..masked.floor_char_boundary(MAX_REASON_BYTES)].to_owned())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> std::result::Result<String, A::Error> {
        let Self { causes, secrets } = self;
        let (mut kind, mut reason, mut cause) = (String::new(), String::new(), String::new());
        while let Some(key) = map.next_key()? {
            match key {
                FailureKey::Type => kind = map.next_value_seed(Failure { causes: 0, secrets })?,
                FailureKey::Reason => reason = map.next_value_seed(Failure { causes: 0, secrets })?,
                FailureKey::CausedBy if causes > 0 => {
                    cause = map.next_value_seed(Failure { causes: causes - 1, secrets })?;
                }
                FailureKey::CausedBy | FailureKey::Other => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        let said: Vec<String> = [kind, reason].into_iter().filter(|text| !text.is_empty()).collect();
        let said = said.join(": ");
        Ok(if cause.is_empty() { said } else { format!("{said}; caused by {cause}") })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(body: &[u8], documents: usize) -> std::result::Result<Vec<Result>, ReplyError> {
        super::read(body, documents, &Secrets::default())
    }

    #[test]
    fn tells_stored_later_and_never_apart() {
        let body = br#"{"took":1,"errors":true,"items":[
            {"create":{"_index":"i","status":201}},
            {"create":{"_index":"i","status":409,"error":{"type":"version_conflict_engine_exception","reason":"exists"}}},
            {"index":{"status":429,"error":{"type":"rejected_execution_exception","reason":"queue"}}},
            {"create":{"status":400,"error":{"type":"mapper_parsing_exception","reason":"failed to parse field [x]",
                "caused_by":{"type":"number_format_exception","reason":"For input string"}}}}]}"#;
        let results = read(body, 4).expect("a bulk answer");
        assert_eq!(results[..2], [Result::Stored, Result::Stored]);
        assert_eq!(results[2], Result::Later("status 429: rejected_execution_exception: queue".into()));
        let never = "status 400: mapper_parsing_exception: failed to parse field [x]; caused by number_format_exception: For input string";
        assert_eq!(results[3], Result::Never(never.into()));
    }

    /// Each text is cut before it is kept, and nothing is read below the last cause that is told.
    #[test]
    fn tells_the_beginning_of_a_failure_however_deep_it_is() {
        let check = |error: &str, expected: &str| {
            let body = format!(r#"{{"errors":true,"items":[{{"create":{{"status":400,"error":{error}}}}}]}}"#);
            let results = read(body.as_bytes(), 1).expect("a bulk answer");
            assert_eq!(results, [Result::Never(format!("status 400: {expected}"))], "{error}");
        };
        let nested = |depth: usize| {
            let causes: String = (1..=depth).map(|cause| format!(r#","caused_by":{{"type":"c{cause}""#)).collect();
            format!(r#"{{"type":"t"{causes}{}"#, "}".repeat(depth + 1))
        };
        let three = "t; caused by c1; caused by c2; caused by c3";
        for depth in [3, 4, 1_000] {
            check(&nested(depth), three);
        }
        check(r#""plain""#, "plain");
        check("null", "");
        check(r#"{"type":"t","reason":null,"caused_by":"text","root_cause":[]}"#, "t; caused by text");
        let long = "é".repeat(MAX_REASON_BYTES);
        check(&format!(r#"{{"reason":"{long}"}}"#), &format!("{} ...", &long[..MAX_REASON_BYTES - 16]));
    }

    #[test]
    fn reads_so_much_as_results_may_take() {
        let cases = [
            (0, 0, 1 << 20),
            (256, 0, 1 << 20),
            (257, 0, 257 << 12),
            (256, 1, (1 << 20) + 3),
            (1, 4 << 20, (12 << 20) + (4 << 10)),
            (usize::MAX, 4 << 20, 76 << 20),
            (usize::MAX, usize::MAX, usize::MAX),
        ];
        for (documents, bytes, expected) in cases {
            assert_eq!(max_bytes(documents, bytes), expected, "{documents} of {bytes}");
        }
    }

    #[test]
    fn refuses_an_answer_that_does_not_fit_the_request() {
        let body = br#"{"errors":true,"items":[{"create":{"status":201}}]}"#;
        assert!(matches!(read(body, 2), Err(ReplyError::Count { found: 1, expected: 2 })));
        let body = br#"{"errors":true,"items":[{"create":{"status":201}},{},7]}"#;
        assert!(matches!(read(body, 1), Err(ReplyError::Count { found: 3, expected: 1 })));
    }

    #[test]
    fn what_is_no_bulk_answer_stores_nothing() {
        for (body, missing) in [
            ("{}", "errors"),
            (r#"{"message":"Forbidden"}"#, "errors"),
            (r#"{"errors":false}"#, "items"),
            (r#"{"items":[{"create":{"status":201}}]}"#, "errors"),
            ("<html>", "expected value"),
        ] {
            let error = read(body.as_bytes(), 1).expect_err(body).to_string();
            assert!(
                error.starts_with("what was answered is no answer to _bulk: ") && error.contains(missing),
                "{error}"
            );
        }
        let none = read(br#"{"errors":false,"items":[]}"#, 1);
        assert!(matches!(none, Err(ReplyError::Count { found: 0, expected: 1 })));
    }
}
