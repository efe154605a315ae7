//! Encodes the values that a plan writes.

use crate::cursor::{i32_key, i64_key, len_key, varint_key, varint_width};
use crate::place::{Place, Scalar};
use crate::plan::{EditPlan, Kept};

use super::Out;

/// Writes a value as an `AnyValue` in field `number`.
pub(super) fn put_value(plan: &EditPlan, number: u32, code: u32, out: &mut Out<'_>) {
    out.put_varint(u64::from(len_key(number)));
    out.put_varint(content_length(plan, code) as u64);
    put_content(plan, code, out);
}

/// Writes the content of an `AnyValue`.
pub(super) fn put_content(plan: &EditPlan, code: u32, out: &mut Out<'_>) {
    match plan.value(code) {
        Some(Kept::Text(start, end)) => out.put_field(1, plan.pooled(start, end)),
        Some(Kept::Boolean(truth)) => out.put(&[varint_key(2) as u8, u8::from(truth)]),
        Some(Kept::S64(number)) => {
            out.put_varint(u64::from(varint_key(3)));
            out.put_varint(number as u64);
        }
        Some(Kept::F64(number)) => {
            out.put_varint(u64::from(i64_key(4)));
            out.put(&number.to_le_bytes());
        }
        Some(Kept::Bytes(start, end)) => out.put_field(7, plan.pooled(start, end)),
        None => {}
    }
}

/// How many bytes the content of an `AnyValue` takes.
pub(super) fn content_length(plan: &EditPlan, code: u32) -> usize {
    match plan.value(code) {
        Some(Kept::Text(start, end) | Kept::Bytes(start, end)) => {
            let length = (end - start) as usize;
            1 + varint_width(length as u64) + length
        }
        Some(Kept::Boolean(_)) => 2,
        Some(Kept::S64(number)) => 1 + varint_width(number as u64),
        Some(Kept::F64(_)) => 9,
        None => 0,
    }
}

/// Writes a field of the protocol, unless it would hold its default.
pub(super) fn put_intrinsic(plan: &EditPlan, place: &Place, code: u32, out: &mut Out<'_>) {
    let Some(value) = plan.value(code) else {
        return;
    };
    let number = place.number;
    match (place.scalar, value) {
        (Scalar::Any, _) => put_value(plan, number, code, out),
        (Scalar::Text | Scalar::Id(_), Kept::Text(start, end) | Kept::Bytes(start, end))
            if start < end || place.explicit =>
        {
            out.put_field(number, plan.pooled(start, end));
        }
        (Scalar::Double, Kept::F64(value)) => put_fixed64(number, value.to_bits(), place.explicit, out),
        (Scalar::Fixed64 | Scalar::Signed64, Kept::S64(value)) => {
            put_fixed64(number, value as u64, place.explicit, out);
        }
        (Scalar::Fixed32, Kept::S64(value)) if value != 0 => {
            out.put_varint(u64::from(i32_key(number)));
            out.put(&(value as u32).to_le_bytes());
        }
        (Scalar::U32 | Scalar::I32, Kept::S64(value)) => put_varint_field(number, value as u64, out),
        (Scalar::Zigzag, Kept::S64(value)) => {
            let value = value as i32;
            put_varint_field(number, u64::from((value << 1 ^ value >> 31) as u32), out);
        }
        (Scalar::Boolean, Kept::Boolean(truth)) => put_varint_field(number, u64::from(truth), out),
        _ => {}
    }
}

fn put_varint_field(number: u32, value: u64, out: &mut Out<'_>) {
    if value != 0 {
        out.put_varint(u64::from(varint_key(number)));
        out.put_varint(value);
    }
}

fn put_fixed64(number: u32, bits: u64, explicit: bool, out: &mut Out<'_>) {
    if bits != 0 || explicit {
        out.put_varint(u64::from(i64_key(number)));
        out.put(&bits.to_le_bytes());
    }
}
