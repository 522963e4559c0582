//! Every way that this processor has, beside the portable one and beside the formulas.

use rand::rngs::StdRng;
use rand::{Rng, RngExt, SeedableRng};

use super::*;

/// One message in memory of its own, which begins anywhere.
#[derive(Clone)]
struct Sample {
    key: [u8; 32],
    iv: [u8; 32],
    prefix: [u8; 32],
    memory: Vec<u8>,
    shift: usize,
}

impl Sample {
    fn random(rng: &mut StdRng, blocks: usize) -> Self {
        let shift = rng.random_range(0..64);
        let mut sample =
            Self { key: [0; 32], iv: [0; 32], prefix: [0; 32], memory: vec![0; shift + BLOCK * blocks + 32], shift };
        for bytes in [&mut sample.key[..], &mut sample.iv, &mut sample.prefix, &mut sample.memory] {
            rng.fill_bytes(bytes);
        }
        sample
    }

    fn split(&mut self) -> (&[u8; 32], &[u8; 32], &[u8; 32], &mut [Block]) {
        let end = self.memory.len() - 32;
        (&self.key, &self.iv, &self.prefix, self.memory[self.shift..end].as_chunks_mut().0)
    }

    fn cipher(&mut self) -> Cipher<'_> {
        let (key, iv, _, data) = self.split();
        Cipher { key, iv, data }
    }

    fn digest(&mut self) -> Digest<'_> {
        let (_, _, prefix, data) = self.split();
        Digest { prefix, data, digest: [0; 32] }
    }

    fn received(&mut self) -> Received<'_> {
        let (key, iv, prefix, data) = self.split();
        Received { cipher: Cipher { key, iv, data }, prefix, digest: [0; 32] }
    }
}

/// The four functions, one way or another.
struct Ways {
    name: &'static str,
    encrypt: fn(&mut [Cipher<'_>]),
    decrypt: fn(&mut [Cipher<'_>]),
    hash: fn(&mut [Digest<'_>]),
    receive: fn(&mut [Received<'_>]),
}

/// What the caller gets, and each way of this processor by name.
fn ways() -> Vec<Ways> {
    let mut ways = vec![Ways { name: "chosen", encrypt, decrypt, hash, receive }];
    #[cfg(target_arch = "x86_64")]
    {
        /// The `AT`-th way, as functions without a receiver.
        fn way<const AT: usize>() -> Option<Ways> {
            let name = x86::Way::all().get(AT)?.name();
            Some(Ways {
                name,
                encrypt: |messages| x86::Way::all()[AT].encrypt(messages),
                decrypt: |messages| x86::Way::all()[AT].decrypt(messages),
                hash: |messages| x86::Way::all()[AT].hash(messages),
                receive: |messages| x86::Way::all()[AT].receive(messages),
            })
        }
        ways.extend([way::<0>(), way::<1>(), way::<2>(), way::<3>()].into_iter().flatten());
    }
    ways
}

/// All four on one batch, each compared with the portable one, byte for byte, with what is around the data.
fn compare(ways: &Ways, batch: &[Sample], what: &str) {
    let what = format!("{}: {what}", ways.name);

    let (mut ours, mut twins) = (batch.to_vec(), batch.to_vec());
    (ways.encrypt)(&mut ours.iter_mut().map(Sample::cipher).collect::<Vec<_>>());
    twins.iter_mut().for_each(|twin| portable::encrypt(&mut twin.cipher()));
    assert!(ours.iter().zip(&twins).all(|(a, b)| a.memory == b.memory), "encrypt, {what}");
    (ways.decrypt)(&mut ours.iter_mut().map(Sample::cipher).collect::<Vec<_>>());
    assert!(ours.iter().zip(batch).all(|(a, b)| a.memory == b.memory), "there and back, {what}");

    let (mut ours, mut twins) = (batch.to_vec(), batch.to_vec());
    (ways.decrypt)(&mut ours.iter_mut().map(Sample::cipher).collect::<Vec<_>>());
    twins.iter_mut().for_each(|twin| portable::decrypt(&mut twin.cipher()));
    assert!(ours.iter().zip(&twins).all(|(a, b)| a.memory == b.memory), "decrypt, {what}");

    let (mut ours, mut twins) = (batch.to_vec(), batch.to_vec());
    let mut hashed: Vec<_> = ours.iter_mut().map(Sample::digest).collect();
    (ways.hash)(&mut hashed);
    for (ours, twin) in hashed.iter().zip(&mut twins) {
        let mut twin = twin.digest();
        portable::hash(&mut twin);
        assert_eq!(ours.digest, twin.digest, "hash, {what}");
    }

    let (mut ours, mut twins) = (batch.to_vec(), batch.to_vec());
    let mut received: Vec<_> = ours.iter_mut().map(Sample::received).collect();
    (ways.receive)(&mut received);
    let digests: Vec<_> = received.iter().map(|received| received.digest).collect();
    for ((ours, digest), twin) in ours.iter().zip(digests).zip(&mut twins) {
        let mut received = twin.received();
        portable::receive(&mut received);
        assert_eq!(digest, received.digest, "digest of what was received, {what}");
        assert!(ours.memory == twin.memory, "what was received, {what}");
    }
}

/// Every length from none to more than the kernels do at once.
#[test]
fn one_message_of_every_length() {
    let mut rng = StdRng::from_seed([1; 32]);
    for ways in ways() {
        for blocks in (0..80).chain([1023, 1024, 1025, 4099]) {
            compare(&ways, &[Sample::random(&mut rng, blocks)], &format!("seed 1, {blocks} blocks"));
        }
    }
}

/// Every number of messages, all of the same length.
#[test]
fn messages_of_one_length() {
    let mut rng = StdRng::from_seed([2; 32]);
    for ways in ways() {
        for count in 0..=19 {
            for blocks in [0, 1, 2, 3, 5, 6, 7, 10, 41, 256, 1030] {
                let batch: Vec<_> = (0..count).map(|_| Sample::random(&mut rng, blocks)).collect();
                compare(&ways, &batch, &format!("seed 2, {count} messages of {blocks} blocks"));
            }
        }
    }
}

/// Any number of messages, each of another length, long ones among short ones.
#[test]
fn messages_of_all_lengths() {
    for seed in 0..150 {
        let mut rng = StdRng::from_seed([seed; 32]);
        let count = rng.random_range(1..=36);
        let most = *[4, 12, 70, 600].get(usize::from(seed) % 4).expect("four of them");
        let batch: Vec<_> = (0..count)
            .map(|_| {
                let blocks = rng.random_range(0..=most);
                Sample::random(&mut rng, blocks)
            })
            .collect();
        for ways in ways() {
            compare(&ways, &batch, &format!("messages of all lengths, seed {seed}"));
        }
    }
}

/// The formulas of IGE, block by block, and the hash of a concatenation, as a reader would check them.
#[test]
fn the_portable_way_is_the_formulas() {
    use aes::cipher::array::Array;
    use aes::cipher::{BlockCipherEncrypt as _, KeyInit as _};
    use sha2::Digest as _;

    let mut rng = StdRng::from_seed([3; 32]);
    for blocks in [0, 1, 2, 3, 17, 64] {
        let mut sample = Sample::random(&mut rng, blocks);
        let aes = aes::Aes256Enc::new(&Array(sample.key));
        let plain = sample.split().3.to_vec();
        let mut expected = Vec::new();
        let (mut cipher, mut before) = (sample.iv[..16].to_vec(), sample.iv[16..].to_vec());
        for block in &plain {
            let input: Vec<u8> = block.iter().zip(&cipher).map(|(a, b)| a ^ b).collect();
            let mut state = Array(<[u8; 16]>::try_from(input).expect("a block"));
            aes.encrypt_block(&mut state);
            cipher = state.iter().zip(&before).map(|(a, b)| a ^ b).collect();
            before = block.to_vec();
            expected.extend_from_slice(&cipher);
        }
        portable::encrypt(&mut sample.cipher());
        assert_eq!(sample.split().3.as_flattened(), expected);
        let mut received = sample.received();
        portable::receive(&mut received);
        let digest: [u8; 32] = sha2::Sha256::digest([&received.prefix[..], plain.as_flattened()].concat()).into();
        assert_eq!(received.digest, digest);
        assert_eq!(sample.split().3, plain);
    }
}

/// A wrong lane would be seen by nobody who compares only what is random: known answers, through every way. The first is the AES-256 vector
/// of FIPS 197 (appendix C.3), as the first block under a vector of zeros; the other is SHA-256 of 32 zero bytes.
#[test]
fn published_answers() {
    for ways in ways() {
        let mut key = [0; 32];
        hex::decode_to_slice("000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f", &mut key)
            .expect("hexadecimal");
        let mut data = [[0; BLOCK]];
        hex::decode_to_slice("00112233445566778899aabbccddeeff", &mut data[0]).expect("hexadecimal");
        (ways.encrypt)(&mut [Cipher { key: &key, iv: &[0; 32], data: &mut data }]);
        assert_eq!(hex::encode(data[0]), "8ea2b7ca516745bfeafc49904b496089", "{}", ways.name);
        let mut empty = [Digest { prefix: &[0; 32], data: &[], digest: [0; 32] }];
        (ways.hash)(&mut empty);
        let expected = "66687aadf862bd776c8fc18b8e9f8e20089714856ee233b3902a591d0d5f2925";
        assert_eq!(hex::encode(empty[0].digest), expected, "{}", ways.name);
    }
}

/// Pieces of all lengths, and counters that start anew among them: the whole, its lower half, or neither.
#[test]
fn streams_are_the_portable_one() {
    for seed in 0..60 {
        let mut rng = StdRng::from_seed([seed; 32]);
        let (mut key, mut iv) = ([0; 32], [0; BLOCK]);
        rng.fill_bytes(&mut key);
        rng.fill_bytes(&mut iv);
        let near = u128::from(rng.random_range(0..200_u64));
        match seed % 3 {
            0 => iv = 0_u128.wrapping_sub(near).to_be_bytes(),
            1 => iv[8..].copy_from_slice(&0_u64.wrapping_sub(near as u64).to_be_bytes()),
            _ => {}
        }
        let most = *[17, 300, 5000].get(usize::from(seed / 3) % 3).expect("three of them");
        let pieces: Vec<Vec<u8>> = (0..20)
            .map(|_| {
                let mut piece = vec![0; rng.random_range(0..=most)];
                rng.fill_bytes(&mut piece);
                piece
            })
            .collect();
        let (mut chosen, mut portable) = (Ctr::new(&key, &iv), ctr::Portable::new(&key, &iv));
        for piece in &pieces {
            let (mut ours, mut twin) = (piece.clone(), piece.clone());
            chosen.apply(&mut ours);
            portable.apply(&mut twin);
            assert!(ours == twin, "seed {seed}, a piece of {} bytes", piece.len());
        }
    }
}

/// The counter, or its lower half, starts anew in the middle of what is done at once, at its beginning, and at its end.
#[test]
fn streams_go_on_where_the_counter_starts_anew() {
    let key = [7; 32];
    for start in [0_u128, 5 << 64] {
        for before in [1, 2, 15, 16, 17, 20, 32, 48, 63, 64] {
            let iv = start.wrapping_sub(before).to_be_bytes();
            let mut twin = vec![0; 64 * BLOCK];
            ctr::Portable::new(&key, &iv).apply(&mut twin);
            let mut ours = vec![0; 64 * BLOCK];
            Ctr::new(&key, &iv).apply(&mut ours);
            assert!(ours == twin, "{before} blocks before {start:x}");
        }
    }
}

/// NIST SP 800-38A, F.5.5: CTR-AES256. Four blocks, and the same as the beginning of so many that all registers are filled.
#[test]
fn published_streams() {
    let bytes = |hexadecimal: &str| hex::decode(hexadecimal).expect("hexadecimal");
    let key = bytes("603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4").try_into().expect("a key");
    let iv = bytes("f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff").try_into().expect("a block");
    let plain = "6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e51\
                 30c81c46a35ce411e5fbc1191a0a52eff69f2445df4f9b17ad2b417be66c3710";
    let cipher = "601ec313775789a5b7a7f504bbf3d228f443e3ca4d62b59aca84e990cacaf5c5\
                  2b0930daa23de94ce87017ba2d84988ddfc9c58db67aada613c2dd08457941a6";
    for len in [4 * BLOCK, 32 * BLOCK] {
        let mut data = bytes(plain);
        data.resize(len, 0);
        let mut twin = data.clone();
        Ctr::new(&key, &iv).apply(&mut data);
        ctr::Portable::new(&key, &iv).apply(&mut twin);
        assert_eq!((&data[..4 * BLOCK], &twin), (&bytes(cipher)[..], &data), "{len} bytes");
    }
}

#[test]
fn the_way_has_a_name() {
    assert!(!way().is_empty());
}
