//! What a stage declares while it is configured: the fields that it reads and writes, and its patterns.

use crate::bindings::sluice::plugin::types as wit;
use crate::field::Field;
use crate::go_pattern;
use crate::host;
use crate::pattern::Pattern;
use wit::Signal;
pub use wit::{Encoding, TableLists, TableRequest, Writes};

/// Columns that a stage may read, by the contract.
pub const MAX_COLUMNS: usize = 1_024;

/// Takes a stage's declarations and gives handles for what it will read.
#[derive(Debug)]
pub struct Setup {
    signal: Signal,
    projection: wit::Projection,
}

/// A request header that the stage reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header(pub(crate) usize);

macro_rules! handles {
    ($($(#[$doc:meta])* $handle:ident $method:ident $encoding:ident;)*) => {
        $(
            $(#[$doc])*
            #[derive(Clone, Copy, Debug, PartialEq, Eq)]
            pub struct $handle(pub(crate) usize);
        )*

        impl Setup {
            $(
                $(#[$doc])*
                pub fn $method(&mut self, field: Field) -> $handle {
                    $handle(self.read(field, Encoding::$encoding))
                }
            )*
        }
    };
}

handles! {
    /// A column of text with few distinct values.
    Dictionary dictionary Dictionary;
    /// A column of text.
    Text text Text;
    /// A column of signed integers; also of enumerations such as a span's kind.
    S64 s64 S64;
    /// A column of unsigned integers: times, counts, flags.
    U64 u64 U64;
    /// A column of floating point numbers.
    F64 f64 F64;
    /// A column of booleans.
    Boolean boolean Boolean;
    /// A column of bytes: ids, byte values, encoded arrays and maps.
    Bytes bytes Bytes;
    /// A column that tells what kind of value stands there.
    Kind kind Kind;
}

impl Setup {
    /// Starts with no declaration.
    pub(crate) fn new(signal: Signal) -> Self {
        let projection = wit::Projection {
            reads: Vec::new(),
            starts: false,
            table: None,
            raw: false,
            headers: Vec::new(),
            writes: Writes::Nothing,
            when_attributes: None,
        };
        Self { signal, projection }
    }

    /// The signal that this instance will process.
    pub fn signal(&self) -> Signal {
        self.signal
    }

    /// Asks where resources, scopes and metrics start, for `Batch::resource_rows` and its like.
    pub fn starts(&mut self) {
        self.projection.starts = true;
    }

    /// Asks for the flattened table of attributes. A second request widens the first.
    pub fn table(&mut self, request: TableRequest) {
        let asked = self.projection.table.get_or_insert(TableRequest { lists: request.lists, ..Default::default() });
        asked.resources |= request.resources;
        asked.scopes |= request.scopes;
        asked.metrics |= request.metrics;
        asked.records |= request.records;
        asked.events |= request.events;
        asked.links |= request.links;
        asked.exemplars |= request.exemplars;
        asked.bodies |= request.bodies;
        asked.nested |= request.nested;
        asked.body_parts |= request.body_parts;
        asked.text |= request.text;
        asked.numbers |= request.numbers;
        asked.lists = match (asked.lists, request.lists) {
            (TableLists::Always, _) | (_, TableLists::Always) => TableLists::Always,
            (TableLists::Never, TableLists::Never) => TableLists::Never,
            _ => TableLists::StructuredBodies,
        };
    }

    /// Asks for a request header; case does not matter.
    pub fn header(&mut self, name: &str) -> Header {
        let name = name.to_ascii_lowercase();
        let headers = &mut self.projection.headers;
        Header(headers.iter().position(|header| *header == name).unwrap_or_else(|| {
            headers.push(name);
            headers.len() - 1
        }))
    }

    /// Declares which fields the stage may edit. Without it, none; a second declaration widens the first.
    pub fn writes(&mut self, writes: Writes) {
        let declared = std::mem::replace(&mut self.projection.writes, Writes::Nothing);
        self.projection.writes = match (declared, writes) {
            (Writes::Nothing, one) | (one, Writes::Nothing) => one,
            (Writes::Everything, _) | (_, Writes::Everything) => Writes::Everything,
            (Writes::Fields(one), Writes::Fields(other)) => Writes::Fields([one, other].concat()),
            (
                Writes::Fields(one) | Writes::AttributesAnd(one),
                Writes::Fields(other) | Writes::AttributesAnd(other),
            ) => Writes::AttributesAnd([one, other].concat()),
        };
    }

    /// Skips batches in which no row has any of these attributes, nor any of those that were named before.
    pub fn when_attributes(&mut self, fields: impl IntoIterator<Item = Field>) {
        self.projection.when_attributes.get_or_insert_default().extend(fields);
    }

    /// Asks for the encoded request itself, as OTLP protobuf.
    pub fn raw(&mut self) {
        self.projection.raw = true;
    }

    /// Compiles a pattern on the host.
    ///
    /// # Errors
    /// What is wrong with the pattern, for the user.
    pub fn regex(&mut self, pattern: &str) -> Result<Pattern, String> {
        host::compile(pattern).map(Pattern)
    }

    /// Compiles a pattern that is written as for the Collector, in Go's dialect.
    ///
    /// # Errors
    /// What is wrong with the pattern, in terms of what is written where that can be said.
    pub fn go_regex(&mut self, pattern: &str) -> Result<Pattern, String> {
        let translated = go_pattern::translate(pattern)?.pattern;
        self.regex(&translated).map_err(|message| self.regex(pattern).err().unwrap_or(message))
    }

    /// The declarations.
    pub(crate) fn into_projection(self) -> wit::Projection {
        self.projection
    }

    fn read(&mut self, field: Field, encoding: Encoding) -> usize {
        let read = wit::Read { field, encoding };
        let reads = &mut self.projection.reads;
        reads.iter().position(|earlier| *earlier == read).unwrap_or_else(|| {
            reads.push(read);
            reads.len() - 1
        })
    }
}

// `TableRequest` is a generated type of the contract; nothing asked for is its natural start.
#[allow(clippy::derivable_impls)]
impl Default for TableRequest {
    fn default() -> Self {
        Self {
            resources: false,
            scopes: false,
            metrics: false,
            records: false,
            events: false,
            links: false,
            exemplars: false,
            bodies: false,
            nested: false,
            body_parts: false,
            text: false,
            numbers: false,
            lists: TableLists::Always,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn asks_for_a_column_and_a_header_once() {
        let mut setup = Setup::new(Signal::Logs);
        assert_eq!(setup.text(Field::record("a")), setup.text(Field::record("a")));
        assert_eq!(setup.s64(Field::record("a")), S64(1));
        assert_eq!(setup.header("X-Tenant"), setup.header("x-tenant"));
        let projection = setup.into_projection();
        assert_eq!((projection.reads.len(), projection.headers), (2, vec!["x-tenant".to_owned()]));
    }

    #[test]
    fn widens_the_table_with_every_request() {
        let mut setup = Setup::new(Signal::Logs);
        setup.table(TableRequest { bodies: true, ..Default::default() });
        setup.table(TableRequest { records: true, ..Default::default() });
        let asked = setup.into_projection().table.expect("asked for");
        assert!(asked.bodies && asked.records && !asked.text && asked.lists == TableLists::Always);
    }

    #[test]
    fn may_edit_what_any_declaration_names() {
        use Writes::{AttributesAnd, Everything, Fields, Nothing};
        let fields = |keys: &[&str]| keys.iter().map(|key| Field::record(*key)).collect::<Vec<_>>();
        let (a, b, both) = (fields(&["a"]), fields(&["b"]), fields(&["a", "b"]));
        for (first, second, expected) in [
            (Fields(a.clone()), Fields(b.clone()), Fields(both.clone())),
            (Fields(a.clone()), AttributesAnd(b.clone()), AttributesAnd(both.clone())),
            (AttributesAnd(a.clone()), Fields(b.clone()), AttributesAnd(both)),
            (Fields(a.clone()), Nothing, Fields(a.clone())),
            (Everything, Fields(b), Everything),
            (Nothing, Everything, Everything),
        ] {
            let mut setup = Setup::new(Signal::Logs);
            setup.writes(first);
            setup.writes(second);
            assert_eq!(setup.into_projection().writes, expected);
        }
    }

    #[test]
    fn waits_for_any_attribute_that_was_named() {
        let mut setup = Setup::new(Signal::Logs);
        setup.when_attributes([Field::record("a")]);
        setup.when_attributes([Field::record("b")]);
        let expected = vec![Field::record("a"), Field::record("b")];
        assert_eq!(setup.into_projection().when_attributes, Some(expected));
    }

    #[test]
    fn has_lists_wherever_one_request_needs_them() {
        use TableLists::{Always, Never, StructuredBodies};
        for (first, second, both) in [
            (Never, Never, Never),
            (Never, StructuredBodies, StructuredBodies),
            (StructuredBodies, StructuredBodies, StructuredBodies),
            (StructuredBodies, Always, Always),
            (Never, Always, Always),
        ] {
            for (one, other) in [(first, second), (second, first)] {
                let mut setup = Setup::new(Signal::Logs);
                setup.table(TableRequest { lists: one, ..Default::default() });
                setup.table(TableRequest { lists: other, ..Default::default() });
                assert_eq!(setup.into_projection().table.map(|asked| asked.lists), Some(both));
            }
        }
    }
}
