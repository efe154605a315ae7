//! The table that adds up, and what is wrong with it if it does not.

use std::fmt::Write;

use crate::books::{Books, SIGNALS};
use crate::files::Contents;
use crate::load::TENANTS;

const HEADER: [&str; 8] =
    ["tenant", "signal", "received", "filtered", "sampled out", "redacted values", "exported", "in the files"];

/// One line per tenant and signal, and their sums.
pub(crate) fn render(books: &Books, contents: &Contents) -> String {
    let mut rows = vec![HEADER.map(str::to_owned)];
    let mut sums = [0; 6];
    for tenant in books.tenants() {
        for signal in SIGNALS {
            let entries = books.entries(tenant, signal);
            let content = contents.get(&(tenant.to_owned(), signal.to_owned())).copied().unwrap_or_default();
            let (in_file, masked) = (content.records as i64, content.masked as i64);
            let numbers = [entries.received, entries.filtered, entries.sampled_out, masked, entries.exported, in_file];
            sums.iter_mut().zip(numbers).for_each(|(sum, number)| *sum += number);
            rows.push(row(tenant, signal, numbers));
        }
    }
    rows.push(row("all", "", sums));
    lines(&rows)
}

fn row(tenant: &str, signal: &str, numbers: [i64; 6]) -> [String; 8] {
    let [a, b, c, d, e, f] = numbers.map(thousands);
    [tenant.to_owned(), signal.to_owned(), a, b, c, d, e, f]
}

/// Words to the left, numbers to the right.
pub(crate) fn lines<const N: usize>(rows: &[[String; N]]) -> String {
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let mut text = String::new();
    for row in rows {
        text.push(' ');
        for (column, cell) in row.iter().enumerate() {
            let width = width(column);
            let number = column > 1;
            // Writing to a string does not fail.
            let _ = if number { write!(text, "  {cell:>width$}") } else { write!(text, " {cell:<width$}") };
        }
        text.truncate(text.trim_end().len());
        text.push('\n');
    }
    text
}

/// 12345 as 12,345.
pub(crate) fn thousands(number: i64) -> String {
    let digits = number.unsigned_abs().to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    if number < 0 { format!("-{text}") } else { text }
}

/// Everything that does not add up.
pub(crate) fn mistakes(books: &Books, contents: &Contents, sent: u64) -> Vec<String> {
    let mut mistakes = Vec::new();
    if books.tenants() != TENANTS {
        mistakes.push(format!("items belong to {:?} instead of {TENANTS:?}", books.tenants()));
    }
    for signal in SIGNALS {
        let mut masked = 0;
        for tenant in TENANTS {
            let found = contents.get(&(tenant.to_owned(), signal.to_owned())).copied().unwrap_or_default();
            masked += found.masked;
            let mut check = |what: &str, left: i64, right: i64| {
                if left != right {
                    mistakes.push(format!("{tenant} {signal}: {what}: {left} is not {right}"));
                }
            };
            let entries = books.entries(tenant, signal);
            let ended = entries.filtered + entries.sampled_out + entries.exported + entries.lost;
            check("received and copied items against those that ended", entries.received + entries.duplicated, ended);
            check("received against sent", entries.received, sent as i64);
            check("lost against nothing", entries.lost, 0);
            let copies = entries.received - entries.filtered - entries.sampled_out;
            check("records in the file against those that were kept", found.records as i64, copies);
            check("exported against what was kept, and its copies", entries.exported, copies + entries.duplicated);
            check("private values in the file against none", found.leaked as i64, 0);
        }
        if masked != books.redacted(signal) {
            let counted = books.redacted(signal);
            mistakes.push(format!("{signal}: {masked} masked values in the files, redaction counted {counted}"));
        }
    }
    mistakes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_numbers_for_people() {
        let cases = [(0, "0"), (999, "999"), (1000, "1,000"), (1_234_567, "1,234,567"), (-1000, "-1,000")];
        for (number, expected) in cases {
            assert_eq!(thousands(number), expected);
        }
    }

    #[test]
    fn names_what_does_not_add_up() {
        let page = "sluice_ledger_items{outcome=\"accepted\",reason=\"\",signal=\"logs\",tenant=\"acme\"} 10\n\
            sluice_ledger_items{outcome=\"exported\",reason=\"\",signal=\"logs\",tenant=\"acme\"} 9\n";
        let books = Books::read(page).expect("a page");
        let found = mistakes(&books, &Contents::new(), 10);
        assert!(found.iter().any(|mistake| mistake.starts_with("acme logs: received and copied")), "{found:?}");
        assert!(found.iter().any(|mistake| mistake.starts_with("items belong to")), "{found:?}");
    }
}
