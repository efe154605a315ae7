//! JSON, written straight into the request: no tree, no allocation per value.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};

use sluice_wire::view::{KeyValue, Value};

/// Appends JSON to a buffer. The caller keeps the structure right: `key` and `value` alternate within objects.
pub(super) struct Json<'a> {
    out: &'a mut Vec<u8>,
    /// Whether the next member needs a comma before it.
    comma: bool,
}

impl<'a> Json<'a> {
    /// Appends to this.
    pub(super) fn new(out: &'a mut Vec<u8>) -> Self {
        Self { out, comma: false }
    }

    /// `{`
    pub(super) fn begin_object(&mut self) {
        self.separate();
        self.out.push(b'{');
        self.comma = false;
    }

    /// `}`
    pub(super) fn end_object(&mut self) {
        self.out.push(b'}');
        self.comma = true;
    }

    /// `[`
    pub(super) fn begin_array(&mut self) {
        self.separate();
        self.out.push(b'[');
        self.comma = false;
    }

    /// `]`
    pub(super) fn end_array(&mut self) {
        self.out.push(b']');
        self.comma = true;
    }

    /// A member's name.
    pub(super) fn key(&mut self, key: &str) {
        self.separate();
        quote(self.out, key);
        self.out.push(b':');
        self.comma = false;
    }

    /// Leaves out a value, and says where.
    pub(super) fn gap(&mut self) -> usize {
        self.comma = true;
        self.out.len()
    }

    /// JSON that ends where a value begins; if it is not the first piece, it has the comma that it needs.
    pub(super) fn piece(&mut self, json: &[u8], is_first: bool) {
        if is_first {
            self.separate();
        }
        self.out.extend_from_slice(json);
        self.comma = false;
    }

    /// The end of JSON in pieces.
    pub(super) fn raw_end(&mut self, json: &[u8]) {
        self.out.extend_from_slice(json);
        self.comma = true;
    }

    /// A text.
    pub(super) fn text(&mut self, text: &str) {
        self.separate();
        quote(self.out, text);
        self.comma = true;
    }

    /// Bytes as hexadecimal text.
    pub(super) fn hex(&mut self, bytes: &[u8]) {
        self.separate();
        self.out.push(b'"');
        put_hex(self.out, bytes);
        self.out.push(b'"');
        self.comma = true;
    }

    /// A whole number.
    pub(super) fn integer(&mut self, number: i64) {
        self.separate();
        put_integer(self.out, number);
        self.comma = true;
    }

    /// A whole number that is not negative.
    pub(super) fn unsigned(&mut self, number: u64) {
        self.separate();
        put_unsigned(self.out, number);
        self.comma = true;
    }

    /// A number; JSON has no infinities, so these are text. A whole one has `.0`: the destination guesses types by the
    /// first document, and would cut the fractions off all later ones of an integer.
    pub(super) fn double(&mut self, number: f64) {
        if !number.is_finite() {
            return self.text(&sluice_wire::go_json::double(number));
        }
        self.separate();
        let text = sluice_wire::go_json::double(number);
        self.out.extend_from_slice(text.as_bytes());
        if !text.contains(['.', 'e']) {
            self.out.extend_from_slice(b".0");
        }
        self.comma = true;
    }

    /// A value, or members with a comma between two, that are JSON already.
    pub(super) fn raw(&mut self, json: &[u8]) {
        self.separate();
        self.out.extend_from_slice(json);
        self.comma = true;
    }

    /// `true` or `false`.
    pub(super) fn boolean(&mut self, value: bool) {
        self.separate();
        self.out.extend_from_slice(if value { b"true" } else { b"false" });
        self.comma = true;
    }

    /// `null`
    pub(super) fn null(&mut self) {
        self.separate();
        self.out.extend_from_slice(b"null");
        self.comma = true;
    }

    /// Nanoseconds since the epoch as RFC 3339 text in UTC, without trailing zeros in the fraction.
    pub(super) fn time(&mut self, nanos: u64) {
        self.separate();
        self.out.push(b'"');
        put_time(self.out, nanos);
        self.out.push(b'"');
        self.comma = true;
    }

    /// Any attribute value.
    pub(super) fn value(&mut self, value: Value<'_>) {
        match value {
            Value::Empty => self.null(),
            Value::Text(text) => self.text(text),
            Value::Boolean(value) => self.boolean(value),
            Value::Integer(number) => self.integer(number),
            Value::Double(number) => self.double(number),
            Value::Bytes(_) => self.text(&value.as_string()),
            Value::Array(array) => {
                self.begin_array();
                array.iter().for_each(|member| self.value(member));
                self.end_array();
            }
            Value::Map(map) => {
                self.begin_object();
                self.members(map.iter());
                self.end_object();
            }
        }
    }

    /// Attributes as members of the object that is open. OpenSearch refuses a name that stands twice, so of several
    /// with one key the last is written.
    pub(super) fn members<'b>(&mut self, attributes: impl Iterator<Item = KeyValue<'b>>) {
        self.pairs(attributes.map(|attribute| (attribute.key(), attribute.value())));
    }

    /// The same for pairs of key and value.
    pub(super) fn pairs<'b>(&mut self, pairs: impl Iterator<Item = (&'b str, Value<'b>)>) {
        for (key, value) in settled(pairs, |value| matches!(value, Value::Map(_))) {
            self.key(&key);
            self.value(value);
        }
    }

    fn separate(&mut self) {
        if self.comma {
            self.out.push(b',');
        }
    }
}

/// Attributes as OpenSearch takes them in one object. Of several with one key the last stays. Dots in names make objects
/// there, and a name can't be a value and an object at a time: where there are `tenant` and `tenant.id`, and `tenant` is
/// no object, it becomes `tenant.value`, or the next of `tenant.value2` and so on that is free.
pub(super) fn settled<'a, T>(
    attributes: impl Iterator<Item = (&'a str, T)>,
    is_object: impl Fn(&T) -> bool,
) -> Vec<(Cow<'a, str>, T)> {
    let pairs = last_of_each(attributes);
    let sorted = (pairs.len() > FEW).then(|| {
        let mut names: Vec<&str> = pairs.iter().map(|(key, _)| *key).collect();
        names.sort_unstable();
        names
    });
    let is_member = |key: &str, name: &str| key.strip_prefix(name).is_some_and(|rest| rest.starts_with('.'));
    let has_members = |name: &str| match &sorted {
        None => pairs.iter().any(|(key, _)| is_member(key, name)),
        Some(names) => {
            let first = names.partition_point(|key| is_before_members(key, name));
            names.get(first).is_some_and(|key| is_member(key, name))
        }
    };
    let is_there = |name: &str| match &sorted {
        None => pairs.iter().any(|(key, _)| *key == name),
        Some(names) => names.binary_search(&name).is_ok(),
    };
    let is_both = |(key, value): &&(&'a str, T)| !is_object(value) && has_members(key);
    let renamed = |name: &str| value_names(name).find(|new| !is_there(new) && !has_members(new));
    let new: HashMap<&str, String> =
        pairs.iter().filter(is_both).filter_map(|(key, _)| Some((*key, renamed(key)?))).collect();
    let rename = |(key, value): (&'a str, T)| match new.get(key) {
        Some(new) => (Cow::Owned(new.clone()), value),
        None => (Cow::Borrowed(key), value),
    };
    pairs.into_iter().map(rename).collect()
}

/// What a value can be called in the object that its name stands for: `value`, `value2` and so on.
pub(super) fn value_names(name: &str) -> impl Iterator<Item = String> {
    let numbers = (2_usize..).map(move |number| format!("{name}.value{number}"));
    std::iter::once(format!("{name}.value")).chain(numbers)
}

/// Whether a name comes before those that begin with `object` and a dot.
pub(super) fn is_before_members(name: &str, object: &str) -> bool {
    let (name, object) = (name.as_bytes(), object.as_bytes());
    match name.split_at_checked(object.len()) {
        Some((head, rest)) => (head, rest.first()) < (object, Some(&b'.')),
        None => name < object,
    }
}

/// Attributes without those whose key comes again later.
fn last_of_each<'a, T>(attributes: impl Iterator<Item = (&'a str, T)>) -> Vec<(&'a str, T)> {
    let mut pairs: Vec<_> = attributes.collect();
    if pairs.len() <= FEW {
        let is_last = |i: usize| pairs[i + 1..].iter().all(|(later, _)| *later != pairs[i].0);
        let keep: Vec<bool> = (0..pairs.len()).map(is_last).collect();
        let mut keep = keep.into_iter();
        pairs.retain(|_| keep.next().unwrap_or(true));
    } else {
        let mut seen = HashSet::with_capacity(pairs.len());
        pairs.reverse();
        pairs.retain(|(key, _)| seen.insert(*key));
        pairs.reverse();
    }
    pairs
}

/// So many keys are faster compared one by one than put into a set.
const FEW: usize = 24;

/// Two digits for every number below 100.
const PAIRS: &[u8; 200] =
    b"0001020304050607080910111213141516171819202122232425262728293031323334353637383940414243444546474849\
5051525354555657585960616263646566676869707172737475767778798081828384858687888990919293949596979899";

fn put_unsigned(out: &mut Vec<u8>, mut number: u64) {
    let mut digits = [0u8; 20];
    let mut at = digits.len();
    while number >= 100 {
        let pair = (number % 100) as usize * 2;
        number /= 100;
        at -= 2;
        digits[at..at + 2].copy_from_slice(&PAIRS[pair..pair + 2]);
    }
    if number >= 10 {
        let pair = number as usize * 2;
        at -= 2;
        digits[at..at + 2].copy_from_slice(&PAIRS[pair..pair + 2]);
    } else {
        at -= 1;
        digits[at] = b'0' + number as u8;
    }
    out.extend_from_slice(&digits[at..]);
}

fn put_integer(out: &mut Vec<u8>, number: i64) {
    if number < 0 {
        out.push(b'-');
    }
    put_unsigned(out, number.unsigned_abs());
}

/// Appends lower-case hexadecimal digits.
pub(super) fn put_hex(out: &mut Vec<u8>, bytes: &[u8]) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    for byte in bytes {
        out.extend_from_slice(&[DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]]);
    }
}

/// A day of the civil calendar, from days since the epoch (Howard Hinnant, "chrono-compatible low-level date
/// algorithms").
pub(super) fn civil(days: u64) -> (u64, u64, u64) {
    let shifted = days + 719_468;
    let era = shifted / 146_097;
    let day_of_era = shifted % 146_097;
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (year_of_era + era * 400 + u64::from(month <= 2), month, day)
}

fn put_pair(out: &mut Vec<u8>, number: u64) {
    let at = (number as usize % 100) * 2;
    out.extend_from_slice(&PAIRS[at..at + 2]);
}

fn put_time(out: &mut Vec<u8>, nanos: u64) {
    let (seconds, fraction) = (nanos / 1_000_000_000, nanos % 1_000_000_000);
    let (year, month, day) = civil(seconds / 86_400);
    put_pair(out, year / 100);
    put_pair(out, year % 100);
    for (mark, number) in [(b'-', month), (b'-', day), (b'T', seconds / 3600 % 24), (b':', seconds / 60 % 60)] {
        out.push(mark);
        put_pair(out, number);
    }
    out.push(b':');
    put_pair(out, seconds % 60);
    if fraction > 0 {
        out.push(b'.');
        let mut scale = 100_000_000;
        let mut rest = fraction;
        while rest > 0 {
            out.push(b'0' + (rest / scale) as u8);
            rest %= scale;
            scale /= 10;
        }
    }
    out.push(b'Z');
}

/// Appends a quoted text. Stretches that need no escape are copied whole.
fn quote(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    let bytes = text.as_bytes();
    let mut from = 0;
    while let Some(at) = next_escape(bytes, from) {
        out.extend_from_slice(&bytes[from..at]);
        escape(out, bytes[at]);
        from = at + 1;
    }
    out.extend_from_slice(&bytes[from..]);
    out.push(b'"');
}

/// Where the next byte is that needs an escape: eight bytes at a time, as nearly all need none.
fn next_escape(bytes: &[u8], mut from: usize) -> Option<usize> {
    while let Some(word) = bytes[from..].first_chunk::<8>() {
        if has_escape(u64::from_le_bytes(*word)) {
            break;
        }
        from += 8;
    }
    bytes[from..].iter().position(|byte| ESCAPES[usize::from(*byte)]).map(|length| from + length)
}

/// Whether any of eight bytes needs an escape. Subtracting from each byte borrows into its highest bit exactly if some
/// byte is smaller (Sean Eron Anderson, "Bit Twiddling Hacks").
fn has_escape(word: u64) -> bool {
    const ONES: u64 = 0x0101_0101_0101_0101;
    let has_less = |word: u64, than: u64| word.wrapping_sub(ONES * than) & !word & (ONES << 7) != 0;
    let has = |byte: u8| has_less(word ^ (ONES * u64::from(byte)), 1);
    has_less(word, 0x20) || has(b'"') || has(b'\\')
}

/// Bytes that can't stand in a JSON text as they are.
const ESCAPES: [bool; 256] = {
    let mut escapes = [false; 256];
    let mut byte = 0;
    while byte < 0x20 {
        escapes[byte] = true;
        byte += 1;
    }
    escapes[b'"' as usize] = true;
    escapes[b'\\' as usize] = true;
    escapes
};

fn escape(out: &mut Vec<u8>, byte: u8) {
    let short = match byte {
        b'"' => b'"',
        b'\\' => b'\\',
        b'\n' => b'n',
        b'\r' => b'r',
        b'\t' => b't',
        _ => {
            out.extend_from_slice(b"\\u00");
            return put_hex(out, &[byte]);
        }
    };
    out.extend_from_slice(&[b'\\', short]);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn written(write: impl FnOnce(&mut Json<'_>)) -> String {
        let mut out = Vec::new();
        write(&mut Json::new(&mut out));
        String::from_utf8(out).expect("UTF-8")
    }

    #[test]
    fn writes_times_as_rfc_3339() {
        let cases = [
            (0, "\"1970-01-01T00:00:00Z\""),
            (951_782_400_000_000_001, "\"2000-02-29T00:00:00.000000001Z\""),
            (1_485_467_191_639_875_000, "\"2017-01-26T21:46:31.639875Z\""),
            (4_102_444_799_999_999_999, "\"2099-12-31T23:59:59.999999999Z\""),
        ];
        for (nanos, expected) in cases {
            assert_eq!(written(|json| json.time(nanos)), expected);
        }
    }

    #[test]
    fn finds_what_needs_an_escape_wherever_it_stands() {
        for length in 0..30 {
            for byte in 0..=255u8 {
                for at in 0..length {
                    let mut bytes = vec![b'a'; length];
                    bytes[at] = byte;
                    assert_eq!(next_escape(&bytes, 0), ESCAPES[usize::from(byte)].then_some(at), "{byte} at {at}");
                }
            }
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back_the_same(
            text in ".*", number in any::<i64>(), unsigned in any::<u64>(), double in -1e300..1e300f64, flag in any::<bool>(),
        ) {
            let json = written(|json| {
                json.begin_array();
                json.text(&text);
                json.integer(number);
                json.unsigned(unsigned);
                json.double(double);
                json.boolean(flag);
                json.begin_object();
                json.key(&text);
                json.null();
                json.end_object();
                json.end_array();
            });
            let read: serde_json::Value = serde_json::from_str(&json).expect("JSON");
            prop_assert_eq!(&read[0], &serde_json::json!(text));
            prop_assert_eq!(&read[1], &serde_json::json!(number));
            prop_assert_eq!(&read[2], &serde_json::json!(unsigned));
            prop_assert_eq!(read[3].as_f64(), Some(double));
            prop_assert_eq!(&read[4], &serde_json::json!(flag));
            prop_assert_eq!(&read[5], &serde_json::json!({ text: null }));
        }

        #[test]
        fn times_are_those_of_a_calendar_library(nanos in 0..4_102_444_800_000_000_000u64) {
            let json = written(|json| json.time(nanos));
            let time: jiff::Timestamp = json.trim_matches('"').parse().expect("a time");
            prop_assert_eq!(time.as_nanosecond(), i128::from(nanos));
        }
    }
}
