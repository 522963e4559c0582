//! Translation between layers. Input: a byte that picks the older layer and what the bytes are, then bytes of the newest layer: an object, a call, or
//! the answer of a method by its id. What can be said in the older layer decodes there, and comes back to the newest.

use bytes::Bytes;
use tdl::tl::translate::{TranslateError, Translator};
use tdl::tl::{Serialize, api, dynamic, layers};

use super::Seed;

pub fn run(data: &[u8]) {
    let [choice, body @ ..] = data else { return };
    let bundled = layers::bundled();
    let Some(newest) = bundled.last() else { return };
    // Half of the inputs go to one layer, so that the others need not be loaded for a quick look.
    let layer = if choice & 0x80 == 0 { 201 } else { bundled[usize::from(choice >> 2 & 0x1f) % bundled.len()] };
    let there = Translator::between(*newest, layer).expect("bundled");
    let back = Translator::between(layer, *newest).expect("bundled");
    let schema = layers::schema(layer).expect("bundled");
    match choice & 3 {
        0 => {
            let Some(older) = checked(there.object(Bytes::copy_from_slice(body))) else { return };
            // What is the same in both layers passes as it is, and is not looked at.
            if older != body {
                dynamic::decode(schema, older.clone()).expect("an object of the older layer");
            }
            checked(back.object(older));
        }
        1 => {
            let Some(older) = checked(there.request(Bytes::copy_from_slice(body))) else { return };
            assert!(older.len() <= body.len() * 8 + 256, "{} bytes became {}", body.len(), older.len());
            checked(back.request(older));
        }
        _ => {
            let Some((id, answer)) = body.split_first_chunk() else { return };
            let id = u32::from_le_bytes(*id);
            let Some(older) = checked(there.result(id, Bytes::copy_from_slice(answer))) else { return };
            checked(back.result(id, older));
        }
    }
}

/// Whatever came out, if it is not an error that a peer can cause.
fn checked(outcome: Result<Bytes, TranslateError>) -> Option<Bytes> {
    if let Err(TranslateError::Encode { layer, error }) = &outcome {
        panic!("the rules made something that layer {layer} has no bytes for: {error}");
    }
    outcome.ok()
}

pub fn seeds() -> Vec<Seed> {
    let mut seeds = Vec::new();
    let mut add = |name: &str, choice: u8, body: &[u8]| seeds.push((name.to_owned(), [&[choice], body].concat()));
    let message = api::types::Message {
        id: 1,
        peer_id: api::types::PeerUser { user_id: 2 }.into(),
        message: "m".into(),
        media: Some(api::types::MessageMediaContact { phone_number: "1".into(), ..Default::default() }.into()),
        entities: Some(vec![
            api::types::MessageEntityTonAddress { offset: 0, length: 1 }.into(),
            api::types::MessageEntityBold { offset: 0, length: 1 }.into(),
        ]),
        reply_markup: Some(api::types::ReplyInlineMarkup { rows: vec![row()], ..Default::default() }.into()),
        ..Default::default()
    };
    let update = api::types::UpdateNewMessage { message: message.into(), pts: 1, pts_count: 1 };
    let updates = api::types::Updates { updates: vec![update.into()], ..Default::default() };
    add("updates", 0, &api::enums::Updates::from(updates.clone()).to_bytes());
    add("updates-158", 0x80, &api::enums::Updates::from(updates).to_bytes());
    let short =
        api::types::UpdateShort { update: api::enums::Update::WalletTonConnectPendingDisconnect(Default::default()), date: 1 };
    add("short", 0, &api::enums::Updates::from(short).to_bytes());
    let send = api::functions::messages::SendMessage {
        peer: api::enums::InputPeer::PeerSelf,
        reply_to: Some(api::types::InputReplyToMessage { reply_to_msg_id: 1, ..Default::default() }.into()),
        message: "m".into(),
        ..Default::default()
    };
    let wrapped = api::functions::InvokeWithLayer { layer: 230, query: api::functions::InvokeWithoutUpdates { query: send } };
    add("call", 1, &wrapped.to_bytes());
    add("call-158", 0x81, &wrapped.to_bytes());
    let wrapper = 0xbf94_59b7_u32.to_le_bytes();
    add("wrappers", 1, &wrapper.repeat(20));
    let status = [&0x6628_562c_u32.to_le_bytes()[..], &true.to_bytes()].concat();
    add("bool", 2, &status);
    let users = [&0x0d91_a548_u32.to_le_bytes()[..], &Vec::<api::enums::User>::new().to_bytes()].concat();
    add("users", 2, &users);
    add("garbage", 2, &[0; 12]);
    // The newest layer to itself.
    add("same-layer", 0xdc, b"\xf8\xf1\x73\x99\x01\0\0\0E");
    seeds
}

fn row() -> api::enums::KeyboardInlineButtonRow {
    let kind = api::types::InlineButtonTypeUrl { url: "u".into() };
    let button = api::types::KeyboardInlineButton { text: "t".into(), r#type: kind.into(), ..Default::default() };
    api::types::KeyboardInlineButtonRow { buttons: vec![button.into()] }.into()
}
