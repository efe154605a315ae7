//! The exporters of a configuration, each with its queue.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::sync::Semaphore;

use super::StartError;
use crate::config::component::{PrometheusRemoteWriteConfig, RemoteWriteQueueConfig};
use crate::config::types::{AuthConfig, QueueConfig, RetryConfig};
use crate::config::{ComponentId, Config, ExporterConfig, ExtensionConfig};
use crate::export::Exporter;
use crate::export::client::Authenticator;
use crate::export::dead_letter::DeadLetters;
use crate::export::debug::Debug;
use crate::export::file::File;
use crate::export::opensearch::OpenSearch;
use crate::export::otlp_grpc::OtlpGrpc;
use crate::export::otlp_http::OtlpHttp;
use crate::export::queue::{Queue, QueueSettings};
use crate::export::remote_write::RemoteWrite;
use crate::export::sign::{Signer, settings_of_2021};
use crate::limits::Budget;
use crate::route::Destination;
use crate::route::fan_out::Booking;
use crate::telemetry::Telemetry;

/// Of the memory budget each of several queues may keep its share, and of very many this part.
const MOST_SHARES: usize = 4;
/// Requests that are sent at the same time where there is no queue.
const WITHOUT_QUEUE: u32 = 100;

/// Everything that vouches for requests, by the id of its extension, or of the exporter that signs by itself.
pub(super) type Signers = BTreeMap<ComponentId, Signer>;

/// Starts the signers that the service names, and those of exporters that run.
pub(super) fn signers(config: &Config) -> Signers {
    let running = |id: &&ComponentId| config.service.extensions.contains(id);
    let extensions = config.extensions.iter().filter(|(id, _)| running(id));
    let signers = extensions.filter_map(|(id, extension)| match extension {
        ExtensionConfig::SigV4Auth(settings) => Some((id.clone(), Signer::new(&id.to_string(), settings.clone()))),
        ExtensionConfig::HealthCheck(_) => None,
    });
    let own = config.exporters.iter().filter(|(id, _)| runs(config, id)).filter_map(|(id, exporter)| match exporter {
        // `aws_auth` of 2021 signs even if it is not there.
        ExporterConfig::AwsPrometheusRemoteWrite(config) => {
            let settings = settings_of_2021(&config.aws_auth, config.remote_write.client.endpoint.as_str());
            Some((id.clone(), Signer::new(&id.to_string(), settings)))
        }
        _ => None,
    });
    signers.chain(own).collect()
}

/// Whether a pipeline names an exporter.
fn runs(config: &Config, exporter: &ComponentId) -> bool {
    config.service.pipelines.values().any(|pipeline| pipeline.exporters.contains(exporter))
}

/// Starts the exporters that pipelines name.
///
/// # Errors
/// The first exporter that can't be made, and why.
pub(super) fn start(
    config: &Config,
    signers: &Signers,
    telemetry: &Telemetry,
    budget: &Budget,
) -> Result<BTreeMap<ComponentId, Arc<Destination>>, StartError> {
    let exporters: Vec<_> = config.exporters.iter().filter(|(id, _)| runs(config, id)).collect();
    let max_bytes = share(budget, exporters.len());
    let large = Arc::new(Semaphore::new(large_at_once()));
    let started = exporters.into_iter().map(|(id, exporter)| {
        let context = Starting { id, signers, telemetry, max_bytes, large: &large };
        let destination = context.start(exporter).map_err(|reason| StartError::new("exporters", id, reason))?;
        Ok((id.clone(), Arc::new(destination)))
    });
    started.collect()
}

/// An exporter that is about to start.
struct Starting<'a> {
    id: &'a ComponentId,
    signers: &'a Signers,
    telemetry: &'a Telemetry,
    /// What its queue may keep of the memory budget.
    max_bytes: u64,
    /// Permits to encode what is large.
    large: &'a Arc<Semaphore>,
}

impl Starting<'_> {
    fn start(&self, config: &ExporterConfig) -> Result<Destination, String> {
        let id = self.id.to_string();
        match config {
            ExporterConfig::PrometheusRemoteWrite(config) => {
                let exporter = RemoteWrite::new(&id, config, self.authenticator(&config.client.auth)?).map_err(text)?;
                self.queue_in_order(exporter, config)
            }
            ExporterConfig::AwsPrometheusRemoteWrite(config) => {
                let signer = self.signers.get(self.id).ok_or("aws_auth: has no signer")?;
                let authenticator = Authenticator::SigV4(signer.clone());
                let config = &config.remote_write;
                let exporter = RemoteWrite::adot_2021(&id, config, authenticator).map_err(text)?;
                self.queue_in_order(exporter, config)
            }
            ExporterConfig::OpenSearch(config) => {
                let exporter = OpenSearch::new(&id, config, self.authenticator(&config.http.auth)?).map_err(text)?;
                self.queue(exporter, &config.sending_queue, &config.retry_on_failure)
            }
            ExporterConfig::Otlp(config) => {
                let exporter = OtlpGrpc::new(&id, &config.client, config.timeout.get()).map_err(text)?;
                self.queue(exporter, &side_by_side(&config.sending_queue), &config.retry_on_failure)
            }
            ExporterConfig::OtlpHttp(config) => {
                let exporter = OtlpHttp::new(&id, config, self.authenticator(&config.client.auth)?).map_err(text)?;
                self.queue(exporter, &side_by_side(&config.sending_queue), &config.retry_on_failure)
            }
            ExporterConfig::Debug(config) => {
                self.queue(Debug::new(&id, config).map_err(text)?, &one_at_a_time(), &RetryConfig::DEFAULT)
            }
            ExporterConfig::File(config) => {
                self.queue(File::new(config).map_err(text)?, &one_at_a_time(), &RetryConfig::DEFAULT)
            }
        }
    }

    fn authenticator(&self, auth: &Option<AuthConfig>) -> Result<Authenticator, String> {
        let Some(auth) = auth else { return Ok(Authenticator::None) };
        let signer = self.signers.iter().find(|(id, _)| id.to_string() == auth.authenticator);
        let missing =
            || format!("auth::authenticator: extension {:?} is not in service::extensions", auth.authenticator);
        signer.map(|(_, signer)| Authenticator::SigV4(signer.clone())).ok_or_else(missing)
    }

    /// Remote write: one batch after the other, but the requests of a batch at the same time. Each series is in one
    /// of them, so that its samples stay in order.
    fn queue_in_order(
        &self,
        exporter: RemoteWrite,
        config: &PrometheusRemoteWriteConfig,
    ) -> Result<Destination, String> {
        let dead_letter_file = config.remote_write_queue.dead_letter_file.clone();
        let RemoteWriteQueueConfig { enabled, queue_size, .. } = config.remote_write_queue;
        let queue = QueueConfig { enabled, queue_size, num_consumers: 1, dead_letter_file, ..QueueConfig::default() };
        let parallel_requests = config.parallel_requests() as usize;
        self.start_queue(exporter, "remote_write_queue", &queue, &config.retry_on_failure, parallel_requests)
    }

    fn queue<E: Exporter>(&self, exporter: E, queue: &QueueConfig, retry: &RetryConfig) -> Result<Destination, String> {
        self.start_queue(exporter, "sending_queue", queue, retry, 1)
    }

    fn start_queue<E: Exporter>(
        &self,
        exporter: E,
        block: &str,
        queue: &QueueConfig,
        retry: &RetryConfig,
        parallel_requests: usize,
    ) -> Result<Destination, String> {
        let id = self.id.to_string();
        let dead_letters = queue.dead_letter_file.as_deref().map(|path| {
            DeadLetters::open(path).map_err(|error| format!("{block}::dead_letter_file {}: {error}", path.display()))
        });
        let settings = QueueSettings {
            parallel_requests,
            max_bytes: self.max_bytes,
            large: Arc::clone(self.large),
            dead_letters: dead_letters.transpose()?.map(Arc::new),
            ..QueueSettings::new(&id, queue, retry)
        };
        let report = Arc::new(Booking { exporter: id.clone(), telemetry: self.telemetry.clone() });
        if queue.enabled {
            let capacity = i64::try_from(settings.queue_size).unwrap_or(i64::MAX);
            self.telemetry.metrics.queue_capacity.with_label_values(&[&id]).set(capacity);
        }
        let started = Queue::start(exporter, settings, report);
        Ok(Destination::new(id, started, queue.block_on_overflow, queue.wait_for_result || !queue.enabled))
    }
}

/// How many large batches are encoded at the same time: one core is for all else.
fn large_at_once() -> usize {
    std::thread::available_parallelism().map_or(1, |cores| (cores.get() - 1).max(1))
}

/// What the queue of each of so many exporters may keep of the memory budget.
fn share(budget: &Budget, exporters: usize) -> u64 {
    match exporters {
        0..=1 => u64::MAX,
        several => (budget.limit_bytes() / several.min(MOST_SHARES)) as u64,
    }
}

/// Without a queue it is senders that wait, each for its own request. Only for exporters whose requests take no more than
/// the batch itself.
fn side_by_side(queue: &QueueConfig) -> QueueConfig {
    let num_consumers = if queue.enabled { queue.num_consumers } else { queue.num_consumers.max(WITHOUT_QUEUE) };
    QueueConfig { num_consumers, ..queue.clone() }
}

/// What writes to this machine has no use for several writers.
fn one_at_a_time() -> QueueConfig {
    QueueConfig { num_consumers: 1, ..QueueConfig::default() }
}

fn text(error: impl std::fmt::Display) -> String {
    error.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Sources;

    #[test]
    fn several_queues_share_the_budget_and_one_has_it_all() {
        let budget = Budget::new(1200);
        assert_eq!([1, 2, 3, 4, 5].map(|exporters| share(&budget, exporters)), [u64::MAX, 600, 400, 300, 300]);
    }

    #[test]
    fn without_a_queue_more_senders_are_served_side_by_side() {
        let of = |enabled, num_consumers| {
            side_by_side(&QueueConfig { enabled, num_consumers, ..QueueConfig::default() }).num_consumers
        };
        assert_eq!([of(true, 10), of(false, 10), of(false, 200)], [10, WITHOUT_QUEUE, 200]);
    }

    #[test]
    fn zeros_of_a_queue_that_is_not_there_stop_no_start() {
        let text = "yaml:{receivers: {otlp: {protocols: {http: }}}, exporters: {prometheusremotewrite: \
                    {endpoint: 'http://a', remote_write_queue: {enabled: false, queue_size: 0, num_consumers: 0}, \
                    max_batch_size_bytes: 0}, otlphttp: {endpoint: 'http://a', sending_queue: {enabled: false, \
                    queue_size: 0, num_consumers: 0}}}, service: {pipelines: {metrics: {receivers: [otlp], \
                    exporters: [prometheusremotewrite, otlphttp]}}}}";
        let load = |text: &str| {
            let sources = Sources { configs: vec![text.to_owned()], sets: Vec::new() };
            crate::config::load(&sources, &|_| None)
        };
        let config = load(text).expect("valid");
        let remote_write = config.exporters.values().find_map(|exporter| match exporter {
            ExporterConfig::PrometheusRemoteWrite(config) => Some(config),
            _ => None,
        });
        let remote_write = remote_write.expect("configured");
        assert_eq!((remote_write.parallel_requests(), remote_write.max_request_bytes()), (5, 3_000_000));
        let errors = load(&text.replace("enabled: false", "enabled: true")).expect_err("no queue takes nothing");
        assert_eq!(errors.errors.len(), 3, "{errors}");
    }

    #[tokio::test]
    async fn every_signer_of_what_runs_is_watched() {
        let text = "yaml:{receivers: {otlp: {protocols: {http: }}}, extensions: {sigv4auth: , sigv4auth/idle: }, \
                    exporters: {awsprometheusremotewrite: {endpoint: 'http://a', aws_auth: {region: r}}, \
                    awsprometheusremotewrite/idle: {endpoint: 'http://a'}}, service: {extensions: [sigv4auth], \
                    pipelines: {metrics: {receivers: [otlp], exporters: [awsprometheusremotewrite]}}}}";
        let sources = Sources { configs: vec![text.to_owned()], sets: Vec::new() };
        let config = crate::config::load(&sources, &|_| None).expect("valid");
        let watched: Vec<_> = signers(&config).into_keys().map(|id| id.to_string()).collect();
        assert_eq!(watched, ["awsprometheusremotewrite", "sigv4auth"]);
    }
}
