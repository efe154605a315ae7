//! The running process: all parts of a configuration, joined, started against the flow and stopped with it.

mod exporters;
mod listeners;
mod memory;
mod open_files;
mod pages;
mod pipelines;
mod plugin_info;
mod signals;
mod stages;

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::sync::Arc;

use futures_util::future::join_all;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout_at};

use crate::admin::Health;
use crate::config::{ComponentId, Config, ConfigError, ConfigErrors};
use crate::export::queue;
use crate::export::report::reasons::SHUTDOWN;
use crate::export::sign::{Signer, SignerStatus};
use crate::pace::Rest;
use crate::receive::Drained;
use crate::receive::otlp::Receiver;
use crate::route::Destination;
use crate::telemetry::{Entry, Telemetry, logs};
use signals::Signals;

/// The line that orchestrators and tests wait for.
const READY: &str = "Everything is ready. Begin running and processing data.";

/// Why the process can't start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// One of its parts can't.
    #[error("{path}: {reason}")]
    Part {
        /// The part, as the configuration names it.
        path: String,
        /// Why.
        reason: String,
    },
    /// Its plugins refuse the configuration.
    #[error("{0}")]
    Configuration(ConfigErrors),
}

impl StartError {
    fn new(kind: &str, id: &ComponentId, reason: String) -> Self {
        Self::Part { path: format!("{kind}::{id}"), reason }
    }

    fn service(reason: &str) -> Self {
        Self::Part { path: "service".into(), reason: reason.to_owned() }
    }
}

/// Runs a configuration until the process is told to stop. The exit code is 0 if nothing was left behind.
pub fn run(config: Config) -> ExitCode {
    logs::init(&config.service.telemetry.logs);
    for warning in &config.warnings {
        tracing::warn!("{warning}");
    }
    open_files::raise();
    let runtime = match runtime() {
        Ok(runtime) => runtime,
        Err(error) => return fail(&StartError::service(&format!("can't start its threads: {error}"))),
    };
    let code = runtime.block_on(async {
        let signals = match Signals::listen() {
            Ok(signals) => signals,
            Err(error) => return fail(&StartError::service(&format!("can't listen for signals: {error}"))),
        };
        match signals.while_starting(Running::start(&config)).await {
            (Ok(running), Ok(signals)) => running.until(signals).await,
            (Err(error), _) => fail(&error),
            (_, Err(error)) => fail(&StartError::service(&format!("can't listen for signals: {error}"))),
        }
    });
    // Somebody may still wait for a name server, and nobody for the name.
    runtime.shutdown_timeout(std::time::Duration::from_millis(100));
    code
}

/// The runtime, with a thread for blocking calls that never ends. tokio panics if it has none and the system refuses to
/// start one; while there is one, calls such as those to the name server wait for it.
fn runtime() -> std::io::Result<tokio::runtime::Runtime> {
    const BLOCKING: usize = 1;
    const MOST_BLOCKING: usize = 16;
    let workers = std::thread::available_parallelism().map_or(1, usize::from);
    try_threads(workers + BLOCKING)?;
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    builder.enable_all().thread_keep_alive(std::time::Duration::MAX);
    // None of them ends, and each takes memory. Each worker may need one for a large batch in stages and one for a large
    // batch in an exporter; the others are for files that stand still and names that are looked up.
    let runtime = builder.max_blocking_threads(2 * workers + MOST_BLOCKING).build()?;
    runtime.block_on(runtime.spawn_blocking(|| ())).map_err(std::io::Error::other)?;
    Ok(runtime)
}

/// Whether the system gives us so many threads: where it does not, tokio panics instead of saying so.
fn try_threads(count: usize) -> std::io::Result<()> {
    let gate = std::sync::Mutex::new(());
    std::thread::scope(|scope| {
        let _closed = gate.lock();
        let pass = || drop(gate.lock());
        (0..count).try_for_each(|_| std::thread::Builder::new().spawn_scoped(scope, pass).map(drop))
    })
}

/// All mistakes in the blocks of plugins, by the plugins' own schemas and `configure` functions, but for those that were
/// reported already and their consequences. The rest of the configuration may be wrong.
pub fn check_plugins(config: &Config, reported: &[ConfigError]) -> Vec<ConfigError> {
    stages::check(config, reported)
}

/// The schemas of all plugins that the configuration names, and which of them can't be had.
pub fn plugin_schemas(config: &Config) -> (BTreeMap<String, serde_json::Value>, Vec<ConfigError>) {
    stages::schemas(config)
}

fn fail(error: &StartError) -> ExitCode {
    match error {
        StartError::Part { .. } => tracing::error!("{error}"),
        StartError::Configuration(mistakes) => mistakes.errors.iter().for_each(|mistake| tracing::error!("{mistake}")),
    }
    ExitCode::FAILURE
}

/// What has been started, in the order of the flow.
struct Running {
    health: Health,
    telemetry: Telemetry,
    receivers: Vec<(Receiver, String)>,
    /// Batch processors, those that come first in the flow first; each ends when nothing can reach it any more.
    batchers: Vec<JoinHandle<()>>,
    pipelines: pipelines::Graph,
    destinations: Vec<Arc<Destination>>,
    background: Vec<JoinHandle<()>>,
    shutdown_timeout: std::time::Duration,
}

impl Running {
    /// Starts everything, what comes last in the flow first. The addresses come before all: where they are taken, the
    /// process that has them may be writing to the files that the exporters would open and empty.
    async fn start(config: &Config) -> Result<Self, StartError> {
        let instance = format!("{}-{}", std::process::id(), jiff::Timestamp::now().as_millisecond());
        let telemetry = Telemetry::new(&instance).map_err(|error| StartError::service(&error.to_string()))?;
        let health = Health::default();
        let mut background = pages::health(config, &health).await?;
        let metrics_page = pages::bind_metrics(config).await?;
        let sockets = listeners::bind(config).await?;
        let budget = memory::budget(config);
        let signers = exporters::signers(config);
        let destinations = exporters::start(config, &signers, &telemetry, &budget)?;
        let (pipelines, batchers) = pipelines::build(config, &destinations, &telemetry)?;
        let destinations: Vec<_> = destinations.into_values().collect();
        background.extend(metrics_page.map(|server| pages::metrics(server, &telemetry, destinations.clone(), &budget)));
        background.push(tokio::spawn(watch_troubles(signers, destinations.clone(), health.clone())));
        background.push(tokio::spawn(tell_rests(pipelines.sums(), destinations.clone())));
        let receivers = listeners::start(sockets, config, &pipelines, &budget, &telemetry)?;
        let shutdown_timeout = config.service.shutdown_timeout.get();
        Ok(Self { health, telemetry, receivers, batchers, pipelines, destinations, background, shutdown_timeout })
    }

    /// Serves until a signal comes, then stops.
    async fn until(self, mut signals: Signals) -> ExitCode {
        let (stop, stopping) = tokio::sync::watch::channel(());
        let serving: Vec<_> = self
            .receivers
            .into_iter()
            .map(|(receiver, id)| {
                let mut stopping = stopping.clone();
                let stopped = async move {
                    // An error means that the sender is gone, which is a stop, too.
                    let _ = stopping.changed().await;
                };
                tokio::spawn(async move {
                    let Drained { cut_off } = receiver.serve(stopped).await;
                    tracing::debug!(receiver = %id, connections_cut_off = cut_off, "stopped");
                })
            })
            .collect();
        self.health.set_ready();
        tracing::info!("{READY}");
        let name = signals.next().await;
        // Before it is said: whoever should read the log may have stopped.
        drop(stop);
        self.health.set_not_ready();
        tracing::info!(signal = name, "shutting down");
        let (destinations, telemetry, sums) = (self.destinations, self.telemetry, self.pipelines.sums());
        let leftovers = Leftovers { destinations, telemetry, sums };
        let drain = Drain {
            serving,
            batchers: self.batchers,
            pipelines: self.pipelines,
            leftovers: &leftovers,
            intake_deadline: Instant::now() + self.shutdown_timeout / 2,
            // A batch processor may wait for a queue that never empties; the others' exporters must not pay for it.
            flow_deadline: Instant::now() + self.shutdown_timeout * 3 / 4,
            deadline: Instant::now() + self.shutdown_timeout,
        };
        let code = tokio::select! {
            biased;
            code = drain.run() => code,
            name = signals.next() => {
                tracing::error!(signal = name, "second signal: ending at once, what is on its way is lost");
                leftovers.abandon();
                ExitCode::FAILURE
            }
        };
        self.background.iter().for_each(JoinHandle::abort);
        code
    }
}

/// What is left to do after the first signal, in the order of the flow.
struct Drain<'a> {
    serving: Vec<JoinHandle<()>>,
    batchers: Vec<JoinHandle<()>>,
    pipelines: pipelines::Graph,
    leftovers: &'a Leftovers,
    /// When receivers are cut off, however many replies they still have to send.
    intake_deadline: Instant,
    /// When the exporters' queues close, whatever is still before them.
    flow_deadline: Instant,
    deadline: Instant,
}

/// Where items can be when the process ends.
struct Leftovers {
    destinations: Vec<Arc<Destination>>,
    telemetry: Telemetry,
    sums: Arc<pipelines::Sums>,
}

impl Drain<'_> {
    async fn run(mut self) -> ExitCode {
        for receiver in &mut self.serving {
            // A receiver has a deadline of its own, which comes first unless there is hardly any time.
            if timeout_at(self.intake_deadline, &mut *receiver).await.is_err() {
                receiver.abort();
            }
        }
        // Nothing comes in any more: without senders the batchers drain and end.
        drop(self.pipelines);
        end(&mut self.batchers, self.flow_deadline).await;
        self.leftovers.drain(self.deadline).await;
        // Closed queues hold up nobody: what is still before them is dropped, and summed up in the log.
        end(&mut self.batchers, self.deadline).await;
        self.leftovers.finish();
        self.leftovers.code()
    }
}

/// Waits for tasks, as long as there is time.
async fn end(tasks: &mut [JoinHandle<()>], deadline: Instant) {
    for task in tasks.iter_mut().filter(|task| !task.is_finished()) {
        let _ = timeout_at(deadline, task).await;
    }
}

impl Leftovers {
    /// Empties all queues side by side: a destination that takes nothing must not cost the others their time.
    async fn drain(&self, deadline: Instant) {
        let queues = self.destinations.iter().map(|destination| destination.queue.drain(deadline));
        for (destination, here) in self.destinations.iter().zip(join_all(queues).await) {
            if here.items > 0 {
                tracing::error!(exporter = %destination.id, items = here.items, batches = here.batches, "not exported");
            }
        }
    }

    /// Tells of all losses that no message stood for yet.
    fn finish(&self) {
        tell(&self.sums, &self.destinations, Rest::All);
    }

    /// By the books, since not all that is left was in a queue.
    fn code(&self) -> ExitCode {
        let left = self.telemetry.ledger.total(Entry::Dropped(SHUTDOWN));
        let in_flight = self.telemetry.ledger.in_flight();
        if left == 0 && in_flight == 0 {
            tracing::info!("Shutdown complete.");
            return ExitCode::SUCCESS;
        }
        tracing::error!(items = left, in_flight, "shutdown left items behind");
        ExitCode::FAILURE
    }

    /// Says what nobody will export any more.
    fn abandon(&self) {
        self.finish();
        for destination in &self.destinations {
            let items = destination.queue.gauges().items;
            if items > 0 {
                tracing::error!(exporter = %destination.id, items, "not exported");
            }
        }
        tracing::error!(in_flight = self.telemetry.ledger.in_flight(), "shutdown left items behind");
    }
}

/// Tells of losses after which none came whose message would have told of them.
async fn tell_rests(sums: Arc<pipelines::Sums>, destinations: Vec<Arc<Destination>>) {
    let mut tick = tokio::time::interval(std::time::Duration::from_secs(1));
    loop {
        tick.tick().await;
        tell(&sums, &destinations, Rest::Due);
    }
}

fn tell(sums: &pipelines::Sums, destinations: &[Arc<Destination>], rest: Rest) {
    sums.tell(rest);
    destinations.iter().for_each(|destination| destination.tell(rest));
}

/// Shows on the health page which signers have no credentials, and which exporters get nothing out.
async fn watch_troubles(signers: exporters::Signers, destinations: Vec<Arc<Destination>>, health: Health) {
    let mut tick = tokio::time::interval(std::time::Duration::from_millis(200));
    loop {
        tick.tick().await;
        let of_signers = signers.iter().map(|(id, signer)| (id.to_string(), of_signer(signer)));
        let mut troubles: BTreeMap<String, Option<String>> = of_signers.collect();
        for destination in &destinations {
            // An exporter that signs by itself stands there already.
            let trouble = troubles.entry(destination.id.clone()).or_default();
            *trouble = trouble.take().or_else(|| of_exporter(destination));
        }
        troubles.into_iter().for_each(|(id, trouble)| health.set_trouble(&id, trouble));
    }
}

fn of_signer(signer: &Signer) -> Option<String> {
    match signer.status() {
        SignerStatus::Ready { .. } => None,
        SignerStatus::Starting => Some("waiting for AWS credentials".to_owned()),
        SignerStatus::Failing { reason, .. } => Some(reason),
    }
}

fn of_exporter(destination: &Destination) -> Option<String> {
    match destination.queue.health() {
        queue::Health::Works => None,
        queue::Health::Fails { since, last, reason } => {
            let [since, last] = [since, last].map(|time| time.as_secs());
            Some(format!("exporting has failed for {since} s, last tried {last} s ago: {reason}"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Sources;

    /// An alarm on an increase sees the first of them only then.
    #[tokio::test]
    async fn what_may_go_wrong_is_counted_from_zero_on() {
        let text = "yaml:{receivers: {otlp: {protocols: {http: {endpoint: '127.0.0.1:0'}}}}, exporters: {debug: }, \
                    processors: {sampler/a: {sampling_percentage: 50}}, tenants: {default: us}, service: {telemetry: \
                    {metrics: {level: none}}, pipelines: {logs: {receivers: [otlp], processors: [sampler/a], \
                    exporters: [debug]}}}}";
        let sources = Sources { configs: vec![text.to_owned()], sets: Vec::new() };
        let running = Running::start(&crate::config::load(&sources, &|_| None).expect("valid")).await;
        let page = running.expect("started").telemetry.metrics.render().expect("a page");
        for series in [
            "sluice_ledger_items{outcome=\"dropped\",reason=\"queue_full\",signal=\"logs\",tenant=\"us\"}",
            "sluice_ledger_items{outcome=\"dead_lettered\",reason=\"\",signal=\"logs\",tenant=\"us\"}",
            "sluice_stage_calls{processor=\"sampler/a\",result=\"timeout\"}",
            "sluice_stage_calls{processor=\"sampler/a\",result=\"exhausted\"}",
            "sluice_plugin_reloads{processor=\"sampler/a\",result=\"refused\"}",
        ] {
            assert!(page.contains(&format!("{series} 0\n")), "no {series} in\n{page}");
        }
        assert!(!page.contains("signal=\"traces\",tenant"), "no pipeline has them\n{page}");
    }

    /// The process that has the address may have the files, too.
    #[tokio::test]
    async fn a_start_whose_address_is_taken_leaves_files_as_they_are() {
        let directory = tempfile::tempdir().expect("a directory");
        let out = directory.path().join("out.json");
        std::fs::write(&out, "of another process").expect("a file");
        let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = taken.local_addr().expect("an address");
        for (receiver, metrics) in
            [(address.port(), "{level: none}".to_owned()), (0, format!("{{address: '{address}'}}"))]
        {
            let text = format!(
                "yaml:{{receivers: {{otlp: {{protocols: {{http: {{endpoint: '127.0.0.1:{receiver}'}}}}}}}}, \
                 exporters: {{file: {{path: '{}'}}}}, service: {{telemetry: {{metrics: {metrics}}}, \
                 pipelines: {{logs: {{receivers: [otlp], exporters: [file]}}}}}}}}",
                out.display()
            );
            let sources = Sources { configs: vec![text], sets: Vec::new() };
            let config = crate::config::load(&sources, &|_| None).expect("valid");
            let error = Running::start(&config).await.err().expect("no address").to_string();
            assert!(error.contains("in use"), "{error}");
            assert_eq!(std::fs::read_to_string(&out).expect("a file"), "of another process");
        }
    }
}
