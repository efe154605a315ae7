//! The columns of a slot in one batch, and the values that they hold.

use std::borrow::Cow;

use sluice_sdk::{
    Batch, BooleanColumn, BytesColumn, DictionaryColumn, F64Column, KindColumn, Level, S64Column, TextColumn,
    U64Column, ValueKind,
};

use crate::fields::{ANY_TYPE, Reading, Shape};
use crate::ottl::Key;
use crate::program::Slot;
use crate::trace_state;
use crate::value::{Cell, Fault, Value, decode, display_text, hexadecimal};

/// A slot with its columns.
pub(super) struct Loaded<'b> {
    pub(super) level: Level,
    pub(super) dictionary: Option<DictionaryColumn<'b>>,
    pub(super) text: Option<TextColumn<'b>>,
    pub(super) s64: Option<S64Column<'b>>,
    pub(super) u64: Option<U64Column<'b>>,
    pub(super) f64: Option<F64Column<'b>>,
    boolean: Option<BooleanColumn<'b>>,
    bytes: Option<BytesColumn<'b>>,
    pub(super) kind: Option<KindColumn<'b>>,
    shape: Shape,
    is_body: bool,
    /// The types of the metrics, where the field depends on them, and the types that have it.
    types: Option<(S64Column<'b>, u8)>,
    batch: &'b Batch,
}

impl<'b> Loaded<'b> {
    pub(super) fn new(slot: &Slot, types: Option<S64Column<'b>>, batch: &'b Batch) -> Self {
        let columns = slot.columns;
        Self {
            level: slot.level(),
            dictionary: columns.dictionary.map(|handle| batch.dictionary(handle)),
            text: columns.text.map(|handle| batch.text(handle)),
            s64: columns.s64.map(|handle| batch.s64(handle)),
            u64: columns.u64.map(|handle| batch.u64(handle)),
            f64: columns.f64.map(|handle| batch.f64(handle)),
            boolean: columns.boolean.map(|handle| batch.boolean(handle)),
            bytes: columns.bytes.map(|handle| batch.bytes(handle)),
            kind: columns.kind.map(|handle| batch.kind(handle)),
            shape: slot.shape,
            is_body: slot.is_body(),
            types: types.filter(|_| slot.types != ANY_TYPE).map(|column| (column, slot.types)),
            batch,
        }
    }

    /// Whether the field can be nil.
    pub(super) fn may_be_absent(&self) -> bool {
        matches!(self.shape, Shape::Attribute | Shape::Body)
    }

    /// Whether an attribute or a body has a value. Empty bytes count as none, see `value::compare`.
    pub(super) fn is_present(&self, entity: usize) -> bool {
        match self.kind.map_or(ValueKind::Absent, |kinds| kinds.get(entity)) {
            ValueKind::Absent | ValueKind::Empty => false,
            ValueKind::Bytes => !self.bytes_at(entity).is_empty(),
            _ => true,
        }
    }

    /// What a path means for an entity of the slot's level.
    pub(super) fn read(&self, reading: &'b Reading, entity: usize) -> Cell<'b> {
        match reading {
            Reading::Member(keys) => self.member(keys, entity),
            reading => Ok(meaning(reading, self.value(entity))),
        }
    }

    /// The value of the field. Kinds of values for which there is no column count as nil: they make no difference.
    fn value(&self, entity: usize) -> Value<'b> {
        if let Some((types, accepted)) = self.types {
            let metric = if self.level == Level::Record { self.batch.metric_of(entity) } else { entity };
            let number = types.get(metric).unwrap_or_default();
            if number & !7 != 0 || accepted >> number & 1 == 0 {
                return Value::Nil;
            }
        }
        match self.shape {
            Shape::Attribute | Shape::Body => self.any(entity),
            Shape::Text => Value::text(self.text_at(entity).unwrap_or_default()),
            Shape::Signed => Value::Integer(self.s64.and_then(|column| column.get(entity)).unwrap_or_default()),
            Shape::Unsigned => {
                Value::Integer(self.u64.and_then(|column| column.get(entity)).unwrap_or_default() as i64)
            }
            Shape::Double => Value::Double(self.f64.and_then(|column| column.get(entity)).unwrap_or_default()),
            Shape::Boolean => Value::Boolean(self.boolean.and_then(|column| column.get(entity)).unwrap_or(false)),
            Shape::Id(length) => {
                let id = self.bytes_at(entity);
                Value::Id(if id.len() == length { Cow::Borrowed(id) } else { Cow::Owned(vec![0; length]) })
            }
        }
    }

    fn any(&self, entity: usize) -> Value<'b> {
        let Some(kinds) = self.kind else { return self.untold(entity) };
        match kinds.get(entity) {
            ValueKind::Absent | ValueKind::Empty => Value::Nil,
            ValueKind::Array | ValueKind::Map => decode(self.bytes_at(entity)),
            ValueKind::Bytes if self.bytes.is_some() => Value::Bytes(Cow::Borrowed(self.bytes_at(entity))),
            ValueKind::Bytes => Value::Nil,
            ValueKind::Text | ValueKind::Boolean | ValueKind::Integer | ValueKind::Double => self.untold(entity),
        }
    }

    /// A scalar value, found by asking each column.
    fn untold(&self, entity: usize) -> Value<'b> {
        let text = || self.text_at(entity).map(Value::text);
        let integer = || self.s64?.get(entity).map(Value::Integer);
        let double = || self.f64?.get(entity).map(Value::Double);
        let boolean = || self.boolean?.get(entity).map(Value::Boolean);
        text().or_else(integer).or_else(double).or_else(boolean).unwrap_or(Value::Nil)
    }

    fn text_at(&self, entity: usize) -> Option<&'b str> {
        match (self.dictionary, self.text) {
            (Some(column), _) => column.get(entity),
            (None, Some(column)) => column.get(entity),
            (None, None) => None,
        }
    }

    fn bytes_at(&self, entity: usize) -> &'b [u8] {
        self.bytes.and_then(|column| column.get(entity)).unwrap_or_default()
    }

    /// What stands under keys. A missing key gives nil; indexing what has no keys fails.
    fn member(&self, keys: &'b [Key], entity: usize) -> Cell<'b> {
        let kind = self.kind.map_or(ValueKind::Absent, |kinds| kinds.get(entity));
        let mut value = match kind {
            ValueKind::Absent if !self.is_body => return Ok(Value::Nil),
            ValueKind::Array | ValueKind::Map => decode(self.bytes_at(entity)),
            _ => return Err(Fault::new("only maps and lists can be indexed")),
        };
        for key in keys {
            value = match (value, key) {
                (Value::Map(members), Key::Text(key)) => {
                    match members.into_iter().find(|(name, _)| name == key.as_str()) {
                        Some((_, member)) => member,
                        None => return Ok(Value::Nil),
                    }
                }
                (Value::List(mut items), Key::Index(index)) => match usize::try_from(*index) {
                    Ok(index) if index < items.len() => items.swap_remove(index),
                    _ => return Err(Fault::new(format!("index {index} is out of bounds"))),
                },
                (Value::Map(_), Key::Index(_)) => return Err(Fault::new("a map is indexed by strings")),
                (Value::List(_), Key::Text(_)) => return Err(Fault::new("a list is indexed by numbers")),
                _ => return Err(Fault::new("only maps and lists can be indexed")),
            };
        }
        Ok(value)
    }
}

/// What a path means where this value stands.
pub(super) fn meaning<'b>(reading: &Reading, value: Value<'b>) -> Value<'b> {
    match (reading, value) {
        (Reading::Time, Value::Integer(nanoseconds)) => Value::Time(i128::from(nanoseconds)),
        (Reading::Hexadecimal, Value::Id(id)) => Value::Text(hexadecimal(&id).into()),
        (Reading::Kind, Value::Integer(kind)) => Value::text(kind_name(kind)),
        (Reading::OldKind, Value::Integer(kind)) => Value::text(old_kind_name(kind)),
        (Reading::Display, Value::Text(text)) => Value::Text(text),
        (Reading::Display, value) => Value::Text(display_text(&value).into_owned().into()),
        (Reading::TraceState(key), Value::Text(state)) => {
            trace_state::member(&state, key).map_or(Value::Nil, |value| Value::Text(value.into()))
        }
        (_, value) => value,
    }
}

fn kind_name(kind: i64) -> &'static str {
    ["Unspecified", "Internal", "Server", "Client", "Producer", "Consumer"]
        .get(usize::try_from(kind).unwrap_or(usize::MAX))
        .copied()
        .unwrap_or_default()
}

/// The name of a span's kind in the protocol; empty for an unknown one.
fn old_kind_name(kind: i64) -> &'static str {
    [
        "SPAN_KIND_UNSPECIFIED",
        "SPAN_KIND_INTERNAL",
        "SPAN_KIND_SERVER",
        "SPAN_KIND_CLIENT",
        "SPAN_KIND_PRODUCER",
        "SPAN_KIND_CONSUMER",
    ]
    .get(usize::try_from(kind).unwrap_or(usize::MAX))
    .copied()
    .unwrap_or_default()
}
