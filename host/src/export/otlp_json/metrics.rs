//! Metrics and their data points.

use sluice_wire::view::{
    Buckets, Data, Each, Exemplar, ExponentialHistogramDataPoint, HistogramDataPoint, Metric, Number, NumberDataPoint,
    SummaryDataPoint,
};

use super::common::attributes;
use super::writer::Object;

pub(super) fn metric(object: &mut Object<'_>, metric: Metric<'_>) {
    object.text("name", metric.name());
    object.text("description", metric.description());
    object.text("unit", metric.unit());
    data(object, metric.data());
    attributes(object, "metadata", metric.metadata());
}

fn data(object: &mut Object<'_>, data: Data<'_>) {
    match data {
        Data::None => {}
        Data::Gauge { points } => object.object("gauge", |object| object.each("dataPoints", points, number_point)),
        Data::Sum { points, temporality, monotonic } => object.object("sum", |object| {
            object.each("dataPoints", points, number_point);
            object.number("aggregationTemporality", temporality);
            if monotonic {
                object.present_boolean("isMonotonic", true);
            }
        }),
        Data::Histogram { points, temporality } => object.object("histogram", |object| {
            object.each("dataPoints", points, histogram_point);
            object.number("aggregationTemporality", temporality);
        }),
        Data::ExponentialHistogram { points, temporality } => object.object("exponentialHistogram", |object| {
            object.each("dataPoints", points, exponential_point);
            object.number("aggregationTemporality", temporality);
        }),
        Data::Summary { points } => object.object("summary", |object| object.each("dataPoints", points, summary_point)),
    }
}

fn number_point(object: &mut Object<'_>, point: NumberDataPoint<'_>) {
    attributes(object, "attributes", point.attributes());
    object.long("startTimeUnixNano", point.start_time_unix_nano());
    object.long("timeUnixNano", point.time_unix_nano());
    number(object, point.value());
    exemplars(object, point.exemplars());
    object.number("flags", point.flags());
}

fn histogram_point(object: &mut Object<'_>, point: HistogramDataPoint<'_>) {
    attributes(object, "attributes", point.attributes());
    object.long("startTimeUnixNano", point.start_time_unix_nano());
    object.long("timeUnixNano", point.time_unix_nano());
    object.long("count", point.count());
    optional(object, [("sum", point.sum())]);
    object.longs("bucketCounts", point.bucket_counts());
    object.doubles("explicitBounds", point.explicit_bounds());
    exemplars(object, point.exemplars());
    object.number("flags", point.flags());
    optional(object, [("min", point.min()), ("max", point.max())]);
}

fn exponential_point(object: &mut Object<'_>, point: ExponentialHistogramDataPoint<'_>) {
    attributes(object, "attributes", point.attributes());
    object.long("startTimeUnixNano", point.start_time_unix_nano());
    object.long("timeUnixNano", point.time_unix_nano());
    object.long("count", point.count());
    optional(object, [("sum", point.sum())]);
    object.number("scale", point.scale());
    object.long("zeroCount", point.zero_count());
    buckets(object, "positive", point.positive());
    buckets(object, "negative", point.negative());
    object.number("flags", point.flags());
    exemplars(object, point.exemplars());
    optional(object, [("min", point.min()), ("max", point.max())]);
    object.double("zeroThreshold", point.zero_threshold());
}

fn buckets(object: &mut Object<'_>, key: &str, buckets: Buckets<'_>) {
    if buckets.is_present() {
        object.object(key, |object| {
            object.number("offset", buckets.offset());
            object.longs("bucketCounts", buckets.bucket_counts());
        });
    }
}

fn summary_point(object: &mut Object<'_>, point: SummaryDataPoint<'_>) {
    attributes(object, "attributes", point.attributes());
    object.long("startTimeUnixNano", point.start_time_unix_nano());
    object.long("timeUnixNano", point.time_unix_nano());
    object.long("count", point.count());
    object.double("sum", point.sum());
    object.each("quantileValues", point.quantile_values(), |object, quantile| {
        object.double("quantile", quantile.quantile());
        object.double("value", quantile.value());
    });
    object.number("flags", point.flags());
}

fn exemplars<'a>(object: &mut Object<'_>, exemplars: Each<'a, Exemplar<'a>>) {
    object.each("exemplars", exemplars, |object, exemplar| {
        attributes(object, "filteredAttributes", exemplar.filtered_attributes());
        object.long("timeUnixNano", exemplar.time_unix_nano());
        number(object, exemplar.value());
        object.hex("spanId", exemplar.span_id());
        object.hex("traceId", exemplar.trace_id());
    });
}

fn number(object: &mut Object<'_>, number: Number) {
    match number {
        Number::None => {}
        Number::Integer(integer) => object.present_integer("asInt", integer),
        Number::Double(double) => object.present_double("asDouble", double),
    }
}

/// Fields that are there or not, whatever their value.
fn optional<const N: usize>(object: &mut Object<'_>, fields: [(&str, Option<f64>); N]) {
    for (key, value) in fields {
        if let Some(value) = value {
            object.present_double(key, value);
        }
    }
}
