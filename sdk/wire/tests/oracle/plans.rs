//! Random plans, applied to the object tree as the documentation says.

use std::collections::HashSet;

use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value};
use sluice_wire::{
    Columns, EditError, EditPlan, EditValue, EditValues, Entities, Field, Intrinsic, Level, LiveRows, Natural,
    Projection, Selector, Signal, TableOptions, TableRequest, ValueKind,
};

use crate::columns::{KEYS, LEVELS};
use crate::dice::Dice;
use crate::tree::{Entity, Held, Record, Tree};

/// What stands in a tree where something was removed, so that positions stay as they are.
const DEAD: &str = "\0dead";

/// Where a value of the attribute table is: owner, entity, and positions from the top.
type Place = (u8, usize, Vec<usize>);

/// A range of a text and what replaces it.
type Range = (usize, usize, String);

/// A plan, and the tree as it should become.
pub(crate) struct Planned {
    pub plan: EditPlan,
    pub tree: Tree,
    pub keep: Option<Vec<bool>>,
    pub codes: Option<Vec<u32>>,
}

pub(crate) struct Planner<'a> {
    dice: Dice,
    signal: Signal,
    bytes: &'a [u8],
    columns: &'a Columns,
    /// For each entry its place.
    places: Vec<Place>,
    original: Tree,
    tree: Tree,
    plan: EditPlan,
    masks: Vec<(Place, Range)>,
    field_masks: Vec<(Field, usize, Range)>,
    written_elements: HashSet<Place>,
    wrote: bool,
}

/// The columns that plans need: all reads and the whole table.
pub(crate) fn extract(signal: Signal, bytes: &[u8]) -> Columns {
    let reads = crate::columns::all_reads(signal);
    let mut columns = Columns::new();
    columns.extract(&Projection::new(signal, &reads, Some(TableRequest::ALL)).unwrap(), bytes);
    columns
}

impl<'a> Planner<'a> {
    pub(crate) fn new(signal: Signal, bytes: &'a [u8], columns: &'a Columns, seed: u64) -> Self {
        let tree = Tree::decode(signal, bytes).unwrap().normal();
        Self {
            dice: Dice::new(seed),
            signal,
            bytes,
            columns,
            places: places(signal, bytes, columns.table_texts().is_some()),
            original: tree.clone(),
            tree,
            plan: EditPlan::new(columns),
            masks: Vec::new(),
            field_masks: Vec::new(),
            written_elements: HashSet::new(),
            wrote: false,
        }
    }

    /// Makes a plan of some random edits.
    pub(crate) fn run(mut self) -> Planned {
        for _ in 0..self.dice.below(7) {
            match self.dice.below(9) {
                0 | 1 => self.set(),
                2 => self.set_values(),
                3 => self.remove(),
                4 => self.rename(),
                5 => self.mask(),
                6 => self.mask_field(),
                7 => self.replace_entries(),
                _ => self.remove_entries(),
            }
        }
        let rows = self.plan.rows();
        let keep = self.dice.one_in(2).then(|| self.keep(rows));
        let codes = self.dice.one_in(3).then(|| self.partition(rows));
        self.apply_masks();
        bury(&mut self.tree);
        Planned { plan: self.plan, tree: self.tree.normal(), keep, codes }
    }

    fn keep(&mut self, rows: usize) -> Vec<bool> {
        let mut kept = vec![true; rows];
        for _ in 0..=self.dice.below(2) {
            let odds = 1 + self.dice.below(6);
            let keep: Vec<bool> = (0..rows).map(|_| !self.dice.one_in(odds)).collect();
            self.plan.keep(&bitmap(&keep)).unwrap();
            kept.iter_mut().zip(&keep).for_each(|(kept, keep)| *kept &= keep);
        }
        kept
    }

    fn partition(&mut self, rows: usize) -> Vec<u32> {
        let parts = 1 + self.dice.below(4) as u32;
        let codes: Vec<u32> = (0..rows).map(|_| self.dice.below(parts as usize) as u32).collect();
        self.plan.partition(codes.clone(), parts).unwrap();
        codes
    }

    fn level(&mut self) -> Level {
        let level = *self.dice.pick(&LEVELS);
        if level == Level::Metric && self.signal != Signal::Metrics { Level::Record } else { level }
    }

    /// A field, and a value that it can hold.
    fn field(&mut self) -> Field {
        let level = self.level();
        if self.dice.one_in(2) {
            return Field::attribute(level, *self.dice.pick(&KEYS));
        }
        let signal = self.signal;
        let available: Vec<_> =
            Intrinsic::ALL.iter().filter(|i| i.available(signal, level).is_some() && i.writable()).collect();
        Field::intrinsic(level, **self.dice.pick(&available))
    }

    fn value(&mut self, field: &Field) -> Held {
        let natural = match field.selector {
            Selector::Attribute(_) => Natural::Any,
            Selector::Intrinsic(intrinsic) => intrinsic.available(self.signal, field.level).unwrap(),
        };
        match natural {
            Natural::Text => Held::Text(self.dice.text()),
            Natural::Bytes => {
                let is_trace = field.selector == Selector::Intrinsic(Intrinsic::TraceId);
                let width = if is_trace { 16 } else { 8 };
                let length = if self.dice.one_in(5) { 0 } else { width };
                Held::Bytes((0..length).map(|_| self.dice.next() as u8).collect())
            }
            Natural::U64 => Held::Integer(self.dice.below(1000) as i128),
            Natural::S64 => Held::Integer(self.dice.below(1000) as i128 - 500),
            Natural::F64 => Held::Double(self.dice.double()),
            Natural::Boolean => Held::Truth(self.dice.one_in(2)),
            Natural::Any => Held::Any(AnyValue { value: Some(self.any_value()) }),
        }
    }

    fn any_value(&mut self) -> any_value::Value {
        use any_value::Value as V;
        match self.dice.below(6) {
            0 => V::IntValue(self.dice.next() as i64),
            1 => V::DoubleValue(self.dice.double()),
            2 => V::BoolValue(self.dice.one_in(2)),
            3 => V::BytesValue(self.dice.text().into_bytes()),
            _ => V::StringValue(self.dice.text()),
        }
    }

    fn entities(&mut self, level: Level) -> Vec<bool> {
        let all = self.dice.one_in(3);
        (0..self.columns.entities(level)).map(|_| all || self.dice.one_in(2)).collect()
    }

    fn set(&mut self) {
        let field = self.field();
        let value = self.value(&field);
        let entities = self.entities(field.level);
        let bits = bitmap(&entities);
        let which = if entities.iter().all(|set| *set) { Entities::All } else { Entities::Bitmap(&bits) };
        self.plan.set(&field, which, edit_value(&value)).unwrap();
        self.write(&field, &entities, &mut |_| Some(value.clone()));
    }

    fn set_values(&mut self) {
        let field = self.field();
        let entities = self.entities(field.level);
        let chosen: Vec<u32> = (0..entities.len() as u32).filter(|&entity| entities[entity as usize]).collect();
        let like = self.value(&field);
        let mut values = Vec::new();
        while values.len() < chosen.len() {
            let value = self.value(&field);
            if std::mem::discriminant(&kind(&value)) == std::mem::discriminant(&kind(&like)) {
                values.push(value);
            }
        }
        set_values(&mut self.plan, &field, &chosen, &like, &values);
        let mut values = values.into_iter();
        self.write(&field, &entities, &mut |_| values.next());
    }

    fn remove(&mut self) {
        let field = self.field();
        let entities = self.entities(field.level);
        self.plan.remove(&field, Entities::Bitmap(&bitmap(&entities))).unwrap();
        self.write(&field, &entities, &mut |_| None);
    }

    /// Sets or removes in the tree.
    fn write(&mut self, field: &Field, entities: &[bool], value: &mut dyn FnMut(usize) -> Option<Held>) {
        self.wrote = true;
        self.field_masks.retain(|(of, entity, _)| of != field || !entities[*entity]);
        self.tree.for_each(&mut |level, number, mut entity| {
            if level != field.level || !entities[number] {
                return;
            }
            let value = value(number);
            match &field.selector {
                Selector::Intrinsic(intrinsic) => entity.set(*intrinsic, value.as_ref()),
                Selector::Attribute(key) => {
                    let Some(list) = entity.attributes(value.is_some()) else {
                        return;
                    };
                    write_attribute(list, key, value);
                }
            }
        });
    }

    fn rename(&mut self) {
        let level = self.level();
        let (from, to) = (*self.dice.pick(&KEYS), *self.dice.pick(&KEYS));
        let entities = self.entities(level);
        self.plan.rename(level, from, to, Entities::Bitmap(&bitmap(&entities))).unwrap();
        if from == to {
            return;
        }
        self.tree.for_each(&mut |of, number, mut entity| {
            if of == level
                && entities[number]
                && let Some(list) = entity.attributes(false)
                && let Some(first) = list.iter().position(|pair| pair.key == from)
            {
                kill(list.iter_mut().filter(|pair| pair.key == to));
                kill(list.iter_mut().skip(first + 1).filter(|pair| pair.key == from));
                list[first].key = to.into();
            }
        });
    }

    /// Some entries, ascending.
    fn entries(&mut self) -> Vec<u32> {
        let odds = 1 + self.dice.below(5);
        (0..self.places.len() as u32).filter(|_| self.dice.one_in(odds)).collect()
    }

    fn ranges(&mut self, text: &str) -> Vec<(usize, usize)> {
        let mut ends: Vec<usize> = text.char_indices().map(|(at, _)| at).chain([text.len()]).collect();
        let mut ranges = Vec::new();
        for _ in 0..=self.dice.below(2) {
            let start = self.dice.below(ends.len());
            let end = start + self.dice.below(ends.len() - start);
            ranges.push((ends[start], ends[end]));
            ends.drain(..end);
        }
        ranges
    }

    fn mask(&mut self) {
        let (mut numbers, mut starts, mut ends) = (Vec::new(), Vec::new(), Vec::new());
        for entry in self.entries() {
            let Some(text) = self.columns.entry_text(self.bytes, entry as usize) else {
                continue;
            };
            for (start, end) in self.ranges(text) {
                numbers.push(entry);
                starts.push(start as u32);
                ends.push(end as u32);
            }
        }
        let replacement = self.dice.text();
        match self.plan.mask(self.columns, self.bytes, &numbers, &starts, &ends, &replacement) {
            Err(EditError::AlreadyWritten { .. }) if self.wrote => return,
            result => result.unwrap(),
        }
        for ((&entry, &start), &end) in numbers.iter().zip(&starts).zip(&ends) {
            if self.columns.entry_text(self.bytes, entry as usize) == Some("") {
                continue; // there is nothing to mask in it, even if another text took its place
            }
            let place = self.places[entry as usize].clone();
            let range = (start as usize, end as usize, replacement.clone());
            if place.0 == 7 && place.2.is_empty() {
                let field = Field::intrinsic(Level::Record, Intrinsic::Body);
                self.field_masks.push((field, place.1, range));
            } else {
                self.masks.push((place, range));
            }
        }
    }

    fn mask_field(&mut self) {
        let field = match self.dice.below(3) {
            0 => Field::attribute(self.level(), *self.dice.pick(&KEYS)),
            _ => self.field(),
        };
        let (mut numbers, mut starts, mut ends) = (Vec::new(), Vec::new(), Vec::new());
        let mut texts = vec![None; self.columns.entities(field.level)];
        let mut positions = vec![0; texts.len()];
        self.original.for_each(&mut |level, number, mut entity| {
            if level != field.level {
                return;
            }
            let held = match &field.selector {
                Selector::Intrinsic(intrinsic) => entity.get(*intrinsic),
                Selector::Attribute(key) => {
                    let list = entity.attributes(false).map(|list| list.clone()).unwrap_or_default();
                    positions[number] = list.iter().position(|pair| pair.key == *key).unwrap_or(0);
                    let found = list.get(positions[number]).filter(|pair| pair.key == *key);
                    found.map_or(Held::Absent, |pair| Held::Any(pair.value.clone().unwrap()))
                }
            };
            texts[number] = match held {
                Held::Text(text) | Held::Any(AnyValue { value: Some(any_value::Value::StringValue(text)) }) => {
                    Some(text)
                }
                _ => None,
            };
        });
        for (number, text) in texts.iter().enumerate() {
            let Some(text) = text.as_ref().filter(|_| self.dice.one_in(2)) else {
                continue;
            };
            for (start, end) in self.ranges(text) {
                numbers.push(number as u32);
                starts.push(start as u32);
                ends.push(end as u32);
            }
        }
        let replacement = self.dice.text();
        match self.plan.mask_field(self.columns, self.bytes, &field, &numbers, &starts, &ends, &replacement) {
            Err(EditError::AlreadyWritten { .. }) if self.wrote => return,
            Err(EditError::NoColumn(_)) => return,
            result => result.unwrap(),
        }
        for ((&number, &start), &end) in numbers.iter().zip(&starts).zip(&ends) {
            let number = number as usize;
            if texts[number].as_deref() == Some("") {
                continue;
            }
            let range = (start as usize, end as usize, replacement.clone());
            match field.selector {
                Selector::Intrinsic(_) => self.field_masks.push((field.clone(), number, range)),
                Selector::Attribute(_) => {
                    self.masks.push(((field.level as u8, number, vec![positions[number]]), range));
                }
            }
        }
    }

    fn replace_entries(&mut self) {
        let entries = self.entries();
        let texts: Vec<String> = entries.iter().map(|_| self.dice.text()).collect();
        let (offsets, flat) = flat(texts.iter().map(String::as_bytes));
        self.plan.replace_entries(self.columns, self.bytes, &entries, &offsets, &flat).unwrap();
        for (entry, text) in entries.iter().zip(texts) {
            self.edit_entry(*entry, Some(text));
        }
    }

    fn remove_entries(&mut self) {
        let entries = self.entries();
        self.plan.remove_entries(self.columns, self.bytes, &entries).unwrap();
        for entry in entries {
            self.edit_entry(entry, None);
        }
    }

    fn edit_entry(&mut self, entry: u32, text: Option<String>) {
        self.wrote = true;
        let place = self.places[entry as usize].clone();
        if place.0 == 7 && place.2.is_empty() {
            let body = Field::intrinsic(Level::Record, Intrinsic::Body);
            self.field_masks.retain(|(field, row, _)| *field != body || *row != place.1);
        }
        let new = text.map(any_value::Value::StringValue);
        let written = &mut self.written_elements;
        with_slot(&mut self.tree, &place, &mut |slot| match slot {
            Slot::Pair(pair) => match &new {
                None => kill([pair]),
                Some(new) => {
                    pair.value = Some(AnyValue { value: Some(new.clone()) });
                    pair.key_strindex = 1;
                }
            },
            Slot::Element(value) => {
                written.insert(place.clone());
                let dead = any_value::Value::StringValue(DEAD.into());
                value.value = Some(new.clone().unwrap_or(dead));
            }
            Slot::Body(body) => {
                if body.is_some() {
                    *body = new.clone().map(|new| AnyValue { value: Some(new) });
                }
            }
        });
    }

    fn apply_masks(&mut self) {
        let mut places: Vec<Place> = self.masks.iter().map(|(place, _)| place.clone()).collect();
        places.sort();
        places.dedup();
        for place in places {
            let ranges: Vec<Range> =
                self.masks.iter().filter(|(of, _)| *of == place).map(|(_, range)| range.clone()).collect();
            if self.written_elements.contains(&place) {
                continue;
            }
            with_slot(&mut self.tree, &place, &mut |slot| {
                let value = match slot {
                    Slot::Pair(pair) if pair.key_strindex == 0 => pair.value.as_mut().and_then(|v| v.value.as_mut()),
                    Slot::Element(value) => value.value.as_mut(),
                    _ => None,
                };
                if let Some(any_value::Value::StringValue(text)) = value {
                    *text = masked(text, &ranges);
                }
            });
        }
        let masks = std::mem::take(&mut self.field_masks);
        self.tree.for_each(&mut |level, number, mut entity| {
            let mut fields: Vec<&Field> = masks.iter().map(|(field, ..)| field).collect();
            fields.sort();
            fields.dedup();
            for field in fields.into_iter().filter(|field| field.level == level) {
                let mine = masks.iter().filter(|(of, entity, _)| of == field && *entity == number);
                let ranges: Vec<Range> = mine.map(|(.., range)| range.clone()).collect();
                let Selector::Intrinsic(intrinsic) = field.selector else { continue };
                match entity.get(intrinsic) {
                    _ if ranges.is_empty() => {}
                    Held::Text(text) => entity.set(intrinsic, Some(&Held::Text(masked(&text, &ranges)))),
                    Held::Any(AnyValue { value: Some(any_value::Value::StringValue(text)) }) => {
                        let value = Some(any_value::Value::StringValue(masked(&text, &ranges)));
                        entity.set(intrinsic, Some(&Held::Any(AnyValue { value })));
                    }
                    _ => {}
                }
            }
        });
    }
}

fn write_attribute(list: &mut Vec<KeyValue>, key: &str, value: Option<Held>) {
    let Some(value) = value else {
        return kill(list.iter_mut().filter(|pair| pair.key == key));
    };
    let Held::Any(value) = value else { panic!("attributes hold any value") };
    let first = list.iter().position(|pair| pair.key == key).unwrap_or(list.len());
    let new = KeyValue { key: key.into(), value: Some(value), key_strindex: 1 };
    match list.get_mut(first) {
        Some(pair) => *pair = new,
        None => list.push(new),
    }
    kill(list.iter_mut().skip(first + 1).filter(|pair| pair.key == key));
}

fn kill<'k>(pairs: impl IntoIterator<Item = &'k mut KeyValue>) {
    for pair in pairs {
        *pair = KeyValue { key: DEAD.into(), value: None, key_strindex: 1 };
    }
}

/// Where each entry of the table is in the tree; of a table of texts only, if that is asked for.
fn places(signal: Signal, bytes: &[u8], texts_only: bool) -> Vec<Place> {
    let columns = extract(signal, bytes);
    let options = TableOptions { parents: true, ..TableOptions::default() };
    let table = columns.gather_table(bytes, options, &LiveRows::all(columns.rows())).unwrap();
    let mut places: Vec<Place> = Vec::new();
    let mut children = std::collections::HashMap::new();
    for entry in 0..table.kinds.len() {
        let (owner, entity) = (table.owners[entry], table.entities[entry] as usize);
        let mut path = match table.parents[entry] {
            0 => Vec::new(),
            parent => places[parent as usize - 1].2.clone(),
        };
        if owner != 7 || table.parents[entry] != 0 {
            let count = children.entry((owner, entity, path.clone())).or_insert(0);
            path.push(*count);
            *count += 1;
        }
        places.push((owner, entity, path));
    }
    let mut entries = table.kinds.iter().zip(&table.parents);
    let is_text = |(kind, parent): (&u8, &u32)| *kind == ValueKind::Text as u8 && *parent == 0;
    places.retain(|_| !texts_only || entries.next().is_some_and(is_text));
    places
}

/// A value in the tree.
enum Slot<'t> {
    Pair(&'t mut KeyValue),
    Element(&'t mut AnyValue),
    Body(&'t mut Option<AnyValue>),
}

fn with_slot(tree: &mut Tree, (owner, number, path): &Place, visit: &mut dyn FnMut(Slot<'_>)) {
    let wanted = match owner {
        0 => Level::Resource,
        1 => Level::Scope,
        2 => Level::Metric,
        _ => Level::Record,
    };
    tree.for_each(&mut |level, entity_number, mut entity| {
        if level != wanted || entity_number != *number {
            return;
        }
        match owner {
            0..=3 => {
                if let Some(list) = entity.attributes(false) {
                    descend_pairs(list, path, visit);
                }
            }
            7 => {
                if let Entity::Record(Record::Log(record)) = entity {
                    match path.is_empty() {
                        true => visit(Slot::Body(&mut record.body)),
                        false => {
                            if let Some(body) = &mut record.body {
                                descend(body, path, visit);
                            }
                        }
                    }
                }
            }
            _ => {
                let mut first = path[0];
                entity.others(*owner, &mut |list| {
                    if first < list.len() {
                        let path: Vec<usize> = [&[first], &path[1..]].concat();
                        descend_pairs(list, &path, visit);
                    }
                    first = first.wrapping_sub(list.len());
                    if first > usize::MAX / 2 {
                        first = usize::MAX;
                    }
                });
            }
        }
    });
}

fn descend_pairs(list: &mut [KeyValue], path: &[usize], visit: &mut dyn FnMut(Slot<'_>)) {
    let Some(pair) = list.get_mut(path[0]) else { return };
    match path.len() {
        1 if pair.key != DEAD => visit(Slot::Pair(pair)),
        1 => {}
        _ => {
            if pair.key_strindex == 0
                && let Some(value) = &mut pair.value
            {
                descend(value, &path[1..], visit);
            }
        }
    }
}

fn descend(value: &mut AnyValue, path: &[usize], visit: &mut dyn FnMut(Slot<'_>)) {
    match &mut value.value {
        Some(any_value::Value::KvlistValue(map)) => descend_pairs(&mut map.values, path, visit),
        Some(any_value::Value::ArrayValue(array)) => {
            let Some(element) = array.values.get_mut(path[0]) else { return };
            let dead = element.value == Some(any_value::Value::StringValue(DEAD.into()));
            match path.len() {
                1 if !dead => visit(Slot::Element(element)),
                1 => {}
                _ => descend(element, &path[1..], visit),
            }
        }
        _ => {}
    }
}

/// Takes away what is dead.
fn bury(tree: &mut Tree) {
    tree.for_each(&mut |_, _, mut entity| {
        entity.pairs(&mut bury_pairs);
        if let Entity::Record(Record::Log(record)) = entity
            && let Some(body) = &mut record.body
        {
            bury_value(body);
        }
    });
}

fn bury_pairs(list: &mut Vec<KeyValue>) {
    list.retain(|pair| pair.key != DEAD);
    list.iter_mut().filter_map(|pair| pair.value.as_mut()).for_each(bury_value);
}

fn bury_value(value: &mut AnyValue) {
    match &mut value.value {
        Some(any_value::Value::KvlistValue(map)) => bury_pairs(&mut map.values),
        Some(any_value::Value::ArrayValue(array)) => {
            array.values.retain(|value| value.value != Some(any_value::Value::StringValue(DEAD.into())));
            array.values.iter_mut().for_each(bury_value);
        }
        _ => {}
    }
}

/// A text with ranges replaced; overlapping ones count as one, with the replacement of the first.
fn masked(text: &str, ranges: &[Range]) -> String {
    if text.is_empty() {
        return String::new();
    }
    let mut ranges = ranges.to_vec();
    ranges.sort_by_key(|(start, ..)| *start);
    let mut united: Vec<Range> = Vec::new();
    for range in ranges {
        match united.last_mut() {
            Some(last) if range.0 < last.1 => last.1 = last.1.max(range.1),
            _ => united.push(range),
        }
    }
    let mut masked = String::new();
    let mut at = 0;
    for (start, end, replacement) in united {
        masked += &text[at..start];
        masked += &replacement;
        at = end;
    }
    masked + &text[at..]
}

pub(crate) fn bitmap(bits: &[bool]) -> Vec<u64> {
    let mut words = vec![0; bits.len().div_ceil(64)];
    for (index, _) in bits.iter().enumerate().filter(|(_, set)| **set) {
        words[index / 64] |= 1 << (index % 64);
    }
    words
}

fn flat<'t>(texts: impl Iterator<Item = &'t [u8]>) -> (Vec<u32>, Vec<u8>) {
    let (mut offsets, mut flat) = (vec![0], Vec::new());
    for text in texts {
        flat.extend(text);
        offsets.push(flat.len() as u32);
    }
    (offsets, flat)
}

/// A value as its simplest kind.
fn kind(held: &Held) -> Held {
    use any_value::Value as V;
    match held {
        Held::Any(AnyValue { value: Some(value) }) => match value {
            V::StringValue(text) => Held::Text(text.clone()),
            V::BytesValue(bytes) => Held::Bytes(bytes.clone()),
            V::IntValue(number) => Held::Integer(i128::from(*number)),
            V::DoubleValue(number) => Held::Double(*number),
            V::BoolValue(truth) => Held::Truth(*truth),
            _ => held.clone(),
        },
        _ => held.clone(),
    }
}

fn edit_value(held: &Held) -> EditValue<'_> {
    use any_value::Value as V;
    match held {
        Held::Text(text) | Held::Any(AnyValue { value: Some(V::StringValue(text)) }) => EditValue::Text(text),
        Held::Bytes(bytes) | Held::Any(AnyValue { value: Some(V::BytesValue(bytes)) }) => EditValue::Bytes(bytes),
        Held::Integer(number) => EditValue::S64(*number as i64),
        Held::Any(AnyValue { value: Some(V::IntValue(number)) }) => EditValue::S64(*number),
        Held::Double(number) | Held::Any(AnyValue { value: Some(V::DoubleValue(number)) }) => EditValue::F64(*number),
        Held::Truth(truth) | Held::Any(AnyValue { value: Some(V::BoolValue(truth)) }) => EditValue::Boolean(*truth),
        other => panic!("{other:?}"),
    }
}

fn set_values(plan: &mut EditPlan, field: &Field, entities: &[u32], like: &Held, values: &[Held]) {
    let values: Vec<Held> = values.iter().map(kind).collect();
    let text = |held: &Held| match held {
        Held::Text(text) => text.clone().into_bytes(),
        Held::Bytes(bytes) => bytes.clone(),
        other => panic!("{other:?}"),
    };
    match kind(like) {
        Held::Text(_) => {
            let texts: Vec<_> = values.iter().map(text).collect();
            let (offsets, bytes) = flat(texts.iter().map(Vec::as_slice));
            plan.set_values(field, entities, EditValues::Text { offsets: &offsets, bytes: &bytes }).unwrap();
        }
        Held::Bytes(_) => {
            let texts: Vec<_> = values.iter().map(text).collect();
            let (offsets, bytes) = flat(texts.iter().map(Vec::as_slice));
            plan.set_values(field, entities, EditValues::Bytes { offsets: &offsets, bytes: &bytes }).unwrap();
        }
        Held::Integer(_) => {
            let numbers: Vec<i64> = values
                .iter()
                .map(|value| match value {
                    Held::Integer(number) => *number as i64,
                    other => panic!("{other:?}"),
                })
                .collect();
            plan.set_values(field, entities, EditValues::S64(&numbers)).unwrap();
        }
        Held::Double(_) => {
            let numbers: Vec<f64> = values
                .iter()
                .map(|value| match value {
                    Held::Double(number) => *number,
                    other => panic!("{other:?}"),
                })
                .collect();
            plan.set_values(field, entities, EditValues::F64(&numbers)).unwrap();
        }
        _ => {
            let truths: Vec<bool> = values.iter().map(|value| *value == Held::Truth(true)).collect();
            plan.set_values(field, entities, EditValues::Boolean(&truths)).unwrap();
        }
    }
}
