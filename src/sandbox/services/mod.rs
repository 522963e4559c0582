//! What the methods do, one file per area of the API. A service takes a typed request and the caller's context, and gives the typed
//! answer or the error of the real servers; what has to be told to others is left in the context for the connection layer.

use bytes::Bytes;
use rand::Rng;
use rusqlite::Connection;

use self::memory::Memory;
use super::fault::Fault;
use super::policy::Mishaps;
use super::state::State;
use super::state::keys::Auth;
use super::state::passwords;
use super::state::users::{self, User};
use tdl_core::ids::{MsgId, SessionId};
use tdl_core::tl::api::enums;
use tdl_core::tl::{Deserialize, Serialize};

pub(crate) mod account;
pub(crate) mod auth;
pub(crate) mod authorizations;
pub(crate) mod bot;
pub(crate) mod cdn;
pub(crate) mod codes;
pub(crate) mod composed;
pub(crate) mod contacts;
pub(crate) mod dialogs;
pub(crate) mod email;
pub(crate) mod help;
pub(crate) mod history;
pub(crate) mod langpack;
pub(crate) mod login_token;
pub(crate) mod media;
pub(crate) mod memory;
pub(crate) mod notices;
pub(crate) mod password;
pub(crate) mod recovery;
pub(crate) mod send;
pub(crate) mod stories;
pub(crate) mod takeout;
pub(crate) mod terms;
pub(crate) mod updates;
pub(crate) mod upload;
pub(crate) mod users_service;
pub(crate) mod view;

#[cfg(test)]
mod tests;

/// One DC's address, for `help.getConfig`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct DcInfo {
    pub(crate) id: i32,
    pub(crate) ip: String,
    pub(crate) port: u16,
    /// For file contents only.
    pub(crate) media_only: bool,
    /// A CDN DC.
    pub(crate) cdn: bool,
}

impl DcInfo {
    /// The address of an ordinary DC.
    pub(crate) fn new(id: i32, ip: &str, port: u16) -> Self {
        Self { id, ip: ip.to_owned(), port, media_only: false, cdn: false }
    }
}

/// What goes through the CDN DC of a cluster, and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Cdn {
    /// Documents of at least so many bytes are redirected there, for clients that say that they can follow. 0: all of them.
    pub from_size: i64,
    /// Seconds for which a redirect's file token can be used.
    pub token_lifetime: i64,
    /// How many files it keeps; the one that was asked for the longest ago goes first.
    pub kept: usize,
}

impl Default for Cdn {
    /// Documents of 128 KiB and more, for an hour, 256 of them.
    fn default() -> Self {
        Self { from_size: 128 * 1024, token_lifetime: 3600, kept: 256 }
    }
}

/// The CDN DC of a cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct CdnSettings {
    /// Its number.
    pub(crate) dc: i32,
    /// Its RSA key, in PEM.
    pub(crate) public_key: String,
    /// What goes through it.
    pub(crate) rules: Cdn,
}

/// What all services know about the cluster.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) dcs: Vec<DcInfo>,
    /// New accounts have Premium: files of up to 8000 parts instead of 4000.
    pub(crate) premium: bool,
    /// Seconds for which a file reference can be used.
    pub(crate) file_reference_lifetime: i64,
    /// What holds for authorizations.
    pub(crate) rules: Rules,
    /// The CDN DC, if there is one.
    pub(crate) cdn: Option<CdnSettings>,
}

/// Which of the real servers' rules about authorizations hold here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Rules {
    /// An authorization that is younger than a day ends no other: `FRESH_RESET_AUTHORISATION_FORBIDDEN`.
    pub fresh: bool,
    /// An authorization that is used from two addresses at once is ended: `AUTH_KEY_DUPLICATED`.
    pub duplicates: bool,
    /// An account with authorizations is told of its login codes and of new authorizations, by messages from 777000.
    pub notices: bool,
}

impl Default for Rules {
    /// All of them.
    fn default() -> Self {
        Self { fresh: true, duplicates: true, notices: true }
    }
}

impl Settings {
    pub(crate) fn dc_count(&self) -> i32 {
        let ordinary = self.dcs.iter().filter(|dc| !dc.cdn && !dc.media_only).count();
        i32::try_from(ordinary).unwrap_or(i32::MAX)
    }

    /// Whether a DC is a CDN DC, which knows one method only.
    pub(crate) fn is_cdn(&self, dc: i32) -> bool {
        self.cdn.as_ref().is_some_and(|cdn| cdn.dc == dc)
    }
}

/// Something to be done once the method has succeeded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Effect {
    /// Tell the account's subscribed sessions, all but the one that called.
    Push {
        /// The account.
        user: i64,
        /// An `Updates` object.
        updates: Bytes,
    },
    /// Tell the sessions of a key, whoever is logged in with it, or nobody.
    TellKey {
        /// The key's DC.
        dc: i32,
        /// The key; of a temporary one, the permanent one behind it.
        key_id: i64,
        /// An `Updates` object.
        updates: Bytes,
    },
    /// The authorization of a key ended: its sessions are no longer subscribed.
    LoggedOut {
        /// The key's DC.
        dc: i32,
        /// The key.
        key_id: i64,
    },
}

/// The call that a service answers.
pub(crate) struct Call<'a> {
    pub(crate) state: &'a State,
    pub(crate) settings: &'a Settings,
    /// The DC that was asked.
    pub(crate) dc: i32,
    /// Unix time.
    pub(crate) now: i64,
    pub(crate) rng: &'a mut dyn Rng,
    /// The key, the session and the message that the call came with.
    pub(crate) origin: Origin,
    /// What the caller's key stands for: of a temporary key that is bound, what the permanent one does.
    pub(crate) auth: Auth,
    /// The layer that the caller's session speaks: what it has said, or else what its key has.
    pub(crate) layer: Option<i32>,
    /// The takeout that it is made in: `invokeWithTakeout`.
    pub(crate) takeout: Option<i64>,
    /// What the cluster remembers until it stops.
    pub(crate) memory: &'a Memory,
    /// What is to go wrong with this call.
    pub(crate) mishaps: Mishaps,
    pub(crate) effects: Vec<Effect>,
}

/// Where a call came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Origin {
    /// The key that it was encrypted with.
    pub(crate) key_id: i64,
    /// Its session.
    pub(crate) session: SessionId,
    /// Its message.
    pub(crate) msg_id: MsgId,
}

impl Call<'_> {
    /// The account that is logged in.
    pub(crate) fn user_id(&self) -> Result<i64, Fault> {
        match self.auth.user {
            Some(id) => Ok(id),
            None if self.auth.revoked => Err(Fault::SessionRevoked),
            None if self.auth.expired => Err(Fault::SessionExpired),
            None if self.waits_for()?.is_some() => Err(Fault::SessionPasswordNeeded),
            None => Err(Fault::AuthKeyUnregistered),
        }
    }

    /// The account that is logged in, with what is known about it.
    pub(crate) fn user(&self) -> Result<User, Fault> {
        let id = self.user_id()?;
        self.state.read(|db| users::by_id(db, id))?.ok_or(Fault::AuthKeyUnregistered)
    }

    /// The account whose password the key waits for: the login is half done.
    pub(crate) fn waits_for(&self) -> Result<Option<i64>, Fault> {
        Ok(self.state.read(|db| passwords::waiting(db, self.auth.dc, self.auth.key_id))?)
    }

    /// The account that a password belongs to: the one that the key waits for, or else the one that is logged in.
    pub(crate) fn account(&self) -> Result<User, Fault> {
        let Some(id) = self.waits_for()? else { return self.user() };
        self.state.read(|db| users::by_id(db, id))?.ok_or(Fault::AuthKeyUnregistered)
    }

    /// Unix time as the API writes it.
    pub(crate) fn date(&self) -> i32 {
        unix32(self.now)
    }

    /// Leaves an update for an account's other sessions.
    pub(crate) fn push(&mut self, user: i64, updates: &enums::Updates) {
        self.effects.push(Effect::Push { user, updates: updates.to_bytes() });
    }

    /// Leaves an update for all sessions of a key.
    pub(crate) fn tell_key(&mut self, dc: i32, key_id: i64, updates: &enums::Updates) {
        self.effects.push(Effect::TellKey { dc, key_id, updates: updates.to_bytes() });
    }

    /// A random number other than zero, and positive: an id.
    pub(crate) fn random_id(&mut self) -> i64 {
        i64::try_from(self.rng.next_u64() >> 1).unwrap_or(i64::MAX).max(1)
    }
}

/// Unix time as the API writes it: 32 bits.
pub(crate) fn unix32(time: i64) -> i32 {
    i32::try_from(time).unwrap_or(i32::MAX)
}

/// The access hash of one account in the hands of another. Every pair has its own, so a hash that somebody else was given is worth
/// nothing.
pub(crate) fn user_access_hash(state: &State, viewer: i64, user: i64) -> i64 {
    state.derive(b"user", &[viewer, user])
}

/// The account that an `InputUser` names, if its access hash is right.
pub(crate) fn input_user(state: &State, db: &Connection, viewer: i64, user: &enums::InputUser) -> Result<Option<User>, Fault> {
    let (id, hash) = match user {
        enums::InputUser::UserSelf => (viewer, None),
        enums::InputUser::User(u) => (u.user_id, Some(u.access_hash)),
        enums::InputUser::FromMessage(m) => {
            // Nobody is ever seen without an access hash here (there are no `min` users), but the form is a legal one.
            let seen = input_peer(state, db, viewer, &m.peer)?.id == m.user_id || m.user_id == viewer;
            return if seen { Ok(users::by_id(db, m.user_id)?) } else { Ok(None) };
        }
        enums::InputUser::Empty => return Ok(None),
    };
    if hash.is_some_and(|hash| hash != user_access_hash(state, viewer, id)) {
        return Ok(None);
    }
    Ok(users::by_id(db, id)?)
}

/// The account that an `InputPeer` names: there are only accounts here, no groups yet.
pub(crate) fn input_peer(state: &State, db: &Connection, viewer: i64, peer: &enums::InputPeer) -> Result<User, Fault> {
    let (id, hash) = match peer {
        enums::InputPeer::PeerSelf => (viewer, None),
        enums::InputPeer::User(u) => (u.user_id, Some(u.access_hash)),
        _ => return Err(Fault::PeerIdInvalid),
    };
    if hash.is_some_and(|hash| hash != user_access_hash(state, viewer, id)) {
        return Err(Fault::PeerIdInvalid);
    }
    users::by_id(db, id)?.ok_or(Fault::PeerIdInvalid)
}

/// Reads back a value that the cluster itself serialized into its database.
pub(crate) fn stored<T: Deserialize>(bytes: &[u8], what: &'static str) -> Result<T, Fault> {
    T::from_bytes(Bytes::copy_from_slice(bytes)).map_err(|_| Fault::Internal(super::state::Error::Damaged(what)))
}
