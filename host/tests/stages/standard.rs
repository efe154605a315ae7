//! The standard stages as components, one after the other.

use serde_json::{Value, json};
use sluice::model::{Batch, Signal};
use sluice::stage::{Catalog, Chain, StageLimits, StageSpec};
use sluice_wire::sample::request;

use super::kit::{batch_of, engine, only, spec};

/// Drops one in five, then masks.
fn filtered_and_redacted(signal: Signal, redaction: &Value) -> Batch {
    let condition = json!(["attributes[\"http.route\"] == \"/health\""]);
    let filter = match signal {
        Signal::Traces => json!({ "traces": { "span": condition } }),
        _ => json!({ "metrics": { "datapoint": condition } }),
    };
    let stage = |plugin: &str, config: Value| StageSpec {
        id: plugin.to_owned(),
        plugin: plugin.to_owned(),
        limits: StageLimits { timeout_ms: 10_000, ..StageLimits::default() },
        ..spec(config)
    };
    let stages = vec![stage("filter", filter), stage("redaction", redaction.clone())];
    let chain = Chain::new(&Catalog::new(engine(), None), signal, stages).expect("valid stages");
    only(chain.run(Batch { signal, ..batch_of(request(signal, 100), 100) }))
}

#[test]
fn redaction_masks_the_same_with_and_without_the_lists_of_the_table() {
    let values = json!(["4[0-9]{12}(?:[0-9]{3})?", "[A-Za-z0-9._%+-]+@[A-Za-z0-9.-]+\\.[A-Za-z]{2,}"]);
    let searching = json!({ "allow_all_keys": true, "blocked_values": values });
    // A rule for keys makes it ask for the lists, though no key is meant.
    let mut listing = searching.clone();
    listing["blocked_key_patterns"] = json!(["no such key"]);
    for signal in [Signal::Traces, Signal::Metrics] {
        let found = filtered_and_redacted(signal, &searching);
        assert_eq!(found.items, 80, "{signal:?}");
        assert!(found.bytes == filtered_and_redacted(signal, &listing).bytes, "{signal:?}");
        let text = String::from_utf8_lossy(&found.bytes);
        assert_eq!((text.matches("card=****").count(), text.matches("@example.com").count()), (80, 0), "{signal:?}");
        assert_eq!(text.matches("****").count(), 90, "{signal:?}");
    }
}
