//! What the tests of this floor share: published vectors, and random sources that say what they are told.

use std::convert::Infallible;

use rand::TryRng;

/// Telegram's production key, as its clients embed it.
pub(super) const PRODUCTION_PEM: &str = "-----BEGIN RSA PUBLIC KEY-----
MIIBCgKCAQEA6LszBcC1LGzyr992NzE0ieY+BSaOW622Aa9Bd4ZHLl+TuFQ4lo4g
5nKaMBwK/BIb9xUfg0Q29/2mgIR6Zr9krM7HjuIcCzFvDtr+L0GQjae9H0pRB2OO
62cECs5HKhT5DZ98K33vmWiLowc621dQuwKWSQKjWf50XYFw42h21P2KXUGyp2y/
+aEyZ+uVgLLQbRA1dEjSDZ2iGRy12Mk5gpYc397aYp438fsJoHIgJ2lgMv5h7WY9
t6N/byY9Nw9p21Og3AoXSL2q/2IJ1WRUhebgAdGVMlV1fkuOQoEzR7EdpqtQD9Cs
5+bfo3Nhmcyvk5ftB0WkJ9z6bNZ7yxrP8wIDAQAB
-----END RSA PUBLIC KEY-----
";

/// Telegram's key for the test data centres.
pub(super) const TEST_PEM: &str = "-----BEGIN RSA PUBLIC KEY-----
MIIBCgKCAQEAyMEdY1aR+sCR3ZSJrtztKTKqigvO/vBfqACJLZtS7QMgCGXJ6XIR
yy7mx66W0/sOFa7/1mAZtEoIokDP3ShoqF4fVNb6XeqgQfaUHd8wJpDWHcR2OFwv
plUUI1PLTktZ9uW2WE23b+ixNwJjJGwBDJPQEQFBE+vfmH0JP503wr5INS1poWg/
j25sIWeYPHYeOrFp/eXaqhISP6G+q2IeTaWTXpwZj4LzXq5YOpk4bYEQ6mvRq7D1
aHWfYmlEGepfaYR8Q0YqvvhYtMte3ITnuSJs171+GDqpdKcSwHnd6FudwGO4pcCO
j4WcDuXc2CTHgH8gFTNhp/Y8/SpDOhvn9QIDAQAB
-----END RSA PUBLIC KEY-----
";

/// One version of the page "Creating an Authorization Key (Samples)".
pub(super) struct Sample {
    pub(super) name: String,
    values: Vec<(String, Vec<u8>)>,
}

impl Sample {
    pub(super) fn find(&self, name: &str) -> Option<Vec<u8>> {
        self.values.iter().find(|(key, _)| key == name).map(|(_, value)| value.clone())
    }

    pub(super) fn bytes(&self, name: &str) -> Vec<u8> {
        self.find(name).unwrap_or_else(|| panic!("sample {} has no {name}", self.name))
    }

    pub(super) fn array<const N: usize>(&self, name: &str) -> [u8; N] {
        self.bytes(name).try_into().unwrap()
    }

    /// A number of at most 64 bits, big-endian.
    pub(super) fn number(&self, name: &str) -> u64 {
        self.bytes(name).iter().fold(0, |number, &byte| number << 8 | u64::from(byte))
    }
}

/// The samples, newest layout of the page first.
pub(super) fn samples() -> Vec<Sample> {
    let mut out: Vec<Sample> = Vec::new();
    for line in include_str!("../../../tests/vectors/samples-auth_key.txt").lines() {
        if let Some(name) = line.strip_prefix('[') {
            out.push(Sample { name: name.trim_end_matches(']').into(), values: Vec::new() });
        } else if let Some((key, value)) = line.split_once(" = ").filter(|_| !line.starts_with('#')) {
            out.last_mut().unwrap().values.push((key.into(), unhex(value)));
        }
    }
    assert_eq!(out.len(), 3);
    out
}

pub(super) fn sample(name: &str) -> Sample {
    samples().into_iter().find(|sample| sample.name == name).unwrap()
}

pub(super) fn unhex(text: &str) -> Vec<u8> {
    hex::decode(text.split_whitespace().collect::<String>()).unwrap()
}

pub(super) fn unhex_array<const N: usize>(text: &str) -> [u8; N] {
    unhex(text).try_into().unwrap()
}

/// The bytes 00 01 02 …, with which several projects test.
pub(super) fn counting<const N: usize>() -> [u8; N] {
    std::array::from_fn(|at| at as u8)
}

/// A random source that repeats what it is given, byte by byte, and then one byte for ever.
pub(super) struct Script {
    pub(super) bytes: Vec<u8>,
    pub(super) at: usize,
    pub(super) then: u8,
}

impl Script {
    pub(super) fn new(bytes: Vec<u8>) -> Self {
        Self { bytes, at: 0, then: 0 }
    }

    pub(super) fn constant(then: u8) -> Self {
        Self { bytes: Vec::new(), at: 0, then }
    }
}

impl TryRng for Script {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        let mut bytes = [0; 4];
        self.try_fill_bytes(&mut bytes)?;
        Ok(u32::from_le_bytes(bytes))
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        let mut bytes = [0; 8];
        self.try_fill_bytes(&mut bytes)?;
        Ok(u64::from_le_bytes(bytes))
    }

    fn try_fill_bytes(&mut self, out: &mut [u8]) -> Result<(), Infallible> {
        for byte in out {
            *byte = self.bytes.get(self.at).copied().unwrap_or(self.then);
            self.at += 1;
        }
        Ok(())
    }
}

/// The 2048-bit safe prime of RFC 3526 (group 14): 2^2048 - 2^1984 - 1 + 2^64 · (⌊2^1918 π⌋ + 124476). Not the one we know.
pub(super) fn rfc3526_prime() -> [u8; 256] {
    unhex_array(
        "ffffffffffffffffc90fdaa22168c234c4c6628b80dc1cd129024e088a67cc74020bbea63b139b22514a08798e3404dd
         ef9519b3cd3a431b302b0a6df25f14374fe1356d6d51c245e485b576625e7ec6f44c42e9a637ed6b0bff5cb6f406b7ed
         ee386bfb5a899fa5ae9f24117c4b1fe649286651ece45b3dc2007cb8a163bf0598da48361c55d39a69163fa8fd24cf5f
         83655d23dca3ad961c62f356208552bb9ed529077096966d670c354e4abc9804f1746c08ca18217c32905e462e36ce3b
         e39e772c180e86039b2783a2ec07a28fb5c55df06f4c52c9de2bcbf6955817183995497cea956ae515d2261898fa0510
         15728e5a8aacaa68ffffffffffffffff",
    )
}
