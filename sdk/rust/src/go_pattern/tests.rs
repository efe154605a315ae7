use super::*;

fn check(go: &str, rust: &str, is_blind_to_mask: bool) {
    let translated = translate(go).expect(go);
    assert_eq!(translated, Translated { pattern: rust.to_owned(), is_blind_to_mask }, "{go}");
}

#[test]
fn passes_on_what_both_dialects_read_alike() {
    for pattern in [
        "4[0-9]{12}(?:[0-9]{3})?",
        "(5[1-5][0-9]{14})",
        "(?i)token|api_key",
        "(?P<year>[0-9]{4})-[0-9]{1,}",
        "[[:alpha:]_]+é",
        "a{2,3}b*?c+|",
    ] {
        check(pattern, pattern, true);
    }
    for pattern in ["^a$", "a.b", "[^a]", "\\Aa\\z", "\\pL\\p{Greek}", "[\\p{L}a]", "[[:punct:]]", "[[:^alpha:]]"] {
        check(pattern, pattern, false);
    }
}

#[test]
fn writes_what_go_means_in_rust() {
    for (go, rust, blind) in [
        (r"\d{3}-\w+\s", r"[0-9]{3}-[0-9A-Za-z_]+[\t\n\f\r ]", true),
        (r"[\d.-]+", r"[0-9\.\-]+", true),
        (r"[A-Za-z0-9._%+-]+@", r"[A-Za-z0-9\._%\+\-]+@", true),
        (r"\D\W\S", r"[^0-9][^0-9A-Za-z_][^\t\n\f\r ]", false),
        (r"[\Wa]", r"[[^0-9A-Za-z_]a]", false),
        (r"\bfoo\B", r"(?-u:\b)foo\B", false),
        ("a{b}{,2}{", r"a\{b}\{,2}\{", true),
        (r"\Qa.*\Eb", r"a\.\*b", false),
        (r"\Qa.", r"a\.", true),
        ("[[a&&b]", r"[\[a\&\&b]", true),
        ("[]a]", r"[\]a]", true),
        ("[a~~b]", r"[a\~\~b]", true),
        (r"\<b\>", "<b>", true),
        (r"\x41\x{42}\101\0", "AAB\u{0}".replace("AAB", "ABA").as_str(), true),
        (r"\*", r"\*", false),
        (r"\x2a", r"\*", false),
        (r"[+\x2a]", r"[\+\*]", false),
        ("[!-0]", "[!-0]", false),
        ("[+-0]", r"[\+-0]", true),
        ("[*a]", r"[\*a]", false),
        (r"\.\/\-\_", r"\./\-_", true),
        (r"[\ -~]", r"[ -\~]", false),
        (r"[\ -)]", r"[ -\)]", true),
        ("[\\\t-\\\r]\\\u{1b}", "[\t-\r]\u{1b}", true),
        (r"[\pL\pN-_.]+@", r"[\pL\pN\-_\.]+@", false),
        (r"[\p{L}-z]\PL-", r"[\p{L}\-z]\PL-", false),
        (r"\p{^Greek}\P{^Greek}[\p{^L}]", r"\P{Greek}\p{Greek}[\P{L}]", false),
        (r"^[+--]$", r"^[\+-\-]$", false),
        (r"[a-z0-9--]", r"[a-z0-9\-\-]", true),
        (r"[%--/]", r"[%-\-/]", false),
        (r"[--/]", r"[\--/]", true),
        (r"[^-a][a-]", r"[^\-a][a\-]", false),
        (r"[a-c-e]", r"[a-c\-e]", true),
        (r"[\d-x]", r"[0-9\-x]", true),
        (r"[[:alpha:]-][[:alpha:][]", r"[[:alpha:]\-][[:alpha:]\[]", true),
        (r"[]-a]-[\--\.]", r"[\]-a]-[\--\.]", true),
        (r"[^\w][^\D]", r"[^0-9A-Za-z_][^[^0-9]]", false),
        (r"a{3}{x", r"a{3}\{x", true),
        (r"\0018\777\018", "\u{1}8\u{1ff}\u{1}8", true),
        (r"[\0-\37-9]", "[\u{0}-\u{1f}\\-9]", true),
        (r"[*-\x41--z]", r"[\*-A\--z]", false),
        ("[[:]a:", r"[\[:]a:", true),
        ("[[:alpha:]:]", "[[:alpha:]:]", true),
        ("größe", "größe", true),
        ("a{01}b{1,02}c{00}d{0}", r"a\{01}b\{1,02}c\{00}d{0}", true),
    ] {
        check(go, rust, blind);
        assert!(regex::Regex::new(rust).is_ok(), "{rust}");
    }
}

#[test]
fn leaves_mistakes_to_the_compiler() {
    for pattern in ["[a", "a\\", "(?P<a", r"\1", "[a-\\d]", "(?=a)", r"\x{zz}", "*a", "a)", "[b-a]"] {
        let translated = translate(pattern).expect(pattern);
        assert!(!translated.is_blind_to_mask || regex::Regex::new(&translated.pattern).is_err());
    }
    for pattern in
        ["[a", "a\\", "(?P<a", r"\1", "(?=a)", r"\x{zz}", "*a", "a)", "[b-a]", r"\p", r"[\p", r"\p[a]", r"\p{^"]
    {
        assert!(regex::Regex::new(&translate(pattern).expect(pattern).pattern).is_err(), "{pattern}");
    }
}

/// As a class of the letters in its name, a misspelt class would find other texts than those that it is to find.
#[test]
fn refuses_what_only_rust_understands() {
    for (pattern, expected) in [
        ("[[:digits:]]{16}", "[:digits:] is no class of characters; there are alnum, alpha"),
        ("[[:^Lower:]]", "[:^Lower:] is no class"),
        ("a(?x) b", "(?x) is no flag; there are i, m, s and U"),
        ("(?iu:a)", "(?u) is no flag"),
    ] {
        let refused = translate(pattern).expect_err(pattern);
        assert!(refused.starts_with(expected), "{refused}");
    }
}

mod properties {
    use proptest::prelude::*;

    use super::*;

    /// Pieces of patterns, joined at random.
    fn pattern() -> impl Strategy<Value = String> {
        let piece = prop::sample::select(vec![
            "a",
            "b",
            "4",
            "é",
            "-",
            "*",
            "+",
            "?",
            "|",
            "(",
            ")",
            "(?:",
            "[ab]",
            "[^a]",
            "[a-c4]",
            "[*-4]",
            "[(-b]",
            ".",
            "^",
            "$",
            r"\d",
            r"\W",
            r"\b",
            r"\*",
            r"\x2a",
            r"\-",
            "{2}",
            "(?i)",
            "@",
            "[",
            "]",
            "&&",
            r"\s",
            "[[:alpha:]]",
            "[[:punct:]]",
        ]);
        prop::collection::vec(piece, 1..7).prop_map(|pieces| pieces.concat())
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4000))]

        #[test]
        fn never_panics(pattern in any::<String>()) {
            let _ = translate(&pattern);
        }

        /// The promise of `is_blind_to_mask`: what it finds in a masked text is what it finds between the masks.
        #[test]
        fn a_blind_pattern_never_finds_a_mask(pattern in pattern(), parts in prop::collection::vec("[ab4é@ -]{0,4}", 1..4)) {
            let Ok(translated) = translate(&pattern) else { return Ok(()) };
            let Ok(regex) = regex::Regex::new(&translated.pattern) else { return Ok(()) };
            if !translated.is_blind_to_mask || regex.is_match("") {
                return Ok(());
            }
            let text = parts.join("****");
            let mut expected = Vec::new();
            let mut at = 0;
            for part in &parts {
                expected.extend(regex.find_iter(part).map(|found| at + found.start()..at + found.end()));
                at += part.len() + 4;
            }
            let found: Vec<_> = regex.find_iter(&text).map(|found| found.range()).collect();
            prop_assert_eq!(found, expected);
        }
    }
}
