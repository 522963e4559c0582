use super::table::{CONTENTS_FIELDS, PUBLIC, PUBLIC_FIELDS, SECRET, SECRET_FIELDS, class_of};
use super::*;
use tdl_core::ids::{DcId, MsgId};
use tdl_core::tl::api::{enums, functions, types};
use tdl_core::tl::schema::Type;
use tdl_core::tl::{Serialize, compiled_schema};
use tdl_core::trace::ConnId;

fn json(bytes: &Bytes) -> String {
    let mut out = Vec::new();
    Body::read(bytes, 0).put_json(&mut out);
    String::from_utf8(out).unwrap()
}

fn is_text(ty: &Type) -> bool {
    match ty {
        Type::String | Type::Bytes => true,
        Type::Vector { item, .. } => is_text(item),
        _ => false,
    }
}

#[test]
fn the_tables_speak_of_fields_that_there_are() {
    let fields: Vec<(&str, &str)> = compiled_schema()
        .definitions()
        .iter()
        .flat_map(|d| d.params.iter().filter(|p| is_text(&p.ty)).map(|p| (d.name.as_str(), p.name.as_str())))
        .collect();
    for name in SECRET.iter().chain(PUBLIC) {
        assert!(fields.iter().any(|(_, field)| field == name), "no text is called {name}");
    }
    for pair in SECRET_FIELDS.iter().chain(PUBLIC_FIELDS).chain(CONTENTS_FIELDS) {
        assert!(fields.contains(pair), "there is no {pair:?}");
    }
    let mut all: Vec<&str> = SECRET.iter().chain(PUBLIC).copied().collect();
    all.sort_unstable();
    all.dedup();
    assert_eq!(all.len(), SECRET.len() + PUBLIC.len(), "a name is listed twice");
}

#[test]
fn what_is_not_listed_is_personal() {
    assert_eq!(class_of("user", "a_field_of_tomorrow"), Class::Personal);
    assert_eq!(class_of("message", "message"), Class::Personal);
    assert_eq!(class_of("user", "phone"), Class::Secret);
    assert_eq!(class_of("upload.file", "bytes"), Class::Contents);
    assert_eq!(class_of("initConnection", "device_model"), Class::Public);
}

fn send_code() -> Bytes {
    let request = functions::auth::SendCode {
        phone_number: "+9996621234".into(),
        api_id: 17349,
        api_hash: "344583e45741c457fe1862106095a5eb".into(),
        settings: types::CodeSettings { logout_tokens: Some(vec![Bytes::from_static(b"former")]), ..Default::default() }.into(),
    };
    functions::InvokeWithLayer { layer: 230, query: request }.to_bytes()
}

#[test]
fn secrets_leave_their_length_behind() {
    let redacted = body(&send_code(), 0, Shown::Public);
    let expected = r#"{"_":"invokeWithLayer","layer":230,"query":{"_":"auth.sendCode","phone_number":"<redacted:11>","api_id":17349,"api_hash":"<redacted:32>","settings":{"_":"codeSettings","logout_tokens":["<redacted:6>"]}}}"#;
    assert_eq!(json(&redacted), expected);
    assert_eq!(body(&send_code(), 0, Shown::Texts), redacted, "none of it is a text");
}

#[test]
fn texts_are_shown_at_their_level_and_contents_at_none_but_the_last() {
    let request = functions::messages::SetTyping {
        peer: enums::InputPeer::PeerSelf,
        top_msg_id: None,
        action: types::SendMessageEmojiInteraction {
            emoticon: "x".into(),
            msg_id: 3,
            interaction: types::DataJson { data: "{}".into() }.into(),
        }
        .into(),
    }
    .to_bytes();
    assert!(json(&body(&request, 0, Shown::Texts)).contains("\"data\":\"<redacted:2>\""));

    let name =
        functions::account::UpdateProfile { first_name: Some("Ada".into()), last_name: None, about: Some("counts".into()) }
            .to_bytes();
    assert_eq!(
        json(&body(&name, 0, Shown::Public)),
        r#"{"_":"account.updateProfile","first_name":"<redacted:3>","about":"<redacted:6>"}"#
    );
    assert_eq!(json(&body(&name, 0, Shown::Texts)), json(&name));

    let part = functions::upload::SaveFilePart { file_id: 1, file_part: 0, bytes: vec![7; 1000].into() }.to_bytes();
    for shown in [Shown::Public, Shown::Texts] {
        assert!(json(&body(&part, 0, shown)).ends_with("\"bytes\":\"<elided:1000>\"}"));
    }
}

#[test]
fn of_what_the_schema_does_not_know_only_the_constructor_is_left() {
    let unknown = Bytes::from_static(b"\x01\x02\x03\x04 a secret of tomorrow ");
    assert_eq!(body(&unknown, 0, Shown::Texts)[..], [1, 2, 3, 4]);
    // Known outside, unknown inside: then nothing can be said of where anything is.
    let inside = functions::InvokeWithLayer { layer: 1, query: tdl_core::tl::RawObject(unknown) };
    assert_eq!(body(&inside.to_bytes(), 0, Shown::Texts).len(), 4);
}

#[test]
fn only_bodies_change_and_everything_is_everything() {
    let record_of = |event| Record {
        at: std::time::Duration::from_secs(1),
        conn: ConnId(1),
        dc: DcId(2),
        role: tdl_core::trace::Role::Client,
        event,
    };
    let bytes = send_code();
    let whole = record_of(Event::Body { sent: true, msg_id: MsgId(4), method: 0, len: bytes.len(), bytes });
    assert!(matches!(record(&whole, Shown::Everything), Cow::Borrowed(_)));
    let redacted = record(&whole, Shown::Public).into_owned();
    let (Event::Body { len, bytes, .. }, Event::Body { len: before, .. }) = (&redacted.event, &whole.event) else {
        panic!("{redacted:?}")
    };
    assert!(len == before && !bytes.windows(9).any(|part| part == b"999662123"));
    assert_eq!(record(&redacted, Shown::Public).into_owned(), redacted, "once is enough");
    let other = record_of(Event::Ping { ping_id: 1 });
    assert!(matches!(record(&other, Shown::Public), Cow::Borrowed(_)));
}

#[test]
fn placeholders_are_known_again_and_nothing_else_is() {
    for text in ["<redacted:0>", "<redacted:11>", "<elided:524288>"] {
        assert_eq!(placeholder(text.as_bytes()), Some(text));
    }
    for text in ["", "<redacted:>", "<redacted:1", "<redacted:1x>", "redacted:1>", "<elided:99999999999999999999999999999999>"]
    {
        assert_eq!(placeholder(text.as_bytes()), None, "{text}");
    }
    assert_eq!(placeholder(&[0xff; 8]), None);
}
