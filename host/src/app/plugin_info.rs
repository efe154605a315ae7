//! Which plugin each stage runs: in the log at the start, and always as a metric.

use std::collections::BTreeSet;
use std::sync::{Arc, Weak};

use crate::stage::{Chain, Change};
use crate::telemetry::Metrics;

/// The series that are shown.
pub(super) struct PluginInfo {
    chains: Vec<Weak<Chain>>,
    metrics: Arc<Metrics>,
    shown: BTreeSet<Change>,
}

impl PluginInfo {
    /// Tells what these chains start with.
    pub(super) fn start(chains: &[Arc<Chain>], metrics: &Arc<Metrics>) -> Self {
        let chains = chains.iter().map(Arc::downgrade).collect();
        let mut info = Self { chains, metrics: Arc::clone(metrics), shown: BTreeSet::new() };
        info.renew();
        for Change { stage, plugin, version, digest, origin } in &info.shown {
            tracing::info!(%stage, %plugin, %version, %digest, %origin, "stage starts with this plugin");
        }
        info
    }

    /// Shows what runs now, and nothing else.
    pub(super) fn renew(&mut self) {
        let chains: Vec<Arc<Chain>> = self.chains.iter().filter_map(Weak::upgrade).collect();
        let running = chains.iter().flat_map(|chain| chain.running());
        let running: BTreeSet<Change> = running.map(|(_, running)| running).collect();
        let info = &self.metrics.plugin_info;
        running.iter().for_each(|running| info.with_label_values(&labels(running)).set(1));
        for gone in self.shown.difference(&running) {
            // It fails only on a series that is not there.
            drop(info.remove_label_values(&labels(gone)));
        }
        self.shown = running;
    }
}

fn labels(running: &Change) -> [&str; 5] {
    let Change { stage, plugin, version, digest, origin } = running;
    [stage, plugin, version, digest, origin]
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::model::Signal;
    use crate::stage::{Catalog, Engine, EngineConfig, Settings, StageLimits, StageSpec};
    use crate::telemetry::Telemetry;

    #[test]
    fn shows_what_each_stage_runs_and_no_longer_than_that() {
        let engine = Engine::new(EngineConfig { max_instances: 10, ..EngineConfig::default() }).expect("an engine");
        let stage = StageSpec {
            id: "sampler/x".into(),
            plugin: "sampler".into(),
            settings: Settings { value: json!({"sampling_percentage": 10}), secrets: Vec::new(), warnings: Vec::new() }
                .always(),
            on_error: None,
            limits: StageLimits::default(),
            capabilities: None,
        };
        let chain = Chain::new(&Catalog::new(engine, None), Signal::Logs, vec![stage]).map(Arc::new).expect("a chain");
        let metrics = Telemetry::new("test").expect("metrics").metrics;
        let series = || {
            let text = metrics.render().expect("text");
            text.lines().find(|line| line.starts_with("sluice_plugin_info{")).map(str::to_owned)
        };
        let mut info = PluginInfo::start(&[Arc::clone(&chain)], &metrics);
        let shown = series().expect("a series");
        let digest = format!("digest=\"{}\"", chain.plugins()[0].digest());
        for label in ["processor=\"sampler/x\"", "plugin=\"sampler\"", "origin=\"built in\"", &digest, "} 1"] {
            assert!(shown.contains(label), "{label}: {shown}");
        }
        drop(chain);
        info.renew();
        assert_eq!(series(), None);
    }
}
