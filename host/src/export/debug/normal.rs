//! Verbosity `normal`: about one line per item.

use std::fmt::Write;

use sluice_wire::Signal;
use sluice_wire::view::{
    Buckets, Data, Each, ExponentialHistogramDataPoint, HistogramDataPoint, KeyValue, LogsView, Metric, MetricsView,
    Number, NumberDataPoint, Scope, SummaryDataPoint, TracesView,
};

use super::text::{Lines, fixed, general};

/// The lines of a request.
pub(super) fn text(signal: Signal, bytes: &[u8]) -> String {
    let mut lines = Lines::default();
    match signal {
        Signal::Traces => traces(&mut lines, TracesView::new(bytes)),
        Signal::Metrics => metrics(&mut lines, MetricsView::new(bytes)),
        Signal::Logs => logs(&mut lines, LogsView::new(bytes)),
    }
    lines.0
}

fn traces(lines: &mut Lines, view: TracesView<'_>) {
    for (i, resource) in view.resource_spans().enumerate() {
        let attributes = spaced(resource.resource().attributes());
        lines.line(format_args!("ResourceTraces #{i}{}{attributes}", schema(resource.schema_url())));
        for (j, scope) in resource.scope_spans().enumerate() {
            lines.line(format_args!("ScopeTraces #{j}{}", described(scope.scope(), scope.schema_url())));
            for span in scope.spans() {
                let (trace, id) = (hex::encode(span.trace_id()), hex::encode(span.span_id()));
                lines.line(format_args!("{} {trace} {id}{}", span.name(), spaced(span.attributes())));
            }
        }
    }
}

fn logs(lines: &mut Lines, view: LogsView<'_>) {
    for (i, resource) in view.resource_logs().enumerate() {
        let attributes = spaced(resource.resource().attributes());
        lines.line(format_args!("ResourceLog #{i}{}{attributes}", schema(resource.schema_url())));
        for (j, scope) in resource.scope_logs().enumerate() {
            lines.line(format_args!("ScopeLog #{j}{}", described(scope.scope(), scope.schema_url())));
            for record in scope.log_records() {
                let body = record.body().unwrap_or_default().as_string();
                lines.line(format_args!("{body}{}", spaced(record.attributes())));
            }
        }
    }
}

fn metrics(lines: &mut Lines, view: MetricsView<'_>) {
    for (i, resource) in view.resource_metrics().enumerate() {
        let attributes = spaced(resource.resource().attributes());
        lines.line(format_args!("ResourceMetrics #{i}{}{attributes}", schema(resource.schema_url())));
        for (j, scope) in resource.scope_metrics().enumerate() {
            lines.line(format_args!("ScopeMetrics #{j}{}", described(scope.scope(), scope.schema_url())));
            scope.metrics().for_each(|metric| points(lines, metric));
        }
    }
}

fn points(lines: &mut Lines, metric: Metric<'_>) {
    let name = metric.name();
    let mut point = |attributes, value: String| {
        lines.line(format_args!("{name}{{{}}} {value}", pairs(attributes, ",")));
    };
    match metric.data() {
        Data::None => {}
        Data::Gauge { points } | Data::Sum { points, .. } => points.for_each(|p| point(p.attributes(), number(p))),
        Data::Histogram { points, .. } => points.for_each(|p| point(p.attributes(), histogram(p))),
        Data::ExponentialHistogram { points, .. } => points.for_each(|p| point(p.attributes(), exponential(p))),
        Data::Summary { points } => points.for_each(|p| point(p.attributes(), summary(p))),
    }
}

fn number(point: NumberDataPoint<'_>) -> String {
    match point.value() {
        Number::None => String::new(),
        Number::Integer(integer) => integer.to_string(),
        Number::Double(double) => general(double),
    }
}

fn histogram(point: HistogramDataPoint<'_>) -> String {
    let mut value = counted(point.count(), point.sum(), point.min(), point.max());
    let mut bounds = point.explicit_bounds();
    for count in point.bucket_counts() {
        let _ = match bounds.next() {
            Some(bound) => write!(value, " le{}={count}", general(bound)),
            None => write!(value, " {count}"),
        };
    }
    value
}

fn exponential(point: ExponentialHistogramDataPoint<'_>) -> String {
    let mut value = counted(point.count(), point.sum(), point.min(), point.max());
    let base = 2_f64.powf(2_f64.powi(point.scale().saturating_neg()));
    buckets(&mut value, base, point.negative());
    buckets(&mut value, base, point.positive());
    if point.zero_count() > 0 {
        let _ = write!(value, " zero_count{}={}", general(point.zero_threshold()), point.zero_count());
    }
    value
}

fn buckets(value: &mut String, base: f64, buckets: Buckets<'_>) {
    for (index, count) in (i64::from(buckets.offset())..).zip(buckets.bucket_counts()) {
        let _ = write!(value, " le{}={count}", general(base.powf(index as f64)));
    }
}

fn summary(point: SummaryDataPoint<'_>) -> String {
    let mut value = format!("count={} sum={}", point.count(), fixed(point.sum()));
    for quantile in point.quantile_values() {
        let _ = write!(value, " q{}={}", general(quantile.quantile()), general(quantile.value()));
    }
    value
}

fn counted(count: u64, sum: Option<f64>, min: Option<f64>, max: Option<f64>) -> String {
    let mut value = format!("count={count}");
    for (name, number) in [("sum", sum), ("min", min), ("max", max)] {
        if let Some(number) = number {
            let _ = write!(value, " {name}={}", general(number));
        }
    }
    value
}

fn described(scope: Scope<'_>, schema_url: &str) -> String {
    let mut text = String::new();
    if !scope.name().is_empty() {
        let _ = write!(text, " {}", scope.name());
        if !scope.version().is_empty() {
            let _ = write!(text, "@{}", scope.version());
        }
    }
    text + &schema(schema_url) + &spaced(scope.attributes())
}

fn schema(url: &str) -> String {
    if url.is_empty() { String::new() } else { format!(" [{url}]") }
}

/// With a space in front of each.
fn spaced<'a>(attributes: Each<'a, KeyValue<'a>>) -> String {
    let pairs = pairs(attributes, " ");
    if pairs.is_empty() { pairs } else { format!(" {pairs}") }
}

fn pairs<'a>(attributes: Each<'a, KeyValue<'a>>, separator: &str) -> String {
    let pairs: Vec<String> = attributes.map(|pair| format!("{}={}", pair.key(), pair.value().as_string())).collect();
    pairs.join(separator)
}
