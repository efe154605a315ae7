//! Searches the attribute table as the host does for plugins (`stage/patterns.rs`): all values at once, with a byte
//! between them that is in no text.

use std::cell::RefCell;
use std::collections::HashMap;

use regex::bytes::Regex;
use sluice_sdk::{Matches, TextsView};

const SEPARATOR: u8 = 0xFF;

/// The column and the patterns; both are made once, as the host has them before it calls a plugin.
#[derive(Default)]
pub(crate) struct ColumnSearch {
    column: RefCell<Column>,
    patterns: RefCell<HashMap<String, Regex>>,
}

#[derive(Default)]
struct Column {
    bytes: Vec<u8>,
    /// Where each value begins; one more than there are values.
    starts: Vec<usize>,
}

impl ColumnSearch {
    /// Every match in the selected entries. The patterns look at nothing around them, so none reaches into another value.
    pub(crate) fn find(&self, pattern: &str, texts: TextsView<'_>, entries: Option<&[u64]>) -> Matches {
        let mut column = self.column.borrow_mut();
        if column.starts.is_empty() {
            *column = Column::new(texts);
        }
        let mut patterns = self.patterns.borrow_mut();
        let regex = patterns.entry(pattern.to_owned()).or_insert_with(|| Regex::new(pattern).expect("a pattern"));
        let selects = |entry: usize| entries.is_none_or(|words| words[entry / 64] >> (entry % 64) & 1 == 1);
        column.find(regex, selects)
    }
}

impl Column {
    fn new(texts: TextsView<'_>) -> Self {
        let mut column = Self { bytes: Vec::new(), starts: vec![0] };
        for i in 0..texts.len() {
            column.bytes.extend_from_slice(texts.get(i).as_bytes());
            column.bytes.push(SEPARATOR);
            column.starts.push(column.bytes.len());
        }
        column
    }

    fn find(&self, regex: &Regex, selects: impl Fn(usize) -> bool) -> Matches {
        let mut matches = Matches::default();
        let mut value = 0;
        for found in regex.find_iter(&self.bytes) {
            value += self.starts[value + 1..].iter().take_while(|start| **start <= found.start()).count();
            if !selects(value) {
                continue;
            }
            matches.entries.push(value as u32);
            matches.starts.push((found.start() - self.starts[value]) as u32);
            matches.ends.push((found.end() - self.starts[value]) as u32);
        }
        matches
    }
}
