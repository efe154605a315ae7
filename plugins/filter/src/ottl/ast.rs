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

impl Condition {
    /// Visits every path and every call, calls before their arguments.
    pub(crate) fn visit<'a>(&'a self, path: &mut dyn FnMut(&'a Path), call: &mut dyn FnMut(&'a Call)) {
        match self {
            Self::Constant(_) => {}
            Self::Call(this) => this.visit(path, call),
            Self::Compare { left, right, .. } => {
                left.visit(path, call);
                right.visit(path, call);
            }
            Self::Not(inner) => inner.visit(path, call),
            Self::And(parts) | Self::Or(parts) => parts.iter().for_each(|part| part.visit(path, call)),
        }
    }
}

impl Operand {
    fn visit<'a>(&'a self, path: &mut dyn FnMut(&'a Path), call: &mut dyn FnMut(&'a Call)) {
        match &self.term {
            Term::Path(this) => path(this),
            Term::Call(this) => this.visit(path, call),
            Term::List(items) => items.iter().for_each(|item| item.visit(path, call)),
            Term::Negate(inner) => inner.visit(path, call),
            Term::Arithmetic { left, right, .. } => {
                left.visit(path, call);
                right.visit(path, call);
            }
            _ => {}
        }
    }
}

impl Call {
    fn visit<'a>(&'a self, path: &mut dyn FnMut(&'a Path), call: &mut dyn FnMut(&'a Call)) {
        call(self);
        self.arguments.iter().for_each(|argument| argument.value.visit(path, call));
    }
}
