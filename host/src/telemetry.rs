//! What Sluice says about itself: metrics with the collector's names, the ledger, and the log.

pub mod ledger;
pub mod logs;
pub mod metrics;

pub use ledger::{Entry, Ledger};
pub use metrics::Metrics;

use std::sync::Arc;

/// Everything that a component needs to report about itself; cheap to clone.
#[derive(Clone)]
pub struct Telemetry {
    /// The collector's metrics and ours.
    pub metrics: Arc<Metrics>,
    /// Where every item ended.
    pub ledger: Arc<Ledger>,
}

impl Telemetry {
    /// Creates the metrics of one process; `instance` is the `service.instance.id`.
    ///
    /// # Errors
    /// Returns the registry's words if two metrics have one name.
    pub fn new(instance: &str) -> Result<Self, prometheus::Error> {
        let registry = prometheus::Registry::new();
        let ledger = Ledger::register(&registry)?;
        let metrics = Metrics::register(registry, instance)?;
        Ok(Self { metrics: Arc::new(metrics), ledger: Arc::new(ledger) })
    }
}
