//! What is said of a block of which a part is wrong, with a plugin that stops at a bad mode and else says all.

use serde_json::json;

use super::*;
use crate::config::StageLimits;
use crate::config::parse;

fn schema() -> Value {
    json!({ "type": "object", "properties": {
        "mode": { "type": "string" },
        "keep_all": { "type": "boolean" },
        "names": { "type": "array", "items": { "type": "string", "maxLength": 5 } },
        "rules": { "type": "array", "items": {
            "type": "object", "required": ["regex"],
            "properties": { "regex": { "type": "string" }, "context": { "type": "string" }, "limit": { "type": "integer" } },
        } },
    } })
}

fn configure(block: &Value) -> Vec<PluginMistake> {
    assert!(block.get("on_error").is_none(), "the host's own key");
    let mode = block.get("mode").and_then(Value::as_str).unwrap_or("any");
    if !["any", "all"].contains(&mode) {
        return vec![("mode".into(), format!("unknown mode {mode:?}"))];
    }
    let mut mistakes = Vec::new();
    if block.get("names").is_none() {
        mistakes.push(("names".to_owned(), "needed".to_owned()));
    }
    let list = |key: &str| block.get(key).and_then(Value::as_array).cloned().unwrap_or_default();
    for (position, _) in list("names").iter().enumerate().filter(|(_, name)| **name == "(") {
        mistakes.push((format!("names[{position}]"), "bad pattern (".to_owned()));
    }
    for (position, rule) in list("rules").iter().enumerate() {
        match rule.get("context").and_then(Value::as_str) {
            None => mistakes.push((format!("rules[{position}].regex"), "needs a context".into())),
            Some("span") => {}
            Some(other) => mistakes.push((format!("rules[{position}].context"), format!("unknown {other}"))),
        }
    }
    mistakes
}

/// The mistakes as line, path and message; the block begins in line 1.
fn said(yaml: &str) -> Vec<String> {
    let node = parse::parse(yaml, &"p".into()).expect("YAML");
    let mut report = Report::default();
    let block = PluginConfig::read("p", &node, "processors::p", &StageLimits::default(), &mut report);
    let mistakes = block.mistakes(&schema(), &report.errors, |block, _| configure(block));
    mistakes.errors.iter().map(ToString::to_string).collect()
}

#[test]
fn says_what_the_schema_shows_and_what_the_plugin_finds_in_the_rest() {
    let unknown = "p:1: processors::p::colour: unknown key; valid keys are capabilities, keep_all, limits, mode, \
                   names, on_error, rules";
    let cases: [(&str, &[&str]); 9] = [
        ("names: [a]", &[]),
        ("colour: 1\nnames: [a, '(']", &[unknown, "p:2: processors::p::names::1: bad pattern ("]),
        // A key that is nearly right is read as the one that was meant, so that nothing seems to be missing.
        ("nmes: [a]", &["p:1: processors::p::nmes: unknown key; did you mean \"names\"?"]),
        // The host's keys are meant, too, and the plugin does not get them.
        ("names: [a]\non_eror: pass", &["p:2: processors::p::on_eror: unknown key; did you mean \"on_error\"?"]),
        // Positions are those of the text.
        (
            "names:\n- a\n- much too long\n- '('\n- b\n- '('",
            &[
                "p:3: processors::p::names::1: 13 characters are too many; at most 5",
                "p:4: processors::p::names::2: bad pattern (",
                "p:6: processors::p::names::4: bad pattern (",
            ],
        ),
        // A plugin that stops at its first mistake is asked about the rest.
        (
            "mode: odd\nnames: ['(']",
            &["p:1: processors::p::mode: unknown mode \"odd\"", "p:2: processors::p::names::0: bad pattern ("],
        ),
        // What can't be without its required key is left out.
        (
            "names: ['(']\nrules: [{context: span}]",
            &["p:2: processors::p::rules::0::regex: must be set", "p:1: processors::p::names::0: bad pattern ("],
        ),
        ("names: {a: b}", &["p:1: processors::p::names: expected a list, found a map"]),
        ("colour: 1", &[unknown]),
    ];
    for (yaml, expected) in cases {
        assert_eq!(said(yaml), expected, "{yaml}");
    }
}

#[test]
fn says_nothing_that_follows_from_what_was_said() {
    // Without its context the rule would be wrong in another way.
    let cases: [(&str, &[&str]); 3] = [
        ("names: [a]\nrules: [{regex: x, context: spam}]", &["p:2: processors::p::rules::0::context: unknown spam"]),
        (
            "names: [a]\nrules: [{regex: x, context: [span]}]",
            &["p:2: processors::p::rules::0::context: expected a text, found a list"],
        ),
        (
            "names: [a]\nrules: [{regex: x, contxt: span, limit: 1}]",
            &["p:2: processors::p::rules::0::contxt: unknown key; did you mean \"context\"?"],
        ),
    ];
    for (yaml, expected) in cases {
        assert_eq!(said(yaml), expected, "{yaml}");
    }
}

#[test]
fn counts_positions_as_the_text_does_whatever_was_taken_out_before() {
    let node = parse::parse("names: [a, b, c, d, e]", &"p".into()).expect("YAML");
    let mut report = Report::default();
    let block = PluginConfig::read("p", &node, "processors::p", &StageLimits::default(), &mut report);
    let mut rounds = vec![vec![], vec!["names[1]"], vec!["names[0]", "names[2]"]];
    let mistakes = block.mistakes(&schema(), &[], |_, _| {
        let paths = rounds.pop().unwrap_or_default();
        paths.into_iter().map(|path| (path.to_owned(), "no".to_owned())).collect()
    });
    let paths: Vec<_> = mistakes.errors.iter().map(|mistake| mistake.path.as_str()).collect();
    assert_eq!(paths, ["processors::p::names::0", "processors::p::names::2", "processors::p::names::3"]);
}

#[test]
fn ends_with_a_plugin_that_always_finds_something() {
    let node = parse::parse("names: [a, a, a, a, a, a, a, a, a, a, a, a]", &"p".into()).expect("YAML");
    let mut report = Report::default();
    let block = PluginConfig::read("p", &node, "processors::p", &StageLimits::default(), &mut report);
    let mut rounds = 0;
    let mistakes = block.mistakes(&schema(), &[], |_, _| {
        rounds += 1;
        vec![("names[0]".into(), "no".into()), ("names[99999999999]".into(), "no".into()), ("[[.".into(), "no".into())]
    });
    assert!(rounds <= MAX_ROUNDS, "{rounds}");
    assert_eq!(mistakes.errors[0].path, "processors::p::names::0");
}
