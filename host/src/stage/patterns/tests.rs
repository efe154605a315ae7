use proptest::prelude::*;

use std::time::Duration;

use super::*;

fn bounds() -> Bounds {
    Bounds { deadline: Instant::now() + Duration::from_secs(60), max_matches: 1_000_000 }
}

fn haystack(values: &[String]) -> Haystack {
    let mut texts = SeparatedTexts::default();
    values.iter().for_each(|value| texts.push(value.as_bytes()));
    Haystack::of(texts)
}

/// What a search of each value on its own says.
fn one_by_one(pattern: &str, values: &[String], selected: impl Fn(usize) -> bool) -> Found {
    let regex = regex::Regex::new(pattern).expect("a valid pattern");
    let mut found = Found::default();
    for (i, value) in values.iter().enumerate().filter(|(i, _)| selected(*i)) {
        regex.find_iter(value).for_each(|m| found.push(i as u32, m.start(), m.end()));
    }
    found
}

const PATTERNS: &[&str] = &[
    r"4[0-9]{12}(?:[0-9]{3})?",
    r"[A-Za-z0-9._%+-]+@[A-Za-z0-9.-]+\.[A-Za-z]{2,}",
    r"a",
    r"a.*b",
    r"(?s)a.*b",
    r"[^a]",
    r"[^a]+",
    r"\D\S",
    r"(?-u:\b)a",
    r"a(?-u:\b)",
    r"(?-u:\B)a",
    r"^a",
    r"a$",
    r"(?m)^a",
    r"(?m)a$",
    r"\Aa|b\z",
    r"\ba",
    r"a\b",
    r"\Ba\B",
    r"a*",
    r"",
    r"a|",
    r"(?i)ä",
    r"\pL+",
    r"b+?a??",
    r"[45]{2,3}?",
    r"4(?:5|[0-9]{2,5}|a.b)",
    r"4[0-9]{2}(?:[0-9]{3})?",
    r"[45][0-9][0-9ab]{1,3}?",
    r"4[56]a|4[56]7|4[56]8b?",
    r"4[4-9]{7,9}",
    r"[45]4[0-9]{7}(?:a|4{3})?",
    r"4[45]{3}a[45]{4}",
    r"ä|ab{1,3}",
    r"@[^4]?",
    r"(ab|a)(b|c)*",
    r"\b{start}a",
    r"token=?[a-z]{0,4}4",
    r"to(?:ken)?.{0,9}a",
    r"(?:tok|@)[^4]*4",
    r"(?-u:\b{end-half})",
];

fn values() -> impl Strategy<Value = Vec<String>> {
    let digits = "[ab]?(?:4[4-9]{5,14}|[45]{4,30}|[45a]{0,30})[ab]?";
    let value = prop_oneof!["[ab]{0,4}", "[abcäÄ@. \n4-9]{0,20}", digits, Just(String::new()), "\\PC{0,6}"];
    prop::collection::vec(value, 0..40)
}

proptest! {
    #[test]
    fn finds_in_a_column_what_it_finds_in_each_value(
        values in values(),
        pattern in prop::sample::select(PATTERNS),
        words in prop::option::of(prop::collection::vec(any::<u64>(), 0..2)),
    ) {
        let compiled = Pattern::new(pattern).expect("a valid pattern");
        let haystack = haystack(&values);
        let selected = |i: usize| words.as_ref().is_none_or(|w| w.get(i / 64).is_some_and(|w| w >> (i % 64) & 1 == 1));
        prop_assert_eq!(compiled.find(&haystack, words.as_deref(), bounds()), Ok(one_by_one(pattern, &values, selected)));

        let regex = regex::Regex::new(pattern).expect("a valid pattern");
        let matching = compiled.is_match(&haystack, bounds()).expect("in time");
        for (i, value) in values.iter().enumerate() {
            prop_assert_eq!(matching[i / 64] >> (i % 64) & 1 == 1, regex.is_match(value), "{:?}", value);
        }
    }

    #[test]
    fn finds_the_same_in_one_go_in_stretches_and_in_steps(
        value in "[ab]?(?:token|4[4-9]{2,9}|[45a@]{0,9}|[abä@. \n]{0,9}){0,6}",
        pattern in prop::sample::select(PATTERNS),
        stretch in 1_usize..9,
    ) {
        let compiled = Pattern::new(pattern).expect("a valid pattern");
        let mut search = Search::new(&compiled, bounds());
        let text = value.as_bytes();
        for from in 0..=text.len() {
            let expected = compiled.find_at(text, from);
            if let Some(longest) = compiled.longest {
                let found = search.find_in_stretches(text, from, stretch, longest);
                prop_assert_eq!(found, Ok(expected.clone()), "{} in stretches from {}", pattern, from);
            }
            let found = search.find_in_steps(text, from);
            prop_assert_eq!(found, Ok(expected), "{} in steps from {}", pattern, from);
        }
    }

    #[test]
    fn any_pattern_finds_the_same_either_way(values in values(), pattern in "[ab^$.*+?|()\\[\\]@]{0,8}") {
        prop_assume!(regex::Regex::new(&pattern).is_ok());
        let compiled = Pattern::new(&pattern).expect("a valid pattern");
        prop_assert_eq!(compiled.find(&haystack(&values), None, bounds()), Ok(one_by_one(&pattern, &values, |_| true)));
    }
}

#[test]
fn searches_the_whole_column_where_that_is_safe() {
    let cases = [
        (r"4[0-9]{12}(?:[0-9]{3})?", true),
        (r"[A-Za-z0-9._%+-]+@[A-Za-z0-9.-]+\.[A-Za-z]{2,}", true),
        (r"a.*b", true),
        (r"[^a]", true),
        (r"(?-u:\b)4[0-9]{12}(?-u:\b)", true),
        (r"\b4[0-9]{12}\b", false),
        (r"^a", false),
        (r"(?m)a$", false),
        (r"a*", false),
    ];
    for (pattern, expected) in cases {
        assert_eq!(Pattern::new(pattern).expect("valid").whole_column, expected, "{pattern}");
    }
}

#[test]
fn refuses_a_pattern_and_says_where_it_is_wrong() {
    for (pattern, part) in
        [("a(", "unclosed group at character 2"), (r"(?-u:\xFF)", "invalid UTF-8"), (r"\p{Nope}", "Unicode property")]
    {
        let error = Pattern::new(pattern).expect_err("no valid pattern");
        assert!(error.contains(part), "{pattern}: {error}");
    }
}

#[test]
fn takes_as_much_memory_as_it_says_and_not_much_less() {
    let large = [r"[\s\S]{9000}a0", r"\w{200}\d{10}", r"(?:foo|bar|baz|quux){500}"];
    for pattern in PATTERNS.iter().chain(&large) {
        let compiled = Pattern::new(pattern).expect("a valid pattern");
        let of_crate = regex_automata::meta::Regex::new(pattern).expect("a valid pattern").memory_usage();
        let short = compiled.short.as_ref().map_or(0, |short| short.size_bytes());
        let bytes = |automaton: Option<&SteppedPattern>| automaton.map_or(0, |stepped| stepped.size_bytes());
        let stepped = if compiled.may_be_stepped() { bytes(compiled.stepped()) } else { 0 };
        let (takes, says) = (of_crate + short + stepped, compiled.size_bytes());
        assert!(takes <= says, "{pattern} takes {takes}, not {says}");
        assert!(says <= takes + takes / 5 + 2 * SMALL_AUTOMATA_BYTES, "{pattern} takes {takes}, not {says}");
    }
}

#[test]
fn refuses_texts_that_are_none() {
    for (offsets, bytes) in [(&[0, 2][..], &b"a"[..]), (&[1, 0], b"ab"), (&[0, 1, 2], "ä".as_bytes())] {
        assert!(Haystack::from_guest(offsets, bytes).is_err(), "{offsets:?}");
    }
    assert_eq!(Haystack::from_guest(&[], b"ab").expect("no text").len(), 0);
    assert_eq!(Haystack::from_guest(&[0, 1, 1, 2], b"ab").expect("three").value(2), b"b");
}

#[test]
fn finds_in_every_piece_of_a_long_column() {
    let values: Vec<String> = (0..10_000).map(|i| format!("{i} {}", "x".repeat(i % 50))).collect();
    let column = haystack(&values);
    assert!(column.pieces(0..values.len()).count() > 10);
    for pattern in ["9", "^9", "0 x"] {
        let compiled = Pattern::new(pattern).expect("valid");
        assert_eq!(compiled.find(&column, None, bounds()), Ok(one_by_one(pattern, &values, |_| true)), "{pattern}");
        let matching = compiled.is_match(&column, bounds()).expect("in time");
        let regex = regex::Regex::new(pattern).expect("valid");
        let expected = values.iter().filter(|value| regex.is_match(value)).count();
        assert_eq!(matching.iter().map(|word| word.count_ones() as usize).sum::<usize>(), expected, "{pattern}");
    }
}

/// Each search of this pattern goes to the end of the value, whose matches would take hours.
#[test]
fn looks_at_its_bounds_within_a_value() {
    let column = haystack(&["token=a1 ".repeat(100_000)]);
    for pattern in
        [r"token=[a-z0-9]+(?:.*;end)?", r"token=[a-z0-9]+(?:.*;end)?|^never", r"token=[a-z0-9]+(?:[^;]*;end)?"]
    {
        let compiled = Pattern::new(pattern).expect("valid");
        let started = Instant::now();
        let soon = Bounds { deadline: started + Duration::from_millis(20), ..bounds() };
        assert_eq!(compiled.find(&column, None, soon), Err(Overrun::Time), "{pattern}");
        assert!(started.elapsed() < Duration::from_secs(3), "{pattern} took {:?}", started.elapsed());
    }
    let few = Bounds { max_matches: 100, ..bounds() };
    assert_eq!(Pattern::new("t").expect("valid").find(&column, None, few), Err(Overrun::Matches(100)));
}

/// These have so many states at once that the regex crate takes microseconds for a byte.
#[test]
fn looks_at_its_bounds_within_a_search() {
    let begins = "-----BEGIN x\n".repeat(300_000);
    let letters: String =
        (0..4_000_000_u32).map(|i| if i.wrapping_mul(2_654_435_761) >> 31 == 0 { 'a' } else { 'b' }).collect();
    let cases = [
        (r"-----BEGIN[\s\S]{0,2000}END-----", &begins),
        (r"-----BEGIN[\s\S]{0,2000}END-----\b", &begins),
        (r"-----BEGIN[\s\S]{0,2000}END-----|^-----BEGINNING", &begins),
        (r"[ab]*a[ab]{300}c", &letters),
        (r"[ab]{1,9000}a[ab]{300}c", &letters),
    ];
    for (pattern, text) in cases {
        let column = haystack(std::slice::from_ref(text));
        let compiled = Pattern::new(pattern).expect("valid");
        let started = Instant::now();
        let soon = || Bounds { deadline: Instant::now() + Duration::from_millis(50), ..bounds() };
        assert_eq!(compiled.find(&column, None, soon()), Err(Overrun::Time), "{pattern}");
        assert_eq!(compiled.is_match(&column, soon()), Err(Overrun::Time), "{pattern}");
        assert!(started.elapsed() < Duration::from_secs(2), "{pattern} took {:?}", started.elapsed());
    }
}

#[test]
fn stops_at_its_bounds() {
    let column = haystack(&["aaa".to_owned(), "a".to_owned()]);
    for pattern in ["a", "a|^a"] {
        let compiled = Pattern::new(pattern).expect("valid");
        let late = Bounds { deadline: Instant::now(), ..bounds() };
        assert_eq!(compiled.find(&column, None, late), Err(Overrun::Time), "{pattern}");
        assert_eq!(compiled.is_match(&column, late), Err(Overrun::Time), "{pattern}");
        assert!(compiled.find(&column, None, Bounds { max_matches: 4, ..bounds() }).is_ok(), "{pattern}");
        let few = Bounds { max_matches: 3, ..bounds() };
        assert_eq!(compiled.find(&column, None, few), Err(Overrun::Matches(3)), "{pattern}");
    }
}
