//! The functions by themselves: times beside their goals, and instruction counts that repeat.

use anyhow::{Context, Result};

use super::table::Table;
use crate::{setup, shell};

/// Version of the runner that belongs to the `gungraun` in the root manifest.
const GUNGRAUN_VERSION: &str = "0.20.0";
/// By how much a count may differ from the one in the repository before it counts as a change.
const TOLERANCE: f64 = 0.02;

/// Runs `host/benches/numbers.rs`, which prints `name<TAB>value<TAB>unit<TAB>limit<TAB>goal` lines, as a table.
pub(crate) fn numbers() -> Result<Table> {
    shell::step("measuring in process");
    let text = shell::output(shell::cargo().args(["bench", "--package", "sluice", "--bench", "numbers"]))?;
    let mut table = Table::new("in process, 1,000 items a batch unless said otherwise");
    for line in text.lines() {
        let fields: Vec<&str> = line.split('\t').collect();
        if let [name, value, unit, limit, goal] = fields[..] {
            let number = |text: &str| text.parse::<f64>().ok();
            table.at_most(name, number(value).context("a number")?, unit, number(limit), number(goal));
        }
    }
    Ok(table)
}

/// Runs the callgrind benchmarks and compares instructions per span with `sdk/wire/benches/counts.txt`.
pub(crate) fn counts(bless: bool) -> Result<()> {
    if !shell::has("valgrind") {
        println!("skipped: instruction counts (they need valgrind)");
        return Ok(());
    }
    let runner = setup::cargo_tool("gungraun-runner", GUNGRAUN_VERSION, "gungraun-runner")?;
    let file = shell::root().join("sdk/wire/benches/counts.txt");
    let known = std::fs::read_to_string(&file).unwrap_or_default();
    let mut measured = String::from(
        "# instructions per 1,000-item batch under callgrind; `cargo xtask bench --counts --bless` writes them\n",
    );
    let mut changed = Vec::new();
    for (package, bench) in [("sluice-wire", "instructions"), ("sluice", "chain_instructions")] {
        shell::step(&format!("counting instructions of {bench}"));
        let mut cargo = shell::cargo();
        cargo.args(["bench", "--package", package, "--bench", bench, "--", "--output-format=json"]);
        let text = shell::output(cargo.env("GUNGRAUN_RUNNER", &runner))?;
        for (name, count) in instructions(&text) {
            let before = known.lines().filter_map(|line| line.rsplit_once(' ')).find(|(known, _)| *known == name);
            let before = before.and_then(|(_, count)| count.parse::<f64>().ok());
            let change = before.map_or(f64::NAN, |before| count as f64 / before - 1.0);
            println!("{name:<50} {count:>12} {:>+7.2} %", change * 100.0);
            if change.is_nan() || change.abs() > TOLERANCE {
                changed.push(name.clone());
            }
            measured.push_str(&format!("{name} {count}\n"));
        }
    }
    if bless {
        return Ok(std::fs::write(file, measured)?);
    }
    anyhow::ensure!(changed.is_empty(), "counts changed by more than {TOLERANCE}: {}", changed.join(", "));
    Ok(())
}

/// Names and instruction counts out of the runner's JSON, one summary a line.
fn instructions(text: &str) -> Vec<(String, u64)> {
    let summaries = text.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
    summaries.filter_map(|summary| instruction_count(&summary)).collect()
}

fn instruction_count(summary: &serde_json::Value) -> Option<(String, u64)> {
    let function = summary["function_name"].as_str()?;
    let id = summary["id"].as_str().unwrap_or_default();
    let metrics = summary.pointer("/profiles/0/summaries/total/summary/Callgrind/Ir/metrics")?;
    let count = metrics.get("Both").and_then(|both| both.get(0)).or_else(|| metrics.get("Left"))?;
    let count = count.as_u64().or_else(|| count.get("Int")?.as_u64())?;
    Some((format!("{function} {id}").trim().to_owned(), count))
}
