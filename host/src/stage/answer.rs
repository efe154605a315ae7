//! Checks what a plugin answered and puts it into the plan of edits; the plan is in terms of the original batch.

use sluice_wire::{Columns, EditError, EditPlan, EditValue, EditValues, Entities, Field, Level, LiveRows, Selector};

use super::bindings::sluice::plugin::types;
use super::declared::{self, Declared, Writes};
use super::lower::Lowered;
use crate::model::TenantId;

/// Tenants that one batch may have, in all its parts; `tenant_label` can be told to let as many through.
pub(super) const MAX_TENANTS: usize = 10_000;
const MAX_TENANT_NAME: usize = 256;
/// Edits in one answer. Each concerns any number of entities, and costs memory for all of them.
const MAX_EDITS: usize = 1_000;
/// What a value costs in the encoding beside its own bytes: tags and lengths.
const VALUE_OVERHEAD: u64 = 12;

/// An answer that breaks the contract.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AnswerError {
    /// A list has the wrong length.
    #[error("{what} has {found} values, {expected} are needed")]
    Length {
        /// Which list.
        what: &'static str,
        /// How many values it has.
        found: usize,
        /// How many it should have.
        expected: usize,
    },
    /// A number is too large.
    #[error("{what} {number} of {count}")]
    Range {
        /// A row, an entry, a tenant.
        what: &'static str,
        /// Its number.
        number: usize,
        /// How many there are.
        count: usize,
    },
    /// It edits what it has not declared.
    #[error("it edits {0} without having declared it")]
    Undeclared(String),
    /// It names a field that does not exist.
    #[error("{0}")]
    Field(String),
    /// An edit makes no sense.
    #[error("edit {number}: {error}")]
    Edit {
        /// Which one, from 0.
        number: usize,
        /// Why.
        error: EditError,
    },
    /// It is too large, or would make the batch too large.
    #[error("it has or adds more than {0} MiB, the stage's limits.output")]
    Growth(u64),
    /// There are more edits or tenants than allowed.
    #[error("{0} exceed the limit of {1}")]
    TooMany(&'static str, usize),
    /// A tenant's name can't be one.
    #[error("{0:?} is no name of a tenant")]
    Tenant(String),
    /// A replacement is no request, or has more rows than the batch.
    #[error("its replacement is refused: {0}")]
    Replacement(String),
}

/// What an answer was about.
#[derive(Clone, Copy)]
pub(super) struct Asked<'a> {
    pub(super) declared: &'a Declared,
    pub(super) columns: &'a Columns,
    pub(super) bytes: &'a [u8],
    pub(super) live: &'a LiveRows,
    pub(super) lowered: &'a Lowered,
    /// Bytes that edits may add.
    pub(super) growth_bytes: u64,
}

/// A checked answer.
pub(super) struct Answer {
    /// The plan with this answer's drops and edits.
    pub(super) plan: EditPlan,
    /// Names of tenants, and for each row of the original batch a position among them; there may be no positions
    /// if there is one name.
    pub(super) tenants: Option<(Vec<String>, Vec<u32>)>,
    /// Fields and entries that the edits concern.
    pub(super) edited: u64,
    /// Whether it may leave fewer rows.
    pub(super) drops: bool,
}

impl Asked<'_> {
    /// Checks an answer. The plan stays as it was if anything is wrong.
    pub(super) fn check(&self, plan: &EditPlan, outcome: types::Outcome) -> Result<Answer, AnswerError> {
        if outcome.edits.len() > MAX_EDITS {
            return Err(AnswerError::TooMany("edits", MAX_EDITS));
        }
        let drops = outcome.keep.is_some();
        let mut answer = Answer { plan: plan.clone(), tenants: None, edited: 0, drops };
        if let Some(keep) = &outcome.keep {
            self.check_words("keep", keep, self.live.len())?;
            let keep = self.live.widen(keep);
            answer.plan.keep(&keep).map_err(|error| AnswerError::Edit { number: 0, error })?;
        }
        let mut growth = Growth { bytes: 0, limit: self.growth_bytes };
        for (number, edit) in outcome.edits.into_iter().enumerate() {
            self.edit(&mut answer, &mut growth, edit)?.map_err(|error| AnswerError::Edit { number, error })?;
        }
        if let Some(partition) = outcome.partition {
            self.partition(&mut answer, partition)?;
        }
        Ok(answer)
    }

    /// Outer errors are found here, inner ones by the plan.
    fn edit(
        &self,
        answer: &mut Answer,
        growth: &mut Growth,
        edit: types::Edit,
    ) -> Result<Result<(), EditError>, AnswerError> {
        match edit {
            types::Edit::SetConstant(set) => self.set_constant(answer, growth, set),
            types::Edit::SetValues(set) => self.set_values(answer, growth, set),
            types::Edit::Remove(types::Remove { field, entities }) => {
                let field = self.writable(field)?;
                let entities = self.entities(field.level, entities)?;
                answer.edited += self.count(field.level, entities.as_deref());
                Ok(answer.plan.remove(&field, bitmap(entities.as_deref())))
            }
            types::Edit::Rename(types::Rename { level, from, to, entities }) => {
                let level = declared::level(level);
                self.check_writable(&Field::attribute(level, from.clone()))?;
                self.check_writable(&Field::attribute(level, to.clone()))?;
                let entities = self.entities(level, entities)?;
                let count = self.count(level, entities.as_deref());
                growth.add(count, to.len())?;
                answer.edited += count;
                Ok(answer.plan.rename(level, &from, &to, bitmap(entities.as_deref())))
            }
            types::Edit::Mask(types::Mask { entries, starts, ends, replacement }) => {
                let entries = self.entries(entries)?;
                let distinct = distinct_neighbours(&entries);
                growth.add_all(distinct, lengthening(&starts, &ends, &replacement))?;
                answer.edited += distinct;
                Ok(answer.plan.mask(self.columns, self.bytes, &entries, &starts, &ends, &replacement))
            }
            types::Edit::MaskField(types::MaskField { field, entities, starts, ends, replacement }) => {
                let field = self.writable(field)?;
                let entities = self.originals(field.level, entities)?;
                let distinct = distinct_neighbours(&entities);
                growth.add_all(distinct, lengthening(&starts, &ends, &replacement))?;
                answer.edited += distinct;
                let (columns, bytes) = (self.columns, self.bytes);
                Ok(answer.plan.mask_field(columns, bytes, &field, &entities, &starts, &ends, &replacement))
            }
            types::Edit::ReplaceEntries(types::ReplaceEntries { entries, texts }) => {
                let entries = self.entries(entries)?;
                growth.add_all(entries.len() as u64, texts.bytes.len())?;
                answer.edited += entries.len() as u64;
                Ok(answer.plan.replace_entries(self.columns, self.bytes, &entries, &texts.offsets, &texts.bytes))
            }
            types::Edit::RemoveEntries(entries) => {
                let entries = self.entries(entries)?;
                answer.edited += entries.len() as u64;
                Ok(answer.plan.remove_entries(self.columns, self.bytes, &entries))
            }
        }
    }

    fn set_constant(
        &self,
        answer: &mut Answer,
        growth: &mut Growth,
        set: types::SetConstant,
    ) -> Result<Result<(), EditError>, AnswerError> {
        let field = self.writable(set.field)?;
        let entities = self.entities(field.level, set.entities)?;
        let count = self.count(field.level, entities.as_deref());
        let (value, len) = match &set.value {
            types::Value::Text(text) => (EditValue::Text(text), text.len()),
            types::Value::Bytes(bytes) => (EditValue::Bytes(bytes), bytes.len()),
            types::Value::S64(number) => (EditValue::S64(*number), 0),
            types::Value::F64(number) => (EditValue::F64(*number), 0),
            types::Value::Boolean(truth) => (EditValue::Boolean(*truth), 0),
        };
        growth.add(count, len + key_len(&field))?;
        answer.edited += count;
        Ok(answer.plan.set(&field, bitmap(entities.as_deref()), value))
    }

    fn set_values(
        &self,
        answer: &mut Answer,
        growth: &mut Growth,
        set: types::SetValues,
    ) -> Result<Result<(), EditError>, AnswerError> {
        let field = self.writable(set.field)?;
        let entities = self.originals(field.level, set.entities)?;
        let (values, len) = match &set.values {
            types::Values::Text(types::TextsResult { offsets, bytes }) => {
                (EditValues::Text { offsets, bytes }, bytes.len())
            }
            types::Values::Bytes(types::TextsResult { offsets, bytes }) => {
                (EditValues::Bytes { offsets, bytes }, bytes.len())
            }
            types::Values::S64(numbers) => (EditValues::S64(numbers), 0),
            types::Values::F64(numbers) => (EditValues::F64(numbers), 0),
            types::Values::Boolean(truths) => (EditValues::Boolean(truths), 0),
        };
        growth.add(entities.len() as u64, key_len(&field))?;
        growth.add_all(0, len)?;
        answer.edited += entities.len() as u64;
        Ok(answer.plan.set_values(&field, &entities, values))
    }

    fn partition(&self, answer: &mut Answer, partition: types::Partition) -> Result<(), AnswerError> {
        let types::Partition { tenants, codes } = partition;
        if tenants.len() > MAX_TENANTS {
            return Err(AnswerError::TooMany("tenants", MAX_TENANTS));
        }
        if let Some(name) = tenants.iter().find(|name| !is_tenant_name(name)) {
            return Err(AnswerError::Tenant(name.chars().take(64).collect()));
        }
        if tenants.len() == 1 && codes.is_empty() {
            answer.tenants = Some((tenants, codes));
            return Ok(());
        }
        if codes.len() != self.live.len() {
            return Err(AnswerError::Length { what: "partition", found: codes.len(), expected: self.live.len() });
        }
        if let Some(code) = codes.iter().find(|code| **code as usize >= tenants.len()) {
            return Err(AnswerError::Range { what: "tenant", number: *code as usize, count: tenants.len() });
        }
        let codes = if self.live.is_all() {
            codes
        } else {
            let mut wide = vec![0; answer.plan.rows()];
            self.live.iter().zip(codes).for_each(|(row, code)| wide[row] = code);
            wide
        };
        answer.tenants = Some((tenants, codes));
        Ok(())
    }

    fn writable(&self, field: types::Field) -> Result<Field, AnswerError> {
        let field = declared::field(field).map_err(AnswerError::Field)?;
        self.check_writable(&field)?;
        Ok(field)
    }

    fn check_writable(&self, field: &Field) -> Result<(), AnswerError> {
        match self.declared.writes.allows(field) {
            true => Ok(()),
            false => Err(AnswerError::Undeclared(field.to_string())),
        }
    }

    /// The original numbers of table entries, all of which the plugin may edit.
    fn entries(&self, mut entries: Vec<u32>) -> Result<Vec<u32>, AnswerError> {
        let count = self.lowered.table.as_ref().map_or(0, |table| table.entries);
        let original = |entry: usize| self.lowered.table.as_ref().and_then(|table| table.original(entry));
        for entry in &mut entries {
            let number = *entry as usize;
            let Some(original) = original(number) else {
                return Err(AnswerError::Range { what: "entry", number, count });
            };
            *entry = original as u32;
        }
        if let Writes::Fields(_) = &self.declared.writes {
            entries.iter().try_for_each(|entry| self.check_entry(*entry as usize))?;
        }
        Ok(entries)
    }

    fn check_entry(&self, entry: usize) -> Result<(), AnswerError> {
        match self.columns.entry_field(self.bytes, entry) {
            Some(field) => self.check_writable(&field),
            None => Err(AnswerError::Undeclared("an attribute of an event, a link or an exemplar".to_owned())),
        }
    }

    /// The original numbers of entities.
    fn originals(&self, level: Level, mut entities: Vec<u32>) -> Result<Vec<u32>, AnswerError> {
        if level == Level::Record {
            let count = self.live.len();
            for entity in &mut entities {
                let number = *entity as usize;
                let Some(original) = self.live.original(number) else {
                    return Err(AnswerError::Range { what: "row", number, count });
                };
                *entity = original as u32;
            }
        }
        Ok(entities)
    }

    /// A bitmap over original entities.
    fn entities(&self, level: Level, words: Option<Vec<u64>>) -> Result<Option<Vec<u64>>, AnswerError> {
        let Some(words) = words else { return Ok(None) };
        if level != Level::Record {
            self.check_words("entities", &words, self.columns.entities(level))?;
            return Ok(Some(words));
        }
        self.check_words("entities", &words, self.live.len())?;
        Ok(Some(self.live.widen(&words)))
    }

    fn check_words(&self, what: &'static str, words: &[u64], bits: usize) -> Result<(), AnswerError> {
        let expected = bits.div_ceil(64);
        match words.len() == expected {
            true => Ok(()),
            false => Err(AnswerError::Length { what, found: words.len(), expected }),
        }
    }

    fn count(&self, level: Level, words: Option<&[u64]>) -> u64 {
        match words {
            Some(words) => words.iter().map(|word| u64::from(word.count_ones())).sum(),
            None if level == Level::Record => self.live.len() as u64,
            None => self.columns.entities(level) as u64,
        }
    }
}

/// Counts what edits add at most.
struct Growth {
    bytes: u64,
    limit: u64,
}

impl Growth {
    /// So many values of so many bytes each.
    fn add(&mut self, values: u64, len: usize) -> Result<(), AnswerError> {
        self.check(values.saturating_mul(len as u64 + VALUE_OVERHEAD))
    }

    /// So many values of so many bytes together.
    fn add_all(&mut self, values: u64, len: usize) -> Result<(), AnswerError> {
        self.check(values.saturating_mul(VALUE_OVERHEAD).saturating_add(len as u64))
    }

    fn check(&mut self, bytes: u64) -> Result<(), AnswerError> {
        self.bytes = self.bytes.saturating_add(bytes);
        if self.bytes > self.limit { Err(AnswerError::Growth(self.limit >> 20)) } else { Ok(()) }
    }
}

fn bitmap(words: Option<&[u64]>) -> Entities<'_> {
    words.map_or(Entities::All, Entities::Bitmap)
}

fn key_len(field: &Field) -> usize {
    match &field.selector {
        Selector::Attribute(key) => key.len(),
        Selector::Intrinsic(_) => 0,
    }
}

/// By how many bytes a replacement of these ranges makes texts longer at most.
fn lengthening(starts: &[u32], ends: &[u32], replacement: &str) -> usize {
    let covered = starts.iter().zip(ends).map(|(start, end)| end.saturating_sub(*start) as usize);
    covered.map(|covered| replacement.len().saturating_sub(covered)).sum()
}

/// How many different numbers there are in a list in which equal ones stand together.
fn distinct_neighbours(numbers: &[u32]) -> u64 {
    let changes = numbers.windows(2).filter(|pair| pair[0] != pair[1]).count();
    (changes + usize::from(!numbers.is_empty())) as u64
}

/// A name that is fit for labels, paths and index names to be made of it.
fn is_tenant_name(name: &str) -> bool {
    let is_sound = !name.is_empty() && name.len() <= MAX_TENANT_NAME && !name.chars().any(char::is_control);
    is_sound && name != TenantId::OTHERS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tenant_may_have_any_name_that_is_no_other_ones() {
        let (longest, too_long) = ("x".repeat(256), "x".repeat(257));
        let cases = [("a", true), ("a b/ä", true), ("", false), ("a\n", false), ("(other)", false), ("(others)", true)];
        for (name, expected) in cases.into_iter().chain([(&*longest, true), (&too_long, false)]) {
            assert_eq!(is_tenant_name(name), expected, "{name:?}");
        }
    }

    #[test]
    fn only_what_makes_a_text_longer_is_growth() {
        for (ends, expected) in [(vec![5, 12], 2), (vec![0, 10], 8), (vec![4, 14], 0), (vec![9, 99], 0)] {
            assert_eq!(lengthening(&[0, 10], &ends, "****"), expected, "{ends:?}");
        }
    }
}
