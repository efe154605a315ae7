//! Takes one batch through a chain.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use sluice_wire::{
    Columns, EditPlan, LiveRows, MAX_ENTRIES, Part, Summary, TooRepetitive, concat, room_for_parts, splice,
    splice_within, split, validate,
};

use super::report::{ChainOutcome, FailureKind, LeftOut, StageFailure, StageReport};
use super::{Plan, Segment, Stage};
use crate::model::{Batch, Refusal, Signal, TenantId};
use crate::stage::answer::MAX_TENANTS;
use crate::stage::call::{Call, Verdict};
use crate::stage::component::{Drops, OnError};
use crate::stage::declared::Writes;
use crate::stage::guest::unix_nano;
use crate::stage::shared::lock;

/// A sender whose batch a stage rejected tries again after this time; by then somebody may have repaired the stage.
const RETRY_AFTER: Duration = Duration::from_secs(5);

/// What one call gets at most, unless resources are larger. A stage that searches for many patterns takes some ten
/// nanoseconds a byte, and has a tenth of a second; what it needs memory for is in proportion, too.
const AT_ONCE_BYTES: usize = 1 << 20;

/// Runs a batch through all stages of a plan.
pub(super) fn run(plan: &Plan, batch: Batch) -> ChainOutcome {
    let mut stages: Vec<StageReport> =
        plan.stages.iter().map(|stage| StageReport::new(&stage.configured.shared.stage)).collect();
    if plan.stages.is_empty() || batch.items == 0 {
        return ChainOutcome { result: Ok(vec![batch]), stages, left_out: BTreeMap::new() };
    }
    let mut run = Run::new(plan, &batch, &mut stages);
    let result = run.batch();
    let left_out = run.left_out;
    ChainOutcome { result: result.map(|pieces| batches(batch, pieces)), stages, left_out }
}

/// The pieces as batches. One that was written anew has a permit of its own: what stages left out is gone, and what
/// they added is there. A part of what came keeps all of it.
fn batches(batch: Batch, pieces: Vec<Piece>) -> Vec<Batch> {
    let original = batch.bytes.as_ptr_range();
    let batch_of = |piece: Piece| {
        let tenant = piece.tenant.as_deref().map_or_else(|| batch.tenant.clone(), TenantId::new);
        let is_part = original.contains(&piece.bytes.as_ptr());
        let permit = is_part.then(|| Arc::clone(&batch.permit));
        Batch { tenant, ..batch.rewritten(piece.bytes, piece.items, permit) }
    };
    pieces.into_iter().map(batch_of).collect()
}

/// One batch on its way.
struct Run<'a> {
    plan: &'a Plan,
    batch: &'a Batch,
    received_unix_nano: u64,
    reports: &'a mut [StageReport],
    left_out: BTreeMap<Option<String>, LeftOut>,
    /// How much tenants' requests may still repeat, and stages add.
    room: usize,
    /// Positions of stages that had no answer in time. Other parts of the batch are not made to wait for them.
    too_slow: BTreeSet<usize>,
}

/// A request that belongs to one tenant, or to the batch's own.
struct Piece {
    tenant: Option<String>,
    bytes: Bytes,
    items: u64,
}

/// A request between two stages.
struct Current {
    bytes: Bytes,
    columns: Columns,
    edits: EditPlan,
    /// The rows that the edits leave.
    live: LiveRows,
    tenants: Option<Tenants>,
}

/// Whose rows they are.
struct Tenants {
    names: Vec<String>,
    /// For each row, dropped ones included, a position in `names`; may be empty if there is one name only.
    codes: Vec<u32>,
}

impl<'a> Run<'a> {
    fn new(plan: &'a Plan, batch: &'a Batch, reports: &'a mut [StageReport]) -> Self {
        let received_unix_nano = unix_nano(batch.context.received);
        let room = room_for_parts(batch.bytes.len());
        Self { plan, batch, received_unix_nano, reports, left_out: BTreeMap::new(), room, too_slow: BTreeSet::new() }
    }

    /// Cuts what is too large for one call, and joins what comes out.
    fn batch(&mut self) -> Result<Vec<Piece>, Refusal> {
        let whole = Piece { tenant: None, bytes: self.batch.bytes.clone(), items: self.batch.items };
        if whole.items <= self.plan.rows as u64 && whole.bytes.len() <= self.plan.bytes.min(AT_ONCE_BYTES) {
            return self.piece(whole, 0);
        }
        let (mut done, mut tenants) = (Vec::new(), BTreeSet::new());
        for part in self.parts()? {
            let bytes = own(&self.batch.bytes, part.bytes);
            let (before, room) = (bytes.len(), self.room);
            let piece = Piece { tenant: None, bytes, items: u64::from(part.records) };
            let pieces = self.piece(piece, 0)?;
            let after: usize = pieces.iter().map(|piece| piece.bytes.len()).sum();
            let repeated = room - self.room;
            self.room = self.room.saturating_sub(after.saturating_sub(before + repeated));
            if self.room == 0 {
                let reason = "what stages add to its records would take too much memory".to_owned();
                return Err(Refusal::Permanent { reason });
            }
            tenants.extend(pieces.iter().map(|piece| piece.tenant.clone()));
            if tenants.len() > MAX_TENANTS {
                return Err(Refusal::Permanent { reason: format!("the batch has more than {MAX_TENANTS} tenants") });
            }
            done.extend(pieces);
        }
        Ok(join(done))
    }

    /// The batch in parts for one call each, of a size that calls have time for; where that would repeat too much of its
    /// resources, of one that they have memory for.
    fn parts(&self) -> Result<Vec<sluice_wire::Piece<'a>>, Refusal> {
        let Plan { rows, bytes, .. } = self.plan;
        for bytes in [AT_ONCE_BYTES.min(*bytes), *bytes] {
            let parts = split(self.batch.signal, &self.batch.bytes, *rows, bytes);
            // Splitting ends where the pieces would take many times the memory, since each repeats its resource.
            let is_too_large = |part: &sluice_wire::Piece<'_>| {
                part.records as usize > *rows || (part.records > 1 && part.bytes.len() > bytes)
            };
            let total: usize = parts.iter().map(|part| part.bytes.len()).sum();
            let is_cheap = bytes == self.plan.bytes || total <= 2 * self.batch.bytes.len();
            if is_cheap && !parts.iter().any(is_too_large) {
                return Ok(parts);
            }
        }
        let reason = format!(
            "its resources are so large that requests of at most {rows} records and {bytes} bytes, each of which \
             repeats its resource, would take too much memory"
        );
        Err(Refusal::Permanent { reason })
    }

    /// Takes a request through the stages from a position on.
    fn piece(&mut self, piece: Piece, from: usize) -> Result<Vec<Piece>, Refusal> {
        let plan = self.plan;
        let tenant = piece.tenant.clone();
        let mut current: Option<Current> = None;
        for segment in &plan.segments {
            let mut fresh = true;
            for &(position, first_read) in segment.stages.iter().filter(|(position, _)| *position >= from) {
                let mut now = match current.take() {
                    None => Current::extract(segment, piece.bytes.clone(), self.take_columns()),
                    Some(now) if fresh => now.settle(segment),
                    Some(now) => now,
                };
                fresh = false;
                let stage = &plan.stages[position];
                if stage.configured.declared.writes == Writes::Everything && now.tenants.is_some() {
                    return self.each_part(now, &tenant, position);
                }
                if now.must_settle_for(stage) {
                    now = now.settle(segment);
                }
                if now.columns.is_cut() {
                    let reason = format!(
                        "it has more than {MAX_ENTRIES} attributes and values of attributes in {} records",
                        now.columns.rows()
                    );
                    return Err(Refusal::Permanent { reason });
                }
                self.stage(&mut now, segment, position, first_read, &tenant)?;
                if now.live.is_empty() {
                    self.give_back(now.columns);
                    return Ok(Vec::new());
                }
                current = Some(now);
            }
        }
        match current {
            None => Ok(vec![piece]),
            Some(now) => {
                let (pieces, columns) = now.finish(&tenant, &mut self.room)?;
                self.give_back(columns);
                Ok(pieces)
            }
        }
    }

    /// A stage that replaces whole requests gets each tenant's rows on their own.
    fn each_part(&mut self, now: Current, tenant: &Option<String>, from: usize) -> Result<Vec<Piece>, Refusal> {
        let (pieces, columns) = now.finish(tenant, &mut self.room)?;
        self.give_back(columns);
        let mut done = Vec::new();
        for piece in pieces {
            done.extend(self.piece(piece, from)?);
        }
        Ok(done)
    }

    /// Calls one stage and does what it answers, or what its policy says.
    fn stage(
        &mut self,
        now: &mut Current,
        segment: &Segment,
        position: usize,
        first_read: usize,
        tenant: &Option<String>,
    ) -> Result<(), Refusal> {
        let started = Instant::now();
        let (stage, report) = (&self.plan.stages[position], &mut self.reports[position]);
        let live = now.live.clone();
        report.rows_in += live.len() as u64;
        let call = Call {
            configured: &stage.configured,
            columns: &now.columns,
            bytes: &now.bytes,
            edits: &now.edits,
            live: &live,
            first_read,
            context: &self.batch.context,
            received_unix_nano: self.received_unix_nano,
        };
        let failures = report.failures.len();
        let verdict = match call.is_worth_making() {
            true if self.too_slow.contains(&position) => Some(None),
            true => Some(call.make(report)),
            false => None,
        };
        let failed = matches!(verdict, Some(None));
        let done = match verdict {
            None => {
                report.skipped += 1;
                Ok(())
            }
            Some(Some(verdict)) => {
                report.calls += 1;
                if let Some(StageFailure { message, .. }) = report.failures[failures..].last()
                    && let Some(rows) = lock(&stage.configured.shared.recovering).add(live.len() as u64)
                {
                    tracing::warn!(stage = %report.stage, rows, reason = %message, "a call failed, a fresh instance did better");
                }
                now.apply(verdict, segment, report)
            }
            Some(None) => {
                if report.failures.last().is_some_and(|failure| failure.kind == FailureKind::Timeout) {
                    self.too_slow.insert(position);
                }
                now.fail(stage, &live, report)
            }
        };
        report.duration += started.elapsed();
        done?;
        if now.live.len() < live.len() {
            let stage = if failed { None } else { Some(stage.drops) };
            self.count(position, stage, losses(now.tenants.as_ref(), tenant, &live, &now.live));
        }
        Ok(())
    }

    /// Writes down what a stage left out; without a stage, because its call failed.
    fn count(&mut self, position: usize, stage: Option<Drops>, losses: Vec<(Option<String>, u64)>) {
        let report = &mut self.reports[position];
        for (tenant, rows) in losses {
            let left_out = match stage {
                Some(Drops::Filtered) => LeftOut { filtered: rows, ..LeftOut::default() },
                Some(Drops::Sampled) => LeftOut { sampled_out: rows, ..LeftOut::default() },
                None => LeftOut { dropped: rows, ..LeftOut::default() },
            };
            report.left_out.add(left_out);
            self.left_out.entry(tenant).or_default().add(left_out);
        }
    }

    fn take_columns(&self) -> Columns {
        self.plan.take_columns()
    }

    fn give_back(&self, columns: Columns) {
        self.plan.give_back(columns);
    }
}

impl Current {
    fn extract(segment: &Segment, bytes: Bytes, mut columns: Columns) -> Self {
        columns.extract(&segment.projection, &bytes);
        let edits = EditPlan::new(&columns);
        Self { live: edits.live_rows(), bytes, columns, edits, tenants: None }
    }

    /// Whether a stage would see what earlier ones changed only if the bytes are spliced before it.
    fn must_settle_for(&self, stage: &Stage) -> bool {
        let declared = &stage.configured.declared;
        if declared.raw || declared.writes == Writes::Everything {
            return self.edits.edits() || self.edits.drops();
        }
        self.edits.edits()
            && (declared.all_reads().any(|read| self.edits.touches(&read.field))
                || declared.table.is_some_and(|table| self.edits.touches_table(&table.request)))
    }

    /// Applies what was planned and extracts again.
    fn settle(self, segment: &Segment) -> Self {
        let Self { bytes, mut columns, edits, live, tenants } = self;
        let spliced = splice(&bytes, &columns, &edits);
        // Without a partition there is one part, or none if nothing is left.
        let bytes = spliced.into_iter().next().map_or_else(Bytes::new, |part| own(&bytes, part.bytes));
        columns.extract(&segment.projection, &bytes);
        let edits = EditPlan::new(&columns);
        let tenants = tenants.map(|tenants| tenants.of(&live));
        Self { live: edits.live_rows(), bytes, columns, edits, tenants }
    }

    /// Does what a plugin answered.
    fn apply(&mut self, verdict: Verdict, segment: &Segment, report: &mut StageReport) -> Result<(), Refusal> {
        match verdict {
            Verdict::Refused(reason) => return Err(Refusal::Permanent { reason }),
            Verdict::Replaced(bytes) => {
                self.bytes = bytes.into();
                self.columns.extract(&segment.projection, &self.bytes);
                self.edits = EditPlan::new(&self.columns);
                self.live = self.edits.live_rows();
            }
            Verdict::Answered(answer) => {
                self.edits = answer.plan;
                if answer.drops {
                    self.live = self.edits.live_rows();
                }
                report.edited += answer.edited;
                if let Some((names, codes)) = answer.tenants {
                    self.tenants = Some(Tenants { names, codes });
                }
            }
        }
        Ok(())
    }

    /// Does what the policy says about a call that failed twice.
    fn fail(&mut self, stage: &Stage, live: &LiveRows, report: &mut StageReport) -> Result<(), Refusal> {
        let reason = match report.failures.last_mut() {
            Some(failure) => {
                failure.policy = Some(stage.on_error);
                failure.message.clone()
            }
            None => String::new(),
        };
        let (name, policy) = (&stage.configured.shared.stage, stage.on_error.as_str());
        let due = lock(&stage.configured.shared.failing).add(live.len() as u64);
        if let Some(rows) = due {
            match stage.on_error {
                OnError::Pass => {
                    tracing::warn!(stage = %name, %policy, rows, %reason, "stage failed, the batch goes on without it");
                }
                OnError::Drop => {
                    tracing::error!(stage = %name, %policy, rows, %reason, "stage failed, the batch is dropped");
                }
                OnError::Reject => {
                    tracing::warn!(stage = %name, %policy, rows, %reason, "stage failed, the batch is not accepted");
                }
            }
        }
        match stage.on_error {
            OnError::Pass => Ok(()),
            OnError::Drop => {
                let none = vec![0; self.edits.rows().div_ceil(64)];
                let dropped = self.edits.keep(&none);
                self.live = self.edits.live_rows();
                dropped.map_err(|error| Refusal::Permanent { reason: error.to_string() })
            }
            OnError::Reject => {
                Err(Refusal::Failed { reason: format!("stage {name} failed: {reason}"), retry_after: RETRY_AFTER })
            }
        }
    }

    /// The requests that are left, one per tenant.
    fn finish(mut self, tenant: &Option<String>, room: &mut usize) -> Result<(Vec<Piece>, Columns), Refusal> {
        let names = self.tenants.take().map(|Tenants { names, codes }| {
            if !codes.is_empty() {
                // Codes are below the number of names and there is one per row, so this can't fail.
                let planned = self.edits.partition(codes, names.len() as u32);
                if let Err(error) = planned {
                    tracing::error!(%error, "a checked partition is refused, the batch keeps its tenant");
                }
            }
            names
        });
        let piece = |part: Part<'_>| {
            let named = names.as_ref().and_then(|names| names.get(part.code as usize)).cloned();
            let items = u64::from(part.records);
            Piece { tenant: named.or_else(|| tenant.clone()), bytes: own(&self.bytes, part.bytes), items }
        };
        let parts = splice_within(room, &self.bytes, &self.columns, &self.edits);
        let parts = parts.map_err(|TooRepetitive| Refusal::Permanent {
            reason:
                "its resources are so large that requests of its tenants, each of which repeats them, would take too \
                     much memory"
                    .to_owned(),
        })?;
        let pieces = parts.into_iter().map(piece).collect();
        Ok((pieces, self.columns))
    }
}

impl Tenants {
    /// Those of the rows that are left.
    fn of(self, live: &LiveRows) -> Self {
        if live.is_all() {
            return self;
        }
        let codes = live.iter().filter_map(|row| self.codes.get(row).copied()).collect();
        Self { names: self.names, codes }
    }
}

/// How many rows of whom are gone, if a stage left some of `before`. Rows that nobody has claimed are the piece's own.
fn losses(
    tenants: Option<&Tenants>,
    own: &Option<String>,
    before: &LiveRows,
    after: &LiveRows,
) -> Vec<(Option<String>, u64)> {
    let gone = before.len().saturating_sub(after.len()) as u64;
    let Some(tenants) = tenants else { return vec![(own.clone(), gone)] };
    if let [name] = &*tenants.names {
        return vec![(Some(name.clone()), gone)];
    }
    let mut rows = vec![0_u64; tenants.names.len()];
    let code = |row: usize| tenants.codes.get(row).map_or(usize::MAX, |code| *code as usize);
    before.iter().for_each(|row| rows.get_mut(code(row)).into_iter().for_each(|rows| *rows += 1));
    after.iter().for_each(|row| rows.get_mut(code(row)).into_iter().for_each(|rows| *rows -= 1));
    let named = tenants.names.iter().cloned().map(Some);
    named.zip(rows).filter(|(_, rows)| *rows > 0).collect()
}

/// The bytes of a part; shared where they are a piece of the original.
fn own(original: &Bytes, part: Cow<'_, [u8]>) -> Bytes {
    match part {
        Cow::Borrowed([]) => Bytes::new(),
        Cow::Borrowed(piece) => original.slice_ref(piece),
        Cow::Owned(bytes) => bytes.into(),
    }
}

/// Joins the requests of each tenant, in the order in which the tenants appear.
fn join(pieces: Vec<Piece>) -> Vec<Piece> {
    let mut groups: Vec<Vec<Piece>> = Vec::new();
    let mut of_tenants = HashMap::new();
    for piece in pieces {
        let next = groups.len();
        let group = *of_tenants.entry(piece.tenant.clone()).or_insert(next);
        if group == next {
            groups.push(Vec::new());
        }
        groups[group].push(piece);
    }
    let joined = |mut group: Vec<Piece>| {
        if group.len() == 1 {
            return group.swap_remove(0);
        }
        let parts: Vec<&[u8]> = group.iter().map(|piece| piece.bytes.as_ref()).collect();
        let bytes = concat(&parts).into();
        let items = group.iter().map(|piece| piece.items).sum();
        Piece { tenant: group.swap_remove(0).tenant, bytes, items }
    };
    groups.into_iter().map(joined).collect()
}

/// Checks a request that a plugin made, which must not have more rows than the one that it got.
pub(in crate::stage) fn check_replacement(signal: Signal, bytes: &[u8], rows: usize) -> Result<(), String> {
    let summary = validate(signal, bytes).and_then(Summary::unambiguous).map_err(|error| error.to_string())?;
    match summary.records as usize <= rows {
        true => Ok(()),
        false => Err(format!("it has {} rows, the batch has {rows}", summary.records)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_out_counts_for_the_tenant_whose_it_was() {
        let tenants = |names: &[&str], codes: &[u32]| Tenants {
            names: names.iter().map(|name| (*name).to_owned()).collect(),
            codes: codes.to_vec(),
        };
        let (before, after) = (LiveRows::from_bitmap(&[0b11_1110], 6), LiveRows::from_bitmap(&[0b01_0010], 6));
        let two = tenants(&["acme", "globex", "idle"], &[0, 0, 0, 1, 1, 1]);
        let some = |name: &str| Some(name.to_owned());
        assert_eq!(losses(Some(&two), &None, &before, &after), [(some("acme"), 1), (some("globex"), 2)]);
        let one = tenants(&["acme"], &[]);
        assert_eq!(losses(Some(&one), &None, &before, &after), [(some("acme"), 3)]);
        assert_eq!(losses(None, &some("own"), &before, &after), [(some("own"), 3)]);
    }
}
