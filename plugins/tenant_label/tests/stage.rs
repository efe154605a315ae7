//! The stage on whole requests: who gets which rows, and where the label stands.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value::Value};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::metrics::v1::{
    Gauge, Metric, NumberDataPoint, ResourceMetrics, ScopeMetrics, metric::Data,
};
use opentelemetry_proto::tonic::resource::v1::Resource;
use prost::Message;
use serde_json::json;
use sluice_sdk::testing::{self, Harness, Processed};
use sluice_sdk::{Failure, OnError, Signal, Stage};
use tenant_label::TenantLabel;

/// A resource's attributes, and the attributes of each of its log records, as JSON.
type Resources = Vec<(serde_json::Value, Vec<serde_json::Value>)>;

fn attributes(object: &serde_json::Value) -> Vec<KeyValue> {
    let value = |value: &serde_json::Value| match value {
        serde_json::Value::String(text) => Value::StringValue(text.clone()),
        serde_json::Value::Bool(boolean) => Value::BoolValue(*boolean),
        number => Value::IntValue(number.as_i64().unwrap()),
    };
    let pair = |(key, held): (&String, &serde_json::Value)| KeyValue {
        key: key.clone(),
        value: Some(AnyValue { value: Some(value(held)) }),
        ..Default::default()
    };
    object.as_object().unwrap().iter().map(pair).collect()
}

fn resource(object: &serde_json::Value) -> Option<Resource> {
    Some(Resource { attributes: attributes(object), ..Default::default() })
}

fn request(resources: &Resources) -> Vec<u8> {
    let record = |held: &serde_json::Value| LogRecord { attributes: attributes(held), ..Default::default() };
    let of = |(held, records): &(serde_json::Value, Vec<serde_json::Value>)| ResourceLogs {
        resource: resource(held),
        scope_logs: vec![ScopeLogs { log_records: records.iter().map(record).collect(), ..Default::default() }],
        ..Default::default()
    };
    ExportLogsServiceRequest { resource_logs: resources.iter().map(of).collect() }.encode_to_vec()
}

/// Attributes in a line, for example `id=1 tenant.id=a`.
fn shown(attributes: &[KeyValue]) -> String {
    let value = |attribute: &KeyValue| match attribute.value.as_ref().and_then(|value| value.value.as_ref()) {
        Some(Value::StringValue(text)) => text.clone(),
        Some(Value::IntValue(number)) => number.to_string(),
        other => format!("{other:?}"),
    };
    let mut pairs: Vec<String> = attributes.iter().map(|a| format!("{}={}", a.key, value(a))).collect();
    pairs.sort();
    pairs.join(" ")
}

/// Resources and records in a line each.
fn lines(bytes: &[u8]) -> Vec<String> {
    let request = ExportLogsServiceRequest::decode(bytes).unwrap();
    let mut lines = Vec::new();
    for logs in request.resource_logs {
        lines.push(format!("[{}]", shown(&logs.resource.unwrap_or_default().attributes)));
        lines.extend(
            logs.scope_logs.iter().flat_map(|scope| &scope.log_records).map(|record| shown(&record.attributes)),
        );
    }
    lines
}

fn process(config: serde_json::Value, resources: &Resources, headers: &[(&str, &str)]) -> Result<Processed, Failure> {
    testing::reset();
    let mut stage = Harness::<TenantLabel>::new(config, Signal::Logs).unwrap();
    for (name, value) in headers {
        stage = stage.with_header(name, value);
    }
    stage.process(&request(resources))
}

/// The lines of each tenant.
fn partitions(processed: &Processed) -> BTreeMap<&str, Vec<String>> {
    processed.partitions.iter().map(|(tenant, bytes)| (tenant.as_str(), lines(bytes))).collect()
}

fn owned(expected: &[(&'static str, &[&str])]) -> BTreeMap<&'static str, Vec<String>> {
    expected.iter().map(|(tenant, lines)| (*tenant, lines.iter().map(|line| (*line).to_owned()).collect())).collect()
}

#[test]
fn labels_resources_and_splits_by_them() {
    let resources = vec![
        (json!({"tenant": "a"}), vec![json!({"id": 1}), json!({"id": 2})]),
        (json!({"tenant": "b"}), vec![json!({"id": 3})]),
        (json!({"tenant": "a", "tenant.id": "forged"}), vec![json!({"id": 4})]),
        (json!({"x": 1}), vec![json!({"id": 5})]),
        (json!({"tenant": 42}), vec![json!({"id": 6})]),
        (json!({"tenant": ""}), vec![json!({"id": 7})]),
        (json!({"tenant": true}), vec![json!({"id": 8})]),
        (json!({"tenant": "nobody"}), vec![]),
    ];
    let processed = process(json!({"sources": [{"from": "resource", "key": "tenant"}]}), &resources, &[]).unwrap();
    let expected = owned(&[
        ("42", &["[tenant.id=42 tenant=42]", "id=6"]),
        ("a", &["[tenant.id=a tenant=a]", "id=1", "id=2", "[tenant.id=a tenant=a]", "id=4"]),
        ("b", &["[tenant.id=b tenant=b]", "id=3"]),
        (
            "default",
            &[
                "[tenant.id=default x=1]",
                "id=5",
                "[tenant.id=default tenant=]",
                "id=7",
                "[tenant.id=default tenant=Some(BoolValue(true))]",
                "id=8",
            ],
        ),
    ]);
    assert_eq!(partitions(&processed), expected);
    assert_eq!(testing::counter("unknown_tenant_rows"), 3);
}

/// Else its attributes would come to whomever the label names, or to the only tenant that has records.
#[test]
fn a_resource_without_records_is_nobodys() {
    let resources = vec![
        (json!({"tenant": "a"}), vec![json!({"id": 1})]),
        (json!({"tenant": "a", "tenant.id": "b", "note": "x"}), vec![]),
        (json!({"note": "y"}), vec![]),
    ];
    let config = |partition: bool| json!({"sources": [{"from": "resource", "key": "tenant"}], "partition": partition});
    let processed = process(config(true), &resources, &[]).unwrap();
    assert_eq!(partitions(&processed), owned(&[("a", &["[tenant.id=a tenant=a]", "id=1"])]));
    let labelled = process(config(false), &resources, &[]).unwrap();
    let expected = ["[tenant.id=a tenant=a]", "id=1", "[note=x tenant=a]", "[note=y]"];
    assert_eq!(lines(&labelled.bytes), expected);
}

#[test]
fn asks_the_sources_in_order() {
    let resources = vec![(json!({"r": "res"}), vec![json!({"id": 1})]), (json!({}), vec![json!({"id": 2})])];
    let header = json!({"from": "header", "key": "X-Tenant"});
    let resource = json!({"from": "resource", "key": "r"});
    let constant = json!({"from": "constant", "value": "const"});
    for (sources, headers, expected) in [
        (json!([header, resource]), vec![("x-tenant", "head")], vec!["head"]),
        (json!([header, resource]), vec![("x-tenant", "")], vec!["res", "default"]),
        (json!([resource, header]), vec![("x-tenant", "head")], vec!["res", "head"]),
        (json!([resource, header, constant]), vec![], vec!["res", "const"]),
        (json!([constant]), vec![], vec!["const"]),
        // A value that can't be a name decides, too.
        (json!([header, resource]), vec![("x-tenant", "a/b")], vec!["default"]),
    ] {
        let processed = process(json!({ "sources": sources }), &resources, &headers).unwrap();
        let found: Vec<&str> = processed.partitions.iter().map(|(tenant, _)| tenant.as_str()).collect();
        assert_eq!(found, expected, "{sources} {headers:?}");
    }
}

#[test]
fn labels_the_rows_of_a_resource_with_several_tenants() {
    let resources = vec![
        (json!({"tenant.id": "forged"}), vec![json!({"t": "a"}), json!({"t": "b"}), json!({"t": "a"}), json!({})]),
        (json!({"r": "c"}), vec![json!({"t": "a"}), json!({"t": "a"})]),
        (json!({"r": "c"}), vec![json!({}), json!({})]),
    ];
    let sources = json!([{"from": "record", "key": "t"}, {"from": "resource", "key": "r"}]);
    let processed = process(json!({ "sources": sources }), &resources, &[]).unwrap();
    let expected = owned(&[
        ("a", &["[]", "t=a tenant.id=a", "t=a tenant.id=a", "[r=c tenant.id=a]", "t=a", "t=a"]),
        ("b", &["[]", "t=b tenant.id=b"]),
        ("c", &["[r=c tenant.id=c]", "", ""]),
        ("default", &["[]", "tenant.id=default"]),
    ]);
    assert_eq!(partitions(&processed), expected);
    // Where the resource comes first, its rows are not looked at.
    let sources = json!([{"from": "resource", "key": "r"}, {"from": "record", "key": "t"}]);
    let processed = process(json!({ "sources": sources }), &resources[1..].to_vec(), &[]).unwrap();
    let expected = owned(&[("c", &["[r=c tenant.id=c]", "t=a", "t=a", "[r=c tenant.id=c]", "", ""])]);
    assert_eq!(partitions(&processed), expected);
}

#[test]
fn maps_values_by_table_then_by_rules() {
    let config = json!({
        "sources": [{"from": "resource", "key": "t"}],
        "mapping": {"old": "new", "team-x": "x-by-table"},
        "rules": [
            {"regex": "team-(.+)", "tenant": "t-$1"},
            {"regex": "[0-9]{3}", "tenant": "aws-$0"},
            {"regex": "team-.*|x", "tenant": "never-for-teams"},
            {"regex": "bad", "tenant": "$0/"},
        ],
    });
    for (value, unmapped, expected) in [
        ("old", "keep", "new"),
        ("team-x", "keep", "x-by-table"),
        ("team-y", "keep", "t-y"),
        ("team-", "keep", "never-for-teams"),
        ("my-team-y", "keep", "my-team-y"),
        ("my-team-y", "unknown", "default"),
        ("123", "unknown", "aws-123"),
        ("1234", "unknown", "default"),
        ("bad", "keep", "default"),
    ] {
        let mut config = config.clone();
        config["unmapped"] = json!(unmapped);
        let resources = vec![(json!({"t": value}), vec![json!({})]), (json!({"t": value}), vec![json!({})])];
        let processed = process(config, &resources, &[]).unwrap();
        let found: Vec<&str> = processed.partitions.iter().map(|(tenant, _)| tenant.as_str()).collect();
        assert_eq!(found, [expected], "{value} {unmapped}");
    }
}

#[test]
fn remembers_what_the_rules_said_and_forgets_it_in_time() {
    let config = json!({
        "sources": [{"from": "record", "key": "t"}],
        "rules": [{"regex": "a.*", "tenant": "a"}, {"regex": "b.*", "tenant": "b"}],
        "unmapped": "unknown",
    });
    let mut stage = Harness::<TenantLabel>::new(config, Signal::Logs).unwrap();
    for round in 0..7 {
        let records = (0..1000).map(|i| json!({"t": format!("{}{round}-{i}", ["a", "b", "c"][i % 3])})).collect();
        let processed = stage.process(&request(&vec![(json!({}), records)])).unwrap();
        let sizes: Vec<(String, usize)> =
            processed.partitions.iter().map(|(tenant, bytes)| (tenant.clone(), lines(bytes).len() - 1)).collect();
        assert_eq!(sizes, [("a".into(), 334), ("b".into(), 333), ("default".into(), 333)], "{round}");
    }
}

#[test]
fn refuses_batches_as_it_was_told() {
    let unknown = vec![(json!({"t": "a"}), vec![json!({})]), (json!({}), vec![json!({})])];
    let invalid = vec![(json!({"t": "a/b"}), vec![json!({})])];
    let empty = vec![(json!({}), vec![])];
    let long = vec![(json!({"t": "x".repeat(1025)}), vec![json!({})])];
    let source = json!([{"from": "resource", "key": "t"}, {"from": "header", "key": "h"}]);
    let refused = |message: &str| Some(Failure::refused(message));
    for (config, resources, expected) in [
        (
            json!({"sources": source, "on_unknown": "refuse"}),
            &unknown,
            refused("no known tenant in resource attribute \"t\" or header \"h\""),
        ),
        (
            json!({"sources": source, "on_unknown": "refuse"}),
            &invalid,
            refused("no known tenant in resource attribute \"t\" or header \"h\""),
        ),
        (
            json!({"sources": source, "on_invalid": "refuse"}),
            &invalid,
            refused("the name found in resource attribute \"t\" or header \"h\" can't be a tenant's"),
        ),
        (
            json!({"sources": source, "on_invalid": "refuse"}),
            &long,
            refused("the name found in resource attribute \"t\" or header \"h\" can't be a tenant's"),
        ),
        (json!({"sources": source, "on_unknown": "refuse"}), &empty, None),
        (json!({"sources": source, "on_invalid": "replace"}), &long, None),
        (json!({"sources": source}), &unknown, None),
    ] {
        assert_eq!(process(config.clone(), resources, &[]).err(), expected, "{config}");
    }
}

#[test]
fn a_header_that_is_no_text_hides_the_next_source() {
    let resources = vec![(json!({"t": "a"}), vec![json!({})])];
    let config = json!({"sources": [{"from": "header", "key": "h"}, {"from": "resource", "key": "t"}]});
    // As the host passes a header of bytes that are no UTF-8.
    let processed = process(config, &resources, &[("h", "\u{fffd}")]).unwrap();
    assert_eq!(partitions(&processed), owned(&[("default", &["[t=a tenant.id=default]", ""])]));
}

#[test]
fn rejects_what_it_could_not_label() {
    assert_eq!(TenantLabel::DESCRIPTOR.on_error, OnError::Reject);
}

#[test]
fn repairs_names_where_it_was_told() {
    let resources = vec![(json!({"t": "../a b"}), vec![json!({})])];
    let config = json!({"sources": [{"from": "resource", "key": "t"}], "on_invalid": "replace", "max_length": 7});
    let processed = process(config, &resources, &[]).unwrap();
    assert_eq!(partitions(&processed), owned(&[("_._a_b", &["[t=../a b tenant.id=_._a_b]", ""])]));
}

#[test]
fn limits_the_tenants_of_a_batch() {
    let resources = |count: usize| (0..count).map(|i| (json!({"t": format!("t{i}")}), vec![json!({})])).collect();
    let config = json!({"sources": [{"from": "resource", "key": "t"}], "max_tenants_per_batch": 3});
    assert_eq!(process(config.clone(), &resources(3), &[]).unwrap().partitions.len(), 3);
    let message = "the batch has more than 3 tenants (max_tenants_per_batch)";
    assert_eq!(process(config, &resources(4), &[]).err(), Some(Failure::refused(message)));
    let most = json!({"sources": [{"from": "resource", "key": "t"}], "max_tenants_per_batch": 10_000});
    assert_eq!(process(most.clone(), &resources(10_000), &[]).unwrap().partitions.len(), 10_000);
    assert!(process(most, &resources(10_001), &[]).is_err());
    // Values that an earlier source hides do not count.
    let hidden = json!({
        "sources": [{"from": "header", "key": "h"}, {"from": "resource", "key": "t"}],
        "max_tenants_per_batch": 1,
    });
    let processed = process(hidden, &resources(4), &[("h", "one")]).unwrap();
    assert_eq!(processed.partitions.iter().map(|(tenant, _)| tenant.as_str()).collect::<Vec<_>>(), ["one"]);
}

#[test]
fn a_label_stands_there_once_whatever_the_sender_wrote() {
    let resources = vec![(json!({"t": "a"}), vec![json!({})])];
    let mut request = ExportLogsServiceRequest::decode(&*request(&resources)).unwrap();
    let resource = request.resource_logs[0].resource.as_mut().unwrap();
    for label in ["a", "forged"] {
        resource.attributes.extend(attributes(&json!({ "tenant.id": label })));
    }
    let config = json!({"sources": [{"from": "resource", "key": "t"}], "partition": false});
    let mut harness = Harness::<TenantLabel>::new(config, Signal::Logs).unwrap();
    let processed = harness.process(&request.encode_to_vec()).unwrap();
    assert_eq!(lines(&processed.bytes), ["[t=a tenant.id=a]", ""]);
}

#[test]
fn does_only_what_it_is_asked_for() {
    let resources = vec![(json!({"t": "a"}), vec![json!({})]), (json!({"t": "b"}), vec![json!({})])];
    let sources = json!([{"from": "resource", "key": "t"}]);
    let unlabelled = process(json!({"sources": sources, "label": ""}), &resources, &[]).unwrap();
    assert_eq!(partitions(&unlabelled), owned(&[("a", &["[t=a]", ""]), ("b", &["[t=b]", ""])]));
    let whole = process(json!({"sources": sources, "label": "l", "partition": false}), &resources, &[]).unwrap();
    assert_eq!(
        (whole.partitions.len(), lines(&whole.bytes)),
        (0, vec!["[l=a t=a]".into(), "".into(), "[l=b t=b]".into(), "".into()])
    );
}

#[test]
fn splits_the_points_of_a_metric() {
    let point = |tenant: &str| NumberDataPoint { attributes: attributes(&json!({"t": tenant})), ..Default::default() };
    let gauge = Gauge { data_points: vec![point("a"), point("b"), point("a")] };
    let metric = Metric { name: "m".into(), unit: "1".into(), data: Some(Data::Gauge(gauge)), ..Default::default() };
    let scope_metrics = vec![ScopeMetrics { metrics: vec![metric], ..Default::default() }];
    let resource = resource(&json!({"host": "h"}));
    let request = ExportMetricsServiceRequest {
        resource_metrics: vec![ResourceMetrics { resource, scope_metrics, ..Default::default() }],
    };
    let config = json!({"sources": [{"from": "record", "key": "t"}]});
    let mut stage = Harness::<TenantLabel>::new(config, Signal::Metrics).unwrap();
    let processed = stage.process(&request.encode_to_vec()).unwrap();
    let found: Vec<(String, String, Vec<String>)> = processed
        .partitions
        .iter()
        .map(|(tenant, bytes)| {
            let request = ExportMetricsServiceRequest::decode(&**bytes).unwrap();
            let metric = &request.resource_metrics[0].scope_metrics[0].metrics[0];
            let Some(Data::Gauge(gauge)) = &metric.data else { panic!("a gauge") };
            let points = gauge.data_points.iter().map(|point| shown(&point.attributes)).collect();
            (tenant.clone(), metric.name.clone(), points)
        })
        .collect();
    let expected = [
        ("a".to_owned(), "m".to_owned(), vec!["t=a tenant.id=a".to_owned(), "t=a tenant.id=a".to_owned()]),
        ("b".to_owned(), "m".to_owned(), vec!["t=b tenant.id=b".to_owned()]),
    ];
    assert_eq!(found, expected);
}

#[test]
fn tells_a_bad_pattern_from_a_bad_name() {
    for (config, expected) in [
        (
            json!({"sources": [{"from": "resource", "key": "t"}], "rules": [{"regex": "a(", "tenant": "b"}]}),
            "rules[0].regex: ",
        ),
        (
            json!({"sources": [{"from": "resource", "key": "t"}], "rules": [{"regex": "a", "tenant": "b c"}]}),
            "rules[0].tenant: ",
        ),
        (json!({}), "sources: at least one source is needed"),
    ] {
        let error = Harness::<TenantLabel>::new(&config, Signal::Logs).unwrap_err().to_string();
        assert!(error.starts_with(expected), "{config}: {error}");
    }
}
