use super::*;

fn parse(json: &str) -> Result<Config, String> {
    serde_json::from_str(json).map_err(|error| error.to_string())
}

#[test]
fn removes_everything_by_default() {
    let config = parse("{}").expect("valid");
    assert!(!config.allow_all_keys && config.allowed_keys.is_empty());
    assert_eq!((config.summary(), config.hash_function), (Summary::Silent, HashFunction::None));
}

#[test]
fn warns_of_what_is_hardly_meant() {
    let cases = [
        ("{}", "every attribute but a summary's is removed"),
        (r#"{"allow_all_keys":true,"allowed_keys":["a"]}"#, "allowed_keys has no effect"),
        (r#"{"allow_all_keys":true,"hmac_key":"k","hash_function":"md5"}"#, "hmac_key has no effect"),
        (r#"{"allow_all_keys":true,"summary":"INFO"}"#, "summary is none of silent, info and debug"),
    ];
    for (json, expected) in cases {
        let surprises = parse(json).expect(json).surprises();
        assert!(surprises.len() == 1 && surprises[0].contains(expected), "{json}: {surprises:?}");
    }
    for json in [
        r#"{"allow_all_keys":true}"#,
        r#"{"allowed_keys":["a"]}"#,
        r#"{"ignored_key_patterns":["a"]}"#,
        r#"{"allow_all_keys":true,"hash_function":"hmac-sha256","hmac_key":"k"}"#,
    ] {
        assert!(parse(json).expect(json).surprises().is_empty(), "{json}");
    }
}

#[test]
fn reads_hash_functions_in_any_case() {
    for (name, expected) in [
        ("", HashFunction::None),
        ("MD5", HashFunction::Md5),
        ("sha1", HashFunction::Sha1),
        ("sha3", HashFunction::Sha3),
        ("HMAC-SHA256", HashFunction::HmacSha256),
        ("hmac-sha512", HashFunction::HmacSha512),
    ] {
        let config = parse(&format!(r#"{{"hash_function":"{name}"}}"#)).expect("valid");
        assert_eq!(config.hash_function, expected);
    }
}

#[test]
fn takes_any_other_word_for_silent_as_the_collector_does() {
    for (word, expected) in [
        ("", Summary::Silent),
        ("silent", Summary::Silent),
        ("info", Summary::Info),
        ("debug", Summary::Debug),
        ("Debug", Summary::Silent),
        ("loud", Summary::Silent),
    ] {
        let config = parse(&format!(r#"{{"allow_all_keys":true,"summary":"{word}"}}"#)).expect(word);
        assert_eq!(config.summary(), expected, "{word}");
    }
    assert!(parse(r#"{"allow_all_keys":true,"summary":""}"#).expect("valid").surprises().is_empty());
}

#[test]
fn refuses_what_it_does_not_know() {
    for (json, expected) in [
        (r#"{"hash_function":"sha2"}"#, "unknown hash function \"sha2\"; use md5"),
        (r#"{"block_values":[]}"#, "unknown field `block_values`"),
        (r#"{"detectors":[{"type":"phone"}]}"#, "unknown variant `phone`, expected one of `card`"),
        (r#"{"detectors":[{"mask":"full"}]}"#, "missing field `type`"),
    ] {
        let error = parse(json).expect_err(json);
        assert!(error.contains(expected), "{error}");
    }
}

#[test]
fn wants_hmac_keys_of_the_digest_size() {
    for (function, size, problem) in [
        ("hmac-sha256", 0, Some("key of 0 bytes is too short for hmac-sha256; use 32 or more")),
        ("hmac-sha256", 31, Some("key of 31 bytes is too short for hmac-sha256; use 32 or more")),
        ("hmac-sha256", 32, None),
        ("hmac-sha512", 63, Some("key of 63 bytes is too short for hmac-sha512; use 64 or more")),
        ("hmac-sha512", 64, None),
        ("sha1", 0, None),
    ] {
        let json = serde_json::json!({"hash_function": function, "hmac_key": "k".repeat(size)});
        let problems = parse(&json.to_string()).expect("valid").problems();
        let expected: Vec<_> = problem.map(|what| ("hmac_key".to_owned(), what.to_owned())).into_iter().collect();
        assert_eq!(problems, expected);
    }
}

#[test]
fn refuses_sanitizers_that_are_on_and_takes_those_that_are_off() {
    let config = parse(
        r#"{"url_sanitizer":{"enabled":true,"attributes":["u"]},
            "db_sanitizer":{"sanitize_span_name":true,"sql":{"enabled":true},"es":{"enabled":true,"attributes":[]}}}"#,
    );
    let problems = config.expect("valid").problems();
    let paths: Vec<&str> = problems.iter().map(|(path, _)| path.as_str()).collect();
    assert_eq!(paths, ["url_sanitizer.enabled", "db_sanitizer.sql.enabled", "db_sanitizer.es.enabled"]);
    let config = parse(r#"{"url_sanitizer":{"enabled":false},"db_sanitizer":{"redis":{"enabled":false}}}"#);
    assert_eq!(config.expect("valid").problems(), []);
}

#[test]
fn never_shows_the_hmac_key() {
    let config = parse(r#"{"hmac_key":"topsecret"}"#).expect("valid");
    assert!(!format!("{config:?}").contains("topsecret"));
}
