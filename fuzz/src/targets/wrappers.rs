//! Wrappers around a method, taken off one by one. Input: a serialized call.

use bytes::Bytes;
use tdl::mtproto::wrappers::{self, Call};
use tdl::tl::{Serialize, api::functions as f};

use super::Seed;

pub fn run(data: &[u8]) {
    let body = Bytes::copy_from_slice(data);
    let call = Call::read(body.clone());
    assert_eq!(call.method, wrappers::method_of(&body));
    assert!(data.ends_with(&call.bare()), "the method is the end of the call");
    assert!(call.body().len() <= data.len() && call.body().ends_with(&call.bare()));
    if call.after.is_empty() && call.body() == body {
        assert_eq!(Call::read(call.body()), call, "what names no message stays as it is");
    }
    assert_eq!(call.with_bare(&call.bare()), call);
}

pub fn seeds() -> Vec<Seed> {
    let config = f::help::GetConfig;
    let introduced = f::InitConnection {
        api_id: 1,
        device_model: "m".into(),
        system_version: "s".into(),
        app_version: "a".into(),
        system_lang_code: "en".into(),
        lang_pack: "".into(),
        lang_code: "en".into(),
        proxy: None,
        params: None,
        query: f::InvokeWithoutUpdates { query: config.clone() },
    };
    let after = f::InvokeAfterMsg { msg_id: 4, query: f::InvokeAfterMsgs { msg_ids: vec![8, 12], query: config.clone() } };
    vec![
        ("introduced".into(), f::InvokeWithLayer { layer: 230, query: introduced }.to_bytes().to_vec()),
        ("after-others".into(), f::InvokeWithLayer { layer: 230, query: after }.to_bytes().to_vec()),
        ("bare".into(), config.to_bytes().to_vec()),
    ]
}
