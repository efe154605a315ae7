//! Exporter `file`: OTLP in files, as JSON lines or length-prefixed Protobuf.

use std::io;
use std::time::SystemTime;

use bytes::Bytes;

use crate::config::component::{FileCompression, FileConfig, FileFormat};
use crate::export::otlp_json::to_json;
use crate::export::writer::Writer;
use crate::export::{DeadLetter, Document, Dropped, Encoded, Exporter, Sent, SetupError};
use crate::model::Batch;
use files::Files;
use group::{Group, group};

mod files;
mod group;

#[cfg(test)]
mod tests;

/// The zstd library's default.
const ZSTD_LEVEL: i32 = 3;

/// Writes OTLP to files.
pub struct File {
    format: FileFormat,
    compression: FileCompression,
    writes_lines: bool,
    /// The resource attribute that names the file, if there is more than one.
    group_by: Option<String>,
    files: Writer<Files>,
}

/// What is appended to a file in one go; a clone shares its bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// What stands for the `*` in the path.
    segment: Option<String>,
    items: u64,
    bytes: Bytes,
}

impl File {
    /// Opens the file; with `group_by`, files are opened as they are needed.
    ///
    /// # Errors
    /// If the file can't be opened.
    pub fn new(config: &FileConfig) -> Result<Self, SetupError> {
        let failed = |error| SetupError::new(format!("path {}", config.path.display()), error);
        Ok(Self {
            format: config.format,
            compression: config.compression,
            writes_lines: config.writes_lines(),
            group_by: config.group_by.enabled.then(|| config.group_by.resource_attribute.clone()),
            files: Writer::new(Files::new(config).map_err(failed)?),
        })
    }

    fn record(&self, batch: &Batch, group: &Group) -> Result<Record, Dropped> {
        let mut bytes = match self.format {
            FileFormat::Json => to_json(batch.signal, &group.bytes),
            FileFormat::Proto => group.bytes.to_vec(),
        };
        let failed = |detail| Dropped { items: group.items, reason: "encoding", detail };
        if self.compression == FileCompression::Zstd {
            bytes = zstd::bulk::compress(&bytes, ZSTD_LEVEL).map_err(|error| failed(error.to_string()))?;
        }
        if self.writes_lines {
            bytes.push(b'\n');
        } else {
            let length = u32::try_from(bytes.len()).map_err(|_| failed("more than 4 GiB".to_owned()))?;
            bytes.splice(0..0, length.to_be_bytes());
        }
        Ok(Record { segment: group.segment.clone(), items: group.items, bytes: Bytes::from(bytes) })
    }

    async fn write(&self, record: Record) -> io::Result<()> {
        let write =
            move |files: &mut Files| files.file(record.segment.as_deref())?.write(&record.bytes, SystemTime::now());
        self.files.write(write).await
    }
}

impl Exporter for File {
    type Request = Record;

    fn encode(&self, batch: &Batch, _from: u64) -> Encoded<Record> {
        let (mut requests, mut dropped) = (Vec::new(), Vec::new());
        let groups = match &self.group_by {
            None => vec![Group { segment: None, items: batch.items, bytes: batch.bytes.clone() }],
            Some(attribute) => {
                let (groups, without) = group(batch, attribute);
                if without > 0 {
                    let detail = format!("the resource has no attribute {attribute}, which names the file");
                    dropped.push(Dropped { items: without, reason: "no_path_segment", detail });
                }
                groups
            }
        };
        for group in groups {
            match self.record(batch, &group) {
                Ok(record) => requests.push(record),
                Err(failed) => dropped.push(failed),
            }
        }
        Encoded { requests, dropped, next: None }
    }

    async fn send(&self, record: Record) -> Sent<Record> {
        let items = record.items;
        match self.write(record.clone()).await {
            Ok(()) => Sent::delivered(items),
            Err(error) if record.segment.is_some() && is_about_the_name(&error) => {
                let document = Some(Document::Sent(record.bytes));
                let reason = format!("no file can have this name: {error}");
                Sent::refused(DeadLetter { items, reason, document })
            }
            // A full disk may have room again.
            Err(error) => Sent::again(vec![(record, items)], None, error.to_string()),
        }
    }
}

/// Whether there can never be a file of this name, which came from a peer.
fn is_about_the_name(error: &io::Error) -> bool {
    // `AlreadyExists` is said of a directory in whose place there is a file.
    use io::ErrorKind::{AlreadyExists, InvalidFilename, InvalidInput, IsADirectory, NotADirectory};
    matches!(error.kind(), InvalidFilename | AlreadyExists | InvalidInput | IsADirectory | NotADirectory)
}
