//! Tests of comparison, arithmetic and text forms, by OTTL's tables.

use super::*;
use Comparison::{Equal, Greater, GreaterOrEqual, Less, LessOrEqual, NotEqual};

const ALL: [Comparison; 6] = [Equal, NotEqual, Less, LessOrEqual, Greater, GreaterOrEqual];

fn accepted(left: &Value<'_>, right: &Value<'_>) -> Vec<Comparison> {
    ALL.into_iter().filter(|operator| compare(*operator, left, right)).collect()
}

fn list(items: Vec<Value<'static>>) -> Value<'static> {
    Value::List(items)
}

#[test]
fn compares_values_of_one_kind_by_order() {
    let rising = [
        (Value::Boolean(false), Value::Boolean(true)),
        (Value::Integer(-1), Value::Integer(1)),
        (Value::Integer(1), Value::Double(1.5)),
        (Value::Double(0.5), Value::Integer(1)),
        (Value::Double(-1.0), Value::Double(1.0)),
        (Value::text("Z"), Value::text("a")),
        (Value::text(""), Value::text("a")),
        (Value::Bytes(vec![1].into()), Value::Bytes(vec![1, 0].into())),
        (Value::Time(1), Value::Time(2)),
        (Value::Duration(-1), Value::Duration(0)),
    ];
    for (small, large) in rising {
        assert_eq!(accepted(&small, &large), [NotEqual, Less, LessOrEqual], "{small:?} {large:?}");
        assert_eq!(accepted(&large, &small), [NotEqual, Greater, GreaterOrEqual], "{small:?} {large:?}");
        assert_eq!(accepted(&small, &small), [Equal, LessOrEqual, GreaterOrEqual], "{small:?}");
    }
    assert_eq!(accepted(&Value::Integer(1), &Value::Double(1.0)), [Equal, LessOrEqual, GreaterOrEqual]);
    assert_eq!(accepted(&Value::Double(f64::NAN), &Value::Double(f64::NAN)), [NotEqual]);
}

#[test]
fn values_of_different_kinds_are_only_unequal() {
    let values = [
        Value::Nil,
        Value::Boolean(true),
        Value::Integer(1),
        Value::text("1"),
        Value::Bytes(vec![1].into()),
        Value::Id(vec![1].into()),
        list(vec![]),
        Value::Map(vec![]),
        Value::Time(1),
        Value::Duration(1),
    ];
    for (i, left) in values.iter().enumerate() {
        for (j, right) in values.iter().enumerate() {
            if i != j {
                assert_eq!(accepted(left, right), [NotEqual], "{left:?} {right:?}");
            }
        }
    }
}

#[test]
fn nil_equals_nil_and_empty_bytes() {
    let empty = Value::Bytes(vec![].into());
    for (left, right) in [(&Value::Nil, &Value::Nil), (&empty, &Value::Nil), (&empty, &empty)] {
        assert_eq!(accepted(left, right), [Equal, LessOrEqual, GreaterOrEqual]);
    }
}

#[test]
fn ids_lists_and_maps_have_no_order_but_equality() {
    let map = |members: &[(&'static str, i64)]| {
        Value::Map(members.iter().map(|(key, value)| ((*key).into(), Value::Integer(*value))).collect())
    };
    let equal = vec![Equal, LessOrEqual, GreaterOrEqual];
    let cases = [
        (Value::Id(vec![1; 8].into()), Value::Id(vec![1; 8].into()), equal.clone()),
        (Value::Id(vec![1; 8].into()), Value::Id(vec![2; 8].into()), vec![NotEqual]),
        (list(vec![Value::Integer(1), Value::Nil]), list(vec![Value::Integer(1), Value::Nil]), equal.clone()),
        (list(vec![Value::Integer(1)]), list(vec![Value::Double(1.0)]), vec![NotEqual]),
        (list(vec![Value::Integer(1)]), list(vec![]), vec![NotEqual]),
        (map(&[("a", 1), ("b", 2)]), map(&[("b", 2), ("a", 1)]), equal),
        (map(&[("a", 1)]), map(&[("a", 2)]), vec![NotEqual]),
        (map(&[("a", 1)]), map(&[("b", 1)]), vec![NotEqual]),
    ];
    for (left, right, expected) in cases {
        // The Collector knows only equality here.
        let expected: Vec<_> = expected.into_iter().filter(|operator| matches!(operator, Equal | NotEqual)).collect();
        assert_eq!(accepted(&left, &right), expected, "{left:?} {right:?}");
    }
}

#[test]
fn calculates_as_go_does() {
    use Arithmetic::{Add, Divide, Multiply, Subtract};
    let (integer, double) = (Value::Integer, Value::Double);
    let cases = [
        (Add, integer(1), integer(2), Some(integer(3))),
        (Subtract, integer(1), double(0.5), Some(double(0.5))),
        (Multiply, double(0.5), integer(4), Some(double(2.0))),
        (Divide, integer(-7), integer(2), Some(integer(-3))),
        (Divide, double(7.0), double(2.0), Some(double(3.5))),
        (Add, integer(i64::MAX), integer(1), Some(integer(i64::MIN))),
        (Divide, integer(i64::MIN), integer(-1), Some(integer(i64::MIN))),
        (Divide, integer(1), integer(0), None),
        (Divide, double(1.0), double(0.0), None),
        (Add, Value::text("a"), integer(1), None),
        (Add, Value::Nil, integer(1), None),
        (Subtract, Value::Time(5), Value::Time(7), Some(Value::Duration(-2))),
        (Add, Value::Time(5), Value::Duration(7), Some(Value::Time(12))),
        (Add, Value::Duration(7), Value::Time(5), Some(Value::Time(12))),
        (Subtract, Value::Time(5), Value::Duration(7), Some(Value::Time(-2))),
        (Add, Value::Duration(5), Value::Duration(7), Some(Value::Duration(12))),
        (Subtract, Value::Duration(5), Value::Duration(7), Some(Value::Duration(-2))),
        (Multiply, Value::Duration(5), integer(2), None),
        (Subtract, Value::Duration(5), Value::Time(7), None),
    ];
    for (operator, left, right, expected) in cases {
        assert_eq!(calculate(operator, &left, &right).ok(), expected, "{left:?} {operator:?} {right:?}");
    }
    assert_eq!(negate(&integer(i64::MIN)), Ok(integer(i64::MIN)));
    assert_eq!(negate(&double(1.5)), Ok(double(-1.5)));
    assert!(negate(&Value::Nil).is_err());
}

#[test]
fn writes_values_as_the_collector_does() {
    let map = Value::Map(vec![
        ("b".into(), list(vec![Value::Double(0.5), Value::Nil, Value::Bytes(vec![1, 2].into())])),
        ("c".into(), Value::Bytes(vec![].into())),
        ("a".into(), Value::text("<\"\\\n\u{1}\u{2028}>")),
    ]);
    let cases = [
        (Value::Nil, None, "", None),
        (Value::text("x<y"), Some("x<y"), "x<y", Some("x<y")),
        (Value::Boolean(true), Some("true"), "true", Some("true")),
        (Value::Integer(-5), Some("-5"), "-5", Some("-5")),
        (Value::Double(1.0), Some("1"), "1", Some("1")),
        (Value::Double(0.1), Some("0.1"), "0.1", Some("0.1")),
        (Value::Double(1e21), Some("1e+21"), "1e+21", Some("1000000000000000000000")),
        (Value::Double(-1.5e-7), Some("-1.5e-07"), "-1.5e-7", Some("-0.00000015")),
        (Value::Double(123456789.125), Some("123456789.125"), "123456789.125", Some("123456789.125")),
        (Value::Bytes(vec![0, 255, 16].into()), Some("00ff10"), "AP8Q", None),
        (Value::Bytes(vec![1].into()), Some("01"), "AQ==", None),
        (Value::Time(0), Some("\"1970-01-01T00:00:00Z\""), "\"1970-01-01T00:00:00Z\"", None),
        (Value::Time(-1), Some("\"1969-12-31T23:59:59.999999999Z\""), "\"1969-12-31T23:59:59.999999999Z\"", None),
        (
            Value::Time(1_709_210_096_500_000_000),
            Some("\"2024-02-29T12:34:56.5Z\""),
            "\"2024-02-29T12:34:56.5Z\"",
            None,
        ),
        (Value::Duration(5), Some("5"), "5", None),
        (Value::Id(vec![1, 200].into()), Some("[1,200]"), "Acg=", None),
        (
            map,
            Some(r#"{"a":"\u003c\"\\\n\u0001\u2028\u003e","b":[0.5,null,"AQI="],"c":null}"#),
            r#"{"a":"<\"\\\n\u0001\u2028>","b":[0.5,null,"AQI="],"c":null}"#,
            None,
        ),
    ];
    for (value, like, display, attribute) in cases {
        assert_eq!(like_text(&value).expect("text").as_deref(), like, "{value:?}");
        if !matches!(value, Value::Id(_)) {
            assert_eq!(display_text(&value), display, "{value:?}");
        }
        assert_eq!(attribute_text(&value).as_deref(), attribute, "{value:?}");
    }
    for (number, display, attribute) in
        [(f64::NAN, "NaN", "NaN"), (f64::INFINITY, "Infinity", "+Inf"), (f64::NEG_INFINITY, "-Infinity", "-Inf")]
    {
        let value = Value::Double(number);
        assert!(like_text(&value).is_err());
        assert_eq!((display_text(&value).as_ref(), attribute_text(&value).as_deref()), (display, Some(attribute)));
        assert_eq!(display_text(&list(vec![value])), "");
    }
}

#[test]
fn reads_nested_values_from_protobuf() {
    // {"k": [true, -1, 1.5, <empty>], "b": 0x07}
    let array: &[u8] = &[
        0x0a, 2, 0x10, 1, // true
        0x0a, 11, 0x18, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1, // -1
        0x0a, 9, 0x21, 0, 0, 0, 0, 0, 0, 0xf8, 0x3f, // 1.5
        0x0a, 0, // empty
    ];
    let any = |tag: u8, content: &[u8]| [&[tag, content.len() as u8], content].concat();
    let member = |key: &str, value: &[u8]| any(0x0a, &[any(0x0a, key.as_bytes()), any(0x12, value)].concat());
    let members = [member("k", &any(0x2a, array)), member("b", &any(0x3a, &[7]))].concat();
    let bytes = any(0x32, &members);
    let items = vec![Value::Boolean(true), Value::Integer(-1), Value::Double(1.5), Value::Nil];
    let expected = Value::Map(vec![("k".into(), list(items)), ("b".into(), Value::Bytes(vec![7].into()))]);
    assert_eq!(decode(&bytes), expected);
    for length in 0..bytes.len() {
        // Cut bytes never panic.
        decode(&bytes[..length]);
    }
}
