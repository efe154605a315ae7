//! The functions that conditions may call: their names, parameters and results.

use crate::context::Context;
use crate::ottl::{Argument, Call, Mistake, Operand, Term};
use crate::suggest::did_you_mean;

/// A function.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Function {
    IsMatch,
    IsString,
    IsInt,
    IsBool,
    IsDouble,
    IsMap,
    IsList,
    IsRootSpan,
    IsValidLuhn,
    IsInCidr,
    HasPrefix,
    HasSuffix,
    ContainsValue,
    HasAttrOnDatapoint,
    HasAttrKeyOnDatapoint,
    Len,
    Index,
    Lower,
    Upper,
    ConvertCase,
    Concat,
    Substring,
    Trim,
    TrimPrefix,
    TrimSuffix,
    Split,
    Coalesce,
    Int,
    Double,
    String,
    Bool,
    ParseInt,
    Hex,
    TraceId,
    SpanId,
    Now,
    Unix,
    UnixNano,
    UnixMicro,
    UnixMilli,
    UnixSeconds,
    Duration,
    Hours,
    Minutes,
    Seconds,
    Milliseconds,
    Microseconds,
    Nanoseconds,
}

/// What a parameter takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Takes {
    /// Any value.
    Any,
    /// A string; anything else fails.
    Text,
    /// An integer; anything else fails.
    Integer,
    /// A list; anything else fails.
    List,
    /// Several values in brackets.
    Values,
    /// A string that must stand in the condition itself.
    LiteralText,
    /// A boolean that must stand in the condition itself.
    LiteralBoolean,
}

/// What a function gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Gives {
    /// True or false.
    Boolean,
    /// That depends on the value.
    Anything,
    /// Something else: it must be compared.
    Other,
}

/// How a function is called.
pub(crate) struct Signature {
    pub(crate) name: &'static str,
    pub(crate) function: Function,
    pub(crate) gives: Gives,
    /// The only context that has it.
    pub(crate) only: Option<Context>,
    pub(crate) parameters: &'static [(&'static str, Takes)],
    /// How many parameters at the end may be left out.
    pub(crate) optional: usize,
}

const fn boolean(name: &'static str, function: Function, parameters: &'static [(&'static str, Takes)]) -> Signature {
    Signature { name, function, gives: Gives::Boolean, only: None, parameters, optional: 0 }
}

const fn other(name: &'static str, function: Function, parameters: &'static [(&'static str, Takes)]) -> Signature {
    Signature { name, function, gives: Gives::Other, only: None, parameters, optional: 0 }
}

const fn value(name: &'static str, function: Function, parameters: &'static [(&'static str, Takes)]) -> Signature {
    Signature { name, function, gives: Gives::Anything, only: None, parameters, optional: 0 }
}

impl Signature {
    const fn optional(mut self, optional: usize) -> Self {
        self.optional = optional;
        self
    }

    const fn only(mut self, context: Context) -> Self {
        self.only = Some(context);
        self
    }
}

const SIGNATURES: &[Signature] = &[
    boolean("IsMatch", Function::IsMatch, &[("target", Takes::Any), ("pattern", Takes::LiteralText)]),
    boolean("IsString", Function::IsString, &[("target", Takes::Any)]),
    boolean("IsInt", Function::IsInt, &[("target", Takes::Any)]),
    boolean("IsBool", Function::IsBool, &[("target", Takes::Any)]),
    boolean("IsDouble", Function::IsDouble, &[("target", Takes::Any)]),
    boolean("IsMap", Function::IsMap, &[("target", Takes::Any)]),
    boolean("IsList", Function::IsList, &[("target", Takes::Any)]),
    boolean("IsRootSpan", Function::IsRootSpan, &[]).only(Context::Span),
    boolean("IsValidLuhn", Function::IsValidLuhn, &[("target", Takes::Any)]),
    boolean("IsInCIDR", Function::IsInCidr, &[("target", Takes::Text), ("networks", Takes::Values)]),
    boolean("HasPrefix", Function::HasPrefix, &[("target", Takes::Text), ("prefix", Takes::Text)]),
    boolean("HasSuffix", Function::HasSuffix, &[("target", Takes::Text), ("suffix", Takes::Text)]),
    boolean("ContainsValue", Function::ContainsValue, &[("target", Takes::List), ("item", Takes::Any)]),
    boolean(
        "HasAttrOnDatapoint",
        Function::HasAttrOnDatapoint,
        &[("key", Takes::LiteralText), ("expected_val", Takes::LiteralText)],
    )
    .only(Context::Metric),
    boolean("HasAttrKeyOnDatapoint", Function::HasAttrKeyOnDatapoint, &[("key", Takes::LiteralText)])
        .only(Context::Metric),
    other("Len", Function::Len, &[("target", Takes::Any)]),
    other("Index", Function::Index, &[("target", Takes::Any), ("value", Takes::Any)]),
    other("ToLowerCase", Function::Lower, &[("target", Takes::Text)]),
    other("ToUpperCase", Function::Upper, &[("target", Takes::Text)]),
    other("ConvertCase", Function::ConvertCase, &[("target", Takes::Text), ("to_case", Takes::LiteralText)]),
    other("Concat", Function::Concat, &[("vals", Takes::Values), ("delimiter", Takes::Text)]),
    other(
        "Substring",
        Function::Substring,
        &[
            ("target", Takes::Text),
            ("start", Takes::Integer),
            ("length", Takes::Integer),
            ("utf8_safe", Takes::LiteralBoolean),
        ],
    )
    .optional(1),
    other("Trim", Function::Trim, &[("target", Takes::Text), ("replacement", Takes::LiteralText)]).optional(1),
    other("TrimPrefix", Function::TrimPrefix, &[("target", Takes::Text), ("prefix", Takes::Text)]),
    other("TrimSuffix", Function::TrimSuffix, &[("target", Takes::Text), ("suffix", Takes::Text)]),
    value("Split", Function::Split, &[("target", Takes::Text), ("delimiter", Takes::Text)]),
    value("Coalesce", Function::Coalesce, &[("values", Takes::Values)]),
    other("Int", Function::Int, &[("target", Takes::Any)]),
    other("Double", Function::Double, &[("target", Takes::Any)]),
    other("String", Function::String, &[("target", Takes::Any)]),
    value("Bool", Function::Bool, &[("target", Takes::Any)]),
    other("ParseInt", Function::ParseInt, &[("target", Takes::Text), ("base", Takes::Integer)]),
    other("Hex", Function::Hex, &[("target", Takes::Any)]),
    other("TraceID", Function::TraceId, &[("target", Takes::Any)]),
    other("SpanID", Function::SpanId, &[("target", Takes::Any)]),
    other("Now", Function::Now, &[]),
    other("Unix", Function::Unix, &[("seconds", Takes::Integer), ("nanoseconds", Takes::Integer)]).optional(1),
    other("UnixNano", Function::UnixNano, &[("time", Takes::Any)]),
    other("UnixMicro", Function::UnixMicro, &[("time", Takes::Any)]),
    other("UnixMilli", Function::UnixMilli, &[("time", Takes::Any)]),
    other("UnixSeconds", Function::UnixSeconds, &[("time", Takes::Any)]),
    other("Duration", Function::Duration, &[("duration", Takes::Text)]),
    other("Hours", Function::Hours, &[("duration", Takes::Any)]),
    other("Minutes", Function::Minutes, &[("duration", Takes::Any)]),
    other("Seconds", Function::Seconds, &[("duration", Takes::Any)]),
    other("Milliseconds", Function::Milliseconds, &[("duration", Takes::Any)]),
    other("Microseconds", Function::Microseconds, &[("duration", Takes::Any)]),
    other("Nanoseconds", Function::Nanoseconds, &[("duration", Takes::Any)]),
];

/// Functions of the Collector that this stage does not have; asking for them deserves a better answer than "unknown".
const MISSING: &[&str] = &[
    "Append",
    "Base64Decode",
    "Base64Encode",
    "CommunityID",
    "Day",
    "Decode",
    "DeleteIndex",
    "ExtractGrokPatterns",
    "ExtractPatterns",
    "FNV",
    "Format",
    "FormatTime",
    "GetXML",
    "Hour",
    "Keys",
    "MD5",
    "Minute",
    "Month",
    "Murmur3Hash",
    "Murmur3Hash128",
    "Nanosecond",
    "ParseCSV",
    "ParseJSON",
    "ParseKeyValue",
    "ParseSeverity",
    "ParseSimplifiedXML",
    "ParseXML",
    "SHA1",
    "SHA256",
    "SHA512",
    "Second",
    "SliceToMap",
    "Sort",
    "Time",
    "ToCamelCase",
    "ToKeyValueString",
    "ToSnakeCase",
    "TruncateTime",
    "URL",
    "UUID",
    "UUIDv7",
    "UserAgent",
    "Values",
    "Weekday",
    "XXH128",
    "XXH3",
    "Year",
];

/// Finds the function of a call and checks that the context has it.
pub(crate) fn find(call: &Call, context: Context) -> Result<&'static Signature, Mistake> {
    let name = call.name.as_str();
    let Some(signature) = SIGNATURES.iter().find(|signature| signature.name == name) else {
        let message = if MISSING.contains(&name) {
            format!("the function {name} is not supported")
        } else {
            format!("unknown function {name}{}", did_you_mean(name, SIGNATURES.iter().map(|s| s.name)))
        };
        return Err(Mistake::new(call.column, message));
    };
    match signature.only {
        Some(only) if only != context => {
            let message = format!("the function {name} works on {}, not on {}", only.plural(), context.plural());
            Err(Mistake::new(call.column, message))
        }
        _ => Ok(signature),
    }
}

impl Signature {
    /// Brings the arguments of a call into the order of the parameters; None for those left out.
    pub(crate) fn arrange<'c>(&self, call: &'c Call) -> Result<Vec<Option<&'c Operand>>, Mistake> {
        let mut arranged: Vec<Option<&Operand>> = vec![None; self.parameters.len()];
        let mut named = false;
        for (position, argument) in call.arguments.iter().enumerate() {
            let place = self.place(position, argument, &mut named)?;
            if arranged[place].replace(&argument.value).is_some() {
                let message = format!("{} has two values for `{}`", self.name, self.parameters[place].0);
                return Err(Mistake::new(argument.value.column, message));
            }
        }
        let required = self.parameters.len() - self.optional;
        if let Some(missing) = arranged[..required].iter().position(Option::is_none) {
            let message =
                format!("{} lacks its argument `{}`; it takes {}", self.name, self.parameters[missing].0, self.usage());
            return Err(Mistake::new(call.column, message));
        }
        for ((_, takes), operand) in self.parameters.iter().zip(&arranged) {
            if let Some(operand) = operand {
                takes.check(self.name, operand)?;
            }
        }
        Ok(arranged)
    }

    fn place(&self, position: usize, argument: &Argument, named: &mut bool) -> Result<usize, Mistake> {
        let column = argument.value.column;
        match &argument.name {
            Some(name) => {
                *named = true;
                self.parameters.iter().position(|(parameter, _)| parameter == name).ok_or_else(|| {
                    let hint = did_you_mean(name, self.parameters.iter().map(|(parameter, _)| *parameter));
                    Mistake::new(column, format!("{} has no parameter `{name}`{hint}", self.name))
                })
            }
            None if *named => Err(Mistake::new(column, "an argument without a name can't follow one with a name")),
            None if position >= self.parameters.len() => {
                Err(Mistake::new(column, format!("too many arguments for {}; it takes {}", self.name, self.usage())))
            }
            None => Ok(position),
        }
    }

    fn usage(&self) -> String {
        let names: Vec<&str> = self.parameters.iter().map(|(name, _)| *name).collect();
        if names.is_empty() { "none".to_owned() } else { format!("({})", names.join(", ")) }
    }
}

impl Takes {
    /// Refuses literals that the parameter never takes, and what is no literal where one is needed.
    fn check(self, function: &str, operand: &Operand) -> Result<(), Mistake> {
        let dynamic = matches!(operand.term, Term::Path(_) | Term::Call(_) | Term::Arithmetic { .. } | Term::Negate(_));
        let (fits, wanted) = match self {
            Self::Any => (true, ""),
            Self::Text => (dynamic || matches!(operand.term, Term::Text(_)), "a string"),
            Self::Integer => (dynamic || matches!(operand.term, Term::Integer(_)), "a whole number"),
            Self::List => (dynamic || matches!(operand.term, Term::List(_)), "a list"),
            Self::Values => (matches!(operand.term, Term::List(_)), "a list in brackets"),
            Self::LiteralText => {
                (matches!(operand.term, Term::Text(_)), "a string, since it can't differ from row to row")
            }
            Self::LiteralBoolean => (matches!(operand.term, Term::Boolean(_)), "`true` or `false`"),
        };
        if fits { Ok(()) } else { Err(Mistake::new(operand.column, format!("{function} wants {wanted} here"))) }
    }
}
