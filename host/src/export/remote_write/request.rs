//! Write requests: series packed up to a size, compressed, and cut in halves when they are still too large.

use std::collections::BTreeSet;

use bytes::Bytes;

use super::proto::{put_bytes, put_integer, put_text, take_varint};
use super::series::SeriesSet;
use super::translate::Metadata;
use crate::export::divisible::Divisible;
use crate::export::{DeadLetter, Document};

/// One compressed `prometheus.WriteRequest`.
#[derive(Clone, Debug)]
pub struct WriteRequest {
    /// Snappy, as it goes over the wire.
    pub(crate) body: Bytes,
    /// For each series in it the number of data points that it stands for; none for each description of a metric.
    points: Vec<u32>,
}

impl Divisible for WriteRequest {
    fn items(&self) -> u64 {
        self.points.iter().map(|points| u64::from(*points)).sum()
    }

    /// With about half of the series or descriptions each, those of one point together if there is more than one point.
    fn halves(self) -> Result<[Self; 2], Self> {
        let plain = (self.points.len() > 1).then(|| snap::raw::Decoder::new().decompress_vec(&self.body).ok());
        let Some(plain) = plain.flatten() else { return Err(self) };
        let middle = self.middle();
        let mut rest = plain.as_slice();
        for _ in 0..middle {
            if skip_field(&mut rest).is_none() {
                return Err(self);
            }
        }
        let cut = plain.len() - rest.len();
        let (first, second) = self.points.split_at(middle);
        Ok([compress(&plain[..cut], first.to_vec()), compress(&plain[cut..], second.to_vec())])
    }

    fn letters(&self, reason: &str) -> Vec<DeadLetter> {
        let document = Some(Document::Sent(self.body.clone()));
        vec![DeadLetter { items: self.items(), reason: reason.to_owned(), document }]
    }
}

impl WriteRequest {
    /// The first series of a point that is nearest to the middle; the middle itself if no point begins inside.
    fn middle(&self) -> usize {
        let middle = self.points.len() / 2;
        let begins = |index: &usize| self.points[*index] > 0;
        let inside = (1..self.points.len()).filter(begins);
        inside.min_by_key(|index| index.abs_diff(middle)).unwrap_or(middle)
    }
}

/// Packs series into requests of at most so many bytes before and after compression. A series that is larger by
/// itself goes alone. The series of one point stay together where they have room, so that they arrive together or not
/// at all: a point is booked with its first series.
pub(crate) fn pack(mut series: SeriesSet, max_bytes: usize, max_compressed: usize) -> Vec<WriteRequest> {
    let mut requests = Vec::new();
    let mut plain = Vec::with_capacity(series.size_hint().min(max_bytes));
    let mut points = Vec::with_capacity(series.len());
    // Where the first series of the last point begins: bytes and series before it.
    let mut last_point = (0, 0);
    for series in series.sorted() {
        if series.points() > 0 {
            last_point = (plain.len(), points.len());
        }
        while !plain.is_empty() && plain.len() + series.encoded_size() > max_bytes {
            let (bytes, count) = if last_point.0 > 0 { last_point } else { (plain.len(), points.len()) };
            let rest = points.split_off(count);
            close(&mut requests, &plain[..bytes], std::mem::replace(&mut points, rest), max_compressed);
            plain.drain(..bytes);
            last_point = (0, 0);
        }
        series.encode(&mut plain);
        points.push(series.points());
    }
    if !points.is_empty() {
        close(&mut requests, &plain, points, max_compressed);
    }
    requests
}

fn close(requests: &mut Vec<WriteRequest>, plain: &[u8], points: Vec<u32>, max_compressed: usize) {
    let mut waiting = vec![compress(plain, points)];
    while let Some(request) = waiting.pop() {
        if request.body.len() <= max_compressed {
            requests.push(request);
            continue;
        }
        match request.halves() {
            // The first half goes first, so that samples stay in order.
            Ok([first, second]) => waiting.extend([second, first]),
            Err(request) => requests.push(request),
        }
    }
}

/// Requests that hold metadata only, which are no data points, within the same limits.
pub(crate) fn metadata(metadata: &BTreeSet<Metadata>, max_bytes: usize, max_compressed: usize) -> Vec<WriteRequest> {
    let mut requests = Vec::new();
    let (mut plain, mut points) = (Vec::new(), Vec::new());
    for one in metadata {
        let mut message = Vec::new();
        put_integer(&mut message, 0x08, one.kind);
        put_text(&mut message, 0x12, &one.family);
        put_text(&mut message, 0x22, &one.help);
        put_text(&mut message, 0x2a, &one.unit);
        if !plain.is_empty() && plain.len() + message.len() > max_bytes {
            close(&mut requests, &plain, std::mem::take(&mut points), max_compressed);
            plain.clear();
        }
        put_bytes(&mut plain, 0x1a, &message);
        points.push(0);
    }
    if !points.is_empty() {
        close(&mut requests, &plain, points, max_compressed);
    }
    requests
}

fn compress(plain: &[u8], points: Vec<u32>) -> WriteRequest {
    let mut body = vec![0; snap::raw::max_compress_len(plain.len())];
    // It fails only on a buffer that is too small or on more than 4 GiB, and a request is bounded.
    let length = snap::raw::Encoder::new().compress(plain, &mut body).unwrap_or_default();
    body.truncate(length);
    body.shrink_to_fit();
    WriteRequest { body: body.into(), points }
}

fn skip_field(bytes: &mut &[u8]) -> Option<()> {
    take_varint(bytes)?;
    let length = usize::try_from(take_varint(bytes)?).ok()?;
    *bytes = bytes.get(length..)?;
    Some(())
}
