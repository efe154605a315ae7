//! Telemetry with every kind of value in every place. Each row carries its number in the attribute `id`.

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, ArrayValue, InstrumentationScope, KeyValue, KeyValueList};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::number_data_point;
use opentelemetry_proto::tonic::metrics::v1::{
    ExponentialHistogram, ExponentialHistogramDataPoint, Gauge, Histogram, HistogramDataPoint, Metric, NumberDataPoint,
    ResourceMetrics, ScopeMetrics, Sum, Summary, SummaryDataPoint,
};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, Status};
use prost::Message;
use sluice_sdk::Signal;

use crate::random::Random;

pub(crate) const TEXTS: &[&str] =
    &["/health", "/metrics", "GET", "get", "", "42", "-7", "true", "1.5", "Größe <b>", "a b", "10.1.2.3", "1h30m"];

/// A request, encoded.
pub(crate) fn request(signal: Signal, seed: u64) -> Vec<u8> {
    let mut zoo = Zoo { random: Random::new(seed), rows: 0 };
    match signal {
        Signal::Traces => {
            let resource_spans = (0..3).map(|_| zoo.resource_spans()).collect();
            ExportTraceServiceRequest { resource_spans }.encode_to_vec()
        }
        Signal::Metrics => {
            let resource_metrics = (0..3).map(|_| zoo.resource_metrics()).collect();
            ExportMetricsServiceRequest { resource_metrics }.encode_to_vec()
        }
        Signal::Logs => {
            let resource_logs = (0..3).map(|_| zoo.resource_logs()).collect();
            ExportLogsServiceRequest { resource_logs }.encode_to_vec()
        }
    }
}

/// The numbers of the rows of an encoded request.
pub(crate) fn ids(signal: Signal, bytes: &[u8]) -> Vec<usize> {
    let mut found = Vec::new();
    let mut add = |attributes: &[KeyValue]| found.extend(id(attributes));
    match signal {
        Signal::Traces => {
            let request = ExportTraceServiceRequest::decode(bytes).expect("a request");
            let scopes = request.resource_spans.iter().flat_map(|resource| &resource.scope_spans);
            scopes.flat_map(|scope| &scope.spans).for_each(|span| add(&span.attributes));
        }
        Signal::Logs => {
            let request = ExportLogsServiceRequest::decode(bytes).expect("a request");
            let scopes = request.resource_logs.iter().flat_map(|resource| &resource.scope_logs);
            scopes.flat_map(|scope| &scope.log_records).for_each(|record| add(&record.attributes));
        }
        Signal::Metrics => {
            let request = ExportMetricsServiceRequest::decode(bytes).expect("a request");
            let scopes = request.resource_metrics.iter().flat_map(|resource| &resource.scope_metrics);
            for metric in scopes.flat_map(|scope| &scope.metrics) {
                match &metric.data {
                    Some(Data::Gauge(data)) => data.data_points.iter().for_each(|point| add(&point.attributes)),
                    Some(Data::Sum(data)) => data.data_points.iter().for_each(|point| add(&point.attributes)),
                    Some(Data::Histogram(data)) => data.data_points.iter().for_each(|point| add(&point.attributes)),
                    Some(Data::ExponentialHistogram(data)) => {
                        data.data_points.iter().for_each(|point| add(&point.attributes));
                    }
                    Some(Data::Summary(data)) => data.data_points.iter().for_each(|point| add(&point.attributes)),
                    None => {}
                }
            }
        }
    }
    found
}

fn id(attributes: &[KeyValue]) -> Option<usize> {
    match attributes.first()?.value.as_ref()?.value.as_ref()? {
        Value::StringValue(text) => text.parse().ok(),
        _ => None,
    }
}

struct Zoo {
    random: Random,
    rows: usize,
}

impl Zoo {
    fn text(&mut self) -> String {
        self.random.pick(TEXTS).to_owned()
    }

    fn integer(&mut self) -> i64 {
        [0, 1, -7, 42, 200, 404, 500, i64::MAX, i64::MIN][self.random.below(9)]
    }

    fn double(&mut self) -> f64 {
        [0.0, 1.0, 1.5, -7.25, 42.0, 200.0, 1e21, 1e-7, f64::INFINITY, f64::NAN][self.random.below(10)]
    }

    fn bytes(&mut self) -> Vec<u8> {
        [vec![], vec![1], vec![0xff, 0, 7], b"GET".to_vec()][self.random.below(4)].clone()
    }

    fn any(&mut self, depth: usize) -> AnyValue {
        let kinds = if depth == 0 { 6 } else { 8 };
        let value = match self.random.below(kinds) {
            0 => Some(Value::StringValue(self.text())),
            1 => Some(Value::BoolValue(self.random.once_in(2))),
            2 => Some(Value::IntValue(self.integer())),
            3 => Some(Value::DoubleValue(self.double())),
            4 => Some(Value::BytesValue(self.bytes())),
            5 => None,
            6 => Some(Value::ArrayValue(self.array(depth))),
            _ => Some(Value::KvlistValue(self.map(depth))),
        };
        AnyValue { value }
    }

    fn array(&mut self, depth: usize) -> ArrayValue {
        let length = self.random.below(4);
        ArrayValue { values: (0..length).map(|_| self.any(depth - 1)).collect() }
    }

    fn map(&mut self, depth: usize) -> KeyValueList {
        let mut values = Vec::new();
        for key in ["k", "z", "a"] {
            if self.random.once_in(2) {
                let value = Some(self.any(depth - 1));
                values.push(KeyValue { key: key.to_owned(), value, ..Default::default() });
            }
        }
        KeyValueList { values }
    }

    fn attributes(&mut self) -> Vec<KeyValue> {
        let mut attributes = Vec::new();
        for key in ["http.route", "text", "int", "double", "bool", "bytes", "list", "map", "empty", "mixed", "other"] {
            if self.random.once_in(4) {
                continue;
            }
            let value = match key {
                "http.route" | "text" => AnyValue { value: Some(Value::StringValue(self.text())) },
                "int" => AnyValue { value: Some(Value::IntValue(self.integer())) },
                "double" => AnyValue { value: Some(Value::DoubleValue(self.double())) },
                "bool" => AnyValue { value: Some(Value::BoolValue(self.random.once_in(2))) },
                "bytes" => AnyValue { value: Some(Value::BytesValue(self.bytes())) },
                "list" => AnyValue { value: Some(Value::ArrayValue(self.array(2))) },
                "map" => AnyValue { value: Some(Value::KvlistValue(self.map(2))) },
                "empty" => AnyValue { value: None },
                _ => self.any(2),
            };
            attributes.push(KeyValue { key: key.to_owned(), value: Some(value), ..Default::default() });
        }
        attributes
    }

    fn row(&mut self) -> Vec<KeyValue> {
        let value = Some(AnyValue { value: Some(Value::StringValue(self.rows.to_string())) });
        self.rows += 1;
        let mut attributes = vec![KeyValue { key: "id".to_owned(), value, ..Default::default() }];
        attributes.extend(self.attributes());
        attributes
    }

    fn resource(&mut self) -> Option<Resource> {
        let mut attributes = self.attributes();
        if self.random.below(3) > 0 {
            let value = if self.random.once_in(3) {
                self.any(1)
            } else {
                AnyValue { value: Some(Value::StringValue(self.random.pick(&["shop", "cart", ""]).to_owned())) }
            };
            attributes.push(KeyValue { key: "service.name".to_owned(), value: Some(value), ..Default::default() });
        }
        let dropped_attributes_count = self.random.below(2) as u32;
        Some(Resource { attributes, dropped_attributes_count, ..Default::default() })
    }

    fn scope(&mut self) -> Option<InstrumentationScope> {
        let name = self.random.pick(&["", "lib.a", "lib.b"]).to_owned();
        let version = self.random.pick(&["", "1.0", "2.0"]).to_owned();
        Some(InstrumentationScope { name, version, attributes: self.attributes(), ..Default::default() })
    }

    fn schema(&mut self) -> String {
        self.random.pick(&["", "https://opentelemetry.io/schemas/1.21.0"]).to_owned()
    }

    fn id(&mut self, length: usize) -> Vec<u8> {
        match self.random.below(4) {
            0 => vec![],
            1 => vec![0; length],
            2 => (1..=length as u8).collect(),
            _ => vec![0xab; length],
        }
    }

    fn time(&mut self) -> u64 {
        [0, 1_000_000_000, 1_700_000_000_000_000_000, 1_700_000_000_000_000_500, u64::MAX][self.random.below(5)]
    }

    fn resource_spans(&mut self) -> ResourceSpans {
        let (resource, schema_url) = (self.resource(), self.schema());
        let scope_spans = (0..2)
            .map(|_| ScopeSpans {
                scope: self.scope(),
                spans: (0..5).map(|_| self.span()).collect(),
                schema_url: self.schema(),
            })
            .collect();
        ResourceSpans { resource, scope_spans, schema_url }
    }

    fn span(&mut self) -> Span {
        let state = ["", "ot=th:8", "ot=th:8,v=1", "bad", "OT=1"];
        Span {
            attributes: self.row(),
            trace_id: self.id(16),
            span_id: self.id(8),
            parent_span_id: self.id(8),
            trace_state: self.random.pick(&state).to_owned(),
            flags: self.random.below(3) as u32,
            name: self.random.pick(&["GET /health", "GET", "", "checkout", "Größe"]).to_owned(),
            kind: self.random.below(7) as i32,
            start_time_unix_nano: self.time(),
            end_time_unix_nano: self.time(),
            dropped_attributes_count: self.random.below(3) as u32,
            dropped_events_count: self.random.below(3) as u32,
            dropped_links_count: self.random.below(3) as u32,
            status: match self.random.below(4) {
                0 => None,
                code => Some(Status {
                    code: code as i32 - 1,
                    message: self.random.pick(&["", "timeout", "bad gateway"]).to_owned(),
                }),
            },
            ..Default::default()
        }
    }

    fn resource_logs(&mut self) -> ResourceLogs {
        let (resource, schema_url) = (self.resource(), self.schema());
        let scope_logs = (0..2)
            .map(|_| ScopeLogs {
                scope: self.scope(),
                log_records: (0..5).map(|_| self.log_record()).collect(),
                schema_url: self.schema(),
            })
            .collect();
        ResourceLogs { resource, scope_logs, schema_url }
    }

    fn log_record(&mut self) -> LogRecord {
        LogRecord {
            attributes: self.row(),
            time_unix_nano: self.time(),
            observed_time_unix_nano: self.time(),
            severity_number: [0, 0, 1, 5, 9, 13, 17, 24, 30][self.random.below(9)],
            severity_text: self.random.pick(&["", "INFO", "error", "WARN"]).to_owned(),
            body: match self.random.below(8) {
                0 => None,
                1..=3 => Some(AnyValue { value: Some(Value::StringValue(self.text())) }),
                4 => Some(AnyValue { value: Some(Value::KvlistValue(self.map(2))) }),
                _ => Some(self.any(2)),
            },
            dropped_attributes_count: self.random.below(3) as u32,
            flags: self.random.below(3) as u32,
            trace_id: self.id(16),
            span_id: self.id(8),
            event_name: self.random.pick(&["", "device.app.lifecycle"]).to_owned(),
        }
    }

    fn resource_metrics(&mut self) -> ResourceMetrics {
        let (resource, schema_url) = (self.resource(), self.schema());
        let scope_metrics = (0..2)
            .map(|_| ScopeMetrics {
                scope: self.scope(),
                metrics: (0..5).map(|_| self.metric()).collect(),
                schema_url: self.schema(),
            })
            .collect();
        ResourceMetrics { resource, scope_metrics, schema_url }
    }

    fn metric(&mut self) -> Metric {
        let points = 1 + self.random.below(3);
        let temporality = self.random.below(3) as i32;
        let data = match self.random.below(5) {
            0 => Data::Gauge(Gauge { data_points: (0..points).map(|_| self.number()).collect() }),
            1 => Data::Sum(Sum {
                data_points: (0..points).map(|_| self.number()).collect(),
                aggregation_temporality: temporality,
                is_monotonic: self.random.once_in(2),
            }),
            2 => Data::Histogram(Histogram {
                data_points: (0..points).map(|_| self.histogram()).collect(),
                aggregation_temporality: temporality,
            }),
            3 => Data::ExponentialHistogram(ExponentialHistogram {
                data_points: (0..points).map(|_| self.exponential()).collect(),
                aggregation_temporality: temporality,
            }),
            _ => Data::Summary(Summary { data_points: (0..points).map(|_| self.summary()).collect() }),
        };
        Metric {
            name: self.random.pick(&["ecs.task.memory.utilized", "http.server.duration", "", "up"]).to_owned(),
            description: self.random.pick(&["", "memory in use"]).to_owned(),
            unit: self.random.pick(&["", "ms", "By"]).to_owned(),
            metadata: self.attributes(),
            data: Some(data),
        }
    }

    fn number(&mut self) -> NumberDataPoint {
        NumberDataPoint {
            attributes: self.row(),
            start_time_unix_nano: self.time(),
            time_unix_nano: self.time(),
            flags: self.random.below(2) as u32,
            value: match self.random.below(5) {
                0 => None,
                1 | 2 => Some(number_data_point::Value::AsInt(self.integer())),
                _ => Some(number_data_point::Value::AsDouble(self.double())),
            },
            ..Default::default()
        }
    }

    fn histogram(&mut self) -> HistogramDataPoint {
        HistogramDataPoint {
            attributes: self.row(),
            start_time_unix_nano: self.time(),
            time_unix_nano: self.time(),
            count: self.random.below(3) as u64,
            sum: self.random.once_in(2).then(|| self.double()),
            flags: self.random.below(2) as u32,
            ..Default::default()
        }
    }

    fn exponential(&mut self) -> ExponentialHistogramDataPoint {
        ExponentialHistogramDataPoint {
            attributes: self.row(),
            time_unix_nano: self.time(),
            count: self.random.below(3) as u64,
            sum: self.random.once_in(2).then(|| self.double()),
            scale: self.random.below(5) as i32 - 2,
            zero_count: self.random.below(3) as u64,
            flags: self.random.below(2) as u32,
            ..Default::default()
        }
    }

    fn summary(&mut self) -> SummaryDataPoint {
        SummaryDataPoint {
            attributes: self.row(),
            time_unix_nano: self.time(),
            count: self.random.below(3) as u64,
            sum: self.double(),
            flags: self.random.below(2) as u32,
            ..Default::default()
        }
    }
}
