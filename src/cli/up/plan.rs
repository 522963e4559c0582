//! What is sent together: single files, the pieces of one, albums.

use std::path::{Path, PathBuf};

use tdl::chat::send::ALBUM;

/// What becomes one message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Item {
    pub(super) path: PathBuf,
    /// Which piece of the file it is, if the file is sent in pieces.
    pub(super) piece: Option<Piece>,
}

/// A piece of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Piece {
    /// From 1.
    pub(super) number: u32,
    /// How many there are.
    pub(super) of: u32,
    /// Offset of its first byte.
    pub(super) offset: u64,
    /// Length in bytes.
    pub(super) len: u64,
    /// Length of the whole file.
    pub(super) whole: u64,
}

impl Item {
    /// How it is called where progress is shown.
    pub(super) fn shown(&self) -> String {
        let path = self.path.to_string_lossy();
        match self.piece {
            None => path.into_owned(),
            Some(piece) => format!("{path} ({} of {})", piece.number, piece.of),
        }
    }

    /// The name that the receiver sees of a file that is called `name`.
    pub(super) fn name(&self, name: &str) -> String {
        match self.piece {
            None => name.to_owned(),
            Some(piece) => piece_name(name, piece.number),
        }
    }
}

/// What the receiver sees of piece `number` of a file: in the order of these names, the pieces make the file.
pub(super) fn piece_name(name: &str, number: u32) -> String {
    format!("{name}.{number:03}")
}

/// What is sent in one go, by the items' positions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Unit {
    /// A file.
    One(u32),
    /// Two to ten of one kind.
    Album(Vec<u32>),
    /// The pieces of a file, one after another.
    Pieces(Vec<u32>),
}

/// Everything that a run sends.
#[derive(Debug, Default)]
pub(super) struct Plan {
    pub(super) items: Vec<Item>,
    pub(super) units: Vec<Unit>,
}

/// What can stand in one album: the server takes photos with videos, and the rest by kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Class {
    /// Photos and videos.
    Visual,
    /// Music.
    Audio,
    /// Other files.
    File,
    /// Goes alone: a voice message, and what cannot be read.
    Alone,
}

impl Plan {
    /// Plans for `files`. `piece` is how long a piece may be, if files are cut at all; `class` says what can go into an album with what,
    /// if there are to be albums, and `by_directory` whether only with files of the same directory.
    pub(super) fn new(
        files: &[PathBuf],
        piece: Option<u64>,
        by_directory: bool,
        mut class: impl FnMut(&Path) -> Option<Class>,
    ) -> Self {
        let mut plan = Self::default();
        let mut open: Vec<(Option<PathBuf>, Class, usize)> = Vec::new();
        for path in files {
            let size = std::fs::metadata(path).map_or(0, |meta| if meta.is_file() { meta.len() } else { 0 });
            if let Some(piece) = piece.filter(|&piece| size > piece) {
                plan.pieces(path, size, piece);
                continue;
            }
            let index = plan.add(Item { path: path.clone(), piece: None });
            let Some(class) = class(path).filter(|class| *class != Class::Alone) else {
                plan.units.push(Unit::One(index));
                continue;
            };
            let directory = by_directory.then(|| path.parent().unwrap_or(Path::new("")).to_owned());
            let place = open.iter().position(|(dir, kind, _)| *dir == directory && *kind == class);
            let unit = place.and_then(|place| open.get(place)).and_then(|(_, _, unit)| plan.units.get_mut(*unit));
            match (unit, place) {
                (Some(Unit::Album(list)), Some(place)) => {
                    list.push(index);
                    if list.len() >= ALBUM {
                        open.swap_remove(place);
                    }
                }
                _ => {
                    open.push((directory, class, plan.units.len()));
                    plan.units.push(Unit::Album(vec![index]));
                }
            }
        }
        // An album of one is a message like any other.
        for unit in &mut plan.units {
            if let Unit::Album(list) = unit
                && let [only] = list.as_slice()
            {
                *unit = Unit::One(*only);
            }
        }
        plan
    }

    fn add(&mut self, item: Item) -> u32 {
        let index = u32::try_from(self.items.len()).unwrap_or(u32::MAX);
        self.items.push(item);
        index
    }

    fn pieces(&mut self, path: &Path, size: u64, piece: u64) {
        let of = u32::try_from(size.div_ceil(piece)).unwrap_or(u32::MAX);
        let mut list = Vec::new();
        for number in 1..=of {
            let offset = u64::from(number - 1) * piece;
            let part = Piece { number, of, offset, len: piece.min(size - offset), whole: size };
            list.push(self.add(Item { path: path.to_owned(), piece: Some(part) }));
        }
        self.units.push(Unit::Pieces(list));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn class(path: &Path) -> Option<Class> {
        match path.extension()?.to_str()? {
            "jpg" => Some(Class::Visual),
            "txt" => Some(Class::File),
            "mp3" => Some(Class::Audio),
            _ => Some(Class::Alone),
        }
    }

    #[test]
    fn albums_are_of_one_kind_and_one_directory_and_of_ten_at_most() {
        let files: Vec<PathBuf> =
            ["a/1.jpg", "a/2.txt", "a/3.jpg", "b/4.jpg", "a/5.mp3", "a/6.bin", "a/7.txt"].iter().map(PathBuf::from).collect();
        let plan = Plan::new(&files, None, true, class);
        let album = |list: &[u32]| Unit::Album(list.to_vec());
        assert_eq!(plan.units, [album(&[0, 2]), album(&[1, 6]), Unit::One(3), Unit::One(4), Unit::One(5)]);
        assert_eq!(Plan::new(&files, None, false, class).units[0], album(&[0, 2, 3]), "of all directories");
        assert!(Plan::new(&files, None, true, |_| None).units.iter().all(|unit| matches!(unit, Unit::One(_))));
        let many: Vec<PathBuf> = (0..21).map(|n| format!("{n}.jpg").into()).collect();
        let sizes: Vec<usize> = Plan::new(&many, None, true, class)
            .units
            .iter()
            .map(|unit| if let Unit::Album(list) = unit { list.len() } else { 1 })
            .collect();
        assert_eq!(sizes, [10, 10, 1]);
    }

    #[test]
    fn pieces_cover_a_file_and_are_named_in_order() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.bin");
        std::fs::write(&path, [0; 25]).unwrap();
        let plan = Plan::new(std::slice::from_ref(&path), Some(10), false, |_| None);
        assert_eq!(plan.units, [Unit::Pieces(vec![0, 1, 2])]);
        let pieces: Vec<(u64, u64)> = plan.items.iter().map(|i| i.piece.map_or((0, 0), |p| (p.offset, p.len))).collect();
        assert_eq!(pieces, [(0, 10), (10, 10), (20, 5)]);
        assert_eq!(plan.items[1].name("a.bin"), "a.bin.002");
        assert_eq!(Plan::new(&[path], Some(25), false, |_| None).units, [Unit::One(0)], "one that fits is left alone");
    }
}
