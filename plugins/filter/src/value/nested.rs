//! Reads arrays and maps out of the bytes of an OTLP `AnyValue`.

use std::borrow::Cow;

use super::Value;

/// Decodes the content of an `AnyValue` message. What can't be read counts as nil: the host checked the bytes.
pub(crate) fn decode(bytes: &[u8]) -> Value<'_> {
    let mut value = Value::Nil;
    let mut fields = Fields(bytes);
    while let Some((number, field)) = fields.next() {
        value = match (number, field) {
            (1, Field::Bytes(bytes)) => Value::Text(Cow::Borrowed(std::str::from_utf8(bytes).unwrap_or_default())),
            (2, Field::Varint(number)) => Value::Boolean(number != 0),
            (3, Field::Varint(number)) => Value::Integer(number as i64),
            (4, Field::Fixed64(bits)) => Value::Double(f64::from_bits(bits)),
            (5, Field::Bytes(bytes)) => Value::List(messages(bytes).map(decode).collect()),
            (6, Field::Bytes(bytes)) => Value::Map(messages(bytes).map(member).collect()),
            (7, Field::Bytes(bytes)) => Value::Bytes(Cow::Borrowed(bytes)),
            _ => value,
        };
    }
    value
}

/// The messages in field 1 of an array or a map.
fn messages(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut fields = Fields(bytes);
    std::iter::from_fn(move || {
        loop {
            match fields.next()? {
                (1, Field::Bytes(message)) => return Some(message),
                _ => continue,
            }
        }
    })
}

fn member(bytes: &[u8]) -> (Cow<'_, str>, Value<'_>) {
    let mut entry = (Cow::Borrowed(""), Value::Nil);
    let mut fields = Fields(bytes);
    while let Some((number, field)) = fields.next() {
        match (number, field) {
            (1, Field::Bytes(key)) => entry.0 = Cow::Borrowed(std::str::from_utf8(key).unwrap_or_default()),
            (2, Field::Bytes(value)) => entry.1 = decode(value),
            _ => {}
        }
    }
    entry
}

enum Field<'a> {
    Varint(u64),
    Fixed64(u64),
    Bytes(&'a [u8]),
    Other,
}

/// The rest of a protobuf message.
struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    fn next(&mut self) -> Option<(u64, Field<'a>)> {
        let tag = self.varint()?;
        let field = match tag & 7 {
            0 => Field::Varint(self.varint()?),
            1 => Field::Fixed64(u64::from_le_bytes(self.take(8)?.try_into().ok()?)),
            2 => {
                let length = usize::try_from(self.varint()?).ok()?;
                Field::Bytes(self.take(length)?)
            }
            5 => {
                self.take(4)?;
                Field::Other
            }
            _ => return None,
        };
        Some((tag >> 3, field))
    }

    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }

    fn varint(&mut self) -> Option<u64> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let (byte, rest) = self.0.split_first()?;
            self.0 = rest;
            number |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Some(number);
            }
        }
        None
    }
}
