//! Long streams in pieces, where a missing end is noticed.
//!
//! ```text
//! magic 8   version 1   protection 1   [ memory, passes, lanes 4 each   salt 16   nonce prefix 19 ]   checksum 8   [ proof 16 ]
//! then pieces: up to 64 KiB of content and a tag of 16
//! ```
//!
//! What stands in brackets is there under a passphrase only. The checksum is the beginning of SHA-256 over all before it; the proof is that of
//! HMAC-SHA-256 under the second half of what the passphrase gives: so a wrong passphrase is told from damage before any piece is read.
//!
//! Each piece is sealed under the first half, with the nonce `prefix ‖ number ‖ is it the last`, and the head's hash as associated data: pieces
//! cannot be left out, repeated, exchanged or moved to another stream, and a stream that was cut off has no last piece. It is the STREAM
//! construction of Hoang, Reyhanitabar, Rogaway and Vizár. Without a passphrase the tag is the beginning of SHA-256 over the same things: that
//! finds every accident, and no forgery.

use std::io::{self, Read, Write};

use chacha20poly1305::aead::{AeadInOut, KeyInit};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use rand::Rng;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq as _;
use zeroize::{Zeroize as _, Zeroizing};

use super::{
    KdfLimits, KdfParams, Passphrase, SealError,
    kdf::{PARAMS_LEN, SALT_LEN, derive},
    value::TAG_LEN,
};
use tdl_core::crypto::hmac::hmac_sha256;

/// Content of a full piece, in bytes.
pub const CHUNK: usize = 64 * 1024;

const VERSION: u8 = 1;
const MAGIC_LEN: usize = 8;
const PREFIX_LEN: usize = 19;
const CHECK_LEN: usize = 8;
const PROOF_LEN: usize = 16;

/// How a stream is protected.
#[derive(Clone, Debug)]
pub enum Protection {
    /// Against accidents only.
    None,
    /// Against everybody who does not know the passphrase.
    Passphrase {
        /// The passphrase.
        passphrase: Passphrase,
        /// What guessing it is to cost.
        params: KdfParams,
    },
}

/// What makes and checks the tags of pieces.
struct Pieces {
    cipher: Option<XChaCha20Poly1305>,
    prefix: [u8; PREFIX_LEN],
    head: [u8; 32],
    number: u32,
}

impl Pieces {
    fn nonce(&self, last: bool) -> [u8; 24] {
        let mut nonce = [0; 24];
        nonce[..PREFIX_LEN].copy_from_slice(&self.prefix);
        nonce[PREFIX_LEN..PREFIX_LEN + 4].copy_from_slice(&self.number.to_be_bytes());
        nonce[23] = u8::from(last);
        nonce
    }

    fn plain_tag(&self, last: bool, content: &[u8]) -> [u8; TAG_LEN] {
        let mut state = Sha256::new();
        state.update(self.head);
        state.update(self.nonce(last));
        state.update(content);
        let mut tag = [0; TAG_LEN];
        tag.copy_from_slice(&state.finalize()[..TAG_LEN]);
        tag
    }

    fn seal(&self, last: bool, piece: &mut Vec<u8>) -> Result<(), SealError> {
        match &self.cipher {
            Some(cipher) => {
                cipher.encrypt_in_place(&XNonce::from(self.nonce(last)), &self.head, piece).map_err(|_| SealError::TooLong)
            }
            None => {
                let tag = self.plain_tag(last, piece);
                piece.extend_from_slice(&tag);
                Ok(())
            }
        }
    }

    /// Whether the piece is authentic; then its tag is taken off, and it is open.
    fn open(&self, last: bool, piece: &mut Vec<u8>) -> bool {
        match &self.cipher {
            Some(cipher) => cipher.decrypt_in_place(&XNonce::from(self.nonce(last)), &self.head, piece).is_ok(),
            None => {
                let Some((content, tag)) = piece.split_last_chunk::<TAG_LEN>() else { return false };
                if !bool::from(self.plain_tag(last, content).ct_eq(tag)) {
                    return false;
                }
                piece.truncate(piece.len() - TAG_LEN);
                true
            }
        }
    }

    fn advance(&mut self) -> Result<(), SealError> {
        self.number = self.number.checked_add(1).ok_or(SealError::TooLong)?;
        Ok(())
    }
}

/// Seals what is written to it. [`SealedWriter::finish`] makes it whole; without that, the stream counts as cut off.
pub struct SealedWriter<W: Write> {
    to: W,
    pieces: Pieces,
    content: Zeroizing<Vec<u8>>,
}

impl<W: Write> SealedWriter<W> {
    /// Writes the head. `magic` says what the stream is.
    ///
    /// # Errors
    ///
    /// Those of the key derivation and of writing.
    pub fn new(mut to: W, magic: &[u8; MAGIC_LEN], protection: &Protection, rng: &mut impl Rng) -> Result<Self, SealError> {
        let mut head = magic.to_vec();
        head.push(VERSION);
        let mut prefix = [0; PREFIX_LEN];
        let mut keys = None;
        match protection {
            Protection::None => head.push(0),
            Protection::Passphrase { passphrase, params } => {
                let mut salt = [0; SALT_LEN];
                rng.fill_bytes(&mut salt);
                rng.fill_bytes(&mut prefix);
                keys = Some(derive(passphrase, &salt, *params, KdfLimits::default())?);
                head.push(1);
                head.extend_from_slice(&params.to_bytes());
                head.extend_from_slice(&salt);
                head.extend_from_slice(&prefix);
            }
        }
        let hash: [u8; 32] = Sha256::digest(&head).into();
        head.extend_from_slice(&hash[..CHECK_LEN]);
        let cipher = keys.as_ref().map(|keys| {
            head.extend_from_slice(&proof(keys, &hash));
            cipher(keys)
        });
        to.write_all(&head)?;
        Ok(Self {
            to,
            pieces: Pieces { cipher, prefix, head: hash, number: 0 },
            content: Zeroizing::new(Vec::with_capacity(CHUNK + TAG_LEN)),
        })
    }

    /// Writes the last piece.
    ///
    /// # Errors
    ///
    /// Those of writing.
    pub fn finish(mut self) -> Result<W, SealError> {
        self.piece(true)?;
        self.to.flush()?;
        Ok(self.to)
    }

    fn piece(&mut self, last: bool) -> Result<(), SealError> {
        self.pieces.seal(last, &mut self.content)?;
        self.to.write_all(&self.content)?;
        self.content.clear();
        self.pieces.advance()
    }
}

impl<W: Write> Write for SealedWriter<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.content.len() == CHUNK && !bytes.is_empty() {
            self.piece(false).map_err(io::Error::other)?;
        }
        let taken = bytes.len().min(CHUNK - self.content.len());
        self.content.extend_from_slice(bytes.get(..taken).unwrap_or_default());
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        // Only whole pieces are written.
        Ok(())
    }
}

/// A stream whose head has been read and whose content is still sealed.
pub struct Unopened<R: Read> {
    from: R,
    hash: [u8; 32],
    sealed: Option<Sealed>,
}

struct Sealed {
    params: KdfParams,
    salt: [u8; SALT_LEN],
    prefix: [u8; PREFIX_LEN],
    proof: [u8; PROOF_LEN],
}

impl<R: Read> Unopened<R> {
    /// Reads the head. `expected` names what `magic` stands for.
    ///
    /// # Errors
    ///
    /// [`SealError::NotOurs`], [`SealError::NewerVersion`], [`SealError::HeadDamaged`], [`SealError::Truncated`], those of reading.
    pub fn read(mut from: R, magic: &[u8; MAGIC_LEN], expected: &'static str) -> Result<Self, SealError> {
        let mut head = vec![0; MAGIC_LEN + 2];
        let found = fill(&mut from, &mut head)?;
        if !head.get(..found).is_some_and(|head| head.starts_with(magic)) {
            return Err(SealError::NotOurs { expected });
        }
        if found < head.len() {
            return Err(SealError::Truncated);
        }
        let (version, protection) = (head[MAGIC_LEN], head[MAGIC_LEN + 1]);
        if version > VERSION {
            return Err(SealError::NewerVersion { found: version, supported: VERSION });
        }
        let params: [u8; PARAMS_LEN];
        let mut sealed = None;
        if protection == 1 {
            params = take(&mut from)?;
            let (salt, prefix) = (take(&mut from)?, take(&mut from)?);
            head.extend_from_slice(&params);
            head.extend_from_slice(&salt);
            head.extend_from_slice(&prefix);
            sealed = Some(Sealed { params: KdfParams::from_bytes(params), salt, prefix, proof: [0; PROOF_LEN] });
        }
        let hash: [u8; 32] = Sha256::digest(&head).into();
        let check: [u8; CHECK_LEN] = take(&mut from)?;
        if check != hash[..CHECK_LEN] || version != VERSION || protection > 1 {
            return Err(SealError::HeadDamaged);
        }
        if let Some(sealed) = &mut sealed {
            sealed.proof = take(&mut from)?;
        }
        Ok(Self { from, hash, sealed })
    }

    /// Whether a passphrase is needed.
    pub fn is_encrypted(&self) -> bool {
        self.sealed.is_some()
    }

    /// Opens it. A stream that is not encrypted needs no passphrase, and ignores one.
    ///
    /// # Errors
    ///
    /// [`SealError::PassphraseMissing`], [`SealError::WrongPassphrase`], those of the key derivation.
    pub fn open(self, passphrase: Option<&Passphrase>, limits: KdfLimits) -> Result<SealedReader<R>, SealError> {
        let mut pieces = Pieces { cipher: None, prefix: [0; PREFIX_LEN], head: self.hash, number: 0 };
        if let Some(sealed) = &self.sealed {
            let passphrase = passphrase.ok_or(SealError::PassphraseMissing)?;
            let keys = derive(passphrase, &sealed.salt, sealed.params, limits)?;
            if !bool::from(proof(&keys, &self.hash).ct_eq(&sealed.proof)) {
                return Err(SealError::WrongPassphrase);
            }
            pieces.cipher = Some(cipher(&keys));
            pieces.prefix = sealed.prefix;
        }
        Ok(SealedReader {
            from: self.from,
            pieces,
            ahead: Vec::new(),
            content: Zeroizing::default(),
            at: 0,
            ended: false,
            failed: false,
        })
    }
}

/// The content of a stream. What it gives is authentic; whether that is all of it is known when it has given everything.
pub struct SealedReader<R: Read> {
    from: R,
    pieces: Pieces,
    /// Bytes read beyond the current piece: at most one.
    ahead: Vec<u8>,
    content: Zeroizing<Vec<u8>>,
    at: usize,
    ended: bool,
    failed: bool,
}

impl<R: Read> SealedReader<R> {
    /// Reads into the whole of `into`, as far as there is content. Says how much there was.
    ///
    /// # Errors
    ///
    /// [`SealError::PieceNotAuthentic`], [`SealError::Truncated`], [`SealError::TooLong`], those of reading. After an error there is nothing more.
    pub fn fill(&mut self, into: &mut [u8]) -> Result<usize, SealError> {
        let mut done = 0;
        while done < into.len() {
            let ready = self.content.get(self.at..).unwrap_or_default();
            if ready.is_empty() {
                if self.ended {
                    break;
                }
                self.next_piece()?;
                continue;
            }
            let count = ready.len().min(into.len() - done);
            into[done..done + count].copy_from_slice(&ready[..count]);
            done += count;
            self.at += count;
        }
        Ok(done)
    }

    fn next_piece(&mut self) -> Result<(), SealError> {
        if self.failed {
            return Err(SealError::Truncated);
        }
        self.failed = true;
        self.content.zeroize();
        self.at = 0;
        // One byte more than a piece: without it, this is the last.
        let mut piece = std::mem::take(&mut self.ahead);
        let start = piece.len();
        piece.resize(CHUNK + TAG_LEN + 1, 0);
        let found = start + fill(&mut self.from, &mut piece[start..])?;
        let last = found <= CHUNK + TAG_LEN;
        if last {
            piece.truncate(found);
        } else {
            self.ahead = piece.split_off(CHUNK + TAG_LEN);
        }
        if found < TAG_LEN {
            return Err(SealError::Truncated);
        }
        let sealed = last.then(|| piece.clone());
        if !self.pieces.open(last, &mut piece) {
            // Authentic, but not as the last one: those behind it are missing.
            let cut_off = sealed.is_some_and(|mut piece| self.pieces.open(false, &mut piece));
            let piece = u64::from(self.pieces.number) + 1;
            return Err(if cut_off { SealError::Truncated } else { SealError::PieceNotAuthentic { piece } });
        }
        // An empty piece ends a stream without content, and no other.
        if last && piece.is_empty() && self.pieces.number > 0 {
            return Err(SealError::PieceNotAuthentic { piece: u64::from(self.pieces.number) + 1 });
        }
        self.content = Zeroizing::new(piece);
        self.ended = last;
        if !last {
            self.pieces.advance()?;
        }
        self.failed = false;
        Ok(())
    }
}

fn cipher(keys: &Zeroizing<[u8; 64]>) -> XChaCha20Poly1305 {
    let mut key = Zeroizing::new([0; 32]);
    key.copy_from_slice(&keys[..32]);
    XChaCha20Poly1305::new((&*key).into())
}

fn proof(keys: &Zeroizing<[u8; 64]>, head: &[u8; 32]) -> [u8; PROOF_LEN] {
    let mut proof = [0; PROOF_LEN];
    proof.copy_from_slice(&hmac_sha256(&keys[32..], &[b"tdl stream", head])[..PROOF_LEN]);
    proof
}

fn take<const N: usize>(from: &mut impl Read) -> Result<[u8; N], SealError> {
    let mut bytes = [0; N];
    match fill(from, &mut bytes)? {
        found if found == N => Ok(bytes),
        _ => Err(SealError::Truncated),
    }
}

/// Reads until `into` is full or there is nothing more.
fn fill(from: &mut impl Read, into: &mut [u8]) -> Result<usize, SealError> {
    let mut done = 0;
    while let Some(rest) = into.get_mut(done..).filter(|rest| !rest.is_empty()) {
        match from.read(rest) {
            Ok(0) => break,
            Ok(count) => done += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(done)
}

#[cfg(test)]
mod tests {
    use rand::{SeedableRng, rngs::StdRng};

    use super::*;

    const MAGIC: &[u8; 8] = b"testing\n";

    fn word(text: &str) -> Passphrase {
        Passphrase::new(text.to_owned()).unwrap()
    }

    fn both() -> [Protection; 2] {
        [Protection::None, Protection::Passphrase { passphrase: word("open"), params: KdfParams::LEAST }]
    }

    fn sealed(protection: &Protection, content: &[u8], seed: u64) -> Vec<u8> {
        let mut writer = SealedWriter::new(Vec::new(), MAGIC, protection, &mut StdRng::seed_from_u64(seed)).unwrap();
        writer.write_all(content).unwrap();
        writer.finish().unwrap()
    }

    fn opened(bytes: &[u8]) -> Result<Vec<u8>, SealError> {
        let mut reader = Unopened::read(bytes, MAGIC, "a test")?.open(Some(&word("open")), KdfLimits::default())?;
        let mut content = Vec::new();
        let mut some = [0; 1000];
        loop {
            match reader.fill(&mut some)? {
                0 => return Ok(content),
                count => content.extend_from_slice(&some[..count]),
            }
        }
    }

    #[test]
    fn streams_of_all_lengths_come_back() {
        for protection in both() {
            for length in [0, 1, 999, CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK, 3 * CHUNK + 17] {
                let content: Vec<u8> = (0..length).map(|i| ((i * 31) >> 3) as u8).collect();
                let bytes = sealed(&protection, &content, 1);
                assert_eq!(opened(&bytes).unwrap(), content, "{length}");
            }
        }
        let hidden = sealed(&both()[1], b"the content of it", 1);
        assert!(!hidden.windows(7).any(|w| w == b"content"));
    }

    #[test]
    fn a_stream_that_was_cut_off_anywhere_is_noticed() {
        for protection in both() {
            let bytes = sealed(&protection, &vec![7; 2 * CHUNK + 100], 2);
            let head = sealed(&protection, &[], 2).len() - TAG_LEN;
            for at in (0..200).chain([head, head + CHUNK, head + CHUNK + TAG_LEN - 1]).chain(bytes.len() - 130..bytes.len()) {
                assert!(opened(&bytes[..at]).is_err(), "{at} of {}", bytes.len());
            }
            // At the border between two pieces nothing looks broken: all there is is authentic.
            for pieces in 1..=2 {
                let cut = &bytes[..head + pieces * (CHUNK + TAG_LEN)];
                assert!(matches!(opened(cut), Err(SealError::Truncated)), "{pieces}");
            }
            assert!(matches!(opened(&bytes[..head]), Err(SealError::Truncated)));
        }
    }

    #[test]
    fn pieces_are_bound_to_their_number_and_their_stream() {
        for protection in both() {
            let content: Vec<u8> = (0..3 * CHUNK).map(|i| (i / CHUNK) as u8).collect();
            let bytes = sealed(&protection, &content, 3);
            let head = sealed(&protection, &[], 3).len() - TAG_LEN;
            let piece = |at: usize| head + at * (CHUNK + TAG_LEN)..head + (at + 1) * (CHUNK + TAG_LEN);
            let join = |parts: &[&[u8]]| parts.concat();
            let (h, a, b, c) = (&bytes[..head], &bytes[piece(0)], &bytes[piece(1)], &bytes[piece(2)]);
            assert_eq!(opened(&join(&[h, a, b, c])).unwrap(), content);
            for wrong in
                [join(&[h, b, a, c]), join(&[h, a, c]), join(&[h, a, a, b, c]), join(&[h, c]), join(&[h, a, b, c, b"x"])]
            {
                assert!(matches!(opened(&wrong), Err(SealError::PieceNotAuthentic { .. })));
            }
            if let Protection::Passphrase { .. } = protection {
                let other = sealed(&protection, &content, 4);
                assert!(matches!(opened(&join(&[h, &other[head..]])), Err(SealError::PieceNotAuthentic { piece: 1 })));
            }
        }
    }

    #[test]
    fn every_changed_byte_is_noticed_and_a_wrong_passphrase_is_told_from_it() {
        for protection in both() {
            let bytes = sealed(&protection, b"short", 5);
            for at in 0..bytes.len() {
                let mut changed = bytes.clone();
                changed[at] ^= 1 << (at % 8);
                assert!(opened(&changed).is_err(), "byte {at}");
            }
            let other =
                |text| Unopened::read(&bytes[..], MAGIC, "a test").unwrap().open(Some(&word(text)), KdfLimits::default());
            assert_eq!(other("shut").is_ok(), matches!(protection, Protection::None));
        }
        let bytes = sealed(&both()[1], b"short", 5);
        let unopened = || Unopened::read(&bytes[..], MAGIC, "a test").unwrap();
        assert!(unopened().is_encrypted());
        assert!(matches!(unopened().open(Some(&word("shut")), KdfLimits::default()), Err(SealError::WrongPassphrase)));
        assert!(matches!(unopened().open(None, KdfLimits::default()), Err(SealError::PassphraseMissing)));
        let little = KdfLimits { memory_kib: 4, work_kib: 4 };
        assert!(matches!(unopened().open(Some(&word("open")), little), Err(SealError::KdfOutOfBounds { .. })));
    }

    #[test]
    fn what_is_no_stream_of_ours_is_told_apart() {
        let read = |bytes: &[u8]| Unopened::read(bytes, MAGIC, "a test").err();
        assert!(matches!(read(b"PK\x03\x04 whatever"), Some(SealError::NotOurs { expected: "a test" })));
        assert!(matches!(read(b""), Some(SealError::NotOurs { .. })));
        assert!(matches!(read(b"testing\n"), Some(SealError::Truncated)));
        assert!(matches!(read(b"testing\n\x02\x00"), Some(SealError::NewerVersion { found: 2, supported: 1 })));
        let mut odd = b"testing\n\x01\x02".to_vec();
        let check = Sha256::digest(&odd);
        odd.extend_from_slice(&check[..CHECK_LEN]);
        assert!(matches!(read(&odd), Some(SealError::HeadDamaged)));
    }

    #[test]
    fn after_an_error_nothing_more_comes() {
        let mut bytes = sealed(&Protection::None, &vec![1; 2 * CHUNK], 6);
        let at = bytes.len() - 3 - CHUNK - 2 * TAG_LEN;
        bytes[at] ^= 1;
        let mut reader = Unopened::read(&bytes[..], MAGIC, "a test").unwrap().open(None, KdfLimits::default()).unwrap();
        let mut some = [0; 10];
        assert!(matches!(reader.fill(&mut some), Err(SealError::PieceNotAuthentic { piece: 1 })));
        assert!(matches!(reader.fill(&mut some), Err(SealError::Truncated)));
    }
}
