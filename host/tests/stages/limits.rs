//! Limits of stages, at n and n + 1 where the limit can be met exactly.

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use sluice::model::{BATCH_OVERHEAD_BYTES, Refusal, Signal};
use sluice::stage::{Catalog, Chain, Engine, EngineConfig, FailureKind, StageLimits, StageSpec};

use super::kit::{act, batch, batch_of, chain, engine, guests, only, spec, texts, try_chain};

fn limited(config: Value, limits: StageLimits) -> Option<FailureKind> {
    let outcome = chain(vec![StageSpec { limits, ..spec(config) }]).run(batch(&[&["a", "b"]]));
    outcome.stages[0].failures.last().map(|failure| failure.kind)
}

#[test]
fn stops_a_plugin_that_runs_too_long() {
    let limits = StageLimits { timeout_ms: 30, ..Default::default() };
    let chain = chain(vec![StageSpec { limits, ..spec(act("spin")) }]);
    let started = Instant::now();
    let outcome = chain.run(batch(&[&["a"]]));
    assert_eq!(outcome.stages[0].failures[0].kind, FailureKind::Timeout);
    assert_eq!(outcome.stages[0].failures[0].message, "stopped after 30 ms, its limits.deadline");
    let took = started.elapsed();
    assert!(took >= Duration::from_millis(2 * 30), "both attempts had their time, not {took:?}");
    assert!(took < Duration::from_secs(3), "both attempts were stopped, after {took:?}");
}

/// Another instance would search as long.
#[test]
fn stops_a_search_that_takes_too_long_and_does_not_begin_it_anew() {
    let limits = StageLimits { timeout_ms: 500, ..Default::default() };
    let config =
        json!({ "act": "mask_pattern", "pattern": r"-----BEGIN[\s\S]{0,2000}END-----", "writes": "attributes" });
    let chain = chain(vec![StageSpec { limits, ..spec(config) }]);
    // At every byte the pattern has to remember where it may have begun, each time in another way.
    let text: String = (0..100_000_usize)
        .map(|n| format!("-----BEGIN {}", "x".repeat(n.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 58)))
        .collect();
    let outcome = chain.run(batch(&[&[&text]]));
    let [failure] = &outcome.stages[0].failures[..] else { panic!("{:?}", outcome.stages[0].failures) };
    assert_eq!(failure.kind, FailureKind::Timeout);
    assert_eq!(failure.message, "a search for a pattern takes more than 500 ms, its limits.deadline");
}

#[test]
fn stops_a_plugin_that_runs_too_long_after_the_ticker_slept() {
    // Longer than the ticker stays awake without a call.
    std::thread::sleep(Duration::from_millis(600));
    let limits = StageLimits { timeout_ms: 10, ..Default::default() };
    assert_eq!(limited(act("spin"), limits), Some(FailureKind::Timeout));
}

#[test]
fn configures_a_plugin_for_longer_than_a_call_may_take() {
    let limits = StageLimits { timeout_ms: 1, ..Default::default() };
    let configured = try_chain(vec![StageSpec { limits, ..spec(act("slow_in_configure")) }]);
    assert_eq!(configured.map(drop), Ok(()));
}

/// Stages share the pool: what one of them needed at a busy time must be there for the next.
#[test]
fn idle_instances_make_room_for_other_stages() {
    let directory = tempfile::tempdir().expect("a directory");
    std::fs::write(directory.path().join("probe.wasm"), guests::guest("probe")).expect("written");
    let engine = Engine::new(EngineConfig { max_instances: 6, ..Default::default() }).expect("the engine starts");
    let catalog = Catalog::new(engine, Some(directory.path().to_owned()));
    let stage = || Chain::new(&catalog, Signal::Logs, vec![spec(act("slow"))]).expect("configured");
    let stages = [stage(), stage()];
    for busy in &stages {
        let at_once = std::sync::Barrier::new(4);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    at_once.wait();
                    let outcome = busy.run(batch(&[&["a"]]));
                    assert_eq!(outcome.stages[0].failures, []);
                });
            }
        });
    }
}

#[test]
fn refuses_memory_past_the_limit() {
    let eat = |mebibytes: u64| json!({ "act": "memory", "number": mebibytes });
    let limits = StageLimits { memory_mib: 16, timeout_ms: 5_000, ..Default::default() };
    assert_eq!(limited(eat(12), limits.clone()), None);
    assert_eq!(limited(eat(17), limits), Some(FailureKind::Memory));
}

#[test]
fn edits_may_add_as_much_as_the_limit_says() {
    // A value counts with its key and 12 bytes for tags and lengths.
    let overhead = "k".len() as u64 + 12;
    let huge = |act: &str, len: u64| json!({ "act": act, "number": len });
    let limits = StageLimits { output_mib: 1, timeout_ms: 5_000, ..Default::default() };
    assert_eq!(limited(huge("huge", (1 << 20) - overhead), limits.clone()), None);
    assert_eq!(limited(huge("huge", (1 << 20) - overhead + 1), limits.clone()), Some(FailureKind::Answer));
    // The same value for two rows counts twice, though the answer holds it once.
    assert_eq!(limited(huge("huge_times_rows", (1 << 19) - overhead), limits.clone()), None);
    assert_eq!(limited(huge("huge_times_rows", (1 << 19) - overhead + 1), limits.clone()), Some(FailureKind::Answer));
    // An answer that is far too large is not even read.
    assert_eq!(limited(huge("huge", 8 << 20), limits), Some(FailureKind::Trap));
}

#[test]
fn a_replacement_may_be_as_large_as_the_limit_says() {
    let limits = StageLimits { output_mib: 1, timeout_ms: 5_000, ..Default::default() };
    let huge = |len: u64| json!({ "act": "huge_replacement", "number": len, "writes": "everything" });
    assert_eq!(limited(huge(1 << 20), limits.clone()), None);
    assert_eq!(limited(huge((1 << 20) + 1), limits), Some(FailureKind::Answer));
}

/// The component with so many pages of memory from the start, 128 at least.
fn with_memory(mut component: Vec<u8>, pages: u16) -> Vec<u8> {
    // A section with one memory that has no maximum; its size is the fifth byte and becomes two.
    let at = component.windows(4).position(|window| window == [5, 3, 1, 0]).expect("a memory");
    component.splice(at..at + 5, [5, 4, 1, 0, pages as u8 | 0x80, (pages >> 7) as u8]);
    let mut section = 8;
    loop {
        let bytes = component[section + 1..].iter().position(|byte| byte & 0x80 == 0).expect("its length") + 1;
        let length = section + 1..section + 1 + bytes;
        let len = component[length.clone()].iter().rev().fold(0, |len, byte| len << 7 | usize::from(byte & 0x7f));
        if length.end + len > at {
            for (i, byte) in component[length].iter_mut().enumerate() {
                *byte = *byte & 0x80 | ((len + 1) >> (7 * i) & 0x7f) as u8;
            }
            return component;
        }
        section = length.end + len;
    }
}

/// Describing itself comes before any stage's limits are known.
#[test]
fn a_plugin_may_have_more_memory_than_by_default_if_its_stage_grants_it() {
    let directory = tempfile::tempdir().expect("a directory");
    // 1100 pages are 68.75 MiB.
    std::fs::write(directory.path().join("probe.wasm"), with_memory(guests::guest("probe"), 1_100)).expect("written");
    let catalog = Catalog::new(engine(), Some(directory.path().to_owned()));
    let needed = |memory_mib: u32| {
        let limits = StageLimits { memory_mib, ..Default::default() };
        let chain = Chain::new(&catalog, Signal::Logs, vec![StageSpec { limits, ..spec(act("nothing")) }]);
        chain.err().map(|errors| errors[0].message.clone())
    };
    assert_eq!(needed(80), None);
    let refused = needed(68).expect("refused");
    assert!(refused.contains("it needs more than 68 MiB of memory, the limit of the stage"), "{refused}");
}

#[test]
fn a_plugin_says_what_it_is_in_as_much_memory_as_any_stage_may_have() {
    let directory = tempfile::tempdir().expect("a directory");
    std::fs::write(directory.path().join("probe.wasm"), with_memory(guests::guest("probe"), 1_100)).expect("written");
    for (describe_memory_mib, accepted) in [(69, true), (68, false)] {
        let engine = Engine::new(EngineConfig { describe_memory_mib, max_instances: 6, ..Default::default() });
        let found = Catalog::new(engine.expect("the engine starts"), Some(directory.path().to_owned())).find("probe");
        let refused = found.err().map(|error| error.to_string());
        let expected = "describe failed: it needs more than 68 MiB of memory, the limit of the stage";
        assert_eq!(refused.is_none(), accepted, "{refused:?}");
        assert!(refused.is_none_or(|refused| refused.ends_with(expected)));
    }
}

/// A part of a batch that came too late tells enough about the others.
#[test]
fn a_stage_without_an_answer_in_time_costs_a_batch_of_many_parts_its_deadline_once() {
    let limits = StageLimits { timeout_ms: 30, rows: 1, ..Default::default() };
    let chain = chain(vec![StageSpec { limits, ..spec(act("spin")) }]);
    let outcome = chain.run(batch(&[&["a", "b", "c", "d", "e", "f", "g", "h"]]));
    assert_eq!(outcome.stages[0].failures.len(), 2, "one call and its repetition");
    assert_eq!(only(outcome).items, 8);
}

/// An attribute can stand in two bytes; what is kept of it takes many times as much.
#[test]
fn refuses_more_attributes_than_have_room() {
    let record = |attributes: usize| {
        let empty = [0x32, 0].repeat(attributes);
        let field = |content: Vec<u8>| {
            let mut bytes = vec![];
            prost::encoding::encode_key(2, prost::encoding::WireType::LengthDelimited, &mut bytes);
            prost::encoding::encode_varint(content.len() as u64, &mut bytes);
            [bytes, content].concat()
        };
        let mut resource = field(field(empty));
        let mut request = vec![0x0a];
        prost::encoding::encode_varint(resource.len() as u64, &mut request);
        request.append(&mut resource);
        batch_of(request, 1)
    };
    let limits = StageLimits { memory_mib: 1_024, timeout_ms: 10_000, ..Default::default() };
    let chain = chain(vec![StageSpec { limits, ..spec(act("entry_out_of_range")) }]);
    for (attributes, fits) in [(1_000, true), ((1 << 21) + 1, false)] {
        match chain.run(record(attributes)).result {
            Ok(batches) => assert!(fits && batches.len() == 1, "{attributes}"),
            Err(Refusal::Permanent { reason }) => {
                assert!(!fits, "{attributes}");
                assert_eq!(reason, "it has more than 2097152 attributes and values of attributes in 1 records");
            }
            Err(refusal) => panic!("{refusal}"),
        }
    }
}

/// The permit of what comes out covers what stages added.
#[test]
fn the_budget_covers_what_stages_leave_and_no_more() {
    let large = "x".repeat(100_000);
    let run = |config: Value, text: &str| {
        let budget = sluice::limits::Budget::new(1 << 20);
        let mut batch = batch(&[&["a", text, "b"]]);
        batch.permit = Arc::new(budget.try_take(batch.bytes.len()).expect("fits"));
        let context = batch.context.header_bytes() + BATCH_OVERHEAD_BYTES;
        let batches = chain(vec![spec(config)]).run(batch).result.expect("accepted");
        let bytes: usize = batches.iter().map(|batch| batch.bytes.len()).sum();
        let used = budget.used_bytes();
        drop(batches);
        assert_eq!(budget.used_bytes(), 0);
        (bytes, used, context)
    };
    let (bytes, used, context) = run(json!({ "act": "huge", "number": 100_000 }), "");
    assert!(bytes > 100_000);
    assert_eq!(used, bytes + context, "what was added");
    let (bytes, used, context) = run(json!({ "act": "drop_value", "key": "k", "value": large }), &large);
    assert!(bytes < 1_000);
    assert_eq!(used, bytes + context, "what was left out");
    let (bytes, used, context) = run(json!({ "act": "partition", "key": "k" }), "c");
    assert_eq!(used, bytes + 3 * context, "for each tenant its own");
    let (bytes, used, _) = run(act("nothing"), "");
    assert_eq!(used, bytes, "the permit that it came with");
}

#[test]
fn takes_1000_edits_and_not_one_more() {
    for (edits, expected) in [(1_000, None), (1_001, Some("its answer is not valid: edits exceed the limit of 1000"))] {
        let outcome = chain(vec![spec(json!({ "act": "many_edits", "number": edits }))]).run(batch(&[&["a", "b"]]));
        let failure = outcome.stages[0].failures.last();
        assert!(failure.is_none_or(|failure| failure.kind == FailureKind::Answer), "{failure:?}");
        assert_eq!(failure.map(|failure| failure.message.as_str()), expected, "{edits} edits");
        let last = if expected.is_none() { ["999", "999"] } else { ["a", "b"] };
        assert_eq!(texts(&only(outcome)), last);
    }
}

/// The probe, made so large with a custom section.
fn padded(len: usize) -> Vec<u8> {
    let mut component = guests::guest("probe");
    let content = len - component.len() - 6;
    component.push(0);
    component.extend((0..5).map(|i| (content >> (7 * i) & 0x7f) as u8 | if i < 4 { 0x80 } else { 0 }));
    component.extend([1, b'p']);
    component.resize(len, 0);
    component
}

#[test]
fn takes_a_component_of_the_limit_and_not_a_byte_more() {
    for (len, accepted) in [(1 << 20, true), ((1 << 20) + 1, false)] {
        let directory = tempfile::tempdir().expect("a directory");
        std::fs::write(directory.path().join("probe.wasm"), padded(len)).expect("written");
        let catalog = Catalog::new(engine(), Some(directory.path().to_owned()));
        let limits = StageLimits { component_mib: 1, ..Default::default() };
        let chain = Chain::new(&catalog, Signal::Logs, vec![StageSpec { limits, ..spec(act("nothing")) }]);
        let message = chain.err().map(|errors| errors[0].message.clone());
        let expected = "the plugin's file has 1048577 bytes, its limit (limits::binary) is 1MiB".to_owned();
        assert_eq!(message, (!accepted).then_some(expected), "{len} bytes");
    }
}

/// A file that is too large for every stage is not even compiled.
#[test]
fn reads_no_component_that_is_larger_than_any_stage_may_have() {
    for (len, accepted) in [(1 << 20, true), ((1 << 20) + 1, false)] {
        let directory = tempfile::tempdir().expect("a directory");
        let file = directory.path().join("probe.wasm");
        std::fs::write(&file, padded(len)).expect("written");
        let engine = Engine::new(EngineConfig { max_component_mib: 1, max_instances: 6, ..Default::default() });
        let found = Catalog::new(engine.expect("the engine starts"), Some(directory.path().to_owned())).find("probe");
        let limit = "it has 1048577 bytes, the limit (limits::binary) is 1MiB";
        let expected = format!("{} can't be used: {limit}", file.display());
        assert_eq!(found.map_err(|error| error.to_string()).err(), (!accepted).then_some(expected), "{len} bytes");
    }
}

/// That is what it has time for.
#[test]
fn gives_a_call_a_mebibyte() {
    let text = "x".repeat(1_000);
    let rows = vec![text.as_str(); 3_000];
    let batch = batch(&[&rows]);
    let calls = batch.bytes.len().div_ceil(1 << 20) as u64;
    assert!(calls > 1);
    let outcome = chain(vec![spec(act("nothing"))]).run(batch);
    assert_eq!(outcome.stages[0].calls, calls);
    assert_eq!(outcome.result.expect("accepted")[0].items, 3_000);
}

#[test]
fn splits_a_batch_among_10000_tenants_and_not_one_more() {
    // The probe adds one tenant that has no rows.
    for (texts, failed) in [(9_999, None), (10_000, Some(FailureKind::Answer))] {
        let limits = StageLimits { rows: 20_000, timeout_ms: 10_000, ..Default::default() };
        let texts: Vec<String> = (0..texts).map(|i| i.to_string()).collect();
        let rows: Vec<&str> = texts.iter().map(String::as_str).collect();
        let outcome = chain(vec![StageSpec { limits, ..spec(act("partition")) }]).run(batch(&[&rows]));
        assert_eq!(outcome.stages[0].failures.last().map(|failure| failure.kind), failed);
        let parts = if failed.is_none() { texts.len() } else { 1 };
        assert_eq!(outcome.result.expect("accepted").len(), parts);
    }
}

#[test]
fn counts_the_tenants_of_all_parts_of_a_batch() {
    for (texts, accepted) in [(10_000, true), (10_001, false)] {
        let limits = StageLimits { rows: 10, timeout_ms: 10_000, ..Default::default() };
        let texts: Vec<String> = (0..texts).map(|i| i.to_string()).collect();
        let rows: Vec<&str> = texts.iter().map(String::as_str).collect();
        let result = chain(vec![StageSpec { limits, ..spec(act("partition")) }]).run(batch(&[&rows])).result;
        let reason = "the batch has more than 10000 tenants".to_owned();
        let expected = if accepted { Ok(texts.len()) } else { Err(Refusal::Permanent { reason }) };
        assert_eq!(result.map(|batches| batches.len()), expected);
    }
}

#[test]
fn refuses_limits_that_make_no_sense_with_their_path() {
    let limits = StageLimits { memory_mib: 0, ..Default::default() };
    let errors = try_chain(vec![StageSpec { limits, ..spec(act("nothing")) }]).expect_err("no memory");
    assert_eq!(errors[0].to_string(), "probe: memory_mib: 0 is not between 1 and 1024");
}
