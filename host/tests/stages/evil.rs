//! Plugins that misbehave: the batch stays whole, the host stays up, and the next batch is processed.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use sluice::stage::{FailureKind, OnError, StageLimits, StageSpec};

use super::kit::{act, batch, chain, one, only, spec, texts, try_chain};

/// Runs an act and checks that it failed twice in this way, and that the batch went on as it was.
fn check(config: Value, kind: FailureKind, message: &str) {
    let chain = one(config.clone(), OnError::Pass);
    let rows = batch(&[&["a", "ä"]]);
    for _ in 0..2 {
        let outcome = chain.run(rows.clone());
        let failures = &outcome.stages[0].failures;
        assert_eq!(failures.iter().map(|failure| failure.kind).collect::<Vec<_>>(), [kind, kind], "{config}");
        assert!(failures[0].message.contains(message), "{config}: {}", failures[0].message);
        assert_eq!(only(outcome).bytes, rows.bytes, "{config}");
    }
}

/// Where the probe has this code: `file:line`.
fn place(code: &str) -> String {
    let source = include_str!("../../../tests/guests/probe/src/evil.rs");
    let line = 1 + source.lines().position(|line| line.contains(code)).expect("it is there");
    format!("tests/guests/probe/src/evil.rs:{line}")
}

#[test]
fn a_panic_is_told_with_its_message_and_place() {
    let message = format!("it panicked: ä panic at {}", place("panic!(\"ä panic\")"));
    let outcome = one(act("panic"), OnError::Pass).run(batch(&[&["a"]]));
    assert_eq!(outcome.stages[0].failures[0].kind, FailureKind::Panic);
    assert_eq!(outcome.stages[0].failures[0].message, message);
}

#[test]
fn survives_calls_that_do_not_come_back() {
    check(act("panic"), FailureKind::Panic, "ä panic");
    check(act("unreachable"), FailureKind::Trap, "unreachable");
    check(act("overflow"), FailureKind::Trap, "out of bounds memory access");
    check(act("exit"), FailureKind::Trap, "wasi:cli/exit");
    check(act("fail"), FailureKind::Error, "does not want to");
}

#[test]
fn memory_that_a_plugin_did_without_is_not_why_it_ends() {
    check(act("refused_and_panic"), FailureKind::Panic, "it panicked: for another reason");
    let chain = one(act("refused_then_trap"), OnError::Pass);
    assert_eq!(chain.run(batch(&[&["a"]])).stages[0].failures, []);
    assert_eq!(chain.run(batch(&[&["a"]])).stages[0].failures[0].kind, FailureKind::Trap);
}

#[test]
fn offers_no_files_no_environment_and_no_host_function_at_the_wrong_time() {
    check(act("read_file"), FailureKind::Panic, "reading a file gave Err(");
    check(act("read_environment"), FailureKind::Panic, "there are 0 variables and 0 arguments");
    check(act("pattern_in_process"), FailureKind::Trap, "outside of configure");
    check(act("unknown_pattern"), FailureKind::Trap, "pattern 99");
    check(act("bad_table_text"), FailureKind::Trap, "table entry 4294967295 of 4");
}

#[test]
fn does_not_multiply_text_for_a_plugin() {
    let outcome = one(act("too_much_text"), OnError::Pass).run(batch(&[&[&"x".repeat(1_000)]]));
    assert!(outcome.stages[0].failures[0].message.contains("more text than fits into its memory"));
}

#[test]
fn refuses_answers_that_break_the_contract() {
    let cases = [
        (act("short_keep"), "keep has 0 values, 1 are needed"),
        (act("long_keep"), "keep has 2 values, 1 are needed"),
        (act("row_out_of_range"), "row 2 of 2"),
        (act("resource_out_of_range"), "entity 4294967295 of 1"),
        (json!({ "act": "entry_out_of_range", "writes": "attributes" }), "entry 4 of 4"),
        (act("cut_character"), "bytes 1..2 of entity 1 are no range of characters"),
        (act("overlapping_ranges"), "ranges of entity 1 do not ascend"),
        (act("uneven_lists"), "expected"),
        (act("bad_offsets"), "text 0"),
        (act("bad_utf8"), "text 0"),
        (act("undeclared"), "it edits record.attributes[\"undeclared\"] without having declared it"),
        (json!({ "act": "set", "writes": "nothing" }), "without having declared it"),
        (json!({ "act": "unknown_field", "writes": "everything" }), "there is no field \"no_such_field\""),
        (act("tenant_out_of_range"), "tenant 1 of 1"),
        (act("bad_tenant"), "\"a\\nb\" is no name of a tenant"),
        (act("few_tenant_codes"), "partition has 1 values, 2 are needed"),
        (act("undeclared_replacement"), "it edits the whole request without having declared it"),
        (json!({ "act": "bad_replacement", "writes": "everything" }), "its replacement is refused"),
        (json!({ "act": "replacement_and_keep", "writes": "everything" }), "it comes with other changes"),
        (json!({ "act": "larger_replacement", "writes": "everything" }), "it has 4 rows, the batch has 2"),
    ];
    for (config, message) in cases {
        check(config, FailureKind::Answer, message);
    }
}

#[test]
fn limits_what_a_plugin_prints() {
    let outcome = one(act("print"), OnError::Reject).run(batch(&[&["a"]]));
    assert_eq!(texts(&only(outcome)), ["a"]);
}

#[test]
fn a_plugin_that_fails_while_it_is_configured_is_a_configuration_error() {
    let panic = "no configuration is good enough";
    let panicked = format!(
        "the plugin could not be configured: it panicked: {panic} at {}",
        place(&format!("panic!(\"{panic}\")"))
    );
    let cases = [
        ("spin_in_configure", "the plugin could not be configured: stopped after 500 ms, the limit for a plugin to"),
        ("panic_in_configure", &panicked),
        ("refuse_silently", "the plugin refuses its configuration without saying why"),
        ("too_many_patterns", "a stage can have 1024 patterns and no more"),
        ("too_many_reads", "it reads 1103 columns, 1024 are allowed"),
    ];
    for (name, message) in cases {
        let setup_timeout_ms = if name == "spin_in_configure" { 500 } else { 10_000 };
        let limits = StageLimits { setup_timeout_ms, ..Default::default() };
        let stages = vec![spec(act("nothing")), StageSpec { limits, ..spec(act(name)) }, spec(act("nothing"))];
        let errors = try_chain(stages).expect_err(name);
        assert!(errors[0].message.contains(message), "{name}: {}", errors[0].message);
    }
}

/// Configuring takes longer than a batch may wait, so it is not done for each of them.
#[test]
fn a_fresh_instance_that_took_too_long_is_not_waited_for_again() {
    let limits = StageLimits { setup_timeout_ms: 1_000, timeout_ms: 100, ..Default::default() };
    let chain = chain(vec![StageSpec { limits, ..spec(act("spin_in_second_configure")) }]);
    let kinds = || {
        let started = Instant::now();
        let failures = chain.run(batch(&[&["a"]])).stages.remove(0).failures;
        (failures.into_iter().map(|failure| failure.kind).collect::<Vec<_>>(), started.elapsed())
    };
    assert_eq!(kinds().0, [FailureKind::Panic, FailureKind::Timeout]);
    for _ in 0..3 {
        let (kinds, took) = kinds();
        assert_eq!(kinds, [FailureKind::Timeout]);
        assert!(took < Duration::from_millis(1_000), "{took:?}");
    }
}

/// Nor is one waited for that took long to make if the last of them was lost at once.
#[test]
fn a_fresh_instance_that_took_long_and_did_not_last_is_not_made_for_each_batch() {
    let limits = StageLimits { timeout_ms: 10, ..Default::default() };
    let chain = chain(vec![StageSpec { limits, ..spec(act("slow_in_second_configure")) }]);
    let failures = || chain.run(batch(&[&["a"]])).stages.remove(0).failures;
    let kinds: Vec<_> = failures().into_iter().map(|failure| failure.kind).collect();
    assert_eq!(kinds, [FailureKind::Panic, FailureKind::Panic]);
    for _ in 0..3 {
        let failures = failures();
        assert_eq!(failures.len(), 1, "{failures:?}");
        assert!(failures[0].message.ends_with("no other is made for a while"), "{}", failures[0].message);
    }
}

/// It lasted as long as it was to.
#[test]
fn a_worn_instance_that_took_long_makes_room_for_another_one() {
    let limits = StageLimits { timeout_ms: 30, calls_per_instance: 1, ..Default::default() };
    let chain = chain(vec![StageSpec { limits, ..spec(act("slow_in_configure")) }]);
    for _ in 0..4 {
        assert_eq!(chain.run(batch(&[&["a"]])).stages[0].failures, []);
    }
}

#[test]
fn a_fresh_instance_is_made_where_nobody_waits_for_the_thread() {
    let limits = StageLimits { timeout_ms: 5_000, calls_per_instance: 1, ..Default::default() };
    let chain = chain(vec![StageSpec { limits, ..spec(act("slow_in_configure")) }]);
    chain.run(batch(&[&["a"]]));
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).build().expect("a runtime");
    let is_other_done = runtime.spawn(async move {
        let other = tokio::spawn(async {});
        chain.run(batch(&[&["a"]]));
        other.is_finished()
    });
    assert!(runtime.block_on(is_other_done).expect("no panic"), "on the only thread of the runtime");
}

#[test]
fn one_evil_stage_does_not_disturb_the_others() {
    let set = json!({ "act": "set", "value": "new" });
    let stages = vec![spec(act("unreachable")), spec(set), spec(act("short_keep")), spec(act("report_seen"))];
    let chain = chain(stages);
    for _ in 0..3 {
        assert_eq!(texts(&only(chain.run(batch(&[&["a"]])))), ["0/1 new of the resource"]);
    }
}
