//! What becomes of a request that its destination does not take: one that is too large is sent in halves, down to a
//! single record; others are refused.

use crate::export::{DeadLetter, Document, Encoded, Exporter, Sent};
use crate::model::Batch;

/// Encodes the halves of a batch, in their order; one that can't be halved is refused. For exporters that make one
/// request of a batch.
pub(crate) fn halve<E: Exporter>(exporter: &E, batch: &Batch, reason: String) -> Sent<E::Request> {
    let halves = match batch.items {
        0 | 1 => Vec::new(),
        items => batch.clone().cut(items.div_ceil(2), 0),
    };
    if halves.len() < 2 {
        return refuse(batch, reason);
    }
    let (mut requests, mut refused) = (Vec::new(), Vec::new());
    for half in halves {
        let Encoded { requests: encoded, dropped, next: _ } = exporter.encode(&half, 0);
        requests.extend(encoded.into_iter().map(|request| (request, half.items)));
        let letter = |items, reason| DeadLetter { items, reason, document: None };
        refused.extend(dropped.into_iter().map(|dropped| letter(dropped.items, dropped.detail)));
    }
    Sent { refused, ..Sent::again(requests, None, reason) }
}

/// All of a batch, or of what was made of it, is refused for good.
pub(crate) fn refuse<R>(batch: &Batch, reason: String) -> Sent<R> {
    let document = Some(Document::Otlp(batch.bytes.clone()));
    Sent::refused(DeadLetter { items: batch.items, reason, document })
}
