//! Splits a condition into tokens.

use super::{Arithmetic, Comparison, Mistake};

/// A token and the column where it starts.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Spanned {
    pub(super) column: usize,
    pub(super) token: Token,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Token {
    /// Starts with a lower case letter: a segment of a path, or an argument's name.
    Lower(String),
    /// Starts with an upper case letter: a function or a symbol.
    Upper(String),
    Text(String),
    Integer(i64),
    Double(f64),
    Bytes(Vec<u8>),
    Compare(Comparison),
    Arithmetic(Arithmetic),
    And,
    Or,
    Not,
    True,
    False,
    Nil,
    /// One of `( ) [ ] { } , . : =`.
    Mark(char),
    End,
}

/// Splits `text` into tokens; the last one is `End`.
pub(super) fn tokens(text: &str) -> Result<Vec<Spanned>, Mistake> {
    let mut lexer = Lexer { rest: text, column: 1 };
    let mut found = Vec::new();
    loop {
        lexer.skip_space();
        let column = lexer.column;
        let token = lexer.next()?;
        let end = token == Token::End;
        found.push(Spanned { column, token });
        if end {
            return Ok(found);
        }
    }
}

struct Lexer<'a> {
    rest: &'a str,
    column: usize,
}

impl<'a> Lexer<'a> {
    fn skip_space(&mut self) {
        let length = self.rest.len() - self.rest.trim_start().len();
        self.take(length);
    }

    /// Moves on by `length` bytes and returns them.
    fn take(&mut self, length: usize) -> &'a str {
        let (taken, rest) = self.rest.split_at(length);
        self.rest = rest;
        self.column += taken.chars().count();
        taken
    }

    fn mistake<T>(&self, message: impl Into<String>) -> Result<T, Mistake> {
        Err(Mistake::new(self.column, message))
    }

    fn next(&mut self) -> Result<Token, Mistake> {
        let Some(first) = self.rest.chars().next() else { return Ok(Token::End) };
        let second = self.rest[first.len_utf8()..].chars().next();
        match first {
            '"' => self.text(),
            '0'..='9' => self.number(),
            '.' if second.is_some_and(|c| c.is_ascii_digit()) => self.number(),
            'a'..='z' | 'A'..='Z' => Ok(self.word()),
            '=' | '!' | '<' | '>' => self.comparison(second),
            '+' => Ok(self.single(Token::Arithmetic(Arithmetic::Add))),
            '-' => Ok(self.single(Token::Arithmetic(Arithmetic::Subtract))),
            '*' => Ok(self.single(Token::Arithmetic(Arithmetic::Multiply))),
            '/' => Ok(self.single(Token::Arithmetic(Arithmetic::Divide))),
            '(' | ')' | '[' | ']' | '{' | '}' | ',' | '.' | ':' => Ok(self.single(Token::Mark(first))),
            '\'' => self.mistake("strings stand in double quotes"),
            '&' => self.mistake("unexpected `&`; write `and`"),
            '|' => self.mistake("unexpected `|`; write `or`"),
            other => self.mistake(format!("unexpected `{other}`")),
        }
    }

    fn single(&mut self, token: Token) -> Token {
        self.take(1);
        token
    }

    fn comparison(&mut self, second: Option<char>) -> Result<Token, Mistake> {
        let first = self.rest.as_bytes()[0];
        let (length, comparison) = match (first, second) {
            (b'=', Some('=')) => (2, Comparison::Equal),
            (b'!', Some('=')) => (2, Comparison::NotEqual),
            (b'<', Some('=')) => (2, Comparison::LessOrEqual),
            (b'>', Some('=')) => (2, Comparison::GreaterOrEqual),
            (b'<', _) => (1, Comparison::Less),
            (b'>', _) => (1, Comparison::Greater),
            (b'=', _) => return Ok(self.single(Token::Mark('='))),
            _ => return self.mistake("unexpected `!`; write `not`"),
        };
        self.take(length);
        Ok(Token::Compare(comparison))
    }

    fn word(&mut self) -> Token {
        let length =
            self.rest.bytes().position(|b| !(b.is_ascii_alphanumeric() || b == b'_')).unwrap_or(self.rest.len());
        let word = self.take(length);
        match word {
            "and" => Token::And,
            "or" => Token::Or,
            "not" => Token::Not,
            "true" => Token::True,
            "false" => Token::False,
            "nil" => Token::Nil,
            _ if word.starts_with(|c: char| c.is_ascii_uppercase()) => Token::Upper(word.to_owned()),
            _ => Token::Lower(word.to_owned()),
        }
    }

    fn number(&mut self) -> Result<Token, Mistake> {
        if let Some(digits) = self.rest.strip_prefix("0x") {
            let length = count(digits, |b| b.is_ascii_hexdigit());
            if length == 0 || length % 2 == 1 {
                return self.mistake("bytes are written as `0x` and an even number of hexadecimal digits");
            }
            let bytes = hexadecimal(&digits[..length]);
            self.take(2 + length);
            return Ok(Token::Bytes(bytes));
        }
        let whole = count(self.rest, |b| b.is_ascii_digit());
        let mut length = whole;
        if self.rest[length..].starts_with('.') {
            length += 1 + count(&self.rest[length + 1..], |b| b.is_ascii_digit());
            length += exponent(&self.rest[length..]);
            let digits = &self.rest[..length];
            let Ok(double) = digits.parse::<f64>() else { return self.mistake(format!("bad number `{digits}`")) };
            if double.is_infinite() {
                return self.mistake(format!("number `{digits}` is too large"));
            }
            self.take(length);
            return Ok(Token::Double(double));
        }
        let digits = &self.rest[..length];
        if whole > 1 && digits.starts_with('0') {
            return self.mistake(format!("number `{digits}` starts with 0"));
        }
        let Ok(integer) = digits.parse::<i64>() else {
            return self.mistake(format!("number `{digits}` does not fit into 64 bits"));
        };
        self.take(length);
        Ok(Token::Integer(integer))
    }

    fn text(&mut self) -> Result<Token, Mistake> {
        let start = self.column;
        self.take(1);
        let mut bytes = Vec::new();
        loop {
            let Some(next) = self.rest.chars().next() else {
                return Err(Mistake::new(start, "this string has no closing quote"));
            };
            match next {
                '"' => break,
                '\n' => return self.mistake("a string can't span lines; write `\\n`"),
                '\\' => self.escape(start, &mut bytes)?,
                _ => bytes.extend_from_slice(self.take(next.len_utf8()).as_bytes()),
            }
        }
        self.take(1);
        match String::from_utf8(bytes) {
            Ok(text) => Ok(Token::Text(text)),
            Err(_) => Err(Mistake::new(start, "this string is not UTF-8 once its escapes are resolved")),
        }
    }

    /// Resolves one escape, by Go's rules for double quotes.
    fn escape(&mut self, start: usize, bytes: &mut Vec<u8>) -> Result<(), Mistake> {
        let Some(kind) = self.rest[1..].chars().next() else {
            return Err(Mistake::new(start, "this string has no closing quote"));
        };
        let simple = match kind {
            'a' => 7,
            'b' => 8,
            'f' => 12,
            'n' => b'\n',
            'r' => b'\r',
            't' => b'\t',
            'v' => 11,
            '\\' => b'\\',
            '"' => b'"',
            'x' => return self.coded(bytes, 2, 2, 16),
            'u' => return self.coded(bytes, 2, 4, 16),
            'U' => return self.coded(bytes, 2, 8, 16),
            '0'..='7' => return self.coded(bytes, 1, 3, 8),
            other => {
                let hint = if matches!(other, 'd' | 'w' | 's' | 'D' | 'W' | 'S' | '.' | '/' | '-' | '$' | '^') {
                    format!("; in a pattern write `\\\\{other}`")
                } else {
                    String::new()
                };
                return self.mistake(format!("unknown escape `\\{other}`{hint}"));
            }
        };
        self.take(2);
        bytes.push(simple);
        Ok(())
    }

    /// Resolves an escape of `length` digits that start `skip` bytes from here.
    fn coded(&mut self, bytes: &mut Vec<u8>, skip: usize, length: usize, radix: u32) -> Result<(), Mistake> {
        let code = self
            .rest
            .get(skip..skip + length)
            .filter(|digits| digits.chars().all(|c| c.is_digit(radix)))
            .and_then(|digits| u32::from_str_radix(digits, radix).ok());
        let Some(code) = code else { return self.mistake(format!("this escape needs {length} digits")) };
        if length <= 3 {
            let Ok(byte) = u8::try_from(code) else { return self.mistake("this escape is larger than a byte") };
            bytes.push(byte);
        } else {
            let Some(character) = char::from_u32(code) else { return self.mistake("this escape is no character") };
            bytes.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
        }
        self.take(skip + length);
        Ok(())
    }
}

fn count(text: &str, accept: impl Fn(u8) -> bool) -> usize {
    text.bytes().take_while(|b| accept(*b)).count()
}

/// How long the exponent at the start of `text` is.
fn exponent(text: &str) -> usize {
    let bytes = text.as_bytes();
    if !matches!(bytes.first(), Some(b'e' | b'E')) {
        return 0;
    }
    let sign = usize::from(matches!(bytes.get(1), Some(b'+' | b'-')));
    match count(&text[1 + sign..], |b| b.is_ascii_digit()) {
        0 => 0,
        digits => 1 + sign + digits,
    }
}

fn hexadecimal(digits: &str) -> Vec<u8> {
    let nibble = |b: u8| (b as char).to_digit(16).unwrap_or(0) as u8;
    digits.as_bytes().chunks_exact(2).map(|pair| nibble(pair[0]) << 4 | nibble(pair[1])).collect()
}
