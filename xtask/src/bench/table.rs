//! Numbers beside their goals.

/// A printed table of at most 100 columns.
pub(crate) struct Table {
    title: String,
    header: [&'static str; 5],
    rows: Vec<[String; 5]>,
}

impl Table {
    /// An empty table of numbers that have a limit.
    pub(crate) fn new(title: &str) -> Self {
        Self::with_header(title, ["what", "measured", "limit", "goal", ""])
    }

    /// An empty table; columns after the first are aligned to the right, except for the last.
    pub(crate) fn with_header(title: &str, header: [&'static str; 5]) -> Self {
        Self { title: title.to_owned(), header, rows: Vec::new() }
    }

    /// Adds a number that has to be at most `limit`, and should be at most `goal`.
    pub(crate) fn at_most(&mut self, what: &str, value: f64, unit: &str, limit: Option<f64>, goal: Option<f64>) {
        let bound = |bound: Option<f64>| bound.map_or_else(String::new, |bound| shown(bound, unit));
        let verdict = verdict(value, limit, goal).to_owned();
        self.row([what.to_owned(), shown(value, unit), bound(limit), bound(goal), verdict]);
    }

    /// Adds a number by itself.
    pub(crate) fn number(&mut self, what: &str, value: f64, unit: &str) {
        self.at_most(what, value, unit, None, None);
    }

    /// Adds a row.
    pub(crate) fn row(&mut self, row: [String; 5]) {
        self.rows.push(row);
    }

    /// Prints it, columns aligned.
    pub(crate) fn print(&self) {
        let header = self.header.map(str::to_owned);
        let rows = || [&header].into_iter().chain(&self.rows);
        let width = |column: usize| rows().map(|row| row[column].chars().count()).max().unwrap_or(0);
        let widths: [usize; 5] = std::array::from_fn(width);
        println!("\n{}", self.title);
        for [what, cells @ .., last] in rows() {
            let aligned = cells.iter().zip(&widths[1..]).map(|(cell, width)| format!("{cell:>width$}"));
            let line = format!("  {what:<0$}  {1}  {last}", widths[0], aligned.collect::<Vec<_>>().join("  "));
            println!("{}", line.trim_end());
        }
    }
}

/// Three digits that count, more for large numbers.
fn shown(number: f64, unit: &str) -> String {
    match number.abs() {
        100.0.. => format!("{number:.0} {unit}"),
        10.0.. => format!("{number:.1} {unit}"),
        _ => format!("{number:.2} {unit}"),
    }
}

fn verdict(value: f64, limit: Option<f64>, goal: Option<f64>) -> &'static str {
    if value.is_nan() {
        return "not measured";
    }
    match (limit.is_none_or(|limit| value <= limit), goal.map(|goal| value <= goal)) {
        (false, _) => "MISSED",
        (true, Some(true)) => "goal met",
        (true, Some(false)) if limit.is_none() => "goal missed",
        (true, Some(false)) => "within the limit",
        (true, None) if limit.is_some() => "within the limit",
        (true, None) => "",
    }
}

/// The median; not a number if there is none.
pub(crate) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn judges_by_limit_and_goal() {
        let (limit, goal) = (Some(4.0), Some(2.0));
        assert_eq!(verdict(2.0, limit, goal), "goal met");
        assert_eq!(verdict(4.0, limit, goal), "within the limit");
        assert_eq!(verdict(4.1, limit, goal), "MISSED");
        assert_eq!(verdict(4.1, None, goal), "goal missed");
        assert_eq!(verdict(4.1, None, None), "");
        assert_eq!(verdict(f64::NAN, limit, goal), "not measured");
    }
}
