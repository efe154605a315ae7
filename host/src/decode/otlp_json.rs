//! OTLP/JSON to OTLP protobuf in one pass, without an object tree in between.
//!
//! The rules are those of the OTLP specification, "JSON Protobuf Encoding": lowerCamelCase names, ids in hex, enum values
//! as integers, 64-bit integers as strings or numbers, unknown names ignored. As in the collector, protobuf's own names of
//! fields (`trace_id`) and of enum values are taken too. What is written is the canonical encoding: fields in the order of
//! the document, defaults left out where presence does not matter.

mod encode;
mod number;
#[cfg(test)]
mod round_trip;
mod schema;
#[cfg(test)]
mod tests;

use sluice_wire::{MAX_VALUE_NESTING, Signal};

use self::encode::{Encoder, Text};
use super::DecodeError;
use crate::limits::Permit;

/// Objects and lists that may be open at once: sixteen on the way to an exemplar's attribute, and four for each level of
/// its value. The walk takes stack for each of them, and so do the names that nobody knows.
const MAX_OPEN: usize = 16 + 4 * MAX_VALUE_NESTING;

/// Translates an `Export…ServiceRequest` from JSON to protobuf.
///
/// `permit` is grown by the size of the result before that is allocated.
///
/// # Errors
/// Names the JSON path, line and column of what is wrong; or says that the result would exceed `limit_bytes` or the
/// budget of `permit`.
pub fn to_protobuf(
    signal: Signal,
    json: &[u8],
    limit_bytes: usize,
    permit: &mut Permit,
) -> Result<Vec<u8>, DecodeError> {
    check_depth(json)?;
    let before = permit.bytes();
    match read(signal, json, limit_bytes, permit, Text::Strict) {
        Err(Failure { is_half_a_pair: true, .. }) => {
            permit.shrink_to(before);
            read(signal, json, limit_bytes, permit, Text::Halves).map_err(|failure| failure.error)
        }
        result => result.map_err(|failure| failure.error),
    }
}

/// Why a document can't be read.
struct Failure {
    error: DecodeError,
    /// Whether a text has half a pair of surrogates, which JavaScript leaves where it cuts text.
    is_half_a_pair: bool,
}

fn read(signal: Signal, json: &[u8], limit_bytes: usize, permit: &mut Permit, text: Text) -> Result<Vec<u8>, Failure> {
    let failed = |error| Failure { error, is_half_a_pair: false };
    let mut encoder = Encoder::new(limit_bytes, permit, text);
    // Telemetry in protobuf takes about half of its JSON.
    encoder.expect(json.len() / 2).map_err(failed)?;
    let mut json = serde_json::Deserializer::from_slice(json);
    json.disable_recursion_limit();
    let read = encoder.message(schema::request(signal), &mut json).and_then(|()| json.end());
    match read {
        Ok(()) => encoder.into_bytes().map_err(failed),
        Err(error) => {
            // What serde_json says of one, whatever follows it.
            let told = error.to_string();
            let is_half_a_pair = ["hex escape", "surrogate"].iter().any(|words| told.contains(words));
            Err(Failure { error: encoder.explain(&error), is_half_a_pair })
        }
    }
}

/// Looks at brackets only. Up to the first mistake in the document it counts what the parser will open, and the parser goes
/// no further than that.
fn check_depth(json: &[u8]) -> Result<(), DecodeError> {
    let (mut open, mut in_text, mut bytes) = (0_usize, false, json.iter());
    while let Some(byte) = bytes.next() {
        match (byte, in_text) {
            (b'"', _) => in_text = !in_text,
            (b'\\', true) => drop(bytes.next()),
            (b'[' | b'{', false) if open == MAX_OPEN => {
                return Err(DecodeError::Invalid(format!("nested deeper than {MAX_OPEN} objects and lists")));
            }
            (b'[' | b'{', false) => open += 1,
            (b']' | b'}', false) => open = open.saturating_sub(1),
            _ => {}
        }
    }
    Ok(())
}
