//! Generic methods around a method: `invokeWithLayer`, `initConnection`, `invokeAfterMsg` and the like. All of them end with the query that
//! they wrap. See "Calling API Methods".

use bytes::{Bytes, BytesMut};

use crate::ids::MsgId;
use crate::tl::api::functions as f;
use crate::tl::{Deserialize as _, Identifiable as _, RawObject};

/// Wrappers that are looked through; nobody needs more than four.
pub const MAX_WRAPPERS: usize = 8;

/// A wrapper, taken off.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peeled {
    /// What was inside: the end of the same buffer.
    pub query: Bytes,
    /// The messages that the wrapper names, if it is `invokeAfterMsg` or `invokeAfterMsgs`.
    pub after: Option<Vec<MsgId>>,
    /// The layer that the wrapper names, if it is `invokeWithLayer`.
    pub layer: Option<i32>,
}

/// Takes the outermost wrapper off a serialized call. `None`: there is none, or it cannot be read.
pub fn peel(body: &Bytes) -> Option<Peeled> {
    macro_rules! plain {
        ($($wrapper:ident),*) => {
            match constructor(body) {
                $(f::$wrapper::<RawObject>::ID => {
                    let wrapper = f::$wrapper::<RawObject>::from_bytes(body.clone()).ok()?;
                    Some(Peeled { query: wrapper.query.0, after: None, layer: None })
                })*
                _ => None,
            }
        };
    }
    match constructor(body) {
        f::InvokeAfterMsg::<RawObject>::ID => {
            let wrapper = f::InvokeAfterMsg::<RawObject>::from_bytes(body.clone()).ok()?;
            Some(Peeled { query: wrapper.query.0, after: Some(vec![MsgId(wrapper.msg_id)]), layer: None })
        }
        f::InvokeAfterMsgs::<RawObject>::ID => {
            let wrapper = f::InvokeAfterMsgs::<RawObject>::from_bytes(body.clone()).ok()?;
            Some(Peeled { query: wrapper.query.0, after: Some(wrapper.msg_ids.into_iter().map(MsgId).collect()), layer: None })
        }
        f::InvokeWithLayer::<RawObject>::ID => {
            let wrapper = f::InvokeWithLayer::<RawObject>::from_bytes(body.clone()).ok()?;
            Some(Peeled { query: wrapper.query.0, after: None, layer: Some(wrapper.layer) })
        }
        _ => plain!(
            InitConnection,
            InvokeWithoutUpdates,
            InvokeWithMessagesRange,
            InvokeWithTakeout,
            InvokeWithBusinessConnection
        ),
    }
}

/// A call, and what of it holds only in the session that it came in.
///
/// Nearly all wrappers mean the same in any session. Two name messages of their own, `invokeAfterMsg` and `invokeAfterMsgs`: they are taken
/// out, so that another session can write others, with the identifiers that the messages have there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// All of it, but for the wrappers that name messages.
    body: Bytes,
    /// Where the method itself begins.
    inner: usize,
    /// The method's constructor id; 0 if there is none.
    pub method: u32,
    /// Messages of the call's session that have to be done first.
    pub after: Vec<MsgId>,
    /// The layer that the call is in, if it says so.
    pub layer: Option<i32>,
}

impl Call {
    /// Looks through the wrappers. What cannot be read is left as it is, for the server to judge.
    pub fn read(body: Bytes) -> Self {
        let mut head = BytesMut::new();
        let (mut after, mut layer) = (Vec::new(), None);
        let (mut rest, mut whole) = (body.clone(), true);
        for _ in 0..MAX_WRAPPERS {
            let Some(Peeled { query, after: named, layer: said }) = peel(&rest) else { break };
            layer = said.or(layer);
            let own = rest.len().saturating_sub(query.len());
            match named {
                Some(ids) => {
                    after.extend(ids);
                    whole = false;
                }
                None => head.extend_from_slice(rest.get(..own).unwrap_or_default()),
            }
            rest = query;
        }
        let inner = head.len();
        let method = constructor(&rest);
        let body = if whole { body } else { join(&head, &rest) };
        Self { body, inner, method, after, layer }
    }

    /// The call without the wrappers that name messages.
    pub fn body(&self) -> Bytes {
        self.body.clone()
    }

    /// The method with its arguments, without wrappers.
    pub fn bare(&self) -> Bytes {
        self.body.slice(self.inner..)
    }

    /// The same call with another method inside its wrappers.
    #[must_use]
    pub fn with_bare(&self, bare: &[u8]) -> Self {
        let head = self.body.get(..self.inner).unwrap_or_default();
        Self { body: join(head, bare), method: constructor(bare), ..self.clone() }
    }
}

fn join(head: &[u8], rest: &[u8]) -> Bytes {
    let mut whole = BytesMut::with_capacity(head.len() + rest.len());
    whole.extend_from_slice(head);
    whole.extend_from_slice(rest);
    whole.freeze()
}

/// The constructor id of the method inside all wrappers; 0 if there is none.
pub fn method_of(body: &Bytes) -> u32 {
    let mut inner = body.clone();
    for _ in 0..MAX_WRAPPERS {
        match peel(&inner) {
            Some(peeled) => inner = peeled.query,
            None => break,
        }
    }
    constructor(&inner)
}

fn constructor(body: &[u8]) -> u32 {
    body.first_chunk().map_or(0, |id| u32::from_le_bytes(*id))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tl::Serialize as _;

    #[test]
    fn the_method_is_inside_all_wrappers() {
        let call = f::InvokeAfterMsg { msg_id: 4, query: f::InvokeWithoutUpdates { query: f::help::GetConfig } };
        let bytes = f::InvokeWithLayer { layer: 230, query: call }.to_bytes();
        assert_eq!(method_of(&bytes), f::help::GetConfig::ID);
        assert_eq!(method_of(&f::help::GetConfig.to_bytes()), f::help::GetConfig::ID);
        assert_eq!(method_of(&Bytes::new()), 0);
        for len in 0..bytes.len() {
            let _ = method_of(&bytes.slice(..len));
        }
    }

    #[test]
    fn a_wrapper_says_which_messages_it_names() {
        let bytes = f::InvokeAfterMsgs { msg_ids: vec![4, 8], query: f::help::GetConfig }.to_bytes();
        let expected = Peeled { query: f::help::GetConfig.to_bytes(), after: Some(vec![MsgId(4), MsgId(8)]), layer: None };
        assert_eq!(peel(&bytes), Some(expected));
        assert_eq!(peel(&f::help::GetConfig.to_bytes()), None);
    }

    fn config() -> Bytes {
        f::help::GetConfig.to_bytes()
    }

    #[test]
    fn what_names_no_message_is_passed_on_as_it_is() {
        let plain = Call::read(config());
        assert_eq!((plain.body(), plain.bare(), plain.method), (config(), config(), f::help::GetConfig::ID));
        let wrapped =
            f::InvokeWithLayer { layer: 230, query: f::InvokeWithoutUpdates { query: f::help::GetConfig } }.to_bytes();
        let call = Call::read(wrapped.clone());
        assert_eq!((call.body(), call.bare(), call.method), (wrapped, config(), f::help::GetConfig::ID));
        assert!(call.after.is_empty());
        assert_eq!((plain.layer, call.layer), (None, Some(230)));
    }

    #[test]
    fn what_names_messages_is_taken_out_wherever_it_is() {
        let without = f::InvokeWithLayer { layer: 230, query: f::help::GetConfig }.to_bytes();
        let inside = f::InvokeWithLayer { layer: 230, query: f::InvokeAfterMsg { msg_id: 4, query: f::help::GetConfig } };
        let around =
            f::InvokeAfterMsgs { msg_ids: vec![4, 8], query: f::InvokeWithLayer { layer: 230, query: f::help::GetConfig } };
        for (bytes, ids) in [(inside.to_bytes(), vec![MsgId(4)]), (around.to_bytes(), vec![MsgId(4), MsgId(8)])] {
            let call = Call::read(bytes);
            assert_eq!((call.body(), call.bare(), call.after), (without.clone(), config(), ids));
        }
    }

    #[test]
    fn another_method_goes_into_the_same_wrappers() {
        let call = Call::read(f::InvokeWithLayer { layer: 230, query: f::help::GetConfig }.to_bytes());
        let changed = call.with_bare(&f::help::GetNearestDc.to_bytes());
        assert_eq!(changed.body(), f::InvokeWithLayer { layer: 230, query: f::help::GetNearestDc }.to_bytes());
        assert_eq!(changed.method, f::help::GetNearestDc::ID);
    }

    #[test]
    fn no_prefix_of_a_wrapped_call_is_trouble() {
        let bytes =
            f::InvokeAfterMsgs { msg_ids: vec![1, 2], query: f::InvokeWithLayer { layer: 1, query: f::help::GetConfig } };
        let bytes = bytes.to_bytes();
        for len in 0..bytes.len() {
            let call = Call::read(bytes.slice(..len));
            assert!(call.body().len() <= len && call.bare().len() <= len);
        }
    }
}
