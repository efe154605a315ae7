//! Writes one entity with the edits of its own fields and attributes.

use alloc::vec::Vec;

use crate::bitmap;
use crate::columns::{Columns, Store};
use crate::cursor::{Cursor, Item, LEN, len_key};
use crate::field::{Field, Level};
use crate::place::{self, Place, Scalar};
use crate::plan::{AttributeAction, AttributeEdit, EditPlan, IntrinsicEdits, REMOVED, UNCHANGED};
use crate::schema;

use super::attributes::Attributes;
use super::value::put_intrinsic;
use super::{Out, Splicer};

/// Of the bits for written fields the one for added attributes.
const ATTRIBUTES: u64 = 1 << 63;

/// Edits of an intrinsic field.
struct PlacedEdits<'p> {
    edits: &'p IntrinsicEdits,
    /// The field's place in each message that an entity can be.
    places: Vec<(u8, Place)>,
    /// The texts that it has, if they were read.
    texts: Option<&'p Store>,
}

/// An edit of attributes with the texts that they have, if they were read.
struct KeyedEdit<'p> {
    edit: &'p AttributeEdit,
    texts: Option<&'p Store>,
}

/// The plan's edits by level.
pub(super) struct Prepared<'p> {
    /// For each level the intrinsic fields with edits.
    intrinsics: [Vec<PlacedEdits<'p>>; 4],
    attributes: [Vec<KeyedEdit<'p>>; 4],
}

impl KeyedEdit<'_> {
    /// Whether it writes an attribute that the entity surely lacks.
    fn adds(&self, entity: usize) -> bool {
        let writes = matches!(self.edit.action, AttributeAction::Set(_));
        writes && self.texts.is_some_and(|texts| texts.lacks_attribute(entity))
    }
}

impl<'p> Prepared<'p> {
    pub(super) fn new(columns: &'p Columns, plan: &'p EditPlan) -> Self {
        let mut prepared = Self { intrinsics: Default::default(), attributes: Default::default() };
        for edits in &plan.intrinsics {
            let messages = place::entity_messages(plan.signal, edits.level);
            let places = |&message: &u8| place::places(message, edits.intrinsic).map(move |place| (message, place));
            let places = messages.iter().flat_map(places).collect();
            let texts = columns.text_store(&Field::intrinsic(edits.level, edits.intrinsic));
            prepared.intrinsics[edits.level as usize].push(PlacedEdits { edits, places, texts });
        }
        for edit in &plan.attributes {
            let texts = columns.text_store(&Field::attribute(edit.level, &*edit.key));
            prepared.attributes[edit.level as usize].push(KeyedEdit { edit, texts });
        }
        prepared
    }
}

/// A field to write, or to leave out.
#[derive(Clone, Copy, Debug)]
struct Write {
    place: Place,
    code: u32,
    /// Whether the other member of the same `oneof` goes, too.
    drops_rival: bool,
    /// Whether the entity surely lacks the field, so that it can be written anywhere.
    is_lacking: bool,
}

/// The edits of one entity.
#[derive(Clone, Debug, Default)]
pub(super) struct Current<'p> {
    message: u8,
    writes: Vec<Write>,
    /// Which of `writes` are written; and `ATTRIBUTES`.
    written: u64,
    attributes: Attributes<'p>,
    edits_attributes: bool,
    /// Whether all that is done to attributes is to write some that the entity lacks.
    only_adds_attributes: bool,
    /// Where attributes stand: wrapper and number.
    attribute_place: (u32, u32),
    /// The numbers below 64 of fields that need a look.
    numbers: u64,
}

impl Current<'_> {
    /// Whether all that is to be done is to write fields that the entity lacks.
    #[inline]
    pub(super) fn only_adds(&self) -> bool {
        (!self.edits_attributes || self.only_adds_attributes) && self.writes.iter().all(|write| write.is_lacking)
    }

    fn look_at(&mut self, number: u32) {
        self.numbers |= 1 << number.min(63);
    }

    #[inline(always)]
    fn is_looked_at(&self, number: u32) -> bool {
        self.numbers >> number.min(63) & 1 == 1
    }
}

impl<'a, 'p> Splicer<'a, 'p> {
    /// Collects the edits of an entity; says whether there are any but patches.
    pub(super) fn begin(&mut self, level: Level, entity: usize, message: u8, item: &Item) -> bool {
        if !bitmap::get(&self.plan.touched[level as usize], entity) {
            return false;
        }
        let current = &mut self.current;
        current.message = message;
        current.writes.clear();
        current.written = 0;
        current.numbers = 0;
        for PlacedEdits { edits, places, texts } in &self.prepared.intrinsics[level as usize] {
            let code = edits.codes.get(entity).copied().unwrap_or(UNCHANGED);
            if code == UNCHANGED {
                continue;
            }
            for &(_, place) in places.iter().filter(|(of, _)| *of == message) {
                current.look_at(if place.wrapper == 0 { place.number } else { place.wrapper });
                let drops_rival = place.rival != 0 && (code != REMOVED || is_last(self.bytes, item, &place));
                if drops_rival {
                    current.look_at(place.rival);
                }
                let is_text = place.scalar == Scalar::Text && place.wrapper == 0 && place.rival == 0;
                let is_lacking = is_text && texts.is_some_and(|texts| texts.lacks_text(entity));
                current.writes.push(Write { place, code, drops_rival, is_lacking });
            }
        }
        let edits = self.prepared.attributes[level as usize].iter().filter(|keyed| keyed.edit.concerns(entity));
        current.edits_attributes = edits.clone().next().is_some();
        if current.edits_attributes {
            current.attribute_place = place::attributes(message);
            let (wrapper, number) = current.attribute_place;
            current.look_at(if wrapper == 0 { number } else { wrapper });
            // What stands in a message of its own has to be found, even to be added to.
            current.only_adds_attributes = wrapper == 0 && edits.clone().all(|keyed| keyed.adds(entity));
            current.attributes.clear();
            if !current.only_adds_attributes {
                current.attributes.read(self.bytes, (item.start, item.end), (wrapper, number), &self.patches);
            }
            current.attributes.apply_all(self.bytes, edits.map(|keyed| keyed.edit), entity);
        }
        current.edits_attributes || !current.writes.is_empty()
    }

    /// Writes all fields of a record.
    pub(super) fn fields(&mut self, item: &Item, part: u32, is_edited: bool) {
        let Some(out) = self.outs.get_mut(part as usize) else {
            return;
        };
        let mut cursor = Cursor::within(self.bytes, item.start, item.end);
        while let Some(inner) = cursor.item() {
            if !(is_edited && self.current.is_looked_at(inner.key >> 3)) {
                self.patches.copy(self.bytes, self.plan, &inner, out);
            } else {
                self.current.field(self.bytes, self.plan, &mut self.patches, &inner, out);
            }
        }
        if is_edited {
            self.current.append(self.plan, out);
        }
    }

    /// Writes a record that needs no look at most of its fields: it gets fields that it lacks, and its patches are in
    /// its own attributes.
    pub(super) fn runs(&mut self, item: &Item, part: u32, is_edited: bool) {
        let Some(out) = self.outs.get_mut(part as usize) else {
            return;
        };
        let mut at = item.start;
        while let Some(start) = self.patches.pair(item.end).filter(|start| *start >= at) {
            let Some(pair) = Cursor::within(self.bytes, start, item.end).item() else {
                break;
            };
            let position = self.patches.position();
            out.copy(at, pair.at);
            self.patches.copy(self.bytes, self.plan, &pair, out);
            at = pair.end;
            if self.patches.position() == position {
                break; // the patch is not in it: these are other bytes than the plan's
            }
        }
        out.copy(at, item.end);
        if is_edited {
            self.current.append(self.plan, out);
        }
    }

    /// Writes a container's own field to several parts.
    pub(super) fn own_field(&mut self, item: &Item, set: &[u32], is_edited: bool) {
        let looked_at = is_edited && self.current.is_looked_at(item.key >> 3);
        self.repeat(set, |splicer, out| match looked_at {
            false => splicer.patches.copy(splicer.bytes, splicer.plan, item, out),
            true => splicer.current.field(splicer.bytes, splicer.plan, &mut splicer.patches, item, out),
        });
    }

    /// Writes a field of the message that stands in a container's field `wrapper`.
    pub(super) fn wrapped_field(&mut self, wrapper: u32, item: &Item, set: &[u32], is_edited: bool) {
        self.repeat(set, |splicer, out| match is_edited {
            false => splicer.patches.copy(splicer.bytes, splicer.plan, item, out),
            true => splicer.current.inner(splicer.bytes, splicer.plan, &mut splicer.patches, wrapper, item, out),
        });
    }

    /// Ends a container's own fields.
    pub(super) fn append(&mut self, set: &[u32]) {
        self.repeat(set, |splicer, out| splicer.current.append(splicer.plan, out));
    }

    /// Ends the fields of the message in a container's field `wrapper`.
    pub(super) fn append_wrapped(&mut self, wrapper: u32, set: &[u32]) {
        self.repeat(set, |splicer, out| splicer.current.append_wrapped(splicer.plan, wrapper, false, out));
    }

    /// Does the same for several parts, each time from the same state, as long as there is room.
    pub(super) fn repeat(&mut self, set: &[u32], mut write: impl FnMut(&mut Self, &mut Out<'a>)) {
        let (written, position) = (self.current.written, self.patches.position());
        for (nth, &part) in set.iter().enumerate() {
            if self.room == 0 {
                break;
            }
            self.current.written = written;
            self.patches.go(position);
            let Some(slot) = self.outs.get_mut(part as usize) else {
                continue;
            };
            let mut out = core::mem::replace(slot, Out::new(self.bytes, 0));
            let before = out.len();
            write(self, &mut out);
            if nth > 0 {
                self.room = self.room.saturating_sub(out.len().saturating_sub(before));
            }
            if let Some(slot) = self.outs.get_mut(part as usize) {
                *slot = out;
            }
        }
    }
}

impl Current<'_> {
    /// Writes what becomes of a field of the entity's own message.
    fn field(
        &mut self,
        bytes: &[u8],
        plan: &EditPlan,
        patches: &mut super::Patches<'_>,
        item: &Item,
        out: &mut Out<'_>,
    ) {
        let number = item.key >> 3;
        let wraps = self.writes.iter().any(|write| write.place.wrapper == number)
            || (self.edits_attributes && self.attribute_place.0 == number);
        if !wraps || item.key & 7 != LEN {
            return self.inner(bytes, plan, patches, 0, item, out);
        }
        let mark = out.open(item);
        let mut cursor = Cursor::within(bytes, item.start, item.end);
        while let Some(inner) = cursor.item() {
            self.inner(bytes, plan, patches, number, &inner, out);
        }
        // Of several messages to be merged the last gets the attributes that are added.
        self.append_wrapped(plan, number, self.attributes.end_in(item.at), out);
        out.close(mark);
    }

    /// Writes what becomes of a field of the message in field `wrapper`, or of the entity's own message if that is 0.
    fn inner(
        &mut self,
        bytes: &[u8],
        plan: &EditPlan,
        patches: &mut super::Patches<'_>,
        wrapper: u32,
        item: &Item,
        out: &mut Out<'_>,
    ) {
        let number = item.key >> 3;
        let concerns = |write: &Write| {
            let place = &write.place;
            let same = place.number == number || (write.drops_rival && place.rival == number);
            place.wrapper == wrapper && same
        };
        if let Some(index) = self.writes.iter().position(concerns) {
            self.write(plan, index, out);
            return patches.skip_to(item.end);
        }
        if self.edits_attributes && (wrapper, item.key) == (self.attribute_place.0, len_key(self.attribute_place.1)) {
            return self.attributes.put(bytes, plan, item, patches, out);
        }
        patches.copy(bytes, plan, item, out);
    }

    /// Writes a field unless that was done.
    fn write(&mut self, plan: &EditPlan, index: usize, out: &mut Out<'_>) {
        let bit = 1 << index;
        if self.written & bit == 0 {
            self.written |= bit;
            put_intrinsic(plan, &self.writes[index].place, self.writes[index].code, out);
        }
    }

    /// Writes what is still to be written into the message in field `wrapper`.
    fn append_wrapped(&mut self, plan: &EditPlan, wrapper: u32, with_attributes: bool, out: &mut Out<'_>) {
        for index in 0..self.writes.len() {
            if self.writes[index].place.wrapper == wrapper {
                self.write(plan, index, out);
            }
        }
        let adds = with_attributes
            && self.edits_attributes
            && self.attribute_place.0 == wrapper
            && self.written & ATTRIBUTES == 0;
        if adds {
            self.written |= ATTRIBUTES;
            self.attributes.put_added(plan, self.attribute_place.1, out);
        }
    }

    /// Writes what is still to be written into the entity's own message, with wrappers that it lacks.
    fn append(&mut self, plan: &EditPlan, out: &mut Out<'_>) {
        self.append_wrapped(plan, 0, true, out);
        if self.message == schema::METRIC {
            return; // what a metric's data has depends on its kind
        }
        while let Some(wrapper) = self.missing_wrapper() {
            let mark = out.open_key(len_key(wrapper), 1);
            self.append_wrapped(plan, wrapper, true, out);
            out.close_unless_empty(len_key(wrapper), mark);
        }
    }

    fn missing_wrapper(&self) -> Option<u32> {
        let waits = |(index, write): &(usize, &Write)| {
            write.place.wrapper != 0 && write.code != REMOVED && self.written >> index & 1 == 0
        };
        let field = self.writes.iter().enumerate().find(waits).map(|(_, write)| write.place.wrapper);
        let added = self.edits_attributes
            && self.attribute_place.0 != 0
            && self.written & ATTRIBUTES == 0
            && self.attributes.adds();
        field.or(added.then_some(self.attribute_place.0))
    }
}

/// Whether of the two members of a `oneof` this is the one that counts. If it is removed, what it replaced must not
/// come back.
fn is_last(bytes: &[u8], item: &Item, place: &Place) -> bool {
    let mut cursor = Cursor::within(bytes, item.start, item.end);
    let numbers = core::iter::from_fn(|| cursor.item()).map(|item| item.key >> 3);
    numbers.filter(|number| [place.number, place.rival].contains(number)).last() == Some(place.number)
}
