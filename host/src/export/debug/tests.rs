//! What is shown, and how much of it.

use prost::Message;

use super::*;
use crate::export::testing::{batch, samples};

fn exporter(config: DebugConfig) -> Debug {
    Debug::new("debug", &config).expect("exporter")
}

/// What the exporter shows of a sample of each signal.
fn shown(verbosity: Verbosity) -> Vec<String> {
    let exporter = exporter(DebugConfig { verbosity, ..DebugConfig::default() });
    let requests = [
        (Signal::Traces, samples::traces().encode_to_vec()),
        (Signal::Metrics, samples::metrics().encode_to_vec()),
        (Signal::Logs, samples::logs().encode_to_vec()),
    ];
    let show = |(signal, bytes)| {
        let shown = exporter.encode(&Batch { signal, ..batch(7, bytes) }, 0).requests.remove(0);
        format!("{}\n{}", shown.summary, shown.text)
    };
    requests.into_iter().map(show).collect()
}

#[test]
fn sums_a_batch_up_on_one_line() {
    let expected = [
        "Traces\t{\"resource spans\": 2, \"spans\": 7}\n",
        "Metrics\t{\"resource metrics\": 1, \"metrics\": 6, \"data points\": 7}\n",
        "Logs\t{\"resource logs\": 1, \"log records\": 7}\n",
    ];
    assert_eq!(shown(Verbosity::Basic), expected);
}

#[test]
fn shows_what_the_collector_shows() {
    for (verbosity, expected) in [
        (Verbosity::Normal, include_str!("tests/normal.txt")),
        (Verbosity::Detailed, include_str!("tests/detailed.txt")),
    ] {
        let text = shown(verbosity).concat();
        if std::env::var_os("UPDATE_SNAPSHOTS").is_some() {
            let name = format!("{verbosity:?}.txt").to_lowercase();
            let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src/export/debug/tests").join(name);
            std::fs::write(path, &text).expect("snapshot");
        } else {
            assert_eq!(text, expected, "{verbosity:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn shows_the_first_of_each_second_and_then_every_so_manieth() {
    for (sampling_initial, sampling_thereafter, expected) in [
        (2, 1, [true; 7]),
        (2, 3, [true, true, false, false, true, false, false]),
        (1, 0, {
            let mut first = [false; 7];
            first[0] = true;
            first
        }),
    ] {
        let exporter = exporter(DebugConfig { sampling_initial, sampling_thereafter, ..DebugConfig::default() });
        for second in 0..2 {
            let is_shown = |_| !exporter.encode(&batch(1, ""), 0).requests[0].summary.is_empty();
            let shown: Vec<bool> = (0..7).map(is_shown).collect();
            assert_eq!(shown, expected, "second {second}");
            // Another signal has a count of its own.
            assert!(exporter.is_shown(Signal::Logs, Instant::now()));
            tokio::time::advance(Duration::from_secs(1)).await;
        }
    }
}

#[tokio::test]
async fn counts_items_as_delivered_whether_they_are_shown_or_not() {
    let exporter = exporter(DebugConfig { sampling_initial: 1, sampling_thereafter: 0, ..DebugConfig::default() });
    for _ in 0..2 {
        let shown = exporter.encode(&batch(5, ""), 0).requests.remove(0);
        assert_eq!(exporter.send(shown).await.delivered, 5);
    }
}

#[tokio::test]
async fn writes_to_files_instead_of_the_log() {
    let directory = tempfile::tempdir().expect("directory");
    let path = directory.path().join("debug.txt");
    let output_paths = Some(vec![path.display().to_string()]);
    let exporter = exporter(DebugConfig { use_internal_logger: false, output_paths, ..DebugConfig::default() });
    let shown = exporter.encode(&batch(5, ""), 0).requests.remove(0);
    exporter.send(shown).await;
    let text = std::fs::read_to_string(path).expect("file");
    assert_eq!(text, "Traces\t{\"resource spans\": 0, \"spans\": 5}\n");
}

#[test]
fn says_which_file_can_not_be_opened() {
    let output_paths = Some(vec!["/nonexistent/debug.txt".to_owned()]);
    let config = DebugConfig { use_internal_logger: false, output_paths, ..DebugConfig::default() };
    let error = Debug::new("debug", &config).err().expect("no directory");
    assert_eq!(error.to_string(), "output_paths: /nonexistent/debug.txt: No such file or directory (os error 2)");
}
