//! What the state looks like to a client: rows into API objects, each as one account sees it.

use bytes::Bytes;
use rusqlite::Connection;

use super::notices::SERVICE_USER;
use super::{Call, stored, unix32, user_access_hash};
use crate::fault::Fault;
use crate::state::State;
use crate::state::files::{self, Blob, Document, Photo};
use crate::state::journal::{Entry, Event};
use crate::state::messages::{self, Dialog, Media, MediaKind, Message};
use crate::state::users::{self, User};
use crate::state::variants;
use tdl_core::tl::api::{enums, types};

/// Everything that a view depends on besides the row.
#[derive(Clone, Copy)]
pub(crate) struct View<'a> {
    pub(crate) state: &'a State,
    pub(crate) db: &'a Connection,
    pub(crate) viewer: i64,
    pub(crate) now: i64,
}

/// Which kind of file a reference is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FileKind {
    Photo = 1,
    Document = 2,
}

/// The first byte of our file references.
const REFERENCE_VERSION: u8 = 2;
/// Bytes of a file reference: version, time, generation, proof.
const REFERENCE_LEN: usize = 1 + 4 + 4 + 8;
/// References change this often at the least, so that nobody comes to rely on their staying the same.
const REFERENCE_STEP: i64 = 3600;

/// A file's access hash.
pub(crate) fn file_access_hash(state: &State, kind: FileKind, id: i64) -> i64 {
    state.derive(b"file", &[kind as i64, id])
}

/// How often references change that are good for so many seconds.
pub(crate) fn reference_step(lifetime: i64) -> i64 {
    lifetime.clamp(1, REFERENCE_STEP)
}

/// A file reference as it is given out now.
pub(crate) fn file_reference(state: &State, db: &Connection, kind: FileKind, id: i64, now: i64) -> Result<Bytes, Fault> {
    let step = state.reference_step();
    let stamp = unix32(now.div_euclid(step).saturating_mul(step));
    let generation = files::reference_generation(db, kind as i64, id)?;
    let mac = state.derive(b"file reference", &[kind as i64, id, stamp.into(), generation.into()]);
    let mut out = Vec::with_capacity(REFERENCE_LEN);
    out.push(REFERENCE_VERSION);
    out.extend_from_slice(&stamp.to_le_bytes());
    out.extend_from_slice(&generation.to_le_bytes());
    out.extend_from_slice(&mac.to_le_bytes());
    Ok(out.into())
}

/// Whether a file reference still opens the file.
pub(crate) fn check_file_reference(call: &Call<'_>, kind: FileKind, id: i64, reference: &[u8]) -> Result<(), Fault> {
    if reference.is_empty() {
        return Err(Fault::FileReferenceEmpty);
    }
    let parts = || {
        let (&version, rest) = reference.split_first()?;
        let (stamp, rest) = rest.split_first_chunk()?;
        let (generation, _) = rest.split_first_chunk()?;
        let good = version == REFERENCE_VERSION && reference.len() == REFERENCE_LEN;
        good.then(|| (i64::from(i32::from_le_bytes(*stamp)), i32::from_le_bytes(*generation)))
    };
    let (stamp, generation) = parts().ok_or(Fault::FileReferenceInvalid)?;
    let mac = call.state.derive(b"file reference", &[kind as i64, id, stamp, generation.into()]);
    if !reference.ends_with(&mac.to_le_bytes()) {
        return Err(Fault::FileReferenceInvalid);
    }
    let lifetime = call.settings.file_reference_lifetime;
    let until = stamp.saturating_add(lifetime).saturating_add(reference_step(lifetime));
    let is_present = call.state.read(|db| files::reference_generation(db, kind as i64, id))? == generation;
    if call.now > until || !is_present { Err(Fault::FileReferenceExpired) } else { Ok(()) }
}

/// A user as a `Peer`.
pub(crate) fn peer(user: i64) -> enums::Peer {
    types::PeerUser { user_id: user }.into()
}

fn text(value: &str) -> Option<tdl_core::tl::Str> {
    (!value.is_empty()).then(|| value.into())
}

impl View<'_> {
    /// An account.
    pub(crate) fn user(&self, user: &User) -> Result<enums::User, Fault> {
        let is_self = user.id == self.viewer;
        let is_service = user.id == SERVICE_USER;
        let kept = users::contact_name(self.db, self.viewer, user.id)?;
        let contact = kept.is_some();
        let keeps_viewer = users::contact_name(self.db, user.id, self.viewer)?.is_some();
        let (first, last) = kept.unwrap_or_else(|| (user.first_name.clone(), user.last_name.clone()));
        let status: enums::UserStatus = match user.online_until {
            0 => enums::UserStatus::Empty,
            until if until > self.now => types::UserStatusOnline { expires: unix32(until) }.into(),
            was => types::UserStatusOffline { was_online: unix32(was) }.into(),
        };
        Ok(types::User {
            is_self,
            contact,
            mutual_contact: contact && keeps_viewer,
            verified: is_service,
            support: is_service,
            premium: user.premium,
            id: user.id,
            access_hash: Some(user_access_hash(self.state, self.viewer, user.id)),
            first_name: text(&first),
            last_name: text(&last),
            username: user.username.as_deref().and_then(text),
            // A number is shown to its owner, and to those who had it anyway.
            phone: ((is_self || contact || is_service) && !user.bot).then(|| user.phone.as_str().into()),
            status: (!user.bot).then_some(status),
            bot: user.bot,
            bot_info_version: user.bot.then_some(1),
            ..types::User::default()
        }
        .into())
    }

    /// Accounts by id, each once, in the order of their ids.
    pub(crate) fn users(&self, ids: impl IntoIterator<Item = i64>) -> Result<Vec<enums::User>, Fault> {
        let mut ids: Vec<i64> = ids.into_iter().collect();
        ids.sort_unstable();
        ids.dedup();
        let mut out = Vec::with_capacity(ids.len());
        for id in ids {
            if let Some(user) = users::by_id(self.db, id)? {
                out.push(self.user(&user)?);
            }
        }
        Ok(out)
    }

    /// The accounts that messages speak of.
    pub(crate) fn users_of(&self, messages: &[Message]) -> Result<Vec<enums::User>, Fault> {
        self.users(View::spoken_of(messages))
    }

    /// Their ids.
    pub(crate) fn spoken_of(messages: &[Message]) -> impl Iterator<Item = i64> + '_ {
        messages.iter().flat_map(|m| [Some(m.peer), Some(m.sender), m.forward.map(|f| f.from)]).flatten()
    }

    /// A document.
    pub(crate) fn document(&self, d: &Document) -> Result<enums::Document, Fault> {
        let thumbs = d.thumb.map(|t| {
            let size = i32::try_from(t.blob.size).unwrap_or(i32::MAX);
            vec![types::PhotoSize { r#type: "m".into(), w: t.w, h: t.h, size }.into()]
        });
        Ok(types::Document {
            id: d.id,
            access_hash: file_access_hash(self.state, FileKind::Document, d.id),
            file_reference: file_reference(self.state, self.db, FileKind::Document, d.id, self.now)?,
            date: unix32(d.date),
            mime_type: d.mime.as_str().into(),
            size: d.blob.size,
            thumbs,
            video_thumbs: None,
            dc_id: d.dc,
            attributes: stored(&d.attributes, "document's attributes")?,
        }
        .into())
    }

    /// A photo, in its sizes: the one that it was sent in, and what an operator added.
    pub(crate) fn photo(&self, p: &Photo) -> Result<enums::Photo, Fault> {
        let sized = |letter: &str, w, h, blob: Blob| -> enums::PhotoSize {
            types::PhotoSize { r#type: letter.into(), w, h, size: i32::try_from(blob.size).unwrap_or(i32::MAX) }.into()
        };
        let others = variants::sizes(self.db, p.id)?;
        let others = others.iter().map(|size| sized(&size.letter, size.w, size.h, size.blob));
        Ok(types::Photo {
            has_stickers: false,
            id: p.id,
            access_hash: file_access_hash(self.state, FileKind::Photo, p.id),
            file_reference: file_reference(self.state, self.db, FileKind::Photo, p.id, self.now)?,
            date: unix32(p.date),
            sizes: others.chain([sized(photo_size_type(p.w, p.h), p.w, p.h, p.blob)]).collect(),
            video_sizes: None,
            dc_id: p.dc,
        }
        .into())
    }

    /// A message's media.
    pub(crate) fn media(&self, media: &Media) -> Result<enums::MessageMedia, Fault> {
        let missing = || Fault::Internal(crate::state::Error::Damaged("message's media"));
        Ok(match media.kind {
            MediaKind::None => enums::MessageMedia::Empty,
            MediaKind::Composed => self.composed(media.id)?,
            MediaKind::Photo => {
                let photo = files::photo(self.db, media.id)?.ok_or_else(missing)?;
                types::MessageMediaPhoto {
                    spoiler: media.spoiler,
                    photo: Some(self.photo(&photo)?),
                    ..types::MessageMediaPhoto::default()
                }
                .into()
            }
            MediaKind::Document
            | MediaKind::Video
            | MediaKind::Animation
            | MediaKind::Voice
            | MediaKind::Music
            | MediaKind::RoundVideo => {
                let document = files::document(self.db, media.id)?.ok_or_else(missing)?;
                let mut others = Vec::new();
                for other in variants::alternatives(self.db, media.id)? {
                    others.push(self.document(&files::document(self.db, other)?.ok_or_else(missing)?)?);
                }
                types::MessageMediaDocument {
                    alt_documents: (!others.is_empty()).then_some(others),
                    spoiler: media.spoiler,
                    video: media.kind == MediaKind::Video,
                    round: media.kind == MediaKind::RoundVideo,
                    voice: media.kind == MediaKind::Voice,
                    document: Some(self.document(&document)?),
                    ..types::MessageMediaDocument::default()
                }
                .into()
            }
        })
    }

    /// A message of the viewer's box.
    pub(crate) fn message(&self, m: &Message) -> Result<enums::Message, Fault> {
        let saved = m.owner == m.peer;
        Ok(types::Message {
            out: m.out,
            silent: m.silent,
            id: m.id,
            from_id: Some(peer(m.sender)),
            peer_id: peer(m.peer),
            saved_peer_id: saved.then(|| peer(m.forward.and_then(|f| f.saved).map_or(m.owner, |s| s.0))),
            fwd_from: self.forward(m),
            reply_to: reply(m),
            date: unix32(m.date),
            message: m.text.as_str().into(),
            media: m.media.as_ref().map(|media| self.media(media)).transpose()?,
            entities: self.entities(m)?,
            grouped_id: m.grouped_id,
            ..types::Message::default()
        }
        .into())
    }

    /// Messages, in order.
    pub(crate) fn messages(&self, list: &[Message]) -> Result<Vec<enums::Message>, Fault> {
        list.iter().map(|m| self.message(m)).collect()
    }

    /// The formatting of a message.
    pub(crate) fn entities(&self, m: &Message) -> Result<Option<Vec<enums::MessageEntity>>, Fault> {
        m.entities.as_deref().map(|bytes| stored(bytes, "message's entities")).transpose()
    }

    /// Where a message was forwarded from.
    fn forward(&self, m: &Message) -> Option<enums::MessageFwdHeader> {
        let f = m.forward?;
        Some(
            types::MessageFwdHeader {
                from_id: Some(peer(f.from)),
                date: unix32(f.date),
                saved_from_peer: f.saved.map(|s| peer(s.0)),
                saved_from_msg_id: f.saved.map(|s| s.1),
                ..types::MessageFwdHeader::default()
            }
            .into(),
        )
    }

    /// A chat in the list.
    pub(crate) fn dialog(&self, d: &Dialog) -> enums::Dialog {
        types::Dialog {
            peer: peer(d.peer),
            top_message: d.top,
            read_inbox_max_id: d.read_inbox,
            read_outbox_max_id: d.read_outbox,
            unread_count: d.unread,
            ..types::Dialog::default()
        }
        .into()
    }

    /// What happened, as an update; nothing for a new message that is gone since.
    pub(crate) fn event(&self, event: &Event) -> Result<Option<enums::Update>, Fault> {
        let (pts, pts_count) = (event.pts, event.count);
        Ok(Some(match &event.entry {
            Entry::New { id } => {
                let Some(message) = messages::by_id(self.db, self.viewer, *id)? else { return Ok(None) };
                types::UpdateNewMessage { message: self.message(&message)?, pts, pts_count }.into()
            }
            Entry::Deleted { ids } => types::UpdateDeleteMessages { messages: ids.clone(), pts, pts_count }.into(),
            Entry::ReadInbox { peer: from, max_id } => types::UpdateReadHistoryInbox {
                peer: peer(*from),
                max_id: *max_id,
                still_unread_count: messages::unread(self.db, self.viewer, *from)?,
                pts,
                pts_count,
                ..types::UpdateReadHistoryInbox::default()
            }
            .into(),
            Entry::ReadOutbox { peer: by, max_id } => {
                types::UpdateReadHistoryOutbox { peer: peer(*by), max_id: *max_id, pts, pts_count }.into()
            }
        }))
    }

    /// Updates in their envelope, without a sequence number of their own.
    pub(crate) fn updates(&self, updates: Vec<enums::Update>, users: Vec<enums::User>) -> enums::Updates {
        types::Updates { updates, users, chats: Vec::new(), date: unix32(self.now), seq: 0 }.into()
    }

    /// How a new message is announced to the viewer's sessions: the short form where it can say everything.
    pub(crate) fn announce(&self, m: &Message, event: &Event) -> Result<enums::Updates, Fault> {
        let short = m.media.is_none() && m.forward.is_none() && m.owner != m.peer;
        if !short {
            let update = types::UpdateNewMessage { message: self.message(m)?, pts: event.pts, pts_count: event.count };
            return Ok(self.updates(vec![update.into()], self.users_of(std::slice::from_ref(m))?));
        }
        Ok(types::UpdateShortMessage {
            out: m.out,
            silent: m.silent,
            id: m.id,
            user_id: m.peer,
            message: m.text.as_str().into(),
            pts: event.pts,
            pts_count: event.count,
            date: unix32(m.date),
            reply_to: reply(m),
            entities: self.entities(m)?,
            ..types::UpdateShortMessage::default()
        }
        .into())
    }
}

fn reply(m: &Message) -> Option<enums::MessageReplyHeader> {
    m.reply_to.map(|id| types::MessageReplyHeader { reply_to_msg_id: Some(id), ..types::MessageReplyHeader::default() }.into())
}

/// The letter of a photo size, by the longer side, as the real servers name theirs.
pub(crate) fn photo_size_type(w: i32, h: i32) -> &'static str {
    match w.max(h) {
        ..=100 => "s",
        101..=320 => "m",
        321..=800 => "x",
        801..=1280 => "y",
        _ => "w",
    }
}
