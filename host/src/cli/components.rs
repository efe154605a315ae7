//! The list that `sluice components` prints, in the form of the collector's: name, module and stability by signal.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::config::components::{COMPONENTS, Component, Kind, Native, Support};

#[derive(Serialize)]
struct Listing<'a> {
    buildinfo: BuildInfo,
    receivers: Vec<Item<'a>>,
    processors: Vec<Item<'a>>,
    exporters: Vec<Item<'a>>,
    connectors: Vec<Item<'a>>,
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
    /// Where its code is.
    module: String,
    /// How much may still change, in the collector's words; of a plugin in the directory only the plugin knows.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    stability: BTreeMap<&'static str, &'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    plugin: Option<&'a str>,
}

const HOST: &str = concat!("sluice v", env!("CARGO_PKG_VERSION"));

/// Lists what the host has, and the plugins of these names.
pub(super) fn list(files: &[String]) -> String {
    let of_kind = |kind| COMPONENTS.iter().filter(move |component| component.kind == kind).filter_map(item);
    let mut processors: Vec<_> = of_kind(Kind::Processor).collect();
    for name in files {
        match processors.iter_mut().find(|item| item.name == name) {
            Some(item) if item.plugin.is_some() => {
                item.plugin = Some("from the directory, instead of the standard one");
                item.module = format!("{name}.wasm");
            }
            // A native processor can't be replaced.
            Some(_) => {}
            None => {
                let (module, stability) = (format!("{name}.wasm"), BTreeMap::new());
                processors.push(Item { name, aliases: &[], module, stability, plugin: Some("from the directory") });
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
        connectors: of_kind(Kind::Connector).collect(),
        extensions: of_kind(Kind::Extension).collect(),
    };
    serde_yaml::to_string(&listing).unwrap_or_default()
}

fn item(component: &'static Component) -> Option<Item<'static>> {
    let (module, plugin) = match component.support {
        Support::Native(_) => (HOST.to_owned(), None),
        Support::Standard => (format!("{HOST}, {}.wasm inside", component.name), Some("standard")),
        Support::Later => return None,
    };
    // Nothing is promised before version 1; what only old configurations name goes first.
    let level = match component.support {
        Support::Native(Native::AwsPrometheusRemoteWrite | Native::Logging) => "Deprecated",
        _ => "Beta",
    };
    let kinds: Vec<_> = match component.kind {
        Kind::Extension => vec!["extension"],
        _ => component.signals.iter().map(|signal| signal.name()).collect(),
    };
    let stability = kinds.into_iter().map(|kind| (kind, level)).collect();
    Some(Item { name: component.name, aliases: component.aliases, module, stability, plugin })
}
