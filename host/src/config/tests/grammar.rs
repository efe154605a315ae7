//! Sources, merging, expansion, references.

use serde_json::json;

use super::*;
use crate::config::component::{MappingMode, Verbosity};
use crate::config::error::Report;
use crate::config::types::Duration;

const SMALL: &str = "receivers: {otlp: {protocols: {grpc: }}}\nexporters: {debug: }\n\
                     service: {pipelines: {traces: {receivers: [otlp], exporters: [debug]}}}\n";

fn load_sources(configs: &[&str], sets: &[&str], environment: &[(&str, &str)]) -> Result<Config, ConfigErrors> {
    let sources = Sources {
        configs: configs.iter().map(|config| (*config).to_owned()).collect(),
        sets: sets.iter().map(|set| (*set).to_owned()).collect(),
    };
    load(&sources, &|name| environment.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned()))
}

fn id(text: &str) -> ComponentId {
    text.parse().expect("an id")
}

#[test]
fn merges_sources_of_all_schemes_in_order() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("otel-config.yaml");
    std::fs::write(&path, format!("\u{feff}{SMALL}")).expect("a file");
    let path = path.to_str().expect("a path");
    let configs = [path, &format!("file:{path}"), "env:MORE", "yaml:exporters::debug::verbosity: normal"];
    let more = "exporters: {debug: {verbosity: detailed, sampling_initial: 7}}";
    let config = load_sources(&configs, &["exporters.debug.sampling_thereafter=9"], &[("MORE", more)]).expect("loads");
    let Some(ExporterConfig::Debug(debug)) = config.exporters.get(&id("debug")) else { panic!("no debug exporter") };
    assert_eq!((debug.verbosity, debug.sampling_initial, debug.sampling_thereafter), (Verbosity::Normal, 7, 9));
}

#[test]
fn replaces_lists_and_scalars_and_merges_maps() {
    let first = "exporters: {otlp: {endpoint: 'a:1', headers: {x: 1, y: 2}}}\nservice: {pipelines: {traces: {exporters: [debug, otlp]}}}";
    let second =
        "exporters: {otlp: {endpoint: 'b:2', headers: {y: 3}}}\nservice: {pipelines: {traces: {exporters: [otlp]}}}";
    let config = load_texts(&[("a", SMALL), ("b", first), ("c", second)], &[]).expect("loads");
    let Some(ExporterConfig::Otlp(otlp)) = config.exporters.get(&id("otlp")) else { panic!("no otlp exporter") };
    assert_eq!(otlp.client.endpoint.as_str(), "b:2");
    let headers: Vec<_> = otlp.client.headers.iter().map(|(name, value)| (name, value.expose())).collect();
    assert_eq!(headers, [("x", "1"), ("y", "3")]);
    let pipelines: Vec<_> = config.service.pipelines.values().map(|pipeline| pipeline.exporters.clone()).collect();
    assert_eq!(pipelines, [vec![id("otlp")]]);
}

#[test]
fn obeys_aot_config_content_whenever_it_exists() {
    let config = load_sources(&["/nowhere.yaml"], &[], &[(CONTENT_VARIABLE, SMALL)]).expect("loads");
    assert!(config.warnings[0].message.contains("--config is ignored"), "{:?}", config.warnings);
    let errors = load_sources(&["/nowhere.yaml"], &[], &[(CONTENT_VARIABLE, "")]).expect_err("empty");
    assert!(errors.to_string().contains("no receiver configuration specified in config"), "{errors}");
}

#[test]
fn says_which_source_is_not_there() {
    let cases: [(&[&str], &[&str], &str); 9] = [
        (&[], &[], "no configuration; name one with --config, for example --config=/etc/otel-config.yaml"),
        (&["/nowhere/x.yaml"], &[], "/nowhere/x.yaml: can't be read: No such file or directory (os error 2)"),
        (&["file:/nowhere/x.yaml"], &[], "/nowhere/x.yaml: can't be read: No such file or directory (os error 2)"),
        (&["env:NOWHERE"], &[], "--config=env:NOWHERE: the environment variable \"NOWHERE\" is not set"),
        (
            &["https://user:pw@host/x.yaml"],
            &[],
            "--config=https:… is not supported: fetch the file before the start, or give its text in AOT_CONFIG_CONTENT",
        ),
        (
            &["s3://bucket/x"],
            &[],
            "--config=s3:… is not supported: fetch the file before the start, or give its text in AOT_CONFIG_CONTENT",
        ),
        (&["yml:a"], &[], "--config=yml:…: unknown scheme \"yml\"; use a path, file:, env: or yaml:"),
        (
            &["yaml:a"],
            &["exporters.otlp"],
            "--set needs key=value, for example --set exporters.otlp.endpoint=host:4317",
        ),
        (&["yaml:a"], &["a..b=1"], "--set needs keys joined by dots before the =, none of them empty"),
    ];
    for (configs, sets, message) in cases {
        let errors = load_sources(configs, sets, &[]).expect_err("refused");
        assert!(errors.errors.iter().any(|error| error.message == message), "{configs:?} {sets:?}: {errors}");
    }
}

#[test]
fn names_the_set_that_is_wrong() {
    let errors =
        load_sources(&["env:SMALL"], &["exporters.debug.verbosty=basic"], &[("SMALL", SMALL)]).expect_err("a typo");
    let expected =
        "--set exporters.debug.verbosty: exporters::debug::verbosty: unknown key; did you mean \"verbosity\"?";
    assert_eq!(errors.to_string(), expected);
}

fn expanded(text: &str, environment: &[(&str, &str)]) -> (serde_json::Value, Report) {
    let mut report = Report::default();
    let mut node = parse::parse(text, &"text".into()).expect("YAML");
    let look_up = |name: &str| environment.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned());
    expand::expand(&mut node, &look_up, &mut report);
    (node.to_json(), report)
}

/// The keys and texts are the collector's own test. Where it expands once more what came from the environment (18 to
/// 20), we don't: a secret with a dollar sign stays what it is.
#[test]
fn expands_the_collectors_escapes() {
    let text = read(&cases().join("component-config/core_confmap_internal_e2e__expand-escaped-env.yaml"));
    let environment = [
        ("ENV_VALUE", "value"),
        ("ENV_LIST", "['$$ESCAPE_ME','$${ESCAPE_ME}','$${env:ESCAPE_ME}']"),
        ("ENV_MAP", "{'key1':'$$ESCAPE_ME','key2':'$${env:ESCAPE_ME}'}"),
        ("ENV_NESTED_DOLLARSIGN", "here is 1 $$"),
        ("ENV_NESTED_DOLLARSIGN_ESCAPED", "here are 2 $$$"),
        ("ENV_EXPAND_NESTED", "${env:ENV_VALUE}"),
    ];
    let (value, report) = expanded(&text, &environment);
    assert_eq!(report.errors, []);
    let expected = json!({
        "key1": "$ENV_VALUE",
        "key2": "$$ENV_VALUE",
        "key3": "$value",
        "key4": "somevaluetext",
        "key5": "some${ENV_VALUE}text",
        "key6": "${ONE}${TWO}",
        "key7": "text$",
        "key8": "$",
        "key9": "${1}${env:2}",
        "key10": "some${env:ENV_VALUE}text",
        "key11": "${env:value}",
        "key12": "${env:${ENV_VALUE}}",
        "key13": "env:MAP_VALUE_2}${ENV_VALUE}{",
        "key14": "$value",
        "key15": "value",
        "key16": ["$$ESCAPE_ME", "$${ESCAPE_ME}", "$${env:ESCAPE_ME}"],
        "key17": {"key1": "$$ESCAPE_ME", "key2": "$${env:ESCAPE_ME}"},
        "key18": "here is 1 $$",
        "key19": "here are 2 $$$",
        "key20": "${env:ENV_VALUE}",
        "key21": "default_value",
        "key22": "${env:UNDEFINED_KEY}",
    });
    assert_eq!(value["test_map"], expected);
}

#[test]
fn reads_a_variable_as_yaml_only_if_it_is_the_whole_value() {
    let environment = [("N", "0123"), ("B", "true"), ("L", "[a, b]"), ("W", "x: [")];
    let cases = [
        ("k: ${env:B}", json!(true)),
        ("k: \"${env:B}\"", json!(true)),
        ("k: ${B}", json!(true)),
        ("k: $B", json!(true)),
        ("k: is ${B}", json!("is true")),
        ("k: ${B}${B}", json!("truetrue")),
        ("k: ${N}", json!("0123")),
        ("k: ${N}0", json!("01230")),
        ("k: $$5", json!("$5")),
        ("k: ${L}", json!(["a", "b"])),
        ("k: [\"${L}\"]", json!([["a", "b"]])),
        ("k: ${W}", json!("x: [")),
        ("k: ${env:U:-3}", json!(3)),
        ("k: ${U:-3}", json!(3)),
        ("k: ${env:U:-}", json!(null)),
        ("k: ${env:U:-${env:B}}", json!(true)),
        ("k: ${env:U:-a:-b}", json!("a:-b")),
        ("k: ${yaml:[1, 2]}", json!([1, 2])),
        ("k: ${env:U}", json!(null)),
        ("k: a${env:U}b", json!("ab")),
        ("k: 100$", json!("100$")),
        ("k: $1 and ${", json!("$1 and ${")),
        ("k: pa$word", json!("pa$word")),
        ("k: a$UPPER", json!("a$UPPER")),
        ("k: $UPPER", json!(null)),
        ("k: http://$UPPER/v1", json!("http:///v1")),
    ];
    for (text, value) in cases {
        let (whole, report) = expanded(text, &environment);
        assert_eq!(whole["k"], value, "{text}");
        assert_eq!(report.errors, [], "{text}");
    }
}

#[test]
fn a_text_field_takes_a_variable_as_it_is() {
    let more = "exporters: {otlp: {endpoint: '${E}', authority: '${N}', \
                headers: {a: '${A}', b: '${B}', c: '${C}', d: '${H}', e: '${N}', f: '${T}'}}}";
    let environment = [
        ("E", "0123:4317"),
        ("A", "0123"),
        ("B", "x: y"),
        ("C", "a$b$$c ${D}"),
        ("H", "#s3cr3t"),
        ("N", "null"),
        ("T", "~"),
    ];
    let config = load_texts(&[("a", SMALL), ("b", more)], &environment).expect("loads");
    let Some(ExporterConfig::Otlp(otlp)) = config.exporters.get(&id("otlp")) else { panic!("no otlp exporter") };
    let headers: Vec<_> = otlp.client.headers.iter().map(|(name, value)| (name, value.expose())).collect();
    assert_eq!(
        headers,
        [("a", "0123"), ("b", "x: y"), ("c", "a$b$$c ${D}"), ("d", "#s3cr3t"), ("e", "null"), ("f", "~")]
    );
    assert_eq!(otlp.client.authority.as_deref(), Some("null"));
    assert_eq!(otlp.client.endpoint.as_str(), "0123:4317");
}

#[test]
fn reads_a_secret_from_a_file() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("token");
    std::fs::write(&path, "s3cr$t: x\n").expect("a file");
    let more = format!("exporters: {{otlp: {{endpoint: 'a:1', headers: {{a: '${{file:{}}}'}}}}}}", path.display());
    let config = load_texts(&[("a", SMALL), ("b", &more)], &[]).expect("loads");
    let Some(ExporterConfig::Otlp(otlp)) = config.exporters.get(&id("otlp")) else { panic!("no otlp exporter") };
    assert_eq!(otlp.client.headers.iter().map(|(_, value)| value.expose()).collect::<Vec<_>>(), ["s3cr$t: x"]);
}

/// What looks like a variable there may be a part of a password.
#[test]
fn names_no_variable_of_a_file() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("token");
    std::fs::write(&path, "pa${hunter2}y").expect("a file");
    let more = format!("exporters: {{otlp: {{endpoint: 'a:1', headers: {{a: '${{file:{}}}'}}}}}}", path.display());
    let config = load_texts(&[("a", SMALL), ("b", &more)], &[]).expect("loads");
    let warnings: Vec<_> = config.warnings.iter().map(ToString::to_string).collect();
    assert!(warnings.iter().any(|warning| warning.contains("a variable is not set")), "{warnings:?}");
    assert!(warnings.iter().all(|warning| !warning.contains("hunter2")), "{warnings:?}");
}

#[test]
fn expands_what_a_file_says() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = |name: &str| directory.path().join(name).display().to_string();
    let inner = format!(
        "endpoint: ${{env:E}}\nkeepalive::time: 33s\nheaders: {{a: '${{env:S}}', b: pa$$$UPPER, c: 'Bearer ${{file:{}}}'}}",
        path("token")
    );
    for (name, text) in [("otlp", inner.as_str()), ("token", "x-${env:S}"), ("bad", "timeout: 1s\n\nendpont: a:1")] {
        std::fs::write(directory.path().join(name), text).expect("a file");
    }
    let more = format!("exporters: {{otlp: '${{file:{}}}'}}", path("otlp"));
    let environment = [("E", "a:1"), ("S", "$$${E}"), ("UPPER", "no")];
    let config = load_texts(&[("a", SMALL), ("b", &more)], &environment).expect("loads");
    let Some(ExporterConfig::Otlp(otlp)) = config.exporters.get(&id("otlp")) else { panic!("no otlp exporter") };
    assert_eq!(otlp.client.endpoint.as_str(), "a:1");
    assert_eq!(otlp.client.keepalive.as_ref().map(|own| own.time), Some(Duration::from_secs(33)));
    let headers: Vec<_> = otlp.client.headers.iter().map(|(_, value)| value.expose()).collect();
    assert_eq!(headers, ["$$${E}", "pa$$UPPER", "Bearer x-$$${E}"]);

    let errors = load_texts(&[("a", SMALL), ("b", &format!("exporters: {{otlp: '${{file:{}}}'}}", path("bad")))], &[]);
    let errors = errors.expect_err("a typo").to_string();
    let expected = format!("{}:3: exporters::otlp::endpont: unknown key; did you mean \"endpoint\"?", path("bad"));
    assert_eq!(errors, expected);
}

/// The Collector's 0.155, but for fractions, which it cuts off, and `017`, which it takes for octal.
#[test]
fn takes_integers_in_the_collectors_forms() {
    let cases = [
        ("1_000", Some(1000)),
        ("1e3", Some(1000)),
        ("1000.0", Some(1000)),
        ("1_0.0", Some(10)),
        ("1.0e+2", Some(100)),
        ("0x10", Some(16)),
        ("0x_10", Some(16)),
        ("0o17", Some(15)),
        ("+5", Some(5)),
        ("1_", Some(1)),
        ("'1_000'", None),
        ("_1", None),
        ("1.5", None),
        ("1e30", None),
        ("-1e3", None),
    ];
    for (text, expected) in cases {
        let more = format!(
            "exporters: {{otlp: {{endpoint: 'a:1', headers: {{a: {text}}}, sending_queue: {{num_consumers: {text}}}}}}}"
        );
        let config = load_texts(&[("a", SMALL), ("b", &more)], &[]).ok();
        let read = config.and_then(|config| match config.exporters.get(&id("otlp")) {
            Some(ExporterConfig::Otlp(otlp)) => {
                let header = otlp.client.headers.iter().next().map(|(_, value)| value.expose().to_owned());
                assert_eq!(header.as_deref(), Some(text));
                Some(otlp.sending_queue.num_consumers)
            }
            _ => None,
        });
        assert_eq!(read, expected, "{text}");
    }
}

#[test]
fn splits_keys_wherever_a_map_stands() {
    let more = "exporters::debug: {verbosity: detailed}\nexporters:\n  debug::sampling_initial: 7\n";
    let config = load_texts(&[("a", SMALL), ("b", more)], &[]).expect("loads");
    let Some(ExporterConfig::Debug(debug)) = config.exporters.get(&id("debug")) else { panic!("no debug exporter") };
    assert_eq!((debug.verbosity, debug.sampling_initial), (Verbosity::Detailed, 7));
    let errors = load_texts(&[("a", SMALL), ("b", "exporters::debug::verbosty: basic")], &[]).expect_err("a typo");
    let expected = "env:b:1: exporters::debug::verbosty: unknown key; did you mean \"verbosity\"?";
    assert_eq!(errors.to_string(), expected);
}

#[test]
fn a_key_without_a_value_is_no_block() {
    let more = "receivers: {otlp/a: {protocols: {grpc: {tls: , auth: }, http: {cors: , auth: {enabled: false}, middlewares: []}}}}
extensions: {health_check: {response_body: }}
exporters: {otlp: {endpoint: 'a:1', auth: , keepalive: , sending_queue: {storage: }}, file: {path: /a, rotation: }}";
    let config = load_texts(&[("a", SMALL), ("b", more)], &[]).expect("loads");
    let Some(ReceiverConfig::Otlp(otlp)) = config.receivers.get(&id("otlp/a")) else { panic!("no receiver") };
    let (Some(grpc), Some(http)) = (&otlp.protocols.grpc, &otlp.protocols.http) else { panic!("no protocols") };
    assert_eq!((&grpc.tls, &http.server.cors), (&None, &None));
    let Some(ExporterConfig::Otlp(otlp)) = config.exporters.get(&id("otlp")) else { panic!("no otlp exporter") };
    assert_eq!((&otlp.client.auth, &otlp.client.keepalive), (&None, &None));
    let Some(ExporterConfig::File(file)) = config.exporters.get(&id("file")) else { panic!("no file exporter") };
    assert_eq!(file.rotation.as_ref().map(|rotation| rotation.max_megabytes), Some(100));
    let Some(ExtensionConfig::HealthCheck(page)) = config.extensions.values().next() else { panic!("no page") };
    assert_eq!(page.response_body, None);
}

#[test]
fn a_setting_without_a_value_has_its_default_and_says_so() {
    let more = "exporters: {otlphttp: {endpoint: 'http://a:1', timeout: , headers: , compression: , \
                retry_on_failure: {enabled: \"${env:RETRY}\", max_elapsed_time: ~}, \
                sending_queue: {num_consumers: , block_on_overflow: }}}\n\
                service: {shutdown_timeout: }";
    let config = load_texts(&[("a", SMALL), ("more", more)], &[("RETRY", "")]).expect("loads");
    let Some(ExporterConfig::OtlpHttp(http)) = config.exporters.get(&id("otlphttp")) else { panic!("no exporter") };
    assert_eq!((http.client.timeout, http.retry_on_failure.enabled), (Duration::from_secs(30), true));
    let warnings: Vec<String> = config.warnings.iter().map(ToString::to_string).collect();
    let of_defaults = |warning: &&String| warning.contains("no value: the default counts");
    assert_eq!(warnings.iter().filter(of_defaults).count(), 6, "{warnings:#?}");
    let expected = "enabled: no value: the default counts, true; the collector takes such a key for 0, false or \"\"";
    assert!(warnings.iter().any(|one| one.ends_with(expected)), "{warnings:#?}");
}

#[test]
fn splits_a_text_where_a_list_stands_as_the_collector_does() {
    for (text, expected) in [("''", &[][..]), ("' '", &[" "]), ("'a, b'", &["a", " b"]), ("'a,b'", &["a", "b"])] {
        let more = format!("receivers: {{otlp: {{protocols: {{http: {{cors: {{allowed_headers: {text}}}}}}}}}}}");
        let config = load_texts(&[("a", SMALL), ("more", &more)], &[]).expect("loads");
        let Some(ReceiverConfig::Otlp(otlp)) = config.receivers.get(&id("otlp")) else { panic!("no receiver") };
        let cors = otlp.protocols.http.as_ref().and_then(|http| http.server.cors.as_ref()).expect("cors");
        assert_eq!(cors.allowed_headers, expected, "{text}");
    }
    let more = "receivers: {otlp: {protocols: {http: {compression_algorithms: 'gzip, zstd'}}}}";
    load_texts(&[("a", SMALL), ("more", more)], &[]).expect("these are no free texts");
}

#[test]
fn keeps_a_components_own_defaults_under_a_partial_block() {
    let more = "receivers: {otlp: {protocols: {grpc: {max_recv_msg_size_mib: 8}, http: {cors: {}}}}}
exporters:
  prometheusremotewrite: {endpoint: 'http://a', retry_on_failure: {max_elapsed_time: 1m}}
  awsprometheusremotewrite: {endpoint: 'http://a', retry_on_failure: {enabled: true}}
  awsprometheusremotewrite/exact: {endpoint: 'http://a', compat: adot-2021}
  otlphttp: {endpoint: 'http://a', tls: {insecure: true}, sending_queue: {batch: }}
  opensearch: {http: {endpoint: 'http://a'}, mapping: {mode: jaeger}, index_prefix: prod}";
    let config = load_texts(&[("a", SMALL), ("b", more)], &[]).expect("loads");
    let Some(ReceiverConfig::Otlp(otlp)) = config.receivers.get(&id("otlp")) else { panic!("no receiver") };
    let (Some(grpc), Some(http)) = (&otlp.protocols.grpc, &otlp.protocols.http) else { panic!("no protocols") };
    assert_eq!((grpc.endpoint.as_str(), grpc.max_recv_msg_size_mib), ("localhost:4317", 8));
    assert_eq!((http.server.endpoint.as_str(), http.server.cors.is_some()), ("localhost:4318", true));
    let Some(ExporterConfig::PrometheusRemoteWrite(write)) = config.exporters.get(&id("prometheusremotewrite")) else {
        panic!("no exporter")
    };
    let retry = &write.retry_on_failure;
    assert_eq!((retry.initial_interval, retry.max_elapsed_time), (Duration::from_millis(50), Duration::from_secs(60)));
    assert_eq!(
        (write.client.timeout, write.add_metric_suffixes, write.target_info.enabled),
        (Duration::from_secs(5), true, true)
    );
    for (name, labelled) in [("awsprometheusremotewrite", true), ("awsprometheusremotewrite/exact", false)] {
        let Some(ExporterConfig::AwsPrometheusRemoteWrite(legacy)) = config.exporters.get(&id(name)) else {
            panic!("{name}")
        };
        let write = &legacy.remote_write;
        assert_eq!(write.retry_on_failure.max_interval, Duration::from_millis(200));
        assert_eq!((write.add_metric_suffixes, write.target_info.enabled), (false, false));
        assert_eq!(write.resource_to_telemetry_conversion.enabled, labelled, "{name}");
        assert_eq!(legacy.aws_auth.service, "aps");
    }
    let Some(ExporterConfig::OtlpHttp(http)) = config.exporters.get(&id("otlphttp")) else { panic!("no exporter") };
    assert_eq!(http.client.timeout, Duration::from_secs(30));
    assert_eq!(http.sending_queue.batch.as_ref().map(|batch| batch.min_size), Some(8192));
    let Some(ExporterConfig::OpenSearch(search)) = config.exporters.get(&id("opensearch")) else {
        panic!("no exporter")
    };
    assert_eq!(
        (search.mapping.mode, search.jaeger_index_prefix(), search.dataset.as_str()),
        (MappingMode::Jaeger, "prod", "default")
    );
}

#[test]
fn runs_a_processor_that_has_a_file() {
    let directory = tempfile::tempdir().expect("a directory");
    std::fs::write(directory.path().join("attributes.wasm"), "").expect("a file");
    let more = format!(
        "plugins: {{directory: {}, limits: {{memory: 8MiB}}}}\n\
         processors: {{attributes/x: {{actions: [1], on_error: drop, limits: {{deadline: 5ms}}, capabilities: [log, key-value]}}, probabilistic_sampler: }}",
        directory.path().display()
    );
    let config = load_texts(&[("a", SMALL), ("b", &more)], &[]).expect("loads");
    let Some(ProcessorConfig::Plugin(plugin)) = config.processors.get(&id("attributes/x")) else { panic!("no plugin") };
    assert_eq!((plugin.plugin.as_str(), plugin.raw()), ("attributes", json!({"actions": [1]})));
    assert_eq!(plugin.settings.on_error, Some(OnError::Drop));
    assert_eq!(plugin.settings.capabilities, Some(vec![Capability::Log, Capability::KeyValue]));
    assert_eq!(plugin.settings.limits.memory.to_string(), "8MiB");
    assert_eq!(plugin.settings.limits.deadline, Duration::from_millis(5));
    let Some(ProcessorConfig::Plugin(sampler)) = config.processors.get(&id("probabilistic_sampler")) else {
        panic!("no plugin")
    };
    assert_eq!((sampler.plugin.as_str(), sampler.raw()), ("sampler", json!({})));
}

#[test]
fn places_what_a_plugin_says_about_its_block() {
    let more =
        "processors:\n  filter/ecs:\n    error_mod: ignore\n    traces:\n      span:\n        - a\n        - 'b c'\n";
    let config = load_texts(&[("a", SMALL), ("b", more)], &[]).expect("loads");
    let Some(ProcessorConfig::Plugin(filter)) = config.processors.get(&id("filter/ecs")) else { panic!("no plugin") };
    assert_eq!(
        filter.error("traces.span[1]", "no such path").to_string(),
        "env:b:7: processors::filter/ecs::traces::span::1: no such path"
    );
    for (path, shown) in [
        ("", ""),
        ("a", "::a"),
        ("a.b[1][2].c", "::a::b::1::2::c"),
        ("a::b.1", "::a::b::1"),
        (r#"m["x.y"]"#, "::m::x.y"),
        (r#"m["x\"]["][0].k"#, "::m::x\"][::0::k"),
        (r#"["a b"]"#, "::a b"),
        (r#"m["a"#, "::m::\"a"),
        ("[]]..", ""),
        ("é[é", "::é::é"),
    ] {
        assert_eq!(filter.error(path, "").path, format!("processors::filter/ecs{shown}"), "{path}");
    }
    let schema = json!({
        "type": "object",
        "properties": {
            "error_mode": {"type": "string", "enum": ["ignore"]},
            "traces": {"type": "object", "properties": {"span": {"type": "array", "items": {"type": "string"}}}},
        },
    });
    let errors = filter.check(&schema).expect_err("a typo");
    assert_eq!(
        errors.to_string(),
        "env:b:3: processors::filter/ecs::error_mod: unknown key; did you mean \"error_mode\"?"
    );
}

#[test]
fn serves_metrics_where_either_spelling_says() {
    let cases = [
        ("{}", Some("localhost:8888")),
        ("{level: none}", None),
        ("{address: ':9999'}", Some(":9999")),
        ("{readers: [{pull: {exporter: {prometheus: {host: 0.0.0.0, port: 9090}}}}]}", Some("0.0.0.0:9090")),
        ("{readers: [{pull: {exporter: {prometheus: {host: '::1'}}}}]}", Some("[::1]:8888")),
        ("{readers: [], level: none}", None),
    ];
    for (metrics, address) in cases {
        let more = format!("service: {{telemetry: {{metrics: {metrics}}}}}");
        let config = load_texts(&[("a", SMALL), ("b", &more)], &[]).expect("loads");
        assert_eq!(config.service.telemetry.metrics.listen_address().as_deref(), address, "{metrics}");
    }
    let none = "service: {telemetry: {metrics: {readers: []}}}";
    let errors = load_texts(&[("a", SMALL), ("b", none)], &[]).expect_err("nobody could read them");
    assert!(errors.to_string().contains("telemetry::metrics::readers: must not be empty; name pull::"), "{errors}");
}

#[test]
fn reads_a_block_by_itself_for_tests_of_components() {
    let block: component::BatchConfig = block_from_yaml("timeout: 1s\nsend_batch_size: 50").expect("a block");
    assert_eq!((block.timeout, block.send_batch_size), (Duration::from_secs(1), 50));
    let errors = block_from_yaml::<component::BatchConfig>("send_batch_max_size: 1").expect_err("too small");
    assert_eq!(
        errors.to_string(),
        "block:1: send_batch_max_size: 1 must be greater or equal to send_batch_size (8192)"
    );
}

#[test]
fn a_key_of_a_plugin_without_a_value_is_left_out() {
    let block =
        "processors: {redaction: {open: {a: , b: [{c: , d: 1}], e: ~}, free: , map: {f: , g: 2}, empty: , on: }}";
    let config = load_texts(&[("rest", SMALL), ("block", block)], &[]).expect("loads");
    let Some(ProcessorConfig::Plugin(plugin)) = config.processors.values().next() else { panic!("no plugin") };
    let schema = serde_json::json!({
        "type": "object",
        "properties": {
            "open": {"type": "object"}, "free": true, "empty": {"type": "array", "items": {"type": "string"}},
            "map": {"type": "object", "additionalProperties": true}, "on": {"type": "boolean", "default": true},
        },
    });
    // In a map with keys of the user's own, a key alone says something.
    let expected = serde_json::json!({"open": {"b": [{"d": 1}]}, "map": {"f": null, "g": 2}});
    let (value, warnings) = plugin.check(&schema).expect("as the schema says");
    assert_eq!(value, expected);
    let warning = "processors::redaction::on: no value: the default counts, true; the collector takes such a key for 0, \
                   false or \"\"";
    assert!(matches!(&warnings[..], [one] if one.to_string().ends_with(warning)), "{warnings:?}");
}
