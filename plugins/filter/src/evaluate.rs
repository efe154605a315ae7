//! Runs the compiled conditions over a batch.

mod calls;
mod columns;
mod lanes;
mod truth;

use sluice_sdk::{Batch, Bitmap, Level, ValueKind, log};

use crate::ottl::Comparison;
use crate::program::{Atom, Compiled, ErrorMode, Number, Program, Step, Strategy, Test};
use crate::value::{Fault, holds};
pub(crate) use calls::parse_network;
use columns::Loaded;
use truth::Truth;

/// A condition that failed, in a step that does not tolerate it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Failed(pub(crate) String);

/// Which rows stay.
///
/// # Errors
/// If a condition can't be evaluated and `error_mode` is `propagate`.
pub(crate) fn kept(program: &Program, batch: &Batch) -> Result<Bitmap, Failed> {
    let mut evaluation = Evaluation::new(program, batch);
    let mut failed = None;
    for step in &program.steps {
        if evaluation.alive.is_clear() {
            break;
        }
        let mut dropped = evaluation.dropped(step, &mut failed);
        dropped.not();
        evaluation.alive.and(&dropped);
    }
    match failed {
        Some(failed) if program.refuses_empty || !evaluation.alive.is_clear() => Err(failed),
        _ => Ok(evaluation.alive),
    }
}

/// A program together with the batch that it runs on.
pub(crate) struct Evaluation<'b> {
    batch: &'b Batch,
    slots: Vec<Loaded<'b>>,
    /// The rows that earlier steps left.
    alive: Bitmap,
}

impl<'b> Evaluation<'b> {
    fn new(program: &'b Program, batch: &'b Batch) -> Self {
        let types = program.slots.metric_type().map(|handle| batch.s64(handle));
        let slots = program.slots.iter().map(|slot| Loaded::new(slot, types, batch)).collect();
        Self { batch, slots, alive: Bitmap::new(batch.rows(), true) }
    }

    /// The rows for which any condition of a step is true. Notes the first failure that is not tolerated; the rows
    /// where it is are not asked any more.
    fn dropped(&self, step: &'b Step, failed: &mut Option<Failed>) -> Bitmap {
        let mut open = self.alive.clone();
        let mut dropped = Bitmap::new(self.batch.rows(), false);
        for condition in &step.conditions {
            let truth = self.test(&condition.test);
            let mut met = self.lift(&truth.yes, truth.level);
            met.and(&open);
            if let Some((bits, fault)) = &truth.faults {
                let mut rows = self.lift(bits, truth.level);
                rows.and(&open);
                if !rows.is_clear() && report(step, condition, fault, rows.count_ones(), failed) {
                    rows.not();
                    open.and(&rows);
                }
            }
            dropped.or(&met);
            met.not();
            open.and(&met);
        }
        dropped
    }

    fn test(&self, test: &'b Test) -> Truth {
        match test {
            Test::Constant(value) => Truth::constant(*value, Level::Resource, self.size(Level::Resource)),
            Test::Not(inner) => self.test(inner).not(),
            Test::And(parts) => self.join(parts, true),
            Test::Or(parts) => self.join(parts, false),
            Test::Atom(atom) => self.atom(atom),
        }
    }

    /// Joins parts from left to right; a later part counts only where the earlier ones left it open.
    fn join(&self, parts: &'b [Test], all: bool) -> Truth {
        let mut joined: Option<Truth> = None;
        for part in parts {
            let Some(before) = joined.take() else {
                joined = Some(self.test(part));
                continue;
            };
            if before.settled(all) {
                return before;
            }
            let next = self.test(part);
            let (before, next) = self.same_level(before, next);
            joined = Some(if all { before.and(next) } else { before.or(next) });
        }
        joined.unwrap_or_else(|| Truth::constant(all, Level::Resource, self.size(Level::Resource)))
    }

    fn same_level(&self, a: Truth, b: Truth) -> (Truth, Truth) {
        if a.level == b.level { (a, b) } else { (self.lift_truth(a), self.lift_truth(b)) }
    }

    fn lift_truth(&self, truth: Truth) -> Truth {
        let faults = truth.faults.map(|(bits, fault)| (self.lift(&bits, truth.level), fault));
        Truth { level: Level::Record, yes: self.lift(&truth.yes, truth.level), faults }
    }

    /// Gives each row the bit of its resource, scope or metric.
    fn lift(&self, bits: &Bitmap, level: Level) -> Bitmap {
        if level == Level::Record {
            return bits.clone();
        }
        let mut rows = Bitmap::new(self.batch.rows(), false);
        for entity in bits.iter_ones() {
            rows.set_range(match level {
                Level::Resource => self.batch.resource_rows(entity),
                Level::Scope => self.batch.scope_rows(entity),
                _ => self.batch.metric_rows(entity),
            });
        }
        rows
    }

    /// How many entities a level has.
    fn size(&self, level: Level) -> usize {
        match level {
            Level::Resource => self.batch.resources(),
            Level::Scope => self.batch.scopes(),
            Level::Metric => self.batch.metrics(),
            Level::Record => self.batch.rows(),
        }
    }

    fn atom(&self, atom: &'b Atom) -> Truth {
        let size = self.size(atom.level);
        let yes = match atom.strategy {
            Strategy::Presence { slot, negated } => {
                let slot = &self.slots[slot];
                Bitmap::from_fn(size, |entity| slot.is_present(entity) == negated)
            }
            Strategy::Kinds { slot, accepted } => self.kinds(slot, accepted, size),
            Strategy::Number { slot, operator, number } => self.numbers(slot, operator, number, size),
            Strategy::Texts { .. } | Strategy::Values { .. } | Strategy::Entities => return self.lanes(atom, size),
        };
        Truth { level: atom.level, yes, faults: None }
    }

    fn kinds(&self, slot: usize, accepted: ValueKind, size: usize) -> Bitmap {
        match self.slots[slot].kind {
            Some(kinds) => Bitmap::from_fn(size, |entity| kinds.get(entity) == accepted),
            None => Bitmap::new(size, false),
        }
    }

    fn numbers(&self, slot: usize, operator: Comparison, number: Number, size: usize) -> Bitmap {
        let slot = &self.slots[slot];
        let against = |value: i64| match number {
            Number::Integer(literal) => Some(value.cmp(&literal)),
            Number::Double(literal) => (value as f64).partial_cmp(&literal),
        };
        let literal = match number {
            Number::Integer(literal) => literal as f64,
            Number::Double(literal) => literal,
        };
        if slot.may_be_absent() {
            return Bitmap::from_fn(size, |entity| {
                let order = match (slot.s64.and_then(|column| column.get(entity)), slot.f64) {
                    (Some(value), _) => against(value),
                    (None, Some(column)) => column.get(entity).and_then(|value| value.partial_cmp(&literal)),
                    (None, None) => None,
                };
                holds(operator, order)
            });
        }
        let zeros = || Bitmap::new(size, holds(operator, against(0)));
        if let Some(column) = slot.s64 {
            let values = column.values();
            return values.map_or_else(zeros, |all| Bitmap::of(all, |value| holds(operator, against(*value))));
        }
        if let Some(column) = slot.u64 {
            let values = column.values();
            return values.map_or_else(zeros, |all| Bitmap::of(all, |value| holds(operator, against(*value as i64))));
        }
        let Some(column) = slot.f64 else { return Bitmap::new(size, false) };
        let values = column.values();
        values.map_or_else(zeros, |all| Bitmap::of(all, |value| holds(operator, value.partial_cmp(&literal))))
    }
}

/// Follows the error mode. True if the rows are not to be asked any more.
fn report(step: &Step, condition: &Compiled, fault: &Fault, met: usize, failed: &mut Option<Failed>) -> bool {
    let message = || format!("condition `{}` failed for {met} {}: {}", condition.text, rows(step, met), fault.0);
    match step.errors {
        ErrorMode::Propagate => {
            failed.get_or_insert_with(|| Failed(message()));
        }
        ErrorMode::Ignore => log::warn(&message()),
        ErrorMode::Silent => {}
    }
    step.errors == ErrorMode::Propagate
}

/// What the rows below a context are called.
fn rows(step: &Step, count: usize) -> &'static str {
    match (step.context.level(), count) {
        (Level::Record, 1) => "row",
        (Level::Record, _) => "rows",
        (_, 1) => "row below it",
        (_, _) => "rows below",
    }
}
