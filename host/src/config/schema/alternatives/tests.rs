//! Enums with data in all the forms that serde has, by the schemas that schemars makes of them.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::json;

use crate::config::error::Report;
use crate::config::{parse, schema};

#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq)]
#[serde(deny_unknown_fields)]
struct Keyed {
    key: String,
    #[serde(default)]
    rest: Option<Box<Internal>>,
}

#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq)]
#[serde(rename_all = "snake_case")]
enum External {
    Nothing,
    Header(Keyed),
    Constant { value: String },
    Several(Vec<External>),
}

#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq)]
#[serde(tag = "from", rename_all = "snake_case")]
enum Internal {
    Nothing,
    Header(Keyed),
    Constant { value: String },
    Several { of: Vec<Internal> },
}

#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq)]
#[serde(tag = "from", content = "with", rename_all = "snake_case")]
enum Adjacent {
    Nothing,
    Header(Keyed),
    Constant { value: u32 },
    Several(Vec<Adjacent>),
}

#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq)]
#[serde(untagged)]
enum Untagged {
    Header(Keyed),
    Constant { value: u32 },
    Text { value: String },
    Numbers(Vec<u32>),
    Several(Vec<Untagged>),
}

#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq)]
struct Flattened {
    name: String,
    #[serde(flatten)]
    internal: Internal,
    #[serde(flatten)]
    external: Option<External>,
}

#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq)]
#[serde(bound = "T: DeserializeOwned")]
struct Block<T> {
    #[serde(default)]
    one: Option<T>,
    #[serde(default)]
    list: Vec<T>,
    #[serde(default)]
    named: BTreeMap<String, T>,
    #[serde(default)]
    numbered: BTreeMap<u32, T>,
}

/// What a text is read as, or what is said about it.
fn read<T: DeserializeOwned + JsonSchema>(yaml: &str) -> Result<T, Vec<String>> {
    let mut report = Report::default();
    let node = parse::parse(yaml, &"a".into()).expect("YAML");
    let (value, _) = schema::walk(&node, &schema::of::<T>(), "", &mut report);
    if report.errors.is_empty() {
        return Ok(serde_json::from_value(value).expect("what the schema takes"));
    }
    Err(report.errors.into_iter().map(|error| format!("{}: {}", error.path, error.message)).collect())
}

/// Each value alone, in a list and in maps; serde, which reads JSON by the same type, is the oracle.
fn check<T: DeserializeOwned + JsonSchema + PartialEq + std::fmt::Debug>(values: &[serde_json::Value]) {
    for value in values {
        let block = json!({ "one": value, "list": values, "named": { "a": value }, "numbered": { "7": value } });
        let expected: Block<T> = serde_json::from_value(block.clone()).expect("serde takes it");
        assert_eq!(read::<Block<T>>(&block.to_string()), Ok(expected), "{value}");
    }
}

#[test]
fn reads_every_variant_of_every_kind_of_enum() {
    check::<External>(&[
        json!("nothing"),
        json!({ "header": { "key": "k" } }),
        json!({ "constant": { "value": "v" } }),
        json!({ "several": ["nothing", { "constant": { "value": "v" } }] }),
    ]);
    check::<Internal>(&[
        json!({ "from": "nothing" }),
        json!({ "from": "header", "key": "k", "rest": { "from": "constant", "value": "v" } }),
        json!({ "from": "constant", "value": "v" }),
        json!({ "from": "several", "of": [{ "from": "nothing" }, { "from": "header", "key": "k" }] }),
    ]);
    check::<Adjacent>(&[
        json!({ "from": "nothing" }),
        json!({ "from": "header", "with": { "key": "k" } }),
        json!({ "from": "constant", "with": { "value": 1 } }),
        json!({ "from": "several", "with": [{ "from": "nothing" }, { "from": "header", "with": { "key": "k" } }] }),
    ]);
    check::<Untagged>(&[
        json!({ "key": "k" }),
        json!({ "value": 1 }),
        json!({ "value": "v" }),
        json!([1, 2]),
        json!([{ "value": "v" }, [3], { "key": "k" }]),
    ]);
    check::<Flattened>(&[
        json!({ "name": "n", "from": "constant", "value": "v" }),
        json!({ "name": "n", "from": "constant", "value": "v", "header": { "key": "k" } }),
    ]);
}

#[test]
fn says_what_is_wrong_with_the_variant_that_was_meant() {
    let said = |yaml: &str| read::<Block<Internal>>(yaml).expect_err(yaml).join("\n");
    let tags = r#"is not one of "nothing", "header", "constant", "several""#;
    for (yaml, expected) in [
        ("one: {from: constant, valu: v}", "one::valu: unknown key; did you mean \"value\"?"),
        ("one: {from: header, key: [1]}", "one::key: expected a text, found a list"),
        ("list: [{key: k}]", "list::0::from: must be set"),
        ("named: {a: {from: headr, key: k}}", &format!("named::a::from: \"headr\" {tags}; did you mean \"header\"?")),
        ("named: {a: {from: several, of: [{from: x}]}}", &format!("named::a::of::0::from: \"x\" {tags}")),
        ("numbered: {x: {from: nothing}}", "numbered::x: the key \"x\" does not match ^\\d+$"),
    ] {
        assert_eq!(said(yaml), expected, "{yaml}");
    }
    let said = |yaml: &str| read::<Block<External>>(yaml).expect_err(yaml).join("\n");
    assert_eq!(said("list: [{headr: {key: k}}]"), "list::0::headr: unknown key; did you mean \"header\"?");
    assert_eq!(said("list: [{constant: {}}]"), "list::0::constant::value: must be set");
    let said = |yaml: &str| read::<Block<Untagged>>(yaml).expect_err(yaml).join("\n");
    assert_eq!(said("one: {value: [1]}"), "one::value: expected an integer of at least 0, found a list");
}

#[test]
fn a_variant_without_a_value_is_left_out() {
    let empty = Block { one: None, list: Vec::new(), named: BTreeMap::new(), numbered: BTreeMap::new() };
    assert_eq!(read::<Block<Internal>>("one:"), Ok(empty));
}

/// A schema whose alternatives fit alike at every level: nothing but the depth of trials keeps this from taking forever.
#[test]
fn ends_where_alternatives_can_not_be_told_apart() {
    let same = json!({ "type": "object", "properties": { "a": { "$ref": "#/$defs/Same" } } });
    let schema = json!({ "$ref": "#/$defs/Same", "$defs": { "Same": { "anyOf": vec![same; 5] } } });
    let depth = 60;
    let yaml = format!("{}{}", "{a: ".repeat(depth), "}".repeat(depth));
    let node = parse::parse(&yaml, &"a".into()).expect("YAML");
    let mut report = Report::default();
    schema::walk(&node, &schema, "", &mut report);
    assert!(report.errors.is_empty());
}

/// The ways through a schema grow with every level of it: each schema is looked at once, or so many are.
#[test]
fn ends_where_schemas_refer_to_each_other_in_many_ways() {
    let expression = json!({ "$ref": "#/$defs/Expression" });
    let binary = |name: String| {
        let sides = json!({ "type": "object", "properties": { "l": expression, "r": expression } });
        json!({ "type": "object", "properties": { name: sides }, "additionalProperties": false })
    };
    let mut forms: Vec<_> = (0..10).map(|number| binary(format!("op{number}"))).collect();
    forms.push(json!({ "type": "string", "enum": ["always"] }));
    let expressions = json!({ "$ref": "#/$defs/Expression", "$defs": { "Expression": { "oneOf": forms } } });
    let itself = vec![json!({ "$ref": "#/$defs/A" }); 10];
    let references = json!({ "$ref": "#/$defs/A", "$defs": { "A": { "anyOf": itself } } });
    let objects = vec![json!({ "type": "object", "allOf": itself }); 10];
    let objects = json!({ "$ref": "#/$defs/A", "$defs": { "A": { "type": "object", "anyOf": objects } } });
    for (schema, yaml, expected) in [
        (&expressions, "always", vec![]),
        (&expressions, "op1: {l: always, r: {op2: {l: always, r: always}}}", vec![]),
        (&expressions, "op1: {l: alway}", vec!["op1::l: \"alway\" is not one of \"always\"; did you mean \"always\"?"]),
        (&references, "x", vec![]),
        (&objects, "a: 1", vec![]),
    ] {
        let node = parse::parse(yaml, &"a".into()).expect("YAML");
        let mut report = Report::default();
        schema::walk(&node, schema, "", &mut report);
        let said: Vec<_> = report.errors.iter().map(|error| format!("{}: {}", error.path, error.message)).collect();
        assert_eq!(said, expected, "{yaml}");
    }
}
