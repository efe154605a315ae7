//! Decompression: every encoding at its limit and past it, bombs, lies and ruins.

use std::io::Write;

use flate2::Compression;
use lz4_flex::frame::{BlockMode, BlockSize, FrameEncoder, FrameInfo};

use super::*;
use crate::limits::Budget;

const ALL: [Encoding; 6] =
    [Encoding::Identity, Encoding::Gzip, Encoding::Zlib, Encoding::Zstd, Encoding::Snappy, Encoding::Lz4];

fn compress(encoding: Encoding, plain: &[u8]) -> Vec<u8> {
    match encoding {
        Encoding::Identity => plain.to_vec(),
        Encoding::Gzip => {
            let mut writer = flate2::write::GzEncoder::new(Vec::new(), Compression::fast());
            writer.write_all(plain).expect("memory");
            writer.finish().expect("memory")
        }
        Encoding::Zlib => {
            let mut writer = flate2::write::ZlibEncoder::new(Vec::new(), Compression::fast());
            writer.write_all(plain).expect("memory");
            writer.finish().expect("memory")
        }
        Encoding::Zstd => zstd::bulk::compress(plain, 3).expect("zstd"),
        Encoding::Snappy => snap::raw::Encoder::new().compress_vec(plain).expect("snappy"),
        Encoding::Lz4 => lz4(FrameInfo::new().content_size(Some(plain.len() as u64)), plain),
    }
}

fn lz4(frame: FrameInfo, plain: &[u8]) -> Vec<u8> {
    let mut writer = FrameEncoder::with_frame_info(frame, Vec::new());
    writer.write_all(plain).expect("memory");
    writer.finish().expect("memory")
}

/// With all that a frame may have beside blocks that stand alone.
fn linked() -> FrameInfo {
    let blocks = FrameInfo::new().block_mode(BlockMode::Linked).block_size(BlockSize::Max64KB);
    blocks.block_checksums(true).content_checksum(true)
}

/// The same in the forms that don't say how long the result is.
fn compress_streaming(encoding: Encoding, plain: &[u8]) -> Vec<u8> {
    match encoding {
        Encoding::Zlib => {
            let mut writer = flate2::write::DeflateEncoder::new(Vec::new(), Compression::fast());
            writer.write_all(plain).expect("memory");
            writer.finish().expect("memory")
        }
        Encoding::Zstd => zstd::stream::encode_all(plain, 3).expect("zstd"),
        Encoding::Snappy => {
            let mut writer = snap::write::FrameEncoder::new(Vec::new());
            writer.write_all(plain).expect("memory");
            writer.into_inner().expect("memory")
        }
        Encoding::Lz4 => lz4(linked(), plain),
        other => compress(other, plain),
    }
}

fn run(encoding: Encoding, body: &[u8], limit: usize, budget_bytes: usize) -> Result<Vec<u8>, DecodeError> {
    let budget = Budget::new(budget_bytes);
    let mut permit = budget.try_take(0).expect("empty");
    let result = decompress(encoding, body, limit, &mut permit);
    if let Ok(bytes) = &result {
        assert!(permit.bytes() >= bytes.capacity(), "{encoding:?}: every allocated byte is covered");
    }
    result
}

fn text() -> Vec<u8> {
    (0..40_000_u32).flat_map(|n| (n.wrapping_mul(n) % 251).to_string().into_bytes()).collect()
}

#[test]
fn takes_exactly_the_limit_and_not_a_byte_more() {
    let plain = text();
    let size = plain.len();
    for encoding in ALL {
        for body in [compress(encoding, &plain), compress_streaming(encoding, &plain)] {
            assert_eq!(run(encoding, &body, size, 64 << 20), Ok(plain.clone()), "{encoding:?}");
            let result = run(encoding, &body, size - 1, 64 << 20);
            assert!(matches!(result, Err(DecodeError::TooLarge { .. })), "{encoding:?}: {:?}", result.map(|x| x.len()));
        }
    }
}

#[test]
fn asks_the_budget_before_it_allocates() {
    let plain = text();
    for encoding in ALL {
        for body in [compress(encoding, &plain), compress_streaming(encoding, &plain)] {
            // It may fit later, when others have given back what they hold.
            let budget = Budget::new(64 << 20);
            let mut permit = budget.try_take(0).expect("empty");
            let _held = budget.try_take((64 << 20) - plain.len() / 2).expect("all but that");
            let result = decompress(encoding, &body, 1 << 20, &mut permit);
            assert_eq!(result, Err(DecodeError::OverBudget), "{encoding:?}");
            // Or never.
            let result = run(encoding, &body, 1 << 20, plain.len() / 2);
            assert!(matches!(result, Err(DecodeError::OverWholeBudget { .. })), "{encoding:?}: {result:?}");
            assert_eq!(run(encoding, &body, 64 << 20, 32 << 20), Ok(plain.clone()), "{encoding:?}");
        }
    }
}

#[test]
fn stops_a_bomb_at_the_limit() {
    let zeros = vec![0; 64 << 20];
    for encoding in ALL {
        for body in [compress(encoding, &zeros), compress_streaming(encoding, &zeros)] {
            // The window of a zstd frame comes on top.
            let result = run(encoding, &body, 1 << 20, 12 << 20);
            assert!(matches!(result, Err(DecodeError::TooLarge { .. })), "{encoding:?}");
        }
    }
}

#[test]
fn survives_an_empty_plain_text() {
    for encoding in ALL {
        assert_eq!(run(encoding, &compress(encoding, b""), 0, 1 << 20), Ok(Vec::new()), "{encoding:?}");
    }
}

#[test]
fn refuses_a_body_that_is_cut_short() {
    for encoding in ALL.into_iter().filter(|encoding| *encoding != Encoding::Identity) {
        for body in [compress(encoding, &text()), compress_streaming(encoding, &text())] {
            for keep in [0, 1, 5, body.len() / 2, body.len() - 1] {
                let result = run(encoding, &body[..keep], 1 << 20, 64 << 20);
                assert!(matches!(result, Err(DecodeError::Invalid(_))), "{encoding:?} {keep} of {}", body.len());
            }
        }
    }
}

#[test]
fn refuses_garbage() {
    for encoding in ALL.into_iter().filter(|encoding| *encoding != Encoding::Identity) {
        for body in [b"this is no compressed body at all".as_slice(), &[0xff; 64]] {
            let result = run(encoding, body, 1 << 20, 64 << 20);
            assert!(result.is_err(), "{encoding:?}");
        }
    }
}

#[test]
fn notices_a_flipped_byte_by_the_checksum_of_gzip_and_lz4() {
    for (encoding, from_end) in [(Encoding::Gzip, 8), (Encoding::Lz4, 4)] {
        let mut body = compress_streaming(encoding, &text());
        let checksum = body.len() - from_end;
        body[checksum] ^= 1;
        assert!(matches!(run(encoding, &body, 1 << 20, 64 << 20), Err(DecodeError::Invalid(_))), "{encoding:?}");
    }
    let block = [linked().block_checksums(false).content_checksum(false), linked().content_checksum(false)];
    let is_noticed = block.map(|frame| {
        let mut body = lz4(frame, b"incompressible");
        body[12] ^= 1;
        run(Encoding::Lz4, &body, 1 << 20, 64 << 20).is_err()
    });
    assert_eq!(is_noticed, [false, true], "by the checksum of a block");
}

/// Between two blocks, too: the reader of frames in `lz4_flex` would take what is there for all.
#[test]
fn refuses_an_lz4_frame_that_is_cut_short_anywhere() {
    let plain = [&text()[..], &[7; 70_000]].concat();
    for frame in [linked(), linked().block_mode(BlockMode::Independent).block_checksums(false).content_checksum(false)]
    {
        let body = lz4(frame, &plain);
        assert_eq!(run(Encoding::Lz4, &body, 1 << 20, 64 << 20), Ok(plain.clone()));
        for keep in 0..body.len() {
            let result = run(Encoding::Lz4, &body[..keep], 1 << 20, 64 << 20);
            assert!(matches!(result, Err(DecodeError::Invalid(_))), "{keep} of {}", body.len());
        }
    }
}

#[test]
fn refuses_an_lz4_frame_of_another_version_or_with_a_dictionary() {
    let header = |flags: u8| {
        let checksum = twox_hash::XxHash32::oneshot(0, &[flags, 0x40]);
        let body = [&[4, 0x22, 0x4d, 0x18, flags, 0x40, (checksum >> 8) as u8][..], &[0; 4]].concat();
        run(Encoding::Lz4, &body, 1 << 20, 1 << 20).is_ok()
    };
    assert!(header(0x60));
    assert!(!header(0xa0), "version 2");
    assert!(!header(0x61), "a dictionary");
}

#[test]
fn does_not_believe_a_size_hint() {
    let plain = text();
    let mut body = compress(Encoding::Gzip, &plain);
    let size = body.len() - 4;
    body[size..].copy_from_slice(&u32::MAX.to_le_bytes());
    // Neither refused as too large nor allocated: the hint is impossible. Then the trailer is wrong.
    let result = run(Encoding::Gzip, &body, 1 << 20, 4 << 20);
    assert!(matches!(result, Err(DecodeError::Invalid(_))), "{:?}", result.map(|bytes| bytes.len()));
}

#[test]
fn joins_the_members_and_frames_of_a_body() {
    let plain = text();
    for encoding in [Encoding::Gzip, Encoding::Zstd, Encoding::Lz4] {
        let body = compress(encoding, &plain).repeat(3);
        assert_eq!(run(encoding, &body, 1 << 20, 64 << 20), Ok(plain.repeat(3)), "{encoding:?}");
        assert!(matches!(run(encoding, &body, plain.len() * 3 - 1, 64 << 20), Err(DecodeError::TooLarge { .. })));
    }
    let many = compress(Encoding::Gzip, b"").repeat(GZIP_MEMBERS + 1);
    assert!(matches!(run(Encoding::Gzip, &many, 1 << 20, 64 << 20), Err(DecodeError::Invalid(_))));
    let allowed = compress(Encoding::Gzip, b"").repeat(GZIP_MEMBERS);
    assert_eq!(run(Encoding::Gzip, &allowed, 1 << 20, 64 << 20), Ok(Vec::new()));
}

#[test]
fn refuses_a_zstd_window_beyond_eight_mebibytes() {
    let frame = |log: u32| {
        let mut writer = zstd::stream::write::Encoder::new(Vec::new(), 1).expect("zstd");
        writer.window_log(log).expect("zstd");
        writer.include_contentsize(false).expect("zstd");
        writer.write_all(b"x").expect("memory");
        writer.flush().expect("memory");
        writer.finish().expect("memory")
    };
    assert_eq!(run(Encoding::Zstd, &frame(23), 1 << 20, 64 << 20), Ok(b"x".to_vec()));
    let never = DecodeError::OverWholeBudget { what: "the window of the decompressed body" };
    assert_eq!(run(Encoding::Zstd, &frame(23), 1 << 20, (8 << 20) - 1), Err(never));
    assert!(matches!(run(Encoding::Zstd, &frame(24), 1 << 20, 64 << 20), Err(DecodeError::Invalid(_))));
}

#[test]
fn knows_the_names_of_encodings() {
    let cases = [
        ("", Some(Encoding::Identity)),
        ("identity", Some(Encoding::Identity)),
        ("GZIP", Some(Encoding::Gzip)),
        (" gzip ", Some(Encoding::Gzip)),
        ("deflate", Some(Encoding::Zlib)),
        ("zlib", Some(Encoding::Zlib)),
        ("zstd", Some(Encoding::Zstd)),
        ("snappy", Some(Encoding::Snappy)),
        ("x-snappy-framed", Some(Encoding::Snappy)),
        ("lz4", Some(Encoding::Lz4)),
        ("br", None),
        ("gzip, zstd", None),
    ];
    for (name, encoding) in cases {
        assert_eq!(Encoding::from_name(name), encoding, "{name}");
    }
}

proptest::proptest! {
    #[test]
    fn nothing_panics(mut body in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..200), at in 0..64_usize) {
        for encoding in ALL {
            // Whatever comes of it, first of noise and then of a body with noise in it.
            let _ = run(encoding, &body, 1 << 16, 1 << 20);
            let mut packed = compress(encoding, &body);
            let at = at % packed.len().max(1);
            if let (Some(byte), Some(noise)) = (packed.get_mut(at), body.pop()) {
                *byte = noise;
            }
            let _ = run(encoding, &packed, 1 << 16, 1 << 20);
        }
    }
}
