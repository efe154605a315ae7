//! Names of the parts of a log body, as the summary has them: `user.emails.[0]`, or `body` for all of it.

use sluice_sdk::{Owner, Table, ValueKind};

/// Names the parts of log bodies of one batch.
pub(crate) struct BodyPaths<'a> {
    table: Table<'a>,
    /// For each entry its position among those with the same parent; empty if names are not wanted.
    positions: Vec<u32>,
}

impl<'a> BodyPaths<'a> {
    /// Prepares to name parts, if they are wanted.
    pub(crate) fn new(table: Table<'a>, are_wanted: bool) -> Self {
        if !are_wanted {
            return Self { table, positions: Vec::new() };
        }
        let mut members = vec![0_u32; table.len()];
        let position = |i: usize| {
            let parent = table.parent(i).filter(|_| table.owner(i) == Owner::Body);
            parent.map_or(0, |parent| {
                members[parent] += 1;
                members[parent] - 1
            })
        };
        Self { table, positions: (0..table.len()).map(position).collect() }
    }

    /// The name of an entry that belongs to a body.
    pub(crate) fn of(&self, i: usize) -> String {
        let mut parts = Vec::new();
        let mut at = i;
        while let Some(parent) = self.table.parent(at) {
            parts.push(match self.table.kind(parent) {
                ValueKind::Array => format!("[{}]", self.positions.get(at).copied().unwrap_or_default()),
                _ => self.table.key(at).to_owned(),
            });
            at = parent;
        }
        if parts.is_empty() {
            return "body".to_owned();
        }
        parts.reverse();
        parts.join(".")
    }
}
