//! Numbers beside their goals.

/// A printed table.
#[derive(Default)]
pub(crate) struct Table {
    title: String,
    rows: Vec<[String; 4]>,
}

impl Table {
    /// An empty table.
    pub(crate) fn new(title: &str) -> Self {
        Self { title: title.to_owned(), rows: Vec::new() }
    }

    /// Adds a number that has to be at most `limit`, and should be at most `goal`.
    pub(crate) fn at_most(&mut self, what: &str, value: f64, unit: &str, limit: Option<f64>, goal: Option<f64>) {
        let shown = |number: f64| if number >= 100.0 { format!("{number:.0}") } else { format!("{number:.2}") };
        let bound = |bound: Option<f64>| bound.map_or_else(String::new, |bound| format!("{} {unit}", shown(bound)));
        let verdict = match (limit.or(goal), goal.or(limit)) {
            (None, _) | (_, None) => "",
            (_, Some(goal)) if value <= goal => "goal met",
            (Some(limit), _) if value <= limit => "within the limit",
            _ => "MISSED",
        };
        let bounds = match (bound(limit), bound(goal)) {
            (limit, goal) if limit.is_empty() => goal,
            (limit, goal) if goal.is_empty() => limit,
            (limit, goal) => format!("{limit}, goal {goal}"),
        };
        self.rows.push([what.to_owned(), format!("{} {unit}", shown(value)), bounds, verdict.to_owned()]);
    }

    /// Prints it, columns aligned.
    pub(crate) fn print(&self) {
        let header = ["what", "measured", "at most", ""].map(str::to_owned);
        let width = |column: usize| self.rows.iter().chain([&header]).map(|row| row[column].chars().count()).max();
        let widths: Vec<usize> = (0..4).map(|column| width(column).unwrap_or(0)).collect();
        println!("\n{}", self.title);
        for row in [&header].into_iter().chain(&self.rows) {
            let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}"));
            println!("  {}", cells.collect::<Vec<_>>().join("  ").trim_end());
        }
    }
}
