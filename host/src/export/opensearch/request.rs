//! Bulk requests: documents packed up to a size, and the parts of one that have to be sent again.

use bytes::Bytes;

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

    /// Spans and log records in it.
    pub(super) fn items(&self) -> u64 {
        self.documents.iter().map(|document| u64::from(document.items)).sum()
    }

    /// A document's source line, without its line feed.
    pub(super) fn source(&self, document: &Document) -> Bytes {
        self.body.slice(document.source as usize..document.end as usize - 1)
    }

    /// A request with only those documents that a function picks.
    pub(super) fn only(&self, mut pick: impl FnMut(usize) -> bool) -> Option<Self> {
        let picked = self.documents.iter().enumerate().filter(|(position, _)| pick(*position));
        let mut packer = Packer::new(usize::MAX);
        for (_, document) in picked {
            packer.copy(&self.body[document.start as usize..document.end as usize], document);
        }
        packer.finish().pop()
    }

    /// Two requests with half of the documents each; the request itself if it has only one.
    pub(super) fn halves(self) -> Result<[Self; 2], Self> {
        let middle = self.documents.len() / 2;
        let first = self.only(|position| position < middle);
        let second = self.only(|position| position >= middle);
        match (first, second) {
            (Some(first), Some(second)) => Ok([first, second]),
            _ => Err(self),
        }
    }
}

/// Puts documents one after the other and closes a request when it is full.
pub(super) struct Packer {
    max_bytes: usize,
    body: Vec<u8>,
    documents: Vec<Document>,
    requests: Vec<BulkRequest>,
}

impl Packer {
    /// Packs requests of at most so many bytes; a document that is larger goes alone.
    pub(super) fn new(max_bytes: usize) -> Self {
        Self {
            max_bytes: max_bytes.min(u32::MAX as usize / 2),
            body: Vec::new(),
            documents: Vec::new(),
            requests: Vec::new(),
        }
    }

    /// Adds a document for so many items: one function writes the action line, the other the source line, both without
    /// line feeds.
    pub(super) fn add(
        &mut self,
        items: u32,
        service: Option<ServiceKey>,
        action: impl FnOnce(&mut Vec<u8>),
        source: impl FnOnce(&mut Vec<u8>),
    ) {
        let start = self.body.len() as u32;
        action(&mut self.body);
        self.body.push(b'\n');
        let source_at = self.body.len() as u32;
        source(&mut self.body);
        self.body.push(b'\n');
        let end = self.body.len() as u32;
        self.documents.push(Document { start, source: source_at, end, items, service });
        self.close_before_last();
    }

    /// All requests.
    pub(super) fn finish(mut self) -> Vec<BulkRequest> {
        self.close();
        self.requests
    }

    fn copy(&mut self, lines: &[u8], document: &Document) {
        let start = self.body.len() as u32;
        let moved = |at: u32| at - document.start + start;
        self.body.extend_from_slice(lines);
        let (source, end) = (moved(document.source), moved(document.end));
        self.documents.push(Document { start, source, end, ..*document });
    }

    /// When the last document made the request too large, it becomes the first of the next one.
    fn close_before_last(&mut self) {
        if self.body.len() <= self.max_bytes || self.documents.len() < 2 {
            return;
        }
        let Some(last) = self.documents.pop() else { return };
        let lines = self.body.split_off(last.start as usize);
        self.close();
        self.copy(&lines, &last);
    }

    fn close(&mut self) {
        if self.documents.is_empty() {
            return;
        }
        let body = std::mem::take(&mut self.body).into();
        self.requests.push(BulkRequest { body, documents: std::mem::take(&mut self.documents) });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pack(max_bytes: usize, sources: &[&str]) -> Vec<BulkRequest> {
        let mut packer = Packer::new(max_bytes);
        for source in sources {
            packer.add(
                1,
                None,
                |out| out.extend_from_slice(b"{}"),
                |out| {
                    out.extend_from_slice(source.as_bytes());
                },
            );
        }
        packer.finish()
    }

    fn bodies(requests: &[BulkRequest]) -> Vec<&str> {
        requests.iter().map(|request| std::str::from_utf8(&request.body).expect("UTF-8")).collect()
    }

    #[test]
    fn a_request_is_closed_at_its_limit_and_not_before() {
        assert_eq!(bodies(&pack(12, &["aa", "bb", "cc"])), ["{}\naa\n{}\nbb\n", "{}\ncc\n"]);
        assert_eq!(bodies(&pack(11, &["aa", "bb"])), ["{}\naa\n", "{}\nbb\n"]);
        assert_eq!(bodies(&pack(1, &["aa", "bb"])), ["{}\naa\n", "{}\nbb\n"]);
        assert!(pack(1, &[]).is_empty());
    }

    #[test]
    fn documents_know_where_they_stand() {
        let requests = pack(100, &["a", "bb", "ccc"]);
        let sources: Vec<_> = requests[0].documents.iter().map(|document| requests[0].source(document)).collect();
        assert_eq!(sources, ["a", "bb", "ccc"]);
        let only = requests[0].only(|position| position != 1).expect("two are left");
        assert_eq!(bodies(std::slice::from_ref(&only)), ["{}\na\n{}\nccc\n"]);
        assert_eq!(only.source(&only.documents[1]), "ccc");
        assert_eq!(only.items(), 2);
        assert!(requests[0].only(|_| false).is_none());
    }

    #[test]
    fn halves_keep_the_order_until_one_document_is_left() {
        let [first, second] = pack(100, &["a", "b", "c"]).remove(0).halves().expect("three documents");
        assert_eq!(bodies(&[first.clone(), second]), ["{}\na\n", "{}\nb\n{}\nc\n"]);
        assert!(first.halves().is_err());
    }
}
