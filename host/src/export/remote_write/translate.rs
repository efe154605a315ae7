//! Metrics as time series: which series a data point becomes, with which labels and values.

use std::borrow::Cow;
use std::collections::{BTreeSet, HashSet};
use std::rc::Rc;

use sluice_wire::view::{
    Data, Exemplar, ExponentialHistogramDataPoint, HistogramDataPoint, KeyValue, Metric, MetricsView, Number,
    NumberDataPoint, Resource, ResourceMetrics, Scope, SummaryDataPoint,
};

use super::labels::{BadLabel, Label, LabelNames, Source, encode, joined, settle};
use super::names::{Kind, Naming, in_name, label_name, metric_name, target_info_label_name, unit_name};
use super::native;
use super::series::{self, SeriesSet};
use super::{STALE_NAN, Translation};
use crate::export::Dropped;
use crate::export::repeated::Repeated;
use crate::export::text::{for_tenant, plain_double};

/// What the series of a batch may take beside four times the batch before the rest waits.
const ROOM: usize = 16 << 20;
/// Details of what was dropped from one batch; what more there is counts with the first of the same reason.
const MAX_DETAILS: usize = 100;
/// What labels of resource and scope may take together: each point costs a look at all of them.
const MAX_SHARED_BYTES: usize = 64 << 10;
/// What each series of a histogram or summary takes beside its labels; a bound in decimals has up to 330 characters.
const BUCKET_BYTES: usize = series::SERIES_BYTES + 400;
/// `AGGREGATION_TEMPORALITY_CUMULATIVE`.
const CUMULATIVE: i32 = 2;
/// `DATA_POINT_FLAGS_NO_RECORDED_VALUE_MASK`.
const NO_RECORDED_VALUE: u32 = 1;
/// Prometheus refuses exemplars with more text than this.
const MAX_EXEMPLAR_CHARS: usize = 128;

/// What a batch of metrics becomes, or as much of it as has room.
pub(crate) struct Translated {
    /// Its series.
    pub(crate) series: SeriesSet,
    /// Data points that can't be expressed.
    pub(crate) dropped: Vec<Dropped>,
    /// Names, types, units and descriptions, if they are wanted.
    pub(crate) metadata: BTreeSet<Metadata>,
    /// The first point that there was no room for.
    pub(crate) next: Option<u64>,
}

/// What is known about a metric family.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Metadata {
    /// `MetricMetadata.MetricType`.
    pub(crate) kind: u64,
    /// The family's name.
    pub(crate) family: String,
    /// Its description.
    pub(crate) help: String,
    /// Its unit.
    pub(crate) unit: String,
}

/// Translates the points of a tenant's request from number `from` on, as many as fit into memory: each series repeats
/// labels of its resource, its scope and its point.
pub(crate) fn translate(translation: &Translation, tenant: &str, bytes: &[u8], from: u64) -> Translated {
    let mut translator = Translator {
        translation,
        tenant,
        namespace: for_tenant(&translation.namespace, &in_name(tenant)),
        names: LabelNames::new(translation.naming),
        // What is left out of a request and what names get longer is about the same.
        series: SeriesSet::with_capacity(bytes.len()),
        dropped: Vec::new(),
        metadata: BTreeSet::new(),
        from,
        seen: 0,
        next: None,
        room: ROOM + 4 * bytes.len(),
        repeated: Repeated::default(),
    };
    for resource in MetricsView::new(bytes).resource_metrics() {
        translator.resource(&resource);
    }
    let Translator { series, dropped, metadata, next, .. } = translator;
    Translated { series, dropped, metadata, next }
}

struct Translator<'a> {
    translation: &'a Translation,
    tenant: &'a str,
    /// Prefix of all names.
    namespace: Cow<'a, str>,
    names: LabelNames<'a>,
    series: SeriesSet,
    dropped: Vec<Dropped>,
    metadata: BTreeSet<Metadata>,
    /// How many points came by, and which is the first to translate.
    seen: u64,
    from: u64,
    next: Option<u64>,
    /// How many bytes series may take.
    room: usize,
    repeated: Repeated,
}

/// What all points of a metric share.
struct Family<'a, 'b> {
    name: String,
    /// Labels of target and scope.
    shared: &'b [Label<'a>],
    resource: &'b ResourceLabels<'a>,
}

/// The attributes of a resource that become labels of its points.
#[derive(Default)]
struct ResourceLabels<'a> {
    attributes: Vec<KeyValue<'a>>,
    keys: HashSet<&'a str>,
}

impl<'a> Translator<'a> {
    fn resource(&mut self, metrics: &ResourceMetrics<'a>) {
        let resource = metrics.resource();
        let labels = self.resource_labels(&resource);
        let of_resource: usize = labels.attributes.iter().map(|a| a.key().len() + a.value().as_string().len()).sum();
        let mut shared = self.target_labels(&resource);
        let of_target = shared.len();
        let mut latest_nanos = 0;
        for scope in metrics.scope_metrics().filter(|scope| scope.metrics().next().is_some()) {
            shared.truncate(of_target);
            if self.translation.scope_info {
                scope_labels(self.translation.naming, &mut shared, &scope.scope());
            }
            let bytes = of_resource + size(&shared);
            for metric in scope.metrics() {
                let latest = match self.are_shared_too_large(bytes, &metric) {
                    None => self.metric(&metric, &shared, &labels),
                    Some(detail) => self.drop_all(&metric.data(), "labels_too_large", detail),
                };
                latest_nanos = latest_nanos.max(latest);
            }
        }
        if self.translation.target_info && self.seen > self.from && self.next.is_none() {
            self.target_info(&resource, latest_nanos);
        }
    }

    fn resource_labels(&self, resource: &Resource<'a>) -> ResourceLabels<'a> {
        if !self.translation.resource_labels {
            return ResourceLabels::default();
        }
        let is_taken = |a: &KeyValue<'_>| !self.translation.exclude_service_attributes || !is_identifying(a.key());
        let mut attributes: Vec<_> = resource.attributes().filter(is_taken).collect();
        let mut keys = HashSet::with_capacity(attributes.len());
        // Of several with one key the last replaces the others.
        attributes.reverse();
        attributes.retain(|attribute| keys.insert(attribute.key()));
        ResourceLabels { attributes, keys }
    }

    /// `job`, `instance`, external labels and the tenant.
    fn target_labels(&self, resource: &Resource<'a>) -> Vec<Label<'a>> {
        let mut labels = Vec::new();
        for (name, value) in &self.translation.external_labels {
            labels.push(Label::new(Source::External, Rc::from(name.as_str()), value.clone()));
        }
        if let Some(name) = &self.translation.tenant_label {
            labels.push(Label::new(Source::Target, Rc::from(name.as_str()), self.tenant));
        }
        let find = |key: &str| {
            let found = resource.attributes().find(|a| a.key() == key).map(|a| a.value().as_string());
            found.filter(|value| !value.is_empty())
        };
        if self.translation.naming == Naming::Adot2021 {
            // Only attributes of these very names became labels then.
            for name in ["job", "instance"] {
                labels.extend(find(name).map(|value| Label::new(Source::Target, name, value)));
            }
            return labels;
        }
        if let Some(service) = find("service.name") {
            let job = find("service.namespace").map(|namespace| format!("{namespace}/{service}"));
            labels.push(Label::new(Source::Target, "job", job.map_or(service, Into::into)));
        }
        labels.extend(find("service.instance.id").map(|id| Label::new(Source::Target, "instance", id)));
        labels
    }

    /// Translates one metric and gives the latest time of its points.
    fn metric(&mut self, metric: &Metric<'a>, shared: &[Label<'a>], resource: &ResourceLabels<'a>) -> u64 {
        let data = metric.data();
        let kind = match &data {
            Data::Gauge { .. } => Kind::Gauge,
            Data::Sum { monotonic: true, .. } => Kind::MonotonicSum,
            _ => Kind::Other,
        };
        let naming = self.translation.naming;
        let name = metric_name(naming, &self.namespace, metric.name(), metric.unit(), kind);
        let Some(name) = name else {
            let detail = format!("metric {:?} has no valid name", metric.name());
            return self.drop_all(&data, "invalid_metric_name", detail);
        };
        if let Some(temporality) = temporality(&data).filter(|temporality| *temporality != CUMULATIVE) {
            let found = if temporality == 1 { "delta" } else { "unspecified" };
            let detail = format!(
                "metric {:?} has {found} temporality, Prometheus only knows cumulative; convert it before this exporter",
                metric.name()
            );
            return self.drop_all(&data, "invalid_temporality", detail);
        }
        if self.translation.metadata && self.seen >= self.from && self.next.is_none() {
            self.add_metadata(metric, &name, &data);
        }
        let family = Family { name, shared, resource };
        self.points(&family, data)
    }

    fn points(&mut self, family: &Family<'a, '_>, data: Data<'a>) -> u64 {
        let mut latest = 0;
        let mut seen = |nanos: u64| latest = latest.max(nanos);
        match data {
            Data::None => {}
            Data::Gauge { points } | Data::Sum { points, .. } => points.for_each(|point| {
                seen(point.time_unix_nano());
                if self.turn() {
                    self.number(family, &point);
                }
            }),
            Data::Histogram { points, .. } => points.for_each(|point| {
                seen(point.time_unix_nano());
                if self.turn() {
                    self.histogram(family, &point);
                }
            }),
            Data::ExponentialHistogram { points, .. } => points.for_each(|point| {
                seen(point.time_unix_nano());
                if self.turn() {
                    self.exponential(family, &point);
                }
            }),
            Data::Summary { points } => points.for_each(|point| {
                seen(point.time_unix_nano());
                if self.turn() {
                    self.summary(family, &point);
                }
            }),
        }
        latest
    }

    /// What is wrong if labels of resource and scope take too much for the points of a metric.
    fn are_shared_too_large(&mut self, bytes: usize, metric: &Metric<'_>) -> Option<String> {
        let told = |limit: u64, of: &str| {
            let name = metric.name();
            Some(format!(
                "labels of resource and scope of {name:?} take {bytes} bytes, at most {limit} can be sent{of}"
            ))
        };
        if bytes > MAX_SHARED_BYTES {
            return told(MAX_SHARED_BYTES as u64, "");
        }
        match self.repeated.is_too_much(bytes, || points(&metric.data())) {
            true => told(Repeated::MOST_BYTES, " with all points of a request"),
            false => None,
        }
    }

    /// Whether it is the turn of the point that comes now.
    fn turn(&mut self) -> bool {
        let number = self.seen;
        self.seen += 1;
        if number < self.from || self.next.is_some() {
            return false;
        }
        if self.series.size_hint() > self.room {
            self.next = Some(number);
        }
        self.next.is_none()
    }

    fn number(&mut self, family: &Family<'a, '_>, point: &NumberDataPoint<'a>) {
        let Some(labels) = self.labels(family, point.attributes()) else { return };
        let value = match point.value() {
            Number::Integer(value) => value as f64,
            Number::Double(value) => value,
            Number::None => 0.0,
        };
        let value = recorded(point.flags(), value);
        let series = self.sample(&labels, &family.name, "", None, point.time_unix_nano(), value);
        self.series.count_point(series);
        for exemplar in point.exemplars() {
            self.exemplar(series, &exemplar);
        }
    }

    fn histogram(&mut self, family: &Family<'a, '_>, point: &HistogramDataPoint<'a>) {
        let Some(labels) = self.labels(family, point.attributes()) else { return };
        if !self.has_room(family, &labels, 3 + point.explicit_bounds().count()) {
            return;
        }
        let (name, nanos, flags) = (&family.name, point.time_unix_nano(), point.flags());
        let count = self.sample(&labels, name, "_count", None, nanos, recorded(flags, point.count() as f64));
        self.series.count_point(count);
        if let Some(sum) = point.sum() {
            self.sample(&labels, name, "_sum", None, nanos, recorded(flags, sum));
        }
        // The largest bound so far, and the series of the bucket; bounds ascend if the sender is right.
        let mut buckets = Vec::new();
        let (mut largest, mut cumulative) = (f64::NEG_INFINITY, 0u64);
        for (bound, count) in point.explicit_bounds().zip(point.bucket_counts()) {
            cumulative = cumulative.saturating_add(count);
            if bound.is_finite() {
                let le = plain_double(bound);
                let value = recorded(flags, cumulative as f64);
                largest = largest.max(bound);
                buckets.push((largest, self.sample(&labels, name, "_bucket", Some(("le", &le)), nanos, value)));
            }
        }
        let value = recorded(flags, point.count() as f64);
        buckets.push((f64::INFINITY, self.sample(&labels, name, "_bucket", Some(("le", "+Inf")), nanos, value)));
        for exemplar in point.exemplars() {
            let measured = exemplar_value(&exemplar);
            let below = buckets.partition_point(|(largest, _)| *largest < measured || measured.is_nan());
            let bucket = buckets.get(below).or(buckets.last());
            if let Some((_, series)) = bucket {
                self.exemplar(*series, &exemplar);
            }
        }
    }

    fn exponential(&mut self, family: &Family<'a, '_>, point: &ExponentialHistogramDataPoint<'a>) {
        let Some(labels) = self.labels(family, point.attributes()) else { return };
        let histogram = match native::encode(point, point.flags() & NO_RECORDED_VALUE != 0) {
            Ok(histogram) => histogram,
            Err(native::Unrepresentable::Scale(scale)) => {
                let detail = format!("exponential histogram {:?} has scale {scale}, below -4", family.name);
                return self.drop(1, "invalid_scale", detail);
            }
            Err(native::Unrepresentable::Buckets(buckets)) => {
                let detail = format!("exponential histogram {:?} has {buckets} buckets or more", family.name);
                return self.drop(1, "too_many_buckets", detail);
            }
            Err(native::Unrepresentable::Count(count)) => {
                let detail = format!(
                    "exponential histogram {:?} has a count of {count}, which its buckets can't have",
                    family.name
                );
                return self.drop(1, "invalid_count", detail);
            }
        };
        let series = self.series.find(|out| encode(out, &labels, &family.name, None));
        self.series.histogram(series, millis(point.time_unix_nano()), histogram);
        self.series.count_point(series);
        for exemplar in point.exemplars() {
            self.exemplar(series, &exemplar);
        }
    }

    fn summary(&mut self, family: &Family<'a, '_>, point: &SummaryDataPoint<'a>) {
        let Some(labels) = self.labels(family, point.attributes()) else { return };
        if !self.has_room(family, &labels, 2 + point.quantile_values().count()) {
            return;
        }
        let (name, nanos, flags) = (&family.name, point.time_unix_nano(), point.flags());
        let count = self.sample(&labels, name, "_count", None, nanos, recorded(flags, point.count() as f64));
        self.series.count_point(count);
        self.sample(&labels, name, "_sum", None, nanos, recorded(flags, point.sum()));
        for at in point.quantile_values() {
            let quantile = plain_double(at.quantile());
            let value = recorded(flags, at.value());
            self.sample(&labels, name, "", Some(("quantile", &quantile)), nanos, value);
        }
    }

    /// All labels of a point but its name; none, and the point dropped, if an attribute has no valid name.
    fn labels(
        &mut self,
        family: &Family<'a, '_>,
        attributes: impl Iterator<Item = KeyValue<'a>>,
    ) -> Option<Vec<Label<'a>>> {
        let ResourceLabels { attributes: of_resource, keys } = family.resource;
        let labels = match of_resource.is_empty() {
            true => self.names.labels(family.shared, attributes),
            false => {
                // A resource attribute replaces the point's own of the same key.
                let own = attributes.filter(|own| !keys.contains(own.key()));
                self.names.labels(family.shared, own.chain(of_resource.iter().copied()))
            }
        };
        let bad_label = |bad: BadLabel| {
            let detail = format!("attribute {:?} of {:?} has no valid name", bad.0, family.name);
            self.drop(1, "invalid_label_name", detail);
        };
        labels.map_err(bad_label).ok()
    }

    /// Whether so many series of a point fit into memory; if not, the point is dropped.
    fn has_room(&mut self, family: &Family<'a, '_>, labels: &[Label<'a>], series: usize) -> bool {
        let each = family.name.len() + size(labels);
        let has_room = (each + BUCKET_BYTES).saturating_mul(series) <= self.room;
        if !has_room {
            let name = &family.name;
            let detail = format!("a point of {name:?} would become {series} series, each with {each} bytes of labels");
            self.drop(1, "labels_too_large", detail);
        }
        has_room
    }

    fn sample(
        &mut self,
        labels: &[Label<'_>],
        name: &str,
        suffix: &str,
        extra: Option<(&str, &str)>,
        nanos: u64,
        value: f64,
    ) -> usize {
        let series = match suffix {
            "" => self.series.find(|out| encode(out, labels, name, extra)),
            suffix => self.series.find(|out| encode(out, labels, &format!("{name}{suffix}"), extra)),
        };
        self.series.sample(series, millis(nanos), value);
        series
    }

    /// Adds an exemplar, unless there is no more room: a point may have any number of them.
    fn exemplar(&mut self, series: usize, exemplar: &Exemplar<'a>) {
        if self.series.size_hint() > self.room {
            return;
        }
        let mut labels = Vec::new();
        let ids = [("trace_id", exemplar.trace_id()), ("span_id", exemplar.span_id())];
        labels.extend(ids.into_iter().filter(|(_, id)| !id.is_empty()).map(|(name, id)| (name, hex::encode(id))));
        let ids_chars: usize = labels.iter().map(|(name, value)| name.len() + value.len()).sum();
        let attributes: Vec<_> = exemplar.filtered_attributes().map(|a| (a.key(), a.value().as_string())).collect();
        let chars = |(key, value): &(&str, _)| key.chars().count() + AsRef::<str>::as_ref(value).chars().count();
        if ids_chars + attributes.iter().map(chars).sum::<usize>() <= MAX_EXEMPLAR_CHARS {
            labels.extend(attributes.into_iter().map(|(key, value)| (key, value.into_owned())));
        }
        labels.sort_unstable();
        let (value, time_ms) = (exemplar_value(exemplar), millis(exemplar.time_unix_nano()));
        self.series.exemplar(series, &series::Exemplar { labels, value, time_ms });
    }

    /// One series a resource that says what else is known about it.
    fn target_info(&mut self, resource: &Resource<'a>, nanos: u64) {
        let others = resource.attributes().filter(|attribute| !is_identifying(attribute.key()));
        let named = others.filter_map(|attribute| {
            let (key, value) = (attribute.key(), attribute.value().as_string());
            let name = target_info_label_name(key).filter(|_| !value.is_empty())?;
            Some((Rc::from(name), key, value))
        });
        let mut labels = joined(named.collect());
        if labels.is_empty() || nanos == 0 {
            return;
        }
        labels.extend(self.target_labels(resource));
        settle(&mut labels);
        if !labels.iter().any(|label| matches!(&*label.name, "job" | "instance")) {
            return;
        }
        let namespace = &self.namespace;
        let name = if namespace.is_empty() { "target_info".into() } else { format!("{namespace}_target_info") };
        let series = self.sample(&labels, &name, "", None, nanos, 1.0);
        self.series.stand_alone(series);
    }

    fn add_metadata(&mut self, metric: &Metric<'a>, family: &str, data: &Data<'a>) {
        // What came from Prometheus, whose other types OpenTelemetry does not have.
        let of_type = metric.metadata().find(|attribute| attribute.key() == "prometheus.type");
        let prometheus_type = of_type.map(|attribute| attribute.value().as_string()).unwrap_or_default();
        let kind = match data {
            Data::Sum { monotonic: true, .. } => 1,
            Data::Gauge { .. } if prometheus_type == "unknown" => 0,
            Data::Sum { .. } if prometheus_type == "info" => 6,
            Data::Sum { .. } if prometheus_type == "stateset" => 7,
            Data::Gauge { .. } | Data::Sum { .. } => 2,
            Data::Histogram { .. } | Data::ExponentialHistogram { .. } => 3,
            Data::Summary { .. } => 5,
            Data::None => 0,
        };
        let (help, unit) = (metric.description().to_owned(), unit_name(metric.unit()));
        self.metadata.insert(Metadata { kind, family: family.to_owned(), help, unit });
    }

    /// Drops all points of a metric, when it is their turn, and gives their latest time.
    fn drop_all(&mut self, data: &Data<'_>, reason: &'static str, detail: String) -> u64 {
        let points = points(data);
        if self.seen >= self.from && self.next.is_none() {
            self.drop(points, reason, detail);
        }
        self.seen += points;
        times(data).max().unwrap_or_default()
    }

    fn drop(&mut self, items: u64, reason: &'static str, detail: String) {
        let has_room = self.dropped.len() < MAX_DETAILS;
        let is_same = |dropped: &&mut Dropped| dropped.reason == reason && (!has_room || dropped.detail == detail);
        match self.dropped.iter_mut().find(is_same) {
            Some(dropped) => dropped.items += items,
            None => self.dropped.push(Dropped { items, reason, detail }),
        }
    }
}

fn scope_labels<'a>(naming: Naming, labels: &mut Vec<Label<'a>>, scope: &Scope<'a>) {
    let own = [("otel_scope_name", scope.name()), ("otel_scope_version", scope.version())];
    let own = own.into_iter().filter(|(_, value)| !value.is_empty());
    labels.extend(own.map(|(name, value)| Label::new(Source::Scope, name, value)));
    for attribute in scope.attributes() {
        let value = attribute.value().as_string();
        if matches!(attribute.key(), "name" | "version" | "schema_url") || value.is_empty() {
            continue;
        }
        if let Some(name) = label_name(naming, &format!("otel_scope_{}", attribute.key())) {
            labels.push(Label::new(Source::Scope, name, value));
        }
    }
}

fn is_identifying(key: &str) -> bool {
    matches!(key, "service.name" | "service.namespace" | "service.instance.id")
}

/// What labels take.
fn size(labels: &[Label<'_>]) -> usize {
    labels.iter().map(|label| label.name.len() + label.value.len()).sum()
}

fn points(data: &Data<'_>) -> u64 {
    times(data).count() as u64
}

/// The times of all points.
fn times<'a>(data: &Data<'a>) -> Box<dyn Iterator<Item = u64> + 'a> {
    match data.clone() {
        Data::None => Box::new(std::iter::empty()),
        Data::Gauge { points } | Data::Sum { points, .. } => Box::new(points.map(|point| point.time_unix_nano())),
        Data::Histogram { points, .. } => Box::new(points.map(|point| point.time_unix_nano())),
        Data::ExponentialHistogram { points, .. } => Box::new(points.map(|point| point.time_unix_nano())),
        Data::Summary { points } => Box::new(points.map(|point| point.time_unix_nano())),
    }
}

fn temporality(data: &Data<'_>) -> Option<i32> {
    match data {
        Data::Sum { temporality, .. }
        | Data::Histogram { temporality, .. }
        | Data::ExponentialHistogram { temporality, .. } => Some(*temporality),
        _ => None,
    }
}

fn millis(nanos: u64) -> i64 {
    (nanos / 1_000_000) as i64
}

fn recorded(flags: u32, value: f64) -> f64 {
    if flags & NO_RECORDED_VALUE != 0 { f64::from_bits(STALE_NAN) } else { value }
}

fn exemplar_value(exemplar: &Exemplar<'_>) -> f64 {
    match exemplar.value() {
        Number::Integer(value) => value as f64,
        Number::Double(value) => value,
        Number::None => 0.0,
    }
}
