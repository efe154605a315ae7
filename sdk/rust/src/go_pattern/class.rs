//! The part of the translation that concerns classes in brackets.

use super::{Escape, Translator};

/// Named classes without an asterisk.
const BLIND_NAMES: [&str; 9] = ["alnum", "alpha", "blank", "cntrl", "digit", "lower", "space", "upper", "word"];

impl Translator<'_> {
    /// Translates a class whose opening bracket was read.
    pub(super) fn class(&mut self) -> Option<()> {
        self.out.push('[');
        if self.rest.next_if(|&(_, c)| c == '^').is_some() {
            self.sees('^');
        }
        let mut is_first = true;
        loop {
            let (at, c) = self.rest.next()?;
            match c {
                ']' if !is_first => break,
                '[' if self.name(at) => {}
                _ => self.member(c)?,
            }
            is_first = false;
        }
        self.out.push(']');
        Some(())
    }

    /// Copies a name such as `[:alpha:]` if one stands at byte `at`.
    fn name(&mut self, at: usize) -> bool {
        let Some((name, _)) = self.source[at..].strip_prefix("[:").and_then(|rest| rest.split_once(":]")) else {
            return false;
        };
        if !name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'^') {
            return false;
        }
        self.blind &= BLIND_NAMES.contains(&name) || name == "xdigit";
        self.out.extend(["[:", name, ":]"]);
        self.skip_to(at + name.len() + 4);
        true
    }

    /// Translates one character, one range or one escape sequence that stands for several characters.
    fn member(&mut self, c: char) -> Option<()> {
        let first = match c {
            '\\' => match self.read_escape()? {
                Escape::Char(c) => c,
                Escape::Set(members) => {
                    self.out.push_str(members);
                    return Some(());
                }
                Escape::NegatedSet(members) => {
                    self.blind = false;
                    self.out.extend(["[^", members, "]"]);
                    return Some(());
                }
                Escape::Other(c) => return self.other(c),
                Escape::Quote => return None,
            },
            c => c,
        };
        let Some(last) = self.range_end()? else {
            self.literal(first);
            return Some(());
        };
        self.blind &= !(first..=last).contains(&'*');
        self.literal(first);
        self.out.push('-');
        self.literal(last);
        Some(())
    }

    /// Reads a dash and the character behind it, if both are there. A dash before the closing bracket is itself.
    fn range_end(&mut self) -> Option<Option<char>> {
        let mut ahead = self.rest.clone();
        if !matches!((ahead.next(), ahead.next()), (Some((_, '-')), Some((_, c))) if c != ']') {
            return Some(None);
        }
        self.rest.next();
        match self.rest.next()?.1 {
            '\\' => match self.read_escape()? {
                Escape::Char(c) => Some(Some(c)),
                // Go refuses such a range.
                _ => None,
            },
            c => Some(Some(c)),
        }
    }
}
