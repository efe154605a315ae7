//! Exporter `debug` (and `logging`, its name until 2024): shows telemetry as text, as the collector does.

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::sync::{Mutex, PoisonError};

use sluice_wire::Signal;
use sluice_wire::view::{LogsView, MetricsView, TracesView};
use tokio::time::{Duration, Instant};

use crate::config::component::{DebugConfig, Verbosity};
use crate::export::writer::Writer;
use crate::export::{DeadLetter, Encoded, Exporter, Sent, SetupError};
use crate::model::Batch;

mod detailed;
mod normal;
mod points;
mod text;

#[cfg(test)]
mod tests;

/// Shows telemetry.
pub struct Debug {
    verbosity: Verbosity,
    outputs: Writer<Outputs>,
    samplers: Mutex<[Sampler; 3]>,
    sampling_initial: u32,
    sampling_thereafter: u32,
}

/// One batch as text; empty if it is not shown.
#[derive(Debug, PartialEq, Eq)]
pub struct Shown {
    items: u64,
    summary: String,
    text: String,
}

/// Where an exporter writes to.
struct Outputs {
    exporter: String,
    outputs: Vec<Output>,
}

enum Output {
    /// The process's own log.
    Log,
    Stdout,
    Stderr,
    File(std::fs::File),
}

/// The batches of one signal in this second.
#[derive(Clone, Copy, Debug, Default)]
struct Sampler {
    since: Option<Instant>,
    count: u32,
}

impl Debug {
    /// Makes the exporter with this id; opens the files that it writes to.
    ///
    /// # Errors
    /// If a file can't be opened.
    pub fn new(exporter: &str, config: &DebugConfig) -> Result<Self, SetupError> {
        let outputs = match (config.use_internal_logger, &config.output_paths) {
            (true, _) => vec![Output::Log],
            (false, None) => vec![Output::open("stdout")?],
            (false, Some(paths)) => paths.iter().map(|path| Output::open(path)).collect::<Result<_, _>>()?,
        };
        Ok(Self {
            verbosity: config.verbosity,
            outputs: Writer::new(Outputs { exporter: exporter.to_owned(), outputs }),
            samplers: Mutex::default(),
            sampling_initial: config.sampling_initial,
            sampling_thereafter: config.sampling_thereafter,
        })
    }

    fn is_shown(&self, signal: Signal, now: Instant) -> bool {
        let mut samplers = self.samplers.lock().unwrap_or_else(PoisonError::into_inner);
        samplers[signal as usize].is_shown(now, self.sampling_initial, self.sampling_thereafter)
    }
}

impl Exporter for Debug {
    type Request = Shown;

    fn encode(&self, batch: &Batch, _from: u64) -> Encoded<Shown> {
        let mut shown = Shown { items: batch.items, summary: String::new(), text: String::new() };
        if self.is_shown(batch.signal, Instant::now()) {
            shown.summary = summary(batch);
            shown.text = match self.verbosity {
                Verbosity::Basic => String::new(),
                Verbosity::Normal => normal::text(batch.signal, &batch.bytes),
                Verbosity::Detailed => detailed::text(batch.signal, &batch.bytes),
            };
        }
        Encoded::one(shown)
    }

    async fn send(&self, shown: Shown) -> Sent<Shown> {
        let items = shown.items;
        if shown.summary.is_empty() {
            return Sent::delivered(items);
        }
        match self.outputs.write(move |outputs| outputs.write(&shown)).await {
            Ok(()) => Sent::delivered(items),
            Err(error) => Sent::refused(DeadLetter { items, reason: error.to_string(), document: None }),
        }
    }
}

fn summary(batch: &Batch) -> String {
    let (bytes, items) = (&batch.bytes[..], batch.items);
    match batch.signal {
        Signal::Traces => {
            let resources = TracesView::new(bytes).resource_spans().count();
            format!("Traces\t{{\"resource spans\": {resources}, \"spans\": {items}}}")
        }
        Signal::Metrics => {
            let resources: Vec<_> = MetricsView::new(bytes).resource_metrics().collect();
            let scopes = resources.iter().flat_map(|resource| resource.scope_metrics());
            let metrics: usize = scopes.map(|scope| scope.metrics().count()).sum();
            let resources = resources.len();
            format!("Metrics\t{{\"resource metrics\": {resources}, \"metrics\": {metrics}, \"data points\": {items}}}")
        }
        Signal::Logs => {
            let resources = LogsView::new(bytes).resource_logs().count();
            format!("Logs\t{{\"resource logs\": {resources}, \"log records\": {items}}}")
        }
    }
}

impl Outputs {
    fn write(&mut self, shown: &Shown) -> io::Result<()> {
        for output in &mut self.outputs {
            let whole = format!("{}\n{}", shown.summary, shown.text);
            match output {
                Output::Log => log(&self.exporter, shown),
                Output::Stdout => io::stdout().lock().write_all(whole.as_bytes())?,
                Output::Stderr => io::stderr().lock().write_all(whole.as_bytes())?,
                Output::File(file) => file.write_all(whole.as_bytes())?,
            }
        }
        Ok(())
    }
}

fn log(exporter: &str, shown: &Shown) {
    tracing::info!(exporter, "{}", shown.summary);
    if !shown.text.is_empty() {
        tracing::info!(exporter, "{}", shown.text);
    }
}

impl Output {
    fn open(path: &str) -> Result<Self, SetupError> {
        match path {
            "stdout" => Ok(Self::Stdout),
            "stderr" => Ok(Self::Stderr),
            path => {
                let file = OpenOptions::new().create(true).append(true).open(path);
                let failed = |error| SetupError::new("output_paths", format_args!("{path}: {error}"));
                Ok(Self::File(file.map_err(failed)?))
            }
        }
    }
}

impl Sampler {
    /// The first so many of each second are shown, and then every so-manieth.
    fn is_shown(&mut self, now: Instant, initial: u32, thereafter: u32) -> bool {
        let over = self.since.is_none_or(|since| now.saturating_duration_since(since) >= Duration::from_secs(1));
        if over {
            *self = Self { since: Some(now), count: 0 };
        }
        self.count = self.count.saturating_add(1);
        match self.count.checked_sub(initial) {
            None | Some(0) => true,
            Some(beyond) => thereafter > 0 && beyond % thereafter == 0,
        }
    }
}
