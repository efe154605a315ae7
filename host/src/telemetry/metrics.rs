//! Metrics about Sluice itself, under the names that the collector gives to the same things.

use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use prometheus::{
    Counter, Encoder, Gauge, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGaugeVec, Opts, Registry,
    TextEncoder,
};

use crate::model::Signal;

/// All metrics of the process. Counters have no `_total`, as the collector's have none.
pub struct Metrics {
    registry: Registry,
    started: Instant,
    receiver: PerSignal<3>,
    exporter: PerSignal<3>,
    /// Requests that a receiver turned away before their items were known, by `receiver`, `transport`, `otel_signal`
    /// and `reason`.
    pub rejected_requests: IntCounterVec,
    /// Fill of the exporters' queues. The collector has a queue, and so a `data_type`, for each signal; here one queue
    /// takes all that an exporter gets.
    pub queue_size: IntGaugeVec,
    /// Requests, items or bytes that fit.
    pub queue_capacity: IntGaugeVec,
    /// Batches that are being sent or wait to be sent again.
    pub in_flight_requests: IntGaugeVec,
    /// Items that went into a processor, by `processor` and `otel_signal`.
    pub processor_incoming: IntCounterVec,
    /// Items that came out of it.
    pub processor_outgoing: IntCounterVec,
    filtered: [IntCounterVec; 3],
    /// Fields and values that edits of stages named, by `processor`.
    pub stage_edited: IntCounterVec,
    /// Calls of plugins, by `processor` and `result`.
    pub stage_calls: IntCounterVec,
    /// Seconds that a plugin took for a batch.
    pub stage_seconds: HistogramVec,
    /// Reloads of plugins by `processor` and `result`.
    pub plugin_reloads: IntCounterVec,
    /// 1 for the plugin that a stage runs.
    pub plugin_info: IntGaugeVec,
    /// What plugins count themselves, by `processor` and `name`, of which each plugin of a stage has 32 at most.
    pub plugin_counters: IntCounterVec,
    /// Sizes of batches that the batch processor sent.
    pub batch_send_size: HistogramVec,
    /// The same in bytes.
    pub batch_send_size_bytes: HistogramVec,
    /// Combinations of metadata values and tenants for which batches are in the making.
    pub batch_metadata_cardinality: IntGaugeVec,
    /// Batches sent because they were full.
    pub batch_size_trigger: IntCounterVec,
    /// Batches sent because their time had come.
    pub batch_timeout_trigger: IntCounterVec,
    /// Bytes that batches occupy.
    pub budget_used_bytes: Gauge,
    /// Bytes that they may occupy in all.
    pub budget_limit_bytes: Gauge,
    uptime: Counter,
    /// None where the system does not tell.
    process: Option<ProcessMetrics>,
    /// Who makes a page: a counter can't be set at once.
    turn: Mutex<()>,
}

/// What the process itself takes.
struct ProcessMetrics {
    cpu_seconds: Counter,
    memory_rss: Gauge,
}

/// Counters whose names end in the signal's own word for its items.
struct PerSignal<const N: usize>([[IntCounterVec; 3]; N]);

impl<const N: usize> PerSignal<N> {
    fn register(r: &Registry, kind: &str, verbs: [&str; N], labels: &[&str]) -> Result<Self, prometheus::Error> {
        let mut all = Vec::with_capacity(N);
        for verb in verbs {
            let mut each = Vec::with_capacity(3);
            for signal in Signal::ALL {
                let name = format!("otelcol_{kind}_{verb}_{}", signal.items());
                let help = format!("Number of {} that were {}.", signal.items(), verb.replace('_', " "));
                each.push(counter(r, &name, &help, labels)?);
            }
            all.push(each.try_into().map_err(|_| prometheus::Error::Msg("three signals".into()))?);
        }
        Ok(Self(all.try_into().map_err(|_| prometheus::Error::Msg("as many as verbs".into()))?))
    }

    fn get(&self, verb: usize, signal: Signal) -> &IntCounterVec {
        &self.0[verb][signal as usize]
    }
}

/// What a receiver did with items.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Received {
    /// Handed to the pipelines.
    Accepted,
    /// Refused by a pipeline, for now or for good.
    Refused,
    /// Lost by the receiver itself: in the collector, and never here.
    Failed,
}

/// What an exporter did with items.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exported {
    /// The destination has them.
    Sent,
    /// Given up on.
    SendFailed,
    /// The queue was full.
    EnqueueFailed,
}

impl Metrics {
    pub(super) fn register(registry: Registry, instance: &str) -> Result<Self, prometheus::Error> {
        let r = &registry;
        let stage = &["processor", "otel_signal"][..];
        let batches = |trigger: &str, help: &str| {
            counter(r, &format!("otelcol_processor_batch_{trigger}_trigger_send"), help, &["processor"])
        };
        target_info(r, instance)?;
        Ok(Self {
            receiver: PerSignal::register(
                r,
                "receiver",
                ["accepted", "refused", "failed"],
                &["receiver", "transport"],
            )?,
            exporter: PerSignal::register(r, "exporter", ["sent", "send_failed", "enqueue_failed"], &["exporter"])?,
            rejected_requests: counter(
                r,
                "sluice_receiver_rejected_requests",
                "Requests turned away before their items were known.",
                &["receiver", "transport", "otel_signal", "reason"],
            )?,
            queue_size: gauges(r, "otelcol_exporter_queue_size", "Current size of the queue.", &["exporter"])?,
            queue_capacity: gauges(r, "otelcol_exporter_queue_capacity", "Size of the full queue.", &["exporter"])?,
            in_flight_requests: gauges(
                r,
                "otelcol_exporter_in_flight_requests",
                "Batches that are being sent.",
                &["exporter"],
            )?,
            processor_incoming: counter(r, "otelcol_processor_incoming_items", "Items passed to it.", stage)?,
            processor_outgoing: counter(r, "otelcol_processor_outgoing_items", "Items it passed on.", stage)?,
            filtered: filtered(r)?,
            stage_edited: counter(
                r,
                "sluice_stage_edited_items",
                "Fields and values that edits of a stage named, changed or not.",
                stage,
            )?,
            stage_calls: counter(r, "sluice_stage_calls", "Calls of plugins.", &["processor", "result"])?,
            stage_seconds: seconds(r, "sluice_stage_duration_seconds", "Time of one call.", &["processor"])?,
            plugin_reloads: counter(r, "sluice_plugin_reloads", "Reloads of plugins.", &["processor", "result"])?,
            plugin_info: gauges(
                r,
                "sluice_plugin_info",
                "The plugin that a stage runs.",
                &["processor", "plugin", "version", "digest", "origin"],
            )?,
            plugin_counters: counter(r, "sluice_plugin_counter", "Plugins' own counts.", &["processor", "name"])?,
            batch_send_size: sizes(
                r,
                "otelcol_processor_batch_batch_send_size",
                "Items of a sent batch.",
                &item_bounds(),
            )?,
            batch_send_size_bytes: sizes(
                r,
                "otelcol_processor_batch_batch_send_size_bytes",
                "Bytes of a sent batch.",
                &byte_bounds(),
            )?,
            batch_metadata_cardinality: gauges(
                r,
                "otelcol_processor_batch_metadata_cardinality",
                "Number of distinct metadata value combinations being processed",
                &["processor"],
            )?,
            batch_size_trigger: batches("batch_size", "Batches sent because they were full.")?,
            batch_timeout_trigger: batches("timeout", "Batches sent because of the timeout.")?,
            budget_used_bytes: gauge(r, "sluice_memory_budget_used_bytes", "Bytes that batches occupy.")?,
            budget_limit_bytes: gauge(r, "sluice_memory_budget_limit_bytes", "Bytes that batches may occupy.")?,
            uptime: float_counter(r, "otelcol_process_uptime", "Seconds since the start.")?,
            process: ProcessMetrics::register(r, ProcessUsage::read().as_ref())?,
            turn: Mutex::default(),
            started: Instant::now(),
            registry,
        })
    }

    /// The counter of what a receiver did with items of a signal.
    pub fn received(&self, what: Received, signal: Signal, receiver: &str, transport: &str) -> IntCounter {
        self.receiver.get(what as usize, signal).with_label_values(&[receiver, transport])
    }

    /// Counts what a stage dropped by its rules, if the collector's processor of that type counts it too.
    pub fn filtered(&self, signal: Signal, stage: &str, items: u64) {
        if items > 0 && stage.split('/').next() == Some("filter") {
            self.filtered[signal as usize].with_label_values(&[stage]).inc_by(items);
        }
    }

    /// Counts what an exporter did with items.
    pub fn exported(&self, what: Exported, signal: Signal, exporter: &str, items: u64) {
        self.exporter.get(what as usize, signal).with_label_values(&[exporter]).inc_by(items);
    }

    /// Shows the counters of an exporter before there is anything to count: one that appears with its first failure has
    /// no increase that an alarm could see.
    pub fn will_export(&self, signal: Signal, exporter: &str) {
        for what in [Exported::Sent, Exported::SendFailed, Exported::EnqueueFailed] {
            self.exported(what, signal, exporter, 0);
        }
    }

    /// All metrics in the Prometheus text format.
    ///
    /// # Errors
    /// Returns the encoder's words; it does not fail on what is registered here.
    pub fn render(&self) -> Result<String, prometheus::Error> {
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        set(&self.uptime, self.started.elapsed().as_secs_f64());
        if let (Some(process), Some(usage)) = (&self.process, ProcessUsage::read()) {
            set(&process.cpu_seconds, usage.cpu_seconds);
            process.memory_rss.set(usage.rss_bytes);
        }
        let mut out = Vec::new();
        TextEncoder::new().encode(&self.registry.gather(), &mut out)?;
        Ok(String::from_utf8_lossy(&out).into_owned())
    }
}

impl ProcessMetrics {
    /// Registers what can be read: one that stays at zero would say that nothing is used.
    fn register(r: &Registry, usage: Option<&ProcessUsage>) -> Result<Option<Self>, prometheus::Error> {
        if usage.is_none() {
            return Ok(None);
        }
        Ok(Some(Self {
            cpu_seconds: float_counter(r, "otelcol_process_cpu_seconds", "CPU seconds, user and system.")?,
            memory_rss: gauge(r, "otelcol_process_memory_rss", "Resident bytes.")?,
        }))
    }
}

fn counter(r: &Registry, name: &str, help: &str, labels: &[&str]) -> Result<IntCounterVec, prometheus::Error> {
    let vec = IntCounterVec::new(Opts::new(name, help), labels)?;
    r.register(Box::new(vec.clone()))?;
    Ok(vec)
}

/// The counters of the collector's filter processor, which has words and a label of its own.
fn filtered(r: &Registry) -> Result<[IntCounterVec; 3], prometheus::Error> {
    let one = |signal: Signal| {
        let (items, words) = match signal {
            Signal::Traces => ("spans", "spans"),
            Signal::Metrics => ("datapoints", "metric data points"),
            Signal::Logs => ("logs", "logs"),
        };
        let name = format!("otelcol_processor_filter_{items}_filtered");
        counter(r, &name, &format!("Number of {words} dropped by the filter processor"), &["filter"])
    };
    let [first, second, third] = Signal::ALL.map(one);
    Ok([first?, second?, third?])
}

fn gauges(r: &Registry, name: &str, help: &str, labels: &[&str]) -> Result<IntGaugeVec, prometheus::Error> {
    let vec = IntGaugeVec::new(Opts::new(name, help), labels)?;
    r.register(Box::new(vec.clone()))?;
    Ok(vec)
}

fn gauge(r: &Registry, name: &str, help: &str) -> Result<Gauge, prometheus::Error> {
    let gauge = Gauge::new(name, help)?;
    r.register(Box::new(gauge.clone()))?;
    Ok(gauge)
}

fn float_counter(r: &Registry, name: &str, help: &str) -> Result<Counter, prometheus::Error> {
    let counter = Counter::new(name, help)?;
    r.register(Box::new(counter.clone()))?;
    Ok(counter)
}

/// Sets what somebody else counts.
fn set(counter: &Counter, value: f64) {
    counter.reset();
    counter.inc_by(value);
}

fn seconds(r: &Registry, name: &str, help: &str, labels: &[&str]) -> Result<HistogramVec, prometheus::Error> {
    let buckets = vec![1e-6, 1e-5, 5e-5, 1e-4, 2e-4, 5e-4, 1e-3, 5e-3, 2e-2, 0.1, 0.5];
    let vec = HistogramVec::new(HistogramOpts::new(name, help).buckets(buckets), labels)?;
    r.register(Box::new(vec.clone()))?;
    Ok(vec)
}

/// The collector's bounds for items of a batch.
fn item_bounds() -> Vec<f64> {
    let bounds = [10, 25, 50, 75, 100, 250, 500, 750, 1000, 2000, 3000, 4000, 5000, 6000, 7000, 8000, 9000, 10000];
    bounds.into_iter().chain([20000, 30000, 50000, 100_000]).map(f64::from).collect()
}

/// The collector's bounds for bytes of a batch, which go on to 9 MB.
fn byte_bounds() -> Vec<f64> {
    let above = (2..=9).map(|n| n * 100_000).chain((1..=9).map(|n| n * 1_000_000)).map(f64::from);
    item_bounds().into_iter().chain(above).collect()
}

fn sizes(r: &Registry, name: &str, help: &str, bounds: &[f64]) -> Result<HistogramVec, prometheus::Error> {
    let vec = HistogramVec::new(HistogramOpts::new(name, help).buckets(bounds.to_vec()), &["processor"])?;
    r.register(Box::new(vec.clone()))?;
    Ok(vec)
}

fn target_info(r: &Registry, instance: &str) -> Result<(), prometheus::Error> {
    let opts = Opts::new("target_info", "Target metadata")
        .const_label("service_name", "sluice")
        .const_label("service_version", env!("CARGO_PKG_VERSION"))
        .const_label("service_instance_id", instance);
    let info = Gauge::with_opts(opts)?;
    info.set(1.0);
    r.register(Box::new(info))
}

struct ProcessUsage {
    cpu_seconds: f64,
    rss_bytes: f64,
}

impl ProcessUsage {
    /// Reads `/proc/self`; none where there is no such thing. Clock ticks are 1/100 s and pages 4 KiB on every
    /// Linux that Sluice is built for.
    fn read() -> Option<Self> {
        let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
        let after_name = stat.rsplit_once(')')?.1;
        let mut fields = after_name.split_ascii_whitespace().skip(11);
        let user: f64 = fields.next()?.parse().ok()?;
        let system: f64 = fields.next()?.parse().ok()?;
        let statm = std::fs::read_to_string("/proc/self/statm").ok()?;
        let pages: f64 = statm.split_ascii_whitespace().nth(1)?.parse().ok()?;
        Some(Self { cpu_seconds: (user + system) / 100.0, rss_bytes: pages * 4096.0 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn speaks_the_collectors_names() {
        let metrics = Metrics::register(Registry::new(), "i-1").expect("no name twice");
        metrics.received(Received::Accepted, Signal::Traces, "otlp", "grpc").inc_by(3);
        metrics.filtered(Signal::Metrics, "filter/noise", 4);
        metrics.filtered(Signal::Logs, "sampler", 5);
        metrics.exported(Exported::SendFailed, Signal::Metrics, "prometheusremotewrite", 2);
        let text = metrics.render().expect("encodes");
        for line in [
            "otelcol_receiver_accepted_spans{receiver=\"otlp\",transport=\"grpc\"} 3",
            "otelcol_exporter_send_failed_metric_points{exporter=\"prometheusremotewrite\"} 2",
            "otelcol_processor_filter_datapoints_filtered{filter=\"filter/noise\"} 4",
            "target_info{service_instance_id=\"i-1\",service_name=\"sluice\",service_version=\"0.1.0\"} 1",
            "# TYPE otelcol_process_memory_rss gauge",
            "# TYPE otelcol_process_cpu_seconds counter",
            "# TYPE otelcol_process_uptime counter",
        ] {
            assert!(text.contains(line), "no {line} in\n{text}");
        }
        assert!(!text.contains("filter_logs_filtered"), "only the filter counts what it filters\n{text}");
    }

    #[test]
    fn says_nothing_about_what_the_system_does_not_tell() {
        let registry = Registry::new();
        assert!(ProcessMetrics::register(&registry, None).expect("no name twice").is_none());
        assert!(registry.gather().is_empty());
    }
}
