//! From the merged tree to typed settings: every section, every component, by its schema.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Value, json};

use super::component::{Check, lay_over};
use super::components::{self, Component, Kind, Native, Support};
use super::error::{Finding, Findings, Report, join};
use super::id::{ComponentId, IdError, PipelineId};
use super::node::{Content, Entry, Node};
use super::plugin_block::PluginConfig;
use super::plugins::{PluginsConfig, StageLimits};
use super::schema::{self, words};
use super::service::ServiceConfig;
use super::tenants::TenantsConfig;
use super::{Config, ExporterConfig, ExtensionConfig, ProcessorConfig, ReceiverConfig, component};

const SECTIONS: [&str; 8] =
    ["receivers", "processors", "exporters", "connectors", "extensions", "service", "plugins", "tenants"];

/// Builds what can be built and reports the rest.
pub(super) fn build(root: &Node, report: &mut Report) -> Config {
    for Entry { key, key_place, .. } in root.entries() {
        if !SECTIONS.contains(&key.as_str()) {
            report.error(Some(key_place), key.as_str(), words::unknown_key(key, SECTIONS.into_iter()));
        }
    }
    let plugins = read_plugins(root, report);
    let mut config = Config {
        receivers: BTreeMap::new(),
        processors: BTreeMap::new(),
        exporters: BTreeMap::new(),
        extensions: BTreeMap::new(),
        service: read_service(root, report),
        plugins,
        tenants: section::<TenantsConfig>(root, "tenants", report),
        warnings: Vec::new(),
    };
    for kind in Kind::ALL {
        each_component(root, kind, report, |id, block, report| config.add(kind, id, block, report));
    }
    config
}

fn section<T>(root: &Node, key: &str, report: &mut Report) -> T
where
    T: Default + Serialize + DeserializeOwned + JsonSchema + Check,
{
    let Some(entry) = root.get(key) else { return T::default() };
    read_block(&entry.value, &T::default(), key, report).unwrap_or_default()
}

/// Reads `plugins`. What is wrong there is not used to find more mistakes: those would be its consequences.
fn read_plugins(root: &Node, report: &mut Report) -> PluginsConfig {
    let before = report.errors.len();
    let mut plugins: PluginsConfig = section(root, "plugins", report);
    if report.errors.len() > before {
        plugins.limits = StageLimits::default();
    }
    if let Some(directory) = plugins.directory.take_if(|directory| !directory.is_dir()) {
        let path = "plugins::directory";
        let message = format!("{:?} is not a directory", directory.display().to_string());
        report.error(Some(&root.locate(path)), path, message);
    }
    plugins
}

/// Reads `service`. A pipeline whose id is none is reported and left out.
fn read_service(root: &Node, report: &mut Report) -> ServiceConfig {
    let Some(service) = root.get("service") else { return ServiceConfig::default() };
    let mut node = service.value.clone();
    if let Content::Mapping(entries) = &mut node.content
        && let Some(pipelines) = entries.iter_mut().find(|entry| entry.key == "pipelines")
        && let Content::Mapping(pipelines) = &mut pipelines.value.content
    {
        pipelines.retain(|Entry { key, key_place, .. }| match key.parse::<PipelineId>() {
            Ok(_) => true,
            Err(error) => {
                report.error(Some(key_place), format!("service::pipelines::{key}"), IdError::to_string(&error));
                false
            }
        });
    }
    read_block(&node, &ServiceConfig::default(), "service", report).unwrap_or_default()
}

/// Reads one block over its defaults: by schema, by serde, by its own checks. Whatever is wrong is reported.
pub(super) fn read_block<T>(node: &Node, defaults: &T, path: &str, report: &mut Report) -> Option<T>
where
    T: Serialize + DeserializeOwned + JsonSchema + Check,
{
    let before = report.errors.len();
    let (value, _) = schema::walk(node, &schema::of::<T>(), path, report);
    let is_sound = report.errors.len() == before;
    let block = match lay_over(defaults, value) {
        Ok(block) => block,
        // The schema's complaints say it better.
        Err(_) if !is_sound => return None,
        Err(error) => {
            report.error(Some(&node.place), path, error.to_string());
            return None;
        }
    };
    let mut findings = Findings::default();
    block.check(&mut findings);
    report_findings(findings, node, path, is_sound, report);
    Some(block)
}

/// Places what a block found wrong with itself. What was complained about already is not repeated, and of a block
/// that was only read in part, what seems to be missing may stand there under a wrong name.
fn report_findings(findings: Findings, node: &Node, path: &str, is_sound: bool, report: &mut Report) {
    let (errors, warnings) = findings.into_parts();
    for Finding { path: at, message } in errors {
        let full = join(path, &at);
        let value = node.find(&at).filter(|_| !at.is_empty());
        let repeats = |error: &super::ConfigError| {
            error.path == full
                || (value.is_some() && error.path.strip_prefix(&full).is_some_and(|rest| rest.starts_with("::")))
        };
        if report.errors.iter().any(repeats) || (!is_sound && value.is_none()) {
            continue;
        }
        let unset = value.and_then(|value| value.unset.as_ref());
        let why = unset.map(|name| format!(" (environment variable {name:?} is not set)")).unwrap_or_default();
        report.error(Some(&node.locate(&at)), full, message + &why);
    }
    for Finding { path: at, message } in warnings {
        report.warn(Some(&node.locate(&at)), join(path, &at), message);
    }
}

/// Goes through a section whose keys are component ids.
fn each_component(
    root: &Node,
    kind: Kind,
    report: &mut Report,
    mut add: impl FnMut(ComponentId, Block<'_>, &mut Report),
) {
    let Some(section) = root.get(kind.section()) else { return };
    if !matches!(section.value.content, Content::Mapping(_)) && !section.value.is_null() {
        report.error(Some(&section.value.place), kind.section(), format!("expected a map of {}", kind.section()));
        return;
    }
    let mut seen: BTreeMap<ComponentId, &str> = BTreeMap::new();
    for Entry { key, key_place, value } in section.value.entries() {
        let path = join(kind.section(), key);
        let id: ComponentId = match key.parse() {
            Ok(id) => id,
            Err(error) => {
                report.error(Some(key_place), path, IdError::to_string(&error));
                continue;
            }
        };
        if let Some(first) = seen.insert(id.clone(), key) {
            report.error(
                Some(key_place),
                path.as_str(),
                format!("duplicate name {id:?} after trimming spaces from {first:?} and {key:?}", id = id.to_string()),
            );
        }
        add(id, Block { node: value, key_place, path: &path }, report);
    }
}

/// A component's block and where it stands.
struct Block<'a> {
    node: &'a Node,
    key_place: &'a super::error::Place,
    path: &'a str,
}

impl Block<'_> {
    fn read<T>(&self, report: &mut Report) -> Option<T>
    where
        T: Default + Serialize + DeserializeOwned + JsonSchema + Check,
    {
        self.read_over(&T::default(), report)
    }

    fn read_over<T>(&self, defaults: &T, report: &mut Report) -> Option<T>
    where
        T: Serialize + DeserializeOwned + JsonSchema + Check,
    {
        read_block(self.node, defaults, self.path, report)
    }

    fn refuse(&self, message: String, report: &mut Report) {
        report.error(Some(self.key_place), self.path, message);
    }
}

impl Config {
    fn add(&mut self, kind: Kind, id: ComponentId, block: Block<'_>, report: &mut Report) {
        let found = components::find(kind, id.component_type());
        if kind == Kind::Processor && self.add_plugin(found, &id, &block, report) {
            return;
        }
        match found {
            Some(Component { support: Support::Native(native), .. }) => self.add_native(*native, id, &block, report),
            Some(component) => block.refuse(not_yet(component, &id), report),
            // Which plugins there are is not known, and was complained about.
            None if kind == Kind::Processor && report.errors.iter().any(|error| error.path == "plugins::directory") => {
            }
            None => block.refuse(unknown_type(kind, &id, &self.plugins), report),
        }
    }

    /// Adds a processor that is a plugin: a standard stage, or whatever has a file in the plugins' directory.
    fn add_plugin(
        &mut self,
        found: Option<&Component>,
        id: &ComponentId,
        block: &Block<'_>,
        report: &mut Report,
    ) -> bool {
        let plugin = match found {
            Some(Component { support: Support::Standard, name, .. }) => name,
            Some(Component { support: Support::Native(_), .. }) => return false,
            _ if has_file(&self.plugins, id.component_type()) => id.component_type(),
            _ => return false,
        };
        let config = PluginConfig::read(plugin, block.node, block.path, &self.plugins.limits, report);
        self.processors.insert(id.clone(), ProcessorConfig::Plugin(Box::new(config)));
        true
    }

    fn add_native(&mut self, native: Native, id: ComponentId, block: &Block<'_>, report: &mut Report) {
        match native {
            Native::OtlpReceiver => {
                let read = block.read(report).map(|config| ReceiverConfig::Otlp(Box::new(config)));
                self.receivers.extend(read.map(|config| (id, config)));
            }
            Native::Batch => {
                let read = block.read(report).map(ProcessorConfig::Batch);
                self.processors.extend(read.map(|config| (id, config)));
            }
            Native::MemoryLimiter => {
                let read = block.read(report).map(ProcessorConfig::MemoryLimiter);
                self.processors.extend(read.map(|config| (id, config)));
            }
            Native::SigV4Auth => {
                let read = block.read(report).map(ExtensionConfig::SigV4Auth);
                self.extensions.extend(read.map(|config| (id, config)));
            }
            Native::HealthCheck => {
                let read = block.read(report).map(|config| ExtensionConfig::HealthCheck(Box::new(config)));
                self.extensions.extend(read.map(|config| (id, config)));
            }
            exporter => {
                let read = read_exporter(exporter, block, report);
                self.exporters.extend(read.map(|config| (id, config)));
            }
        }
    }
}

fn read_exporter(native: Native, block: &Block<'_>, report: &mut Report) -> Option<ExporterConfig> {
    match native {
        Native::PrometheusRemoteWrite => {
            block.read(report).map(|config| ExporterConfig::PrometheusRemoteWrite(Box::new(config)))
        }
        Native::AwsPrometheusRemoteWrite => {
            read_legacy(block, report).map(|config| ExporterConfig::AwsPrometheusRemoteWrite(Box::new(config)))
        }
        Native::OpenSearch => block.read(report).map(|config| ExporterConfig::OpenSearch(Box::new(config))),
        Native::Otlp => block.read(report).map(|config| ExporterConfig::Otlp(Box::new(config))),
        Native::OtlpHttp => block.read(report).map(|config| ExporterConfig::OtlpHttp(Box::new(config))),
        Native::Debug => block.read(report).map(ExporterConfig::Debug),
        Native::Logging => {
            report.warn(Some(block.key_place), block.path, "the exporter logging is deprecated; use debug");
            block.read(report).map(|config: component::LoggingConfig| ExporterConfig::Debug(config.to_debug()))
        }
        Native::File => block.read(report).map(|config| ExporterConfig::File(Box::new(config))),
        Native::OtlpReceiver | Native::Batch | Native::MemoryLimiter | Native::SigV4Auth | Native::HealthCheck => None,
    }
}

/// The exporter of 2021, whose defaults depend on how close to 2021 it shall stay.
fn read_legacy(block: &Block<'_>, report: &mut Report) -> Option<component::AwsPrometheusRemoteWriteConfig> {
    use component::{AwsPrometheusRemoteWriteConfig, Compat};
    let exact = block.node.find("compat").and_then(Node::text) == Some("adot-2021");
    let compat = if exact { Compat::Adot2021 } else { Compat::Fixed };
    report.warn(
        Some(block.key_place),
        block.path,
        "awsprometheusremotewrite is deprecated; use prometheusremotewrite with sigv4auth",
    );
    if !exact && block.node.find("resource_to_telemetry_conversion").is_none() {
        let message = "resource attributes become labels, so that series of different tasks stay apart; \
                       set resource_to_telemetry_conversion, or compat: adot-2021 for none";
        report.warn(Some(block.key_place), block.path, message);
    }
    block.read_over(&AwsPrometheusRemoteWriteConfig::defaults(compat), report)
}

fn not_yet(component: &Component, id: &ComponentId) -> String {
    let hint = if component.hint.is_empty() { String::new() } else { format!("; {}", component.hint) };
    format!("{} \"{id}\" is not part of this version{hint}", component.kind)
}

fn unknown_type(kind: Kind, id: &ComponentId, plugins: &PluginsConfig) -> String {
    let component_type = id.component_type();
    let files = if kind == Kind::Processor { plugin_files(plugins) } else { Vec::new() };
    let mut valid: Vec<&str> = components::available(kind).collect();
    valid.extend(files.iter().map(String::as_str));
    if let Some(near) = words::nearest(component_type, valid.iter().copied()) {
        return format!("unknown {kind} type {component_type:?}; did you mean {near:?}?");
    }
    match (kind, &plugins.directory) {
        (Kind::Processor, Some(directory)) => {
            format!(
                "unknown processor type {component_type:?}: there is no {component_type}.wasm in {}",
                directory.display()
            )
        }
        (Kind::Processor, None) => format!(
            "unknown processor type {component_type:?}; if it is a plugin, say in plugins::directory where {component_type}.wasm lies"
        ),
        _ => {
            let known = if valid.is_empty() {
                format!("this version has no {kind}")
            } else {
                format!("known are {}", valid.join(", "))
            };
            format!("unknown {kind} type {component_type:?}; {known}")
        }
    }
}

fn has_file(plugins: &PluginsConfig, component_type: &str) -> bool {
    plugins.directory.as_ref().is_some_and(|directory| directory.join(format!("{component_type}.wasm")).is_file())
}

/// The component types that the plugins' directory offers.
pub(crate) fn plugin_files(plugins: &PluginsConfig) -> Vec<String> {
    let entries = plugins.directory.as_ref().and_then(|directory| std::fs::read_dir(directory).ok());
    let mut names: Vec<String> = entries
        .into_iter()
        .flatten()
        .filter_map(Result::ok)
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "wasm"))
        .filter_map(|path| path.file_stem().and_then(|stem| stem.to_str()).map(str::to_owned))
        .collect();
    names.sort();
    names
}

/// Reads one block of settings that stands alone.
#[cfg(test)]
pub(crate) fn block_from_yaml<T>(yaml: &str) -> Result<T, super::ConfigErrors>
where
    T: Default + Serialize + DeserializeOwned + JsonSchema + Check,
{
    let mut report = Report::default();
    let read = match super::parse::parse(yaml, &"block".into()) {
        Ok(node) => read_block(&node, &T::default(), "", &mut report),
        Err(errors) => {
            report.errors = errors;
            None
        }
    };
    read.filter(|_| report.errors.is_empty()).ok_or_else(|| report.into_errors())
}

/// The effective settings of one kind, for printing.
pub(super) fn printable<'a, T: Serialize + 'a>(blocks: impl Iterator<Item = (&'a ComponentId, &'a T)>) -> Value {
    blocks.map(|(id, block)| (id.to_string(), json!(block))).collect()
}
