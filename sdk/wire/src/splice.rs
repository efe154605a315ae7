//! Applies a plan to a request in one pass: copies what stays as it is, writes what changes.

mod attributes;
mod entity;
mod out;
mod patches;
mod value;

use alloc::borrow::Cow;
use alloc::vec;
use alloc::vec::Vec;

use crate::bitmap;
use crate::columns::{Columns, data_message, first_data};
use crate::cursor::{Cursor, Item, keys};
use crate::field::Level;
use crate::plan::EditPlan;
use crate::schema;

use entity::{Current, Prepared};
pub(crate) use out::{Mark, Out};
use patches::Patches;

/// A request that came out of a splice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part<'a> {
    /// Which part of the partition it is; 0 without one.
    pub code: u32,
    /// How many spans, log records or data points it holds.
    pub records: u32,
    /// The encoded request; borrowed if it is a piece of the original.
    pub bytes: Cow<'a, [u8]>,
}

/// Applies a plan to the request that its columns were extracted from. Gives one part, or with a partition those parts
/// that have records, in the order of their codes.
///
/// What no edit concerns is copied as it is, unknown fields included; a request that no edit concerns at all is not
/// even copied. Metrics, scopes and resources that lost all of their records go. Those that had none before stay, unless
/// what they stand in goes into several parts, or there is a partition and they are resources: nobody knows whose they
/// are, not even if all records go into one part.
pub fn splice<'a>(bytes: &'a [u8], columns: &Columns, plan: &EditPlan) -> Vec<Part<'a>> {
    let mut unlimited = usize::MAX;
    splice_within(&mut unlimited, bytes, columns, plan).unwrap_or_default()
}

/// Splices with a limit for what the parts of a partition repeat: of a resource, scope or metric all that it says about
/// itself stands in every part that has records of it. Takes from `room` how many bytes that is.
///
/// # Errors
/// If nothing would be left of the room.
pub fn splice_within<'a>(
    room: &mut usize,
    bytes: &'a [u8],
    columns: &Columns,
    plan: &EditPlan,
) -> Result<Vec<Part<'a>>, TooRepetitive> {
    if let Some(whole) = unchanged(bytes, columns, plan) {
        return Ok(whole);
    }
    let mut splicer = Splicer::new(bytes, columns, plan, *room);
    splicer.request();
    *room = splicer.room;
    if *room == 0 { Err(TooRepetitive) } else { Ok(splicer.finish()) }
}

/// The parts of a request would repeat more of it than they may.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooRepetitive;

/// The request as it is, if all of it goes into one part and nothing changes.
fn unchanged<'a>(bytes: &'a [u8], columns: &Columns, plan: &EditPlan) -> Option<Vec<Part<'a>>> {
    let has_nobodys = || columns.resource_rows().windows(2).any(|rows| rows[0] == rows[1]);
    if plan.edits() || plan.keep.is_some() || (plan.partition.is_some() && has_nobodys()) {
        return None;
    }
    let code = sole_part(plan)?;
    Some(vec![Part { code, records: plan.rows() as u32, bytes: Cow::Borrowed(bytes) }])
}

/// The part that all live rows go into, if it is one.
fn sole_part(plan: &EditPlan) -> Option<u32> {
    let Some(partition) = &plan.partition else {
        return Some(0);
    };
    let keep = plan.keep.as_deref();
    let alive = |row: usize| keep.is_none_or(|keep| bitmap::get(keep, row));
    let mut live = partition.codes.iter().enumerate().filter(|(row, _)| alive(*row)).map(|(_, &code)| code);
    let first = live.next()?;
    live.all(|code| code == first).then_some(first)
}

pub(crate) struct Splicer<'a, 'p> {
    bytes: &'a [u8],
    columns: &'p Columns,
    plan: &'p EditPlan,
    outs: Vec<Out<'a>>,
    patches: Patches<'p>,
    prepared: Prepared<'p>,
    /// The edits of the entity that is being written.
    current: Current<'p>,
    /// Numbers of the next entities.
    resource: usize,
    scope: usize,
    metric: usize,
    row: usize,
    /// Which parts a container has records in; one list for each level of nesting, used again.
    sets: [Vec<u32>; 4],
    /// The part that all rows of the open container go into, if it is one.
    sole: Option<u32>,
    /// For each part the container in which it was last seen, so that each is listed once.
    stamps: Vec<u64>,
    stamp: u64,
    /// How many bytes may still be written that stand in an earlier part, too.
    room: usize,
}

/// The range of numbers that a container's children have.
#[derive(Clone, Copy)]
struct Range {
    from: usize,
    to: usize,
}

impl Range {
    /// The entry of a list of first numbers.
    fn of(firsts: &[u32], index: usize) -> Self {
        let from = firsts.get(index).copied().unwrap_or(0) as usize;
        Self { from, to: firsts.get(index + 1).copied().unwrap_or(from as u32) as usize }
    }

    fn map(self, firsts: &[u32]) -> Self {
        let first = |index: usize| firsts.get(index).copied().unwrap_or(0) as usize;
        Self { from: first(self.from), to: first(self.to) }
    }
}

/// One container on the way down.
#[derive(Clone, Copy)]
struct Container {
    level: Level,
    entity: usize,
    message: u8,
    rows: Range,
    /// Which of `sets` holds its parts.
    set: usize,
}

impl<'a, 'p> Splicer<'a, 'p> {
    fn new(bytes: &'a [u8], columns: &'p Columns, plan: &'p EditPlan, room: usize) -> Self {
        let parts = plan.partition.as_ref().map_or(1, |partition| partition.parts as usize);
        let sole = sole_part(plan);
        let capacity = |part: usize| match sole {
            Some(sole) if sole as usize != part => 0,
            Some(_) => bytes.len() + bytes.len() / 8,
            None => bytes.len() / parts.max(1),
        };
        Self {
            bytes,
            columns,
            plan,
            outs: (0..parts).map(|part| Out::new(bytes, capacity(part))).collect(),
            patches: Patches::new(columns, plan),
            prepared: Prepared::new(columns, plan),
            current: Current::default(),
            resource: 0,
            scope: 0,
            metric: 0,
            row: 0,
            sets: Default::default(),
            sole: sole.filter(|_| plan.partition.is_none()),
            stamps: vec![0; parts],
            stamp: 0,
            room,
        }
    }

    fn request(&mut self) {
        let all: Vec<u32> = (0..self.outs.len() as u32).collect();
        let mut cursor = Cursor::new(self.bytes);
        while let Some(item) = cursor.item() {
            if item.key == keys::LEN_1 {
                self.resource(&item);
            } else {
                self.repeat(&all, |_, out| out.copy(item.at, item.end));
            }
        }
    }

    fn finish(self) -> Vec<Part<'a>> {
        let partitioned = self.plan.partition.is_some();
        let parts = self.outs.into_iter().enumerate().filter(|(_, out)| !partitioned || out.records > 0);
        let part =
            |(code, out): (usize, Out<'a>)| Part { code: code as u32, records: out.records, bytes: out.finish() };
        parts.map(part).collect()
    }

    fn resource(&mut self, item: &Item) {
        let entity = self.resource;
        self.resource += 1;
        let rows = Range::of(&self.columns.resource_rows, entity);
        let scopes = Range::of(&self.columns.resource_scopes, entity);
        let metrics = scopes.map(&self.columns.scope_metrics);
        let container = Container {
            level: Level::Resource,
            entity,
            message: crate::place::entity_messages(self.plan.signal, Level::Resource)[0],
            rows,
            set: 0,
        };
        self.container(item, container, scopes, metrics);
    }

    fn scope(&mut self, item: &Item) {
        let entity = self.scope;
        self.scope += 1;
        let container = Container {
            level: Level::Scope,
            entity,
            message: crate::place::entity_messages(self.plan.signal, Level::Scope)[0],
            rows: Range::of(&self.columns.scope_rows, entity),
            set: 1,
        };
        let metrics = Range { from: entity, to: entity + 1 }.map(&self.columns.scope_metrics);
        self.container(item, container, Range { from: 0, to: 0 }, metrics);
    }

    fn metric(&mut self, item: &Item) {
        let entity = self.metric;
        self.metric += 1;
        let container = Container {
            level: Level::Metric,
            entity,
            message: schema::METRIC,
            rows: Range::of(&self.columns.metric_rows, entity),
            set: 2,
        };
        self.container(item, container, Range { from: 0, to: 0 }, Range { from: 0, to: 0 });
    }

    /// Splices a resource, scope or metric with all that is in it.
    fn container(&mut self, item: &Item, container: Container, scopes: Range, metrics: Range) {
        let Container { level, entity, rows, .. } = container;
        let mut set = core::mem::take(&mut self.sets[container.set]);
        self.parts_of(rows, &mut set);
        let touched = &self.plan.touched;
        let is_touched = bitmap::get(&touched[level as usize], entity)
            || bitmap::any(&touched[Level::Scope as usize], scopes.from, scopes.to)
            || bitmap::any(&touched[Level::Metric as usize], metrics.from, metrics.to)
            || bitmap::any(&touched[Level::Record as usize], rows.from, rows.to);
        let kept = self.plan.keep.as_ref().is_none_or(|keep| bitmap::all(keep, rows.from, rows.to));
        if set.is_empty() || (set.len() == 1 && kept && !is_touched) {
            for &part in &set {
                self.outs[part as usize].copy(item.at, item.end);
                self.outs[part as usize].records += (rows.to - rows.from) as u32;
            }
            self.skip_to(item.end, rows, scopes, metrics);
        } else {
            self.open_container(item, container, &set);
        }
        self.sets[container.set] = set;
    }

    /// Goes on after a container that was copied or dropped as a whole.
    fn skip_to(&mut self, end: usize, rows: Range, scopes: Range, metrics: Range) {
        self.patches.skip_to(end);
        self.row = self.row.max(rows.to);
        self.scope = self.scope.max(scopes.to);
        self.metric = self.metric.max(metrics.to);
    }

    /// Lists the parts that have live rows among these.
    fn parts_of(&mut self, rows: Range, set: &mut Vec<u32>) {
        set.clear();
        let keep = self.plan.keep.as_deref();
        if let Some(sole) = self.sole {
            let empty = rows.from == rows.to;
            if empty || keep.is_none_or(|keep| bitmap::any(keep, rows.from, rows.to)) {
                set.push(sole);
            }
            return;
        }
        let Some(partition) = &self.plan.partition else {
            return;
        };
        self.stamp += 1;
        for row in rows.from..rows.to {
            let code = partition.codes.get(row).copied().unwrap_or(0);
            let Some(stamp) = self.stamps.get_mut(code as usize) else {
                continue;
            };
            if *stamp != self.stamp && keep.is_none_or(|keep| bitmap::get(keep, row)) {
                *stamp = self.stamp;
                set.push(code);
            }
        }
    }

    fn open_container(&mut self, item: &Item, container: Container, set: &[u32]) {
        let Container { level, entity, message, .. } = container;
        let marks = self.open(item, set);
        let sole = match set {
            [part] => Some(*part),
            _ => None,
        };
        let outer_sole = core::mem::replace(&mut self.sole, sole);
        let is_edited = self.begin(level, entity, message, item);
        let mut data = None;
        let mut cursor = Cursor::within(self.bytes, item.start, item.end);
        while let Some(inner) = cursor.item() {
            match (level, inner.key) {
                (Level::Resource, keys::LEN_2) => self.child(is_edited, &inner, Self::scope),
                (Level::Scope, keys::LEN_2) if message == schema::SCOPE_METRICS => {
                    self.child(is_edited, &inner, Self::metric);
                }
                (Level::Scope, keys::LEN_2) => {
                    let message = crate::place::entity_messages(self.plan.signal, Level::Record)[0];
                    self.child(is_edited, &inner, |splicer, inner| splicer.record(inner, message));
                }
                (Level::Metric, key) if data_message(key).is_some() => {
                    let first = || first_data(self.bytes, key, inner.at, inner.end, item.end);
                    let counts = inner.at >= *data.get_or_insert_with(first);
                    self.data(&inner, counts, set, is_edited);
                }
                _ => self.own_field(&inner, set, is_edited),
            }
        }
        if is_edited {
            self.append(set);
        }
        self.close(marks, set);
        self.sole = outer_sole;
    }

    /// Splices a child of a container, whose edits take the place of the container's for a while.
    #[inline(always)]
    fn child(&mut self, is_edited: bool, item: &Item, splice: impl FnOnce(&mut Self, &Item)) {
        if !is_edited {
            return splice(self, item);
        }
        let outer = core::mem::take(&mut self.current);
        splice(self, item);
        self.current = outer;
    }

    /// Splices the data of a metric: its points, and fields that count as the metric's.
    fn data(&mut self, item: &Item, counts: bool, set: &[u32], is_edited: bool) {
        let Some((message, _)) = data_message(item.key) else {
            return;
        };
        if !counts {
            return self.repeat(set, |_, out| out.copy(item.at, item.end));
        }
        let point = match message {
            schema::HISTOGRAM => schema::HISTOGRAM_POINT,
            schema::EXPONENTIAL_HISTOGRAM => schema::EXPONENTIAL_HISTOGRAM_POINT,
            schema::SUMMARY => schema::SUMMARY_POINT,
            _ => schema::NUMBER_POINT,
        };
        let marks = self.open(item, set);
        let mut cursor = Cursor::within(self.bytes, item.start, item.end);
        while let Some(inner) = cursor.item() {
            if inner.key == keys::LEN_1 {
                self.child(is_edited, &inner, |splicer, inner| splicer.record(inner, point));
            } else {
                self.wrapped_field(item.key >> 3, &inner, set, is_edited);
            }
        }
        if is_edited {
            self.append_wrapped(item.key >> 3, set);
        }
        self.close(marks, set);
    }

    #[inline]
    fn record(&mut self, item: &Item, message: u8) {
        let row = self.row;
        self.row += 1;
        if self.plan.keep.as_ref().is_some_and(|keep| !bitmap::get(keep, row)) {
            return self.patches.skip_to(item.end);
        }
        let part = match &self.plan.partition {
            None => 0,
            Some(partition) => partition.codes.get(row).copied().unwrap_or(0),
        };
        let Some(out) = self.outs.get_mut(part as usize) else {
            return;
        };
        out.records += 1;
        if bitmap::get(&self.plan.touched[Level::Record as usize], row) {
            self.edited_record(item, message, row, part);
        } else {
            out.copy(item.at, item.end);
        }
    }

    fn edited_record(&mut self, item: &Item, message: u8, row: usize, part: u32) {
        let is_edited = self.begin(Level::Record, row, message, item);
        let Some(out) = self.outs.get_mut(part as usize) else {
            return;
        };
        let mark = out.open(item);
        self.patches.skip_to(item.start);
        if (!is_edited || self.current.only_adds()) && self.patches.are_in_pairs(item.end) {
            self.runs(item, part, is_edited);
        } else {
            self.fields(item, part, is_edited);
        }
        if let Some(out) = self.outs.get_mut(part as usize) {
            out.close(mark);
        }
    }

    fn open(&mut self, item: &Item, set: &[u32]) -> Vec<Mark> {
        set.iter().filter_map(|&part| Some(self.outs.get_mut(part as usize)?.open(item))).collect()
    }

    fn close(&mut self, marks: Vec<Mark>, set: &[u32]) {
        for (&part, mark) in set.iter().zip(marks) {
            if let Some(out) = self.outs.get_mut(part as usize) {
                out.close(mark);
            }
        }
    }
}
