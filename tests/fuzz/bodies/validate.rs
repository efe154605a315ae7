//! Whatever `validate` accepts, prost decodes; whatever it refuses, prost refuses, but for groups, deep nesting, the length of
//! ids and the field that OTLP removed.

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use prost::Message;
use sluice_wire::{Reason, Signal, validate};

use super::input::Input;

/// One input.
pub(crate) fn check(data: &[u8]) {
    let Some(input) = Input::new(data, 0) else {
        return;
    };
    let decoded = match input.signal {
        Signal::Traces => ExportTraceServiceRequest::decode(input.request).map(drop),
        Signal::Metrics => ExportMetricsServiceRequest::decode(input.request).map(drop),
        Signal::Logs => ExportLogsServiceRequest::decode(input.request).map(drop),
    };
    match (validate(input.signal, input.request), decoded) {
        (Ok(_), Err(error)) => assert!(error.to_string().contains("recursion"), "prost refuses: {error}"),
        (Err(error), Ok(())) => {
            let is_stricter =
                matches!(error.reason, Reason::Group | Reason::TooDeep | Reason::IdLength { .. } | Reason::Removed);
            assert!(is_stricter, "prost accepts: {error}")
        }
        _ => {}
    }
}
