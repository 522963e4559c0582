//! Messages with files, alone and in albums.
//!
//! `messages.sendMedia` takes a file as it was uploaded. `messages.sendMultiMedia` wants each given to the server by
//! `messages.uploadMedia` before, and takes up to ten of one kind.

use super::ChatError;
use super::peers::Peer;
use crate::client::{Client, InvokeError};
use crate::tl::Str;
use crate::tl::api::{enums, functions, types};

/// The most files of one album.
pub const ALBUM: usize = 10;

/// How an uploaded file is to appear.
#[derive(Clone)]
pub enum Form {
    /// As a photo, recompressed by the server.
    Photo,
    /// As a file, or by its attributes as a video, as music or as a voice message.
    Document {
        /// MIME type.
        mime: String,
        /// Its name, and what else it says of itself.
        attributes: Vec<enums::DocumentAttribute>,
        /// A small picture of it.
        thumb: Option<enums::InputFile>,
        /// A file and nothing more, whatever its attributes say.
        plain: bool,
    },
}

/// What `messages.sendMedia` and `messages.uploadMedia` take of an uploaded file.
pub fn uploaded(file: enums::InputFile, form: Form, spoiler: bool) -> enums::InputMedia {
    match form {
        Form::Photo => {
            types::InputMediaUploadedPhoto { spoiler, live_photo: false, file, stickers: None, ttl_seconds: None, video: None }
                .into()
        }
        Form::Document { mime, attributes, thumb, plain } => types::InputMediaUploadedDocument {
            // Otherwise the server makes an animation of a video without sound.
            nosound_video: attributes.iter().any(|a| matches!(a, enums::DocumentAttribute::Video(v) if v.nosound)),
            force_file: plain,
            spoiler,
            file,
            thumb,
            mime_type: Str::from(mime),
            attributes,
            stickers: None,
            video_cover: None,
            video_timestamp: None,
            ttl_seconds: None,
        }
        .into(),
    }
}

/// Where messages go, and how.
pub struct Post<'a> {
    /// The chat.
    pub peer: &'a Peer,
    /// The topic to post in.
    pub topic: Option<i32>,
    /// Without a notification.
    pub silent: bool,
}

impl Post<'_> {
    fn reply_to(&self) -> Option<enums::InputReplyTo> {
        self.topic.map(|topic| {
            types::InputReplyToMessage {
                reply_to_msg_id: topic,
                top_msg_id: Some(topic),
                ..types::InputReplyToMessage::default()
            }
            .into()
        })
    }
}

/// A message with a file.
#[derive(Clone)]
pub struct FileMessage {
    /// The file: as [`uploaded`] makes it, or [`kept`].
    pub media: enums::InputMedia,
    /// Text below it.
    pub caption: String,
    /// Formatting of the text.
    pub entities: Vec<enums::MessageEntity>,
    /// Chosen by us, at random: the server takes a message with the same number only once, so that a repeated request does not post it
    /// twice.
    pub random_id: i64,
}

impl FileMessage {
    fn formatting(&self) -> Option<Vec<enums::MessageEntity>> {
        (!self.entities.is_empty()).then(|| self.entities.clone())
    }
}

/// Posts the message. Returns its identifier, or `None` when the server says that a message with this `random_id` exists: an earlier
/// attempt had arrived.
///
/// # Errors
///
/// The server's and the connection's.
pub async fn file(client: &Client, post: &Post<'_>, message: FileMessage) -> Result<Option<i32>, ChatError> {
    let random_id = message.random_id;
    let request = functions::messages::SendMedia {
        silent: post.silent,
        background: false,
        clear_draft: false,
        noforwards: false,
        update_stickersets_order: false,
        invert_media: false,
        allow_paid_floodskip: false,
        peer: post.peer.input.clone(),
        reply_to: post.reply_to(),
        entities: message.formatting(),
        media: message.media,
        message: Str::from(message.caption),
        random_id,
        reply_markup: None,
        schedule_date: None,
        schedule_repeat_period: None,
        send_as: None,
        quick_reply_shortcut: None,
        effect: None,
        allow_paid_stars: None,
        suggested_post: None,
    };
    match client.invoke(&request).await {
        Ok(updates) => {
            Ok(Some(sent_id(&updates, random_id).ok_or(ChatError::UnexpectedAnswer { method: "messages.sendMedia" })?))
        }
        Err(InvokeError::Rpc(error)) if error.name == "RANDOM_ID_DUPLICATE" => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Has the server make a photo or a document of an uploaded file, for an album. What comes back names it, with `spoiler` as asked.
///
/// # Errors
///
/// The server's and the connection's.
pub async fn kept(
    client: &Client,
    peer: &Peer,
    media: enums::InputMedia,
    spoiler: bool,
) -> Result<enums::InputMedia, ChatError> {
    let request = functions::messages::UploadMedia { business_connection_id: None, peer: peer.input.clone(), media };
    let unexpected = || ChatError::UnexpectedAnswer { method: "messages.uploadMedia" };
    match client.invoke(&request).await? {
        enums::MessageMedia::Photo(media) => match media.photo.as_ref() {
            Some(enums::Photo::Photo(photo)) => Ok(types::InputMediaPhoto {
                spoiler,
                id: types::InputPhoto {
                    id: photo.id,
                    access_hash: photo.access_hash,
                    file_reference: photo.file_reference.clone(),
                }
                .into(),
                ..types::InputMediaPhoto::default()
            }
            .into()),
            _ => Err(unexpected()),
        },
        enums::MessageMedia::Document(media) => match media.document.as_ref() {
            Some(enums::Document::Document(document)) => Ok(types::InputMediaDocument {
                spoiler,
                id: types::InputDocument {
                    id: document.id,
                    access_hash: document.access_hash,
                    file_reference: document.file_reference.clone(),
                }
                .into(),
                ..types::InputMediaDocument::default()
            }
            .into()),
            _ => Err(unexpected()),
        },
        _ => Err(unexpected()),
    }
}

/// Posts several messages as one album, in order. Returns their identifiers, or `None` when the server says that a message with one of
/// the `random_id`s exists: which of them, it does not say.
///
/// # Errors
///
/// The server's and the connection's.
pub async fn album(client: &Client, post: &Post<'_>, messages: &[FileMessage]) -> Result<Option<Vec<i32>>, ChatError> {
    let multi_media = messages
        .iter()
        .map(|message| {
            types::InputSingleMedia {
                media: message.media.clone(),
                random_id: message.random_id,
                message: Str::from(message.caption.as_str()),
                entities: message.formatting(),
            }
            .into()
        })
        .collect();
    let request = functions::messages::SendMultiMedia {
        silent: post.silent,
        background: false,
        clear_draft: false,
        noforwards: false,
        update_stickersets_order: false,
        invert_media: false,
        allow_paid_floodskip: false,
        peer: post.peer.input.clone(),
        reply_to: post.reply_to(),
        multi_media,
        schedule_date: None,
        send_as: None,
        quick_reply_shortcut: None,
        effect: None,
        allow_paid_stars: None,
    };
    match client.invoke(&request).await {
        Ok(updates) => {
            let ids: Option<Vec<i32>> = messages.iter().map(|message| sent_id(&updates, message.random_id)).collect();
            Ok(Some(ids.ok_or(ChatError::UnexpectedAnswer { method: "messages.sendMultiMedia" })?))
        }
        Err(InvokeError::Rpc(error)) if error.name == "RANDOM_ID_DUPLICATE" => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// The identifier that the server gave to the message with this `random_id`.
fn sent_id(updates: &enums::Updates, random_id: i64) -> Option<i32> {
    let list = match updates {
        enums::Updates::Updates(u) => &u.updates,
        enums::Updates::Combined(u) => &u.updates,
        enums::Updates::UpdateShortSentMessage(u) => return Some(u.id),
        _ => return None,
    };
    list.iter().find_map(|update| match update {
        enums::Update::MessageId(u) if u.random_id == random_id => Some(u.id),
        _ => None,
    })
}
