use aes::Aes256Enc;
use aes::cipher::array::Array;
use aes::cipher::{BlockCipherEncrypt, KeyInit};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::super::testing::{counting, unhex_array};
use super::*;

/// mtcute's `wasm/tests/ige.test.ts`: the second OpenSSL vector with its key twice.
#[test]
fn mtcute_ige() {
    let key = unhex_array("5468697320697320616e20696d706c655468697320697320616e20696d706c65");
    let iv = unhex_array("6d656e746174696f6e206f6620494745206d6f646520666f72204f70656e5353");
    let mut data: [u8; 32] = unhex_array("99706487a1cde613bc6de0b6f24b1c7aa448c8b9c3403e3467a8cad89340f53b");
    ige_encrypt(&key, &iv, &mut data).unwrap();
    assert_eq!(hex::encode(data), "792ea8ae577b1a66cb3bd92679b8030ca54ee631976bd3a04547fdcb4639fa69");
}

/// grammers' `grammers-crypto`: key, vector and data are 00 01 … 1f.
#[test]
fn grammers_ige() {
    let all: [u8; 32] = counting();
    let (mut encrypted, mut decrypted) = (all, all);
    ige_encrypt(&all, &all, &mut encrypted).unwrap();
    assert_eq!(hex::encode(encrypted), "e28112a53e5c89c7b1ea8071c133699fd4e86b26c4bac9fc5af1ab8ce27a44a4");
    ige_decrypt(&all, &all, &mut decrypted).unwrap();
    assert_eq!(hex::encode(decrypted), "e5777afacd7b2c16f7ac40cae61ef603fee6098fb8a8860ab9ee672cd7e5bacc");
}

/// The generator of TDLib's `tdutils/test/crypto.cpp`, which reads data, key and vector out of it in this order.
struct Lcg(u32);

impl Lcg {
    fn bytes(&mut self, len: usize) -> Vec<u8> {
        let mut next = || {
            self.0 = self.0.wrapping_mul(123_457_567).wrapping_add(987_651_241);
            (self.0 >> 23) as u8
        };
        (0..len).map(|_| next()).collect()
    }
}

/// TDLib's `AesIgeState`: CRC-32 of the ciphertext.
#[test]
fn tdlib_ige() {
    for (len, answer) in
        [(16, 2_045_698_207), (32, 2_423_540_300), (256, 525_522_475), (1024, 1_545_267_325), (65536, 724_143_417)]
    {
        let mut lcg = Lcg(len as u32);
        let plain = lcg.bytes(len);
        let (key, iv) = (lcg.bytes(32).try_into().unwrap(), lcg.bytes(32).try_into().unwrap());
        let mut data = plain.clone();
        ige_encrypt(&key, &iv, &mut data).unwrap();
        assert_eq!(crc32fast::hash(&data), answer, "{len}");
        ige_decrypt(&key, &iv, &mut data).unwrap();
        assert_eq!(data, plain);
    }
}

/// TDLib's `AesCtrState`: CRC-32 of the ciphertext, for a random and for a full counter.
#[test]
fn tdlib_ctr() {
    for (len, answer, answer_of_full_counter) in [
        (1, 1_141_589_763, 2_053_451_992),
        (31, 596_296_607, 1_384_063_362),
        (32, 3_673_001_485, 3_266_188_502),
        (33, 2_302_125_528, 2_893_295_118),
        (9999, 330_967_191, 780_356_167),
        (10000, 2_047_392_231, 1_904_947_434),
        (10001, 3_537_459_563, 2_043_402_406),
        (999_999, 307_747_798, 472_080_809),
        (1_000_001, 2_149_598_133, 1_807_109_488),
    ] {
        let mut lcg = Lcg(len as u32);
        let plain = lcg.bytes(len);
        let (key, iv) = (lcg.bytes(32).try_into().unwrap(), lcg.bytes(16).try_into().unwrap());
        for (iv, answer) in [(iv, answer), ([0xff; 16], answer_of_full_counter)] {
            let mut data = plain.clone();
            // In two pieces that are not blocks.
            let mut ctr = Ctr::new(&key, &iv);
            let (first, second) = data.split_at_mut(len / 3);
            ctr.apply(first);
            ctr.apply(second);
            assert_eq!(crc32fast::hash(&data), answer, "{len}");
            Ctr::new(&key, &iv).apply(&mut data);
            assert_eq!(data, plain);
        }
    }
}

/// The formula of IGE, block by block, written as a reader would check it.
fn reference_encrypt(key: &[u8; 32], iv: &[u8; 32], data: &[u8]) -> Vec<u8> {
    let aes = Aes256Enc::new(&Array(*key));
    let mut out = Vec::new();
    let (mut cipher, mut plain) = (iv[..16].to_vec(), iv[16..].to_vec());
    for block in data.chunks(16) {
        let input: Vec<u8> = block.iter().zip(&cipher).map(|(a, b)| a ^ b).collect();
        let mut state = Array(<[u8; 16]>::try_from(input).unwrap());
        aes.encrypt_block(&mut state);
        cipher = state.iter().zip(&plain).map(|(a, b)| a ^ b).collect();
        plain = block.to_vec();
        out.extend_from_slice(&cipher);
    }
    out
}

#[test]
fn random_data_goes_there_and_back() {
    let mut rng = StdRng::from_seed([1; 32]);
    for blocks in (0..70).chain([1000]) {
        let (mut key, mut iv, mut data) = ([0; 32], [0; 32], vec![0; blocks * BLOCK]);
        rng.fill_bytes(&mut key);
        rng.fill_bytes(&mut iv);
        rng.fill_bytes(&mut data);
        let plain = data.clone();
        ige_encrypt(&key, &iv, &mut data).unwrap();
        assert_eq!(data, reference_encrypt(&key, &iv, &plain));
        ige_decrypt(&key, &iv, &mut data).unwrap();
        assert_eq!(data, plain);
    }
}

#[test]
fn partial_blocks_are_refused_and_left_alone() {
    for len in [1, 15, 17, 31, 33] {
        let mut data = vec![7; len];
        assert_eq!(ige_encrypt(&[0; 32], &[0; 32], &mut data), Err(NotBlockAligned { len }));
        assert_eq!(ige_decrypt(&[0; 32], &[0; 32], &mut data), Err(NotBlockAligned { len }));
        assert_eq!(data, vec![7; len]);
    }
    assert_eq!(ige_encrypt(&[0; 32], &[0; 32], &mut []), Ok(()));
}

#[test]
fn debug_shows_no_state() {
    assert_eq!(format!("{:?}", Ctr::new(&[0xa7; 32], &[0xa7; 16])), "Ctr(..)");
}
