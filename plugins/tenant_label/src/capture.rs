//! The part of a text that a pattern's group stands for, and the templates that use it.
//!
//! Patterns run on the host, which only says whether a text matches. If a pattern is fixed text, one group, and fixed
//! text again, a full match leaves no choice where the group lies: it is the text without both ends.

/// Where the group of a pattern lies in a text that matches it completely.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Group {
    before: String,
    after: String,
    name: Option<String>,
}

impl Group {
    /// Finds the group of a pattern; `None` if it is not of the form fixed text, one group, fixed text.
    pub(crate) fn of(pattern: &str) -> Option<Self> {
        let pattern = pattern.strip_prefix('^').unwrap_or(pattern);
        let (before, rest) = fixed_text(pattern)?;
        let rest = rest.strip_prefix('(')?;
        let (name, rest) = group_name(rest)?;
        let rest = skip_group(rest)?;
        let (after, rest) = fixed_text(rest)?;
        matches!(rest, "" | "$").then_some(Self { before, after, name })
    }

    /// The text of the group in a text that matches the pattern completely.
    fn find<'a>(&self, text: &'a str) -> Option<&'a str> {
        text.strip_prefix(self.before.as_str())?.strip_suffix(self.after.as_str())
    }
}

/// A tenant's name with places for the group (`$1`, `${1}`, `${name}`) or the whole text (`$0`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Template(Vec<Part>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Fixed(String),
    Whole,
    Group(Group),
}

impl Template {
    /// Reads a template for a pattern. `$$` stands for a dollar sign.
    ///
    /// # Errors
    /// What is wrong with it, for the user.
    pub(crate) fn read(template: &str, pattern: &str) -> Result<Self, String> {
        let mut parts = Vec::new();
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
            parts.push(referenced(name, pattern)?);
            rest = after;
        }
        parts.push(Part::Fixed(rest.to_owned()));
        parts.retain(|part| *part != Part::Fixed(String::new()));
        Ok(Self(parts))
    }

    /// The name if it does not depend on the text.
    pub(crate) fn fixed(&self) -> Option<String> {
        let fixed = |part: &Part| if let Part::Fixed(text) = part { Some(text.clone()) } else { None };
        self.0.iter().map(fixed).collect()
    }

    /// The name for a text that matches the pattern completely.
    pub(crate) fn expand(&self, text: &str) -> String {
        let part = |part: &Part| match part {
            Part::Fixed(fixed) => fixed.clone(),
            Part::Whole => text.to_owned(),
            Part::Group(group) => group.find(text).unwrap_or_default().to_owned(),
        };
        self.0.iter().map(part).collect()
    }
}

fn referenced(name: &str, pattern: &str) -> Result<Part, String> {
    if name == "0" {
        return Ok(Part::Whole);
    }
    let group = Group::of(pattern).ok_or_else(|| {
        format!(
            "${name} needs a pattern of fixed text, one group and fixed text, such as team-(.+)-prod; this one is {pattern:?}"
        )
    })?;
    if name != "1" && group.name.as_deref() != Some(name) {
        return Err(format!("the pattern has no group {name:?}; use $1 for its only group"));
    }
    Ok(Part::Group(group))
}

/// The name after a dollar sign, `1` or `{name}`, and the rest.
fn reference_name(reference: &str) -> Option<(&str, &str)> {
    if let Some(braced) = reference.strip_prefix('{') {
        return braced.split_once('}').filter(|(name, _)| !name.is_empty());
    }
    let end = reference.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(reference.len());
    (end > 0).then(|| reference.split_at(end))
}

/// The fixed text at the front of a pattern, without its backslashes, and the rest; `None` if it is repeated or one
/// of several alternatives.
fn fixed_text(pattern: &str) -> Option<(String, &str)> {
    let mut text = String::new();
    let mut characters = pattern.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '(' | '$' => return Some((text, &pattern[at..])),
            '\\' => {
                // An escaped letter or digit is a class or an anchor.
                let (_, escaped) = characters.next()?;
                text.push(Some(escaped).filter(char::is_ascii_punctuation)?);
            }
            '.' | '[' | ']' | '{' | '}' | '*' | '+' | '?' | '|' | ')' | '^' => return None,
            _ => text.push(character),
        }
    }
    Some((text, ""))
}

/// The name of a group whose parenthesis was read, and what it holds; `None` for groups that capture nothing.
fn group_name(rest: &str) -> Option<(Option<String>, &str)> {
    let Some(marked) = rest.strip_prefix('?') else { return Some((None, rest)) };
    let named = marked.strip_prefix("P<").or(marked.strip_prefix('<'))?;
    let (name, rest) = named.split_once('>')?;
    Some((Some(name.to_owned()), rest))
}

/// What follows the group whose parenthesis was read; `None` if it holds another capturing group.
fn skip_group(rest: &str) -> Option<&str> {
    let mut depth = 1;
    // Where the first closing bracket that can end the class at hand may stand.
    let mut class = None;
    let mut characters = rest.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '\\' => {
                characters.next();
            }
            // Classes may lie in each other; none that needs telling apart occurs in names of tenants.
            '[' if class.is_some() => return None,
            '[' => class = Some(at + if rest[at..].starts_with("[^") { 3 } else { 2 }),
            ']' if class.is_some_and(|first| at >= first) => class = None,
            '(' if class.is_none() => {
                if !rest[at + 1..].starts_with("?:") {
                    return None;
                }
                depth += 1;
            }
            ')' if class.is_none() => {
                depth -= 1;
                if depth == 0 {
                    return Some(&rest[at + 1..]);
                }
            }
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_group_between_fixed_texts() {
        for (pattern, text, expected) in [
            ("team-(.+)", "team-a", Some("a")),
            ("^team-(.+)-prod$", "team-a-b-prod", Some("a-b")),
            ("(.*)", "", Some("")),
            (r"a\.b\((\d+|x(?:y|[^)(]z))\)", "a.b(42)", Some("42")),
            (r"(?P<name>[\])]+)/", "])/", Some("])")),
            ("([]x]+)", "]", Some("]")),
            ("([^]x]+)", "a", Some("a")),
            (r"([\[])(?:x])", "[x]", None),
            ("über(.)", "übera", Some("a")),
            ("(a)|b", "a", None),
            ("(a)+", "a", None),
            ("(a)(b)", "ab", None),
            ("(a(b))", "ab", None),
            ("x?(a)", "a", None),
            (r"\d(a)", "1a", None),
            ("(?:a)", "a", None),
            ("(?i:a)", "a", None),
            ("a", "a", None),
            ("(a", "a", None),
        ] {
            assert_eq!(Group::of(pattern).and_then(|group| group.find(text)), expected, "{pattern}");
        }
    }

    #[test]
    fn fills_templates() {
        for (template, pattern, text, expected) in [
            ("x-$1", "team-(.+)", "team-a", "x-a"),
            ("${1}x", "team-(.+)", "team-a", "ax"),
            ("${who}", "team-(?<who>.+)", "team-a", "a"),
            ("$who.$1", "team-(?P<who>.+)", "team-a", "a.a"),
            ("$0", "[a-z]+|x", "abc", "abc"),
            ("$$1", "team-(.+)", "team-a", "$1"),
            ("fixed", "a|b", "a", "fixed"),
        ] {
            let template = Template::read(template, pattern);
            assert_eq!(template.map(|template| template.expand(text)), Ok(expected.to_owned()), "{pattern}");
        }
    }

    #[test]
    fn refuses_templates_that_it_could_not_fill() {
        for (template, pattern, expected) in [
            ("$", "(a)", "has a $ without a group"),
            ("${1", "(a)", "has a $ without a group"),
            ("${}", "(a)", "has a $ without a group"),
            ("$2", "(a)", "no group \"2\""),
            ("$1x", "(a)", "no group \"1x\""),
            ("$1", "a|(b)", "fixed text, one group"),
        ] {
            let error = Template::read(template, pattern).expect_err(template);
            assert!(error.contains(expected), "{template}: {error}");
        }
    }
}
