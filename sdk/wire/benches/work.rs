//! The work that benchmarks measure, shaped like the bench's four stages.

use sluice_wire::{
    Columns, EditPlan, EditValues, Encoding, Field, Intrinsic, Level, Projection, Read, Signal, TableRequest,
};

/// A text of each row: name, route or body; an id or number; and the tenant.
fn reads(signal: Signal) -> Vec<Read> {
    let (field, encoding) = match signal {
        Signal::Traces | Signal::Logs => (Intrinsic::TraceId, Encoding::Bytes),
        Signal::Metrics => (Intrinsic::TimeUnixNano, Encoding::U64),
    };
    vec![
        Read { field: Field::attribute(Level::Record, "http.route"), encoding: Encoding::Dictionary },
        Read { field: Field::intrinsic(Level::Record, field), encoding },
        Read { field: Field::attribute(Level::Resource, "tenant"), encoding: Encoding::Dictionary },
    ]
}

pub(crate) fn three_columns(signal: Signal) -> Projection {
    Projection::new(signal, &reads(signal), None).expect("these fields exist")
}

pub(crate) fn columns_and_table(signal: Signal) -> Projection {
    Projection::new(signal, &reads(signal), Some(TableRequest::ALL)).expect("these fields exist")
}

fn extracted(signal: Signal, bytes: &[u8]) -> Columns {
    let mut columns = Columns::new();
    columns.extract(&columns_and_table(signal), bytes);
    columns
}

pub(crate) fn dropping(signal: Signal, bytes: &[u8]) -> (Columns, EditPlan) {
    let columns = extracted(signal, bytes);
    let mut plan = EditPlan::new(&columns);
    let mut keep = vec![u64::MAX; columns.rows().div_ceil(64)];
    for row in (0..columns.rows()).step_by(5) {
        keep[row / 64] &= !(1 << (row % 64));
    }
    plan.keep(&keep).expect("one bit per row");
    (columns, plan)
}

/// What a plan that edits each row is made of.
pub(crate) struct Edits {
    columns: Columns,
    field: Field,
    rows: Vec<u32>,
    texts: (Vec<u32>, Vec<u8>),
    numbers: Vec<i64>,
    entries: Vec<u32>,
    starts: Vec<u32>,
    ends: Vec<u32>,
}

/// On each row a set of the tracestate (or the severity, or the flags) and a mask of the card number.
pub(crate) fn edits(signal: Signal, bytes: &[u8]) -> Edits {
    let columns = extracted(signal, bytes);
    let intrinsic = match signal {
        Signal::Traces => Intrinsic::TraceState,
        Signal::Logs => Intrinsic::SeverityText,
        Signal::Metrics => Intrinsic::Flags,
    };
    let rows: Vec<u32> = (0..columns.rows() as u32).collect();
    let texts = (0..=rows.len() as u32).map(|row| row * 20).collect();
    let mut edits = Edits {
        field: Field::intrinsic(Level::Record, intrinsic),
        texts: (texts, b"ot=th:c;rv:a3d70f5e1".repeat(rows.len())),
        numbers: vec![1; rows.len()],
        rows,
        entries: Vec::new(),
        starts: Vec::new(),
        ends: Vec::new(),
        columns,
    };
    for entry in 0..edits.columns.entries() {
        let card = edits.columns.entry_text(bytes, entry).and_then(|text| text.find("card=").map(|at| at as u32 + 5));
        if let Some(start) = card {
            edits.entries.push(entry as u32);
            edits.starts.push(start);
            edits.ends.push(start + 16);
        }
    }
    edits
}

impl Edits {
    pub(crate) fn plan(&self, bytes: &[u8]) -> EditPlan {
        let mut plan = EditPlan::new(&self.columns);
        let values = match self.field.selector {
            sluice_wire::Selector::Intrinsic(Intrinsic::Flags) => EditValues::S64(&self.numbers),
            _ => EditValues::Text { offsets: &self.texts.0, bytes: &self.texts.1 },
        };
        plan.set_values(&self.field, &self.rows, values).expect("these fields can be set");
        plan.mask(&self.columns, bytes, &self.entries, &self.starts, &self.ends, "****").expect("cards are text");
        plan
    }
}

pub(crate) fn editing(signal: Signal, bytes: &[u8]) -> (Columns, EditPlan) {
    let edits = edits(signal, bytes);
    let plan = edits.plan(bytes);
    (edits.columns, plan)
}
