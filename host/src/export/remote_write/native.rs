//! Exponential histograms as Prometheus's native histograms.

use sluice_wire::view::{Buckets, ExponentialHistogramDataPoint};

use super::proto::{put_bytes, put_double, put_integer, put_varint, zigzag};

/// The finest resolution that Prometheus has.
const MAX_SCHEMA: i32 = 8;
/// The coarsest.
const MIN_SCHEMA: i32 = -4;
/// The width of the zero bucket where OTLP names none.
const DEFAULT_ZERO_THRESHOLD: f64 = 1e-128;
/// Gaps of at most so many empty buckets are filled, since a new span would cost more.
const MAX_GAP: i64 = 2;
/// Buckets of one side: more than any sane histogram has, and a bound for what a hostile one makes us allocate.
const MAX_BUCKETS: usize = 100_000;

/// Why a point is no native histogram.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Unrepresentable {
    /// Its resolution is coarser than any that Prometheus has.
    Scale(i32),
    /// It has too many buckets.
    Buckets(usize),
    /// Its buckets hold more than its count, or it counts more than Prometheus can.
    Count(u64),
}

/// Encodes a point as `prometheus.Histogram`.
pub(crate) fn encode(point: &ExponentialHistogramDataPoint<'_>, stale: bool) -> Result<Vec<u8>, Unrepresentable> {
    if point.scale() < MIN_SCHEMA {
        return Err(Unrepresentable::Scale(point.scale()));
    }
    if !stale && !is_count_possible(point) {
        return Err(Unrepresentable::Count(point.count()));
    }
    let scale_down = (point.scale() - MAX_SCHEMA).max(0);
    // Prometheus refuses buckets that don't add up to the count, which is none at the end of a series.
    let (positive, negative) = match stale {
        true => Default::default(),
        false => (layout(&point.positive(), scale_down)?, layout(&point.negative(), scale_down)?),
    };
    let mut out = Vec::new();
    let stale_sum = f64::from_bits(super::STALE_NAN);
    put_integer(&mut out, 0x08, if stale { 0 } else { point.count() });
    put_double(&mut out, 0x19, if stale { stale_sum } else { point.sum().unwrap_or(0.0) });
    put_integer(&mut out, 0x20, zigzag(i64::from(point.scale().min(MAX_SCHEMA))));
    let threshold = if point.zero_threshold() == 0.0 { DEFAULT_ZERO_THRESHOLD } else { point.zero_threshold() };
    put_double(&mut out, 0x29, threshold);
    put_integer(&mut out, 0x30, if stale { 0 } else { point.zero_count() });
    negative.encode(&mut out, 0x42, 0x4a);
    positive.encode(&mut out, 0x5a, 0x62);
    put_integer(&mut out, 0x78, (point.time_unix_nano() / 1_000_000) as i64 as u64);
    Ok(out)
}

/// Prometheus has signed counts, and refuses buckets with more than the count of all: up to 2.42 with a status that asks for
/// another attempt.
fn is_count_possible(point: &ExponentialHistogramDataPoint<'_>) -> bool {
    let of = |buckets: Buckets<'_>| buckets.bucket_counts().map(u128::from).sum::<u128>();
    let in_buckets = of(point.positive()) + of(point.negative()) + u128::from(point.zero_count());
    in_buckets <= u128::from(point.count()) && i64::try_from(point.count()).is_ok()
}

/// Spans of neighbouring buckets and the differences of their counts.
#[derive(Debug, Default, PartialEq, Eq)]
struct Layout {
    spans: Vec<(i64, u32)>,
    deltas: Vec<i64>,
}

impl Layout {
    fn encode(&self, out: &mut Vec<u8>, spans_tag: u8, deltas_tag: u8) {
        for (offset, length) in &self.spans {
            let mut span = Vec::new();
            put_integer(&mut span, 0x08, zigzag(*offset));
            put_integer(&mut span, 0x10, u64::from(*length));
            put_bytes(out, spans_tag, &span);
        }
        if !self.deltas.is_empty() {
            let mut packed = Vec::new();
            self.deltas.iter().for_each(|delta| put_varint(&mut packed, zigzag(*delta)));
            put_bytes(out, deltas_tag, &packed);
        }
    }
}

/// Joins buckets to the resolution that is left, and lays them out. Prometheus's buckets have inclusive upper bounds,
/// so its offsets are higher by one.
fn layout(buckets: &Buckets<'_>, scale_down: i32) -> Result<Layout, Unrepresentable> {
    let counts: Vec<u64> = buckets.bucket_counts().take(MAX_BUCKETS + 1).collect();
    if counts.len() > MAX_BUCKETS {
        return Err(Unrepresentable::Buckets(counts.len()));
    }
    let position = |index: usize| ((i64::from(buckets.offset()) + index as i64) >> scale_down.min(62)) + 1;
    let mut merged: Vec<(i64, u64)> = Vec::new();
    for (index, count) in counts.into_iter().enumerate() {
        match merged.last_mut() {
            Some((at, sum)) if *at == position(index) => *sum = sum.saturating_add(count),
            _ => merged.push((position(index), count)),
        }
    }
    merged.retain(|(_, count)| *count > 0);
    Ok(spans(&merged))
}

fn spans(buckets: &[(i64, u64)]) -> Layout {
    let mut layout = Layout::default();
    let (mut end, mut previous) = (0, 0i64);
    for &(at, count) in buckets {
        let gap = at - end;
        match layout.spans.last_mut() {
            Some((_, length)) if gap <= MAX_GAP => {
                for _ in 0..gap {
                    layout.deltas.push(-previous);
                    previous = 0;
                }
                *length += gap as u32 + 1;
            }
            _ => layout.spans.push((gap, 1)),
        }
        let count = count as i64;
        layout.deltas.push(count.wrapping_sub(previous));
        (previous, end) = (count, at + 1);
    }
    layout
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fills_small_gaps_and_opens_a_span_after_large_ones() {
        let layout = spans(&[(1, 4), (2, 2), (5, 1), (9, 3)]);
        assert_eq!(layout.spans, [(1, 5), (3, 1)]);
        assert_eq!(layout.deltas, [4, -2, -2, 0, 1, 2]);
        assert_eq!(spans(&[]), Layout::default());
        assert_eq!(spans(&[(-3, 1)]).spans, [(-3, 1)]);
    }
}
