//! How far an account has been followed.

use std::collections::BTreeMap;

/// Channels whose counters are kept. An account can be a member of far fewer; a server that names more is not believed.
pub(super) const MAX_CHANNELS: usize = 20_000;

/// The counters of an account: everything up to them has been seen. What [`Feed`](super::Feed) stores.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UpdateState {
    /// The account's own counter: private chats and basic groups.
    pub pts: i32,
    /// The counter of secret chats and of what only bots hear.
    pub qts: i32,
    /// The counter of the envelopes `updates` and `updatesCombined`; 0 where the server does not count them.
    pub seq: i32,
    /// Server Unix time of the newest envelope, in seconds.
    pub date: i32,
    /// Each channel's own counter, by the channel's bare id.
    pub channels: BTreeMap<i64, i32>,
}
