//! Reads arrays and maps out of the bytes of an OTLP `AnyValue`.

use sluice_sdk::AnyValue;

use super::Value;

/// Decodes the content of an `AnyValue` message. What can't be read counts as nil: the host checked the bytes.
pub(crate) fn decode(bytes: &[u8]) -> Value<'_> {
    AnyValue::from(bytes).into()
}

impl<'a> From<AnyValue<'a>> for Value<'a> {
    fn from(value: AnyValue<'a>) -> Self {
        match value {
            AnyValue::Empty => Self::Nil,
            AnyValue::Text(text) => Self::text(text),
            AnyValue::Boolean(value) => Self::Boolean(value),
            AnyValue::Integer(number) => Self::Integer(number),
            AnyValue::Double(number) => Self::Double(number),
            AnyValue::Bytes(bytes) => Self::Bytes(bytes.into()),
            AnyValue::Array(array) => Self::List(array.iter().map(Self::from).collect()),
            AnyValue::Map(map) => {
                Self::Map(map.iter().map(|member| (member.key().into(), member.value().into())).collect())
            }
        }
    }
}
