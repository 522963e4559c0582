//! What was seen, as plain values.

use std::collections::BTreeMap;
use std::net::IpAddr;

use crate::account::Authorizations;
use crate::client::{Identity, KeyUse, Unauthorized};
use crate::ids::DcId;

/// All that was seen. Times are Unix times in seconds, by this machine's clock unless they are said to be the server's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Evidence {
    /// When the looking ended.
    pub now: i64,
    /// What this namespace says of itself to the server.
    pub said: Identity,
    /// The address that this machine calls from, where the server should see the same: it is public, or the data centre is on this machine.
    pub address: Option<IpAddr>,
    /// Whose key this is, if it is not ours.
    pub borrowed: Option<String>,
    /// Another process has the namespace open.
    pub other_process: bool,
    /// The permanent keys, by DC.
    pub keys: Vec<KeyEvidence>,
    /// The temporary keys that are stored once all questions were asked.
    pub temporary: Vec<TempEvidence>,
    /// What the server said, in the order in which it was asked: before anything else, and after having listened. Empty if it did not say.
    pub samples: Vec<Sample>,
    /// Why the server says nothing to this key any more.
    pub ended: Option<Unauthorized>,
    /// Why a question was not answered, in words, where it was another reason.
    pub refused: Option<String>,
    /// Server time minus local time.
    pub time_offset: i64,
    /// What happened in the protocol meanwhile.
    pub protocol: Protocol,
    /// What came of listening, if that was done.
    pub watch: Option<WatchEvidence>,
}

/// A permanent key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyEvidence {
    /// Its DC.
    pub dc: DcId,
    /// Its id.
    pub key_id: i64,
    /// The account lives there.
    pub home: bool,
    /// What became of a ping under it.
    pub state: KeyState,
}

/// What became of a ping under a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyState {
    /// It was answered.
    Known,
    /// Transport error -404: the server does not know the key.
    Forgotten,
    /// There was no connection, or another kind of trouble: nothing is known.
    Unknown,
}

/// A temporary key on record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TempEvidence {
    /// Its DC.
    pub dc: DcId,
    /// Its id.
    pub key_id: i64,
    /// What it is for.
    pub key_use: KeyUse,
    /// When it ends, by the server's clock.
    pub expires_at: i64,
}

/// What the server has on record at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sample {
    /// The account's authorizations.
    pub authorizations: Authorizations,
    /// The layers that the key may be on record with; empty if that could not be found out.
    pub layers: Vec<i32>,
}

/// What happened in the protocol, counted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Protocol {
    /// Sessions that we began.
    pub sessions: usize,
    /// `new_session_created` for a session that had been in use, or once more for one.
    pub begun_anew: usize,
    /// Connections that ended before we ended them.
    pub lost_connections: usize,
    /// `bad_server_salt`, as often as it came on the connection on which it came most often.
    pub salts_refused: usize,
    /// `bad_msg_notification` and `bad_server_salt`, by code.
    pub bad_messages: BTreeMap<i32, usize>,
    /// Server minus local time, as it was learnt last.
    pub time_offset: Option<i64>,
}

/// What came of listening.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WatchEvidence {
    /// For how long.
    pub seconds: u64,
    /// Events of the account's own counter (`pts`) that happened meanwhile, as `updates.getDifference` would tell them.
    pub happened: u32,
    /// Those of them that were pushed to us.
    pub pushed: u32,
}

impl Evidence {
    /// The server's clock when the looking ended.
    pub fn server_now(&self) -> i64 {
        self.now.saturating_add(self.time_offset)
    }
}
