//! Metric names and label names as Prometheus wants them, in today's way and in that of 2021.

/// How names are translated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Naming {
    /// Unit and type become suffixes (`UnderscoreEscapingWithSuffixes`).
    WithSuffixes,
    /// Only invalid characters are replaced (`UnderscoreEscapingWithoutSuffixes`).
    WithoutSuffixes,
    /// What `awsprometheusremotewrite` did in 2021.
    Adot2021,
}

/// What the type of a metric adds to its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A gauge: a ratio, where the unit is `1`.
    Gauge,
    /// A sum that only grows: a total.
    MonotonicSum,
    /// Anything else.
    Other,
}

/// The Prometheus name of a metric; none if nothing of the name can be kept.
pub(crate) fn metric_name(naming: Naming, namespace: &str, name: &str, unit: &str, kind: Kind) -> Option<String> {
    let translated = match naming {
        Naming::WithSuffixes => with_suffixes(namespace, name, unit, kind),
        Naming::WithoutSuffixes => without_suffixes(namespace, name),
        Naming::Adot2021 if namespace.is_empty() => in_2021(name),
        Naming::Adot2021 => in_2021(&format!("{namespace}_{name}")),
    };
    // A name that had nothing else from the start stays.
    let is_kept = !translated.is_empty() && translated == name;
    if is_kept { Some(translated) } else { has_more_than_underscores(translated) }
}

/// A text with underscores for what a name can't have.
pub(crate) fn in_name(text: &str) -> String {
    text.chars().map(|c| if c.is_ascii_alphanumeric() || c == ':' { c } else { '_' }).collect()
}

/// The Prometheus name of an attribute; none if nothing of it can be kept.
pub(crate) fn label_name(naming: Naming, key: &str) -> Option<String> {
    match naming {
        Naming::Adot2021 => Some(in_2021(key)).filter(|name| !name.is_empty()),
        _ => {
            let name = collapsed(key);
            has_more_than_underscores(match name.as_bytes() {
                [b'0'..=b'9', ..] => format!("key_{name}"),
                [b'_', b'_', ..] => name,
                [b'_', ..] => format!("key{name}"),
                _ => name,
            })
        }
    }
}

/// The same for the labels of `target_info`, where runs of underscores and one in front stay.
pub(crate) fn target_info_label_name(key: &str) -> Option<String> {
    let name: String = key.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect();
    let starts_with_digit = name.starts_with(|c: char| c.is_ascii_digit());
    has_more_than_underscores(if starts_with_digit { format!("key_{name}") } else { name })
}

fn has_more_than_underscores(name: String) -> Option<String> {
    name.bytes().any(|byte| byte != b'_').then_some(name)
}

/// Every run of other characters becomes one underscore. Reserved names keep the two on both sides.
fn collapsed(key: &str) -> String {
    match key.strip_prefix("__").and_then(|key| key.strip_suffix("__")) {
        Some(reserved) => format!("__{}__", runs(reserved)),
        None => runs(key),
    }
}

fn runs(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_ascii_alphanumeric() {
            out.push(c);
        } else if !out.ends_with('_') {
            out.push('_');
        }
    }
    out
}

/// Only ASCII letters and digits are kept: what else 2021 let through, Prometheus refuses.
fn in_2021(name: &str) -> String {
    let name: String = name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect();
    match name.as_bytes() {
        [b'0'..=b'9', ..] => format!("key_{name}"),
        [b'_', ..] => format!("key{name}"),
        _ => name,
    }
}

fn without_suffixes(namespace: &str, name: &str) -> String {
    let clean = |text: &str| {
        let tokens = text.split(|c: char| !(c.is_ascii_alphanumeric() || c == ':' || c == '_'));
        tokens.filter(|token| !token.is_empty()).collect::<Vec<_>>().join("_")
    };
    let name = clean(name);
    if !namespace.is_empty() {
        return format!("{}_{name}", clean(namespace));
    }
    if name.starts_with(|c: char| c.is_ascii_digit()) { format!("_{name}") } else { name }
}

fn with_suffixes(namespace: &str, name: &str, unit: &str, kind: Kind) -> String {
    let mut tokens: Vec<String> = tokens(name).map(str::to_owned).collect();
    let (main, per) = unit_suffixes(unit);
    for suffix in [main, per] {
        if !suffix.is_empty() && !tokens.contains(&suffix) {
            tokens.push(suffix);
        }
    }
    if kind == Kind::MonotonicSum {
        tokens.retain(|token| token != "total");
        tokens.push("total".into());
    }
    if kind == Kind::Gauge && unit == "1" {
        tokens.retain(|token| token != "ratio");
        tokens.push("ratio".into());
    }
    if !namespace.is_empty() {
        tokens.insert(0, namespace.to_owned());
    }
    let name = tokens.join("_");
    if name.starts_with(|c: char| c.is_ascii_digit()) { format!("_{name}") } else { name }
}

fn tokens(name: &str) -> impl Iterator<Item = &str> {
    name.split(|c: char| !(c.is_ascii_alphanumeric() || c == ':')).filter(|token| !token.is_empty())
}

/// What metadata says of a unit: `bytes_per_second` for `By/s`.
pub(crate) fn unit_name(unit: &str) -> String {
    let (main, per) = unit_suffixes(unit);
    let parts: Vec<&str> = [&*main, &*per].into_iter().filter(|part| !part.is_empty()).collect();
    parts.join("_").trim_matches('_').to_owned()
}

/// The suffixes for a unit such as `By/s`: `bytes` and `per_second`.
fn unit_suffixes(unit: &str) -> (String, String) {
    let (main, per) = unit.split_once('/').map_or((unit, ""), |(main, per)| (main, per));
    let part = |text: &str, known: fn(&str) -> Option<&'static str>| {
        let text = text.trim();
        if text.is_empty() || text.contains(['{', '}']) {
            return String::new();
        }
        known(text).map_or_else(|| clean_unit(text), str::to_owned)
    };
    let (main, per) = (part(main, main_unit), part(per, per_unit));
    match per.trim_end_matches('_') {
        "" => (main, String::new()),
        per => (main.trim_end_matches('_').to_owned(), format!("per_{per}")),
    }
}

/// An underscore for each run of what a name can't have, but none in front.
fn clean_unit(unit: &str) -> String {
    let mut out = String::with_capacity(unit.len());
    for c in unit.chars() {
        match c {
            c if c.is_ascii_alphanumeric() || c == ':' => out.push(c),
            _ if out.is_empty() || out.ends_with('_') => {}
            _ => out.push('_'),
        }
    }
    out
}

fn main_unit(unit: &str) -> Option<&'static str> {
    Some(match unit {
        "d" => "days",
        "h" => "hours",
        "min" => "minutes",
        "s" => "seconds",
        "ms" => "milliseconds",
        "us" => "microseconds",
        "ns" => "nanoseconds",
        "By" => "bytes",
        "KiBy" => "kibibytes",
        "MiBy" => "mebibytes",
        "GiBy" => "gibibytes",
        "TiBy" => "tibibytes",
        "KBy" => "kilobytes",
        "MBy" => "megabytes",
        "GBy" => "gigabytes",
        "TBy" => "terabytes",
        "m" => "meters",
        "V" => "volts",
        "A" => "amperes",
        "J" => "joules",
        "W" => "watts",
        "g" => "grams",
        "Cel" => "celsius",
        "Hz" => "hertz",
        "1" => "",
        "%" => "percent",
        _ => return None,
    })
}

fn per_unit(unit: &str) -> Option<&'static str> {
    Some(match unit {
        "s" => "second",
        "m" => "minute",
        "h" => "hour",
        "d" => "day",
        "w" => "week",
        "mo" => "month",
        "y" => "year",
        _ => return None,
    })
}

#[cfg(test)]
mod tests;
