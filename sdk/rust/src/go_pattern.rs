//! Patterns in Go's dialect (RE2), as the Collector's configurations have them, for the host's, which is Rust's.
//!
//! Both agree on nearly everything. Where they do not, Go counts: its `\d \w \s \b` know ASCII only, `{` that repeats
//! nothing is itself, `[`, `&&`, `--` and `~~` in a class are just characters, `\Q..\E` quotes, `\101` is the character
//! with that octal number, and `\p{^Greek}` is what `\P{Greek}` is.

mod class;

use std::iter::Peekable;
use std::str::CharIndices;

/// A pattern in the host's dialect.
#[derive(Debug, PartialEq, Eq)]
pub struct Translated {
    /// The pattern.
    pub pattern: String,
    /// Whether the pattern surely takes no notice of asterisks: it can't consume one, and it looks at no character
    /// beside its match. Unless it matches the empty text, it finds the same in a text whether or not parts elsewhere
    /// were replaced by asterisks.
    pub is_blind_to_mask: bool,
}

/// Translates a pattern. One that Go would refuse may come out as it is, or as another pattern that is refused.
///
/// # Errors
/// What is wrong, where Go would refuse the pattern and the host would take it for something else.
pub fn translate(pattern: &str) -> Result<Translated, String> {
    let mut translator =
        Translator { source: pattern, rest: pattern.char_indices().peekable(), out: String::new(), blind: true };
    match translator.run() {
        Ok(()) => Ok(Translated { pattern: translator.out, is_blind_to_mask: translator.blind }),
        Err(Stop::Refused(message)) => Err(message),
        Err(Stop::Unknown) => Ok(Translated { pattern: pattern.to_owned(), is_blind_to_mask: false }),
    }
}

/// Why a pattern is not translated to its end.
enum Stop {
    /// Nothing that this module understands: the host's compiler says what is wrong, if anything is.
    Unknown,
    Refused(String),
}

struct Translator<'a> {
    source: &'a str,
    rest: Peekable<CharIndices<'a>>,
    out: String,
    blind: bool,
}

/// What an escape sequence stands for.
enum Escape {
    /// One character.
    Char(char),
    /// Several, as the members of a class: digits, word characters, white space.
    Set(&'static str),
    /// All but those.
    NegatedSet(&'static str),
    /// Something that is passed on as it is: assertions, Unicode classes, mistakes.
    Other(char),
    /// Quoted text follows.
    Quote,
}

impl Translator<'_> {
    fn run(&mut self) -> Result<(), Stop> {
        while let Some((at, c)) = self.rest.next() {
            match c {
                '\\' => self.escape()?,
                '[' => self.class()?,
                '(' => self.group()?,
                '{' if !is_repetition(&self.source[at..]) => self.out.push_str("\\{"),
                '.' | '^' | '$' => self.sees(c),
                _ => self.out.push(c),
            }
        }
        Ok(())
    }

    fn next(&mut self) -> Result<(usize, char), Stop> {
        self.rest.next().ok_or(Stop::Unknown)
    }

    /// Copies something that may take notice of an asterisk.
    fn sees(&mut self, c: char) {
        self.blind = false;
        self.out.push(c);
    }

    /// Writes one character that stands for itself.
    fn literal(&mut self, c: char) {
        self.blind &= c != '*';
        if r"\.+*?()|[]{}^$#&-~".contains(c) {
            self.out.push('\\');
        }
        self.out.push(c);
    }

    fn escape(&mut self) -> Result<(), Stop> {
        match self.read_escape()? {
            Escape::Char(c) => self.literal(c),
            Escape::Set(members) => {
                self.out.extend(["[", members, "]"]);
            }
            Escape::NegatedSet(members) => {
                self.blind = false;
                self.out.extend(["[^", members, "]"]);
            }
            Escape::Other('b') => {
                self.blind = false;
                self.out.push_str("(?-u:\\b)");
            }
            Escape::Other(c) => return self.other(c),
            Escape::Quote => self.quote(),
        }
        Ok(())
    }

    /// Copies what stands before `\E`, or before the end.
    fn quote(&mut self) {
        while let Some((at, c)) = self.rest.next() {
            if self.source[at..].starts_with("\\E") {
                self.rest.next();
                return;
            }
            self.literal(c);
        }
    }

    /// Reads what follows a backslash.
    fn read_escape(&mut self) -> Result<Escape, Stop> {
        let (at, c) = self.next()?;
        Ok(match c {
            'd' => Escape::Set("0-9"),
            'w' => Escape::Set("0-9A-Za-z_"),
            's' => Escape::Set("\\t\\n\\f\\r "),
            'D' => Escape::NegatedSet("0-9"),
            'W' => Escape::NegatedSet("0-9A-Za-z_"),
            'S' => Escape::NegatedSet("\\t\\n\\f\\r "),
            'Q' => Escape::Quote,
            'a' => Escape::Char('\x07'),
            'f' => Escape::Char('\x0c'),
            'n' => Escape::Char('\n'),
            'r' => Escape::Char('\r'),
            't' => Escape::Char('\t'),
            'v' => Escape::Char('\x0b'),
            'x' => self.hexadecimal().map_or(Escape::Other(c), Escape::Char),
            '0'..='7' => self.octal(at, c).map_or(Escape::Other(c), Escape::Char),
            _ if c.is_ascii() && !c.is_ascii_alphanumeric() => Escape::Char(c),
            _ => Escape::Other(c),
        })
    }

    /// Reads `41` or `{1F600}`; nothing if neither follows.
    fn hexadecimal(&mut self) -> Option<char> {
        let at = self.rest.peek()?.0;
        let rest = &self.source[at..];
        let (digits, size) = match rest.strip_prefix('{') {
            Some(braced) => braced.find('}').map(|end| (&braced[..end], end + 2))?,
            None => (rest.get(..2)?, 2),
        };
        if !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
            return None;
        }
        let c = char::from_u32(u32::from_str_radix(digits, 16).ok()?)?;
        self.skip_to(at + size);
        Some(c)
    }

    /// Reads an octal number: up to three digits after a zero, exactly as Go does. A single digit but zero would be
    /// a reference back.
    fn octal(&mut self, at: usize, first: char) -> Option<char> {
        let digits = &self.source[at..];
        let length = digits.bytes().take(3).take_while(|digit| matches!(digit, b'0'..=b'7')).count();
        if first != '0' && length == 1 {
            return None;
        }
        self.skip_to(at + length);
        char::from_u32(u32::from_str_radix(&digits[..length], 8).ok()?)
    }

    /// Copies an escape that both dialects read alike, with the name of the class behind `\p`: a letter, which begins no
    /// range, or a name in braces.
    fn other(&mut self, c: char) -> Result<(), Stop> {
        self.out.push('\\');
        if !matches!(c, 'p' | 'P') {
            self.sees(c);
            return Ok(());
        }
        let (_, first) = self.next()?;
        let is_negated = first == '{' && self.rest.next_if(|&(_, c)| c == '^').is_some();
        self.sees(if is_negated == (c == 'p') { 'P' } else { 'p' });
        self.out.push(first);
        if first != '{' {
            return Ok(());
        }
        for (_, c) in self.rest.by_ref() {
            self.out.push(c);
            if c == '}' {
                return Ok(());
            }
        }
        Err(Stop::Unknown)
    }

    fn skip_to(&mut self, end: usize) {
        while self.rest.next_if(|&(at, _)| at < end).is_some() {}
    }

    /// Copies the head of a group: flags or a name.
    fn group(&mut self) -> Result<(), Stop> {
        self.out.push('(');
        if self.rest.next_if(|&(_, c)| c == '?').is_none() {
            return Ok(());
        }
        self.out.push('?');
        let mut is_name = false;
        for (_, c) in self.rest.by_ref() {
            self.out.push(c);
            match c {
                ':' | ')' if !is_name => return Ok(()),
                '>' if is_name => return Ok(()),
                '<' => is_name = true,
                'i' | 'm' | 's' | 'U' | '-' | 'P' => {}
                _ if is_name => {}
                // It may change how the rest reads.
                'x' | 'u' | 'R' => return Err(Stop::Refused(format!("(?{c}) is no flag; there are i, m, s and U"))),
                _ => return Err(Stop::Unknown),
            }
        }
        Err(Stop::Unknown)
    }
}

/// Whether a text starts with `{2}`, `{2,}` or `{2,3}`. Numbers that begin with a needless zero are none in Go.
fn is_repetition(text: &str) -> bool {
    let Some((inner, _)) = text[1..].split_once('}') else { return false };
    let (least, most) = inner.split_once(',').unwrap_or((inner, ""));
    let is_number =
        |text: &str| text.bytes().all(|digit| digit.is_ascii_digit()) && (text.len() < 2 || !text.starts_with('0'));
    !least.is_empty() && is_number(least) && is_number(most)
}

#[cfg(test)]
mod tests;
