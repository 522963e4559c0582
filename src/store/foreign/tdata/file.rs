//! The frame of every file in `tdata`: `TDF$`, the version of the program that wrote it, the content, and an MD5 over all of it.

use md5::{Digest as _, Md5};
use zeroize::Zeroizing;

use super::super::Error;

/// What each file begins with.
pub(super) const MAGIC: [u8; 4] = *b"TDF$";

/// Bytes around the content: magic, version, MD5.
const OVERHEAD: usize = 4 + 4 + 16;

/// A file whose checksum is right.
pub(super) struct TdfFile {
    /// The version of the program that wrote it: 5008003 is 5.8.3.
    pub(super) version: i32,
    /// What the file holds.
    pub(super) content: Zeroizing<Vec<u8>>,
}

/// Takes the frame off. `name` is for the error.
///
/// # Errors
///
/// [`Error::Truncated`], [`Error::BadMagic`], [`Error::BadChecksum`].
pub(super) fn parse(name: &str, bytes: &[u8]) -> Result<TdfFile, Error> {
    if bytes.get(..4).is_some_and(|magic| magic != MAGIC) {
        return Err(Error::BadMagic { name: name.to_owned() });
    }
    let truncated = || Error::Truncated { what: "a file of tdata", needed: OVERHEAD as u64, left: bytes.len() };
    let (head, rest) = bytes.split_first_chunk::<8>().ok_or_else(truncated)?;
    let (content, checksum) = rest.split_last_chunk::<16>().ok_or_else(truncated)?;
    let [_, _, _, _, v0, v1, v2, v3] = *head;
    let version = i32::from_le_bytes([v0, v1, v2, v3]);
    if md5(content, version) != *checksum {
        return Err(Error::BadChecksum { name: name.to_owned() });
    }
    Ok(TdfFile { version, content: Zeroizing::new(content.to_vec()) })
}

/// Puts the frame of a file around a content. `version` is that of the program that is to have written it: 5008003 is 5.8.3.
pub fn frame(content: &[u8], version: i32) -> Zeroizing<Vec<u8>> {
    let mut out = Zeroizing::new(Vec::with_capacity(content.len() + OVERHEAD));
    out.extend_from_slice(&MAGIC);
    out.extend_from_slice(&version.to_le_bytes());
    out.extend_from_slice(content);
    out.extend_from_slice(&md5(content, version));
    out
}

/// The checksum: of the content, its length, the version, and the magic, in this order.
fn md5(content: &[u8], version: i32) -> [u8; 16] {
    // The length is a number of 32 bits there; files are far smaller than that.
    let len = u32::try_from(content.len()).unwrap_or(u32::MAX);
    let mut hash = Md5::new();
    hash.update(content);
    hash.update(len.to_le_bytes());
    hash.update(version.to_le_bytes());
    hash.update(MAGIC);
    hash.finalize().into()
}

/// The name of the file that belongs to `name`: the first 64 bits of its MD5 in hexadecimal, the lower half of each byte first.
pub(super) fn name_on_disk(name: &str) -> String {
    let digits = b"0123456789ABCDEF";
    let digit = |nibble: u8| char::from(digits[usize::from(nibble & 15)]);
    Md5::digest(name.as_bytes()).iter().take(8).flat_map(|byte| [digit(*byte), digit(byte >> 4)]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_comes_off_again_and_damage_is_seen_wherever_it_is() {
        let bytes = frame(b"content", 5_008_003);
        let file = parse("x", &bytes).unwrap_or_else(|e| panic!("{e}"));
        assert_eq!((file.version, file.content.as_slice()), (5_008_003, b"content".as_slice()));
        for at in 0..bytes.len() {
            let mut damaged = bytes.to_vec();
            damaged[at] ^= 0x10;
            match parse("x", &damaged) {
                Err(Error::BadMagic { .. }) => assert!(at < 4),
                Err(Error::BadChecksum { name }) => assert!(at >= 4 && name == "x"),
                _ => panic!("damage at byte {at} was not seen"),
            }
            match parse("x", &bytes[..at]) {
                Err(Error::Truncated { needed: 24, left, .. }) => assert!(at < 24 && left == at),
                Err(Error::BadChecksum { .. }) => assert!(at >= 24),
                _ => panic!("an end at byte {at} was not seen"),
            }
        }
    }

    #[test]
    fn the_names_are_those_that_desktop_has_on_the_disk() {
        assert_eq!(name_on_disk("data"), "D877F783D5D3EF8C");
        assert_eq!(name_on_disk("data#2"), "A7FDF864FBC10B77");
        assert_eq!(name_on_disk("data#3"), "F8806DD0C461824F");
    }
}
