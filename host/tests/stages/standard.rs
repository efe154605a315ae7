//! The standard stages as components, one after the other.

use serde_json::{Value, json};
use sluice::model::{Batch, Signal};
use sluice::stage::{Catalog, Chain, StageLimits, StageSpec};
use sluice_wire::sample::request;
use sluice_wire::{LogsWriter, concat};

use super::kit::{batch_of, engine, only, spec};

/// Drops one in five, then masks.
fn filtered_and_redacted(batch: Batch, redaction: &Value) -> Batch {
    let signal = batch.signal;
    let condition = json!(["attributes[\"http.route\"] == \"/health\""]);
    let filter = match signal {
        Signal::Traces => json!({ "traces": { "span": condition } }),
        Signal::Metrics => json!({ "metrics": { "datapoint": condition } }),
        Signal::Logs => json!({ "logs": { "log_record": condition } }),
    };
    let stage = |plugin: &str, config: Value| StageSpec {
        id: plugin.to_owned(),
        plugin: plugin.to_owned(),
        limits: StageLimits { timeout_ms: 10_000, ..StageLimits::default() },
        ..spec(config)
    };
    let stages = vec![stage("filter", filter), stage("redaction", redaction.clone())];
    let chain = Chain::new(&Catalog::new(engine(), None), signal, stages).expect("valid stages");
    only(chain.run(batch))
}

/// The sample logs, and one more record with a card number in a structured body.
fn logs_with_a_map() -> Vec<u8> {
    let mut writer = LogsWriter::with_capacity(0);
    writer.resource_logs(|resource| {
        resource.scope_logs(|scope| {
            scope.log_record(|record| {
                record.body(|value| {
                    value.map(|map| {
                        map.member("card", |value| value.integer(4_111_111_111_111_111));
                        map.member("user", |value| value.text("a@example.com"));
                    });
                });
                // Lists in attributes are not looked at.
                record.attribute("list", |value| value.array(|list| list.element(|value| value.text("b@example.org"))));
            });
        });
    });
    concat(&[&request(Signal::Logs, 100), &writer.finish()])
}

#[test]
fn redaction_masks_the_same_with_and_without_the_lists_of_the_table() {
    let values = json!(["4[0-9]{12}(?:[0-9]{3})?", "[A-Za-z0-9._%+-]+@[A-Za-z0-9.-]+\\.[A-Za-z]{2,}"]);
    let searching = json!({ "allow_all_keys": true, "blocked_values": values });
    // A rule for keys makes it ask for the lists, though no key is meant.
    let mut listing = searching.clone();
    listing["blocked_key_patterns"] = json!(["no such key"]);
    for signal in Signal::ALL {
        let batch = Batch { signal, ..batch_of(request(signal, 100), 100) };
        let found = filtered_and_redacted(batch.clone(), &searching);
        assert_eq!(found.items, 80, "{signal:?}");
        assert!(found.bytes == filtered_and_redacted(batch, &listing).bytes, "{signal:?}");
        let text = String::from_utf8_lossy(&found.bytes);
        assert_eq!((text.matches("card=****").count(), text.matches("@example.com").count()), (80, 0), "{signal:?}");
        assert_eq!(text.matches("****").count(), 90, "{signal:?}");
    }
}

#[test]
fn a_structured_body_is_redacted_among_texts() {
    let values = json!(["4[0-9]{12}(?:[0-9]{3})?", "[A-Za-z0-9._%+-]+@[A-Za-z0-9.-]+\\.[A-Za-z]{2,}"]);
    let batch = Batch { signal: Signal::Logs, ..batch_of(logs_with_a_map(), 101) };
    let found = filtered_and_redacted(batch, &json!({ "allow_all_keys": true, "blocked_values": values }));
    let text = String::from_utf8_lossy(&found.bytes);
    assert_eq!((text.matches("card=****").count(), text.matches("@example.com").count()), (80, 0));
    assert_eq!((text.matches("****").count(), text.matches("b@example.org").count()), (92, 1));
}
