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
