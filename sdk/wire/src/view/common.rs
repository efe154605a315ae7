//! Views of what all signals share: resources, scopes, attributes and their values.

use crate::cursor::keys::{I64_4, LEN_1, LEN_2, LEN_5, LEN_6, LEN_7, VARINT_2, VARINT_3, VARINT_4, VARINT_8};
use crate::cursor::{Cursor, len_key, plain_pair, varint_key};
use crate::field::ValueKind;

use super::message::{Each, Message, Singular, Texts, text};

/// A resource. A request need not name one; then this is empty.
#[derive(Clone, Copy, Debug, Default)]
pub struct Resource<'a> {
    message: Option<Message<'a>>,
    dropped_attributes_count: u32,
}

impl<'a> Resource<'a> {
    pub(crate) fn new(singular: &Singular<'a>) -> Self {
        let message = singular.message();
        let mut resource = Self { message, dropped_attributes_count: 0 };
        for piece in message.unwrap_or_default().fields() {
            if piece.key == varint_key(2) {
                resource.dropped_attributes_count = piece.scalar as u32;
            }
        }
        resource
    }

    /// Whether the request names the resource at all.
    pub fn is_present(&self) -> bool {
        self.message.is_some()
    }

    /// Its attributes.
    pub fn attributes(&self) -> Each<'a, KeyValue<'a>> {
        self.message.unwrap_or_default().each(1)
    }

    /// How many attributes the sender dropped.
    pub fn dropped_attributes_count(&self) -> u32 {
        self.dropped_attributes_count
    }

    /// The entities that make up the resource.
    pub fn entity_refs(&self) -> Each<'a, EntityRef<'a>> {
        self.message.unwrap_or_default().each(3)
    }
}

/// A reference to an entity of a resource.
#[derive(Clone, Copy, Debug, Default)]
pub struct EntityRef<'a> {
    message: Message<'a>,
    schema_url: &'a [u8],
    kind: &'a [u8],
}

impl<'a> From<&'a [u8]> for EntityRef<'a> {
    fn from(bytes: &'a [u8]) -> Self {
        let mut entity = Self { message: Message::new(bytes), ..Self::default() };
        for piece in entity.message.fields() {
            match piece.key {
                LEN_1 => entity.schema_url = piece.bytes,
                LEN_2 => entity.kind = piece.bytes,
                _ => {}
            }
        }
        entity
    }
}

impl<'a> EntityRef<'a> {
    /// The schema of its attributes.
    pub fn schema_url(&self) -> &'a str {
        text(self.schema_url)
    }

    /// The entity's type.
    pub fn r#type(&self) -> &'a str {
        text(self.kind)
    }

    /// Keys of the attributes that identify it.
    pub fn id_keys(&self) -> Texts<'a> {
        Texts::new(self.message, 3)
    }

    /// Keys of the attributes that describe it.
    pub fn description_keys(&self) -> Texts<'a> {
        Texts::new(self.message, 4)
    }
}

/// An instrumentation scope. A request need not name one; then this is empty.
#[derive(Clone, Copy, Debug, Default)]
pub struct Scope<'a> {
    message: Option<Message<'a>>,
    name: &'a [u8],
    version: &'a [u8],
    dropped_attributes_count: u32,
}

impl<'a> Scope<'a> {
    pub(crate) fn new(singular: &Singular<'a>) -> Self {
        let mut scope = Self { message: singular.message(), ..Self::default() };
        for piece in scope.message.unwrap_or_default().fields() {
            match piece.key {
                LEN_1 => scope.name = piece.bytes,
                LEN_2 => scope.version = piece.bytes,
                VARINT_4 => scope.dropped_attributes_count = piece.scalar as u32,
                _ => {}
            }
        }
        scope
    }

    /// Whether the request names the scope at all.
    pub fn is_present(&self) -> bool {
        self.message.is_some()
    }

    /// Its name.
    pub fn name(&self) -> &'a str {
        text(self.name)
    }

    /// Its version.
    pub fn version(&self) -> &'a str {
        text(self.version)
    }

    /// Its attributes.
    pub fn attributes(&self) -> Each<'a, KeyValue<'a>> {
        self.message.unwrap_or_default().each(3)
    }

    /// How many attributes the sender dropped.
    pub fn dropped_attributes_count(&self) -> u32 {
        self.dropped_attributes_count
    }
}

/// An attribute, or a member of a map.
#[derive(Clone, Copy, Debug, Default)]
pub struct KeyValue<'a> {
    key: &'a [u8],
    value: Value<'a>,
}

impl<'a> From<&'a [u8]> for KeyValue<'a> {
    #[inline]
    fn from(bytes: &'a [u8]) -> Self {
        if let Some((key_length, value)) = plain_pair(bytes) {
            let key = bytes.get(2..2 + usize::from(key_length)).unwrap_or_default();
            let value = match value {
                [0x0a, length @ 0..0x80, content @ ..] if content.len() == usize::from(*length) => {
                    Value::Text(text(content))
                }
                value => Value::member(value).unwrap_or_default(),
            };
            return Self { key, value };
        }
        let mut pair = Self::default();
        for piece in Message::new(bytes).fields() {
            match piece.key {
                LEN_1 => pair.key = piece.bytes,
                LEN_2 => {
                    if let Some(value) = Value::member(piece.bytes) {
                        pair.value = value;
                    }
                }
                _ => {}
            }
        }
        pair
    }
}

impl<'a> KeyValue<'a> {
    /// Its key.
    pub fn key(&self) -> &'a str {
        text(self.key)
    }

    /// Its value.
    pub fn value(&self) -> Value<'a> {
        self.value
    }
}

/// A value of any kind.
#[derive(Clone, Copy, Debug, Default)]
pub enum Value<'a> {
    /// No content.
    #[default]
    Empty,
    /// A string.
    Text(&'a str),
    /// A boolean.
    Boolean(bool),
    /// An integer.
    Integer(i64),
    /// A floating point number.
    Double(f64),
    /// Values, in order.
    Array(Array<'a>),
    /// Values with keys, in order.
    Map(Map<'a>),
    /// Bytes.
    Bytes(&'a [u8]),
}

impl<'a> From<&'a [u8]> for Value<'a> {
    /// Reads the content of an `AnyValue` message.
    #[inline]
    fn from(bytes: &'a [u8]) -> Self {
        Self::member(bytes).unwrap_or_default()
    }
}

impl<'a> Value<'a> {
    /// The last member in the content of an `AnyValue` message.
    #[inline]
    pub(crate) fn member(bytes: &'a [u8]) -> Option<Self> {
        let mut found = None;
        let (mut last_key, mut run_start) = (0, 0);
        let mut cursor = Cursor::new(bytes);
        while let Some(item) = cursor.item() {
            let content = bytes.get(item.start..item.end).unwrap_or_default();
            if item.key != last_key && (1..=8).contains(&(item.key >> 3)) {
                (last_key, run_start) = (item.key, item.at);
            }
            let run = bytes.get(run_start..item.end).unwrap_or_default();
            found = Some(match item.key {
                LEN_1 => Value::Text(text(content)),
                VARINT_2 => Value::Boolean(item.scalar != 0),
                VARINT_3 => Value::Integer(item.scalar as i64),
                I64_4 => Value::Double(f64::from_bits(item.scalar)),
                LEN_5 => Value::Array(Array { any_value: run }),
                LEN_6 => Value::Map(Map { any_value: run }),
                LEN_7 => Value::Bytes(content),
                VARINT_8 => Value::Empty, // an index into a dictionary that only profiles have
                _ => continue,
            });
        }
        found
    }

    /// Its kind.
    pub fn kind(&self) -> ValueKind {
        match self {
            Value::Empty => ValueKind::Empty,
            Value::Text(_) => ValueKind::Text,
            Value::Boolean(_) => ValueKind::Boolean,
            Value::Integer(_) => ValueKind::Integer,
            Value::Double(_) => ValueKind::Double,
            Value::Array(_) => ValueKind::Array,
            Value::Map(_) => ValueKind::Map,
            Value::Bytes(_) => ValueKind::Bytes,
        }
    }
}

/// An array: iterates over its elements.
#[derive(Clone, Copy, Debug, Default)]
pub struct Array<'a> {
    any_value: &'a [u8],
}

impl<'a> Array<'a> {
    /// Its elements.
    pub fn iter(&self) -> Each<'a, Value<'a>> {
        Message::merged(self.any_value, len_key(5)).each(1)
    }
}

impl<'a> IntoIterator for Array<'a> {
    type Item = Value<'a>;
    type IntoIter = Each<'a, Value<'a>>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

/// A map: iterates over its members.
#[derive(Clone, Copy, Debug, Default)]
pub struct Map<'a> {
    any_value: &'a [u8],
}

impl<'a> Map<'a> {
    /// Its members.
    pub fn iter(&self) -> Each<'a, KeyValue<'a>> {
        Message::merged(self.any_value, len_key(6)).each(1)
    }
}

impl<'a> IntoIterator for Map<'a> {
    type Item = KeyValue<'a>;
    type IntoIter = Each<'a, KeyValue<'a>>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}
