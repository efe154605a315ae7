//! Plans on any bytes never panic; on valid requests they give valid requests with the rows that are left.

use sluice_wire::{
    Columns, EditPlan, EditValue, Encoding, Entities, Field, Intrinsic, Level, Projection, Read, TableRequest, splice,
    split, validate,
};

use super::input::{CHOICES, Input};

const TEXTS: [&str; 4] = ["", "x", "a text that is longer than most", "a"];

fn edit(input: &mut Input<'_>, plan: &mut EditPlan, columns: &Columns, bytes: &[u8]) {
    let level = [Level::Resource, Level::Scope, Level::Metric, Level::Record][input.below(4)];
    let field = match input.below(2) {
        0 => Field::attribute(level, TEXTS[input.below(4)]),
        _ => Field::intrinsic(level, Intrinsic::ALL[input.below(Intrinsic::ALL.len())]),
    };
    let value = match input.below(5) {
        0 => EditValue::S64(5),
        1 => EditValue::F64(0.5),
        2 => EditValue::Boolean(true),
        3 => EditValue::Bytes(b"bytes"),
        _ => EditValue::Text(TEXTS[input.below(4)]),
    };
    let entry = input.below(columns.entries()) as u32;
    let text = columns.entry_text(bytes, entry as usize).unwrap_or_default();
    let (start, end) = (input.below(text.len() + 1) as u32, input.below(text.len() + 1) as u32);
    let entity = input.below(columns.entities(level)) as u32;
    let replacement = TEXTS[input.below(4)];
    // Edits that make no sense are refused; that is part of the test.
    let _ = match input.below(8) {
        0 => plan.set(&field, Entities::All, value),
        1 => plan.set(&field, Entities::List(&[entity]), value),
        2 => plan.remove(&field, Entities::All),
        3 => plan.rename(level, TEXTS[input.below(4)], TEXTS[input.below(4)], Entities::All),
        4 => plan.mask(columns, bytes, &[entry], &[start], &[end], replacement),
        5 => plan.mask_field(columns, bytes, &field, &[entity], &[0], &[end], replacement),
        6 => plan.replace_entries(columns, bytes, &[entry], &[0, 1], b"y"),
        _ => plan.remove_entries(columns, bytes, &[entry]),
    };
}

/// One input.
pub(crate) fn check(data: &[u8]) {
    let Some(mut input) = Input::new(data, CHOICES) else {
        return;
    };
    let (signal, bytes) = (input.signal, input.request);
    let mut reads = Vec::new();
    for level in [Level::Resource, Level::Scope, Level::Record] {
        reads.push(Read { field: Field::attribute(level, "a"), encoding: Encoding::Text });
        for &intrinsic in Intrinsic::ALL {
            if intrinsic.available(signal, level).is_some_and(|natural| natural.reads_as(Encoding::Text)) {
                reads.push(Read { field: Field::intrinsic(level, intrinsic), encoding: Encoding::Dictionary });
            }
        }
    }
    let Ok(projection) = Projection::new(signal, &reads, Some(TableRequest::ALL)) else {
        panic!("these reads are all allowed");
    };
    let mut columns = Columns::new();
    columns.extract(&projection, bytes);
    let mut plan = EditPlan::new(&columns);
    for _ in 0..3 {
        edit(&mut input, &mut plan, &columns, bytes);
    }
    let rows = plan.rows();
    if input.below(2) == 0 {
        let odd = input.below(256) as u64 * 0x0101_0101_0101_0101;
        let _ = plan.keep(&vec![odd; rows.div_ceil(64)]);
    }
    if input.below(2) == 0 {
        let _ = plan.partition((0..rows as u32).map(|row| row % 3).collect(), 3);
    }
    let parts = splice(bytes, &columns, &plan);
    let pieces = split(signal, bytes, input.below(4), 0);
    if let Ok(summary) = validate(signal, bytes) {
        let live = plan.live_rows().len();
        let left: u32 = parts.iter().map(|part| part.records).sum();
        assert_eq!(left as usize, live);
        for part in &parts {
            assert_eq!(validate(signal, &part.bytes).map(|summary| summary.records), Ok(part.records));
        }
        assert_eq!(pieces.iter().map(|piece| piece.records).sum::<u32>(), summary.records);
    }
}
