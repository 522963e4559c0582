//! Single values under a data key, each bound to its place.

use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use rand::Rng;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use super::SealError;

/// Bytes of a nonce.
pub(super) const NONCE_LEN: usize = 24;

/// Bytes of an authentication tag.
pub(super) const TAG_LEN: usize = 16;

/// What sealing adds to a value, in bytes: a version, the nonce, the tag.
pub const OVERHEAD: usize = 1 + NONCE_LEN + TAG_LEN;

/// The version of the form of sealed values.
const VERSION: u8 = 1;

/// The key that values are sealed with. It is drawn at random, and kept wrapped in a [`Lock`](super::Lock).
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct DataKey([u8; 32]);

/// Where a value belongs: its names and numbers, in an encoding that no other place has. A value opens in its own place only, so that rows
/// cannot be exchanged, copied into another database, or kept from one key to the next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place(Vec<u8>);

impl Place {
    /// A place inside one `owner` (16 random bytes that tell databases apart): `column` of `table`.
    pub fn new(owner: &[u8; 16], table: &str, column: &str) -> Self {
        let mut place = Self(b"tdl value".to_vec());
        place.part(owner);
        place.part(table.as_bytes());
        place.part(column.as_bytes());
        place
    }

    /// The same, in the row with this number in its key.
    #[must_use]
    pub fn row(mut self, number: i64) -> Self {
        self.part(&number.to_le_bytes());
        self
    }

    fn part(&mut self, bytes: &[u8]) {
        // With its length in front, so that no two lists of parts look the same.
        self.0.extend_from_slice(&(bytes.len() as u64).to_le_bytes());
        self.0.extend_from_slice(bytes);
    }
}

impl DataKey {
    pub(super) fn random(rng: &mut impl Rng) -> Self {
        let mut key = [0; 32];
        rng.fill_bytes(&mut key);
        Self(key)
    }

    pub(super) fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    pub(super) fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Seals a value for one place.
    pub fn seal(&self, rng: &mut impl Rng, place: &Place, value: &[u8]) -> Vec<u8> {
        let mut sealed = vec![VERSION];
        sealed.extend(encrypt(&self.0, rng, &place.0, value));
        sealed
    }

    /// Opens a value in its place.
    ///
    /// # Errors
    ///
    /// [`SealError::NewerVersion`], and [`SealError::ValueNotAuthentic`] for everything else: a changed value, another place, another key.
    pub fn open(&self, place: &Place, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, SealError> {
        match sealed.split_first() {
            Some((&VERSION, rest)) => decrypt(&self.0, &place.0, rest).ok_or(SealError::ValueNotAuthentic),
            Some((&found, _)) if found > VERSION => Err(SealError::NewerVersion { found, supported: VERSION }),
            _ => Err(SealError::ValueNotAuthentic),
        }
    }
}

/// The nonce, then the ciphertext with its tag.
pub(super) fn encrypt(key: &[u8; 32], rng: &mut impl Rng, associated: &[u8], message: &[u8]) -> Vec<u8> {
    let mut nonce = [0; NONCE_LEN];
    rng.fill_bytes(&mut nonce);
    let sealed = XChaCha20Poly1305::new(key.into())
        .encrypt(&XNonce::from(nonce), Payload { msg: message, aad: associated })
        .expect("only a message of 256 GiB is too long");
    [nonce.as_slice(), &sealed].concat()
}

/// The message, or nothing if it is not authentic.
pub(super) fn decrypt(key: &[u8; 32], associated: &[u8], sealed: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let (nonce, rest) = sealed.split_first_chunk::<NONCE_LEN>()?;
    let payload = Payload { msg: rest, aad: associated };
    XChaCha20Poly1305::new(key.into()).decrypt(&XNonce::from(*nonce), payload).ok().map(Zeroizing::new)
}

#[cfg(test)]
mod tests {
    use rand::{SeedableRng, rngs::StdRng};

    use super::*;

    fn place(owner: u8, table: &str, column: &str, rows: &[i64]) -> Place {
        rows.iter().fold(Place::new(&[owner; 16], table, column), |place, row| place.row(*row))
    }

    /// draft-irtf-cfrg-xchacha-03, appendix A.3.1.
    #[test]
    fn the_published_vector() {
        let key: [u8; 32] = std::array::from_fn(|i| 0x80 + i as u8);
        let nonce: Vec<u8> = (0x40..0x58).collect();
        let associated = hex::decode("50515253c0c1c2c3c4c5c6c7").unwrap();
        let message = b"Ladies and Gentlemen of the class of '99: If I could offer you only one tip for the future, sunscreen would be it.";
        let ciphertext = "bd6d179d3e83d43b9576579493c0e939572a1700252bfaccbed2902c21396cbb731c7f1b0b4aa6440bf3a82f4eda7e39ae64c6708c54c216cb96b72e1213b4522f8c9ba40db5d945b11b69b982c1bb9e3f3fac2bc369488f76b2383565d3fff921f9664c97637da9768812f615c68b13b52e";
        let tag = "c0875924c1c7987947deafd8780acf49";
        let sealed = [nonce, hex::decode(ciphertext).unwrap(), hex::decode(tag).unwrap()].concat();
        assert_eq!(decrypt(&key, &associated, &sealed).unwrap().as_slice(), message);
    }

    #[test]
    fn a_value_opens_in_its_own_place_with_its_own_key_and_unchanged() {
        let mut rng = StdRng::seed_from_u64(1);
        let key = DataKey::random(&mut rng);
        let home = place(1, "dc_auth", "auth_key", &[2, -7]);
        let sealed = key.seal(&mut rng, &home, b"secret");
        assert_eq!(sealed.len(), 6 + OVERHEAD);
        assert_eq!(key.open(&home, &sealed).unwrap().as_slice(), b"secret");
        assert_ne!(sealed, key.seal(&mut rng, &home, b"secret"), "another nonce each time");
        for elsewhere in [
            place(2, "dc_auth", "auth_key", &[2, -7]),
            place(1, "temp_auth", "auth_key", &[2, -7]),
            place(1, "dc_auth", "salts", &[2, -7]),
            place(1, "dc_auth", "auth_key", &[3, -7]),
            place(1, "dc_auth", "auth_key", &[2, 7]),
            place(1, "dc_auth", "auth_key", &[2]),
            place(1, "dc_auth", "auth_key", &[2, -7, 0]),
            place(1, "dc_autha", "uth_key", &[2, -7]),
        ] {
            assert!(matches!(key.open(&elsewhere, &sealed), Err(SealError::ValueNotAuthentic)), "{elsewhere:?}");
        }
        let other = DataKey::random(&mut rng);
        assert!(matches!(other.open(&home, &sealed), Err(SealError::ValueNotAuthentic)));
        for at in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[at] ^= 1 << (at % 8);
            assert!(key.open(&home, &changed).is_err(), "byte {at}");
            assert!(key.open(&home, &sealed[..at]).is_err(), "prefix {at}");
        }
        let mut newer = sealed.clone();
        newer[0] = 2;
        assert!(matches!(key.open(&home, &newer), Err(SealError::NewerVersion { found: 2, supported: 1 })));
    }
}
