//! Each session in its own layer, over the wire: what comes in is read with the tables of that layer alone.

use super::*;
use tdl_core::tl::dynamic::{self, Value};
use tdl_core::tl::{RawObject, layers};

impl Client {
    /// Where the account stands; said in a layer if one is given.
    fn stands(&mut self, layer: Option<i32>) {
        let call = introduced(RawObject(f::updates::GetState.to_bytes()));
        let body = match layer {
            Some(layer) => f::InvokeWithLayer { layer, ..call }.to_bytes(),
            None => f::updates::GetState.to_bytes(),
        };
        enums::updates::State::from_bytes(self.call_raw(body).unwrap()).unwrap();
    }
}

/// A method without arguments, or with these, by its name in a layer.
fn method(layer: i32, name: &str, arguments: &[u8]) -> Bytes {
    let id = layers::schema(layer).unwrap().function(name).unwrap().id;
    [&id.to_le_bytes(), arguments].concat().into()
}

/// The ids of the constructors with a name, wherever they are in an object that is read by the tables of a layer.
fn ids(layer: i32, name: &str, body: Bytes) -> Vec<u32> {
    fn walk(value: &Value<'_>, name: &str, out: &mut Vec<u32>) {
        match value {
            Value::Vector(items) => items.iter().for_each(|item| walk(item, name, out)),
            Value::Object(object) => {
                if object.definition.name == name {
                    out.push(object.definition.id);
                }
                object.values.iter().for_each(|value| walk(value, name, out));
            }
            _ => {}
        }
    }
    let value = dynamic::decode(layers::schema(layer).unwrap(), body).unwrap_or_else(|e| panic!("not of layer {layer}: {e}"));
    let mut out = Vec::new();
    walk(&value, name, &mut out);
    out
}

#[tokio::test(flavor = "multi_thread")]
async fn each_session_of_a_key_is_answered_in_the_layer_that_it_said_and_told_in_that_of_the_key() {
    let dir = tempfile::tempdir().unwrap();
    let (cluster, dcs, pem) = cluster_with(dir.path(), without_notices()).await;
    beside(move || {
        let options = plain(Kind::Intermediate);
        let mut writer = Client::new(&dcs[0], &pem, &options, 1);
        writer.login("9996611111");
        let mut first = Client::new(&dcs[0], &pem, &options, 2);
        first.login("9996611111");
        let spoken = [198, 201, 214, 224, 230];
        let mut sessions: Vec<_> =
            (3..).zip(spoken).map(|(seed, layer)| (layer, first.sibling(&dcs[0], &options, seed))).collect();
        for (layer, session) in &mut sessions {
            session.stands(Some(*layer));
        }
        // The key's layer is what was said last; a session that says nothing speaks that.
        let mut silent = first.sibling(&dcs[0], &options, 20);
        silent.stands(None);
        sessions[1].1.stands(Some(201));
        let mut later = first.sibling(&dcs[0], &options, 21);
        later.stands(None);
        sessions.push((230, silent));
        sessions.push((201, later));

        let media = types::InputMediaUploadedDocument {
            file: types::InputFile { id: 1, parts: 1, name: "f".into(), md5_checksum: "".into() }.into(),
            ..Default::default()
        };
        writer.call(f::upload::SaveFilePart { file_id: 1, file_part: 0, bytes: Bytes::from_static(b"x") }).unwrap();
        let peer = enums::InputPeer::PeerSelf;
        writer.call(f::messages::SendMedia { peer, media: media.into(), random_id: 5, ..Default::default() }).unwrap();
        for (layer, session) in &mut sessions {
            let schema = layers::schema(*layer).unwrap();
            // Saved Messages, in the layer's words: inputUserSelf, and a vector of one.
            let arguments = [0x1cb5_c415_u32, 1, 0xf7c1_b13f].map(u32::to_le_bytes).concat();
            let users = session.call_raw(method(*layer, "users.getUsers", &arguments)).unwrap();
            let user = schema.constructor("user").unwrap().id;
            assert_eq!(users[8..12], user.to_le_bytes(), "{layer}");
            // Methods of another layer are refused, known to the cluster or not.
            let foreign = if *layer < 224 { 230 } else { 198 };
            let refused = session.call_raw(method(foreign, "messages.sendMessage", &[0; 32])).unwrap_err();
            assert_eq!((refused.code, refused.name.as_str()), (400, "INPUT_METHOD_INVALID"), "{layer}: {}", refused.message);
        }
        // They have been answered, so what was pushed before has come. Of all those sessions the one that called last is told; it speaks 201, and so does the key.
        let (last, others) = sessions.split_last_mut().unwrap();
        for (layer, session) in others {
            assert!(session.heard.is_empty(), "{layer}");
        }
        let update = last.1.next_update();
        let schema = layers::schema(201).unwrap();
        for name in ["updateNewMessage", "message", "document", "user"] {
            assert_eq!(ids(201, name, update.clone()), [schema.constructor(name).unwrap().id], "{name}");
        }
        let layer = |session: &mut Client, layer| {
            let call = introduced(f::updates::GetState);
            session.call_raw(f::InvokeWithLayer { layer, ..call }.to_bytes()).map_err(|error| error.message)
        };
        assert_eq!(layer(&mut first, 200).unwrap_err(), "CONNECTION_LAYER_INVALID");
        assert!(layer(&mut first, 199).is_ok());
    })
    .await;
    cluster.shutdown().await;
}
