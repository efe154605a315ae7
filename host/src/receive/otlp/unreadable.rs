//! What a sender is told of bytes that are no OTLP: what was expected, as what they came, and what to look at.

use sluice_wire::WireError;

use crate::decode::compression::Encoding;
use crate::model::Signal;
use crate::receive::counters::Transport;

/// How a message came, by what its sender says of it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Declared {
    pub(super) transport: Transport,
    pub(super) encoding: Encoding,
    /// Whether what is checked was made of JSON: then its bytes are none that the sender knows.
    pub(super) is_json: bool,
}

impl Declared {
    /// Names the message that was expected, what is wrong, what was declared, and the check to make.
    pub(super) fn explain(self, signal: Signal, bytes: &[u8], error: &WireError) -> String {
        let message = match signal {
            Signal::Traces => "ExportTraceServiceRequest",
            Signal::Metrics => "ExportMetricsServiceRequest",
            Signal::Logs => "ExportLogsServiceRequest",
        };
        if self.is_json {
            let reason = error.reason;
            return format!("can't take the {message} that came as Content-Type application/json: {reason}");
        }
        let (header, came) = match self.transport {
            Transport::Http => ("Content-Encoding", "Content-Type application/x-protobuf"),
            Transport::Grpc => ("grpc-encoding", "a gRPC message"),
        };
        let encoding = match self.encoding.name() {
            None => format!("without {header}"),
            Some(name) => format!("with {header} {name}"),
        };
        let check = self.check(signal, header, bytes);
        format!("can't read the body as {message} in protobuf: {error}; it came as {came} {encoding}; {check}")
    }

    /// What to do about it, by what is often sent by mistake.
    fn check(self, signal: Signal, header: &str, bytes: &[u8]) -> String {
        let compression = match bytes {
            [0x1f, 0x8b, ..] => Some("gzip"),
            [0x28, 0xb5, 0x2f, 0xfd, ..] => Some("zstd"),
            [0x04, 0x22, 0x4d, 0x18, ..] => Some("lz4"),
            _ => None,
        };
        match (compression, self.encoding, self.transport) {
            (Some(name), Encoding::Identity, _) => format!("it looks like {name}: say so in {header}"),
            (Some(name), ..) => format!("what is in it looks like {name}: compress it once"),
            (None, _, Transport::Http) if bytes.starts_with(b"{") => {
                "it looks like JSON: send it as Content-Type application/json".into()
            }
            _ => format!("check that the sender writes {} as binary OTLP protobuf", signal.name()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_what_was_expected_what_came_and_what_to_check() {
        let (http, grpc) = (Transport::Http, Transport::Grpc);
        let cases: [(Transport, Encoding, Signal, &[u8], &str); 5] = [
            (
                http,
                Encoding::Identity,
                Signal::Traces,
                &[0x0a],
                "can't read the body as ExportTraceServiceRequest in protobuf: byte 1: truncated varint; it came as \
                 Content-Type application/x-protobuf without Content-Encoding; check that the sender writes traces as \
                 binary OTLP protobuf",
            ),
            (
                http,
                Encoding::Identity,
                Signal::Logs,
                b"{\"resourceLogs\":[]}",
                "can't read the body as ExportLogsServiceRequest in protobuf: byte 0: group; it came as Content-Type \
                 application/x-protobuf without Content-Encoding; it looks like JSON: send it as Content-Type \
                 application/json",
            ),
            (
                http,
                Encoding::Gzip,
                Signal::Metrics,
                b"\x1f\x8b\x08",
                "can't read the body as ExportMetricsServiceRequest in protobuf: byte 0: unknown wire type 7; it came as \
                 Content-Type application/x-protobuf with Content-Encoding gzip; what is in it looks like gzip: \
                 compress it once",
            ),
            (
                grpc,
                Encoding::Identity,
                Signal::Traces,
                b"\x28\xb5\x2f\xfd",
                "can't read the body as ExportTraceServiceRequest in protobuf: byte 3: truncated varint; it came as a \
                 gRPC message without grpc-encoding; it looks like zstd: say so in grpc-encoding",
            ),
            (
                grpc,
                Encoding::Zstd,
                Signal::Metrics,
                &[0x08, 1],
                "can't read the body as ExportMetricsServiceRequest in protobuf: byte 0: field 1 has the wrong wire type \
                 0; it came as a gRPC message with grpc-encoding zstd; check that the sender writes metrics as \
                 binary OTLP protobuf",
            ),
        ];
        for (transport, encoding, signal, bytes, expected) in cases {
            let error = sluice_wire::validate(signal, bytes).expect_err(expected);
            let declared = Declared { transport, encoding, is_json: false };
            assert_eq!(declared.explain(signal, bytes, &error), expected);
        }
    }
}
