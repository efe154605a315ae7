//! Views of data points of all five kinds, and of exemplars.

use crate::cursor::keys::{
    I64_1, I64_2, I64_3, I64_4, I64_5, I64_6, I64_7, I64_11, I64_12, I64_13, I64_14, LEN_4, LEN_5, LEN_8, LEN_9,
    VARINT_6, VARINT_8, VARINT_10,
};
use crate::cursor::{Cursor, varint_key};

use super::common::KeyValue;
use super::message::{Doubles, Each, Message, Piece, Singular, Unsigned, id};

/// Iterates over data points.
pub type Points<'a, T> = Each<'a, T>;

/// A number.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Number {
    /// There is none.
    #[default]
    None,
    /// An integer.
    Integer(i64),
    /// A floating point number.
    Double(f64),
}

/// A data point of a gauge or a sum.
#[derive(Clone, Copy, Debug, Default)]
pub struct NumberDataPoint<'a> {
    message: Message<'a>,
    start_time_unix_nano: u64,
    time_unix_nano: u64,
    value: Number,
    flags: u32,
}

impl<'a> From<&'a [u8]> for NumberDataPoint<'a> {
    fn from(bytes: &'a [u8]) -> Self {
        let mut point = Self { message: Message::new(bytes), ..Self::default() };
        for piece in point.message.fields() {
            match piece.key {
                I64_2 => point.start_time_unix_nano = piece.scalar,
                I64_3 => point.time_unix_nano = piece.scalar,
                I64_4 => point.value = Number::Double(f64::from_bits(piece.scalar)),
                I64_6 => point.value = Number::Integer(piece.scalar as i64),
                VARINT_8 => point.flags = piece.scalar as u32,
                _ => {}
            }
        }
        point
    }
}

impl<'a> NumberDataPoint<'a> {
    /// Its attributes.
    pub fn attributes(&self) -> Each<'a, KeyValue<'a>> {
        self.message.each(7)
    }

    /// Since when it counts.
    pub fn start_time_unix_nano(&self) -> u64 {
        self.start_time_unix_nano
    }

    /// When it was measured.
    pub fn time_unix_nano(&self) -> u64 {
        self.time_unix_nano
    }

    /// The value.
    pub fn value(&self) -> Number {
        self.value
    }

    /// Its exemplars.
    pub fn exemplars(&self) -> Each<'a, Exemplar<'a>> {
        self.message.each(5)
    }

    /// `DataPointFlags`; bit 0 means that no value was recorded.
    pub fn flags(&self) -> u32 {
        self.flags
    }
}

/// A data point of a histogram with explicit bounds.
#[derive(Clone, Copy, Debug, Default)]
pub struct HistogramDataPoint<'a> {
    message: Message<'a>,
    start_time_unix_nano: u64,
    time_unix_nano: u64,
    count: u64,
    sum: Option<f64>,
    min: Option<f64>,
    max: Option<f64>,
    flags: u32,
}

impl<'a> From<&'a [u8]> for HistogramDataPoint<'a> {
    fn from(bytes: &'a [u8]) -> Self {
        let mut point = Self { message: Message::new(bytes), ..Self::default() };
        for piece in point.message.fields() {
            match piece.key {
                I64_2 => point.start_time_unix_nano = piece.scalar,
                I64_3 => point.time_unix_nano = piece.scalar,
                I64_4 => point.count = piece.scalar,
                I64_5 => point.sum = Some(f64::from_bits(piece.scalar)),
                VARINT_10 => point.flags = piece.scalar as u32,
                I64_11 => point.min = Some(f64::from_bits(piece.scalar)),
                I64_12 => point.max = Some(f64::from_bits(piece.scalar)),
                _ => {}
            }
        }
        point
    }
}

impl<'a> HistogramDataPoint<'a> {
    /// Its attributes.
    pub fn attributes(&self) -> Each<'a, KeyValue<'a>> {
        self.message.each(9)
    }

    /// Since when it counts.
    pub fn start_time_unix_nano(&self) -> u64 {
        self.start_time_unix_nano
    }

    /// When it was measured.
    pub fn time_unix_nano(&self) -> u64 {
        self.time_unix_nano
    }

    /// How many values there are.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Their sum.
    pub fn sum(&self) -> Option<f64> {
        self.sum
    }

    /// How many values each bucket has.
    pub fn bucket_counts(&self) -> Unsigned<'a> {
        Unsigned::fixed(self.message, 6)
    }

    /// Upper bounds of all buckets but the last.
    pub fn explicit_bounds(&self) -> Doubles<'a> {
        Doubles(Unsigned::fixed(self.message, 7))
    }

    /// Its exemplars.
    pub fn exemplars(&self) -> Each<'a, Exemplar<'a>> {
        self.message.each(8)
    }

    /// `DataPointFlags`; bit 0 means that no value was recorded.
    pub fn flags(&self) -> u32 {
        self.flags
    }

    /// The least value.
    pub fn min(&self) -> Option<f64> {
        self.min
    }

    /// The greatest value.
    pub fn max(&self) -> Option<f64> {
        self.max
    }
}

/// A data point of a histogram with exponential bounds.
#[derive(Clone, Copy, Debug, Default)]
pub struct ExponentialHistogramDataPoint<'a> {
    message: Message<'a>,
    start_time_unix_nano: u64,
    time_unix_nano: u64,
    count: u64,
    sum: Option<f64>,
    min: Option<f64>,
    max: Option<f64>,
    zero_count: u64,
    zero_threshold: f64,
    positive: Singular<'a>,
    negative: Singular<'a>,
    scale: i32,
    flags: u32,
}

impl<'a> From<&'a [u8]> for ExponentialHistogramDataPoint<'a> {
    fn from(bytes: &'a [u8]) -> Self {
        let mut point = Self { message: Message::new(bytes), ..Self::default() };
        let mut cursor = Cursor::new(bytes);
        while let Some(item) = cursor.item() {
            let piece = Piece {
                key: item.key,
                scalar: item.scalar,
                bytes: bytes.get(item.start..item.end).unwrap_or_default(),
            };
            match piece.key {
                I64_2 => point.start_time_unix_nano = piece.scalar,
                I64_3 => point.time_unix_nano = piece.scalar,
                I64_4 => point.count = piece.scalar,
                I64_5 => point.sum = Some(f64::from_bits(piece.scalar)),
                VARINT_6 => point.scale = zigzag(piece.scalar),
                I64_7 => point.zero_count = piece.scalar,
                LEN_8 => point.positive.see(bytes, &piece),
                LEN_9 => point.negative.see(bytes, &piece),
                VARINT_10 => point.flags = piece.scalar as u32,
                I64_12 => point.min = Some(f64::from_bits(piece.scalar)),
                I64_13 => point.max = Some(f64::from_bits(piece.scalar)),
                I64_14 => point.zero_threshold = f64::from_bits(piece.scalar),
                _ => {}
            }
        }
        point
    }
}

impl<'a> ExponentialHistogramDataPoint<'a> {
    /// Its attributes.
    pub fn attributes(&self) -> Each<'a, KeyValue<'a>> {
        self.message.each(1)
    }

    /// Since when it counts.
    pub fn start_time_unix_nano(&self) -> u64 {
        self.start_time_unix_nano
    }

    /// When it was measured.
    pub fn time_unix_nano(&self) -> u64 {
        self.time_unix_nano
    }

    /// How many values there are.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Their sum.
    pub fn sum(&self) -> Option<f64> {
        self.sum
    }

    /// The scale: bucket bounds grow by `2^(2^-scale)`.
    pub fn scale(&self) -> i32 {
        self.scale
    }

    /// How many values are zero or close to it.
    pub fn zero_count(&self) -> u64 {
        self.zero_count
    }

    /// How close to zero counts as zero.
    pub fn zero_threshold(&self) -> f64 {
        self.zero_threshold
    }

    /// Buckets of positive values.
    pub fn positive(&self) -> Buckets<'a> {
        Buckets::new(&self.positive)
    }

    /// Buckets of negative values.
    pub fn negative(&self) -> Buckets<'a> {
        Buckets::new(&self.negative)
    }

    /// `DataPointFlags`; bit 0 means that no value was recorded.
    pub fn flags(&self) -> u32 {
        self.flags
    }

    /// Its exemplars.
    pub fn exemplars(&self) -> Each<'a, Exemplar<'a>> {
        self.message.each(11)
    }

    /// The least value.
    pub fn min(&self) -> Option<f64> {
        self.min
    }

    /// The greatest value.
    pub fn max(&self) -> Option<f64> {
        self.max
    }
}

/// Buckets of an exponential histogram.
#[derive(Clone, Copy, Debug, Default)]
pub struct Buckets<'a> {
    message: Option<Message<'a>>,
    offset: i32,
}

impl<'a> Buckets<'a> {
    fn new(singular: &Singular<'a>) -> Self {
        let message = singular.message();
        let offset = message.unwrap_or_default().fields().filter(|piece| piece.key == varint_key(1)).last();
        Self { message, offset: offset.map_or(0, |piece| zigzag(piece.scalar)) }
    }

    /// Whether the data point has these buckets at all.
    pub fn is_present(&self) -> bool {
        self.message.is_some()
    }

    /// The index of the first bucket.
    pub fn offset(&self) -> i32 {
        self.offset
    }

    /// How many values each bucket has.
    pub fn bucket_counts(&self) -> Unsigned<'a> {
        Unsigned::varints(self.message.unwrap_or_default(), 2)
    }
}

/// A data point of a summary.
#[derive(Clone, Copy, Debug, Default)]
pub struct SummaryDataPoint<'a> {
    message: Message<'a>,
    start_time_unix_nano: u64,
    time_unix_nano: u64,
    count: u64,
    sum: f64,
    flags: u32,
}

impl<'a> From<&'a [u8]> for SummaryDataPoint<'a> {
    fn from(bytes: &'a [u8]) -> Self {
        let mut point = Self { message: Message::new(bytes), ..Self::default() };
        for piece in point.message.fields() {
            match piece.key {
                I64_2 => point.start_time_unix_nano = piece.scalar,
                I64_3 => point.time_unix_nano = piece.scalar,
                I64_4 => point.count = piece.scalar,
                I64_5 => point.sum = f64::from_bits(piece.scalar),
                VARINT_8 => point.flags = piece.scalar as u32,
                _ => {}
            }
        }
        point
    }
}

impl<'a> SummaryDataPoint<'a> {
    /// Its attributes.
    pub fn attributes(&self) -> Each<'a, KeyValue<'a>> {
        self.message.each(7)
    }

    /// Since when it counts.
    pub fn start_time_unix_nano(&self) -> u64 {
        self.start_time_unix_nano
    }

    /// When it was measured.
    pub fn time_unix_nano(&self) -> u64 {
        self.time_unix_nano
    }

    /// How many values there are.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Their sum.
    pub fn sum(&self) -> f64 {
        self.sum
    }

    /// Its quantiles.
    pub fn quantile_values(&self) -> Each<'a, ValueAtQuantile> {
        self.message.each(6)
    }

    /// `DataPointFlags`; bit 0 means that no value was recorded.
    pub fn flags(&self) -> u32 {
        self.flags
    }
}

/// A quantile of a summary.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct ValueAtQuantile {
    quantile: f64,
    value: f64,
}

impl From<&[u8]> for ValueAtQuantile {
    fn from(bytes: &[u8]) -> Self {
        let mut quantile = Self::default();
        for piece in Message::new(bytes).fields() {
            match piece.key {
                I64_1 => quantile.quantile = f64::from_bits(piece.scalar),
                I64_2 => quantile.value = f64::from_bits(piece.scalar),
                _ => {}
            }
        }
        quantile
    }
}

impl ValueAtQuantile {
    /// Which quantile, from 0 to 1.
    pub fn quantile(&self) -> f64 {
        self.quantile
    }

    /// Its value.
    pub fn value(&self) -> f64 {
        self.value
    }
}

/// An example of a measurement behind a data point.
#[derive(Clone, Copy, Debug, Default)]
pub struct Exemplar<'a> {
    message: Message<'a>,
    span_id: &'a [u8],
    trace_id: &'a [u8],
    time_unix_nano: u64,
    value: Number,
}

impl<'a> From<&'a [u8]> for Exemplar<'a> {
    fn from(bytes: &'a [u8]) -> Self {
        let mut exemplar = Self { message: Message::new(bytes), ..Self::default() };
        for piece in exemplar.message.fields() {
            match piece.key {
                I64_2 => exemplar.time_unix_nano = piece.scalar,
                I64_3 => exemplar.value = Number::Double(f64::from_bits(piece.scalar)),
                LEN_4 => exemplar.span_id = piece.bytes,
                LEN_5 => exemplar.trace_id = piece.bytes,
                I64_6 => exemplar.value = Number::Integer(piece.scalar as i64),
                _ => {}
            }
        }
        exemplar
    }
}

impl<'a> Exemplar<'a> {
    /// Attributes that the aggregation left out.
    pub fn filtered_attributes(&self) -> Each<'a, KeyValue<'a>> {
        self.message.each(7)
    }

    /// When it was measured.
    pub fn time_unix_nano(&self) -> u64 {
        self.time_unix_nano
    }

    /// What was measured.
    pub fn value(&self) -> Number {
        self.value
    }

    /// The span in which it was measured.
    pub fn span_id(&self) -> &'a [u8] {
        id(self.span_id)
    }

    /// The trace in which it was measured.
    pub fn trace_id(&self) -> &'a [u8] {
        id(self.trace_id)
    }
}

/// Decodes a `sint32`.
pub(crate) fn zigzag(value: u64) -> i32 {
    let value = value as u32;
    (value >> 1) as i32 ^ -((value & 1) as i32)
}
