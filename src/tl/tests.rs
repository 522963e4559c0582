//! Tests of generated types: what the generator promises about reading, writing and refusing.

use bytes::Bytes;

use super::api::{enums, functions, types};
use super::wire::{Error, MAX_DEPTH, VECTOR_ID};
use super::{Deserialize, Identifiable, RawObject, RemoteCall, Serialize, mtproto};

fn message() -> types::Message {
    types::Message {
        out: true,
        id: 5,
        from_id: Some(types::PeerUser { user_id: 7 }.into()),
        peer_id: types::PeerChat { chat_id: 8 }.into(),
        date: 1_700_000_000,
        message: "héllo".into(),
        entities: Some(vec![types::MessageEntityBold { offset: 0, length: 5 }.into()]),
        views: Some(1),
        forwards: Some(2),
        media: Some(enums::MessageMedia::Empty),
        paid_message_stars: Some(3),
        ..Default::default()
    }
}

#[test]
fn a_message_comes_back_and_no_prefix_of_it_does() {
    let message = enums::Message::from(message());
    let bytes = message.to_bytes();
    assert_eq!(bytes[..4], types::Message::ID.to_le_bytes());
    let read = enums::Message::from_bytes(bytes.clone()).unwrap();
    assert_eq!(read, message);
    let enums::Message::Message(inner) = &read else { panic!("{read:?}") };
    assert_eq!(inner.message, "héllo");
    assert!(bytes.as_ptr_range().contains(&inner.message.as_bytes().as_ptr()), "text was copied");
    for end in 0..bytes.len() {
        let error = enums::Message::from_bytes(bytes.slice(..end)).unwrap_err();
        assert!(matches!(error, Error::UnexpectedEnd { .. } | Error::VectorTooLong { .. }), "{end}: {error}");
    }
    let mut longer = bytes.to_vec();
    longer.extend([0; 4]);
    assert_eq!(enums::Message::from_bytes(longer.into()), Err(Error::TrailingBytes { left: 4 }));
}

#[test]
fn an_unknown_id_names_what_was_expected() {
    let bytes = Bytes::from_static(&[1, 0, 0, 0]);
    assert_eq!(enums::Peer::from_bytes(bytes.clone()), Err(Error::UnknownConstructor { id: 1, expected: "Peer" }));
    let error = functions::auth::SendCode::from_bytes(bytes);
    assert_eq!(error, Err(Error::UnknownConstructor { id: 1, expected: "auth.sendCode" }));
}

#[test]
fn values_that_share_a_bit_go_together_or_not_at_all() {
    let both = message();
    let one = types::Message { forwards: None, ..both.clone() };
    let none = types::Message { views: None, forwards: None, ..both.clone() };
    assert_eq!(one.to_bytes(), none.to_bytes());
    assert_ne!(both, none);
}

#[test]
fn generic_methods_carry_any_call() {
    fn returns<C: RemoteCall<Return = R>, R>(_: &C) {}
    let call =
        functions::InvokeWithLayer { layer: 230, query: functions::users::GetUsers { id: vec![enums::InputUser::UserSelf] } };
    returns::<_, Vec<enums::User>>(&call);
    let received = functions::InvokeWithLayer::<RawObject>::from_bytes(call.to_bytes()).unwrap();
    assert_eq!((received.layer, received.query.0), (230, call.query.to_bytes()));
    assert_eq!(functions::InvokeWithLayer::from_bytes(call.to_bytes()), Ok(call));
}

#[test]
fn bare_vectors_have_no_id() {
    let salts = mtproto::types::FutureSalts {
        req_msg_id: 1,
        now: 2,
        salts: vec![mtproto::types::FutureSalt { valid_since: 3, valid_until: 4, salt: 5 }],
    };
    let bytes = salts.to_bytes();
    assert_eq!(bytes.len(), 8 + 4 + 4 + 16);
    assert_eq!(mtproto::types::FutureSalts::from_bytes(bytes), Ok(salts));
}

#[test]
fn a_nesting_bomb_is_refused_before_the_stack_ends() {
    // `textBold text:RichText` inside itself, four bytes a level.
    let bomb: Bytes = types::TextBold::ID.to_le_bytes().repeat(1 << 20).into();
    assert_eq!(enums::RichText::from_bytes(bomb), Err(Error::TooDeep { limit: MAX_DEPTH }));

    // The largest structs that can contain themselves.
    let mut media = enums::MessageMedia::Empty;
    for _ in 0..2 * MAX_DEPTH {
        let story = types::StoryItem { media, ..Default::default() };
        media = types::MessageMediaStory { story: Some(story.into()), ..Default::default() }.into();
    }
    assert_eq!(enums::MessageMedia::from_bytes(media.to_bytes()), Err(Error::TooDeep { limit: MAX_DEPTH }));
}

#[test]
fn depth_is_not_length() {
    let texts = vec![enums::RichText::TextEmpty; 10 * MAX_DEPTH as usize];
    let text = enums::RichText::from(types::TextConcat { texts });
    assert_eq!(enums::RichText::from_bytes(text.to_bytes()), Ok(text));
}

#[test]
fn a_vector_of_two_milliard_objects_is_refused() {
    let mut bytes = VECTOR_ID.to_le_bytes().to_vec();
    bytes.extend([0xff, 0xff, 0xff, 0x7f, 0, 0, 0, 0]);
    let error = Vec::<enums::Message>::from_bytes(bytes.into());
    assert_eq!(error, Err(Error::VectorTooLong { count: 0x7fff_ffff, left: 4 }));
}

#[test]
fn a_page_is_what_its_messages_are() {
    let service =
        types::MessageService { id: 2, peer_id: types::PeerChat { chat_id: 8 }.into(), date: 3, ..Default::default() };
    let page: Vec<enums::Message> = vec![
        message().into(),
        types::MessageEmpty { id: 1, peer_id: None }.into(),
        service.into(),
        types::Message { entities: None, post_author: Some("Ann".into()), ..message() }.into(),
    ];
    let bytes = page.to_bytes();
    let read = Vec::<enums::Message>::from_bytes(bytes.clone()).unwrap();
    assert_eq!(read, page);
    assert_eq!(read.capacity(), page.len());
    for (read, made) in read.iter().zip(&page) {
        assert_eq!(enums::Message::from_bytes(made.to_bytes()).as_ref(), Ok(read));
    }
    for end in 0..bytes.len() {
        let error = Vec::<enums::Message>::from_bytes(bytes.slice(..end)).unwrap_err();
        assert!(matches!(error, Error::UnexpectedEnd { .. } | Error::VectorTooLong { .. }), "{end}: {error}");
    }
    let mut unknown = bytes.to_vec();
    unknown[8] ^= 1;
    let error = Vec::<enums::Message>::from_bytes(unknown.into());
    assert_eq!(error, Err(Error::UnknownConstructor { id: types::Message::ID ^ 1, expected: "Message" }));
}

#[test]
fn values_stay_small() {
    // What the boxes are for: a vector reserves this much for each element.
    assert!(size_of::<enums::User>() <= 16, "{}", size_of::<enums::User>());
    assert!(size_of::<enums::Update>() <= 40, "{}", size_of::<enums::Update>());
    assert!(size_of::<enums::MessageEntity>() <= 40, "{}", size_of::<enums::MessageEntity>());
    // These come a hundred at a time, and have none.
    assert!(size_of::<enums::Message>() <= 512, "{}", size_of::<enums::Message>());
}
