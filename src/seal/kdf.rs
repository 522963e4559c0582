//! From a passphrase to keys: Argon2id (RFC 9106).

use argon2::{Algorithm, Argon2, Block, Params, Version};
use zeroize::Zeroizing;

use super::{Passphrase, SealError};

/// Bytes of a salt.
pub(super) const SALT_LEN: usize = 16;

/// Bytes of stored parameters: three numbers.
pub(super) const PARAMS_LEN: usize = 12;

/// What a derivation costs. Stored with what it protects, so that the default can grow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KdfParams {
    /// Memory, in KiB.
    pub memory_kib: u32,
    /// Passes over it.
    pub passes: u32,
    /// Lanes. They are computed one after the other here.
    pub lanes: u32,
}

/// What a file may demand. Whoever gives us a file must not be able to take all memory, or an hour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KdfLimits {
    /// The most memory, in KiB.
    pub memory_kib: u32,
    /// The most work: memory in KiB times passes.
    pub work_kib: u64,
}

impl KdfParams {
    /// 64 MiB and three passes: the second choice of RFC 9106, section 4, on one lane. A fraction of a second.
    pub const DEFAULT: Self = Self { memory_kib: 64 * 1024, passes: 3, lanes: 1 };

    /// The least that Argon2 knows: for tests, whose passphrases protect nothing.
    pub const LEAST: Self = Self { memory_kib: 8, passes: 1, lanes: 1 };

    /// Whether it is a choice that Argon2 has, within the limits.
    pub(super) fn check(self, limits: KdfLimits) -> Result<(), SealError> {
        let Self { memory_kib, passes, lanes } = self;
        let work = u64::from(memory_kib) * u64::from(passes);
        let possible = passes >= 1 && (1..=16).contains(&lanes) && memory_kib >= 8 * lanes;
        if possible && memory_kib <= limits.memory_kib && work <= limits.work_kib {
            Ok(())
        } else {
            Err(SealError::KdfOutOfBounds { memory_kib, passes, lanes })
        }
    }

    pub(super) fn to_bytes(self) -> [u8; PARAMS_LEN] {
        let mut bytes = [0; PARAMS_LEN];
        for (place, number) in bytes.as_chunks_mut::<4>().0.iter_mut().zip([self.memory_kib, self.passes, self.lanes]) {
            *place = number.to_le_bytes();
        }
        bytes
    }

    pub(super) fn from_bytes(bytes: [u8; PARAMS_LEN]) -> Self {
        let [memory_kib, passes, lanes] =
            std::array::from_fn(|at| bytes.as_chunks::<4>().0.get(at).map_or(0, |n| u32::from_le_bytes(*n)));
        Self { memory_kib, passes, lanes }
    }
}

impl Default for KdfParams {
    fn default() -> Self {
        Self::DEFAULT
    }
}

impl Default for KdfLimits {
    /// A gigabyte, and sixteen gigabytes of work: half a minute on a slow machine.
    fn default() -> Self {
        Self { memory_kib: 1024 * 1024, work_kib: 16 * 1024 * 1024 }
    }
}

/// 64 bytes out of a passphrase: as many as two keys need.
pub(super) fn derive(
    passphrase: &Passphrase,
    salt: &[u8; SALT_LEN],
    params: KdfParams,
    limits: KdfLimits,
) -> Result<Zeroizing<[u8; 64]>, SealError> {
    let mut out = Zeroizing::new([0; 64]);
    argon2id(passphrase.as_bytes(), salt, params, limits, out.as_mut_slice())?;
    Ok(out)
}

/// Argon2id (RFC 9106, version 0x13) by itself, for the formats of others that use it: fills `out` from a password and a salt of at least 8 bytes.
///
/// # Errors
///
/// [`SealError::KdfOutOfBounds`] for parameters that Argon2 does not have or that are beyond the limits, before any memory is taken, and for lengths
/// that Argon2 does not have; [`SealError::OutOfMemory`].
pub fn argon2id(password: &[u8], salt: &[u8], params: KdfParams, limits: KdfLimits, out: &mut [u8]) -> Result<(), SealError> {
    params.check(limits)?;
    let KdfParams { memory_kib, passes, lanes } = params;
    let out_of_bounds = || SealError::KdfOutOfBounds { memory_kib, passes, lanes };
    let chosen = Params::new(memory_kib, passes, lanes, Some(out.len())).map_err(|_| out_of_bounds())?;
    let mut memory: Vec<Block> = Vec::new();
    memory.try_reserve_exact(chosen.block_count()).map_err(|_| SealError::OutOfMemory { memory_kib })?;
    memory.resize(chosen.block_count(), Block::default());
    let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, chosen);
    let result = argon2.hash_password_into_with_memory(password, salt, out, &mut memory);
    // Blocks of it are as good as the passphrase for whoever guesses on.
    zeroize::Zeroize::zeroize(&mut memory);
    result.map_err(|_| out_of_bounds())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The vector of RFC 9106, section 5.3, needs a secret and associated data, which we do not use; so this is the reference
    /// implementation's own test ("hashtest(0x13, 2, 16, 1, "password", "somesalt")" of its id variant), through the library's interface.
    #[test]
    fn the_library_computes_the_published_value() {
        let params = Params::new(1 << 16, 2, 1, Some(32)).unwrap();
        let mut out = [0; 32];
        Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
            .hash_password_into(b"password", b"somesalt", &mut out)
            .unwrap();
        assert_eq!(hex::encode(out), "09316115d5cf24ed5a15a31a3ba326e5cf32edc24702987c02b6566f61913cf7");
    }

    #[test]
    fn every_input_counts() {
        let word = |text: &str| Passphrase::new(text.to_owned()).unwrap();
        let limits = KdfLimits::default();
        let base = derive(&word("a"), &[1; 16], KdfParams::LEAST, limits).unwrap();
        assert_eq!(*base, *derive(&word("a"), &[1; 16], KdfParams::LEAST, limits).unwrap());
        for (text, salt, params) in [
            ("b", [1; 16], KdfParams::LEAST),
            ("a", [2; 16], KdfParams::LEAST),
            ("a", [1; 16], KdfParams { memory_kib: 16, ..KdfParams::LEAST }),
            ("a", [1; 16], KdfParams { passes: 2, ..KdfParams::LEAST }),
            ("a", [1; 16], KdfParams { memory_kib: 16, lanes: 2, passes: 1 }),
        ] {
            assert_ne!(*base, *derive(&word(text), &salt, params, limits).unwrap(), "{text} {salt:?} {params:?}");
        }
    }

    #[test]
    fn parameters_out_of_bounds_are_refused_before_any_memory_is_taken() {
        let limits = KdfLimits { memory_kib: 1024, work_kib: 2048 };
        for (memory_kib, passes, lanes) in [
            (1025, 1, 1),
            (1024, 3, 1),
            (7, 1, 1),
            (1024, 0, 1),
            (1024, 1, 0),
            (1024, 1, 17),
            (8, 1, 2),
            (u32::MAX, u32::MAX, 1),
        ] {
            let params = KdfParams { memory_kib, passes, lanes };
            let result = derive(&Passphrase::new("x".to_owned()).unwrap(), &[0; 16], params, limits);
            assert!(matches!(result, Err(SealError::KdfOutOfBounds { .. })), "{params:?}");
        }
        assert!(KdfParams { memory_kib: 1024, passes: 2, lanes: 16 }.check(limits).is_ok());
        assert!(KdfParams::DEFAULT.check(KdfLimits::default()).is_ok());
        let odd = KdfParams { memory_kib: 1, passes: 0x0203, lanes: u32::MAX };
        assert_eq!(KdfParams::from_bytes(odd.to_bytes()), odd);
    }
}
