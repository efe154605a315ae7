//! Builds the syntax tree of a condition from its tokens.

use super::lexer::{Spanned, Token, tokens};
use super::{Argument, Arithmetic, Call, Comparison, Condition, Key, Mistake, Operand, Path, Segment, Term};

/// How deep a condition may nest: bounds the parser's stack.
const MAX_DEPTH: usize = 64;
/// How long a condition may be, in bytes.
const MAX_LENGTH: usize = 64 * 1024;

/// Parses a condition.
///
/// # Errors
/// Says at which column the condition can't be understood.
pub(crate) fn parse(text: &str) -> Result<Condition, Mistake> {
    if text.len() > MAX_LENGTH {
        return Err(Mistake::new(1, format!("condition of {} bytes exceeds {MAX_LENGTH}", text.len())));
    }
    if text.trim().is_empty() {
        return Err(Mistake::new(1, "condition is empty"));
    }
    let mut parser = Parser { tokens: tokens(text)?, next: 0, depth: 0 };
    let node = parser.or()?;
    match parser.peek() {
        Token::End => node.condition(),
        Token::Compare(_) => parser.mistake("comparisons can't be chained; join them by `and`"),
        token => parser.mistake(format!("expected `and`, `or` or the end, found {}", describe(token))),
    }
}

/// What stands between two operators: until the operators around it are known it may be either.
enum Node {
    Condition(usize, Condition),
    Operand(Operand),
}

impl Node {
    fn condition(self) -> Result<Condition, Mistake> {
        match self {
            Self::Condition(_, condition) => Ok(condition),
            Self::Operand(Operand { term: Term::Boolean(value), .. }) => Ok(Condition::Constant(value)),
            Self::Operand(Operand { term: Term::Call(call), .. }) => Ok(Condition::Call(call)),
            Self::Operand(Operand { column, .. }) => {
                Err(Mistake::new(column, "this value is no condition; compare it, for example with `== true`"))
            }
        }
    }

    fn operand(self) -> Result<Operand, Mistake> {
        match self {
            Self::Operand(operand) => Ok(operand),
            Self::Condition(column, _) => Err(Mistake::new(column, "a condition can't be used as a value")),
        }
    }
}

struct Parser {
    tokens: Vec<Spanned>,
    next: usize,
    depth: usize,
}

impl Parser {
    fn peek(&self) -> &Token {
        &self.tokens[self.next].token
    }

    fn column(&self) -> usize {
        self.tokens[self.next].column
    }

    /// Takes the next token; the end stays where it is.
    fn advance(&mut self) -> Token {
        let token = self.peek().clone();
        if token != Token::End {
            self.next += 1;
        }
        token
    }

    fn accept(&mut self, token: &Token) -> bool {
        let found = self.peek() == token;
        if found {
            self.advance();
        }
        found
    }

    fn expect(&mut self, mark: char, place: &str) -> Result<(), Mistake> {
        if self.accept(&Token::Mark(mark)) {
            return Ok(());
        }
        self.mistake(format!("expected `{mark}` {place}, found {}", describe(self.peek())))
    }

    fn mistake<T>(&self, message: impl Into<String>) -> Result<T, Mistake> {
        Err(Mistake::new(self.column(), message))
    }

    fn nested<T>(&mut self, inner: impl FnOnce(&mut Self) -> Result<T, Mistake>) -> Result<T, Mistake> {
        if self.depth == MAX_DEPTH {
            return self.mistake(format!("nesting is deeper than {MAX_DEPTH}"));
        }
        self.depth += 1;
        let result = inner(self);
        self.depth -= 1;
        result
    }

    fn or(&mut self) -> Result<Node, Mistake> {
        self.joined(&Token::Or, Self::and, Condition::Or)
    }

    fn and(&mut self) -> Result<Node, Mistake> {
        self.joined(&Token::And, Self::not, Condition::And)
    }

    fn joined(
        &mut self,
        separator: &Token,
        part: fn(&mut Self) -> Result<Node, Mistake>,
        join: fn(Vec<Condition>) -> Condition,
    ) -> Result<Node, Mistake> {
        let column = self.column();
        let first = part(self)?;
        if self.peek() != separator {
            return Ok(first);
        }
        let mut parts = vec![first.condition()?];
        while self.accept(separator) {
            parts.push(part(self)?.condition()?);
        }
        Ok(Node::Condition(column, join(parts)))
    }

    fn not(&mut self) -> Result<Node, Mistake> {
        let column = self.column();
        if !self.accept(&Token::Not) {
            return self.comparison();
        }
        if self.peek() == &Token::Not {
            return self.mistake("`not` can't be repeated; use parentheses");
        }
        let inner = self.comparison()?.condition()?;
        Ok(Node::Condition(column, Condition::Not(Box::new(inner))))
    }

    fn comparison(&mut self) -> Result<Node, Mistake> {
        let column = self.column();
        let left = self.sum()?;
        let Token::Compare(operator) = *self.peek() else {
            return match self.peek() {
                Token::Mark('=') => self.mistake("`=` compares nothing; write `==`"),
                _ => Ok(left),
            };
        };
        self.advance();
        let left = left.operand()?;
        let right = self.sum()?.operand()?;
        Ok(Node::Condition(column, Condition::Compare { operator, left, right }))
    }

    fn sum(&mut self) -> Result<Node, Mistake> {
        self.arithmetic(&[Arithmetic::Add, Arithmetic::Subtract], Self::product)
    }

    fn product(&mut self) -> Result<Node, Mistake> {
        self.arithmetic(&[Arithmetic::Multiply, Arithmetic::Divide], Self::sign)
    }

    fn arithmetic(
        &mut self,
        operators: &[Arithmetic],
        part: fn(&mut Self) -> Result<Node, Mistake>,
    ) -> Result<Node, Mistake> {
        let mut node = part(self)?;
        loop {
            let Token::Arithmetic(operator) = *self.peek() else { return Ok(node) };
            if !operators.contains(&operator) {
                return Ok(node);
            }
            self.advance();
            let left = calculable(node.operand()?)?;
            let right = calculable(part(self)?.operand()?)?;
            let term = Term::Arithmetic { operator, left: Box::new(left.clone()), right: Box::new(right) };
            node = Node::Operand(Operand { column: left.column, term });
        }
    }

    fn sign(&mut self) -> Result<Node, Mistake> {
        let column = self.column();
        let negative = match self.peek() {
            Token::Arithmetic(Arithmetic::Add) => false,
            Token::Arithmetic(Arithmetic::Subtract) => true,
            _ => return self.primary(),
        };
        self.advance();
        let inner = calculable(self.primary()?.operand()?)?;
        let term = match inner.term {
            term if !negative => term,
            Term::Integer(value) => Term::Integer(-value),
            Term::Double(value) => Term::Double(-value),
            _ => Term::Negate(Box::new(inner)),
        };
        Ok(Node::Operand(Operand { column, term }))
    }

    fn primary(&mut self) -> Result<Node, Mistake> {
        let column = self.column();
        let term = match self.advance() {
            Token::Mark('(') => {
                let node = self.nested(Self::or)?;
                self.expect(')', "to close the parenthesis")?;
                return Ok(node);
            }
            Token::Nil => Term::Nil,
            Token::True => Term::Boolean(true),
            Token::False => Term::Boolean(false),
            Token::Text(text) => Term::Text(text),
            Token::Integer(value) => Term::Integer(value),
            Token::Double(value) => Term::Double(value),
            Token::Bytes(bytes) => Term::Bytes(bytes),
            Token::Mark('[') => Term::List(self.list()?),
            Token::Mark('{') => return Err(Mistake::new(column, "map literals are not supported")),
            Token::Upper(name) => self.upper(column, name)?,
            Token::Lower(name) => self.lower(column, name)?,
            token => return Err(Mistake::new(column, format!("expected a value, found {}", describe(&token)))),
        };
        Ok(Node::Operand(Operand { column, term }))
    }

    fn list(&mut self) -> Result<Vec<Operand>, Mistake> {
        let mut items = Vec::new();
        if self.accept(&Token::Mark(']')) {
            return Ok(items);
        }
        loop {
            items.push(self.nested(Self::sum)?.operand()?);
            if !self.accept(&Token::Mark(',')) {
                self.expect(']', "to close the list")?;
                return Ok(items);
            }
        }
    }

    /// A function call or a symbol.
    fn upper(&mut self, column: usize, name: String) -> Result<Term, Mistake> {
        if !self.accept(&Token::Mark('(')) {
            if name.chars().any(|c| c.is_ascii_lowercase()) {
                return self.mistake(format!("expected `(` after the function {name}"));
            }
            return Ok(Term::Symbol(name));
        }
        let mut arguments = Vec::new();
        if !self.accept(&Token::Mark(')')) {
            loop {
                arguments.push(self.nested(Self::argument)?);
                if !self.accept(&Token::Mark(',')) {
                    self.expect(')', "to close the call")?;
                    break;
                }
            }
        }
        let keys = self.keys()?;
        Ok(Term::Call(Call { column, name, arguments, keys }))
    }

    fn argument(&mut self) -> Result<Argument, Mistake> {
        let named = self.tokens.get(self.next + 1).is_some_and(|next| next.token == Token::Mark('='));
        let name = match self.peek().clone() {
            Token::Lower(name) if named => {
                self.advance();
                self.advance();
                Some(name)
            }
            _ => None,
        };
        let value = self.sum()?.operand()?;
        Ok(Argument { name, value })
    }

    fn lower(&mut self, column: usize, name: String) -> Result<Term, Mistake> {
        if self.peek() == &Token::Mark('(') {
            let message = format!("{name} changes telemetry; a condition can only call functions in upper case");
            return Err(Mistake::new(column, message));
        }
        let mut segments = vec![self.segment(column, name)?];
        while self.accept(&Token::Mark('.')) {
            let column = self.column();
            match self.advance() {
                Token::Lower(name) => segments.push(self.segment(column, name)?),
                token => {
                    let message = format!("expected a name after `.`, found {}", describe(&token));
                    return Err(Mistake::new(column, message));
                }
            }
        }
        Ok(Term::Path(Path { segments }))
    }

    fn segment(&mut self, column: usize, name: String) -> Result<Segment, Mistake> {
        if name.chars().any(|c| c.is_ascii_uppercase()) {
            return Err(Mistake::new(column, format!("`{name}`: paths are written in lower case")));
        }
        Ok(Segment { column, name, keys: self.keys()? })
    }

    fn keys(&mut self) -> Result<Vec<Key>, Mistake> {
        let mut keys = Vec::new();
        while self.accept(&Token::Mark('[')) {
            let column = self.column();
            keys.push(match self.advance() {
                Token::Text(key) => Key::Text(key),
                Token::Integer(index) => Key::Index(index),
                _ => return Err(Mistake::new(column, "an index is a string or a whole number, not an expression")),
            });
            self.expect(']', "after the index")?;
        }
        Ok(keys)
    }
}

/// Passes on what arithmetic works with; strings, symbols and lists it does not.
fn calculable(operand: Operand) -> Result<Operand, Mistake> {
    match operand.term {
        Term::Integer(_)
        | Term::Double(_)
        | Term::Path(_)
        | Term::Call(_)
        | Term::Negate(_)
        | Term::Arithmetic { .. } => Ok(operand),
        _ => Err(Mistake::new(operand.column, "arithmetic takes numbers, paths and function calls")),
    }
}

fn describe(token: &Token) -> String {
    match token {
        Token::Lower(name) | Token::Upper(name) => format!("`{name}`"),
        Token::Text(text) => format!("the string {text:?}"),
        Token::Integer(value) => format!("`{value}`"),
        Token::Double(value) => format!("`{value}`"),
        Token::Bytes(_) => "bytes".to_owned(),
        Token::Compare(comparison) => format!("`{}`", comparison.sign()),
        Token::Arithmetic(_) => "an arithmetic sign".to_owned(),
        Token::And => "`and`".to_owned(),
        Token::Or => "`or`".to_owned(),
        Token::Not => "`not`".to_owned(),
        Token::True => "`true`".to_owned(),
        Token::False => "`false`".to_owned(),
        Token::Nil => "`nil`".to_owned(),
        Token::Mark(mark) => format!("`{mark}`"),
        Token::End => "the end".to_owned(),
    }
}

impl Comparison {
    fn sign(self) -> &'static str {
        match self {
            Self::Equal => "==",
            Self::NotEqual => "!=",
            Self::Less => "<",
            Self::LessOrEqual => "<=",
            Self::Greater => ">",
            Self::GreaterOrEqual => ">=",
        }
    }
}

#[cfg(test)]
mod tests;
