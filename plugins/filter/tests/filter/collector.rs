//! Compares the stage with the filter processor of the OpenTelemetry Collector.
//!
//! The answers of the Collector are recorded under `tests/data`. To record them anew, build `tests/collector` and run
//! these tests with `SLUICE_FILTER_ORACLE` naming the binary.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use filter::Filter;
use serde_json::{Value, json};
use sluice_sdk::Signal;
use sluice_sdk::testing::Harness;

use crate::{conditions, zoo};

/// What became of a request.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Outcome {
    /// These rows are left.
    Kept(Vec<usize>),
    /// The batch was refused.
    Refused,
    /// The configuration was.
    BadConfig(String),
}

pub(crate) fn ours(signal: Signal, config: &Value, request: &[u8], rows: usize) -> Outcome {
    let mut harness = match Harness::<Filter>::new(&config.to_string(), signal) {
        Ok(harness) => harness,
        Err(errors) => return Outcome::BadConfig(errors.to_string()),
    };
    match harness.process(request) {
        Ok(processed) => {
            let kept = processed.kept;
            Outcome::Kept((0..rows).filter(|row| kept.as_ref().is_none_or(|kept| kept.get(*row))).collect())
        }
        Err(_) => Outcome::Refused,
    }
}

pub(crate) fn name(signal: Signal) -> &'static str {
    match signal {
        Signal::Traces => "traces",
        Signal::Metrics => "metrics",
        Signal::Logs => "logs",
    }
}

/// Asks the Collector about several configurations at once.
fn theirs(oracle: &Path, cases: &[(Signal, Value, Vec<u8>)]) -> Vec<Outcome> {
    let mut child = Command::new(oracle).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut input = child.stdin.take().unwrap();
    let lines: Vec<String> = cases
        .iter()
        .map(|(signal, config, request)| {
            json!({ "signal": name(*signal), "config": config, "input": base64(request) }).to_string()
        })
        .collect();
    let writer = std::thread::spawn(move || lines.iter().for_each(|line| writeln!(input, "{line}").unwrap()));
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap();
    let answers = String::from_utf8(output.stdout).unwrap();
    answers.lines().zip(cases).map(|(line, (signal, ..))| outcome(*signal, &serde_json::from_str(line).unwrap())).collect()
}

fn outcome(signal: Signal, answer: &Value) -> Outcome {
    if let Some(error) = answer["config_error"].as_str() {
        return Outcome::BadConfig(error.to_owned());
    }
    match answer["error"].as_str() {
        Some(_) => Outcome::Refused,
        None => Outcome::Kept(zoo::ids(signal, &unbase64(answer["output"].as_str().unwrap_or_default()))),
    }
}

const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

fn base64(bytes: &[u8]) -> String {
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let byte = |i: usize| u32::from(chunk.get(i).copied().unwrap_or(0));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for digit in 0..4 {
            let place = (bits >> (18 - 6 * digit) & 63) as usize;
            text.push(if digit <= chunk.len() { DIGITS[place] as char } else { '=' });
        }
    }
    text
}

fn unbase64(text: &str) -> Vec<u8> {
    let digits: Vec<u32> =
        text.bytes().filter_map(|b| DIGITS.iter().position(|digit| *digit == b)).map(|digit| digit as u32).collect();
    let mut bytes = Vec::new();
    for chunk in digits.chunks(4) {
        let bits = chunk.iter().enumerate().fold(0, |bits, (i, digit)| bits | digit << (18 - 6 * i));
        bytes.extend(bits.to_be_bytes()[1..chunk.len()].iter());
    }
    bytes
}

fn oracle() -> Option<PathBuf> {
    std::env::var_os("SLUICE_FILTER_ORACLE").map(PathBuf::from)
}

#[test]
fn agrees_with_the_collector_on_made_up_conditions() {
    let Some(oracle) = oracle() else { return };
    let count: u64 = std::env::var("CASES").ok().and_then(|n| n.parse().ok()).unwrap_or(500);
    let first: u64 = std::env::var("FIRST").ok().and_then(|n| n.parse().ok()).unwrap_or(0);
    let mut failures = 0;
    for signal in [Signal::Traces, Signal::Metrics, Signal::Logs] {
        let mut cases = Vec::new();
        let mut rows = Vec::new();
        for seed in first..first + count {
            let (request, count) = zoo::request(signal, seed % 7);
            cases.push((signal, conditions::config(signal, seed), request));
            rows.push(count);
        }
        let answers = theirs(&oracle, &cases);
        assert_eq!(answers.len(), cases.len());
        let (mut refused, mut bad, mut dropped) = (0, 0, 0);
        for (((signal, config, request), rows), theirs) in cases.iter().zip(&rows).zip(&answers) {
            let ours = ours(*signal, config, request, *rows);
            match theirs {
                Outcome::BadConfig(_) => bad += 1,
                Outcome::Refused => refused += 1,
                Outcome::Kept(kept) if kept.len() < *rows => dropped += 1,
                Outcome::Kept(_) => {}
            }
            let same = match (&ours, theirs) {
                (Outcome::BadConfig(_), Outcome::BadConfig(_)) => true,
                (ours, theirs) => ours == theirs,
            };
            if !same {
                failures += 1;
                if failures < 40 {
                    println!("{config}\n  ours   {ours:?}\n  theirs {theirs:?}");
                }
            }
        }
        println!("{}: {} cases, {dropped} drop, {refused} refused, {bad} bad", name(signal), cases.len());
    }
    assert_eq!(failures, 0);
}
