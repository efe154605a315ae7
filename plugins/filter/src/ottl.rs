//! The condition language: text to syntax tree, without knowledge of telemetry.

mod ast;
mod lexer;
mod parser;

pub(crate) use ast::{Argument, Arithmetic, Call, Comparison, Condition, Key, Operand, Path, Segment, Term};
pub(crate) use parser::parse;

/// What is wrong with a condition, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Mistake {
    /// The character where it starts, counted from 1.
    pub(crate) column: usize,
    /// What, and what to do about it.
    pub(crate) message: String,
}

impl Mistake {
    pub(crate) fn new(column: usize, message: impl Into<String>) -> Self {
        Self { column, message: message.into() }
    }
}
