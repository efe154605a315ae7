use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, ArrayValue, KeyValue, KeyValueList};
use prost::Message;

use super::*;

fn any(value: Value) -> AnyValue {
    AnyValue { value: Some(value) }
}

fn array(values: Vec<AnyValue>) -> AnyValue {
    any(Value::ArrayValue(ArrayValue { values }))
}

fn map(members: Vec<(&str, AnyValue)>) -> AnyValue {
    let member =
        |(key, value): (&str, AnyValue)| KeyValue { key: key.into(), value: Some(value), ..Default::default() };
    any(Value::KvlistValue(KeyValueList { values: members.into_iter().map(member).collect() }))
}

fn text(text: &str) -> AnyValue {
    any(Value::StringValue(text.into()))
}

#[test]
fn prints_numbers_as_ecmascript_does() {
    for (number, expected) in [
        (0.0, "0"),
        (-0.0, "-0"),
        (1.0, "1"),
        (-1.5, "-1.5"),
        (1e20, "100000000000000000000"),
        (1e21, "1e+21"),
        (1.5e21, "1.5e+21"),
        (1e-6, "0.000001"),
        (9.5e-7, "9.5e-7"),
        (1e-100, "1e-100"),
        (5e-324, "5e-324"),
        (f64::MAX, "1.7976931348623157e+308"),
        (f64::NAN, "NaN"),
        (f64::NEG_INFINITY, "-Infinity"),
    ] {
        let mut out = String::new();
        write_double(number, &mut out);
        assert_eq!(out, expected);
    }
}

#[test]
fn prints_arrays_and_maps_as_json() {
    for (value, expected) in [
        (array(vec![]), "[]"),
        (map(vec![]), "{}"),
        (
            array(vec![text("a"), any(Value::IntValue(-1)), any(Value::BoolValue(false)), AnyValue { value: None }]),
            r#"["a",-1,false,null]"#,
        ),
        (map(vec![("b", any(Value::DoubleValue(0.5))), ("a", array(vec![text("")]))]), r#"{"a":[""],"b":0.5}"#),
        (map(vec![("a", text("first")), ("a", text("last"))]), r#"{"a":"last"}"#),
        (
            array(vec![text("\"\\\u{8}\u{c}\n\r\t\u{1}\u{7f}<&>\u{2028}ä")]),
            "[\"\\\"\\\\\\b\\f\\n\\r\\t\\u0001\u{7f}<&>\\u2028ä\"]",
        ),
        (
            array(vec![
                any(Value::BytesValue(vec![])),
                any(Value::BytesValue(vec![0xff])),
                any(Value::BytesValue(b"abc".to_vec())),
            ]),
            r#"[null,"/w==","YWJj"]"#,
        ),
    ] {
        assert_eq!(json(&value.encode_to_vec()).as_deref(), Some(expected));
    }
}

#[test]
fn gives_up_on_what_json_can_not_express_or_nobody_encoded() {
    let mut deep = text("x");
    for _ in 0..MAX_DEPTH {
        deep = array(vec![deep]);
    }
    for bytes in [
        array(vec![any(Value::DoubleValue(f64::NAN))]).encode_to_vec(),
        map(vec![("a", any(Value::DoubleValue(f64::INFINITY)))]).encode_to_vec(),
        deep.encode_to_vec(),
        vec![0x2a, 5, 1],
        vec![0x0a, 1, 0xff],
        vec![0x2b],
        vec![0x18, 0xff],
        vec![0x08, 1],
    ] {
        assert_eq!(json(&bytes), None, "{bytes:x?}");
    }
}
