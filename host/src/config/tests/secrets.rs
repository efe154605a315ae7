//! No secret stands in an error, a warning, or what is printed.

use super::*;

/// Whatever is done with the secret, in good configurations and bad ones.
const BLOCKS: [&str; 24] = [
    "exporters: {otlphttp: {endpoint: 'http://a', headers: {authorization: '${SECRET}'}}}",
    "exporters: {otlphttp: {endpoint: 'http://a', headers: '${SECRET}'}}",
    "exporters: {otlphttp: {endpoint: 'http://a', headers: ['${SECRET}']}}",
    "exporters: {otlphttp: {endpoint: 'http://a', headers: [{name: x, value: '${SECRET}', more: 1}]}}",
    "exporters: {otlphttp: {endpoint: 'http://a', headers: {authorization: ['${SECRET}']}}}",
    "exporters: {otlphttp: {endpoint: 'http://a', headers: {authorization: \"${SECRET}\\x07\"}}}",
    "exporters: {otlphttp: {endpoint: 'http://u:${SECRET}@a/'}}",
    "exporters: {otlphttp: {endpoint: 'u:${SECRET}@a'}}",
    "exporters: {otlphttp: {endpoint: 'http://u:${SECRET}@a b/'}}",
    "exporters: {otlphttp: {endpoint: 'http://a', proxy_url: 'http://u:${SECRET}@p:1'}}",
    "exporters: {otlphttp: {endpoint: 'http://a', tls: {key_pem: '${SECRET}', cert_pem: '${SECRET}', ca_pem: ['${SECRET}']}}}",
    "exporters: {otlp: {endpoint: 'https://u:${SECRET}@a:1/'}}",
    "exporters: {otlp: {endpoint: 'u:${SECRET}@a'}}",
    "exporters: {otlphttp: {endpoint: 'http://a', password: '${SECRET}'}}",
    "processors: {redaction: {hmac_key: '${SECRET}', nested: [{api_token: '${SECRET}'}]}}",
    "exporters: {otlphttp: {endpoint: 'http://a', headers: {authorization: 'Bearer ${SECRET}'}, timout: 1s}}",
    // Passwords that nobody escaped.
    "exporters: {otlphttp: {endpoint: 'http://a', headers: {authorization: $hunter2secret}}}",
    "exporters: {otlphttp: {endpoint: 'http://a', headers: {authorization: x$hunter2secret}}}",
    "exporters: {otlphttp: {endpoint: 'http://a', headers: {authorization: '${hunter2-x}'}}}",
    "exporters: {otlphttp: {endpoint: 'http://a', headers: {authorization: '${hunter2:x}'}}}",
    "exporters: {otlphttp: {endpoint: 'http://a', headers: {authorization: !hunter2secret }}}",
    "exporters: {otlphttp: {endpoint: 'http://a', headers: {authorization: !!hunter2secret x}}}",
    "exporters: {otlphttp: {endpoint: 'http://a', headers: {authorization: x$HUNTER2}}}",
    "exporters: {otlphttp: {endpoint: 'http://a', headers: {authorization: x$SECRET$HUNTER2}}}",
];

const REST: &str = "receivers: {otlp: {protocols: {grpc: }}}\nexporters: {debug: }\n\
                    service: {pipelines: {traces: {receivers: [otlp], exporters: [debug]}}}";

#[test]
fn never_shows_a_secret() {
    let mut loaded_blocks = 0;
    for secret in ["hunter2-hunter2", "hunter2: [hunter2", "{name: hunter2}", "hunter2\nhunter2", "hunter2${hunter2}$$"]
    {
        for block in BLOCKS {
            let loaded = load_texts(&[("rest", REST), ("block", block)], &[("SECRET", secret)]);
            let mut shown = said(&loaded);
            if let Ok(config) = &loaded {
                loaded_blocks += 1;
                shown += &print(config, &|_| None);
                shown += &print(config, &|_| Some(serde_json::json!(true)));
                shown += &format!("{:?} {:?}", config.exporters, config.processors);
            }
            assert!(!shown.to_ascii_lowercase().contains("hunter2"), "{block}\n{shown}");
        }
    }
    assert!(loaded_blocks > 10, "only {loaded_blocks} loaded");
}

#[test]
fn a_plugins_own_secrets_are_those_that_its_schema_marks() {
    let block = "processors: {redaction: {key: ['hunter2'], hash: hunter2}}";
    let config = load_texts(&[("rest", REST), ("block", block)], &[]).expect("loads");
    let Some(ProcessorConfig::Plugin(plugin)) = config.processors.values().next() else { panic!("no plugin") };
    let schema = serde_json::json!({
        "type": "object",
        "properties": {
            "key": {"type": "object", "writeOnly": true},
            "hash": {"type": "integer", "writeOnly": true},
        },
    });
    let errors = plugin.check(&schema).expect_err("wrong types").to_string();
    assert!(errors.contains("[REDACTED]") && !errors.contains("hunter2"), "{errors}");
    assert_eq!(plugin.secrets(&schema, &serde_json::json!(null)), ["hunter2", "hunter2"]);
    // As it is read from `hsh: hunter3`.
    let read = serde_json::json!({ "hash": "hunter3" });
    assert_eq!(plugin.secrets(&schema, &read), ["hunter2", "hunter2", "hunter3"]);
    let printed = print(&config, &|_| Some(schema.clone()));
    assert!(printed.contains("hash: '[REDACTED]'") && !printed.contains("hunter2"), "{printed}");
}

#[test]
fn shows_no_value_of_a_plugin_whose_schema_is_not_at_hand() {
    let block = "processors: {redaction: {allowed_keys: [visible, 7], ok: true, nested: {more: visible}}}";
    let config = load_texts(&[("rest", REST), ("block", block)], &[]).expect("loads");
    let printed = print(&config, &|_| None);
    assert!(!printed.contains("visible") && printed.contains("more: '[REDACTED]'"), "{printed}");
    assert!(print(&config, &|_| Some(serde_json::json!(true))).contains("more: visible"));
}
