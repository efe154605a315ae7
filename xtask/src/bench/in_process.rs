//! The functions by themselves: times beside their goals.

use anyhow::{Context, Result, ensure};

use super::table::Table;
use crate::shell;

/// Runs `tests/bench/benches/numbers`, which prints `name<TAB>value<TAB>unit<TAB>limit<TAB>goal` lines, as a table.
pub(crate) fn measure() -> Result<Table> {
    shell::step("measuring in process");
    let text = shell::output(shell::cargo().args(["bench", "--workspace", "--bench", "numbers"]))?;
    ensure!(text.contains('\t'), "the benchmark `numbers` printed no number");
    let mut table = Table::new("In process, medians, 1,000 items a batch unless it says otherwise");
    for line in text.lines() {
        let fields: Vec<&str> = line.split('\t').collect();
        if let [name, value, unit, limit, goal] = fields[..] {
            let bound = |text: &str| text.parse::<f64>().ok();
            let value = value.parse().with_context(|| format!("{name}: {value:?} is no number"))?;
            table.at_most(name, value, unit, bound(limit), bound(goal));
        }
    }
    Ok(table)
}
