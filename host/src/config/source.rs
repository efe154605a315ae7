//! Where configuration comes from: `--config` sources, `--set`, and `AOT_CONFIG_CONTENT`.

use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;

use super::error::{ConfigError, Place, Report};
use super::node::{Content, Entry, Node};
use super::parse::{self, MAX_BYTES, MAX_DEPTH};

/// The variable whose mere existence makes ADOT ignore every `--config`.
pub const CONTENT_VARIABLE: &str = "AOT_CONFIG_CONTENT";

/// What the command line says about where configuration comes from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sources {
    /// `--config`, in order: a path, `file:path`, `env:VARIABLE` or `yaml:text`. Later ones win.
    pub configs: Vec<String>,
    /// `--set`, in order: `exporters.otlp.endpoint=host:4317`. They win over all of `configs`.
    pub sets: Vec<String>,
}

/// Looks up a variable of the environment.
pub type Environment<'a> = &'a dyn Fn(&str) -> Option<String>;

/// Looks up a variable of the process's own environment. What is not UTF-8 counts as not set.
pub fn process_environment(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// Reads all sources and merges them; expands nothing.
pub(crate) fn read(sources: &Sources, environment: Environment<'_>, report: &mut Report) -> Option<Node> {
    let mut configs = sources.configs.clone();
    if environment(CONTENT_VARIABLE).is_some() {
        let others = if configs.is_empty() { "" } else { "; --config is ignored" };
        report.warn(
            None,
            "",
            format!("the environment variable {CONTENT_VARIABLE} exists, its content is the configuration{others}"),
        );
        configs = vec![format!("env:{CONTENT_VARIABLE}")];
    }
    if configs.is_empty() {
        report.error(None, "", "no configuration; name one with --config, for example --config=/etc/otel-config.yaml");
        return None;
    }
    let mut merged: Option<Node> = None;
    for uri in &configs {
        let Some(node) = read_config(uri, environment, report) else { continue };
        match &mut merged {
            Some(merged) => merged.merge(node),
            None => merged = Some(node),
        }
    }
    for set in &sources.sets {
        match (read_set(set), &mut merged) {
            (Ok(node), Some(merged)) => merged.merge(node),
            (Ok(_), None) => {}
            (Err(error), _) => report.errors.push(error),
        }
    }
    merged
}

fn read_config(uri: &str, environment: Environment<'_>, report: &mut Report) -> Option<Node> {
    let (source, text) = match read_text(uri, environment) {
        Ok(text) => text,
        Err(message) => {
            report.error(None, "", message);
            return None;
        }
    };
    match parse::parse(&text, &source).and_then(|node| split_keys(node, 0)) {
        Ok(node) if node.is_null() => Some(Node::new(node.place, Content::Mapping(Vec::new()))),
        Ok(node @ Node { content: Content::Mapping(_), .. }) => Some(node),
        Ok(node) => {
            report.error(
                Some(&node.place),
                "",
                "a configuration must be a map with keys such as receivers, exporters and service",
            );
            None
        }
        Err(errors) => {
            report.errors.extend(errors);
            None
        }
    }
}

/// The text behind a `--config`, and what errors call it.
fn read_text(uri: &str, environment: Environment<'_>) -> Result<(Arc<str>, String), String> {
    match scheme(uri) {
        None => Ok((uri.into(), read_file(Path::new(uri))?)),
        Some("file") => {
            let path = &uri["file:".len()..];
            let path = path.strip_prefix("//").unwrap_or(path);
            Ok((path.into(), read_file(Path::new(path))?))
        }
        Some("env") => {
            let name = &uri["env:".len()..];
            let text = environment(name)
                .ok_or_else(|| format!("--config={uri}: the environment variable {name:?} is not set"))?;
            Ok((uri.into(), text))
        }
        Some("yaml") => Ok(("--config=yaml:".into(), uri["yaml:".len()..].to_owned())),
        Some(other @ ("http" | "https" | "s3")) => Err(format!(
            "--config={other}:… is not supported: fetch the file before the start, or give its text in {CONTENT_VARIABLE}"
        )),
        Some(other) => Err(format!("--config={other}:…: unknown scheme {other:?}; use a path, file:, env: or yaml:")),
    }
}

/// What stands before the first colon, if it looks like a scheme. One letter is a drive, not a scheme.
pub(crate) fn scheme(uri: &str) -> Option<&str> {
    let (scheme, _) = uri.split_once(':')?;
    let starts_well = scheme.bytes().next().is_some_and(|b| b.is_ascii_alphabetic());
    let continues_well = scheme.bytes().all(|b| b.is_ascii_alphanumeric() || b"+.-".contains(&b));
    (starts_well && continues_well && scheme.len() > 1).then_some(scheme)
}

/// Reads a text file that may not be larger than a configuration.
pub(crate) fn read_file(path: &Path) -> Result<String, String> {
    let shown = path.display();
    let file = File::open(path).map_err(|error| format!("{shown}: can't be read: {error}"))?;
    let mut text = String::new();
    file.take(MAX_BYTES as u64 + 1)
        .read_to_string(&mut text)
        .map_err(|error| format!("{shown}: can't be read: {error}"))?;
    if text.len() > MAX_BYTES {
        return Err(format!("{shown}: larger than {MAX_BYTES} bytes, the limit for a configuration"));
    }
    Ok(text.strip_prefix('\u{feff}').map(str::to_owned).unwrap_or(text))
}

/// `a.b.c=value`, where the value is YAML.
fn read_set(set: &str) -> Result<Node, ConfigError> {
    let refuse = |message: &str| ConfigError { place: None, path: String::new(), message: format!("--set {message}") };
    let Some((keys, value)) = set.split_once('=') else {
        return Err(refuse("needs key=value, for example --set exporters.otlp.endpoint=host:4317"));
    };
    let keys: Vec<&str> = keys.split('.').flat_map(|key| key.split("::")).map(str::trim).collect();
    if keys.len() > MAX_DEPTH || keys.iter().any(|key| key.is_empty()) {
        return Err(refuse("needs keys joined by dots before the =, none of them empty"));
    }
    let source: Arc<str> = format!("--set {}", keys.join(".")).into();
    let place = Place { source: source.clone(), line: 0, column: 0 };
    let mut node = match parse::parse(value, &source) {
        Ok(node) => node,
        // What is no YAML is a text, as in the collector; `host: [` and the like are rare enough.
        Err(_) => Node::new(place.clone(), Content::Scalar { text: value.to_owned(), plain: false }),
    };
    forget_lines(&mut node, &place);
    Ok(nest(&keys, node, &place))
}

fn nest(keys: &[&str], value: Node, place: &Place) -> Node {
    keys.iter().rev().fold(value, |value, key| {
        let entry = Entry { key: (*key).to_owned(), key_place: place.clone(), value };
        Node::new(place.clone(), Content::Mapping(vec![entry]))
    })
}

/// Gives a node and all below it one place.
pub(crate) fn forget_lines(node: &mut Node, place: &Place) {
    node.place = place.clone();
    match &mut node.content {
        Content::Scalar { .. } => {}
        Content::Sequence(items) => items.iter_mut().for_each(|item| forget_lines(item, place)),
        Content::Mapping(entries) => {
            for entry in entries {
                entry.key_place = place.clone();
                forget_lines(&mut entry.value, place);
            }
        }
    }
}

/// `processors::batch::timeout: 2s` names nested keys in one, as the collector takes it wherever a map stands.
pub(super) fn split_keys(node: Node, depth: usize) -> Result<Node, Vec<ConfigError>> {
    let Content::Mapping(entries) = node.content else { return Ok(node) };
    let (joined, mut plain): (Vec<Entry>, Vec<Entry>) = entries.into_iter().partition(|entry| entry.key.contains("::"));
    for entry in &mut plain {
        let value = std::mem::replace(&mut entry.value, Node::null(entry.key_place.clone()));
        entry.value = split_keys(value, depth + 1)?;
    }
    let mut whole = Node::new(node.place, Content::Mapping(plain));
    for Entry { key, key_place, value } in joined {
        let keys: Vec<&str> = key.split("::").collect();
        let depth = depth + keys.len();
        if depth > MAX_DEPTH {
            let message = format!("nested deeper than {MAX_DEPTH} levels");
            return Err(vec![ConfigError { place: Some(key_place), path: String::new(), message }]);
        }
        whole.merge(nest(&keys, split_keys(value, depth)?, &key_place));
    }
    Ok(whole)
}
