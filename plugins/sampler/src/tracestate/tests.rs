use super::*;

fn read(text: &str) -> Result<String, Malformed> {
    let mut state = TraceState::default();
    state.read(text)?;
    let mut out = Vec::new();
    state.write(text, None, None, &mut out);
    Ok(String::from_utf8(out).expect("text"))
}

fn key(length: usize) -> String {
    format!("{}=v", "k".repeat(length))
}

fn members(count: usize) -> String {
    (0..count).map(|i| format!("k{i}=v")).collect::<Vec<_>>().join(",")
}

#[test]
fn writes_back_what_it_read_with_ot_in_front() {
    for (text, expected) in [
        ("", ""),
        ("a=1", "a=1"),
        ("a=1,b@c=2", "a=1,b@c=2"),
        ("a=1,ot=th:8", "ot=th:8,a=1"),
        (" a=1 ,\t,ot=x:1;th:C;y:;rv:ABCDEF01234567 ,", "ot=rv:ABCDEF01234567;th:C;x:1;y:,a=1"),
        ("ot=th:8,ot=x:2", "ot=x:2"),
        ("ot=th:8;th:4", "ot=th:4"),
        (",", ""),
    ] {
        assert_eq!(read(text).as_deref(), Ok(expected), "{text:?}");
    }
}

#[test]
fn replaces_randomness_and_threshold() {
    let text = "a=1,ot=x:1;th:8";
    let mut state = TraceState::default();
    state.read(text).expect("valid");
    let mut out = b"before".to_vec();
    state.write(text, Some(Randomness::HIGHEST), Threshold::parse("c"), &mut out);
    assert_eq!(out, b"beforeot=rv:ffffffffffffff;th:c;x:1,a=1");
}

#[test]
fn refuses_what_the_grammar_does_not_allow() {
    let accepted = [
        key(256),
        format!("{}@s=v", "t".repeat(241)),
        format!("t@{}=v", "s".repeat(14)),
        format!("a={}", "v".repeat(256)),
        members(31),
        format!("a={},b={},c={},d={}", "v".repeat(254), "v".repeat(254), "v".repeat(254), "v".repeat(251)),
        "a_-*/0=! ~".into(),
        "1t@s=v".into(),
        "ot=a0:Z.z_-9".into(),
    ];
    for text in &accepted {
        assert!(read(text).is_ok(), "{text}");
    }
    assert_eq!(accepted[5].len(), 1024);
    let refused = [
        key(257),
        format!("{}@s=v", "t".repeat(242)),
        format!("t@{}=v", "s".repeat(15)),
        format!("a={}", "v".repeat(257)),
        members(32),
        format!("a={},b={},c={},d={}", "v".repeat(254), "v".repeat(254), "v".repeat(254), "v".repeat(252)),
        "a".into(),
        "=v".into(),
        "a=".into(),
        "a=b=c".into(),
        "A=v".into(),
        "1a=v".into(),
        "@s=v".into(),
        "t@=v".into(),
        "t@1=v".into(),
        "t@s@s=v".into(),
        "a=é".into(),
        "a=\u{7f}".into(),
        "a=v\tv".into(),
        "ot=th".into(),
        "ot=:8".into(),
        "ot=A:8".into(),
        "ot=9:8".into(),
        "ot=a:b:c".into(),
        "ot=a: b".into(),
        "ot=a:1;".into(),
        "ot=a:1;;b:2".into(),
        "ot=th:".into(),
        "ot=th:000000000000001".into(),
        "ot=rv:1".into(),
        "ot=rv:0123456789abcg".into(),
    ];
    for text in refused {
        assert_eq!(read(&text), Err(Malformed), "{text}");
    }
}

#[test]
fn remembers_nothing_of_the_tracestate_before() {
    let mut state = TraceState::default();
    state.read("a=1,ot=th:8;rv:01234567890123;x:1").expect("valid");
    state.read("").expect("valid");
    let mut out = Vec::new();
    state.write("", None, None, &mut out);
    assert_eq!((state.threshold(), state.randomness(), out), (None, None, Vec::new()));
}
