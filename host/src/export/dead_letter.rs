//! The dead letter file: items that a destination refused for good, one JSON object per line.

use std::io;
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::Serialize;
use serde::de::IgnoredAny;

use crate::export::rolling_file::{RollingFile, Rotation};
use crate::export::writer::Writer;
use crate::export::{DeadLetter, Document};
use crate::model::Batch;
use crate::pace::Pace;

/// Refused items can pile up unread: 100 MiB a file and five files bound them.
const DEFAULT_ROTATION: Rotation =
    Rotation { max_bytes: 100 << 20, max_age: Duration::ZERO, max_backups: 5, local_time: false };

/// A dead letter file that several exporters share.
#[derive(Debug)]
pub struct DeadLetters {
    file: Writer<RollingFile>,
    /// When it was last said that it can't be written.
    failing: Mutex<Pace>,
}

/// Whether refused items can be read again later.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kept {
    /// They stand in the file.
    Yes,
    /// They are gone, or nobody knows which of the batch they were.
    No,
}

/// What became of refused items.
#[derive(Default)]
struct Written {
    letters: Vec<(DeadLetter, Kept)>,
    /// Items that can't be written, and why the last of them can't.
    lost: u64,
    error: Option<io::Error>,
}

#[derive(Serialize)]
struct Line<'a> {
    time: String,
    exporter: &'a str,
    tenant: &'a str,
    signal: &'static str,
    items: u64,
    reason: &'a str,
    /// Where a document was to be stored.
    #[serde(skip_serializing_if = "Option::is_none")]
    index: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<&'a str>,
    /// What was refused, where it is not.
    #[serde(skip_serializing_if = "Option::is_none")]
    document_base64: Option<String>,
    /// It as an OTLP export request: the whole batch, or the part that was refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    otlp_base64: Option<String>,
}

impl DeadLetters {
    /// Opens the file, and appends to what it holds.
    ///
    /// # Errors
    /// Whatever the operating system says, such as a missing directory.
    pub fn open(path: &Path) -> io::Result<Self> {
        let file = RollingFile::open_lines(path, true, Some(DEFAULT_ROTATION))?;
        Ok(Self { file: Writer::new(file), failing: Mutex::default() })
    }

    /// Writes down what was refused; returns it with what became of it.
    pub async fn keep(&self, exporter: &str, batch: &Batch, letters: Vec<DeadLetter>) -> Vec<(DeadLetter, Kept)> {
        let (id, batch) = (exporter.to_owned(), batch.clone());
        let written = self.file.write(move |file| write(file, &id, &batch, letters)).await;
        if let Some(error) = written.error {
            let due = self.failing.lock().unwrap_or_else(PoisonError::into_inner).add(written.lost);
            if let Some(items) = due {
                tracing::error!(exporter, items, %error, "the dead letter file can't be written");
            }
        }
        written.letters
    }
}

fn write(file: &mut RollingFile, exporter: &str, batch: &Batch, letters: Vec<DeadLetter>) -> Written {
    let mut written = Written::default();
    for letter in letters {
        let now = SystemTime::now();
        let (line, mut kept) = line(exporter, batch, &letter, now);
        if let Err(error) = file.write(&line, now) {
            written.lost += letter.items;
            written.error = Some(error);
            kept = Kept::No;
        }
        written.letters.push((letter, kept));
    }
    written
}

fn line(exporter: &str, batch: &Batch, letter: &DeadLetter, now: SystemTime) -> (Vec<u8>, Kept) {
    let (document, otlp) = match &letter.document {
        Some(Document::Sent(document) | Document::Indexed { document, .. }) => (Some(&document[..]), None),
        Some(Document::Otlp(request)) => (None, Some(request)),
        // Of a batch that was refused in part nobody knows which part it was.
        None => (None, (letter.items == batch.items).then_some(&batch.bytes)),
    };
    let (index, id) = match &letter.document {
        Some(Document::Indexed { index, id, .. }) => (Some(index.as_str()), id.as_deref()),
        _ => (None, None),
    };
    let json = document.map(<[u8]>::trim_ascii).filter(|bytes| is_json_line(bytes));
    let line = Line {
        time: jiff::Timestamp::try_from(now).unwrap_or_default().to_string(),
        exporter,
        tenant: batch.tenant.as_str(),
        signal: batch.signal.name(),
        items: letter.items,
        reason: &letter.reason,
        index,
        id,
        document_base64: document.filter(|_| json.is_none()).map(|bytes| BASE64.encode(bytes)),
        otlp_base64: otlp.map(|request| BASE64.encode(request)),
    };
    let kept = if document.is_some() || otlp.is_some() { Kept::Yes } else { Kept::No };
    let mut bytes = serde_json::to_vec(&line).unwrap_or_default();
    if let Some(json) = json {
        // As it was sent: a parser of ours would change numbers and the order of keys.
        bytes.pop();
        bytes.extend_from_slice(b",\"document\":");
        bytes.extend_from_slice(json);
        bytes.push(b'}');
    }
    bytes.push(b'\n');
    (bytes, kept)
}

/// Whether this is one JSON value, and without the line breaks that JSON allows.
fn is_json_line(bytes: &[u8]) -> bool {
    !bytes.contains(&b'\n') && !bytes.contains(&b'\r') && serde_json::from_slice::<IgnoredAny>(bytes).is_ok()
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use serde_json::{Value, json};

    use super::*;
    use crate::export::testing::batch;

    fn letter(items: u64, document: Option<&'static str>) -> DeadLetter {
        let document = document.map(|document| Document::Sent(Bytes::from(document)));
        DeadLetter { items, reason: "mapper_parsing_exception".into(), document }
    }

    fn indexed(id: Option<&str>) -> Document {
        let document = Bytes::from_static(b"{\"a\": 1}");
        Document::Indexed { document, index: "logs".into(), id: id.map(Into::into) }
    }

    #[test]
    fn keeps_documents_and_whole_batches_but_not_unknown_parts() {
        let cases = [
            (letter(1, Some("{\"a\": 1}\n")), Kept::Yes, json!({"document": {"a": 1}})),
            (letter(1, Some("{\n}")), Kept::Yes, json!({"document_base64": "ewp9"})),
            (letter(1, Some("not json")), Kept::Yes, json!({"document_base64": "bm90IGpzb24="})),
            (
                DeadLetter { document: Some(indexed(Some("7"))), ..letter(1, None) },
                Kept::Yes,
                json!({"index": "logs", "id": "7", "document": {"a": 1}}),
            ),
            (
                DeadLetter { document: Some(indexed(None)), ..letter(1, None) },
                Kept::Yes,
                json!({"index": "logs", "document": {"a": 1}}),
            ),
            (letter(3, None), Kept::Yes, json!({"otlp_base64": "b3RscA=="})),
            (letter(2, None), Kept::No, json!({})),
            (
                DeadLetter { document: Some(Document::Otlp(Bytes::from("half"))), ..letter(2, None) },
                Kept::Yes,
                json!({"otlp_base64": "aGFsZg=="}),
            ),
        ];
        let batch = batch(3, "otlp");
        for (letter, kept, expected) in cases {
            let (line, is_kept) = line("opensearch/main", &batch, &letter, SystemTime::UNIX_EPOCH);
            assert_eq!(line.iter().filter(|byte| **byte == b'\n').count(), 1, "one line");
            let mut line: Value = serde_json::from_slice(&line).expect("JSON");
            let fields = line.as_object_mut().expect("object");
            let place = json!({
                "time": fields.remove("time"), "exporter": fields.remove("exporter"),
                "tenant": fields.remove("tenant"), "signal": fields.remove("signal"),
                "items": fields.remove("items"), "reason": fields.remove("reason"),
            });
            assert_eq!(line, expected);
            assert_eq!(is_kept, kept);
            let items = letter.items;
            assert_eq!(
                place,
                json!({
                    "time": "1970-01-01T00:00:00Z", "exporter": "opensearch/main", "tenant": "default",
                    "signal": "traces", "items": items, "reason": "mapper_parsing_exception",
                })
            );
        }
    }

    /// What becomes of one letter.
    async fn keep(letters: &DeadLetters) -> Kept {
        letters.keep("otlp", &batch(3, "otlp"), vec![letter(3, None)]).await[0].1
    }

    #[tokio::test]
    async fn says_now_and_then_that_the_file_can_not_be_written() {
        let log = tempfile::NamedTempFile::new().expect("a file");
        let writer = Mutex::new(log.reopen().expect("a file"));
        let _logged =
            tracing::subscriber::set_default(tracing_subscriber::fmt().with_writer(writer).with_ansi(false).finish());
        let letters = DeadLetters::open(Path::new("/dev/full")).expect("a device");
        for _ in 0..3 {
            assert_eq!(keep(&letters).await, Kept::No);
        }
        let said = std::fs::read_to_string(log.path()).expect("text");
        assert_eq!(said.lines().count(), 1, "{said}");
    }

    #[tokio::test]
    async fn appends_line_by_line() {
        let directory = tempfile::tempdir().expect("directory");
        let path = directory.path().join("dead.jsonl");
        for _ in 0..2 {
            let file = DeadLetters::open(&path).expect("file");
            assert_eq!(keep(&file).await, Kept::Yes);
        }
        assert_eq!(std::fs::read_to_string(path).expect("file").lines().count(), 2);
    }
}
