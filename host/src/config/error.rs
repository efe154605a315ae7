//! Mistakes in a configuration: where they stand, what is wrong, and what to do about it.

use std::fmt;
use std::sync::Arc;

/// A place in a source of configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The file as it was named, or what else the configuration came from.
    pub source: Arc<str>,
    /// Line, counted from 1; 0 if there are no lines.
    pub line: usize,
    /// Column in characters, counted from 1.
    pub column: usize,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => f.write_str(&self.source),
            line => write!(f, "{}:{line}", self.source),
        }
    }
}

/// One mistake, or one warning.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct ConfigError {
    /// Where it stands, if it stands somewhere.
    pub place: Option<Place>,
    /// The keys that lead there, joined with `::`; empty for the whole configuration.
    pub path: String,
    /// What is wrong and what to do about it, without secrets.
    pub message: String,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(place) = &self.place {
            write!(f, "{place}: ")?;
        }
        if !self.path.is_empty() {
            write!(f, "{}: ", self.path)?;
        }
        f.write_str(&self.message)
    }
}

/// All mistakes of a configuration, and the warnings that may explain them.
#[derive(Clone, Debug, Default, PartialEq, Eq, thiserror::Error)]
pub struct ConfigErrors {
    /// Why it does not load; at least one.
    pub errors: Vec<ConfigError>,
    /// What else was noticed.
    pub warnings: Vec<ConfigError>,
}

impl fmt::Display for ConfigErrors {
    /// One mistake per line; the warnings are not among them.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, error) in self.errors.iter().enumerate() {
            let end_of_line = if index == 0 { "" } else { "\n" };
            write!(f, "{end_of_line}{error}")?;
        }
        Ok(())
    }
}

impl ConfigErrors {
    /// Adds mistakes: all are in the order of the text, each once.
    pub fn add(&mut self, errors: Vec<ConfigError>) {
        self.errors.extend(errors);
        in_order(&mut self.errors);
    }
}

fn in_order(list: &mut Vec<ConfigError>) {
    list.sort_by_key(|error| error.place.as_ref().map(|place| (place.source.clone(), place.line, place.column)));
    let mut seen = std::collections::BTreeSet::new();
    list.retain(|error| seen.insert(error.to_string()));
}

/// What the steps of loading have found so far.
#[derive(Debug, Default)]
pub(crate) struct Report {
    pub(crate) errors: Vec<ConfigError>,
    pub(crate) warnings: Vec<ConfigError>,
}

impl Report {
    pub(crate) fn error(&mut self, place: Option<&Place>, path: impl Into<String>, message: impl Into<String>) {
        self.errors.push(ConfigError { place: place.cloned(), path: path.into(), message: message.into() });
    }

    pub(crate) fn warn(&mut self, place: Option<&Place>, path: impl Into<String>, message: impl Into<String>) {
        self.warnings.push(ConfigError { place: place.cloned(), path: path.into(), message: message.into() });
    }

    /// In the order of the text, each once.
    pub(crate) fn into_errors(self) -> ConfigErrors {
        let Self { mut errors, mut warnings } = self;
        in_order(&mut errors);
        in_order(&mut warnings);
        ConfigErrors { errors, warnings }
    }
}

/// What a block of settings finds wrong with itself; paths are relative to the block.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    prefix: String,
    errors: Vec<Finding>,
    warnings: Vec<Finding>,
}

/// One of them.
#[derive(Debug)]
pub(crate) struct Finding {
    /// Where it stands, relative to the block.
    pub(crate) path: String,
    pub(crate) message: String,
}

impl Findings {
    /// Reports a mistake at a key of the block at hand; an empty path means the block itself.
    pub(crate) fn error(&mut self, path: &str, message: impl Into<String>) {
        self.errors.push(Finding { path: self.full(path), message: message.into() });
    }

    /// Reports something that works, but hardly as intended.
    pub(crate) fn warn(&mut self, path: &str, message: impl Into<String>) {
        self.warnings.push(Finding { path: self.full(path), message: message.into() });
    }

    /// Checks a nested block, whose paths are then relative to it.
    pub(crate) fn within(&mut self, path: &str, check: impl FnOnce(&mut Self)) {
        let outer = self.prefix.len();
        self.prefix = self.full(path);
        check(self);
        self.prefix.truncate(outer);
    }

    /// Errors and warnings.
    pub(crate) fn into_parts(self) -> (Vec<Finding>, Vec<Finding>) {
        (self.errors, self.warnings)
    }

    fn full(&self, path: &str) -> String {
        join(&self.prefix, path)
    }
}

/// Joins two parts of a key path.
pub(crate) fn join(prefix: &str, path: &str) -> String {
    match (prefix, path) {
        ("", path) => path.to_owned(),
        (prefix, "") => prefix.to_owned(),
        (prefix, path) => format!("{prefix}::{path}"),
    }
}
