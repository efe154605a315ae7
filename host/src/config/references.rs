//! Checks how the service joins components: references, roles of connectors, cycles, signals, authenticators.

use std::collections::{BTreeMap, BTreeSet};

use http::Uri;
use sluice_wire::Signal;

use super::components::{self, Kind};
use super::error::{Place, Report};
use super::id::{ComponentId, PipelineId};
use super::node::{Entry, Node};
use super::source::Environment;
use super::types::{AuthConfig, HttpClientConfig, Scope, Url, default_region, given};
use super::{Config, ExporterConfig, ExtensionConfig};

/// Reports every reference that leads nowhere, in the collector's words.
pub(super) fn check(config: &Config, root: &Node, environment: Environment<'_>, report: &mut Report) {
    let defined = Defined::new(root);
    let default_region = default_region(environment);
    let checker = Checker { config, root, defined: &defined, default_region: default_region.as_deref() };
    checker.sections(report);
    checker.extensions(report);
    checker.pipelines(report);
    checker.connectors(report);
    checker.authenticators(report);
    checker.signatures(report);
}

/// Leaves one mention of what a pipeline names more than once, which `check` reports.
pub(super) fn name_once(config: &mut Config) {
    for pipeline in config.service.pipelines.values_mut() {
        for ids in [&mut pipeline.receivers, &mut pipeline.exporters] {
            let mut seen = BTreeSet::new();
            ids.retain(|id| seen.insert(id.clone()));
        }
    }
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
    /// The region of the environment.
    default_region: Option<&'a str>,
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
                        let message = format!("references {kind} \"{id}\" multiple times");
                        match kind {
                            Kind::Processor => report.error(Some(&place), path.as_str(), message),
                            // As in the collector, which knows no order of them.
                            _ => report.warn(Some(&place), path.as_str(), message + "; once is enough"),
                        }
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
        let exporter = self.config.exporters.get(id).filter(|_| kind == Kind::Exporter);
        if let Some(ExporterConfig::OtlpHttp(config)) = exporter
            && config.lacks(pipeline.signal())
        {
            let signal = pipeline.signal().name();
            return Some(format!(
                "exporter \"{id}\" has nowhere to send {signal}: either endpoint or {signal}_endpoint must be specified"
            ));
        }
        let component = components::find(kind, id.component_type())?;
        // A standard stage may have been replaced by a plugin that takes more; the plugin itself says what it takes.
        let is_native = matches!(component.support, components::Support::Native(_));
        let (signals, condition) = match exporter {
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
            let Some((auth, path)) = auth(exporter) else { continue };
            let path = format!("exporters::{id}::{path}");
            let signs_http = !matches!(exporter, ExporterConfig::Otlp(_));
            if let Some(message) = self.authenticator(&auth.authenticator, signs_http) {
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

    /// Reports exporters that run and whose requests can't be signed, as nothing tells for which service or region: none
    /// would ever arrive.
    fn signatures(&self, report: &mut Report) {
        let pipelines = &self.config.service.pipelines;
        for (id, exporter) in &self.config.exporters {
            let feeds = pipelines.iter().filter(|(_, pipeline)| pipeline.exporters.contains(id));
            let signals: BTreeSet<Signal> = feeds.map(|(pipeline, _)| pipeline.signal()).collect();
            if signals.is_empty() {
                continue;
            }
            let Some(Signature { region, service, set_in, path }) = self.signature(exporter) else { continue };
            self.signed_headers(id, exporter, report);
            let unknown = |endpoint: String| {
                let uri: Uri = endpoint.parse().ok()?;
                let host = uri.host()?;
                let key = Scope::find(host, region, service, self.default_region).err()?;
                let or_else = if key == "region" { ", or AWS_REGION" } else { "" };
                Some(format!(
                    "{key} of the aws signature is unknown: {host} does not tell it; set {key} in {set_in}{or_else}"
                ))
            };
            if let Some(message) = endpoints(exporter, &signals).into_iter().find_map(unknown) {
                let path = format!("exporters::{id}::{path}");
                if report.errors.iter().all(|error| error.path != path) {
                    report.error(Some(&self.place(&path)), path, message);
                }
            }
        }
    }

    /// Reports headers that no signature covers: what is signed is text in ASCII.
    fn signed_headers(&self, id: &ComponentId, exporter: &ExporterConfig, report: &mut Report) {
        let Some((client, path)) = client(exporter) else { return };
        for (name, value) in client.headers.iter() {
            // Control characters are reported where the block is checked.
            let can_be_sent = http::HeaderValue::try_from(value.expose()).ok();
            if can_be_sent.is_some_and(|value| value.to_str().is_err()) {
                let path = format!("exporters::{id}::{path}headers::{name}");
                let message = "the value can't be signed for aws: it has characters outside of ASCII";
                report.error(Some(&self.place(&path)), path, message);
            }
        }
    }

    /// What signs the requests of an exporter, if something does.
    fn signature<'a>(&'a self, exporter: &'a ExporterConfig) -> Option<Signature<'a>> {
        if let ExporterConfig::AwsPrometheusRemoteWrite(config) = exporter {
            let auth = &config.aws_auth;
            let service = Some(auth.service());
            return Some(Signature { region: given(&auth.region), service, set_in: "aws_auth", path: "aws_auth" });
        }
        let (auth, path) = auth(exporter)?;
        match self.config.extensions.get(&auth.authenticator.parse::<ComponentId>().ok()?)? {
            ExtensionConfig::SigV4Auth(config) => {
                let (region, service) = (given(&config.region), given(&config.service));
                Some(Signature { region, service, set_in: &auth.authenticator, path })
            }
            ExtensionConfig::HealthCheck(_) => None,
        }
    }
}

/// What is set about the signature of an exporter's requests.
struct Signature<'a> {
    region: Option<&'a str>,
    service: Option<&'a str>,
    /// The block where it is, or could be.
    set_in: &'a str,
    /// The exporter's key that asks for the signature.
    path: &'static str,
}

/// The authenticator that an exporter names, and the key that does.
fn auth(exporter: &ExporterConfig) -> Option<(&AuthConfig, &'static str)> {
    let (auth, path) = match exporter {
        ExporterConfig::PrometheusRemoteWrite(config) => (&config.client.auth, "auth::authenticator"),
        ExporterConfig::OpenSearch(config) => (&config.http.auth, "http::auth::authenticator"),
        ExporterConfig::OtlpHttp(config) => (&config.client.auth, "auth::authenticator"),
        ExporterConfig::Otlp(config) => (&config.client.auth, "auth::authenticator"),
        ExporterConfig::AwsPrometheusRemoteWrite(_) | ExporterConfig::Debug(_) | ExporterConfig::File(_) => {
            return None;
        }
    };
    Some((auth.as_ref()?, path))
}

/// The settings of an exporter's HTTP client, and where they stand in its block.
fn client(exporter: &ExporterConfig) -> Option<(&HttpClientConfig, &'static str)> {
    match exporter {
        ExporterConfig::PrometheusRemoteWrite(config) => Some((&config.client, "")),
        ExporterConfig::AwsPrometheusRemoteWrite(config) => Some((&config.remote_write.client, "")),
        ExporterConfig::OpenSearch(config) => Some((&config.http, "http::")),
        ExporterConfig::OtlpHttp(config) => Some((&config.client, "")),
        ExporterConfig::Otlp(_) | ExporterConfig::Debug(_) | ExporterConfig::File(_) => None,
    }
}

/// Where an exporter sends these signals, if that can be signed.
fn endpoints(exporter: &ExporterConfig, signals: &BTreeSet<Signal>) -> Vec<String> {
    let one = |url: &Url| vec![url.as_str().to_owned()];
    match exporter {
        ExporterConfig::PrometheusRemoteWrite(config) => one(&config.client.endpoint),
        ExporterConfig::AwsPrometheusRemoteWrite(config) => one(&config.remote_write.client.endpoint),
        ExporterConfig::OpenSearch(config) => one(&config.http.endpoint),
        ExporterConfig::OtlpHttp(config) => signals.iter().filter_map(|signal| config.endpoint(*signal)).collect(),
        ExporterConfig::Otlp(_) | ExporterConfig::Debug(_) | ExporterConfig::File(_) => Vec::new(),
    }
}

/// The id that was probably meant.
fn near<'a>(id: &ComponentId, among: impl Iterator<Item = &'a ComponentId>) -> String {
    let names: Vec<String> = among.map(ComponentId::to_string).collect();
    let found = super::schema::words::nearest(&id.to_string(), names.iter().map(String::as_str));
    found.map(|near| format!("; did you mean {near:?}?")).unwrap_or_default()
}
