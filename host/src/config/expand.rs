//! Expands `${env:VAR}`, `${VAR}`, `${env:VAR:-default}`, `${file:path}`, `${yaml:text}`, `$$` and the bare `$VAR` of 2021.
//!
//! What comes out of the environment is not expanded again, so a secret may contain any dollar sign; there is a warning
//! where the collector would have read it otherwise. What a file says is,
//! as in the collector, but for a bare `$VAR`. No message repeats a text with a dollar sign, as it may be a password.

use std::path::Path;
use std::sync::Arc;

use super::error::{Place, Report, join};
use super::node::{Content, Node};
use super::parse;
use super::source::{self, Environment};

/// How deep `${...}` may stand in `${...}` and in the files that it names.
const MAX_NESTING: usize = 16;
/// All files that are brought in, together; one that names others several times can become very large.
const MAX_INCLUDED_BYTES: usize = 4 * parse::MAX_BYTES;

/// Expands all texts of a tree; keys stay as they are.
pub(crate) fn expand(root: &mut Node, environment: Environment<'_>, report: &mut Report) {
    let place = root.place.clone();
    let mut expander = Expander { environment, report, place, path: String::new(), in_file: false, included_bytes: 0 };
    expander.node(root, "", 0);
}

struct Expander<'a> {
    environment: Environment<'a>,
    report: &'a mut Report,
    /// Where the text at hand stands, for errors and warnings.
    place: Place,
    path: String,
    /// Whether the text at hand is a file's.
    in_file: bool,
    included_bytes: usize,
}

/// What a reference stands for.
#[derive(Default)]
struct Retrieved {
    text: String,
    /// The environment variable, if it was not set.
    unset: Option<String>,
    /// The file that it is the text of; it may have references itself.
    file: Option<Arc<str>>,
}

/// What a text became.
enum Expanded {
    Text(String),
    /// The whole text was one reference.
    Whole(Retrieved),
}

impl Expander<'_> {
    fn node(&mut self, node: &mut Node, path: &str, nesting: usize) {
        match &mut node.content {
            Content::Mapping(entries) => {
                for entry in entries {
                    self.node(&mut entry.value, &join(path, &entry.key), nesting);
                }
            }
            Content::Sequence(items) => {
                for (index, item) in items.iter_mut().enumerate() {
                    self.node(item, &join(path, &index.to_string()), nesting);
                }
            }
            Content::Scalar { text, .. } if !text.contains('$') => {}
            Content::Scalar { text, plain } => {
                self.place = node.place.clone();
                self.path = path.to_owned();
                match self.text(text, nesting) {
                    Expanded::Text(expanded) => {
                        // `$$5` is the text `$5`, and `${A}0` a text too, whatever it looks like.
                        *plain = *plain && !text.contains("${") && !text.contains("$$");
                        *text = expanded;
                    }
                    Expanded::Whole(retrieved) => *node = self.whole(retrieved, nesting),
                }
            }
        }
    }

    /// A reference that is the whole scalar means what its text means as YAML, if it is YAML.
    fn whole(&mut self, retrieved: Retrieved, nesting: usize) -> Node {
        let Retrieved { text, unset, file } = retrieved;
        let place = self.place.clone();
        let parsed = parse::parse(&text, file.as_ref().unwrap_or(&place.source));
        let parsed = parsed.and_then(|node| if file.is_some() { source::split_keys(node, 0) } else { Ok(node) });
        let mut node = match parsed {
            Ok(node) => node,
            Err(_) => Node::new(place.clone(), Content::Scalar { text: text.clone(), plain: false }),
        };
        if file.is_none() {
            source::forget_lines(&mut node, &place);
            return Node { original: Some(text), unset, ..node };
        }
        let path = self.path.clone();
        let original = self.original_of_file(&text, nesting);
        self.within_file(|inside| inside.node(&mut node, &path, nesting + 1));
        // What is wrong with a map or list stands in the file; a single value is wrong for where it is asked for.
        let place = if matches!(node.content, Content::Scalar { .. }) { place } else { node.place };
        Node { place, original: Some(original), ..node }
    }

    /// The text that a text field takes. Its mistakes are reported for what it means as YAML.
    fn original_of_file(&mut self, text: &str, nesting: usize) -> String {
        let mut unheard = Report::default();
        let (place, path) = (self.place.clone(), self.path.clone());
        let mut quiet = Expander { environment: self.environment, report: &mut unheard, place, path, ..*self };
        let original = quiet.text_of_file(text, nesting);
        self.included_bytes = quiet.included_bytes;
        original
    }

    fn within_file<T>(&mut self, expand: impl FnOnce(&mut Self) -> T) -> T {
        let before = std::mem::replace(&mut self.in_file, true);
        let expanded = expand(self);
        self.in_file = before;
        expanded
    }

    fn text_of_file(&mut self, text: &str, nesting: usize) -> String {
        match self.within_file(|inside| inside.text(text, nesting + 1)) {
            Expanded::Text(text) => text,
            Expanded::Whole(retrieved) => self.flat(retrieved, nesting + 1),
        }
    }

    /// The text of a reference that stands in another text.
    fn flat(&mut self, retrieved: Retrieved, nesting: usize) -> String {
        match retrieved.file {
            None => retrieved.text,
            Some(_) => self.text_of_file(&retrieved.text, nesting),
        }
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
                expanded.push_str(&self.flat(retrieved, nesting));
                rest = &after[end + 1..];
            } else if let Some((end, retrieved)) =
                self.bare_variable(after, is_whole(name_length(after)) || is_address(text))
            {
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
            return self
                .nothing(format!("${{...}} is nested deeper than {MAX_NESTING} levels, files that it names included"));
        }
        let inner = match self.text(inner, nesting + 1) {
            Expanded::Text(text) => text,
            Expanded::Whole(retrieved) => self.flat(retrieved, nesting + 1),
        };
        let (scheme, opaque) = match inner.split_once(':') {
            Some((scheme @ ("env" | "file" | "yaml" | "http" | "https" | "s3"), opaque)) => (scheme, opaque),
            Some((_, after)) if !after.starts_with('-') => {
                return self
                    .nothing("unknown scheme in ${...}; use env, file or yaml, and $$ for a dollar sign".to_owned());
            }
            _ => ("env", inner.as_str()),
        };
        match scheme {
            "env" => self.variable(opaque),
            // It has been expanded, as all that stands between the braces.
            "yaml" => Retrieved { text: opaque.to_owned(), ..Retrieved::default() },
            "file" => self.file(opaque),
            other => self.nothing(format!("${{{other}:...}} is not supported; use env, file or yaml")),
        }
    }

    fn file(&mut self, path: &str) -> Retrieved {
        let text = match source::read_file(Path::new(path)) {
            Ok(text) => text.trim_end_matches(['\n', '\r']).to_owned(),
            Err(message) => return self.nothing(message),
        };
        self.included_bytes += text.len();
        if self.included_bytes > MAX_INCLUDED_BYTES {
            return self.nothing(format!("{path}: all files brought in have more than {MAX_INCLUDED_BYTES} bytes"));
        }
        Retrieved { text, file: Some(path.into()), unset: None }
    }

    /// `VAR` or `VAR:-default`.
    fn variable(&mut self, opaque: &str) -> Retrieved {
        let (name, default) = match opaque.split_once(":-") {
            Some((name, default)) => (name, Some(default)),
            None => (opaque, None),
        };
        if name_length(name) != name.len() || name.is_empty() {
            return self.nothing(
                "the name of an environment variable must match ^[a-zA-Z_][a-zA-Z0-9_]*$; write $${...} for the text itself".to_owned(),
            );
        }
        match ((self.environment)(name), default) {
            (Some(text), _) => {
                if text.contains("${") || text.contains("$$") {
                    let message = format!(
                        "the value of {name} is taken as it is; the collector would expand the ${{...}} and $$ in it"
                    );
                    self.warn(message);
                }
                Retrieved { text, ..Retrieved::default() }
            }
            (None, Some(default)) => Retrieved { text: default.to_owned(), ..Retrieved::default() },
            (None, None) => {
                // In a file it may be a part of a password.
                let which =
                    if self.in_file { "a variable".to_owned() } else { format!("environment variable {name:?}") };
                self.warn(format!("{which} is not set; it is taken as empty"));
                Retrieved { unset: Some(name.to_owned()), ..Retrieved::default() }
            }
        }
    }

    /// `$VAR` as ADOT took it until 2024: where the name begins and how long it is is all that marks it. A name that is
    /// not set is left alone if it is in small letters, or neither the whole value nor in an address, so that `pa$word`
    /// is what it seems. Else it may be shown, as no part of a password.
    fn bare_variable(&mut self, after: &str, is_shown: bool) -> Option<(usize, Retrieved)> {
        let end = name_length(after);
        let name = &after[..end];
        if name.is_empty() || self.in_file {
            return None;
        }
        let set = (self.environment)(name);
        if set.is_none() && (!is_shown || name.bytes().any(|b| b.is_ascii_lowercase())) {
            self.warn(
                "the dollar sign is taken literally: no environment variable has the name behind it; write $$ to say so"
                    .to_owned(),
            );
            return None;
        }
        let shown = if is_shown { name } else { "VARIABLE" };
        self.warn(format!("${shown} is deprecated; write ${{env:{shown}}}"));
        if set.is_none() {
            self.warn(format!("environment variable {name:?} is not set; it is taken as empty"));
        }
        let unset = set.is_none().then(|| name.to_owned());
        Some((end, Retrieved { text: set.unwrap_or_default(), unset, file: None }))
    }

    fn nothing(&mut self, message: String) -> Retrieved {
        self.report.error(Some(&self.place), self.path.as_str(), message);
        Retrieved::default()
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

/// Whether a text is a URL without a password.
fn is_address(text: &str) -> bool {
    text.contains("://") && !text.contains('@')
}

/// How many bytes at the front make up a variable's name.
fn name_length(text: &str) -> usize {
    let continues = |(index, b): (usize, u8)| b.is_ascii_alphabetic() || b == b'_' || (index > 0 && b.is_ascii_digit());
    text.bytes().enumerate().take_while(|(index, b)| continues((*index, *b))).count()
}
