//! A batch of telemetry as a stage sees it: rows, the entities above them, and the columns that were asked for.

pub(crate) mod columns;
pub(crate) mod table;

use std::cell::OnceCell;
use std::ops::Range;

use crate::bindings::sluice::plugin::types as wit;
use crate::bitmap::Bitmap;
use crate::host;
use crate::pattern::{Matches, Pattern};
use crate::setup::{Boolean, Bytes, Dictionary, F64, Header, Kind, S64, Text, U64};
use crate::texts::Texts;
use columns::{BooleanColumn, BytesColumn, DictionaryColumn, F64Column, KindColumn, S64Column, TextColumn, U64Column};
use table::Table;

/// A batch of telemetry. A row is a span, a log record or a data point.
#[derive(Debug)]
pub struct Batch {
    inner: wit::Batch,
    has_table: bool,
    resource_of: OnceCell<Vec<u32>>,
    scope_of: OnceCell<Vec<u32>>,
    metric_of: OnceCell<Vec<u32>>,
}

/// A table that was asked for, where its lists did not cross.
static NO_ENTRIES: wit::Table = wit::Table {
    owners: Vec::new(),
    entities: Vec::new(),
    key_codes: Vec::new(),
    keys: Texts { offsets: Vec::new(), bytes: Vec::new() },
    kinds: Vec::new(),
    parents: Vec::new(),
    text: Texts { offsets: Vec::new(), bytes: Vec::new() },
    numbers: Vec::new(),
};

/// A handle of another stage, or a host that breaks the contract.
const WRONG_COLUMN: &str = "the column has another encoding than its handle";

macro_rules! columns {
    ($($(#[$doc:meta])* $method:ident $handle:ident $column:ident;)*) => {
        impl Batch {
            $(
                $(#[$doc])*
                pub fn $method(&self, handle: $handle) -> $column<'_> {
                    $column::new(self.column(handle.0)).expect(WRONG_COLUMN)
                }
            )*
        }
    };
}

columns! {
    /// A column of text with few distinct values.
    dictionary Dictionary DictionaryColumn;
    /// A column of text.
    text Text TextColumn;
    /// A column of signed integers.
    s64 S64 S64Column;
    /// A column of unsigned integers.
    u64 U64 U64Column;
    /// A column of floating point numbers.
    f64 F64 F64Column;
    /// A column of booleans.
    boolean Boolean BooleanColumn;
    /// A column of bytes.
    bytes Bytes BytesColumn;
    /// A column of kinds.
    kind Kind KindColumn;
}

impl Batch {
    /// Wraps what the host passed. Of a table that was asked for the host may have left out the lists.
    pub(crate) fn new(inner: wit::Batch, has_table: bool) -> Self {
        let (resource_of, scope_of, metric_of) = (OnceCell::new(), OnceCell::new(), OnceCell::new());
        Self { inner, has_table, resource_of, scope_of, metric_of }
    }

    fn column(&self, number: usize) -> &wit::Column {
        self.inner.columns.as_ref().and_then(|columns| columns.get(number)).expect(WRONG_COLUMN)
    }

    fn extra<'a, T>(&'a self, find: impl Fn(&'a wit::Extra) -> Option<T>) -> Option<T> {
        self.inner.extras.iter().flatten().find_map(find)
    }

    /// How many rows there are.
    pub fn rows(&self) -> usize {
        self.inner.rows as usize
    }

    /// How many resources there are.
    pub fn resources(&self) -> usize {
        self.inner.resources as usize
    }

    /// How many instrumentation scopes there are.
    pub fn scopes(&self) -> usize {
        self.inner.scopes as usize
    }

    /// How many metrics there are; 0 for other signals.
    pub fn metrics(&self) -> usize {
        self.inner.metrics as usize
    }

    /// The rows of a resource.
    ///
    /// # Panics
    /// Unless `Setup::starts` was called.
    pub fn resource_rows(&self, resource: usize) -> Range<usize> {
        range(self.starts().0, resource)
    }

    /// The rows of an instrumentation scope.
    ///
    /// # Panics
    /// Unless `Setup::starts` was called.
    pub fn scope_rows(&self, scope: usize) -> Range<usize> {
        range(self.starts().1, scope)
    }

    /// The instrumentation scopes of a resource.
    ///
    /// # Panics
    /// Unless `Setup::starts` was called.
    pub fn resource_scopes(&self, resource: usize) -> Range<usize> {
        range(self.starts().2, resource)
    }

    /// The rows of a metric.
    ///
    /// # Panics
    /// Unless `Setup::starts` was called.
    pub fn metric_rows(&self, metric: usize) -> Range<usize> {
        range(self.starts().3, metric)
    }

    /// First rows of resources, first rows of scopes, first scopes of resources, first rows of metrics.
    fn starts(&self) -> (&[u32], &[u32], &[u32], &[u32]) {
        let starts = self.inner.starts.as_deref().expect("ask for it in configure: setup.starts()");
        let (resource_rows, rest) = starts.split_at(self.resources() + 1);
        let (scope_rows, rest) = rest.split_at(self.scopes() + 1);
        let (resource_scopes, metric_rows) = rest.split_at(self.resources() + 1);
        (resource_rows, scope_rows, resource_scopes, metric_rows)
    }

    /// The resource of a row.
    ///
    /// # Panics
    /// Unless `Setup::starts` was called.
    pub fn resource_of(&self, row: usize) -> usize {
        self.resource_of.get_or_init(|| owners(self.starts().0, self.rows()))[row] as usize
    }

    /// The instrumentation scope of a row.
    ///
    /// # Panics
    /// Unless `Setup::starts` was called.
    pub fn scope_of(&self, row: usize) -> usize {
        self.scope_of.get_or_init(|| owners(self.starts().1, self.rows()))[row] as usize
    }

    /// The metric of a row.
    ///
    /// # Panics
    /// If the signal is not metrics, or `Setup::starts` was not called.
    pub fn metric_of(&self, row: usize) -> usize {
        assert!(self.metrics() > 0, "only batches of metrics have metrics");
        self.metric_of.get_or_init(|| owners(self.starts().3, self.rows()))[row] as usize
    }

    /// When the batch was received, in nanoseconds since the epoch.
    pub fn received_unix_nano(&self) -> u64 {
        self.inner.received_unix_nano
    }

    /// The attribute table.
    ///
    /// # Panics
    /// If it was not asked for.
    pub fn table(&self) -> Table<'_> {
        let crossed = self.extra(|extra| if let wit::Extra::Table(table) = extra { Some(table) } else { None });
        Table(
            crossed.or(self.has_table.then_some(&NO_ENTRIES)).expect("ask for the table in configure: setup.table(..)"),
        )
    }

    /// The value of a request header; the first, if there are several.
    pub fn header(&self, header: Header) -> Option<&str> {
        let headers = self.extra(|extra| if let wit::Extra::Headers(headers) = extra { Some(headers) } else { None });
        headers?.get(header.0)?.as_deref()
    }

    /// The encoded request.
    ///
    /// # Panics
    /// If it was not asked for.
    pub fn raw(&self) -> &[u8] {
        let raw = self.extra(|extra| if let wit::Extra::Raw(raw) = extra { Some(raw) } else { None });
        raw.expect("ask for the encoded request in configure: setup.raw()")
    }

    /// Searches the texts of the attribute table, or of some of its entries. Runs on the host, over the whole column
    /// at once; the texts need not cross to the guest.
    pub fn find(&self, pattern: Pattern, entries: Option<&Bitmap>) -> Matches {
        host::find_in_table(pattern.0, entries.map(Bitmap::words))
    }

    /// The texts of some entries of the attribute table, which need not have been asked for.
    pub fn table_text(&self, entries: &[u32]) -> Texts {
        host::table_text(entries)
    }
}

fn range(offsets: &[u32], i: usize) -> Range<usize> {
    offsets[i] as usize..offsets[i + 1] as usize
}

fn owners(offsets: &[u32], rows: usize) -> Vec<u32> {
    let mut owners = Vec::with_capacity(rows);
    for (owner, end) in offsets.iter().skip(1).enumerate() {
        owners.resize(*end as usize, owner as u32);
    }
    owners
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_owner_of_a_row_past_empty_ones() {
        assert_eq!(owners(&[0, 2, 2, 3], 3), [0, 0, 2]);
        assert_eq!(owners(&[0], 0), Vec::<u32>::new());
    }
}
