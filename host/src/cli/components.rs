//! The list that `sluice components` prints.

use serde::Serialize;

use crate::config::components::{COMPONENTS, Component, Kind, Support};
use crate::config::signal_name;

#[derive(Serialize)]
struct Listing<'a> {
    buildinfo: BuildInfo,
    receivers: Vec<Item<'a>>,
    processors: Vec<Item<'a>>,
    exporters: Vec<Item<'a>>,
    extensions: Vec<Item<'a>>,
}

#[derive(Serialize)]
struct BuildInfo {
    command: &'static str,
    description: &'static str,
    version: &'static str,
}

#[derive(Serialize)]
struct Item<'a> {
    name: &'a str,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    aliases: &'a [&'a str],
    #[serde(skip_serializing_if = "Vec::is_empty")]
    signals: Vec<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    plugin: Option<&'a str>,
}

/// Lists what the host has, and the plugins of these names.
pub(super) fn list(files: &[String]) -> String {
    let of_kind = |kind| COMPONENTS.iter().filter(move |component| component.kind == kind).filter_map(item);
    let mut processors: Vec<_> = of_kind(Kind::Processor).collect();
    for name in files {
        match processors.iter_mut().find(|item| item.name == name) {
            Some(item) if item.plugin.is_some() => {
                item.plugin = Some("from the directory, instead of the standard one")
            }
            // A native processor can't be replaced.
            Some(_) => {}
            None => {
                processors.push(Item { name, aliases: &[], signals: Vec::new(), plugin: Some("from the directory") })
            }
        }
    }
    let listing = Listing {
        buildinfo: BuildInfo {
            command: "sluice",
            description: env!("CARGO_PKG_DESCRIPTION"),
            version: env!("CARGO_PKG_VERSION"),
        },
        receivers: of_kind(Kind::Receiver).collect(),
        processors,
        exporters: of_kind(Kind::Exporter).collect(),
        extensions: of_kind(Kind::Extension).collect(),
    };
    serde_yaml::to_string(&listing).unwrap_or_default()
}

fn item(component: &'static Component) -> Option<Item<'static>> {
    let plugin = match component.support {
        Support::Native(_) => None,
        Support::Standard => Some("standard"),
        Support::Later => return None,
    };
    let signals = component.signals.iter().map(|signal| signal_name(*signal)).collect();
    Some(Item { name: component.name, aliases: component.aliases, signals, plugin })
}
