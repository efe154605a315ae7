//! E-mail addresses, also with the at sign in percent-encoding; the domain may be kept.

use std::ops::Range;

/// Matches wherever an at sign stands.
pub(super) const CANDIDATE: &str = "@|%40";

/// The byte ranges to mask, ascending and disjoint: whole addresses, or only the parts before the at sign.
pub(super) fn find(text: &str, keep_domain: bool) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    let mut free = 0;
    let mut at = 0;
    while let Some((sign, length)) = next_at_sign(text, at) {
        at = sign + length;
        let start = local_part_start(text, free, sign);
        let Some(end) = domain_end(text, at).filter(|_| start < sign) else { continue };
        found.push(start..if keep_domain { sign } else { end });
        free = end;
        at = end;
    }
    found
}

/// Position and length of the first at sign at or behind byte `from`.
fn next_at_sign(text: &str, from: usize) -> Option<(usize, usize)> {
    let rest = text.get(from..)?;
    let plain = rest.find('@').map(|at| (from + at, 1));
    let encoded = rest[..plain.map_or(rest.len(), |(at, _)| at - from)].find("%40").map(|at| (from + at, 3));
    encoded.or(plain)
}

/// Where the local part that ends at `sign` starts, at byte `free` or later.
fn local_part_start(text: &str, free: usize, sign: usize) -> usize {
    let part = &text[free..sign];
    let length: usize = part.chars().rev().take_while(|&c| is_local(c)).map(char::len_utf8).sum();
    let local = &part[part.len() - length..];
    // A quotation mark in front is none of it, unlike the one in O'Brien.
    sign - local.trim_start_matches('\'').len()
}

fn is_local(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '.' | '_' | '%' | '+' | '-' | '\'')
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
