//! The object tree of a request: prost's types, with access to all entities of a level alike.

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue, any_value};
use opentelemetry_proto::tonic::logs::v1::LogRecord;
use opentelemetry_proto::tonic::metrics::v1::{
    Exemplar, ExponentialHistogramDataPoint, HistogramDataPoint, Metric, NumberDataPoint, SummaryDataPoint, metric,
    number_data_point,
};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message;
use sluice_wire::{Intrinsic, Level, Signal};

/// A decoded request.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Tree {
    Traces(ExportTraceServiceRequest),
    Metrics(ExportMetricsServiceRequest),
    Logs(ExportLogsServiceRequest),
}

/// One entity.
pub(crate) enum Entity<'a> {
    Resource(&'a mut Option<Resource>, &'a mut String),
    Scope(&'a mut Option<InstrumentationScope>, &'a mut String),
    Metric(&'a mut Metric),
    Record(Record<'a>),
}

/// A row.
pub(crate) enum Record<'a> {
    Span(&'a mut Span),
    Log(&'a mut LogRecord),
    Number(&'a mut NumberDataPoint),
    Histogram(&'a mut HistogramDataPoint),
    Exponential(&'a mut ExponentialHistogramDataPoint),
    Summary(&'a mut SummaryDataPoint),
}

impl Record<'_> {
    fn exemplars(&mut self) -> &mut [Exemplar] {
        match self {
            Self::Number(point) => &mut point.exemplars,
            Self::Histogram(point) => &mut point.exemplars,
            Self::Exponential(point) => &mut point.exemplars,
            Self::Span(_) | Self::Log(_) | Self::Summary(_) => &mut [],
        }
    }
}

/// What an intrinsic field holds.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Held {
    /// The entity's kind has no such field.
    Nowhere,
    Absent,
    Text(String),
    Bytes(Vec<u8>),
    Integer(i128),
    Double(f64),
    Truth(bool),
    Any(AnyValue),
}

impl Tree {
    pub(crate) fn decode(signal: Signal, bytes: &[u8]) -> Result<Self, prost::DecodeError> {
        Ok(match signal {
            Signal::Traces => Self::Traces(Message::decode(bytes)?),
            Signal::Metrics => Self::Metrics(Message::decode(bytes)?),
            Signal::Logs => Self::Logs(Message::decode(bytes)?),
        })
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        match self {
            Self::Traces(request) => request.encode_to_vec(),
            Self::Metrics(request) => request.encode_to_vec(),
            Self::Logs(request) => request.encode_to_vec(),
        }
    }

    /// The tree with ids of zeros taken for none, as views do.
    pub(crate) fn without_zero_ids(mut self) -> Self {
        self.for_each(&mut |_, _, mut entity| {
            for id in entity.ids() {
                if id.iter().all(|byte| *byte == 0) {
                    id.clear();
                }
            }
        });
        self
    }

    /// The tree without what views and columns don't show: indices into dictionaries, and the difference between no
    /// value and an empty one.
    pub(crate) fn normal(mut self) -> Self {
        self.for_each(&mut |_, _, mut entity| {
            entity.pairs(&mut |pairs| pairs.iter_mut().for_each(normal_pair));
            if let Entity::Record(Record::Log(record)) = entity
                && let Some(body) = &mut record.body
            {
                normal_value(body);
            }
        });
        self
    }

    /// The tree with empty resources, scopes and statuses taken for none: an edit that ends up writing a default into
    /// a message that isn't there does not make one.
    pub(crate) fn without_empty(mut self) -> Self {
        self.for_each(&mut |_, _, entity| match entity {
            Entity::Resource(resource, _) => drop(resource.take_if(|resource| *resource == Resource::default())),
            Entity::Scope(scope, _) => drop(scope.take_if(|scope| *scope == InstrumentationScope::default())),
            Entity::Record(Record::Span(span)) => drop(span.status.take_if(|status| *status == Default::default())),
            _ => {}
        });
        self
    }

    /// Visits all entities with their level and number.
    pub(crate) fn for_each(&mut self, visit: &mut dyn FnMut(Level, usize, Entity<'_>)) {
        let mut counts = [0; 4];
        let mut visit = |level: Level, entity: Entity<'_>| {
            visit(level, counts[level as usize], entity);
            counts[level as usize] += 1;
        };
        match self {
            Self::Traces(request) => {
                for resource in &mut request.resource_spans {
                    visit(Level::Resource, Entity::Resource(&mut resource.resource, &mut resource.schema_url));
                    for scope in &mut resource.scope_spans {
                        visit(Level::Scope, Entity::Scope(&mut scope.scope, &mut scope.schema_url));
                        for span in &mut scope.spans {
                            visit(Level::Record, Entity::Record(Record::Span(span)));
                        }
                    }
                }
            }
            Self::Logs(request) => {
                for resource in &mut request.resource_logs {
                    visit(Level::Resource, Entity::Resource(&mut resource.resource, &mut resource.schema_url));
                    for scope in &mut resource.scope_logs {
                        visit(Level::Scope, Entity::Scope(&mut scope.scope, &mut scope.schema_url));
                        for record in &mut scope.log_records {
                            visit(Level::Record, Entity::Record(Record::Log(record)));
                        }
                    }
                }
            }
            Self::Metrics(request) => {
                for resource in &mut request.resource_metrics {
                    visit(Level::Resource, Entity::Resource(&mut resource.resource, &mut resource.schema_url));
                    for scope in &mut resource.scope_metrics {
                        visit(Level::Scope, Entity::Scope(&mut scope.scope, &mut scope.schema_url));
                        for metric in &mut scope.metrics {
                            visit(Level::Metric, Entity::Metric(metric));
                            for_points(metric, &mut |point| visit(Level::Record, Entity::Record(point)));
                        }
                    }
                }
            }
        }
    }

    /// How many entities a level has.
    pub(crate) fn count(&mut self, of: Level) -> usize {
        let mut count = 0;
        self.for_each(&mut |level, _, _| count += usize::from(level == of));
        count
    }

    /// Keeps the rows of one part (`None` for rows that are dropped). Containers that had rows stay with those that are
    /// left; others if what contains them goes into this part only. `sole` is the part of the request as a whole.
    pub(crate) fn retain(&mut self, part: u32, sole: Option<u32>, code: &dyn Fn(usize) -> Option<u32>) {
        let mut keep = Retain { part, code, row: 0 };
        match self {
            Self::Traces(request) => request.resource_spans.retain_mut(|resource| {
                let rows = resource.scope_spans.iter().map(|scope| scope.spans.len()).sum();
                keep.container(rows, sole, |keep, sole| {
                    resource.scope_spans.retain_mut(|scope| {
                        keep.container(scope.spans.len(), sole, |keep, _| keep.rows(&mut scope.spans))
                    });
                })
            }),
            Self::Logs(request) => request.resource_logs.retain_mut(|resource| {
                let rows = resource.scope_logs.iter().map(|scope| scope.log_records.len()).sum();
                keep.container(rows, sole, |keep, sole| {
                    resource.scope_logs.retain_mut(|scope| {
                        keep.container(scope.log_records.len(), sole, |keep, _| keep.rows(&mut scope.log_records))
                    });
                })
            }),
            Self::Metrics(request) => request.resource_metrics.retain_mut(|resource| {
                let rows = resource.scope_metrics.iter_mut().flat_map(|scope| &mut scope.metrics).map(points).sum();
                keep.container(rows, sole, |keep, sole| {
                    resource.scope_metrics.retain_mut(|scope| {
                        let rows = scope.metrics.iter_mut().map(points).sum();
                        keep.container(rows, sole, |keep, sole| {
                            scope.metrics.retain_mut(|metric| {
                                keep.container(points(metric), sole, |keep, _| keep.points(metric))
                            });
                        })
                    });
                })
            }),
        }
    }
}

fn points(metric: &mut Metric) -> usize {
    let mut count = 0;
    for_points(metric, &mut |_| count += 1);
    count
}

/// What `Tree::retain` is about, and the number of the next row.
struct Retain<'a> {
    part: u32,
    code: &'a dyn Fn(usize) -> Option<u32>,
    row: usize,
}

impl Retain<'_> {
    /// Retains what is in a container with this many rows; says whether the container stays.
    fn container(&mut self, rows: usize, sole: Option<u32>, inside: impl FnOnce(&mut Self, Option<u32>)) -> bool {
        let mut codes: Vec<u32> = (self.row..self.row + rows).filter_map(self.code).collect();
        codes.sort_unstable();
        codes.dedup();
        let own = if let [code] = codes[..] { Some(code) } else { None };
        inside(self, if rows == 0 { sole } else { own });
        if rows == 0 { sole == Some(self.part) } else { codes.contains(&self.part) }
    }

    fn rows<T>(&mut self, rows: &mut Vec<T>) {
        rows.retain(|_| {
            self.row += 1;
            (self.code)(self.row - 1) == Some(self.part)
        });
    }

    fn points(&mut self, metric: &mut Metric) {
        match &mut metric.data {
            None => {}
            Some(metric::Data::Gauge(data)) => self.rows(&mut data.data_points),
            Some(metric::Data::Sum(data)) => self.rows(&mut data.data_points),
            Some(metric::Data::Histogram(data)) => self.rows(&mut data.data_points),
            Some(metric::Data::ExponentialHistogram(data)) => self.rows(&mut data.data_points),
            Some(metric::Data::Summary(data)) => self.rows(&mut data.data_points),
        }
    }
}

/// Visits the points of a metric.
pub(crate) fn for_points(metric: &mut Metric, visit: &mut dyn FnMut(Record<'_>)) {
    match &mut metric.data {
        None => {}
        Some(metric::Data::Gauge(data)) => data.data_points.iter_mut().for_each(|point| visit(Record::Number(point))),
        Some(metric::Data::Sum(data)) => data.data_points.iter_mut().for_each(|point| visit(Record::Number(point))),
        Some(metric::Data::Histogram(data)) => {
            data.data_points.iter_mut().for_each(|point| visit(Record::Histogram(point)));
        }
        Some(metric::Data::ExponentialHistogram(data)) => {
            data.data_points.iter_mut().for_each(|point| visit(Record::Exponential(point)));
        }
        Some(metric::Data::Summary(data)) => {
            data.data_points.iter_mut().for_each(|point| visit(Record::Summary(point)))
        }
    }
}

fn normal_pair(pair: &mut KeyValue) {
    pair.key_strindex = 0;
    normal_value(pair.value.get_or_insert_default());
}

fn normal_value(value: &mut AnyValue) {
    match &mut value.value {
        Some(any_value::Value::StringValueStrindex(_)) => value.value = None,
        Some(any_value::Value::ArrayValue(array)) => array.values.iter_mut().for_each(normal_value),
        Some(any_value::Value::KvlistValue(map)) => map.values.iter_mut().for_each(normal_pair),
        _ => {}
    }
}

impl Entity<'_> {
    /// Its own attributes; made if they can't be without it.
    pub(crate) fn attributes(&mut self, make: bool) -> Option<&mut Vec<KeyValue>> {
        Some(match self {
            Self::Resource(resource, _) => {
                if make {
                    resource.get_or_insert_default();
                }
                &mut resource.as_mut()?.attributes
            }
            Self::Scope(scope, _) => {
                if make {
                    scope.get_or_insert_default();
                }
                &mut scope.as_mut()?.attributes
            }
            Self::Metric(metric) => &mut metric.metadata,
            Self::Record(Record::Span(span)) => &mut span.attributes,
            Self::Record(Record::Log(record)) => &mut record.attributes,
            Self::Record(Record::Number(point)) => &mut point.attributes,
            Self::Record(Record::Histogram(point)) => &mut point.attributes,
            Self::Record(Record::Exponential(point)) => &mut point.attributes,
            Self::Record(Record::Summary(point)) => &mut point.attributes,
        })
    }

    /// All lists of pairs in it.
    pub(crate) fn pairs(&mut self, visit: &mut dyn FnMut(&mut Vec<KeyValue>)) {
        if let Some(attributes) = self.attributes(false) {
            visit(attributes);
        }
        for owner in 4..=6 {
            self.others(owner, visit);
        }
    }

    /// The lists of pairs of one owner that is no level: 4 events, 5 links, 6 exemplars.
    pub(crate) fn others(&mut self, owner: u8, visit: &mut dyn FnMut(&mut Vec<KeyValue>)) {
        match (owner, self) {
            (4, Self::Record(Record::Span(span))) => span.events.iter_mut().for_each(|e| visit(&mut e.attributes)),
            (5, Self::Record(Record::Span(span))) => span.links.iter_mut().for_each(|l| visit(&mut l.attributes)),
            (6, Self::Record(record)) => {
                record.exemplars().iter_mut().for_each(|exemplar| visit(&mut exemplar.filtered_attributes));
            }
            _ => {}
        }
    }

    /// Ids of traces and spans in it.
    fn ids(&mut self) -> Vec<&mut Vec<u8>> {
        match self {
            Self::Record(Record::Span(span)) => {
                let links = span.links.iter_mut().flat_map(|link| [&mut link.trace_id, &mut link.span_id]);
                [&mut span.trace_id, &mut span.span_id, &mut span.parent_span_id].into_iter().chain(links).collect()
            }
            Self::Record(Record::Log(record)) => vec![&mut record.trace_id, &mut record.span_id],
            Self::Record(record) => {
                let ids = record.exemplars().iter_mut().map(|exemplar| [&mut exemplar.trace_id, &mut exemplar.span_id]);
                ids.flatten().collect()
            }
            _ => Vec::new(),
        }
    }

    /// What an intrinsic field holds.
    pub(crate) fn get(&mut self, intrinsic: Intrinsic) -> Held {
        let mut held = Held::Nowhere;
        self.with(intrinsic, false, &mut |place| held = place.get());
        held
    }

    /// Writes an intrinsic field, or clears it.
    pub(crate) fn set(&mut self, intrinsic: Intrinsic, value: Option<&Held>) {
        self.with(intrinsic, value.is_some(), &mut |place| place.set(value));
    }

    fn with(&mut self, intrinsic: Intrinsic, make: bool, visit: &mut dyn FnMut(Place<'_>)) {
        use Intrinsic as I;
        match self {
            Self::Resource(resource, schema_url) => match intrinsic {
                I::SchemaUrl => visit(Place::Text(schema_url)),
                _ => {
                    if make {
                        resource.get_or_insert_default();
                    }
                    match resource {
                        Some(resource) => visit(Place::U32(&mut resource.dropped_attributes_count)),
                        None => visit(Place::None),
                    }
                }
            },
            Self::Scope(scope, schema_url) => {
                if intrinsic == I::SchemaUrl {
                    return visit(Place::Text(schema_url));
                }
                if make {
                    scope.get_or_insert_default();
                }
                match (scope, intrinsic) {
                    (None, _) => visit(Place::None),
                    (Some(scope), I::Name) => visit(Place::Text(&mut scope.name)),
                    (Some(scope), I::Version) => visit(Place::Text(&mut scope.version)),
                    (Some(scope), _) => visit(Place::U32(&mut scope.dropped_attributes_count)),
                }
            }
            Self::Metric(metric) => match (intrinsic, &mut metric.data) {
                (I::Name, _) => visit(Place::Text(&mut metric.name)),
                (I::Description, _) => visit(Place::Text(&mut metric.description)),
                (I::Unit, _) => visit(Place::Text(&mut metric.unit)),
                (I::AggregationTemporality, Some(metric::Data::Sum(data))) => {
                    visit(Place::I32(&mut data.aggregation_temporality));
                }
                (I::AggregationTemporality, Some(metric::Data::Histogram(data))) => {
                    visit(Place::I32(&mut data.aggregation_temporality));
                }
                (I::AggregationTemporality, Some(metric::Data::ExponentialHistogram(data))) => {
                    visit(Place::I32(&mut data.aggregation_temporality));
                }
                (I::IsMonotonic, Some(metric::Data::Sum(data))) => visit(Place::Truth(&mut data.is_monotonic)),
                (I::Type, data) => {
                    let mut kind = data.as_ref().map_or(0, |data| match data {
                        metric::Data::Gauge(_) => 1,
                        metric::Data::Sum(_) => 2,
                        metric::Data::Histogram(_) => 3,
                        metric::Data::ExponentialHistogram(_) => 4,
                        metric::Data::Summary(_) => 5,
                    });
                    visit(Place::I32(&mut kind));
                }
                _ => {}
            },
            Self::Record(record) => record.with(intrinsic, make, visit),
        }
    }
}

impl Record<'_> {
    fn with(&mut self, intrinsic: Intrinsic, make: bool, visit: &mut dyn FnMut(Place<'_>)) {
        use Intrinsic as I;
        let place = match (self, intrinsic) {
            (Record::Span(span), I::StatusCode | I::StatusMessage) => {
                if make {
                    span.status.get_or_insert_default();
                }
                match &mut span.status {
                    None => Place::None,
                    Some(status) if intrinsic == I::StatusCode => Place::I32(&mut status.code),
                    Some(status) => Place::Text(&mut status.message),
                }
            }
            (Record::Span(span), I::Name) => Place::Text(&mut span.name),
            (Record::Span(span), I::TraceState) => Place::Text(&mut span.trace_state),
            (Record::Span(span), I::TraceId) => Place::Bytes(&mut span.trace_id),
            (Record::Span(span), I::SpanId) => Place::Bytes(&mut span.span_id),
            (Record::Span(span), I::ParentSpanId) => Place::Bytes(&mut span.parent_span_id),
            (Record::Span(span), I::Kind) => Place::I32(&mut span.kind),
            (Record::Span(span), I::StartTimeUnixNano) => Place::U64(&mut span.start_time_unix_nano),
            (Record::Span(span), I::EndTimeUnixNano) => Place::U64(&mut span.end_time_unix_nano),
            (Record::Span(span), I::Flags) => Place::U32(&mut span.flags),
            (Record::Span(span), I::DroppedAttributesCount) => Place::U32(&mut span.dropped_attributes_count),
            (Record::Span(span), I::DroppedEventsCount) => Place::U32(&mut span.dropped_events_count),
            (Record::Span(span), I::DroppedLinksCount) => Place::U32(&mut span.dropped_links_count),
            (Record::Log(record), I::TimeUnixNano) => Place::U64(&mut record.time_unix_nano),
            (Record::Log(record), I::ObservedTimeUnixNano) => Place::U64(&mut record.observed_time_unix_nano),
            (Record::Log(record), I::SeverityNumber) => Place::I32(&mut record.severity_number),
            (Record::Log(record), I::SeverityText) => Place::Text(&mut record.severity_text),
            (Record::Log(record), I::EventName) => Place::Text(&mut record.event_name),
            (Record::Log(record), I::Body) => Place::Any(&mut record.body),
            (Record::Log(record), I::TraceId) => Place::Bytes(&mut record.trace_id),
            (Record::Log(record), I::SpanId) => Place::Bytes(&mut record.span_id),
            (Record::Log(record), I::Flags) => Place::U32(&mut record.flags),
            (Record::Log(record), I::DroppedAttributesCount) => Place::U32(&mut record.dropped_attributes_count),
            (Record::Number(point), I::StartTimeUnixNano) => Place::U64(&mut point.start_time_unix_nano),
            (Record::Number(point), I::TimeUnixNano) => Place::U64(&mut point.time_unix_nano),
            (Record::Number(point), I::Flags) => Place::U32(&mut point.flags),
            (Record::Number(point), I::ValueInt) => Place::ValueInt(&mut point.value),
            (Record::Number(point), I::ValueDouble) => Place::ValueDouble(&mut point.value),
            (Record::Histogram(point), I::StartTimeUnixNano) => Place::U64(&mut point.start_time_unix_nano),
            (Record::Histogram(point), I::TimeUnixNano) => Place::U64(&mut point.time_unix_nano),
            (Record::Histogram(point), I::Flags) => Place::U32(&mut point.flags),
            (Record::Histogram(point), I::Count) => Place::U64(&mut point.count),
            (Record::Histogram(point), I::Sum) => Place::MaybeDouble(&mut point.sum),
            (Record::Histogram(point), I::Min) => Place::MaybeDouble(&mut point.min),
            (Record::Histogram(point), I::Max) => Place::MaybeDouble(&mut point.max),
            (Record::Exponential(point), I::StartTimeUnixNano) => Place::U64(&mut point.start_time_unix_nano),
            (Record::Exponential(point), I::TimeUnixNano) => Place::U64(&mut point.time_unix_nano),
            (Record::Exponential(point), I::Flags) => Place::U32(&mut point.flags),
            (Record::Exponential(point), I::Count) => Place::U64(&mut point.count),
            (Record::Exponential(point), I::Sum) => Place::MaybeDouble(&mut point.sum),
            (Record::Exponential(point), I::Min) => Place::MaybeDouble(&mut point.min),
            (Record::Exponential(point), I::Max) => Place::MaybeDouble(&mut point.max),
            (Record::Exponential(point), I::Scale) => Place::I32(&mut point.scale),
            (Record::Exponential(point), I::ZeroCount) => Place::U64(&mut point.zero_count),
            (Record::Exponential(point), I::ZeroThreshold) => Place::Double(&mut point.zero_threshold),
            (Record::Summary(point), I::StartTimeUnixNano) => Place::U64(&mut point.start_time_unix_nano),
            (Record::Summary(point), I::TimeUnixNano) => Place::U64(&mut point.time_unix_nano),
            (Record::Summary(point), I::Flags) => Place::U32(&mut point.flags),
            (Record::Summary(point), I::Count) => Place::U64(&mut point.count),
            (Record::Summary(point), I::Sum) => Place::Double(&mut point.sum),
            _ => return,
        };
        visit(place);
    }
}

/// Where an intrinsic field is held.
enum Place<'a> {
    None,
    Text(&'a mut String),
    Bytes(&'a mut Vec<u8>),
    U32(&'a mut u32),
    I32(&'a mut i32),
    U64(&'a mut u64),
    Truth(&'a mut bool),
    Double(&'a mut f64),
    MaybeDouble(&'a mut Option<f64>),
    ValueInt(&'a mut Option<number_data_point::Value>),
    ValueDouble(&'a mut Option<number_data_point::Value>),
    Any(&'a mut Option<AnyValue>),
}

impl Place<'_> {
    fn get(self) -> Held {
        use number_data_point::Value;
        let integer = |number: i128| if number == 0 { Held::Absent } else { Held::Integer(number) };
        match self {
            Self::Text(text) if text.is_empty() => Held::Absent,
            Self::Text(text) => Held::Text(text.clone()),
            Self::Bytes(bytes) if bytes.is_empty() => Held::Absent,
            Self::Bytes(bytes) => Held::Bytes(bytes.clone()),
            Self::U32(number) => integer(i128::from(*number)),
            Self::I32(number) => integer(i128::from(*number)),
            Self::U64(number) => integer(i128::from(*number)),
            Self::Truth(true) => Held::Truth(true),
            Self::Double(number) if *number != 0.0 => Held::Double(*number),
            Self::MaybeDouble(Some(number)) => Held::Double(*number),
            Self::ValueInt(Some(Value::AsInt(number))) => Held::Integer(i128::from(*number)),
            Self::ValueDouble(Some(Value::AsDouble(number))) => Held::Double(*number),
            Self::Any(Some(value)) => Held::Any(value.clone()),
            _ => Held::Absent,
        }
    }

    fn set(self, value: Option<&Held>) {
        use number_data_point::Value;
        match (self, value) {
            (Self::None, _) => {}
            (Self::Text(text), Some(Held::Text(value))) => text.clone_from(value),
            (Self::Text(text), _) => text.clear(),
            (Self::Bytes(bytes), Some(Held::Bytes(value))) => bytes.clone_from(value),
            (Self::Bytes(bytes), _) => bytes.clear(),
            (Self::U32(number), Some(Held::Integer(value))) => *number = *value as u32,
            (Self::U32(number), _) => *number = 0,
            (Self::I32(number), Some(Held::Integer(value))) => *number = *value as i32,
            (Self::I32(number), _) => *number = 0,
            (Self::U64(number), Some(Held::Integer(value))) => *number = *value as u64,
            (Self::U64(number), _) => *number = 0,
            (Self::Truth(truth), Some(Held::Truth(value))) => *truth = *value,
            (Self::Truth(truth), _) => *truth = false,
            (Self::Double(number), Some(Held::Double(value))) => *number = *value,
            (Self::Double(number), _) => *number = 0.0,
            (Self::MaybeDouble(number), Some(Held::Double(value))) => *number = Some(*value),
            (Self::MaybeDouble(number), _) => *number = None,
            (Self::ValueInt(number), Some(Held::Integer(value))) => *number = Some(Value::AsInt(*value as i64)),
            (Self::ValueInt(number), _) => {
                if matches!(number, Some(Value::AsInt(_))) {
                    *number = None;
                }
            }
            (Self::ValueDouble(number), Some(Held::Double(value))) => *number = Some(Value::AsDouble(*value)),
            (Self::ValueDouble(number), _) => {
                if matches!(number, Some(Value::AsDouble(_))) {
                    *number = None;
                }
            }
            (Self::Any(body), Some(Held::Any(value))) => *body = Some(value.clone()),
            (Self::Any(body), _) => *body = None,
        }
    }
}

/// All signals.
pub(crate) const SIGNALS: [Signal; 3] = [Signal::Traces, Signal::Metrics, Signal::Logs];
