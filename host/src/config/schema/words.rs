//! The words for what a schema expects and what stands there instead.

use serde_json::Value;

use crate::config::types::REDACTED;

/// So many characters of a bad value are shown.
const SHOWN_CHARACTERS: usize = 80;
/// So many valid keys are listed.
const SHOWN_KEYS: usize = 24;

/// The message for a key that is not there.
pub(crate) fn unknown_key<'a>(key: &str, valid: impl Iterator<Item = &'a str>) -> String {
    let valid: Vec<&str> = valid.collect();
    if let Some(reason) = unsupported(key) {
        return format!("not supported: {reason}");
    }
    if let Some(near) = meant_key(key, valid.iter().copied()) {
        return format!("unknown key; did you mean {near:?}?");
    }
    if valid.is_empty() {
        return "unknown key; no key is valid here".into();
    }
    let more = if valid.len() > SHOWN_KEYS { ", …" } else { "" };
    let shown = valid.iter().take(SHOWN_KEYS).copied().collect::<Vec<_>>().join(", ");
    format!("unknown key; valid keys are {shown}{more}")
}

/// The message for a key of a map whose keys have to match a pattern.
pub(crate) fn no_match<'a>(key: &str, patterns: impl Iterator<Item = &'a str>) -> String {
    format!("the key {:?} does not match {}", shorten(key), patterns.collect::<Vec<_>>().join(" or "))
}

/// The valid key that an unknown one was probably meant to be.
pub(crate) fn meant_key<'a>(key: &str, valid: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    nearest(key, valid).filter(|_| unsupported(key).is_none())
}

/// Whether a key is one that the collector has and this version lacks.
pub(crate) fn is_unsupported(key: &str) -> bool {
    unsupported(key).is_some()
}

/// Keys of the collector that mean something which is not there, so that leaving them out changes what happens.
fn unsupported(key: &str) -> Option<&'static str> {
    Some(match key {
        "cipher_suites" | "curve_preferences" => "the TLS library offers only safe choices and picks among them",
        "auth" => "authentication of clients is not part of this version; use mutual TLS (tls::client_ca_file)",
        "tpm" => "keys in a TPM are not part of this version",
        "middlewares" => "middlewares are not part of this version",
        "storage" => "durable queues are not part of this version; remove the key to queue in memory",
        "wal" => "the write-ahead log is not part of this version; the queue is in memory",
        "ism" => "index state management is not part of this version; set the policy in OpenSearch itself",
        "partition" => {
            "partitioning of queued batches is not part of this version; use the batch processor's metadata_keys"
        }
        "cookies" => "cookies are not part of this version",
        "use_v2" | "component_health_config" => "health per component is not part of this version",
        "bundles" => "bundles per tenant are not part of this version",
        "dialer" => "how connections are dialled can't be set",
        "ballast_size_mib" => "there is no garbage collector to tune; remove the key",
        "compression_params" => "levels of compression are not part of this version",
        _ => return None,
    })
}

/// What is written today for keys of the collectors of 2021.
pub(crate) fn renamed(key: &str) -> Option<&'static str> {
    Some(match key {
        "cors_allowed_origins" => "cors::allowed_origins",
        "cors_allowed_headers" => "cors::allowed_headers",
        "insecure" => "tls::insecure",
        "ca_file" => "tls::ca_file",
        "cert_file" => "tls::cert_file",
        "key_file" => "tls::key_file",
        "tls_settings" => "tls",
        _ => return None,
    })
}

/// The valid word that was probably meant.
pub(crate) fn nearest<'a>(word: &str, valid: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let lower = word.to_lowercase();
    // Half of a short word is no longer the same word.
    let limit = match word.chars().count() {
        0..=2 => 1,
        3..=5 => 2,
        _ => 3,
    };
    let distance = |candidate: &str| strsim::damerau_levenshtein(&lower, &candidate.to_lowercase());
    let candidates = valid.filter(|candidate| candidate.len().abs_diff(word.len()) <= limit);
    candidates
        .map(|candidate| (distance(candidate), candidate))
        .filter(|(far, _)| *far <= limit)
        .min()
        .map(|(_, near)| near)
}

/// The message for a word that is none of the possible ones.
pub(crate) fn no_choice(text: &str, choices: &[&str]) -> String {
    let listed = choices.iter().map(|choice| format!("{choice:?}")).collect::<Vec<_>>().join(", ");
    let hint = nearest(text, choices.iter().copied().filter(|near| !near.is_empty()))
        .map(|near| format!("; did you mean {near:?}?"));
    format!("{:?} is not one of {listed}{}", shorten(text), hint.unwrap_or_default())
}

/// The beginning of a value, for an error.
pub(crate) fn shorten(text: &str) -> String {
    match text.char_indices().nth(SHOWN_CHARACTERS) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

/// A scalar as it was found.
pub(crate) fn scalar(value: &Value, text: &str, secret: bool) -> String {
    match value {
        _ if secret => format!("the text {REDACTED}"),
        Value::Null => "nothing".into(),
        Value::Bool(boolean) => format!("the boolean {boolean}"),
        Value::Number(number) => format!("the number {number}"),
        _ if super::super::node::resolve(text).is_string() => format!("the text {:?}", shorten(text)),
        _ => format!("the text {:?}; remove the quotes", shorten(text)),
    }
}

/// What one of the alternatives would take.
pub(crate) fn expected(alternatives: &[&Value]) -> String {
    let mut words: Vec<String> = Vec::new();
    for schema in alternatives {
        let word = one_expected(schema);
        if !words.contains(&word) {
            words.push(word);
        }
    }
    words.join(" or ")
}

fn one_expected(schema: &Value) -> String {
    match schema.get("format").and_then(Value::as_str) {
        Some("go-duration") => return "a duration such as \"30s\"".into(),
        Some("byte-size") => return "a size such as \"64MiB\"".into(),
        Some("component-id") => return "a component id (type or type/name)".into(),
        _ => {}
    }
    let kind = match schema.get("type") {
        Some(Value::String(one)) => one.as_str(),
        Some(Value::Array(several)) => {
            several.iter().filter_map(Value::as_str).find(|one| *one != "null").unwrap_or("object")
        }
        _ => "object",
    };
    match kind {
        "boolean" => "a boolean (true or false)".into(),
        "integer" => match range(schema) {
            range if range.is_empty() => "an integer".into(),
            range if range.starts_with("at") => format!("an integer of {range}"),
            range => format!("an integer {range}"),
        },
        "number" => "a number".into(),
        "string" => "a text".into(),
        "array" => "a list".into(),
        _ => "a map".into(),
    }
}

/// The range of a number.
pub(crate) fn range(schema: &Value) -> String {
    let bound = |key: &str| schema.get(key).filter(|bound| bound.is_number());
    match (bound("minimum"), bound("maximum")) {
        (Some(min), Some(max)) => format!("from {min} to {max}"),
        (Some(min), None) => format!("at least {min}"),
        (None, Some(max)) => format!("at most {max}"),
        (None, None) => String::new(),
    }
}

/// The largest number that the type behind a schema holds, where the schema does not say it otherwise.
pub(crate) fn largest(schema: &Value) -> Option<u64> {
    match schema.get("format").and_then(Value::as_str)? {
        "uint8" => Some(u8::MAX.into()),
        "uint16" => Some(u16::MAX.into()),
        "uint32" => Some(u32::MAX.into()),
        "int32" => Some(i32::MAX as u64),
        _ => None,
    }
}
