//! What the writer writes is what prost reads.

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{
    AnyValue, ArrayValue, EntityRef, InstrumentationScope, KeyValue, KeyValueList,
};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::metrics::v1::exponential_histogram_data_point::Buckets;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::summary_data_point::ValueAtQuantile;
use opentelemetry_proto::tonic::metrics::v1::{
    Exemplar, ExponentialHistogram, ExponentialHistogramDataPoint, Gauge, Histogram, HistogramDataPoint, Metric,
    NumberDataPoint, ResourceMetrics, ScopeMetrics, Sum, Summary, SummaryDataPoint, exemplar, number_data_point,
};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::span::{Event, Link};
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, Status};
use prost::Message;
use sluice_wire::{
    LogsWriter, MetricWriter, MetricsWriter, ResourceWriter, ScopeWriter, Signal, TracesWriter, sample, validate,
};

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

// What follows writes every field once, each with a value that no other field of its message has, so that two fields
// that were taken for each other show.

fn value(value: Value) -> AnyValue {
    AnyValue { value: Some(value) }
}

fn pair(key: &str, held: Value) -> KeyValue {
    KeyValue { key: key.into(), value: Some(value(held)), key_strindex: 0 }
}

fn text(text: &str) -> Value {
    Value::StringValue(text.into())
}

fn write_resource(resource: &mut ResourceWriter<'_>) {
    resource.attribute("of", |value| value.text("resource"));
    resource.dropped_attributes_count(1);
    resource.entity_ref(|entity| {
        entity.schema_url("https://entity");
        entity.r#type("host");
        entity.id_key("id.a");
        entity.id_key("id.b");
        entity.description_key("name");
    });
}

fn resource() -> Option<Resource> {
    let entity = EntityRef {
        schema_url: "https://entity".into(),
        r#type: "host".into(),
        id_keys: vec!["id.a".into(), "id.b".into()],
        description_keys: vec!["name".into()],
    };
    Some(Resource {
        attributes: vec![pair("of", text("resource"))],
        dropped_attributes_count: 1,
        entity_refs: vec![entity],
    })
}

fn write_scope(scope: &mut ScopeWriter<'_>) {
    scope.name("library");
    scope.version("1.2");
    scope.attribute("of", |value| value.text("scope"));
    scope.dropped_attributes_count(2);
}

fn scope() -> Option<InstrumentationScope> {
    Some(InstrumentationScope {
        name: "library".into(),
        version: "1.2".into(),
        attributes: vec![pair("of", text("scope"))],
        dropped_attributes_count: 2,
    })
}

#[test]
fn every_field_of_a_span_is_read_as_it_was_written() {
    let mut writer = TracesWriter::new();
    writer.resource_spans(|spans| {
        spans.resource(write_resource);
        spans.schema_url("https://resource");
        spans.scope_spans(|spans| {
            spans.scope(write_scope);
            spans.schema_url("https://scope");
            spans.span(|span| {
                span.trace_id(&[1; 16]);
                span.span_id(&[2; 8]);
                span.trace_state("a=b");
                span.parent_span_id(&[3; 8]);
                span.name("GET");
                span.kind(4);
                span.start_time_unix_nano(5);
                span.end_time_unix_nano(u64::MAX - 6);
                span.attribute("of", |value| value.text("span"));
                span.dropped_attributes_count(7);
                span.dropped_events_count(8);
                span.dropped_links_count(9);
                span.flags(u32::MAX - 10);
                span.event(|event| {
                    event.time_unix_nano(11);
                    event.name("retry");
                    event.attribute("of", |value| value.text("event"));
                    event.dropped_attributes_count(12);
                });
                span.link(|link| {
                    link.trace_id(&[13; 16]);
                    link.span_id(&[14; 8]);
                    link.trace_state("c=d");
                    link.attribute("of", |value| value.text("link"));
                    link.dropped_attributes_count(15);
                    link.flags(16);
                });
                span.status(|status| {
                    status.message("too late");
                    status.code(2);
                });
            });
        });
    });
    let event = Event {
        time_unix_nano: 11,
        name: "retry".into(),
        attributes: vec![pair("of", text("event"))],
        dropped_attributes_count: 12,
    };
    let link = Link {
        trace_id: vec![13; 16],
        span_id: vec![14; 8],
        trace_state: "c=d".into(),
        attributes: vec![pair("of", text("link"))],
        dropped_attributes_count: 15,
        flags: 16,
    };
    let span = Span {
        trace_id: vec![1; 16],
        span_id: vec![2; 8],
        trace_state: "a=b".into(),
        parent_span_id: vec![3; 8],
        flags: u32::MAX - 10,
        name: "GET".into(),
        kind: 4,
        start_time_unix_nano: 5,
        end_time_unix_nano: u64::MAX - 6,
        attributes: vec![pair("of", text("span"))],
        dropped_attributes_count: 7,
        events: vec![event],
        dropped_events_count: 8,
        links: vec![link],
        dropped_links_count: 9,
        status: Some(Status { message: "too late".into(), code: 2 }),
    };
    let scope_spans = ScopeSpans { scope: scope(), spans: vec![span], schema_url: "https://scope".into() };
    let resource_spans =
        ResourceSpans { resource: resource(), scope_spans: vec![scope_spans], schema_url: "https://resource".into() };
    let expected = ExportTraceServiceRequest { resource_spans: vec![resource_spans] };
    assert_eq!(ExportTraceServiceRequest::decode(writer.finish().as_slice()).unwrap(), expected);
}

#[test]
fn every_field_of_a_log_record_and_every_value_is_read_as_it_was_written() {
    let mut writer = LogsWriter::new();
    writer.resource_logs(|logs| {
        logs.resource(write_resource);
        logs.schema_url("https://resource");
        logs.scope_logs(|logs| {
            logs.scope(write_scope);
            logs.schema_url("https://scope");
            logs.log_record(|record| {
                record.time_unix_nano(1);
                record.severity_number(2);
                record.severity_text("TRACE2");
                record.dropped_attributes_count(3);
                record.flags(4);
                record.trace_id(&[5; 16]);
                record.span_id(&[6; 8]);
                record.observed_time_unix_nano(7);
                record.event_name("login");
                record.attribute("text", |value| value.text("t"));
                record.attribute("true", |value| value.boolean(true));
                record.attribute("false", |value| value.boolean(false));
                record.attribute("integer", |value| value.integer(i64::MIN));
                record.attribute("double", |value| value.double(-0.5));
                record.attribute("bytes", |value| value.bytes(&[0xff, 0]));
                record.attribute("none", |_| {});
                record.body(|value| {
                    value.map(|map| {
                        map.member("list", |value| {
                            value.array(|array| {
                                array.element(|element| element.integer(0));
                                array.element(|element| element.text(""));
                            });
                        });
                        map.member("nothing", |value| value.map(|_| {}));
                    });
                });
            });
        });
    });
    let list = ArrayValue { values: vec![value(Value::IntValue(0)), value(text(""))] };
    let nothing = Value::KvlistValue(KeyValueList { values: vec![] });
    let members = vec![pair("list", Value::ArrayValue(list)), pair("nothing", nothing)];
    let record = LogRecord {
        time_unix_nano: 1,
        observed_time_unix_nano: 7,
        severity_number: 2,
        severity_text: "TRACE2".into(),
        body: Some(value(Value::KvlistValue(KeyValueList { values: members }))),
        attributes: vec![
            pair("text", text("t")),
            pair("true", Value::BoolValue(true)),
            pair("false", Value::BoolValue(false)),
            pair("integer", Value::IntValue(i64::MIN)),
            pair("double", Value::DoubleValue(-0.5)),
            pair("bytes", Value::BytesValue(vec![0xff, 0])),
            KeyValue { key: "none".into(), value: Some(AnyValue { value: None }), key_strindex: 0 },
        ],
        dropped_attributes_count: 3,
        flags: 4,
        trace_id: vec![5; 16],
        span_id: vec![6; 8],
        event_name: "login".into(),
    };
    let scope_logs = ScopeLogs { scope: scope(), log_records: vec![record], schema_url: "https://scope".into() };
    let resource_logs =
        ResourceLogs { resource: resource(), scope_logs: vec![scope_logs], schema_url: "https://resource".into() };
    let expected = ExportLogsServiceRequest { resource_logs: vec![resource_logs] };
    assert_eq!(ExportLogsServiceRequest::decode(writer.finish().as_slice()).unwrap(), expected);
}

#[test]
fn every_field_of_each_kind_of_metric_is_read_as_it_was_written() {
    let mut writer = MetricsWriter::new();
    writer.resource_metrics(|metrics| {
        metrics.resource(write_resource);
        metrics.schema_url("https://resource");
        metrics.scope_metrics(|metrics| {
            metrics.scope(write_scope);
            metrics.schema_url("https://scope");
            metrics.metric(write_gauge);
            metrics.metric(write_sum);
            metrics.metric(write_histogram);
            metrics.metric(write_exponential_histogram);
            metrics.metric(write_summary);
        });
    });
    let metrics = vec![gauge(), sum(), histogram(), exponential_histogram(), summary()];
    let scope_metrics = ScopeMetrics { scope: scope(), metrics, schema_url: "https://scope".into() };
    let resource_metrics = ResourceMetrics {
        resource: resource(),
        scope_metrics: vec![scope_metrics],
        schema_url: "https://resource".into(),
    };
    let expected = ExportMetricsServiceRequest { resource_metrics: vec![resource_metrics] };
    assert_eq!(ExportMetricsServiceRequest::decode(writer.finish().as_slice()).unwrap(), expected);
}

/// A metric that says nothing of itself.
fn metric(data: Data) -> Metric {
    Metric { name: String::new(), description: String::new(), unit: String::new(), metadata: vec![], data: Some(data) }
}

fn write_gauge(metric: &mut MetricWriter<'_>) {
    metric.name("queue.size");
    metric.description("How long it is");
    metric.unit("{job}");
    metric.metadata("of", |value| value.text("metric"));
    metric.gauge(|data| {
        data.data_point(|point| {
            point.attribute("of", |value| value.text("gauge"));
            point.start_time_unix_nano(1);
            point.time_unix_nano(2);
            point.flags(3);
            point.as_double(4.5);
        });
    });
}

fn gauge() -> Metric {
    let point = NumberDataPoint {
        attributes: vec![pair("of", text("gauge"))],
        start_time_unix_nano: 1,
        time_unix_nano: 2,
        exemplars: vec![],
        flags: 3,
        value: Some(number_data_point::Value::AsDouble(4.5)),
    };
    Metric {
        name: "queue.size".into(),
        description: "How long it is".into(),
        unit: "{job}".into(),
        metadata: vec![pair("of", text("metric"))],
        data: Some(Data::Gauge(Gauge { data_points: vec![point] })),
    }
}

fn write_sum(metric: &mut MetricWriter<'_>) {
    metric.sum(|data| {
        data.aggregation_temporality(2);
        data.is_monotonic(true);
        data.data_point(|point| {
            point.as_int(-1);
            point.exemplar(|exemplar| {
                exemplar.time_unix_nano(2);
                exemplar.as_double(3.5);
                exemplar.span_id(&[4; 8]);
                exemplar.trace_id(&[5; 16]);
                exemplar.filtered_attribute("of", |value| value.text("exemplar"));
            });
            point.exemplar(|exemplar| exemplar.as_int(6));
        });
    });
}

fn sum() -> Metric {
    let doubled = Exemplar {
        filtered_attributes: vec![pair("of", text("exemplar"))],
        time_unix_nano: 2,
        span_id: vec![4; 8],
        trace_id: vec![5; 16],
        value: Some(exemplar::Value::AsDouble(3.5)),
    };
    let whole = Exemplar { value: Some(exemplar::Value::AsInt(6)), ..Exemplar::default() };
    let value = Some(number_data_point::Value::AsInt(-1));
    let point = NumberDataPoint { exemplars: vec![doubled, whole], value, ..NumberDataPoint::default() };
    metric(Data::Sum(Sum { data_points: vec![point], aggregation_temporality: 2, is_monotonic: true }))
}

fn write_histogram(metric: &mut MetricWriter<'_>) {
    metric.histogram(|data| {
        data.aggregation_temporality(1);
        data.data_point(|point| {
            point.attribute("of", |value| value.text("histogram"));
            point.start_time_unix_nano(1);
            point.time_unix_nano(2);
            point.count(3);
            point.sum(4.5);
            point.bucket_counts([1, u64::MAX, 3]);
            point.explicit_bounds([-0.5, 10.0]);
            point.exemplar(|exemplar| exemplar.as_int(5));
            point.flags(6);
            point.min(-7.5);
            point.max(8.5);
        });
    });
}

fn histogram() -> Metric {
    let point = HistogramDataPoint {
        attributes: vec![pair("of", text("histogram"))],
        start_time_unix_nano: 1,
        time_unix_nano: 2,
        count: 3,
        sum: Some(4.5),
        bucket_counts: vec![1, u64::MAX, 3],
        explicit_bounds: vec![-0.5, 10.0],
        exemplars: vec![Exemplar { value: Some(exemplar::Value::AsInt(5)), ..Exemplar::default() }],
        flags: 6,
        min: Some(-7.5),
        max: Some(8.5),
    };
    metric(Data::Histogram(Histogram { data_points: vec![point], aggregation_temporality: 1 }))
}

fn write_exponential_histogram(metric: &mut MetricWriter<'_>) {
    metric.exponential_histogram(|data| {
        data.aggregation_temporality(2);
        data.data_point(|point| {
            point.attribute("of", |value| value.text("exponential"));
            point.start_time_unix_nano(1);
            point.time_unix_nano(2);
            point.count(3);
            point.sum(4.5);
            point.scale(-5);
            point.zero_count(6);
            point.positive(|buckets| {
                buckets.offset(i32::MIN);
                buckets.bucket_counts([1, 300, u64::MAX]);
            });
            point.negative(|buckets| {
                buckets.offset(i32::MAX);
                buckets.bucket_counts([2, 0]);
            });
            point.flags(7);
            point.exemplar(|exemplar| exemplar.as_int(8));
            point.min(-9.5);
            point.max(10.5);
            point.zero_threshold(0.25);
        });
    });
}

fn exponential_histogram() -> Metric {
    let point = ExponentialHistogramDataPoint {
        attributes: vec![pair("of", text("exponential"))],
        start_time_unix_nano: 1,
        time_unix_nano: 2,
        count: 3,
        sum: Some(4.5),
        scale: -5,
        zero_count: 6,
        positive: Some(Buckets { offset: i32::MIN, bucket_counts: vec![1, 300, u64::MAX] }),
        negative: Some(Buckets { offset: i32::MAX, bucket_counts: vec![2, 0] }),
        flags: 7,
        exemplars: vec![Exemplar { value: Some(exemplar::Value::AsInt(8)), ..Exemplar::default() }],
        min: Some(-9.5),
        max: Some(10.5),
        zero_threshold: 0.25,
    };
    let data = ExponentialHistogram { data_points: vec![point], aggregation_temporality: 2 };
    metric(Data::ExponentialHistogram(data))
}

fn write_summary(metric: &mut MetricWriter<'_>) {
    metric.summary(|data| {
        data.data_point(|point| {
            point.attribute("of", |value| value.text("summary"));
            point.start_time_unix_nano(1);
            point.time_unix_nano(2);
            point.count(3);
            point.sum(4.5);
            point.flags(5);
            point.quantile_value(|at| {
                at.quantile(0.99);
                at.value(6.5);
            });
            point.quantile_value(|at| at.value(7.5));
        });
    });
}

fn summary() -> Metric {
    let at = |quantile, value| ValueAtQuantile { quantile, value };
    let point = SummaryDataPoint {
        attributes: vec![pair("of", text("summary"))],
        start_time_unix_nano: 1,
        time_unix_nano: 2,
        count: 3,
        sum: 4.5,
        quantile_values: vec![at(0.99, 6.5), at(0.0, 7.5)],
        flags: 5,
    };
    metric(Data::Summary(Summary { data_points: vec![point] }))
}
