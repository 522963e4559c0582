use rand::SeedableRng;
use rand::rngs::StdRng;

use super::super::testing::{PRODUCTION_PEM, Script, TEST_PEM, unhex, unhex_array};
use super::*;

fn key_pair() -> PrivateKey {
    PrivateKey::generate(&mut StdRng::from_seed([9; 32]))
}

#[test]
fn fingerprints_of_telegrams_keys() {
    for (pem, fingerprint) in [
        (PRODUCTION_PEM, -3_414_540_481_677_951_611),
        (TEST_PEM, -5_595_554_452_916_591_101),
        (TDLIB_PEM, -7_596_991_558_377_038_078),
    ] {
        let key = PublicKey::from_pem(pem).unwrap();
        assert_eq!(key.fingerprint(), fingerprint);
        assert_eq!(key.to_pem(), pem, "writing gives the same file");
        assert_eq!(PublicKey::from_numbers(&key.modulus(), &[1, 0, 1]).unwrap(), key);
    }
    let wire = PublicKey::from_pem(PRODUCTION_PEM).unwrap().fingerprint().to_le_bytes();
    assert_eq!(hex::encode(wire), "85fd64de851d9dd0");
}

/// gotd's `crypto/rsa_pad_test.go`: the production key, all randomness zero.
/// Row: A.2 "RSA_PAD"
#[test]
fn rsa_pad_of_gotd() {
    let key = PublicKey::from_pem(PRODUCTION_PEM).unwrap();
    let encrypted = key.encrypt_pad(&[b'a'; 144], &mut Script::constant(0)).unwrap();
    assert_eq!(
        encrypted.to_vec(),
        unhex(
            "bf68719e836806b040cd261ecaf66eb3c4ba19f3bbea3031b2e6cf29167bab647201d101b291dc5b716a42e789a38d94
             7fe59e9bcce8f30ef46a946743ea8b6babbce7fc0afc46b802aa453e83471d82a4dfad83f971f350b4b4fb474cd1c48f
             df427e4b5fecce9ec3178ae7dac3985856fdefa21d6fdc5e0e0fd8a57bc4f51580d637d372be8d87c9aa3fde8e6f8287
             bcb3be846aadcdd59465375479e248f62ed438f9804fbe36d41ca906243a5f740f3937949aa149ba8a8b8e68b3f3e1e3
             cd3f946387520e21eee55845e1f015a919a22f6a72bfaecd2cae946c91983b41f9ffabe97963bbde8f30eaf5fd3c5b8c
             ecab8711bd269e441b6084f385726ff0"
        )
    );
}

/// grammers' `rsa.rs`: the first temporary key gives a number above the modulus, the one after it does not.
#[test]
fn rsa_pad_of_grammers_with_a_retry() {
    let key = PublicKey::from_pem(TEST_PEM).unwrap();
    let data = unhex(
        "955ff5a9081a8e635f5743de9b00000004453dc27100000004622f1fcb000000f7a81627bbf511fa4afef71e94a09374
         74586c1add9198dda81a5df8393871c8293623c5fb968894af1be7dfe9c7be813f9307789242fd0cb0c16a5cb39a8d3e",
    );
    let mut random = unhex(
        "12270000635593b03fee033d0672f9afddf9124de9e77df6251806cba93482e4c9e6e06e7d44e4c4baae821aff91af44
         789689faaee9bdfc7b2df8c08709afe57396c4638ceaa0dc30114f82447e81d3b53edc423b32660c43a5b8ad057b6450",
    );
    random.extend(unhex("7dada0920c4973913229e0f881aec7b9db0c392d34f52fb0995ea493ecb4c09d"));
    random.extend(unhex("7dada0920c4973913229e0f881aec7b9db0c392d34f52fb0995ea493ecb4c09e"));
    let mut script = Script::new(random);
    let encrypted = key.encrypt_pad(&data, &mut script).unwrap();
    assert_eq!(script.at, 96 + 32 + 32, "padding and two keys were drawn");
    assert_eq!(
        encrypted.to_vec(),
        unhex(
            "b610642a828b4a61fe32931815cae318d311660580f1e0df768f3140f4d37dfcfcac0c2870318de4ff2d2e0e9669bcfd
             c0bad06cadb1b59d9726b427368a9c7b4fc0d5e7b2e99fc571968705c03acf5341fd7021bef653fa77b3776ae430e366
             fc46d232459ebe128b08d80e049ae579a48b56ca93b520709468587c81af96666046e9ea85091d729e921e8d8a36f57b
             27644052dae7387c7f4131701d59cda75251dac66c94276280ef950d3c44c21e5a2454f7da7a6818cf23ae9c490b72b2
             170d7cbc24f8a93db739d76f2d241c78b80123faaff3e664f074d6375d794dbf2800a0b5bb48d54eceafedfb355bfbeb
             d287d9023264e3b53627888250787a9e"
        )
    );
}

/// TDLib's `test/mtproto.cpp`: the bare operation on the first 256 bytes of the key's own text.
#[test]
fn bare_operation_of_tdlib() {
    let key = PublicKey::from_pem(TDLIB_PEM).unwrap();
    let number = bigint::from_be(&TDLIB_PEM.as_bytes()[..LEN], BITS).unwrap();
    let result: [u8; LEN] = bigint::to_be(&key.power(&number));
    // U2nJEtB2AgpHrm3HB0yhpTQgb0wbesi9Pv/W1v/vULU= there.
    assert_eq!(hex::encode(sha256(&[&result])), "5369c912d076020a47ae6dc7074ca1a534206f4c1b7ac8bd3effd6d6ffef50b5");
}

#[test]
fn padded_data_goes_there_and_back() {
    let private = key_pair();
    let mut rng = StdRng::from_seed([10; 32]);
    for len in [0, 1, 95, 96, 143, 144] {
        let mut data = vec![0; len];
        rng.fill_bytes(&mut data);
        let encrypted = private.public().encrypt_pad(&data, &mut rng).unwrap();
        let plain = private.decrypt_pad(&encrypted).unwrap();
        assert_eq!(plain[..len], data);
    }
}

/// Whatever the random bytes, a number above the modulus is tried again with another key until one fits.
/// Row: A.2 "RSA_PAD"
#[test]
fn retries_until_below_the_modulus() {
    let private = key_pair();
    let mut rng = StdRng::from_seed([11; 32]);
    let mut retried = 0;
    for _ in 0..20 {
        let mut random = vec![0; 2048];
        rng.fill_bytes(&mut random);
        let mut script = Script::new(random);
        let encrypted = private.public().encrypt_pad(b"data", &mut script).unwrap();
        retried += usize::from(script.at > 188 + 32);
        assert_eq!(private.decrypt_pad(&encrypted).unwrap()[..4], *b"data");
    }
    assert!(retried > 0, "none of twenty was above the modulus");
}

#[test]
fn too_much_data_is_refused() {
    let key = PublicKey::from_pem(PRODUCTION_PEM).unwrap();
    for len in [145, 192, 256, 10_000] {
        let found = key.encrypt_pad(&vec![0; len], &mut Script::constant(0));
        assert_eq!(found, Err(RsaError::DataTooLong { len }));
    }
}

#[test]
fn encrypted_values_that_are_not_ours_are_refused() {
    let private = key_pair();
    let mut rng = StdRng::from_seed([12; 32]);
    assert_eq!(private.decrypt_pad(&[0xff; LEN]), Err(RsaError::NotReduced));
    assert_eq!(private.decrypt_pad(&private.public().modulus()), Err(RsaError::NotReduced));
    assert_eq!(private.decrypt_pad(&[0; LEN]), Err(RsaError::HashMismatch));

    let good = private.public().encrypt_pad(b"data", &mut rng).unwrap();
    for at in [0, 1, 100, 255] {
        let mut changed = good;
        changed[at] ^= 1;
        assert_eq!(private.decrypt_pad(&changed), Err(RsaError::HashMismatch));
    }
    let other = PrivateKey::generate(&mut rng);
    assert!(matches!(other.decrypt_pad(&good), Err(RsaError::HashMismatch | RsaError::NotReduced)));
}

/// Row: A.2 "RSA_PAD"
#[test]
fn a_changed_padding_block_fails_its_hash() {
    let block = pad(&[7; PADDED], &[8; TEMP_KEY]);
    assert_eq!(*unpad(block.clone()).unwrap(), [7; PADDED]);
    for at in 0..LEN {
        let mut changed = block.clone();
        changed[at] ^= 0x10;
        assert_eq!(unpad(changed), Err(RsaError::HashMismatch), "{at}");
    }
}

#[test]
fn generated_keys_are_sound_and_repeatable() {
    let key = key_pair();
    assert_eq!(*key.to_pem(), *key_pair().to_pem());
    let again = PrivateKey::from_pem(&key.to_pem()).unwrap();
    assert_eq!(again.public(), key.public());
    assert_eq!(*again.to_pem(), *key.to_pem());
    assert_eq!(PublicKey::from_pem(&key.public().to_pem()).unwrap(), *key.public());
    assert_ne!(PrivateKey::generate(&mut StdRng::from_seed([13; 32])).public(), key.public());
}

#[test]
fn any_random_source_makes_a_key() {
    for byte in [0, 0xff] {
        let key = PrivateKey::generate(&mut Script::constant(byte));
        let encrypted = key.public().encrypt_pad(b"x", &mut StdRng::from_seed([14; 32])).unwrap();
        assert_eq!(key.decrypt_pad(&encrypted).unwrap()[0], b'x');
    }
}

/// A key that OpenSSL made (`openssl genrsa -traditional 2048`), and what it encrypted: the block of [`pad`] by the bare operation.
#[test]
fn a_key_made_by_openssl() {
    let key = PrivateKey::from_pem(OPENSSL_PRIVATE).unwrap();
    assert_eq!(key.public().to_pem(), OPENSSL_PUBLIC);
    assert_eq!(*key.to_pem(), OPENSSL_PRIVATE);
    let encrypted = unhex_array(OPENSSL_ENCRYPTED);
    assert_eq!(*key.decrypt_pad(&encrypted).unwrap(), *b"0123456789abcdef".repeat(12));
}

#[test]
fn public_keys_that_break_a_rule_are_refused() {
    let good = PublicKey::from_pem(PRODUCTION_PEM).unwrap().modulus();
    let e = [1, 0, 1];
    let check = |n: &[u8], e: &[u8]| PublicKey::from_numbers(n, e).unwrap_err();
    assert_eq!(check(&[], &e), RsaError::ModulusSize { bits: 0 });
    assert_eq!(check(&good[128..], &e), RsaError::ModulusSize { bits: bits(&good[128..]) });
    let mut long = good.to_vec();
    long.insert(0, 1);
    assert_eq!(check(&long, &e), RsaError::ModulusSize { bits: 2049 });
    let mut even = good;
    even[255] &= 0xfe;
    assert_eq!(check(&even, &e), RsaError::EvenModulus);
    for exponent in [&[][..], &[0], &[1], &[2], &[1, 0, 0], &[1, 0, 0, 0, 1]] {
        assert_eq!(check(&good, exponent), RsaError::Exponent, "{exponent:?}");
    }
    assert_eq!(PublicKey::from_numbers(&good, &[3]).unwrap().exponent, 3);
}

fn bits(digits: &[u8]) -> usize {
    digits.len() * 8 - digits[0].leading_zeros() as usize
}

#[test]
fn files_that_break_a_rule_are_refused() {
    let public = |data: &[u8]| PublicKey::from_pem(&pem::encode(data, PUBLIC_LABEL)).unwrap_err();
    assert_eq!(PublicKey::from_pem("nonsense"), Err(RsaError::Pem(PemError::NoBegin { expected: PUBLIC_LABEL })));
    assert_eq!(public(&[]), RsaError::Der(DerError::UnexpectedEnd { missing: 1 }));
    let good = PublicKey::from_pem(PRODUCTION_PEM).unwrap().modulus();
    let three = der::write_integers(&[&good, &[1, 0, 1], &[5]]);
    assert_eq!(public(&three), RsaError::Der(DerError::TrailingBytes { left: 3 }));
    // A private key is not a public one, nor the other way round.
    assert!(matches!(PublicKey::from_pem(OPENSSL_PRIVATE), Err(RsaError::Pem(PemError::WrongLabel { .. }))));
    assert!(matches!(PrivateKey::from_pem(PRODUCTION_PEM), Err(RsaError::Pem(PemError::WrongLabel { .. }))));
}

/// Each of the nine numbers of a private key, changed, is noticed.
#[test]
fn private_keys_that_contradict_themselves_are_refused() {
    let data = pem::decode(OPENSSL_PRIVATE, "RSA PRIVATE KEY").unwrap();
    let mut reader = der::Reader::sequence(&data).unwrap();
    let numbers: Vec<Vec<u8>> = (0..9).map(|_| reader.unsigned().unwrap().to_vec()).collect();
    let build = |numbers: &[Vec<u8>]| {
        let parts: Vec<&[u8]> = numbers.iter().map(Vec::as_slice).collect();
        PrivateKey::from_pem(&pem::encode(&der::write_integers(&parts), "RSA PRIVATE KEY"))
    };
    assert!(build(&numbers).is_ok());
    for at in 0..9 {
        let mut changed = numbers.clone();
        match changed[at].last_mut() {
            Some(byte) => *byte ^= 2,
            None => changed[at].push(1),
        }
        let expected = if at == 0 { RsaError::Version } else { RsaError::Inconsistent };
        assert_eq!(build(&changed).err(), Some(expected), "number {at}");
        // Too long for its place.
        let mut long = numbers.clone();
        long[at] = vec![0xff; 300];
        let error = build(&long).unwrap_err();
        match at {
            0 => assert_eq!(error, RsaError::Version),
            1 => assert_eq!(error, RsaError::ModulusSize { bits: 2400 }),
            2 => assert_eq!(error, RsaError::Exponent),
            _ => assert_eq!(error, RsaError::Inconsistent),
        }
    }
    let mut equal = numbers.clone();
    equal[5] = equal[4].clone();
    assert_eq!(build(&equal).err(), Some(RsaError::Inconsistent));
    let mut even = numbers.clone();
    *even[4].last_mut().unwrap() &= 0xfe;
    assert_eq!(build(&even).err(), Some(RsaError::Inconsistent));
    let mut zero = numbers;
    zero[4].clear();
    assert_eq!(build(&zero).err(), Some(RsaError::Inconsistent));
}

#[test]
fn every_proper_prefix_of_a_file_is_refused() {
    for (text, label) in [(PRODUCTION_PEM, PUBLIC_LABEL), (OPENSSL_PRIVATE, "RSA PRIVATE KEY")] {
        for len in 0..text.trim_end().len() {
            assert!(PublicKey::from_pem(&text[..len]).is_err());
            assert!(PrivateKey::from_pem(&text[..len]).is_err());
        }
        let data = pem::decode(text, label).unwrap();
        for len in 0..data.len() {
            let text = pem::encode(&data[..len], label);
            let public = PublicKey::from_pem(&text).map(drop);
            let private = PrivateKey::from_pem(&text).map(drop);
            let found = if label == PUBLIC_LABEL { public } else { private };
            assert!(matches!(found, Err(RsaError::Der(DerError::UnexpectedEnd { .. }))), "{len}");
        }
    }
}

#[test]
fn arbitrary_bytes_do_no_harm() {
    let mut rng = StdRng::from_seed([15; 32]);
    let private = key_pair();
    for round in 0..2000 {
        let mut bytes = vec![0; (rng.next_u32() % 400) as usize];
        rng.fill_bytes(&mut bytes);
        let _ = PublicKey::from_pem(&String::from_utf8_lossy(&bytes));
        for label in [PUBLIC_LABEL, "RSA PRIVATE KEY"] {
            let text = pem::encode(&bytes, label);
            let _ = (PublicKey::from_pem(&text), PrivateKey::from_pem(&text));
            // A valid file with one byte changed gets further in.
            let mut valid = if label == PUBLIC_LABEL { PRODUCTION_PEM } else { OPENSSL_PRIVATE }.as_bytes().to_vec();
            let at = rng.next_u32() as usize % valid.len();
            valid[at] = rng.next_u32() as u8 & 0x7f;
            let text = String::from_utf8(valid).unwrap();
            let _ = (PublicKey::from_pem(&text), PrivateKey::from_pem(&text));
        }
        if round % 100 == 0 {
            let mut encrypted = [0; LEN];
            rng.fill_bytes(&mut encrypted);
            assert!(private.decrypt_pad(&encrypted).is_err());
        }
    }
}

#[test]
fn secrets_are_neither_printed_nor_left() {
    let key = key_pair();
    assert_eq!(format!("{key:?}"), format!("PrivateKey({:#018x})", key.public().fingerprint()));
    assert_eq!(format!("{:?}", key.public()), format!("PublicKey({:#018x})", key.public().fingerprint()));
    fn wiped_when_dropped<T: zeroize::ZeroizeOnDrop>(_: &T) {}
    wiped_when_dropped(&key);
}

#[test]
fn tl_bytes_pads_to_words() {
    assert_eq!(tl_bytes(&[1, 0, 1]), [3, 1, 0, 1]);
    assert_eq!(tl_bytes(&[]), [0; 4]);
    assert_eq!(tl_bytes(&[7; 256])[..5], [254, 0, 1, 0, 7]);
    assert_eq!(tl_bytes(&[7; 256]).len(), 260);
}

/// Raw RSA, as an old client does it before it knows of RSA_PAD.
fn raw_encrypt(key: &PublicKey, block: &[u8]) -> [u8; 256] {
    let modulus = num_bigint::BigUint::from_bytes_be(&key.modulus());
    let power = num_bigint::BigUint::from_bytes_be(block).modpow(&65_537_u32.into(), &modulus).to_bytes_be();
    let mut out = [0; 256];
    out[256 - power.len()..].copy_from_slice(&power);
    out
}

#[test]
fn blocks_of_before_2021_come_apart() {
    let key = PrivateKey::from_pem(OPENSSL_PRIVATE).unwrap();
    let block: Vec<u8> = (0..255).map(|n| n + 1).collect();
    let legacy = key.decrypt_legacy(&raw_encrypt(key.public(), &block)).unwrap();
    assert_eq!((&legacy.hash[..], &legacy.content[..]), (&block[..20], &block[20..]));
    let long = [&[1], &block[..]].concat();
    assert_eq!(key.decrypt_legacy(&raw_encrypt(key.public(), &long)).err(), Some(RsaError::LegacyTopByte));
    assert_eq!(key.decrypt_legacy(&[0xff; 256]).err(), Some(RsaError::NotReduced));
}

/// The key of TDLib's `test/mtproto.cpp`.
const TDLIB_PEM: &str = "-----BEGIN RSA PUBLIC KEY-----
MIIBCgKCAQEAr4v4wxMDXIaMOh8bayF/NyoYdpcysn5EbjTIOZC0RkgzsRj3SGlu
52QSz+ysO41dQAjpFLgxPVJoOlxXokaOq827IfW0bGCm0doT5hxtedu9UCQKbE8j
lDOk+kWMXHPZFJKWRgKgTu9hcB3y3Vk+JFfLpq3d5ZB48B4bcwrRQnzkx5GhWOFX
x73ZgjO93eoQ2b/lDyXxK4B4IS+hZhjzezPZTI5upTRbs5ljlApsddsHrKk6jJNj
8Ygs/ps8e6ct82jLXbnndC9s8HjEvDvBPH9IPjv5JUlmHMBFZ5vFQIfbpo0u0+1P
n6bkEi5o7/ifoyVv2pAZTRwppTz0EuXD8QIDAQAB
-----END RSA PUBLIC KEY-----
";

const OPENSSL_PUBLIC: &str = "-----BEGIN RSA PUBLIC KEY-----
MIIBCgKCAQEAzf6I0pQ2hde4VqMFbo1ZilPhPJJlJreLoJsUD4Www/Hcu90/lblU
VYG0xuey8X8/2/Xst2JlzIzd/M2KkaOqPS2AjT90wjUrtxOwWoItIM+I+9QZ2KPV
iVnRioYlS5uIwx8Nl9O5IRJLxxs6k8NFnLNDmp+SAW7J77uT1KxiK84XEof0MhX7
G4/QH09Ye68J0j0kV7vy1PAk5nyaUvW7ivH4XcbSGGnNXIhBwvBN6KMpB0Z8tWZ8
97TtJ8leXhWYUMDUe1FicZODdn+hFODqz4D0DFmiq13xT+XvKUx0gNgT6DqxC3A1
XObNdRZY6vWDtTysQ/fEVuK0D3kJ1vkEBQIDAQAB
-----END RSA PUBLIC KEY-----
";

// Made for this test and used nowhere else.
const OPENSSL_PRIVATE: &str = "-----BEGIN RSA PRIVATE KEY-----
MIIEogIBAAKCAQEAzf6I0pQ2hde4VqMFbo1ZilPhPJJlJreLoJsUD4Www/Hcu90/
lblUVYG0xuey8X8/2/Xst2JlzIzd/M2KkaOqPS2AjT90wjUrtxOwWoItIM+I+9QZ
2KPViVnRioYlS5uIwx8Nl9O5IRJLxxs6k8NFnLNDmp+SAW7J77uT1KxiK84XEof0
MhX7G4/QH09Ye68J0j0kV7vy1PAk5nyaUvW7ivH4XcbSGGnNXIhBwvBN6KMpB0Z8
tWZ897TtJ8leXhWYUMDUe1FicZODdn+hFODqz4D0DFmiq13xT+XvKUx0gNgT6Dqx
C3A1XObNdRZY6vWDtTysQ/fEVuK0D3kJ1vkEBQIDAQABAoH/PQE/tyzgCdj76VQI
0Rc7ddDRQWWaWOP3xc4bEoDZ0anijYVyQIKR+lQd6Ld9uSmL/sk6GmE8E80SOFC5
ck3YNnL7KH+VPygLoRwVWevDtFl3e3bsRlXq/eIXESY69/CZdnJnSnXmQovYqkxi
LgNjEPTlZRGdKwv3bhg70nyNBgOUL2d5sXdJwfFwHrhFodHiOKpiErKkGmBSMdJ3
4gigiijKpVpAFvK27BJVz69JHjq5XNs7s7heQj+NIsHUIisyFQLfa4X4GZ63w2Ih
Gw01bXwbYduMoHBo46Pm3UIDR/vsB+KuKCaMF5jY2KdnhM6gu5xs6Z6hX69oynQV
MTAhAoGBAPA3NBC5UIDcBeRoDUFl/mvmI3FK5qTXPezOyyYYO8HuV8D2o/w3eZft
CpKOBfpzeQc5B3VJ+TqSoIxaqoL+OwJ/ts0d4QiNSF9T6BgTgy8cuZj83MloyaIH
8PidPHhcMDF6LfBkXMlbuHtr16F6/4TycVn25ugVzpXcIVLmznExAoGBANuHrNPI
wqexGmJRvltaTdKXdPdP3hkJUBJ0V+Iyyi38/qmzFYk1nXzQSIn6bq4bEgFgLCys
Hmh1Rdj4pos3V9TpLJ9+mselPQLqqKNRoXkgOV500HEOjo8V79DbValtU0ixEO5E
rk20tY9vv4Mr1jr3HP4fZpLujehjbT19zqsVAoGBAOJkxLc2UD8CHrODtWp7e+up
PKIb24BkM8KpqyC+GiPOQ/pi+W5NwlWDXEF/hPbkOZ6rCvJpw3CGnLVrBeTrQiY6
w8hRbrMmpJzjcYyvZyXRxsH/Hv7buZzyKxPE7Sbqi6k143H6xNApl5cKrnFMgOGF
tXr6jekSFF981hNR4CMhAoGAXDDT8XSD2mxTiiqN6Es6F1AnfJx7xsPUbouRRJrT
sRBn2dgtGRv88Sd+7wLObCtOGmnK40+8zV1CYeW5+wjYx77MUIaYdXL89jaZb0ye
pQFVVkd0KaZVU92AgpM5nBcfPI2vcIBDOrrC7GOfZ3SHWOfhsw54wwePbKIkhAhL
PCkCgYEAmv8SszIDCD788XYj4uLDu6DqB/P09h3tmmbGtGpcIgaz6F8kvJnt5iE4
log7JqkApf399QQeSolmP4OfpIXKlpP/RiyM1svwEYsXpYBOo67wqqzBd2LhbbSp
CEaVmBeSCXszLBc5Zc8Z1gr9V1FsPcO1w4ktr29noKHxmG4dkB8=
-----END RSA PRIVATE KEY-----
";

const OPENSSL_ENCRYPTED: &str = "
    44ffdf0f5efa417df950bc2786f53a4d1310720e5455447291ded44725dd3ffcfc70af72ad3b5d4fd767d4a18a8cd2af
    50de8741fc11cd2c4573a54874e9f684140c0956f0f3df27513412d5d058cbb64173a3b1afd77fde4dcadf2a5c18be17
    358ec5dd235fab4ae7de4db984c02eadf0397fc173cef4b9e3741ffa447777b0e7f3ccaa08fa025df06733eea303b693
    a2059c07ac3c74ae1cf58c89ad5f7470ab8773e522e61bbe7f9c4f6c85db8d109019b04f9f32037f4b06ba87bb1e5cad
    9b3744fb9997875c19505c7ec5bf6374fd5647d73dff4273eb7730fa8d61a705cbd34fca7d581874433a86451ec47a4f
    c01d50efb7c25f8d163687e31bdab776
";
