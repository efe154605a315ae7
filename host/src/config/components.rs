//! Every component type that is known: what it is called, what it takes, and whether this version has it.

use std::fmt;

use sluice_wire::Signal;

/// What a component is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// Takes telemetry in.
    Receiver,
    /// Changes telemetry.
    Processor,
    /// Sends telemetry out.
    Exporter,
    /// Ends one pipeline and begins another.
    Connector,
    /// Serves the process itself.
    Extension,
}

impl Kind {
    /// The kinds in the order in which telemetry meets them.
    pub const ALL: [Self; 5] = [Self::Receiver, Self::Processor, Self::Exporter, Self::Connector, Self::Extension];

    /// One of them.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Receiver => "receiver",
            Self::Processor => "processor",
            Self::Exporter => "exporter",
            Self::Connector => "connector",
            Self::Extension => "extension",
        }
    }

    /// The section of the configuration that defines them.
    pub const fn section(self) -> &'static str {
        match self {
            Self::Receiver => "receivers",
            Self::Processor => "processors",
            Self::Exporter => "exporters",
            Self::Connector => "connectors",
            Self::Extension => "extensions",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Where a component's code is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Support {
    /// In the host.
    Native(Native),
    /// In a plugin that comes with the host.
    Standard,
    /// In no version so far; configurations that name it get one clear error.
    Later,
}

/// The components that the host itself has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names are the component types")]
pub enum Native {
    OtlpReceiver,
    Batch,
    MemoryLimiter,
    PrometheusRemoteWrite,
    AwsPrometheusRemoteWrite,
    OpenSearch,
    Otlp,
    OtlpHttp,
    Debug,
    Logging,
    File,
    SigV4Auth,
    HealthCheck,
}

/// What is known of one component type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Component {
    /// What it is.
    pub kind: Kind,
    /// Its type, as configurations spell it.
    pub name: &'static str,
    /// Other spellings.
    pub aliases: &'static [&'static str],
    /// The signals that it takes; empty for extensions.
    pub signals: &'static [Signal],
    /// Where its code is.
    pub support: Support,
    /// What to do instead, if anything; shown when a configuration names it.
    pub hint: &'static str,
}

const ALL: &[Signal] = &[Signal::Traces, Signal::Metrics, Signal::Logs];
const TRACES: &[Signal] = &[Signal::Traces];
const METRICS: &[Signal] = &[Signal::Metrics];
const LOGS: &[Signal] = &[Signal::Logs];
const TRACES_LOGS: &[Signal] = &[Signal::Traces, Signal::Logs];
const TRACES_METRICS: &[Signal] = &[Signal::Traces, Signal::Metrics];

const fn native(kind: Kind, name: &'static str, signals: &'static [Signal], native: Native) -> Component {
    Component { kind, name, aliases: &[], signals, support: Support::Native(native), hint: "" }
}

const fn standard(name: &'static str) -> Component {
    Component { kind: Kind::Processor, name, aliases: &[], signals: ALL, support: Support::Standard, hint: "" }
}

const fn later(kind: Kind, name: &'static str, signals: &'static [Signal]) -> Component {
    Component { kind, name, aliases: &[], signals, support: Support::Later, hint: "" }
}

impl Component {
    const fn also(self, aliases: &'static [&'static str]) -> Self {
        Self { aliases, ..self }
    }

    const fn takes(self, signals: &'static [Signal]) -> Self {
        Self { signals, ..self }
    }

    const fn hint(self, hint: &'static str) -> Self {
        Self { hint, ..self }
    }
}

/// All of them, by kind and then by importance.
pub const COMPONENTS: &[Component] = &[
    native(Kind::Receiver, "otlp", ALL, Native::OtlpReceiver),
    later(Kind::Receiver, "statsd", METRICS),
    later(Kind::Receiver, "zipkin", TRACES),
    later(Kind::Receiver, "prometheus", METRICS),
    later(Kind::Receiver, "awsecscontainermetrics", METRICS),
    later(Kind::Receiver, "awsxray", TRACES),
    later(Kind::Receiver, "jaeger", TRACES),
    later(Kind::Receiver, "kafka", ALL),
    later(Kind::Receiver, "filelog", LOGS).also(&["file_log"]),
    later(Kind::Receiver, "fluentforward", LOGS).also(&["fluent_forward"]),
    later(Kind::Receiver, "hostmetrics", METRICS).also(&["host_metrics"]),
    later(Kind::Receiver, "awscontainerinsightreceiver", METRICS),
    native(Kind::Processor, "batch", ALL, Native::Batch),
    native(Kind::Processor, "memory_limiter", ALL, Native::MemoryLimiter),
    standard("filter"),
    standard("redaction"),
    standard("tenant_label"),
    standard("sampler").takes(TRACES_LOGS).also(&["probabilistic_sampler"]),
    later(Kind::Processor, "attributes", ALL),
    later(Kind::Processor, "resource", ALL),
    later(Kind::Processor, "resourcedetection", ALL).also(&["resource_detection"]),
    later(Kind::Processor, "metricstransform", METRICS).also(&["metrics_transform"]),
    later(Kind::Processor, "transform", ALL),
    later(Kind::Processor, "span", TRACES),
    later(Kind::Processor, "tail_sampling", TRACES),
    later(Kind::Processor, "groupbytrace", TRACES),
    later(Kind::Processor, "groupbyattrs", ALL),
    later(Kind::Processor, "cumulativetodelta", METRICS).also(&["cumulative_to_delta"]),
    later(Kind::Processor, "deltatocumulative", METRICS).also(&["delta_to_cumulative"]),
    later(Kind::Processor, "deltatorate", METRICS).also(&["delta_to_rate"]),
    later(Kind::Processor, "metricsgeneration", METRICS).also(&["experimental_metricsgeneration"]),
    later(Kind::Processor, "metricstarttime", METRICS),
    later(Kind::Processor, "k8sattributes", ALL).also(&["k8s_attributes"]),
    native(Kind::Exporter, "prometheusremotewrite", METRICS, Native::PrometheusRemoteWrite)
        .also(&["prometheus_remote_write"]),
    native(Kind::Exporter, "awsprometheusremotewrite", METRICS, Native::AwsPrometheusRemoteWrite),
    native(Kind::Exporter, "opensearch", TRACES_LOGS, Native::OpenSearch),
    native(Kind::Exporter, "otlp", ALL, Native::Otlp).also(&["otlp_grpc"]),
    native(Kind::Exporter, "otlphttp", ALL, Native::OtlpHttp).also(&["otlp_http"]),
    native(Kind::Exporter, "debug", ALL, Native::Debug),
    native(Kind::Exporter, "logging", ALL, Native::Logging),
    native(Kind::Exporter, "file", ALL, Native::File),
    later(Kind::Exporter, "awsxray", TRACES).hint("use otlphttp with sigv4auth and the OTLP endpoint of X-Ray"),
    later(Kind::Exporter, "awsemf", METRICS),
    later(Kind::Exporter, "awscloudwatchlogs", LOGS)
        .hint("use otlphttp with sigv4auth and the OTLP endpoint of CloudWatch Logs"),
    later(Kind::Exporter, "awss3", ALL),
    later(Kind::Exporter, "kafka", ALL),
    later(Kind::Exporter, "prometheus", METRICS).hint("use prometheusremotewrite"),
    later(Kind::Exporter, "elasticsearch", TRACES_LOGS).hint("use opensearch, which writes by the same _bulk API"),
    later(Kind::Exporter, "loadbalancing", ALL).also(&["load_balancing"]),
    later(Kind::Exporter, "zipkin", TRACES),
    later(Kind::Exporter, "jaeger", TRACES).hint("use otlp, which Jaeger accepts"),
    later(Kind::Exporter, "datadog", TRACES_METRICS),
    later(Kind::Exporter, "nop", ALL),
    later(Kind::Connector, "forward", ALL),
    later(Kind::Connector, "routing", ALL),
    later(Kind::Connector, "spanmetrics", TRACES).also(&["span_metrics"]),
    later(Kind::Connector, "count", ALL),
    later(Kind::Connector, "servicegraph", TRACES).also(&["service_graph"]),
    native(Kind::Extension, "sigv4auth", &[], Native::SigV4Auth).also(&["sigv4_auth"]),
    native(Kind::Extension, "health_check", &[], Native::HealthCheck),
    later(Kind::Extension, "pprof", &[]),
    later(Kind::Extension, "zpages", &[]),
    later(Kind::Extension, "awsproxy", &[]).also(&["aws_proxy"]),
    later(Kind::Extension, "ecs_observer", &[]),
    later(Kind::Extension, "file_storage", &[]),
    later(Kind::Extension, "memory_ballast", &[]).hint("remove it: there is no garbage collector to tune"),
    later(Kind::Extension, "basicauth", &[]).also(&["basic_auth"]).hint("set the header authorization of the exporter"),
    later(Kind::Extension, "bearertokenauth", &[])
        .also(&["bearer_token_auth"])
        .hint("set the header authorization of the exporter"),
    later(Kind::Extension, "oauth2client", &[]),
    later(Kind::Extension, "headers_setter", &[]),
];

/// Looks a type up, by name or alias.
pub fn find(kind: Kind, component_type: &str) -> Option<&'static Component> {
    let named =
        |component: &&Component| component.name == component_type || component.aliases.contains(&component_type);
    COMPONENTS.iter().filter(|component| component.kind == kind).find(named)
}

/// All spellings of a kind that this version has.
pub(crate) fn available(kind: Kind) -> impl Iterator<Item = &'static str> {
    let mine = COMPONENTS.iter().filter(move |component| component.kind == kind && component.support != Support::Later);
    mine.flat_map(|component| std::iter::once(component.name).chain(component.aliases.iter().copied()))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn no_spelling_means_two_components() {
        let mut seen = BTreeSet::new();
        for component in COMPONENTS {
            for name in std::iter::once(&component.name).chain(component.aliases) {
                assert!(seen.insert((component.kind, *name)), "{} {name}", component.kind);
            }
        }
    }

    #[test]
    fn finds_a_component_by_every_spelling() {
        for (alias, name) in
            [("otlp_grpc", "otlp"), ("otlp_http", "otlphttp"), ("prometheus_remote_write", "prometheusremotewrite")]
        {
            assert_eq!(find(Kind::Exporter, alias), find(Kind::Exporter, name));
        }
        assert_eq!(find(Kind::Processor, "probabilistic_sampler").map(|found| found.name), Some("sampler"));
        assert_eq!(find(Kind::Receiver, "batch"), None);
    }
}
