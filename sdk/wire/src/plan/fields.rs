//! Edits by field: set, remove, rename, mask.

use alloc::format;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

use crate::bitmap;
use crate::columns::{Columns, Slice, Store};
use crate::field::{Field, Intrinsic, Level, Selector};
use crate::place::{self, Scalar};

use super::entries::Range;
use super::{
    AttributeAction, AttributeEdit, EditError, EditPlan, IntrinsicEdits, Kept, REMOVED, UNCHANGED, boxed, check_bitmap,
};

/// Which entities an edit concerns.
#[derive(Clone, Copy, Debug)]
pub enum Entities<'a> {
    /// All of the level.
    All,
    /// Those whose bit is set.
    Bitmap(&'a [u64]),
    /// These.
    List(&'a [u32]),
}

impl Entities<'_> {
    fn check(&self, count: usize) -> Result<(), EditError> {
        match self {
            Self::All => Ok(()),
            Self::Bitmap(bitmap) => check_bitmap(bitmap, count),
            Self::List(list) => match list.iter().find(|&&entity| entity as usize >= count) {
                Some(&entity) => Err(EditError::OutOfRange { what: "entity", index: entity as usize, length: count }),
                None => Ok(()),
            },
        }
    }

    pub(super) fn for_each(&self, count: usize, mut visit: impl FnMut(usize)) {
        match self {
            Self::All => (0..count).for_each(visit),
            Self::Bitmap(bitmap) => bitmap::iter(bitmap).take_while(|&entity| entity < count).for_each(visit),
            Self::List(list) => list.iter().for_each(|&entity| visit(entity as usize)),
        }
    }

    fn to_bitmap(self, count: usize) -> Vec<u64> {
        let mut bits = vec![0; bitmap::words(count)];
        match self {
            Self::All => bits = bitmap::full(count),
            _ => self.for_each(count, |entity| bitmap::set(&mut bits, entity)),
        }
        bits
    }
}

/// A value to write.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum EditValue<'a> {
    /// A string.
    Text(&'a str),
    /// An integer; also for enumerations, times and counts.
    S64(i64),
    /// A floating point number.
    F64(f64),
    /// A boolean.
    Boolean(bool),
    /// Bytes.
    Bytes(&'a [u8]),
}

/// Values to write, one per entity.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum EditValues<'a> {
    /// Strings: text `i` is `bytes[offsets[i]..offsets[i + 1]]`.
    Text {
        /// One more than there are texts.
        offsets: &'a [u32],
        /// UTF-8.
        bytes: &'a [u8],
    },
    /// Integers.
    S64(&'a [i64]),
    /// Floating point numbers.
    F64(&'a [f64]),
    /// Booleans.
    Boolean(&'a [bool]),
    /// Bytes, laid out like texts.
    Bytes {
        /// One more than there are values.
        offsets: &'a [u32],
        /// The bytes.
        bytes: &'a [u8],
    },
}

impl<'a> EditValues<'a> {
    fn len(&self) -> usize {
        match self {
            Self::Text { offsets, .. } | Self::Bytes { offsets, .. } => offsets.len().saturating_sub(1),
            Self::S64(values) => values.len(),
            Self::F64(values) => values.len(),
            Self::Boolean(values) => values.len(),
        }
    }

    fn get(&self, index: usize) -> Result<EditValue<'a>, EditError> {
        let value = match self {
            Self::Text { offsets, bytes } => text_at(offsets, bytes, index).map(EditValue::Text),
            Self::Bytes { offsets, bytes } => bytes_at(offsets, bytes, index).map(EditValue::Bytes),
            Self::S64(values) => values.get(index).map(|&value| EditValue::S64(value)),
            Self::F64(values) => values.get(index).map(|&value| EditValue::F64(value)),
            Self::Boolean(values) => values.get(index).map(|&value| EditValue::Boolean(value)),
        };
        value.ok_or(EditError::BadText(index))
    }
}

fn range(offsets: &[u32], index: usize) -> Option<core::ops::Range<usize>> {
    Some(*offsets.get(index)? as usize..*offsets.get(index + 1)? as usize)
}

fn bytes_at<'a>(offsets: &[u32], bytes: &'a [u8], index: usize) -> Option<&'a [u8]> {
    bytes.get(range(offsets, index)?)
}

/// Text number `index` of a flat list of texts.
pub(super) fn text_at<'a>(offsets: &[u32], bytes: &'a [u8], index: usize) -> Option<&'a str> {
    core::str::from_utf8(bytes_at(offsets, bytes, index)?).ok()
}

impl EditPlan {
    /// Writes one value to a field of several entities. Attributes that do not exist are added.
    ///
    /// # Errors
    /// The field doesn't exist or can't hold the value, or the entities make no sense.
    pub fn set(&mut self, field: &Field, entities: Entities<'_>, value: EditValue<'_>) -> Result<(), EditError> {
        check_value(field, self.check_field(field)?, value)?;
        entities.check(self.entities[field.level as usize])?;
        let code = self.keep_value(value);
        self.write(field, entities, |_| code);
        Ok(())
    }

    /// Writes a value to a field of each of some entities.
    ///
    /// # Errors
    /// The field doesn't exist or can't hold a value, the entities make no sense, or there isn't one value for each.
    pub fn set_values(&mut self, field: &Field, entities: &[u32], values: EditValues<'_>) -> Result<(), EditError> {
        if values.len() != entities.len() {
            return Err(EditError::WrongLength { what: "values", expected: entities.len(), found: values.len() });
        }
        Entities::List(entities).check(self.entities[field.level as usize])?;
        let scalar = self.check_field(field)?;
        let (kept, pooled) = (self.values.len(), self.pool.len());
        if let Err(error) = self.keep_values(field, scalar, values) {
            self.values.truncate(kept);
            self.pool.truncate(pooled);
            return Err(error);
        }
        let first = kept as u32 + 2;
        self.write(field, Entities::List(entities), |index| first + index as u32);
        Ok(())
    }

    fn keep_values(&mut self, field: &Field, scalar: Option<Scalar>, values: EditValues<'_>) -> Result<(), EditError> {
        if let EditValues::Text { offsets, bytes } = values
            && let Ok(all) = core::str::from_utf8(bytes)
        {
            return self.keep_texts(field, scalar, offsets, all);
        }
        for index in 0..values.len() {
            let value = values.get(index)?;
            check_value(field, scalar, value)?;
            self.keep_value(value);
        }
        Ok(())
    }

    /// Texts that are UTF-8 together need not be looked through, or copied, one by one.
    fn keep_texts(
        &mut self,
        field: &Field,
        scalar: Option<Scalar>,
        offsets: &[u32],
        all: &str,
    ) -> Result<(), EditError> {
        let base = self.pool.len() as u32;
        self.pool.extend_from_slice(all.as_bytes());
        for (index, pair) in offsets.windows(2).enumerate() {
            let Some(text) = all.get(pair[0] as usize..pair[1] as usize) else {
                return Err(EditError::BadText(index));
            };
            check_value(field, scalar, EditValue::Text(text))?;
            self.values.push(Kept::Text(base + pair[0], base + pair[1]));
        }
        Ok(())
    }

    /// Removes attributes, or clears an intrinsic field.
    ///
    /// # Errors
    /// The field doesn't exist or can't be written, or the entities make no sense.
    pub fn remove(&mut self, field: &Field, entities: Entities<'_>) -> Result<(), EditError> {
        self.check_field(field)?;
        let count = self.entities[field.level as usize];
        entities.check(count)?;
        let Selector::Attribute(key) = &field.selector else {
            self.write(field, entities, |_| REMOVED);
            return Ok(());
        };
        let order = self.next_order();
        let action = AttributeAction::Remove(entities.to_bitmap(count));
        self.attributes.push(AttributeEdit { level: field.level, order, key: boxed(key), action });
        self.touch(field.level, &entities);
        self.touch_owner(field);
        Ok(())
    }

    /// Renames attributes; an attribute that already has the new key is replaced.
    ///
    /// # Errors
    /// The signal has no such level, or the entities make no sense.
    pub fn rename(&mut self, level: Level, from: &str, to: &str, entities: Entities<'_>) -> Result<(), EditError> {
        let field = Field::attribute(level, from);
        self.check_field(&field)?;
        let count = self.entities[level as usize];
        entities.check(count)?;
        if from == to {
            return Ok(());
        }
        let order = self.next_order();
        let action = AttributeAction::Rename(boxed(to), entities.to_bitmap(count));
        self.attributes.push(AttributeEdit { level, order, key: boxed(from), action });
        self.touch(level, &entities);
        self.touch_owner(&field);
        Ok(())
    }

    /// Replaces byte ranges of texts in a column that was read as text or dictionary: range `i` lies in the text of
    /// `entities[i]`. The ranges of an entity stand together, ascend and do not overlap. `bytes` are those that the
    /// columns were extracted from.
    ///
    /// # Errors
    /// There is no such column, an entity has no text there or an earlier edit wrote it, or a range makes no sense.
    #[expect(clippy::too_many_arguments, reason = "flat parallel lists are what crosses from a plugin")]
    pub fn mask_field(
        &mut self,
        columns: &Columns,
        bytes: &[u8],
        field: &Field,
        entities: &[u32],
        starts: &[u32],
        ends: &[u32],
        replacement: &str,
    ) -> Result<(), EditError> {
        self.check_field(field)?;
        Entities::List(entities).check(self.entities[field.level as usize])?;
        let place = |entity: u32| Some((text_in_column(columns, field, entity as usize)?, 0));
        if columns.text_store(field).is_none() {
            return Err(EditError::NoColumn(field.clone()));
        }
        let mut ranges = Range::check_all("entity", entities, starts, ends, bytes, place)?;
        let mut written = Ok(());
        ranges.retain(|range| match self.field_state(field, range.number as usize) {
            UNCHANGED => true,
            REMOVED => false,
            _ => {
                written = Err(EditError::AlreadyWritten { what: "entity", index: range.number as usize });
                false
            }
        });
        written?;
        self.push_masks(ranges.iter().map(|range| range.mask), replacement);
        self.touch(field.level, &Entities::List(entities));
        self.touch_field(field);
        Ok(())
    }

    /// What earlier edits by field did to an entity's field: `UNCHANGED`, `REMOVED` or a value.
    pub(super) fn field_state(&self, field: &Field, entity: usize) -> u32 {
        match &field.selector {
            Selector::Intrinsic(intrinsic) => {
                let same = |edits: &&IntrinsicEdits| edits.level == field.level && edits.intrinsic == *intrinsic;
                let edits = self.intrinsics.iter().find(same);
                edits.and_then(|edits| edits.codes.get(entity).copied()).unwrap_or(UNCHANGED)
            }
            Selector::Attribute(key) => {
                let same =
                    |edit: &&AttributeEdit| edit.level == field.level && *edit.key == **key && edit.concerns(entity);
                let mut state = UNCHANGED;
                for edit in self.attributes.iter().filter(same) {
                    state = match &edit.action {
                        AttributeAction::Set(codes) => codes.get(entity).copied().unwrap_or(UNCHANGED),
                        AttributeAction::Remove(_) => REMOVED,
                        AttributeAction::Rename(..) => state,
                    };
                }
                state
            }
        }
    }

    pub(super) fn write(&mut self, field: &Field, entities: Entities<'_>, code: impl Fn(usize) -> u32) {
        let count = self.entities[field.level as usize];
        let order = self.next_order();
        let codes = match &field.selector {
            Selector::Intrinsic(intrinsic) => self.intrinsic_codes(field.level, *intrinsic, count),
            Selector::Attribute(key) => {
                let action = AttributeAction::Set(vec![UNCHANGED; count]);
                self.attributes.push(AttributeEdit { level: field.level, order, key: boxed(key), action });
                match self.attributes.last_mut().map(|edit| &mut edit.action) {
                    Some(AttributeAction::Set(codes)) => codes,
                    _ => return,
                }
            }
        };
        let mut index = 0;
        let mut removes = false;
        entities.for_each(count, |entity| {
            codes[entity] = code(index);
            removes |= codes[entity] == REMOVED;
            index += 1;
        });
        if !removes {
            self.remove_rival(field, entities);
        }
        self.touch(field.level, &entities);
        self.touch_owner(field);
    }

    /// Writing one member of a `oneof` removes the other.
    fn remove_rival(&mut self, field: &Field, entities: Entities<'_>) {
        let rival = match field.selector {
            Selector::Intrinsic(Intrinsic::ValueInt) => Intrinsic::ValueDouble,
            Selector::Intrinsic(Intrinsic::ValueDouble) => Intrinsic::ValueInt,
            _ => return,
        };
        let count = self.entities[field.level as usize];
        let codes = self.intrinsic_codes(field.level, rival, count);
        entities.for_each(count, |entity| codes[entity] = REMOVED);
    }

    fn intrinsic_codes(&mut self, level: Level, intrinsic: Intrinsic, count: usize) -> &mut Vec<u32> {
        let known = self.intrinsics.iter().position(|edits| edits.level == level && edits.intrinsic == intrinsic);
        let position = known.unwrap_or_else(|| {
            self.intrinsics.push(IntrinsicEdits { level, intrinsic, codes: vec![UNCHANGED; count] });
            self.intrinsics.len() - 1
        });
        &mut self.intrinsics[position].codes
    }

    /// Checks that the field exists and can be written, and says what it holds if that is not just any value.
    fn check_field(&self, field: &Field) -> Result<Option<Scalar>, EditError> {
        let intrinsic = match &field.selector {
            Selector::Intrinsic(intrinsic) => *intrinsic,
            Selector::Attribute(_) => {
                return match place::entity_messages(self.signal, field.level) {
                    [] => Err(EditError::NoSuchLevel(field.level)),
                    _ => Ok(None),
                };
            }
        };
        if intrinsic.available(self.signal, field.level).is_none() {
            return Err(EditError::NoSuchField(field.clone()));
        }
        if !intrinsic.writable() {
            return Err(EditError::NotWritable(field.clone()));
        }
        let messages = place::entity_messages(self.signal, field.level);
        let place = messages.iter().flat_map(|&message| place::places(message, intrinsic)).next();
        Ok(place.map(|place| place.scalar))
    }
}

fn check_value(field: &Field, scalar: Option<Scalar>, value: EditValue<'_>) -> Result<(), EditError> {
    match scalar {
        Some(scalar) if !fits(scalar, value) => {
            Err(EditError::WrongValue { field: field.clone(), value: describe(value) })
        }
        _ => Ok(()),
    }
}

fn fits(scalar: Scalar, value: EditValue<'_>) -> bool {
    match (scalar, value) {
        (Scalar::Any, _) => true,
        (Scalar::Text, EditValue::Text(_)) => true,
        (Scalar::Id(width), EditValue::Bytes(id)) => id.is_empty() || id.len() == usize::from(width),
        (Scalar::Boolean, EditValue::Boolean(_)) | (Scalar::Double, EditValue::F64(_)) => true,
        (Scalar::U32 | Scalar::Fixed32, EditValue::S64(number)) => u32::try_from(number).is_ok(),
        (Scalar::I32 | Scalar::Zigzag, EditValue::S64(number)) => i32::try_from(number).is_ok(),
        (Scalar::Fixed64, EditValue::S64(number)) => number >= 0,
        (Scalar::Signed64, EditValue::S64(_)) => true,
        _ => false,
    }
}

fn describe(value: EditValue<'_>) -> String {
    match value {
        EditValue::Text(_) => "text".into(),
        EditValue::Bytes(bytes) => format!("{} bytes", bytes.len()),
        EditValue::S64(number) => format!("integer {number}"),
        EditValue::F64(_) => "a floating point number".into(),
        EditValue::Boolean(_) => "a boolean".into(),
    }
}

fn text_in_column(columns: &Columns, field: &Field, entity: usize) -> Option<Slice> {
    let slice = match columns.text_store(field)? {
        Store::Text(slices) => *slices.get(entity)?,
        Store::Dictionary { codes, starts, values } => {
            let known = values.value(*codes.get(entity)?)?;
            Slice { start: *starts.get(entity)?, length: known.length }
        }
        _ => return None,
    };
    slice.is_present().then_some(slice)
}
