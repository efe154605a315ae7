//! The pages of the process: health and metrics.

use std::sync::Arc;

use tokio::task::JoinHandle;

use super::StartError;
use crate::admin::Health;
use crate::admin::health::{Bodies, respond};
use crate::admin::server::{PageServer, Pages};
use crate::config::component::HealthCheckConfig;
use crate::config::types::{ListenAddress, Transport};
use crate::config::{Config, ExtensionConfig};
use crate::limits::Budget;
use crate::receive::listen::bind_tcp;
use crate::route::Destination;
use crate::telemetry::Telemetry;

/// What Prometheus calls its text format.
const TEXT_FORMAT: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Starts the health pages that the service names. They answer before anything else is ready.
///
/// # Errors
/// An address that can't be bound.
pub(super) async fn health(config: &Config, health: &Health) -> Result<Vec<JoinHandle<()>>, StartError> {
    let mut tasks = Vec::new();
    for (id, extension) in &config.extensions {
        if let (ExtensionConfig::HealthCheck(page), true) = (extension, config.service.extensions.contains(id)) {
            let endpoint = page.endpoint();
            let listener = bind_tcp(&endpoint, Transport::Tcp)
                .await
                .map_err(|error| StartError::new("extensions", id, format!("{endpoint}: {error}")))?;
            tasks.push(tokio::spawn(PageServer::new(listener).serve(health_pages(page, health))));
        }
    }
    Ok(tasks)
}

fn health_pages(config: &HealthCheckConfig, health: &Health) -> Pages {
    let body = |text: &str| Some(text.to_owned());
    let bodies = config.response_body.as_ref().map_or_else(Bodies::default, |bodies| Bodies {
        healthy: body(&bodies.healthy),
        unhealthy: body(&bodies.unhealthy),
    });
    let (path, health) = (config.path.clone(), health.clone());
    Arc::new(move |asked| is_below(asked, &path).then(|| health.page(&bodies)))
}

/// Whether a path is the page's. One that ends with a slash, such as the default, stands for all below it too, as for
/// Go's `ServeMux`.
fn is_below(asked: &str, path: &str) -> bool {
    asked == path || (path.ends_with('/') && format!("{asked}/").starts_with(path))
}

/// Binds the metrics page, if there is one.
///
/// # Errors
/// An address that can't be bound.
pub(super) async fn bind_metrics(config: &Config) -> Result<Option<PageServer>, StartError> {
    let Some(endpoint) = config.service.telemetry.metrics.listen_address() else { return Ok(None) };
    let failed = |error| StartError::service(&format!("telemetry::metrics: {endpoint}: {error}"));
    let listener = bind_tcp(&ListenAddress::new(&endpoint), Transport::Tcp).await.map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    tracing::info!(%address, "serving Prometheus metrics");
    Ok(Some(PageServer::new(listener)))
}

/// Serves the metrics page.
pub(super) fn metrics(
    server: PageServer,
    telemetry: &Telemetry,
    destinations: Vec<Arc<Destination>>,
    budget: &Budget,
) -> JoinHandle<()> {
    telemetry.metrics.budget_limit_bytes.set(budget.limit_bytes() as f64);
    let page = MetricsPage { telemetry: telemetry.clone(), destinations, budget: budget.clone() };
    let pages: Pages = Arc::new(move |path| (path == "/metrics").then(|| page.render()));
    tokio::spawn(server.serve(pages))
}

struct MetricsPage {
    telemetry: Telemetry,
    destinations: Vec<Arc<Destination>>,
    budget: Budget,
}

impl MetricsPage {
    fn render(&self) -> http::Response<bytes::Bytes> {
        let metrics = &self.telemetry.metrics;
        for destination in &self.destinations {
            let gauges = destination.queue.gauges();
            let label = &[destination.id.as_str()];
            metrics.queue_size.with_label_values(label).set(i64::try_from(gauges.size).unwrap_or(i64::MAX));
            let in_flight = i64::try_from(gauges.in_flight_batches).unwrap_or(i64::MAX);
            metrics.in_flight_requests.with_label_values(label).set(in_flight);
        }
        metrics.budget_used_bytes.set(self.budget.used_bytes() as f64);
        match metrics.render() {
            Ok(text) => respond(http::StatusCode::OK, TEXT_FORMAT, text),
            Err(error) => respond(http::StatusCode::INTERNAL_SERVER_ERROR, "text/plain", error.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_with_a_slash_at_its_end_stands_for_all_below_it() {
        let cases = [
            ("/", "/", true),
            ("/healthz", "/", true),
            ("/a/b", "/", true),
            ("/a", "/a/", true),
            ("/a/b", "/a/", true),
            ("/ab", "/a/", false),
            ("/", "/a/", false),
            ("/a", "/a", true),
            ("/a/", "/a", false),
        ];
        for (asked, path, expected) in cases {
            assert_eq!(is_below(asked, path), expected, "{asked} for {path}");
        }
    }
}
