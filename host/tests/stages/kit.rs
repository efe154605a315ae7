//! What the tests of the stage engine share: an engine, a catalog with the probe, requests, and how to read them.

#[path = "../kit/guests.rs"]
pub(crate) mod guests;

use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, SystemTime};

use serde_json::{Value, json};
use sluice::limits::Budget;
use sluice::model::{Batch, Context, Signal, TenantId};
use sluice::stage::{
    Catalog, Chain, ChainOutcome, Engine, EngineConfig, OnError, Settings, StageConfigError, StageLimits, StageSpec,
};
use sluice_wire::LogsWriter;
use sluice_wire::view::{LogsView, Value as View};

/// An engine that all tests of a process share, with a code cache, since compiling takes longest.
pub(crate) fn engine() -> Engine {
    static ENGINE: OnceLock<Engine> = OnceLock::new();
    let start = || {
        let cache_directory = Some(PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("stage-code-cache"));
        Engine::new(EngineConfig { cache_directory, ..Default::default() }).expect("the engine starts")
    };
    ENGINE.get_or_init(start).clone()
}

/// A directory with the probe in it.
pub(crate) fn catalog() -> (Catalog, tempfile::TempDir) {
    let directory = tempfile::tempdir().expect("a directory");
    std::fs::write(directory.path().join("probe.wasm"), guests::guest("probe")).expect("written");
    (Catalog::new(engine(), Some(directory.path().to_owned())), directory)
}

/// A stage that runs the probe.
pub(crate) fn spec(config: Value) -> StageSpec {
    StageSpec {
        id: "probe".to_owned(),
        plugin: "probe".to_owned(),
        settings: Settings { value: config, secrets: Vec::new(), warnings: Vec::new() }.always(),
        on_error: None,
        limits: StageLimits { timeout_ms: 5_000, ..Default::default() },
        capabilities: None,
    }
}

/// A chain of probes.
pub(crate) fn try_chain(specs: Vec<StageSpec>) -> Result<Chain, Vec<StageConfigError>> {
    let (catalog, _directory) = catalog();
    Chain::new(&catalog, Signal::Logs, specs)
}

/// A chain of probes.
pub(crate) fn chain(specs: Vec<StageSpec>) -> Chain {
    try_chain(specs).unwrap_or_else(|errors| panic!("{errors:?}"))
}

/// A chain of one probe with this policy.
pub(crate) fn one(config: Value, on_error: OnError) -> Chain {
    chain(vec![StageSpec { on_error: Some(on_error), ..spec(config) }])
}

/// The configuration of an act.
pub(crate) fn act(act: &str) -> Value {
    json!({ "act": act })
}

/// A batch of log records of one resource per list; the attribute `k` of each record has a text.
pub(crate) fn batch(resources: &[&[&str]]) -> Batch {
    let mut logs = LogsWriter::new();
    for texts in resources {
        logs.resource_logs(|resource| {
            resource.resource(|resource| resource.attribute("k", |value| value.text("of the resource")));
            resource.scope_logs(|scope| {
                for text in *texts {
                    scope.log_record(|record| {
                        record.body(|value| value.text(text));
                        record.attribute("k", |value| value.text(text));
                    });
                }
            });
        });
    }
    batch_of(logs.finish(), resources.iter().map(|texts| texts.len() as u64).sum())
}

/// A batch of these bytes.
pub(crate) fn batch_of(bytes: Vec<u8>, items: u64) -> Batch {
    let permit = Budget::new(usize::MAX).try_take(bytes.len()).expect("fits");
    let context = Context {
        received: SystemTime::UNIX_EPOCH + Duration::from_secs(1_000),
        headers: vec![("x-probe".to_owned(), "from the header".to_owned())],
    };
    Batch {
        signal: Signal::Logs,
        bytes: bytes.into(),
        items,
        tenant: TenantId::default(),
        context: Arc::new(context),
        permit: Arc::new(permit),
    }
}

/// The attribute `k` of each record of a batch, as text.
pub(crate) fn texts(batch: &Batch) -> Vec<String> {
    let logs = LogsView::new(&batch.bytes);
    let records = logs.resource_logs().flat_map(|resource| resource.scope_logs()).flat_map(|scope| scope.log_records());
    records
        .map(|record| match record.attributes().find(|attribute| attribute.key() == "k").map(|found| found.value()) {
            Some(View::Text(text)) => text.to_owned(),
            Some(View::Integer(number)) => number.to_string(),
            Some(other) => format!("{other:?}"),
            None => "-".to_owned(),
        })
        .collect()
}

/// The only batch that came out.
pub(crate) fn only(outcome: ChainOutcome) -> Batch {
    let mut batches = outcome.result.expect("accepted");
    assert_eq!(batches.len(), 1, "one batch");
    batches.remove(0)
}
