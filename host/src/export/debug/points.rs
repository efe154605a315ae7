//! Metrics and their data points for verbosity `detailed`.

use sluice_wire::view::{
    Buckets, Data, Each, Exemplar, ExponentialHistogramDataPoint, HistogramDataPoint, KeyValue, Metric, Number,
    NumberDataPoint, SummaryDataPoint,
};

use super::detailed::{attributes, item, list};
use super::text::{Lines, fixed, time};

pub(super) fn metric(lines: &mut Lines, metric: Metric<'_>) {
    lines.line(format_args!("Descriptor:"));
    item(lines, "Name", metric.name());
    item(lines, "Description", metric.description());
    item(lines, "Unit", metric.unit());
    let data = metric.data();
    item(lines, "DataType", data_type(&data));
    attributes(lines, "     -> ", "Metadata", metric.metadata());
    match data {
        Data::None => {}
        Data::Gauge { points } => each(lines, "NumberDataPoints", points, number_point),
        Data::Sum { points, temporality, monotonic } => {
            item(lines, "IsMonotonic", if monotonic { "true" } else { "false" });
            item(lines, "AggregationTemporality", temporality_name(temporality));
            each(lines, "NumberDataPoints", points, number_point);
        }
        Data::Histogram { points, temporality } => {
            item(lines, "AggregationTemporality", temporality_name(temporality));
            each(lines, "HistogramDataPoints", points, histogram_point);
        }
        Data::ExponentialHistogram { points, temporality } => {
            item(lines, "AggregationTemporality", temporality_name(temporality));
            each(lines, "ExponentialHistogramDataPoints", points, exponential_point);
        }
        Data::Summary { points } => each(lines, "SummaryDataPoints", points, summary_point),
    }
}

fn each<T>(lines: &mut Lines, name: &str, points: impl Iterator<Item = T>, write: impl Fn(&mut Lines, T)) {
    for (i, point) in points.enumerate() {
        lines.line(format_args!("{name} #{i}"));
        write(lines, point);
    }
}

fn head<'a>(lines: &mut Lines, labels: Each<'a, KeyValue<'a>>, start: u64, end: u64) {
    attributes(lines, "", "Data point attributes", labels);
    lines.line(format_args!("StartTimestamp: {}", time(start)));
    lines.line(format_args!("Timestamp: {}", time(end)));
}

fn number_point(lines: &mut Lines, point: NumberDataPoint<'_>) {
    head(lines, point.attributes(), point.start_time_unix_nano(), point.time_unix_nano());
    match point.value() {
        Number::None => {}
        Number::Integer(integer) => lines.line(format_args!("Value: {integer}")),
        Number::Double(double) => lines.line(format_args!("Value: {}", fixed(double))),
    }
    exemplars(lines, point.exemplars());
}

fn histogram_point(lines: &mut Lines, point: HistogramDataPoint<'_>) {
    head(lines, point.attributes(), point.start_time_unix_nano(), point.time_unix_nano());
    lines.line(format_args!("Count: {}", point.count()));
    statistics(lines, point.sum(), point.min(), point.max());
    for (i, bound) in point.explicit_bounds().enumerate() {
        lines.line(format_args!("ExplicitBounds #{i}: {}", fixed(bound)));
    }
    for (i, count) in point.bucket_counts().enumerate() {
        lines.line(format_args!("Buckets #{i}, Count: {count}"));
    }
    exemplars(lines, point.exemplars());
}

fn exponential_point(lines: &mut Lines, point: ExponentialHistogramDataPoint<'_>) {
    head(lines, point.attributes(), point.start_time_unix_nano(), point.time_unix_nano());
    lines.line(format_args!("Count: {}", point.count()));
    statistics(lines, point.sum(), point.min(), point.max());
    let mut negative = buckets(point.scale(), point.negative());
    negative.reverse();
    for (lower, upper, count) in negative {
        lines.line(format_args!("Bucket [{}, {}), Count: {count}", fixed(-upper), fixed(-lower)));
    }
    if point.zero_count() != 0 {
        lines.line(format_args!("Bucket [0, 0], Count: {}", point.zero_count()));
    }
    for (lower, upper, count) in buckets(point.scale(), point.positive()) {
        lines.line(format_args!("Bucket ({}, {}], Count: {count}", fixed(lower), fixed(upper)));
    }
    exemplars(lines, point.exemplars());
}

/// Bounds and counts of the buckets.
fn buckets(scale: i32, buckets: Buckets<'_>) -> Vec<(f64, f64, u64)> {
    let factor = std::f64::consts::LN_2 * 2_f64.powi(scale.saturating_neg());
    let bound = |index: i64| (index as f64 * factor).exp();
    let indices = i64::from(buckets.offset())..;
    indices.zip(buckets.bucket_counts()).map(|(index, count)| (bound(index), bound(index + 1), count)).collect()
}

fn summary_point(lines: &mut Lines, point: SummaryDataPoint<'_>) {
    head(lines, point.attributes(), point.start_time_unix_nano(), point.time_unix_nano());
    lines.line(format_args!("Count: {}", point.count()));
    lines.line(format_args!("Sum: {}", fixed(point.sum())));
    for (i, one) in point.quantile_values().enumerate() {
        let (quantile, value) = (fixed(one.quantile()), fixed(one.value()));
        lines.line(format_args!("QuantileValue #{i}: Quantile {quantile}, Value {value}"));
    }
}

fn statistics(lines: &mut Lines, sum: Option<f64>, min: Option<f64>, max: Option<f64>) {
    for (name, number) in [("Sum", sum), ("Min", min), ("Max", max)] {
        if let Some(number) = number {
            lines.line(format_args!("{name}: {}", fixed(number)));
        }
    }
}

fn exemplars<'a>(lines: &mut Lines, exemplars: Each<'a, Exemplar<'a>>) {
    list(lines, "Exemplars", "Exemplar", exemplars, |lines, exemplar| {
        item(lines, "Trace ID", &hex::encode(exemplar.trace_id()));
        item(lines, "Span ID", &hex::encode(exemplar.span_id()));
        item(lines, "Timestamp", &time(exemplar.time_unix_nano()));
        match exemplar.value() {
            Number::None => {}
            Number::Integer(integer) => item(lines, "Value", &integer.to_string()),
            Number::Double(double) => item(lines, "Value", &fixed(double)),
        }
        attributes(lines, "     -> ", "FilteredAttributes", exemplar.filtered_attributes());
    });
}

fn data_type(data: &Data<'_>) -> &'static str {
    match data {
        Data::None => "Empty",
        Data::Gauge { .. } => "Gauge",
        Data::Sum { .. } => "Sum",
        Data::Histogram { .. } => "Histogram",
        Data::ExponentialHistogram { .. } => "ExponentialHistogram",
        Data::Summary { .. } => "Summary",
    }
}

fn temporality_name(temporality: i32) -> &'static str {
    match temporality {
        0 => "Unspecified",
        1 => "Delta",
        2 => "Cumulative",
        _ => "",
    }
}
