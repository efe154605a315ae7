//! What an answer of OTLP says about items that the destination did not take.

use std::sync::{Mutex, PoisonError};

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceResponse;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceResponse;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceResponse;
use prost::Message;
use prost::encoding::{WireType, decode_key, decode_varint};
use sluice_wire::Signal;

use crate::export::client::shorten;
use crate::export::{DeadLetter, Sent};
use crate::pace::Pace;

/// Judges the answers of one exporter's destination.
#[derive(Debug)]
pub(crate) struct PartialSuccess {
    exporter: String,
    warnings: Mutex<Pace>,
}

impl PartialSuccess {
    /// Of the exporter with this id.
    pub(crate) fn new(exporter: &str) -> Self {
        Self { exporter: exporter.to_owned(), warnings: Mutex::default() }
    }

    /// What became of a request that was taken. Rejected items must not be sent again; a message without any is a
    /// warning. An answer that can't be read says nothing against a success.
    pub(crate) fn judge<R>(&self, signal: Signal, items: u64, answer: &[u8]) -> Sent<R> {
        let (rejected, message) = if answer.is_empty() { (0, String::new()) } else { parse(signal, answer) };
        self.judge_parsed(items, rejected, message)
    }

    /// The same for an answer that was parsed already.
    pub(crate) fn judge_parsed<R>(&self, items: u64, rejected: i64, message: String) -> Sent<R> {
        let rejected = u64::try_from(rejected).unwrap_or_default().min(items);
        let message = shorten(message);
        let mut refused = Vec::new();
        if rejected > 0 {
            let reason = if message.is_empty() { "partial success".to_owned() } else { message };
            refused.push(DeadLetter { items: rejected, reason, document: None });
        } else if !message.is_empty() {
            let due = self.warnings.lock().unwrap_or_else(PoisonError::into_inner).add(1);
            if let Some(times) = due {
                tracing::warn!(exporter = self.exporter, message, times, "the destination took everything, but warns");
            }
        }
        Sent { refused, ..Sent::delivered(items - rejected) }
    }
}

fn parse(signal: Signal, answer: &[u8]) -> (i64, String) {
    let partial = match signal {
        Signal::Traces => ExportTraceServiceResponse::decode(answer).map(|answer| {
            answer.partial_success.map(|partial| (partial.rejected_spans, partial.error_message)).unwrap_or_default()
        }),
        Signal::Metrics => ExportMetricsServiceResponse::decode(answer).map(|answer| {
            let partial = answer.partial_success;
            partial.map(|partial| (partial.rejected_data_points, partial.error_message)).unwrap_or_default()
        }),
        Signal::Logs => ExportLogsServiceResponse::decode(answer).map(|answer| {
            let partial = answer.partial_success;
            partial.map(|partial| (partial.rejected_log_records, partial.error_message)).unwrap_or_default()
        }),
    };
    partial.ok().or_else(|| parse_begin(answer)).unwrap_or_default()
}

/// The same of an answer that is cut off, since its message is long. In all three field 1 is the partial success, and in
/// it the number is field 1, the message field 2; all known servers write them in this order.
fn parse_begin(mut answer: &[u8]) -> Option<(i64, String)> {
    fn enter(answer: &mut &[u8], field: u32) -> Option<()> {
        let (found, kind) = decode_key(answer).ok()?;
        decode_varint(answer).ok()?;
        (found == field && kind == WireType::LengthDelimited).then_some(())
    }
    enter(&mut answer, 1)?;
    let mut rejected = 0;
    if let Some(rest) = answer.strip_prefix(&[1 << 3 | WireType::Varint as u8]) {
        answer = rest;
        rejected = decode_varint(&mut answer).ok()?;
    }
    let message = match enter(&mut answer, 2) {
        Some(()) if !answer.is_empty() => String::from_utf8_lossy(answer).into_owned(),
        _ => "its answer is cut off".to_owned(),
    };
    Some((rejected.cast_signed(), message))
}

#[cfg(test)]
mod tests {
    use opentelemetry_proto::tonic::collector::trace::v1::ExportTracePartialSuccess;

    use super::*;

    fn judge(rejected_spans: i64, error_message: &str) -> Sent<()> {
        let partial_success =
            Some(ExportTracePartialSuccess { rejected_spans, error_message: error_message.to_owned() });
        let answer = ExportTraceServiceResponse { partial_success }.encode_to_vec();
        PartialSuccess::new("otlp").judge(Signal::Traces, 10, &answer)
    }

    #[test]
    fn counts_rejected_items_as_refused_and_never_more_than_there_are() {
        for (rejected, refused) in [(0, 0), (3, 3), (10, 10), (11, 10), (i64::MAX, 10), (-1, 0)] {
            let sent = judge(rejected, "bad ids");
            assert_eq!(sent.delivered, 10 - refused, "{rejected}");
            let expected = DeadLetter { items: refused, reason: "bad ids".into(), document: None };
            assert_eq!(sent.refused, if refused > 0 { vec![expected] } else { vec![] });
            assert!(sent.again.is_none());
        }
    }

    #[test]
    fn reads_the_number_of_an_answer_that_is_cut_off() {
        for rejected_spans in [0, 3] {
            let partial_success =
                Some(ExportTracePartialSuccess { rejected_spans, error_message: "bad ids".repeat(100) });
            let answer = ExportTraceServiceResponse { partial_success }.encode_to_vec();
            for cut in [1, 700] {
                let cut = &answer[..answer.len() - cut];
                let sent: Sent<()> = PartialSuccess::new("otlp").judge(Signal::Traces, 10, cut);
                assert_eq!(sent.delivered, 10 - rejected_spans as u64, "{rejected_spans}");
            }
        }
    }

    #[test]
    fn takes_an_answer_that_can_not_be_read_for_a_success() {
        for answer in [&b""[..], b"\xff\xff", b"<html>"] {
            let sent: Sent<()> = PartialSuccess::new("otlp").judge(Signal::Logs, 10, answer);
            assert_eq!((sent.delivered, sent.refused.len()), (10, 0));
        }
    }
}
