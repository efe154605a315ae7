//! Columns and the attribute table equal what the object tree says.

use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value};
use proptest::prelude::*;
use prost::Message;
use sluice_wire::{
    Columns, Encoding, Field, Gathered, Intrinsic, Level, LiveRows, LogsWriter, Projection, ProjectionError, Read,
    Selector, Signal, TableLists, TableOptions, TableRequest, ValueKind, sample,
};

use crate::dice::{Dice, cases, seeds};
use crate::generate::request;
use crate::tree::{Entity, Held, Record, SIGNALS, Tree};

pub(crate) const LEVELS: [Level; 4] = [Level::Resource, Level::Scope, Level::Metric, Level::Record];
pub(crate) const KEYS: [&str; 5] = ["http.route", "tenant", "a", "", "schlüssel"];
/// Number of the owner of bodies.
const BODY: u8 = 7;
const ENCODINGS: [Encoding; 8] = [
    Encoding::Dictionary,
    Encoding::Text,
    Encoding::S64,
    Encoding::U64,
    Encoding::F64,
    Encoding::Boolean,
    Encoding::Bytes,
    Encoding::Kind,
];

/// All reads that a signal allows, of these attribute keys.
pub(crate) fn all_reads(signal: Signal) -> Vec<Read> {
    let mut reads = Vec::new();
    for level in LEVELS {
        for encoding in ENCODINGS {
            for &intrinsic in Intrinsic::ALL {
                if intrinsic.available(signal, level).is_some_and(|natural| natural.reads_as(encoding)) {
                    reads.push(Read { field: Field::intrinsic(level, intrinsic), encoding });
                }
            }
            for key in KEYS.iter().filter(|_| level != Level::Metric || signal == Signal::Metrics) {
                reads.push(Read { field: Field::attribute(level, *key), encoding });
            }
        }
    }
    reads
}

/// What each entity of a level holds in a field.
fn held(tree: &mut Tree, field: &Field) -> Vec<Held> {
    let mut values = Vec::new();
    tree.for_each(&mut |level, _, mut entity| {
        if level == field.level {
            values.push(match &field.selector {
                Selector::Intrinsic(intrinsic) => entity.get(*intrinsic),
                Selector::Attribute(key) => {
                    let attributes = entity.attributes(false).map(|list| list.clone()).unwrap_or_default();
                    let found = attributes.into_iter().find(|pair| pair.key == *key);
                    found.map_or(Held::Absent, |pair| Held::Any(pair.value.unwrap_or_default()))
                }
            });
        }
    });
    values
}

/// A value as a column shows it.
#[derive(Clone, Debug, PartialEq)]
enum Shown {
    Absent,
    Text(String),
    Bits(u64),
    Bytes(Vec<u8>),
    Value(AnyValue),
    Kind(ValueKind),
}

fn expected(held: &Held, encoding: Encoding) -> Shown {
    use any_value::Value as V;
    let held = match held {
        Held::Any(AnyValue { value: Some(V::StringValue(text)) }) => &Held::Text(text.clone()),
        Held::Any(AnyValue { value: Some(V::BytesValue(bytes)) }) => &Held::Bytes(bytes.clone()),
        Held::Any(AnyValue { value: Some(V::IntValue(number)) }) => &Held::Integer(i128::from(*number)),
        Held::Any(AnyValue { value: Some(V::DoubleValue(number)) }) => &Held::Double(*number),
        Held::Any(AnyValue { value: Some(V::BoolValue(truth)) }) => &Held::Truth(*truth),
        other => other,
    };
    match (encoding, held) {
        (Encoding::Kind, held) => Shown::Kind(match held {
            Held::Nowhere | Held::Absent => ValueKind::Absent,
            Held::Text(_) => ValueKind::Text,
            Held::Bytes(_) => ValueKind::Bytes,
            Held::Integer(_) => ValueKind::Integer,
            Held::Double(_) => ValueKind::Double,
            Held::Truth(_) => ValueKind::Boolean,
            Held::Any(AnyValue { value: Some(V::ArrayValue(_)) }) => ValueKind::Array,
            Held::Any(AnyValue { value: Some(V::KvlistValue(_)) }) => ValueKind::Map,
            Held::Any(_) => ValueKind::Empty,
        }),
        (Encoding::Text | Encoding::Dictionary, Held::Text(text)) => Shown::Text(text.clone()),
        (Encoding::S64, Held::Integer(number)) => Shown::Bits(*number as u64),
        (Encoding::U64, Held::Integer(number)) if *number >= 0 => Shown::Bits(*number as u64),
        (Encoding::F64, Held::Double(number)) => Shown::Bits(number.to_bits()),
        (Encoding::Boolean, Held::Truth(truth)) => Shown::Bits(u64::from(*truth)),
        (Encoding::Bytes, Held::Bytes(bytes)) => Shown::Bytes(bytes.clone()),
        (Encoding::Bytes, Held::Any(value @ AnyValue { value: Some(V::ArrayValue(_) | V::KvlistValue(_)) })) => {
            Shown::Value(value.clone())
        }
        _ => Shown::Absent,
    }
}

fn bit(bitmap: &[u64], index: usize) -> bool {
    bitmap[index / 64] >> (index % 64) & 1 == 1
}

/// Value number `index` of a gathered column.
fn shown(column: &Gathered, index: usize, like: &Shown) -> Shown {
    match column {
        Gathered::Dictionary(column) => match column.codes[index] {
            0 => Shown::Absent,
            code => {
                let text = column.values.get(code as usize - 1).unwrap();
                Shown::Text(String::from_utf8(text.to_vec()).unwrap())
            }
        },
        Gathered::Text(column) if bit(&column.present, index) => {
            Shown::Text(String::from_utf8(column.values.get(index).unwrap().to_vec()).unwrap())
        }
        Gathered::Bytes(column) if bit(&column.present, index) => shown_bytes(column.values.get(index).unwrap(), like),
        Gathered::Uniform { length, bytes } => {
            shown_bytes(bytes.chunks_exact(*length as usize).nth(index).unwrap(), like)
        }
        Gathered::S64(column) if bit(&column.present, index) => Shown::Bits(column.values[index] as u64),
        Gathered::U64(column) if bit(&column.present, index) => Shown::Bits(column.values[index]),
        Gathered::F64(column) if bit(&column.present, index) => Shown::Bits(column.values[index].to_bits()),
        Gathered::Boolean(column) if bit(&column.present, index) => Shown::Bits(u64::from(bit(&column.values, index))),
        Gathered::Kind(kinds) => Shown::Kind(ValueKind::from_code(kinds[index]).unwrap()),
        Gathered::Absent(_) if matches!(like, Shown::Kind(_)) => Shown::Kind(ValueKind::Absent),
        _ => Shown::Absent,
    }
}

fn shown_bytes(bytes: &[u8], like: &Shown) -> Shown {
    match like {
        Shown::Value(_) => Shown::Value(normal(AnyValue::decode(bytes).unwrap())),
        _ => Shown::Bytes(bytes.to_vec()),
    }
}

/// A value without what views and columns don't show.
fn normal(value: AnyValue) -> AnyValue {
    use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
    use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
    let record = LogRecord { body: Some(value), ..Default::default() };
    let scope = ScopeLogs { log_records: vec![record], ..Default::default() };
    let resource = ResourceLogs { scope_logs: vec![scope], ..Default::default() };
    let tree = Tree::Logs(ExportLogsServiceRequest { resource_logs: vec![resource] }).normal();
    let Tree::Logs(mut request) = tree else { unreachable!() };
    request.resource_logs.remove(0).scope_logs.remove(0).log_records.remove(0).body.unwrap()
}

/// An entry of the attribute table, with its parent as a position among the entries of the same owner and entity.
#[derive(Clone, Debug, PartialEq)]
struct Entry {
    parent: Option<usize>,
    key: String,
    kind: ValueKind,
    text: String,
    number: u64,
}

fn flatten_pairs(pairs: &[KeyValue], parent: Option<usize>, entries: &mut Vec<Entry>) {
    for pair in pairs {
        flatten(&pair.key, &pair.value.clone().unwrap_or_default(), parent, entries);
    }
}

fn flatten(key: &str, value: &AnyValue, parent: Option<usize>, entries: &mut Vec<Entry>) {
    use any_value::Value as V;
    let (kind, text, number) = match &value.value {
        Some(V::StringValue(text)) => (ValueKind::Text, text.clone(), 0),
        Some(V::BoolValue(truth)) => (ValueKind::Boolean, String::new(), u64::from(*truth)),
        Some(V::IntValue(number)) => (ValueKind::Integer, String::new(), *number as u64),
        Some(V::DoubleValue(number)) => (ValueKind::Double, String::new(), number.to_bits()),
        Some(V::BytesValue(_)) => (ValueKind::Bytes, String::new(), 0),
        Some(V::ArrayValue(_)) => (ValueKind::Array, String::new(), 0),
        Some(V::KvlistValue(_)) => (ValueKind::Map, String::new(), 0),
        _ => (ValueKind::Empty, String::new(), 0),
    };
    entries.push(Entry { parent, key: key.into(), kind, text, number });
    let this = Some(entries.len() - 1);
    match &value.value {
        Some(V::ArrayValue(array)) => array.values.iter().for_each(|value| flatten("", value, this, entries)),
        Some(V::KvlistValue(map)) => flatten_pairs(&map.values, this, entries),
        _ => {}
    }
}

type Table = std::collections::BTreeMap<(u8, usize), Vec<Entry>>;

fn expected_table(tree: &mut Tree) -> Table {
    let mut table = Table::new();
    tree.for_each(&mut |level, number, mut entity| {
        let mut add = |owner: u8, pairs: &[KeyValue]| {
            flatten_pairs_at(&mut table, (owner, number), pairs);
        };
        if let Some(attributes) = entity.attributes(false) {
            add(level as u8, attributes);
        }
        for owner in 4..=6 {
            entity.others(owner, &mut |pairs| add(owner, pairs));
        }
        if let Entity::Record(Record::Log(record)) = &entity
            && let Some(body) = &record.body
        {
            flatten("", body, None, table.entry((7, number)).or_default());
        }
    });
    table
}

fn flatten_pairs_at(table: &mut Table, at: (u8, usize), pairs: &[KeyValue]) {
    if !pairs.is_empty() {
        flatten_pairs(pairs, None, table.entry(at).or_default());
    }
}

fn shown_table(columns: &Columns, bytes: &[u8], live: &LiveRows) -> Table {
    let options = TableOptions::ALL;
    let gathered = columns.gather_table(bytes, options, live).unwrap();
    let mut table = Table::new();
    let mut position = Vec::new();
    for entry in 0..gathered.kinds.len() {
        let entity = gathered.entities[entry] as usize;
        let entity = match gathered.owners[entry] {
            0..3 => entity,
            _ => live.original(entity).unwrap(),
        };
        let group = table.entry((gathered.owners[entry], entity)).or_default();
        position.push(group.len());
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        group.push(Entry {
            parent: (gathered.parents[entry] as usize).checked_sub(1).map(|parent| position[parent]),
            key: text(gathered.keys.get(gathered.key_codes[entry] as usize).unwrap()),
            kind: ValueKind::from_code(gathered.kinds[entry]).unwrap(),
            text: text(gathered.text.get(entry).unwrap()),
            number: gathered.numbers[entry],
        });
        let original = gathered.original(entry).unwrap();
        assert_eq!(columns.entry_kind(original) as u8, gathered.kinds[entry]);
    }
    table
}

/// Checks that columns and table equal the tree, for some of the rows.
fn check(columns: &Columns, reads: &[Read], bytes: &[u8], tree: &mut Tree, live: &LiveRows) {
    for (index, read) in reads.iter().enumerate() {
        let mut values = held(tree, &read.field);
        if read.field.level == Level::Record {
            values = live.iter().map(|row| values[row].clone()).collect();
        }
        let column = columns.gather(bytes, index, live).unwrap();
        if let Gathered::Absent(entities) = column {
            assert_eq!(entities as usize, values.len(), "{}", read.field);
        }
        for (entity, held) in values.iter().enumerate() {
            let expected = expected(held, read.encoding);
            let shown = shown(&column, entity, &expected);
            assert_eq!(shown, expected, "{} as {:?} of {entity}", read.field, read.encoding);
        }
    }
    let mut table = expected_table(tree);
    table.retain(|(owner, entity), _| *owner < 3 || live.iter().any(|row| row == *entity));
    assert_eq!(shown_table(columns, bytes, live), table);
}

proptest! {
    #![proptest_config(cases(60))]

    #[test]
    fn equal_what_prost_decodes((seed, size) in seeds(), odd: bool) {
        let mut columns = Columns::new();
        for signal in SIGNALS {
            let bytes = request(signal, seed, size, odd);
            let mut tree = Tree::decode(signal, &bytes).unwrap().normal();
            let reads = all_reads(signal);
            let projection = Projection::new(signal, &reads, Some(TableRequest::ALL)).unwrap();
            columns.extract(&projection, &bytes);
            for level in LEVELS {
                prop_assert_eq!(columns.entities(level), tree.count(level));
            }
            check(&columns, &reads, &bytes, &mut tree, &LiveRows::all(columns.rows()));
            let mut dice = Dice::new(seed);
            let keep: Vec<u64> = (0..columns.rows().div_ceil(64)).map(|_| dice.next()).collect();
            check(&columns, &reads, &bytes, &mut tree, &LiveRows::from_bitmap(&keep, columns.rows()));
        }
    }

    #[test]
    fn a_single_read_equals_the_same_read_among_many((seed, size) in seeds(), odd: bool, pick: u64) {
        for signal in SIGNALS {
            let bytes = request(signal, seed, size, odd);
            let reads = all_reads(signal);
            let mut all = Columns::new();
            all.extract(&Projection::new(signal, &reads, Some(TableRequest::ALL)).unwrap(), &bytes);
            let live = LiveRows::all(all.rows());
            let mut dice = Dice::new(pick);
            for _ in 0..5 {
                let index = dice.below(reads.len());
                let mut one = Columns::new();
                one.extract(&Projection::new(signal, &reads[index..=index], None).unwrap(), &bytes);
                prop_assert_eq!(one.gather(&bytes, 0, &live), all.gather(&bytes, index, &live), "{}", reads[index].field);
            }
        }
    }

    #[test]
    fn rows_of_an_entity_stand_together((seed, size) in seeds(), odd: bool) {
        for signal in SIGNALS {
            let bytes = request(signal, seed, size, odd);
            let mut tree = Tree::decode(signal, &bytes).unwrap();
            let mut firsts: [Vec<u32>; 4] = Default::default();
            let mut scopes_of = Vec::new();
            let mut metrics_of = Vec::new();
            let mut counts = [0; 4];
            tree.for_each(&mut |level, _, _| {
                firsts[level as usize].push(counts[3]);
                match level {
                    Level::Resource => scopes_of.push(counts[1]),
                    Level::Scope => metrics_of.push(counts[2]),
                    _ => {}
                }
                counts[level as usize] += 1;
            });
            firsts.iter_mut().for_each(|list| list.push(counts[3]));
            scopes_of.push(counts[1]);
            let mut columns = Columns::new();
            columns.extract(&Projection::new(signal, &[], None).unwrap(), &bytes);
            prop_assert_eq!(columns.resource_rows(), &firsts[0]);
            prop_assert_eq!(columns.scope_rows(), &firsts[1]);
            prop_assert_eq!(columns.resource_scopes(), scopes_of);
            if signal == Signal::Metrics {
                metrics_of.push(counts[2]);
                prop_assert_eq!(columns.metric_rows(), &firsts[2]);
                prop_assert_eq!(columns.scope_metrics(), metrics_of);
            } else {
                prop_assert!(columns.metric_rows().is_empty() && columns.scope_metrics().is_empty());
            }
        }
    }

    #[test]
    fn a_table_has_lists_if_a_body_is_structured((seed, size) in seeds(), odd: bool) {
        let bytes = request(Signal::Logs, seed, size, odd);
        let asked = TableRequest { nested: false, ..TableRequest::ALL };
        let extracted = |lists| {
            let mut columns = Columns::new();
            columns.extract(&Projection::new(Signal::Logs, &[], Some(TableRequest { lists, ..asked })).unwrap(), &bytes);
            columns
        };
        let (full, lean) = (extracted(TableLists::Always), extracted(TableLists::StructuredBodies));
        let live = LiveRows::all(full.rows());
        let options = TableOptions { lists: TableLists::StructuredBodies, ..TableOptions::ALL };
        let (full, shown) = (full.gather_table(&bytes, TableOptions::ALL, &live), lean.gather_table(&bytes, options, &live));
        let table = full.as_ref().unwrap();
        let plain = [ValueKind::Text as u8, ValueKind::Empty as u8];
        let is_structured = |entry: usize| table.owners[entry] == BODY && !plain.contains(&table.kinds[entry]);
        if (0..table.entries).any(is_structured) {
            prop_assert_eq!(full, shown);
        } else if let Some(texts) = lean.table_texts() {
            prop_assert_eq!(texts.texts().len(), table.kinds.iter().filter(|kind| **kind == ValueKind::Text as u8).count());
        } else {
            // The structured body was replaced by another one.
            prop_assert!(odd);
        }
    }

    #[test]
    fn extraction_never_panics((seed, size) in seeds(), odd: bool, damage: u64) {
        let mut columns = Columns::new();
        for signal in SIGNALS {
            let mut bytes = request(signal, seed, size, odd);
            crate::validate::spoil(&mut bytes, damage);
            let reads = all_reads(signal);
            let projection = Projection::new(signal, &reads, Some(TableRequest::ALL)).unwrap();
            columns.extract(&projection, &bytes);
            let live = LiveRows::all(columns.rows());
            for read in 0..reads.len() {
                let _ = columns.gather(&bytes, read, &live);
            }
            let _ = columns.gather_table(&bytes, TableOptions::ALL, &live);
        }
    }
}

#[test]
fn each_owner_is_in_the_table_only_if_asked_for() {
    let switches: [fn(&mut TableRequest); 8] = [
        |table| table.resources = true,
        |table| table.scopes = true,
        |table| table.metrics = true,
        |table| table.records = true,
        |table| table.events = true,
        |table| table.links = true,
        |table| table.exemplars = true,
        |table| table.bodies = true,
    ];
    for signal in SIGNALS {
        for (owner, switch) in switches.iter().enumerate() {
            let mut table = TableRequest { nested: true, body_parts: true, ..TableRequest::default() };
            switch(&mut table);
            let bytes = request(signal, 7, 4, false);
            let mut columns = Columns::new();
            columns.extract(&Projection::new(signal, &[], Some(table)).unwrap(), &bytes);
            let mut expected = expected_table(&mut Tree::decode(signal, &bytes).unwrap().normal());
            expected.retain(|(of, _), _| usize::from(*of) == owner);
            assert_eq!(shown_table(&columns, &bytes, &LiveRows::all(columns.rows())), expected);
        }
    }
}

#[test]
fn nested_values_are_entries_only_if_asked_for() {
    let bytes = request(Signal::Logs, 7, 4, false);
    for (nested, body_parts) in [(false, false), (false, true), (true, false)] {
        let mut columns = Columns::new();
        let table = TableRequest { nested, body_parts, ..TableRequest::ALL };
        columns.extract(&Projection::new(Signal::Logs, &[], Some(table)).unwrap(), &bytes);
        let mut expected = expected_table(&mut Tree::decode(Signal::Logs, &bytes).unwrap().normal());
        for ((owner, _), entries) in &mut expected {
            let is_asked_for = if *owner == BODY { body_parts } else { nested };
            entries.retain(|entry| entry.parent.is_none() || is_asked_for);
        }
        assert_eq!(shown_table(&columns, &bytes, &LiveRows::all(columns.rows())), expected);
    }
}

#[test]
fn says_which_read_is_impossible() {
    let error = |signal, field: Field, encoding| {
        let read = Read { field, encoding };
        Projection::new(signal, &[read], None).err().map(|error| error.to_string())
    };
    let span_body = Field::intrinsic(Level::Record, Intrinsic::Body);
    assert_eq!(
        error(Signal::Traces, span_body, Encoding::Text),
        Some("record.body does not exist in this signal".into())
    );
    let name = Field::intrinsic(Level::Record, Intrinsic::Name);
    assert_eq!(error(Signal::Traces, name, Encoding::S64), Some("record.name can't be read as S64".into()));
    let metadata = Field::attribute(Level::Metric, "k");
    assert!(error(Signal::Logs, metadata.clone(), Encoding::Text).is_some());
    assert_eq!(error(Signal::Metrics, metadata, Encoding::Text), None);
}

#[test]
fn reads_columns_up_to_the_limit() {
    let read =
        |number: usize| Read { field: Field::attribute(Level::Record, format!("k{number}")), encoding: Encoding::Kind };
    let mut reads: Vec<_> = (0..sluice_wire::MAX_COLUMNS).map(read).collect();
    reads.push(read(0));
    assert!(Projection::new(Signal::Logs, &reads, None).is_ok(), "equal reads share a column");
    reads.push(read(reads.len()));
    assert_eq!(Projection::new(Signal::Logs, &reads, None).err(), Some(ProjectionError::TooManyColumns));
}

#[test]
fn finds_each_of_many_keys() {
    let bytes = sample::request(Signal::Traces, 10);
    let mut keys = vec!["http.request.method", "http.route", "server.address", "user.id", "url.full"];
    let others: Vec<_> = (0..40).map(|number| "x".repeat(number)).collect();
    keys.extend(others.iter().map(String::as_str));
    let read = |key: &&str| Read { field: Field::attribute(Level::Record, *key), encoding: Encoding::Text };
    let reads: Vec<_> = keys.iter().map(read).collect();
    let mut columns = Columns::new();
    columns.extract(&Projection::new(Signal::Traces, &reads, None).unwrap(), &bytes);
    for (index, key) in keys.iter().enumerate() {
        assert_eq!(columns.text(&bytes, index, 1).is_some(), index < 5, "{key}");
    }
    assert_eq!(columns.text(&bytes, 1, 1), Some("/api/v1/checkout"));
    assert_eq!(columns.text(&bytes, 2, 9), Some("shop.example.com"));
}

#[test]
fn texts_for_patterns_lead_back_to_their_entries() {
    let bytes = sample::request(Signal::Traces, 3);
    let table = TableRequest { records: true, ..TableRequest::default() };
    let mut columns = Columns::new();
    columns.extract(&Projection::new(Signal::Traces, &[], Some(table)).unwrap(), &bytes);
    let entries = (0..columns.entries() as u32).map(|entry| (entry + 100, entry));
    let (texts, numbers) = columns.separated_texts(&bytes, entries);
    let found = texts.bytes().windows(4).position(|window| window == b"1.1\xff").unwrap();
    let text = texts.offsets().iter().position(|offset| *offset as usize == found).unwrap();
    let entry = numbers[text] as usize - 100;
    assert_eq!(columns.entry_text(&bytes, entry), Some("1.1"));
    assert_eq!(columns.entry_field(&bytes, entry), Some(Field::attribute(Level::Record, "network.protocol.version")));
}

#[test]
fn an_entry_is_of_the_field_that_holds_it() {
    let mut logs = LogsWriter::new();
    logs.resource_logs(|resource| {
        resource.scope_logs(|scope| {
            scope.log_record(|record| {
                record.attribute("user", |value| value.map(|map| map.member("name", |value| value.text("a"))));
                record.body(|value| value.map(|map| map.member("name", |value| value.text("b"))));
            });
        });
    });
    let bytes = logs.finish();
    let mut columns = Columns::new();
    columns.extract(&Projection::new(Signal::Logs, &[], Some(TableRequest::ALL)).unwrap(), &bytes);
    let fields: Vec<_> = (0..columns.entries()).filter_map(|entry| columns.entry_field(&bytes, entry)).collect();
    let (user, body) = (Field::attribute(Level::Record, "user"), Field::intrinsic(Level::Record, Intrinsic::Body));
    assert_eq!(fields, [user.clone(), user, body.clone(), body]);
}
