//! MP4 and QuickTime: the size, the duration, and whether the index comes first.
//!
//! ISO/IEC 14496-12 nests boxes, each a length, a type and a content. Five of them hold all that a message says of a video: `mvhd`,
//! `tkhd`, `mdhd`, `hdlr` and, where a track has no size of its own, `stsd`. They have fixed layouts, so they are read where they lie;
//! the tables of samples, which are most of an index, are jumped over, whereas a library that plays videos would load them all.

use std::io::{Read, Seek, SeekFrom};

use super::{Video, fill, length, sane, side};

/// Boxes that are looked at before the file is given up.
const MAX_BOXES: u32 = 20_000;
/// Boxes inside boxes, below a track: `mdia`, `minf`, `stbl`.
const MAX_DEPTH: u8 = 3;
/// What is read of the content of one box.
const HEAD: usize = 128;

/// What an MP4 says of itself.
#[derive(Debug, Default)]
pub(super) struct Movie {
    duration: f64,
    size: Option<(i32, i32)>,
    /// Whether it has a track of sound.
    pub(super) sound: bool,
    index_first: bool,
}

impl Movie {
    /// The video, if it has moving pictures.
    pub(super) fn video(&self) -> Option<Video> {
        let (width, height) = self.size?;
        Some(Video { duration: self.duration, width, height, sound: self.sound, streams: self.index_first })
    }
}

/// Whether a file that begins with `head` is one.
pub(super) fn is_one(head: &[u8]) -> bool {
    matches!(head.get(4..8), Some(b"ftyp" | b"moov" | b"mdat" | b"wide" | b"free" | b"skip" | b"pnot"))
}

/// Reads the index of the MP4 in `source`; `None` when there is none.
pub(super) fn read<R: Read + Seek>(source: &mut R) -> Option<Movie> {
    let end = length(source)?;
    let mut boxes = Boxes { source, left: MAX_BOXES };
    let mut frames_came = false;
    let mut at = 0;
    while let Some(found) = boxes.at(at, end)? {
        match &found.kind {
            b"mdat" => frames_came = true,
            b"moov" => {
                let mut movie = Movie { index_first: !frames_came, ..Movie::default() };
                boxes.movie(&found, &mut movie)?;
                return Some(movie);
            }
            _ => {}
        }
        at = found.end;
    }
    None
}

/// One box: its type, and where its content lies.
struct Found {
    kind: [u8; 4],
    start: u64,
    end: u64,
}

/// One track, as far as it is known.
#[derive(Default)]
struct Track {
    kind: [u8; 4],
    size: Option<(i32, i32)>,
    /// The size of its samples, before they are turned.
    coded: Option<(i32, i32)>,
    turned: bool,
    duration: f64,
}

struct Boxes<'a, R> {
    source: &'a mut R,
    left: u32,
}

impl<R: Read + Seek> Boxes<'_, R> {
    /// The box at `at`, or nothing at the end. The outer `None` ends it all: no box, or too many.
    fn at(&mut self, at: u64, end: u64) -> Option<Option<Found>> {
        if at.checked_add(8)? > end {
            return Some(None);
        }
        self.left = self.left.checked_sub(1)?;
        self.source.seek(SeekFrom::Start(at)).ok()?;
        let mut head = [0; 16];
        let filled = fill(self.source, &mut head)?;
        let head = head.get(..filled)?;
        let (start, size) = match u64::from(be32(head, 0)?) {
            // To the end of what it is in.
            0 => (at + 8, end - at),
            1 => (at.checked_add(16)?, u64::from(be32(head, 8)?) << 32 | u64::from(be32(head, 12)?)),
            size => (at + 8, size),
        };
        let stop = at.checked_add(size)?.min(end);
        if start > stop {
            return None;
        }
        Some(Some(Found { kind: head.get(4..8)?.try_into().ok()?, start, end: stop }))
    }

    /// The beginning of a box's content.
    fn content(&mut self, of: &Found) -> Option<([u8; HEAD], usize)> {
        self.source.seek(SeekFrom::Start(of.start)).ok()?;
        let mut bytes = [0; HEAD];
        let most = usize::try_from(of.end - of.start).unwrap_or(HEAD).min(HEAD);
        let filled = fill(self.source, bytes.get_mut(..most)?)?;
        Some((bytes, filled))
    }

    fn movie(&mut self, of: &Found, movie: &mut Movie) -> Option<()> {
        let mut longest = 0.0_f64;
        let mut scale = 0;
        let mut fragments = 0.0;
        let mut at = of.start;
        while let Some(found) = self.at(at, of.end)? {
            match &found.kind {
                b"mvhd" => {
                    let (bytes, n) = self.content(&found)?;
                    if let Some((units, duration)) = times(bytes.get(..n)?) {
                        scale = units;
                        movie.duration = duration;
                    }
                }
                b"trak" => {
                    let mut track = Track::default();
                    self.track(&found, &mut track, MAX_DEPTH)?;
                    longest = longest.max(track.duration);
                    match &track.kind {
                        b"vide" => {
                            let size = track.size.or(track.coded).map(|(w, h)| if track.turned { (h, w) } else { (w, h) });
                            let area = |size: Option<(i32, i32)>| size.map(|(w, h)| i64::from(w) * i64::from(h));
                            if area(size) > area(movie.size) {
                                movie.size = size;
                            }
                        }
                        b"soun" => movie.sound = true,
                        _ => {}
                    }
                }
                b"mvex" => {
                    let mut at = found.start;
                    while let Some(inner) = self.at(at, found.end)? {
                        if &inner.kind == b"mehd" {
                            let (bytes, n) = self.content(&inner)?;
                            let bytes = bytes.get(..n)?;
                            let length = if *bytes.first()? == 1 { be64(bytes, 4)? } else { be32(bytes, 4)?.into() };
                            fragments = length as f64;
                        }
                        at = inner.end;
                    }
                }
                _ => {}
            }
            at = found.end;
        }
        if movie.duration <= 0.0 {
            movie.duration = if scale > 0 && fragments > 0.0 { sane(fragments / f64::from(scale)) } else { longest };
        }
        Some(())
    }

    /// What a track, or a part of it, says.
    fn track(&mut self, of: &Found, track: &mut Track, depth: u8) -> Option<()> {
        let mut at = of.start;
        while let Some(found) = self.at(at, of.end)? {
            match &found.kind {
                b"mdia" | b"minf" | b"stbl" => self.track(&found, track, depth.checked_sub(1)?)?,
                b"tkhd" => {
                    let (bytes, n) = self.content(&found)?;
                    header(bytes.get(..n)?, track);
                }
                b"mdhd" => {
                    let (bytes, n) = self.content(&found)?;
                    track.duration = times(bytes.get(..n)?).map_or(0.0, |(_, duration)| duration);
                }
                b"hdlr" => {
                    let (bytes, n) = self.content(&found)?;
                    let kind = bytes.get(..n).and_then(|bytes| bytes.get(8..12)?.try_into().ok());
                    // QuickTime has a second one, of how the data is found.
                    if let Some(kind) = kind.filter(|kind| matches!(kind, b"vide" | b"soun")) {
                        track.kind = kind;
                    }
                }
                b"stsd" => {
                    let (bytes, n) = self.content(&found)?;
                    // Version and count, and then the first entry: of a picture, width and height are its 24 to 28.
                    let pixels = |at| Some(u64::from(u16::from_be_bytes(bytes.get(..n)?.get(at..at + 2)?.try_into().ok()?)));
                    track.coded = pixels(40).and_then(side).zip(pixels(42).and_then(side));
                }
                _ => {}
            }
            at = found.end;
        }
        Some(())
    }
}

/// Time scale, and duration in seconds, of `mvhd` and `mdhd`: both begin alike.
fn times(bytes: &[u8]) -> Option<(u32, f64)> {
    let (scale, duration) = if *bytes.first()? == 1 {
        (be32(bytes, 20)?, be64(bytes, 24)?)
    } else {
        (be32(bytes, 12)?, u64::from(be32(bytes, 16)?))
    };
    // All ones: it is not known.
    let unknown = duration == u64::MAX || duration == u64::from(u32::MAX);
    let seconds = if scale == 0 || unknown { 0.0 } else { sane(duration as f64 / f64::from(scale)) };
    Some((scale, seconds))
}

/// `tkhd`: how large the track is shown, and whether it lies on its side.
fn header(bytes: &[u8], track: &mut Track) -> Option<()> {
    let after = if *bytes.first()? == 1 { 36 } else { 24 };
    // 8 reserved, layer, group, volume, 2 reserved; then the matrix a b u c d v x y w.
    let matrix = after + 16;
    let [a, b, c, d] = [be32(bytes, matrix)?, be32(bytes, matrix + 4)?, be32(bytes, matrix + 12)?, be32(bytes, matrix + 16)?];
    track.turned = a == 0 && d == 0 && b != 0 && c != 0;
    // Fixed point, 16 bits each.
    let shown = |at| side(u64::from(be32(bytes, at)? >> 16));
    track.size = shown(matrix + 36).zip(shown(matrix + 40));
    Some(())
}

fn be32(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_be_bytes(bytes.get(at..at.checked_add(4)?)?.try_into().ok()?))
}

fn be64(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_be_bytes(bytes.get(at..at.checked_add(8)?)?.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;

    #[test]
    fn boxes_without_end_and_boxes_inside_themselves_come_to_an_end() {
        // A length of 8 is a box of nothing: a file full of them.
        let mut many = b"\0\0\0\x08ftyp".to_vec();
        many.extend(b"\0\0\0\x08free".repeat(MAX_BOXES as usize + 10));
        assert!(read(&mut Cursor::new(many)).is_none());
        // Deeper than any track is.
        let mut deep: Vec<u8> = Vec::new();
        for _ in 0..4000 {
            deep.extend(b"\0\0\0\0mdia");
        }
        let mut file = b"\0\0\0\0moov\0\0\0\0trak".to_vec();
        file.extend(deep);
        assert!(read(&mut Cursor::new(file)).is_none());
        // A length that lies beyond all numbers.
        let mut huge = b"\0\0\0\x08ftyp\0\0\0\x01moov".to_vec();
        huge.extend([0xff; 8]);
        assert!(read(&mut Cursor::new(huge)).is_none());
    }
}
