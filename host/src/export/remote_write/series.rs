//! Time series in the making: samples of one series stand together, in the order of their times.

use hashbrown::{DefaultHashBuilder, HashTable};
use std::hash::BuildHasher;

use super::proto::{put_bytes, put_double, put_integer, put_text, put_varint, varint_size};
use super::request::Part;

/// All series of a batch.
#[derive(Default)]
pub(crate) struct SeriesSet {
    hasher: DefaultHashBuilder,
    index: HashTable<u32>,
    series: Vec<Series>,
    /// Samples of all series, each with the number of its own.
    samples: Vec<(u32, Sample)>,
    /// Encoded labels of all series.
    labels: Vec<u8>,
    /// Bytes of series, histograms and exemplars, beside labels and samples.
    others: usize,
}

/// What a series takes by itself, with its entry in the index.
pub(crate) const SERIES_BYTES: usize = size_of::<Series>() + 2 * size_of::<u32>();

/// One series.
struct Series {
    hash: u64,
    labels: std::ops::Range<usize>,
    /// Encoded `Exemplar` fields.
    exemplars: Vec<u8>,
    /// Encoded `Histogram` messages with their times.
    histograms: Vec<(i64, Vec<u8>)>,
    /// Data points that are booked with this series; none if it belongs to the point of a series before it.
    points: Option<u32>,
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

/// A series with all that belongs to it, to be encoded.
pub(crate) struct Whole<'a> {
    series: &'a Series,
    labels: &'a [u8],
    samples: &'a [(u32, Sample)],
    /// Bytes of the message.
    size: usize,
}

impl SeriesSet {
    /// No series; there is room for so many bytes of labels.
    pub(crate) fn with_capacity(bytes: usize) -> Self {
        Self { labels: Vec::with_capacity(bytes), ..Self::default() }
    }

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
        self.others += SERIES_BYTES;
        self.series.push(Series {
            hash,
            labels: start..self.labels.len(),
            exemplars: Vec::new(),
            histograms: Vec::new(),
            points: None,
        });
        let series = &self.series;
        self.index.insert_unique(hash, index as u32, |index| series[*index as usize].hash);
        index
    }

    /// Adds a sample.
    pub(crate) fn sample(&mut self, series: usize, time_ms: i64, value: f64) {
        self.samples.push((series as u32, Sample { time_ms, value }));
    }

    /// Adds a native histogram, encoded.
    pub(crate) fn histogram(&mut self, series: usize, time_ms: i64, histogram: Vec<u8>) {
        self.others += size_of::<(i64, Vec<u8>)>() + histogram.len();
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
        self.others += 2 + message.len();
        put_bytes(&mut self.series[series].exemplars, 0x1a, &message);
    }

    /// Books a data point with a series.
    pub(crate) fn count_point(&mut self, series: usize) {
        *self.series[series].points.get_or_insert(0) += 1;
    }

    /// Says that a series belongs to no data point.
    pub(crate) fn stand_alone(&mut self, series: usize) {
        self.series[series].points.get_or_insert(0);
    }

    /// About how many bytes they take.
    pub(crate) fn size_hint(&self) -> usize {
        self.labels.len() + self.samples.len() * size_of::<(u32, Sample)>() + self.others
    }

    /// How many series there are.
    pub(crate) fn len(&self) -> usize {
        self.series.len()
    }

    /// The series one after the other, each in the order of time.
    pub(crate) fn sorted(&mut self) -> impl Iterator<Item = Whole<'_>> {
        // Samples of one time keep the order in which they came.
        self.samples.sort_by_key(|(series, sample)| (*series, sample.time_ms));
        self.series.iter_mut().for_each(|series| series.histograms.sort_by_key(|(time_ms, _)| *time_ms));
        let (mut samples, labels) = (self.samples.as_slice(), self.labels.as_slice());
        self.series.iter().enumerate().map(move |(index, series)| {
            let own = samples.iter().take_while(|(of, _)| *of as usize == index).count();
            let (own, rest) = samples.split_at(own);
            samples = rest;
            Whole::new(series, &labels[series.labels.clone()], own)
        })
    }
}

impl<'a> Whole<'a> {
    fn new(series: &'a Series, labels: &'a [u8], samples: &'a [(u32, Sample)]) -> Self {
        let encoded_samples: usize = samples.iter().map(|(_, sample)| 2 + sample.size()).sum();
        let histogram_size = |(_, message): &(i64, Vec<u8>)| 1 + varint_size(message.len() as u64) + message.len();
        let histograms: usize = series.histograms.iter().map(histogram_size).sum();
        let size = labels.len() + encoded_samples + series.exemplars.len() + histograms;
        Self { series, labels, samples, size }
    }

    /// What it is in a request.
    pub(crate) fn part(&self) -> Part {
        Part { points: self.series.points, is_native: !self.series.histograms.is_empty() }
    }

    /// Bytes that it takes in a request.
    pub(crate) fn encoded_size(&self) -> usize {
        1 + varint_size(self.size as u64) + self.size
    }

    /// Appends it as a `TimeSeries` field of a `WriteRequest`, with tag and length.
    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        out.push(0x0a);
        put_varint(out, self.size as u64);
        out.extend_from_slice(self.labels);
        for (_, sample) in self.samples {
            out.push(0x12);
            put_varint(out, sample.size() as u64);
            put_double(out, 0x09, sample.value);
            put_integer(out, 0x10, sample.time_ms as u64);
        }
        out.extend_from_slice(&self.series.exemplars);
        for (_, message) in &self.series.histograms {
            put_bytes(out, 0x22, message);
        }
    }
}

impl Sample {
    /// Bytes of the message.
    fn size(&self) -> usize {
        9 + 1 + varint_size(self.time_ms as u64)
    }
}
