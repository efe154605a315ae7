//! Extraction and views never panic; of valid requests they show as many rows as `validate` counts.

use sluice_wire::view::{Data, LogsView, MetricsView, TracesView};
use sluice_wire::{
    Columns, Encoding, Field, Intrinsic, Level, LiveRows, Projection, Read, Signal, TableOptions, TableRequest,
    validate,
};

use super::input::Input;

/// All reads that a signal allows.
fn reads(signal: Signal) -> Vec<Read> {
    use Encoding::{Boolean, Bytes, Dictionary, F64, Kind, S64, Text, U64};
    let mut reads = Vec::new();
    for level in [Level::Resource, Level::Scope, Level::Metric, Level::Record] {
        for encoding in [Dictionary, Text, S64, U64, F64, Boolean, Bytes, Kind] {
            for &intrinsic in Intrinsic::ALL {
                if intrinsic.available(signal, level).is_some_and(|natural| natural.reads_as(encoding)) {
                    reads.push(Read { field: Field::intrinsic(level, intrinsic), encoding });
                }
            }
            if level != Level::Metric || signal == Signal::Metrics {
                reads.push(Read { field: Field::attribute(level, "a"), encoding });
            }
        }
    }
    reads
}

fn rows(signal: Signal, bytes: &[u8]) -> usize {
    match signal {
        Signal::Traces => {
            let scopes = TracesView::new(bytes).resource_spans().flat_map(|resource| resource.scope_spans());
            scopes.flat_map(|scope| scope.spans()).inspect(|span| drop(format!("{:?}", span.status()))).count()
        }
        Signal::Logs => {
            let scopes = LogsView::new(bytes).resource_logs().flat_map(|resource| resource.scope_logs());
            scopes.flat_map(|scope| scope.log_records()).inspect(|record| drop(format!("{:?}", record.body()))).count()
        }
        Signal::Metrics => {
            let scopes = MetricsView::new(bytes).resource_metrics().flat_map(|resource| resource.scope_metrics());
            let count = |data| match data {
                Data::None => 0,
                Data::Gauge { points } | Data::Sum { points, .. } => points.count(),
                Data::Histogram { points, .. } => points.inspect(|point| _ = point.bucket_counts().count()).count(),
                Data::ExponentialHistogram { points, .. } => {
                    points.inspect(|point| _ = point.positive().offset()).count()
                }
                Data::Summary { points } => points.count(),
            };
            scopes.flat_map(|scope| scope.metrics()).map(|metric| count(metric.data())).sum()
        }
    }
}

/// One input.
pub(crate) fn check(data: &[u8]) {
    let Some(input) = Input::new(data, 0) else {
        return;
    };
    let (signal, bytes) = (input.signal, input.request);
    let reads = reads(signal);
    let Ok(projection) = Projection::new(signal, &reads, Some(TableRequest::ALL)) else {
        panic!("these reads are all allowed");
    };
    let mut columns = Columns::new();
    columns.extract(&projection, bytes);
    let live = LiveRows::all(columns.rows());
    for read in 0..reads.len() {
        columns.gather(bytes, read, &live);
    }
    columns.gather_table(bytes, TableOptions::ALL, &live);
    columns.separated_texts(bytes, (0..columns.entries() as u32).map(|entry| (entry, entry)));
    let shown = rows(signal, bytes);
    if let Ok(summary) = validate(signal, bytes) {
        assert_eq!(columns.rows(), summary.records as usize);
        assert_eq!(columns.resources(), summary.resources as usize);
        assert_eq!(columns.scopes(), summary.scopes as usize);
        assert_eq!(columns.metrics(), summary.metrics as usize);
        assert_eq!(shown, summary.records as usize);
    }
}
