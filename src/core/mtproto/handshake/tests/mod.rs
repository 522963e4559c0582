//! Both roles against each other, against recorded exchanges, and against someone on the wire who changes things.

use std::{collections::VecDeque, convert::Infallible, sync::LazyLock, time::Duration};

use bytes::Bytes;
use rand::{SeedableRng, TryRng, rngs::StdRng};

use crate::{
    clock::Now,
    crypto::{
        AuthKey,
        kdf::{self, AesKeyIv},
        rsa::{PrivateKey, PublicKey},
    },
    ids::DcId,
    tl::{
        Deserialize, Reader, Serialize,
        mtproto::{enums, functions},
    },
};

use super::*;

mod driver;
mod negative_client;
mod negative_server;
mod noise;
mod vectors;

/// The server's key in every test.
static KEY: LazyLock<PrivateKey> = LazyLock::new(|| PrivateKey::from_pem(include_str!("server_key.pem")).unwrap());

fn keys() -> [PublicKey; 1] {
    [KEY.public().clone()]
}

const DC: DcId = DcId(2);
const NOW: Now = Now::new(Duration::from_secs(9), Duration::from_secs(1_707_425_105));
const TEMPORARY: Mode = Mode::Temporary { expires_in: 86_400 };

fn rng(seed: u8) -> StdRng {
    StdRng::from_seed([seed; 32])
}

fn server_config() -> server::Config {
    server::Config::new([KEY.clone()], DC)
}

/// A random source that says what it was told to say, and nothing more.
struct Script(VecDeque<u8>);

impl Script {
    fn of(parts: &[&[u8]]) -> Self {
        Self(parts.concat().into())
    }
}

impl TryRng for Script {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        let mut word = [0; 4];
        self.try_fill_bytes(&mut word)?;
        Ok(u32::from_le_bytes(word))
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        let mut word = [0; 8];
        self.try_fill_bytes(&mut word)?;
        Ok(u64::from_le_bytes(word))
    }

    fn try_fill_bytes(&mut self, out: &mut [u8]) -> Result<(), Infallible> {
        assert!(out.len() <= self.0.len(), "{} random bytes asked for, the script has {}", out.len(), self.0.len());
        for byte in out {
            *byte = self.0.pop_front().unwrap();
        }
        Ok(())
    }
}

fn read<T: Deserialize>(body: &Bytes) -> T {
    T::from_bytes(body.clone()).unwrap()
}

/// What only the two sides should know: the tests can look into the RSA block, for they have the key.
#[derive(Clone)]
struct Secrets {
    new_nonce: NewNonce,
    cipher: AesKeyIv,
}

impl Secrets {
    fn of(request: &functions::ReqDhParams) -> Self {
        let new_nonce = NewNonce(Zeroizing::new(match open_rsa_block(request) {
            enums::PQInnerData::Data(it) => it.new_nonce,
            enums::PQInnerData::Dc(it) => it.new_nonce,
            enums::PQInnerData::Temp(it) => it.new_nonce,
            enums::PQInnerData::TempDc(it) => it.new_nonce,
        }));
        let cipher = kdf::tmp_aes(&request.server_nonce, &new_nonce.0);
        Self { new_nonce, cipher }
    }

    fn seal(&self, message: &impl Serialize) -> Bytes {
        sealed::seal(&self.cipher, &message.to_bytes(), &mut rng(0xee))
    }

    fn open<T: Deserialize>(&self, encrypted: &[u8]) -> T {
        sealed::open(&self.cipher, encrypted, Message::DhGen, 0, &Watch::off()).unwrap().0
    }

    /// A hash, some bytes that need not be a message, and `padding` zeros at least.
    fn seal_raw(&self, content: &[u8], padding: usize) -> Bytes {
        let mut out = hash::sha1(&[content]).to_vec();
        out.extend_from_slice(content);
        out.resize((out.len() + padding).next_multiple_of(16), 0);
        self.cipher.encrypt(&mut out).unwrap();
        out.into()
    }
}

fn open_rsa_block(request: &functions::ReqDhParams) -> enums::PQInnerData {
    let content = KEY.decrypt_pad(request.encrypted_data[..].try_into().unwrap()).unwrap();
    enums::PQInnerData::deserialize(&mut Reader::new(Bytes::copy_from_slice(&content[..]))).unwrap()
}

/// Both roles stopped at each point of one honest exchange, with the message that is on its way there.
#[derive(Clone)]
struct Stages {
    server_0: server::ExpectReqPq,
    req_pq: Bytes,
    client_1: client::ExpectResPq,
    res_pq: Bytes,
    server_1: server::ExpectReqDhParams,
    req_dh_params: Bytes,
    client_2: client::ExpectServerDhParams,
    server_dh_params: Bytes,
    server_2: server::ExpectSetClientDhParams,
    set_client_dh_params: Bytes,
    client_3: client::ExpectDhGen,
    dh_gen_ok: Bytes,
    secrets: Secrets,
    auth_key: AuthKey,
}

impl Stages {
    fn of(mode: Mode) -> Self {
        let (ours, theirs) = (&mut rng(1), &mut rng(2));
        let keys = keys();
        let server_0 = server::start(&server_config());
        let (client_1, req_pq) = client::start(&client::Config::new(&keys, DC, mode), ours);
        let (server_1, res_pq) = server_0.clone().handle(req_pq.clone(), theirs).unwrap();
        let (client_2, req_dh_params) = client_1.clone().handle(res_pq.clone(), ours).unwrap();
        let (server_2, server_dh_params) = server_1.clone().handle(req_dh_params.clone(), NOW, theirs).unwrap();
        let (client_3, set_client_dh_params) = client_2.clone().handle(server_dh_params.clone(), NOW, ours).unwrap();
        let outcome = server_2.clone().handle(set_client_dh_params.clone(), &mut |_| false).unwrap();
        let server::Outcome::Done(established, dh_gen_ok) = outcome else { panic!("the key is free") };
        let secrets = Secrets::of(&read(&req_dh_params));
        Self {
            server_0,
            req_pq,
            client_1,
            res_pq,
            server_1,
            req_dh_params,
            client_2,
            server_dh_params,
            server_2,
            set_client_dh_params,
            client_3,
            dh_gen_ok,
            secrets,
            auth_key: established.auth_key,
        }
    }
}

/// One honest exchange of a permanent key, computed once: tests clone what they need.
static STAGES: LazyLock<Stages> = LazyLock::new(|| Stages::of(Mode::Permanent));

/// The error that has to be there. States have no `Debug`, so `expect_err` is not for them.
fn error_of<T>(result: Result<T, Error>) -> Error {
    match result {
        Err(error) => error,
        Ok(_) => panic!("the change is against the rules and was accepted"),
    }
}

/// Flips the lowest bit of the first byte.
fn flip<const N: usize>(bytes: &mut [u8; N]) {
    bytes[0] ^= 1;
}

#[test]
fn plain_msg_ids_grow_and_keep_their_residue() {
    for (mut ids, residue) in [(PlainMsgIds::client(), 0), (PlainMsgIds::server(), 1)] {
        let mut last = ids.next(NOW);
        assert_eq!(last.unix(), NOW.unix());
        let later = NOW.later(Duration::from_millis(1500));
        for now in [NOW, NOW, later, NOW, later] {
            let next = ids.next(now);
            assert!(next > last);
            assert_eq!(next.0 & 3, residue);
            last = next;
        }
    }
}

#[test]
fn minimal_numbers_have_no_leading_zeros() {
    for (number, expected) in [(0, &[][..]), (1, &[1]), (0x100, &[1, 0]), (u64::MAX, &[0xff; 8])] {
        assert_eq!(minimal(number), expected);
    }
}
