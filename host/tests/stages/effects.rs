//! What a chain does to a batch.

use std::sync::Mutex;

use serde_json::json;
use sluice::model::{Batch, Refusal, Signal};
use sluice::pace::Rest;
use sluice::stage::{Chain, ChainOutcome, FailureKind, OnError, StageLimits, StageSpec};
use sluice_wire::view::{Data, KeyValue, LogsView, MetricsView, Value};
use sluice_wire::{LogsWriter, MetricsWriter};

use super::kit::{act, batch, batch_of, catalog, chain, one, only, spec, texts};

fn tenants(outcome: ChainOutcome) -> Vec<(String, Vec<String>)> {
    let batches = outcome.result.expect("accepted");
    batches.iter().map(|batch| (batch.tenant.to_string(), texts(batch))).collect()
}

#[test]
fn passes_the_same_bytes_on_if_no_stage_changes_anything() {
    let batch = batch(&[&["a", "b"]]);
    let outcome = chain(vec![spec(act("nothing")), spec(act("nothing"))]).run(batch.clone());
    let passed = only(outcome);
    assert_eq!(passed.bytes.as_ptr(), batch.bytes.as_ptr());
    assert_eq!((passed.items, passed.bytes), (2, batch.bytes));
}

#[test]
fn later_stages_see_the_rows_that_are_left() {
    let stages = vec![spec(act("drop_even")), spec(act("drop_even")), spec(act("report_seen"))];
    let outcome = chain(stages).run(batch(&[&["a", "b"], &["c"], &["d", "e", "f", "g", "h"]]));
    let rows: Vec<(u64, u64, u64)> =
        outcome.stages.iter().map(|stage| (stage.rows_in, stage.left_out.filtered, stage.edited)).collect();
    assert_eq!(rows, [(8, 4, 0), (4, 2, 0), (2, 0, 2)]);
    assert_eq!(texts(&only(outcome)), ["0/2 d of the resource", "1/2 h of the resource"]);
}

#[test]
fn later_stages_see_the_edits_of_earlier_ones() {
    let set = json!({ "act": "set", "value": "new" });
    let on_resources = json!({ "act": "set_on_resources", "value": "changed" });
    let cases = [
        (vec![set.clone()], "0/2 new of the resource"),
        (vec![on_resources.clone()], "0/2 a changed"),
        (vec![act("remove")], "0/2 - of the resource"),
        (vec![set, act("set_row_numbers")], "0/2 - of the resource"),
        (vec![on_resources, act("report_seen")], "0/2 0/2 a changed changed"),
    ];
    for (stages, expected) in cases {
        let stages = stages.into_iter().chain([act("report_seen")]).map(spec).collect();
        let outcome = chain(stages).run(batch(&[&["a", "b"]]));
        assert_eq!(texts(&only(outcome))[0], expected);
    }
}

#[test]
fn edits_declared_fields_by_their_entries_of_the_table() {
    let mask = json!({ "act": "mask_pattern", "pattern": "[0-9]+", "value": "#", "writes": "key_and_body" });
    let outcome = chain(vec![spec(mask)]).run(batch(&[&["a1", "2"]]));
    assert_eq!(outcome.stages[0].failures, []);
    let masked = only(outcome);
    assert_eq!(texts(&masked), ["a#", "#"]);
    let logs = LogsView::new(&masked.bytes);
    let records = logs.resource_logs().flat_map(|resource| resource.scope_logs()).flat_map(|scope| scope.log_records());
    let bodies: Vec<String> = records.map(|record| format!("{:?}", record.body())).collect();
    assert_eq!(bodies, [r##"Some(Text("a#"))"##, r##"Some(Text("#"))"##]);
}

#[test]
fn searches_the_table_after_rows_were_dropped_and_edited() {
    let mask = json!({ "act": "mask_pattern", "pattern": "[0-9]+", "value": "#", "writes": "attributes" });
    let set = json!({ "act": "set", "value": "4 of 5" });
    let drop = chain(vec![spec(act("drop_even")), spec(mask.clone())]);
    assert_eq!(texts(&only(drop.run(batch(&[&["1", "a1", "2", "b22c3"]])))), ["a#", "b#c#"]);
    let edit = chain(vec![spec(act("drop_even")), spec(set), spec(mask)]);
    assert_eq!(texts(&only(edit.run(batch(&[&["1", "a1"]])))), ["# of #"]);
}

/// Two data points of one metric; on each level the attribute `k` has a text.
fn points() -> Batch {
    let mut metrics = MetricsWriter::new();
    metrics.resource_metrics(|resource| {
        resource.resource(|resource| resource.attribute("k", |value| value.text("resource")));
        resource.scope_metrics(|scope| {
            scope.scope(|scope| scope.attribute("k", |value| value.text("scope")));
            scope.metric(|metric| {
                metric.metadata("k", |value| value.text("metric"));
                metric.gauge(|gauge| {
                    for text in ["1a23", "ä4"] {
                        gauge.data_point(|point| point.attribute("k", |value| value.text(text)));
                    }
                });
            });
        });
    });
    Batch { signal: Signal::Metrics, ..batch_of(metrics.finish(), 2) }
}

/// The attributes of resources, scopes, metrics and points, level by level.
fn levels(batch: &Batch) -> String {
    let show = |pair: KeyValue<'_>| match pair.value() {
        Value::Text(text) => format!("{}={text}", pair.key()),
        other => format!("{}={other:?}", pair.key()),
    };
    let request = MetricsView::new(&batch.bytes);
    let resources = || request.resource_metrics();
    let scopes = || resources().flat_map(|resource| resource.scope_metrics());
    let metrics = || scopes().flat_map(|scope| scope.metrics());
    let points = metrics().filter_map(|metric| match metric.data() {
        Data::Gauge { points } => Some(points),
        _ => None,
    });
    let levels: [Vec<String>; 4] = [
        resources().flat_map(|resource| resource.resource().attributes()).map(show).collect(),
        scopes().flat_map(|scope| scope.scope().attributes()).map(show).collect(),
        metrics().flat_map(|metric| metric.metadata()).map(show).collect(),
        points.flatten().flat_map(|point| point.attributes()).map(show).collect(),
    ];
    levels.map(|level| level.join(" ")).join(" | ")
}

#[test]
fn edits_of_every_kind_reach_every_level() {
    let cases = [
        (act("nothing"), "k=resource | k=scope | k=metric | k=1a23 k=ä4"),
        (json!({ "act": "rename_everywhere", "value": "n" }), "n=resource | n=scope | n=metric | n=1a23 n=ä4"),
        (
            json!({ "act": "mask_column", "value": "<#>", "pattern": "[0-9]+" }),
            "k=resource | k=scope | k=metric | k=<#>a<#> k=ä<#>",
        ),
        (act("set_doubles"), "k=resource | k=scope | k=metric | k=Double(0.5) k=Double(1.5)"),
        (act("set_booleans"), "k=resource | k=scope | k=metric | k=Boolean(false) k=Boolean(true)"),
        (act("set_bytes"), "k=resource | k=scope | k=metric | k=Bytes([0, 255]) k=Bytes([1, 255])"),
        (
            json!({ "act": "set_on_scopes_and_metrics", "value": "new" }),
            "k=resource | k=new | k=Integer(0) | k=1a23 k=ä4",
        ),
    ];
    let (catalog, _directory) = catalog();
    for (mut config, expected) in cases {
        config["writes"] = json!("attributes");
        let stage = StageSpec { on_error: Some(OnError::Reject), ..spec(config.clone()) };
        let chain = Chain::new(&catalog, Signal::Metrics, vec![stage]).unwrap();
        assert_eq!(levels(&only(chain.run(points()))), expected, "{config}");
    }
}

#[test]
fn drops_whole_batches_row_by_row() {
    let outcome = chain(vec![spec(json!({ "act": "drop_value", "value": "a" })), spec(act("panic"))]);
    let outcome = outcome.run(batch(&[&["a", "a"]]));
    assert_eq!(outcome.stages[0].left_out.filtered, 2);
    assert_eq!((outcome.stages[1].rows_in, outcome.stages[1].failures.len()), (0, 0), "nothing is left to call for");
    assert!(outcome.result.expect("accepted").is_empty());
}

#[test]
fn splits_by_tenant_whatever_later_stages_do() {
    let rows = batch(&[&["x", "y"], &["x", "z", "y"]]);
    let plain = chain(vec![spec(act("partition"))]).run(rows.clone());
    let expected = |parts: &[(&str, &[&str])]| -> Vec<(String, Vec<String>)> {
        let owned = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
        parts.iter().map(|(tenant, texts)| ((*tenant).to_owned(), owned(texts))).collect()
    };
    assert_eq!(tenants(plain), expected(&[("x", &["x", "x"]), ("y", &["y", "y"]), ("z", &["z"])]));

    let dropped = chain(vec![spec(act("drop_even")), spec(act("partition")), spec(act("drop_even"))]);
    assert_eq!(tenants(dropped.run(rows.clone())), expected(&[("z", &["z"])]));

    let edited = chain(vec![
        spec(act("partition")),
        spec(act("drop_even")),
        spec(act("set_row_numbers")),
        spec(act("report_seen")),
    ]);
    let seen = tenants(edited.run(rows.clone()));
    assert_eq!(seen, expected(&[("y", &["0/2 - of the resource"]), ("z", &["1/2 - of the resource"])]));

    let replace = json!({ "act": "replace", "writes": "everything" });
    // What replaces whole requests gets each tenant's on its own.
    let replaced = chain(vec![spec(act("partition")), spec(replace)]).run(rows);
    assert_eq!(replaced.stages[1].left_out.filtered, 2);
    assert_eq!(tenants(replaced), expected(&[("x", &["x"]), ("y", &["y"]), ("z", &["z"])]));
}

#[test]
fn one_tenant_has_all_rows_whatever_later_stages_do() {
    let rows = batch(&[&["x", "y"], &["x", "z", "y"]]);
    let all = json!({ "act": "partition", "value": "acme" });
    let replace = json!({ "act": "replace", "writes": "everything" });
    let cases = [
        (vec![all.clone()], vec!["x", "y", "x", "z", "y"], (5, 0)),
        (vec![all.clone(), act("drop_even")], vec!["y", "z"], (5, 3)),
        (vec![all.clone(), act("drop_even"), act("set_row_numbers"), act("drop_even")], vec!["1"], (5, 3)),
        (vec![all.clone(), replace], vec!["x", "y"], (5, 3)),
        (vec![act("drop_even"), all], vec!["y", "z"], (2, 0)),
    ];
    for (stages, texts, (rows_in, filtered)) in cases {
        let case = format!("{stages:?}");
        let outcome = chain(stages.into_iter().map(spec).collect()).run(rows.clone());
        let report = outcome.stages.get(1).unwrap_or(&outcome.stages[0]);
        assert_eq!((report.rows_in, report.left_out.filtered), (rows_in, filtered), "{case}");
        let texts = texts.into_iter().map(str::to_owned).collect::<Vec<_>>();
        assert_eq!(tenants(outcome), [("acme".to_owned(), texts)], "{case}");
    }
}

#[test]
fn a_replacement_takes_the_place_of_the_whole_request() {
    // It is the first resource of what the stage saw.
    let replace = json!({ "act": "replace", "writes": "everything" });
    let set = json!({ "act": "set", "value": "new" });
    let cases = [
        (vec![replace.clone()], 0, (5, 3), vec!["a", "b"]),
        (vec![replace.clone(), act("report_seen")], 0, (5, 3), vec!["0/2 a of the resource", "1/2 b of the resource"]),
        (vec![set, replace.clone()], 1, (5, 3), vec!["new", "new"]),
        (vec![act("drop_even"), replace.clone(), act("set_row_numbers")], 1, (2, 1), vec!["0"]),
        (vec![replace.clone(), act("drop_even"), replace], 0, (5, 3), vec!["b"]),
    ];
    for (stages, position, rows, expected) in cases {
        let case = format!("{stages:?}");
        let outcome = chain(stages.into_iter().map(spec).collect()).run(batch(&[&["a", "b"], &["c", "d", "e"]]));
        let report = &outcome.stages[position];
        assert_eq!((report.rows_in, report.left_out.filtered), rows, "{case}");
        let replaced = only(outcome);
        assert_eq!(texts(&replaced), expected, "{case}");
        assert_eq!(replaced.items, expected.len() as u64, "{case}");
    }
}

#[test]
fn one_tenant_for_all_rows_costs_no_copy() {
    let batch = batch(&[&["x", "x"]]);
    let passed = only(chain(vec![spec(act("partition"))]).run(batch.clone()));
    assert_eq!((passed.tenant.as_str(), passed.bytes.as_ptr()), ("x", batch.bytes.as_ptr()));
}

/// So many log records of a resource with an attribute of so many bytes; `k` of each record is its number.
fn of_large_resource(bytes: usize, records: usize) -> Batch {
    let mut logs = LogsWriter::new();
    logs.resource_logs(|resource| {
        resource.resource(|resource| resource.attribute("large", |value| value.text(&"x".repeat(bytes))));
        resource.scope_logs(|scope| {
            for number in 0..records {
                scope.log_record(|record| record.attribute("k", |value| value.text(&number.to_string())));
            }
        });
    });
    batch_of(logs.finish(), records as u64)
}

/// Each piece repeats its resource. A request of which they would take very much memory is refused before any stage sees it.
#[test]
fn refuses_very_many_tiny_records_of_a_large_resource() {
    let of = |records| of_large_resource(400_000, records);
    let limits = StageLimits { rows: 100, ..spec(act("nothing")).limits };
    let chain = chain(vec![StageSpec { limits, ..spec(act("drop_even")) }]);
    let cut = chain.run(of(1_000));
    assert_eq!((cut.stages[0].calls, cut.stages[0].rows_in), (10, 1_000));
    assert_eq!(only(cut).items, 500);
    let refused = chain.run(of(100_000));
    assert_eq!(refused.stages[0].calls, 0);
    let Refusal::Permanent { reason } = refused.result.expect_err("too much") else { panic!("of the wrong kind") };
    assert!(reason.starts_with("its resources are so large that requests of at most 100 records"), "{reason}");
}

/// Each tenant's request repeats the resource, and all parts of a batch share the room for that.
#[test]
fn refuses_a_large_resource_of_very_many_tenants() {
    let of = |tenants| of_large_resource(100_000, tenants);
    for rows in [8_192, 50] {
        let limits = StageLimits { rows, ..spec(act("nothing")).limits };
        let chain = chain(vec![StageSpec { limits, ..spec(act("partition")) }]);
        let parts = chain.run(of(500)).result.expect("half of the room");
        assert_eq!(parts.len(), 500);
        assert!(parts.iter().all(|part| part.items == 1 && part.bytes.len() > 100_000));
        let refused = chain.run(of(1_000)).result.expect_err("too much");
        let Refusal::Permanent { reason } = refused else { panic!("of the wrong kind") };
        assert!(reason.starts_with("its resources are so large that requests of its tenants"), "{reason}");
    }
}

#[test]
fn cuts_what_is_larger_than_a_call_takes_and_joins_it_again() {
    let rows: Vec<String> = (0..10).map(|i| i.to_string()).collect();
    let rows: Vec<&str> = rows.iter().map(String::as_str).collect();
    for (limit, calls) in [(10, 1), (9, 2), (3, 4), (1, 10)] {
        let limits = StageLimits { rows: limit, ..spec(act("nothing")).limits };
        let stage = StageSpec { limits, ..spec(json!({ "act": "drop_value", "value": "7" })) };
        let outcome = chain(vec![stage]).run(batch(&[&rows]));
        assert_eq!((outcome.stages[0].calls, outcome.stages[0].left_out.filtered), (calls, 1), "at most {limit} rows");
        let passed = only(outcome);
        assert_eq!((texts(&passed).join(""), passed.items), ("012345689".to_owned(), 9));
    }
}

#[test]
fn skips_the_call_if_no_row_has_the_attribute() {
    for (when, calls, skipped) in [("k", 1, 0), ("other", 0, 1)] {
        let config = json!({ "act": "set", "value": "new", "when": when });
        let outcome = chain(vec![spec(config)]).run(batch(&[&["a"]]));
        assert_eq!((outcome.stages[0].calls, outcome.stages[0].skipped), (calls, skipped), "{when}");
    }
}

#[test]
fn gives_plugins_headers_counters_values_and_tokens() {
    let header = chain(vec![spec(act("report_header"))]);
    assert_eq!(texts(&only(header.run(batch(&[&["a"]])))), ["from the header"]);
    assert_eq!(header.headers().iter().collect::<Vec<_>>(), ["x-probe"]);

    let count = chain(vec![spec(act("count"))]);
    (0..3).for_each(|_| drop(count.run(batch(&[&["a", "b"]]))));
    assert_eq!(count.take_counts().collect::<Vec<_>>(), [("probe", "probe_rows".to_owned(), 6)]);
    assert_eq!(count.take_counts().count(), 0);

    let store = chain(vec![spec(json!({ "act": "keep_in_store", "number": 1_000 }))]);
    assert_eq!(texts(&only(store.run(batch(&[&["a"]])))), ["1"]);
    assert_eq!(texts(&only(store.run(batch(&[&["a"]])))), ["2"]);
    let forgetful = chain(vec![spec(json!({ "act": "keep_in_store", "number": 0 }))]);
    (0..2).for_each(|_| assert_eq!(texts(&only(forgetful.run(batch(&[&["a"]])))), ["1"]));

    let tokens = chain(vec![spec(json!({ "act": "take_tokens", "number": 3 }))]);
    assert_eq!(texts(&only(tokens.run(batch(&[&["a", "b"]])))), ["a", "b"]);
    assert_eq!(texts(&only(tokens.run(batch(&[&["a", "b"]])))), ["a"]);
}

#[test]
fn time_stands_still_and_what_is_deleted_is_gone() {
    let cases = [("report_time", "1000000000000"), ("forget_in_store", "true Some([109, 101]) None")];
    for (name, expected) in cases {
        assert_eq!(texts(&only(one(act(name), OnError::Reject).run(batch(&[&["a"]])))), [expected], "{name}");
    }
}

#[test]
fn instances_stay_warm_and_are_replaced_after_their_time() {
    for (limit, expected) in [(1, ["1", "1", "1"]), (2, ["1", "2", "1"]), (9, ["1", "2", "3"])] {
        let limits = StageLimits { calls_per_instance: limit, ..spec(act("nothing")).limits };
        let chain = chain(vec![StageSpec { limits, ..spec(act("count_calls")) }]);
        let calls: Vec<String> = (0..3).map(|_| texts(&only(chain.run(batch(&[&["a"]])))).remove(0)).collect();
        assert_eq!(calls, expected);
    }
}

/// Configuring it for each batch would take long, and change nothing.
#[test]
fn an_instance_that_was_large_from_the_start_stays() {
    let limits = StageLimits { memory_mib: 16, timeout_ms: 5_000, ..Default::default() };
    let chain = chain(vec![StageSpec { limits, ..spec(json!({ "act": "large_in_configure", "number": 13 })) }]);
    let count = || texts(&only(chain.run(batch(&[&["a"]]))));
    assert_eq!([count(), count(), count()], [["1"], ["2"], ["3"]]);
}

#[test]
fn says_that_instances_nearly_fill_their_memory() {
    let limits = StageLimits { memory_mib: 16, timeout_ms: 5_000, ..Default::default() };
    let chain = chain(vec![StageSpec { limits, ..spec(json!({ "act": "memory", "number": 13 })) }]);
    let expected = "WARN sluice::stage::configured: calls nearly fill the memory, others are configured anew stage=probe \
                    instances=1 memory_mib=16";
    assert_eq!(logged(&chain).trim(), expected);
    assert_eq!(logged(&chain), "");
}

#[test]
fn tries_once_more_on_a_fresh_instance() {
    let outcome = one(act("panic_once"), OnError::Reject).run(batch(&[&["a"]]));
    let stage = &outcome.stages[0];
    assert_eq!((stage.calls, stage.failures.len()), (1, 1));
    assert_eq!((stage.failures[0].kind, stage.failures[0].policy), (FailureKind::Panic, None));
    assert_eq!(texts(&only(outcome)), ["a"]);
}

#[test]
fn a_failed_stage_follows_its_policy() {
    let rows = || batch(&[&["a", "b"]]);
    let passed = one(act("fail"), OnError::Pass).run(rows());
    assert_eq!((passed.stages[0].failures.len(), passed.stages[0].left_out.dropped), (2, 0));
    assert_eq!(passed.stages[0].failures[1].policy, Some(OnError::Pass));
    assert_eq!(only(passed).bytes, rows().bytes);

    let dropped = one(act("fail"), OnError::Drop).run(rows());
    assert_eq!((dropped.stages[0].left_out.dropped, dropped.stages[0].left_out.filtered), (2, 0));
    assert!(dropped.result.expect("accepted").is_empty());

    let rejected = one(act("fail"), OnError::Reject).run(rows());
    match rejected.result.expect_err("not accepted") {
        Refusal::Failed { reason, .. } => assert_eq!(reason, "stage probe failed: it failed: does not want to"),
        other => panic!("{other:?}"),
    }
}

/// What is logged while a chain processes a batch.
fn logged(chain: &Chain) -> String {
    logged_by(|| drop(chain.run(batch(&[&["a"]]))))
}

fn logged_by(work: impl FnOnce()) -> String {
    let file = tempfile::NamedTempFile::new().expect("a file");
    let writer = Mutex::new(file.reopen().expect("a file"));
    let log = tracing_subscriber::fmt().with_writer(writer).with_ansi(false).without_time().finish();
    tracing::subscriber::with_default(log, work);
    std::fs::read_to_string(file.path()).expect("text")
}

#[test]
fn what_a_plugin_says_during_a_call_is_logged_with_its_stage() {
    let said = logged(&one(json!({ "act": "log", "value": "one batch" }), OnError::Reject));
    assert_eq!(said.trim(), "INFO sluice::plugin: one batch stage=\"probe\"");
}

#[test]
fn what_nobody_sees_takes_nothing_of_the_rate_of_messages() {
    let warned = |number: u64| one(json!({ "act": "log_much", "value": "hot", "number": number }), OnError::Reject);
    assert_eq!(logged(&warned(1)).trim(), "WARN sluice::plugin: hot stage=\"probe\"");
    let chain = warned(80);
    let shown = logged(&chain).lines().count();
    let rest = logged_by(|| chain.tell(Rest::All));
    let expected =
        format!("WARN sluice::stage::chain: the plugin said more than is shown stage=probe suppressed={}", 80 - shown);
    assert_eq!(rest.trim(), expected);
}

#[test]
fn what_is_printed_in_pieces_is_logged_line_by_line() {
    let said = logged(&one(json!({ "act": "print_pieces", "value": "done" }), OnError::Reject));
    let lines: Vec<&str> = said.lines().map(str::trim).collect();
    let expected = ["1 of 2, done", "and the rest"].map(|line| format!("INFO sluice::plugin: {line} stage=\"probe\""));
    assert_eq!(lines, expected);
}

#[test]
fn says_once_that_an_instance_printed_too_much() {
    let said = logged(&one(act("print"), OnError::Reject));
    let warned: Vec<&str> = said.lines().filter(|line| line.contains("WARN")).map(str::trim).collect();
    assert_eq!(
        warned,
        ["WARN sluice::plugin: an instance printed more than 16 KiB, the rest is not shown stage=\"probe\""]
    );
}

#[test]
fn failed_calls_are_logged_now_and_then_and_with_their_policy() {
    let failed = "stage=probe policy=reject rows=1 reason=it failed: does not want to";
    let cases = [
        ("fail", OnError::Reject, format!("WARN stage failed, the batch is not accepted {failed}")),
        (
            "panic_once",
            OnError::Pass,
            "WARN a call failed, a fresh instance did better stage=probe rows=1 reason=it panicked: this once"
                .to_owned(),
        ),
        ("nothing", OnError::Pass, String::new()),
    ];
    for (name, on_error, expected) in cases {
        let said = logged(&one(act(name), on_error));
        assert_eq!(said.lines().count(), usize::from(!expected.is_empty()), "{said}");
        assert!(said.replace("sluice::stage::chain::run: ", "").trim().starts_with(&expected), "{said}");
    }
    let failing = one(act("fail"), OnError::Reject);
    assert_eq!(logged(&failing).lines().count(), 1);
    assert_eq!(logged(&failing), "", "not once more for each batch");
    let said = logged_by(|| failing.tell(Rest::All));
    assert_eq!(said.trim(), "WARN sluice::stage::chain: stage failed for more stage=probe policy=\"reject\" rows=1");
}

#[test]
fn a_refused_batch_is_refused_for_good_and_not_tried_again() {
    let outcome = one(act("refuse"), OnError::Pass).run(batch(&[&["a"]]));
    assert!(outcome.stages[0].failures.is_empty());
    assert_eq!(outcome.result.expect_err("refused"), Refusal::Permanent { reason: "unknown tenant".to_owned() });
}

#[test]
fn a_stage_that_fails_after_others_edited_leaves_their_edits() {
    let set = json!({ "act": "set", "value": "new" });
    let outcome = chain(vec![spec(set), spec(act("drop_even")), spec(act("panic"))]).run(batch(&[&["a", "b"]]));
    assert_eq!(texts(&only(outcome)), ["new"]);
}

/// The clock of a batch that comes later is further on than that of `configure`.
#[test]
fn what_is_stored_while_a_stage_is_configured_is_there_for_its_calls() {
    let chain = chain(vec![spec(act("remember_setup"))]);
    assert_eq!(texts(&only(chain.run(batch(&[&["a"]])))), ["Some([100, 111, 110, 101])"]);
}
