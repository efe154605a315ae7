//! E-mail addresses, also with the at sign in percent-encoding; the domain may be kept.

use std::ops::Range;

/// Matches wherever an at sign stands.
pub(super) const CANDIDATE: &str = "@|%40";

/// What may be part of an address, and may as well stand in front of one.
const MARKS: [char; 4] = ['\'', '!', '#', '$'];

/// The byte ranges to mask, ascending and disjoint: whole addresses, or only the parts before the at sign.
pub(super) fn find(text: &str, keep_domain: bool) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    let mut before = LocalPart { start: 0, end: 0 };
    while let Some((sign, length)) = next_at_sign(text, before.end) {
        let local = before.extend(text, sign);
        let at = sign + length;
        before = match domain_end(text, at).filter(|_| local.start < sign) {
            Some(end) => {
                found.push(local.start..if keep_domain { sign } else { end });
                LocalPart { start: end, end }
            }
            // Percent-encoded, the sign can be part of a longer local part.
            None => local.extend(text, at),
        };
    }
    found
}

/// Position and length of the first at sign at or behind byte `from`.
fn next_at_sign(text: &str, from: usize) -> Option<(usize, usize)> {
    let mut signs = text[from..].match_indices(['@', '%']).map(|(at, sign)| (from + at, sign));
    let length = |at: usize, sign: &str| match sign {
        "@" => Some(1),
        _ => text[at..].starts_with("%40").then_some(3),
    };
    signs.find_map(|(at, sign)| Some((at, length(at, sign)?)))
}

/// The characters in front of byte `end` that can be a local part, from byte `start` on; maybe none.
#[derive(Clone, Copy)]
struct LocalPart {
    start: usize,
    end: usize,
}

impl LocalPart {
    /// The one in front of a later byte. No byte in front of `self.end` is looked at again, however many at signs follow.
    fn extend(self, text: &str, end: usize) -> Self {
        let part = &text[self.end..end];
        let length: usize = part.chars().rev().take_while(|&c| is_local(c)).map(char::len_utf8).sum();
        if length == part.len() && self.start < self.end {
            return Self { start: self.start, end };
        }
        let local = &part[part.len() - length..];
        // A quotation mark in front is none of it, unlike the one in O'Brien; nor is other markup, or a mask.
        Self { start: end - local.trim_start_matches(MARKS).len(), end }
    }
}

/// The characters of RFC 5322, and letters of all scripts. Without `/=?&`: in URLs these stand in front of addresses.
fn is_local(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '.' | '_' | '%' | '+' | '-') || MARKS.contains(&c)
}

/// The end of the domain that starts at `from`: labels with dots between them, the last one of two letters or more.
fn domain_end(text: &str, from: usize) -> Option<usize> {
    let rest = text.get(from..)?;
    let length: usize =
        rest.chars().take_while(|&c| c.is_alphanumeric() || matches!(c, '.' | '-')).map(char::len_utf8).sum();
    let domain = &rest[..length];
    domain.rmatch_indices('.').filter(|&(dot, _)| dot > 0).find_map(|(dot, _)| {
        let letters = domain[dot + 1..].chars().take_while(|c| c.is_alphabetic());
        let (count, size) = letters.fold((0, 0), |(count, size), c| (count + 1, size + c.len_utf8()));
        (count >= 2).then_some(from + dot + 1 + size)
    })
}
