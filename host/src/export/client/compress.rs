//! Compression of what is sent over HTTP.

use std::io::{self, Write};

use bytes::Bytes;
use http::HeaderValue;

use crate::config::types::Compression;

/// The zstd library's own default: smaller than gzip's default in a third of the time.
const ZSTD_LEVEL: i32 = 3;

/// Compresses a body for HTTP; returns it with the value of `Content-Encoding`, if it has one. What could not be
/// compressed, which does not happen in memory, would go as it is.
pub(crate) fn compress(compression: Compression, body: Bytes) -> (Bytes, Option<HeaderValue>) {
    let compressed = match compression {
        Compression::None => return (body, None),
        Compression::Gzip => gzip(&body),
        Compression::Zstd => zstd::bulk::compress(&body, ZSTD_LEVEL),
        // The block format: what `snappy` means in the collector since the framed one got a name of its own.
        Compression::Snappy => snap::raw::Encoder::new().compress_vec(&body).map_err(io::Error::other),
        Compression::SnappyFramed => snappy_framed(&body),
        // One format: `deflate` in HTTP is zlib's, not the bare stream (RFC 9110, 8.4.1.2).
        Compression::Zlib | Compression::Deflate => zlib(&body),
    };
    named(compressed, compression.name(), body)
}

/// Compresses a gRPC message; returns it with the value of `grpc-encoding`, if it has one.
pub(crate) fn compress_message(compression: Compression, body: Bytes) -> (Bytes, Option<HeaderValue>) {
    match compression {
        // gRPC's snappy is the framed one.
        Compression::Snappy => named(snappy_framed(&body), "snappy", body),
        compression => compress(compression, body),
    }
}

fn named(compressed: io::Result<Vec<u8>>, name: &'static str, body: Bytes) -> (Bytes, Option<HeaderValue>) {
    match compressed {
        Ok(compressed) => (Bytes::from(compressed), Some(HeaderValue::from_static(name))),
        Err(_) => (body, None),
    }
}

fn snappy_framed(body: &[u8]) -> io::Result<Vec<u8>> {
    let mut encoder = snap::write::FrameEncoder::new(Vec::with_capacity(body.len() / 2));
    encoder.write_all(body)?;
    encoder.into_inner().map_err(|error| io::Error::other(error.to_string()))
}

fn zlib(body: &[u8]) -> io::Result<Vec<u8>> {
    let buffer = Vec::with_capacity(body.len() / 4);
    let mut encoder = flate2::write::ZlibEncoder::new(buffer, flate2::Compression::default());
    encoder.write_all(body)?;
    encoder.finish()
}

fn gzip(body: &[u8]) -> io::Result<Vec<u8>> {
    let buffer = Vec::with_capacity(body.len() / 4);
    let mut encoder = flate2::write::GzEncoder::new(buffer, flate2::Compression::default());
    encoder.write_all(body)?;
    encoder.finish()
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    fn unpack(encoding: Option<&str>, body: &[u8]) -> Vec<u8> {
        match encoding {
            None => body.to_vec(),
            Some("gzip") => read(flate2::read::GzDecoder::new(body)),
            Some("zlib" | "deflate") => read(flate2::read::ZlibDecoder::new(body)),
            Some("zstd") => zstd::decode_all(body).expect("zstd"),
            Some("snappy") => snap::raw::Decoder::new().decompress_vec(body).expect("snappy"),
            Some("x-snappy-framed") => read(snap::read::FrameDecoder::new(body)),
            Some(other) => panic!("{other}"),
        }
    }

    fn read(mut unpacked: impl Read) -> Vec<u8> {
        let mut bytes = Vec::new();
        unpacked.read_to_end(&mut bytes).expect("unpacked");
        bytes
    }

    #[test]
    fn says_what_it_compressed_with_and_can_be_unpacked() {
        let cases = [
            (Compression::None, None),
            (Compression::Gzip, Some("gzip")),
            (Compression::Zstd, Some("zstd")),
            (Compression::Snappy, Some("snappy")),
            (Compression::SnappyFramed, Some("x-snappy-framed")),
            (Compression::Zlib, Some("zlib")),
            (Compression::Deflate, Some("deflate")),
        ];
        for body in ["", "x", &"telemetry ".repeat(10_000)] {
            for (compression, expected) in cases {
                let (packed, encoding) = compress(compression, Bytes::from(body.to_owned()));
                let encoding = encoding.as_ref().map(|value| value.to_str().expect("text"));
                assert_eq!(encoding, expected);
                assert_eq!(unpack(encoding, &packed), body.as_bytes());
            }
        }
    }

    #[test]
    fn frames_snappy_for_grpc() {
        let (framed, encoding) = compress_message(Compression::Snappy, Bytes::from("telemetry"));
        let mut text = String::new();
        snap::read::FrameDecoder::new(&framed[..]).read_to_string(&mut text).expect("framed");
        assert_eq!((text.as_str(), encoding.expect("named").as_bytes()), ("telemetry", &b"snappy"[..]));
    }
}
