//! What shall change in a request: rows to drop, edits of fields and table entries, and a partition.
//!
//! A plan speaks of rows, entities and entries by the numbers that they have in the `Columns` it was made for,
//! whatever earlier edits did. Edits apply in their order:
//!
//! - Of several writes to one field of one entity the last counts, removals included.
//! - Setting an attribute writes the first one with that key and removes others with it; if there is none it is added
//!   at the end. Removing takes away all with the key. Renaming takes away those that had the new key, and of several
//!   with the old key all but the first; where there is none with the old key nothing happens.
//! - The ranges of masks count in the original text. Ranges of several masks of one text are united where they
//!   overlap; the replacement is that of the range that starts first. Empty ranges insert, but an empty text stays as it is. Masking what an earlier edit removed does
//!   nothing; masking what an earlier edit wrote is refused with [`EditError::AlreadyWritten`] (and does nothing where
//!   a rename, or the step from table to column, lies between the two): splice first, then extract again.
//! - Editing a table entry that an earlier edit removed does nothing. Entries below a removed or replaced one go with it.
//! - Setting a field that the entity's kind doesn't have (the sum of a gauge's point) does nothing.
//! - Rows that are dropped take their edits with them.
//!
//! Each method checks all of its arguments first; after an error the plan is as before.

mod entries;
mod error;
mod fields;

use alloc::borrow::ToOwned;
use alloc::boxed::Box;
use alloc::collections::BTreeSet;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

use crate::Signal;
use crate::bitmap;
use crate::columns::Columns;
use crate::field::{Field, Intrinsic, Level, Selector, TableRequest};
use crate::gather::LiveRows;
use crate::projection::owner;

pub(crate) use entries::{EntryEdit, Mask};
pub use error::EditError;
pub use fields::{EditValue, EditValues, Entities};

/// What stands in an overlay where nothing changes.
pub(crate) const UNCHANGED: u32 = 0;
/// What stands in an overlay where a field is removed; greater numbers are positions of values plus 2.
pub(crate) const REMOVED: u32 = 1;

/// A value to write, kept in the plan.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Kept {
    /// A range of the pool.
    Text(u32, u32),
    /// A range of the pool.
    Bytes(u32, u32),
    S64(i64),
    F64(f64),
    Boolean(bool),
}

/// Writes to one intrinsic field.
#[derive(Clone, Debug)]
pub(crate) struct IntrinsicEdits {
    pub(crate) level: Level,
    pub(crate) intrinsic: Intrinsic,
    /// For each entity `UNCHANGED`, `REMOVED` or a value.
    pub(crate) codes: Vec<u32>,
}

/// An edit of attributes by key.
#[derive(Clone, Debug)]
pub(crate) struct AttributeEdit {
    pub(crate) level: Level,
    /// Its place in the order of all edits.
    pub(crate) order: u32,
    pub(crate) key: Box<str>,
    pub(crate) action: AttributeAction,
}

#[derive(Clone, Debug)]
pub(crate) enum AttributeAction {
    /// For each entity `UNCHANGED` or a value.
    Set(Vec<u32>),
    /// From which entities.
    Remove(Vec<u64>),
    /// To which key, and on which entities.
    Rename(Box<str>, Vec<u64>),
}

impl AttributeEdit {
    /// Whether it concerns an entity.
    #[inline]
    pub(crate) fn concerns(&self, entity: usize) -> bool {
        match &self.action {
            AttributeAction::Set(codes) => codes.get(entity).is_some_and(|&code| code != UNCHANGED),
            AttributeAction::Remove(entities) | AttributeAction::Rename(_, entities) => bitmap::get(entities, entity),
        }
    }
}

/// The split of the rows into several requests.
#[derive(Clone, Debug)]
pub(crate) struct Partition {
    pub(crate) codes: Vec<u32>,
    pub(crate) parts: u32,
}

/// A plan of edits for one request.
#[derive(Clone, Debug)]
pub struct EditPlan {
    pub(crate) signal: Signal,
    /// How many entities each level has.
    pub(crate) entities: [usize; 4],
    pub(crate) entries: usize,
    pub(crate) keep: Option<Vec<u64>>,
    pub(crate) partition: Option<Partition>,
    pub(crate) intrinsics: Vec<IntrinsicEdits>,
    pub(crate) attributes: Vec<AttributeEdit>,
    /// For each table entry what becomes of it; empty as long as there are no such edits.
    pub(crate) entry_edits: Vec<EntryEdit>,
    pub(crate) masks: Vec<Mask>,
    pub(crate) values: Vec<Kept>,
    pub(crate) pool: Vec<u8>,
    /// For each level the entities with edits; empty as long as there are none.
    pub(crate) touched: [Vec<u64>; 4],
    /// For each owner whether the table would show something else.
    touched_owners: [bool; 8],
    /// Intrinsic fields that table edits and masks touched.
    touched_intrinsics: Vec<(Level, Intrinsic)>,
    /// For each level the keys of attributes that they touched.
    touched_keys: [BTreeSet<Box<str>>; 4],
    order: u32,
}

impl EditPlan {
    /// Makes a plan that changes nothing, for the request that the columns were extracted from.
    pub fn new(columns: &Columns) -> Self {
        let entities =
            [Level::Resource, Level::Scope, Level::Metric, Level::Record].map(|level| columns.entities(level));
        Self {
            signal: columns.signal().unwrap_or(Signal::Traces),
            entities,
            entries: columns.entries(),
            keep: None,
            partition: None,
            intrinsics: Vec::new(),
            attributes: Vec::new(),
            entry_edits: Vec::new(),
            masks: Vec::new(),
            values: Vec::new(),
            pool: Vec::new(),
            touched: Default::default(),
            touched_owners: [false; 8],
            touched_intrinsics: Vec::new(),
            touched_keys: Default::default(),
            order: 0,
        }
    }

    /// Drops the rows whose bit is 0, in addition to those that are dropped already.
    ///
    /// # Errors
    /// The bitmap doesn't have one bit per row.
    pub fn keep(&mut self, keep: &[u64]) -> Result<(), EditError> {
        let rows = self.rows();
        check_bitmap(keep, rows)?;
        match &mut self.keep {
            Some(kept) => kept.iter_mut().zip(keep).for_each(|(kept, keep)| *kept &= keep),
            None if bitmap::all(keep, 0, rows) => {}
            None => {
                let mut kept = keep.to_vec();
                bitmap::trim(&mut kept, rows);
                self.keep = Some(kept);
            }
        }
        Ok(())
    }

    /// Splits the rows into `parts` requests: row `i` goes into request number `codes[i]`. Replaces an earlier
    /// partition.
    ///
    /// # Errors
    /// There isn't one code per row, or a code is out of range.
    pub fn partition(&mut self, codes: Vec<u32>, parts: u32) -> Result<(), EditError> {
        if codes.len() != self.rows() {
            return Err(EditError::WrongLength { what: "codes", expected: self.rows(), found: codes.len() });
        }
        if let Some(&code) = codes.iter().find(|&&code| code >= parts) {
            return Err(EditError::OutOfRange { what: "part", index: code as usize, length: parts as usize });
        }
        self.partition = Some(Partition { codes, parts });
        Ok(())
    }

    /// How many rows the request has, dropped ones included.
    pub fn rows(&self) -> usize {
        self.entities[Level::Record as usize]
    }

    /// The rows that are not dropped.
    pub fn live_rows(&self) -> LiveRows {
        match &self.keep {
            None => LiveRows::all(self.rows()),
            Some(keep) => LiveRows::from_bitmap(keep, self.rows()),
        }
    }

    /// Whether rows are dropped.
    pub fn drops(&self) -> bool {
        self.keep.is_some()
    }

    /// Whether there are edits.
    pub fn edits(&self) -> bool {
        self.touched.iter().any(|level| !level.is_empty())
    }

    /// For each row the part it goes into, if there is a partition.
    pub fn parts(&self) -> Option<&[u32]> {
        self.partition.as_ref().map(|partition| partition.codes.as_slice())
    }

    /// Whether someone who reads this field after the edits would see something else than before. Dropped rows don't
    /// count.
    pub fn touches(&self, field: &Field) -> bool {
        let Field { level, selector } = field;
        match selector {
            Selector::Intrinsic(intrinsic) => {
                self.touched_intrinsics.contains(&(*level, *intrinsic))
                    || self.intrinsics.iter().any(|edits| edits.level == *level && edits.intrinsic == *intrinsic)
            }
            Selector::Attribute(key) => {
                let concerns = |edit: &AttributeEdit| {
                    let renamed = match &edit.action {
                        AttributeAction::Rename(to, _) => **to == **key,
                        _ => false,
                    };
                    edit.level == *level && (*edit.key == **key || renamed)
                };
                self.touched_keys[*level as usize].contains(key.as_str()) || self.attributes.iter().any(concerns)
            }
        }
    }

    /// Whether someone who reads the attribute table after the edits would see something else than before. Dropped
    /// rows don't count.
    pub fn touches_table(&self, table: &TableRequest) -> bool {
        let asked = [
            table.resources,
            table.scopes,
            table.metrics,
            table.records,
            table.events,
            table.links,
            table.exemplars,
            table.bodies,
        ];
        asked.iter().zip(&self.touched_owners).any(|(asked, touched)| *asked && *touched)
    }

    fn next_order(&mut self) -> u32 {
        self.order += 1;
        self.order
    }

    /// Takes note that entities of a level have edits.
    fn touch(&mut self, level: Level, entities: &Entities<'_>) {
        let count = self.entities[level as usize];
        let touched = &mut self.touched[level as usize];
        if count > 0 && touched.is_empty() {
            *touched = vec![0; bitmap::words(count)];
        }
        entities.for_each(count, |entity| bitmap::set(touched, entity));
    }

    fn touch_field(&mut self, field: &Field) {
        match &field.selector {
            Selector::Attribute(key) => self.touch_key(field.level, key),
            Selector::Intrinsic(intrinsic) => {
                let touched = (field.level, *intrinsic);
                if !self.touched_intrinsics.contains(&touched) {
                    self.touched_intrinsics.push(touched);
                }
            }
        }
        self.touch_owner(field);
    }

    fn touch_key(&mut self, level: Level, key: &str) {
        let keys = &mut self.touched_keys[level as usize];
        if !keys.contains(key) {
            keys.insert(boxed(key));
        }
    }

    /// Takes note that the table would show a change of this field.
    fn touch_owner(&mut self, field: &Field) {
        match (&field.selector, field.level) {
            (Selector::Intrinsic(Intrinsic::Body), _) => self.touched_owners[usize::from(owner::BODY)] = true,
            (Selector::Intrinsic(_), _) => {}
            (Selector::Attribute(_), level) => self.touched_owners[level as usize] = true,
        }
    }

    /// Keeps a value and says its code.
    fn keep_value(&mut self, value: EditValue<'_>) -> u32 {
        let start = self.pool.len() as u32;
        let kept = match value {
            EditValue::Text(text) => {
                self.pool.extend_from_slice(text.as_bytes());
                Kept::Text(start, self.pool.len() as u32)
            }
            EditValue::Bytes(bytes) => {
                self.pool.extend_from_slice(bytes);
                Kept::Bytes(start, self.pool.len() as u32)
            }
            EditValue::S64(number) => Kept::S64(number),
            EditValue::F64(number) => Kept::F64(number),
            EditValue::Boolean(truth) => Kept::Boolean(truth),
        };
        self.values.push(kept);
        self.values.len() as u32 + 1
    }

    /// The value that a code stands for.
    #[inline]
    pub(crate) fn value(&self, code: u32) -> Option<Kept> {
        self.values.get((code as usize).checked_sub(2)?).copied()
    }

    /// Bytes of a kept text or bytes.
    #[inline]
    pub(crate) fn pooled(&self, start: u32, end: u32) -> &[u8] {
        self.pool.get(start as usize..end as usize).unwrap_or_default()
    }
}

fn check_bitmap(bitmap: &[u64], bits: usize) -> Result<(), EditError> {
    match bitmap.len() == bitmap::words(bits) {
        true => Ok(()),
        false => {
            Err(EditError::WrongLength { what: "words of bitmap", expected: bitmap::words(bits), found: bitmap.len() })
        }
    }
}

fn boxed(text: &str) -> Box<str> {
    let owned: String = text.to_owned();
    owned.into_boxed_str()
}
