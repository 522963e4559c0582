//! A data key, wrapped under a passphrase.
//!
//! ```text
//! version  1    owner   16    memory, passes, lanes  4 each    salt 16    nonce and wrapped data key  24 + 32 + 16    checksum 8
//! ```
//!
//! The checksum is the beginning of SHA-256 over all before it. It tells damage from a wrong passphrase.

use rand::Rng;
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use super::{
    DataKey, KdfLimits, KdfParams, Passphrase, SealError,
    kdf::{PARAMS_LEN, SALT_LEN, derive},
    value::{NONCE_LEN, TAG_LEN, decrypt, encrypt},
};

const VERSION: u8 = 1;
const WRAPPED_LEN: usize = NONCE_LEN + 32 + TAG_LEN;
const CHECK_LEN: usize = 8;
const HEAD_LEN: usize = 1 + 16 + PARAMS_LEN + SALT_LEN;

/// Bytes of a stored lock.
pub const LOCK_LEN: usize = HEAD_LEN + WRAPPED_LEN + CHECK_LEN;

/// What is stored of a data key: enough for whoever has the passphrase.
#[derive(Clone, PartialEq, Eq)]
pub struct Lock {
    owner: [u8; 16],
    params: KdfParams,
    salt: [u8; SALT_LEN],
    wrapped: [u8; WRAPPED_LEN],
}

impl Lock {
    /// A fresh data key under a passphrase, for a new owner.
    ///
    /// # Errors
    ///
    /// [`SealError::KdfOutOfBounds`] or [`SealError::OutOfMemory`] for the parameters.
    pub fn make(rng: &mut impl Rng, passphrase: &Passphrase, params: KdfParams) -> Result<(Self, DataKey), SealError> {
        let mut owner = [0; 16];
        rng.fill_bytes(&mut owner);
        let key = DataKey::random(rng);
        Ok((Self::wrap(rng, owner, &key, passphrase, params)?, key))
    }

    /// The same data key and owner under another passphrase, with a salt of its own.
    ///
    /// # Errors
    ///
    /// As [`Self::make`].
    pub fn rewrap(
        &self,
        rng: &mut impl Rng,
        key: &DataKey,
        passphrase: &Passphrase,
        params: KdfParams,
    ) -> Result<Self, SealError> {
        Self::wrap(rng, self.owner, key, passphrase, params)
    }

    fn wrap(
        rng: &mut impl Rng,
        owner: [u8; 16],
        key: &DataKey,
        passphrase: &Passphrase,
        params: KdfParams,
    ) -> Result<Self, SealError> {
        let mut salt = [0; SALT_LEN];
        rng.fill_bytes(&mut salt);
        let mut lock = Self { owner, params, salt, wrapped: [0; WRAPPED_LEN] };
        let wrapping = lock.wrapping_key(passphrase, KdfLimits::default())?;
        let wrapped = encrypt(&wrapping, rng, &lock.head(), key.as_bytes());
        lock.wrapped.copy_from_slice(&wrapped);
        Ok(lock)
    }

    /// The data key.
    ///
    /// # Errors
    ///
    /// [`SealError::WrongPassphrase`]; [`SealError::KdfOutOfBounds`] or [`SealError::OutOfMemory`] where the parameters demand too much.
    pub fn open(&self, passphrase: &Passphrase, limits: KdfLimits) -> Result<DataKey, SealError> {
        let wrapping = self.wrapping_key(passphrase, limits)?;
        let key = decrypt(&wrapping, &self.head(), &self.wrapped).ok_or(SealError::WrongPassphrase)?;
        let key: &[u8; 32] = key.as_slice().try_into().map_err(|_| SealError::HeadDamaged)?;
        Ok(DataKey::from_bytes(*key))
    }

    /// What tells this database from others: 16 random bytes, for [`Place`](super::Place).
    pub fn owner(&self) -> &[u8; 16] {
        &self.owner
    }

    /// What opening it costs.
    pub fn params(&self) -> KdfParams {
        self.params
    }

    fn wrapping_key(&self, passphrase: &Passphrase, limits: KdfLimits) -> Result<Zeroizing<[u8; 32]>, SealError> {
        let derived = derive(passphrase, &self.salt, self.params, limits)?;
        let mut key = Zeroizing::new([0; 32]);
        key.copy_from_slice(&derived[..32]);
        Ok(key)
    }

    /// All but the wrapped key: it is authenticated with it.
    fn head(&self) -> Vec<u8> {
        [&[VERSION][..], &self.owner, &self.params.to_bytes(), &self.salt].concat()
    }

    /// Its stored form.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = [self.head().as_slice(), &self.wrapped].concat();
        let check = Sha256::digest(&bytes);
        bytes.extend_from_slice(&check[..CHECK_LEN]);
        bytes
    }

    /// Reads the stored form.
    ///
    /// # Errors
    ///
    /// [`SealError::HeadDamaged`], [`SealError::NewerVersion`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, SealError> {
        let (body, check) = bytes.split_last_chunk::<CHECK_LEN>().ok_or(SealError::HeadDamaged)?;
        if Sha256::digest(body)[..CHECK_LEN] != *check {
            return Err(SealError::HeadDamaged);
        }
        let (version, rest) = body.split_first().ok_or(SealError::HeadDamaged)?;
        if *version != VERSION {
            return Err(SealError::NewerVersion { found: *version, supported: VERSION });
        }
        let read = || {
            let (owner, rest) = rest.split_first_chunk()?;
            let (params, rest) = rest.split_first_chunk()?;
            let (salt, rest) = rest.split_first_chunk()?;
            let wrapped = rest.try_into().ok()?;
            Some(Self { owner: *owner, params: KdfParams::from_bytes(*params), salt: *salt, wrapped })
        };
        read().ok_or(SealError::HeadDamaged)
    }
}

impl std::fmt::Debug for Lock {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Lock").field("params", &self.params).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use rand::{SeedableRng, rngs::StdRng};

    use super::*;

    fn word(text: &str) -> Passphrase {
        Passphrase::new(text.to_owned()).unwrap()
    }

    #[test]
    fn the_passphrase_can_be_changed_and_the_key_stays() {
        let mut rng = StdRng::seed_from_u64(2);
        let (lock, key) = Lock::make(&mut rng, &word("one"), KdfParams::LEAST).unwrap();
        let stored = Lock::from_bytes(&lock.to_bytes()).unwrap();
        assert_eq!(stored, lock);
        assert_eq!(lock.to_bytes().len(), LOCK_LEN);
        assert_eq!(stored.open(&word("one"), KdfLimits::default()).unwrap().as_bytes(), key.as_bytes());
        assert!(matches!(stored.open(&word("two"), KdfLimits::default()), Err(SealError::WrongPassphrase)));
        let changed = lock.rewrap(&mut rng, &key, &word("two"), KdfParams { passes: 2, ..KdfParams::LEAST }).unwrap();
        assert_eq!((changed.owner(), changed.params().passes), (lock.owner(), 2));
        assert_ne!((changed.salt, changed.wrapped), (lock.salt, lock.wrapped));
        assert_eq!(changed.open(&word("two"), KdfLimits::default()).unwrap().as_bytes(), key.as_bytes());
        assert!(matches!(changed.open(&word("one"), KdfLimits::default()), Err(SealError::WrongPassphrase)));
    }

    #[test]
    fn damage_is_told_from_a_wrong_passphrase() {
        let mut rng = StdRng::seed_from_u64(3);
        let (lock, _) = Lock::make(&mut rng, &word("one"), KdfParams::LEAST).unwrap();
        let bytes = lock.to_bytes();
        for at in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[at] ^= 1 << (at % 8);
            assert!(matches!(Lock::from_bytes(&changed), Err(SealError::HeadDamaged)), "byte {at}");
            assert!(matches!(Lock::from_bytes(&bytes[..at]), Err(SealError::HeadDamaged)), "prefix {at}");
        }
        let resum = |mut body: Vec<u8>| {
            let check = Sha256::digest(&body);
            body.extend_from_slice(&check[..CHECK_LEN]);
            body
        };
        let body = &bytes[..LOCK_LEN - CHECK_LEN];
        assert!(matches!(Lock::from_bytes(&resum([body, &[0]].concat())), Err(SealError::HeadDamaged)));
        let mut newer = body.to_vec();
        newer[0] = 9;
        assert!(matches!(Lock::from_bytes(&resum(newer)), Err(SealError::NewerVersion { found: 9, supported: 1 })));
        // Changed on purpose, with a checksum that fits: nothing of it is believed.
        for at in 1..body.len() {
            let mut forged = body.to_vec();
            forged[at] ^= 0x10;
            let lock = Lock::from_bytes(&resum(forged)).unwrap();
            let limits = KdfLimits { memory_kib: 64, work_kib: 256 };
            let opened = lock.open(&word("one"), limits);
            assert!(
                matches!(opened, Err(SealError::WrongPassphrase | SealError::KdfOutOfBounds { .. })),
                "byte {at}: {:?}",
                opened.err()
            );
        }
    }
}
