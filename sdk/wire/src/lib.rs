//! The OTLP wire format.

/// The kind of telemetry in a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Signal {
    /// `ExportTraceServiceRequest`; its items are spans.
    Traces,
    /// `ExportMetricsServiceRequest`; its items are data points.
    Metrics,
    /// `ExportLogsServiceRequest`; its items are log records.
    Logs,
}
