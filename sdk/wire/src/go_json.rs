//! Values as text, the way the Collector writes them: `AsString` of its pdata (`pcommon/value.go`), and the JSON of the
//! two encoders that it uses.

use alloc::borrow::Cow;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt::Write;

use crate::view::Value;

/// Whose JSON it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoder {
    /// Go's `encoding/json` that is told not to escape for HTML, as in `AsString`.
    Standard,
    /// `github.com/goccy/go-json`, as in functions of OTTL: escapes for HTML, knows no `\b` and `\f`, and writes
    /// exponents with two digits at least.
    Goccy,
}

/// JSON in the making. The caller writes one value; those within arrays and maps are written by what it passes.
#[derive(Clone, Debug)]
pub struct Json {
    out: String,
    encoder: Encoder,
    is_exact: bool,
}

impl Json {
    /// Nothing yet.
    pub fn new(encoder: Encoder) -> Self {
        Self { out: String::new(), encoder, is_exact: true }
    }

    /// The JSON. NaN and infinities, which JSON does not have, are in it as text.
    pub fn finish(self) -> String {
        self.out
    }

    /// The JSON, unless there is NaN or an infinity in it: Go's encoders fail at these.
    pub fn exact(self) -> Option<String> {
        self.is_exact.then_some(self.out)
    }

    /// Any attribute value. Nesting ends at what [`validate`](crate::validate()) lets through, and so does the
    /// recursion.
    pub fn value(&mut self, value: Value<'_>) {
        match value {
            Value::Empty => self.null(),
            Value::Text(text) => self.text(text),
            Value::Boolean(value) => self.boolean(value),
            Value::Integer(number) => self.integer(number),
            Value::Double(number) => self.double(number),
            Value::Bytes(bytes) => self.bytes(bytes),
            Value::Array(array) => self.array(array, Self::value),
            Value::Map(map) => self.map(map.iter().map(|member| (member.key(), member.value())), Self::value),
        }
    }

    /// `null`
    pub fn null(&mut self) {
        self.out.push_str("null");
    }

    /// `true` or `false`.
    pub fn boolean(&mut self, value: bool) {
        self.out.push_str(if value { "true" } else { "false" });
    }

    /// A whole number.
    pub fn integer(&mut self, number: i64) {
        let _ = write!(self.out, "{number}");
    }

    /// A number.
    pub fn double(&mut self, number: f64) {
        if number.is_finite() {
            return write_double(&mut self.out, number, self.encoder);
        }
        self.is_exact = false;
        self.text(&double(number));
    }

    /// A text.
    pub fn text(&mut self, text: &str) {
        self.out.push('"');
        for character in text.chars() {
            match character {
                '"' | '\\' => self.out.extend(['\\', character]),
                '\n' => self.out.push_str("\\n"),
                '\r' => self.out.push_str("\\r"),
                '\t' => self.out.push_str("\\t"),
                '\u{8}' if self.encoder == Encoder::Standard => self.out.push_str("\\b"),
                '\u{c}' if self.encoder == Encoder::Standard => self.out.push_str("\\f"),
                '<' | '>' | '&' if self.encoder == Encoder::Standard => self.out.push(character),
                // The two line separators would end a line in JavaScript.
                '\0'..='\u{1f}' | '<' | '>' | '&' | '\u{2028}' | '\u{2029}' => {
                    let _ = write!(self.out, "\\u{:04x}", u32::from(character));
                }
                _ => self.out.push(character),
            }
        }
        self.out.push('"');
    }

    /// Bytes as text in base64. Empty ones are `null`: the Collector copies them into a slice that is nil then.
    pub fn bytes(&mut self, bytes: &[u8]) {
        match bytes {
            [] => self.null(),
            _ => self.text(&base64(bytes)),
        }
    }

    /// An array.
    pub fn array<T>(&mut self, elements: impl IntoIterator<Item = T>, write: impl FnMut(&mut Self, T)) {
        self.separated(['[', ']'], elements, write);
    }

    /// A map: members by their keys; of several with one key the last counts, as in a map of Go.
    pub fn map<'a, T>(&mut self, members: impl Iterator<Item = (&'a str, T)>, write: impl FnMut(&mut Self, T)) {
        let mut members: Vec<_> = members.collect();
        members.reverse();
        members.sort_by_key(|(key, _)| *key);
        members.dedup_by_key(|(key, _)| *key);
        self.members(members, write);
    }

    /// A map of these members as they come.
    pub fn members<'a, T>(
        &mut self,
        members: impl IntoIterator<Item = (&'a str, T)>,
        mut write: impl FnMut(&mut Self, T),
    ) {
        self.separated(['{', '}'], members, |json, (key, value)| {
            json.text(key);
            json.out.push(':');
            write(json, value);
        });
    }

    fn separated<T>(
        &mut self,
        [begin, end]: [char; 2],
        parts: impl IntoIterator<Item = T>,
        mut write: impl FnMut(&mut Self, T),
    ) {
        self.out.push(begin);
        for (index, part) in parts.into_iter().enumerate() {
            if index > 0 {
                self.out.push(',');
            }
            write(self, part);
        }
        self.out.push(end);
    }
}

impl<'a> Value<'a> {
    /// The text form of the value: text as it is, numbers as Go's JSON encoder writes them, bytes in base64, arrays and
    /// maps as JSON with sorted keys. Empty values are empty. `AsString` has nothing for an array with NaN in it; this
    /// has the number as text, which at least tells what was there.
    pub fn as_string(&self) -> Cow<'a, str> {
        match *self {
            Value::Empty => Cow::Borrowed(""),
            Value::Text(text) => Cow::Borrowed(text),
            Value::Boolean(value) => Cow::Borrowed(if value { "true" } else { "false" }),
            Value::Integer(number) => Cow::Owned(number.to_string()),
            Value::Double(number) => Cow::Owned(double(number)),
            Value::Bytes(bytes) => Cow::Owned(base64(bytes)),
            Value::Array(_) | Value::Map(_) => {
                let mut json = Json::new(Encoder::Standard);
                json.value(*self);
                Cow::Owned(json.finish())
            }
        }
    }
}

/// A double as `AsString` has it: without an exponent between 1e-6 and 1e21, and never with `.0`. What JSON does not
/// have is `NaN`, `Infinity` or `-Infinity`.
pub fn double(number: f64) -> String {
    let mut text = String::new();
    match number {
        f64::INFINITY => text.push_str("Infinity"),
        f64::NEG_INFINITY => text.push_str("-Infinity"),
        _ => write_double(&mut text, number, Encoder::Standard),
    }
    text
}

/// Rust, too, prints the shortest digits that read back as the same number, but exponents without a plus.
fn write_double(out: &mut String, number: f64, encoder: Encoder) {
    let size = number.abs();
    if size == 0.0 || number.is_nan() || (1e-6..1e21).contains(&size) {
        let _ = write!(out, "{number}");
        return;
    }
    let text = format!("{number:e}");
    let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let (sign, exponent) = exponent.strip_prefix('-').map_or(('+', exponent), |exponent| ('-', exponent));
    let width = if encoder == Encoder::Goccy { 2 } else { 1 };
    let _ = write!(out, "{digits}e{sign}{exponent:0>width$}");
}

/// Bytes in base64, with padding (RFC 4648, section 4).
pub fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let byte = |i: usize| u32::from(chunk.get(i).copied().unwrap_or(0));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for digit in 0..4 {
            let place = (bits >> (18 - 6 * digit) & 63) as usize;
            text.push(if digit <= chunk.len() { char::from(DIGITS[place]) } else { '=' });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn json(encoder: Encoder, write: impl FnOnce(&mut Json)) -> Json {
        let mut json = Json::new(encoder);
        write(&mut json);
        json
    }

    #[test]
    fn writes_doubles_as_gos_encoders_do() {
        for (number, standard, goccy) in [
            (0.0, "0", "0"),
            (-0.0, "-0", "-0"),
            (-1.5, "-1.5", "-1.5"),
            (4_111_111_111_111_111.0, "4111111111111111", "4111111111111111"),
            (1e20, "100000000000000000000", "100000000000000000000"),
            (1e21, "1e+21", "1e+21"),
            (1e-6, "0.000001", "0.000001"),
            (-1.5e-7, "-1.5e-7", "-1.5e-07"),
            (1e-10, "1e-10", "1e-10"),
            (5e-324, "5e-324", "5e-324"),
            (f64::MAX, "1.7976931348623157e+308", "1.7976931348623157e+308"),
            (f64::NAN, "NaN", "\"NaN\""),
            (f64::INFINITY, "Infinity", "\"Infinity\""),
            (f64::NEG_INFINITY, "-Infinity", "\"-Infinity\""),
        ] {
            let inside = json(Encoder::Goccy, |json| json.double(number));
            assert_eq!((double(number).as_str(), inside.clone().finish().as_str()), (standard, goccy));
            assert_eq!(inside.exact().is_some(), number.is_finite());
        }
    }

    #[test]
    fn escapes_texts_as_gos_encoders_do() {
        let text = "a\"\\\n\r\t\u{8}\u{c}\u{1}<>&é\u{2028}\u{7f}";
        for (encoder, expected) in [
            (Encoder::Standard, "\"a\\\"\\\\\\n\\r\\t\\b\\f\\u0001<>&é\\u2028\u{7f}\""),
            (Encoder::Goccy, "\"a\\\"\\\\\\n\\r\\t\\u0008\\u000c\\u0001\\u003c\\u003e\\u0026é\\u2028\u{7f}\""),
        ] {
            assert_eq!(json(encoder, |json| json.text(text)).finish(), expected);
        }
    }

    #[test]
    fn writes_bytes_in_base64() {
        let cases: [(&[u8], _); 5] =
            [(b"", ""), (b"a", "YQ=="), (b"ab", "YWI="), (b"abc", "YWJj"), (b"\xff\xfe", "//4=")];
        for (bytes, expected) in cases {
            assert_eq!(base64(bytes), expected);
        }
    }

    #[test]
    fn writes_values_alone_and_inside() {
        for (value, alone, inside) in [
            (Value::Empty, "", "null"),
            (Value::Text("<a>"), "<a>", "\"<a>\""),
            (Value::Boolean(true), "true", "true"),
            (Value::Integer(-1), "-1", "-1"),
            (Value::Double(2.0), "2", "2"),
            (Value::Bytes(b""), "", "null"),
            (Value::Bytes(b"a"), "YQ==", "\"YQ==\""),
        ] {
            let json = json(Encoder::Standard, |json| json.value(value));
            assert_eq!((&*value.as_string(), json.finish().as_str()), (alone, inside));
        }
    }

    #[test]
    fn sorts_members_and_takes_the_last_of_a_key() {
        let any = |tag: u8, content: &[u8]| [&[tag, content.len() as u8], content].concat();
        let member = |key: &str, value: &[u8]| any(0x0a, &[any(0x0a, key.as_bytes()), any(0x12, value)].concat());
        let array = any(0x2a, &any(0x0a, &[0x10, 1]));
        let members = [member("b", &[0x18, 1]), member("c", &array), member("a", &[]), member("b", &[0x18, 2])];
        let map = any(0x32, &members.concat());
        assert_eq!(Value::from(map.as_slice()).as_string(), r#"{"a":null,"b":2,"c":[true]}"#);
        let given = json(Encoder::Standard, |json| json.members([("b", 1), ("a", 2), ("b", 3)], Json::integer));
        assert_eq!(given.finish(), r#"{"b":1,"a":2,"b":3}"#);
    }
}
