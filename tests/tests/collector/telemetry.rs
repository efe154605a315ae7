//! Random telemetry of all signals, with every kind of value in every place, and often odd in one of them.

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, ArrayValue, InstrumentationScope, KeyValue, KeyValueList};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::metrics::v1::exponential_histogram_data_point::Buckets;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::summary_data_point::ValueAtQuantile;
use opentelemetry_proto::tonic::metrics::v1::{
    ExponentialHistogram, ExponentialHistogramDataPoint, Gauge, Histogram, HistogramDataPoint, Metric, NumberDataPoint,
    ResourceMetrics, ScopeMetrics, Sum, Summary, SummaryDataPoint, number_data_point,
};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::span::{Event, Link};
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, Status};
use prost::Message;
use sluice_wire::Signal;

use crate::random::Random;

const TIME: u64 = 1_769_854_830_123_456_789;
const TEXTS: &[&str] = &[
    "",
    "tick",
    "tock",
    "v",
    "42",
    "-7",
    "true",
    "1.5",
    "Größe <b>",
    "a b\nc",
    "/health",
    "1h30m",
    "4111111111111111",
    "pay 4012888888881881 or 4222222222222 now",
    "alice@example.com",
    "to=bob.b@mail.example.org;cc=eve@x.io",
    "😀",
    "\"quoted\"\\",
    "line\u{2028}break",
    "\u{1}\u{7f}",
];
const INTEGERS: &[i64] = &[0, 1, -1, 3, 7, 42, 4_111_111_111_111_111, i64::MAX, i64::MIN];
const DOUBLES: &[f64] =
    &[0.0, -0.0, 0.5, 1.5, -2.25, 42.0, 1e20, 1e21, 1e-6, 9.99e-7, 1e-100, f64::MAX, 5e-324, 1.0 / 3.0];

/// What this run leaves out, because we differ there on purpose.
#[derive(Clone, Copy)]
pub(crate) struct Leave {
    /// Bytes in attributes: with `redact_all_types` the Collector takes them for base64.
    bytes: bool,
    /// Numbers that JSON doesn't have, in arrays and maps: with `redact_all_types` the Collector looks at nothing beside them.
    nested_not_finite: bool,
    /// Bytes in bodies: the Collector always takes those for base64. We don't look into bytes.
    body_bytes: bool,
    /// Attributes of links: the Collector leaks there.
    link_attributes: bool,
    /// Records without a body: the Collector writes one if a pattern matches the empty text.
    no_body: bool,
}

impl Leave {
    pub(crate) fn of(processor: &str, block: &str) -> Self {
        let redaction = processor == "redaction";
        let bytes = block.contains("redact_all_types: true");
        Self { bytes, nested_not_finite: bytes, body_bytes: redaction, link_attributes: redaction, no_body: redaction }
    }
}

/// A request, encoded. Scopes and metrics are never empty: those stay here and go there.
pub(crate) fn request(random: &mut Random, signal: Signal, leave: Leave) -> Vec<u8> {
    let mut zoo = Zoo { random, leave };
    let resources = 1 + zoo.random.below(3);
    match signal {
        Signal::Traces => {
            let resource_spans = (0..resources).map(|_| zoo.resource_spans()).collect();
            ExportTraceServiceRequest { resource_spans }.encode_to_vec()
        }
        Signal::Metrics => {
            let resource_metrics = (0..resources).map(|_| zoo.resource_metrics()).collect();
            ExportMetricsServiceRequest { resource_metrics }.encode_to_vec()
        }
        Signal::Logs => {
            let resource_logs = (0..resources).map(|_| zoo.resource_logs()).collect();
            ExportLogsServiceRequest { resource_logs }.encode_to_vec()
        }
    }
}

struct Zoo<'a> {
    random: &'a mut Random,
    leave: Leave,
}

impl Zoo<'_> {
    fn resource_spans(&mut self) -> ResourceSpans {
        let scope_spans = (0..=self.random.below(2)).map(|_| ScopeSpans {
            scope: self.scope(),
            spans: (0..=self.random.below(24)).map(|_| self.span()).collect(),
            schema_url: self.schema_url(),
        });
        let scope_spans = scope_spans.collect();
        ResourceSpans { resource: self.resource(), scope_spans, schema_url: self.schema_url() }
    }

    fn resource_logs(&mut self) -> ResourceLogs {
        let scope_logs = (0..=self.random.below(2)).map(|_| ScopeLogs {
            scope: self.scope(),
            log_records: (0..=self.random.below(24)).map(|_| self.log()).collect(),
            schema_url: self.schema_url(),
        });
        let scope_logs = scope_logs.collect();
        ResourceLogs { resource: self.resource(), scope_logs, schema_url: self.schema_url() }
    }

    fn resource_metrics(&mut self) -> ResourceMetrics {
        let scope_metrics = (0..=self.random.below(2)).map(|_| ScopeMetrics {
            scope: self.scope(),
            metrics: (0..=self.random.below(8)).map(|_| self.metric()).collect(),
            schema_url: self.schema_url(),
        });
        let scope_metrics = scope_metrics.collect();
        ResourceMetrics { resource: self.resource(), scope_metrics, schema_url: self.schema_url() }
    }

    fn schema_url(&mut self) -> String {
        self.random.pick(&["", "", "https://opentelemetry.io/schemas/1.21.0"]).into()
    }

    fn resource(&mut self) -> Option<Resource> {
        if self.random.percent(8) {
            return None;
        }
        let mut attributes = Vec::new();
        self.maybe(&mut attributes, 80, "service.name", |zoo| zoo.text_of(&["shop", "bank", "mail"]));
        self.maybe(&mut attributes, 60, "host.name", |zoo| zoo.text_of(&["edge-1", "edge-2", "edge-3"]));
        self.maybe(&mut attributes, 40, "tenant", |zoo| zoo.text_of(&["acme", "umbrella"]));
        self.maybe(&mut attributes, 40, "mixed", |zoo| zoo.attribute_value());
        Some(Resource { attributes, dropped_attributes_count: self.random.pick(&[0, 0, 3]), ..Default::default() })
    }

    fn scope(&mut self) -> Option<InstrumentationScope> {
        if self.random.percent(10) {
            return None;
        }
        let mut attributes = Vec::new();
        self.maybe(&mut attributes, 20, "card", |zoo| zoo.text_of(TEXTS));
        self.maybe(&mut attributes, 20, "mixed", |zoo| zoo.attribute_value());
        let (name, version) = (self.random.pick(&["lib", "lib", "http", ""]), self.random.pick(&["", "1.2"]));
        Some(InstrumentationScope { name: name.into(), version: version.into(), attributes, ..Default::default() })
    }

    fn span(&mut self) -> Span {
        let start_time_unix_nano = TIME + self.random.below(1_000_000) as u64;
        let mut attributes = self.record_attributes();
        self.maybe(&mut attributes, 12, "sampling.priority", Self::priority);
        Span {
            trace_id: self.trace_id(),
            span_id: self.random.bytes(8),
            trace_state: self.trace_state(),
            parent_span_id: if self.random.percent(50) { Vec::new() } else { self.random.bytes(8) },
            flags: self.random.pick(&[0, 1, 0x101, 0x300]),
            name: self.random.pick(&["GET /api", "POST /api", "GET /health", "tick", "charge"]).into(),
            kind: self.random.below(6) as i32,
            start_time_unix_nano,
            end_time_unix_nano: start_time_unix_nano
                + self.random.pick(&[0, 999_999, 1_000_000, 1_000_001, 90_000_000]),
            attributes,
            dropped_attributes_count: self.random.pick(&[0, 0, 2]),
            events: (0..self.random.below(3)).map(|_| self.event()).collect(),
            links: (0..self.random.below(3)).map(|_| self.link()).collect(),
            status: self.status(),
            ..Default::default()
        }
    }

    fn status(&mut self) -> Option<Status> {
        let status = Status { message: self.random.pick(&["", "timeout"]).into(), code: self.random.below(3) as i32 };
        self.random.percent(70).then_some(status)
    }

    fn event(&mut self) -> Event {
        let name = self.random.pick(&["exception", "", "tick"]).into();
        Event { time_unix_nano: TIME, name, attributes: self.record_attributes(), ..Default::default() }
    }

    fn link(&mut self) -> Link {
        let attributes = if self.leave.link_attributes { Vec::new() } else { self.record_attributes() };
        Link { trace_id: self.random.bytes(16), span_id: self.random.bytes(8), attributes, ..Default::default() }
    }

    fn log(&mut self) -> LogRecord {
        let mut attributes = self.record_attributes();
        self.maybe(&mut attributes, 50, "log.record.uid", |zoo| zoo.attribute_value());
        self.maybe(&mut attributes, 40, "priority", Self::priority);
        self.maybe(&mut attributes, 15, "sampling.threshold", |zoo| text(&zoo.threshold()));
        self.maybe(&mut attributes, 15, "sampling.randomness", |zoo| text(&zoo.randomness()));
        LogRecord {
            time_unix_nano: TIME,
            observed_time_unix_nano: self.random.pick(&[0, TIME]),
            severity_number: self.random.pick(&[0, 1, 5, 9, 10, 13, 17, 24]),
            severity_text: self.random.pick(&["", "INFO", "WARN", "ERROR", "info"]).into(),
            body: self.body(),
            attributes,
            flags: self.random.pick(&[0, 1]),
            trace_id: self.trace_id(),
            span_id: if self.random.percent(40) { Vec::new() } else { self.random.bytes(8) },
            event_name: self.random.pick(&["", "login"]).into(),
            ..Default::default()
        }
    }

    fn body(&mut self) -> Option<AnyValue> {
        if !self.leave.no_body && self.random.percent(8) {
            return self.random.percent(50).then(AnyValue::default);
        }
        let within_bodies = self.leave.bytes || self.leave.body_bytes;
        let bytes = std::mem::replace(&mut self.leave.bytes, within_bodies);
        let value = match self.random.below(5) {
            0 => text(&format!("order {}", self.random.below(12))),
            1 => self.text_of(TEXTS),
            2 => self.value(0),
            _ => {
                let mut members = self.record_attributes();
                self.maybe(&mut members, 40, "level", |zoo| zoo.text_of(&["debug", "info"]));
                Value::KvlistValue(KeyValueList { values: members })
            }
        };
        self.leave.bytes = bytes;
        Some(AnyValue { value: Some(value) })
    }

    fn metric(&mut self) -> Metric {
        let temporality = self.random.below(3) as i32;
        let points = 1 + self.random.below(4);
        let data = match self.random.below(6) {
            0 | 1 => Data::Gauge(Gauge { data_points: (0..points).map(|_| self.number()).collect() }),
            2 => Data::Sum(Sum {
                data_points: (0..points).map(|_| self.number()).collect(),
                aggregation_temporality: temporality,
                is_monotonic: self.random.percent(50),
            }),
            3 => Data::Histogram(Histogram {
                data_points: (0..points).map(|_| self.histogram()).collect(),
                aggregation_temporality: temporality,
            }),
            4 => Data::ExponentialHistogram(ExponentialHistogram {
                data_points: (0..points).map(|_| self.exponential()).collect(),
                aggregation_temporality: temporality,
            }),
            _ => Data::Summary(Summary { data_points: (0..points).map(|_| self.summary()).collect() }),
        };
        Metric {
            name: self.random.pick(&["queue.size", "latency", "io", "io.total", "size"]).into(),
            description: self.random.pick(&["", "how long", "how many"]).into(),
            unit: self.random.pick(&["", "s", "By"]).into(),
            data: Some(data),
            ..Default::default()
        }
    }

    // Points have no exemplars: the Collector's redaction leaks there.

    fn number(&mut self) -> NumberDataPoint {
        let value = match self.random.below(8) {
            0 => None,
            1..=4 => Some(number_data_point::Value::AsInt(self.random.pick(INTEGERS))),
            _ => Some(number_data_point::Value::AsDouble(self.double())),
        };
        NumberDataPoint {
            attributes: self.record_attributes(),
            start_time_unix_nano: self.random.pick(&[0, TIME - 1_000_000]),
            time_unix_nano: TIME,
            value,
            flags: self.random.pick(&[0, 0, 1]),
            ..Default::default()
        }
    }

    fn histogram(&mut self) -> HistogramDataPoint {
        HistogramDataPoint {
            attributes: self.record_attributes(),
            time_unix_nano: TIME,
            count: self.random.below(12) as u64,
            sum: self.random.percent(60).then_some(12.5),
            bucket_counts: vec![1, 2, self.random.below(9) as u64],
            explicit_bounds: vec![0.5, 10.0],
            max: self.random.percent(30).then_some(11.0),
            ..Default::default()
        }
    }

    fn exponential(&mut self) -> ExponentialHistogramDataPoint {
        ExponentialHistogramDataPoint {
            attributes: self.record_attributes(),
            time_unix_nano: TIME,
            count: self.random.below(12) as u64,
            scale: self.random.pick(&[-2, 0, 3]),
            zero_count: 1,
            positive: self.random.percent(60).then(|| Buckets { offset: -3, bucket_counts: vec![1, 0, 4] }),
            ..Default::default()
        }
    }

    fn summary(&mut self) -> SummaryDataPoint {
        SummaryDataPoint {
            attributes: self.record_attributes(),
            time_unix_nano: TIME,
            count: self.random.below(12) as u64,
            sum: 8.0,
            quantile_values: vec![ValueAtQuantile { quantile: 0.5, value: 1.0 }],
            ..Default::default()
        }
    }

    /// Attributes of a span, an event, a log record or a data point. No key stands twice: that is not valid OTLP.
    fn record_attributes(&mut self) -> Vec<KeyValue> {
        let mut list = Vec::new();
        self.maybe(&mut list, 40, "http.route", |zoo| zoo.text_of(&["/health", "/api", "/cart"]));
        self.maybe(&mut list, 40, "n", |zoo| Value::IntValue(zoo.random.below(12) as i64));
        self.maybe(&mut list, 30, "flag", |zoo| Value::BoolValue(zoo.random.percent(50)));
        self.maybe(&mut list, 30, "half", |zoo| Value::DoubleValue(zoo.random.below(40) as f64 / 2.0));
        self.maybe(&mut list, 30, "card", |zoo| zoo.text_of(TEXTS));
        self.maybe(&mut list, 20, "email", |zoo| zoo.text_of(TEXTS));
        self.maybe(&mut list, 15, "user.password", |zoo| zoo.text_of(TEXTS));
        self.maybe(&mut list, 15, "user name", |zoo| zoo.text_of(TEXTS));
        self.maybe(&mut list, 50, "mixed", |zoo| zoo.attribute_value());
        self.maybe(&mut list, 20, "map", |zoo| zoo.map(1));
        self.maybe(&mut list, 20, "list", |zoo| zoo.array(1));
        self.maybe(&mut list, 5, "", |zoo| zoo.text_of(TEXTS));
        self.random.shuffle(&mut list);
        list
    }

    fn maybe(&mut self, list: &mut Vec<KeyValue>, percent: usize, key: &str, value: impl FnOnce(&mut Self) -> Value) {
        if self.random.percent(percent) {
            // An attribute may have no value at all.
            let value = if self.random.percent(2) { None } else { Some(value(self)) };
            list.push(KeyValue { key: key.into(), value: Some(AnyValue { value }), ..Default::default() });
        }
    }

    fn attribute_value(&mut self) -> Value {
        self.value(0)
    }

    fn text_of(&mut self, texts: &[&str]) -> Value {
        text(self.random.pick(texts))
    }

    fn double(&mut self) -> f64 {
        match self.random.below(12) {
            0 => self.random.pick(&[f64::NAN, f64::INFINITY, f64::NEG_INFINITY]),
            1 => self.random.next() as f64 / 1e9,
            _ => self.random.pick(DOUBLES),
        }
    }

    fn value(&mut self, depth: usize) -> Value {
        match self.random.below(if depth < 3 { 9 } else { 7 }) {
            0 => Value::BoolValue(self.random.percent(50)),
            1 | 2 => Value::IntValue(self.random.pick(INTEGERS)),
            3 if depth > 0 && self.leave.nested_not_finite => Value::DoubleValue(self.random.pick(DOUBLES)),
            3 => Value::DoubleValue(self.double()),
            4 if !self.leave.bytes => {
                let length = self.random.below(10);
                Value::BytesValue(self.random.bytes(length))
            }
            7 => self.array(depth + 1),
            8 => self.map(depth + 1),
            _ => self.text_of(TEXTS),
        }
    }

    fn array(&mut self, depth: usize) -> Value {
        let values = (0..self.random.below(4)).map(|_| AnyValue { value: Some(self.value(depth)) }).collect();
        Value::ArrayValue(ArrayValue { values })
    }

    fn map(&mut self, depth: usize) -> Value {
        let mut values = Vec::new();
        for key in ["k", "card", "Z", "ä", "x.y", "k\"", "password", "n"] {
            self.maybe(&mut values, 25, key, |zoo| zoo.value(depth));
        }
        self.random.shuffle(&mut values);
        Value::KvlistValue(KeyValueList { values })
    }

    /// 16 bytes or none: of any other length the Collector refuses the whole request, the sampler only the row.
    fn trace_id(&mut self) -> Vec<u8> {
        match self.random.below(20) {
            0 => Vec::new(),
            1 => vec![0; 16],
            2 => [[1; 8], [1, 255, 255, 255, 255, 255, 255, 255]].concat(),
            3 => [[1; 8], [1, 0, 0, 0, 0, 0, 0, 0]].concat(),
            _ => self.random.bytes(16),
        }
    }

    fn priority(&mut self) -> Value {
        match self.random.below(5) {
            0 => Value::DoubleValue(self.random.pick(&[0.0, 0.5, -0.5, 30.0, 99.5, f64::NAN, f64::INFINITY])),
            1 => self.text_of(&["0", "1", "-1", "50", "0x1p-2", "x", ""]),
            2 => self.value(0),
            _ => Value::IntValue(self.random.pick(&[0, 1, -1, 7, 60, 100, 101, i64::MAX])),
        }
    }

    fn threshold(&mut self) -> String {
        match self.random.below(8) {
            0 => self.random.pick(&["0", "f", "000", "ffffffffffffff", "ffffffffffffffff"]).into(),
            1 => self.random.pick(&["", "g", "0x1", "C", "8000", "aB", "1_0", "-1", "."]).into(),
            _ => {
                let digits = self.random.pick(&[1, 1, 1, 2, 3, 4, 5, 14, 13, 15]);
                self.random.hex(digits)
            }
        }
    }

    fn randomness(&mut self) -> String {
        match self.random.below(10) {
            0 => {
                let digits = self.random.pick(&[0, 1, 13, 15]);
                self.random.hex(digits)
            }
            1 => self.random.pick(&["ABCDEF01234567", "gggggggggggggg", "ffffffffffffff", "00000000000000"]).into(),
            _ => self.random.hex(14),
        }
    }

    /// Mostly good, often broken in one place.
    fn trace_state(&mut self) -> String {
        if self.random.percent(35) {
            return String::new();
        }
        let mut members = Vec::new();
        if self.random.percent(75) {
            members.push(self.ot_member());
        }
        for _ in 0..self.random.below(3) {
            members.push(
                self.random
                    .pick(&["vendor=1", "a=1", "rojo=00f067aa0ba902b7", "1tenant@sys=x", "a/b*c-d_e=!~ x"])
                    .to_owned(),
            );
        }
        if self.random.percent(8) {
            let bad = [
                "A=1", "=1", "a=", "a", "a=b=c", "1a=x", "a@=x", "@a=x", "a@b@c=x", "a=é", "a=x,,b", "OT=th:8",
                "a b=c", "",
            ];
            members.push(self.random.pick(&bad).to_owned());
        }
        if self.random.percent(3) {
            members.push(self.ot_member());
        }
        if self.random.percent(2) {
            members.extend((0..28 + self.random.below(6)).map(|number| format!("k{number}={number}")));
        }
        if self.random.percent(2) {
            members.push(format!("v={}", "x".repeat(self.random.pick(&[256, 257]))));
        }
        self.random.shuffle(&mut members);
        members.join(self.random.pick(&[",", ",", ", ", " ,\t"]))
    }

    fn ot_member(&mut self) -> String {
        let mut parts = Vec::new();
        if self.random.percent(60) {
            parts.push(format!("th:{}", self.threshold()));
        }
        if self.random.percent(50) {
            parts.push(format!("rv:{}", self.randomness()));
        }
        if self.random.percent(30) {
            parts.push(self.random.pick(&["x:1", "p:8", "zz9:a.B_-", "a:", "rvx:1", "th2:3"]).to_owned());
        }
        if self.random.percent(6) {
            parts.push(self.random.pick(&["th:4", "9a:1", "A:1", "", ":1", "a", "a:b:c", "a:é", "a: b"]).to_owned());
        }
        self.random.shuffle(&mut parts);
        format!("ot={}", parts.join(";"))
    }
}

fn text(text: &str) -> Value {
    Value::StringValue(text.to_owned())
}
