//! Appends JSON to a buffer, field by field, without the fields that have their default.

use std::io::Write;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

/// An object that is being written.
pub(super) struct Object<'a> {
    out: &'a mut Vec<u8>,
    empty: bool,
}

impl Object<'_> {
    /// Writes an object.
    pub(super) fn write(out: &mut Vec<u8>, fields: impl FnOnce(&mut Object<'_>)) {
        out.push(b'{');
        let mut object = Object { out, empty: true };
        fields(&mut object);
        object.out.push(b'}');
    }

    /// A text, unless it is empty.
    pub(super) fn text(&mut self, key: &str, text: &str) {
        if !text.is_empty() {
            self.present_text(key, text);
        }
    }

    /// A text, even an empty one.
    pub(super) fn present_text(&mut self, key: &str, text: &str) {
        self.key(key);
        string(self.out, text);
    }

    /// An id in hex, unless it is empty.
    pub(super) fn hex(&mut self, key: &str, id: &[u8]) {
        if !id.is_empty() {
            self.key(key);
            quoted(self.out, &hex::encode(id));
        }
    }

    /// Bytes in base64.
    pub(super) fn base64(&mut self, key: &str, bytes: &[u8]) {
        self.key(key);
        quoted(self.out, &BASE64.encode(bytes));
    }

    /// A boolean, even a false one.
    pub(super) fn present_boolean(&mut self, key: &str, value: bool) {
        self.key(key);
        self.out.extend_from_slice(if value { b"true" } else { b"false" });
    }

    /// A 32-bit number, unless it is zero.
    pub(super) fn number(&mut self, key: &str, number: impl Into<i64>) {
        let number = number.into();
        if number != 0 {
            self.key(key);
            // Writing to memory does not fail.
            let _ = write!(self.out, "{number}");
        }
    }

    /// A 64-bit number as text, unless it is zero.
    pub(super) fn long(&mut self, key: &str, number: u64) {
        if number != 0 {
            self.key(key);
            let _ = write!(self.out, "\"{number}\"");
        }
    }

    /// A signed 64-bit number as text, even zero.
    pub(super) fn present_integer(&mut self, key: &str, number: i64) {
        self.key(key);
        let _ = write!(self.out, "\"{number}\"");
    }

    /// A floating point number, unless it is zero.
    pub(super) fn double(&mut self, key: &str, number: f64) {
        // Minus zero is not the default.
        if number.to_bits() != 0 {
            self.present_double(key, number);
        }
    }

    /// A floating point number, even zero.
    pub(super) fn present_double(&mut self, key: &str, number: f64) {
        self.key(key);
        double(self.out, number);
    }

    /// 64-bit numbers as texts, unless there are none.
    pub(super) fn longs(&mut self, key: &str, numbers: impl Iterator<Item = u64>) {
        self.list(key, numbers, |out, number| {
            let _ = write!(out, "\"{number}\"");
        });
    }

    /// Floating point numbers, unless there are none.
    pub(super) fn doubles(&mut self, key: &str, numbers: impl Iterator<Item = f64>) {
        self.list(key, numbers, double);
    }

    /// Texts, unless there are none.
    pub(super) fn texts<'t>(&mut self, key: &str, texts: impl Iterator<Item = &'t str>) {
        self.list(key, texts, string);
    }

    /// An object, even without fields.
    pub(super) fn object(&mut self, key: &str, fields: impl FnOnce(&mut Object<'_>)) {
        self.key(key);
        Object::write(self.out, fields);
    }

    /// Objects, unless there are none.
    pub(super) fn each<T>(
        &mut self,
        key: &str,
        items: impl Iterator<Item = T>,
        mut fields: impl FnMut(&mut Object<'_>, T),
    ) {
        self.list(key, items, |out, item| Object::write(out, |object| fields(object, item)));
    }

    /// Objects, even if there are none.
    pub(super) fn present_each<T>(
        &mut self,
        key: &str,
        items: impl Iterator<Item = T>,
        mut fields: impl FnMut(&mut Object<'_>, T),
    ) {
        self.key(key);
        list(self.out, items, |out, item| Object::write(out, |object| fields(object, item)));
    }

    fn list<T>(&mut self, key: &str, items: impl Iterator<Item = T>, write: impl FnMut(&mut Vec<u8>, T)) {
        let mut items = items.peekable();
        if items.peek().is_some() {
            self.key(key);
            list(self.out, items, write);
        }
    }

    fn key(&mut self, key: &str) {
        if !self.empty {
            self.out.push(b',');
        }
        self.empty = false;
        quoted(self.out, key);
        self.out.push(b':');
    }
}

fn list<T>(out: &mut Vec<u8>, items: impl Iterator<Item = T>, mut write: impl FnMut(&mut Vec<u8>, T)) {
    out.push(b'[');
    for (index, item) in items.enumerate() {
        if index > 0 {
            out.push(b',');
        }
        write(out, item);
    }
    out.push(b']');
}

/// A text that needs no escapes.
fn quoted(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    out.extend_from_slice(text.as_bytes());
    out.push(b'"');
}

/// A text.
pub(super) fn string(out: &mut Vec<u8>, text: &str) {
    // A text in memory can always be written.
    let _ = serde_json::to_writer(out, text);
}

/// A number; those that JSON does not have are written as Protobuf's mapping does.
fn double(out: &mut Vec<u8>, number: f64) {
    match number {
        _ if number.is_nan() => out.extend_from_slice(b"\"NaN\""),
        f64::INFINITY => out.extend_from_slice(b"\"Infinity\""),
        f64::NEG_INFINITY => out.extend_from_slice(b"\"-Infinity\""),
        _ => drop(serde_json::to_writer(out, &number)),
    }
}
