//! Names by the tables of the Collector and of Prometheus.

use serde_json::Value;

use super::*;

fn cases(file: &str) -> Value {
    serde_json::from_str(file).expect("valid JSON")
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().unwrap_or_default()
}

#[test]
fn names_metrics_as_the_collector_does() {
    let all = cases(include_str!("../../../../tests/data/metric_name_cases.json"));
    for case in all.as_array().expect("a list") {
        let input = &case["input"];
        let kind = match text(input, "type") {
            "gauge" => Kind::Gauge,
            "monotonic_sum" => Kind::MonotonicSum,
            _ => Kind::Other,
        };
        let suffixes = input["add_metric_suffixes"].as_bool().unwrap_or(true);
        let naming = if suffixes { Naming::WithSuffixes } else { Naming::WithoutSuffixes };
        let name = metric_name(naming, text(input, "namespace"), text(input, "name"), text(input, "unit"), kind);
        assert_eq!(name.unwrap_or_default(), text(case, "want"), "{input}");
    }
}

#[test]
fn names_labels_as_the_collector_does() {
    let all = cases(include_str!("../../../../tests/data/label_cases.json"));
    for case in all["otlptranslator_v1_0_0_collapsing"].as_array().expect("a list") {
        let name = label_name(Naming::WithSuffixes, text(case, "label"));
        match case["error"].as_bool() {
            Some(true) => assert_eq!(name, None, "{case}"),
            _ => assert_eq!(name.as_deref(), case["want"].as_str(), "{case}"),
        }
    }
}

#[test]
fn names_ecs_metrics_as_each_generation_did() {
    let all = cases(include_str!("../../../../tests/data/ecs_metric_name_generations_derived.json"));
    for case in all.as_array().expect("a list") {
        let (name, unit) = (text(case, "otlp"), text(case, "unit_v0156"));
        let is = |naming, key: &str| {
            let named = metric_name(naming, "tenant_name", name, unit, Kind::Other);
            assert_eq!(named.as_deref(), case[key].as_str(), "{name} {key}");
        };
        is(Naming::Adot2021, "legacy_2021");
        is(Naming::WithSuffixes, "adot_v049_with_suffixes");
    }
}

#[test]
fn names_odd_units_and_labels_as_the_collector_does() {
    let name = |unit| metric_name(Naming::WithSuffixes, "", "m", unit, Kind::Other).expect("a name");
    assert_eq!(
        ["mm[Hg]", "a:b", "mm[Hg]/s", "By/[x]"].map(name),
        ["m_mm_Hg_", "m_a:b", "m_mm_Hg_per_second", "m_bytes_per_x"]
    );
    assert_eq!(
        ["ms", "%", "1/s", "1", "By/s"].map(unit_name),
        ["milliseconds", "percent", "per_second", "", "bytes_per_second"]
    );
    for key in ["地域", "...", "_", "__", "___"] {
        assert_eq!(label_name(Naming::WithSuffixes, key).as_deref(), Some("key_"), "{key}");
    }
    assert_eq!(target_info_label_name("_id").as_deref(), Some("_id"));
    assert_eq!(target_info_label_name("1k").as_deref(), Some("key_1k"));
}

#[test]
fn underscores_alone_are_no_name_unless_the_metric_had_it() {
    assert_eq!(metric_name(Naming::WithSuffixes, "", "...", "", Kind::Other), None);
    for (namespace, name, expected) in
        [("", "...", None), ("", "", None), ("", "_", Some("_")), ("", "__", Some("__")), ("_", "_", None)]
    {
        let named = metric_name(Naming::WithoutSuffixes, namespace, name, "", Kind::Other);
        assert_eq!(named.as_deref(), expected, "{namespace:?} {name:?}");
    }
    assert_eq!(label_name(Naming::WithSuffixes, ""), None);
    assert_eq!(target_info_label_name("a..b").as_deref(), Some("a__b"));
    assert_eq!(label_name(Naming::WithSuffixes, "a..b").as_deref(), Some("a_b"));
    assert_eq!(label_name(Naming::Adot2021, "_a.b").as_deref(), Some("key_a_b"));
}
