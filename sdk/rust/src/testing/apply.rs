//! Checks a stage's answer as the host does, and applies it.

use sluice_wire::{
    self as wire, Columns, EditError, EditPlan, EditValue, EditValues, Intrinsic, Selector, Summary, validate,
};

use super::lower;
use super::{Processed, spliced};
use crate::bindings::sluice::plugin::types as wit;
use crate::bitmap::Bitmap;
use crate::outcome::Outcome;

/// The contract's limits, which the host keeps, too.
const MAX_EDITS: usize = 1_000;
const MAX_TENANTS: usize = 10_000;
const MAX_TENANT_NAME: usize = 256;

/// What an answer is about.
pub(super) struct Asked<'a> {
    pub(super) signal: wit::Signal,
    pub(super) columns: &'a Columns,
    pub(super) bytes: &'a [u8],
    pub(super) declared: &'a wit::Projection,
}

impl Asked<'_> {
    /// What becomes of the request.
    pub(super) fn apply(&self, outcome: Outcome) -> Result<Processed, String> {
        let rows = self.columns.rows();
        let answer = outcome.clone().into_wit(rows)?;
        let is_more = answer.keep.is_some() || !answer.edits.is_empty() || answer.partition.is_some();
        match answer.replacement {
            Some(_) if is_more => return Err("its replacement comes with other changes".to_owned()),
            Some(replacement) => return self.replace(replacement, outcome),
            None => {}
        }
        if answer.edits.len() > MAX_EDITS {
            return Err(format!("edits exceed the limit of {MAX_EDITS}"));
        }
        let mut plan = EditPlan::new(self.columns);
        check_words("keep", answer.keep.as_deref(), rows)?;
        let kept = answer.keep.map_or_else(|| Bitmap::new(rows, true), |words| Bitmap::from_words(words, rows));
        plan.keep(kept.words()).map_err(|error| error.to_string())?;
        for (i, edit) in answer.edits.into_iter().enumerate() {
            self.edit(&mut plan, edit).map_err(|error| format!("edit {i}: {error}"))?;
        }
        let bytes = spliced(self.bytes, self.columns, &plan).pop().map(|(_, bytes)| bytes).unwrap_or_default();
        let mut partitions = Vec::new();
        if let Some(wit::Partition { tenants, mut codes }) = answer.partition {
            if tenants.len() > MAX_TENANTS {
                return Err(format!("tenants exceed the limit of {MAX_TENANTS}"));
            }
            if let Some(name) = tenants.iter().find(|name| !is_tenant_name(name)) {
                return Err(format!("{name:?} is no name of a tenant"));
            }
            if tenants.len() == 1 && codes.is_empty() {
                codes.resize(plan.rows(), 0);
            }
            plan.partition(codes, tenants.len() as u32).map_err(|error| error.to_string())?;
            for (code, bytes) in spliced(self.bytes, self.columns, &plan) {
                partitions.push((tenants[code as usize].clone(), bytes));
            }
        }
        Ok(Processed { bytes, kept, partitions, outcome, skipped: false })
    }

    fn replace(&self, replacement: Vec<u8>, outcome: Outcome) -> Result<Processed, String> {
        if self.declared.writes != wit::Writes::Everything {
            return Err("it replaces the request without having declared Writes::Everything".to_owned());
        }
        let summary = validate(lower::signal(self.signal), &replacement)
            .and_then(Summary::unambiguous)
            .map_err(|error| error.to_string())?;
        if summary.records as usize > self.columns.rows() {
            return Err("its replacement has more rows than the request".to_owned());
        }
        let kept = Bitmap::new(summary.records as usize, true);
        Ok(Processed { bytes: replacement, kept, partitions: Vec::new(), outcome, skipped: false })
    }

    fn edit(&self, plan: &mut EditPlan, edit: wit::Edit) -> Result<(), String> {
        let (columns, bytes) = (self.columns, self.bytes);
        let done = match edit {
            wit::Edit::SetConstant(wit::SetConstant { field, entities, value }) => {
                let entities = self.entities(field.level, entities.as_deref())?;
                plan.set(&self.writable(&field)?, entities, self::value(&value))
            }
            wit::Edit::SetValues(wit::SetValues { field, entities, values }) => {
                plan.set_values(&self.writable(&field)?, &entities, self::values(&values))
            }
            wit::Edit::Remove(wit::Remove { field, entities }) => {
                let entities = self.entities(field.level, entities.as_deref())?;
                plan.remove(&self.writable(&field)?, entities)
            }
            wit::Edit::Rename(wit::Rename { level, from, to, entities }) => {
                self.writable(&wit::Field::attribute(level, from.clone()))?;
                self.writable(&wit::Field::attribute(level, to.clone()))?;
                let entities = self.entities(level, entities.as_deref())?;
                plan.rename(lower::level(level), &from, &to, entities)
            }
            wit::Edit::Mask(wit::Mask { entries, starts, ends, replacement }) => {
                self.check_entries(&entries)?;
                plan.mask(columns, bytes, &entries, &starts, &ends, &replacement)
            }
            wit::Edit::MaskField(wit::MaskField { field, entities, starts, ends, replacement }) => {
                plan.mask_field(columns, bytes, &self.writable(&field)?, &entities, &starts, &ends, &replacement)
            }
            wit::Edit::ReplaceEntries(wit::ReplaceEntries { entries, texts }) => {
                self.check_entries(&entries)?;
                plan.replace_entries(columns, bytes, &entries, &texts.offsets, &texts.bytes)
            }
            wit::Edit::RemoveEntries(entries) => {
                self.check_entries(&entries)?;
                plan.remove_entries(columns, bytes, &entries)
            }
        };
        done.map_err(|error: EditError| error.to_string())
    }

    fn entities<'w>(&self, level: wit::Level, words: Option<&'w [u64]>) -> Result<wire::Entities<'w>, String> {
        check_words("entities", words, self.columns.entities(lower::level(level)))?;
        Ok(words.map_or(wire::Entities::All, wire::Entities::Bitmap))
    }

    /// The field, if the stage declared that it writes it.
    fn writable(&self, field: &wit::Field) -> Result<wire::Field, String> {
        let named = lower::field(field)?;
        self.check_writable(&named)?;
        Ok(named)
    }

    fn check_writable(&self, field: &wire::Field) -> Result<(), String> {
        let is_named = |fields: &[wit::Field]| fields.iter().any(|one| lower::field(one).as_ref() == Ok(field));
        let body = Selector::Intrinsic(Intrinsic::Body);
        let allowed = match &self.declared.writes {
            wit::Writes::Nothing => false,
            wit::Writes::Fields(fields) => is_named(fields),
            wit::Writes::AttributesAnd(fields) => {
                matches!(field.selector, Selector::Attribute(_)) || field.selector == body || is_named(fields)
            }
            wit::Writes::Everything => true,
        };
        if allowed { Ok(()) } else { Err(format!("it edits {field} without having declared it")) }
    }

    fn check_entries(&self, entries: &[u32]) -> Result<(), String> {
        if !matches!(self.declared.writes, wit::Writes::Nothing | wit::Writes::Fields(_)) {
            return Ok(());
        }
        for entry in entries {
            let field = self
                .columns
                .entry_field(self.bytes, *entry as usize)
                .ok_or("it edits an attribute of an event, a link or an exemplar without having declared it")?;
            self.check_writable(&field)?;
        }
        Ok(())
    }
}

/// A bitmap has a bit for each entity, in as few words as that takes.
fn check_words(what: &str, words: Option<&[u64]>, bits: usize) -> Result<(), String> {
    let expected = bits.div_ceil(64);
    match words.map(<[u64]>::len) {
        Some(found) if found != expected => Err(format!("{what} has {found} values, {expected} are needed")),
        _ => Ok(()),
    }
}

fn value(value: &wit::Value) -> EditValue<'_> {
    match value {
        wit::Value::Text(text) => EditValue::Text(text),
        wit::Value::S64(number) => EditValue::S64(*number),
        wit::Value::F64(number) => EditValue::F64(*number),
        wit::Value::Boolean(truth) => EditValue::Boolean(*truth),
        wit::Value::Bytes(bytes) => EditValue::Bytes(bytes),
    }
}

fn values(values: &wit::Values) -> EditValues<'_> {
    match values {
        wit::Values::Text(texts) => EditValues::Text { offsets: &texts.offsets, bytes: &texts.bytes },
        wit::Values::Bytes(texts) => EditValues::Bytes { offsets: &texts.offsets, bytes: &texts.bytes },
        wit::Values::S64(numbers) => EditValues::S64(numbers),
        wit::Values::F64(numbers) => EditValues::F64(numbers),
        wit::Values::Boolean(truths) => EditValues::Boolean(truths),
    }
}

fn is_tenant_name(name: &str) -> bool {
    let is_sound = !name.is_empty() && name.len() <= MAX_TENANT_NAME && !name.chars().any(char::is_control);
    is_sound && name != "(other)"
}
