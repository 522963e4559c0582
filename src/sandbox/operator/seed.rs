//! Many messages at once, with files or without: what the API would take minutes for.

use std::io::Read;

use tdl_core::tl::Serialize as _;
use tdl_core::tl::api::{enums, types};

use super::{Operator, OperatorError, now};
use crate::state::files::{self, Blob, Document};
use crate::state::messages::{self, Draft, Media, MediaKind};
use crate::state::outbox;

/// Messages of one change to the database: a running cluster waits for its end.
const BATCH: u64 = 1000;
/// The most that is seeded at a time.
const MAX_COUNT: u64 = 10_000_000;

/// Many messages from one account to another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seed {
    /// Who writes: a phone number, @username or id.
    pub from: String,
    /// To whom.
    pub to: String,
    /// How many.
    pub count: u64,
    /// What files follow from, and, without files, nothing.
    pub seed: u64,
    /// Each has a file of so many bytes: of any length between the two, small ones as often as large ones. Without, they have a text.
    pub sizes: Option<(u64, u64)>,
    /// The DC that keeps the files; the sender's if nothing is said.
    pub dc: Option<i32>,
}

/// What was seeded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
#[non_exhaustive]
pub struct Seeded {
    /// How many messages.
    pub count: u64,
    /// Bytes of files.
    pub bytes: u64,
    /// The first one's id in the box of whoever wrote them; they follow each other.
    pub first: i32,
    /// The last one's.
    pub last: i32,
}

fn mix(mut x: u64) -> u64 {
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

/// A seeded file, which follows from the seed and its number, from 1 on: its name, its length, its contents.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SeededFile {
    number: u64,
    base: u64,
    len: u64,
}

impl SeededFile {
    /// The file with a number, of a length between the two.
    pub fn new(seed: u64, number: u64, (least, most): (u64, u64)) -> Self {
        let base = mix(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(number));
        let (least, most) = (least.max(1), most.max(least).max(1));
        // First how many digits in binary, then which number of so many.
        let digits = least.ilog2()..=most.ilog2();
        let digit = digits.start() + u32::try_from(mix(base ^ 1) % u64::from(digits.end() - digits.start() + 1)).unwrap_or(0);
        let low = 1_u64 << digit;
        let len = (low + mix(base ^ 2) % low).clamp(least, most);
        Self { number, base, len }
    }

    /// Its name.
    pub fn name(&self) -> String {
        format!("file-{:05}.bin", self.number)
    }

    /// Its length in bytes.
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Never: a file has a byte.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Its contents.
    pub fn contents(&self) -> impl Read + use<> {
        Contents { base: self.base, at: 0, len: self.len }
    }
}

struct Contents {
    base: u64,
    at: u64,
    len: u64,
}

impl Read for Contents {
    fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
        let left = usize::try_from(self.len.saturating_sub(self.at)).unwrap_or(usize::MAX);
        let len = left.min(out.len());
        let out = out.get_mut(..len).unwrap_or_default();
        let mut rest = out;
        while !rest.is_empty() {
            let word = mix(self.base.wrapping_add((self.at / 8).wrapping_mul(0x9e37_79b9_7f4a_7c15))).to_le_bytes();
            let from = usize::try_from(self.at % 8).unwrap_or(0);
            let some = word.get(from..).unwrap_or_default();
            let n = some.len().min(rest.len());
            let (head, tail) = rest.split_at_mut(n);
            head.copy_from_slice(some.get(..n).unwrap_or_default());
            self.at = self.at.saturating_add(u64::try_from(n).unwrap_or(0));
            rest = tail;
        }
        Ok(len)
    }
}

impl Operator {
    /// Writes many messages. They count as read. Sessions are not told of each: they are told that there is something to ask for.
    ///
    /// # Errors
    /// [`OperatorError::NoAccount`], [`OperatorError::Dc`]; [`OperatorError::Form`] for more than ten million.
    pub fn seed(&self, seed: &Seed) -> Result<Seeded, OperatorError> {
        if seed.count == 0 || seed.count > MAX_COUNT {
            return Err(OperatorError::Form("1 to 10000000 messages are seeded at a time"));
        }
        if let Some(dc) = seed.dc.filter(|dc| !(1..=self.dcs).contains(dc)) {
            return Err(OperatorError::Dc(dc));
        }
        let (from, to) =
            self.state.read(|db| Ok::<_, OperatorError>((self.find(db, &seed.from)?, self.find(db, &seed.to)?)))?;
        let (dc, mut done) = (seed.dc.unwrap_or(from.dc), Seeded::default());
        let mut next = 1;
        while next <= seed.count {
            let numbers = next..next.saturating_add(BATCH).min(seed.count.saturating_add(1));
            next = numbers.end;
            let files: Vec<Option<(SeededFile, Blob)>> = numbers
                .clone()
                .map(|n| seed.sizes.map(|sizes| self.keep_seeded(SeededFile::new(seed.seed, n, sizes))).transpose())
                .collect::<Result<_, _>>()?;
            self.state.write(|tx| {
                let (mut last, date) = (None, now());
                for (n, file) in numbers.zip(files) {
                    let media = match &file {
                        Some((file, blob)) => {
                            let document = seeded_document(file, *blob, dc, date);
                            files::add_document(tx, &document)?;
                            done.bytes = done.bytes.saturating_add(file.len);
                            Some(Media { kind: MediaKind::Document, id: document.id, spoiler: false })
                        }
                        None => None,
                    };
                    let draft = Draft {
                        from: from.id,
                        to: to.id,
                        text: if media.is_some() { String::new() } else { format!("Message {n}") },
                        entities: None,
                        media,
                        reply_to: None,
                        forward: None,
                        grouped_id: None,
                        silent: true,
                        random_id: rand::random(),
                    };
                    let sent = messages::send(tx, &draft, date)?;
                    done.count += 1;
                    done.last = sent.own.0.id;
                    if done.first == 0 {
                        done.first = done.last;
                    }
                    last = sent.other.map(|(message, _)| message);
                }
                if let Some(message) = last {
                    messages::mark_read(tx, message.owner, message.peer, message.id)?;
                }
                Ok::<_, OperatorError>(())
            })?;
        }
        let too_long = enums::Updates::TooLong.to_bytes();
        let told = if from.id == to.id { vec![from.id] } else { vec![from.id, to.id] };
        self.state.write(|tx| told.into_iter().try_for_each(|user| outbox::put(tx, user, &too_long)))?;
        Ok(done)
    }

    fn keep_seeded(&self, file: SeededFile) -> Result<(SeededFile, Blob), OperatorError> {
        Ok((file, self.state.keep_contents(&mut file.contents())?))
    }
}

fn seeded_document(file: &SeededFile, blob: Blob, dc: i32, date: i64) -> Document {
    let name = types::DocumentAttributeFilename { file_name: file.name().into() };
    let attributes: Vec<enums::DocumentAttribute> = vec![name.into()];
    Document {
        id: i64::try_from(rand::random::<u64>() >> 1).unwrap_or(i64::MAX).max(1),
        dc,
        date,
        mime: "application/octet-stream".to_owned(),
        blob,
        attributes: attributes.to_bytes().to_vec(),
        thumb: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(file: &SeededFile) -> Vec<u8> {
        let mut out = Vec::new();
        file.contents().read_to_end(&mut out).unwrap();
        out
    }

    #[test]
    fn seeded_files_are_the_same_each_time_and_differ_from_each_other() {
        let file = |seed, number| SeededFile::new(seed, number, (100, 100));
        let first = all(&file(1, 1));
        assert_eq!((first.len(), &*file(1, 7).name()), (100, "file-00007.bin"));
        assert_eq!(first, all(&file(1, 1)));
        for (seed, number) in [(1, 2), (2, 1), (0, 1)] {
            assert_ne!(first, all(&file(seed, number)));
        }
        // However it is read.
        let mut pieces = Vec::new();
        let mut contents = file(1, 1).contents();
        loop {
            let mut piece = [0; 13];
            let n = contents.read(&mut piece).unwrap();
            if n == 0 {
                break;
            }
            pieces.extend_from_slice(&piece[..n]);
        }
        assert_eq!(pieces, first);
    }

    #[test]
    fn lengths_are_between_the_two_and_of_all_orders() {
        let lens: Vec<u64> = (1..2000).map(|n| SeededFile::new(5, n, (3, 1 << 20)).len()).collect();
        assert!(lens.iter().all(|len| (3..=1 << 20).contains(len)));
        assert!(lens.iter().any(|len| *len < 64) && lens.iter().any(|len| *len > 1 << 18));
        assert_eq!(SeededFile::new(5, 1, (0, 0)).len(), 1);
        assert_eq!(SeededFile::new(5, 1, (10, 5)).len(), 10);
        assert!(!SeededFile::new(5, 1, (u64::MAX, u64::MAX)).is_empty());
    }
}
