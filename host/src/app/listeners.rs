//! The receivers of a configuration, bound to their addresses.

use std::sync::Arc;
use std::time::Duration;

use super::pipelines::Graph;
use super::{StartError, open_files};
use crate::config::component::OtlpReceiverConfig;
use crate::config::{ComponentId, Config, ReceiverConfig};
use crate::limits::Budget;
use crate::model::Signal;
use crate::receive::counters::Counters;
use crate::receive::otlp::{Deps, Receiver, Sockets};
use crate::receive::{Consume, ReceiveError};
use crate::telemetry::Telemetry;

/// Connections of one listener, if the limit of open files allows so many; a sidecar has a handful.
const MAX_CONNECTIONS: usize = 1024;
/// The most that running requests may take after the signal to stop.
const DRAIN: Duration = Duration::from_secs(5);

/// The sockets of a receiver.
pub(super) struct Bound<'a> {
    id: &'a ComponentId,
    settings: &'a OtlpReceiverConfig,
    sockets: Sockets,
}

impl Bound<'_> {
    fn listeners(&self) -> usize {
        let protocols = &self.settings.protocols;
        usize::from(protocols.grpc.is_some()) + usize::from(protocols.http.is_some())
    }
}

/// Binds the receivers that pipelines name. Whoever connects waits until they are started.
///
/// # Errors
/// The first receiver that can't be bound, and why.
pub(super) async fn bind(config: &Config) -> Result<Vec<Bound<'_>>, StartError> {
    let mut all = Vec::new();
    for (id, receiver) in &config.receivers {
        if !config.service.pipelines.values().any(|pipeline| pipeline.receivers.contains(id)) {
            continue;
        }
        let ReceiverConfig::Otlp(settings) = receiver;
        let sockets = Sockets::bind(settings).await.map_err(|error| refused(id, &error))?;
        all.push(Bound { id, settings, sockets });
    }
    Ok(all)
}

/// Joins what was bound to its pipelines.
///
/// # Errors
/// The first receiver that can't work, and why.
pub(super) fn start(
    bound: Vec<Bound<'_>>,
    config: &Config,
    graph: &Graph,
    budget: &Budget,
    telemetry: &Telemetry,
) -> Result<Vec<(Receiver, String)>, StartError> {
    let listeners = bound.iter().map(Bound::listeners).sum();
    let max_connections = open_files::connections(listeners, MAX_CONNECTIONS);
    let receivers = bound.into_iter().map(|Bound { id, settings, sockets }| {
        let consumer = |signal| graph.consumer(id, signal).map(|consumer| Arc::new(consumer) as Arc<dyn Consume>);
        let deps = Deps {
            budget: budget.clone(),
            consumers: Signal::ALL.map(consumer),
            headers: graph.headers().to_vec(),
            counters: Arc::new(Counters::register(&telemetry.metrics, &id.to_string())),
            max_connections,
            drain: drain(config.service.shutdown_timeout.get()),
        };
        let receiver = Receiver::new(settings, sockets, deps).map_err(|error| refused(id, &error))?;
        Ok((receiver, id.to_string()))
    });
    receivers.collect()
}

fn refused(id: &ComponentId, error: &ReceiveError) -> StartError {
    StartError::new("receivers", id, error.to_string())
}

/// A quarter of the time to stop: batch processors and queues need the rest.
fn drain(shutdown_timeout: Duration) -> Duration {
    (shutdown_timeout / 4).min(DRAIN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn running_requests_leave_most_of_the_time_to_what_comes_after_them() {
        for (timeout_ms, drain_ms) in [(0, 0), (4_000, 1_000), (20_000, 5_000), (25_000, 5_000)] {
            assert_eq!(drain(Duration::from_millis(timeout_ms)), Duration::from_millis(drain_ms));
        }
    }
}
