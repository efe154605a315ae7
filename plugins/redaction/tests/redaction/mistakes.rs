//! Configurations that are refused, and what is said about them.

use redaction::Redaction;
use serde_json::{Value, json};
use sluice_sdk::Signal;
use sluice_sdk::testing::Harness;

fn check(config: Value, expected: &[(&str, &str)]) {
    let errors = Harness::<Redaction>::new(&config, Signal::Traces).err().expect("a mistake").into_vec();
    let paths: Vec<&str> = errors.iter().map(|error| error.path.as_str()).collect();
    assert_eq!(paths, expected.iter().map(|(path, _)| *path).collect::<Vec<_>>(), "{errors:?}");
    for (error, (_, message)) in errors.iter().zip(expected) {
        assert!(error.message.contains(message), "{} lacks {message}", error.message);
    }
}

#[test]
fn names_every_mistake_and_its_place() {
    check(
        json!({"hash_function": "hmac-sha256", "hmac_key": "short", "url_sanitizer": {"enabled": true},
               "blocked_values": ["fine", "(a", "(?=b)"], "ignored_key_patterns": ["["],
               "blocked_key_patterns": ["a{2,1}"], "allowed_values": ["*"],
               "detectors": [{"type": "card"}, {"type": "email", "mask": "last4"}]}),
        &[
            ("hmac_key", "key of 5 bytes is too short for hmac-sha256"),
            ("url_sanitizer.enabled", "not supported"),
            ("blocked_values[1]", "unclosed group"),
            ("blocked_values[2]", "look-around"),
            ("detectors[1].mask", "does not go with type email"),
            ("ignored_key_patterns[0]", "unclosed character class"),
            ("blocked_key_patterns[0]", "invalid repetition count range"),
            ("allowed_values[0]", "repetition operator missing expression"),
        ],
    );
}

#[test]
fn names_the_key_of_a_wrong_value() {
    check(json!({"detectors": [{"type": "phone"}]}), &[("detectors[0].type", "unknown variant `phone`")]);
    check(json!({"summary": 1}), &[("summary", "invalid type: integer `1`, expected a string")]);
    check(json!({"hash_function": "sha2"}), &[("hash_function", "unknown hash function \"sha2\"")]);
    check(json!({"allow_all": true}), &[("allow_all", "unknown field `allow_all`")]);
}

#[test]
fn takes_no_configuration_at_all() {
    for config in ["null", "{}"] {
        Harness::<Redaction>::new(config, Signal::Logs).expect("valid");
    }
}
