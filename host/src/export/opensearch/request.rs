//! Bulk requests: documents packed up to a size, and the parts of one that have to be sent again.

use bytes::Bytes;
use serde::Deserialize;

use crate::export::divisible::Divisible;
use crate::export::{DeadLetter, Document as Refused};

/// One `_bulk` body and where its documents stand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BulkRequest {
    /// Action and source lines.
    pub(super) body: Bytes,
    pub(super) documents: Vec<Document>,
}

/// A document of a bulk request: an action line and a source line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Document {
    /// Where it begins in the body.
    start: u32,
    /// Where its source line begins.
    source: u32,
    /// Where it ends, its last line feed included.
    end: u32,
    /// Spans or log records that it stands for: one, or none if it only says what services there are.
    pub(super) items: u32,
    /// For a document of the latter kind, which.
    pub(super) service: Option<ServiceKey>,
}

/// An action line.
#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Action {
    Create(Target),
    Index(Target),
}

/// Where a document is stored.
#[derive(Deserialize)]
struct Target {
    #[serde(rename = "_index")]
    index: String,
    #[serde(rename = "_id")]
    id: Option<String>,
}

/// A service document: its id and the day of its index.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct ServiceKey {
    /// The hash of service and operation.
    pub(super) id: u64,
    /// Days since the epoch.
    pub(super) day: u64,
}

impl BulkRequest {
    /// What is sent: action and source lines in turn.
    pub fn body(&self) -> &Bytes {
        &self.body
    }

    /// A document's source line, without its line feed.
    pub(super) fn source(&self, document: &Document) -> Bytes {
        self.body.slice(document.source as usize..document.end as usize - 1)
    }

    /// A document with all that it takes to store it later.
    pub(super) fn letter(&self, document: &Document) -> Refused {
        let action = &self.body[document.start as usize..document.source as usize];
        let document = self.source(document);
        match serde_json::from_slice(action) {
            Ok(Action::Create(Target { index, id }) | Action::Index(Target { index, id })) => {
                Refused::Indexed { document, index, id }
            }
            Err(_) => Refused::Sent(document),
        }
    }

    /// A request with only those documents that a function picks.
    pub(super) fn only(&self, mut pick: impl FnMut(usize) -> bool) -> Option<Self> {
        let picked = self.documents.iter().enumerate().filter(|(position, _)| pick(*position));
        let mut packer = Packer::new(usize::MAX);
        for (_, document) in picked {
            packer.copy(&self.body[document.start as usize..document.end as usize], document);
        }
        packer.finish()
    }
}

impl Divisible for BulkRequest {
    fn items(&self) -> u64 {
        self.documents.iter().map(|document| u64::from(document.items)).sum()
    }

    fn halves(self) -> Result<[Self; 2], Self> {
        let middle = self.documents.len() / 2;
        let first = self.only(|position| position < middle);
        let second = self.only(|position| position >= middle);
        match (first, second) {
            (Some(first), Some(second)) => Ok([first, second]),
            _ => Err(self),
        }
    }

    fn letters(&self, reason: &str) -> Vec<DeadLetter> {
        let documents = self.documents.iter().filter(|document| document.items > 0);
        let letter = |document: &Document| DeadLetter {
            items: document.items.into(),
            reason: reason.to_owned(),
            document: Some(self.letter(document)),
        };
        documents.map(letter).collect()
    }
}

/// Puts documents one after the other until the request is full.
pub(super) struct Packer {
    max_bytes: usize,
    body: Vec<u8>,
    documents: Vec<Document>,
    /// Whether there is a document of a span or log record.
    has_items: bool,
}

impl Packer {
    /// Packs a request of at most so many bytes; the first document of a span or log record has always room, since a later
    /// request would have no more of it.
    pub(super) fn new(max_bytes: usize) -> Self {
        let max_bytes = max_bytes.min(u32::MAX as usize / 2);
        Self { max_bytes, body: Vec::new(), documents: Vec::new(), has_items: false }
    }

    /// Adds a document for so many items: one function writes the action line, the other the source line, both without
    /// line feeds. Says whether there was room for it.
    pub(super) fn add(
        &mut self,
        items: u32,
        service: Option<ServiceKey>,
        action: impl FnOnce(&mut Vec<u8>),
        source: impl FnOnce(&mut Vec<u8>),
    ) -> bool {
        let before = self.body.len();
        action(&mut self.body);
        self.body.push(b'\n');
        let source_at = self.body.len();
        source(&mut self.body);
        self.body.push(b'\n');
        if self.body.len() > self.max_bytes && self.has_items {
            self.body.truncate(before);
            return false;
        }
        let (start, source, end) = (before as u32, source_at as u32, self.body.len() as u32);
        self.documents.push(Document { start, source, end, items, service });
        self.has_items |= items > 0;
        true
    }

    /// The request; none without a document.
    pub(super) fn finish(self) -> Option<BulkRequest> {
        let Self { body, documents, .. } = self;
        (!documents.is_empty()).then(|| BulkRequest { body: body.into(), documents })
    }

    fn copy(&mut self, lines: &[u8], document: &Document) {
        let start = self.body.len() as u32;
        let moved = |at: u32| at - document.start + start;
        self.body.extend_from_slice(lines);
        let (source, end) = (moved(document.source), moved(document.end));
        self.documents.push(Document { start, source, end, ..*document });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The request, and how many documents had room in it.
    fn pack(max_bytes: usize, sources: &[&str]) -> (Option<BulkRequest>, usize) {
        let mut packer = Packer::new(max_bytes);
        let mut add = |source: &str| {
            let write = |out: &mut Vec<u8>| out.extend_from_slice(source.as_bytes());
            packer.add(1, None, |out| out.extend_from_slice(b"{}"), write)
        };
        let added = sources.iter().take_while(|source| add(source)).count();
        (packer.finish(), added)
    }

    fn packed(sources: &[&str]) -> BulkRequest {
        pack(100, sources).0.expect("a request")
    }

    fn body(request: &BulkRequest) -> &str {
        std::str::from_utf8(&request.body).expect("UTF-8")
    }

    #[test]
    fn a_request_is_full_at_its_limit_and_not_before() {
        for (max_bytes, sources, expected, added) in [
            (12, ["aa", "bb", "cc"], "{}\naa\n{}\nbb\n", 2),
            (11, ["aa", "bb", "cc"], "{}\naa\n", 1),
            (1, ["aa", "bb", "cc"], "{}\naa\n", 1),
        ] {
            let (request, had_room) = pack(max_bytes, &sources);
            assert_eq!((request.as_ref().map(body), had_room), (Some(expected), added), "{max_bytes}");
        }
        assert_eq!(pack(1, &[]), (None, 0));
    }

    #[test]
    fn documents_know_where_they_stand() {
        let request = packed(&["a", "bb", "ccc"]);
        let sources: Vec<_> = request.documents.iter().map(|document| request.source(document)).collect();
        assert_eq!(sources, ["a", "bb", "ccc"]);
        let only = request.only(|position| position != 1).expect("two are left");
        assert_eq!(body(&only), "{}\na\n{}\nccc\n");
        assert_eq!(only.source(&only.documents[1]), "ccc");
        assert_eq!(only.items(), 2);
        assert!(request.only(|_| false).is_none());
    }

    #[test]
    fn halves_keep_the_order_until_one_document_is_left() {
        let [first, second] = packed(&["a", "b", "c"]).halves().expect("three documents");
        assert_eq!((body(&first), body(&second)), ("{}\na\n", "{}\nb\n{}\nc\n"));
        assert!(first.halves().is_err());
    }
}
