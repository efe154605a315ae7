//! The bytes that are hashed for an attribute's value: what OpenTelemetry's Go library prints for it.
//!
//! Text as it is, bytes as they are, numbers as ECMAScript prints them, arrays and maps as JSON.

use std::collections::BTreeMap;
use std::fmt::Write;

/// How deep arrays and maps may lie in each other; the host lets no more than 64 through.
const MAX_DEPTH: u32 = 100;

/// Appends a floating point number.
pub(crate) fn write_double(number: f64, out: &mut String) {
    if number.is_nan() {
        out.push_str("NaN");
    } else if number.is_infinite() {
        out.push_str(if number > 0.0 { "Infinity" } else { "-Infinity" });
    } else {
        let size = number.abs();
        // Rust, too, prints the shortest digits that read back as the same number.
        let _ = if size != 0.0 && !(1e-6..1e21).contains(&size) {
            let text = format!("{number:e}");
            let exponent = if text.contains("e-") { "" } else { "+" };
            write!(out, "{}", text.replace('e', &format!("e{exponent}")))
        } else {
            write!(out, "{number}")
        };
    }
}

/// An encoded AnyValue as JSON; `None` if it can't be expressed, as with NaN, or is no valid message.
pub(crate) fn json(any_value: &[u8]) -> Option<String> {
    let mut out = String::new();
    write_json(any_value, MAX_DEPTH, &mut out)?;
    Some(out)
}

fn write_json(any_value: &[u8], depth: u32, out: &mut String) -> Option<()> {
    let depth = depth.checked_sub(1)?;
    // Of a oneof, the last field wins.
    let mut last = None;
    for field in Fields(any_value) {
        let (number, content) = field?;
        if (1..=7).contains(&number) {
            last = Some((number, content));
        }
    }
    match last {
        None => out.push_str("null"),
        Some((1, Content::Bytes(text))) => write_text(std::str::from_utf8(text).ok()?, out),
        Some((2, Content::Number(value))) => out.push_str(if value != 0 { "true" } else { "false" }),
        Some((3, Content::Number(value))) => write!(out, "{}", value as i64).ok()?,
        Some((4, Content::Number(bits))) => {
            let number = f64::from_bits(bits);
            if !number.is_finite() {
                return None;
            }
            write_double(number, out);
        }
        Some((5, Content::Bytes(array))) => write_array(array, depth, out)?,
        Some((6, Content::Bytes(map))) => write_map(map, depth, out)?,
        Some((7, Content::Bytes([]))) => out.push_str("null"),
        Some((7, Content::Bytes(bytes))) => write_base64(bytes, out),
        Some(_) => return None,
    }
    Some(())
}

fn write_array(array: &[u8], depth: u32, out: &mut String) -> Option<()> {
    out.push('[');
    for (i, element) in repeated(array).enumerate() {
        if i > 0 {
            out.push(',');
        }
        write_json(element?, depth, out)?;
    }
    out.push(']');
    Some(())
}

fn write_map(map: &[u8], depth: u32, out: &mut String) -> Option<()> {
    // Sorted, and of equal keys the last one counts.
    let mut members = BTreeMap::new();
    for member in repeated(map) {
        let (mut key, mut value): (&[u8], &[u8]) = (&[], &[]);
        for field in Fields(member?) {
            match field? {
                (1, Content::Bytes(text)) => key = text,
                (2, Content::Bytes(any_value)) => value = any_value,
                _ => {}
            }
        }
        members.insert(std::str::from_utf8(key).ok()?, value);
    }
    out.push('{');
    for (i, (key, value)) in members.into_iter().enumerate() {
        if i > 0 {
            out.push(',');
        }
        write_text(key, out);
        out.push(':');
        write_json(value, depth, out)?;
    }
    out.push('}');
    Some(())
}

fn write_text(text: &str, out: &mut String) {
    out.push('"');
    for character in text.chars() {
        let _ = match character {
            '"' => write!(out, "\\\""),
            '\\' => write!(out, "\\\\"),
            '\u{8}' => write!(out, "\\b"),
            '\u{c}' => write!(out, "\\f"),
            '\n' => write!(out, "\\n"),
            '\r' => write!(out, "\\r"),
            '\t' => write!(out, "\\t"),
            // The two line separators would end a line in JavaScript.
            '\0'..='\u{1f}' | '\u{2028}' | '\u{2029}' => write!(out, "\\u{:04x}", character as u32),
            _ => {
                out.push(character);
                Ok(())
            }
        };
    }
    out.push('"');
}

fn write_base64(bytes: &[u8], out: &mut String) {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    out.push('"');
    for chunk in bytes.chunks(3) {
        let [a, b, c] = [chunk[0], chunk.get(1).copied().unwrap_or(0), chunk.get(2).copied().unwrap_or(0)];
        let bits = u32::from_be_bytes([0, a, b, c]);
        for digit in 0..4 {
            let place = (bits >> (18 - 6 * digit) & 63) as usize;
            out.push(if digit <= chunk.len() { char::from(DIGITS[place]) } else { '=' });
        }
    }
    out.push('"');
}

/// The messages in field 1 of a list.
fn repeated(list: &[u8]) -> impl Iterator<Item = Option<&[u8]>> {
    Fields(list).filter_map(|field| match field {
        Some((1, Content::Bytes(message))) => Some(Some(message)),
        Some(_) => None,
        None => Some(None),
    })
}

/// The fields of an encoded protobuf message; `None` where it can't be read on.
struct Fields<'a>(&'a [u8]);

enum Content<'a> {
    Number(u64),
    Bytes(&'a [u8]),
}

impl<'a> Iterator for Fields<'a> {
    type Item = Option<(u64, Content<'a>)>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let field = self.read();
        if field.is_none() {
            self.0 = &[];
        }
        Some(field)
    }
}

impl<'a> Fields<'a> {
    fn read(&mut self) -> Option<(u64, Content<'a>)> {
        let tag = self.varint()?;
        let content = match tag & 7 {
            0 => Content::Number(self.varint()?),
            1 => Content::Number(u64::from_le_bytes(self.take(8)?.try_into().ok()?)),
            2 => {
                let length = usize::try_from(self.varint()?).ok()?;
                Content::Bytes(self.take(length)?)
            }
            5 => Content::Number(u64::from(u32::from_le_bytes(self.take(4)?.try_into().ok()?))),
            _ => return None,
        };
        Some((tag >> 3, content))
    }

    fn varint(&mut self) -> Option<u64> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let [byte] = *self.take(1)? else { return None };
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Some(value);
            }
        }
        None
    }

    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }
}

#[cfg(test)]
mod tests;
