//! `validate` accepts what prost decodes, refuses what it refuses, and counts what is in the tree.

use proptest::prelude::*;
use sluice_wire::{Level, MAX_VALUE_NESTING, Reason, Signal, Summary, WireError, validate};

use crate::dice::{Dice, cases, seeds};
use crate::generate::{request, varint};
use crate::tree::{SIGNALS, Tree};

fn summary(tree: &mut Tree) -> Summary {
    Summary {
        resources: tree.count(Level::Resource) as u32,
        scopes: tree.count(Level::Scope) as u32,
        metrics: tree.count(Level::Metric) as u32,
        records: tree.count(Level::Record) as u32,
    }
}

proptest! {
    #![proptest_config(cases(200))]

    #[test]
    fn accepts_and_counts_what_prost_decodes((seed, size) in seeds(), odd: bool) {
        for signal in SIGNALS {
            let bytes = request(signal, seed, size, odd);
            let mut tree = Tree::decode(signal, &bytes).unwrap();
            prop_assert_eq!(validate(signal, &bytes), Ok(summary(&mut tree)));
        }
    }

    #[test]
    fn agrees_with_prost_on_damaged_requests((seed, size) in seeds(), odd: bool, damage: u64) {
        for signal in SIGNALS {
            let mut bytes = request(signal, seed, size, odd);
            spoil(&mut bytes, damage);
            let decoded = Tree::decode(signal, &bytes);
            match validate(signal, &bytes) {
                Ok(found) => prop_assert_eq!(found, summary(&mut decoded.unwrap())),
                // prost has groups, and skips them wherever they are unknown.
                Err(WireError { reason: Reason::Group, .. }) => {}
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

#[test]
fn checks_the_text_of_every_string_field() {
    let bad = [b'x', 0xff];
    let pair = |content: &[u8]| span(&field(9, content));
    let cases = [
        field(1, &field(3, &bad)),
        field(1, &field(2, &field(3, &bad))),
        field(1, &field(2, &field(1, &field(1, &bad)))),
        field(1, &field(2, &field(1, &field(2, &bad)))),
        field(1, &field(1, &field(3, &field(3, &bad)))),
        span(&field(3, &bad)),
        span(&field(5, &bad)),
        span(&field(15, &field(2, &bad))),
        span(&field(11, &field(2, &bad))),
        span(&field(13, &field(3, &bad))),
        pair(&field(1, &bad)),
        pair(&[field(1, b"k"), field(2, &field(1, &bad))].concat()),
        pair(&[field(1, b"k"), field(2, &field(5, &field(1, &field(1, &bad))))].concat()),
        pair(&[field(1, b"k"), field(2, &field(6, &field(1, &field(1, &bad))))].concat()),
    ];
    for bytes in cases {
        assert_eq!(refused(Signal::Traces, &bytes).reason, Reason::NotUtf8, "{bytes:02x?}");
    }
    assert!(validate(Signal::Traces, &span(&field(1, &bad))).is_ok(), "ids are bytes");
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

#[test]
fn refuses_groups_though_prost_skips_them() {
    let bytes = span(&[0xa3, 6, 0xa4, 6]);
    assert!(Tree::decode(Signal::Traces, &bytes).is_ok());
    assert_eq!(validate(Signal::Traces, &bytes), Err(WireError { offset: 6, reason: Reason::Group }));
}

#[test]
fn accepts_values_nested_to_the_limit_and_no_deeper() {
    for (wrap, name) in [(5, "arrays"), (6, "maps")] {
        let nested = |levels: usize| {
            let mut value = field(1, b"x");
            for _ in 1..levels {
                let member = if wrap == 5 { value } else { field(2, &value) };
                value = field(wrap, &field(1, &member));
            }
            span(&field(9, &field(2, &value)))
        };
        assert!(validate(Signal::Traces, &nested(MAX_VALUE_NESTING)).is_ok(), "{name}");
        let error = validate(Signal::Traces, &nested(MAX_VALUE_NESTING + 1)).unwrap_err();
        assert_eq!(error.reason, Reason::TooDeep, "{name}");
    }
}
