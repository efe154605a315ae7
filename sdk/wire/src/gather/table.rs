//! Gathers the attribute table, and its texts for pattern matching.

use alloc::vec;
use alloc::vec::Vec;

use crate::columns::{Columns, Entries, Entry, NO_PARENT, SeparatedTexts, Slice, Table};
use crate::field::{Level, TableLists, ValueKind};

use super::{LiveRows, Texts};

/// What of the table's values crosses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TableOptions {
    /// Texts.
    pub text: bool,
    /// Integers, doubles and booleans.
    pub numbers: bool,
    /// Parents of nested entries.
    pub parents: bool,
    /// When lists cross at all. Without them entries are found by searching.
    pub lists: TableLists,
}

impl TableOptions {
    /// Everything crosses.
    pub const ALL: Self = Self { text: true, numbers: true, parents: true, lists: TableLists::Always };
}

/// The attribute table as it crosses to a plugin. All lists but `keys` have one value per entry, or are empty if they
/// were not asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GatheredTable {
    /// How many entries there are.
    pub entries: usize,
    /// 0 resource, 1 scope, 2 metric, 3 record, 4 span event, 5 span link, 6 exemplar, 7 log body.
    pub owners: Vec<u8>,
    /// The number of the resource, scope or metric; for all others the number of the live row.
    pub entities: Vec<u32>,
    /// The key as a position in `keys`.
    pub key_codes: Vec<u32>,
    /// The distinct keys; may hold some that only rows have that are no longer alive.
    pub keys: Texts,
    /// Numbers of `ValueKind`.
    pub kinds: Vec<u8>,
    /// For a nested entry the entry that contains it plus 1, else 0. Empty unless asked for.
    pub parents: Vec<u32>,
    /// The values that are text. Empty unless asked for.
    pub text: Texts,
    /// Integers as they are, doubles as their bits, booleans as 0 or 1. Empty unless asked for.
    pub numbers: Vec<u64>,
    /// The original number of each entry; none if they are all still there.
    pub originals: Option<Vec<u32>>,
}

impl GatheredTable {
    /// The original number of entry number `entry`.
    pub fn original(&self, entry: usize) -> Option<usize> {
        match &self.originals {
            None => (entry < self.entries).then_some(entry),
            Some(originals) => originals.get(entry).map(|&original| original as usize),
        }
    }
}

impl Columns {
    /// Gathers the attribute table, without the entries of rows that are no longer alive. `bytes` are those it was
    /// extracted from. None if the projection has no table, or one of texts only where lists are asked for.
    pub fn gather_table(&self, bytes: &[u8], options: TableOptions, live: &LiveRows) -> Option<GatheredTable> {
        let has_lists = match options.lists {
            TableLists::Always => true,
            TableLists::StructuredBodies => self.structured_bodies,
            TableLists::Never => false,
        };
        let table = match self.table.as_ref()? {
            // What is gone stays there under its number, but no search finds it.
            Table::Texts(texts) if !has_lists => {
                return Some(GatheredTable { entries: texts.texts().len(), ..GatheredTable::default() });
            }
            Table::Texts(_) => return None,
            Table::Entries(table) => table,
        };
        let originals = live_entries(table, live);
        let count = originals.as_ref().map_or(table.entries.len(), Vec::len);
        if !has_lists {
            return Some(GatheredTable { entries: count, originals, ..GatheredTable::default() });
        }
        let picked: Vec<Entry>;
        let entries = match &originals {
            None => &table.entries,
            Some(originals) => {
                picked = super::pick(&table.entries, Some(originals));
                &picked
            }
        };
        Some(GatheredTable {
            entries: count,
            owners: entries.iter().map(|entry| entry.owner).collect(),
            entities: entities(entries, live),
            key_codes: entries.iter().map(|entry| entry.key_code).collect(),
            keys: Texts::gather(bytes, table.keys.values().iter().copied()),
            kinds: entries.iter().map(|entry| entry.kind).collect(),
            parents: if options.parents { parents(entries, originals.as_deref(), table) } else { Vec::new() },
            text: if options.text { texts(bytes, entries) } else { Texts::default() },
            numbers: if options.numbers { entries.iter().map(number).collect() } else { Vec::new() },
            originals,
        })
    }

    /// Copies the texts of some entries for pattern matching. Entries come as pairs of the number that the caller knows
    /// them by and the original number; those that are not text are left out. The second list says which were not.
    pub fn separated_texts(
        &self,
        bytes: &[u8],
        entries: impl Iterator<Item = (u32, u32)>,
    ) -> (SeparatedTexts, Vec<u32>) {
        let (mut texts, mut numbers) = (SeparatedTexts::default(), Vec::new());
        for (number, original) in entries {
            let text = self.table.as_ref().and_then(|table| table.entry(original as usize)?.text());
            if let Some(text) = text {
                texts.push_slice(bytes, text);
                numbers.push(number);
            }
        }
        (texts, numbers)
    }
}

/// The original numbers of the entries that live rows, or what stands above rows, have; none if that are all of them.
fn live_entries(table: &Entries, live: &LiveRows) -> Option<Vec<u32>> {
    let alive = live.some()?;
    let mut row = 0;
    let mut is_alive = |entry: &Entry| {
        if entry.entity_level() != Level::Record {
            return true;
        }
        while alive.get(row).is_some_and(|&alive| alive < entry.entity) {
            row += 1;
        }
        alive.get(row) == Some(&entry.entity)
    };
    let entries = table.entries.iter().enumerate();
    let mut live = Vec::with_capacity(table.entries.len());
    live.extend(entries.filter(|(_, entry)| is_alive(entry)).map(|(index, _)| index as u32));
    Some(live)
}

fn entities(entries: &[Entry], live: &LiveRows) -> Vec<u32> {
    let Some(alive) = live.some() else {
        return entries.iter().map(|entry| entry.entity).collect();
    };
    let mut row = 0;
    let mut renumber = |entry: &Entry| {
        if entry.entity_level() != Level::Record {
            return entry.entity;
        }
        while alive.get(row).is_some_and(|&alive| alive < entry.entity) {
            row += 1;
        }
        row as u32
    };
    entries.iter().map(&mut renumber).collect()
}

/// Renumbers parents; an entry and its parent are alive together.
fn parents(entries: &[Entry], originals: Option<&[u32]>, table: &Entries) -> Vec<u32> {
    let Some(originals) = originals else {
        return entries.iter().map(|entry| entry.parent).collect();
    };
    let mut renumbered = vec![NO_PARENT; table.entries.len() + 1];
    for (index, &original) in originals.iter().enumerate() {
        renumbered[original as usize + 1] = index as u32 + 1;
    }
    entries.iter().map(|entry| renumbered[entry.parent as usize]).collect()
}

fn texts(bytes: &[u8], entries: &[Entry]) -> Texts {
    Texts::gather(bytes, entries.iter().map(|entry| entry.text().unwrap_or(Slice { start: 0, length: 0 })))
}

fn number(entry: &Entry) -> u64 {
    match ValueKind::from_code(entry.kind) {
        Some(ValueKind::Integer | ValueKind::Double | ValueKind::Boolean) => entry.bits,
        _ => 0,
    }
}
