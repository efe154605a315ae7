//! The syntax tree of a condition.

/// Something that is true or false.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Condition {
    Constant(bool),
    Call(Call),
    Compare { operator: Comparison, left: Operand, right: Operand },
    Not(Box<Condition>),
    And(Vec<Condition>),
    Or(Vec<Condition>),
}

/// How two values are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Comparison {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

/// A value and the column where it starts.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Operand {
    pub(crate) column: usize,
    pub(crate) term: Term,
}

/// A value.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Term {
    Nil,
    Text(String),
    Integer(i64),
    Double(f64),
    Boolean(bool),
    Bytes(Vec<u8>),
    /// A name in upper case such as `SPAN_KIND_SERVER`.
    Symbol(String),
    List(Vec<Operand>),
    Path(Path),
    Call(Call),
    Negate(Box<Operand>),
    Arithmetic {
        operator: Arithmetic,
        left: Box<Operand>,
        right: Box<Operand>,
    },
}

/// What to do with two numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Arithmetic {
    Add,
    Subtract,
    Multiply,
    Divide,
}

/// A reference to telemetry: `resource.attributes["key"]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Path {
    pub(crate) segments: Vec<Segment>,
}

/// One name of a path, with the keys behind it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Segment {
    pub(crate) column: usize,
    pub(crate) name: String,
    pub(crate) keys: Vec<Key>,
}

/// An index in brackets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Key {
    Text(String),
    Index(i64),
}

/// A function call: `IsMatch(name, "^GET")`.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Call {
    pub(crate) column: usize,
    pub(crate) name: String,
    pub(crate) arguments: Vec<Argument>,
    pub(crate) keys: Vec<Key>,
}

/// An argument, possibly with its name.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Argument {
    pub(crate) name: Option<String>,
    pub(crate) value: Operand,
}

impl Path {
    /// The names joined by dots, without keys.
    pub(crate) fn dotted(&self) -> String {
        let names: Vec<&str> = self.segments.iter().map(|segment| segment.name.as_str()).collect();
        names.join(".")
    }
}

/// What a condition refers to by a name.
pub(crate) enum Reference<'a> {
    Path(&'a Path),
    Call(&'a Call),
    Symbol(&'a str),
}

impl Condition {
    /// Visits every path, call and symbol; calls before their arguments.
    pub(crate) fn visit<'a>(&'a self, visitor: &mut dyn FnMut(Reference<'a>)) {
        match self {
            Self::Constant(_) => {}
            Self::Call(this) => this.visit(visitor),
            Self::Compare { left, right, .. } => {
                left.visit(visitor);
                right.visit(visitor);
            }
            Self::Not(inner) => inner.visit(visitor),
            Self::And(parts) | Self::Or(parts) => parts.iter().for_each(|part| part.visit(visitor)),
        }
    }
}

impl Operand {
    fn visit<'a>(&'a self, visitor: &mut dyn FnMut(Reference<'a>)) {
        match &self.term {
            Term::Path(this) => visitor(Reference::Path(this)),
            Term::Symbol(name) => visitor(Reference::Symbol(name)),
            Term::Call(this) => this.visit(visitor),
            Term::List(items) => items.iter().for_each(|item| item.visit(visitor)),
            Term::Negate(inner) => inner.visit(visitor),
            Term::Arithmetic { left, right, .. } => {
                left.visit(visitor);
                right.visit(visitor);
            }
            _ => {}
        }
    }
}

impl Call {
    fn visit<'a>(&'a self, visitor: &mut dyn FnMut(Reference<'a>)) {
        visitor(Reference::Call(self));
        self.arguments.iter().for_each(|argument| argument.value.visit(visitor));
    }
}
