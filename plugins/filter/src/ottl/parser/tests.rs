//! Tests of the syntax: what is understood, and where mistakes are found.

#![allow(clippy::unwrap_used)]

use super::*;

/// Writes a condition with every grouping made visible.
fn shown(condition: &Condition) -> String {
    let joined = |parts: &[Condition], word: &str| {
        format!("({})", parts.iter().map(shown).collect::<Vec<_>>().join(&format!(" {word} ")))
    };
    match condition {
        Condition::Constant(value) => value.to_string(),
        Condition::Call(this) => call(this),
        Condition::Compare { operator, left, right } => {
            format!("{} {} {}", operand(left), operator.sign(), operand(right))
        }
        Condition::Not(inner) => format!("not {}", shown(inner)),
        Condition::And(parts) => joined(parts, "and"),
        Condition::Or(parts) => joined(parts, "or"),
    }
}

fn operand(operand: &Operand) -> String {
    match &operand.term {
        Term::Nil => "nil".to_owned(),
        Term::Text(text) => format!("{text:?}"),
        Term::Integer(number) => number.to_string(),
        Term::Double(number) => format!("{number:?}"),
        Term::Boolean(value) => value.to_string(),
        Term::Bytes(bytes) => format!("{bytes:x?}"),
        Term::Symbol(name) => name.clone(),
        Term::List(items) => format!("[{}]", items.iter().map(self::operand).collect::<Vec<_>>().join(", ")),
        Term::Path(path) => {
            path.segments.iter().map(|s| format!("{}{}", s.name, keys(&s.keys))).collect::<Vec<_>>().join(".")
        }
        Term::Call(this) => call(this),
        Term::Negate(inner) => format!("-{}", self::operand(inner)),
        Term::Arithmetic { operator, left, right } => {
            let sign = match operator {
                Arithmetic::Add => '+',
                Arithmetic::Subtract => '-',
                Arithmetic::Multiply => '*',
                Arithmetic::Divide => '/',
            };
            format!("({} {sign} {})", self::operand(left), self::operand(right))
        }
    }
}

fn call(call: &Call) -> String {
    let argument = |argument: &Argument| match &argument.name {
        Some(name) => format!("{name}={}", operand(&argument.value)),
        None => operand(&argument.value),
    };
    let arguments: Vec<String> = call.arguments.iter().map(argument).collect();
    format!("{}({}){}", call.name, arguments.join(", "), keys(&call.keys))
}

fn keys(keys: &[Key]) -> String {
    let key = |key: &Key| match key {
        Key::Text(text) => format!("[{text:?}]"),
        Key::Index(index) => format!("[{index}]"),
    };
    keys.iter().map(key).collect()
}

#[test]
fn understands_conditions() {
    let cases = [
        (r#"attributes["http.route"] == "/health""#, r#"attributes["http.route"] == "/health""#),
        (r#"name=="a"and kind!=1or true"#, r#"((name == "a" and kind != 1) or true)"#),
        ("not a.b == 1 and not (true or false)", "(not a.b == 1 and not (true or false))"),
        ("(name == \"a\")", "name == \"a\""),
        ("(((1 + 2) * x)) >= -3", "((1 + 2) * x) >= -3"),
        ("1 + 2 * 3 - x / 4 < +5", "((1 + (2 * 3)) - (x / 4)) < 5"),
        ("-x > -(1 + y)", "-x > -(1 + y)"),
        ("1.5 <= .5e3", "1.5 <= 500.0"),
        ("x == 1. or x == 2.e-1", "(x == 1.0 or x == 0.2)"),
        ("trace_id == 0x00ff", "trace_id == [0, ff]"),
        ("kind == SPAN_KIND_SERVER", "kind == SPAN_KIND_SERVER"),
        (r#"IsMatch(name, "^\\d+$")"#, r#"IsMatch(name, "^\\d+$")"#),
        (r#"IsMatch(target=name, pattern="x") == true"#, r#"IsMatch(target=name, pattern="x") == true"#),
        (r#"Split(name, "/")[1] == attributes["a"]["b"][0]"#, r#"Split(name, "/")[1] == attributes["a"]["b"][0]"#),
        (r#"Concat(["a", name], "-") != nil"#, r#"Concat(["a", name], "-") != nil"#),
        ("IsRootSpan()", "IsRootSpan()"),
        ("[] == [1]", "[] == [1]"),
        (r#""\t\"\x41\u00e9\U0001F600\101" == "é""#, r#""\t\"AéAbc" == "é""#),
        ("nil_value == nil", "nil_value == nil"),
        ("android == notable", "android == notable"),
    ];
    for (text, expected) in cases {
        let expected = expected.replace("AéAbc", "Aé😀A");
        assert_eq!(shown(&parse(text).unwrap()), expected, "{text}");
    }
}

#[test]
fn finds_the_column_of_a_mistake() {
    let cases = [
        ("", 1, "empty"),
        ("name", 1, "no condition; compare it"),
        ("name ==", 8, "expected a value, found the end"),
        ("name = \"a\"", 6, "write `==`"),
        ("name == 'a'", 9, "double quotes"),
        ("name == \"a", 9, "no closing quote"),
        ("name == \"a\\", 9, "no closing quote"),
        ("name == \"\\d\"", 10, "in a pattern write `\\\\d`"),
        ("name == \"\\xZZ\"", 10, "needs 2 digits"),
        ("name == \"\\xff\"", 9, "not UTF-8"),
        ("name == \"\\777\"", 10, "larger than a byte"),
        ("name == \"\\ud800\"", 10, "no character"),
        ("name == \"a\nb\"", 11, "can't span lines"),
        ("name == \"a\" && kind == 1", 13, "write `and`"),
        ("name == \"a\" || kind == 1", 13, "write `or`"),
        ("!(name == \"a\")", 1, "write `not`"),
        ("not not true", 5, "can't be repeated"),
        ("(name == \"a\"", 13, "expected `)` to close the parenthesis, found the end"),
        ("name == \"a\")", 12, "expected `and`, `or` or the end, found `)`"),
        ("a == 1 == 2", 8, "can't be chained"),
        ("(a == 1) == 2", 2, "a condition can't be used as a value"),
        ("\"a\" + \"b\" == \"ab\"", 1, "arithmetic takes numbers"),
        ("a + KIND == 1", 5, "arithmetic takes numbers"),
        ("IsMatch == true", 9, "expected `(` after the function IsMatch"),
        ("set(name, \"a\")", 1, "set changes telemetry"),
        ("IsMatch(name \"a\")", 14, "expected `)` to close the call"),
        ("attributes[name] == 1", 12, "not an expression"),
        ("attributes[\"a\" == 1", 16, "expected `]` after the index"),
        ("a. == 1", 4, "expected a name after `.`"),
        ("aB == 1", 1, "lower case"),
        ("a == 0xabc", 6, "even number"),
        ("a == 99999999999999999999", 6, "64 bits"),
        ("a == 007", 6, "starts with 0"),
        ("a == {\"k\": 1}", 6, "map literals"),
        ("größe == 1", 3, "unexpected `ö`"),
        ("\"größe\" == ?", 12, "unexpected `?`"),
    ];
    for (text, column, message) in cases {
        let mistake = parse(text).expect_err(text);
        assert!(mistake.message.contains(message), "{text}: {mistake:?}");
        assert_eq!(mistake.column, column, "{text}: {mistake:?}");
    }
}

#[test]
fn bounds_depth_and_length() {
    let nested = |depth: usize| format!("{}true{}", "(".repeat(depth), ")".repeat(depth));
    assert!(parse(&nested(MAX_DEPTH)).is_ok());
    assert!(parse(&nested(MAX_DEPTH + 1)).expect_err("too deep").message.contains("deeper than 64"));
    let long = |length: usize| format!("true{}", " ".repeat(length - 4));
    assert!(parse(&long(MAX_LENGTH)).is_ok());
    assert!(parse(&long(MAX_LENGTH + 1)).expect_err("too long").message.contains("exceeds 65536"));
}
