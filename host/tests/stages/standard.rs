//! The standard stages as components, one after the other.

use serde_json::{Value, json};
use sluice::model::{Batch, Signal};
use sluice::stage::{Catalog, Chain, StageLimits, StageSpec};
use sluice_wire::sample::{request, tenant_request};
use sluice_wire::view::{LogsView, MetricsView, Resource, TracesView, Value as View};
use sluice_wire::{LogsWriter, MetricsWriter, TracesWriter, concat};

use super::kit::{batch_of, engine, only, spec};

/// A chain of embedded stages, each with its configuration.
fn chain(signal: Signal, stages: Vec<(&str, Value)>) -> Chain {
    let stage = |(plugin, config): (&str, Value)| StageSpec {
        id: plugin.to_owned(),
        plugin: plugin.to_owned(),
        limits: StageLimits { timeout_ms: 10_000, ..StageLimits::default() },
        ..spec(config)
    };
    let stages = stages.into_iter().map(stage).collect();
    Chain::new(&Catalog::new(engine(), None), signal, stages).expect("valid stages")
}

/// Drops one in five, then masks.
fn filtered_and_redacted(batch: Batch, redaction: &Value) -> Batch {
    let signal = batch.signal;
    let condition = json!(["attributes[\"http.route\"] == \"/health\""]);
    let filter = match signal {
        Signal::Traces => json!({ "traces": { "span": condition } }),
        Signal::Metrics => json!({ "metrics": { "datapoint": condition } }),
        Signal::Logs => json!({ "logs": { "log_record": condition } }),
    };
    only(chain(signal, vec![("filter", filter), ("redaction", redaction.clone())]).run(batch))
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

/// A text with a card number, which tells where it stands.
fn paid(place: &str) -> String {
    format!("{place} paid with 4111111111111111.")
}

/// What remains of such a text.
fn masked(place: &str) -> String {
    format!("{place} paid with ****.")
}

fn spans_with_cards() -> Vec<u8> {
    let mut writer = TracesWriter::new();
    writer.resource_spans(|resource| {
        resource.resource(|resource| resource.attribute("a", |value| value.text(&paid("resource"))));
        resource.scope_spans(|scope| {
            scope.scope(|scope| scope.attribute("a", |value| value.text(&paid("scope"))));
            for route in ["/health", "/pay"] {
                scope.span(|span| {
                    span.attribute("http.route", |value| value.text(route));
                    span.attribute("a", |value| value.text(&paid("record")));
                    span.event(|event| event.attribute("a", |value| value.text(&paid("event"))));
                    span.link(|link| link.attribute("a", |value| value.text(&paid("link"))));
                });
            }
        });
    });
    writer.finish()
}

fn logs_with_cards() -> Vec<u8> {
    let mut writer = LogsWriter::new();
    writer.resource_logs(|resource| {
        resource.resource(|resource| resource.attribute("a", |value| value.text(&paid("resource"))));
        resource.scope_logs(|scope| {
            scope.scope(|scope| scope.attribute("a", |value| value.text(&paid("scope"))));
            for route in ["/health", "/pay"] {
                scope.log_record(|record| {
                    record.body(|value| value.text(&paid("body")));
                    record.attribute("http.route", |value| value.text(route));
                    record.attribute("a", |value| value.text(&paid("record")));
                });
            }
        });
    });
    writer.finish()
}

/// A metric of each kind.
fn points_with_cards() -> Vec<u8> {
    macro_rules! metric {
        ($scope:ident, $kind:ident $(, $exemplar:ident)?) => {
            $scope.metric(|metric| {
                metric.metadata("a", |value| value.text(&paid("metric")));
                metric.$kind(|data| {
                    for route in ["/health", "/pay"] {
                        data.data_point(|point| {
                            point.attribute("http.route", |value| value.text(route));
                            point.attribute("a", |value| value.text(&paid("record")));
                            $(point.$exemplar(|exemplar| {
                                exemplar.filtered_attribute("a", |value| value.text(&paid("exemplar")));
                            });)?
                        });
                    }
                });
            })
        };
    }
    let mut writer = MetricsWriter::new();
    writer.resource_metrics(|resource| {
        resource.resource(|resource| resource.attribute("a", |value| value.text(&paid("resource"))));
        resource.scope_metrics(|scope| {
            scope.scope(|scope| scope.attribute("a", |value| value.text(&paid("scope"))));
            metric!(scope, gauge, exemplar);
            metric!(scope, sum, exemplar);
            metric!(scope, histogram, exemplar);
            metric!(scope, exponential_histogram, exemplar);
            metric!(scope, summary);
        });
    });
    writer.finish()
}

#[test]
fn redaction_masks_in_every_place_with_and_without_the_lists_of_the_table() {
    let searching = json!({ "allow_all_keys": true, "blocked_values": ["4[0-9]{12}(?:[0-9]{3})?"] });
    let mut listing = searching.clone();
    listing["blocked_key_patterns"] = json!(["no such key"]);
    // Half of the records are dropped; the numbers say in how many texts of each place a card number is left to mask.
    type Places = &'static [(&'static str, usize)];
    let cases: [(Signal, Vec<u8>, u64, Places); 3] = [
        (
            Signal::Traces,
            spans_with_cards(),
            2,
            &[("resource", 1), ("scope", 1), ("record", 1), ("event", 1), ("link", 1)],
        ),
        (
            Signal::Metrics,
            points_with_cards(),
            10,
            &[("resource", 1), ("scope", 1), ("metric", 5), ("record", 5), ("exemplar", 4)],
        ),
        (Signal::Logs, logs_with_cards(), 2, &[("resource", 1), ("scope", 1), ("record", 1), ("body", 1)]),
    ];
    for (signal, cards, records, places) in cases {
        // Among others, so that the texts of several resources are one column.
        let bytes = concat(&[&cards, &request(signal, 10), &cards]);
        let batch = Batch { signal, ..batch_of(bytes, 2 * records + 10) };
        let found = filtered_and_redacted(batch.clone(), &searching);
        assert_eq!(found.items, records + 8, "{signal:?}");
        let text = String::from_utf8_lossy(&found.bytes);
        assert!(!text.contains("4111111111111111"), "{signal:?}: {text}");
        for (place, expected) in places {
            assert_eq!(text.matches(&masked(place)).count(), 2 * expected, "{signal:?}: {place}");
        }
        assert!(found.bytes == filtered_and_redacted(batch, &listing).bytes, "{signal:?}");
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

/// The tenants of a request's resources as the label says.
fn labels(signal: Signal, bytes: &[u8]) -> Vec<String> {
    let label = |resource: Resource<'_>| {
        let found = resource.attributes().find(|attribute| attribute.key() == "tenant.id");
        match found.map(|attribute| attribute.value()) {
            Some(View::Text(tenant)) => tenant.to_owned(),
            other => format!("{other:?}"),
        }
    };
    match signal {
        Signal::Traces => TracesView::new(bytes).resource_spans().map(|of| label(of.resource())).collect(),
        Signal::Metrics => MetricsView::new(bytes).resource_metrics().map(|of| label(of.resource())).collect(),
        Signal::Logs => LogsView::new(bytes).resource_logs().map(|of| label(of.resource())).collect(),
    }
}

#[test]
fn tenant_label_labels_resources_and_splits_the_batch() {
    let header = json!({ "from": "header", "key": "x-probe" });
    let resource = json!({ "from": "resource", "key": "tenant" });
    let mapping = json!({ "from the header": "acme", "g-2": "globex" });
    // The batch's header wins where it is asked for, and then there is one tenant for all.
    type Parts = &'static [(&'static str, u64, &'static [&'static str])];
    let cases: [(Value, &[&str], Parts); 2] = [
        (json!([header, resource]), &["x-probe"], &[("acme", 9, &["acme", "acme", "acme"])]),
        (json!([resource]), &[], &[("globex", 6, &["globex", "globex"]), ("initech", 3, &["initech"])]),
    ];
    for (sources, headers, expected) in cases {
        for signal in Signal::ALL {
            let requests = [("g-2", 2), ("initech", 3), ("g-2", 4)];
            let bytes = requests.map(|(tenant, records)| tenant_request(signal, tenant, records)).concat();
            let batch = Batch { signal, ..batch_of(bytes, 9) };
            let stage = ("tenant_label", json!({ "sources": sources, "mapping": mapping }));
            let chain = chain(signal, vec![stage]);
            assert_eq!(chain.headers().iter().collect::<Vec<_>>(), headers);
            let batches = chain.run(batch).result.expect("accepted");
            let found: Vec<_> = batches
                .iter()
                .map(|batch| (batch.tenant.to_string(), batch.items, labels(signal, &batch.bytes)))
                .collect();
            let expected: Vec<_> = expected
                .iter()
                .map(|(tenant, items, labels)| {
                    ((*tenant).to_owned(), *items, labels.iter().map(|label| (*label).to_owned()).collect())
                })
                .collect();
            assert_eq!(found, expected, "{signal:?}");
        }
    }
}
