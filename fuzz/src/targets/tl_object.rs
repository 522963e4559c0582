//! Typed objects. Input: a byte that picks the type, the object. What can be read is written and read again, and must not change.

use bytes::Bytes;
use tdl::tl::{Deserialize, RawObject, Serialize, Str, api, mtproto};

use super::Seed;

macro_rules! readers {
    ($($type:ty),* $(,)?) => {
        const READERS: &[fn(Bytes)] = &[$(round_trip::<$type>),*];
    };
}

readers! {
    api::enums::Updates,
    api::enums::Update,
    api::enums::Message,
    api::enums::MessageMedia,
    api::enums::User,
    api::enums::Chat,
    api::enums::Config,
    api::enums::Document,
    api::enums::ReplyMarkup,
    api::enums::Jsonvalue,
    api::enums::RichText,
    api::enums::PageBlock,
    api::enums::messages::Dialogs,
    api::enums::messages::Messages,
    api::enums::upload::File,
    api::enums::auth::SentCode,
    api::enums::auth::Authorization,
    api::functions::InvokeWithLayer<RawObject>,
    api::functions::InitConnection<RawObject>,
    api::functions::auth::SendCode,
    api::functions::messages::SendMedia,
    mtproto::enums::ResPq,
    mtproto::enums::ServerDhParams,
    mtproto::enums::PQInnerData,
    mtproto::enums::BadMsgNotification,
    mtproto::enums::FutureSalts,
    mtproto::enums::MsgsAck,
    mtproto::functions::SetClientDhParams,
    Vec<i64>,
    Vec<api::enums::User>,
    Vec<Vec<Str>>,
    bool,
}

pub fn run(data: &[u8]) {
    let [reader, object @ ..] = data else { return };
    READERS[usize::from(*reader) % READERS.len()](Bytes::copy_from_slice(object));
}

fn round_trip<T: Serialize + Deserialize>(bytes: Bytes) {
    let Ok(object) = T::from_bytes(bytes.clone()) else { return };
    let written = object.to_bytes();
    // Not always the same bytes: text that is no UTF-8 was repaired, flags without a meaning were dropped.
    assert!(written.len() <= bytes.len() * 3 + 4, "a repaired character takes three bytes for one");
    let again = T::from_bytes(written.clone()).expect("ours");
    assert_eq!(again.to_bytes(), written);
}

pub fn seeds() -> Vec<Seed> {
    let mut seeds = Vec::new();
    let mut add = |name: &str, reader: u8, object: &[u8]| seeds.push((name.to_owned(), [&[reader], object].concat()));
    let vector = |count: u32| [0x1cb5_c415_u32.to_le_bytes(), count.to_le_bytes()].concat();
    add("updates-too-long", 0, &0xe317_af7e_u32.to_le_bytes());
    add("user-empty", 4, &[&0xd3bc_4b7a_u32.to_le_bytes()[..], &7_i64.to_le_bytes()].concat());
    add("json-null", 9, &0x3f6d_7b68_u32.to_le_bytes());
    // An array of arrays: as deep as its bytes allow.
    let nested = [&0xf744_4763_u32.to_le_bytes()[..], &vector(1)].concat();
    add("json-deep", 9, &nested.repeat(80));
    add("invoke", 17, &mtproto_ping_with_layer());
    let nonce = mtproto::functions::ReqPqMulti { nonce: [3; 16] }.to_bytes();
    add("unknown-constructor", 21, &nonce);
    let res_pq = mtproto::types::ResPq {
        nonce: [1; 16],
        server_nonce: [2; 16],
        pq: Bytes::from_static(&[0x17, 0xed, 0x48, 0x94, 0x1a, 0x08, 0xf9, 0x81]),
        server_public_key_fingerprints: vec![5, 6],
    };
    add("res-pq", 21, &mtproto::enums::ResPq::from(res_pq).to_bytes());
    add("acks", 26, &[&0x62d6_b459_u32.to_le_bytes()[..], &vector(1), &9_i64.to_le_bytes()].concat());
    add("longs", 28, &[vector(2), vec![1; 16]].concat());
    add("giant-vector", 28, &vector(0x7fff_ffff));
    add("strings", 30, &[vector(1), vector(2), b"\x03abc\x00\x00\x00\x00".to_vec()].concat());
    add("true", 31, &0x9972_75b5_u32.to_le_bytes());
    seeds
}

fn mtproto_ping_with_layer() -> Vec<u8> {
    let query = RawObject(mtproto::functions::Ping { ping_id: 1 }.to_bytes());
    api::functions::InvokeWithLayer { layer: 230, query }.to_bytes().to_vec()
}
