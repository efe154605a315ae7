//! What the writer writes is what prost reads.

use sluice_wire::{LogsWriter, MetricsWriter, Signal, TracesWriter, sample, validate};

use crate::tree::{SIGNALS, Tree};

#[test]
fn sample_data_is_encoded_as_prost_would() {
    for signal in SIGNALS {
        for records in [0, 1, 25, 300] {
            let bytes = sample::request(signal, records);
            assert_eq!(validate(signal, &bytes).unwrap().records as usize, records);
            // prost writes fields in the order of the proto files, spans' flags among others in another one.
            let tree = Tree::decode(signal, &bytes).unwrap();
            assert_eq!(tree.encode().len(), bytes.len());
            assert_eq!(Tree::decode(signal, &tree.encode()).unwrap(), tree);
        }
    }
}

#[test]
fn every_field_stands_where_prost_reads_it() {
    let mut traces = TracesWriter::new();
    traces.resource_spans(|spans| {
        spans.resource(|resource| {
            resource.entity_ref(|entity| {
                entity.schema_url("s");
                entity.r#type("t");
                entity.id_key("i");
                entity.description_key("d");
            });
            resource.dropped_attributes_count(3);
        });
        spans.schema_url("u");
        spans.scope_spans(|scope_spans| {
            scope_spans.scope(|scope| scope.attribute("k", |value| value.bytes(b"b")));
            scope_spans.span(|span| {
                span.trace_state("a=b");
                span.dropped_events_count(1);
                span.dropped_links_count(2);
                span.event(|event| {
                    event.time_unix_nano(9);
                    event.name("e");
                    event.attribute("m", |value| {
                        value.map(|map| map.member("n", |value| value.array(|array| array.element(|e| e.double(0.5)))));
                    });
                });
                span.link(|link| {
                    link.trace_id(&[1; 16]);
                    link.flags(7);
                    link.attribute("t", |value| value.boolean(true));
                });
                span.status(|status| status.message("no"));
            });
        });
    });
    check(Signal::Traces, traces.finish());
    let mut metrics = MetricsWriter::new();
    metrics.resource_metrics(|resource| {
        resource.scope_metrics(|scope| {
            scope.metric(|metric| {
                metric.metadata("k", |value| value.integer(-1));
                metric.exponential_histogram(|data| {
                    data.aggregation_temporality(1);
                    data.data_point(|point| {
                        point.scale(-3);
                        point.zero_count(2);
                        point.zero_threshold(0.25);
                        point.sum(0.0);
                        point.min(0.0);
                        point.max(1.0);
                        point.positive(|buckets| {
                            buckets.offset(-5);
                            buckets.bucket_counts([1, 300, u64::MAX]);
                        });
                        point.exemplar(|exemplar| {
                            exemplar.as_int(0);
                            exemplar.filtered_attribute("f", |_| {});
                        });
                    });
                });
            });
            scope.metric(|metric| {
                metric.histogram(|data| {
                    data.data_point(|point| {
                        point.count(3);
                        point.bucket_counts([1, 2]);
                        point.explicit_bounds([1.5]);
                    });
                });
            });
            scope.metric(|metric| {
                metric.summary(|data| {
                    data.data_point(|point| {
                        point.sum(4.0);
                        point.quantile_value(|quantile| {
                            quantile.quantile(0.99);
                            quantile.value(3.0);
                        });
                    });
                });
            });
            scope.metric(|metric| metric.gauge(|data| data.data_point(|point| point.as_double(0.0))));
        });
    });
    check(Signal::Metrics, metrics.finish());
    let mut logs = LogsWriter::new();
    logs.resource_logs(|resource| {
        resource.scope_logs(|scope| {
            scope.log_record(|record| {
                record.body(|_| {});
                record.event_name("e");
            });
        });
    });
    check(Signal::Logs, logs.finish());
}

/// That the bytes are valid, and that nothing in them is unknown to prost: it would not encode that again.
fn check(signal: Signal, bytes: Vec<u8>) {
    validate(signal, &bytes).unwrap();
    let tree = Tree::decode(signal, &bytes).unwrap();
    assert_eq!(tree.encode().len(), bytes.len(), "{tree:?}");
    assert_eq!(crate::views::read(signal, &bytes), tree.normal());
}
