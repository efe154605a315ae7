//! What is left of small requests, condition by condition.

use filter::Filter;
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::number_data_point::Value::{AsDouble, AsInt};
use opentelemetry_proto::tonic::metrics::v1::{
    Gauge, Histogram, HistogramDataPoint, Metric, NumberDataPoint, ResourceMetrics, ScopeMetrics, Sum,
};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, Status};
use prost::Message;
use serde_json::{Value as Json, json};
use sluice_sdk::testing::{Harness, take_logs};
use sluice_sdk::{Failure, Signal};

fn text(key: &str, value: &str) -> KeyValue {
    attribute(key, Value::StringValue(value.to_owned()))
}

fn integer(key: &str, value: i64) -> KeyValue {
    attribute(key, Value::IntValue(value))
}

fn attribute(key: &str, value: Value) -> KeyValue {
    KeyValue { key: key.to_owned(), value: Some(AnyValue { value: Some(value) }), ..Default::default() }
}

fn resource(name: &str) -> Option<Resource> {
    Some(Resource { attributes: vec![text("service.name", name)], ..Default::default() })
}

fn scope(name: &str) -> Option<InstrumentationScope> {
    Some(InstrumentationScope { name: name.to_owned(), version: "1.0".to_owned(), ..Default::default() })
}

/// Spans: a, b (shop, lib), c (shop, other), d (cart, lib).
fn spans() -> Vec<u8> {
    let span = |name: &str, kind, code, attributes: Vec<KeyValue>| Span {
        name: name.to_owned(),
        kind,
        status: Some(Status { code, ..Default::default() }),
        attributes,
        ..Default::default()
    };
    let route = |route: &str| text("http.route", route);
    let a = span("a", 2, 0, vec![route("/health"), integer("http.status_code", 200)]);
    let b = span("b", 2, 2, vec![route("/cart"), integer("http.status_code", 503)]);
    let c = span("c", 3, 0, vec![attribute("http.status_code", Value::DoubleValue(404.0))]);
    let d = span("d", 1, 1, vec![route("/health"), text("http.status_code", "200")]);
    let scoped = |name, spans| ScopeSpans { scope: scope(name), spans, ..Default::default() };
    let resource_spans = vec![
        ResourceSpans {
            resource: resource("shop"),
            scope_spans: vec![scoped("lib", vec![a, b]), scoped("other", vec![c])],
            ..Default::default()
        },
        ResourceSpans { resource: resource("cart"), scope_spans: vec![scoped("lib", vec![d])], ..Default::default() },
    ];
    ExportTraceServiceRequest { resource_spans }.encode_to_vec()
}

/// Log records: a (text), b (number), c (no body).
fn records() -> Vec<u8> {
    let record = |severity_number, severity_text: &str, body: Option<Value>| LogRecord {
        severity_number,
        severity_text: severity_text.to_owned(),
        body: body.map(|value| AnyValue { value: Some(value) }),
        attributes: vec![text("env", "prod")],
        ..Default::default()
    };
    let log_records = vec![
        record(9, "INFO", Some(Value::StringValue("started".to_owned()))),
        record(17, "ERROR", Some(Value::IntValue(42))),
        record(0, "", None),
    ];
    let scope_logs = vec![ScopeLogs { scope: scope("lib"), log_records, ..Default::default() }];
    let resource_logs = vec![ResourceLogs { resource: resource("shop"), scope_logs, ..Default::default() }];
    ExportLogsServiceRequest { resource_logs }.encode_to_vec()
}

/// Data points: a, b (cpu, gauge), c (requests, sum), d (latency, histogram).
fn points() -> Vec<u8> {
    let number = |value, state: &str| NumberDataPoint {
        value: Some(value),
        attributes: vec![text("state", state)],
        ..Default::default()
    };
    let cpu = Gauge { data_points: vec![number(AsDouble(0.5), "idle"), number(AsDouble(1.5), "user")] };
    let requests = Sum {
        data_points: vec![NumberDataPoint { value: Some(AsInt(7)), ..Default::default() }],
        is_monotonic: true,
        aggregation_temporality: 2,
    };
    let latency = Histogram {
        data_points: vec![HistogramDataPoint { count: 3, sum: Some(1.0), ..Default::default() }],
        aggregation_temporality: 1,
    };
    let metric = |name: &str, unit: &str, data| Metric {
        name: name.to_owned(),
        unit: unit.to_owned(),
        data: Some(data),
        ..Default::default()
    };
    let metrics = vec![
        metric("cpu", "1", Data::Gauge(cpu)),
        metric("requests", "", Data::Sum(requests)),
        metric("latency", "ms", Data::Histogram(latency)),
    ];
    let scope_metrics = vec![ScopeMetrics { scope: scope("lib"), metrics, ..Default::default() }];
    let resource_metrics = vec![ResourceMetrics { resource: resource("shop"), scope_metrics, ..Default::default() }];
    ExportMetricsServiceRequest { resource_metrics }.encode_to_vec()
}

/// The names of the rows that are left.
fn left(signal: Signal, config: &Json) -> String {
    let (request, rows) = match signal {
        Signal::Traces => (spans(), "abcd"),
        Signal::Logs => (records(), "abc"),
        Signal::Metrics => (points(), "abcd"),
    };
    let mut harness = Harness::<Filter>::new(config, signal).unwrap_or_else(|e| panic!("{config}: {e}"));
    let kept = harness.process(&request).expect("an outcome").kept;
    rows.chars().enumerate().filter(|(row, _)| kept.get(*row)).map(|(_, name)| name).collect()
}

/// What was logged since the last question.
fn logged() -> Vec<String> {
    take_logs().into_iter().map(|(_, message)| message).collect()
}

fn check(signal: Signal, cases: &[(Json, &str)]) {
    for (config, expected) in cases {
        assert_eq!(left(signal, config), *expected, "{config}");
    }
}

fn check_conditions(signal: Signal, block: &str, list: &str, cases: &[(&str, &str)]) {
    for (condition, expected) in cases {
        assert_eq!(left(signal, &json!({ block: { list: [condition] } })), *expected, "{condition}");
    }
}

#[test]
fn drops_spans_for_which_a_condition_is_true() {
    check_conditions(
        Signal::Traces,
        "traces",
        "span",
        &[
            (r#"attributes["http.route"] == "/health""#, "bc"),
            (r#""/health" == span.attributes["http.route"]"#, "bc"),
            (r#"attributes["http.route"] != "/health""#, "ad"),
            (r#"attributes["http.route"] == nil"#, "abd"),
            (r#"attributes["http.route"] != nil"#, "c"),
            (r#"attributes["http.status_code"] >= 404"#, "ad"),
            (r#"attributes["http.status_code"] == 200"#, "bcd"),
            (r#"404 > attributes["http.status_code"]"#, "bcd"),
            (r#"IsMatch(attributes["http.status_code"], "^[245]0")"#, ""),
            (r#"IsMatch(attributes["http.route"], "^/c")"#, "acd"),
            (r#"IsString(attributes["http.status_code"])"#, "abc"),
            (r#"not IsString(attributes["http.status_code"])"#, "d"),
            (r#"Int(attributes["http.status_code"]) == 200"#, "bc"),
            (r#"kind == SPAN_KIND_SERVER and status.code != STATUS_CODE_ERROR"#, "bcd"),
            (r#"kind.string == "Client" or name == "d""#, "ab"),
            (r#"name == "a" or name == "b" and kind == 3"#, "bcd"),
            (r#"(name == "a" or name == "b") and kind == 3"#, "abcd"),
            (r#"resource.attributes["service.name"] == "shop" and instrumentation_scope.name == "lib""#, "cd"),
            (r#"scope.version == "1.0""#, ""),
            (r#"Concat([resource.attributes["service.name"], name], "/") == "cart/d""#, "abc"),
            (r#"HasPrefix(attributes["http.route"], "/he") and true"#, "bc"),
            (r#"trace_id == TraceID("00000000000000000000000000000000")"#, ""),
            ("IsRootSpan()", ""),
            ("false", "abcd"),
            ("true", ""),
        ],
    );
}

#[test]
fn drops_data_points_metrics_and_resources() {
    check_conditions(
        Signal::Metrics,
        "metrics",
        "metric",
        &[
            (r#"name == "cpu""#, "cd"),
            ("type == METRIC_DATA_TYPE_HISTOGRAM", "abc"),
            ("is_monotonic == true", "abd"),
            ("is_monotonic == nil", "c"),
            ("aggregation_temporality == AGGREGATION_TEMPORALITY_DELTA", "abc"),
            (r#"HasAttrKeyOnDatapoint("state")"#, "cd"),
            // Only the first point that has the attribute counts.
            (r#"HasAttrOnDatapoint("state", "user")"#, "abcd"),
            (r#"HasAttrOnDatapoint("state", "idle") and unit == "1""#, "cd"),
        ],
    );
    check_conditions(
        Signal::Metrics,
        "metrics",
        "datapoint",
        &[
            ("value_double > 1.0", "acd"),
            ("value_int < 10", "d"),
            ("count == 3", "abc"),
            ("count != 3", "d"),
            (r#"metric.name == "cpu" and attributes["state"] == "idle""#, "bcd"),
        ],
    );
    check_conditions(
        Signal::Metrics,
        "metrics",
        "resource",
        &[(r#"attributes["service.name"] == "shop""#, ""), (r#"attributes["service.name"] == "cart""#, "abcd")],
    );
}

#[test]
fn drops_log_records_by_their_bodies() {
    check_conditions(
        Signal::Logs,
        "logs",
        "log_record",
        &[
            (r#"body == "started""#, "bc"),
            (r#"IsMatch(body, "^4")"#, "ac"),
            ("body == nil", "ab"),
            (r#"body.string == "42""#, "ac"),
            ("body > 41", "ac"),
            ("severity_number < SEVERITY_NUMBER_ERROR", "b"),
            ("severity_number != SEVERITY_NUMBER_UNSPECIFIED and severity_number < SEVERITY_NUMBER_ERROR", "bc"),
            (r#"severity_text == """#, "ab"),
        ],
    );
}

#[test]
fn infers_the_context_of_flat_conditions() {
    check(
        Signal::Traces,
        &[
            (json!({ "trace_conditions": ["span.name == \"a\""] }), "bcd"),
            (json!({ "trace_conditions": ["resource.attributes[\"service.name\"] == \"shop\""] }), "d"),
            (
                json!({ "trace_conditions": ["resource.attributes[\"service.name\"] == \"cart\"", "span.name == \"a\""] }),
                "bc",
            ),
            (json!({ "trace_conditions": ["scope.name == \"other\""] }), "abd"),
            // What only spans have makes it one on spans.
            (json!({ "trace_conditions": ["scope.name == \"other\" and IsRootSpan()"] }), "abd"),
            (json!({ "trace_conditions": ["SPAN_KIND_CLIENT == 3 and scope.name == \"other\""] }), "abd"),
            (
                json!({ "trace_conditions": [{ "context": "SPAN", "conditions": ["name == \"a\"", "span.name == \"b\""] }] }),
                "cd",
            ),
            (
                json!({ "trace_conditions": [
                { "context": "resource", "conditions": ["attributes[\"service.name\"] == \"cart\""] },
                { "conditions": ["span.kind == SPAN_KIND_CLIENT"] },
            ] }),
                "ab",
            ),
        ],
    );
    check(
        Signal::Metrics,
        &[
            (json!({ "metric_conditions": ["metric.name == \"cpu\"", "datapoint.count == 3"] }), "c"),
            // A group sees what the one before it left.
            (
                json!({ "metric_conditions": [
                    { "context": "datapoint", "conditions": ["attributes[\"state\"] == \"idle\""] },
                    { "context": "metric", "conditions": ["HasAttrOnDatapoint(\"state\", \"idle\")"] },
                ] }),
                "bcd",
            ),
            (json!({ "metric_conditions": ["HasAttrKeyOnDatapoint(\"state\") and metric.unit == \"1\""] }), "cd"),
        ],
    );
    check(Signal::Logs, &[(json!({ "log_conditions": ["log.body == \"started\""] }), "bc")]);
}

#[test]
fn includes_and_excludes_spans() {
    let spans = |block: Json| json!({ "spans": block });
    check(
        Signal::Traces,
        &[
            (spans(json!({ "include": { "match_type": "strict", "services": ["shop"] } })), "abc"),
            (spans(json!({ "exclude": { "match_type": "strict", "services": ["shop"] } })), "d"),
            (
                spans(json!({
                    "include": { "match_type": "strict", "services": ["shop"] },
                    "exclude": { "match_type": "regexp", "span_names": ["^[ab]$"] },
                })),
                "c",
            ),
            (
                spans(
                    json!({ "include": { "match_type": "regexp", "services": ["sh.p", "c"], "span_names": ["[ad]"] } }),
                ),
                "ad",
            ),
            (spans(json!({ "include": { "match_type": "strict", "span_kinds": ["SPAN_KIND_SERVER"] } })), "ab"),
            (
                spans(
                    json!({ "include": { "match_type": "strict", "libraries": [{ "name": "lib", "version": "1.0" }] } }),
                ),
                "abd",
            ),
            (
                spans(
                    json!({ "include": { "match_type": "strict", "libraries": [{ "name": "lib" }, { "name": "other" }] } }),
                ),
                "",
            ),
            (spans(json!({ "include": { "match_type": "strict", "attributes": [{ "key": "http.route" }] } })), "abd"),
            (
                spans(
                    json!({ "include": { "match_type": "strict", "attributes": [{ "key": "http.status_code", "value": 200 }] } }),
                ),
                "a",
            ),
            (
                spans(
                    json!({ "include": { "match_type": "strict", "attributes": [{ "key": "http.status_code", "value": 404 }] } }),
                ),
                "",
            ),
            (
                spans(json!({ "include": { "match_type": "regexp", "attributes": [
                { "key": "http.status_code", "value": "^[24]0" }, { "key": "http.route" },
            ] } })),
                "ad",
            ),
            (
                spans(
                    json!({ "exclude": { "match_type": "strict", "resources": [{ "key": "service.name", "value": "cart" }] } }),
                ),
                "abc",
            ),
        ],
    );
}

#[test]
fn includes_and_excludes_metrics() {
    let metrics = |block: Json| json!({ "metrics": block });
    check(
        Signal::Metrics,
        &[
            (metrics(json!({ "include": { "match_type": "strict", "metric_names": ["cpu", "latency"] } })), "abd"),
            (metrics(json!({ "exclude": { "match_type": "strict", "metric_names": ["cpu"] } })), "cd"),
            (
                metrics(json!({
                    "include": { "match_type": "regexp", "metric_names": ["^(cpu|req)"], "regexp": { "cacheenabled": true } },
                    "exclude": { "match_type": "strict", "metric_names": ["cpu"] },
                })),
                "c",
            ),
            // Attributes of the resource are a question of their own: they drop all metrics, whatever their names.
            (
                metrics(json!({ "exclude": {
                "match_type": "strict",
                "metric_names": ["cpu"],
                "resource_attributes": [{ "key": "service.name", "value": "shop" }],
            } })),
                "",
            ),
            (
                metrics(json!({ "include": {
                "match_type": "strict",
                "resource_attributes": [{ "key": "service.name", "value": "cart" }],
            } })),
                "",
            ),
            (metrics(json!({ "include": {}, "exclude": {} })), "abcd"),
        ],
    );
}

#[test]
fn includes_and_excludes_log_records() {
    let logs = |block: Json| json!({ "logs": block });
    let severity = |min: Json, undefined: bool| {
        logs(
            json!({ "include": { "match_type": "strict", "severity_number": { "min": min, "match_undefined": undefined } } }),
        )
    };
    check(
        Signal::Logs,
        &[
            (severity(json!("info"), false), "ab"),
            (severity(json!("WARN"), false), "b"),
            (severity(json!("warn2"), true), "bc"),
            (severity(json!(17), false), "b"),
            (severity(json!("18"), false), ""),
            (severity(json!(""), false), "ab"),
            (logs(json!({ "include": { "match_type": "strict", "bodies": ["started", "42"] } })), "ab"),
            (logs(json!({ "exclude": { "match_type": "regexp", "bodies": ["^$"] } })), "ab"),
            (logs(json!({ "include": { "match_type": "strict", "severity_texts": ["INFO"] } })), "a"),
            (
                logs(
                    json!({ "include": { "match_type": "strict", "record_attributes": [{ "key": "env", "value": "prod" }] } }),
                ),
                "abc",
            ),
            (
                logs(
                    json!({ "exclude": { "match_type": "strict", "resource_attributes": [{ "key": "service.name" }] } }),
                ),
                "",
            ),
            (logs(json!({ "include": {} })), "abc"),
        ],
    );
}

#[test]
fn keeps_everything_without_a_word_about_the_signal() {
    for signal in [Signal::Traces, Signal::Metrics, Signal::Logs] {
        let all = left(signal, &json!({}));
        assert_eq!(all, left(signal, &json!({ "error_mode": "propagate" })));
        assert_eq!(all.len(), if signal == Signal::Logs { 3 } else { 4 });
    }
    let other = json!({ "metrics": { "metric": ["true"] } });
    assert_eq!(left(Signal::Traces, &other), "abcd");
}

#[test]
fn conditions_on_traces_overrule_older_blocks_with_one_warning() {
    let block = |name: &str| json!({ "match_type": "strict", "span_names": [name] });
    let cases = [
        (json!({ "include": block("a") }), "a", "spans.include is ignored"),
        (json!({ "exclude": block("b") }), "acd", "spans.exclude is ignored"),
        (json!({ "include": block("a"), "exclude": block("b") }), "a", "spans.include and spans.exclude are ignored"),
    ];
    for (blocks, alone, warning) in cases {
        assert_eq!(left(Signal::Traces, &json!({ "spans": blocks })), alone);
        logged();
        let config = json!({ "trace_conditions": [r#"span.name == "d""#], "spans": blocks });
        assert_eq!(left(Signal::Traces, &config), "abc", "{config}");
        assert_eq!(logged(), [format!("{warning}, since trace_conditions is set")]);
        for other in [Signal::Metrics, Signal::Logs] {
            left(other, &config);
            assert_eq!(logged(), Vec::<String>::new(), "{other:?} have nothing to ignore");
        }
    }
}

#[test]
fn follows_the_error_mode_when_a_condition_fails() {
    let failing = r#"HasPrefix(attributes["http.route"], "/he")"#;
    let config = |mode: &str, conditions: &[&str]| json!({ "error_mode": mode, "traces": { "span": conditions } });
    logged();
    assert_eq!(left(Signal::Traces, &config("ignore", &[failing, r#"name == "b""#])), "c");
    let lines = logged();
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert!(
        lines[0].contains(failing) && lines[0].contains("1 row") && lines[0].contains("expected a string but got none"),
        "{lines:?}"
    );
    assert_eq!(left(Signal::Traces, &config("silent", &[failing])), "bc");
    assert_eq!(logged(), Vec::<String>::new());

    let refuse = |conditions: &[&str]| {
        Harness::<Filter>::new(config("propagate", conditions), Signal::Traces).unwrap().process(&spans())
    };
    assert!(matches!(refuse(&[failing]), Err(Failure::Refused(message)) if message.contains(failing)));
    // A row that an earlier condition drops is not asked, nor is what `and` leaves out.
    assert!(refuse(&[r#"name == "c""#, failing]).is_ok());
    assert!(refuse(&[&format!(r#"attributes["http.route"] != nil and {failing}"#)]).is_ok());
    assert!(refuse(&[&format!("name == \"c\" or {failing}")]).is_ok());
}

#[test]
fn constants_settle_a_condition_before_any_part_of_it_fails() {
    let failing = r#"HasPrefix(attributes["unheard"], "/he")"#;
    logged();
    for (condition, expected) in [
        (format!("{failing} and false"), "abcd"),
        (format!("{failing} or true"), ""),
        (format!("not ({failing} or true)"), "abcd"),
        (format!("(({failing} and 1 == 2) or not false) and name == \"a\""), "bcd"),
        ("true and (false or name == \"a\")".to_owned(), "bcd"),
        ("true and true".to_owned(), ""),
    ] {
        let config = json!({ "error_mode": "propagate", "traces": { "span": [condition] } });
        assert_eq!(left(Signal::Traces, &config), expected, "{condition}");
    }
    assert_eq!(logged(), Vec::<String>::new());
}

#[test]
fn says_why_a_condition_failed_for_a_row_that_there_is() {
    for (condition, expected) in [
        (r#"Substring(attributes["http.status_code"], 0, 1) == "2""#, "3 rows: expected a string but got an integer"),
        (
            r#"Substring(attributes["http.route"], 0, 6) == "/healt""#,
            "2 rows: Substring from 0 of length 6 is outside 5 bytes",
        ),
        (r#"HasPrefix(attributes["unheard"], "2")"#, "4 rows: expected a string but got none"),
        (
            r#"Duration(attributes["http.route"]) > Duration("1s")"#,
            "4 rows: bad duration \"/health\"; write it as 1h30m, 10s or 250ms",
        ),
        (
            r#"attributes["http.route"] != nil and Duration(attributes["http.route"]) > Duration("1s")"#,
            "3 rows: bad duration \"/health\"; write it as 1h30m, 10s or 250ms",
        ),
    ] {
        logged();
        left(Signal::Traces, &json!({ "traces": { "span": [condition] } }));
        let lines = logged();
        assert!(lines.len() == 1 && lines[0].ends_with(expected), "{lines:?}");
    }
}

#[test]
fn a_group_has_an_error_mode_of_its_own() {
    let group = json!({ "trace_conditions": [
        { "context": "span", "conditions": ["HasPrefix(attributes[\"http.route\"], \"/\")"], "error_mode": "propagate" },
    ] });
    let mut harness = Harness::<Filter>::new(group, Signal::Traces).unwrap();
    assert!(matches!(harness.process(&spans()), Err(Failure::Refused(_))));
}
