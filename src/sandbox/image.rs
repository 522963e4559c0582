//! Just enough of image formats to say what a photo is and how large: the cluster keeps photos as they came.

/// An image format that can be sent as a photo.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    Jpeg = 1,
    Png = 2,
    Gif = 3,
    Webp = 4,
}

impl Format {
    /// The format that a number in the database stands for.
    pub(crate) fn from_db(n: i32) -> Option<Self> {
        [Self::Jpeg, Self::Png, Self::Gif, Self::Webp].into_iter().find(|f| *f as i32 == n)
    }
}

/// The format of an image and its width and height, from its first bytes.
pub(crate) fn probe(bytes: &[u8]) -> Option<(Format, i32, i32)> {
    if let Some(rest) = bytes.strip_prefix(b"\x89PNG\r\n\x1a\n") {
        return Some((Format::Png, be32(rest.get(8..12)?)?, be32(rest.get(12..16)?)?));
    }
    if let Some(rest) = bytes.strip_prefix(b"GIF87a").or_else(|| bytes.strip_prefix(b"GIF89a")) {
        return Some((Format::Gif, le16(rest.get(0..2)?)?, le16(rest.get(2..4)?)?));
    }
    if bytes.starts_with(b"RIFF") && bytes.get(8..12)? == b"WEBP" {
        return webp(bytes.get(12..)?);
    }
    if bytes.starts_with(&[0xff, 0xd8]) {
        return jpeg(bytes.get(2..)?);
    }
    None
}

/// A JPEG is a row of segments, each with its length; one of the start-of-frame kinds holds the size.
fn jpeg(mut rest: &[u8]) -> Option<(Format, i32, i32)> {
    loop {
        let (&marker, &kind) = (rest.first()?, rest.get(1)?);
        if marker != 0xff {
            return None;
        }
        match kind {
            0xff => rest = rest.get(1..)?,
            0x01 | 0xd0..=0xd7 => rest = rest.get(2..)?,
            0xc0..=0xcf if !matches!(kind, 0xc4 | 0xc8 | 0xcc) => {
                return Some((Format::Jpeg, be16(rest.get(7..9)?)?, be16(rest.get(5..7)?)?));
            }
            _ => {
                let len = usize::try_from(be16(rest.get(2..4)?)?).ok()?;
                rest = rest.get(len.checked_add(2)?..)?;
            }
        }
    }
}

fn webp(chunk: &[u8]) -> Option<(Format, i32, i32)> {
    let data = chunk.get(8..)?;
    let (w, h) = match chunk.get(..4)? {
        b"VP8X" => (le24(data.get(4..7)?)? + 1, le24(data.get(7..10)?)? + 1),
        b"VP8 " => (le16(data.get(6..8)?)? & 0x3fff, le16(data.get(8..10)?)? & 0x3fff),
        b"VP8L" => {
            let bits = u32::from_le_bytes(data.get(1..5)?.try_into().ok()?);
            (i32::try_from(bits & 0x3fff).ok()? + 1, i32::try_from((bits >> 14) & 0x3fff).ok()? + 1)
        }
        _ => return None,
    };
    Some((Format::Webp, w, h))
}

fn be32(b: &[u8]) -> Option<i32> {
    i32::try_from(u32::from_be_bytes(b.try_into().ok()?)).ok()
}

fn be16(b: &[u8]) -> Option<i32> {
    Some(u16::from_be_bytes(b.try_into().ok()?).into())
}

fn le16(b: &[u8]) -> Option<i32> {
    Some(u16::from_le_bytes(b.try_into().ok()?).into())
}

fn le24(b: &[u8]) -> Option<i32> {
    let [a, b, c] = b.try_into().ok()?;
    i32::try_from(u32::from_le_bytes([a, b, c, 0])).ok()
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// The header of a PNG of a given size: what `probe` reads of one.
    pub(crate) fn png(w: u32, h: u32) -> Vec<u8> {
        let mut out = b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR".to_vec();
        out.extend_from_slice(&w.to_be_bytes());
        out.extend_from_slice(&h.to_be_bytes());
        out.extend_from_slice(&[8, 6, 0, 0, 0]);
        out
    }

    fn samples() -> Vec<(Vec<u8>, Format)> {
        let mut jpeg = vec![0xff, 0xd8, 0xff, 0xe0, 0, 4, 1, 2, 0xff, 0xff, 0xc2, 0, 11, 8];
        jpeg.extend_from_slice(&[0, 48, 0, 64, 1, 1, 0x11, 0]);
        let gif = [b"GIF89a".as_slice(), &[64, 0, 48, 0]].concat();
        let vp8x = [b"RIFF\0\0\0\0WEBPVP8X\x0a\0\0\0".as_slice(), &[0, 0, 0, 0, 63, 0, 0, 47, 0, 0]].concat();
        let vp8 = [b"RIFF\0\0\0\0WEBPVP8 \x0a\0\0\0".as_slice(), &[0, 0, 0, 0x9d, 1, 0x2a, 64, 0, 48, 0]].concat();
        let bits: u32 = 63 | (47 << 14);
        let vp8l = [b"RIFF\0\0\0\0WEBPVP8L\x05\0\0\0\x2f".as_slice(), &bits.to_le_bytes()].concat();
        vec![
            (png(64, 48), Format::Png),
            (jpeg, Format::Jpeg),
            (gif, Format::Gif),
            (vp8x, Format::Webp),
            (vp8, Format::Webp),
            (vp8l, Format::Webp),
        ]
    }

    #[test]
    fn sizes_are_read() {
        for (bytes, format) in samples() {
            assert_eq!(probe(&bytes), Some((format, 64, 48)), "{format:?}");
            assert_eq!(Format::from_db(format as i32), Some(format));
        }
    }

    #[test]
    fn no_prefix_of_an_image_and_no_text_is_trouble() {
        for (bytes, _) in samples() {
            for len in 0..bytes.len() {
                let _ = probe(&bytes[..len]);
            }
        }
        assert_eq!(probe(b"just a text"), None);
        assert_eq!(probe(&[0xff, 0xd8, 0xff, 0xe0, 0xff, 0xff]), None);
        assert_eq!(Format::from_db(0), None);
    }
}
