//! From what a person calls a chat to a peer of the API. Every peer that an answer shows is remembered with its access hash, so that
//! a bare id works later.

use std::collections::HashMap;

use super::ChatError;
use super::links::ChatRef;
use crate::client::{Client, InvokeError, PeerKind, PeerRecord};
use crate::tl::Str;
use crate::tl::api::{enums, functions, types};

/// A chat that can be addressed.
#[derive(Clone)]
pub struct Peer {
    /// How the API addresses it.
    pub input: enums::InputPeer,
    /// Bare identifier; our own for Saved Messages.
    pub id: i64,
    /// What a person calls it.
    pub title: String,
}

/// The peers that one answer shows, by kind and id.
#[derive(Default)]
pub struct Seen {
    peers: HashMap<(PeerKind, i64), PeerRecord>,
}

impl Seen {
    /// Collects the users and chats of an answer. Those without an access hash, and the partial ones ("min"), are left out: they cannot
    /// be addressed.
    pub fn collect(users: &[enums::User], chats: &[enums::Chat]) -> Self {
        let users = users.iter().filter_map(user_record);
        let chats = chats.iter().filter_map(chat_record);
        Self { peers: users.chain(chats).map(|r| ((r.kind, r.id), r)).collect() }
    }

    /// The record of a peer that the answer mentions.
    pub fn of(&self, peer: &enums::Peer) -> Option<&PeerRecord> {
        self.peers.get(&key_of(peer))
    }

    /// All of them.
    pub fn records(&self) -> Vec<PeerRecord> {
        self.peers.values().cloned().collect()
    }

    /// Remembers them in the namespace.
    ///
    /// # Errors
    ///
    /// The namespace's.
    pub fn remember(&self, client: &Client) -> Result<(), ChatError> {
        if !self.peers.is_empty() {
            client.store().save_peers(&self.records())?;
        }
        Ok(())
    }
}

/// Kind and bare id of a peer.
pub fn key_of(peer: &enums::Peer) -> (PeerKind, i64) {
    match peer {
        enums::Peer::User(p) => (PeerKind::User, p.user_id),
        enums::Peer::Chat(p) => (PeerKind::Chat, p.chat_id),
        enums::Peer::Channel(p) => (PeerKind::Channel, p.channel_id),
    }
}

/// How the API addresses a remembered peer.
pub fn input_of(record: &PeerRecord) -> enums::InputPeer {
    match record.kind {
        PeerKind::User => types::InputPeerUser { user_id: record.id, access_hash: record.access_hash }.into(),
        PeerKind::Chat => types::InputPeerChat { chat_id: record.id }.into(),
        PeerKind::Channel => types::InputPeerChannel { channel_id: record.id, access_hash: record.access_hash }.into(),
    }
}

impl From<&PeerRecord> for Peer {
    fn from(record: &PeerRecord) -> Self {
        Self { input: input_of(record), id: record.id, title: record.title.clone() }
    }
}

/// Our own user: Saved Messages is the chat with oneself.
///
/// # Errors
///
/// The server's and the connection's.
pub async fn own_user(client: &Client) -> Result<types::User, ChatError> {
    let request = functions::users::GetUsers { id: vec![enums::InputUser::UserSelf] };
    match client.invoke(&request).await?.into_iter().next() {
        Some(enums::User::User(user)) => Ok(*user),
        _ => Err(ChatError::UnexpectedAnswer { method: "users.getUsers" }),
    }
}

/// Finds the chat that a person named.
///
/// # Errors
///
/// [`ChatError::UnknownId`] for an id that no answer has shown yet, [`ChatError::NotFound`] for a name or number that nobody has.
pub async fn resolve(client: &Client, chat: &ChatRef) -> Result<Peer, ChatError> {
    match chat {
        ChatRef::Own => {
            let user = own_user(client).await?;
            Ok(Peer { input: enums::InputPeer::PeerSelf, id: user.id, title: "Saved Messages".to_owned() })
        }
        ChatRef::Id(id) => {
            let store = client.store();
            // First: the chat with oneself is not called as other people call us.
            if store.account()?.is_some_and(|account| account.user_id == *id) {
                return Ok(Peer { input: enums::InputPeer::PeerSelf, id: *id, title: "Saved Messages".to_owned() });
            }
            for kind in [PeerKind::Channel, PeerKind::User, PeerKind::Chat] {
                if let Some(record) = store.peer(kind, *id)? {
                    return Ok(Peer::from(&record));
                }
            }
            Err(ChatError::UnknownId { id: *id })
        }
        ChatRef::Username(name) => {
            if let Some(record) = client.store().peer_by_username(name)? {
                return Ok(Peer::from(&record));
            }
            let request = functions::contacts::ResolveUsername { username: Str::from(name.as_str()), referer: None };
            resolved(client, chat, client.invoke(&request).await)
        }
        ChatRef::Phone(phone) => {
            let request = functions::contacts::ResolvePhone { phone: Str::from(phone.as_str()) };
            resolved(client, chat, client.invoke(&request).await)
        }
    }
}

fn resolved(
    client: &Client,
    chat: &ChatRef,
    answer: Result<enums::contacts::ResolvedPeer, InvokeError>,
) -> Result<Peer, ChatError> {
    let enums::contacts::ResolvedPeer::Peer(answer) = match answer {
        Err(InvokeError::Rpc(error))
            if matches!(error.name.as_str(), "USERNAME_NOT_OCCUPIED" | "USERNAME_INVALID" | "PHONE_NOT_OCCUPIED") =>
        {
            return Err(ChatError::NotFound(chat.clone()));
        }
        other => other?,
    };
    let seen = Seen::collect(&answer.users, &answer.chats);
    seen.remember(client)?;
    seen.of(&answer.peer).map(Peer::from).ok_or_else(|| ChatError::NotFound(chat.clone()))
}

fn user_record(user: &enums::User) -> Option<PeerRecord> {
    let enums::User::User(user) = user else { return None };
    if user.min {
        return None;
    }
    Some(PeerRecord {
        kind: PeerKind::User,
        id: user.id,
        access_hash: user.access_hash?,
        username: main_username(user.username.as_ref(), user.usernames.as_deref()),
        title: user_name(user),
    })
}

/// First and last name, or what stands in for them.
pub fn user_name(user: &types::User) -> String {
    if user.deleted {
        return "Deleted Account".to_owned();
    }
    let names = [user.first_name.as_ref(), user.last_name.as_ref()];
    let name = names.into_iter().flatten().map(|n| n.trim()).filter(|n| !n.is_empty()).collect::<Vec<_>>().join(" ");
    if name.is_empty() { user.id.to_string() } else { name }
}

fn main_username(username: Option<&Str>, usernames: Option<&[enums::Username]>) -> Option<String> {
    let collectible = || {
        usernames.into_iter().flatten().find_map(|name| {
            let enums::Username::Username(name) = name;
            name.active.then(|| name.username.to_string())
        })
    };
    username.map(ToString::to_string).or_else(collectible)
}

fn chat_record(chat: &enums::Chat) -> Option<PeerRecord> {
    match chat {
        enums::Chat::Chat(chat) => Some(PeerRecord {
            kind: PeerKind::Chat,
            id: chat.id,
            access_hash: 0,
            username: None,
            title: chat.title.to_string(),
        }),
        enums::Chat::Forbidden(chat) => Some(PeerRecord {
            kind: PeerKind::Chat,
            id: chat.id,
            access_hash: 0,
            username: None,
            title: chat.title.to_string(),
        }),
        enums::Chat::Channel(channel) if !channel.min => Some(PeerRecord {
            kind: PeerKind::Channel,
            id: channel.id,
            access_hash: channel.access_hash?,
            username: main_username(channel.username.as_ref(), channel.usernames.as_deref()),
            title: channel.title.to_string(),
        }),
        enums::Chat::ChannelForbidden(channel) => Some(PeerRecord {
            kind: PeerKind::Channel,
            id: channel.id,
            access_hash: channel.access_hash,
            username: None,
            title: channel.title.to_string(),
        }),
        // A community has no messages of its own.
        enums::Chat::Channel(_) | enums::Chat::Empty(_) | enums::Chat::Community(_) | enums::Chat::CommunityForbidden(_) => {
            None
        }
    }
}
