//! `concat`, `split` and `resources` lose and reorder nothing.

use proptest::prelude::*;
use sluice_wire::{Level, Piece, Signal, concat, resources, sample, split, validate};

use crate::dice::{cases, seeds};
use crate::generate::request;
use crate::raw::{self, Row};
use crate::tree::{Entity, Record, SIGNALS, Tree};

/// The most that keys and lengths of a record and all that stands above it take, and what is kept free for lengths that
/// are not known yet.
const LENGTHS: usize = 5 * 6 + 4 * 5;

/// All records in order, each with what stands above it.
fn records(tree: &mut Tree) -> Vec<String> {
    let mut above = [String::new(), String::new(), String::new()];
    let mut records = Vec::new();
    tree.for_each(&mut |level, _, entity| match entity {
        Entity::Resource(resource, url) => above[0] = format!("{resource:?} {url}"),
        Entity::Scope(scope, url) => above[1] = format!("{scope:?} {url}"),
        Entity::Metric(metric) => {
            let mut metric = metric.clone();
            let mut points = Vec::new();
            crate::tree::for_points(&mut metric, &mut |_| points.push(()));
            clear_points(&mut metric);
            above[2] = format!("{metric:?}");
        }
        Entity::Record(record) => {
            assert_eq!(level, Level::Record);
            let record = match record {
                Record::Span(span) => format!("{span:?}"),
                Record::Log(record) => format!("{record:?}"),
                Record::Number(point) => format!("{point:?}"),
                Record::Histogram(point) => format!("{point:?}"),
                Record::Exponential(point) => format!("{point:?}"),
                Record::Summary(point) => format!("{point:?}"),
            };
            records.push(format!("{above:?} {record}"));
        }
    });
    records
}

fn clear_points(metric: &mut opentelemetry_proto::tonic::metrics::v1::Metric) {
    use opentelemetry_proto::tonic::metrics::v1::metric::Data;
    match &mut metric.data {
        None => {}
        Some(Data::Gauge(data)) => data.data_points.clear(),
        Some(Data::Sum(data)) => data.data_points.clear(),
        Some(Data::Histogram(data)) => data.data_points.clear(),
        Some(Data::ExponentialHistogram(data)) => data.data_points.clear(),
        Some(Data::Summary(data)) => data.data_points.clear(),
    }
}

proptest! {
    #![proptest_config(cases(150))]

    #[test]
    fn joined_requests_hold_the_records_of_both((seed, size) in seeds(), odd: bool) {
        for signal in SIGNALS {
            let (first, second) = (request(signal, seed, size, odd), request(signal, !seed, size, odd));
            let mut expected = records(&mut Tree::decode(signal, &first).unwrap());
            expected.extend(records(&mut Tree::decode(signal, &second).unwrap()));
            let mut joined = Tree::decode(signal, &concat(&[&first, &second])).unwrap();
            prop_assert_eq!(records(&mut joined), expected);
        }
    }

    #[test]
    fn pieces_keep_limits_and_together_hold_all((seed, size) in seeds(), odd: bool, items in 0usize..7, bytes in 0usize..3) {
        for signal in SIGNALS {
            let whole = request(signal, seed, size, odd);
            let max_bytes = [0, 700, 3000][bytes];
            let pieces = split(signal, &whole, items, max_bytes);
            prop_assert!(!pieces.is_empty());
            let mut found = Vec::new();
            for piece in &pieces {
                let summary = validate(signal, &piece.bytes).unwrap();
                prop_assert_eq!(summary.records, piece.records);
                prop_assert!(items == 0 || piece.records as usize <= items);
                let fits = max_bytes == 0 || piece.bytes.len() <= max_bytes;
                prop_assert!(fits || piece.records <= 1, "{} bytes, {} records", piece.bytes.len(), piece.records);
                found.extend(records(&mut Tree::decode(signal, &piece.bytes).unwrap()));
            }
            prop_assert_eq!(found, records(&mut Tree::decode(signal, &whole).unwrap()));
        }
    }

    #[test]
    fn pieces_hold_the_same_bytes_and_what_has_no_records((seed, size) in seeds(), odd: bool, items in 0usize..7, bytes in 0usize..3) {
        for signal in SIGNALS {
            let whole = request(signal, seed, size, odd);
            let pieces = split(signal, &whole, items, [0, 700, 3000][bytes]);
            let found: Vec<Row> = pieces.iter().flat_map(|piece| raw::rows(signal, &piece.bytes)).collect();
            prop_assert_eq!(found, raw::rows(signal, &whole));
            let own: Vec<Vec<u8>> = pieces.iter().map(|piece| raw::own_of_request(&piece.bytes)).collect();
            prop_assert_eq!(own.concat(), raw::own_of_request(&whole));
        }
    }

    #[test]
    fn a_piece_ends_only_where_the_next_record_would_not_fit((seed, size) in seeds(), odd: bool, items in 0usize..7, max_bytes in 300usize..3000) {
        for signal in SIGNALS {
            let whole = request(signal, seed, size, odd);
            let pieces = split(signal, &whole, items, max_bytes);
            for (piece, next) in pieces.iter().zip(pieces.iter().skip(1)) {
                let rows = raw::rows(signal, &next.bytes);
                let Some(Row { above, record: Some(record) }) = rows.first() else { continue };
                let is_full = items > 0 && piece.records as usize == items;
                let own = raw::own_of_request(&next.bytes).len();
                let needed = own + record.len() + above.iter().map(Vec::len).sum::<usize>() + LENGTHS;
                let length = piece.bytes.len();
                prop_assert!(is_full || length + needed > max_bytes, "{length} of {max_bytes} bytes, next has {needed}");
            }
        }
    }

    #[test]
    fn resources_are_requests_of_one_each_and_hold_the_same_bytes((seed, size) in seeds(), odd: bool) {
        for signal in SIGNALS {
            let whole = request(signal, seed, size, odd);
            let pieces: Vec<Piece<'_>> = resources(signal, &whole).collect();
            for piece in &pieces {
                let summary = validate(signal, &piece.bytes).unwrap();
                prop_assert_eq!((summary.resources, summary.records), (1, piece.records));
                prop_assert_eq!(raw::own_of_request(&piece.bytes), Vec::<u8>::new());
            }
            prop_assert_eq!(pieces.len() as u32, validate(signal, &whole).unwrap().resources);
            let found: Vec<Row> = pieces.iter().flat_map(|piece| raw::rows(signal, &piece.bytes)).collect();
            prop_assert_eq!(found, raw::rows(signal, &whole));
        }
    }

    #[test]
    fn splitting_never_panics((seed, size) in seeds(), damage: u64, items in 0usize..4) {
        for signal in SIGNALS {
            let mut bytes = request(signal, seed, size, true);
            crate::validate::spoil(&mut bytes, damage);
            let _ = split(signal, &bytes, items, 100);
            let _ = resources(signal, &bytes).count();
        }
    }
}

/// Here what the request says of itself came behind what filled a piece.
#[test]
fn what_a_request_says_of_itself_counts_for_the_limit() {
    for signal in SIGNALS {
        let whole = request(signal, 2_587_711_456_909_630_133, 2, true);
        for piece in split(signal, &whole, 2, 700) {
            assert!(piece.bytes.len() <= 700 || piece.records <= 1, "{} bytes", piece.bytes.len());
        }
    }
}

#[test]
fn resources_end_at_what_is_cut_off() {
    let one = [0x0a, 0];
    for rest in [&[0x0a, 2, 0][..], &[0x0a], &[0x0a, 0xff], &[0x0b, 0], &[0x09, 1], &[0xff; 12]] {
        let bytes = [&one[..], rest].concat();
        let found: Vec<Vec<u8>> = resources(Signal::Traces, &bytes).map(|piece| piece.bytes.into_owned()).collect();
        assert_eq!(found, [one], "{rest:?}");
    }
}

#[test]
fn pieces_are_as_large_as_the_limit_allows() {
    for signal in SIGNALS {
        let bytes = concat(&[&sample::request(signal, 60), &sample::request(signal, 60)]);
        let sizes = |limit| split(signal, &bytes, limit, 0).iter().map(|piece| piece.records).collect::<Vec<_>>();
        assert_eq!(sizes(50), [50, 50, 20]);
        assert_eq!(sizes(119), [119, 1]);
        assert_eq!(sizes(120), [120]);
    }
}

#[test]
fn whole_resources_are_not_copied() {
    let one = sample::request(Signal::Traces, 10);
    let bytes = concat(&[&one, &one, &one]);
    let pieces = split(Signal::Traces, &bytes, 10, 0);
    assert_eq!(pieces.len(), 3);
    for piece in &pieces {
        assert!(matches!(piece.bytes, std::borrow::Cow::Borrowed(_)));
        assert_eq!(*piece.bytes, *one);
    }
    assert!(matches!(split(Signal::Traces, &bytes, 30, bytes.len())[0].bytes, std::borrow::Cow::Borrowed(_)));
}

#[test]
fn a_record_that_is_too_large_stands_alone() {
    let bytes = sample::request(Signal::Logs, 4);
    let pieces = split(Signal::Logs, &bytes, 0, 10);
    assert_eq!(pieces.iter().map(|piece| piece.records).collect::<Vec<_>>(), [1, 1, 1, 1]);
}
