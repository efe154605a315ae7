//! The condition language: text to syntax tree, without knowledge of telemetry.

mod ast;
mod lexer;
mod parser;

pub(crate) use ast::{Argument, Arithmetic, Call, Comparison, Condition, Key, Operand, Path, Reference, Segment, Term};
pub(crate) use parser::parse;

/// What is wrong with a condition, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Mistake {
    /// The character where it starts, counted from 1 over all lines.
    pub(crate) column: usize,
    /// What, and what to do about it.
    pub(crate) message: String,
}

impl Mistake {
    pub(crate) fn new(column: usize, message: impl Into<String>) -> Self {
        Self { column, message: message.into() }
    }

    /// Where it is in the condition, for people: with the line where there are several.
    pub(crate) fn place(&self, condition: &str) -> String {
        if !condition.trim_end().contains('\n') {
            return format!("column {}", self.column);
        }
        let (mut line, mut column) = (1, 1);
        for character in condition.chars().take(self.column.saturating_sub(1)) {
            (line, column) = if character == '\n' { (line + 1, 1) } else { (line, column + 1) };
        }
        format!("line {line}, column {column}")
    }
}
