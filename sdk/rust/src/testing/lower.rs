//! Columns of a request as a stage gets them from the host.

use sluice_wire::{self as wire, Columns, Gathered, LiveRows, Projection};

use crate::bindings::sluice::plugin::types as wit;
use crate::texts::Texts;

/// Prepares the extraction: the columns, then the kinds of the attributes that the stage waits for.
pub(super) fn projection(signal: wit::Signal, declared: &wit::Projection) -> Result<Projection, String> {
    let mut reads = Vec::new();
    for read in &declared.reads {
        reads.push(wire::Read { field: field(&read.field)?, encoding: encoding(read.encoding) });
    }
    for waited in declared.when_attributes.iter().flatten() {
        reads.push(wire::Read { field: field(waited)?, encoding: wire::Encoding::Kind });
    }
    check_writes(signal, &declared.writes)?;
    Projection::new(self::signal(signal), &reads, declared.table.map(table_request)).map_err(|error| error.to_string())
}

/// Refuses writes of what the signal does not have, and of what can't be written.
fn check_writes(signal: wit::Signal, writes: &wit::Writes) -> Result<(), String> {
    let (wit::Writes::Fields(fields) | wit::Writes::AttributesAnd(fields)) = writes else { return Ok(()) };
    for field in fields {
        let field = self::field(field)?;
        let is_possible = match &field.selector {
            wire::Selector::Intrinsic(intrinsic) => {
                intrinsic.available(self::signal(signal), field.level).is_some() && intrinsic.writable()
            }
            wire::Selector::Attribute(_) => field.level != wire::Level::Metric || signal == wit::Signal::Metrics,
        };
        if !is_possible {
            return Err(format!("it writes {field}, which can't be written in this signal"));
        }
    }
    Ok(())
}

/// Whether some entity has an attribute that the stage waits for.
pub(super) fn is_worth_calling(columns: &Columns, declared: &wit::Projection) -> bool {
    let Some(waited) = &declared.when_attributes else { return true };
    waited.iter().enumerate().any(|(i, field)| {
        let read = declared.reads.len() + i;
        let entities = 0..columns.entities(level(field.level));
        entities.into_iter().any(|entity| columns.kind(read, entity) != wire::ValueKind::Absent)
    })
}

/// The batch that a stage sees.
pub(super) fn batch(
    columns: &Columns,
    bytes: &[u8],
    declared: &wit::Projection,
    headers: &[(String, String)],
    received_unix_nano: u64,
) -> wit::Batch {
    let live = LiveRows::all(columns.rows());
    let header = |name: &String| headers.iter().find(|(header, _)| header == name).map(|(_, value)| value.clone());
    let reads = 0..declared.reads.len();
    let lowered: Vec<wit::Column> = reads.filter_map(|read| columns.gather(bytes, read, &live)).map(column).collect();
    let extras = [
        declared.table.and_then(|asked| table(columns, bytes, asked)).map(wit::Extra::Table),
        declared.raw.then(|| wit::Extra::Raw(bytes.to_vec())),
        (!declared.headers.is_empty()).then(|| wit::Extra::Headers(declared.headers.iter().map(header).collect())),
    ];
    let extras: Vec<wit::Extra> = extras.into_iter().flatten().collect();
    wit::Batch {
        rows: columns.rows() as u32,
        resources: columns.resources() as u32,
        scopes: columns.scopes() as u32,
        metrics: columns.metrics() as u32,
        received_unix_nano,
        starts: declared.starts.then(|| columns.starts(&live)),
        columns: (!lowered.is_empty()).then_some(lowered),
        extras: (!extras.is_empty()).then_some(extras),
    }
}

/// The texts of all entries of the table, whether the stage asked for them or not.
pub(super) fn table_texts(columns: &Columns, bytes: &[u8]) -> Texts {
    (0..columns.entries()).map(|entry| columns.entry_text(bytes, entry).unwrap_or_default()).collect()
}

pub(super) fn signal(signal: wit::Signal) -> wire::Signal {
    match signal {
        wit::Signal::Traces => wire::Signal::Traces,
        wit::Signal::Metrics => wire::Signal::Metrics,
        wit::Signal::Logs => wire::Signal::Logs,
    }
}

pub(super) fn level(level: wit::Level) -> wire::Level {
    match level {
        wit::Level::Resource => wire::Level::Resource,
        wit::Level::Scope => wire::Level::Scope,
        wit::Level::Metric => wire::Level::Metric,
        wit::Level::Record => wire::Level::Record,
    }
}

pub(super) fn field(field: &wit::Field) -> Result<wire::Field, String> {
    let selector = match &field.selector {
        wit::Selector::Attribute(key) => wire::Selector::Attribute(key.clone()),
        wit::Selector::Intrinsic(path) => {
            wire::Selector::Intrinsic(path.parse().map_err(|_| format!("there is no field {path:?}"))?)
        }
    };
    Ok(wire::Field { level: level(field.level), selector })
}

fn encoding(encoding: wit::Encoding) -> wire::Encoding {
    match encoding {
        wit::Encoding::Dictionary => wire::Encoding::Dictionary,
        wit::Encoding::Text => wire::Encoding::Text,
        wit::Encoding::S64 => wire::Encoding::S64,
        wit::Encoding::U64 => wire::Encoding::U64,
        wit::Encoding::F64 => wire::Encoding::F64,
        wit::Encoding::Boolean => wire::Encoding::Boolean,
        wit::Encoding::Bytes => wire::Encoding::Bytes,
        wit::Encoding::Kind => wire::Encoding::Kind,
    }
}

fn table_request(asked: wit::TableRequest) -> wire::TableRequest {
    wire::TableRequest {
        resources: asked.resources,
        scopes: asked.scopes,
        metrics: asked.metrics,
        records: asked.records,
        events: asked.events,
        links: asked.links,
        exemplars: asked.exemplars,
        bodies: asked.bodies,
        nested: asked.nested,
        body_parts: asked.body_parts,
        lists: lists(asked.lists),
    }
}

fn lists(lists: wit::TableLists) -> wire::TableLists {
    match lists {
        wit::TableLists::Always => wire::TableLists::Always,
        wit::TableLists::StructuredBodies => wire::TableLists::StructuredBodies,
        wit::TableLists::Never => wire::TableLists::Never,
    }
}

fn table(columns: &Columns, bytes: &[u8], asked: wit::TableRequest) -> Option<wit::Table> {
    let options = wire::TableOptions {
        text: asked.text,
        numbers: asked.numbers,
        parents: asked.nested || asked.body_parts,
        lists: lists(asked.lists),
    };
    let table = columns.gather_table(bytes, options, &LiveRows::all(columns.rows()))?;
    (!table.owners.is_empty()).then(|| wit::Table {
        owners: table.owners,
        entities: table.entities,
        key_codes: table.key_codes,
        keys: texts(table.keys),
        kinds: table.kinds,
        parents: table.parents,
        text: texts(table.text),
        numbers: table.numbers,
    })
}

fn column(column: Gathered) -> wit::Column {
    match column {
        Gathered::Dictionary(wire::DictionaryColumn { codes, values }) => {
            wit::Column::Dictionary(wit::DictionaryColumn { codes, values: texts(values) })
        }
        Gathered::Text(column) => wit::Column::Text(bytes_column(column)),
        Gathered::Bytes(column) => wit::Column::Bytes(bytes_column(column)),
        Gathered::S64(wire::NumberColumn { present, values }) => wit::Column::S64(wit::S64Column { present, values }),
        Gathered::U64(wire::NumberColumn { present, values }) => wit::Column::U64(wit::U64Column { present, values }),
        Gathered::F64(wire::NumberColumn { present, values }) => wit::Column::F64(wit::F64Column { present, values }),
        Gathered::Boolean(wire::NumberColumn { present, values }) => {
            wit::Column::Boolean(wit::BooleanColumn { present, values })
        }
        Gathered::Kind(kinds) => wit::Column::Kind(kinds),
        Gathered::Uniform { length, bytes } => wit::Column::Uniform(wit::UniformColumn { length, bytes }),
        Gathered::Absent(entities) => wit::Column::Absent(entities),
    }
}

fn bytes_column(column: wire::BytesColumn) -> wit::BytesColumn {
    let wire::Texts { offsets, bytes } = column.values;
    wit::BytesColumn { present: column.present, offsets, bytes }
}

fn texts(texts: wire::Texts) -> Texts {
    Texts { offsets: texts.offsets, bytes: texts.bytes }
}
