//! Checks how the service joins components: references, roles of connectors, cycles, signals, authenticators.

use std::collections::{BTreeMap, BTreeSet};

use super::components::{self, Kind};
use super::error::{Place, Report};
use super::id::{ComponentId, PipelineId};
use super::node::{Entry, Node};
use super::{Config, ExporterConfig, ExtensionConfig};

/// Reports every reference that leads nowhere, in the collector's words.
pub(super) fn check(config: &Config, root: &Node, report: &mut Report) {
    let defined = Defined::new(root);
    let checker = Checker { config, root, defined: &defined };
    checker.sections(report);
    checker.extensions(report);
    checker.pipelines(report);
    checker.connectors(report);
    checker.authenticators(report);
}

/// The ids of each section, whether or not their settings are right: one mistake is reported once.
struct Defined(BTreeMap<Kind, BTreeSet<ComponentId>>);

impl Defined {
    fn new(root: &Node) -> Self {
        let ids = |kind: Kind| {
            let entries = root.get(kind.section()).map(|section| section.value.entries()).unwrap_or_default();
            entries.iter().filter_map(|Entry { key, .. }| key.parse().ok()).collect()
        };
        Self(Kind::ALL.into_iter().map(|kind| (kind, ids(kind))).collect())
    }

    fn has(&self, kind: Kind, id: &ComponentId) -> bool {
        self.0.get(&kind).is_some_and(|ids| ids.contains(id))
    }

    fn ids(&self, kind: Kind) -> impl Iterator<Item = &ComponentId> {
        self.0.get(&kind).into_iter().flatten()
    }

    fn is_empty(&self, kind: Kind) -> bool {
        self.ids(kind).next().is_none()
    }
}

struct Checker<'a> {
    config: &'a Config,
    root: &'a Node,
    defined: &'a Defined,
}

impl Checker<'_> {
    fn place(&self, path: &str) -> Place {
        self.root.locate(path)
    }

    fn sections(&self, report: &mut Report) {
        for kind in [Kind::Receiver, Kind::Exporter] {
            let is_reported = report.errors.iter().any(|error| error.path == kind.section());
            if self.defined.is_empty(kind) && self.defined.is_empty(Kind::Connector) && !is_reported {
                let place = self.place(kind.section());
                report.error(Some(&place), kind.section(), format!("no {kind} configuration specified in config"));
            }
        }
        if self.config.service.pipelines.is_empty() && !self.named_pipelines() {
            report.error(Some(&self.place("service::pipelines")), "service", "service must have at least one pipeline");
        }
        for id in self.defined.ids(Kind::Connector) {
            for kind in [Kind::Exporter, Kind::Receiver] {
                if self.defined.has(kind, id) {
                    let path = format!("connectors::{id}");
                    let message = format!(
                        "ambiguous ID: Found both \"{id}\" {kind} and \"{id}\" connector. Change one of the components' IDs to eliminate ambiguity (e.g. rename \"{id}\" connector to \"{id}/connector\")"
                    );
                    report.error(Some(&self.place(&path)), path, message);
                }
            }
        }
    }

    /// Whether there are pipelines in the text, even if they could not be read.
    fn named_pipelines(&self) -> bool {
        self.root.find("service::pipelines").is_some_and(|pipelines| !pipelines.entries().is_empty())
    }

    fn extensions(&self, report: &mut Report) {
        let mut seen = BTreeSet::new();
        for (index, id) in self.config.service.extensions.iter().enumerate() {
            let place = self.place(&format!("service::extensions::{index}"));
            if !self.defined.has(Kind::Extension, id) {
                let hint = near(id, self.defined.ids(Kind::Extension));
                report.error(
                    Some(&place),
                    "service::extensions",
                    format!("references extension \"{id}\" which is not configured{hint}"),
                );
            }
            if !seen.insert(id) {
                report.error(
                    Some(&place),
                    "service::extensions",
                    format!("references extension \"{id}\" multiple times"),
                );
            }
        }
    }

    fn pipelines(&self, report: &mut Report) {
        for (pipeline_id, pipeline) in &self.config.service.pipelines {
            let path = format!("service::pipelines::{pipeline_id}");
            let roles = [
                (Kind::Receiver, &pipeline.receivers),
                (Kind::Processor, &pipeline.processors),
                (Kind::Exporter, &pipeline.exporters),
            ];
            for (kind, ids) in roles {
                let section = format!("{path}::{}", kind.section());
                let is_reported = report.errors.iter().any(|error| error.path.starts_with(&section));
                if ids.is_empty() && kind != Kind::Processor && !is_reported {
                    let place = self.place(&section);
                    report.error(Some(&place), path.as_str(), format!("must have at least one {kind}"));
                }
                let mut seen = BTreeSet::new();
                for (index, id) in ids.iter().enumerate() {
                    let place = self.place(&format!("{path}::{}::{index}", kind.section()));
                    if !seen.insert(id) {
                        report.error(Some(&place), path.as_str(), format!("references {kind} \"{id}\" multiple times"));
                    } else if let Some(message) = self.reference(kind, id, pipeline_id) {
                        report.error(Some(&place), path.as_str(), message);
                    }
                }
            }
        }
    }

    /// What is wrong with one reference of a pipeline.
    fn reference(&self, kind: Kind, id: &ComponentId, pipeline: &PipelineId) -> Option<String> {
        if kind != Kind::Processor && self.defined.has(Kind::Connector, id) {
            return None;
        }
        if !self.defined.has(kind, id) {
            let hint = near(id, self.defined.ids(kind));
            return Some(format!("references {kind} \"{id}\" which is not configured{hint}"));
        }
        let component = components::find(kind, id.component_type())?;
        // A standard stage may have been replaced by a plugin that takes more; the plugin itself says what it takes.
        let is_native = matches!(component.support, components::Support::Native(_));
        let (signals, condition) = match self.config.exporters.get(id).filter(|_| kind == Kind::Exporter) {
            Some(ExporterConfig::OpenSearch(config)) => config.mapping.mode.signals(),
            _ => (component.signals, ""),
        };
        if !is_native || signals.contains(&pipeline.signal()) {
            return None;
        }
        let taken = signals.iter().map(|signal| signal.name()).collect::<Vec<_>>().join(" and ");
        let signal = pipeline.signal().name();
        Some(format!("{kind} \"{id}\" does not support {signal}{condition}; it takes {taken}"))
    }

    /// A connector has to be an exporter of one pipeline and a receiver of another.
    fn connectors(&self, report: &mut Report) {
        let pipelines = &self.config.service.pipelines;
        for id in self.defined.ids(Kind::Connector) {
            let as_exporter = pipelines.iter().find(|(_, pipeline)| pipeline.exporters.contains(id));
            let as_receiver = pipelines.iter().find(|(_, pipeline)| pipeline.receivers.contains(id));
            let message = match (as_exporter, as_receiver) {
                (Some((pipeline, _)), None) => {
                    format!("used as exporter in {pipeline} pipeline but not used in any supported receiver pipeline")
                }
                (None, Some((pipeline, _))) => {
                    format!("used as receiver in {pipeline} pipeline but not used in any supported exporter pipeline")
                }
                _ => continue,
            };
            let path = format!("connectors::{id}");
            report.error(Some(&self.place(&path)), path, message);
        }
        if let Some(cycle) = self.cycle() {
            report.error(
                Some(&self.place("service::pipelines")),
                "service::pipelines",
                format!("cycle detected: {cycle}"),
            );
        }
    }

    /// Finds pipelines that feed each other in a circle.
    fn cycle(&self) -> Option<String> {
        let mut done = BTreeSet::new();
        self.config.service.pipelines.keys().find_map(|start| self.walk(start, &mut Vec::new(), &mut done))
    }

    fn walk<'a>(
        &'a self,
        from: &'a PipelineId,
        trail: &mut Vec<String>,
        done: &mut BTreeSet<&'a PipelineId>,
    ) -> Option<String> {
        let name = format!("pipeline \"{from}\"");
        if let Some(start) = trail.iter().position(|step| *step == name) {
            let circle = trail[start..].iter().chain([&name]).cloned().collect::<Vec<_>>();
            return Some(circle.join(" -> "));
        }
        if done.contains(from) {
            return None;
        }
        trail.push(name);
        let pipelines = &self.config.service.pipelines;
        for connector in pipelines[from].exporters.iter().filter(|id| self.defined.has(Kind::Connector, id)) {
            trail.push(format!("connector \"{connector}\""));
            for (next, _) in pipelines.iter().filter(|(_, pipeline)| pipeline.receivers.contains(connector)) {
                if let Some(cycle) = self.walk(next, trail, done) {
                    return Some(cycle);
                }
            }
            trail.pop();
        }
        trail.pop();
        done.insert(from);
        None
    }

    fn authenticators(&self, report: &mut Report) {
        for (id, exporter) in &self.config.exporters {
            let (auth, path, signs) = match exporter {
                ExporterConfig::PrometheusRemoteWrite(config) => (&config.client.auth, "auth::authenticator", true),
                ExporterConfig::OpenSearch(config) => (&config.http.auth, "http::auth::authenticator", true),
                ExporterConfig::OtlpHttp(config) => (&config.client.auth, "auth::authenticator", true),
                ExporterConfig::Otlp(config) => (&config.client.auth, "auth::authenticator", false),
                ExporterConfig::AwsPrometheusRemoteWrite(_) | ExporterConfig::Debug(_) | ExporterConfig::File(_) => {
                    continue;
                }
            };
            let Some(auth) = auth else { continue };
            let path = format!("exporters::{id}::{path}");
            if let Some(message) = self.authenticator(&auth.authenticator, signs) {
                report.error(Some(&self.place(&path)), path, message);
            }
        }
    }

    fn authenticator(&self, name: &str, signs_http: bool) -> Option<String> {
        let id: ComponentId = match name.parse() {
            Ok(id) => id,
            Err(error) => return Some(super::id::IdError::to_string(&error)),
        };
        if !self.defined.has(Kind::Extension, &id) {
            let hint = near(&id, self.defined.ids(Kind::Extension));
            return Some(format!("references extension \"{id}\" which is not configured{hint}"));
        }
        if !self.config.service.extensions.contains(&id) {
            return Some(format!("extension \"{id}\" does not run; add it to service::extensions"));
        }
        match self.config.extensions.get(&id) {
            Some(ExtensionConfig::SigV4Auth(_)) if signs_http => None,
            Some(ExtensionConfig::SigV4Auth(_)) => {
                Some("sigv4auth signs HTTP requests only; use the exporter otlphttp".into())
            }
            Some(_) => Some(format!("extension \"{id}\" is not an authenticator")),
            // Its settings are wrong, which was reported there.
            None => None,
        }
    }
}

/// The id that was probably meant.
fn near<'a>(id: &ComponentId, among: impl Iterator<Item = &'a ComponentId>) -> String {
    let names: Vec<String> = among.map(ComponentId::to_string).collect();
    let found = super::schema::words::nearest(&id.to_string(), names.iter().map(String::as_str));
    found.map(|near| format!("; did you mean {near:?}?")).unwrap_or_default()
}
