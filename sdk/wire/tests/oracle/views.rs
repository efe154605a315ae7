//! Views show what prost decodes.

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1 as common;
use opentelemetry_proto::tonic::logs::v1 as logs;
use opentelemetry_proto::tonic::metrics::v1 as metrics;
use opentelemetry_proto::tonic::resource::v1 as resource;
use opentelemetry_proto::tonic::trace::v1 as trace;
use proptest::prelude::*;
use sluice_wire::Signal;
use sluice_wire::view::{self, LogsView, MetricsView, Number, TracesView, Value};

use crate::dice::{cases, seeds};
use crate::generate::request;
use crate::tree::{SIGNALS, Tree};

proptest! {
    #![proptest_config(cases(200))]

    #[test]
    fn show_what_prost_decodes((seed, size) in seeds(), odd: bool) {
        for signal in SIGNALS {
            let bytes = request(signal, seed, size, odd);
            let tree = Tree::decode(signal, &bytes).unwrap().normal().without_zero_ids();
            prop_assert_eq!(read(signal, &bytes), tree);
        }
    }

    #[test]
    fn never_panic((seed, size) in seeds(), odd: bool, damage: u64) {
        for signal in SIGNALS {
            let mut bytes = request(signal, seed, size, odd);
            crate::validate::spoil(&mut bytes, damage);
            for signal in SIGNALS {
                let _ = read(signal, &bytes);
            }
        }
    }
}

/// Makes a tree of what the views show.
pub(crate) fn read(signal: Signal, bytes: &[u8]) -> Tree {
    match signal {
        Signal::Traces => Tree::Traces(ExportTraceServiceRequest {
            resource_spans: TracesView::new(bytes).resource_spans().map(resource_spans).collect(),
        }),
        Signal::Logs => Tree::Logs(ExportLogsServiceRequest {
            resource_logs: LogsView::new(bytes).resource_logs().map(resource_logs).collect(),
        }),
        Signal::Metrics => Tree::Metrics(ExportMetricsServiceRequest {
            resource_metrics: MetricsView::new(bytes).resource_metrics().map(resource_metrics).collect(),
        }),
    }
}

fn value(value: Value<'_>) -> common::AnyValue {
    use common::any_value::Value as V;
    let value = match value {
        Value::Empty => None,
        Value::Text(text) => Some(V::StringValue(text.into())),
        Value::Boolean(truth) => Some(V::BoolValue(truth)),
        Value::Integer(number) => Some(V::IntValue(number)),
        Value::Double(number) => Some(V::DoubleValue(number)),
        Value::Bytes(bytes) => Some(V::BytesValue(bytes.into())),
        Value::Array(array) => {
            Some(V::ArrayValue(common::ArrayValue { values: array.iter().map(self::value).collect() }))
        }
        Value::Map(map) => Some(V::KvlistValue(common::KeyValueList { values: pairs(map.iter()) })),
    };
    common::AnyValue { value }
}

fn pairs<'a>(pairs: impl Iterator<Item = view::KeyValue<'a>>) -> Vec<common::KeyValue> {
    let pair = |pair: view::KeyValue<'_>| common::KeyValue {
        key: pair.key().into(),
        value: Some(value(pair.value())),
        key_strindex: 0,
    };
    pairs.map(pair).collect()
}

fn resource(resource: view::Resource<'_>) -> Option<resource::Resource> {
    let entity = |entity: view::EntityRef<'_>| common::EntityRef {
        schema_url: entity.schema_url().into(),
        r#type: entity.r#type().into(),
        id_keys: entity.id_keys().map(Into::into).collect(),
        description_keys: entity.description_keys().map(Into::into).collect(),
    };
    resource.is_present().then(|| resource::Resource {
        attributes: pairs(resource.attributes()),
        dropped_attributes_count: resource.dropped_attributes_count(),
        entity_refs: resource.entity_refs().map(entity).collect(),
    })
}

fn scope(scope: view::Scope<'_>) -> Option<common::InstrumentationScope> {
    scope.is_present().then(|| common::InstrumentationScope {
        name: scope.name().into(),
        version: scope.version().into(),
        attributes: pairs(scope.attributes()),
        dropped_attributes_count: scope.dropped_attributes_count(),
    })
}

fn resource_spans(view: view::ResourceSpans<'_>) -> trace::ResourceSpans {
    let scope_spans = |view: view::ScopeSpans<'_>| trace::ScopeSpans {
        scope: scope(view.scope()),
        spans: view.spans().map(span).collect(),
        schema_url: view.schema_url().into(),
    };
    trace::ResourceSpans {
        resource: resource(view.resource()),
        scope_spans: view.scope_spans().map(scope_spans).collect(),
        schema_url: view.schema_url().into(),
    }
}

fn span(span: view::Span<'_>) -> trace::Span {
    let event = |event: view::Event<'_>| trace::span::Event {
        time_unix_nano: event.time_unix_nano(),
        name: event.name().into(),
        attributes: pairs(event.attributes()),
        dropped_attributes_count: event.dropped_attributes_count(),
    };
    let link = |link: view::Link<'_>| trace::span::Link {
        trace_id: link.trace_id().into(),
        span_id: link.span_id().into(),
        trace_state: link.trace_state().into(),
        attributes: pairs(link.attributes()),
        dropped_attributes_count: link.dropped_attributes_count(),
        flags: link.flags(),
    };
    let status = span.status();
    trace::Span {
        trace_id: span.trace_id().into(),
        span_id: span.span_id().into(),
        trace_state: span.trace_state().into(),
        parent_span_id: span.parent_span_id().into(),
        flags: span.flags(),
        name: span.name().into(),
        kind: span.kind(),
        start_time_unix_nano: span.start_time_unix_nano(),
        end_time_unix_nano: span.end_time_unix_nano(),
        attributes: pairs(span.attributes()),
        dropped_attributes_count: span.dropped_attributes_count(),
        events: span.events().map(event).collect(),
        dropped_events_count: span.dropped_events_count(),
        links: span.links().map(link).collect(),
        dropped_links_count: span.dropped_links_count(),
        status: status.is_present().then(|| trace::Status { message: status.message().into(), code: status.code() }),
    }
}

fn resource_logs(view: view::ResourceLogs<'_>) -> logs::ResourceLogs {
    let record = |record: view::LogRecord<'_>| logs::LogRecord {
        time_unix_nano: record.time_unix_nano(),
        observed_time_unix_nano: record.observed_time_unix_nano(),
        severity_number: record.severity_number(),
        severity_text: record.severity_text().into(),
        body: record.body().map(value),
        attributes: pairs(record.attributes()),
        dropped_attributes_count: record.dropped_attributes_count(),
        flags: record.flags(),
        trace_id: record.trace_id().into(),
        span_id: record.span_id().into(),
        event_name: record.event_name().into(),
    };
    let scope_logs = |view: view::ScopeLogs<'_>| logs::ScopeLogs {
        scope: scope(view.scope()),
        log_records: view.log_records().map(record).collect(),
        schema_url: view.schema_url().into(),
    };
    logs::ResourceLogs {
        resource: resource(view.resource()),
        scope_logs: view.scope_logs().map(scope_logs).collect(),
        schema_url: view.schema_url().into(),
    }
}

fn resource_metrics(view: view::ResourceMetrics<'_>) -> metrics::ResourceMetrics {
    let scope_metrics = |view: view::ScopeMetrics<'_>| metrics::ScopeMetrics {
        scope: scope(view.scope()),
        metrics: view.metrics().map(metric).collect(),
        schema_url: view.schema_url().into(),
    };
    metrics::ResourceMetrics {
        resource: resource(view.resource()),
        scope_metrics: view.scope_metrics().map(scope_metrics).collect(),
        schema_url: view.schema_url().into(),
    }
}

fn metric(metric: view::Metric<'_>) -> metrics::Metric {
    use metrics::metric::Data as D;
    let data = match metric.data() {
        view::Data::None => None,
        view::Data::Gauge { points } => Some(D::Gauge(metrics::Gauge { data_points: points.map(number).collect() })),
        view::Data::Sum { points, temporality, monotonic } => Some(D::Sum(metrics::Sum {
            data_points: points.map(number).collect(),
            aggregation_temporality: temporality,
            is_monotonic: monotonic,
        })),
        view::Data::Histogram { points, temporality } => Some(D::Histogram(metrics::Histogram {
            data_points: points.map(histogram).collect(),
            aggregation_temporality: temporality,
        })),
        view::Data::ExponentialHistogram { points, temporality } => {
            Some(D::ExponentialHistogram(metrics::ExponentialHistogram {
                data_points: points.map(exponential).collect(),
                aggregation_temporality: temporality,
            }))
        }
        view::Data::Summary { points } => {
            Some(D::Summary(metrics::Summary { data_points: points.map(summary).collect() }))
        }
    };
    metrics::Metric {
        name: metric.name().into(),
        description: metric.description().into(),
        unit: metric.unit().into(),
        metadata: pairs(metric.metadata()),
        data,
    }
}

fn exemplar(exemplar: view::Exemplar<'_>) -> metrics::Exemplar {
    use metrics::exemplar::Value as V;
    metrics::Exemplar {
        filtered_attributes: pairs(exemplar.filtered_attributes()),
        time_unix_nano: exemplar.time_unix_nano(),
        span_id: exemplar.span_id().into(),
        trace_id: exemplar.trace_id().into(),
        value: match exemplar.value() {
            Number::None => None,
            Number::Integer(number) => Some(V::AsInt(number)),
            Number::Double(number) => Some(V::AsDouble(number)),
        },
    }
}

fn number(point: view::NumberDataPoint<'_>) -> metrics::NumberDataPoint {
    use metrics::number_data_point::Value as V;
    metrics::NumberDataPoint {
        attributes: pairs(point.attributes()),
        start_time_unix_nano: point.start_time_unix_nano(),
        time_unix_nano: point.time_unix_nano(),
        exemplars: point.exemplars().map(exemplar).collect(),
        flags: point.flags(),
        value: match point.value() {
            Number::None => None,
            Number::Integer(number) => Some(V::AsInt(number)),
            Number::Double(number) => Some(V::AsDouble(number)),
        },
    }
}

fn histogram(point: view::HistogramDataPoint<'_>) -> metrics::HistogramDataPoint {
    metrics::HistogramDataPoint {
        attributes: pairs(point.attributes()),
        start_time_unix_nano: point.start_time_unix_nano(),
        time_unix_nano: point.time_unix_nano(),
        count: point.count(),
        sum: point.sum(),
        bucket_counts: point.bucket_counts().collect(),
        explicit_bounds: point.explicit_bounds().collect(),
        exemplars: point.exemplars().map(exemplar).collect(),
        flags: point.flags(),
        min: point.min(),
        max: point.max(),
    }
}

fn exponential(point: view::ExponentialHistogramDataPoint<'_>) -> metrics::ExponentialHistogramDataPoint {
    let buckets = |buckets: view::Buckets<'_>| {
        buckets.is_present().then(|| metrics::exponential_histogram_data_point::Buckets {
            offset: buckets.offset(),
            bucket_counts: buckets.bucket_counts().collect(),
        })
    };
    metrics::ExponentialHistogramDataPoint {
        attributes: pairs(point.attributes()),
        start_time_unix_nano: point.start_time_unix_nano(),
        time_unix_nano: point.time_unix_nano(),
        count: point.count(),
        sum: point.sum(),
        scale: point.scale(),
        zero_count: point.zero_count(),
        positive: buckets(point.positive()),
        negative: buckets(point.negative()),
        flags: point.flags(),
        exemplars: point.exemplars().map(exemplar).collect(),
        min: point.min(),
        max: point.max(),
        zero_threshold: point.zero_threshold(),
    }
}

fn summary(point: view::SummaryDataPoint<'_>) -> metrics::SummaryDataPoint {
    let quantile = |quantile: view::ValueAtQuantile| metrics::summary_data_point::ValueAtQuantile {
        quantile: quantile.quantile(),
        value: quantile.value(),
    };
    metrics::SummaryDataPoint {
        attributes: pairs(point.attributes()),
        start_time_unix_nano: point.start_time_unix_nano(),
        time_unix_nano: point.time_unix_nano(),
        count: point.count(),
        sum: point.sum(),
        quantile_values: point.quantile_values().map(quantile).collect(),
        flags: point.flags(),
    }
}
