//! Generic methods around a method: `invokeWithLayer`, `initConnection`, `invokeAfterMsg` and the like. All of them end with the query that
//! they wrap. See "Calling API Methods".

use bytes::Bytes;

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
}

/// Takes the outermost wrapper off a serialized call. `None`: there is none, or it cannot be read.
pub fn peel(body: &Bytes) -> Option<Peeled> {
    macro_rules! plain {
        ($($wrapper:ident),*) => {
            match constructor(body) {
                $(f::$wrapper::<RawObject>::ID => {
                    let wrapper = f::$wrapper::<RawObject>::from_bytes(body.clone()).ok()?;
                    Some(Peeled { query: wrapper.query.0, after: None })
                })*
                _ => None,
            }
        };
    }
    match constructor(body) {
        f::InvokeAfterMsg::<RawObject>::ID => {
            let wrapper = f::InvokeAfterMsg::<RawObject>::from_bytes(body.clone()).ok()?;
            Some(Peeled { query: wrapper.query.0, after: Some(vec![MsgId(wrapper.msg_id)]) })
        }
        f::InvokeAfterMsgs::<RawObject>::ID => {
            let wrapper = f::InvokeAfterMsgs::<RawObject>::from_bytes(body.clone()).ok()?;
            Some(Peeled { query: wrapper.query.0, after: Some(wrapper.msg_ids.into_iter().map(MsgId).collect()) })
        }
        _ => plain!(
            InvokeWithLayer,
            InitConnection,
            InvokeWithoutUpdates,
            InvokeWithMessagesRange,
            InvokeWithTakeout,
            InvokeWithBusinessConnection
        ),
    }
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
        let expected = Peeled { query: f::help::GetConfig.to_bytes(), after: Some(vec![MsgId(4), MsgId(8)]) };
        assert_eq!(peel(&bytes), Some(expected));
        assert_eq!(peel(&f::help::GetConfig.to_bytes()), None);
    }
}
