//! A call as a client sent it: what it is, and which of its wrappers cannot be passed on as they are.
//!
//! Wrappers are generic methods around a method. Nearly all of them mean the same on the other side of the bridge, and are passed on byte
//! by byte. Two name messages of the client's session, `invokeAfterMsg` and `invokeAfterMsgs`: they are taken out, and the session with
//! the data centre writes others, with the identifiers that the messages have there.

use bytes::{Bytes, BytesMut};

use crate::ids::MsgId;
use crate::mtproto::wrappers::{self, MAX_WRAPPERS, Peeled};

/// A call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Call {
    /// All of it, but for the wrappers that name messages.
    body: Bytes,
    /// Where the method itself begins.
    inner: usize,
    /// The method's constructor id; 0 if there is none.
    pub(super) method: u32,
    /// Calls that have to be done first.
    pub(super) after: Vec<MsgId>,
}

impl Call {
    /// Looks through the wrappers. What cannot be read is left to the data centre to judge.
    pub(super) fn read(body: Bytes) -> Self {
        let mut head = BytesMut::new();
        let mut after = Vec::new();
        let mut rest = body.clone();
        for _ in 0..MAX_WRAPPERS {
            let Some(Peeled { query, after: named }) = wrappers::peel(&rest) else { break };
            let own = rest.len().saturating_sub(query.len());
            match named {
                Some(ids) => after.extend(ids),
                None => head.extend_from_slice(rest.get(..own).unwrap_or_default()),
            }
            rest = query;
        }
        let inner = head.len();
        let method = constructor(&rest);
        let body = if after.is_empty() { body } else { join(&head, &rest) };
        Self { body, inner, method, after }
    }

    /// What is passed on.
    pub(super) fn body(&self) -> Bytes {
        self.body.clone()
    }

    /// The method with its arguments, without wrappers.
    pub(super) fn bare(&self) -> Bytes {
        self.body.slice(self.inner..)
    }

    /// The same call with another method inside its wrappers.
    #[must_use]
    pub(super) fn with_bare(&self, bare: &[u8]) -> Self {
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

/// The id that a body begins with; 0 if it is too short for one.
pub(super) fn constructor(body: &[u8]) -> u32 {
    body.first_chunk().map_or(0, |id| u32::from_le_bytes(*id))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tl::api::functions as f;
    use crate::tl::{Identifiable as _, Serialize as _};

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
