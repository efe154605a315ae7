//! Compares the stage with the filter processor of the OpenTelemetry Collector.
//!
//! The answers of the Collector are recorded under `tests/data`. To record them anew, run these tests with
//! `SLUICE_COLLECTOR` naming the Collector that `cargo xtask parts` builds.

use std::io::Write;
use std::ops::Range;
use std::path::Path;
use std::process::{Command, Stdio};

use filter::Filter;
use serde_json::{Value, json};
use sluice_sdk::Signal;
use sluice_sdk::testing::Harness;

use crate::{conditions, zoo};

/// What became of a request.
#[derive(Debug, Clone, PartialEq)]
enum Outcome {
    /// These rows are left.
    Kept(Vec<usize>),
    /// The batch was refused.
    Refused,
    /// The configuration was.
    BadConfig(String),
}

fn ours(signal: Signal, config: &Value, request: &[u8]) -> Outcome {
    let mut harness = match Harness::<Filter>::new(config, signal) {
        Ok(harness) => harness,
        Err(errors) => return Outcome::BadConfig(errors.to_string()),
    };
    match harness.process(request) {
        Ok(processed) => {
            let kept = zoo::ids(signal, &processed.bytes);
            assert!(kept.iter().copied().eq(processed.kept.iter_ones()), "{config}");
            Outcome::Kept(kept)
        }
        Err(_) => Outcome::Refused,
    }
}

fn name(signal: Signal) -> &'static str {
    match signal {
        Signal::Traces => "traces",
        Signal::Metrics => "metrics",
        Signal::Logs => "logs",
    }
}

/// Asks the Collector about several configurations at once.
fn theirs(collector: &Path, cases: &[(Signal, Value, Vec<u8>)]) -> Vec<Outcome> {
    let mut child = Command::new(collector).arg("ask").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut input = child.stdin.take().unwrap();
    let lines: Vec<String> = cases
        .iter()
        .map(|(signal, config, request)| {
            let request = hex::encode(request);
            json!({ "processor": "filter", "signal": name(*signal), "config": config, "request": request }).to_string()
        })
        .collect();
    let writer = std::thread::spawn(move || lines.iter().for_each(|line| writeln!(input, "{line}").unwrap()));
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap();
    let answers = String::from_utf8(output.stdout).unwrap();
    answers
        .lines()
        .zip(cases)
        .map(|(line, (signal, ..))| outcome(*signal, &serde_json::from_str(line).unwrap()))
        .collect()
}

fn outcome(signal: Signal, answer: &Value) -> Outcome {
    if let Some(error) = answer["config_error"].as_str() {
        return Outcome::BadConfig(error.to_owned());
    }
    match answer["error"].as_str() {
        Some(_) => Outcome::Refused,
        None => Outcome::Kept(zoo::ids(signal, &hex::decode(answer["request"].as_str().unwrap()).unwrap())),
    }
}

/// How many made-up configurations each signal has.
const CASES: u64 = 320;
const RECORDED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/collector.txt");

fn cases(signal: Signal, seeds: Range<u64>) -> Vec<(Signal, Value, Vec<u8>)> {
    seeds.map(|seed| (signal, conditions::config(signal, seed), zoo::request(signal, seed % 7))).collect()
}

/// One line per case: the signal, the number, and which rows were dropped.
fn line(signal: Signal, seed: u64, outcome: &Outcome, rows: usize) -> String {
    let result = match outcome {
        Outcome::Refused => "refused".to_owned(),
        Outcome::BadConfig(error) => format!("bad {error}"),
        Outcome::Kept(kept) => {
            let dropped = (0..rows).filter(|row| !kept.contains(row)).map(|row| row.to_string());
            dropped.collect::<Vec<_>>().join(" ")
        }
    };
    format!("{} {seed}: {result}", name(signal)).trim_end().to_owned()
}

fn lines(seeds: &Range<u64>, ask: impl Fn(&[(Signal, Value, Vec<u8>)]) -> Vec<Outcome>) -> Vec<String> {
    let mut lines = Vec::new();
    for signal in [Signal::Traces, Signal::Metrics, Signal::Logs] {
        let cases = cases(signal, seeds.clone());
        let answers = ask(&cases);
        assert_eq!(answers.len(), cases.len());
        for ((seed, outcome), (.., request)) in seeds.clone().zip(&answers).zip(&cases) {
            lines.push(line(signal, seed, outcome, zoo::ids(signal, request).len()));
        }
    }
    lines
}

#[test]
fn agrees_with_the_collector_on_made_up_configurations() {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let first = number("FIRST").unwrap_or(0);
    let seeds = first..first + number("CASES").unwrap_or(CASES);
    let theirs = match std::env::var_os("SLUICE_COLLECTOR") {
        Some(collector) => {
            let theirs = lines(&seeds, |cases| theirs(Path::new(&collector), cases));
            if seeds == (0..CASES) {
                std::fs::write(RECORDED, theirs.join("\n") + "\n").expect("the recording is written");
            }
            theirs
        }
        None => std::fs::read_to_string(RECORDED).expect("the recording").lines().map(str::to_owned).collect(),
    };
    let ours =
        lines(&seeds, |cases| cases.iter().map(|(signal, config, request)| ours(*signal, config, request)).collect());
    assert_eq!(ours.len(), theirs.len());
    let differences: Vec<String> = ours
        .iter()
        .zip(&theirs)
        .filter(|(ours, theirs)| ours != theirs)
        .map(|(ours, theirs)| {
            let (name, seed) = ours.split_once(':').and_then(|(case, _)| case.split_once(' ')).expect("a case");
            let signal =
                *[Signal::Traces, Signal::Metrics, Signal::Logs].iter().find(|s| self::name(**s) == name).unwrap();
            format!("{}\n  ours   {ours}\n  theirs {theirs}", conditions::config(signal, seed.parse().unwrap()))
        })
        .collect();
    assert!(differences.is_empty(), "{} of {}:\n{}", differences.len(), ours.len(), differences.join("\n"));
}
