//! Documents of each mapping, and what follows from the answers to them.

use std::sync::Arc;

use serde_json::{Value, json};
use sluice_wire::Signal;
use sluice_wire::sample::{request, tenant_request};

use super::*;
use crate::config::types::Url;
use crate::export::echo::Secrets;
use crate::export::sign::SignError;
use crate::export::testing::server::{self, Server};
use crate::limits::Budget;
use crate::model::{Context, TenantId};

fn config() -> OpenSearchConfig {
    let mut config = OpenSearchConfig::default();
    config.http.endpoint = Url::new("http://127.0.0.1:9200");
    config
}

fn batch(signal: Signal, bytes: Vec<u8>) -> Batch {
    let items = sluice_wire::validate(signal, &bytes).expect("valid").records.into();
    Batch {
        signal,
        bytes: bytes.into(),
        items,
        tenant: TenantId::new("Acme"),
        context: Arc::new(Context { received: SystemTime::UNIX_EPOCH, headers: Vec::new() }),
        permit: Arc::new(Budget::new(1).try_take(0).expect("nothing")),
    }
}

fn exporter(config: &OpenSearchConfig) -> OpenSearch {
    OpenSearch::new("opensearch", config, Authenticator::None).expect("a valid configuration")
}

#[test]
fn a_pipeline_may_have_any_name() {
    let cases = [
        ("", "http://127.0.0.1:9200/_bulk"),
        ("logs-2.x_y~z", "http://127.0.0.1:9200/_bulk?pipeline=logs-2.x_y~z"),
        ("a b*", "http://127.0.0.1:9200/_bulk?pipeline=a%20b%2A"),
        ("a&refresh=true#", "http://127.0.0.1:9200/_bulk?pipeline=a%26refresh%3Dtrue%23"),
        ("ä", "http://127.0.0.1:9200/_bulk?pipeline=%C3%A4"),
    ];
    for (pipeline, expected) in cases {
        let config = OpenSearchConfig { pipeline: pipeline.to_owned(), ..config() };
        assert_eq!(exporter(&config).bulk.to_string(), expected);
    }
}

/// All requests of a batch, each encoded when the one before it is sent.
fn steps(exporter: &OpenSearch, batch: &Batch) -> Vec<BulkRequest> {
    let (mut requests, mut from) = (Vec::new(), Some(0));
    while let Some(begin) = from {
        let encoded = exporter.encode(batch, begin);
        assert_eq!(encoded.requests.len(), 1);
        requests.extend(encoded.requests);
        assert!(encoded.next.is_none_or(|next| next > begin));
        from = encoded.next;
    }
    requests
}

/// Action and source lines of all requests.
fn lines(encoded: &Encoded<BulkRequest>) -> Vec<(Value, Value)> {
    let mut lines = Vec::new();
    for request in &encoded.requests {
        let text = std::str::from_utf8(&request.body).expect("UTF-8");
        assert!(text.ends_with('\n'));
        let values: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
        lines.extend(values.chunks(2).map(|pair| (pair[0].clone(), pair[1].clone())));
    }
    lines
}

fn encode(config: &OpenSearchConfig, signal: Signal, bytes: Vec<u8>) -> Vec<(Value, Value)> {
    lines(&exporter(config).encode(&batch(signal, bytes), 0))
}

/// OTLP/JSON as bytes, by way of the receiver's own reader.
fn from_json(signal: Signal, json: &str) -> Vec<u8> {
    let mut permit = Budget::new(16 << 20).try_take(0).expect("nothing");
    crate::decode::otlp_json::to_protobuf(signal, json.as_bytes(), 16 << 20, &mut permit).expect("OTLP/JSON")
}

#[test]
fn a_document_is_the_same_alone_and_among_others() {
    let odd = r#"{"resourceLogs":[{"resource":{"attributes":[{"key":"a.b","value":{"stringValue":"r"}}]},"scopeLogs":[{
        "logRecords":[
            {"body":{"stringValue":"one"},"attributes":[{"key":"a","value":{"intValue":"1"}}]},
            {"attributes":[{"key":"Body","value":{"stringValue":"two"}}]},
            {"body":{"stringValue":"three"},"traceId":"0102030405060708090a0b0c0d0e0f10",
                "attributes":[{"key":"a","value":{"kvlistValue":{"values":[{"key":"b","value":{"intValue":"3"}}]}}}]},
            {"body":{"stringValue":"four"},"attributes":[{"key":"a","value":{"intValue":"4"}}]},
            {"severityText":"WARN","attributes":[{"key":"a","value":{}},{"key":"a.c","value":{"boolValue":true}}]}
        ]}]}]}"#;
    let modes = [MappingMode::Ss4o, MappingMode::Ecs, MappingMode::FlattenAttributes, MappingMode::Jaeger];
    for (mode, dedot) in modes.into_iter().flat_map(|mode| [(mode, false), (mode, true)]) {
        let mut config = config();
        (config.mapping.mode, config.mapping.dedot) = (mode, dedot);
        let logs = [(Signal::Logs, request(Signal::Logs, 30)), (Signal::Logs, from_json(Signal::Logs, odd))];
        let spans = [(Signal::Traces, request(Signal::Traces, 30))];
        for (signal, bytes) in if mode == MappingMode::Jaeger { spans.to_vec() } else { logs.to_vec() } {
            let is_of_record = |(action, _): &(Value, Value)| !action.to_string().contains("jaeger-service");
            let together: Vec<_> = encode(&config, signal, bytes.clone()).into_iter().filter(is_of_record).collect();
            let single = sluice_wire::split(signal, &bytes, 1, usize::MAX).into_iter();
            let alone = single.flat_map(|piece| encode(&config, signal, piece.bytes.into_owned()));
            let alone: Vec<_> = alone.filter(is_of_record).collect();
            assert_eq!(together, alone, "{mode:?}, dedot {dedot}");
        }
    }
}

#[test]
fn writes_spans_by_the_simple_schema_for_observability() {
    let documents = encode(&config(), Signal::Traces, request(Signal::Traces, 3));
    assert_eq!(documents.len(), 3);
    let (action, span) = &documents[0];
    assert_eq!(action["create"]["_index"], "ss4o_traces-default-namespace");
    assert_eq!(action["create"]["_id"].as_str().map(str::len), Some(32));
    assert_eq!(span["attributes"]["http.route"], "/health");
    assert_eq!(
        span["attributes"]["data_stream"],
        json!({"dataset": "default", "namespace": "namespace", "type": "span"})
    );
    assert_eq!(span["resource"]["tenant"], "acme");
    assert_eq!(span["traceId"].as_str().map(str::len), Some(32));
    assert!(span["startTime"].as_str().is_some_and(|time| time.starts_with("2025-10-09T")), "{span}");
    assert_eq!(span["@timestamp"], span["startTime"]);
    assert_eq!(span["instrumentationScope"]["name"], "io.opentelemetry.http-server");
}

/// The modes `ecs` and `flatten_attributes` are about logs.
#[test]
fn spans_look_alike_in_all_modes_that_are_about_logs() {
    let documents = |mode| {
        let mut config = config();
        config.mapping.mode = mode;
        encode(&config, Signal::Traces, request(Signal::Traces, 3))
    };
    let expected = documents(MappingMode::Ss4o);
    assert_eq!(documents(MappingMode::Ecs), expected);
    assert_eq!(documents(MappingMode::FlattenAttributes), expected);
}

#[test]
fn writes_logs_by_the_simple_schema_for_observability() {
    let documents = encode(&config(), Signal::Logs, request(Signal::Logs, 2));
    let (action, log) = &documents[1];
    assert_eq!(action["create"]["_index"], "ss4o_logs-default-namespace");
    assert!(log["body"].is_string());
    assert!(log["severity"]["number"].is_number() && log["severity"]["text"].is_string());
    assert_eq!(log["attributes"]["data_stream"]["type"], "record");
}

#[test]
fn equal_documents_have_equal_ids_and_others_have_not() {
    let ids = |bytes| -> Vec<Value> {
        encode(&config(), Signal::Logs, bytes).into_iter().map(|(action, _)| action["create"]["_id"].clone()).collect()
    };
    let first = ids(request(Signal::Logs, 50));
    assert_eq!(first, ids(request(Signal::Logs, 50)));
    let distinct: std::collections::HashSet<_> = first.iter().map(Value::to_string).collect();
    assert_eq!(distinct.len(), 50);
}

/// A service that says the same three times in a millisecond, in each of two requests that were joined.
#[test]
fn equal_log_records_are_documents_of_their_own_and_equal_spans_are_not() {
    let ids = |signal, max: u64| -> Vec<Value> {
        let one = match signal {
            Signal::Logs => {
                r#"{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"timeUnixNano":"5"},{"timeUnixNano":"5"},
                {"timeUnixNano":"5"}]}]}]}"#
            }
            _ => r#"{"resourceSpans":[{"scopeSpans":[{"spans":[{"name":"a"},{"name":"a"},{"name":"a"}]}]}]}"#,
        };
        let one = from_json(signal, one);
        let batch = Batch { items: 6, ..batch(signal, sluice_wire::concat(&[&one, &one])) };
        let mut config = config();
        config.max_bulk_size = crate::config::types::ByteSize::from_bytes(max);
        let cut = Encoded { requests: steps(&exporter(&config), &batch), dropped: Vec::new(), next: None };
        lines(&cut).into_iter().map(|(action, _)| action["create"]["_id"].clone()).collect()
    };
    let distinct = |ids: &[Value]| ids.iter().map(Value::to_string).collect::<std::collections::HashSet<_>>().len();
    let logs = ids(Signal::Logs, 1 << 20);
    assert_eq!((logs.len(), distinct(&logs)), (6, 6));
    assert_eq!(ids(Signal::Logs, 1 << 10), logs, "sent again, and however it is cut");
    let spans = ids(Signal::Traces, 1 << 20);
    assert_eq!((spans.len(), distinct(&spans)), (6, 1));
}

#[test]
fn a_serverless_collection_gets_no_ids() {
    let mut config = config();
    config.http.endpoint = Url::new("https://abc.eu-west-1.aoss.amazonaws.com");
    let documents = encode(&config, Signal::Logs, request(Signal::Logs, 1));
    assert_eq!(documents[0].0, json!({"create": {"_index": "ss4o_logs-default-namespace"}}));
}

#[test]
fn names_indices_by_attribute_tenant_and_date() {
    let config = OpenSearchConfig {
        traces_index: "t-%{tenant}-%{http.request.method}-%{none}".into(),
        traces_index_time_format: "yyyy.MM".into(),
        ..config()
    };
    let documents = encode(&config, Signal::Traces, request(Signal::Traces, 1));
    let index = documents[0].0["create"]["_index"].as_str().expect("a name");
    assert!(index.starts_with("t-acme-") && index.ends_with("-unknown-2025.10"), "{index}");
}

#[test]
fn the_first_of_several_values_names_an_index_a_service_and_the_kind_of_a_reference() {
    let of = |key: &str, values: [&str; 2]| {
        values.map(|value| format!(r#"{{"key":"{key}","value":{{"stringValue":"{value}"}}}}"#)).join(",")
    };
    let trace = "01".repeat(16);
    let spans = format!(
        r#"{{"resourceSpans":[{{"resource":{{"attributes":[{}]}},"scopeSpans":[{{"spans":[{{"links":[{{"traceId":"{trace}","attributes":[{}]}}]}}]}}]}}]}}"#,
        of("service.name", ["shop", "mine"]),
        of("opentracing.ref_type", ["follows_from", "child_of"]),
    );
    let mut config = OpenSearchConfig { traces_index: "t-%{service.name}".into(), ..config() };
    let bytes = from_json(Signal::Traces, &spans);
    assert_eq!(encode(&config, Signal::Traces, bytes.clone())[0].0["create"]["_index"], "t-shop");
    config.mapping.mode = MappingMode::Jaeger;
    let documents = encode(&config, Signal::Traces, bytes);
    assert_eq!(documents[0].1["serviceName"], "shop");
    assert_eq!(documents[1].1["references"][0]["refType"], "FOLLOWS_FROM");
}

#[test]
fn puts_the_tenant_into_the_data_stream() {
    let config = OpenSearchConfig { namespace: "app-%{tenant}".into(), ..config() };
    for (signal, index) in
        [(Signal::Traces, "ss4o_traces-default-app-acme"), (Signal::Logs, "ss4o_logs-default-app-acme")]
    {
        let (action, document) = encode(&config, signal, request(signal, 1)).remove(0);
        assert_eq!(action["create"]["_index"], index);
        assert_eq!(document["attributes"]["data_stream"]["namespace"], "app-Acme");
    }
}

#[test]
fn writes_logs_by_the_names_of_the_log_data_model() {
    let mut config = config();
    config.mapping.mode = MappingMode::Ecs;
    let log = r#"{"resourceLogs":[{"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"shop"}}]},
        "scopeLogs":[{"logRecords":[{"timeUnixNano":"1000000","severityText":"INFO","severityNumber":9,
        "traceId":"0102030405060708090a0b0c0d0e0f10","body":{"kvlistValue":{"values":[{"key":"a","value":{"intValue":"1"}}]}},
        "attributes":[{"key":"x","value":{"boolValue":true}},{"key":"x.y","value":{"intValue":"2"}}]}]}]}]}"#;
    let bytes = from_json(Signal::Logs, log);
    let (_, document) = encode(&config, Signal::Logs, bytes.clone()).remove(0);
    let expected = json!({
        "@timestamp": "1970-01-01T00:00:00.001Z", "TraceId": "0102030405060708090a0b0c0d0e0f10", "TraceFlags": 0,
        "SeverityText": "INFO", "SeverityNumber": 9, "Body.a": 1, "Attributes.service.name": "shop",
        "Attributes.x.value": true, "Attributes.x.y": 2,
    });
    assert_eq!(document, expected);
    config.mapping.mode = MappingMode::FlattenAttributes;
    config.mapping.dedot = true;
    config.mapping.unix_timestamp = true;
    config.mapping.timestamp_field = "ts".into();
    let (_, document) = encode(&config, Signal::Logs, bytes.clone()).remove(0);
    let expected = json!({
        "ts": 1, "TraceId": "0102030405060708090a0b0c0d0e0f10", "TraceFlags": 0, "SeverityText": "INFO",
        "SeverityNumber": 9, "Body": {"a": 1}, "service": {"name": "shop"}, "x": {"value": true, "y": 2},
    });
    assert_eq!(document, expected);
    config.mapping.mode = MappingMode::Bodymap;
    let (_, document) = encode(&config, Signal::Logs, bytes).remove(0);
    assert_eq!(document, json!({"a": 1}));
}

#[test]
fn what_a_mode_cannot_take_is_dropped_with_its_reason() {
    let mut config = config();
    let dropped = |config: &OpenSearchConfig, signal| {
        let encoded = exporter(config).encode(&batch(signal, request(signal, 3)), 0);
        assert!(encoded.requests.is_empty());
        encoded.dropped.iter().map(|dropped| (dropped.items, dropped.reason)).collect::<Vec<_>>()
    };
    assert_eq!(dropped(&config, Signal::Metrics), [(3, "unsupported_signal")]);
    config.mapping.mode = MappingMode::Bodymap;
    assert_eq!(dropped(&config, Signal::Traces), [(3, "unsupported_signal")]);
    assert_eq!(dropped(&config, Signal::Logs), [(3, "body_is_no_map")]);
    config.mapping.mode = MappingMode::Jaeger;
    assert_eq!(dropped(&config, Signal::Logs), [(3, "unsupported_signal")]);
}

#[test]
fn writes_the_documents_that_jaegers_own_writer_writes() {
    let mut config = config();
    config.mapping.mode = MappingMode::Jaeger;
    config.index_prefix = "prod".into();
    let bytes = from_json(Signal::Traces, include_str!("../../../tests/data/jaeger_es/otel_traces_01.json"));
    let documents = encode(&config, Signal::Traces, bytes);
    let expected: Value =
        serde_json::from_str(include_str!("../../../tests/data/jaeger_es/es_01_string_tags.json")).expect("JSON");
    let [(service_action, service), (action, span)] = documents.as_slice() else { panic!("{documents:?}") };
    assert_eq!(*span, expected);
    assert_eq!(action["create"]["_index"], "prod-jaeger-span-2017-01-26");
    let id = action["create"]["_id"].as_str().expect("an id");
    assert!(id.starts_with("00000000000000010000000000000000_0000000000000002_"), "{id}");
    assert_eq!(service_action["index"]["_index"], "prod-jaeger-service-2017-01-26");
    assert_eq!(*service, json!({"serviceName": "service-x", "operationName": "test-general-conversion"}));
}

/// One document that Jaeger can't read keeps it from showing any of the traces that it found.
#[test]
fn writes_no_document_that_jaeger_cannot_read() {
    let mut config = config();
    config.mapping.mode = MappingMode::Jaeger;
    let document = |resource: &str, span: &str| {
        let json = format!(r#"{{"resourceSpans":[{{"resource":{resource},"scopeSpans":[{{"spans":[{span}]}}]}}]}}"#);
        encode(&config, Signal::Traces, from_json(Signal::Traces, &json)).remove(1).1
    };
    let missing = document("{}", r#"{"name":"a","parentSpanId":"00000000000000a1","links":[{}]}"#);
    assert_eq!((&missing["traceID"], &missing["spanID"]), (&json!("0".repeat(16)), &json!("0".repeat(16))));
    let parent = json!({"refType": "CHILD_OF", "traceID": "0".repeat(16), "spanID": "00000000000000a1"});
    assert_eq!(missing["references"], json!([parent]));

    // As Jaeger's own writer has them, and its reader asks for them.
    let (short, low) = ("0000000000000000000000000000000b", "000000000000000b");
    let of_64_bits = document(
        "{}",
        &format!(r#"{{"traceId":"{short}","spanId":"{low}","flags":2147483905,"links":[{{"traceId":"{short}"}}]}}"#),
    );
    assert_eq!((&of_64_bits["traceID"], &of_64_bits["flags"]), (&json!(low), &json!(1)));
    let linked = json!({"refType": "FOLLOWS_FROM", "traceID": low, "spanID": "0".repeat(16)});
    assert_eq!(of_64_bits["references"], json!([linked]));

    let value = |double: &str| format!(r#"{{"attributes":[{{"key":"k","value":{{"doubleValue":{double}}}}}]}}"#);
    for (double, kind, text) in
        [("0.5", "float64", "0.5"), ("\"NaN\"", "string", "NaN"), ("\"-Infinity\"", "string", "-Infinity")]
    {
        let tags = document("{}", &value(double))["tags"].clone();
        assert_eq!(tags, json!([{"key": "k", "type": kind, "value": text}]));
    }

    let of =
        |key: &str, name: &str| format!(r#"{{"attributes":[{{"key":"{key}","value":{{"stringValue":"{name}"}}}}]}}"#);
    for (resource, service) in [
        ("{}".to_owned(), "OTLPResourceNoServiceName"),
        (of("host.name", "h"), "empty-service-name"),
        (of("service.name", ""), "empty-service-name"),
        (of("service.name", "shop"), "shop"),
    ] {
        assert_eq!(document(&resource, "{}")["process"]["serviceName"], service);
    }
}

#[test]
fn a_service_is_announced_until_its_document_is_stored() {
    let mut config = config();
    config.mapping.mode = MappingMode::Jaeger;
    let exporter = exporter(&config);
    let announcements = || {
        let encoded = exporter.encode(&batch(Signal::Traces, request(Signal::Traces, 1)), 0);
        (lines(&encoded).len() - 1, encoded)
    };
    let (first, encoded) = announcements();
    assert_eq!((first, announcements().0), (1, 1));
    let request = encoded.requests.into_iter().next().expect("one request");
    let sent = exporter.answered(
        request,
        &reply(200, r#"{"errors":false,"items":[{"index":{"status":201}},{"create":{"status":201}}]}"#),
    );
    assert_eq!(sent.delivered, 1);
    assert_eq!(announcements().0, 0);
}

fn reply(status: u16, body: &str) -> Reply {
    let status = StatusCode::from_u16(status).expect("a status");
    Reply {
        status,
        headers: http::HeaderMap::new(),
        body: body.to_owned().into(),
        truncated: false,
        from: "http://a/b".into(),
        secrets: Default::default(),
    }
}

fn one_request(documents: usize) -> (OpenSearch, BulkRequest) {
    let exporter = exporter(&config());
    let mut encoded = exporter.encode(&batch(Signal::Logs, request(Signal::Logs, documents)), 0);
    (exporter, encoded.requests.pop().expect("one request"))
}

#[test]
fn only_what_failed_for_now_is_sent_again_and_what_failed_for_good_is_told() {
    let (exporter, request) = one_request(4);
    let body = r#"{"errors":true,"items":[{"create":{"status":201}},
        {"create":{"status":429,"error":{"type":"rejected","reason":"queue"}}},
        {"create":{"status":400,"error":{"type":"mapper_parsing_exception","reason":"no number"}}},
        {"create":{"status":409}}]}"#;
    let sent = exporter.answered(request.clone(), &reply(200, body));
    assert_eq!(sent.delivered, 2);
    assert_eq!(sent.refused[0].reason, "status 400: mapper_parsing_exception: no number");
    let line = |line| std::str::from_utf8(&request.body).expect("UTF-8").lines().nth(line).expect("a line").to_owned();
    let action: Value = serde_json::from_str(&line(4)).expect("JSON");
    let id = action["create"]["_id"].as_str().map(Into::into);
    let index = "ss4o_logs-default-namespace".into();
    let letter = crate::export::Document::Indexed { document: line(5).into(), index, id };
    assert_eq!(sent.refused[0].document, Some(letter));
    let again = sent.again.expect("sent again");
    let (later, items) = &again.requests[0];
    assert_eq!((*items, again.reason.as_str()), (1, "status 429: rejected: queue"));
    assert_eq!(later.source(&later.documents[0]), request.source(&request.documents[1]));
}

#[test]
fn reads_the_answers_that_opensearch_gives() {
    for (text, refused) in [
        (include_str!("../../../tests/data/opensearch-response-no-error.json"), 0),
        (include_str!("../../../tests/data/opensearch-response-retryable-error.json"), 0),
    ] {
        let count = serde_json::from_str::<Value>(text).expect("JSON")["items"].as_array().map_or(0, Vec::len);
        let (exporter, request) = one_request(count);
        let sent = exporter.answered(request, &reply(200, text));
        assert_eq!(sent.refused.len(), refused);
        let later = sent.again.map_or(0, |again| again.requests[0].1);
        assert_eq!(sent.delivered + later, count as u64);
        assert_eq!(later > 0, text.contains("\"errors\": true"), "{text}");
    }
}

#[test]
fn a_success_that_is_no_bulk_answer_is_tried_again() {
    for body in ["{}", r#"{"message":"no route"}"#, r#"{"errors":false,"items":[]}"#, ""] {
        let (exporter, request) = one_request(4);
        let sent = exporter.answered(request, &reply(200, body));
        assert_eq!((sent.delivered, sent.refused.len()), (0, 0), "{body}");
        let again = sent.again.expect("sent again");
        assert_eq!(again.requests[0].1, 4);
        assert!(again.reason.contains("_bulk") && again.reason.contains(body), "{}", again.reason);
    }
}

#[test]
fn an_answer_for_the_whole_request_concerns_all_of_it() {
    let answered = |status| {
        let (exporter, request) = one_request(4);
        exporter.answered(request, &reply(status, "why"))
    };
    for status in [429, 500, 503] {
        assert_eq!(answered(status).again.expect("again").requests[0].1, 4);
    }
    let halves = answered(413).again.expect("again").requests;
    assert_eq!(halves.iter().map(|(_, items)| *items).collect::<Vec<_>>(), [2, 2]);
    let refused = answered(403).refused;
    assert_eq!(refused.iter().map(|letter| letter.items).sum::<u64>(), 4);
    assert!(refused[0].reason.contains("why"), "{}", refused[0].reason);
    // An answer that can't be read: what was stored is found by its id the next time.
    assert_eq!(answered(200).again.expect("again").requests[0].1, 4);
}

/// OpenSearch says the value that it can't take, and its parser says it once more.
#[tokio::test]
async fn an_answer_that_repeats_a_large_value_counts_for_each_document() {
    let value = "\\\"x".repeat(200_000);
    let failure = format!(
        r#"{{"create":{{"status":400,"error":{{"type":"mapper_parsing_exception","reason":"value: '{value}'",
            "caused_by":{{"type":"number_format_exception","reason":"For input string: '{value}'"}}}}}}}}"#
    );
    let stored = r#",{"create":{"status":201}}"#.repeat(49);
    let answer = format!(r#"{{"errors":true,"items":[{failure}{stored}]}}"#);
    let server = Server::start(move |_| server::reply(200, answer.clone())).await;
    let mut config = config();
    config.http.endpoint = Url::new(server.uri("").to_string());
    let records = format!(r#"{{"body":{{"stringValue":"{value}"}}}}{}"#, ",{}".repeat(49));
    let json = format!(r#"{{"resourceLogs":[{{"scopeLogs":[{{"logRecords":[{records}]}}]}}]}}"#);
    let exporter = exporter(&config);
    let mut encoded = exporter.encode(&batch(Signal::Logs, from_json(Signal::Logs, &json)), 0);
    let sent = exporter.send(encoded.requests.pop().expect("one request")).await;
    assert_eq!((sent.delivered, sent.refused.len(), sent.again.is_none()), (49, 1, true));
    assert!(sent.refused[0].reason.len() <= 1024 && sent.refused[0].reason.starts_with("status 400: mapper_parsing"));
}

#[test]
fn waits_as_long_as_the_destination_says() {
    let mut busy = reply(429, "busy");
    busy.headers.insert("retry-after", http::HeaderValue::from_static("7"));
    for (reply, after) in [(busy, Some(Duration::from_secs(7))), (reply(503, "down"), None)] {
        let (exporter, request) = one_request(4);
        let again = exporter.answered(request, &reply).again.expect("again");
        assert_eq!(again.after, after, "{}", again.reason);
    }
}

#[test]
fn requests_stay_within_the_limit_and_lose_nothing() {
    let modes = [
        (MappingMode::Ss4o, Signal::Traces),
        (MappingMode::Jaeger, Signal::Traces),
        (MappingMode::Ss4o, Signal::Logs),
        (MappingMode::Ecs, Signal::Logs),
    ];
    for (mode, signal) in modes {
        let several = ["a", "b", "c"].map(|tenant| tenant_request(signal, tenant, 33));
        let bytes = sluice_wire::concat(&several.each_ref().map(Vec::as_slice));
        let batch = batch(signal, bytes);
        let mut config = config();
        config.mapping.mode = mode;
        let whole = exporter(&config).encode(&batch, 0);
        assert_eq!(whole.next, None);
        config.max_bulk_size = "4KiB".parse().expect("a size");
        let requests = steps(&exporter(&config), &batch);
        assert!(requests.len() > 10, "{mode:?}: {} requests", requests.len());
        assert!(requests.iter().all(|request| request.body.len() <= 4096), "{mode:?}");
        assert_eq!(requests.iter().map(BulkRequest::items).sum::<u64>(), 99, "{mode:?}");
        // A service's document comes again, since nobody said that it was stored.
        let of_records = |encoded| {
            let mut lines = lines(&encoded);
            lines.retain(|(action, _)| action.get("create").is_some());
            lines
        };
        let cut = Encoded { requests, dropped: Vec::new(), next: None };
        assert_eq!(of_records(cut), of_records(whole), "{mode:?}");
    }
}

/// Documents of services are no reason to put off the first span.
#[test]
fn a_document_that_is_larger_than_a_request_goes_with_those_of_its_services() {
    let span = |name: &str, text: usize| {
        let text = "x".repeat(text);
        format!(
            r#"{{"name":"{name}","traceId":"0102030405060708090a0b0c0d0e0f10","spanId":"0102030405060708",
                "attributes":[{{"key":"k","value":{{"stringValue":"{text}"}}}}]}}"#
        )
    };
    let spans = [span("small", 10), span("large", 5_000), span("again", 5_000), span("last", 10)].join(",");
    let json = format!(r#"{{"resourceSpans":[{{"scopeSpans":[{{"spans":[{spans}]}}]}}]}}"#);
    let batch = batch(Signal::Traces, from_json(Signal::Traces, &json));
    let mut config = config();
    config.mapping.mode = MappingMode::Jaeger;
    config.max_bulk_size = "4KiB".parse().expect("a size");
    let items: Vec<u64> = steps(&exporter(&config), &batch).iter().map(BulkRequest::items).collect();
    assert_eq!(items, [1, 1, 1, 1]);
}

#[test]
fn names_of_very_many_dots_are_compared_and_not_taken_apart() {
    let dots = ".".repeat(1 << 20);
    let keys: Vec<String> = (0..30).map(|n| format!("k{n}")).chain([dots.clone(), format!("{dots}.x")]).collect();
    let attributes: Vec<String> =
        keys.iter().map(|key| format!(r#"{{"key":"{key}","value":{{"stringValue":"v"}}}}"#)).collect();
    let json = format!(
        r#"{{"resourceLogs":[{{"scopeLogs":[{{"logRecords":[{{"attributes":[{}]}}]}}]}}]}}"#,
        attributes.join(",")
    );
    let (_, document) = encode(&config(), Signal::Logs, from_json(Signal::Logs, &json)).remove(0);
    let written = document["attributes"].as_object().expect("an object");
    assert!(written.contains_key(&format!("{dots}.value")) && written.contains_key(&format!("{dots}.x")));
    assert!(!written.contains_key(&dots));
}

/// What a header's value looks like must not change what is read, only what is shown.
#[test]
fn a_header_that_stands_in_an_answer_is_masked_where_it_is_shown() {
    let (exporter, request) = one_request(1);
    let refused = r#"{"errors":true,"items":[{"create":{"status":400,"error":{"type":"x","reason":"header true"}}}]}"#;
    let mut value = http::HeaderValue::from_static("true");
    value.set_sensitive(true);
    let sent = http::HeaderMap::from_iter([(http::HeaderName::from_static("osd-xsrf"), value)]);
    let reply = Reply { secrets: Secrets::of(&sent), ..reply(200, refused) };
    let sent = exporter.answered(request, &reply);
    assert_eq!((sent.delivered, sent.refused.len(), sent.again.is_none()), (0, 1, true));
    assert!(sent.refused[0].reason.ends_with("header ****"), "{}", sent.refused[0].reason);
}

/// Wherever in it the answer is cut.
#[test]
fn not_even_the_beginning_of_a_secret_is_shown() {
    let secret = format!("s3cr3t{}", "-and-more".repeat(10));
    let mut value = http::HeaderValue::from_str(&format!("Bearer {secret}")).expect("a value");
    value.set_sensitive(true);
    let sent = http::HeaderMap::from_iter([(http::header::AUTHORIZATION, value)]);
    for status in [400, 429] {
        for before in 960..1040 {
            let text = format!("{}{secret}", "x".repeat(before));
            let (exporter, request) = one_request(1);
            let answer = json!({"errors": true, "items": [{"create": {"status": status, "error": {"reason": text}}}]});
            let reply = Reply { secrets: Secrets::of(&sent), ..reply(200, &answer.to_string()) };
            let sent = exporter.answered(request, &reply);
            let reasons = sent.refused.into_iter().map(|letter| letter.reason);
            let reason = reasons.chain(sent.again.map(|again| again.reason)).next().expect("a reason");
            assert!(reason.contains("xxx") && !reason.contains("s3"), "{before}: {}", &reason[before - 10..]);
        }
    }
}

/// The words about an answer that can't be read quote it.
#[test]
fn neither_secrets_nor_much_else_of_an_answer_that_is_none_is_shown() {
    let mut value = http::HeaderValue::from_static("Bearer s3cr3t");
    value.set_sensitive(true);
    let sent = http::HeaderMap::from_iter([(http::header::AUTHORIZATION, value)]);
    for answer in [r#"{"errors":"Bearer s3cr3t"#, r#"{"errors":true,"items":[{"Bearer s3cr3t"#] {
        let (exporter, request) = one_request(1);
        let answer = format!("{answer}{}\"", "x".repeat(1 << 20));
        let reply = Reply { secrets: Secrets::of(&sent), ..reply(200, &answer) };
        let again = exporter.answered(request, &reply).again.expect("to be sent again");
        assert!(again.reason.contains("no answer to _bulk: ") && !again.reason.contains("s3cr3t"), "{}", again.reason);
        assert!(again.reason.len() <= 2 * 1024 + 2, "{}", again.reason.len());
    }
}

/// What all documents together may take has a bound as well: a small request would keep a destination busy for hours.
#[test]
fn resources_that_are_too_large_for_all_their_records_are_dropped() {
    let large = "x".repeat(1 << 20);
    let of = |records: usize| {
        let json = format!(
            r#"{{"resourceLogs":[{{"scopeLogs":[{{"logRecords":[{{}}]}}]}},
                {{"resource":{{"attributes":[{{"key":"k","value":{{"stringValue":"{large}"}}}}]}},
                "scopeLogs":[{{"logRecords":[{}]}}]}},{{"scopeLogs":[{{"logRecords":[{{}}]}}]}}]}}"#,
            vec!["{}"; records].join(",")
        );
        exporter(&config()).encode(&batch(Signal::Logs, from_json(Signal::Logs, &json)), 0)
    };
    let encoded = of(1_025);
    assert_eq!(encoded.dropped.iter().map(|dropped| dropped.items).sum::<u64>(), 1_025);
    assert_eq!((encoded.requests[0].items(), encoded.next), (2, None));
    assert!(of(1_000).dropped.is_empty(), "a mebibyte a thousand times");
}

/// A scope without records costs nothing, however large its resource is.
#[test]
fn scopes_without_records_cost_no_look_at_their_resource() {
    let text = "x".repeat(1 << 20);
    let scopes = vec!["{}"; 100_000].join(",");
    let json = format!(
        r#"{{"resourceLogs":[{{"resource":{{"attributes":[{{"key":"k","value":{{"stringValue":"{text}"}}}}]}},
            "scopeLogs":[{scopes},{{"logRecords":[{{}}]}},{scopes}]}}]}}"#
    );
    assert_eq!(encode(&config(), Signal::Logs, from_json(Signal::Logs, &json)).len(), 1);
}

/// Each document repeats its resource: what all of them take together has no bound, what one request takes has.
#[test]
fn a_large_resource_costs_no_more_than_one_request_at_a_time() {
    let large = "x".repeat(100_000);
    let json = format!(
        r#"{{"resourceLogs":[{{"resource":{{"attributes":[{{"key":"k","value":{{"stringValue":"{large}"}}}}]}},
            "scopeLogs":[{{"logRecords":[{}]}}]}}]}}"#,
        vec!["{}"; 1_000].join(",")
    );
    let batch = batch(Signal::Logs, from_json(Signal::Logs, &json));
    let limit = 1 << 20;
    let config = OpenSearchConfig { max_bulk_size: crate::config::types::ByteSize::from_mib(1), ..config() };
    let requests = steps(&exporter(&config), &batch);
    assert_eq!(requests.len(), 100);
    assert!(requests.iter().all(|request| request.body.len() <= limit && request.items() == 10));
}

#[test]
fn records_that_no_document_is_made_of_are_dropped_once() {
    let maps = r#"{"body":{"kvlistValue":{"values":[{"key":"a","value":{"stringValue":"long enough"}}]}}}"#;
    let records = vec![[maps, r#"{"body":{"stringValue":"no map"}}"#].join(","); 50].join(",");
    let json = format!(r#"{{"resourceLogs":[{{"scopeLogs":[{{"logRecords":[{records}]}}]}}]}}"#);
    let batch = batch(Signal::Logs, from_json(Signal::Logs, &json));
    let mut config = config();
    config.mapping.mode = MappingMode::Bodymap;
    config.max_bulk_size = "1KiB".parse().expect("a size");
    let exporter = exporter(&config);
    let (mut from, mut steps, mut written, mut dropped) = (Some(0), 0, 0, 0);
    while let Some(begin) = from {
        let encoded = exporter.encode(&batch, begin);
        written += encoded.requests.iter().map(BulkRequest::items).sum::<u64>();
        dropped += encoded.dropped.iter().map(|dropped| dropped.items).sum::<u64>();
        from = encoded.next;
        steps += 1;
    }
    assert_eq!((written, dropped), (50, 50));
    assert!(steps > 3, "{steps}");
}

#[test]
fn a_value_where_others_need_an_object_becomes_a_member_of_it() {
    let text = |key: &str| format!(r#"{{"key":"{key}","value":{{"stringValue":"v"}}}}"#);
    let log = |keys: &[String]| {
        let attributes = keys.iter().map(|key| text(key)).collect::<Vec<_>>().join(",");
        let json = format!(
            r#"{{"resourceLogs":[{{"resource":{{"attributes":[{attributes}]}},
                "scopeLogs":[{{"logRecords":[{{"attributes":[{attributes}]}}]}}]}}]}}"#
        );
        let mut documents = encode(&config(), Signal::Logs, from_json(Signal::Logs, &json));
        let (_, mut document) = documents.remove(0);
        document["attributes"].as_object_mut().expect("an object").remove("data_stream");
        assert_eq!(document["attributes"], document["resource"]);
        document["resource"].clone()
    };
    let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    let few = names(&["tenant", "tenant.id", "a.b", "a.bc", "ab", "a"]);
    let expected = json!({"tenant.value": "v", "tenant.id": "v", "a.b": "v", "a.bc": "v", "ab": "v", "a.value": "v"});
    assert_eq!(log(&few), expected);
    assert_eq!(log(&names(&["t", "t.value", "t.x"])), json!({"t.value": "v", "t.value2": "v", "t.x": "v"}));
    let nested = json!({"t.value2": "v", "t.x": "v", "t.value.value": "v", "t.value.x": "v"});
    assert_eq!(log(&names(&["t", "t.x", "t.value", "t.value.x"])), nested);
    let mut many = few.clone();
    many.extend((0..30).map(|number| format!("more{number}")));
    let written = log(&many);
    assert_eq!((written.get("tenant.value"), written.get("tenant")), (Some(&json!("v")), None));
    assert_eq!(written.as_object().map(serde_json::Map::len), Some(36));
}

#[test]
fn equal_records_of_others_have_ids_of_their_own() {
    let ids = |tenant: &str, config: &OpenSearchConfig, resource: &str, scope: &str| {
        let json = format!(
            r#"{{"resourceLogs":[{{"resource":{{"attributes":[{{"key":"k","value":{{"stringValue":"{resource}"}}}}]}},
                "scopeLogs":[{{"scope":{{"name":"{scope}"}},"logRecords":[{{"timeUnixNano":"5"}}]}}]}}]}}"#
        );
        let batch = Batch { tenant: TenantId::new(tenant), ..batch(Signal::Logs, from_json(Signal::Logs, &json)) };
        let encoded = exporter(config).encode(&batch, 0);
        lines(&encoded)[0].0["create"]["_id"].as_str().expect("an id").to_owned()
    };
    let mut ecs = config();
    ecs.mapping.mode = MappingMode::Ecs;
    for config in [config(), ecs] {
        let id = |tenant, resource, scope| ids(tenant, &config, resource, scope);
        assert_eq!(id("acme", "r", "s"), id("acme", "r", "s"));
        let all = [id("acme", "r", "s"), id("globex", "r", "s"), id("acme", "other", "s"), id("acme", "r", "other")];
        assert_eq!(all.iter().collect::<std::collections::HashSet<_>>().len(), 4, "{all:?}");
    }
}

#[tokio::test]
async fn what_needs_a_refused_template_is_refused_with_it_after_one_request() {
    for (status, is_refused) in [(400, true), (403, true), (413, true), (429, false), (500, false), (503, false)] {
        let server = Server::start(move |_| server::reply(status, r#"{"error":"security_exception"}"#)).await;
        let mut config = config();
        config.mapping.mode = MappingMode::Jaeger;
        config.http.endpoint = Url::new(server.uri("").to_string());
        let exporter = exporter(&config);
        let encoded = exporter.encode(&batch(Signal::Traces, request(Signal::Traces, 3)), 0);
        let sent = exporter.send(encoded.requests.into_iter().next().expect("one request")).await;
        assert_eq!(server.one().head.method, Method::PUT);
        let refused: u64 = sent.refused.iter().map(|letter| letter.items).sum();
        let again: u64 = sent.again.iter().flat_map(|again| &again.requests).map(|(_, items)| items).sum();
        assert_eq!((sent.delivered, refused, again), if is_refused { (0, 3, 0) } else { (0, 0, 3) }, "{status}");
        let reason =
            sent.refused.first().map(|letter| &letter.reason).or(sent.again.as_ref().map(|again| &again.reason));
        let address = server.uri("/...");
        let expected = format!("can't install the index template jaeger-span: {address}: status {status}");
        assert!(
            reason.is_some_and(|reason| reason.starts_with(&expected) && reason.contains("security")),
            "{reason:?}"
        );
    }
}

/// A container that was made anew has lost them, and types can't be changed once a document was stored without.
#[tokio::test]
async fn templates_are_installed_and_services_announced_again_after_a_lost_connection() {
    let stored = r#"{"errors":false,"items":[{"index":{"status":201}},{"create":{"status":201}}]}"#;
    let server = Server::start(move |_| server::reply(200, stored)).await;
    let mut config = config();
    config.mapping.mode = MappingMode::Jaeger;
    config.http.endpoint = Url::new(server.uri("").to_string());
    let exporter = exporter(&config);
    let encoded = || {
        let batch = batch(Signal::Traces, request(Signal::Traces, 1));
        exporter.encode(&batch, 0).requests.pop().expect("one request")
    };
    let methods = || server.seen().into_iter().map(|seen| seen.head.method).collect::<Vec<_>>();
    let first = encoded();
    assert_eq!(exporter.send(first.clone()).await.delivered, 1);
    assert_eq!(encoded().documents.len(), 1, "the service is known");
    exporter.send(first.clone()).await;
    assert_eq!(methods(), [Method::PUT, Method::PUT, Method::POST, Method::POST]);

    let unsigned = SignError::NoCredentials("sts is down".into());
    let late = SendError::Timeout { to: "http://a/_bulk".into(), after: Duration::from_secs(1) };
    for error in [late, SendError::Sign(unsigned)] {
        let sent = exporter.failed(first.clone(), &error);
        assert_eq!(sent.again.expect("sent again").requests[0].1, 1);
        assert_eq!(encoded().documents.len(), 1, "{error}: the service is known");
    }
    exporter.send(first.clone()).await;
    assert_eq!(methods()[4..], [Method::POST], "what is slow or can't be asked is no other");

    let nobody = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let uri = format!("http://{}/", nobody.local_addr().expect("an address")).parse().expect("a URI");
    drop(nobody);
    let unconnected = exporter.client.send(Request::post(uri, "text/plain", "".into())).await.expect_err("nobody");
    for error in [SendError::Interrupted("http://a/_bulk".into(), "reset".into()), unconnected] {
        let before = methods().len();
        let sent = exporter.failed(first.clone(), &error);
        assert_eq!(sent.again.expect("sent again").requests[0].1, 1);
        assert_eq!(encoded().documents.len(), 2, "{error}: the service is announced again");
        exporter.send(first.clone()).await;
        assert_eq!(methods()[before..], [Method::PUT, Method::PUT, Method::POST], "{error}");
    }
}

/// Whoever may write documents may not install templates, not any more.
#[tokio::test]
async fn templates_that_were_installed_before_may_be_refused() {
    let stored = r#"{"errors":false,"items":[{"index":{"status":201}},{"create":{"status":201}}]}"#;
    let refuses = Arc::new(AtomicBool::new(false));
    let refused = Arc::clone(&refuses);
    let server = Server::start(move |seen| match seen.head.method == Method::PUT && refused.load(Ordering::Relaxed) {
        true => server::reply(403, "security_exception"),
        false => server::reply(200, stored),
    })
    .await;
    let mut config = config();
    config.mapping.mode = MappingMode::Jaeger;
    config.http.endpoint = Url::new(server.uri("").to_string());
    let exporter = exporter(&config);
    let batch = batch(Signal::Traces, request(Signal::Traces, 1));
    let request = exporter.encode(&batch, 0).requests.pop().expect("one request");
    assert_eq!(exporter.send(request.clone()).await.delivered, 1);
    refuses.store(true, Ordering::Relaxed);
    exporter.failed(request.clone(), &SendError::Interrupted("http://a/_bulk".into(), "reset".into()));
    for requests in [6, 7] {
        let sent = exporter.send(request.clone()).await;
        assert_eq!((sent.delivered, sent.refused.len()), (1, 0));
        assert_eq!(server.seen().len(), requests, "they are asked for once after each lost connection");
    }
}
