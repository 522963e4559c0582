//! Width and height of a picture, from its header.

use std::io::{Read, Seek, SeekFrom};

use super::{fill, side};

/// Segments of a JPEG that are looked at before it is given up.
const MAX_SEGMENTS: u32 = 1000;

/// A picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Image {
    /// How it is coded.
    pub format: ImageFormat,
    /// Width in pixels.
    pub width: i32,
    /// Height in pixels.
    pub height: i32,
}

impl Image {
    /// The picture in `source`, which stands at its beginning; `None` when it is none.
    pub fn of(source: &mut (impl Read + Seek)) -> Option<Self> {
        read(source)
    }
}

/// How a picture is coded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ImageFormat {
    /// JPEG.
    Jpeg,
    /// PNG.
    Png,
    /// GIF.
    Gif,
    /// WebP.
    Webp,
    /// Windows bitmap.
    Bmp,
}

impl ImageFormat {
    /// Its MIME type.
    pub fn mime(self) -> &'static str {
        match self {
            Self::Jpeg => "image/jpeg",
            Self::Png => "image/png",
            Self::Gif => "image/gif",
            Self::Webp => "image/webp",
            Self::Bmp => "image/bmp",
        }
    }
}

/// The picture in `source`, which stands at its beginning.
pub(super) fn read(source: &mut (impl Read + Seek)) -> Option<Image> {
    let mut head = [0; 32];
    let filled = fill(source, &mut head)?;
    let head = head.get(..filled)?;
    let (format, width, height) = match head {
        [0x89, b'P', b'N', b'G', 0x0d, 0x0a, 0x1a, 0x0a, rest @ ..] => {
            (ImageFormat::Png, be32(rest.get(8..12)?)?, be32(rest.get(12..16)?)?)
        }
        [b'G', b'I', b'F', b'8', b'7' | b'9', b'a', rest @ ..] => {
            (ImageFormat::Gif, le16(rest.get(0..2)?)?, le16(rest.get(2..4)?)?)
        }
        [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', rest @ ..] => {
            let (width, height) = webp(rest)?;
            (ImageFormat::Webp, width, height)
        }
        [b'B', b'M', rest @ ..] => {
            // The second header, of which there are versions: the size of the first, the fourth and the fifth.
            if ![40, 108, 124].contains(&le32(rest.get(12..16)?)?) {
                return None;
            }
            // The height of one that is stored from the top is negative.
            let height = i32::from_le_bytes(rest.get(20..24)?.try_into().ok()?);
            (ImageFormat::Bmp, le32(rest.get(16..20)?)?, height.unsigned_abs().into())
        }
        [0xff, 0xd8, 0xff, ..] => {
            let (width, height) = jpeg(source)?;
            (ImageFormat::Jpeg, width, height)
        }
        _ => return None,
    };
    Some(Image { format, width: side(width)?, height: side(height)? })
}

/// A JPEG is a row of segments, each with its length; one of the start-of-frame kinds holds the size.
fn jpeg(source: &mut (impl Read + Seek)) -> Option<(u64, u64)> {
    let mut at = 2;
    for _ in 0..MAX_SEGMENTS {
        source.seek(SeekFrom::Start(at)).ok()?;
        let mut bytes = [0; 9];
        let filled = fill(source, &mut bytes)?;
        let bytes = bytes.get(..filled)?;
        if *bytes.first()? != 0xff {
            return None;
        }
        match *bytes.get(1)? {
            // Padding, and what has no length.
            0xff => at += 1,
            0x01 | 0xd0..=0xd7 => at += 2,
            0xc0..=0xc3 | 0xc5..=0xc7 | 0xc9..=0xcb | 0xcd..=0xcf => {
                return Some((be16(bytes.get(7..9)?)?, be16(bytes.get(5..7)?)?));
            }
            // The image itself, or its end, before it was said how large it is.
            0xda | 0xd9 => return None,
            _ => at += 2 + be16(bytes.get(2..4)?)?.max(2),
        }
    }
    None
}

fn webp(chunk: &[u8]) -> Option<(u64, u64)> {
    let data = chunk.get(8..)?;
    Some(match chunk.get(..4)? {
        b"VP8X" => (le24(data.get(4..7)?)? + 1, le24(data.get(7..10)?)? + 1),
        b"VP8 " => (le16(data.get(6..8)?)? & 0x3fff, le16(data.get(8..10)?)? & 0x3fff),
        b"VP8L" => {
            let bits = le32(data.get(1..5)?)?;
            ((bits & 0x3fff) + 1, ((bits >> 14) & 0x3fff) + 1)
        }
        _ => return None,
    })
}

fn be32(b: &[u8]) -> Option<u64> {
    Some(u32::from_be_bytes(b.try_into().ok()?).into())
}

fn le32(b: &[u8]) -> Option<u64> {
    Some(u32::from_le_bytes(b.try_into().ok()?).into())
}

fn be16(b: &[u8]) -> Option<u64> {
    Some(u16::from_be_bytes(b.try_into().ok()?).into())
}

fn le16(b: &[u8]) -> Option<u64> {
    Some(u16::from_le_bytes(b.try_into().ok()?).into())
}

fn le24(b: &[u8]) -> Option<u64> {
    let [a, b, c] = b.try_into().ok()?;
    Some(u32::from_le_bytes([a, b, c, 0]).into())
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;

    fn of(bytes: &[u8]) -> Option<(ImageFormat, i32, i32)> {
        read(&mut Cursor::new(bytes)).map(|i| (i.format, i.width, i.height))
    }

    #[test]
    fn headers_say_the_size() {
        let mut png = b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR".to_vec();
        png.extend([0, 0, 1, 0, 0, 0, 0, 7]);
        assert_eq!(of(&png), Some((ImageFormat::Png, 256, 7)));
        assert_eq!(of(b"GIF89a\x10\x00\x20\x00"), Some((ImageFormat::Gif, 16, 32)));
        assert_eq!(of(b"RIFF\0\0\0\0WEBPVP8X\x0a\0\0\0\0\0\0\0\x3f\0\0\x2f\0\0"), Some((ImageFormat::Webp, 64, 48)));
        let mut bmp = b"BM".to_vec();
        bmp.extend([0; 12]);
        bmp.extend([40, 0, 0, 0, 5, 0, 0, 0]);
        bmp.extend((-6i32).to_le_bytes());
        assert_eq!(of(&bmp), Some((ImageFormat::Bmp, 5, 6)));
        // A comment, padding, and the frame.
        let jpeg = b"\xff\xd8\xff\xfe\x00\x05abc\xff\xff\xc2\x00\x11\x08\x00\x30\x00\x40";
        assert_eq!(of(jpeg), Some((ImageFormat::Jpeg, 64, 48)));
    }

    #[test]
    fn what_has_no_size_is_no_picture() {
        assert_eq!(of(b"GIF89a\x00\x00\x20\x00"), None);
        assert_eq!(of(b"\xff\xd8\xff\xda\x00\x02"), None);
        assert_eq!(of(b"\xff\xd8\xff\xe0\x00\x00"), None, "a segment of no length goes on, and ends");
        assert_eq!(of(b"BMW is a car, and this no bitmap at all"), None);
    }
}
