//! Which name a file gets. No two files share one, whatever their senders called them, and a message gets the name again that it had: who
//! has which name is in the namespace.

use std::collections::HashMap;
use std::fs::Metadata;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use tdl::store::{Error, FileOwner, Namespace, SavedFile};
use tdl::transfer::download::PART_SUFFIX;
use tdl::transfer::name::{collision_key, numbered};

/// How many names are tried before a file is given up: as many files as no directory holds.
const MAX_NUMBER: u32 = 1_000_000;

/// For how many numbers after the first free name a message's earlier name is looked for.
const LOOK_FURTHER: u32 = 64;

/// A name that a file has got.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Name {
    /// Where the file goes.
    pub(super) target: PathBuf,
    /// What the name is known by.
    pub(super) key: String,
    /// The file that is there already and is this one, with its length.
    pub(super) there: Option<(PathBuf, u64)>,
    /// When it was whole, in Unix time, if it was downloaded before.
    pub(super) saved_at: Option<i64>,
    /// Whether the namespace knows already whose the name is.
    known: bool,
}

/// What a file that wants a name is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Choice {
    /// This is its name.
    Take(Name),
    /// The same file of the same message has its name already, in this run.
    Twice,
}

/// The names of one run.
pub(super) struct Names {
    /// The directory of the run, as it was given, and as a path that means the same tomorrow.
    dir: PathBuf,
    absolute: PathBuf,
    /// Whether a file of the right length with another extension is the file.
    skip_same: bool,
    taken: Mutex<HashMap<String, FileOwner>>,
    /// Names in directories, by what they are without their extension.
    listed: Mutex<HashMap<PathBuf, HashMap<String, Vec<PathBuf>>>>,
}

impl Names {
    pub(super) fn new(dir: &Path, skip_same: bool) -> Self {
        let absolute = std::path::absolute(dir).unwrap_or_else(|_| dir.to_owned());
        Self { dir: dir.to_owned(), absolute, skip_same, taken: Mutex::default(), listed: Mutex::default() }
    }

    /// What two paths below the directory have in common when some file system takes them for one.
    pub(super) fn key(&self, path: &Path) -> String {
        let below = path.strip_prefix(&self.dir).unwrap_or(path);
        let mut key = self.absolute.to_string_lossy().into_owned();
        for component in below.components() {
            key.push('/');
            key.push_str(&collision_key(&component.as_os_str().to_string_lossy()));
        }
        key
    }

    fn taken(&self) -> MutexGuard<'_, HashMap<String, FileOwner>> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The name for a file whose template says `wanted`: the one that it had, or the first with a number that nobody has.
    pub(super) fn choose(&self, namespace: &Namespace, owner: FileOwner, wanted: &Path) -> Result<Choice, Error> {
        let mut mine: Vec<SavedFile> = namespace.saved_files(owner.chat, owner.message)?;
        mine.retain(|file| file.owner == owner);
        let mut free: Option<(u32, Name)> = None;
        for n in 1..=MAX_NUMBER {
            let target = if n == 1 { wanted.to_owned() } else { numbered(wanted, n) };
            let key = self.key(&target);
            let held = self.holder(&key);
            if let Some(own) = mine.iter().find(|file| file.key == key) {
                if held == Some(owner) {
                    return Ok(Choice::Twice);
                }
                if held.is_none() {
                    let there = self.length_of(&own.path).map(|len| (own.path.clone(), len));
                    return Ok(Choice::Take(
                        self.hold(Name { target, key, there, saved_at: own.saved_at, known: true }, owner),
                    ));
                }
            } else if held == Some(owner) {
                return Ok(Choice::Twice);
            } else if free.is_none()
                && held.is_none()
                && !self.is_beside_a_part_file(&key)
                && let Some(name) = self.if_free(namespace, owner, target, key)?
            {
                free = Some((n, name));
            }
            match &free {
                Some((first, _)) if mine.is_empty() || n >= first + LOOK_FURTHER => break,
                _ => {}
            }
        }
        let Some((_, name)) = free else { return Ok(Choice::Twice) };
        Ok(Choice::Take(self.hold(name, owner)))
    }

    /// Who has the name in this run.
    fn holder(&self, key: &str) -> Option<FileOwner> {
        self.taken().get(key).copied()
    }

    /// Whether the name would be the part file of another one of this run, or the other way round.
    fn is_beside_a_part_file(&self, key: &str) -> bool {
        let taken = self.taken();
        let whole = key.strip_suffix(PART_SUFFIX);
        taken.contains_key(&format!("{key}{PART_SUFFIX}")) || whole.is_some_and(|key| taken.contains_key(key))
    }

    /// The name, unless somebody else had it in an earlier run, or a file is there that is not ours.
    fn if_free(&self, namespace: &Namespace, owner: FileOwner, target: PathBuf, key: String) -> Result<Option<Name>, Error> {
        // Its part file must not be another's file either, nor it another's part file.
        let part = format!("{key}{PART_SUFFIX}");
        let whole = key.strip_suffix(PART_SUFFIX).unwrap_or_default();
        for other in [key.as_str(), part.as_str(), whole] {
            if !other.is_empty() && namespace.name_owner(other)?.is_some_and(|file| file.owner != owner) {
                return Ok(None);
            }
        }
        let there = match std::fs::symlink_metadata(&target) {
            Err(_) => self.with_another_extension(namespace, owner, &target)?,
            Ok(found) if self.skip_same && is_file(&target, &found) && self.length_of(&target) == Some(owner.size) => {
                Some((target.clone(), owner.size))
            }
            Ok(_) => return Ok(None),
        };
        Ok(Some(Name { target, key, there, saved_at: None, known: false }))
    }

    /// Gives the name away for the time of this run.
    fn hold(&self, name: Name, owner: FileOwner) -> Name {
        self.taken().insert(name.key.clone(), owner);
        name
    }

    fn length_of(&self, path: &Path) -> Option<u64> {
        std::fs::metadata(path).ok().filter(Metadata::is_file).map(|m| m.len())
    }

    /// With `--skip-same`: a file with the right name and length but another extension, as `--rewrite-ext` makes them, that nobody else has.
    fn with_another_extension(
        &self,
        namespace: &Namespace,
        owner: FileOwner,
        target: &Path,
    ) -> Result<Option<(PathBuf, u64)>, Error> {
        let (true, Some(dir)) = (self.skip_same, target.parent()) else { return Ok(None) };
        let candidates = {
            let mut listed = self.listed.lock().unwrap_or_else(PoisonError::into_inner);
            let names = listed.entry(dir.to_owned()).or_insert_with(|| by_stem(dir));
            names.get(&stem_key(target)).cloned().unwrap_or_default()
        };
        for path in candidates {
            if self.length_of(&path) == Some(owner.size) {
                let key = self.key(&path);
                let other = |file: SavedFile| file.owner != owner;
                if self.holder(&key).is_none_or(|holder| holder == owner) && !namespace.name_owner(&key)?.is_some_and(other) {
                    return Ok(Some((path, owner.size)));
                }
            }
        }
        Ok(None)
    }

    /// The name that a finished file gets when its content asks for another extension. `None` when it is right already.
    pub(super) fn by_content(&self, namespace: &Namespace, owner: FileOwner, path: &Path) -> Result<Option<Name>, Error> {
        let Ok(Some(kind)) = infer::get_from_path(path) else { return Ok(None) };
        if path.extension().is_some_and(|e| e.eq_ignore_ascii_case(kind.extension())) {
            return Ok(None);
        }
        match self.choose(namespace, owner, &path.with_extension(kind.extension()))? {
            Choice::Take(name) => Ok(Some(name)),
            Choice::Twice => Ok(None),
        }
    }
}

impl Name {
    /// As the namespace is to know it; `None` where it does already.
    pub(super) fn claim(&self, owner: FileOwner) -> Option<SavedFile> {
        let path = std::path::absolute(&self.target).unwrap_or_else(|_| self.target.clone());
        (!self.known).then(|| SavedFile { key: self.key.clone(), path, owner, saved_at: None })
    }
}

fn is_file(path: &Path, found: &Metadata) -> bool {
    found.is_file() || (found.is_symlink() && path.is_file())
}

/// The files of a directory, by their names without extension.
fn by_stem(dir: &Path) -> HashMap<String, Vec<PathBuf>> {
    let mut found: HashMap<String, Vec<PathBuf>> = HashMap::new();
    for entry in std::fs::read_dir(dir).into_iter().flatten().flatten() {
        let path = entry.path();
        let unfinished = path.to_string_lossy().ends_with(PART_SUFFIX);
        if !unfinished && entry.file_type().is_ok_and(|kind| kind.is_file()) {
            found.entry(stem_key(&path)).or_default().push(path);
        }
    }
    found.values_mut().for_each(|paths| paths.sort_unstable());
    found
}

fn stem_key(path: &Path) -> String {
    collision_key(&path.file_stem().unwrap_or_default().to_string_lossy())
}

#[cfg(test)]
mod tests {
    use tdl::store::Home;

    use super::*;

    struct Bench {
        dir: tempfile::TempDir,
        namespace: Namespace,
    }

    impl Bench {
        fn new() -> Self {
            let dir = tempfile::tempdir().unwrap();
            let namespace = Home::at(dir.path().join("home")).open(&Default::default(), 1).unwrap();
            std::fs::create_dir(dir.path().join("d")).unwrap();
            Self { dir, namespace }
        }

        fn names(&self, skip_same: bool) -> Names {
            Names::new(&self.dir.path().join("d"), skip_same)
        }

        fn choose(&self, names: &Names, message: i32, name: &str) -> Option<String> {
            match names.choose(&self.namespace, owner(message), &self.dir.path().join("d").join(name)).unwrap() {
                Choice::Twice => None,
                Choice::Take(name) => {
                    self.namespace.claim_names(name.claim(owner(message)).as_slice()).unwrap();
                    Some(name.target.file_name().unwrap().to_str().unwrap().to_owned())
                }
            }
        }

        fn write(&self, name: &str, len: usize) {
            std::fs::write(self.dir.path().join("d").join(name), vec![1; len]).unwrap();
        }
    }

    fn owner(message: i32) -> FileOwner {
        FileOwner { chat: 1, message, media: 100, size: 5 }
    }

    fn some(name: &str) -> Option<String> {
        Some(name.to_owned())
    }

    #[test]
    fn two_files_of_one_name_are_numbered_and_keep_their_numbers_in_any_order() {
        let bench = Bench::new();
        let names = bench.names(false);
        assert_eq!(bench.choose(&names, 1, "a.txt"), some("a.txt"));
        assert_eq!(bench.choose(&names, 2, "a.txt"), some("a (2).txt"));
        assert_eq!(bench.choose(&names, 3, "A.TXT"), some("A (3).TXT"), "one name on some file systems");
        assert_eq!(bench.choose(&names, 2, "a.txt"), None, "the same message twice");
        let names = bench.names(false);
        assert_eq!(bench.choose(&names, 3, "A.TXT"), some("A (3).TXT"));
        assert_eq!(bench.choose(&names, 2, "a.txt"), some("a (2).txt"), "the retry of one message");
        assert_eq!(bench.choose(&names, 1, "a.txt"), some("a.txt"));
        assert_eq!(bench.choose(&names, 4, "a.txt"), some("a (4).txt"));
    }

    #[test]
    fn a_file_that_is_not_ours_is_left_alone_and_ours_keeps_its_number_when_it_goes() {
        let bench = Bench::new();
        bench.write("a.txt", 3);
        assert_eq!(bench.choose(&bench.names(false), 1, "a.txt"), some("a (2).txt"));
        std::fs::remove_file(bench.dir.path().join("d/a.txt")).unwrap();
        assert_eq!(bench.choose(&bench.names(false), 1, "a.txt"), some("a (2).txt"));
        assert_eq!(bench.choose(&bench.names(false), 2, "a.txt"), some("a.txt"));
    }

    #[test]
    fn no_file_is_anothers_part_file() {
        let bench = Bench::new();
        for names in [bench.names(false), bench.names(false)] {
            assert_eq!(bench.choose(&names, 1, "x.part"), some("x.part"));
            assert_eq!(bench.choose(&names, 2, "x"), some("x (2)"));
            assert_eq!(bench.choose(&names, 3, "y"), some("y"));
        }
        assert_eq!(bench.choose(&bench.names(false), 4, "y.part"), some("y (2).part"));
    }

    #[test]
    fn the_same_file_is_found_under_another_extension_only_when_asked_and_only_by_name_and_length() {
        let bench = Bench::new();
        bench.write("a.jpg", 5);
        bench.write("b.jpg", 6);
        let there = |skip_same: bool, name: &str| {
            let wanted = bench.dir.path().join("d").join(name);
            match bench.names(skip_same).choose(&bench.namespace, owner(1), &wanted).unwrap() {
                Choice::Take(name) => name.there.map(|(path, _)| path.file_name().unwrap().to_owned()),
                Choice::Twice => panic!("{name}"),
            }
        };
        assert_eq!(there(true, "a.bin"), Some("a.jpg".into()));
        assert_eq!(there(true, "b.bin"), None, "another length");
        assert_eq!(there(false, "a.bin"), None);
        assert_eq!(there(true, "a.jpg"), Some("a.jpg".into()));
    }
}
