//! Whether a test is true, for each entity of a level, and where it could not be evaluated.

use sluice_sdk::{Bitmap, Level};

use crate::value::Fault;

/// The result of a test.
pub(super) struct Truth {
    pub(super) level: Level,
    /// Where it is true; never where it failed.
    pub(super) yes: Bitmap,
    /// Where it failed, and why in one of those places.
    pub(super) faults: Option<(Bitmap, Fault)>,
}

impl Truth {
    pub(super) fn constant(value: bool, level: Level, size: usize) -> Self {
        Self { level, yes: Bitmap::new(size, value), faults: None }
    }

    pub(super) fn not(mut self) -> Self {
        self.yes.not();
        if let Some((bits, _)) = &self.faults {
            remove(&mut self.yes, bits);
        }
        self
    }

    /// Whether nothing that is joined to it can change it.
    pub(super) fn settled(&self, all: bool) -> bool {
        if all { self.yes.is_clear() } else { self.faults.is_none() && self.yes.is_full() }
    }

    /// True where both are; the second is not asked where the first is false or failed.
    pub(super) fn and(self, mut next: Self) -> Self {
        next.yes.and(&self.yes);
        let open = self.yes;
        Self { level: self.level, yes: next.yes, faults: faults(self.faults, next.faults, &open) }
    }

    /// True where either is; the second is not asked where the first is true or failed.
    pub(super) fn or(self, mut next: Self) -> Self {
        let mut open = self.yes.clone();
        if let Some((bits, _)) = &self.faults {
            open.or(bits);
        }
        open.not();
        next.yes.and(&open);
        next.yes.or(&self.yes);
        Self { level: self.level, yes: next.yes, faults: faults(self.faults, next.faults, &open) }
    }
}

/// The faults of the first, and those of the second where it is asked.
fn faults(first: Option<(Bitmap, Fault)>, second: Option<(Bitmap, Fault)>, open: &Bitmap) -> Option<(Bitmap, Fault)> {
    let second = second.and_then(|(mut bits, fault)| {
        bits.and(open);
        (!bits.is_clear()).then_some((bits, fault))
    });
    match (first, second) {
        (Some((mut bits, fault)), Some((more, _))) => {
            bits.or(&more);
            Some((bits, fault))
        }
        (first, second) => first.or(second),
    }
}

fn remove(bits: &mut Bitmap, removed: &Bitmap) {
    let mut others = removed.clone();
    others.not();
    bits.and(&others);
}
