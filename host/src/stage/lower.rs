//! Turns the columns of a batch into what one plugin gets: its own columns, for the rows that are still there.

use std::sync::Arc;

use sluice_wire::{BytesColumn, Columns, Gathered, GatheredTable, LiveRows, NumberColumn, Texts};

use super::bindings::sluice::plugin::types;
use super::declared::Declared;
use super::patterns::Haystack;
use crate::model::Context;

/// A batch as one plugin gets it.
pub(super) struct Lowered {
    rows: u32,
    resources: u32,
    scopes: u32,
    metrics: u32,
    /// None if they were not asked for.
    starts: Option<Vec<u32>>,
    columns: Vec<Gathered>,
    /// Its entries know their original numbers.
    pub(super) table: Option<GatheredTable>,
}

/// What does not stand in columns.
#[derive(Clone, Copy)]
pub(super) struct Beside<'a> {
    pub(super) bytes: &'a [u8],
    pub(super) context: &'a Context,
    pub(super) received_unix_nano: u64,
}

impl Lowered {
    /// Gathers what a plugin declared. Its first read is read number `first_read` of the projection.
    pub(super) fn gather(
        columns: &Columns,
        bytes: &[u8],
        declared: &Declared,
        first_read: usize,
        live: &LiveRows,
    ) -> Self {
        let reads = first_read..first_read + declared.reads.len();
        Self {
            rows: live.len() as u32,
            resources: columns.resources() as u32,
            scopes: columns.scopes() as u32,
            metrics: columns.metrics() as u32,
            starts: declared.starts.then(|| columns.starts(live)),
            columns: reads.filter_map(|read| columns.gather(bytes, read, live)).collect(),
            table: declared.table.and_then(|table| columns.gather_table(bytes, table.options, live)),
        }
    }

    /// The texts of the table, for patterns to search.
    pub(super) fn haystack(&self, columns: &Columns, bytes: &[u8], live: &LiveRows) -> Haystack {
        if let Some(texts) = columns.table_texts() {
            return Haystack::of_table(Arc::clone(texts), live.clone());
        }
        let entries = self.table.as_ref().map_or(0, |table| table.entries);
        let numbered = |entry: u32| {
            let original = self.table.as_ref().and_then(|table| table.original(entry as usize));
            original.map(|original| (entry, original as u32))
        };
        let (texts, numbers) = columns.separated_texts(bytes, (0..entries as u32).filter_map(numbered));
        Haystack::of_entries(texts, numbers, entries)
    }

    /// Calls with the batch in the contract's terms.
    pub(super) fn with_batch<T>(
        &self,
        declared: &Declared,
        beside: Beside<'_>,
        call: impl FnOnce(types::Batch<'_>) -> T,
    ) -> T {
        let columns: Vec<types::Column<'_>> = self.columns.iter().map(column).collect();
        let header = |name: &String| {
            let found = beside.context.headers.iter().find(|(header, _)| header == name);
            found.map(|(_, value)| value.as_str())
        };
        let headers: Vec<Option<&str>> = declared.headers.iter().map(header).collect();
        let table = self.table.as_ref().filter(|gathered| !gathered.owners.is_empty()).map(table);
        let extras = [
            table.map(types::Extra::Table),
            declared.raw.then_some(types::Extra::Raw(beside.bytes)),
            (!headers.is_empty()).then_some(types::Extra::Headers(&headers)),
        ];
        let extras: Vec<types::Extra<'_>> = extras.into_iter().flatten().collect();
        call(types::Batch {
            rows: self.rows,
            resources: self.resources,
            scopes: self.scopes,
            metrics: self.metrics,
            received_unix_nano: beside.received_unix_nano,
            starts: self.starts.as_deref(),
            columns: (!columns.is_empty()).then_some(&columns),
            extras: (!extras.is_empty()).then_some(&extras),
        })
    }
}

fn column(column: &Gathered) -> types::Column<'_> {
    match column {
        Gathered::Dictionary(column) => {
            types::Column::Dictionary(types::DictionaryColumn { codes: &column.codes, values: texts(&column.values) })
        }
        Gathered::Text(column) => types::Column::Text(bytes_column(column)),
        Gathered::Bytes(column) => types::Column::Bytes(bytes_column(column)),
        Gathered::S64(NumberColumn { present, values }) => types::Column::S64(types::S64Column { present, values }),
        Gathered::U64(NumberColumn { present, values }) => types::Column::U64(types::U64Column { present, values }),
        Gathered::F64(NumberColumn { present, values }) => types::Column::F64(types::F64Column { present, values }),
        Gathered::Boolean(NumberColumn { present, values }) => {
            types::Column::Boolean(types::BooleanColumn { present, values })
        }
        Gathered::Kind(kinds) => types::Column::Kind(kinds),
        Gathered::Uniform { length, bytes } => types::Column::Uniform(types::UniformColumn { length: *length, bytes }),
        Gathered::Absent(entities) => types::Column::Absent(*entities),
    }
}

fn table(table: &GatheredTable) -> types::Table<'_> {
    types::Table {
        owners: &table.owners,
        entities: &table.entities,
        key_codes: &table.key_codes,
        keys: texts(&table.keys),
        kinds: &table.kinds,
        parents: &table.parents,
        text: texts(&table.text),
        numbers: &table.numbers,
    }
}

fn texts(texts: &Texts) -> types::TextsParam<'_> {
    types::TextsParam { offsets: &texts.offsets, bytes: &texts.bytes }
}

fn bytes_column(column: &BytesColumn) -> types::BytesColumn<'_> {
    types::BytesColumn { present: &column.present, offsets: &column.values.offsets, bytes: &column.values.bytes }
}
