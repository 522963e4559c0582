//! Published and recorded exchanges, replayed byte for byte wherever their randomness is known.

use std::collections::HashMap;

use crate::{crypto::dh::DhError, tl::mtproto::types};

use super::*;

struct Sample(HashMap<&'static str, Vec<u8>>);

impl Sample {
    fn read(text: &'static str) -> Self {
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        Self(lines.map(|line| line.split_once(' ').unwrap()).map(|(name, value)| (name, hex::decode(value).unwrap())).collect())
    }

    fn bytes(&self, name: &str) -> Bytes {
        Bytes::copy_from_slice(&self.0[name])
    }

    fn array<const N: usize>(&self, name: &str) -> [u8; N] {
        self.0[name][..].try_into().unwrap()
    }

    fn key(&self) -> AuthKey {
        AuthKey::from_bytes(&self.array("auth_key"))
    }

    fn new_nonce(&self) -> NewNonce {
        NewNonce(Zeroizing::new(self.array("new_nonce")))
    }

    fn params_ok(&self) -> Bytes {
        let (nonce, server_nonce) = (self.array("nonce"), self.array("server_nonce"));
        let answer = types::ServerDhParamsOk { nonce, server_nonce, encrypted_answer: self.bytes("encrypted_answer") };
        enums::ServerDhParams::from(answer).to_bytes()
    }
}

fn sample_2024() -> Sample {
    Sample::read(include_str!("sample_2024.txt"))
}

fn sample_2013() -> Sample {
    Sample::read(include_str!("sample_2013.txt"))
}

fn sample_2026() -> Sample {
    Sample::read(include_str!("sample_2026.txt"))
}

fn now(unix: u64) -> Now {
    Now::new(Duration::ZERO, Duration::from_secs(unix))
}

/// The page's exchange of 2024, with its randomness but for the key inside the RSA block, which the page leaves out.
/// Row: A.2 "inner data"
#[test]
fn sample_of_2024() {
    let sample = sample_2024();
    let keys = [PublicKey::from_pem(include_str!("production_key.pem")).unwrap()];
    let config = client::Config::new(&keys, DC, Mode::Permanent);

    let (client, request) = client::start(&config, &mut Script::of(&[&sample.0["nonce"]]));
    assert_eq!(request, sample.bytes("req_pq_multi"));

    let nonces = Nonces { nonce: sample.array("nonce"), server_nonce: sample.array("server_nonce") };
    let (pq, p, q) = (sample.bytes("pq"), sample.bytes("p"), sample.bytes("q"));
    assert_eq!(client.inner_data(&nonces, &pq, &p, &q, &sample.new_nonce()), sample.0["p_q_inner_data_dc"]);
    let mut random = Script::of(&[&sample.0["new_nonce"], &sample.0["random_padding_bytes"], &[0x11; 32]]);
    let (client, request) = client.handle(sample.bytes("res_pq"), &mut random).unwrap();
    assert!(random.0.is_empty());
    assert_eq!(client.pq(), 0x2565_95ed_b776_6797);
    let request: functions::ReqDhParams = read(&request);
    assert_eq!((request.p, request.q), (p, q));
    assert_eq!(request.public_key_fingerprint.to_le_bytes(), [0x85, 0xfd, 0x64, 0xde, 0x85, 0x1d, 0x9d, 0xd0]);

    let mut random = Script::of(&[&sample.0["b"], &sample.0["client_padding"]]);
    let (client, request) = client.handle(sample.params_ok(), now(1_707_425_100), &mut random).unwrap();
    assert!(random.0.is_empty());
    let request: functions::SetClientDhParams = read(&request);
    assert_eq!(request.encrypted_data, sample.bytes("client_encrypted_data"));
    assert_eq!((client.time_offset(), client.group().g()), (5, 3));

    let Ok(client::Outcome::Done(established)) = client.handle(sample.bytes("dh_gen_ok"), &mut Script::of(&[])) else {
        panic!("the sample ends well")
    };
    assert_eq!(established.auth_key, sample.key());
    assert_eq!(established.auth_key.id(), 5_654_532_459_904_850_021);
    assert_eq!(established.salt, Salt(-3_585_621_112_631_548_343));
}

/// Another whole exchange, RSA block included.
#[test]
fn exchange_recorded_in_2023() {
    let sample = Sample::read(include_str!("recorded_2023.txt"));
    let keys = [PublicKey::from_pem(include_str!("other_key.pem")).unwrap()];
    let config = client::Config::new(&keys, DcId(10_002), Mode::Permanent);

    let (client, request) = client::start_untagged(&config, &mut Script::of(&[&sample.0["step1_random"]]));
    assert_eq!(request, sample.bytes("step1_request"));

    // new_nonce, padding up to 192 bytes of which p_q_inner_data takes 96; what is left over of the recording's 192; temporary key.
    let random = &sample.0["step2_random"];
    let mut random = Script::of(&[&random[..32 + 96], &random[32 + 192..]]);
    let (client, request) = client.handle(sample.bytes("step1_response"), &mut random).unwrap();
    assert!(random.0.is_empty());
    assert_eq!(request, sample.bytes("step2_request"));

    // b, and of the sixteen bytes for padding as many as were needed.
    let mut random = Script(sample.0["step3_random"].clone().into());
    let (client, request) = client.handle(sample.bytes("step2_response"), now(1_693_436_740), &mut random).unwrap();
    assert_eq!(request, sample.bytes("step3_request"));
    assert_eq!(client.time_offset(), 0);

    let Ok(client::Outcome::Done(established)) = client.handle(sample.bytes("step3_response"), &mut random) else {
        panic!("the recording ends well")
    };
    assert_eq!(established.auth_key, sample.key());
    assert_eq!(established.salt, Salt(4_459_407_212_920_268_508));
}

/// The exchange of 2013 breaks a rule that was written later: 2 is no quadratic residue modulo that prime. Its other numbers fit.
#[test]
fn sample_of_2013_is_refused_for_its_generator() {
    let sample = sample_2013();
    let keys = keys();
    let config = client::Config::new(&keys, DC, Mode::Permanent);
    let (client, _) = client::start_untagged(&config, &mut Script::of(&[&sample.0["nonce"]]));
    let answer = types::ResPq {
        nonce: sample.array("nonce"),
        server_nonce: sample.array("server_nonce"),
        pq: sample.bytes("pq"),
        server_public_key_fingerprints: vec![KEY.public().fingerprint()],
    };
    let mut random = Script::of(&[&sample.0["new_nonce"], &[0x22; 96], &[0x33; 32], &[0x44; 32], &[0x55; 32]]);
    let (client, request) = client.handle(enums::ResPq::from(answer).to_bytes(), &mut random).unwrap();
    let request: functions::ReqDhParams = read(&request);
    assert_eq!((&request.p, &request.q), (&sample.bytes("p"), &sample.bytes("q")));
    assert!(matches!(open_rsa_block(&request), enums::PQInnerData::Data(_)));

    let found = client.handle(sample.params_ok(), now(1_373_993_675), &mut Script::of(&[])).err();
    assert_eq!(found, Some(PeerMisbehaved::BadGroup(DhError::GeneratorNotResidue { g: 2 }).into()));
}

/// Both directions of the encrypted part, with the randomness that the pages show.
#[test]
fn encrypted_parts_of_the_samples() {
    for (sample, server_time, g) in [(sample_2024(), 1_707_425_105, 3), (sample_2013(), 1_373_993_675, 2)] {
        let cipher = kdf::tmp_aes(&sample.array("server_nonce"), &sample.array("new_nonce"));
        let secrets = Secrets { new_nonce: sample.new_nonce(), cipher };
        let enums::ServerDhInnerData::Data(inner) = secrets.open(&sample.0["encrypted_answer"]);
        assert_eq!((inner.server_time, inner.g), (server_time, g));
        let enums::ClientDhInnerData::Data(inner) = secrets.open(&sample.0["client_encrypted_data"]);
        assert_eq!((inner.nonce, inner.retry_id), (sample.array("nonce"), 0));
    }
}

#[test]
fn hashes_and_salts_of_the_samples() {
    for sample in [sample_2024(), sample_2013(), sample_2026()] {
        let (key, new_nonce) = (sample.key(), sample.new_nonce());
        for (verdict, name) in
            [(Verdict::Ok, "new_nonce_hash1"), (Verdict::Retry, "new_nonce_hash2"), (Verdict::Fail, "new_nonce_hash3")]
        {
            if let Some(expected) = sample.0.get(name) {
                assert_eq!(new_nonce.hash(verdict, &key), expected[..]);
            }
        }
    }
    let salts = [(sample_2024(), -3_585_621_112_631_548_343), (sample_2013(), 0xccbc_ebd7_e8c8_d394_u64.cast_signed())];
    for (sample, salt) in salts {
        assert_eq!(sample.new_nonce().first_salt(&sample.array("server_nonce")), Salt(salt));
    }
}

/// The page's current version shows the same forms.
#[test]
fn sample_of_2026() {
    let sample = sample_2026();
    let keys = [PublicKey::from_pem(include_str!("production_key.pem")).unwrap()];
    let config = client::Config::new(&keys, DC, Mode::Permanent);
    let (client, request) = client::start(&config, &mut Script::of(&[&sample.0["nonce"]]));
    assert_eq!(request, sample.bytes("req_pq_multi"));
    let mut random = Script::of(&[&sample.0["new_nonce"], &[0x22; 92], &[0x33; 32], &[0x44; 32], &[0x55; 32]]);
    let (_, request) = client.handle(sample.bytes("res_pq"), &mut random).unwrap();
    let request: functions::ReqDhParams = read(&request);
    assert_eq!((request.p, request.q), (sample.bytes("p"), sample.bytes("q")));

    let enums::SetClientDhParamsAnswer::DhGenOk(answer) = read(&sample.bytes("dh_gen_ok")) else { panic!("it ended well") };
    assert_eq!(answer.new_nonce_hash1, sample.new_nonce().hash(Verdict::Ok, &sample.key()));
}
