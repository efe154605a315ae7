//! What a configuration can have wrong, and what the stage says about it.

use filter::Filter;
use serde_json::json;
use sluice_sdk::Signal;
use sluice_sdk::testing::Harness;

fn errors(config: &serde_json::Value) -> Vec<String> {
    let errors = Harness::<Filter>::new(config, Signal::Traces).map(|_| ()).expect_err("a mistake");
    errors.iter().map(|error| format!("{}: {}", error.path, error.message)).collect()
}

#[test]
fn names_the_condition_and_the_column() {
    let span = |condition: &str| json!({ "traces": { "span": ["true", condition] } });
    let cases = [
        ("nmae == \"a\"", "column 1: unknown path `nmae` for spans, did you mean `name`?"),
        ("span.nmae == \"a\"", "column 6: unknown path `span.nmae` for spans, did you mean `name`?"),
        (
            "name == \"a\" and atributes[\"k\"] == 1",
            "column 17: unknown path `atributes` for spans, did you mean `attributes`?",
        ),
        ("resorce.attributes[\"k\"] == 1", "column 1: unknown path `resorce.attributes` for spans"),
        ("resource.name == \"a\"", "column 10: unknown path `resource.name` for resources"),
        ("metric.name == \"a\"", "column 1: unknown path `metric.name` for spans"),
        ("resource == nil", "column 1: `resource` needs a field behind it"),
        ("attributes == nil", "column 1: `attributes` needs a key, as in `attributes[\"key\"]`"),
        ("attributes[0] == nil", "column 1: the first key of `attributes` must be a string"),
        ("name[\"a\"] == nil", "column 1: `name` can't be indexed"),
        ("status == nil", "column 1: `status` is not supported: compare `status.code` or `status.message`"),
        ("Len(events) > 1", "column 5: `events` is not supported: the list of span events is not available"),
        ("otelcol.client.metadata[\"a\"] == nil", "column 1: `otelcol` is not available"),
        ("IsMacth(name, \"a\")", "column 1: unknown function IsMacth, did you mean `IsMatch`?"),
        ("SHA256(name) == \"a\"", "column 1: the function SHA256 is not supported"),
        ("HasAttrKeyOnDatapoint(\"a\")", "column 1: the function HasAttrKeyOnDatapoint works on metrics, not on spans"),
        ("IsMatch(name)", "column 1: IsMatch lacks its argument `pattern`; it takes (target, pattern)"),
        ("IsMatch(name, \"a\", \"b\")", "column 20: too many arguments for IsMatch"),
        ("IsMatch(name, patern=\"a\")", "column 22: IsMatch has no parameter `patern`, did you mean `pattern`?"),
        ("IsMatch(target=name, \"a\")", "column 22: an argument without a name can't follow one with a name"),
        ("IsMatch(name, target=\"a\")", "column 22: IsMatch has two values for `target`"),
        (
            "IsMatch(name, attributes[\"p\"])",
            "column 15: IsMatch wants a string, since it can't differ from row to row here",
        ),
        ("IsMatch(name, \"(\")", "column 15: bad pattern"),
        ("HasPrefix(name, 5)", "column 17: HasPrefix wants a string here"),
        ("Concat(name, \"-\") == \"a\"", "column 8: Concat wants a list in brackets here"),
        ("Len(name)", "column 1: Len does not give true or false; compare it with something"),
        (
            "ConvertCase(name, \"snake\") == \"a\"",
            "column 19: ConvertCase supports \"lower\" and \"upper\", not \"snake\"",
        ),
        (
            "IsInCIDR(name, [\"10.0.0.0/8\", \"10.0.0.1\"])",
            "column 31: \"10.0.0.1\" is no network; write it as 10.0.0.0/8",
        ),
        ("IsInCIDR(name, [\"::1/129\"])", "column 17: \"::1/129\" is no network; write it as 10.0.0.0/8"),
        (
            "kind == SPAN_KIND_SERVR",
            "column 9: unknown symbol SPAN_KIND_SERVR for spans, did you mean `SPAN_KIND_SERVER`?",
        ),
        ("resource.attributes[\"a\"] ==", "column 28: expected a value, found the end"),
    ];
    for (condition, message) in cases {
        let found = errors(&span(condition));
        assert_eq!(found.len(), 1, "{condition}: {found:?}");
        assert!(found[0].starts_with(&format!("traces.span[1]: {message}")), "{condition}: {found:?}");
        assert!(found[0].ends_with(&format!("(condition `{condition}`)")), "{condition}: {found:?}");
    }
}

#[test]
fn names_the_line_of_a_condition_that_has_several() {
    let cases = [
        // As a block in YAML ends.
        ("nmae == \"a\"\n", "column 1: unknown path `nmae`"),
        ("name ==\n", "column 9: expected a value, found the end"),
        ("nmae == \"a\"\n  and kind == 1\n", "line 1, column 1: unknown path `nmae`"),
        ("name == \"\u{e9}\"\n\n  and knd == 1", "line 3, column 7: unknown path `knd`"),
        ("name == \"a\"\nor\n", "line 3, column 1: expected a value, found the end"),
    ];
    for (condition, message) in cases {
        let found = errors(&json!({ "traces": { "span": [condition] } }));
        assert_eq!(found.len(), 1, "{condition}: {found:?}");
        assert!(found[0].starts_with(&format!("traces.span[0]: {message}")), "{condition}: {found:?}");
    }
}

#[test]
fn says_where_a_block_is_wrong() {
    let both = "can't be used together with";
    let cases = [
        (json!({ "traces": { "spanevent": ["true"] } }), "traces.spanevent", "single span events can't be dropped"),
        (json!({ "trace_conditions": ["spanevent.name == \"a\""] }), "trace_conditions[0]", "single span events"),
        (json!({ "trace_conditions": ["name == \"a\""] }), "trace_conditions[0]", "write `span.name` or"),
        (json!({ "trace_conditions": ["true"] }), "trace_conditions[0]", "no path tells"),
        (
            json!({ "trace_conditions": ["span.name == \"a\" and kind == 1"] }),
            "trace_conditions[0]",
            "write `span.kind`",
        ),
        (
            json!({ "trace_conditions": ["span.name == \"a\"", "span.kind"] }),
            "trace_conditions[1]",
            "column 1: this value",
        ),
        (
            json!({ "trace_conditions": ["span.name == \"a\"", { "conditions": ["true"] }] }),
            "trace_conditions",
            "can't be mixed",
        ),
        (json!({ "trace_conditions": [{ "context": "span" }] }), "trace_conditions[0].conditions", "no conditions"),
        (
            json!({ "trace_conditions": [{ "context": "spn", "conditions": ["true"] }] }),
            "trace_conditions[0].context",
            "unknown context spn, did you mean `span`? It is one of span, scope, resource",
        ),
        (
            json!({ "log_conditions": [{ "context": "log", "conditions": ["true", "bdy == nil"] }] }),
            "log_conditions[0].conditions[1]",
            "column 1: unknown path `bdy` for log records, did you mean `body`?",
        ),
        (json!({ "traces": { "span": ["true"] }, "spans": { "include": {} } }), "spans.include", both),
        (json!({ "trace_conditions": ["span.name == \"\""], "traces": { "span": [] } }), "traces.span", both),
        (json!({ "metric_conditions": ["metric.name == \"\""], "metrics": { "metric": [] } }), "metrics.metric", both),
        (
            json!({ "metric_conditions": ["metric.name == \"\""], "metrics": { "include": {} } }),
            "metrics.include",
            both,
        ),
        (json!({ "log_conditions": ["log.body == nil"], "logs": { "log_record": [] } }), "logs.log_record", both),
        (json!({ "log_conditions": ["log.body == nil"], "logs": { "exclude": {} } }), "logs.exclude", both),
        (json!({ "metrics": { "metric": [], "exclude": {} } }), "metrics.exclude", both),
        (json!({ "logs": { "log_record": ["true"], "include": {} } }), "logs.include", both),
        (json!({ "spans": { "include": { "match_type": "strict" } } }), "spans.include", "at least one of"),
        (json!({ "spans": { "include": { "services": ["a"] } } }), "spans.include.match_type", "strict or regexp"),
        (
            json!({ "spans": { "exclude": { "match_type": "strict", "span_kinds": ["SERVER"] } } }),
            "spans.exclude.span_kinds[0]",
            "unknown span kind SERVER",
        ),
        (
            json!({ "spans": { "exclude": { "match_type": "regexp", "span_names": ["a", "("] } } }),
            "spans.exclude.span_names[1]",
            "bad pattern",
        ),
        (
            json!({ "spans": { "exclude": { "match_type": "regexp", "attributes": [{ "key": "a", "value": 1 }] } } }),
            "spans.exclude.attributes[0]",
            "must be a string, not 1",
        ),
        (
            json!({ "spans": { "exclude": { "match_type": "strict", "resources": [{ "value": 1 }] } } }),
            "spans.exclude.resources[0]",
            "the key is empty",
        ),
        (
            json!({ "metrics": { "include": { "match_type": "expr", "expressions": ["true"] } } }),
            "metrics.include",
            "write a condition under `metrics.datapoint`",
        ),
        (
            json!({ "logs": { "include": { "severity_number": { "min": "LOUD" } } } }),
            "logs.include.severity_number.min",
            "unknown severity LOUD",
        ),
        (
            json!({ "trace_conditions": [{ "context": "foo", "conditions": ["true"] }] }),
            "trace_conditions[0].context",
            "unknown context foo; it is one of span, scope, resource",
        ),
        (
            json!({ "spans": { "include": { "match_type": "foo" } } }),
            "spans.include.match_type",
            "unknown match_type \"foo\"; it is strict or regexp",
        ),
        (json!({ "profile_conditions": ["true"] }), "profile_conditions", "there are no profiles here"),
        (json!({ "profiles": { "resource": ["true"] } }), "profiles", "there are no profiles here"),
        (json!({ "profiles": { "profile": ["true"] } }), "profiles", "there are no profiles here"),
        (json!({ "trace": {} }), "trace", "unknown field"),
        (json!({ "error_mode": "explode" }), "error_mode", "unknown variant"),
    ];
    for (config, path, message) in cases {
        let found = errors(&config);
        assert!(
            found.iter().any(|error| error.starts_with(&format!("{path}: ")) && error.contains(message)),
            "{config}: {found:?}"
        );
    }
}

#[test]
fn names_the_condition_that_goes_beyond_1024_columns() {
    // A pattern wants to see an attribute of any kind, which takes 6 columns; the name of a span takes one.
    let names = [4, 5].map(|names| {
        let attributes = (0..170).map(|i| format!("IsMatch(attributes[\"k{i}\"], \"^5\")"));
        let names = ["name", "kind.string", "status.message", "trace_state", "flags"].iter().take(names);
        let names = names.map(|name| format!("{name} == nil"));
        attributes.chain(names).chain(["name == \"a\"".to_owned()]).collect::<Vec<_>>()
    });
    let conditions = |list: &[String]| json!({ "traces": { "span": list } });
    assert!(Harness::<Filter>::new(conditions(&names[0]), Signal::Traces).is_ok());
    let found = errors(&conditions(&names[1]));
    let message = "everything up to here reads 1025 columns, 1024 are allowed; ask about fewer fields";
    assert_eq!(found, [format!("traces.span[174]: {message}")]);
}

#[test]
fn says_what_to_write_instead_of_expr() {
    assert_eq!(
        errors(&json!({ "spans": { "exclude": { "match_type": "expr", "services": ["a"] } } })),
        ["spans.exclude.match_type: match_type expr is not supported; write a condition instead"]
    );
}

#[test]
fn finds_all_mistakes_of_all_signals_at_once() {
    let config = json!({
        "traces": { "span": ["nam == \"a\"", "true", "kind"] },
        "metrics": { "datapoint": ["valu_int == 1"] },
        "logs": { "include": { "match_type": "strict", "severity_number": { "min": "25" } } },
    });
    let found = errors(&config);
    let paths: Vec<&str> = found.iter().filter_map(|error| error.split(": ").next()).collect();
    assert_eq!(paths, ["traces.span[0]", "traces.span[2]", "metrics.datapoint[0]", "logs.include.severity_number.min"]);
}
