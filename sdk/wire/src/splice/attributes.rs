//! Edits of one entity's attributes by key, worked out in the order of the edits.

use alloc::vec::Vec;

use crate::columns::{Slice, parse_pair};
use crate::cursor::{Cursor, Item, keys, len_key, varint_width};
use crate::plan::{AttributeAction, AttributeEdit, EditPlan, Kept, REMOVED, UNCHANGED};

use super::Out;
use super::patches::Patches;
use super::value::{content_length, put_value};

/// Stands where an attribute of the request would start, for those that are added.
const NOWHERE: usize = usize::MAX;

/// The key of an attribute.
#[derive(Clone, Copy, Debug)]
enum Key<'p> {
    Original(Slice),
    New(&'p str),
}

/// One attribute and what becomes of it.
#[derive(Clone, Copy, Debug)]
struct Attribute<'p> {
    /// Where its field starts.
    at: usize,
    key: Key<'p>,
    /// `UNCHANGED`, `REMOVED` or a value.
    code: u32,
    /// An edit of its table entry that waits for its turn: its place in the order, and the code.
    pending: Option<(u32, u32)>,
}

/// The attributes of one entity.
#[derive(Clone, Debug, Default)]
pub(super) struct Attributes<'p> {
    list: Vec<Attribute<'p>>,
    /// Where the last message starts that attributes stand in, if it isn't the entity's own.
    last_wrapper: usize,
}

impl<'p> Attributes<'p> {
    /// Starts with an entity that has none.
    pub(super) fn clear(&mut self) {
        self.list.clear();
    }

    /// Applies edits to them.
    pub(super) fn apply_all(&mut self, bytes: &[u8], edits: impl Iterator<Item = &'p AttributeEdit>, entity: usize) {
        for edit in edits {
            self.catch_up(edit.order);
            self.apply(bytes, edit, entity);
        }
        self.catch_up(u32::MAX);
    }

    /// Reads the attributes in a message. `wrapper` and `number` say where they stand.
    pub(super) fn read(
        &mut self,
        bytes: &[u8],
        (start, end): (usize, usize),
        (wrapper, number): (u32, u32),
        patches: &Patches<'_>,
    ) {
        let mut cursor = Cursor::within(bytes, start, end);
        while let Some(item) = cursor.item() {
            if wrapper != 0 {
                if item.key == len_key(wrapper) {
                    self.last_wrapper = item.at;
                    self.read(bytes, (item.start, item.end), (0, number), patches);
                }
            } else if item.key == len_key(number) {
                let key = Key::Original(parse_pair(bytes, item.start, item.end).key);
                let pending = patches.of_pair(item.at);
                self.list.push(Attribute { at: item.at, key, code: UNCHANGED, pending });
            }
        }
    }

    /// Applies edits of table entries that come before a place in the order.
    fn catch_up(&mut self, order: u32) {
        for attribute in &mut self.list {
            if let Some((_, code)) = attribute.pending.take_if(|(pending, _)| *pending < order)
                && attribute.code != REMOVED
            {
                attribute.code = code;
            }
        }
    }

    fn apply(&mut self, bytes: &[u8], edit: &'p AttributeEdit, entity: usize) {
        match &edit.action {
            AttributeAction::Remove(_) => self.remove_all(bytes, &edit.key, 0),
            AttributeAction::Set(codes) => {
                let code = codes.get(entity).copied().unwrap_or(UNCHANGED);
                match self.position(bytes, &edit.key) {
                    Some(first) => {
                        self.list[first].code = code;
                        self.remove_all(bytes, &edit.key, first + 1);
                    }
                    None => self.list.push(Attribute { at: NOWHERE, key: Key::New(&edit.key), code, pending: None }),
                }
            }
            AttributeAction::Rename(to, _) => {
                if let Some(first) = self.position(bytes, &edit.key) {
                    self.remove_all(bytes, to, 0);
                    self.remove_all(bytes, &edit.key, first + 1);
                    self.list[first].key = Key::New(to);
                }
            }
        }
    }

    fn position(&self, bytes: &[u8], key: &str) -> Option<usize> {
        self.list.iter().position(|attribute| attribute.has_key(bytes, key))
    }

    fn remove_all(&mut self, bytes: &[u8], key: &str, from: usize) {
        for attribute in self.list.iter_mut().skip(from).filter(|attribute| attribute.has_key(bytes, key)) {
            attribute.code = REMOVED;
        }
    }

    /// Writes what became of the attribute in `item`.
    pub(super) fn put(&self, bytes: &[u8], plan: &EditPlan, item: &Item, patches: &mut Patches<'_>, out: &mut Out<'_>) {
        // In the order in which they stand; those that were added come last.
        let found = self.list.binary_search_by_key(&item.at, |attribute| attribute.at);
        let Some(attribute) = found.ok().and_then(|found| self.list.get(found)) else {
            return patches.copy(bytes, plan, item, out);
        };
        match (attribute.code, attribute.key) {
            (REMOVED, _) => {}
            (UNCHANGED, Key::Original(_)) => patches.copy(bytes, plan, item, out),
            (code, key) => {
                // The edit of the table entry that starts here is part of the code already.
                patches.skip_to(item.at + 1);
                put_pair(bytes, plan, item, key, code, patches, out);
            }
        }
        patches.skip_to(item.end);
    }

    /// Whether the message that starts at `at` is the last that attributes stand in.
    pub(super) fn end_in(&self, at: usize) -> bool {
        self.last_wrapper == at
    }

    /// Whether attributes were added.
    pub(super) fn adds(&self) -> bool {
        self.list.iter().any(|attribute| attribute.at == NOWHERE && attribute.code != REMOVED)
    }

    /// Writes the attributes that were added, in fields with this number.
    pub(super) fn put_added(&self, plan: &EditPlan, number: u32, out: &mut Out<'_>) {
        for attribute in &self.list {
            let (NOWHERE, Key::New(key), code) = (attribute.at, attribute.key, attribute.code) else {
                continue;
            };
            if code == REMOVED {
                continue;
            }
            let value = content_length(plan, code);
            let length = 1 + varint_width(key.len() as u64) + key.len() + 1 + varint_width(value as u64) + value;
            if let Some(Kept::Text(start, end)) = plan.value(code)
                && length < 0x80
                && len_key(number) < 0x80
            {
                // All lengths take one byte.
                let text = plan.pooled(start, end);
                out.put(&[len_key(number) as u8, length as u8, len_key(1) as u8, key.len() as u8]);
                out.put(key.as_bytes());
                out.put(&[len_key(2) as u8, value as u8, len_key(1) as u8, text.len() as u8]);
                out.put(text);
                continue;
            }
            out.put_varint(u64::from(len_key(number)));
            out.put_varint(length as u64);
            out.put_field(1, key.as_bytes());
            put_value(plan, 2, code, out);
        }
    }
}

impl Attribute<'_> {
    fn has_key(&self, bytes: &[u8], key: &str) -> bool {
        let own = match self.key {
            Key::Original(slice) => slice.of(bytes),
            Key::New(key) => key.as_bytes(),
        };
        self.code != REMOVED && own == key.as_bytes()
    }
}

/// Writes a pair with another key, another value or both; unknown fields stay.
fn put_pair(
    bytes: &[u8],
    plan: &EditPlan,
    item: &Item,
    key: Key<'_>,
    code: u32,
    patches: &mut Patches<'_>,
    out: &mut Out<'_>,
) {
    let mark = out.open(item);
    if let Key::New(key) = key {
        out.put_field(1, key.as_bytes());
    }
    // The patch of the pair as a whole is what `code` comes from.
    patches.skip_to(item.start);
    let mut cursor = Cursor::within(bytes, item.start, item.end);
    while let Some(inner) = cursor.item() {
        match inner.key {
            keys::LEN_1 if matches!(key, Key::New(_)) => {}
            keys::LEN_2 if code != UNCHANGED => {}
            _ => patches.copy(bytes, plan, &inner, out),
        }
    }
    if code != UNCHANGED {
        put_value(plan, 2, code, out);
    }
    out.close(mark);
}
