//! Names of indices: fixed text, attributes, the tenant and a date, made valid.

use std::borrow::Cow;

use sluice_wire::view::KeyValue;

use super::json::civil;

/// The longest name that OpenSearch takes.
const MAX_NAME_BYTES: usize = 255;

/// How an index is named.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct IndexName {
    parts: Vec<Part>,
    fallback: String,
    /// Suffix after a hyphen, for example `yyyy.MM.dd`.
    time_format: String,
    /// The name, if it is the same for everything.
    fixed: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Text(String),
    Tenant,
    Attribute(String),
}

/// What a name can be made of.
pub(super) struct Source<'a, R, S, T> {
    /// Attributes of the span or log record; they come first.
    pub(super) record: R,
    /// Attributes of the instrumentation scope.
    pub(super) scope: S,
    /// Attributes of the resource.
    pub(super) resource: T,
    /// Whose it is.
    pub(super) tenant: &'a str,
    /// When it was, in nanoseconds since the epoch.
    pub(super) nanos: u64,
}

impl IndexName {
    /// Reads a pattern such as `logs-%{service.name}`; its placeholders are closed.
    pub(super) fn parse(pattern: &str, fallback: &str, time_format: &str) -> Self {
        let mut parts = Vec::new();
        let mut rest = pattern;
        while let Some((before, after)) = rest.split_once("%{") {
            let (key, after) = after.split_once('}').unwrap_or((after, ""));
            parts.push(Part::Text(before.to_owned()));
            parts.push(if key == "tenant" { Part::Tenant } else { Part::Attribute(key.to_owned()) });
            rest = after;
        }
        parts.push(Part::Text(rest.to_owned()));
        parts.retain(|part| *part != Part::Text(String::new()));
        let fixed = match parts.as_slice() {
            [Part::Text(text)] if time_format.is_empty() => Some(valid(text)),
            _ => None,
        };
        Self { parts, fallback: fallback.to_owned(), time_format: time_format.to_owned(), fixed }
    }

    /// The name for something.
    pub(super) fn name<'a, R, S, T>(&self, source: &Source<'a, R, S, T>) -> Cow<'_, str>
    where
        R: Iterator<Item = KeyValue<'a>> + Clone,
        S: Iterator<Item = KeyValue<'a>> + Clone,
        T: Iterator<Item = KeyValue<'a>> + Clone,
    {
        if let Some(name) = &self.fixed {
            return Cow::Borrowed(name);
        }
        let mut name = String::new();
        for part in &self.parts {
            match part {
                Part::Text(text) => name.push_str(text),
                Part::Tenant => name.push_str(source.tenant),
                Part::Attribute(key) => {
                    let value = find(source.record.clone(), key)
                        .or_else(|| find(source.scope.clone(), key))
                        .or_else(|| find(source.resource.clone(), key));
                    name.push_str(&value.unwrap_or(Cow::Borrowed(&self.fallback)));
                }
            }
        }
        if !self.time_format.is_empty() {
            name.push('-');
            name.push_str(&date(source.nanos, &self.time_format));
        }
        Cow::Owned(valid(&name))
    }
}

fn find<'a>(mut attributes: impl Iterator<Item = KeyValue<'a>>, key: &str) -> Option<Cow<'a, str>> {
    let found = attributes.find(|attribute| attribute.key() == key)?;
    Some(found.value().as_string()).filter(|value| !value.is_empty())
}

/// A date in the letters that OpenSearch's users know: `yyyy`, `yy`, `MM`, `dd`, `HH`, `mm`, `ss`. The Collector turns
/// them into Go's, so those go as well: `2006`, `06`, `01`, `02`, `15`, `04`, `05`. Everything else stays.
fn date(nanos: u64, format: &str) -> String {
    let seconds = nanos / 1_000_000_000;
    let (year, month, day) = civil(seconds / 86_400);
    let two = |number: u64| format!("{:02}", number % 100);
    let fields = [
        (["yyyy", "2006"], format!("{year:04}")),
        (["yy", "06"], two(year)),
        (["MM", "01"], two(month)),
        (["dd", "02"], two(day)),
        (["HH", "15"], two(seconds / 3600 % 24)),
        (["mm", "04"], two(seconds / 60 % 60)),
        (["ss", "05"], two(seconds % 60)),
    ];
    let field = |rest: &str| {
        let mut found = fields.iter().flat_map(|(spellings, value)| spellings.map(|spelling| (spelling, value)));
        found.find(|(spelling, _)| rest.starts_with(spelling))
    };
    let mut out = String::new();
    let mut rest = format;
    while let Some(first) = rest.chars().next() {
        match field(rest) {
            Some((spelling, value)) => {
                out.push_str(value);
                rest = &rest[spelling.len()..];
            }
            None => {
                out.push(first);
                rest = &rest[first.len_utf8()..];
            }
        }
    }
    out
}

/// The day as Jaeger writes it: `2026-01-31`.
pub(super) fn day(nanos: u64) -> String {
    date(nanos, "yyyy-MM-dd")
}

/// Lower case, without what OpenSearch refuses in names, and not too long.
fn valid(name: &str) -> String {
    let refused = |c: char| c.is_control() || c.is_whitespace() || "\"*\\<|,>/?#:".contains(c);
    let mut name: String = name.to_lowercase().chars().map(|c| if refused(c) { '_' } else { c }).collect();
    let start = name.len() - name.trim_start_matches(['-', '_', '+', '.']).len();
    name.drain(..start);
    if name.len() > MAX_NAME_BYTES {
        name.truncate(name.floor_char_boundary(MAX_NAME_BYTES));
    }
    if name.is_empty() { "unknown".into() } else { name }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(pattern: &str, format: &str) -> String {
        let none = std::iter::empty();
        let source = Source {
            record: none.clone(),
            scope: none.clone(),
            resource: none,
            tenant: "Acme",
            nanos: 1_485_467_191_000_000_000,
        };
        IndexName::parse(pattern, "unknown", format).name(&source).into_owned()
    }

    #[test]
    fn fills_in_tenant_fallback_and_date() {
        let cases = [
            ("logs", "", "logs"),
            ("logs-%{tenant}", "", "logs-acme"),
            ("%{no.such}-x", "", "unknown-x"),
            ("logs", "yyyy.MM.dd", "logs-2017.01.26"),
            ("logs", "yyyy-MM-dd'T'HH", "logs-2017-01-26't'21"),
            ("logs", "yy_MMddHHmmss", "logs-17_0126214631"),
            ("logs", "2006.01.02-15.04.05", "logs-2017.01.26-21.46.31"),
        ];
        for (pattern, format, expected) in cases {
            assert_eq!(name(pattern, format), expected, "{pattern}");
        }
    }

    #[test]
    fn makes_names_valid() {
        assert_eq!(valid("_A b/c:#"), "a_b_c__");
        assert_eq!(valid("..."), "unknown");
        assert_eq!(valid(&"x".repeat(255)).len(), 255);
        assert_eq!(valid(&"x".repeat(256)).len(), 255);
    }

    #[test]
    fn a_name_without_placeholders_is_fixed() {
        assert_eq!(IndexName::parse("ss4o_traces-a-b", "", "").fixed.as_deref(), Some("ss4o_traces-a-b"));
        assert_eq!(IndexName::parse("a-%{b}", "", "").fixed, None);
        assert_eq!(IndexName::parse("a", "", "yyyy").fixed, None);
    }
}
