//! Files, read back.

use std::path::Path;

use futures_util::FutureExt;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use prost::Message;

use super::*;
use crate::config::component::{GroupByConfig, RotationConfig};
use crate::export::testing::{batch, samples};

fn config(path: &Path) -> FileConfig {
    FileConfig { path: path.to_owned(), ..FileConfig::default() }
}

fn traces() -> Batch {
    batch(2, samples::traces().encode_to_vec())
}

async fn export(exporter: &File, batch: &Batch) -> u64 {
    let mut delivered = 0;
    for record in exporter.encode(batch, 0).requests {
        delivered += exporter.send(record).await.delivered;
    }
    delivered
}

#[tokio::test]
async fn writes_a_request_per_line() {
    let directory = tempfile::tempdir().expect("directory");
    let path = directory.path().join("traces.jsonl");
    let exporter = File::new(&config(&path)).expect("exporter");
    assert_eq!(export(&exporter, &traces()).await + export(&exporter, &traces()).await, 4);
    drop(exporter);
    let text = std::fs::read_to_string(path).expect("file");
    assert_eq!((text.lines().count(), text.ends_with('\n')), (2, true));
    for line in text.lines() {
        assert_eq!(serde_json::from_str::<ExportTraceServiceRequest>(line).expect("OTLP/JSON"), samples::traces());
    }
}

#[tokio::test]
async fn puts_lengths_in_front_of_protobuf_and_of_compressed_requests() {
    let cases = [
        (FileFormat::Proto, FileCompression::None),
        (FileFormat::Proto, FileCompression::Zstd),
        (FileFormat::Json, FileCompression::Zstd),
    ];
    for (format, compression) in cases {
        let directory = tempfile::tempdir().expect("directory");
        let path = directory.path().join("traces");
        let exporter = File::new(&FileConfig { format, compression, ..config(&path) }).expect("exporter");
        export(&exporter, &traces()).await;
        export(&exporter, &traces()).await;
        drop(exporter);
        let bytes = std::fs::read(path).expect("file");
        let mut rest = &bytes[..];
        for _ in 0..2 {
            let (length, after) = rest.split_first_chunk().expect("length");
            let (record, after) = after.split_at(u32::from_be_bytes(*length) as usize);
            rest = after;
            let plain = match compression {
                FileCompression::None => record.to_vec(),
                FileCompression::Zstd => zstd::decode_all(record).expect("zstd"),
            };
            let request = match format {
                FileFormat::Json => serde_json::from_slice(&plain).expect("OTLP/JSON"),
                FileFormat::Proto => ExportTraceServiceRequest::decode(&plain[..]).expect("OTLP"),
            };
            assert_eq!(request, samples::traces(), "{format:?} {compression:?}");
        }
        assert!(rest.is_empty());
    }
}

/// What counts as exported must not wait in the process.
#[tokio::test]
async fn has_in_the_file_what_it_calls_delivered() {
    let directory = tempfile::tempdir().expect("directory");
    let path = directory.path().join("traces.jsonl");
    let exporter = File::new(&config(&path)).expect("exporter");
    for written in 1..=2 {
        assert_eq!(export(&exporter, &traces()).await, 2);
        assert_eq!(std::fs::read_to_string(&path).expect("file").lines().count(), written);
    }
}

#[tokio::test]
async fn starts_a_new_file_when_the_old_one_is_full() {
    let directory = tempfile::tempdir().expect("directory");
    let rotation = Some(RotationConfig { max_megabytes: 1, ..RotationConfig::default() });
    let again = rotation.clone();
    let path = directory.path().join("traces.jsonl");
    let exporter = File::new(&FileConfig { rotation, ..config(&path) }).expect("exporter");
    let length = exporter.encode(&traces(), 0).requests[0].bytes.len();
    let per_file = MEGABYTE / length;
    for _ in 0..=per_file {
        export(&exporter, &traces()).await;
    }
    drop(exporter);
    assert_eq!(std::fs::read_dir(directory.path()).expect("directory").count(), 2);
    assert_eq!(std::fs::read_to_string(&path).expect("file").lines().count(), 1);
    // The next start goes on where the last one ended.
    let exporter = File::new(&FileConfig { rotation: again, ..config(&path) }).expect("exporter");
    export(&exporter, &traces()).await;
    drop(exporter);
    assert_eq!(std::fs::read_dir(directory.path()).expect("directory").count(), 2);
    assert_eq!(std::fs::read_to_string(path).expect("file").lines().count(), 2);
}

const MEGABYTE: usize = 1 << 20;

#[tokio::test]
async fn writes_a_file_per_value_of_a_resource_attribute() {
    let directory = tempfile::tempdir().expect("directory");
    let request = |name: &str| {
        let mut request = samples::traces();
        request.resource_spans.truncate(1);
        let resource = request.resource_spans[0].resource.as_mut().expect("resource");
        resource.attributes[0].value = Some(opentelemetry_proto::tonic::common::v1::AnyValue {
            value: Some(opentelemetry_proto::tonic::common::v1::any_value::Value::StringValue(name.into())),
        });
        request.encode_to_vec()
    };
    let mut without = samples::traces();
    without.resource_spans.truncate(1);
    without.resource_spans[0].resource = None;
    let bytes = [request("a"), request("b/c"), without.encode_to_vec(), request("a")].concat();
    let batch = batch(8, bytes);

    // One file open at a time: each is closed for the other, and appended to later.
    let group_by = GroupByConfig { enabled: true, resource_attribute: "service.name".into(), max_open_files: 1 };
    let path = directory.path().join("logs/*.jsonl");
    let exporter = File::new(&FileConfig { group_by, ..config(&path) }).expect("exporter");
    let encoded = exporter.encode(&batch, 0);
    assert_eq!(encoded.requests.iter().map(|record| record.items).collect::<Vec<_>>(), [4, 2]);
    assert_eq!((encoded.dropped[0].items, encoded.dropped[0].reason), (2, "no_path_segment"));
    assert_eq!(export(&exporter, &batch).await + export(&exporter, &batch).await, 12);
    drop(exporter);
    for (name, resources) in [("a.jsonl", 2), ("b/c.jsonl", 1)] {
        let text = std::fs::read_to_string(directory.path().join("logs").join(name)).expect(name);
        assert_eq!(text.lines().count(), 2, "{name}");
        let request: ExportTraceServiceRequest =
            serde_json::from_str(text.lines().next().expect("line")).expect("JSON");
        assert_eq!(request.resource_spans.len(), resources);
    }
}

#[tokio::test]
async fn a_resource_without_records_makes_no_file() {
    let directory = tempfile::tempdir().expect("directory");
    let mut request = samples::traces();
    request.resource_spans.iter_mut().for_each(|resource| resource.scope_spans.clear());
    let group_by = GroupByConfig { enabled: true, resource_attribute: "service.name".into(), max_open_files: 1 };
    let path = directory.path().join("*.jsonl");
    let exporter = File::new(&FileConfig { group_by, ..config(&path) }).expect("exporter");
    let encoded = exporter.encode(&batch(0, request.encode_to_vec()), 0);
    assert_eq!((encoded.requests, encoded.dropped), (vec![], vec![]));
}

/// Names of groups come from peers: one that can't be a file's must not keep others waiting.
#[tokio::test]
async fn refuses_what_no_file_can_be_named_after() {
    let directory = tempfile::tempdir().expect("directory");
    let group_by = GroupByConfig { enabled: true, resource_attribute: "service.name".into(), max_open_files: 8 };
    let path = directory.path().join("*");
    let exporter = File::new(&FileConfig { group_by, ..config(&path) }).expect("exporter");
    let record = |segment: &str| Record { segment: Some(segment.to_owned()), items: 3, bytes: "x\n".into() };
    assert_eq!(exporter.send(record("a")).await.delivered, 3);
    for segment in ["a/b", &"x".repeat(256), ""] {
        let sent = exporter.send(record(segment)).await;
        let refused: Vec<_> = sent.refused.iter().map(|letter| (letter.items, letter.reason.as_str())).collect();
        assert!(
            matches!(refused[..], [(3, reason)] if reason.starts_with("no file can have this name")),
            "{refused:?}"
        );
        assert!(sent.again.is_none());
    }
}

#[tokio::test]
async fn tries_again_when_a_file_can_not_be_written() {
    let full = File::new(&config(Path::new("/dev/full"))).expect("exporter");
    let record = full.encode(&traces(), 0).requests.remove(0);
    let again = full.send(record.clone()).await.again.expect("again");
    assert_eq!(again.requests, [(record, 2)]);
}

/// On a runtime of one thread, which has other things to do.
#[tokio::test]
async fn a_pipe_that_nobody_reads_holds_up_nobody_else() {
    let directory = tempfile::tempdir().expect("directory");
    let path = directory.path().join("pipe");
    rustix::fs::mkfifoat(rustix::fs::CWD, &path, rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR).expect("a pipe");
    let mut reader = std::fs::OpenOptions::new().read(true).write(true).open(&path).expect("the pipe");
    let exporter = File::new(&config(&path)).expect("exporter");
    let bytes = vec![b'x'; MEGABYTE];
    let mut sent = Box::pin(exporter.send(Record { segment: None, items: 3, bytes: bytes.into() }));
    assert!((&mut sent).now_or_never().is_none());
    let mut read = vec![0; MEGABYTE];
    std::io::Read::read_exact(&mut reader, &mut read).expect("what was written");
    assert_eq!(sent.await.delivered, 3);
}

#[tokio::test]
async fn makes_a_directory_only_if_told_to() {
    let directory = tempfile::tempdir().expect("directory");
    let path = directory.path().join("a/b/traces.jsonl");
    let error = File::new(&config(&path)).err().expect("no directory");
    assert_eq!(error.to_string(), format!("path {}: No such file or directory (os error 2)", path.display()));
    File::new(&FileConfig { create_directory: true, ..config(&path) }).expect("exporter");
}
