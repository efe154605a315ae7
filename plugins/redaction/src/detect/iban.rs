//! International bank account numbers: country, its length, and the remainder modulo 97 (ISO 13616, ISO 7064).

use std::ops::Range;

/// Lengths by country, from SWIFT's IBAN registry.
#[rustfmt::skip]
const LENGTHS: [(&[u8; 2], usize); 89] = [
    (b"AD", 24), (b"AE", 23), (b"AL", 28), (b"AT", 20), (b"AZ", 28), (b"BA", 20), (b"BE", 16), (b"BG", 22),
    (b"BH", 22), (b"BI", 27), (b"BR", 29), (b"BY", 28), (b"CH", 21), (b"CR", 22), (b"CY", 28), (b"CZ", 24),
    (b"DE", 22), (b"DJ", 27), (b"DK", 18), (b"DO", 28), (b"EE", 20), (b"EG", 29), (b"ES", 24), (b"FI", 18),
    (b"FK", 18), (b"FO", 18), (b"FR", 27), (b"GB", 22), (b"GE", 22), (b"GI", 23), (b"GL", 18), (b"GR", 27),
    (b"GT", 28), (b"HN", 28), (b"HR", 21), (b"HU", 28), (b"IE", 22), (b"IL", 23), (b"IQ", 23), (b"IS", 26),
    (b"IT", 27), (b"JO", 30), (b"KW", 30), (b"KZ", 20), (b"LB", 28), (b"LC", 32), (b"LI", 21), (b"LT", 20),
    (b"LU", 20), (b"LV", 21), (b"LY", 25), (b"MC", 27), (b"MD", 24), (b"ME", 22), (b"MK", 19), (b"MN", 20),
    (b"MR", 27), (b"MT", 31), (b"MU", 30), (b"NI", 28), (b"NL", 18), (b"NO", 15), (b"OM", 23), (b"PK", 24),
    (b"PL", 28), (b"PS", 29), (b"PT", 25), (b"QA", 29), (b"RO", 24), (b"RS", 22), (b"RU", 33), (b"SA", 24),
    (b"SC", 31), (b"SD", 18), (b"SE", 24), (b"SI", 19), (b"SK", 24), (b"SM", 27), (b"SO", 23), (b"ST", 25),
    (b"SV", 28), (b"TL", 23), (b"TN", 24), (b"TR", 26), (b"UA", 29), (b"VA", 22), (b"VG", 24), (b"XK", 20),
    (b"YE", 30),
];

/// Matches wherever a country code, two check digits and eleven more characters (Norway, the shortest) may stand. Without
/// the list of countries it would match in most sentences that have a number.
pub(super) fn candidate() -> String {
    let countries: Vec<String> =
        LENGTHS.iter().map(|([first, second], _)| format!("{}[ -]?{}", *first as char, *second as char)).collect();
    format!("(?i-u:{})(?:[ -]?[0-9]){{2}}(?:[ -]?[0-9A-Za-z]){{11}}", countries.join("|"))
}

/// The byte ranges of all account numbers in `text`, ascending and disjoint.
pub(super) fn find(text: &str) -> Vec<Range<usize>> {
    let bytes = text.as_bytes();
    let mut found = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        let end = length_at(bytes, at).and_then(|length| check(&bytes[at..], length));
        if let Some(length) = end {
            found.push(at..at + length);
        }
        at += end.unwrap_or(1);
    }
    found
}

/// How many characters an account number would have that starts here; none if none starts here.
fn length_at(text: &[u8], at: usize) -> Option<usize> {
    let mut head = characters(&text[at..]);
    let ((first, _), (second, _)) = (head.next()?, head.next()?);
    let ((tens, _), (units, length)) = (head.next()?, head.next()?);
    let same_case = first.is_ascii_uppercase() == second.is_ascii_uppercase();
    if !same_case || !tens.is_ascii_digit() || !units.is_ascii_digit() {
        return None;
    }
    // "is 32" and "at 65" stand in sentences.
    let begins_word = || at == 0 || !text[at - 1].is_ascii_alphanumeric();
    if length > 4 && !(first.is_ascii_uppercase() && begins_word()) {
        return None;
    }
    let country = [first.to_ascii_uppercase(), second.to_ascii_uppercase()];
    LENGTHS.binary_search_by(|(code, _)| (*code).cmp(&country)).ok().map(|index| LENGTHS[index].1)
}

/// The letters and digits that a text starts with, each with the position behind it. There may be a single space or dash
/// between two.
fn characters(text: &[u8]) -> impl Iterator<Item = (u8, usize)> {
    let mut at = 0;
    std::iter::from_fn(move || {
        if at > 0 && matches!(text.get(at), Some(b' ' | b'-')) {
            at += 1;
        }
        let character = *text.get(at).filter(|byte| byte.is_ascii_alphanumeric())?;
        at += 1;
        Some((character, at))
    })
}

/// Checks the account number of `length` characters that starts here. Returns its length in bytes, separators included.
fn check(text: &[u8], length: usize) -> Option<usize> {
    let mut account = [0_u8; 33];
    let mut end = 0;
    let mut characters = characters(text);
    for character in &mut account[..length] {
        (*character, end) = characters.next()?;
    }
    let rearranged = account[4..length].iter().chain(&account[..4]);
    let remainder = rearranged.fold(0_u32, |remainder, &character| match character {
        b'0'..=b'9' => (remainder * 10 + u32::from(character - b'0')) % 97,
        letter => (remainder * 100 + u32::from(letter.to_ascii_uppercase() - b'A') + 10) % 97,
    });
    (remainder == 1).then_some(end)
}
