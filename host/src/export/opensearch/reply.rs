//! What `_bulk` answers: one result per document, in their order.

use serde::Deserialize;

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

/// Every bulk answer has both, and nothing else is one.
#[derive(Deserialize)]
struct Reply {
    #[serde(rename = "errors")]
    _errors: bool,
    items: Vec<Item>,
}

/// `{"create": {...}}` or `{"index": {...}}`.
#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Item {
    Create(Outcome),
    Index(Outcome),
    Update(Outcome),
    Delete(Outcome),
}

#[derive(Deserialize)]
struct Outcome {
    status: u16,
    #[serde(default)]
    error: Option<Failure>,
}

/// Most versions send an object, some a text.
#[derive(Deserialize)]
#[serde(untagged)]
enum Failure {
    Detailed {
        #[serde(rename = "type", default)]
        kind: String,
        #[serde(default)]
        reason: Option<String>,
        #[serde(default)]
        caused_by: Option<Box<Failure>>,
    },
    Plain(String),
}

impl Failure {
    fn text(&self) -> String {
        match self {
            Self::Plain(text) => text.clone(),
            Self::Detailed { kind, reason, caused_by } => {
                let mut text = kind.clone();
                if let Some(reason) = reason {
                    text = format!("{text}: {reason}");
                }
                match caused_by {
                    Some(cause) => format!("{text}; caused by {}", cause.text()),
                    None => text,
                }
            }
        }
    }
}

/// Reads an answer to a request with so many documents.
pub(super) fn read(body: &[u8], documents: usize) -> std::result::Result<Vec<Result>, ReplyError> {
    let reply: Reply = serde_json::from_slice(body)?;
    if reply.items.len() != documents {
        return Err(ReplyError::Count { found: reply.items.len(), expected: documents });
    }
    Ok(reply.items.into_iter().map(outcome).collect())
}

fn outcome(item: Item) -> Result {
    let (Item::Create(outcome) | Item::Index(outcome) | Item::Update(outcome) | Item::Delete(outcome)) = item;
    let reason = || {
        let text = outcome.error.as_ref().map_or_else(String::new, Failure::text);
        crate::export::client::shorten(format!("status {}: {text}", outcome.status))
    };
    match outcome.status {
        // The ids are deterministic: a conflict means that an earlier attempt got through.
        200..=299 | 409 => Result::Stored,
        429 | 500 | 502 | 503 | 504 => Result::Later(reason()),
        _ => Result::Never(reason()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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

    #[test]
    fn refuses_an_answer_that_does_not_fit_the_request() {
        let body = br#"{"errors":true,"items":[{"create":{"status":201}}]}"#;
        assert!(matches!(read(body, 2), Err(ReplyError::Count { found: 1, expected: 2 })));
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
