//! Time series in the making: samples of one series stand together, in the order of their times.

use hashbrown::{DefaultHashBuilder, HashTable};
use std::hash::BuildHasher;

use super::proto::{put_bytes, put_double, put_integer, put_text, put_varint, varint_size};

/// All series of a batch.
#[derive(Default)]
pub(crate) struct SeriesSet {
    hasher: DefaultHashBuilder,
    index: HashTable<u32>,
    series: Vec<Series>,
    /// Encoded labels of all series.
    labels: Vec<u8>,
}

/// One series.
struct Series {
    hash: u64,
    labels: std::ops::Range<usize>,
    samples: Vec<Sample>,
    /// Encoded `Exemplar` fields.
    exemplars: Vec<u8>,
    /// Encoded `Histogram` messages with their times.
    histograms: Vec<(i64, Vec<u8>)>,
    /// Data points that are booked with this series.
    points: u32,
}

#[derive(Clone, Copy)]
struct Sample {
    time_ms: i64,
    value: f64,
}

/// One exemplar.
pub(crate) struct Exemplar<'a> {
    /// Names and values, sorted.
    pub(crate) labels: Vec<(&'a str, String)>,
    /// What was measured.
    pub(crate) value: f64,
    /// When.
    pub(crate) time_ms: i64,
}

/// An encoded series and the number of data points that it stands for.
pub(crate) struct Encoded {
    /// A `TimeSeries` field of a `WriteRequest`, with tag and length.
    pub(crate) bytes: Vec<u8>,
    /// Data points booked with it.
    pub(crate) points: u32,
}

impl SeriesSet {
    /// The series with the labels that a function encodes.
    pub(crate) fn find(&mut self, encode_labels: impl FnOnce(&mut Vec<u8>)) -> usize {
        let start = self.labels.len();
        encode_labels(&mut self.labels);
        let hash = self.hasher.hash_one(&self.labels[start..]);
        let (labels, series) = (&self.labels, &self.series);
        let same = |index: &u32| labels[series[*index as usize].labels.clone()] == labels[start..];
        if let Some(&known) = self.index.find(hash, same) {
            self.labels.truncate(start);
            return known as usize;
        }
        let index = self.series.len();
        self.series.push(Series {
            hash,
            labels: start..self.labels.len(),
            samples: Vec::with_capacity(1),
            exemplars: Vec::new(),
            histograms: Vec::new(),
            points: 0,
        });
        let series = &self.series;
        self.index.insert_unique(hash, index as u32, |index| series[*index as usize].hash);
        index
    }

    /// Adds a sample.
    pub(crate) fn sample(&mut self, series: usize, time_ms: i64, value: f64) {
        self.series[series].samples.push(Sample { time_ms, value });
    }

    /// Adds a native histogram, encoded.
    pub(crate) fn histogram(&mut self, series: usize, time_ms: i64, histogram: Vec<u8>) {
        self.series[series].histograms.push((time_ms, histogram));
    }

    /// Adds an exemplar.
    pub(crate) fn exemplar(&mut self, series: usize, exemplar: &Exemplar<'_>) {
        let mut message = Vec::new();
        for (name, value) in &exemplar.labels {
            let mut label = Vec::new();
            put_text(&mut label, 0x0a, name);
            put_text(&mut label, 0x12, value);
            put_bytes(&mut message, 0x0a, &label);
        }
        put_double(&mut message, 0x11, exemplar.value);
        put_integer(&mut message, 0x18, exemplar.time_ms as u64);
        put_bytes(&mut self.series[series].exemplars, 0x1a, &message);
    }

    /// Books a data point with a series.
    pub(crate) fn count_point(&mut self, series: usize) {
        self.series[series].points += 1;
    }

    /// How many series there are.
    pub(crate) fn len(&self) -> usize {
        self.series.len()
    }

    /// Encodes the series one after the other.
    pub(crate) fn encode(mut self, mut each: impl FnMut(Encoded)) {
        for series in &mut self.series {
            series.samples.sort_by_key(|sample| sample.time_ms);
            series.histograms.sort_by_key(|(time_ms, _)| *time_ms);
            each(Encoded { bytes: series.encode(&self.labels[series.labels.clone()]), points: series.points });
        }
    }
}

impl Series {
    fn encode(&self, labels: &[u8]) -> Vec<u8> {
        let sample_size = |sample: &Sample| 9 + 1 + varint_size(sample.time_ms as u64);
        let samples: usize = self.samples.iter().map(|sample| 2 + sample_size(sample)).sum();
        let histogram_size = |(_, message): &(i64, Vec<u8>)| 1 + varint_size(message.len() as u64) + message.len();
        let histograms: usize = self.histograms.iter().map(histogram_size).sum();
        let size = labels.len() + samples + self.exemplars.len() + histograms;
        let mut out = Vec::with_capacity(size + 6);
        out.push(0x0a);
        put_varint(&mut out, size as u64);
        out.extend_from_slice(labels);
        for sample in &self.samples {
            out.push(0x12);
            put_varint(&mut out, sample_size(sample) as u64);
            put_double(&mut out, 0x09, sample.value);
            put_integer(&mut out, 0x10, sample.time_ms as u64);
        }
        out.extend_from_slice(&self.exemplars);
        for (_, message) in &self.histograms {
            put_bytes(&mut out, 0x22, message);
        }
        out
    }
}
