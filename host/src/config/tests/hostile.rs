//! Texts that nobody would write on purpose.

use proptest::prelude::*;

use super::*;

fn error_of(text: &str) -> String {
    load_texts(&[("text", text)], &[]).expect_err("refused").to_string()
}

#[test]
fn bounds_size_depth_and_aliases() {
    let at_limit = format!("#{}", "x".repeat(parse::MAX_BYTES - 1));
    assert!(error_of(&at_limit).contains("no receiver configuration"));
    assert!(error_of(&format!("{at_limit}x")).contains("the limit is 4194304"));

    let nested = |depth: usize| format!("a: {}{}", "[".repeat(depth), "]".repeat(depth));
    assert!(error_of(&nested(parse::MAX_DEPTH - 1)).contains("unknown key"));
    assert!(error_of(&nested(parse::MAX_DEPTH)).contains("nested deeper than 64 levels"));

    for joined in ["::a".repeat(parse::MAX_DEPTH), format!("{}: {{{}", "a::a".repeat(32), "b::b: {".repeat(20))] {
        let text = format!("{joined}: 1{}", "}".repeat(joined.matches('{').count()));
        assert!(error_of(&text).contains("nested deeper than 64 levels"), "{text}");
    }

    let mut bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..10 {
        let references = vec![format!("*a{}", level - 1); 10].join(", ");
        writeln!(bomb, "a{level}: &a{level} [{references}]").expect("a string");
    }
    assert!(error_of(&bomb).contains("more than 200000 values"));
    let long = format!("a: &a {}\nb: [{}]", "x".repeat(128 << 10), vec!["*a"; 100].join(", "));
    assert!(error_of(&long).contains("more than 200000 values"));
    assert!(error_of("a: &a [*a]").contains("inside of what it refers to"));
}

#[test]
fn expands_nested_references_only_so_deep() {
    let nested = |depth: usize| format!("a: {}A{}", "${A:-".repeat(depth), "}".repeat(depth));
    assert!(!error_of(&nested(16)).contains("nested deeper"));
    assert!(error_of(&nested(17)).contains("nested deeper than 16 levels"));

    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("itself.yaml");
    for (text, message) in [
        ("a: ${file:PATH}", "nested deeper than 16 levels"),
        ("['${file:PATH}', '${file:PATH}', '${file:PATH}']", "all files brought in have more than 16777216 bytes"),
        ("a${file:PATH}${file:PATH}${file:PATH}", "all files brought in have more than 16777216 bytes"),
    ] {
        let text = text.replace("PATH", path.to_str().expect("a path"));
        std::fs::write(&path, &text).expect("a file");
        let error = error_of(&format!("a: ${{file:{}}}", path.display()));
        assert!(error.contains(message), "{text}: {}", &error[..error.len().min(1000)]);
    }
}

fn fragment() -> impl Strategy<Value = String> {
    prop_oneof![
        Just("receivers:\n  otlp:\n    protocols:\n      grpc:\n".to_owned()),
        Just("exporters:\n  debug:\n".to_owned()),
        Just("service:\n  pipelines:\n    traces:\n      receivers: [otlp]\n      exporters: [debug]\n".to_owned()),
        Just("${env:A:-${".to_owned()),
        Just("<<: *a\n".to_owned()),
        Just("- &a {b: !!str 1}\n".to_owned()),
        Just("  otlp/2: {endpoint: [1, {a: }], timeout: -1, sending_queue: ~}\n".to_owned()),
        "[ \\t\\n:\\-\\[\\]{}&*!|>'\"%@`#,?$a-c0-9/.]{0,12}",
        "\\PC{0,8}",
    ]
}

proptest! {
    #[test]
    fn no_text_panics_the_loader(parts in prop::collection::vec(fragment(), 0..8)) {
        let text = parts.concat();
        if let Ok(config) = load_texts(&[("text", &text)], &[]) {
            print(&config, &|_| Some(serde_json::json!(true)));
        }
    }

    #[test]
    fn no_command_line_panics_the_loader(config in "\\PC{0,40}", set in "\\PC{0,40}") {
        let config = format!("yaml:{config}");
        let _ = load(&Sources { configs: vec![config], sets: vec![set] }, &|_| None);
    }
}
