//! `gzip_packed#3072cfa1 packed_data:string = Object`: an object in place of which its gzipped serialization is sent.
//!
//! See "Service Messages", Packed Object. What a peer packs may unpack to anything, so unpacking has a cap that the caller states. Some
//! clients of the field (mtcute) pack in zlib's wrapping in place of gzip's, and the servers take it; so do we.

use std::io::{Read, Write};

use bytes::Bytes;
use flate2::{Compression, Decompress, FlushDecompress, Status, bufread::GzDecoder, write::GzEncoder};

use crate::check::{Check, broken};

/// The constructor of `gzip_packed`.
pub const ID: u32 = 0x3072_cfa1;

/// Bodies below this many bytes are not worth packing: gzip's own header and trailer take 18.
pub const MIN_LEN: usize = 512;

/// Why packed data was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum GzipError {
    /// It unpacks to more than the caller allows.
    #[error("packed object of {packed} bytes unpacks to more than {cap} bytes")]
    TooLarge {
        /// Bytes as received.
        packed: usize,
        /// The most that was allowed.
        cap: usize,
    },
    /// It is neither gzip nor zlib, or its checksum is wrong, or it ends early.
    #[error("packed object of {packed} bytes is damaged")]
    Damaged {
        /// Bytes as received.
        packed: usize,
    },
}

/// Unpacks `data` to at most `cap` bytes. Memory grows with what really comes out, not with what the data claims.
///
/// # Errors
///
/// [`GzipError::TooLarge`] beyond the cap, [`GzipError::Damaged`] if it is neither gzip nor zlib.
pub fn unpack(data: &[u8], cap: usize) -> Result<Bytes, GzipError> {
    let packed = data.len();
    let mut out = Vec::with_capacity(packed.saturating_mul(3).min(cap));
    let limit = u64::try_from(cap).unwrap_or(u64::MAX).saturating_add(1);
    let whole = if is_zlib(data) {
        unpack_zlib(data, cap, &mut out)
    } else {
        GzDecoder::new(data).take(limit).read_to_end(&mut out).is_ok()
    };
    if broken(Check::GzipDamaged, !whole) {
        return Err(GzipError::Damaged { packed });
    }
    if broken(Check::GzipCap, out.len() > cap) {
        return Err(GzipError::TooLarge { packed, cap });
    }
    Ok(Bytes::from(out))
}

/// Whether data begins as zlib does (RFC 1950): the method is deflate, and both bytes as a number are a multiple of 31. Gzip does not.
fn is_zlib(data: &[u8]) -> bool {
    data.first_chunk().is_some_and(|head: &[u8; 2]| head[0] & 0x0f == 8 && u16::from_be_bytes(*head).is_multiple_of(31))
}

/// Unpacks zlib data until its end, or until there is more than `cap` bytes. False if it is damaged or ends early, which the library's reader
/// would take for an end.
fn unpack_zlib(data: &[u8], cap: usize, out: &mut Vec<u8>) -> bool {
    const STEP: usize = 64 << 10;
    let mut stream = Decompress::new(true);
    while out.len() <= cap {
        let read = stream.total_in();
        let Some(rest) = usize::try_from(read).ok().and_then(|read| data.get(read..)) else { return false };
        let before = out.len();
        out.reserve(STEP.min(cap.saturating_sub(before).saturating_add(1)));
        match stream.decompress_vec(rest, out, FlushDecompress::None) {
            Ok(Status::StreamEnd) => return true,
            Ok(_) if stream.total_in() > read || out.len() > before => {}
            Ok(_) | Err(_) => return false,
        }
    }
    true
}

/// Packs a serialized object into a `gzip_packed`, if it is long enough and the result is shorter.
pub fn pack(body: &[u8]) -> Option<Bytes> {
    if body.len() < MIN_LEN {
        return None;
    }
    let mut encoder = GzEncoder::new(Vec::with_capacity(body.len() / 2), Compression::default());
    encoder.write_all(body).ok()?;
    let data = encoder.finish().ok()?;
    let mut out = Vec::with_capacity(data.len() + 12);
    out.extend_from_slice(&ID.to_le_bytes());
    crate::tl::wire::write_bytes(&mut out, &data);
    (out.len() < body.len()).then(|| Bytes::from(out))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tl::Reader;

    fn data_of(packed: Bytes) -> Bytes {
        let mut reader = Reader::new(packed);
        assert_eq!(reader.u32().unwrap(), ID);
        let data = reader.bytes().unwrap();
        reader.finish().unwrap();
        data
    }

    /// Row: A.4 "gzip out"
    #[test]
    fn packs_what_gets_shorter_and_unpacks_it() {
        let body = b"the same again ".repeat(400);
        let data = data_of(pack(&body).unwrap());
        assert!(data.len() < 200);
        assert_eq!(unpack(&data, body.len()).unwrap(), body);
    }

    /// Row: A.4 "gzip out"
    #[test]
    fn leaves_short_and_random_bodies_alone() {
        assert_eq!(pack(&[0; MIN_LEN - 1]), None);
        let mut state = 1u32;
        let noise: Vec<u8> = (0..4096)
            .map(|_| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (state >> 24) as u8
            })
            .collect();
        assert_eq!(pack(&noise), None);
    }

    /// Row: A.4 "gzip in, bomb cap"
    #[test]
    fn a_bomb_is_refused_at_the_cap() {
        let body = vec![0; 1 << 20];
        let data = data_of(pack(&body).unwrap());
        assert_eq!(unpack(&data, body.len() - 1), Err(GzipError::TooLarge { packed: data.len(), cap: body.len() - 1 }));
        assert!(unpack(&data, body.len()).is_ok());
    }

    #[test]
    fn zlib_is_taken_as_well_whole_and_up_to_the_cap() {
        let body = b"the same again ".repeat(6_000);
        let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(&body).unwrap();
        let data = encoder.finish().unwrap();
        assert_eq!(unpack(&data, body.len()).unwrap(), body);
        assert_eq!(unpack(&data, body.len() - 1), Err(GzipError::TooLarge { packed: data.len(), cap: body.len() - 1 }));
        assert_eq!(unpack(&data, 0), Err(GzipError::TooLarge { packed: data.len(), cap: 0 }));
        for end in 0..data.len() {
            assert_eq!(unpack(&data[..end], body.len()), Err(GzipError::Damaged { packed: end }), "{end}");
        }
        for at in 0..data.len() {
            let mut damaged = data.clone();
            damaged[at] ^= 0x55;
            assert!(unpack(&damaged, body.len()).map_or(true, |unpacked| unpacked != body), "{at}");
        }
    }

    #[test]
    fn every_prefix_and_every_damaged_byte_is_refused_or_harmless() {
        let body = b"something to pack, long enough to be packed ".repeat(20);
        let data = data_of(pack(&body).unwrap());
        for end in 0..data.len() {
            assert_eq!(unpack(&data[..end], 1 << 16), Err(GzipError::Damaged { packed: end }));
        }
        for at in 0..data.len() {
            let mut damaged = data.to_vec();
            damaged[at] ^= 0x55;
            let _ = unpack(&damaged, 1 << 16);
        }
    }
}
