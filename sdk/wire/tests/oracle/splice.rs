//! A spliced request decodes to the tree with the plan applied.

use std::borrow::Cow;

use proptest::prelude::*;
use sluice_wire::{
    Columns, EditError, EditPlan, EditValue, Entities, Field, Gathered, Intrinsic, Level, LiveRows, Projection,
    SEPARATOR, Signal, TableLists, TableOptions, TableRequest, TooRepetitive, ValueKind, concat, sample, splice,
    splice_within, validate,
};

use crate::dice::{Dice, cases, seeds};
use crate::generate::request;
use crate::plans::{Planned, Planner, bitmap, extract};
use crate::raw::{self, Row};
use crate::tree::{SIGNALS, Tree};

proptest! {
    #![proptest_config(cases(300))]

    #[test]
    fn decodes_to_the_edited_tree((seed, size) in seeds(), odd: bool, edits: u64) {
        for signal in SIGNALS {
            let bytes = request(signal, seed, size, odd);
            let columns = extract(signal, &bytes);
            let planned = Planner::new(signal, &bytes, &columns, edits).run();
            check(signal, &bytes, &columns, &planned);
        }
    }

    #[test]
    fn what_is_not_touched_reads_as_before((seed, size) in seeds(), odd: bool, edits: u64) {
        for signal in SIGNALS {
            let bytes = request(signal, seed, size, odd);
            let columns = extract(signal, &bytes);
            let planned = Planner::new(signal, &bytes, &columns, edits).run();
            if planned.keep.is_some() || planned.codes.is_some() {
                continue;
            }
            let spliced = splice(&bytes, &columns, &planned.plan).remove(0).bytes;
            let after = extract(signal, &spliced);
            let live = LiveRows::all(columns.rows());
            for (index, read) in crate::columns::all_reads(signal).iter().enumerate() {
                if !planned.plan.touches(&read.field) {
                    prop_assert_eq!(
                        without_empty(columns.gather(&bytes, index, &live)),
                        without_empty(after.gather(&spliced, index, &live)),
                        "{}", read.field
                    );
                }
            }
            if !planned.plan.touches_table(&TableRequest::ALL) {
                let options = TableOptions::ALL;
                prop_assert_eq!(
                    columns.gather_table(&bytes, options, &live),
                    after.gather_table(&spliced, options, &live)
                );
            }
        }
    }

    #[test]
    fn what_is_kept_has_the_same_bytes_with_all_that_stands_above((seed, size) in seeds(), odd: bool, choices: u64) {
        for signal in SIGNALS {
            let bytes = request(signal, seed, size, odd);
            let columns = extract(signal, &bytes);
            let mut dice = Dice::new(choices);
            let rows = columns.rows();
            let keep: Vec<bool> = (0..rows).map(|_| !dice.one_in(3)).collect();
            let tenants = 1 + dice.below(3) as u32;
            let codes: Vec<u32> = (0..rows).map(|_| dice.below(tenants as usize) as u32).collect();
            let mut plan = EditPlan::new(&columns);
            plan.keep(&bitmap(&keep)).unwrap();
            plan.partition(codes.clone(), tenants).unwrap();
            let all = records(signal, &bytes);
            prop_assert_eq!(all.len(), rows);
            for part in splice(&bytes, &columns, &plan) {
                let wanted = |row: &usize| keep[*row] && codes[*row] == part.code;
                let expected: Vec<Row> = (0..rows).filter(wanted).map(|row| all[row].clone()).collect();
                prop_assert_eq!(records(signal, &part.bytes), expected);
            }
        }
    }

    #[test]
    fn edits_leave_the_bytes_of_other_records_and_all_unknown_fields((seed, size) in seeds(), odd: bool, choices: u64) {
        for signal in SIGNALS {
            let bytes = request(signal, seed, size, odd);
            let columns = extract(signal, &bytes);
            let mut dice = Dice::new(choices);
            let edited: Vec<u32> = (0..columns.rows() as u32).filter(|_| dice.one_in(3)).collect();
            let mut plan = EditPlan::new(&columns);
            // A key that is often there, or one that never is.
            let key = if dice.one_in(2) { "a" } else { "added" };
            for level in [Level::Resource, Level::Scope] {
                plan.set(&Field::attribute(level, key), Entities::All, EditValue::Text("x")).unwrap();
            }
            plan.set(&Field::attribute(Level::Record, key), Entities::List(&edited), EditValue::Text("x")).unwrap();
            if signal == Signal::Metrics {
                let name = Field::intrinsic(Level::Metric, Intrinsic::Name);
                plan.set(&name, Entities::All, EditValue::Text("x")).unwrap();
            }
            let spliced = splice(&bytes, &columns, &plan).remove(0).bytes;
            let (before, after) = (records(signal, &bytes), records(signal, &spliced));
            prop_assert_eq!(before.len(), after.len());
            for (row, (before, after)) in before.iter().zip(&after).enumerate() {
                if !edited.contains(&(row as u32)) {
                    prop_assert_eq!(&before.record, &after.record, "row {}", row);
                }
            }
            prop_assert_eq!(raw::unknown(signal, &bytes), raw::unknown(signal, &spliced));
        }
    }

    #[test]
    fn a_plan_without_edits_copies_nothing((seed, size) in seeds(), odd: bool) {
        for signal in SIGNALS {
            let bytes = request(signal, seed, size, odd);
            let columns = extract(signal, &bytes);
            let mut plan = EditPlan::new(&columns);
            plan.keep(&bitmap(&vec![true; plan.rows()])).unwrap();
            let parts = splice(&bytes, &columns, &plan);
            prop_assert_eq!(parts.len(), 1);
            prop_assert!(matches!(parts[0].bytes, Cow::Borrowed(same) if std::ptr::eq(same, bytes.as_slice())));
        }
    }

    #[test]
    fn a_table_for_searches_is_edited_alike((seed, size) in seeds(), odd: bool, edits: u64) {
        for signal in SIGNALS {
            let bytes = request(signal, seed, size, odd);
            let lean = searchable(signal, &bytes);
            prop_assert!(lean.gather_table(&bytes, TableOptions::ALL, &LiveRows::all(lean.rows())).is_none());
            let planned = Planner::new(signal, &bytes, &lean, edits).run();
            check(signal, &bytes, &lean, &planned);
        }
    }

    #[test]
    fn a_table_for_searches_has_the_texts_of_the_whole((seed, size) in seeds(), odd: bool, keep: u64) {
        for signal in SIGNALS {
            let bytes = request(signal, seed, size, odd);
            let (full, lean) = (extract(signal, &bytes), searchable(signal, &bytes));
            let live = LiveRows::from_bitmap(&vec![keep; full.rows().div_ceil(64)], full.rows());
            let table = full.gather_table(&bytes, TableOptions::ALL, &live).unwrap();
            let is_text = |entry: &usize| table.kinds[*entry] == ValueKind::Text as u8 && table.parents[*entry] == 0;
            let expected: Vec<_> = (0..table.entries).filter(is_text).map(|entry| table.text.get(entry)).collect();
            let texts = lean.table_texts().unwrap();
            let text = |number: usize| {
                let (from, to) = (texts.texts().offsets()[number], texts.texts().offsets()[number + 1]);
                texts.texts().bytes()[from as usize..to as usize].strip_suffix(&[SEPARATOR])
            };
            let found = |numbers: &mut dyn Iterator<Item = usize>| -> Vec<_> {
                numbers.filter(|number| texts.is_live(*number, &live)).map(text).collect()
            };
            prop_assert_eq!(&found(&mut (0..lean.entries())), &expected);
            prop_assert_eq!(&found(&mut texts.live_runs(&live).into_iter().flatten()), &expected);
        }
    }

    #[test]
    fn never_panics((seed, size) in seeds(), damage: u64, edits: u64) {
        for signal in SIGNALS {
            let whole = request(signal, seed, size, true);
            let columns = extract(signal, &whole);
            let planned = Planner::new(signal, &whole, &columns, edits).run();
            let mut spoilt = whole.clone();
            crate::validate::spoil(&mut spoilt, damage);
            let _ = splice(&spoilt, &columns, &planned.plan);
            let others = extract(signal, &spoilt);
            let _ = splice(&spoilt, &others, &EditPlan::new(&others));
            let _ = splice(&whole, &others, &planned.plan);
        }
    }
}

/// A column of numbers that all gave way to a later member of their `oneof` is as good as none: when that one is removed,
/// they go with it.
fn without_empty(gathered: Option<Gathered>) -> Option<Gathered> {
    let is_empty = |present: &[u64]| present.iter().all(|word| *word == 0);
    match gathered? {
        Gathered::F64(column) if is_empty(&column.present) => Some(Gathered::Absent(column.values.len() as u32)),
        Gathered::S64(column) if is_empty(&column.present) => Some(Gathered::Absent(column.values.len() as u32)),
        other => Some(other),
    }
}

/// The records of a request, without containers that have none.
fn records(signal: Signal, bytes: &[u8]) -> Vec<Row> {
    raw::rows(signal, bytes).into_iter().filter(|row| row.record.is_some()).collect()
}

/// The columns that plans need, with a table of texts only.
fn searchable(signal: Signal, bytes: &[u8]) -> Columns {
    let table = TableRequest { lists: TableLists::Never, nested: false, body_parts: false, ..TableRequest::ALL };
    let mut columns = Columns::new();
    let reads = crate::columns::all_reads(signal);
    columns.extract(&Projection::new(signal, &reads, Some(table)).unwrap(), bytes);
    columns
}

/// Splices and compares each part with the rows of the tree that belong to it.
fn check(signal: Signal, bytes: &[u8], columns: &Columns, planned: &Planned) {
    let parts = splice(bytes, columns, &planned.plan);
    let rows = planned.plan.rows();
    let alive = |row: usize| planned.keep.as_ref().is_none_or(|keep| keep[row]);
    let code = |row: usize| planned.codes.as_ref().map_or(0, |codes| codes[row]);
    let mut codes: Vec<u32> = (0..rows).filter(|&row| alive(row)).map(code).collect();
    codes.sort_unstable();
    codes.dedup();
    if planned.codes.is_none() {
        codes = vec![0];
    }
    assert_eq!(parts.iter().map(|part| part.code).collect::<Vec<_>>(), codes);
    for part in &parts {
        let summary = validate(signal, &part.bytes).unwrap();
        assert_eq!(summary.records, part.records);
        let mut expected = planned.tree.clone();
        let sole = planned.codes.is_none().then_some(0);
        expected.retain(part.code, sole, &|row| alive(row).then(|| code(row)));
        let found = Tree::decode(signal, &part.bytes).unwrap();
        assert_same(&found.normal().without_empty(), &expected.normal().without_empty());
    }
}

/// Shows only the place where two trees differ.
fn assert_same(found: &Tree, expected: &Tree) {
    if found == expected {
        return;
    }
    let (found, expected) = (format!("{found:?}"), format!("{expected:?}"));
    let same = found.bytes().zip(expected.bytes()).take_while(|(left, right)| left == right).count();
    let from = (0..=same.saturating_sub(200)).rev().find(|&at| found.is_char_boundary(at)).unwrap_or(0);
    let part = |text: &str| text[from..].chars().take(400).collect::<String>();
    panic!("found    {}\nexpected {}", part(&found), part(&expected));
}

fn first_text_entry(columns: &Columns, bytes: &[u8], text: &str) -> u32 {
    (0..columns.entries()).find(|&entry| columns.entry_text(bytes, entry) == Some(text)).unwrap() as u32
}

/// `content` in field `number`.
fn field(number: u8, content: &[u8]) -> Vec<u8> {
    [&[number << 3 | 2, content.len() as u8], content].concat()
}

#[test]
fn unknown_fields_stay_on_every_level() {
    let unknown = [0xfa, 6, 1, 0x55]; // field 111
    let with = |parts: &[&[u8]]| [parts.concat(), unknown.to_vec()].concat();
    let value = with(&[&field(1, b"secret")]);
    let pair = with(&[&field(1, b"k"), &field(2, &value)]);
    let span = with(&[&field(5, b"name"), &field(9, &pair)]);
    let resource = with(&[&field(1, &field(1, b"r"))]);
    let bytes =
        with(&[&field(1, &with(&[&field(1, &resource), &field(2, &with(&[&field(2, &span), &field(2, &span)]))]))]);
    let columns = extract(Signal::Traces, &bytes);
    let mut plan = EditPlan::new(&columns);
    let entry = first_text_entry(&columns, &bytes, "secret");
    plan.mask(&columns, &bytes, &[entry], &[1], &[5], "*").unwrap();
    let kind = Field::intrinsic(Level::Record, Intrinsic::Kind);
    plan.set(&kind, Entities::All, EditValue::S64(2)).unwrap();
    plan.set(&Field::attribute(Level::Resource, "t"), Entities::All, EditValue::Text("x")).unwrap();
    plan.set(&Field::attribute(Level::Record, "k"), Entities::List(&[1]), EditValue::Text("y")).unwrap();
    plan.keep(&[0b11]).unwrap();
    let spliced = &splice(&bytes, &columns, &plan)[0].bytes;
    let count = |bytes: &[u8]| bytes.windows(4).filter(|window| *window == unknown).count();
    assert_eq!(count(&bytes), 10);
    assert_eq!(count(spliced), 9, "only the value that was written anew has lost its own");
    assert!(spliced.windows(3).any(|window| window == b"s*t"));
}

#[test]
fn drops_what_lost_all_of_its_rows_and_keeps_what_had_none() {
    let empty = field(1, &field(3, b"empty"));
    let bytes = concat(&[&sample::request(Signal::Traces, 2), &empty, &sample::request(Signal::Traces, 2)]);
    let columns = extract(Signal::Traces, &bytes);
    let mut plan = EditPlan::new(&columns);
    plan.keep(&[0b1100]).unwrap();
    let parts = splice(&bytes, &columns, &plan);
    assert_eq!(*parts[0].bytes, concat(&[&empty, &sample::request(Signal::Traces, 2)]));
    assert!(matches!(parts[0].bytes, Cow::Borrowed(_)), "what is left stands together");
    plan.keep(&[0]).unwrap();
    assert_eq!(*splice(&bytes, &columns, &plan)[0].bytes, empty);
}

#[test]
fn parts_of_a_partition_are_borrowed_where_they_stand_together() {
    let (first, second) = (sample::tenant_request(Signal::Logs, "a", 3), sample::tenant_request(Signal::Logs, "b", 2));
    let bytes = concat(&[&first, &second]);
    let columns = extract(Signal::Logs, &bytes);
    let mut plan = EditPlan::new(&columns);
    plan.partition(vec![4, 4, 4, 1, 1], 5).unwrap();
    let parts = splice(&bytes, &columns, &plan);
    let found: Vec<_> = parts.iter().map(|part| (part.code, part.records, part.bytes.to_vec())).collect();
    assert_eq!(found, [(1, 2, second), (4, 3, first)]);
    assert!(parts.iter().all(|part| matches!(part.bytes, Cow::Borrowed(_))));
}

/// Two parts repeat a resource's attribute and a field of the request that nobody knows, and `room` is what that takes.
#[test]
fn what_parts_repeat_takes_room() {
    let unknown = field(9, b"unknown");
    let request = sample::request(Signal::Logs, 2);
    let bytes = concat(&[&request, &unknown]);
    let columns = extract(Signal::Logs, &bytes);
    let mut plan = EditPlan::new(&columns);
    plan.set(&Field::attribute(Level::Resource, "added"), Entities::All, EditValue::Text("0123456789")).unwrap();
    let label = 2 + 2 + "added".len() + 2 + 2 + 10;
    let mut plenty = 1 << 20;
    splice_within(&mut plenty, &bytes, &columns, &plan).unwrap();
    assert_eq!(plenty, 1 << 20, "nothing is repeated without a partition");

    plan.partition(vec![0, 1], 2).unwrap();
    let parts = splice_within(&mut plenty, &bytes, &columns, &plan).unwrap();
    assert_eq!(parts, splice(&bytes, &columns, &plan));
    let taken = (1 << 20) - plenty;
    // All but the two records, their tags and lengths, and those of the messages around them.
    let apart: usize = parts.iter().map(|part| part.bytes.len()).sum::<usize>() - bytes.len() - label;
    assert!(taken >= unknown.len() + label && (taken..taken + 10).contains(&apart), "{taken} of {apart}");

    assert_eq!(splice_within(&mut (taken + 1), &bytes, &columns, &plan).as_ref(), Ok(&parts));
    for too_little in [taken, taken / 2, 1, 0] {
        let mut room = too_little;
        assert_eq!(splice_within(&mut room, &bytes, &columns, &plan), Err(TooRepetitive), "{too_little}");
        assert_eq!(room, 0);
    }
}

#[test]
fn many_parts_cost_no_more_than_their_rows() {
    let bytes = sample::request(Signal::Logs, 20_000);
    let columns = {
        let mut columns = Columns::new();
        columns.extract(&Projection::new(Signal::Logs, &[], None).unwrap(), &bytes);
        columns
    };
    let mut plan = EditPlan::new(&columns);
    plan.partition((0..20_000).collect(), 20_000).unwrap();
    let parts = splice(&bytes, &columns, &plan);
    assert_eq!(parts.len(), 20_000);
    assert!(parts.iter().all(|part| part.records == 1));
}

#[test]
fn refuses_edits_that_make_no_sense() {
    let bytes = sample::request(Signal::Traces, 3);
    let columns = extract(Signal::Traces, &bytes);
    let mut plan = EditPlan::new(&columns);
    let record = |intrinsic| Field::intrinsic(Level::Record, intrinsic);
    let route = Field::attribute(Level::Record, "http.route");
    let entries = columns.entries() as u32;
    let agent = first_text_entry(&columns, &bytes, "1.1");
    let number = (0..entries).find(|&entry| columns.entry_text(&bytes, entry as usize).is_none()).unwrap();
    let mut mask = |entries: &[u32], starts: &[u32], ends: &[u32]| {
        plan.mask(&columns, &bytes, entries, starts, ends, "").unwrap_err()
    };
    assert!(matches!(mask(&[entries], &[0], &[1]), EditError::OutOfRange { what: "entry", .. }));
    assert!(matches!(mask(&[number], &[0], &[0]), EditError::NotText { .. }));
    assert!(matches!(mask(&[agent], &[0], &[4]), EditError::NoRange { end: 4, length: 3, .. }));
    assert!(matches!(mask(&[agent], &[2], &[1]), EditError::NoRange { .. }));
    assert!(matches!(mask(&[agent, agent], &[0, 1], &[2, 3]), EditError::NotAscending { .. }));
    assert!(matches!(mask(&[agent], &[0, 1], &[2]), EditError::WrongLength { what: "starts", .. }));
    let value = EditValue::Text("x");
    let set = |plan: &mut EditPlan, field: &Field, entities, value| plan.set(field, entities, value).unwrap_err();
    let plan = &mut plan;
    assert!(matches!(set(plan, &record(Intrinsic::Body), Entities::All, value), EditError::NoSuchField(_)));
    assert!(matches!(set(plan, &record(Intrinsic::Kind), Entities::All, value), EditError::WrongValue { .. }));
    assert!(matches!(
        set(plan, &record(Intrinsic::StartTimeUnixNano), Entities::All, EditValue::S64(-1)),
        EditError::WrongValue { .. }
    ));
    for (id, length) in [(Intrinsic::TraceId, 8), (Intrinsic::SpanId, 16), (Intrinsic::ParentSpanId, 7)] {
        let error = set(plan, &record(id), Entities::All, EditValue::Bytes(&[1; 16][..length]));
        assert_eq!(error.to_string(), format!("{} can't hold {length} bytes", record(id)));
    }
    assert!(matches!(set(plan, &route, Entities::List(&[3]), value), EditError::OutOfRange { index: 3, .. }));
    assert!(matches!(set(plan, &route, Entities::Bitmap(&[0, 0]), value), EditError::WrongLength { .. }));
    let metric = Field::attribute(Level::Metric, "k");
    assert!(matches!(set(plan, &metric, Entities::All, value), EditError::NoSuchLevel(_)));
    assert!(matches!(plan.keep(&[]), Err(EditError::WrongLength { .. })));
    assert!(matches!(plan.partition(vec![0, 1, 2], 2), Err(EditError::OutOfRange { what: "part", .. })));
    assert!(matches!(plan.partition(vec![0, 1], 2), Err(EditError::WrongLength { .. })));
    assert!(matches!(plan.replace_entries(&columns, &bytes, &[agent], &[0, 1], &[0xff]), Err(EditError::BadText(0))));
    let unread = Field::attribute(Level::Record, "unread");
    assert!(matches!(plan.mask_field(&columns, &bytes, &unread, &[], &[], &[], ""), Err(EditError::NoColumn(_))));
    assert!(!plan.edits() && !plan.drops(), "a refused edit leaves no trace");
    plan.set(&route, Entities::All, value).unwrap();
    let entry = first_text_entry(&columns, &bytes, "/health");
    // The table has the span's name nowhere, so this is the attribute.
    let refused = plan.mask(&columns, &bytes, &[entry], &[0], &[1], "");
    assert_eq!(refused, Err(EditError::AlreadyWritten { what: "entry", index: entry as usize }));
    let metrics = sample::request(Signal::Metrics, 3);
    let columns = extract(Signal::Metrics, &metrics);
    let mut plan = EditPlan::new(&columns);
    let kind = Field::intrinsic(Level::Metric, Intrinsic::Type);
    assert!(matches!(plan.set(&kind, Entities::All, EditValue::S64(1)), Err(EditError::NotWritable(_))));
}

#[test]
fn masks_must_not_cut_characters() {
    let bytes = field(1, &field(2, &field(2, &field(5, "aä€".as_bytes()))));
    let columns = extract(Signal::Traces, &bytes);
    let name = Field::intrinsic(Level::Record, Intrinsic::Name);
    for (start, end, good) in [(0, 1, true), (1, 3, true), (3, 6, true), (1, 2, false), (2, 3, false), (4, 6, false)] {
        let mut plan = EditPlan::new(&columns);
        let result = plan.mask_field(&columns, &bytes, &name, &[0], &[start], &[end], "*");
        assert_eq!(result.is_ok(), good, "{start}..{end}");
    }
}

#[test]
fn lengths_grow_and_shrink_by_bytes_of_their_own() {
    // Each of these moves a length across 127 or 16383 bytes, on the way up and on the way down.
    for signal in SIGNALS {
        for length in [0, 1, 60, 100, 127, 128, 200, 16_000, 17_000] {
            let bytes = sample::request(signal, 3);
            let mut dice = Dice::new(length as u64);
            let columns = extract(signal, &bytes);
            let mut plan = EditPlan::new(&columns);
            let text = "y".repeat(length);
            for key in ["url.full", "added"] {
                let field = Field::attribute(Level::Record, key);
                plan.set(&field, Entities::List(&[dice.below(3) as u32]), EditValue::Text(&text)).unwrap();
            }
            let field = Field::attribute(Level::Resource, "tenant");
            plan.set(&field, Entities::All, EditValue::Text(&text)).unwrap();
            let grown = splice(&bytes, &columns, &plan).remove(0).bytes.into_owned();
            validate(signal, &grown).unwrap();
            assert_eq!(Tree::decode(signal, &grown).unwrap().encode().len(), grown.len(), "lengths are minimal");
            let columns = extract(signal, &grown);
            let mut plan = EditPlan::new(&columns);
            for (level, key) in [(Level::Record, "added"), (Level::Record, "url.full"), (Level::Resource, "tenant")] {
                plan.remove(&Field::attribute(level, key), Entities::All).unwrap();
            }
            let shrunk = splice(&grown, &columns, &plan).remove(0).bytes.into_owned();
            assert_eq!(Tree::decode(signal, &shrunk).unwrap().encode().len(), shrunk.len());
        }
    }
}

#[test]
fn ends_if_the_bytes_are_others_than_the_plans() {
    let bytes = sample::request(Signal::Traces, 2);
    let columns = extract(Signal::Traces, &bytes);
    let mut plan = EditPlan::new(&columns);
    let entry = first_text_entry(&columns, &bytes, "1.1");
    plan.mask(&columns, &bytes, &[entry], &[0], &[3], "*").unwrap();
    let text = bytes.windows(5).position(|window| window == b"\x0a\x031.1").unwrap();
    let length = text - 2 - "network.protocol.version".len() - 3;
    assert_eq!(usize::from(bytes[length]), "network.protocol.version".len() + 2 + 2 + 5);
    for shorter in 0..bytes[length] {
        let mut spoilt = bytes.clone();
        spoilt[length] = shorter;
        splice(&spoilt, &columns, &plan);
    }
}
