//! Names of tenants with places for the groups of a pattern.
//!
//! Patterns run on the host, over all values at once, which says whether they match, not where their groups lie. So
//! the few values that do match a pattern whose groups are wanted, each once, are matched again here.

use regex_lite::{Captures, Regex};

/// A tenant's name with places for groups (`$1`, `${1}`, `${name}`) or the whole text (`$0`).
#[derive(Debug)]
pub(crate) struct Template {
    parts: Vec<Part>,
    /// The pattern, for the whole text; none if no group of it is wanted.
    pattern: Option<Regex>,
}

#[derive(Debug, PartialEq, Eq)]
enum Part {
    Fixed(String),
    Whole,
    Group(usize),
}

impl Template {
    /// Reads a template for a pattern. `$$` stands for a dollar sign.
    ///
    /// # Errors
    /// What is wrong with it, for the user.
    pub(crate) fn read(template: &str, pattern: &str) -> Result<Self, String> {
        let mut parts = Vec::new();
        let mut compiled = None;
        let mut rest = template;
        while let Some((fixed, reference)) = rest.split_once('$') {
            parts.push(Part::Fixed(fixed.to_owned()));
            if let Some(after) = reference.strip_prefix('$') {
                parts.push(Part::Fixed("$".to_owned()));
                rest = after;
                continue;
            }
            let (name, after) = reference_name(reference).ok_or_else(|| {
                format!("{template:?} has a $ without a group; write $1, ${{name}}, or $$ for a dollar sign")
            })?;
            parts.push(match name {
                "0" => Part::Whole,
                name => {
                    let regex = match compiled.take() {
                        Some(regex) => regex,
                        None => compile(pattern).map_err(|error| format!("${name} can't be filled: {error}"))?,
                    };
                    Part::Group(group(compiled.insert(regex), name)?)
                }
            });
            rest = after;
        }
        parts.push(Part::Fixed(rest.to_owned()));
        parts.retain(|part| *part != Part::Fixed(String::new()));
        Ok(Self { parts, pattern: compiled })
    }

    /// The name if it does not depend on the text.
    pub(crate) fn fixed(&self) -> Option<String> {
        let fixed = |part: &Part| if let Part::Fixed(text) = part { Some(text.clone()) } else { None };
        self.parts.iter().map(fixed).collect()
    }

    /// The name for a text that matches the pattern completely. None if it does so by characters beyond ASCII which
    /// only the host takes for letters or digits.
    pub(crate) fn expand(&self, text: &str) -> Option<String> {
        let groups = match &self.pattern {
            Some(pattern) => Some(pattern.captures(text)?),
            None => None,
        };
        let group =
            |i| groups.as_ref().and_then(|groups: &Captures<'_>| groups.get(i)).map_or("", |group| group.as_str());
        let part = |part: &Part| match part {
            Part::Fixed(fixed) => fixed.clone(),
            Part::Whole => text.to_owned(),
            Part::Group(i) => group(*i).to_owned(),
        };
        Some(self.parts.iter().map(part).collect())
    }
}

fn compile(pattern: &str) -> Result<Regex, String> {
    Regex::new(&format!("^(?:{pattern})$")).map_err(|error| format!("where groups are used, {error}"))
}

/// The number of a group of that number or name.
fn group(pattern: &Regex, name: &str) -> Result<usize, String> {
    let names = || pattern.capture_names().enumerate().skip(1);
    let is_meant = |(i, own): &(usize, Option<&str>)| *own == Some(name) || name.parse() == Ok(*i);
    let found = names().find(is_meant).map(|(i, _)| i);
    found.ok_or_else(|| match names().count() {
        0 => format!("the pattern has no group {name:?}, nor any; put what is wanted into parentheses"),
        groups => {
            let named: Vec<String> = names().filter_map(|(_, own)| own).map(|own| format!(", ${{{own}}}")).collect();
            format!("the pattern has no group {name:?}; it has $1 to ${groups}{}", named.concat())
        }
    })
}

/// The name after a dollar sign, `1` or `{name}`, and the rest.
fn reference_name(reference: &str) -> Option<(&str, &str)> {
    if let Some(braced) = reference.strip_prefix('{') {
        return braced.split_once('}').filter(|(name, _)| !name.is_empty());
    }
    let end = reference.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(reference.len());
    (end > 0).then(|| reference.split_at(end))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fills_templates() {
        for (template, pattern, text, expected) in [
            ("x-$1", "team-(.+)", "team-a", Some("x-a")),
            ("${1}x", "team-(.+)", "team-a", Some("ax")),
            ("${who}", "team-(?<who>.+)", "team-a", Some("a")),
            ("$who.$1", "team-(?P<who>.+)", "team-a", Some("a.a")),
            ("$0", "[a-z]+|x", "abc", Some("abc")),
            ("$$1", "team-(.+)", "team-a", Some("$1")),
            ("fixed", "a|b", "a", Some("fixed")),
            (
                "$2-$1",
                r"arn:aws:iam::(\d{12}):role/([a-z]+)-.*",
                "arn:aws:iam::123456789012:role/shop-x",
                Some("shop-123456789012"),
            ),
            ("$1", "(?:team|squad)-([a-z]+)(?:-(?:prod|dev))?", "squad-a-dev", Some("a")),
            ("x$1$2", "(a)|(b)", "b", Some("xb")),
            ("$1", "(a)|ab(c)", "abc", Some("")),
            ("$1", "(?i)TEAM-(.)", "team-\u{e9}", Some("\u{e9}")),
            ("$1", r"(\w+)-x", "\u{e9}-x", None),
        ] {
            let template = Template::read(template, pattern).expect(pattern);
            assert_eq!(template.expand(text).as_deref(), expected, "{pattern}");
        }
    }

    #[test]
    fn refuses_templates_that_it_could_not_fill() {
        for (template, pattern, expected) in [
            ("$", "(a)", "has a $ without a group"),
            ("${1", "(a)", "has a $ without a group"),
            ("${}", "(a)", "has a $ without a group"),
            ("$2", "(a)", "no group \"2\"; it has $1 to $1"),
            ("$1x", "(a)(?<b>c)", "no group \"1x\"; it has $1 to $2, ${b}"),
            ("$1", "a", "no group \"1\", nor any"),
            ("$1", r"(\pL+)", "$1 can't be filled: where groups are used, "),
        ] {
            let error = Template::read(template, pattern).expect_err(template);
            assert!(error.contains(expected), "{template}: {error}");
        }
    }
}
