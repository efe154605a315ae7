//! LZ4 frames, block by block straight into the output (lz4_Frame_format.md and lz4_Block_format.md of the LZ4 project).
//!
//! `lz4_flex` unpacks the blocks. Its reader of frames takes one that is cut off between two blocks for whole, and sets
//! two largest blocks of memory aside for each: 8 MiB for every request of the collector.

use lz4_flex::block::decompress_into_with_dict;
use twox_hash::XxHash32;

use super::{DecodeError, Room, invalid};

const MAGIC: u32 = 0x184d_2204;
/// How far back a linked block refers at most.
const WINDOW_BYTES: usize = 64 << 10;
/// Marks the size of a block that is stored as it is.
const STORED: u32 = 1 << 31;

/// The first byte of a frame's descriptor, after its version.
const INDEPENDENT: u8 = 1 << 5;
const BLOCK_CHECKSUM: u8 = 1 << 4;
const CONTENT_SIZE: u8 = 1 << 3;
const CONTENT_CHECKSUM: u8 = 1 << 2;
const DICTIONARY: u8 = 1;

/// Decompresses one frame after the other.
pub(super) fn lz4(mut body: &[u8], room: &mut Room<'_>) -> Result<(), DecodeError> {
    room.expect(body.len().saturating_mul(4))?;
    loop {
        frame(&mut body, room)?;
        if body.is_empty() {
            return Ok(());
        }
    }
}

fn frame(rest: &mut &[u8], room: &mut Room<'_>) -> Result<(), DecodeError> {
    let flags = descriptor(rest)?;
    let start = room.out.len();
    loop {
        let size = number(rest)?;
        if size == 0 {
            break;
        }
        let block = take(rest, (size & !STORED) as usize)?;
        if flags & BLOCK_CHECKSUM != 0 {
            verify(block, number(rest)?)?;
        }
        if size & STORED != 0 {
            room.reserve(block.len())?;
            room.out.extend_from_slice(block);
        } else {
            let is_linked = flags & INDEPENDENT == 0;
            let window = if is_linked { (room.out.len() - start).min(WINDOW_BYTES) } else { 0 };
            unpack(block, window, room)?;
        }
    }
    if flags & CONTENT_CHECKSUM != 0 {
        verify(&room.out[start..], number(rest)?)?;
    }
    Ok(())
}

/// Reads what precedes the blocks. What it says of their size and that of the content is not needed.
fn descriptor(rest: &mut &[u8]) -> Result<u8, DecodeError> {
    if number(rest)? != MAGIC {
        return Err(invalid("lz4", "it has no frame header"));
    }
    let start = *rest;
    let flags = take(rest, 2)?[0];
    if flags >> 6 != 1 || flags & DICTIONARY != 0 {
        return Err(invalid("lz4", "its version is unknown, or it needs a dictionary"));
    }
    if flags & CONTENT_SIZE != 0 {
        take(rest, 8)?;
    }
    let checksum = XxHash32::oneshot(0, &start[..start.len() - rest.len()]);
    if take(rest, 1)?[0] != (checksum >> 8) as u8 {
        return Err(mismatch());
    }
    Ok(flags)
}

/// Unpacks a block that may refer to the end of the output.
fn unpack(block: &[u8], window: usize, room: &mut Room<'_>) -> Result<(), DecodeError> {
    let size = unpacked_size(block).ok_or_else(cut_short)?;
    room.reserve(size)?;
    let before = room.out.len();
    room.out.resize(before + size, 0);
    let (known, new) = room.out.split_at_mut(before);
    let unpacked = decompress_into_with_dict(block, new, &known[before - window..]);
    room.out.truncate(before + unpacked.map_err(|error| invalid("lz4", error))?);
    Ok(())
}

/// How many bytes a block makes: some literals and a match each time, in the end just literals.
fn unpacked_size(mut block: &[u8]) -> Option<usize> {
    let mut size = 0;
    loop {
        let token = *block.split_off_first()?;
        let literals = length(token >> 4, &mut block)?;
        block.split_off(..literals)?;
        size += literals;
        if block.is_empty() {
            return Some(size);
        }
        block.split_off(..2)?;
        size += 4 + length(token & 15, &mut block)?;
    }
}

/// A length that goes on in further bytes where four bits are too few.
fn length(bits: u8, block: &mut &[u8]) -> Option<usize> {
    let mut length = usize::from(bits);
    let mut goes_on = bits == 15;
    while goes_on {
        let more = *block.split_off_first()?;
        length += usize::from(more);
        goes_on = more == 255;
    }
    Some(length)
}

fn take<'b>(rest: &mut &'b [u8], bytes: usize) -> Result<&'b [u8], DecodeError> {
    rest.split_off(..bytes).ok_or_else(cut_short)
}

fn number(rest: &mut &[u8]) -> Result<u32, DecodeError> {
    let (number, after) = rest.split_first_chunk().ok_or_else(cut_short)?;
    *rest = after;
    Ok(u32::from_le_bytes(*number))
}

fn verify(bytes: &[u8], checksum: u32) -> Result<(), DecodeError> {
    if XxHash32::oneshot(0, bytes) == checksum { Ok(()) } else { Err(mismatch()) }
}

fn mismatch() -> DecodeError {
    invalid("lz4", "a checksum does not match")
}

fn cut_short() -> DecodeError {
    invalid("lz4", "it is cut short")
}
