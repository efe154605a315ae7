//! Decides for every entry of the attribute table what shall happen to it, by its key, its kind and where it stands.

use sluice_sdk::{Bitmap, Owner, Table, ValueKind};

use crate::keys::KeyClass;

/// What shall happen to an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Treatment {
    /// A map or an array in a log body, whose members have treatments of their own.
    Container,
    /// Part of something that is treated as a whole.
    Inside,
    /// It is passed on as it is.
    Ignored,
    /// It is removed.
    Removed,
    /// Its whole value is masked.
    Blocked,
    /// Its text is searched.
    Text,
    /// It is no text; its text form is searched.
    Written,
    /// It is no text and not looked at; the Collector takes it for the empty text.
    Unread,
}

/// The treatments of all entries of a table.
pub(crate) struct Plan(Vec<Treatment>);

impl Plan {
    /// Plans for a table whose keys have these classes; none means that all are plain.
    pub(crate) fn new(table: Table<'_>, classes: Option<&[KeyClass]>, redact_all_types: bool) -> Self {
        let mut treatments = Vec::with_capacity(table.len());
        for i in 0..table.len() {
            let class = || classes.map_or(KeyClass::Plain, |classes| classes[table.key_code(i) as usize]);
            let treatment = match (table.parent(i), table.owner(i)) {
                (None, Owner::Body) => in_body(table.kind(i)),
                (None, _) => attribute(class(), table.kind(i), redact_all_types),
                // The host lists what contains before what is contained.
                (Some(parent), _) if treatments.get(parent) != Some(&Treatment::Container) => Treatment::Inside,
                (Some(parent), _) if table.kind(parent) == ValueKind::Array => in_body(table.kind(i)),
                (Some(_), _) => member(class(), table.kind(i)),
            };
            treatments.push(treatment);
        }
        Self(treatments)
    }

    /// Whether a table whose keys are all plain can do without a plan: every entry would be `Text` or `Unread`. A table
    /// without lists can.
    pub(crate) fn is_needless(table: Table<'_>, has_bodies: bool) -> bool {
        !has_bodies || (0..table.len()).all(|i| table.owner(i) != Owner::Body || table.kind(i) == ValueKind::Text)
    }

    /// How many entries there are.
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// The treatment of an entry.
    pub(crate) fn of(&self, entry: u32) -> Treatment {
        self.0[entry as usize]
    }

    /// The entries with this treatment, ascending.
    pub(crate) fn entries(&self, treatment: Treatment) -> impl Iterator<Item = u32> + '_ {
        self.0.iter().enumerate().filter(move |(_, of)| **of == treatment).map(|(entry, _)| entry as u32)
    }

    /// The entries whose text is searched.
    pub(crate) fn texts(&self) -> Bitmap {
        Bitmap::from_fn(self.0.len(), |entry| self.0[entry] == Treatment::Text)
    }
}

fn attribute(class: KeyClass, kind: ValueKind, redact_all_types: bool) -> Treatment {
    match class {
        KeyClass::Ignored => Treatment::Ignored,
        KeyClass::Removed => Treatment::Removed,
        KeyClass::Blocked => Treatment::Blocked,
        KeyClass::Plain if kind == ValueKind::Text => Treatment::Text,
        KeyClass::Plain if redact_all_types => Treatment::Written,
        KeyClass::Plain => Treatment::Unread,
    }
}

/// The member of a map in a log body.
fn member(class: KeyClass, kind: ValueKind) -> Treatment {
    match class {
        KeyClass::Ignored => Treatment::Ignored,
        KeyClass::Removed => Treatment::Removed,
        KeyClass::Blocked => Treatment::Blocked,
        KeyClass::Plain => in_body(kind),
    }
}

fn in_body(kind: ValueKind) -> Treatment {
    match kind {
        ValueKind::Map | ValueKind::Array => Treatment::Container,
        ValueKind::Text => Treatment::Text,
        _ => Treatment::Written,
    }
}
