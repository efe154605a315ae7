//! Views of metrics: `ExportMetricsServiceRequest` down to metrics and their data.

use crate::cursor::Cursor;
use crate::cursor::keys::{LEN_1, LEN_2, LEN_3, LEN_5, LEN_7, LEN_9, LEN_10, LEN_11, VARINT_2, VARINT_3};

use super::common::{KeyValue, Resource, Scope};
use super::message::{Each, Message, text};
use super::points::{ExponentialHistogramDataPoint, HistogramDataPoint, NumberDataPoint, Points, SummaryDataPoint};
use super::traces::Container;

/// An `ExportMetricsServiceRequest` (or `MetricsData`).
#[derive(Clone, Copy, Debug, Default)]
pub struct MetricsView<'a>(&'a [u8]);

impl<'a> MetricsView<'a> {
    /// Reads validated bytes.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// Resources with their metrics.
    pub fn resource_metrics(&self) -> Each<'a, ResourceMetrics<'a>> {
        Message::new(self.0).each(1)
    }
}

/// A resource with its metrics.
#[derive(Clone, Copy, Debug, Default)]
pub struct ResourceMetrics<'a>(Container<'a>);

impl<'a> From<&'a [u8]> for ResourceMetrics<'a> {
    fn from(bytes: &'a [u8]) -> Self {
        Self(bytes.into())
    }
}

impl<'a> ResourceMetrics<'a> {
    /// The resource.
    pub fn resource(&self) -> Resource<'a> {
        Resource::new(&self.0.owner)
    }

    /// Scopes with their metrics.
    pub fn scope_metrics(&self) -> Each<'a, ScopeMetrics<'a>> {
        self.0.children()
    }

    /// The schema of the resource.
    pub fn schema_url(&self) -> &'a str {
        text(self.0.schema_url)
    }
}

/// A scope with its metrics.
#[derive(Clone, Copy, Debug, Default)]
pub struct ScopeMetrics<'a>(Container<'a>);

impl<'a> From<&'a [u8]> for ScopeMetrics<'a> {
    fn from(bytes: &'a [u8]) -> Self {
        Self(bytes.into())
    }
}

impl<'a> ScopeMetrics<'a> {
    /// The scope.
    pub fn scope(&self) -> Scope<'a> {
        Scope::new(&self.0.owner)
    }

    /// The metrics.
    pub fn metrics(&self) -> Each<'a, Metric<'a>> {
        self.0.children()
    }

    /// The schema of scope and metrics.
    pub fn schema_url(&self) -> &'a str {
        text(self.0.schema_url)
    }
}

/// A metric.
#[derive(Clone, Copy, Debug, Default)]
pub struct Metric<'a> {
    bytes: &'a [u8],
    name: &'a [u8],
    description: &'a [u8],
    unit: &'a [u8],
    data_key: u32,
    data: &'a [u8],
}

impl<'a> From<&'a [u8]> for Metric<'a> {
    fn from(bytes: &'a [u8]) -> Self {
        let mut metric = Self { bytes, ..Self::default() };
        let mut data_start = 0;
        let mut cursor = Cursor::new(bytes);
        while let Some(item) = cursor.item() {
            let content = bytes.get(item.start..item.end).unwrap_or_default();
            match item.key {
                LEN_1 => metric.name = content,
                LEN_2 => metric.description = content,
                LEN_3 => metric.unit = content,
                LEN_5 | LEN_7 | LEN_9 | LEN_10 | LEN_11 => {
                    if metric.data_key != item.key {
                        (metric.data_key, data_start) = (item.key, item.at);
                    }
                    metric.data = bytes.get(data_start..item.end).unwrap_or_default();
                }
                _ => {}
            }
        }
        metric
    }
}

impl<'a> Metric<'a> {
    /// Its name.
    pub fn name(&self) -> &'a str {
        text(self.name)
    }

    /// Its description.
    pub fn description(&self) -> &'a str {
        text(self.description)
    }

    /// Its unit, as UCUM has it.
    pub fn unit(&self) -> &'a str {
        text(self.unit)
    }

    /// Further attributes of the metric itself.
    pub fn metadata(&self) -> Each<'a, KeyValue<'a>> {
        Message::new(self.bytes).each(12)
    }

    /// Its data. Several fields of one kind are merged; of several kinds the last counts.
    pub fn data(&self) -> Data<'a> {
        let message = Message::merged(self.data, self.data_key);
        let (mut temporality, mut monotonic) = (0, false);
        if matches!(self.data_key, LEN_7 | LEN_9 | LEN_10) {
            for piece in message.fields() {
                match piece.key {
                    VARINT_2 => temporality = piece.scalar as i32,
                    VARINT_3 => monotonic = piece.scalar != 0,
                    _ => {}
                }
            }
        }
        match self.data_key {
            LEN_5 => Data::Gauge { points: message.each(1) },
            LEN_7 => Data::Sum { points: message.each(1), temporality, monotonic },
            LEN_9 => Data::Histogram { points: message.each(1), temporality },
            LEN_10 => Data::ExponentialHistogram { points: message.each(1), temporality },
            LEN_11 => Data::Summary { points: message.each(1) },
            _ => Data::None,
        }
    }
}

/// The data of a metric. `temporality` is the number of its `AggregationTemporality`.
#[derive(Clone, Debug, Default)]
pub enum Data<'a> {
    /// There is none.
    #[default]
    None,
    /// Current values.
    Gauge {
        /// Its data points.
        points: Points<'a, NumberDataPoint<'a>>,
    },
    /// Sums.
    Sum {
        /// Its data points.
        points: Points<'a, NumberDataPoint<'a>>,
        /// Delta or cumulative.
        temporality: i32,
        /// Whether it only grows.
        monotonic: bool,
    },
    /// Histograms with explicit bounds.
    Histogram {
        /// Its data points.
        points: Points<'a, HistogramDataPoint<'a>>,
        /// Delta or cumulative.
        temporality: i32,
    },
    /// Histograms with exponential bounds.
    ExponentialHistogram {
        /// Its data points.
        points: Points<'a, ExponentialHistogramDataPoint<'a>>,
        /// Delta or cumulative.
        temporality: i32,
    },
    /// Quantiles.
    Summary {
        /// Its data points.
        points: Points<'a, SummaryDataPoint<'a>>,
    },
}
