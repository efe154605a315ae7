//! The walk over the JSON document that writes protobuf as it goes.

use std::fmt;

use base64::Engine;
use base64::alphabet::{STANDARD, URL_SAFE};
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Unexpected, Visitor};

use super::number::{self, Literal};
use super::schema::{Field, Kind, Message, Shape};
use crate::decode::DecodeError;
use crate::decode::room::Room;
use crate::limits::Permit;

const ANY_PADDING: GeneralPurposeConfig =
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
const BASE64: GeneralPurpose = GeneralPurpose::new(&STANDARD, ANY_PADDING);
const BASE64_URL: GeneralPurpose = GeneralPurpose::new(&URL_SAFE, ANY_PADDING);

/// What a message shows of each end of a path: it is cut where it gets too long, and the reason comes after the path.
const SHOWN_STEPS: usize = 10;

const VARINT: u32 = 0;
const FIXED64: u32 = 1;
const DELIMITED: u32 = 2;
const FIXED32: u32 = 5;

/// The protobuf that has been written, and where in the document the walk is.
pub(super) struct Encoder<'p> {
    room: Room<'p>,
    path: Vec<Step>,
    /// Why there is no room, if that is why the walk ended.
    no_room: Option<DecodeError>,
    text: Text,
}

/// How text is read.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Text {
    /// As JSON has it.
    Strict,
    /// With halves of pairs of surrogates, as the collector has it. Control characters need no escape then.
    Halves,
}

/// One step on the way from the root of the document to a value.
#[derive(Clone, Copy)]
enum Step {
    Key(&'static str),
    Index(usize),
}

impl Step {
    fn join(steps: &[Self]) -> String {
        let mut path = String::new();
        for step in steps {
            match step {
                Self::Key(key) if path.is_empty() => path.push_str(key),
                Self::Key(key) => path.extend([".", key]),
                Self::Index(index) => path.push_str(&format!("[{index}]")),
            }
        }
        path
    }
}

impl<'p> Encoder<'p> {
    pub(super) fn new(limit_bytes: usize, permit: &'p mut Permit, text: Text) -> Self {
        let room = Room::new("the request in protobuf", limit_bytes, permit);
        Self { room, path: Vec::new(), no_room: None, text }
    }

    /// Makes room for so many bytes, as far as the limit goes.
    pub(super) fn expect(&mut self, bytes: usize) -> Result<(), DecodeError> {
        self.room.expect(bytes)
    }

    pub(super) fn message<'de, D: Deserializer<'de>>(
        &mut self,
        message: &'static Message,
        json: D,
    ) -> Result<(), D::Error> {
        json.deserialize_any(MessageVisitor { encoder: self, message })
    }

    pub(super) fn into_bytes(self) -> Result<Vec<u8>, DecodeError> {
        self.room.finish()
    }

    /// Says where the walk ended, and why.
    pub(super) fn explain(self, error: &serde_json::Error) -> DecodeError {
        if let Some(no_room) = self.no_room {
            return no_room;
        }
        let hidden = self.path.len().saturating_sub(2 * SHOWN_STEPS);
        let path = if hidden == 0 {
            Step::join(&self.path)
        } else {
            let (start, end) = self.path.split_at(SHOWN_STEPS);
            format!("{}...{}", Step::join(start), Step::join(&end[hidden..]))
        };
        let separator = if path.is_empty() { "" } else { ": " };
        if error.is_eof() {
            let (line, column) = (error.line(), error.column());
            return DecodeError::Invalid(format!(
                "{path}{separator}the body ends before the JSON does, at line {line} column {column}: send it whole, and \
                 check Content-Length"
            ));
        }
        DecodeError::Invalid(format!("{path}{separator}{error}"))
    }

    fn room<E: Error>(&mut self, bytes: usize) -> Result<(), E> {
        self.room.reserve(bytes).map_err(|no_room| {
            self.no_room = Some(no_room);
            E::custom("no room")
        })
    }

    fn bytes<E: Error>(&mut self, bytes: &[u8]) -> Result<(), E> {
        self.room(bytes.len())?;
        self.room.out.extend_from_slice(bytes);
        Ok(())
    }

    fn varint<E: Error>(&mut self, mut value: u64) -> Result<(), E> {
        self.room(10)?;
        while value >= 0x80 {
            self.room.out.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.room.out.push(value as u8);
        Ok(())
    }

    fn tag<E: Error>(&mut self, number: u32, wire_type: u32) -> Result<(), E> {
        self.varint(u64::from(number << 3 | wire_type))
    }

    fn delimited<E: Error>(&mut self, number: u32, bytes: &[u8]) -> Result<(), E> {
        self.tag(number, DELIMITED)?;
        self.varint(bytes.len() as u64)?;
        self.bytes(bytes)
    }

    /// Begins a field whose length is known only at its end; returns where its content starts.
    fn open<E: Error>(&mut self, number: u32) -> Result<usize, E> {
        self.tag(number, DELIMITED)?;
        self.bytes(&[0])?;
        Ok(self.room.out.len())
    }

    /// Ends a field that `open` began: writes its length into the byte kept for it, or moves the content for more.
    fn close<E: Error>(&mut self, start: usize) -> Result<(), E> {
        let length = (self.room.out.len() - start) as u64;
        let end = self.room.out.len();
        self.varint(length)?;
        let extra = self.room.out.len() - end - 1;
        let mut prefix = [0; 10];
        prefix[..=extra].copy_from_slice(&self.room.out[end..]);
        self.room.out.copy_within(start..end, start + extra);
        self.room.out[start - 1..start + extra].copy_from_slice(&prefix[..=extra]);
        self.room.out.truncate(end + extra);
        Ok(())
    }

    /// Writes an integer or float without its tag.
    fn number<E: Error>(&mut self, kind: Kind, literal: Literal<'_>) -> Result<Number, E> {
        let wrong = || E::custom(format_args!("{} is not {}", literal, expected(kind)));
        if let Kind::Double = kind {
            return number::float(literal).map(Number::Double).ok_or_else(wrong);
        }
        let value = number::integer(kind, literal).ok_or_else(wrong)?;
        Ok(match kind {
            Kind::Fixed32 => Number::Fixed32(value as u32),
            Kind::Fixed64 => Number::Fixed64(value as u64),
            Kind::Sfixed64 => Number::Fixed64(value as i64 as u64),
            // Zigzag: small negative numbers stay short.
            Kind::Sint32 => Number::Varint(u64::from(((value as i32) << 1 ^ (value as i32) >> 31) as u32)),
            // Negative enum values and int64 take all ten bytes, as protobuf has it.
            Kind::Enum(_) | Kind::Int64 => Number::Varint(value as i64 as u64),
            _ => Number::Varint(value as u64),
        })
    }

    fn put<E: Error>(&mut self, number: Number) -> Result<(), E> {
        match number {
            Number::Varint(value) => self.varint(value),
            Number::Fixed32(value) => self.bytes(&value.to_le_bytes()),
            Number::Fixed64(value) => self.bytes(&value.to_le_bytes()),
            Number::Double(value) => self.bytes(&value.to_le_bytes()),
        }
    }
}

/// A number as the wire has it.
#[derive(Clone, Copy)]
enum Number {
    Varint(u64),
    Fixed32(u32),
    Fixed64(u64),
    Double(f64),
}

impl Number {
    fn wire_type(self) -> u32 {
        match self {
            Self::Varint(_) => VARINT,
            Self::Fixed32(_) => FIXED32,
            Self::Fixed64(_) | Self::Double(_) => FIXED64,
        }
    }

    /// Whether it is what an absent field means. Minus zero is not.
    fn is_default(self) -> bool {
        match self {
            Self::Varint(value) | Self::Fixed64(value) => value == 0,
            Self::Fixed32(value) => value == 0,
            Self::Double(value) => value.to_bits() == 0,
        }
    }
}

impl fmt::Display for Literal<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unsigned(value) => write!(f, "{value}"),
            Self::Signed(value) => write!(f, "{value}"),
            Self::Float(value) => write!(f, "{value}"),
            // The text is the peer's telemetry: only its size may stand in a message.
            Self::Text(text) => write!(f, "a string of {} bytes", text.len()),
        }
    }
}

fn expected(kind: Kind) -> &'static str {
    match kind {
        Kind::Text => "a string",
        Kind::Id(16) => "a trace id of 32 hex digits",
        Kind::Id(_) => "a span id of 16 hex digits",
        Kind::Base64 => "bytes in base64",
        Kind::Bool => "true or false",
        Kind::Enum(_) => "an integer or one of the enumeration's names",
        Kind::Uint32 | Kind::Fixed32 => "an integer from 0 to 4294967295",
        Kind::Sint32 => "a 32-bit integer",
        Kind::Int64 | Kind::Sfixed64 => "a 64-bit integer",
        Kind::Uint64 | Kind::Fixed64 => "an unsigned 64-bit integer",
        Kind::Double => "a number, \"NaN\", \"Infinity\" or \"-Infinity\"",
        Kind::Message(message) => message.name,
    }
}

/// Reads an object as a message; the content is written where the encoder stands.
struct MessageVisitor<'e, 'p> {
    encoder: &'e mut Encoder<'p>,
    message: &'static Message,
}

impl<'de> Visitor<'de> for MessageVisitor<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "an object ({})", self.message.name)
    }

    fn visit_str<E: Error>(self, _: &str) -> Result<(), E> {
        Err(E::invalid_type(Unexpected::Other("string"), &self))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(known) = map.next_key_seed(Key(self.message))? {
            let Some(field) = known else {
                map.next_value::<IgnoredAny>()?;
                continue;
            };
            self.encoder.path.push(Step::Key(field.json));
            map.next_value_seed(Value { encoder: self.encoder, field })?;
            self.encoder.path.pop();
        }
        Ok(())
    }
}

/// Finds the field that a key names; `None` for one that nobody knows.
struct Key(&'static Message);

impl<'de> DeserializeSeed<'de> for Key {
    type Value = Option<&'static Field>;

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<Self::Value, D::Error> {
        json.deserialize_str(self)
    }
}

impl Visitor<'_> for Key {
    type Value = Option<&'static Field>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a field name")
    }

    fn visit_str<E: Error>(self, name: &str) -> Result<Self::Value, E> {
        Ok(self.0.field(name))
    }
}

/// Reads the value of a field and writes it with its tag.
struct Value<'e, 'p> {
    encoder: &'e mut Encoder<'p>,
    field: &'static Field,
}

impl<'de> DeserializeSeed<'de> for Value<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<(), D::Error> {
        match self.field.shape {
            Shape::Repeated => json.deserialize_any(Elements { encoder: self.encoder, field: self.field }),
            _ => One { encoder: self.encoder, field: self.field, packed: false }.read(json),
        }
    }
}

/// Reads an array as the values of a repeated field.
struct Elements<'e, 'p> {
    encoder: &'e mut Encoder<'p>,
    field: &'static Field,
}

impl<'de> Visitor<'de> for Elements<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "an array (of {})", expected(self.field.kind))
    }

    fn visit_str<E: Error>(self, _: &str) -> Result<(), E> {
        Err(E::invalid_type(Unexpected::Other("string"), &self))
    }

    /// `null` is the empty list, as everywhere in protobuf's JSON.
    fn visit_unit<E: Error>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        let Self { encoder, field } = self;
        let packed = !matches!(field.kind, Kind::Message(_) | Kind::Text);
        let before = encoder.room.out.len();
        let start = if packed { encoder.open(field.number)? } else { before };
        let mut index = 0;
        loop {
            encoder.path.push(Step::Index(index));
            if seq.next_element_seed(Element { encoder: &mut *encoder, field, packed })?.is_none() {
                break;
            }
            encoder.path.pop();
            index += 1;
        }
        encoder.path.pop();
        match (packed, index) {
            (true, 0) => encoder.room.out.truncate(before),
            (true, _) => encoder.close(start)?,
            (false, _) => {}
        }
        Ok(())
    }
}

/// One element of an array.
struct Element<'e, 'p> {
    encoder: &'e mut Encoder<'p>,
    field: &'static Field,
    packed: bool,
}

impl<'de> DeserializeSeed<'de> for Element<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<(), D::Error> {
        One { encoder: self.encoder, field: self.field, packed: self.packed }.read(json)
    }
}

/// Reads a single value; inside a packed field it is written without a tag.
struct One<'e, 'p> {
    encoder: &'e mut Encoder<'p>,
    field: &'static Field,
    packed: bool,
}

impl One<'_, '_> {
    fn number<E: Error>(self, literal: Literal<'_>) -> Result<(), E> {
        let number = self.encoder.number(self.field.kind, literal)?;
        if self.packed {
            return self.encoder.put(number);
        }
        if self.field.shape == Shape::Plain && number.is_default() {
            return Ok(());
        }
        self.encoder.tag(self.field.number, number.wire_type())?;
        self.encoder.put(number)
    }

    fn delimited<E: Error>(self, bytes: &[u8]) -> Result<(), E> {
        if self.field.shape == Shape::Plain && bytes.is_empty() {
            return Ok(());
        }
        self.encoder.delimited(self.field.number, bytes)
    }

    fn read<'de, D: Deserializer<'de>>(self, json: D) -> Result<(), D::Error> {
        match self.field.kind {
            Kind::Text if self.encoder.text == Text::Halves => json.deserialize_option(AnyText(self)),
            _ => json.deserialize_any(self),
        }
    }

    fn is_number(&self) -> bool {
        !matches!(self.field.kind, Kind::Text | Kind::Id(_) | Kind::Base64 | Kind::Bool | Kind::Message(_))
    }

    fn literal<E: Error>(self, literal: Literal<'_>) -> Result<(), E> {
        if self.is_number() {
            return self.number(literal);
        }
        Err(E::custom(format_args!("{literal} is not {}", expected(self.field.kind))))
    }
}

/// Reads text as bytes, since text that was cut in the middle of a pair of surrogates, as JavaScript cuts it, is none
/// otherwise. As in the collector, half a pair stands for U+FFFD.
struct AnyText<'e, 'p>(One<'e, 'p>);

impl<'de> Visitor<'de> for AnyText<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.expecting(f)
    }

    fn visit_none<E: Error>(self) -> Result<(), E> {
        self.0.visit_unit()
    }

    fn visit_some<D: Deserializer<'de>>(self, json: D) -> Result<(), D::Error> {
        json.deserialize_bytes(self.0)
    }
}

/// The text that bytes of JSON stand for, with U+FFFD for each half of a pair of surrogates; none if they are no text.
fn without_surrogates(bytes: &[u8]) -> Option<String> {
    let mut bytes = bytes.to_vec();
    for at in 0..bytes.len().saturating_sub(2) {
        // In UTF-8 nothing else begins like that; U+FFFD is as long.
        if let [0xed, 0xa0..=0xbf, 0x80..=0xbf] = bytes[at..at + 3] {
            bytes[at..at + 3].copy_from_slice("\u{fffd}".as_bytes());
        }
    }
    String::from_utf8(bytes).ok()
}

impl<'de> Visitor<'de> for One<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.field.kind {
            Kind::Message(message) => write!(f, "an object ({})", message.name),
            kind => f.write_str(expected(kind)),
        }
    }

    /// `null` is the absence of a field; as an element it is an empty message.
    fn visit_unit<E: Error>(self) -> Result<(), E> {
        match (self.field.shape, self.field.kind) {
            (Shape::Repeated, Kind::Message(_)) => self.encoder.delimited(self.field.number, &[]),
            (Shape::Repeated, kind) => Err(E::custom(format_args!("null is not {}", expected(kind)))),
            _ => Ok(()),
        }
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<(), E> {
        if !matches!(self.field.kind, Kind::Bool) {
            return Err(E::custom(format_args!("{value} is not {}", expected(self.field.kind))));
        }
        if self.field.shape == Shape::Plain && !value {
            return Ok(());
        }
        self.encoder.tag(self.field.number, VARINT)?;
        self.encoder.varint(u64::from(value))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<(), E> {
        self.literal(Literal::Unsigned(value))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<(), E> {
        self.literal(Literal::Signed(value))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<(), E> {
        self.literal(Literal::Float(value))
    }

    fn visit_bytes<E: Error>(self, bytes: &[u8]) -> Result<(), E> {
        match std::str::from_utf8(bytes) {
            Ok(text) => self.visit_str(text),
            Err(_) => {
                // Its copy, before it is made.
                self.encoder.room(bytes.len())?;
                let text = without_surrogates(bytes).ok_or_else(|| E::custom("the text is not valid UTF-8"))?;
                self.visit_str(&text)
            }
        }
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<(), E> {
        match self.field.kind {
            Kind::Text => self.delimited(text.as_bytes()),
            Kind::Id(size) => {
                let mut id = [0; 16];
                match text.len() {
                    0 => self.delimited(&[]),
                    _ if hex::decode_to_slice(text, &mut id[..size]).is_ok() => self.delimited(&id[..size]),
                    // What encoders of plain protobuf JSON write.
                    length if length == size.div_ceil(3) * 4 => Err(E::custom(format_args!(
                        "{} is not {} (OTLP/JSON has ids in hex, not in base64)",
                        Literal::Text(text),
                        expected(self.field.kind)
                    ))),
                    _ => self.literal(Literal::Text(text)),
                }
            }
            Kind::Base64 => {
                // Three bytes for four letters, before they are allocated.
                self.encoder.room(text.len())?;
                match BASE64.decode(text).or_else(|_| BASE64_URL.decode(text)) {
                    Ok(bytes) => self.delimited(&bytes),
                    Err(_) => self.literal(Literal::Text(text)),
                }
            }
            _ => self.literal(Literal::Text(text)),
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<(), A::Error> {
        let Kind::Message(message) = self.field.kind else {
            return Err(A::Error::custom(format_args!("an object is not {}", expected(self.field.kind))));
        };
        let start = self.encoder.open(self.field.number)?;
        MessageVisitor { encoder: &mut *self.encoder, message }.visit_map(map)?;
        self.encoder.close(start)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, _: A) -> Result<(), A::Error> {
        Err(A::Error::custom(format_args!("an array is not {}", expected(self.field.kind))))
    }
}
