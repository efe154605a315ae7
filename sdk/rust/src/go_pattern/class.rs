//! The part of the translation that concerns classes in brackets.

use super::{Escape, Stop, Translator};

/// Named classes without an asterisk.
const BLIND_NAMES: [&str; 10] =
    ["alnum", "alpha", "blank", "cntrl", "digit", "lower", "space", "upper", "word", "xdigit"];
/// All others.
const SEEING_NAMES: [&str; 4] = ["ascii", "graph", "print", "punct"];

impl Translator<'_> {
    /// Translates a class whose opening bracket was read.
    pub(super) fn class(&mut self) -> Result<(), Stop> {
        self.out.push('[');
        if self.rest.next_if(|&(_, c)| c == '^').is_some() {
            self.sees('^');
        }
        let mut is_first = true;
        loop {
            let (at, c) = self.next()?;
            match c {
                ']' if !is_first => break,
                '[' if self.name(at)? => {}
                _ => self.member(c)?,
            }
            is_first = false;
        }
        self.out.push(']');
        Ok(())
    }

    /// Copies a name such as `[:alpha:]` if one stands at byte `at`. Any other would be a class of its letters for the
    /// host.
    fn name(&mut self, at: usize) -> Result<bool, Stop> {
        let Some((name, _)) = self.source[at..].strip_prefix("[:").and_then(|rest| rest.split_once(":]")) else {
            return Ok(false);
        };
        let class = name.strip_prefix('^').unwrap_or(name);
        if !BLIND_NAMES.contains(&class) && !SEEING_NAMES.contains(&class) {
            let known = [&BLIND_NAMES[..], &SEEING_NAMES].concat().join(", ");
            return Err(Stop::Refused(format!("[:{name}:] is no class of characters; there are {known}")));
        }
        self.blind &= BLIND_NAMES.contains(&name);
        self.out.extend(["[:", name, ":]"]);
        self.skip_to(at + name.len() + 4);
        Ok(true)
    }

    /// Translates one character, one range or one escape sequence that stands for several characters.
    fn member(&mut self, c: char) -> Result<(), Stop> {
        let first = match c {
            '\\' => match self.read_escape()? {
                Escape::Char(c) => c,
                Escape::Set(members) => {
                    self.out.push_str(members);
                    return Ok(());
                }
                Escape::NegatedSet(members) => {
                    self.blind = false;
                    self.out.extend(["[^", members, "]"]);
                    return Ok(());
                }
                Escape::Other(c) => return self.other(c),
                Escape::Quote => return Err(Stop::Unknown),
            },
            c => c,
        };
        let Some(last) = self.range_end()? else {
            self.literal(first);
            return Ok(());
        };
        self.blind &= !(first..=last).contains(&'*');
        self.literal(first);
        self.out.push('-');
        self.literal(last);
        Ok(())
    }

    /// Reads a dash and the character behind it, if both are there. A dash before the closing bracket is itself.
    fn range_end(&mut self) -> Result<Option<char>, Stop> {
        let mut ahead = self.rest.clone();
        if !matches!((ahead.next(), ahead.next()), (Some((_, '-')), Some((_, c))) if c != ']') {
            return Ok(None);
        }
        self.rest.next();
        match self.next()?.1 {
            '\\' => match self.read_escape()? {
                Escape::Char(c) => Ok(Some(c)),
                // Go refuses such a range.
                _ => Err(Stop::Unknown),
            },
            c => Ok(Some(c)),
        }
    }
}
