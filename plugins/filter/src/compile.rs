//! Turns the syntax tree of a condition into a test over slots.

use sluice_sdk::Setup;

use crate::context::{Context, Naming};
use crate::evaluate::parse_network;
use crate::fields;
use crate::functions::{self, Function, Gives, Signature};
use crate::ottl::{Call, Comparison, Condition, Mistake, Operand, Path, Term};
use crate::program::{Expression, Slots, Test, Written};
use crate::strategy;
use crate::value::{Value, compare};

/// Compiles the conditions of one context.
pub(crate) struct Compiler<'c> {
    pub(crate) context: Context,
    pub(crate) naming: Naming,
    pub(crate) slots: &'c mut Slots,
    /// Compiles patterns. None if the conditions are only checked, because they are not for our signal.
    pub(crate) setup: Option<&'c mut Setup>,
}

impl Compiler<'_> {
    /// Compiles a condition.
    ///
    /// # Errors
    /// Says at which column something is unknown or can't be.
    pub(crate) fn condition(&mut self, condition: &Condition) -> Result<Test, Mistake> {
        match condition {
            Condition::Constant(value) => Ok(Test::Constant(*value)),
            Condition::Not(inner) => Ok(match self.condition(inner)? {
                Test::Constant(value) => Test::Constant(!value),
                inner => Test::Not(Box::new(inner)),
            }),
            Condition::And(parts) => Ok(joined(self.conditions(parts)?, true)),
            Condition::Or(parts) => Ok(joined(self.conditions(parts)?, false)),
            Condition::Compare { operator, left, right } => self.comparison(*operator, left, right),
            Condition::Call(call) => self.question(call),
        }
    }

    fn conditions(&mut self, parts: &[Condition]) -> Result<Vec<Test>, Mistake> {
        parts.iter().map(|part| self.condition(part)).collect()
    }

    fn comparison(&mut self, operator: Comparison, left: &Operand, right: &Operand) -> Result<Test, Mistake> {
        let (left, right) = (self.operand(left)?, self.operand(right)?);
        if let (Expression::Literal(a), Expression::Literal(b)) = (&left, &right) {
            return Ok(Test::Constant(compare(operator, a, b)));
        }
        let expression = Expression::Compare { operator, left: Box::new(left), right: Box::new(right) };
        Ok(strategy::atom(expression, self.slots))
    }

    /// A call that stands where a condition is expected.
    fn question(&mut self, call: &Call) -> Result<Test, Mistake> {
        let signature = functions::find(call, self.context)?;
        if signature.gives == Gives::Other && call.keys.is_empty() {
            let message = format!("{} does not give true or false; compare it with something", signature.name);
            return Err(Mistake::new(call.column, message));
        }
        let expression = self.call(call)?;
        Ok(strategy::atom(expression, self.slots))
    }

    fn operand(&mut self, operand: &Operand) -> Result<Expression, Mistake> {
        Ok(match &operand.term {
            Term::Nil => Expression::Literal(Value::Nil),
            Term::Text(text) => Expression::Literal(Value::Text(text.clone().into())),
            Term::Integer(number) => Expression::Literal(Value::Integer(*number)),
            Term::Double(number) => Expression::Literal(Value::Double(*number)),
            Term::Boolean(value) => Expression::Literal(Value::Boolean(*value)),
            Term::Bytes(bytes) => Expression::Literal(Value::Bytes(bytes.clone().into())),
            Term::Symbol(name) => Expression::Literal(Value::Integer(self.context.symbol(operand.column, name)?)),
            Term::List(items) => Expression::List(self.operands(items)?),
            Term::Path(path) => self.path(path)?,
            Term::Call(call) => self.call(call)?,
            Term::Negate(inner) => Expression::Negate(Box::new(self.operand(inner)?)),
            Term::Arithmetic { operator, left, right } => {
                let (left, right) = (Box::new(self.operand(left)?), Box::new(self.operand(right)?));
                Expression::Arithmetic { operator: *operator, left, right }
            }
        })
    }

    fn operands(&mut self, operands: &[Operand]) -> Result<Vec<Expression>, Mistake> {
        operands.iter().map(|operand| self.operand(operand)).collect()
    }

    fn path(&mut self, path: &Path) -> Result<Expression, Mistake> {
        let resolved = fields::resolve(self.context, self.naming, path)?;
        Ok(Expression::Read { slot: self.slots.slot(&resolved), reading: resolved.reading })
    }

    fn call(&mut self, call: &Call) -> Result<Expression, Mistake> {
        let signature = functions::find(call, self.context)?;
        let arguments = signature.arrange(call)?;
        match (signature.function, &arguments[..]) {
            (Function::IsMatch, [Some(target), Some(pattern)]) => self.is_match(target, pattern),
            (Function::HasAttrOnDatapoint, [Some(key), Some(expected)]) => {
                Ok(self.point_attribute(text(key), Some(text(expected).to_owned())))
            }
            (Function::HasAttrKeyOnDatapoint, [Some(key)]) => Ok(self.point_attribute(text(key), None)),
            (Function::IsRootSpan, _) => Ok(self.root_span()),
            _ => self.plain_call(signature, &arguments, call),
        }
    }

    fn plain_call(
        &mut self,
        signature: &Signature,
        arguments: &[Option<&Operand>],
        call: &Call,
    ) -> Result<Expression, Mistake> {
        if signature.function == Function::ConvertCase
            && let Some(Some(case)) = arguments.get(1)
            && !matches!(text(case), "lower" | "upper")
        {
            let message = format!("ConvertCase supports \"lower\" and \"upper\", not {:?}", text(case));
            return Err(Mistake::new(case.column, message));
        }
        if signature.function == Function::IsInCidr
            && let Some(Some(networks)) = arguments.get(1)
        {
            known_networks(networks)?;
        }
        let arguments: Vec<Expression> = arguments
            .iter()
            .flatten()
            .map(|operand| match &operand.term {
                // What stands in brackets for `Takes::Values` and lists is evaluated item by item.
                Term::List(items) => Ok(Expression::List(self.operands(items)?)),
                _ => self.operand(operand),
            })
            .collect::<Result<_, _>>()?;
        Ok(Expression::Call { function: signature.function, arguments, keys: call.keys.clone() })
    }

    fn is_match(&mut self, target: &Operand, pattern: &Operand) -> Result<Expression, Mistake> {
        let mut patterns = Vec::new();
        if let Some(setup) = &mut self.setup {
            let compiled = setup.go_regex(text(pattern));
            patterns.push(compiled.map_err(|reason| Mistake::new(pattern.column, format!("bad pattern: {reason}")))?);
        }
        let target = Box::new(self.operand(target)?);
        Ok(Expression::Match { patterns, target, written: Written::Like })
    }

    fn point_attribute(&mut self, key: &str, expected: Option<String>) -> Expression {
        let slot = self.slots.slot(&fields::point_attribute(key));
        Expression::PointAttribute { slot, expected }
    }

    /// A root span is one without the id of a parent.
    fn root_span(&mut self) -> Expression {
        let slot = self.slots.slot(&fields::parent_span_id());
        let left = Box::new(Expression::Read { slot, reading: fields::Reading::Plain });
        let right = Box::new(Expression::Literal(Value::Id(vec![0; 8].into())));
        Expression::Compare { operator: Comparison::Equal, left, right }
    }
}

/// Joins parts by `and` if all must be true, else by `or`. As in the Collector, a constant that settles the result does so
/// even where a part before it fails.
fn joined(mut parts: Vec<Test>, all: bool) -> Test {
    if parts.iter().any(|part| matches!(part, Test::Constant(value) if *value != all)) {
        return Test::Constant(!all);
    }
    parts.retain(|part| !matches!(part, Test::Constant(_)));
    match parts.len() {
        0 => Test::Constant(all),
        1 => parts.remove(0),
        _ if all => Test::And(parts),
        _ => Test::Or(parts),
    }
}

/// Networks that are written down can be checked before the first row.
fn known_networks(networks: &Operand) -> Result<(), Mistake> {
    let Term::List(items) = &networks.term else { return Ok(()) };
    let check = |item: &Operand| parse_network(text(item)).map_err(|reason| Mistake::new(item.column, reason));
    items.iter().filter(|item| matches!(item.term, Term::Text(_))).try_for_each(|item| check(item).map(drop))
}

/// The text of an operand that was checked to be a literal string.
fn text(operand: &Operand) -> &str {
    match &operand.term {
        Term::Text(text) => text,
        _ => "",
    }
}
