//! Decompression under a limit and a memory permit, so that a small body can't become a large one unnoticed.

mod lz4;

use std::io::Read;

use flate2::{Decompress, FlushDecompress, Status};
use zstd::zstd_safe::{self, DCtx, DParameter, InBuffer, OutBuffer};

use super::DecodeError;
use super::room::Room;
use crate::limits::Permit;

/// How a body is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// Not at all.
    Identity,
    /// RFC 1952.
    Gzip,
    /// RFC 1950, and the bare RFC 1951 that some clients send under the name `deflate`.
    Zlib,
    /// RFC 8878.
    Zstd,
    /// Snappy, as one block or framed.
    Snappy,
    /// LZ4 in frames.
    Lz4,
}

impl Encoding {
    /// Finds an encoding by its name in `Content-Encoding` or `grpc-encoding`.
    pub fn from_name(name: &str) -> Option<Self> {
        match name.trim().to_ascii_lowercase().as_str() {
            "" | "identity" => Some(Self::Identity),
            "gzip" | "x-gzip" => Some(Self::Gzip),
            "zlib" | "deflate" => Some(Self::Zlib),
            "zstd" => Some(Self::Zstd),
            "snappy" | "x-snappy-framed" => Some(Self::Snappy),
            "lz4" => Some(Self::Lz4),
            _ => None,
        }
    }

    /// Its usual name in these headers; none if there is nothing to say.
    pub fn name(self) -> Option<&'static str> {
        match self {
            Self::Identity => None,
            Self::Gzip => Some("gzip"),
            Self::Zlib => Some("deflate"),
            Self::Zstd => Some("zstd"),
            Self::Snappy => Some("snappy"),
            Self::Lz4 => Some("lz4"),
        }
    }
}

/// The best ratio that deflate can reach; a size hint beyond it is a lie.
const DEFLATE_RATIO: usize = 1032;
/// Members of a gzip body; each costs a new decompressor.
const GZIP_MEMBERS: usize = 1024;
/// Windows up to 8 MiB, which RFC 8878 recommends as the limit.
const ZSTD_WINDOW_LOG: u32 = 23;
/// Step of the output where nothing is known about its size.
const STEP_BYTES: usize = 16 * 1024;

/// Decompresses a body into at most `limit_bytes`.
///
/// `permit` is grown by what the result takes, before that is allocated.
///
/// # Errors
/// A corrupt or truncated body, one that exceeds the limit, or a budget without room.
pub fn decompress(
    encoding: Encoding,
    body: &[u8],
    limit_bytes: usize,
    permit: &mut Permit,
) -> Result<Vec<u8>, DecodeError> {
    let mut room = Room::new("the decompressed body", limit_bytes, permit);
    match encoding {
        Encoding::Identity => {
            room.expect(body.len())?;
            copy(body, &mut room)?;
        }
        Encoding::Gzip => gzip(body, &mut room, limit_bytes)?,
        Encoding::Zlib => zlib(body, &mut room)?,
        Encoding::Zstd => return zstd(body, limit_bytes, permit),
        Encoding::Snappy if body.starts_with(b"\xff\x06\x00\x00sNaPpY") => {
            copy(snap::read::FrameDecoder::new(body), &mut room)?;
        }
        Encoding::Snappy => return snappy(body, limit_bytes, permit),
        Encoding::Lz4 => lz4::lz4(body, &mut room)?,
    }
    room.finish()
}

fn invalid(encoding: &str, error: impl std::fmt::Display) -> DecodeError {
    DecodeError::Invalid(format!("the {encoding} body is corrupt: {error}"))
}

/// Reads to the end.
fn copy(mut from: impl Read, room: &mut Room<'_>) -> Result<(), DecodeError> {
    let mut piece = [0; 4096];
    loop {
        match from.read(&mut piece) {
            Ok(0) => return Ok(()),
            Ok(read) => {
                room.reserve(read)?;
                room.out.extend_from_slice(&piece[..read]);
            }
            Err(error) => return Err(invalid("snappy", error)),
        }
    }
}

fn gzip(body: &[u8], room: &mut Room<'_>, limit_bytes: usize) -> Result<(), DecodeError> {
    // The last four bytes are the size of the last member; usually there is just one.
    let hint = body.last_chunk::<4>().map_or(0, |size| u32::from_le_bytes(*size) as usize);
    let possible = hint <= body.len().saturating_mul(DEFLATE_RATIO);
    if possible && hint > limit_bytes {
        return Err(room.too_large());
    }
    room.expect(if possible { hint } else { STEP_BYTES })?;
    let mut rest = body;
    for _ in 0..GZIP_MEMBERS {
        rest = inflate("gzip", Decompress::new_gzip(15), rest, room)?;
        if rest.is_empty() {
            return Ok(());
        }
    }
    Err(invalid("gzip", format_args!("more than {GZIP_MEMBERS} members")))
}

fn zlib(body: &[u8], room: &mut Room<'_>) -> Result<(), DecodeError> {
    let header = body.first_chunk::<2>().map_or(0, |header| u16::from_be_bytes(*header));
    let wrapped = header & 0x0f00 == 0x0800 && header % 31 == 0;
    room.expect(body.len().saturating_mul(4))?;
    match inflate("deflate", Decompress::new(wrapped), body, room)? {
        [] => Ok(()),
        rest => Err(invalid("deflate", format_args!("{} bytes follow its end", rest.len()))),
    }
}

/// Decompresses one stream; returns what follows it.
fn inflate<'b>(
    name: &str,
    mut stream: Decompress,
    body: &'b [u8],
    room: &mut Room<'_>,
) -> Result<&'b [u8], DecodeError> {
    loop {
        room.reserve(1)?;
        let rest = &body[stream.total_in() as usize..];
        let before = (stream.total_in(), stream.total_out());
        match stream.decompress_vec(rest, &mut room.out, FlushDecompress::None) {
            Ok(Status::StreamEnd) => return Ok(&body[stream.total_in() as usize..]),
            Ok(_) if (stream.total_in(), stream.total_out()) == before => return Err(invalid(name, "it is cut short")),
            Ok(_) => {}
            Err(error) => return Err(invalid(name, error)),
        }
    }
}

fn zstd(body: &[u8], limit_bytes: usize, permit: &mut Permit) -> Result<Vec<u8>, DecodeError> {
    let fail = |code| invalid("zstd", zstd_safe::get_error_name(code));
    let size = zstd_safe::get_frame_content_size(body).map_err(|_| invalid("zstd", "it has no frame header"))?;
    let hint = size.map(|size| usize::try_from(size).unwrap_or(usize::MAX));
    // With the whole result in one buffer there is no window; otherwise the frame says how large that is.
    const SLACK: usize = 64;
    let is_in_one = hint.is_some_and(|hint| hint.saturating_add(SLACK) <= permit.most_more());
    let window = if is_in_one { 0 } else { zstd_window(body) };
    if window > permit.most_more() {
        return Err(DecodeError::OverWholeBudget { what: "the window of the decompressed body" });
    }
    if !permit.try_grow(window) {
        return Err(DecodeError::OverBudget);
    }
    let mut room = Room::new("the decompressed body", limit_bytes, permit);
    if hint.is_some_and(|hint| hint > limit_bytes) {
        return Err(room.too_large());
    }
    room.expect(hint.unwrap_or(body.len().saturating_mul(4)))?;
    let mut context = DCtx::try_create().ok_or(DecodeError::OverBudget)?;
    context.set_parameter(DParameter::WindowLogMax(ZSTD_WINDOW_LOG)).map_err(fail)?;
    let mut input = InBuffer::around(body);
    loop {
        room.reserve(1)?;
        let (read, written) = (input.pos(), room.out.len());
        let mut output = OutBuffer::around_pos(&mut room.out, written);
        let left = context.decompress_stream(&mut output, &mut input).map_err(fail)?;
        let stuck = input.pos() == read && output.pos() == written;
        if left == 0 && input.pos() == body.len() {
            return room.finish();
        }
        if stuck {
            return Err(invalid("zstd", "it is cut short"));
        }
    }
}

/// The window that a zstd frame asks for (RFC 8878, 3.1.1.1.2), as far as it is allowed.
fn zstd_window(body: &[u8]) -> usize {
    let descriptor = body.get(5).copied().unwrap_or_default();
    let base = 1_usize << (10 + (descriptor >> 3)).min(ZSTD_WINDOW_LOG as u8);
    (base + base / 8 * usize::from(descriptor & 7)).min(1 << ZSTD_WINDOW_LOG)
}

fn snappy(body: &[u8], limit_bytes: usize, permit: &mut Permit) -> Result<Vec<u8>, DecodeError> {
    let size = snap::raw::decompress_len(body).map_err(|error| invalid("snappy", error))?;
    let mut room = Room::new("the decompressed body", limit_bytes, permit);
    if size > limit_bytes {
        return Err(room.too_large());
    }
    room.reserve(size)?;
    room.out.resize(size, 0);
    snap::raw::Decoder::new().decompress(body, &mut room.out).map_err(|error| invalid("snappy", error))?;
    room.finish()
}

#[cfg(test)]
mod tests;
