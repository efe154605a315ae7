//! A batch as bulk requests: which index each document goes to, under which id, in which schema.

use std::collections::HashSet;
use std::hash::BuildHasher;
use std::time::Instant;

use hashbrown::DefaultHashBuilder;
use sha2::{Digest, Sha256};
use sluice_wire::Signal;
use sluice_wire::view::{KeyValue, LogRecord, LogsView, Span, TracesView, Value};

use super::ecs::{self, Layout};
use super::index::{IndexName, Source, day};
use super::jaeger;
use super::json::Json;
use super::request::{BulkRequest, Packer, ServiceKey};
use super::services::Services;
use super::ss4o::{self, DataStream, Surroundings, time_of};
use crate::export::repeated::Repeated;
use crate::export::text::for_tenant;
use crate::export::{Dropped, Encoded};
use crate::model::Batch;

/// Bytes of a hash that become a document's id.
const ID_BYTES: usize = 16;

/// The schema of documents.
#[derive(Clone, Debug)]
pub(super) enum Schema {
    /// Simple Schema for Observability.
    Ss4o,
    /// Logs by the names of the log data model; spans as in `Ss4o`.
    Ecs(Layout),
    /// Logs are their bodies.
    Bodymap,
    /// Jaeger's documents; the prefix is empty or ends with a hyphen.
    Jaeger {
        /// Prefix of the indices.
        prefix: String,
    },
}

/// How batches become documents.
pub(super) struct Encoder {
    pub(super) schema: Schema,
    pub(super) dataset: String,
    pub(super) namespace: String,
    pub(super) traces_index: IndexName,
    pub(super) logs_index: IndexName,
    /// `create` or `index`.
    pub(super) action: &'static str,
    /// Whether documents have ids made from their content, so that a retry finds them there.
    pub(super) ids: bool,
    pub(super) max_bytes: usize,
    pub(super) services: Services,
    /// For sets of what came by, which is never seen from outside.
    pub(super) hasher: DefaultHashBuilder,
}

/// Documents in the making.
struct Bulk<'a> {
    encoder: &'a Encoder,
    batch: &'a Batch,
    stream: DataStream<'a>,
    packer: Packer,
    source: Vec<u8>,
    /// Whose records these are and what is around them, hashed.
    origin: Sha256,
    dropped: Vec<Dropped>,
    /// How many records came by, and which is the first to encode.
    seen: u64,
    from: u64,
    /// The first record that the request had no room for.
    next: Option<u64>,
    repeated: Repeated,
    /// Service documents that are in this batch already.
    announced: HashSet<ServiceKey>,
    /// Log records of this batch that came by, hashed.
    records: hashbrown::HashSet<u64>,
    /// Documents of Jaeger's spans that wait for others, since several are hashed at a time.
    spans: Vec<JaegerSpan>,
}

/// The document of a span, but for the hash in its id.
struct JaegerSpan {
    number: u64,
    index: String,
    trace_and_span: Vec<u8>,
    source: Vec<u8>,
}

impl Encoder {
    /// Encodes the records of a batch from number `from` on into one request: the documents of all may take any multiple of
    /// the batch, since each repeats its resource.
    pub(super) fn encode(&self, batch: &Batch, from: u64) -> Encoded<BulkRequest> {
        let mut bulk = Bulk {
            encoder: self,
            batch,
            stream: self.stream(batch.tenant.as_str()),
            packer: Packer::new(self.max_bytes),
            source: Vec::with_capacity(2048),
            origin: Sha256::new(),
            dropped: Vec::new(),
            seen: 0,
            from,
            next: None,
            repeated: Repeated::default(),
            announced: HashSet::new(),
            records: hashbrown::HashSet::new(),
            spans: Vec::with_capacity(jaeger::LANES),
        };
        match batch.signal {
            Signal::Traces => bulk.traces(),
            Signal::Logs => bulk.logs(),
            Signal::Metrics => bulk.drop(batch.items, "unsupported_signal", "opensearch takes no metrics".into()),
        }
        Encoded { requests: bulk.packer.finish().into_iter().collect(), dropped: bulk.dropped, next: bulk.next }
    }

    /// What documents of a tenant say they are of.
    fn stream(&self, tenant: &str) -> DataStream<'_> {
        DataStream { dataset: for_tenant(&self.dataset, tenant), namespace: for_tenant(&self.namespace, tenant) }
    }
}

impl Bulk<'_> {
    fn traces(&mut self) {
        for resource in TracesView::new(&self.batch.bytes).resource_spans() {
            if self.next.is_some() {
                return;
            }
            let of_resource = size(resource.resource().attributes());
            for scope in resource.scope_spans() {
                if scope.spans().next().is_none() {
                    continue;
                }
                let around = Surroundings {
                    resource: resource.resource(),
                    resource_schema_url: resource.schema_url(),
                    scope: scope.scope(),
                    scope_schema_url: scope.schema_url(),
                };
                if self.are_shared_too_large(of_resource + size(around.scope.attributes()), || scope.spans().count())
                    || self.is_over(|| scope.spans().count())
                {
                    continue;
                }
                match &self.encoder.schema {
                    Schema::Jaeger { prefix } => {
                        let service = jaeger::service_name(&around);
                        let write = |bulk: &mut Self, number, span: &_| {
                            bulk.jaeger_span(number, span, &around, &service, prefix);
                        };
                        self.each(scope.spans(), write);
                        self.finish_jaeger_spans();
                    }
                    Schema::Bodymap => {
                        let detail = "mapping::mode bodymap takes no traces".to_owned();
                        self.drop(scope.spans().count() as u64, "unsupported_signal", detail);
                    }
                    Schema::Ss4o | Schema::Ecs(_) => {
                        let mut writer = ss4o::Writer::new(&around, &self.stream, "span");
                        self.begin(&around, &writer);
                        self.each(scope.spans(), |bulk, number, span| bulk.span(number, span, &around, &mut writer));
                    }
                }
            }
        }
    }

    fn logs(&mut self) {
        for resource in LogsView::new(&self.batch.bytes).resource_logs() {
            if self.next.is_some() {
                return;
            }
            let of_resource = size(resource.resource().attributes());
            for scope in resource.scope_logs() {
                if scope.log_records().next().is_none() {
                    continue;
                }
                let around = Surroundings {
                    resource: resource.resource(),
                    resource_schema_url: resource.schema_url(),
                    scope: scope.scope(),
                    scope_schema_url: scope.schema_url(),
                };
                if self.encoder.ids && self.next.is_none() {
                    let before = self.from.saturating_sub(self.seen);
                    for log in scope.log_records().take(before as usize) {
                        self.is_first(log.bytes());
                    }
                }
                if self
                    .are_shared_too_large(of_resource + size(around.scope.attributes()), || scope.log_records().count())
                    || self.is_over(|| scope.log_records().count())
                {
                    continue;
                }
                self.logs_of(scope.log_records(), &around);
            }
        }
    }

    fn span<'b>(&mut self, number: u64, span: &Span<'b>, around: &Surroundings<'_>, writer: &mut ss4o::Writer<'b>) {
        self.source.clear();
        writer.span(&mut Json::new(&mut self.source), span);
        let name = self.encoder.traces_index.name(&Source {
            record: span.attributes(),
            scope: around.scope.attributes(),
            resource: around.resource.attributes(),
            tenant: self.batch.tenant.as_str(),
            nanos: span.start_time_unix_nano(),
        });
        self.document(number, &name, span.bytes());
    }

    fn logs_of<'b>(&mut self, logs: impl Iterator<Item = LogRecord<'b>>, around: &Surroundings<'b>) {
        let mut ss4o_writer = ss4o::Writer::new(around, &self.stream, "record");
        self.begin(around, &ss4o_writer);
        match &self.encoder.schema {
            Schema::Ecs(layout) => {
                let mut writer = ecs::Writer::new(around, layout);
                self.each(logs, |bulk, number, log| bulk.log(number, log, around, |json| writer.log(json, log)));
            }
            Schema::Bodymap => self.each(logs, |bulk, number, log| match log.body() {
                Some(body @ Value::Map(_)) => bulk.log(number, log, around, |json| json.value(body)),
                _ => {
                    let detail = "mapping::mode bodymap takes only log records whose body is a map".to_owned();
                    bulk.drop(1, "body_is_no_map", detail);
                }
            }),
            Schema::Ss4o => {
                self.each(logs, |bulk, number, log| bulk.log(number, log, around, |json| ss4o_writer.log(json, log)));
            }
            Schema::Jaeger { .. } => {
                let detail = "mapping::mode jaeger takes no logs".to_owned();
                self.drop(logs.count() as u64, "unsupported_signal", detail);
            }
        }
    }

    fn log(&mut self, number: u64, log: &LogRecord<'_>, around: &Surroundings<'_>, write: impl FnOnce(&mut Json<'_>)) {
        self.source.clear();
        write(&mut Json::new(&mut self.source));
        let name = self.encoder.logs_index.name(&Source {
            record: log.attributes(),
            scope: around.scope.attributes(),
            resource: around.resource.attributes(),
            tenant: self.batch.tenant.as_str(),
            nanos: time_of(log),
        });
        self.document(number, &name, log.bytes());
    }

    /// Takes note of what is around the documents to come.
    fn begin(&mut self, around: &Surroundings<'_>, writer: &ss4o::Writer<'_>) {
        self.origin = Sha256::new();
        let [resource, scope] = writer.shared();
        for part in [
            self.batch.tenant.as_str().as_bytes(),
            around.resource_schema_url.as_bytes(),
            around.scope_schema_url.as_bytes(),
            resource,
            scope,
        ] {
            self.origin.update((part.len() as u64).to_le_bytes());
            self.origin.update(part);
        }
    }

    /// Adds what stands in `source` as a document. Its id is made from the record's encoding and what is around it, so
    /// that a batch that is sent again makes no second document.
    fn document(&mut self, number: u64, index: &str, record: &[u8]) {
        let id = self.encoder.ids.then(|| self.id(number, record)).map(hex::encode);
        let (action, source) = (self.encoder.action, &self.source);
        let action_line = |out: &mut _| action_line(out, action, index, id.as_deref());
        let had_room = self.packer.add(1, None, action_line, |out| out.extend_from_slice(source));
        self.note(number, had_room);
    }

    /// Equal spans are one, but a service may log the same twice in a millisecond: each but the first has its number in
    /// its id.
    fn id(&mut self, number: u64, record: &[u8]) -> [u8; ID_BYTES] {
        let mut hash = self.origin.clone().chain_update(record);
        if self.batch.signal == Signal::Logs && !self.is_first(record) {
            hash.update(number.to_le_bytes());
        }
        let mut id = [0; ID_BYTES];
        id.copy_from_slice(&hash.finalize()[..ID_BYTES]);
        id
    }

    /// Takes note of a record, and says whether no equal one came by, of whatever resource.
    fn is_first(&mut self, record: &[u8]) -> bool {
        self.records.insert(self.encoder.hasher.hash_one(record))
    }

    fn jaeger_span(&mut self, number: u64, span: &Span<'_>, around: &Surroundings<'_>, service: &str, prefix: &str) {
        let mut source = Vec::with_capacity(2048);
        jaeger::span(&mut source, span, around, service);
        let date = day(span.start_time_unix_nano());
        self.announce(number, service, span, prefix, &date);
        let index = format!("{prefix}jaeger-span-{date}");
        self.spans.push(JaegerSpan { number, index, trace_and_span: jaeger::trace_and_span(span), source });
        if self.spans.len() == jaeger::LANES {
            self.finish_jaeger_spans();
        }
    }

    /// Adds the documents of spans that wait.
    fn finish_jaeger_spans(&mut self) {
        let spans = std::mem::take(&mut self.spans);
        let mut sources = [&[][..]; jaeger::LANES];
        sources.iter_mut().zip(&spans).for_each(|(source, span)| *source = &span.source);
        let hashes = if self.encoder.ids { jaeger::fnv1a_64_of_each(sources) } else { [0; jaeger::LANES] };
        for (span, hash) in spans.iter().zip(hashes) {
            let id = self.encoder.ids.then(|| jaeger::document_id(&span.trace_and_span, hash));
            if self.next.is_some_and(|next| next <= span.number) {
                break;
            }
            let action_line = |out: &mut _| action_line(out, self.encoder.action, &span.index, id.as_deref());
            let had_room = self.packer.add(1, None, action_line, |out| out.extend_from_slice(&span.source));
            self.note(span.number, had_room);
        }
    }

    /// Adds which operation the service has, unless the index knows.
    fn announce(&mut self, number: u64, service: &str, span: &Span<'_>, prefix: &str, date: &str) {
        let id = jaeger::service_id(service, span.name());
        let key = ServiceKey { id, day: span.start_time_unix_nano() / 86_400_000_000_000 };
        if !self.encoder.services.is_new(key.id, key.day, Instant::now()) || !self.announced.insert(key) {
            return;
        }
        let index = format!("{prefix}jaeger-service-{date}");
        let id = self.encoder.ids.then(|| format!("{id:x}"));
        // Written again by every sidecar and after every restart: overwriting is right whatever the action is.
        let action_line = |out: &mut _| action_line(out, "index", &index, id.as_deref());
        let had_room = self.packer.add(0, Some(key), action_line, |out| jaeger::service(out, service, span.name()));
        self.note(number, had_room);
    }

    /// Drops the records of a scope if what surrounds them would take too much with all records that came by: each document
    /// repeats it.
    fn are_shared_too_large(&mut self, bytes: usize, records: impl Fn() -> usize) -> bool {
        if !self.repeated.is_too_much(bytes, || records() as u64) {
            return false;
        }
        let records = records() as u64;
        if self.seen >= self.from && self.next.is_none() {
            let detail = format!(
                "attributes of resource and scope take {bytes} bytes, at most {} can be sent with all records of a request",
                Repeated::MOST_BYTES
            );
            self.drop(records, "attributes_too_large", detail);
        }
        if self.next.is_none() {
            self.seen += records;
        }
        true
    }

    /// Whether a scope with so many records has nothing to encode: it was its turn before, or is another time.
    fn is_over(&mut self, records: impl FnOnce() -> usize) -> bool {
        if self.next.is_some() || self.seen >= self.from {
            return self.next.is_some();
        }
        let end = self.seen + records() as u64;
        let is_over = end <= self.from;
        self.seen = if is_over { end } else { self.seen };
        is_over
    }

    /// Writes those records whose turn it is.
    fn each<R>(&mut self, records: impl Iterator<Item = R>, mut write: impl FnMut(&mut Self, u64, &R)) {
        for record in records {
            let number = self.seen;
            self.seen += 1;
            if number >= self.from {
                write(self, number, &record);
            }
            if self.next.is_some() {
                break;
            }
        }
    }

    /// Takes note of the first record that had no room.
    fn note(&mut self, number: u64, had_room: bool) {
        if !had_room {
            self.next = Some(self.next.map_or(number, |next| next.min(number)));
        }
    }

    fn drop(&mut self, items: u64, reason: &'static str, detail: String) {
        match self.dropped.iter_mut().find(|dropped| dropped.reason == reason) {
            Some(dropped) => dropped.items += items,
            None if items > 0 => self.dropped.push(Dropped { items, reason, detail }),
            None => {}
        }
    }
}

/// About what attributes take in a document.
fn size<'a>(attributes: impl Iterator<Item = KeyValue<'a>>) -> usize {
    let of_value = |value: Value<'_>| match value {
        Value::Text(text) => text.len(),
        other => other.as_string().len(),
    };
    attributes.map(|attribute| attribute.key().len() + of_value(attribute.value())).sum()
}

fn action_line(out: &mut Vec<u8>, action: &str, index: &str, id: Option<&str>) {
    let mut json = Json::new(out);
    json.begin_object();
    json.key(action);
    json.begin_object();
    json.key("_index");
    json.text(index);
    if let Some(id) = id {
        json.key("_id");
        json.text(id);
    }
    json.end_object();
    json.end_object();
}
