//! What shall be extracted from batches, prepared as tables that drive the walk.

use alloc::boxed::Box;
use alloc::vec;
use alloc::vec::Vec;

use crate::Signal;
use crate::field::{Encoding, Field, Intrinsic, Level, Read, Selector, TableRequest};
use crate::place::{self, Place, Scalar};
use crate::schema::{self, Table};

/// What to do with a field during the walk. Up to `FIXED32` the numbers are those of the wire types' actions.
pub(crate) mod step {
    pub(crate) const VARINT: u8 = 0;
    pub(crate) const FIXED64: u8 = 1;
    pub(crate) const SKIP: u8 = 2;
    pub(crate) const FIXED32: u8 = 3;
    /// What validated bytes don't have.
    pub(crate) const STOP: u8 = 4;
    /// The body of a log record.
    pub(crate) const BODY: u8 = 5;
    /// A metric's data; the message follows from the field.
    pub(crate) const DATA: u8 = 6;
    /// An attribute; plus the owner's number.
    pub(crate) const ATTRIBUTE: u8 = 8;
    /// A message to enter; plus its number.
    pub(crate) const ENTER: u8 = 16;
    /// A field that some column wants; plus the capture's number.
    pub(crate) const CAPTURE: u8 = 64;
}

/// Numbers of the owners of table entries, as in the plugin contract.
pub(crate) mod owner {
    pub(crate) const RESOURCE: u8 = 0;
    pub(crate) const SCOPE: u8 = 1;
    pub(crate) const METRIC: u8 = 2;
    pub(crate) const RECORD: u8 = 3;
    pub(crate) const EVENT: u8 = 4;
    pub(crate) const LINK: u8 = 5;
    pub(crate) const EXEMPLAR: u8 = 6;
    pub(crate) const BODY: u8 = 7;
    /// Of a body that another one replaced.
    pub(crate) const NOBODY: u8 = 8;

    /// The level of the entity whose number an entry of this owner carries.
    #[inline(always)]
    pub(crate) fn level(owner: u8) -> crate::Level {
        match owner {
            RESOURCE => crate::Level::Resource,
            SCOPE => crate::Level::Scope,
            METRIC => crate::Level::Metric,
            _ => crate::Level::Record,
        }
    }
}

/// The most distinct reads of one projection.
pub const MAX_COLUMNS: usize = 4096;

/// A read that can't be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProjectionError {
    /// The signal has no such field on that level.
    #[error("{0} does not exist in this signal")]
    NoSuchField(Field),
    /// The field doesn't hold what the encoding shows.
    #[error("{0} can't be read as {1:?}")]
    WrongEncoding(Field, Encoding),
    /// There are too many columns.
    #[error("more than {MAX_COLUMNS} distinct reads")]
    TooManyColumns,
}

/// One column.
#[derive(Clone, Debug)]
pub(crate) struct Column {
    pub(crate) read: Read,
    pub(crate) level: Level,
    pub(crate) encoding: Encoding,
}

/// A wire field that columns want.
#[derive(Clone, Debug)]
pub(crate) struct Capture {
    pub(crate) place: Place,
    pub(crate) level: Level,
    pub(crate) columns: Vec<u16>,
}

/// An attribute that columns want.
#[derive(Clone, Debug)]
pub(crate) struct Wanted {
    pub(crate) key: Box<[u8]>,
    pub(crate) columns: Vec<u16>,
}

/// The attributes of one level that columns want, by the lengths of their keys.
#[derive(Clone, Debug, Default)]
pub(crate) struct WantedKeys {
    lengths: Lengths,
    /// Sorted by length.
    wanted: Vec<Wanted>,
}

/// Lengths of keys. Bit `n`: there are keys of `n` bytes; bit 63: or more.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Lengths(u64);

impl Lengths {
    #[inline(always)]
    pub(crate) fn have(self, length: u32) -> bool {
        self.0 >> length.min(63) & 1 == 1
    }
}

impl WantedKeys {
    pub(crate) fn lengths(&self) -> Lengths {
        self.lengths
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.wanted.is_empty()
    }

    #[inline]
    pub(crate) fn find(&self, key: &[u8]) -> Option<&Wanted> {
        let from = match self.wanted.len() {
            0..=8 => 0,
            _ => self.wanted.partition_point(|wanted| wanted.key.len() < key.len()),
        };
        let rest = self.wanted.get(from..).unwrap_or_default();
        rest.iter().take_while(|wanted| wanted.key.len() <= key.len()).find(|wanted| *wanted.key == *key)
    }

    fn add(&mut self, key: &str, column: u16) {
        let key = key.as_bytes();
        self.lengths.0 |= 1 << key.len().min(63);
        match self.wanted.iter_mut().find(|wanted| *wanted.key == *key) {
            Some(wanted) => wanted.columns.push(column),
            None => self.wanted.push(Wanted { key: key.into(), columns: vec![column] }),
        }
        self.wanted.sort_by_key(|wanted| wanted.key.len());
    }
}

/// What shall be extracted from batches of one signal: the union of what the stages of a chain read.
#[derive(Clone, Debug)]
pub struct Projection {
    pub(crate) signal: Signal,
    /// For each read its column.
    pub(crate) reads: Vec<u16>,
    pub(crate) columns: Vec<Column>,
    pub(crate) table: Option<TableRequest>,
    pub(crate) steps: Vec<Table>,
    pub(crate) captures: Vec<Capture>,
    pub(crate) wanted: [WantedKeys; 4],
    /// The capture of a span's `flags`, whose key has two bytes.
    pub(crate) span_flags: Option<u8>,
    pub(crate) metric_type: Vec<u16>,
}

impl Projection {
    /// Prepares the extraction of these reads, and of the attribute table if asked for. Equal reads share a column.
    ///
    /// # Errors
    /// Names the first field that the signal doesn't have or that can't be read that way.
    pub fn new(signal: Signal, reads: &[Read], table: Option<TableRequest>) -> Result<Self, ProjectionError> {
        let mut projection = Self {
            signal,
            reads: Vec::with_capacity(reads.len()),
            columns: Vec::new(),
            table,
            steps: default_steps(signal),
            captures: Vec::new(),
            wanted: Default::default(),
            span_flags: None,
            metric_type: Vec::new(),
        };
        for read in reads {
            projection.add(read)?;
        }
        projection.plan_attributes();
        Ok(projection)
    }

    /// The signal.
    pub fn signal(&self) -> Signal {
        self.signal
    }

    /// How many reads there are.
    pub fn reads(&self) -> usize {
        self.reads.len()
    }

    /// The table asked for.
    pub fn table(&self) -> Option<TableRequest> {
        self.table
    }

    fn add(&mut self, read: &Read) -> Result<(), ProjectionError> {
        if let Some(shared) = self.columns.iter().position(|column| column.read == *read) {
            self.reads.push(shared as u16);
            return Ok(());
        }
        check(self.signal, read)?;
        if self.columns.len() >= MAX_COLUMNS {
            return Err(ProjectionError::TooManyColumns);
        }
        let column = self.columns.len() as u16;
        let level = read.field.level;
        self.columns.push(Column { read: read.clone(), level, encoding: read.encoding });
        self.reads.push(column);
        match &read.field.selector {
            Selector::Attribute(key) => self.wanted[level as usize].add(key, column),
            Selector::Intrinsic(Intrinsic::Type) => self.metric_type.push(column),
            Selector::Intrinsic(intrinsic) => self.capture(level, *intrinsic, column),
        }
        Ok(())
    }

    fn capture(&mut self, level: Level, intrinsic: Intrinsic, column: u16) {
        for &entity in place::entity_messages(self.signal, level) {
            for place in place::places(entity, intrinsic) {
                if let Some(known) = self.captures.iter_mut().find(|known| known.place == place) {
                    known.columns.push(column);
                    continue;
                }
                let capture = step::CAPTURE + self.captures.len() as u8;
                self.captures.push(Capture { place, level, columns: vec![column] });
                self.plan_capture(entity, &place, capture);
            }
        }
    }

    fn plan_capture(&mut self, entity: u8, place: &Place, capture: u8) {
        if place.scalar == Scalar::Any {
            return; // `plan_attributes` makes it `BODY`
        }
        if place.wrapper != 0 && entity != schema::METRIC {
            self.enter(entity, place.wrapper, place.message);
        }
        let wire_type = match place.scalar {
            Scalar::Text | Scalar::Id(_) | Scalar::Any => 2,
            Scalar::U32 | Scalar::I32 | Scalar::Zigzag | Scalar::Boolean => 0,
            Scalar::Fixed32 => 5,
            Scalar::Fixed64 | Scalar::Signed64 | Scalar::Double => 1,
        };
        let steps = &mut self.steps[usize::from(place.message)];
        match steps.get_mut((place.number << 3 | wire_type) as usize) {
            Some(step) => *step = capture,
            None => self.span_flags = Some(capture),
        }
        if place.rival != 0 {
            // The rival's columns lose their value when this member comes later.
            self.plan_rival(place);
        }
    }

    fn plan_rival(&mut self, place: &Place) {
        let rival = Place {
            number: place.rival,
            rival: place.number,
            scalar: if place.scalar == Scalar::Double { Scalar::Signed64 } else { Scalar::Double },
            ..*place
        };
        if self.captures.iter().any(|known| known.place == rival) {
            return;
        }
        let capture = step::CAPTURE + self.captures.len() as u8;
        self.captures.push(Capture { place: rival, level: Level::Record, columns: Vec::new() });
        self.steps[usize::from(rival.message)][(rival.number << 3 | 1) as usize] = capture;
    }

    /// Makes the walk enter the message in a field.
    fn enter(&mut self, message: u8, number: u32, inner: u8) {
        self.steps[usize::from(message)][(number << 3 | 2) as usize] = step::ENTER + inner;
    }

    /// Makes the walk look at attributes where columns or the table want them.
    fn plan_attributes(&mut self) {
        let table = self.table.unwrap_or_default();
        let [resource, scope, metric, record] = [0, 1, 2, 3].map(|level: usize| !self.wanted[level].is_empty());
        let [resources, scopes, metrics, records] = [Level::Resource, Level::Scope, Level::Metric, Level::Record]
            .map(|level| place::entity_messages(self.signal, level));
        if resource || table.resources {
            self.enter(resources[0], 1, schema::RESOURCE);
            self.attribute(schema::RESOURCE, 1, owner::RESOURCE);
        }
        if scope || table.scopes {
            self.enter(scopes[0], 1, schema::SCOPE);
            self.attribute(schema::SCOPE, 3, owner::SCOPE);
        }
        for &entity in metrics.iter().filter(|_| metric || table.metrics) {
            self.attribute(entity, 12, owner::METRIC);
        }
        for &entity in records.iter().filter(|_| record || table.records) {
            self.attribute(entity, place::attributes(entity).1, owner::RECORD);
        }
        match self.signal {
            Signal::Traces => self.plan_span(table),
            Signal::Logs => self.plan_log_record(table),
            Signal::Metrics => self.plan_points(table),
        }
    }

    fn plan_span(&mut self, table: TableRequest) {
        if table.events {
            self.enter(schema::SPAN, 11, schema::EVENT);
            self.attribute(schema::EVENT, 3, owner::EVENT);
        }
        if table.links {
            self.enter(schema::SPAN, 13, schema::LINK);
            self.attribute(schema::LINK, 4, owner::LINK);
        }
    }

    fn plan_log_record(&mut self, table: TableRequest) {
        let read = self.captures.iter().any(|capture| capture.place.scalar == Scalar::Any);
        if table.bodies || read {
            self.steps[usize::from(schema::LOG_RECORD)][(5 << 3 | 2) as usize] = step::BODY;
        }
    }

    fn plan_points(&mut self, table: TableRequest) {
        if !table.exemplars {
            return;
        }
        self.attribute(schema::EXEMPLAR, 7, owner::EXEMPLAR);
        self.enter(schema::NUMBER_POINT, 5, schema::EXEMPLAR);
        self.enter(schema::HISTOGRAM_POINT, 8, schema::EXEMPLAR);
        self.enter(schema::EXPONENTIAL_HISTOGRAM_POINT, 11, schema::EXEMPLAR);
    }

    fn attribute(&mut self, message: u8, number: u32, owner: u8) {
        self.steps[usize::from(message)][(number << 3 | 2) as usize] = step::ATTRIBUTE + owner;
    }
}

fn check(signal: Signal, read: &Read) -> Result<(), ProjectionError> {
    let field = &read.field;
    match &field.selector {
        Selector::Attribute(_) if field.level == Level::Metric && signal != Signal::Metrics => {
            Err(ProjectionError::NoSuchField(field.clone()))
        }
        Selector::Attribute(_) => Ok(()),
        Selector::Intrinsic(intrinsic) => match intrinsic.available(signal, field.level) {
            None => Err(ProjectionError::NoSuchField(field.clone())),
            Some(natural) if natural.reads_as(read.encoding) => Ok(()),
            Some(_) => Err(ProjectionError::WrongEncoding(field.clone(), read.encoding)),
        },
    }
}

/// Steps that only find the records.
fn default_steps(signal: Signal) -> Vec<Table> {
    let mut skip = [step::STOP; 128];
    for (key, step) in skip.iter_mut().enumerate().skip(8) {
        *step = match key & 7 {
            0 => step::VARINT,
            1 => step::FIXED64,
            2 => step::SKIP,
            5 => step::FIXED32,
            _ => step::STOP,
        };
    }
    let mut steps = vec![skip; schema::MESSAGES];
    let mut enter = |message: u8, key: usize, inner: u8| steps[usize::from(message)][key] = step::ENTER + inner;
    match signal {
        Signal::Traces => {
            enter(schema::TRACES, 10, schema::RESOURCE_SPANS);
            enter(schema::RESOURCE_SPANS, 18, schema::SCOPE_SPANS);
            enter(schema::SCOPE_SPANS, 18, schema::SPAN);
        }
        Signal::Logs => {
            enter(schema::LOGS, 10, schema::RESOURCE_LOGS);
            enter(schema::RESOURCE_LOGS, 18, schema::SCOPE_LOGS);
            enter(schema::SCOPE_LOGS, 18, schema::LOG_RECORD);
        }
        Signal::Metrics => {
            enter(schema::METRICS, 10, schema::RESOURCE_METRICS);
            enter(schema::RESOURCE_METRICS, 18, schema::SCOPE_METRICS);
            enter(schema::SCOPE_METRICS, 18, schema::METRIC);
            enter(schema::GAUGE, 10, schema::NUMBER_POINT);
            enter(schema::SUM, 10, schema::NUMBER_POINT);
            enter(schema::HISTOGRAM, 10, schema::HISTOGRAM_POINT);
            enter(schema::EXPONENTIAL_HISTOGRAM, 10, schema::EXPONENTIAL_HISTOGRAM_POINT);
            enter(schema::SUMMARY, 10, schema::SUMMARY_POINT);
            for number in [5, 7, 9, 10, 11] {
                steps[usize::from(schema::METRIC)][number << 3 | 2] = step::DATA;
            }
        }
    }
    steps
}
