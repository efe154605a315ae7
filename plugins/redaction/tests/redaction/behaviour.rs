//! What the configuration keys do, signal by signal and place by place.

use serde_json::{Value, json};
use sluice_sdk::{Outcome, Signal};

use crate::view::{View, decode, encode, view};
use crate::{process, run};

const CARD: &str = "4[0-9]{12}(?:[0-9]{3})?";
const EMAIL: &str = r"[A-Za-z0-9._%+-]+@[A-Za-z0-9.-]+\.[A-Za-z]{2,}";

fn check(signal: Signal, config: &Value, input: Value, expected: Value) {
    let result = process(config, signal, &view(input));
    assert_eq!(result, view(expected), "{config}");
}

/// Checks the attributes of a record in all signals.
fn check_record(config: Value, input: Value, expected: Value) {
    for signal in [Signal::Traces, Signal::Metrics, Signal::Logs] {
        check(signal, &config, json!({"record": input}), json!({"record": expected}));
    }
}

#[test]
fn removes_everything_without_a_configuration() {
    let attributes = json!({"a": "b", "n": 1});
    let input = json!({
        "resource": attributes, "scope": attributes, "record": attributes, "events": [attributes],
        "links": [attributes],
    });
    check(Signal::Traces, &json!({}), input, json!({"events": [{}], "links": [{}]}));
    let input = json!({"record": attributes, "exemplars": [attributes], "metadata": attributes});
    check(Signal::Metrics, &json!({}), input, json!({"exemplars": [{}]}));
    let input = json!({"record": attributes, "body": {"a": "b", "m": {"c": 1}}});
    check(Signal::Logs, &json!({}), input, json!({"body": {}}));
}

#[test]
fn masks_in_every_place() {
    let config = json!({"allow_all_keys": true, "blocked_values": [CARD]});
    let (before, after) = (json!({"a": "pay 4111111111111111."}), json!({"a": "pay ****."}));
    let places = |attributes: &Value| {
        json!({
            "resource": attributes, "scope": attributes, "record": attributes, "events": [attributes, attributes],
            "links": [attributes],
        })
    };
    check(Signal::Traces, &config, places(&before), places(&after));
    let places = |attributes: &Value| json!({"resource": attributes, "record": attributes, "exemplars": [attributes], "metadata": attributes});
    check(Signal::Metrics, &config, places(&before), places(&after));
    let places = |attributes: &Value| {
        json!({"resource": attributes, "scope": attributes, "record": attributes,
               "body": {"m": attributes, "l": [attributes, [attributes["a"]]]}})
    };
    check(Signal::Logs, &config, places(&before), places(&after));
    check(Signal::Logs, &config, json!({"body": "4111111111111111"}), json!({"body": "****"}));
    check(Signal::Logs, &config, json!({"body": 4_111_111_111_111_111_i64}), json!({"body": "****"}));
    check(Signal::Logs, &config, json!({"body": 4_111_111_111_111_i64}), json!({"body": "****"}));
    check(Signal::Logs, &config, json!({"body": 411}), json!({"body": 411}));
}

#[test]
fn classifies_by_key() {
    check_record(
        json!({"allowed_keys": ["id", "token"], "ignored_keys": ["note"], "ignored_key_patterns": ["^safe_"],
               "blocked_key_patterns": ["tok.n"], "blocked_values": [CARD]}),
        json!({"id": "4111111111111111", "token": "a\nb", "note": "4111111111111111", "safe_x": "4111111111111111",
               "other": "x"}),
        json!({"id": "****", "token": "****\n****", "note": "4111111111111111", "safe_x": "4111111111111111"}),
    );
}

#[test]
fn masks_blocked_keys_of_every_kind() {
    check_record(
        json!({"allow_all_keys": true, "blocked_key_patterns": ["secret"]}),
        json!({"secret.a": 1, "secret.b": [1, "x"], "secret.c": {"d": "e"}, "secret.d": {"$bytes": "x"}, "secret.e": true}),
        json!({"secret.a": "****", "secret.b": "****", "secret.c": "****", "secret.d": "****", "secret.e": "****"}),
    );
}

#[test]
fn spares_allowed_values() {
    check_record(
        json!({"allow_all_keys": true, "allowed_values": ["@mycompany\\.com$"], "blocked_values": [EMAIL],
               "blocked_key_patterns": ["key"]}),
        json!({"a": "bob@mycompany.com", "b": "bob@example.com", "key1": "x@mycompany.com", "key2": "x"}),
        json!({"a": "bob@mycompany.com", "b": "****", "key1": "x@mycompany.com", "key2": "****"}),
    );
}

#[test]
fn applies_patterns_one_after_the_other() {
    for (patterns, text, expected) in [
        (json!(["b", "c"]), "abcd", "a********d"),
        (json!(["ab", "bc"]), "abcd", "****cd"),
        (json!(["bc", "ab"]), "abcd", "a****d"),
        (json!(["b", "a\\*"]), "abcd", "*******cd"),
        (json!(["b", "\\*+"]), "abcd", "a****cd"),
        (json!(["b", "^a.*d$"]), "abcd", "****"),
        (json!(["[0-9]+", "\\bab"]), "1ab", "********"),
        (json!(["c*"]), "abcd", "****a****b****d****"),
        (json!([CARD, EMAIL]), "4111111111111111@x.org bob@x.org", "****@x.org ****"),
        (json!(["\\d{3}"]), "١٢٣ 123", "١٢٣ ****"),
    ] {
        check_record(
            json!({"allow_all_keys": true, "blocked_values": patterns}),
            json!({"a": text}),
            json!({"a": expected}),
        );
    }
}

#[test]
fn writes_other_kinds_as_text_if_told_so() {
    let input = json!({"i": 4_111_111_111_111_111_i64, "d": 4_111_111_111_111_111.5, "b": true,
                       "m": {"z": "<4111111111111111>", "a": [1, null, 0.5]}, "l": [1, 2]});
    let config = json!({"allow_all_keys": true, "blocked_values": [CARD]});
    check_record(config, input.clone(), input.clone());
    check_record(
        json!({"allow_all_keys": true, "blocked_values": [CARD], "redact_all_types": true}),
        input,
        json!({"i": "****", "d": "****.5", "b": true, "m": r#"{"a":[1,null,0.5],"z":"<****>"}"#, "l": [1, 2]}),
    );
}

/// Whatever an exporter may write is searched: a member whose key stands twice, and what is beside a number that JSON
/// does not have.
#[test]
fn a_strange_map_hides_nothing() {
    let config = json!({"allow_all_keys": true, "blocked_values": [CARD], "redact_all_types": true});
    let cases: [(Value, &[u8], &[u8], &str); 3] = [
        (json!({"card": "4111111111111111", "kard": "x"}), b"kard", b"card", r#"{"card":"****","card":"x"}"#),
        (json!({"a": "x", "c": "4111111111111111", "d": 0.5}), &HALF, &NAN, r#"{"a":"x","c":"****","d":"NaN"}"#),
        (json!(["4111111111111111", 0.5]), &HALF, &NAN, r#"["****","NaN"]"#),
    ];
    for (value, from, to, expected) in cases {
        let request = encode(Signal::Logs, &view(json!({"record": {"m": value}})));
        let at = request.windows(from.len()).position(|bytes| bytes == from).expect("it is there");
        let request = [&request[..at], to, &request[at + from.len()..]].concat();
        let processed = run(&config, Signal::Logs, &request);
        assert_eq!(decode(Signal::Logs, &processed.bytes)[0].record["m"], expected);
    }
}

const HALF: [u8; 8] = 0.5_f64.to_le_bytes();
const NAN: [u8; 8] = f64::NAN.to_le_bytes();

#[test]
fn hashes_each_match() {
    let config = json!({"allow_all_keys": true, "blocked_values": ["a[a-z]c"], "hash_function": "md5"});
    check_record(config, json!({"a": "x abc y"}), json!({"a": "x 900150983cd24fb0d6963f7d28e17f72 y"}));
    let config = json!({"allow_all_keys": true, "blocked_key_patterns": ["^a$"], "hash_function": "SHA1"});
    check_record(config, json!({"a": "abc"}), json!({"a": "a9993e364706816aba3e25717850c26c9cd0d89d"}));
    // The second pattern sees the digest of the first.
    let config = json!({"allow_all_keys": true, "blocked_values": ["abc", "^9001", "72$"], "hash_function": "md5"});
    let input = json!({"a": "abc", "b": "72"});
    let nine = "9001";
    assert_eq!(
        process(&config, Signal::Logs, &view(json!({"record": input}))).record["b"],
        "32bb90e8976aab5298d5da10fe66f21d"
    );
    let result = process(&config, Signal::Logs, &view(json!({"record": {"a": "abc"}})));
    assert!(!result.record["a"].as_str().expect("text").starts_with(nine), "{result:?}");
}

#[test]
fn detectors_mask_what_a_pattern_cannot_tell() {
    let input = json!({"a": "card 4111 1111 1111 1111, not 4111 1111 1111 1112", "b": "IBAN DE89 3704 0044 0532 0130 00",
                       "c": "bob@example.com,eve@example.com"});
    check_record(
        json!({"allow_all_keys": true, "detectors": [{"type": "card"}, {"type": "iban"}, {"type": "email"}]}),
        input.clone(),
        json!({"a": "card ****1111, not 4111 1111 1111 1112", "b": "IBAN ****30 00",
               "c": "****@example.com,****@example.com"}),
    );
    check_record(
        json!({"allow_all_keys": true,
               "detectors": [{"type": "card", "mask": "full"}, {"type": "iban", "mask": "full"}, {"type": "email", "mask": "full"}]}),
        input,
        json!({"a": "card ****, not 4111 1111 1111 1112", "b": "IBAN ****", "c": "****,****"}),
    );
}

#[test]
fn detectors_see_what_the_patterns_left() {
    let config = json!({"allow_all_keys": true, "blocked_values": ["^9{4}"], "detectors": [{"type": "card"}],
                        "summary": "debug"});
    // Twenty digits are no card number; the sixteen that are left are one.
    check_record(
        config,
        json!({"a": "99994111111111111111", "b": "4111111111111111", "c": "9999"}),
        json!({"a": "********1111", "b": "****1111", "c": "****", "redaction.masked.count": 3,
               "redaction.masked.keys": "a,b,c"}),
    );
    check_record(
        json!({"allow_all_keys": true, "detectors": [{"type": "email"}], "hash_function": "md5"}),
        json!({"a": "to abc@example.com"}),
        json!({"a": "to 900150983cd24fb0d6963f7d28e17f72@example.com"}),
    );
}

#[test]
fn tells_what_it_did() {
    let config = json!({"allowed_keys": ["a", "b", "c", "redaction.allowed.keys"], "ignored_keys": ["i"], "blocked_values": ["x"],
                        "allowed_values": ["^ok"], "summary": "debug"});
    let input = json!({"a": "x", "b": "xx", "c": "ok x", "d": "x", "i": "x"});
    check_record(
        config.clone(),
        input.clone(),
        json!({"a": "****", "b": "********", "c": "ok x", "i": "x",
               "redaction.redacted.keys": "d", "redaction.redacted.count": 1,
               "redaction.masked.keys": "a,b", "redaction.masked.count": 2,
               "redaction.allowed.keys": "c", "redaction.allowed.count": 1, "redaction.ignored.count": 1}),
    );
    let info = json!({"allowed_keys": ["a"], "blocked_values": ["x"], "summary": "info"});
    check_record(
        info,
        json!({"a": "x", "d": 1, "redaction.masked.count": 4}),
        json!({"a": "****", "redaction.redacted.count": 1, "redaction.masked.count": 5}),
    );
    check_record(json!({"allowed_keys": ["a"], "summary": "silent"}), input, json!({"a": "x"}));
}

#[test]
fn merges_with_an_earlier_summary() {
    check_record(
        json!({"allow_all_keys": true, "blocked_values": ["secret"], "summary": "debug"}),
        json!({"n": "secret", "redaction.masked.keys": "z,b", "redaction.masked.count": 2, "redaction.redacted.count": 7}),
        json!({"n": "****", "redaction.masked.keys": "b,n,z", "redaction.masked.count": 3, "redaction.redacted.count": 7}),
    );
}

#[test]
fn tells_about_bodies_on_their_records() {
    check(
        Signal::Logs,
        &json!({"allowed_keys": ["id", "email", "card", "nested", "list"], "ignored_keys": ["safe"],
                "blocked_values": [CARD], "allowed_values": ["@mycompany.com"], "summary": "debug"}),
        json!({"body": {"card": "4111111111111111", "other": "x", "list": ["4111111111111111", "u", [4_111_111_111_111_111_i64]],
                        "nested": {"card": "4111111111111111", "other": {"card": "x"}, "safe": {"card": "4111111111111111"},
                                   "email": "user@mycompany.com"}}}),
        json!({"body": {"card": "****", "list": ["****", "u", ["****"]],
                        "nested": {"card": "****", "safe": {"card": "4111111111111111"}, "email": "user@mycompany.com"}},
               "record": {"redaction.body.redacted.keys": "nested.other,other", "redaction.body.redacted.count": 2,
                          "redaction.body.masked.keys": "card,list.[0],list.[2].[0],nested.card",
                          "redaction.body.masked.count": 4,
                          "redaction.body.allowed.keys": "nested.email", "redaction.body.allowed.count": 1,
                          "redaction.body.ignored.count": 1}}),
    );
    let config = json!({"allow_all_keys": true, "blocked_values": ["x"], "summary": "debug"});
    let expected =
        json!({"body": "****", "record": {"redaction.body.masked.keys": "body", "redaction.body.masked.count": 1}});
    check(Signal::Logs, &config, json!({"body": "x"}), expected);
}

#[test]
fn leaves_parts_of_attributes_alone() {
    let input = json!({"record": {"m": {"card": "4111111111111111"}, "l": ["4111111111111111"]}, "body": "fine"});
    check(Signal::Logs, &json!({"allow_all_keys": true, "blocked_values": [CARD]}), input.clone(), input);
}

#[test]
fn changes_nothing_where_nothing_matches() {
    let input = json!({"resource": {"service.name": "shop"}, "record": {"a": "b", "n": 1}});
    for signal in [Signal::Traces, Signal::Metrics, Signal::Logs] {
        let config = json!({"allow_all_keys": true, "blocked_values": [CARD, EMAIL]});
        check(signal, &config, input.clone(), input.clone());
        assert_eq!(process(&config, signal, &View::default()), View::default());
    }
}

#[test]
fn masks_in_place_where_patterns_do_not_meet() {
    let config = json!({"allow_all_keys": true, "blocked_values": [CARD, EMAIL], "detectors": [{"type": "iban"}]});
    let request = |attributes: Value| encode(Signal::Traces, &view(json!({"record": attributes})));
    let input = request(json!({"a": "bob@x.org 4111111111111111", "b": "fine", "c": "4222222222222"}));
    let mut expected = Outcome::unchanged();
    expected.mask(vec![0, 0, 2], vec![0, 10, 0], vec![9, 26, 13], "****");
    assert_eq!(run(&config, Signal::Traces, &input).outcome, expected);
    let input = request(json!({"a": "fine", "b": 1}));
    assert!(run(&config, Signal::Traces, &input).outcome.is_unchanged());
}
