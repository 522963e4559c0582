use num_bigint::BigUint;
use rand::SeedableRng;
use rand::rngs::StdRng;
use sha2::{Digest, Sha256};

use super::super::dh::KNOWN_PRIME;
use super::super::testing::{Script, rfc3526_prime, unhex, unhex_array};
use super::*;

fn kdf() -> Kdf {
    Kdf::check(b"salt one", b"salt two", 3, &KNOWN_PRIME).unwrap()
}

fn seeded(seed: u8) -> StdRng {
    StdRng::from_seed([seed; 32])
}

/// A real exchange of 2020 with the password "234567", from the tests of grammers (`two_factor_auth.rs`, `check_calculations_2`).
#[test]
fn a_published_exchange() {
    let salt1 = unhex("5f483c38bd0986e7cdc95ae138ef4f49b951c1f81c713fecdef3af692cec4b4716ac9b770a195ebe");
    let salt2 = unhex("b616fc6bbedf511119c5ed34629527f1");
    let a = unhex(
        "bf31574f34fce1e53891c59b7f62468a0ca682da8585df8de0a18873359755fbb1818878a9ee919bb1e94d20c5f0607e
        02a33176199bf3220256c9ea1a69f395a515d20539d88cda750a5252fb864f573f2b032f3b467d08b34fd9c89d1c5d06
        278e113e51d4e893c1c027455af4653f096607a4156d94fb8e1dc7cee5bfe32850982f941ae4414e83bf22df56270b43
        b7ccc44c26d40886464da8e344a8540795b8f69b8f508552a723cd6931e1d69204e8e9dc056f0a2a10a0d7951e355f3e
        def5a5e18a9091295a51eb9db10b8b0d30489c8d29bc0cd86e97781f5e30c5b6bfe7caf4aae81b282e653ac48aa1a8fd
        e789722bc04f4320cd9f86849fe05ca4",
    );
    let b = unhex(
        "93f70ebd50f6426aca2568769599f91f24d01284cc51a449e62dcc1527dfe50126b2aa44238e4fb2331419ed4aebf1a0
        ae15e03abd18bfc52ca6baec564c13b5a1d2e357799897757bb736fdc2ceb1b56aacf19ab3548d6d922a522f0b51f401
        24c3bc9936aff3e1dcfbea39ac9ad2addc6af0ad30783278bbb84cab0ed8464b0ffeb2b0c93a39a5d97dba0105672ca5
        475373d8d23e54a6ac9bed9519e8bef4f00719f5ad56151be5537648df2f8e3e7265cb57fb94a054ce2a82b8cc664ad0
        60e0d6c6df1879345440eb977fa0f2d36f31a253d8917732f133d40033a34b6152969b600d59cdabfea2ab2393ad659e
        56d66e13605b1f61e48e3cd65c0f58ac",
    );
    let kdf = Kdf::check(&salt1, &salt2, 3, &KNOWN_PRIME).unwrap();
    let proof = kdf.prove(b"234567", &b, &mut Script::new(a)).unwrap();
    assert_eq!(
        proof.a,
        unhex_array(
            "0fa12bc655b1187a28296a69ae565d682782e0ceb05a089c0c41c1dce983dc7f4a53434ea78e065d9e1cb60e427b4468
        a4780609feba2f55654ee2efe0aeb72edafde2652e26ed5b4d4baad9d2a381806af63416bf6263df45a43d85be5401bc
        223ebfac09421caddd7e260bd6b86542133c048d6cd54b38d8e2ccdf6b550e875b1353a4acfe3292ffb56a0f58b2a390
        27c9bfdd91fd4c531d23c77d6e8f7d583eaeea316dedded69935296ce7ea34e9be6ef2fbd829eac4c9bd646dc1563e47
        f77b91431ca002cf79fc149d968272835c15ca1c6b2c5e03712a2e1b5d52f5e4faa1c16cb177fafd96a6aa5b4b3f4c64
        9915644b63855cfb38561ff17fedfb8a"
        )
    );
    assert_eq!(proof.m1, unhex_array("4d7af412c5a2e7b15467376bd118b853604e687b31f51c4980c4d7c1876613e3"));
}

/// x of a real account with the password "qwe123", from the tests of mtcute (`crypto/password.test.ts`).
#[test]
fn a_published_hash() {
    let salt1 = unhex("9b3accc457c0d5288e8cff31eb21094048bc11902f6614dbb9afb839ee7641c37619537d8ebe749e");
    let kdf = Kdf::check(&salt1, &unhex("6c619bb0786dc4ed1bf211d23f6e4065"), 3, &KNOWN_PRIME).unwrap();
    assert_eq!(*kdf.hash(b"qwe123"), unhex_array("750f1fe282965e63ce17b98427b35549fb864465211840f6a7c1f2fb657cc33b"));
}

/// The page's formulas once more, by another library for numbers and without a line of the code above.
struct Twin {
    p: BigUint,
    g: BigUint,
    salt1: Vec<u8>,
    salt2: Vec<u8>,
}

impl Twin {
    fn of(kdf: &Kdf) -> Self {
        Self {
            p: BigUint::from_bytes_be(kdf.group().prime()),
            g: BigUint::from(u32::try_from(kdf.group().g()).unwrap()),
            salt1: kdf.salt1().to_vec(),
            salt2: kdf.salt2().to_vec(),
        }
    }

    fn h(parts: &[&[u8]]) -> [u8; 32] {
        Sha256::digest(parts.concat()).into()
    }

    fn padded(number: &BigUint) -> Vec<u8> {
        let digits = number.to_bytes_be();
        [vec![0; LEN - digits.len()], digits].concat()
    }

    fn x(&self, password: &[u8]) -> BigUint {
        let sh = |data: &[u8], salt: &[u8]| Self::h(&[salt, data, salt]);
        let mut slow = [0; 64];
        pbkdf2_sha512(&sh(&sh(password, &self.salt1), &self.salt2), &self.salt1, 100_000, &mut slow);
        BigUint::from_bytes_be(&sh(&slow, &self.salt2))
    }

    fn v(&self, password: &[u8]) -> BigUint {
        self.g.modpow(&self.x(password), &self.p)
    }

    fn k(&self) -> BigUint {
        BigUint::from_bytes_be(&Self::h(&[&Self::padded(&self.p), &Self::padded(&self.g)]))
    }

    fn u(a: &BigUint, b: &BigUint) -> BigUint {
        BigUint::from_bytes_be(&Self::h(&[&Self::padded(a), &Self::padded(b)]))
    }

    fn server_public(&self, password: &[u8], secret: &BigUint) -> BigUint {
        (self.k() * self.v(password) + self.g.modpow(secret, &self.p)) % &self.p
    }

    fn client_shared(&self, password: &[u8], secret: &BigUint, b: &BigUint) -> BigUint {
        let u = Self::u(&self.g.modpow(secret, &self.p), b);
        let blind = self.k() * self.v(password) % &self.p;
        ((b + &self.p - blind) % &self.p).modpow(&(secret + u * self.x(password)), &self.p)
    }

    fn server_shared(&self, password: &[u8], secret: &BigUint, a: &BigUint) -> BigUint {
        let u = Self::u(a, &self.server_public(password, secret));
        (a * self.v(password).modpow(&u, &self.p) % &self.p).modpow(secret, &self.p)
    }

    fn m1(&self, a: &BigUint, b: &BigUint, shared: &BigUint) -> [u8; 32] {
        let of_p = Self::h(&[&Self::padded(&self.p)]);
        let of_g = Self::h(&[&Self::padded(&self.g)]);
        let group: Vec<u8> = of_p.iter().zip(of_g).map(|(p, g)| p ^ g).collect();
        let salts = [Self::h(&[&self.salt1]), Self::h(&[&self.salt2])];
        Self::h(&[&group, &salts[0], &salts[1], &Self::padded(a), &Self::padded(b), &Self::h(&[&Self::padded(shared)])])
    }
}

/// Both roles agree with the twin, in two groups.
#[test]
fn both_roles_agree_with_a_twin() {
    for (seed, g, prime) in [(1, 3, &KNOWN_PRIME), (2, 2, &rfc3526_prime())] {
        let kdf = Kdf::check(&[seed; 40], &[seed + 1; 16], g, prime).unwrap();
        let twin = Twin::of(&kdf);
        let password = "pässwörd".as_bytes();
        let verifier = kdf.verifier(password);
        assert_eq!(BigUint::from_bytes_be(verifier.as_bytes()), twin.v(password));

        let challenge = Challenge::new(&kdf, &verifier, &mut seeded(seed)).unwrap();
        let server_secret = BigUint::from_bytes_be(&*challenge.secret);
        let b = BigUint::from_bytes_be(challenge.public());
        assert_eq!(b, twin.server_public(password, &server_secret));

        let (client_secret, _) = draw(&mut seeded(seed + 10), |_| Some([0; LEN])).unwrap();
        let proof = kdf.prove(password, challenge.public(), &mut seeded(seed + 10)).unwrap();
        let client_secret = BigUint::from_bytes_be(&*client_secret);
        let a = BigUint::from_bytes_be(&proof.a);
        assert_eq!(a, twin.g.modpow(&client_secret, &twin.p));
        let shared = twin.client_shared(password, &client_secret, &b);
        assert_eq!(shared, twin.server_shared(password, &server_secret, &a));
        assert_eq!(proof.m1, twin.m1(&a, &b, &shared));
        challenge.check(&proof.a, &proof.m1).unwrap();
    }
}

#[test]
fn a_wrong_password_a_wrong_proof_and_an_old_one_are_refused() {
    let kdf = kdf();
    let verifier = kdf.verifier(b"right");
    let challenge = Challenge::new(&kdf, &verifier, &mut seeded(3)).unwrap();
    let right = kdf.prove(b"right", challenge.public(), &mut seeded(4)).unwrap();
    challenge.check(&right.a, &right.m1).unwrap();
    let mismatch = Err(SrpError::ProofMismatch);

    let wrong = kdf.prove(b"wrong", challenge.public(), &mut seeded(4)).unwrap();
    assert_eq!(wrong.a, right.a);
    assert_eq!(challenge.check(&wrong.a, &wrong.m1), mismatch);
    let mut damaged = right.m1;
    damaged[31] ^= 1;
    assert_eq!(challenge.check(&right.a, &damaged), mismatch);
    assert_eq!(challenge.check(&right.a, &right.m1[..31]), mismatch);
    assert_eq!(challenge.check(&right.a, &[]), mismatch);

    let later = Challenge::new(&kdf, &verifier, &mut seeded(5)).unwrap();
    assert_ne!(later.public(), challenge.public());
    assert_eq!(later.check(&right.a, &right.m1), mismatch, "a proof is for one exchange");
}

#[test]
fn groups_that_cannot_be_trusted_are_refused() {
    let check = |g, prime: &[u8]| Kdf::check(b"1", b"2", g, prime).map(|_| ()).unwrap_err();
    assert_eq!(check(2, &KNOWN_PRIME), SrpError::Group(DhError::GeneratorNotResidue { g: 2 }));
    assert_eq!(check(8, &KNOWN_PRIME), SrpError::Group(DhError::GeneratorOutOfRange { g: 8 }));
    assert_eq!(check(3, &[47]), SrpError::Group(DhError::PrimeSize { bits: 6 }));
    let mut composite = KNOWN_PRIME;
    composite[255] ^= 6;
    let error = check(4, &composite);
    assert!(matches!(error, SrpError::Group(DhError::PrimeComposite | DhError::PrimeNotSafe)), "{error:?}");
}

/// Of either side.
#[test]
fn public_values_out_of_range_are_refused() {
    let kdf = kdf();
    let verifier = kdf.verifier(b"right");
    let challenge = Challenge::new(&kdf, &verifier, &mut seeded(3)).unwrap();
    let p = BigUint::from_bytes_be(&KNOWN_PRIME);
    let margin = BigUint::from(1_u8) << 1984;
    let cases = [
        (BigUint::from(0_u8), DhError::PublicOutOfRange),
        (BigUint::from(1_u8), DhError::PublicOutOfRange),
        (&p - 1_u8, DhError::PublicOutOfRange),
        (p.clone(), DhError::PublicOutOfRange),
        (&p * 2_u8, DhError::PublicOutOfRange),
        (&margin - 1_u8, DhError::PublicTooSmall),
        (&p - &margin + 1_u8, DhError::PublicTooLarge),
    ];
    for (value, error) in cases {
        let bytes = value.to_bytes_be();
        let refused = SrpError::PublicValue(error);
        assert_eq!(kdf.prove(b"right", &bytes, &mut seeded(4)).unwrap_err(), refused);
        assert_eq!(challenge.check(&bytes, &[0; 32]).unwrap_err(), refused);
        assert_eq!(kdf.check_verifier(&bytes).unwrap_err(), refused);
    }
}

#[test]
fn a_scrambler_of_zero_is_refused() {
    assert_eq!(not_zero([0; 32]), Err(SrpError::ScramblerZero));
    let mut one = [0; 32];
    one[31] = 1;
    assert_eq!(not_zero(one), Ok(one));
}

/// With B = k·v the client would raise 0 to its exponent, and its proof would be the same for every secret.
#[test]
fn a_value_that_hides_nothing_is_refused() {
    let kdf = kdf();
    let twin = Twin::of(&kdf);
    let blind = twin.k() * twin.v(b"right") % &twin.p;
    for hidden in [0_u8, 1] {
        let b = (&blind + hidden).to_bytes_be();
        assert_eq!(kdf.prove(b"right", &b, &mut seeded(4)), Err(SrpError::Unblinded));
    }
    // Whoever does not know the password cannot tell.
    kdf.prove(b"wrong", &blind.to_bytes_be(), &mut seeded(4)).unwrap();
}

/// A public value with a zero byte in front is sent, and hashed, with it.
#[test]
fn values_keep_leading_zeros() {
    let kdf = kdf();
    let verifier = kdf.verifier(b"right");
    let secret = (0_u32..)
        .map(|at| {
            let mut secret = [0x5a; LEN];
            secret[LEN - 4..].copy_from_slice(&at.to_be_bytes());
            secret
        })
        .find(|secret| kdf.group().public(secret)[0] == 0)
        .unwrap();
    let challenge = Challenge::new(&kdf, &verifier, &mut seeded(3)).unwrap();
    let proof = kdf.prove(b"right", challenge.public(), &mut Script::new(secret.to_vec())).unwrap();
    assert_eq!(proof.a[0], 0);
    challenge.check(&proof.a, &proof.m1).unwrap();
    challenge.check(&proof.a[1..], &proof.m1).unwrap();
    // As a server would send it without its zeros: the same number.
    let unpadded = (0_u8..)
        .map(|seed| Challenge::new(&kdf, &verifier, &mut seeded(seed)).unwrap())
        .find(|challenge| challenge.public()[0] == 0);
    if let Some(challenge) = unpadded {
        let proof = kdf.prove(b"right", &challenge.public()[1..], &mut seeded(4)).unwrap();
        challenge.check(&proof.a, &proof.m1).unwrap();
    }
}

#[test]
fn a_random_source_without_randomness_is_given_up() {
    let kdf = kdf();
    let verifier = kdf.verifier(b"right");
    let mut zeros = Script::constant(0);
    assert_eq!(Challenge::new(&kdf, &verifier, &mut seeded(3)).map(|_| ()), Ok(()));
    let b = *Challenge::new(&kdf, &verifier, &mut seeded(3)).unwrap().public();
    assert_eq!(kdf.prove(b"right", &b, &mut zeros), Err(SrpError::Randomness));
    let nothing = draw(&mut zeros, |_| None).map(|_| ());
    assert_eq!(nothing, Err(SrpError::Randomness));
    // The first draw that will do is taken.
    let mut late = Script { bytes: vec![0; LEN], at: 0, then: 7 };
    let proof = kdf.prove(b"right", &b, &mut late).unwrap();
    assert_eq!(proof.a, kdf.group().public(&[7; LEN]));
}

/// A new password gets a salt of both sides, and is proved with it.
#[test]
fn a_new_password() {
    let offered = kdf();
    let new = offered.for_new_password(&mut seeded(6));
    assert_eq!(new.salt1().len(), offered.salt1().len() + CLIENT_SALT_LEN);
    assert!(new.salt1().starts_with(offered.salt1()));
    assert_eq!((new.salt2(), new.group()), (offered.salt2(), offered.group()));
    assert_ne!(offered.for_new_password(&mut seeded(7)), new);

    let sent = new.verifier(b"new");
    assert_ne!(sent, offered.verifier(b"new"));
    let stored = new.check_verifier(sent.as_bytes()).unwrap();
    assert_eq!(stored, sent);
    let challenge = Challenge::new(&new, &stored, &mut seeded(8)).unwrap();
    let proof = new.prove(b"new", challenge.public(), &mut seeded(9)).unwrap();
    challenge.check(&proof.a, &proof.m1).unwrap();
    let old = offered.prove(b"new", challenge.public(), &mut seeded(9)).unwrap();
    assert_eq!(challenge.check(&old.a, &old.m1), Err(SrpError::ProofMismatch), "the salts count");
}

#[test]
fn nothing_secret_is_printed() {
    let kdf = kdf();
    let verifier = kdf.verifier(b"right");
    let challenge = Challenge::new(&kdf, &verifier, &mut seeded(3)).unwrap();
    assert_eq!(format!("{verifier:?} {challenge:?}"), "Verifier(..) Challenge(..)");
}
