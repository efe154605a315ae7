//! Keys of fields as constants, so that a `match` can name them: `LEN_5` is field 5 with a length.

use super::{i32_key, i64_key, len_key, varint_key};

macro_rules! keys {
    ($key:ident: $($name:ident = $number:literal),* $(,)?) => {
        $(#[allow(dead_code, reason = "the set is complete whether used or not")] pub(crate) const $name: u32 = $key($number);)*
    };
}

keys! {varint_key: VARINT_1 = 1, VARINT_2 = 2, VARINT_3 = 3, VARINT_4 = 4, VARINT_5 = 5, VARINT_6 = 6, VARINT_7 = 7, VARINT_8 = 8, VARINT_9 = 9, VARINT_10 = 10, VARINT_11 = 11, VARINT_12 = 12, VARINT_13 = 13, VARINT_14 = 14, VARINT_15 = 15}
keys! {i64_key: I64_1 = 1, I64_2 = 2, I64_3 = 3, I64_4 = 4, I64_5 = 5, I64_6 = 6, I64_7 = 7, I64_8 = 8, I64_9 = 9, I64_10 = 10, I64_11 = 11, I64_12 = 12, I64_13 = 13, I64_14 = 14, I64_15 = 15}
keys! {len_key: LEN_1 = 1, LEN_2 = 2, LEN_3 = 3, LEN_4 = 4, LEN_5 = 5, LEN_6 = 6, LEN_7 = 7, LEN_8 = 8, LEN_9 = 9, LEN_10 = 10, LEN_11 = 11, LEN_12 = 12, LEN_13 = 13, LEN_14 = 14, LEN_15 = 15}
keys! {i32_key: I32_6 = 6, I32_8 = 8, I32_16 = 16}
