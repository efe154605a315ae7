//! Finds all mistakes of a plugin's block: those against its schema, and those that the plugin finds in what is left.

use std::collections::BTreeSet;

use serde_json::Value;

use super::error::{ConfigError, ConfigErrors, Report, join};
use super::node::Content;
use super::plugin_block::{self, PluginConfig};
use super::schema::LeftOut;

/// How often a plugin is asked. One that stops at its first mistake has it taken out, and is asked about the rest.
const MAX_ROUNDS: usize = 8;

/// A mistake that a plugin found: the plugin's own path, for example `traces.span[2]`, and what is wrong.
pub type PluginMistake = (String, String);

/// What is left of a block without what was complained about.
struct Remainder<'a> {
    plugin: &'a PluginConfig,
    value: Value,
    left_out: LeftOut,
    /// Those that were reported before, then those of the block.
    errors: Vec<ConfigError>,
}

impl PluginConfig {
    /// All mistakes in the plugin's part of the block that were not reported before, and what looks odd. `configure` asks the plugin about a
    /// block, and hears whether it is the whole one: warnings about a remainder mean nothing.
    ///
    /// Of a remainder only those mistakes count that can't come from what it lacks: not that something is missing, nor
    /// what is said of a map that lost a value, since the keys of a map qualify each other.
    pub fn mistakes(
        &self,
        schema: &Value,
        reported: &[ConfigError],
        mut configure: impl FnMut(&Value, bool) -> Vec<PluginMistake>,
    ) -> ConfigErrors {
        // It was reported that it is no map.
        if !matches!(self.block.content, Content::Mapping(_)) {
            return ConfigErrors::default();
        }
        let mut report = Report { errors: reported.to_vec(), warnings: Vec::new() };
        let (value, left_out) = self.walk(schema, &mut report);
        let mut is_whole = report.errors.len() == reported.len();
        let mut rest = Remainder { plugin: self, value, left_out, errors: report.errors };
        for _ in 0..MAX_ROUNDS {
            if rest.value.is_null() || !rest.take(configure(&rest.value, is_whole), is_whole) {
                break;
            }
            is_whole = false;
        }
        ConfigErrors { errors: rest.errors.split_off(reported.len()), warnings: report.warnings }
    }
}

impl Remainder<'_> {
    /// Reports mistakes and takes out what they are about. False if there was nothing to take out.
    fn take(&mut self, mistakes: Vec<PluginMistake>, is_whole: bool) -> bool {
        let (mut found, mut gone) = (Vec::new(), BTreeSet::new());
        for (path, message) in mistakes {
            let keys = plugin_block::keys(&path);
            let written = self.written(&keys);
            if !self.is_known(&written, is_whole) {
                found.push(self.plugin.error_at(&written, &message));
            }
            gone.extend(existing(&self.value, &keys));
        }
        self.errors.append(&mut found);
        // All are looked up before the first is taken out, which changes the positions of others.
        let keys = |path: &String| path.split("::").map(str::to_owned).collect::<Vec<_>>();
        let written: Vec<String> = gone.iter().map(|path| self.written(&keys(path))).collect();
        for path in written {
            let path = join(&self.plugin.path, &path);
            match path.rsplit_once("::") {
                Some((map, last)) if last.parse::<usize>().is_err() => drop(self.left_out.maps.insert(map.to_owned())),
                _ => drop(self.left_out.items.insert(path)),
            }
        }
        take_out(&mut self.value, "", &gone);
        !gone.is_empty()
    }

    /// Whether a mistake was reported before, or may come from what was.
    fn is_known(&self, path: &str, is_whole: bool) -> bool {
        let full = join(&self.plugin.path, path);
        let is_below = |path: &str, above: &str| path.strip_prefix(above).is_some_and(|rest| rest.starts_with("::"));
        if self.errors.iter().any(|error| error.path == full) {
            return true;
        }
        // The keys of the block itself stand for themselves.
        let lacks_value = |map: &String| *map != self.plugin.path && (*map == full || is_below(&full, map));
        !is_whole
            && (self.errors.iter().any(|error| is_below(&error.path, &full))
                || self.left_out.maps.iter().any(lacks_value)
                || self.plugin.block.find(path).is_none())
    }

    /// The key path, as the text has it, of what stands in the remainder.
    fn written(&self, keys: &[String]) -> String {
        let mut path = String::new();
        let mut here = Some(&self.value);
        for key in keys {
            let next = here.and_then(|here| step(here, key));
            let position = match (here, next) {
                (Some(Value::Array(_)), Some(_)) => self.position(&join(&self.plugin.path, &path), key),
                _ => None,
            };
            path = join(&path, &position.unwrap_or_else(|| key.clone()));
            here = next;
        }
        path
    }

    /// Where the element of a list stood before others were taken out.
    fn position(&self, list: &str, left: &str) -> Option<String> {
        let positions = (0..).map(|position: usize| position.to_string());
        positions.filter(|position| !self.left_out.items.contains(&join(list, position))).nth(left.parse().ok()?)
    }
}

/// What a key or a position leads to.
fn step<'a>(value: &'a Value, key: &str) -> Option<&'a Value> {
    match value {
        Value::Object(map) => map.get(key),
        Value::Array(items) => items.get(key.parse::<usize>().ok()?),
        _ => None,
    }
}

/// As much of a path as there is; none if not even its beginning is there.
fn existing(value: &Value, keys: &[String]) -> Option<String> {
    let mut here = value;
    let there = keys.iter().map_while(|key| {
        here = step(here, key)?;
        Some(key.as_str())
    });
    let there: Vec<&str> = there.collect();
    (!there.is_empty()).then(|| there.join("::"))
}

/// Takes out everything that has one of these paths.
fn take_out(value: &mut Value, path: &str, gone: &BTreeSet<String>) {
    match value {
        Value::Object(map) => {
            map.retain(|key, _| !gone.contains(&join(path, key)));
            map.iter_mut().for_each(|(key, value)| take_out(value, &join(path, key), gone));
        }
        Value::Array(items) => {
            let path_of = |position: usize| join(path, &position.to_string());
            items.iter_mut().enumerate().for_each(|(position, item)| take_out(item, &path_of(position), gone));
            let mut positions = 0..;
            items.retain(|_| positions.next().is_none_or(|position| !gone.contains(&path_of(position))));
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests;
