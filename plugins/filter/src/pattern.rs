//! Rewrites a pattern from Go's syntax to that of the host's regex engine, where the two differ.
//!
//! Both come from RE2 and agree on nearly everything. What differs: in Go `\d`, `\w`, `\s` and `\b` know ASCII only;
//! `\Q..\E` quotes; `[` and `&` are plain characters inside a class, and `--` is no difference of two; a `{` that starts
//! no repetition is a plain character; `\<` is one too; `\101` is the character with that octal number.

/// Translates a pattern.
pub(crate) fn from_go(pattern: &str) -> String {
    let mut writer =
        Writer { rest: pattern, out: String::with_capacity(pattern.len() + 16), class: false, place: Place::First };
    while let Some(next) = writer.rest.chars().next() {
        writer.step(next);
    }
    writer.out
}

struct Writer<'a> {
    rest: &'a str,
    out: String,
    /// Whether we stand inside brackets.
    class: bool,
    /// Where in a range, there.
    place: Place,
}

/// What comes next inside brackets.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    /// A member, perhaps the first of a range.
    First,
    /// A hyphen, if the member before it is the first of a range.
    Hyphen,
    /// The last of a range.
    Last,
}

impl Writer<'_> {
    fn step(&mut self, next: char) {
        if self.class && next == '-' {
            return self.hyphen();
        }
        if self.class {
            self.place = if self.place == Place::Last { Place::First } else { Place::Hyphen };
        }
        match next {
            '\\' => self.escape(),
            '[' if self.class => self.bracket_in_class(),
            '[' => self.open_class(),
            ']' if self.class => {
                self.class = false;
                self.copy(1);
            }
            '&' | '~' if self.class => self.replace(1, if next == '&' { "\\&" } else { "\\~" }),
            '{' if !self.class && !starts_repetition(self.rest) => self.replace(1, "\\{"),
            other => self.copy(other.len_utf8()),
        }
    }

    fn copy(&mut self, length: usize) {
        let (taken, rest) = self.rest.split_at(length);
        self.out.push_str(taken);
        self.rest = rest;
    }

    fn replace(&mut self, length: usize, with: &str) {
        self.out.push_str(with);
        self.rest = &self.rest[length..];
    }

    /// Between two members it makes a range; elsewhere it is a member itself.
    fn hyphen(&mut self) {
        if self.place == Place::Hyphen && !self.rest[1..].starts_with(']') {
            self.place = Place::Last;
            return self.copy(1);
        }
        self.place = if self.place == Place::Last { Place::First } else { Place::Hyphen };
        self.replace(1, "\\-");
    }

    fn open_class(&mut self) {
        (self.class, self.place) = (true, Place::First);
        self.copy(1);
        if self.rest.starts_with('^') {
            self.copy(1);
        }
        // A bracket in first place is a member of the class.
        if self.rest.starts_with(']') {
            self.place = Place::Hyphen;
            self.replace(1, "\\]");
        }
    }

    fn bracket_in_class(&mut self) {
        match self.rest.strip_prefix("[:").and_then(|name| name.find(":]")) {
            Some(length) => {
                self.place = Place::First;
                self.copy(length + 4);
            }
            None => self.replace(1, "\\["),
        }
    }

    fn escape(&mut self) {
        let Some(kind) = self.rest[1..].chars().next() else { return self.copy(1) };
        if matches!(kind, 'd' | 'w' | 's' | 'D' | 'W' | 'S' | 'p' | 'P') {
            self.place = Place::First; // several characters begin no range
        }
        let (inside, outside) = match kind {
            'd' => ("0-9", "[0-9]"),
            'w' => ("0-9A-Za-z_", "[0-9A-Za-z_]"),
            's' => ("\\t\\n\\f\\r ", "[\\t\\n\\f\\r ]"),
            'D' => ("[^0-9]", "[^0-9]"),
            'W' => ("[^0-9A-Za-z_]", "[^0-9A-Za-z_]"),
            'S' => ("[^\\t\\n\\f\\r ]", "[^\\t\\n\\f\\r ]"),
            'b' if !self.class => ("", "(?-u:\\b)"),
            '<' => ("<", "<"),
            '>' => (">", ">"),
            'Q' if !self.class => return self.quotation(),
            'x' | 'p' | 'P' if self.rest[2..].starts_with('{') => {
                return self.copy(self.rest.find('}').map_or(self.rest.len(), |end| end + 1));
            }
            'p' | 'P' => return self.escape_of(1),
            'x' => return self.escape_of(2),
            '0'..='7' => return self.octal(),
            other => return self.copy(1 + other.len_utf8()),
        };
        self.replace(2, if self.class { inside } else { outside });
    }

    /// Copies an escape that has so many characters behind its letter.
    fn escape_of(&mut self, characters: usize) {
        let size: usize = self.rest[2..].chars().take(characters).map(char::len_utf8).sum();
        self.copy(2 + size);
    }

    /// Up to three octal digits are the number of a character. A single one but zero would be a reference back.
    fn octal(&mut self) {
        let digits = &self.rest[1..];
        let length = digits.bytes().take(3).take_while(|digit| matches!(digit, b'0'..=b'7')).count();
        match u32::from_str_radix(&digits[..length], 8) {
            Ok(number) if length > 1 || number == 0 => self.replace(1 + length, &format!("\\x{{{number:x}}}")),
            _ => self.copy(1 + length),
        }
    }

    /// Everything up to `\E` is meant literally.
    fn quotation(&mut self) {
        let text = &self.rest[2..];
        let (quoted, after) = match text.find("\\E") {
            Some(end) => (&text[..end], &text[end + 2..]),
            None => (text, ""),
        };
        for character in quoted.chars() {
            if character.is_ascii_punctuation() && !matches!(character, '<' | '>' | '_') {
                self.out.push('\\');
            }
            self.out.push(character);
        }
        self.rest = after;
    }
}

/// Whether the text starts with `{n}`, `{n,}` or `{n,m}`. Numbers that begin with a needless zero are none in Go.
fn starts_repetition(text: &str) -> bool {
    let Some(end) = text.find('}') else { return false };
    let (least, most) = match text[1..end].split_once(',') {
        Some((least, most)) => (least, most),
        None => (&text[1..end], ""),
    };
    let is_number = |text: &str| text.bytes().all(|b| b.is_ascii_digit()) && (text.len() < 2 || !text.starts_with('0'));
    !least.is_empty() && is_number(least) && is_number(most)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn translates_only_what_differs() {
        let cases = [
            (r"^/health(z)?$", r"^/health(z)?$"),
            (r"\d+\.\d{2,3}", r"[0-9]+\.[0-9]{2,3}"),
            (r"[\d.]+", r"[0-9.]+"),
            (r"^[+--]$", r"^[+-\-]$"),
            (r"[a-z0-9--]", r"[a-z0-9\-\-]"),
            (r"[%--/]", r"[%-\-/]"),
            (r"[--/]", r"[\--/]"),
            (r"[^-a]", r"[^\-a]"),
            (r"[a-]", r"[a\-]"),
            (r"[a-c-e]", r"[a-c\-e]"),
            (r"[\d-x]", r"[0-9\-x]"),
            (r"[[:alpha:]-]", r"[[:alpha:]\-]"),
            (r"[]-a]-[\--\.]", r"[\]-a]-[\--\.]"),
            (r"[^\w]", r"[^0-9A-Za-z_]"),
            (r"[^\D]", r"[^[^0-9]]"),
            (r"\bGET\b", r"(?-u:\b)GET(?-u:\b)"),
            (r"\Qa.b\E+", r"a\.b+"),
            (r"\Qa<b", r"a<b"),
            (r"[[:alpha:][]", r"[[:alpha:]\[]"),
            (r"[]a]", r"[\]a]"),
            (r"[^]a]", r"[^\]a]"),
            (r"[a&&b]", r"[a\&\&b]"),
            (r"{id}", r"\{id}"),
            (r"a{,3}", r"a\{,3}"),
            (r"a{3}{x", r"a{3}\{x"),
            (r"a{01}{1,02}{0}", r"a\{01}\{1,02}{0}"),
            (r"[\pL\pN-_.]+@\PL-", r"[\pL\pN\-_.]+@\PL-"),
            (r"\0\1018\777\018", r"\x{0}\x{41}8\x{1ff}\x{1}8"),
            (r"[\0-\37-9]", r"[\x{0}-\x{1f}\-9]"),
            (r"[*-\x41--z]", r"[*-\x41\--z]"),
            (r"\1\18", r"\1\18"),
            ("[[:]a:", r"[\[:]a:"),
            ("[[:alpha:]:]", "[[:alpha:]:]"),
            (r"\p", r"\p"),
            (r"\<tag\>", r"<tag>"),
            (r"\p{Greek}\x{1F600}", r"\p{Greek}\x{1F600}"),
            ("größe", "größe"),
            (r"a\", r"a\"),
        ];
        for (go, expected) in cases {
            assert_eq!(from_go(go), expected, "{go}");
        }
    }
}
