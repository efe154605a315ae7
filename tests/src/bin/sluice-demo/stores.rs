//! The real stores that `--with` adds, and the queries that show the data there.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};
use sluice_tests::parts::{self, Server};
use sluice_tests::web;

use crate::load::TENANTS;
use crate::running::Running;
use crate::{say, title};

/// A real store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Store {
    /// Prometheus with its remote-write receiver.
    Prometheus,
    /// OpenSearch, one node.
    Opensearch,
}

/// Those that run.
pub(crate) struct Stores {
    prometheus: Option<Server>,
    opensearch: Option<Server>,
}

impl Stores {
    /// Starts the stores that were asked for.
    pub(crate) fn start(wanted: &[Store]) -> Result<Self> {
        let mut stores = Self { prometheus: None, opensearch: None };
        if wanted.is_empty() {
            return Ok(stores);
        }
        title("Real stores");
        if wanted.contains(&Store::Prometheus) {
            say("starting Prometheus");
            stores.prometheus =
                Some(parts::prometheus()?.context("there is no Prometheus: cargo xtask parts says why")?);
        }
        if wanted.contains(&Store::Opensearch) {
            say("starting OpenSearch");
            stores.opensearch =
                Some(parts::opensearch()?.context("there is no OpenSearch: cargo xtask parts says why")?);
        }
        Ok(stores)
    }

    /// A configuration that adds them to the quickstart's pipelines.
    pub(crate) fn configuration(&self, dir: &Path) -> Result<Option<PathBuf>> {
        if self.prometheus.is_none() && self.opensearch.is_none() {
            return Ok(None);
        }
        let (mut exporters, mut pipelines) = (String::new(), String::new());
        if let Some(server) = &self.prometheus {
            let endpoint = format!("{}/api/v1/write", server.url);
            exporters += &format!("  prometheusremotewrite: {{endpoint: '{endpoint}', tenant_label: tenant}}\n");
            pipelines += "    metrics: {exporters: [file/metrics, prometheusremotewrite]}\n";
        }
        if let Some(server) = &self.opensearch {
            exporters += &format!(
                "  opensearch:\n    http: {{endpoint: '{}'}}\n    traces_index: '%{{tenant}}-traces'\n    \
                 logs_index: '%{{tenant}}-logs'\n",
                server.url
            );
            for signal in ["traces", "logs"] {
                pipelines += &format!("    {signal}: {{exporters: [file/{signal}, opensearch]}}\n");
            }
        }
        let file = dir.join("stores.yaml");
        std::fs::write(&file, format!("exporters:\n{exporters}service:\n  pipelines:\n{pipelines}"))?;
        Ok(Some(file))
    }

    /// Asks the stores, and shows with what.
    pub(crate) fn show(&self, sluice: &Running) -> Result<()> {
        sluice.settled()?;
        if let Some(server) = &self.prometheus {
            title("Prometheus has the metrics");
            // The generator's points are of this second; a series is a set of labels, so repeated requests add none.
            let query = "query=count+by+(tenant)+(%7B__name__%3D~%22http_server_requests.*%22%7D)&time=1760000001";
            let url = format!("{}/api/v1/query?{query}", server.url);
            say(&format!("curl '{url}'"));
            for series in found(&url, "/data/result")?.as_array().into_iter().flatten() {
                say(&format!("  {}: {} series", series["metric"]["tenant"], series["value"][1]));
            }
        }
        if let Some(server) = &self.opensearch {
            title("OpenSearch has the traces and logs");
            say("the generator repeats its requests, and a span or log record that comes again is no new document");
            web::post(&format!("{}/_refresh", server.url), "application/json", b"")?;
            for tenant in TENANTS {
                for signal in ["traces", "logs"] {
                    let url = format!("{}/{tenant}-{signal}/_count", server.url);
                    say(&format!("curl '{url}'"));
                    say(&format!("  {} documents", found(&url, "/count")?));
                }
            }
            let sample = format!("{}/{}-traces/_search?size=1&pretty", server.url, TENANTS[0]);
            say(&format!("curl '{sample}'"));
        }
        Ok(())
    }
}

/// Asks until there is an answer that is not empty, and gives what stands at a place in it.
fn found(url: &str, place: &str) -> Result<serde_json::Value> {
    web::eventually("data", Duration::from_secs(30), || {
        let answer = web::get(url)?.json()?;
        let found = answer.pointer(place).cloned().unwrap_or_default();
        let empty = found.is_null() || found == 0 || found.as_array().is_some_and(Vec::is_empty);
        Ok((!empty).then_some(found))
    })
}
