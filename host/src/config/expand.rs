//! Expands `${env:VAR}`, `${VAR}`, `${env:VAR:-default}`, `${file:path}`, `${yaml:text}`, `$$` and the bare `$VAR` of 2021.
//!
//! What comes out of the environment or a file is not expanded again, so a secret may contain any dollar sign.

use std::path::Path;

use super::error::{Place, Report, join};
use super::node::{Content, Node};
use super::parse;
use super::source::{self, Environment};

/// How deep `${...}` may stand in `${...}`.
const MAX_NESTING: usize = 16;

/// Expands all texts of a tree; keys stay as they are.
pub(crate) fn expand(root: &mut Node, environment: Environment<'_>, report: &mut Report) {
    Expander { environment, report, place: root.place.clone(), path: String::new() }.node(root, "");
}

struct Expander<'a> {
    environment: Environment<'a>,
    report: &'a mut Report,
    /// Where the text at hand stands, for errors and warnings.
    place: Place,
    path: String,
}

/// What a reference stands for.
struct Retrieved {
    text: String,
    /// The environment variable, if it was not set.
    unset: Option<String>,
}

/// What a text became.
enum Expanded {
    Text(String),
    /// The whole text was one reference.
    Whole(Retrieved),
}

impl Expander<'_> {
    fn node(&mut self, node: &mut Node, path: &str) {
        match &mut node.content {
            Content::Mapping(entries) => {
                for entry in entries {
                    self.node(&mut entry.value, &join(path, &entry.key));
                }
            }
            Content::Sequence(items) => {
                for (index, item) in items.iter_mut().enumerate() {
                    self.node(item, &join(path, &index.to_string()));
                }
            }
            Content::Scalar { text, .. } if !text.contains('$') => {}
            Content::Scalar { text, plain } => {
                self.place = node.place.clone();
                self.path = path.to_owned();
                match self.text(text, 0) {
                    Expanded::Text(expanded) => {
                        // `$$5` is the text `$5`, and `${A}0` a text too, whatever it looks like.
                        *plain = *plain && !text.contains("${") && !text.contains("$$");
                        *text = expanded;
                    }
                    Expanded::Whole(retrieved) => *node = self.whole(retrieved),
                }
            }
        }
    }

    /// A reference that is the whole scalar means what its text means as YAML, if it is YAML.
    fn whole(&self, retrieved: Retrieved) -> Node {
        let Retrieved { text, unset } = retrieved;
        let mut node = match parse::parse(&text, &self.place.source) {
            Ok(node) => node,
            Err(_) => Node::new(self.place.clone(), Content::Scalar { text: text.clone(), plain: false }),
        };
        source::forget_lines(&mut node, &self.place);
        node.original = Some(text);
        node.unset = unset;
        node
    }

    fn text(&mut self, text: &str, nesting: usize) -> Expanded {
        let mut expanded = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(at) = rest.find('$') {
            expanded.push_str(&rest[..at]);
            let after = &rest[at + 1..];
            let is_whole =
                |end: usize| expanded.is_empty() && at == 0 && rest.len() == text.len() && end == after.len();
            if let Some(after) = after.strip_prefix('$') {
                expanded.push('$');
                rest = after;
            } else if let Some(end) = closing_brace(after) {
                let retrieved = self.reference(&after[1..end], nesting);
                if is_whole(end + 1) {
                    return Expanded::Whole(retrieved);
                }
                expanded.push_str(&retrieved.text);
                rest = &after[end + 1..];
            } else if let Some((end, retrieved)) = self.bare_variable(after) {
                if is_whole(end) {
                    return Expanded::Whole(retrieved);
                }
                expanded.push_str(&retrieved.text);
                rest = &after[end..];
            } else {
                expanded.push('$');
                rest = after;
            }
        }
        expanded.push_str(rest);
        Expanded::Text(expanded)
    }

    /// What stands between `${` and `}`.
    fn reference(&mut self, inner: &str, nesting: usize) -> Retrieved {
        if nesting >= MAX_NESTING {
            return self.nothing(format!("${{...}} is nested deeper than {MAX_NESTING} levels"));
        }
        let inner = match self.text(inner, nesting + 1) {
            Expanded::Text(text) => text,
            Expanded::Whole(retrieved) => retrieved.text,
        };
        let (scheme, opaque) = match inner.split_once(':') {
            Some((scheme @ ("env" | "file" | "yaml" | "http" | "https" | "s3"), opaque)) => (scheme, opaque),
            Some((_, after)) if !after.starts_with('-') => {
                let scheme = inner.split(':').next().unwrap_or_default();
                return self.nothing(format!(
                    "unknown scheme {scheme:?} in ${{...}}; use env, file or yaml, and $$ for a dollar sign"
                ));
            }
            _ => ("env", inner.as_str()),
        };
        match scheme {
            "env" => self.variable(opaque),
            "yaml" => Retrieved { text: opaque.to_owned(), unset: None },
            "file" => match source::read_file(Path::new(opaque)) {
                Ok(text) => Retrieved { text: text.trim_end_matches(['\n', '\r']).to_owned(), unset: None },
                Err(message) => self.nothing(message),
            },
            other => self.nothing(format!("${{{other}:...}} is not supported; use env, file or yaml")),
        }
    }

    /// `VAR` or `VAR:-default`.
    fn variable(&mut self, opaque: &str) -> Retrieved {
        let (name, default) = match opaque.split_once(":-") {
            Some((name, default)) => (name, Some(default)),
            None => (opaque, None),
        };
        if name_length(name) != name.len() || name.is_empty() {
            return self.nothing(format!(
                "environment variable {name:?} has an invalid name: it must match ^[a-zA-Z_][a-zA-Z0-9_]*$; write $${{...}} for the text itself"
            ));
        }
        match ((self.environment)(name), default) {
            (Some(text), _) => Retrieved { text, unset: None },
            (None, Some(default)) => Retrieved { text: default.to_owned(), unset: None },
            (None, None) => self.unset(name),
        }
    }

    /// `$VAR` as ADOT took it until 2024: where the name begins and how long it is is all that marks it. A name in
    /// small letters that is not set is left alone, so that `pa$word` is what it seems.
    fn bare_variable(&mut self, after: &str) -> Option<(usize, Retrieved)> {
        let end = name_length(after);
        let name = &after[..end];
        if name.is_empty() {
            return None;
        }
        match (self.environment)(name) {
            Some(text) => {
                self.warn(format!("${name} is deprecated; write ${{env:{name}}}"));
                Some((end, Retrieved { text, unset: None }))
            }
            None if name.bytes().any(|b| b.is_ascii_lowercase()) => {
                self.warn(format!(
                    "${name} is taken literally: there is no such environment variable; write $${name} to say so"
                ));
                None
            }
            None => {
                self.warn(format!("${name} is deprecated; write ${{env:{name}}}"));
                Some((end, self.unset(name)))
            }
        }
    }

    fn unset(&mut self, name: &str) -> Retrieved {
        self.warn(format!("environment variable {name:?} is not set; it is taken as empty"));
        Retrieved { text: String::new(), unset: Some(name.to_owned()) }
    }

    fn nothing(&mut self, message: String) -> Retrieved {
        self.report.error(Some(&self.place), self.path.as_str(), message);
        Retrieved { text: String::new(), unset: None }
    }

    fn warn(&mut self, message: String) {
        self.report.warn(Some(&self.place), self.path.as_str(), message);
    }
}

/// The position of the `}` that closes the `{` at the front; braces after a dollar sign nest.
fn closing_brace(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    if bytes.first() != Some(&b'{') {
        return None;
    }
    let mut open = 1_usize;
    for at in 1..bytes.len() {
        match bytes[at] {
            b'{' if bytes[at - 1] == b'$' => open += 1,
            b'}' => open -= 1,
            _ => {}
        }
        if open == 0 {
            return Some(at);
        }
    }
    None
}

/// How many bytes at the front make up a variable's name.
fn name_length(text: &str) -> usize {
    let continues = |(index, b): (usize, u8)| b.is_ascii_alphabetic() || b == b'_' || (index > 0 && b.is_ascii_digit());
    text.bytes().enumerate().take_while(|(index, b)| continues((*index, *b))).count()
}
