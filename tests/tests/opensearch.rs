//! A real OpenSearch takes spans and logs, and gives them back; a real Jaeger reads what was written for it.

use std::time::SystemTime;

use anyhow::{Context, Result};
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value as Any;
use opentelemetry_proto::tonic::common::v1::{AnyValue, ArrayValue, InstrumentationScope, KeyValue, KeyValueList};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, Status, span};
use prost::Message;
use serde_json::{Value, json};
use sluice_tests::parts::{self, Server};
use sluice_tests::{Sluice, web};

/// `OPENSEARCH` stands for the server, `MORE` for further keys of the exporter.
const CONFIG: &str = "
receivers:
  otlp: {protocols: {http: {endpoint: '127.0.0.1:{{http}}'}}}
exporters:
  opensearch:
    http: {endpoint: 'OPENSEARCH'}
    timeout: 60s
    sending_queue: {dead_letter_file: '{{{dir}}}/dead.jsonl'}
    MORE
service:
  pipelines:
    traces: {receivers: [otlp], exporters: [opensearch]}
";
const LOGS: &str = "    logs: {receivers: [otlp], exporters: [opensearch]}\n";

/// 2026-01-31T10:20:30.123456789Z.
const TIME: u64 = 1_769_854_830_123_456_789;
const MINUTE: u64 = 60_000_000_000;

fn start(opensearch: &Server, more: &[&str]) -> Result<Sluice> {
    start_with(&(CONFIG.to_owned() + LOGS), opensearch, more)
}

fn start_with(config: &str, opensearch: &Server, more: &[&str]) -> Result<Sluice> {
    let sluice = Sluice::start(&config.replace("OPENSEARCH", &opensearch.url).replace("MORE", &more.join("\n    ")));
    sluice.with_context(|| opensearch.log())
}

fn any(value: Any) -> AnyValue {
    AnyValue { value: Some(value) }
}

fn attribute(key: &str, value: Any) -> KeyValue {
    KeyValue { key: key.into(), value: Some(any(value)), ..Default::default() }
}

fn text(key: &str, value: &str) -> KeyValue {
    attribute(key, Any::StringValue(value.into()))
}

fn resource(service: &str) -> Option<Resource> {
    let attributes = vec![text("service.name", service), text("host.name", "edge-1")];
    Some(Resource { attributes, ..Default::default() })
}

fn scope() -> Option<InstrumentationScope> {
    Some(InstrumentationScope { name: "lib".into(), version: "1.2".into(), ..Default::default() })
}

fn traces(services: Vec<(&str, Vec<Span>)>) -> Vec<u8> {
    let resource_spans = services.into_iter().map(|(service, spans)| ResourceSpans {
        resource: resource(service),
        scope_spans: vec![ScopeSpans { scope: scope(), spans, ..Default::default() }],
        ..Default::default()
    });
    ExportTraceServiceRequest { resource_spans: resource_spans.collect() }.encode_to_vec()
}

fn logs(log_records: Vec<LogRecord>) -> Vec<u8> {
    let scope_logs = vec![ScopeLogs { scope: scope(), log_records, ..Default::default() }];
    let resource_logs = vec![ResourceLogs { resource: resource("shop"), scope_logs, ..Default::default() }];
    ExportLogsServiceRequest { resource_logs }.encode_to_vec()
}

fn send(sluice: &Sluice, signal: &str, body: &[u8]) -> Result<()> {
    let url = format!("http://127.0.0.1:{}/v1/{signal}", sluice.port("http"));
    let reply = web::post(&url, "application/x-protobuf", body)?;
    anyhow::ensure!(reply.status == 200, "{}: {}", reply.status, reply.body);
    Ok(())
}

/// Sends and waits until it is where it belongs.
fn deliver(sluice: &Sluice, opensearch: &Server, signal: &str, body: &[u8]) -> Result<()> {
    send(sluice, signal, body)?;
    sluice.settle().with_context(|| sluice.log())?;
    refresh(opensearch)
}

/// Makes everything that was written visible to searches.
fn refresh(opensearch: &Server) -> Result<()> {
    let reply = web::post(&format!("{}/_refresh", opensearch.url), "application/json", b"")?;
    anyhow::ensure!(reply.status == 200, "{}", reply.body);
    Ok(())
}

/// The documents that a query finds.
fn search(opensearch: &Server, index: &str, query: &Value) -> Result<Vec<Value>> {
    let body = json!({"query": query, "size": 10_000, "track_total_hits": true}).to_string();
    let url = format!("{}/{index}/_search", opensearch.url);
    let reply = web::post(&url, "application/json", body.as_bytes())?.json()?;
    let hits = reply["hits"]["hits"].as_array().with_context(|| format!("{query}: {reply}"))?;
    Ok(hits.iter().map(|hit| hit["_source"].clone()).collect())
}

fn put(opensearch: &Server, path: &str, body: &Value) -> Result<()> {
    let reply = web::put(&format!("{}/{path}", opensearch.url), "application/json", body.to_string().as_bytes())?;
    anyhow::ensure!(reply.status == 200, "{}", reply.body);
    Ok(())
}

/// Spans with numbers as ids, one a minute.
fn minute_spans(count: u64) -> Vec<Span> {
    let span = |number: u64| Span {
        trace_id: u128::from(number + 1).to_be_bytes().to_vec(),
        span_id: (number + 1).to_be_bytes().to_vec(),
        name: format!("GET /{}", number % 3),
        kind: 2,
        start_time_unix_nano: TIME + number * MINUTE,
        end_time_unix_nano: TIME + number * MINUTE + 1_000,
        attributes: vec![
            attribute("http.status_code", Any::IntValue(if number.is_multiple_of(5) { 503 } else { 200 })),
            text("user", &format!("user{number}")),
        ],
        status: Some(Status { code: 2, message: "timeout".into() }),
        ..Default::default()
    };
    (0..count).map(span).collect()
}

#[test]
fn spans_are_found_by_id_attribute_and_time() -> Result<()> {
    let Some(opensearch) = parts::opensearch()? else { return Ok(()) };
    let sluice = start(&opensearch, &["dataset: shop"])?;
    let spans = minute_spans(30);
    deliver(&sluice, &opensearch, "traces", &traces(vec![("shop", spans)]))?;
    let find = |query: Value| search(&opensearch, "ss4o_traces-shop-namespace", &query);

    let found = find(json!({"term": {"traceId.keyword": format!("{:032x}", 8)}}))?;
    let expected = json!({
        "attributes": {
            "http.status_code": 200, "user": "user7",
            "data_stream": {"dataset": "shop", "namespace": "namespace", "type": "span"},
        },
        "droppedAttributesCount": 0, "droppedEventsCount": 0, "droppedLinksCount": 0,
        "startTime": "2026-01-31T10:27:30.123456789Z", "endTime": "2026-01-31T10:27:30.123457789Z",
        "@timestamp": "2026-01-31T10:27:30.123456789Z",
        "instrumentationScope": {"attributes": {}, "droppedAttributesCount": 0, "name": "lib", "schemaUrl": "", "version": "1.2"},
        "kind": "Server", "name": "GET /1", "resource": {"service.name": "shop", "host.name": "edge-1"},
        "parentSpanId": "", "spanId": "0000000000000008", "traceId": format!("{:032x}", 8), "traceState": "",
        "status": {"code": "Error", "message": "timeout"},
    });
    assert_eq!(found, [expected]);

    assert_eq!(find(json!({"term": {"attributes.http.status_code": 503}}))?.len(), 6);
    assert_eq!(find(json!({"term": {"resource.service.name.keyword": "shop"}}))?.len(), 30);
    // From the fourth minute, and before the ninth: the end is not part of it.
    let between = json!({"gte": "2026-01-31T10:24:30.123456789Z", "lt": "2026-01-31T10:29:30.123Z"});
    assert_eq!(find(json!({"range": {"startTime": between}}))?.len(), 5);
    assert_eq!(sluice.ledger("exported")?, 30);
    sluice.stop()?;
    Ok(())
}

/// A value of every kind, nested.
fn everything() -> Vec<KeyValue> {
    let list = ArrayValue { values: vec![any(Any::IntValue(1)), any(Any::IntValue(-2))] };
    let inner =
        KeyValueList { values: vec![text("k", "grüße \"x\"\n\u{1}"), attribute("none", Any::BoolValue(false))] };
    vec![
        attribute("flag", Any::BoolValue(true)),
        attribute("big", Any::IntValue(i64::MAX)),
        attribute("half", Any::DoubleValue(0.5)),
        attribute("bytes", Any::BytesValue(vec![0, 255])),
        attribute("list", Any::ArrayValue(list)),
        attribute("map", Any::KvlistValue(inner)),
    ]
}

#[test]
fn logs_are_found_by_id_attribute_and_time() -> Result<()> {
    let Some(opensearch) = parts::opensearch()? else { return Ok(()) };
    let sluice = start(&opensearch, &["logs_index: 'app-%{service.name}'", "logs_index_time_format: yyyy.MM.dd"])?;
    let record = |number: u64| LogRecord {
        time_unix_nano: TIME + number * MINUTE,
        observed_time_unix_nano: TIME,
        severity_number: 17,
        severity_text: "ERROR".into(),
        body: Some(any(Any::StringValue(format!("order {number} failed")))),
        attributes: if number == 3 { everything() } else { vec![attribute("n", Any::IntValue(number as i64))] },
        trace_id: vec![7; 16],
        span_id: (number + 1).to_be_bytes().to_vec(),
        flags: 1,
        ..Default::default()
    };
    deliver(&sluice, &opensearch, "logs", &logs((0..20).map(record).collect()))?;
    let find = |query: Value| search(&opensearch, "app-shop-2026.01.31", &query);

    let found = find(json!({"term": {"spanId.keyword": "0000000000000004"}}))?;
    let expected = json!({
        "attributes": {
            "flag": true, "big": i64::MAX, "half": 0.5, "bytes": "AP8=", "list": [1, -2],
            "map": {"k": "grüße \"x\"\n\u{1}", "none": false},
            "data_stream": {"dataset": "default", "namespace": "namespace", "type": "record"},
        },
        "body": "order 3 failed",
        "instrumentationScope": {"attributes": {}, "droppedAttributesCount": 0, "name": "lib", "schemaUrl": "", "version": "1.2"},
        "observedTimestamp": "2026-01-31T10:20:30.123456789Z", "@timestamp": "2026-01-31T10:23:30.123456789Z",
        "resource": {"service.name": "shop", "host.name": "edge-1"},
        "severity": {"number": 17, "text": "ERROR"},
        "spanId": "0000000000000004", "traceId": "07".repeat(16), "traceFlags": 1,
    });
    assert_eq!(found, [expected]);

    assert_eq!(find(json!({"range": {"attributes.n": {"gte": 10}}}))?.len(), 10);
    assert_eq!(find(json!({"match_phrase": {"body": "order 11 failed"}}))?.len(), 1);
    assert_eq!(find(json!({"range": {"@timestamp": {"gt": "2026-01-31T10:38:30.123456789Z"}}}))?.len(), 1);
    sluice.stop()?;
    Ok(())
}

/// A log record whose body is a map.
fn structured(number: u64) -> LogRecord {
    let inner = KeyValueList { values: vec![attribute("status", Any::IntValue(500 + number as i64))] };
    let body =
        KeyValueList { values: vec![text("message", "card declined"), attribute("http", Any::KvlistValue(inner))] };
    LogRecord {
        time_unix_nano: TIME,
        severity_number: 13,
        severity_text: "WARN".into(),
        body: Some(any(Any::KvlistValue(body))),
        attributes: vec![text("order.id", "A-1"), attribute("order", Any::IntValue(7))],
        trace_id: vec![7; 16],
        span_id: (number + 1).to_be_bytes().to_vec(),
        ..Default::default()
    }
}

/// OpenSearch takes a name once, and not as a value and as an object: it finds documents of every mapping by the fields
/// that it made of them.
#[test]
fn documents_of_every_mapping_are_stored_and_found() -> Result<()> {
    let Some(opensearch) = parts::opensearch()? else { return Ok(()) };
    let ecs = json!({
        "@timestamp": "2026-01-31T10:20:30.123456789Z", "TraceId": "07".repeat(16), "SpanId": "0000000000000001",
        "TraceFlags": 0, "SeverityText": "WARN", "SeverityNumber": 13,
        "Body.http.status": 500, "Body.message": "card declined",
        "Attributes.order.id": "A-1", "Attributes.order.value": 7,
        "Attributes.service.name": "shop", "Attributes.host.name": "edge-1",
    });
    let flattened = json!({
        "@timestamp": "2026-01-31T10:20:30.123456789Z", "TraceId": "07".repeat(16), "SpanId": "0000000000000001",
        "TraceFlags": 0, "SeverityText": "WARN", "SeverityNumber": 13,
        "Body.http.status": 500, "Body.message": "card declined",
        "order.id": "A-1", "order.value": 7, "service.name": "shop", "host.name": "edge-1",
    });
    let body = json!({"message": "card declined", "http": {"status": 500}});
    for (mode, expected, status, more) in [
        ("ecs", ecs, "Body.http.status", json!({"term": {"Attributes.order.value": 7}})),
        ("flatten_attributes", flattened, "Body.http.status", json!({"term": {"service.name.keyword": "shop"}})),
        ("bodymap", body, "http.status", json!({"match": {"message": "declined"}})),
    ] {
        let index = format!("mapped-{}", mode.replace('_', "-"));
        let config = CONFIG.replace("    traces: {receivers: [otlp], exporters: [opensearch]}\n", LOGS);
        let settings = [&*format!("mapping: {{mode: {mode}}}"), &format!("logs_index: {index}")];
        let sluice = start_with(&config, &opensearch, &settings)?;
        deliver(&sluice, &opensearch, "logs", &logs((0..10).map(structured).collect()))?;
        assert_eq!(search(&opensearch, &index, &json!({"term": {status: 500}}))?, [expected], "{mode}");
        assert_eq!(search(&opensearch, &index, &json!({"range": {status: {"gte": 504}}}))?.len(), 6, "{mode}");
        assert_eq!(search(&opensearch, &index, &more)?.len(), 10, "{mode}");
        assert_eq!(sluice.ledger("exported")?, 10, "{mode}");
        sluice.stop()?;
    }
    Ok(())
}

#[test]
fn a_poisoned_document_costs_exactly_itself() -> Result<()> {
    let Some(opensearch) = parts::opensearch()? else { return Ok(()) };
    let mapping = json!({"mappings": {"properties": {"attributes": {"properties": {"amount": {"type": "long"}}}}}});
    put(&opensearch, "ss4o_logs-default-namespace", &mapping)?;
    let sluice = start(&opensearch, &[])?;
    let record = |number: u64| LogRecord {
        time_unix_nano: TIME,
        body: Some(any(Any::StringValue(format!("order {number}")))),
        attributes: vec![match number {
            617 => text("amount", "a dozen"),
            _ => attribute("amount", Any::IntValue(number as i64)),
        }],
        ..Default::default()
    };
    let batch = logs((0..1000).map(record).collect());
    // Twice: the second time everything is there already, which is success, and is stored once.
    for times in 1..=2 {
        deliver(&sluice, &opensearch, "logs", &batch)?;
        let stored = search(&opensearch, "ss4o_logs-default-namespace", &json!({"match_all": {}}))?;
        assert_eq!(stored.len(), 999);
        assert!(stored.iter().all(|document| document["body"] != "order 617"));
        assert_eq!((sluice.ledger("exported")?, sluice.ledger("dead_lettered")?), (times * 999, times));
    }
    let letters = std::fs::read_to_string(sluice.dir().join("dead.jsonl"))?;
    let letters: Vec<Value> = letters.lines().map(serde_json::from_str).collect::<Result<_, _>>()?;
    assert_eq!(letters.len(), 2);
    for letter in &letters {
        let reason = letter["reason"].as_str().context("reason")?;
        for part in ["status 400", "mapper_parsing_exception", "attributes.amount", "a dozen"] {
            assert!(reason.contains(part), "{part} is not in {reason}");
        }
        assert_eq!((&letter["exporter"], &letter["items"]), (&json!("opensearch"), &json!(1)));
        assert_eq!(letter["document"]["body"], "order 617");
        // What it takes to store it after all.
        assert_eq!(letter["index"], "ss4o_logs-default-namespace");
        assert_eq!(letter["id"].as_str().map(str::len), Some(32));
    }
    assert_eq!(sluice.metric("otelcol_exporter_send_failed_log_records", &[])?, 2.0);
    sluice.stop()?;
    Ok(())
}

const TRACE: [u8; 16] =
    [0x4b, 0xf9, 0x2f, 0x35, 0x77, 0xb3, 0x4d, 0xa6, 0xa3, 0xce, 0x92, 0x9d, 0x0e, 0x0e, 0x47, 0x36];
const TRACE_TEXT: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

fn link(trace_id: [u8; 16], span_id: u64, attributes: Vec<KeyValue>) -> span::Link {
    span::Link { trace_id: trace_id.into(), span_id: span_id.to_be_bytes().into(), attributes, ..Default::default() }
}

/// A checkout that calls a payment service, and an e-mail that follows from it.
fn checkout(now: u64) -> Vec<u8> {
    let span = |id: u64, parent: u64, name: &str, kind: i32| Span {
        trace_id: TRACE.into(),
        span_id: id.to_be_bytes().into(),
        parent_span_id: if parent == 0 { Vec::new() } else { parent.to_be_bytes().into() },
        name: name.into(),
        kind,
        start_time_unix_nano: now + id * 1_000_000,
        end_time_unix_nano: now + id * 1_000_000 + 5_000_000,
        ..Default::default()
    };
    let failed = span::Event {
        time_unix_nano: now + 3_000_000,
        name: "declined".into(),
        attributes: vec![attribute("attempt", Any::IntValue(2)), text("why", "no funds")],
        ..Default::default()
    };
    let root = Span {
        attributes: everything(),
        trace_state: "vendor=1".into(),
        status: Some(Status { code: 1, ..Default::default() }),
        ..span(1, 0, "POST /checkout", 2)
    };
    let client = Span { attributes: vec![text("peer", "bank")], ..span(2, 1, "charge", 3) };
    let server = Span {
        events: vec![failed],
        status: Some(Status { code: 2, message: "declined".into() }),
        ..span(3, 2, "charge card", 2)
    };
    let mail = Span {
        links: vec![link([9; 16], 77, Vec::new()), link(TRACE, 3, vec![text("opentracing.ref_type", "child_of")])],
        ..span(4, 1, "send mail", 4)
    };
    traces(vec![("shop", vec![root, client, mail]), ("bank", vec![server])])
}

/// An answer of Jaeger's API, without what it is wrapped in.
fn ask(jaeger: &Server, path: &str) -> Result<Value> {
    let reply = web::get(&format!("{}{path}", jaeger.url))?;
    anyhow::ensure!(reply.status == 200, "{path}: {} {}\n{}", reply.status, reply.body, jaeger.log());
    let page = reply.json()?;
    anyhow::ensure!(page["errors"].is_null(), "{path}: {page}\n{}", jaeger.log());
    Ok(page["data"].clone())
}

fn sorted(list: &Value) -> Vec<String> {
    let mut names: Vec<String> =
        list.as_array().into_iter().flatten().map(|v| v.as_str().unwrap_or_default().into()).collect();
    names.sort();
    names
}

/// Tags as an object: key to type and value.
fn tags(list: &Value) -> Value {
    let list = list.as_array().into_iter().flatten();
    list.map(|tag| (tag["key"].as_str().unwrap_or_default().to_owned(), json!([tag["type"], tag["value"]]))).collect()
}

fn reference(kind: &str, trace: &str, span: u64) -> Value {
    json!({"refType": kind, "traceID": trace, "spanID": format!("{span:016x}")})
}

fn check_trace(trace: &Value, now: u64) -> Result<()> {
    let spans = trace["spans"].as_array().context("spans")?;
    assert_eq!((trace["traceID"].as_str(), spans.len()), (Some(TRACE_TEXT), 4), "{trace}");
    let span = |id: u64| {
        let id = format!("{id:016x}");
        spans.iter().find(|span| span["spanID"] == id).with_context(|| format!("span {id} of {trace}"))
    };
    let library = json!({"otel.scope.name": ["string", "lib"], "otel.scope.version": ["string", "1.2"]});
    let with_library = |more: Value| {
        let mut all = library.clone();
        all.as_object_mut().expect("an object").append(&mut more.as_object().cloned().unwrap_or_default());
        all
    };
    let root_tags = json!({
        "flag": ["bool", true], "big": ["int64", i64::MAX.to_string()], "half": ["float64", 0.5], "bytes": ["binary", "AP8="],
        "list": ["string", "[1,-2]"], "map": ["string", "{\"k\":\"grüße \\\"x\\\"\\n\\u0001\",\"none\":false}"],
        "span.kind": ["string", "server"], "otel.status_code": ["string", "OK"], "w3c.tracestate": ["string", "vendor=1"],
    });
    let expected = [
        (1, "shop", "POST /checkout", root_tags, vec![]),
        (
            2,
            "shop",
            "charge",
            json!({"peer": ["string", "bank"], "span.kind": ["string", "client"]}),
            vec![reference("CHILD_OF", TRACE_TEXT, 1)],
        ),
        (
            3,
            "bank",
            "charge card",
            json!({"span.kind": ["string", "server"], "error": ["bool", true], "otel.status_description": ["string", "declined"]}),
            vec![reference("CHILD_OF", TRACE_TEXT, 2)],
        ),
        (
            4,
            "shop",
            "send mail",
            json!({"span.kind": ["string", "producer"]}),
            vec![
                reference("CHILD_OF", TRACE_TEXT, 1),
                reference("FOLLOWS_FROM", &"09".repeat(16), 77),
                reference("CHILD_OF", TRACE_TEXT, 3),
            ],
        ),
    ];
    for (id, service, operation, expected_tags, references) in expected {
        let span = span(id)?;
        assert_eq!(span["operationName"], operation);
        assert_eq!(tags(&span["tags"]), with_library(expected_tags), "{operation}");
        assert_eq!(span["references"], json!(references), "{operation}");
        assert_eq!(span["startTime"].as_u64(), Some((now + id * 1_000_000) / 1000), "{operation}");
        assert_eq!(span["duration"], 5000, "{operation}");
        // Spans of one duration can't nest, which Jaeger takes for a clock that is wrong; it complains of nothing else.
        let warnings = span["warnings"].as_array().into_iter().flatten();
        assert!(warnings.filter_map(Value::as_str).all(|warning| warning.contains("clock skew")), "{span}");
        let process = &trace["processes"][span["processID"].as_str().unwrap_or_default()];
        assert_eq!(process["serviceName"], service);
        assert_eq!(tags(&process["tags"]), json!({"host.name": ["string", "edge-1"]}));
    }
    let logs = span(3)?["logs"].as_array().context("logs")?;
    assert_eq!(logs.len(), 1);
    assert_eq!(logs[0]["timestamp"].as_u64(), Some((now + 3_000_000) / 1000));
    let fields = json!({"event": ["string", "declined"], "attempt": ["int64", 2], "why": ["string", "no funds"]});
    assert_eq!(tags(&logs[0]["fields"]), fields);
    Ok(())
}

#[test]
fn jaeger_shows_services_operations_and_the_whole_trace() -> Result<()> {
    let Some(opensearch) = parts::opensearch()? else { return Ok(()) };
    for prefix in ["", "edge"] {
        let more = ["mapping: {mode: jaeger}", &format!("index_prefix: '{prefix}'")];
        let sluice = start_with(CONFIG, &opensearch, &more)?;
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?.as_millis() as u64 * 1_000_000;
        let request = checkout(now);
        // Sent twice, as after a lost answer: Jaeger must not show anything double.
        for _ in 0..2 {
            deliver(&sluice, &opensearch, "traces", &request)?;
        }
        let Some(jaeger) = parts::jaeger(&opensearch, prefix)? else { return Ok(()) };

        assert_eq!(sorted(&ask(&jaeger, "/api/services")?), ["bank", "shop"]);
        let operations = ask(&jaeger, "/api/services/shop/operations")?;
        assert_eq!(sorted(&operations), ["POST /checkout", "charge", "send mail"]);
        let found = ask(&jaeger, &format!("/api/traces/{TRACE_TEXT}"))?;
        assert_eq!(found.as_array().map(Vec::len), Some(1), "{found}");
        check_trace(&found[0], now)?;

        let searches = [
            ("service=shop&operation=charge", 1),
            ("service=shop&tags=%7B%22peer%22%3A%22bank%22%7D", 1),
            ("service=shop&tags=%7B%22big%22%3A%229223372036854775807%22%7D", 1),
            ("service=bank&tags=%7B%22error%22%3A%22true%22%7D", 1),
            ("service=bank&tags=%7B%22attempt%22%3A%222%22%7D", 1),
            ("service=shop&tags=%7B%22host.name%22%3A%22edge-1%22%7D&minDuration=4ms&maxDuration=6ms", 1),
            ("service=shop&tags=%7B%22peer%22%3A%22cat%22%7D", 0),
            ("service=shop&minDuration=6ms", 0),
            ("service=cat", 0),
        ];
        for (query, expected) in searches {
            let found = ask(&jaeger, &format!("/api/traces?{query}&lookback=1h&limit=20"))?;
            let count = found.as_array().map_or(0, Vec::len);
            assert_eq!(count, expected, "{query} with prefix {prefix:?}: {found}");
        }
        assert_eq!(sluice.ledger("exported")?, 8);
        sluice.stop()?;
    }
    Ok(())
}

/// Jaeger shows none of the traces that it found if it can't read one document among them.
#[test]
fn jaeger_shows_what_is_beside_spans_with_odd_ids_and_values() -> Result<()> {
    let Some(opensearch) = parts::opensearch()? else { return Ok(()) };
    let sluice = start_with(CONFIG, &opensearch, &["mapping: {mode: jaeger}"])?;
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?.as_nanos() as u64;
    let span = |trace_id: &[u8], name: &str| Span {
        trace_id: trace_id.to_vec(),
        span_id: 7u64.to_be_bytes().into(),
        name: name.into(),
        start_time_unix_nano: now,
        end_time_unix_nano: now + 1_000_000,
        ..Default::default()
    };
    let of_64_bits = [[0; 8], 0xb3_u64.to_be_bytes()].concat();
    let linked = Span { links: vec![link([0; 16], 0, Vec::new())], ..span(&[1; 16], "linked to nothing") };
    let nameless = Span { span_id: Vec::new(), ..span(&[2; 16], "without an id") };
    let not_a_number =
        [attribute("nan", Any::DoubleValue(f64::NAN)), attribute("inf", Any::DoubleValue(f64::INFINITY))];
    let odd_values = Span { attributes: not_a_number.into(), flags: u32::MAX, ..span(&[3; 16], "odd values") };
    let spans = vec![linked, nameless, odd_values, span(&[], "of no trace"), span(&of_64_bits, "of 64 bits")];
    deliver(&sluice, &opensearch, "traces", &traces(vec![("odd", spans), ("", vec![span(&[4; 16], "of nobody")])]))?;
    let Some(jaeger) = parts::jaeger(&opensearch, "")? else { return Ok(()) };

    let found = |path: &str| Ok::<_, anyhow::Error>(ask(&jaeger, path)?.as_array().map_or(0, Vec::len));
    assert_eq!(sorted(&ask(&jaeger, "/api/services")?), ["empty-service-name", "odd"]);
    assert_eq!(found("/api/traces?service=odd&lookback=1h&limit=20")?, 5);
    assert_eq!(found("/api/traces?service=empty-service-name&lookback=1h&limit=20")?, 1);
    for id in ["00000000000000b3", "000000000000000000000000000000b3", &"01".repeat(16), &"03".repeat(16)] {
        assert_eq!(found(&format!("/api/traces/{id}"))?, 1, "{id}");
    }
    assert_eq!(sluice.ledger("exported")?, 6);
    sluice.stop()?;
    Ok(())
}
