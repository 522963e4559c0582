//! Which layer a client speaks, and what it is told in it. The services know one layer only, that of the generated types; what comes in and
//! goes out is translated here.
//!
//! A session's layer is what it said last in `invokeWithLayer`; a session that says nothing speaks what its key's was when it first called, which
//! is what was last said by any session of the key. So each is answered in the layer that it named; what it is told unasked is in its key's
//! (`server/routing.rs`). Layers that are not bundled are refused: guessing would give a client constructors that it does not know.

use bytes::Bytes;

use super::fault::Fault;
use tdl_core::tl::dynamic;
use tdl_core::tl::translate::{Lack, TranslateError, Translator};
use tdl_core::tl::{self, layers};

/// The layer of the generated types, which the services speak.
pub const OWN_LAYER: i32 = tl::api::LAYER;

fn translator(from: i32, to: i32) -> Result<Translator, Fault> {
    Translator::between(from, to).map_err(|error| {
        tracing::error!(%error, "a layer that was accepted is not there");
        Fault::ConnectionLayerInvalid
    })
}

/// Whether clients of a layer are answered in it.
pub(crate) fn is_spoken(layer: i32) -> bool {
    layers::bundled().contains(&layer)
}

/// The name of a method or constructor in a client's layer.
pub(crate) fn name_of(layer: i32, id: u32) -> Option<&'static str> {
    layers::schema(layer).ok()?.by_id(id).map(|definition| definition.name.as_str())
}

/// Refuses a layer that is not spoken, and says in the log which one would be.
pub(crate) fn check(layer: i32) -> Result<(), Fault> {
    if is_spoken(layer) {
        return Ok(());
    }
    let nearest = layers::bundled().iter().copied().min_by_key(|bundled| bundled.abs_diff(layer)).unwrap_or(OWN_LAYER);
    tracing::warn!(layer, nearest, "a client speaks a layer that is not bundled; the nearest that is");
    Err(Fault::ConnectionLayerInvalid)
}

/// A method with its arguments, from a client's layer into our own. What the client's layer does not have is refused, even if ours has it.
pub(crate) fn request(layer: i32, body: Bytes) -> Result<Bytes, Fault> {
    let id = body.first_chunk().map_or(0, |id| u32::from_le_bytes(*id));
    let len = body.len().saturating_sub(4);
    let schema = layers::schema(layer).map_err(|_| Fault::ConnectionLayerInvalid)?;
    if schema.by_id(id).is_none_or(|d| d.kind != tl::schema::Kind::Function) {
        tracing::warn!(layer, id = format_args!("{id:#010x}"), "not a method of the client's layer");
        return Err(Fault::InputMethodInvalid { id, len });
    }
    if layer == OWN_LAYER {
        return Ok(body);
    }
    translator(layer, OWN_LAYER)?.request(body).map_err(|error| {
        tracing::warn!(layer, id = format_args!("{id:#010x}"), %error, "call could not be read in the client's layer");
        fault_of(&error, id, len)
    })
}

/// What a call that cannot be translated is refused with.
fn fault_of(error: &TranslateError, id: u32, len: usize) -> Fault {
    match error {
        TranslateError::UnknownMethod { .. } => Fault::InputMethodInvalid { id, len },
        TranslateError::Inexpressible(lack) if matches!(lack.lack, Lack::Method(_)) => Fault::InputMethodInvalid { id, len },
        TranslateError::Decode { error: dynamic::Error::UnknownId { .. } | dynamic::Error::WrongType { .. }, .. } => {
            Fault::InputConstructorInvalid
        }
        _ => Fault::InputFetchError,
    }
}

/// A method's answer, from our own layer into a client's.
pub(crate) fn result(layer: i32, method: u32, body: Bytes) -> Result<Bytes, Fault> {
    if layer == OWN_LAYER {
        return Ok(body);
    }
    translator(OWN_LAYER, layer)?.result(method, body).map_err(|error| {
        let name = tl::name_of(method).unwrap_or("not in the schema");
        tracing::error!(layer, name, %error, "an answer cannot be said in the client's layer");
        Fault::LayerLacksAnswer
    })
}

/// An update, from our own layer into a client's. None if it cannot be said there: the client sees the gap in its counter, and asks.
pub(crate) fn update(layer: i32, body: Bytes) -> Option<Bytes> {
    if layer == OWN_LAYER {
        return Some(body);
    }
    let translated = translator(OWN_LAYER, layer).ok()?.object(body);
    translated.map_err(|error| tracing::warn!(layer, %error, "an update cannot be said in a client's layer")).ok()
}

#[cfg(test)]
mod tests {
    use tdl_core::tl::api::{enums, functions as f, types};
    use tdl_core::tl::{Deserialize as _, Identifiable, Serialize as _};

    use super::*;

    #[test]
    fn a_layer_is_spoken_as_it_is_or_not_at_all() {
        for layer in layers::bundled() {
            assert!(check(*layer).is_ok(), "{layer}");
        }
        for layer in [i32::MIN, 0, 197, 225, OWN_LAYER + 1, i32::MAX] {
            assert!(matches!(check(layer), Err(Fault::ConnectionLayerInvalid)), "{layer}");
        }
    }

    #[test]
    fn what_another_layer_has_is_refused_even_if_we_know_it() {
        // `messages.sendMessage` got another id each time that it got another argument.
        let own = f::messages::SendMessage { message: "x".into(), ..f::messages::SendMessage::default() }.to_bytes();
        assert!(request(OWN_LAYER, own.clone()).is_ok());
        let older = layers::schema(198).unwrap().function("messages.sendMessage").unwrap().id;
        assert_ne!(older, f::messages::SendMessage::ID);
        for layer in [198, 201, 214] {
            let refused = request(layer, own.clone());
            assert!(matches!(refused, Err(Fault::InputMethodInvalid { id: f::messages::SendMessage::ID, .. })), "{layer}");
        }
        let mut foreign = own.to_vec();
        foreign[..4].copy_from_slice(&older.to_le_bytes());
        assert!(matches!(request(OWN_LAYER, foreign.into()), Err(Fault::InputMethodInvalid { .. })));
        // An argument that is none: flags, and a method where a peer should be.
        let call = [older, 0, f::messages::SendMessage::ID, 0, 0, 0].map(u32::to_le_bytes).concat();
        assert!(matches!(request(198, call.into()), Err(Fault::InputConstructorInvalid)));
        assert!(matches!(request(198, Bytes::new()), Err(Fault::InputMethodInvalid { id: 0, len: 0 })));
    }

    #[test]
    fn an_update_reaches_every_layer_in_its_own_words() {
        let message = types::Message {
            id: 3,
            message: "hi".into(),
            peer_id: types::PeerUser { user_id: 5 }.into(),
            ..types::Message::default()
        };
        let user = types::User { id: 5, first_name: Some("Ann".into()), ..types::User::default() };
        let new = types::UpdateNewMessage { message: message.into(), pts: 4, pts_count: 1 };
        let updates =
            types::Updates { updates: vec![new.into()], users: vec![user.into()], date: 1, ..types::Updates::default() };
        let own = enums::Updates::from(updates).to_bytes();
        for layer in layers::bundled() {
            let body = update(*layer, own.clone()).unwrap();
            let schema = layers::schema(*layer).unwrap();
            let value = dynamic::decode(schema, body.clone()).unwrap_or_else(|e| panic!("{layer}: {e}"));
            assert!(format!("{value:?}").contains("\"hi\""), "{layer}: {value:?}");
            let back = Translator::between(*layer, OWN_LAYER).unwrap().object(body).unwrap();
            assert_eq!(enums::Updates::from_bytes(back).unwrap().to_bytes(), own, "{layer}");
        }
    }
}
