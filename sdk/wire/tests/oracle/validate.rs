//! `validate` accepts what prost decodes, refuses what it refuses, and counts what is in the tree.

use proptest::prelude::*;
use sluice_wire::{Level, MAX_VALUE_NESTING, Reason, Signal, Summary, WireError, validate};

use crate::dice::{Dice, cases, seeds};
use crate::generate::{Holds, Message, REMOVED, fields, request, varint};
use crate::tree::{SIGNALS, Tree};

fn summary(tree: &mut Tree) -> Summary {
    Summary {
        resources: tree.count(Level::Resource) as u32,
        scopes: tree.count(Level::Scope) as u32,
        metrics: tree.count(Level::Metric) as u32,
        records: tree.count(Level::Record) as u32,
        second_value: None,
    }
}

/// What is found, without what a tree does not tell: how its values were written.
fn counted(signal: Signal, bytes: &[u8]) -> Result<Summary, WireError> {
    validate(signal, bytes).map(|found| Summary { second_value: None, ..found })
}

proptest! {
    #![proptest_config(cases(200))]

    #[test]
    fn accepts_and_counts_what_prost_decodes((seed, size) in seeds(), odd: bool) {
        for signal in SIGNALS {
            let bytes = request(signal, seed, size, odd);
            let mut tree = Tree::decode(signal, &bytes).unwrap();
            prop_assert_eq!(counted(signal, &bytes), Ok(summary(&mut tree)));
        }
    }

    #[test]
    fn agrees_with_prost_on_damaged_requests((seed, size) in seeds(), odd: bool, damage: u64) {
        for signal in SIGNALS {
            let mut bytes = request(signal, seed, size, odd);
            spoil(&mut bytes, damage);
            let decoded = Tree::decode(signal, &bytes);
            match counted(signal, &bytes) {
                Ok(found) => prop_assert_eq!(found, summary(&mut decoded.unwrap())),
                // prost has groups, and skips them wherever they are unknown, as what was removed; ids are bytes to it.
                Err(WireError { reason: Reason::Group | Reason::IdLength { .. } | Reason::Removed, .. }) => {}
                Err(error) => prop_assert!(decoded.is_err(), "{error}"),
            }
        }
    }

    #[test]
    fn agrees_with_prost_on_any_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..40)) {
        for signal in SIGNALS {
            if let Ok(found) = validate(signal, &bytes) {
                prop_assert_eq!(found, summary(&mut Tree::decode(signal, &bytes).unwrap()));
            }
        }
    }
}

/// Damages a request in a few places.
pub(crate) fn spoil(bytes: &mut Vec<u8>, damage: u64) {
    let mut dice = Dice::new(damage);
    for _ in 0..=dice.below(3) {
        if bytes.is_empty() {
            return;
        }
        let at = dice.below(bytes.len());
        match dice.below(5) {
            0 => bytes.truncate(at),
            1 => bytes[at] = dice.next() as u8,
            2 => bytes[at] ^= 1 << dice.below(8),
            3 => bytes.insert(at, dice.next() as u8),
            _ => {
                bytes.remove(at);
            }
        }
    }
}

fn refused(signal: Signal, bytes: &[u8]) -> WireError {
    assert!(Tree::decode(signal, bytes).is_err(), "prost accepts {bytes:02x?}");
    validate(signal, bytes).unwrap_err()
}

/// `content` in field `number`.
fn field(number: u32, content: &[u8]) -> Vec<u8> {
    [varint(u64::from(number << 3 | 2), 0), varint(content.len() as u64, 0), content.to_vec()].concat()
}

fn span(content: &[u8]) -> Vec<u8> {
    field(1, &field(2, &field(2, content)))
}

#[test]
fn says_where_and_why() {
    let cases: &[(Vec<u8>, usize, Reason)] = &[
        (vec![0x0a], 1, Reason::TruncatedVarint),
        (vec![0x0a, 5, 0], 1, Reason::PastEnd(5)),
        (vec![0x80], 0, Reason::TruncatedVarint),
        (span(&[0x30, 0x80]), 7, Reason::TruncatedVarint),
        (span(&[&[0x30][..], &[0xff; 10]].concat()), 7, Reason::OverlongVarint),
        (span(&[0x39, 1, 2]), 7, Reason::TruncatedNumber),
        (span(&[0x85, 1, 1, 2]), 8, Reason::TruncatedNumber),
        (span(&[0x2a, 3, 1]), 7, Reason::PastEnd(3)),
        (span(&[0x28, 1]), 6, Reason::WrongWireType { field: 5, wire_type: 0 }),
        (span(&[0x3a, 0]), 6, Reason::WrongWireType { field: 7, wire_type: 2 }),
        (span(&[0x82, 1, 0]), 6, Reason::WrongWireType { field: 16, wire_type: 2 }),
        (span(&[0x2a, 3, b'a', 0xff, b'b']), 9, Reason::NotUtf8),
        (span(&[0x2a, 2, b'a', 0xc3]), 9, Reason::NotUtf8),
        (span(&[0x1a, 9, b'a', b'b', b'c', b'd', b'e', b'f', b'g', b'h', 0x80]), 16, Reason::NotUtf8),
        (span(&[0x0e]), 6, Reason::UnknownWireType(6)),
        (span(&[0x07, 1]), 6, Reason::FieldZero),
        (span(&[0x02, 0]), 6, Reason::FieldZero),
        (span(&[0xfa, 0xff, 0xff, 0xff, 0x7f, 0]), 6, Reason::FieldOutOfRange),
    ];
    for (bytes, offset, reason) in cases {
        let error = refused(Signal::Traces, bytes);
        assert_eq!((error.offset, error.reason), (*offset, *reason), "{bytes:02x?}");
    }
    let error = refused(Signal::Traces, &[0x0a, 0xac, 2, 0]);
    assert_eq!(error.to_string(), "byte 1: length 300 runs past the end");
}

/// Where a message stands in a request: the fields that lead to it, each with the message that it is in.
#[derive(Clone)]
struct Place {
    signal: Signal,
    way: Vec<(Message, u32)>,
    message: Message,
}

impl Place {
    /// All places of a signal's messages. Values are followed once into another value.
    fn all(signal: Signal) -> Vec<Self> {
        let mut found = vec![Self { signal, way: Vec::new(), message: Message::Request(signal) }];
        let mut next = 0;
        while let Some(place) = found.get(next).cloned() {
            for (number, holds) in known_fields(place.message) {
                let (Holds::One(message) | Holds::Many(message)) = holds else { continue };
                if place.way.iter().filter(|(passed, _)| *passed == message).count() < 2 {
                    let way = [&place.way[..], &[(place.message, number)]].concat();
                    found.push(Self { signal, way, message });
                }
            }
            next += 1;
        }
        found
    }

    /// A request with this message in it. `neighbours` are pairs before and after each pair, and a key in each.
    fn request(&self, content: &[u8], neighbours: bool) -> Vec<u8> {
        let mut content = content.to_vec();
        for (message, number) in self.way.iter().rev() {
            let is_pair = *message != Message::Pair && known_message(*message, *number) == Some(Message::Pair);
            content = field(*number, &content);
            if neighbours && is_pair {
                let other = field(*number, &pair(b"other", &field(1, b"text")));
                content = [&other[..], &content, &other].concat();
            }
            if neighbours && *message == Message::Pair {
                content = [field(1, b"key"), content].concat();
            }
        }
        content
    }
}

/// Also the data of metrics, of which a metric has one.
fn known_fields(message: Message) -> Vec<(u32, Holds)> {
    let data = [
        (5, Message::Gauge),
        (7, Message::Sum),
        (9, Message::Histogram),
        (10, Message::Exponential),
        (11, Message::Summary),
    ];
    let data = data.into_iter().filter(|_| message == Message::Metric);
    fields(message).into_iter().chain(data.map(|(number, data)| (number, Holds::One(data)))).collect()
}

fn known_message(message: Message, number: u32) -> Option<Message> {
    known_fields(message).into_iter().find_map(|(found, holds)| match holds {
        Holds::One(message) | Holds::Many(message) if found == number => Some(message),
        _ => None,
    })
}

/// The wire types that a field may have.
fn wire_types(holds: Holds) -> &'static [u8] {
    match holds {
        Holds::Varint | Holds::Small | Holds::Truth => &[0],
        Holds::Fixed64 | Holds::Double => &[1],
        Holds::Fixed32 => &[5],
        Holds::Text | Holds::Key | Holds::Bytes | Holds::Id(_) | Holds::One(_) | Holds::Many(_) => &[2],
        Holds::Fixed64s | Holds::Doubles => &[1, 2],
        Holds::Varints => &[0, 2],
    }
}

fn pair(key: &[u8], value: &[u8]) -> Vec<u8> {
    [field(1, key), field(2, value)].concat()
}

#[test]
fn knows_the_wire_types_of_every_field() {
    // No message of OTLP has a field with a higher number.
    const NUMBERS: u32 = 20;
    for place in SIGNALS.into_iter().flat_map(Place::all) {
        let known = known_fields(place.message);
        let numbers = (1..=NUMBERS).chain([REMOVED]);
        for (number, wire_type) in numbers.flat_map(|number| (0..8).map(move |wire_type| (number, wire_type))) {
            let content: &[u8] = match wire_type {
                0 | 2 => &[0],
                1 => &[0; 8],
                5 => &[0; 4],
                _ => &[],
            };
            let key = varint(u64::from(number << 3 | u32::from(wire_type)), 0);
            let bytes = place.request(&[&key[..], content].concat(), false);
            let at = bytes.len() - key.len() - content.len();
            let allowed = known.iter().find(|(found, _)| *found == number).map(|(_, holds)| wire_types(*holds));
            let expected = match wire_type {
                3 | 4 => Some(Reason::Group),
                6 | 7 => Some(Reason::UnknownWireType(wire_type)),
                _ if number == REMOVED && matches!(place.message, Message::Resources(_)) => Some(Reason::Removed),
                _ if allowed.is_none_or(|allowed| allowed.contains(&wire_type)) => None,
                _ => Some(Reason::WrongWireType { field: number, wire_type }),
            };
            let found = validate(place.signal, &bytes).map(|_| ());
            let what = format!("{:?} field {number} wire type {wire_type}", place.message);
            assert_eq!(found, expected.map_or(Ok(()), |reason| Err(WireError { offset: at, reason })), "{what}");
            let is_skipped = matches!(expected, None | Some(Reason::Removed));
            assert_eq!(Tree::decode(place.signal, &bytes).is_ok(), is_skipped, "prost on {what}");
        }
    }
}

#[test]
fn checks_the_text_of_every_string_field() {
    let good = ["".into(), "käse €5 🚀".into(), "x".repeat(60) + "ä"];
    let bad: [(usize, &[u8]); 8] = [
        (1, b"x\xff"),                 // no byte of UTF-8
        (1, b"x\x80y"),                // a continuation of nothing
        (0, b"\xc3"),                  // cut off
        (2, b"xy\xc0\x80"),            // two bytes for what takes one
        (0, b"\xed\xa0\x80"),          // half of a surrogate pair
        (0, b"\xf4\x90\x80\x80"),      // above U+10FFFF
        (8, b"xxxxxxxx\xffxxxxxxxxx"), // beyond a word
        (33, b"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\xffxx"),
    ];
    let with = |place: &Place, number: u32, text: &[u8], neighbours: bool| {
        let whole = match (place.message, number) {
            (Message::Pair, 1) if neighbours => pair(text, &field(1, b"value")),
            _ => field(number, text),
        };
        place.request(&whole, neighbours)
    };
    for place in SIGNALS.into_iter().flat_map(Place::all) {
        let holders = known_fields(place.message);
        for ((number, holds), neighbours) in holders.into_iter().flat_map(|field| [(field, false), (field, true)]) {
            let is_text = match holds {
                Holds::Text | Holds::Key => true,
                Holds::Bytes => false,
                _ => continue,
            };
            for text in &good {
                let bytes = with(&place, number, text.as_bytes(), neighbours);
                assert!(validate(place.signal, &bytes).is_ok(), "{:?} field {number}: {text:?}", place.message);
            }
            for (valid, text) in bad {
                let bytes = with(&place, number, text, neighbours);
                let what = format!("{:?} field {number}: {text:02x?} in {bytes:02x?}", place.message);
                if is_text {
                    let at = bytes.windows(text.len()).position(|window| window == text).unwrap();
                    let expected = WireError { offset: at + valid, reason: Reason::NotUtf8 };
                    assert_eq!(refused(place.signal, &bytes), expected, "{what}");
                } else {
                    assert!(validate(place.signal, &bytes).is_ok(), "{what}");
                    assert!(Tree::decode(place.signal, &bytes).is_ok(), "prost on {what}");
                }
            }
        }
    }
}

#[test]
fn ids_are_empty_or_as_long_as_ids_are() {
    let mut fields = 0;
    for place in SIGNALS.into_iter().flat_map(Place::all) {
        for (number, holds) in known_fields(place.message) {
            let Holds::Id(width) = holds else { continue };
            fields += 1;
            for found in 0..=20 {
                let id = field(number, &vec![7; found]);
                let bytes = place.request(&id, false);
                let error = WireError {
                    offset: bytes.len() - id.len() + 1,
                    reason: Reason::IdLength { found, width: width as u8 },
                };
                let expected = if found == 0 || found == width { Ok(()) } else { Err(error) };
                let checked = validate(place.signal, &bytes).map(|_| ());
                assert_eq!(checked, expected, "{:?} field {number}, {found} bytes", place.message);
            }
        }
    }
    assert_eq!(fields, 15, "span, link, log record, and the exemplars of four kinds of metrics");
}

#[test]
fn refuses_packed_numbers_that_do_not_fill_their_field() {
    let point = |content: &[u8]| field(1, &field(2, &field(2, &field(9, &field(1, content)))));
    let error = refused(Signal::Metrics, &point(&field(6, &[0; 12])));
    assert_eq!(error.reason, Reason::UnevenPacked(12));
    assert!(validate(Signal::Metrics, &point(&field(6, &[0; 16]))).is_ok());
    let buckets = |content: &[u8]| field(1, &field(2, &field(2, &field(10, &field(1, &field(8, content))))));
    let error = refused(Signal::Metrics, &buckets(&field(2, &[1, 0x80])));
    assert_eq!(error.reason, Reason::TruncatedVarint);
    assert!(validate(Signal::Metrics, &buckets(&field(2, &[1, 0x80, 1]))).is_ok());
}

/// Protobuf joins two maps, and takes the later of two texts; other readers take the later always.
#[test]
fn tells_of_a_second_value_where_there_can_be_one() {
    let map = |key: &[u8]| field(6, &field(1, &[field(1, key), field(2, &field(1, b"x"))].concat()));
    let record = |fields: &[Vec<u8>]| field(1, &field(2, &field(2, &fields.concat())));
    let one = field(2, &map(b"a"));
    let pair = |values: usize| [field(1, b"key"), one.repeat(values)].concat();
    let cases = [
        (vec![field(5, &map(b"a"))], None),
        (vec![field(5, &map(b"a")), field(5, &map(b"b"))], Some(22)),
        (vec![field(5, &field(1, b"a")), field(6, &pair(1)), field(5, &field(1, b"b"))], Some(34)),
        (vec![field(6, &pair(1)), field(6, &pair(1))], None),
        (vec![field(6, &pair(2))], Some(29)),
        (vec![field(5, &field(6, &field(1, &pair(2))))], Some(33)),
        (vec![field(5, &[map(b"a"), map(b"b")].concat())], Some(22)),
        (vec![field(5, &[field(5, b""), field(5, b"")].concat())], Some(12)),
        (vec![field(5, &[field(1, b"text"), field(5, b"")].concat())], None),
        (vec![field(5, &field(5, &[field(1, &map(b"a")), field(1, &map(b"b"))].concat()))], None),
        // The index of a text, which older readers don't know: alone, and beside what they would see in its place.
        (vec![field(5, &[0x40, 0])], None),
        (vec![field(5, &[0x40, 1]), field(6, &[field(1, b"key"), field(2, &[0x40, 0x80, 1])].concat())], None),
        (vec![field(5, &[field(1, b"hidden"), vec![0x40, 0]].concat())], Some(16)),
        (vec![field(5, &[vec![0x40, 0], field(1, b"hidden")].concat())], Some(8)),
        (vec![field(5, &[field(5, &field(1, b"")), vec![0x40, 0]].concat())], Some(12)),
        (
            vec![field(6, &[field(1, b"key"), field(2, &[field(1, b"hidden"), vec![0x40, 0]].concat())].concat())],
            Some(23),
        ),
    ];
    for (number, (fields, expected)) in cases.iter().enumerate() {
        let bytes = record(fields);
        let found = validate(Signal::Logs, &bytes).unwrap();
        assert_eq!(found.second_value, *expected, "case {number}");
        let refused = found.unambiguous().map_err(|error| (error.offset, error.reason));
        let at = |at: u32| (at as usize, Reason::SecondValue);
        assert_eq!(refused.err(), expected.map(at), "case {number}");
    }
}

#[test]
fn refuses_groups_though_prost_skips_them() {
    let bytes = span(&[0xa3, 6, 0xa4, 6]);
    assert!(Tree::decode(Signal::Traces, &bytes).is_ok());
    assert_eq!(validate(Signal::Traces, &bytes), Err(WireError { offset: 6, reason: Reason::Group }));
}

#[test]
fn accepts_values_nested_to_the_limit_and_no_deeper() {
    /// Whether the value on a level, from the outermost, is a map; else it is an array.
    type IsMap = fn(usize) -> bool;
    let kinds: [(&str, IsMap); 3] = [("arrays", |_| false), ("maps", |_| true), ("both", |level| level % 2 == 0)];
    // Members of maps with a key are like nearly all pairs, for which there is a short way.
    let nested = |levels: usize, is_map: IsMap, key: &[u8]| {
        (1..levels).rev().fold(field(1, b"x"), |value, level| match is_map(level) {
            true => field(6, &field(1, &[key, &field(2, &value)].concat())),
            false => field(5, &field(1, &value)),
        })
    };
    let is_outermost = |place: &Place| {
        place.message == Message::Value && !place.way.iter().any(|(message, _)| *message == Message::Value)
    };
    let places: Vec<Place> = SIGNALS.into_iter().flat_map(Place::all).filter(is_outermost).collect();
    for holder in [Message::Record, Message::Resource, Message::Exemplar] {
        let stands_in = |place: &Place| place.way.iter().rev().any(|(message, _)| *message == holder);
        assert!(places.iter().any(stands_in), "{holder:?}");
    }
    for place in places {
        for (name, is_map) in kinds {
            for key in [&b""[..], &field(1, b"key")] {
                let check = |levels| validate(place.signal, &place.request(&nested(levels, is_map, key), false));
                assert!(check(MAX_VALUE_NESTING).is_ok(), "{name} in {:?}", place.way);
                let error = check(MAX_VALUE_NESTING + 1).unwrap_err();
                assert_eq!(error.reason, Reason::TooDeep, "{name} in {:?}", place.way);
            }
        }
    }
}
