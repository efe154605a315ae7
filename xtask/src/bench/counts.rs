//! Instruction counts under callgrind, beside those in the repository.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::table::Table;
use crate::{setup, shell};

/// Version of the runner that belongs to the `gungraun` in the root manifest.
const GUNGRAUN_VERSION: &str = "0.20.0";
/// By how much a count may differ from the one in the repository: hash seeds and addresses differ from run to run.
const TOLERANCE: f64 = 0.02;
/// Directories of the packages with a benchmark `counts`; `benches/counts.txt` there has the counts.
const DIRECTORIES: [&str; 2] = ["sdk/wire", "tests/bench"];

/// Instructions per item, by the name of the benchmark.
type Counts = BTreeMap<String, f64>;

/// Counts, compares, and writes the counts into the repository if they are blessed.
pub(crate) fn run(bless: bool) -> Result<()> {
    if !shell::has("valgrind") {
        ensure!(!shell::in_ci(), "instruction counts need valgrind, which is an error in CI");
        println!("skipped: instruction counts (they need valgrind)");
        return Ok(());
    }
    // The first run compiles the plugins, and what that leaves behind on the heap shows in what it counts.
    if !shell::target().join("tmp").join("code-cache").exists() {
        count()?;
    }
    let summaries = count()?;
    let mut changed = Vec::new();
    for directory in DIRECTORIES {
        let of_this = summaries.iter().filter(|summary| summary["package_dir"] == directory);
        let counts: Counts = of_this.map(per_item).collect::<Result<_>>()?;
        ensure!(!counts.is_empty(), "gungraun-runner printed no counts of {directory}");
        let file = shell::root().join(directory).join("benches/counts.txt");
        let (table, differences) = compare(&format!("{directory}: instructions per item"), &counts, &read(&file)?);
        table.print();
        changed.extend(differences);
        if bless {
            write(&file, &counts)?;
        }
    }
    ensure!(
        bless || changed.is_empty(),
        "not as in the repository: {}; `--counts --bless` writes down what is measured",
        changed.join(", ")
    );
    Ok(())
}

/// What the runner says about each benchmark.
fn count() -> Result<Vec<Value>> {
    let runner = setup::cargo_tool("gungraun-runner", GUNGRAUN_VERSION, "gungraun-runner")?;
    shell::step("counting instructions under valgrind");
    let mut cargo = shell::cargo();
    cargo.args(["bench", "--workspace", "--bench", "counts", "--"]);
    cargo.args(["--output-format=json", "--callgrind-args=--cache-sim=no"]);
    // `gungraun` takes the path in when it is compiled.
    let text = shell::output(cargo.env("GUNGRAUN_RUNNER", runner))?;
    Ok(text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect())
}

/// The name of a benchmark and its count, divided by the number of items that its name ends with.
fn per_item(summary: &Value) -> Result<(String, f64)> {
    let function = summary["function_name"].as_str().context("a summary without function_name")?;
    let id = summary["id"].as_str().context("a benchmark without an id")?;
    let (what, items) = id.rsplit_once('_').with_context(|| format!("{id}: no number of items"))?;
    let items: f64 = items.parse().with_context(|| format!("{id}: no number of items"))?;
    let name = format!("{function}, {} ({items} a batch)", what.replace('_', " "));
    let count = summary.pointer("/profiles/0/data/total/metrics/Ir/values/new").and_then(Value::as_f64);
    Ok((name, count.with_context(|| format!("{id}: a summary without instructions"))? / items))
}

/// The table, and the names of those that are not as they were.
fn compare(title: &str, counts: &Counts, known: &Counts) -> (Table, Vec<String>) {
    let mut table = Table::with_header(title, ["what", "now", "repository", "change", ""]);
    let mut changed = Vec::new();
    for (name, now) in counts {
        let before = known.get(name);
        let change = before.map(|before| now / before - 1.0);
        let verdict = match change {
            None => "new",
            Some(change) if change > TOLERANCE => "MORE",
            Some(change) if change < -TOLERANCE => "fewer",
            Some(_) => "",
        };
        if !verdict.is_empty() {
            changed.push(name.clone());
        }
        let shown = |number: Option<&f64>| number.map_or_else(String::new, |number| format!("{number:.1}"));
        let change = change.map_or_else(String::new, |change| format!("{:+.1} %", change * 100.0));
        table.row([name.clone(), shown(Some(now)), shown(before), change, verdict.to_owned()]);
    }
    for name in known.keys().filter(|name| !counts.contains_key(*name)) {
        changed.push(name.clone());
        table.row([name.clone(), String::new(), String::new(), String::new(), "gone".to_owned()]);
    }
    (table, changed)
}

/// `<count> <name>` lines; `#` begins a comment.
fn read(file: &Path) -> Result<Counts> {
    let text = std::fs::read_to_string(file).unwrap_or_default();
    let lines = text.lines().filter(|line| !line.starts_with('#') && !line.trim().is_empty());
    let parsed = lines.map(|line| {
        let (count, name) = line.trim().split_once(' ').with_context(|| format!("{}: {line:?}", file.display()))?;
        let count = count.parse().with_context(|| format!("{}: {line:?}", file.display()))?;
        Ok((name.to_owned(), count))
    });
    parsed.collect()
}

fn write(file: &Path, counts: &Counts) -> Result<()> {
    let mut text = String::from(
        "# Instructions per item under callgrind, as of the pinned toolchain on x86-64.\n\
         # `cargo xtask bench --counts` compares, `--counts --bless` writes them.\n",
    );
    counts.iter().for_each(|(name, count)| text.push_str(&format!("{count:.1} {name}\n")));
    std::fs::write(file, text).with_context(|| format!("can't write {}", file.display()))
}
