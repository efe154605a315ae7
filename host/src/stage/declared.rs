//! What a configured plugin declared: the fields that it reads and may write, in the wire format's terms.

use sluice_wire::{
    Encoding, Field, Intrinsic, Level, Projection, Read, Selector, TableLists, TableOptions, TableRequest,
};

use super::bindings::sluice::plugin::types;
use crate::model::Signal;

/// Columns that one plugin may ask for.
const MAX_READS: usize = 1_024;
const MAX_HEADERS: usize = 64;

/// A checked projection.
#[derive(Clone, Debug)]
pub(super) struct Declared {
    /// The columns, in the order in which the plugin gets them.
    pub(super) reads: Vec<Read>,
    /// Whether it learns where entities start.
    pub(super) starts: bool,
    pub(super) table: Option<Table>,
    pub(super) raw: bool,
    pub(super) headers: Vec<String>,
    pub(super) writes: Writes,
    /// If present: the call is only worth making if some row has one of these.
    pub(super) when_attributes: Option<Vec<Field>>,
}

/// A request for the attribute table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Table {
    pub(super) request: TableRequest,
    pub(super) options: TableOptions,
}

/// What a plugin may edit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Writes {
    Fields(Vec<Field>),
    AttributesAnd(Vec<Field>),
    Everything,
}

impl Declared {
    /// Checks what a plugin declared for a signal.
    ///
    /// # Errors
    /// The first thing that makes no sense.
    pub(super) fn new(signal: Signal, projection: types::Projection) -> Result<Self, String> {
        let types::Projection { reads, starts, table, raw, headers, writes, when_attributes } = projection;
        if reads.len() > MAX_READS {
            return Err(format!("it reads {} columns, {MAX_READS} are allowed", reads.len()));
        }
        if headers.len() > MAX_HEADERS {
            return Err(format!("it reads {} headers, {MAX_HEADERS} are allowed", headers.len()));
        }
        if let Some(keys) = when_attributes.as_ref().filter(|keys| keys.len() > MAX_READS) {
            return Err(format!("it names {} attributes in when-attributes, {MAX_READS} are allowed", keys.len()));
        }
        let read = |read: types::Read| -> Result<Read, String> {
            Ok(Read { field: field(read.field)?, encoding: encoding(read.encoding) })
        };
        let declared = Self {
            reads: reads.into_iter().map(read).collect::<Result<_, _>>()?,
            starts,
            table: table.map(self::table),
            raw,
            headers: headers.into_iter().map(|header| header.to_ascii_lowercase()).collect(),
            writes: self::writes(writes)?,
            when_attributes: when_attributes.map(fields).transpose()?,
        };
        declared.check(signal)?;
        Ok(declared)
    }

    /// All columns to extract: those that the plugin gets, then those that decide whether it is called.
    pub(super) fn all_reads(&self) -> impl Iterator<Item = Read> + '_ {
        let when = self.when_attributes.iter().flatten();
        let kinds = when.map(|field| Read { field: field.clone(), encoding: Encoding::Kind });
        self.reads.iter().cloned().chain(kinds)
    }

    fn check(&self, signal: Signal) -> Result<(), String> {
        let reads: Vec<Read> = self.all_reads().collect();
        Projection::new(signal, &reads, self.table.map(|table| table.request)).map_err(|error| error.to_string())?;
        let (Writes::Fields(written) | Writes::AttributesAnd(written)) = &self.writes else { return Ok(()) };
        let impossible = written.iter().find(|field| match &field.selector {
            Selector::Intrinsic(intrinsic) => {
                intrinsic.available(signal, field.level).is_none() || !intrinsic.writable()
            }
            Selector::Attribute(_) => field.level == Level::Metric && signal != Signal::Metrics,
        });
        impossible.map_or(Ok(()), |field| Err(format!("it writes {field}, which can't be written in this signal")))
    }
}

impl Writes {
    /// Whether a field may be edited.
    pub(super) fn allows(&self, field: &Field) -> bool {
        match self {
            Self::Fields(fields) => fields.contains(field),
            Self::AttributesAnd(fields) => is_attribute_or_body(field) || fields.contains(field),
            Self::Everything => true,
        }
    }
}

fn is_attribute_or_body(field: &Field) -> bool {
    matches!(field.selector, Selector::Attribute(_) | Selector::Intrinsic(Intrinsic::Body))
}

/// Names a field in the wire format's terms.
///
/// # Errors
/// If there is no field with this path.
pub(super) fn field(field: types::Field) -> Result<Field, String> {
    let selector = match field.selector {
        types::Selector::Attribute(key) => Selector::Attribute(key),
        types::Selector::Intrinsic(path) => {
            Selector::Intrinsic(path.parse().map_err(|_| format!("there is no field {path:?}"))?)
        }
    };
    Ok(Field { level: level(field.level), selector })
}

pub(super) fn level(level: types::Level) -> Level {
    match level {
        types::Level::Resource => Level::Resource,
        types::Level::Scope => Level::Scope,
        types::Level::Metric => Level::Metric,
        types::Level::Record => Level::Record,
    }
}

fn fields(named: Vec<types::Field>) -> Result<Vec<Field>, String> {
    named.into_iter().map(field).collect()
}

fn writes(writes: types::Writes) -> Result<Writes, String> {
    Ok(match writes {
        types::Writes::Nothing => Writes::Fields(Vec::new()),
        types::Writes::Fields(named) => Writes::Fields(fields(named)?),
        types::Writes::AttributesAnd(named) => Writes::AttributesAnd(fields(named)?),
        types::Writes::Everything => Writes::Everything,
    })
}

fn table(asked: types::TableRequest) -> Table {
    let request = TableRequest {
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
    };
    let options = TableOptions {
        text: asked.text,
        numbers: asked.numbers,
        parents: asked.nested || asked.body_parts,
        lists: lists(asked.lists),
    };
    Table { request, options }
}

fn lists(lists: types::TableLists) -> TableLists {
    match lists {
        types::TableLists::Always => TableLists::Always,
        types::TableLists::StructuredBodies => TableLists::StructuredBodies,
        types::TableLists::Never => TableLists::Never,
    }
}

fn encoding(encoding: types::Encoding) -> Encoding {
    match encoding {
        types::Encoding::Dictionary => Encoding::Dictionary,
        types::Encoding::Text => Encoding::Text,
        types::Encoding::S64 => Encoding::S64,
        types::Encoding::U64 => Encoding::U64,
        types::Encoding::F64 => Encoding::F64,
        types::Encoding::Boolean => Encoding::Boolean,
        types::Encoding::Bytes => Encoding::Bytes,
        types::Encoding::Kind => Encoding::Kind,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nothing() -> types::Projection {
        types::Projection {
            reads: Vec::new(),
            starts: false,
            table: None,
            raw: false,
            headers: Vec::new(),
            writes: types::Writes::Nothing,
            when_attributes: None,
        }
    }

    fn intrinsic(level: types::Level, path: &str) -> types::Field {
        types::Field { level, selector: types::Selector::Intrinsic(path.into()) }
    }

    #[test]
    fn refuses_what_makes_no_sense_for_the_signal() {
        let read = |path: &str, encoding| types::Projection {
            reads: vec![types::Read { field: intrinsic(types::Level::Record, path), encoding }],
            ..nothing()
        };
        let write = |path: &str| types::Projection {
            writes: types::Writes::Fields(vec![intrinsic(types::Level::Metric, path)]),
            ..nothing()
        };
        let cases = [
            (Signal::Logs, read("spanid", types::Encoding::Text), "there is no field \"spanid\""),
            (Signal::Logs, read("kind", types::Encoding::S64), "record.kind does not exist in this signal"),
            (Signal::Traces, read("name", types::Encoding::S64), "record.name can't be read as S64"),
            (Signal::Metrics, write("type"), "it writes metric.type, which can't be written in this signal"),
            (Signal::Traces, write("name"), "it writes metric.name, which can't be written in this signal"),
        ];
        for (signal, projection, expected) in cases {
            assert_eq!(Declared::new(signal, projection).map(drop), Err(expected.to_owned()));
        }
        assert!(Declared::new(Signal::Metrics, write("name")).is_ok());
    }

    #[test]
    fn takes_1024_columns_and_not_one_more() {
        let reads = |n: usize| types::Projection {
            reads: (0..n)
                .map(|i| types::Read {
                    field: types::Field {
                        level: types::Level::Record,
                        selector: types::Selector::Attribute(i.to_string()),
                    },
                    encoding: types::Encoding::Text,
                })
                .collect(),
            ..nothing()
        };
        assert!(Declared::new(Signal::Logs, reads(MAX_READS)).is_ok());
        assert!(Declared::new(Signal::Logs, reads(MAX_READS + 1)).is_err());
    }

    #[test]
    fn allows_the_declared_writes_only() {
        let tenant = Field::attribute(Level::Resource, "tenant");
        let (body, name) =
            (Field::intrinsic(Level::Record, Intrinsic::Body), Field::intrinsic(Level::Record, Intrinsic::Name));
        let cases = [
            (Writes::Fields(vec![]), [false, false, false]),
            (Writes::Fields(vec![tenant.clone()]), [true, false, false]),
            (Writes::AttributesAnd(vec![]), [true, true, false]),
            (Writes::AttributesAnd(vec![name.clone()]), [true, true, true]),
            (Writes::Everything, [true, true, true]),
        ];
        for (writes, expected) in cases {
            assert_eq!([&tenant, &body, &name].map(|field| writes.allows(field)), expected, "{writes:?}");
        }
    }
}
