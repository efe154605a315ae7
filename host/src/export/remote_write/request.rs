//! Write requests: series packed up to a size, compressed, and cut in halves when they are still too large.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use bytes::Bytes;

use super::proto::{put_bytes, put_integer, put_text, take_varint};
use super::series::SeriesSet;
use super::translate::Metadata;
use crate::export::divisible::Divisible;
use crate::export::{DeadLetter, Document};

/// How many pieces a request may become while the series is looked for that the destination refuses. One of a thousand
/// takes twenty.
const MAX_PIECES: u32 = 64;

/// One compressed `prometheus.WriteRequest`.
#[derive(Clone, Debug)]
pub struct WriteRequest {
    /// Snappy, as it goes over the wire.
    pub(crate) body: Bytes,
    /// Each series or description of a metric in it.
    parts: Vec<Part>,
    /// How many pieces it and those that it was cut from may still become.
    pieces_left: Arc<AtomicU32>,
}

/// A series or a description of a metric in a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Part {
    /// Data points that it stands for; none if it belongs to the point of a series before it.
    pub(crate) points: Option<u32>,
    /// Whether it has native histograms.
    pub(crate) is_native: bool,
}

impl Divisible for WriteRequest {
    fn items(&self) -> u64 {
        self.parts.iter().map(|part| u64::from(part.points.unwrap_or(0))).sum()
    }

    /// With about half of the series or descriptions each, those of one point together if there is more than one point.
    fn halves(self) -> Result<[Self; 2], Self> {
        if self.parts.len() < 2 {
            return Err(self);
        }
        let middle = self.middle().unwrap_or(self.parts.len() / 2);
        self.divide(|index| index < middle)
    }

    fn letters(&self, reason: &str) -> Vec<DeadLetter> {
        let document = Some(Document::Sent(self.body.clone()));
        vec![DeadLetter { items: self.items(), reason: reason.to_owned(), document }]
    }
}

impl WriteRequest {
    /// Its halves, to find out what in it is refused: only between points, and as long as its pieces are few.
    pub(crate) fn suspects(self) -> Result<[Self; 2], Self> {
        match self.middle() {
            Some(middle) if self.take_pieces() => self.divide(|index| index < middle),
            _ => Err(self),
        }
    }

    /// A request without and one with native histograms; the request itself if it has only either.
    pub(crate) fn without_native(self) -> Result<[Self; 2], Self> {
        let native = self.parts.iter().filter(|part| part.is_native).count();
        if native == 0 || native == self.parts.len() {
            return Err(self);
        }
        let is_native: Vec<bool> = self.parts.iter().map(|part| part.is_native).collect();
        self.divide(|index| !is_native[index])
    }

    /// The begin of a point that is nearest to the middle, but for the first.
    fn middle(&self) -> Option<usize> {
        let middle = self.parts.len() / 2;
        let inside = (1..self.parts.len()).filter(|index| self.parts[*index].points.is_some());
        inside.min_by_key(|index| index.abs_diff(middle))
    }

    /// Whether two more pieces are allowed.
    fn take_pieces(&self) -> bool {
        let less = |left: u32| left.checked_sub(2);
        self.pieces_left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less).is_ok()
    }

    /// Two requests: what a function picks by its index, and the rest.
    fn divide(self, is_first: impl Fn(usize) -> bool) -> Result<[Self; 2], Self> {
        let Ok(plain) = snap::raw::Decoder::new().decompress_vec(&self.body) else { return Err(self) };
        let mut sides = [(Vec::new(), Vec::new()), (Vec::new(), Vec::new())];
        let mut rest = plain.as_slice();
        for (index, part) in self.parts.iter().enumerate() {
            let before = rest;
            if skip_field(&mut rest).is_none() {
                return Err(self);
            }
            let (bytes, parts) = &mut sides[usize::from(!is_first(index))];
            bytes.extend_from_slice(&before[..before.len() - rest.len()]);
            parts.push(*part);
        }
        Ok(sides.map(|(bytes, parts)| Self { pieces_left: self.pieces_left.clone(), ..compress(&bytes, parts) }))
    }
}

/// Packs series into requests of at most so many bytes before and after compression. A series that is larger by
/// itself goes alone. The series of one point stay together where they have room, so that they arrive together or not
/// at all: a point is booked with its first series.
pub(crate) fn pack(mut series: SeriesSet, max_bytes: usize, max_compressed: usize) -> Vec<WriteRequest> {
    let mut requests = Vec::new();
    let mut plain = Vec::with_capacity(series.size_hint().min(max_bytes));
    let mut parts = Vec::with_capacity(series.len());
    // Where the first series of the last point begins: bytes and series before it.
    let mut last_point = (0, 0);
    for series in series.sorted() {
        if series.part().points.is_some() {
            last_point = (plain.len(), parts.len());
        }
        while !plain.is_empty() && plain.len() + series.encoded_size() > max_bytes {
            let (bytes, count) = if last_point.0 > 0 { last_point } else { (plain.len(), parts.len()) };
            let rest = parts.split_off(count);
            close(&mut requests, &plain[..bytes], std::mem::replace(&mut parts, rest), max_compressed);
            plain.drain(..bytes);
            last_point = (0, 0);
        }
        series.encode(&mut plain);
        parts.push(series.part());
    }
    if !parts.is_empty() {
        close(&mut requests, &plain, parts, max_compressed);
    }
    requests
}

fn close(requests: &mut Vec<WriteRequest>, plain: &[u8], parts: Vec<Part>, max_compressed: usize) {
    let mut waiting = vec![compress(plain, parts)];
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
    let (mut plain, mut parts) = (Vec::new(), Vec::new());
    for one in metadata {
        let mut message = Vec::new();
        put_integer(&mut message, 0x08, one.kind);
        put_text(&mut message, 0x12, &one.family);
        put_text(&mut message, 0x22, &one.help);
        put_text(&mut message, 0x2a, &one.unit);
        if !plain.is_empty() && plain.len() + message.len() > max_bytes {
            close(&mut requests, &plain, std::mem::take(&mut parts), max_compressed);
            plain.clear();
        }
        put_bytes(&mut plain, 0x1a, &message);
        parts.push(Part { points: Some(0), is_native: false });
    }
    if !parts.is_empty() {
        close(&mut requests, &plain, parts, max_compressed);
    }
    requests
}

fn compress(plain: &[u8], parts: Vec<Part>) -> WriteRequest {
    let mut body = vec![0; snap::raw::max_compress_len(plain.len())];
    // It fails only on a buffer that is too small or on more than 4 GiB, and a request is bounded.
    let length = snap::raw::Encoder::new().compress(plain, &mut body).unwrap_or_default();
    body.truncate(length);
    body.shrink_to_fit();
    WriteRequest { body: body.into(), parts, pieces_left: Arc::new(MAX_PIECES.into()) }
}

fn skip_field(bytes: &mut &[u8]) -> Option<()> {
    take_varint(bytes)?;
    let length = usize::try_from(take_varint(bytes)?).ok()?;
    *bytes = bytes.get(length..)?;
    Some(())
}
